/* report.c - builds one statement from constant pieces, runs it. No value is part of a statement; a query's text is
 * made of the pieces below alone.
 *
 * Requests count under the model that answered and at their at_ms; attempts under their own model and at their
 * started_ms, as in the rollups. */
#include "gateway/ledger/report.h"

#include <stdio.h>

#include "base/buf.h"
#include "gateway/ledger/db.h"
#include "gateway/ledger/rollup.h"
#include "gateway/ledger/row.h"
#include "gateway/ledger/utc.h"

#define SUMS "sum(requests), sum(attempts), sum(input), sum(cache_read), sum(cache_write), sum(output), sum(cost_nano)"
#define SQL_CAP 16384

static const char *const names[] = {
    [REPORT_HOUR] = "hour",   [REPORT_DAY] = "day",         [REPORT_MONTH] = "month", [REPORT_TEAM] = "team", [REPORT_KEY] = "key",
    [REPORT_ROUTE] = "route", [REPORT_PROVIDER] = "provider", [REPORT_MODEL] = "model", [REPORT_TAG] = "tag:",
};

bool report_add(struct report_query *q, struct span name, const char **why)
{
    bool tag = span_starts(name, SPAN_LIT("tag:")) && name.n > 4;

    *why = "it is one of team, key, route, model, provider, tag:NAME, hour, day, month";
    if (q->n_by == REPORT_FIELDS_MAX) {
        *why = "at most eight fields";
        return false;
    }
    for (int f = REPORT_HOUR; f <= REPORT_TAG; f++) {
        if (f == REPORT_TAG ? !tag : !span_is(name, names[f]))
            continue;
        q->by[q->n_by].field = (enum report_field)f;
        q->by[q->n_by++].tag = tag ? span_skip(name, 4) : SPAN_NONE;
        return true;
    }
    return false;
}

size_t report_field_name(const struct report_query *q, size_t i, char *out, size_t room)
{
    int n = snprintf(out, room, "%s%.*s", names[q->by[i].field], SPAN_FMT(q->by[i].tag));

    return n < 0 ? 0 : (size_t)n;
}

static bool is_time(enum report_field f)
{
    return f <= REPORT_MONTH;
}

/* ---- parameters, the same in every statement ---- */

enum { P_FROM = 1, P_TO, P_FROM_ID, P_TO_ID, P_GRAIN, P_DIMENSION, P_TAG /* and on, one for each tag */ };

static void add_time(struct buf *sql, enum report_field f, const char *ms)
{
    static const char *const formats[] = { [REPORT_HOUR] = "%Y-%m-%dT%H:00Z", [REPORT_DAY] = "%Y-%m-%d", [REPORT_MONTH] = "%Y-%m" };

    buf_printf(sql, "strftime('%s', %s / 1000, 'unixepoch')", formats[f], ms);
}

static const char *key_column(const struct report_query *q, const char *column, char *out, size_t room)
{
    if (!q->key_names)
        return column;
    snprintf(out, room, "coalesce((SELECT team || '/' || name FROM keys WHERE id = %s), %s)", column, column);
    return out;
}

/* ---- from the rollups ---- */

/* The one dimension that is asked for besides time and model: "all" when none, NULL when there are several. */
static bool single_dimension(const struct report_query *q, size_t *at)
{
    size_t n = 0;

    *at = q->n_by;
    for (size_t i = 0; i < q->n_by; i++)
        if (!is_time(q->by[i].field) && q->by[i].field != REPORT_MODEL) {
            *at = i;
            n++;
        }
    return n <= 1;
}

static bool on_edge(int64_t ms, const char *grain)
{
    if (ms == INT64_MIN || ms == INT64_MAX)
        return true;
    if (grain[0] == 'm')
        return utc_month_start(ms) == ms;
    return utc_floor(ms, grain[0] == 'd' ? UTC_DAY_MS : UTC_HOUR_MS) == ms;
}

/* The coarsest grain that can tell; NULL: none can. */
static const char *grain_for(const struct report_query *q)
{
    static const char *const grains[] = { "month", "day", "hour" };
    int finest = 0;

    for (size_t i = 0; i < q->n_by; i++)
        if (is_time(q->by[i].field) && REPORT_MONTH - q->by[i].field > (unsigned)finest)
            finest = (int)(REPORT_MONTH - q->by[i].field);
    for (; finest < 3; finest++)
        if (on_edge(q->from_ms, grains[finest]) && on_edge(q->to_ms, grains[finest]))
            break;
    if (finest == 2 && (q->from_ms < utc_floor(q->now_ms, UTC_HOUR_MS) - ROLLUP_HOURS_MS))
        return NULL;               /* those hours are gone */
    return finest < 3 ? grains[finest] : NULL;
}

