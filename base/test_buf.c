#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/buf.h"

static void assert_text(const struct buf *b, const char *want)
{
    assert_int_equal(b->n, strlen(want));
    assert_string_equal(buf_span(b).p, want);
}

static void appended_bytes_stand_in_order_before_a_nul(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 1000);
    assert_text(&b, "");
    assert_true(buf_add(&b, "ab", 2));
    assert_true(buf_add_span(&b, SPAN_LIT("cd")));
    assert_true(buf_add_span(&b, SPAN_NONE));
    assert_true(buf_add_str(&b, "ef"));
    assert_true(buf_add_char(&b, 'g'));
    assert_true(buf_printf(&b, "%d%s", 7, "h"));
    assert_text(&b, "abcdefg7h");
    buf_clear(&b);
    assert_text(&b, "");
    buf_free(&b);
    assert_text(&b, "");
}

static void a_buffer_grows_to_its_cap_and_no_further(void **state)
{
    (void)state;
    for (size_t cap = 0; cap < 600; cap += 7) {
        struct buf b;

        buf_init(&b, cap);
        for (size_t i = 0; i < cap; i++)
            assert_true(buf_add_char(&b, 'x'));
        assert_true(buf_ok(&b));
        assert_false(buf_add_char(&b, 'x'));
        assert_false(buf_ok(&b));
        assert_int_equal(b.n, cap);
        buf_free(&b);
    }
}

static void a_failure_is_remembered_until_clear(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 4);
    assert_true(buf_add_str(&b, "abc"));
    assert_false(buf_add_str(&b, "de"));    /* nothing of it is kept */
    assert_text(&b, "abc");
    assert_false(buf_add_str(&b, "d"));     /* although it would fit */
    assert_false(buf_printf(&b, "d"));
    assert_text(&b, "abc");
    assert_null(buf_take(&b));
    buf_init(&b, 4);
    assert_false(buf_add_str(&b, "abcde"));
    buf_clear(&b);
    assert_true(buf_ok(&b));
    assert_true(buf_add_str(&b, "abcd"));
    buf_free(&b);
}

static void printing_beyond_the_cap_fails_whole(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 5);
    assert_true(buf_printf(&b, "%s", "12345"));
    assert_text(&b, "12345");
    buf_clear(&b);
    assert_false(buf_printf(&b, "%s", "123456"));
    assert_text(&b, "");
    buf_free(&b);
}

/* RFC 8259, section 7: quote, backslash and 00 to 1F must be escaped, and nothing else. */
static void a_json_string_escapes_what_it_must(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 1000);
    assert_true(buf_add_json(&b, SPAN_LIT("a\"b\\c\n\r\t\b\0\x1f\x7f/\xc3\xa9")));
    assert_text(&b, "\"a\\\"b\\\\c\\n\\r\\t\\u0008\\u0000\\u001f\x7f/\xc3\xa9\"");
    buf_clear(&b);
    assert_true(buf_add_json(&b, SPAN_NONE));
    assert_text(&b, "\"\"");
    buf_clear(&b);
    assert_true(buf_add_json(&b, SPAN_LIT("\"")));
    assert_text(&b, "\"\\\"\"");
    buf_free(&b);
}

static void a_json_string_that_does_not_fit_fails(void **state)
{
    (void)state;
    for (size_t cap = 0; cap < 8; cap++) {    /* "\"a\\nb\"" is 6 bytes */
        struct buf b;

        buf_init(&b, cap);
        assert_int_equal(buf_add_json(&b, SPAN_LIT("a\nb")), cap >= 6);
        assert_int_equal(buf_ok(&b), cap >= 6);
        buf_free(&b);
    }
}

static void dropping_forgets_the_first_bytes(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 100);
    buf_drop(&b, 5);
    assert_text(&b, "");
    buf_add_str(&b, "abcdef");
    buf_drop(&b, 0);
    buf_drop(&b, 2);
    assert_text(&b, "cdef");
    buf_drop(&b, 9);
    assert_text(&b, "");
    assert_true(buf_add_str(&b, "x"));
    assert_text(&b, "x");
    buf_free(&b);
}

static void taking_empties_the_buffer_and_keeps_its_cap(void **state)
{
    struct buf b;
    char *text;

    (void)state;
    buf_init(&b, 3);
    text = buf_take(&b);
    assert_string_equal(text, "");
    free(text);
    buf_add_str(&b, "abc");
    text = buf_take(&b);
    assert_string_equal(text, "abc");
    free(text);
    assert_text(&b, "");
    assert_false(buf_add_str(&b, "abcd"));
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appended_bytes_stand_in_order_before_a_nul),
        cmocka_unit_test(a_buffer_grows_to_its_cap_and_no_further),
        cmocka_unit_test(a_failure_is_remembered_until_clear),
        cmocka_unit_test(printing_beyond_the_cap_fails_whole),
        cmocka_unit_test(a_json_string_escapes_what_it_must),
        cmocka_unit_test(a_json_string_that_does_not_fit_fails),
        cmocka_unit_test(dropping_forgets_the_first_bytes),
        cmocka_unit_test(taking_empties_the_buffer_and_keeps_its_cap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
