/* op_matmul.c - products with stored weights: a tile of 8 rows is decoded once and meets all tokens.
 *
 * A sum is formed over blocks of TILE_COLS columns, in order; so it does not depend on how many tokens there are. */
#include <string.h>

#include "engine/cpu/cpu.h"
#include "engine/numbers.h"

struct matmul_call {
    struct cpu_device *d;
    const struct matmul_job *jobs;
    int n_jobs;
};

static int tiles_of(const struct matmul_job *j)
{
    return j->n > 0 ? (j->rows + TILE_ROWS - 1) / TILE_ROWS : 0;
}

/* Rows `row`.. (at most 8) of w, columns from..from+n-1, as floats: in place when they are stored so. */
static void tile_rows(const struct cpu_device *d, const struct weight *w, int row, int n_rows, int from, int n,
                      float *tile, const float *rows[TILE_ROWS])
{
    for (int r = 0; r < TILE_ROWS; r++) {
        if (r >= n_rows) {
            rows[r] = rows[0];
        } else if (w->form == WEIGHT_F32) {
            rows[r] = (const float *)w->data + (size_t)(row + r) * (size_t)w->cols + from;
        } else {
            d->k->decode(tile + r * TILE_COLS, w, row + r, from, n);
            rows[r] = tile + r * TILE_COLS;
        }
    }
}

static void do_tile(const struct cpu_device *d, const struct matmul_job *j, int tile, float *scratch)
{
    const int at = tile * TILE_ROWS, left = j->rows - at, n_rows = left < TILE_ROWS ? left : TILE_ROWS;
    const int cols = j->w->cols;
    const float *rows[TILE_ROWS];

    for (int k = 0; k < cols; k += TILE_COLS) {
        const int n = cols - k < TILE_COLS ? cols - k : TILE_COLS;

        tile_rows(d, j->w, j->first + at, n_rows, k, n, scratch, rows);
        d->k->dots(j->y + at, j->y_stride, rows, n_rows, j->x + k, j->x_stride, j->n, n, k > 0);
    }
}

/* Pieces are the tiles of all jobs, counted through. */
static void do_tiles(void *arg, int begin, int end, int thread)
{
    const struct matmul_call *call = arg;
    int first = 0;

    for (int i = 0; i < call->n_jobs && first < end; i++) {
        const struct matmul_job *j = &call->jobs[i];
        const int n = tiles_of(j);

        for (int tile = begin > first ? begin - first : 0; tile < n && first + tile < end; tile++)
            do_tile(call->d, j, tile, call->d->scratch[thread].tile);
        first += n;
    }
}

void cpu_matmul(struct device *base, const struct matmul_job *jobs, int n_jobs)
{
    struct matmul_call call = { cpu_of(base), jobs, n_jobs };
    size_t work = 0;
    int tiles = 0;

    for (int i = 0; i < n_jobs; i++) {
        tiles += tiles_of(&jobs[i]);
        work += (size_t)tiles_of(&jobs[i]) * TILE_ROWS * (size_t)jobs[i].w->cols * (size_t)jobs[i].n;
    }
    if (tiles)
        cpu_run(call.d, do_tiles, &call, tiles, work / (size_t)tiles);
}

void cpu_embed(struct device *base, float *h, const struct weight *w, const int32_t *ids, int n, int streams)
{
    const struct cpu_device *d = cpu_of(base);
    const size_t dim = (size_t)w->cols;

    for (int t = 0; t < n; t++) {
        float *first = h + (size_t)t * (size_t)streams * dim;

        for (int k = 0; k < w->cols; k += TILE_COLS)
            d->k->decode(first + k, w, ids[t], k, w->cols - k < TILE_COLS ? w->cols - k : TILE_COLS);
        for (int m = 1; m < streams; m++)
            memcpy(first + (size_t)m * dim, first, dim * sizeof *first);
    }
}
