/* test_server.c - the whole engine but its mathematics: HTTP over a unix socket onto a model that repeats (fake_lm.h).
 *
 * The server runs in a thread of its own; the test is a blocking client. Nothing sleeps: where the test waits for the
 * server, it asks it something else meanwhile (/health), which the same loop answers. */
#include "engine/server.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <event2/thread.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/jscan.h"
#include "engine/fake_lm.h"

struct fixture {
    struct tokenizer *t;
    struct prompt_markers m;
    struct fake_lm fake;
    struct event_base *base;
    struct server *server;
    struct event *drain;
    pthread_t thread;
    char dir[32], path[64];        /* relative: a socket's path is short */
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct problems ps;
    struct buf path;

    problems_init(&ps);
    buf_init(&path, 4096);
    buf_printf(&path, "%s/engine/models/tiny-random/tokenizer.json", getenv("top_srcdir"));
    f->t = tokenizer_load(path.p, &ps);    /* a byte is a token */
    if (!f->t || !prompt_markers_find(f->t, &f->m, &ps)) {
        problems_print(&ps, stderr);
        return -1;
    }
    buf_free(&path);
    problems_free(&ps);
    snprintf(f->dir, sizeof f->dir, "test_server.XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    snprintf(f->path, sizeof f->path, "%s/socket", f->dir);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    rmdir(f->dir);
    tokenizer_free(f->t);
    free(f);
    return 0;
}

static void *loop(void *ctx)
{
    struct fixture *f = ctx;

    event_base_loop(f->base, EVLOOP_NO_EXIT_ON_EMPTY);
    return NULL;
}

static void on_drain(evutil_socket_t fd, short what, void *ctx)
{
    struct fixture *f = ctx;

    (void)fd;
    (void)what;
    server_drain(f->server, 5000);
}

static void begin_with(struct fixture *f, size_t slots, size_t queue, size_t context,
                       const struct connection_limits *limits)
{
    struct worker_config c = { .tokenizer = f->t, .markers = f->m, .slots = slots, .queue = queue,
                               .prefill_chunk = 128 };
    struct problems ps;
    char address[80];

    problems_init(&ps);
    fake_lm_init(&f->fake, &f->m, tokenizer_size(f->t), context);
    c.lm = f->fake.lm;
    f->base = event_base_new();
    f->server = server_new(f->base, limits);
    f->drain = event_new(f->base, -1, 0, on_drain, f);
    assert_non_null(f->server);
    assert_true(server_add_model(f->server, "echo", &c, 0, 1));
    assert_false(server_add_model(f->server, "echo", &c, 0, 1));
    snprintf(address, sizeof address, "unix:%s", f->path);
    assert_true(server_listen(f->server, address, &ps));
    assert_int_equal(pthread_create(&f->thread, NULL, loop, f), 0);
    problems_free(&ps);
}

static void begin(struct fixture *f, size_t slots, size_t queue, size_t context)
{
    begin_with(f, slots, queue, context, &server_default_limits);
}

static void end(struct fixture *f)
{
    fake_lm_open(&f->fake);
    event_active(f->drain, 0, 0);
    pthread_join(f->thread, NULL);
    server_free(f->server);
    event_free(f->drain);
    event_base_free(f->base);
    assert_int_equal(f->fake.live, 0);
    assert_int_equal(access(f->path, F_OK), -1);    /* the socket's file is gone */
    fake_lm_free(&f->fake);
}

/* ---- the client ---- */

struct reply {
    int status;
    struct buf head, body;     /* body: chunks joined */
    bool closed, cut;          /* cut: ended in the middle */
};

static int dial(const struct fixture *f)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    const struct timeval tv = { 20, 0 };    /* a hang is a failure, not a wait for ever */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(to.sun_path, sizeof to.sun_path, "%s", f->path);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    return fd;
}

static void send_all(int fd, struct span s)
{
    while (s.n) {
        const ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);

        if (n < 0)    /* the server may have closed on a bad request */
            return;
        s = span_skip(s, (size_t)n);
    }
}

/* Exactly as much as the reply has, byte by byte for the head: what follows stays in the socket. */
static bool take(int fd, struct buf *b, size_t n)
{
    char piece[4096];

    while (n) {
        const ssize_t got = read(fd, piece, n < sizeof piece ? n : sizeof piece);

        if (got <= 0)
            return false;
        buf_add(b, piece, (size_t)got);
        n -= (size_t)got;
    }
    return true;
}

static bool take_line(int fd, struct buf *b)
{
    const size_t from = b->n;

    while (b->n < from + 2 || memcmp(b->p + b->n - 2, "\r\n", 2) != 0)
        if (!take(fd, b, 1))
            return false;
    return true;
}

