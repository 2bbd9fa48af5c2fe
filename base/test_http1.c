#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/buf.h"
#include "base/http1.h"

#define MAX_BYTES 65536u
#define MORE (-1)
#define NO_VERDICT (-2)

/* Runs of one letter, for limits. */
#define X10 "xxxxxxxxxx"
#define X100 X10 X10 X10 X10 X10 X10 X10 X10 X10 X10
#define X1000 X100 X100 X100 X100 X100 X100 X100 X100 X100 X100
#define K1 X1000 X10 X10 "xxxx"
#define K8_LESS_1 K1 K1 K1 K1 K1 K1 K1 X1000 X10 X10 "xxx"
#define K8_LESS_5 K1 K1 K1 K1 K1 K1 K1 X1000 X10 "xxxxxxxxx"
#define C250 X100 X100 X10 X10 X10 X10 X10
#define D100 "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
#define F3 "A: 1\r\nB: 2\r\nC: 3\r\n"
#define F33 F3 F3 F3 F3 F3 F3 F3 F3 F3 F3 F3
#define F99 F33 F33 F33

struct vector {
    const char *name;
    int status;
    struct span body;
    struct span text;
};

#define RAW(name, status, text) { name, status, SPAN_NONE, SPAN_LIT(text) },
#define LINE(name, status, line) RAW(name, status, line "\r\nHost: a\r\n\r\n")
#define FIELD(name, status, fields) RAW(name, status, "POST / HTTP/1.1\r\nHost: a\r\n" fields "\r\n")
#define BARE(name, status, fields) RAW(name, status, "POST / HTTP/1.1\r\n" fields "\r\n")
#define CHUNKS(name, status, body, text) { name, status, SPAN_LIT(body), SPAN_LIT(text) },
static const struct vector heads[] = {
#define HEADS
#include "base/test_http1_vectors.h"
#undef HEADS
};
static const struct vector bodies[] = {
#define BODIES
#include "base/test_http1_vectors.h"
#undef BODIES
};
#define N_HEADS (sizeof heads / sizeof heads[0])
#define N_BODIES (sizeof bodies / sizeof bodies[0])

/* ---- heads in pieces ---- */

struct reading {          /* of one head, as its bytes arrive */
    size_t seen;
    int status;           /* NO_VERDICT until there is one */
    size_t used;
    const char *why;
    struct http1_head head;
};

/* `in`: all bytes so far, in memory of their own, so that AddressSanitizer sees a read beyond them. */
static void offer(struct reading *r, struct span in)
{
    char *copy = malloc(in.n + 1);
    struct http1_error err = { 0, NULL };

    assert_non_null(copy);
    if (in.n)
        memcpy(copy + 1, in.p, in.n);
    switch (http1_read_head((struct span){ copy + 1, in.n }, MAX_BYTES, &r->seen, &r->head, &r->used, &err)) {
    case HTTP1_OK: r->status = 0; break;
    case HTTP1_BAD: r->status = err.status; r->why = err.why; break;
    default: r->status = MORE;
    }
    free(copy);
}

static int read_whole(struct span text, struct reading *r)
{
    *r = (struct reading){ .status = NO_VERDICT };
    offer(r, text);
    return r->status;
}

static int read_split(struct span text, size_t cut, struct reading *r)
{
    *r = (struct reading){ .status = NO_VERDICT };
    offer(r, span_first(text, cut));
    if (r->status == MORE)
        offer(r, text);
    return r->status;
}

static int read_by_bytes(struct span text, struct reading *r)
{
    *r = (struct reading){ .status = MORE };
    for (size_t n = 1; n <= text.n && r->status == MORE; n++)
        offer(r, span_first(text, n));
    return r->status;
}

static bool same(const struct reading *a, const struct reading *b)
{
    return a->status == b->status && a->used == b->used && a->why == b->why;
}

