/* connection.h - one caller's connection: bytes to request heads and bodies, replies to bytes.
 *
 * Owns the socket, its TLS, its time-outs and the framing both ways; knows nothing of keys, JSON or models. It calls
 * its handler (given by the listener) and is told what to send. All on the worker's loop thread.
 *
 * States, and who moves each arrow:
 *
 *   HEAD --whole head--> BODY --last byte--> REPLY --connection_end--> HEAD (keep-alive) or CLOSING
 *     |                    |                   (a head without body goes straight to REPLY)
 *     | bad framing,       | a reply may begin and end while the body is still coming: what is left of the body is
 *     | time-out           | thrown away when it is small, else the connection closes behind the reply
 *     +-----> error page, CLOSING: output flushed, then a short linger so that no reset overtakes it
 *
 * A caller that leaves is noticed in every state (EV_CLOSED on the descriptor, also while reading is paused). */
#ifndef TOLLGATE_GATEWAY_CONNECTION_H
#define TOLLGATE_GATEWAY_CONNECTION_H

#include <event2/event.h>
#include <event2/util.h>

#include "base/http1.h"

struct connection;

struct connection_limits {    /* milliseconds, 0 = none */
    size_t header_bytes;
    uint64_t requests_per_connection;
    int64_t head_ms, keepalive_ms;
    int64_t body_idle_ms, body_ms;    /* between its pieces; all of it, so that a drip does not hold a connection for ever */
};

/* What a listener does with its connections. `ctx` is the handler's own (the worker). */
struct connection_handler {
    /* A head has come. `head` and its spans live until connection_end or on_gone; the handler keeps its state with connection_set_request. It may reply at once. */
    void (*on_head)(void *ctx, struct connection *c, const struct http1_head *head);
    /* A piece of the body (maybe empty when `last`). Not called after connection_end. A head without a body gets one
     * call with an empty last piece. */
    void (*on_body)(void *ctx, struct connection *c, struct span piece, bool last);
    /* Output fell below CONNECTION_LOW after it had been above CONNECTION_HIGH. */
    void (*on_drained)(void *ctx, struct connection *c);
    /* The caller left (or was too slow, or broke the framing of its body) before connection_end. The request must
     * forget the connection now: it is gone when this returns. `status`: what the caller is told of its body, 400 or
     * 408; 499 when there is nobody to tell. */
    void (*on_gone)(void *ctx, struct connection *c, int status);
    /* The reply for a head or body that cannot be read; the handler only shapes the error (status, text). Called with
     * no request pending. May be NULL: then plain text. Writes through connection_send. */
    void (*on_bad)(void *ctx, struct connection *c, int status, const char *why);
};

/* Above HIGH bytes of unsent output the sender should pause (connection_full); below LOW it is called to go on. A
 * slow reader thus pins at most HIGH + one piece. */
#define CONNECTION_HIGH 16384u
#define CONNECTION_LOW 4096u

struct connection_list {      /* of one worker, for draining and for counting */
    struct connection *first;
    size_t n;
    struct http1_head scratch;    /* heads are read into it, then copied as small as they are */
    bool draining;            /* set: idle connections close, busy ones close after their reply */
};

struct ssl_ctx_st;            /* OpenSSL's SSL_CTX; only gateway/server looks inside */

/* Takes over `fd`. NULL (fd closed) when there is no memory. `ssl` NULL means plain HTTP. */
struct connection *connection_new(struct event_base *base, evutil_socket_t fd, struct ssl_ctx_st *ssl,
                                  struct connection_list *list, const struct connection_limits *limits,
                                  const struct connection_handler *handler, void *ctx);
/* The list is of one worker: these walk it when a reload or a drain begins. */
struct connection *connection_next(const struct connection *c);
void connection_set_limits(struct connection *c, const struct connection_limits *limits);
/* Closes it if it waits for a next request; a busy one closes behind its reply, since list->draining is set. */
void connection_drain(struct connection *c);
/* At shutdown: calls on_gone if a request is pending. */
void connection_free(struct connection *c);

void connection_set_request(struct connection *c, void *request);
void *connection_request(const struct connection *c);

/* ---- replies ---- */

/* The status line and framing headers; `fields` are whole header lines ("name: value\r\n"). With `length` >= 0 the
 * body is that long; -1: chunked (or until close for HTTP/1.0). `close` forbids keep-alive. */
void connection_send_head(struct connection *c, int status, struct span fields, int64_t length, bool close);
/* Body bytes, copied. Framed when chunked. */
void connection_send_body(struct connection *c, struct span piece);
/* More than CONNECTION_HIGH bytes wait to be sent; on_drained will come. */
bool connection_full(struct connection *c);
size_t connection_output_bytes(const struct connection *c);
/* The reply is whole: the last chunk is written, the request forgotten, the next head may be read. */
void connection_end(struct connection *c);
/* The reply cannot be finished (a stream that broke after its head): close without the last chunk, so that the
 * caller sees that it is cut. */
void connection_abort(struct connection *c);

const char *http_reason(int status);

#endif
