/* store.c - entries to rows, rows to keys and budgets.
 *
 * Owns the writer's connection and its prepared statements. Does not own the entries, decide about time (but for
 * closing times given to it) or know of threads.
 *
 * An entry may be applied twice (its transaction was rolled back, or failed in a way that left it in the log): each
 * statement is written so that the second time changes nothing, and sums follow only what was really inserted. */
#include "gateway/ledger/store.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/json.h"
#include "gateway/ledger/db.h"
#include "gateway/ledger/rollup.h"
#include "gateway/ledger/utc.h"
#include "gateway/ledger/walfile.h"

enum statement {
    BEGIN,
    COMMIT,
    ROLLBACK,
    PUT_REQUEST,
    END_REQUEST,
    PUT_ATTEMPT,
    PUT_RESERVATION,
    CLOSE_RESERVATION,
    PUT_BOOK,
    PROBE,
    DATA_VERSION,
    STATEMENTS,
};

static const char *const statement_sql[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [PUT_REQUEST] = "INSERT INTO requests (id, at_ms, key_id, team, route, dialect, model_asked, model, provider, stream,"
                    " status, attempts, cost_nano, first_byte_ms, total_ms, tags, session)"
                    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)"
                    " ON CONFLICT DO NOTHING",
    [END_REQUEST] = "UPDATE requests SET model = ?8, provider = ?9, status = ?11, attempts = ?12,"
                    " cost_nano = ?13, first_byte_ms = ?14, total_ms = ?15 WHERE id = ?1 AND status IS NULL",
    [PUT_ATTEMPT] = "INSERT INTO attempts (request_id, n, provider, model, model_returned, started_ms, ended_ms, status,"
                    " verdict, input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, extras, usage_source,"
                    " price_version, priced_ms, cost_nano, over_reserved)"
                    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)"
                    " ON CONFLICT DO NOTHING",
    [PUT_RESERVATION] = "INSERT INTO reservations (request_id, n, scope, amount_nano, state, opened_ms, bound, closed_ms)"
                        " VALUES (?1, ?2, ?3, ?4, ?7, ?5, ?6, ?8) ON CONFLICT DO NOTHING",
    [CLOSE_RESERVATION] = "UPDATE reservations SET state = ?3, closed_ms = ?4, bound = NULL"
                          " WHERE request_id = ?1 AND n = ?2 AND scope = ?5 AND state = 'open'",
    [PUT_BOOK] = "INSERT INTO prices (digest, used_ms, text) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
    [PROBE] = "INSERT INTO meta (name, value) VALUES ('probe_ms', ?1) ON CONFLICT DO UPDATE SET value = ?1",
    [DATA_VERSION] = "PRAGMA data_version",
};

struct store {
    sqlite3 *db;
    struct walfile *files;
    sqlite3_stmt *st[STATEMENTS];
    struct rollup *rollup;
    struct buf text;               /* JSON being written: extras, bound */
    int64_t data_version;
    int wal_pages;
    bool gone;                     /* our file is no longer at its path */
};

#define JSON_CAP 16384             /* a service tier is at most 512 bytes (ledger.c), numbers are short */

static int on_commit(void *arg, sqlite3 *db, const char *name, int pages)
{
    struct store *s = arg;

    (void)db;
    (void)name;
    s->wal_pages = pages;
    return SQLITE_OK;
}

struct store *store_open(const char *path, bool durability_power, const char *vfs, struct problems *ps)
{
    struct store *s = calloc(1, sizeof *s);

