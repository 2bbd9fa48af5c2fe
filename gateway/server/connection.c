/* connection.c - see connection.h. Refuses to know what a request means.
 *
 * The stream's callbacks come from the loop, so nothing here runs inside a call that we made ourselves, and a connection
 * may be freed from its own callbacks. A handler may end a request inside on_head or on_body; the reading loop looks at
 * the state again after each call. */
#include "gateway/server/connection.h"

#include <event2/buffer.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/clock.h"
#include "gateway/server/stream.h"

#define READ_HIGH 65536u        /* bytes of input that may wait in us; more stays in the kernel */
#define DISCARD_MAX 65536u      /* rest of a refused body that is read and dropped rather than the connection closed */
#define LINGER_MS 1000
#define SMALL_BODY 16000        /* fits one TLS record together with its head */
#define STALL_MS 60000          /* a caller that takes not one byte of a waiting reply for so long is gone */

enum connection_state { CONN_HEAD, CONN_BODY, CONN_DISCARD, CONN_REPLY, CONN_CLOSING };

struct connection {
    struct connection *next, **at;
    struct connection_list *list;
    struct stream *stream;
    struct event *timer;
    const struct connection_limits *limits;
    const struct connection_handler *handler;
    void *ctx;
    void *request;              /* the handler's */
    enum connection_state state;
    struct http1_head *head;    /* allocated with the first head, reused */
    struct buf head_text;       /* the bytes the head's spans point into */
    size_t head_seen;
    struct http1_chunks chunks;
    uint64_t body_left;
    int64_t body_until_ms;      /* monotonic; 0: no limit */
    uint64_t requests;
    bool pending;               /* on_head was called, connection_end not yet */
    bool body_done;
    bool continued;             /* 100 Continue was sent for this head */
    bool reply_chunked, reply_until_close;
    bool close_after;
    bool was_full;              /* a reply waits for its caller; nothing more is made or read until it has gone down */
    int64_t unsent;             /* what the kernel held of it when that was last looked at; -1: not yet */
    bool head_sent;
    bool head_begun;            /* the first bytes of a next head are here */
    bool dead;                  /* freed as soon as no call of ours is on the stack */
    int depth;                  /* calls of ours on the stack */
};

static void connection_destroy(struct connection *c);

/* ---- life ---- */

static void set_timer(struct connection *c, int64_t ms)
{
    const struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000 };

    if (ms > 0)
        event_add(c->timer, &tv);
    else
        event_del(c->timer);
}

/* For the next piece of the body, but no longer than for all of it. */
static void await_body(struct connection *c)
{
    const int64_t left = c->body_until_ms ? c->body_until_ms - clock_mono_ms() : 0;
    int64_t ms = c->limits->body_idle_ms;

    if (c->body_until_ms && (ms == 0 || left < ms))
        ms = left > 0 ? left : 1;
    set_timer(c, ms);
}

static void enter(struct connection *c)
{
    c->depth++;
}

static void leave(struct connection *c)
{
    if (--c->depth == 0 && c->dead)
        connection_destroy(c);
}

/* The caller is gone or no longer wanted: tell the handler once, free when the stack is empty. */
static void drop(struct connection *c)
{
    if (c->dead)
        return;
    c->dead = true;
    if (c->pending) {
        c->pending = false;
        c->handler->on_gone(c->ctx, c, 499);
        c->request = NULL;
    }
    event_del(c->timer);
    stream_stop(c->stream);
    if (c->depth == 0)
        connection_destroy(c);
}

static void connection_destroy(struct connection *c)
{
    *c->at = c->next;
    if (c->next)
        c->next->at = c->at;
    c->list->n--;
    event_free(c->timer);
    stream_free(c->stream);
    buf_free(&c->head_text);
    free(c->head);
    free(c);
}

void connection_free(struct connection *c)
{
    drop(c);
}

/* ---- writing ---- */

static struct evbuffer *output(const struct connection *c)
{
    return stream_output(c->stream);
}

size_t connection_output_bytes(const struct connection *c)
{
    return evbuffer_get_length(output(c));
}

