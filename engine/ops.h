/* ops.h - the list of operations: shapes, order of sums, rounding. One table of pointers, filled by a device.
 *
 * The forward pass (forward.c) is written in these and knows no device; cpu/op_*.c has the reference of each.
 * All activations are float32, row-major, last index fastest, [n] rows of tokens first. Sums are float32. What an
 * operation gives for a row depends on that row alone, never on n or on the number of threads: the same bits.
 * A device that is not the CPU is compared with it op by op; the tolerance is said where it is not "2e-6 of the
 * largest value in the row".
 *
 * Rounding of the published inference code (mode A) is not hidden in the operations but done by the quantisers at
 * the end of the list, where v4-architecture section 8 says, so that forward.c shows it. */
#ifndef TOLLGATE_ENGINE_OPS_H
#define TOLLGATE_ENGINE_OPS_H

#include "engine/model.h"

/* y[t][i] = sum_k w[first + i][k] * x[t][k] for i < rows, t < n. x and y do not overlap. */
struct matmul_job {
    const struct weight *w;
    int first, rows;             /* of w */
    const float *x;              /* [n], x_stride floats apart; w->cols are read */
    float *y;                    /* [n], y_stride floats apart */
    size_t x_stride, y_stride;
    int n;
};

/* Keys of one sequence in one layer, for the n tokens at positions begin..begin+n-1 of a step. A key is its own
 * value. Token t sees window positions max(0, t-W+1)..t and the compressed entries picked for it. */
struct attend_job {
    const float *q;              /* [n][H][dh], rotated */
    float *o;                    /* [n][H][dh] */
    const float *sink;           /* [H] */
    const float *ring;           /* [W][dh]: position p < begin is at p mod W */
    const float *fresh;          /* [n][dh]: position begin + i */
    const float *entries;        /* [..][dh] compressed; NULL where the layer has none */
    int ratio;                   /* 0, or of the entries */
    const int32_t *picked;       /* [n][pick_room] indices, ascending; NULL: all visible entries */
    const int32_t *n_picked;     /* [n] */
    int pick_room;
    int begin, n;
    int heads, head_dim, window;
    bool round_p;                /* weights exp(a - max) to bf16 before the product with the values (mode A) */
};

/* The compressor's recurrence (section 5) over n tokens at positions begin.. of one sequence. */
struct compress_job {
    const float *c, *z;          /* [n][width]; z without ape */
    const float *ape;            /* [ratio][width] */
    float *pending_c, *pending_z;                     /* [ratio][width] state: rows of the unfinished window, ape in z */
    float *previous_c, *previous_z;                   /* [ratio][d] state of ratio 4: A halves of the last window */
    float *entries;              /* [..][d]: entry j is written at j, before norm and rope */
    int ratio, d;                /* width = 2d for ratio 4, d for ratio 128 */
    int begin, n;
};

/* Indexer (section 6): for each token the entries of largest score among those visible at it. */
struct index_job {
    const float *q;              /* [n][Hi][di] */
    const float *weight;         /* [n][Hi], the factor 1/sqrt(Hi*di) included */
    const float *keys;           /* [..][di] */
    int32_t *picked;             /* [n][pick_room] out, ascending */
    int32_t *n_picked;           /* [n] out: min(top, visible) */
    int pick_room, top;
    int begin, n;
    int heads, dim;
    bool round_scores;           /* bf16 as the published code (mode A) */
};

struct device;

struct ops {
    /* h[t][m][d] = w[ids[t]][d] for m < M: M equal streams. */
    void (*embed)(struct device *d, float *h, const struct weight *w, const int32_t *ids, int n, int streams);

    /* Section 2. h [n][M][D] -> x [n][D], post [n][M], comb [n][M][M] (first index: source stream). */
    void (*hc_in)(struct device *d, float *x, float *post, float *comb, const float *h, const struct model_hc *site,
                  const struct model_config *c, int n);
    /* h[t][k] = post[k] y + sum_j comb[j][k] h[j], in place. */
    void (*hc_out)(struct device *d, float *h, const float *y, const float *post, const float *comb,
                   const struct model_config *c, int n);
    /* h [n][M][D] -> x [n][D]: sigmoid weights, no Sinkhorn. */
    void (*hc_head)(struct device *d, float *x, const float *h, const struct model_hc *site,
                    const struct model_config *c, int n);

    /* out = x / sqrt(mean(x^2) + eps) * w over each row; w NULL: no weight. out may be x. */
    void (*rmsnorm)(struct device *d, float *out, const float *x, const float *w, int n, int dim, float eps);

    /* x = x / sqrt(mean(x^2) + eps) over each head's row, in place. `round` (mode A): mean, factor and product each
     * rounded to bf16, as the published code's bf16 arithmetic does. */
    void (*head_norm)(struct device *d, float *x, int n, int dim, float eps, bool round);

    /* Independent products, any form of weight. */
    void (*matmul)(struct device *d, const struct matmul_job *jobs, int n_jobs);

    /* Rotates pairs (2i, 2i+1) of the last rope_dim of each of `heads` vectors of `dim` floats a row by the angle of
     * turn[t][i] = {cos, sin}; sign -1 turns back. */
    void (*rope)(struct device *d, float *x, const float *turn, int n, int heads, int dim, int rope_dim, float sign);

    void (*attend)(struct device *d, const struct attend_job *jobs, int n_jobs);
    void (*compress)(struct device *d, const struct compress_job *job);
    void (*index)(struct device *d, const struct index_job *job);

    /* Section 7. z [n][E] gate logits -> chosen [n][K], gates [n][K]. fixed [n] rows of tid2eid or NULL; bias [E] or
     * NULL only counts for choosing; ties go to the lower number; experts of a token in ascending order. */
    void (*route)(struct device *d, int32_t *chosen, float *gates, const float *z, const int32_t *const *fixed,
                  const float *bias, int n, int n_experts, int n_active, float scale);
    /* a[t] = g[t] * silu(min(a, limit)) * clamp(b, +-limit), in place; g NULL: 1. [n][dim] */
    void (*swiglu)(struct device *d, float *a, const float *b, const float *g, int n, int dim, float limit);

    /* Quantisers of mode A (section 8); bit equal on every device. `dim` floats a row, `stride` apart. */
    void (*round_bf16)(struct device *d, float *x, size_t n);
    void (*fake_fp8)(struct device *d, float *x, int n, int dim, size_t stride, int group);
    void (*fake_fp4)(struct device *d, float *x, int n, int dim);               /* groups of 32 */
    void (*hadamard)(struct device *d, float *x, int n, int dim);               /* Sylvester order, times dim^-0.5 */
};

/* A device owns its threads and scratch memory. */
struct device {
    const struct ops *ops;
    const char *name;            /* "cpu avx512" */
    int threads;
    void (*free)(struct device *d);
};

/* The CPU, with the widest vectors it has. `context` bounds begin + n of every job; NULL: no memory. */
struct device *cpu_device_new(const struct model_config *c, int threads, int context);
/* The same with plain loops in C only: the reference of the vector kernels. */
struct device *cpu_device_new_plain(const struct model_config *c, int threads, int context);

#endif
