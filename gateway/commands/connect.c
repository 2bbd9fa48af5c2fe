/* connect.c - the exact lines that point a client at this gateway. Prints no key: it names where the key goes. */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/commands/cli.h"
#include "gateway/commands/commands.h"
#include "gateway/config.h"

#define WORD_ROOM (4 * PATH_MAX)

struct place {
    char url[256];       /* https://127.0.0.1:8443 */
    char ca[WORD_ROOM];  /* the development CA beside the config, as a word of a shell; "" when there is none */
    char key[WORD_ROOM]; /* `init`'s first key beside it, likewise */
};

static void print_key_line(const struct place *p)
{
    if (p->key[0])
        printf("export TOLLGATE_KEY=$(cat %s)\n", p->key);
    else
        printf("# TOLLGATE_KEY: the key that `%s keys create` printed\n", cli_program());
}

static void print_curl(const struct place *p)
{
    print_key_line(p);
    printf("curl%s%s %s/v1/chat/completions \\\n"
           "  -H \"authorization: Bearer $TOLLGATE_KEY\" -H 'content-type: application/json' \\\n"
           "  -d '{\"model\": \"auto\", \"messages\": [{\"role\": \"user\", \"content\": \"What is 17 + 25?\"}]}'\n",
           p->ca[0] ? " --cacert " : "", p->ca, p->url);
}

/* For programs in Node.js and in Python, which have authorities of their own. */
static void print_ca_lines(const struct place *p)
{
    if (p->ca[0])
        printf("export NODE_EXTRA_CA_CERTS=%s    # Node.js\nexport SSL_CERT_FILE=%s          # Python\n", p->ca, p->ca);
}

#define MODELS "# model: \"auto\" lets the policy decide; a route's or a model's name is taken as such\n"

static void print_openai(const struct place *p)
{
    printf("# any OpenAI SDK, and what is built on one: Chat Completions, Responses, Embeddings\n");
    print_key_line(p);
    printf("export OPENAI_BASE_URL=%s/v1\nexport OPENAI_API_KEY=$TOLLGATE_KEY\n", p->url);
    print_ca_lines(p);
    printf(MODELS);
}

/* Its SDKs and Claude Code put /v1/messages behind the base themselves. */
static void print_anthropic(const struct place *p)
{
    printf("# any Anthropic SDK\n");
    print_key_line(p);
    printf("export ANTHROPIC_BASE_URL=%s\nexport ANTHROPIC_API_KEY=$TOLLGATE_KEY\n", p->url);
    print_ca_lines(p);
    printf(MODELS);
}

static void print_gemini(const struct place *p)
{
    printf("# any Google Gen AI SDK\n");
    print_key_line(p);
    printf("export GOOGLE_GEMINI_BASE_URL=%s\nexport GEMINI_API_KEY=$TOLLGATE_KEY\nunset GOOGLE_API_KEY    # it would win\n", p->url);
    print_ca_lines(p);
    printf(MODELS);
}

/* A set ANTHROPIC_API_KEY wins over the token. Its model list keeps only names that begin with claude: so the routes have such
 * names too. Its small background calls ask for a haiku. */
static void print_claude_code(const struct place *p)
{
    print_key_line(p);
    printf("export ANTHROPIC_BASE_URL=%s\nexport ANTHROPIC_AUTH_TOKEN=$TOLLGATE_KEY\nexport ANTHROPIC_API_KEY=\n"
           "export ANTHROPIC_MODEL=claude-auto\nexport ANTHROPIC_DEFAULT_HAIKU_MODEL=claude-auto\n"
           "export CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY=1    # /model lists claude-auto and claude-<route>\n", p->url);
    if (p->ca[0])
        printf("export NODE_EXTRA_CA_CERTS=%s\n", p->ca);
    printf("claude\n");
}

/* The ids openai, ollama and lmstudio are reserved there. Its search of the web runs at OpenAI: offered in a request, it would
 * keep all other providers from answering (measured, 0.169 with full access). */
static void print_codex(const struct place *p)
{
    printf("# in ~/.codex/config.toml:\n"
           "model = \"auto\"\nmodel_provider = \"tollgate\"\nweb_search = \"disabled\"    # only OpenAI's models have it\n\n"
           "[model_providers.tollgate]\nname = \"tollgate\"\nbase_url = \"%s/v1\"\nenv_key = \"TOLLGATE_KEY\"\n"
           "wire_api = \"responses\"\n\n"
           "# and then in the shell:\n", p->url);
    print_key_line(p);
    if (p->ca[0])
        printf("export SSL_CERT_FILE=%s\n", p->ca);
    printf("codex\n");
}

static void print_langchain(const struct place *p)
{
    print_openai(p);
    printf("export ANTHROPIC_BASE_URL=%s\nexport ANTHROPIC_API_KEY=$TOLLGATE_KEY\n"
           "# Python: ChatOpenAI(model=\"auto\"), ChatAnthropic(model=\"auto\")\n"
           "# JavaScript: new ChatOpenAI({ model: \"auto\" }), new ChatAnthropic({ model: \"auto\" })\n", p->url);
}

