/* test_responses_answer.c - what a host that speaks Responses answers becomes the same draft, whole or streamed, however the
 * bytes arrive. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/dialects/sse.h"
#include "gateway/dialects/test_responses.h"

static const struct traits traits = { .thinking = THINKING_EFFORT };
static const struct target target = { .model = SPAN_LIT("m"), .traits = &traits, .family = FAMILY_OPENAI };

/* ---- a writer that writes down what it is told ---- */

struct recorder {
    struct writer w;
    struct buf text;
    enum piece_kind last;      /* pieces of one text are one */
};

static bool record(struct writer *w, const struct piece *p)
{
    static const char *const names[] = { "text", "refusal", "reasoning", "signature", "redacted", "call", "arguments",
                                         "citation", "logprobs" };
    struct recorder *r = (struct recorder *)w;
    const bool goes_on = r->text.n && r->last == p->kind && (p->kind <= PIECE_REASONING || p->kind == PIECE_ARGUMENTS);

    r->last = p->kind;
    if (!goes_on)
        buf_printf(&r->text, "%s%s:", r->text.n ? " | " : "", names[p->kind]);
    if (!goes_on && p->call >= 0)
        buf_printf(&r->text, "%d:", p->call);
    switch (p->kind) {
    case PIECE_CALL:
        return buf_printf(&r->text, "%.*s %.*s%s", SPAN_FMT(p->id), SPAN_FMT(p->name), p->custom ? " custom" : "");
    case PIECE_CITATION:
        return buf_printf(&r->text, "%.*s %.*s %d %d", SPAN_FMT(p->raw), SPAN_FMT(p->title_raw), (int)p->from, (int)p->to);
    case PIECE_LOGPROBS:
        return buf_add_span(&r->text, p->json);
    default:
        return buf_add_span(&r->text, p->raw);
    }
}

static const struct dialect recording = { .writer_piece = record };

struct taken {
    struct draft d;
    struct recorder r;
    bool ok;
};

static void begin(struct taken *t)
{
    draft_init(&t->d);
    t->d.keep_reasoning = true;
    t->r = (struct recorder){ .w = { .dialect = &recording } };
    buf_init(&t->r.text, 1u << 20);
    t->d.writer = &t->r.w;
    t->ok = true;
}

static void end(struct taken *t)
{
    draft_free(&t->d);
    buf_free(&t->r.text);
}

static void take_whole(struct taken *t, const char *json)
{
    begin(t);
    assert_true(is_json(span_str(json)));
    t->ok = responses_dialect.read_whole(&t->d, span_str(json), &target);
}

static bool on_event(void *ctx, const struct sse_event *e)
{
    struct taken *t = ctx;

    if (!e->data.p || span_is(e->data, "[DONE]"))
        return true;
    assert_true(is_json(e->data));
    t->ok = responses_dialect.read_event(&t->d, e->name, e->data, &target);
    return t->ok;
}

/* In pieces of `size` bytes, the first of `first`. */
static void take_stream(struct taken *t, const char *stream, size_t first)
{
    const struct span all = span_str(stream);
    struct sse s;

    begin(t);
    sse_init(&s, 1u << 20);
    sse_feed(&s, span_first(all, first), on_event, t);
    sse_feed(&s, span_skip(all, first), on_event, t);
    sse_free(&s);
}

#define EVENT(type, more) "event: " type "\ndata: {\"type\":\"" type "\",\"sequence_number\":1" more "}\n\n"

/* ---- one answer with all that there is, in both forms ---- */

#define USAGE "\"usage\":{\"input_tokens\":100,\"input_tokens_details\":{\"cached_tokens\":40,\"cache_write_tokens\":10}," \
              "\"output_tokens\":30,\"output_tokens_details\":{\"reasoning_tokens\":12},\"total_tokens\":130}"
#define HEAD "\"id\":\"resp_1\",\"object\":\"response\",\"model\":\"gpt-5.5-pro-2026\",\"error\":null,\"incomplete_details\":null"
#define REASONING "{\"id\":\"rs_1\",\"type\":\"reasoning\",\"summary\":[{\"type\":\"summary_text\",\"text\":\"Think \\\"a\\\"\"}," \
                  "{\"type\":\"summary_text\",\"text\":\"then b\"}],\"encrypted_content\":\"gAAA\"}"
