#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/jscan.h"
#include "base/test_jwalk.h"

static const char sample[] =
    " { \"model\" : \"auto\", \"n\":-12, \"t\":0.25e1,\"list\":[ 1 , \"two\",[], {\"k\":true} ,null],"
    "\"\\u006dsg\":\"a\\n\\u00e9\\ud83d\\ude00\\u0000z\",\"a/b\":{\"~\":\"tilde\",\"\":false},\"br\":\"]}{[\\\"\\\\\" } \n";

static struct span get(const char *name)
{
    return jval_get(span_str(sample), name);
}

static void assert_span(struct span got, const char *want)
{
    if (!span_is(got, want))
        fail_msg("got \"%.*s\", wanted \"%s\"", SPAN_FMT(got), want);
}

static void the_type_of_a_value_is_seen_behind_blanks(void **state)
{
    static const struct { const char *text; enum jtype type; } cases[] = {
        { "{}", JTYPE_OBJECT }, { "[]", JTYPE_ARRAY }, { "\"\"", JTYPE_STRING }, { "0", JTYPE_NUMBER },
        { "-1", JTYPE_NUMBER }, { "true", JTYPE_TRUE }, { "false", JTYPE_FALSE }, { "null", JTYPE_NULL },
        { " \n\t\r{}", JTYPE_OBJECT }, { " -1", JTYPE_NUMBER }, { "", JTYPE_NONE }, { "  ", JTYPE_NONE },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(jval_type(span_str(cases[i].text)), cases[i].type);
    assert_int_equal(jval_type(SPAN_NONE), JTYPE_NONE);
}

static void members_come_in_order_with_their_exact_bytes(void **state)
{
    static const char *const want[][2] = {
        { "model", "\"auto\"" }, { "n", "-12" }, { "t", "0.25e1" }, { "list", "[ 1 , \"two\",[], {\"k\":true} ,null]" },
        { "\\u006dsg", "\"a\\n\\u00e9\\ud83d\\ude00\\u0000z\"" }, { "a/b", "{\"~\":\"tilde\",\"\":false}" },
        { "br", "\"]}{[\\\"\\\\\"" },
    };
    struct jiter it = jiter_begin(span_str(sample));
    size_t n = 0;

    (void)state;
    while (jiter_next(&it)) {
        assert_true(n < sizeof want / sizeof want[0]);
        assert_span(it.key, want[n][0]);
        assert_span(it.value, want[n][1]);
        n++;
    }
    assert_int_equal(n, sizeof want / sizeof want[0]);
    assert_false(jiter_next(&it));
}

static void elements_have_no_key(void **state)
{
    static const char *const want[] = { "1", "\"two\"", "[]", "{\"k\":true}", "null" };
    struct jiter it = jiter_begin(get("list"));

    (void)state;
    for (size_t n = 0; n < 5; n++) {
        assert_true(jiter_next(&it));
        assert_null(it.key.p);
        assert_span(it.value, want[n]);
    }
    assert_false(jiter_next(&it));
}

static void nothing_is_within_a_value_that_is_no_container(void **state)
{
    static const char *const texts[] = { "", "1", "\"[1]\"", "null", "[]", "{}", " [ ] ", " { } " };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct jiter it = jiter_begin(span_str(texts[i]));

        assert_false(jiter_next(&it));
        assert_false(jiter_next(&it));
    }
}

static void a_member_is_found_by_its_unescaped_name(void **state)
{
    (void)state;
    assert_span(get("model"), "\"auto\"");
    assert_span(get("msg"), "\"a\\n\\u00e9\\ud83d\\ude00\\u0000z\"");
    assert_null(get("\\u006dsg").p);
    assert_null(get("mode").p);
    assert_null(get("models").p);
    assert_null(get("k").p);    /* of an inner object */
    assert_null(get("").p);
    assert_null(jval_get(SPAN_LIT("[\"a\",1]"), "a").p);
    assert_null(jval_get(SPAN_LIT("\"a\""), "a").p);
    assert_null(jval_get(SPAN_NONE, "a").p);
}

