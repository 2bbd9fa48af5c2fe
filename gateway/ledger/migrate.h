/* migrate.h - brings a ledger to this program's version: schemas/ledger-NNN.sql in order, all in one transaction.
 *
 * The version is SQLite's user_version, its application_id says whose file it is. Forward only: an older program does
 * not touch a newer ledger. Killed at any instant, the file is as before or as after. */
#ifndef TOLLGATE_GATEWAY_LEDGER_MIGRATE_H
#define TOLLGATE_GATEWAY_LEDGER_MIGRATE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

#define MIGRATE_APPLICATION_ID 0x746f6c6c    /* "toll" */

enum migrate_rc {
    MIGRATE_OK,
    MIGRATE_NEWER,       /* made by a newer tollgate */
    MIGRATE_OLDER,       /* and `write` is false */
    MIGRATE_FOREIGN,     /* another program's file */
    MIGRATE_FAILED,      /* disk, lock */
};

int migrate_latest(void);    /* the version of the last file bundled */
/* `text` gets a sentence for people when the result is not MIGRATE_OK. */
enum migrate_rc migrate_run(sqlite3 *db, bool write, char *text, size_t room);

#endif
