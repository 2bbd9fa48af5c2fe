/* fetch_plain.h - calls to plain upstreams without curl; only fetch.c includes it. The functions keep fetch.h's promises
 * for calls whose target is plain http at a number, at localhost or at a unix socket, and are called by its like. */
#ifndef TOLLGATE_GATEWAY_UPSTREAM_FETCH_PLAIN_H
#define TOLLGATE_GATEWAY_UPSTREAM_FETCH_PLAIN_H

#include "gateway/upstream/fetch_target.h"

struct event_base;
struct plain;
struct plain_call;             /* its first member is a bool, true (fetch.c tells its own calls by it) */

struct plain *plain_new(struct event_base *base, size_t max_idle);
void plain_free(struct plain *p);
/* Can this call go this way? `proxied`: http to hosts goes through a proxy. */
bool plain_serves(const struct fetch_spec *s, bool proxied);

struct plain_call *plain_start(struct plain *p, const struct fetch_spec *s, const struct fetch_callbacks *callbacks,
                               void *ctx);
void plain_cancel(struct plain_call *c);
void plain_pause(struct plain_call *c);
void plain_resume(struct plain_call *c);
bool plain_paused(const struct plain_call *c);
bool plain_connected(const struct plain_call *c);
struct span plain_header(const struct plain_call *c, const char *name);
void *plain_ctx(const struct plain_call *c);
void plain_add_stats(const struct plain *p, struct fetch_stats *out);

#endif
