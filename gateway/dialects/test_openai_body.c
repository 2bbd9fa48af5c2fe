/* test_openai_body.c - a body passes byte for byte but for what a host demands; one of another dialect is said in full. The
 * golden bodies are written by hand from wire/openai-chat, wire/translation and wire/deepseek-and-compatible. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "gateway/dialects/openai.h"

#define OK_MESSAGES "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]"

static const struct traits all = { .thinking = THINKING_EFFORT, .thinking_off = true, .sampling = true, .penalties = true,
                                   .stop = true, .prefill = true, .url_media = true, .schema = true, .forced_tools = true };
static const struct quirks careful = { .stream_usage = STREAM_USAGE_ASK, .reasoning_field = REASONING_CONTENT,
                                       .supports_json_schema = true, .supports_parallel = true,
                                       .tool_choice_required_word = "required" };
static const struct target plain = { .model = SPAN_LIT("u"), .quirks = &careful, .traits = &all };

/* As quirks.c and traits.c know them; there are tests of those rows. */
static struct quirks quirks_of(const char *server)
{
    struct quirks q;

    assert_true(quirks_known(&q, NULL, "openai", server));
    return q;
}

struct said {
    struct arena arena;
    struct chat chat;
    struct fault fault;
    struct request_out out;
    struct buf body, pieces;
};

static void ask(struct said *a, const char *body)
{
    struct jscan *s = jscan_new(&jscan_default_limits, 7);

    assert_int_not_equal(jscan_feed(s, span_str(body)), JSCAN_BAD);
    assert_int_equal(jscan_end(s), JSCAN_DONE);
    jscan_free(s);
    arena_init(&a->arena, 1u << 20);
    buf_init(&a->body, 1u << 20);
    buf_init(&a->pieces, 1u << 20);
    a->fault = (struct fault){ 0 };
    a->out = (struct request_out){ .arena = &a->arena, .body = &a->body, .fault = &a->fault };
    chat_init(&a->chat, DIALECT_CHAT, span_str(body));
    if (!openai_parse(&a->chat, &(struct parse_spec){ .arena = &a->arena, .fault = &a->fault }))
        fail_msg("%s: %s", body, a->fault.message);
}

static void done(struct said *a)
{
    arena_free(&a->arena);
    buf_free(&a->body);
    buf_free(&a->pieces);
}

static void assert_json(const char *text)
{
    struct jscan *s = jscan_new(&jscan_default_limits, 7);

    if (jscan_feed(s, span_str(text)) == JSCAN_BAD || jscan_end(s) != JSCAN_DONE)
        fail_msg("no JSON: %s at %zu of %s", jscan_error(s), jscan_at(s), text);
    jscan_free(s);
}

/* Notes are joined into `notes` ("" for none). */
static void assert_passes_noting(const char *body, const struct target *target, const char *want, const char *notes)
{
    struct said a;

    ask(&a, body);
    if (!openai_pass_request(&a.chat, target, &a.out))
        fail_msg("%s: %s", body, a.fault.message);
    for (size_t i = 0; i < a.out.n_pieces; i++)
        buf_add_span(&a.pieces, a.out.pieces[i]);
    assert_string_equal(a.pieces.p, want);
    assert_json(a.pieces.p);
    assert_string_equal(a.out.notes.text, notes);
    done(&a);
}

static void assert_passes(const char *body, const struct target *target, const char *want)
{
    assert_passes_noting(body, target, want, "");
}

static void assert_refused(const char *body, const struct target *target, const char *param)
{
    struct said a;

    ask(&a, body);
    assert_false(openai_takes(&a.chat, target, &a.fault));
    assert_int_equal(a.fault.status, 400);
    assert_string_equal(a.fault.param, param);
    a.fault = (struct fault){ 0 };
    assert_false(openai_pass_request(&a.chat, target, &a.out));
    assert_int_equal(a.fault.status, 400);
    done(&a);
}

/* ---- bodies that pass ---- */

static void only_the_model_changes_where_nothing_else_must(void **state)
{
    const struct target c = { .model = SPAN_LIT("up\"stream"), .quirks = &careful, .traits = &all };

    (void)state;
    assert_passes(" { \"x\" : 12345678901234567890 , \"model\" : \"auto\" , " OK_MESSAGES " } \n", &c,
                  " { \"x\" : 12345678901234567890 , \"model\" : \"up\\\"stream\" , " OK_MESSAGES " } \n");
}

static void usage_is_asked_for_in_every_stream(void **state)
{
    (void)state;
    assert_passes("{\"model\":\"m\",\"stream\":true," OK_MESSAGES "}", &plain,
                  "{\"model\":\"u\",\"stream\":true," OK_MESSAGES ",\"stream_options\":{\"include_usage\":true}}");
    assert_passes("{\"model\":\"m\",\"stream\":true,\"stream_options\":null," OK_MESSAGES "}", &plain,
                  "{\"model\":\"u\",\"stream\":true,\"stream_options\":{\"include_usage\":true}," OK_MESSAGES "}");
    assert_passes("{\"model\":\"m\",\"stream\":true,\"stream_options\":{}," OK_MESSAGES "}", &plain,
                  "{\"model\":\"u\",\"stream\":true,\"stream_options\":{\"include_usage\":true}," OK_MESSAGES "}");
    assert_passes("{\"stream_options\":{\"include_obfuscation\":false,\"include_usage\":false},\"model\":\"m\",\"stream\":true,"
                  OK_MESSAGES "}", &plain,
                  "{\"stream_options\":{\"include_obfuscation\":false,\"include_usage\":true},\"model\":\"u\",\"stream\":true,"
                  OK_MESSAGES "}");
    assert_passes("{\"stream_options\":{\"include_obfuscation\":false},\"model\":\"m\",\"stream\":true," OK_MESSAGES "}", &plain,
                  "{\"stream_options\":{\"include_usage\":true,\"include_obfuscation\":false},\"model\":\"u\",\"stream\":true,"
                  OK_MESSAGES "}");
}

static void a_host_that_sends_usage_unasked_gets_no_stream_options(void **state)
{
    struct quirks q = careful;
    const struct target t = { .model = SPAN_LIT("u"), .quirks = &q, .traits = &all };

    (void)state;
    q.stream_usage = STREAM_USAGE_ALWAYS;
    assert_passes("{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true}," OK_MESSAGES "}", &t,
                  "{\"model\":\"u\",\"stream\":true," OK_MESSAGES "}");
    assert_passes("{ \"stream_options\" : {\"include_usage\":true} , \"model\":\"m\",\"stream\":true," OK_MESSAGES "}", &t,
                  "{ \"model\":\"u\",\"stream\":true," OK_MESSAGES "}");
    assert_passes("{\"model\":\"m\",\"stream\":true," OK_MESSAGES " , \"stream_options\":{} }", &t,
                  "{\"model\":\"u\",\"stream\":true," OK_MESSAGES " }");
}