static void add_rollup_columns(struct buf *sql, const struct report_query *q, const char *value)
{
    char room[160];

    for (size_t i = 0; i < q->n_by; i++) {
        enum report_field f = q->by[i].field;

        if (is_time(f))
            add_time(sql, f, "bucket");
        else if (f == REPORT_MODEL)
            buf_add_str(sql, "model");
        else
            buf_add_str(sql, f == REPORT_KEY ? key_column(q, value, room, sizeof room) : value);
        buf_printf(sql, " AS c%zu, ", i);
    }
}

static void add_rollup_source(struct buf *sql, const struct report_query *q, const char *value, const char *sign,
                              const char *dimension)
{
    buf_add_str(sql, "SELECT ");
    add_rollup_columns(sql, q, value);
    buf_printf(sql, "%srequests AS requests, %sattempts AS attempts, %sinput AS input, %scache_read AS cache_read, %scache_write"
               " AS cache_write, %soutput AS output, %scost_nano AS cost_nano FROM rollups WHERE grain = ?5 AND dimension = %s"
               " AND bucket >= ?1 AND bucket < ?2", sign, sign, sign, sign, sign, sign, sign, dimension);
}

static void add_rollups(struct buf *sql, const struct report_query *q, size_t at)
{
    add_rollup_source(sql, q, "value", "", "?6");
    if (at == q->n_by || q->by[at].field != REPORT_TAG)
        return;
    /* What has no such tag is all less what has it. */
    buf_add_str(sql, " UNION ALL ");
    add_rollup_source(sql, q, "''", "", "'all'");
    buf_add_str(sql, " UNION ALL ");
    add_rollup_source(sql, q, "''", "-", "?6");
}

/* ---- from the rows ---- */

static void add_row_columns(struct buf *sql, const struct report_query *q, bool attempts)
{
    static const char *const columns[] = { [REPORT_TEAM] = "r.team", [REPORT_KEY] = "r.key_id", [REPORT_ROUTE] = "r.route" };
    char room[160];
    int tag = P_TAG;

    for (size_t i = 0; i < q->n_by; i++) {
        enum report_field f = q->by[i].field;

        if (is_time(f))
            add_time(sql, f, attempts ? "a.started_ms" : "r.at_ms");
        else if (f == REPORT_MODEL || f == REPORT_PROVIDER)
            buf_printf(sql, "%s.%s", attempts ? "a" : "r", names[f]);
        else if (f == REPORT_TAG)
            buf_printf(sql, "coalesce((SELECT value FROM json_each(CASE WHEN json_valid(r.tags) THEN r.tags ELSE '{}' END)"
                       " WHERE key = ?%d AND type = 'text'), '')", tag++);
        else
            buf_add_str(sql, f == REPORT_KEY ? key_column(q, columns[f], room, sizeof room) : columns[f]);
        buf_printf(sql, " AS c%zu, ", i);
    }
}

static void add_rows(struct buf *sql, const struct report_query *q)
{
    buf_add_str(sql, "SELECT ");
    add_row_columns(sql, q, false);
    buf_add_str(sql, "1 AS requests, 0 AS attempts, 0 AS input, 0 AS cache_read, 0 AS cache_write, 0 AS output, 0 AS cost_nano"
                " FROM requests r WHERE r.id >= ?3 AND r.id < ?4 AND r.at_ms >= ?1 AND r.at_ms < ?2 AND r.status IS NOT NULL"
                " UNION ALL SELECT ");
    add_row_columns(sql, q, true);
    buf_add_str(sql, "0, 1, a.input, a.cache_read, a.cache_write_5m + a.cache_write_1h, a.output, a.cost_nano"
                " FROM attempts a JOIN requests r ON r.id = a.request_id WHERE a.started_ms >= ?1 AND a.started_ms < ?2");
}

/* ---- the whole ---- */

static void add_list(struct buf *sql, const struct report_query *q, const char *before)
{
    for (size_t i = 0; i < q->n_by; i++)
        buf_printf(sql, "%sc%zu", i ? ", " : before, i);
}

