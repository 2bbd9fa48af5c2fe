/* connection.c - a bufferevent, an HTTP reader and one timer.
 *
 * Nothing is freed inside a callback: a connection that is done goes to `dying` and is freed at the end of the turn,
 * since a handler may end it while its own frames are still on the stack. */
#include "engine/connection.h"

#include <stdlib.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>

#define INPUT_MAX 65536u       /* read ahead of what is worked on */
#define LINGER_MS 1000
#define LINGER_BYTES_MAX (1u << 20)

enum state { STATE_HEAD, STATE_BODY, STATE_REPLY, STATE_CLOSING, STATE_DEAD };

struct connection {
    struct connections *all;
    struct connection *next, *before;
    struct bufferevent *bev;
    struct event *timer;       /* of the state: keep-alive, head, body, linger */
    enum state state;
    bool in_head;              /* the first byte of a head has come */
    size_t seen;
    struct buf head_bytes;     /* what `head` points into */
    struct http1_head head;
    struct http1_chunks chunks;
    uint64_t body_left;
    struct buf body;
    void *request;
    bool closes;               /* behind this reply */
    bool is_chunked;           /* the reply */
    bool was_full;
    bool shut;                 /* our sending half */
    size_t lingered_bytes;
};

static void advance(struct connection *c);

static const char *reason(int status)
{
    switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 505: return "HTTP Version Not Supported";
    default: return "Status";
    }
}

static void timer_set(struct connection *c, int ms)
{
    const struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

    if (ms > 0)
        event_add(c->timer, &tv);
    else
        event_del(c->timer);
}

static void unlink_from(struct connection **first, struct connection *c)
{
    if (c->before)
        c->before->next = c->next;
    else
        *first = c->next;
    if (c->next)
        c->next->before = c->before;
}

/* The end of a connection; memory goes at the end of the turn. */
static void die(struct connection *c)
{
    struct connections *all = c->all;

    if (c->state == STATE_DEAD)
        return;
    c->state = STATE_DEAD;
    bufferevent_disable(c->bev, EV_READ | EV_WRITE);
    event_del(c->timer);
    unlink_from(&all->first, c);
    all->n--;
    c->before = NULL;
    c->next = all->dying;
    all->dying = c;
    event_active(all->reaper, 0, 0);
}

/* The client is gone, whatever it waited for. */
static void lose(struct connection *c)
{
    const bool pending = c->state == STATE_REPLY;

    die(c);
    if (pending)
        c->all->handler.on_gone(c->all->ctx, c);
}

static void reap(evutil_socket_t fd, short what, void *ctx)
{
    struct connections *all = ctx;
    struct connection *c;

    (void)fd;
    (void)what;
    while ((c = all->dying)) {
        all->dying = c->next;
        bufferevent_free(c->bev);
        event_free(c->timer);
        buf_free(&c->head_bytes);
        buf_free(&c->body);
        free(c);
    }
    if (all->draining && all->n == 0 && all->on_empty)
        all->on_empty(all->ctx);
}

static size_t output_bytes(const struct connection *c)
{
    return evbuffer_get_length(bufferevent_get_output(c->bev));
}

/* Flushed: say that we are done, wait shortly for the other side to agree. Closing at once with bytes unread would
 * reset the connection and may destroy the reply on its way. */
static void linger(struct connection *c)
{
    if (output_bytes(c) > 0 || c->shut)
        return;
    c->shut = true;
    shutdown(bufferevent_getfd(c->bev), SHUT_WR);
    timer_set(c, LINGER_MS);
}

static void close_behind(struct connection *c)
{
    c->state = STATE_CLOSING;
    timer_set(c, 0);
    bufferevent_enable(c->bev, EV_READ);
    linger(c);
}

static void wait_head(struct connection *c)
{
    c->state = STATE_HEAD;
    c->in_head = false;
    c->seen = 0;
    buf_free(&c->head_bytes);
    buf_free(&c->body);
    timer_set(c, c->all->limits.keepalive_ms);
}

/* ---- replies ---- */

static void send_head(struct connection *c, int status, struct span fields, bool has_length, size_t length)
{
    struct evbuffer *out = bufferevent_get_output(c->bev);

    c->is_chunked = !has_length && c->head.minor == 1;
    c->closes |= c->all->draining || (!has_length && !c->is_chunked);
    evbuffer_add_printf(out, "HTTP/1.1 %d %s\r\n", status, reason(status));
    evbuffer_add(out, fields.p, fields.n);
    if (has_length)
        evbuffer_add_printf(out, "content-length: %zu\r\n", length);
    else if (c->is_chunked)
        evbuffer_add_printf(out, "transfer-encoding: chunked\r\n");
    evbuffer_add_printf(out, "%s\r\n", c->closes ? "connection: close\r\n" : "");
}

