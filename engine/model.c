/* model.c - every tensor of the architecture by its released name, with the shape that config.json implies.
 *
 * This file is the table of v4-checkpoint section 3 as code, in its order. It reads no number from a tensor. */
#include "engine/model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"

struct model {
    struct model_config config;
    struct weights *weights;
    struct model_layer *layers;      /* [n_layers] */
    struct weight embed, head;
    const float *norm;
    struct model_hc hc_head;
};

/* What a reader of tensors needs: the first problem stops it, later calls return at once. */
struct reader {
    struct weights *w;
    struct problems *ps;
    char name[256];
    int prefix;                      /* bytes of `name` that stay: "layers.3." */
    bool ok;
};

static const char *name_of(struct reader *r, const char *tail)
{
    snprintf(r->name + r->prefix, sizeof r->name - (size_t)r->prefix, "%s", tail);
    return r->name;
}

__attribute__((format(printf, 2, 3))) static void set_prefix(struct reader *r, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    r->prefix = vsnprintf(r->name, sizeof r->name / 2, fmt, ap);
    va_end(ap);
}

static struct weight matrix(struct reader *r, const char *tail, int64_t rows, int64_t cols)
{
    struct weight out = { 0 };

    r->ok = r->ok && weights_matrix(r->w, name_of(r, tail), rows, cols, &out, r->ps);
    return out;
}

static const float *vector2(struct reader *r, const char *tail, int64_t rows, int64_t cols)
{
    const int64_t shape[2] = { rows, cols };
    const float *v = r->ok ? weights_vector(r->w, name_of(r, tail), 2, shape, r->ps) : NULL;

    r->ok = v != NULL;
    return v;
}

static const float *vector(struct reader *r, const char *tail, int64_t n)
{
    const float *v = r->ok ? weights_vector(r->w, name_of(r, tail), 1, &n, r->ps) : NULL;

    r->ok = v != NULL;
    return v;
}

static struct model_hc read_hc(struct reader *r, const char *site, int n, int n_scale, const struct model_config *c)
{
    struct model_hc hc;
    char tail[64];

    snprintf(tail, sizeof tail, "%s_fn", site);
    hc.fn = matrix(r, tail, n, (int64_t)c->streams * c->dim);
    snprintf(tail, sizeof tail, "%s_base", site);
    hc.base = vector(r, tail, n);
    snprintf(tail, sizeof tail, "%s_scale", site);
    hc.scale = vector(r, tail, n_scale);
    return hc;
}

static struct model_compressor read_compressor(struct reader *r, const char *where, int ratio, int d, int dim)
{
    const int width = ratio == RATIO_CSA ? 2 * d : d;
    struct model_compressor k;
    char tail[64];

    snprintf(tail, sizeof tail, "%s.wkv.weight", where);
    k.wkv = matrix(r, tail, width, dim);
    snprintf(tail, sizeof tail, "%s.wgate.weight", where);
    k.wgate = matrix(r, tail, width, dim);
    snprintf(tail, sizeof tail, "%s.ape", where);
    k.ape = vector2(r, tail, ratio, width);
    snprintf(tail, sizeof tail, "%s.norm.weight", where);
    k.norm = vector(r, tail, d);
    return k;
}

static void read_attention(struct reader *r, struct model_layer *y, const struct model_config *c)
{
    const int64_t heads = (int64_t)c->n_heads * c->head_dim, low = (int64_t)c->o_groups * c->o_rank;

    y->sink = vector(r, "attn.attn_sink", c->n_heads);
    y->wq_a = matrix(r, "attn.wq_a.weight", c->q_rank, c->dim);
    y->q_norm = vector(r, "attn.q_norm.weight", c->q_rank);
    y->wq_b = matrix(r, "attn.wq_b.weight", heads, c->q_rank);
    y->wkv = matrix(r, "attn.wkv.weight", c->head_dim, c->dim);
    y->kv_norm = vector(r, "attn.kv_norm.weight", c->head_dim);
    y->wo_a = matrix(r, "attn.wo_a.weight", low, heads / c->o_groups);
    y->wo_b = matrix(r, "attn.wo_b.weight", c->dim, low);
    if (y->ratio != RATIO_WINDOW)
        y->compressor = read_compressor(r, "attn.compressor", y->ratio, c->head_dim, c->dim);
    if (y->ratio == RATIO_CSA) {
        y->index_wq_b = matrix(r, "attn.indexer.wq_b.weight", (int64_t)c->index_heads * c->index_dim, c->q_rank);
        y->index_proj = matrix(r, "attn.indexer.weights_proj.weight", c->index_heads, c->dim);
        y->index_compressor = read_compressor(r, "attn.indexer.compressor", RATIO_CSA, c->index_dim, c->dim);
    }
}

