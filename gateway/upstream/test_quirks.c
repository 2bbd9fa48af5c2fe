/* test_quirks.c - what is known of hosts and of models. Rows follow wire/deepseek-and-compatible, openai-chat, openai-responses,
 * anthropic-messages and gemini-generate. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/upstream/quirks.h"

static struct quirks of(const char *host, const char *dialect, const char *server)
{
    struct quirks q;

    assert_true(quirks_known(&q, host, dialect, server));
    return q;
}

/* ---- hosts ---- */

static void a_host_nobody_knows_gets_the_careful_row(void **state)
{
    static const char *const hosts[] = { "api.notmistral.ai", "mistral.ai.evil.example", "xx.ai", NULL };

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        const struct quirks q = of(hosts[i], "openai", NULL);

        assert_int_equal(q.auth_style, AUTH_BEARER);
        assert_int_equal(q.max_tokens_field, MAX_TOKENS);
        assert_int_equal(q.seed_field, SEED);
        assert_int_equal(q.stream_usage, STREAM_USAGE_ASK);
        assert_int_equal(q.reasoning_field, REASONING_CONTENT);
        assert_int_equal(q.tool_id_rule, TOOL_IDS_ANY);
        assert_int_equal(q.family, FAMILY_NONE);
        assert_false(q.developer_role || q.responses);
        assert_true(q.supports_json_schema && q.supports_parallel && q.reasoning_in_output_count);
        assert_string_equal(q.tool_choice_required_word, "required");
        assert_string_equal(q.base_path, "");
        assert_false(quirks_is_down(&q, 402));
        assert_true(quirks_is_down(&q, 401) && quirks_is_down(&q, 403));
        assert_false(quirks_is_down(&q, 400) || quirks_is_down(&q, 404) || quirks_is_down(&q, 429) || quirks_is_down(&q, 500));
    }
}

static void a_host_covers_those_under_it_in_any_case(void **state)
{
    (void)state;
    assert_int_equal(of("MISTRAL.AI", "openai", NULL).seed_field, RANDOM_SEED);
    assert_int_equal(of("eu.api.mistral.ai", "openai", NULL).seed_field, RANDOM_SEED);
    assert_int_equal(of("me.openai.azure.com", "openai", NULL).auth_style, AUTH_API_KEY);
}

static void deepseek_has_no_schema_and_wants_its_reasoning_back(void **state)
{
    const struct quirks rows[] = { of("api.deepseek.com", "openai", NULL), of("elsewhere.example", "deepseek", NULL) };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        assert_false(rows[i].supports_json_schema || rows[i].supports_parallel || rows[i].developer_role);
        assert_int_equal(rows[i].reasoning_must_return, REASONING_RETURN_TOOL_TURNS);
        assert_int_equal(rows[i].reasoning_field, REASONING_CONTENT);
        assert_int_equal(rows[i].keepalive, KEEPALIVE_BOTH);
        assert_int_equal(rows[i].max_tokens_field, MAX_TOKENS);
        assert_int_equal(rows[i].family, FAMILY_DEEPSEEK);
        assert_true(quirks_is_down(&rows[i], 402));
    }
}

static void openai_and_azure_take_max_completion_tokens_and_developers(void **state)
{
    const struct quirks o = of("api.openai.com", "openai", NULL), a = of("me.openai.azure.com", "openai", NULL);

    (void)state;
    assert_int_equal(o.max_tokens_field, MAX_COMPLETION_TOKENS);
    assert_int_equal(a.max_tokens_field, MAX_COMPLETION_TOKENS);
    assert_true(o.developer_role && a.developer_role && o.responses);
    assert_int_equal(o.family, FAMILY_OPENAI);
    assert_int_equal(a.family, FAMILY_OPENAI);
}