static void take_chunks(int fd, struct reply *r)
{
    for (;;) {
        struct buf line;
        unsigned long n = 0;

        buf_init(&line, 100);
        r->cut = !take_line(fd, &line);
        if (!r->cut)
            n = strtoul(line.p, NULL, 16);
        buf_free(&line);
        if (r->cut)
            return;
        if (n)
            r->cut = !take(fd, &r->body, n);
        buf_init(&line, 100);
        r->cut |= !take_line(fd, &line);
        buf_free(&line);
        if (r->cut || n == 0)
            return;
    }
}

static void get_reply(int fd, struct reply *r)
{
    const char *length;

    *r = (struct reply){ 0 };
    buf_init(&r->head, 1u << 16);
    buf_init(&r->body, 16u << 20);
    buf_add_str(&r->body, "");
    for (size_t from = 0; r->head.n != from + 2; ) {    /* up to an empty line */
        from = r->head.n;
        if (!take_line(fd, &r->head)) {
            r->closed = r->cut = true;
            return;
        }
    }
    r->status = (int)strtol(r->head.p + 9, NULL, 10);
    r->closed = strstr(r->head.p, "connection: close") != NULL;
    length = strstr(r->head.p, "content-length: ");
    if (length)
        r->cut = !take(fd, &r->body, strtoul(length + 16, NULL, 10));
    else if (strstr(r->head.p, "transfer-encoding: chunked"))
        take_chunks(fd, r);
    else if (r->status != 100)
        while (take(fd, &r->body, 1))
            ;
}

static void reply_free(struct reply *r)
{
    buf_free(&r->head);
    buf_free(&r->body);
}

static void post(int fd, const char *path, const char *body)
{
    struct buf b;

    buf_init(&b, 16u << 20);
    buf_printf(&b, "POST %s HTTP/1.1\r\nhost: engine\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n%s",
               path, strlen(body), body);
    send_all(fd, buf_span(&b));
    buf_free(&b);
}

static void call(const struct fixture *f, const char *path, const char *body, struct reply *r)
{
    const int fd = dial(f);

    post(fd, path, body);
    get_reply(fd, r);
    close(fd);
}

static struct span at(const struct reply *r, const char *pointer)
{
    struct jscan *s = jscan_new(&jscan_default_limits, 1);

    assert_int_not_equal(jscan_feed(s, buf_span(&r->body)), JSCAN_BAD);    /* our JSON is JSON */
    assert_int_equal(jscan_end(s), JSCAN_DONE);
    jscan_free(s);
    return jval_pointer(buf_span(&r->body), pointer);
}

#define EXPECT_JSON(r, pointer, want) \
    do { \
        const struct span got_ = at(r, pointer); \
        if (!span_is(got_, want)) \
            fail_msg("%s is %.*s", pointer, SPAN_FMT(got_)); \
    } while (0)

/* Joins the deltas of a stream's events; checks their order. */
static void join(const struct reply *r, const char *field, struct buf *text)
{
    struct span rest = buf_span(&r->body);
    bool done = false;

    while (rest.n) {
        const size_t end_at = span_find_span(rest, SPAN_LIT("\n\n"));
        struct span event = span_first(rest, end_at), delta;

        assert_true(end_at < rest.n);
        assert_false(done);
        rest = span_skip(rest, end_at + 2);
        if (span_is(event, "data: [DONE]")) {
            done = true;
            continue;
        }
        assert_true(span_starts(event, SPAN_LIT("data: {")));
        delta = jval_raw(jval_get(jval_pointer(span_skip(event, 6), "/choices/0/delta"), field));
        if (delta.p) {
            char out[8192];

            assert_true(delta.n <= sizeof out);
            buf_add(text, out, jraw_unescape(delta, out));
        }
    }
    assert_true(done);
}

static size_t running(const struct fixture *f)
{
    const int fd = dial(f);
    struct reply r;
    int64_t n = -1;

    send_all(fd, SPAN_LIT("GET /health HTTP/1.1\r\nhost: engine\r\n\r\n"));
    get_reply(fd, &r);
    close(fd);
    assert_int_equal(r.status, 200);
    assert_true(jval_int(at(&r, "/models/0/running"), &n));
    reply_free(&r);
    return (size_t)n;
}

/* ---- tests ---- */

