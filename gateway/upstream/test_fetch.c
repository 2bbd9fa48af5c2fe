/* test_fetch.c - fetch against the mock upstream, over TCP, a unix socket and TLS, with every end it knows.
 *
 * Guards against public reports of other gateways: a cut stream that ends as a clean success (Portkey-AI/gateway#1797),
 * provider keys sent to another host by a redirect (CVE-2024-6587 and kin; here: redirects are off). */
#include "gateway/upstream/test_fetch_world.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

/* ---- answers ---- */

static void an_answer_comes_whole_over_tcp_unix_and_tls(void **state)
{
    const char *const bases[] = { w.http, w.local, w.https };
    struct bench b;

    (void)state;
    bench_open(&b, NULL);
    for (size_t i = 0; i < 3; i++) {
        struct fetch_target *t = target(bases[i]);
        struct call c;

        call_init(&c, &b);
        c.keep_body = true;
        ask(&b, &c, t, "text=hello", false);
        assert_int_equal(c.result.end, FETCH_OK);
        assert_int_equal(c.result.status, 200);
        assert_int_equal(c.heads, 1);
        assert_string_equal(c.content_type, "application/json");
        assert_true(span_find_span(buf_span(&c.body), SPAN_LIT("\"content\":\"hello\"")) < c.body.n);
        assert_int_equal(c.result.body_bytes, c.bytes);
        assert_true(c.result.connect_us >= 0 && c.result.first_byte_us >= c.result.connect_us);
        assert_true(c.result.total_us >= c.result.first_byte_us);
        assert_int_equal(c.result.sends, 1);
        assert_false(c.result.kept);
        buf_free(&c.body);
        fetch_target_free(t);
    }
    bench_close(&b);
}

static void a_kept_connection_is_used_again(void **state)
{
    struct bench b;
    struct fetch_target *t = target(w.https);
    struct fetch_stats stats;

    (void)state;
    bench_open(&b, NULL);
    for (int i = 0; i < 5; i++) {
        struct call c;

        call_init(&c, &b);
        ask(&b, &c, t, "bytes=40000", i & 1);
        assert_int_equal(c.result.end, FETCH_OK);
        assert_int_equal(c.result.kept, i > 0);
    }
    fetch_get_stats(b.fetch, &stats);
    assert_int_equal(stats.connections, 1);
    assert_int_equal(stats.started, 5);
    assert_int_equal(stats.ended, 5);
    assert_int_equal(stats.active, 0);
    fetch_target_free(t);
    bench_close(&b);
}

static void the_body_goes_out_byte_for_byte_from_its_spans(void **state)
{
    static const size_t sizes[] = { 10, 3000, FETCH_COPY_MAX, FETCH_COPY_MAX + 1,
                                    20000000 };    /* beyond any send buffer, which then ends within the first span */
    struct bench b;
    struct fetch_target *t = target(w.base);
    struct buf got;

    (void)state;
    bench_open(&b, NULL);
    buf_init(&got, (size_t)64 << 20);
    for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++)
        for (size_t n_spans = 1; n_spans <= 3; n_spans += 2) {
            char *text = malloc(sizes[k]);
            struct span parts[3];
            struct fetch_spec s;
            struct call c;

            assert_non_null(text);
            for (size_t i = 0; i < sizes[k]; i++)
                text[i] = (char)('a' + (i * 7 + i / 26) % 26);
            if (n_spans == 1) {
                parts[0] = (struct span){ text, sizes[k] };
            } else {
                parts[0] = (struct span){ text, sizes[k] / 3 };
                parts[1] = (struct span){ text, 0 };
                parts[2] = (struct span){ text + sizes[k] / 3, sizes[k] - sizes[k] / 3 };
            }
            s = spec_of(t, parts, "");
            parts[0] = (struct span){ text, n_spans == 1 ? sizes[k] : sizes[k] / 3 };
            s.n_body = n_spans;
            call_init(&c, &b);
            start(&b, &c, &s);
            run_until(&b, &c.ended, PATIENCE_MS);
            assert_int_equal(c.result.end, FETCH_OK);
            assert_true(mock_run_ask(&w.mock, "GET", "/mock/body/last", SPAN_NONE, &got));
            assert_int_equal(got.n, sizes[k]);
            assert_memory_equal(got.p, text, sizes[k]);
            free(text);
        }
    buf_free(&got);
    fetch_target_free(t);
    bench_close(&b);
}

