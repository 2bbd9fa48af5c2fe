/* test_openai_answer.c - answers are read as hosts really send them; usage is counted once, disjointly. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "gateway/dialects/openai.h"
#include "gateway/dialects/sse.h"
#include "gateway/dialects/test_odd.h"

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
        { "Mistral's two other places", ANSWER("{\"prompt_tokens\":10,\"completion_tokens\":1,\"num_cached_tokens\":4}"),
          { .input = 6, .cache_read = 4, .output = 1 }, 0, 0 },
        { "", ANSWER("{\"prompt_tokens\":10,\"completion_tokens\":1,\"prompt_token_details\":{\"cached_tokens\":4}}"),
          { .input = 6, .cache_read = 4, .output = 1 }, 0, 0 },
        { "audio has its own rate on both sides", ANSWER("{\"prompt_tokens\":10,\"completion_tokens\":5,\"prompt_tokens_details\":{"
          "\"audio_tokens\":4,\"cached_tokens\":1},\"completion_tokens_details\":{\"audio_tokens\":2}}"),
          { .input = 5, .cache_read = 1, .input_audio = 4, .output = 3, .output_audio = 2 }, 0, 0 },
        { "totals that disagree are flagged (wire/translation section 9)",
          ANSWER("{\"prompt_tokens\":10,\"completion_tokens\":5,\"total_tokens\":40}"), { .input = 10, .output = 5 }, 1, 0 },
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
        { "{\"detail\":[{\"loc\":[\"body\"],\"msg\":\"m\",\"type\":\"extra_forbidden\"}]}", "m", "", "" },
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

/* ---- the habits of hosts ---- */

static void feed(struct draft *d, const char *const *chunks, size_t n, const struct target *t)
{
    for (size_t i = 0; i < n; i++)
        if (!openai_read_event(d, SPAN_NONE, span_str(chunks[i]), t))
            fail_msg("not read: %s", chunks[i]);
}

#define CALLS(list) "{\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[" list "]}}]}"

/* wire/openai-chat section 6: what compatible hosts make of tool deltas. All are two calls, f {"a":1} and g {"b":2}. */
static void calls_are_told_apart_however_a_host_counts_them(void **state)
{
    static const struct { const char *why; const char *chunks[5]; } table[] = {
        { "whole calls in one delta, without index or id",
          { CALLS("{\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}},{\"function\":{\"name\":\"g\",\"arguments\":\"{\\\"b\\\":2}\"}}") } },
        { "whole calls in two deltas, without index or id",
          { CALLS("{\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}"), CALLS("{\"function\":{\"name\":\"g\",\"arguments\":\"{\\\"b\\\":2}\"}}") } },
        { "index missing, id at the beginning alone",
          { CALLS("{\"id\":\"x\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}"), CALLS("{\"function\":{\"arguments\":\"{\\\"a\\\":1}\"}}"),
            CALLS("{\"id\":\"y\",\"function\":{\"name\":\"g\"}}"), CALLS("{\"function\":{\"arguments\":\"{\\\"b\\\":2}\"}}") } },
        { "index missing, id on every fragment",
          { CALLS("{\"id\":\"x\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":\"}}"), CALLS("{\"id\":\"y\",\"function\":{\"name\":\"g\",\"arguments\":null}}"),
            CALLS("{\"id\":\"x\",\"function\":{\"name\":\"f\",\"arguments\":\"1}\"}}"), CALLS("{\"id\":\"y\",\"function\":{\"arguments\":\"{\\\"b\\\":2}\"}}") } },
        { "index from 1",
          { CALLS("{\"index\":1,\"id\":\"x\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}"),
            CALLS("{\"index\":2,\"id\":\"y\",\"function\":{\"name\":\"g\",\"arguments\":\"{\\\"b\\\":2}\"}}") } },
        { "every call has index 0 (Google's compatible address)",
          { CALLS("{\"index\":0,\"id\":\"x\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}"),
            CALLS("{\"index\":0,\"id\":\"y\",\"function\":{\"name\":\"g\",\"arguments\":\"{\\\"b\\\":2}\"}}") } },
        { "id and name repeated, a fresh id on each fragment",
          { CALLS("{\"index\":0,\"id\":\"x\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}"), CALLS("{\"index\":0,\"id\":\"z\",\"function\":{\"arguments\":\"{\\\"a\\\":\"}}"),
            CALLS("{\"index\":0,\"id\":\"w\",\"function\":{\"arguments\":\"1}\"}}"), CALLS("{\"index\":1,\"id\":\"y\",\"function\":{\"name\":\"g\",\"arguments\":\"{\\\"b\\\":\"}}"),
            CALLS("{\"index\":1,\"id\":\"y\",\"function\":{\"name\":\"g\",\"arguments\":\"2}\"}}") } },
        { "arguments as an object",
          { CALLS("{\"index\":0,\"id\":\"x\",\"function\":{\"name\":\"f\",\"arguments\":{\"a\":1}}},{\"index\":1,\"id\":\"y\",\"function\":{\"name\":\"g\",\"arguments\":{\"b\":2}}}") } },
        { "arguments before the name",
          { CALLS("{\"index\":0,\"function\":{\"arguments\":\"{\\\"a\\\":\"}}"), CALLS("{\"index\":0,\"id\":\"x\",\"function\":{\"name\":\"f\",\"arguments\":\"1}\"}}"),
            CALLS("{\"index\":1,\"id\":\"y\",\"function\":{\"name\":\"g\",\"arguments\":\"{\\\"b\\\":2}\"}}") } },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct draft d;
        struct answer v;
        size_t n = 0;

        while (n < 5 && table[i].chunks[n])
            n++;
        draft_init(&d);
        feed(&d, table[i].chunks, n, &plain);
        v = draft_view(&d);
        if (v.n_tools != 2)
            print_error("%s: %zu calls\n", table[i].why, v.n_tools);
        assert_int_equal(v.n_tools, 2);
        if (!span_is(v.tools[0].arguments, "{\"a\":1}") || !span_is(v.tools[1].arguments, "{\"b\":2}"))
            print_error("%s\n", table[i].why);
        assert_true(span_is(v.tools[0].name, "f") && span_is(v.tools[0].arguments, "{\"a\":1}"));
        assert_true(span_is(v.tools[1].name, "g") && span_is(v.tools[1].arguments, "{\"b\":2}"));
        draft_free(&d);
    }
}

