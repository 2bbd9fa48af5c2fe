/* test_anthropic_request.c - a caller's Messages request is read whole, and each mistake is named in its own words. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/dialects/test_anthropic.h"

#define WITH(more) "{\"model\":\"m\",\"max_tokens\":100,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]" more "}"
#define SAYS(messages) "{\"model\":\"m\",\"max_tokens\":100,\"messages\":[" messages "]}"
#define CALL "{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\",\"input\":{}}]}"
#define RESULT "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t1\",\"content\":\"r\"}]}"
#define BLOCK(block) SAYS("{\"role\":\"user\",\"content\":[" block "]}")

static struct bed parsed(const char *json)
{
    struct bed b;

    if (!bed_parse(&b, &anthropic_dialect, json, NULL, NULL))
        fail_msg("%s in %s", b.fault.message, json);
    return b;
}

static const struct chat_item *item_at(const struct chat *c, size_t turn, size_t item)
{
    const struct chat_turn *t = c->turns;
    const struct chat_item *i;

    while (turn-- > 0)
        t = t->next;
    for (i = t->items; item > 0; item--)
        i = i->next;
    return i;
}

/* ---- what is read ---- */

static void system_prompts_come_first_wherever_they_stand(void **state)
{
    struct bed b = parsed("{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"max_tokens\":9,\"model\":\"m\\u0061\","
                          "\"system\":[{\"type\":\"text\",\"text\":\"a\",\"cache_control\":{\"type\":\"ephemeral\"}},"
                          "{\"type\":\"text\",\"text\":\"b\",\"cache_control\":{\"type\":\"ephemeral\",\"ttl\":\"1h\"}}]}");

    (void)state;
    assert_span(b.chat.model, "ma");
    assert_int_equal(b.chat.max_tokens, 9);
    assert_int_equal(b.chat.turns->role, ROLE_SYSTEM);
    assert_span(item_at(&b.chat, 0, 0)->text, "a");
    assert_int_equal(item_at(&b.chat, 0, 0)->cache, CACHE_5M);
    assert_int_equal(item_at(&b.chat, 0, 1)->cache, CACHE_1H);
    assert_int_equal(b.chat.turns->next->role, ROLE_USER);
    assert_true(b.chat.cache_5m && b.chat.cache_1h);
    assert_int_equal(b.chat.n_user_turns, 1);
    assert_int_equal(b.chat.text_bytes, 4);
    bed_free(&b);
}

static void a_tool_loop_becomes_calls_and_results(void **state)
{
    struct bed b = parsed(SAYS("{\"role\":\"user\",\"content\":\"go\"},"
        "{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"h\\nm\",\"signature\":\"sig\"},"
        "{\"type\":\"redacted_thinking\",\"data\":\"xx\"},{\"type\":\"text\",\"text\":\"ok\"},"
        "{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\",\"input\":{\"n\":9007199254740993}},"
        "{\"type\":\"tool_use\",\"id\":\"t2\",\"name\":\"g\",\"input\":{}}]},"
        /* parallel results split over two user messages */
        "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t2\",\"is_error\":true}]},"
        "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t1\",\"content\":[{\"type\":\"text\",\"text\":\"r\"},"
        "{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":\"aGk=\"}}]},"
        "{\"type\":\"text\",\"text\":\"more\"}]}"));
    const struct chat_item *i;

    (void)state;
    i = item_at(&b.chat, 1, 0);
    assert_int_equal(i->kind, ITEM_REASONING);
    assert_span(i->text, "h\\nm");
    assert_span(i->opaque_raw, "sig");
    assert_int_equal(i->family, FAMILY_ANTHROPIC);
    i = item_at(&b.chat, 1, 1);
    assert_true(i->redacted);
    assert_span(i->opaque_raw, "xx");
    i = item_at(&b.chat, 1, 3);
    assert_span(i->call.id, "t1");
    assert_span(i->call.arguments_json, "{\"n\":9007199254740993}");    /* 2^53 + 1, as written */
    i = item_at(&b.chat, 2, 0);
    assert_true(i->result.is_error);
    assert_null(i->result.parts);
    assert_span(i->result.name, "g");
    i = item_at(&b.chat, 3, 0);
    assert_span(i->result.parts->text, "r");
    assert_int_equal(i->result.parts->next->kind, ITEM_IMAGE);
    assert_span(i->result.parts->next->media.data, "aGk=");
    assert_int_equal(b.chat.n_images, 1);
    bed_free(&b);
}

