/* test_kernels.c - the vector kernels against the plain loops; those that the processor lacks are passed over. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cpu/kernels.h"

#define COLS 1000           /* no multiple of 16, nor of 128 */

static float random_of(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / 8388608.f - 1;
}

/* Calls fn for each set of vector kernels that runs here. */
static void each(void (*fn)(const struct kernels *k))
{
    if (kernels_avx2())
        fn(kernels_avx2());
    if (kernels_avx512())
        fn(kernels_avx512());
}

static void check_decode(const struct kernels *k, const struct weight *w)
{
    float want[TILE_COLS], got[TILE_COLS];

    for (int row = 0; row < w->rows; row++) {
        for (int from = 0; from < w->cols; from += TILE_COLS) {
            const int n = w->cols - from < TILE_COLS ? w->cols - from : TILE_COLS;

            kernels_plain.decode(want, w, row, from, n);
            k->decode(got, w, row, from, n);
            for (int i = 0; i < n; i++)
                assert_true((isnan(want[i]) && isnan(got[i])) ||
                            (want[i] == got[i] && signbit(want[i]) == signbit(got[i])));
        }
    }
}

/* Every code, NaN too, with every scale; rows and columns that end within a block. */
static void decode_all_forms(const struct kernels *k)
{
    uint8_t codes[130 * COLS], scales[130 * COLS / 32];

    for (size_t i = 0; i < sizeof codes; i++)
        codes[i] = (uint8_t)(i * 7 + i / 251);
    for (size_t i = 0; i < sizeof scales; i++)
        scales[i] = (uint8_t)(i * 3);
    check_decode(k, &(struct weight){ WEIGHT_FP8, 130, COLS, codes, scales });
    check_decode(k, &(struct weight){ WEIGHT_FP4, 100, 992, codes, scales });
    check_decode(k, &(struct weight){ WEIGHT_BF16, 60, COLS, codes, NULL });
    check_decode(k, &(struct weight){ WEIGHT_F16, 60, COLS, codes, NULL });
}

static void vector_decoding_is_exact(void **state)
{
    (void)state;
    each(decode_all_forms);
}

static void check_dots(const struct kernels *k, int cols, int n_rows, int n)
{
    static float w[TILE_ROWS][COLS], x[5][COLS];
    const float *rows[TILE_ROWS];
    float want[5][9], got[5][9];
    uint32_t r = (uint32_t)cols;

    for (int i = 0; i < TILE_ROWS; i++) {
        rows[i] = w[i < n_rows ? i : 0];
        for (int j = 0; j < cols; j++)
            w[i][j] = random_of(&r);
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < cols; j++)
            x[i][j] = random_of(&r);
    memset(want, 0, sizeof want);
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 9; j++)
            want[i][j] = got[i][j] = (float)(i + j);
    for (int add = 0; add < 2; add++) {
        kernels_plain.dots(want[0], 9, rows, n_rows, x[0], COLS, n, cols, add);
        k->dots(got[0], 9, rows, n_rows, x[0], COLS, n, cols, add);
        for (int i = 0; i < 5; i++)
            for (int j = 0; j < 9; j++)
                assert_true(fabsf(want[i][j] - got[i][j]) <= 1e-6f * (float)cols);    /* and exact where not written */
    }
}

static void dots_of_all_sizes(const struct kernels *k)
{
    static const int cols[] = { 1, 7, 8, 15, 16, 17, 32, 100, 511, 512 };

    for (size_t i = 0; i < sizeof cols / sizeof cols[0]; i++)
        for (int n_rows = 1; n_rows <= TILE_ROWS; n_rows++)
            for (int n = 1; n <= 5; n++)
                check_dots(k, cols[i], n_rows, n);
}

static void vector_dots_agree_and_write_only_their_rows(void **state)
{
    (void)state;
    each(dots_of_all_sizes);
}

/* What the batch relies on: a token's sums are the same bits alone and among others. */
static void dots_alone_and_together(const struct kernels *k)
{
    static float w[TILE_ROWS][COLS], x[3][COLS];
    const float *rows[TILE_ROWS];
    float together[3][8], alone[8];
    uint32_t r = 5;

    for (int i = 0; i < TILE_ROWS; i++) {
        rows[i] = w[i];
        for (int j = 0; j < COLS; j++)
            w[i][j] = random_of(&r);
    }
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < COLS; j++)
            x[i][j] = random_of(&r);
    k->dots(together[0], 8, rows, 8, x[0], COLS, 3, 509, false);
    for (int i = 0; i < 3; i++) {
        k->dots(alone, 8, rows, 8, x[i], COLS, 1, 509, false);
        assert_memory_equal(alone, together[i], sizeof alone);
    }
}

static void a_token_has_the_same_sums_alone_and_in_a_batch(void **state)
{
    (void)state;
    dots_alone_and_together(&kernels_plain);
    each(dots_alone_and_together);
}

static void mix_of_all_sizes(const struct kernels *k)
{
    static float v[20][COLS];
    const float *rows[20];
    float p[20], want[200], got[200];
    uint32_t r = 9;

    for (int i = 0; i < 20; i++) {
        rows[i] = v[i];
        p[i] = random_of(&r);
        for (int j = 0; j < COLS; j++)
            v[i][j] = random_of(&r);
    }
    for (int dim = 1; dim < 200; dim += 3) {
        memset(got, 0, sizeof got);
        kernels_plain.mix(want, rows, p, 20, dim);
        k->mix(got, rows, p, 20, dim);
        for (int i = 0; i < dim; i++)
            assert_true(fabsf(want[i] - got[i]) < 5e-6f);
        assert_true(got[dim] == 0);
    }
}

static void vector_mixes_agree(void **state)
{
    (void)state;
    each(mix_of_all_sizes);
}

static void exp_over_its_range(const struct kernels *k)
{
    float x[37], got[37];

    for (int i = -900; i < 890; i++) {
        for (int j = 0; j < 37; j++)
            got[j] = x[j] = (float)i / 10 + (float)j * 0.0027f;
        k->exp(got, 37);
        for (int j = 0; j < 37; j++) {
            const double want = exp((double)x[j]);

            assert_true(x[j] < -87 ? got[j] < 2e-38f : want > (double)FLT_MAX ? isinf(got[j])
                                                                              : fabs(got[j] - want) <= 2.5e-7 * want);
        }
    }
    x[0] = -INFINITY;
    x[1] = NAN;
    x[2] = INFINITY;
    x[3] = 0;
    for (int j = 4; j < 37; j++)
        x[j] = -1e30f;
    k->exp(x, 37);
    assert_true(x[0] == 0 && isnan(x[1]) && isinf(x[2]) && x[3] == 1 && x[20] == 0);
}

static void vector_exponentials_are_good_to_two_units(void **state)
{
    (void)state;
    each(exp_over_its_range);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vector_decoding_is_exact),
        cmocka_unit_test(vector_dots_agree_and_write_only_their_rows),
        cmocka_unit_test(a_token_has_the_same_sums_alone_and_in_a_batch),
        cmocka_unit_test(vector_mixes_agree),
        cmocka_unit_test(vector_exponentials_are_good_to_two_units),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