/* Part D: unknown fields are 422 there, so each name must be its own. */
static void mistral_has_names_of_its_own(void **state)
{
    const struct quirks q = of("api.mistral.ai", "openai", NULL);

    (void)state;
    assert_int_equal(q.max_tokens_field, MAX_TOKENS);
    assert_int_equal(q.seed_field, RANDOM_SEED);
    assert_int_equal(q.stream_usage, STREAM_USAGE_ALWAYS);
    assert_int_equal(q.reasoning_field, REASONING_BLOCKS);
    assert_int_equal(q.tool_id_rule, TOOL_IDS_NINE_ALNUM);
    assert_string_equal(q.tool_choice_required_word, "any");
    assert_int_equal(q.unknown_fields, UNKNOWN_REJECTED);
    assert_int_equal(q.error_shape, ERROR_DETAIL);
    assert_false(q.developer_role);
}

static void xai_counts_reasoning_apart_on_chat_and_has_responses(void **state)
{
    const struct quirks q = of("api.x.ai", "openai", NULL);

    (void)state;
    assert_false(q.reasoning_in_output_count);
    assert_true(q.responses);
    assert_int_equal(q.error_shape, ERROR_CODE_ERROR);
}

static void openrouter_comments_while_it_works_and_wants_reasoning_back(void **state)
{
    const struct quirks q = of("openrouter.ai", "openai", NULL);

    (void)state;
    assert_int_equal(q.reasoning_field, REASONING_PLAIN);
    assert_int_equal(q.reasoning_must_return, REASONING_RETURN_TOOL_TURNS);
    assert_int_equal(q.keepalive, KEEPALIVE_COMMENT);
    assert_true(quirks_is_down(&q, 402));
}

static void the_llama_hosts_have_their_places_and_counts(void **state)
{
    static const struct { const char *host, *base_path; enum quirk_reasoning_field reasoning; enum quirk_stream_usage usage; }
    rows[] = {
        { "api.groq.com", "/openai/v1", REASONING_PLAIN, STREAM_USAGE_ASK },
        { "api.together.xyz", "/v1", REASONING_CONTENT, STREAM_USAGE_ASK },
        { "api.fireworks.ai", "/inference/v1", REASONING_CONTENT, STREAM_USAGE_ALWAYS },
        { "api.deepinfra.com", "/v1/openai", REASONING_CONTENT, STREAM_USAGE_ASK },
        { "api.cerebras.ai", "/v1", REASONING_PLAIN, STREAM_USAGE_ASK },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct quirks q = of(rows[i].host, "openai", NULL);

        assert_string_equal(q.base_path, rows[i].base_path);
        assert_int_equal(q.reasoning_field, rows[i].reasoning);
        assert_int_equal(q.stream_usage, rows[i].usage);
    }
}

static void servers_without_a_host_are_known_by_name(void **state)
{
    struct quirks q;

    (void)state;
    assert_int_equal(of(NULL, "openai", "vllm").reasoning_field, REASONING_PLAIN);
    assert_int_equal(of(NULL, "openai", "sglang").reasoning_field, REASONING_CONTENT);
    assert_int_equal(of(NULL, "openai", "llama.cpp").reasoning_field, REASONING_CONTENT);
    assert_int_equal(of(NULL, "openai", "ollama").reasoning_field, REASONING_PLAIN);
    assert_int_equal(of("proxy.example", "openai", "mistral").seed_field, RANDOM_SEED);
    assert_false(quirks_known(&q, NULL, "openai", "no-such-server"));
}

static void anthropic_and_gemini_send_their_keys_in_their_headers(void **state)
{
    const struct quirks a = of("api.anthropic.com", "anthropic", NULL), g = of("h.example", "gemini", NULL);
    const struct quirks d = of("api.deepseek.com", "anthropic", NULL);

    (void)state;
    assert_int_equal(a.auth_style, AUTH_X_API_KEY);
    assert_int_equal(a.family, FAMILY_ANTHROPIC);
    assert_true(quirks_is_down(&a, 402));    /* billing_error */
    assert_int_equal(g.auth_style, AUTH_X_GOOG_API_KEY);
    assert_int_equal(g.family, FAMILY_GEMINI);
    assert_int_equal(d.auth_style, AUTH_X_API_KEY);    /* DeepSeek's Anthropic base, A1 */
    assert_int_equal(d.family, FAMILY_DEEPSEEK);
    /* Their OpenAI-compatible sides take a Bearer like any other. */
    assert_int_equal(of("api.anthropic.com", "openai", NULL).auth_style, AUTH_BEARER);
    assert_int_equal(of("generativelanguage.googleapis.com", "openai", NULL).auth_style, AUTH_BEARER);
}

