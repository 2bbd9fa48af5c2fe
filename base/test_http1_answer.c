/* test_http1_answer.c - heads of answers and what RFC 9112 and http1.h say of them. */
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
#define BAD 502
#define BIG 431
/* What a good head says of its body. */
#define NONE HTTP1_BODY_NONE
#define LENGTH HTTP1_BODY_LENGTH
#define CHUNKS HTTP1_BODY_CHUNKED
#define TO_END HTTP1_BODY_TO_END

#define X10 "xxxxxxxxxx"
#define X100 X10 X10 X10 X10 X10 X10 X10 X10 X10 X10
#define F10 "A: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\n"
#define F100 F10 F10 F10 F10 F10 F10 F10 F10 F10 F10

struct vector {
    const char *name;
    int verdict;                   /* 0: a good head */
    int status;
    enum http1_body body;
    uint64_t length;
    bool keep;
    struct span text;
};

#define RAW(name, verdict, text) { name, verdict, 0, NONE, 0, false, SPAN_LIT(text) },
#define GOOD(name, status, body, length, keep, text) { name, 0, status, body, length, keep, SPAN_LIT(text "\r\n") },
#define LINE(name, verdict, line) RAW(name, verdict, line "\r\nContent-Length: 1\r\n\r\n")
#define FIELD(name, verdict, fields) RAW(name, verdict, "HTTP/1.1 200 OK\r\n" fields "\r\n")
#define OK11 "HTTP/1.1 200 OK\r\n"
#define OK10 "HTTP/1.0 200 OK\r\n"

