/* test_openai_request.c - what a caller sends is read into the neutral form, and checked with its place named. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/jscan.h"
#include "gateway/dialects/openai.h"
#include "gateway/dialects/test_odd.h"

#define OK_MESSAGES "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]"

struct read {
    struct arena arena;
    struct chat chat;
    struct fault fault;
    struct buf texts;
    bool ok;
};

static void gather(void *ctx, enum chat_role role, struct span text)
{
    static const char *const names[] = { "system", "user", "assistant" };
    struct buf *b = ctx;

    buf_add_str(b, names[role]);
    buf_add_char(b, '=');
    buf_add_span(b, text);
    buf_add_char(b, '|');
}

static void read_body_within(struct read *r, const char *body, size_t arena_bytes)
{
    struct jscan *s = jscan_new(&jscan_default_limits, 7);

    assert_int_not_equal(jscan_feed(s, span_str(body)), JSCAN_BAD);
    assert_int_equal(jscan_end(s), JSCAN_DONE);
    jscan_free(s);
    arena_init(&r->arena, arena_bytes);
    buf_init(&r->texts, 1u << 20);
    r->fault = (struct fault){ 0 };
    chat_init(&r->chat, DIALECT_CHAT, span_str(body));
    r->ok = openai_parse(&r->chat, &(struct parse_spec){ .arena = &r->arena, .on_text = gather, .ctx = &r->texts,
                                                         .fault = &r->fault });
}

static void read_body(struct read *r, const char *body)
{
    read_body_within(r, body, 1u << 20);
}

static void done(struct read *r)
{
    arena_free(&r->arena);
    buf_free(&r->texts);
}

static void facts_of_a_whole_request_are_found(void **state)
{
    struct read r;

    (void)state;
    read_body(&r, "{\"model\":\"a\\u0075to\",\"stream\":true,\"stream_options\":{\"include_usage\":true},\"n\":2,"
                  "\"max_tokens\":50,\"max_completion_tokens\":40,\"response_format\":{\"type\":\"json_object\"},"
                  "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"get_w\",\"parameters\":{}}},"
                  "{\"type\":\"custom\",\"custom\":{\"name\":\"run\"}}],"
                  "\"messages\":[{\"role\":\"system\",\"content\":\"Be brief\"},"
                  "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\\nb\"},"
                  "{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://x/y.png\"}}]},"
                  "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"get_w\"}}]},"
                  "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"7\"}]}");
    assert_true(r.ok);
    assert_true(span_is(r.chat.model, "auto"));
    assert_true(r.chat.stream && r.chat.usage_asked && r.chat.format == FORMAT_JSON);
    assert_int_equal(r.chat.n, 2);
    assert_int_equal(r.chat.max_tokens, 40);
    assert_int_equal(r.chat.n_tools, 2);
    assert_true(span_is(r.chat.tools[0].name, "get_w") && span_is(r.chat.tools[1].name, "run"));
    assert_int_equal(r.chat.n_messages, 4);
    assert_int_equal(r.chat.n_user_turns, 1);
    assert_int_equal(r.chat.n_images, 1);
    assert_string_equal(r.texts.p, "system=Be brief|user=a\nb|");
    done(&r);
}

static void each_fault_names_its_field(void **state)
{
    static const struct { const char *body, *param; } table[] = {
        { "[]", "" },
        { "{" OK_MESSAGES "}", "model" },
        { "{\"model\":\"\"," OK_MESSAGES "}", "model" },
        { "{\"model\":7," OK_MESSAGES "}", "model" },
        { "{\"model\":\"m\"}", "messages" },
        { "{\"model\":\"m\",\"messages\":[]}", "messages" },
        { "{\"model\":\"m\",\"messages\":{}}", "messages" },
        { "{\"model\":\"m\",\"messages\":[7]}", "messages[0]" },
        { "{\"model\":\"m\",\"messages\":[{\"content\":\"x\"}]}", "messages[0].role" },
        { "{\"model\":\"m\",\"messages\":[{\"role\":\"robot\",\"content\":\"x\"}]}", "messages[0].role" },
        { "{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}]}", "messages[0].content" },
        { "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":null}]}", "messages[0].content" },
        { "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[]}]}", "messages[0].content" },
        { "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{}]}]}", "messages[0].content[0].type" },
        { "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]}",
          "messages[0].content[0].text" },
        { "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]}",
          "messages[0].content[0].image_url.url" },
        { "{\"model\":\"m\",\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]}", "messages[0].tool_call_id" },
        { "{\"model\":\"m\",\"messages\":[{\"role\":\"tool\",\"content\":\"x\",\"tool_call_id\":\"c\"}]}", "messages[0].role" },
        { "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{}]}]}", "messages[0].tool_calls[0].id" },
        { "{\"model\":\"m\",\"stream\":\"yes\"," OK_MESSAGES "}", "stream" },
        { "{\"model\":\"m\",\"stream_options\":{}," OK_MESSAGES "}", "stream_options" },
        { "{\"model\":\"m\",\"temperature\":2.5," OK_MESSAGES "}", "temperature" },
        { "{\"model\":\"m\",\"top_p\":-0.1," OK_MESSAGES "}", "top_p" },
        { "{\"model\":\"m\",\"max_tokens\":0," OK_MESSAGES "}", "max_tokens" },
        { "{\"model\":\"m\",\"max_tokens\":1.5," OK_MESSAGES "}", "max_tokens" },
        { "{\"model\":\"m\",\"max_completion_tokens\":\"9\"," OK_MESSAGES "}", "max_completion_tokens" },
        { "{\"model\":\"m\",\"n\":129," OK_MESSAGES "}", "n" },
        { "{\"model\":\"m\",\"seed\":\"x\"," OK_MESSAGES "}", "seed" },
        { "{\"model\":\"m\",\"stop\":[1]," OK_MESSAGES "}", "stop" },
        { "{\"model\":\"m\",\"logprobs\":1," OK_MESSAGES "}", "logprobs" },
        { "{\"model\":\"m\",\"top_logprobs\":21," OK_MESSAGES "}", "top_logprobs" },
        { "{\"model\":\"m\",\"logit_bias\":{\"5\":101}," OK_MESSAGES "}", "logit_bias" },
        { "{\"model\":\"m\",\"tools\":{}," OK_MESSAGES "}", "tools" },
        { "{\"model\":\"m\",\"tools\":[{\"type\":\"function\"}]," OK_MESSAGES "}", "tools[0].function" },
        { "{\"model\":\"m\",\"tools\":[{\"type\":\"function\",\"function\":{}}]," OK_MESSAGES "}", "tools[0].function.name" },
        { "{\"model\":\"m\",\"tool_choice\":\"maybe\"," OK_MESSAGES "}", "tool_choice" },
        { "{\"model\":\"m\",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"g\"}},\"tools\":[{\"type\":\"function\","
          "\"function\":{\"name\":\"f\"}}]," OK_MESSAGES "}", "tool_choice" },
        { "{\"model\":\"m\",\"response_format\":{\"type\":\"xml\"}," OK_MESSAGES "}", "response_format.type" },
        { "{\"model\":\"m\",\"response_format\":{\"type\":\"json_schema\"}," OK_MESSAGES "}", "response_format.json_schema" },
        { "{\"model\":\"m\",\"user\":7," OK_MESSAGES "}", "user" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct read r;

        read_body(&r, table[i].body);
        if (r.ok || r.fault.status != 400 || strcmp(r.fault.param, table[i].param) != 0)
            print_error("%s gave %d at \"%s\"\n", table[i].body, r.fault.status, r.fault.param);
        assert_false(r.ok);
        assert_int_equal(r.fault.status, 400);
        assert_string_equal(r.fault.param, table[i].param);
        done(&r);
    }
}

static void null_and_newer_kinds_are_not_faults(void **state)
{
    struct read r;

    (void)state;
    read_body(&r, "{\"model\":\"m\",\"temperature\":null,\"stop\":null,\"tools\":null,\"stream\":null,\"stream_options\":null,"
                  "\"max_tokens\":null,\"new_field\":{\"a\":[1]},\"messages\":[{\"role\":\"user\",\"content\":"
                  "[{\"type\":\"hologram\",\"x\":1}]},{\"role\":\"assistant\",\"content\":\"\"}]}");
    assert_true(r.ok);
    done(&r);
}

/* A text of more than 64 KiB with escapes is cut for the features, never within an escape. */
static void a_long_escaped_text_is_cut_between_escapes(void **state)
{
    static char body[300000];
    size_t n = (size_t)snprintf(body, sizeof body, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"");
    struct read r;

    (void)state;
    for (int i = 0; i < 20000; i++, n += 9)
        memcpy(body + n, "\\u00e4\\\\x", 9);
    memcpy(body + n, "\"}]}", 5);
    read_body(&r, body);
    assert_true(r.ok);
    assert_true(r.texts.n > 20000 && r.texts.n < 65600);
    assert_int_equal((unsigned char)r.texts.p[5], 0xc3);
    done(&r);
}

