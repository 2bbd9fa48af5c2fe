#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/jscan.h"

#define SEED UINT64_C(0x5eed)

struct vector {
    const char *name;
    bool ok;
    size_t at;
    struct span text;
};

#define OK(name, text) { name, true, 0, SPAN_LIT(text) }
#define NO(name, at, text) { name, false, at, SPAN_LIT(text) }
static const struct vector vectors[] = {
#include "base/test_jscan_vectors.h"
};
#define N_VECTORS (sizeof vectors / sizeof vectors[0])

struct answer {
    enum jscan_rc rc;
    size_t at;
    char error[80];
};

static struct answer finish(struct jscan *s)
{
    struct answer a = { .rc = jscan_end(s) };

    if (a.rc != JSCAN_DONE) {
        a.at = jscan_at(s);
        snprintf(a.error, sizeof a.error, "%s", jscan_error(s));
    }
    return a;
}

/* Each piece lies in memory of its own, so that AddressSanitizer sees a read beyond it. */
static void feed_copy(struct jscan *s, struct span piece)
{
    char *copy = malloc(piece.n + 1);    /* one more, lest malloc(0) be NULL; at the front, to keep the end tight */

    assert_non_null(copy);
    if (piece.n)
        memcpy(copy + 1, piece.p, piece.n);
    (void)jscan_feed(s, (struct span){ copy + 1, piece.n });
    free(copy);
}

static struct answer scan_whole(struct jscan *s, struct span text)
{
    jscan_reset(s);
    feed_copy(s, text);
    return finish(s);
}

static struct answer scan_split(struct jscan *s, struct span text, size_t cut)
{
    jscan_reset(s);
    feed_copy(s, span_first(text, cut));
    feed_copy(s, span_skip(text, cut));
    return finish(s);
}

static struct answer scan_bytes(struct jscan *s, struct span text)
{
    jscan_reset(s);
    for (size_t i = 0; i < text.n; i++)
        feed_copy(s, (struct span){ text.p + i, 1 });
    return finish(s);
}

static bool same(const struct answer *a, const struct answer *b)
{
    return a->rc == b->rc && a->at == b->at && strcmp(a->error, b->error) == 0;
}

static struct jscan *scanner(void)
{
    struct jscan *s = jscan_new(&jscan_default_limits, SEED);

    assert_non_null(s);
    return s;
}

static void each_vector_is_judged_at_the_right_byte(void **state)
{
    struct jscan *s = scanner();
    int wrong = 0;

    (void)state;
    assert_true(N_VECTORS >= 300);
    for (size_t i = 0; i < N_VECTORS; i++) {
        const struct vector *v = &vectors[i];
        const struct answer a = scan_whole(s, v->text);

        if ((a.rc == JSCAN_DONE) == v->ok && (v->ok || a.at == v->at))
            continue;
        print_error("%s: rc %d at %zu (%s), wanted %s at %zu\n", v->name, a.rc, a.at, a.error, v->ok ? "ok" : "bad",
                    v->at);
        wrong++;
    }
    jscan_free(s);
    assert_int_equal(wrong, 0);
}

static void each_vector_is_judged_alike_in_any_two_pieces(void **state)
{
    struct jscan *s = scanner();
    int wrong = 0;

    (void)state;
    for (size_t i = 0; i < N_VECTORS; i++) {
        const struct vector *v = &vectors[i];
        const struct answer whole = scan_whole(s, v->text);
        struct answer a = scan_bytes(s, v->text);

        for (size_t cut = 0; same(&a, &whole) && cut <= v->text.n; cut++)
            a = scan_split(s, v->text, cut);
        if (!same(&a, &whole)) {
            print_error("%s: in pieces rc %d at %zu (%s)\n", v->name, a.rc, a.at, a.error);
            wrong++;
        }
    }
    jscan_free(s);
    assert_int_equal(wrong, 0);
}

static void an_invalid_text_stays_invalid_whatever_follows(void **state)
{
    struct jscan *s = scanner();

    (void)state;
    for (size_t i = 0; i < N_VECTORS; i++) {
        const struct vector *v = &vectors[i];

        if (v->ok || v->at >= v->text.n)    /* those that end too soon may go on */
            continue;
        jscan_reset(s);
        assert_int_equal(jscan_feed(s, v->text), JSCAN_BAD);
        assert_int_equal(jscan_feed(s, SPAN_LIT("{}")), JSCAN_BAD);
        assert_int_equal(jscan_end(s), JSCAN_BAD);
        assert_int_equal(jscan_at(s), v->at);
    }
    jscan_free(s);
}

