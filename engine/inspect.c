/* inspect.c - the command "inspect": what a model folder holds, what a token costs to read, what memory it wants. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cli.h"
#include "engine/commands.h"
#include "engine/model.h"

struct inspect_options {
    const char *model, *format;
    int context;
    bool tensors;
};

/* Counts by stored type, DTYPE_OTHER last. */
struct census {
    size_t count[DTYPE_OTHER + 1];
    uint64_t bytes[DTYPE_OTHER + 1];
};

struct sizes {
    uint64_t file;               /* all tensors */
    uint64_t token;              /* of weights, read for one decoded token at batch 1 */
    uint64_t sequence;           /* of the engine's float32 memory for a sequence of `context` tokens */
    uint64_t layers_by_ratio[3]; /* number of window-only, CSA, HCA layers */
};

static uint64_t weight_bytes(const struct weight *w)
{
    const uint64_t rows = (uint64_t)w->rows, cols = (uint64_t)w->cols;

    switch (w->form) {
    case WEIGHT_F32: return 4 * rows * cols;
    case WEIGHT_BF16:
    case WEIGHT_F16: return 2 * rows * cols;
    case WEIGHT_FP8: return rows * cols + (rows + 127) / 128 * ((cols + 127) / 128);
    case WEIGHT_FP4: return rows * cols / 2 + rows * (cols / 32);
    }
    return 0;
}

static uint64_t expert_bytes(const struct model_expert *x)
{
    return weight_bytes(&x->w1) + weight_bytes(&x->w2) + weight_bytes(&x->w3);
}

static uint64_t compressor_bytes(const struct model_compressor *k)
{
    return weight_bytes(&k->wkv) + weight_bytes(&k->wgate);
}

static uint64_t layer_bytes(const struct model_layer *y, int n_active)
{
    uint64_t n = weight_bytes(&y->wq_a) + weight_bytes(&y->wq_b) + weight_bytes(&y->wkv) + weight_bytes(&y->wo_a) +
                 weight_bytes(&y->wo_b) + weight_bytes(&y->gate) + weight_bytes(&y->hc_attn.fn) +
                 weight_bytes(&y->hc_ffn.fn) + expert_bytes(&y->shared) + (uint64_t)n_active * expert_bytes(&y->experts[0]);

    if (y->ratio)
        n += compressor_bytes(&y->compressor);
    if (y->ratio == RATIO_CSA)
        n += compressor_bytes(&y->index_compressor) + weight_bytes(&y->index_wq_b) + weight_bytes(&y->index_proj);
    return n;
}

/* As kv.c lays it out: ring, entries, pending rows; 4 bytes a value. */
static uint64_t sequence_bytes(const struct model_config *c, int ratio, int context)
{
    const uint64_t dh = (uint64_t)c->head_dim, di = (uint64_t)c->index_dim, n = (uint64_t)context;
    uint64_t floats = (uint64_t)c->window * dh;

    if (ratio == RATIO_HCA)
        floats += n / RATIO_HCA * dh + 2 * RATIO_HCA * dh;
    if (ratio == RATIO_CSA)
        floats += n / RATIO_CSA * (dh + di) + 6 * RATIO_CSA * (dh + di);
    return 4 * floats;
}

static struct sizes measure(const struct model *m, int context)
{
    const struct model_config *c = model_config(m);
    struct sizes s = { .file = weights_bytes(model_weights(m)), .token = weight_bytes(model_head(m)) };

    for (int l = 0; l < c->n_layers; l++) {
        const struct model_layer *y = model_layer(m, l);

        s.token += layer_bytes(y, c->n_active);
        s.sequence += sequence_bytes(c, y->ratio, context);
        s.layers_by_ratio[y->ratio == RATIO_WINDOW ? 0 : y->ratio == RATIO_CSA ? 1 : 2]++;
    }
    return s;
}

static void count_tensors(const struct weights *w, struct census *out)
{
    for (size_t i = 0; i < weights_count(w); i++) {
        const struct tensor *t = weights_at(w, i);

        out->count[t->dtype]++;
        out->bytes[t->dtype] += t->bytes;
    }
}

static void print_tensors(const struct weights *w)
{
    for (size_t i = 0; i < weights_count(w); i++) {
        const struct tensor *t = weights_at(w, i);

        printf("%-52s %-8s [", t->name.p, dtype_name(t->dtype));
        for (int k = 0; k < t->n_dims; k++)
            printf("%s%lld", k ? ", " : "", (long long)t->shape[k]);
        printf("]\n");
    }
}

