/* test_base64.c - media that a provider could not read is told apart from what it can. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/base64.h"

static void the_vectors_of_rfc_4648_are_base64(void **state)
{
    static const char *const good[] = { "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy" };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(base64_raw_ok(span_str(good[i]), BASE64_STANDARD));
}

static void every_digit_is_told_from_every_other_byte(void **state)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char text[33];

    (void)state;
    for (int at = 0; at < 32; at++)
        for (int c = 1; c < 256; c++) {
            const bool digit = strchr(digits, c) != NULL;

            if (c == '\\' || c == '\r' || c == '\n' || c == '=')
                continue;
            memset(text, 'A', 32);
            text[at] = (char)c;
            assert_int_equal(base64_raw_ok((struct span){ text, 32 }, BASE64_STANDARD), digit);
            assert_int_equal(base64_raw_ok((struct span){ text, 32 }, BASE64_ANY), digit || c == '-' || c == '_');
        }
}

static void padding_is_right_or_refused(void **state)
{
    static const struct { const char *text; bool standard, any; } table[] = {
        { "", false, false },         { "=", false, false },        { "====", false, false },
        { "A", false, false },        { "AA", false, true },        { "AAA", false, true },
        { "AAAAA", false, false },    { "AA=", false, false },      { "AAA==", false, false },
        { "A===", false, false },     { "AA==AA==", false, false }, { "AAA=A", false, false },
        { "AA=A", false, false },     { "AAAA====", false, false }, { "AA\nAA\r\n", true, true },
        { "AA AA", false, false },    { "data:", false, false },    { "-_-_", false, true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (base64_raw_ok(span_str(table[i].text), BASE64_STANDARD) != table[i].standard ||
            base64_raw_ok(span_str(table[i].text), BASE64_ANY) != table[i].any)
            print_error("row %zu\n", i);
        assert_int_equal(base64_raw_ok(span_str(table[i].text), BASE64_STANDARD), table[i].standard);
        assert_int_equal(base64_raw_ok(span_str(table[i].text), BASE64_ANY), table[i].any);
    }
}

/* PHP escapes every slash, .NET every plus. */
static void escapes_of_json_are_read_through(void **state)
{
    (void)state;
    assert_true(base64_raw_ok(SPAN_LIT("AA\\/A"), BASE64_STANDARD));
    assert_true(base64_raw_ok(SPAN_LIT("\\u002BAAA\\u003d\\n"), BASE64_STANDARD) == false);
    assert_true(base64_raw_ok(SPAN_LIT("\\u002BAA\\u003d\\n"), BASE64_STANDARD));
    assert_false(base64_raw_ok(SPAN_LIT("AAA\\\\"), BASE64_STANDARD));
    assert_false(base64_raw_ok(SPAN_LIT("AAA\\u00e4"), BASE64_STANDARD));
}

static void any_base64_becomes_standard(void **state)
{
    static const struct { const char *text, *want; } table[] = {
        { "AA==", "AA==" }, { "AA\\/=", "AA\\/=" }, { "AA", "AA==" }, { "AAA", "AAA=" }, { "-_-_", "+/+/" }, { "-_8=", "+/8=" },
        { "A-\\nA\\u005f\\/w", "A+A//w==" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct buf b;

        buf_init(&b, 64);
        assert_true(base64_raw_ok(span_str(table[i].text), BASE64_ANY));
        base64_add_standard(&b, span_str(table[i].text));
        assert_string_equal(b.p, table[i].want);
        buf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_rfc_4648_are_base64),
        cmocka_unit_test(every_digit_is_told_from_every_other_byte),
        cmocka_unit_test(padding_is_right_or_refused),
        cmocka_unit_test(escapes_of_json_are_read_through),
        cmocka_unit_test(any_base64_becomes_standard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
