/* plain_answer.c - see plain_answer.h. Owns the copied headers; everything else points into the reader's bytes. */
#include "gateway/upstream/plain_answer.h"

#include <stdlib.h>

#include "gateway/upstream/fetch.h"

void plain_answer_init(struct plain_answer *a)
{
    a->status = 0;
    a->framing = HTTP1_BODY_NONE;
    a->keep = false;
    a->left = 0;
    a->seen = a->head_bytes = a->head_lines = 0;
    a->why = "";
    a->fields = a->room;
    a->fields_n = 0;
}

void plain_answer_clear(struct plain_answer *a)
{
    if (a->fields != a->room)
        free(a->fields);
    a->fields = a->room;
    a->fields_n = 0;
}

/* ---- heads ---- */

static char *put(char *to, struct span s)
{
    if (s.n)
        memcpy(to, s.p, s.n);
    to[s.n] = '\0';
    return to + s.n + 1;
}

static bool keep_fields(struct plain_answer *a, const struct http1_head *h)
{
    size_t n = 0;
    char *to;

    for (size_t i = 0; i < h->n_headers; i++)
        n += h->headers[i].name.n + h->headers[i].value.n + 2;
    to = n <= sizeof(a->room) ? a->room : malloc(n);
    if (!to)
        return false;
    a->fields = to;
    a->fields_n = n;
    for (size_t i = 0; i < h->n_headers; i++)
        to = put(put(to, h->headers[i].name), h->headers[i].value);
    return true;
}

static bool is_coded(const struct http1_head *h)
{
    for (size_t i = 0; i < h->n_headers; i++)
        if (span_eq_nocase(h->headers[i].name, SPAN_LIT("content-encoding")) && h->headers[i].value.n &&
            !span_eq_nocase(h->headers[i].value, SPAN_LIT("identity")))
            return true;
    return false;
}

static enum plain_rc fail(struct plain_answer *a, enum plain_rc rc, const char *why)
{
    a->why = why;
    return rc;
}

static enum plain_rc take_final(struct plain_answer *a, const struct http1_head *h)
{
    a->status = h->status;
    a->framing = h->body;
    a->keep = h->keep_alive;
    a->left = h->body == HTTP1_BODY_LENGTH ? h->length : 0;
    http1_chunks_init(&a->chunks);
    if (is_coded(h))    /* we asked for identity (Accept-Encoding) and inflate nothing */
        return fail(a, PLAIN_BAD, "the answer has a content coding");
    return keep_fields(a, h) ? PLAIN_DONE : fail(a, PLAIN_NO_MEMORY, "out of memory");
}

enum plain_rc plain_answer_head(struct plain_answer *a, struct http1_head *scratch, struct span in, size_t *used)
{
    struct http1_error err = { 0, "" };

    for (*used = 0;;) {
        size_t n = 0;
        const enum http1_rc rc = http1_read_response(span_skip(in, *used), FETCH_HEAD_BYTES_MAX - a->head_bytes, &a->seen,
                                                     scratch, &n, &err);

        if (rc == HTTP1_MORE)
            return PLAIN_MORE;
        if (rc == HTTP1_BAD)
            return fail(a, err.status == 431 ? PLAIN_TOO_LARGE : PLAIN_BAD, err.why);
        *used += n;
        a->seen = 0;
        a->head_bytes += n;
        a->head_lines += scratch->n_headers + 1;
        if (a->head_lines > FETCH_HEAD_LINES_MAX)
            return fail(a, PLAIN_TOO_LARGE, "the heads of the answer have more than 100 lines");
        if (scratch->status >= 200)
            return take_final(a, scratch);
    }
}

struct span plain_answer_header(const struct plain_answer *a, const char *name)
{
    const struct span want = span_str(name);
    struct span found = SPAN_NONE;

    for (const char *p = a->fields, *end = p + a->fields_n; p < end;) {
        const struct span key = span_str(p), value = span_str(p + key.n + 1);    /* no NUL within: http1.h */

        if (span_eq_nocase(key, want))
            found = value;
        p = value.p + value.n + 1;
    }
    return found;
}

/* ---- bodies ---- */

/* Moves the data of all chunks together, so that a reader gets them as one piece. */
static enum plain_rc undo_chunks(struct plain_answer *a, char *p, size_t n, struct span *data)
{
    enum http1_rc rc = HTTP1_MORE;
    struct http1_error err = { 0, "" };
    size_t at = 0, start = 0, got = 0;

    while (rc == HTTP1_MORE && at < n) {
        struct span piece;
        size_t used;

        rc = http1_chunks_read(&a->chunks, (struct span){ p + at, n - at }, &used, &piece, &err);
        if (piece.n) {
            const size_t from = (size_t)(piece.p - p);

            if (!got)
                start = from;
            else if (start + got != from)
                memmove(p + start + got, piece.p, piece.n);
            got += piece.n;
        }
        at += used;
    }
    *data = (struct span){ p + start, got };
    if (rc == HTTP1_BAD)
        return fail(a, PLAIN_BAD, err.why);
    if (at < n)
        a->keep = false;
    return rc == HTTP1_OK ? PLAIN_DONE : PLAIN_MORE;
}

enum plain_rc plain_answer_body(struct plain_answer *a, char *p, size_t n, struct span *data)
{
    *data = (struct span){ p, 0 };
    switch (a->framing) {
    case HTTP1_BODY_CHUNKED:
        return undo_chunks(a, p, n, data);
    case HTTP1_BODY_TO_END:
        data->n = n;
        return PLAIN_MORE;
    case HTTP1_BODY_LENGTH:
        data->n = n < a->left ? n : (size_t)a->left;
        a->left -= data->n;
        if (a->left)
            return PLAIN_MORE;
        break;
    case HTTP1_BODY_NONE:
        break;
    }
    if (data->n < n)    /* it speaks out of turn */
        a->keep = false;
    return PLAIN_DONE;
}
