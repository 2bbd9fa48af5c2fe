/* budgets.c - `tollgate budgets set|list|remove`. The edits are ledger/accounts.c's. */
#include "gateway/ledger/budget.h"

#include <getopt.h>

#include "base/clock.h"
#include "gateway/commands/cli.h"
#include "gateway/commands/commands.h"
#include "gateway/ledger/accounts.h"
#include "gateway/ledger/utc.h"
#include "pricing/price.h"

static const char help[] =
    "usage: tollgate budgets set (--team TEAM | --key ID) --usd AMOUNT --period day|week|month|total [--config FILE]\n"
    "       tollgate budgets list [--config FILE] [--format table|csv|json]\n"
    "       tollgate budgets remove (--team TEAM | --key ID) [--period PERIOD] [--config FILE]\n"
    "\n"
    "What a team or a key may spend. Before each attempt its worst case is held from every budget that applies; what\n"
    "does not fit is refused before it costs anything.\n"
    "\n"
    "  set       at most AMOUNT in each period; a team or key may have one budget of each period\n"
    "  list      limit, spent, reserved and free, as the ledger says now\n"
    "  remove    the one of PERIOD, or all of that team or key\n"
    "\n"
    "  --usd AMOUNT    dollars, at most nine decimals: 12.50\n"
    "  --period P      day (from 00:00), week (from Monday), month, all in UTC; or total, which never starts anew\n"
    "  --config FILE   the gateway's config (default: " CONFIG_FILE_DEFAULT ")\n"
    "  --format F      of list: table (for people; the default), csv or json\n"
    "\n"
    "A running `serve` heeds a change within a second; what was spent and held before counts.\n";

struct budgets_options {
    const char *config;
    char scope[BUDGET_SCOPE_BYTES];    /* "team:NAME", "key:ID" */
    bool has_usd, has_period;
    int64_t nano;
    enum budget_period period;
    enum table_format format;
};

static int read_scope(struct budgets_options *b, const char *kind, struct span name)
{
    if (b->scope[0])
        return cli_wrong("budgets", "a budget is of one team or of one key");
    if (!key_name_ok(name))
        return cli_wrong("budgets", "\"%.*s\" is no name: 1 to 64 of A-Z a-z 0-9 . _ -, first a letter or digit", SPAN_FMT(name));
    snprintf(b->scope, sizeof b->scope, "%s:%.*s", kind, SPAN_FMT(name));
    return 0;
}

static int read_usd(struct budgets_options *b, const char *text)
{
    enum price_parse rc = price_parse_usd(span_str(text), &b->nano);

    b->has_usd = true;
    return rc == PRICE_PARSE_OK ? 0 : cli_wrong("budgets", "--usd \"%s\" %s; write dollars as 12.50", text, price_parse_text(rc, 9));
}

/* 0, or the exit status. */
static int read_options(struct budgets_options *b, int argc, char **argv)
{
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' }, { "team", required_argument, NULL, 't' },
        { "key", required_argument, NULL, 'k' },    { "usd", required_argument, NULL, 'u' },
        { "period", required_argument, NULL, 'p' }, { "format", required_argument, NULL, 'F' },
        { NULL, 0, NULL, 0 },
    };
    int o, rc = 0;

    optind = 1;
    opterr = 0;
    while (rc == 0 && (o = getopt_long(argc, argv, ":", options, NULL)) != -1)
        switch (o) {
        case 'c':
            b->config = optarg;
            break;
        case 't':
        case 'k':
            rc = read_scope(b, o == 't' ? "team" : "key", span_str(optarg));
            break;
        case 'u':
            rc = read_usd(b, optarg);
            break;
        case 'p':
            b->has_period = true;
            if (!budget_period_parse(span_str(optarg), &b->period))
                rc = cli_wrong("budgets", "--period is day, week, month or total, not \"%s\"", optarg);
            break;
        case 'F':
            if (!table_format_parse(span_str(optarg), &b->format))
                rc = cli_wrong("budgets", "--format is table, csv or json, not \"%s\"", optarg);
            break;
        default:
            rc = cli_wrong_option("budgets", argc, argv, o);
        }
    if (rc == 0 && optind < argc)
        rc = cli_wrong("budgets", "\"%s\" is one word too many", argv[optind]);
    return rc;
}

static int not_done(enum accounts_rc rc, struct accounts *a, const char *what)
{
    fprintf(stderr, "tollgate budgets: %s\n", rc == ACCOUNTS_FAILED ? accounts_error(a) : what);
    return 1;
}

static void count_key(void *arg, const struct accounts_key *k)
{
    (void)k;
    ++*(size_t *)arg;
}