static void a_chat_is_answered(void **state)
{
    struct fixture *f = *state;
    struct reply r;

    begin(f, 2, 2, 100);
    call(f, "/v1/chat/completions",
         "{\"model\":\"echo\",\"messages\":[{\"role\":\"user\",\"content\":\"say \\\"h\\u00e9\\\"\"}]}", &r);
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.head.p, "content-type: application/json\r\n"));
    EXPECT_JSON(&r, "/object", "\"chat.completion\"");
    EXPECT_JSON(&r, "/model", "\"echo\"");
    EXPECT_JSON(&r, "/choices/0/index", "0");
    EXPECT_JSON(&r, "/choices/0/message/role", "\"assistant\"");
    EXPECT_JSON(&r, "/choices/0/message/content", "\"say \\\"h\u00e9\\\"\"");
    EXPECT_JSON(&r, "/choices/0/finish_reason", "\"stop\"");
    EXPECT_JSON(&r, "/usage/prompt_tokens", "13");        /* BOS USER 9 bytes ASST </think> */
    EXPECT_JSON(&r, "/usage/completion_tokens", "10");    /* 9 bytes and the end */
    EXPECT_JSON(&r, "/usage/total_tokens", "23");
    EXPECT_JSON(&r, "/usage/prompt_tokens_details/cached_tokens", "0");
    assert_null(jval_get(jval_pointer(buf_span(&r.body), "/choices/0/message"), "reasoning_content").p);
    reply_free(&r);
    end(f);
}

