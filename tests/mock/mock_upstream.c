/* mock_upstream.c - a scripted OpenAI-compatible upstream: for end-to-end tests, faults and benchmarks.
 *
 *   mock_upstream [--listen ADDR:PORT | --listen unix:PATH]... [--tls DIR ADDR:PORT]... [--make-ca DIR]
 *                 [--exit-with-parent]
 *
 * Port 0 lets the system choose. When all listens it prints a line "listening on ADDR:PORT" (or "listening on unix:PATH")
 * for each, in order, then "ready". --make-ca DIR writes ca.pem, cert.pem and key.pem (localhost, 127.0.0.1, ::1; a day
 * old and ten years valid) and exits unless something is to be listened on; --tls uses such a DIR.
 * SIGTERM ends it.
 *
 * Paths: POST whatever ends in /chat/completions; GET whatever ends in /models, /health; and for tests:
 *   GET  /mock/stats          {"requests","answered","aborted","open","peak","accepted"}: calls (not control requests);
 *                             `aborted`: the peer was gone before the answer was out; open connections now and at most
 *   GET  /mock/log            the last 64 calls as JSON: [{"n","method","target","headers":{..},"body"}], oldest first
 *   GET  /mock/body/N         the body of call N (from 1, in the order of arrival) byte for byte; /mock/body/last
 *   POST /mock/script/MODEL   body: lines of words; each call for that model takes the next line, the last one stays
 *   POST /mock/reset          forgets scripts, calls and counts
 *
 * Script words, comma-separated: from the model's name ("mock:status=500"), then from the queue of its model, then
 * from the last "mock:WORDS" anywhere else in the request's body (a prompt); later ones win. Without any: a plain
 * answer of 16 bytes, or a stream of 4 chunks of 16 bytes, usage 10 in and 5 out.
 *
 *   bytes=N  chunks=N        size of the answer's text, of each chunk's when streamed; how many chunks
 *   text=T  refuse  empty    the text (%XX undone), a refusal, no text      reasoning=N   reasoning_content of N bytes
 *   tool=NAME args=JSON tools=N badargs    tool calls instead of text       finish=F  model=M    what is reported
 *   usage=none|negative|huge|beyond|float|string|null|empty|deepseek        in=N out=N cached=N  tokens
 *   status=N type=T code=C message=M error_body=empty|html|flat|code_error  an error
 *   retry_after=S retry_after_ms=N location=URL    headers                  late_error=N  in the stream, for chunk N
 *   first_ms=N body_ms=N every_ms=N        before the head, before the body, between chunks
 *   keepalive=N blank=N      comments before a stream's first event; empty lines before a plain body
 *   cut=N reset=N stall=N    after N events of a stream, or N bytes of a plain body, head not counted: close, send a
 *                            RST, or fall silent. -2 instead of N: before the head
 *   piece=N                  write at most N bytes at a time                bigline=N     first event with N bytes
 *   stamp                    each chunk's text begins with @NS@, the time it was made (CLOCK_MONOTONIC), for bench/load
 *   malformed badutf8 crlf nodone    the JSON, the text, the stream's line ends, no [DONE]
 *   gzip bighead badhead badchunk badlength early_hints    a coding, an endless head, no HTTP, wrong framing, a 103 first
 *   close nolength           Connection: close behind the answer; no length, and the end is the connection's end */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/http1.h"
#include "tests/mock/mock_ca.h"
#include "tests/mock/mock_log.h"
#include "tests/mock/mock_script.h"

#define BODY_MAX MOCK_BODY_MAX
#define OUT_MARK 65536             /* what is made ahead of the socket */
#define TURN_BYTES 1048576         /* a connection's share of one turn */
#define BEFORE_HEAD (-2)

struct mock {
    struct event_base *base;
    SSL_CTX *ssl;
    struct mock_log log;
    uint64_t answered, aborted, accepted;
    long open, peak;
    struct buf cached;             /* the answer to a call without a script, for `cached_model` */
    char cached_model[128];
};

enum phase { PHASE_READ, PHASE_HEAD, PHASE_BODY, PHASE_DONE, PHASE_SILENT };

