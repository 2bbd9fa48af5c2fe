/* test_fetch_flow.c - what users do while calls run: pause, resume, cancel, start from callbacks, a thousand at once.
 *
 * Guards against public reports of other gateways: memory that grows behind slow readers (BerriAI/litellm#12685, #15128),
 * and curl's trap that resuming calls the write callback from inside. */
#include "gateway/upstream/test_fetch_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"

/* ---- pause and resume ---- */

static void pause_in_data(struct call *c)
{
    fetch_pause(c->call);
}

static void a_paused_call_of_100_mb_stays_small_and_loses_nothing(void **state)
{
    const char *const bases[] = { w.http, w.https, w.local };
    struct bench b;

    (void)state;
    bench_open(&b, NULL);
    for (size_t k = 0; k < 3; k++) {
        struct fetch_target *t = target(bases[k]);
        struct fetch_spec s;
        struct span body;
        struct call c;
        long before, most = 0;

        s = spec_of(t, &body, "{\"x\":\"mock:bytes=100000000\"}");
        call_init(&c, &b);
        c.at_data = pause_in_data;
        before = rss_kib();
        start(&b, &c, &s);
        run_until(&b, NULL, 60);
        for (int i = 0; i < 200 && !c.ended; i++) {    /* one piece at a time: each resume lets one through */
            const size_t pieces = c.pieces;

            b.inside = true;
            fetch_resume(c.call);
            b.inside = false;
            for (int turn = 0; turn < 2000 && c.pieces == pieces && !c.ended; turn++)
                event_base_loop(b.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
            assert_true(c.pieces <= pieces + 1);
        }
        run_until(&b, NULL, 60);
        most = rss_kib() - before;
        assert_true(c.bytes <= 300 * 16384);
        assert_false(c.ended);
        assert_true(most < 4096);
        c.at_data = NULL;
        fetch_resume(c.call);
        run_until(&b, &c.ended, PATIENCE_MS);
        assert_int_equal(c.result.end, FETCH_OK);
        assert_true(c.bytes > 100000000 && c.bytes == c.result.body_bytes);
        assert_true(rss_kib() - before < 8192);
        fetch_target_free(t);
    }
    bench_close(&b);
}

static void pause_and_resume_in_data(struct call *c)
{
    fetch_pause(c->call);
    fetch_resume(c->call);
    fetch_pause(c->call);
    *c->inside = true;
    fetch_resume(c->call);    /* must not deliver from in here: curl would recurse */
    *c->inside = false;
}

static void resuming_inside_a_callback_does_not_recurse(void **state)
{
    struct bench b;
    struct fetch_target *t = target(w.base);
    struct call c;

    (void)state;
    bench_open(&b, NULL);
    call_init(&c, &b);
    c.at_data = pause_and_resume_in_data;
    ask(&b, &c, t, "bytes=3000000", false);
    assert_int_equal(c.result.end, FETCH_OK);
    assert_true(c.bytes > 3000000);
    fetch_target_free(t);
    bench_close(&b);
}

static void idle_time_stands_still_while_paused(void **state)
{
    struct bench b;
    struct fetch_target *t = target(w.base);
    struct fetch_spec s;
    struct span body;
    struct call c;

    (void)state;
    bench_open(&b, NULL);
    s = spec_of(t, &body, "{\"stream\":true,\"x\":\"mock:chunks=3,bytes=20000,every_ms=10\"}");
    s.idle_ms = 100;
    call_init(&c, &b);
    c.at_data = pause_in_data;
    start(&b, &c, &s);
    run_until(&b, NULL, 400);
    assert_false(c.ended);
    c.at_data = NULL;
    fetch_resume(c.call);
    run_until(&b, &c.ended, PATIENCE_MS);
    assert_int_equal(c.result.end, FETCH_OK);
    assert_true(c.bytes > 60000);
    fetch_target_free(t);
    bench_close(&b);
}

static void a_paused_call_still_meets_its_total_time(void **state)
{
    struct bench b;
    struct fetch_target *t = target(w.base);
    struct fetch_spec s;
    struct span body;
    struct call c;

    (void)state;
    bench_open(&b, NULL);
    s = spec_of(t, &body, "{\"stream\":true,\"x\":\"mock:chunks=50,bytes=20000\"}");
    s.total_ms = 200;
    call_init(&c, &b);
    c.at_data = pause_in_data;
    start(&b, &c, &s);
    run_until(&b, &c.ended, PATIENCE_MS);
    assert_int_equal(c.result.end, FETCH_TIMEOUT_TOTAL);
    fetch_target_free(t);
    bench_close(&b);
}

static void a_call_may_be_paused_before_anything_has_come(void **state)
{
    struct bench b;
    struct fetch_target *t = target(w.base);
    struct fetch_spec s;
    struct span body;
    struct call c;

    (void)state;
    bench_open(&b, NULL);
    s = spec_of(t, &body, "{\"x\":1}");
    s.first_byte_ms = 50;
    call_init(&c, &b);
    start(&b, &c, &s);
    fetch_pause(c.call);
    run_until(&b, NULL, 200);
    assert_int_equal(c.pieces, 0);
    assert_false(c.ended);
    fetch_resume(c.call);
    run_until(&b, &c.ended, PATIENCE_MS);
    assert_int_equal(c.result.end, FETCH_OK);
    fetch_target_free(t);
    bench_close(&b);
}

/* ---- cancel ---- */

static void cancel_self(struct call *c)
{
    fetch_cancel(c->call);
    fetch_cancel(c->call);    /* twice is once */
    c->ended = true;          /* any later callback fails the test */
}

static void cancel_other(struct call *c)
{
    if (c->other && c->other->call && !c->other->ended) {
        fetch_cancel(c->other->call);
        c->other->ended = true;
    }
}

static void after_a_cancel_nothing_comes_and_the_upstream_sees_it(void **state)
{
    struct bench b;
    struct fetch_target *t = target(w.base);
    struct fetch_spec s;
    struct span body;
    struct call c;
    struct fetch_stats stats;

    (void)state;
    bench_open(&b, NULL);
    for (int where = 0; where < 5; where++) {
        long aborted = mock_run_stat(&w.mock, "aborted");

        s = spec_of(t, &body, "{\"stream\":true,\"x\":\"mock:chunks=1000,bytes=5000,every_ms=1\"}");
        call_init(&c, &b);
        c.at_head = where == 0 ? cancel_self : NULL;
        c.at_data = where == 1 ? cancel_self : NULL;
        start(&b, &c, &s);
        if (where == 2) {    /* before anything was done */
            cancel_self(&c);
        } else if (where == 3) {    /* from the loop, in mid-stream */
            run_until(&b, NULL, 50);
            cancel_self(&c);
        } else if (where == 4) {    /* paused with bytes in curl's hands */
            c.at_data = pause_in_data;
            run_until(&b, NULL, 50);
            cancel_self(&c);
        }
        run_until(&b, NULL, 100);
        fetch_get_stats(b.fetch, &stats);
        assert_int_equal(stats.active, 0);
        assert_int_equal(stats.cancelled, where + 1);
        if (where != 2) {
            while (aborted == mock_run_stat(&w.mock, "aborted"))
                run_until(&b, NULL, 10);    /* the mock notices; a hang fails by the harness */
        }
    }
    fetch_target_free(t);
    bench_close(&b);
}

static void a_callback_may_cancel_another_call(void **state)
{
    struct bench b;
    struct fetch_target *t = target(w.base);
    struct fetch_spec s;
    struct span body, big[2];
    char *text = malloc(2000000);
    struct call one, two;
    struct fetch_stats stats;

    (void)state;
    assert_non_null(text);
    memset(text, 'x', 2000000);
    bench_open(&b, NULL);
    for (int where = 0; where < 3; where++) {
        s = spec_of(t, &body, "{\"stream\":true,\"x\":\"mock:chunks=20,bytes=100,every_ms=1\"}");
        call_init(&one, &b);
        call_init(&two, &b);
        one.other = &two;
        one.at_head = where == 0 ? cancel_other : NULL;
        one.at_data = where == 1 ? cancel_other : NULL;
        one.at_end = where == 2 ? cancel_other : NULL;
        start(&b, &one, &s);
        big[0] = (struct span){ text, 1000000 };    /* still being sent, from the spans */
        big[1] = (struct span){ text, 1000000 };
        s = spec_of(t, big, "");
        big[0] = (struct span){ text, 1000000 };
        s.n_body = 2;
        s.first_byte_ms = 0;
        start(&b, &two, &s);
        run_until(&b, &one.ended, PATIENCE_MS);
        assert_int_equal(one.result.end, FETCH_OK);
        run_until(&b, NULL, 20);
        fetch_get_stats(b.fetch, &stats);
        assert_int_equal(stats.active, 0);
    }
    free(text);
    fetch_target_free(t);
    bench_close(&b);
}

struct chain {
    struct bench *bench;
    struct fetch_spec *spec;
    struct call calls[10];
    size_t n;
    bool done;
};
static struct chain *chain;

static void start_next(struct call *c)
{
    c->at_data = NULL;
    if (++chain->n == 10) {
        chain->done = true;
        return;
    }
    struct call *next = &chain->calls[chain->n];
    call_init(next, chain->bench);
    if (chain->n % 2)
        next->at_data = start_next;
    else
        next->at_end = start_next;
    start(chain->bench, next, chain->spec);
}

static void calls_may_be_started_from_callbacks(void **state)
{
    struct bench b;
    struct fetch_target *t = target(w.base);
    struct fetch_spec s;
    struct span body;
    struct chain ch = { .bench = &b, .spec = &s };

    (void)state;
    chain = &ch;
    bench_open(&b, NULL);
    s = spec_of(t, &body, "{\"x\":1}");
    call_init(&ch.calls[0], &b);
    ch.calls[0].at_end = start_next;
    start(&b, &ch.calls[0], &s);
    run_until(&b, &ch.done, PATIENCE_MS);
    fetch_target_free(t);
    bench_close(&b);
}

static void freeing_drops_what_is_under_way_without_a_word(void **state)
{
    struct bench b;
    struct fetch_target *t[] = { target(w.http), target(w.https), target("https://slow.test/v1") };
    struct fetch_spec s;
    struct span body;
    struct call c[30];

    (void)state;
    bench_open(&b, NULL);
    for (size_t i = 0; i < 30; i++) {
        s = spec_of(t[i % 3], &body, "{\"stream\":true,\"x\":\"mock:chunks=1000,every_ms=1\"}");
        call_init(&c[i], &b);
        start(&b, &c[i], &s);
    }
    run_until(&b, NULL, 50);
    for (size_t i = 0; i < 30; i++)
        c[i].ended = true;    /* a callback from here on fails */
    bench_close(&b);
    for (size_t i = 0; i < 3; i++)
        fetch_target_free(t[i]);
    while (atomic_load(&lookups_now))
        usleep(10000);
}

/* ---- many ---- */

static void a_thousand_streams_at_once_all_end_well(void **state)
{
    const size_t many = w.over_tls ? 150 : 1000;    /* a handshake is a millisecond of both sides, the head waits one second */
    const char *const bases[] = { w.base, w.local };
    struct call *c = calloc(many, sizeof(*c));
    struct bench b;

    (void)state;
    assert_non_null(c);
    for (size_t k = 0; k < 2; k++) {
        struct fetch_target *t = target(bases[k]);
        struct fetch_stats stats;
        struct fetch_spec s;
        struct span body;
        long peak;

        bench_open(&b, NULL);
        s = spec_of(t, &body, "{\"stream\":true,\"x\":\"mock:first_ms=1000,chunks=10,bytes=50,every_ms=10\"}");
        for (size_t i = 0; i < many; i++) {
            call_init(&c[i], &b);
            start(&b, &c[i], &s);
        }
        for (size_t i = 0; i < many; i++) {
            run_until(&b, &c[i].ended, PATIENCE_MS);
            if (c[i].result.end != FETCH_OK)
                fail_msg("call %zu: %s (%s)", i, fetch_end_name(c[i].result.end), c[i].detail);
        }
        fetch_get_stats(b.fetch, &stats);
        assert_int_equal(stats.ended, many);
        peak = mock_run_stat(&w.mock, "peak");
        assert_true(peak >= (long)many);    /* they were there together */
        bench_close(&b);
        fetch_target_free(t);
    }
    free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_paused_call_of_100_mb_stays_small_and_loses_nothing),
        cmocka_unit_test(resuming_inside_a_callback_does_not_recurse),
        cmocka_unit_test(idle_time_stands_still_while_paused),
        cmocka_unit_test(a_paused_call_still_meets_its_total_time),
        cmocka_unit_test(a_call_may_be_paused_before_anything_has_come),
        cmocka_unit_test(after_a_cancel_nothing_comes_and_the_upstream_sees_it),
        cmocka_unit_test(a_callback_may_cancel_another_call),
        cmocka_unit_test(calls_may_be_started_from_callbacks),
        cmocka_unit_test(freeing_drops_what_is_under_way_without_a_word),
        cmocka_unit_test(a_thousand_streams_at_once_all_end_well),
    };

    int failed = cmocka_run_group_tests_name("plain", tests, world_open, world_close);

    w.over_tls = true;
    failed += cmocka_run_group_tests_name("over TLS, by curl", tests, world_open, world_close);
    return failed;
}
