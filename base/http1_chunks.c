/* http1_chunks.c - chunked bodies (RFC 9112, 7.1): a state machine that may stop and go on at any byte.
 *
 * Data is handed out as it lies there, never copied; sizes, extensions and trailers are read, checked and dropped. What
 * is not data costs a step a byte and is bounded three times: a size line, all trailers, and their share of the body.
 * How large a body may be is the server's business. */
#include "base/http1.h"

#include "base/bytes.h"

#define CHUNK_LINE_MAX 256u      /* a size and its extensions */
#define TRAILERS_MAX 8192u
#define CHUNK_WASTE_MAX 16384u

enum chunk_state {
    CH_SIZE,              /* the first digit */
    CH_SIZE_MORE,
    CH_EXT_NAME,          /* behind ";": blanks, then a token */
    CH_EXT,               /* the rest of the line */
    CH_SIZE_LF,
    CH_DATA,
    CH_DATA_CR, CH_DATA_LF,
    CH_TRAILER,           /* the start of a trailer line */
    CH_TRAILER_NAME, CH_TRAILER_VALUE, CH_TRAILER_LF,
    CH_LAST_LF,
    CH_END,
    CH_BAD,
};

/* Fields that a trailer must not bring, for they frame or route (RFC 9110, 6.5.1). */
static bool trailer_forbidden(struct span name)
{
    static const struct span names[] = {
        SPAN_LIT("transfer-encoding"), SPAN_LIT("content-length"), SPAN_LIT("host"), SPAN_LIT("connection"),
        SPAN_LIT("trailer"), SPAN_LIT("te"), SPAN_LIT("upgrade"), SPAN_LIT("expect"), SPAN_LIT("content-encoding"),
        SPAN_LIT("content-type"), SPAN_LIT("content-range"), SPAN_LIT("authorization"),
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (span_eq_nocase(name, names[i]))
            return true;
    return false;
}

void http1_chunks_init(struct http1_chunks *c)
{
    *c = (struct http1_chunks){ .state = CH_SIZE };
}

/* Bytes that are no body may not go on for ever: chunks of one byte are borne, empty talk is not (as Go's net/http
 * counts it: 16 bytes of overhead a chunk are free, and as many as there are data). */
static bool chunk_waste_ok(struct http1_chunks *c)
{
    const uint64_t free_bytes = c->left > CHUNK_WASTE_MAX ? CHUNK_WASTE_MAX : c->left + 16;

    c->waste += c->line_bytes + 2u;    /* the CRLF behind the data */
    c->waste -= c->waste > free_bytes ? (uint32_t)free_bytes : c->waste;
    return c->waste <= CHUNK_WASTE_MAX;
}

static const char *chunk_digit(struct http1_chunks *c, int digit)    /* NULL, or what is wrong */
{
    if (c->left >> 59)    /* so that it stays below 2^63 */
        return "a chunk size is too large";
    c->left = c->left << 4 | (uint64_t)digit;
    if (++c->digits > 16)
        return "a chunk size has more than 16 digits";
    c->state = CH_SIZE_MORE;
    return NULL;
}

static const char *chunk_size_byte(struct http1_chunks *c, char ch)
{
    const int digit = bytes_hex(ch);

    if (digit >= 0)
        return chunk_digit(c, digit);
    if (c->state == CH_SIZE || (ch != '\r' && ch != ';'))
        return "a chunk size is no plain hexadecimal number";
    c->state = ch == '\r' ? CH_SIZE_LF : CH_EXT_NAME;
    return NULL;
}

static const char *chunk_extension_byte(struct http1_chunks *c, char ch)
{
    if (c->state == CH_EXT_NAME) {
        if (bytes_is_token(ch))
            c->state = CH_EXT;
        else if (ch != ' ' && ch != '\t')
            return "a chunk extension has no name";
    } else if (ch == '\r') {
        c->state = CH_SIZE_LF;
    } else if (!bytes_is_field(ch)) {
        return "a chunk extension holds a control character";
    }
    return NULL;
}

static const char *chunk_size_end(struct http1_chunks *c)
{
    if (!chunk_waste_ok(c))
        return "the chunks hold too little body for their number";
    c->state = c->left ? CH_DATA : CH_TRAILER;
    c->line_bytes = 0;
    c->digits = 0;
    return NULL;
}

static const char *trailer_name_byte(struct http1_chunks *c, char ch)
{
    if (bytes_is_token(ch)) {
        if (c->name_bytes < sizeof c->name)
            c->name[c->name_bytes++] = ch;
        return NULL;
    }
    if (ch != ':' || c->state == CH_TRAILER)
        return "a trailer line is not \"Name: value\"";
    if (trailer_forbidden((struct span){ c->name, c->name_bytes }))
        return "a trailer names a field that belongs into the head";
    c->state = CH_TRAILER_VALUE;
    return NULL;
}

static const char *trailer_byte(struct http1_chunks *c, char ch)
{
    if (c->state == CH_TRAILER_VALUE) {
        if (ch == '\r')
            c->state = CH_TRAILER_LF;
        else if (!bytes_is_field(ch))
            return "a trailer value holds a control character";
        return NULL;
    }
    if (c->state == CH_TRAILER) {
        const char *why;

        if (ch == '\r') {
            c->state = CH_LAST_LF;
            return NULL;
        }
        c->name_bytes = 0;
        why = trailer_name_byte(c, ch);
        c->state = CH_TRAILER_NAME;
        return why;
    }
    return trailer_name_byte(c, ch);
}

static const char *chunk_line_feed(struct http1_chunks *c, char ch)
{
    if (ch != '\n')
        return "a carriage return stands alone in the chunked body";
    switch (c->state) {
    case CH_SIZE_LF:
        return chunk_size_end(c);
    case CH_DATA_LF:
        c->state = CH_SIZE;
        return NULL;
    case CH_TRAILER_LF:
        c->state = CH_TRAILER;
        return NULL;
    default:
        c->state = CH_END;
        return NULL;
    }
}

/* One byte that is not data. NULL, or what is wrong. */
static const char *chunk_byte(struct http1_chunks *c, char ch)
{
    switch (c->state) {
    case CH_SIZE: case CH_SIZE_MORE:
        return ++c->line_bytes > CHUNK_LINE_MAX ? "a chunk size line is too long" : chunk_size_byte(c, ch);
    case CH_EXT_NAME: case CH_EXT:
        return ++c->line_bytes > CHUNK_LINE_MAX ? "a chunk size line is too long" : chunk_extension_byte(c, ch);
    case CH_DATA_CR:
        c->state = CH_DATA_LF;
        return ch == '\r' ? NULL : "a chunk is longer than its size";
    case CH_TRAILER: case CH_TRAILER_NAME: case CH_TRAILER_VALUE:
        return ++c->line_bytes > TRAILERS_MAX ? "the trailers are too large" : trailer_byte(c, ch);
    default:
        return chunk_line_feed(c, ch);
    }
}

static struct span chunk_data(struct http1_chunks *c, struct span in)
{
    const struct span data = span_first(in, c->left < in.n ? (size_t)c->left : in.n);

    c->left -= data.n;
    if (c->left == 0)
        c->state = CH_DATA_CR;
    return data;
}

static enum http1_rc chunks_bad(struct http1_chunks *c, struct http1_error *err, const char *why)
{
    c->state = CH_BAD;
    *err = (struct http1_error){ 400, why };
    return HTTP1_BAD;
}

enum http1_rc http1_chunks_read(struct http1_chunks *c, struct span in, size_t *used, struct span *data,
                                struct http1_error *err)
{
    *used = 0;
    *data = SPAN_NONE;
    if (c->state == CH_BAD)
        return chunks_bad(c, err, "the chunked body went wrong before");
    while (c->state != CH_END && *used < in.n) {
        const char *why;

        if (c->state == CH_DATA) {
            *data = chunk_data(c, span_skip(in, *used));
            *used += data->n;
            return HTTP1_MORE;
        }
        why = chunk_byte(c, in.p[(*used)++]);
        if (why)
            return chunks_bad(c, err, why);
    }
    return c->state == CH_END ? HTTP1_OK : HTTP1_MORE;
}
