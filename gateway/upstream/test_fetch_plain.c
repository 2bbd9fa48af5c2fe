/* test_fetch_plain.c - the plain client against a peer that says, byte for byte, what the test wants.
 *
 * What fetch.h promises of every upstream is in test_fetch.c and test_fetch_flow.c; here is what a peer of the mock's
 * manners cannot show. Guards against public reports of other gateways: a cut answer that passes as whole
 * (Portkey-AI/gateway#1797), and answers that one reader frames otherwise than the next (request smuggling). */
#include "gateway/upstream/fetch_target.h"
#include "gateway/upstream/test_fetch_world.h"

#include <arpa/inet.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the peer: in the same loop, one connection at a time ---- */

enum behind { KEEP, CLOSE, RESET };

struct peer {
    struct event_base *base;
    struct event listen_event, read_event, timer;
    int listen_fd, fd;
    char url[64];
    struct span text;              /* the answer to each request */
    size_t split;                  /* so many bytes at first, the rest after `rest_us`; 0: all at once */
    long rest_us;
    enum behind behind;
    bool eager;                    /* answers before the request has come, and does not read it */
    int accepted;
    bool gone;                     /* there is no connection */
    size_t requests;               /* answered */
    struct buf in;
    char last[1024];               /* request */
};

static void peer_hang_up(struct peer *p)
{
    const struct linger at_once = { 1, 0 };

    if (p->fd < 0)
        return;
    if (p->behind == RESET)
        setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    event_del(&p->read_event);
    event_del(&p->timer);
    close(p->fd);
    p->fd = -1;
    p->gone = true;
}

static void peer_say(struct peer *p, struct span s)
{
    while (s.n) {
        const ssize_t n = send(p->fd, s.p, s.n, MSG_NOSIGNAL);

        if (n < 0)
            return;    /* the client has heard enough */
        s = span_skip(s, (size_t)n);
    }
}

static void on_rest(evutil_socket_t fd, short what, void *arg)
{
    struct peer *p = arg;

    (void)fd;
    (void)what;
    peer_say(p, span_skip(p->text, p->split));
    if (p->behind != KEEP)
        peer_hang_up(p);
}

static void peer_answer(struct peer *p)
{
    const struct timeval soon = { 0, p->rest_us };

    p->requests++;
    if (p->split) {
        peer_say(p, span_first(p->text, p->split));
        event_add(&p->timer, &soon);
        return;
    }
    peer_say(p, p->text);
    if (p->behind != KEEP)
        peer_hang_up(p);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct peer *p = arg;
    char bytes[4096];
    const ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

    (void)what;
    if (n <= 0) {
        peer_hang_up(p);
        return;
    }
    buf_add(&p->in, bytes, (size_t)n);
    if (span_ends(buf_span(&p->in), SPAN_LIT("\r\n\r\n"))) {    /* a GET: nothing behind its head */
        snprintf(p->last, sizeof(p->last), "%.*s", SPAN_FMT(buf_span(&p->in)));
        buf_clear(&p->in);
        peer_answer(p);
    }
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
    struct peer *p = arg;
    const int on = 1;

    (void)what;
    peer_hang_up(p);
    p->fd = accept(fd, NULL, NULL);
    assert_true(p->fd >= 0);
    setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));    /* pieces that wait for no acknowledgement */
    p->accepted++;
    p->gone = false;
    buf_clear(&p->in);
    event_assign(&p->read_event, p->base, p->fd, EV_READ | EV_PERSIST, on_readable, p);
    if (p->eager)
        peer_answer(p);
    else
        event_add(&p->read_event, NULL);
}

static bool peer_open(struct peer *p, struct bench *b, int family)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } a = { .any.sa_family = (sa_family_t)family };
    socklen_t n = family == AF_INET ? sizeof(a.in) : sizeof(a.in6);

    *p = (struct peer){ .base = b->base, .fd = -1, .rest_us = 500 };
    buf_init(&p->in, 1 << 20);
    if (family == AF_INET)
        a.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else
        a.in6.sin6_addr = in6addr_loopback;
    p->listen_fd = socket(family, SOCK_STREAM, 0);
    if (p->listen_fd < 0 || bind(p->listen_fd, &a.any, n) || listen(p->listen_fd, 16) ||
        getsockname(p->listen_fd, &a.any, &n))
        return false;    /* a machine without IPv6 */
    snprintf(p->url, sizeof(p->url), "http://%s:%d", family == AF_INET ? "127.0.0.1" : "localhost",
             ntohs(family == AF_INET ? a.in.sin_port : a.in6.sin6_port));
    event_assign(&p->listen_event, p->base, p->listen_fd, EV_READ | EV_PERSIST, on_accept, p);
    event_add(&p->listen_event, NULL);
    event_assign(&p->timer, p->base, -1, 0, on_rest, p);
    return true;
}

