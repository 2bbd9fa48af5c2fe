/* test_sample.c - argmax, the draw, top_k and top_p; distributions by hand. */
#include "engine/sample.h"

#include <math.h>
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

static int32_t next(const float *logits, size_t n, struct sample_params p, uint64_t nth)
{
    struct sample_scratch s = { 0 };
    const int32_t id = sample_next(logits, n, &p, nth, &s);

    sample_scratch_free(&s);
    return id;
}

static void temperature_0_is_the_highest_logit_lowest_id_on_ties(void **state)
{
    const float logits[] = { -1, 3, 3, 2 };
    const float broken[] = { NAN, -INFINITY, 0.5f, INFINITY };

    (void)state;
    assert_int_equal(next(logits, 4, (struct sample_params){ .temperature = 0, .top_p = 1, .seed = 9 }, 5), 1);
    assert_int_equal(next(broken, 4, (struct sample_params){ .temperature = 0, .top_p = 1 }, 0), 2);
}

static void no_finite_logit_is_an_error(void **state)
{
    const float broken[] = { NAN, -INFINITY, INFINITY };

    (void)state;
    assert_int_equal(next(broken, 3, (struct sample_params){ .temperature = 0, .top_p = 1 }, 0), -1);
    assert_int_equal(next(broken, 3, (struct sample_params){ .temperature = 1, .top_p = 1 }, 0), -1);
}

static void the_draws_follow_the_softmax(void **state)
{
    /* logits ln 1, ln 2, ln 5 at temperature 1: probabilities 1/8, 2/8, 5/8 */
    const float logits[] = { 0, 0.6931472f, 1.6094379f };
    int count[3] = { 0 };

    (void)state;
    for (uint64_t i = 0; i < 80000; i++)
        count[next(logits, 3, (struct sample_params){ .temperature = 1, .top_p = 1, .seed = 1 }, i)]++;
    /* standard deviation of each count is below 140: 700 is five of them */
    assert_in_range(count[0], 10000 - 700, 10000 + 700);
    assert_in_range(count[1], 20000 - 700, 20000 + 700);
    assert_in_range(count[2], 50000 - 700, 50000 + 700);
}

static void temperature_sharpens(void **state)
{
    /* at temperature 1/2 the weights are squared: 1, 4, 25 of 30 */
    const float logits[] = { 0, 0.6931472f, 1.6094379f };
    int count[3] = { 0 };

    (void)state;
    for (uint64_t i = 0; i < 30000; i++)
        count[next(logits, 3, (struct sample_params){ .temperature = 0.5, .top_p = 1, .seed = 2 }, i)]++;
    assert_in_range(count[0], 1000 - 200, 1000 + 200);
    assert_in_range(count[1], 4000 - 320, 4000 + 320);
}

/* Which ids appear in 2000 draws, as a bit mask. */
static unsigned seen(const float *logits, size_t n, struct sample_params p)
{
    unsigned mask = 0;

    for (uint64_t i = 0; i < 2000; i++)
        mask |= 1u << next(logits, n, p, i);
    return mask;
}

static void top_p_keeps_the_fewest_that_reach_it(void **state)
{
    /* probabilities 0.1, 0.4, 0.2, 0.3: sorted 0.4, 0.3, 0.2, 0.1 */
    const float logits[] = { logf(1), logf(4), logf(2), logf(3) };

    (void)state;
    assert_int_equal(seen(logits, 4, (struct sample_params){ .temperature = 1, .top_p = 1 }), 0xf);
    assert_int_equal(seen(logits, 4, (struct sample_params){ .temperature = 1, .top_p = 0.85 }), 0xe);
    assert_int_equal(seen(logits, 4, (struct sample_params){ .temperature = 1, .top_p = 0.65 }), 0xa);
    assert_int_equal(seen(logits, 4, (struct sample_params){ .temperature = 1, .top_p = 0.35 }), 0x2);
    assert_int_equal(seen(logits, 4, (struct sample_params){ .temperature = 1, .top_p = 0 }), 0x2);
}

static void top_k_keeps_the_first_k(void **state)
{
    const float logits[] = { logf(1), logf(4), logf(2), logf(3) };
    const float ties[] = { 1, 1, 1, 1 };

    (void)state;
    assert_int_equal(seen(logits, 4, (struct sample_params){ .temperature = 1, .top_p = 1, .top_k = 2 }), 0xa);
    assert_int_equal(seen(logits, 4, (struct sample_params){ .temperature = 1, .top_p = 1, .top_k = 9 }), 0xf);
    assert_int_equal(seen(ties, 4, (struct sample_params){ .temperature = 1, .top_p = 1, .top_k = 2 }), 0x3);
    /* top_p works on what top_k left: 4/7 reaches 0.5 alone */
    assert_int_equal(seen(logits, 4, (struct sample_params){ .temperature = 1, .top_p = 0.5, .top_k = 2 }), 0x2);
}

static void a_seed_gives_the_same_draws_and_another_gives_others(void **state)
{
    float logits[64] = { 0 };
    int same = 0;

    (void)state;
    for (uint64_t i = 0; i < 100; i++) {
        const int32_t a = next(logits, 64, (struct sample_params){ .temperature = 1, .top_p = 1, .seed = 5 }, i);

        assert_int_equal(a, next(logits, 64, (struct sample_params){ .temperature = 1, .top_p = 1, .seed = 5 }, i));
        same += a == next(logits, 64, (struct sample_params){ .temperature = 1, .top_p = 1, .seed = 6 }, i);
    }
    assert_in_range(same, 0, 12);    /* 1.6 expected */
}

static void the_generator_is_splitmix64(void **state)
{
    /* First outputs of the published generator from state 1234567 (its test vector), upper 53 bits. */
    static const uint64_t want[] = { 6457827717110365317u, 3203168211198807973u, 9817491932198370423u,
                                     4593380528125082431u, 16408922859458223821u };

    (void)state;
    for (uint64_t i = 0; i < 5; i++)
        assert_true(sample_uniform(1234567, i) == (double)(want[i] >> 11) / 9007199254740992.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(temperature_0_is_the_highest_logit_lowest_id_on_ties),
        cmocka_unit_test(no_finite_logit_is_an_error),
        cmocka_unit_test(the_draws_follow_the_softmax),
        cmocka_unit_test(temperature_sharpens),
        cmocka_unit_test(top_p_keeps_the_fewest_that_reach_it),
        cmocka_unit_test(top_k_keeps_the_first_k),
        cmocka_unit_test(a_seed_gives_the_same_draws_and_another_gives_others),
        cmocka_unit_test(the_generator_is_splitmix64),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
