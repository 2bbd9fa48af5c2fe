/* ledger.h - the seam between the gateway and its book-keeping. Nine functions; SQLite behind them now.
 *
 * Workers submit entries; one writer thread owns the database and commits all that is queued in one transaction; each
 * entry that asked for it comes back as a ticket on the worker's own port. Two things are promised:
 *  - LEDGER_OK on a ticket: the rows survive kill -9 (and loss of power when durability_power is set);
 *  - a settlement that was submitted is not given up while the process lives: on a failing disk it waits, at its
 *    place in the queue, until the disk is well again. New spending is refused in the meantime (LEDGER_DOWN).
 *
 * The order of entries of one worker is kept.
 *
 * One attempt, from the worker's side:
 *   budget_reserve -> BUDGET_OK
 *   ledger_submit OPEN with a ticket; the upstream may be called at once
 *   ticket LEDGER_OK: bytes may go to the caller.  Ticket not OK, or submit not OK: cancel, 503 with Retry-After
 *   budget_settle, ledger_submit SETTLE (also after an OPEN that failed, if the upstream was called)
 * and after the last one SETTLE with `finish`, or FINISH alone: no entry of a request comes after it. A call that was refused before: REQUEST_ONLY. */
#ifndef TOLLGATE_GATEWAY_LEDGER_LEDGER_H
#define TOLLGATE_GATEWAY_LEDGER_LEDGER_H

#include "base/problem.h"
#include "gateway/ledger/budget.h"
#include "gateway/ledger/keys.h"
#include "gateway/ledger/row.h"

struct ledger;
struct ledger_port;

enum ledger_rc {
    LEDGER_OK,
    LEDGER_FULL,           /* too many entries wait: 503 with Retry-After. Only OPEN and REQUEST_ONLY get it */
    LEDGER_DOWN,           /* the disk fails (full, I/O error): 503 with Retry-After. Only OPEN and REQUEST_ONLY */
    LEDGER_NOMEM,
};

enum ledger_kind {
    LEDGER_OPEN,           /* request (its row is made by the first), attempt at its upper bound, hold */
    LEDGER_SETTLE,         /* request, attempt as it was; closes its reservations */
    LEDGER_FINISH,         /* request: its second group of fields */
    LEDGER_REQUEST_ONLY,   /* request, both groups: a call that spent nothing (attempts 0) */
};

struct ledger_entry {
    enum ledger_kind kind;
    uint64_t ticket;                       /* the caller's own number; 0: nobody waits for it */
    const struct row_request *request;     /* always */
    const struct row_attempt *attempt;     /* OPEN: the row to write if we die before it is settled, from
                                              price_worst_of: usage, service_tier, priced_ms whose price is exactly
                                              cost_nano = hold->amount_nano; ended_ms, status, verdict, usage_source
                                              are not read. SETTLE: the row as it was */
    const struct budget_hold *hold;        /* OPEN */
    bool finish;                           /* SETTLE: also what FINISH does, in the same transaction */
};

struct ledger_options {
    const char *path;              /* of the SQLite file; made when it is not there */
    bool durability_power;         /* each commit is synced. Otherwise a commit is in the hands of the kernel: it
                                      survives the process; loss of power may take the last ones, never the file */
    struct keys *keys;             /* published into: at open, and within a second of a change from outside */
    struct budgets *budgets;       /* likewise; loaded with what is spent at open */
    struct span book;              /* text of the price book in use; ledger_use_book for the next */
    int64_t (*now_ms)(void *);     /* wall clock; NULL: base/clock */
    void *now_arg;
    size_t queue_max;              /* entries waiting; 0: 8192 */
    const char *vfs;               /* a test's own file layer; NULL: the system's */
    int claim;                     /* of ledger_claim, taken over in any case; 0: ledger_open claims it */
};

/* Only one process may have a ledger open for serving: who takes it before starting anything else starts nothing in vain.
 * A descriptor, to be closed where ledger_open is not reached; -1 with a problem when another process has it. */
int ledger_claim(const char *path, struct problems *ps) __attribute__((warn_unused_result));

/* Before any other use of SQLite, with one thread only: it then counts no memory, which takes a lock and a sum in each
 * of its allocations, a sixth of the time of a small statement. A process that leaves this out works as well. */
void ledger_set_up_process(void);

/* Opens or makes the database, migrates it, closes what a killed process left open (each open reservation at its
 * upper bound, usage_source estimated), loads keys and budgets, starts the writer. NULL with a problem that says what to do. */
struct ledger *ledger_open(const struct ledger_options *o, struct problems *ps);
/* Commits what is queued, for at most grace_ms while the disk fails; stops the thread. All ports must be freed. */
void ledger_close(struct ledger *l, int64_t grace_ms);

/* The entry and all it points to are copied: the caller's memory may be reused at once. Any thread. */
enum ledger_rc ledger_submit(struct ledger *l, struct ledger_port *port, const struct ledger_entry *e)
    __attribute__((warn_unused_result));

/* No gathering of more. `all`: an answer waits for an OPEN that has no settlement yet. Else: the worker has come to the
 * end of a turn of its loop, settlements of which found their OPEN still waiting. Any thread. */
void ledger_hurry(struct ledger *l, bool all);

/* Keeps a price book (whole, by digest) before any row that names it; digest[65] is its SHA-256 in hex, for
 * row_price_version. Commits at the latest with the next entry submitted after it. */
enum ledger_rc ledger_use_book(struct ledger *l, struct span book, char digest[65])
    __attribute__((warn_unused_result));

struct ledger_stats {
    bool healthy;                  /* for /readyz: false while the disk fails */
    char error[160];               /* the last failure, "" when none */
    size_t queued;                 /* entries waiting now */
    uint64_t settled_at_once;      /* settlements that found their OPEN still waiting: both were written as one */
    uint64_t entries, commits, failures, refused_full, refused_down, checkpoints;
    uint64_t commit_us_sum, commit_us_max;
    uint64_t writer_cpu_us;        /* processor time of the writer thread since the start */
};
/* Takes a lock for a moment; any thread. */
void ledger_stats(struct ledger *l, struct ledger_stats *out);

/* A worker's port: a list of tickets and an eventfd that is readable while it is not empty. *fd belongs to the port.
 * NULL: no memory or no descriptor. */
struct ledger_port *ledger_port_new(struct ledger *l, int *fd);
/* Loop thread: calls `done` for each ticket that has come back; rc is LEDGER_OK or LEDGER_DOWN. `done` may submit. */
void ledger_port_drain(struct ledger_port *port, void (*done)(void *arg, uint64_t ticket, enum ledger_rc rc), void *arg);
/* Tickets still under way are forgotten; their entries are committed all the same. */
void ledger_port_free(struct ledger_port *port);

#endif
