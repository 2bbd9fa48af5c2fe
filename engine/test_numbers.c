/* test_numbers.c - every code of the small formats against its definition (v4-checkpoint 3.1). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/numbers.h"

static void every_e4m3_code_is_sign_exponent_mantissa(void **state)
{
    (void)state;
    for (int b = 0; b < 256; b++) {
        const int e = b >> 3 & 15, m = b & 7;
        const double v = e == 0 ? m * pow(2, -9) : (1 + m / 8.0) * pow(2, e - 7);
        const float got = float_of_e4m3((uint8_t)b);

        if ((b & 127) == 127) {
            assert_true(isnan(got));
            continue;
        }
        assert_true(got == (b & 128 ? -v : v));
        assert_int_equal(signbit(got) != 0, b >> 7);
    }
    assert_true(float_of_e4m3(0x7e) == 448);
    assert_true(float_of_e4m3(0x38) == 1);
    assert_true(float_of_e4m3(0x01) == 0x1p-9f);
}

static void every_e2m1_code_is_in_the_table(void **state)
{
    static const double magnitudes[8] = { 0, .5, 1, 1.5, 2, 3, 4, 6 };

    (void)state;
    for (unsigned c = 0; c < 16; c++)
        assert_true(float_of_e2m1(c) == (c & 8 ? -magnitudes[c & 7] : magnitudes[c & 7]));
    assert_true(float_of_e2m1(0xf3) == 1.5f);                /* only the low nibble counts */
}

static void every_e8m0_code_is_a_power_of_two(void **state)
{
    (void)state;
    for (int b = 0; b < 255; b++)
        assert_true(float_of_e8m0((uint8_t)b) == ldexp(1, b - 127));
    assert_true(isnan(float_of_e8m0(255)));
}

static void every_half_is_sign_exponent_mantissa(void **state)
{
    (void)state;
    for (int h = 0; h < 65536; h++) {
        const int e = h >> 10 & 31, m = h & 1023;
        const float got = float_of_f16((uint16_t)h);
        const double v = e == 0 ? ldexp(m, -24) : ldexp(1024 + m, e - 25);

        if (e == 31)
            assert_true(m ? isnan(got) : isinf(got));
        else
            assert_true(got == (h & 0x8000 ? -v : v));
    }
}

static void bf16_rounds_to_nearest_and_ties_to_even(void **state)
{
    (void)state;
    assert_true(round_bf16(1.0f) == 1.0f);
    assert_true(round_bf16(float_of_bits(0x3f808000)) == 1.0f);                   /* tie, even below */
    assert_true(round_bf16(float_of_bits(0x3f818000)) == float_of_bits(0x3f820000)); /* tie, even above */
    assert_true(round_bf16(float_of_bits(0x3f808001)) == float_of_bits(0x3f810000));
    assert_true(round_bf16(-float_of_bits(0x3f808001)) == -float_of_bits(0x3f810000));
    assert_true(isinf(round_bf16(float_of_bits(0x7f7fffff))));
    assert_true(isnan(round_bf16(float_of_bits(0x7f800001))));
    assert_true(float_of_bf16(0x3fc0) == 1.5f);
}

/* The nearest by search over all codes; on a tie the even code. */
static float nearest_e4m3(float v)
{
    float best = 0, distance = INFINITY;
    int best_code = 0;

    for (int b = 0; b < 127; b++) {
        const float c = float_of_e4m3((uint8_t)b), d = fabsf(fabsf(v) - c);

        if (d < distance || (d == distance && b % 2 == 0 && best_code % 2 == 1)) {
            best = c;
            best_code = b;
            distance = d;
        }
    }
    return v < 0 ? -best : best;
}

static void rounding_to_e4m3_finds_the_nearest_code(void **state)
{
    (void)state;
    for (int b = 0; b < 126; b++) {
        const float low = float_of_e4m3((uint8_t)b), high = float_of_e4m3((uint8_t)(b + 1));

        for (int i = 0; i <= 16; i++) {
            const float v = low + (high - low) * (float)i / 16;

            assert_true(round_e4m3(v) == nearest_e4m3(v));
            assert_true(round_e4m3(-v) == -nearest_e4m3(v));
        }
    }
}

static void rounding_to_e2m1_finds_the_nearest_and_ties_to_the_even_code(void **state)
{
    static const struct { float v, r; } cases[] = {
        { .25f, 0 }, { .26f, .5f }, { .75f, 1 }, { .74f, .5f }, { 1.25f, 1 }, { 1.75f, 2 }, { 2.5f, 2 }, { 2.6f, 3 },
        { 3.5f, 4 }, { 3.4f, 3 }, { 5, 4 }, { 5.1f, 6 }, { 6, 6 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(round_e2m1(cases[i].v) == cases[i].r);
        assert_true(round_e2m1(-cases[i].v) == -cases[i].r);
    }
}

static void pow2_ceil_keeps_powers_and_raises_the_rest(void **state)
{
    (void)state;
    assert_true(pow2_ceil(1) == 1);
    assert_true(pow2_ceil(1.0001f) == 2);
    assert_true(pow2_ceil(0.75f) == 1);
    assert_true(pow2_ceil(0x1p-126f) == 0x1p-126f);
    assert_true(pow2_ceil(5) == 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_e4m3_code_is_sign_exponent_mantissa),
        cmocka_unit_test(every_e2m1_code_is_in_the_table),
        cmocka_unit_test(every_e8m0_code_is_a_power_of_two),
        cmocka_unit_test(every_half_is_sign_exponent_mantissa),
        cmocka_unit_test(bf16_rounds_to_nearest_and_ties_to_even),
        cmocka_unit_test(rounding_to_e4m3_finds_the_nearest_code),
        cmocka_unit_test(rounding_to_e2m1_finds_the_nearest_and_ties_to_the_even_code),
        cmocka_unit_test(pow2_ceil_keeps_powers_and_raises_the_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
