/* config.c - config.json into struct model_config: official key names and those that transformers writes on save.
 *
 * Every number is checked against a range in which the rest of the engine cannot overflow, and against the numbers
 * that it must fit. What the engine would compute differently (another gate, a bias) is refused, not ignored. */
#include "engine/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"

#define CONFIG_BYTES_MAX (4u * 1024 * 1024)

/* ---- scalar keys ---- */

struct int_key {
    const char *name;
    size_t offset;       /* into struct model_config */
    int min, max;
};

#define AT(field) offsetof(struct model_config, field)

static const struct int_key int_keys[] = {
    { "vocab_size", AT(vocab), 1, 1 << 24 },
    { "hidden_size", AT(dim), 1, 1 << 16 },
    { "num_hidden_layers", AT(n_layers), 1, MODEL_LAYERS_MAX },
    { "num_attention_heads", AT(n_heads), 1, 1 << 10 },
    { "head_dim", AT(head_dim), 2, 1 << 12 },
    { "q_lora_rank", AT(q_rank), 1, 1 << 16 },
    { "o_groups", AT(o_groups), 1, 1 << 10 },
    { "o_lora_rank", AT(o_rank), 1, 1 << 14 },
    { "sliding_window", AT(window), 1, 1 << 16 },
    { "index_n_heads", AT(index_heads), 1, 1 << 10 },
    { "index_head_dim", AT(index_dim), 2, 1 << 12 },
    { "index_topk", AT(index_topk), 1, 1 << 20 },
    { "n_routed_experts", AT(n_experts), 1, 1 << 14 },
    { "num_experts_per_tok", AT(n_active), 1, 1 << 8 },
    { "moe_intermediate_size", AT(expert_dim), 1, 1 << 16 },
    { "hc_mult", AT(streams), 1, MODEL_STREAMS_MAX },
    { "hc_sinkhorn_iters", AT(sinkhorn_iters), 1, 1000 },
    { "max_position_embeddings", AT(max_context), 1, 1 << 24 },
    { "bos_token_id", AT(bos_id), 0, 1 << 24 },
    { "eos_token_id", AT(eos_id), 0, 1 << 24 },
};

struct float_key {
    const char *name;
    size_t offset;
    float min, max;
};

static const struct float_key float_keys[] = {
    { "routed_scaling_factor", AT(route_scale), 0, 1e6f },
    { "swiglu_limit", AT(swiglu_limit), 0, 1e6f },
    { "hc_eps", AT(hc_eps), 0, 1 },
    { "rms_norm_eps", AT(norm_eps), 0, 1 },
};

static void read_ints(const json_t *root, struct model_config *c, struct problems *ps)
{
    for (size_t i = 0; i < sizeof int_keys / sizeof int_keys[0]; i++) {
        const struct int_key *k = &int_keys[i];
        const json_t *v = json_object_get(root, k->name);
        char at[64];

        snprintf(at, sizeof at, "/%s", k->name);
        if (!json_is_integer(v) || json_integer_value(v) < k->min || json_integer_value(v) > k->max)
            problem_error(ps, at, "must be a whole number from %d to %d%s", k->min, k->max, v ? "" : "; it is missing");
        else
            *(int *)((char *)c + k->offset) = (int)json_integer_value(v);
    }
}

static void read_floats(const json_t *root, struct model_config *c, struct problems *ps)
{
    for (size_t i = 0; i < sizeof float_keys / sizeof float_keys[0]; i++) {
        const struct float_key *k = &float_keys[i];
        const json_t *v = json_object_get(root, k->name);
        const float x = (float)json_number_value(v);
        char at[64];

        snprintf(at, sizeof at, "/%s", k->name);
        if (!json_is_number(v) || !(x >= k->min && x <= k->max))
            problem_error(ps, at, "must be a number from %g to %g%s", (double)k->min, (double)k->max,
                          v ? "" : "; it is missing");
        else
            *(float *)((char *)c + k->offset) = x;
    }
}

