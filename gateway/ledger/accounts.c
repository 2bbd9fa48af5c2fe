/* accounts.c - edits of keys, teams and budgets. Owns its connection; knows nothing of options and printing. */
#include "gateway/ledger/accounts.h"

#include <stdio.h>
#include <stdlib.h>

#include "gateway/ledger/db.h"
#include "gateway/server/digest.h"

struct accounts {
    sqlite3 *db;
    char error[200];
};

struct accounts *accounts_open(const char *path, bool create, struct problems *ps)
{
    struct accounts *a = calloc(1, sizeof *a);

    if (!a) {
        problem_error(ps, "", "there is no memory for the ledger");
        return NULL;
    }
    a->db = db_open(path, create ? DB_CREATE : DB_WRITE, NULL, ps);
    if (a->db)
        return a;
    free(a);
    return NULL;
}

void accounts_close(struct accounts *a)
{
    if (!a)
        return;
    db_close(a->db);
    free(a);
}

const char *accounts_error(struct accounts *a)
{
    return a->error;
}

static enum accounts_rc failed(struct accounts *a, const char *why)
{
    snprintf(a->error, sizeof a->error, "%s", why ? why : sqlite3_errmsg(a->db));
    return ACCOUNTS_FAILED;
}

/* Ends the transaction: what was done stays only when `rc` is OK. */
static enum accounts_rc end(struct accounts *a, enum accounts_rc rc)
{
    if (rc == ACCOUNTS_OK && !db_exec(a->db, "COMMIT"))
        rc = failed(a, NULL);
    if (rc != ACCOUNTS_OK)
        db_exec(a->db, "ROLLBACK");
    return rc;
}

/* Steps a statement without rows and drops it. */
static enum accounts_rc finish(struct accounts *a, sqlite3_stmt *st)
{
    int rc = st ? sqlite3_step(st) : SQLITE_ERROR;

    if (rc != SQLITE_DONE)
        failed(a, NULL);
    sqlite3_finalize(st);
    return rc == SQLITE_DONE ? ACCOUNTS_OK : ACCOUNTS_FAILED;
}

static enum accounts_rc add_team(struct accounts *a, struct span team, int64_t now_ms)
{
    sqlite3_stmt *st = db_prepare(a->db, "INSERT INTO teams (name, created_ms) VALUES (?1, ?2) ON CONFLICT DO NOTHING", NULL);

    if (st) {
        db_bind_span(st, 1, team);
        sqlite3_bind_int64(st, 2, now_ms);
    }
    return finish(a, st);
}

static void copy_name(char *out, size_t room, struct span s)
{
    snprintf(out, room, "%.*s", SPAN_FMT(s));
}

/* A new secret and its digest; the random bytes are wiped. */
static bool new_secret(char text[KEY_TEXT_BYTES + 1], uint8_t digest[KEY_DIGEST_BYTES])
{
    uint8_t random[32];
    bool ok = digest_random(random, sizeof random);

    if (ok) {
        key_make(random, text);
        key_digest((struct span){ text, KEY_TEXT_BYTES }, digest);
    }
    digest_wipe(random, sizeof random);
    return ok;
}

/* The key by id, or the one in use by team and name. */
static enum accounts_rc find(struct accounts *a, struct span id, struct span team, struct span name, struct key_info *info)
{
    sqlite3_stmt *st = db_prepare(a->db, id.n ? "SELECT id, team, name, revoked_ms FROM keys WHERE id = ?1"
                                              : "SELECT id, team, name, revoked_ms FROM keys WHERE team = ?1 AND name = ?2"
                                                " ORDER BY revoked_ms IS NOT NULL, revoked_ms DESC LIMIT 1", NULL);
    enum accounts_rc rc = ACCOUNTS_NOT_FOUND;
    int step;

    if (!st)
        return failed(a, NULL);
    db_bind_span(st, 1, id.n ? id : team);
    if (!id.n)
        db_bind_span(st, 2, name);
    step = sqlite3_step(st);
    if (step == SQLITE_ROW) {
        db_column_copy(st, 0, info->id, sizeof info->id);
        db_column_copy(st, 1, info->team, sizeof info->team);
        db_column_copy(st, 2, info->name, sizeof info->name);
        rc = sqlite3_column_type(st, 3) == SQLITE_NULL ? ACCOUNTS_OK : ACCOUNTS_REVOKED;
    } else if (step != SQLITE_DONE) {
        rc = failed(a, NULL);
    }
    sqlite3_finalize(st);
    return rc;
}

