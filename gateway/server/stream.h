/* stream.h - bytes to and from one accepted socket, with or without TLS, without ever blocking.
 *
 * Two evbuffers and two events over OpenSSL itself. Not libevent's TLS bufferevent, which was used first: it waits for
 * the socket to be writable before each write (an epoll_ctl, an epoll_wait and an epoll_ctl more a reply), and stalls on
 * large bodies when the TLS layer may read ahead, without which each record takes two read(2) (both measured).
 *
 * What is appended to the output leaves at the end of the loop turn in which it was appended, so that a head and its
 * body share a TLS record and a system call; what the socket does not take waits for it. Callbacks run from the loop,
 * never from inside a function of this header. Loop thread. */
#ifndef TOLLGATE_GATEWAY_STREAM_H
#define TOLLGATE_GATEWAY_STREAM_H

#include <event2/buffer.h>
#include <event2/event.h>

#include "base/span.h"

struct ssl_ctx_st;
struct stream;

struct stream_callbacks {
    void (*on_read)(void *ctx);        /* there is more input */
    void (*on_written)(void *ctx);     /* some output has left */
    void (*on_closed)(void *ctx);      /* the peer has gone, or broke TLS; at most once */
};

/* Takes over `fd`. `ssl` NULL: plain. At most `input_max` bytes of input are held (a little more with TLS records);
 * beyond, reading stops until stream_input_taken. NULL without memory; then `fd` is closed. */
struct stream *stream_new(struct event_base *base, int fd, struct ssl_ctx_st *ssl, size_t input_max,
                          const struct stream_callbacks *callbacks, void *ctx);
/* Closes the socket. Fine from inside a callback. */
void stream_free(struct stream *s);

struct evbuffer *stream_input(struct stream *s);     /* to look at and to drain */
void stream_input_taken(struct stream *s);           /* after draining: reads on if it had stopped */
struct evbuffer *stream_output(struct stream *s);    /* append; sent at the end of the turn */
/* Bytes that the kernel has of us and the peer has not acknowledged. */
int64_t stream_unsent(const struct stream *s);
/* Our side is done: close_notify and FIN, once the output has left. */
void stream_shutdown(struct stream *s);
/* No further callbacks, nothing more is read or written. */
void stream_stop(struct stream *s);

#endif
