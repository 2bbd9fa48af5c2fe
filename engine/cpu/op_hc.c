/* op_hc.c - hyper-connections (v4-architecture section 2): M streams in, one vector out, and back again.
 *
 * The mixing matrix has the SOURCE stream first: comb[j][k] takes stream j into stream k. */
#include <math.h>

#include "engine/cpu/cpu.h"

#define MIXES_MAX ((2 + MODEL_STREAMS_MAX) * MODEL_STREAMS_MAX)

struct hc_call {
    struct cpu_device *d;
    const struct model_config *c;
    const struct model_hc *site;
    const float *h;          /* [n][M][D] */
    float *x;                /* [n][D] */
    float *post, *comb;
    const float *y, *post_in, *comb_in;
    float *h_out;
};

static float sigmoid(float v)
{
    return 1.f / (1.f + expf(-v));
}

/* z[i] = (fn . f)[i] / sqrt(mean(f^2) + eps) over the flat streams f [M*D]. */
static void mixes(const struct hc_call *call, float *z, const float *f, int n, int thread)
{
    const struct model_config *c = call->c;
    const int cols = c->streams * c->dim;
    float *tile = call->d->scratch[thread].tile;
    float squares = 0, r;

    for (int from = 0; from < cols; from += TILE_COLS) {
        const int width = cols - from < TILE_COLS ? cols - from : TILE_COLS;
        const float *self[TILE_ROWS];
        float part;

        for (int i = 0; i < TILE_ROWS; i++)
            self[i] = f + from;
        call->d->k->dots(&part, 1, self, 1, f + from, 0, 1, width, false);
        squares += part;
        for (int row = 0; row < n; row += TILE_ROWS) {
            const int m = n - row < TILE_ROWS ? n - row : TILE_ROWS;
            const struct weight *w = &call->site->fn;
            const float *rows[TILE_ROWS];

            for (int i = 0; i < TILE_ROWS; i++) {
                rows[i] = w->form == WEIGHT_F32 ? (const float *)w->data + (size_t)(row + (i < m ? i : 0)) * (size_t)cols + from
                                                : tile + (i < m ? i : 0) * TILE_COLS;
                if (w->form != WEIGHT_F32 && i < m)
                    call->d->k->decode(tile + i * TILE_COLS, w, row + i, from, width);
            }
            call->d->k->dots(z + row, 0, rows, m, f + from, 0, 1, width, from > 0);
        }
    }
    r = 1.f / sqrtf(squares / (float)cols + c->norm_eps);
    for (int i = 0; i < n; i++)
        z[i] *= r;
}

static void divide_rows(float *a, int m, float eps)
{
    for (int j = 0; j < m; j++) {
        float sum = 0;

        for (int k = 0; k < m; k++)
            sum += a[j * m + k];
        for (int k = 0; k < m; k++)
            a[j * m + k] /= sum + eps;
    }
}

static void divide_columns(float *a, int m, float eps)
{
    for (int k = 0; k < m; k++) {
        float sum = 0;

        for (int j = 0; j < m; j++)
            sum += a[j * m + k];
        for (int j = 0; j < m; j++)
            a[j * m + k] /= sum + eps;
    }
}

/* Softmax over each row plus eps, columns, then rows and columns iters - 1 times: ends on columns. */
static void sinkhorn(float *a, int m, int iters, float eps)
{
    for (int j = 0; j < m; j++) {
        float *row = a + j * m;
        float largest = row[0], sum = 0;

        for (int k = 1; k < m; k++)
            largest = row[k] > largest ? row[k] : largest;
        for (int k = 0; k < m; k++) {
            row[k] = expf(row[k] - largest);
            sum += row[k];
        }
        for (int k = 0; k < m; k++)
            row[k] = row[k] / sum + eps;
    }
    divide_columns(a, m, eps);
    for (int i = 1; i < iters; i++) {
        divide_rows(a, m, eps);
        divide_columns(a, m, eps);
    }
}

/* x[d] = sum_i weight[i] h[i][d] */
static void collapse(const struct hc_call *call, float *x, const float *h, const float *weight)
{
    const float *rows[MODEL_STREAMS_MAX];

    for (int i = 0; i < call->c->streams; i++)
        rows[i] = h + (size_t)i * (size_t)call->c->dim;
    call->d->k->mix(x, rows, weight, call->c->streams, call->c->dim);
}

