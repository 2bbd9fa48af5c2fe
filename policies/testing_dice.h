/* testing_dice.h - what tests at random roll: numbers from a seed, the same on every machine, or the bytes of a fuzzer. A test
 * names its seed when it fails. */
#ifndef TOLLGATE_POLICIES_TESTING_DICE_H
#define TOLLGATE_POLICIES_TESTING_DICE_H

#include "base/span.h"

struct dice {
    uint32_t (*roll)(void *ctx);
    void *ctx;
};

static inline uint32_t dice_below(struct dice *d, uint32_t n)
{
    return d->roll(d->ctx) % n;
}

static inline bool dice_one_in(struct dice *d, uint32_t n)
{
    return dice_below(d, n) == 0;
}

/* ctx: a uint64_t, the seed, of which any will do (Knuth's MMIX constants; the high bits are the good ones). */
static inline uint32_t dice_roll_seed(void *ctx)
{
    uint64_t *state = ctx;

    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33);
}

/* ctx: one of these. A byte a roll; behind the last one the seed goes on, so that every run ends. */
struct dice_bytes {
    struct span left;
    uint64_t seed;
};
static inline uint32_t dice_roll_bytes(void *ctx)
{
    struct dice_bytes *b = ctx;

    if (b->left.n) {
        const uint32_t v = (unsigned char)b->left.p[0];

        b->left = span_skip(b->left, 1);
        return v * 16777619u >> 8;
    }
    return dice_roll_seed(&b->seed);
}

#endif