/* While a reply waits for a slow caller, time runs for him. A body on its way has its own timer. */
static void watch_caller(struct connection *c)
{
    if (c->state == CONN_REPLY || c->state == CONN_HEAD)
        set_timer(c, STALL_MS);
}

bool connection_full(struct connection *c)
{
    if (!c->was_full && connection_output_bytes(c) > CONNECTION_HIGH) {
        c->was_full = true;
        c->unsent = -1;
        watch_caller(c);
    }
    return c->was_full;
}

/* The caller may yet send a body that nobody wants: can it be told from a next request, and is it worth reading? A caller
 * that was never told to continue sends it or does not (RFC 9110, 10.1.1), and who guesses wrong reads a body as a head. */
static bool rest_ends_it(const struct connection *c)
{
    return !c->body_done && (c->head->chunked || c->body_left > DISCARD_MAX || (c->head->expect_continue && !c->continued));
}

/* By hand: each answer has one. */
static void add_length(struct evbuffer *out, uint64_t n)
{
    char line[48] = "content-length: ", digits[20];
    size_t at = sizeof digits, from = 16;

    do
        digits[--at] = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    memcpy(line + from, digits + at, sizeof digits - at);
    from += sizeof digits - at;
    memcpy(line + from, "\r\n\r\n", 4);
    evbuffer_add(out, line, from + 4);
}

void connection_send_head(struct connection *c, int status, struct span fields, int64_t length, bool close)
{
    struct evbuffer *out = output(c);
    const bool keep = !close && c->head && c->head->keep_alive && !c->close_after && !c->list->draining &&
                      !(c->pending && rest_ends_it(c)) &&
                      (!c->limits->requests_per_connection || c->requests + 1 < c->limits->requests_per_connection);

    /* Head and a small body in one run of memory, so that the stream need not join them for their TLS record. */
    evbuffer_expand(out, fields.n + 256 + (length > 0 && length < SMALL_BODY ? (size_t)length : 0));
    c->head_sent = true;
    c->reply_chunked = length < 0 && (!c->head || c->head->minor == 1);
    c->reply_until_close = length < 0 && !c->reply_chunked;
    if (!keep || c->reply_until_close)
        c->close_after = true;
    if (status == 200)    /* nearly always: no printf */
        evbuffer_add(out, "HTTP/1.1 200 OK\r\n", 17);
    else
        evbuffer_add_printf(out, "HTTP/1.1 %d %s\r\n", status, http_reason(status));
    evbuffer_add(out, fields.p, fields.n);
    if (c->close_after)
        evbuffer_add(out, "connection: close\r\n", 19);
    if (c->reply_chunked)
        evbuffer_add(out, "transfer-encoding: chunked\r\n\r\n", 30);
    else if (length >= 0)
        add_length(out, (uint64_t)length);
    else
        evbuffer_add(out, "\r\n", 2);
}

void connection_send_body(struct connection *c, struct span piece)
{
    struct evbuffer *out = output(c);
    const bool head_only = c->head && span_is(c->head->method, "HEAD");

    if (piece.n == 0 || head_only)
        return;
    if (c->reply_chunked)
        evbuffer_add_printf(out, "%zx\r\n", piece.n);
    evbuffer_add(out, piece.p, piece.n);
    if (c->reply_chunked)
        evbuffer_add(out, "\r\n", 2);
}

static void read_more(struct connection *c);
static void closing(struct connection *c);

static void await_head(struct connection *c)
{
    set_timer(c, evbuffer_get_length(stream_input(c->stream)) ? c->limits->head_ms : c->limits->keepalive_ms);
}

static void next_request(struct connection *c)
{
    c->state = CONN_HEAD;
    c->head_seen = 0;
    c->head_begun = false;
    c->head_sent = false;
    c->body_done = false;
    c->was_full = false;
    await_head(c);
    if (c->depth == 0)
        read_more(c);    /* a pipelined head may be here already; inside our own calls the loop sees the state */
}

