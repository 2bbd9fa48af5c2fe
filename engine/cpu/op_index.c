/* op_index.c - the indexer: which compressed entries a token attends to (v4-architecture section 6).
 *
 * Among equal scores the lower index wins. A score that is not a number counts as the lowest. */
#include <math.h>

#include "engine/cpu/cpu.h"
#include "engine/numbers.h"

struct index_call {
    struct cpu_device *d;
    const struct index_job *job;
};

/* scores[j] = sum_h w[h] * max(0, <q[h], key j>) for j < n. */
static void score(const struct cpu_device *d, const struct index_job *j, int i, int n, struct cpu_scratch *s)
{
    const float *q = j->q + (size_t)i * (size_t)j->heads * (size_t)j->dim, *w = j->weight + (size_t)i * (size_t)j->heads;
    const float *rows[TILE_ROWS];
    float *dot = s->row;                 /* [heads][TILE_ROWS] */

    for (int at = 0; at < n; at += TILE_ROWS) {
        const int m = n - at < TILE_ROWS ? n - at : TILE_ROWS;

        for (int r = 0; r < TILE_ROWS; r++)
            rows[r] = j->keys + (size_t)(at + (r < m ? r : 0)) * (size_t)j->dim;
        d->k->dots(dot, TILE_ROWS, rows, m, q, (size_t)j->dim, j->heads, j->dim, false);
        for (int r = 0; r < m; r++) {
            float sum = 0;

            for (int h = 0; h < j->heads; h++) {
                float v = dot[h * TILE_ROWS + r];

                v = v > 0 ? v : 0;
                sum += j->round_scores ? round_bf16(w[h] * round_bf16(v)) : w[h] * v;
            }
            sum = j->round_scores ? round_bf16(sum) : sum;
            s->scores[at + r] = isnan(sum) ? -INFINITY : sum;
        }
    }
}

static bool worse(const float *scores, int32_t a, int32_t b)
{
    return scores[a] < scores[b] || (scores[a] == scores[b] && a > b);
}

/* A heap whose root is the worst of the `n` kept. */
static void sift_down(int32_t *heap, int n, const float *scores)
{
    int at = 0;

    for (;;) {
        int child = 2 * at + 1;
        int32_t moved;

        if (child >= n)
            return;
        if (child + 1 < n && worse(scores, heap[child + 1], heap[child]))
            child++;
        if (!worse(scores, heap[child], heap[at]))
            return;
        moved = heap[at];
        heap[at] = heap[child];
        heap[child] = moved;
        at = child;
    }
}

static void sift_up(int32_t *heap, int at, const float *scores)
{
    while (at > 0 && worse(scores, heap[at], heap[(at - 1) / 2])) {
        const int32_t moved = heap[at];

        heap[at] = heap[(at - 1) / 2];
        heap[(at - 1) / 2] = moved;
        at = (at - 1) / 2;
    }
}

/* The `top` best of n > top, ascending by index. */
static void pick(const float *scores, int n, int top, int32_t *heap, int32_t *out)
{
    int32_t last;
    int kept = 0;

    for (int32_t j = 0; j < n; j++) {
        if (j < top) {
            heap[j] = j;
            sift_up(heap, j, scores);
        } else if (worse(scores, heap[0], j)) {
            heap[0] = j;
            sift_down(heap, top, scores);
        }
    }
    last = heap[0];
    for (int32_t j = 0; j < n; j++)
        if (j == last || worse(scores, last, j))
            out[kept++] = j;
}

static void index_tokens(void *arg, int begin, int end, int thread)
{
    const struct index_call *call = arg;
    const struct index_job *j = call->job;
    struct cpu_scratch *s = &call->d->scratch[thread];

    for (int i = begin; i < end; i++) {
        const int visible = (j->begin + i + 1) / RATIO_CSA;
        int32_t *out = j->picked + (size_t)i * (size_t)j->pick_room;

        j->n_picked[i] = visible < j->top ? visible : j->top;
        if (visible <= j->top) {
            for (int32_t e = 0; e < visible; e++)
                out[e] = e;
            continue;
        }
        score(call->d, j, i, visible, s);
        pick(s->scores, visible, j->top, s->heap, out);
    }
}

void cpu_index(struct device *d, const struct index_job *job)
{
    struct index_call call = { cpu_of(d), job };
    const size_t keys = (size_t)(job->begin + job->n) / RATIO_CSA;

    cpu_run(call.d, index_tokens, &call, job->n, keys * (size_t)job->heads * (size_t)job->dim);
}