#define CITED "{\"type\":\"url_citation\",\"start_index\":0,\"end_index\":5,\"url\":\"https://h/\",\"title\":\"T\"}"
#define PROBS "[{\"token\":\"a\",\"logprob\":-0.1,\"bytes\":[97],\"top_logprobs\":[]}]"
#define MESSAGE "{\"id\":\"msg_1\",\"type\":\"message\",\"status\":\"completed\",\"role\":\"assistant\",\"content\":[{\"type\":" \
                "\"output_text\",\"annotations\":[" CITED "],\"logprobs\":" PROBS ",\"text\":\"H\\u00e9 llo\"}]}"
#define CALL "{\"id\":\"fc_1\",\"type\":\"function_call\",\"status\":\"completed\",\"arguments\":\"{\\\"n\\\":9007199254740993}\"," \
             "\"call_id\":\"call_1\",\"name\":\"get\"}"
#define CUSTOM "{\"id\":\"ctc_1\",\"type\":\"custom_tool_call\",\"call_id\":\"call_2\",\"name\":\"patch\",\"input\":\"*** x\"}"
#define OUTPUT "\"output\":[" REASONING "," MESSAGE "," CALL "," CUSTOM "]"

static const char whole[] = "{" HEAD ",\"status\":\"completed\",\"service_tier\":\"default\"," OUTPUT "," USAGE "}";

