/* test_model.c - model folders that are damaged or do not fit: each is refused with a message that says what and where. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "engine/model.h"
#include "engine/testmodel.h"

/* ---- whole folders ---- */

/* Does a problem of `ps` mention both? */
static bool mentions(const struct problems *ps, const char *a, const char *b)
{
    for (size_t i = 0; i < ps->n; i++) {
        char line[2048];

        snprintf(line, sizeof line, "%s: %s: %s", ps->list[i].file, ps->list[i].pointer, ps->list[i].text);
        if (strstr(line, a) && strstr(line, b))
            return true;
    }
    return false;
}

/* The folder must be refused, and the message must hold both texts. */
static void assert_refused(const char *dir, const char *a, const char *b)
{
    struct problems ps;
    struct model *m;

    problems_init(&ps);
    m = model_open(dir, &ps);
    assert_null(m);
    assert_true(ps.errors > 0);
    if (!mentions(&ps, a, b)) {
        problems_print(&ps, stderr);
        fail_msg("no message with \"%s\" and \"%s\"", a, b);
    }
    problems_free(&ps);
}

static void a_whole_model_opens_without_a_word(void **state)
{
    static const struct testmodel shape = { .seed = 2 };
    char *dir = testmodel_write(&shape);
    struct problems ps;
    struct model *m;

    (void)state;
    problems_init(&ps);
    m = model_open(dir, &ps);
    assert_non_null(m);
    assert_int_equal(ps.errors + ps.warnings, 0);
    assert_int_equal(model_config(m)->n_layers, 4);
    assert_int_equal(model_layer(m, 1)->ratio, RATIO_CSA);
    assert_null(model_layer(m, 0)->gate_bias);
    assert_null(model_layer(m, 1)->tid2eid);
    assert_int_equal(model_layer(m, 1)->experts[5].w2.form, WEIGHT_FP4);
    assert_int_equal(model_layer(m, 1)->shared.w2.form, WEIGHT_FP8);
    model_free(m);
    problems_free(&ps);
    testmodel_remove(dir);
}

