/* init.c - a folder that works: config, policy, price book, development certificates, ledger and first key.
 *
 * Asks nothing. Providers whose key is in the environment are used; with none, the bundled engine answers alone. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/problem.h"
#include "gateway/commands/cli.h"
#include "gateway/commands/commands.h"
#include "gateway/commands/init_policy.h"
#include "gateway/config.h"
#include "gateway/ledger/accounts.h"
#include "gateway/server/devca.h"
#include "gateway/server/digest.h"
#include "schemas/bundled.h"

#define CERTIFICATE_DAYS 825    /* what clients accept at most from an authority of one's own */

extern const struct bundled_file bundled_defaults[];    /* prices.json and the policies; made from the tree */

struct init {
    const char *dir;
    const char *models;          /* folder with tiny-flash and tiny-pro; NULL: not found */
    bool has_provider;
};

static const struct known_provider {
    const char *name, *dialect, *base_url, *env;
} known_providers[] = {
    { "deepseek", "deepseek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY" },
    { "openai", "openai", "https://api.openai.com/v1", "OPENAI_API_KEY" },
    { "anthropic", "anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY" },
    { "google", "gemini", "https://generativelanguage.googleapis.com/v1beta", "GEMINI_API_KEY" },
};
#define KNOWN (sizeof known_providers / sizeof known_providers[0])

static const char help[] =
    "usage: tollgate init [DIR] [--port N] [--models DIR]\n\n"
    "Makes a working setup in DIR (default: the current folder): tollgate.json, policy.json, prices.json, ca.pem,\n"
    "cert.pem, key.pem, the ledger tollgate.db, and a first key in key.txt. Nothing that is there is overwritten.\n"
    "The policy asks the providers whose key is in the environment (DEEPSEEK_API_KEY, OPENAI_API_KEY,\n"
    "ANTHROPIC_API_KEY, GEMINI_API_KEY), and the bundled engine what is marked as sensitive; with no key at all the\n"
    "bundled engine answers everything.\n\n"
    "  --port N        listen on 127.0.0.1:N, with metrics on N+1 (default: 8443)\n"
    "  --models DIR    folder with the bundled models tiny-flash and tiny-pro (default: found beside the program)\n";

static bool is_folder(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Beside an installed program in share/tollgate/models, beside a built one in ../engine/models; else where this build was
 * told to install them (--datadir elsewhere). */
static char *find_models(const char *given)
{
    static const char *const places[] = { "../share/tollgate/models", "../engine/models", "engine/models" };
    char self[PATH_MAX], path[PATH_MAX + 64];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash;

    if (given)
        return realpath(given, NULL);
    if (n <= 0)
        return NULL;
    self[n] = '\0';
    slash = strrchr(self, '/');
    if (slash)
        *slash = '\0';
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        snprintf(path, sizeof path, "%s/%s/tiny-flash", self, places[i]);
        if (is_folder(path)) {
            snprintf(path, sizeof path, "%s/%s", self, places[i]);
            return realpath(path, NULL);
        }
    }
    return is_folder(INSTALLED_MODELS "/tiny-flash") ? realpath(INSTALLED_MODELS, NULL) : NULL;
}

static bool is_on(const struct known_provider *p)
{
    const char *key = getenv(p->env);

    return key && key[0];
}

static bool has_provider(struct span name)
{
    for (size_t i = 0; i < KNOWN; i++)
        if (span_is(name, known_providers[i].name))
            return is_on(&known_providers[i]);
    return false;
}

static bool write_file(const struct init *in, const char *name, struct span text, int mode)
{
    char path[PATH_MAX];
    FILE *f;
    bool ok;

    snprintf(path, sizeof path, "%s/%s", in->dir, name);
    f = fopen(path, "wx");
    ok = f && fchmod(fileno(f), (mode_t)mode) == 0 && fwrite(text.p, 1, text.n, f) == text.n;
    ok = f && fclose(f) == 0 && ok;
    if (!ok)
        fprintf(stderr, "tollgate init: %s cannot be written: %s\n", path, strerror(errno));
    return ok;
}