static void headers_are_the_prepared_ones_and_the_calls_own(void **state)
{
    struct bench b;
    struct fetch_target *t = target(w.base);
    struct fetch_headers *h = fetch_headers_new();
    struct fetch_spec s;
    struct span body;
    struct call c;
    struct buf log;

    (void)state;
    assert_non_null(h);
    assert_true(fetch_headers_add(h, "Authorization", SPAN_LIT("Bearer sk-1")));
    assert_false(fetch_headers_add(h, "X-Bad", SPAN_LIT("a\r\nX-Evil: 1")));
    assert_false(fetch_headers_add(h, "X-Bad", SPAN_LIT("caf\xc3\xa9")));
    bench_open(&b, NULL);
    call_init(&c, &b);
    s = spec_of(t, &body, "{\"model\":\"headers\"}");
    s.headers = h;
    s.extra[0] = "x-session: 7";
    s.extra[1] = "x-evil: a\r\nx-worse: b";
    s.extra[2] = "x-last: 9";
    start(&b, &c, &s);
    run_until(&b, &c.ended, PATIENCE_MS);
    buf_init(&log, (size_t)64 << 20);
    assert_true(mock_run_ask(&w.mock, "GET", "/mock/log", SPAN_NONE, &log));
    buf_drop(&log, span_find_span(buf_span(&log), SPAN_LIT("\"x-session\"")) - 400);    /* the last call alone */
    const size_t at = span_find_span(buf_span(&log), SPAN_LIT("\"x-session\":\"7\",\"x-last\":\"9\""));
    assert_true(at < log.n);
    assert_true(span_find_span(buf_span(&log), SPAN_LIT("\"Authorization\":\"Bearer sk-1\"")) < log.n);
    assert_true(span_find_span(buf_span(&log), SPAN_LIT("\"Accept-Encoding\":\"identity\"")) < log.n);
    assert_false(span_find_span(buf_span(&log), SPAN_LIT("evil")) < log.n);
    assert_false(span_find_span(buf_span(&log), SPAN_LIT("Expect")) < log.n);
    buf_free(&log);
    fetch_headers_free(h);
    fetch_target_free(t);
    bench_close(&b);
}

static void one_head_is_told_although_a_103_comes_first(void **state)
{
    struct bench b;
    struct fetch_target *t = target(w.base);
    struct call c;

    (void)state;
    bench_open(&b, NULL);
    call_init(&c, &b);
    ask(&b, &c, t, "early_hints", true);
    assert_int_equal(c.result.end, FETCH_OK);
    assert_int_equal(c.heads, 1);
    assert_int_equal(c.status, 200);
    fetch_target_free(t);
    bench_close(&b);
}

static void an_error_status_is_an_answer_like_any(void **state)
{
    struct bench b;
    struct fetch_target *t = target(w.base);
    struct call c;

    (void)state;
    bench_open(&b, NULL);
    call_init(&c, &b);
    ask(&b, &c, t, "status=429,retry_after=7", false);
    assert_int_equal(c.result.end, FETCH_OK);
    assert_int_equal(c.result.status, 429);
    fetch_target_free(t);
    bench_close(&b);
}

static void a_redirect_is_not_followed(void **state)
{
    struct bench b;
    struct fetch_target *t = target(w.base);
    char words[256];
    struct call c;
    long before, after;

    (void)state;
    bench_open(&b, NULL);
    call_init(&c, &b);
    before = mock_run_stat(&w.mock, "requests");
    snprintf(words, sizeof(words), "status=307,location=http%%3A//%s/v1/other", w.mock.listens[0]);
    ask(&b, &c, t, words, false);
    after = mock_run_stat(&w.mock, "requests");
    assert_int_equal(c.result.end, FETCH_OK);
    assert_int_equal(c.result.status, 307);
    assert_int_equal(after - before, 1);
    fetch_target_free(t);
    bench_close(&b);
}