void connection_end(struct connection *c)
{
    if (c->dead || !c->pending)
        return;
    if (c->reply_chunked && !(c->head && span_is(c->head->method, "HEAD")))
        evbuffer_add(output(c), "0\r\n\r\n", 5);
    c->pending = false;
    c->request = NULL;
    c->requests++;
    if (!c->body_done && !c->close_after) {
        if (rest_ends_it(c)) {
            c->close_after = true;
        } else {
            c->state = CONN_DISCARD;
            await_body(c);
            if (c->depth == 0)
                read_more(c);
            return;
        }
    }
    if (c->close_after || c->list->draining)
        closing(c);
    else
        next_request(c);
}

void connection_abort(struct connection *c)
{
    if (c->dead)
        return;
    c->pending = false;
    c->request = NULL;
    closing(c);
}

/* Flush, then shut our side down and wait a moment for the caller's end, so that a reset does not overtake the reply. */
static void closing(struct connection *c)
{
    c->state = CONN_CLOSING;
    set_timer(c, connection_output_bytes(c) ? 30000 : LINGER_MS);
    stream_shutdown(c->stream);
}

/* ---- reading ---- */

static void bad(struct connection *c, int status, const char *why)
{
    const bool was_pending = c->pending;

    if (was_pending) {    /* the body broke: the request is told that its caller is gone, then we say why */
        c->pending = false;
        c->handler->on_gone(c->ctx, c, status);
        c->request = NULL;
    }
    c->close_after = true;
    if (c->head_sent) {
        closing(c);
        return;
    }
    if (c->handler->on_bad) {
        c->handler->on_bad(c->ctx, c, status, why);
    } else {
        connection_send_head(c, status, SPAN_LIT("content-type: text/plain\r\n"), (int64_t)strlen(why) + 1, true);
        connection_send_body(c, span_str(why));
        connection_send_body(c, SPAN_LIT("\n"));
    }
    closing(c);
}

/* The spans must outlive the input buffer: the head's text is copied and read again there. */
static bool keep_head(struct connection *c, struct span text)
{
    struct http1_head *scratch = &c->list->scratch, *head;
    struct http1_error err;
    size_t used;

    buf_clear(&c->head_text);
    if (!buf_add_span(&c->head_text, text))
        return false;
    c->head_seen = 0;
    if (http1_read_head(buf_span(&c->head_text), text.n, &c->head_seen, scratch, &used, &err) != HTTP1_OK)
        return false;
    head = realloc(c->head, HTTP1_HEAD_BYTES(scratch->n_headers));
    if (!head)
        return false;
    c->head = memcpy(head, scratch, HTTP1_HEAD_BYTES(scratch->n_headers));
    return true;
}

static void begin_request(struct connection *c)
{
    struct evbuffer *in = stream_input(c->stream);

    c->continued = false;
    c->body_left = c->head->has_length ? c->head->length : 0;
    c->body_done = !c->head->chunked && c->body_left == 0;
    http1_chunks_init(&c->chunks);
    c->state = c->body_done ? CONN_REPLY : CONN_BODY;
    c->pending = true;
    c->body_until_ms = c->limits->body_ms ? clock_mono_ms() + c->limits->body_ms : 0;
    if (c->body_done)
        set_timer(c, 0);
    else
        await_body(c);
    c->handler->on_head(c->ctx, c, c->head);
    if (c->pending && c->body_done)
        c->handler->on_body(c->ctx, c, SPAN_LIT(""), true);
    else if (c->pending && c->head->expect_continue && !c->head_sent) {
        c->continued = true;
        if (evbuffer_get_length(in) == 0)    /* who sends at once does not wait for it */
            evbuffer_add(output(c), "HTTP/1.1 100 Continue\r\n\r\n", 25);
    }
}

