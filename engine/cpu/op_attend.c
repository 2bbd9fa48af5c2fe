/* op_attend.c - attention over the window and the compressed entries, with a sink (v4-architecture section 4).
 *
 * One vector is key and value at once. The sink takes part in the sum of weights and has no value. */
#include <math.h>

#include "engine/cpu/cpu.h"
#include "engine/numbers.h"

struct attend_call {
    struct cpu_device *d;
    const struct attend_job *jobs;
    int n_jobs;
};

static int blocks_of(const struct attend_job *j)
{
    return (j->heads + TILE_ROWS - 1) / TILE_ROWS;
}

/* Pointers to all keys that the token at position begin + i may see; returns how many. */
static int gather(const struct attend_job *j, int i, const float **keys)
{
    const int t = j->begin + i, oldest = t - j->window + 1 > 0 ? t - j->window + 1 : 0;
    const size_t dim = (size_t)j->head_dim;
    int n = 0;

    for (int p = oldest; p <= t; p++)
        keys[n++] = p < j->begin ? j->ring + (size_t)(p % j->window) * dim : j->fresh + (size_t)(p - j->begin) * dim;
    if (j->entries && j->picked) {
        for (int e = 0; e < j->n_picked[i]; e++)
            keys[n++] = j->entries + (size_t)j->picked[(size_t)i * (size_t)j->pick_room + (size_t)e] * dim;
    } else if (j->entries) {
        for (int e = 0; e < (t + 1) / j->ratio; e++)
            keys[n++] = j->entries + (size_t)e * dim;
    }
    return n;
}

/* a[0..n-1] from scores to exp(score - max); returns their sum plus the sink's share. */
static float soften(const struct kernels *k, float *a, int n, float scale, float sink)
{
    float largest = -INFINITY, sum = 0;

    for (int i = 0; i < n; i++) {
        a[i] *= scale;
        largest = a[i] > largest ? a[i] : largest;
    }
    for (int i = 0; i < n; i++)
        a[i] -= largest;
    k->exp(a, n);
    for (int i = 0; i < n; i++)
        sum += a[i];
    return sum + expf(sink - largest);
}

/* Up to 8 heads of one token. */
static void attend_block(const struct cpu_device *d, const struct attend_job *j, int i, int first, struct cpu_scratch *s)
{
    const int heads = j->heads - first < TILE_ROWS ? j->heads - first : TILE_ROWS;
    const size_t dim = (size_t)j->head_dim, at = ((size_t)i * (size_t)j->heads + (size_t)first) * dim;
    const float scale = 1.f / sqrtf((float)j->head_dim);
    const int n = gather(j, i, s->rows);

    cpu_dots(d, s->scores, (size_t)n, s->rows, n, j->q + at, dim, heads, j->head_dim);
    for (int h = 0; h < heads; h++) {
        float *a = s->scores + (size_t)h * (size_t)n, *o = j->o + at + (size_t)h * dim;
        const float share = 1.f / soften(d->k, a, n, scale, j->sink[first + h]);

        if (j->round_p)
            for (int e = 0; e < n; e++)
                a[e] = round_bf16(a[e]);
        d->k->mix(o, s->rows, a, n, j->head_dim);
        for (size_t e = 0; e < dim; e++)
            o[e] *= share;
    }
}

/* Pieces are blocks of heads, token by token, of all jobs, counted through. */
static void attend_pieces(void *arg, int begin, int end, int thread)
{
    const struct attend_call *call = arg;
    int first = 0;

    for (int i = 0; i < call->n_jobs && first < end; i++) {
        const struct attend_job *j = &call->jobs[i];
        const int blocks = blocks_of(j), n = j->n * blocks;

        for (int p = begin > first ? begin - first : 0; p < n && first + p < end; p++)
            attend_block(call->d, j, p / blocks, p % blocks * TILE_ROWS, &call->d->scratch[thread]);
        first += n;
    }
}

void cpu_attend(struct device *d, const struct attend_job *jobs, int n_jobs)
{
    struct attend_call call = { cpu_of(d), jobs, n_jobs };
    int pieces = 0;

    for (int i = 0; i < n_jobs; i++)
        pieces += jobs[i].n * blocks_of(&jobs[i]);
    if (pieces)
        cpu_run(call.d, attend_pieces, &call, pieces,
                (size_t)2 * TILE_ROWS * (size_t)jobs[0].window * (size_t)jobs[0].head_dim);
}