static struct span bundled(const char *name)
{
    for (const struct bundled_file *f = bundled_defaults; f->name; f++)
        if (strcmp(f->name, name) == 0)
            return (struct span){ f->text, f->bytes };
    return SPAN_NONE;
}

static void write_providers(const struct init *in, struct buf *b)
{
    for (size_t i = 0; i < KNOWN; i++)
        if (is_on(&known_providers[i]))
            buf_printf(b, "    \"%s\": { \"dialect\": \"%s\", \"base_url\": \"%s\", \"keys\": [{ \"env\": \"%s\" }] },\n",
                       known_providers[i].name, known_providers[i].dialect, known_providers[i].base_url,
                       known_providers[i].env);
    buf_add_str(b, "    \"local\": { \"dialect\": \"openai\", \"placement\": \"local\", \"engine\": { \"models\": {");
    for (int i = 0; i < 2; i++) {
        const char *name = i ? "tiny-pro" : "tiny-flash";
        char path[PATH_MAX + 64];

        snprintf(path, sizeof path, "%s/%s", in->models, name);
        buf_printf(b, "%s\n      \"%s\": ", i ? "," : "", name);
        buf_add_json(b, span_str(path));
    }
    buf_add_str(b, "\n    } } }\n");
}

static void write_config(const struct init *in, int port, struct buf *b)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);

    buf_printf(b, "{\n  \"listen\": [{ \"address\": \"127.0.0.1:%d\", \"tls\": { \"certificate\": \"cert.pem\", "
                  "\"key\": \"key.pem\" } }],\n", port);
    buf_printf(b, "  \"admin\": { \"address\": \"127.0.0.1:%d\" },\n", port + 1);
    buf_printf(b, "  \"workers\": %ld,\n", cores < 1 ? 1 : cores > 8 ? 8 : cores);
    buf_add_str(b, "  \"ledger\": { \"sqlite\": \"tollgate.db\", \"durability\": \"process\" },\n"
                   "  \"prices\": \"prices.json\",\n  \"policy\": \"policy.json\",\n  \"providers\": {\n");
    write_providers(in, b);
    buf_add_str(b, "  }\n}\n");
}

static bool make_key(const struct init *in)
{
    char path[PATH_MAX], text[KEY_TEXT_BYTES + 2] = "";
    struct accounts *accounts;
    struct key_info info;
    struct problems ps;
    bool ok;

    problems_init(&ps);
    snprintf(path, sizeof path, "%s/tollgate.db", in->dir);
    accounts = accounts_open(path, true, &ps);
    problems_print(&ps, stderr);
    problems_free(&ps);
    ok = accounts && accounts_key_create(accounts, SPAN_LIT("demo"), SPAN_LIT("first"), false, clock_wall_ms(), &info, text) ==
                         ACCOUNTS_OK;
    if (accounts && !ok)
        fprintf(stderr, "tollgate init: no key could be made: %s\n", accounts_error(accounts));
    accounts_close(accounts);
    text[KEY_TEXT_BYTES] = '\n';
    ok = ok && write_file(in, "key.txt", (struct span){ text, KEY_TEXT_BYTES + 1 }, 0600);
    digest_wipe(text, sizeof text);
    return ok;
}

/* "It asks deepseek, and the bundled engine what is marked as sensitive; not asked, for want of a key: OPENAI_API_KEY." */
static void say_providers(const struct init *in)
{
    const char *between = in->has_provider ? "; not asked, for want of a key: " : ", for want of a key: ";

    printf(in->has_provider ? "It asks" : "It asks the bundled engine alone");
    for (size_t i = 0; i < KNOWN; i++)
        if (is_on(&known_providers[i]))
            printf(" %s,", known_providers[i].name);
    if (in->has_provider)
        printf(" and the bundled engine what is marked as sensitive");
    for (size_t i = 0; i < KNOWN; i++) {
        if (is_on(&known_providers[i]))
            continue;
        printf("%s%s", between, known_providers[i].env);
        between = ", ";
    }
    printf(".\n");
}