static void reasoning_and_text_are_found_wherever_hosts_put_them(void **state)
{
    static const char *const table[] = {
        "{\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\",\"content\":null}},{\"delta\":{\"reasoning_content\":null,\"content\":\"a\"}}]}",
        "{\"choices\":[{\"delta\":{\"reasoning\":\"hm\",\"content\":\"\"}},{\"delta\":{\"content\":\"a\"}}]}",
        "{\"choices\":[{\"delta\":{\"reasoning\":\"hm\",\"reasoning_content\":\"hm\"}},{\"delta\":{\"content\":\"a\"}}]}",
        "{\"choices\":[{\"delta\":{\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"hm\"}]},{\"type\":\"text\",\"text\":\"a\"}]}}]}",
        "{\"choices\":[{\"delta\":{\"content\":[{\"type\":\"thinking\",\"thinking\":\"hm\"}]}},{\"delta\":{\"content\":\"a\"}}]}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct draft d;

        draft_init(&d);
        d.keep_reasoning = true;
        feed(&d, &table[i], 1, &plain);
        assert_true(span_is(buf_span(&d.reasoning), "hm") && span_is(buf_span(&d.text), "a"));
        draft_free(&d);
    }
}

static void usage_of_hosts_that_put_it_elsewhere_is_counted_once(void **state)
{
    static const char *const deepseek[] = {    /* on the last content chunk, and again in one of its own (section A4) */
        "{\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}",
        "{\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}",
    };
    static const char *const groq[] = {
        "{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"x_groq\":{\"id\":\"r\",\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}}",
    };
    static const char *const vllm[] = {        /* running counts on every chunk (section B) */
        "{\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":0}}",
        "{\"choices\":[{\"delta\":{\"content\":\"b\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}",
    };
    static const struct { const char *const *chunks; size_t n; } table[] = { { deepseek, 2 }, { groq, 1 }, { vllm, 2 } };
    static const struct usage want = { .input = 3, .output = 1 };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct draft d;

        draft_init(&d);
        feed(&d, table[i].chunks, table[i].n, &plain);
        assert_true(d.has_usage);
        assert_memory_equal(&d.usage, &want, sizeof want);
        draft_free(&d);
    }
}

