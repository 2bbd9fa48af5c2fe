/* test_ops.c - each operation against its definition in v4-architecture, computed here in double. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/ops.h"
#include "engine/rope.h"

static const struct model_config config = {
    .dim = 12, .n_heads = 3, .head_dim = 8, .rope_dim = 4, .window = 128, .index_heads = 2, .index_dim = 32,
    .index_topk = 3, .n_experts = 5, .n_active = 2, .expert_dim = 6, .streams = 4, .sinkhorn_iters = 20,
    .hc_eps = 1e-6f, .norm_eps = 1e-6f,
};

static float random_of(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / 8388608.f - 1;
}

static void fill(float *x, int n, uint32_t seed)
{
    for (int i = 0; i < n; i++)
        x[i] = random_of(&seed);
}

#define assert_near(a, b, tolerance) assert_true(fabs((double)(a) - (double)(b)) <= (tolerance))

static int setup(void **state)
{
    *state = cpu_device_new(&config, 1, 4096);
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    struct device *d = *state;

    d->free(d);
    return 0;
}

/* ---- section 2 ---- */

struct site {
    float fn[24 * 48], base[24], scale[3];
    struct model_hc hc;
};

static void make_site(struct site *s)
{
    fill(s->fn, 24 * 48, 1);
    fill(s->base, 24, 2);
    s->scale[0] = .7f;
    s->scale[1] = -.5f;
    s->scale[2] = 1.3f;
    s->hc = (struct model_hc){ { WEIGHT_F32, 24, 48, s->fn, NULL }, s->base, s->scale };
}

static void the_mixing_matrix_is_doubly_stochastic_and_sinkhorn_ends_on_columns(void **state)
{
    struct device *d = *state;
    struct site s;
    float h[48], x[12], post[4], comb[16];

    make_site(&s);
    s.scale[2] = .2f;                                        /* steep matrices need more than 20 rounds */
    fill(h, 48, 3);
    d->ops->hc_in(d, x, post, comb, h, &s.hc, &config, 1);
    for (int k = 0; k < 4; k++) {
        double column = 0, row = 0;

        for (int j = 0; j < 4; j++) {
            assert_true(comb[j * 4 + k] > 0);
            column += comb[j * 4 + k];
            row += comb[k * 4 + j];
        }
        assert_near(column, 1, 3e-6);
        assert_near(row, 1, 1e-4);
    }
}

static double sigmoid(double v)
{
    return 1 / (1 + exp(-v));
}

static void hc_in_computes_what_section_2_says(void **state)
{
    struct device *d = *state;
    struct site s;
    float h[48], x[12], post[4], comb[16];
    double z[24], C[4][4], squares = 0, pre[4];

    make_site(&s);
    fill(h, 48, 4);
    d->ops->hc_in(d, x, post, comb, h, &s.hc, &config, 1);
    for (int i = 0; i < 48; i++)
        squares += (double)h[i] * h[i];
    for (int r = 0; r < 24; r++) {
        z[r] = 0;
        for (int i = 0; i < 48; i++)
            z[r] += (double)s.fn[r * 48 + i] * h[i];
        z[r] /= sqrt(squares / 48 + 1e-6);
    }
    for (int i = 0; i < 4; i++) {
        pre[i] = sigmoid(z[i] * (double)s.scale[0] + s.base[i]) + 1e-6;
        assert_near(post[i], 2 * sigmoid(z[4 + i] * (double)s.scale[1] + s.base[4 + i]), 2e-6);
    }
    for (int j = 0; j < 4; j++) {
        double sum = 0;

        for (int k = 0; k < 4; k++)
            sum += C[j][k] = exp(z[8 + 4 * j + k] * (double)s.scale[2] + s.base[8 + 4 * j + k]);
        for (int k = 0; k < 4; k++)
            C[j][k] = C[j][k] / sum + 1e-6;
    }
    for (int i = 0; i < 39; i++) {                           /* columns, then 19 times rows and columns */
        for (int a = 0; a < 4; a++) {
            double sum = 0;

            for (int b = 0; b < 4; b++)
                sum += i % 2 ? C[a][b] : C[b][a];
            for (int b = 0; b < 4; b++)
                *(i % 2 ? &C[a][b] : &C[b][a]) /= sum + 1e-6;
        }
    }
    for (int i = 0; i < 16; i++)
        assert_near(comb[i], C[i / 4][i % 4], 2e-6);
    for (int i = 0; i < 12; i++)
        assert_near(x[i], pre[0] * h[i] + pre[1] * h[12 + i] + pre[2] * h[24 + i] + pre[3] * h[36 + i], 4e-6);
}

