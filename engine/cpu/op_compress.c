/* op_compress.c - the compressor's recurrence (v4-architecture section 5).
 *
 * Rows of the unfinished window wait in `pending`; when its last token comes, each channel is pooled over the
 * window by a softmax of its gate logits. Ratio 4 pools 8 rows: the A halves (first d channels) of the window
 * before and the B halves (last d) of this one. */
#include <math.h>
#include <string.h>

#include "engine/cpu/cpu.h"

#define POOL_MAX RATIO_HCA

/* out[e] = sum_i softmax_i(z[i][e]) c[i][e]; tmp has room for 3d floats. */
static void pool(const struct kernels *k, float *out, const float *const *c, const float *const *z, int n, int d,
                 float *tmp)
{
    float *largest = tmp, *sum = tmp + d, *weight = tmp + 2 * d;

    memcpy(largest, z[0], (size_t)d * sizeof *largest);
    for (int i = 1; i < n; i++)
        for (int e = 0; e < d; e++)
            largest[e] = z[i][e] > largest[e] ? z[i][e] : largest[e];
    for (int e = 0; e < d; e++)
        sum[e] = out[e] = 0;
    for (int i = 0; i < n; i++) {
        for (int e = 0; e < d; e++)
            weight[e] = z[i][e] - largest[e];
        k->exp(weight, d);
        for (int e = 0; e < d; e++) {
            sum[e] += weight[e];
            out[e] += weight[e] * c[i][e];
        }
    }
    for (int e = 0; e < d; e++)
        out[e] /= sum[e];
}

static void emit(struct cpu_device *dev, const struct compress_job *j, int entry)
{
    const size_t d = (size_t)j->d, width = j->ratio == RATIO_CSA ? 2 * d : d, skip = width - d;
    const float *c[POOL_MAX], *z[POOL_MAX];
    int n = 0;

    if (j->ratio == RATIO_CSA) {
        for (size_t i = 0; i < RATIO_CSA; i++) {
            c[n] = j->previous_c + i * d;
            z[n++] = j->previous_z + i * d;
        }
    }
    for (size_t i = 0; i < (size_t)j->ratio; i++) {
        c[n] = j->pending_c + i * width + skip;
        z[n++] = j->pending_z + i * width + skip;
    }
    pool(dev->k, j->entries + (size_t)entry * d, c, z, n, j->d, dev->scratch[0].row);
}

static void keep_a_halves(const struct compress_job *j)
{
    const size_t d = (size_t)j->d;

    for (size_t i = 0; i < RATIO_CSA; i++) {
        memcpy(j->previous_c + i * d, j->pending_c + i * 2 * d, d * sizeof(float));
        memcpy(j->previous_z + i * d, j->pending_z + i * 2 * d, d * sizeof(float));
    }
}

void cpu_compress(struct device *base, const struct compress_job *j)
{
    const size_t width = (size_t)(j->ratio == RATIO_CSA ? 2 * j->d : j->d);

    for (int i = 0; i < j->n; i++) {
        const int t = j->begin + i, slot = t % j->ratio;
        const size_t from = (size_t)i * width, to = (size_t)slot * width;

        memcpy(j->pending_c + to, j->c + from, width * sizeof(float));
        for (size_t e = 0; e < width; e++)
            j->pending_z[to + e] = j->z[from + e] + j->ape[to + e];
        if (slot != j->ratio - 1)
            continue;
        emit(cpu_of(base), j, t / j->ratio);
        if (j->ratio == RATIO_CSA)
            keep_a_halves(j);
    }
}