struct conn {
    struct mock *mock;
    SSL *ssl;
    int fd;
    bool handshaking, control, last, writing, gone;
    struct event read_event, write_event, timer;
    struct buf in, out;
    size_t out_at, seen;
    enum phase phase;
    struct mock_script script;
    size_t events, next_event;     /* of a stream */
    struct buf before, after;      /* of a plain body, around its filler */
    size_t filler;
    size_t lines;                  /* of an endless head */
    long countdown;                /* events, or bytes of a plain body, until cut, reset or stall; MOCK_OFF */
    bool waited;
};

static void conn_run(struct conn *c);

/* ---- bytes in and out ---- */

static ssize_t conn_recv(struct conn *c, void *p, size_t n)
{
    if (!c->ssl)
        return recv(c->fd, p, n, 0);
    ERR_clear_error();
    const int got = SSL_read(c->ssl, p, (int)n);
    if (got > 0)
        return got;
    const int e = SSL_get_error(c->ssl, got);
    errno = e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE ? EAGAIN : ECONNRESET;
    return e == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

static ssize_t conn_send(struct conn *c, const void *p, size_t n)
{
    if (!c->ssl)
        return send(c->fd, p, n, MSG_NOSIGNAL);
    ERR_clear_error();
    const int put = SSL_write(c->ssl, p, (int)n);
    if (put > 0)
        return put;
    const int e = SSL_get_error(c->ssl, put);
    errno = e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE ? EAGAIN : ECONNRESET;
    return -1;
}

static void conn_free(struct conn *c)
{
    if (c->phase != PHASE_READ && c->phase != PHASE_DONE && !c->control)
        c->mock->aborted++;
    c->mock->open--;
    event_del(&c->read_event);
    event_del(&c->write_event);
    event_del(&c->timer);
    if (c->ssl && c->last && !c->gone)
        SSL_shutdown(c->ssl);
    SSL_free(c->ssl);
    close(c->fd);
    buf_free(&c->in);
    buf_free(&c->out);
    buf_free(&c->before);
    buf_free(&c->after);
    free(c);
}

static void conn_wait(struct conn *c, long ms)
{
    const struct timeval tv = { ms / 1000, (ms % 1000) * 1000 };

    event_add(&c->timer, &tv);
}

/* ---- answers ---- */

static void add_head(struct conn *c, long status, const char *type, long length)    /* -1 chunked, -2 neither */
{
    const struct mock_script *s = &c->script;

    buf_printf(&c->out, "HTTP/1.1 %ld %s\r\nContent-Type: %s\r\nx-request-id: req_mock\r\n", status,
               mock_status_text(status), type);
    if (length >= 0)
        buf_printf(&c->out, "Content-Length: %ld\r\n", length);
    else if (length == -1)
        buf_add_str(&c->out, "Transfer-Encoding: chunked\r\n");
    if (s->retry_after != MOCK_OFF)
        buf_printf(&c->out, "Retry-After: %ld\r\n", s->retry_after);
    if (s->retry_after_ms != MOCK_OFF)
        buf_printf(&c->out, "retry-after-ms: %ld\r\n", s->retry_after_ms);
    if (s->location[0])
        buf_printf(&c->out, "Location: %s\r\n", s->location);
    if (s->gzip)
        buf_add_str(&c->out, "Content-Encoding: gzip\r\n");
    if (c->last)
        buf_add_str(&c->out, "Connection: close\r\n");
    buf_add_str(&c->out, "\r\n");
}

static void answer_control(struct conn *c, long status, const char *type, struct span body)
{
    mock_script_init(&c->script);
    c->control = true;
    add_head(c, status, type, (long)body.n);
    buf_add_span(&c->out, body);
    c->phase = PHASE_DONE;
}

static void send_log(struct conn *c)
{
    struct buf b;

    buf_init(&b, (size_t)1 << 30);
    mock_log_json(&c->mock->log, &b);
    answer_control(c, 200, "application/json", buf_span(&b));
    buf_free(&b);
}

static void send_body(struct conn *c, struct span which)
{
    const struct span body = mock_log_body(&c->mock->log, which);

    if (body.p)
        answer_control(c, 200, "application/octet-stream", body);
    else
        answer_control(c, 404, "text/plain", SPAN_LIT("no such call\n"));
}

static void run_control(struct conn *c, const struct http1_head *h, struct span body)
{
    struct mock *m = c->mock;
    char text[256];

    if (span_is(h->path, "/mock/stats")) {
        const int n = snprintf(text, sizeof(text), "{\"requests\":%llu,\"answered\":%llu,\"aborted\":%llu,\"open\":%ld,"
                               "\"peak\":%ld,\"accepted\":%llu}\n", (unsigned long long)m->log.requests,
                               (unsigned long long)m->answered, (unsigned long long)m->aborted, m->open, m->peak,
                               (unsigned long long)m->accepted);
        answer_control(c, 200, "application/json", (struct span){ text, (size_t)n });
    } else if (span_is(h->path, "/mock/log")) {
        send_log(c);
    } else if (span_starts(h->path, SPAN_LIT("/mock/body/"))) {
        send_body(c, span_skip(h->path, 11));
    } else if (span_starts(h->path, SPAN_LIT("/mock/script/"))) {
        mock_log_put(&m->log, span_skip(h->path, 13), body);
        answer_control(c, 200, "text/plain", SPAN_LIT("ok\n"));
    } else if (span_is(h->path, "/mock/reset")) {
        mock_log_reset(&m->log);
        m->answered = m->aborted = m->accepted = 0;
        m->peak = m->open;
        answer_control(c, 200, "text/plain", SPAN_LIT("ok\n"));
    } else if (span_ends(h->path, SPAN_LIT("/models"))) {
        answer_control(c, 200, "application/json",
                       SPAN_LIT("{\"object\":\"list\",\"data\":[{\"id\":\"mock\",\"object\":\"model\"}]}\n"));
    } else if (span_ends(h->path, SPAN_LIT("/health"))) {
        answer_control(c, 200, "application/json", SPAN_LIT("{\"status\":\"ok\"}\n"));
    } else {
        answer_control(c, 404, "application/json", SPAN_LIT("{\"error\":{\"message\":\"no such path\"}}\n"));
    }
}

/* The hot path: no script, not streamed. Made once for each model. */
static bool answer_cached(struct conn *c, struct span model)
{
    struct mock *m = c->mock;

    if (c->script.scripted || c->script.stream || c->last || !span_is(model, m->cached_model) || !m->cached.n)
        return false;
    buf_add_span(&c->out, buf_span(&m->cached));
    c->phase = PHASE_DONE;
    return true;
}

static void call_begin(struct conn *c, const struct http1_head *h, struct span body)
{
    struct mock_script *s = &c->script;
    struct span model, line;

    c->control = false;
    mock_log_add(&c->mock->log, h, body);
    mock_script_init(s);
    mock_script_from_body(s, body, &model);
    line = mock_log_next(&c->mock->log, model);
    if (line.n)
        mock_script_read(s, line);
    mock_script_from_prompt(s, body, model);
    c->last = c->last || s->close || s->nolength;
    if (answer_cached(c, model))
        return;
    if (!s->model[0])
        snprintf(s->model, sizeof(s->model), "%.*s", SPAN_FMT(model));
    c->events = s->stream ? mock_events(s) : 0;
    c->next_event = 0;
    c->filler = 0;
    c->lines = 0;
    c->countdown = s->cut >= 0 ? s->cut : s->reset >= 0 ? s->reset : s->stall >= 0 ? s->stall : MOCK_OFF;
    c->waited = false;
    c->phase = PHASE_HEAD;
    if (!s->scripted && !s->stream && !c->last) {    /* fill the cache */
        struct buf json, after;

        buf_init(&json, BODY_MAX);
        buf_init(&after, 65536);
        mock_answer_json(s, &json, &after);
        buf_add_span(&json, buf_span(&after));
        buf_clear(&c->mock->cached);
        buf_printf(&c->mock->cached, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-request-id: req_mock\r\n"
                   "Content-Length: %zu\r\n\r\n", json.n);
        buf_add_span(&c->mock->cached, buf_span(&json));
        snprintf(c->mock->cached_model, sizeof(c->mock->cached_model), "%.*s", SPAN_FMT(model));
        buf_free(&json);
        buf_free(&after);
    }
}

/* Cut, reset or stall: nothing more is made. */
static void run_fault(struct conn *c)
{
    c->phase = PHASE_SILENT;
    if (c->script.stall != MOCK_OFF)
        return;
    c->gone = true;    /* closed without a word of TLS, once what was made is out */
    if (c->script.reset != MOCK_OFF) {
        const struct linger now = { 1, 0 };

        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    }
}

/* PHASE_HEAD: the head, and what a plain body will be. */
static void make_head(struct conn *c)
{
    const struct mock_script *s = &c->script;
    size_t total;

    if (s->early_hints)
        buf_add_str(&c->out, "HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n");
    if (s->badhead) {
        buf_add_str(&c->out, "SSH-2.0-OpenSSH_9.2p1\r\n\r\n");
        c->last = true;
        c->phase = PHASE_DONE;
        return;
    }
    c->phase = PHASE_BODY;
    if (s->stream && s->status < 400) {
        add_head(c, s->status, "text/event-stream", s->nolength ? -2 : -1);
        return;
    }
    c->events = 0;
    buf_clear(&c->before);
    buf_clear(&c->after);
    for (long i = 0; i < s->blank; i++)
        buf_add_char(&c->before, '\n');
    if (s->status >= 400)
        mock_answer_error(s, &c->before);
    else
        mock_answer_json(s, &c->before, &c->after);
    c->filler = s->status >= 400 ? 0 : mock_text_bytes(s);
    total = c->before.n + c->filler + c->after.n + (s->badlength ? 10 : 0);
    add_head(c, s->status, s->status >= 400 && !strcmp(s->error_body, "html") ? "text/html" : "application/json",
             s->nolength ? -2 : (long)total);
    c->last = c->last || s->badlength;
}

/* Bytes of a plain body. False: the fault is due. */
static bool add_plain(struct conn *c, struct span data)
{
    if (c->countdown != MOCK_OFF && (size_t)c->countdown <= data.n) {
        buf_add(&c->out, data.p, (size_t)c->countdown);
        run_fault(c);
        return false;
    }
    if (c->countdown != MOCK_OFF)
        c->countdown -= (long)data.n;
    buf_add_span(&c->out, data);
    return true;
}

static void make_plain(struct conn *c)
{
    const struct span fox = SPAN_LIT("the quick brown fox jumps over the lazy dog again and again and again, ");

    if (c->before.n && !add_plain(c, buf_span(&c->before)))
        return;
    buf_clear(&c->before);
    while (c->filler && c->out.n - c->out_at < OUT_MARK) {
        const struct span part = span_first(fox, c->filler);

        if (!add_plain(c, part))
            return;
        c->filler -= part.n;
    }
    if (c->filler)
        return;
    if (add_plain(c, buf_span(&c->after)))
        c->phase = PHASE_DONE;
}

static void add_chunk(struct conn *c, struct span data)
{
    if (c->script.nolength) {
        buf_add_span(&c->out, data);
        return;
    }
    buf_printf(&c->out, c->script.badchunk ? "zz%zx\r\n" : "%zx\r\n", data.n);
    buf_add_span(&c->out, data);
    buf_add_str(&c->out, "\r\n");
}

/* One event of a stream; false: wait for the timer. */
static bool make_event(struct conn *c)
{
    struct mock_script *s = &c->script;
    struct buf b;

    if (s->every_ms && c->next_event && !c->waited) {
        conn_wait(c, s->every_ms);
        c->waited = true;
        return false;
    }
    c->waited = false;
    if (s->keepalive > 0 || s->blank > 0) {
        add_chunk(c, s->keepalive > 0 ? (s->crlf ? SPAN_LIT(": keep-alive\r\n\r\n") : SPAN_LIT(": keep-alive\n\n"))
                                      : SPAN_LIT("\n"));
        if (s->keepalive > 0)
            s->keepalive--;
        else
            s->blank--;
        c->next_event = 0;
        if (s->every_ms) {
            conn_wait(c, s->every_ms);
            c->waited = true;
            return false;
        }
        return true;
    }
    if (c->countdown != MOCK_OFF && c->next_event >= (size_t)c->countdown) {
        run_fault(c);
        return true;
    }
    buf_init(&b, BODY_MAX);
    mock_answer_event(s, c->next_event, &b);
    add_chunk(c, buf_span(&b));
    buf_free(&b);
    if (++c->next_event < c->events)
        return true;
    if (!s->nolength)
        buf_add_str(&c->out, "0\r\n\r\n");
    c->phase = PHASE_DONE;
    return true;
}

/* PHASE_HEAD. False: a timer runs. */
static bool make_beginning(struct conn *c)
{
    const struct mock_script *s = &c->script;

    if (s->first_ms && !c->waited) {
        c->waited = true;
        conn_wait(c, s->first_ms);
        return false;
    }
    c->waited = false;
    if (s->cut == BEFORE_HEAD || s->reset == BEFORE_HEAD || s->stall == BEFORE_HEAD) {
        run_fault(c);
        return true;
    }
    if (s->bighead) {
        if (!c->lines)
            buf_add_str(&c->out, "HTTP/1.1 200 OK\r\n");
        buf_printf(&c->out, "x-endless-%zu: and another line that says nothing at all\r\n", c->lines++);
        return true;
    }
    make_head(c);
    if (!s->body_ms || c->phase != PHASE_BODY)
        return true;
    conn_wait(c, s->body_ms);
    return false;
}

/* Makes output until the mark or the end. False: a timer runs. */
static bool conn_make(struct conn *c)
{
    bool go_on = true;

    while (go_on && c->out.n - c->out_at < OUT_MARK && (c->phase == PHASE_HEAD || c->phase == PHASE_BODY)) {
        if (c->phase == PHASE_HEAD)
            go_on = make_beginning(c);
        else if (c->events)
            go_on = make_event(c);
        else
            make_plain(c);
    }
    return go_on;
}

/* ---- a connection ---- */

/* A whole request at the start of `in`? Begins its answer. */
static bool conn_take_request(struct conn *c)
{
    const struct span in = buf_span(&c->in);
    struct http1_error err;
    struct http1_head h;
    size_t used;

    switch (http1_read_head(in, 65536, &c->seen, &h, &used, &err)) {
    case HTTP1_MORE:
        return false;
    case HTTP1_BAD:
        fprintf(stderr, "mock_upstream: bad request: %s\n", err.why);
        c->last = true;
        answer_control(c, 400, "text/plain", span_str(err.why));
        return true;
    case HTTP1_OK:
        break;
    }
    struct span body = SPAN_NONE;
    size_t whole = used;
    struct buf joined;
    buf_init(&joined, BODY_MAX);
    if (h.chunked) {
        struct http1_chunks k;
        enum http1_rc rc = HTTP1_MORE;

        http1_chunks_init(&k);
        while (rc == HTTP1_MORE && whole < in.n) {
            struct span data;
            size_t n;

            rc = http1_chunks_read(&k, span_skip(in, whole), &n, &data, &err);
            whole += n;
            buf_add_span(&joined, data);
            if (!n)
                break;
        }
        if (rc != HTTP1_OK) {
            buf_free(&joined);
            return false;
        }
        body = buf_span(&joined);
    } else if (h.has_length) {
        if (in.n - used < h.length)
            return false;
        body = (struct span){ in.p + used, (size_t)h.length };
        whole += body.n;
    }
    c->last = !h.keep_alive;
    if (span_starts(h.path, SPAN_LIT("/mock/")) || !span_is(h.method, "POST"))
        run_control(c, &h, body);
    else
        call_begin(c, &h, body);
    buf_free(&joined);
    buf_drop(&c->in, whole);
    c->seen = 0;
    return true;
}

/* Writes what there is. False: the connection is gone. *full: the socket takes no more now. */
static bool conn_flush(struct conn *c, bool *full)
{
    *full = false;
    while (c->out_at < c->out.n) {
        size_t n = c->out.n - c->out_at;
        ssize_t put;

        if (c->script.piece > 0 && n > (size_t)c->script.piece && !c->control)
            n = (size_t)c->script.piece;
        put = conn_send(c, c->out.p + c->out_at, n);
        if (put < 0 && errno == EAGAIN) {
            *full = true;
            return true;
        }
        if (put < 0)
            return false;
        c->out_at += (size_t)put;
        if (c->script.piece > 0 && !c->control && c->out_at < c->out.n) {
            *full = true;    /* the rest in another turn, so that the peer reads it apart */
            return true;
        }
    }
    c->out_at = 0;
    buf_clear(&c->out);
    if (c->out.room > 4 * OUT_MARK)
        buf_free(&c->out);
    return true;
}

static void want_write(struct conn *c, bool on)
{
    if (on && !c->writing)
        event_add(&c->write_event, NULL);
    else if (!on && c->writing)
        event_del(&c->write_event);
    c->writing = on;
}

/* Goes on until it has to wait for something. Frees the connection at its end. */
static void conn_run(struct conn *c)
{
    size_t turn = 0;

    for (;;) {
        bool full, made = true;

        if (c->phase == PHASE_READ && (!c->in.n || !conn_take_request(c)))
            break;
        if (c->phase == PHASE_HEAD || c->phase == PHASE_BODY)
            made = conn_make(c);
        turn += c->out.n;
        if (!conn_flush(c, &full)) {
            c->gone = true;
            conn_free(c);
            return;
        }
        if (c->gone && !full) {    /* as told: no peer aborted that */
            c->phase = PHASE_DONE;
            conn_free(c);
            return;
        }
        if (full || turn > TURN_BYTES) {
            want_write(c, true);
            return;
        }
        if (c->phase == PHASE_SILENT)
            break;
        if (c->phase == PHASE_DONE) {
            if (!c->control)
                c->mock->answered++;
            if (c->last) {
                conn_free(c);
                return;
            }
            c->phase = PHASE_READ;
        } else if (!made) {
            break;
        }
    }
    want_write(c, false);
}

static void on_write(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    conn_run(arg);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    conn_run(arg);
}

static void on_read(evutil_socket_t fd, short what, void *arg)
{
    static char piece[65536];
    struct conn *c = arg;

    (void)fd;
    (void)what;
    if (c->handshaking) {
        const int rc = SSL_accept(c->ssl);
        const int e = SSL_get_error(c->ssl, rc);

        if (rc != 1 && (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE))
            return;
        if (rc != 1) {
            c->gone = true;
            conn_free(c);
            return;
        }
        c->handshaking = false;
    }
    for (;;) {
        const ssize_t n = conn_recv(c, piece, sizeof(piece));

        if (n < 0 && errno == EAGAIN)
            break;
        if (n <= 0 || !buf_add(&c->in, piece, (size_t)n)) {
            c->gone = true;
            conn_free(c);
            return;
        }
        if ((size_t)n < sizeof(piece) && (!c->ssl || !SSL_has_pending(c->ssl)))
            break;
    }
    if (c->phase == PHASE_READ)
        conn_run(c);
}

struct listener {
    struct mock *mock;
    struct event event;
    bool tls;
};

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
    struct listener *l = arg;
    const int one = 1;

    (void)what;
    for (int i = 0; i < 64; i++) {
        const int s = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        struct conn *c;

        if (s < 0)
            return;
        setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        c = calloc(1, sizeof(*c));
        if (!c)
            abort();
        c->mock = l->mock;
        c->fd = s;
        c->countdown = MOCK_OFF;
        buf_init(&c->in, BODY_MAX);
        buf_init(&c->out, BODY_MAX);
        buf_init(&c->before, BODY_MAX);
        buf_init(&c->after, BODY_MAX);
        mock_script_init(&c->script);
        if (l->tls) {
            c->ssl = SSL_new(l->mock->ssl);
            SSL_set_fd(c->ssl, s);
            SSL_set_accept_state(c->ssl);
            c->handshaking = true;
        }
        event_assign(&c->read_event, l->mock->base, s, EV_READ | EV_PERSIST, on_read, c);
        event_assign(&c->write_event, l->mock->base, s, EV_WRITE | EV_PERSIST, on_write, c);
        event_assign(&c->timer, l->mock->base, -1, 0, on_timer, c);
        event_add(&c->read_event, NULL);
        l->mock->accepted++;
        if (++l->mock->open > l->mock->peak)
            l->mock->peak = l->mock->open;
    }
}