static void the_environments_proxy_is_not_asked(void **state)
{
    struct bench b;
    struct fetch_target *t = target(w.http), *s = target(w.https);
    struct call c;

    (void)state;
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("https_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    bench_open(&b, NULL);
    call_init(&c, &b);
    ask(&b, &c, t, "bytes=1", false);
    assert_int_equal(c.result.end, FETCH_OK);
    call_init(&c, &b);
    ask(&b, &c, s, "bytes=1", false);
    assert_int_equal(c.result.end, FETCH_OK);
    bench_close(&b);
    bench_open(&b, &(struct fetch_options){ .proxy_from_env = true });
    call_init(&c, &b);
    ask(&b, &c, t, "bytes=1", false);
    assert_int_equal(c.result.end, FETCH_CONNECT);
    bench_close(&b);
    unsetenv("http_proxy");
    unsetenv("https_proxy");
    unsetenv("ALL_PROXY");
    fetch_target_free(t);
    fetch_target_free(s);
}

/* ---- ends ---- */

static void each_fault_has_its_end(void **state)
{
    static const struct {
        const char *words;
        bool stream;
        enum fetch_end end;
        int status;
    } rows[] = {
        { "reset=-2", false, FETCH_RESET, 0 },
        { "cut=-2", false, FETCH_RESET, 0 },
        { "cut=0", false, FETCH_RESET, 200 },
        { "cut=100", false, FETCH_CUT, 200 },
        { "reset=100", false, FETCH_CUT, 200 },
        { "badlength", false, FETCH_CUT, 200 },
        { "cut=2", true, FETCH_CUT, 200 },
        { "reset=2,every_ms=5", true, FETCH_CUT, 200 },
        { "badhead", false, FETCH_MALFORMED, 0 },
        { "badchunk", true, FETCH_MALFORMED, 200 },
        { "gzip", false, FETCH_MALFORMED, 200 },
        { "bighead", false, FETCH_TOO_LARGE, 0 },
        { "status=503,error_body=html", false, FETCH_OK, 503 },
        { "status=500,error_body=empty", false, FETCH_OK, 500 },
        { "nolength", false, FETCH_OK, 200 },
        { "nolength", true, FETCH_OK, 200 },
        { "piece=1", false, FETCH_OK, 200 },
        { "piece=7", true, FETCH_OK, 200 },
        { "bigline=1000000", true, FETCH_OK, 200 },
        { "close", true, FETCH_OK, 200 },
    };
    const char *const bases[] = { w.http, w.https };
    struct bench b;

    (void)state;
    bench_open(&b, NULL);
    for (size_t k = 0; k < 2; k++) {
        struct fetch_target *t = target(bases[k]);

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            struct call c;

            call_init(&c, &b);
            ask(&b, &c, t, rows[i].words, rows[i].stream);
            if (c.result.end != rows[i].end || c.result.status != rows[i].status)
                fail_msg("%s over %s: %s (%s), status %d; expected %s, %d", rows[i].words, bases[k],
                         fetch_end_name(c.result.end), c.detail, c.result.status, fetch_end_name(rows[i].end),
                         rows[i].status);
        }
        fetch_target_free(t);
    }
    bench_close(&b);
}

static void a_body_above_its_cap_is_too_large(void **state)
{
    struct bench b;
    struct fetch_target *t = target(w.base);
    struct fetch_spec s;
    struct span body;
    struct call c;

    (void)state;
    bench_open(&b, NULL);
    s = spec_of(t, &body, "{\"x\":\"mock:bytes=5000000\"}");
    s.max_body_bytes = 100000;
    call_init(&c, &b);
    start(&b, &c, &s);
    run_until(&b, &c.ended, PATIENCE_MS);
    assert_int_equal(c.result.end, FETCH_TOO_LARGE);
    assert_true(c.bytes <= 100000);
    fetch_target_free(t);
    bench_close(&b);
}

