/* attempt.h - one try of one request against one model of one provider.
 *
 * Owns the fetch call and what arrives from start to finish: the draft answer gathered for judging and pricing, and the bytes
 * that may be passed on, in the caller's dialect. Where caller and provider speak the same one, bytes pass; else the
 * caller's writer makes them from the draft's pieces. Does not choose the upstream (policies/) and does not decide to retry
 * (request.c); it reports what happened, once. A key that the provider refuses is changed for its next one within the
 * attempt, and
 * the try that it cost is reported too. Loop thread. */
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
    /* More of a streamed answer has come: look at `draft` and `pieces`. */
    void (*on_progress)(void *ctx, struct attempt *a);
    /* A key was refused or has reached its limit (outcome.status), and the provider has another. False: let it end here. */
    bool (*on_next_key)(void *ctx, struct attempt *a);
    /* More than ATTEMPT_LARGE_BYTES has come in one piece, a whole answer or an event of a stream, or the first of an answer to
     * so large a request, and to read it takes long. True: the owner has attempt_read called, on any thread, and then calls
     * attempt_finish on the loop's. False, or NULL: it is read here. */
    bool (*on_large)(void *ctx, struct attempt *a);
    /* It is over; `outcome` is filled in. Once, last, never from inside attempt_call. */
    void (*on_end)(void *ctx, struct attempt *a);
};

#define ATTEMPT_LARGE_BYTES 262144u

enum attempt_pause { PAUSE_CALLER_SLOW = 1, PAUSE_LEDGER = 2, PAUSE_READING = 4 };    /* a set: reading goes on when it is empty */

struct attempt {
    const struct attempt_callbacks *callbacks;
    void *ctx;
    struct fetch *fetch;
    struct fetch_call *call;           /* NULL before the start and after the end */
    struct jscan *scan;                /* the worker's, used within one callback at a time */
    const struct snapshot_model *target;
    const struct chat *chat;
    const struct dialect *wire;        /* what the provider is spoken to in */
    bool same;                         /* it is the caller's own: bytes pass */
    bool relays;                       /* ... on the way back too */
    struct target to;
    struct arena *arena;
    bool strict;
    struct reply_info reply;
    bool written;                      /* the provider's body is there */
    struct fetch_spec spec;
    struct buf request;                /* a translated body */
    struct span request_span;
    bool stream;
    int key;
    size_t keys_tried;
    unsigned pauses;

    struct notes notes;                /* what was left out on the way there */
    struct names names;                /* and the tools' names that were changed */
    struct draft draft;
    struct writer *writer;             /* of the caller's dialect; NULL when bytes pass */
    struct sse sse;
    struct buf whole;                  /* a whole answer in another dialect, or an error's body */
    struct buf pieces;                 /* of a stream: whole events, ready for the caller. Of a whole answer: its body */
    struct buf terminal;               /* a stream's closing event: goes out behind the row */
    bool relayed;                      /* an event has passed */
    struct buf late;                   /* bytes of a stream that attempt_read is to read */
    bool reading;                      /* ... and nobody else touches draft, sse, pieces, terminal meanwhile */
    bool read_well;                    /* ... as it turned out */
    bool read;                         /* a whole answer has been read there */
    bool opened;                       /* an event has been read */
    bool over;                         /* the fetch ended meanwhile */
    bool done;                         /* [DONE] has come: what follows is not read */
    _Atomic int64_t *in_flight;        /* of the process, and its most: what this attempt holds is counted there */
    int64_t in_flight_most, counted;
    bool reached;                      /* the request may have reached the provider: it may bill */
    struct fault fault;                /* why our own side could not write the request */
    enum transport arrived;            /* how the fetch ended, and then what its body was worth */
    bool closed, closed_well;          /* attempt_close has been called */
    struct outcome outcome;
    int64_t first_byte_us, total_us;   /* -1: none */
};

struct attempt_spec {
    struct fetch *fetch;
    struct jscan *scan;                /* with limits for answers */
    const struct snapshot_model *target;
    const struct book_model *model;
    const struct chat *chat;
    const struct reply_info *reply;    /* for the caller's writer; copied */
    int64_t max_tokens;                /* cap to send; 0: leave it to the host */
    bool keep_text;                    /* a check will want it */
    bool strict;                       /* refuse what would only be noted */
    struct arena *arena;               /* the request's: outlives the attempt */
    _Atomic int64_t *in_flight;        /* bytes held in memory by all; NULL: nobody counts */
    int64_t in_flight_most;            /* 0: no limit */
    const struct attempt_callbacks *callbacks;
    void *ctx;
};

/* The dialect in which this model of this provider is called for a chat, and the target as its writer sees it. NULL: it has none
 * for it (completions and embeddings are never translated). */
const struct dialect *attempt_target(const struct snapshot_model *t, const struct book_model *m, const struct chat *chat,
                                     struct target *to);

/* The start in three parts, since to write a large body takes long: from attempt_begin on *a is handed over to attempt_free;
 * attempt_write may run on any thread, and nobody else touches attempt, chat and arena meanwhile; attempt_call sends it.
 * False: it could not even begin; `outcome` says why: the request cannot be written (status 400, our own words), no key (401),
 * no memory (TRANSPORT_LOCAL). Then no callback comes. */
void attempt_begin(struct attempt *a, const struct attempt_spec *spec);
void attempt_write(struct attempt *a);
bool attempt_call(struct attempt *a);
/* After on_large. `scan` is the reading thread's own. A cancel between the two is fine, then without attempt_finish. */
void attempt_read(struct attempt *a, struct jscan *scan);
void attempt_finish(struct attempt *a);
/* All has come: `pieces` gets what is left of the answer and `terminal` its closing event. Any thread, like attempt_read. Done
 * once, however often it is called. False: no memory. */
bool attempt_close(struct attempt *a);
/* Stops it without a callback. Idempotent; fine after its end. */
void attempt_cancel(struct attempt *a);
void attempt_free(struct attempt *a);
void attempt_pause(struct attempt *a, enum attempt_pause reason);
void attempt_resume(struct attempt *a, enum attempt_pause reason);

/* No usage was reported, yet the provider may have worked on it: it was reached and did not answer with an error. */
bool attempt_may_be_billed(const struct attempt *a);

#endif