static void reasons_to_end_are_known_in_every_hosts_words(void **state)
{
    static const struct { const char *word; enum finish want; } table[] = {
        { "\"stop\"", FINISH_STOP }, { "\"eos\"", FINISH_STOP }, { "\"length\"", FINISH_LENGTH }, { "\"model_length\"", FINISH_LENGTH },
        { "\"tool_calls\"", FINISH_TOOL_CALLS }, { "\"function_call\"", FINISH_TOOL_CALLS }, { "\"content_filter\"", FINISH_FILTERED },
        { "\"insufficient_system_resource\"", FINISH_INTERRUPTED }, { "\"error\"", FINISH_INTERRUPTED }, { "\"new\"", FINISH_OTHER },
        { "null", FINISH_NONE }, { "7", FINISH_NONE },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char json[160];
        struct draft d;

        snprintf(json, sizeof json, "{\"choices\":[{\"index\":0,\"message\":{\"content\":\"a\"},\"finish_reason\":%s}]}", table[i].word);
        draft_init(&d);
        assert_true(openai_read_whole(&d, span_str(json), &plain));
        assert_int_equal(d.finish, table[i].want);
        draft_free(&d);
    }
}

/* Decide by the calls, not by the reason (wire/openai-chat section 5). vLLM names the stop sequence. */
static void calls_decide_and_stop_sequences_are_named(void **state)
{
    struct draft d = whole("{\"choices\":[{\"message\":{\"content\":null,\"tool_calls\":[{\"id\":\"c\",\"function\":{\"name\":\"f\"}}]},"
                           "\"finish_reason\":\"stop\"}]}", &plain);

    (void)state;
    assert_int_equal(d.finish, FINISH_TOOL_CALLS);
    draft_free(&d);
    d = whole("{\"choices\":[{\"message\":{\"content\":\"a\"},\"finish_reason\":\"stop\",\"stop_reason\":\"#\\n\"}]}", &plain);
    assert_int_equal(d.finish, FINISH_STOP);
    assert_true(span_is(buf_span(&d.stop_raw), "#\\n"));
    draft_free(&d);
}

/* ---- <think> in the content ---- */

static const struct quirks think_quirks = { .reasoning_in_output_count = true, .reasoning_field = REASONING_THINK_TAGS };
static const struct target think = { .quirks = &think_quirks };

/* The raw string cut between every two of its characters, and in three at every pair of places. */
static void assert_thinks(const char *raw, const char *reasoning, const char *text)
{
    const size_t n = strlen(raw);

    for (size_t i = 0; i <= n; i++)
        for (size_t j = i; j <= n; j++) {
            const size_t cuts[] = { 0, i, j, n };
            struct draft d;
            bool whole_escapes = true;

            for (size_t k = 1; k < 3; k++)    /* a host cuts its text, not escapes or halves of a pair */
                whole_escapes = whole_escapes && (cuts[k] < 6 || memcmp(raw + cuts[k] - 6, "\\ud83d", 6) != 0);
            for (size_t k = 1; k < 3; k++)
                for (size_t b = cuts[k] > 5 ? cuts[k] - 5 : 0; b < cuts[k]; b++)
                    whole_escapes = whole_escapes && !(raw[b] == '\\' && b + (raw[b + 1] == 'u' ? 6u : 2u) > cuts[k]);
            if (!whole_escapes)
                continue;
            draft_init(&d);
            d.keep_reasoning = true;
            for (size_t k = 0; k < 3; k++) {
                char json[400];

                snprintf(json, sizeof json, "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%.*s\"}%s}]}", (int)(cuts[k + 1] - cuts[k]),
                         raw + cuts[k], k == 2 ? ",\"finish_reason\":\"stop\"" : "");
                assert_true(openai_read_event(&d, SPAN_NONE, span_str(json), &think));
            }
            if (!span_is(buf_span(&d.reasoning), reasoning) || !span_is(buf_span(&d.text), text))
                fail_msg("%s cut at %zu and %zu: reasoning \"%.*s\" text \"%.*s\"", raw, i, j, SPAN_FMT(buf_span(&d.reasoning)),
                         SPAN_FMT(buf_span(&d.text)));
            draft_free(&d);
        }
}