/* A listener that nobody accepts from, its queue filled by `fill` connections. */
static int deaf_listener(uint16_t *port, int *fillers, int n_fillers)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof(a);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(fd, 0), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    *port = ntohs(a.sin_port);
    for (int i = 0; i < n_fillers; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(fillers[i], (struct sockaddr *)&a, sizeof(a));
    }
    return fd;
}

static void nobody_there_is_connect_or_resolve(void **state)
{
    struct bench b;
    char base[128];
    uint16_t port;
    struct fetch_target *t;
    struct call c;
    const int fd = deaf_listener(&port, NULL, 0);

    (void)state;
    close(fd);    /* its port is free now: refused */
    bench_open(&b, NULL);
    snprintf(base, sizeof(base), "http://127.0.0.1:%d", port);
    t = target(base);
    call_init(&c, &b);
    ask(&b, &c, t, "", false);
    assert_int_equal(c.result.end, FETCH_CONNECT);
    assert_int_equal(c.result.connect_us, -1);
    assert_int_equal(c.result.sends, 0);
    fetch_target_free(t);
    t = target("unix:/nonexistent/x.sock");
    call_init(&c, &b);
    ask(&b, &c, t, "", false);
    assert_int_equal(c.result.end, FETCH_CONNECT);
    fetch_target_free(t);
    t = target("https://nowhere.test/v1");
    call_init(&c, &b);
    ask(&b, &c, t, "", false);
    assert_int_equal(c.result.end, FETCH_RESOLVE);
    fetch_target_free(t);
    bench_close(&b);
}

static void a_certificate_counts_only_by_our_authority_and_for_its_name(void **state)
{
    struct bench b;
    char base[160], why[200], name[160];
    struct fetch_target *t;
    struct call c;

    (void)state;
    bench_open(&b, NULL);
    /* the system's authorities do not know the test's */
    t = fetch_target_new(w.https, "/x", NULL, NULL, 0, why, sizeof(why));
    assert_non_null(t);
    call_init(&c, &b);
    ask(&b, &c, t, "", false);
    assert_int_equal(c.result.end, FETCH_TLS);
    assert_int_equal(c.result.sends, 0);    /* no byte of the request, no key, went out */
    fetch_target_free(t);
    /* the right authority, another name (the stand-in resolver leads any name here) */
    snprintf(name, sizeof(name), "https://other.test%s/v1", strchr(w.mock.listens[1], ':'));
    t = target(name);
    call_init(&c, &b);
    ask(&b, &c, t, "", false);
    assert_int_equal(c.result.end, FETCH_TLS);
    fetch_target_free(t);
    /* no TLS at the other end */
    snprintf(base, sizeof(base), "https://%s/v1", w.mock.listens[0]);
    t = target(base);
    call_init(&c, &b);
    ask(&b, &c, t, "", false);
    assert_int_equal(c.result.end, FETCH_TLS);
    fetch_target_free(t);
    /* and the right one, by options instead of by target */
    bench_close(&b);
    bench_open(&b, &(struct fetch_options){ .ca_file = w.ca });
    t = fetch_target_new(w.https, "/x", NULL, NULL, 0, why, sizeof(why));
    call_init(&c, &b);
    ask(&b, &c, t, "", false);
    assert_int_equal(c.result.end, FETCH_OK);
    fetch_target_free(t);
    bench_close(&b);
}

/* ---- time ---- */