    if (!s) {
        problem_error(ps, "", "there is no memory for the ledger");
        return NULL;
    }
    buf_init(&s->text, JSON_CAP);
    s->files = walfile_new(vfs);
    if (!s->files) {
        problem_error(ps, "", "there is no memory for the ledger");
        goto fail;
    }
    s->db = db_open(path, DB_CREATE, walfile_name(s->files), ps);
    if (!s->db)
        goto fail;
    /* NORMAL: the log is synced before a checkpoint only, so loss of power may take the last commits but never the
     * file. FULL: the log is synced in each commit. */
    if (!db_exec(s->db, durability_power ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL") ||
        !db_exec(s->db, "PRAGMA wal_autocheckpoint = 0") || !db_exec(s->db, "PRAGMA cache_size = -16384")) {
        problem_error(ps, "", "the ledger cannot be set up: %s", sqlite3_errmsg(s->db));
        goto fail;
    }
    sqlite3_wal_hook(s->db, on_commit, s);
    for (int i = 0; i < STATEMENTS; i++) {
        s->st[i] = db_prepare(s->db, statement_sql[i], ps);
        if (!s->st[i])
            goto fail;
    }
    s->rollup = rollup_new(s->db);
    if (!s->rollup) {
        problem_error(ps, "", "the ledger cannot be set up: %s", sqlite3_errmsg(s->db));
        goto fail;
    }
    store_changed(s);
    return s;
fail:
    store_close(s);
    return NULL;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    rollup_free(s->rollup);
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(s->st[i]);
    if (s->db)
        db_close(s->db);
    walfile_free(s->files);
    buf_free(&s->text);
    free(s);
}

const char *store_error(struct store *s)
{
    return s->gone ? "the ledger's file was removed or replaced; put it back, or restart tollgate" : sqlite3_errmsg(s->db);
}

int store_wal_pages(const struct store *s)
{
    return s->wal_pages;
}

/* ---- statements ---- */

static enum store_rc rc_of(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return STORE_OK;
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
    case SQLITE_RANGE:
        return STORE_BAD;
    default:
        return STORE_DISK;
    }
}

/* Runs a statement that gives no rows and makes it ready for the next time. */
static enum store_rc run(struct store *s, enum statement which)
{
    int rc = sqlite3_step(s->st[which]);

    sqlite3_reset(s->st[which]);
    return rc_of(rc);
}

