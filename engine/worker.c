/* worker.c - continuous batching: who computes what in the next step, and what became of the last one.
 *
 * Owns sequences, sampling and the prefix cache. Refuses to know where jobs come from. A turn of the thread:
 *
 *     take jobs from the queue -> let go of cancelled ones -> plan pieces -> step -> read the logits -> publish
 *
 *              submit            slot free          prompt done          end, length, failure
 *     loop ------------> WAITING ---------> PREFILL ------------> DECODE --------------------> loop
 *                            cancelled, too long, failure: from any state
 *
 * Invariants. (1) Between submit and the finished news a job is this thread's; the loop only sets its two flags.
 * (2) The lock guards the queue, the news and `stop`; it is never held while the model computes or a callback runs.
 * (3) A sequence holds exactly ids[0..fed). (4) Jobs in `running` stand in the order in which they came. */
#include "engine/worker.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "engine/prefix.h"

#define SLOTS_MAX 64
#define TEXT_BYTES_MAX (64u << 20)     /* of one answer's news; a context of a million tokens fits */
#define JOB_BYTES_MAX (32u << 20)      /* of what the owner puts into a job's arena */

enum phase { PHASE_WAITING, PHASE_PREFILL, PHASE_DECODE, PHASE_DONE };

/* Two texts, apart. */
struct texts {
    struct buf reasoning, content;
};

struct job_state {
    /* worker's thread */
    enum phase phase;
    struct lm_seq *seq;
    size_t fed;                        /* keeps (3) */
    size_t share;                      /* ids in the step that is planned; 0: not in it */
    size_t limit;                      /* of answer_tokens */
    size_t marks[2];                   /* prompt lengths at which a copy is kept, ascending; 0: none */
    struct answer answer;
    struct texts made;                 /* in this step */
    bool started;
    bool broken;                       /* text was lost for want of memory */
    /* under the lock */
    struct texts news;
    bool news_started, news_finished, listed;
    struct job *next;                  /* in the queue or in the list of news */
    /* loop's thread: the news that were collected */
    struct texts out;
    bool out_started, out_finished;
    struct job *out_next;
};

struct list {
    struct job *first, *last;
    size_t n;
};

struct worker {
    struct worker_config config;       /* constant */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    /* under the lock */
    struct list queue, news;
    bool stop, poked, notified;
    size_t n_running, n_cached;        /* copies for worker_load */
    /* worker's thread */
    struct job *running[SLOTS_MAX];
    size_t n;
    struct prefix_cache cache;
    struct sample_scratch scratch;
    float *logits;                     /* [slots][vocab] */
};

static void texts_init(struct texts *t)
{
    buf_init(&t->reasoning, TEXT_BYTES_MAX);
    buf_init(&t->content, TEXT_BYTES_MAX);
}

static void texts_free(struct texts *t)
{
    buf_free(&t->reasoning);
    buf_free(&t->content);
}

struct job *job_new(void)
{
    struct job *j = calloc(1, sizeof *j);
    struct job_state *s = calloc(1, sizeof *s);

    if (!j || !s) {
        free(j);
        free(s);
        return NULL;
    }
    arena_init(&j->arena, JOB_BYTES_MAX);
    texts_init(&s->made);
    texts_init(&s->news);
    texts_init(&s->out);
    j->state = s;
    return j;
}

void job_free(struct job *j)
{
    if (!j)
        return;
    assert(!j->state->seq && !j->state->listed);
    answer_free(&j->state->answer);
    texts_free(&j->state->made);
    texts_free(&j->state->news);
    texts_free(&j->state->out);
    free(j->state);
    ids_free(&j->ids);
    arena_free(&j->arena);
    free(j);
}

static void list_add(struct list *l, struct job *j)
{
    j->state->next = NULL;
    if (l->last)
        l->last->state->next = j;
    else
        l->first = j;
    l->last = j;
    l->n++;
}

static struct job *list_take(struct list *l)
{
    struct job *j = l->first;

    if (!j)
        return NULL;
    l->first = j->state->next;
    if (!l->first)
        l->last = NULL;
    l->n--;
    return j;
}

static bool is_cancelled(const struct job *j)
{
    return atomic_load_explicit(&j->cancelled, memory_order_relaxed);
}

static bool is_paused(const struct job *j)
{
    return atomic_load_explicit(&j->paused, memory_order_relaxed);
}

/* ---- the end of a job ---- */

static void finish(struct worker *w, struct job *j, enum worker_end end, const char *why)
{
    struct job_state *s = j->state;

    if (s->phase == PHASE_DONE)
        return;
    s->phase = PHASE_DONE;
    j->end = end;
    j->why = why;
    j->reasoning_tokens = s->answer.reasoning_tokens;
    if (!s->seq)
        return;
    if (end == WORKER_FAILED)
        w->config.lm.seq_free(w->config.lm.self, s->seq);
    else    /* a cancelled one too: who asks again finds it */
        prefix_keep(&w->cache, s->seq, j->ids.p, s->fed);
    s->seq = NULL;
}

