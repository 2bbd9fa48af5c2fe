/* test_round_trips.c - chats and answers at random through every dialect and back (testing_round_trip.h, testing_answer.h).
 *
 * ROUND_TRIPS (100,000; a tenth with a sanitizer) is the number of cases of each, ROUND_TRIPS_SEED (1) the first seed. A failure
 * names the seed of its own case, which repeats it: ROUND_TRIPS=1 ROUND_TRIPS_SEED=... test_round_trips. More: make
 * check-round-trips. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gateway/dialects/testing_answer.h"
#include "gateway/dialects/testing_round_trip.h"

#ifdef __has_feature    /* clang; gcc says __SANITIZE_ADDRESS__ */
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define CASES 10000
#else
#define CASES 100000
#endif

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static void a_chat_written_by_a_dialect_and_read_again_is_its_normal_form(void **state)
{
    const uint64_t cases = number("ROUND_TRIPS", CASES), from = number("ROUND_TRIPS_SEED", 1);
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

/* `trip` over as many seeds. */
static void answers_come_back(bool (*trip)(struct answer_trips *, struct dice *, struct buf *))
{
    const uint64_t cases = number("ROUND_TRIPS", CASES), from = number("ROUND_TRIPS_SEED", 1);
    struct answer_trips t;
    struct buf why;

    assert_true(answer_trips_init(&t));
    buf_init(&why, 1u << 24);
    for (uint64_t seed = from; seed < from + cases; seed++) {
        uint64_t roll = seed * UINT64_C(0x9e3779b97f4a7c15);
        struct dice dice = { dice_roll_seed, &roll };

        if (!trip(&t, &dice, &why)) {
            fprintf(stderr, "seed %llu\n%.*s\n", (unsigned long long)seed, SPAN_FMT(buf_span(&why)));
            fail();
        }
    }
    print_message("%zu whole, %zu streamed\n", t.n_whole, t.n_streamed);
    buf_free(&why);
    answer_trips_free(&t);
}

static void an_answer_written_by_a_dialect_and_read_again_says_the_same(void **state)
{
    (void)state;
    answers_come_back(answer_trip);
}

static void counters_of_tokens_are_the_same_when_they_are_read_again(void **state)
{
    (void)state;
    answers_come_back(usage_trip);
}

static void faults_of_any_words_are_json_and_told(void **state)
{
    (void)state;
    answers_come_back(fault_trip);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chat_written_by_a_dialect_and_read_again_is_its_normal_form),
        cmocka_unit_test(an_answer_written_by_a_dialect_and_read_again_says_the_same),
        cmocka_unit_test(counters_of_tokens_are_the_same_when_they_are_read_again),
        cmocka_unit_test(faults_of_any_words_are_json_and_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
