/* stream.c - see stream.h. Owns socket, SSL, events and buffers; knows nothing of HTTP. */
#include "gateway/server/stream.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <linux/sockios.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES 16384       /* room for one TLS record */
#define WRITE_BYTES 16000      /* within one TLS record, and with its header within a chain of 16 KiB */
#define TURN_BYTES 65536       /* what one connection may read or write in a turn before others have theirs */

enum io { IO_OK, IO_WAIT_READ, IO_WAIT_WRITE, IO_CLOSED };

struct stream {
    struct event_base *base;
    int fd;
    SSL *ssl;
    struct evbuffer *in, *out;
    struct event read, write, closed, flush;
    size_t input_max;
    size_t burst;              /* bytes written since the socket was last waited for */
    size_t retry;              /* bytes of the SSL_write that must be repeated as it was */
    const struct stream_callbacks *callbacks;
    void *ctx;
    bool handshaking, stopped, reading, shutting, goodbye, told;
    bool freed;                /* by a callback: goes when the stack is back here */
    int depth;
};

static void free_now(struct stream *s)
{
    event_del(&s->read);
    event_del(&s->write);
    event_del(&s->closed);
    event_del(&s->flush);
    if (s->ssl)
        SSL_free(s->ssl);
    close(s->fd);
    evbuffer_free(s->in);
    evbuffer_free(s->out);
    free(s);
}

static void leave(struct stream *s)
{
    if (--s->depth == 0 && s->freed)
        free_now(s);
}

static void tell_closed(struct stream *s)
{
    if (s->told || s->stopped)
        return;
    s->told = true;
    event_del(&s->read);
    event_del(&s->write);
    s->callbacks->on_closed(s->ctx);
}

/* ---- OpenSSL and the socket, as one ---- */

static enum io ssl_result(const struct stream *s, int r)
{
    switch (SSL_get_error(s->ssl, r)) {
    case SSL_ERROR_WANT_READ: return IO_WAIT_READ;
    case SSL_ERROR_WANT_WRITE: return IO_WAIT_WRITE;
    default: return IO_CLOSED;
    }
}

static enum io recv_some(struct stream *s, void *p, size_t room, size_t *n)
{
    ssize_t r;

    if (s->ssl) {
        ERR_clear_error();
        r = SSL_read(s->ssl, p, (int)room);
        *n = r > 0 ? (size_t)r : 0;
        return r > 0 ? IO_OK : ssl_result(s, (int)r);
    }
    r = recv(s->fd, p, room, 0);
    *n = r > 0 ? (size_t)r : 0;
    if (r > 0)
        return IO_OK;
    return r < 0 && (errno == EAGAIN || errno == EINTR) ? IO_WAIT_READ : IO_CLOSED;
}

static enum io send_some(struct stream *s, const void *p, size_t size, size_t *n)
{
    ssize_t r;

    if (s->ssl) {
        ERR_clear_error();
        r = SSL_write(s->ssl, p, (int)size);
        *n = r > 0 ? (size_t)r : 0;
        return r > 0 ? IO_OK : ssl_result(s, (int)r);
    }
    r = send(s->fd, p, size, MSG_NOSIGNAL);
    *n = r > 0 ? (size_t)r : 0;
    if (r > 0)
        return IO_OK;
    return r < 0 && (errno == EAGAIN || errno == EINTR) ? IO_WAIT_WRITE : IO_CLOSED;
}

/* ---- reading ---- */

/* One record's worth into the input, by way of the stack: room reserved in the input would stay there, 16 KiB for each
 * idle connection. */
static enum io read_once(struct stream *s)
{
    char record[READ_BYTES];
    size_t n = 0;
    const enum io io = recv_some(s, record, sizeof record, &n);

    if (n && evbuffer_add(s->in, record, n) != 0)
        return IO_CLOSED;
    return io;
}

/* A read that filled its room, or a TLS layer that holds a whole record: else the socket is empty, and asking it again
 * would be a system call for nothing. What comes later, epoll says. */
static bool more_is_here(const struct stream *s, size_t n)
{
    return s->ssl ? SSL_has_pending(s->ssl) : n >= READ_BYTES;
}

static void read_on(struct stream *s)
{
    const size_t before = evbuffer_get_length(s->in);
    size_t got = before;
    enum io io = IO_OK;
    bool more = true;

    while (more && got < s->input_max && got - before < TURN_BYTES) {
        const size_t last = got;

        io = read_once(s);
        got = evbuffer_get_length(s->in);
        more = io == IO_OK && more_is_here(s, got - last);
    }
    if (io == IO_WAIT_WRITE)
        event_add(&s->write, NULL);
    s->reading = got < s->input_max;
    if (!s->reading)
        event_del(&s->read);
    else if (more)
        event_active(&s->read, EV_READ, 0);    /* its share of this turn is used up; TLS may hold more than the socket */
    if (got > before)
        s->callbacks->on_read(s->ctx);
    if (io == IO_CLOSED && !s->freed)
        tell_closed(s);
}

static void write_on(struct stream *s);

static void shake_hands(struct stream *s)
{
    int r;

    ERR_clear_error();
    r = SSL_accept(s->ssl);
    if (r == 1) {
        s->handshaking = false;
        event_del(&s->write);
        read_on(s);
        if (!s->freed && !s->stopped)
            write_on(s);
        return;
    }
    switch (ssl_result(s, r)) {
    case IO_WAIT_WRITE: event_add(&s->write, NULL); break;
    case IO_WAIT_READ: event_del(&s->write); break;
    default: tell_closed(s);
    }
}

static void on_read(evutil_socket_t fd, short what, void *arg)
{
    struct stream *s = arg;

    (void)fd;
    (void)what;
    s->depth++;
    if (s->handshaking)
        shake_hands(s);
    else if (!s->stopped && s->reading)
        read_on(s);
    leave(s);
}

