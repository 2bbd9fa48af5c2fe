/* rollup.h - the sums of a commit batch, by hour, dimension, value and model, and how they reach the table.
 *
 * A batch of 64 attempts touches as many rows of `rollups` as there are different teams, keys, ... in it, not 64 times
 * five times three. Writer thread only. Text is borrowed from the entries until rollup_clear. */
#ifndef TOLLGATE_GATEWAY_LEDGER_ROLLUP_H
#define TOLLGATE_GATEWAY_LEDGER_ROLLUP_H

#include <sqlite3.h>

#include "gateway/ledger/row.h"

struct rollup;

struct rollup *rollup_new(sqlite3 *db);    /* prepares its statement; NULL: no memory, or not our tables */
void rollup_free(struct rollup *r);

/* False: no memory. `tags` is a JSON object of strings or empty. */
bool rollup_add_attempt(struct rollup *r, const struct row_request *q, const struct row_attempt *a);
bool rollup_add_request(struct rollup *r, const struct row_request *q);
/* Adds the sums to the hour, day and month rows; an SQLite result code. */
int rollup_flush(struct rollup *r);
void rollup_clear(struct rollup *r);

/* Rows of hours before this moment are dropped: hour buckets are kept for 30 days. */
#define ROLLUP_HOURS_MS (30 * INT64_C(86400000))
int rollup_prune(sqlite3 *db, int64_t now_ms);

#endif