static void a_cap_is_added_or_lowered_never_raised(void **state)
{
    struct quirks q = careful;
    const struct target c = { .model = SPAN_LIT("u"), .output_cap = 100, .quirks = &careful, .traits = &all };
    const struct target n = { .model = SPAN_LIT("u"), .output_cap = 100, .quirks = &q, .traits = &all };

    (void)state;
    q.max_tokens_field = MAX_COMPLETION_TOKENS;
    assert_passes("{\"model\":\"m\"," OK_MESSAGES "}", &c, "{\"model\":\"u\"," OK_MESSAGES ",\"max_tokens\":100}");
    assert_passes("{\"model\":\"m\"," OK_MESSAGES "}", &n, "{\"model\":\"u\"," OK_MESSAGES ",\"max_completion_tokens\":100}");
    assert_passes("{\"model\":\"m\",\"max_tokens\":7," OK_MESSAGES "}", &c, "{\"model\":\"u\",\"max_tokens\":7," OK_MESSAGES "}");
    assert_passes("{\"model\":\"m\",\"max_tokens\":null," OK_MESSAGES "}", &c,
                  "{\"model\":\"u\",\"max_tokens\":100," OK_MESSAGES "}");
}

/* A host that heeds one spelling alone would otherwise answer beyond the cap that was reserved for. */
static void a_cap_goes_out_in_the_spelling_that_the_host_heeds(void **state)
{
    struct quirks q = careful;
    const struct target c = { .model = SPAN_LIT("u"), .output_cap = 100, .quirks = &careful, .traits = &all };
    const struct target n = { .model = SPAN_LIT("u"), .quirks = &q, .traits = &all };

    (void)state;
    q.max_tokens_field = MAX_COMPLETION_TOKENS;
    assert_passes("{\"model\":\"m\",\"max_completion_tokens\" : 900," OK_MESSAGES "}", &c,
                  "{\"model\":\"u\",\"max_tokens\" : 100," OK_MESSAGES "}");
    assert_passes("{\"model\":\"m\",\"max_completion\\u005ftokens\":90," OK_MESSAGES "}", &c,
                  "{\"model\":\"u\",\"max_tokens\":90," OK_MESSAGES "}");
    assert_passes("{\"model\":\"m\",\"max_tokens\":90," OK_MESSAGES "}", &n,
                  "{\"model\":\"u\",\"max_completion_tokens\":90," OK_MESSAGES "}");
    assert_passes("{\"model\":\"m\",\"max_tokens\":90,\"max_completion_tokens\":80," OK_MESSAGES "}", &n,
                  "{\"model\":\"u\",\"max_tokens\":90,\"max_completion_tokens\":80," OK_MESSAGES "}");
}

static void a_developer_is_the_system_where_a_host_knows_none(void **state)
{
    struct quirks q = careful;
    const struct target t = { .model = SPAN_LIT("u"), .quirks = &q, .traits = &all };
    const char *body = "{\"model\":\"u\",\"messages\":[{\"role\":\"developer\",\"content\":\"Be \\u0062rief\"},"
                       "{\"content\":\"Hi\",\"role\":\"user\"}]}";

    (void)state;
    assert_passes(body, &plain, "{\"model\":\"u\",\"messages\":[{\"role\":\"system\",\"content\":\"Be \\u0062rief\"},"
                                "{\"content\":\"Hi\",\"role\":\"user\"}]}");
    q.developer_role = true;
    assert_passes(body, &t, body);
}

/* ---- DeepSeek ---- */

#define TOOLS "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]"
#define CALLS "\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]"
#define RESULT "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"7\"}"

/* musistudio/claude-code-router#1050, decolua/9router#1786, router-for-me/CLIProxyAPI#3451: tool loops died with 400. */
static void deepseek_gets_its_reasoning_back_with_every_tool_call(void **state)
{
    const struct quirks q = quirks_of("deepseek");
    const struct target t = { .model = SPAN_LIT("u"), .quirks = &q, .traits = traits_of(SPAN_LIT("deepseek-v4-pro")) };

    (void)state;
    assert_passes("{\"model\":\"u\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":null,"
                  CALLS "}," RESULT "]}", &t,
                  "{\"model\":\"u\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"reasoning_content\":\"\","
                  "\"role\":\"assistant\",\"content\":null," CALLS "}," RESULT "]}");
    assert_passes("{\"model\":\"u\",\"messages\":[{\"role\":\"assistant\",\"reasoning_content\":\"I \\\"know\\\"\"," CALLS "}," RESULT
                  "]}", &t,
                  "{\"model\":\"u\",\"messages\":[{\"role\":\"assistant\",\"reasoning_content\":\"I \\\"know\\\"\"," CALLS "}," RESULT
                  "]}");
    assert_passes("{\"model\":\"u\",\"messages\":[{\"role\":\"assistant\",\"reasoning_content\":null," CALLS "}," RESULT "]}", &t,
                  "{\"model\":\"u\",\"messages\":[{\"role\":\"assistant\",\"reasoning_content\":\"\"," CALLS "}," RESULT "]}");
    assert_passes("{\"model\":\"u\",\"messages\":[{\"role\":\"assistant\",\"content\":\"x\"}]}", &t,
                  "{\"model\":\"u\",\"messages\":[{\"role\":\"assistant\",\"content\":\"x\"}]}");
}

/* What the gateway remembered (request/memory.h) is put into the form; the body itself does not have it. */
static void reasoning_that_was_remembered_goes_into_its_own_turn(void **state)
{
    const struct quirks q = quirks_of("deepseek");
    const struct target t = { .model = SPAN_LIT("u"), .quirks = &q, .traits = traits_of(SPAN_LIT("deepseek-v4-pro")) };
    struct chat_turn *turn;
    struct chat_item *item;
    struct said a;

    (void)state;
    ask(&a, "{\"model\":\"u\",\"messages\":[{\"role\":\"assistant\"," CALLS "}," RESULT "," "{\"role\":\"assistant\","
            "\"tool_calls\":[{\"id\":\"d1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}},"
            "{\"id\":\"d2\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]},"
            "{\"role\":\"tool\",\"tool_call_id\":\"d1\",\"content\":\"\"},{\"role\":\"tool\",\"tool_call_id\":\"d2\",\"content\":\"\"},"
            "{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"e\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":"
            "\"\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"e\",\"content\":\"\"}]}");
    turn = a.chat.turns->next->next->next->next;
    item = chat_add_item(&a.chat, turn, &a.arena, ITEM_REASONING);
    item->text = SPAN_LIT("so \\u0061nd");
    item->family = FAMILY_DEEPSEEK;
    assert_true(openai_pass_request(&a.chat, &t, &a.out));
    for (size_t i = 0; i < a.out.n_pieces; i++)
        buf_add_span(&a.pieces, a.out.pieces[i]);
    assert_non_null(strstr(a.pieces.p, "{\"reasoning_content\":\"so \\u0061nd\",\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"e\""));
    assert_non_null(strstr(a.pieces.p, "{\"reasoning_content\":\"\",\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"d1\""));
    assert_json(a.pieces.p);
    done(&a);
}

