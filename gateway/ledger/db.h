/* db.h - one connection to the ledger's SQLite file, opened the way all of ours are, and binding without quoting.
 *
 * For the files of gateway/ledger only: nobody else includes sqlite3.h. Statements are constant text with
 * parameters; no value is ever printed into one. */
#ifndef TOLLGATE_GATEWAY_LEDGER_DB_H
#define TOLLGATE_GATEWAY_LEDGER_DB_H

#include <sqlite3.h>

#include "base/problem.h"
#include "base/span.h"

enum db_mode {
    DB_READ,       /* must be there and of our version; nothing is changed */
    DB_WRITE,      /* must be there; migrated when it is older */
    DB_CREATE,     /* made (mode 0600: it holds who spent what) when it is not there */
};

#define DB_BUSY_MS 5000    /* the longest wait for another process's transaction (a keys command, a checkpoint) */

/* NULL with one problem that says what to do. The handle is for one thread at a time. */
sqlite3 *db_open(const char *path, enum db_mode mode, const char *vfs, struct problems *ps);
void db_close(sqlite3 *db);    /* NULL is legal */

/* NULL: `ps` (may be NULL) says why. */
sqlite3_stmt *db_prepare(sqlite3 *db, const char *sql, struct problems *ps);
/* Runs constant SQL without results. */
bool db_exec(sqlite3 *db, const char *sql);
/* The single integer of a query; `absent` when there is no row or an error. */
int64_t db_int(sqlite3 *db, const char *sql, int64_t absent);

/* The bytes must stay until the statement is reset; SPAN_NONE is stored as ''. */
void db_bind_span(sqlite3_stmt *st, int i, struct span s);
void db_bind_str(sqlite3_stmt *st, int i, const char *z);
/* A column's text, valid until the next step; "" for NULL. */
struct span db_column_span(sqlite3_stmt *st, int i);
/* Copies, cut at room - 1. */
void db_column_copy(sqlite3_stmt *st, int i, char *out, size_t room);

/* Is a `tollgate serve` using this ledger? It holds a lock on the file beside it as long as it lives. */
#define DB_SERVE_SUFFIX "-serve"
/* Takes that lock, and writes who has it since when: a descriptor to close when done; -1 with a problem when another
 * process has it. */
int db_serve_lock(const char *path, int64_t now_ms, struct problems *ps);
/* The same of the ledger's own file, which must be there: this lock holds when the file beside it is removed under it. False,
 * with a problem: another process has it. *fd is to be closed after every connection to the file, whose own locks would go
 * with it; -1: there are no such locks here. */
bool db_lock_file(const char *path, int *fd, struct problems *ps);
/* When the process that serves now took the lock; INT64_MAX when none does. */
int64_t db_serve_started(const char *path);

#endif
