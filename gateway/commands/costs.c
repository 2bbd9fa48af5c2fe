/* costs.c - `tollgate costs`: what was spent, by any dimension of the ledger. Sums are ledger/report.c's. */
#include <getopt.h>
#include <stdlib.h>

#include "base/clock.h"
#include "gateway/commands/cli.h"
#include "gateway/commands/commands.h"
#include "gateway/ledger/report.h"
#include "gateway/ledger/utc.h"

static const char help[] =
    "usage: tollgate costs [--config FILE] [--by FIELD,...] [--from TIME] [--to TIME] [--format table|csv|json]\n"
    "\n"
    "What was spent, from the ledger, exact to the nano-dollar.\n"
    "\n"
    "  --config FILE   the gateway's config (default: " CONFIG_FILE_DEFAULT ")\n"
    "  --by FIELD,...  team, key, route, model, provider, tag:NAME, hour, day, month; without it, one sum of all\n"
    "  --from TIME     from then on: 2026-11, 2026-11-24 or 2026-11-24T13:00Z\n"
    "  --to TIME       up to that moment, which is not included\n"
    "  --format F      table (for people; the default), csv or json\n"
    "\n"
    "The dearest rows come first; with hour, day or month, the rows stand in the order of time. All times are UTC.\n"
    "A table leaves out the cache columns while they are 0; csv and json have every field. Requests count under the\n"
    "model that answered, attempts and cost under each attempt's own.\n"
    "cost_nano is nano-dollars (1e-9 USD) as an integer, cost_usd the same as an exact decimal.\n"
    "\n"
    "  tollgate costs --by day,model --from 2026-11 --format csv > november.csv\n";

struct costs {
    const char *config;
    enum table_format format;
    struct report_query query;
    struct table *table;
    struct report_row total;
    size_t rows;
};

static void add_row(void *arg, const struct report_row *row)
{
    struct costs *c = arg;
    const int64_t numbers[] = { row->requests, row->attempts, row->input, row->cache_read, row->cache_write, row->output,
                                row->cost_nano };

    for (size_t i = 0; i < c->query.n_by; i++)
        table_cell(c->table, row->values[i].n || c->format != TABLE_TEXT ? row->values[i] : SPAN_LIT("-"));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        table_number(c->table, numbers[i]);
    table_money(c->table, row->cost_nano);
    c->total.requests += row->requests;
    c->total.attempts += row->attempts;
    c->total.input += row->input;
    c->total.cache_read += row->cache_read;
    c->total.cache_write += row->cache_write;
    c->total.output += row->output;
    c->total.cost_nano += row->cost_nano;
    c->rows++;
}

static void add_columns(struct costs *c)
{
    static const char *const numbers[] = { "requests", "attempts", "input", "cache_read", "cache_write", "output" };

    for (size_t i = 0; i < c->query.n_by; i++) {
        char name[600];
        size_t n = report_field_name(&c->query, i, name, sizeof name);

        table_column(c->table, (struct span){ name, n < sizeof name ? n : sizeof name - 1 }, TABLE_WORD, false);
    }
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        table_column(c->table, span_str(numbers[i]), TABLE_NUMBER, false);
    table_column(c->table, SPAN_LIT("cost_nano"), TABLE_NUMBER, true);
    table_column(c->table, SPAN_LIT("cost_usd"), TABLE_MONEY, false);
}

/* Most tables then fit 80 columns. */
static void hide_idle_columns(struct costs *c)
{
    table_hide_if_zero(c->table, c->query.n_by + 3);    /* cache_read */
    table_hide_if_zero(c->table, c->query.n_by + 4);    /* cache_write */
}

/* People want to see the sum below; programs would count it twice. */
static void add_total(struct costs *c)
{
    static const struct span none[REPORT_FIELDS_MAX];

    if (c->format != TABLE_TEXT || !c->query.n_by || c->rows < 2)
        return;
    memcpy(c->total.values, none, sizeof none);
    c->total.values[0] = SPAN_LIT("total");
    for (size_t i = 1; i < c->query.n_by; i++)
        c->total.values[i] = SPAN_LIT(" ");
    add_row(c, &c->total);
}

