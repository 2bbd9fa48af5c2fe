/* sse.h - server-sent events, piece by piece (WHATWG HTML, "server-sent events"; wire facts of openai-chat section 6).
 *
 * Splits a stream into blocks that end with an empty line. Accepts LF, CRLF and CR line ends, a missing blank after
 * "data:", several data lines (joined by LF), comments, event names. A block that arrives whole within one piece is
 * handed out without a copy; one that is cut is gathered in a buffer with a cap. */
#ifndef TOLLGATE_GATEWAY_SSE_H
#define TOLLGATE_GATEWAY_SSE_H

#include "base/buf.h"

struct sse_event {
    struct span raw;      /* the whole block as it came, its empty line included */
    struct span data;     /* of its data lines; SPAN_NONE when it has none (a comment, a keep-alive) */
    struct span name;     /* of its event line; SPAN_NONE */
};

enum sse_rc { SSE_OK, SSE_STOP, SSE_TOO_LARGE };

/* True: go on. False: stop reading (the reader may have been freed by the callee's owner only after sse_feed is back). */
typedef bool (*sse_on_event)(void *ctx, const struct sse_event *event);

struct sse {
    struct buf carry;     /* the beginning of a block whose end has not come */
    struct buf joined;    /* several data lines of one event */
    size_t scanned;       /* of carry: no block end before it; the start of a line */
    size_t seen;          /* bytes behind it that have been looked at */
};

void sse_init(struct sse *s, size_t max_event_bytes);
void sse_free(struct sse *s);
enum sse_rc sse_feed(struct sse *s, struct span piece, sse_on_event on_event, void *ctx);
/* Bytes that wait for the end of their block: at the end of a stream, more than blanks means that it was cut. */
struct span sse_rest(const struct sse *s);

#endif
