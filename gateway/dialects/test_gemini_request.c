/* test_gemini_request.c - what a Gemini caller sends is read into the neutral form, and checked with its place named. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/dialects/test_gemini.h"

#define HI "\"contents\":[{\"parts\":[{\"text\":\"Hi\"}]}]"
#define ASKS(parts) "{\"contents\":[{\"role\":\"user\",\"parts\":[" parts "]}]}"
#define CONFIG(members) "{" HI ",\"generationConfig\":{" members "}}"

struct read {
    struct arena arena;
    struct chat chat;
    struct fault fault;
    struct buf texts;
    bool ok;
};

static void gather(void *ctx, enum chat_role role, struct span text)
{
    static const char *const names[] = { "system", "user", "model" };
    struct buf *b = ctx;

    buf_add_str(b, names[role]);
    buf_add_char(b, '=');
    buf_add_span(b, text);
    buf_add_char(b, '|');
}

static void read_body(struct read *r, const char *body)
{
    const struct parse_spec spec = { .arena = &r->arena, .on_text = gather, .ctx = &r->texts, .fault = &r->fault };

    arena_init(&r->arena, 4u << 20);
    buf_init(&r->texts, 1u << 20);
    r->fault = (struct fault){ 0 };
    chat_init(&r->chat, DIALECT_GEMINI, scanned(body));
    r->chat.model = SPAN_LIT("auto");
    r->ok = gemini_dialect.parse(&r->chat, &spec);
}

static void done(struct read *r)
{
    arena_free(&r->arena);
    buf_free(&r->texts);
}

static void read_well(struct read *r, const char *body)
{
    read_body(r, body);
    if (!r->ok)
        fail_msg("%s: %s", r->fault.message, body);
}

/* "name:kind name:kind" of the foreign members. */
static void assert_foreign(const struct chat *chat, const char *want)
{
    static const char *const kinds[] = { "tunes", "means", "silent" };
    struct buf b;

    buf_init(&b, 4096);
    for (const struct chat_foreign *f = chat->foreign; f; f = f->next)
        buf_printf(&b, "%s%.*s:%s", b.n ? " " : "", SPAN_FMT(f->name), kinds[f->kind]);
    assert_string_equal(b.p ? b.p : "", want);
    buf_free(&b);
}

#define WHOLE(system, functions, max_tokens, mime) \
    "{\"" system "\":{\"parts\":[{\"text\":\"Be brief\"}]}," \
    "\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"a\\nb\"},{\"text\":\"c\"}]},{\"role\":\"model\",\"parts\":[{\"text\":\"d\"}]}," \
    "{\"parts\":[{\"text\":\"e\"}]}]," \
    "\"tools\":[{\"" functions "\":[{\"name\":\"f\",\"description\":\"does \\\"f\\\"\"}]}]," \
    "\"generationConfig\":{\"" max_tokens "\":\"40\",\"temperature\":0.50,\"topP\":0.9,\"top_k\":40.0,\"seed\":7," \
    "\"stopSequences\":[\"x\",\"y\"],\"" mime "\":\"application/json\"}}"

static void both_spellings_of_a_whole_request_are_read_alike(void **state)
{
    static const char *const bodies[] = {
        WHOLE("systemInstruction", "functionDeclarations", "maxOutputTokens", "responseMimeType"),
        WHOLE("system_instruction", "function_declarations", "max_output_tokens", "response_mime_type"),
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct read r;

        read_well(&r, bodies[i]);
        assert_string_equal(r.texts.p, "system=Be brief|user=a\nb|user=c|model=d|user=e|");
        assert_int_equal(r.chat.n_messages, 4);
        assert_int_equal(r.chat.n_user_turns, 2);
        assert_int_equal(r.chat.turns->role, ROLE_SYSTEM);
        assert_int_equal(r.chat.max_tokens, 40);
        assert_span(r.chat.temperature_json, "0.50");
        assert_span(r.chat.top_p_json, "0.9");
        assert_span(r.chat.top_k_json, "40");
        assert_span(r.chat.seed_json, "7");
        assert_int_equal(r.chat.n_stops, 2);
        assert_span(r.chat.stops_raw[1], "y");
        assert_int_equal(r.chat.format, FORMAT_JSON);
        assert_int_equal(r.chat.n_tools, 1);
        assert_span(r.chat.tools[0].name, "f");
        assert_span(r.chat.tools[0].description_raw, "does \\\"f\\\"");
        assert_null(r.chat.tools[0].schema_json.p);
        assert_null(r.chat.foreign);
        assert_false(r.chat.unbounded);
        done(&r);
    }
}

