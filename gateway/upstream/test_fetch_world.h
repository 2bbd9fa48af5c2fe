/* test_fetch_world.h - what the tests of fetch share: a mock upstream, a loop, calls that check every callback.
 *
 * Names are looked up by a stand-in for getaddrinfo: "nowhere.test" does not exist, "gone.test" neither, but
 * only after 50 ms, "slow.test" takes 1.5 s, and any other name is this machine. */
#ifndef TOLLGATE_GATEWAY_UPSTREAM_TEST_FETCH_WORLD_H
#define TOLLGATE_GATEWAY_UPSTREAM_TEST_FETCH_WORLD_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "gateway/upstream/fetch.h"
#include "tests/mock/mock_run.h"

#define PATIENCE_MS 30000

extern atomic_int lookups_now, lookups_most;

struct world {
    char dir[64];
    struct mock_run mock;
    char http[160], https[160], local[160];    /* bases */
    const char *base;                            /* http, or https in the second round: plain upstreams go without curl */
    bool over_tls;                               /* chosen before world_open */
    char ca[128];
};
extern struct world w;

struct call {
    struct fetch_call *call;
    struct fetch_result result;
    struct buf body;
    bool keep_body, ended, headed;
    int status, heads;
    size_t pieces, bytes;
    char content_type[64];
    char detail[256];
    void (*at_head)(struct call *c);
    void (*at_data)(struct call *c);
    void (*at_end)(struct call *c);
    struct call *other;
    bool *inside;            /* set while a function of fetch.h runs: no callback may come */
};

struct bench {
    struct event_base *base;
    struct fetch *fetch;
    bool inside;
};

/* Opens and closes the world: for cmocka's group. */
int world_open(void **state);
int world_close(void **state);

void bench_open(struct bench *b, const struct fetch_options *o);
void bench_close(struct bench *b);
void call_init(struct call *c, struct bench *b);
/* Until *flag (30 s at most, then the test fails), or for `ms` when there is none. */
void run_until(struct bench *b, const bool *flag, int ms);
/* By the world's authority, without a key. */
struct fetch_target *target(const char *base);
struct fetch_spec spec_of(const struct fetch_target *t, struct span *body, const char *text);
void start(struct bench *b, struct call *c, const struct fetch_spec *s);
/* One call to its end, with these script words in the prompt. */
void ask(struct bench *b, struct call *c, const struct fetch_target *t, const char *words, bool stream);
/* 0 under a sanitizer, whose quarantine is no memory of ours. */
long rss_kib(void);

#endif
