/* test_api.c - bodies to jobs, and each field that can be wrong. */
#include "engine/api.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/jscan.h"

static const struct api_defaults defaults = { 0.7, 0.95, 42 };

/* Reads a body as the server does. The job is freed by the caller. */
static bool read_chat(const char *body, struct job *j, struct api_reply *r, struct api_error *e)
{
    struct jscan *s = jscan_new(&jscan_default_limits, 1);
    struct span model;

    assert_int_not_equal(jscan_feed(s, span_str(body)), JSCAN_BAD);
    assert_int_equal(jscan_end(s), JSCAN_DONE);
    jscan_free(s);
    *r = (struct api_reply){ .created_s = 1 };
    return api_read_model(span_str(body), &j->arena, &model, e) &&
           api_read_chat(span_str(body), &defaults, j, r, e);
}

#define USER "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define M "{\"model\":\"m\","

static void a_wrong_field_is_named(void **state)
{
    static const struct { const char *body, *param, *code; } rows[] = {
        { "{" USER "}", "model", "missing_required_parameter" },
        { "{\"model\":7," USER "}", "model", "invalid_type" },
        { "{\"model\":null," USER "}", "model", "missing_required_parameter" },
        { "{\"model\":\"m\"}", "messages", "missing_required_parameter" },
        { M "\"messages\":{}}", "messages", "invalid_type" },
        { M "\"messages\":[]}", "messages", "invalid_value" },
        { M "\"messages\":[7]}", "messages[0]", "invalid_type" },
        { M "\"messages\":[{\"content\":\"x\"}]}", "messages[0].role", "invalid_type" },
        { M "\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]}", "messages[0].role", "invalid_value" },
        { M "\"messages\":[{\"role\":\"user\"}]}", "messages[0].content", "invalid_type" },
        { M "\"messages\":[{\"role\":\"user\",\"content\":null}]}", "messages[0].content", "invalid_type" },
        { M "\"messages\":[{\"role\":\"user\",\"content\":7}]}", "messages[0].content", "invalid_type" },
        { M "\"messages\":[{\"role\":\"user\",\"content\":[\"x\"]}]}", "messages[0].content[0]", "invalid_type" },
        { M "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
          "{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://example.org/x\"}}]}]}",
          "messages[0].content[1]", "unsupported_value" },
        { M "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]}", "messages[0].content[0]",
          "invalid_type" },
        { M "\"messages\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\",\"content\":null,"
          "\"tool_calls\":[{\"id\":\"1\"}]},{\"role\":\"user\",\"content\":\"x\"}]}", "messages[1].tool_calls",
          "unsupported_parameter" },
        { M "\"messages\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\",\"content\":\"y\"}]}",
          "messages[1]", "invalid_value" },
        { M "\"messages\":[{\"role\":\"assistant\",\"content\":\"y\",\"prefix\":true},"
          "{\"role\":\"user\",\"content\":\"x\"}]}", "messages[0]", "invalid_value" },
        { M "\"messages\":[{\"role\":\"assistant\",\"content\":\"y\",\"reasoning_content\":7},"
          "{\"role\":\"user\",\"content\":\"x\"}]}", "messages[0].reasoning_content", "invalid_type" },
        { M "\"stream\":1," USER "}", "stream", "invalid_type" },
        { M "\"stream_options\":{\"include_usage\":true}," USER "}", "stream_options", "invalid_value" },
        { M "\"stream\":true,\"stream_options\":[]," USER "}", "stream_options", "invalid_type" },
        { M "\"stream\":true,\"stream_options\":{\"include_usage\":\"yes\"}," USER "}", "stream_options.include_usage",
          "invalid_type" },
        { M "\"max_tokens\":0," USER "}", "max_tokens", "invalid_value" },
        { M "\"max_tokens\":1.5," USER "}", "max_tokens", "invalid_type" },
        { M "\"max_tokens\":\"9\"," USER "}", "max_tokens", "invalid_type" },
        { M "\"max_completion_tokens\":-1," USER "}", "max_completion_tokens", "invalid_value" },
        { M "\"n\":2," USER "}", "n", "unsupported_value" },
        { M "\"n\":0," USER "}", "n", "invalid_value" },
        { M "\"temperature\":2.1," USER "}", "temperature", "invalid_value" },
        { M "\"temperature\":-0.1," USER "}", "temperature", "invalid_value" },
        { M "\"temperature\":\"hot\"," USER "}", "temperature", "invalid_type" },
        { M "\"temperature\":1e999," USER "}", "temperature", NULL },
        { M "\"top_p\":1.01," USER "}", "top_p", "invalid_value" },
        { M "\"top_k\":-2," USER "}", "top_k", "invalid_value" },
        { M "\"seed\":1.5," USER "}", "seed", "invalid_type" },
        { M "\"seed\":99999999999999999999," USER "}", "seed", "invalid_type" },
        { M "\"stop\":7," USER "}", "stop", "invalid_type" },
        { M "\"stop\":\"\"," USER "}", "stop", "invalid_value" },
        { M "\"stop\":[\"a\",7]," USER "}", "stop[1]", "invalid_type" },
        { M "\"stop\":[\"a\",\"b\",\"c\",\"d\",\"e\"]," USER "}", "stop", "invalid_value" },
        { M "\"presence_penalty\":0.5," USER "}", "presence_penalty", "unsupported_parameter" },
        { M "\"frequency_penalty\":3," USER "}", "frequency_penalty", "invalid_value" },
        { M "\"logprobs\":true," USER "}", "logprobs", "unsupported_parameter" },
        { M "\"logit_bias\":{\"5\":1}," USER "}", "logit_bias", "unsupported_parameter" },
        { M "\"tools\":[{\"type\":\"function\"}]," USER "}", "tools", "unsupported_parameter" },
        { M "\"tools\":{}," USER "}", "tools", "invalid_type" },
        { M "\"functions\":[{}]," USER "}", "functions", "unsupported_parameter" },
        { M "\"audio\":{\"voice\":\"x\"}," USER "}", "audio", "unsupported_parameter" },
        { M "\"thinking\":true," USER "}", "thinking", "invalid_type" },
        { M "\"thinking\":{\"type\":\"maybe\"}," USER "}", "thinking.type", "invalid_value" },
        { M "\"thinking\":{}," USER "}", "thinking.type", "invalid_value" },
        { M "\"chat_template_kwargs\":{\"thinking\":1}," USER "}", "chat_template_kwargs.thinking", "invalid_type" },
        { M "\"reasoning_effort\":\"huge\"," USER "}", "reasoning_effort", "invalid_value" },
        { M "\"response_format\":\"json\"," USER "}", "response_format", "invalid_type" },
        { M "\"response_format\":{\"type\":\"xml\"}," USER "}", "response_format.type", "invalid_value" },
        { M "\"response_format\":{\"type\":\"json_schema\"}," USER "}", "response_format.json_schema",
          "invalid_type" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct job *j = job_new();
        struct api_reply r;
        struct api_error e = { 0 };
        char want[200];

        if (read_chat(rows[i].body, j, &r, &e))
            fail_msg("taken: %s", rows[i].body);
        if (e.status != 400 || strcmp(e.param, rows[i].param) != 0 ||
            (rows[i].code && strcmp(e.code, rows[i].code) != 0))
            fail_msg("%s\n  gives %d %s %s", rows[i].body, e.status, e.param, e.code);
        snprintf(want, sizeof want, "'%s'", rows[i].param);
        if (!strstr(e.message, want))
            fail_msg("%s\n  says %s", rows[i].body, e.message);
        job_free(j);
    }
}

static void neutral_forms_and_unknown_fields_are_taken(void **state)
{
    static const char *const bodies[] = {
        M USER "}",
        M "\"stream\":null,\"stop\":null,\"seed\":null,\"temperature\":null,\"max_tokens\":null,\"n\":null,"
          "\"stream_options\":null,\"tools\":null,\"response_format\":null," USER "}",
        M "\"tools\":[],\"functions\":[],\"logit_bias\":{},\"presence_penalty\":0,\"frequency_penalty\":0.0,"
          "\"logprobs\":false,\"n\":1," USER "}",
        M "\"tool_choice\":\"none\",\"parallel_tool_calls\":true,\"user\":\"u\",\"metadata\":{\"a\":\"b\"},"
          "\"store\":false,\"service_tier\":\"auto\",\"foo\":[1,{\"bar\":null}]," USER "}",
        M "\"response_format\":{\"type\":\"text\"}," USER "}",
        M "\"response_format\":{\"type\":\"json_object\"}," USER "}",
        M "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"x\",\"schema\":{}}}," USER "}",
        M "\"reasoning_effort\":\"none\",\"thinking\":{\"type\":\"disabled\"}," USER "}",
        M "\"messages\":[{\"role\":\"system\",\"content\":\"x\"}]}",
        M "\"messages\":[{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[]},"
          "{\"role\":\"user\",\"content\":\"\"}]}",
        M "\"messages\":[{\"role\":\"user\",\"content\":[]}]}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct job *j = job_new();
        struct api_reply r;
        struct api_error e = { 0 };

        if (!read_chat(bodies[i], j, &r, &e))
            fail_msg("%s: %s", bodies[i], e.message);
        job_free(j);
    }
}

static void fields_reach_the_job(void **state)
{
    struct job *j = job_new();
    struct api_reply r;
    struct api_error e;

    (void)state;
    assert_true(read_chat(M "\"stream\":true,\"stream_options\":{\"include_usage\":true},\"temperature\":0,\"top_p\":0.5,"
                          "\"top_k\":7,\"seed\":-1,\"max_tokens\":9,\"stop\":[\"\\n\",\"\\u00e9\"],"
                          "\"thinking\":{\"type\":\"enabled\"},\"messages\":["
                          "{\"role\":\"developer\",\"content\":[{\"type\":\"text\",\"text\":\"a\\t\"},"
                          "{\"type\":\"text\",\"text\":\"b\"}]},{\"role\":\"user\",\"content\":\"\\ud83d\\ude42\"},"
                          "{\"role\":\"latest_reminder\",\"content\":\"now\"},"
                          "{\"role\":\"assistant\",\"content\":\"so\",\"reasoning_content\":\"why\",\"prefix\":true}]}",
                          j, &r, &e));
    assert_true(r.stream);
    assert_true(r.include_usage);
    assert_true(j->sampling.temperature == 0 && j->sampling.top_p == 0.5);
    assert_int_equal(j->sampling.top_k, 7);
    assert_true(j->sampling.seed == UINT64_MAX);
    assert_int_equal(j->max_tokens, 9);
    assert_int_equal(j->n_stops, 2);
    assert_true(span_is(j->stops[0], "\n"));
    assert_true(span_is(j->stops[1], "\u00e9"));
    assert_int_equal(j->mode, PROMPT_THINKING);
    assert_int_equal(j->n_messages, 4);
    assert_int_equal(j->messages[0].role, PROMPT_SYSTEM);
    assert_true(span_is(j->messages[0].content, "a\t\n\nb"));
    assert_int_equal(j->messages[1].role, PROMPT_USER);
    assert_true(span_is(j->messages[1].content, "\U0001f642"));
    assert_int_equal(j->messages[2].role, PROMPT_REMINDER);
    assert_int_equal(j->messages[3].role, PROMPT_ASSISTANT);
    assert_true(span_is(j->messages[3].reasoning, "why"));
    assert_true(j->messages[3].unfinished);
    job_free(j);
}

static void silence_means_the_models_defaults(void **state)
{
    struct job *j = job_new();
    struct api_reply r;
    struct api_error e;

    (void)state;
    assert_true(read_chat(M USER "}", j, &r, &e));
    assert_false(r.stream);
    assert_true(j->sampling.temperature == 0.7 && j->sampling.top_p == 0.95);
    assert_int_equal(j->sampling.top_k, 0);
    assert_int_equal(j->sampling.seed, 42);
    assert_int_equal(j->max_tokens, 0);
    assert_int_equal(j->mode, PROMPT_CHAT);
    job_free(j);
}

static void an_error_is_json_whatever_it_quotes(void **state)
{
    struct job *j = job_new();
    struct jscan *s = jscan_new(&jscan_default_limits, 1);
    struct api_reply r;
    struct api_error e;
    struct buf b;

    (void)state;
    /* the role is cut after 40 bytes, in the middle of a character, and has a quote and a backslash in it */
    assert_false(read_chat(M "\"messages\":[{\"role\":\"\\\"\\\\ééééééééééééééééééééééééééé\",\"content\":\"\"}]}", j, &r,
                           &e));
    buf_init(&b, 10000);
    api_write_error(&b, &e);
    assert_int_not_equal(jscan_feed(s, buf_span(&b)), JSCAN_BAD);
    assert_int_equal(jscan_end(s), JSCAN_DONE);
    jscan_free(s);
    buf_free(&b);
    job_free(j);
}

static void a_long_message_is_cut_between_characters(void **state)
{
    struct api_error e;
    char text[400];

    (void)state;
    for (size_t from = 0; from < 3; from++) {
        memset(text, 'a', sizeof text);
        for (size_t i = from; i + 3 < sizeof text; i += 3)
            memcpy(text + i, "\u4e2d", 3);
        text[sizeof text - 1] = '\0';
        api_fail(&e, 400, NULL, NULL, "%s", text);
        assert_true(strlen(e.message) < sizeof e.message);
        assert_true(strlen(e.message) + 6 > sizeof e.message);
        assert_int_equal((strlen(e.message) - from) % 3, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_field_is_named),
        cmocka_unit_test(neutral_forms_and_unknown_fields_are_taken),
        cmocka_unit_test(fields_reach_the_job),
        cmocka_unit_test(silence_means_the_models_defaults),
        cmocka_unit_test(an_error_is_json_whatever_it_quotes),
        cmocka_unit_test(a_long_message_is_cut_between_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