static void each_head_gets_its_status(void **state)
{
    int wrong = 0;

    (void)state;
    assert_true(N_HEADS + N_BODIES >= 400);
    for (size_t i = 0; i < N_HEADS; i++) {
        const struct vector *v = &heads[i];
        struct reading r;

        if (read_whole(v->text, &r) == v->status && (v->status != 0 || r.used == v->text.n))
            continue;
        print_error("%s: %d (%s), wanted %d\n", v->name, r.status, r.why ? r.why : "", v->status);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

/* Cuts of long heads are tried at their start and end alone. */
static bool cut_is_tried(size_t cut, size_t n)
{
    return n < 1000 || cut < 200 || cut + 200 > n || cut % 509 == 0;
}

static void each_head_is_judged_alike_in_any_pieces(void **state)
{
    int wrong = 0;

    (void)state;
    for (size_t i = 0; i < N_HEADS; i++) {
        const struct vector *v = &heads[i];
        struct reading whole, r;

        read_whole(v->text, &whole);
        read_by_bytes(v->text, &r);
        for (size_t cut = 0; cut <= v->text.n && same(&r, &whole); cut++)
            if (cut_is_tried(cut, v->text.n))
                read_split(v->text, cut, &r);
        if (!same(&r, &whole)) {
            print_error("%s: in pieces %d (%s), whole %d (%s)\n", v->name, r.status, r.why ? r.why : "", whole.status,
                        whole.why ? whole.why : "");
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

/* What stands behind a head is the next one's, and changes nothing. */
static void bytes_behind_a_head_do_not_matter(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_HEADS; i++) {
        const struct vector *v = &heads[i];
        struct reading alone, followed;
        struct buf b;

        if (read_whole(v->text, &alone) == MORE)
            continue;
        buf_init(&b, 1 << 20);
        buf_add_span(&b, v->text);
        buf_add(&b, "\n\0 GET\r\n\r\n", 10);
        assert_true(buf_ok(&b));
        read_whole(buf_span(&b), &followed);
        if (!same(&alone, &followed))
            fail_msg("%s: alone %d, followed %d", v->name, alone.status, followed.status);
        buf_free(&b);
    }
}

/* ---- what a head says ---- */

static const struct http1_head *head_of(const char *text)    /* valid until the next call */
{
    static struct http1_head head;
    struct http1_error err = { 0, "" };
    size_t seen = 0, used;

    if (http1_read_head(span_str(text), MAX_BYTES, &seen, &head, &used, &err) != HTTP1_OK)
        fail_msg("refused: %s", err.why);
    return &head;
}

static void the_parts_of_a_request_are_found(void **state)
{
    const struct http1_head *h = head_of("POST /v1/x%20y?a=b?c HTTP/1.1\r\nHost: gate:8443\r\nX-One:  1 \t\r\n"
                                         "content-LENGTH: 17\r\nx-one: 2\r\nEmpty:\r\n\r\nbody");

    (void)state;
    assert_true(span_is(h->method, "POST"));
    assert_true(span_is(h->target, "/v1/x%20y?a=b?c"));
    assert_true(span_is(h->path, "/v1/x%20y"));
    assert_true(span_is(h->query, "a=b?c"));
    assert_true(span_is(h->host, "gate:8443"));
    assert_int_equal(h->minor, 1);
    assert_int_equal(h->n_headers, 5);
    assert_true(span_is(h->headers[1].name, "X-One"));
    assert_true(span_is(h->headers[1].value, "1"));
    assert_true(h->has_length && h->length == 17 && !h->chunked);
    assert_true(h->keep_alive && !h->expect_continue);
    assert_true(span_is(http1_get(h, "x-one"), "1"));    /* the first of two */
    assert_true(span_is(http1_get(h, "empty"), ""));
    assert_non_null(http1_get(h, "empty").p);
    assert_null(http1_get(h, "x-two").p);
    assert_null(http1_get(h, "x").p);
}

static void a_missing_query_differs_from_an_empty_one(void **state)
{
    (void)state;
    assert_null(head_of("GET /a HTTP/1.1\r\nHost: a\r\n\r\n")->query.p);
    assert_non_null(head_of("GET /a? HTTP/1.1\r\nHost: a\r\n\r\n")->query.p);
}

static void an_absolute_target_gives_host_and_path(void **state)
{
    const struct http1_head *h = head_of("GET http://b:81/x?y HTTP/1.1\r\nHost: a\r\n\r\n");

    (void)state;    /* RFC 9112, 3.2.2: the Host field is ignored */
    assert_true(span_is(h->host, "b:81"));
    assert_true(span_is(h->path, "/x"));
    assert_true(span_is(h->query, "y"));
    assert_true(span_is(h->target, "http://b:81/x?y"));
    h = head_of("GET http://b?y HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(span_is(h->path, "/"));
    assert_true(span_is(h->query, "y"));
    assert_true(span_is(head_of("GET https://b HTTP/1.1\r\nHost: a\r\n\r\n")->path, "/"));
    assert_true(span_is(head_of("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")->path, "*"));
}

static void a_request_without_framing_fields_has_no_body(void **state)
{
    const struct http1_head *h = head_of("POST / HTTP/1.1\r\nHost: a\r\n\r\n");

    (void)state;
    assert_false(h->has_length);
    assert_false(h->chunked);
    assert_true(head_of("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n")->chunked);
}

static void keep_alive_follows_version_and_connection(void **state)
{
    static const struct { const char *version, *fields; bool keep; } cases[] = {
        { "1.1", "", true },
        { "1.0", "", false },
        { "1.1", "Connection: close\r\n", false },
        { "1.1", "Connection: Close\r\n", false },
        { "1.1", "Connection: keep-alive\r\n", true },
        { "1.1", "Connection: upgrade\r\n", true },
        { "1.1", "Connection: closed\r\n", true },
        { "1.1", "Connection: x, close\r\n", false },
        { "1.1", "Connection: close,x\r\n", false },
        { "1.1", "Connection: x,\tclose ,y\r\n", false },
        { "1.1", "Connection: x\r\nConnection: close\r\n", false },
        { "1.1", "Connection: keep-alive, close\r\n", false },
        { "1.1", "Proxy-Connection: close\r\n", true },
        { "1.0", "Connection: keep-alive\r\n", true },
        { "1.0", "Connection: Keep-Alive\r\n", true },
        { "1.0", "Connection: close\r\n", false },
        { "1.0", "Connection: keep-alive, close\r\n", false },
        { "1.0", "Keep-Alive: 300\r\n", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf b;

        buf_init(&b, 1000);
        buf_printf(&b, "GET / HTTP/%s\r\nHost: a\r\n%s\r\n", cases[i].version, cases[i].fields);
        if (head_of(buf_span(&b).p)->keep_alive != cases[i].keep)
            fail_msg("HTTP/%s, %s", cases[i].version, cases[i].fields);
        buf_free(&b);
    }
}

static void an_expectation_is_heeded_in_1_1_and_ignored_in_1_0(void **state)
{
    (void)state;
    assert_true(head_of("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\n\r\n")->expect_continue);
    assert_false(head_of("POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\n\r\n")->expect_continue);
}

static void a_head_leaves_nothing_of_the_one_before(void **state)
{
    static struct http1_head h;
    struct http1_error err;
    size_t seen = 0, used;

    (void)state;
    assert_int_equal(http1_read_head(SPAN_LIT("POST /?q HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                                              "Transfer-Encoding: chunked\r\n\r\n"),
                                     MAX_BYTES, &seen, &h, &used, &err), HTTP1_OK);
    seen = 0;
    assert_int_equal(http1_read_head(SPAN_LIT("GET / HTTP/1.0\r\n\r\n"), MAX_BYTES, &seen, &h, &used, &err), HTTP1_OK);
    assert_int_equal(h.n_headers, 0);
    assert_null(http1_get(&h, "host").p);
    assert_false(h.chunked || h.has_length || h.keep_alive || h.expect_continue);
    assert_null(h.host.p);
    assert_null(h.query.p);
}

static void a_head_of_exactly_the_limit_passes_and_a_longer_one_does_not(void **state)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\nX: 0123456789\r\n\r\n";
    const struct span in = SPAN_LIT("GET / HTTP/1.1\r\nHost: a\r\nX: 0123456789\r\n\r\n");

    (void)state;
    for (size_t max = 1; max < sizeof text + 3; max++) {
        struct http1_head h;
        struct http1_error err = { 0, NULL };
        size_t seen = 0, used = 0;
        const enum http1_rc rc = http1_read_head(in, max, &seen, &h, &used, &err);

        assert_int_equal(rc, max >= in.n ? HTTP1_OK : HTTP1_BAD);
        assert_int_equal(err.status, max >= in.n ? 0 : 431);
        for (size_t n = 0; n <= in.n; n++) {    /* and as soon as it can be known, but not before */
            seen = 0;
            const enum http1_rc part = http1_read_head(span_first(in, n), max, &seen, &h, &used, &err);
            assert_int_equal(part, n == in.n && max >= n ? HTTP1_OK : n >= max ? HTTP1_BAD : HTTP1_MORE);
        }
    }
}

/* The commonest mistake of a newcomer is worth its own words. */
static void tls_to_a_plain_port_is_named(void **state)
{
    struct reading r;

    (void)state;
    assert_int_equal(read_whole(SPAN_LIT("\x16\x03\x01"), &r), 400);
    assert_non_null(strstr(r.why, "TLS"));
    assert_int_equal(read_whole(SPAN_LIT("\x15\x03\x01"), &r), 400);
    assert_null(strstr(r.why, "TLS"));
}

/* Every byte at every place of a value of 40 bytes: each lane of the vector code and its tail. */
static void every_byte_is_judged_alike_at_every_place_of_a_value(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        const bool good = c == '\t' || (c >= ' ' && c != 0x7f);

        for (size_t at = 0; at < 40; at++) {
            char text[] = "GET / HTTP/1.0\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n";
            struct reading r;

            text[19 + at] = (char)c;
            assert_int_equal(read_whole((struct span){ text, sizeof text - 1 }, &r), good ? 0 : 400);
        }
    }
}

/* ---- chunked bodies ---- */

struct body {
    int status;
    const char *why;
    size_t used;          /* bytes taken */
    struct buf data;
};

/* Feeds the text in pieces that end at `cut`, at `step`s from there, and at the end. */
static void read_body(struct span text, size_t cut, size_t step, struct body *out)
{
    struct http1_chunks c;
    struct http1_error err = { 0, NULL };
    enum http1_rc rc = HTTP1_MORE;
    size_t from = 0, to = cut;

    http1_chunks_init(&c);
    *out = (struct body){ .status = NO_VERDICT };
    buf_init(&out->data, 1 << 20);
    while (rc == HTTP1_MORE && from < text.n) {
        size_t used;
        struct span data;

        rc = http1_chunks_read(&c, (struct span){ text.p + from, to - from }, &used, &data, &err);
        assert_true(used <= to - from);
        assert_true(used > 0 || to == from);    /* it always gets on */
        buf_add_span(&out->data, data);
        from += used;
        if (from == to)
            to = text.n - to > step ? to + step : text.n;
    }
    out->used = from;
    out->status = rc == HTTP1_OK ? 0 : rc == HTTP1_MORE ? MORE : err.status;
    out->why = err.why;
    assert_true(buf_ok(&out->data));
}

static bool body_is(const struct body *b, const struct vector *v)
{
    return b->status == v->status && span_eq(buf_span(&b->data), v->body) && (v->status != 0 || b->used == v->text.n);
}

static void each_chunked_body_gets_its_status_and_data(void **state)
{
    int wrong = 0;

    (void)state;
    for (size_t i = 0; i < N_BODIES; i++) {
        const struct vector *v = &bodies[i];
        struct body b;

        read_body(v->text, v->text.n, v->text.n, &b);
        if (!body_is(&b, v)) {
            print_error("%s: %d (%s), \"%.*s\"\n", v->name, b.status, b.why ? b.why : "", SPAN_FMT(buf_span(&b.data)));
            wrong++;
        }
        buf_free(&b.data);
    }
    assert_int_equal(wrong, 0);
}

static void each_chunked_body_is_read_alike_in_any_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_BODIES; i++) {
        const struct vector *v = &bodies[i];

        for (size_t cut = 0; cut <= v->text.n; cut++) {
            const size_t step = cut == 0 ? 1 : v->text.n;    /* once byte by byte, then in two pieces */
            struct body b, whole;

            if (!cut_is_tried(cut, v->text.n))
                continue;
            read_body(v->text, cut, step, &b);
            read_body(v->text, v->text.n, v->text.n, &whole);
            if (!body_is(&b, v) || b.why != whole.why || b.used != whole.used)
                fail_msg("%s, cut at %zu: %d (%s)", v->name, cut, b.status, b.why ? b.why : "");
            buf_free(&b.data);
            buf_free(&whole.data);
        }
    }
}

static void bytes_behind_a_chunked_body_are_left(void **state)
{
    const struct span text = SPAN_LIT("3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\n");
    struct http1_chunks c;
    struct http1_error err;
    struct span data;
    size_t used;

    (void)state;
    http1_chunks_init(&c);
    assert_int_equal(http1_chunks_read(&c, text, &used, &data, &err), HTTP1_MORE);
    assert_true(span_is(data, "abc"));
    assert_int_equal(used, 6);
    assert_int_equal(http1_chunks_read(&c, span_skip(text, 6), &used, &data, &err), HTTP1_OK);
    assert_int_equal(used, 7);
    assert_int_equal(data.n, 0);
    assert_int_equal(http1_chunks_read(&c, span_skip(text, 13), &used, &data, &err), HTTP1_OK);    /* it stays so */
    assert_int_equal(used, 0);
}

static void a_body_that_went_wrong_stays_wrong(void **state)
{
    struct http1_chunks c;
    struct http1_error err = { 0, NULL };
    struct span data;
    size_t used;

    (void)state;
    http1_chunks_init(&c);
    assert_int_equal(http1_chunks_read(&c, SPAN_LIT("x"), &used, &data, &err), HTTP1_BAD);
    assert_int_equal(http1_chunks_read(&c, SPAN_LIT("0\r\n\r\n"), &used, &data, &err), HTTP1_BAD);
    assert_int_equal(err.status, 400);
}

static int read_repeated(const char *chunk, size_t times)
{
    struct buf b;
    struct body body;

    buf_init(&b, 8 << 20);
    for (size_t i = 0; i < times; i++)
        buf_add_str(&b, chunk);
    buf_add_str(&b, "0\r\n\r\n");
    assert_true(buf_ok(&b));
    read_body(buf_span(&b), b.n, b.n, &body);
    buf_free(&body.data);
    buf_free(&b);
    return body.status;
}

/* As Envoy's CVE-2020-8659 and Go's CVE-2023-39326: what is not body may not go on for ever. */
static void tiny_chunks_pass_but_padded_ones_do_not(void **state)
{
    (void)state;
    assert_int_equal(read_repeated("1\r\nx\r\n", 100000), 0);
    assert_int_equal(read_repeated("1;a\r\nx\r\n", 100000), 0);
    assert_int_equal(read_repeated("1;" C250 "\r\nx\r\n", 10), 0);
    assert_int_equal(read_repeated("1;" C250 "\r\nx\r\n", 100), 400);
    assert_int_equal(read_repeated("200;" C250 "\r\n" X100 X100 X100 X100 X100 X10 "xx\r\n", 1000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_head_gets_its_status),
        cmocka_unit_test(each_head_is_judged_alike_in_any_pieces),
        cmocka_unit_test(bytes_behind_a_head_do_not_matter),
        cmocka_unit_test(the_parts_of_a_request_are_found),
        cmocka_unit_test(a_missing_query_differs_from_an_empty_one),
        cmocka_unit_test(an_absolute_target_gives_host_and_path),
        cmocka_unit_test(a_request_without_framing_fields_has_no_body),
        cmocka_unit_test(keep_alive_follows_version_and_connection),
        cmocka_unit_test(an_expectation_is_heeded_in_1_1_and_ignored_in_1_0),
        cmocka_unit_test(a_head_leaves_nothing_of_the_one_before),
        cmocka_unit_test(a_head_of_exactly_the_limit_passes_and_a_longer_one_does_not),
        cmocka_unit_test(tls_to_a_plain_port_is_named),
        cmocka_unit_test(every_byte_is_judged_alike_at_every_place_of_a_value),
        cmocka_unit_test(each_chunked_body_gets_its_status_and_data),
        cmocka_unit_test(each_chunked_body_is_read_alike_in_any_pieces),
        cmocka_unit_test(bytes_behind_a_chunked_body_are_left),
        cmocka_unit_test(a_body_that_went_wrong_stays_wrong),
        cmocka_unit_test(tiny_chunks_pass_but_padded_ones_do_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
