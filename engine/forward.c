/* forward.c - the architecture, top to bottom (v4-architecture sections 1 to 7), over a batch of rows.
 *
 * A step has n rows: the next tokens of some sequences, one after the other. Products with weights take all rows at
 * once; compressors, indexer and attention take each sequence's rows apart. Rows of one sequence stand in order, and
 * all its new keys are made before any row attends, so a prompt in one piece, in chunks and token by token give the
 * same numbers. Lines under `if (s->published)` are the roundings of section 8. */
#include "engine/forward.h"

#include <math.h>
#include <string.h>

#include "engine/numbers.h"
#include "engine/rope.h"
#include "engine/state.h"

struct step {
    struct engine *e;
    const struct ops *op;
    struct device *d;
    const struct model_config *c;
    struct workspace *w;
    bool published;
    const struct part *parts;          /* [n_parts] the rows of each sequence */
    int n_parts, n;
};

/* ---- helpers: products and roundings ---- */

static struct matmul_job job(const struct weight *w, const float *x, float *y, int n)
{
    return (struct matmul_job){ .w = w, .rows = w->rows, .x = x, .y = y, .x_stride = (size_t)w->cols,
                                .y_stride = (size_t)w->rows, .n = n };
}

static void round_rows(const struct step *s, float *x, int n, size_t dim)
{
    if (s->published)
        s->op->round_bf16(s->d, x, (size_t)n * dim);
}

/* What a product with quantised weights reads: in published mode x rounded to FP8 in groups of 128, else x. */
static const float *activation(const struct step *s, const float *x, const struct weight *w, int n)
{
    float *q = s->w->quantised;

    if (!s->published || (w->form != WEIGHT_FP8 && w->form != WEIGHT_FP4))
        return x;
    memcpy(q, x, (size_t)n * (size_t)w->cols * sizeof *q);
    s->op->fake_fp8(s->d, q, n, w->cols, (size_t)w->cols, 128);
    return q;
}

/* In place, for buffers that nothing else reads. */
static void quantise(const struct step *s, float *x, const struct weight *w, int n)
{
    if (s->published && (w->form == WEIGHT_FP8 || w->form == WEIGHT_FP4))
        s->op->fake_fp8(s->d, x, n, w->cols, (size_t)w->cols, 128);
}

/* Channels in front of the rotated ones, in groups of 64: keys are stored so. */
static void quantise_keys(const struct step *s, float *kv, int n)
{
    if (s->published)
        s->op->fake_fp8(s->d, kv, n, s->c->head_dim - s->c->rope_dim, (size_t)s->c->head_dim, 64);
}

static void norm_rows(const struct step *s, float *out, const float *x, const float *w, int n, int dim)
{
    s->op->rmsnorm(s->d, out, x, w, n, dim, s->c->norm_eps);
    round_rows(s, out, n, (size_t)dim);
}

/* ---- section 5: compressors ---- */

/* New entries of one sequence: pooled, normed, turned to the position of their window's first token. */
static void compress_part(const struct step *s, const struct part *p, const struct model_compressor *k,
                          struct compressor_state *state, float *entries, const float *c, const float *z, int ratio,
                          int d)
{
    const size_t width = (size_t)(ratio == RATIO_CSA ? 2 * d : d), from = (size_t)p->first * width;
    const struct compress_job job = {
        .c = c + from, .z = z + from, .ape = k->ape, .pending_c = state->pending_c, .pending_z = state->pending_z,
        .previous_c = state->previous_c, .previous_z = state->previous_z, .entries = entries, .ratio = ratio, .d = d,
        .begin = p->begin, .n = p->n,
    };
    const int old = p->begin / ratio, n = (p->begin + p->n) / ratio - old, dr = s->c->rope_dim;
    float *fresh = entries + (size_t)old * (size_t)d;

    s->op->compress(s->d, &job);
    if (!n)
        return;
    round_rows(s, fresh, n, (size_t)d);
    norm_rows(s, fresh, fresh, k->norm, n, d);
    for (int i = 0; i < n; i++)
        rope_turns(s->w->entry_turn + (size_t)i * (size_t)dr, s->e->freq[1], dr, (old + i) * ratio);
    s->op->rope(s->d, fresh, s->w->entry_turn, n, 1, d, dr, 1);
    round_rows(s, fresh, n, (size_t)d);
}

