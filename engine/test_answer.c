/* test_answer.c - UTF-8 and stop strings across the seams of tokens. */
#include "engine/answer.h"

#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

struct fixture {
    struct tokenizer *t;
    struct prompt_markers m;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct problems ps;
    struct buf path;

    problems_init(&ps);
    buf_init(&path, 4096);
    buf_printf(&path, "%s/engine/models/tiny-random/tokenizer.json", getenv("top_srcdir"));
    f->t = tokenizer_load(path.p, &ps);    /* a byte is a token: every seam is tried */
    if (!f->t || !prompt_markers_find(f->t, &f->m, &ps)) {
        problems_print(&ps, stderr);
        return -1;
    }
    buf_free(&path);
    problems_free(&ps);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    tokenizer_free(f->t);
    free(f);
    return 0;
}

/* Feeds `bytes`; a "|" in *shown after every byte that brought something to light. Returns the bytes fed. */
static size_t feed(struct answer *a, const struct fixture *f, struct span bytes, struct buf *shown)
{
    struct buf reasoning, content;
    size_t fed = 0;

    buf_init(&reasoning, 1000);
    buf_init(&content, 1000);
    while (fed < bytes.n) {
        struct ids id;
        enum answer_rc rc;

        ids_init(&id, 1);
        ids_add(&id, 3 + (unsigned char)bytes.p[fed++]);    /* the ids of this file: 3 + byte */
        rc = answer_feed(a, id.p[0], &reasoning, &content);
        ids_free(&id);
        if (content.n) {
            buf_add_span(shown, buf_span(&content));
            buf_add_char(shown, '|');
            buf_clear(&content);
        }
        if (rc == ANSWER_STOP)
            break;
    }
    (void)f;
    assert_int_equal(reasoning.n, 0);
    buf_free(&reasoning);
    buf_free(&content);
    return fed;
}

static void a_character_is_shown_when_it_is_whole(void **state)
{
    static const struct { struct span bytes; const char *shown, *rest; } rows[] = {
#define ROW(bytes, shown, rest) { SPAN_LIT(bytes), shown, rest }
        ROW("ab", "a|b|", ""),
        ROW("\xc3\xa9\xe4\xb8\xad\xf0\x9f\x99\x82", "\xc3\xa9|\xe4\xb8\xad|\xf0\x9f\x99\x82|", ""),
        ROW("a\xe4\xb8", "a|", "\xef\xbf\xbd"),
        ROW("\xe4\xb8" "a", "\xef\xbf\xbd" "a|", ""),              /* a cut sequence is one U+FFFD */
        ROW("\xff\xfe", "\xef\xbf\xbd|\xef\xbf\xbd|", ""),
        ROW("\xc0\xaf", "\xef\xbf\xbd|\xef\xbf\xbd|", ""),       /* overlong */
        ROW("\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd|\xef\xbf\xbd|", ""),   /* a surrogate */
        ROW("\xe4\xc3\xa9", "\xef\xbf\xbd|\xc3\xa9|", ""),       /* the next lead byte is not swallowed */
        ROW("\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd|\xef\xbf\xbd|\xef\xbf\xbd|", ""),
#undef ROW
    };
    const struct fixture *f = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct answer a;
        struct buf shown, reasoning, rest;

        answer_init(&a, f->t, &f->m, false);
        buf_init(&shown, 1000);
        buf_init(&rest, 1000);
        buf_init(&reasoning, 1000);
        feed(&a, f, rows[i].bytes, &shown);
        if (!span_is(buf_span(&shown), rows[i].shown))
            fail_msg("row %zu: %s", i, shown.p);
        answer_end(&a, &reasoning, &rest);
        assert_true(span_is(buf_span(&rest), rows[i].rest));
        buf_free(&shown);
        buf_free(&rest);
        buf_free(&reasoning);
        answer_free(&a);
    }
}

