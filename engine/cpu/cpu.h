/* cpu.h - what the operations of the CPU share: kernels, the team, a piece of scratch memory a thread. */
#ifndef TOLLGATE_ENGINE_CPU_CPU_H
#define TOLLGATE_ENGINE_CPU_CPU_H

#include "engine/cpu/kernels.h"
#include "engine/ops.h"
#include "engine/threads.h"

/* A thread's own memory; its contents do not outlive an operation. */
struct cpu_scratch {
    float *tile;                 /* [TILE_ROWS][TILE_COLS] decoded weights */
    float *scores;               /* [TILE_ROWS][keys] attention; [context / 4] index scores; [rows] of a softmax */
    const float **rows;          /* [keys + TILE_ROWS] */
    int32_t *heap;               /* [index_topk] */
    float *row;                  /* [row_room] one row of anything */
};

struct cpu_device {
    struct device base;          /* first: a struct device * is a struct cpu_device * */
    const struct kernels *k;
    struct team *team;
    struct cpu_scratch *scratch; /* [threads] */
    size_t score_room;           /* floats in `scores` */
    int key_room;                /* most keys that a token can attend to */
    int row_room;
};

static inline struct cpu_device *cpu_of(struct device *d)
{
    return (struct cpu_device *)d;
}

/* fn over 0..n-1 by all threads when the work (multiply-adds a piece) is worth waking them, else right here. */
void cpu_run(struct cpu_device *d, team_fn fn, void *arg, int n, size_t work_per_piece);

/* y[t][r] of one product by the calling thread: used where a matrix is small or its rows are pointers. */
void cpu_dots(const struct cpu_device *d, float *y, size_t y_stride, const float *const *rows, int n_rows,
              const float *x, size_t x_stride, int n, int cols);

void cpu_embed(struct device *d, float *h, const struct weight *w, const int32_t *ids, int n, int streams);
void cpu_hc_in(struct device *d, float *x, float *post, float *comb, const float *h, const struct model_hc *site,
               const struct model_config *c, int n);
void cpu_hc_out(struct device *d, float *h, const float *y, const float *post, const float *comb,
                const struct model_config *c, int n);
void cpu_hc_head(struct device *d, float *x, const float *h, const struct model_hc *site,
                 const struct model_config *c, int n);
void cpu_rmsnorm(struct device *d, float *out, const float *x, const float *w, int n, int dim, float eps);
void cpu_head_norm(struct device *d, float *x, int n, int dim, float eps, bool round);
void cpu_matmul(struct device *d, const struct matmul_job *jobs, int n_jobs);
void cpu_rope(struct device *d, float *x, const float *turn, int n, int heads, int dim, int rope_dim, float sign);
void cpu_attend(struct device *d, const struct attend_job *jobs, int n_jobs);
void cpu_compress(struct device *d, const struct compress_job *job);
void cpu_index(struct device *d, const struct index_job *job);
void cpu_route(struct device *d, int32_t *chosen, float *gates, const float *z, const int32_t *const *fixed,
               const float *bias, int n, int n_experts, int n_active, float scale);
void cpu_swiglu(struct device *d, float *a, const float *b, const float *g, int n, int dim, float limit);
void cpu_round_bf16(struct device *d, float *x, size_t n);
void cpu_fake_fp8(struct device *d, float *x, int n, int dim, size_t stride, int group);
void cpu_fake_fp4(struct device *d, float *x, int n, int dim);
void cpu_hadamard(struct device *d, float *x, int n, int dim);

#endif