static void compress_main(const struct step *s, const struct model_layer *y, int layer)
{
    for (int i = 0; i < s->n_parts; i++) {
        const struct part *p = &s->parts[i];
        struct layer_state *state = &p->seq->layers[layer];
        const int old = p->begin / y->ratio, n = (p->begin + p->n) / y->ratio - old;

        compress_part(s, p, &y->compressor, &state->main, state->entries, s->w->c, s->w->z, y->ratio, s->c->head_dim);
        quantise_keys(s, state->entries + (size_t)old * (size_t)s->c->head_dim, n);
    }
}

/* ---- section 6: indexer ---- */

/* The rotation cancels in the products: it only matters to what FP4 rounds. */
static void quantise_index(const struct step *s, float *x, int n)
{
    if (!s->published)
        return;
    s->op->hadamard(s->d, x, n, s->c->index_dim);
    round_rows(s, x, n, (size_t)s->c->index_dim);
    s->op->fake_fp4(s->d, x, n, s->c->index_dim);
}

static void index_rows(const struct step *s, const struct model_layer *y, int layer)
{
    const struct model_config *c = s->c;
    const struct workspace *w = s->w;
    const float factor = 1.f / sqrtf((float)(c->index_heads * c->index_dim));

    s->op->rope(s->d, w->iq, w->turn[1], s->n, c->index_heads, c->index_dim, c->rope_dim, 1);
    round_rows(s, w->iq, s->n, (size_t)(c->index_heads * c->index_dim));
    quantise_index(s, w->iq, s->n * c->index_heads);
    round_rows(s, w->iw, s->n, (size_t)c->index_heads);
    for (int i = 0; i < s->n * c->index_heads; i++)
        w->iw[i] *= factor;
    round_rows(s, w->iw, s->n, (size_t)c->index_heads);
    for (int i = 0; i < s->n_parts; i++) {
        const struct part *p = &s->parts[i];
        struct layer_state *state = &p->seq->layers[layer];
        const size_t first = (size_t)p->first, old = (size_t)(p->begin / RATIO_CSA);
        const struct index_job job = {
            .q = w->iq + first * (size_t)(c->index_heads * c->index_dim),
            .weight = w->iw + first * (size_t)c->index_heads,
            .keys = state->index_keys, .picked = w->picked + first * (size_t)w->pick_room,
            .n_picked = w->n_picked + first, .pick_room = w->pick_room, .top = c->index_topk, .begin = p->begin,
            .n = p->n, .heads = c->index_heads, .dim = c->index_dim, .round_scores = s->published,
        };

        compress_part(s, p, &y->index_compressor, &state->index, state->index_keys, w->ic, w->iz, RATIO_CSA,
                      c->index_dim);
        quantise_index(s, state->index_keys + old * (size_t)c->index_dim, (p->begin + p->n) / RATIO_CSA - (int)old);
        s->op->index(s->d, &job);
    }
}

/* ---- section 4: attention ---- */

/* All products of the layer's input: low-rank query, key, and the rows of the compressors. */
static void project_input(const struct step *s, const struct model_layer *y, const float *x)
{
    const struct workspace *w = s->w;
    struct matmul_job *j = w->jobs;

    *j++ = job(&y->wq_a, activation(s, x, &y->wq_a, s->n), w->qa, s->n);
    *j++ = job(&y->wkv, y->wkv.form == y->wq_a.form ? w->jobs[0].x : activation(s, x, &y->wkv, s->n), w->kv, s->n);
    if (y->ratio) {
        *j++ = job(&y->compressor.wkv, x, w->c, s->n);
        *j++ = job(&y->compressor.wgate, x, w->z, s->n);
    }
    if (y->ratio == RATIO_CSA) {
        *j++ = job(&y->index_compressor.wkv, x, w->ic, s->n);
        *j++ = job(&y->index_compressor.wgate, x, w->iz, s->n);
        *j++ = job(&y->index_proj, x, w->iw, s->n);
    }
    s->op->matmul(s->d, w->jobs, (int)(j - w->jobs));
    round_rows(s, w->qa, s->n, (size_t)s->c->q_rank);
    round_rows(s, w->kv, s->n, (size_t)s->c->head_dim);
    norm_rows(s, w->qa, w->qa, y->q_norm, s->n, s->c->q_rank);
    norm_rows(s, w->kv, w->kv, y->kv_norm, s->n, s->c->head_dim);
}

