/* kernels_avx512.c - the inner loops in vectors of 16 floats; chosen at run time, so that one build runs anywhere. */
#include "engine/cpu/kernels.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#include "engine/numbers.h"

#define V512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")))

V512 static inline __mmask16 first_lanes(int n)
{
    return (__mmask16)((1u << n) - 1u);
}

/* ---- decoding ---- */

/* A multiple of 128 from `from`: one scale. Codes 0x7f and 0xff are NaN and so rare that the plain loop does them. */
V512 static void decode_fp8_block(float *out, const uint8_t *code, uint8_t scale_code, int n)
{
    const __m512i keep = _mm512_set1_epi32((int)0x87f00000u);
    const __m512 rebias = _mm512_set1_ps(0x1p120f), scale = _mm512_set1_ps(float_of_e8m0(scale_code));
    const __m128i low7 = _mm_set1_epi8(0x7f);

    for (int i = 0; i < n; i += 16) {
        const __mmask16 lanes = n - i < 16 ? first_lanes(n - i) : (__mmask16)0xffff;
        const __m128i bytes = _mm_maskz_loadu_epi8(lanes, code + i);
        /* s eeee mmm, sign-extended and moved up: the sign is in bit 31, exponent and mantissa in 26..20 */
        const __m512i bits = _mm512_and_si512(_mm512_slli_epi32(_mm512_cvtepi8_epi32(bytes), 20), keep);
        __m512 v = _mm512_mul_ps(_mm512_mul_ps(_mm512_castsi512_ps(bits), rebias), scale);
        const __mmask16 nan = _mm_cmpeq_epi8_mask(_mm_and_si128(bytes, low7), low7);

        if (nan)
            v = _mm512_mask_blend_ps(nan, v, _mm512_set1_ps(NAN));
        _mm512_mask_storeu_ps(out + i, lanes, v);
    }
}

V512 static void decode_fp8(float *out, const struct weight *w, size_t row, size_t from, int n)
{
    const size_t cols = (size_t)w->cols;
    const uint8_t *code = (const uint8_t *)w->data + row * cols + from;
    const uint8_t *scale = w->scale + row / 128 * ((cols + 127) / 128) + from / 128;

    for (int i = 0; i < n; i += 128)
        decode_fp8_block(out + i, code + i, *scale++, n - i < 128 ? n - i : 128);
}

/* Groups of 32 codes: 16 bytes and a scale. n is a multiple of 32. */
V512 static void decode_fp4(float *out, const struct weight *w, size_t row, size_t from, int n)
{
    const __m512 table = _mm512_setr_ps(0, .5f, 1, 1.5f, 2, 3, 4, 6, -0.f, -.5f, -1, -1.5f, -2, -3, -4, -6);
    const __m512i first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const __m512i second = _mm512_add_epi32(first, _mm512_set1_epi32(8));
    const size_t at = row * (size_t)w->cols + from;
    const uint8_t *pairs = (const uint8_t *)w->data + at / 2, *scale = w->scale + at / 32;

    for (int i = 0; i < n; i += 32, pairs += 16) {
        const __m512i pair = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)pairs));
        const __m512 s = _mm512_set1_ps(float_of_e8m0(*scale++));
        const __m512 low = _mm512_mul_ps(_mm512_permutexvar_ps(pair, table), s);    /* the index is its low 4 bits */
        const __m512 high = _mm512_mul_ps(_mm512_permutexvar_ps(_mm512_srli_epi32(pair, 4), table), s);

        _mm512_storeu_ps(out + i, _mm512_permutex2var_ps(low, first, high));
        _mm512_storeu_ps(out + i + 16, _mm512_permutex2var_ps(low, second, high));
    }
}

V512 static void decode_bf16(float *out, const uint16_t *in, int n)
{
    for (int i = 0; i < n; i += 16) {
        const __mmask16 lanes = n - i < 16 ? first_lanes(n - i) : (__mmask16)0xffff;
        const __m512i wide = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(lanes, in + i));

        _mm512_mask_storeu_ps(out + i, lanes, _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16)));
    }
}

static void v512_decode(float *out, const struct weight *w, int row, int from, int n)
{
    const size_t at = (size_t)row * (size_t)w->cols + (size_t)from;

    if (w->form == WEIGHT_FP8)
        decode_fp8(out, w, (size_t)row, (size_t)from, n);
    else if (w->form == WEIGHT_FP4)
        decode_fp4(out, w, (size_t)row, (size_t)from, n);
    else if (w->form == WEIGHT_BF16)
        decode_bf16(out, (const uint16_t *)w->data + at, n);
    else
        kernels_plain.decode(out, w, row, from, n);
}