/* Google's provider has no variable for the address. */
static void print_ai_sdk(const struct place *p)
{
    print_openai(p);
    printf("export ANTHROPIC_BASE_URL=%s/v1\nexport ANTHROPIC_API_KEY=$TOLLGATE_KEY\n"
           "export GOOGLE_GENERATIVE_AI_API_KEY=$TOLLGATE_KEY\n"
           "# openai(\"auto\") speaks Responses, openai.chat(\"auto\") Chat Completions; anthropic(\"auto\");\n"
           "# chats that rest for more than a day: openai(\"auto\") with providerOptions: { openai: { store: false } }\n"
           "# createGoogleGenerativeAI({ baseURL: \"%s/v1beta\" })(\"auto\")\n", p->url, p->url);
}

static void print_cursor(const struct place *p)
{
    printf("Settings > Models > OpenAI API Key: the key; Override OpenAI Base URL: %s/v1; add the model \"auto\".\n"
           "Cursor calls from its own servers: the address must be public, with a certificate that they trust.\n", p->url);
}

static void print_cline(const struct place *p)
{
    printf("API Provider: OpenAI Compatible; Base URL: %s/v1; API Key: the key; Model ID: auto\n", p->url);
    if (p->ca[0])
        printf("Start the editor with NODE_EXTRA_CA_CERTS=%s in its environment.\n", p->ca);
}

#define CLIENTS "claude-code, codex, cursor, cline, openai, anthropic, gemini, ai-sdk, langchain, curl"
static const struct {
    const char *name;
    void (*print)(const struct place *p);
} clients[] = {
    { "claude-code", print_claude_code }, { "codex", print_codex },         { "cursor", print_cursor }, { "cline", print_cline },
    { "openai", print_openai },           { "anthropic", print_anthropic }, { "gemini", print_gemini }, { "ai-sdk", print_ai_sdk },
    { "langchain", print_langchain },     { "curl", print_curl },
};

static const char help[] =
    "usage: tollgate connect [--config FILE] CLIENT\n\n"
    "Prints the lines that point CLIENT at this gateway. CLIENT is one of\n"
    "  " CLIENTS "\n\n"
    "  --config FILE   the gateway's config (default: " CONFIG_FILE_DEFAULT ")\n";

/* A path as one word of a shell: in quotes where it has more than plain characters. */
static void write_word(const char *path, char word[WORD_ROOM])
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+@%";
    size_t n = 0;

    if (path[strspn(path, plain)] == '\0') {
        snprintf(word, WORD_ROOM, "%s", path);
        return;
    }
    word[n++] = '\'';
    for (; *path && n + 6 < WORD_ROOM; path++) {
        if (*path == '\'')    /* ends the quotes, adds one, begins them anew */
            n += (size_t)snprintf(word + n, WORD_ROOM - n, "'\\'");
        word[n++] = *path;
    }
    word[n++] = '\'';
    word[n] = '\0';
}

static void find_beside(const char *dir, const char *name, char word[WORD_ROOM])
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof path, "%s/%s", dir, name) < (int)sizeof path && access(path, R_OK) == 0)
        write_word(path, word);
}

static bool find_place(const char *path, struct place *p)
{
    struct problems ps;
    struct config *c;

    *p = (struct place){ .url = "" };
    problems_init(&ps);
    c = config_load(path, &ps);
    if (!c) {
        problems_print(&ps, stderr);
    } else {
        const struct config_listener *l = &c->listeners[0];
        const bool v6 = strchr(l->address.host, ':') != NULL;

        snprintf(p->url, sizeof p->url, "%s://%s%s%s:%u", l->tls ? "https" : "http", v6 ? "[" : "", l->address.host,
                 v6 ? "]" : "", l->address.port);
        if (l->tls)
            find_beside(c->dir, "ca.pem", p->ca);
        find_beside(c->dir, "key.txt", p->key);
    }
    problems_free(&ps);
    config_free(c);
    return c != NULL;
}

int command_connect(int argc, char **argv)
{
    static const struct option options[] = { { "config", required_argument, NULL, 'c' }, { 0 } };
    const char *path = CONFIG_FILE_DEFAULT;
    struct place place;
    int option;

    if (cli_help(argc, argv, help))
        return 0;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        if (option != 'c')
            return cli_wrong_option("connect", argc, argv, option);
        path = optarg;
    }
    if (optind + 1 != argc)
        return cli_wrong("connect", optind == argc ? "which client? One of " CLIENTS "%s" : "one client at a time, not also \"%s\"",
                         optind == argc ? "" : argv[optind + 1]);
    for (size_t i = 0; i < sizeof clients / sizeof clients[0]; i++)
        if (strcmp(argv[optind], clients[i].name) == 0) {
            if (!find_place(path, &place))
                return 1;
            clients[i].print(&place);
            return 0;
        }
    return cli_wrong("connect", "I know no client \"%s\"; it is one of " CLIENTS, argv[optind]);
}