static void what_deepseek_lacks_is_dropped_with_a_note_or_refused(void **state)
{
    const struct quirks q = quirks_of("deepseek");
    const struct target t = { .model = SPAN_LIT("u"), .quirks = &q, .traits = traits_of(SPAN_LIT("deepseek-v4-flash")) };

    (void)state;
    assert_passes_noting("{\"seed\":7,\"model\":\"m\",\"logit_bias\":{\"5\":1}," OK_MESSAGES ",\"n\":1,\"store\":false,\"x\":1,"
                         "\"parallel_tool_calls\":true,\"metadata\":{}}", &t,
                         "{\"model\":\"u\"," OK_MESSAGES ",\"x\":1}",
                         "dropped=seed, dropped=logit_bias, dropped=metadata, dropped=store");
    assert_passes_noting("{\"model\":\"m\",\"tool_choice\":\"auto\",\"parallel_tool_calls\":false," TOOLS "," OK_MESSAGES "}", &t,
                         "{\"model\":\"u\",\"tool_choice\":\"auto\"," TOOLS "," OK_MESSAGES "}", "dropped=parallel_tool_calls");
    assert_passes_noting("{\"model\":\"m\",\"parallel_tool_calls\":false," TOOLS "," OK_MESSAGES "}", &t,
                         "{\"model\":\"u\"," TOOLS "," OK_MESSAGES "}", "dropped=parallel_tool_calls");
    assert_refused("{\"model\":\"m\",\"n\":2," OK_MESSAGES "}", &t, "n");
    assert_refused("{\"model\":\"m\",\"web_search_options\":{}," OK_MESSAGES "}", &t, "web_search_options");
    assert_refused("{\"model\":\"m\",\"modalities\":[\"text\",\"audio\"]," OK_MESSAGES "}", &t, "modalities");
    assert_refused("{\"model\":\"m\",\"tools\":[{\"type\":\"custom\",\"custom\":{\"name\":\"c\"}}]," OK_MESSAGES "}", &t, "tools");
}

static void efforts_are_said_as_deepseek_knows_them(void **state)
{
    static const struct { const char *asked, *sent; } table[] = {
        { "\"reasoning_effort\":\"low\"", ",\"reasoning_effort\":\"low\"" },
        { "\"reasoning_effort\":\"minimal\"", ",\"reasoning_effort\":\"low\"" },
        { "\"reasoning_effort\":\"medium\"", ",\"reasoning_effort\":\"high\"" },
        { "\"reasoning_effort\":\"xhigh\"", ",\"reasoning_effort\":\"max\"" },
        { "\"reasoning_effort\":\"none\"", ",\"thinking\":{\"type\":\"disabled\"}" },
        { "\"thinking\":{\"type\":\"disabled\"}", ",\"thinking\":{\"type\":\"disabled\"}" },
        { "\"thinking\":{\"type\":\"enabled\"},\"reasoning_effort\":\"max\"",
          ",\"thinking\":{\"type\":\"enabled\"},\"reasoning_effort\":\"max\"" },
        { "\"reasoning\":{\"effort\":\"high\"}", ",\"reasoning_effort\":\"high\"" },
        { "\"reasoning\":{\"enabled\":false}", ",\"thinking\":{\"type\":\"disabled\"}" },
    };
    const struct quirks q = quirks_of("deepseek");
    const struct target t = { .model = SPAN_LIT("u"), .quirks = &q, .traits = traits_of(SPAN_LIT("deepseek-v4-pro")) };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char body[512], want[512];

        snprintf(body, sizeof body, "{\"model\":\"u\"," OK_MESSAGES ",%s}", table[i].asked);
        snprintf(want, sizeof want, "{\"model\":\"u\"," OK_MESSAGES "%s}", table[i].sent);
        assert_passes(body, &t, want);
    }
}

static void deepseek_is_not_forced_to_call_while_it_thinks(void **state)
{
    const struct quirks q = quirks_of("deepseek");
    const struct target t = { .model = SPAN_LIT("u"), .quirks = &q, .traits = traits_of(SPAN_LIT("deepseek-v4-pro")) };

    (void)state;
    assert_passes_noting("{\"model\":\"u\",\"tool_choice\":\"required\"," TOOLS "," OK_MESSAGES "}", &t,
                         "{\"model\":\"u\",\"tool_choice\":\"auto\"," TOOLS "," OK_MESSAGES "}", "changed=tool_choice");
    assert_passes("{\"model\":\"u\",\"tool_choice\":\"required\",\"thinking\":{\"type\":\"disabled\"}," TOOLS "," OK_MESSAGES "}", &t,
                  "{\"model\":\"u\",\"tool_choice\":\"required\",\"thinking\":{\"type\":\"disabled\"}," TOOLS "," OK_MESSAGES "}");
}

#define IN_WORDS "{\"role\":\"system\",\"content\":\"Answer with one JSON value and nothing else: no other text, no code fence. " \
                 "It must be valid by this JSON Schema:\\n{\\\"type\\\":\\\"object\\\"}\"}"

static void a_schema_is_put_into_words_where_there_is_none(void **state)
{
    const struct quirks q = quirks_of("deepseek");
    const struct target t = { .model = SPAN_LIT("u"), .quirks = &q, .traits = traits_of(SPAN_LIT("deepseek-v4-pro")) };

    (void)state;
    assert_passes_noting("{\"model\":\"u\",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"a\",\"schema\":"
                         "{\"type\":\"object\"}}}," OK_MESSAGES "}", &t,
                         "{\"model\":\"u\",\"response_format\":{\"type\":\"json_object\"},\"messages\":[" IN_WORDS ","
                         "{\"role\":\"user\",\"content\":\"Hi\"}]}", "changed=response_format");
}

/* ---- OpenAI ---- */

static void reasoning_models_of_openai_get_no_sampling(void **state)
{
    const struct quirks q = quirks_of("openai");
    const struct target t = { .model = SPAN_LIT("u"), .quirks = &q, .traits = traits_of(SPAN_LIT("gpt-5.5")) };
    const struct target talks = { .model = SPAN_LIT("u"), .quirks = &q, .traits = traits_of(SPAN_LIT("gpt-4.1")) };

    (void)state;
    assert_passes_noting("{\"model\":\"u\",\"temperature\":0.7,\"top_p\":1,\"presence_penalty\":0,\"frequency_penalty\":0.5,"
                         OK_MESSAGES "}", &t,
                         "{\"model\":\"u\",\"top_p\":1,\"presence_penalty\":0," OK_MESSAGES "}",
                         "dropped=temperature, dropped=frequency_penalty");
    assert_passes("{\"model\":\"u\",\"temperature\":0.7,\"reasoning_effort\":\"none\"," OK_MESSAGES "}", &t,
                  "{\"model\":\"u\",\"temperature\":0.7,\"reasoning_effort\":\"none\"," OK_MESSAGES "}");
    assert_passes("{\"model\":\"u\",\"temperature\":0.7,\"stop\":\"x\"," OK_MESSAGES "}", &talks,
                  "{\"model\":\"u\",\"temperature\":0.7,\"stop\":\"x\"," OK_MESSAGES "}");
    assert_passes_noting("{\"model\":\"u\",\"reasoning_effort\":\"high\"," OK_MESSAGES "}", &talks,
                         "{\"model\":\"u\"," OK_MESSAGES "}", "dropped=reasoning_effort");
    assert_refused("{\"model\":\"u\",\"stop\":[\"x\"]," OK_MESSAGES "}", &t, "stop");
}

