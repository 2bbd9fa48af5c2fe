/* test_anthropic_body.c - what another dialect's caller asks, as Anthropic's Messages; and a Messages request that passes. The
 * rows are those of wire/translation sections 2 to 5. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/dialects/anthropic_write.h"
#include "gateway/dialects/gemini.h"
#include "gateway/dialects/openai.h"
#include "gateway/dialects/test_anthropic.h"

static void write_to(struct bed *b, const struct target *to)
{
    b->out = (struct request_out){ .arena = &b->arena, .body = &b->body, .fault = &b->fault };
    if (!anthropic_takes(&b->chat, to, &b->fault) || !anthropic_write_request(&b->chat, to, &b->out))
        fail_msg("refused: %s", b->fault.message);
    scanned(b->body.p);
}

static struct bed translated(const struct dialect *from, const char *json, const struct target *to)
{
    struct bed b;

    if (!bed_parse(&b, from, json, NULL, NULL))
        fail_msg("%s in %s", b.fault.message, json);
    write_to(&b, to);
    return b;
}

/* ---- from OpenAI Chat ---- */

#define CHAT(more) "{\"model\":\"auto\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]" more "}"
#define TURNS(messages) "{\"model\":\"auto\",\"max_tokens\":50,\"messages\":[" messages "]}"
#define HI "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"}]}]"
#define HEAD(model, cap) "{\"model\":\"" model "\",\"max_tokens\":" cap ","
#define BUDGET HEAD("claude-sonnet-4-5", "64000")
#define ADAPTIVE HEAD("claude-opus-4-7", "64000")
#define SIMPLE HEAD("claude-3-haiku", "64000")
#define FUNCTION "{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\",\"parameters\":{\"type\":\"object\"}}}"
#define TOOL "{\"name\":\"f\",\"description\":\"d\",\"input_schema\":{\"type\":\"object\"}}"
#define TWO ",\"tools\":[" FUNCTION ",{\"type\":\"function\",\"function\":{\"name\":\"g\"}}]"
#define TOOL_G "{\"name\":\"g\",\"input_schema\":{\"type\":\"object\",\"properties\":{}}}"

struct pair {
    const char *why, *chat;
    const struct target *to;
    const char *want, *notes;
};

static void assert_pairs(const struct dialect *from, const struct pair *table, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct bed b = translated(from, table[i].chat, table[i].to);

        if (strcmp(b.body.p, table[i].want) != 0)
            fail_msg("%s:\n%s\ninstead of\n%s", table[i].why, b.body.p, table[i].want);
        if (strcmp(b.out.notes.text, table[i].notes) != 0)
            fail_msg("%s: notes '%s' instead of '%s'", table[i].why, b.out.notes.text, table[i].notes);
        bed_free(&b);
    }
}