static const char stream[] =
    EVENT("response.created", ",\"response\":{" HEAD ",\"status\":\"in_progress\",\"service_tier\":\"auto\",\"output\":[],\"usage\":null}")
    EVENT("response.in_progress", ",\"response\":{" HEAD ",\"status\":\"in_progress\",\"output\":[]}")
    EVENT("response.output_item.added", ",\"output_index\":0,\"item\":{\"id\":\"rs_1\",\"type\":\"reasoning\",\"summary\":[]}")
    EVENT("response.reasoning_summary_part.added", ",\"item_id\":\"rs_1\",\"output_index\":0,\"summary_index\":0,\"part\":{}")
    EVENT("response.reasoning_summary_text.delta", ",\"item_id\":\"rs_1\",\"output_index\":0,\"summary_index\":0,\"delta\":\"Think \"")
    EVENT("response.reasoning_summary_text.delta", ",\"item_id\":\"rs_1\",\"output_index\":0,\"summary_index\":0,\"delta\":\"\\\"a\\\"\"")
    EVENT("response.reasoning_summary_text.done", ",\"item_id\":\"rs_1\",\"output_index\":0,\"summary_index\":0,\"text\":\"Think \\\"a\\\"\"")
    EVENT("response.reasoning_summary_part.done", ",\"item_id\":\"rs_1\",\"output_index\":0,\"summary_index\":0,\"part\":{}")
    EVENT("response.reasoning_summary_part.added", ",\"item_id\":\"rs_1\",\"output_index\":0,\"summary_index\":1,\"part\":{}")
    EVENT("response.reasoning_summary_text.delta", ",\"item_id\":\"rs_1\",\"output_index\":0,\"summary_index\":1,\"delta\":\"then b\"")
    EVENT("response.output_item.done", ",\"output_index\":0,\"item\":" REASONING)
    EVENT("response.output_item.added", ",\"output_index\":1,\"item\":{\"id\":\"msg_1\",\"type\":\"message\",\"content\":[]}")
    EVENT("response.content_part.added", ",\"item_id\":\"msg_1\",\"output_index\":1,\"content_index\":0,\"part\":{\"type\":\"output_text\",\"text\":\"\"}")
    ": keep-alive\n\n"
    EVENT("response.output_text.delta", ",\"item_id\":\"msg_1\",\"output_index\":1,\"content_index\":0,\"delta\":\"H\\u00e9\",\"logprobs\":[],\"obfuscation\":\"x\"")
    EVENT("response.output_text.delta", ",\"item_id\":\"msg_1\",\"output_index\":1,\"content_index\":0,\"delta\":\" llo\",\"logprobs\":" PROBS)
    EVENT("response.output_text.annotation.added", ",\"item_id\":\"msg_1\",\"output_index\":1,\"content_index\":0,\"annotation_index\":0,\"annotation\":" CITED)
    EVENT("response.output_text.done", ",\"item_id\":\"msg_1\",\"output_index\":1,\"content_index\":0,\"text\":\"H\\u00e9 llo\",\"logprobs\":[]")
    EVENT("response.content_part.done", ",\"item_id\":\"msg_1\",\"output_index\":1,\"content_index\":0,\"part\":{\"type\":\"output_text\",\"text\":\"H\\u00e9 llo\"}")
    EVENT("response.output_item.done", ",\"output_index\":1,\"item\":" MESSAGE)
    EVENT("response.brand_new.thing", ",\"output_index\":1,\"delta\":\"not text\"")
    EVENT("response.output_item.added", ",\"output_index\":2,\"item\":{\"id\":\"fc_1\",\"type\":\"function_call\",\"call_id\":\"call_1\",\"name\":\"get\",\"arguments\":\"\"}")
    EVENT("response.function_call_arguments.delta", ",\"item_id\":\"fc_1\",\"output_index\":2,\"delta\":\"{\\\"n\\\":\"")
    EVENT("response.function_call_arguments.delta", ",\"item_id\":\"fc_1\",\"output_index\":2,\"delta\":\"9007199254740993}\"")
    EVENT("response.function_call_arguments.done", ",\"item_id\":\"fc_1\",\"output_index\":2,\"name\":\"get\",\"arguments\":\"{\\\"n\\\":9007199254740993}\"")
    EVENT("response.output_item.done", ",\"output_index\":2,\"item\":" CALL)
    EVENT("response.output_item.added", ",\"output_index\":3,\"item\":{\"id\":\"ctc_1\",\"type\":\"custom_tool_call\",\"call_id\":\"call_2\",\"name\":\"patch\",\"input\":\"\"}")
    EVENT("response.custom_tool_call_input.delta", ",\"item_id\":\"ctc_1\",\"output_index\":3,\"delta\":\"*** \"")
    EVENT("response.custom_tool_call_input.delta", ",\"item_id\":\"ctc_1\",\"output_index\":3,\"delta\":\"x\"")
    EVENT("response.custom_tool_call_input.done", ",\"item_id\":\"ctc_1\",\"output_index\":3,\"input\":\"*** x\"")
    EVENT("response.output_item.done", ",\"output_index\":3,\"item\":" CUSTOM)
    EVENT("response.completed", ",\"response\":{" HEAD ",\"status\":\"completed\",\"service_tier\":\"default\"," OUTPUT "," USAGE "}");

static void assert_all(const struct taken *t)
{
    assert_true(t->ok);
    assert_string_equal(t->r.text.p,
          "reasoning:Think \\\"a\\\"\\n\\nthen b | signature:gAAA | text:H\\u00e9 llo | logprobs:" PROBS " | citation:https://h/ T 0 5"
          " | call:0:call_1 get | arguments:0:{\\\"n\\\":9007199254740993} | call:1:call_2 patch custom | arguments:1:*** x");
    assert_string_equal(t->d.text.p, "H\xc3\xa9 llo");
    assert_int_equal(t->d.chars, 6);
    assert_string_equal(t->d.model, "gpt-5.5-pro-2026");
    assert_string_equal(t->d.id, "resp_1");
    assert_string_equal(t->d.service_tier, "default");
    assert_int_equal(t->d.finish, FINISH_TOOL_CALLS);
    assert_true(t->d.ended && !t->d.has_error && t->d.has_usage && !t->d.usage_mended && t->d.has_piece);
    assert_int_equal(t->d.usage.input, 50);    /* 100 - 40 - 10 */
    assert_int_equal(t->d.usage.cache_read, 40);
    assert_int_equal(t->d.usage.cache_write_5m, 10);
    assert_int_equal(t->d.usage.output, 30);
    assert_int_equal(t->d.usage.reasoning, 12);
    assert_int_equal(t->d.n_opaques, 1);
    assert_int_equal(t->d.opaques[0].family, FAMILY_OPENAI);
}