static void what_other_hosts_invented_does_not_go_to_openai(void **state)
{
    const struct quirks q = quirks_of("openai");
    const struct target t = { .model = SPAN_LIT("u"), .quirks = &q, .traits = traits_of(SPAN_LIT("gpt-5.5")) };

    (void)state;
    assert_passes_noting("{\"top_k\":5,\"model\":\"u\",\"thinking\":{\"type\":\"disabled\"},\"include_reasoning\":true,\"messages\":["
                         "{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"reasoning_content\":\"hm\",\"content\":\"b\"},"
                         "{\"reasoning\":\"hm\" , \"role\":\"assistant\",\"content\":\"c\"},"
                         "{\"role\":\"assistant\",\"content\":\"d\",\"reasoning\":\"x\",\"reasoning_content\":null}]}", &t,
                         "{\"model\":\"u\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"},"
                         "{\"role\":\"assistant\",\"content\":\"c\"},{\"role\":\"assistant\",\"content\":\"d\"}],"
                         "\"reasoning_effort\":\"none\"}", "dropped=top_k");
}

/* ---- Mistral: unknown members and long ids are refused there, so all is written anew ---- */

static void mistral_gets_what_it_knows_and_nine_letters(void **state)
{
    const struct quirks q = quirks_of("mistral");
    const struct target t = { .model = SPAN_LIT("u"), .quirks = &q, .traits = traits_of(SPAN_LIT("mistral-large-latest")) };

    (void)state;
    assert_passes_noting("{\"model\":\"m\",\"seed\":1234567890123456789,\"safe_prompt\":true,\"x\":1,\"user\":\"me\",\"stream\":true,"
                         "\"tool_choice\":\"required\"," TOOLS ",\"messages\":[{\"role\":\"developer\",\"content\":\"s\"},"
                         "{\"role\":\"assistant\",\"refusal\":null,\"content\":\"\",\"tool_calls\":[{\"id\":\"Abcdefgh9\",\"type\":"
                         "\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}]},"
                         "{\"role\":\"tool\",\"tool_call_id\":\"Abcdefgh9\",\"content\":\"7\"}]}", &t,
                         "{\"model\":\"u\",\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"assistant\",\"content\":"
                         "null,\"tool_calls\":[{\"id\":\"Abcdefgh9\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":"
                         "\"{\\\"a\\\":1}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"Abcdefgh9\",\"name\":\"f\",\"content\":\"7\"}],"
                         "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\","
                         "\"properties\":{}}}}],\"tool_choice\":\"any\",\"random_seed\":1234567890123456789,\"stream\":true,\"safe_prompt\":true}",
                         "dropped=x");
}

static void ids_are_hashed_down_alike_in_call_and_result(void **state)
{
    const struct quirks q = quirks_of("mistral");
    const struct target t = { .model = SPAN_LIT("u"), .quirks = &q, .traits = traits_of(SPAN_LIT("mistral-large-latest")) };
    struct span call, result;
    struct said a;

    (void)state;
    ask(&a, "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"call_1234567890\",\"type\":\"function\","
            "\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"call_1234567890\",\"content\":"
            "\"\"}]}");
    assert_true(openai_pass_request(&a.chat, &t, &a.out));
    call = jval_raw(jval_pointer(a.out.pieces[0], "/messages/0/tool_calls/0/id"));
    result = jval_raw(jval_pointer(a.out.pieces[0], "/messages/1/tool_call_id"));
    assert_int_equal(call.n, 9);
    for (size_t i = 0; i < 9; i++)
        assert_true((call.p[i] >= '0' && call.p[i] <= '9') || (call.p[i] >= 'A' && call.p[i] <= 'Z') ||
                    (call.p[i] >= 'a' && call.p[i] <= 'z'));
    assert_true(span_eq(call, result));
    assert_true(span_is(jval_raw(jval_pointer(a.out.pieces[0], "/messages/0/tool_calls/0/function/arguments")), "{}"));
    done(&a);
}

/* Mistral's results say the tool's name too: it must be the one that the call has. */
static void a_mangled_name_is_the_same_in_call_and_result(void **state)
{
    const struct quirks q = quirks_of("mistral");
    const struct target t = { .model = SPAN_LIT("u"), .quirks = &q, .traits = traits_of(SPAN_LIT("mistral-large-latest")) };
    struct span call, result;
    struct said a;

    (void)state;
    ask(&a, "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"abcdefghi\",\"type\":\"function\","
            "\"function\":{\"name\":\"a.b\",\"arguments\":\"{}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"abcdefghi\",\"content\":\"r\"}]}");
    a.chat.dialect = DIALECT_RESPONSES;    /* as if it came from there: written, not passed */
    assert_true(openai_write_request(&a.chat, &t, &a.out));
    call = jval_raw(jval_pointer(buf_span(&a.body), "/messages/0/tool_calls/0/function/name"));
    result = jval_raw(jval_pointer(buf_span(&a.body), "/messages/1/name"));
    assert_true(call.n > 3 && span_eq(call, result));
    done(&a);
}

