/* kernels_avx2.c - the inner loops in vectors of 8 floats; chosen at run time, so that one build runs anywhere.
 *
 * Tails of fewer than 8 columns are done element by element behind the vector part. */
#include "engine/cpu/kernels.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#include "engine/numbers.h"

#define V256 __attribute__((target("avx2,fma")))

/* ---- decoding ---- */

V256 static void decode_fp8_block(float *out, const uint8_t *code, uint8_t scale_code, int n)
{
    const __m256i keep = _mm256_set1_epi32((int)0x87f00000u);
    const __m256 rebias = _mm256_set1_ps(0x1p120f), scale = _mm256_set1_ps(float_of_e8m0(scale_code));
    const __m128i low7 = _mm_set1_epi8(0x7f);
    int i = 0;

    for (; i + 8 <= n; i += 8) {
        const __m128i bytes = _mm_loadl_epi64((const __m128i *)(code + i));
        const __m256i bits = _mm256_and_si256(_mm256_slli_epi32(_mm256_cvtepi8_epi32(bytes), 20), keep);

        if (_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_and_si128(bytes, low7), low7)))
            break;                /* a NaN: the plain loop below does the rest */
        _mm256_storeu_ps(out + i, _mm256_mul_ps(_mm256_mul_ps(_mm256_castsi256_ps(bits), rebias), scale));
    }
    for (; i < n; i++)
        out[i] = float_of_e4m3(code[i]) * float_of_e8m0(scale_code);
}

V256 static void decode_fp8(float *out, const struct weight *w, size_t row, size_t from, int n)
{
    const size_t cols = (size_t)w->cols;
    const uint8_t *code = (const uint8_t *)w->data + row * cols + from;
    const uint8_t *scale = w->scale + row / 128 * ((cols + 127) / 128) + from / 128;

    for (int i = 0; i < n; i += 128)
        decode_fp8_block(out + i, code + i, *scale++, n - i < 128 ? n - i : 128);
}

/* Eight codes, one a lane, in the low four bits: magnitude by table, sign from bit 3. */
V256 static inline __m256 values_of_codes(__m256i code)
{
    const __m256 table = _mm256_setr_ps(0, .5f, 1, 1.5f, 2, 3, 4, 6);
    const __m256 magnitude = _mm256_permutevar8x32_ps(table, code);    /* the index is the low 3 bits */
    const __m256i sign = _mm256_slli_epi32(_mm256_and_si256(code, _mm256_set1_epi32(8)), 28);

    return _mm256_or_ps(magnitude, _mm256_castsi256_ps(sign));
}

V256 static void decode_fp4(float *out, const struct weight *w, size_t row, size_t from, int n)
{
    const size_t at = row * (size_t)w->cols + from;
    const uint8_t *pairs = (const uint8_t *)w->data + at / 2, *scale = w->scale + at / 32;

    for (int i = 0; i < n; i += 16, pairs += 8) {
        const __m256i pair = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)pairs));
        const __m256 s = _mm256_set1_ps(float_of_e8m0(scale[i / 32]));
        const __m256 low = _mm256_mul_ps(values_of_codes(pair), s);
        const __m256 high = _mm256_mul_ps(values_of_codes(_mm256_srli_epi32(pair, 4)), s);
        const __m256 a = _mm256_unpacklo_ps(low, high), b = _mm256_unpackhi_ps(low, high);

        _mm256_storeu_ps(out + i, _mm256_permute2f128_ps(a, b, 0x20));
        _mm256_storeu_ps(out + i + 8, _mm256_permute2f128_ps(a, b, 0x31));
    }
}

V256 static void decode_bf16(float *out, const uint16_t *in, int n)
{
    int i = 0;

    for (; i + 8 <= n; i += 8) {
        const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(in + i)));

        _mm256_storeu_ps(out + i, _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16)));
    }
    for (; i < n; i++)
        out[i] = float_of_bf16(in[i]);
}

static void v256_decode(float *out, const struct weight *w, int row, int from, int n)
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

V256 static inline __m256 sums_of(const __m256 a[TILE_ROWS])
{
    const __m256 c = _mm256_hadd_ps(_mm256_hadd_ps(a[0], a[1]), _mm256_hadd_ps(a[2], a[3]));
    const __m256 d = _mm256_hadd_ps(_mm256_hadd_ps(a[4], a[5]), _mm256_hadd_ps(a[6], a[7]));

    return _mm256_add_ps(_mm256_permute2f128_ps(c, d, 0x20), _mm256_permute2f128_ps(c, d, 0x31));
}

