/* test_completions.c - the legacy dialect is checked, bounded and passed; its answers are read for text, end and usage. Facts:
 * wire/openai-chat section 11. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "gateway/dialects/completions.h"

static const struct quirks quirks = { .stream_usage = STREAM_USAGE_ASK, .reasoning_in_output_count = true };
static const struct target target = { .model = SPAN_LIT("u"), .quirks = &quirks };

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
    chat_init(&a->chat, DIALECT_COMPLETIONS, span_str(body));
    a->ok = completions_dialect.parse(&a->chat, &(struct parse_spec){ .arena = &a->arena, .fault = &a->fault });
}

static void what_bounds_the_cost_is_read(void **state)
{
    static const struct { const char *members; int64_t n, max_tokens; size_t bytes, prompts; } table[] = {
        { "\"prompt\":\"abc\"", 1, 16, 3, 1 },
        { "\"prompt\":null,\"max_tokens\":5", 1, 5, 0, 1 },
        { "\"prompt\":[\"ab\",\"cde\"],\"n\":3", 6, 16, 5, 2 },
        { "\"prompt\":[1,2,3,4]", 1, 16, 4, 1 },
        { "\"prompt\":[[1,2],[3]],\"best_of\":4,\"n\":2", 8, 16, 3, 2 },
        { "\"prompt\":\"a\",\"suffix\":\"bcd\",\"echo\":true,\"max_tokens\":0", 1, 1, 4, 1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct said a;
        char body[256];

        snprintf(body, sizeof body, "{\"model\":\"m\",%s}", table[i].members);
        ask(&a, body);
        if (!a.ok)
            print_error("%s: %s\n", body, a.fault.message);
        assert_true(a.ok);
        assert_int_equal(a.chat.n, table[i].n);
        assert_int_equal(a.chat.max_tokens, table[i].max_tokens);
        assert_int_equal(a.chat.text_bytes, table[i].bytes);
        assert_int_equal(a.chat.n_messages, table[i].prompts);
        arena_free(&a.arena);
    }
}

static void each_fault_names_its_field(void **state)
{
    static const struct { const char *members, *param; } table[] = {
        { "\"x\":1", "prompt" },
        { "\"prompt\":{}", "prompt" },
        { "\"prompt\":[]", "prompt" },
        { "\"prompt\":[[]]", "prompt" },
        { "\"prompt\":[1,\"a\"]", "prompt" },
        { "\"prompt\":[\"a\",null]", "prompt" },
        { "\"prompt\":[-1]", "prompt" },
        { "\"prompt\":\"a\",\"max_tokens\":-1", "max_tokens" },
        { "\"prompt\":\"a\",\"logprobs\":6", "logprobs" },
        { "\"prompt\":\"a\",\"logprobs\":true", "logprobs" },
        { "\"prompt\":\"a\",\"n\":2,\"best_of\":1", "best_of" },
        { "\"prompt\":\"a\",\"best_of\":2,\"stream\":true", "best_of" },
        { "\"prompt\":\"a\",\"echo\":\"yes\"", "echo" },
        { "\"prompt\":\"a\",\"stop\":[1]", "stop" },
        { "\"prompt\":\"a\",\"suffix\":1", "suffix" },
        { "\"prompt\":\"a\",\"temperature\":3", "temperature" },
        { "\"prompt\":\"a\",\"stream_options\":{}", "stream_options" },
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

static void assert_passes(const char *body, int64_t cap, const char *want)
{
    struct target t = target;
    struct request_out out;
    struct said a;
    struct buf got;

    ask(&a, body);
    assert_true(a.ok);
    t.output_cap = cap;
    out = (struct request_out){ .arena = &a.arena, .fault = &a.fault };
    assert_true(completions_dialect.pass_request(&a.chat, &t, &out));
    buf_init(&got, 65536);
    for (size_t i = 0; i < out.n_pieces; i++)
        buf_add_span(&got, out.pieces[i]);
    assert_string_equal(got.p, want);
    buf_free(&got);
    arena_free(&a.arena);
}

static void a_body_passes_with_its_cap_said(void **state)
{
    (void)state;
    assert_passes("{\"model\":\"m\", \"prompt\": [1, 2],\"x\":1.50}", 0, "{\"model\":\"u\", \"prompt\": [1, 2],\"x\":1.50,\"max_tokens\":16}");
    assert_passes("{\"model\":\"m\",\"prompt\":\"a\",\"max_tokens\":null}", 0, "{\"model\":\"u\",\"prompt\":\"a\",\"max_tokens\":16}");
    assert_passes("{\"model\":\"m\",\"prompt\":\"a\",\"max_tokens\":900}", 100, "{\"model\":\"u\",\"prompt\":\"a\",\"max_tokens\":100}");
    assert_passes("{\"model\":\"m\",\"prompt\":\"a\",\"max_tokens\":9,\"stream\":true}", 100,
                  "{\"model\":\"u\",\"prompt\":\"a\",\"max_tokens\":9,\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
    assert_passes("{\"model\":\"m\",\"prompt\":\"a\",\"stream\":true,\"stream_options\":{\"include_usage\":false}}", 0,
                  "{\"model\":\"u\",\"prompt\":\"a\",\"stream\":true,\"stream_options\":{\"include_usage\":true},\"max_tokens\":16}");
}

static void answers_are_read_whole_and_streamed_alike(void **state)
{
    static const char *const chunks[] = {
        "{\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"model\":\"m-1\",\"choices\":[{\"text\":\"a\\n\",\"index\":0,\"finish_reason\":null}]}",
        "{\"choices\":[{\"text\":\"zz\",\"index\":1,\"finish_reason\":\"stop\"}]}",
        "{\"choices\":[{\"text\":\"b\",\"index\":0,\"logprobs\":null,\"finish_reason\":\"length\"}]}",
        "{\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":7,\"total_tokens\":12}}",
    };
    struct draft a, b;

    (void)state;
    draft_init(&a);
    draft_init(&b);
    for (size_t i = 0; i < 4; i++)
        assert_true(completions_dialect.read_event(&a, SPAN_NONE, span_str(chunks[i]), &target));
    assert_true(completions_dialect.read_whole(&b, SPAN_LIT("{\"id\":\"cmpl-1\",\"model\":\"m-1\",\"choices\":[{\"text\":\"a\\nb\","
        "\"index\":0,\"finish_reason\":\"length\"},{\"text\":\"zz\",\"index\":1,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":5,"
        "\"completion_tokens\":7,\"total_tokens\":12}}"), &target));
    assert_true(span_is(buf_span(&a.text), "a\nb") && span_is(buf_span(&b.text), "a\nb"));
    assert_int_equal(a.finish, FINISH_LENGTH);
    assert_int_equal(b.finish, FINISH_LENGTH);
    assert_int_equal(a.usage.input, 5);
    assert_int_equal(a.usage.output, 7);
    assert_memory_equal(&a.usage, &b.usage, sizeof a.usage);
    assert_int_equal(a.generated_bytes, b.generated_bytes);
    assert_string_equal(a.model, "m-1");
    draft_free(&a);
    draft_free(&b);
}

static void what_is_no_completion_is_not_read_as_one(void **state)
{
    static const char *const table[] = { "[]", "{}", "{\"choices\":{}}", "{\"choices\":[1]}", "{\"choices\":null}" };
    struct draft d;

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        draft_init(&d);
        assert_false(completions_dialect.read_whole(&d, span_str(table[i]), &target));
        draft_free(&d);
    }
    draft_init(&d);
    assert_true(completions_dialect.read_whole(&d, SPAN_LIT("{\"error\":{\"message\":\"no\",\"code\":\"c\"}}"), &target));
    assert_true(d.has_error);
    assert_string_equal(d.error_code, "c");
    draft_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_bounds_the_cost_is_read),
        cmocka_unit_test(each_fault_names_its_field),
        cmocka_unit_test(a_body_passes_with_its_cap_said),
        cmocka_unit_test(answers_are_read_whole_and_streamed_alike),
        cmocka_unit_test(what_is_no_completion_is_not_read_as_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