static void the_thinking_blocks_of_mistral_go_back_to_it(void **state)
{
    const struct quirks q = quirks_of("mistral");
    const struct target t = { .model = SPAN_LIT("u"), .quirks = &q, .traits = traits_of(SPAN_LIT("magistral-medium")) };

    (void)state;
    assert_passes("{\"model\":\"u\",\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":["
                  "{\"type\":\"text\",\"text\":\"hm\"}]},{\"type\":\"text\",\"text\":\"a\"}]},{\"role\":\"user\",\"content\":\"b\"}]}", &t,
                  "{\"model\":\"u\",\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":["
                  "{\"type\":\"text\",\"text\":\"hm\"}]},{\"type\":\"text\",\"text\":\"a\"}]},{\"role\":\"user\",\"content\":\"b\"}]}");
}

/* A host that knows no allowed_tools gets those alone. */
static void allowed_tools_are_all_that_another_host_sees(void **state)
{
    const char *body = "{\"model\":\"u\",\"x\":[1, 2],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}},"
                       "{\"type\":\"function\",\"function\":{\"name\":\"g\"}}],\"tool_choice\":{\"type\":\"allowed_tools\","
                       "\"allowed_tools\":{\"mode\":\"required\",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"g\"}}]}},"
                       OK_MESSAGES "}";

    (void)state;
    assert_passes_noting(body, &plain, "{\"model\":\"u\"," OK_MESSAGES ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":"
                                       "\"g\"}}],\"tool_choice\":\"required\",\"x\":[1, 2]}", "changed=tools");
}

/* ---- chats of other dialects ---- */

/* A body in Chat's words, taken as if another dialect had said it: what parse fills in is the same form. */
static void assert_writes(enum dialect_id from, const char *body, const struct target *target, const char *want, const char *notes)
{
    struct said a;

    ask(&a, body);
    a.chat.dialect = from;
    if (!openai_takes(&a.chat, target, &a.fault) || !openai_write_request(&a.chat, target, &a.out))
        fail_msg("%s: %s", body, a.fault.message);
    assert_string_equal(a.body.p, want);
    assert_json(a.body.p);
    assert_string_equal(a.out.notes.text, notes);
    done(&a);
}

static void the_fields_of_another_dialect_have_their_places(void **state)
{
    const struct quirks q = quirks_of("openai");
    const struct target t = { .model = SPAN_LIT("u"), .quirks = &q, .traits = &all, .output_cap = 500 };

    (void)state;
    assert_writes(DIALECT_ANTHROPIC,
                  "{\"model\":\"m\",\"max_tokens\":900,\"temperature\":1,\"top_p\":0.9,\"top_k\":40,\"stop\":[\"a\\n\",\"b\"],\"stream\":"
                  "true,\"user\":\"me\",\"metadata\":{\"a\":\"b\"},\"service_tier\":\"standard_only\",\"prompt_cache_key\":\"k\","
                  "\"seed\":9007199254740993,\"verbosity\":\"low\",\"reasoning_effort\":\"high\"," OK_MESSAGES "}", &t,
                  "{\"model\":\"u\"," OK_MESSAGES ",\"max_completion_tokens\":500,\"temperature\":1,\"top_p\":0.9,"
                  "\"seed\":9007199254740993,\"stop\":[\"a\\n\",\"b\"],\"reasoning_effort\":\"high\",\"verbosity\":\"low\",\"user\":\"me\","
                  "\"metadata\":{\"a\":\"b\"},\"prompt_cache_key\":\"k\",\"service_tier\":\"default\",\"stream\":true,"
                  "\"stream_options\":{\"include_usage\":true}}", "dropped=top_k");
    assert_writes(DIALECT_GEMINI, "{\"model\":\"m\",\"n\":3,\"logprobs\":true,\"top_logprobs\":2,\"verbosity\":\"low\","
                                  "\"service_tier\":\"flex\"," OK_MESSAGES "}", &plain,
                  "{\"model\":\"u\"," OK_MESSAGES ",\"n\":3,\"logprobs\":true,\"top_logprobs\":2}",
                  "dropped=verbosity, dropped=service_tier");
}

static void tools_and_choices_of_another_dialect_have_their_places(void **state)
{
    struct quirks q = careful;
    const struct target t = { .model = SPAN_LIT("u"), .quirks = &q, .traits = &all };
    const char *tools = "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\\\"\",\"parameters\":"
                        "{\"type\": \"object\"},\"strict\":true}},{\"type\":\"custom\",\"custom\":{\"name\":\"c\",\"description\":\"e\"}}]";
    char body[1024];

    (void)state;
    snprintf(body, sizeof body, "{\"model\":\"m\",%s,\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"c\"}},"
             "\"parallel_tool_calls\":false," OK_MESSAGES "}", tools);
    assert_writes(DIALECT_RESPONSES, body, &t,
                  "{\"model\":\"u\"," OK_MESSAGES ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":"
                  "\"d\\\"\",\"parameters\":{\"type\": \"object\"},\"strict\":true}},{\"type\":\"function\",\"function\":{\"name\":\"c\","
                  "\"description\":\"e\",\"parameters\":{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\"}},\"required\":"
                  "[\"input\"],\"additionalProperties\":false}}}],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"c\"}},"
                  "\"parallel_tool_calls\":false}", "");
    q.family = FAMILY_OPENAI;
    assert_writes(DIALECT_RESPONSES, body, &t,
                  "{\"model\":\"u\"," OK_MESSAGES ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":"
                  "\"d\\\"\",\"parameters\":{\"type\": \"object\"},\"strict\":true}},{\"type\":\"custom\",\"custom\":{\"name\":\"c\","
                  "\"description\":\"e\"}}],\"tool_choice\":{\"type\":\"custom\",\"custom\":{\"name\":\"c\"}},"
                  "\"parallel_tool_calls\":false}", "");
    q.supports_parallel = false;
    assert_writes(DIALECT_ANTHROPIC, "{\"model\":\"m\",\"parallel_tool_calls\":false," TOOLS "," OK_MESSAGES "}", &t,
                  "{\"model\":\"u\"," OK_MESSAGES "," TOOLS "}", "changed=parallel_tool_calls");
}

static void names_that_chat_would_refuse_are_mangled_and_remembered(void **state)
{
    struct said a;
    struct span theirs;

    (void)state;
    ask(&a, "{\"model\":\"m\",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"a.b/c\"}}],\"messages\":[{\"role\":\"assistant\","
            "\"tool_calls\":[{\"id\":\"x\",\"type\":\"function\",\"function\":{\"name\":\"a.b/c\",\"arguments\":\"{}\"}}]},"
            "{\"role\":\"tool\",\"tool_call_id\":\"x\",\"content\":\"\"}]}");
    a.chat.dialect = DIALECT_GEMINI;
    assert_true(openai_write_request(&a.chat, &plain, &a.out));
    theirs = jval_raw(jval_pointer(buf_span(&a.body), "/tools/0/function/name"));
    assert_true(theirs.n > 0 && theirs.n <= 64 && span_find(theirs, '.') == theirs.n);
    assert_true(span_eq(theirs, jval_raw(jval_pointer(buf_span(&a.body), "/messages/0/tool_calls/0/function/name"))));
    assert_true(span_is(names_back(&a.out.names, theirs), "a.b/c"));
    done(&a);
}

static struct chat_item *item(struct said *a, struct chat_turn *t, enum item_kind kind)
{
    struct chat_item *i = chat_add_item(&a->chat, t, &a->arena, kind);

    assert_non_null(i);
    return i;
}

static void begin(struct said *a, enum dialect_id from)
{
    ask(a, "{\"model\":\"m\"," OK_MESSAGES "}");
    chat_init(&a->chat, from, SPAN_LIT("{}"));
}

static void assert_messages(struct said *a, const struct target *target, const char *want)
{
    if (!openai_takes(&a->chat, target, &a->fault) || !openai_write_messages(&a->chat, target, &a->out))
        fail_msg("%s", a->fault.message);
    assert_string_equal(a->body.p, want);
    done(a);
}

/* Results first, each a message of its own; what a tool showed follows as the user's (wire/translation section 4). */
static void results_are_messages_of_their_own_and_their_pictures_follow(void **state)
{
    struct chat_turn *turn;
    struct chat_item *call, *result, *part;
    struct said a;

    (void)state;
    begin(&a, DIALECT_ANTHROPIC);
    turn = chat_add_turn(&a.chat, &a.arena, ROLE_ASSISTANT);
    item(&a, turn, ITEM_TEXT)->text = SPAN_LIT("Let me look.");
    call = item(&a, turn, ITEM_CALL);
    call->call = (struct chat_call){ .id = SPAN_LIT("t1"), .name = SPAN_LIT("look"), .arguments_json = SPAN_LIT("{\"at\": [1]}") };
    call = item(&a, turn, ITEM_CALL);
    call->call = (struct chat_call){ .id = SPAN_LIT("t2"), .name = SPAN_LIT("run"), .custom = true,
                                     .arguments_raw = SPAN_LIT("echo \\\"1\\\"") };
    turn = chat_add_turn(&a.chat, &a.arena, ROLE_USER);
    item(&a, turn, ITEM_TEXT)->text = SPAN_LIT("And now?");
    result = item(&a, turn, ITEM_RESULT);
    result->result.id = SPAN_LIT("t1");
    part = chat_add_part(&a.chat, result, &a.arena, ITEM_TEXT);
    part->text = SPAN_LIT("seen");
    part = chat_add_part(&a.chat, result, &a.arena, ITEM_IMAGE);
    part->media = (struct chat_media){ .source = MEDIA_BYTES, .type = SPAN_LIT("image/gif"), .data = SPAN_LIT("AA-_AA") };
    result = item(&a, turn, ITEM_RESULT);
    result->result.id = SPAN_LIT("t2");
    result->result.is_error = true;
    part = chat_add_part(&a.chat, result, &a.arena, ITEM_TEXT);
    part->text = SPAN_LIT("no\\nfile");
    assert_messages(&a, &plain,
        "\"messages\":[{\"role\":\"assistant\",\"content\":\"Let me look.\",\"tool_calls\":[{\"id\":\"t1\",\"type\":\"function\","
        "\"function\":{\"name\":\"look\",\"arguments\":\"{\\\"at\\\": [1]}\"}},{\"id\":\"t2\",\"type\":\"function\",\"function\":{"
        "\"name\":\"run\",\"arguments\":\"{\\\"input\\\":\\\"echo \\\\\\\"1\\\\\\\"\\\"}\"}}]},"
        "{\"role\":\"tool\",\"tool_call_id\":\"t1\",\"content\":\"seen\"},"
        "{\"role\":\"tool\",\"tool_call_id\":\"t2\",\"content\":\"Error: no\\nfile\"},"
        "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"From the result of tool call t1:\"},"
        "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/gif;base64,AA+/AA==\"}}]},"
        "{\"role\":\"user\",\"content\":\"And now?\"}]");
}

static void add_result_text(struct said *a, struct chat_turn *turn, const char *id, const char *text)
{
    struct chat_item *result = item(a, turn, ITEM_RESULT);

    result->result.id = span_str(id);
    chat_add_part(&a->chat, result, &a->arena, ITEM_TEXT)->text = span_str(text);
}

/* Hosts refuse a history in which anything stands between calls and their results (wire/openai-chat section 3). Anthropic allows
 * neighbours of one role, Responses a message between two outputs. */
static void calls_of_neighbours_are_one_message_and_all_results_follow_it(void **state)
{
    struct chat_turn *turn;
    struct said a;

    (void)state;
    begin(&a, DIALECT_ANTHROPIC);
    turn = chat_add_turn(&a.chat, &a.arena, ROLE_ASSISTANT);
    item(&a, turn, ITEM_TEXT)->text = SPAN_LIT("One.");
    item(&a, turn, ITEM_CALL)->call = (struct chat_call){ .id = SPAN_LIT("t1"), .name = SPAN_LIT("f"), .arguments_json = SPAN_LIT("{}") };
    turn = chat_add_turn(&a.chat, &a.arena, ROLE_ASSISTANT);
    item(&a, turn, ITEM_TEXT)->text = SPAN_LIT("Two.");
    item(&a, turn, ITEM_CALL)->call = (struct chat_call){ .id = SPAN_LIT("t2"), .name = SPAN_LIT("f"), .arguments_json = SPAN_LIT("{}") };
    turn = chat_add_turn(&a.chat, &a.arena, ROLE_USER);
    add_result_text(&a, turn, "t1", "r1");
    item(&a, turn, ITEM_TEXT)->text = SPAN_LIT("Wait.");
    item(&a, chat_add_turn(&a.chat, &a.arena, ROLE_SYSTEM), ITEM_TEXT)->text = SPAN_LIT("Mind.");
    add_result_text(&a, chat_add_turn(&a.chat, &a.arena, ROLE_USER), "t2", "r2");
    assert_messages(&a, &plain,
        "\"messages\":[{\"role\":\"assistant\",\"content\":\"One.\\n\\nTwo.\",\"tool_calls\":["
        "{\"id\":\"t1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},"
        "{\"id\":\"t2\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"
        "{\"role\":\"tool\",\"tool_call_id\":\"t1\",\"content\":\"r1\"},{\"role\":\"tool\",\"tool_call_id\":\"t2\",\"content\":\"r2\"},"
        "{\"role\":\"user\",\"content\":\"Wait.\"},{\"role\":\"system\",\"content\":\"Mind.\"}]");
}

/* Google's clients send pictures beside a response object; an empty list of parts is refused, an empty text is not. */
static void objects_stay_beside_pictures_and_nothing_is_an_empty_list(void **state)
{
    struct chat_item *result;
    struct chat_turn *turn;
    struct said a;

    (void)state;
    begin(&a, DIALECT_GEMINI);
    turn = chat_add_turn(&a.chat, &a.arena, ROLE_USER);
    item(&a, turn, ITEM_TEXT)->text = SPAN_LIT("");
    item(&a, turn, ITEM_TEXT)->text = SPAN_LIT("");
    turn = chat_add_turn(&a.chat, &a.arena, ROLE_USER);
    result = item(&a, turn, ITEM_RESULT);
    result->result.id = SPAN_LIT("t1");
    result->result.object_json = SPAN_LIT("{\"n\": 1}");
    chat_add_part(&a.chat, result, &a.arena, ITEM_IMAGE)->media =
        (struct chat_media){ .source = MEDIA_BYTES, .type = SPAN_LIT("image/gif"), .data = SPAN_LIT("AAAA") };
    assert_messages(&a, &plain,
        "\"messages\":[{\"role\":\"tool\",\"tool_call_id\":\"t1\",\"content\":\"{\\\"n\\\": 1}\"},"
        "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"From the result of tool call t1:\"},"
        "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/gif;base64,AAAA\"}}]},{\"role\":\"user\",\"content\":\"\"}]");
}

static void media_of_every_source_has_its_part(void **state)
{
    struct chat_turn *turn;
    struct said a;

    (void)state;
    begin(&a, DIALECT_GEMINI);
    turn = chat_add_turn(&a.chat, &a.arena, ROLE_USER);
    item(&a, turn, ITEM_TEXT)->text = SPAN_LIT("See:");
    item(&a, turn, ITEM_IMAGE)->media = (struct chat_media){ .source = MEDIA_URL, .data = SPAN_LIT("https://x/y"),
                                                             .detail = SPAN_LIT("low") };
    item(&a, turn, ITEM_AUDIO)->media = (struct chat_media){ .type = SPAN_LIT("audio/mpeg"), .data = SPAN_LIT("AAAA") };
    item(&a, turn, ITEM_AUDIO)->media = (struct chat_media){ .type = SPAN_LIT("audio/x-wav"), .data = SPAN_LIT("AAAA") };
    item(&a, turn, ITEM_FILE)->media = (struct chat_media){ .type = SPAN_LIT("application/pdf"), .data = SPAN_LIT("AAAA"),
                                                            .name_raw = SPAN_LIT("a.pdf") };
    item(&a, turn, ITEM_FILE)->media = (struct chat_media){ .source = MEDIA_TEXT, .data = SPAN_LIT("plain"),
                                                            .name_raw = SPAN_LIT("Title") };
    assert_messages(&a, &plain,
        "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"See:\"},{\"type\":\"image_url\",\"image_url\":{"
        "\"url\":\"https://x/y\",\"detail\":\"low\"}},{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"AAAA\",\"format\":\"mp3\"}},"
        "{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"AAAA\",\"format\":\"wav\"}},{\"type\":\"file\",\"file\":{\"filename\":"
        "\"a.pdf\",\"file_data\":\"data:application/pdf;base64,AAAA\"}},{\"type\":\"text\",\"text\":\"Title\"},{\"type\":\"text\","
        "\"text\":\"plain\"}]}]");
}

/* Reasoning goes back to its own family alone (wire/translation section 5; decolua/9router#2400). */
static void reasoning_of_others_stays_away(void **state)
{
    static const struct { const char *server; enum family family; const char *want; } table[] = {
        { "openai", FAMILY_ANTHROPIC, "{\"role\":\"assistant\",\"content\":null," },
        { "deepseek", FAMILY_ANTHROPIC, "{\"role\":\"assistant\",\"reasoning_content\":\"\",\"content\":null," },
        { "deepseek", FAMILY_NONE, "{\"role\":\"assistant\",\"reasoning_content\":\"hm\",\"content\":null," },
        { "deepseek", FAMILY_DEEPSEEK, "{\"role\":\"assistant\",\"reasoning_content\":\"hm\",\"content\":null," },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const struct quirks q = quirks_of(table[i].server);
        const struct target t = { .model = SPAN_LIT("u"), .quirks = &q, .traits = &all };
        struct chat_turn *turn;
        struct chat_item *r;
        struct said a;

        begin(&a, DIALECT_ANTHROPIC);
        turn = chat_add_turn(&a.chat, &a.arena, ROLE_ASSISTANT);
        r = item(&a, turn, ITEM_REASONING);
        r->text = SPAN_LIT("hm");
        r->family = table[i].family;
        item(&a, turn, ITEM_CALL)->call = (struct chat_call){ .id = SPAN_LIT("t"), .name = SPAN_LIT("f") };
        assert_true(openai_write_messages(&a.chat, &t, &a.out));
        if (!strstr(a.body.p, table[i].want))
            print_error("%s\n", a.body.p);
        assert_non_null(strstr(a.body.p, table[i].want));
        done(&a);
    }
}

static void instructions_keep_their_place_and_texts_are_joined(void **state)
{
    struct chat_turn *turn;
    struct said a;

    (void)state;
    begin(&a, DIALECT_ANTHROPIC);
    turn = chat_add_turn(&a.chat, &a.arena, ROLE_SYSTEM);
    item(&a, turn, ITEM_TEXT)->text = SPAN_LIT("one");
    item(&a, turn, ITEM_TEXT)->text = SPAN_LIT("two");
    turn = chat_add_turn(&a.chat, &a.arena, ROLE_USER);
    item(&a, turn, ITEM_TEXT)->text = SPAN_LIT("a");
    turn = chat_add_turn(&a.chat, &a.arena, ROLE_ASSISTANT);
    item(&a, turn, ITEM_TEXT)->text = SPAN_LIT("It is ");    /* in pieces, as a stream of Gemini came back */
    item(&a, turn, ITEM_TEXT)->text = SPAN_LIT("so.");
    item(&a, turn, ITEM_REFUSAL)->text = SPAN_LIT("No.");
    turn = chat_add_turn(&a.chat, &a.arena, ROLE_SYSTEM);
    turn->developer = true;
    item(&a, turn, ITEM_TEXT)->text = SPAN_LIT("later");
    turn = chat_add_turn(&a.chat, &a.arena, ROLE_USER);
    assert_messages(&a, &plain,
        "\"messages\":[{\"role\":\"system\",\"content\":\"one\\n\\ntwo\"},{\"role\":\"user\",\"content\":\"a\"},"
        "{\"role\":\"assistant\",\"content\":\"It is so.\\n\\nNo.\"},{\"role\":\"system\",\"content\":\"later\"},"
        "{\"role\":\"user\",\"content\":\"\"}]");
}

static void efforts_go_to_the_nearest_that_the_model_knows(void **state)
{
    static const struct { const char *efforts; enum effort effort; int64_t budget; const char *want; bool changed; } table[] = {
        { "none low medium high xhigh", EFFORT_OFF, 0, "none", false },
        { "none low medium high xhigh", EFFORT_MINIMAL, 0, "low", true },
        { "minimal low medium high", EFFORT_OFF, 0, "minimal", true },
        { "low medium high", EFFORT_OFF, 0, "low", true },
        { "low medium high", EFFORT_MAX, 0, "high", true },
        { "low high", EFFORT_MEDIUM, 0, "high", true },
        { "", EFFORT_XHIGH, 0, "high", true },
        { "", EFFORT_LOW, 0, "low", false },
        { "", EFFORT_BUDGET, 1024, "low", false },
        { "", EFFORT_BUDGET, 8192, "medium", false },
        { "", EFFORT_BUDGET, 16384, "high", false },
        { "", EFFORT_BUDGET, 32768, "high", false },
        { "none low medium high xhigh", EFFORT_BUDGET, 32768, "xhigh", false },
        { "", EFFORT_DYNAMIC, 0, NULL, false },
        { "", EFFORT_UNSET, 0, NULL, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct chat chat = { .effort = table[i].effort, .budget = table[i].budget };
        struct traits t = { .thinking = THINKING_EFFORT };
        struct span got;
        bool changed;

        snprintf(t.efforts, sizeof t.efforts, "%s", table[i].efforts);
        got = openai_effort(&chat, &t, &changed);
        assert_true(table[i].want ? span_is(got, table[i].want) : !got.p);
        assert_int_equal(changed, table[i].changed);
    }
}

static void what_chat_cannot_say_is_refused_by_name(void **state)
{
    static const struct { enum dialect_id from; enum item_kind kind; struct chat_media media; const char *param; } table[] = {
        { DIALECT_ANTHROPIC, ITEM_FOREIGN, { .source = MEDIA_BYTES }, "messages" },
        { DIALECT_ANTHROPIC, ITEM_FILE, { .source = MEDIA_URL, .data = SPAN_LIT("https://x") }, "file" },
        { DIALECT_ANTHROPIC, ITEM_FILE, { .source = MEDIA_FILE_ID, .data = SPAN_LIT("file_1") }, "file_id" },
        { DIALECT_RESPONSES, ITEM_IMAGE, { .source = MEDIA_FILE_ID, .data = SPAN_LIT("file-1") }, "file_id" },
        { DIALECT_GEMINI, ITEM_AUDIO, { .source = MEDIA_URL, .data = SPAN_LIT("gs://x") }, "audio" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct said a;

        begin(&a, table[i].from);
        item(&a, chat_add_turn(&a.chat, &a.arena, ROLE_USER), table[i].kind)->media = table[i].media;
        assert_false(openai_takes(&a.chat, &plain, &a.fault));
        assert_int_equal(a.fault.status, 400);
        assert_string_equal(a.fault.param, table[i].param);
        done(&a);
    }
}

/* A picture that the assistant or the system shows has no place there: refused, not lost. */
static void pictures_are_the_users_alone(void **state)
{
    static const enum chat_role roles[] = { ROLE_SYSTEM, ROLE_ASSISTANT };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct said a;

        begin(&a, DIALECT_GEMINI);
        item(&a, chat_add_turn(&a.chat, &a.arena, roles[i]), ITEM_IMAGE)->media =
            (struct chat_media){ .source = MEDIA_BYTES, .type = SPAN_LIT("image/png"), .data = SPAN_LIT("AAAA") };
        assert_false(openai_takes(&a.chat, &plain, &a.fault));
        assert_int_equal(a.fault.status, 400);
        assert_string_equal(a.fault.param, "image");
        done(&a);
    }
}

static void a_prefill_goes_only_where_it_is_continued(void **state)
{
    struct traits none = all;
    const struct target t = { .model = SPAN_LIT("u"), .quirks = &careful, .traits = &none };
    struct said a;

    (void)state;
    none.prefill = false;
    ask(&a, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"{\"}]}");
    assert_true(openai_takes(&a.chat, &t, &a.fault));
    a.chat.dialect = DIALECT_ANTHROPIC;
    assert_true(openai_takes(&a.chat, &plain, &a.fault));
    assert_false(openai_takes(&a.chat, &t, &a.fault));
    assert_string_equal(a.fault.param, "messages");
    done(&a);
}

static void foreign_members_are_dropped_with_a_note_or_refused(void **state)
{
    struct said a;

    (void)state;
    ask(&a, "{\"model\":\"m\"," OK_MESSAGES "}");
    a.chat.dialect = DIALECT_GEMINI;
    chat_add_foreign(&a.chat, &a.arena, SPAN_LIT("safetySettings"), FOREIGN_TUNES);
    chat_add_foreign(&a.chat, &a.arena, SPAN_LIT("labels"), FOREIGN_SILENT);
    assert_true(openai_takes(&a.chat, &plain, &a.fault) && openai_write_request(&a.chat, &plain, &a.out));
    assert_string_equal(a.out.notes.text, "dropped=safetySettings");
    chat_add_foreign(&a.chat, &a.arena, SPAN_LIT("cachedContent"), FOREIGN_MEANS);
    assert_false(openai_takes(&a.chat, &plain, &a.fault));
    assert_string_equal(a.fault.param, "cachedContent");
    done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_model_changes_where_nothing_else_must),
        cmocka_unit_test(usage_is_asked_for_in_every_stream),
        cmocka_unit_test(a_host_that_sends_usage_unasked_gets_no_stream_options),
        cmocka_unit_test(a_cap_is_added_or_lowered_never_raised),
        cmocka_unit_test(a_cap_goes_out_in_the_spelling_that_the_host_heeds),
        cmocka_unit_test(a_developer_is_the_system_where_a_host_knows_none),
        cmocka_unit_test(deepseek_gets_its_reasoning_back_with_every_tool_call),
        cmocka_unit_test(reasoning_that_was_remembered_goes_into_its_own_turn),
        cmocka_unit_test(what_deepseek_lacks_is_dropped_with_a_note_or_refused),
        cmocka_unit_test(efforts_are_said_as_deepseek_knows_them),
        cmocka_unit_test(deepseek_is_not_forced_to_call_while_it_thinks),
        cmocka_unit_test(a_schema_is_put_into_words_where_there_is_none),
        cmocka_unit_test(reasoning_models_of_openai_get_no_sampling),
        cmocka_unit_test(what_other_hosts_invented_does_not_go_to_openai),
        cmocka_unit_test(mistral_gets_what_it_knows_and_nine_letters),
        cmocka_unit_test(ids_are_hashed_down_alike_in_call_and_result),
        cmocka_unit_test(a_mangled_name_is_the_same_in_call_and_result),
        cmocka_unit_test(the_thinking_blocks_of_mistral_go_back_to_it),
        cmocka_unit_test(allowed_tools_are_all_that_another_host_sees),
        cmocka_unit_test(the_fields_of_another_dialect_have_their_places),
        cmocka_unit_test(tools_and_choices_of_another_dialect_have_their_places),
        cmocka_unit_test(names_that_chat_would_refuse_are_mangled_and_remembered),
        cmocka_unit_test(results_are_messages_of_their_own_and_their_pictures_follow),
        cmocka_unit_test(calls_of_neighbours_are_one_message_and_all_results_follow_it),
        cmocka_unit_test(objects_stay_beside_pictures_and_nothing_is_an_empty_list),
        cmocka_unit_test(media_of_every_source_has_its_part),
        cmocka_unit_test(reasoning_of_others_stays_away),
        cmocka_unit_test(instructions_keep_their_place_and_texts_are_joined),
        cmocka_unit_test(efforts_go_to_the_nearest_that_the_model_knows),
        cmocka_unit_test(what_chat_cannot_say_is_refused_by_name),
        cmocka_unit_test(pictures_are_the_users_alone),
        cmocka_unit_test(a_prefill_goes_only_where_it_is_continued),
        cmocka_unit_test(foreign_members_are_dropped_with_a_note_or_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
