/* test_openai_answer.c - answers are read as hosts really send them; usage is counted once, disjointly. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "gateway/dialects/openai.h"

static const struct quirks quirks = { .reasoning_in_output_count = true };
static const struct target plain = { .quirks = &quirks };

static struct draft whole(const char *json, const struct target *t)
{
    struct draft a;

    draft_init(&a);
    assert_true(openai_read_whole(&a, span_str(json), t));
    return a;
}

#define ANSWER(usage) "{\"model\":\"m-1\",\"choices\":[{\"index\":0,\"message\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}]," \
                      "\"usage\":" usage "}"

static void usage_becomes_disjoint(void **state)
{
    static const struct { const char *why, *json; struct usage want; bool mended, xai; } table[] = {
        { "plain", ANSWER("{\"prompt_tokens\":10,\"completion_tokens\":5,\"total_tokens\":15}"), { .input = 10, .output = 5 }, 0, 0 },
        { "cached tokens are within the prompt (BerriAI/litellm#6215, maximhq/bifrost#904)",
          ANSWER("{\"prompt_tokens\":10,\"completion_tokens\":5,\"prompt_tokens_details\":{\"cached_tokens\":8}}"),
          { .input = 2, .cache_read = 8, .output = 5 }, 0, 0 },
        { "writes too", ANSWER("{\"prompt_tokens\":10,\"completion_tokens\":5,\"prompt_tokens_details\":"
                               "{\"cached_tokens\":3,\"cache_write_tokens\":4}}"),
          { .input = 3, .cache_read = 3, .cache_write_5m = 4, .output = 5 }, 0, 0 },
        { "reasoning is within the output", ANSWER("{\"prompt_tokens\":1,\"completion_tokens\":9,\"completion_tokens_details\":"
                                                   "{\"reasoning_tokens\":7}}"),
          { .input = 1, .output = 9, .reasoning = 7 }, 0, 0 },
        { "at xAI it is beside (agentgateway/agentgateway#3228)",
          ANSWER("{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":10,\"completion_tokens_details\":"
                 "{\"reasoning_tokens\":7}}"), { .input = 1, .output = 9, .reasoning = 7 }, 0, 1 },
        { "unless its total says otherwise",
          ANSWER("{\"prompt_tokens\":1,\"completion_tokens\":9,\"total_tokens\":10,\"completion_tokens_details\":"
                 "{\"reasoning_tokens\":7}}"), { .input = 1, .output = 9, .reasoning = 7 }, 0, 1 },
        { "DeepSeek's hit goes before cached_tokens",
          ANSWER("{\"prompt_tokens\":10,\"completion_tokens\":1,\"prompt_cache_hit_tokens\":6,\"prompt_cache_miss_tokens\":4,"
                 "\"prompt_tokens_details\":{\"cached_tokens\":2}}"), { .input = 4, .cache_read = 6, .output = 1 }, 0, 0 },
        { "more cached than prompt is clamped and flagged",
          ANSWER("{\"prompt_tokens\":10,\"completion_tokens\":1,\"prompt_tokens_details\":{\"cached_tokens\":11}}"),
          { .cache_read = 10, .output = 1 }, 1, 0 },
    };
    static const char *const none[] = {    /* nothing that could be charged: the caller of this file takes the bound */
        ANSWER("{\"prompt_tokens\":-3,\"completion_tokens\":1}"), ANSWER("{\"prompt_tokens\":3,\"completion_tokens\":-1}"),
        ANSWER("{\"prompt_tokens\":-3,\"completion_tokens\":-1}"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct quirks q = quirks;
        const struct target t = { .quirks = &q };
        struct draft a;

        q.reasoning_in_output_count = !table[i].xai;
        a = whole(table[i].json, &t);
        if (memcmp(&a.usage, &table[i].want, sizeof a.usage) != 0)
            print_error("%s\n", table[i].why);
        assert_true(a.has_usage);
        assert_memory_equal(&a.usage, &table[i].want, sizeof a.usage);
        assert_int_equal(a.usage_mended, table[i].mended);
        draft_free(&a);
    }
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        struct draft a = whole(none[i], &plain);

        assert_false(a.has_usage);
        draft_free(&a);
    }
}

static void usage_that_is_no_count_is_no_usage(void **state)
{
    static const char *const table[] = { ANSWER("null"), ANSWER("{}"), ANSWER("{\"prompt_tokens\":1.5,\"completion_tokens\":2}"),
                                         ANSWER("{\"prompt_tokens\":\"1\",\"completion_tokens\":2}"),
                                         ANSWER("{\"prompt_tokens\":99999999999999999999,\"completion_tokens\":2}") };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct draft a = whole(table[i], &plain);

        assert_false(a.has_usage);
        draft_free(&a);
    }
}

