/* kernels_plain.c - the inner loops as they are defined. */
#include "engine/cpu/kernels.h"

#include <math.h>

#include "engine/numbers.h"

static float element(const struct weight *w, size_t row, size_t col)
{
    const size_t cols = (size_t)w->cols, at = row * cols + col;

    switch (w->form) {
    case WEIGHT_F32:
        return ((const float *)w->data)[at];
    case WEIGHT_BF16:
        return float_of_bf16(((const uint16_t *)w->data)[at]);
    case WEIGHT_F16:
        return float_of_f16(((const uint16_t *)w->data)[at]);
    case WEIGHT_FP8:
        return float_of_e4m3(((const uint8_t *)w->data)[at]) *
               float_of_e8m0(w->scale[row / 128 * ((cols + 127) / 128) + col / 128]);
    case WEIGHT_FP4: {
        const unsigned pair = ((const uint8_t *)w->data)[at / 2];    /* cols is even: low nibble = even column */

        return float_of_e2m1(col & 1 ? pair >> 4 : pair) * float_of_e8m0(w->scale[at / 32]);
    }
    }
    return NAN;
}

static void plain_decode(float *out, const struct weight *w, int row, int from, int n)
{
    for (int i = 0; i < n; i++)
        out[i] = element(w, (size_t)row, (size_t)(from + i));
}

static void plain_dots(float *y, size_t y_stride, const float *const rows[TILE_ROWS], int n_rows, const float *x,
                       size_t x_stride, int n, int cols, bool add)
{
    for (int t = 0; t < n; t++) {
        for (int r = 0; r < n_rows; r++) {
            float *out = &y[(size_t)t * y_stride + (size_t)r];
            float sum = 0;

            for (int k = 0; k < cols; k++)
                sum += rows[r][k] * x[(size_t)t * x_stride + (size_t)k];
            *out = add ? *out + sum : sum;
        }
    }
}

static void plain_mix(float *out, const float *const *rows, const float *p, int n, int dim)
{
    for (int i = 0; i < dim; i++) {
        float sum = 0;

        for (int j = 0; j < n; j++)
            sum += p[j] * rows[j][i];
        out[i] = sum;
    }
}

static void plain_exp(float *x, int n)
{
    for (int i = 0; i < n; i++)
        x[i] = expf(x[i]);
}

const struct kernels kernels_plain = { "plain", plain_decode, plain_dots, plain_mix, plain_exp };