static void no_piece_of_a_stop_string_is_shown(void **state)
{
    static const struct {
        const char *name, *stops[3];
        struct span bytes;
        const char *shown, *rest;
        size_t fed;    /* 0: all, no stop */
    } rows[] = {
#define ROW(name, bytes, shown, rest, fed, ...) { name, { __VA_ARGS__ }, SPAN_LIT(bytes), shown, rest, fed }
        ROW("split over tokens", "ab END cd", "a|b|", "", 6, " END"),
        ROW("at the start", "ENDx", "", "", 3, "END"),
        ROW("a false start is shown once it is one", "EEND", "E|", "", 4, "END"),
        ROW("a false start at the end", "aEN", "a|", "EN", 0, "END"),
        ROW("two beginnings overlap", "ababac", "ab|", "", 6, "abac"),
        ROW("the earliest of several", "xabcd", "x|a|", "", 4, "bcd", "bc"),
        ROW("the one complete first wins", "xabcd", "x|", "", 4, "abc", "bcd"),
        ROW("one inside another's beginning", "xabq", "x|a|", "", 3, "abcd", "b"),
        ROW("a line end", "one\ntwo", "o|n|e|", "", 4, "\n"),
        ROW("several bytes a character", "a\xe4\xb8\xad" "b", "a|", "", 4, "\xe4\xb8\xad"),
        ROW("none", "abc", "a|b|c|", "", 0, "z"),
#undef ROW
    };
    const struct fixture *f = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct answer a;
        struct buf shown, reasoning, rest;
        size_t fed;

        answer_init(&a, f->t, &f->m, false);
        for (size_t k = 0; k < 3 && rows[i].stops[k]; k++)
            assert_true(answer_add_stop(&a, span_str(rows[i].stops[k])));
        buf_init(&shown, 1000);
        buf_init(&rest, 1000);
        buf_init(&reasoning, 1000);
        fed = feed(&a, f, rows[i].bytes, &shown);
        answer_end(&a, &reasoning, &rest);
        if (!span_is(buf_span(&shown), rows[i].shown) || !span_is(buf_span(&rest), rows[i].rest) ||
            fed != (rows[i].fed ? rows[i].fed : rows[i].bytes.n) || a.stopped != true)
            fail_msg("%s: shown %s, rest %s, fed %zu", rows[i].name, shown.p ? shown.p : "", rest.p ? rest.p : "", fed);
        buf_free(&shown);
        buf_free(&rest);
        buf_free(&reasoning);
        answer_free(&a);
    }
}

static void the_end_marker_shows_what_was_held_back(void **state)
{
    const struct fixture *f = *state;
    struct answer a;
    struct buf reasoning, content;

    answer_init(&a, f->t, &f->m, false);
    assert_true(answer_add_stop(&a, SPAN_LIT("END")));
    buf_init(&reasoning, 100);
    buf_init(&content, 100);
    assert_int_equal(answer_feed(&a, 3 + 'E', &reasoning, &content), ANSWER_MORE);
    assert_int_equal(answer_feed(&a, 3 + 'N', &reasoning, &content), ANSWER_MORE);
    assert_int_equal(content.n, 0);
    assert_int_equal(answer_feed(&a, f->m.eos, &reasoning, &content), ANSWER_STOP);
    assert_string_equal(content.p, "EN");
    assert_int_equal(answer_feed(&a, 3 + 'x', &reasoning, &content), ANSWER_STOP);
    assert_string_equal(content.p, "EN");
    buf_free(&reasoning);
    buf_free(&content);
    answer_free(&a);
}

static void reasoning_is_kept_apart_and_counted(void **state)
{
    const struct fixture *f = *state;
    struct answer a;
    struct buf reasoning, content;

    answer_init(&a, f->t, &f->m, true);
    assert_true(answer_add_stop(&a, SPAN_LIT("w")));    /* in the reasoning it is just a letter */
    buf_init(&reasoning, 100);
    buf_init(&content, 100);
    answer_feed(&a, 3 + 'w', &reasoning, &content);
    answer_feed(&a, 3 + 'y', &reasoning, &content);
    answer_feed(&a, 3 + 0xe4, &reasoning, &content);
    answer_feed(&a, f->m.think_end, &reasoning, &content);
    answer_feed(&a, 3 + 'a', &reasoning, &content);
    answer_feed(&a, f->m.user, &reasoning, &content);         /* a control token is no text */
    answer_feed(&a, 3 + 'b', &reasoning, &content);
    assert_int_equal(answer_feed(&a, f->m.eos, &reasoning, &content), ANSWER_STOP);
    assert_string_equal(reasoning.p, "wy\xef\xbf\xbd");
    assert_string_equal(content.p, "ab");
    assert_int_equal(a.reasoning_tokens, 4);
    buf_free(&reasoning);
    buf_free(&content);
    answer_free(&a);
}

static void stops_that_cannot_be_are_refused(void **state)
{
    const struct fixture *f = *state;
    struct answer a;
    char long_one[ANSWER_STOP_BYTES + 1];

    memset(long_one, 'x', sizeof long_one);
    answer_init(&a, f->t, &f->m, false);
    assert_false(answer_add_stop(&a, SPAN_LIT("")));
    assert_false(answer_add_stop(&a, (struct span){ long_one, sizeof long_one }));
    for (int i = 0; i < ANSWER_STOPS_MAX; i++)
        assert_true(answer_add_stop(&a, SPAN_LIT("x")));
    assert_false(answer_add_stop(&a, SPAN_LIT("x")));
    answer_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_character_is_shown_when_it_is_whole),
        cmocka_unit_test(no_piece_of_a_stop_string_is_shown),
        cmocka_unit_test(the_end_marker_shows_what_was_held_back),
        cmocka_unit_test(reasoning_is_kept_apart_and_counted),
        cmocka_unit_test(stops_that_cannot_be_are_refused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