static void thinking_within_the_content_is_taken_out_however_it_is_cut(void **state)
{
    (void)state;
    assert_thinks("<think>hm</think>a", "hm", "a");
    assert_thinks("\\n<think>a<b</th </think>\\n\\nyes", "a<b</th ", "yes");
    assert_thinks("\\u003cthink\\u003ehm\\u003c/think\\u003e\\n7 < 8", "hm", "7 < 8");
    assert_thinks("<think>a<</th</think>b", "a<</th", "b");
    assert_thinks("<<think>x", "", "<<think>x");
    assert_thinks("<thin", "", "<thin");
    assert_thinks("plain </think>", "", "plain </think>");
    assert_thinks("<think>never ends</thin", "never ends</thin", "");
    assert_thinks("<think></think>", "", "");
    assert_thinks(" \\t ", "", " \t ");
    assert_thinks("<think>\\ud83d\\ude00</think>\\ud83d\\ude00", "\\ud83d\\ude00", "\xf0\x9f\x98\x80");
}

/* ---- arguments encoded twice ---- */

struct sink {
    struct writer base;
    struct buf arguments;
};

static bool sink_piece(struct writer *w, const struct piece *p)
{
    struct sink *s = (struct sink *)w;

    return p->kind != PIECE_ARGUMENTS || buf_add_span(&s->arguments, p->raw);
}

static const struct dialect sink_dialect = { .writer_piece = sink_piece };

/* `raw` is what stands between the quotes of "arguments", cut at every place that cuts no escape. */
static void assert_doubled(const char *raw, const char *want)
{
    const size_t n = strlen(raw);

    for (size_t i = 0; i <= n; i++) {
        struct sink s = { .base = { .dialect = &sink_dialect } };
        struct draft d;
        char json[600];
        size_t slashes = 0;

        while (slashes < i && raw[i - 1 - slashes] == '\\')
            slashes++;
        if (slashes % 2)
            continue;
        buf_init(&s.arguments, 65536);
        draft_init(&d);
        d.writer = &s.base;
        for (int k = 0; k < 2; k++) {
            snprintf(json, sizeof json, CALLS("{\"index\":0,\"id\":\"x\",\"function\":{\"name\":\"f\",\"arguments\":\"%.*s\"}}"),
                     (int)(k ? n - i : i), k ? raw + i : raw);
            assert_true(openai_read_event(&d, SPAN_NONE, span_str(json), &plain));
        }
        if (!span_is(buf_span(&s.arguments), want))
            fail_msg("%s cut at %zu: %s", raw, i, s.arguments.p);
        d.writer = NULL;
        draft_free(&d);
        buf_free(&s.arguments);
    }
}

static void arguments_that_are_encoded_twice_are_read_once_more(void **state)
{
    (void)state;
    assert_doubled("{\\\"a\\\":1}", "{\\\"a\\\":1}");
    assert_doubled("\\\"{\\\\\\\"a\\\\\\\": \\\\\\\"b\\\\\\\\n\\\\\\\"}\\\"", "{\\\"a\\\": \\\"b\\\\n\\\"}");
    assert_doubled("\\\"{}\\\"", "{}");
    assert_doubled("\\\"{\\\\u00e4\\\\ud83d\\\\ude00}\\\"", "{\\u00e4\\ud83d\\ude00}");
}

/* A custom tool takes free text, which may begin with a quote and mean it. */
static void the_text_of_a_custom_tool_is_nobodys_json(void **state)
{
    static const char json[] = CALLS("{\"index\":0,\"id\":\"x\",\"custom\":{\"name\":\"f\",\"input\":\"\\\"a\\\" b\"}}");
    struct sink s = { .base = { .dialect = &sink_dialect } };
    struct draft d;

    (void)state;
    buf_init(&s.arguments, 65536);
    draft_init(&d);
    d.writer = &s.base;
    assert_true(openai_read_event(&d, SPAN_NONE, span_str(json), &plain));
    assert_string_equal(s.arguments.p, "\\\"a\\\" b");
    d.writer = NULL;
    draft_free(&d);
    buf_free(&s.arguments);
}