static void a_stream_has_the_events_of_openai(void **state)
{
    struct fixture *f = *state;
    struct reply r;
    struct buf text;

    begin(f, 2, 2, 100);
    call(f, "/v1/chat/completions",
         "{\"model\":\"echo\",\"stream\":true,\"stream_options\":{\"include_usage\":true},"
         "\"messages\":[{\"role\":\"user\",\"content\":\"h\\u00e9\\nb\"}]}", &r);
    assert_int_equal(r.status, 200);
    assert_false(r.cut);
    assert_non_null(strstr(r.head.p, "content-type: text/event-stream\r\n"));
    buf_init(&text, 1000);
    join(&r, "content", &text);
    assert_string_equal(text.p, "h\u00e9\nb");
    buf_clear(&text);
    join(&r, "role", &text);
    assert_string_equal(text.p, "assistant");
    assert_non_null(strstr(r.body.p, "\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n"
                                     "data: {\"id\":"));
    assert_non_null(strstr(r.body.p, "\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":6,"));
    buf_free(&text);
    reply_free(&r);

    call(f, "/v1/chat/completions",
         "{\"model\":\"echo\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}", &r);
    assert_null(strstr(r.body.p, "usage"));    /* not asked for */
    reply_free(&r);
    end(f);
}

static void no_part_of_a_stop_string_is_sent(void **state)
{
    static const char *const forms[] = { "false", "true" };
    struct fixture *f = *state;

    begin(f, 2, 2, 100);
    for (int i = 0; i < 2; i++) {
        char body[300];
        struct reply r;
        struct buf text;

        snprintf(body, sizeof body, "{\"model\":\"echo\",\"stream\":%s,\"stop\":[\"zzz\",\"\\nEND\"],\"messages\":"
                 "[{\"role\":\"user\",\"content\":\"one\\nEN two\\nEND three\"}]}", forms[i]);
        call(f, "/v1/chat/completions", body, &r);
        assert_int_equal(r.status, 200);
        buf_init(&text, 1000);
        if (i)
            join(&r, "content", &text);
        else
            buf_add_span(&text, at(&r, "/choices/0/message/content"));
        assert_string_equal(text.p, i ? "one\nEN two" : "\"one\\nEN two\"");
        assert_non_null(strstr(r.body.p, "\"finish_reason\":\"stop\""));
        buf_free(&text);
        reply_free(&r);
    }
    end(f);
}

static void reasoning_comes_in_its_own_field(void **state)
{
    struct fixture *f = *state;
    struct reply r;

    begin(f, 2, 2, 100);
    call(f, "/v1/chat/completions",
         "{\"model\":\"echo\",\"thinking\":{\"type\":\"enabled\"},\"messages\":"
         "[{\"role\":\"user\",\"content\":\"hm\"}]}", &r);
    EXPECT_JSON(&r, "/choices/0/message/reasoning_content", "\"hm\"");
    EXPECT_JSON(&r, "/choices/0/message/content", "\"\"");
    EXPECT_JSON(&r, "/usage/completion_tokens_details/reasoning_tokens", "3");
    reply_free(&r);
    end(f);
}

static void limits_end_an_answer_as_length(void **state)
{
    struct fixture *f = *state;
    struct reply r;

    begin(f, 2, 2, 40);
    call(f, "/v1/chat/completions", "{\"model\":\"echo\",\"max_tokens\":3,\"messages\":"
         "[{\"role\":\"user\",\"content\":\"hello\"}]}", &r);
    EXPECT_JSON(&r, "/choices/0/message/content", "\"hel\"");
    EXPECT_JSON(&r, "/choices/0/finish_reason", "\"length\"");
    EXPECT_JSON(&r, "/usage/completion_tokens", "3");
    reply_free(&r);
    call(f, "/v1/chat/completions", "{\"model\":\"echo\",\"max_tokens\":9,\"max_completion_tokens\":2,\"messages\":"
         "[{\"role\":\"user\",\"content\":\"hello\"}]}", &r);
    EXPECT_JSON(&r, "/choices/0/message/content", "\"he\"");
    reply_free(&r);
    call(f, "/v1/chat/completions", "{\"model\":\"echo\",\"stream\":true,\"messages\":"
         "[{\"role\":\"user\",\"content\":\"012345678901234567890123456789012345\"}]}", &r);
    assert_int_equal(r.status, 400);    /* also as a stream: nothing had been sent */
    EXPECT_JSON(&r, "/error/code", "\"context_length_exceeded\"");
    assert_non_null(strstr(r.body.p, "40 tokens"));
    assert_non_null(strstr(r.body.p, "have 40 tokens"));
    reply_free(&r);
    end(f);
}

/* What was sent before is with the worker: the loop takes connections and bytes in the order in which they came. */
static void await_loop(const struct fixture *f)
{
    for (int turn = 0; turn < 2; turn++) {
        struct reply r;
        const int fd = dial(f);

        send_all(fd, SPAN_LIT("GET /health HTTP/1.1\r\nhost: engine\r\n\r\n"));
        get_reply(fd, &r);
        close(fd);
        reply_free(&r);
    }
}

static void many_at_once_are_answered_as_alone(void **state)
{
    enum { N = 10 };
    struct fixture *f = *state;
    struct buf alone[N];

    begin(f, 4, N, 300);
    f->fake.peak = 4;
    for (int round = 0; round < 2; round++) {
        int fds[N];

        if (round)
            fake_lm_gate(&f->fake);
        for (int i = 0; i < N; i++) {
            char body[300];
            struct reply r;

            snprintf(body, sizeof body, "{\"model\":\"echo\",\"temperature\":0.9,\"seed\":%d,\"max_tokens\":40,"
                     "\"stream\":%s,\"messages\":[{\"role\":\"user\",\"content\":\"this is question %d\"}]}",
                     i, i % 2 ? "true" : "false", i);
            fds[i] = dial(f);
            post(fds[i], "/v1/chat/completions", body);
            if (round)
                continue;
            get_reply(fds[i], &r);
            close(fds[i]);
            buf_init(&alone[i], 10000);
            if (i % 2)
                join(&r, "content", &alone[i]);
            else
                buf_add_span(&alone[i], at(&r, "/choices/0/message/content"));
            reply_free(&r);
        }
        if (!round)
            continue;
        await_loop(f);
        fake_lm_open(&f->fake);
        for (int i = 0; i < N; i++) {
            struct reply r;
            struct buf text;

            get_reply(fds[i], &r);
            close(fds[i]);
            buf_init(&text, 10000);
            if (i % 2)
                join(&r, "content", &text);
            else
                buf_add_span(&text, at(&r, "/choices/0/message/content"));
            assert_true(span_eq(buf_span(&text), buf_span(&alone[i])));
            buf_free(&text);
            buf_free(&alone[i]);
            reply_free(&r);
        }
    }
    assert_true(f->fake.max_pieces >= 2);
    end(f);
}

static void a_client_that_leaves_stops_its_job(void **state)
{
    static const char *const forms[] = { "false", "true" };
    struct fixture *f = *state;
    char content[3001];

    memset(content, 'x', 3000);
    content[3000] = '\0';
    begin(f, 2, 2, 8000);
    for (int i = 0; i < 2; i++) {
        struct buf body;
        int fd = dial(f);
        long steps;

        buf_init(&body, 10000);
        buf_printf(&body, "{\"model\":\"echo\",\"stream\":%s,\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]}",
                   forms[i], content);
        fake_lm_gate(&f->fake);
        post(fd, "/v1/chat/completions", body.p);
        buf_free(&body);
        fake_lm_await(&f->fake);
        steps = f->fake.steps;
        close(fd);
        while (running(f) > 0)    /* a step a time; without the cancellation there are 3000 */
            fake_lm_pass(&f->fake, 1);
        assert_true(f->fake.steps - steps < 100);
        fake_lm_open(&f->fake);
    }
    end(f);
}

static void a_full_queue_is_429(void **state)
{
    static const char body[] = "{\"model\":\"echo\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}";
    struct fixture *f = *state;
    struct reply r;
    int a, b;

    begin(f, 1, 1, 100);
    fake_lm_gate(&f->fake);
    a = dial(f);
    post(a, "/v1/chat/completions", body);
    fake_lm_await(&f->fake);
    b = dial(f);
    post(b, "/v1/chat/completions", body);
    while (running(f) != 1)    /* both have been read once this connection is answered */
        ;
    call(f, "/v1/chat/completions", body, &r);
    assert_int_equal(r.status, 429);
    assert_non_null(strstr(r.head.p, "retry-after: 1\r\n"));
    EXPECT_JSON(&r, "/error/code", "\"rate_limit_exceeded\"");
    reply_free(&r);
    fake_lm_open(&f->fake);
    get_reply(a, &r);
    assert_int_equal(r.status, 200);
    reply_free(&r);
    get_reply(b, &r);
    assert_int_equal(r.status, 200);
    reply_free(&r);
    close(a);
    close(b);
    end(f);
}

static void a_slow_reader_pauses_its_job(void **state)
{
    enum { N = 4000 };
    struct fixture *f = *state;
    struct buf body, text;
    struct reply r;
    long credits = 0;
    int fd, small = 4096;
    char content[N + 1];

    for (int i = 0; i < N; i++)
        content[i] = (char)('a' + i % 26);
    content[N] = '\0';
    begin(f, 2, 2, 3 * N);
    fake_lm_gate(&f->fake);
    fd = dial(f);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    buf_init(&body, 3 * N);
    buf_printf(&body, "{\"model\":\"echo\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]}",
               content);
    post(fd, "/v1/chat/completions", body.p);
    buf_free(&body);
    fake_lm_await(&f->fake);
    for (int i = 0; i < 2 * N && credits < 20; i++) {    /* steps that nobody takes: the job is paused */
        fake_lm_pass(&f->fake, 1);
        assert_int_equal(running(f), 1);
        pthread_mutex_lock(&f->fake.lock);
        credits = f->fake.credits;
        pthread_mutex_unlock(&f->fake.lock);
    }
    assert_true(credits >= 20);
    assert_true(f->fake.steps < N);
    fake_lm_open(&f->fake);
    get_reply(fd, &r);
    buf_init(&text, 2 * N);
    join(&r, "content", &text);
    assert_string_equal(text.p, content);
    buf_free(&text);
    reply_free(&r);
    close(fd);
    end(f);
}

static void a_broken_model_is_500_or_an_error_event(void **state)
{
    struct fixture *f = *state;
    struct reply r;
    int fd;

    begin(f, 2, 2, 100);
    fake_lm_fail(&f->fake, "out of luck");
    call(f, "/v1/chat/completions", "{\"model\":\"echo\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}", &r);
    assert_int_equal(r.status, 500);
    EXPECT_JSON(&r, "/error/type", "\"server_error\"");
    EXPECT_JSON(&r, "/error/message", "\"the engine failed: out of luck\"");
    reply_free(&r);

    fake_lm_fail(&f->fake, NULL);
    fake_lm_gate(&f->fake);
    fd = dial(f);
    post(fd, "/v1/chat/completions",
         "{\"model\":\"echo\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
    fake_lm_pass(&f->fake, 1);
    fake_lm_await(&f->fake);
    fake_lm_fail(&f->fake, "out of luck");
    fake_lm_open(&f->fake);
    get_reply(fd, &r);
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.body.p, "data: {\"error\":{\"message\":\"the engine failed: out of luck\""));
    assert_null(strstr(r.body.p, "[DONE]"));
    reply_free(&r);
    fake_lm_fail(&f->fake, NULL);
    close(fd);
    end(f);
}

#define POST_HEAD "POST /v1/chat/completions HTTP/1.1\r\nhost: engine\r\ncontent-type: application/json\r\n"

static void bad_requests_are_refused_with_a_reason(void **state)
{
    static const struct { const char *name; struct span bytes; int status; const char *says; bool closes; } rows[] = {
#define ROW(name, bytes, status, says, closes) { name, SPAN_LIT(bytes), status, says, closes }
        ROW("no HTTP", "hello\r\n\r\n", 400, "error", true),
        ROW("bare LF", "GET /health HTTP/1.1\nhost: x\n\n", 400, "error", true),
        ROW("two lengths", POST_HEAD "content-length: 2\r\ncontent-length: 2\r\n\r\n{}", 400, "error", true),
        ROW("length and chunked", POST_HEAD "content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n", 400, "error",
            true),
        ROW("a bad chunk", POST_HEAD "transfer-encoding: chunked\r\n\r\nzz\r\n", 400, "error", true),
        ROW("HTTP/2.0", "GET /health HTTP/2.0\r\nhost: x\r\n\r\n", 505, "error", true),
        ROW("too large by length", POST_HEAD "content-length: 4194305\r\n\r\n", 413, "larger", true),
        ROW("an unknown path", "GET /v2/models HTTP/1.1\r\nhost: x\r\n\r\n", 404, "/v1/chat/completions", false),
        ROW("a wrong method", "GET /v1/chat/completions HTTP/1.1\r\nhost: x\r\n\r\n", 405, "GET", false),
        ROW("an unknown model's page", "GET /v1/models/nix HTTP/1.1\r\nhost: x\r\n\r\n", 404, "model_not_found", false),
        ROW("a form", "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n"
            "content-type: application/x-www-form-urlencoded\r\n\r\n{}", 415, "application/json", false),
        ROW("compressed", POST_HEAD "content-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}", 415, "compressed", false),
        ROW("a browser", POST_HEAD "origin: https://example.org\r\ncontent-length: 2\r\n\r\n{}", 403, "browsers", false),
        ROW("no body", POST_HEAD "content-length: 0\r\n\r\n", 400, "no body", false),
        ROW("no JSON", POST_HEAD "content-length: 3\r\n\r\n{,}", 400, "byte", false),
        ROW("half JSON", POST_HEAD "content-length: 5\r\n\r\n{\"a\":", 400, "byte", false),
        ROW("two values", POST_HEAD "content-length: 5\r\n\r\n{} {}", 400, "byte", false),
        ROW("a key twice", POST_HEAD "content-length: 13\r\n\r\n{\"a\":1,\"a\":2}", 400, "twice", false),
        ROW("bad UTF-8", POST_HEAD "content-length: 9\r\n\r\n{\"a\":\"\xff\"}", 400, "UTF-8", false),
        ROW("an array", POST_HEAD "content-length: 2\r\n\r\n[]", 400, "object", false),
        ROW("no model", POST_HEAD "content-length: 2\r\n\r\n{}", 400, "\"param\":\"model\"", false),
        ROW("an unknown model", POST_HEAD "content-length: 15\r\n\r\n{\"model\":\"nix\"}", 404, "model_not_found", false),
#undef ROW
    };
    struct fixture *f = *state;

    begin(f, 2, 2, 100);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const int fd = dial(f);
        struct reply r;

        send_all(fd, rows[i].bytes);
        get_reply(fd, &r);
        if (r.status != rows[i].status || r.closed != rows[i].closes || !strstr(r.body.p, rows[i].says) ||
            !at(&r, "/error/message").p)
            fail_msg("%s: %d %s", rows[i].name, r.status, r.body.p);
        reply_free(&r);
        close(fd);
    }
    assert_int_equal(f->fake.steps, 0);
    end(f);
}

