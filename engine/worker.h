/* worker.h - the scheduler of one model: a thread that owns all of its sequences and steps them together.
 *
 * Jobs come in from an event loop, text goes back to it. The loop thread creates a job, submits it, and gets it back
 * once, with `finished` set; in between it sees only what worker_collect hands out. Continuous batching: a job joins
 * at the next step and leaves when it is done; a step takes one id of every decoding job and a bounded share of
 * prompts, so that a long prompt does not hold up the others' answers. */
#ifndef TOLLGATE_ENGINE_WORKER_H
#define TOLLGATE_ENGINE_WORKER_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/buf.h"
#include "engine/answer.h"
#include "engine/lm.h"
#include "engine/sample.h"

struct worker;

struct worker_config {
    struct lm lm;
    const struct tokenizer *tokenizer;     /* borrowed, outlives the worker */
    struct prompt_markers markers;
    size_t slots;                          /* jobs computed at once, 1..64 */
    size_t queue;                          /* jobs waiting for a slot */
    size_t prefill_chunk;                  /* ids of prompts a step, of all jobs together */
    size_t cache;                          /* sequences kept for their prefixes; 0: none */
    size_t cache_bytes;                    /* of these together */
    void (*notify)(void *ctx);             /* something to collect; from the worker's thread, must not block */
    void *notify_ctx;
};

enum worker_end {
    WORKER_STOP,             /* end marker or stop string */
    WORKER_LENGTH,           /* max_tokens or the context is used up */
    WORKER_CANCELLED,
    WORKER_TOO_LONG,         /* the prompt leaves no room in the context: see prompt_tokens and prompt_cut */
    WORKER_COUNTED,          /* count_only: ids holds the prompt */
    WORKER_FAILED,           /* the model failed; `why` says how */
};

/* One answer to be made. Fields above the line are written by the loop before submit and not touched again; those
 * below are the worker's until the job comes back. */
struct job {
    struct arena arena;                    /* messages, stop strings and whatever the owner puts there */
    struct prompt_message *messages;
    size_t n_messages;
    struct span text;                      /* instead of messages (.p not NULL): encoded as it is, without markers */
    bool with_added;                       /* of text: added tokens are found in it */
    enum prompt_mode mode;
    bool count_only;                       /* encode, compute nothing */
    size_t max_tokens;                     /* 0: what the context has room for */
    struct sample_params sampling;
    struct span stops[ANSWER_STOPS_MAX];
    size_t n_stops;
    void *owner;                           /* the loop's own; the worker never looks */

    atomic_bool cancelled;                 /* loop sets; the worker lets go before the next step */
    atomic_bool paused;                    /* loop sets while the reader is slow: no steps meanwhile */
    /* ---- */
    struct ids ids;                        /* prompt and answer */
    size_t prompt_tokens;
    bool prompt_cut;                       /* it is so long that it was not counted whole: prompt_tokens or more */
    size_t cached_tokens;                  /* of the prompt, not computed again */
    size_t answer_tokens;                  /* sampled, an end marker included */
    size_t reasoning_tokens;               /* of these */
    enum worker_end end;
    const char *why;                       /* WORKER_FAILED: static text */
    struct job_state *state;
};

struct job *job_new(void);
void job_free(struct job *j);              /* NULL is legal; only while the job is the loop's */

/* What is new about one job, as the loop gets it. The two texts are only valid within the callback. */
struct worker_news {
    struct job *job;
    bool started;                          /* once: it has a slot, its prompt fits */
    struct span reasoning;
    struct span content;
    bool finished;                         /* the last news: the job is the loop's again */
};

/* NULL without memory or thread. */
struct worker *worker_start(const struct worker_config *config);
typedef void (*worker_fn)(void *ctx, const struct worker_news *news);

/* Cancels what runs, waits for the thread, hands out the last news, frees the worker. NULL is legal. */
void worker_stop(struct worker *w, worker_fn fn, void *ctx);

/* False when `queue` jobs are waiting already; the job stays the caller's. */
bool worker_submit(struct worker *w, struct job *j) __attribute__((warn_unused_result));
/* After setting or clearing `cancelled` or `paused`. */
void worker_poke(struct worker *w);
/* Loop thread: hands out all news, oldest job first. */
void worker_collect(struct worker *w, worker_fn fn, void *ctx);
/* Jobs waiting and running, and sequences in the cache; for health pages. */
struct worker_load { size_t waiting, running, cached; };
struct worker_load worker_load(struct worker *w);

#endif
