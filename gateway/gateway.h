/* gateway.h - what the workers of one process share, and what one worker owns.
 *
 * struct gateway is made by `serve` before the workers start and freed after they have ended. Its pointers do not
 * change, but for `snapshot`, which each worker takes over at a turn of its own loop. */
#ifndef TOLLGATE_GATEWAY_GATEWAY_H
#define TOLLGATE_GATEWAY_GATEWAY_H

#include <pthread.h>
#include <stdatomic.h>

#include "gateway/ledger/ledger.h"
#include "gateway/ledger/reader.h"
#include "gateway/server/connection.h"
#include "gateway/server/offload.h"
#include "gateway/snapshot.h"
#include "gateway/upstream/fetch.h"

struct request;
struct tags;
struct memory;

struct gateway {
    struct ledger *ledger;
    struct reader *reader;
    struct keys *keys;
    struct budgets *budgets;
    struct health *health;
    struct tags *tags;
    struct memory *memory;
    struct offload *offload;             /* helper threads for long work */
    struct worker *workers;
    int n_workers;

    pthread_mutex_t snapshot_lock;       /* covers the swap of `snapshot` alone */
    struct snapshot *snapshot;           /* the newest; workers hold their own reference */
    _Atomic bool draining;
    _Atomic int64_t bytes_in_flight;     /* bodies and held answers of all workers */
    int64_t started_ms;
    _Atomic uint64_t reloads, reloads_failed;
};

/* Counted by a worker, summed for /metrics. Relaxed atomics: one writer each. */
enum count {
    COUNT_CONNECTIONS, COUNT_REQUESTS, COUNT_REFUSED_KEY, COUNT_REFUSED_BODY, COUNT_REFUSED_BUDGET, COUNT_BAD_FRAMING,
    COUNT_ATTEMPTS, COUNT_ATTEMPTS_REJECTED, COUNT_ATTEMPTS_FAILED, COUNT_ESCALATED, COUNT_CALLER_LEFT,
    COUNT_ANSWERED, COUNT_FAILED, COUNT_COST_NANO, COUNT_TOKENS_IN, COUNT_TOKENS_CACHED, COUNT_TOKENS_OUT, COUNTS
};
#define LATENCY_BUCKETS 14
#define TURN_BUCKETS 8
struct worker_counts {
    _Atomic uint64_t n[COUNTS];
    _Atomic uint64_t duration[LATENCY_BUCKETS];       /* requests by total time; upper edges: latency_edges_ms */
    _Atomic uint64_t duration_ms_sum;
    _Atomic uint64_t first_byte[LATENCY_BUCKETS];
    _Atomic uint64_t first_byte_ms_sum;
    _Atomic uint64_t turn[TURN_BUCKETS];              /* turns of the loop by their length; upper edges: turn_edges_us */
    _Atomic uint64_t turn_us_sum, turn_us_max;
};

/* Requests of a worker by slot: a ledger ticket names slot and generation, so that a late one finds nobody. */
struct request_slot {
    struct request *request;
    uint32_t generation;
    uint32_t next_free;
};

struct worker {
    struct gateway *gw;
    int index;
    pthread_t thread;
    struct event_base *base;
    struct snapshot *snapshot;
    struct fetch *fetch;
    struct ledger_port *port;
    int port_fd;
    struct event *port_event;
    struct reader_port *reader_port;
    int reader_fd;
    struct event *reader_event;
    struct offload_port *offload_port;
    int offload_fd;
    struct event *offload_event;
    int wake_fd;                         /* eventfd: the housekeeper has news (snapshot, draining, stop) */
    struct event *wake_event;
    _Atomic bool stop;
    struct worker_listener *listeners;
    size_t n_listeners;
    struct connection_list connections;
    struct request_slot *slots;
    uint32_t n_slots, first_free;
    _Atomic size_t n_requests;
    struct request *dying;               /* freed at the end of the turn, never inside another's callback */
    struct event *dying_event;
    int64_t turn_from_us;                /* since when this turn is at work for requests; 0: it is not */
    struct event *turn_event;            /* active from then on; runs behind what is active */
    struct event *settled_event;       /* active from the first settlement of a turn on; runs behind what is active */
    uint64_t rng[2];
    struct jscan *scan;                  /* for a body that is here whole; used within one callback */
    struct jscan *answer_scan;           /* for answers; likewise */
    struct worker_counts counts;
};

static inline void count_add(struct worker *w, enum count c, uint64_t n)
{
    atomic_fetch_add_explicit(&w->counts.n[c], n, memory_order_relaxed);
}

#endif
