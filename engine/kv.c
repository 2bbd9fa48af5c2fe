/* kv.c - memory of a sequence: laid out, copied, cut back. What is in it is the forward pass's business. */
#include "engine/kv.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/state.h"

/* Hands out consecutive runs of a block; with a NULL block it only counts. */
struct cursor {
    float *block;
    size_t used;
};

static float *take(struct cursor *c, size_t n)
{
    float *p = c->block ? c->block + c->used : NULL;

    c->used += n;
    return p;
}

static void lay_compressor(struct cursor *fixed, struct compressor_state *s, int ratio, int d)
{
    const size_t width = (size_t)(ratio == RATIO_CSA ? 2 * d : d), rows = (size_t)ratio;

    s->pending_c = take(fixed, rows * width);
    s->pending_z = take(fixed, rows * width);
    if (ratio == RATIO_CSA) {
        s->previous_c = take(fixed, RATIO_CSA * (size_t)d);
        s->previous_z = take(fixed, RATIO_CSA * (size_t)d);
    }
}

static void lay_out(struct seq *s, struct cursor *fixed, struct cursor *growing)
{
    const struct model_config *c = engine_config(s->engine);

    for (int l = 0; l < c->n_layers; l++) {
        struct layer_state *y = &s->layers[l];
        const int ratio = c->ratios[l];

        y->ring = take(fixed, (size_t)c->window * (size_t)c->head_dim);
        if (ratio == RATIO_WINDOW)
            continue;
        lay_compressor(fixed, &y->main, ratio, c->head_dim);
        y->entries = take(growing, (size_t)(s->max_context / ratio) * (size_t)c->head_dim);
        if (ratio == RATIO_CSA) {
            lay_compressor(fixed, &y->index, ratio, c->index_dim);
            y->index_keys = take(growing, (size_t)(s->max_context / ratio) * (size_t)c->index_dim);
        }
    }
}

/* The window before the first has no rows: their weight is exp(-inf) = 0. */
static void forget(struct seq *s)
{
    const struct model_config *c = engine_config(s->engine);

    for (int l = 0; l < c->n_layers; l++) {
        if (c->ratios[l] != RATIO_CSA)
            continue;
        for (int i = 0; i < RATIO_CSA * c->head_dim; i++) {
            s->layers[l].main.previous_c[i] = 0;
            s->layers[l].main.previous_z[i] = -INFINITY;
        }
        for (int i = 0; i < RATIO_CSA * c->index_dim; i++) {
            s->layers[l].index.previous_c[i] = 0;
            s->layers[l].index.previous_z[i] = -INFINITY;
        }
    }
    s->length = 0;
}

struct seq *seq_new(struct engine *e, int max_context)
{
    struct seq *s = calloc(1, sizeof *s);
    struct cursor fixed = { 0 }, growing = { 0 };

    assert(max_context >= 1 && max_context <= engine_context(e));
    if (!s)
        return NULL;
    s->engine = e;
    s->max_context = max_context;
    s->layers = calloc((size_t)engine_config(e)->n_layers, sizeof *s->layers);
    if (!s->layers)
        goto fail;
    lay_out(s, &fixed, &growing);
    s->fixed_floats = fixed.used;
    s->fixed = calloc(fixed.used, sizeof(float));
    s->growing = calloc(growing.used + 1, sizeof(float));    /* large: pages come as they are written */
    if (!s->fixed || !s->growing)
        goto fail;
    fixed = (struct cursor){ .block = s->fixed };
    growing = (struct cursor){ .block = s->growing };
    lay_out(s, &fixed, &growing);
    forget(s);
    return s;
fail:
    seq_free(s);
    return NULL;
}

void seq_free(struct seq *s)
{
    if (!s)
        return;
    free(s->layers);
    free(s->fixed);
    free(s->growing);
    free(s);
}

struct seq *seq_clone(const struct seq *from, int max_context)
{
    const struct model_config *c = engine_config(from->engine);
    struct seq *s;

    assert(max_context >= from->length);
    s = seq_new(from->engine, max_context);
    if (!s)
        return NULL;
    memcpy(s->fixed, from->fixed, s->fixed_floats * sizeof(float));
    for (int l = 0; l < c->n_layers; l++) {
        const size_t n = c->ratios[l] ? (size_t)(from->length / c->ratios[l]) : 0;

        if (n)
            memcpy(s->layers[l].entries, from->layers[l].entries, n * (size_t)c->head_dim * sizeof(float));
        if (n && c->ratios[l] == RATIO_CSA)
            memcpy(s->layers[l].index_keys, from->layers[l].index_keys, n * (size_t)c->index_dim * sizeof(float));
    }
    s->length = from->length;
    return s;
}

int seq_length(const struct seq *s)
{
    return s->length;
}

int seq_max_context(const struct seq *s)
{
    return s->max_context;
}

size_t seq_bytes(const struct seq *s)
{
    const struct model_config *c = engine_config(s->engine);
    size_t floats = s->fixed_floats;

    for (int l = 0; l < c->n_layers; l++) {
        const int width = c->head_dim + (c->ratios[l] == RATIO_CSA ? c->index_dim : 0);

        if (c->ratios[l])
            floats += (size_t)(s->length / c->ratios[l]) * (size_t)width;
    }
    return floats * sizeof(float) + sizeof *s + (size_t)c->n_layers * sizeof *s->layers;
}

/* Does the ring still hold all keys that the token at `length` would look back on? */
static bool ring_holds(const struct seq *s, int length)
{
    return s->length <= engine_config(s->engine)->window || length >= s->length - 1;
}

/* Are the rows of the window that `length` falls into still pending, and for ratio 4 the A halves those of the one
 * before it? */
static bool compressor_holds(const struct seq *s, int ratio, int length)
{
    if (length / ratio == s->length / ratio)
        return true;
    return ratio == RATIO_HCA && s->length % ratio == 0 && length >= s->length - ratio;
}

bool seq_truncate(struct seq *s, int length)
{
    const struct model_config *c = engine_config(s->engine);

    assert(length >= 0 && length <= s->length);
    if (length == s->length)
        return true;
    if (length == 0) {
        forget(s);
        return true;
    }
    if (!ring_holds(s, length))
        return false;
    for (int l = 0; l < c->n_layers; l++)
        if (c->ratios[l] && !compressor_holds(s, c->ratios[l], length))
            return false;
    s->length = length;
    return true;
}
