/* test_gemini_body.c - a chat of another dialect as Gemini's providers take it, golden by golden; what cannot be said is refused
 * with its field named; a caller's own body passes but for its cap. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/dialects/test_gemini.h"

/* A chat of the Chat dialect, built by hand: no other dialect's parse is under test here. */
struct given {
    struct arena arena;
    struct chat chat;
    struct fault fault;
    struct buf body;
    struct request_out out;
};

static void begin(struct given *g)
{
    arena_init(&g->arena, 64u << 20);
    chat_init(&g->chat, DIALECT_CHAT, SPAN_LIT("{}"));
    g->fault = (struct fault){ 0 };
    buf_init(&g->body, 64u << 20);
}

static void done(struct given *g)
{
    arena_free(&g->arena);
    buf_free(&g->body);
}

static struct chat_item *says(struct given *g, enum chat_role role, const char *raw)
{
    struct chat_item *i = chat_add_item(&g->chat, chat_add_turn(&g->chat, &g->arena, role), &g->arena, ITEM_TEXT);

    i->text = span_str(raw);
    return i;
}

static struct chat_item *more(struct given *g, enum item_kind kind)
{
    return chat_add_item(&g->chat, g->chat.last_turn, &g->arena, kind);
}

static struct chat_item *calls(struct given *g, const char *id, const char *name, const char *arguments_raw)
{
    struct chat_item *i = more(g, ITEM_CALL);

    i->call = (struct chat_call){ .id = span_str(id), .name = span_str(name), .arguments_raw = span_str(arguments_raw) };
    return i;
}

static struct chat_item *answers(struct given *g, const char *id, const char *name, const char *raw)
{
    struct chat_item *i = more(g, ITEM_RESULT);

    i->result = (struct chat_result){ .id = span_str(id), .name = span_str(name) };
    if (raw)
        chat_add_part(&g->chat, i, &g->arena, ITEM_TEXT)->text = span_str(raw);
    return i;
}

static struct chat_item *shows(struct given *g, enum item_kind kind, enum media_source source, const char *type, const char *data)
{
    struct chat_item *i = more(g, kind);

    i->media = (struct chat_media){ .source = source, .type = span_str(type), .data = span_str(data) };
    return i;
}

static void tools(struct given *g, size_t n, struct chat_tool *list)
{
    g->chat.tools = list;
    g->chat.n_tools = n;
}

static bool write_to(struct given *g, const struct target *target)
{
    buf_clear(&g->body);
    g->out = (struct request_out){ .arena = &g->arena, .body = &g->body, .fault = &g->fault };
    if (!gemini_dialect.takes(&g->chat, target, &g->fault))
        return false;
    return gemini_dialect.write_request(&g->chat, target, &g->out);
}

static void assert_written(struct given *g, const struct target *target, const char *want, const char *notes)
{
    if (!write_to(g, target))
        fail_msg("refused: %s", g->fault.message);
    assert_json(&g->body, want);
    assert_string_equal(g->out.notes.text, notes);
}

#define ASKED_THEN "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"q\"}]},{\"role\":\"model\",\"parts\":["
#define ASKED "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"q\"}]}]"

/* ---- turns ---- */

static void instructions_lead_and_later_ones_become_marked_user_text(void **state)
{
    struct given g;

    (void)state;
    begin(&g);
    says(&g, ROLE_SYSTEM, "be \\\"brief\\\"");
    says(&g, ROLE_SYSTEM, "be kind");
    says(&g, ROLE_USER, "q");
    says(&g, ROLE_SYSTEM, "now shout");
    assert_written(&g, &to_3,
                   "{\"systemInstruction\":{\"parts\":[{\"text\":\"be \\\"brief\\\"\"},{\"text\":\"be kind\"}]},"
                   "\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"q\"},{\"text\":\"<system>now shout</system>\"}]}]}",
                   "changed=role");
    done(&g);
}

static void neighbours_of_a_role_merge_and_empty_texts_go(void **state)
{
    struct given g;

    (void)state;
    begin(&g);
    says(&g, ROLE_USER, "a");
    says(&g, ROLE_USER, "");
    says(&g, ROLE_USER, "b");
    says(&g, ROLE_ASSISTANT, "");    /* nothing is left of it: its neighbours meet */
    says(&g, ROLE_USER, "c");
    says(&g, ROLE_ASSISTANT, "d");
    says(&g, ROLE_ASSISTANT, "e");
    assert_written(&g, &to_3,
                   "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"a\"},{\"text\":\"b\"},{\"text\":\"c\"}]},"
                   "{\"role\":\"model\",\"parts\":[{\"text\":\"d\"},{\"text\":\"e\"}]}]}", "");
    done(&g);
}