/* Queries of all heads, and the indexer's, from the low-rank query. */
static void project_queries(const struct step *s, const struct model_layer *y)
{
    const struct workspace *w = s->w;
    const struct model_config *c = s->c;
    const float *in = activation(s, w->qa, &y->wq_b, s->n);

    w->jobs[0] = job(&y->wq_b, in, w->q, s->n);
    if (y->ratio == RATIO_CSA)
        w->jobs[1] = job(&y->index_wq_b, y->index_wq_b.form == y->wq_b.form ? in
                                                      : activation(s, w->qa, &y->index_wq_b, s->n), w->iq, s->n);
    s->op->matmul(s->d, w->jobs, y->ratio == RATIO_CSA ? 2 : 1);
    round_rows(s, w->q, s->n, (size_t)(c->n_heads * c->head_dim));
    if (y->ratio == RATIO_CSA)
        round_rows(s, w->iq, s->n, (size_t)(c->index_heads * c->index_dim));
    s->op->head_norm(s->d, w->q, s->n * c->n_heads, c->head_dim, c->norm_eps, s->published);
}

static void attend_parts(const struct step *s, const struct model_layer *y, int layer)
{
    const struct workspace *w = s->w;
    const struct model_config *c = s->c;
    const size_t heads = (size_t)(c->n_heads * c->head_dim);

    for (int i = 0; i < s->n_parts; i++) {
        const struct part *p = &s->parts[i];
        const struct layer_state *state = &p->seq->layers[layer];
        const size_t first = (size_t)p->first;

        w->attend[i] = (struct attend_job){
            .q = w->q + first * heads, .o = w->o + first * heads, .sink = y->sink, .ring = state->ring,
            .fresh = w->kv + first * (size_t)c->head_dim, .entries = state->entries, .ratio = y->ratio,
            .picked = y->ratio == RATIO_CSA ? w->picked + first * (size_t)w->pick_room : NULL,
            .n_picked = w->n_picked + first, .pick_room = w->pick_room, .begin = p->begin, .n = p->n,
            .heads = c->n_heads, .head_dim = c->head_dim, .window = c->window, .round_p = s->published,
        };
    }
    s->op->attend(s->d, w->attend, s->n_parts);
}

/* The last W keys go where the next step looks for them. */
static void keep_keys(const struct step *s, int layer)
{
    const size_t dim = (size_t)s->c->head_dim;

    for (int i = 0; i < s->n_parts; i++) {
        const struct part *p = &s->parts[i];
        float *ring = p->seq->layers[layer].ring;

        for (int r = p->n > s->c->window ? p->n - s->c->window : 0; r < p->n; r++)
            memcpy(ring + (size_t)((p->begin + r) % s->c->window) * dim, s->w->kv + (size_t)(p->first + r) * dim,
                   dim * sizeof *ring);
    }
}

/* Each group of heads has its own rows of wo_a; wo_b joins the groups. */
static void project_output(const struct step *s, const struct model_layer *y, float *out)
{
    const struct workspace *w = s->w;
    const struct model_config *c = s->c;
    const size_t wide = (size_t)(c->n_heads * c->head_dim), low = (size_t)(c->o_groups * c->o_rank);

    for (int g = 0; g < c->o_groups; g++)
        w->jobs[g] = (struct matmul_job){ .w = &y->wo_a, .first = g * c->o_rank, .rows = c->o_rank,
                                          .x = w->o + (size_t)g * (size_t)y->wo_a.cols, .x_stride = wide,
                                          .y = w->u + (size_t)g * (size_t)c->o_rank, .y_stride = low, .n = s->n };
    s->op->matmul(s->d, w->jobs, c->o_groups);
    round_rows(s, w->u, s->n, low);
    w->jobs[0] = job(&y->wo_b, activation(s, w->u, &y->wo_b, s->n), out, s->n);
    s->op->matmul(s->d, w->jobs, 1);
    round_rows(s, out, s->n, (size_t)c->dim);
}