/* What only looks like it must not make our own JSON invalid. */
static void what_is_not_quite_encoded_twice_stays_one_json_string(void **state)
{
    static const char *const table[] = {
        "\\\"{\\\"a\\\":1}\\\"", "\\\"\\n\\\"", "\\\"\\\\x\\\"", "\\\"\\\\ud83d\\\"", "\\\"\\\\ud83d\\\\u0041\\\"", "\\\"a\\\" b", "\\\"\\\\u12",
        "\\\"", "\\\"\\\"", "\\\"\\\\", "\\\"\\\\ude00\\\"",
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct sink s = { .base = { .dialect = &sink_dialect } };
        struct jscan *scan = jscan_new(&jscan_default_limits, 3);
        struct draft d;
        struct buf quoted;
        char json[400];

        snprintf(json, sizeof json, CALLS("{\"index\":0,\"id\":\"x\",\"function\":{\"name\":\"f\",\"arguments\":\"%s\"}}"), table[i]);
        buf_init(&s.arguments, 65536);
        buf_init(&quoted, 65536);
        draft_init(&d);
        d.writer = &s.base;
        assert_true(openai_read_event(&d, SPAN_NONE, span_str(json), &plain));
        buf_printf(&quoted, "\"%.*s\"", SPAN_FMT(buf_span(&s.arguments)));
        if (jscan_feed(scan, buf_span(&quoted)) == JSCAN_BAD || jscan_end(scan) != JSCAN_DONE)
            fail_msg("%s became %s", table[i], quoted.p);
        d.writer = NULL;
        draft_free(&d);
        buf_free(&s.arguments);
        buf_free(&quoted);
        jscan_free(scan);
    }
}

/* ---- errors within answers ---- */

