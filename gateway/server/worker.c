/* worker.c - owns the loop and what hangs on it. What a request means is request.c's.
 *
 * News from other threads come through one eventfd: the worker looks at what has changed and takes it over at a turn
 * of its own loop, so that nothing it uses changes under it. */
#include "gateway/server/worker.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "gateway/request/request.h"
#include "gateway/server/address.h"
#include "gateway/server/digest.h"

#define SLOTS_MAX (1u << 20)

/* Answers come from providers that we chose, and logprobs of a long one are many values. */
const struct jscan_limits worker_answer_limits = { .depth = 64, .values = 4000000, .key_bytes = 1024, .number_bytes = 64 };

struct worker_listener {
    struct worker *worker;
    struct evconnlistener *ev;
    size_t index;              /* in the config: its certificate may be a newer one after a reload */
};

/* ---- accepting ---- */

static void on_accept(struct evconnlistener *ev, evutil_socket_t fd, struct sockaddr *sa, int len, void *arg)
{
    struct worker_listener *l = arg;
    struct worker *w = l->worker;

    (void)ev;
    (void)sa;
    (void)len;
    count_add(w, COUNT_CONNECTIONS, 1);
    connection_new(w->base, fd, w->snapshot->tls[l->index], &w->connections, &w->snapshot->connection_limits,
                   &request_connection_handler, w);
}

static void enable_again(evutil_socket_t fd, short what, void *arg)
{
    struct worker_listener *l = arg;

    (void)fd;
    (void)what;
    if (l->ev && !atomic_load(&l->worker->gw->draining))
        evconnlistener_enable(l->ev);
}

/* Out of descriptors: a loop that accepts again at once would spin. */
static void on_accept_error(struct evconnlistener *ev, void *arg)
{
    const struct timeval pause = { .tv_usec = 100000 };
    struct worker_listener *l = arg;

    log_warn("accept failed: %s; pausing 100 ms", strerror(EVUTIL_SOCKET_ERROR()));
    evconnlistener_disable(ev);
    event_base_once(l->worker->base, -1, EV_TIMEOUT, enable_again, l, &pause);
}

static bool listen_on(struct worker *w, size_t i, struct problems *ps)
{
    struct config_address *a = &w->snapshot->config->listeners[i].address;
    struct worker_listener *l = &w->listeners[i];

    *l = (struct worker_listener){ .worker = w, .index = i };
    l->ev = address_listen(w->base, a, LEV_OPT_REUSEABLE_PORT, on_accept, l);
    if (!l->ev) {
        problem_error(ps, "/listen", "cannot listen on %s:%u: %s", a->host, a->port, strerror(errno));
        return false;
    }
    evconnlistener_set_error_cb(l->ev, on_accept_error);
    w->n_listeners = i + 1;
    return true;
}

/* ---- news from other threads ---- */

static void stop_listening(struct worker *w)
{
    for (size_t i = 0; i < w->n_listeners; i++) {
        if (w->listeners[i].ev)
            evconnlistener_free(w->listeners[i].ev);
        w->listeners[i].ev = NULL;
    }
}

/* Connections without a request go at once; the others close behind their reply (connection.c looks at draining). */
static void drain_connections(struct worker *w)
{
    struct connection *c, *next;

    w->connections.draining = true;
    for (c = w->connections.first; c; c = next) {
        next = connection_next(c);
        connection_drain(c);
    }
}

static void take_snapshot(struct worker *w)
{
    struct snapshot *old = w->snapshot, *new;

    pthread_mutex_lock(&w->gw->snapshot_lock);
    new = w->gw->snapshot == old ? NULL : snapshot_ref(w->gw->snapshot);
    pthread_mutex_unlock(&w->gw->snapshot_lock);
    if (!new)
        return;
    w->snapshot = new;
    for (struct connection *c = w->connections.first; c; c = connection_next(c))
        connection_set_limits(c, &new->connection_limits);
    snapshot_unref(old);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct worker *w = arg;
    uint64_t n;

    (void)what;
    if (read(fd, &n, sizeof n) < 0 && errno != EAGAIN)
        return;
    take_snapshot(w);
    if (atomic_load(&w->gw->draining) && !w->connections.draining) {
        stop_listening(w);
        drain_connections(w);
    }
    if (atomic_load(&w->stop))
        event_base_loopbreak(w->base);
}

void worker_wake(struct worker *w)
{
    const uint64_t one = 1;

    if (write(w->wake_fd, &one, sizeof one) < 0)
        return;    /* the counter is full: the worker has news already */
}

static struct request *request_of(const struct worker *w, uint64_t ticket)
{
    const uint32_t slot = (uint32_t)(ticket & 0xffffffffu) - 1;

    return slot < w->n_slots && w->slots[slot].generation == (uint32_t)(ticket >> 32) ? w->slots[slot].request : NULL;
}

static void on_ticket(void *arg, uint64_t ticket, enum ledger_rc rc)
{
    struct request *r = request_of(arg, ticket);

    if (r)
        request_on_ledger(r, rc);
}

