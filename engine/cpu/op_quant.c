/* op_quant.c - the roundings of the published inference code (v4-architecture section 8, mode A). */
#include <math.h>

#include "engine/cpu/cpu.h"
#include "engine/numbers.h"

void cpu_round_bf16(struct device *d, float *x, size_t n)
{
    (void)d;
    for (size_t i = 0; i < n; i++)
        x[i] = round_bf16(x[i]);
}

static float largest_of(const float *x, int n, float least)
{
    for (int i = 0; i < n; i++)
        least = fabsf(x[i]) > least ? fabsf(x[i]) : least;
    return least;
}

static float clamp(float v, float limit)
{
    return v > limit ? limit : v < -limit ? -limit : v;
}

/* The scale is the smallest power of two that brings the group's largest value to 448 or less. The product q * scale
 * is exact in bf16, so no further rounding follows. */
void cpu_fake_fp8(struct device *d, float *x, int n, int dim, size_t stride, int group)
{
    (void)d;
    for (int t = 0; t < n; t++) {
        for (int from = 0; from < dim; from += group) {
            float *v = x + (size_t)t * stride + (size_t)from;
            const int width = dim - from < group ? dim - from : group;
            const float scale = pow2_ceil(largest_of(v, width, 1e-4f) * (1.f / 448));

            for (int i = 0; i < width; i++)
                v[i] = round_e4m3(clamp(v[i] / scale, 448)) * scale;
        }
    }
}

#define FP4_GROUP 32

void cpu_fake_fp4(struct device *d, float *x, int n, int dim)
{
    (void)d;
    for (int t = 0; t < n; t++) {
        for (int from = 0; from < dim; from += FP4_GROUP) {
            float *v = x + (size_t)t * (size_t)dim + (size_t)from;
            const float scale = pow2_ceil(largest_of(v, FP4_GROUP, 6 * 0x1p-126f) / 6);

            for (int i = 0; i < FP4_GROUP; i++)
                v[i] = round_e2m1(clamp(v[i] / scale, 6)) * scale;
        }
    }
}

/* Butterflies in natural order: dim is a power of two. */
void cpu_hadamard(struct device *d, float *x, int n, int dim)
{
    const float scale = 1.f / sqrtf((float)dim);

    (void)d;
    for (int t = 0; t < n; t++, x += dim) {
        for (int half = 1; half < dim; half *= 2) {
            for (int i = 0; i < dim; i += 2 * half) {
                for (int k = i; k < i + half; k++) {
                    const float a = x[k], b = x[k + half];

                    x[k] = a + b;
                    x[k + half] = a - b;
                }
            }
        }
        for (int i = 0; i < dim; i++)
            x[i] *= scale;
    }
}
