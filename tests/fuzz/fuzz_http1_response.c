/* fuzz_http1_response.c - any bytes as what an upstream sends: its heads, then its body as the plain client reads it.
 *
 * Promises: pieces do not matter, neither for the head nor for all of an answer; spans stay within the head; a head that
 * passed frames its body in one way and reads the same when written out again; no more body than its length. */
#include <string.h>

#include "base/buf.h"
#include "base/http1.h"
#include "gateway/upstream/plain_answer.h"
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
        r->rc = http1_read_response(span_first(in, n), MAX_BYTES, &seen, &r->head, &r->used, &r->err);
    } while (r->rc == HTTP1_MORE && n < in.n);
}

static bool within(struct span s, struct span all)
{
    return s.n == 0 || (s.p >= all.p && s.p + s.n <= all.p + all.n);
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
    FUZZ_CHECK(span_starts(in, SPAN_LIT("HTTP/1.")) && span_ends(in, SPAN_LIT("\r\n\r\n")));
    FUZZ_CHECK(h->status >= 100 && h->status <= 599 && h->status != 101 && (h->minor == 0 || h->minor == 1));
    FUZZ_CHECK(within(h->reason, in) && is_clean(h->reason));
    FUZZ_CHECK(!(h->chunked && h->has_length) && h->length <= INT64_MAX && !(h->chunked && h->minor == 0));
    FUZZ_CHECK(h->n_headers <= HTTP1_HEADERS_MAX);
    if (h->status < 200 || h->status == 204 || h->status == 304)
        FUZZ_CHECK(h->body == HTTP1_BODY_NONE);
    else if (h->chunked)
        FUZZ_CHECK(h->body == HTTP1_BODY_CHUNKED);
    else if (h->has_length)
        FUZZ_CHECK(h->body == (h->length ? HTTP1_BODY_LENGTH : HTTP1_BODY_NONE));
    else
        FUZZ_CHECK(h->body == HTTP1_BODY_TO_END && !h->keep_alive);
    for (size_t i = 0; i < h->n_headers; i++) {
        const struct span name = h->headers[i].name, value = h->headers[i].value;

        FUZZ_CHECK(within(name, in) && within(value, in) && name.n && is_clean(name) && is_clean(value));
        FUZZ_CHECK(span_find(name, ' ') == name.n && span_find(name, ':') == name.n && span_trim(value).n == value.n);
    }
}

static void check_round_trip(const struct http1_head *h)
{
    struct buf b;
    struct reading again;

    buf_init(&b, 2 * MAX_BYTES);
    buf_printf(&b, "HTTP/1.%d %d \r\n", h->minor, h->status);
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
    FUZZ_CHECK(again.head.status == h->status && again.head.body == h->body && again.head.length == h->length &&
               again.head.keep_alive == h->keep_alive);
    buf_free(&b);
}

/* ---- a whole answer, as fetch_plain.c takes it apart ---- */

struct whole {
    enum plain_rc rc;
    int status;
    const char *why;
    size_t fields;
    bool keep;                     /* of an answer that came to its end */
    struct buf body;
};

static void read_answer(struct span in, size_t piece, struct whole *w)
{
    static struct http1_head scratch;
    struct plain_answer a;
    char *text = malloc(in.n + 1);
    size_t from = 0, to = 0;

    FUZZ_CHECK(text != NULL);
    if (in.n)
        memcpy(text, in.p, in.n);
    plain_answer_init(&a);
    *w = (struct whole){ .rc = PLAIN_MORE };
    buf_init(&w->body, in.n + 1);
    while (w->rc == PLAIN_MORE && to < in.n) {
        struct span data = SPAN_NONE;
        size_t used = 0;

        to = in.n - to < piece ? in.n : to + piece;
        if (!a.status) {
            w->rc = plain_answer_head(&a, &scratch, (struct span){ text + from, to - from }, &used);
            FUZZ_CHECK(used <= to - from);
            from += used;
            if (w->rc != PLAIN_DONE)
                continue;
            w->rc = PLAIN_MORE;
            if (from == to && a.framing != HTTP1_BODY_NONE)
                continue;
        }
        w->rc = plain_answer_body(&a, text + from, to - from, &data);
        FUZZ_CHECK(data.n == 0 || within(data, (struct span){ text + from, to - from }));
        FUZZ_CHECK(buf_add_span(&w->body, data));
        from = to;
    }
    w->status = a.status;
    w->why = a.why;
    w->fields = a.fields_n;
    w->keep = w->rc == PLAIN_DONE && to == in.n && a.keep;
    FUZZ_CHECK(a.fields_n == 0 || a.fields[a.fields_n - 1] == '\0');
    plain_answer_header(&a, "content-type");
    plain_answer_clear(&a);
    free(text);
}

static void check_answer(struct span in)
{
    struct whole whole, pieces;

    read_answer(in, in.n ? in.n : 1, &whole);
    for (size_t piece = 1; piece < 20; piece = piece * 3 + 1) {
        read_answer(in, piece, &pieces);
        FUZZ_CHECK(pieces.rc == whole.rc && pieces.status == whole.status && pieces.why == whole.why);
        FUZZ_CHECK(pieces.fields == whole.fields && span_eq(buf_span(&pieces.body), buf_span(&whole.body)));
        FUZZ_CHECK(!whole.keep || pieces.keep);    /* in pieces it may be over before the bytes that forbid it */
        buf_free(&pieces.body);
    }
    buf_free(&whole.body);
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
    }
    check_answer(in);
    return 0;
}
