/* fixture.h - what the ledger's tests share: a folder of their own, a small price book, requests by number.
 *
 * The book has one model, p/m: 1000 nano-dollars an input token, 2000 an output token. Worst case of a request here:
 * 100 + 50 tokens = 200,000 nano-dollars. Its usual cost: 10 + 5 tokens = 20,000. */
#ifndef TOLLGATE_GATEWAY_LEDGER_FIXTURE_H
#define TOLLGATE_GATEWAY_LEDGER_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "gateway/ledger/audit.h"
#include "gateway/ledger/db.h"
#include "gateway/ledger/ledger.h"
#include "gateway/server/digest.h"

#define WORST_NANO 200000
#define USUAL_NANO 20000
#define AT_MS INT64_C(1795000000000)    /* 2026-11-18T11:06:40Z */

static const char book_text[] =
    "{\"book\":\"test\",\"read_on\":\"2026-11-01\",\"models\":{\"p/m\":{\"context\":100000,\"versions\":[{\"from\":"
    "\"2026-01-01T00:00:00Z\",\"source\":\"a test\",\"input\":\"1\",\"output\":\"2\"}]}}}";

struct fixture {
    char dir[256], path[300];
    struct keys *keys;
    struct budgets *budgets;
    struct ledger *l;
    struct ledger_port *port;
    int fd;
    const char *vfs;
    size_t queue_max;
    bool durability_power;
    _Atomic int64_t now_ms;            /* the writer reads it too */
    char price_version[ROW_PRICE_VERSION_BYTES];
    uint64_t back[4096];               /* tickets that came home, in order */
    enum ledger_rc back_rc[4096];
    size_t n_back;
};

struct sample {                        /* one request and its memory */
    char id[ROW_ID_BYTES + 1];
    struct row_request q;
    struct row_attempt a;
    struct budget_hold hold;
};

static inline int64_t fixture_now(void *arg)
{
    return ((struct fixture *)arg)->now_ms;
}

static inline void fixture_open(struct fixture *f)
{
    struct ledger_options o = { .path = f->path, .book = { book_text, sizeof book_text - 1 }, .now_ms = fixture_now,
                                .now_arg = f, .vfs = f->vfs, .queue_max = f->queue_max,
                                .durability_power = f->durability_power };
    struct problems ps;
    uint8_t digest[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES + 1];

    problems_init(&ps);
    o.keys = f->keys = keys_new();
    o.budgets = f->budgets = budgets_new();
    f->l = ledger_open(&o, &ps);
    problems_print(&ps, stderr);
    assert_non_null(f->l);
    f->port = ledger_port_new(f->l, &f->fd);
    assert_non_null(f->port);
    problems_free(&ps);
    digest_sha256(o.book, digest);
    digest_hex(digest, hex);
    row_price_version(hex, SPAN_LIT("2026-01-01T00:00:00Z"), f->price_version);
}

static inline void fixture_close(struct fixture *f)
{
    ledger_port_free(f->port);
    ledger_close(f->l, 5000);
    keys_free(f->keys);
    budgets_free(f->budgets);
    f->port = NULL;
    f->l = NULL;
}

static inline int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    const char *tmp = getenv("TMPDIR");

    snprintf(f->dir, sizeof f->dir, "%s/ledger-XXXXXX", tmp ? tmp : P_tmpdir);
    if (!mkdtemp(f->dir))
        return -1;
    snprintf(f->path, sizeof f->path, "%s/t.db", f->dir);
    f->now_ms = AT_MS;
    *state = f;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    DIR *d = opendir(f->dir);
    struct dirent *e;

    while (d && (e = readdir(d)) != NULL)
        unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
    rmdir(f->dir);
    free(f);
    return 0;
}