static void each_fault_names_its_field(void **state)
{
    static const struct { const char *body, *param; } table[] = {
        { "[]", "" },
        { "{}", "contents" },
        { "{\"contents\":{}}", "contents" },
        { "{\"contents\":[]}", "contents" },
        { "{\"contents\":[7]}", "contents[0]" },
        { "{\"contents\":[{\"role\":\"system\",\"parts\":[]}]}", "contents[0].role" },
        { "{\"contents\":[{\"role\":\"user\",\"parts\":{}}]}", "contents[0].parts" },
        { ASKS("{}"), "contents[0].parts[0]" },
        { ASKS("{\"text\":\"a\"},5"), "contents[0].parts[1]" },
        { ASKS("{\"text\":5}"), "contents[0].parts[0].text" },
        { ASKS("{\"text\":\"a\",\"inlineData\":{}}"), "contents[0].parts[0]" },
        { ASKS("{\"text\":\"a\",\"thought\":\"yes\"}"), "contents[0].parts[0].thought" },
        { ASKS("{\"inlineData\":{\"data\":\"aGk=\"}}"), "contents[0].parts[0].inlineData.mimeType" },
        { ASKS("{\"inlineData\":{\"mimeType\":\"png\",\"data\":\"aGk=\"}}"), "contents[0].parts[0].inlineData.mimeType" },
        { ASKS("{\"inline_data\":{\"mime_type\":\"image/png\"}}"), "contents[0].parts[0].inlineData.data" },
        { ASKS("{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"a%\"}}"), "contents[0].parts[0].inlineData.data" },
        { ASKS("{\"fileData\":{\"mimeType\":\"image/png\"}}"), "contents[0].parts[0].fileData.fileUri" },
        { ASKS("{\"fileData\":{\"fileUri\":\"file:///etc/passwd\"}}"), "contents[0].parts[0].fileData.fileUri" },
        { ASKS("{\"functionCall\":{\"name\":\"f\"}}"), "contents[0].parts[0].functionCall" },
        { ASKS("{\"functionResponse\":{\"name\":\"f\",\"response\":{}}}"), "contents[0].parts[0].functionResponse.name" },
        { "{\"contents\":[{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"args\":{}}}]}]}",
          "contents[0].parts[0].functionCall.name" },
        { "{\"contents\":[{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"name\":\"f\",\"args\":[]}}]}]}",
          "contents[0].parts[0].functionCall.args" },
        { "{" HI ",\"systemInstruction\":\"x\"}", "systemInstruction" },
        { "{" HI ",\"systemInstruction\":{\"parts\":[{\"inlineData\":{}}]}}", "systemInstruction.parts[0].text" },
        { "{" HI ",\"tools\":{}}", "tools" },
        { "{" HI ",\"tools\":[5]}", "tools[0]" },
        { "{" HI ",\"tools\":[[{}]]}", "tools[0]" },
        { "{" HI ",\"tools\":[{\"functionDeclarations\":5}]}", "tools[0].functionDeclarations" },
        { "{" HI ",\"tools\":[{\"functionDeclarations\":[{}]}]}", "tools[0].functionDeclarations[0].name" },
        { "{" HI ",\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\",\"parameters\":{},\"parametersJsonSchema\":{}}]}]}",
          "tools[0].functionDeclarations[0].parametersJsonSchema" },
        { "{" HI ",\"toolConfig\":5}", "toolConfig" },
        { "{" HI ",\"toolConfig\":{\"functionCallingConfig\":{\"mode\":\"SOME\"}}}", "toolConfig.functionCallingConfig.mode" },
        { "{" HI ",\"toolConfig\":{\"functionCallingConfig\":{\"mode\":\"ANY\",\"allowedFunctionNames\":[\"g\"]}}}",
          "toolConfig.functionCallingConfig.allowedFunctionNames" },
        { CONFIG("\"temperature\":2.5"), "generationConfig.temperature" },
        { CONFIG("\"topP\":\"x\""), "generationConfig.topP" },
        { CONFIG("\"topK\":0"), "generationConfig.topK" },
        { CONFIG("\"topK\":1.5"), "generationConfig.topK" },
        { CONFIG("\"candidateCount\":9"), "generationConfig.candidateCount" },
        { CONFIG("\"maxOutputTokens\":\"a\""), "generationConfig.maxOutputTokens" },
        { CONFIG("\"seed\":3000000000"), "generationConfig.seed" },
        { CONFIG("\"stopSequences\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\"]"), "generationConfig.stopSequences" },
        { CONFIG("\"logprobs\":3"), "generationConfig.logprobs" },
        { CONFIG("\"responseSchema\":{},\"responseJsonSchema\":{}"), "generationConfig.responseJsonSchema" },
        { CONFIG("\"thinkingConfig\":{\"thinkingBudget\":5,\"thinkingLevel\":\"LOW\"}"),
          "generationConfig.thinkingConfig.thinkingLevel" },
        { CONFIG("\"thinkingConfig\":{\"thinkingLevel\":\"SOME\"}"), "generationConfig.thinkingConfig.thinkingLevel" },
        { CONFIG("\"thinkingConfig\":{\"thinkingBudget\":-2}"), "generationConfig.thinkingConfig.thinkingBudget" },
        { CONFIG("\"maxOutputTokens\":5,\"max_output_tokens\":6"), "generationConfig.maxOutputTokens" },
        { "{" HI ",\"safetySettings\":[{\"category\":\"X\"}]}", "safetySettings[0]" },
        { "{" HI ",\"cachedContent\":\"cachedContents/1\",\"tools\":[]}", "cachedContent" },
        { "{" HI ",\"labels\":5}", "labels" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct read r;

        read_body(&r, table[i].body);
        if (r.ok || strcmp(r.fault.param, table[i].param) != 0)
            fail_msg("%s: '%s' (%s) instead of '%s'", table[i].body, r.fault.param, r.fault.message, table[i].param);
        assert_int_equal(r.fault.status, 400);
        done(&r);
    }
}

static void null_members_count_as_absent(void **state)
{
    struct read r;

    (void)state;
    read_well(&r, "{\"contents\":[{\"role\":null,\"parts\":[{\"text\":\"Hi\",\"thought\":null,\"inlineData\":null}]}],"
                  "\"tools\":null,\"generationConfig\":{\"temperature\":null,\"thinkingConfig\":null},\"systemInstruction\":null}");
    assert_int_equal(r.chat.n_messages, 1);
    assert_null(r.chat.foreign);
    done(&r);
}

static void media_is_told_by_its_type_and_checked_as_base64(void **state)
{
    struct read r;
    const struct chat_item *i;

    (void)state;
    read_well(&r, ASKS("{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"aGk=\"}},"
                       "{\"inlineData\":{\"mimeType\":\"audio/wav\",\"data\":\"AAAAAAAA\"}},"
                       "{\"inlineData\":{\"mimeType\":\"application/pdf\",\"data\":\"_-8\"}},"
                       "{\"fileData\":{\"mimeType\":\"image/jpeg\",\"fileUri\":\"https://x/y.jpg\"}},"
                       "{\"fileData\":{\"fileUri\":\"https://generativelanguage.googleapis.com/v1beta/files/1\"}}"));
    i = r.chat.turns->items;
    assert_int_equal(i->kind, ITEM_IMAGE);
    assert_int_equal(i->media.source, MEDIA_BYTES);
    assert_span(i->media.type, "image/png");
    assert_span(i->media.data, "aGk=");
    i = i->next;
    assert_int_equal(i->kind, ITEM_AUDIO);
    i = i->next;
    assert_int_equal(i->kind, ITEM_FILE);
    i = i->next;
    assert_int_equal(i->kind, ITEM_IMAGE);
    assert_int_equal(i->media.source, MEDIA_URL);
    i = i->next;
    assert_int_equal(i->media.source, MEDIA_FILE_ID);
    assert_true(r.chat.unbounded);
    assert_int_equal(r.chat.n_images, 2);
    assert_int_equal(r.chat.n_audio, 1);
    assert_int_equal(r.chat.n_files, 2);
    assert_int_equal(r.chat.audio_bytes, 6);
    done(&r);
}

#define CALL(members) "{\"functionCall\":{" members "}}"
#define RESULT(members) "{\"functionResponse\":{" members "}}"
#define LOOP(calls, results) "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"go\"}]},{\"role\":\"model\",\"parts\":[" calls \
    "]},{\"role\":\"user\",\"parts\":[" results "]}]}"

static void calls_without_ids_get_the_same_ones_each_time(void **state)
{
    struct span first[3];

    (void)state;
    for (int round = 0; round < 2; round++) {
        struct read r;
        const struct chat_item *call, *result;

        read_well(&r, LOOP(CALL("\"name\":\"f\",\"args\":{\"n\":9007199254740993}") "," CALL("\"name\":\"g\"") ","
                           CALL("\"name\":\"f\""),
                           RESULT("\"name\":\"g\",\"response\":{\"output\":\"of g\"}") ","
                           RESULT("\"name\":\"f\",\"response\":{\"output\":\"of f1\"}") ","
                           RESULT("\"name\":\"f\",\"response\":{\"error\":\"of f2\"}")));
        call = r.chat.turns->next->items;
        result = r.chat.turns->next->next->items;
        assert_span(call->call.arguments_json, "{\"n\":9007199254740993}");
        assert_span(call->next->call.arguments_json, "{}");
        /* By name and order: g, then the first f, then the second. */
        assert_true(span_eq(result->result.id, call->next->call.id));
        assert_true(span_eq(result->next->result.id, call->call.id));
        assert_true(span_eq(result->next->next->result.id, call->next->next->call.id));
        assert_false(span_eq(call->call.id, call->next->next->call.id));
        assert_false(result->next->result.is_error);
        assert_true(result->next->next->result.is_error);
        assert_span(result->next->next->result.parts->text, "of f2");
        if (round == 0) {
            first[0] = call->call.id;
            assert_span(first[0], "call_g0");
        } else {
            assert_span(call->call.id, "call_g0");
        }
        done(&r);
    }
}

static void results_find_their_calls_by_id_first(void **state)
{
    struct read r;
    const struct chat_item *result;

    (void)state;
    read_well(&r, LOOP(CALL("\"id\":\"a\",\"name\":\"f\"") "," CALL("\"id\":\"b\",\"name\":\"f\""),
                       RESULT("\"id\":\"b\",\"name\":\"f\",\"response\":{\"x\":1}") ","
                       RESULT("\"name\":\"f\",\"response\":{\"output\":\"t\",\"more\":2}")));
    result = r.chat.turns->next->next->items;
    assert_int_equal(r.chat.n_user_turns, 1);    /* results alone are no turn of the user */
    assert_span(result->result.id, "b");
    assert_span(result->result.object_json, "{\"x\":1}");
    assert_null(result->result.parts);
    assert_span(result->next->result.id, "a");
    assert_span(result->next->result.object_json, "{\"output\":\"t\",\"more\":2}");
    done(&r);
}

static void a_history_out_of_order_is_refused(void **state)
{
    static const char *const table[] = {
        LOOP(CALL("\"name\":\"f\""), "{\"text\":\"never mind\"}"),                                    /* no result */
        LOOP(CALL("\"name\":\"f\""), RESULT("\"name\":\"g\",\"response\":{}")),                        /* of another */
        LOOP(CALL("\"name\":\"f\""), RESULT("\"name\":\"f\",\"response\":{}") "," RESULT("\"name\":\"f\",\"response\":{}")),
        LOOP(CALL("\"name\":\"f\",\"id\":\"1\""), RESULT("\"name\":\"f\",\"id\":\"2\",\"response\":{}")),
        LOOP(CALL("\"name\":\"f\",\"id\":\"1\""), RESULT("\"name\":\"f\",\"id\":\"1\",\"response\":{}") ","
                                                  RESULT("\"name\":\"f\",\"id\":\"1\",\"response\":{}")),
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct read r;

        read_body(&r, table[i]);
        if (r.ok)
            fail_msg("taken: %s", table[i]);
        assert_int_equal(r.fault.status, 400);
        done(&r);
    }
}

static void thoughts_and_signatures_keep_their_family(void **state)
{
    struct read r;
    const struct chat_item *i;

    (void)state;
    read_well(&r, "{\"contents\":[{\"parts\":[{\"text\":\"q\"}]},{\"role\":\"model\",\"parts\":["
                  "{\"text\":\"hm\",\"thought\":true},{\"text\":\"a\",\"thoughtSignature\":\"c2ln\"},"
                  "{\"functionCall\":{\"name\":\"f\"},\"thought_signature\":\"Zg==\"},{\"thoughtSignature\":\"ZQ==\"},"
                  "{\"executableCode\":{\"code\":\"1\"}},{\"newestKind\":{}}]}]}");
    i = r.chat.turns->next->items;
    assert_int_equal(i->kind, ITEM_REASONING);
    assert_span(i->text, "hm");
    i = i->next;
    assert_int_equal(i->kind, ITEM_TEXT);
    assert_span(i->opaque_raw, "c2ln");
    assert_int_equal(i->family, FAMILY_GEMINI);
    i = i->next;
    assert_int_equal(i->kind, ITEM_CALL);
    assert_span(i->opaque_raw, "Zg==");
    i = i->next;
    assert_int_equal(i->kind, ITEM_TEXT);
    assert_span(i->opaque_raw, "ZQ==");
    i = i->next;
    assert_int_equal(i->kind, ITEM_FOREIGN);
    assert_span(i->json, "{\"executableCode\":{\"code\":\"1\"}}");
    i = i->next;
    assert_int_equal(i->kind, ITEM_FOREIGN);
    assert_string_equal(r.texts.p, "user=q|model=a|model=|");    /* thoughts are not shown to the features */
    done(&r);
}

static void what_stands_in_for_a_signature_signs_nothing(void **state)
{
    static const char *const table[] = { "skip_thought_signature_validator", "context_engineering_is_the_way_to_go",
                                         "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=" };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct read r;
        char body[400];

        snprintf(body, sizeof body, "{\"contents\":[{\"parts\":[{\"text\":\"q\"}]},{\"role\":\"model\",\"parts\":[{\"functionCall\":"
                 "{\"name\":\"f\"},\"thoughtSignature\":\"%s\"}]},{\"parts\":[{\"functionResponse\":{\"name\":\"f\",\"response\":{}}}]}]}",
                 table[i]);
        read_well(&r, body);
        assert_int_equal(r.chat.turns->next->items->kind, ITEM_CALL);
        assert_null(r.chat.turns->next->items->opaque_raw.p);
        assert_int_equal(r.chat.turns->next->items->family, FAMILY_NONE);
        done(&r);
    }
}