static void a_whole_answer_is_read(void **state)
{
    struct taken t;

    (void)state;
    take_whole(&t, whole);
    assert_all(&t);
    end(&t);
}

static void a_stream_is_the_same_wherever_it_is_cut(void **state)
{
    (void)state;
    for (size_t first = 0; first < sizeof stream; first++) {
        struct taken t;

        take_stream(&t, stream, first);
        assert_all(&t);
        end(&t);
    }
}

/* ---- streams of hosts that copy the dialect ---- */

static void assert_pieces(const char *events, const char *pieces)
{
    struct taken t;

    take_stream(&t, events, 0);
    assert_true(t.ok);
    assert_string_equal(t.r.text.p ? t.r.text.p : "", pieces);
    end(&t);
}

#define DONE(output) EVENT("response.completed", ",\"response\":{\"status\":\"completed\",\"output\":[" output "]}")

static void what_has_not_come_in_pieces_is_taken_when_it_ends(void **state)
{
    static const char all[] = "reasoning:Think \\\"a\\\"\\n\\nthen b | signature:gAAA | text:H\\u00e9 llo | logprobs:" PROBS
        " | citation:https://h/ T 0 5 | call:0:call_1 get | arguments:0:{\\\"n\\\":9007199254740993} | call:1:call_2 patch custom"
        " | arguments:1:*** x";

    (void)state;
    /* items as a whole */
    assert_pieces(EVENT("response.output_item.done", ",\"output_index\":0,\"item\":" REASONING)
                  EVENT("response.output_item.done", ",\"output_index\":1,\"item\":" MESSAGE)
                  EVENT("response.output_item.done", ",\"output_index\":2,\"item\":" CALL)
                  EVENT("response.output_item.done", ",\"output_index\":3,\"item\":" CUSTOM)
                  DONE(REASONING "," MESSAGE "," CALL "," CUSTOM), all);
    /* nothing but the end */
    assert_pieces(DONE(REASONING "," MESSAGE "," CALL "," CUSTOM), all);
    /* texts and arguments as a whole */
    assert_pieces(EVENT("response.output_text.done", ",\"output_index\":0,\"text\":\"Hi\"")
                  EVENT("response.function_call_arguments.done", ",\"output_index\":1,\"arguments\":\"{}\"")
                  EVENT("response.output_item.done", ",\"output_index\":1,\"item\":{\"type\":\"function_call\",\"call_id\":\"c\","
                        "\"name\":\"f\",\"arguments\":\"{}\"}")
                  EVENT("response.refusal.done", ",\"output_index\":2,\"refusal\":\"No\"")
                  EVENT("response.reasoning_text.done", ",\"output_index\":3,\"text\":\"hm\"")
                  EVENT("response.reasoning_summary_text.done", ",\"output_index\":4,\"text\":\"ah\""),
                  "text:Hi | call:0:c f | arguments:0:{} | refusal:No | reasoning:hmah");
    /* a whole item that has nothing new */
    assert_pieces(EVENT("response.output_text.delta", ",\"output_index\":0,\"delta\":\"Hi\"")
                  EVENT("response.output_item.done", ",\"output_index\":0,\"item\":{\"type\":\"message\",\"content\":[{\"type\":"
                        "\"output_text\",\"text\":\"Hi\"}]}")
                  DONE("{\"type\":\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"Hi\"}]}"), "text:Hi");
    /* without a type in the data: the event line says it */
    assert_pieces("event: response.output_text.delta\ndata: {\"output_index\":0,\"delta\":\"Hi\"}\n\n", "text:Hi");
}

