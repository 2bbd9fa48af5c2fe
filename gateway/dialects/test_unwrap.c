/* test_unwrap.c - names that were written otherwise come back, and the free text of a custom tool out of the function that stood
 * for it, however it is cut. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/jwrite.h"
#include "gateway/dialects/dialect.h"

/* `json` as a model writes it, fed in two pieces cut at `at`. */
static void assert_text(const char *json, size_t at, const char *want)
{
    const struct span whole = span_str(json);
    const struct span pieces[] = { span_first(whole, at), span_skip(whole, at) };
    struct unwrap u = { .state = UNWRAP_BEFORE };
    struct buf raw, out;

    buf_init(&raw, 4096);
    buf_init(&out, 4096);
    for (size_t i = 0; i < 2; i++) {
        buf_clear(&raw);
        jw_escaped(&raw, pieces[i]);
        assert_true(unwrap_feed(&u, buf_span(&raw), &out));
    }
    assert_string_equal(out.n ? out.p : "", want);
    buf_free(&raw);
    buf_free(&out);
    unwrap_free(&u);
}

static void the_text_is_the_same_wherever_its_arguments_are_cut(void **state)
{
    static const struct { const char *json, *want; } table[] = {
        { "{\"input\":\"a\\nb \\\"c\\\" \\\\ d\"}", "a\\nb \\\"c\\\" \\\\ d" },
        { "  {\n \"input\" : \"x\" }", "x" },
        { "{\"input\":\"\"}", "" },
        { "{\"input\":\"\\u00e9\\ud83d\\ude00/\"}", "\\u00e9\\ud83d\\ude00/" },
        { "{\"input\":\"\\ud83d!\"}", "\\ufffd!" },
        { "{\"input\":\"*** Begin\n\\d\"}", "*** Begin\\n\\\\d" },           /* a bare line end, an escape that is none */
        { "{\"input\":\"a\",\"more\":1}", "a" },
        { "{\"text\":\"a\"}", "{\\\"text\\\":\\\"a\\\"}" },                  /* not wrapped: passes */
        { "{\"input\":[1]}", "{\\\"input\\\":[1]}" },
        { "plain words", "plain words" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        for (size_t at = 0; at <= strlen(table[i].json); at++)
            assert_text(table[i].json, at, table[i].want);
}

static void a_draft_shows_a_wrapped_call_as_free_text(void **state)
{
    struct arena arena;
    struct fault fault;
    struct names names = { 0 };
    struct draft d;
    struct answer v;

    (void)state;
    arena_init(&arena, 1u << 16);
    names_out(&names, &arena, SPAN_LIT("apply.patch"), 64, false, false, &fault);
    names_wrap(&names, SPAN_LIT("apply.patch"));
    draft_init(&d);
    d.names = &names;
    assert_true(draft_arguments(&d, 0, 0, SPAN_LIT("{\\\"inp")));    /* before its name, as some hosts send them */
    assert_true(draft_call(&d, 0, 0, SPAN_LIT("c1"), names.list[0].theirs, false));
    assert_true(draft_arguments(&d, 0, 0, SPAN_LIT("ut\\\":\\\"a\\\\nb\\\"}")));
    v = draft_view(&d);
    assert_int_equal(v.n_tools, 1);
    assert_true(v.tools[0].custom);
    assert_true(span_is(v.tools[0].name, "apply.patch"));
    assert_true(span_is(v.tools[0].arguments, "a\nb"));
    draft_free(&d);
    arena_free(&arena);
}

static void thousands_of_names_come_back(void **state)
{
    struct names names = { 0 };
    struct arena arena;
    struct fault fault;
    char text[32];

    (void)state;
    arena_init(&arena, 4u << 20);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 3000; i++) {
            struct span ours, theirs;

            snprintf(text, sizeof text, i % 2 ? "plain_%d" : "with.dot_%d", i);
            ours = arena_copy(&arena, span_str(text));
            theirs = names_out(&names, &arena, ours, 64, false, false, &fault);
            assert_true(theirs.p != NULL && (i % 2) == span_eq(theirs, ours));
            assert_true(span_eq(names_back(&names, theirs), ours));
            assert_false(names_wrapped(&names, theirs));
        }
    assert_int_equal(names.n, 3000);
    assert_true(span_is(names_back(&names, SPAN_LIT("unknown")), "unknown"));
    /* what stands for one name is no other tool's */
    assert_null(names_out(&names, &arena, names_out(&names, &arena, SPAN_LIT("with.dot_0"), 64, false, false, &fault), 64, false,
                          false, &fault).p);
    assert_int_equal(fault.status, 400);
    arena_free(&arena);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_is_the_same_wherever_its_arguments_are_cut),
        cmocka_unit_test(thousands_of_names_come_back),
        cmocka_unit_test(a_draft_shows_a_wrapped_call_as_free_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