/* Same length, so that the header stays whole: one change a row. */
static void a_changed_header_or_config_is_refused_by_name(void **state)
{
    static const struct {
        const char *name, *file, *from, *to, *says, *and_says;
    } cases[] = {
        { "shape of a matrix", "model.safetensors", "layers.1.attn.wq_a.weight\":{\"dtype\":\"F8_E4M3\",\"shape\":[64,64]",
          "layers.1.attn.wq_a.weight\":{\"dtype\":\"F8_E4M3\",\"shape\":[32,128",
          "is no valid JSON", "model.safetensors" },
        { "transposed matrix", "model.safetensors", "wkv.weight\":{\"dtype\":\"F8_E4M3\",\"shape\":[80,64]",
          "wkv.weight\":{\"dtype\":\"F8_E4M3\",\"shape\":[64,80]", "layers.0.attn.wkv.weight",
          "must be F8_E4M3 [80, 64], found F8_E4M3 [64, 80]" },
        { "type of a matrix", "model.safetensors", "head.weight\":{\"dtype\":\"BF16\"", "head.weight\":{\"dtype\":\"I16\" ",
          "head.weight", "found another type [97, 64]" },
        { "type of a vector", "model.safetensors", "layers.1.attn.attn_sink\":{\"dtype\":\"F32\"",
          "layers.1.attn.attn_sink\":{\"dtype\":\"I32\"", "layers.1.attn.attn_sink", "must be F32, BF16 or F16 [4], found" },
        { "unknown type", "model.safetensors", "norm.weight\":{\"dtype\":\"BF16\"", "norm.weight\":{\"dtype\":\"BF61\"",
          "dtype", "BF61" },
        { "missing tensor", "model.safetensors", "layers.3.ffn.gate.bias", "layers.3.ffn.gate.biaz",
          "layers.3.ffn.gate.bias", "is missing" },
        { "missing scales", "model.safetensors", "layers.3.ffn.experts.4.w2.scale", "layers.3.ffn.experts.4.w2.skale",
          "layers.3.ffn.experts.4.w2.weight", "scales are missing" },
        { "shape of scales", "model.safetensors", "experts.2.w1.scale\":{\"dtype\":\"F8_E8M0\",\"shape\":[128,2]",
          "experts.2.w1.scale\":{\"dtype\":\"F8_E8M0\",\"shape\":[2,128]", "layers.0.ffn.experts.2.w1.scale",
          "must be F8_E8M0 [128, 2], found F8_E8M0 [2, 128]" },
        { "offsets of another size", "model.safetensors", "\"embed.weight\":{\"dtype\":\"BF16\",\"shape\":[97,64]",
          "\"embed.weight\":{\"dtype\":\"BF16\",\"shape\":[97,65]", "embed.weight", "has 12416 bytes" },
        { "negative offset", "model.safetensors", "\"data_offsets\":[0,", "\"data_offsets\":[-1", "embed.weight", "0 <= begin" },
        { "a size that overflows", "model.safetensors", "hc_head_fn\":{\"dtype\":\"F32\",\"shape\":[4,256]",
          "hc_head_fn\":{\"dtype\":\"F32\",\"shape\":[4,9e9]", "hc_head_fn", "shape" },
        { "an expert's number", "config.json", "\"n_routed_experts\":6", "\"n_routed_experts\":7",
          "layers.0.ffn.gate.weight", "must be BF16 [7, 64], found BF16 [6, 64]" },
        { "too few experts", "config.json", "\"n_routed_experts\":6", "\"n_routed_experts\":1", "config.json",
          "n_routed_experts" },
        { "more layers than tensors", "config.json", "\"num_hidden_layers\":4", "\"num_hidden_layers\":5",
          "layers.4", "is missing" },
        { "more layers than ratios", "config.json", "\"num_hidden_layers\":4", "\"num_hidden_layers\":6",
          "/compress_ratios", "an entry a layer (6)" },
        { "an unknown ratio", "config.json", "[0,4,128,4,0]", "[0,4,127,4,0]", "/compress_ratios", "layer 2" },
        { "a string for a number", "config.json", "\"hidden_size\":64", "\"hidden_size\":\"\"", "/hidden_size",
          "whole number" },
        { "a negative size", "config.json", "\"head_dim\":80", "\"head_dim\":-8", "/head_dim", "whole number" },
        { "odd rope", "config.json", "\"qk_rope_head_dim\":16", "\"qk_rope_head_dim\":15", "/qk_rope_head_dim", "even" },
        { "groups that do not divide", "config.json", "\"o_groups\":2", "\"o_groups\":3", "/o_groups", "divide" },
        { "an index head that is no power of two", "config.json", "\"index_head_dim\":32", "\"index_head_dim\":48",
          "/index_head_dim", "power of two" },
        { "another model", "config.json", "deepseek_v4", "deepseek_v3", "/model_type", "deepseek_v3" },
        { "another rope", "config.json", "\"yarn\"", "\"none\"", "/rope_scaling", "yarn" },
        { "broken JSON", "config.json", "{\"model_type\"", "{ model_type\"", "config.json", "is no valid JSON" },
        { "a hash table beyond the experts", "config.json", "\"num_hash_layers\":1", "\"num_hash_layers\":2",
          "layers.1.ffn.gate.tid2eid", "is missing" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static const struct testmodel shape = { .seed = 2 };
        char *dir = testmodel_write(&shape);

        print_message("%s\n", cases[i].name);
        assert_true(testmodel_patch(dir, cases[i].file, cases[i].from, cases[i].to));
        assert_refused(dir, cases[i].says, cases[i].and_says);
        testmodel_remove(dir);
    }
}

/* Each expert number of a hash layer must exist: a wrong one would read outside the experts. */
static void an_expert_number_out_of_range_is_refused(void **state)
{
    static const struct testmodel shape = { .seed = 2 };
    char *dir = testmodel_write(&shape);
    static const char pair[16] = { 3, 0, 0, 0, 0, 0, 0, 0, 4 };    /* the first row: experts 3 and 4 */
    char path[512], *bytes;
    FILE *f;
    long size;

    (void)state;
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    size = ftell(f);
    bytes = malloc((size_t)size);
    rewind(f);
    assert_int_equal(fread(bytes, 1, (size_t)size, f), size);
    fseek(f, (char *)memmem(bytes, (size_t)size, pair, sizeof pair) - bytes, SEEK_SET);
    fputc(6, f);                                             /* there are 6: 0 to 5 */
    fclose(f);
    free(bytes);
    assert_refused(dir, "layers.0.ffn.gate.tid2eid", "has 6 at [0, 0]; must be 0 to 5");
    testmodel_remove(dir);
}

static void a_file_cut_anywhere_is_refused(void **state)
{
    static const long cuts[] = { 0, 1, 7, 8, 9, 100, 10000, -100000, -1 };

    (void)state;
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        static const struct testmodel shape = { .seed = 2 };
        char *dir = testmodel_write(&shape);

        assert_true(testmodel_cut(dir, "model.safetensors", cuts[i]));
        assert_refused(dir, "model.safetensors", "");
        testmodel_remove(dir);
    }
}

