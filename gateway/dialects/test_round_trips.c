/* test_round_trips.c - chats at random through every dialect and back (testing_round_trip.h).
 *
 * ROUND_TRIPS (100,000) is the number of cases, ROUND_TRIPS_SEED (1) the seed; a failure names the seed of its own case, which
 * alone repeats it: ROUND_TRIPS=1 ROUND_TRIPS_SEED=... test_round_trips. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gateway/dialects/testing_round_trip.h"

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static void a_chat_written_by_a_dialect_and_read_again_is_its_normal_form(void **state)
{
    const uint64_t cases = number("ROUND_TRIPS", 100000), from = number("ROUND_TRIPS_SEED", 1);
    struct round_trips r;
    struct buf why;

    (void)state;
    assert_true(round_trips_init(&r));
    buf_init(&why, 1u << 20);
    for (uint64_t seed = from; r.n_taken < cases; seed++) {
        uint64_t roll = seed * UINT64_C(0x9e3779b97f4a7c15);
        struct dice dice = { dice_roll_seed, &roll };

        if (!round_trip(&r, &dice, &why)) {
            fprintf(stderr, "seed %llu\n%.*s\n", (unsigned long long)seed, SPAN_FMT(buf_span(&why)));
            fail();
        }
    }
    print_message("%zu taken, %zu refused\n", r.n_taken, r.n_refused);
    assert_true(r.n_refused > cases / 100);    /* both happen */
    buf_free(&why);
    round_trips_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chat_written_by_a_dialect_and_read_again_is_its_normal_form),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