static void peer_close(struct peer *p)
{
    peer_hang_up(p);
    event_del(&p->listen_event);
    close(p->listen_fd);
    buf_free(&p->in);
}

/* ---- one call ---- */

static struct fetch_spec get(const struct fetch_target *t)
{
    return (struct fetch_spec){ .target = t, .method = FETCH_GET, .connect_ms = 5000, .first_byte_ms = 5000,
                                .idle_ms = 5000, .total_ms = 20000, .no_resend = true };
}

static void fetch_once(struct bench *b, struct call *c, const struct fetch_target *t)
{
    const struct fetch_spec s = get(t);

    call_init(c, b);
    c->keep_body = true;
    start(b, c, &s);
    run_until(b, &c->ended, PATIENCE_MS);
}

static const struct {
    const char *name;
    struct span text;
    size_t head;                   /* bytes of it */
    const char *body;
    bool to_end;
} answers[] = {
#define ANSWER(name, head, body, text, to_end) { name, SPAN_LIT(head body), sizeof(head) - 1, text, to_end }
    ANSWER("by length", "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 11\r\n\r\n", "hello world", "hello world", false),
    ANSWER("chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nA: b\r\n\r\n",
           "hello world", false),
    ANSWER("to the end", "HTTP/1.1 200 OK\r\n\r\n", "hello world", "hello world", true),
    ANSWER("behind a 100 and a 103", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 \r\nLink: x\r\n\r\n"
           "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n", "hello world", "hello world", false),
};
#define N_ANSWERS (sizeof(answers) / sizeof(answers[0]))

static void an_answer_cut_at_any_byte_is_never_whole(void **state)
{
    struct bench b;
    struct peer p;

    (void)state;
    bench_open(&b, NULL);
    assert_true(peer_open(&p, &b, AF_INET));
    struct fetch_target *t = target(p.url);
    for (size_t i = 0; i < N_ANSWERS; i++)
        for (size_t cut = 0; cut <= answers[i].text.n; cut++)
            for (int reset = 0; reset < 2; reset++) {
                const bool headed = cut >= answers[i].head;
                enum fetch_end want = FETCH_RESET;
                struct call c;

                if (reset && (cut == 0 || cut == answers[i].text.n))
                    continue;
                p.text = span_first(answers[i].text, cut);
                p.behind = reset ? RESET : CLOSE;
                fetch_once(&b, &c, t);
                if (cut == answers[i].text.n || (headed && answers[i].to_end && !reset))
                    want = FETCH_OK;
                else if (c.bytes)
                    want = FETCH_CUT;
                if (c.result.end != want && !(reset && c.result.end == FETCH_RESET))    /* a RST may overtake its data */
                    fail_msg("%s, cut at %zu: %s (%s)", answers[i].name, cut, fetch_end_name(c.result.end), c.detail);
                if (!reset && (c.result.status != (headed ? 200 : 0) || c.heads != headed))
                    fail_msg("%s, cut at %zu: status %d, %d heads", answers[i].name, cut, c.result.status, c.heads);
                assert_true(span_starts(span_str(answers[i].body), buf_span(&c.body)));
                if (want == FETCH_OK && !answers[i].to_end)
                    assert_string_equal(buf_span(&c.body).p, answers[i].body);
                assert_int_equal(c.result.sends, 1);
                buf_free(&c.body);
            }
    fetch_target_free(t);
    peer_close(&p);
    bench_close(&b);
}

static void an_answer_in_any_two_pieces_is_the_same(void **state)
{
    struct bench b;
    struct peer p;

    (void)state;
    bench_open(&b, NULL);
    assert_true(peer_open(&p, &b, AF_INET));
    struct fetch_target *t = target(p.url);
    for (size_t i = 0; i < N_ANSWERS; i++) {
        p.text = answers[i].text;
        p.behind = answers[i].to_end ? CLOSE : KEEP;
        for (p.split = 1; p.split < p.text.n; p.split++) {
            struct call c;

            fetch_once(&b, &c, t);
            if (c.result.end != FETCH_OK || c.result.status != 200 || c.heads != 1 ||
                !span_is(buf_span(&c.body), answers[i].body))
                fail_msg("%s, split at %zu: %s (%s) \"%.*s\"", answers[i].name, p.split, fetch_end_name(c.result.end),
                         c.detail, SPAN_FMT(buf_span(&c.body)));
            buf_free(&c.body);
        }
    }
    assert_true(p.accepted < (int)p.requests);    /* and the kept ones were kept */
    fetch_target_free(t);
    peer_close(&p);
    bench_close(&b);
}