static void attention(const struct step *s, int layer, const float *x, float *out)
{
    const struct model_layer *y = model_layer(s->e->model, layer);
    const struct model_config *c = s->c;
    const struct workspace *w = s->w;
    const float *turn = w->turn[y->ratio != RATIO_WINDOW];
    const size_t wide = (size_t)(c->n_heads * c->head_dim);

    project_input(s, y, x);
    project_queries(s, y);
    s->op->rope(s->d, w->q, turn, s->n, c->n_heads, c->head_dim, c->rope_dim, 1);
    s->op->rope(s->d, w->kv, turn, s->n, 1, c->head_dim, c->rope_dim, 1);
    round_rows(s, w->q, s->n, wide);
    round_rows(s, w->kv, s->n, (size_t)c->head_dim);
    quantise_keys(s, w->kv, s->n);
    if (y->ratio)
        compress_main(s, y, layer);
    if (y->ratio == RATIO_CSA)
        index_rows(s, y, layer);
    attend_parts(s, y, layer);
    keep_keys(s, layer);
    round_rows(s, w->o, s->n, wide);
    s->op->rope(s->d, w->o, turn, s->n, c->n_heads, c->head_dim, c->rope_dim, -1);    /* values carry their own turn */
    round_rows(s, w->o, s->n, wide);
    project_output(s, y, out);
}

/* ---- section 7: experts ---- */

static void route_rows(const struct step *s, const struct model_layer *y, const float *x)
{
    const struct workspace *w = s->w;
    const struct model_config *c = s->c;

    w->jobs[0] = job(&y->gate, x, w->gate_z, s->n);
    s->op->matmul(s->d, w->jobs, 1);
    for (int t = 0; y->tid2eid && t < s->n; t++)
        w->fixed[t] = y->tid2eid + (size_t)w->ids[t] * (size_t)c->n_active;
    s->op->route(s->d, w->chosen, w->gates, w->gate_z, y->tid2eid ? w->fixed : NULL, y->gate_bias, s->n, c->n_experts,
                 c->n_active, c->route_scale);
}

/* Rows of the experts' buffers: those of expert 0, of expert 1, ..., then all tokens once more for the shared one. */
static void group_by_expert(const struct step *s, const float *x)
{
    const struct workspace *w = s->w;
    const struct model_config *c = s->c;
    const int pairs = s->n * c->n_active;
    const size_t dim = (size_t)c->dim;
    int *next = w->expert_rows + 1;      /* shifted by one: when all are placed, [e] is the first row of e */

    memset(w->expert_rows, 0, ((size_t)c->n_experts + 2) * sizeof *w->expert_rows);
    for (int i = 0; i < pairs; i++)
        next[w->chosen[i] + 1]++;
    for (int e = 0; e < c->n_experts; e++)
        next[e + 1] += next[e];
    for (int i = 0; i < pairs; i++) {
        const int row = next[w->chosen[i]]++;

        w->slot[i] = row;
        w->eg[row] = w->gates[i];
        memcpy(w->ex + (size_t)row * dim, x + (size_t)(i / c->n_active) * dim, dim * sizeof *x);
    }
    for (int t = 0; t < s->n; t++)
        w->eg[pairs + t] = 1;
    memcpy(w->ex + (size_t)pairs * dim, x, (size_t)s->n * dim * sizeof *x);
}

/* One product for each expert that has rows, the shared one last. which: 1, 2 or 3 of w1, w2, w3. */
static int expert_jobs(const struct step *s, const struct model_layer *y, int which, const float *x, float *out,
                       struct matmul_job *jobs)
{
    const struct model_config *c = s->c;
    int n = 0;

