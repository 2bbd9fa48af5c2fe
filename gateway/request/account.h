/* account.h - the book-keeping of a request: what is held in budgets and ledger before a call, what it cost, what is written.
 *
 * Invariants (1), (2) and (4) of request.c are kept here: a reservation is queued before its call, each is settled once. */
#ifndef TOLLGATE_GATEWAY_ACCOUNT_H
#define TOLLGATE_GATEWAY_ACCOUNT_H

#include "gateway/request/request.h"

/* RESERVE: holds the worst case in every budget that applies, and queues its rows. The call may begin at once; the answer
 * waits for the commit. The event is what the machine must hear. */
struct machine_event account_reserve(struct request *r, const struct action *act);
/* What the ended attempt used and cost: r->usage, r->cost. Where the provider said nothing although it may bill, its bound. */
void account_price(struct request *r);
/* SETTLE: shrinks the reservation to the true cost and writes the row. `closing` is what the caller gets, if this is the last
 * word on the request: then its row is finished in the same transaction. */
void account_settle(struct request *r, const struct action *act, int closing_status);
/* Each call is a row (DESIGN section 8), also one whose key was refused while the provider has another. The machine is not
 * asked: to it this is one attempt. The budgets' hold goes on, so the next row begins when it was made. False: the next try may not be made. */
bool account_next_key(struct request *r);

/* Finishes the row of a call that no settling attempt closes: refused before it spent, or after the last was settled. Once. */
void account_finish(struct request *r, int status);
/* The same for what never reached the machine: every call for an answer that came with a valid key is a row (DESIGN section 8). */
void account_refused(struct request *r, int status);

#endif