static void say_next(const struct init *in, const char *config, int port)
{
    printf("Made %s with a first key in %s/key.txt.\n\n"
           "  %s serve --config %s\n\n"
           "and then, in another terminal:\n\n"
           "  curl --cacert %s/ca.pem https://127.0.0.1:%d/v1/chat/completions \\\n"
           "    -H \"authorization: Bearer $(cat %s/key.txt)\" -H 'content-type: application/json' \\\n"
           "    -d '{\"model\": \"auto\", \"messages\": [{\"role\": \"user\", \"content\": \"What is 17 + 25?\"}]}'\n\n",
           config, in->dir, cli_program(), config, in->dir, port, in->dir);
    say_providers(in);
    printf("Point a client at it: %s connect --config %s openai\n", cli_program(), config);
}

static int init(struct init *in, int port)
{
    const struct span prices = bundled("prices.json");
    const struct span local = bundled("flash-first-local.json");
    char config[PATH_MAX];
    const char *why = NULL;
    struct buf b, policy;
    bool ok;

    struct stat at;

    if (mkdir(in->dir, 0755) != 0 && errno != EEXIST) {
        fprintf(stderr, "tollgate init: %s cannot be made: %s\n", in->dir, strerror(errno));
        return 1;
    }
    if (stat(in->dir, &at) == 0 && !S_ISDIR(at.st_mode)) {
        fprintf(stderr, "tollgate init: %s is a file: name a folder, which is made if it is not there\n", in->dir);
        return 1;
    }
    snprintf(config, sizeof config, "%s/" CONFIG_FILE_DEFAULT, in->dir);
    if (access(config, F_OK) == 0) {
        fprintf(stderr, "tollgate init: %s is there already; to begin anew choose another folder or remove it\n", config);
        return 1;
    }
    if (!devca_write(in->dir, CERTIFICATE_DAYS, &why)) {
        fprintf(stderr, "tollgate init: no certificates in %s: %s\n", in->dir, why ? why : "unknown error");
        return 1;
    }
    buf_init(&b, 65536);
    buf_init(&policy, 65536);
    write_config(in, port, &b);
    if (!in->has_provider)
        ok = buf_add_span(&policy, local);
    else
        ok = init_policy_write(bundled("flash-first.json"), local, prices, has_provider, &policy);
    if (!ok)
        abort();    /* the bundled files are compiled in: nothing that a user could mend */
    ok = write_file(in, "prices.json", prices, 0644) && write_file(in, "policy.json", buf_span(&policy), 0644) &&
         write_file(in, CONFIG_FILE_DEFAULT, buf_span(&b), 0644) && make_key(in);
    buf_free(&policy);
    buf_free(&b);
    if (ok)
        say_next(in, config, port);
    return ok ? 0 : 1;
}

int command_init(int argc, char **argv)
{
    static const struct option options[] = {
        { "port", required_argument, NULL, 'p' }, { "models", required_argument, NULL, 'm' }, { 0 },
    };
    struct init in = { .dir = "." };
    const char *models = NULL;
    uint64_t port = 8443;
    char *found;
    int option, status;

    if (cli_help(argc, argv, help))
        return 0;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        if (option == 'm')
            models = optarg;
        else if (option != 'p')
            return cli_wrong_option("init", argc, argv, option);
        else if (!span_to_u64(span_str(optarg), 65534, &port) || port == 0)
            return cli_wrong("init", "--port is a number from 1 to 65534, not \"%s\"", optarg);
    }
    if (optind + 1 < argc)
        return cli_wrong("init", "\"%s\" is one word too many", argv[optind + 1]);
    if (optind < argc)
        in.dir = argv[optind];
    for (size_t i = 0; i < KNOWN; i++)
        in.has_provider |= is_on(&known_providers[i]);
    found = find_models(models);
    if (!found) {
        if (models)
            fprintf(stderr, "tollgate init: %s: %s\n", models, strerror(errno));
        else
            fprintf(stderr, "tollgate init: the bundled models are not beside the program; say where: --models DIR\n");
        return 1;
    }
    in.models = found;
    status = init(&in, (int)port);
    free(found);
    return status;
}