static void the_first_content_is_the_users(void **state)
{
    struct given g;

    (void)state;
    begin(&g);
    says(&g, ROLE_ASSISTANT, "hello");
    says(&g, ROLE_USER, "q");
    assert_written(&g, &to_3,
                   "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\".\"}]},{\"role\":\"model\",\"parts\":[{\"text\":\"hello\"}]},"
                   "{\"role\":\"user\",\"parts\":[{\"text\":\"q\"}]}]}", "changed=messages");
    done(&g);
    begin(&g);
    says(&g, ROLE_SYSTEM, "only this");
    assert_written(&g, &to_3,
                   "{\"systemInstruction\":{\"parts\":[{\"text\":\"only this\"}]},"
                   "\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\".\"}]}]}", "changed=messages");
    done(&g);
}

static void media_goes_as_bytes_or_as_a_uri(void **state)
{
    struct given g;

    (void)state;
    begin(&g);
    says(&g, ROLE_USER, "q");
    shows(&g, ITEM_IMAGE, MEDIA_BYTES, "image/png", "aGk=")->media.detail = SPAN_LIT("high");
    shows(&g, ITEM_IMAGE, MEDIA_URL, "image/jpeg", "https:\\/\\/x\\/y.jpg");
    shows(&g, ITEM_IMAGE, MEDIA_URL, NULL, "https://x/z");
    shows(&g, ITEM_IMAGE, MEDIA_URL, NULL, "https://x/z.PNG?size=1#.gif");
    shows(&g, ITEM_AUDIO, MEDIA_BYTES, "audio/wav", "AAAA");
    shows(&g, ITEM_FILE, MEDIA_BYTES, "application/pdf", "BBBB");
    shows(&g, ITEM_FILE, MEDIA_TEXT, "text/plain", "plain \\n words");
    assert_written(&g, &to_3,
                   "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"q\"},"
                   "{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"aGk=\"}},"
                   "{\"fileData\":{\"mimeType\":\"image/jpeg\",\"fileUri\":\"https:\\/\\/x\\/y.jpg\"}},"
                   "{\"fileData\":{\"fileUri\":\"https://x/z\"}},"
                   "{\"fileData\":{\"mimeType\":\"image/png\",\"fileUri\":\"https://x/z.PNG?size=1#.gif\"}},"
                   "{\"inlineData\":{\"mimeType\":\"audio/wav\",\"data\":\"AAAA\"}},"
                   "{\"inlineData\":{\"mimeType\":\"application/pdf\",\"data\":\"BBBB\"}},"
                   "{\"text\":\"plain \\n words\"}]}]}", "dropped=detail");
    done(&g);
}

/* ---- the tool loop ---- */

static void a_loop(struct given *g)
{
    begin(g);
    says(g, ROLE_USER, "old");
    says(g, ROLE_ASSISTANT, "");
    calls(g, "c0", "f", "{}");
    chat_add_turn(&g->chat, &g->arena, ROLE_USER);
    answers(g, "c0", "f", "0");
    says(g, ROLE_USER, "new");
    says(g, ROLE_ASSISTANT, "let me see");
    calls(g, "c1", "f", "{\\\"n\\\":9007199254740993}\\n");
    calls(g, "c2", "g", "");
    chat_add_turn(&g->chat, &g->arena, ROLE_USER);
    answers(g, "c2", "g", "plain");
    chat_add_turn(&g->chat, &g->arena, ROLE_USER);
    answers(g, "c1", "f", " {\\\"t\\\":1} ");
}

#define LOOP_HEAD "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"old\"}]}," \
    "{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"id\":\"c0\",\"name\":\"f\",\"args\":{}}}]}," \
    "{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"id\":\"c0\",\"name\":\"f\",\"response\":{\"output\":\"0\"}}},{\"text\":\"new\"}]}," \
    "{\"role\":\"model\",\"parts\":[{\"text\":\"let me see\"}," \
    "{\"functionCall\":{\"id\":\"c1\",\"name\":\"f\",\"args\":{\"n\":9007199254740993}}"
#define LOOP_TAIL "},{\"functionCall\":{\"id\":\"c2\",\"name\":\"g\",\"args\":{}}}]}," \
    "{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"id\":\"c2\",\"name\":\"g\",\"response\":{\"output\":\"plain\"}}}," \
    "{\"functionResponse\":{\"id\":\"c1\",\"name\":\"f\",\"response\":{\"t\":1}}}]}]}"

static void the_first_foreign_call_of_the_current_turn_gets_the_constant_signature(void **state)
{
    struct given g;

    (void)state;
    a_loop(&g);
    assert_written(&g, &to_3, LOOP_HEAD ",\"thoughtSignature\":\"skip_thought_signature_validator\"" LOOP_TAIL, "");
    assert_written(&g, &to_25, LOOP_HEAD LOOP_TAIL, "");    /* no signatures before 3 */
    done(&g);
}

static void every_step_of_the_current_turn_gets_it(void **state)
{
    struct given g;

    (void)state;
    begin(&g);
    says(&g, ROLE_USER, "q");
    for (int i = 0; i < 2; i++) {
        chat_add_turn(&g.chat, &g.arena, ROLE_ASSISTANT);
        calls(&g, i ? "b" : "a", "f", "{}");
        chat_add_turn(&g.chat, &g.arena, ROLE_USER);
        answers(&g, i ? "b" : "a", "f", NULL);
    }
#define STEP(id) "{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"id\":\"" id "\",\"name\":\"f\",\"args\":{}}," \
    "\"thoughtSignature\":\"skip_thought_signature_validator\"}]},{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"id\":\"" id \
    "\",\"name\":\"f\",\"response\":{\"output\":\"\"}}}]}"
    assert_written(&g, &to_3, "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"q\"}]}," STEP("a") "," STEP("b") "]}", "");
    done(&g);
}

