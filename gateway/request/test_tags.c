/* test_tags.c - one key cannot make the ledger's sums grow without end, and takes nothing from another. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "gateway/request/tags.h"

#define DAY_MS INT64_C(86400000)

/* "name=value" as it is kept. */
static const char *keep(struct tags *t, const char *key, int64_t now_ms, const char *name, const char *value)
{
    static char text[300];
    struct span n = span_str(name), v = span_str(value);

    tags_keep(t, span_str(key), now_ms, &n, &v);
    snprintf(text, sizeof text, "%.*s=%.*s", SPAN_FMT(n), SPAN_FMT(v));
    return text;
}

static void fill(struct tags *t, const char *key, int64_t now_ms, int from, int to)
{
    char value[32], want[64];

    for (int i = from; i < to; i++) {
        snprintf(value, sizeof value, "%d", i);
        snprintf(want, sizeof want, "user=%d", i);
        assert_string_equal(keep(t, key, now_ms, "user", value), want);
    }
}

static void a_thousand_tags_are_kept_and_the_next_is_other(void **state)
{
    struct tags *t = tags_new();

    (void)state;
    fill(t, "a", 5 * DAY_MS, 0, 1000);
    assert_string_equal(keep(t, "a", 5 * DAY_MS, "user", "1000"), "user=other");
    assert_string_equal(keep(t, "a", 5 * DAY_MS, "user", "7"), "user=7");           /* known ones go on */
    assert_string_equal(keep(t, "a", 5 * DAY_MS, "project", "x"), "other=other");    /* names are bounded too */
    fill(t, "a", 5 * DAY_MS, 0, 1000);
    tags_free(t);
}

static void another_key_and_another_day_have_their_own_thousand(void **state)
{
    struct tags *t = tags_new();

    (void)state;
    fill(t, "a", 5 * DAY_MS, 0, 1000);
    fill(t, "b", 5 * DAY_MS + 1, 500, 1500);
    assert_string_equal(keep(t, "a", 6 * DAY_MS - 1, "user", "1000"), "user=other");
    assert_string_equal(keep(t, "a", 6 * DAY_MS, "user", "1000"), "user=1000");
    fill(t, "a", 6 * DAY_MS, 1001, 2000);
    tags_free(t);
}

static void parts_of_a_tag_are_not_taken_for_each_other(void **state)
{
    struct tags *t = tags_new();

    (void)state;
    fill(t, "a", DAY_MS, 0, 999);
    assert_string_equal(keep(t, "a", DAY_MS, "ab", "c"), "ab=c");
    assert_string_equal(keep(t, "a", DAY_MS, "a", "bc"), "other=other");
    assert_string_equal(keep(t, "a", DAY_MS, "abc", ""), "other=other");
    tags_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thousand_tags_are_kept_and_the_next_is_other),
        cmocka_unit_test(another_key_and_another_day_have_their_own_thousand),
        cmocka_unit_test(parts_of_a_tag_are_not_taken_for_each_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