/* ---- dots ---- */

/* Lane r of the result is the sum of a[r]: three rounds of pairwise adds across the eight vectors. */
V512 static inline __m256 sums_of(const __m512 a[TILE_ROWS])
{
    __m256 b[TILE_ROWS];
    __m256 c, d;

    UNROLL_ROWS
    for (int r = 0; r < TILE_ROWS; r++)
        b[r] = _mm256_add_ps(_mm512_castps512_ps256(a[r]), _mm512_extractf32x8_ps(a[r], 1));
    UNROLL_ROWS
    for (int r = 0; r < TILE_ROWS; r += 2)
        b[r / 2] = _mm256_hadd_ps(b[r], b[r + 1]);
    c = _mm256_hadd_ps(b[0], b[1]);    /* halves of rows 0..3, low and high 128 bits */
    d = _mm256_hadd_ps(b[2], b[3]);
    return _mm256_add_ps(_mm256_permute2f128_ps(c, d, 0x20), _mm256_permute2f128_ps(c, d, 0x31));
}

V512 static inline void put(float *y, __m256 sums, __mmask8 rows, bool add)
{
    if (add)
        sums = _mm256_add_ps(sums, _mm256_maskz_loadu_ps(rows, y));
    _mm256_mask_storeu_ps(y, rows, sums);
}

/* Two tokens at once share the loads of the rows; each sum is formed as for one. */
V512 static void dots2(float *y0, float *y1, const float *const rows[TILE_ROWS], __mmask8 keep, const float *x0,
                       const float *x1, int cols, bool add)
{
    __m512 a[TILE_ROWS], b[TILE_ROWS];
    int k = 0;

    UNROLL_ROWS
    for (int r = 0; r < TILE_ROWS; r++)
        a[r] = b[r] = _mm512_setzero_ps();
    for (; k + 16 <= cols; k += 16) {
        const __m512 u = _mm512_loadu_ps(x0 + k), v = _mm512_loadu_ps(x1 + k);

        UNROLL_ROWS
        for (int r = 0; r < TILE_ROWS; r++) {
            const __m512 w = _mm512_loadu_ps(rows[r] + k);

            a[r] = _mm512_fmadd_ps(w, u, a[r]);
            b[r] = _mm512_fmadd_ps(w, v, b[r]);
        }
    }
    if (k < cols) {
        const __mmask16 lanes = first_lanes(cols - k);
        const __m512 u = _mm512_maskz_loadu_ps(lanes, x0 + k), v = _mm512_maskz_loadu_ps(lanes, x1 + k);

        UNROLL_ROWS
        for (int r = 0; r < TILE_ROWS; r++) {
            const __m512 w = _mm512_maskz_loadu_ps(lanes, rows[r] + k);

            a[r] = _mm512_fmadd_ps(w, u, a[r]);
            b[r] = _mm512_fmadd_ps(w, v, b[r]);
        }
    }
    put(y0, sums_of(a), keep, add);
    put(y1, sums_of(b), keep, add);
}

V512 static void dots1(float *y, const float *const rows[TILE_ROWS], __mmask8 keep, const float *x, int cols, bool add)
{
    __m512 a[TILE_ROWS];
    int k = 0;

    UNROLL_ROWS
    for (int r = 0; r < TILE_ROWS; r++)
        a[r] = _mm512_setzero_ps();
    for (; k + 16 <= cols; k += 16) {
        const __m512 u = _mm512_loadu_ps(x + k);

        UNROLL_ROWS
        for (int r = 0; r < TILE_ROWS; r++)
            a[r] = _mm512_fmadd_ps(_mm512_loadu_ps(rows[r] + k), u, a[r]);
    }
    if (k < cols) {
        const __mmask16 lanes = first_lanes(cols - k);
        const __m512 u = _mm512_maskz_loadu_ps(lanes, x + k);

        UNROLL_ROWS
        for (int r = 0; r < TILE_ROWS; r++)
            a[r] = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(lanes, rows[r] + k), u, a[r]);
    }
    put(y, sums_of(a), keep, add);
}