static void a_body_beyond_every_limit_is_refused_and_no_more(void **state)
{
    struct fixture *f = *state;
    struct reply r;
    struct buf b;
    int fd;

    begin(f, 2, 2, 100);
    buf_init(&b, 8u << 20);
    buf_add_str(&b, "{\"model\":\"echo\",\"a\":");    /* nested too deep */
    for (int i = 0; i < 100; i++)
        buf_add_char(&b, '[');
    for (int i = 0; i < 100; i++)
        buf_add_char(&b, ']');
    buf_add_char(&b, '}');
    call(f, "/v1/chat/completions", b.p, &r);
    assert_int_equal(r.status, 400);
    assert_non_null(strstr(r.body.p, "64"));
    reply_free(&r);

    buf_clear(&b);    /* chunked beyond 4 MiB: noticed as it comes */
    buf_add_str(&b, POST_HEAD "transfer-encoding: chunked\r\n\r\n500000\r\n");
    for (int i = 0; i < 0x500000; i++)
        buf_add_char(&b, ' ');
    fd = dial(f);
    send_all(fd, buf_span(&b));
    get_reply(fd, &r);
    assert_int_equal(r.status, 413);
    reply_free(&r);
    close(fd);

    buf_clear(&b);    /* a head without end */
    buf_add_str(&b, "GET /health HTTP/1.1\r\nx: ");
    for (int i = 0; i < 40000; i++)
        buf_add_char(&b, 'a');
    fd = dial(f);
    send_all(fd, buf_span(&b));
    get_reply(fd, &r);
    assert_int_equal(r.status, 431);
    reply_free(&r);
    close(fd);
    buf_free(&b);
    end(f);
}

