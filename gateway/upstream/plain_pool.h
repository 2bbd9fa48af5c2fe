/* plain_pool.h - sockets to plain upstreams: dialled, watched, and kept between calls; only fetch_plain.c includes it.
 *
 * A connection belongs to a call or is idle. Idle ones are watched: one that the peer closes, or that speaks out of
 * turn, is closed at once. Its read event stays registered from its first call to its end, so that a kept connection
 * costs no epoll_ctl a call. */
#ifndef TOLLGATE_GATEWAY_UPSTREAM_PLAIN_POOL_H
#define TOLLGATE_GATEWAY_UPSTREAM_PLAIN_POOL_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "gateway/upstream/fetch_target.h"
#include "gateway/upstream/list.h"

struct plain_call;
struct plain_pool;

/* An address that calls go to; a handful exist, made once and kept to the end. */
struct plain_origin {
    struct plain_origin *next;
    struct plain_pool *pool;
    char *name;
    struct list idle;              /* connections by `of_origin`, the last used last */
    struct list queue;             /* calls that wait for a connection */
    size_t connecting;
    struct event retry;            /* of a unix socket whose queue is full */
    bool retrying;
};

struct plain_conn {
    struct plain_origin *origin;
    struct plain_call *call;       /* NULL: idle */
    struct list of_origin, of_pool;
    struct event event;
    int fd;
    short watching;                /* EV_READ | EV_WRITE as registered */
    bool connecting;
    bool used;                     /* by an earlier call */
};

struct plain_pool {
    struct event_base *base;
    struct plain_origin *origins;
    struct list idle;              /* of all origins, the longest idle first */
    size_t n_idle, max_idle;
    uint64_t opened;
    void (*on_ready)(struct plain_conn *conn, short what);    /* of one that has a call */
    void (*on_retry)(struct plain_origin *origin);
};

void plain_pool_init(struct plain_pool *p, struct event_base *base, size_t max_idle);
void plain_pool_free(struct plain_pool *p);    /* no call has a connection any more */

/* NULL: no memory. */
struct plain_origin *plain_pool_origin(struct plain_pool *p, const struct fetch_target *t);
/* The idle connection that was used last; NULL when there is none. */
struct plain_conn *plain_pool_take(struct plain_origin *o);
/* A new connection into *out. 0: it is there; EINPROGRESS: on_ready tells, with EV_WRITE; EAGAIN: the queue of the unix
 * socket is full (plain_pool_retry); else why there is none. */
int plain_pool_dial(struct plain_origin *o, const struct fetch_address *a, struct plain_call *call,
                    struct plain_conn **out);
/* on_retry will be called in a few milliseconds. */
void plain_pool_retry(struct plain_origin *o);
/* Its call is done and leaves it to the next one; the longest idle one may be closed instead. */
void plain_pool_keep(struct plain_conn *conn);
void plain_pool_close(struct plain_conn *conn);
/* False: no memory. */
bool plain_conn_watch(struct plain_conn *conn, short wanted);

#endif
