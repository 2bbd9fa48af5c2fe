/* test_openai_chat.c - what a caller sends is read, checked with its place named, and passed on byte for byte. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/jscan.h"
#include "gateway/dialects/openai_chat.h"

#define OK_MESSAGES "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]"

struct read {
    struct arena arena;
    struct chat chat;
    struct fault fault;
    struct buf texts;
    bool ok;
};

static void gather(void *ctx, struct span role, struct span text)
{
    struct buf *b = ctx;

    buf_add_span(b, role);
    buf_add_char(b, '=');
    buf_add_span(b, text);
    buf_add_char(b, '|');
}

static void read_body(struct read *r, const char *body)
{
    struct jscan *s = jscan_new(&jscan_default_limits, 7);

    assert_int_not_equal(jscan_feed(s, span_str(body)), JSCAN_BAD);
    assert_int_equal(jscan_end(s), JSCAN_DONE);
    jscan_free(s);
    arena_init(&r->arena, 1u << 20);
    buf_init(&r->texts, 1u << 20);
    r->fault = (struct fault){ 0 };
    r->ok = openai_chat_parse(span_str(body), &r->arena, &r->chat, gather, &r->texts, &r->fault);
}

static void done(struct read *r)
{
    arena_free(&r->arena);
    buf_free(&r->texts);
}

static void facts_of_a_whole_request_are_found(void **state)
{
    struct read r;

    (void)state;
    read_body(&r, "{\"model\":\"a\\u0075to\",\"stream\":true,\"stream_options\":{\"include_usage\":true},\"n\":2,"
                  "\"max_tokens\":50,\"max_completion_tokens\":40,\"response_format\":{\"type\":\"json_object\"},"
                  "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"get_w\",\"parameters\":{}}},"
                  "{\"type\":\"custom\",\"custom\":{\"name\":\"run\"}}],"
                  "\"messages\":[{\"role\":\"system\",\"content\":\"Be brief\"},"
                  "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\\nb\"},"
                  "{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://x/y.png\"}}]},"
                  "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\"}]},"
                  "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"7\"}]}");
    assert_true(r.ok);
    assert_true(span_is(r.chat.model, "auto"));
    assert_true(r.chat.stream && r.chat.usage_asked && r.chat.json_asked);
    assert_int_equal(r.chat.n, 2);
    assert_int_equal(r.chat.max_tokens, 40);
    assert_int_equal(r.chat.n_tools, 2);
    assert_true(span_is(r.chat.tool_names[0], "get_w") && span_is(r.chat.tool_names[1], "run"));
    assert_int_equal(r.chat.n_messages, 4);
    assert_int_equal(r.chat.n_user_turns, 1);
    assert_int_equal(r.chat.n_images, 1);
    assert_string_equal(r.texts.p, "system=Be brief|user=a\nb|tool=7|");
    done(&r);
}

static void each_fault_names_its_field(void **state)
{
    static const struct { const char *body, *param; } table[] = {
        { "[]", "" },
        { "{" OK_MESSAGES "}", "model" },
        { "{\"model\":\"\"," OK_MESSAGES "}", "model" },
        { "{\"model\":7," OK_MESSAGES "}", "model" },
        { "{\"model\":\"m\"}", "messages" },
        { "{\"model\":\"m\",\"messages\":[]}", "messages" },
        { "{\"model\":\"m\",\"messages\":{}}", "messages" },
        { "{\"model\":\"m\",\"messages\":[7]}", "messages[0]" },
        { "{\"model\":\"m\",\"messages\":[{\"content\":\"x\"}]}", "messages[0].role" },
        { "{\"model\":\"m\",\"messages\":[{\"role\":\"robot\",\"content\":\"x\"}]}", "messages[0].role" },
        { "{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}]}", "messages[0].content" },
        { "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":null}]}", "messages[0].content" },
        { "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[]}]}", "messages[0].content" },
        { "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{}]}]}", "messages[0].content[0].type" },
        { "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]}",
          "messages[0].content[0].text" },
        { "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]}",
          "messages[0].content[0].image_url.url" },
        { "{\"model\":\"m\",\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]}", "messages[0].tool_call_id" },
        { "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{}]}]}", "messages[0].tool_calls[0].id" },
        { "{\"model\":\"m\",\"stream\":\"yes\"," OK_MESSAGES "}", "stream" },
        { "{\"model\":\"m\",\"stream_options\":{}," OK_MESSAGES "}", "stream_options" },
        { "{\"model\":\"m\",\"temperature\":2.5," OK_MESSAGES "}", "temperature" },
        { "{\"model\":\"m\",\"top_p\":-0.1," OK_MESSAGES "}", "top_p" },
        { "{\"model\":\"m\",\"max_tokens\":0," OK_MESSAGES "}", "max_tokens" },
        { "{\"model\":\"m\",\"max_tokens\":1.5," OK_MESSAGES "}", "max_tokens" },
        { "{\"model\":\"m\",\"max_completion_tokens\":\"9\"," OK_MESSAGES "}", "max_completion_tokens" },
        { "{\"model\":\"m\",\"n\":129," OK_MESSAGES "}", "n" },
        { "{\"model\":\"m\",\"seed\":\"x\"," OK_MESSAGES "}", "seed" },
        { "{\"model\":\"m\",\"stop\":[1]," OK_MESSAGES "}", "stop" },
        { "{\"model\":\"m\",\"logprobs\":1," OK_MESSAGES "}", "logprobs" },
        { "{\"model\":\"m\",\"top_logprobs\":21," OK_MESSAGES "}", "top_logprobs" },
        { "{\"model\":\"m\",\"logit_bias\":{\"5\":101}," OK_MESSAGES "}", "logit_bias" },
        { "{\"model\":\"m\",\"tools\":{}," OK_MESSAGES "}", "tools" },
        { "{\"model\":\"m\",\"tools\":[{\"type\":\"function\"}]," OK_MESSAGES "}", "tools[0].function" },
        { "{\"model\":\"m\",\"tools\":[{\"type\":\"function\",\"function\":{}}]," OK_MESSAGES "}", "tools[0].function.name" },
        { "{\"model\":\"m\",\"tool_choice\":\"maybe\"," OK_MESSAGES "}", "tool_choice" },
        { "{\"model\":\"m\",\"response_format\":{\"type\":\"xml\"}," OK_MESSAGES "}", "response_format.type" },
        { "{\"model\":\"m\",\"response_format\":{\"type\":\"json_schema\"}," OK_MESSAGES "}", "response_format.json_schema" },
        { "{\"model\":\"m\",\"user\":7," OK_MESSAGES "}", "user" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct read r;

        read_body(&r, table[i].body);
        if (r.ok || r.fault.status != 400 || strcmp(r.fault.param, table[i].param) != 0)
            print_error("%s gave %d at \"%s\"\n", table[i].body, r.fault.status, r.fault.param);
        assert_false(r.ok);
        assert_int_equal(r.fault.status, 400);
        assert_string_equal(r.fault.param, table[i].param);
        done(&r);
    }
}

static void null_and_newer_kinds_are_not_faults(void **state)
{
    struct read r;

    (void)state;
    read_body(&r, "{\"model\":\"m\",\"temperature\":null,\"stop\":null,\"tools\":null,\"stream\":null,\"stream_options\":null,"
                  "\"max_tokens\":null,\"new_field\":{\"a\":[1]},\"messages\":[{\"role\":\"user\",\"content\":"
                  "[{\"type\":\"hologram\",\"x\":1}]},{\"role\":\"assistant\",\"content\":\"\"}]}");
    assert_true(r.ok);
    done(&r);
}

/* A text of more than 64 KiB with escapes is cut for the features, never within an escape. */
static void a_long_escaped_text_is_cut_between_escapes(void **state)
{
    static char body[300000];
    size_t n = (size_t)snprintf(body, sizeof body, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"");
    struct read r;

    (void)state;
    for (int i = 0; i < 20000; i++, n += 9)
        memcpy(body + n, "\\u00e4\\\\x", 9);
    memcpy(body + n, "\"}]}", 5);
    read_body(&r, body);
    assert_true(r.ok);
    assert_true(r.texts.n > 20000 && r.texts.n < 65600);
    assert_int_equal((unsigned char)r.texts.p[5], 0xc3);
    done(&r);
}

