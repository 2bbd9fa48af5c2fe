/* kernels.h - the four inner loops that vectors speed up. The plain ones are the reference and run anywhere. */
#ifndef TOLLGATE_ENGINE_CPU_KERNELS_H
#define TOLLGATE_ENGINE_CPU_KERNELS_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/weights.h"

/* Rows of a tile: as many independent sums as hide the latency of a multiply-add. */
#define TILE_ROWS 8
/* Columns decoded at a time: 8 rows of it are 16 KiB and stay in the first-level cache. A multiple of 128, so that
 * a block of FP8 scales never straddles two. */
#define TILE_COLS 512

/* In front of a loop over the rows of a tile: its sums must stay in registers, also at -O2. */
#if defined(__clang__)
#define UNROLL_ROWS _Pragma("unroll")
#else
#define UNROLL_ROWS _Pragma("GCC unroll 8")
#endif

struct kernels {
    const char *name;
    /* out[i] = w[row][from + i] for i < n; `from` is a multiple of 128. Exact. */
    void (*decode)(float *out, const struct weight *w, int row, int from, int n);
    /* y[t * y_stride + r] (+)= sum_k rows[r][k] * x[t * x_stride + k] for r < n_rows, t < n, k < cols. All eight
     * pointers are valid. The order of a sum depends on cols alone. */
    void (*dots)(float *y, size_t y_stride, const float *const rows[TILE_ROWS], int n_rows, const float *x,
                 size_t x_stride, int n, int cols, bool add);
    /* out[i] = sum_j p[j] * rows[j][i] for i < dim, j ascending. */
    void (*mix)(float *out, const float *const *rows, const float *p, int n, int dim);
    /* x[i] = exp(x[i]), to 2 units in the last place; below -87 it may be 0. */
    void (*exp)(float *x, int n);
};

extern const struct kernels kernels_plain;
/* NULL when the processor, or the compiler, has no such vectors. */
const struct kernels *kernels_avx2(void);
const struct kernels *kernels_avx512(void);

#endif