/* ---- writing ---- */

/* Once: a second SSL_shutdown would read on its own, and end the connection at the first bytes of a caller who still sends. */
static void say_goodbye(struct stream *s)
{
    if (s->goodbye)
        return;
    s->goodbye = true;
    if (s->ssl)
        SSL_shutdown(s->ssl);
    shutdown(s->fd, SHUT_WR);
}

static void write_on(struct stream *s)
{
    size_t left = evbuffer_get_length(s->out), sent = 0, n = 0;
    enum io io = IO_OK;

    while (left && io == IO_OK) {
        const size_t size = s->retry ? s->retry : left < WRITE_BYTES ? left : WRITE_BYTES;
        const void *p = evbuffer_pullup(s->out, (ev_ssize_t)size);

        io = p ? send_some(s, p, size, &n) : IO_CLOSED;
        s->retry = s->ssl && io != IO_OK ? size : 0;
        if (n)
            evbuffer_drain(s->out, n);
        sent += n;
        left -= n;
    }
    s->burst += sent;
    if (left && io != IO_CLOSED)
        event_add(&s->write, NULL);
    else
        event_del(&s->write);
    if (left == 0 && s->shutting)
        say_goodbye(s);
    if (sent)
        s->callbacks->on_written(s->ctx);
    if (io == IO_CLOSED && !s->freed)
        tell_closed(s);
}

static void on_write(evutil_socket_t fd, short what, void *arg)
{
    struct stream *s = arg;

    (void)fd;
    (void)what;
    s->depth++;
    s->burst = 0;
    if (s->handshaking)
        shake_hands(s);
    else if (!s->stopped)
        write_on(s);
    leave(s);
}

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
    struct stream *s = arg;

    (void)fd;
    (void)what;
    s->depth++;
    if (!s->handshaking && !s->stopped && !event_pending(&s->write, EV_WRITE, NULL))
        write_on(s);
    leave(s);
}

static void on_appended(struct evbuffer *out, const struct evbuffer_cb_info *info, void *arg)
{
    struct stream *s = arg;

    (void)out;
    if (!info->n_added || info->orig_size)
        return;
    if (s->burst < TURN_BYTES)
        event_active(&s->flush, EV_TIMEOUT, 0);
    else
        event_add(&s->write, NULL);    /* a reader as fast as we are would have the loop to itself: by way of epoll */
}

static void on_closed(evutil_socket_t fd, short what, void *arg)
{
    struct stream *s = arg;

    (void)fd;
    (void)what;
    s->depth++;
    tell_closed(s);
    leave(s);
}

/* ---- life ---- */

static bool init(struct stream *s, struct ssl_ctx_st *ssl)
{
    s->in = evbuffer_new();
    s->out = evbuffer_new();
    if (!s->in || !s->out || !evbuffer_add_cb(s->out, on_appended, s))
        return false;
    if (!ssl)
        return true;
    s->ssl = SSL_new(ssl);
    if (!s->ssl || SSL_set_fd(s->ssl, s->fd) != 1)
        return false;
    SSL_set_accept_state(s->ssl);
    SSL_set_read_ahead(s->ssl, 1);    /* a record in one read(2); read_on empties what it holds */
    SSL_set_mode(s->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    s->handshaking = true;
    return true;
}

struct stream *stream_new(struct event_base *base, int fd, struct ssl_ctx_st *ssl, size_t input_max,
                          const struct stream_callbacks *callbacks, void *ctx)
{
    struct stream *s = calloc(1, sizeof *s);

    if (!s) {
        close(fd);
        return NULL;
    }
    *s = (struct stream){ .base = base, .fd = fd, .input_max = input_max, .callbacks = callbacks, .ctx = ctx, .reading = true };
    if (!init(s, ssl)) {
        if (s->in)
            evbuffer_free(s->in);
        if (s->out)
            evbuffer_free(s->out);
        SSL_free(s->ssl);
        close(fd);
        free(s);
        return NULL;
    }
    event_assign(&s->read, base, fd, EV_READ | EV_PERSIST, on_read, s);
    event_assign(&s->write, base, fd, EV_WRITE | EV_PERSIST, on_write, s);
    event_assign(&s->closed, base, fd, EV_CLOSED, on_closed, s);
    event_assign(&s->flush, base, -1, 0, on_flush, s);
    event_add(&s->read, NULL);
    event_add(&s->closed, NULL);
    return s;
}

void stream_stop(struct stream *s)
{
    s->stopped = true;
    event_del(&s->read);
    event_del(&s->write);
    event_del(&s->closed);
    event_del(&s->flush);
}

void stream_free(struct stream *s)
{
    if (!s)
        return;
    stream_stop(s);
    s->freed = true;
    if (s->depth == 0)
        free_now(s);
}

struct evbuffer *stream_input(struct stream *s)
{
    return s->in;
}

struct evbuffer *stream_output(struct stream *s)
{
    return s->out;
}

int64_t stream_unsent(const struct stream *s)
{
    int n = 0;

    return ioctl(s->fd, SIOCOUTQ, &n) == 0 ? n : 0;
}

void stream_input_taken(struct stream *s)
{
    if (s->reading || s->stopped || s->told || evbuffer_get_length(s->in) >= s->input_max)
        return;
    s->reading = true;
    event_add(&s->read, NULL);
    event_active(&s->read, EV_READ, 0);    /* TLS may hold what the socket no longer shows */
}

void stream_shutdown(struct stream *s)
{
    s->shutting = true;
    if (evbuffer_get_length(s->out) == 0 && !s->stopped)
        say_goodbye(s);
}