/* ---- models ---- */

struct model_row {
    const char *model;
    enum thinking_style thinking;
    bool off;                  /* thinking can be switched off */
    const char *efforts;
    const char *takes;         /* of: s(ampling) p(enalties) x (stop) f (prefill) u(rl media) j (schema) t (forced tools) R (Responses only) */
};

static const struct model_row models[] = {
    { "gpt-5.5", THINKING_EFFORT, true, "none low medium high xhigh", "ujt" },
    { "gpt-5.5-2026-04-23", THINKING_EFFORT, true, "none low medium high xhigh", "ujt" },
    { "gpt-5.5-pro", THINKING_EFFORT, false, "medium high xhigh", "ujtR" },
    { "openai/gpt-5.5-pro", THINKING_EFFORT, false, "medium high xhigh", "ujtR" },
    { "gpt-5", THINKING_EFFORT, false, "minimal low medium high", "ujt" },
    { "gpt-5-2025-08-07", THINKING_EFFORT, false, "minimal low medium high", "ujt" },    /* a date, no 5.2 */
    { "gpt-5-mini", THINKING_EFFORT, false, "minimal low medium high", "ujt" },
    { "gpt-5.2", THINKING_EFFORT, true, "none low medium high xhigh", "ujt" },
    { "gpt-7", THINKING_EFFORT, true, "none low medium high xhigh", "ujt" },
    { "gpt-4.1", THINKING_NONE, false, "", "spxujt" },
    { "gpt-4o-mini", THINKING_NONE, false, "", "spxujt" },
    { "gpt-4-turbo", THINKING_NONE, false, "", "spxut" },
    { "gpt-4-1106-preview", THINKING_NONE, false, "", "spxut" },                          /* a date, no 4.1 */
    { "gpt-3.5-turbo", THINKING_NONE, false, "", "spxut" },
    { "o3", THINKING_EFFORT, false, "low medium high", "ujt" },
    { "o4-mini", THINKING_EFFORT, false, "low medium high", "ujt" },
    { "o3-pro", THINKING_EFFORT, false, "low medium high", "ujtR" },

    { "claude-opus-4-7", THINKING_ADAPTIVE, true, "low medium high xhigh max", "xuj" },
    { "anthropic/claude-opus-4.7", THINKING_ADAPTIVE, true, "low medium high xhigh max", "xuj" },
    { "claude-opus-5", THINKING_ADAPTIVE, true, "low medium high xhigh max", "xuj" },
    { "claude-opus-4-6", THINKING_ADAPTIVE, true, "low medium high max", "sxuj" },
    { "claude-sonnet-4-6", THINKING_ADAPTIVE, true, "low medium high max", "sxuj" },
    { "claude-sonnet-4-5-20250929", THINKING_BUDGET, true, "", "sxfuj" },
    { "claude-haiku-4-5", THINKING_BUDGET, true, "", "sxfuj" },
    { "claude-opus-4-20250514", THINKING_BUDGET, true, "", "sxfu" },
    { "claude-3-7-sonnet-latest", THINKING_BUDGET, true, "", "sxfu" },
    { "claude-3-5-haiku-latest", THINKING_NONE, false, "", "sxfut" },

    { "gemini-3.1-pro-preview", THINKING_LEVEL, false, "low medium high", "spxfujt" },
    { "gemini-3-pro-preview", THINKING_LEVEL, false, "low high", "spxfujt" },
    { "gemini-3-flash-preview", THINKING_LEVEL, false, "minimal low medium high", "spxfujt" },
    { "gemini-3.6-flash", THINKING_LEVEL, false, "minimal low medium high", "spxfujt" },
    { "models/gemini-2.5-pro", THINKING_BUDGET, false, "", "spxfujt" },
    { "gemini-2.5-flash", THINKING_BUDGET, true, "", "spxfujt" },
    { "gemini-2.0-flash", THINKING_NONE, false, "", "spxfjt" },

    { "deepseek-v4-pro", THINKING_DEEPSEEK, true, "low high max", "spxuj" },
    { "deepseek-flash", THINKING_DEEPSEEK, true, "low high max", "spxuj" },

    { "grok-4-0709", THINKING_NONE, false, "", "sfujt" },
    { "grok-4-1-fast-reasoning", THINKING_NONE, false, "", "sfujt" },
    { "grok-4-1-fast-non-reasoning", THINKING_NONE, false, "", "spxfujt" },
    { "grok-4.3", THINKING_EFFORT, true, "none low medium high xhigh", "sfujt" },
    { "grok-4.5", THINKING_EFFORT, false, "low medium high", "sfujt" },
    { "mistral-large-2512", THINKING_NONE, false, "", "spxujt" },
    { "mistral-small-2603", THINKING_EFFORT, true, "none high", "spxujt" },
    { "meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8", THINKING_NONE, false, "", "spxfujt" },
    { "accounts/fireworks/models/llama4-maverick-instruct-basic", THINKING_NONE, false, "", "spxfujt" },
    { "tiny-flash", THINKING_NONE, false, "", "sxjt" },

    { "qwen3-coder", THINKING_EFFORT, true, "", "spxfujt" },    /* not known: it gets all */
    { "", THINKING_EFFORT, true, "", "spxfujt" },
    { "openai/", THINKING_EFFORT, true, "", "spxfujt" },
};