static enum accounts_rc insert_key(struct accounts *a, const struct key_info *info, const uint8_t digest[KEY_DIGEST_BYTES],
                                   int64_t now_ms)
{
    sqlite3_stmt *st = db_prepare(a->db, "INSERT INTO keys (id, team, name, digest, created_ms, strict) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                                  NULL);

    if (st) {
        db_bind_str(st, 1, info->id);
        db_bind_str(st, 2, info->team);
        db_bind_str(st, 3, info->name);
        sqlite3_bind_blob(st, 4, digest, KEY_DIGEST_BYTES, SQLITE_STATIC);
        sqlite3_bind_int64(st, 5, now_ms);
        sqlite3_bind_int(st, 6, info->strict);
    }
    return finish(a, st);
}

enum accounts_rc accounts_key_create(struct accounts *a, struct span team, struct span name, bool strict, int64_t now_ms,
                                     struct key_info *info, char text[KEY_TEXT_BYTES + 1])
{
    uint8_t digest[KEY_DIGEST_BYTES], random[9];
    enum accounts_rc rc;

    if (!key_name_ok(team) || !key_name_ok(name))
        return failed(a, "a team's and a key's name have 1 to 64 of A-Z a-z 0-9 . _ - and begin with a letter or digit");
    if (!new_secret(text, digest) || !digest_random(random, sizeof random))
        return failed(a, "the system has no random bytes to give");
    if (!db_exec(a->db, "BEGIN IMMEDIATE"))
        return failed(a, NULL);
    rc = find(a, SPAN_NONE, team, name, info);
    if (rc == ACCOUNTS_OK)
        return end(a, ACCOUNTS_EXISTS);
    if (rc == ACCOUNTS_FAILED)
        return end(a, rc);
    key_make_id(random, info->id);
    info->strict = strict;
    copy_name(info->team, sizeof info->team, team);
    copy_name(info->name, sizeof info->name, name);
    rc = add_team(a, team, now_ms);
    if (rc == ACCOUNTS_OK)
        rc = insert_key(a, info, digest, now_ms);
    return end(a, rc);
}

enum accounts_rc accounts_key_revoke(struct accounts *a, struct span id, struct span team, struct span name,
                                     int64_t now_ms, struct key_info *info)
{
    enum accounts_rc rc;

    if (!db_exec(a->db, "BEGIN IMMEDIATE"))
        return failed(a, NULL);
    rc = find(a, id, team, name, info);
    if (rc == ACCOUNTS_OK) {
        sqlite3_stmt *st = db_prepare(a->db, "UPDATE keys SET revoked_ms = ?2 WHERE id = ?1", NULL);

        if (st) {
            db_bind_str(st, 1, info->id);
            sqlite3_bind_int64(st, 2, now_ms);
        }
        rc = finish(a, st);
    }
    return end(a, rc);
}

enum accounts_rc accounts_key_rotate(struct accounts *a, struct span id, struct span team, struct span name,
                                     int64_t now_ms, struct key_info *info, char text[KEY_TEXT_BYTES + 1])
{
    uint8_t digest[KEY_DIGEST_BYTES];
    enum accounts_rc rc;

    if (!new_secret(text, digest))
        return failed(a, "the system has no random bytes to give");
    if (!db_exec(a->db, "BEGIN IMMEDIATE"))
        return failed(a, NULL);
    rc = find(a, id, team, name, info);
    if (rc == ACCOUNTS_OK) {
        sqlite3_stmt *st = db_prepare(a->db, "UPDATE keys SET digest = ?2, rotated_ms = ?3 WHERE id = ?1", NULL);

        if (st) {
            db_bind_str(st, 1, info->id);
            sqlite3_bind_blob(st, 2, digest, sizeof digest, SQLITE_STATIC);
            sqlite3_bind_int64(st, 3, now_ms);
        }
        rc = finish(a, st);
    }
    return end(a, rc);
}

bool accounts_keys_each(struct accounts *a, struct span team, void (*each)(void *arg, const struct accounts_key *k),
                        void *arg)
{
    sqlite3_stmt *st = db_prepare(a->db, "SELECT id, team, name, created_ms, rotated_ms, revoked_ms, strict FROM keys"
                                  " WHERE ?1 = '' OR team = ?1 ORDER BY revoked_ms IS NOT NULL, team, name, revoked_ms", NULL);
    int step = SQLITE_ERROR;

    if (st)
        db_bind_span(st, 1, team);
    while (st && (step = sqlite3_step(st)) == SQLITE_ROW) {
        struct accounts_key k = { .created_ms = sqlite3_column_int64(st, 3), .rotated_ms = sqlite3_column_int64(st, 4),
                                  .revoked_ms = sqlite3_column_int64(st, 5) };

        db_column_copy(st, 0, k.info.id, sizeof k.info.id);
        db_column_copy(st, 1, k.info.team, sizeof k.info.team);
        db_column_copy(st, 2, k.info.name, sizeof k.info.name);
        k.info.strict = sqlite3_column_int(st, 6);
        each(arg, &k);
    }
    if (step != SQLITE_DONE)
        failed(a, NULL);
    sqlite3_finalize(st);
    return step == SQLITE_DONE;
}

/* ---- budgets ---- */

/* A team is made by being named; a key must be there. */
static enum accounts_rc check_scope(struct accounts *a, struct span scope, int64_t now_ms)
{
    struct key_info info;

    if (span_starts(scope, SPAN_LIT("team:")))
        return add_team(a, span_skip(scope, 5), now_ms);
    return find(a, span_skip(scope, 4), SPAN_NONE, SPAN_NONE, &info);
}

enum accounts_rc accounts_budget_set(struct accounts *a, const char *scope, enum budget_period period, int64_t limit_nano,
                                     int64_t now_ms)
{
    enum accounts_rc rc;

    if (!db_exec(a->db, "BEGIN IMMEDIATE"))
        return failed(a, NULL);
    rc = check_scope(a, span_str(scope), now_ms);
    if (rc == ACCOUNTS_OK) {
        sqlite3_stmt *st = db_prepare(a->db, "INSERT INTO budgets (scope, period, limit_nano, zone, set_ms) VALUES"
                                      " (?1, ?2, ?3, 'UTC', ?4) ON CONFLICT DO UPDATE SET limit_nano = ?3, set_ms = ?4", NULL);

        if (st) {
            db_bind_str(st, 1, scope);
            db_bind_str(st, 2, budget_period_name(period));
            sqlite3_bind_int64(st, 3, limit_nano);
            sqlite3_bind_int64(st, 4, now_ms);
        }
        rc = finish(a, st);
    }
    return end(a, rc);
}

enum accounts_rc accounts_budget_remove(struct accounts *a, const char *scope, bool all, enum budget_period period)
{
    sqlite3_stmt *st = db_prepare(a->db, "DELETE FROM budgets WHERE scope = ?1 AND (?2 = '' OR period = ?2)", NULL);
    enum accounts_rc rc;

    if (st) {
        db_bind_str(st, 1, scope);
        db_bind_str(st, 2, all ? "" : budget_period_name(period));
    }
    rc = finish(a, st);
    return rc == ACCOUNTS_OK && !sqlite3_changes(a->db) ? ACCOUNTS_NOT_FOUND : rc;
}

/* What the rows say of one budget at `now_ms`. */
static bool fill_budget(sqlite3_stmt *spent, sqlite3_stmt *held, int64_t now_ms, struct accounts_budget *b)
{
    const char *colon = strchr(b->row.scope, ':');
    int64_t from = budget_window_start(b->row.period, now_ms), to = budget_window_end(b->row.period, now_ms);
    bool by_day = b->row.period == BUDGET_DAY || b->row.period == BUDGET_WEEK, ok;

    b->resets_ms = to;
    db_bind_str(spent, 1, by_day ? "day" : "month");
    db_bind_span(spent, 2, (struct span){ b->row.scope, (size_t)(colon - b->row.scope) });
    db_bind_str(spent, 3, colon + 1);
    sqlite3_bind_int64(spent, 4, from);
    sqlite3_bind_int64(spent, 5, to);
    db_bind_str(held, 1, b->row.scope);
    sqlite3_bind_int64(held, 2, from);
    ok = sqlite3_step(spent) == SQLITE_ROW && sqlite3_step(held) == SQLITE_ROW;
    b->spent_nano = ok ? sqlite3_column_int64(spent, 0) : 0;
    b->reserved_nano = ok ? sqlite3_column_int64(held, 0) : 0;
    sqlite3_reset(spent);
    sqlite3_reset(held);
    return ok;
}

bool accounts_budgets_each(struct accounts *a, int64_t now_ms, void (*each)(void *arg, const struct accounts_budget *b),
                           void *arg)
{
    sqlite3_stmt *st = db_prepare(a->db, "SELECT scope, period, limit_nano FROM budgets ORDER BY scope,"
                                  " instr('day week month total', period)", NULL);
    sqlite3_stmt *spent = db_prepare(a->db, "SELECT coalesce(sum(cost_nano), 0) FROM rollups WHERE grain = ?1 AND"
                                     " dimension = ?2 AND value = ?3 AND bucket >= ?4 AND bucket < ?5", NULL);
    /* Open ones belong to requests under way: a handful, found by their index. */
    sqlite3_stmt *held = db_prepare(a->db, "SELECT coalesce(sum(v.amount_nano), 0) FROM requests r JOIN reservations v ON"
                                    " v.request_id = r.id WHERE r.status IS NULL AND v.state = 'open' AND v.scope = ?1"
                                    " AND v.opened_ms >= ?2", NULL);
    bool ok = st && spent && held && db_exec(a->db, "BEGIN");    /* one moment for all rows */
    int step = SQLITE_ERROR;

    while (ok && (step = sqlite3_step(st)) == SQLITE_ROW) {
        struct accounts_budget b = { .row.limit_nano = sqlite3_column_int64(st, 2) };

        db_column_copy(st, 0, b.row.scope, sizeof b.row.scope);
        ok = budget_period_parse(db_column_span(st, 1), &b.row.period) && strchr(b.row.scope, ':') &&
             fill_budget(spent, held, now_ms, &b);
        if (ok)
            each(arg, &b);
    }
    ok = ok && step == SQLITE_DONE;
    if (!ok)
        failed(a, NULL);
    sqlite3_finalize(st);
    sqlite3_finalize(spent);
    sqlite3_finalize(held);
    db_exec(a->db, "COMMIT");
    return ok;
}