static void raw_text_is_compared_with_its_escapes_undone(void **state)
{
    (void)state;
    assert_true(jraw_is(SPAN_LIT("abc"), "abc"));
    assert_true(jraw_is(SPAN_LIT("a\\u0062c"), "abc"));
    assert_true(jraw_is(SPAN_LIT("\\u0061\\u0062\\u0063"), "abc"));
    assert_true(jraw_is(SPAN_LIT("\\/\\\\\\\"\\b\\f\\n\\r\\t"), "/\\\"\b\f\n\r\t"));
    assert_true(jraw_is(SPAN_LIT("\\ud83d\\uDE00"), "\xf0\x9f\x98\x80"));
    assert_true(jraw_is(SPAN_LIT("\\u20ac"), "\xe2\x82\xac"));
    assert_true(jraw_is(SPAN_LIT("\\u00e9"), "\xc3\xa9"));
    assert_true(jraw_is(SPAN_LIT(""), ""));
    assert_false(jraw_is(SPAN_NONE, ""));
    assert_false(jraw_is(SPAN_LIT("ab"), "abc"));
    assert_false(jraw_is(SPAN_LIT("abc"), "ab"));
    assert_false(jraw_is(SPAN_LIT("\\u0061b"), "abc"));
    assert_false(jraw_is(SPAN_LIT("a\\u0000"), "a"));
    assert_false(jraw_is(SPAN_LIT("\\n"), "n"));
}

static void a_string_is_unescaped_also_in_place(void **state)
{
    static const char want[] = "a\n\xc3\xa9\xf0\x9f\x98\x80\0z";
    const struct span raw = jval_raw(get("msg"));
    char out[64];
    size_t n = jraw_unescape(raw, out);

    (void)state;
    assert_int_equal(n, sizeof want - 1);
    assert_memory_equal(out, want, n);
    memcpy(out, raw.p, raw.n);
    n = jraw_unescape((struct span){ out, raw.n }, out);
    assert_int_equal(n, sizeof want - 1);
    assert_memory_equal(out, want, n);
    assert_int_equal(jraw_unescape(SPAN_NONE, out), 0);
}

static void the_raw_text_is_there_for_strings_alone(void **state)
{
    (void)state;
    assert_span(jval_raw(SPAN_LIT(" \"a\\\"b\" ")), "a\\\"b");
    assert_span(jval_raw(SPAN_LIT("\"\"")), "");
    assert_non_null(jval_raw(SPAN_LIT("\"\"")).p);
    assert_null(jval_raw(SPAN_LIT("1")).p);
    assert_null(jval_raw(SPAN_LIT("[\"a\"]")).p);
    assert_null(jval_raw(SPAN_LIT("null")).p);
    assert_null(jval_raw(SPAN_NONE).p);
}

static void integers_are_read_exactly_or_not_at_all(void **state)
{
    static const struct { const char *text; bool ok; int64_t value; } cases[] = {
        { "0", true, 0 }, { "-0", true, 0 }, { " 17 ", true, 17 }, { "-17", true, -17 },
        { "9223372036854775807", true, INT64_MAX }, { "-9223372036854775808", true, INT64_MIN },
        { "9223372036854775808", false, 0 }, { "-9223372036854775809", false, 0 },
        { "18446744073709551616", false, 0 }, { "1.0", false, 0 }, { "1e2", false, 0 }, { "0.5", false, 0 },
        { "\"1\"", false, 0 }, { "true", false, 0 }, { "null", false, 0 }, { "[1]", false, 0 }, { "", false, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t v = 0;
        const bool ok = jval_int(span_str(cases[i].text), &v);

        if (ok != cases[i].ok || v != cases[i].value)
            fail_msg("%s: %d, %lld", cases[i].text, ok, (long long)v);
    }
}

static void doubles_are_read_from_numbers_alone(void **state)
{
    double v = 0;

    (void)state;
    assert_true(jval_double(get("t"), &v) && v == 2.5);
    assert_true(jval_double(get("n"), &v) && v == -12);
    assert_true(jval_double(SPAN_LIT("1e400"), &v) && isinf(v));
    assert_true(jval_double(SPAN_LIT("1e-400"), &v) && v == 0);
    assert_false(jval_double(SPAN_LIT("\"2.5\""), &v));
    assert_false(jval_double(SPAN_LIT("true"), &v));
    assert_false(jval_double(SPAN_LIT("{}"), &v));
    assert_false(jval_double(SPAN_NONE, &v));
}

static void pointers_lead_to_their_values(void **state)
{
    static const struct { const char *pointer, *want; } cases[] = {
        { "/model", "\"auto\"" }, { "/list/0", "1" }, { "/list/3/k", "true" }, { "/list/4", "null" },
        { "/a~1b/~0", "\"tilde\"" }, { "/a~1b/", "false" }, { "/msg", "\"a\\n\\u00e9\\ud83d\\ude00\\u0000z\"" },
        { "/list/5", NULL }, { "/list/-", NULL }, { "/list/01", NULL }, { "/list/x", NULL }, { "/list/", NULL },
        { "/list/18446744073709551616", NULL }, { "/none", NULL }, { "/model/0", NULL }, { "/n/x", NULL },
        { "model", NULL }, { "/", NULL }, { "/a~1b/~0/x", NULL }, { "/a/b", NULL },
    };
    struct span all = jval_pointer(span_str(sample), "");

    (void)state;
    assert_true(all.p == sample + 1 && all.n == sizeof sample - 1 - 3);    /* without the blanks around */
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct span got = jval_pointer(span_str(sample), cases[i].pointer);

        if (cases[i].want ? !span_is(got, cases[i].want) : got.p != NULL)
            fail_msg("%s: got \"%.*s\"", cases[i].pointer, SPAN_FMT(got));
    }
}

