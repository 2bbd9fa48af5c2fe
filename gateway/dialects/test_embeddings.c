/* test_embeddings.c - inputs are checked and counted, vectors pass untouched, usage is the prompt's alone. Facts:
 * wire/embeddings-batches-files section 1. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "gateway/dialects/embeddings.h"

static const struct quirks quirks = { .stream_usage = STREAM_USAGE_ASK };
static const struct target target = { .model = SPAN_LIT("u"), .quirks = &quirks, .output_cap = 100 };

struct said {
    struct arena arena;
    struct chat chat;
    struct fault fault;
    bool ok;
};

static void ask(struct said *a, const char *body)
{
    arena_init(&a->arena, 1u << 20);
    a->fault = (struct fault){ 0 };
    chat_init(&a->chat, DIALECT_EMBEDDINGS, span_str(body));
    a->ok = embeddings_dialect.parse(&a->chat, &(struct parse_spec){ .arena = &a->arena, .fault = &a->fault });
}

static void inputs_of_every_form_are_counted(void **state)
{
    static const struct { const char *input; size_t bytes, inputs; } table[] = {
        { "\"abc\"", 3, 1 }, { "[\"a\",\"bcd\"]", 4, 2 }, { "[1,2,3]", 3, 1 }, { "[[1,2],[3,4,5]]", 5, 2 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct said a;
        char body[256];

        snprintf(body, sizeof body, "{\"model\":\"m\",\"input\":%s,\"encoding_format\":\"base64\",\"dimensions\":256}", table[i].input);
        ask(&a, body);
        assert_true(a.ok);
        assert_int_equal(a.chat.text_bytes, table[i].bytes);
        assert_int_equal(a.chat.n_messages, table[i].inputs);
        assert_false(a.chat.stream);
        arena_free(&a.arena);
    }
}

static void each_fault_names_its_field(void **state)
{
    static const struct { const char *members, *param; } table[] = {
        { "\"x\":1", "input" },
        { "\"input\":\"\"", "input" },
        { "\"input\":null", "input" },
        { "\"input\":[]", "input" },
        { "\"input\":[\"a\",\"\"]", "input" },
        { "\"input\":[[]]", "input" },
        { "\"input\":[1,\"a\"]", "input" },
        { "\"input\":[1.5]", "input" },
        { "\"input\":{\"text\":\"a\"}", "input" },
        { "\"input\":\"a\",\"encoding_format\":\"hex\"", "encoding_format" },
        { "\"input\":\"a\",\"dimensions\":0", "dimensions" },
        { "\"input\":\"a\",\"user\":7", "user" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct said a;
        char body[256];

        snprintf(body, sizeof body, "{\"model\":\"m\",%s}", table[i].members);
        ask(&a, body);
        if (a.ok || strcmp(a.fault.param, table[i].param) != 0)
            print_error("%s gave \"%s\"\n", body, a.fault.param);
        assert_false(a.ok);
        assert_int_equal(a.fault.status, 400);
        assert_string_equal(a.fault.param, table[i].param);
        arena_free(&a.arena);
    }
}

static void more_inputs_than_openai_takes_are_refused(void **state)
{
    struct said a;
    struct buf b;

    (void)state;
    for (int n = EMBEDDINGS_INPUTS_MAX; n <= EMBEDDINGS_INPUTS_MAX + 1; n++) {
        buf_init(&b, 65536);
        buf_add_str(&b, "{\"model\":\"m\",\"input\":[");
        for (int i = 0; i < n; i++)
            buf_add_str(&b, i ? ",\"a\"" : "\"a\"");
        buf_add_str(&b, "]}");
        ask(&a, b.p);
        assert_int_equal(a.ok, n == EMBEDDINGS_INPUTS_MAX);
        arena_free(&a.arena);
        buf_free(&b);
    }
}

static void the_model_alone_changes(void **state)
{
    struct request_out out;
    struct said a;
    struct buf got;

    (void)state;
    ask(&a, "{ \"input\" : [ 1,2 ],\"model\":\"m\",\"input_type\":\"query\"}\n");
    assert_true(a.ok);
    out = (struct request_out){ .arena = &a.arena, .fault = &a.fault };
    assert_true(embeddings_dialect.pass_request(&a.chat, &target, &out));
    buf_init(&got, 65536);
    for (size_t i = 0; i < out.n_pieces; i++)
        buf_add_span(&got, out.pieces[i]);
    assert_string_equal(got.p, "{ \"input\" : [ 1,2 ],\"model\":\"u\",\"input_type\":\"query\"}\n");
    buf_free(&got);
    arena_free(&a.arena);
}

static void usage_is_the_prompts_alone(void **state)
{
    static const struct { const char *usage; bool has; int64_t input; bool mended; } table[] = {
        { "{\"prompt_tokens\":8,\"total_tokens\":8}", true, 8, false },
        { "{\"prompt_tokens\":8}", true, 8, false },
        { "{\"total_tokens\":9}", true, 9, false },
        { "{\"prompt_tokens\":8,\"total_tokens\":9}", true, 8, true },
        { "{\"prompt_tokens\":-8}", false, 0, false },
        { "null", false, 0, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const struct usage want = { .input = table[i].input };
        struct draft d;
        char json[256];

        snprintf(json, sizeof json, "{\"object\":\"list\",\"model\":\"e-1\",\"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":"
                 "[0.1,-2e-3]}],\"usage\":%s}", table[i].usage);
        draft_init(&d);
        assert_true(embeddings_dialect.read_whole(&d, span_str(json), &target));
        assert_int_equal(d.has_usage, table[i].has);
        assert_memory_equal(&d.usage, &want, sizeof want);
        assert_int_equal(d.usage_mended, table[i].mended);
        assert_string_equal(d.model, "e-1");
        assert_int_equal(d.generated_bytes, 0);
        draft_free(&d);
    }
}

static void what_is_no_list_is_not_read_as_one(void **state)
{
    static const char *const table[] = { "[]", "{}", "{\"data\":{}}", "7" };
    struct draft d;

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        draft_init(&d);
        assert_false(embeddings_dialect.read_whole(&d, span_str(table[i]), &target));
        draft_free(&d);
    }
    draft_init(&d);
    assert_true(embeddings_dialect.read_whole(&d, SPAN_LIT("{\"object\":\"error\",\"message\":\"no\"}"), &target));
    assert_true(d.has_error);
    draft_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inputs_of_every_form_are_counted),
        cmocka_unit_test(each_fault_names_its_field),
        cmocka_unit_test(more_inputs_than_openai_takes_are_refused),
        cmocka_unit_test(the_model_alone_changes),
        cmocka_unit_test(usage_is_the_prompts_alone),
        cmocka_unit_test(what_is_no_list_is_not_read_as_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