/* ---- taking a job in ---- */

static enum tokenizer_rc prompt_ids(const struct worker *w, struct job *j)
{
    const struct worker_config *c = &w->config;

    if (j->text.p)
        return tokenizer_encode(c->tokenizer, j->text, j->with_added, &j->ids);
    return prompt_encode(c->tokenizer, &c->markers, j->messages, j->n_messages, j->mode, true, &j->ids);
}

static size_t prompt_bytes(const struct job *j)
{
    size_t bytes = j->text.n;

    for (size_t i = 0; i < j->n_messages; i++)
        bytes += j->messages[i].content.n;
    return bytes;
}

/* Encodes the prompt. A prompt far beyond the context is not counted to its end, so that no caller buys more work
 * than a context is worth; how far it is counted is for the message alone. */
static bool encode(struct worker *w, struct job *j)
{
    const size_t context = w->config.lm.context, cap = 4 * context;
    const size_t least = prompt_bytes(j) / tokenizer_longest_bytes(w->config.tokenizer);
    enum tokenizer_rc rc = TOKENIZER_FULL;

    ids_init(&j->ids, cap);
    if (least <= cap)
        rc = prompt_ids(w, j);
    j->prompt_tokens = rc == TOKENIZER_FULL && least > j->ids.n ? least : j->ids.n;
    j->prompt_cut = rc == TOKENIZER_FULL;
    if (rc == TOKENIZER_FULL || (rc == TOKENIZER_OK && j->ids.n >= context && !j->count_only))
        finish(w, j, WORKER_TOO_LONG, NULL);
    else if (rc == TOKENIZER_UTF8)
        finish(w, j, WORKER_FAILED, "the prompt is no valid UTF-8");
    else if (rc == TOKENIZER_MEMORY)
        finish(w, j, WORKER_FAILED, "no memory for the prompt");
    else if (j->ids.n == 0 && !j->count_only)
        finish(w, j, WORKER_FAILED, "the prompt is empty");
    else if (j->count_only)
        finish(w, j, WORKER_COUNTED, NULL);
    return j->state->phase != PHASE_DONE;
}

/* Copies are kept where another prompt is likely to part from this one: behind the system text, and at the end (the
 * same prompt again: a retry). What an answer leads to is kept when it is done. */
static void marks_set(const struct worker *w, struct job *j)
{
    size_t system = 0;

    while (system < j->prompt_tokens && j->ids.p[system] != w->config.markers.user)
        system++;
    if (system >= 2 * PREFIX_SHORTEST && system < j->prompt_tokens)
        j->state->marks[0] = system;
    j->state->marks[1] = j->prompt_tokens;
}

static void admit(struct worker *w, struct job *j)
{
    const struct lm *lm = &w->config.lm;
    struct job_state *s = j->state;
    const size_t room = lm->context;

    if (is_cancelled(j)) {
        finish(w, j, WORKER_CANCELLED, NULL);
        return;
    }
    if (!encode(w, j))
        return;
    answer_init(&s->answer, w->config.tokenizer, &w->config.markers, !j->text.p && j->mode == PROMPT_THINKING);
    for (size_t i = 0; i < j->n_stops; i++)
        answer_add_stop(&s->answer, j->stops[i]);    /* the owner has checked them */
    s->seq = prefix_find(&w->cache, j->ids.p, j->prompt_tokens, &s->fed);
    if (!s->seq)
        s->seq = lm->seq_new(lm->self);
    if (!s->seq) {
        finish(w, j, WORKER_FAILED, "no memory for another sequence");
        return;
    }
    j->cached_tokens = s->fed;
    s->limit = room - j->prompt_tokens;
    if (j->max_tokens && j->max_tokens < s->limit)
        s->limit = j->max_tokens;
    marks_set(w, j);
    s->phase = PHASE_PREFILL;
    s->started = true;
}

/* ---- one step ---- */

/* How far the next piece of a prompt may go: to the next mark, where a copy is to be made. */
static size_t piece_end(const struct job *j)
{
    for (size_t i = 0; i < 2; i++)
        if (j->state->marks[i] > j->state->fed)
            return j->state->marks[i];
    return j->prompt_tokens;
}