static void fields_go_as_the_table_says(void **state)
{
    static const struct pair table[] = {
        { "a cap is always sent", CHAT(""), &to_budget, BUDGET HI "}", "" },
        { "the caller's cap", CHAT(",\"max_completion_tokens\":7"), &to_budget, HEAD("claude-sonnet-4-5", "7") HI "}", "" },
        { "a cap above the model's own", CHAT(",\"max_tokens\":99999"), &to_budget, BUDGET HI "}", "changed=max_completion_tokens" },
        { "stream", CHAT(",\"stream\":true"), &to_budget, BUDGET "\"stream\":true," HI "}", "" },
        { "temperature as written", CHAT(",\"temperature\":0.70,\"top_p\":0.9"), &to_budget,
          BUDGET "\"temperature\":0.70,\"top_p\":0.9," HI "}", "" },
        { "temperature is clamped to 1", CHAT(",\"temperature\":1.5"), &to_budget, BUDGET "\"temperature\":1," HI "}", "changed=temperature" },
        { "no sampling at newest models", CHAT(",\"temperature\":0.5,\"top_p\":0.9"), &to_adaptive, ADAPTIVE HI "}",
          "dropped=temperature, dropped=top_p" },
        { "the default needs no word", CHAT(",\"temperature\":1,\"top_p\":1.0"), &to_adaptive, ADAPTIVE HI "}", "" },
        { "what the dialect has not", CHAT(",\"presence_penalty\":1,\"frequency_penalty\":1,\"seed\":7,\"logit_bias\":{\"1\":1}"),
          &to_budget, BUDGET HI "}", "dropped=presence_penalty, dropped=frequency_penalty, dropped=seed, dropped=logit_bias" },
        { "verbosity", CHAT(",\"verbosity\":\"low\""), &to_budget, BUDGET HI "}", "dropped=verbosity" },
        { "stop", CHAT(",\"stop\":[\"a\\n\",\" \"]"), &to_budget, BUDGET "\"stop_sequences\":[\"a\\n\"]," HI "}", "dropped=stop" },
        { "user", CHAT(",\"user\":\"u\",\"metadata\":{\"k\":\"v\"}"), &to_budget, BUDGET "\"metadata\":{\"user_id\":\"u\"}," HI "}",
          "dropped=metadata" },
        { "service tier", CHAT(",\"service_tier\":\"default\""), &to_budget, BUDGET "\"service_tier\":\"standard_only\"," HI "}", "" },
        { "a tier it has not", CHAT(",\"service_tier\":\"flex\""), &to_budget, BUDGET HI "}", "dropped=service_tier" },
        { "JSON mode is asked for in words", CHAT(",\"response_format\":{\"type\":\"json_object\"}"), &to_budget,
          BUDGET "\"system\":[{\"type\":\"text\",\"text\":\"Answer with one JSON object and nothing else: no words before or after it, "
          "and no code fence.\"}]," HI "}", "" },
        { "a schema", CHAT(",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"schema\":{\"type\":\"object\"}}}"),
          &to_adaptive, ADAPTIVE "\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":{\"type\":\"object\",\"additionalProperties\":false}}}," HI "}", "" },
        { "a schema where the model has none",
          CHAT(",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"schema\":{\"type\":\"object\"}}}"), &to_budget,
          BUDGET "\"system\":[{\"type\":\"text\",\"text\":\"Answer with one JSON object and nothing else: no words before or after it, "
          "and no code fence. It must be valid against this JSON Schema: {\\\"type\\\":\\\"object\\\"}\"}]," HI "}",
          "changed=response_format" },
    };

    (void)state;
    assert_pairs(&openai_dialect, table, sizeof table / sizeof table[0]);
}

static void schemas_are_cut_to_what_structured_output_takes(void **state)
{
    static const struct { const char *in, *want; bool changed; } table[] = {
        { "{\"type\":\"object\",\"properties\":{\"minimum\":{\"type\":\"string\"}},\"required\":[\"minimum\"],\"additionalProperties\":false}",
          "{\"type\":\"object\",\"properties\":{\"minimum\":{\"type\":\"string\"}},\"required\":[\"minimum\"],\"additionalProperties\":false}", false },
        { "{\"$schema\":\"x\",\"properties\":{}}", "{\"properties\":{},\"additionalProperties\":false}", false },
        { "{\"type\":[\"object\",\"null\"]}", "{\"type\":[\"object\",\"null\"],\"additionalProperties\":false}", false },
        { "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}}", "{\"type\":\"object\",\"additionalProperties\":false}", true },
        { "{\"type\":\"integer\",\"minimum\":1,\"enum\":[1,{\"maximum\":2}]}", "{\"type\":\"integer\",\"enum\":[1,{\"maximum\":2}]}", true },
        { "{\"type\":\"string\",\"format\":\"date\",\"pattern\":\"a\"}", "{\"type\":\"string\",\"format\":\"date\",\"pattern\":\"a\"}", false },
        { "{\"type\":\"string\",\"format\":\"regex\"}", "{\"type\":\"string\"}", true },
        { "{\"type\":\"array\",\"minItems\":1,\"items\":{\"type\":\"object\"}}",
          "{\"type\":\"array\",\"minItems\":1,\"items\":{\"type\":\"object\",\"additionalProperties\":false}}", false },
        { "{\"type\":\"array\",\"minItems\":2}", "{\"type\":\"array\"}", true },
        { "{\"oneOf\":[{\"type\":\"object\"},true]}", "{\"anyOf\":[{\"type\":\"object\",\"additionalProperties\":false},true]}", true },
        { "{\"oneOf\":[true],\"anyOf\":[true]}", "{\"anyOf\":[true]}", true },
        { "{\"$defs\":{\"a\":{\"not\":{}}},\"$ref\":\"#/$defs/a\"}", "{\"$defs\":{\"a\":{}},\"$ref\":\"#/$defs/a\"}", true },
        { "{\"properties\":7,\"anyOf\":{}}", "{\"properties\":7,\"anyOf\":{},\"additionalProperties\":false}", false },    /* not ours to judge */
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        bool changed = false;
        struct buf b;

        buf_init(&b, 4096);
        anthropic_write_schema(&b, scanned(table[i].in), &changed);
        scanned(b.p);
        assert_string_equal(b.p, table[i].want);
        assert_int_equal(changed, table[i].changed);
        buf_free(&b);
    }
}

static void effort_goes_in_the_words_of_the_model(void **state)
{
#define EFFORT(word) CHAT(",\"reasoning_effort\":\"" word "\"")
#define ENABLED(n) BUDGET "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":" n "}," HI "}"
#define WORD(w) ADAPTIVE "\"thinking\":{\"type\":\"adaptive\"},\"output_config\":{\"effort\":\"" w "\"}," HI "}"
#define CAPPED(cap, more) "{\"model\":\"auto\",\"max_tokens\":" cap ",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]" more "}"
    static const struct pair table[] = {
        { "none", EFFORT("none"), &to_budget, BUDGET "\"thinking\":{\"type\":\"disabled\"}," HI "}", "" },
        { "minimal", EFFORT("minimal"), &to_budget, ENABLED("1024"), "" },
        { "low", EFFORT("low"), &to_budget, ENABLED("4096"), "" },
        { "medium", EFFORT("medium"), &to_budget, ENABLED("8192"), "" },
        { "high", EFFORT("high"), &to_budget, ENABLED("16384"), "" },
        { "xhigh", EFFORT("xhigh"), &to_budget, ENABLED("32768"), "" },
        { "none, adaptive", EFFORT("none"), &to_adaptive, ADAPTIVE "\"thinking\":{\"type\":\"disabled\"}," HI "}", "" },
        { "minimal, adaptive", EFFORT("minimal"), &to_adaptive, WORD("low"), "" },
        { "medium, adaptive", EFFORT("medium"), &to_adaptive, WORD("medium"), "" },
        { "xhigh, adaptive", EFFORT("xhigh"), &to_adaptive, WORD("xhigh"), "" },
        { "xhigh where there is none", EFFORT("xhigh"), &to_both,
          HEAD("claude-opus-4-6", "64000") "\"thinking\":{\"type\":\"adaptive\"},\"output_config\":{\"effort\":\"max\"}," HI "}",
          "changed=reasoning_effort" },
        { "a model that does not think", EFFORT("high"), &to_simple, SIMPLE HI "}", "dropped=reasoning_effort" },
        { "the budget stays below the cap", CAPPED("4000", ",\"reasoning_effort\":\"high\""), &to_budget,
          HEAD("claude-sonnet-4-5", "4000") "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000}," HI "}",
          "changed=reasoning_effort" },
        { "no room to think", CAPPED("1024", ",\"reasoning_effort\":\"high\""), &to_budget, HEAD("claude-sonnet-4-5", "1024") HI "}",
          "dropped=reasoning_effort" },
        { "sampling goes while it thinks", CHAT(",\"reasoning_effort\":\"low\",\"temperature\":0.5,\"top_p\":0.96"), &to_budget,
          BUDGET "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":4096},\"top_p\":0.96," HI "}", "dropped=temperature" },
        { "a forced choice gives way", CHAT(",\"reasoning_effort\":\"low\",\"tools\":[" FUNCTION "],\"tool_choice\":\"required\""), &to_budget,
          BUDGET "\"tools\":[" TOOL "],\"tool_choice\":{\"type\":\"auto\"},\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":4096}," HI "}",
          "changed=tool_choice" },
        { "DeepSeek's Anthropic base heeds the effort", EFFORT("high"), &to_deepseek,
          HEAD("deepseek-v4-pro", "64000") "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024},\"output_config\":{\"effort\":\"high\"},"
          HI "}", "" },
    };

    (void)state;
    assert_pairs(&openai_dialect, table, sizeof table / sizeof table[0]);
}

