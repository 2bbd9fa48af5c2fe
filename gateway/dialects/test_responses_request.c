/* test_responses_request.c - what a Responses caller sends is read into the neutral form, and checked with its place named. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/dialects/test_responses.h"

#define ASK "\"model\":\"m\",\"input\":\"Hi\""
#define ITEMS(list) "{\"model\":\"m\",\"input\":[" list "]}"
#define USER "{\"role\":\"user\",\"content\":\"Hi\"}"
#define CALL(id) "{\"type\":\"function_call\",\"call_id\":\"" id "\",\"name\":\"get\",\"arguments\":\"{}\"}"
#define RESULT(id) "{\"type\":\"function_call_output\",\"call_id\":\"" id "\",\"output\":\"7\"}"

static void a_text_and_instructions_are_two_turns(void **state)
{
    struct read r;

    (void)state;
    /* The order of the members does not matter. */
    read_body(&r, "{\"input\":\"a\\nb\",\"model\":\"g\\u0070t\",\"instructions\":\"Be brief\",\"stream\":true}");
    assert_true(r.ok);
    assert_turns(&r.chat, "system: text(Be brief) | user: text(a\\nb)");
    assert_true(span_is(r.chat.model, "gpt"));
    assert_true(r.chat.stream);
    assert_string_equal(r.texts.p, "system=Be brief|user=a\nb|");
    assert_int_equal(r.chat.text_bytes, 8 + 4);
    assert_int_equal(r.chat.n_user_turns, 1);
    read_done(&r);
}

