/* test_sse.c - a stream cut anywhere gives the same events. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/dialects/sse.h"

static bool gather(void *ctx, const struct sse_event *e)
{
    struct buf *b = ctx;

    buf_printf(b, "<%.*s|%.*s|%zu>", SPAN_FMT(e->name), SPAN_FMT(e->data), e->raw.n);
    return true;
}

static bool stop(void *ctx, const struct sse_event *e)
{
    (void)e;
    ++*(int *)ctx;
    return false;
}

/* Every event of the grammar: LF, CRLF and CR ends, no blank after the colon, several data lines, comments, names. */
static const char stream[] = "data: one\n\n"
                             ": keep-alive\n\n"
                             "data:two\r\n\r\n"
                             "event: x\ndata: a\ndata: b\n\n"
                             "data: three\r\r"
                             "data\n\n"
                             "id: 7\ndata: {\"k\":1}\n\n";
static const char events[] = "<|one|11><||14><|two|12><x|a\nb|26><|three|13><||6><|{\"k\":1}|21>";

static void assert_cut(size_t a, size_t b)
{
    struct sse s;
    struct buf got;
    const size_t n = sizeof stream - 1;

    sse_init(&s, 1000);
    buf_init(&got, 10000);
    assert_int_equal(sse_feed(&s, (struct span){ stream, a }, gather, &got), SSE_OK);
    assert_int_equal(sse_feed(&s, (struct span){ stream + a, b - a }, gather, &got), SSE_OK);
    assert_int_equal(sse_feed(&s, (struct span){ stream + b, n - b }, gather, &got), SSE_OK);
    assert_string_equal(got.p ? got.p : "", events);
    assert_int_equal(sse_rest(&s).n, 0);
    buf_free(&got);
    sse_free(&s);
}

static void a_stream_cut_in_three_anywhere_gives_the_same_events(void **state)
{
    (void)state;
    for (size_t a = 0; a < sizeof stream; a++)
        for (size_t b = a; b < sizeof stream; b++)
            assert_cut(a, b);
}

static void bytes_one_by_one_give_the_same_events(void **state)
{
    struct sse s;
    struct buf got;

    (void)state;
    sse_init(&s, 1000);
    buf_init(&got, 10000);
    for (size_t i = 0; i + 1 < sizeof stream; i++)
        assert_int_equal(sse_feed(&s, (struct span){ stream + i, 1 }, gather, &got), SSE_OK);
    assert_string_equal(got.p, events);
    buf_free(&got);
    sse_free(&s);
}

/* A line of 1 GiB must cost a bounded buffer: reliability row 11. */
static void an_event_above_the_cap_is_refused(void **state)
{
    struct sse s;
    struct buf got;
    char line[64] = "data: ";

    (void)state;
    memset(line + 6, 'x', sizeof line - 6);
    sse_init(&s, 100);
    buf_init(&got, 10000);
    assert_int_equal(sse_feed(&s, (struct span){ line, sizeof line }, gather, &got), SSE_OK);
    assert_int_equal(sse_feed(&s, (struct span){ line, sizeof line }, gather, &got), SSE_TOO_LARGE);
    buf_free(&got);
    sse_free(&s);
}

static void a_reader_that_says_stop_gets_no_more(void **state)
{
    struct sse s;
    int calls = 0;

    (void)state;
    sse_init(&s, 1000);
    assert_int_equal(sse_feed(&s, SPAN_LIT("data: 1\n\ndata: 2\n\n"), stop, &calls), SSE_STOP);
    assert_int_equal(calls, 1);
    sse_free(&s);
}

static void the_rest_of_a_cut_stream_is_seen(void **state)
{
    struct sse s;
    struct buf got;

    (void)state;
    sse_init(&s, 1000);
    buf_init(&got, 1000);
    assert_int_equal(sse_feed(&s, SPAN_LIT("data: 1\n\ndata: 2\n"), gather, &got), SSE_OK);
    assert_true(span_is(sse_rest(&s), "data: 2\n"));
    buf_free(&got);
    sse_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_cut_in_three_anywhere_gives_the_same_events),
        cmocka_unit_test(bytes_one_by_one_give_the_same_events),
        cmocka_unit_test(an_event_above_the_cap_is_refused),
        cmocka_unit_test(a_reader_that_says_stop_gets_no_more),
        cmocka_unit_test(the_rest_of_a_cut_stream_is_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