/* Twice the same field would be twice the same name in a JSON object. */
static bool is_there(const struct costs *c, struct span name)
{
    char text[600];

    for (size_t i = 0; i < c->query.n_by; i++) {
        const size_t n = report_field_name(&c->query, i, text, sizeof text);

        if (n < sizeof text && span_eq((struct span){ text, n }, name))
            return true;
    }
    return false;
}

static int parse_by(struct costs *c, struct span list)
{
    const char *why;

    while (list.n) {
        struct span name = span_first(list, span_find(list, ','));

        if (is_there(c, name))
            return cli_wrong("costs", "--by has \"%.*s\" twice", SPAN_FMT(name));
        if (!report_add(&c->query, name, &why))
            return cli_wrong("costs", "--by does not know \"%.*s\": %s", SPAN_FMT(name), why);
        list = span_skip(list, name.n + 1);
    }
    return 0;
}

/* 0, or the exit status. */
static int read_options(struct costs *c, int argc, char **argv)
{
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' }, { "by", required_argument, NULL, 'b' },
        { "from", required_argument, NULL, 'f' },   { "to", required_argument, NULL, 't' },
        { "format", required_argument, NULL, 'F' }, { NULL, 0, NULL, 0 },
    };
    int o, rc = 0;

    optind = 1;
    opterr = 0;
    while (rc == 0 && (o = getopt_long(argc, argv, ":", options, NULL)) != -1)
        switch (o) {
        case 'c':
            c->config = optarg;
            break;
        case 'b':
            rc = parse_by(c, span_str(optarg));
            break;
        case 'f':
        case 't':
            if (!utc_parse(span_str(optarg), o == 'f' ? &c->query.from_ms : &c->query.to_ms))
                rc = cli_wrong("costs", "\"%s\" is no time; write 2026-11, 2026-11-24 or 2026-11-24T13:00Z (UTC)", optarg);
            break;
        case 'F':
            if (strcmp(optarg, "focus") == 0)
                rc = cli_wrong("costs", "--format focus is not in this version; csv has the same figures");
            else if (!table_format_parse(span_str(optarg), &c->format))
                rc = cli_wrong("costs", "--format is table, csv or json, not \"%s\"", optarg);
            break;
        default:
            rc = cli_wrong_option("costs", argc, argv, o);
        }
    if (rc == 0 && optind < argc)
        rc = cli_wrong("costs", "\"%s\" is one word too many", argv[optind]);
    if (rc == 0 && c->query.from_ms >= c->query.to_ms)
        rc = cli_wrong("costs", "--to must be later than --from");
    return rc;
}

int command_costs(int argc, char **argv)
{
    struct costs c = { .config = CONFIG_FILE_DEFAULT, .query = { .from_ms = INT64_MIN, .to_ms = INT64_MAX } };
    struct problems ps;
    char *path;
    int rc;

    if (cli_help(argc, argv, help))
        return 0;
    rc = read_options(&c, argc, argv);
    if (rc != 0)
        return rc;
    path = cli_ledger_path(c.config);
    if (!path)
        return 1;
    problems_init(&ps);
    c.query.now_ms = clock_wall_ms();
    c.query.key_names = c.format == TABLE_TEXT;
    c.table = table_new();
    add_columns(&c);
    rc = 1;
    if (!report_run(path, &c.query, add_row, &c, &ps)) {
        cli_failed(&ps);
    } else if (!c.rows && c.format == TABLE_TEXT) {
        puts("no requests in this time");
        rc = 0;
    } else {
        add_total(&c);
        hide_idle_columns(&c);
        table_print(c.table, c.format, stdout);
        rc = 0;
    }
    table_free(c.table);
    problems_free(&ps);
    free(path);
    return rc;
}