/* The wrong direction runs and gives bad text: comb[source][destination]. */
static void the_first_index_of_comb_is_the_source_stream(void **state)
{
    struct device *d = *state;
    float h[48] = { 0 }, y[12] = { 0 }, comb[16] = { 0 };
    const float post[4] = { 0 };

    for (int i = 0; i < 12; i++)
        h[i] = 1;                                            /* stream 0 alone has something */
    comb[0 * 4 + 2] = 1;                                     /* all of it goes to stream 2 */
    d->ops->hc_out(d, h, y, post, comb, &config, 1);
    for (int i = 0; i < 48; i++)
        assert_true(h[i] == (i / 12 == 2 ? 1.f : 0.f));
}

static void hc_out_adds_the_result_by_post(void **state)
{
    struct device *d = *state;
    float h[48], old[48], y[12], post[4], comb[16];

    fill(h, 48, 5);
    memcpy(old, h, sizeof h);
    fill(y, 12, 6);
    fill(post, 4, 7);
    fill(comb, 16, 8);
    d->ops->hc_out(d, h, y, post, comb, &config, 1);
    for (int k = 0; k < 4; k++) {
        for (int i = 0; i < 12; i++) {
            double want = (double)post[k] * y[i];

            for (int j = 0; j < 4; j++)
                want += (double)comb[j * 4 + k] * old[j * 12 + i];
            assert_near(h[k * 12 + i], want, 2e-6);
        }
    }
}

static void the_head_collapses_by_sigmoids_without_sinkhorn(void **state)
{
    struct device *d = *state;
    struct site s;
    float h[48], x[12];
    double squares = 0, w[4];

    make_site(&s);
    s.hc.fn.rows = 4;
    fill(h, 48, 9);
    d->ops->hc_head(d, x, h, &s.hc, &config, 1);
    for (int i = 0; i < 48; i++)
        squares += (double)h[i] * h[i];
    for (int r = 0; r < 4; r++) {
        double z = 0;

        for (int i = 0; i < 48; i++)
            z += (double)s.fn[r * 48 + i] * h[i];
        w[r] = sigmoid(z / sqrt(squares / 48 + 1e-6) * (double)s.scale[0] + s.base[r]) + 1e-6;
    }
    for (int i = 0; i < 12; i++)
        assert_near(x[i], w[0] * h[i] + w[1] * h[12 + i] + w[2] * h[24 + i] + w[3] * h[36 + i], 4e-6);
}

/* ---- section 3 ---- */

/* The values that section 3 gives for base 160000 with YaRN. */
static void rope_frequencies_meet_the_check_values(void **state)
{
    static const struct { int i; double f; } yarn[] = {
        { 0, 1 }, { 1, 0.6876560 }, { 15, 3.6355386e-3 }, { 16, 2.265625e-3 }, { 20, 2.9697778e-4 },
        { 24, 1.9531250e-5 }, { 25, 5.3723127e-6 }, { 31, 5.680529e-7 },
    };
    const struct model_config c = { .rope_dim = 64, .rope_theta = 10000, .compress_theta = 160000, .yarn_factor = 16,
                                    .yarn_original = 65536, .yarn_beta_fast = 32, .yarn_beta_slow = 1 };
    float f[32];

    (void)state;
    rope_frequencies(f, &c, true);
    for (size_t i = 0; i < sizeof yarn / sizeof yarn[0]; i++)
        assert_near(f[yarn[i].i], yarn[i].f, 1e-6 * yarn[i].f);
    rope_frequencies(f, &c, false);
    for (int i = 0; i < 32; i++)
        assert_near(f[i], pow(10000, -2.0 * i / 64), 1e-7 * pow(10000, -2.0 * i / 64));
}

