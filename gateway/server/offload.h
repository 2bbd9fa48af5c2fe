/* offload.h - work that would hold a worker's loop for too long, done by helper threads: a large body is parsed, a large
 * request or answer is translated, an answer is judged by a schema that asks for much.
 *
 * A job is a function and its context. While it is out, all that it touches belongs to the helper that runs it; the
 * worker takes it back when `back` is called, in a turn of its own loop. Nothing is copied and nothing is allocated: the
 * job lies within what it is about, which must not be freed before it is back. There is no way to call a job back.
 *
 * Each thing has at most one job out, so that the queue is as long as there are things; who lets new ones in looks at
 * offload_full first. */
#ifndef TOLLGATE_GATEWAY_OFFLOAD_H
#define TOLLGATE_GATEWAY_OFFLOAD_H

#include <stdbool.h>
#include <stddef.h>

struct offload;
struct offload_port;

struct offload_job {
    void (*run)(void *ctx);          /* helper thread */
    void (*back)(void *ctx);         /* the worker's, from offload_port_drain. NULL: nothing comes back, `run` may free the job,
                                      * and it is run in any case, at the latest by offload_stop */
    void *ctx;
    struct offload_job *next;        /* private, as what follows */
    struct offload_port *port;
};

/* NULL: no memory or no thread. */
struct offload *offload_new(void);
/* When the workers have ended: what runs is waited for; what waits and would come back is never run, and nothing comes back
 * any more. */
void offload_stop(struct offload *o);
void offload_free(struct offload *o);    /* stops it too; after its ports */

/* Any thread: more jobs wait than are soon done. */
bool offload_full(const struct offload *o);
/* Any thread: jobs that wait or run. */
size_t offload_busy(const struct offload *o);

/* A worker's side. *fd is readable when something has come back: then drain. NULL: no memory or no descriptor. */
struct offload_port *offload_port_new(struct offload *o, int *fd);
void offload_port_free(struct offload_port *p);    /* NULL is legal; after offload_stop if anything was ever sent */
void offload_send(struct offload_port *p, struct offload_job *job);
void offload_port_drain(struct offload_port *p);

#endif
