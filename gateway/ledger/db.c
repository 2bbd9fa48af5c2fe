/* db.c - opens the SQLite file with our settings; binds and reads columns.
 *
 * Owns no connection: each belongs to who opened it. Knows no table but through migrate.h. */
#include "gateway/ledger/db.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "gateway/ledger/migrate.h"

static bool set_up(sqlite3 *db, enum db_mode mode)
{
    sqlite3_busy_timeout(db, DB_BUSY_MS);
    /* secure_delete (on in Debian) would zero each freed cell; nothing secret is stored. The ledger turns automatic
     * checkpoints off for its own connection. The WAL is cut to 64 MiB when it starts anew. What a transaction changes
     * is written when it commits, not before: walfile.h rests on it. */
    return (mode == DB_READ || db_exec(db, "PRAGMA journal_mode = WAL")) && db_exec(db, "PRAGMA secure_delete = OFF") &&
           db_exec(db, "PRAGMA wal_autocheckpoint = 1000") && db_exec(db, "PRAGMA journal_size_limit = 67108864") &&
           db_exec(db, "PRAGMA temp_store = MEMORY") && db_exec(db, "PRAGMA trusted_schema = OFF") &&
           db_exec(db, "PRAGMA cache_spill = OFF") && (mode != DB_READ || db_exec(db, "PRAGMA query_only = ON"));
}

sqlite3 *db_open(const char *path, enum db_mode mode, const char *vfs, struct problems *ps)
{
    sqlite3 *db = NULL;
    char text[256];
    int rc, fd;

    ps->file = path;
    if (access(path, F_OK) != 0 && mode != DB_CREATE) {
        problem_add(ps, PROBLEM_ERROR, "", "`tollgate keys create` or `tollgate serve` makes it", "there is no ledger here");
        return NULL;
    }
    if (mode == DB_CREATE) {    /* so that it never exists with another mode; the -wal and -shm files take it over */
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0) {
            problem_error(ps, "", "the ledger cannot be made here: %s", strerror(errno));
            return NULL;
        }
        close(fd);
    }
    rc = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, vfs);
    if (rc == SQLITE_OK)
        sqlite3_extended_result_codes(db, 1);
    if (rc != SQLITE_OK || !set_up(db, mode)) {
        problem_error(ps, "", "the ledger cannot be opened: %s", db ? sqlite3_errmsg(db) : "no memory");
        goto fail;
    }
    if (migrate_run(db, mode != DB_READ, text, sizeof text) != MIGRATE_OK) {
        problem_error(ps, "", "%s", text);
        goto fail;
    }
    return db;
fail:
    sqlite3_close(db);
    return NULL;
}

void db_close(sqlite3 *db)
{
    int rc = sqlite3_close(db);    /* BUSY would mean that a statement was left: a bug of ours, and a leak */

    if (rc != SQLITE_OK)
        sqlite3_close_v2(db);
}

sqlite3_stmt *db_prepare(sqlite3 *db, const char *sql, struct problems *ps)
{
    sqlite3_stmt *st = NULL;

    if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL) == SQLITE_OK)
        return st;
    if (ps)
        problem_error(ps, "", "the ledger does not answer: %s", sqlite3_errmsg(db));
    return NULL;
}

bool db_exec(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

int64_t db_int(sqlite3 *db, const char *sql, int64_t absent)
{
    sqlite3_stmt *st = db_prepare(db, sql, NULL);
    int64_t v = absent;

    if (st && sqlite3_step(st) == SQLITE_ROW)
        v = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return v;
}

void db_bind_span(sqlite3_stmt *st, int i, struct span s)
{
    sqlite3_bind_text(st, i, s.p ? s.p : "", s.n > INT_MAX ? INT_MAX : (int)s.n, SQLITE_STATIC);
}

void db_bind_str(sqlite3_stmt *st, int i, const char *z)
{
    sqlite3_bind_text(st, i, z, -1, SQLITE_STATIC);
}

struct span db_column_span(sqlite3_stmt *st, int i)
{
    const unsigned char *p = sqlite3_column_text(st, i);

    return p ? (struct span){ (const char *)p, (size_t)sqlite3_column_bytes(st, i) } : (struct span){ "", 0 };
}

void db_column_copy(sqlite3_stmt *st, int i, char *out, size_t room)
{
    struct span s = span_first(db_column_span(st, i), room - 1);

    memcpy(out, s.p, s.n);
    out[s.n] = '\0';
}

/* ---- who serves ---- */

static int serve_file(const char *path, int flags)
{
    char name[PATH_MAX];
    int n = snprintf(name, sizeof name, "%s%s", path, DB_SERVE_SUFFIX);

    if (n < 0 || (size_t)n >= sizeof name) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return open(name, flags | O_CLOEXEC, 0600);
}

static void say_taken(struct problems *ps)
{
    problem_add(ps, PROBLEM_ERROR, "", "stop it, or give this one a ledger of its own", "another tollgate serves with this ledger");
}

int db_serve_lock(const char *path, int64_t now_ms, struct problems *ps)
{
    int fd = serve_file(path, O_RDWR | O_CREAT), tries = 10;
    const struct timespec pause = { 0, 20 * 1000000 };

    ps->file = path;
    if (fd < 0) {
        problem_error(ps, "", "the file %s beside the ledger cannot be made: %s", DB_SERVE_SUFFIX, strerror(errno));
        return -1;
    }
    /* Of the open file: the kernel drops it with the process, however that ends. An audit that asks whether somebody
     * serves has it for a moment: hence more than one try. */
    while (flock(fd, LOCK_EX | LOCK_NB) != 0 && --tries)
        nanosleep(&pause, NULL);
    if (!tries) {
        say_taken(ps);
        close(fd);
        return -1;
    }
    if (ftruncate(fd, 0) != 0 || dprintf(fd, "%lld %ld\n", (long long)now_ms, (long)getpid()) < 0)
        log_warn("ledger: %s%s cannot be written: %s", path, DB_SERVE_SUFFIX, strerror(errno));
    return fd;
}

bool db_lock_file(const char *path, int *fd, struct problems *ps)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0 || flock(*fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
        return true;
    say_taken(ps);
    return false;
}

int64_t db_serve_started(const char *path)
{
    int fd = serve_file(path, O_RDWR);
    int64_t since = INT64_MAX;
    char text[64];
    ssize_t n;

    if (fd < 0)
        return since;
    if (flock(fd, LOCK_SH | LOCK_NB) != 0) {
        n = read(fd, text, sizeof text - 1);
        text[n > 0 ? n : 0] = '\0';
        since = strtoll(text, NULL, 10);    /* 0 when it was not to be written: then all open ones are its own */
    }
    close(fd);
    return since;
}