static void what_is_geminis_alone_says_what_it_does(void **state)
{
    static const struct { const char *body, *foreign; } table[] = {
        { "{" HI ",\"safetySettings\":[{\"category\":\"HARM_CATEGORY_HARASSMENT\",\"threshold\":\"OFF\"}]}", "safetySettings:tunes" },
        { "{" HI ",\"cached_content\":\"cachedContents/1\"}", "cachedContent:means" },
        { "{" HI ",\"tools\":[{\"googleSearch\":{}},{\"code_execution\":{}}]}", "tools[0].googleSearch:means tools[1].codeExecution:means" },
        { "{" HI ",\"brand_new\":1}", "brandNew:tunes" },
        { "{" HI ",\"store\":true,\"continuationToken\":\"x\"}", "store:silent continuationToken:means" },
        { CONFIG("\"mediaResolution\":\"MEDIA_RESOLUTION_LOW\",\"speech_config\":{}"),
          "generationConfig.mediaResolution:tunes generationConfig.speechConfig:tunes" },
        { CONFIG("\"responseModalities\":[\"TEXT\"]"), "" },
        { CONFIG("\"responseModalities\":[\"TEXT\",\"IMAGE\"]"), "generationConfig.responseModalities:means" },
        { CONFIG("\"responseMimeType\":\"text/x.enum\",\"responseSchema\":{\"type\":\"STRING\",\"enum\":[\"a\"]}"),
          "generationConfig.responseMimeType:means" },
        { "{" HI ",\"toolConfig\":{\"retrievalConfig\":{}}}", "toolConfig.retrievalConfig:tunes" },
        { ASKS("{\"text\":\"a\",\"videoMetadata\":{}}"), "contents[0].parts[0].videoMetadata:tunes" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct read r;

        read_well(&r, table[i].body);
        assert_foreign(&r.chat, table[i].foreign);
        done(&r);
    }
}

static void a_cached_prefix_and_a_search_are_bounded_as_unknown(void **state)
{
    struct read r;

    (void)state;
    read_well(&r, "{" HI ",\"cachedContent\":\"cachedContents/1\"}");
    assert_true(r.chat.unbounded);
    done(&r);
    read_well(&r, "{" HI ",\"tools\":[{\"googleSearch\":{}}]}");
    assert_true(r.chat.searches > 0);
    assert_int_equal(r.chat.n_tools, 1);
    assert_int_equal(r.chat.tools[0].kind, TOOL_SERVER);
    done(&r);
}

static void tool_modes_become_choices(void **state)
{
    static const struct { const char *config; enum tool_choice choice; size_t names; bool any; } table[] = {
        { "\"mode\":\"AUTO\"", CHOICE_AUTO, 0, false },
        { "\"mode\":\"NONE\"", CHOICE_NONE, 0, false },
        { "\"mode\":\"ANY\"", CHOICE_ANY, 0, false },
        { "\"mode\":\"any\",\"allowed_function_names\":[\"f\"]", CHOICE_NAMED, 1, true },
        { "\"mode\":\"ANY\",\"allowedFunctionNames\":[\"f\",\"g\"]", CHOICE_ALLOWED, 2, true },
        { "\"mode\":\"VALIDATED\",\"allowedFunctionNames\":[\"f\"]", CHOICE_ALLOWED, 1, false },
        { "\"mode\":\"VALIDATED\"", CHOICE_AUTO, 0, false },
        { "\"mode\":\"MODE_UNSPECIFIED\"", CHOICE_UNSET, 0, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct read r;
        char body[512];

        snprintf(body, sizeof body, "{" HI ",\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\"},{\"name\":\"g\"}]}],"
                 "\"toolConfig\":{\"functionCallingConfig\":{%s}}}", table[i].config);
        read_well(&r, body);
        assert_int_equal(r.chat.choice, table[i].choice);
        assert_int_equal(r.chat.n_choice_names, table[i].names);
        assert_int_equal(r.chat.choice_any, table[i].any);
        done(&r);
    }
}

static void thinking_becomes_an_effort(void **state)
{
    static const struct { const char *config; enum effort effort; int64_t budget; enum tri show; } table[] = {
        { "\"thinkingBudget\":0", EFFORT_OFF, 0, TRI_UNSET },
        { "\"thinkingBudget\":-1", EFFORT_DYNAMIC, 0, TRI_UNSET },
        { "\"thinking_budget\":\"2048\",\"includeThoughts\":true", EFFORT_BUDGET, 2048, TRI_YES },
        { "\"thinkingLevel\":\"MINIMAL\"", EFFORT_MINIMAL, 0, TRI_UNSET },
        { "\"thinkingLevel\":\"high\",\"include_thoughts\":false", EFFORT_HIGH, 0, TRI_NO },
        { "\"thinkingLevel\":\"THINKING_LEVEL_UNSPECIFIED\"", EFFORT_UNSET, 0, TRI_UNSET },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct read r;
        char body[256];

        snprintf(body, sizeof body, CONFIG("\"thinkingConfig\":{%s}"), table[i].config);
        read_well(&r, body);
        assert_int_equal(r.chat.effort, table[i].effort);
        assert_int_equal(r.chat.budget, table[i].budget);
        assert_int_equal(r.chat.show_reasoning, table[i].show);
        done(&r);
    }
}

static void schemas_leave_the_openapi_subset(void **state)
{
    static const struct { const char *from, *to; } table[] = {
        { "{\"type\":\"OBJECT\",\"properties\":{\"type\":{\"type\":\"STRING\",\"nullable\":true},\"n\":{\"type\":\"INTEGER\","
          "\"format\":\"int64\"}},\"required\":[\"n\"],\"propertyOrdering\":[\"n\"]}",
          "{\"type\":\"object\",\"properties\":{\"type\":{\"type\":[\"string\",\"null\"]},\"n\":{\"type\":\"integer\","
          "\"format\":\"int64\"}},\"required\":[\"n\"]}" },
        { "{\"type\":\"ARRAY\",\"min_items\":\"1\",\"maxItems\":9,\"items\":{\"type\":\"string\",\"format\":\"enum\",\"enum\":[\"A\"]}}",
          "{\"type\":\"array\",\"minItems\":1,\"maxItems\":9,\"items\":{\"type\":\"string\",\"enum\":[\"A\"]}}" },
        { "{\"any_of\":[{\"type\":\"NUMBER\",\"example\":2},{\"type\":\"TYPE_UNSPECIFIED\"}],\"nullable\":true}",
          "{\"anyOf\":[{\"type\":\"number\"},{},{\"type\":\"null\"}]}" },
        { "{\"nullable\":true,\"type\":\"STRING\",\"enum\":[\"A\"],\"description\":\"x\"}",
          "{\"type\":[\"string\",\"null\"],\"enum\":[\"A\",null],\"description\":\"x\"}" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct read r;
        char body[1024];

        snprintf(body, sizeof body, "{" HI ",\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\",\"parameters\":%s}]}],"
                 "\"generationConfig\":{\"responseSchema\":%s}}", table[i].from, table[i].from);
        read_well(&r, body);
        assert_span(r.chat.tools[0].schema_json, table[i].to);
        assert_int_equal(r.chat.format, FORMAT_SCHEMA);
        assert_span(r.chat.schema_json, table[i].to);
        done(&r);
    }
}

static void json_schema_is_left_as_it_stands(void **state)
{
    struct read r;

    (void)state;
    read_well(&r, "{" HI ",\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\",\"parametersJsonSchema\":{\"$ref\": \"#/x\"}}]}],"
                  "\"generationConfig\":{\"responseJsonSchema\":{\"type\" : \"object\"}}}");
    assert_span(r.chat.tools[0].schema_json, "{\"$ref\": \"#/x\"}");
    assert_span(r.chat.schema_json, "{\"type\" : \"object\"}");
    done(&r);
}

static void a_count_is_asked_in_either_form(void **state)
{
    static const char *const bodies[] = { ASKS("{\"text\":\"how long?\"}"),
                                          "{\"generate_content_request\":{\"model\":\"models/x\",\"contents\":[{\"parts\":["
                                          "{\"text\":\"how long?\"}]}]}}" };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct read r;
        const struct parse_spec spec = { .arena = &r.arena, .on_text = gather, .ctx = &r.texts, .fault = &r.fault };

        arena_init(&r.arena, 1u << 20);
        buf_init(&r.texts, 4096);
        chat_init(&r.chat, DIALECT_GEMINI, scanned(bodies[i]));
        r.chat.counting = true;
        assert_true(gemini_dialect.parse(&r.chat, &spec));
        assert_string_equal(r.texts.p, "user=how long?|");
        done(&r);
    }
}

static void the_standard_tier_is_none(void **state)
{
    static const struct { const char *word, *want; } table[] = { { "standard", "" }, { "unspecified", "" }, { "flex", "flex" } };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct read r;
        char body[128];

        snprintf(body, sizeof body, "{" HI ",\"service_tier\":\"%s\"}", table[i].word);
        read_well(&r, body);
        assert_span(r.chat.service_tier, table[i].want);
        done(&r);
    }
}

static void a_long_history_is_read_and_too_many_calls_in_a_row_are_not(void **state)
{
    struct buf b;
    struct read r;

    (void)state;
    buf_init(&b, 8u << 20);
    buf_add_str(&b, "{\"contents\":[{\"parts\":[{\"text\":\"q\"}]}");
    for (int i = 0; i < 4000; i++)
        buf_printf(&b, ",{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"name\":\"f%d\"}}]},"
                       "{\"parts\":[{\"functionResponse\":{\"name\":\"f%d\",\"response\":{}}}]}", i, i);
    buf_add_str(&b, "]}");
    read_well(&r, b.p);
    assert_int_equal(r.chat.n_messages, 8001);
    done(&r);
    buf_clear(&b);
    buf_add_str(&b, "{\"contents\":[{\"role\":\"model\",\"parts\":[");
    for (int i = 0; i < 20000; i++)
        buf_printf(&b, "%s{\"functionCall\":{\"name\":\"f\"}}", i ? "," : "");
    buf_add_str(&b, "]}]}");
    read_body(&r, b.p);
    assert_false(r.ok);
    done(&r);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_spellings_of_a_whole_request_are_read_alike),
        cmocka_unit_test(each_fault_names_its_field),
        cmocka_unit_test(null_members_count_as_absent),
        cmocka_unit_test(media_is_told_by_its_type_and_checked_as_base64),
        cmocka_unit_test(calls_without_ids_get_the_same_ones_each_time),
        cmocka_unit_test(results_find_their_calls_by_id_first),
        cmocka_unit_test(a_history_out_of_order_is_refused),
        cmocka_unit_test(thoughts_and_signatures_keep_their_family),
        cmocka_unit_test(what_is_geminis_alone_says_what_it_does),
        cmocka_unit_test(a_cached_prefix_and_a_search_are_bounded_as_unknown),
        cmocka_unit_test(tool_modes_become_choices),
        cmocka_unit_test(thinking_becomes_an_effort),
        cmocka_unit_test(schemas_leave_the_openapi_subset),
        cmocka_unit_test(json_schema_is_left_as_it_stands),
        cmocka_unit_test(a_count_is_asked_in_either_form),
        cmocka_unit_test(what_stands_in_for_a_signature_signs_nothing),
        cmocka_unit_test(the_standard_tier_is_none),
        cmocka_unit_test(a_long_history_is_read_and_too_many_calls_in_a_row_are_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