/* A text that may end here is not DONE before jscan_end only when it is a number, which could have another digit. */
static void done_is_said_with_the_last_byte(void **state)
{
    struct jscan *s = scanner();

    (void)state;
    assert_int_equal(jscan_feed(s, SPAN_LIT("{\"a\":[1")), JSCAN_MORE);
    assert_int_equal(jscan_feed(s, SPAN_LIT("]")), JSCAN_MORE);
    assert_int_equal(jscan_feed(s, SPAN_LIT("}")), JSCAN_DONE);
    assert_int_equal(jscan_feed(s, SPAN_LIT(" \n")), JSCAN_DONE);
    assert_int_equal(jscan_feed(s, SPAN_NONE), JSCAN_DONE);
    assert_int_equal(jscan_feed(s, SPAN_LIT("1")), JSCAN_BAD);
    jscan_reset(s);
    assert_int_equal(jscan_feed(s, SPAN_LIT("12")), JSCAN_MORE);
    assert_int_equal(jscan_end(s), JSCAN_DONE);
    jscan_free(s);
}

/* ---- limits ---- */

static struct answer scan_with(struct jscan_limits limits, const struct buf *text)
{
    struct jscan *s = jscan_new(&limits, SEED);
    struct answer whole, bytes;

    assert_non_null(s);
    assert_true(buf_ok(text));
    whole = scan_whole(s, buf_span(text));
    bytes = scan_bytes(s, buf_span(text));
    assert_true(same(&whole, &bytes));
    jscan_free(s);
    return whole;
}

static void repeat(struct buf *b, const char *text, size_t times)
{
    while (times--)
        buf_add_str(b, text);
}

static struct answer scan_nested(const char *open, const char *inner, const char *shut, size_t depth)
{
    struct buf b;
    struct answer a;

    buf_init(&b, 1 << 20);
    repeat(&b, open, depth);
    buf_add_str(&b, inner);
    repeat(&b, shut, depth);
    a = scan_with(jscan_default_limits, &b);
    buf_free(&b);
    return a;
}

static void depth_64_passes_and_65_does_not(void **state)
{
    struct answer a;

    (void)state;
    assert_int_equal(scan_nested("[", "", "]", 64).rc, JSCAN_DONE);
    assert_int_equal(scan_nested("{\"a\":", "1", "}", 64).rc, JSCAN_DONE);
    a = scan_nested("[", "", "]", 65);
    assert_int_equal(a.rc, JSCAN_BAD);
    assert_int_equal(a.at, 64);
    assert_string_equal(a.error, "nested deeper than 64");
    assert_int_equal(scan_nested("{\"a\":", "1", "}", 65).at, 64 * 5);
    assert_int_equal(scan_nested("[", "", "]", 100000).at, 64);
}

static struct answer scan_repeated(const char *before, const char *one, size_t times, const char *after)
{
    struct buf b;
    struct answer a;

    buf_init(&b, 1 << 22);
    buf_add_str(&b, before);
    repeat(&b, one, times);
    buf_add_str(&b, after);
    a = scan_with(jscan_default_limits, &b);
    buf_free(&b);
    return a;
}

static void one_hundred_thousand_values_pass_and_one_more_does_not(void **state)
{
    struct answer a;

    (void)state;    /* the array is a value too: 1 + 99,998 + 1 */
    assert_int_equal(scan_repeated("[", "1,", 99998, "1]").rc, JSCAN_DONE);
    a = scan_repeated("[", "1,", 99999, "1]");
    assert_int_equal(a.rc, JSCAN_BAD);
    assert_int_equal(a.at, 1 + 2 * 99999);
    assert_string_equal(a.error, "more than 100000 values");
    assert_int_equal(scan_repeated("[", "{},", 99999, "{}]").rc, JSCAN_BAD);
    assert_int_equal(scan_repeated("[", "[],", 99999, "[]]").rc, JSCAN_BAD);
}

static void a_key_of_1024_bytes_passes_and_one_more_does_not(void **state)
{
    struct answer a;

    (void)state;
    assert_int_equal(scan_repeated("{\"", "k", 1024, "\":1}").rc, JSCAN_DONE);
    a = scan_repeated("{\"", "k", 1025, "\":1}");
    assert_int_equal(a.rc, JSCAN_BAD);
    assert_int_equal(a.at, 2 + 1024);
    assert_string_equal(a.error, "a key is longer than 1024 bytes");
    assert_int_equal(scan_repeated("{\"", "k", 100000, "\":1}").at, 2 + 1024);
}