V512 static void v512_dots(float *y, size_t y_stride, const float *const rows[TILE_ROWS], int n_rows, const float *x,
                           size_t x_stride, int n, int cols, bool add)
{
    const __mmask8 keep = (__mmask8)((1u << n_rows) - 1u);
    int t = 0;

    for (; t + 2 <= n; t += 2) {
        const size_t i = (size_t)t;

        dots2(y + i * y_stride, y + (i + 1) * y_stride, rows, keep, x + i * x_stride, x + (i + 1) * x_stride, cols, add);
    }
    if (t < n)
        dots1(y + (size_t)t * y_stride, rows, keep, x + (size_t)t * x_stride, cols, add);
}

/* ---- mix and exp ---- */

V512 static void v512_mix(float *out, const float *const *rows, const float *p, int n, int dim)
{
    int i = 0;

    for (; i + 64 <= dim; i += 64) {
        __m512 a = _mm512_setzero_ps(), b = a, c = a, d = a;

        for (int j = 0; j < n; j++) {
            const __m512 s = _mm512_set1_ps(p[j]);
            const float *r = rows[j] + i;

            a = _mm512_fmadd_ps(s, _mm512_loadu_ps(r), a);
            b = _mm512_fmadd_ps(s, _mm512_loadu_ps(r + 16), b);
            c = _mm512_fmadd_ps(s, _mm512_loadu_ps(r + 32), c);
            d = _mm512_fmadd_ps(s, _mm512_loadu_ps(r + 48), d);
        }
        _mm512_storeu_ps(out + i, a);
        _mm512_storeu_ps(out + i + 16, b);
        _mm512_storeu_ps(out + i + 32, c);
        _mm512_storeu_ps(out + i + 48, d);
    }
    for (; i < dim; i += 16) {
        const __mmask16 lanes = dim - i < 16 ? first_lanes(dim - i) : (__mmask16)0xffff;
        __m512 a = _mm512_setzero_ps();

        for (int j = 0; j < n; j++)
            a = _mm512_fmadd_ps(_mm512_set1_ps(p[j]), _mm512_maskz_loadu_ps(lanes, rows[j] + i), a);
        _mm512_mask_storeu_ps(out + i, lanes, a);
    }
}

/* exp(x) = 2^k e^r with k = round(x / ln 2); e^r by its Taylor series to r^7 (|r| <= 0.347: next term 5e-9). */
V512 static void v512_exp(float *x, int n)
{
    const __m512 least = _mm512_set1_ps(-87.f), most = _mm512_set1_ps(89.f);    /* e^89 is infinite, as it should be */
    const __m512 ln2_high = _mm512_set1_ps(0.693359375f), ln2_low = _mm512_set1_ps(-2.12194440e-4f);

    for (int i = 0; i < n; i += 16) {
        const __mmask16 lanes = n - i < 16 ? first_lanes(n - i) : (__mmask16)0xffff;
        const __m512 given = _mm512_maskz_loadu_ps(lanes, x + i);
        const __m512 v = _mm512_min_ps(most, _mm512_max_ps(least, given));
        const __m512 k = _mm512_roundscale_ps(_mm512_mul_ps(v, _mm512_set1_ps(1.44269504f)), 0);
        const __m512 r = _mm512_fnmadd_ps(k, ln2_low, _mm512_fnmadd_ps(k, ln2_high, v));
        __m512 e = _mm512_set1_ps(1.f / 5040);

        e = _mm512_fmadd_ps(e, r, _mm512_set1_ps(1.f / 720));
        e = _mm512_fmadd_ps(e, r, _mm512_set1_ps(1.f / 120));
        e = _mm512_fmadd_ps(e, r, _mm512_set1_ps(1.f / 24));
        e = _mm512_fmadd_ps(e, r, _mm512_set1_ps(1.f / 6));
        e = _mm512_fmadd_ps(e, r, _mm512_set1_ps(.5f));
        e = _mm512_fmadd_ps(e, r, _mm512_set1_ps(1.f));
        e = _mm512_fmadd_ps(e, r, _mm512_set1_ps(1.f));
        e = _mm512_scalef_ps(e, k);
        e = _mm512_mask_mov_ps(e, _mm512_cmp_ps_mask(given, least, _CMP_LT_OQ), _mm512_setzero_ps());
        e = _mm512_mask_mov_ps(e, _mm512_cmp_ps_mask(given, given, _CMP_UNORD_Q), given);
        _mm512_mask_storeu_ps(x + i, lanes, e);
    }
}

static const struct kernels v512 = { "avx512", v512_decode, v512_dots, v512_mix, v512_exp };

const struct kernels *kernels_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("fma") ? &v512 : NULL;
}

#else

const struct kernels *kernels_avx512(void)
{
    return NULL;
}

#endif