/* ---- keys with two spellings ---- */

/* qk_rope_head_dim, or partial_rotary_factor of head_dim. */
static void read_rope_dim(const json_t *root, struct model_config *c, struct problems *ps)
{
    const json_t *part = json_object_get(root, "partial_rotary_factor");

    c->rope_dim = (int)json_int(root, "qk_rope_head_dim", 0);
    if (!json_object_get(root, "qk_rope_head_dim") && json_is_number(part))
        c->rope_dim = (int)lrint(json_number_value(part) * c->head_dim);
    if (c->rope_dim < 2 || c->rope_dim % 2 || c->rope_dim > c->head_dim || c->rope_dim > c->index_dim)
        problem_error(ps, "/qk_rope_head_dim", "must be even, at least 2, at most head_dim and index_head_dim");
}

static double positive(const json_t *obj, const char *key, double absent)
{
    const json_t *v = json_object_get(obj, key);

    return json_is_number(v) ? json_number_value(v) : absent;
}

/* rope_theta, compress_rope_theta and rope_scaling; or rope_parameters { main, compress }. */
static void read_rope(const json_t *root, struct model_config *c, struct problems *ps)
{
    const json_t *both = json_object_get(root, "rope_parameters");
    const json_t *main = json_object_get(both, "main"), *compress = json_object_get(both, "compress");
    const json_t *yarn = compress ? compress : json_object_get(root, "rope_scaling");
    const char *type = json_cstr(yarn, "type", json_cstr(yarn, "rope_type", ""));

    c->rope_theta = positive(main ? main : root, "rope_theta", 0);
    c->compress_theta = positive(compress, "rope_theta", positive(root, "compress_rope_theta", 0));
    c->yarn_factor = positive(yarn, "factor", 0);
    c->yarn_original = positive(yarn, "original_max_position_embeddings", 0);
    c->yarn_beta_fast = positive(yarn, "beta_fast", 32);
    c->yarn_beta_slow = positive(yarn, "beta_slow", 1);
    if (!(c->rope_theta > 1))
        problem_error(ps, "/rope_theta", "must be a number above 1");
    if (!(c->compress_theta > 1))
        problem_error(ps, "/compress_rope_theta", "must be a number above 1");
    if (strcmp(type, "yarn") != 0 || !(c->yarn_factor >= 1) || !(c->yarn_original >= 1) ||
        !(c->yarn_beta_slow > 0) || !(c->yarn_beta_fast > c->yarn_beta_slow))
        problem_error(ps, "/rope_scaling", "must be of type \"yarn\" with factor and original_max_position_embeddings "
                      "of at least 1 and beta_fast > beta_slow > 0");
}

static int ratio_of(const json_t *v)
{
    const struct span type = json_value_span(v);

    if (span_is(type, "sliding_attention"))
        return RATIO_WINDOW;
    if (span_is(type, "compressed_sparse_attention"))
        return RATIO_CSA;
    if (span_is(type, "heavily_compressed_attention"))
        return RATIO_HCA;
    return json_is_integer(v) ? (int)json_integer_value(v) : -1;
}

/* compress_ratios (numbers) or layer_types (names), one a layer; the MTP block's may follow. */
static void read_ratios(const json_t *root, struct model_config *c, struct problems *ps)
{
    const char *key = json_object_get(root, "compress_ratios") ? "compress_ratios" : "layer_types";
    const json_t *list = json_object_get(root, key);
    char at[64];

    snprintf(at, sizeof at, "/%s", key);
    if (!json_is_array(list) || json_array_size(list) < (size_t)c->n_layers) {
        problem_error(ps, at, "must be a list with an entry a layer (%d)", c->n_layers);
        return;
    }
    for (int l = 0; l < c->n_layers; l++) {
        c->ratios[l] = ratio_of(json_array_get(list, (size_t)l));
        if (c->ratios[l] != RATIO_WINDOW && c->ratios[l] != RATIO_CSA && c->ratios[l] != RATIO_HCA)
            problem_error(ps, at, "must have 0, 4 or 128 for layer %d", l);
    }
}

