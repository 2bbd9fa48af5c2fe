/* audit.c - recomputes the ledger from its own rows. Reads only; repairs nothing.
 *
 * Owns a connection and the price books that rows name, loaded from the table `prices`: what the book of today says
 * does not matter here. */
#include "gateway/ledger/audit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "gateway/ledger/db.h"
#include "gateway/ledger/rollup.h"
#include "gateway/ledger/row.h"
#include "gateway/ledger/utc.h"
#include "gateway/server/digest.h"
#include "pricing/book.h"

#define DIGEST_PREFIX 16       /* row_price_version */

struct known_book {
    struct known_book *next;
    char prefix[DIGEST_PREFIX + 1];
    struct book *book;
};

struct audit {
    sqlite3 *db;
    struct known_book *books;
    struct audit_result *out;
    int64_t now_ms;
    const char *path;
};

static void differ(struct audit *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void differ(struct audit *a, const char *fmt, ...)
{
    va_list args;

    if (a->out->difference[0])
        return;
    va_start(args, fmt);
    vsnprintf(a->out->difference, sizeof a->out->difference, fmt, args);
    va_end(args);
}

static bool found(const struct audit *a)
{
    return a->out->difference[0] != '\0';
}

/* ---- price books ---- */

static struct book *load_book(struct audit *a, const char *prefix)
{
    sqlite3_stmt *st = db_prepare(a->db, "SELECT digest, text FROM prices WHERE substr(digest, 1, 16) = ?1", NULL);
    struct problems ps;
    struct book *book = NULL;

    problems_init(&ps);
    if (st)
        db_bind_str(st, 1, prefix);
    if (st && sqlite3_step(st) == SQLITE_ROW) {
        struct span text = db_column_span(st, 1);
        uint8_t digest[DIGEST_BYTES];
        char hex[DIGEST_HEX_BYTES + 1];
        json_t *tree;

        digest_sha256(text, digest);
        digest_hex(digest, hex);
        tree = span_is(db_column_span(st, 0), hex) ? json_parse("prices", text, &ps) : NULL;
        if (tree)
            book = book_load(tree, &ps);
        json_decref(tree);
    }
    sqlite3_finalize(st);
    problems_free(&ps);
    return book;
}

/* NULL when the ledger has no such book, or not as it was. */
static struct book *book_of(struct audit *a, const char *prefix)
{
    struct known_book *k = a->books;

    while (k && strcmp(k->prefix, prefix) != 0)
        k = k->next;
    if (k)
        return k->book;
    k = calloc(1, sizeof *k);
    if (!k)
        return NULL;
    memcpy(k->prefix, prefix, sizeof k->prefix);
    k->book = load_book(a, prefix);
    k->next = a->books;
    a->books = k;
    return k->book;
}

static void free_books(struct audit *a)
{
    while (a->books) {
        struct known_book *k = a->books;

        a->books = k->next;
        book_free(k->book);
        free(k);
    }
}

/* ---- attempts ---- */

enum { A_ID, A_N, A_PROVIDER, A_MODEL, A_INPUT, A_READ, A_W5, A_W1, A_OUTPUT, A_REASONING, A_EXTRAS, A_VERSION, A_PRICED, A_COST };

static const char attempts_sql[] =
    "SELECT request_id, n, provider, model, input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, extras,"
    " price_version, priced_ms, cost_nano FROM attempts ORDER BY request_id, n";

static void read_usage(sqlite3_stmt *st, const json_t *extras, struct usage *u)
{
    *u = (struct usage){
        .input = sqlite3_column_int64(st, A_INPUT),
        .cache_read = sqlite3_column_int64(st, A_READ),
        .cache_write_5m = sqlite3_column_int64(st, A_W5),
        .cache_write_1h = sqlite3_column_int64(st, A_W1),
        .output = sqlite3_column_int64(st, A_OUTPUT),
        .reasoning = sqlite3_column_int64(st, A_REASONING),
        .input_audio = json_int(extras, "input_audio", 0),
        .input_image = json_int(extras, "input_image", 0),
        .output_audio = json_int(extras, "output_audio", 0),
        .output_image = json_int(extras, "output_image", 0),
        .searches = json_int(extras, "searches", 0),
    };
}

/* The version that the row names; NULL with the difference said. */
static const struct book_version *version_of(struct audit *a, sqlite3_stmt *st)
{
    struct span text = db_column_span(st, A_VERSION), id = db_column_span(st, A_ID);
    char prefix[DIGEST_PREFIX + 1] = "", key[600];
    const struct book_model *model;
    const struct book_version *v;
    struct book *book;
    int n = sqlite3_column_int(st, A_N);

    if (text.n > DIGEST_PREFIX && text.p[DIGEST_PREFIX] == '@')
        memcpy(prefix, text.p, DIGEST_PREFIX);
    book = book_of(a, prefix);
    if (!book) {
        differ(a, "attempt %d of request %.*s names the price version \"%.*s\", whose book is not in the ledger as it was", n,
               SPAN_FMT(id), SPAN_FMT(text));
        return NULL;
    }
    snprintf(key, sizeof key, "%s/%s", (const char *)sqlite3_column_text(st, A_PROVIDER),
             (const char *)sqlite3_column_text(st, A_MODEL));
    model = book_find(book, span_str(key));
    v = model ? book_version_named(model, span_skip(text, DIGEST_PREFIX + 1)) : NULL;
    if (!v)
        differ(a, "attempt %d of request %.*s names the price version \"%.*s\", in which %s has no price", n, SPAN_FMT(id),
               SPAN_FMT(text), key);
    else if (book_version_at(model, sqlite3_column_int64(st, A_PRICED)) != v)
        differ(a, "attempt %d of request %.*s is priced by the version \"%.*s\" of %s, which did not hold at that time", n,
               SPAN_FMT(id), SPAN_FMT(text), key);
    return found(a) ? NULL : v;
}

/* An attempt for which nothing was billed and no price was looked up. */
static bool is_free(sqlite3_stmt *st, const struct usage *u)
{
    static const struct usage none;

    return sqlite3_column_bytes(st, A_VERSION) == 0 && sqlite3_column_int64(st, A_COST) == 0 && memcmp(u, &none, sizeof none) == 0;
}

static void check_attempt(struct audit *a, sqlite3_stmt *st)
{
    struct span text = db_column_span(st, A_EXTRAS), id = db_column_span(st, A_ID);
    json_t *extras = json_loadb(text.p, text.n, JSON_ALLOW_NUL, NULL);
    int64_t says = sqlite3_column_int64(st, A_COST);
    const struct book_version *v;
    struct usage u;
    struct cost c;

    read_usage(st, extras, &u);
    a->out->attempts++;
    a->out->cost_nano += says;
    v = is_free(st, &u) ? NULL : version_of(a, st);
    if (!extras)
        differ(a, "attempt %d of request %.*s has extras that are no JSON", sqlite3_column_int(st, A_N), SPAN_FMT(id));
    if (v && price_attempt_at(v, sqlite3_column_int64(st, A_PRICED), json_span(extras, "service_tier"), &u, &c) != PRICE_OK)
        differ(a, "attempt %d of request %.*s has counters that cannot be priced", sqlite3_column_int(st, A_N), SPAN_FMT(id));
    else if (v && c.cost_nano != says) {
        char row_usd[PRICE_TEXT_ROOM], usage_usd[PRICE_TEXT_ROOM];

        price_format_usd(says, row_usd);
        price_format_usd(c.cost_nano, usage_usd);
        differ(a, "attempt %d of request %.*s: the row says %s USD, its usage at its price version (%.*s) gives %s USD",
               sqlite3_column_int(st, A_N), SPAN_FMT(id), row_usd, SPAN_FMT(db_column_span(st, A_VERSION)), usage_usd);
    }
    json_decref(extras);
}

static bool check_attempts(struct audit *a)
{
    sqlite3_stmt *st = db_prepare(a->db, attempts_sql, NULL);
    int step = SQLITE_ERROR;

    while (st && (step = sqlite3_step(st)) == SQLITE_ROW && !found(a))
        check_attempt(a, st);
    sqlite3_finalize(st);
    return step == SQLITE_DONE || found(a);
}

/* ---- what one statement can tell ---- */

/* A query that finds rows which may not be: the first becomes the difference. Its columns: a sentence, ready. */
static bool check_none(struct audit *a, const char *sql, int64_t param)
{
    sqlite3_stmt *st = db_prepare(a->db, sql, NULL);
    int step = SQLITE_ERROR;

    if (st) {
        if (sqlite3_bind_parameter_count(st))
            sqlite3_bind_int64(st, 1, param);
        step = sqlite3_step(st);
    }
    if (step == SQLITE_ROW)
        differ(a, "%s", (const char *)sqlite3_column_text(st, 0));
    sqlite3_finalize(st);
    return step == SQLITE_DONE || step == SQLITE_ROW;
}

static const char *const row_checks[] = {
    "SELECT 'request ' || r.id || ' says ' || r.attempts || ' attempts that cost ' || r.cost_nano || ' nano-dollars; its attempts"
    " are ' || count(a.n) || ' and cost ' || coalesce(sum(a.cost_nano), 0) FROM requests r LEFT JOIN attempts a ON"
    " a.request_id = r.id WHERE r.status IS NOT NULL GROUP BY r.id HAVING r.attempts <> count(a.n) OR r.cost_nano <>"
    " coalesce(sum(a.cost_nano), 0) LIMIT 1",
    "SELECT 'attempt ' || n || ' belongs to request ' || request_id || ', which is not there' FROM attempts WHERE request_id NOT"
    " IN (SELECT id FROM requests) LIMIT 1",
    "SELECT 'the reservation of attempt ' || n || ' of request ' || request_id || ' is ' || state || ', but the attempt has no"
    " row' FROM reservations v WHERE state <> 'open' AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.request_id = v.request_id"
    " AND a.n = v.n) LIMIT 1",
    "SELECT 'attempt ' || a.n || ' of request ' || a.request_id || ' cost more than its reservation and is not flagged' FROM"
    " reservations v JOIN attempts a ON a.request_id = v.request_id AND a.n = v.n WHERE a.cost_nano > v.amount_nano AND NOT"
    " a.over_reserved LIMIT 1",
    "SELECT 'attempt ' || a.n || ' of request ' || a.request_id || ' is flagged as above its reservation and is not' FROM"
    " reservations v JOIN attempts a ON a.request_id = v.request_id AND a.n = v.n WHERE a.cost_nano <= v.amount_nano AND"
    " a.over_reserved LIMIT 1",
    /* As store.c closes them. An attempt of usage without a price costs 0 and is settled all the same. */
    "SELECT 'the reservation of attempt ' || v.n || ' of request ' || v.request_id || ' in ' || v.scope || ' is ' || v.state ||"
    " ', which does not fit the attempt (' || a.usage_source || ', ' || a.cost_nano || ' nano-dollars)' FROM reservations v JOIN"
    " attempts a ON a.request_id = v.request_id AND a.n = v.n WHERE v.state <> 'open' AND (v.closed_ms IS NULL OR (v.state ="
    " 'estimated') <> (a.usage_source = 'estimated') OR (v.state = 'released' AND a.cost_nano > 0)) LIMIT 1",
    "SELECT 'attempt ' || v.n || ' of request ' || v.request_id || ' is held in the scope ' || v.scope || ', which is not of its"
    " caller' FROM reservations v JOIN requests r ON r.id = v.request_id WHERE v.scope NOT IN ('none', 'team:' || r.team, 'key:'"
    " || r.key_id) LIMIT 1",
};

static bool check_open(struct audit *a)
{
    int64_t since = db_serve_started(a->path);

    /* Of a running serve, what it has under way may be open; INT64_MAX: nobody serves, nothing may be. */
    return check_none(a, "SELECT 'the reservation of attempt ' || n || ' of request ' || request_id || ' (' || amount_nano || '"
                      " nano-dollars) is open, but nobody works on it; the next start of serve closes it' FROM reservations WHERE"
                      " state = 'open' AND opened_ms < ?1 LIMIT 1", since) &&
           check_none(a, "SELECT 'request ' || id || ' is under way, but nobody works on it; the next start of serve closes it'"
                      " FROM requests WHERE status IS NULL AND at_ms < ?1 LIMIT 1", since);
}

/* ---- rollups ---- */

/* What the rows sum to, in the shape of the table. ?1: hour buckets before this moment need not be there. */
#define HOUR(ms) ms " - " ms " % 3600000"
#define DAY(ms) ms " - " ms " % 86400000"
#define MONTH(ms) "1000 * CAST(strftime('%s', " ms " / 1000, 'unixepoch', 'start of month') AS INTEGER)"

#define TAGS "json_each(CASE WHEN json_valid(r.tags) THEN r.tags ELSE '{}' END) t"

#define RAW(bucket, dimension, request_value, attempt_value, from, where) \
    "SELECT dimension, bucket, value, model, sum(requests) AS requests, sum(attempts) AS attempts, sum(input) AS" \
    " input, sum(cache_read) AS cache_read, sum(cache_write) AS cache_write, sum(output) AS output, sum(cost_nano) AS cost_nano" \
    " FROM (SELECT " dimension " AS dimension, " bucket("r.at_ms") " AS bucket, " request_value " AS value, r.model AS model,"   \
    " 1 AS requests, 0 AS attempts, 0 AS input, 0 AS cache_read, 0 AS cache_write, 0 AS output, 0 AS cost_nano FROM requests r"  \
    from " WHERE r.status IS NOT NULL" where                                                                                    \
    " UNION ALL SELECT " dimension ", " bucket("a.started_ms") ", " attempt_value ", a.model, 0, 1, a.input, a.cache_read,"      \
    " a.cache_write_5m + a.cache_write_1h, a.output, a.cost_nano FROM attempts a JOIN requests r ON r.id = a.request_id" from     \
    " WHERE 1" where ") GROUP BY 1, 2, 3, 4"

/* In both directions: a sum that is missing or wrong, a bucket that nothing sums to. The tag dimensions go together. */
#define CHECK(grain, bucket, dimension, request_value, attempt_value, from, where, which)                                       \
    "WITH raw AS (" RAW(bucket, dimension, request_value, attempt_value, from, where) "),"                                     \
    " kept AS (SELECT dimension, bucket, value, model, requests, attempts, input, cache_read, cache_write, output, cost_nano"  \
    " FROM rollups WHERE grain = '" grain "' AND dimension " which "),"                                                        \
    " wrong AS (SELECT * FROM (SELECT * FROM raw WHERE bucket >= ?1 EXCEPT SELECT * FROM kept) UNION ALL SELECT * FROM"         \
    " (SELECT * FROM kept EXCEPT SELECT * FROM raw)) SELECT 'the " grain " rollup of ' || dimension || ' \"' || value || '\","    \
    " model \"' || model || '\", from ' || strftime('%Y-%m-%dT%H:%M:%SZ', bucket / 1000, 'unixepoch') || ' is not the sum of its"  \
    " rows' FROM wrong LIMIT 1"

#define CHECK_GRAIN(grain, bucket)                                                                                              \
    CHECK(grain, bucket, "'all'", "''", "''", "", "", "= 'all'"),                                                              \
    CHECK(grain, bucket, "'team'", "r.team", "r.team", "", "", "= 'team'"),                                                    \
    CHECK(grain, bucket, "'key'", "r.key_id", "r.key_id", "", "", "= 'key'"),                                                  \
    CHECK(grain, bucket, "'route'", "r.route", "r.route", "", "", "= 'route'"),                                                \
    CHECK(grain, bucket, "'provider'", "r.provider", "a.provider", "", "", "= 'provider'"),                                    \
    CHECK(grain, bucket, "'tag:' || t.key", "t.value", "t.value", " JOIN " TAGS, " AND t.type = 'text'", "GLOB 'tag:*'")

static const char *const hour_checks[] = { CHECK_GRAIN("hour", HOUR) };
static const char *const other_checks[] = { CHECK_GRAIN("day", DAY), CHECK_GRAIN("month", MONTH) };

#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool check_all(struct audit *a, const char *const *checks, size_t n, int64_t param)
{
    for (size_t i = 0; i < n && !found(a); i++)
        if (!check_none(a, checks[i], param))
            return false;
    return true;
}

bool audit_run(const char *path, int64_t now_ms, struct audit_result *out, struct problems *ps)
{
    struct audit a = { .out = out, .now_ms = now_ms, .path = path };
    bool ok;

    *out = (struct audit_result){ 0 };
    a.db = db_open(path, DB_READ, NULL, ps);
    if (!a.db)
        return false;
    ok = db_exec(a.db, "BEGIN") && check_attempts(&a);
    out->requests = (uint64_t)db_int(a.db, "SELECT count(*) FROM requests", 0);
    ok = ok && check_all(&a, row_checks, COUNT(row_checks), 0);
    ok = ok && check_all(&a, hour_checks, COUNT(hour_checks), utc_floor(now_ms, UTC_HOUR_MS) - ROLLUP_HOURS_MS);
    ok = ok && check_all(&a, other_checks, COUNT(other_checks), INT64_MIN);
    ok = ok && (found(&a) || check_open(&a));
    if (!ok)
        problem_error(ps, "", "the ledger does not answer: %s", sqlite3_errmsg(a.db));
    db_exec(a.db, "COMMIT");
    free_books(&a);
    db_close(a.db);
    return ok;
}
