#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/arena.h"

static void an_arena_takes_no_memory_before_it_is_asked(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, 1000);
    assert_int_equal(a.used_bytes, 0);
    arena_free(&a);
}

static void every_allocation_is_aligned_as_asked(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < 2000; i++) {
        const size_t align = (size_t)1 << i % 5;    /* 1 .. 16 */
        char *p = arena_alloc(&a, i % 37, align);

        assert_non_null(p);
        assert_int_equal((uintptr_t)p % align, 0);
        memset(p, 0xff, i % 37);
    }
    arena_free(&a);
}

static void allocations_do_not_overlap(void **state)
{
    struct arena a;
    unsigned char *list[300];

    (void)state;
    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < 300; i++) {
        list[i] = arena_alloc(&a, i, 8);
        assert_non_null(list[i]);
        memset(list[i], (int)(i % 251), i);
    }
    for (size_t i = 0; i < 300; i++)
        for (size_t k = 0; k < i; k++)
            assert_int_equal(list[i][k], i % 251);
    arena_free(&a);
}

static void the_cap_bounds_all_blocks_together(void **state)
{
    struct arena a;
    size_t got = 0;

    (void)state;
    arena_init(&a, 100000);
    while (arena_alloc(&a, 100, 8))
        got += 100;
    assert_true(a.used_bytes <= 100000);
    assert_true(got > 50000 && got < 100000);    /* and the cap is not wasted */
    arena_free(&a);
}

static void an_allocation_above_the_cap_fails_and_harms_nothing(void **state)
{
    struct arena a;
    char *p;

    (void)state;
    arena_init(&a, 10000);
    p = arena_alloc(&a, 10, 1);
    assert_non_null(p);
    assert_null(arena_alloc(&a, 10001, 1));
    assert_null(arena_alloc(&a, SIZE_MAX, 1));
    assert_null(arena_alloc(&a, SIZE_MAX - 40, 16));
    assert_non_null(arena_alloc(&a, 10, 1));
    arena_free(&a);
}

static void an_array_whose_size_overflows_fails(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, SIZE_MAX);
    assert_null(arena_zalloc_array(&a, SIZE_MAX / 4, 8, 8));
    assert_null(arena_zalloc_array(&a, (size_t)1 << 63, 2, 8));
    assert_non_null(arena_zalloc_array(&a, 0, 8, 8));
    arena_free(&a);
}

static void zeroed_memory_is_zero_also_when_it_was_used(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, 1 << 16);
    for (int round = 0; round < 3; round++) {
        unsigned char *p = arena_zalloc(&a, 3000, 1);

        assert_non_null(p);
        for (size_t i = 0; i < 3000; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xaa, 3000);
        arena_free(&a);
    }
}

static void a_copy_ends_in_a_nul_that_is_not_counted(void **state)
{
    struct arena a;
    struct span s;

    (void)state;
    arena_init(&a, 1 << 16);
    s = arena_copy(&a, SPAN_LIT("a\0b"));
    assert_int_equal(s.n, 3);
    assert_memory_equal(s.p, "a\0b\0", 4);
    s = arena_copy(&a, SPAN_NONE);
    assert_int_equal(s.n, 0);
    assert_non_null(s.p);
    s = arena_printf(&a, "%s-%d", "x", 42);
    assert_string_equal(s.p, "x-42");
    assert_int_equal(s.n, 4);
    arena_free(&a);
    arena_init(&a, 100);    /* below the first block */
    assert_null(arena_copy(&a, SPAN_LIT("x")).p);
    assert_null(arena_printf(&a, "x").p);
    arena_free(&a);
}

struct trace {
    char text[8];
    size_t n;
};

struct mark {
    struct trace *trace;
    char letter;
};

static void leave_mark(void *ptr)
{
    const struct mark *m = ptr;

    m->trace->text[m->trace->n++] = m->letter;
}

static void hooks_run_once_in_reverse_order_while_memory_lives(void **state)
{
    struct arena a;
    struct trace trace = { "", 0 };

    (void)state;
    arena_init(&a, 1 << 16);
    for (char c = 'a'; c <= 'c'; c++) {
        struct mark *m = ARENA_NEW(&a, struct mark);    /* in the arena itself: hooks run before it is freed */

        *m = (struct mark){ &trace, c };
        assert_true(arena_on_free(&a, leave_mark, m));
    }
    arena_free(&a);
    assert_string_equal(trace.text, "cba");
    arena_free(&a);
    assert_string_equal(trace.text, "cba");
}

static void a_hook_that_finds_no_room_is_not_registered(void **state)
{
    struct arena a;
    struct trace trace = { "", 0 };
    struct mark m = { &trace, 'x' };

    (void)state;
    arena_init(&a, 100);
    assert_false(arena_on_free(&a, leave_mark, &m));
    arena_free(&a);
    assert_int_equal(trace.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_arena_takes_no_memory_before_it_is_asked),
        cmocka_unit_test(every_allocation_is_aligned_as_asked),
        cmocka_unit_test(allocations_do_not_overlap),
        cmocka_unit_test(the_cap_bounds_all_blocks_together),
        cmocka_unit_test(an_allocation_above_the_cap_fails_and_harms_nothing),
        cmocka_unit_test(an_array_whose_size_overflows_fails),
        cmocka_unit_test(zeroed_memory_is_zero_also_when_it_was_used),
        cmocka_unit_test(a_copy_ends_in_a_nul_that_is_not_counted),
        cmocka_unit_test(hooks_run_once_in_reverse_order_while_memory_lives),
        cmocka_unit_test(a_hook_that_finds_no_room_is_not_registered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
