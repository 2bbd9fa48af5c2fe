/* audit.c - `tollgate audit`: recomputes every row, names the first difference. The work is ledger/audit.c's. */
#include "gateway/ledger/audit.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "gateway/commands/cli.h"
#include "gateway/commands/commands.h"
#include "pricing/price.h"

static const char help[] =
    "usage: tollgate audit [--config FILE] [--format table|json]\n"
    "\n"
    "Recomputes the cost of every attempt in the ledger from its usage and the price version that it names, and checks\n"
    "that each request, each sum and each reservation agrees. Prints the first difference. It may run beside `serve`.\n"
    "\n"
    "  --config FILE   the gateway's config (default: " CONFIG_FILE_DEFAULT ")\n"
    "  --format F      table (the default: one sentence) or json\n"
    "\n"
    "Exit status: 0 all agrees, 1 there is a difference or the ledger cannot be read, 2 called wrongly.\n";

static void print(const struct audit_result *r, enum table_format format)
{
    char usd[PRICE_TEXT_ROOM];

    price_format_usd(r->cost_nano, usd);
    if (format == TABLE_TEXT && r->difference[0]) {
        printf("audit: %s\n", r->difference);
    } else if (format == TABLE_TEXT) {
        printf("audit: %" PRIu64 " requests, %" PRIu64 " attempts, %s USD: every row agrees\n", r->requests, r->attempts, usd);
    } else {
        struct buf json;

        buf_init(&json, 8192);
        buf_printf(&json, "{\"ok\":%s,\"requests\":%" PRIu64 ",\"attempts\":%" PRIu64 ",\"cost_nano\":%" PRId64
                   ",\"cost_usd\":\"%s\",\"difference\":", r->difference[0] ? "false" : "true", r->requests, r->attempts,
                   r->cost_nano, usd);
        if (r->difference[0])
            buf_add_json(&json, span_str(r->difference));
        else
            buf_add_str(&json, "null");
        printf("%.*s}\n", SPAN_FMT(buf_span(&json)));
        buf_free(&json);
    }
}

int command_audit(int argc, char **argv)
{
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' },
        { "format", required_argument, NULL, 'F' },
        { NULL, 0, NULL, 0 },
    };
    const char *config = CONFIG_FILE_DEFAULT;
    enum table_format format = TABLE_TEXT;
    struct audit_result result;
    struct problems ps;
    char *path;
    int o, rc;

    if (cli_help(argc, argv, help))
        return 0;
    optind = 1;
    opterr = 0;
    while ((o = getopt_long(argc, argv, ":", options, NULL)) != -1)
        switch (o) {
        case 'c':
            config = optarg;
            break;
        case 'F':
            if (!table_format_parse(span_str(optarg), &format) || format == TABLE_CSV)
                return cli_wrong("audit", "--format is table or json, not \"%s\"", optarg);
            break;
        default:
            return cli_wrong_option("audit", argc, argv, o);
        }
    if (optind < argc)
        return cli_wrong("audit", "\"%s\" is one word too many", argv[optind]);
    path = cli_ledger_path(config);
    if (!path)
        return 1;
    problems_init(&ps);
    if (audit_run(path, clock_wall_ms(), &result, &ps)) {
        print(&result, format);
        rc = result.difference[0] != '\0';
    } else {
        rc = cli_failed(&ps);
    }
    problems_free(&ps);
    free(path);
    return rc;
}