static void every_kind_of_item_is_read(void **state)
{
    static const struct { const char *items, *turns; } table[] = {
        { USER, "user: text(Hi)" },
        { "{\"type\":\"message\",\"role\":\"developer\",\"content\":\"x\"}," USER, "developer: text(x) | user: text(Hi)" },
        { "{\"type\":null,\"role\":\"system\",\"content\":[{\"type\":\"input_text\",\"text\":\"x\"}]}," USER,
          "system: text(x) | user: text(Hi)" },
        { "{\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"a\",\"prompt_cache_breakpoint\":{\"mode\":"
          "\"explicit\"}},{\"type\":\"input_text\",\"text\":\"b\",\"prompt_cache_breakpoint\":null}]}",
          "user: text(a)* text(b)" },
        { "{\"role\":\"user\",\"content\":[{\"type\":\"input_image\",\"image_url\":\"https://h/a.png\",\"detail\":\"high\"},"
          "{\"type\":\"input_image\",\"image_url\":\"data:image\\/png;base64,QUJD\"},"
          "{\"type\":\"input_image\",\"file_id\":\"file-1\",\"image_url\":null}]}",
          "user: image(url  https://h/a.png detail=high) image(bytes image/png QUJD) image(id  file-1)" },
        { "{\"role\":\"user\",\"content\":[{\"type\":\"input_file\",\"filename\":\"a.pdf\",\"file_data\":"
          "\"data:application/pdf;base64,QUJD\"},{\"type\":\"input_file\",\"file_url\":\"https://h/b.pdf\"},"
          "{\"type\":\"input_file\",\"file_id\":\"file-2\"}]}",
          "user: file(bytes application/pdf QUJD name=a.pdf) file(url  https://h/b.pdf) file(id  file-2)" },
        { "{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"QUJD\",\"format\":\"mp3\"}}]}",
          "user: audio(bytes audio/mpeg QUJD)" },
        { "{\"role\":\"user\",\"content\":[{\"type\":\"input_new\",\"x\":1}]}",
          "user: foreign({\"type\":\"input_new\",\"x\":1})" },
        { USER ",{\"type\":\"message\",\"id\":\"msg_1\",\"status\":\"completed\",\"role\":\"assistant\",\"content\":["
          "{\"type\":\"output_text\",\"text\":\"no\",\"annotations\":[]},{\"type\":\"refusal\",\"refusal\":\"I can't\"}]}," USER,
          "user: text(Hi) | assistant: text(no) refusal(I can't) | user: text(Hi)" },
        { USER ",{\"type\":\"custom_tool_call\",\"call_id\":\"c1\",\"name\":\"patch\",\"input\":\"*** a\"},"
          "{\"type\":\"custom_tool_call_output\",\"call_id\":\"c1\",\"output\":\"ok\"}",
          "user: text(Hi) | assistant: custom(c1 patch *** a) | user: result(c1 patch: text(ok))" },
        { USER "," CALL("c1") ",{\"type\":\"function_call_output\",\"call_id\":\"c1\",\"output\":[{\"type\":\"input_text\","
          "\"text\":\"see\"},{\"type\":\"input_image\",\"image_url\":\"data:image/png;base64,QUJD\"}]}",
          "user: text(Hi) | assistant: call(c1 get {}) | user: result(c1 get: text(see) image(bytes image/png QUJD))" },
        { USER "," CALL("c1") ",{\"type\":\"function_call_output\",\"call_id\":\"c1\",\"output\":\"\"}",
          "user: text(Hi) | assistant: call(c1 get {}) | user: result(c1 get: )" },
        { "{\"type\":\"compaction\",\"encrypted_content\":\"zz\"}," USER,
          "user: foreign({\"type\":\"compaction\",\"encrypted_content\":\"zz\"}) | user: text(Hi)" },
        { USER ",{\"type\":\"web_search_call\",\"id\":\"ws_1\"}," USER,
          "user: text(Hi) | assistant: foreign({\"type\":\"web_search_call\",\"id\":\"ws_1\"}) | user: text(Hi)" },
        { USER ",{\"id\":\"msg_7\"}", "user: text(Hi) | user: foreign({\"id\":\"msg_7\"})" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct read r;
        char body[2048];

        snprintf(body, sizeof body, "{\"model\":\"m\",\"input\":[%s]}", table[i].items);
        read_body(&r, body);
        if (!r.ok)
            print_error("%s: %s\n", table[i].items, r.fault.message);
        assert_true(r.ok);
        assert_turns(&r.chat, table[i].turns);
        read_done(&r);
    }
}

/* Reasoning, text and calls of one answer are one turn, as the dialects with turns say them, and its results another
 * (decolua/9router#2400: reasoning lost on the way; memory.h finds a turn by its first call). */
static void an_answer_of_several_items_is_one_turn(void **state)
{
    struct read r;

    (void)state;
    read_body(&r, ITEMS(USER
              ",{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[{\"type\":\"summary_text\",\"text\":\"a\"},"
              "{\"type\":\"summary_text\",\"text\":\"b\"}],\"encrypted_content\":\"gAAA\"}"
              ",{\"role\":\"assistant\",\"content\":\"Let me see\"}," CALL("c1") "," CALL("c2") "," RESULT("c2") "," RESULT("c1")
              "," CALL("c3") "," RESULT("c3") ",{\"role\":\"assistant\",\"content\":\"A\"},{\"role\":\"assistant\",\"content\":\"B\"}"));
    assert_true(r.ok);
    assert_turns(&r.chat, "user: text(Hi) | assistant: reasoning(a\\n\\nb openai gAAA) text(Let me see) call(c1 get {}) "
                          "call(c2 get {}) | user: result(c2 get: text(7)) result(c1 get: text(7)) | assistant: call(c3 get {}) "
                          "| user: result(c3 get: text(7)) | assistant: text(A) | assistant: text(B)");
    assert_true(span_is(r.chat.turns->next->items->id, "rs_1"));
    read_done(&r);
    /* a text between a call and its result does not part them */
    read_body(&r, ITEMS(USER ",{\"role\":\"assistant\",\"content\":\"A\"}," CALL("c1")
                        ",{\"role\":\"assistant\",\"content\":\"B\"}," RESULT("c1")));
    assert_turns(&r.chat, "user: text(Hi) | assistant: text(A) call(c1 get {}) text(B) | user: result(c1 get: text(7))");
    read_done(&r);
}

static void reasoning_is_counted_once_and_empty_reasoning_is_none(void **state)
{
    struct read r;

    (void)state;
    read_body(&r, ITEMS(USER
              ",{\"type\":\"reasoning\",\"summary\":[{\"type\":\"summary_text\",\"text\":\"short\"}],"
              "\"content\":[{\"type\":\"reasoning_text\",\"text\":\"long\"}],\"encrypted_content\":null}"
              ",{\"type\":\"reasoning\",\"id\":\"rs_2\",\"summary\":[]}"
              ",{\"type\":\"reasoning\",\"summary\":[],\"encrypted_content\":\"zz\"}," CALL("c1") "," RESULT("c1")));
    assert_true(r.ok);
    assert_turns(&r.chat, "user: text(Hi) | assistant: reasoning(long - ) reasoning( openai zz redacted) call(c1 get {}) | "
                          "user: result(c1 get: text(7))");
    read_done(&r);
}

static void each_fault_names_its_field(void **state)
{
    static const struct { const char *body, *param; } table[] = {
        { "[]", "" },
        { "{\"input\":\"Hi\"}", "model" },
        { "{\"model\":\"\",\"input\":\"Hi\"}", "model" },
        { "{\"model\":null,\"input\":\"Hi\"}", "model" },
        { "{\"model\":[],\"input\":\"Hi\"}", "model" },
        { "{\"model\":\"m\"}", "input" },
        { "{\"model\":\"m\",\"input\":null}", "input" },
        { "{\"model\":\"m\",\"input\":\"\"}", "input" },
        { "{\"model\":\"m\",\"input\":[]}", "input" },
        { "{\"model\":\"m\",\"input\":7}", "input" },
        { "{\"model\":\"m\",\"input\":{}}", "input" },
        { ITEMS("7"), "input[0]" },
        { ITEMS("{}"), "input[0].type" },
        { ITEMS("{\"type\":7}"), "input[0].type" },
        { ITEMS(USER ",{\"role\":\"tool\",\"content\":\"x\"}"), "input[1].role" },
        { ITEMS("{\"type\":\"message\",\"content\":\"x\"}"), "input[0].role" },
        { ITEMS("{\"role\":\"user\"}"), "input[0].content" },
        { ITEMS("{\"role\":\"user\",\"content\":null}"), "input[0].content" },
        { ITEMS("{\"role\":\"user\",\"content\":[7]}"), "input[0].content[0]" },
        { ITEMS("{\"role\":\"user\",\"content\":[{\"text\":\"x\"}]}"), "input[0].content[0].type" },
        { ITEMS("{\"role\":\"user\",\"content\":[{\"type\":\"input_text\"}]}"), "input[0].content[0].text" },
        { ITEMS("{\"role\":\"assistant\",\"content\":[{\"type\":\"refusal\"}]}"), "input[0].content[0].refusal" },
        { ITEMS("{\"role\":\"user\",\"content\":[{\"type\":\"input_image\"}]}"), "input[0].content[0].image_url" },
        { ITEMS("{\"role\":\"user\",\"content\":[{\"type\":\"input_image\",\"image_url\":\"file:///etc/passwd\"}]}"),
          "input[0].content[0].image_url" },
        { ITEMS("{\"role\":\"user\",\"content\":[{\"type\":\"input_image\",\"image_url\":\"data:image/png;base64,QUJ\"}]}"),
          "input[0].content[0].image_url" },
        { ITEMS("{\"role\":\"user\",\"content\":[{\"type\":\"input_image\",\"image_url\":\"data:image/png,QUJD\"}]}"),
          "input[0].content[0].image_url" },
        { ITEMS("{\"role\":\"user\",\"content\":[{\"type\":\"input_image\",\"image_url\":\"https://h/\",\"detail\":7}]}"),
          "input[0].content[0].detail" },
        { ITEMS("{\"role\":\"user\",\"content\":[{\"type\":\"input_file\"}]}"), "input[0].content[0].file_data" },
        { ITEMS("{\"role\":\"user\",\"content\":[{\"type\":\"input_file\",\"file_data\":\"https://h/\"}]}"),
          "input[0].content[0].file_data" },
        { ITEMS("{\"role\":\"user\",\"content\":[{\"type\":\"input_file\",\"file_url\":\"ftp://h/\"}]}"),
          "input[0].content[0].file_url" },
        { ITEMS("{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\",\"input_audio\":{\"format\":\"wav\"}}]}"),
          "input[0].content[0].input_audio.data" },
        { ITEMS("{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"QUJD\"}}]}"),
          "input[0].content[0].input_audio.format" },
        { ITEMS(USER ",{\"type\":\"function_call\",\"name\":\"f\",\"arguments\":\"{}\"}"), "input[1].call_id" },
        { ITEMS(USER ",{\"type\":\"function_call\",\"call_id\":\"c\",\"arguments\":\"{}\"}"), "input[1].name" },
        { ITEMS(USER ",{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\"}"), "input[1].arguments" },
        { ITEMS(USER ",{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\",\"arguments\":{}}"), "input[1].arguments" },
        { ITEMS(USER ",{\"type\":\"custom_tool_call\",\"call_id\":\"c\",\"name\":\"f\"}"), "input[1].input" },
        { ITEMS("{\"type\":\"function_call_output\",\"output\":\"x\"}"), "input[0].call_id" },
        { ITEMS("{\"type\":\"function_call_output\",\"call_id\":\"c\"}"), "input[0].output" },
        { ITEMS("{\"type\":\"function_call_output\",\"call_id\":\"c\",\"output\":[{\"type\":\"input_text\"}]}"),
          "input[0].output[0].text" },
        { ITEMS("{\"type\":\"reasoning\",\"summary\":\"x\"}"), "input[0].summary" },
        { ITEMS("{\"type\":\"reasoning\",\"summary\":[7]}"), "input[0].summary" },
        { ITEMS("{\"type\":\"reasoning\",\"encrypted_content\":7}"), "input[0].encrypted_content" },
        /* orphans, in either direction */
        { ITEMS(USER "," RESULT("c1")), "input" },
        { ITEMS(USER "," CALL("c1") "," USER), "input" },
        { ITEMS(USER "," CALL("c1") "," RESULT("c1") "," RESULT("c1")), "input" },
        { "{" ASK ",\"instructions\":7}", "instructions" },
        { "{" ASK ",\"stream\":\"yes\"}", "stream" },
        { "{" ASK ",\"stream_options\":[]}", "stream_options" },
        { "{" ASK ",\"stream_options\":{\"include_obfuscation\":1}}", "stream_options.include_obfuscation" },
        { "{" ASK ",\"max_output_tokens\":15}", "max_output_tokens" },
        { "{" ASK ",\"max_output_tokens\":16.5}", "max_output_tokens" },
        { "{" ASK ",\"max_output_tokens\":\"16\"}", "max_output_tokens" },
        { "{" ASK ",\"max_tool_calls\":0}", "max_tool_calls" },
        { "{" ASK ",\"temperature\":2.1}", "temperature" },
        { "{" ASK ",\"top_p\":-0.1}", "top_p" },
        { "{" ASK ",\"top_logprobs\":21}", "top_logprobs" },
        { "{" ASK ",\"parallel_tool_calls\":1}", "parallel_tool_calls" },
        { "{" ASK ",\"metadata\":[]}", "metadata" },
        { "{" ASK ",\"metadata\":{\"a\":1}}", "metadata" },
        { "{" ASK ",\"user\":1}", "user" },
        { "{" ASK ",\"safety_identifier\":{}}", "safety_identifier" },
        { "{" ASK ",\"service_tier\":1}", "service_tier" },
        { "{" ASK ",\"prompt_cache_key\":1}", "prompt_cache_key" },
        { "{" ASK ",\"prompt_cache_options\":1}", "prompt_cache_options" },
        { "{" ASK ",\"prompt_cache_retention\":1}", "prompt_cache_retention" },
        { "{" ASK ",\"include\":\"x\"}", "include" },
        { "{" ASK ",\"include\":[1]}", "include" },
        { "{" ASK ",\"store\":\"no\"}", "store" },
        { "{" ASK ",\"background\":1}", "background" },
        { "{" ASK ",\"previous_response_id\":1}", "previous_response_id" },
        { "{" ASK ",\"conversation\":{}}", "conversation" },
        { "{" ASK ",\"prompt\":{}}", "prompt" },
        { "{" ASK ",\"truncation\":\"always\"}", "truncation" },
        { "{" ASK ",\"context_management\":{}}", "context_management" },
        { "{" ASK ",\"moderation\":true}", "moderation" },
        { "{" ASK ",\"client_metadata\":1}", "client_metadata" },
        { "{" ASK ",\"reasoning\":\"high\"}", "reasoning" },
        { "{" ASK ",\"reasoning\":{\"effort\":\"huge\"}}", "reasoning.effort" },
        { "{" ASK ",\"reasoning\":{\"effort\":7}}", "reasoning.effort" },
        { "{" ASK ",\"reasoning\":{\"summary\":\"yes\"}}", "reasoning.summary" },
        { "{" ASK ",\"reasoning\":{\"mode\":1}}", "reasoning.mode" },
        { "{" ASK ",\"text\":\"x\"}", "text" },
        { "{" ASK ",\"text\":{\"verbosity\":\"loud\"}}", "text.verbosity" },
        { "{" ASK ",\"text\":{\"format\":\"json\"}}", "text.format" },
        { "{" ASK ",\"text\":{\"format\":{\"type\":\"xml\"}}}", "text.format.type" },
        { "{" ASK ",\"text\":{\"format\":{\"type\":\"json_schema\",\"schema\":{}}}}", "text.format.name" },
        { "{" ASK ",\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"a\"}}}", "text.format.schema" },
        /* Chat's nesting, which a caller may bring along */
        { "{" ASK ",\"text\":{\"format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"a\",\"schema\":{}}}}}",
          "text.format.name" },
        { "{" ASK ",\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"a\",\"schema\":{},\"strict\":1}}}",
          "text.format.strict" },
        { "{" ASK ",\"tools\":{}}", "tools" },
        { "{" ASK ",\"tools\":[7]}", "tools[0]" },
        { "{" ASK ",\"tools\":[{\"name\":\"f\"}]}", "tools[0].type" },
        { "{" ASK ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]}", "tools[0].name" },
        { "{" ASK ",\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"parameters\":[]}]}", "tools[0].parameters" },
        { "{" ASK ",\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"strict\":\"yes\"}]}", "tools[0].strict" },
        { "{" ASK ",\"tools\":[{\"type\":\"custom\"}]}", "tools[0].name" },
        { "{" ASK ",\"tools\":[{\"type\":\"custom\",\"name\":\"f\",\"format\":7}]}", "tools[0].format" },
        { "{" ASK ",\"tools\":[{\"type\":\"namespace\",\"name\":\"n\"}]}", "tools[0].tools" },
        { "{" ASK ",\"tools\":[{\"type\":\"namespace\",\"name\":\"n\",\"tools\":[{\"type\":\"function\"}]}]}",
          "tools[0].tools[0].name" },
        { "{" ASK ",\"tool_choice\":\"maybe\"}", "tool_choice" },
        { "{" ASK ",\"tool_choice\":{\"type\":\"function\"}}", "tool_choice.name" },
        { "{" ASK ",\"tool_choice\":{\"type\":\"function\",\"name\":\"f\"}}", "tool_choice.name" },
        { "{" ASK ",\"tool_choice\":{\"type\":\"allowed_tools\",\"tools\":[]}}", "tool_choice.mode" },
        { "{" ASK ",\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"auto\"}}", "tool_choice.tools" },
        { "{" ASK ",\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"auto\",\"tools\":[{\"type\":\"function\","
          "\"name\":\"f\"}]}}", "tool_choice.tools[0].name" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct read r;

        read_body(&r, table[i].body);
        if (r.ok || strcmp(r.fault.param, table[i].param) != 0)
            print_error("%s: param '%s', %s\n", table[i].body, r.fault.param, r.fault.message);
        assert_false(r.ok);
        assert_int_equal(r.fault.status, 400);
        assert_string_equal(r.fault.type, "invalid_request_error");
        assert_string_equal(r.fault.param, table[i].param);
        read_done(&r);
    }
}

static void what_only_chat_has_is_an_unknown_parameter(void **state)
{
    static const char *const names[] = { "messages", "max_tokens", "max_completion_tokens", "n", "stop", "seed",
                                         "presence_penalty", "frequency_penalty", "logit_bias", "response_format",
                                         "reasoning_effort", "functions", "function_call", "logprobs", "verbosity" };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct read r;
        char body[128];

        snprintf(body, sizeof body, "{" ASK ",\"%s\":null}", names[i]);
        read_body(&r, body);
        assert_false(r.ok);
        assert_string_equal(r.fault.code, "unknown_parameter");
        assert_string_equal(r.fault.param, names[i]);
        read_done(&r);
    }
}

