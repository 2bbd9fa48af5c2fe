/* test_openai_request.c - what a caller sends is read into the neutral form, and checked with its place named. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/jscan.h"
#include "gateway/dialects/openai.h"

#define OK_MESSAGES "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]"

struct read {
    struct arena arena;
    struct chat chat;
    struct fault fault;
    struct buf texts;
    bool ok;
};

static void gather(void *ctx, enum chat_role role, struct span text)
{
    static const char *const names[] = { "system", "user", "assistant" };
    struct buf *b = ctx;

    buf_add_str(b, names[role]);
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
    chat_init(&r->chat, DIALECT_CHAT, span_str(body));
    r->ok = openai_parse(&r->chat, &(struct parse_spec){ .arena = &r->arena, .on_text = gather, .ctx = &r->texts,
                                                         .fault = &r->fault });
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
                  "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"get_w\"}}]},"
                  "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"7\"}]}");
    assert_true(r.ok);
    assert_true(span_is(r.chat.model, "auto"));
    assert_true(r.chat.stream && r.chat.usage_asked && r.chat.format == FORMAT_JSON);
    assert_int_equal(r.chat.n, 2);
    assert_int_equal(r.chat.max_tokens, 40);
    assert_int_equal(r.chat.n_tools, 2);
    assert_true(span_is(r.chat.tools[0].name, "get_w") && span_is(r.chat.tools[1].name, "run"));
    assert_int_equal(r.chat.n_messages, 4);
    assert_int_equal(r.chat.n_user_turns, 1);
    assert_int_equal(r.chat.n_images, 1);
    assert_string_equal(r.texts.p, "system=Be brief|user=a\nb|");
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
        { "{\"model\":\"m\",\"messages\":[{\"role\":\"tool\",\"content\":\"x\",\"tool_call_id\":\"c\"}]}", "messages[0].role" },
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_of_a_whole_request_are_found),
        cmocka_unit_test(each_fault_names_its_field),
        cmocka_unit_test(null_and_newer_kinds_are_not_faults),
        cmocka_unit_test(a_long_escaped_text_is_cut_between_escapes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