static double mib(uint64_t bytes)
{
    return (double)bytes / 1048576;
}

static void print_text(const struct model *m, const struct sizes *s, int context)
{
    const struct model_config *c = model_config(m);
    struct census n = { { 0 }, { 0 } };

    count_tensors(model_weights(m), &n);
    printf("vocabulary %d, hidden %d, %d layers (%d window, %d CSA, %d HCA), %d streams\n", c->vocab, c->dim, c->n_layers,
           (int)s->layers_by_ratio[0], (int)s->layers_by_ratio[1], (int)s->layers_by_ratio[2], c->streams);
    printf("attention: %d heads of %d (%d rotated), query rank %d, output %d groups of rank %d, window %d\n", c->n_heads,
           c->head_dim, c->rope_dim, c->q_rank, c->o_groups, c->o_rank, c->window);
    printf("indexer: %d heads of %d, top %d\n", c->index_heads, c->index_dim, c->index_topk);
    printf("experts: %d of %d, hidden %d, and a shared one; the first %d layers route by token id\n", c->n_active,
           c->n_experts, c->expert_dim, c->n_hash_layers);
    printf("context: up to %d tokens\n\ntensors: %zu, %.2f MiB\n", c->max_context, weights_count(model_weights(m)),
           mib(s->file));
    for (int d = 0; d <= DTYPE_OTHER; d++)
        if (n.count[d])
            printf("  %-8s %6zu  %10.2f MiB\n", dtype_name((enum dtype)d), n.count[d], mib(n.bytes[d]));
    printf("\nread for a token at batch 1: %.2f MiB of weights\n", mib(s->token));
    printf("memory on the CPU: %.2f MiB mapped from the files, %.2f MiB for a sequence of %d tokens\n", mib(s->file),
           mib(s->sequence), context);
}

static void print_json(const struct model *m, const struct sizes *s, int context)
{
    const struct model_config *c = model_config(m);

    printf("{\"vocab\":%d,\"hidden\":%d,\"layers\":%d,\"window_layers\":%d,\"csa_layers\":%d,\"hca_layers\":%d,"
           "\"experts\":%d,\"experts_per_token\":%d,\"max_context\":%d,\"tensors\":%zu,\"tensor_bytes\":%llu,"
           "\"bytes_per_token\":%llu,\"context\":%d,\"sequence_bytes\":%llu}\n",
           c->vocab, c->dim, c->n_layers, (int)s->layers_by_ratio[0], (int)s->layers_by_ratio[1],
           (int)s->layers_by_ratio[2], c->n_experts, c->n_active, c->max_context, weights_count(model_weights(m)),
           (unsigned long long)s->file, (unsigned long long)s->token, context, (unsigned long long)s->sequence);
}

int command_inspect(int argc, char **argv)
{
    struct inspect_options o = { .context = 8192 };
    const struct cli_option options[] = {
        { "model", CLI_TEXT, &o.model, "DIR", "model folder", 0, 0, true },
        { "context", CLI_INT, &o.context, "N", "tokens of the sequence that memory is computed for (8192)", 1, 1 << 24,
          false },
        { "tensors", CLI_SWITCH, &o.tensors, NULL, "list every tensor with type and shape", 0, 0, false },
        { "format", CLI_TEXT, &o.format, "json", "text (default) or json", 0, 0, false },
        { 0 },
    };
    const struct cli cli = { "tollgate-engine inspect", "Checks a model folder and prints what it holds.", options };
    const enum cli_rc rc = cli_parse(&cli, argc, argv);
    struct problems ps;
    struct model *m;

    if (rc != CLI_OK)
        return rc == CLI_DONE ? 0 : 2;
    if (o.format && strcmp(o.format, "json") != 0 && strcmp(o.format, "text") != 0) {
        fprintf(stderr, "tollgate-engine inspect: --format must be text or json\n");
        return 2;
    }
    problems_init(&ps);
    m = model_open(o.model, &ps);
    problems_print(&ps, stderr);
    if (m) {
        const struct sizes s = measure(m, o.context);

        if (o.tensors)
            print_tensors(model_weights(m));
        else if (o.format && strcmp(o.format, "json") == 0)
            print_json(m, &s, o.context);
        else
            print_text(m, &s, o.context);
    }
    problems_free(&ps);
    if (!m)
        return 1;
    model_free(m);
    return 0;
}
