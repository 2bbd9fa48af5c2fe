/* store.h - the ledger's rows in SQLite: writing entries, mending after a kill, reading keys and budgets.
 *
 * One store is one connection, for one thread at a time (the writer). ledger.c decides when a transaction begins and
 * ends and what happens to an entry that could not be written. */
#ifndef TOLLGATE_GATEWAY_LEDGER_STORE_H
#define TOLLGATE_GATEWAY_LEDGER_STORE_H

#include "gateway/ledger/ledger.h"

struct store;

enum store_rc {
    STORE_OK,
    STORE_DISK,        /* the disk, a lock or memory: all of the transaction may be tried again later */
    STORE_BAD,         /* this entry can never be written (breaks a constraint): a bug of ours */
};

#define STORE_SCOPES_MAX 2

/* What ledger_submit copied: an entry without pointers into a request. */
struct store_entry {
    enum ledger_kind kind;
    bool finish, is_book;                           /* is_book: only `book` and its digest are set */
    struct row_request request;
    struct row_attempt attempt;
    int64_t opened_ms;                              /* OPEN; SETTLE: when its reservations are closed */
    char scopes[STORE_SCOPES_MAX][BUDGET_SCOPE_BYTES];
    int n_scopes;                                   /* 0 in OPEN: scope "none" */
    int64_t amount_nano;
    struct span book;
    char digest[65];
};

/* Opens, makes or migrates the file; sets how much a commit syncs. */
struct store *store_open(const char *path, bool durability_power, const char *vfs, struct problems *ps);
void store_close(struct store *s);

enum store_rc store_begin(struct store *s);
enum store_rc store_apply(struct store *s, const struct store_entry *e);
/* An OPEN of a first attempt and its SETTLE as one: the rows as both would leave them, each written once. */
enum store_rc store_apply_whole(struct store *s, const struct store_entry *open, const struct store_entry *settle);
enum store_rc store_commit(struct store *s);        /* rollups first, in the same transaction */
void store_rollback(struct store *s);
const char *store_error(struct store *s);           /* of the last failure */

/* Is the file still the one at its path? While it is not, nothing is written: store_begin and store_probe fail. */
bool store_in_place(struct store *s);
/* Writes a row that tells nothing, to learn whether the disk is well again. */
enum store_rc store_probe(struct store *s, int64_t now_ms);

/* Closes what a killed process left, in one transaction: each open reservation at its bound, with the attempt's row;
 * each request under way with the sums of its attempts and status 0. Before the writer starts. */
enum store_rc store_recover(struct store *s, int64_t now_ms, size_t *closed);

/* Has another connection changed the file since the last call? */
bool store_changed(struct store *s);
void store_changed_again(struct store *s);          /* the next store_changed says yes: what was read is not in use */
bool store_load_keys(struct store *s, struct keys *keys);
bool store_load_budgets(struct store *s, struct budgets *budgets);
/* Spent in the windows that hold now_ms, from the rollups: a window's edges are a bucket's edges. */
bool store_load_spent(struct store *s, struct budgets *budgets, int64_t now_ms);
enum store_rc store_prune(struct store *s, int64_t now_ms);

/* Pages in the write-ahead log after the last commit. */
int store_wal_pages(const struct store *s);

#endif
