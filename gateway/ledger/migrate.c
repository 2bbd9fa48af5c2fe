/* migrate.c - runs the bundled SQL files that a ledger has not seen yet. Owns no connection. */
#include "gateway/ledger/migrate.h"

#include <stdio.h>

#include "schemas/bundled.h"

int migrate_latest(void)
{
    int n = 0;

    while (bundled_ledger_sql[n].name)
        n++;
    return n;
}

static bool read_int(sqlite3 *db, const char *sql, int *out)
{
    sqlite3_stmt *st = NULL;
    bool ok = sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW;

    if (ok)
        *out = sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    return ok;
}

/* Where the file stands; MIGRATE_OLDER when there is something to do. */
static enum migrate_rc look(sqlite3 *db, int *version, char *text, size_t room)
{
    int application = 0, tables = 0;

    if (!read_int(db, "PRAGMA user_version", version) || !read_int(db, "PRAGMA application_id", &application) ||
        !read_int(db, "SELECT count(*) FROM sqlite_schema", &tables)) {
        snprintf(text, room, "the ledger cannot be read: %s", sqlite3_errmsg(db));
        return MIGRATE_FAILED;
    }
    if (application != MIGRATE_APPLICATION_ID && (application || *version || tables)) {
        snprintf(text, room, "this is a database of another program, no ledger of tollgate; name another file in \"ledger\"");
        return MIGRATE_FOREIGN;
    }
    if (*version > migrate_latest()) {
        snprintf(text, room, "this ledger was made by a newer tollgate (ledger version %d, this program knows %d): use that "
                 "program, or a backup from before", *version, migrate_latest());
        return MIGRATE_NEWER;
    }
    if (*version < migrate_latest()) {
        snprintf(text, room, "this ledger is of an older version (%d, this program writes %d): `tollgate serve` upgrades it",
                 *version, migrate_latest());
        return MIGRATE_OLDER;
    }
    return MIGRATE_OK;
}

static bool upgrade(sqlite3 *db, int from)
{
    char pragma[64];

    for (int v = from; v < migrate_latest(); v++)
        if (sqlite3_exec(db, bundled_ledger_sql[v].text, NULL, NULL, NULL) != SQLITE_OK)
            return false;
    /* PRAGMA takes no parameters; both numbers are ours. They are part of the transaction. */
    snprintf(pragma, sizeof pragma, "PRAGMA user_version = %d", migrate_latest());
    if (sqlite3_exec(db, pragma, NULL, NULL, NULL) != SQLITE_OK)
        return false;
    snprintf(pragma, sizeof pragma, "PRAGMA application_id = %d", MIGRATE_APPLICATION_ID);
    return sqlite3_exec(db, pragma, NULL, NULL, NULL) == SQLITE_OK;
}

enum migrate_rc migrate_run(sqlite3 *db, bool write, char *text, size_t room)
{
    int version = 0;
    enum migrate_rc rc = look(db, &version, text, room);

    if (rc != MIGRATE_OLDER || !write)
        return rc;
    if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK) {
        snprintf(text, room, "the ledger cannot be upgraded now: %s", sqlite3_errmsg(db));
        return MIGRATE_FAILED;
    }
    rc = look(db, &version, text, room);    /* another process may have been faster */
    if (rc == MIGRATE_OLDER) {
        rc = MIGRATE_FAILED;
        if (upgrade(db, version) && sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK)
            return MIGRATE_OK;
        snprintf(text, room, "the ledger could not be upgraded and is as before: %s", sqlite3_errmsg(db));
    }
    sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}
