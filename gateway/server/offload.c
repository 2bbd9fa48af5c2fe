/* offload.c - a queue, two threads, and a list of what is done for each worker. Knows nothing of what the jobs do. */
#include "gateway/server/offload.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"

#define THREADS 2           /* one that reads 32 MiB shall not keep a body of 300 KiB waiting */
#define WAITING_MAX 256     /* of some milliseconds each: who came now would wait for seconds */

struct offload_port {
    struct offload *offload;
    int fd;
    struct offload_job *done, **last_done;    /* offload->lock */
};

struct offload {
    pthread_mutex_t lock;   /* covers the lists; nothing is called under it */
    pthread_cond_t wake;
    struct offload_job *first, **last;
    bool stop;
    _Atomic size_t busy;    /* waiting and running */
    pthread_t threads[THREADS];
    int n_threads;
};

/* ---- helpers ---- */

/* The next job; NULL at the end. */
static struct offload_job *take(struct offload *o)
{
    struct offload_job *job;

    pthread_mutex_lock(&o->lock);
    while (!o->first && !o->stop)
        pthread_cond_wait(&o->wake, &o->lock);
    job = o->stop ? NULL : o->first;
    if (job) {
        o->first = job->next;
        if (!o->first)
            o->last = &o->first;
    }
    pthread_mutex_unlock(&o->lock);
    return job;
}

static void hand_back(struct offload *o, struct offload_job *job)
{
    struct offload_port *p = job->port;
    const uint64_t one = 1;
    bool first;

    job->next = NULL;
    pthread_mutex_lock(&o->lock);
    first = !p->done;
    *p->last_done = job;
    p->last_done = &job->next;
    atomic_fetch_sub_explicit(&o->busy, 1, memory_order_relaxed);
    pthread_mutex_unlock(&o->lock);
    /* Ports outlive the threads. Fails only when the counter is full. */
    if (first && write(p->fd, &one, sizeof one) < 0)
        log_error("offload: a worker cannot be woken: %s", strerror(errno));
}

static void *helper_main(void *arg)
{
    struct offload *o = arg;
    struct offload_job *job;

    pthread_setname_np(pthread_self(), "helper");
    while ((job = take(o)) != NULL) {
        const bool comes_back = job->back;

        job->run(job->ctx);
        if (comes_back)
            hand_back(o, job);
        else
            atomic_fetch_sub_explicit(&o->busy, 1, memory_order_relaxed);
    }
    return NULL;
}

/* ---- life ---- */

struct offload *offload_new(void)
{
    struct offload *o = calloc(1, sizeof *o);

    if (!o)
        return NULL;
    o->last = &o->first;
    pthread_mutex_init(&o->lock, NULL);
    pthread_cond_init(&o->wake, NULL);
    while (o->n_threads < THREADS && pthread_create(&o->threads[o->n_threads], NULL, helper_main, o) == 0)
        o->n_threads++;
    if (o->n_threads == THREADS)
        return o;
    offload_free(o);
    return NULL;
}

void offload_stop(struct offload *o)
{
    if (!o)
        return;
    pthread_mutex_lock(&o->lock);
    o->stop = true;
    pthread_cond_broadcast(&o->wake);
    pthread_mutex_unlock(&o->lock);
    for (int i = 0; i < o->n_threads; i++)
        pthread_join(o->threads[i], NULL);
    o->n_threads = 0;
    while (o->first) {
        struct offload_job *job = o->first;

        o->first = job->next;
        if (!job->back)
            job->run(job->ctx);
    }
    o->last = &o->first;
}

void offload_free(struct offload *o)
{
    if (!o)
        return;
    offload_stop(o);
    pthread_mutex_destroy(&o->lock);
    pthread_cond_destroy(&o->wake);
    free(o);
}

size_t offload_busy(const struct offload *o)
{
    return atomic_load_explicit(&o->busy, memory_order_relaxed);
}

bool offload_full(const struct offload *o)
{
    return offload_busy(o) >= WAITING_MAX;
}

/* ---- a worker's side ---- */

struct offload_port *offload_port_new(struct offload *o, int *fd)
{
    struct offload_port *p = calloc(1, sizeof *p);

    if (!p)
        return NULL;
    p->offload = o;
    p->last_done = &p->done;
    p->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (p->fd < 0) {
        free(p);
        return NULL;
    }
    *fd = p->fd;
    return p;
}

void offload_port_free(struct offload_port *p)
{
    if (!p)
        return;
    close(p->fd);
    free(p);
}

void offload_send(struct offload_port *p, struct offload_job *job)
{
    struct offload *o = p->offload;

    job->port = p;
    job->next = NULL;
    atomic_fetch_add_explicit(&o->busy, 1, memory_order_relaxed);
    pthread_mutex_lock(&o->lock);
    *o->last = job;
    o->last = &job->next;
    pthread_cond_signal(&o->wake);
    pthread_mutex_unlock(&o->lock);
}

void offload_port_drain(struct offload_port *p)
{
    struct offload_job *job, *next;
    uint64_t n;

    if (read(p->fd, &n, sizeof n) < 0 && errno != EAGAIN)
        log_error("offload: a port cannot be read: %s", strerror(errno));
    pthread_mutex_lock(&p->offload->lock);
    job = p->done;
    p->done = NULL;
    p->last_done = &p->done;
    pthread_mutex_unlock(&p->offload->lock);
    for (; job; job = next) {
        next = job->next;    /* `back` may send it again */
        job->back(job->ctx);
    }
}