static void rope_turns_the_last_channels_in_neighbouring_pairs_and_back(void **state)
{
    struct device *d = *state;
    float x[2 * 3 * 8], old[2 * 3 * 8], turn[2 * 4];
    const float f[2] = { 1, .25f };

    fill(x, 48, 10);
    memcpy(old, x, sizeof x);
    rope_turns(turn, f, 4, 5);
    rope_turns(turn + 4, f, 4, 70);
    d->ops->rope(d, x, turn, 2, 3, 8, 4, 1);
    for (int t = 0; t < 2; t++) {
        const double p = t ? 70 : 5;

        for (int h = 0; h < 3; h++) {
            const float *a = old + (t * 3 + h) * 8, *b = x + (t * 3 + h) * 8;

            for (int i = 0; i < 4; i++)
                assert_true(a[i] == b[i]);                   /* in front: untouched */
            for (int i = 0; i < 2; i++) {
                const double angle = p * (double)f[i];

                assert_near(b[4 + 2 * i], a[4 + 2 * i] * cos(angle) - a[5 + 2 * i] * sin(angle), 1e-5);
                assert_near(b[5 + 2 * i], a[4 + 2 * i] * sin(angle) + a[5 + 2 * i] * cos(angle), 1e-5);
            }
        }
    }
    d->ops->rope(d, x, turn, 2, 3, 8, 4, -1);
    for (int i = 0; i < 48; i++)
        assert_near(x[i], old[i], 1e-6);
}

/* ---- section 4 ---- */

/* The output of head h for the given keys, by the definition. */
static void attention_of(double *o, const float *q, const float *const *keys, int n, double sink)
{
    double a[512], den = exp(sink);

    memset(o, 0, 8 * sizeof *o);
    for (int i = 0; i < n; i++) {
        a[i] = 0;
        for (int e = 0; e < 8; e++)
            a[i] += (double)q[e] * keys[i][e];
        a[i] = exp(a[i] / sqrt(8));
        den += a[i];
    }
    for (int i = 0; i < n; i++)
        for (int e = 0; e < 8; e++)
            o[e] += a[i] / den * keys[i][e];
}

/* Position p is in the ring when it is older than the step, else in the step's own keys. Section 4.1: entry j is
 * visible to t if j < (t + 1) / ratio. */
static void check_attention(struct device *d, int begin, int n, int ratio)
{
    static float all[400][8], ring[128][8], entries[100][8], q[300][3][8], o[300][3][8];
    const float sink[3] = { -.5f, 0, 2 };
    const struct attend_job job = { .q = q[0][0], .o = o[0][0], .sink = sink, .ring = ring[0], .fresh = all[begin],
                                    .entries = ratio ? entries[0] : NULL, .ratio = ratio, .begin = begin, .n = n,
                                    .heads = 3, .head_dim = 8, .window = 128 };

    fill(all[0], 400 * 8, 11);
    fill(entries[0], 100 * 8, 12);
    fill(q[0][0], 300 * 3 * 8, 13);
    for (int p = 0; p < begin; p++)
        memcpy(ring[p % 128], all[p], sizeof all[p]);
    d->ops->attend(d, &job, 1);
    for (int i = 0; i < n; i++) {
        const int t = begin + i;
        const float *keys[512];
        double want[8];
        int m = 0;

        for (int p = t - 127 > 0 ? t - 127 : 0; p <= t; p++)
            keys[m++] = all[p];
        for (int j = 0; ratio && j < (t + 1) / ratio; j++)
            keys[m++] = entries[j];
        for (int h = 0; h < 3; h++) {
            attention_of(want, q[i][h], keys, m, sink[h]);
            for (int e = 0; e < 8; e++)
                assert_near(o[i][h][e], want[e], 2e-6);
        }
    }
}

static void attention_sees_128_keys_and_the_finished_entries(void **state)
{
    check_attention(*state, 0, 1, 4);
    check_attention(*state, 0, 140, 4);
    check_attention(*state, 3, 5, 4);
    check_attention(*state, 126, 4, 4);
    check_attention(*state, 127, 1, 128);
    check_attention(*state, 200, 130, 128);
    check_attention(*state, 250, 3, 0);
}

static void only_the_picked_entries_count(void **state)
{
    struct device *d = *state;
    float keys[8] = { 1 }, entries[3][8] = { { 2 }, { 4 }, { 8 } }, q[8] = { 0 }, o[8], ring[128 * 8] = { 0 };
    const float sink[1] = { -100 };
    const int32_t picked[2] = { 0, 2 }, n_picked[1] = { 2 };
    const struct attend_job job = { .q = q, .o = o, .sink = sink, .ring = ring, .fresh = keys, .entries = entries[0],
                                    .ratio = 4, .picked = picked, .n_picked = n_picked, .pick_room = 2, .begin = 0,
                                    .n = 1, .heads = 1, .head_dim = 8, .window = 128 };

    d->ops->attend(d, &job, 1);
    assert_near(o[0], (1 + 2 + 8) / 3.0, 1e-6);              /* q = 0: all weights equal */
}