    for (int e = 0; e <= c->n_experts; e++) {
        const struct model_expert *k = e < c->n_experts ? &y->experts[e] : &y->shared;
        const struct weight *m = which == 1 ? &k->w1 : which == 2 ? &k->w2 : &k->w3;
        const int first = e < c->n_experts ? s->w->expert_rows[e] : s->n * c->n_active;
        const int rows = e < c->n_experts ? s->w->expert_rows[e + 1] - first : s->n;

        if (rows)
            jobs[n++] = job(m, x + (size_t)first * (size_t)m->cols, out + (size_t)first * (size_t)m->rows, rows);
    }
    return n;
}

static void experts(const struct step *s, const struct model_layer *y)
{
    const struct workspace *w = s->w;
    const struct model_config *c = s->c;
    const int rows = s->n * (c->n_active + 1);
    int n;

    quantise(s, w->ex, &y->shared.w1, rows);
    n = expert_jobs(s, y, 1, w->ex, w->ea, w->jobs);
    n += expert_jobs(s, y, 3, w->ex, w->eb, w->jobs + n);
    s->op->matmul(s->d, w->jobs, n);
    round_rows(s, w->ea, rows, (size_t)c->expert_dim);
    round_rows(s, w->eb, rows, (size_t)c->expert_dim);
    s->op->swiglu(s->d, w->ea, w->eb, w->eg, rows, c->expert_dim, c->swiglu_limit);
    round_rows(s, w->ea, rows, (size_t)c->expert_dim);
    quantise(s, w->ea, &y->shared.w2, rows);
    n = expert_jobs(s, y, 2, w->ea, w->ex, w->jobs);     /* the inputs are no longer needed */
    s->op->matmul(s->d, w->jobs, n);
    round_rows(s, w->ex, rows, (size_t)c->dim);
}

static void moe(const struct step *s, int layer, const float *x, float *out)
{
    const struct model_layer *y = model_layer(s->e->model, layer);
    const struct workspace *w = s->w;
    const size_t dim = (size_t)s->c->dim, active = (size_t)s->c->n_active;

    route_rows(s, y, x);
    group_by_expert(s, x);
    experts(s, y);
    for (size_t t = 0; t < (size_t)s->n; t++) {
        const float *shared = w->ex + ((size_t)s->n * active + t) * dim;
        float *sum = out + t * dim;

        memset(sum, 0, dim * sizeof *sum);
        for (size_t k = 0; k < active; k++) {
            const float *one = w->ex + (size_t)w->slot[t * active + k] * dim;

            for (size_t i = 0; i < dim; i++)
                sum[i] += one[i];
        }
        for (size_t i = 0; i < dim; i++)
            sum[i] += shared[i];
    }
    round_rows(s, out, s->n, dim);
}

/* ---- section 1: the whole pass ---- */

typedef void (*sublayer_fn)(const struct step *s, int layer, const float *x, float *out);

static void sublayer(const struct step *s, int layer, const struct model_hc *site, const float *norm, sublayer_fn run)
{
    const struct workspace *w = s->w;
    const size_t dim = (size_t)s->c->dim;

    s->op->hc_in(s->d, w->x, w->post, w->comb, w->h, site, s->c, s->n);
    round_rows(s, w->x, s->n, dim);
    norm_rows(s, w->x, w->x, norm, s->n, s->c->dim);
    run(s, layer, w->x, w->y);
    s->op->hc_out(s->d, w->h, w->y, w->post, w->comb, s->c, s->n);
    round_rows(s, w->h, s->n, dim * (size_t)s->c->streams);
}

/* Logits of the wanted rows, one after the other, from the streams after the last layer; returns their number. */
static int logits_of(const struct step *s, float *logits)
{
    const struct workspace *w = s->w;
    const struct model_config *c = s->c;
    const size_t streams = (size_t)c->streams * (size_t)c->dim;
    int n = 0;

    for (int t = 0; t < s->n; t++) {
        if (!w->wanted[t])
            continue;
        if (n < t)
            memcpy(w->h + (size_t)n * streams, w->h + (size_t)t * streams, streams * sizeof *w->h);
        n++;
    }
    if (!n)
        return 0;
    s->op->hc_head(s->d, w->x, w->h, model_hc_head(s->e->model), c, n);
    round_rows(s, w->x, n, (size_t)c->dim);
    norm_rows(s, w->x, w->x, model_norm(s->e->model), n, c->dim);
    w->jobs[0] = job(model_head(s->e->model), w->x, logits, n);
    s->op->matmul(s->d, w->jobs, 1);
    return n;
}