static void errors_within_a_stream_are_errors(void **state)
{
    static const struct { const char *json, *message; } table[] = {
        { "{\"error\":{\"message\":\"m\",\"code\":502},\"choices\":[{\"delta\":{},\"finish_reason\":\"error\"}]}", "m" },    /* OpenRouter */
        { "{\"code\":\"c\",\"error\":\"m\"}", "m" },                                                                          /* xAI */
        { "{\"x_groq\":{\"id\":\"r\",\"error\":\"m\"},\"choices\":[]}", "m" },
        { "{\"object\":\"error\",\"message\":\"m\",\"code\":400}", "m" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct draft d;

        draft_init(&d);
        assert_true(openai_read_event(&d, SPAN_NONE, span_str(table[i].json), &plain));
        assert_true(d.has_error);
        assert_string_equal(d.error_message, table[i].message);
        draft_free(&d);
    }
}

/* ---- streams as bytes ---- */

struct relayed {
    struct chat chat;
    struct draft draft;
    struct buf out;
};

static bool on_event(void *ctx, const struct sse_event *e)
{
    struct relayed *r = ctx;

    if (span_is(e->data, "[DONE]") || !e->data.p)
        return true;
    return openai_read_event(&r->draft, e->name, e->data, &plain) &&
           openai_relay(&r->chat, e->raw, e->data, r->out.n > 0, &r->out, NULL) == RELAY_PASSED;
}

static void run(struct relayed *r, const char *text, size_t cut)
{
    struct sse sse;

    r->chat = (struct chat){ .usage_asked = false };
    draft_init(&r->draft);
    buf_init(&r->out, 65536);
    sse_init(&sse, 65536);
    assert_int_equal(sse_feed(&sse, span_first(span_str(text), cut), on_event, r), SSE_OK);
    assert_int_equal(sse_feed(&sse, span_skip(span_str(text), cut), on_event, r), SSE_OK);
    sse_free(&sse);
}

static void a_stream_is_the_same_wherever_it_is_cut(void **state)
{
    static const char text[] =
        ": keep-alive\n\ndata: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},"
        "\"finish_reason\":null}],\"usage\":null}\r\n\r\ndata:{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\xc3\xa4\"}}]}\n\n"
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"x\",\"function\":{\"name\":\"f\",\"arguments\":"
        "\"{}\"}}]}}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n"
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";
    struct relayed once, again;

    (void)state;
    run(&once, text, 0);
    assert_true(span_is(buf_span(&once.draft.text), "a\xc3\xa4"));
    assert_int_equal(once.draft.n_calls, 1);
    assert_int_equal(once.draft.usage.output, 2);
    for (size_t i = 1; i < sizeof text; i++) {
        run(&again, text, i);
        assert_true(span_eq(buf_span(&once.out), buf_span(&again.out)));
        assert_true(span_eq(buf_span(&once.draft.text), buf_span(&again.draft.text)));
        assert_memory_equal(&once.draft.usage, &again.draft.usage, sizeof once.draft.usage);
        assert_int_equal(again.draft.finish, FINISH_TOOL_CALLS);
        draft_free(&again.draft);
        buf_free(&again.out);
    }
    draft_free(&once.draft);
    buf_free(&once.out);
}

/* ---- hostile values ---- */

static void try_whole(void *ctx, struct span json)
{
    struct jscan *s = jscan_new(&jscan_default_limits, 7);

    (void)ctx;
    if (jscan_feed(s, json) != JSCAN_BAD && jscan_end(s) == JSCAN_DONE) {
        static const struct target *const targets[] = { &plain, &think };

        for (size_t i = 0; i < 4; i++) {
            struct draft d;

            draft_init(&d);
            if (i < 2)
                (void)openai_read_whole(&d, json, targets[i]);
            else
                (void)openai_read_event(&d, SPAN_NONE, json, targets[i - 2]);
            assert_true(d.usage.input >= 0 && d.usage.output >= 0 && d.usage.reasoning <= d.usage.output + d.usage.output_audio);
            draft_view(&d);
            draft_free(&d);
            draft_init(&d);
            openai_read_error(&d, json, true);
            assert_true(d.has_error);
            draft_free(&d);
        }
    }
    jscan_free(s);
}

static void no_value_of_any_kind_in_any_place_does_harm(void **state)
{
    static const char *const bodies[] = { "message", "delta" };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char json[1600];

        snprintf(json, sizeof json, "{\"id\":\"c\",\"object\":\"o\",\"model\":\"m\",\"service_tier\":\"t\",\"x_groq\":{\"error\":null,\"usage\":{}},"
                 "\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":9,\"total_tokens\":18,\"prompt_cache_hit_tokens\":1,"
                 "\"prompt_tokens_details\":{\"cached_tokens\":1,\"cache_write_tokens\":1,\"audio_tokens\":1},"
                 "\"completion_tokens_details\":{\"reasoning_tokens\":1,\"audio_tokens\":1}},\"choices\":[{\"index\":0,\"%s\":{\"content\":["
                 "{\"type\":\"text\",\"text\":\"a\",\"thinking\":[{\"text\":\"b\"}]}],\"reasoning_content\":\"r\",\"reasoning\":\"s\",\"refusal\":\"n\","
                 "\"function_call\":{\"name\":\"f\",\"arguments\":\"{}\"},\"audio\":{\"data\":\"AA\",\"transcript\":\"t\"},\"annotations\":[{"
                 "\"url_citation\":{\"url\":\"u\",\"title\":\"t\",\"start_index\":0,\"end_index\":1}}],\"tool_calls\":[{\"index\":0,\"id\":\"x\","
                 "\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},{\"index\":1,\"custom\":{\"name\":\"g\",\"input\":\"i\"}}]},"
                 "\"logprobs\":{\"content\":[{\"token\":\"a\"}]},\"finish_reason\":\"stop\",\"stop_reason\":\"s\"}],\"error\":{\"message\":\"m\","
                 "\"type\":\"t\",\"code\":\"c\",\"param\":\"p\"},\"detail\":[{\"msg\":\"m\"}]}", bodies[i]);
        odd_each(json, try_whole, NULL);
    }
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
        cmocka_unit_test(calls_are_told_apart_however_a_host_counts_them),
        cmocka_unit_test(reasoning_and_text_are_found_wherever_hosts_put_them),
        cmocka_unit_test(usage_of_hosts_that_put_it_elsewhere_is_counted_once),
        cmocka_unit_test(reasons_to_end_are_known_in_every_hosts_words),
        cmocka_unit_test(calls_decide_and_stop_sequences_are_named),
        cmocka_unit_test(thinking_within_the_content_is_taken_out_however_it_is_cut),
        cmocka_unit_test(arguments_that_are_encoded_twice_are_read_once_more),
        cmocka_unit_test(the_text_of_a_custom_tool_is_nobodys_json),
        cmocka_unit_test(what_is_not_quite_encoded_twice_stays_one_json_string),
        cmocka_unit_test(errors_within_a_stream_are_errors),
        cmocka_unit_test(a_stream_is_the_same_wherever_it_is_cut),
        cmocka_unit_test(no_value_of_any_kind_in_any_place_does_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
