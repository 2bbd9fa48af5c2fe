/* keys.c - `tollgate keys create|list|revoke|rotate`. The edits are ledger/accounts.c's. */
#include "gateway/ledger/keys.h"

#include <getopt.h>

#include "base/clock.h"
#include "gateway/commands/cli.h"
#include "gateway/commands/commands.h"
#include "gateway/ledger/accounts.h"
#include "gateway/ledger/utc.h"
#include "gateway/server/digest.h"

static const char help[] =
    "usage: tollgate keys create --team TEAM --name NAME [--strict] [--config FILE] [--format table|json]\n"
    "       tollgate keys list [--team TEAM] [--config FILE] [--format table|csv|json]\n"
    "       tollgate keys revoke (--id ID | --team TEAM --name NAME) [--config FILE]\n"
    "       tollgate keys rotate (--id ID | --team TEAM --name NAME) [--config FILE] [--format table|json]\n"
    "\n"
    "Keys of the programs that call this gateway. A key is shown once, when it is made; the ledger keeps its SHA-256.\n"
    "\n"
    "  create    a new key; its team is made when there is none of that name\n"
    "  list      all keys: team, name, id, when made and revoked\n"
    "  revoke    the key is refused from now on; its history stays\n"
    "  rotate    a new key in place of the old, which is refused from now on; id, budgets and history stay\n"
    "\n"
    "  --strict        refuse what a translation between dialects would only warn of (x-tollgate-warning)\n"
    "  --config FILE   the gateway's config (default: " CONFIG_FILE_DEFAULT ")\n"
    "  --format F      table (for people; the default), json, or csv for list; the key itself is in `key:` or \"key\"\n"
    "\n"
    "A running `serve` heeds a change within a second. Names have 1 to 64 of A-Z a-z 0-9 . _ - and begin with a letter\n"
    "or digit; a key's name is unique among its team's keys in use.\n";

struct keys_options {
    const char *config;
    struct span id, team, name;
    bool strict;
    enum table_format format;
};

/* 0, or the exit status. */
static int read_options(struct keys_options *k, int argc, char **argv)
{
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' }, { "id", required_argument, NULL, 'i' },
        { "team", required_argument, NULL, 't' },   { "name", required_argument, NULL, 'n' },
        { "format", required_argument, NULL, 'F' }, { "strict", no_argument, NULL, 's' },
        { NULL, 0, NULL, 0 },
    };
    int o;

    optind = 1;
    opterr = 0;
    while ((o = getopt_long(argc, argv, ":", options, NULL)) != -1)
        switch (o) {
        case 'c':
            k->config = optarg;
            break;
        case 'i':
            k->id = span_str(optarg);
            break;
        case 't':
            k->team = span_str(optarg);
            break;
        case 'n':
            k->name = span_str(optarg);
            break;
        case 's':
            k->strict = true;
            break;
        case 'F':
            if (!table_format_parse(span_str(optarg), &k->format))
                return cli_wrong("keys", "--format is table, csv or json, not \"%s\"", optarg);
            break;
        default:
            return cli_wrong_option("keys", argc, argv, o);
        }
    if (optind < argc)
        return cli_wrong("keys", "\"%s\" is one word too many", argv[optind]);
    return 0;
}

/* Names are letters, digits and . _ - (key_name_ok), so nothing here needs escaping. */
static void print_key(const struct key_info *info, const char *text, enum table_format format)
{
    if (format == TABLE_JSON)
        printf("{\"id\":\"%s\",\"key\":\"%s\",\"team\":\"%s\",\"name\":\"%s\"}\n", info->id, text, info->team, info->name);
    else
        printf("key: %s\nid: %s\nteam: %s\nname: %s\nThe key is not shown again.\n", text, info->id, info->team, info->name);
}

static int say(enum accounts_rc rc, struct accounts *a, const struct keys_options *k, const struct key_info *info)
{
    switch (rc) {
    case ACCOUNTS_OK:
        return 0;
    case ACCOUNTS_EXISTS:
        fprintf(stderr, "tollgate keys: team %s has a key named %s already (%s); take another name, or `keys rotate`\n", info->team,
                info->name, info->id);
        return 1;
    case ACCOUNTS_REVOKED:
        fprintf(stderr, "tollgate keys: the key %s (%s of team %s) has been revoked; create a new one\n", info->id, info->name,
                info->team);
        return 1;
    case ACCOUNTS_NOT_FOUND:
        if (k->id.n)
            fprintf(stderr, "tollgate keys: there is no key with the id %.*s; `tollgate keys list` shows all\n", SPAN_FMT(k->id));
        else
            fprintf(stderr, "tollgate keys: team %.*s has no key named %.*s; `tollgate keys list` shows all\n", SPAN_FMT(k->team),
                    SPAN_FMT(k->name));
        return 1;
    case ACCOUNTS_FAILED:
        fprintf(stderr, "tollgate keys: %s\n", accounts_error(a));
        return 1;
    }
    return 1;
}