static void an_unsigned_thought_has_no_family(void **state)
{
    struct bed b = parsed(SAYS("{\"role\":\"user\",\"content\":\"go\"},{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\","
                               "\"thinking\":\"hm\",\"signature\":\"\"},{\"type\":\"text\",\"text\":\"ok\"}]},"
                               "{\"role\":\"user\",\"content\":\"on\"}"));

    (void)state;
    assert_int_equal(item_at(&b.chat, 1, 0)->family, FAMILY_NONE);
    assert_null(item_at(&b.chat, 1, 0)->opaque_raw.p);
    bed_free(&b);
}

static void media_come_from_every_source(void **state)
{
    struct bed b = parsed(BLOCK(
        "{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"https://x/y.png\"}},"
        "{\"type\":\"image\",\"source\":{\"type\":\"file\",\"file_id\":\"file_1\"}},"
        "{\"type\":\"document\",\"title\":\"T\",\"source\":{\"type\":\"base64\",\"media_type\":\"application/pdf\",\"data\":\"aGk=\"}},"
        "{\"type\":\"document\",\"source\":{\"type\":\"text\",\"media_type\":\"text/plain\",\"data\":\"words\"}},"
        "{\"type\":\"document\",\"source\":{\"type\":\"url\",\"url\":\"https://x/y.pdf\"}},"
        "{\"type\":\"document\",\"source\":{\"type\":\"content\",\"content\":[{\"type\":\"text\",\"text\":\"inner\"}]}},"
        "{\"type\":\"document\",\"source\":{\"type\":\"content\",\"content\":\"short\"},\"context\":\"c\",\"citations\":{\"enabled\":true}}"));

    (void)state;
    assert_int_equal(item_at(&b.chat, 0, 0)->media.source, MEDIA_URL);
    assert_span(item_at(&b.chat, 0, 0)->media.data, "https://x/y.png");
    assert_int_equal(item_at(&b.chat, 0, 1)->media.source, MEDIA_FILE_ID);
    assert_int_equal(item_at(&b.chat, 0, 2)->kind, ITEM_FILE);
    assert_span(item_at(&b.chat, 0, 2)->media.name_raw, "T");
    assert_span(item_at(&b.chat, 0, 2)->media.type, "application/pdf");
    assert_int_equal(item_at(&b.chat, 0, 3)->media.source, MEDIA_TEXT);
    assert_span(item_at(&b.chat, 0, 3)->media.data, "words");
    assert_int_equal(item_at(&b.chat, 0, 4)->media.source, MEDIA_URL);
    assert_span(item_at(&b.chat, 0, 5)->text, "inner");
    assert_span(item_at(&b.chat, 0, 6)->text, "short");
    assert_int_equal(b.chat.n_images, 2);
    assert_int_equal(b.chat.n_files, 3);
    assert_true(b.chat.unbounded);
    assert_span(b.chat.foreign->name, "document.context");
    assert_span(b.chat.foreign->next->name, "document.citations");
    bed_free(&b);
}

