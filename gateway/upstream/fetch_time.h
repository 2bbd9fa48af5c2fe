/* fetch_time.h - the time limits of a call, for both ways of making one (fetch.c, fetch_plain.c). */
#ifndef TOLLGATE_GATEWAY_UPSTREAM_FETCH_TIME_H
#define TOLLGATE_GATEWAY_UPSTREAM_FETCH_TIME_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "gateway/upstream/fetch.h"

#define FETCH_NEVER INT64_MAX

/* What a call waits for besides its end: since when, how long at most (0: no limit), and what it is when that is over. */
struct fetch_wait {
    int64_t since_us, limit_us;
    enum fetch_end end;
};

/* When the wait or the whole call (total_us from started_us, 0: no limit) must be over, and which it is then. */
static inline int64_t fetch_deadline(int64_t started_us, int64_t total_us, struct fetch_wait w, enum fetch_end *which)
{
    const int64_t total = total_us ? started_us + total_us : FETCH_NEVER;
    const int64_t wait = w.limit_us ? w.since_us + w.limit_us : FETCH_NEVER;

    *which = wait < total ? w.end : FETCH_TIMEOUT_TOTAL;
    return wait < total ? wait : total;
}

/* One timer a call, armed for the next time that matters or earlier (*armed_us; it is looked at again when it fires). */
static inline void fetch_arm(struct event *timer, int64_t *armed_us, int64_t at_us, int64_t now_us)
{
    const int64_t left = at_us > now_us ? at_us - now_us : 0;
    const struct timeval tv = { left / 1000000, left % 1000000 };

    if (at_us >= *armed_us)
        return;
    event_add(timer, &tv);
    *armed_us = at_us;
}

#endif