static void on_port(evutil_socket_t fd, short what, void *arg)
{
    struct worker *w = arg;

    (void)fd;
    (void)what;
    ledger_port_drain(w->port, on_ticket, w);
}

static void on_trace(void *arg, uint64_t ticket, enum reader_rc rc, struct span text)
{
    struct request *r = request_of(arg, ticket);

    if (r)
        request_on_trace(r, rc, text);
}

static void on_reader(evutil_socket_t fd, short what, void *arg)
{
    struct worker *w = arg;

    (void)fd;
    (void)what;
    reader_port_drain(w->reader_port, on_trace, w);
}

static void on_offload(evutil_socket_t fd, short what, void *arg)
{
    struct worker *w = arg;

    (void)fd;
    (void)what;
    offload_port_drain(w->offload_port);
}

static void on_settled(evutil_socket_t fd, short what, void *arg)
{
    struct worker *w = arg;

    (void)fd;
    (void)what;
    ledger_hurry(w->gw->ledger, false);
}

void worker_settles(struct worker *w)
{
    event_active(w->settled_event, EV_TIMEOUT, 0);    /* nothing when it is active already */
}

/* ---- requests of this worker ---- */

bool worker_slot_take(struct worker *w, struct request *r, uint32_t *slot)
{
    if (w->first_free == UINT32_MAX) {
        const uint32_t more = w->n_slots ? w->n_slots * 2 : 64;
        struct request_slot *slots = more <= SLOTS_MAX ? realloc(w->slots, more * sizeof *slots) : NULL;

        if (!slots)
            return false;
        for (uint32_t i = w->n_slots; i < more; i++)
            slots[i] = (struct request_slot){ .next_free = i + 1 < more ? i + 1 : UINT32_MAX };
        w->first_free = w->n_slots;
        w->slots = slots;
        w->n_slots = more;
    }
    *slot = w->first_free;
    w->first_free = w->slots[*slot].next_free;
    w->slots[*slot].request = r;
    w->slots[*slot].generation++;
    atomic_fetch_add_explicit(&w->n_requests, 1, memory_order_relaxed);
    return true;
}

void worker_slot_give(struct worker *w, uint32_t slot)
{
    w->slots[slot].request = NULL;
    w->slots[slot].next_free = w->first_free;
    w->first_free = slot;
    atomic_fetch_sub_explicit(&w->n_requests, 1, memory_order_relaxed);
}

uint64_t worker_ticket(struct worker *w, uint32_t slot)
{
    return (uint64_t)w->slots[slot].generation << 32 | (slot + 1);
}

void worker_bury(struct worker *w, struct request *r)
{
    r->next_dying = w->dying;
    w->dying = r;
    /* A timer, so that it runs in a later turn: a cancelled call may look at its body until the end of this one. */
    event_add(w->dying_event, &(struct timeval){ 0 });
}

static void bury(struct worker *w, bool at_once)
{
    while (w->dying) {
        struct request *r = w->dying;

        w->dying = r->next_dying;
        request_free(r, at_once);
    }
}

static void on_dying(evutil_socket_t fd, short what, void *arg)
{
    struct worker *w = arg;

    (void)fd;
    (void)what;
    worker_turn(w);
    bury(w, false);
}

