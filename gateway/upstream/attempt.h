/* attempt.h - one try of one request against one model of one provider.
 *
 * Owns the fetch call and what arrives from start to finish: the answer gathered for judging and pricing, and the
 * pieces that may be passed on. Does not choose the upstream (policies/) and does not decide to retry (request.c);
 * it reports what happened, once. A key that the provider refuses is changed for its next one within the attempt, and
 * the try that it cost is reported too.
 * Loop thread. */
#ifndef TOLLGATE_GATEWAY_ATTEMPT_H
#define TOLLGATE_GATEWAY_ATTEMPT_H

#include <stdatomic.h>

#include "gateway/dialects/dialect.h"
#include "gateway/dialects/sse.h"
#include "gateway/snapshot.h"
#include "gateway/upstream/fetch.h"
#include "policies/failure.h"

struct attempt;

struct attempt_callbacks {
    /* More of a streamed answer has come: look at `answer` and `pieces`. */
    void (*on_progress)(void *ctx, struct attempt *a);
    /* A key was refused or has reached its limit (outcome.status), and the provider has another. False: let it end here. */
    bool (*on_next_key)(void *ctx, struct attempt *a);
    /* It is over; `outcome` is filled in. Once, last, never from inside attempt_start. */
    void (*on_end)(void *ctx, struct attempt *a);
};

enum attempt_pause { PAUSE_CALLER_SLOW = 1, PAUSE_LEDGER = 2 };    /* a set: reading goes on when it is empty */

struct attempt {
    const struct attempt_callbacks *callbacks;
    void *ctx;
    struct fetch *fetch;
    struct fetch_call *call;           /* NULL before the start and after the end */
    struct jscan *scan;                /* the worker's, used within one callback at a time */
    const struct snapshot_model *target;
    const struct chat *chat;
    struct fetch_spec spec;
    struct target to;
    const struct dialect *dialect;     /* of both sides */
    struct span model;                 /* upstream id */
    bool stream;
    int key;
    size_t keys_tried;
    unsigned pauses;

    struct draft answer;
    struct sse sse;
    struct buf pieces;                 /* of a stream: whole events, ready for the caller. Of a whole answer: its body */
    _Atomic int64_t *in_flight;        /* of the process, and its most: what this attempt holds is counted there */
    int64_t in_flight_most, counted;
    bool reached;                      /* the request may have reached the provider: it may bill */
    struct outcome outcome;
    int64_t first_byte_us, total_us;   /* -1: none */
};

struct attempt_spec {
    struct fetch *fetch;
    struct jscan *scan;                /* with limits for answers */
    const struct snapshot_model *target;
    const struct book_model *model;
    const struct chat *chat;
    int64_t max_tokens;                /* cap to send; 0: leave it to the host */
    bool keep_text;                    /* a check will want it */
    struct arena *arena;               /* the request's: outlives the attempt */
    _Atomic int64_t *in_flight;        /* bytes held in memory by all; NULL: nobody counts */
    int64_t in_flight_most;            /* 0: no limit */
    const struct attempt_callbacks *callbacks;
    void *ctx;
};

/* False: it could not even begin (no key, no memory); outcome.transport says TRANSPORT_LOCAL or status 401. Then no
 * callback comes. *a is handed over to attempt_free either way. */
bool attempt_start(struct attempt *a, const struct attempt_spec *spec);
/* Stops it without a callback. Idempotent; fine after its end. */
void attempt_cancel(struct attempt *a);
void attempt_free(struct attempt *a);
void attempt_pause(struct attempt *a, enum attempt_pause reason);
void attempt_resume(struct attempt *a, enum attempt_pause reason);

/* No usage was reported, yet the provider may have worked on it: it was reached and did not answer with an error. */
bool attempt_may_be_billed(const struct attempt *a);

#endif