/* decolua/9router#2400: reasoning lost or doubled between dialects. */
static void reasoning_and_its_summary_are_not_both_taken(void **state)
{
    (void)state;
    assert_pieces(EVENT("response.reasoning_text.delta", ",\"output_index\":0,\"content_index\":0,\"delta\":\"long\"")
                  EVENT("response.reasoning_summary_part.added", ",\"output_index\":0,\"summary_index\":1")
                  EVENT("response.reasoning_summary_text.delta", ",\"output_index\":0,\"summary_index\":1,\"delta\":\"short\"")
                  DONE("{\"type\":\"reasoning\",\"content\":[{\"type\":\"reasoning_text\",\"text\":\"long\"}],\"summary\":[{\"text\":\"short\"}]}"),
                  "reasoning:long");
    assert_pieces(EVENT("response.reasoning_summary_text.delta", ",\"output_index\":0,\"summary_index\":0,\"delta\":\"short\"")
                  EVENT("response.reasoning_text.delta", ",\"output_index\":0,\"content_index\":0,\"delta\":\"long\""),
                  "reasoning:short");
    assert_pieces(DONE("{\"type\":\"reasoning\",\"content\":[{\"text\":\"long\"}],\"summary\":[{\"text\":\"short\"}]}"), "reasoning:long");
    assert_pieces(DONE("{\"type\":\"reasoning\",\"content\":[],\"summary\":[{\"text\":\"short\"}]}"), "reasoning:short");
    assert_pieces(DONE("{\"type\":\"reasoning\",\"summary\":[],\"encrypted_content\":\"zz\"}"), "redacted:zz");
}

static void pieces_of_several_calls_are_told_apart_by_their_item(void **state)
{
    (void)state;
    assert_pieces(EVENT("response.output_item.added", ",\"output_index\":0,\"item\":{\"type\":\"function_call\",\"call_id\":\"a\",\"name\":\"f\"}")
                  EVENT("response.output_item.added", ",\"output_index\":5,\"item\":{\"type\":\"function_call\",\"call_id\":\"b\",\"name\":\"g\"}")
                  EVENT("response.function_call_arguments.delta", ",\"output_index\":5,\"delta\":\"{}\"")
                  EVENT("response.output_text.delta", ",\"output_index\":7,\"delta\":\"t\"")
                  EVENT("response.function_call_arguments.delta", ",\"output_index\":0,\"delta\":\"{\"")
                  EVENT("response.output_text.delta", ",\"output_index\":7,\"delta\":\"u\"")
                  EVENT("response.function_call_arguments.delta", ",\"output_index\":0,\"delta\":\"}\""),
                  "call:0:a f | call:1:b g | arguments:1:{} | text:t | arguments:0:{ | text:u | arguments:0:}");
}

static void a_call_of_a_namespace_has_both_names_in_one(void **state)
{
    (void)state;
    assert_pieces(DONE("{\"type\":\"function_call\",\"call_id\":\"a\",\"namespace\":\"fs\",\"name\":\"ls\",\"arguments\":\"{}\"}"),
                  "call:0:a fs__ls | arguments:0:{}");
    assert_pieces(DONE("{\"type\":\"function_call\",\"call_id\":\"a\",\"namespace\":\"mcp__x__\",\"name\":\"ls\",\"arguments\":\"\"}"),
                  "call:0:a mcp__x__ls");
}

/* ---- usage ---- */