static void a_folder_without_its_files_is_refused(void **state)
{
    static const struct testmodel shape = { .seed = 2, .two_files = true };
    char *dir = testmodel_write(&shape);
    char path[512];

    (void)state;
    assert_refused("/nonexistent/model", "config.json", "No such file");
    assert_true(testmodel_patch(dir, "model.safetensors.index.json", "\"two.safetensors\"", "\"tw/.safetensors\""));
    assert_refused(dir, "layers.1.attn.attn_sink", "a file in the same folder");
    assert_true(testmodel_patch(dir, "model.safetensors.index.json", "\"tw/.safetensors\"", "\"six.safetensors\""));
    assert_refused(dir, "six.safetensors", "No such file");
    assert_true(testmodel_patch(dir, "model.safetensors.index.json", "\"six.safetensors\"", "\"two.safetensors\""));
    assert_true(testmodel_patch(dir, "model.safetensors.index.json", "layers.3.attn.attn_sink", "layers.9.attn.attn_sink"));
    assert_refused(dir, "layers.9.attn.attn_sink", "has no such tensor");
    snprintf(path, sizeof path, "%s/model.safetensors.index.json", dir);
    assert_int_equal(remove(path), 0);
    assert_refused(dir, "model.safetensors", "No such file");
    testmodel_remove(dir);
}