/* Decoding jobs one id each; prompts share the chunk evenly, so that a short one is not kept behind a long one. */
static size_t plan(struct worker *w, struct lm_piece *pieces)
{
    size_t left = w->config.prefill_chunk, prompts = 0, n = 0;

    for (size_t i = 0; i < w->n; i++)
        prompts += w->running[i]->state->phase == PHASE_PREFILL && !is_paused(w->running[i]);
    for (size_t i = 0; i < w->n; i++) {
        struct job *j = w->running[i];
        struct job_state *s = j->state;

        s->share = 0;
        if (s->phase == PHASE_DONE || is_paused(j))
            continue;
        if (s->phase == PHASE_DECODE) {
            s->share = 1;
        } else if (prompts) {    /* 0 only if one was unpaused just now: its turn comes */
            const size_t even = (left + prompts - 1) / prompts;

            prompts--;
            s->share = piece_end(j) - s->fed < even ? piece_end(j) - s->fed : even;
            left -= s->share;
        }
        if (s->share)
            pieces[n++] = (struct lm_piece){ s->seq, j->ids.p + s->fed, s->share,
                                             s->fed + s->share >= j->prompt_tokens };
    }
    return n;
}

static void answer_next(struct worker *w, struct job *j, const float *logits)
{
    struct job_state *s = j->state;
    const int32_t id = sample_next(logits, w->config.lm.vocab, &j->sampling, j->answer_tokens, &w->scratch);

    if (id < 0) {
        finish(w, j, WORKER_FAILED, "the model gave no finite number");
        return;
    }
    if (!ids_add(&j->ids, id)) {
        finish(w, j, WORKER_FAILED, "no memory for the answer");
        return;
    }
    s->phase = PHASE_DECODE;
    j->answer_tokens++;
    if (answer_feed(&s->answer, id, &s->made.reasoning, &s->made.content) == ANSWER_STOP) {
        finish(w, j, WORKER_STOP, NULL);
    } else if (j->answer_tokens == s->limit) {
        answer_end(&s->answer, &s->made.reasoning, &s->made.content);
        finish(w, j, WORKER_LENGTH, NULL);
    }
    s->broken |= !buf_ok(&s->made.reasoning) || !buf_ok(&s->made.content);
}

static void step(struct worker *w)
{
    struct lm_piece pieces[SLOTS_MAX];
    const size_t n = plan(w, pieces);
    const float *logits = w->logits;
    const char *why;

    if (n == 0)
        return;
    why = w->config.lm.step(w->config.lm.self, pieces, n, w->logits);
    for (size_t i = 0; i < w->n; i++) {
        struct job *j = w->running[i];
        struct job_state *s = j->state;

        if (s->share == 0)
            continue;
        if (why) {
            finish(w, j, WORKER_FAILED, why);
            continue;
        }
        s->fed += s->share;
        if (s->phase == PHASE_PREFILL && (s->fed == s->marks[0] || s->fed == s->marks[1]))
            prefix_keep_copy(&w->cache, s->seq, j->ids.p, s->fed);
        if (s->fed >= j->prompt_tokens) {
            answer_next(w, j, logits);
            logits += w->config.lm.vocab;
        }
    }
}

/* ---- to and from the loop ---- */

/* Moves what was made to the news. Under the lock. True when there is something. */
static bool publish_job(struct worker *w, struct job *j)
{
    struct job_state *s = j->state;
    const bool any = s->started || s->made.reasoning.n || s->made.content.n || s->phase == PHASE_DONE;

    if (!any)
        return false;
    s->news_started |= s->started;
    s->started = false;
    buf_add_span(&s->news.reasoning, buf_span(&s->made.reasoning));
    buf_add_span(&s->news.content, buf_span(&s->made.content));
    buf_clear(&s->made.reasoning);
    buf_clear(&s->made.content);
    s->broken |= !buf_ok(&s->news.reasoning) || !buf_ok(&s->news.content);
    if (s->phase == PHASE_DONE) {
        if (s->broken) {
            j->end = WORKER_FAILED;
            j->why = "no memory for the answer";
        }
        s->news_finished = true;
    }
    if (!s->listed)
        list_add(&w->news, j);
    s->listed = true;
    return true;
}

/* News of all running jobs, and of those that ended in the queue; the ended ones leave `running`. */
static void publish(struct worker *w)
{
    bool any = false, notify;
    size_t kept = 0;

    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < w->n; i++) {
        struct job *j = w->running[i];
        const bool done = j->state->phase == PHASE_DONE;    /* read before the loop may free it */

        any |= publish_job(w, j);
        if (!done)
            w->running[kept++] = j;
    }
    w->n = kept;
    w->n_running = kept;
    w->n_cached = w->cache.n;
    notify = any && !w->notified;
    w->notified |= any;
    pthread_mutex_unlock(&w->lock);
    if (notify)
        w->config.notify(w->config.notify_ctx);
}

/* Under the lock: is there anything to do? */
static bool has_work(const struct worker *w)
{
    if (w->stop || w->poked || (w->queue.first && w->n < w->config.slots))
        return true;
    for (size_t i = 0; i < w->n; i++)
        if (is_cancelled(w->running[i]) || !is_paused(w->running[i]))
            return true;
    return false;
}