/* False: no whole head yet, or the connection is no longer to be read from. */
static bool read_head(struct connection *c)
{
    struct evbuffer *in = stream_input(c->stream);
    const size_t most = c->limits->header_bytes ? c->limits->header_bytes : 65536;
    size_t n = evbuffer_get_length(in), used = 0;
    struct http1_error err = { 400, "bad request" };
    const char *p;

    if (n == 0)
        return false;
    if (n > most + 1)
        n = most + 1;
    p = (const char *)evbuffer_pullup(in, (ev_ssize_t)n);
    if (!p) {
        drop(c);
        return false;
    }
    switch (http1_read_head((struct span){ p, n }, most, &c->head_seen, &c->list->scratch, &used, &err)) {
    case HTTP1_MORE:
        if (c->requests && !c->head_begun)
            set_timer(c, c->limits->head_ms);    /* keep-alive time no longer holds; set once, or a drip renews it */
        c->head_begun = true;
        return false;
    case HTTP1_BAD:
        free(c->head);
        c->head = NULL;
        bad(c, err.status, err.why);
        return false;
    case HTTP1_OK:
        break;
    }
    if (!keep_head(c, (struct span){ p, used })) {
        drop(c);
        return false;
    }
    evbuffer_drain(in, used);
    c->head_seen = 0;
    begin_request(c);
    return true;
}

/* Takes what is there of the body. False: wait for more. */
static bool read_body(struct connection *c)
{
    struct evbuffer *in = stream_input(c->stream);
    struct evbuffer_iovec v;
    struct span data = SPAN_NONE;
    struct http1_error err = { 400, "bad body" };
    size_t used;
    enum http1_rc rc = HTTP1_MORE;

    if (evbuffer_peek(in, -1, NULL, &v, 1) < 1 || v.iov_len == 0)
        return false;
    if (c->head->chunked) {
        rc = http1_chunks_read(&c->chunks, (struct span){ v.iov_base, v.iov_len }, &used, &data, &err);
        if (rc == HTTP1_BAD) {
            bad(c, err.status, err.why);
            return false;
        }
    } else {
        used = v.iov_len < c->body_left ? v.iov_len : (size_t)c->body_left;
        data = (struct span){ v.iov_base, used };
        c->body_left -= used;
        if (c->body_left == 0)
            rc = HTTP1_OK;
    }
    c->body_done = rc == HTTP1_OK;
    if (c->body_done && c->state == CONN_BODY)
        c->state = CONN_REPLY;
    if (c->body_done)
        set_timer(c, 0);
    else
        await_body(c);
    if (c->pending && (data.n || c->body_done))
        c->handler->on_body(c->ctx, c, data, c->body_done);
    if (!c->dead)
        evbuffer_drain(in, used);    /* only now: `data` points into it */
    if (!c->dead && c->state == CONN_HEAD)
        await_head(c);               /* replied from within: what lay there was the body's end, no next head */
    if (!c->dead && c->state == CONN_DISCARD && c->body_done)
        next_request(c);
    return !c->dead;
}

static void read_more(struct connection *c)
{
    bool again = true;

    enter(c);
    while (again && !c->dead) {
        switch (c->state) {
        case CONN_HEAD:
            if (c->list->draining && evbuffer_get_length(stream_input(c->stream)) == 0) {
                closing(c);
                again = false;
            } else if (connection_full(c)) {
                again = false;    /* who asks on and on and reads no reply waits: else its replies fill our memory */
            } else {
                again = read_head(c);
            }
            break;
        case CONN_BODY:
        case CONN_DISCARD:
            again = read_body(c);
            break;
        case CONN_REPLY:
            again = false;    /* what comes now is the next request's: it waits, bounded by READ_HIGH */
            break;
        case CONN_CLOSING:
            evbuffer_drain(stream_input(c->stream), evbuffer_get_length(stream_input(c->stream)));
            again = false;
            break;
        }
    }
    if (!c->dead)
        stream_input_taken(c->stream);
    leave(c);
}

/* ---- events ---- */

static void on_read(void *arg)
{
    read_more(arg);
}

static void on_written(void *arg)
{
    struct connection *c = arg;

    enter(c);
    if (c->state == CONN_CLOSING && connection_output_bytes(c) == 0) {
        set_timer(c, LINGER_MS);
    } else if (c->was_full && connection_output_bytes(c) <= CONNECTION_LOW) {
        c->was_full = false;
        if (c->state == CONN_REPLY)
            set_timer(c, 0);
        else if (c->state == CONN_HEAD)
            await_head(c);
        if (c->pending)
            c->handler->on_drained(c->ctx, c);
        if (!c->dead && c->state != CONN_REPLY)
            read_more(c);    /* what came behind the request while its reply was too long to send at once */
    } else if (c->was_full) {
        watch_caller(c);
    }
    leave(c);
}

