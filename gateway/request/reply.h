/* reply.h - bytes to the caller: heads, held and streamed answers, failures, in the caller's dialect.
 *
 * Nothing leaves before the ledger has the reservation (opens_pending is 0), but for failures, which carry no answer.
 * What waits to be sent lies in r->out; the connection takes it in slices, so that a slow caller pins little. */
#ifndef TOLLGATE_GATEWAY_REPLY_H
#define TOLLGATE_GATEWAY_REPLY_H

#include "gateway/request/request.h"

/* Sends what may be sent now. Ends the reply when all of an ending one has gone: then r->conn is NULL. */
void reply_pump(struct request *r);
/* The running attempt's pieces may go out from now on. */
void reply_commit(struct request *r);
/* The answer is accepted: what is left of the attempt, then the end. */
void reply_accept(struct request *r);
/* r->fault instead of an answer; within a stream that has begun, as its error event. */
void reply_fault(struct request *r);
/* A small JSON or text document of our own. `fields` are further header lines. */
void reply_document(struct request *r, int status, const char *content_type, struct span body);
/* Keep-alive comments and the late head of a held stream. Returns when to be called again (monotonic ms). */
int64_t reply_tick(struct request *r, int64_t now_ms);

#endif