static void tool_calls_are_joined_by_index_however_hosts_cut_them(void **state)
{
    static const char *const chunks[] = {
        "{\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}}]}",
        "{\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":1,\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":\"{\\\"y\\\":\"}}]}}]}",
        "{\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}}]}",
        "{\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":1,\"function\":{\"arguments\":\"1}\"}}]},\"finish_reason\":\"tool_calls\"}]}",
    };
    struct draft a;
    struct answer v;

    (void)state;
    draft_init(&a);
    for (size_t i = 0; i < 4; i++)
        assert_true(openai_read_event(&a, SPAN_NONE, span_str(chunks[i]), &plain));
    v = draft_view(&a);
    assert_int_equal(v.n_tools, 2);
    assert_true(span_is(v.tools[0].name, "f") && span_is(v.tools[0].arguments, "{}"));
    assert_true(span_is(v.tools[1].name, "g") && span_is(v.tools[1].arguments, "{\"y\":1}"));
    assert_int_equal(v.finish, FINISH_TOOL_CALLS);
    draft_free(&a);
}

static void more_calls_than_there_is_room_for_are_refused(void **state)
{
    struct draft a;
    char json[160];

    (void)state;
    draft_init(&a);
    for (int i = 0; i <= DRAFT_CALLS_MAX; i++) {
        snprintf(json, sizeof json, "{\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":%d,\"function\":"
                 "{\"name\":\"f\"}}]}}]}", i * 1000);
        assert_int_equal(openai_read_event(&a, SPAN_NONE, span_str(json), &plain), i < DRAFT_CALLS_MAX);
    }
    draft_free(&a);
}

static void errors_of_every_shape_are_read(void **state)
{
    static const struct { const char *json, *message, *type, *code; } table[] = {
        { "{\"error\":{\"message\":\"m\",\"type\":\"t\",\"code\":\"c\"}}", "m", "t", "c" },
        { "{\"error\":{\"message\":\"m\",\"code\":429}}", "m", "", "429" },
        { "{\"error\":\"m\",\"code\":\"c\"}", "m", "", "c" },
        { "{\"object\":\"error\",\"message\":\"m\",\"type\":\"t\"}", "m", "t", "" },
        { "{\"detail\":\"m\"}", "m", "", "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct draft a;

        draft_init(&a);
        openai_read_error(&a, span_str(table[i].json), true);
        assert_true(a.has_error);
        assert_string_equal(a.error_message, table[i].message);
        assert_string_equal(a.error_type, table[i].type);
        assert_string_equal(a.error_code, table[i].code);
        draft_free(&a);
    }
}

static void assert_relay(const char *json, bool asked, const char *want)
{
    const struct chat chat = { .usage_asked = asked };
    char raw[512];
    struct buf out;
    struct span r;

    r = (struct span){ raw, (size_t)snprintf(raw, sizeof raw, "data: %s\n\n", json) };
    buf_init(&out, 4096);
    assert_int_equal(openai_relay(&chat, r, (struct span){ raw + 6, strlen(json) }, true, &out, NULL), RELAY_PASSED);
    assert_string_equal(out.p ? out.p : "", want);
    buf_free(&out);
}

static void usage_that_nobody_asked_for_is_cut_out(void **state)
{
    (void)state;
    assert_relay("{\"id\":1,\"choices\":[],\"usage\":{\"x\":1}}", false, "");
    assert_relay("{\"id\":1,\"choices\":[],\"usage\":{\"x\":1}}", true, "data: {\"id\":1,\"choices\":[],\"usage\":{\"x\":1}}\n\n");
    assert_relay("{\"choices\":[{\"delta\":{}}], \"usage\": null, \"z\":1}", false, "data: {\"choices\":[{\"delta\":{}}], \"z\":1}\n\n");
    assert_relay("{\"usage\":{\"x\":1},\"choices\":[{\"delta\":{}}]}", false, "data: {\"choices\":[{\"delta\":{}}]}\n\n");
    assert_relay("{\"choices\":[{\"delta\":{\"content\":\"\\\"usage\\\"\"}}]}", false,
                 "data: {\"choices\":[{\"delta\":{\"content\":\"\\\"usage\\\"\"}}]}\n\n");
}

static void text_is_counted_in_code_points(void **state)
{
    struct draft a;

    (void)state;
    draft_init(&a);
    assert_true(openai_read_event(&a, SPAN_NONE, SPAN_LIT("{\"choices\":[{\"delta\":{\"content\":\"a\\u00e4\xe2\x82\xac\\ud83d\\ude00\"}}]}"), &plain));
    assert_int_equal(a.chars, 4);
    assert_true(span_is(buf_span(&a.text), "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"));
    draft_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(usage_becomes_disjoint),
        cmocka_unit_test(usage_that_is_no_count_is_no_usage),
        cmocka_unit_test(tool_calls_are_joined_by_index_however_hosts_cut_them),
        cmocka_unit_test(more_calls_than_there_is_room_for_are_refused),
        cmocka_unit_test(errors_of_every_shape_are_read),
        cmocka_unit_test(usage_that_nobody_asked_for_is_cut_out),
        cmocka_unit_test(text_is_counted_in_code_points),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
