/* threads.c - the team. Work is handed out in chunks through one atomic word; nobody waits for a thread that got none.
 *
 * The word is (number of the job << 32 | chunks left). A chunk is claimed by counting the word down, which fails when
 * the job has changed meanwhile. So a thread that wakes late finds either chunks of the current job or nothing, and a
 * job's function is read only by those who hold a chunk of it: it is not over before they have said so. */
#include "engine/threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/* Looks before sleeping, about 20 us: longer than the serial parts between two loops of a step, far shorter than a
 * step, so that an idle engine burns nothing. */
#define SPINS 1000
#define LEFT 0xffffffffu

struct member {
    struct team *team;
    pthread_t thread;
    int index;
};

struct team {
    int n;
    struct member *members;         /* [n], 0 is the caller */
    pthread_mutex_t lock;
    pthread_cond_t wake;            /* a new job, or the end */
    int sleepers;                   /* under lock */
    _Atomic uint64_t word;
    atomic_uint done;               /* chunks of the current job that are finished */
    atomic_bool quit;
    team_fn fn;                     /* of the current job: written before `word` */
    void *arg;
    int pieces, grain;
};

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/* Works until no chunk is left; returns the number of the job that it found finished. */
static uint32_t work(struct team *t, int index)
{
    uint64_t word = atomic_load_explicit(&t->word, memory_order_acquire);

    for (;;) {
        int begin, end;

        if (!(word & LEFT))
            return (uint32_t)(word >> 32);
        if (!atomic_compare_exchange_weak_explicit(&t->word, &word, word - 1, memory_order_acq_rel,
                                                   memory_order_acquire))
            continue;
        begin = (int)((word & LEFT) - 1) * t->grain;
        end = t->pieces - begin < t->grain ? t->pieces : begin + t->grain;
        t->fn(t->arg, begin, end, index);
        atomic_fetch_add_explicit(&t->done, 1, memory_order_release);
        word = atomic_load_explicit(&t->word, memory_order_acquire);
    }
}

static bool has_news(struct team *t, uint32_t seen)
{
    return (uint32_t)(atomic_load_explicit(&t->word, memory_order_acquire) >> 32) != seen;
}

/* Returns when there is another job than `seen`. */
static void await_job(struct team *t, uint32_t seen)
{
    for (int i = 0; i < SPINS; i++) {
        if (has_news(t, seen))
            return;
        relax();
    }
    pthread_mutex_lock(&t->lock);
    t->sleepers++;
    while (!has_news(t, seen))
        pthread_cond_wait(&t->wake, &t->lock);
    t->sleepers--;
    pthread_mutex_unlock(&t->lock);
}

static void *member_main(void *arg)
{
    const struct member *me = arg;
    uint32_t seen = 0;

    /* The end is a job without chunks, and `quit` was set before it. Who wakes late for the job before finds this one in
     * work() and will hear of no other: so quit is looked at behind it. */
    while (!atomic_load(&me->team->quit)) {
        await_job(me->team, seen);
        seen = work(me->team, me->index);
    }
    return NULL;
}

/* Only the caller's thread changes the number of the job. */
static void publish(struct team *t, uint32_t chunks)
{
    const uint64_t number = (atomic_load_explicit(&t->word, memory_order_relaxed) >> 32) + 1;

    pthread_mutex_lock(&t->lock);
    atomic_store_explicit(&t->word, number << 32 | chunks, memory_order_release);
    if (t->sleepers)
        pthread_cond_broadcast(&t->wake);
    pthread_mutex_unlock(&t->lock);
}

struct team *team_new(int n)
{
    struct team *t = calloc(1, sizeof *t);

    if (!t)
        return NULL;
    t->members = calloc((size_t)n, sizeof *t->members);
    if (!t->members) {
        free(t);
        return NULL;
    }
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->wake, NULL);
    t->n = 1;
    for (int i = 1; i < n; i++) {
        t->members[i] = (struct member){ .team = t, .index = i };
        if (pthread_create(&t->members[i].thread, NULL, member_main, &t->members[i]) != 0) {
            team_free(t);
            return NULL;
        }
        t->n++;
    }
    return t;
}

void team_free(struct team *t)
{
    if (!t)
        return;
    atomic_store(&t->quit, true);
    publish(t, 0);
    for (int i = 1; i < t->n; i++)
        pthread_join(t->members[i].thread, NULL);
    pthread_cond_destroy(&t->wake);
    pthread_mutex_destroy(&t->lock);
    free(t->members);
    free(t);
}

int team_size(const struct team *t)
{
    return t->n;
}

void team_run(struct team *t, team_fn fn, void *arg, int n, int grain)
{
    const unsigned chunks = n > 0 ? (unsigned)((n + grain - 1) / grain) : 0;

    if (!chunks)
        return;
    if (t->n == 1 || chunks == 1) {
        fn(arg, 0, n, 0);
        return;
    }
    t->fn = fn;
    t->arg = arg;
    t->pieces = n;
    t->grain = grain;
    atomic_store_explicit(&t->done, 0, memory_order_relaxed);
    publish(t, chunks);
    work(t, 0);
    for (int i = 0; atomic_load_explicit(&t->done, memory_order_acquire) < chunks; i++) {
        if (i < SPINS)
            relax();
        else
            sched_yield();          /* more threads than free cores: let the one that holds a chunk run */
    }
}