static void usage_is_disjoint_and_never_free(void **state)
{
    static const struct { const char *usage; bool has, mended; struct usage is; } table[] = {
        /* BerriAI/litellm#6215, maximhq/bifrost#904: cached tokens are within input_tokens */
        { "{\"input_tokens\":10,\"input_tokens_details\":{\"cached_tokens\":4},\"output_tokens\":5,\"total_tokens\":15}", true, false,
          { .input = 6, .cache_read = 4, .output = 5 } },
        /* agentgateway#3228: reasoning is within output_tokens, and does not replace it */
        { "{\"input_tokens\":1,\"output_tokens\":50,\"output_tokens_details\":{\"reasoning_tokens\":48},\"total_tokens\":51}", true,
          false, { .input = 1, .output = 50, .reasoning = 48 } },
        { "{\"input_tokens\":10,\"output_tokens\":5}", true, false, { .input = 10, .output = 5 } },
        { "{\"input_tokens\":10,\"input_tokens_details\":null,\"output_tokens\":5,\"output_tokens_details\":null}", true, false,
          { .input = 10, .output = 5 } },
        /* more cached than there was: the sum holds */
        { "{\"input_tokens\":10,\"input_tokens_details\":{\"cached_tokens\":12,\"cache_write_tokens\":3},\"output_tokens\":5}", true,
          true, { .cache_read = 10, .output = 5 } },
        { "{\"input_tokens\":10,\"input_tokens_details\":{\"cached_tokens\":4,\"cache_write_tokens\":9},\"output_tokens\":5}", true,
          true, { .cache_read = 4, .cache_write_5m = 6, .output = 5 } },
        /* totals that disagree are flagged, never silent */
        { "{\"input_tokens\":10,\"output_tokens\":5,\"total_tokens\":99}", true, true, { .input = 10, .output = 5 } },
        /* what cannot be is no usage, so that the answer is charged at its bound */
        { "{\"input_tokens\":-1,\"output_tokens\":5}", false, false, { 0 } },
        { "{\"input_tokens\":10,\"output_tokens\":-5}", false, false, { 0 } },
        { "{\"input_tokens\":10}", false, false, { 0 } },
        { "{\"input_tokens\":\"10\",\"output_tokens\":5}", false, false, { 0 } },
        { "null", false, false, { 0 } },
        { "[]", false, false, { 0 } },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char json[512];
        struct taken t;

        snprintf(json, sizeof json, "{\"status\":\"completed\",\"output\":[],\"usage\":%s}", table[i].usage);
        take_whole(&t, json);
        assert_true(t.ok);
        assert_true(t.d.has_usage == table[i].has);
        assert_true(t.d.usage_mended == table[i].mended);
        assert_memory_equal(&t.d.usage, &table[i].is, sizeof t.d.usage);
        end(&t);
    }
}

static void searches_are_counted_from_the_output(void **state)
{
    struct taken t;

    (void)state;
    take_whole(&t, "{\"status\":\"completed\",\"output\":[{\"type\":\"web_search_call\",\"action\":{\"type\":\"search\"}},"
                   "{\"type\":\"web_search_call\",\"action\":{\"type\":\"open_page\"}},{\"type\":\"web_search_call\"}],"
                   "\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}");
    assert_int_equal(t.d.usage.searches, 2);
    assert_true(t.d.has_piece);
    end(&t);
}

/* ---- ends ---- */

static void the_status_says_how_it_ended(void **state)
{
    static const struct { const char *members; enum finish finish; } table[] = {
        { "\"status\":\"completed\"", FINISH_STOP },
        { "\"status\":\"incomplete\",\"incomplete_details\":{\"reason\":\"max_output_tokens\"}", FINISH_LENGTH },
        { "\"status\":\"incomplete\",\"incomplete_details\":{\"reason\":\"content_filter\"}", FINISH_FILTERED },
        { "\"status\":\"incomplete\",\"incomplete_details\":{\"reason\":\"new\"}", FINISH_OTHER },
        { "\"status\":\"incomplete\",\"incomplete_details\":null", FINISH_OTHER },
        { "\"status\":\"in_progress\"", FINISH_NONE },
        { "\"status\":\"queued\"", FINISH_NONE },
        { "\"status\":\"failed\",\"error\":{\"code\":\"server_error\",\"message\":\"x\"}", FINISH_INTERRUPTED },
        { "\"object\":\"response\"", FINISH_STOP },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char json[256];
        struct taken t;

        snprintf(json, sizeof json, "{%s,\"output\":[]}", table[i].members);
        take_whole(&t, json);
        assert_true(t.ok);
        assert_int_equal(t.d.finish, table[i].finish);
        end(&t);
    }
}

