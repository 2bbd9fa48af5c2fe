/* kernels_plain.c - the inner loops as they are defined. */
#include "engine/cpu/kernels.h"

#include <math.h>
#include <string.h>

#include "engine/numbers.h"

/* `code` points at the row's first wanted element; `from` says where the blocks of 128 columns lie. */
static void decode_fp8(float *out, const uint8_t *code, const uint8_t *row_scales, int from, int n)
{
    for (int i = 0; i < n; i++)
        out[i] = float_of_e4m3(code[i]) * float_of_e8m0(row_scales[(from + i) / 128]);
}

/* Even columns are the low nibbles. */
static void decode_fp4(float *out, const uint8_t *pairs, const uint8_t *row_scales, int from, int n)
{
    for (int i = 0; i < n; i++) {
        const unsigned pair = pairs[i / 2];

        out[i] = float_of_e2m1(i & 1 ? pair >> 4 : pair) * float_of_e8m0(row_scales[(from + i) / 32]);
    }
}

static void plain_decode(float *out, const struct weight *w, int row, int from, int n)
{
    const size_t cols = (size_t)w->cols, at = (size_t)row * cols + (size_t)from;

    switch (w->form) {
    case WEIGHT_F32:
        memcpy(out, (const float *)w->data + at, (size_t)n * sizeof *out);
        break;
    case WEIGHT_BF16:
        for (int i = 0; i < n; i++)
            out[i] = float_of_bf16(((const uint16_t *)w->data)[at + (size_t)i]);
        break;
    case WEIGHT_F16:
        for (int i = 0; i < n; i++)
            out[i] = float_of_f16(((const uint16_t *)w->data)[at + (size_t)i]);
        break;
    case WEIGHT_FP8:
        decode_fp8(out, (const uint8_t *)w->data + at, w->scale + (size_t)row / 128 * ((cols + 127) / 128), from, n);
        break;
    case WEIGHT_FP4:
        decode_fp4(out, (const uint8_t *)w->data + at / 2, w->scale + (size_t)row * (cols / 32), from, n);
        break;
    }
}

static void plain_dots(float *y, size_t y_stride, const float *const rows[TILE_ROWS], int n_rows, const float *x,
                       size_t x_stride, int n, int cols, bool add)
{
    for (int t = 0; t < n; t++, y += y_stride, x += x_stride) {
        float sum[TILE_ROWS] = { 0 };

        for (int k = 0; k < cols; k++) {
            UNROLL_ROWS
            for (int r = 0; r < TILE_ROWS; r++)
                sum[r] += rows[r][k] * x[k];
        }
        for (int r = 0; r < n_rows; r++)
            y[r] = add ? y[r] + sum[r] : sum[r];
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