/* 170 x 6 = 1020 bytes as written */
static void the_length_of_a_key_is_counted_as_written(void **state)
{
    (void)state;
    assert_int_equal(scan_repeated("{\"", "\\u0061", 170, "kkkk\":1}").rc, JSCAN_DONE);
    assert_int_equal(scan_repeated("{\"", "\\u0061", 170, "kkkkk\":1}").at, 2 + 1024);
    assert_int_equal(scan_repeated("{\"", "\\u0061", 171, "\":1}").at, 2 + 1024);
    assert_int_equal(scan_repeated("{\"", "\\n", 512, "\":1}").rc, JSCAN_DONE);
    assert_int_equal(scan_repeated("{\"", "\\n", 513, "\":1}").at, 2 + 1024);
    assert_int_equal(scan_repeated("{\"k", "\xc3\xa9", 511, "k\":1}").rc, JSCAN_DONE);
    assert_int_equal(scan_repeated("{\"k", "\xc3\xa9", 512, "\":1}").at, 2 + 1024);
}

static void a_string_value_has_no_length_limit(void **state)
{
    (void)state;
    assert_int_equal(scan_repeated("\"", "x", 1 << 20, "\"").rc, JSCAN_DONE);
}

static void limits_of_the_caller_hold(void **state)
{
    const struct jscan_limits small = { .depth = 1, .values = 3, .key_bytes = 2, .number_bytes = 3 };
    static const struct vector cases[] = {
        OK("one deep", "[1,2]"),
        OK("a short key", "{\"ab\":123}"),
        NO("two deep", 1, "[[]]"),
        NO("four values", 5, "[1,2,3]"),
        NO("a key of three bytes", 4, "{\"abc\":1}"),
        NO("a number of four digits", 3, "1234"),
    };
    struct jscan *s = jscan_new(&small, SEED);

    (void)state;
    assert_non_null(s);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct answer a = scan_whole(s, cases[i].text);

        if ((a.rc == JSCAN_DONE) != cases[i].ok || (!cases[i].ok && a.at != cases[i].at))
            fail_msg("%s: rc %d at %zu", cases[i].name, a.rc, a.at);
    }
    jscan_free(s);
}

static void no_container_is_allowed_at_depth_0(void **state)
{
    const struct jscan_limits flat = { .depth = 0, .values = 1, .key_bytes = 0, .number_bytes = 64 };
    struct jscan *s = jscan_new(&flat, SEED);

    (void)state;
    assert_non_null(s);
    assert_int_equal(scan_whole(s, SPAN_LIT("1")).rc, JSCAN_DONE);
    assert_int_equal(scan_whole(s, SPAN_LIT("[]")).rc, JSCAN_BAD);
    jscan_free(s);
}

/* ---- keys ---- */

/* n keys k0.. and then, when `again` is below n, that one once more. */
static void write_keys(struct buf *b, size_t n, size_t again)
{
    buf_init(b, 4 << 20);
    buf_add_char(b, '{');
    for (size_t i = 0; i < n; i++)
        buf_printf(b, "%s\"k%zu\":0", i ? "," : "", i);
    if (again < n)
        buf_printf(b, ",\"k%zu\":0", again);
    buf_add_char(b, '}');
}

static void a_repeated_key_is_found_among_any_number(void **state)
{
    /* around each doubling of the table, and while it is copied */
    static const size_t counts[] = { 1, 2, 63, 64, 65, 66, 70, 80, 95, 96, 97, 127, 128, 129, 140, 1000, 1030, 4096, 4100, 4200, 5000,
                                     65536, 65537, 65600, 70000, 81000, 99990 };

    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        const size_t n = counts[i], again[] = { 0, n / 2, n - 1 };
        struct jscan *s = scanner();
        struct buf b;

        write_keys(&b, n, SIZE_MAX);
        assert_int_equal(scan_whole(s, buf_span(&b)).rc, JSCAN_DONE);
        buf_free(&b);
        for (size_t k = 0; k < 3; k++) {
            struct answer a;

            write_keys(&b, n, again[k]);
            a = scan_whole(s, buf_span(&b));
            assert_int_equal(a.rc, JSCAN_BAD);
            assert_string_equal(a.error, "a key appears twice in one object");
            buf_free(&b);
        }
        jscan_free(s);
    }
}

static void a_scanner_forgets_all_keys_when_reset(void **state)
{
    struct jscan *s = scanner();

    (void)state;
    for (size_t n = 1; n <= 5000; n = n * 3 + 1) {    /* beyond the tables that are kept, and back */
        struct buf b;

        write_keys(&b, n, SIZE_MAX);
        assert_int_equal(scan_whole(s, buf_span(&b)).rc, JSCAN_DONE);
        assert_int_equal(scan_whole(s, buf_span(&b)).rc, JSCAN_DONE);
        buf_free(&b);
        assert_int_equal(scan_whole(s, SPAN_LIT("{\"k0\":1}")).rc, JSCAN_DONE);
    }
    jscan_free(s);
}

static void a_scanner_is_usable_after_any_failure(void **state)
{
    struct jscan *s = scanner();

    (void)state;
    for (size_t i = 0; i < N_VECTORS; i++) {
        (void)scan_whole(s, vectors[i].text);
        assert_int_equal(scan_whole(s, SPAN_LIT("{\"a\":[\"\\ud83d\\ude00\",-1.5e3],\"b\":null}")).rc, JSCAN_DONE);
    }
    jscan_free(s);
}

