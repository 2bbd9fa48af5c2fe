/* numbers.h - the small floating-point formats, each by its definition (v4-checkpoint 3.1, v4-architecture 8).
 *
 * Decoding is exact. Encoding rounds to the nearest value, ties to the even code. All assume IEEE float32 with
 * subnormals: never build with -ffast-math. */
#ifndef TOLLGATE_ENGINE_NUMBERS_H
#define TOLLGATE_ENGINE_NUMBERS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline float float_of_bits(uint32_t b)
{
    float f;

    memcpy(&f, &b, 4);
    return f;
}

static inline uint32_t bits_of_float(float f)
{
    uint32_t b;

    memcpy(&b, &f, 4);
    return b;
}

/* bfloat16: the upper half of a float32. */
static inline float float_of_bf16(uint16_t b)
{
    return float_of_bits((uint32_t)b << 16);
}

static inline float round_bf16(float f)
{
    const uint32_t b = bits_of_float(f);

    if ((b & 0x7fffffffu) > 0x7f800000u)    /* NaN: adding could make it infinite */
        return f;
    return float_of_bits((b + 0x7fffu + (b >> 16 & 1u)) & 0xffff0000u);
}

/* IEEE half: s eeeee mmmmmmmmmm, bias 15. The exponent moves by a multiplication, which also makes subnormals right. */
static inline float float_of_f16(uint16_t h)
{
    const uint32_t magnitude = (uint32_t)(h & 0x7fffu) << 13;
    const float f = (h & 0x7c00u) == 0x7c00u ? float_of_bits(magnitude | 0x7f800000u)
                                             : float_of_bits(magnitude) * 0x1p112f;

    return h & 0x8000u ? -f : f;
}

/* E4M3 (fn): s eeee mmm, bias 7, no infinities, 0x7f and 0xff are NaN, largest 448. */
static inline float float_of_e4m3(uint8_t b)
{
    /* Sign, exponent and mantissa where a float32 has them; the product makes up for the other bias, 127 - 7. */
    const uint32_t bits = (uint32_t)(b & 0x80u) << 24 | (uint32_t)(b & 0x7fu) << 20;

    return (b & 0x7fu) == 0x7fu ? NAN : float_of_bits(bits) * 0x1p120f;
}

/* E2M1: s ee m; 0 .5 1 1.5 2 3 4 6. Only the low four bits of `code` count. */
static inline float float_of_e2m1(unsigned code)
{
    static const float value[16] = { 0, .5f, 1, 1.5f, 2, 3, 4, 6, -0.f, -.5f, -1, -1.5f, -2, -3, -4, -6 };

    return value[code & 15u];
}

/* E8M0: 2^(b-127); 0 is a float32 subnormal, 255 NaN. */
static inline float float_of_e8m0(uint8_t b)
{
    if (b == 255)
        return NAN;
    return b ? float_of_bits((uint32_t)b << 23) : float_of_bits(0x00400000u);
}

/* The nearest multiple of `step`, a power of two; |f| / step < 2^22. Ties to even. */
static inline float round_to_step(float f, float step)
{
    return rintf(f / step) * step;
}

/* |f| <= 448 to the nearest E4M3 value: below 2^-6 the step is 2^-9, else 2^(exponent-3). */
static inline float round_e4m3(float f)
{
    const uint32_t exponent = bits_of_float(f) >> 23 & 255u;

    return round_to_step(f, exponent < 121 ? 0x1p-9f : float_of_bits((exponent - 3) << 23));
}

/* |f| <= 6 to the nearest E2M1 value: below 2 the step is 0.5, below 4 it is 1, then 2. */
static inline float round_e2m1(float f)
{
    const float a = fabsf(f);

    return round_to_step(f, a < 2 ? .5f : a < 4 ? 1.f : 2.f);
}

/* The smallest power of two >= v, for finite v > 0 (normal). */
static inline float pow2_ceil(float v)
{
    const uint32_t b = bits_of_float(v);

    return float_of_bits((b & 0x7f800000u) + ((b & 0x007fffffu) ? 0x00800000u : 0u));
}

#endif