/* BerriAI/litellm#36768: a failed response became an empty answer with status 200. */
static void a_failed_generation_is_an_error(void **state)
{
    static const char *const failed[] = {
        "{\"status\":\"failed\",\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"slow\"},\"output\":[]," USAGE "}",
        "{\"status\":\"failed\",\"error\":null,\"output\":[]}",
        "{\"status\":\"cancelled\",\"output\":[]}",
        "{\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"slow\",\"type\":\"x\",\"param\":null}}",
    };
    static const char *const codes[] = { "rate_limit_exceeded", "server_error", "server_error", "rate_limit_exceeded" };
    struct taken t;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        take_whole(&t, failed[i]);
        assert_true(t.ok && t.d.has_error);
        assert_string_equal(t.d.error_code, codes[i]);
        assert_true(t.d.error_message[0]);
        end(&t);
    }
    take_stream(&t, EVENT("response.output_text.delta", ",\"output_index\":0,\"delta\":\"Hi\"")
                    EVENT("response.failed", ",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"server_error\","
                          "\"message\":\"gone\"},\"output\":[]," USAGE "}"), 0);
    assert_true(t.ok && t.d.has_error && t.d.has_usage);
    assert_string_equal(t.d.error_message, "gone");
    end(&t);
}

static void an_error_event_is_flat_or_nested(void **state)
{
    static const char *const events[] = {
        EVENT("error", ",\"code\":\"rate_limit_exceeded\",\"message\":\"slow\",\"param\":\"p\""),
        EVENT("error", ",\"error\":{\"type\":\"requests\",\"code\":\"rate_limit_exceeded\",\"message\":\"slow\",\"param\":\"p\"}"),
        "event: error\ndata: {\"code\":\"rate_limit_exceeded\",\"message\":\"slow\",\"param\":\"p\"}\n\n",
        "data: {\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"slow\",\"param\":\"p\"}}\n\n",
    };

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct taken t;

        take_stream(&t, events[i], 0);
        assert_true(t.ok && t.d.has_error && !t.d.ended);
        assert_string_equal(t.d.error_code, "rate_limit_exceeded");
        assert_string_equal(t.d.error_message, "slow");
        assert_string_equal(t.d.error_param, "p");
        assert_string_equal(t.d.error_type, i == 1 ? "requests" : "");
        end(&t);
    }
}

/* Portkey-AI/gateway#1797: a stream that was cut ended as a clean answer. */
static void a_stream_without_its_last_event_has_not_ended(void **state)
{
    const char *last = strstr(stream, "event: response.completed");
    char cut[sizeof stream];
    struct taken t;

    (void)state;
    snprintf(cut, sizeof cut, "%.*s", (int)(last - stream), stream);
    take_stream(&t, cut, 0);
    assert_true(t.ok && !t.d.ended && !t.d.has_usage);
    assert_int_equal(t.d.finish, FINISH_NONE);
    end(&t);
}

static void an_http_error_of_any_shape_is_read(void **state)
{
    static const struct { const char *body; bool json; const char *code, *message; } table[] = {
        { "{\"error\":{\"message\":\"m\",\"type\":\"t\",\"param\":null,\"code\":\"c\"}}", true, "c", "m" },
        { "{\"error\":\"m\"}", true, "", "m" },
        { "{\"detail\":\"m\"}", true, "", "m" },
        { "{\"message\":\"m\",\"code\":42}", true, "42", "m" },
        { "  <html>oops", false, "", "<html>oops" },
        { "", false, "", "" },
        { "[]", true, "", "[]" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct taken t;

        begin(&t);
        responses_dialect.read_error(&t.d, span_str(table[i].body), table[i].json);
        assert_true(t.d.has_error);
        assert_string_equal(t.d.error_code, table[i].code);
        assert_string_equal(t.d.error_message, table[i].message);
        end(&t);
    }
}

/* ---- relaying ---- */

struct relayed {
    struct buf out, terminal;
};

static bool relay_event(void *ctx, const struct sse_event *e)
{
    struct relayed *r = ctx;
    const enum relay got = responses_dialect.relay(NULL, e->raw, e->data.p ? e->data : SPAN_LIT("{}"), true, &r->out, &r->terminal);

    const struct span type = jval_raw(jval_get(e->data, "type"));
    const bool last = span_is(type, "response.completed") || span_is(type, "error");

    assert_int_equal(got, last ? RELAY_HELD : RELAY_PASSED);
    return true;
}

static void a_stream_passes_byte_for_byte_and_its_end_is_held(void **state)
{
    const char *last = strstr(stream, "event: response.completed");
    struct relayed r;
    struct sse s;

    (void)state;
    buf_init(&r.out, 1u << 20);
    buf_init(&r.terminal, 1u << 20);
    sse_init(&s, 1u << 20);
    sse_feed(&s, span_str(stream), relay_event, &r);
    assert_int_equal(r.out.n, (size_t)(last - stream));
    assert_memory_equal(r.out.p, stream, r.out.n);
    assert_string_equal(r.terminal.p, last);
    buf_clear(&r.terminal);
    sse_feed(&s, span_str(EVENT("error", ",\"code\":null,\"message\":\"x\"")), relay_event, &r);
    assert_true(r.terminal.n > 0);
    sse_free(&s);
    buf_free(&r.out);
    buf_free(&r.terminal);
}

/* ---- hostile answers ---- */

static const char *victim;
static bool victim_is_event;

static void with_another(struct span value)
{
    static const char *const others[] = { "null", "true", "-1", "4095", "4096", "99999999999999999999", "\"\"", "\"\\ud83d\\ude00\"",
                                          "[]", "[[],{},7,null,\"x\"]", "{}", "{\"type\":\"function_call\"}", "\"function_call\"",
                                          "\"reasoning\"", "\"error\"", "\"response.failed\"" };

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        const size_t at = (size_t)(value.p - victim);
        struct taken t;
        struct buf body;

        buf_init(&body, 1u << 20);
        buf_add(&body, victim, at);
        buf_add_str(&body, others[i]);
        buf_add_str(&body, victim + at + value.n);
        begin(&t);
        if (victim_is_event) {
            responses_dialect.read_event(&t.d, SPAN_NONE, buf_span(&body), &target);
            responses_dialect.read_event(&t.d, SPAN_LIT("error"), buf_span(&body), &target);
        } else {
            responses_dialect.read_whole(&t.d, buf_span(&body), &target);
        }
        draft_view(&t.d);
        end(&t);
        buf_free(&body);
    }
}

