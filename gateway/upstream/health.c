/* health.c - breakers, one a (provider, model).
 *
 *              5 failures in a row
 *   CLOSED ----------------------------> OPEN (5 s) ---- time passes ----> TRIAL
 *     ^                                   ^  ^                               |
 *     |  a success, from any state        |  +--- the trial's time is up ----+ health_begin: one takes it, the others
 *     +-----------------------------------+       or it failed (10 s, 20 s,    still read OPEN
 *                                                 ... 60 s)
 *
 * Does not decide who is asked: policies/ does, from what it reads here. */
#include "gateway/upstream/health.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/upstream/provider.h"

#define SAMPLE_SHARE 8

struct health_entry {
    struct health_entry *next;
    char *name;                    /* provider/model */
    pthread_mutex_t lock;          /* of what follows, but for the atomics */
    int failures;                  /* in a row */
    bool open;
    int64_t wait_ms;               /* of the present opening */
    int64_t until_ms;              /* of the present opening, or of the trial that runs */
    bool trying;
    atomic_bool well;              /* no failure, not open: a success has nothing to change */
    _Atomic int64_t retry_at_ms;   /* INT64_MIN: none */
    _Atomic int64_t first_byte_us; /* -1: no sample */
};

struct health {
    pthread_mutex_t lock;          /* of the list; entries stay */
    struct health_entry *entries;
};

struct health *health_new(void)
{
    struct health *h = calloc(1, sizeof(*h));

    if (h)
        pthread_mutex_init(&h->lock, NULL);
    return h;
}

void health_free(struct health *h)
{
    if (!h)
        return;
    while (h->entries) {
        struct health_entry *e = h->entries;

        h->entries = e->next;
        pthread_mutex_destroy(&e->lock);
        free(e->name);
        free(e);
    }
    pthread_mutex_destroy(&h->lock);
    free(h);
}

static bool entry_is(const struct health_entry *e, struct span provider, struct span model)
{
    const struct span name = span_str(e->name);

    return name.n == provider.n + 1 + model.n && span_starts(name, provider) && name.p[provider.n] == '/' &&
           span_ends(name, model);
}

static struct health_entry *entry_new(struct span provider, struct span model)
{
    struct health_entry *e = calloc(1, sizeof(*e));
    const size_t room = provider.n + model.n + 2;

    if (!e)
        return NULL;
    e->name = malloc(room);
    if (!e->name) {
        free(e);
        return NULL;
    }
    snprintf(e->name, room, "%.*s/%.*s", SPAN_FMT(provider), SPAN_FMT(model));
    pthread_mutex_init(&e->lock, NULL);
    atomic_init(&e->well, true);
    atomic_init(&e->retry_at_ms, INT64_MIN);
    atomic_init(&e->first_byte_us, -1);
    return e;
}

struct health_entry *health_get(struct health *h, struct span provider, struct span model)
{
    struct health_entry *e;

    pthread_mutex_lock(&h->lock);
    for (e = h->entries; e && !entry_is(e, provider, model);)
        e = e->next;
    if (!e) {
        e = entry_new(provider, model);
        if (e) {
            e->next = h->entries;
            h->entries = e;
        }
    }
    pthread_mutex_unlock(&h->lock);
    return e;
}

static enum health_state entry_state(const struct health_entry *e, int64_t now_ms)    /* under its lock */
{
    if (!e->open)
        return HEALTH_CLOSED;
    return now_ms < e->until_ms ? HEALTH_OPEN : HEALTH_TRIAL;
}

void health_look(struct health_entry *e, int64_t now_ms, struct health_view *out)
{
    const int64_t retry_at = atomic_load_explicit(&e->retry_at_ms, memory_order_relaxed);

    *out = (struct health_view){ .first_byte_us = atomic_load_explicit(&e->first_byte_us, memory_order_relaxed) };
    if (retry_at > now_ms)
        out->retry_ms = out->retry_after_ms = retry_at - now_ms;
    if (atomic_load_explicit(&e->well, memory_order_acquire))
        return;
    pthread_mutex_lock(&e->lock);
    out->state = entry_state(e, now_ms);
    out->failures = e->failures;
    if (out->state == HEALTH_OPEN && e->until_ms - now_ms > out->retry_ms)
        out->retry_ms = e->until_ms - now_ms;
    pthread_mutex_unlock(&e->lock);
}

bool health_begin(struct health_entry *e, int64_t now_ms)
{
    bool mine = false;

    if (atomic_load_explicit(&e->well, memory_order_acquire))
        return false;
    pthread_mutex_lock(&e->lock);
    if (entry_state(e, now_ms) == HEALTH_TRIAL) {
        mine = e->trying = true;
        e->until_ms = now_ms + e->wait_ms;    /* a trial that is never reported must not keep it shut */
    }
    pthread_mutex_unlock(&e->lock);
    return mine;
}

void health_success(struct health_entry *e, int64_t now_ms, int64_t first_byte_us)
{
    int64_t old = atomic_load_explicit(&e->first_byte_us, memory_order_relaxed);

    (void)now_ms;
    if (first_byte_us >= 0)    /* two workers at once may lose a sample, which an average can bear */
        atomic_store_explicit(&e->first_byte_us,
                              old < 0 ? first_byte_us : old + (first_byte_us - old) / SAMPLE_SHARE,
                              memory_order_relaxed);
    if (atomic_load_explicit(&e->well, memory_order_acquire))
        return;
    pthread_mutex_lock(&e->lock);
    e->failures = 0;
    e->open = e->trying = false;
    atomic_store_explicit(&e->well, true, memory_order_release);
    pthread_mutex_unlock(&e->lock);
}

void health_failure(struct health_entry *e, int64_t now_ms)
{
    pthread_mutex_lock(&e->lock);
    atomic_store_explicit(&e->well, false, memory_order_release);
    e->failures++;
    if (e->open && e->trying) {
        e->wait_ms = e->wait_ms * 2 < HEALTH_WAIT_MAX_MS ? e->wait_ms * 2 : HEALTH_WAIT_MAX_MS;
        e->until_ms = now_ms + e->wait_ms;
        e->trying = false;
    } else if (!e->open && e->failures >= HEALTH_OPENS_AFTER) {
        e->open = true;
        e->wait_ms = HEALTH_WAIT_MS;
        e->until_ms = now_ms + e->wait_ms;
    }
    /* Else it is below the mark, or a call that began before the opening, or went on without a trial: those say
     * nothing new and must not prolong the wait. */
    pthread_mutex_unlock(&e->lock);
}

void health_gave_up(struct health_entry *e, int64_t now_ms)
{
    if (atomic_load_explicit(&e->well, memory_order_acquire))
        return;
    pthread_mutex_lock(&e->lock);
    if (e->open && e->trying) {
        e->trying = false;
        e->until_ms = now_ms;
    }
    pthread_mutex_unlock(&e->lock);
}

void health_retry_after(struct health_entry *e, int64_t until_ms)
{
    int64_t old = atomic_load(&e->retry_at_ms);

    while (old < until_ms && !atomic_compare_exchange_weak(&e->retry_at_ms, &old, until_ms))
        ;
}