static void finish(struct connection *c)
{
    c->request = NULL;
    if (c->closes) {
        close_behind(c);
        return;
    }
    wait_head(c);
    /* What the client has sent already is looked at in a turn of its own. */
    bufferevent_trigger(c->bev, EV_READ, BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
}

void connection_reply(struct connection *c, int status, struct span fields, struct span body)
{
    send_head(c, status, fields, true, body.n);
    if (!span_is(c->head.method, "HEAD"))
        bufferevent_write(c->bev, body.p, body.n);
    finish(c);
}

void connection_begin(struct connection *c, int status, struct span fields)
{
    send_head(c, status, fields, false, 0);
}

void connection_send(struct connection *c, struct span piece)
{
    struct evbuffer *out = bufferevent_get_output(c->bev);

    if (piece.n == 0)
        return;
    if (c->is_chunked)
        evbuffer_add_printf(out, "%zx\r\n", piece.n);
    evbuffer_add(out, piece.p, piece.n);
    if (c->is_chunked)
        evbuffer_add(out, "\r\n", 2);
}

bool connection_full(struct connection *c)
{
    if (output_bytes(c) > CONNECTION_HIGH)
        c->was_full = true;
    return c->was_full;
}

void connection_end(struct connection *c)
{
    if (c->is_chunked)
        bufferevent_write(c->bev, "0\r\n\r\n", 5);
    finish(c);
}

void connection_set_request(struct connection *c, void *request)
{
    c->request = request;
}

void *connection_request(const struct connection *c)
{
    return c->request;
}

/* ---- requests ---- */

/* A request that cannot be read: nothing behind it can be trusted, so the connection closes. */
static void refuse(struct connection *c, int status, const char *why)
{
    struct buf body;

    buf_init(&body, 4096);
    c->all->handler.on_bad(c->all->ctx, &body, status, why);
    c->closes = true;
    c->head.method = SPAN_NONE;
    send_head(c, status, SPAN_LIT("content-type: application/json\r\n"), true, body.n);
    bufferevent_write(c->bev, body.p, body.n);
    buf_free(&body);
    close_behind(c);
}

static void on_whole_request(struct connection *c)
{
    c->state = STATE_REPLY;
    timer_set(c, 0);
    c->all->handler.on_request(c->all->ctx, c, &c->head, buf_span(&c->body));
}

/* True when there is a body to read next. The head is read once where it lies and once where it stays. */
static bool read_head(struct connection *c)
{
    struct evbuffer *in = bufferevent_get_input(c->bev);
    const struct span all = { (const char *)evbuffer_pullup(in, -1), evbuffer_get_length(in) };
    struct http1_error err;
    size_t used = 0, seen = 0;
    enum http1_rc rc;

    if (all.n == 0)
        return false;
    if (!c->in_head)
        timer_set(c, c->all->limits.head_ms);
    c->in_head = true;
    rc = http1_read_head(all, c->all->limits.head_bytes, &c->seen, &c->head, &used, &err);
    if (rc == HTTP1_OK && !buf_add(&c->head_bytes, all.p, used)) {
        refuse(c, 503, "no memory for this request");
        return false;
    }
    if (rc == HTTP1_OK) {
        evbuffer_drain(in, used);
        rc = http1_read_head(buf_span(&c->head_bytes), c->all->limits.head_bytes, &seen, &c->head, &used, &err);
    }
    if (rc == HTTP1_BAD)
        refuse(c, err.status, err.why);
    if (rc != HTTP1_OK)
        return false;
    c->closes = !c->head.keep_alive;
    c->body_left = c->head.has_length ? c->head.length : 0;
    if (c->body_left > c->all->limits.body_bytes) {
        refuse(c, 413, "the body is larger than this engine takes");
        return false;
    }
    http1_chunks_init(&c->chunks);
    c->state = STATE_BODY;
    timer_set(c, c->all->limits.body_idle_ms);
    if (c->head.expect_continue && evbuffer_get_length(in) == 0)
        bufferevent_write(c->bev, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    return true;
}

/* Takes what is there. True when the body is whole. */
static bool read_body(struct connection *c)
{
    struct evbuffer *in = bufferevent_get_input(c->bev);
    bool whole = !c->head.chunked && c->body_left == 0;

    while (!whole && evbuffer_get_length(in) > 0) {
        const size_t n = evbuffer_get_contiguous_space(in);
        const struct span piece = { (const char *)evbuffer_pullup(in, (ev_ssize_t)n), n };
        struct span data = span_first(piece, c->body_left < n ? (size_t)c->body_left : n);
        size_t used = data.n;
        struct http1_error err;
        enum http1_rc rc = HTTP1_MORE;

        if (c->head.chunked)
            rc = http1_chunks_read(&c->chunks, piece, &used, &data, &err);
        if (rc == HTTP1_BAD) {
            refuse(c, err.status, err.why);
            return false;
        }
        if (!buf_add_span(&c->body, data)) {
            refuse(c, 413, "the body is larger than this engine takes");
            return false;
        }
        evbuffer_drain(in, used);
        if (!c->head.chunked)
            c->body_left -= used;
        whole = c->head.chunked ? rc == HTTP1_OK : c->body_left == 0;
    }
    if (!whole)
        timer_set(c, c->all->limits.body_idle_ms);
    return whole;
}

static void advance(struct connection *c)
{
    if (c->state == STATE_HEAD && !read_head(c))
        return;
    if (c->state == STATE_BODY && read_body(c))
        on_whole_request(c);
}

static void on_read(struct bufferevent *bev, void *ctx)
{
    struct connection *c = ctx;
    struct evbuffer *in = bufferevent_get_input(bev);

    if (c->state == STATE_CLOSING) {
        c->lingered_bytes += evbuffer_get_length(in);
        evbuffer_drain(in, evbuffer_get_length(in));
        if (c->lingered_bytes > LINGER_BYTES_MAX)
            die(c);
        return;
    }
    /* More than a buffer full of further requests while one is answered: reading on would take memory, not reading on
     * would hide that the client left. No client of good sense does this. */
    if (c->state == STATE_REPLY && evbuffer_get_length(in) >= INPUT_MAX) {
        lose(c);
        return;
    }
    advance(c);
}

static void on_write(struct bufferevent *bev, void *ctx)
{
    struct connection *c = ctx;

    (void)bev;
    if (c->state == STATE_CLOSING)
        linger(c);
    if (!c->was_full || output_bytes(c) > CONNECTION_LOW)
        return;
    c->was_full = false;
    if (c->state == STATE_REPLY)
        c->all->handler.on_drained(c->all->ctx, c);
}

static void on_event(struct bufferevent *bev, short what, void *ctx)
{
    struct connection *c = ctx;

    (void)bev;
    if (c->state == STATE_CLOSING && (what & BEV_EVENT_EOF) && output_bytes(c) > 0) {
        bufferevent_disable(c->bev, EV_READ);    /* it has said all; it may still read our reply */
        return;
    }
    lose(c);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
    struct connection *c = ctx;

    (void)fd;
    (void)what;
    if ((c->state == STATE_HEAD && c->in_head) || c->state == STATE_BODY)
        refuse(c, 408, "the request did not come in time");
    else
        lose(c);
}

void connection_accept(struct connections *all, evutil_socket_t fd)
{
    const struct timeval write_time = { all->limits.write_ms / 1000, all->limits.write_ms % 1000 * 1000 };
    struct connection *c = all->n < all->limits.connections ? calloc(1, sizeof *c) : NULL;

    if (!c) {
        evutil_closesocket(fd);
        return;
    }
    c->all = all;
    c->bev = bufferevent_socket_new(all->base, fd, BEV_OPT_CLOSE_ON_FREE);
    c->timer = evtimer_new(all->base, on_timer, c);
    if (!c->bev || !c->timer) {
        if (c->bev)
            bufferevent_free(c->bev);
        else
            evutil_closesocket(fd);
        if (c->timer)
            event_free(c->timer);
        free(c);
        return;
    }
    buf_init(&c->head_bytes, all->limits.head_bytes + 2);
    buf_init(&c->body, all->limits.body_bytes);
    c->next = all->first;
    if (c->next)
        c->next->before = c;
    all->first = c;
    all->n++;
    bufferevent_setcb(c->bev, on_read, on_write, on_event, c);
    bufferevent_setwatermark(c->bev, EV_READ, 0, INPUT_MAX);
    bufferevent_setwatermark(c->bev, EV_WRITE, CONNECTION_LOW, 0);
    bufferevent_set_timeouts(c->bev, NULL, &write_time);
    wait_head(c);
    bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

bool connections_init(struct connections *all, struct event_base *base, const struct connection_limits *limits,
                      const struct connection_handler *handler, void *ctx)
{
    *all = (struct connections){ .base = base, .limits = *limits, .handler = *handler, .ctx = ctx };
    all->reaper = event_new(base, -1, 0, reap, all);
    return all->reaper != NULL;
}

void connections_drain(struct connections *all)
{
    struct connection *next;

    all->draining = true;
    for (struct connection *c = all->first; c; c = next) {
        next = c->next;
        if (c->state == STATE_HEAD && !c->in_head && output_bytes(c) == 0)
            die(c);
        else if (c->state == STATE_HEAD && !c->in_head)
            close_behind(c);
    }
    event_active(all->reaper, 0, 0);    /* says on_empty when there was none */
}

void connections_free(struct connections *all)
{
    while (all->first)
        lose(all->first);
    if (!all->reaper)
        return;
    all->on_empty = NULL;
    reap(-1, 0, all);
    event_free(all->reaper);
    all->reaper = NULL;
}