/* A budget may come before its team's first key; more often the name is misspelt. */
static void note_team_without_keys(struct accounts *a, const char *scope)
{
    size_t keys = 0;

    if (!span_starts(span_str(scope), SPAN_LIT("team:")))
        return;
    if (accounts_keys_each(a, span_str(scope + 5), count_key, &keys) && keys == 0)
        fprintf(stderr, "tollgate budgets: note: team %s has no key yet; `tollgate keys list` shows the teams that have\n", scope + 5);
}

static int set(struct accounts *a, const void *options)
{
    const struct budgets_options *b = options;
    enum accounts_rc rc = accounts_budget_set(a, b->scope, b->period, b->nano, clock_wall_ms());
    char usd[PRICE_TEXT_ROOM];

    if (rc == ACCOUNTS_REVOKED)
        return not_done(rc, a, "that key has been revoked");
    if (rc != ACCOUNTS_OK)
        return not_done(rc, a, "there is no key with that id; `tollgate keys list` shows all");
    price_format_usd(b->nano, usd);
    note_team_without_keys(a, b->scope);
    printf("%s: %s USD a %s\n", b->scope, usd, b->period == BUDGET_TOTAL ? "lifetime" : budget_period_name(b->period));
    return 0;
}

static int drop(struct accounts *a, const void *options)
{
    const struct budgets_options *b = options;
    enum accounts_rc rc = accounts_budget_remove(a, b->scope, !b->has_period, b->period);

    if (rc != ACCOUNTS_OK)
        return not_done(rc, a, "there is no such budget; `tollgate budgets list` shows all");
    printf("%s: removed\n", b->scope);
    return 0;
}

static void add_budget(void *arg, const struct accounts_budget *b)
{
    struct table *t = arg;
    const char *colon = strchr(b->row.scope, ':');
    char resets[UTC_TEXT_ROOM] = "";

    if (b->resets_ms != INT64_MAX)
        utc_text(b->resets_ms, resets);
    table_cell(t, (struct span){ b->row.scope, (size_t)(colon - b->row.scope) });
    table_cell(t, span_str(colon + 1));
    table_cell(t, span_str(budget_period_name(b->row.period)));
    table_money(t, b->row.limit_nano);
    table_money(t, b->spent_nano);
    table_money(t, b->reserved_nano);
    table_money(t, b->row.limit_nano - b->spent_nano - b->reserved_nano);
    table_cell(t, span_str(resets));
}

static int list(struct accounts *a, const void *options)
{
    const struct budgets_options *b = options;
    static const struct { const char *name; enum table_kind kind; } columns[] = {
        { "of", TABLE_WORD },           { "name", TABLE_WORD },          { "period", TABLE_WORD },    { "limit_usd", TABLE_MONEY },
        { "spent_usd", TABLE_MONEY },   { "reserved_usd", TABLE_MONEY }, { "free_usd", TABLE_MONEY }, { "resets", TABLE_TIME },
    };
    struct table *t = table_new();
    bool ok;

    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        table_column(t, span_str(columns[i].name), columns[i].kind, false);
    ok = accounts_budgets_each(a, clock_wall_ms(), add_budget, t);
    if (ok && !table_rows(t) && b->format == TABLE_TEXT)
        puts("no budgets are set");
    else if (ok)
        table_print(t, b->format, stdout);
    else
        not_done(ACCOUNTS_FAILED, a, "");
    table_free(t);
    return ok ? 0 : 1;
}

static int check_options(const char *verb, const struct budgets_options *b)
{
    if (strcmp(verb, "list") == 0)
        return b->scope[0] || b->has_usd || b->has_period ? cli_wrong("budgets", "list shows all budgets; it takes --format alone") : 0;
    if (!b->scope[0])
        return cli_wrong("budgets", "%s needs --team TEAM or --key ID", verb);
    if (strcmp(verb, "set") == 0 && (!b->has_usd || !b->has_period))
        return cli_wrong("budgets", "set needs --usd AMOUNT and --period day|week|month|total");
    if (strcmp(verb, "remove") == 0 && b->has_usd)
        return cli_wrong("budgets", "remove takes no --usd");
    return 0;
}

static const struct cli_verb verbs[] = { { "set", set, true }, { "list", list, true }, { "remove", drop, false }, { 0 } };

int command_budgets(int argc, char **argv)
{
    struct budgets_options b = { .config = CONFIG_FILE_DEFAULT };
    const struct cli_verb *verb;
    int rc;

    if (cli_help(argc, argv, help))
        return 0;
    verb = cli_verb("budgets", verbs, argc, argv);
    if (!verb)
        return 2;
    rc = read_options(&b, argc - 1, argv + 1);
    if (rc == 0)
        rc = check_options(verb->name, &b);
    return rc ? rc : cli_verb_run(verb, b.config, &b);
}
