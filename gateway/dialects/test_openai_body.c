/* test_openai_body.c - a body passes byte for byte but for what a host demands; one of another dialect is said in full. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "gateway/dialects/openai.h"

#define OK_MESSAGES "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]"

static const struct traits traits = { .thinking = THINKING_EFFORT, .thinking_off = true, .sampling = true, .penalties = true,
                                      .stop = true, .prefill = true, .url_media = true, .schema = true, .forced_tools = true };

struct said {
    struct arena arena;
    struct chat chat;
    struct fault fault;
};

static void ask(struct said *a, const char *body)
{
    struct jscan *s = jscan_new(&jscan_default_limits, 7);

    assert_int_not_equal(jscan_feed(s, span_str(body)), JSCAN_BAD);
    assert_int_equal(jscan_end(s), JSCAN_DONE);
    jscan_free(s);
    arena_init(&a->arena, 1u << 20);
    a->fault = (struct fault){ 0 };
    chat_init(&a->chat, DIALECT_CHAT, span_str(body));
    if (!openai_parse(&a->chat, &(struct parse_spec){ .arena = &a->arena, .fault = &a->fault }))
        fail_msg("%s: %s", body, a->fault.message);
}

/* ---- bodies that pass ---- */

static void assert_passes(const char *body, const struct target *target, const char *want)
{
    struct said a;
    struct request_out out;
    struct buf got, anew;

    ask(&a, body);
    buf_init(&got, 1u << 20);
    buf_init(&anew, 1u << 20);
    out = (struct request_out){ .arena = &a.arena, .body = &anew, .fault = &a.fault };
    assert_true(openai_pass_request(&a.chat, target, &out));
    for (size_t i = 0; i < out.n_pieces; i++)
        buf_add_span(&got, out.pieces[i]);
    assert_string_equal(got.p, want);
    buf_free(&got);
    buf_free(&anew);
    arena_free(&a.arena);
}

static void only_the_model_changes_where_nothing_else_must(void **state)
{
    const struct quirks q = { .stream_usage = STREAM_USAGE_ASK, .developer_role = true };
    const struct target c = { .model = SPAN_LIT("up\"stream"), .quirks = &q, .traits = &traits };

    (void)state;
    assert_passes(" { \"x\" : 12345678901234567890 , \"model\" : \"auto\" , " OK_MESSAGES " } \n", &c,
                " { \"x\" : 12345678901234567890 , \"model\" : \"up\\\"stream\" , " OK_MESSAGES " } \n");
}

static void usage_is_asked_for_in_every_stream(void **state)
{
    const struct quirks q = { .stream_usage = STREAM_USAGE_ASK };
    const struct target c = { .model = SPAN_LIT("u"), .quirks = &q, .traits = &traits };

    (void)state;
    assert_passes("{\"model\":\"m\",\"stream\":true," OK_MESSAGES "}", &c,
                "{\"model\":\"u\",\"stream\":true," OK_MESSAGES ",\"stream_options\":{\"include_usage\":true}}");
    assert_passes("{\"model\":\"m\",\"stream\":true,\"stream_options\":null," OK_MESSAGES "}", &c,
                "{\"model\":\"u\",\"stream\":true,\"stream_options\":{\"include_usage\":true}," OK_MESSAGES "}");
    assert_passes("{\"model\":\"m\",\"stream\":true,\"stream_options\":{}," OK_MESSAGES "}", &c,
                "{\"model\":\"u\",\"stream\":true,\"stream_options\":{\"include_usage\":true}," OK_MESSAGES "}");
    assert_passes("{\"stream_options\":{\"include_obfuscation\":false,\"include_usage\":false},\"model\":\"m\",\"stream\":true,"
                OK_MESSAGES "}", &c,
                "{\"stream_options\":{\"include_obfuscation\":false,\"include_usage\":true},\"model\":\"u\",\"stream\":true,"
                OK_MESSAGES "}");
    assert_passes("{\"stream_options\":{\"include_obfuscation\":false},\"model\":\"m\",\"stream\":true," OK_MESSAGES "}", &c,
                "{\"stream_options\":{\"include_usage\":true,\"include_obfuscation\":false},\"model\":\"u\",\"stream\":true,"
                OK_MESSAGES "}");
}

static void a_cap_is_added_or_lowered_never_raised(void **state)
{
    const struct quirks old = { .max_tokens_field = MAX_TOKENS }, new = { .max_tokens_field = MAX_COMPLETION_TOKENS };
    const struct target c = { .model = SPAN_LIT("u"), .output_cap = 100, .quirks = &old, .traits = &traits };
    const struct target n = { .model = SPAN_LIT("u"), .output_cap = 100, .quirks = &new, .traits = &traits };

    (void)state;
    assert_passes("{\"model\":\"m\"," OK_MESSAGES "}", &c, "{\"model\":\"u\"," OK_MESSAGES ",\"max_tokens\":100}");
    assert_passes("{\"model\":\"m\"," OK_MESSAGES "}", &n, "{\"model\":\"u\"," OK_MESSAGES ",\"max_completion_tokens\":100}");
    assert_passes("{\"model\":\"m\",\"max_tokens\":7," OK_MESSAGES "}", &c, "{\"model\":\"u\",\"max_tokens\":7," OK_MESSAGES "}");
    assert_passes("{\"model\":\"m\",\"max_completion_tokens\":900," OK_MESSAGES "}", &c,
                "{\"model\":\"u\",\"max_completion_tokens\":100," OK_MESSAGES "}");
    assert_passes("{\"model\":\"m\",\"max_tokens\":null," OK_MESSAGES "}", &c,
                "{\"model\":\"u\",\"max_tokens\":100," OK_MESSAGES "}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_model_changes_where_nothing_else_must),
        cmocka_unit_test(usage_is_asked_for_in_every_stream),
        cmocka_unit_test(a_cap_is_added_or_lowered_never_raised),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
