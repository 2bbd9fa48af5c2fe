/* bundled.h - files compiled into the programs, by bundle.sh. */
#ifndef TOLLGATE_SCHEMAS_BUNDLED_H
#define TOLLGATE_SCHEMAS_BUNDLED_H

#include <stddef.h>

struct bundled_file {
    const char *name;    /* NULL ends a table */
    const char *text;    /* NUL behind it, not counted */
    size_t bytes;
};
extern const struct bundled_file bundled_schemas[];
extern const struct bundled_file bundled_ledger_sql[];    /* ledger-001.sql, ... in order */

#endif