static void each_value(struct span value)
{
    with_another(value);
    for (struct jiter it = jiter_begin(value); jiter_next(&it);)
        each_value(it.value);
}

static bool on_victim(void *ctx, const struct sse_event *e)
{
    char *copy;

    (void)ctx;
    if (!e->data.p)
        return true;
    copy = calloc(1, e->data.n + 1);
    memcpy(copy, e->data.p, e->data.n);
    victim = copy;
    each_value(span_str(copy));
    free(copy);
    return true;
}

static void no_value_of_another_type_does_harm(void **state)
{
    struct sse s;

    (void)state;
    victim = whole;
    victim_is_event = false;
    each_value(span_str(whole));
    victim_is_event = true;
    sse_init(&s, 1u << 20);
    sse_feed(&s, span_str(stream), on_victim, NULL);
    sse_free(&s);
}

static void what_is_no_response_is_malformed(void **state)
{
    static const char *const bodies[] = { "[]", "7", "\"x\"", "{}", "{\"output\":{}}", "{\"choices\":[]}" };

    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct taken t;

        take_whole(&t, bodies[i]);
        assert_false(t.ok);
        end(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_answer_is_read),
        cmocka_unit_test(a_stream_is_the_same_wherever_it_is_cut),
        cmocka_unit_test(what_has_not_come_in_pieces_is_taken_when_it_ends),
        cmocka_unit_test(reasoning_and_its_summary_are_not_both_taken),
        cmocka_unit_test(pieces_of_several_calls_are_told_apart_by_their_item),
        cmocka_unit_test(a_call_of_a_namespace_has_both_names_in_one),
        cmocka_unit_test(usage_is_disjoint_and_never_free),
        cmocka_unit_test(searches_are_counted_from_the_output),
        cmocka_unit_test(the_status_says_how_it_ended),
        cmocka_unit_test(a_failed_generation_is_an_error),
        cmocka_unit_test(an_error_event_is_flat_or_nested),
        cmocka_unit_test(a_stream_without_its_last_event_has_not_ended),
        cmocka_unit_test(an_http_error_of_any_shape_is_read),
        cmocka_unit_test(a_stream_passes_byte_for_byte_and_its_end_is_held),
        cmocka_unit_test(no_value_of_another_type_does_harm),
        cmocka_unit_test(what_is_no_response_is_malformed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