/* ---- the neutral form ---- */

static const struct chat_item *item_at(const struct read *r, size_t turn, size_t i)
{
    const struct chat_turn *t = r->chat.turns;
    const struct chat_item *item;

    for (; turn > 0; turn--)
        t = t->next;
    for (item = t->items; i > 0; i--)
        item = item->next;
    return item;
}

static void turns_and_items_are_as_the_caller_said_them(void **state)
{
    const struct chat_item *i;
    struct read r;

    (void)state;
    read_body(&r, "{\"model\":\"m\",\"messages\":[{\"role\":\"developer\",\"content\":\"S\"},"
                  "{\"role\":\"user\",\"name\":\"An\\u006ea\",\"content\":[{\"type\":\"text\",\"text\":\"a\\n\",\"cache_control\":{\"type\":"
                  "\"ephemeral\",\"ttl\":\"1h\"}},{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image\\/png;base64,AA\\/A\","
                  "\"detail\":\"low\"}},{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"AAAA\",\"format\":\"wav\"}},"
                  "{\"type\":\"file\",\"file\":{\"filename\":\"a.pdf\",\"file_data\":\"data:application/pdf;base64,AAAA\"}},"
                  "{\"type\":\"file\",\"file\":{\"file_id\":\"file-1\"}}]},"
                  "{\"role\":\"assistant\",\"reasoning_content\":\"hm\",\"content\":null,\"refusal\":\"No\",\"tool_calls\":[{\"id\":\"c1\","
                  "\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}},{\"id\":\"c2\",\"type\":\"custom\","
                  "\"custom\":{\"name\":\"g\",\"input\":\"x\"}}]},"
                  "{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":[{\"type\":\"text\",\"text\":\"r\"}]},"
                  "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"\"}]}");
    assert_true(r.ok);
    assert_true(r.chat.turns->role == ROLE_SYSTEM && r.chat.turns->developer);
    assert_true(span_is(r.chat.turns->next->name_raw, "An\\u006ea"));
    i = item_at(&r, 1, 0);
    assert_true(i->kind == ITEM_TEXT && span_is(i->text, "a\\n") && i->cache == CACHE_1H);
    assert_true(r.chat.cache_1h && !r.chat.cache_5m);
    i = item_at(&r, 1, 1);
    assert_true(i->kind == ITEM_IMAGE && i->media.source == MEDIA_BYTES && span_is(i->media.type, "image/png") &&
                span_is(i->media.data, "AA\\/A") && span_is(i->media.detail, "low"));
    i = item_at(&r, 1, 2);
    assert_true(i->kind == ITEM_AUDIO && span_is(i->media.type, "audio/wav") && span_is(i->media.data, "AAAA"));
    i = item_at(&r, 1, 3);
    assert_true(i->kind == ITEM_FILE && i->media.source == MEDIA_BYTES && span_is(i->media.name_raw, "a.pdf"));
    i = item_at(&r, 1, 4);
    assert_true(i->kind == ITEM_FILE && i->media.source == MEDIA_FILE_ID && span_is(i->media.data, "file-1") && r.chat.unbounded);
    i = item_at(&r, 2, 0);
    assert_true(i->kind == ITEM_REASONING && span_is(i->text, "hm") && i->family == FAMILY_DEEPSEEK);
    assert_int_equal(r.chat.show_reasoning, TRI_YES);
    i = item_at(&r, 2, 1);
    assert_true(i->kind == ITEM_REFUSAL && span_is(i->text, "No"));
    i = item_at(&r, 2, 2);
    assert_true(i->kind == ITEM_CALL && span_is(i->call.id, "c1") && span_is(i->call.arguments_raw, "{\\\"a\\\":1}"));
    i = item_at(&r, 2, 3);
    assert_true(i->kind == ITEM_CALL && i->call.custom && span_is(i->call.name, "g"));
    i = item_at(&r, 3, 0);    /* both results are one turn, and know their tools */
    assert_true(i->kind == ITEM_RESULT && span_is(i->result.id, "c2") && span_is(i->result.name, "g") &&
                span_is(i->result.parts->text, "r"));
    i = item_at(&r, 3, 1);
    assert_true(i->kind == ITEM_RESULT && span_is(i->result.id, "c1") && span_is(i->result.name, "f"));
    assert_null(item_at(&r, 4, 0));
    assert_int_equal(r.chat.n_messages, 6);
    assert_int_equal(r.chat.n_user_turns, 2);
    done(&r);
}

static void the_other_fields_have_their_places(void **state)
{
    struct read r;

    (void)state;
    read_body(&r, "{\"model\":\"m\",\"temperature\":0.70,\"top_p\":1e0,\"top_k\":40,\"seed\":9007199254740993,\"stop\":[\"a\",\"\\n\"],"
                  "\"logprobs\":true,\"top_logprobs\":3,\"parallel_tool_calls\":false,\"reasoning_effort\":\"xhigh\",\"verbosity\":\"low\","
                  "\"user\":\"u\",\"safety_identifier\":\"s\",\"metadata\":{\"a\":\"b\"},\"service_tier\":\"flex\",\"prompt_cache_key\":\"k\","
                  "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"strict\":true,\"parameters\":{\"type\":\"object\"}}},"
                  "{\"type\":\"function\",\"function\":{\"name\":\"g\"}}],\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{"
                  "\"mode\":\"required\",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"g\"}}]}},\"response_format\":{\"type\":"
                  "\"json_schema\",\"json_schema\":{\"name\":\"n\",\"strict\":true,\"schema\":{\"type\":\"object\"}}}," OK_MESSAGES "}");
    assert_true(r.ok);
    assert_true(span_is(r.chat.temperature_json, "0.70") && span_is(r.chat.top_p_json, "1e0") && span_is(r.chat.top_k_json, "40"));
    assert_true(span_is(r.chat.seed_json, "9007199254740993"));
    assert_true(r.chat.n_stops == 2 && span_is(r.chat.stops_raw[1], "\\n"));
    assert_true(r.chat.logprobs && r.chat.top_logprobs == 3 && r.chat.parallel == TRI_NO && r.chat.effort == EFFORT_XHIGH);
    assert_true(span_is(r.chat.verbosity_raw, "low") && span_is(r.chat.user_raw, "s") && span_is(r.chat.metadata_json, "{\"a\":\"b\"}"));
    assert_true(span_is(r.chat.service_tier, "flex") && span_is(r.chat.cache_key_raw, "k"));
    assert_true(r.chat.tools[0].strict == TRI_YES && span_is(r.chat.tools[0].schema_json, "{\"type\":\"object\"}"));
    assert_true(r.chat.tools[1].strict == TRI_UNSET && !r.chat.tools[1].schema_json.p);
    assert_true(r.chat.choice == CHOICE_ALLOWED && r.chat.choice_any && r.chat.n_choice_names == 1 && span_is(r.chat.choice_names[0], "g"));
    assert_true(r.chat.format == FORMAT_SCHEMA && span_is(r.chat.schema_name_raw, "n") && r.chat.schema_strict == TRI_YES);
    assert_null(r.chat.foreign);
    done(&r);
}

static void efforts_and_switches_of_hosts_are_one_thing(void **state)
{
    static const struct { const char *members; enum effort effort; int64_t budget; enum tri show; } table[] = {
        { "\"x\":null", EFFORT_UNSET, 0, TRI_UNSET },
        { "\"reasoning_effort\":\"none\"", EFFORT_OFF, 0, TRI_UNSET },
        { "\"reasoning_effort\":\"minimal\"", EFFORT_MINIMAL, 0, TRI_UNSET },
        { "\"thinking\":{\"type\":\"disabled\"},\"reasoning_effort\":\"high\"", EFFORT_OFF, 0, TRI_YES },
        { "\"thinking\":{\"type\":\"enabled\"}", EFFORT_DYNAMIC, 0, TRI_YES },
        { "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":5000}", EFFORT_BUDGET, 5000, TRI_YES },
        { "\"reasoning\":{\"effort\":\"low\"}", EFFORT_LOW, 0, TRI_YES },
        { "\"reasoning\":{\"max_tokens\":2000,\"exclude\":true}", EFFORT_BUDGET, 2000, TRI_NO },
        { "\"reasoning\":{\"enabled\":false}", EFFORT_OFF, 0, TRI_YES },
        { "\"include_reasoning\":true", EFFORT_UNSET, 0, TRI_YES },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct read r;
        char body[256];

        snprintf(body, sizeof body, "{\"model\":\"m\",%s," OK_MESSAGES "}", table[i].members);
        read_body(&r, body);
        assert_true(r.ok);
        assert_int_equal(r.chat.effort, table[i].effort);
        assert_int_equal(r.chat.budget, table[i].budget);
        assert_int_equal(r.chat.show_reasoning, table[i].show);
        done(&r);
    }
}

/* wire/translation section 2: what changes the meaning is refused elsewhere, what tunes is dropped with a warning. */
static void what_chat_alone_has_is_told_by_its_kind(void **state)
{
    static const struct { const char *members; int kind; const char *name; } table[] = {
        { "\"prediction\":{\"type\":\"content\"}", FOREIGN_TUNES, "prediction" },
        { "\"moderation\":{}", FOREIGN_TUNES, "moderation" },
        { "\"store\":true", FOREIGN_TUNES, "store" },
        { "\"store\":false", -1, NULL },
        { "\"modalities\":[\"text\"]", -1, NULL },
        { "\"modalities\":[\"text\",\"audio\"],\"audio\":{\"voice\":\"x\"}", FOREIGN_MEANS, "modalities" },
        { "\"web_search_options\":{}", FOREIGN_MEANS, "web_search_options" },
        { "\"functions\":[{\"name\":\"f\"}]", FOREIGN_MEANS, "functions" },
        { "\"function_call\":\"auto\"", FOREIGN_MEANS, "function_call" },
        { "\"prompt_cache_retention\":\"24h\"", FOREIGN_SILENT, "prompt_cache_retention" },
        { "\"prompt_cache_options\":{}", FOREIGN_SILENT, "prompt_cache_options" },
        { "\"reasoning_effort\":\"furious\"", FOREIGN_TUNES, "reasoning_effort" },
        { "\"min_p\":0.1", FOREIGN_TUNES, "min_p" },
        { "\"min_p\":null", -1, NULL },
        { "\"tools\":[{\"type\":\"web_search\"}]", FOREIGN_MEANS, "tools[0]" },
        { "\"tool_choice\":{\"type\":\"web_search\"}", FOREIGN_MEANS, "tool_choice" },
        { "\"verbosity\":\"newer\"", FOREIGN_TUNES, "verbosity" },
        { "\"metadata\":{\"tags\":[\"a\"]}", FOREIGN_TUNES, "metadata" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct read r;
        char body[256];

        snprintf(body, sizeof body, "{\"model\":\"m\",%s," OK_MESSAGES "}", table[i].members);
        read_body(&r, body);
        if (!r.ok || (r.chat.foreign == NULL) != (table[i].name == NULL))
            print_error("%s: %s\n", body, r.fault.message);
        assert_true(r.ok);
        if (table[i].name) {
            assert_non_null(r.chat.foreign);
            assert_int_equal(r.chat.foreign->kind, table[i].kind);
            assert_true(span_is(r.chat.foreign->name, table[i].name));
            assert_null(r.chat.foreign->next);
        } else {
            assert_null(r.chat.foreign);
        }
        done(&r);
    }
}

/* wire/openai-chat section 3: each call is answered once, directly after its turn. */
static void results_out_of_order_are_refused(void **state)
{
#define CALL(id) "{\"id\":\"" id "\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}"
#define SAYS(calls) "{\"role\":\"assistant\",\"tool_calls\":[" calls "]}"
#define TOOL(id) "{\"role\":\"tool\",\"tool_call_id\":\"" id "\",\"content\":\"\"}"
#define USER "{\"role\":\"user\",\"content\":\"x\"}"
    static const struct { const char *messages; bool ok; } table[] = {
        { SAYS(CALL("a") "," CALL("b")) "," TOOL("b") "," TOOL("a") "," USER, true },
        { SAYS(CALL("a")) "," TOOL("a") "," SAYS(CALL("a")) "," TOOL("a"), true },
        { USER "," SAYS(CALL("a")), true },
        { USER "," TOOL("a"), false },
        { SAYS(CALL("a")) "," TOOL("b"), false },
        { SAYS(CALL("a")) "," TOOL("a") "," TOOL("a"), false },
        { SAYS(CALL("a") "," CALL("b")) "," TOOL("a") "," USER, false },
        { SAYS(CALL("a")) "," USER "," TOOL("a"), false },
        { SAYS(CALL("a")) "," USER, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct read r;
        char body[1024];

        snprintf(body, sizeof body, "{\"model\":\"m\",\"messages\":[%s]}", table[i].messages);
        read_body(&r, body);
        if (r.ok != table[i].ok)
            print_error("%s: %s\n", body, r.fault.message);
        assert_int_equal(r.ok, table[i].ok);
        if (!r.ok)
            assert_true(r.fault.status == 400 && span_starts(span_str(r.fault.param), SPAN_LIT("messages")));
        done(&r);
    }
}

/* Thousands of calls are checked in no time: the order that a bad sort or a plain search hates. */
static void many_calls_are_matched_whatever_their_order(void **state)
{
    struct buf b;
    struct read r;

    (void)state;
    buf_init(&b, 8u << 20);
    buf_add_str(&b, "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[");
    for (int i = 0; i < 8000; i++)
        buf_printf(&b, "%s{\"id\":\"c%d\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}", i ? "," : "", i);
    buf_add_str(&b, "]}");
    for (int i = 8000; i-- > 0;)
        buf_printf(&b, ",{\"role\":\"tool\",\"tool_call_id\":\"c%d\",\"content\":\"\"}", i);
    buf_add_str(&b, "]}");
    read_body_within(&r, b.p, 16u << 20);
    assert_true(r.ok);
    done(&r);
    buf_free(&b);
}

static void broken_media_is_refused_where_it_stands(void **state)
{
    static const struct { const char *part, *param; } table[] = {
        { "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,AAA\"}}", "messages[0].content[0].image_url.url" },
        { "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,\"}}", "messages[0].content[0].image_url.url" },
        { "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png,AAAA\"}}", "messages[0].content[0].image_url.url" },
        { "{\"type\":\"image_url\",\"image_url\":{\"url\":\"file:///etc/passwd\"}}", "messages[0].content[0].image_url.url" },
        { "{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"!\",\"format\":\"wav\"}}", "messages[0].content[0].input_audio.data" },
        { "{\"type\":\"input_audio\",\"input_audio\":{}}", "messages[0].content[0].input_audio.data" },
        { "{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"AAAA\",\"format\":\"wa,v\"}}", "messages[0].content[0].input_audio.format" },
        { "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image;base64,AAAA\"}}", "messages[0].content[0].image_url.url" },
        { "{\"type\":\"file\",\"file\":{\"file_data\":\"?\"}}", "messages[0].content[0].file.file_data" },
        { "{\"type\":\"file\",\"file\":{\"file_data\":\"data:application/pdf;base64,A\"}}", "messages[0].content[0].file.file_data" },
        { "{\"type\":\"file\",\"file\":{}}", "messages[0].content[0].file" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct read r;
        char body[512];

        snprintf(body, sizeof body, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[%s]}]}", table[i].part);
        read_body(&r, body);
        if (r.ok || strcmp(r.fault.param, table[i].param) != 0)
            print_error("%s gave \"%s\"\n", body, r.fault.param);
        assert_false(r.ok);
        assert_string_equal(r.fault.param, table[i].param);
        done(&r);
    }
}

static void try_odd(void *ctx, struct span json)
{
    struct jscan *s = jscan_new(&jscan_default_limits, 7);

    if (jscan_feed(s, json) != JSCAN_BAD && jscan_end(s) == JSCAN_DONE) {
        struct read r;

        read_body(&r, json.p);
        assert_int_equal(r.ok, r.fault.status == 0);
        *(int *)ctx += r.ok;
        done(&r);
    }
    jscan_free(s);
}

static void no_value_of_any_kind_in_any_place_does_harm(void **state)
{
    int taken = 0;

    (void)state;
    odd_each("{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true},\"n\":2,\"max_tokens\":5,\"stop\":[\"a\"],"
             "\"max_completion_tokens\":4,\"temperature\":1,\"top_p\":1,\"presence_penalty\":1,\"frequency_penalty\":1,\"seed\":1,"
             "\"logit_bias\":{\"1\":2},\"logprobs\":true,\"top_logprobs\":1,\"parallel_tool_calls\":true,\"store\":true,\"top_k\":1,"
             "\"service_tier\":\"auto\",\"user\":\"u\",\"safety_identifier\":\"s\",\"reasoning_effort\":\"low\",\"metadata\":{\"a\":\"b\"},"
             "\"verbosity\":\"low\",\"prompt_cache_key\":\"k\",\"modalities\":[\"audio\"],\"audio\":{\"voice\":\"v\"},\"prediction\":{},"
             "\"web_search_options\":{},\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1},\"reasoning\":{\"effort\":\"low\","
             "\"max_tokens\":1,\"enabled\":true,\"exclude\":true},\"include_reasoning\":true,\"functions\":[{\"name\":\"f\"}],"
             "\"function_call\":{\"name\":\"f\"},\"x\":[{\"y\":1}],\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":"
             "\"n\",\"description\":\"d\",\"strict\":true,\"schema\":{\"type\":\"object\"}}},\"tools\":[{\"type\":\"function\",\"function\":{"
             "\"name\":\"f\",\"description\":\"d\",\"strict\":true,\"parameters\":{}},\"cache_control\":{\"ttl\":\"1h\"}},{\"type\":\"custom\","
             "\"custom\":{\"name\":\"c\",\"format\":{\"type\":\"text\"}}},{\"type\":\"web\"}],\"tool_choice\":{\"type\":\"allowed_tools\","
             "\"allowed_tools\":{\"mode\":\"auto\",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]}},\"messages\":[{\"role\":"
             "\"system\",\"content\":\"s\"},{\"role\":\"user\",\"name\":\"n\",\"content\":[{\"type\":\"text\",\"text\":\"t\",\"cache_control\":{"
             "\"ttl\":\"5m\"}},{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://x\",\"detail\":\"low\"}},{\"type\":\"input_audio\","
             "\"input_audio\":{\"data\":\"AAAA\",\"format\":\"wav\"}},{\"type\":\"file\",\"file\":{\"file_data\":\"AAAA\",\"filename\":\"f\","
             "\"file_id\":\"i\"}},{\"type\":\"hologram\"}]},{\"role\":\"assistant\",\"reasoning_content\":\"r\",\"refusal\":\"no\",\"content\":["
             "{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"h\"}]},{\"type\":\"refusal\",\"refusal\":\"x\"}],\"audio\":{"
             "\"id\":\"a\"},\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},{\"role\":"
             "\"tool\",\"tool_call_id\":\"c\",\"content\":\"7\",\"cache_control\":{}},{\"role\":\"function\",\"name\":\"f\",\"content\":\"1\"}]}",
             try_odd, &taken);
    assert_true(taken > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_of_a_whole_request_are_found),
        cmocka_unit_test(each_fault_names_its_field),
        cmocka_unit_test(null_and_newer_kinds_are_not_faults),
        cmocka_unit_test(a_long_escaped_text_is_cut_between_escapes),
        cmocka_unit_test(turns_and_items_are_as_the_caller_said_them),
        cmocka_unit_test(the_other_fields_have_their_places),
        cmocka_unit_test(efforts_and_switches_of_hosts_are_one_thing),
        cmocka_unit_test(what_chat_alone_has_is_told_by_its_kind),
        cmocka_unit_test(results_out_of_order_are_refused),
        cmocka_unit_test(many_calls_are_matched_whatever_their_order),
        cmocka_unit_test(broken_media_is_refused_where_it_stands),
        cmocka_unit_test(no_value_of_any_kind_in_any_place_does_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