/* The sink is a logit that is not scaled and has no value: with e^sink = 3 and one key of score 0 the key's weight is
 * 1/4. */
static void the_sink_takes_weight_and_gives_nothing(void **state)
{
    struct device *d = *state;
    float keys[8] = { 4 }, q[8] = { 0 }, o[8], ring[128 * 8] = { 0 };
    const float sink[1] = { logf(3) };
    const struct attend_job job = { .q = q, .o = o, .sink = sink, .ring = ring, .fresh = keys, .n = 1, .heads = 1,
                                    .head_dim = 8, .window = 128 };

    d->ops->attend(d, &job, 1);
    assert_near(o[0], 1, 1e-6);
}

/* ---- section 5 ---- */

/* Entry j by the definition, from all tokens' rows. width = 2d for ratio 4. */
static void entry_of(double *out, const float *c, const float *z, const float *ape, int ratio, int d, int j)
{
    const int width = ratio == 4 ? 2 * d : d;

    for (int e = 0; e < d; e++) {
        double sum = 0, weights = 0;

        for (int i = 0; i < ratio; i++) {
            const int own = j * ratio + i, before = own - ratio;
            const int channel = ratio == 4 ? d + e : e;
            const double w = exp((double)z[own * width + channel] + ape[i * width + channel]);

            sum += w * c[own * width + channel];
            weights += w;
            if (ratio == 4 && j > 0) {
                const double a = exp((double)z[before * width + e] + ape[i * width + e]);

                sum += a * c[before * width + e];
                weights += a;
            }
        }
        out[e] = sum / weights;
    }
}

/* The n tokens in pieces of `piece`. */
static void check_compressor(struct device *d, int ratio, int n, int piece)
{
    enum { D = 6 };
    static float c[300 * 2 * D], z[300 * 2 * D], ape[128 * 2 * D], pending[2][128 * 2 * D], previous[2][4 * D];
    static float entries[80][D];
    const int width = ratio == 4 ? 2 * D : D;
    double want[D];

    fill(c, 300 * width, 14);
    fill(z, 300 * width, 15);
    fill(ape, ratio * width, 16);
    for (int i = 0; i < 4 * D; i++) {
        previous[0][i] = 0;
        previous[1][i] = -INFINITY;
    }
    for (int t = 0; t < n; t += piece) {
        const struct compress_job job = {
            .c = c + t * width, .z = z + t * width, .ape = ape, .pending_c = pending[0], .pending_z = pending[1],
            .previous_c = previous[0], .previous_z = previous[1], .entries = entries[0], .ratio = ratio, .d = D,
            .begin = t, .n = n - t < piece ? n - t : piece,
        };

        d->ops->compress(d, &job);
    }
    for (int j = 0; j < n / ratio; j++) {
        entry_of(want, c, z, ape, ratio, D, j);
        for (int e = 0; e < D; e++)
            assert_near(entries[j][e], want[e], 2e-6);
    }
}

static void entries_pool_their_window_and_for_ratio_4_the_one_before(void **state)
{
    check_compressor(*state, 4, 4, 1);
    check_compressor(*state, 4, 41, 41);
    check_compressor(*state, 4, 41, 3);
    check_compressor(*state, 128, 256, 256);
    check_compressor(*state, 128, 290, 7);
}

/* ---- section 6 ---- */