static void each_family_takes_what_its_maker_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
        const struct model_row *m = &models[i];
        const struct traits *t = traits_of(span_str(m->model));
        const struct { char letter; bool is; } is[] = {
            { 's', t->sampling }, { 'p', t->penalties }, { 'x', t->stop }, { 'f', t->prefill }, { 'u', t->url_media },
            { 'j', t->schema }, { 't', t->forced_tools }, { 'R', t->responses_only },
        };

        for (size_t k = 0; k < sizeof(is) / sizeof(is[0]); k++)
            if (is[k].is != (strchr(m->takes, is[k].letter) != NULL))
                fail_msg("%s: '%c' is %d", m->model, is[k].letter, is[k].is);
        if (t->thinking != m->thinking || t->thinking_off != m->off || strcmp(t->efforts, m->efforts) != 0)
            fail_msg("%s: thinking %d, off %d, efforts \"%s\"", m->model, (int)t->thinking, t->thinking_off, t->efforts);
    }
}

static void budgets_have_their_makers_bounds(void **state)
{
    static const struct { const char *model; int64_t least, most; } rows[] = {
        { "gemini-2.5-pro", 128, 32768 }, { "gemini-2.5-flash", 0, 24576 }, { "gemini-2.5-flash-lite", 512, 24576 },
        { "claude-sonnet-4-5", 1024, 0 }, { "claude-opus-4-6", 1024, 0 }, { "claude-opus-4-7", 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(traits_of(span_str(rows[i].model))->budget_least, rows[i].least);
        assert_int_equal(traits_of(span_str(rows[i].model))->budget_most, rows[i].most);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_nobody_knows_gets_the_careful_row),
        cmocka_unit_test(a_host_covers_those_under_it_in_any_case),
        cmocka_unit_test(deepseek_has_no_schema_and_wants_its_reasoning_back),
        cmocka_unit_test(openai_and_azure_take_max_completion_tokens_and_developers),
        cmocka_unit_test(mistral_has_names_of_its_own),
        cmocka_unit_test(xai_counts_reasoning_apart_on_chat_and_has_responses),
        cmocka_unit_test(openrouter_comments_while_it_works_and_wants_reasoning_back),
        cmocka_unit_test(the_llama_hosts_have_their_places_and_counts),
        cmocka_unit_test(servers_without_a_host_are_known_by_name),
        cmocka_unit_test(anthropic_and_gemini_send_their_keys_in_their_headers),
        cmocka_unit_test(each_family_takes_what_its_maker_says),
        cmocka_unit_test(budgets_have_their_makers_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
