/* device.c - the CPU as a device: picks the kernels, starts the team, lays out the scratch memory. */
#include <stdlib.h>

#include "engine/cpu/cpu.h"

/* Fewer multiply-adds than this are done sooner than another thread is woken: about 4 us of one core. */
#define WORK_MIN (128u * 1024u)

static const struct ops cpu_ops = {
    .embed = cpu_embed,
    .hc_in = cpu_hc_in,
    .hc_out = cpu_hc_out,
    .hc_head = cpu_hc_head,
    .rmsnorm = cpu_rmsnorm,
    .head_norm = cpu_head_norm,
    .matmul = cpu_matmul,
    .rope = cpu_rope,
    .attend = cpu_attend,
    .compress = cpu_compress,
    .index = cpu_index,
    .route = cpu_route,
    .swiglu = cpu_swiglu,
    .round_bf16 = cpu_round_bf16,
    .fake_fp8 = cpu_fake_fp8,
    .fake_fp4 = cpu_fake_fp4,
    .hadamard = cpu_hadamard,
};

void cpu_run(struct cpu_device *d, team_fn fn, void *arg, int n, size_t work_per_piece)
{
    const size_t grain = WORK_MIN / (work_per_piece ? work_per_piece : 1) + 1;

    team_run(d->team, fn, arg, n, grain < (size_t)n ? (int)grain : n);
}

void cpu_dots(const struct cpu_device *d, float *y, size_t y_stride, const float *const *rows, int n_rows,
              const float *x, size_t x_stride, int n, int cols)
{
    for (int r = 0; r < n_rows; r += TILE_ROWS) {
        const int m = n_rows - r < TILE_ROWS ? n_rows - r : TILE_ROWS;
        const float *tile[TILE_ROWS];

        for (int i = 0; i < TILE_ROWS; i++)
            tile[i] = rows[r + (i < m ? i : 0)];
        d->k->dots(y + r, y_stride, tile, m, x, x_stride, n, cols, false);
    }
}

static void scratch_free(struct cpu_scratch *s)
{
    free(s->tile);
    free(s->scores);
    free(s->rows);
    free(s->heap);
    free(s->row);
}

static bool scratch_init(struct cpu_scratch *s, const struct cpu_device *d, const struct model_config *c)
{
    s->tile = calloc(TILE_ROWS * TILE_COLS, sizeof *s->tile);
    s->scores = calloc(d->score_room, sizeof *s->scores);
    s->rows = calloc((size_t)d->key_room + TILE_ROWS, sizeof *s->rows);
    s->heap = calloc((size_t)c->index_topk, sizeof *s->heap);
    s->row = calloc((size_t)d->row_room, sizeof *s->row);
    return s->tile && s->scores && s->rows && s->heap && s->row;
}

static void cpu_free(struct device *base)
{
    struct cpu_device *d = cpu_of(base);

    for (int i = 0; d->scratch && i < d->base.threads; i++)
        scratch_free(&d->scratch[i]);
    free(d->scratch);
    team_free(d->team);
    free(d);
}

static int most(int a, int b)
{
    return a > b ? a : b;
}

static void set_rooms(struct cpu_device *d, const struct model_config *c, int context)
{
    const int csa = context / RATIO_CSA, hca = context / RATIO_HCA;
    const int picked = c->index_topk < csa ? c->index_topk : csa;
    const size_t attention = (size_t)TILE_ROWS * (size_t)(c->window + most(picked, hca));

    d->key_room = c->window + most(picked, hca);
    d->score_room = attention > (size_t)csa + 1 ? attention : (size_t)csa + 1;
    d->row_room = most(most(c->expert_dim, c->n_experts), most(c->index_heads * TILE_ROWS, 3 * c->head_dim));
    d->row_room = most(d->row_room, 3 * c->index_dim);
}

static struct device *device_new(const struct kernels *k, const char *name, const struct model_config *c, int threads,
                                 int context)
{
    struct cpu_device *d = calloc(1, sizeof *d);
    bool ok = true;

    if (!d)
        return NULL;
    d->base = (struct device){ .ops = &cpu_ops, .name = name, .threads = threads, .free = cpu_free };
    d->k = k;
    set_rooms(d, c, context);
    d->team = team_new(threads);
    d->scratch = calloc((size_t)threads, sizeof *d->scratch);
    ok = d->team && d->scratch;
    for (int i = 0; ok && i < threads; i++)
        ok = scratch_init(&d->scratch[i], d, c);
    if (!ok) {
        cpu_free(&d->base);
        return NULL;
    }
    return &d->base;
}

struct device *cpu_device_new(const struct model_config *c, int threads, int context)
{
    if (kernels_avx512())
        return device_new(kernels_avx512(), "cpu avx512", c, threads, context);
    if (kernels_avx2())
        return device_new(kernels_avx2(), "cpu avx2", c, threads, context);
    return cpu_device_new_plain(c, threads, context);
}

struct device *cpu_device_new_plain(const struct model_config *c, int threads, int context)
{
    return device_new(&kernels_plain, "cpu plain", c, threads, context);
}
