/* plain_pool.c - see plain_pool.h. Owns descriptors and their events; knows nothing of HTTP or of calls. */
#include "gateway/upstream/plain_pool.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUSY_SOCKET_RETRY_US 5000  /* connect(2) on a unix socket whose queue is full says EAGAIN and nothing after */

void plain_pool_init(struct plain_pool *p, struct event_base *base, size_t max_idle)
{
    *p = (struct plain_pool){ .base = base, .max_idle = max_idle };
    list_init(&p->idle);
}

void plain_pool_free(struct plain_pool *p)
{
    while (!list_empty(&p->idle))
        plain_pool_close(LIST_OF(p->idle.next, struct plain_conn, of_pool));
    while (p->origins) {
        struct plain_origin *o = p->origins;

        p->origins = o->next;
        event_del(&o->retry);
        free(o->name);
        free(o);
    }
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    struct plain_origin *o = arg;

    (void)fd;
    (void)what;
    o->retrying = false;
    o->pool->on_retry(o);
}

struct plain_origin *plain_pool_origin(struct plain_pool *p, const struct fetch_target *t)
{
    struct plain_origin *o;

    for (o = p->origins; o; o = o->next)
        if (strcmp(o->name, t->origin) == 0)
            return o;
    o = calloc(1, sizeof(*o));
    if (!o)
        return NULL;
    o->name = strdup(t->origin);
    if (!o->name) {
        free(o);
        return NULL;
    }
    o->pool = p;
    list_init(&o->idle);
    list_init(&o->queue);
    event_assign(&o->retry, p->base, -1, 0, on_retry, o);
    o->next = p->origins;
    p->origins = o;
    return o;
}

/* ---- connections ---- */

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct plain_conn *conn = arg;

    (void)fd;
    if (conn->call)
        conn->origin->pool->on_ready(conn, what);
    else
        plain_pool_close(conn);
}

bool plain_conn_watch(struct plain_conn *conn, short wanted)
{
    if (conn->watching == wanted)
        return true;
    if (conn->watching)
        event_del(&conn->event);
    conn->watching = 0;
    if (!wanted)
        return true;
    event_assign(&conn->event, conn->origin->pool->base, conn->fd, (short)(wanted | EV_PERSIST), on_event, conn);
    if (event_add(&conn->event, NULL))
        return false;
    conn->watching = wanted;
    return true;
}

static int dial(const struct fetch_address *a, int *fd)
{
    const int on = 1;
    int rc;

    *fd = socket(a->sa.family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0)
        return errno;
    if (a->sa.family != AF_UNIX) {    /* best effort, both */
        setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        setsockopt(*fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    }
    do
        rc = connect(*fd, &a->sa.any, a->n);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? errno : 0;
}

int plain_pool_dial(struct plain_origin *o, const struct fetch_address *a, struct plain_call *call,
                    struct plain_conn **out)
{
    struct plain_conn *conn = calloc(1, sizeof(*conn));
    int rc = ENOMEM;

    if (!conn)
        return rc;
    conn->origin = o;
    conn->call = call;
    list_init(&conn->of_origin);
    list_init(&conn->of_pool);
    rc = dial(a, &conn->fd);
    conn->connecting = rc == EINPROGRESS;
    if (conn->connecting && !plain_conn_watch(conn, EV_WRITE))
        rc = ENOMEM;
    if (rc && rc != EINPROGRESS) {
        if (conn->fd >= 0)
            close(conn->fd);
        free(conn);
        return rc;
    }
    if (conn->connecting)
        o->connecting++;
    o->pool->opened++;
    *out = conn;
    return rc;
}

void plain_pool_retry(struct plain_origin *o)
{
    const struct timeval soon = { 0, BUSY_SOCKET_RETRY_US };

    if (!o->retrying && event_add(&o->retry, &soon) == 0)
        o->retrying = true;
}

struct plain_conn *plain_pool_take(struct plain_origin *o)
{
    struct plain_conn *conn;

    if (list_empty(&o->idle))
        return NULL;
    conn = LIST_OF(o->idle.prev, struct plain_conn, of_origin);
    list_remove(&conn->of_origin);
    list_remove(&conn->of_pool);
    o->pool->n_idle--;
    return conn;
}

void plain_pool_keep(struct plain_conn *conn)
{
    struct plain_pool *p = conn->origin->pool;

    conn->call = NULL;
    conn->used = true;
    list_append(&conn->origin->idle, &conn->of_origin);
    list_append(&p->idle, &conn->of_pool);
    p->n_idle++;
    if (!plain_conn_watch(conn, EV_READ))
        plain_pool_close(conn);
    else if (p->n_idle > p->max_idle)
        plain_pool_close(LIST_OF(p->idle.next, struct plain_conn, of_pool));
}

void plain_pool_close(struct plain_conn *conn)
{
    if (!list_empty(&conn->of_pool))
        conn->origin->pool->n_idle--;
    list_remove(&conn->of_origin);
    list_remove(&conn->of_pool);
    if (conn->connecting)
        conn->origin->connecting--;
    if (conn->watching)
        event_del(&conn->event);
    close(conn->fd);
    free(conn);
}