/* Gemini's own, kept by the gateway for a caller whose dialect has no place for them. */
static void signatures_of_the_family_come_back_in_their_parts(void **state)
{
    struct given g;
    struct chat_item *i;

    (void)state;
    begin(&g);
    says(&g, ROLE_USER, "q");
    chat_add_turn(&g.chat, &g.arena, ROLE_ASSISTANT);
    i = more(&g, ITEM_REASONING);
    i->text = SPAN_LIT("hm");
    i->opaque_raw = SPAN_LIT("dA==");
    i->family = FAMILY_GEMINI;
    i = more(&g, ITEM_REASONING);
    i->text = SPAN_LIT("of another");
    i->opaque_raw = SPAN_LIT("WA==");
    i->family = FAMILY_ANTHROPIC;
    i = calls(&g, "a", "f", "{}");
    i->opaque_raw = SPAN_LIT("c2ln");
    i->family = FAMILY_GEMINI;
    i = calls(&g, "b", "f", "{}");
    i->opaque_raw = SPAN_LIT("enc");
    i->family = FAMILY_OPENAI;
    assert_written(&g, &to_3,
                   ASKED_THEN
                   "{\"text\":\"hm\",\"thought\":true,\"thoughtSignature\":\"dA==\"},"
                   "{\"functionCall\":{\"id\":\"a\",\"name\":\"f\",\"args\":{}},\"thoughtSignature\":\"c2ln\"},"
                   "{\"functionCall\":{\"id\":\"b\",\"name\":\"f\",\"args\":{}}}]}]}", "");
    done(&g);
}