/* SQLite writes on into a file that has no name any more, and all of it would be lost with the process. One stat(2). */
bool store_in_place(struct store *s)
{
    int moved = 0;

    s->gone = sqlite3_file_control(s->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved;
    return !s->gone;
}

enum store_rc store_begin(struct store *s)
{
    return store_in_place(s) ? run(s, BEGIN) : STORE_DISK;
}

void store_rollback(struct store *s)
{
    rollup_clear(s->rollup);
    if (!sqlite3_get_autocommit(s->db))    /* SQLite rolls back by itself on some errors */
        run(s, ROLLBACK);
}

enum store_rc store_commit(struct store *s)
{
    enum store_rc rc = rc_of(rollup_flush(s->rollup));

    if (rc == STORE_OK)
        rc = run(s, COMMIT);
    if (rc == STORE_OK)
        rollup_clear(s->rollup);
    return rc;
}

enum store_rc store_probe(struct store *s, int64_t now_ms)
{
    sqlite3_bind_int64(s->st[PROBE], 1, now_ms);
    return store_in_place(s) ? run(s, PROBE) : STORE_DISK;
}

bool store_changed(struct store *s)
{
    int64_t before = s->data_version;

    if (sqlite3_step(s->st[DATA_VERSION]) == SQLITE_ROW)
        s->data_version = sqlite3_column_int64(s->st[DATA_VERSION], 0);
    sqlite3_reset(s->st[DATA_VERSION]);
    return s->data_version != before;
}

void store_changed_again(struct store *s)
{
    s->data_version = -1;
}

/* ---- JSON columns ---- */

static void add_count(struct buf *b, const char *name, int64_t count, bool *first)
{
    if (!count)
        return;
    buf_printf(b, "%s\"%s\":%lld", *first ? "" : ",", name, (long long)count);
    *first = false;
}

/* What a price depends on and has no column: the names are those of struct usage. */
static void add_extras(struct buf *b, const struct row_attempt *a)
{
    bool first = true;

    buf_add_char(b, '{');
    if (a->service_tier.n) {
        buf_add_str(b, "\"service_tier\":");
        buf_add_json(b, a->service_tier);
        first = false;
    }
    add_count(b, "input_audio", a->usage.input_audio, &first);
    add_count(b, "input_image", a->usage.input_image, &first);
    add_count(b, "output_audio", a->usage.output_audio, &first);
    add_count(b, "output_image", a->usage.output_image, &first);
    add_count(b, "searches", a->usage.searches, &first);
    buf_add_char(b, '}');
}

static void add_bound(struct buf *b, const struct row_attempt *a)
{
    bool first = false;

    buf_add_str(b, "{\"provider\":");
    buf_add_json(b, a->provider);
    buf_add_str(b, ",\"model\":");
    buf_add_json(b, a->model);
    buf_add_str(b, ",\"price_version\":");
    buf_add_json(b, a->price_version);
    add_count(b, "started_ms", a->started_ms, &first);
    add_count(b, "priced_ms", a->priced_ms, &first);
    add_count(b, "input", a->usage.input, &first);
    add_count(b, "cache_read", a->usage.cache_read, &first);
    add_count(b, "cache_write_5m", a->usage.cache_write_5m, &first);
    add_count(b, "cache_write_1h", a->usage.cache_write_1h, &first);
    add_count(b, "output", a->usage.output, &first);
    add_count(b, "reasoning", a->usage.reasoning, &first);
    buf_add_str(b, ",\"extras\":");
    add_extras(b, a);
    buf_add_char(b, '}');
}

static void read_extras(const json_t *extras, struct row_attempt *a)
{
    a->service_tier = json_span(extras, "service_tier");
    a->usage.input_audio = json_int(extras, "input_audio", 0);
    a->usage.input_image = json_int(extras, "input_image", 0);
    a->usage.output_audio = json_int(extras, "output_audio", 0);
    a->usage.output_image = json_int(extras, "output_image", 0);
    a->usage.searches = json_int(extras, "searches", 0);
}

/* The attempt of a bound; its spans point into the tree. */
static void read_bound(const json_t *bound, struct row_attempt *a)
{
    a->provider = json_span(bound, "provider");
    a->model = json_span(bound, "model");
    a->price_version = json_span(bound, "price_version");
    a->started_ms = json_int(bound, "started_ms", 0);
    a->priced_ms = json_int(bound, "priced_ms", 0);
    a->usage.input = json_int(bound, "input", 0);
    a->usage.cache_read = json_int(bound, "cache_read", 0);
    a->usage.cache_write_5m = json_int(bound, "cache_write_5m", 0);
    a->usage.cache_write_1h = json_int(bound, "cache_write_1h", 0);
    a->usage.output = json_int(bound, "output", 0);
    a->usage.reasoning = json_int(bound, "reasoning", 0);
    read_extras(json_object_get(bound, "extras"), a);
}

/* ---- rows ---- */

static void bind_time(sqlite3_stmt *st, int i, int64_t ms)
{
    if (ms < 0)
        sqlite3_bind_null(st, i);
    else
        sqlite3_bind_int64(st, i, ms);
}

static void bind_request(sqlite3_stmt *st, const struct row_request *q, bool ended)
{
    db_bind_span(st, 1, q->id);
    sqlite3_bind_int64(st, 2, q->at_ms);
    db_bind_span(st, 3, q->key_id);
    db_bind_span(st, 4, q->team);
    db_bind_span(st, 5, q->route);
    db_bind_span(st, 6, q->dialect);
    db_bind_span(st, 7, q->model_asked);
    db_bind_span(st, 8, ended ? q->model : SPAN_NONE);
    db_bind_span(st, 9, ended ? q->provider : SPAN_NONE);
    sqlite3_bind_int(st, 10, q->stream);
    if (ended)
        sqlite3_bind_int(st, 11, q->status);
    else
        sqlite3_bind_null(st, 11);
    sqlite3_bind_int(st, 12, ended ? q->attempts : 0);
    sqlite3_bind_int64(st, 13, ended ? q->cost_nano : 0);
    bind_time(st, 14, ended ? q->first_byte_ms : -1);
    bind_time(st, 15, ended ? q->total_ms : -1);
    db_bind_span(st, 16, q->tags.n ? q->tags : SPAN_LIT("{}"));
    db_bind_span(st, 17, q->session);
}

static enum store_rc put_request(struct store *s, const struct row_request *q, bool ended)
{
    enum store_rc rc;

    bind_request(s->st[PUT_REQUEST], q, ended);
    rc = run(s, PUT_REQUEST);
    if (rc == STORE_OK && ended && sqlite3_changes(s->db) && !rollup_add_request(s->rollup, q))
        rc = STORE_DISK;
    return rc;
}

/* The second group of a request. Its row is not there when its OPEN was refused by a failing disk: then it is made. */
static enum store_rc end_request(struct store *s, const struct row_request *q)
{
    enum store_rc rc;

    bind_request(s->st[END_REQUEST], q, true);
    rc = run(s, END_REQUEST);
    if (rc != STORE_OK)
        return rc;
    if (!sqlite3_changes(s->db))
        return put_request(s, q, true);
    return rollup_add_request(s->rollup, q) ? STORE_OK : STORE_DISK;
}

static enum store_rc put_attempt(struct store *s, const struct row_request *q, const struct row_attempt *a)
{
    sqlite3_stmt *st = s->st[PUT_ATTEMPT];
    enum store_rc rc;

    buf_clear(&s->text);
    add_extras(&s->text, a);
    if (!buf_ok(&s->text))
        return STORE_DISK;
    db_bind_span(st, 1, q->id);
    sqlite3_bind_int(st, 2, a->n);
    db_bind_span(st, 3, a->provider);
    db_bind_span(st, 4, a->model);
    db_bind_span(st, 5, a->model_returned);
    sqlite3_bind_int64(st, 6, a->started_ms);
    sqlite3_bind_int64(st, 7, a->ended_ms);
    sqlite3_bind_int(st, 8, a->status);
    db_bind_span(st, 9, a->verdict);
    sqlite3_bind_int64(st, 10, a->usage.input);
    sqlite3_bind_int64(st, 11, a->usage.cache_read);
    sqlite3_bind_int64(st, 12, a->usage.cache_write_5m);
    sqlite3_bind_int64(st, 13, a->usage.cache_write_1h);
    sqlite3_bind_int64(st, 14, a->usage.output);
    sqlite3_bind_int64(st, 15, a->usage.reasoning);
    db_bind_span(st, 16, buf_span(&s->text));
    db_bind_str(st, 17, row_usage_source_name(a->usage_source));
    db_bind_span(st, 18, a->price_version);
    sqlite3_bind_int64(st, 19, a->priced_ms);
    sqlite3_bind_int64(st, 20, a->cost_nano);
    sqlite3_bind_int(st, 21, a->cost_nano > a->reserved_nano);
    rc = run(s, PUT_ATTEMPT);
    if (rc == STORE_OK && sqlite3_changes(s->db) && !rollup_add_attempt(s->rollup, q, a))
        rc = STORE_DISK;
    return rc;
}

/* `bound` of an open one; closed_ms of one that is closed as soon as it is written, -1 of others. */
static enum store_rc put_reservation(struct store *s, const struct store_entry *e, const char *scope, const char *state,
                                     struct span bound, int64_t closed_ms)
{
    sqlite3_stmt *st = s->st[PUT_RESERVATION];

    db_bind_span(st, 1, e->request.id);
    sqlite3_bind_int(st, 2, e->attempt.n);
    db_bind_str(st, 3, scope);
    sqlite3_bind_int64(st, 4, e->amount_nano);
    sqlite3_bind_int64(st, 5, e->opened_ms);
    if (bound.p)
        db_bind_span(st, 6, bound);
    else
        sqlite3_bind_null(st, 6);
    db_bind_str(st, 7, state);
    bind_time(st, 8, closed_ms);
    return run(s, PUT_RESERVATION);
}

static enum store_rc open_entry(struct store *s, const struct store_entry *e)
{
    enum store_rc rc = put_request(s, &e->request, false);    /* nothing, when an earlier attempt has made it */

    buf_clear(&s->text);
    add_bound(&s->text, &e->attempt);
    if (rc == STORE_OK && !buf_ok(&s->text))
        rc = STORE_DISK;
    if (rc == STORE_OK)            /* the first row alone keeps the bound */
        rc = put_reservation(s, e, e->n_scopes ? e->scopes[0] : "none", "open", buf_span(&s->text), -1);
    for (int i = 1; i < e->n_scopes && rc == STORE_OK; i++)
        rc = put_reservation(s, e, e->scopes[i], "open", SPAN_NONE, -1);
    return rc;
}

static const char *closed_state(const struct row_attempt *a)
{
    const struct usage none = { 0 };

    if (a->usage_source == ROW_ESTIMATED)
        return "estimated";
    return a->cost_nano == 0 && memcmp(&a->usage, &none, sizeof none) == 0 ? "released" : "settled";
}

static enum store_rc close_reservation(struct store *s, const struct row_request *q, int n, const char *scope,
                                       const char *state, int64_t now_ms)
{
    sqlite3_stmt *st = s->st[CLOSE_RESERVATION];

    db_bind_span(st, 1, q->id);
    sqlite3_bind_int(st, 2, n);
    db_bind_str(st, 3, state);
    sqlite3_bind_int64(st, 4, now_ms);
    db_bind_str(st, 5, scope);
    return run(s, CLOSE_RESERVATION);
}

/* Those of an attempt, by the names that they can have: a whole key is one step, a part of one a loop of SQLite's. */
static enum store_rc close_reservations(struct store *s, const struct row_request *q, int n, const char *state,
                                        int64_t now_ms)
{
    enum store_rc rc = close_reservation(s, q, n, "none", state, now_ms);
    char scope[BUDGET_SCOPE_BYTES];

    if (rc != STORE_OK || sqlite3_changes(s->db))
        return rc;
    snprintf(scope, sizeof scope, "team:%.*s", SPAN_FMT(q->team));
    rc = close_reservation(s, q, n, scope, state, now_ms);
    if (rc != STORE_OK)
        return rc;
    snprintf(scope, sizeof scope, "key:%.*s", SPAN_FMT(q->key_id));
    return close_reservation(s, q, n, scope, state, now_ms);
}

static enum store_rc put_book(struct store *s, const struct store_entry *e)
{
    db_bind_str(s->st[PUT_BOOK], 1, e->digest);
    sqlite3_bind_int64(s->st[PUT_BOOK], 2, e->opened_ms);
    db_bind_span(s->st[PUT_BOOK], 3, e->book);
    return run(s, PUT_BOOK);
}

enum store_rc store_apply(struct store *s, const struct store_entry *e)
{
    enum store_rc rc;

    if (e->is_book)
        return put_book(s, e);
    switch (e->kind) {
    case LEDGER_OPEN:
        return open_entry(s, e);
    case LEDGER_SETTLE:
        rc = put_attempt(s, &e->request, &e->attempt);
        if (rc == STORE_OK)
            rc = close_reservations(s, &e->request, e->attempt.n, closed_state(&e->attempt), e->opened_ms);
        if (rc == STORE_OK && e->finish)
            rc = end_request(s, &e->request);
        return rc;
    case LEDGER_FINISH:
        return end_request(s, &e->request);
    case LEDGER_REQUEST_ONLY:
        return put_request(s, &e->request, true);
    }
    return STORE_BAD;
}

enum store_rc store_apply_whole(struct store *s, const struct store_entry *open, const struct store_entry *settle)
{
    const char *state = closed_state(&settle->attempt);
    enum store_rc rc = put_request(s, &settle->request, settle->finish);

    if (rc == STORE_OK)
        rc = put_reservation(s, open, open->n_scopes ? open->scopes[0] : "none", state, SPAN_NONE, settle->opened_ms);
    for (int i = 1; i < open->n_scopes && rc == STORE_OK; i++)
        rc = put_reservation(s, open, open->scopes[i], state, SPAN_NONE, settle->opened_ms);
    return rc == STORE_OK ? put_attempt(s, &settle->request, &settle->attempt) : rc;
}

/* ---- after a kill ---- */

/* What the rollup borrows dies with the row that is read next: sums go to the table at once. */
static enum store_rc flush_now(struct store *s)
{
    enum store_rc rc = rc_of(rollup_flush(s->rollup));

    rollup_clear(s->rollup);
    return rc;
}

/* An attempt that was under way: charged at its bound. `row`: n, amount, bound. */
static enum store_rc recover_attempt(struct store *s, const struct row_request *q, sqlite3_stmt *row, int64_t now_ms)
{
    struct span text = db_column_span(row, 2);
    json_t *bound = json_loadb(text.p, text.n, JSON_ALLOW_NUL, NULL);
    struct row_attempt a = { .n = sqlite3_column_int(row, 0), .usage_source = ROW_ESTIMATED, .verdict = SPAN_LIT("killed") };
    enum store_rc rc;

    read_bound(bound, &a);
    a.cost_nano = a.reserved_nano = sqlite3_column_int64(row, 1);
    a.ended_ms = now_ms > a.started_ms ? now_ms : a.started_ms;
    rc = put_attempt(s, q, &a);
    if (rc == STORE_OK)
        rc = flush_now(s);
    json_decref(bound);
    return rc != STORE_OK ? rc : close_reservations(s, q, a.n, "estimated", now_ms);
}

struct recovery {
    sqlite3_stmt *request, *open, *sums;
};

static enum store_rc recover_sums(const struct recovery *r, struct row_request *q)
{
    enum store_rc rc = STORE_DISK;

    db_bind_span(r->sums, 1, q->id);
    if (sqlite3_step(r->sums) == SQLITE_ROW) {
        q->attempts = sqlite3_column_int(r->sums, 0);
        q->cost_nano = sqlite3_column_int64(r->sums, 1);
        rc = STORE_OK;
    }
    sqlite3_reset(r->sums);
    return rc;
}

/* The request that r->request stands on: its open attempts, one by one, then itself, with what they cost. */
static enum store_rc recover_request(struct store *s, const struct recovery *r, int64_t now_ms, size_t *closed)
{
    struct row_request q = {
        .id = db_column_span(r->request, 0),    .at_ms = sqlite3_column_int64(r->request, 1),
        .key_id = db_column_span(r->request, 2), .team = db_column_span(r->request, 3),
        .route = db_column_span(r->request, 4), .tags = db_column_span(r->request, 5),
        .first_byte_ms = -1,                    .total_ms = -1,
    };
    enum store_rc rc = STORE_OK;
    int step = SQLITE_ROW;

    while (rc == STORE_OK && step == SQLITE_ROW) {
        db_bind_span(r->open, 1, q.id);
        step = sqlite3_step(r->open);
        rc = step == SQLITE_ROW ? recover_attempt(s, &q, r->open, now_ms) : rc_of(step);
        *closed += step == SQLITE_ROW && rc == STORE_OK;
        sqlite3_reset(r->open);
    }
    if (rc == STORE_OK)
        rc = recover_sums(r, &q);
    if (rc == STORE_OK)
        rc = end_request(s, &q);
    return rc == STORE_OK ? flush_now(s) : rc;
}

enum store_rc store_recover(struct store *s, int64_t now_ms, size_t *closed)
{
    /* One row at a time: each is changed so that it is not found again. The scopes of an attempt share one bound. */
    struct recovery r = {
        db_prepare(s->db, "SELECT id, at_ms, key_id, team, route, tags FROM requests INDEXED BY requests_under_way"
                   " WHERE status IS NULL ORDER BY id LIMIT 1", NULL),
        db_prepare(s->db, "SELECT n, amount_nano, bound FROM reservations WHERE request_id = ?1 AND state = 'open'"
                   " AND bound IS NOT NULL ORDER BY n LIMIT 1", NULL),
        db_prepare(s->db, "SELECT count(*), coalesce(sum(cost_nano), 0) FROM attempts WHERE request_id = ?1", NULL),
    };
    enum store_rc rc = r.request && r.open && r.sums ? store_begin(s) : STORE_DISK;
    int step = SQLITE_ROW;

    *closed = 0;
    while (rc == STORE_OK && step == SQLITE_ROW) {
        step = sqlite3_step(r.request);
        rc = step == SQLITE_ROW ? recover_request(s, &r, now_ms, closed) : rc_of(step);
        sqlite3_reset(r.request);
    }
    if (rc == STORE_OK)
        rc = store_commit(s);
    if (rc != STORE_OK)
        store_rollback(s);
    sqlite3_finalize(r.request);
    sqlite3_finalize(r.open);
    sqlite3_finalize(r.sums);
    return rc;
}

enum store_rc store_prune(struct store *s, int64_t now_ms)
{
    enum store_rc rc = store_begin(s);

    if (rc == STORE_OK)
        rc = rc_of(rollup_prune(s->db, now_ms));
    if (rc == STORE_OK)
        rc = store_commit(s);
    if (rc != STORE_OK)
        store_rollback(s);
    return rc;
}

/* ---- reading for memory ---- */

/* Room for one more in a growing array; false without memory, and then the array is as before. */
static bool array_grow(void **array, size_t n, size_t size)
{
    void *more;

    if (n & (n - 1))               /* not a power of two (nor 0): there is room */
        return true;
    more = realloc(*array, (n ? n * 2 : 1) * size);
    if (!more)
        return false;
    *array = more;
    return true;
}

bool store_load_keys(struct store *s, struct keys *keys)
{
    sqlite3_stmt *st = db_prepare(s->db, "SELECT id, team, name, digest, revoked_ms IS NOT NULL, strict FROM keys", NULL);
    struct key_row *rows = NULL;
    size_t n = 0;
    bool ok = st != NULL;
    int step = SQLITE_ROW;

    while (ok && (step = sqlite3_step(st)) == SQLITE_ROW) {
        struct key_row *k;

        ok = array_grow((void **)&rows, n, sizeof *rows);
        if (!ok || sqlite3_column_bytes(st, 3) != KEY_DIGEST_BYTES)
            continue;
        k = &rows[n++];
        db_column_copy(st, 0, k->info.id, sizeof k->info.id);
        db_column_copy(st, 1, k->info.team, sizeof k->info.team);
        db_column_copy(st, 2, k->info.name, sizeof k->info.name);
        memcpy(k->digest, sqlite3_column_blob(st, 3), KEY_DIGEST_BYTES);
        k->revoked = sqlite3_column_int(st, 4);
        k->info.strict = sqlite3_column_int(st, 5);
    }
    ok = ok && step == SQLITE_DONE && keys_publish(keys, rows, n);
    sqlite3_finalize(st);
    free(rows);
    return ok;
}

bool store_load_budgets(struct store *s, struct budgets *budgets)
{
    sqlite3_stmt *st = db_prepare(s->db, "SELECT scope, period, limit_nano FROM budgets", NULL);
    struct budget_row *rows = NULL;
    size_t n = 0;
    bool ok = st != NULL;
    int step = SQLITE_ROW;

    while (ok && (step = sqlite3_step(st)) == SQLITE_ROW) {
        ok = array_grow((void **)&rows, n, sizeof *rows);
        if (!ok || !budget_period_parse(db_column_span(st, 1), &rows[n].period))
            continue;
        db_column_copy(st, 0, rows[n].scope, sizeof rows[n].scope);
        rows[n++].limit_nano = sqlite3_column_int64(st, 2);
    }
    ok = ok && step == SQLITE_DONE && budgets_publish(budgets, rows, n);
    sqlite3_finalize(st);
    free(rows);
    return ok;
}

bool store_load_spent(struct store *s, struct budgets *budgets, int64_t now_ms)
{
    static const char *const grains[BUDGET_PERIODS] = { "day", "day", "month", "month" };
    sqlite3_stmt *st = db_prepare(s->db, "SELECT dimension || ':' || value, sum(cost_nano) FROM rollups WHERE grain = ?1"
                                  " AND dimension IN ('team', 'key') AND bucket >= ?2 AND bucket < ?3 AND value <> ''"
                                  " GROUP BY dimension, value", NULL);
    struct budget_spent *rows = NULL;
    size_t n = 0;
    bool ok = st != NULL;

    for (int p = 0; p < BUDGET_PERIODS && ok; p++) {
        int step = SQLITE_ROW;

        db_bind_str(st, 1, grains[p]);
        sqlite3_bind_int64(st, 2, budget_window_start((enum budget_period)p, now_ms));
        sqlite3_bind_int64(st, 3, budget_window_end((enum budget_period)p, now_ms));
        while (ok && (step = sqlite3_step(st)) == SQLITE_ROW) {
            ok = array_grow((void **)&rows, n, sizeof *rows);
            if (!ok)
                break;
            db_column_copy(st, 0, rows[n].scope, sizeof rows[n].scope);
            rows[n].period = (enum budget_period)p;
            rows[n++].spent_nano = sqlite3_column_int64(st, 1);
        }
        ok = ok && step == SQLITE_DONE;
        sqlite3_reset(st);
    }
    ok = ok && budgets_load(budgets, rows, n, now_ms);
    sqlite3_finalize(st);
    free(rows);
    return ok;
}
