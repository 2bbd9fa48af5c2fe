/* worker.h - one loop thread: its listeners, its connections, its requests. */
#ifndef TOLLGATE_GATEWAY_WORKER_H
#define TOLLGATE_GATEWAY_WORKER_H

#include "base/jscan.h"
#include "gateway/gateway.h"

/* Opens the worker's own sockets (SO_REUSEPORT, so that the kernel spreads callers) and its loop. False with a
 * problem. With port 0 in the config worker 0 gets a port from the system and writes it into the config's address for
 * the others. */
bool worker_init(struct worker *w, struct gateway *gw, int index, struct problems *ps);
bool worker_start(struct worker *w);             /* starts the thread */
/* Any thread: there is a newer snapshot, or draining has begun, or the worker shall stop. */
void worker_wake(struct worker *w);
/* After its thread has ended. */
void worker_free(struct worker *w);

/* Loop thread. A number for the ledger that leads back to the request, or to nobody when it is gone. */
uint64_t worker_ticket(struct worker *w, uint32_t slot);
bool worker_slot_take(struct worker *w, struct request *r, uint32_t *slot);
void worker_slot_give(struct worker *w, uint32_t slot);
/* A settlement goes to the ledger: at the end of this turn it hears that there are no more. */
void worker_settles(struct worker *w);
/* Frees the request at the end of this turn. */
void worker_bury(struct worker *w, struct request *r);
uint64_t worker_random(struct worker *w);        /* not for secrets */
/* A request has ended: its times into the histograms. first_byte_ms UINT64_MAX: it had none. */
void worker_observe(struct worker *w, uint64_t total_ms, uint64_t first_byte_ms);
/* Work for a request begins: how long the loop is held from here to the end of its turn goes into the metrics. */
void worker_turn_begin(struct worker *w);
static inline void worker_turn(struct worker *w)
{
    if (w->turn_from_us == 0)
        worker_turn_begin(w);
}
extern const int64_t turn_edges_us[TURN_BUCKETS];          /* upper edges; the last is without limit */
extern const struct jscan_limits worker_answer_limits;     /* of the pre-scan, for providers' answers */
extern const int64_t latency_edges_ms[LATENCY_BUCKETS];    /* upper edges; the last is without limit */

#endif