static void results_are_objects_whatever_they_were(void **state)
{
    static const struct { const char *raw; bool error; const char *response; } table[] = {
        { "plain", false, "{\"output\":\"plain\"}" },
        { "boom", true, "{\"error\":\"boom\"}" },
        { "{\\\"a\\\":{\\\"b\\\":[1,2]}}", false, "{\"a\":{\"b\":[1,2]}}" },
        { "{\\\"a\\\":1}", true, "{\"error\":\"{\\\"a\\\":1}\"}" },
        { "{\\\"a\\\":1} and more", false, "{\"output\":\"{\\\"a\\\":1} and more\"}" },
        { "{\\\"a\\\":1,\\\"a\\\":2}", false, "{\"output\":\"{\\\"a\\\":1,\\\"a\\\":2}\"}" },
        { "[1]", false, "{\"output\":\"[1]\"}" },
        { NULL, false, "{\"output\":\"\"}" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct given g;
        char want[512];

        begin(&g);
        says(&g, ROLE_USER, "q");
        chat_add_turn(&g.chat, &g.arena, ROLE_ASSISTANT);
        calls(&g, "a", "f", "{}");
        chat_add_turn(&g.chat, &g.arena, ROLE_USER);
        answers(&g, "a", "f", table[i].raw)->result.is_error = table[i].error;
        snprintf(want, sizeof want, ASKED_THEN "{\"functionCall\":{\"id\":\"a\",\"name\":\"f\",\"args\":{}}}]},"
                 "{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"id\":\"a\",\"name\":\"f\",\"response\":%s}}]}]}",
                 table[i].response);
        assert_written(&g, &to_20, want, "");
        done(&g);
    }
}

static void texts_of_one_result_are_joined_and_its_pictures_stand_where_the_model_takes_them(void **state)
{
    struct given g;
    struct chat_item *result, *part;

    (void)state;
    begin(&g);
    says(&g, ROLE_USER, "q");
    chat_add_turn(&g.chat, &g.arena, ROLE_ASSISTANT);
    calls(&g, "a", "f", "{}");
    chat_add_turn(&g.chat, &g.arena, ROLE_USER);
    result = answers(&g, "a", "f", "one");
    chat_add_part(&g.chat, result, &g.arena, ITEM_TEXT)->text = SPAN_LIT("two");
    part = chat_add_part(&g.chat, result, &g.arena, ITEM_IMAGE);
    part->media = (struct chat_media){ .source = MEDIA_BYTES, .type = SPAN_LIT("image/png"), .data = SPAN_LIT("aGk=") };
    more(&g, ITEM_TEXT)->text = SPAN_LIT("and?");
    assert_written(&g, &to_3,
                   ASKED_THEN "{\"functionCall\":{\"id\":\"a\",\"name\":\"f\",\"args\":{}}}]},"
                   "{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"id\":\"a\",\"name\":\"f\",\"response\":{\"output\":\"one\\ntwo\"},"
                   "\"parts\":[{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"aGk=\"}}]}},{\"text\":\"and?\"}]}]}", "");
    assert_written(&g, &to_25,
                   ASKED_THEN "{\"functionCall\":{\"id\":\"a\",\"name\":\"f\",\"args\":{}}}]},"
                   "{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"id\":\"a\",\"name\":\"f\",\"response\":{\"output\":\"one\\ntwo\"}}},"
                   "{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"aGk=\"}},{\"text\":\"and?\"}]}]}", "changed=messages[].content");
    done(&g);
}

static void arguments_that_are_no_object_are_wrapped(void **state)
{
    struct given g;

    (void)state;
    begin(&g);
    says(&g, ROLE_USER, "q");
    chat_add_turn(&g.chat, &g.arena, ROLE_ASSISTANT);
    calls(&g, "a", "f", "{\\\"cut");
    calls(&g, "b", "f", "[1]");
    assert_written(&g, &to_20, ASKED_THEN "{\"functionCall\":{\"id\":\"a\",\"name\":\"f\",\"args\":{\"_raw\":\"{\\\"cut\"}}},"
                   "{\"functionCall\":{\"id\":\"b\",\"name\":\"f\",\"args\":{\"_raw\":\"[1]\"}}}]}]}", "changed=arguments");
    done(&g);
}

/* ---- tools ---- */

static void tools_go_with_their_schema_verbatim(void **state)
{
    struct chat_tool list[] = {
        { .kind = TOOL_FUNCTION, .name = SPAN_LIT("get.it"), .description_raw = SPAN_LIT("a \\\"b\\\""),
          .schema_json = SPAN_LIT("{\"$ref\": \"#/$defs/x\",\"oneOf\":[{}]}") },
        { .kind = TOOL_FUNCTION, .name = SPAN_LIT("9 lives") },
        { .kind = TOOL_CUSTOM, .name = SPAN_LIT("run"), .format_json = SPAN_LIT("{}") },
    };
    struct given g;

    (void)state;
    begin(&g);
    says(&g, ROLE_USER, "q");
    tools(&g, 3, list);
    g.chat.choice = CHOICE_NAMED;
    g.chat.choice_names = &list[1].name;
    g.chat.n_choice_names = 1;
    assert_written(&g, &to_3,
                   "{\"tools\":[{\"functionDeclarations\":[{\"name\":\"get.it\",\"description\":\"a \\\"b\\\"\","
                   "\"parametersJsonSchema\":{\"$ref\": \"#/$defs/x\",\"oneOf\":[{}]}},{\"name\":\"f_9_lives_3a0c89df\"},"
                   "{\"name\":\"run\",\"parametersJsonSchema\":{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\"}},"
                   "\"required\":[\"input\"],\"additionalProperties\":false}}]}],"
                   "\"toolConfig\":{\"functionCallingConfig\":{\"mode\":\"ANY\",\"allowedFunctionNames\":[\"f_9_lives_3a0c89df\"]}},"
                   "\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"q\"}]}]}", "dropped=format");
    assert_span(names_back(&g.out.names, SPAN_LIT("f_9_lives_3a0c89df")), "9 lives");
    assert_true(names_wrapped(&g.out.names, SPAN_LIT("run")));
    done(&g);
}

static void choices_become_modes(void **state)
{
    static const struct { enum tool_choice choice; bool any; const char *mode; } table[] = {
        { CHOICE_UNSET, false, "" }, { CHOICE_AUTO, false, "\"mode\":\"AUTO\"" }, { CHOICE_NONE, false, "\"mode\":\"NONE\"" },
        { CHOICE_ANY, false, "\"mode\":\"ANY\"" },
        { CHOICE_ALLOWED, true, "\"mode\":\"ANY\",\"allowedFunctionNames\":[\"f\",\"g\"]" },
        { CHOICE_ALLOWED, false, "\"mode\":\"VALIDATED\",\"allowedFunctionNames\":[\"f\",\"g\"]" },
    };
    struct chat_tool list[] = { { .name = SPAN_LIT("f") }, { .name = SPAN_LIT("g") } };
    struct span names[] = { SPAN_LIT("f"), SPAN_LIT("g") };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct given g;
        char want[512];

        begin(&g);
        says(&g, ROLE_USER, "q");
        tools(&g, 2, list);
        g.chat.choice = table[i].choice;
        g.chat.choice_any = table[i].any;
        if (table[i].choice == CHOICE_ALLOWED) {
            g.chat.choice_names = names;
            g.chat.n_choice_names = 2;
        }
        snprintf(want, sizeof want, "{\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\"},{\"name\":\"g\"}]}]%s%s%s,"
                 "\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"q\"}]}]}",
                 table[i].mode[0] ? ",\"toolConfig\":{\"functionCallingConfig\":{" : "", table[i].mode,
                 table[i].mode[0] ? "}}" : "");
        assert_written(&g, &to_3, want, "");
        done(&g);
    }
}

