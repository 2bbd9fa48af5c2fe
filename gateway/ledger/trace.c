/* trace.c - see trace.h. Reads; decides nothing about who may ask but that the key must be the request's. */
#include "gateway/ledger/trace.h"

#include "pricing/price.h"

/* How a column is written. In the order of the SELECT; its name is the column's own. */
enum as { AS_TEXT, AS_NUMBER, AS_BOOL, AS_JSON, AS_MONEY };

static const char request_sql[] =
    "SELECT id, at_ms, key_id, team, route, dialect, model_asked, model, provider, stream, status, cost_nano, first_byte_ms,"
    " total_ms, tags, session FROM requests WHERE id = ?1 AND key_id = ?2";
static const enum as request_as[] = { AS_TEXT, AS_NUMBER, AS_TEXT, AS_TEXT, AS_TEXT, AS_TEXT, AS_TEXT, AS_TEXT, AS_TEXT, AS_BOOL,
                                      AS_NUMBER, AS_MONEY, AS_NUMBER, AS_NUMBER, AS_JSON, AS_TEXT };
#define REQUEST_STATUS 10

static const char attempts_sql[] =
    "SELECT n, provider, model, model_returned, started_ms, ended_ms, status, verdict, input, cache_read, cache_write_5m,"
    " cache_write_1h, output, reasoning, extras, usage_source, price_version, priced_ms, cost_nano, over_reserved"
    " FROM attempts WHERE request_id = ?1 ORDER BY n";
static const enum as attempts_as[] = { AS_NUMBER, AS_TEXT, AS_TEXT, AS_TEXT, AS_NUMBER, AS_NUMBER, AS_NUMBER, AS_TEXT, AS_NUMBER,
                                       AS_NUMBER, AS_NUMBER, AS_NUMBER, AS_NUMBER, AS_NUMBER, AS_JSON, AS_TEXT, AS_TEXT, AS_NUMBER,
                                       AS_MONEY, AS_BOOL };

static const char reservations_sql[] =
    "SELECT n, scope, amount_nano, state, opened_ms, closed_ms FROM reservations WHERE request_id = ?1 ORDER BY n, scope";
static const enum as reservations_as[] = { AS_NUMBER, AS_TEXT, AS_MONEY, AS_TEXT, AS_NUMBER, AS_NUMBER };

/* "amount_nano" and "amount_usd" */
static void add_money(struct buf *out, const char *name, int64_t nano)
{
    const struct span stem = span_first(span_str(name), strlen(name) - strlen("nano"));
    char usd[PRICE_TEXT_ROOM];

    price_format_usd(nano, usd);
    buf_printf(out, "\"%s\":%lld,\"%.*susd\":\"%s\"", name, (long long)nano, SPAN_FMT(stem), usd);
}

static void add_column(struct buf *out, sqlite3_stmt *st, int i, enum as as)
{
    const char *name = sqlite3_column_name(st, i);

    if (as == AS_MONEY) {
        add_money(out, name, sqlite3_column_int64(st, i));
        return;
    }
    buf_printf(out, "\"%s\":", name);
    if (sqlite3_column_type(st, i) == SQLITE_NULL)
        buf_add_str(out, "null");
    else if (as == AS_NUMBER)
        buf_add_int(out, sqlite3_column_int64(st, i));
    else if (as == AS_BOOL)
        buf_add_str(out, sqlite3_column_int(st, i) ? "true" : "false");
    else if (as == AS_JSON)
        buf_add_span(out, db_column_span(st, i));
    else
        buf_add_json(out, db_column_span(st, i));
}

static void add_row(struct buf *out, sqlite3_stmt *st, const enum as *as)
{
    for (int i = 0; i < sqlite3_column_count(st); i++) {
        if (i)
            buf_add_char(out, ',');
        add_column(out, st, i, as[i]);
    }
}

static bool add_list(sqlite3 *db, const char *name, const char *sql, const enum as *as, struct span id, struct buf *out)
{
    sqlite3_stmt *st = db_prepare(db, sql, NULL);
    const char *open = "{";
    int rc = SQLITE_ERROR;

    if (st) {
        db_bind_span(st, 1, id);
        buf_printf(out, ",\"%s\":[", name);
        while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
            buf_add_str(out, open);
            add_row(out, st, as);
            buf_add_char(out, '}');
            open = ",{";
        }
        buf_add_char(out, ']');
    }
    sqlite3_finalize(st);
    return rc == SQLITE_DONE;
}

static enum trace_rc add_request(sqlite3 *db, struct span id, struct span key_id, struct buf *out)
{
    sqlite3_stmt *st = db_prepare(db, request_sql, NULL);
    enum trace_rc rc = TRACE_FAILED;
    int step;

    if (!st)
        return rc;
    db_bind_span(st, 1, id);
    db_bind_span(st, 2, key_id);
    step = sqlite3_step(st);
    if (step == SQLITE_DONE)
        rc = TRACE_NOT_FOUND;
    if (step == SQLITE_ROW) {
        rc = sqlite3_column_type(st, REQUEST_STATUS) == SQLITE_NULL ? TRACE_UNDER_WAY : TRACE_OK;
        buf_add_str(out, "{\"object\":\"tollgate.request\",");
        add_row(out, st, request_as);
    }
    sqlite3_finalize(st);
    return rc;
}

enum trace_rc trace_write(sqlite3 *db, struct span id, struct span key_id, struct buf *out)
{
    enum trace_rc rc = TRACE_FAILED;

    buf_clear(out);
    if (!db_exec(db, "BEGIN"))
        return rc;
    rc = add_request(db, id, key_id, out);
    if ((rc == TRACE_OK || rc == TRACE_UNDER_WAY) &&
        (!add_list(db, "attempts", attempts_sql, attempts_as, id, out) ||
         !add_list(db, "reservations", reservations_sql, reservations_as, id, out)))
        rc = TRACE_FAILED;
    db_exec(db, "COMMIT");
    buf_add_str(out, "}\n");
    if (!buf_ok(out))
        rc = TRACE_FAILED;
    if (rc == TRACE_FAILED || rc == TRACE_NOT_FOUND)
        buf_clear(out);
    return rc;
}
