#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <unistd.h>

#include "base/json.h"

/* A file of its own with these bytes; the caller unlinks and frees the path. */
static char *file_with(struct span bytes)
{
    char *path = strdup("test_json.XXXXXX");    /* in the build folder */
    int fd = path ? mkstemp(path) : -1;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes.p, bytes.n), (ssize_t)bytes.n);
    close(fd);
    return path;
}

static void drop_file(char *path)
{
    unlink(path);
    free(path);
}

static void a_file_is_read_with_its_text(void **state)
{
    char *path = file_with(SPAN_LIT("{\"a\": [1, \"x\\u0000y\"]}\n"));
    struct problems ps;
    char *text;
    size_t n;
    json_t *tree;
    struct span s;

    (void)state;
    problems_init(&ps);
    tree = json_read(path, 1000, &ps, &text, &n);
    assert_non_null(tree);
    assert_int_equal(ps.n, 0);
    assert_int_equal(n, 23);
    assert_string_equal(text, "{\"a\": [1, \"x\\u0000y\"]}\n");
    s = json_value_span(json_array_get(json_object_get(tree, "a"), 1));
    assert_int_equal(s.n, 3);
    assert_memory_equal(s.p, "x\0y", 3);
    json_decref(tree);
    free(text);
    tree = json_read(path, 1000, &ps, NULL, NULL);
    assert_non_null(tree);
    json_decref(tree);
    drop_file(path);
    problems_free(&ps);
}

static void a_missing_file_is_one_problem_with_its_name(void **state)
{
    struct problems ps;
    char *text = (char *)1;

    (void)state;
    problems_init(&ps);
    assert_null(json_read("no-such-file.json", 1000, &ps, &text, NULL));
    assert_null(text);
    assert_int_equal(ps.errors, 1);
    assert_string_equal(ps.list[0].file, "no-such-file.json");
    assert_string_equal(ps.list[0].text, "cannot be read: No such file or directory");
    problems_free(&ps);
    assert_null(json_read(".", 1000, &ps, NULL, NULL));    /* a folder */
    assert_int_equal(ps.errors, 1);
    problems_free(&ps);
}

static void a_file_of_exactly_the_limit_passes_and_a_larger_one_does_not(void **state)
{
    char *path = file_with(SPAN_LIT("[1, 2, 3]"));
    struct problems ps;
    json_t *tree;

    (void)state;
    problems_init(&ps);
    tree = json_read(path, 9, &ps, NULL, NULL);
    assert_non_null(tree);
    json_decref(tree);
    assert_null(json_read(path, 8, &ps, NULL, NULL));
    assert_string_equal(ps.list[0].text, "cannot be read: it is too large");
    drop_file(path);
    problems_free(&ps);
}

static void a_file_beyond_one_read_is_whole(void **state)
{
    const size_t n = 300000;
    char *bytes = malloc(n), *path;
    struct problems ps;
    json_t *tree;

    (void)state;
    assert_non_null(bytes);
    memset(bytes, 'x', n);
    bytes[0] = '[';
    bytes[1] = bytes[n - 2] = '"';
    bytes[n - 1] = ']';
    path = file_with((struct span){ bytes, n });
    problems_init(&ps);
    tree = json_read(path, n, &ps, NULL, NULL);
    assert_non_null(tree);
    assert_int_equal(json_string_length(json_array_get(tree, 0)), n - 4);
    json_decref(tree);
    drop_file(path);
    free(bytes);
    problems_free(&ps);
}

static void invalid_text_is_a_problem_on_its_line(void **state)
{
    static const struct { const char *text; int line; } cases[] = {
        { "{\n  \"a\": 1,\n  \"b\" 2\n}", 3 },
        { "{\n  \"a\": 1,\n  \"a\": 2\n}", 3 },
        { "[1,\n2", 2 },
        { "", 1 },
        { "x", 1 },
        { "{}\n{}", 2 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct problems ps;

        problems_init(&ps);
        assert_null(json_parse("m", span_str(cases[i].text), &ps));
        assert_int_equal(ps.errors, 1);
        assert_string_equal(ps.list[0].file, "m");
        assert_int_equal(ps.list[0].line, cases[i].line);
        problems_free(&ps);
    }
}

static void a_full_list_of_problems_keeps_its_lines(void **state)
{
    struct problems ps;

    (void)state;
    problems_init(&ps);
    for (int i = 0; i < 300; i++)
        problem_error(&ps, "", "x");
    assert_null(json_parse("m", SPAN_LIT("\n\nx"), &ps));
    assert_int_equal(ps.errors, 301);
    assert_int_equal(ps.list[ps.n - 1].line, 0);
    problems_free(&ps);
}

static void getters_fall_back_on_what_is_absent_or_of_another_type(void **state)
{
    struct problems ps;
    json_t *t;

    (void)state;
    problems_init(&ps);
    t = json_parse("m", SPAN_LIT("{\"s\":\"x\",\"e\":\"\",\"i\":-7,\"r\":1.0,\"t\":true,\"f\":false,\"n\":null}"), &ps);
    assert_non_null(t);
    assert_true(span_is(json_span(t, "s"), "x"));
    assert_non_null(json_span(t, "e").p);
    assert_null(json_span(t, "i").p);
    assert_null(json_span(t, "z").p);
    assert_string_equal(json_cstr(t, "s", "d"), "x");
    assert_string_equal(json_cstr(t, "n", "d"), "d");
    assert_int_equal(json_int(t, "i", 3), -7);
    assert_int_equal(json_int(t, "r", 3), 3);
    assert_int_equal(json_int(t, "s", 3), 3);
    assert_true(json_bool(t, "t", false));
    assert_false(json_bool(t, "f", true));
    assert_true(json_bool(t, "i", true));
    assert_int_equal(json_int(NULL, "i", 3), 3);
    json_decref(t);
    problems_free(&ps);
}

static void a_pointer_grows_escaped_and_is_cut_back(void **state)
{
    char at[JSON_POINTER_ROOM] = "";
    size_t before;

    (void)state;
    assert_int_equal(json_at(at, sizeof at, "a/b~c"), 0);
    before = json_at_index(at, sizeof at, 12);
    assert_string_equal(at, "/a~1b~0c/12");
    at[before] = '\0';
    assert_string_equal(at, "/a~1b~0c");
    json_at(at, sizeof at, "");
    assert_string_equal(at, "/a~1b~0c/");
}

static void a_pointer_that_is_too_long_is_cut(void **state)
{
    (void)state;
    for (size_t room = 1; room < 20; room++) {
        char *at = calloc(room, 1);

        assert_non_null(at);
        json_at(at, room, "ab~/");
        json_at(at, room, "~~~~~~~~~~~");
        assert_true(strlen(at) < room);
        free(at);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_read_with_its_text),
        cmocka_unit_test(a_missing_file_is_one_problem_with_its_name),
        cmocka_unit_test(a_file_of_exactly_the_limit_passes_and_a_larger_one_does_not),
        cmocka_unit_test(a_file_beyond_one_read_is_whole),
        cmocka_unit_test(invalid_text_is_a_problem_on_its_line),
        cmocka_unit_test(a_full_list_of_problems_keeps_its_lines),
        cmocka_unit_test(getters_fall_back_on_what_is_absent_or_of_another_type),
        cmocka_unit_test(a_pointer_grows_escaped_and_is_cut_back),
        cmocka_unit_test(a_pointer_that_is_too_long_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