static void tools_and_their_choice_are_read(void **state)
{
    struct bed b = parsed(WITH(",\"tools\":[{\"name\":\"f\",\"description\":\"d\",\"input_schema\":{\"type\":\"object\"},\"strict\":true,"
                               "\"cache_control\":{\"type\":\"ephemeral\"}},{\"type\":\"custom\",\"name\":\"g\",\"input_schema\":{}},"
                               "{\"type\":\"web_search_20250305\",\"name\":\"web_search\",\"max_uses\":3}],"
                               "\"tool_choice\":{\"type\":\"tool\",\"name\":\"f\",\"disable_parallel_tool_use\":true}"));

    (void)state;
    assert_int_equal(b.chat.n_tools, 3);
    assert_span(b.chat.tools[0].name, "f");
    assert_span(b.chat.tools[0].description_raw, "d");
    assert_int_equal(b.chat.tools[0].strict, TRI_YES);
    assert_int_equal(b.chat.tools[0].cache, CACHE_5M);
    assert_int_equal(b.chat.tools[1].kind, TOOL_FUNCTION);
    assert_int_equal(b.chat.tools[2].kind, TOOL_SERVER);
    assert_int_equal(b.chat.searches, 3);
    assert_span(b.chat.foreign->name, "tools[2]");
    assert_int_equal(b.chat.foreign->kind, FOREIGN_MEANS);
    assert_int_equal(b.chat.choice, CHOICE_NAMED);
    assert_span(b.chat.choice_names[0], "f");
    assert_int_equal(b.chat.parallel, TRI_NO);
    bed_free(&b);
}