static void the_index_picks_the_largest_scores_and_the_lower_index_of_equals(void **state)
{
    struct device *d = *state;
    float q[2 * 32] = { 0 }, keys[6][32] = { { 0 } };
    const float weight[2] = { 1, -1 };
    int32_t picked[3], n_picked[1];
    const struct index_job job = { .q = q, .weight = weight, .keys = keys[0], .picked = picked, .n_picked = n_picked,
                                   .pick_room = 3, .top = 3, .begin = 23, .n = 1, .heads = 2, .dim = 32 };

    q[0] = 1;                                                /* head 0 reads channel 0, weight 1 */
    q[32 + 1] = 1;                                           /* head 1 reads channel 1, weight -1, after the ReLU */
    keys[0][0] = 2;                                          /* 2 */
    keys[1][0] = 5;                                          /* 5 - 4 = 1 */
    keys[1][1] = 4;
    keys[2][0] = 2;                                          /* 2 again: as good as 0, later */
    keys[3][0] = -9;                                         /* 0: the ReLU */
    keys[4][0] = 3;                                          /* 3 + 0 (a negative product of head 1 is cut) */
    keys[4][1] = -7;
    keys[5][0] = 2;                                          /* 2 once more: loses to 0 and 2 */
    d->ops->index(d, &job);
    assert_int_equal(n_picked[0], 3);
    assert_int_equal(picked[0], 0);
    assert_int_equal(picked[1], 2);
    assert_int_equal(picked[2], 4);
}

static void the_index_never_picks_what_is_not_visible(void **state)
{
    struct device *d = *state;
    static float q[40 * 2 * 32], weight[40 * 2], keys[64][32];
    int32_t picked[40 * 3], n_picked[40];
    const struct index_job job = { .q = q, .weight = weight, .keys = keys[0], .picked = picked, .n_picked = n_picked,
                                   .pick_room = 3, .top = 3, .begin = 1, .n = 40, .heads = 2, .dim = 32 };

    fill(q, 40 * 2 * 32, 17);
    fill(weight, 80, 18);
    fill(keys[0], 64 * 32, 19);
    d->ops->index(d, &job);
    for (int i = 0; i < 40; i++) {
        const int visible = (1 + i + 1) / 4;

        assert_int_equal(n_picked[i], visible < 3 ? visible : 3);
        for (int k = 0; k < n_picked[i]; k++) {
            assert_true(picked[i * 3 + k] < visible);
            assert_true(k == 0 || picked[i * 3 + k] > picked[i * 3 + k - 1]);
        }
    }
}

/* Against a full sort, sizes around the limit. */
static int by_score(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return x[0] != y[0] ? (x[0] < y[0] ? 1 : -1) : (x[1] > y[1]) - (x[1] < y[1]);
}

static void the_index_agrees_with_a_sort(void **state)
{
    struct device *d = *state;
    static float keys[200][32];
    float q[2 * 32], weight[2];

    fill(keys[0], 200 * 32, 20);
    fill(q, 64, 21);
    fill(weight, 2, 22);
    for (int n = 4; n < 200; n++) {
        int32_t picked[3], n_picked[1];
        const struct index_job job = { .q = q, .weight = weight, .keys = keys[0], .picked = picked,
                                       .n_picked = n_picked, .pick_room = 3, .top = 3, .begin = n * 4 - 1, .n = 1,
                                       .heads = 2, .dim = 32 };
        double order[200][2];

        for (int j = 0; j < n; j++) {
            double s[2] = { 0 };

            for (int e = 0; e < 32; e++) {
                s[0] += (double)q[e] * keys[j][e];
                s[1] += (double)q[32 + e] * keys[j][e];
            }
            order[j][0] = weight[0] * (s[0] > 0 ? s[0] : 0) + weight[1] * (s[1] > 0 ? s[1] : 0);
            order[j][1] = j;
        }
        qsort(order, (size_t)n, sizeof order[0], by_score);
        d->ops->index(d, &job);
        for (int k = 0; k < 3; k++) {
            bool found = false;

            for (int m = 0; m < 3; m++)
                found = found || picked[m] == (int32_t)order[k][1];
            assert_true(found);
        }
    }
}

/* ---- section 7 ---- */

static void the_bias_chooses_and_does_not_weigh(void **state)
{
    struct device *d = *state;
    const float z[5] = { 1, -2, 0.5f, 3, 25 }, bias[5] = { 0, 9, 0, 8, 0 };
    int32_t chosen[2];
    float gates[2];
    const double p1 = sqrt(log1p(exp(-2))), p3 = sqrt(log1p(exp(3)));

    d->ops->route(d, chosen, gates, z, NULL, bias, 1, 5, 2, 1.5f);
    assert_int_equal(chosen[0], 1);
    assert_int_equal(chosen[1], 3);
    assert_near(gates[0], 1.5 * p1 / (p1 + p3), 1e-6);
    assert_near(gates[1], 1.5 * p3 / (p1 + p3), 1e-6);
}

