/* threads.c - the team. A job is published by a counter; pieces are taken from an atomic index. */
#include "engine/threads.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

/* About 20 us of looking before sleeping: longer than the serial parts between two loops of a step, far shorter
 * than a step, so that an idle engine burns nothing. */
#define SPINS 2000

struct member {
    struct team *team;
    pthread_t thread;
    int index;
};

struct team {
    int n;
    struct member *members;     /* [n], 0 is the caller */
    pthread_mutex_t lock;
    pthread_cond_t wake;        /* a new job, or the end */
    atomic_uint job;            /* counts jobs; a change is the signal */
    atomic_int next;            /* first piece that nobody has taken */
    atomic_int busy;            /* members (caller apart) that have not finished the job */
    atomic_bool quit;
    int sleepers;               /* under lock */
    team_fn fn;                 /* of the current job: written before `job` is raised */
    void *arg;
    int pieces, grain;
};

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static void work(struct team *t, int index)
{
    for (;;) {
        const int begin = atomic_fetch_add_explicit(&t->next, t->grain, memory_order_relaxed);
        int end;

        if (begin >= t->pieces)
            return;
        end = t->pieces - begin < t->grain ? t->pieces : begin + t->grain;
        t->fn(t->arg, begin, end, index);
    }
}

/* Returns when the job counter is no longer `seen`. */
static void await_job(struct team *t, unsigned seen)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&t->job, memory_order_acquire) != seen)
            return;
        relax();
    }
    pthread_mutex_lock(&t->lock);
    t->sleepers++;
    while (atomic_load_explicit(&t->job, memory_order_acquire) == seen)
        pthread_cond_wait(&t->wake, &t->lock);
    t->sleepers--;
    pthread_mutex_unlock(&t->lock);
}

static void *member_main(void *arg)
{
    const struct member *me = arg;
    struct team *t = me->team;
    unsigned seen = 0;

    for (;;) {
        await_job(t, seen);
        seen++;                 /* the next job starts only when all have finished this one */
        if (atomic_load(&t->quit))
            return NULL;
        work(t, me->index);
        atomic_fetch_sub_explicit(&t->busy, 1, memory_order_release);
    }
}

static void publish(struct team *t)
{
    pthread_mutex_lock(&t->lock);
    atomic_fetch_add_explicit(&t->job, 1, memory_order_release);
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
    publish(t);
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
    if (n <= 0)
        return;
    if (t->n == 1 || n <= grain) {
        fn(arg, 0, n, 0);
        return;
    }
    t->fn = fn;
    t->arg = arg;
    t->pieces = n;
    t->grain = grain;
    atomic_store_explicit(&t->next, 0, memory_order_relaxed);
    atomic_store_explicit(&t->busy, t->n - 1, memory_order_relaxed);
    publish(t);
    work(t, 0);
    while (atomic_load_explicit(&t->busy, memory_order_acquire) > 0)
        relax();
}