/* xoroshiro128++ (Blackman and Vigna): ids and digests' seeds, nothing secret. */
static uint64_t rotate(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t worker_random(struct worker *w)
{
    const uint64_t a = w->rng[0], b = w->rng[1] ^ a;
    const uint64_t out = rotate(a + w->rng[1], 17) + a;

    w->rng[0] = rotate(a, 49) ^ b ^ (b << 21);
    w->rng[1] = rotate(b, 28);
    return out;
}

const int64_t latency_edges_ms[LATENCY_BUCKETS] = { 1,    2,    5,    10,   25,    50,    100,
                                                    250,  500,  1000, 2500, 10000, 60000, INT64_MAX };

static size_t bucket_of(uint64_t ms)
{
    size_t i = 0;

    while (i + 1 < LATENCY_BUCKETS && ms > (uint64_t)latency_edges_ms[i])
        i++;
    return i;
}

void worker_observe(struct worker *w, uint64_t total_ms, uint64_t first_byte_ms)
{
    struct worker_counts *c = &w->counts;

    atomic_fetch_add_explicit(&c->duration[bucket_of(total_ms)], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&c->duration_ms_sum, total_ms, memory_order_relaxed);
    if (first_byte_ms == UINT64_MAX)
        return;
    atomic_fetch_add_explicit(&c->first_byte[bucket_of(first_byte_ms)], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&c->first_byte_ms_sum, first_byte_ms, memory_order_relaxed);
}

/* ---- how long a turn takes ---- */

const int64_t turn_edges_us[TURN_BUCKETS] = { 100, 500, 1000, 2500, 5000, 10000, 50000, INT64_MAX };

void worker_turn_begin(struct worker *w)
{
    w->turn_from_us = clock_mono_us();
    event_active(w->turn_event, EV_TIMEOUT, 0);
}

static void on_turn_end(evutil_socket_t fd, short what, void *arg)
{
    struct worker *w = arg;
    struct worker_counts *c = &w->counts;
    const int64_t us = clock_mono_us() - w->turn_from_us;
    size_t i = 0;

    (void)fd;
    (void)what;
    w->turn_from_us = 0;
    while (us > turn_edges_us[i])
        i++;
    atomic_fetch_add_explicit(&c->turn[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&c->turn_us_sum, (uint64_t)us, memory_order_relaxed);
    if ((uint64_t)us > atomic_load_explicit(&c->turn_us_max, memory_order_relaxed))
        atomic_store_explicit(&c->turn_us_max, (uint64_t)us, memory_order_relaxed);
}

/* ---- life ---- */

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    sigset_t all;
    char name[16];

    snprintf(name, sizeof name, "worker-%d", w->index);
    pthread_setname_np(pthread_self(), name);    /* for top -H and perf */
    sigfillset(&all);                            /* signals are the housekeeper's */
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    event_base_loop(w->base, EVLOOP_NO_EXIT_ON_EMPTY);
    return NULL;
}

static struct event_base *new_base(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base;

    if (!config)
        return NULL;
    event_config_require_features(config, EV_FEATURE_EARLY_CLOSE | EV_FEATURE_O1);
    /* No locks: only the worker's own thread touches its loop; others write to an eventfd. */
    event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST | EVENT_BASE_FLAG_NOLOCK);
    base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

bool worker_init(struct worker *w, struct gateway *gw, int index, struct problems *ps)
{
    w->gw = gw;
    w->index = index;
    w->first_free = UINT32_MAX;
    w->wake_fd = -1;
    w->snapshot = snapshot_ref(gw->snapshot);
    w->base = new_base();
    if (!w->base || !digest_random(w->rng, sizeof w->rng)) {
        problem_error(ps, "", "no event loop or no random numbers");
        return false;
    }
    w->listeners = calloc(CONFIG_LISTENERS_MAX, sizeof *w->listeners);
    w->fetch = fetch_new(w->base, NULL);
    w->scan = jscan_new(&jscan_default_limits, w->rng[0]);
    w->answer_scan = jscan_new(&worker_answer_limits, w->rng[1]);
    w->port = ledger_port_new(gw->ledger, &w->port_fd);
    w->reader_port = reader_port_new(gw->reader, &w->reader_fd);
    w->offload_port = offload_port_new(gw->offload, &w->offload_fd);
    w->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (!w->listeners || !w->fetch || !w->scan || !w->answer_scan || !w->port || !w->reader_port ||
        !w->offload_port || w->wake_fd < 0) {
        problem_error(ps, "", "no memory or no descriptors for worker %d", index);
        return false;
    }
    w->port_event = event_new(w->base, w->port_fd, EV_READ | EV_PERSIST, on_port, w);
    w->reader_event = event_new(w->base, w->reader_fd, EV_READ | EV_PERSIST, on_reader, w);
    w->offload_event = event_new(w->base, w->offload_fd, EV_READ | EV_PERSIST, on_offload, w);
    w->wake_event = event_new(w->base, w->wake_fd, EV_READ | EV_PERSIST, on_wake, w);
    w->dying_event = event_new(w->base, -1, 0, on_dying, w);
    w->settled_event = event_new(w->base, -1, 0, on_settled, w);
    w->turn_event = event_new(w->base, -1, 0, on_turn_end, w);
    if (!w->port_event || !w->reader_event || !w->offload_event || !w->wake_event || !w->dying_event || !w->settled_event ||
        !w->turn_event)
        return false;
    event_add(w->port_event, NULL);
    event_add(w->reader_event, NULL);
    event_add(w->offload_event, NULL);
    event_add(w->wake_event, NULL);
    for (size_t i = 0; i < w->snapshot->config->n_listeners; i++)
        if (!listen_on(w, i, ps))
            return false;
    return true;
}

bool worker_start(struct worker *w)
{
    return pthread_create(&w->thread, NULL, worker_main, w) == 0;
}

void worker_free(struct worker *w)
{
    stop_listening(w);
    request_abandon_all(w);    /* first: who is cut by us did not leave */
    while (w->connections.first)
        connection_free(w->connections.first);
    if (w->fetch)
        fetch_free(w->fetch);
    bury(w, true);
    if (w->reader_event)
        event_free(w->reader_event);
    reader_port_free(w->reader_port);
    if (w->offload_event)
        event_free(w->offload_event);
    offload_port_free(w->offload_port);
    if (w->port)
        ledger_port_free(w->port);
    if (w->port_event)
        event_free(w->port_event);
    if (w->wake_event)
        event_free(w->wake_event);
    if (w->dying_event)
        event_free(w->dying_event);
    if (w->settled_event)
        event_free(w->settled_event);
    if (w->turn_event)
        event_free(w->turn_event);
    if (w->wake_fd >= 0)
        close(w->wake_fd);
    if (w->base)
        event_base_free(w->base);
    snapshot_unref(w->snapshot);
    jscan_free(w->scan);
    jscan_free(w->answer_scan);
    free(w->listeners);
    free(w->slots);
}
