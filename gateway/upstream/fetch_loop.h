/* fetch_loop.h - a curl multi handle on a libevent base; only fetch.c includes it.
 *
 * Curl says which descriptors and which timer it wants, libevent says when they are ready; curl_multi_socket_action is
 * the only way that curl is run. After each outermost call into curl, `after` is told: there, and only there, it is safe
 * to remove handles and to call users. */
#ifndef TOLLGATE_GATEWAY_UPSTREAM_FETCH_LOOP_H
#define TOLLGATE_GATEWAY_UPSTREAM_FETCH_LOOP_H

#include <curl/curl.h>
#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/span.h"

struct loop_socket;

struct fetch_loop {
    CURLM *multi;
    struct event_base *base;
    struct event timer;
    struct loop_socket **by_fd;    /* [n_fd]; NULL where curl has no such descriptor */
    size_t n_fd;
    struct loop_socket *spare;
    int depth;                     /* calls into curl that are on the stack */
    bool in_timer;
    uint64_t opened;               /* connections since the start */
    void (*after)(void *ctx);
    void *ctx;
};

/* False: no memory. */
bool fetch_loop_init(struct fetch_loop *l, struct event_base *base, void (*after)(void *ctx), void *ctx);
/* All easy handles are out of the multi handle by now. */
void fetch_loop_free(struct fetch_loop *l);
/* The options by which an easy handle's sockets are ours to open and close. */
void fetch_loop_adopt(struct fetch_loop *l, CURL *easy);

static inline void fetch_loop_enter(struct fetch_loop *l) { l->depth++; }
void fetch_loop_leave(struct fetch_loop *l);

#endif