static struct model_expert read_expert(struct reader *r, const char *where, const struct model_config *c)
{
    struct model_expert x;
    char tail[64];

    snprintf(tail, sizeof tail, "%s.w1.weight", where);
    x.w1 = matrix(r, tail, c->expert_dim, c->dim);
    snprintf(tail, sizeof tail, "%s.w3.weight", where);
    x.w3 = matrix(r, tail, c->expert_dim, c->dim);
    snprintf(tail, sizeof tail, "%s.w2.weight", where);
    x.w2 = matrix(r, tail, c->dim, c->expert_dim);
    return x;
}

static void read_moe(struct reader *r, struct model_layer *y, int layer, const struct model_config *c)
{
    char where[64];

    y->gate = matrix(r, "ffn.gate.weight", c->n_experts, c->dim);
    if (layer >= c->n_hash_layers) {
        y->gate_bias = vector(r, "ffn.gate.bias", c->n_experts);
    } else if (r->ok) {
        y->tid2eid = weights_indices(r->w, name_of(r, "ffn.gate.tid2eid"), c->vocab, c->n_active, c->n_experts, r->ps);
        r->ok = y->tid2eid != NULL;
    }
    y->experts = calloc((size_t)c->n_experts, sizeof *y->experts);
    r->ok = r->ok && y->experts;
    for (int e = 0; r->ok && e < c->n_experts; e++) {
        snprintf(where, sizeof where, "ffn.experts.%d", e);
        y->experts[e] = read_expert(r, where, c);
    }
    y->shared = read_expert(r, "ffn.shared_experts", c);
}

static void read_layer(struct reader *r, struct model_layer *y, int layer, const struct model_config *c)
{
    const int mixes = (2 + c->streams) * c->streams;

    set_prefix(r, "layers.%d.", layer);
    y->ratio = c->ratios[layer];
    y->attn_norm = vector(r, "attn_norm.weight", c->dim);
    y->ffn_norm = vector(r, "ffn_norm.weight", c->dim);
    y->hc_attn = read_hc(r, "hc_attn", mixes, 3, c);
    y->hc_ffn = read_hc(r, "hc_ffn", mixes, 3, c);
    read_attention(r, y, c);
    read_moe(r, y, layer, c);
}

static bool read_all(struct model *m, struct problems *ps)
{
    const struct model_config *c = &m->config;
    struct reader r = { .w = m->weights, .ps = ps, .ok = true };

    m->layers = calloc((size_t)c->n_layers, sizeof *m->layers);
    if (!m->layers)
        return false;
    m->embed = matrix(&r, "embed.weight", c->vocab, c->dim);
    m->head = matrix(&r, "head.weight", c->vocab, c->dim);
    m->norm = vector(&r, "norm.weight", c->dim);
    m->hc_head = read_hc(&r, "hc_head", c->streams, 1, c);
    for (int l = 0; r.ok && l < c->n_layers; l++)
        read_layer(&r, &m->layers[l], l, c);
    return r.ok;
}

struct model *model_open(const char *dir, struct problems *ps)
{
    struct model *m = calloc(1, sizeof *m);
    const size_t before = ps->errors;
    char *path = NULL;
    bool ok = false;

    if (!m || asprintf(&path, "%s/config.json", dir) < 0) {
        path = NULL;
        goto out;
    }
    if (!model_read_config(path, &m->config, ps))
        goto out;
    m->weights = weights_open(dir, ps);
    ok = m->weights && read_all(m, ps);
out:
    if (!ok && ps->errors == before)
        problem_error(ps, "", "cannot be loaded: no memory");
    ps->file = NULL;             /* it pointed into what may be freed now */
    free(path);
    if (!ok) {
        model_free(m);
        m = NULL;
    }
    return m;
}

void model_free(struct model *m)
{
    if (!m)
        return;
    for (int l = 0; m->layers && l < m->config.n_layers; l++)
        free(m->layers[l].experts);
    free(m->layers);
    weights_free(m->weights);
    free(m);
}

const struct model_config *model_config(const struct model *m)
{
    return &m->config;
}

const struct model_layer *model_layer(const struct model *m, int layer)
{
    return &m->layers[layer];
}

const struct weight *model_embed(const struct model *m)
{
    return &m->embed;
}

const struct weight *model_head(const struct model *m)
{
    return &m->head;
}

const float *model_norm(const struct model *m)
{
    return m->norm;
}

const struct model_hc *model_hc_head(const struct model *m)
{
    return &m->hc_head;
}

const struct weights *model_weights(const struct model *m)
{
    return m->weights;
}