static void a_hash_layer_takes_the_tables_experts_with_their_own_gates(void **state)
{
    struct device *d = *state;
    const float z[5] = { 1, -2, 0.5f, 3, 25 };
    const int32_t row[2] = { 4, 0 };
    const int32_t *fixed[1] = { row };
    int32_t chosen[2];
    float gates[2];
    const double p0 = sqrt(log1p(exp(1))), p4 = sqrt(25);    /* softplus(25) = 25 */

    d->ops->route(d, chosen, gates, z, fixed, NULL, 1, 5, 2, 2.5f);
    assert_int_equal(chosen[0], 0);
    assert_int_equal(chosen[1], 4);
    assert_near(gates[0], 2.5 * p0 / (p0 + p4), 1e-6);
    assert_near(gates[1], 2.5 * p4 / (p0 + p4), 1e-6);
}

static void routing_of_equals_and_of_nonsense_gives_different_experts(void **state)
{
    struct device *d = *state;
    const float equal[5] = { 1, 1, 1, 1, 1 }, nan[5] = { NAN, NAN, 1, NAN, NAN }, bias[5] = { 0 };
    int32_t chosen[2];
    float gates[2];

    d->ops->route(d, chosen, gates, equal, NULL, bias, 1, 5, 2, 1);
    assert_int_equal(chosen[0], 0);
    assert_int_equal(chosen[1], 1);
    d->ops->route(d, chosen, gates, nan, NULL, bias, 1, 5, 2, 1);
    assert_true(chosen[0] >= 0 && chosen[0] < chosen[1] && chosen[1] < 5);
}

static void the_gate_has_no_lower_clamp_and_the_upper_ones_hold(void **state)
{
    struct device *d = *state;
    float a[4] = { 20, -20, 3, -1 };
    const float b[4] = { 30, -30, 2, 1 }, g[1] = { .5f };

    d->ops->swiglu(d, a, b, g, 1, 4, 10);
    assert_near(a[0], .5 * 10 * sigmoid(10) * 10, 1e-4);
    assert_near(a[1], .5 * -20 * sigmoid(-20) * -10, 1e-10);
    assert_near(a[2], .5 * 3 * sigmoid(3) * 2, 1e-6);
    assert_near(a[3], .5 * -1 * sigmoid(-1), 1e-6);
}

/* ---- section 8 ---- */

static void fake_fp8_scales_each_group_by_a_power_of_two(void **state)
{
    struct device *d = *state;
    float x[130] = { 0 };

    x[0] = 449;                                              /* 449/448 > 1: scale 2 */
    x[1] = 3.3f;                                             /* 1.65 -> 1.625 */
    x[64] = 448;                                             /* scale 1 */
    x[65] = 3.3f;                                            /* -> 3.25 */
    x[66] = 0x1p-9f;                                         /* the smallest step at scale 1; lost at scale 2 */
    x[128] = 1e-9f;                                          /* scale from the least amax 1e-4: 2^-22, 1e-9 -> 2^-31 x 2 */
    d->ops->fake_fp8(d, x, 1, 130, 130, 64);
    assert_true(x[0] == 448);                                /* 224.5 is between 224 and 240 */
    assert_true(x[1] == 3.25f);
    assert_true(x[64] == 448);
    assert_true(x[65] == 3.25f && x[66] == 0x1p-9f);
    assert_true(x[128] == 0x1p-30f);                         /* 1e-9 * 2^22 = 2.147 * 2^-9 -> 2 * 2^-9 */
}

static void fake_fp4_scales_each_32_by_a_power_of_two(void **state)
{
    struct device *d = *state;
    float x[64] = { 0 };

    x[0] = 7;                                                /* scale 2: 3.5 -> 4 */
    x[1] = 1.4f;                                             /* 0.7 -> 0.5 */
    x[32] = 0.7f;                                            /* 0.7/6 -> scale 1/8: 5.6 -> 6 */
    x[33] = -0.1f;                                           /* -0.8 -> -1 */
    d->ops->fake_fp4(d, x, 1, 64);
    assert_true(x[0] == 8 && x[1] == 1 && x[32] == 0.75f && x[33] == -0.125f);
}