/* Computes the step's rows and appends them to their sequences. */
static int run_step(const struct step *s, float *logits)
{
    const struct workspace *w = s->w;
    const struct model *m = s->e->model;

    for (int t = 0; t < s->n; t++)
        for (int kind = 0; kind < 2; kind++)
            rope_turns(w->turn[kind] + (size_t)t * (size_t)s->c->rope_dim, s->e->freq[kind], s->c->rope_dim,
                       w->positions[t]);
    s->op->embed(s->d, w->h, model_embed(m), w->ids, s->n, s->c->streams);
    for (int l = 0; l < s->c->n_layers; l++) {
        const struct model_layer *y = model_layer(m, l);

        sublayer(s, l, &y->hc_attn, y->attn_norm, attention);
        sublayer(s, l, &y->hc_ffn, y->ffn_norm, moe);
    }
    for (int i = 0; i < s->n_parts; i++)
        s->parts[i].seq->length += s->parts[i].n;
    return logits_of(s, logits);
}

/* ---- batches ---- */

static enum forward_rc check_item(struct engine *e, const struct batch_item *b, const float *logits)
{
    const int vocab = engine_config(e)->vocab;

    if (b->n < 1 || b->n_logits < 0 || b->n_logits > b->n || (b->n_logits && !logits))
        return FORWARD_BAD_BATCH;
    if (b->seq->engine != e || b->seq->in_batch)
        return FORWARD_BAD_BATCH;
    if (b->n > b->seq->max_context - b->seq->length)
        return FORWARD_FULL;
    for (int i = 0; i < b->n; i++)
        if (b->ids[i] < 0 || b->ids[i] >= vocab)
            return FORWARD_BAD_TOKEN;
    return FORWARD_OK;
}

static enum forward_rc check_batch(struct engine *e, const struct batch_item *items, int n_items, const float *logits)
{
    enum forward_rc rc = FORWARD_OK;
    int marked = 0;

    for (; rc == FORWARD_OK && marked < n_items; marked++) {
        rc = check_item(e, &items[marked], logits);
        if (rc != FORWARD_OK)
            break;
        items[marked].seq->in_batch = true;
    }
    while (marked-- > 0)
        items[marked].seq->in_batch = false;
    return rc;
}

/* Where forward is in the batch: item, and tokens of it that are done. */
struct place {
    int item, done;
};

/* Takes the next tokens of the batch, item by item, until the step is full. */
static void fill_step(struct step *s, const struct batch_item *items, int n_items, struct place *at)
{
    const struct workspace *w = s->w;

    s->n = s->n_parts = 0;
    while (at->item < n_items && s->n < s->e->step_tokens) {
        const struct batch_item *b = &items[at->item];
        const int left = b->n - at->done, space = s->e->step_tokens - s->n, n = left < space ? left : space;

        w->parts[s->n_parts++] = (struct part){ .seq = b->seq, .first = s->n, .begin = b->seq->length, .n = n };
        for (int i = 0; i < n; i++, s->n++) {
            w->ids[s->n] = b->ids[at->done + i];
            w->positions[s->n] = b->seq->length + i;
            w->wanted[s->n] = at->done + i >= b->n - b->n_logits;
        }
        at->done += n;
        if (at->done == b->n)
            *at = (struct place){ .item = at->item + 1 };
    }
}

enum forward_rc forward(struct engine *e, const struct batch_item *items, int n_items, float *logits)
{
    struct step s = { .e = e, .op = e->device->ops, .d = e->device, .c = engine_config(e), .w = &e->w,
                      .parts = e->w.parts, .published = e->published };
    struct place at = { 0 };
    const enum forward_rc rc = check_batch(e, items, n_items, logits);

    if (rc != FORWARD_OK)
        return rc;
    while (at.item < n_items) {
        fill_step(&s, items, n_items, &at);
        logits += (size_t)run_step(&s, logits) * (size_t)s.c->vocab;    /* wanted rows come in the order of the batch */
    }
    return FORWARD_OK;
}
