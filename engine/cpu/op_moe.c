/* op_moe.c - which experts take a token and with what weight, and the experts' non-linearity (section 7). */
#include <math.h>

#include "engine/cpu/cpu.h"

/* sqrt(log(1 + e^z)); log1p keeps the small ones, and beyond 20 the 1 does not count. */
static float affinity(float z)
{
    return sqrtf(z > 20 ? z : log1pf(expf(z)));
}

/* The n_active largest of p + bias into chosen, best first; among equals the lower number. Always n_active different
 * numbers, also when values are not numbers. */
static void choose(int32_t *chosen, const float *p, const float *bias, int n_experts, int n_active)
{
    int kept = 0;

    for (int32_t e = 0; e < n_experts; e++) {
        const float v = p[e] + bias[e];
        int at = kept;

        while (at > 0 && v > p[chosen[at - 1]] + bias[chosen[at - 1]])
            at--;
        if (at == n_active)
            continue;
        for (int i = kept < n_active ? kept++ : n_active - 1; i > at; i--)
            chosen[i] = chosen[i - 1];
        chosen[at] = e;
    }
}

static void sort_ascending(int32_t *v, int n)
{
    for (int i = 1; i < n; i++) {
        const int32_t x = v[i];
        int at = i;

        for (; at > 0 && v[at - 1] > x; at--)
            v[at] = v[at - 1];
        v[at] = x;
    }
}

void cpu_route(struct device *d, int32_t *chosen, float *gates, const float *z, const int32_t *const *fixed,
               const float *bias, int n, int n_experts, int n_active, float scale)
{
    float *p = cpu_of(d)->scratch[0].row;

    for (int t = 0; t < n; t++, chosen += n_active, gates += n_active, z += n_experts) {
        float sum = 0;

        for (int e = 0; e < n_experts; e++)
            p[e] = affinity(z[e]);
        if (fixed)
            for (int i = 0; i < n_active; i++)
                chosen[i] = fixed[t][i];
        else
            choose(chosen, p, bias, n_experts, n_active);
        sort_ascending(chosen, n_active);
        for (int i = 0; i < n_active; i++)
            sum += p[chosen[i]];
        for (int i = 0; i < n_active; i++)
            gates[i] = scale * p[chosen[i]] / (sum > 0 ? sum : 1);    /* all 0 only when every z is below -200 */
    }
}

struct swiglu_call {
    struct cpu_device *d;
    float *a;
    const float *b, *g;
    int dim;
    float limit;
};

static void swiglu_rows(void *arg, int begin, int end, int thread)
{
    const struct swiglu_call *c = arg;
    float *e = c->d->scratch[thread].row;

    for (int t = begin; t < end; t++) {
        float *a = c->a + (size_t)t * (size_t)c->dim;
        const float *b = c->b + (size_t)t * (size_t)c->dim;
        const float g = c->g ? c->g[t] : 1;

        for (int i = 0; i < c->dim; i++) {
            a[i] = a[i] > c->limit ? c->limit : a[i];    /* the gate has no lower clamp */
            e[i] = -a[i];
        }
        c->d->k->exp(e, c->dim);
        for (int i = 0; i < c->dim; i++) {
            const float up = b[i] > c->limit ? c->limit : b[i] < -c->limit ? -c->limit : b[i];

            a[i] = g * (a[i] / (1 + e[i])) * up;
        }
    }
}

void cpu_swiglu(struct device *d, float *a, const float *b, const float *g, int n, int dim, float limit)
{
    struct swiglu_call c = { cpu_of(d), a, b, g, dim, limit };

    cpu_run(c.d, swiglu_rows, &c, n, (size_t)dim * 8);
}
