/* testmodel.c - writes a random model: config.json, safetensors. Only for tests. */
#include "engine/testmodel.h"

#include <dirent.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"

enum { VOCAB = 97, LAYERS = 4, HEADS = 4, HEAD = 80, ROPE = 16, RANK = 64, GROUPS = 2, O_RANK = 32, INDEX_HEADS = 4,
       INDEX_DIM = 32, EXPERTS = 6, ACTIVE = 2, STREAMS = 4 };
static const int ratios[LAYERS] = { 0, 4, 128, 4 };

struct writer {
    struct buf header, data;
    const struct testmodel *t;
    uint32_t random;
    const char *scale_name;      /* behind the name without "weight" */
};

/* Uniform in [0, 1). */
static float uniform(struct writer *w)
{
    w->random = w->random * 1664525u + 1013904223u;
    return (float)(w->random >> 8) / 16777216.f;
}

static float signed_uniform(struct writer *w, float size)
{
    return (2 * uniform(w) - 1) * size;
}

static void declare(struct writer *w, const char *name, const char *dtype, int n_dims, int rows, int cols, size_t bytes)
{
    buf_printf(&w->header, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%d", w->header.n > 1 ? "," : "", name, dtype, rows);
    if (n_dims == 2)
        buf_printf(&w->header, ",%d", cols);
    buf_printf(&w->header, "],\"data_offsets\":[%zu,%zu]}", w->data.n, w->data.n + bytes);
}

static void put_f32(struct writer *w, const char *name, int n_dims, int rows, int cols, float middle, float size)
{
    declare(w, name, "F32", n_dims, rows, cols, (size_t)rows * (size_t)cols * 4);
    for (int i = 0; i < rows * cols; i++) {
        const float v = middle + signed_uniform(w, size);

        buf_add(&w->data, &v, 4);
    }
}

static void put_bf16(struct writer *w, const char *name, int n_dims, int rows, int cols, float middle, float size)
{
    declare(w, name, "BF16", n_dims, rows, cols, (size_t)rows * (size_t)cols * 2);
    for (int i = 0; i < rows * cols; i++) {
        const float v = middle + signed_uniform(w, size);

        buf_add(&w->data, (const char *)&v + 2, 2);      /* the upper half of a little-endian float */
    }
}

/* The exponent byte (bias 127) of a scale that gives values of about 1/sqrt(cols) when codes are of about `code`. */
static uint8_t scale_of(struct writer *w, int cols, float code)
{
    return (uint8_t)(127 + (int)lrintf(log2f(1.f / (code * sqrtf((float)cols))) + signed_uniform(w, 0.9f)));
}

static void put_scales(struct writer *w, const char *name, int rows, int cols, int row_cols, float code)
{
    char scale[160];

    snprintf(scale, sizeof scale, "%.*s%s", (int)(strlen(name) - strlen("weight")), name, w->scale_name);
    declare(w, scale, "F8_E8M0", 2, rows, cols, (size_t)rows * (size_t)cols);
    for (int i = 0; i < rows * cols; i++)
        buf_add_char(&w->data, (char)scale_of(w, row_cols, code));
}

/* Any E4M3 code but NaN, large ones more often, as trained weights have them. */
static void put_fp8(struct writer *w, const char *name, int rows, int cols)
{
    declare(w, name, "F8_E4M3", 2, rows, cols, (size_t)rows * (size_t)cols);
    for (int i = 0; i < rows * cols; i++) {
        const uint8_t code = (uint8_t)(126.f * (1 - uniform(w) * uniform(w)));

        buf_add_char(&w->data, (char)(code | (uniform(w) < .5f ? 0x80 : 0)));
    }
    put_scales(w, name, (rows + 127) / 128, (cols + 127) / 128, cols, 150);
}

static void put_fp4(struct writer *w, const char *name, int rows, int cols)
{
    declare(w, name, "I8", 2, rows, cols / 2, (size_t)rows * (size_t)cols / 2);
    for (int i = 0; i < rows * cols / 2; i++)
        buf_add_char(&w->data, (char)(uint8_t)(uniform(w) * 256));
    put_scales(w, name, rows, cols / 32, cols, 3);
}

static void put_matrix(struct writer *w, const char *name, int rows, int cols, bool expert)
{
    const float size = 1.7f / sqrtf((float)cols);

    if (w->t->plain && expert)
        put_f32(w, name, 2, rows, cols, 0, size);
    else if (w->t->plain)
        put_bf16(w, name, 2, rows, cols, 0, size);
    else if (expert)
        put_fp4(w, name, rows, cols);
    else
        put_fp8(w, name, rows, cols);
}

static const char *at(char *out, int layer, const char *tail)
{
    snprintf(out, 160, "layers.%d.%s", layer, tail);
    return out;
}

static void put_hc(struct writer *w, int layer, const char *site, int hidden)
{
    const int n = (2 + STREAMS) * STREAMS;
    char tail[64], name[160];

    snprintf(tail, sizeof tail, "%s_fn", site);
    put_f32(w, at(name, layer, tail), 2, n, STREAMS * hidden, 0, 1.7f / sqrtf((float)(STREAMS * hidden)));
    snprintf(tail, sizeof tail, "%s_base", site);
    put_f32(w, at(name, layer, tail), 1, n, 1, 0, 1);
    snprintf(tail, sizeof tail, "%s_scale", site);
    put_f32(w, at(name, layer, tail), 1, 3, 1, 1, .5f);
}

static void put_compressor(struct writer *w, int layer, const char *where, int ratio, int d, int hidden)
{
    const int width = ratio == 4 ? 2 * d : d;
    const float size = 1.7f / sqrtf((float)hidden);
    char tail[96], name[160];

    snprintf(tail, sizeof tail, "%s.ape", where);
    put_f32(w, at(name, layer, tail), 2, ratio, width, 0, 1);
    snprintf(tail, sizeof tail, "%s.wkv.weight", where);
    put_bf16(w, at(name, layer, tail), 2, width, hidden, 0, size);
    snprintf(tail, sizeof tail, "%s.wgate.weight", where);
    put_bf16(w, at(name, layer, tail), 2, width, hidden, 0, size);
    snprintf(tail, sizeof tail, "%s.norm.weight", where);
    put_bf16(w, at(name, layer, tail), 1, d, 1, 1, .3f);
}

static void put_attention(struct writer *w, int layer, int hidden)
{
    const int ratio = ratios[layer];
    char name[160];

    put_f32(w, at(name, layer, "attn.attn_sink"), 1, HEADS, 1, 0, 1);
    put_matrix(w, at(name, layer, "attn.wq_a.weight"), RANK, hidden, false);
    put_bf16(w, at(name, layer, "attn.q_norm.weight"), 1, RANK, 1, 1, .3f);
    put_matrix(w, at(name, layer, "attn.wq_b.weight"), HEADS * HEAD, RANK, false);
    put_matrix(w, at(name, layer, "attn.wkv.weight"), HEAD, hidden, false);
    put_bf16(w, at(name, layer, "attn.kv_norm.weight"), 1, HEAD, 1, 1, .3f);
    put_matrix(w, at(name, layer, "attn.wo_a.weight"), GROUPS * O_RANK, HEADS * HEAD / GROUPS, false);
    put_matrix(w, at(name, layer, "attn.wo_b.weight"), hidden, GROUPS * O_RANK, false);
    if (ratio)
        put_compressor(w, layer, "attn.compressor", ratio, HEAD, hidden);
    if (ratio == 4) {
        put_matrix(w, at(name, layer, "attn.indexer.wq_b.weight"), INDEX_HEADS * INDEX_DIM, RANK, false);
        put_bf16(w, at(name, layer, "attn.indexer.weights_proj.weight"), 2, INDEX_HEADS, hidden, 0, .2f);
        put_compressor(w, layer, "attn.indexer.compressor", 4, INDEX_DIM, hidden);
    }
}

static void put_expert(struct writer *w, int layer, const char *where, int hidden, bool routed)
{
    char tail[96], name[160];

    snprintf(tail, sizeof tail, "%s.w1.weight", where);
    put_matrix(w, at(name, layer, tail), 2 * hidden, hidden, routed);
    snprintf(tail, sizeof tail, "%s.w3.weight", where);
    put_matrix(w, at(name, layer, tail), 2 * hidden, hidden, routed);
    snprintf(tail, sizeof tail, "%s.w2.weight", where);
    put_matrix(w, at(name, layer, tail), hidden, 2 * hidden, routed);
}

static void put_experts(struct writer *w, int layer, int hidden)
{
    char name[160], tail[64];

    put_bf16(w, at(name, layer, "ffn.gate.weight"), 2, EXPERTS, hidden, 0, .3f);
    if (layer > 0) {
        put_f32(w, at(name, layer, "ffn.gate.bias"), 1, EXPERTS, 1, 0, .5f);
    } else {
        declare(w, at(name, layer, "ffn.gate.tid2eid"), "I64", 2, VOCAB, ACTIVE, VOCAB * ACTIVE * 8);
        for (int64_t v = 0; v < VOCAB; v++) {
            const int64_t pair[2] = { (v * 7 + 3) % EXPERTS, (v * 7 + 4 + v % 3) % EXPERTS };

            buf_add(&w->data, pair, sizeof pair);
        }
    }
    for (int e = 0; e < EXPERTS; e++) {
        snprintf(tail, sizeof tail, "ffn.experts.%d", e);
        put_expert(w, layer, tail, hidden, true);
    }
    put_expert(w, layer, "ffn.shared_experts", hidden, false);
}

static void put_layer(struct writer *w, int layer, int hidden)
{
    char name[160];

    put_bf16(w, at(name, layer, "attn_norm.weight"), 1, hidden, 1, 1, .3f);
    put_bf16(w, at(name, layer, "ffn_norm.weight"), 1, hidden, 1, 1, .3f);
    put_hc(w, layer, "hc_attn", hidden);
    put_hc(w, layer, "hc_ffn", hidden);
    put_attention(w, layer, hidden);
    put_experts(w, layer, hidden);
}

static void put_top(struct writer *w, int hidden)
{
    put_bf16(w, "embed.weight", 2, VOCAB, hidden, 0, 1);
    put_bf16(w, "head.weight", 2, VOCAB, hidden, 0, 4.f / sqrtf((float)hidden));
    put_bf16(w, "norm.weight", 1, hidden, 1, 1, .3f);
    put_f32(w, "hc_head_fn", 2, STREAMS, STREAMS * hidden, 0, 1.7f / sqrtf((float)(STREAMS * hidden)));
    put_f32(w, "hc_head_base", 1, STREAMS, 1, 0, 1);
    put_f32(w, "hc_head_scale", 1, 1, 1, 1, .5f);
}

static FILE *create(const char *dir, const char *file)
{
    char path[512];

    snprintf(path, sizeof path, "%s/%s", dir, file);
    return fopen(path, "wb");
}

static bool write_file(const char *dir, const char *file, struct writer *w)
{
    FILE *f = create(dir, file);
    size_t pad;
    uint64_t n;
    bool ok;

    buf_add_char(&w->header, '}');
    pad = (8 - w->header.n % 8) % 8 + (w->t->odd_header ? 1 : 0);
    while (pad--)
        buf_add_char(&w->header, ' ');
    n = w->header.n;
    ok = f && buf_ok(&w->header) && buf_ok(&w->data) && fwrite(&n, 8, 1, f) == 1 &&
         fwrite(w->header.p, w->header.n, 1, f) == 1 && fwrite(w->data.p, w->data.n, 1, f) == 1;
    if (f && fclose(f) != 0)
        ok = false;
    buf_clear(&w->header);
    buf_clear(&w->data);
    buf_add_char(&w->header, '{');
    return ok;
}

static bool write_config(const char *dir, int hidden)
{
    FILE *f = create(dir, "config.json");

    if (!f)
        return false;
    fprintf(f, "{\"model_type\":\"deepseek_v4\",\"vocab_size\":%d,\"hidden_size\":%d,\"num_hidden_layers\":%d,\n"
               "\"num_attention_heads\":%d,\"num_key_value_heads\":1,\"head_dim\":%d,\"qk_rope_head_dim\":%d,\n"
               "\"q_lora_rank\":%d,\"o_groups\":%d,\"o_lora_rank\":%d,\"sliding_window\":128,\"index_n_heads\":%d,\n"
               "\"index_head_dim\":%d,\"index_topk\":6,\"n_routed_experts\":%d,\"num_experts_per_tok\":%d,\n"
               "\"moe_intermediate_size\":%d,\"hc_mult\":%d,\"hc_sinkhorn_iters\":20,\"hc_eps\":1e-06,\n",
            VOCAB, hidden, LAYERS, HEADS, HEAD, ROPE, RANK, GROUPS, O_RANK, INDEX_HEADS, INDEX_DIM, EXPERTS, ACTIVE,
            2 * hidden, STREAMS);
    fprintf(f, "\"rms_norm_eps\":1e-06,\"routed_scaling_factor\":1.5,\"swiglu_limit\":10.0,\"num_hash_layers\":1,\n"
               "\"compress_ratios\":[0,4,128,4,0],\"rope_theta\":10000,\"compress_rope_theta\":160000,\n"
               "\"rope_scaling\":{\"type\":\"yarn\",\"factor\":16,\"original_max_position_embeddings\":65536,\n"
               "\"beta_fast\":32,\"beta_slow\":1},\"max_position_embeddings\":1048576,\n"
               "\"bos_token_id\":0,\"eos_token_id\":1}\n");
    return fclose(f) == 0;
}

/* Layers from the second on are in the second file; one tensor of each suffices for the map. */
static bool write_index(const char *dir)
{
    FILE *f = create(dir, "model.safetensors.index.json");

    if (!f)
        return false;
    fprintf(f, "{\"weight_map\":{\"embed.weight\":\"one.safetensors\",\n"
               "\"layers.1.attn.attn_sink\":\"two.safetensors\",\"layers.3.attn.attn_sink\":\"two.safetensors\"}}\n");
    return fclose(f) == 0;
}

static bool write_all(const char *dir, const struct testmodel *t)
{
    const int hidden = t->hidden ? t->hidden : 64;
    struct writer w = { .t = t, .random = t->seed * 2654435761u + 1, .scale_name = "scale" };
    bool ok;

    buf_init(&w.header, 1u << 22);
    buf_init(&w.data, 1u << 28);
    buf_add_char(&w.header, '{');
    put_top(&w, hidden);
    put_layer(&w, 0, hidden);
    ok = write_config(dir, hidden);
    if (t->two_files) {
        ok = ok && write_index(dir) && write_file(dir, "one.safetensors", &w);
        w.scale_name = "weight_scale_inv";
    }
    for (int l = 1; l < LAYERS; l++)
        put_layer(&w, l, hidden);
    ok = ok && write_file(dir, t->two_files ? "two.safetensors" : "model.safetensors", &w);
    buf_free(&w.header);
    buf_free(&w.data);
    return ok;
}

char *testmodel_write(const struct testmodel *t)
{
    const char *tmp = getenv("TMPDIR");
    char *dir = NULL;

    if (asprintf(&dir, "%s/tollgate-model-XXXXXX", tmp && *tmp ? tmp : "/tmp") < 0)
        return NULL;
    if (!mkdtemp(dir)) {
        free(dir);
        return NULL;
    }
    if (!write_all(dir, t)) {
        testmodel_remove(dir);
        return NULL;
    }
    return dir;
}

void testmodel_remove(char *dir)
{
    DIR *d = dir ? opendir(dir) : NULL;
    const struct dirent *entry;
    char path[1024];

    while (d && (entry = readdir(d)) != NULL) {
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(path);
    }
    if (d)
        closedir(d);
    if (dir)
        rmdir(dir);
    free(dir);
}

bool testmodel_patch(const char *dir, const char *file, const char *from, const char *to)
{
    const size_t n = strlen(from);
    char path[512], *text = NULL, *found = NULL;
    FILE *f;
    long size;

    snprintf(path, sizeof path, "%s/%s", dir, file);
    f = strlen(to) == n ? fopen(path, "r+b") : NULL;
    if (!f)
        return false;
    fseek(f, 0, SEEK_END);
    size = ftell(f);
    rewind(f);
    text = malloc((size_t)size);
    if (text && fread(text, 1, (size_t)size, f) == (size_t)size)
        found = memmem(text, (size_t)size, from, n);
    if (found) {
        fseek(f, found - text, SEEK_SET);
        fwrite(to, 1, n, f);
    }
    free(text);
    return fclose(f) == 0 && found;
}

bool testmodel_cut(const char *dir, const char *file, long bytes)
{
    char path[512];
    FILE *f;
    long size;

    snprintf(path, sizeof path, "%s/%s", dir, file);
    f = fopen(path, "rb");
    if (!f)
        return false;
    fseek(f, 0, SEEK_END);
    size = ftell(f);
    fclose(f);
    return truncate(path, bytes < 0 ? size + bytes : bytes) == 0;
}
