/* connection.h - one client's connection: bytes to whole requests, replies to bytes.
 *
 * Owns the socket, its time-outs and the framing both ways; knows nothing of JSON or models. All on the loop thread.
 *
 *   HEAD --whole head--> BODY --last byte--> REPLY --connection_end--> HEAD (keep-alive), or CLOSING
 *     |                    |                   the handler owns this state; a client that leaves ends it (on_gone)
 *     +-- bad framing, too large, time-out --> CLOSING: output flushed, then a short linger, so that no reset
 *                                              overtakes the reply
 *
 * A client that shuts its sending half down counts as gone, as with nginx: nothing else tells a leaving one from it. */
#ifndef TOLLGATE_ENGINE_CONNECTION_H
#define TOLLGATE_ENGINE_CONNECTION_H

#include <event2/event.h>

#include "base/buf.h"
#include "base/http1.h"

struct connection;

struct connection_handler {
    /* A whole request. `head` and `body` live until connection_end or on_gone. May reply at once. */
    void (*on_request)(void *ctx, struct connection *c, const struct http1_head *head, struct span body);
    /* The output was above CONNECTION_HIGH and has fallen below CONNECTION_LOW. */
    void (*on_drained)(void *ctx, struct connection *c);
    /* The client left before connection_end. The connection is gone when this returns. */
    void (*on_gone)(void *ctx, struct connection *c);
    /* Shapes the body of an error of framing (status, why), a whole reply's. */
    void (*on_bad)(void *ctx, struct buf *body, int status, const char *why);
};

struct connection_limits {
    size_t connections;                /* at once; more are closed at accept */
    size_t head_bytes, body_bytes;
    int head_ms;                       /* for a whole head, from its first byte */
    int body_idle_ms;                  /* between bytes of a body */
    int keepalive_ms;                  /* between requests */
    int write_ms;                      /* without the client reading anything */
};

#define CONNECTION_HIGH 262144u
#define CONNECTION_LOW 65536u

/* All connections of one server. */
struct connections {
    struct event_base *base;
    struct connection_limits limits;
    struct connection_handler handler;
    void *ctx;
    void (*on_empty)(void *ctx);       /* while draining: the last one is gone. May be NULL */
    struct connection *first, *dying;
    size_t n;
    struct event *reaper;              /* frees the dying ones at the end of the turn */
    bool draining;
};

bool connections_init(struct connections *all, struct event_base *base, const struct connection_limits *limits,
                      const struct connection_handler *handler, void *ctx);
/* Idle ones close now, the others behind their reply. */
void connections_drain(struct connections *all);
/* Closes all, on_gone for those in REPLY. */
void connections_free(struct connections *all);

/* Takes over `fd`, closes it when there is no room or memory. */
void connection_accept(struct connections *all, evutil_socket_t fd);

void connection_set_request(struct connection *c, void *request);
void *connection_request(const struct connection *c);

/* `fields`: whole header lines ("name: value\r\n"). A whole reply with its end: */
void connection_reply(struct connection *c, int status, struct span fields, struct span body);
/* The same, piece by piece. */
void connection_begin(struct connection *c, int status, struct span fields);
void connection_send(struct connection *c, struct span piece);
/* More than CONNECTION_HIGH bytes wait to be read; on_drained will come. */
bool connection_full(struct connection *c);
void connection_end(struct connection *c);

#endif
