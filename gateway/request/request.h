/* request.h - THE SPINE: one request from its head to its last byte, driven through the steps of request.c. */
#ifndef TOLLGATE_GATEWAY_REQUEST_H
#define TOLLGATE_GATEWAY_REQUEST_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "gateway/dialects/dialect.h"
#include "gateway/gateway.h"
#include "gateway/request/endpoint.h"
#include "gateway/server/offload.h"
#include "gateway/upstream/attempt.h"
#include "policies/machine.h"

#define REQUEST_TAGS_MAX 16
#define REQUEST_ARENA_BYTES (16u << 20)    /* 100,000 values of a body become items of at most 150 bytes each */

/* How far it has come. Only request.c moves it. */
enum step {
    STEP_AUTH,          /* head read: key, endpoint */
    STEP_BODY,          /* waiting for the body */
    STEP_PARSE,
    STEP_PARSING,       /* a large body: a helper thread has it */
    STEP_DECIDE,
    STEP_DRIVE,         /* the machine has it: attempts, judging, settling */
    STEP_REPLY,         /* the reply is decided; bytes go out as the caller and the ledger allow */
    STEP_DONE,
};

/* What a helper thread does for it (server/offload.h): long work on large bodies and answers. */
enum away { AWAY_NOT, AWAY_PARSE, AWAY_WRITE, AWAY_READ, AWAY_JUDGE };
#define REQUEST_LARGE_BYTES 262144u    /* DESIGN section 4: above it, off the worker */

struct request {
    struct worker *worker;
    struct snapshot *snapshot;
    struct connection *conn;           /* NULL once the caller has gone, or has its whole reply */
    struct arena arena;
    struct request *next_dying;
    uint32_t slot;
    enum step step;
    int64_t at_ms;                     /* UTC */
    int64_t start_ms;                  /* monotonic, as all times below */
    char id[ROW_ID_BYTES + 1];

    /* From the head. */
    enum endpoint endpoint;
    const struct dialect *dialect;     /* the caller's; of the pages too, by their headers; never NULL */
    struct span argument;              /* of the path: a model's name, a request's id */
    bool path_streams;                 /* the path asks for a stream */
    bool strict;                       /* what would only be warned of is refused */
    const struct http1_head *head;     /* valid while conn is not NULL and the reply not ended */
    struct key_info key;
    bool has_key;
    struct feature_tag tags[REQUEST_TAGS_MAX];
    size_t n_tags;
    struct span tags_json, session;

    /* The body. */
    struct buf body;
    struct jscan *scan;                /* when it came in several pieces */
    size_t scanned;                    /* bytes of it: of a large body the rest is scanned where it is parsed */
    int64_t counted_bytes;             /* of gateway.bytes_in_flight */
    struct chat chat;
    struct features features;

    /* While a helper thread is at it: keeps (7). */
    struct offload_job job;
    enum away away;
    enum step next;                    /* AWAY_PARSE: where it goes on */
    bool quit;                         /* the request was to be cancelled meanwhile: `stop` */
    enum machine_stop stop;
    struct notes notes;                /* warnings that hold whoever answers */

    /* The decision. */
    struct view_model *view;           /* [plan.n_steps]: what the steps look at */
    size_t *view_index;                /* their places in the snapshot's view */
    struct plan plan;
    bool planned;
    struct machine machine;
    int64_t wake_ms;                   /* of the machine */

    /* The running attempt, and the sums of all. */
    struct attempt attempt;
    bool attempt_live;                 /* `attempt` holds something to free */
    bool told_tools;                   /* the machine knows that this answer calls tools */
    bool judged;                       /* `verdict` is what the step's checks say of its answer */
    struct verdict verdict;
    unsigned attempt_n;
    size_t attempt_step;
    struct budget_hold hold;
    struct price_worst_case worst;
    int64_t attempt_wall_ms, attempt_mono_ms;
    struct usage usage;                /* of the ended attempt, and its price */
    struct cost cost;
    enum row_usage_source usage_source;
    int attempts;                      /* called ones */
    unsigned key_tries;                /* of them, those whose key was refused and changed within an attempt: rows of their own */
    int64_t cost_nano;
    int opens_pending;                 /* reservations whose commit has not come back: no byte may leave */
    bool ledger_failed;
    bool row_finished;

    /* The reply. */
    struct fault fault;
    bool committed;                    /* the pieces of the running attempt may go out */
    bool accepted;
    bool head_sent;
    bool streamed;                     /* the head sent was a stream's */
    bool begun;                        /* events of an answer have gone out */
    bool ending;                       /* all that is left to send is in `out` */
    bool aborted;                      /* ... and then the connection is cut */
    struct buf out;                    /* ready to be sent, from out_at */
    struct buf behind;                 /* ... and then this */
    size_t out_at;
    int64_t first_byte_ms;             /* monotonic; -1: none yet */
    int64_t last_sent_ms;
    struct span answered_model, answered_provider;
    struct event timer;
};

extern const struct connection_handler request_connection_handler;

/* From the worker: a ticket of the request has come back. */
void request_on_ledger(struct request *r, enum ledger_rc rc);
/* ... and what it asked of the ledger's reader, borrowed for the call. */
void request_on_trace(struct request *r, enum reader_rc rc, struct span text);
void request_free(struct request *r, bool at_once);    /* at_once: the helpers have ended */
/* 503, try again in a moment. False. */
bool request_no_memory(struct request *r);
/* Counts bytes that the request holds among those of the process, until it is freed. False: they are too many, a fault is set. */
bool request_count_bytes(struct request *r, size_t n);
/* At the end of the process: settle what is open, free all. */
void request_abandon_all(struct worker *w);

#endif
