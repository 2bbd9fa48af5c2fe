/* report.h - sums of the ledger by any of its dimensions: what `costs` prints and the dashboard will draw.
 *
 * Read from the rollups where they can answer (one dimension besides model and time, edges on a bucket's edge), else from
 * the rows themselves; both give the same numbers, which is tested. One read transaction: one moment. */
#ifndef TOLLGATE_GATEWAY_LEDGER_REPORT_H
#define TOLLGATE_GATEWAY_LEDGER_REPORT_H

#include "base/problem.h"
#include "base/span.h"

enum report_field {
    REPORT_HOUR, REPORT_DAY, REPORT_MONTH,             /* "2026-11-24T17:00Z", "2026-11-24", "2026-11"; UTC */
    REPORT_TEAM, REPORT_KEY, REPORT_ROUTE, REPORT_PROVIDER, REPORT_MODEL,
    REPORT_TAG,                                        /* of one name; '' where it is not set */
};

#define REPORT_FIELDS_MAX 8
struct report_query {
    struct { enum report_field field; struct span tag; } by[REPORT_FIELDS_MAX];
    size_t n_by;
    int64_t from_ms, to_ms;        /* [from, to); INT64_MIN and INT64_MAX: all */
    int64_t now_ms;                /* hour buckets are kept for 30 days before it */
    bool key_names;                /* "team/name" in place of a key's id */
    bool raw;                      /* from the rows, whatever the rollups could say */
};

/* "team" or "tag:NAME" into the next place of the query. False: no such field (*why says what there is), or too many. */
bool report_add(struct report_query *q, struct span name, const char **why);
/* The field's name as it was asked for: "team", "tag:project". */
size_t report_field_name(const struct report_query *q, size_t i, char *out, size_t room);

struct report_row {
    struct span values[REPORT_FIELDS_MAX];
    int64_t requests, attempts, input, cache_read, cache_write, output, cost_nano;
};
/* Rows in the order of time, then the dearest first. The row is borrowed for the call. False with a problem. */
bool report_run(const char *path, const struct report_query *q, void (*each)(void *arg, const struct report_row *row),
                void *arg, struct problems *ps);

#endif