static const struct vector vectors[] = {
    /* ---- how a body ends: RFC 9112, 6.3, in its order ---- */
    GOOD("a length", 200, LENGTH, 5, true, OK11 "Content-Length: 5\r\n")
    GOOD("a length of 0", 200, NONE, 0, true, OK11 "Content-Length: 0\r\n")
    GOOD("a length with zeros first", 200, LENGTH, 5, true, OK11 "Content-Length: 0005\r\n")
    GOOD("the longest length", 200, LENGTH, INT64_MAX, true, OK11 "Content-Length: 9223372036854775807\r\n")
    GOOD("chunks", 200, CHUNKS, 0, true, OK11 "Transfer-Encoding: chunked\r\n")
    GOOD("chunks in capitals", 200, CHUNKS, 0, true, OK11 "TRANSFER-ENCODING: CHUNKED\r\n")
    GOOD("neither: to the end of the connection", 200, TO_END, 0, false, OK11)
    GOOD("neither, in 1.0", 200, TO_END, 0, false, OK10 "Connection: keep-alive\r\n")
    GOOD("neither, keep-alive cannot hold", 200, TO_END, 0, false, OK11 "Connection: keep-alive\r\n")
    GOOD("a length in 1.0", 200, LENGTH, 5, false, OK10 "Content-Length: 5\r\n")
    GOOD("a length in 1.0, kept", 200, LENGTH, 5, true, OK10 "Content-Length: 5\r\nConnection: Keep-Alive\r\n")
    GOOD("a length, closed", 200, LENGTH, 5, false, OK11 "Content-Length: 5\r\nConnection: close\r\n")
    GOOD("chunks, closed among others", 200, CHUNKS, 0, false, OK11 "Connection: x, Close\r\nTransfer-Encoding: chunked\r\n")
    GOOD("204", 204, NONE, 0, true, "HTTP/1.1 204 No Content\r\n")
    GOOD("204 with a length of 0", 204, NONE, 0, true, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n")
    GOOD("204, closed", 204, NONE, 0, false, "HTTP/1.1 204 No Content\r\nConnection: close\r\n")
    GOOD("304 with the length that a 200 would have", 304, NONE, 0, true, "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n")
    GOOD("304 with the coding that a 200 would have", 304, NONE, 0, true,
         "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n")
    GOOD("205 is like any other", 205, LENGTH, 5, true, "HTTP/1.1 205 Reset Content\r\nContent-Length: 5\r\n")
    GOOD("100", 100, NONE, 0, true, "HTTP/1.1 100 Continue\r\n")
    GOOD("103 with fields", 103, NONE, 0, true, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n")
    GOOD("199", 199, NONE, 0, true, "HTTP/1.1 199 x\r\n")
    GOOD("599", 599, LENGTH, 5, true, "HTTP/1.1 599 x\r\nContent-Length: 5\r\n")
    RAW("204 with a length", BAD, "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n")
    RAW("204 with chunks", BAD, "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n")
    RAW("100 with a length", BAD, "HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n")
    RAW("103 with chunks", BAD, "HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n")
    RAW("101, for which nobody asked", BAD, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n")

    /* ---- framing that can be read in two ways ---- */
    FIELD("both framings", BAD, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")
    FIELD("both framings, the other way round", BAD, "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")
    FIELD("two equal lengths", BAD, "Content-Length: 5\r\nContent-Length: 5\r\n")
    FIELD("two lengths", BAD, "Content-Length: 5\r\nContent-Length: 6\r\n")
    FIELD("a list of lengths", BAD, "Content-Length: 5, 5\r\n")
    FIELD("a length with a sign", BAD, "Content-Length: +5\r\n")
    FIELD("a negative length", BAD, "Content-Length: -5\r\n")
    FIELD("a hexadecimal length", BAD, "Content-Length: 0x5\r\n")
    FIELD("a length with a fraction", BAD, "Content-Length: 5.0\r\n")
    FIELD("an empty length", BAD, "Content-Length: \r\n")
    FIELD("a length beyond 63 bits", BAD, "Content-Length: 9223372036854775808\r\n")
    FIELD("a length of 20 digits", BAD, "Content-Length: 00000000000000000005\r\n")
    FIELD("gzip", BAD, "Transfer-Encoding: gzip\r\n")
    FIELD("gzip, then chunked", BAD, "Transfer-Encoding: gzip, chunked\r\n")
    FIELD("chunked, then gzip", BAD, "Transfer-Encoding: chunked, gzip\r\n")
    FIELD("chunked twice", BAD, "Transfer-Encoding: chunked, chunked\r\n")
    FIELD("chunked in two fields", BAD, "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")
    FIELD("identity", BAD, "Transfer-Encoding: identity\r\n")
    FIELD("chunked in quotes", BAD, "Transfer-Encoding: \"chunked\"\r\n")
    FIELD("chunked with a parameter", BAD, "Transfer-Encoding: chunked;q=1\r\n")
    FIELD("no coding", BAD, "Transfer-Encoding:\r\n")
    FIELD("a blank before the colon of a coding", BAD, "Transfer-Encoding : chunked\r\n")
    FIELD("a tab before the colon of a length", BAD, "Content-Length\t: 5\r\n")
    FIELD("a control character before chunked", BAD, "Transfer-Encoding: \x0b" "chunked\r\n")
    RAW("chunks in 1.0", BAD, OK10 "Transfer-Encoding: chunked\r\n\r\n")

    /* ---- the status line (RFC 9112, 4) ---- */
    GOOD("no reason", 200, TO_END, 0, false, "HTTP/1.1 200 \r\n")
    GOOD("no reason and no blank before it", 200, TO_END, 0, false, "HTTP/1.1 200\r\n")
    GOOD("a reason of blanks, tabs and bytes beyond ASCII", 200, TO_END, 0, false, "HTTP/1.1 200 a \t\xc3\xa9\r\n")
    LINE("nothing", BAD, "")
    LINE("a bare LF", BAD, "\n")
    LINE("a version alone", BAD, "HTTP/1.1")
    LINE("a version and a blank", BAD, "HTTP/1.1 ")
    LINE("HTTP/1.2", BAD, "HTTP/1.2 200 OK")
    LINE("HTTP/2", BAD, "HTTP/2 200")
    LINE("HTTP/2.0", BAD, "HTTP/2.0 200 OK")
    LINE("HTTP/0.9", BAD, "HTTP/0.9 200 OK")
    LINE("HTTP/1.10", BAD, "HTTP/1.10 200 OK")
    LINE("HTTP/1.", BAD, "HTTP/1. 200 OK")
    LINE("small letters", BAD, "http/1.1 200 OK")
    LINE("ICY", BAD, "ICY 200 OK")
    LINE("a blank before", BAD, " HTTP/1.1 200 OK")
    LINE("an empty line before", BAD, "\r\nHTTP/1.1 200 OK")
    LINE("two blanks before the status", BAD, "HTTP/1.1  200 OK")
    LINE("a tab before the status", BAD, "HTTP/1.1\t200 OK")
    LINE("a status of two digits", BAD, "HTTP/1.1 20 OK")
    LINE("a status of four digits", BAD, "HTTP/1.1 2000 OK")
    LINE("a status of letters", BAD, "HTTP/1.1 abc OK")
    LINE("a negative status", BAD, "HTTP/1.1 -20 OK")
    LINE("a status with a sign", BAD, "HTTP/1.1 +20 OK")
    LINE("099", BAD, "HTTP/1.1 099 x")
    LINE("000", BAD, "HTTP/1.1 000 x")
    LINE("600", BAD, "HTTP/1.1 600 x")
    LINE("999", BAD, "HTTP/1.1 999 x")
    LINE("a dash behind the status", BAD, "HTTP/1.1 200-OK")
    LINE("a tab behind the status", BAD, "HTTP/1.1 200\tOK")
    LINE("a NUL in the reason", BAD, "HTTP/1.1 200 O\0K")
    LINE("a bare CR in the reason", BAD, "HTTP/1.1 200 O\rK")
    LINE("DEL in the reason", BAD, "HTTP/1.1 200 O\x7fK")
    RAW("a bare LF behind the status line", BAD, "HTTP/1.1 200 OK\nA: 1\r\n\r\n")
    RAW("a request", BAD, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    RAW("a TLS alert", BAD, "\x15\x03\x01\x00\x02\x02\x46")
    RAW("a page without a head", BAD, "<html>")
    RAW("SSH", BAD, "SSH-2.0-x\r\n")
    RAW("HTTP of something else", BAD, "HTTPS")

    /* ---- fields: the same code as of requests, so a few ---- */
    GOOD("Host and Expect mean nothing here", 200, LENGTH, 5, true,
         OK11 "Host: a b\r\nHost: c\r\nExpect: x\r\nContent-Length: 5\r\n")
    FIELD("a folded line", BAD, "A: 1\r\n 2\r\n")
    FIELD("a line without a colon", BAD, "A\r\n")
    FIELD("no name", BAD, ": 1\r\n")
    FIELD("a control character in a value", BAD, "A: \x01\r\n")
    FIELD("a NUL in a value", BAD, "A: \0\r\n")
    FIELD("a bare LF between fields", BAD, "A: 1\nB: 2\r\n")
    FIELD("a bare CR between fields", BAD, "A: 1\rB: 2\r\n")
    RAW("100 fields", 0, "HTTP/1.1 204 x\r\n" F100 "\r\n")
    RAW("101 fields", BIG, "HTTP/1.1 204 x\r\n" F100 "A: 1\r\n\r\n")

    /* ---- not whole yet ---- */
    RAW("no byte", MORE, "")
    RAW("one byte", MORE, "H")
    RAW("up to the version", MORE, "HTTP/1.")
    RAW("half a status line", MORE, "HTTP/1.1 200")
    RAW("a status line", MORE, "HTTP/1.1 200 OK\r\n")
    RAW("a status line and a CR", MORE, "HTTP/1.1 200 OK\r\n\r")
    RAW("a field", MORE, "HTTP/1.1 200 OK\r\nA: 1\r\n")
    RAW("a long reason", MORE, "HTTP/1.1 200 " X100 X100 X100 X100 X100 X100 X100 X100 X100 X100)
};
#define N_VECTORS (sizeof(vectors) / sizeof(vectors[0]))

struct reading {
    int verdict;
    size_t seen, used;
    const char *why;
    struct http1_head head;
};

/* All bytes so far, in memory of their own, so that AddressSanitizer sees a read beyond them. */
static void offer(struct reading *r, struct span in, size_t max)
{
    char *copy = malloc(in.n + 1);
    struct http1_error err = { 0, NULL };

    assert_non_null(copy);
    if (in.n)
        memcpy(copy + 1, in.p, in.n);
    switch (http1_read_response((struct span){ copy + 1, in.n }, max, &r->seen, &r->head, &r->used, &err)) {
    case HTTP1_OK: r->verdict = 0; break;
    case HTTP1_BAD: r->verdict = err.status; r->why = err.why; break;
    default: r->verdict = MORE;
    }
    free(copy);
}

static void read_whole(struct span text, struct reading *r)
{
    *r = (struct reading){ .verdict = MORE };
    offer(r, text, MAX_BYTES);
}

static bool same(const struct reading *a, const struct reading *b)
{
    return a->verdict == b->verdict && a->used == b->used && a->why == b->why && a->head.status == b->head.status &&
           a->head.body == b->head.body && a->head.n_headers == b->head.n_headers;
}

static void each_answer_gets_its_verdict_and_framing(void **state)
{
    int wrong = 0;

    (void)state;
    assert_true(N_VECTORS >= 100);
    for (size_t i = 0; i < N_VECTORS; i++) {
        const struct vector *v = &vectors[i];
        struct reading r;

        read_whole(v->text, &r);
        if (r.verdict == v->verdict &&
            (v->verdict || !v->status || (r.used == v->text.n && r.head.status == v->status && r.head.body == v->body &&
                                          (v->body != LENGTH || r.head.length == v->length) && r.head.keep_alive == v->keep)))
            continue;
        print_error("%s: %d (%s), status %d, body %d, length %llu, keep %d\n", v->name, r.verdict, r.why ? r.why : "",
                    r.head.status, (int)r.head.body, (unsigned long long)r.head.length, r.head.keep_alive);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

static void each_answer_is_judged_alike_in_any_two_pieces_and_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_VECTORS; i++) {
        const struct span text = vectors[i].text;
        struct reading whole, r;

        read_whole(text, &whole);
        for (size_t cut = 0; cut <= text.n; cut++) {
            read_whole(span_first(text, cut), &r);
            if (r.verdict == MORE)
                offer(&r, text, MAX_BYTES);
            if (!same(&r, &whole))
                fail_msg("%s, cut at %zu: %d, whole %d", vectors[i].name, cut, r.verdict, whole.verdict);
        }
        r = (struct reading){ .verdict = MORE };
        for (size_t n = 1; n <= text.n && r.verdict == MORE; n++)
            offer(&r, span_first(text, n), MAX_BYTES);
        if (!same(&r, &whole))
            fail_msg("%s, byte by byte: %d, whole %d", vectors[i].name, r.verdict, whole.verdict);
    }
}

static void bytes_behind_a_head_do_not_matter(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_VECTORS; i++) {
        struct reading alone, followed;
        struct buf b;

        read_whole(vectors[i].text, &alone);
        if (alone.verdict == MORE)
            continue;
        buf_init(&b, 1 << 20);
        buf_add_span(&b, vectors[i].text);
        buf_add(&b, "\n\0 HTTP/1.1\r\n\r\n", 15);
        assert_true(buf_ok(&b));
        read_whole(buf_span(&b), &followed);
        if (!same(&alone, &followed))
            fail_msg("%s: alone %d, followed %d", vectors[i].name, alone.verdict, followed.verdict);
        buf_free(&b);
    }
}

static void a_head_of_exactly_the_limit_passes_and_a_longer_one_is_431(void **state)
{
    static const char text[] = "HTTP/1.1 204 x\r\nA: 0123456789\r\n\r\n";
    const struct span in = { text, sizeof(text) - 1 };

    (void)state;
    for (size_t max = 1; max < in.n + 3; max++) {
        struct reading r = { .verdict = MORE };

        offer(&r, in, max);
        assert_int_equal(r.verdict, max >= in.n ? 0 : BIG);
    }
}

static void the_parts_of_an_answer_are_found(void **state)
{
    struct reading r;
    const struct span text = SPAN_LIT("HTTP/1.0 404 Not  Found\r\nRetry-After:  7 \r\nretry-after: 8\r\n\r\nbody");

    (void)state;
    memset(&r, 0, sizeof(r));
    offer(&r, text, MAX_BYTES);    /* the text was a copy that is gone: only lengths and numbers are looked at */
    assert_int_equal(r.verdict, 0);
    assert_int_equal(r.used, text.n - 4);
    assert_int_equal(r.head.minor, 0);
    assert_int_equal(r.head.reason.n, strlen("Not  Found"));
    assert_int_equal(r.head.n_headers, 2);
    assert_int_equal(r.head.headers[0].value.n, 1);
    assert_null(r.head.method.p);
    assert_null(r.head.host.p);
}

static void a_head_leaves_nothing_of_the_one_before(void **state)
{
    static struct http1_head h;
    struct http1_error err;
    size_t seen = 0, used;

    (void)state;
    assert_int_equal(http1_read_response(SPAN_LIT("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"), MAX_BYTES, &seen, &h, &used,
                                         &err), HTTP1_OK);
    seen = 0;
    assert_int_equal(http1_read_response(SPAN_LIT("HTTP/1.0 204\r\n\r\n"), MAX_BYTES, &seen, &h, &used, &err), HTTP1_OK);
    assert_false(h.has_length || h.chunked || h.keep_alive || h.length || h.n_headers || h.reason.n);
    assert_int_equal(h.body, NONE);
    seen = 0;
    assert_int_equal(http1_read_head(SPAN_LIT("GET / HTTP/1.0\r\n\r\n"), MAX_BYTES, &seen, &h, &used, &err), HTTP1_OK);
    assert_true(h.status == 0 && !h.reason.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_answer_gets_its_verdict_and_framing),
        cmocka_unit_test(each_answer_is_judged_alike_in_any_two_pieces_and_byte_by_byte),
        cmocka_unit_test(bytes_behind_a_head_do_not_matter),
        cmocka_unit_test(a_head_of_exactly_the_limit_passes_and_a_longer_one_is_431),
        cmocka_unit_test(the_parts_of_an_answer_are_found),
        cmocka_unit_test(a_head_leaves_nothing_of_the_one_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