/* Request `i`: distinct, in order, the same in every run. */
static inline void sample_init(const struct fixture *f, struct sample *s, uint64_t i)
{
    uint8_t random[10] = { 0 };

    for (int k = 0; k < 8; k++)
        random[9 - k] = (uint8_t)(i >> (8 * k));
    memset(s, 0, sizeof *s);
    row_new_id(f->now_ms, random, s->id);
    s->q = (struct row_request){ .id = { s->id, ROW_ID_BYTES }, .at_ms = f->now_ms, .key_id = SPAN_LIT("key_000000000001"),
        .team = SPAN_LIT("search"), .route = SPAN_LIT("default"), .dialect = SPAN_LIT("openai_chat"), .model_asked = SPAN_LIT("auto"),
        .first_byte_ms = -1, .total_ms = -1 };
    s->a = (struct row_attempt){ .n = 1, .provider = SPAN_LIT("p"), .model = SPAN_LIT("m"), .started_ms = f->now_ms,
        .priced_ms = f->now_ms, .usage = { .input = 100, .output = 50 }, .price_version = span_str(f->price_version),
        .cost_nano = WORST_NANO };
}

/* Reserves and submits OPEN; ticket 0: not asked for. */
static inline enum ledger_rc sample_open(struct fixture *f, struct sample *s, uint64_t ticket)
{
    struct ledger_entry e = { LEDGER_OPEN, ticket, &s->q, &s->a, &s->hold, false };
    struct budget_refusal no;

    assert_int_equal(budget_reserve(f->budgets, s->q.team, s->q.key_id, WORST_NANO, f->now_ms, &s->hold, &no), BUDGET_OK);
    return ledger_submit(f->l, f->port, &e);
}

/* Settles at the usual cost, and ends the request. */
static inline enum ledger_rc sample_settle(struct fixture *f, struct sample *s, uint64_t ticket)
{
    struct ledger_entry e = { LEDGER_SETTLE, ticket, &s->q, &s->a, NULL, true };

    s->a.usage = (struct usage){ .input = 10, .output = 5 };
    s->a.cost_nano = USUAL_NANO;
    s->a.reserved_nano = WORST_NANO;
    s->a.ended_ms = f->now_ms + 7;
    s->a.status = s->q.status = 200;
    s->a.verdict = SPAN_LIT("accepted");
    s->q.model = s->a.model;
    s->q.provider = s->a.provider;
    s->q.attempts = 1;
    s->q.cost_nano = USUAL_NANO;
    s->q.first_byte_ms = 3;
    s->q.total_ms = 7;
    budget_settle(f->budgets, &s->hold, USUAL_NANO);
    return ledger_submit(f->l, f->port, &e);
}

static inline void fixture_back(void *arg, uint64_t ticket, enum ledger_rc rc)
{
    struct fixture *f = arg;

    if (f->n_back < sizeof f->back / sizeof *f->back) {
        f->back[f->n_back] = ticket;
        f->back_rc[f->n_back] = rc;
    }
    f->n_back++;
}

/* Waits until `n` tickets have come home; fails after ten seconds. */
static inline void fixture_wait(struct fixture *f, size_t n)
{
    int64_t until = clock_mono_ms() + 10000;

    while (f->n_back < n && clock_mono_ms() < until) {
        struct pollfd p = { f->fd, POLLIN, 0 };

        if (poll(&p, 1, 100) > 0)
            ledger_port_drain(f->port, fixture_back, f);
    }
    assert_int_equal(f->n_back, n);
}

/* One number out of the file, by a connection of its own. */
static inline int64_t fixture_int(const struct fixture *f, const char *sql)
{
    sqlite3 *db = NULL;
    int64_t v;

    assert_int_equal(sqlite3_open_v2(f->path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    v = db_int(db, sql, INT64_MIN);
    sqlite3_close(db);
    return v;
}

static inline void fixture_exec(const struct fixture *f, const char *sql)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open_v2(f->path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    if (!db_exec(db, sql))
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}

/* What the audit says, "" when all agrees. */
static inline const char *fixture_audit(const struct fixture *f, struct audit_result *r)
{
    struct problems ps;
    bool read;

    problems_init(&ps);
    read = audit_run(f->path, f->now_ms, r, &ps);
    problems_print(&ps, stderr);
    problems_free(&ps);
    assert_true(read);
    return r->difference;
}

#endif
