/* fuzz_http1.c - any bytes as a request: its head, its chunked body, and the bytes as a chunked body alone.
 *
 * Promises: pieces do not matter; spans stay within the head; what passed can be written out again and reads the same;
 * a chunked body that passes is the one that a decoder of a few plain lines finds. */
#include <string.h>

#include "base/buf.h"
#include "base/http1.h"
#include "tests/fuzz/fuzz.h"

#define MAX_BYTES 4096u

struct reading {
    enum http1_rc rc;
    size_t used;
    struct http1_error err;
    struct http1_head head;
};

static void read_in_pieces(struct span in, size_t piece, struct reading *r)
{
    size_t seen = 0, n = 0;

    *r = (struct reading){ .rc = HTTP1_MORE };
    do {
        n = in.n - n < piece ? in.n : n + piece;
        r->rc = http1_read_head(span_first(in, n), MAX_BYTES, &seen, &r->head, &r->used, &r->err);
    } while (r->rc == HTTP1_MORE && n < in.n);
}

static bool within(struct span s, struct span all)
{
    return s.n == 0 || (s.p >= all.p && s.p + s.n <= all.p + all.n) || span_is(s, "/");
}

static bool is_clean(struct span s)    /* no control character but tab */
{
    for (size_t i = 0; i < s.n; i++)
        if (((unsigned char)s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] == 0x7f)
            return false;
    return true;
}

static void check_head(const struct http1_head *h, struct span in)
{
    FUZZ_CHECK(span_ends(in, SPAN_LIT("\r\n\r\n")) || span_ends(in, SPAN_LIT("\r\n")));
    FUZZ_CHECK(h->method.n && h->path.n && (h->path.p[0] == '/' || span_is(h->path, "*")));
    FUZZ_CHECK(within(h->method, in) && within(h->target, in) && within(h->path, in) && within(h->query, in));
    FUZZ_CHECK(within(h->host, in) && (h->host.n || h->minor == 0));
    FUZZ_CHECK(span_find(h->host, '/') == h->host.n && span_find(h->host, '@') == h->host.n);
    FUZZ_CHECK(!(h->chunked && h->has_length) && h->length <= INT64_MAX);
    FUZZ_CHECK(h->n_headers <= HTTP1_HEADERS_MAX && is_clean(h->target));
    for (size_t i = 0; i < h->n_headers; i++) {
        const struct span name = h->headers[i].name, value = h->headers[i].value;

        FUZZ_CHECK(within(name, in) && within(value, in) && name.n && is_clean(name) && is_clean(value));
        FUZZ_CHECK(span_find(name, ' ') == name.n && span_find(name, ':') == name.n && span_trim(value).n == value.n);
    }
}

/* Written out again in the plainest way, it must say the same. */
static void check_round_trip(const struct http1_head *h)
{
    struct buf b;
    struct reading again;

    buf_init(&b, 2 * MAX_BYTES);
    buf_add_span(&b, h->method);
    buf_add_char(&b, ' ');
    buf_add_span(&b, h->target);
    buf_printf(&b, " HTTP/1.%d\r\n", h->minor);
    for (size_t i = 0; i < h->n_headers; i++) {
        buf_add_span(&b, h->headers[i].name);
        buf_add_char(&b, ':');
        buf_add_span(&b, h->headers[i].value);
        buf_add_str(&b, "\r\n");
    }
    buf_add_str(&b, "\r\n");
    FUZZ_CHECK(buf_ok(&b));
    read_in_pieces(buf_span(&b), b.n, &again);
    FUZZ_CHECK(again.rc == HTTP1_OK && again.used == b.n && again.head.n_headers == h->n_headers);
    FUZZ_CHECK(span_eq(again.head.path, h->path) && span_eq(again.head.host, h->host));
    FUZZ_CHECK(again.head.chunked == h->chunked && again.head.has_length == h->has_length &&
               again.head.length == h->length && again.head.keep_alive == h->keep_alive &&
               again.head.expect_continue == h->expect_continue);
    buf_free(&b);
}

/* ---- chunked bodies ---- */

static enum http1_rc decode(struct span in, size_t piece, struct buf *out, size_t *taken, struct http1_error *err)
{
    struct http1_chunks c;
    enum http1_rc rc = HTTP1_MORE;
    size_t from = 0, to = 0;

    http1_chunks_init(&c);
    buf_init(out, in.n);
    while (rc == HTTP1_MORE && from < in.n) {
        struct span data;
        size_t used;

        if (from == to)
            to = in.n - to < piece ? in.n : to + piece;
        rc = http1_chunks_read(&c, (struct span){ in.p + from, to - from }, &used, &data, err);
        FUZZ_CHECK(used > 0 && used <= to - from && (data.n == 0 || within(data, in)));
        FUZZ_CHECK(buf_add_span(out, data));
        from += used;
    }
    *taken = from;
    return rc;
}

/* The body of chunks that are known to be good, the slow way. */
static bool decode_plainly(struct span in, struct buf *out)
{
    buf_init(out, in.n);
    for (;;) {
        size_t eol = span_find_span(in, SPAN_LIT("\r\n"));
        unsigned long long size = strtoull(in.p, NULL, 16);    /* stops at ";" or CR, which is there */

        if (eol == in.n)
            return false;
        in = span_skip(in, eol + 2);
        if (size == 0)
            break;
        if (in.n < size + 2 || !buf_add(out, in.p, (size_t)size))
            return false;
        in = span_skip(in, (size_t)size);
        if (!span_starts(in, SPAN_LIT("\r\n")))
            return false;
        in = span_skip(in, 2);
    }
    while (!span_starts(in, SPAN_LIT("\r\n"))) {
        const size_t eol = span_find_span(in, SPAN_LIT("\r\n"));

        if (eol == in.n)
            return false;
        in = span_skip(in, eol + 2);
    }
    return in.n == 2;
}

static void check_body(struct span in)
{
    struct http1_error err = { 0, NULL }, err2 = { 0, NULL };
    struct buf whole, pieces, plain;
    size_t taken, taken2;
    const enum http1_rc rc = decode(in, in.n, &whole, &taken, &err);

    for (size_t piece = 1; piece < 8; piece += 3) {
        FUZZ_CHECK(decode(in, piece, &pieces, &taken2, &err2) == rc && taken2 == taken && err2.why == err.why);
        FUZZ_CHECK(span_eq(buf_span(&pieces), buf_span(&whole)));
        buf_free(&pieces);
    }
    if (rc == HTTP1_OK) {
        FUZZ_CHECK(decode_plainly(span_first(in, taken), &plain));
        FUZZ_CHECK(span_eq(buf_span(&plain), buf_span(&whole)));
        buf_free(&plain);
    }
    buf_free(&whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct span in = { (const char *)data, size };
    struct reading whole, pieces;

    read_in_pieces(in, size ? size : 1, &whole);
    for (size_t piece = 1; piece < 20; piece = piece * 3 + 1) {
        read_in_pieces(in, piece, &pieces);
        FUZZ_CHECK(pieces.rc == whole.rc && pieces.err.status == whole.err.status && pieces.err.why == whole.err.why);
        FUZZ_CHECK(pieces.used == whole.used);
    }
    if (whole.rc == HTTP1_OK) {
        check_head(&whole.head, span_first(in, whole.used));
        check_round_trip(&whole.head);
        if (whole.head.chunked)
            check_body(span_skip(in, whole.used));
    }
    check_body(in);
    return 0;
}