static void parallel_calls_that_are_forbidden_are_cut_in_the_answer(void **state)
{
    struct chat_tool list[] = { { .name = SPAN_LIT("f"), .strict = TRI_YES } };
    struct given g;

    (void)state;
    begin(&g);
    says(&g, ROLE_USER, "q");
    tools(&g, 1, list);
    g.chat.parallel = TRI_NO;
    assert_written(&g, &to_3, "{\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\"}]}],"
                              "\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"q\"}]}]}",
                   "dropped=strict, changed=parallel_tool_calls");
    assert_true(g.out.one_call);
    done(&g);
}

/* ---- generationConfig ---- */

static void sampling_caps_and_stops_go_as_numbers_and_strings_stand(void **state)
{
    struct given g;
    struct target target = to_3;

    (void)state;
    begin(&g);
    says(&g, ROLE_USER, "q");
    g.chat.max_tokens = 50;
    g.chat.n = 2;
    g.chat.temperature_json = SPAN_LIT("1.50");
    g.chat.top_p_json = SPAN_LIT("0.9");
    g.chat.top_k_json = SPAN_LIT("40");
    g.chat.presence_json = SPAN_LIT("1");
    g.chat.frequency_json = SPAN_LIT("-1");
    g.chat.seed_json = SPAN_LIT("7");
    g.chat.stops_raw[0] = SPAN_LIT("\\n\\n");
    g.chat.n_stops = 1;
    g.chat.logprobs = true;
    g.chat.top_logprobs = 3;
    g.chat.service_tier = SPAN_LIT("flex");
#define CONFIG_TAIL ",\"candidateCount\":2,\"temperature\":1.50,\"topP\":0.9,\"topK\":40,\"presencePenalty\":1," \
    "\"frequencyPenalty\":-1,\"seed\":7,\"stopSequences\":[\"\\n\\n\"],\"responseLogprobs\":true,\"logprobs\":3},\"serviceTier\":\"flex\"}"
    assert_written(&g, &target, ASKED ",\"generationConfig\":{\"maxOutputTokens\":50" CONFIG_TAIL, "");
    target.output_cap = 30;
    assert_written(&g, &target, ASKED ",\"generationConfig\":{\"maxOutputTokens\":30" CONFIG_TAIL, "");
    target.output_cap = 60;
    assert_written(&g, &target, ASKED ",\"generationConfig\":{\"maxOutputTokens\":50" CONFIG_TAIL, "");
    done(&g);
}

static void what_a_model_does_not_take_is_dropped_with_a_note(void **state)
{
    static const struct traits bare = { .thinking = THINKING_NONE };
    const struct target target = { .traits = &bare, .family = FAMILY_GEMINI };
    struct given g;

    (void)state;
    begin(&g);
    says(&g, ROLE_USER, "q");
    g.chat.temperature_json = SPAN_LIT("1");
    g.chat.top_p_json = SPAN_LIT("1");
    g.chat.top_k_json = SPAN_LIT("1");
    g.chat.presence_json = SPAN_LIT("1");
    g.chat.frequency_json = SPAN_LIT("1");
    g.chat.seed_json = SPAN_LIT("9007199254740993");
    g.chat.logit_bias_json = SPAN_LIT("{}");
    g.chat.verbosity_raw = SPAN_LIT("low");
    g.chat.n_stops = 1;
    g.chat.stops_raw[0] = SPAN_LIT("x");
    g.chat.effort = EFFORT_HIGH;
    g.chat.service_tier = SPAN_LIT("scale");
    chat_add_foreign(&g.chat, &g.arena, SPAN_LIT("prediction"), FOREIGN_TUNES);
    chat_add_foreign(&g.chat, &g.arena, SPAN_LIT("store"), FOREIGN_SILENT);
    g.chat.user_raw = SPAN_LIT("u");
    g.chat.metadata_json = SPAN_LIT("{}");
    g.chat.cache_key_raw = SPAN_LIT("k");
    assert_written(&g, &target, ASKED "}",
                   "dropped=prediction, dropped=temperature, dropped=top_p, dropped=top_k, dropped=presence_penalty, "
                   "dropped=frequency_penalty, dropped=seed, dropped=logit_bias, dropped=verbosity, dropped=stop, "
                   "dropped=reasoning_effort, dropped=service_tier");
    done(&g);
}

static void formats_ask_for_json_and_schemas_go_verbatim(void **state)
{
    struct chat_tool list[] = { { .name = SPAN_LIT("f") } };
    struct given g;

    (void)state;
    begin(&g);
    says(&g, ROLE_USER, "q");
    g.chat.format = FORMAT_JSON;
    assert_written(&g, &to_25, ASKED ",\"generationConfig\":{\"responseMimeType\":\"application/json\"}}", "");
    g.chat.format = FORMAT_SCHEMA;
    g.chat.schema_json = SPAN_LIT("{\"type\": \"object\",\"additionalProperties\":false}");
    assert_written(&g, &to_25, ASKED ",\"generationConfig\":{\"responseMimeType\":\"application/json\",\"responseJsonSchema\":"
                                     "{\"type\": \"object\",\"additionalProperties\":false}}}", "");
    /* A model without schemas is told in words; one that takes none beside functions too. */
#define TOLD "{\"systemInstruction\":{\"parts\":[{\"text\":\"Answer with nothing but one JSON value that fits this JSON Schema:\\n" \
    "{\\\"type\\\": \\\"object\\\",\\\"additionalProperties\\\":false}\"}]},"
    assert_written(&g, &to_20, TOLD "\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"q\"}]}],"
                                    "\"generationConfig\":{\"responseMimeType\":\"application/json\"}}", "changed=response_format");
    tools(&g, 1, list);
    assert_written(&g, &to_25, TOLD "\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\"}]}],"
                                    "\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"q\"}]}]}", "changed=response_format");
    assert_written(&g, &to_3, "{\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\"}]}],"
                              "\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"q\"}]}],"
                              "\"generationConfig\":{\"responseMimeType\":\"application/json\",\"responseJsonSchema\":"
                              "{\"type\": \"object\",\"additionalProperties\":false}}}", "");
    done(&g);
}