/* Under the lock: cancelled jobs leave the queue without waiting for a slot. */
static bool queue_sweep(struct worker *w)
{
    struct list kept = { 0 };
    struct job *j;
    bool any = false;

    while ((j = list_take(&w->queue))) {
        if (!w->stop && !is_cancelled(j)) {
            list_add(&kept, j);
            continue;
        }
        finish(w, j, WORKER_CANCELLED, NULL);
        any |= publish_job(w, j);
    }
    w->queue = kept;
    return any;
}

/* Waits for work, takes jobs in. False when it is time to stop. */
static bool gather(struct worker *w)
{
    const size_t before = w->n;
    bool stop, notify;

    pthread_mutex_lock(&w->lock);
    while (!has_work(w))
        pthread_cond_wait(&w->wake, &w->lock);
    w->poked = false;
    notify = queue_sweep(w) && !w->notified;
    w->notified |= notify;
    while (!w->stop && w->queue.first && w->n < w->config.slots)
        w->running[w->n++] = list_take(&w->queue);
    w->n_running = w->n;
    stop = w->stop;
    pthread_mutex_unlock(&w->lock);
    if (notify)
        w->config.notify(w->config.notify_ctx);
    for (size_t i = before; i < w->n; i++)
        admit(w, w->running[i]);
    for (size_t i = 0; i < w->n; i++)
        if (stop || is_cancelled(w->running[i]) || w->running[i]->state->broken)
            finish(w, w->running[i], WORKER_CANCELLED, NULL);
    return !stop;
}

static void *worker_main(void *ctx)
{
    struct worker *w = ctx;
    bool more = true;

    while (more) {
        more = gather(w);
        step(w);
        publish(w);
    }
    return NULL;
}

static void worker_release(struct worker *w)
{
    prefix_free(&w->cache);
    sample_scratch_free(&w->scratch);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->wake);
    free(w->logits);
    free(w);
}

struct worker *worker_start(const struct worker_config *config)
{
    struct worker *w = calloc(1, sizeof *w);

    assert(config->slots >= 1 && config->slots <= SLOTS_MAX && config->prefill_chunk >= 1);
    if (!w)
        return NULL;
    w->config = *config;
    prefix_init(&w->cache, &w->config.lm, config->cache, config->cache_bytes);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    w->logits = calloc(config->slots * config->lm.vocab, sizeof *w->logits);
    if (!w->logits || pthread_create(&w->thread, NULL, worker_main, w) != 0) {
        worker_release(w);
        return NULL;
    }
    return w;
}

bool worker_submit(struct worker *w, struct job *j)
{
    bool fits;

    pthread_mutex_lock(&w->lock);
    /* Jobs that a slot is free for do not wait, so they do not count. */
    fits = w->queue.n + w->n_running < w->config.queue + w->config.slots;
    if (fits) {
        list_add(&w->queue, j);
        pthread_cond_signal(&w->wake);
    }
    pthread_mutex_unlock(&w->lock);
    return fits;
}

void worker_poke(struct worker *w)
{
    pthread_mutex_lock(&w->lock);
    w->poked = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

/* Under the lock: the news become the loop's. Texts change hands by swapping the buffers. */
static void news_take(struct job *j)
{
    struct job_state *s = j->state;
    struct texts empty = s->out;

    buf_clear(&empty.reasoning);
    buf_clear(&empty.content);
    s->out = s->news;
    s->news = empty;
    s->out_started = s->news_started;
    s->out_finished = s->news_finished;
    s->out_next = s->next;
    s->news_started = false;
    s->listed = false;
}

void worker_collect(struct worker *w, worker_fn fn, void *ctx)
{
    struct job *j, *next;

    pthread_mutex_lock(&w->lock);
    for (j = w->news.first; j; j = j->state->next)
        news_take(j);
    j = w->news.first;
    w->news = (struct list){ 0 };
    w->notified = false;
    pthread_mutex_unlock(&w->lock);
    for (; j; j = next) {
        const struct job_state *s = j->state;
        const struct worker_news news = { j, s->out_started, buf_span(&s->out.reasoning), buf_span(&s->out.content),
                                          s->out_finished };

        next = s->out_next;    /* the callback may free the job */
        fn(ctx, &news);
    }
}

void worker_stop(struct worker *w, worker_fn fn, void *ctx)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    worker_collect(w, fn, ctx);
    worker_release(w);
}

struct worker_load worker_load(struct worker *w)
{
    struct worker_load load;

    pthread_mutex_lock(&w->lock);
    load = (struct worker_load){ w->queue.n, w->n_running, w->n_cached };
    pthread_mutex_unlock(&w->lock);
    return load;
}