static void tools_go_as_the_table_says(void **state)
{
    static const struct pair table[] = {
        { "definition", CHAT(",\"tools\":[" FUNCTION "]"), &to_simple, SIMPLE "\"tools\":[" TOOL "]," HI "}", "" },
        { "a schema that does not say object", CHAT(",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":"
          "{ \"properties\":{\"a\":{}}}}}]"), &to_simple,
          SIMPLE "\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\",\"properties\":{\"a\":{}}}}]," HI "}", "" },
        { "strict", CHAT(",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"strict\":true}}]"), &to_adaptive,
          ADAPTIVE "\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\",\"properties\":{}},\"strict\":true}]," HI "}", "" },
        { "a strict schema is closed", CHAT(",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"strict\":true,\"parameters\":"
          "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\",\"minimum\":1}},\"additionalProperties\":false}}}]"), &to_adaptive,
          ADAPTIVE "\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}},"
          "\"additionalProperties\":false},\"strict\":true}]," HI "}", "changed=tools.schema" },
        { "strict where there is none", CHAT(",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"strict\":true}}]"), &to_simple,
          SIMPLE "\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\",\"properties\":{}}}]," HI "}", "dropped=tools.strict" },
        { "auto", CHAT(TWO ",\"tool_choice\":\"auto\""), &to_simple,
          SIMPLE "\"tools\":[" TOOL "," TOOL_G "],\"tool_choice\":{\"type\":\"auto\"}," HI "}", "" },
        { "none", CHAT(TWO ",\"tool_choice\":\"none\""), &to_simple,
          SIMPLE "\"tools\":[" TOOL "," TOOL_G "],\"tool_choice\":{\"type\":\"none\"}," HI "}", "" },
        { "required", CHAT(TWO ",\"tool_choice\":\"required\""), &to_simple,
          SIMPLE "\"tools\":[" TOOL "," TOOL_G "],\"tool_choice\":{\"type\":\"any\"}," HI "}", "" },
        { "named", CHAT(TWO ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"g\"}}"), &to_simple,
          SIMPLE "\"tools\":[" TOOL "," TOOL_G "],\"tool_choice\":{\"type\":\"tool\",\"name\":\"g\"}," HI "}", "" },
        { "allowed subset", CHAT(TWO ",\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"required\",\"tools\":"
          "[{\"type\":\"function\",\"function\":{\"name\":\"g\"}}]}}"), &to_simple,
          SIMPLE "\"tools\":[" TOOL_G "],\"tool_choice\":{\"type\":\"any\"}," HI "}", "changed=tools" },
        { "parallel off", CHAT(TWO ",\"parallel_tool_calls\":false"), &to_simple,
          SIMPLE "\"tools\":[" TOOL "," TOOL_G "],\"tool_choice\":{\"type\":\"auto\",\"disable_parallel_tool_use\":true}," HI "}", "" },
        { "custom", CHAT(",\"tools\":[{\"type\":\"custom\",\"custom\":{\"name\":\"patch\",\"description\":\"d\"}}]"), &to_simple,
          SIMPLE "\"tools\":[{\"name\":\"patch\",\"description\":\"d\",\"input_schema\":{\"type\":\"object\",\"properties\":{\"input\":{\"type\":"
          "\"string\"}},\"required\":[\"input\"],\"additionalProperties\":false}}]," HI "}", "" },
        { "a choice without tools", CHAT(",\"tool_choice\":\"auto\""), &to_simple, SIMPLE HI "}", "" },
    };

    (void)state;
    assert_pairs(&openai_dialect, table, sizeof table / sizeof table[0]);
}

static void a_mangled_name_and_a_wrapped_tool_are_remembered(void **state)
{
    struct bed b = translated(&openai_dialect, CHAT(",\"tools\":[{\"type\":\"custom\",\"custom\":{\"name\":\"apply.patch\",\"format\":{\"type\":"
                              "\"grammar\",\"grammar\":{\"syntax\":\"lark\",\"definition\":\"a\"}}}}]"), &to_simple);

    (void)state;
    assert_int_equal(b.out.names.n, 1);
    assert_span(b.out.names.list[0].ours, "apply.patch");
    assert_true(b.out.names.list[0].wrapped);
    assert_lacks(buf_span(&b.body), "apply.patch");
    assert_holds(buf_span(&b.body), "The input follows this definition: ");
    assert_string_equal(b.out.notes.text, "changed=tools.format");
    bed_free(&b);
}