V256 static void dots1(float *y, const float *const rows[TILE_ROWS], int n_rows, const float *x, int cols, bool add)
{
    __m256 a[TILE_ROWS];
    float sums[TILE_ROWS];
    int k = 0;

    UNROLL_ROWS
    for (int r = 0; r < TILE_ROWS; r++)
        a[r] = _mm256_setzero_ps();
    for (; k + 8 <= cols; k += 8) {
        const __m256 u = _mm256_loadu_ps(x + k);

        UNROLL_ROWS
        for (int r = 0; r < TILE_ROWS; r++)
            a[r] = _mm256_fmadd_ps(_mm256_loadu_ps(rows[r] + k), u, a[r]);
    }
    _mm256_storeu_ps(sums, sums_of(a));
    for (; k < cols; k++)
        for (int r = 0; r < n_rows; r++)
            sums[r] += rows[r][k] * x[k];
    for (int r = 0; r < n_rows; r++)
        y[r] = add ? y[r] + sums[r] : sums[r];
}

V256 static void v256_dots(float *y, size_t y_stride, const float *const rows[TILE_ROWS], int n_rows, const float *x,
                           size_t x_stride, int n, int cols, bool add)
{
    for (int t = 0; t < n; t++)
        dots1(y + (size_t)t * y_stride, rows, n_rows, x + (size_t)t * x_stride, cols, add);
}

/* ---- mix and exp ---- */

V256 static void v256_mix(float *out, const float *const *rows, const float *p, int n, int dim)
{
    int i = 0;

    for (; i + 16 <= dim; i += 16) {
        __m256 a = _mm256_setzero_ps(), b = a;

        for (int j = 0; j < n; j++) {
            const __m256 s = _mm256_set1_ps(p[j]);

            a = _mm256_fmadd_ps(s, _mm256_loadu_ps(rows[j] + i), a);
            b = _mm256_fmadd_ps(s, _mm256_loadu_ps(rows[j] + i + 8), b);
        }
        _mm256_storeu_ps(out + i, a);
        _mm256_storeu_ps(out + i + 8, b);
    }
    for (; i < dim; i++) {
        float sum = 0;

        for (int j = 0; j < n; j++)
            sum += p[j] * rows[j][i];
        out[i] = sum;
    }
}

/* exp(x) = 2^k e^r with k = round(x / ln 2); e^r by its Taylor series to r^7 (|r| <= 0.347: next term 5e-9). */
V256 static __m256 exp8(__m256 given)
{
    const __m256 least = _mm256_set1_ps(-87.f), most = _mm256_set1_ps(88.f);
    const __m256 v = _mm256_min_ps(most, _mm256_max_ps(least, given));
    const __m256 k = _mm256_round_ps(_mm256_mul_ps(v, _mm256_set1_ps(1.44269504f)), _MM_FROUND_TO_NEAREST_INT);
    const __m256 r = _mm256_fnmadd_ps(k, _mm256_set1_ps(-2.12194440e-4f),
                                      _mm256_fnmadd_ps(k, _mm256_set1_ps(0.693359375f), v));
    const __m256i power = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(k), _mm256_set1_epi32(127)), 23);
    __m256 e = _mm256_set1_ps(1.f / 5040);

    e = _mm256_fmadd_ps(e, r, _mm256_set1_ps(1.f / 720));
    e = _mm256_fmadd_ps(e, r, _mm256_set1_ps(1.f / 120));
    e = _mm256_fmadd_ps(e, r, _mm256_set1_ps(1.f / 24));
    e = _mm256_fmadd_ps(e, r, _mm256_set1_ps(1.f / 6));
    e = _mm256_fmadd_ps(e, r, _mm256_set1_ps(.5f));
    e = _mm256_fmadd_ps(e, r, _mm256_set1_ps(1.f));
    e = _mm256_fmadd_ps(e, r, _mm256_set1_ps(1.f));
    e = _mm256_mul_ps(e, _mm256_castsi256_ps(power));
    return _mm256_andnot_ps(_mm256_cmp_ps(given, least, _CMP_LT_OQ), e);
}

/* Lanes outside the range of the series (above 88, NaN) are left to expf. */
V256 static void v256_exp(float *x, int n)
{
    int i = 0;

    for (; i + 8 <= n; i += 8) {
        const __m256 v = _mm256_loadu_ps(x + i);

        if (_mm256_movemask_ps(_mm256_cmp_ps(v, _mm256_set1_ps(88.f), _CMP_NLE_UQ)))
            kernels_plain.exp(x + i, 8);
        else
            _mm256_storeu_ps(x + i, exp8(v));
    }
    kernels_plain.exp(x + i, n - i);
}

static const struct kernels v256 = { "avx2", v256_decode, v256_dots, v256_mix, v256_exp };

const struct kernels *kernels_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &v256 : NULL;
}

#else

const struct kernels *kernels_avx2(void)
{
    return NULL;
}

#endif