static void in_rows(void *arg, int begin, int end, int thread)
{
    const struct hc_call *call = arg;
    const struct model_config *c = call->c;
    const int m = c->streams;
    const float *scale = call->site->scale, *base = call->site->base;
    float z[MIXES_MAX], pre[MODEL_STREAMS_MAX];

    for (int t = begin; t < end; t++) {
        const float *h = call->h + (size_t)t * (size_t)m * (size_t)c->dim;
        float *comb = call->comb + (size_t)(t * m * m);

        mixes(call, z, h, (2 + m) * m, thread);
        for (int i = 0; i < m; i++) {
            pre[i] = sigmoid(z[i] * scale[0] + base[i]) + c->hc_eps;
            call->post[t * m + i] = 2.f * sigmoid(z[m + i] * scale[1] + base[m + i]);
        }
        for (int i = 0; i < m * m; i++)
            comb[i] = z[2 * m + i] * scale[2] + base[2 * m + i];
        sinkhorn(comb, m, c->sinkhorn_iters, c->hc_eps);
        collapse(call, call->x + (size_t)t * (size_t)c->dim, h, pre);
    }
}

void cpu_hc_in(struct device *d, float *x, float *post, float *comb, const float *h, const struct model_hc *site,
               const struct model_config *c, int n)
{
    struct hc_call call = { .d = cpu_of(d), .c = c, .site = site, .h = h, .x = x, .post = post, .comb = comb };

    cpu_run(call.d, in_rows, &call, n, (size_t)((2 + c->streams) * c->streams * c->streams) * (size_t)c->dim);
}

static void head_rows(void *arg, int begin, int end, int thread)
{
    const struct hc_call *call = arg;
    const struct model_config *c = call->c;
    float z[MODEL_STREAMS_MAX];

    for (int t = begin; t < end; t++) {
        const float *h = call->h + (size_t)t * (size_t)c->streams * (size_t)c->dim;

        mixes(call, z, h, c->streams, thread);
        for (int i = 0; i < c->streams; i++)
            z[i] = sigmoid(z[i] * call->site->scale[0] + call->site->base[i]) + c->hc_eps;
        collapse(call, call->x + (size_t)t * (size_t)c->dim, h, z);
    }
}

void cpu_hc_head(struct device *d, float *x, const float *h, const struct model_hc *site, const struct model_config *c,
                 int n)
{
    struct hc_call call = { .d = cpu_of(d), .c = c, .site = site, .h = h, .x = x };

    cpu_run(call.d, head_rows, &call, n, (size_t)(c->streams * c->streams) * (size_t)c->dim);
}

/* For each channel all destinations are formed from the old streams before any is written. */
static void out_rows(void *arg, int begin, int end, int thread)
{
    const struct hc_call *call = arg;
    const size_t m = (size_t)call->c->streams, dim = (size_t)call->c->dim;

    (void)thread;
    for (int t = begin; t < end; t++) {
        float *h = call->h_out + (size_t)t * m * dim;
        const float *y = call->y + (size_t)t * dim;
        const float *post = call->post_in + (size_t)t * m, *comb = call->comb_in + (size_t)t * m * m;

        for (size_t i = 0; i < dim; i++) {
            float old[MODEL_STREAMS_MAX];

            for (size_t j = 0; j < m; j++)
                old[j] = h[j * dim + i];
            for (size_t k = 0; k < m; k++) {
                float sum = post[k] * y[i];

                for (size_t j = 0; j < m; j++)
                    sum += comb[j * m + k] * old[j];
                h[k * dim + i] = sum;
            }
        }
    }
}

void cpu_hc_out(struct device *d, float *h, const float *y, const float *post, const float *comb,
                const struct model_config *c, int n)
{
    struct hc_call call = { .d = cpu_of(d), .c = c, .h_out = h, .y = y, .post_in = post, .comb_in = comb };

    cpu_run(call.d, out_rows, &call, n, (size_t)(c->streams * (c->streams + 1)) * (size_t)c->dim);
}