#define OK11 "HTTP/1.1 200 OK\r\n"

static void an_answer_that_can_be_read_in_two_ways_is_malformed(void **state)
{
    static const struct {
        const char *name;
        enum fetch_end end;
        int status;
        struct span text;
    } rows[] = {
        { "no HTTP", FETCH_MALFORMED, 0, SPAN_LIT("SSH-2.0-OpenSSH\r\n") },
        { "a page without a head", FETCH_MALFORMED, 0, SPAN_LIT("<html></html>") },
        { "one byte of something else", FETCH_MALFORMED, 0, SPAN_LIT("x") },
        { "HTTP/2", FETCH_MALFORMED, 0, SPAN_LIT("HTTP/2 200\r\n\r\n") },
        { "101", FETCH_MALFORMED, 0, SPAN_LIT("HTTP/1.1 101 Switching Protocols\r\n\r\n") },
        { "both framings", FETCH_MALFORMED, 0, SPAN_LIT(OK11 "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") },
        { "two lengths", FETCH_MALFORMED, 0, SPAN_LIT(OK11 "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!") },
        { "another coding", FETCH_MALFORMED, 0, SPAN_LIT(OK11 "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n") },
        { "chunks in 1.0", FETCH_MALFORMED, 0, SPAN_LIT("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") },
        { "a folded field", FETCH_MALFORMED, 0, SPAN_LIT(OK11 "A: 1\r\n Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!") },
        { "bare LFs", FETCH_MALFORMED, 0, SPAN_LIT("HTTP/1.1 200 OK\nContent-Length: 5\n\nhello") },
        { "204 with a body", FETCH_MALFORMED, 0, SPAN_LIT("HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\nhello") },
        { "a 1xx with a body", FETCH_MALFORMED, 0, SPAN_LIT("HTTP/1.1 103 x\r\nContent-Length: 5\r\n\r\nhello" OK11 "\r\n") },
        { "garbage behind a 1xx", FETCH_MALFORMED, 0, SPAN_LIT("HTTP/1.1 103 x\r\n\r\nhello") },
        { "a content coding", FETCH_MALFORMED, 200, SPAN_LIT(OK11 "Content-Encoding: br\r\nContent-Length: 1\r\n\r\nx") },
        { "a content coding before identity", FETCH_MALFORMED, 200,
          SPAN_LIT(OK11 "Content-Encoding: br\r\nContent-Encoding: identity\r\nContent-Length: 1\r\n\r\nx") },
        { "a chunk size that is none", FETCH_MALFORMED, 200, SPAN_LIT(OK11 "Transfer-Encoding: chunked\r\n\r\nx\r\n") },
        { "a chunk longer than its size", FETCH_MALFORMED, 200, SPAN_LIT(OK11 "Transfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n") },
        { "a bad chunk behind a good one", FETCH_MALFORMED, 200,
          SPAN_LIT(OK11 "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n-1\r\n") },
        { "a trailer that frames", FETCH_MALFORMED, 200,
          SPAN_LIT(OK11 "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\n\r\n") },
        { "204", FETCH_OK, 204, SPAN_LIT("HTTP/1.1 204 No Content\r\n\r\n") },
        { "304", FETCH_OK, 304, SPAN_LIT("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n") },
        { "a length of 0", FETCH_OK, 500, SPAN_LIT("HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n") },
    };
    struct bench b;
    struct peer p;

    (void)state;
    bench_open(&b, NULL);
    assert_true(peer_open(&p, &b, AF_INET));
    struct fetch_target *t = target(p.url);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct call c;

        p.text = rows[i].text;
        fetch_once(&b, &c, t);
        if (c.result.end != rows[i].end || c.result.status != rows[i].status)
            fail_msg("%s: %s (%s), status %d", rows[i].name, fetch_end_name(c.result.end), c.detail, c.result.status);
        if (rows[i].end != FETCH_OK)
            assert_true(c.detail[0] != '\0');    /* it says why */
        buf_free(&c.body);
    }
    fetch_target_free(t);
    peer_close(&p);
    bench_close(&b);
}