static void the_answer_does_not_hang_on_the_seed(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct jscan *s = jscan_new(&jscan_default_limits, seed * UINT64_C(0x123456789abcdef));
        struct buf b;

        assert_non_null(s);
        write_keys(&b, 500, SIZE_MAX);
        assert_int_equal(scan_whole(s, buf_span(&b)).rc, JSCAN_DONE);
        buf_free(&b);
        write_keys(&b, 500, 250);
        assert_int_equal(scan_whole(s, buf_span(&b)).rc, JSCAN_BAD);
        buf_free(&b);
        jscan_free(s);
    }
}

/* Every pair of code units in the range around the surrogates, and every second byte behind every lead byte: what is
 * valid is said by the tables of the standard (Unicode 15, table 3-7), written here a second time. */
static bool utf8_pair_valid(unsigned a, unsigned b)
{
    if (a >= 0xc2 && a <= 0xdf)
        return b >= 0x80 && b <= 0xbf;
    return false;
}

static bool utf8_triple_valid(unsigned a, unsigned b)    /* the third byte is 80 */
{
    switch (a) {
    case 0xe0: return b >= 0xa0 && b <= 0xbf;
    case 0xed: return b >= 0x80 && b <= 0x9f;
    default: return a >= 0xe1 && a <= 0xef && b >= 0x80 && b <= 0xbf;
    }
}

static bool utf8_quad_valid(unsigned a, unsigned b)    /* the third and fourth are 80 */
{
    switch (a) {
    case 0xf0: return b >= 0x90 && b <= 0xbf;
    case 0xf4: return b >= 0x80 && b <= 0x8f;
    default: return a >= 0xf1 && a <= 0xf3 && b >= 0x80 && b <= 0xbf;
    }
}

static void utf8_is_valid_where_the_standard_says_so(void **state)
{
    struct jscan *s = scanner();

    (void)state;
    for (unsigned a = 0x80; a <= 0xff; a++) {
        for (unsigned b = 0x80; b <= 0xff; b++) {
            const char text[] = { '"', (char)a, (char)b, (char)0x80, (char)0x80, '"' };
            const char two[] = { '"', (char)a, (char)b, '"' };
            const char three[] = { '"', (char)a, (char)b, (char)0x80, '"' };

            assert_int_equal(scan_whole(s, (struct span){ two, 4 }).rc == JSCAN_DONE, utf8_pair_valid(a, b));
            assert_int_equal(scan_whole(s, (struct span){ three, 5 }).rc == JSCAN_DONE, utf8_triple_valid(a, b));
            assert_int_equal(scan_whole(s, (struct span){ text, 6 }).rc == JSCAN_DONE, utf8_quad_valid(a, b));
        }
    }
    jscan_free(s);
}

/* A byte at each place of a run of 40, so that each lane of the vector code and its tail has seen each byte. */
static void every_byte_is_judged_alike_at_every_place_of_a_string(void **state)
{
    struct jscan *s = scanner();

    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        const bool plain = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';

        for (size_t at = 1; at <= 40; at++) {
            char text[42];

            memset(text, 'x', sizeof text);
            text[0] = text[41] = '"';
            text[at] = (char)c;
            assert_int_equal(scan_whole(s, (struct span){ text, sizeof text }).rc == JSCAN_DONE, plain);
        }
    }
    jscan_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_vector_is_judged_at_the_right_byte),
        cmocka_unit_test(each_vector_is_judged_alike_in_any_two_pieces),
        cmocka_unit_test(an_invalid_text_stays_invalid_whatever_follows),
        cmocka_unit_test(done_is_said_with_the_last_byte),
        cmocka_unit_test(depth_64_passes_and_65_does_not),
        cmocka_unit_test(one_hundred_thousand_values_pass_and_one_more_does_not),
        cmocka_unit_test(a_key_of_1024_bytes_passes_and_one_more_does_not),
        cmocka_unit_test(the_length_of_a_key_is_counted_as_written),
        cmocka_unit_test(a_string_value_has_no_length_limit),
        cmocka_unit_test(limits_of_the_caller_hold),
        cmocka_unit_test(no_container_is_allowed_at_depth_0),
        cmocka_unit_test(a_repeated_key_is_found_among_any_number),
        cmocka_unit_test(a_scanner_forgets_all_keys_when_reset),
        cmocka_unit_test(a_scanner_is_usable_after_any_failure),
        cmocka_unit_test(the_answer_does_not_hang_on_the_seed),
        cmocka_unit_test(utf8_is_valid_where_the_standard_says_so),
        cmocka_unit_test(every_byte_is_judged_alike_at_every_place_of_a_string),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