static void each_wait_has_its_own_time_out(void **state)
{
    static const struct {
        const char *name, *words;
        bool stream;
        int64_t first_byte_ms, idle_ms, total_ms;
        enum fetch_end end;
        int64_t at_least_us;
    } rows[] = {
        { "silent", "stall=-2", false, 150, 0, 0, FETCH_TIMEOUT_FIRST_BYTE, 150000 },
        { "head, then silent", "stall=0", false, 150, 0, 0, FETCH_TIMEOUT_FIRST_BYTE, 150000 },
        { "silent within the body", "stall=10", false, 5000, 150, 0, FETCH_TIMEOUT_IDLE, 150000 },
        { "silent within the stream", "stall=2", true, 5000, 150, 0, FETCH_TIMEOUT_IDLE, 150000 },
        { "slow but steady", "chunks=1000,every_ms=20", true, 5000, 5000, 300, FETCH_TIMEOUT_TOTAL, 300000 },
        { "silent, total only", "stall=-2", false, 0, 100, 200, FETCH_TIMEOUT_TOTAL, 200000 },
        { "slower than idle in total, never between", "chunks=10,every_ms=30", true, 5000, 200, 0, FETCH_OK, 250000 },
        { "first byte just in time", "body_ms=100", false, 1000, 50, 0, FETCH_OK, 100000 },
    };
    struct bench b;
    struct fetch_target *t = target(w.base);

    (void)state;
    bench_open(&b, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[256];
        struct fetch_spec s;
        struct span body;
        struct call c;

        snprintf(text, sizeof(text), "{\"stream\":%s,\"x\":\"mock:%s\"}", rows[i].stream ? "true" : "false", rows[i].words);
        s = spec_of(t, &body, text);
        s.first_byte_ms = rows[i].first_byte_ms;
        s.idle_ms = rows[i].idle_ms;
        s.total_ms = rows[i].total_ms;
        call_init(&c, &b);
        start(&b, &c, &s);
        run_until(&b, &c.ended, PATIENCE_MS);
        if (c.result.end != rows[i].end || c.result.total_us < rows[i].at_least_us)
            fail_msg("%s: %s after %ld us", rows[i].name, fetch_end_name(c.result.end), (long)c.result.total_us);
    }
    fetch_target_free(t);
    bench_close(&b);
}

static void a_connection_that_does_not_come_times_out(void **state)
{
    struct bench b;
    uint16_t port;
    int fillers[4];
    char base[128];
    const int fd = deaf_listener(&port, fillers, 4);
    const char *const schemes[] = { "http", "https" };

    (void)state;
    bench_open(&b, NULL);
    for (size_t i = 0; i < 2; i++) {    /* SYN unanswered */
        struct fetch_target *t;
        struct fetch_spec s;
        struct span body;
        struct call c;

        snprintf(base, sizeof(base), "%s://127.0.0.1:%d", schemes[i], port);
        t = target(base);
        s = spec_of(t, &body, "x");
        s.connect_ms = 150;
        call_init(&c, &b);
        start(&b, &c, &s);
        run_until(&b, &c.ended, PATIENCE_MS);
        assert_int_equal(c.result.end, FETCH_TIMEOUT_CONNECT);
        assert_true(c.result.total_us >= 150000);
        fetch_target_free(t);
    }
    for (int i = 0; i < 4; i++)
        close(fillers[i]);
    close(fd);
    /* accepted by the system, no answer to the hello */
    const int quiet = deaf_listener(&port, NULL, 0);
    struct fetch_target *t;
    struct fetch_spec s;
    struct span body;
    struct call c;
    snprintf(base, sizeof(base), "https://127.0.0.1:%d", port);
    t = target(base);
    s = spec_of(t, &body, "x");
    s.connect_ms = 150;
    call_init(&c, &b);
    start(&b, &c, &s);
    run_until(&b, &c.ended, PATIENCE_MS);
    assert_int_equal(c.result.end, FETCH_TIMEOUT_CONNECT);
    fetch_target_free(t);
    close(quiet);
    bench_close(&b);
}