static void heads_without_an_end_are_too_large(void **state)
{
    static const struct {
        const char *name, *first, *again, *last;
        size_t bytes;
    } rows[] = {
        { "one line", "HTTP/1.1 200 ", "x", "", 70000 },
        { "one field", OK11 "A: ", "x", "", 70000 },
        { "many fields", OK11, "A: 1\r\n", "\r\n", 2000 },
        { "many fields and no end", OK11, "A: 1\r\n", "", 70000 },
        { "heads of 103 for ever", "", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", "", 70000 },
        { "heads of 100 without fields", "", "HTTP/1.1 100 \r\n\r\n", "", 70000 },
    };
    struct bench b;
    struct peer p;

    (void)state;
    bench_open(&b, NULL);
    assert_true(peer_open(&p, &b, AF_INET));
    struct fetch_target *t = target(p.url);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf text;
        struct call c;

        buf_init(&text, 1 << 20);
        buf_add_str(&text, rows[i].first);
        while (text.n < rows[i].bytes)
            buf_add_str(&text, rows[i].again);
        buf_add_str(&text, rows[i].last);
        p.text = buf_span(&text);
        fetch_once(&b, &c, t);
        if (c.result.end != FETCH_TOO_LARGE || c.result.status != 0)
            fail_msg("%s: %s (%s), status %d", rows[i].name, fetch_end_name(c.result.end), c.detail, c.result.status);
        buf_free(&c.body);
        buf_free(&text);
    }
    /* each within the limit, together beyond */
    struct buf text;
    struct call c;
    buf_init(&text, 1 << 20);
    for (int i = 0; i < 2; i++) {
        buf_printf(&text, "HTTP/1.1 %d x\r\nA: ", i ? 200 : 103);
        for (int k = 0; k < 4000; k++)
            buf_add_str(&text, "0123456789");
        buf_add_str(&text, "\r\n\r\n");
    }
    p.text = buf_span(&text);
    fetch_once(&b, &c, t);
    assert_int_equal(c.result.end, FETCH_TOO_LARGE);
    buf_free(&c.body);
    buf_free(&text);
    fetch_target_free(t);
    peer_close(&p);
    bench_close(&b);
}

/* ---- connections ---- */

static void what_is_said_out_of_turn_is_nobodys_answer(void **state)
{
    static const struct span texts[] = {
        SPAN_LIT(OK11 "Content-Length: 5\r\n\r\nhello" OK11 "Content-Length: 4\r\n\r\nevil"),
        SPAN_LIT(OK11 "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" OK11 "Content-Length: 4\r\n\r\nevil"),
    };
    struct bench b;
    struct peer p;

    (void)state;
    bench_open(&b, NULL);
    assert_true(peer_open(&p, &b, AF_INET));
    struct fetch_target *t = target(p.url);
    for (size_t i = 0; i < 4; i++) {    /* with the answer, or a moment behind it */
        const size_t whole = i < 2 ? 0 : span_find_span(span_skip(texts[i % 2], 1), SPAN_LIT("HTTP/1.1")) + 1;

        p.text = texts[i % 2];
        p.split = whole;
        for (int again = 0; again < 3; again++) {
            const int before = p.accepted;
            struct call c;

            fetch_once(&b, &c, t);
            assert_int_equal(c.result.end, FETCH_OK);
            assert_true(span_is(buf_span(&c.body), "hello"));
            run_until(&b, &p.gone, PATIENCE_MS);
            assert_true(p.gone);
            assert_int_equal(p.accepted, before + 1);    /* none was used twice */
            buf_free(&c.body);
        }
    }
    fetch_target_free(t);
    peer_close(&p);
    bench_close(&b);
}

static void a_kept_connection_that_the_peer_closed_is_not_tried(void **state)
{
    struct bench b;
    struct peer p;
    struct call c;

    (void)state;
    bench_open(&b, NULL);
    assert_true(peer_open(&p, &b, AF_INET));
    struct fetch_target *t = target(p.url);
    p.text = answers[0].text;
    for (int i = 0; i < 3; i++) {
        fetch_once(&b, &c, t);
        assert_int_equal(c.result.end, FETCH_OK);
        assert_int_equal(c.result.sends, 1);
        assert_false(c.result.kept);
        buf_free(&c.body);
        peer_hang_up(&p);
        run_until(&b, NULL, 5);
    }
    fetch_once(&b, &c, t);
    buf_free(&c.body);
    fetch_once(&b, &c, t);    /* and one that is open is */
    assert_true(c.result.kept);
    buf_free(&c.body);
    assert_int_equal(p.accepted, 4);
    fetch_target_free(t);
    peer_close(&p);
    bench_close(&b);
}

/* The system knows, we do not yet: nothing of the request was sent, so even one that must not be sent twice goes on. */
static void a_kept_connection_that_takes_nothing_is_replaced(void **state)
{
    struct bench b;
    struct peer p;
    struct call c;

    (void)state;
    bench_open(&b, NULL);
    assert_true(peer_open(&p, &b, AF_INET));
    struct fetch_target *t = target(p.url);
    p.text = answers[0].text;
    fetch_once(&b, &c, t);
    buf_free(&c.body);
    p.behind = RESET;
    peer_hang_up(&p);
    p.behind = KEEP;
    fetch_once(&b, &c, t);    /* the loop has not run since */
    assert_int_equal(c.result.end, FETCH_OK);
    assert_int_equal(c.result.sends, 1);
    assert_false(c.result.kept);
    buf_free(&c.body);
    fetch_target_free(t);
    peer_close(&p);
    bench_close(&b);
}