/* Another dialect drops what tunes and refuses what means (wire/translation section 2, openai-responses section 8). */
static void what_is_of_this_dialect_alone_is_noted(void **state)
{
    static const struct { const char *member, *foreign; enum foreign_kind kind; bool unbounded; const char *code; } table[] = {
        { "\"previous_response_id\":\"resp_1\"", "previous_response_id", FOREIGN_MEANS, true, "previous_response_not_found" },
        { "\"conversation\":\"conv_1\"", "conversation", FOREIGN_MEANS, true, NULL },
        { "\"conversation\":{\"id\":\"conv_1\"}", "conversation", FOREIGN_MEANS, true, NULL },
        { "\"prompt\":{\"id\":\"pmpt_1\"}", "prompt", FOREIGN_MEANS, true, NULL },
        { "\"background\":true", "background", FOREIGN_MEANS, false, NULL },
        { "\"context_management\":[{\"type\":\"compaction\"}]", "context_management", FOREIGN_MEANS, false, NULL },
        { "\"tools\":[{\"type\":\"web_search\"}]", "tools[0].type", FOREIGN_MEANS, true, NULL },
        { "\"tools\":[{\"type\":\"web_search\",\"external_web_access\":true}]", "tools[0].type", FOREIGN_MEANS, true, NULL },
        /* stands in every request of Codex, whoever answers it */
        { "\"tools\":[{\"type\":\"web_search\",\"external_web_access\":false}]", "tools[0].type", FOREIGN_TUNES, false, NULL },
        { "\"tools\":[{\"type\":\"mcp\",\"server_label\":\"a\"}]", "tools[0].type", FOREIGN_MEANS, true, NULL },
        { "\"tool_choice\":{\"type\":\"web_search_preview\"}", "tool_choice", FOREIGN_MEANS, false, NULL },
        { "\"truncation\":\"auto\"", "truncation", FOREIGN_TUNES, false, NULL },
        { "\"store\":true", "store", FOREIGN_TUNES, false, NULL },
        { "\"moderation\":{\"model\":\"x\"}", "moderation", FOREIGN_TUNES, false, NULL },
        { "\"reasoning\":{\"mode\":\"pro\"}", "reasoning.mode", FOREIGN_TUNES, false, NULL },
        { "\"reasoning\":{\"context\":\"all_turns\"}", "reasoning.context", FOREIGN_TUNES, false, NULL },
        { "\"brand_new\":{\"x\":1}", "brand_new", FOREIGN_TUNES, false, NULL },
        { "\"previous_response_id\":null,\"conversation\":null,\"prompt\":null,\"background\":false,\"store\":false,"
          "\"truncation\":\"disabled\",\"context_management\":[],\"moderation\":null,\"max_tool_calls\":3,\"brand_new\":null,"
          "\"client_metadata\":{\"thread_id\":\"t\"},"
          "\"include\":[\"reasoning.encrypted_content\"],\"stream_options\":{\"include_obfuscation\":false},"
          "\"prompt_cache_options\":{\"mode\":\"implicit\"},\"prompt_cache_retention\":\"24h\"", NULL, 0, false, NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct read r;
        char body[1024];

        snprintf(body, sizeof body, "{" ASK ",%s}", table[i].member);
        read_body(&r, body);
        assert_true(r.ok);
        assert_true(r.chat.unbounded == table[i].unbounded);
        if (table[i].foreign) {
            assert_non_null(r.chat.foreign);
            assert_true(span_is(r.chat.foreign->name, table[i].foreign));
            assert_int_equal(r.chat.foreign->kind, table[i].kind);
            assert_true(r.chat.foreign->code ? strcmp(r.chat.foreign->code, table[i].code) == 0 : !table[i].code);
            assert_null(r.chat.foreign->next);
        } else {
            assert_null(r.chat.foreign);
        }
        read_done(&r);
    }
}

static void foreign_items_are_noted_once_with_their_place(void **state)
{
    struct read r;

    (void)state;
    read_body(&r, ITEMS(USER ",{\"type\":\"mcp_call\",\"id\":\"a\"},{\"type\":\"item_reference\",\"id\":\"b\"}," USER));
    assert_true(r.ok && r.chat.unbounded);
    assert_true(span_is(r.chat.foreign->name, "input[1].type"));
    assert_null(r.chat.foreign->next);
    read_done(&r);
}

static void results_of_calls_that_openai_has_stored_are_no_orphans(void **state)
{
    struct read r;

    (void)state;
    read_body(&r, "{\"model\":\"m\",\"previous_response_id\":\"resp_1\",\"input\":[" RESULT("c1") "]}");
    assert_true(r.ok);
    assert_turns(&r.chat, "user: result(c1 : text(7))");
    read_done(&r);
    read_body(&r, "{\"model\":\"m\",\"conversation\":\"conv_1\"}");    /* and there may be nothing new */
    assert_true(r.ok);
    read_done(&r);
}

static void sampling_reasoning_and_format_are_read(void **state)
{
    struct read r;

    (void)state;
    read_body(&r, "{" ASK ",\"temperature\":0.70,\"top_p\":1,\"top_logprobs\":3,\"max_output_tokens\":16,\"include\":["
                  "\"message.output_text.logprobs\"],\"reasoning\":{\"effort\":\"xhigh\",\"summary\":\"auto\"},\"text\":{"
                  "\"verbosity\":\"low\",\"format\":{\"type\":\"json_schema\",\"name\":\"n\",\"schema\":{\"a\":1},\"strict\":true,"
                  "\"description\":\"d\"}},\"user\":\"u1\",\"safety_identifier\":\"s1\",\"metadata\":{\"k\":\"v\"},"
                  "\"service_tier\":\"flex\",\"prompt_cache_key\":\"pk\",\"parallel_tool_calls\":false}");
    assert_true(r.ok);
    assert_true(span_is(r.chat.temperature_json, "0.70") && span_is(r.chat.top_p_json, "1"));
    assert_int_equal(r.chat.top_logprobs, 3);
    assert_true(r.chat.logprobs);
    assert_int_equal(r.chat.max_tokens, 16);
    assert_int_equal(r.chat.effort, EFFORT_XHIGH);
    assert_int_equal(r.chat.show_reasoning, TRI_YES);
    assert_true(span_is(r.chat.verbosity_raw, "low"));
    assert_int_equal(r.chat.format, FORMAT_SCHEMA);
    assert_true(span_is(r.chat.schema_json, "{\"a\":1}") && span_is(r.chat.schema_name_raw, "n") &&
                span_is(r.chat.schema_description_raw, "d"));
    assert_int_equal(r.chat.schema_strict, TRI_YES);
    assert_true(span_is(r.chat.user_raw, "s1") && span_is(r.chat.metadata_json, "{\"k\":\"v\"}"));
    assert_true(span_is(r.chat.service_tier, "flex") && span_is(r.chat.cache_key_raw, "pk"));
    assert_int_equal(r.chat.parallel, TRI_NO);
    read_done(&r);
    read_body(&r, "{" ASK ",\"reasoning\":{\"effort\":\"none\",\"summary\":null},\"text\":{\"format\":{\"type\":\"json_object\"}}}");
    assert_int_equal(r.chat.effort, EFFORT_OFF);
    assert_int_equal(r.chat.show_reasoning, TRI_UNSET);
    assert_int_equal(r.chat.format, FORMAT_JSON);
    read_done(&r);
}

static void tools_and_the_choice_among_them_are_read(void **state)
{
    static const char tools[] = "\"tools\":[{\"type\":\"function\",\"name\":\"get\",\"description\":\"d\",\"parameters\":{\"a\":1},"
                                "\"strict\":true},{\"type\":\"function\",\"name\":\"now\",\"parameters\":null,\"strict\":null},"
                                "{\"type\":\"custom\",\"name\":\"patch\",\"format\":{\"type\":\"grammar\"}}]";
    static const struct { const char *choice; enum tool_choice is; const char *names; bool any; } table[] = {
        { "null", CHOICE_UNSET, "", false },
        { "\"none\"", CHOICE_NONE, "", false },
        { "\"auto\"", CHOICE_AUTO, "", false },
        { "\"required\"", CHOICE_ANY, "", false },
        { "{\"type\":\"function\",\"name\":\"now\"}", CHOICE_NAMED, "now", false },
        { "{\"type\":\"custom\",\"name\":\"patch\"}", CHOICE_NAMED, "patch", false },
        { "{\"type\":\"allowed_tools\",\"mode\":\"required\",\"tools\":[{\"type\":\"function\",\"name\":\"get\"},"
          "{\"type\":\"custom\",\"name\":\"patch\"}]}", CHOICE_ALLOWED, "getpatch", true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char body[1024], names[64] = "";
        struct read r;

        /* also before the tools that it names */
        snprintf(body, sizeof body, "{" ASK ",\"tool_choice\":%s,%s}", table[i].choice, tools);
        read_body(&r, body);
        assert_true(r.ok);
        assert_int_equal(r.chat.n_tools, 3);
        assert_int_equal(r.chat.choice, table[i].is);
        for (size_t k = 0; k < r.chat.n_choice_names; k++)
            snprintf(names + strlen(names), sizeof names - strlen(names), "%.*s", SPAN_FMT(r.chat.choice_names[k]));
        assert_string_equal(names, table[i].names);
        assert_true(r.chat.choice_any == table[i].any);
        assert_int_equal(r.chat.tools[0].strict, TRI_YES);
        assert_true(span_is(r.chat.tools[0].schema_json, "{\"a\":1}") && span_is(r.chat.tools[0].description_raw, "d"));
        assert_null(r.chat.tools[1].schema_json.p);
        assert_int_equal(r.chat.tools[1].strict, TRI_UNSET);
        assert_int_equal(r.chat.tools[2].kind, TOOL_CUSTOM);
        assert_true(span_is(r.chat.tools[2].format_json, "{\"type\":\"grammar\"}"));
        assert_int_equal(r.chat.searches, 0);
        read_done(&r);
    }
}

/* Codex groups the tools of its MCP servers. Elsewhere both names are one, in the tools and in the history alike. */
static void functions_of_a_namespace_have_both_names_in_one(void **state)
{
    struct read r;

    (void)state;
    read_body(&r, "{\"model\":\"m\",\"tools\":[{\"type\":\"namespace\",\"name\":\"mcp__git__\",\"tools\":[{\"type\":\"function\","
                  "\"name\":\"log\",\"parameters\":{}}]},{\"type\":\"namespace\",\"name\":\"fs\",\"tools\":[{\"type\":\"function\","
                  "\"name\":\"log\"}]}],\"tool_choice\":{\"type\":\"function\",\"name\":\"log\"},\"input\":[" USER
                  ",{\"type\":\"function_call\",\"call_id\":\"c1\",\"namespace\":\"fs\",\"name\":\"log\",\"arguments\":\"{}\"},"
                  RESULT("c1") "]}");
    assert_true(r.ok);
    assert_null(r.chat.foreign);
    assert_int_equal(r.chat.n_tools, 2);
    assert_true(span_is(r.chat.tools[0].name, "mcp__git__log") && span_is(r.chat.tools[1].name, "fs__log"));
    assert_true(span_is(r.chat.tools[1].bare, "log") && span_is(r.chat.tools[1].space, "fs"));
    assert_true(span_is(r.chat.choice_names[0], "mcp__git__log"));
    assert_turns(&r.chat, "user: text(Hi) | assistant: call(c1 fs__log {}) | user: result(c1 fs__log: text(7))");
    read_done(&r);
}

/* A search brings tokens that the body does not show, and has a price of its own. */
static void server_tools_bound_their_searches(void **state)
{
    struct read r;

    (void)state;
    read_body(&r, "{" ASK ",\"tools\":[{\"type\":\"web_search\"}],\"max_tool_calls\":3}");
    assert_int_equal(r.chat.searches, 3);
    assert_true(r.chat.unbounded);
    read_done(&r);
    read_body(&r, "{" ASK ",\"tools\":[{\"type\":\"web_search\"}]}");
    assert_int_equal(r.chat.searches, 20);
    read_done(&r);
    read_body(&r, "{" ASK ",\"tools\":[{\"type\":\"web_search\",\"external_web_access\":false}]}");
    assert_int_equal(r.chat.searches, 20);
    assert_int_equal(r.chat.n_tools, 0);
    read_done(&r);
    read_body(&r, "{" ASK ",\"max_tool_calls\":3}");
    assert_int_equal(r.chat.searches, 0);
    read_done(&r);
}

/* ---- hostile input ---- */

static const char rich[] =
    "{\"model\":\"m\",\"instructions\":\"i\",\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"t\","
    "\"prompt_cache_breakpoint\":{\"mode\":\"explicit\"}},{\"type\":\"input_image\",\"image_url\":\"data:image/png;base64,QUJD\","
    "\"detail\":\"low\"},{\"type\":\"input_file\",\"filename\":\"f\",\"file_data\":\"data:application/pdf;base64,QUJD\"},"
    "{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"QUJD\",\"format\":\"wav\"}}]},{\"type\":\"reasoning\",\"id\":\"rs\","
    "\"summary\":[{\"type\":\"summary_text\",\"text\":\"s\"},{\"type\":\"summary_text\",\"text\":\"s\"}],\"content\":[{\"type\":"
    "\"reasoning_text\",\"text\":\"r\"}],\"encrypted_content\":\"e\"},{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{"
    "\"type\":\"output_text\",\"text\":\"o\",\"annotations\":[{\"type\":\"url_citation\"}]},{\"type\":\"refusal\",\"refusal\":\"n\"}]},"
    "{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\",\"namespace\":\"n\",\"arguments\":\"{}\"},{\"type\":"
    "\"custom_tool_call\",\"call_id\":\"d\",\"name\":\"g\",\"input\":\"x\"},{\"type\":\"function_call_output\",\"call_id\":\"c\","
    "\"output\":[{\"type\":\"input_text\",\"text\":\"t\"}]},{\"type\":\"custom_tool_call_output\",\"call_id\":\"d\",\"output\":\"y\"},"
    "{\"type\":\"item_reference\",\"id\":\"q\"},{\"type\":\"web_search_call\",\"id\":\"w\"}],\"tools\":[{\"type\":\"function\","
    "\"name\":\"f\",\"parameters\":{\"type\":\"object\"},\"strict\":true,\"description\":\"d\"},{\"type\":\"custom\",\"name\":\"g\","
    "\"format\":{\"type\":\"text\"}},{\"type\":\"namespace\",\"name\":\"n\",\"tools\":[{\"type\":\"function\",\"name\":\"h\"}]},"
    "{\"type\":\"web_search\"}],\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"auto\",\"tools\":[{\"type\":\"function\","
    "\"name\":\"f\"}]},\"stream\":true,\"stream_options\":{\"include_obfuscation\":false},\"max_output_tokens\":16,"
    "\"temperature\":1,\"top_p\":1,\"top_logprobs\":1,\"reasoning\":{\"effort\":\"low\",\"summary\":\"auto\",\"mode\":\"pro\","
    "\"context\":\"auto\"},\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\",\"schema\":{},\"strict\":false,"
    "\"description\":\"d\"},\"verbosity\":\"low\"},\"include\":[\"x\"],\"store\":true,\"metadata\":{\"a\":\"b\"},\"user\":\"u\","
    "\"service_tier\":\"flex\",\"prompt_cache_key\":\"k\",\"prompt_cache_options\":{\"mode\":\"explicit\"},"
    "\"previous_response_id\":\"p\",\"conversation\":{\"id\":\"c\"},\"prompt\":{\"id\":\"p\"},\"background\":true,"
    "\"truncation\":\"auto\",\"context_management\":[{\"type\":\"compaction\"}],\"max_tool_calls\":1,\"moderation\":{\"model\":\"m\"}}";

/* Every value in the text, one after the other, outermost first. */
static void each_value(struct span value, void (*fn)(struct span value))
{
    fn(value);
    for (struct jiter it = jiter_begin(value); jiter_next(&it);)
        each_value(it.value, fn);
}

static void with_another(struct span value)
{
    static const char *const others[] = { "null", "true", "-1", "1e400", "\"\"", "\"\\ud83d\\ude00\\n\"", "[]", "[[]]", "{}",
                                          "[null,7,\"x\",{}]", "{\"type\":null,\"name\":{},\"text\":[]}" };

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        const size_t at = (size_t)(value.p - rich);
        struct buf body;
        struct read r;

        buf_init(&body, 65536);
        buf_add(&body, rich, at);
        buf_add_str(&body, others[i]);
        buf_add_str(&body, rich + at + value.n);
        read_as(&r, &responses_dialect, buf_span(&body));
        read_done(&r);
        buf_free(&body);
    }
}

static void no_value_of_another_type_does_harm(void **state)
{
    struct read r;

    (void)state;
    read_body(&r, rich);
    assert_true(r.ok);
    read_done(&r);
    each_value(span_str(rich), with_another);
}

static void a_full_arena_is_503_at_every_size(void **state)
{
    (void)state;
    for (size_t cap = 0; cap < 60000; cap += 97) {
        struct fault fault = { 0 };
        struct arena arena;
        struct chat chat;

        arena_init(&arena, cap);
        chat_init(&chat, DIALECT_RESPONSES, span_str(rich));
        if (!responses_dialect.parse(&chat, &(struct parse_spec){ .arena = &arena, .fault = &fault }))
            assert_int_equal(fault.status, 503);
        arena_free(&arena);
    }
}

static void thousands_of_items_and_unknown_members_are_legal(void **state)
{
    struct buf body;
    struct read r;

    (void)state;
    buf_init(&body, 8u << 20);
    buf_add_str(&body, "{\"model\":\"m\",\"input\":[" USER);
    for (int i = 0; i < 4000; i++)
        buf_printf(&body, ",{\"type\":\"function_call\",\"call_id\":\"c%d\",\"name\":\"f\",\"arguments\":\"{}\"}", i);
    for (int i = 0; i < 4000; i++)
        buf_printf(&body, ",{\"type\":\"function_call_output\",\"call_id\":\"c%d\",\"output\":\"\"}", i);
    buf_add_char(&body, ']');
    for (int i = 0; i < 4000; i++)
        buf_printf(&body, ",\"x%d\":1", i);
    buf_add_char(&body, '}');
    read_as(&r, &responses_dialect, buf_span(&body));
    assert_true(r.ok);
    assert_int_equal(r.chat.n_messages, 3);
    read_done(&r);
    buf_free(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_and_instructions_are_two_turns),
        cmocka_unit_test(every_kind_of_item_is_read),
        cmocka_unit_test(an_answer_of_several_items_is_one_turn),
        cmocka_unit_test(reasoning_is_counted_once_and_empty_reasoning_is_none),
        cmocka_unit_test(each_fault_names_its_field),
        cmocka_unit_test(what_only_chat_has_is_an_unknown_parameter),
        cmocka_unit_test(what_is_of_this_dialect_alone_is_noted),
        cmocka_unit_test(foreign_items_are_noted_once_with_their_place),
        cmocka_unit_test(results_of_calls_that_openai_has_stored_are_no_orphans),
        cmocka_unit_test(sampling_reasoning_and_format_are_read),
        cmocka_unit_test(tools_and_the_choice_among_them_are_read),
        cmocka_unit_test(functions_of_a_namespace_have_both_names_in_one),
        cmocka_unit_test(server_tools_bound_their_searches),
        cmocka_unit_test(no_value_of_another_type_does_harm),
        cmocka_unit_test(a_full_arena_is_503_at_every_size),
        cmocka_unit_test(thousands_of_items_and_unknown_members_are_legal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
