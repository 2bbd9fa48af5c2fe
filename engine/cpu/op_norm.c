/* op_norm.c - root-mean-square norms and rotary embedding: one pass over each row. */
#include <math.h>

#include "engine/cpu/cpu.h"
#include "engine/numbers.h"

struct norm_call {
    float *out;
    const float *x, *w;
    int dim;
    float eps;
};

/* Sixteen partial sums: exact enough for long rows, and the compiler may keep them in a vector. */
static float sum_of_squares(const float *x, int dim)
{
    float part[16] = { 0 };
    float sum = 0;
    int i = 0;

    for (; i + 16 <= dim; i += 16)
        for (int j = 0; j < 16; j++)
            part[j] += x[i + j] * x[i + j];
    for (; i < dim; i++)
        part[i % 16] += x[i] * x[i];
    for (int j = 0; j < 16; j++)
        sum += part[j];
    return sum;
}

static void norm_rows(void *arg, int begin, int end, int thread)
{
    const struct norm_call *c = arg;

    (void)thread;
    for (int t = begin; t < end; t++) {
        const float *x = c->x + (size_t)t * (size_t)c->dim;
        float *out = c->out + (size_t)t * (size_t)c->dim;
        const float r = 1.f / sqrtf(sum_of_squares(x, c->dim) / (float)c->dim + c->eps);

        if (c->w)
            for (int i = 0; i < c->dim; i++)
                out[i] = c->w[i] * (x[i] * r);
        else
            for (int i = 0; i < c->dim; i++)
                out[i] = x[i] * r;
    }
}

void cpu_rmsnorm(struct device *d, float *out, const float *x, const float *w, int n, int dim, float eps)
{
    struct norm_call c = { out, x, w, dim, eps };

    cpu_run(cpu_of(d), norm_rows, &c, n, (size_t)dim * 2);
}

void cpu_head_norm(struct device *d, float *x, int n, int dim, float eps, bool round)
{
    if (!round) {
        cpu_rmsnorm(d, x, x, NULL, n, dim, eps);
        return;
    }
    for (int t = 0; t < n; t++, x += dim) {
        const float mean = round_bf16(sum_of_squares(x, dim) / (float)dim);
        const float r = round_bf16(1.f / sqrtf(round_bf16(mean + eps)));

        for (int i = 0; i < dim; i++)
            x[i] = round_bf16(x[i] * r);
    }
}

void cpu_rope(struct device *d, float *x, const float *turn, int n, int heads, int dim, int rope_dim, float sign)
{
    (void)d;
    for (int t = 0; t < n; t++) {
        const float *a = turn + (size_t)t * (size_t)rope_dim;

        for (int h = 0; h < heads; h++) {
            float *v = x + ((size_t)t * (size_t)heads + (size_t)h) * (size_t)dim + (dim - rope_dim);

            for (int i = 0; i < rope_dim; i += 2) {
                const float cosine = a[i], sine = sign * a[i + 1], p = v[i], q = v[i + 1];

                v[i] = p * cosine - q * sine;
                v[i + 1] = p * sine + q * cosine;
            }
        }
    }
}