static void a_token_may_be_as_long_as_a_key(void **state)
{
    (void)state;
    for (size_t n = 1020; n < 1030; n++) {    /* a key "~kkk..." of n bytes; jscan lets 1,024 pass */
        char text[1100] = "{\"~", pointer[1100] = "/~0";

        memset(text + 3, 'k', n - 1);
        memcpy(text + 2 + n, "\":1}", 5);
        memset(pointer + 3, 'k', n - 1);
        assert_int_equal(span_is(jval_pointer(span_str(text), pointer), "1"), n <= 1024);
    }
}

/* Text that was never scanned gives nonsense; it must not give a read beyond its end (AddressSanitizer looks on). */
static void text_that_was_not_scanned_is_never_left(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof sample; n++) {
        char *cut = malloc(n + 1);
        struct span text;
        char out[sizeof sample];
        int64_t i;
        double d;

        assert_non_null(cut);
        memcpy(cut + 1, sample, n);    /* the end is the end of the block */
        text = (struct span){ cut + 1, n };
        for (struct jiter it = jiter_begin(text); jiter_next(&it);) {
            (void)jraw_unescape(it.key, out);
            (void)jraw_unescape(jval_raw(it.value), out);
            (void)jval_int(it.value, &i);
            (void)jval_double(it.value, &d);
        }
        (void)jval_pointer(text, "/list/3/k");
        (void)jval_pointer(text, "/br/x");
        free(cut);
    }
}

/* ---- against jansson ---- */

struct dice {
    uint64_t x;
};

static unsigned roll(struct dice *d, unsigned sides)    /* xorshift: the same documents on every machine */
{
    d->x ^= d->x << 13;
    d->x ^= d->x >> 7;
    d->x ^= d->x << 17;
    return (unsigned)(d->x >> 33) % sides;
}

static void write_blanks(struct buf *b, struct dice *d)
{
    while (roll(d, 8) == 0)
        buf_add_char(b, " \n\t\r"[roll(d, 4)]);
}

static void write_string(struct buf *b, struct dice *d)
{
    static const char *const bits[] = {
        "a", "b", "model", "\\n", "\\\"", "\\\\", "\\/", "\\u0041", "\\u00e9", "\\u20ac", "\\ud83d\\ude00", "\xc3\xa9",
        "\xe2\x82\xac", "\xf0\x9f\x98\x80", "0123456789abcdef", " ", "[{\\\"}]", "\\t", "\x7f", "\xef\xbf\xbd",
    };

    buf_add_char(b, '"');
    for (unsigned n = roll(d, 6); n; n--)
        buf_add_str(b, bits[roll(d, sizeof bits / sizeof bits[0])]);
    buf_add_char(b, '"');
}

static void write_number(struct buf *b, struct dice *d)
{
    static const char *const numbers[] = { "0", "-0", "1", "-17", "9223372036854775807", "-9223372036854775808", "0.5",
                                           "1e5", "-2.5E-3", "123456789.125", "0e0", "1e+10" };

    buf_add_str(b, numbers[roll(d, sizeof numbers / sizeof numbers[0])]);
}

static void write_value(struct buf *b, struct dice *d, unsigned depth)    /* a test's recursion, of bounded depth */
{
    const unsigned kind = roll(d, depth ? 8 : 5);

    write_blanks(b, d);
    if (kind < 2) {
        write_string(b, d);
    } else if (kind < 4) {
        write_number(b, d);
    } else if (kind == 4) {
        buf_add_str(b, (const char *const[]){ "true", "false", "null" }[roll(d, 3)]);
    } else {
        const bool object = kind == 5 || kind == 6;

        buf_add_char(b, object ? '{' : '[');
        write_blanks(b, d);
        for (unsigned i = 0, n = roll(d, 6); i < n; i++) {
            if (i)
                buf_add_char(b, ',');
            if (object) {
                write_blanks(b, d);
                write_string(b, d);
                write_blanks(b, d);
                buf_add_char(b, ':');
            }
            write_value(b, d, depth - 1);
        }
        buf_add_char(b, object ? '}' : ']');
    }
    write_blanks(b, d);
}