/* wire/translation section 3, the two columns of G. */
static void efforts_become_a_level_or_a_budget_and_never_both(void **state)
{
    static const struct traits low_high = { .thinking = THINKING_LEVEL, .efforts = "low high" };
    static const struct traits flash = { .thinking = THINKING_BUDGET, .thinking_off = true, .budget_most = 24576 };
    const struct target pro_3 = { .traits = &low_high }, flash_25 = { .traits = &flash };
    const struct { enum effort effort; int64_t budget; const struct target *to; const char *config, *notes; } table[] = {
        { EFFORT_UNSET, 0, &to_3, NULL, "" },
        { EFFORT_OFF, 0, &to_3, "\"thinkingLevel\":\"MINIMAL\"", "changed=reasoning_effort" },
        { EFFORT_OFF, 0, &pro_3, "\"thinkingLevel\":\"LOW\"", "changed=reasoning_effort" },
        { EFFORT_MINIMAL, 0, &to_3, "\"thinkingLevel\":\"MINIMAL\"", "" },
        { EFFORT_MINIMAL, 0, &pro_3, "\"thinkingLevel\":\"LOW\"", "" },
        { EFFORT_LOW, 0, &to_3, "\"thinkingLevel\":\"LOW\"", "" },
        { EFFORT_MEDIUM, 0, &to_3, "\"thinkingLevel\":\"MEDIUM\"", "" },
        { EFFORT_MEDIUM, 0, &pro_3, "\"thinkingLevel\":\"HIGH\"", "" },
        { EFFORT_HIGH, 0, &to_3, "\"thinkingLevel\":\"HIGH\"", "" },
        { EFFORT_XHIGH, 0, &to_3, "\"thinkingLevel\":\"HIGH\"", "" },
        { EFFORT_MAX, 0, &to_3, "\"thinkingLevel\":\"HIGH\"", "" },
        { EFFORT_BUDGET, 1024, &to_3, "\"thinkingLevel\":\"LOW\"", "" },
        { EFFORT_BUDGET, 8192, &to_3, "\"thinkingLevel\":\"MEDIUM\"", "" },
        { EFFORT_BUDGET, 24576, &to_3, "\"thinkingLevel\":\"HIGH\"", "" },
        { EFFORT_DYNAMIC, 0, &to_3, NULL, "" },
        { EFFORT_OFF, 0, &to_25, "\"thinkingBudget\":128", "changed=reasoning_effort" },    /* 2.5 Pro cannot */
        { EFFORT_OFF, 0, &flash_25, "\"thinkingBudget\":0", "" },
        { EFFORT_MINIMAL, 0, &to_25, "\"thinkingBudget\":1024", "" },
        { EFFORT_LOW, 0, &to_25, "\"thinkingBudget\":1024", "" },
        { EFFORT_MEDIUM, 0, &to_25, "\"thinkingBudget\":8192", "" },
        { EFFORT_HIGH, 0, &to_25, "\"thinkingBudget\":24576", "" },
        { EFFORT_XHIGH, 0, &to_25, "\"thinkingBudget\":32768", "" },
        { EFFORT_MAX, 0, &flash_25, "\"thinkingBudget\":24576", "" },
        { EFFORT_BUDGET, 5000, &to_25, "\"thinkingBudget\":5000", "" },
        { EFFORT_BUDGET, 100, &to_25, "\"thinkingBudget\":128", "changed=reasoning_effort" },
        { EFFORT_BUDGET, 99999, &to_25, "\"thinkingBudget\":32768", "changed=reasoning_effort" },
        { EFFORT_DYNAMIC, 0, &to_25, "\"thinkingBudget\":-1", "" },
        { EFFORT_OFF, 0, &to_20, NULL, "" },
        { EFFORT_LOW, 0, &to_20, NULL, "dropped=reasoning_effort" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct given g;
        char want[256];

        begin(&g);
        says(&g, ROLE_USER, "q");
        g.chat.effort = table[i].effort;
        g.chat.budget = table[i].budget;
        snprintf(want, sizeof want, ASKED "%s%s%s}", table[i].config ? ",\"generationConfig\":{\"thinkingConfig\":{" : "",
                 table[i].config ? table[i].config : "", table[i].config ? "}}" : "");
        assert_written(&g, table[i].to, want, table[i].notes);
        done(&g);
    }
}

static void thoughts_are_included_when_they_are_asked_for(void **state)
{
    struct given g;

    (void)state;
    begin(&g);
    says(&g, ROLE_USER, "q");
    g.chat.show_reasoning = TRI_YES;
    assert_written(&g, &to_3, ASKED ",\"generationConfig\":{\"thinkingConfig\":{\"includeThoughts\":true}}}", "");
    assert_written(&g, &to_20, ASKED "}", "");
    g.chat.show_reasoning = TRI_UNSET;
    g.chat.effort = EFFORT_LOW;
    assert_written(&g, &to_3, ASKED ",\"generationConfig\":{\"thinkingConfig\":{\"thinkingLevel\":\"LOW\"}}}", "");
    g.chat.dialect = DIALECT_ANTHROPIC;    /* which shows its thinking unasked */
    assert_written(&g, &to_3,
                   ASKED ",\"generationConfig\":{\"thinkingConfig\":{\"includeThoughts\":true,\"thinkingLevel\":\"LOW\"}}}", "");
    done(&g);
}

/* ---- refusals ---- */

static void assert_refused(struct given *g, const struct target *target, const char *param)
{
    assert_false(write_to(g, target));
    assert_int_equal(g->fault.status, 400);
    assert_string_equal(g->fault.code, "unsupported_parameter");
    assert_string_equal(g->fault.param, param);
    done(g);
}

static void what_would_mean_something_else_is_refused(void **state)
{
    struct chat_tool server[] = { { .kind = TOOL_SERVER, .name = SPAN_LIT("web_search") } };
    struct given g;

    (void)state;
    begin(&g);
    says(&g, ROLE_USER, "q");
    chat_add_foreign(&g.chat, &g.arena, SPAN_LIT("previous_response_id"), FOREIGN_MEANS);
    assert_refused(&g, &to_3, "previous_response_id");
    begin(&g);
    says(&g, ROLE_USER, "q");
    g.chat.n = 9;
    assert_refused(&g, &to_3, "n");
    begin(&g);
    says(&g, ROLE_USER, "q");
    g.chat.n_stops = 6;
    assert_refused(&g, &to_3, "stop");
    begin(&g);
    says(&g, ROLE_USER, "q");
    g.chat.dialect = DIALECT_ANTHROPIC;
    g.chat.n_stops = 6;
    assert_refused(&g, &to_3, "stop_sequences");
    begin(&g);
    says(&g, ROLE_USER, "q");
    tools(&g, 1, server);
    assert_refused(&g, &to_3, "tools");
    begin(&g);
    says(&g, ROLE_USER, "q");
    more(&g, ITEM_FOREIGN)->json = SPAN_LIT("{}");
    assert_refused(&g, &to_3, "messages");
    begin(&g);
    says(&g, ROLE_USER, "q");
    shows(&g, ITEM_IMAGE, MEDIA_URL, NULL, "https://x/y.png");
    assert_refused(&g, &to_25, "messages[].content");
    begin(&g);
    says(&g, ROLE_USER, "q");
    shows(&g, ITEM_FILE, MEDIA_FILE_ID, NULL, "file-1");
    assert_refused(&g, &to_3, "messages[].content");
    begin(&g);
    says(&g, ROLE_USER, "q");
    shows(&g, ITEM_IMAGE, MEDIA_BYTES, NULL, "aGk=");
    assert_refused(&g, &to_3, "messages[].content");
    begin(&g);
    says(&g, ROLE_USER, "q");
    g.chat.dialect = DIALECT_RESPONSES;
    chat_add_part(&g.chat, answers(&g, "a", "f", NULL), &g.arena, ITEM_IMAGE)->media =
        (struct chat_media){ .source = MEDIA_URL, .data = SPAN_LIT("https://x") };
    assert_refused(&g, &to_25, "input[].content");
}

static void two_names_that_would_meet_are_refused_before_they_are_written(void **state)
{
    struct chat_tool list[] = { { .name = SPAN_LIT("9 lives") }, { .name = SPAN_LIT("f_9_lives_3a0c89df") } };
    struct given g;

    (void)state;
    begin(&g);
    says(&g, ROLE_USER, "q");
    tools(&g, 2, list);
    assert_false(gemini_dialect.takes(&g.chat, &to_3, &g.fault));
    assert_string_equal(g.fault.param, "tools");
    done(&g);
}

/* ---- passing ---- */

static void assert_passed(const char *body, int64_t cap, const char *want)
{
    struct given g;
    struct target target = to_3;
    struct span pieces[8];
    size_t n = 0;

    begin(&g);
    chat_init(&g.chat, DIALECT_GEMINI, scanned(body));
    g.out = (struct request_out){ .arena = &g.arena, .pieces = pieces, .fault = &g.fault };
    assert_true(gemini_dialect.parse(&g.chat, &(struct parse_spec){ .arena = &g.arena, .fault = &g.fault }));
    target.output_cap = cap;
    assert_true(gemini_dialect.pass_request(&g.chat, &target, &g.out));
    for (; n < g.out.n_pieces; n++)
        buf_add_span(&g.body, g.out.pieces[n]);
    assert_json(&g.body, want);
    done(&g);
}

static void a_callers_own_body_passes_but_for_its_cap(void **state)
{
#define Q "\"contents\":[{\"parts\":[{\"text\":\"q\"}]}]"
    static const struct { const char *body; int64_t cap; const char *want; } table[] = {
        { " { " Q " , \"unknown\":1 } ", 0, " { " Q " , \"unknown\":1 } " },
        { "{" Q "}", 10, "{" Q ",\"generationConfig\":{\"maxOutputTokens\":10}}" },
        { "{" Q ",\"generationConfig\":null}", 10, "{" Q ",\"generationConfig\":{\"maxOutputTokens\":10}}" },
        { "{" Q ",\"generationConfig\":{}}", 10, "{" Q ",\"generationConfig\":{\"maxOutputTokens\":10}}" },
        { "{\"generation_config\": { \"seed\":1}," Q "}", 10, "{\"generation_config\": {\"maxOutputTokens\":10, \"seed\":1}," Q "}" },
        { "{\"generationConfig\":{\"max_output_tokens\": \"50\"}," Q "}", 10, "{\"generationConfig\":{\"max_output_tokens\": 10}," Q "}" },
        { "{\"generationConfig\":{\"maxOutputTokens\":null}," Q "}", 10, "{\"generationConfig\":{\"maxOutputTokens\":10}," Q "}" },
        { "{\"generationConfig\":{\"maxOutputTokens\":5}," Q "}", 10, "{\"generationConfig\":{\"maxOutputTokens\":5}," Q "}" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        assert_passed(table[i].body, table[i].cap, table[i].want);
}

/* A history that another model has begun: its first call of a step must have a signature, and must not have two. The stand-in may
 * be the caller's, or ours from an earlier answer; null is as good as none, but the name is taken. */
static void a_call_has_one_signature_when_its_own_body_passes(void **state)
{
#define CALLED(more) "{\"contents\":[{\"parts\":[{\"text\":\"q\"}]},{\"role\":\"model\",\"parts\":[{" more "}]},{\"parts\":[{\"functionResponse\":{" \
                     "\"name\":\"f\",\"response\":{}}}]}]}"
#define CALL "\"functionCall\":{\"name\":\"f\",\"args\":{}}"
#define STANDS_IN "\"skip_thought_signature_validator\""

    (void)state;
    assert_passed(CALLED(CALL), 0, CALLED("\"thoughtSignature\":" STANDS_IN "," CALL));
    assert_passed(CALLED(CALL ",\"thoughtSignature\":\"c2ln\""), 0, CALLED(CALL ",\"thoughtSignature\":\"c2ln\""));
    assert_passed(CALLED(CALL ",\"thoughtSignature\":" STANDS_IN), 0, CALLED(CALL ",\"thoughtSignature\":" STANDS_IN));
    assert_passed(CALLED(CALL ",\"thought_signature\":null"), 0, CALLED(CALL ",\"thought_signature\":" STANDS_IN));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instructions_lead_and_later_ones_become_marked_user_text),
        cmocka_unit_test(neighbours_of_a_role_merge_and_empty_texts_go),
        cmocka_unit_test(the_first_content_is_the_users),
        cmocka_unit_test(media_goes_as_bytes_or_as_a_uri),
        cmocka_unit_test(the_first_foreign_call_of_the_current_turn_gets_the_constant_signature),
        cmocka_unit_test(every_step_of_the_current_turn_gets_it),
        cmocka_unit_test(signatures_of_the_family_come_back_in_their_parts),
        cmocka_unit_test(results_are_objects_whatever_they_were),
        cmocka_unit_test(texts_of_one_result_are_joined_and_its_pictures_stand_where_the_model_takes_them),
        cmocka_unit_test(arguments_that_are_no_object_are_wrapped),
        cmocka_unit_test(tools_go_with_their_schema_verbatim),
        cmocka_unit_test(choices_become_modes),
        cmocka_unit_test(parallel_calls_that_are_forbidden_are_cut_in_the_answer),
        cmocka_unit_test(sampling_caps_and_stops_go_as_numbers_and_strings_stand),
        cmocka_unit_test(what_a_model_does_not_take_is_dropped_with_a_note),
        cmocka_unit_test(formats_ask_for_json_and_schemas_go_verbatim),
        cmocka_unit_test(efforts_become_a_level_or_a_budget_and_never_both),
        cmocka_unit_test(thoughts_are_included_when_they_are_asked_for),
        cmocka_unit_test(what_would_mean_something_else_is_refused),
        cmocka_unit_test(two_names_that_would_meet_are_refused_before_they_are_written),
        cmocka_unit_test(a_callers_own_body_passes_but_for_its_cap),
        cmocka_unit_test(a_call_has_one_signature_when_its_own_body_passes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