static void the_hadamard_rotation_keeps_products_and_is_its_own_inverse(void **state)
{
    struct device *d = *state;
    float x[32], y[32], old[32];
    double before = 0, after = 0;

    fill(x, 32, 23);
    fill(y, 32, 24);
    memcpy(old, x, sizeof x);
    for (int i = 0; i < 32; i++)
        before += (double)x[i] * y[i];
    d->ops->hadamard(d, x, 1, 32);
    d->ops->hadamard(d, y, 1, 32);
    for (int i = 0; i < 32; i++)
        after += (double)x[i] * y[i];
    assert_near(before, after, 1e-5);
    d->ops->hadamard(d, x, 1, 32);
    for (int i = 0; i < 32; i++)
        assert_near(x[i], old[i], 1e-6);
    for (int i = 0; i < 32; i++)
        x[i] = i == 3;
    d->ops->hadamard(d, x, 1, 32);                           /* column 3: signs by the parity of i & 3 */
    for (int i = 0; i < 32; i++)
        assert_near(x[i], (__builtin_popcount((unsigned)i & 3) % 2 ? -1 : 1) / sqrt(32), 1e-7);
}

/* ---- products ---- */

static void a_job_may_take_rows_from_the_middle_of_a_quantised_matrix(void **state)
{
    struct device *d = *state;
    static uint8_t codes[260 * 200];
    static float x[3 * 200], y[3][140];
    uint8_t scales[3 * 2] = { 127, 128, 126, 129, 125, 130 };
    const struct weight w = { WEIGHT_FP8, 260, 200, codes, scales };
    const struct matmul_job job = { .w = &w, .first = 100, .rows = 133, .x = x, .y = y[0], .x_stride = 200,
                                    .y_stride = 140, .n = 3 };

    for (int i = 0; i < 260 * 200; i++)
        codes[i] = (uint8_t)(i % 3 == 0 ? 0x38 : i % 3 == 1 ? 0xb0 : 0x30);    /* 1, -.5, .5 */
    fill(x, 600, 25);
    d->ops->matmul(d, &job, 1);
    for (int t = 0; t < 3; t++) {
        for (int r = 0; r < 133; r++) {
            double want = 0;

            for (int k = 0; k < 200; k++) {
                const int at = (100 + r) * 200 + k;
                const double v = at % 3 == 0 ? 1 : at % 3 == 1 ? -.5 : .5;

                want += v * ldexp(1, scales[(100 + r) / 128 * 2 + k / 128] - 127) * x[t * 200 + k];
            }
            assert_near(y[t][r], want, 1e-4);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_mixing_matrix_is_doubly_stochastic_and_sinkhorn_ends_on_columns),
        cmocka_unit_test(hc_in_computes_what_section_2_says),
        cmocka_unit_test(the_first_index_of_comb_is_the_source_stream),
        cmocka_unit_test(hc_out_adds_the_result_by_post),
        cmocka_unit_test(the_head_collapses_by_sigmoids_without_sinkhorn),
        cmocka_unit_test(rope_frequencies_meet_the_check_values),
        cmocka_unit_test(rope_turns_the_last_channels_in_neighbouring_pairs_and_back),
        cmocka_unit_test(attention_sees_128_keys_and_the_finished_entries),
        cmocka_unit_test(only_the_picked_entries_count),
        cmocka_unit_test(the_sink_takes_weight_and_gives_nothing),
        cmocka_unit_test(entries_pool_their_window_and_for_ratio_4_the_one_before),
        cmocka_unit_test(the_index_picks_the_largest_scores_and_the_lower_index_of_equals),
        cmocka_unit_test(the_index_never_picks_what_is_not_visible),
        cmocka_unit_test(the_index_agrees_with_a_sort),
        cmocka_unit_test(the_bias_chooses_and_does_not_weigh),
        cmocka_unit_test(a_hash_layer_takes_the_tables_experts_with_their_own_gates),
        cmocka_unit_test(routing_of_equals_and_of_nonsense_gives_different_experts),
        cmocka_unit_test(the_gate_has_no_lower_clamp_and_the_upper_ones_hold),
        cmocka_unit_test(fake_fp8_scales_each_group_by_a_power_of_two),
        cmocka_unit_test(fake_fp4_scales_each_32_by_a_power_of_two),
        cmocka_unit_test(the_hadamard_rotation_keeps_products_and_is_its_own_inverse),
        cmocka_unit_test(a_job_may_take_rows_from_the_middle_of_a_quantised_matrix),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