static void damage(struct buf *b, struct dice *d)
{
    static const char bytes[] = "{}[]:,\"\\ue0-1.tn \n\x80\xc3\xed\xff\x01";
    const size_t at = roll(d, (unsigned)b->n);

    if (roll(d, 3) == 0 && b->n > 1)
        memmove(b->p + at, b->p + at + 1, b->n-- - at - 1);
    else
        b->p[at] = bytes[roll(d, sizeof bytes - 1)];
}

/* 0: both refuse, 1: both accept and see the same; -1 with a message otherwise. jansson alone refuses numbers beyond
 * its range and NUL in a key, which are no difference. */
static int compare(struct jscan *s, struct span text)
{
    json_error_t e;
    json_t *tree = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY, &e);
    int result = tree ? 1 : 0;
    bool ours;

    jscan_reset(s);
    (void)jscan_feed(s, text);
    ours = jscan_end(s) == JSCAN_DONE;
    if (ours != (tree != NULL) && json_error_code(&e) != json_error_numeric_overflow &&
        json_error_code(&e) != json_error_null_byte_in_key)
        result = -1;
    if (tree && ours && !jwalk_equals(text, tree))
        result = -1;
    if (result < 0)
        print_error("%.*s\nours: %s at %zu, jansson: %s\n", SPAN_FMT(text), ours ? "ok" : jscan_error(s), jscan_at(s),
                    tree ? "ok" : e.text);
    json_decref(tree);
    return result;
}

static void jansson_sees_the_same_in_30000_documents(void **state)
{
    struct jscan *s = jscan_new(&jscan_default_limits, 1);
    struct dice d = { UINT64_C(0x9e3779b97f4a7c15) };
    int accepted = 0, refused = 0, different = 0;

    (void)state;
    assert_non_null(s);
    for (int i = 0; i < 30000 && different < 5; i++) {
        struct buf b;
        int result;

        buf_init(&b, 1 << 20);
        write_value(&b, &d, 5);
        assert_true(buf_ok(&b));
        for (unsigned n = roll(&d, 4); n > 1; n--)
            damage(&b, &d);
        result = compare(s, buf_span(&b));
        accepted += result == 1;
        refused += result == 0;
        different += result < 0;
        buf_free(&b);
    }
    jscan_free(s);
    assert_int_equal(different, 0);
    assert_true(accepted > 8000 && refused > 5000);    /* else the documents are not worth their name */
}

/* Every run of plain bytes, quotes and backslashes: 4,096 strings at each of 20 offsets of a block of 16. */
static void a_string_ends_at_the_first_quote_that_is_not_escaped(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 4096; bits++)
        for (size_t before = 0; before < 20; before++) {
            char text[128] = "[\"";
            size_t n = 2;
            struct jiter it;

            for (size_t i = 0; i < before; i++)
                text[n++] = 'x';
            for (int i = 0; i < 12; i += 2)    /* two bits a unit: x, an escaped quote, an escaped backslash, y */
                switch (bits >> i & 3) {
                case 0: text[n++] = 'x'; break;
                case 1: text[n++] = '\\'; text[n++] = '"'; break;
                case 2: text[n++] = '\\'; text[n++] = '\\'; break;
                default: text[n++] = 'y';
                }
            memcpy(text + n, "\",7]", 5);
            it = jiter_begin((struct span){ text, n + 4 });
            assert_true(jiter_next(&it));
            assert_int_equal(it.value.n, n);
            assert_true(jiter_next(&it));
            assert_true(span_is(it.value, "7"));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_string_ends_at_the_first_quote_that_is_not_escaped),
        cmocka_unit_test(the_type_of_a_value_is_seen_behind_blanks),
        cmocka_unit_test(members_come_in_order_with_their_exact_bytes),
        cmocka_unit_test(elements_have_no_key),
        cmocka_unit_test(nothing_is_within_a_value_that_is_no_container),
        cmocka_unit_test(a_member_is_found_by_its_unescaped_name),
        cmocka_unit_test(raw_text_is_compared_with_its_escapes_undone),
        cmocka_unit_test(a_string_is_unescaped_also_in_place),
        cmocka_unit_test(the_raw_text_is_there_for_strings_alone),
        cmocka_unit_test(integers_are_read_exactly_or_not_at_all),
        cmocka_unit_test(doubles_are_read_from_numbers_alone),
        cmocka_unit_test(pointers_lead_to_their_values),
        cmocka_unit_test(a_token_may_be_as_long_as_a_key),
        cmocka_unit_test(text_that_was_not_scanned_is_never_left),
        cmocka_unit_test(jansson_sees_the_same_in_30000_documents),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
