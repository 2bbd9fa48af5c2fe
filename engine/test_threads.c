/* test_threads.c - every piece is done once, and is done when team_run returns. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>

#include "engine/threads.h"

#define PIECES 1000

struct tally {
    atomic_int done[PIECES];
    atomic_int bad_thread;
    int threads;
};

static void count(void *arg, int begin, int end, int thread)
{
    struct tally *t = arg;

    if (thread < 0 || thread >= t->threads)
        atomic_fetch_add(&t->bad_thread, 1);
    for (int i = begin; i < end; i++)
        atomic_fetch_add(&t->done[i], 1);
}

static void every_piece_is_done_once_for_any_grain(void **state)
{
    static const int sizes[] = { 1, 2, 5 };

    (void)state;
    for (size_t s = 0; s < 3; s++) {
        struct team *team = team_new(sizes[s]);

        assert_non_null(team);
        assert_int_equal(team_size(team), sizes[s]);
        for (int round = 0; round < 200; round++) {
            static struct tally t;
            const int n = round * 5, grain = 1 + round % 17;

            for (int i = 0; i < PIECES; i++)
                atomic_store(&t.done[i], 0);
            t.threads = sizes[s];
            team_run(team, count, &t, n, grain);
            for (int i = 0; i < PIECES; i++)
                assert_int_equal(atomic_load(&t.done[i]), i < n);
            assert_int_equal(atomic_load(&t.bad_thread), 0);
        }
        team_free(team);
    }
}

static void a_team_that_never_worked_can_go(void **state)
{
    (void)state;
    team_free(team_new(4));
    team_free(NULL);
}

/* A member may wake for its last job when that is over and the end has come: a run of CI once hung there. */
static void a_team_can_go_as_soon_as_its_work_is_done(void **state)
{
    (void)state;
    for (int round = 0; round < 3000; round++) {
        struct team *team = team_new(3);
        static struct tally t;

        assert_non_null(team);
        t.threads = 3;
        team_run(team, count, &t, 2 + round % 7, 1);
        team_free(team);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_piece_is_done_once_for_any_grain),
        cmocka_unit_test(a_team_that_never_worked_can_go),
        cmocka_unit_test(a_team_can_go_as_soon_as_its_work_is_done),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