static void turns_are_built_as_the_provider_wants_them(void **state)
{
#define M(turns) HEAD("claude-3-haiku", "50") turns "}"
#define U(blocks) "{\"role\":\"user\",\"content\":[" blocks "]}"
#define A(blocks) "{\"role\":\"assistant\",\"content\":[" blocks "]}"
#define T(text) "{\"type\":\"text\",\"text\":\"" text "\"}"
#define USE(id, name, input) "{\"type\":\"tool_use\",\"id\":\"" id "\",\"name\":\"" name "\",\"input\":" input "}"
#define STAND_IN "\"tools\":[{\"name\":\"none\",\"description\":\"Stands in for tools that are gone. Not to be called.\"," \
                 "\"input_schema\":{\"type\":\"object\",\"properties\":{}}}],\"tool_choice\":{\"type\":\"none\"},"
    static const struct pair table[] = {
        { "instructions apart", TURNS("{\"role\":\"system\",\"content\":\"a\"},{\"role\":\"developer\",\"content\":\"b\"},"
                                      "{\"role\":\"user\",\"content\":\"hi\"}"), &to_simple,
          M("\"system\":[" T("a") "," T("b") "]," HI), "" },
        { "adjacent turns are merged", TURNS("{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"b\"},"
                                             "{\"role\":\"assistant\",\"content\":\"c\"},{\"role\":\"assistant\",\"content\":\"d\"},"
                                             "{\"role\":\"user\",\"content\":\"e\"}"), &to_simple,
          M("\"messages\":[" U(T("a") "," T("b")) "," A(T("c") "," T("d")) "," U(T("e")) "]"), "" },
        { "the user speaks first", TURNS("{\"role\":\"assistant\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"b\"}"), &to_simple,
          M("\"messages\":[" U(T(".")) "," A(T("a")) "," U(T("b")) "]"), "changed=messages" },
        { "instructions alone", TURNS("{\"role\":\"system\",\"content\":\"a\"}"), &to_simple,
          M("\"system\":[" T("a") "],\"messages\":[" U(T(".")) "]"), "changed=messages" },
        { "empty texts go", TURNS("{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"\"},{\"type\":\"text\",\"text\":\"a\"}]},"
                                  "{\"role\":\"assistant\",\"content\":\" \\n\"},{\"role\":\"user\",\"content\":\"b\"}"), &to_simple,
          M("\"messages\":[" U(T("a") "," T("b")) "]"), "" },
        { "an empty user's turn is a dot", TURNS("{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"},"
                                                 "{\"role\":\"user\",\"content\":\"\"}"), &to_simple,
          M("\"messages\":[" U(T("a")) "," A(T("b")) "," U(T(".")) "]"), "changed=messages" },
        { "later instructions are quoted", TURNS("{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"system\",\"content\":\"s\"},"
                                                 "{\"role\":\"assistant\",\"content\":\"b\"},{\"role\":\"system\",\"content\":\"t\"}"), &to_simple,
          M("\"messages\":[" U(T("a") "," T("<system>s</system>")) "," A(T("b")) "," U(T("<system>t</system>")) "]"), "changed=role" },
        { "a prefill does not end in blanks", TURNS("{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b \\t\\n\"}"),
          &to_simple, M("\"messages\":[" U(T("a")) "," A(T("b")) "]"), "" },
        { "results come first, in one turn, before what else is said",
          TURNS("{\"role\":\"user\",\"content\":\"go\"},{\"role\":\"assistant\",\"content\":\"ok\",\"tool_calls\":["
                "{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"n\\\":9007199254740993}\"}},"
                "{\"id\":\"c2\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]},"
                "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"r1\"},"
                "{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":[{\"type\":\"text\",\"text\":\"\"}]},"
                "{\"role\":\"system\",\"content\":\"s\"},"
                "{\"role\":\"user\",\"content\":\"on\"}"), &to_simple,
          M(STAND_IN "\"messages\":[" U(T("go")) "," A(T("ok") "," USE("c1", "f", "{\"n\":9007199254740993}") "," USE("c2", "f", "{}")) ","
            U("{\"type\":\"tool_result\",\"tool_use_id\":\"c1\",\"content\":\"r1\"},{\"type\":\"tool_result\",\"tool_use_id\":\"c2\"}," T("<system>s</system>") "," T("on")) "]"), "changed=role" },
        { "arguments that are no object stay visible; ids that cannot be said are said otherwise, both times alike",
          TURNS("{\"role\":\"user\",\"content\":\"go\"},{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"f:0\",\"type\":\"function\","
                "\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"f:0\",\"content\":\"r\"}"),
          &to_simple, M(STAND_IN "\"messages\":[" U(T("go")) "," A(USE("f_0_dd4b4818ff5b95cb", "f", "{\"_raw\":\"{\\\"a\\\":\"}")) ","
                        U("{\"type\":\"tool_result\",\"tool_use_id\":\"f_0_dd4b4818ff5b95cb\",\"content\":\"r\"}") "]"),
          "changed=arguments" },
        { "pictures", TURNS("{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,aGk=\","
                            "\"detail\":\"low\"}}]}"), &to_simple,
          M("\"messages\":[" U("{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":\"aGk=\"}}") "]"),
          "dropped=detail" },
        { "picture by URL", "{\"model\":\"auto\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":"
          "{\"url\":\"https://x/y.png\"}}]}]}", &to_budget,
          BUDGET "\"messages\":[" U("{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"https://x/y.png\"}}") "]}", "" },
        { "PDF", TURNS("{\"role\":\"user\",\"content\":[{\"type\":\"file\",\"file\":{\"filename\":\"a.pdf\",\"file_data\":"
                       "\"data:application/pdf;base64,aGk=\"}}]}"), &to_simple,
          M("\"messages\":[" U("{\"type\":\"document\",\"source\":{\"type\":\"base64\",\"media_type\":\"application/pdf\",\"data\":\"aGk=\"},"
                               "\"title\":\"a.pdf\"}") "]"), "" },
        { "a participant's name", TURNS("{\"role\":\"user\",\"name\":\"bob\",\"content\":\"hi\"}"), &to_simple, M(HI), "dropped=name" },
    };

    (void)state;
    assert_pairs(&openai_dialect, table, sizeof table / sizeof table[0]);
}

static void what_cannot_be_said_is_refused_before_it_is_written(void **state)
{
#define PART(part) TURNS("{\"role\":\"user\",\"content\":[" part "]}")
    static const struct { const char *json; const struct target *to; const char *param; } table[] = {
        { CHAT(",\"n\":2"), &to_budget, "n" },
        { CHAT(",\"logprobs\":true"), &to_budget, "logprobs" },
        { PART("{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"aGk=\",\"format\":\"wav\"}}"), &to_budget, "input_audio" },
        { PART("{\"type\":\"file\",\"file\":{\"file_id\":\"file-1\"}}"), &to_budget, "file_id" },
        { PART("{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://x/y\"}}"), &to_simple, "image_url" },
        { PART("{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/tiff;base64,aGk=\"}}"), &to_budget, "image_url" },
        { PART("{\"type\":\"file\",\"file\":{\"file_data\":\"data:text/csv;base64,aGk=\"}}"), &to_budget, "file" },
        { CHAT(",\"web_search_options\":{}"), &to_budget, "web_search_options" },
        { CHAT(",\"modalities\":[\"audio\"],\"audio\":{\"voice\":\"a\",\"format\":\"wav\"}"), &to_budget, "modalities" },
        { TURNS("{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}"), &to_adaptive, "messages" },
        { TURNS("{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\","
                "\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}"), &to_budget, "messages" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct bed b;

        if (!bed_parse(&b, &openai_dialect, table[i].json, NULL, NULL))
            fail_msg("%s in %s", b.fault.message, table[i].json);
        if (anthropic_takes(&b.chat, table[i].to, &b.fault))
            fail_msg("taken: %s", table[i].json);
        assert_int_equal(b.fault.status, 400);
        assert_string_equal(b.fault.param, table[i].param);
        assert_holds(span_str(b.fault.message), "Anthropic Messages");
        bed_free(&b);
    }
}

static void only_the_last_four_cache_marks_go_and_none_outlives_one_before(void **state)
{
#define MARKED(text, ttl) "{\"type\":\"text\",\"text\":\"" text "\",\"cache_control\":{\"type\":\"ephemeral\"" ttl "}}"
    struct bed b = translated(&openai_dialect, TURNS("{\"role\":\"system\",\"content\":[" MARKED("a", "") "]},{\"role\":\"user\",\"content\":["
                              MARKED("b", ",\"ttl\":\"1h\"") "," MARKED("c", "") "," MARKED("d", ",\"ttl\":\"1h\"") "," MARKED("e", "") "]}"),
                              &to_simple);

    (void)state;
    assert_string_equal(b.body.p, M("\"system\":[" T("a") "],\"messages\":[" U(MARKED("b", ",\"ttl\":\"1h\"") "," MARKED("c", "") ","
                                    MARKED("d", "") "," MARKED("e", "")) "]"));
    bed_free(&b);
}

/* ---- reasoning ---- */

static struct chat_item *add(struct bed *b, struct chat_turn *t, enum item_kind kind)
{
    struct chat_item *i = chat_add_item(&b->chat, t, &b->arena, kind);

    assert_non_null(i);
    return i;
}

/* A tool loop with a thought of some family in front of its call. */
static struct bed loop_of(enum family family, const char *opaque)
{
    struct bed b = { .chat = { .n = 1 } };
    struct chat_turn *t;
    struct chat_item *i;

    arena_init(&b.arena, 1u << 20);
    buf_init(&b.body, 1u << 20);
    chat_init(&b.chat, DIALECT_RESPONSES, SPAN_LIT("{}"));
    t = chat_add_turn(&b.chat, &b.arena, ROLE_USER);
    add(&b, t, ITEM_TEXT)->text = SPAN_LIT("go");
    t = chat_add_turn(&b.chat, &b.arena, ROLE_ASSISTANT);
    i = add(&b, t, ITEM_REASONING);
    i->text = SPAN_LIT("hm");
    i->opaque_raw = opaque ? span_str(opaque) : SPAN_NONE;
    i->family = family;
    i = add(&b, t, ITEM_CALL);
    i->call = (struct chat_call){ .id = SPAN_LIT("c"), .name = SPAN_LIT("f"), .arguments_raw = SPAN_LIT("{}") };
    t = chat_add_turn(&b.chat, &b.arena, ROLE_USER);
    add(&b, t, ITEM_RESULT)->result.id = SPAN_LIT("c");
    b.chat.effort = EFFORT_LOW;
    return b;
}

static void reasoning_goes_back_to_its_own_family_alone(void **state)
{
    static const struct { enum family family; const char *opaque; const struct target *to; const char *want, *notes; } table[] = {
        { FAMILY_ANTHROPIC, "sig", &to_budget, "{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"sig\"},{\"type\":\"tool_use\"", "" },
        /* without it a budget is refused in the middle of a loop: it goes, and is noted */
        { FAMILY_OPENAI, "enc", &to_budget, "[{\"type\":\"tool_use\"", "dropped=reasoning.effort" },
        { FAMILY_NONE, NULL, &to_budget, "[{\"type\":\"tool_use\"", "dropped=reasoning.effort" },
        { FAMILY_GEMINI, "sig", &to_adaptive, "[{\"type\":\"tool_use\"", "" },
        { FAMILY_DEEPSEEK, NULL, &to_deepseek, "{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"\"},{\"type\":\"tool_use\"", "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct bed b = loop_of(table[i].family, table[i].opaque);

        write_to(&b, table[i].to);
        assert_holds(buf_span(&b.body), table[i].want);
        assert_string_equal(b.out.notes.text, table[i].notes);
        bed_free(&b);
    }
}

static void results_carry_pictures_errors_and_objects(void **state)
{
    struct bed b = loop_of(FAMILY_NONE, NULL);
    struct chat_item *result = b.chat.last_turn->items, *part;

    (void)state;
    result->result.is_error = true;
    chat_add_part(&b.chat, result, &b.arena, ITEM_TEXT)->text = SPAN_LIT("r");
    part = chat_add_part(&b.chat, result, &b.arena, ITEM_IMAGE);
    part->media = (struct chat_media){ .source = MEDIA_BYTES, .type = SPAN_LIT("image/jpg"), .data = SPAN_LIT("aGk=") };
    part->cache = CACHE_5M;
    write_to(&b, &to_adaptive);
    assert_holds(buf_span(&b.body), "{\"type\":\"tool_result\",\"tool_use_id\":\"c\",\"content\":[{\"type\":\"text\",\"text\":\"r\"},{\"type\":"
                 "\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/jpeg\",\"data\":\"aGk=\"}}],\"is_error\":true,"
                 "\"cache_control\":{\"type\":\"ephemeral\"}}");
    buf_clear(&b.body);
    result->result.object_json = SPAN_LIT("{\"a\":\"b\"}");
    write_to(&b, &to_adaptive);
    assert_holds(buf_span(&b.body), "\"content\":[{\"type\":\"text\",\"text\":\"{\\\"a\\\":\\\"b\\\"}\"},{\"type\":\"text\",\"text\":\"r\"},{\"type\":"
                 "\"image\"");
    bed_free(&b);
}

/* ---- from Gemini ---- */

static void a_gemini_callers_words_are_in_its_notes(void **state)
{
    static const char json[] =
        "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}],\"generationConfig\":{\"topK\":7,\"temperature\":1.5,\"seed\":3,"
        "\"presencePenalty\":1,\"maxOutputTokens\":2000,\"thinkingConfig\":{\"thinkingBudget\":4000}}}";
    struct bed b = translated(&gemini_dialect, json, &to_budget);

    (void)state;
    assert_string_equal(b.body.p, HEAD("claude-sonnet-4-5", "2000") "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}," HI "}");
    assert_string_equal(b.out.notes.text, "changed=thinkingConfig, dropped=temperature, dropped=topK, dropped=presencePenalty, dropped=seed");
    bed_free(&b);
    b = translated(&gemini_dialect, json, &to_adaptive);    /* the nearest effort, and no sampling */
    assert_holds(buf_span(&b.body), "\"thinking\":{\"type\":\"adaptive\"},\"output_config\":{\"effort\":\"low\"}");
    bed_free(&b);
}

/* Found by fuzzing: Google's clients send base64url without padding, which Anthropic refuses. */
static void googles_base64_becomes_everybodys(void **state)
{
    struct bed b = translated(&gemini_dialect, "{\"contents\":[{\"parts\":[{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"-_8\"}}]}]}",
                              &to_budget);

    (void)state;
    assert_holds(buf_span(&b.body), "\"data\":\"+/8=\"");
    bed_free(&b);
}

/* ---- passing ---- */

static struct bed passed(const char *json, const struct target *to)
{
    struct bed b;

    if (!bed_parse(&b, &anthropic_dialect, json, NULL, NULL))
        fail_msg("%s in %s", b.fault.message, json);
    b.out = (struct request_out){ .arena = &b.arena, .fault = &b.fault };
    assert_true(anthropic_pass_request(&b.chat, to, &b.out));
    for (size_t i = 0; i < b.out.n_pieces; i++)
        buf_add_span(&b.body, b.out.pieces[i]);
    scanned(b.body.p);
    return b;
}

static void a_request_passes_but_for_what_must_change(void **state)
{
#define IN(more) "{ \"model\" : \"auto\", \"max_tokens\":100, \"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]" more "}"
#define OUT(model, more) "{ \"model\" : \"" model "\", \"max_tokens\":100, \"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]" more "}"
#define BIG(more) "{\"model\":\"auto\",\"max_tokens\":9000,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]" more "}"
#define BIG_OUT(model, more) "{\"model\":\"" model "\",\"max_tokens\":9000,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]" more "}"
    static const struct pair table[] = {
        { "the name, and nothing else", IN(", \"newer\" : [1e400, 9007199254740993],\n\"temperature\":0.5,\"top_k\":3"), &to_budget,
          OUT("claude-sonnet-4-5", ", \"newer\" : [1e400, 9007199254740993],\n\"temperature\":0.5,\"top_k\":3"), "" },
        { "sampling that the model refuses", IN(", \"temperature\":0.5,\"top_p\":0.9 , \"top_k\":3"), &to_adaptive,
          OUT("claude-opus-4-7", ""), "dropped=temperature, dropped=top_p, dropped=top_k" },
        { "in the middle", IN(", \"top_p\":0.9,\"stream\":true,\"top_k\":3,\"x\":1"), &to_adaptive,
          OUT("claude-opus-4-7", ", \"stream\":true,\"x\":1"), "dropped=top_p, dropped=top_k" },
        { "at the front", "{\"temperature\":0.5,\"model\":\"auto\",\"max_tokens\":100,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
          &to_adaptive, "{\"model\":\"claude-opus-4-7\",\"max_tokens\":100,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
          "dropped=temperature" },
        { "the default stays", IN(",\"temperature\":1"), &to_adaptive, OUT("claude-opus-4-7", ",\"temperature\":1"), "" },
        { "a budget becomes an effort", BIG(",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":8000}"), &to_adaptive,
          BIG_OUT("claude-opus-4-7", ",\"thinking\":{\"type\":\"adaptive\"},\"output_config\":{\"effort\":\"medium\"}"), "changed=thinking" },
        { "where both are taken it stays", BIG(",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":8000}"), &to_both,
          BIG_OUT("claude-opus-4-6", ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":8000}"), "" },
        { "an effort becomes a budget", BIG(",\"output_config\":{\"effort\":\"low\"},\"thinking\":{\"type\":\"adaptive\",\"display\":\"omitted\"}"),
          &to_budget, BIG_OUT("claude-sonnet-4-5", ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":4096,\"display\":\"omitted\"}"),
          "changed=thinking, dropped=output_config.effort" },
        { "an effort that the model does not know", BIG(",\"output_config\":{\"effort\":\"xhigh\",\"x\":1}"), &to_both,
          BIG_OUT("claude-opus-4-6", ",\"output_config\":{\"effort\":\"max\",\"x\":1}"), "changed=output_config.effort" },
        { "an effort beside others", BIG(",\"output_config\":{\"effort\":\"low\",\"x\":1}"), &to_budget,
          BIG_OUT("claude-sonnet-4-5", ",\"output_config\":{\"x\":1}"), "dropped=output_config.effort" },
        { "a model that does not think", BIG(",\"thinking\":{\"type\":\"adaptive\"}"), &to_simple, BIG_OUT("claude-3-haiku", ""),
          "dropped=thinking" },
        { "disabled is disabled", BIG(",\"thinking\":{\"type\":\"disabled\"}"), &to_adaptive,
          BIG_OUT("claude-opus-4-7", ",\"thinking\":{\"type\":\"disabled\"}"), "" },
        { "what is newer than we are", BIG(",\"thinking\":{\"type\":\"between_tools\"}"), &to_budget,
          BIG_OUT("claude-sonnet-4-5", ",\"thinking\":{\"type\":\"between_tools\"}"), "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct bed b = passed(table[i].chat, table[i].to);

        if (strcmp(b.body.p, table[i].want) != 0)
            fail_msg("%s:\n%s\ninstead of\n%s", table[i].why, b.body.p, table[i].want);
        assert_string_equal(b.out.notes.text, table[i].notes);
        bed_free(&b);
    }
}

static void caps_are_lowered_and_the_budget_with_them(void **state)
{
    struct target to = to_budget;
    struct bed b;

    (void)state;
    to.output_cap = 50;
    b = passed(IN(""), &to);
    assert_holds(buf_span(&b.body), "\"max_tokens\":50,");
    bed_free(&b);
    to.output_cap = 200;
    b = passed(IN(""), &to);
    assert_holds(buf_span(&b.body), "\"max_tokens\":100,");
    bed_free(&b);
    b = passed("{\"model\":\"m\",\"max_tokens\":0,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}", &to);
    assert_holds(buf_span(&b.body), "\"max_tokens\":0,");    /* warms the cache */
    bed_free(&b);
    to.output_cap = 4000;
    b = passed(BIG(",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":8000}"), &to);
    assert_holds(buf_span(&b.body), "\"max_tokens\":4000,");
    assert_holds(buf_span(&b.body), "\"budget_tokens\":2000}");
    assert_string_equal(b.out.notes.text, "changed=thinking");
    bed_free(&b);
}

static void thoughts_that_nobody_signed_stay_behind(void **state)
{
#define THOUGHT(sig) "{\"type\":\"thinking\",\"thinking\":\"h\",\"signature\":\"" sig "\"}"
#define GO "{\"role\":\"user\",\"content\":\"go\"}"
#define SAID(blocks) "{\"role\":\"assistant\",\"content\":[" blocks "]}"
#define PASS(messages) "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[" messages "]}"
    static const struct { const char *in, *want; const struct target *to; } table[] = {
        { PASS(GO "," SAID(THOUGHT("") ", " T("a")) "," GO), PASS(GO "," SAID(T("a")) "," GO), &to_budget },
        { PASS(GO "," SAID(T("a") ", " THOUGHT("")) "," GO), PASS(GO "," SAID(T("a")) "," GO), &to_budget },
        { PASS(GO "," SAID(THOUGHT("") "," THOUGHT("s") "," THOUGHT("") "," T("a") "," THOUGHT("") "," THOUGHT("")) "," GO),
          PASS(GO "," SAID(THOUGHT("s") "," T("a")) "," GO), &to_budget },
        { PASS(GO "," SAID(THOUGHT("") "," THOUGHT("")) "," GO), PASS(GO "," GO), &to_budget },
        { PASS(GO "," SAID(THOUGHT(""))), PASS(GO), &to_budget },
        { PASS(GO "," SAID(THOUGHT("s") "," T("a")) "," GO), PASS(GO "," SAID(THOUGHT("s") "," T("a")) "," GO), &to_budget },
        { PASS(GO "," SAID(THOUGHT("") "," T("a")) "," GO), PASS(GO "," SAID(THOUGHT("") "," T("a")) "," GO), &to_deepseek },
        { PASS(GO "," SAID("{\"type\":\"redacted_thinking\",\"data\":\"x\"}," T("a")) "," GO), PASS(GO "," SAID(T("a")) "," GO), &to_deepseek },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct bed b = passed(table[i].in, table[i].to);
        const size_t from = span_find_span(buf_span(&b.body), SPAN_LIT("\"max_tokens\"")),
                     want = span_find_span(span_str(table[i].want), SPAN_LIT("\"max_tokens\""));

        if (strcmp(b.body.p + from, table[i].want + want) != 0)
            fail_msg("%s\ninstead of\n%s", b.body.p, table[i].want);
        bed_free(&b);
    }
}

/* A budget in a loop whose thinking has been cut would be refused: it goes with the thinking. */
static void a_loop_begun_by_another_model_goes_on_without_a_budget(void **state)
{
    struct bed b = passed("{\"model\":\"m\",\"max_tokens\":9000,\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000},\"messages\":[" GO ","
                          SAID(THOUGHT("") "," USE("c", "f", "{}")) ",{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\","
                          "\"tool_use_id\":\"c\"},{\"type\":\"text\",\"text\":\"and\"}]}]}", &to_budget);

    (void)state;
    assert_lacks(buf_span(&b.body), "thinking");
    assert_string_equal(b.out.notes.text, "dropped=thinking");
    bed_free(&b);
}

/* A loop that a host with other ids began ("functions.f:0"), gone on with at Anthropic, which refuses those. What is not Anthropic
 * itself takes them. */
static void odd_ids_of_calls_are_mended_where_they_are_refused(void **state)
{
    struct target elsewhere = to_budget;

    (void)state;
    elsewhere.family = FAMILY_NONE;
    for (int mended = 0; mended < 2; mended++) {
        struct bed b = passed("{\"model\":\"m\",\"max_tokens\":90,\"messages\":[" GO ","
                              SAID(USE("functions.f:0", "f", "{}") "," USE("c_1-a", "f", "{}")) ",{\"role\":\"user\",\"content\":[{\"type\":"
                              "\"tool_result\",\"tool_use_id\":\"functions.f\\u003a0\"},{\"type\":\"tool_result\",\"tool_use_id\":\"c_1-a\"}]}]}",
                              mended ? &to_budget : &elsewhere);

        assert_holds(buf_span(&b.body), mended ? "\"id\":\"functions_f_0_4be0e962e9dcd7b8\"" : "\"id\":\"functions.f:0\"");
        assert_holds(buf_span(&b.body), mended ? "\"tool_use_id\":\"functions_f_0_4be0e962e9dcd7b8\""
                                               : "\"tool_use_id\":\"functions.f\\u003a0\"");
        assert_holds(buf_span(&b.body), "\"id\":\"c_1-a\"");
        assert_holds(buf_span(&b.body), "\"tool_use_id\":\"c_1-a\"");
        assert_string_equal(b.out.notes.text, "");
        bed_free(&b);
    }
}

/* ---- everything that write_request would refuse is refused before; nothing crashes ---- */

static void a_full_buffer_or_arena_is_503(void **state)
{
    static const char json[] = TURNS("{\"role\":\"user\",\"content\":\"go\"},{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"f:0\",\"type\":"
        "\"function\",\"function\":{\"name\":\"a b\",\"arguments\":\"{\\\"a\\\":\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"f:0\",\"content\":\"r\"}");

    (void)state;
    for (size_t cap = 0; cap < 1024; cap += 16) {
        struct bed b;

        assert_true(bed_parse(&b, &openai_dialect, json, NULL, NULL));
        buf_free(&b.body);
        buf_init(&b.body, cap);
        b.out = (struct request_out){ .arena = &b.arena, .body = &b.body, .fault = &b.fault };
        if (!anthropic_write_request(&b.chat, &to_simple, &b.out))
            assert_int_equal(b.fault.status, 503);
        else
            scanned(b.body.p);
        bed_free(&b);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_go_as_the_table_says),
        cmocka_unit_test(schemas_are_cut_to_what_structured_output_takes),
        cmocka_unit_test(effort_goes_in_the_words_of_the_model),
        cmocka_unit_test(tools_go_as_the_table_says),
        cmocka_unit_test(a_mangled_name_and_a_wrapped_tool_are_remembered),
        cmocka_unit_test(turns_are_built_as_the_provider_wants_them),
        cmocka_unit_test(what_cannot_be_said_is_refused_before_it_is_written),
        cmocka_unit_test(only_the_last_four_cache_marks_go_and_none_outlives_one_before),
        cmocka_unit_test(reasoning_goes_back_to_its_own_family_alone),
        cmocka_unit_test(results_carry_pictures_errors_and_objects),
        cmocka_unit_test(a_gemini_callers_words_are_in_its_notes),
        cmocka_unit_test(googles_base64_becomes_everybodys),
        cmocka_unit_test(a_request_passes_but_for_what_must_change),
        cmocka_unit_test(caps_are_lowered_and_the_budget_with_them),
        cmocka_unit_test(thoughts_that_nobody_signed_stay_behind),
        cmocka_unit_test(a_loop_begun_by_another_model_goes_on_without_a_budget),
        cmocka_unit_test(odd_ids_of_calls_are_mended_where_they_are_refused),
        cmocka_unit_test(a_full_buffer_or_arena_is_503),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