static void requests_in_a_row_are_answered_in_order(void **state)
{
    struct fixture *f = *state;
    struct reply r;
    int fd;

    begin(f, 2, 2, 100);
    fd = dial(f);
    send_all(fd, SPAN_LIT(
        POST_HEAD "transfer-encoding: chunked\r\n\r\n"
        "10\r\n{\"model\":\"echo\",\r\n32\r\n\"messages\":[{\"role\":\"user\",\"content\":\"first!\"}]}  \r\n0\r\n\r\n"
        "GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n"
        POST_HEAD "content-length: 64\r\n\r\n"
        "{\"model\":\"echo\",\"messages\":[{\"role\":\"user\",\"content\":\"second\"}]}"
        "GET /v1/models/echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
    get_reply(fd, &r);
    EXPECT_JSON(&r, "/choices/0/message/content", "\"first!\"");
    reply_free(&r);
    get_reply(fd, &r);
    EXPECT_JSON(&r, "/data/0/id", "\"echo\"");
    EXPECT_JSON(&r, "/data/0/object", "\"model\"");
    reply_free(&r);
    get_reply(fd, &r);
    EXPECT_JSON(&r, "/choices/0/message/content", "\"second\"");
    reply_free(&r);
    get_reply(fd, &r);
    EXPECT_JSON(&r, "/id", "\"echo\"");
    assert_true(r.closed);
    reply_free(&r);
    get_reply(fd, &r);
    assert_int_equal(r.status, 0);    /* closed */
    reply_free(&r);
    close(fd);
    end(f);
}

static void an_expected_continue_is_given(void **state)
{
    struct fixture *f = *state;
    struct reply r;
    int fd;

    begin(f, 2, 2, 100);
    fd = dial(f);
    send_all(fd, SPAN_LIT(POST_HEAD "expect: 100-continue\r\ncontent-length: 60\r\n\r\n"));
    get_reply(fd, &r);
    assert_int_equal(r.status, 100);
    reply_free(&r);
    send_all(fd, SPAN_LIT("{\"model\":\"echo\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"));
    get_reply(fd, &r);
    assert_int_equal(r.status, 200);
    reply_free(&r);
    close(fd);
    end(f);
}

static void an_old_client_gets_a_stream_until_close(void **state)
{
    struct fixture *f = *state;
    struct reply r;
    struct buf text;
    int fd;

    begin(f, 2, 2, 100);
    fd = dial(f);
    send_all(fd, SPAN_LIT("POST /v1/chat/completions HTTP/1.0\r\ncontent-length: 74\r\n\r\n{\"model\":\"echo\","
                          "\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"));
    get_reply(fd, &r);
    assert_int_equal(r.status, 200);
    assert_null(strstr(r.head.p, "chunked"));
    buf_init(&text, 100);
    join(&r, "content", &text);
    assert_string_equal(text.p, "hi");
    buf_free(&text);
    reply_free(&r);
    close(fd);
    end(f);
}

static void a_slow_request_is_408(void **state)
{
    struct connection_limits limits = server_default_limits;
    struct fixture *f = *state;
    struct reply r;
    int fd;

    limits.head_ms = 1;
    limits.body_idle_ms = 1;
    limits.keepalive_ms = 1;
    begin_with(f, 2, 2, 100, &limits);
    fd = dial(f);
    send_all(fd, SPAN_LIT("GET /hea"));
    get_reply(fd, &r);
    assert_int_equal(r.status, 408);
    reply_free(&r);
    close(fd);
    fd = dial(f);
    send_all(fd, SPAN_LIT(POST_HEAD "content-length: 5\r\n\r\n{"));
    get_reply(fd, &r);
    assert_int_equal(r.status, 408);
    reply_free(&r);
    close(fd);
    fd = dial(f);
    get_reply(fd, &r);    /* an idle one is just closed */
    assert_int_equal(r.status, 0);
    reply_free(&r);
    close(fd);
    end(f);
}

static void tokens_are_counted(void **state)
{
    struct fixture *f = *state;
    struct reply r;

    begin(f, 2, 2, 100);
    call(f, "/tokenize", "{\"model\":\"echo\",\"prompt\":\"a<think>\"}", &r);
    EXPECT_JSON(&r, "/count", "8");
    reply_free(&r);
    call(f, "/v1/tokenize", "{\"model\":\"echo\",\"prompt\":\"a<think>\",\"add_special_tokens\":true}", &r);
    EXPECT_JSON(&r, "/count", "2");
    EXPECT_JSON(&r, "/tokens", "[100,261]");    /* 3 + 'a', and the marker's id in this file */
    EXPECT_JSON(&r, "/max_model_len", "100");
    reply_free(&r);
    call(f, "/tokenize", "{\"model\":\"echo\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}", &r);
    EXPECT_JSON(&r, "/count", "9");
    reply_free(&r);
    end(f);
}

static void draining_ends_what_runs_and_takes_nothing_new(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    struct reply r;
    int fd, idle;

    begin(f, 2, 2, 100);
    idle = dial(f);
    running(f);    /* the loop has accepted `idle` */
    fake_lm_gate(&f->fake);
    fd = dial(f);
    post(fd, "/v1/chat/completions", "{\"model\":\"echo\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
    fake_lm_await(&f->fake);
    event_active(f->drain, 0, 0);
    get_reply(idle, &r);    /* closed at once */
    assert_int_equal(r.status, 0);
    reply_free(&r);
    snprintf(to.sun_path, sizeof to.sun_path, "%s", f->path);
    close(idle);
    idle = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(idle, (struct sockaddr *)&to, sizeof to), -1);
    close(idle);
    fake_lm_open(&f->fake);
    get_reply(fd, &r);
    assert_int_equal(r.status, 200);
    assert_true(r.closed);
    EXPECT_JSON(&r, "/choices/0/message/content", "\"hi\"");
    reply_free(&r);
    close(fd);
    end(f);
}

static void the_socket_is_private_and_a_dead_one_is_replaced(void **state)
{
    struct fixture *f = *state;
    struct event_base *base = event_base_new();
    struct server *s = server_new(base, &server_default_limits);
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    struct problems ps;
    struct stat st;
    char address[80];
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(to.sun_path, sizeof to.sun_path, "%s", f->path);
    assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof to), 0);
    close(fd);    /* the file stays, nobody listens */
    begin(f, 1, 1, 100);
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);

    problems_init(&ps);    /* a live one is left alone */
    snprintf(address, sizeof address, "unix:%s", f->path);
    assert_false(server_listen(s, address, &ps));
    assert_non_null(strstr(ps.list[0].text, "in use"));
    server_free(s);
    event_base_free(base);
    problems_free(&ps);
    assert_int_equal(running(f), 0);
    end(f);
}

