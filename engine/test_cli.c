/* test_cli.c - options are taken as written, or refused. Messages go to stderr and are not looked at here. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/cli.h"

struct values {
    const char *model;
    int threads;
    bool published;
};

static enum cli_rc parse(struct values *v, int argc, char **argv)
{
    const struct cli_option options[] = {
        { "model", CLI_TEXT, &v->model, "DIR", "model folder", 0, 0, true },
        { "threads", CLI_INT, &v->threads, "N", "threads", 1, 64, false },
        { "published", CLI_SWITCH, &v->published, 0, "round", 0, 0, false },
        { 0 },
    };
    const struct cli c = { "test", "A test.", options };

    *v = (struct values){ .threads = 3 };
    return cli_parse(&c, argc, argv);
}

#define PARSE(v, ...) \
    parse((v), (int)(sizeof((char *[]){ "test", __VA_ARGS__ }) / sizeof(char *)), (char *[]){ "test", __VA_ARGS__ })

static void options_are_taken_with_blank_or_equals(void **state)
{
    struct values v;

    (void)state;
    assert_int_equal(PARSE(&v, "--model", "a=b", "--threads=7", "--published"), CLI_OK);
    assert_string_equal(v.model, "a=b");
    assert_int_equal(v.threads, 7);
    assert_true(v.published);
    assert_int_equal(PARSE(&v, "--model=x"), CLI_OK);
    assert_int_equal(v.threads, 3);                          /* as it was */
    assert_false(v.published);
}

static void what_does_not_fit_is_a_usage_error(void **state)
{
    struct values v;

    (void)state;
    assert_int_equal(PARSE(&v, "--threads", "2"), CLI_USAGE);                    /* no --model */
    assert_int_equal(PARSE(&v, "--model", "x", "--threads", "0"), CLI_USAGE);
    assert_int_equal(PARSE(&v, "--model", "x", "--threads", "65"), CLI_USAGE);
    assert_int_equal(PARSE(&v, "--model", "x", "--threads", "2x"), CLI_USAGE);
    assert_int_equal(PARSE(&v, "--model", "x", "--threads", ""), CLI_USAGE);
    assert_int_equal(PARSE(&v, "--model", "x", "--threads", "99999999999999999999"), CLI_USAGE);
    assert_int_equal(PARSE(&v, "--model", "x", "--threads"), CLI_USAGE);
    assert_int_equal(PARSE(&v, "--model", ""), CLI_USAGE);
    assert_int_equal(PARSE(&v, "--model", "x", "--published=1"), CLI_USAGE);
    assert_int_equal(PARSE(&v, "--model", "x", "--modle", "y"), CLI_USAGE);
    assert_int_equal(PARSE(&v, "--model", "x", "y"), CLI_USAGE);
    assert_int_equal(PARSE(&v, "--model", "x", "-published"), CLI_USAGE);
}

static void help_wins_over_what_is_missing(void **state)
{
    struct values v;

    (void)state;
    assert_int_equal(PARSE(&v, "--help"), CLI_DONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_taken_with_blank_or_equals),
        cmocka_unit_test(what_does_not_fit_is_a_usage_error),
        cmocka_unit_test(help_wins_over_what_is_missing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
