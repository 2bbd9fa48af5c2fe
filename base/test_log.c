#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"

/* What log_line writes to stderr for one text, without the time. NULL: nothing. */
static const char *line_of(enum log_level level, const char *text)
{
    static char out[4096];
    int ends[2], saved = dup(STDERR_FILENO);
    ssize_t n;

    assert_true(saved >= 0);
    assert_int_equal(pipe(ends), 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    log_line(level, "%s", text);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(ends[1]);
    n = read(ends[0], out, sizeof out - 1);
    close(ends[0]);
    if (n <= 0)
        return NULL;
    out[n] = '\0';
    assert_true(n > 25);
    return out + 25;    /* "2026-11-24T17:30:00.123Z " */
}

static void a_line_has_level_text_and_one_line_feed(void **state)
{
    (void)state;
    assert_string_equal(line_of(LOG_INFO, "hello"), "info: hello\n");
    assert_string_equal(line_of(LOG_WARN, ""), "warn: \n");
    assert_string_equal(line_of(LOG_ERROR, "x"), "error: x\n");
}

static void text_from_outside_cannot_forge_a_line(void **state)
{
    (void)state;
    assert_string_equal(line_of(LOG_INFO, "a\n2026-11-24T17:30:00.123Z error: b\r\x1b[2J\x7f"),
                        "info: a?2026-11-24T17:30:00.123Z error: b??[2J?\n");
}

static void a_long_text_is_cut(void **state)
{
    char text[5000];
    const char *line;

    (void)state;
    for (size_t n = 1990; n < 2030; n++) {
        memset(text, 'x', n);
        text[n] = '\0';
        line = line_of(LOG_INFO, text);
        assert_true(strlen(line) + 25 <= 2048);
        assert_string_equal(line + strlen(line) - 2, "x\n");
    }
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    line = line_of(LOG_INFO, text);
    assert_true(strlen(line) + 25 <= 2048);
    assert_string_equal(line + strlen(line) - 2, "x\n");
}

static void lines_below_the_level_are_not_written(void **state)
{
    (void)state;
    assert_null(line_of(LOG_DEBUG, "x"));
    log_set_level(LOG_DEBUG);
    assert_string_equal(line_of(LOG_DEBUG, "x"), "debug: x\n");
    log_set_level(LOG_ERROR);
    assert_null(line_of(LOG_WARN, "x"));
    log_set_level(LOG_INFO);
}

static void a_pipe_that_nobody_reads_stops_no_thread_and_later_says_how_many_lines_are_missing(void **state)
{
    char text[1000], read_back[32768] = "";
    int ends[2], saved = dup(STDERR_FILENO);
    ssize_t n;

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_true(saved >= 0);
    assert_int_equal(pipe(ends), 0);
    assert_true(fcntl(ends[1], F_SETPIPE_SZ, 16384) >= 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    for (int i = 0; i < 100; i++)
        log_line(LOG_INFO, "%s", text);
    n = read(ends[0], read_back, sizeof read_back);
    log_line(LOG_INFO, "after");
    dup2(saved, STDERR_FILENO);
    assert_true(n > 0 && n < 100 * 1000);
    n = read(ends[0], read_back, sizeof read_back - 1);
    read_back[n > 0 ? n : 0] = '\0';
    close(saved);
    close(ends[0]);
    close(ends[1]);
    assert_non_null(strstr(read_back, " lines are missing here: nobody read them\n"));
    assert_non_null(strstr(read_back, "info: after\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_level_text_and_one_line_feed),
        cmocka_unit_test(text_from_outside_cannot_forge_a_line),
        cmocka_unit_test(a_long_text_is_cut),
        cmocka_unit_test(lines_below_the_level_are_not_written),
        cmocka_unit_test(a_pipe_that_nobody_reads_stops_no_thread_and_later_says_how_many_lines_are_missing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
