#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/problem.h"

static char *printed(const struct problems *ps)    /* the caller frees it */
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);

    assert_non_null(f);
    problems_print(ps, f);
    fclose(f);
    return text;
}

static void assert_printed(const struct problems *ps, const char *want)
{
    char *got = printed(ps);

    assert_string_equal(got, want);
    free(got);
}

static void a_problem_is_printed_with_all_that_is_known(void **state)
{
    struct problems ps;

    (void)state;
    problems_init(&ps);
    ps.file = "a.json";
    problem_error(&ps, "/x/0", "must be %s", "a string");
    problem_add(&ps, PROBLEM_WARNING, "", "set it first", "%s is not set", "KEY");
    ps.file = NULL;
    problem_error(&ps, NULL, "no file at all");
    ps.list[0].line = 12;
    assert_printed(&ps, "a.json:12: error: /x/0: must be a string\n"
                        "a.json: warning: KEY is not set (set it first)\n"
                        "error: no file at all\n");
    assert_int_equal(ps.errors, 2);
    assert_int_equal(ps.warnings, 1);
    problems_free(&ps);
    assert_int_equal(ps.n + ps.errors + ps.warnings, 0);
}

static void problems_beyond_200_are_counted_but_not_kept(void **state)
{
    struct problems ps;
    char *text;

    (void)state;
    problems_init(&ps);
    for (int i = 0; i < 250; i++)
        problem_error(&ps, "/x", "number %d", i);
    assert_int_equal(ps.n, 200);
    assert_int_equal(ps.errors, 250);
    text = printed(&ps);
    assert_non_null(strstr(text, "number 199\n... and 50 more\n"));
    free(text);
    problems_free(&ps);
}

static void a_long_text_is_cut_and_not_overrun(void **state)
{
    struct problems ps;
    char text[3000];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    problems_init(&ps);
    problem_error(&ps, text, "%s", text);
    assert_int_equal(strlen(ps.list[0].text), 1023);
    problems_free(&ps);
}

static int line_for(const char *text, const char *pointer)
{
    struct problems ps;
    int line;

    problems_init(&ps);
    ps.file = "f";
    problem_error(&ps, pointer, "x");
    problems_locate(&ps, "f", span_str(text));
    line = ps.list[0].line;
    problems_free(&ps);
    return line;
}

static void a_pointer_is_located_by_the_line_of_its_value(void **state)
{
    static const char text[] = "{\n"                    /* 1 */
                               "  \"a\": 1,\n"           /* 2 */
                               "  \"b\": [\n"           /* 3 */
                               "    {\"c\": true},\n"   /* 4 */
                               "    \"}\\\"\",\n"       /* 5 */
                               "    {\n"                /* 6 */
                               "      \"d/e\": null\n"  /* 7 */
                               "    }\n"
                               "  ]\n"
                               "}\n";

    (void)state;
    assert_int_equal(line_for(text, ""), 1);
    assert_int_equal(line_for(text, "/a"), 2);
    assert_int_equal(line_for(text, "/b"), 3);
    assert_int_equal(line_for(text, "/b/0/c"), 4);
    assert_int_equal(line_for(text, "/b/1"), 5);
    assert_int_equal(line_for(text, "/b/2/d~1e"), 7);
    assert_int_equal(line_for("\n\n  {}", ""), 3);
}

static void what_is_missing_is_located_at_its_nearest_parent(void **state)
{
    static const char text[] = "{\n\"a\": {\n\"b\": 1\n}\n}";

    (void)state;
    assert_int_equal(line_for(text, "/a/x"), 2);
    assert_int_equal(line_for(text, "/a/x/y/z"), 2);
    assert_int_equal(line_for(text, "/a/b/0"), 3);
    assert_int_equal(line_for(text, "/q"), 1);
    assert_int_equal(line_for("", "/q"), 0);
}

static void only_problems_of_that_file_without_a_line_are_located(void **state)
{
    struct problems ps;

    (void)state;
    problems_init(&ps);
    ps.file = "f";
    problem_error(&ps, "", "x");
    problem_error(&ps, "", "y");
    ps.list[1].line = 9;
    ps.file = "g";
    problem_error(&ps, "", "z");
    problems_locate(&ps, "f", SPAN_LIT("\n{}"));
    assert_int_equal(ps.list[0].line, 2);
    assert_int_equal(ps.list[1].line, 9);
    assert_int_equal(ps.list[2].line, 0);
    problems_free(&ps);
}

static void the_nearest_name_is_the_one_that_was_meant(void **state)
{
    static const char *const names[] = { "model", "max_output", "temperature", "when", NULL };
    static const char *const none[] = { NULL };

    (void)state;
    assert_string_equal(problem_nearest(SPAN_LIT("modle"), names), "model");
    assert_string_equal(problem_nearest(SPAN_LIT("Model"), names), "model");
    assert_string_equal(problem_nearest(SPAN_LIT("max_ouput"), names), "max_output");
    assert_string_equal(problem_nearest(SPAN_LIT("max_outputs"), names), "max_output");
    assert_string_equal(problem_nearest(SPAN_LIT("temprature"), names), "temperature");
    assert_string_equal(problem_nearest(SPAN_LIT("wen"), names), "when");
    assert_string_equal(problem_nearest(SPAN_LIT("model"), names), "model");
    assert_null(problem_nearest(SPAN_LIT("budget"), names));
    assert_null(problem_nearest(SPAN_LIT("x"), names));
    assert_null(problem_nearest(SPAN_LIT("model"), none));
    assert_null(problem_nearest(SPAN_LIT("a name of more than sixty-three bytes, which is never near to anything"), names));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_problem_is_printed_with_all_that_is_known),
        cmocka_unit_test(problems_beyond_200_are_counted_but_not_kept),
        cmocka_unit_test(a_long_text_is_cut_and_not_overrun),
        cmocka_unit_test(a_pointer_is_located_by_the_line_of_its_value),
        cmocka_unit_test(what_is_missing_is_located_at_its_nearest_parent),
        cmocka_unit_test(only_problems_of_that_file_without_a_line_are_located),
        cmocka_unit_test(the_nearest_name_is_the_one_that_was_meant),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
