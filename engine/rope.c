/* rope.c - frequencies and turns. */
#include "engine/rope.h"

#include <math.h>

/* The channel pair that turns `turns` times over the original context. */
static double pair_of_turns(const struct model_config *c, double turns)
{
    return c->rope_dim * log(c->yarn_original / (turns * 2 * M_PI)) / (2 * log(c->compress_theta));
}

static double clamp(double v, double low, double high)
{
    return v < low ? low : v > high ? high : v;
}

void rope_frequencies(float *f, const struct model_config *c, bool compressed)
{
    const double theta = compressed ? c->compress_theta : c->rope_theta;
    const double low = fmax(floor(pair_of_turns(c, c->yarn_beta_fast)), 0);
    const double high = fmin(ceil(pair_of_turns(c, c->yarn_beta_slow)), c->rope_dim - 1);

    for (int i = 0; i < c->rope_dim / 2; i++) {
        const double plain = pow(theta, -2.0 * i / c->rope_dim);
        const double slow = clamp((i - low) / fmax(high - low, 1e-3), 0, 1);

        f[i] = (float)(compressed ? plain * (1 - slow) + plain / c->yarn_factor * slow : plain);
    }
}

void rope_turns(float *turn, const float *f, int rope_dim, int position)
{
    for (int i = 0; i < rope_dim / 2; i++) {
        const float angle = (float)position * f[i];

        turn[2 * i] = cosf(angle);
        turn[2 * i + 1] = sinf(angle);
    }
}