/* ---- start and end ---- */

static void die(const char *what, const char *name)
{
    fprintf(stderr, "mock_upstream: %s %s: %s\n", what, name, strerror(errno));
    exit(1);
}

static int listen_unix(const char *path)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof(a.sun_path))
        die("too long:", path);
    memcpy(a.sun_path, path, strlen(path) + 1);
    unlink(path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 128))
        die("cannot listen on", path);
    printf("listening on unix:%s\n", path);
    return fd;
}

static int listen_tcp(const char *address)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    const size_t colon = span_find(span_str(address), ':');
    socklen_t n = sizeof(a);
    char host[32];
    uint64_t port;

    if (colon >= sizeof(host))
        die("no ADDR:PORT:", address);
    memcpy(host, address, colon);
    host[colon] = '\0';
    if (!span_to_u64(span_skip(span_str(address), colon + 1), 65535, &port) || inet_pton(AF_INET, host, &a.sin_addr) != 1)
        die("no ADDR:PORT:", address);
    a.sin_port = htons((uint16_t)port);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 4096) ||
        getsockname(fd, (struct sockaddr *)&a, &n))
        die("cannot listen on", address);
    printf("listening on %s:%d\n", host, ntohs(a.sin_port));
    return fd;
}

static void tls_load(struct mock *m, const char *dir)
{
    char cert[4096], key[4096];

    snprintf(cert, sizeof(cert), "%s/cert.pem", dir);
    snprintf(key, sizeof(key), "%s/key.pem", dir);
    m->ssl = SSL_CTX_new(TLS_server_method());
    if (SSL_CTX_use_certificate_chain_file(m->ssl, cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(m->ssl, key, SSL_FILETYPE_PEM) != 1)
        die("cannot read the certificate in", dir);
    SSL_CTX_set_mode(m->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                             SSL_MODE_RELEASE_BUFFERS);
}

static void add_listener(struct mock *m, int fd, bool tls)
{
    struct listener *l = calloc(1, sizeof(*l));    /* lives as long as the process */

    l->mock = m;
    l->tls = tls;
    event_assign(&l->event, m->base, fd, EV_READ | EV_PERSIST, on_accept, l);
    event_add(&l->event, NULL);
}

static void on_term(evutil_socket_t sig, short what, void *arg)
{
    struct mock *m = arg;

    (void)sig;
    (void)what;
    event_base_loopbreak(m->base);
}

int main(int argc, char **argv)
{
    static struct mock mock;
    struct mock *m = &mock;
    struct event_config *config = event_config_new();
    struct event term;
    bool any = false, made = false;

    event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST | EVENT_BASE_FLAG_NOLOCK);
    m->base = event_base_new_with_config(config);
    event_config_free(config);
    mock_log_init(&m->log);
    buf_init(&m->cached, 65536);
    signal(SIGPIPE, SIG_IGN);
    for (int i = 1; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : "";

        if (!strcmp(argv[i], "--make-ca")) {
            made = mock_ca_make(next);
            if (!made)
                die("cannot make certificates in", next);
            i++;
        } else if (!strcmp(argv[i], "--listen")) {
            add_listener(m, strncmp(next, "unix:", 5) ? listen_tcp(next) : listen_unix(next + 5), false);
            any = true;
            i++;
        } else if (!strcmp(argv[i], "--tls") && i + 2 < argc) {
            if (!m->ssl)
                tls_load(m, next);
            add_listener(m, listen_tcp(argv[i + 2]), true);
            any = true;
            i += 2;
        } else if (!strcmp(argv[i], "--exit-with-parent")) {
            prctl(PR_SET_PDEATHSIG, SIGTERM);
        } else {
            fprintf(stderr, "usage: mock_upstream [--listen ADDR:PORT|unix:PATH]... [--tls DIR ADDR:PORT]... "
                            "[--make-ca DIR] [--exit-with-parent]\n");
            return 2;
        }
    }
    if (!any && made)
        return 0;
    if (!any)
        add_listener(m, listen_tcp("127.0.0.1:0"), false);
    printf("ready\n");
    fflush(stdout);
    event_assign(&term, m->base, SIGTERM, EV_SIGNAL | EV_PERSIST, on_term, m);
    event_add(&term, NULL);
    event_base_dispatch(m->base);
    return 0;    /* the system frees the rest: connections may be many */
}