static void on_closed(void *arg)
{
    drop(arg);
}

static const struct stream_callbacks stream_callbacks = { on_read, on_written, on_closed };

/* A socket says that it can be written only when a third of its buffer is free, which takes a slow link minutes: so look
 * whether the kernel still gets rid of something. */
static bool caller_takes_some(struct connection *c)
{
    const int64_t before = c->unsent;

    c->unsent = stream_unsent(c->stream);
    return before < 0 || c->unsent != before;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct connection *c = arg;

    (void)fd;
    (void)what;
    enter(c);
    if (c->was_full && (c->state == CONN_REPLY || c->state == CONN_HEAD)) {
        if (caller_takes_some(c))
            watch_caller(c);
        else
            drop(c);
    } else if (c->state == CONN_HEAD && evbuffer_get_length(stream_input(c->stream)))
        bad(c, 408, "the request head took too long");
    else if (c->state == CONN_BODY)
        bad(c, 408, "the request body took too long");
    else
        drop(c);
    leave(c);
}

struct connection *connection_new(struct event_base *base, evutil_socket_t fd, struct ssl_ctx_st *ssl_ctx,
                                  struct connection_list *list, const struct connection_limits *limits,
                                  const struct connection_handler *handler, void *ctx)
{
    struct connection *c = calloc(1, sizeof *c);
    const int on = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);    /* without it: 44 ms a request (choices, measured) */
    if (c)
        c->timer = event_new(base, -1, 0, on_timer, c);
    if (c && c->timer)
        c->stream = stream_new(base, fd, ssl_ctx, READ_HIGH, &stream_callbacks, c);
    else
        evutil_closesocket(fd);
    if (!c || !c->stream) {
        if (c && c->timer)
            event_free(c->timer);
        free(c);
        return NULL;
    }
    c->limits = limits;
    c->handler = handler;
    c->ctx = ctx;
    buf_init(&c->head_text, 131072);
    c->list = list;
    c->next = list->first;
    c->at = &list->first;
    if (c->next)
        c->next->at = &c->next;
    list->first = c;
    list->n++;
    set_timer(c, limits->head_ms);
    return c;
}

void connection_set_request(struct connection *c, void *request)
{
    c->request = request;
}

void *connection_request(const struct connection *c)
{
    return c->request;
}

struct connection *connection_next(const struct connection *c)
{
    return c->next;
}

void connection_set_limits(struct connection *c, const struct connection_limits *limits)
{
    c->limits = limits;
}

void connection_drain(struct connection *c)
{
    if (c->state == CONN_HEAD && evbuffer_get_length(stream_input(c->stream)) == 0)
        closing(c);
}

const char *http_reason(int status)
{
    static const struct { int status; const char *text; } known[] = {
        { 200, "OK" }, { 202, "Accepted" }, { 204, "No Content" }, { 304, "Not Modified" }, { 400, "Bad Request" },
        { 401, "Unauthorized" }, { 403, "Forbidden" }, { 404, "Not Found" }, { 405, "Method Not Allowed" },
        { 408, "Request Timeout" }, { 409, "Conflict" }, { 411, "Length Required" }, { 413, "Content Too Large" },
        { 414, "URI Too Long" }, { 415, "Unsupported Media Type" }, { 417, "Expectation Failed" },
        { 422, "Unprocessable Content" }, { 429, "Too Many Requests" }, { 431, "Request Header Fields Too Large" },
        { 500, "Internal Server Error" }, { 501, "Not Implemented" }, { 502, "Bad Gateway" },
        { 503, "Service Unavailable" }, { 504, "Gateway Timeout" }, { 505, "HTTP Version Not Supported" },
        { 529, "Overloaded" },
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].status == status)
            return known[i].text;
    return status < 400 ? "OK" : "Error";
}
