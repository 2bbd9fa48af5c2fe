/* test_estimate.c - bounds on tokens before anybody has counted. Hand sums from the constants of estimate.h. */
#include "pricing/estimate.h"
#include "pricing/testing.h"

static struct book_model model(int64_t context, int64_t num, int64_t den)
{
    return (struct book_model){ .context = context, .max_output = context / 2, .tokenizer_factor = { num, den } };
}

static void the_upper_bound_is_bytes_and_template(void **state)
{
    const struct book_model m = model(1000000, 1, 1);

    (void)state;
    assert_int_equal(estimate_prompt_upper(&m, &(struct estimate_parts){ 0 }), 512);
    assert_int_equal(estimate_prompt_upper(&m, &(struct estimate_parts){ .text_bytes = 1000, .messages = 2 }),
                     1000 + 2 * 16 + 512);
    assert_int_equal(estimate_prompt_upper(&m, &(struct estimate_parts){ .tool_bytes = 100, .tools = 1, .images = 2 }),
                     300 + 64 + 2 * 16384 + 512);
}

/* A minute of MP3 at 8 kbit/s, the thriftiest there is: 60,000 bytes, of which Gemini makes 1,920 tokens. */
static void the_bound_of_audio_is_above_what_models_make_of_it_and_far_below_its_bytes(void **state)
{
    const struct book_model m = model(1000000, 1, 1);

    (void)state;
    assert_int_equal(estimate_prompt_upper(&m, &(struct estimate_parts){ .audio_bytes = 60000 }), 2400 + 512);
    assert_int_equal(estimate_prompt_upper(&m, &(struct estimate_parts){ .audio_bytes = 1 }), 1 + 512);
    assert_int_equal(estimate_prompt_typical(&m, &(struct estimate_parts){ .audio_bytes = 960000 }), 1920);    /* 128 kbit/s */
}

static void a_tokenizer_that_counts_more_raises_both_estimates_rounded_up(void **state)
{
    const struct book_model opus = model(1000000, 27, 20), thrifty = model(1000000, 1, 2);
    const struct estimate_parts p = { .text_bytes = 1001, .messages = 1 };

    (void)state;
    assert_int_equal(estimate_prompt_upper(&opus, &p), 2065);       /* (1001 + 16 + 512) x 1.35 = 2064.15 */
    assert_int_equal(estimate_prompt_typical(&opus, &p), 345);      /* (251 + 4) x 1.35 = 344.25 */
    assert_int_equal(estimate_prompt_upper(&thrifty, &p), 1529);    /* no promise of fewer than bytes */
    assert_int_equal(estimate_prompt_typical(&thrifty, &p), 128);
}

static void the_bound_is_never_above_the_context(void **state)
{
    const struct book_model m = model(4096, 27, 20);

    (void)state;
    assert_int_equal(estimate_prompt_upper(&m, &(struct estimate_parts){ .text_bytes = 5000 }), 4096);
    assert_int_equal(estimate_prompt_upper(&m, &(struct estimate_parts){ .text_bytes = INT64_MAX, .tool_bytes = INT64_MAX,
                                                                         .images = INT64_MAX }), 4096);
    assert_int_equal(estimate_prompt_upper(&m, &(struct estimate_parts){ .text_bytes = 1, .unbounded = true }), 4096);
    assert_int_equal(estimate_prompt_upper(&m, &(struct estimate_parts){ .text_bytes = -5 }), 692);    /* 512 x 1.35 */
}

static void more_of_anything_never_means_fewer_tokens(void **state)
{
    struct dice d = { 5150 };

    (void)state;
    for (int n = 0; n < 5000; n++) {
        const struct book_model m = model(dice_between(&d, 1000, 2000000), dice_between(&d, 1, 5000), 1000);
        struct estimate_parts p = { dice_between(&d, 0, 100000), dice_between(&d, 0, 20000), dice_between(&d, 0, 50),
                                    dice_between(&d, 0, 50), dice_between(&d, 0, 5), dice_between(&d, 0, 100000), false };
        int64_t *const parts[] = { &p.text_bytes, &p.tool_bytes, &p.messages, &p.tools, &p.images, &p.audio_bytes };
        const int64_t upper = estimate_prompt_upper(&m, &p), typical = estimate_prompt_typical(&m, &p);

        *parts[n % 6] += dice_between(&d, 0, 1000);
        assert_true(estimate_prompt_upper(&m, &p) >= upper);
        assert_true(estimate_prompt_typical(&m, &p) >= typical);
    }
}

static void an_answer_is_bounded_by_what_is_asked_and_what_the_model_can(void **state)
{
    const struct book_model m = model(4096, 1, 1);

    (void)state;
    assert_int_equal(estimate_output_upper(&m, 0), 2048);
    assert_int_equal(estimate_output_upper(&m, -1), 2048);
    assert_int_equal(estimate_output_upper(&m, 100), 100);
    assert_int_equal(estimate_output_upper(&m, 2049), 2048);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_upper_bound_is_bytes_and_template),
        cmocka_unit_test(the_bound_of_audio_is_above_what_models_make_of_it_and_far_below_its_bytes),
        cmocka_unit_test(a_tokenizer_that_counts_more_raises_both_estimates_rounded_up),
        cmocka_unit_test(the_bound_is_never_above_the_context),
        cmocka_unit_test(more_of_anything_never_means_fewer_tokens),
        cmocka_unit_test(an_answer_is_bounded_by_what_is_asked_and_what_the_model_can),
    };

    return cmocka_run_group_tests_name("pricing/estimate", tests, NULL, NULL);
}