/* ---- the body of an upstream call ---- */

static void assert_body(const char *body, const struct openai_chat_changes *changes, const char *want)
{
    struct span pieces[OPENAI_CHAT_PIECES_MAX];
    struct read r;
    struct buf got;
    size_t n;

    read_body(&r, body);
    assert_true(r.ok);
    buf_init(&got, 1u << 20);
    n = openai_chat_body(&r.chat, changes, &r.arena, pieces);
    assert_in_range(n, 1, OPENAI_CHAT_PIECES_MAX);
    for (size_t i = 0; i < n; i++)
        buf_add_span(&got, pieces[i]);
    assert_string_equal(got.p, want);
    buf_free(&got);
    done(&r);
}

static void only_the_model_changes_where_nothing_else_must(void **state)
{
    const struct openai_chat_changes c = { .model = SPAN_LIT("up\"stream"), .max_tokens_field = "max_tokens" };

    (void)state;
    assert_body(" { \"x\" : 12345678901234567890 , \"model\" : \"auto\" , " OK_MESSAGES " } \n", &c,
                " { \"x\" : 12345678901234567890 , \"model\" : \"up\\\"stream\" , " OK_MESSAGES " } \n");
}

static void usage_is_asked_for_in_every_stream(void **state)
{
    const struct openai_chat_changes c = { .model = SPAN_LIT("u"), .want_usage = true, .max_tokens_field = "max_tokens" };

    (void)state;
    assert_body("{\"model\":\"m\",\"stream\":true," OK_MESSAGES "}", &c,
                "{\"model\":\"u\",\"stream\":true," OK_MESSAGES ",\"stream_options\":{\"include_usage\":true}}");
    assert_body("{\"model\":\"m\",\"stream\":true,\"stream_options\":null," OK_MESSAGES "}", &c,
                "{\"model\":\"u\",\"stream\":true,\"stream_options\":{\"include_usage\":true}," OK_MESSAGES "}");
    assert_body("{\"model\":\"m\",\"stream\":true,\"stream_options\":{}," OK_MESSAGES "}", &c,
                "{\"model\":\"u\",\"stream\":true,\"stream_options\":{\"include_usage\":true}," OK_MESSAGES "}");
    assert_body("{\"stream_options\":{\"include_obfuscation\":false,\"include_usage\":false},\"model\":\"m\",\"stream\":true,"
                OK_MESSAGES "}", &c,
                "{\"stream_options\":{\"include_obfuscation\":false,\"include_usage\":true},\"model\":\"u\",\"stream\":true,"
                OK_MESSAGES "}");
    assert_body("{\"stream_options\":{\"include_obfuscation\":false},\"model\":\"m\",\"stream\":true," OK_MESSAGES "}", &c,
                "{\"stream_options\":{\"include_usage\":true,\"include_obfuscation\":false},\"model\":\"u\",\"stream\":true,"
                OK_MESSAGES "}");
}

