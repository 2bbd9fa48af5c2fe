#include "gateway/dialects/sse.h"

#include "base/bytes.h"

void sse_init(struct sse *s, size_t max_event_bytes)
{
    buf_init(&s->carry, max_event_bytes);
    buf_init(&s->joined, max_event_bytes);
    s->scanned = s->seen = 0;
}

void sse_free(struct sse *s)
{
    buf_free(&s->carry);
    buf_free(&s->joined);
}

/* One line from the start of `text`: its content, and its length with the line end. 0 when the end has not come. A CR
 * at the very end may be half of a CRLF, so it waits for the next byte. The first `seen` bytes are known to end no line. */
static size_t take_line(struct span text, size_t seen, struct span *line)
{
    const char *end = text.n ? text.p + text.n : text.p;
    const char *p = seen < text.n ? bytes_line_end(text.p + seen, end) : end;
    const size_t n = text.n ? (size_t)(p - text.p) : 0;

    if (p == end || (*p == '\r' && p + 1 == end))
        return 0;
    *line = span_first(text, n);
    return *p == '\r' && p[1] == '\n' ? n + 2 : n + 1;
}

/* Length of the first block of `text` with its empty line; 0 when it is not whole. Lines are looked for from *from,
 * which must be the start of a line, and is moved to the last line start seen; *seen bytes behind it have been looked at
 * before, so that a long line which comes in many pieces is read once and not once a piece. */
static size_t block_length(struct span text, size_t *from, size_t *seen)
{
    size_t at = *from, known = *seen, n;
    struct span line;

    for (; (n = take_line(span_skip(text, at), known, &line)) > 0; at += n, known = 0)
        if (line.n == 0)
            return at + n;
    *from = at;
    *seen = text.n - at;
    if (*seen && text.p[text.n - 1] == '\r')
        --*seen;
    return 0;
}

static bool add_data(struct sse *s, struct sse_event *e, struct span value)
{
    if (!e->data.p) {
        e->data = value;
        return true;
    }
    if (s->joined.n == 0 && !buf_add_span(&s->joined, e->data))
        return false;
    if (!buf_add_char(&s->joined, '\n') || !buf_add_span(&s->joined, value))
        return false;
    e->data = buf_span(&s->joined);
    return true;
}

static bool read_block(struct sse *s, struct span raw, struct sse_event *e)
{
    struct span rest = raw, line;
    size_t n;

    *e = (struct sse_event){ .raw = raw };
    buf_clear(&s->joined);
    while ((n = take_line(rest, 0, &line)) > 0) {
        struct span value = SPAN_LIT("");
        const size_t colon = span_find(line, ':');
        const struct span field = span_first(line, colon);

        rest = span_skip(rest, n);
        if (colon < line.n)
            value = span_skip(line, colon + 1);
        if (value.n && value.p[0] == ' ')
            value = span_skip(value, 1);
        if (span_is(field, "data")) {
            if (!add_data(s, e, value))
                return false;
        } else if (span_is(field, "event")) {
            e->name = value;
        }
    }
    return true;
}

enum sse_rc sse_feed(struct sse *s, struct span piece, sse_on_event on_event, void *ctx)
{
    struct sse_event e;
    size_t n, from, seen;

    if (s->carry.n) {    /* finish the block that was cut, then go on in the piece itself */
        const size_t before = s->carry.n;

        if (!buf_add_span(&s->carry, piece))
            return SSE_TOO_LARGE;
        n = block_length(buf_span(&s->carry), &s->scanned, &s->seen);
        if (n == 0)
            return SSE_OK;
        if (!read_block(s, span_first(buf_span(&s->carry), n), &e))
            return SSE_TOO_LARGE;
        if (!on_event(ctx, &e))
            return SSE_STOP;
        piece = n >= before ? span_skip(piece, n - before) : piece;
        buf_clear(&s->carry);
        s->scanned = s->seen = 0;
    }
    for (from = seen = 0; (n = block_length(piece, &from, &seen)) > 0; piece = span_skip(piece, n), from = seen = 0) {
        if (!read_block(s, span_first(piece, n), &e))
            return SSE_TOO_LARGE;
        if (!on_event(ctx, &e))
            return SSE_STOP;
    }
    s->scanned = from;
    s->seen = seen;
    return buf_add_span(&s->carry, piece) ? SSE_OK : SSE_TOO_LARGE;
}

struct span sse_rest(const struct sse *s)
{
    return buf_span(&s->carry);
}