static void thinking_and_effort_become_one_word(void **state)
{
    static const struct { const char *json; enum effort effort; int64_t budget; } table[] = {
        { WITH(""), EFFORT_UNSET, 0 },
        { "{\"model\":\"m\",\"max_tokens\":4000,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],"
          "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000},\"output_config\":{\"effort\":\"low\"}}", EFFORT_BUDGET, 2000 },
        { WITH(",\"thinking\":{\"type\":\"adaptive\"}"), EFFORT_DYNAMIC, 0 },
        { WITH(",\"thinking\":{\"type\":\"adaptive\"},\"output_config\":{\"effort\":\"xhigh\"}"), EFFORT_XHIGH, 0 },
        { WITH(",\"output_config\":{\"effort\":\"max\"}"), EFFORT_MAX, 0 },
        { WITH(",\"thinking\":{\"type\":\"disabled\"},\"output_config\":{\"effort\":\"low\"}"), EFFORT_OFF, 0 },
        { WITH(",\"thinking\":null,\"output_config\":null"), EFFORT_UNSET, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct bed b = parsed(table[i].json);

        assert_int_equal(b.chat.effort, table[i].effort);
        if (table[i].budget)
            assert_int_equal(b.chat.budget, table[i].budget);
        bed_free(&b);
    }
}

static void the_other_members_are_read(void **state)
{
    struct bed b = parsed(WITH(",\"stream\":true,\"temperature\":0.50,\"top_p\":0.9,\"top_k\":40,\"stop_sequences\":[\"a\\n\",\"b\"],"
                               "\"metadata\":{\"user_id\":\"u\"},\"service_tier\":\"auto\",\"output_config\":{\"format\":"
                               "{\"type\":\"json_schema\",\"schema\":{\"type\":\"object\"}}},\"cache_control\":{\"type\":\"ephemeral\"},"
                               "\"thinking\":{\"type\":\"adaptive\",\"display\":\"omitted\"}"));

    (void)state;
    assert_true(b.chat.stream);
    assert_span(b.chat.temperature_json, "0.50");
    assert_span(b.chat.top_p_json, "0.9");
    assert_span(b.chat.top_k_json, "40");
    assert_int_equal(b.chat.n_stops, 2);
    assert_span(b.chat.stops_raw[0], "a\\n");
    assert_span(b.chat.user_raw, "u");
    assert_span(b.chat.service_tier, "auto");
    assert_int_equal(b.chat.format, FORMAT_SCHEMA);
    assert_span(b.chat.schema_json, "{\"type\":\"object\"}");
    assert_int_equal(item_at(&b.chat, 0, 0)->cache, CACHE_5M);    /* the top-level mark stands for the last block's */
    assert_int_equal(b.chat.show_reasoning, TRI_NO);
    assert_null(b.chat.foreign);
    bed_free(&b);
}

static void members_of_anthropic_alone_are_noted_by_what_they_do(void **state)
{
    static const struct { const char *json, *name; enum foreign_kind kind; } table[] = {
        { WITH(",\"container\":\"c\""), "container", FOREIGN_MEANS },
        { WITH(",\"mcp_servers\":[{\"type\":\"url\"}]"), "mcp_servers", FOREIGN_MEANS },
        { WITH(",\"context_management\":{\"edits\":[{\"type\":\"clear_tool_uses_20250919\"}]}"), "context_management", FOREIGN_MEANS },
        /* what agents send with each request, and what every other provider does anyway */
        { WITH(",\"context_management\":{\"edits\":[{\"type\":\"clear_thinking_20251015\",\"keep\":\"all\"}]}"),
          "context_management", FOREIGN_TUNES },
        { WITH(",\"inference_geo\":\"us\""), "inference_geo", FOREIGN_MEANS },
        { WITH(",\"speed\":\"fast\""), "speed", FOREIGN_TUNES },
        { WITH(",\"newer\":1"), "newer", FOREIGN_TUNES },
        { WITH(",\"output_config\":{\"task_budget\":{}}"), "output_config.task_budget", FOREIGN_TUNES },
        { "{\"model\":\"m\",\"max_tokens\":0,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}", "max_tokens", FOREIGN_MEANS },
        { BLOCK("{\"type\":\"search_result\",\"source\":\"x\",\"title\":\"t\",\"content\":[]}"), "messages[0].content[0]", FOREIGN_MEANS },
        { SAYS("{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"assistant\",\"content\":[{\"type\":\"server_tool_use\","
               "\"id\":\"srvtoolu_1\",\"name\":\"web_search\",\"input\":{}}]},{\"role\":\"user\",\"content\":\"on\"}"),
          "messages[1].content[0]", FOREIGN_MEANS },
    };
    static const char *const nothing[] = {
        WITH(",\"container\":null,\"mcp_servers\":[],\"context_management\":null,\"speed\":\"standard\",\"inference_geo\":null"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct bed b = parsed(table[i].json);

        assert_non_null(b.chat.foreign);
        assert_span(b.chat.foreign->name, table[i].name);
        assert_int_equal(b.chat.foreign->kind, table[i].kind);
        assert_null(b.chat.foreign->next);
        bed_free(&b);
    }
    for (size_t i = 0; i < sizeof nothing / sizeof nothing[0]; i++) {
        struct bed b = parsed(nothing[i]);

        assert_null(b.chat.foreign);
        bed_free(&b);
    }
}

static void count_shown(void *ctx, enum chat_role role, struct span text)
{
    struct buf *b = ctx;

    buf_printf(b, "%d:%.*s;", (int)role, SPAN_FMT(text));
}

static void what_people_say_is_shown_to_the_features(void **state)
{
    struct bed b;
    struct buf shown;

    (void)state;
    buf_init(&shown, 4096);
    assert_true(bed_parse(&b, &anthropic_dialect,
                          "{\"model\":\"m\",\"max_tokens\":9,\"system\":\"s\",\"messages\":[{\"role\":\"user\",\"content\":\"a\\u0041\"},"
                          CALL "," RESULT "]}", count_shown, &shown));
    assert_string_equal(shown.p, "0:s;1:aA;");    /* not what tools said */
    assert_int_equal(b.chat.text_bytes, 1 + 7 + 3 + 1);    /* raw texts, the call's name and input, the result */
    buf_free(&shown);
    bed_free(&b);
}

/* ---- what is wrong ---- */

static void every_mistake_is_named_in_the_callers_words(void **state)
{
    static const struct { const char *json, *param; } table[] = {
        { "{\"max_tokens\":1,\"messages\":[]}", "model" },
        { "{\"model\":7,\"max_tokens\":1,\"messages\":[]}", "model" },
        { "{\"model\":\"\",\"max_tokens\":1,\"messages\":[]}", "model" },
        { "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}", "max_tokens" },
        { "{\"model\":\"m\",\"max_tokens\":-1,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}", "max_tokens" },
        { "{\"model\":\"m\",\"max_tokens\":1.5,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}", "max_tokens" },
        { "{\"model\":\"m\",\"max_tokens\":\"9\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}", "max_tokens" },
        { "{\"model\":\"m\",\"max_tokens\":9}", "messages" },
        { "{\"model\":\"m\",\"max_tokens\":9,\"messages\":null}", "messages" },
        { SAYS(""), "messages" },
        { SAYS("7"), "messages[0]" },
        { SAYS("{\"content\":\"x\"}"), "messages[0].role" },
        { SAYS("{\"role\":\"tool\",\"content\":\"x\"}"), "messages[0].role" },
        { SAYS("{\"role\":\"user\"}"), "messages[0].content" },
        { SAYS("{\"role\":\"user\",\"content\":null}"), "messages[0].content" },
        { SAYS("{\"role\":\"user\",\"content\":[]}"), "messages[0].content" },
        { BLOCK("\"x\""), "messages[0].content[0]" },
        { BLOCK("{\"text\":\"x\"}"), "messages[0].content[0].type" },
        { BLOCK("{\"type\":\"text\"}"), "messages[0].content[0].text" },
        { BLOCK("{\"type\":\"text\",\"text\":[]}"), "messages[0].content[0].text" },
        { BLOCK("{\"type\":\"text\",\"text\":\"x\",\"cache_control\":{}}"), "messages[0].content[0].cache_control" },
        { BLOCK("{\"type\":\"text\",\"text\":\"x\",\"cache_control\":{\"type\":\"ephemeral\",\"ttl\":\"2h\"}}"),
          "messages[0].content[0].cache_control.ttl" },
        { BLOCK("{\"type\":\"image\"}"), "messages[0].content[0].source" },
        { BLOCK("{\"type\":\"image\",\"source\":{\"type\":\"disk\"}}"), "messages[0].content[0].source.type" },
        { BLOCK("{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"data\":\"aGk=\"}}"), "messages[0].content[0].source.media_type" },
        { BLOCK("{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/pn,g\",\"data\":\"aGk=\"}}"),
          "messages[0].content[0].source.media_type" },
        { BLOCK("{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":\"a b\"}}"),
          "messages[0].content[0].source.data" },
        { BLOCK("{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":\"aGk\"}}"),
          "messages[0].content[0].source.data" },
        { BLOCK("{\"type\":\"image\",\"source\":{\"type\":\"url\"}}"), "messages[0].content[0].source.url" },
        { BLOCK("{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"file:///etc/passwd\"}}"), "messages[0].content[0].source.url" },
        { BLOCK("{\"type\":\"image\",\"source\":{\"type\":\"file\",\"file_id\":7}}"), "messages[0].content[0].source.file_id" },
        { BLOCK("{\"type\":\"document\",\"source\":{\"type\":\"text\",\"data\":7}}"), "messages[0].content[0].source.data" },
        { BLOCK("{\"type\":\"document\",\"source\":{\"type\":\"content\",\"content\":[{\"type\":\"tool_use\"}]}}"),
          "messages[0].content[0].source.content[0].type" },
        { BLOCK("{\"type\":\"document\",\"title\":7,\"source\":{\"type\":\"text\",\"data\":\"x\"}}"), "messages[0].content[0].title" },
        { BLOCK("{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\",\"input\":{}}"), "messages[0].content[0].type" },
        { BLOCK("{\"type\":\"thinking\",\"thinking\":\"a\"}"), "messages[0].content[0].type" },
        { SAYS("{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"a\"}]}"), "messages[0].content[0].type" },
        { SAYS("{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\",\"input\":\"{}\"}]}"),
          "messages[0].content[0].input" },
        { SAYS("{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\"}]}"), "messages[0].content[0].input" },
        { SAYS("{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"name\":\"f\",\"input\":{}}]}"), "messages[0].content[0].id" },
        { SAYS("{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"a\",\"input\":{}}]}"), "messages[0].content[0].name" },
        { SAYS("{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\"}]}"), "messages[0].content[0].thinking" },
        { SAYS("{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":7}]}"),
          "messages[0].content[0].signature" },
        { SAYS("{\"role\":\"assistant\",\"content\":[{\"type\":\"redacted_thinking\"}]}"), "messages[0].content[0].data" },
        { BLOCK("{\"type\":\"tool_result\"}"), "messages[0].content[0].tool_use_id" },
        { BLOCK("{\"type\":\"tool_result\",\"tool_use_id\":\"a\",\"is_error\":1}"), "messages[0].content[0].is_error" },
        { BLOCK("{\"type\":\"tool_result\",\"tool_use_id\":\"a\",\"content\":7}"), "messages[0].content[0].content" },
        { BLOCK("{\"type\":\"tool_result\",\"tool_use_id\":\"a\",\"content\":[{\"type\":\"text\"}]}"),
          "messages[0].content[0].content[0].text" },
        { SAYS(RESULT), "messages" },
        { SAYS("{\"role\":\"user\",\"content\":\"go\"}," CALL ",{\"role\":\"user\",\"content\":\"and?\"}"), "messages" },
        { SAYS("{\"role\":\"user\",\"content\":\"go\"}," CALL "," RESULT "," RESULT), "messages" },
        { WITH(",\"system\":7"), "system" },
        { WITH(",\"system\":[{\"type\":\"image\"}]"), "system[0].type" },
        { WITH(",\"stream\":\"yes\""), "stream" },
        { WITH(",\"temperature\":1.1"), "temperature" },
        { WITH(",\"temperature\":\"hot\""), "temperature" },
        { WITH(",\"top_p\":-0.1"), "top_p" },
        { WITH(",\"top_k\":1.5"), "top_k" },
        { WITH(",\"stop_sequences\":\"x\""), "stop_sequences" },
        { WITH(",\"stop_sequences\":[\"a\",\" \\n\"]"), "stop_sequences[1]" },
        { WITH(",\"tools\":{}"), "tools" },
        { WITH(",\"tools\":[7]"), "tools[0]" },
        { WITH(",\"tools\":[{\"name\":\"f\"}]"), "tools[0].input_schema" },
        { WITH(",\"tools\":[{\"input_schema\":{}}]"), "tools[0].name" },
        { WITH(",\"tools\":[{\"name\":\"f\",\"input_schema\":{},\"description\":7}]"), "tools[0].description" },
        { WITH(",\"tools\":[{\"name\":\"f\",\"input_schema\":{},\"strict\":\"y\"}]"), "tools[0].strict" },
        { WITH(",\"tools\":[{\"type\":7}]"), "tools[0].type" },
        { WITH(",\"tool_choice\":\"auto\""), "tool_choice" },
        { WITH(",\"tool_choice\":{\"type\":\"required\"}"), "tool_choice.type" },
        { WITH(",\"tool_choice\":{\"type\":\"tool\"}"), "tool_choice.name" },
        { WITH(",\"tool_choice\":{\"type\":\"tool\",\"name\":\"f\"}"), "tool_choice.name" },    /* there is no such tool */
        { WITH(",\"tool_choice\":{\"type\":\"any\",\"disable_parallel_tool_use\":1}"), "tool_choice.disable_parallel_tool_use" },
        { WITH(",\"thinking\":true"), "thinking" },
        { WITH(",\"thinking\":{\"type\":\"enabled\"}"), "thinking.budget_tokens" },
        { WITH(",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1023}"), "thinking.budget_tokens" },
        { WITH(",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000}"), "thinking.budget_tokens" },    /* >= max_tokens */
        { WITH(",\"output_config\":7"), "output_config" },
        { WITH(",\"output_config\":{\"effort\":\"huge\"}"), "output_config.effort" },
        { WITH(",\"output_config\":{\"format\":{\"type\":\"xml\"}}"), "output_config.format" },
        { WITH(",\"output_config\":{\"format\":{\"type\":\"json_schema\"}}"), "output_config.format.schema" },
        { WITH(",\"output_format\":{\"type\":\"json_schema\",\"schema\":7}"), "output_format.schema" },
        { WITH(",\"metadata\":7"), "metadata" },
        { WITH(",\"metadata\":{\"user_id\":7}"), "metadata.user_id" },
        { WITH(",\"service_tier\":7"), "service_tier" },
        { WITH(",\"speed\":7"), "speed" },
        { WITH(",\"cache_control\":7"), "cache_control" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct bed b;

        if (bed_parse(&b, &anthropic_dialect, table[i].json, NULL, NULL))
            fail_msg("taken: %s", table[i].json);
        if (strcmp(b.fault.param, table[i].param) != 0)
            fail_msg("'%s' instead of '%s' for %s", b.fault.param, table[i].param, table[i].json);
        assert_int_equal(b.fault.status, 400);
        bed_free(&b);
    }
}

static void a_count_needs_no_max_tokens(void **state)
{
    struct bed b = { .chat = { .n = 1 } };
    const struct parse_spec spec = { .arena = &b.arena, .fault = &b.fault };

    (void)state;
    arena_init(&b.arena, 1u << 20);
    chat_init(&b.chat, DIALECT_ANTHROPIC, scanned("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"));
    b.chat.counting = true;
    assert_true(anthropic_parse(&b.chat, &spec));
    assert_null(b.chat.foreign);
    bed_free(&b);
}

static void interleaved_thinking_may_have_a_budget_beyond_the_cap(void **state)
{
    struct bed b = { .chat = { .n = 1 } };
    const struct parse_spec spec = { .arena = &b.arena, .fault = &b.fault };

    (void)state;
    arena_init(&b.arena, 1u << 20);
    chat_init(&b.chat, DIALECT_ANTHROPIC, scanned(WITH(",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000}")));
    b.chat.anthropic_beta = SPAN_LIT("a,interleaved-thinking-2025-05-14");
    assert_true(anthropic_parse(&b.chat, &spec));
    bed_free(&b);
}

static void a_full_arena_is_503_and_never_a_crash(void **state)
{
    static const char json[] =
        WITH(",\"system\":\"s\",\"tools\":[{\"name\":\"f\\u0041\",\"input_schema\":{}}],\"tool_choice\":{\"type\":\"tool\",\"name\":\"fA\"},"
             "\"newer\":1,\"container\":\"x\"");

    (void)state;
    for (size_t cap = 0; cap < 16384; cap += 64) {
        struct bed b = { .chat = { .n = 1 } };
        const struct parse_spec spec = { .arena = &b.arena, .fault = &b.fault };

        arena_init(&b.arena, cap);
        chat_init(&b.chat, DIALECT_ANTHROPIC, scanned(json));
        if (!anthropic_parse(&b.chat, &spec))
            assert_int_equal(b.fault.status, 503);
        bed_free(&b);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(system_prompts_come_first_wherever_they_stand),
        cmocka_unit_test(a_tool_loop_becomes_calls_and_results),
        cmocka_unit_test(an_unsigned_thought_has_no_family),
        cmocka_unit_test(media_come_from_every_source),
        cmocka_unit_test(tools_and_their_choice_are_read),
        cmocka_unit_test(thinking_and_effort_become_one_word),
        cmocka_unit_test(the_other_members_are_read),
        cmocka_unit_test(members_of_anthropic_alone_are_noted_by_what_they_do),
        cmocka_unit_test(what_people_say_is_shown_to_the_features),
        cmocka_unit_test(every_mistake_is_named_in_the_callers_words),
        cmocka_unit_test(a_count_needs_no_max_tokens),
        cmocka_unit_test(interleaved_thinking_may_have_a_budget_beyond_the_cap),
        cmocka_unit_test(a_full_arena_is_503_and_never_a_crash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