static void add_order(struct buf *sql, const struct report_query *q)
{
    buf_add_str(sql, " ORDER BY ");
    for (size_t i = 0; i < q->n_by; i++)
        if (is_time(q->by[i].field))
            buf_printf(sql, "c%zu, ", i);
    buf_add_str(sql, "sum(cost_nano) DESC");
    add_list(sql, q, ", ");
}

static bool build(struct buf *sql, const struct report_query *q, const char *grain, size_t at)
{
    buf_add_str(sql, "SELECT ");
    for (size_t i = 0; i < q->n_by; i++)
        buf_printf(sql, "c%zu, ", i);
    buf_add_str(sql, SUMS " FROM (");
    if (grain)
        add_rollups(sql, q, at);
    else
        add_rows(sql, q);
    buf_add_str(sql, ")");
    add_list(sql, q, " GROUP BY ");
    buf_add_str(sql, " HAVING sum(requests) <> 0 OR sum(attempts) <> 0");
    add_order(sql, q);
    return buf_ok(sql);
}

/* An id before all of that moment; a day of slack, should a clock have stepped between id and row. */
static void id_at(int64_t ms, char out[ROW_ID_BYTES + 1])
{
    static const uint8_t zeros[10];

    row_new_id(ms, zeros, out);
}

static void bind(sqlite3_stmt *st, const struct report_query *q, const char *grain, size_t at, char (*text)[ROW_ID_BYTES + 1],
                 char *dimension, size_t room)
{
    int tag = P_TAG;

    sqlite3_bind_int64(st, P_FROM, q->from_ms);
    sqlite3_bind_int64(st, P_TO, q->to_ms);
    id_at(q->from_ms > UTC_DAY_MS ? q->from_ms - UTC_DAY_MS : 0, text[0]);
    id_at(q->to_ms < INT64_C(0x7fffffffffff) ? q->to_ms + UTC_DAY_MS : INT64_C(0xffffffffffff), text[1]);
    if (!grain) {
        db_bind_str(st, P_FROM_ID, text[0]);
        db_bind_str(st, P_TO_ID, text[1]);
        for (size_t i = 0; i < q->n_by; i++)
            if (q->by[i].field == REPORT_TAG)
                db_bind_span(st, tag++, q->by[i].tag);
        return;
    }
    if (at == q->n_by)
        snprintf(dimension, room, "all");
    else
        report_field_name(q, at, dimension, room);
    db_bind_str(st, P_GRAIN, grain);
    db_bind_str(st, P_DIMENSION, dimension);
}

static void read_row(sqlite3_stmt *st, const struct report_query *q, struct report_row *row)
{
    int i = 0;

    for (size_t k = 0; k < q->n_by; k++)
        row->values[k] = db_column_span(st, i++);
    row->requests = sqlite3_column_int64(st, i++);
    row->attempts = sqlite3_column_int64(st, i++);
    row->input = sqlite3_column_int64(st, i++);
    row->cache_read = sqlite3_column_int64(st, i++);
    row->cache_write = sqlite3_column_int64(st, i++);
    row->output = sqlite3_column_int64(st, i++);
    row->cost_nano = sqlite3_column_int64(st, i++);
}

bool report_run(const char *path, const struct report_query *q, void (*each)(void *arg, const struct report_row *row),
                void *arg, struct problems *ps)
{
    sqlite3 *db = db_open(path, DB_READ, NULL, ps);
    char ids[2][ROW_ID_BYTES + 1], dimension[600];
    const char *grain = NULL;
    sqlite3_stmt *st = NULL;
    struct buf sql;
    size_t at;
    int step = SQLITE_ERROR;

    if (!db)
        return false;
    if (single_dimension(q, &at) && !q->raw)
        grain = grain_for(q);
    buf_init(&sql, SQL_CAP);
    if (build(&sql, q, grain, at))
        st = db_prepare(db, buf_span(&sql).p, NULL);
    if (st) {
        bind(st, q, grain, at, ids, dimension, sizeof dimension);
        while ((step = sqlite3_step(st)) == SQLITE_ROW) {
            struct report_row row = { 0 };

            read_row(st, q, &row);
            each(arg, &row);
        }
    }
    if (step != SQLITE_DONE)
        problem_error(ps, "", "the ledger does not answer: %s", sqlite3_errmsg(db));
    sqlite3_finalize(st);
    buf_free(&sql);
    db_close(db);
    return step == SQLITE_DONE;
}