/* num_hash_layers, or mlp_layer_types whose "hash_moe" come first. */
static void read_hash_layers(const json_t *root, struct model_config *c, struct problems *ps)
{
    const json_t *types = json_object_get(root, "mlp_layer_types");
    const int64_t n = json_int(root, "num_hash_layers", -1);

    if (n < 0 && json_is_array(types))
        while (span_is(json_value_span(json_array_get(types, (size_t)c->n_hash_layers)), "hash_moe"))
            c->n_hash_layers++;
    else
        c->n_hash_layers = (int)(n > c->n_layers ? -1 : n);
    if (c->n_hash_layers < 0 || c->n_hash_layers > c->n_layers)
        problem_error(ps, "/num_hash_layers", "must be a whole number from 0 to num_hidden_layers");
}

/* ---- what must hold ---- */

static void refuse_other(const json_t *root, const char *key, const char *wanted, struct problems *ps)
{
    const struct span got = json_span(root, key);
    char at[64];

    snprintf(at, sizeof at, "/%s", key);
    if (got.p && !span_is(got, wanted))
        problem_error(ps, at, "is \"%.*s\"; this engine computes \"%s\" only", SPAN_FMT(got), wanted);
}

static void check_fixed(const json_t *root, struct problems *ps)
{
    refuse_other(root, "model_type", "deepseek_v4", ps);
    refuse_other(root, "scoring_func", "sqrtsoftplus", ps);
    refuse_other(root, "hidden_act", "silu", ps);
    if (!json_bool(root, "norm_topk_prob", true))
        problem_error(ps, "/norm_topk_prob", "must be true");
    if (json_bool(root, "attention_bias", false))
        problem_error(ps, "/attention_bias", "must be false");
    if (json_bool(root, "tie_word_embeddings", false))
        problem_error(ps, "/tie_word_embeddings", "must be false");
    if (json_int(root, "num_key_value_heads", 1) != 1)
        problem_error(ps, "/num_key_value_heads", "must be 1");
    if (json_int(root, "n_shared_experts", 1) != 1)
        problem_error(ps, "/n_shared_experts", "must be 1");
}

static void check_together(const struct model_config *c, struct problems *ps)
{
    if (c->n_heads % c->o_groups)
        problem_error(ps, "/o_groups", "must divide num_attention_heads (%d), which %d does not", c->n_heads, c->o_groups);
    if (c->n_active > c->n_experts)
        problem_error(ps, "/num_experts_per_tok", "must be at most n_routed_experts (%d)", c->n_experts);
    if (c->index_dim & (c->index_dim - 1) || c->index_dim < 32)
        problem_error(ps, "/index_head_dim", "must be a power of two of at least 32");
    if (c->bos_id >= c->vocab || c->eos_id >= c->vocab)
        problem_error(ps, c->bos_id >= c->vocab ? "/bos_token_id" : "/eos_token_id", "must be below vocab_size (%d)",
                      c->vocab);
}

bool model_read_config(const char *path, struct model_config *out, struct problems *ps)
{
    const size_t before = ps->errors;
    char *text = NULL;
    size_t n = 0;
    json_t *root = json_read(path, CONFIG_BYTES_MAX, ps, &text, &n);

    *out = (struct model_config){ 0 };
    if (!root)
        return false;
    if (!json_is_object(root)) {
        problem_error(ps, "", "must be a JSON object");
        goto out;
    }
    read_ints(root, out, ps);
    read_floats(root, out, ps);
    check_fixed(root, ps);
    if (ps->errors > before)
        goto out;                /* the rest divides by and counts up to these */
    read_rope_dim(root, out, ps);
    read_rope(root, out, ps);
    read_ratios(root, out, ps);
    read_hash_layers(root, out, ps);
    check_together(out, ps);
out:
    problems_locate(ps, path, (struct span){ text, n });
    json_decref(root);
    free(text);
    return ps->errors == before;
}