/* connect(2) says EAGAIN at once: it must neither fail nor spin. */
static void a_full_unix_socket_is_tried_until_the_time_out(void **state)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    struct bench b;
    char base[160];
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0), filler = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct fetch_target *t;
    struct fetch_spec s;
    struct span body;
    struct call c;
    struct rusage before, after;

    (void)state;
    snprintf(a.sun_path, sizeof(a.sun_path), "%s/full.sock", w.dir);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(fd, 0), 0);
    assert_int_equal(connect(filler, (struct sockaddr *)&a, sizeof(a)), 0);
    snprintf(base, sizeof(base), "unix:%s", a.sun_path);
    bench_open(&b, NULL);
    t = target("unix:/nonexistent/x.sock");    /* the handle that comes back from this must not remember its cause */
    call_init(&c, &b);
    ask(&b, &c, t, "", false);
    assert_int_equal(c.result.end, FETCH_CONNECT);
    fetch_target_free(t);
    t = target(base);
    s = spec_of(t, &body, "x");
    s.connect_ms = 300;
    call_init(&c, &b);
    getrusage(RUSAGE_SELF, &before);
    start(&b, &c, &s);
    run_until(&b, &c.ended, PATIENCE_MS);
    getrusage(RUSAGE_SELF, &after);
    assert_int_equal(c.result.end, FETCH_TIMEOUT_CONNECT);
    assert_true((after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000000 +
                after.ru_utime.tv_usec - before.ru_utime.tv_usec < 150000);
    /* and when a place is free, it goes through: here as far as a silent peer lets it */
    s.connect_ms = 5000;
    s.first_byte_ms = 300;
    call_init(&c, &b);
    start(&b, &c, &s);
    run_until(&b, NULL, 50);
    assert_false(c.ended);
    close(accept(fd, NULL, NULL));
    run_until(&b, &c.ended, PATIENCE_MS);
    assert_int_equal(c.result.end, FETCH_TIMEOUT_FIRST_BYTE);
    unlink(a.sun_path);
    close(fd);
    close(filler);
    fetch_target_free(t);
    bench_close(&b);
}

/* curl joins the thread of a lookup when its handle is removed, unless told otherwise: the loop stood for seconds. */
static void a_slow_name_server_does_not_stop_the_loop(void **state)
{
    struct bench b;
    struct fetch_target *t = target("https://slow.test/v1");
    struct fetch_spec s;
    struct span body;
    struct call c[100];
    int64_t started;

    (void)state;
    atomic_store(&lookups_most, 0);
    bench_open(&b, &(struct fetch_options){ .max_resolving = 16 });
    s = spec_of(t, &body, "x");
    s.connect_ms = 200;
    started = clock_mono_ms();
    for (size_t i = 0; i < 100; i++) {
        call_init(&c[i], &b);
        start(&b, &c[i], &s);
    }
    for (size_t i = 0; i < 100; i++) {
        run_until(&b, &c[i].ended, PATIENCE_MS);
        assert_int_equal(c[i].result.end, FETCH_TIMEOUT_CONNECT);
    }
    assert_true(clock_mono_ms() - started < 1200);
    assert_int_equal(atomic_load(&lookups_most), 16);
    bench_close(&b);
    fetch_target_free(t);
    while (atomic_load(&lookups_now))    /* the threads go on without us */
        usleep(10000);
}

/* ---- a kept connection that the peer has closed ---- */

static void one_send_on_a_dead_kept_connection_is_made_good(void **state)
{
    static const char lines[] = "bytes=5\ncut=-2\nbytes=6\ncut=-2\ncut=-2";
    struct bench b;
    struct fetch_target *t = target(w.base);
    struct fetch_spec s;
    struct span body;
    struct call c;
    struct buf out;

    (void)state;
    buf_init(&out, 4096);
    assert_true(mock_run_ask(&w.mock, "POST", "/mock/script/stale", span_str(lines), &out));
    buf_free(&out);
    bench_open(&b, NULL);
    s = spec_of(t, &body, "{\"model\":\"stale\"}");
    call_init(&c, &b);    /* bytes=5 */
    start(&b, &c, &s);
    run_until(&b, &c.ended, PATIENCE_MS);
    assert_int_equal(c.result.end, FETCH_OK);
    call_init(&c, &b);    /* kept, closed without a byte: sent again over a new one */
    start(&b, &c, &s);
    run_until(&b, &c.ended, PATIENCE_MS);
    assert_int_equal(c.result.end, FETCH_OK);
    assert_int_equal(c.result.sends, 2);
    s.no_resend = true;
    call_init(&c, &b);    /* the same, forbidden */
    start(&b, &c, &s);
    run_until(&b, &c.ended, PATIENCE_MS);
    assert_int_equal(c.result.end, FETCH_RESET);
    assert_int_equal(c.result.sends, 1);
    s.no_resend = false;
    call_init(&c, &b);    /* a new connection that closes is no stale one */
    start(&b, &c, &s);
    run_until(&b, &c.ended, PATIENCE_MS);
    assert_int_equal(c.result.end, FETCH_RESET);
    assert_int_equal(c.result.sends, 1);
    fetch_target_free(t);
    bench_close(&b);
}

