/* test_responses_body.c - what a host that speaks Responses is sent: written from other dialects' requests, and passed from
 * this one's with no byte changed but what must. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/dialects/effort.h"
#include "gateway/dialects/test_responses.h"

static const struct traits pro = { .thinking = THINKING_EFFORT, .efforts = "medium high xhigh", .schema = true,
                                   .forced_tools = true, .url_media = true, .responses_only = true };
static const struct traits talks = { .thinking = THINKING_NONE, .sampling = true, .penalties = true, .schema = true };

struct written {
    struct read r;
    struct buf body;
    struct request_out out;
    struct fault fault;
    bool taken, ok;
};

static struct target target_of(const struct traits *traits)
{
    return (struct target){ .model = SPAN_LIT("gpt-5.5-pro"), .traits = traits, .family = FAMILY_OPENAI, .max_output = 1000 };
}

static void write_for(struct written *w, const struct target *t)
{
    buf_init(&w->body, 8u << 20);
    w->fault = (struct fault){ 0 };
    w->out = (struct request_out){ .arena = &w->r.arena, .body = &w->body, .fault = &w->fault };
    w->taken = responses_dialect.takes(&w->r.chat, t, &w->fault);
    w->ok = w->taken && responses_dialect.write_request(&w->r.chat, t, &w->out);
}

static void from_chat(struct written *w, const char *body, const struct traits *traits)
{
    const struct target t = target_of(traits);

    read_as(&w->r, &openai_dialect, span_str(body));
    if (!w->r.ok)
        print_error("%s: %s\n", body, w->r.fault.message);
    assert_true(w->r.ok);
    write_for(w, &t);
}

static void written_done(struct written *w)
{
    buf_free(&w->body);
    read_done(&w->r);
}

#define MODEL "{\"model\":\"gpt-5.5-pro\","
#define END "\"include\":[\"reasoning.encrypted_content\"],\"store\":false}"
#define HI "\"input\":[{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"Hi\"}]}],"
#define ASK "\"model\":\"x\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]"

/* One row for each row of the tables of wire/translation that C and R share. */
static void chat_requests_are_written(void **state)
{
    static const struct { const char *chat, *responses, *notes; } table[] = {
        { "{" ASK "}", MODEL HI END, "" },
        { "{" ASK ",\"stream\":true,\"stream_options\":{\"include_usage\":true}}",
          MODEL HI "\"include\":[\"reasoning.encrypted_content\"],\"store\":false,\"stream\":true}", "" },
        /* instructions: the first, if it is one text; later ones keep their place and role */
        { "{\"model\":\"x\",\"messages\":[{\"role\":\"system\",\"content\":\"Be \\\"brief\\\"\"},{\"role\":\"user\",\"content\":\"Hi\"},"
          "{\"role\":\"developer\",\"content\":\"Now\"},{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"Go\"}]}]}",
          MODEL "\"instructions\":\"Be \\\"brief\\\"\",\"input\":[{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":"
          "\"input_text\",\"text\":\"Hi\"}]},{\"type\":\"message\",\"role\":\"developer\",\"content\":[{\"type\":\"input_text\","
          "\"text\":\"Now\"}]},{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"Go\"}]}]," END,
          "" },
        { "{\"model\":\"x\",\"messages\":[{\"role\":\"system\",\"content\":\"Only this\"}]}",
          MODEL "\"input\":[{\"type\":\"message\",\"role\":\"system\",\"content\":[{\"type\":\"input_text\",\"text\":\"Only this\"}]}],"
          END, "" },
        { "{\"model\":\"x\",\"messages\":[{\"role\":\"user\",\"name\":\"ann\",\"content\":\"Hi\"}]}", MODEL HI END, "dropped=name" },
        /* media */
        { "{\"model\":\"x\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":"
          "\"https://h/a.png\",\"detail\":\"low\"}},{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,QUJD\"}},"
          "{\"type\":\"file\",\"file\":{\"filename\":\"a.pdf\",\"file_data\":\"data:application/pdf;base64,QUJD\"}},"
          "{\"type\":\"file\",\"file\":{\"file_id\":\"file-1\"}}]}]}",
          MODEL "\"input\":[{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":\"input_image\",\"image_url\":"
          "\"https://h/a.png\",\"detail\":\"low\"},{\"type\":\"input_image\",\"image_url\":\"data:image/png;base64,QUJD\"},"
          "{\"type\":\"input_file\",\"filename\":\"a.pdf\",\"file_data\":\"data:application/pdf;base64,QUJD\"},"
          "{\"type\":\"input_file\",\"file_id\":\"file-1\"}]}]," END, "" },
        /* a tool loop: text, calls, results; big numbers stay as they are */
        { "{\"model\":\"x\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":\"assistant\",\"content\":\"Wait\","
          "\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"get\",\"arguments\":"
          "\"{\\\"n\\\":9007199254740993}\"}},{\"id\":\"c2\",\"type\":\"function\",\"function\":{\"name\":\"now\",\"arguments\":\"\"}}]},"
          "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"7\"},{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":["
          "{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]}]}",
          MODEL "\"input\":[{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"Hi\"}]},"
          "{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"Wait\"}]},"
          "{\"type\":\"function_call\",\"call_id\":\"c1\",\"name\":\"get\",\"arguments\":\"{\\\"n\\\":9007199254740993}\"},"
          "{\"type\":\"function_call\",\"call_id\":\"c2\",\"name\":\"now\",\"arguments\":\"{}\"},"
          "{\"type\":\"function_call_output\",\"call_id\":\"c1\",\"output\":\"7\"},"
          "{\"type\":\"function_call_output\",\"call_id\":\"c2\",\"output\":\"a\\n\\nb\"}]," END, "" },
        { "{\"model\":\"x\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":\"assistant\",\"content\":null,"
          "\"refusal\":\"No\"},{\"role\":\"user\",\"content\":\"Hi\"}]}",
          MODEL "\"input\":[{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"Hi\"}]},"
          "{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"refusal\",\"refusal\":\"No\"}]},"
          "{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"Hi\"}]}]," END, "" },
        /* strict: left out in Chat means false, here true */
        { "{" ASK ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"get\",\"description\":\"d\",\"parameters\":{\"a\":1}}},"
          "{\"type\":\"function\",\"function\":{\"name\":\"now\",\"strict\":true}}],\"parallel_tool_calls\":false}",
          MODEL HI "\"tools\":[{\"type\":\"function\",\"name\":\"get\",\"description\":\"d\",\"parameters\":{\"a\":1},\"strict\":false},"
          "{\"type\":\"function\",\"name\":\"now\",\"parameters\":{\"type\":\"object\",\"properties\":{}},\"strict\":true}],"
          "\"parallel_tool_calls\":false," END, "" },
        { "{" ASK ",\"tools\":[{\"type\":\"custom\",\"custom\":{\"name\":\"p\",\"format\":{\"type\":\"grammar\",\"grammar\":{"
          "\"syntax\":\"lark\",\"definition\":\"x\"}}}}],\"tool_choice\":{\"type\":\"custom\",\"custom\":{\"name\":\"p\"}}}",
          MODEL HI "\"tools\":[{\"type\":\"custom\",\"name\":\"p\",\"format\":{\"type\":\"grammar\",\"syntax\":\"lark\","
          "\"definition\":\"x\"}}],\"tool_choice\":{\"type\":\"custom\",\"name\":\"p\"}," END, "" },
        { "{" ASK ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"tool_choice\":{\"type\":\"allowed_tools\","
          "\"allowed_tools\":{\"mode\":\"required\",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]}}}",
          MODEL HI "\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":{}},\"strict\":"
          "false}],\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"required\",\"tools\":[{\"type\":\"function\",\"name\":\"f\"}]},"
          END, "" },
        { "{" ASK ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"schema\":{\"a\":1},\"strict\":true,"
          "\"description\":\"d\"}},\"verbosity\":\"low\"}",
          MODEL HI "\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\",\"description\":\"d\",\"schema\":{\"a\":1},\"strict\":true},"
          "\"verbosity\":\"low\"}," END, "" },
        { "{" ASK ",\"response_format\":{\"type\":\"json_object\"}}", MODEL HI "\"text\":{\"format\":{\"type\":\"json_object\"}}," END,
          "" },
        /* effort: the nearest that the model knows */
        { "{" ASK ",\"reasoning_effort\":\"high\"}", MODEL HI "\"reasoning\":{\"effort\":\"high\"}," END, "" },
        { "{" ASK ",\"reasoning_effort\":\"low\"}", MODEL HI "\"reasoning\":{\"effort\":\"medium\"}," END,
          "changed=reasoning_effort" },
        /* drop+W */
        { "{" ASK ",\"temperature\":0.5,\"top_p\":0.9,\"presence_penalty\":1,\"frequency_penalty\":1,\"seed\":7,\"logit_bias\":{"
          "\"5\":1}}", MODEL HI END,
          "dropped=temperature, dropped=top_p, dropped=presence_penalty, dropped=frequency_penalty, dropped=seed, "
          "dropped=logit_bias" },
        { "{" ASK ",\"max_tokens\":100,\"user\":\"u\",\"metadata\":{\"a\":\"b\"},\"service_tier\":\"flex\",\"prompt_cache_key\":\"k\"}",
          MODEL HI "\"max_output_tokens\":100,\"include\":[\"reasoning.encrypted_content\"],\"metadata\":{\"a\":\"b\"},"
          "\"safety_identifier\":\"u\",\"service_tier\":\"flex\",\"prompt_cache_key\":\"k\",\"store\":false}", "" },
        { "{" ASK ",\"service_tier\":\"standard_only\"}",
          MODEL HI "\"include\":[\"reasoning.encrypted_content\"],\"service_tier\":\"default\",\"store\":false}", "" },
        { "{" ASK ",\"service_tier\":\"gold\"}", MODEL HI END, "dropped=service_tier" },
        /* longer than OpenAI takes an end user's id */
        { "{" ASK ",\"user\":\"0123456789012345678901234567890123456789012345678901234567890123x\"}", MODEL HI END, "dropped=user" },
        { "{" ASK ",\"logprobs\":true,\"top_logprobs\":2}",
          MODEL HI "\"top_logprobs\":2,\"include\":[\"reasoning.encrypted_content\",\"message.output_text.logprobs\"],\"store\":false}",
          "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct written w;

        from_chat(&w, table[i].chat, &pro);
        if (!w.ok)
            print_error("%s: %s\n", table[i].chat, w.fault.message);
        assert_true(w.ok);
        assert_string_equal(w.body.p, table[i].responses);
        assert_true(is_json(buf_span(&w.body)));
        assert_string_equal(w.out.notes.text, table[i].notes);
        written_done(&w);
    }
}

static void a_model_that_does_not_think_is_told_nothing_of_it(void **state)
{
    struct written w;

    (void)state;
    from_chat(&w, "{" ASK ",\"temperature\":0.5,\"reasoning_effort\":\"high\"}", &talks);
    assert_true(w.ok);
    assert_string_equal(w.body.p, MODEL HI "\"temperature\":0.5,\"store\":false}");
    assert_string_equal(w.out.notes.text, "dropped=reasoning_effort");
    written_done(&w);
}

/* Rows that say 400, and the dialect named in each. */
static void a_cap_below_the_floor_of_its_hosts_is_raised_and_said(void **state)
{
    struct written w;

    (void)state;
    from_chat(&w, "{" ASK ",\"max_tokens\":1}", &pro);
    assert_true(w.taken && w.ok);
    assert_non_null(strstr(buf_span(&w.body).p, "\"max_output_tokens\":16"));
    assert_non_null(strstr(w.out.notes.text, "changed=max_completion_tokens"));
    written_done(&w);
}

static void what_would_mean_something_else_is_refused(void **state)
{
    static const struct { const char *chat, *param; } table[] = {
        { "{" ASK ",\"n\":2}", "n" },
        { "{" ASK ",\"stop\":\"x\"}", "stop" },
        { "{\"model\":\"x\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":\"assistant\",\"content\":\"I beg\"}]}",
          "messages" },
        { "{\"model\":\"x\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"QUJD\","
          "\"format\":\"wav\"}}]}]}", "messages" },
        { "{" ASK ",\"web_search_options\":{}}", "web_search_options" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct written w;

        from_chat(&w, table[i].chat, &pro);
        if (w.taken)
            print_error("%s was taken\n", table[i].chat);
        assert_false(w.taken);
        assert_int_equal(w.fault.status, 400);
        assert_string_equal(w.fault.code, "unsupported_parameter");
        assert_string_equal(w.fault.param, table[i].param);
        assert_non_null(strstr(w.fault.message, "OpenAI Responses"));
        written_done(&w);
    }
}

static void pictures_by_url_go_to_models_that_take_them_alone(void **state)
{
    struct written w;

    (void)state;
    from_chat(&w, "{\"model\":\"x\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":"
                  "\"https://10.0.0.1/a.png\"}}]}]}", &talks);
    assert_false(w.taken);
    written_done(&w);
}

static void a_policys_cap_holds_where_the_caller_has_none(void **state)
{
    static const struct { const char *chat; int64_t cap; const char *written; } table[] = {
        { "{" ASK "}", 50, "\"max_output_tokens\":50," },
        { "{" ASK ",\"max_tokens\":40}", 50, "\"max_output_tokens\":40," },
        { "{" ASK ",\"max_tokens\":60}", 50, "\"max_output_tokens\":50," },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct target t = target_of(&pro);
        struct written w;

        t.output_cap = table[i].cap;
        read_as(&w.r, &openai_dialect, span_str(table[i].chat));
        write_for(&w, &t);
        assert_true(w.ok);
        assert_non_null(strstr(w.body.p, table[i].written));
        written_done(&w);
    }
}

/* A request in the neutral form that no Chat body makes: Anthropic's and Gemini's members, built by hand. */
static void what_other_dialects_can_say_is_written_too(void **state)
{
    struct target t = target_of(&pro);
    struct chat_turn *turn;
    struct chat_item *item, *part;
    struct written w;
    struct chat *c = &w.r.chat;

    (void)state;
    arena_init(&w.r.arena, 1u << 20);
    buf_init(&w.r.texts, 1);
    chat_init(c, DIALECT_ANTHROPIC, SPAN_LIT("{}"));
    turn = chat_add_turn(c, &w.r.arena, ROLE_USER);
    item = chat_add_item(c, turn, &w.r.arena, ITEM_FILE);
    item->media = (struct chat_media){ .source = MEDIA_TEXT, .type = SPAN_LIT("text/plain"), .data = SPAN_LIT("as text") };
    item = chat_add_item(c, turn, &w.r.arena, ITEM_FILE);
    item->media = (struct chat_media){ .source = MEDIA_BYTES, .data = SPAN_LIT("QUJD") };
    turn = chat_add_turn(c, &w.r.arena, ROLE_ASSISTANT);
    item = chat_add_item(c, turn, &w.r.arena, ITEM_REASONING);    /* Claude's: nothing to OpenAI */
    item->text = SPAN_LIT("hmm");
    item->opaque_raw = SPAN_LIT("sig");
    item->family = FAMILY_ANTHROPIC;
    item = chat_add_item(c, turn, &w.r.arena, ITEM_REASONING);    /* OpenAI's own: kept for it by the gateway */
    item->opaque_raw = SPAN_LIT("gAAA");
    item->family = FAMILY_OPENAI;
    item = chat_add_item(c, turn, &w.r.arena, ITEM_CALL);
    item->call = (struct chat_call){ .id = SPAN_LIT("toolu_1"), .name = SPAN_LIT("a.b"),
                                     .arguments_json = SPAN_LIT("{\"q\": \"x\"}") };
    turn = chat_add_turn(c, &w.r.arena, ROLE_USER);
    item = chat_add_item(c, turn, &w.r.arena, ITEM_RESULT);
    item->result.id = SPAN_LIT("toolu_1");
    item->result.is_error = true;
    part = chat_add_part(c, item, &w.r.arena, ITEM_TEXT);
    part->text = SPAN_LIT("no");
    c->effort = EFFORT_BUDGET;
    c->budget = 16384;
    c->show_reasoning = TRI_YES;
    c->top_k_json = SPAN_LIT("5");
    write_for(&w, &t);
    assert_true(w.ok);
    assert_string_equal(w.body.p,
        MODEL "\"input\":[{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"as text\"},"
        "{\"type\":\"input_file\",\"filename\":\"document.pdf\",\"file_data\":\"data:application/pdf;base64,QUJD\"}]},"
        "{\"type\":\"reasoning\",\"summary\":[],\"encrypted_content\":\"gAAA\"},"
        "{\"type\":\"function_call\",\"call_id\":\"toolu_1\",\"name\":\"f_a_b_108bf50c\",\"arguments\":\"{\\\"q\\\": \\\"x\\\"}\"},"
        "{\"type\":\"function_call_output\",\"call_id\":\"toolu_1\",\"output\":\"Error: no\"}],"
        "\"reasoning\":{\"effort\":\"high\",\"summary\":\"auto\"}," END);
    assert_string_equal(w.out.notes.text, "dropped=top_k");
    assert_true(span_is(names_back(&w.out.names, w.out.names.list[0].theirs), "a.b"));
    buf_free(&w.body);
    /* a host of another family that speaks the dialect cannot read it, and is not asked for its own */
    t.family = FAMILY_NONE;
    write_for(&w, &t);
    assert_null(strstr(w.body.p, "gAAA"));
    assert_null(strstr(w.body.p, "include"));
    buf_free(&w.body);
    t.family = FAMILY_OPENAI;
    /* a picture in the result makes a list of it */
    part = chat_add_part(c, item, &w.r.arena, ITEM_IMAGE);
    part->media = (struct chat_media){ .source = MEDIA_BYTES, .type = SPAN_LIT("image/png"), .data = SPAN_LIT("QUJD") };
    write_for(&w, &t);
    assert_non_null(strstr(w.body.p, "\"output\":[{\"type\":\"input_text\",\"text\":\"Error: \"},{\"type\":\"input_text\",\"text\":\"no\"},"
                                     "{\"type\":\"input_image\",\"image_url\":\"data:image/png;base64,QUJD\"}]"));
    buf_free(&w.body);
    /* Gemini's own form of a result stays JSON */
    item->result.parts = item->result.last_part = NULL;
    item->result.object_json = SPAN_LIT("{\"a\":1}");
    write_for(&w, &t);
    assert_non_null(strstr(w.body.p, "\"output\":\"{\\\"a\\\":1}\""));
    buf_free(&w.body);
    /* a file of Anthropic's is no file of OpenAI's */
    c->turns->items->media = (struct chat_media){ .source = MEDIA_FILE_ID, .data = SPAN_LIT("file_1") };
    write_for(&w, &t);
    assert_false(w.taken);
    written_done(&w);
}

/* The other way round: Chat's form of what Responses has flat. */
static void a_grammar_is_nested_for_chat(void **state)
{
    static const char flat[] = "{\"model\":\"m\",\"input\":\"Hi\",\"tools\":[{\"type\":\"custom\",\"name\":\"p\",\"format\":{\"type\":"
                               "\"grammar\",\"syntax\":\"lark\",\"definition\":\"x\"}},{\"type\":\"custom\",\"name\":\"q\",\"format\":"
                               "{\"type\":\"text\"}}]}";
    const struct quirks openai = { .family = FAMILY_OPENAI };
    struct target t = target_of(&talks);
    struct written w;

    (void)state;
    t.quirks = &openai;
    read_body(&w.r, flat);
    buf_init(&w.body, 65536);
    w.out = (struct request_out){ .arena = &w.r.arena, .body = &w.body, .fault = &w.fault };
    assert_true(openai_dialect.write_request(&w.r.chat, &t, &w.out));
    assert_non_null(strstr(w.body.p, "{\"type\":\"custom\",\"custom\":{\"name\":\"p\",\"format\":{\"type\":\"grammar\",\"grammar\":{"
                                     "\"syntax\":\"lark\",\"definition\":\"x\"}}}}"));
    assert_non_null(strstr(w.body.p, "\"name\":\"q\",\"format\":{\"type\":\"text\"}"));
    written_done(&w);
}

static void effort_goes_to_the_nearest_word(void **state)
{
    static const struct { enum effort effort; int64_t budget; const char *words, *word; bool changed; } table[] = {
        { EFFORT_UNSET, 0, "low medium high", NULL, false },
        { EFFORT_DYNAMIC, 0, "low medium high", NULL, false },
        { EFFORT_OFF, 0, "none low medium", "none", false },
        { EFFORT_OFF, 0, "minimal low medium", "minimal", true },
        { EFFORT_MINIMAL, 0, "none low medium high", "low", true },
        { EFFORT_MAX, 0, "low medium high", "high", true },
        { EFFORT_XHIGH, 0, "low medium high max", "max", true },
        { EFFORT_BUDGET, 0, "none low", "none", false },
        { EFFORT_BUDGET, 1024, "low medium high xhigh", "low", false },
        { EFFORT_BUDGET, 8192, "low medium high xhigh", "medium", false },
        { EFFORT_BUDGET, 16384, "low medium high xhigh", "high", false },
        { EFFORT_BUDGET, 32768, "low medium high xhigh", "xhigh", false },
        { EFFORT_BUDGET, 32768, "low", "low", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const struct chat c = { .effort = table[i].effort, .budget = table[i].budget };
        bool changed;
        const struct span word = effort_word(&c, table[i].words, &changed);

        assert_true(table[i].word ? span_is(word, table[i].word) : !word.p);
        assert_true(changed == table[i].changed);
    }
}

/* ---- the same dialect on both sides ---- */

static void assert_passes(const char *body, int64_t cap, const char *expected)
{
    struct target t = target_of(&pro);
    struct written w;

    t.output_cap = cap;
    read_body(&w.r, body);
    assert_true(w.r.ok);
    buf_init(&w.body, 1u << 20);
    w.fault = (struct fault){ 0 };
    w.out = (struct request_out){ .arena = &w.r.arena, .fault = &w.fault };
    assert_true(responses_dialect.pass_request(&w.r.chat, &t, &w.out));
    for (size_t i = 0; i < w.out.n_pieces; i++)
        buf_add_span(&w.body, w.out.pieces[i]);
    assert_string_equal(w.body.p, expected);
    written_done(&w);
}

static void reasoning_that_we_wrote_does_not_go_to_its_hosts(void **state)
{
#define OURS "{\"type\":\"reasoning\",\"id\":\"rs_01m87src10es0awrvtesm7qx55_0\",\"summary\":[]}"
#define THEIRS "{\"type\":\"reasoning\",\"id\":\"rs_68a1b2\",\"summary\":[],\"encrypted_content\":\"x\"}"
#define REFERENCE "{\"type\":\"item_reference\",\"id\":\"rs_01m87src10es0awrvtesm7qx55_12\"}"    /* as the AI SDK sends it */
#define USER "{\"role\":\"user\",\"content\":\"Hi\"}"
    static const struct { const char *input, *passed; } table[] = {
        { "[" USER "," OURS "," USER "]", "[" USER "," USER "]" }, { "[" OURS "," USER "]", "[" USER "]" },
        { "[" USER " , " OURS " , " OURS " ]", "[" USER " ]" }, { "[" USER "," THEIRS "]", "[" USER "," THEIRS "]" },
        { "[" USER "," REFERENCE "," USER "]", "[" USER "," USER "]" },
        { "[{\"type\":\"item_reference\",\"id\":\"rs_68a1b2\"}]", "[{\"type\":\"item_reference\",\"id\":\"rs_68a1b2\"}]" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char text[1024], want[1024];

        snprintf(text, sizeof text, "{\"model\":\"m\",\"input\":%s}", table[i].input);
        snprintf(want, sizeof want, "{\"model\":\"gpt-5.5-pro\",\"input\":%s}", table[i].passed);
        assert_passes(text, 0, want);
    }
}

static void a_body_passes_with_model_and_cap_changed_alone(void **state)
{
    (void)state;
    assert_passes(" { \"input\" : \"Hi\", \"seed_\":9007199254740993, \"model\" : \"a\\u0075to\",\"new\":{\"x\":[1.0]} } ", 0,
                  " { \"input\" : \"Hi\", \"seed_\":9007199254740993, \"model\" : \"gpt-5.5-pro\",\"new\":{\"x\":[1.0]} } ");
    assert_passes("{\"model\":\"m\",\"input\":\"Hi\",\"previous_response_id\":\"resp_1\"}", 50,
                  "{\"model\":\"gpt-5.5-pro\",\"input\":\"Hi\",\"previous_response_id\":\"resp_1\",\"max_output_tokens\":50}");
    assert_passes("{\"model\":\"m\",\"max_output_tokens\":60,\"input\":\"Hi\"}", 50,
                  "{\"model\":\"gpt-5.5-pro\",\"max_output_tokens\":50,\"input\":\"Hi\"}");
    assert_passes("{\"model\":\"m\",\"max_output_tokens\":null,\"input\":\"Hi\"}", 50,
                  "{\"model\":\"gpt-5.5-pro\",\"max_output_tokens\":50,\"input\":\"Hi\"}");
    assert_passes("{\"model\":\"m\",\"max_output_tokens\":40,\"input\":\"Hi\"}", 50,
                  "{\"model\":\"gpt-5.5-pro\",\"max_output_tokens\":40,\"input\":\"Hi\"}");
}

static void a_full_arena_is_503_when_writing(void **state)
{
    static const char body[] = "{" ASK ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"a.b\"}}]}";
    const struct target t = target_of(&pro);
    bool seen = false;

    (void)state;
    for (size_t cap = 0; cap < 30000; cap += 16) {
        struct written w;

        buf_init(&w.body, 65536);
        w.fault = w.r.fault = (struct fault){ 0 };
        arena_init(&w.r.arena, cap);
        chat_init(&w.r.chat, DIALECT_CHAT, span_str(body));
        w.out = (struct request_out){ .arena = &w.r.arena, .body = &w.body, .fault = &w.fault };
        if (openai_dialect.parse(&w.r.chat, &(struct parse_spec){ .arena = &w.r.arena, .fault = &w.r.fault }) &&
            !responses_dialect.write_request(&w.r.chat, &t, &w.out)) {
            assert_int_equal(w.fault.status, 503);
            seen = true;
        }
        arena_free(&w.r.arena);
        buf_free(&w.body);
    }
    assert_true(seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chat_requests_are_written),
        cmocka_unit_test(a_model_that_does_not_think_is_told_nothing_of_it),
        cmocka_unit_test(what_would_mean_something_else_is_refused),
        cmocka_unit_test(a_cap_below_the_floor_of_its_hosts_is_raised_and_said),
        cmocka_unit_test(reasoning_that_we_wrote_does_not_go_to_its_hosts),
        cmocka_unit_test(pictures_by_url_go_to_models_that_take_them_alone),
        cmocka_unit_test(a_policys_cap_holds_where_the_caller_has_none),
        cmocka_unit_test(what_other_dialects_can_say_is_written_too),
        cmocka_unit_test(a_grammar_is_nested_for_chat),
        cmocka_unit_test(effort_goes_to_the_nearest_word),
        cmocka_unit_test(a_body_passes_with_model_and_cap_changed_alone),
        cmocka_unit_test(a_full_arena_is_503_when_writing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