static void a_cap_is_added_or_lowered_never_raised(void **state)
{
    const struct openai_chat_changes c = { .model = SPAN_LIT("u"), .max_tokens = 100, .max_tokens_field = "max_tokens" };
    const struct openai_chat_changes n = { .model = SPAN_LIT("u"), .max_tokens = 100,
                                           .max_tokens_field = "max_completion_tokens" };

    (void)state;
    assert_body("{\"model\":\"m\"," OK_MESSAGES "}", &c, "{\"model\":\"u\"," OK_MESSAGES ",\"max_tokens\":100}");
    assert_body("{\"model\":\"m\"," OK_MESSAGES "}", &n, "{\"model\":\"u\"," OK_MESSAGES ",\"max_completion_tokens\":100}");
    assert_body("{\"model\":\"m\",\"max_tokens\":7," OK_MESSAGES "}", &c, "{\"model\":\"u\",\"max_tokens\":7," OK_MESSAGES "}");
    assert_body("{\"model\":\"m\",\"max_completion_tokens\":900," OK_MESSAGES "}", &c,
                "{\"model\":\"u\",\"max_completion_tokens\":100," OK_MESSAGES "}");
    assert_body("{\"model\":\"m\",\"max_tokens\":null," OK_MESSAGES "}", &c,
                "{\"model\":\"u\",\"max_tokens\":100," OK_MESSAGES "}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_of_a_whole_request_are_found),
        cmocka_unit_test(each_fault_names_its_field),
        cmocka_unit_test(null_and_newer_kinds_are_not_faults),
        cmocka_unit_test(a_long_escaped_text_is_cut_between_escapes),
        cmocka_unit_test(only_the_model_changes_where_nothing_else_must),
        cmocka_unit_test(usage_is_asked_for_in_every_stream),
        cmocka_unit_test(a_cap_is_added_or_lowered_never_raised),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
