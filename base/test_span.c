#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/span.h"

static void absent_and_empty_are_equal_in_bytes_but_not_in_kind(void **state)
{
    (void)state;
    assert_null(span_str(NULL).p);
    assert_non_null(span_str("").p);
    assert_true(span_eq(SPAN_NONE, span_str("")));
    assert_int_equal(SPAN_LIT("a\0b").n, 3);
}

static void spans_are_equal_by_their_bytes(void **state)
{
    (void)state;
    assert_true(span_is(SPAN_LIT("abc"), "abc"));
    assert_false(span_is(SPAN_LIT("abc"), "abcd"));
    assert_false(span_is(SPAN_LIT("abcd"), "abc"));
    assert_false(span_is(SPAN_LIT("abc"), "abC"));
    assert_false(span_is(SPAN_LIT("abc\0"), "abc"));
}

static void letters_alone_have_a_case(void **state)
{
    (void)state;
    assert_true(span_eq_nocase(SPAN_LIT("Content-Length"), SPAN_LIT("cONTENT-lENGTH")));
    assert_true(span_eq_nocase(SPAN_NONE, SPAN_LIT("")));
    assert_false(span_eq_nocase(SPAN_LIT("a"), SPAN_LIT("ab")));
    assert_false(span_eq_nocase(SPAN_LIT("@"), SPAN_LIT("`")));    /* each differs from the other by the bit of case, */
    assert_false(span_eq_nocase(SPAN_LIT("["), SPAN_LIT("{")));    /* and is no letter */
    assert_false(span_eq_nocase(SPAN_LIT("\xc3\x89"), SPAN_LIT("\xc3\xa9")));
}

static void heads_and_tails_are_compared_within_the_span(void **state)
{
    const struct span s = SPAN_LIT("/v1/chat");

    (void)state;
    assert_true(span_starts(s, SPAN_LIT("/v1")));
    assert_true(span_starts(s, SPAN_NONE));
    assert_true(span_starts(s, s));
    assert_false(span_starts(s, SPAN_LIT("/v1/chat/")));
    assert_false(span_starts(SPAN_NONE, SPAN_LIT("a")));
    assert_true(span_ends(s, SPAN_LIT("chat")));
    assert_true(span_ends(s, SPAN_NONE));
    assert_false(span_ends(s, SPAN_LIT("x/v1/chat")));
    assert_false(span_ends(s, SPAN_LIT("chat\0")));
}

static void cutting_never_leaves_the_span(void **state)
{
    const struct span s = SPAN_LIT("abc");

    (void)state;
    assert_true(span_is(span_skip(s, 1), "bc"));
    assert_int_equal(span_skip(s, 3).n, 0);
    assert_ptr_equal(span_skip(s, 9).p, s.p + 3);
    assert_null(span_skip(SPAN_NONE, 1).p);
    assert_true(span_is(span_first(s, 2), "ab"));
    assert_true(span_is(span_first(s, 9), "abc"));
}

static void blanks_are_trimmed_off_both_ends_alone(void **state)
{
    (void)state;
    assert_true(span_is(span_trim(SPAN_LIT(" \ta b\t ")), "a b"));
    assert_true(span_is(span_trim(SPAN_LIT("a")), "a"));
    assert_true(span_is(span_trim(SPAN_LIT("\ra\n")), "\ra\n"));
    assert_int_equal(span_trim(SPAN_LIT("   ")).n, 0);
    assert_int_equal(span_trim(SPAN_NONE).n, 0);
}

static void finding_gives_the_first_place_or_the_length(void **state)
{
    const struct span s = SPAN_LIT("a,b,,c");

    (void)state;
    assert_int_equal(span_find(s, ','), 1);
    assert_int_equal(span_find(s, 'x'), 6);
    assert_int_equal(span_find(SPAN_LIT("a\0b"), 'b'), 2);
    assert_int_equal(span_find(SPAN_NONE, 'a'), 0);
    assert_int_equal(span_find_span(s, SPAN_LIT(",,")), 3);
    assert_int_equal(span_find_span(s, SPAN_LIT("c,")), 6);
    assert_int_equal(span_find_span(SPAN_LIT("ab"), SPAN_LIT("abc")), 2);
    assert_int_equal(span_find_span(SPAN_NONE, SPAN_LIT("a")), 0);
}

static void only_plain_digits_within_the_maximum_are_a_number(void **state)
{
    static const struct { const char *text; uint64_t max; bool ok; uint64_t value; } cases[] = {
        { "0", 10, true, 0 }, { "10", 10, true, 10 }, { "11", 10, false, 0 }, { "007", 10, true, 7 },
        { "18446744073709551615", UINT64_MAX, true, UINT64_MAX }, { "18446744073709551616", UINT64_MAX, false, 0 },
        { "99999999999999999999", UINT64_MAX, false, 0 }, { "9223372036854775808", INT64_MAX, false, 0 },
        { "9", 5, false, 0 }, { "6", 5, false, 0 }, { "5", 5, true, 5 }, { "1", 0, false, 0 }, { "0", 0, true, 0 },
        { "", 10, false, 0 }, { "+1", 10, false, 0 }, { "-1", 10, false, 0 }, { " 1", 10, false, 0 },
        { "1 ", 10, false, 0 }, { "1x", 10, false, 0 }, { "0x1", 10, false, 0 }, { "1.0", 10, false, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t v = 0;

        if (span_to_u64(span_str(cases[i].text), cases[i].max, &v) != cases[i].ok || v != cases[i].value)
            fail_msg("\"%s\" up to %llu", cases[i].text, (unsigned long long)cases[i].max);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent_and_empty_are_equal_in_bytes_but_not_in_kind),
        cmocka_unit_test(spans_are_equal_by_their_bytes),
        cmocka_unit_test(letters_alone_have_a_case),
        cmocka_unit_test(heads_and_tails_are_compared_within_the_span),
        cmocka_unit_test(cutting_never_leaves_the_span),
        cmocka_unit_test(blanks_are_trimmed_off_both_ends_alone),
        cmocka_unit_test(finding_gives_the_first_place_or_the_length),
        cmocka_unit_test(only_plain_digits_within_the_maximum_are_a_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