static int create(struct accounts *a, const void *options)
{
    const struct keys_options *k = options;
    char text[KEY_TEXT_BYTES + 1];
    struct key_info info;
    int rc = say(accounts_key_create(a, k->team, k->name, k->strict, clock_wall_ms(), &info, text), a, k, &info);

    if (rc == 0)
        print_key(&info, text, k->format);
    digest_wipe(text, sizeof text);
    return rc;
}

static int rotate(struct accounts *a, const void *options)
{
    const struct keys_options *k = options;
    char text[KEY_TEXT_BYTES + 1];
    struct key_info info;
    int rc = say(accounts_key_rotate(a, k->id, k->team, k->name, clock_wall_ms(), &info, text), a, k, &info);

    if (rc == 0)
        print_key(&info, text, k->format);
    digest_wipe(text, sizeof text);
    return rc;
}

static int revoke(struct accounts *a, const void *options)
{
    const struct keys_options *k = options;
    struct key_info info;
    int rc = say(accounts_key_revoke(a, k->id, k->team, k->name, clock_wall_ms(), &info), a, k, &info);

    if (rc == 0)
        printf("revoked: %s (%s of team %s)\n", info.id, info.name, info.team);
    return rc;
}

static void add_time(struct table *t, int64_t ms)
{
    char text[UTC_TEXT_ROOM] = "";

    if (ms)
        utc_text(ms - ms % 1000, text);
    table_cell(t, span_str(text));
}

static void add_key(void *arg, const struct accounts_key *k)
{
    struct table *t = arg;

    table_cell(t, span_str(k->info.team));
    table_cell(t, span_str(k->info.name));
    table_cell(t, span_str(k->info.id));
    table_cell(t, k->revoked_ms ? SPAN_LIT("revoked") : k->info.strict ? SPAN_LIT("in use, strict") : SPAN_LIT("in use"));
    add_time(t, k->created_ms);
    add_time(t, k->rotated_ms);
    add_time(t, k->revoked_ms);
}

static int list(struct accounts *a, const void *options)
{
    const struct keys_options *k = options;
    struct table *t = table_new();
    bool ok;

    table_column(t, SPAN_LIT("team"), TABLE_WORD, false);
    table_column(t, SPAN_LIT("name"), TABLE_WORD, false);
    table_column(t, SPAN_LIT("id"), TABLE_WORD, false);
    table_column(t, SPAN_LIT("state"), TABLE_WORD, false);
    table_column(t, SPAN_LIT("created"), TABLE_TIME, false);
    table_column(t, SPAN_LIT("rotated"), TABLE_TIME, false);
    table_column(t, SPAN_LIT("revoked"), TABLE_TIME, false);
    ok = accounts_keys_each(a, k->team, add_key, t);
    if (ok && !table_rows(t) && k->format == TABLE_TEXT)
        printf("%s%.*s%s no keys; `tollgate keys create --team TEAM --name NAME` makes one\n", k->team.n ? "team " : "there",
               SPAN_FMT(k->team), k->team.n ? " has" : " are");
    else if (ok)
        table_print(t, k->format, stdout);
    else
        fprintf(stderr, "tollgate keys: %s\n", accounts_error(a));
    table_free(t);
    return ok ? 0 : 1;
}

static const struct cli_verb verbs[] = { { "create", create, true }, { "list", list, true }, { "revoke", revoke, false },
                                         { "rotate", rotate, false }, { 0 } };

/* 0, or the exit status: what each verb must be told. */
static int check_options(const char *verb, const struct keys_options *k)
{
    bool named = k->team.n && k->name.n;

    if (strcmp(verb, "list") == 0)
        return k->id.n || k->name.n || k->strict ? cli_wrong("keys", "list takes --team alone") : 0;
    if (strcmp(verb, "create") == 0) {
        if (k->format == TABLE_CSV)
            return cli_wrong("keys", "--format of create is table or json; list has csv");
        if (k->id.n || !named)
            return cli_wrong("keys", "create needs --team and --name; the id is made");
        if (!key_name_ok(k->team) || !key_name_ok(k->name))
            return cli_wrong("keys", "names have 1 to 64 of A-Z a-z 0-9 . _ - and begin with a letter or digit, unlike \"%.*s\"",
                             SPAN_FMT(key_name_ok(k->team) ? k->name : k->team));
        return 0;
    }
    if (k->strict)
        return cli_wrong("keys", "--strict is for create; a key is strict for life");
    if ((k->id.n != 0) == named || (k->id.n && (k->team.n || k->name.n)))
        return cli_wrong("keys", "%s needs either --id, or --team and --name", verb);
    return k->format == TABLE_CSV ? cli_wrong("keys", "--format of %s is table or json; list has csv", verb) : 0;
}

int command_keys(int argc, char **argv)
{
    struct keys_options k = { .config = CONFIG_FILE_DEFAULT };
    const struct cli_verb *verb;
    int rc;

    if (cli_help(argc, argv, help))
        return 0;
    verb = cli_verb("keys", verbs, argc, argv);
    if (!verb)
        return 2;
    rc = read_options(&k, argc - 1, argv + 1);
    if (rc == 0)
        rc = check_options(verb->name, &k);
    return rc ? rc : cli_verb_run(verb, k.config, &k);
}