static void after_one_byte_of_answer_nothing_is_sent_again(void **state)
{
    struct bench b;
    struct peer p;

    (void)state;
    bench_open(&b, NULL);
    assert_true(peer_open(&p, &b, AF_INET));
    struct fetch_target *t = target(p.url);
    for (size_t cut = 0; cut <= 60; cut += 20) {
        struct fetch_spec s = get(t);
        const size_t requests = p.requests;
        struct call c;

        p.text = answers[0].text;
        p.behind = KEEP;
        fetch_once(&b, &c, t);
        buf_free(&c.body);
        s.no_resend = false;
        p.text = span_first(p.text, cut);
        p.behind = CLOSE;
        call_init(&c, &b);
        start(&b, &c, &s);
        run_until(&b, &c.ended, PATIENCE_MS);
        assert_int_equal(c.result.end, cut < answers[0].head ? FETCH_RESET : FETCH_CUT);
        assert_int_equal(c.result.sends, cut ? 1 : 2);    /* without a byte: once more, over a new one that closes too */
        assert_int_equal(p.requests - requests, cut ? 2 : 3);
    }
    fetch_target_free(t);
    peer_close(&p);
    bench_close(&b);
}

static void only_so_many_idle_connections_are_kept(void **state)
{
    struct bench b;
    struct peer p[3];
    struct fetch_target *t[3];
    struct call c;

    (void)state;
    bench_open(&b, &(struct fetch_options){ .max_idle = 2 });
    for (int i = 0; i < 3; i++) {
        assert_true(peer_open(&p[i], &b, AF_INET));
        p[i].text = answers[0].text;
        t[i] = target(p[i].url);
        fetch_once(&b, &c, t[i]);
        buf_free(&c.body);
    }
    for (int i = 2; i >= 0; i--) {
        fetch_once(&b, &c, t[i]);
        assert_int_equal(c.result.kept, i > 0);    /* the longest idle one had to go */
        buf_free(&c.body);
    }
    for (int i = 0; i < 3; i++) {
        fetch_target_free(t[i]);
        peer_close(&p[i]);
    }
    bench_close(&b);
}