/* What transformers writes on save (v4-checkpoint section 2). */
static void the_spellings_of_transformers_are_read(void **state)
{
    static const char text[] =
        "{\"model_type\":\"deepseek_v4\",\"vocab_size\":100,\"hidden_size\":64,\"num_hidden_layers\":3,"
        "\"num_attention_heads\":4,\"head_dim\":128,\"partial_rotary_factor\":0.125,\"q_lora_rank\":64,\"o_groups\":2,"
        "\"o_lora_rank\":32,\"sliding_window\":128,\"index_n_heads\":4,\"index_head_dim\":32,\"index_topk\":6,"
        "\"n_routed_experts\":6,\"num_experts_per_tok\":2,\"moe_intermediate_size\":64,\"hc_mult\":4,"
        "\"hc_sinkhorn_iters\":20,\"hc_eps\":1e-6,\"rms_norm_eps\":1e-6,\"routed_scaling_factor\":1.5,"
        "\"swiglu_limit\":10,\"max_position_embeddings\":4096,\"bos_token_id\":0,\"eos_token_id\":1,"
        "\"layer_types\":[\"sliding_attention\",\"compressed_sparse_attention\",\"heavily_compressed_attention\"],"
        "\"mlp_layer_types\":[\"hash_moe\",\"hash_moe\",\"moe\"],"
        "\"rope_parameters\":{\"main\":{\"rope_type\":\"default\",\"rope_theta\":10000},"
        "\"compress\":{\"rope_type\":\"yarn\",\"rope_theta\":160000,\"factor\":16,\"beta_fast\":32,\"beta_slow\":1,"
        "\"original_max_position_embeddings\":65536,\"attention_factor\":1.0}}}";
    static const struct testmodel shape = { .seed = 2 };
    char *dir = testmodel_write(&shape);
    char path[512];
    struct model_config c;
    struct problems ps;
    FILE *f;

    (void)state;
    snprintf(path, sizeof path, "%s/config.json", dir);
    f = fopen(path, "wb");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    problems_init(&ps);
    assert_true(model_read_config(path, &c, &ps));
    assert_int_equal(c.rope_dim, 16);
    assert_int_equal(c.n_hash_layers, 2);
    assert_int_equal(c.ratios[0], 0);
    assert_int_equal(c.ratios[1], 4);
    assert_int_equal(c.ratios[2], 128);
    assert_true(c.rope_theta == 10000 && c.compress_theta == 160000 && c.yarn_factor == 16);
    problems_free(&ps);
    testmodel_remove(dir);
}

/* ---- headers alone ---- */

/* A file of that header and `data_bytes` of data; the outcome of reading it. */
static bool read_header(const char *json, size_t data_bytes, struct problems *ps)
{
    struct tensor *list = NULL;
    char *names = NULL;
    size_t n = 0;
    struct buf file;
    const uint64_t length = strlen(json);
    bool ok;

    problems_init(ps);
    buf_init(&file, 1 << 20);
    buf_add(&file, &length, 8);
    buf_add_str(&file, json);
    for (size_t i = 0; i < data_bytes; i++)
        buf_add_char(&file, 0);
    ok = safetensors_read_header(buf_span(&file), 0, &list, &n, &names, ps);
    free(list);
    free(names);
    buf_free(&file);
    return ok;
}

static void headers_are_taken_or_refused_by_the_rules(void **state)
{
    static const struct {
        const char *json;
        size_t data;
        bool ok;
    } cases[] = {
        { "{}", 0, true },
        { "{\"__metadata__\":{\"format\":\"pt\"}}", 0, true },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}", 24, true },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4, true },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[0,3],\"data_offsets\":[4,4]}}", 4, true },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4, true },
        { "[]", 0, false },
        { "{\"a\":5}", 0, false },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}", 23, false },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,25]}}", 30, false },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[24,0]}}", 30, false },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[-24,0]}}", 30, false },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24,48]}}", 99, false },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24.0]}}", 99, false },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,-3],\"data_offsets\":[0,24]}}", 24, false },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1],\"data_offsets\":[0,4]}}", 4, false },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 4, false },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}", 4, false },
        { "{\"a\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, false },
        { "{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, false },
        { "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, false },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, false },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
          "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, false },
        { "{\"a\":", 0, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct problems ps;

        if (read_header(cases[i].json, cases[i].data, &ps) != cases[i].ok)
            fail_msg("%s", cases[i].json);
        assert_int_equal(ps.errors > 0, !cases[i].ok);
        problems_free(&ps);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_model_opens_without_a_word),
        cmocka_unit_test(a_changed_header_or_config_is_refused_by_name),
        cmocka_unit_test(an_expert_number_out_of_range_is_refused),
        cmocka_unit_test(a_file_cut_anywhere_is_refused),
        cmocka_unit_test(a_folder_without_its_files_is_refused),
        cmocka_unit_test(the_spellings_of_transformers_are_read),
        cmocka_unit_test(headers_are_taken_or_refused_by_the_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