/* The same with a body that is read from its spans: it must begin again at its first byte. */
static void what_is_sent_again_is_sent_whole(void **state)
{
    static const char lines[] = "bytes=5\ncut=-2\nbytes=6";
    struct bench b;
    struct fetch_target *t = target(w.base);
    struct fetch_spec s;
    struct span parts[2];
    char *text = malloc(100000);
    struct call c;
    struct buf out;

    (void)state;
    assert_non_null(text);
    memset(text, 'x', 100000);
    memcpy(text, "{\"model\":\"again\"", 16);
    memcpy(text + 99990, "0123456789", 10);
    buf_init(&out, 1 << 20);
    assert_true(mock_run_ask(&w.mock, "POST", "/mock/script/again", span_str(lines), &out));
    bench_open(&b, NULL);
    s = spec_of(t, parts, "");
    parts[0] = (struct span){ text, 60000 };
    parts[1] = (struct span){ text + 60000, 40000 };
    s.n_body = 2;
    for (int i = 0; i < 2; i++) {
        call_init(&c, &b);
        start(&b, &c, &s);
        run_until(&b, &c.ended, PATIENCE_MS);
        assert_int_equal(c.result.end, FETCH_OK);
        assert_int_equal(c.result.sends, i + 1);
    }
    assert_true(mock_run_ask(&w.mock, "GET", "/mock/body/last", SPAN_NONE, &out));
    assert_int_equal(out.n, 100000);
    assert_memory_equal(out.p, text, 100000);
    buf_free(&out);
    free(text);
    fetch_target_free(t);
    bench_close(&b);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    char c;

    (void)what;
    (*(int *)arg) += (int)read(fd, &c, 1);
}

/* curl's resolver closes descriptors of its own without a word: an event left on one would keep the loop from
 * watching the next owner of that number. */
static void a_lookup_leaves_no_event_behind(void **state)
{
    enum { MANY = 40 };
    struct bench b;
    struct fetch_target *t = target("https://gone.test/v1");
    struct event *events[2 * MANY];
    int pairs[MANY][2], heard = 0;
    struct call c;

    (void)state;
    bench_open(&b, NULL);
    call_init(&c, &b);
    ask(&b, &c, t, "", false);
    assert_int_equal(c.result.end, FETCH_RESOLVE);
    for (int i = 0; i < MANY; i++) {    /* among them the numbers that the resolver had */
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pairs[i]), 0);
        for (int k = 0; k < 2; k++) {
            events[2 * i + k] = event_new(b.base, pairs[i][k], EV_READ | EV_PERSIST, on_readable, &heard);
            event_add(events[2 * i + k], NULL);
            assert_int_equal(write(pairs[i][1 - k], "x", 1), 1);
        }
    }
    run_until(&b, NULL, 50);
    assert_int_equal(heard, 2 * MANY);
    for (int i = 0; i < MANY; i++)
        for (int k = 0; k < 2; k++) {
            event_free(events[2 * i + k]);
            close(pairs[i][k]);
        }
    fetch_target_free(t);
    bench_close(&b);
}

/* ---- addresses ---- */