static void an_answer_before_the_request_is_sent_counts(void **state)
{
    static char text[4000000];
    struct bench b;
    struct peer p;
    struct call c;
    struct span body[16];          /* more than the kernel takes off our hands */

    (void)state;
    memset(text, 'x', sizeof(text));
    for (size_t i = 0; i < 16; i++)
        body[i] = (struct span){ text, sizeof(text) };
    bench_open(&b, NULL);
    assert_true(peer_open(&p, &b, AF_INET));
    struct fetch_target *t = target(p.url);
    struct fetch_spec s = get(t);
    p.text = SPAN_LIT("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
    p.eager = true;
    s.method = FETCH_POST;
    s.body = body;
    s.n_body = 16;
    for (int i = 0; i < 2; i++) {
        call_init(&c, &b);
        start(&b, &c, &s);
        run_until(&b, &c.ended, PATIENCE_MS);
        assert_int_equal(c.result.end, FETCH_OK);
        assert_int_equal(c.result.status, 413);
        assert_int_equal(p.accepted, i + 1);    /* half a request is left on the first: it cannot be used again */
    }
    fetch_target_free(t);
    peer_close(&p);
    bench_close(&b);
}

static void localhost_is_both_loopbacks(void **state)
{
    struct bench b;
    struct peer p;
    struct call c;

    (void)state;
    bench_open(&b, NULL);
    if (peer_open(&p, &b, AF_INET6)) {    /* nobody listens at 127.0.0.1 on this port */
        struct fetch_target *t = target(p.url);

        p.text = answers[0].text;
        fetch_once(&b, &c, t);
        assert_int_equal(c.result.end, FETCH_OK);
        assert_int_equal(c.result.sends, 1);
        buf_free(&c.body);
        fetch_target_free(t);
    }
    peer_close(&p);
    bench_close(&b);
}

/* ---- pauses ---- */

static void pause_it(struct call *c)
{
    fetch_pause(c->call);
    c->headed = true;
}

static void a_pause_between_head_and_body_holds_what_came_with_the_head(void **state)
{
    struct bench b;
    struct peer p;

    (void)state;
    bench_open(&b, NULL);
    assert_true(peer_open(&p, &b, AF_INET));
    struct fetch_target *t = target(p.url);
    const struct fetch_spec s = get(t);
    for (size_t i = 0; i < N_ANSWERS; i++)
        for (size_t k = 0; k < 3; k++) {    /* all at once; a byte of the body later; half a head before */
            struct call c;

            p.text = answers[i].text;
            p.split = k == 0 ? 0 : k == 1 ? p.text.n - 1 : 20;
            p.behind = answers[i].to_end ? CLOSE : KEEP;
            call_init(&c, &b);
            c.keep_body = true;
            c.at_head = pause_it;
            start(&b, &c, &s);
            run_until(&b, &c.headed, PATIENCE_MS);
            run_until(&b, NULL, 2);
            assert_int_equal(c.pieces, 0);
            assert_false(c.ended);
            b.inside = true;
            fetch_resume(c.call);
            fetch_pause(c.call);
            b.inside = false;
            run_until(&b, NULL, 5);
            assert_int_equal(c.pieces, 0);
            b.inside = true;
            fetch_resume(c.call);
            b.inside = false;
            run_until(&b, &c.ended, PATIENCE_MS);
            assert_int_equal(c.result.end, FETCH_OK);
            assert_true(span_is(buf_span(&c.body), answers[i].body));
            buf_free(&c.body);
        }
    fetch_target_free(t);
    peer_close(&p);
    bench_close(&b);
}

static void a_pause_does_not_count_into_the_wait_for_the_first_byte(void **state)
{
    struct bench b;
    struct peer p;
    struct call c;

    (void)state;
    bench_open(&b, NULL);
    assert_true(peer_open(&p, &b, AF_INET));
    struct fetch_target *t = target(p.url);
    struct fetch_spec s = get(t);
    s.first_byte_ms = 400;
    p.text = answers[0].text;
    p.split = 20;
    p.rest_us = 700000;
    call_init(&c, &b);
    start(&b, &c, &s);
    fetch_pause(c.call);
    run_until(&b, NULL, 600);
    fetch_resume(c.call);
    run_until(&b, &c.ended, PATIENCE_MS);
    assert_int_equal(c.result.end, FETCH_OK);
    fetch_target_free(t);
    peer_close(&p);
    bench_close(&b);
}

static void a_paused_call_with_bytes_waiting_does_not_spin(void **state)
{
    struct bench b;
    struct peer p;
    struct call c;
    struct rusage before, after;

    (void)state;
    bench_open(&b, NULL);
    assert_true(peer_open(&p, &b, AF_INET));
    struct fetch_target *t = target(p.url);
    const struct fetch_spec s = get(t);
    p.text = answers[0].text;
    p.split = p.text.n - 5;
    call_init(&c, &b);
    c.at_data = pause_it;
    start(&b, &c, &s);
    run_until(&b, &c.headed, PATIENCE_MS);
    getrusage(RUSAGE_SELF, &before);
    run_until(&b, NULL, 400);
    getrusage(RUSAGE_SELF, &after);
    assert_true((after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000000 + after.ru_utime.tv_usec -
                before.ru_utime.tv_usec + (after.ru_stime.tv_sec - before.ru_stime.tv_sec) * 1000000 +
                after.ru_stime.tv_usec - before.ru_stime.tv_usec < 100000);
    assert_int_equal(c.pieces, 1);
    fetch_resume(c.call);
    run_until(&b, &c.ended, PATIENCE_MS);
    assert_int_equal(c.result.end, FETCH_OK);
    fetch_target_free(t);
    peer_close(&p);
    bench_close(&b);
}

static void cancel_it(struct call *c)
{
    fetch_cancel(c->call);
    c->ended = true;    /* any later callback fails the test */
}

static void a_cancel_where_bytes_are_held_frees_them(void **state)
{
    struct bench b;
    struct peer p;
    struct fetch_stats stats;

    (void)state;
    bench_open(&b, NULL);
    assert_true(peer_open(&p, &b, AF_INET));
    struct fetch_target *t = target(p.url);
    const struct fetch_spec s = get(t);
    for (size_t split = 0; split < answers[1].text.n; split++)
        for (int where = 0; where < 4; where++) {
            struct call c;

            p.text = answers[1].text;
            p.split = split;
            call_init(&c, &b);
            c.at_head = where == 0 ? cancel_it : where == 1 ? pause_it : NULL;
            c.at_data = where == 2 ? cancel_it : NULL;
            start(&b, &c, &s);
            for (int turn = 0; turn < 6 && !c.ended; turn++)
                event_base_loop(b.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
            if (where == 1 && !c.ended)
                fetch_resume(c.call);    /* kicked, and gone before its turn */
            if (!c.ended)
                cancel_it(&c);
            fetch_get_stats(b.fetch, &stats);
            assert_int_equal(stats.active, 0);
            run_until(&b, NULL, 1);
        }
    fetch_get_stats(b.fetch, &stats);
    assert_int_equal(stats.started, stats.ended + stats.cancelled);
    fetch_target_free(t);
    peer_close(&p);
    bench_close(&b);
}

/* ---- what goes out ---- */

static void the_request_is_ours_byte_for_byte(void **state)
{
    struct bench b;
    struct peer p;
    struct call c;
    struct fetch_headers *h = fetch_headers_new();

    (void)state;
    bench_open(&b, NULL);
    assert_true(peer_open(&p, &b, AF_INET));
    struct fetch_target *t = target(p.url);
    struct fetch_spec s = get(t);
    char want[1500];
    assert_true(fetch_headers_add(h, "Authorization", SPAN_LIT("Bearer k")));
    s.headers = h;
    s.extra[0] = "x-session: 7";
    s.extra[1] = "x-evil: a\r\nx-worse: b";
    p.text = SPAN_LIT("x");
    call_init(&c, &b);
    start(&b, &c, &s);
    snprintf(want, sizeof(want), "GET /chat/completions HTTP/1.1\r\nHost: %s\r\nUser-Agent: tollgate\r\n"
             "Accept-Encoding: identity\r\nAuthorization: Bearer k\r\nx-session: 7\r\n\r\n", p.url + strlen("http://"));
    run_until(&b, &c.ended, PATIENCE_MS);
    assert_int_equal(c.result.end, FETCH_MALFORMED);
    assert_string_equal(p.last, want);
    fetch_headers_free(h);
    fetch_target_free(t);
    peer_close(&p);
    bench_close(&b);
}

/* What the plain client leaves to curl: names, and headers that curl gives a meaning. */
static void what_needs_curl_still_goes_through_it(void **state)
{
    struct bench b;
    struct peer p;
    struct call c;
    char why[200], url[100];
    struct fetch_headers *h = fetch_headers_new();

    (void)state;
    bench_open(&b, NULL);
    assert_true(peer_open(&p, &b, AF_INET));
    p.text = answers[0].text;
    snprintf(url, sizeof(url), "http://any.test%s", strrchr(p.url, ':'));
    struct fetch_target *t = fetch_target_new(url, "/x", NULL, NULL, FETCH_ALLOW_HTTP, why, sizeof(why));
    assert_non_null(t);
    fetch_once(&b, &c, t);
    assert_int_equal(c.result.end, FETCH_OK);
    assert_true(span_is(buf_span(&c.body), "hello world"));
    assert_non_null(strstr(p.last, "Host: any.test:"));
    buf_free(&c.body);
    fetch_target_free(t);
    t = target(p.url);
    struct fetch_spec s = get(t);
    assert_true(fetch_headers_add(h, "User-Agent", SPAN_LIT("mine")));
    assert_true(fetch_headers_add(h, "Accept", SPAN_NONE));
    s.headers = h;
    call_init(&c, &b);
    start(&b, &c, &s);
    run_until(&b, &c.ended, PATIENCE_MS);
    assert_int_equal(c.result.end, FETCH_OK);
    assert_non_null(strstr(p.last, "User-Agent: mine\r\n"));
    assert_null(strstr(p.last, "tollgate"));
    assert_null(strstr(p.last, "Accept:"));
    s.headers = NULL;
    s.extra[0] = "Host: other";
    call_init(&c, &b);
    start(&b, &c, &s);
    run_until(&b, &c.ended, PATIENCE_MS);
    assert_int_equal(c.result.end, FETCH_OK);
    assert_non_null(strstr(p.last, "Host: other\r\n"));
    assert_null(strstr(p.last, "Host: 127"));
    fetch_headers_free(h);
    fetch_target_free(t);
    peer_close(&p);
    bench_close(&b);
}

/* A model's name in a path stays one segment, whatever it holds; the plain way and curl write the same line. */
static void a_calls_own_path_stays_behind_the_targets(void **state)
{
    static const struct { const char *base, *path, *line; } rows[] = {
        { "/v1beta", "/models/m:generateContent", "GET /v1beta/models/m:generateContent HTTP/1.1\r\n" },
        { "/v1beta", "/models/m:streamGenerateContent?alt=sse",
          "GET /v1beta/models/m:streamGenerateContent?alt=sse HTTP/1.1\r\n" },
        { "/v1beta/?a=b", "/models/m?alt=sse", "GET /v1beta/models/m?a=b&alt=sse HTTP/1.1\r\n" },
        { "/v1?a=b", "/m", "GET /v1/m?a=b HTTP/1.1\r\n" },
        { "", "/m?x", "GET /m?x HTTP/1.1\r\n" },
        { "", "", "GET / HTTP/1.1\r\n" },
    };
    struct bench b;
    struct peer p;
    struct call c;

    (void)state;
    bench_open(&b, NULL);
    assert_true(peer_open(&p, &b, AF_INET));
    p.text = answers[0].text;
    for (size_t i = 0; i < 2 * (sizeof(rows) / sizeof(rows[0])); i++) {
        const bool by_curl = i % 2;
        char base[1500], why[200];

        snprintf(base, sizeof(base), "%.*s%s", (int)(7 + strcspn(p.url + 7, "/")), p.url, rows[i / 2].base);
        struct fetch_target *t = fetch_target_new(base, "", NULL, NULL, 0, why, sizeof(why));
        struct fetch_spec s = get(t);

        snprintf(s.path, sizeof(s.path), "%s", rows[i / 2].path);
        s.extra[0] = by_curl ? "Host: other" : NULL;
        call_init(&c, &b);
        start(&b, &c, &s);
        run_until(&b, &c.ended, PATIENCE_MS);
        assert_int_equal(c.result.end, FETCH_OK);
        assert_memory_equal(p.last, rows[i / 2].line, strlen(rows[i / 2].line));
        assert_true((strstr(p.last, "Host: other\r\n") != NULL) == by_curl);
        fetch_target_free(t);
    }
    peer_close(&p);
    bench_close(&b);
}

static void a_segment_of_a_path_cannot_leave_its_place(void **state)
{
    static const struct { const char *text, *path; } rows[] = {
        { "gemini-3.1-pro_x~", "/models/gemini-3.1-pro_x~" },
        { "a/b", "/models/a%2fb" },
        { "../../v1/files", "/models/..%2f..%2fv1%2ffiles" },
        { "m:deleteAll", "/models/m%3adeleteAll" },
        { "m?key=x#y", "/models/m%3fkey%3dx%23y" },
        { "m HTTP/1.1\r\nHost: evil", "/models/m%20HTTP%2f1.1%0d%0aHost%3a%20evil" },
        { "%2e%2e", "/models/%252e%252e" },
        { "\xc3\xa9", "/models/%c3%a9" },
        { "", NULL }, { ".", NULL }, { "..", NULL },
    };
    static const char *const no_paths[] = { "", "m", "m/x", "/a b", "/a\r\nx: y", "/../x", "/x/..", "/x/./y", "/x#y", "/\xc3\xa9",
                                            "/a\\b" };
    char path[FETCH_PATH_MAX], longest[FETCH_PATH_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        snprintf(path, sizeof(path), "/models");
        assert_true(fetch_path_add(path, span_str(rows[i].text)) == (rows[i].path != NULL));
        assert_string_equal(path, rows[i].path ? rows[i].path : "/models");
        assert_true(fetch_path_ok(path));
    }
    memset(longest, 'a', sizeof(longest));
    snprintf(path, sizeof(path), "/models");
    assert_false(fetch_path_add(path, (struct span){ longest, sizeof(longest) }));
    assert_string_equal(path, "/models");
    assert_true(fetch_path_add(path, (struct span){ longest, sizeof(longest) - 16 }));
    for (size_t i = 0; i < sizeof(no_paths) / sizeof(no_paths[0]); i++)
        assert_false(fetch_path_ok(no_paths[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_cut_at_any_byte_is_never_whole),
        cmocka_unit_test(an_answer_in_any_two_pieces_is_the_same),
        cmocka_unit_test(an_answer_that_can_be_read_in_two_ways_is_malformed),
        cmocka_unit_test(heads_without_an_end_are_too_large),
        cmocka_unit_test(what_is_said_out_of_turn_is_nobodys_answer),
        cmocka_unit_test(a_kept_connection_that_the_peer_closed_is_not_tried),
        cmocka_unit_test(a_kept_connection_that_takes_nothing_is_replaced),
        cmocka_unit_test(after_one_byte_of_answer_nothing_is_sent_again),
        cmocka_unit_test(only_so_many_idle_connections_are_kept),
        cmocka_unit_test(an_answer_before_the_request_is_sent_counts),
        cmocka_unit_test(localhost_is_both_loopbacks),
        cmocka_unit_test(a_pause_between_head_and_body_holds_what_came_with_the_head),
        cmocka_unit_test(a_pause_does_not_count_into_the_wait_for_the_first_byte),
        cmocka_unit_test(a_paused_call_with_bytes_waiting_does_not_spin),
        cmocka_unit_test(a_cancel_where_bytes_are_held_frees_them),
        cmocka_unit_test(the_request_is_ours_byte_for_byte),
        cmocka_unit_test(what_needs_curl_still_goes_through_it),
        cmocka_unit_test(a_calls_own_path_stays_behind_the_targets),
        cmocka_unit_test(a_segment_of_a_path_cannot_leave_its_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