static void only_loopback_is_listened_at(void **state)
{
    static const char *const refused[] = { "0.0.0.0:0", "192.0.2.1:80", "[::]:0", "127.0.0.1", "localhost:80", "", "80",
                                           "unix:", "127.0.0.1:99999" };
    struct event_base *base = event_base_new();
    struct server *s = server_new(base, &server_default_limits);
    struct problems ps;

    (void)state;
    problems_init(&ps);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (server_listen(s, refused[i], &ps))
            fail_msg("listens at %s", refused[i]);
    assert_int_equal(ps.errors, sizeof refused / sizeof refused[0]);
    if (!server_listen(s, "127.0.0.1:0", &ps))
        problems_print(&ps, stderr);
    assert_true(server_port(s) > 0);
    server_free(s);
    event_base_free(base);
    problems_free(&ps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chat_is_answered),
        cmocka_unit_test(a_stream_has_the_events_of_openai),
        cmocka_unit_test(no_part_of_a_stop_string_is_sent),
        cmocka_unit_test(reasoning_comes_in_its_own_field),
        cmocka_unit_test(limits_end_an_answer_as_length),
        cmocka_unit_test(many_at_once_are_answered_as_alone),
        cmocka_unit_test(a_client_that_leaves_stops_its_job),
        cmocka_unit_test(a_full_queue_is_429),
        cmocka_unit_test(a_slow_reader_pauses_its_job),
        cmocka_unit_test(a_broken_model_is_500_or_an_error_event),
        cmocka_unit_test(bad_requests_are_refused_with_a_reason),
        cmocka_unit_test(a_body_beyond_every_limit_is_refused_and_no_more),
        cmocka_unit_test(requests_in_a_row_are_answered_in_order),
        cmocka_unit_test(an_expected_continue_is_given),
        cmocka_unit_test(an_old_client_gets_a_stream_until_close),
        cmocka_unit_test(a_slow_request_is_408),
        cmocka_unit_test(tokens_are_counted),
        cmocka_unit_test(draining_ends_what_runs_and_takes_nothing_new),
        cmocka_unit_test(the_socket_is_private_and_a_dead_one_is_replaced),
        cmocka_unit_test(only_loopback_is_listened_at),
    };

    evthread_use_pthreads();    /* the test wakes the loop from its own thread */
    return cmocka_run_group_tests(tests, setup, teardown);
}