static void only_addresses_that_we_may_call_are_targets(void **state)
{
    static const struct {
        const char *base;
        unsigned flags;
        const char *origin, *path;    /* NULL: refused */
    } rows[] = {
        { "https://api.deepseek.com/v1", 0, "https://api.deepseek.com", "/v1/x" },
        { "https://api.deepseek.com/v1/", 0, "https://api.deepseek.com", "/v1/x" },
        { "https://api.deepseek.com", 0, "https://api.deepseek.com", "/x" },
        { "https://h:8443/a/b?api-version=2", 0, "https://h:8443", "/a/b/x" },
        { "http://127.0.0.1:8000/v1", 0, "http://127.0.0.1:8000", "/v1/x" },
        { "http://127.9.9.9/v1", 0, "http://127.9.9.9", "/v1/x" },
        { "http://[::1]:8000/v1", 0, "http://[::1]:8000", "/v1/x" },
        { "http://localhost/v1", 0, "http://localhost", "/v1/x" },
        { "unix:/run/v.sock", 0, "unix:/run/v.sock", "/v1/x" },
        { "http://vllm.internal:8000/v1", FETCH_ALLOW_HTTP, "http://vllm.internal:8000", "/v1/x" },
        { "http://vllm.internal:8000/v1", 0, NULL, NULL },
        { "http://10.0.0.1/v1", 0, NULL, NULL },
        { "http://localhost.evil.example/v1", 0, NULL, NULL },
        { "http://127.0.0.1.evil.example/v1", 0, NULL, NULL },
        { "http://2130706433.example/v1", 0, NULL, NULL },
        { "https://user:pass@h/v1", 0, NULL, NULL },
        { "https://user@h/v1", 0, NULL, NULL },
        { "https://h/v1#frag", 0, NULL, NULL },
        { "ftp://h/v1", FETCH_ALLOW_HTTP, NULL, NULL },
        { "file:///etc/passwd", FETCH_ALLOW_HTTP, NULL, NULL },
        { "gopher://127.0.0.1/", FETCH_ALLOW_HTTP, NULL, NULL },
        { "api.deepseek.com/v1", 0, NULL, NULL },
        { "https://h\r\nx/v1", 0, NULL, NULL },
        { "https:// h/v1", 0, NULL, NULL },
        { "", 0, NULL, NULL },
        { "unix:relative.sock", 0, NULL, NULL },
    };
    char why[200];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fetch_target *t = fetch_target_new(rows[i].base, "/x", NULL, NULL, rows[i].flags, why, sizeof(why));

        if (!t && rows[i].origin)
            fail_msg("%s: refused: %s", rows[i].base, why);
        if (t && !rows[i].origin)
            fail_msg("%s: taken", rows[i].base);
        if (t) {
            assert_string_equal(fetch_target_origin(t), rows[i].origin);
            assert_string_equal(fetch_target_path(t), rows[i].path);
        } else {
            assert_true(why[0] != '\0');
        }
        fetch_target_free(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_addresses_that_we_may_call_are_targets),
        cmocka_unit_test(an_answer_comes_whole_over_tcp_unix_and_tls),
        cmocka_unit_test(a_kept_connection_is_used_again),
        cmocka_unit_test(the_body_goes_out_byte_for_byte_from_its_spans),
        cmocka_unit_test(headers_are_the_prepared_ones_and_the_calls_own),
        cmocka_unit_test(one_head_is_told_although_a_103_comes_first),
        cmocka_unit_test(an_error_status_is_an_answer_like_any),
        cmocka_unit_test(a_redirect_is_not_followed),
        cmocka_unit_test(the_environments_proxy_is_not_asked),
        cmocka_unit_test(each_fault_has_its_end),
        cmocka_unit_test(a_body_above_its_cap_is_too_large),
        cmocka_unit_test(nobody_there_is_connect_or_resolve),
        cmocka_unit_test(a_certificate_counts_only_by_our_authority_and_for_its_name),
        cmocka_unit_test(each_wait_has_its_own_time_out),
        cmocka_unit_test(a_connection_that_does_not_come_times_out),
        cmocka_unit_test(a_full_unix_socket_is_tried_until_the_time_out),
        cmocka_unit_test(a_slow_name_server_does_not_stop_the_loop),
        cmocka_unit_test(one_send_on_a_dead_kept_connection_is_made_good),
        cmocka_unit_test(what_is_sent_again_is_sent_whole),
        cmocka_unit_test(a_lookup_leaves_no_event_behind),
    };

    int failed = cmocka_run_group_tests_name("plain", tests, world_open, world_close);

    w.over_tls = true;
    failed += cmocka_run_group_tests_name("over TLS, by curl", tests, world_open, world_close);
    return failed;
}
