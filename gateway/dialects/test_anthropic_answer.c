/* test_anthropic_answer.c - answers of an Anthropic provider are read as it really sends them, whole and streamed alike; usage
 * is counted once. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/dialects/sse.h"
#include "gateway/dialects/test_anthropic.h"

static struct draft whole(const char *json)
{
    struct draft d;

    draft_init(&d);
    d.keep_reasoning = true;
    assert_true(anthropic_read_whole(&d, scanned(json), &to_budget));
    return d;
}

static bool on_event(void *ctx, const struct sse_event *e)
{
    char copy[8192];

    if (!e->data.p)
        return true;
    snprintf(copy, sizeof copy, "%.*s", SPAN_FMT(e->data));
    return anthropic_read_event(ctx, e->name, scanned(copy), &to_budget);
}

/* A stream in two pieces, cut at `at`. */
static struct draft streamed_cut(const char *text, size_t at)
{
    struct sse sse;
    struct draft d;

    draft_init(&d);
    d.keep_reasoning = true;
    sse_init(&sse, 1u << 20);
    assert_int_equal(sse_feed(&sse, span_first(span_str(text), at), on_event, &d), SSE_OK);
    assert_int_equal(sse_feed(&sse, span_skip(span_str(text), at), on_event, &d), SSE_OK);
    sse_free(&sse);
    return d;
}

static struct draft streamed(const char *text)
{
    return streamed_cut(text, 0);
}

#define EVENT(name, data) "event: " name "\ndata: {\"type\":\"" name "\"" data "}\n\n"
#define START(usage) EVENT("message_start", ",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-x\"," \
                           "\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":" usage "}")
#define BEGIN(i, block) EVENT("content_block_start", ",\"index\":" i ",\"content_block\":" block)
#define DELTA(i, delta) EVENT("content_block_delta", ",\"index\":" i ",\"delta\":" delta)
#define STOP(i) EVENT("content_block_stop", ",\"index\":" i)
#define END(reason, usage) EVENT("message_delta", ",\"delta\":{\"stop_reason\":\"" reason "\",\"stop_sequence\":null},\"usage\":" usage) \
                           EVENT("message_stop", "")
#define PING EVENT("ping", "")

#define MESSAGE(content, reason, usage) "{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-x\",\"content\":[" content \
                                        "],\"stop_reason\":\"" reason "\",\"stop_sequence\":null,\"usage\":" usage "}"

static void assert_same(struct draft *a, struct draft *b)
{
    struct answer x = draft_view(a), y = draft_view(b);

    assert_true(span_eq(x.text, y.text));
    assert_true(span_eq(buf_span(&a->reasoning), buf_span(&b->reasoning)));
    assert_int_equal(x.finish, y.finish);
    assert_int_equal(x.n_tools, y.n_tools);
    for (size_t i = 0; i < x.n_tools; i++) {
        assert_true(span_eq(x.tools[i].name, y.tools[i].name));
        assert_true(span_eq(x.tools[i].arguments, y.tools[i].arguments));
        assert_true(span_eq(buf_span(&a->calls[i].id), buf_span(&b->calls[i].id)));
    }
    assert_int_equal(a->n_opaques, b->n_opaques);
    for (size_t i = 0; i < a->n_opaques; i++) {
        assert_true(span_eq(buf_span(&a->opaques[i].raw), buf_span(&b->opaques[i].raw)));
        assert_int_equal(a->opaques[i].redacted, b->opaques[i].redacted);
        assert_int_equal(a->opaques[i].family, FAMILY_ANTHROPIC);
    }
    assert_memory_equal(&a->usage, &b->usage, sizeof a->usage);
    assert_int_equal(a->has_usage, b->has_usage);
    assert_int_equal(a->ended, b->ended);
    assert_string_equal(a->model, b->model);
    assert_string_equal(a->id, b->id);
}

#define USAGE "{\"input_tokens\":10,\"cache_creation_input_tokens\":300,\"cache_read_input_tokens\":20,\"cache_creation\":" \
              "{\"ephemeral_5m_input_tokens\":100,\"ephemeral_1h_input_tokens\":200},\"output_tokens\":50," \
              "\"output_tokens_details\":{\"thinking_tokens\":30},\"service_tier\":\"standard\"}"

static void a_stream_gives_the_draft_of_the_whole_wherever_it_is_cut(void **state)
{
    static const char text[] =
        START("{\"input_tokens\":10,\"cache_creation_input_tokens\":300,\"cache_read_input_tokens\":20,\"cache_creation\":"
              "{\"ephemeral_5m_input_tokens\":100,\"ephemeral_1h_input_tokens\":200},\"output_tokens\":1,\"service_tier\":\"standard\"}")
        BEGIN("0", "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}") DELTA("0", "{\"type\":\"thinking_delta\",\"thinking\":\"h\\u00e9\"}")
        PING DELTA("0", "{\"type\":\"thinking_delta\",\"thinking\":\"\\nm\"}") DELTA("0", "{\"type\":\"signature_delta\",\"signature\":\"sig==\"}") STOP("0")
        BEGIN("1", "{\"type\":\"redacted_thinking\",\"data\":\"xx\"}") STOP("1")
        BEGIN("2", "{\"type\":\"text\",\"text\":\"\"}") DELTA("2", "{\"type\":\"text_delta\",\"text\":\"a\\\"\"}")
        DELTA("2", "{\"type\":\"text_delta\",\"text\":\"b\"}") STOP("2")
        BEGIN("3", "{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\",\"input\":{}}") DELTA("3", "{\"type\":\"input_json_delta\",\"partial_json\":\"\"}")
        DELTA("3", "{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"a\\\": \"}") DELTA("3", "{\"type\":\"input_json_delta\",\"partial_json\":\"\\\"\\\\u00e9\\\"}\"}")
        STOP("3") BEGIN("4", "{\"type\":\"tool_use\",\"id\":\"t2\",\"name\":\"g\",\"input\":{}}") STOP("4")
        EVENT("newer_event", ",\"x\":1")
        END("tool_use", "{\"output_tokens\":50,\"output_tokens_details\":{\"thinking_tokens\":30}}");
    struct draft a = whole(MESSAGE("{\"type\":\"thinking\",\"thinking\":\"h\\u00e9\\nm\",\"signature\":\"sig==\"},{\"type\":\"redacted_thinking\","
                                   "\"data\":\"xx\"},{\"type\":\"text\",\"text\":\"a\\\"b\"},{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\","
                                   "\"input\":{\"a\": \"\\u00e9\"}},{\"type\":\"tool_use\",\"id\":\"t2\",\"name\":\"g\",\"input\":{}}",
                                   "tool_use", USAGE));

    (void)state;
    assert_int_equal(a.usage.input, 10);
    assert_int_equal(a.usage.cache_read, 20);
    assert_int_equal(a.usage.cache_write_5m, 100);
    assert_int_equal(a.usage.cache_write_1h, 200);
    assert_int_equal(a.usage.output, 50);
    assert_int_equal(a.usage.reasoning, 30);
    assert_string_equal(a.text.p, "a\"b");
    assert_int_equal(a.finish, FINISH_TOOL_CALLS);
    assert_string_equal(a.service_tier, "standard");
    for (size_t at = 0; at <= sizeof text - 1; at++) {
        struct draft b = streamed_cut(text, at);

        assert_same(&a, &b);
        assert_false(b.usage_mended);
        draft_free(&b);
    }
    draft_free(&a);
}

static void usage_is_counted_once(void **state)
{
#define CUT(first, last) START(first) BEGIN("0", "{\"type\":\"text\",\"text\":\"a\"}") STOP("0") \
                         EVENT("message_delta", ",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":" last) EVENT("message_stop", "")
    static const struct { const char *why, *text; struct usage want; bool mended; } table[] = {
        { "message_delta repeats, and is not added (maximhq/bifrost#3451)",
          CUT("{\"input_tokens\":3,\"cache_creation_input_tokens\":1000,\"cache_read_input_tokens\":7,\"output_tokens\":1}",
              "{\"input_tokens\":3,\"cache_creation_input_tokens\":1000,\"cache_read_input_tokens\":7,\"output_tokens\":9}"),
          { .input = 3, .cache_read = 7, .cache_write_5m = 1000, .output = 9 }, false },
        { "an older server says the output alone", CUT("{\"input_tokens\":3,\"cache_read_input_tokens\":7,\"output_tokens\":1}", "{\"output_tokens\":9}"),
          { .input = 3, .cache_read = 7, .output = 9 }, false },
        { "null says nothing", CUT("{\"input_tokens\":3,\"cache_read_input_tokens\":7,\"output_tokens\":1}",
                                   "{\"input_tokens\":null,\"cache_read_input_tokens\":null,\"cache_creation_input_tokens\":null,"
                                   "\"output_tokens\":9,\"output_tokens_details\":null,\"server_tool_use\":null}"),
          { .input = 3, .cache_read = 7, .output = 9 }, false },
        { "the cache is counted at the end alone (BerriAI/litellm#31069)",
          CUT("{\"input_tokens\":0,\"cache_read_input_tokens\":0,\"cache_creation_input_tokens\":0,\"output_tokens\":0}",
              "{\"input_tokens\":3,\"cache_read_input_tokens\":7,\"cache_creation_input_tokens\":11,\"output_tokens\":9}"),
          { .input = 3, .cache_read = 7, .cache_write_5m = 11, .output = 9 }, false },
        { "the split stays when the sum is repeated without it",
          CUT("{\"input_tokens\":3,\"cache_creation_input_tokens\":5,\"cache_creation\":{\"ephemeral_5m_input_tokens\":1,"
              "\"ephemeral_1h_input_tokens\":4},\"output_tokens\":1}", "{\"cache_creation_input_tokens\":5,\"output_tokens\":9}"),
          { .input = 3, .cache_write_5m = 1, .cache_write_1h = 4, .output = 9 }, false },
        { "a split that does not add up is flagged, and nothing goes unbilled",
          CUT("{\"input_tokens\":3,\"cache_creation_input_tokens\":9,\"cache_creation\":{\"ephemeral_5m_input_tokens\":1,"
              "\"ephemeral_1h_input_tokens\":4},\"output_tokens\":1}", "{\"output_tokens\":9}"),
          { .input = 3, .cache_write_5m = 5, .cache_write_1h = 4, .output = 9 }, true },
        { "several message_deltas: the last holds",
          START("{\"input_tokens\":3,\"output_tokens\":1}") EVENT("message_delta", ",\"delta\":{},\"usage\":{\"output_tokens\":4}")
          EVENT("message_delta", ",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":9}") EVENT("message_stop", ""),
          { .input = 3, .output = 9 }, false },
        { "searches", CUT("{\"input_tokens\":3,\"output_tokens\":1}", "{\"output_tokens\":9,\"server_tool_use\":{\"web_search_requests\":2}}"),
          { .input = 3, .output = 9, .searches = 2 }, false },
        { "more thinking than output", CUT("{\"input_tokens\":3,\"output_tokens\":1}",
                                           "{\"output_tokens\":5,\"output_tokens_details\":{\"thinking_tokens\":9}}"),
          { .input = 3, .output = 9, .reasoning = 9 }, true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct draft d = streamed(table[i].text);

        if (!d.has_usage || memcmp(&d.usage, &table[i].want, sizeof d.usage) != 0 || d.usage_mended != table[i].mended)
            fail_msg("%s", table[i].why);
        assert_int_equal(d.finish, FINISH_STOP);
        assert_true(d.ended);
        draft_free(&d);
    }
}

static void a_cut_stream_has_only_begun_its_usage(void **state)
{
    struct draft d = streamed(START("{\"input_tokens\":3,\"output_tokens\":1}") BEGIN("0", "{\"type\":\"text\",\"text\":\"\"}")
                              DELTA("0", "{\"type\":\"text_delta\",\"text\":\"half\"}"));

    (void)state;
    assert_false(d.has_usage);
    assert_true(d.usage_begun);
    assert_int_equal(d.usage.input, 3);
    assert_false(d.ended);
    assert_int_equal(d.finish, FINISH_NONE);
    draft_free(&d);
}

static void usage_that_is_no_count_is_no_usage(void **state)
{
    static const char *const table[] = { "null", "{}", "{\"input_tokens\":-1,\"output_tokens\":2}", "{\"input_tokens\":1,\"output_tokens\":-2}",
                                         "{\"input_tokens\":1.5,\"output_tokens\":2}", "{\"input_tokens\":\"1\",\"output_tokens\":2}",
                                         "{\"input_tokens\":1}", "{\"input_tokens\":99999999999999999999,\"output_tokens\":2}" };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char json[512];
        struct draft d;

        snprintf(json, sizeof json, "{\"type\":\"message\",\"content\":[],\"stop_reason\":\"end_turn\",\"usage\":%s}", table[i]);
        d = whole(json);
        if (d.has_usage)
            fail_msg("%s", table[i]);
        draft_free(&d);
    }
}

static void stop_reasons_are_mapped(void **state)
{
    static const struct { const char *word; enum finish want; } table[] = {
        { "end_turn", FINISH_STOP }, { "stop_sequence", FINISH_STOP }, { "tool_use", FINISH_TOOL_CALLS }, { "max_tokens", FINISH_LENGTH },
        { "model_context_window_exceeded", FINISH_LENGTH }, { "refusal", FINISH_FILTERED }, { "pause_turn", FINISH_OTHER },
        { "newer", FINISH_OTHER },
    };
    struct draft d;

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char json[256];

        snprintf(json, sizeof json, "{\"content\":[],\"stop_reason\":\"%s\"}", table[i].word);
        d = whole(json);
        assert_int_equal(d.finish, table[i].want);
        draft_free(&d);
    }
    d = whole("{\"content\":[],\"stop_reason\":\"stop_sequence\",\"stop_sequence\":\"a\\n\"}");
    assert_span(buf_span(&d.stop_raw), "a\\n");
    draft_free(&d);
    d = whole("{\"content\":[],\"stop_reason\":null}");
    assert_int_equal(d.finish, FINISH_NONE);
    draft_free(&d);
}

static void server_tools_pass_without_becoming_calls(void **state)
{
    struct draft d = streamed(START("{\"input_tokens\":3,\"output_tokens\":1}")
        BEGIN("0", "{\"type\":\"server_tool_use\",\"id\":\"s\",\"name\":\"web_search\",\"input\":{}}")
        DELTA("0", "{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"query\\\":1}\"}") STOP("0")
        BEGIN("1", "{\"type\":\"web_search_tool_result\",\"tool_use_id\":\"s\",\"content\":[]}") STOP("1")
        BEGIN("2", "{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}}") DELTA("2", "{\"type\":\"input_json_delta\",\"partial_json\":\"{}\"}")
        STOP("2") BEGIN("3", "{\"type\":\"text\",\"text\":\"\"}")
        DELTA("3", "{\"type\":\"citations_delta\",\"citation\":{\"type\":\"web_search_result_location\",\"url\":\"https://x\",\"title\":\"t\"}}")
        DELTA("3", "{\"type\":\"text_delta\",\"text\":\"a\"}") STOP("3") END("end_turn", "{\"output_tokens\":9}"));
    struct answer v = draft_view(&d);

    (void)state;
    assert_int_equal(v.n_tools, 1);
    assert_span(v.tools[0].arguments, "{}");
    assert_span(v.text, "a");
    assert_true(d.has_piece);
    draft_free(&d);
}

/* Parallel calls were forbidden: what is dropped must not flow into what is kept. */
static void a_dropped_call_leaves_the_first_alone(void **state)
{
    struct draft d;
    static const char *const events[] = {
        "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\",\"input\":{}}}",
        "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{}\"}}",
        "{\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"id\":\"b\",\"name\":\"g\",\"input\":{}}}",
        "{\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"x\\\":1}\"}}",
    };
    struct answer v;

    (void)state;
    draft_init(&d);
    d.one_call = true;
    for (size_t i = 0; i < 4; i++)
        assert_true(anthropic_read_event(&d, SPAN_NONE, scanned(events[i]), &to_budget));
    v = draft_view(&d);
    assert_int_equal(v.n_tools, 1);
    assert_span(v.tools[0].arguments, "{}");
    draft_free(&d);
}

static void errors_are_read_in_every_place(void **state)
{
    static const char overloaded[] = "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}";
    struct draft d;

    (void)state;
    draft_init(&d);
    anthropic_read_error(&d, scanned("{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"m\",\"details\":"
                                     "{\"error_code\":\"enforced_spend_limit_reached\"}},\"request_id\":\"r\"}"), true);
    assert_true(d.has_error);
    assert_string_equal(d.error_type, "rate_limit_error");
    assert_string_equal(d.error_code, "enforced_spend_limit_reached");
    assert_string_equal(d.error_message, "m");
    draft_free(&d);
    anthropic_read_error(&d, SPAN_LIT(" <html>413</html>"), false);    /* the edge */
    assert_true(d.has_error);
    assert_string_equal(d.error_message, "<html>413</html>");
    draft_free(&d);
    d = streamed("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n");
    assert_true(d.has_error);
    assert_string_equal(d.error_type, "overloaded_error");
    draft_free(&d);
    d = whole(overloaded);
    assert_true(d.has_error);
    draft_free(&d);
}

static void odd_input_is_refused_or_skipped_and_never_a_crash(void **state)
{
    static const char *const events[] = {
        "{}", "{\"type\":null}", "{\"type\":7}", "{\"type\":\"message_start\"}", "{\"type\":\"message_start\",\"message\":null}",
        "{\"type\":\"message_start\",\"message\":{\"usage\":[]}}", "{\"type\":\"content_block_start\"}",
        "{\"type\":\"content_block_start\",\"content_block\":null}", "{\"type\":\"content_block_start\",\"content_block\":{\"type\":\"text\"}}",
        "{\"type\":\"content_block_start\",\"content_block\":{\"type\":\"text\",\"text\":7,\"citations\":{}}}",
        "{\"type\":\"content_block_start\",\"content_block\":{\"type\":\"tool_use\"}}",
        "{\"type\":\"content_block_start\",\"index\":\"x\",\"content_block\":{\"type\":\"tool_use\",\"id\":7,\"name\":null,\"input\":7}}",
        "{\"type\":\"content_block_delta\"}", "{\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\"}}",
        "{\"type\":\"content_block_delta\",\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":{}}}",
        "{\"type\":\"content_block_delta\",\"delta\":{\"type\":\"citations_delta\",\"citation\":7}}", "{\"type\":\"content_block_stop\"}",
        "{\"type\":\"message_delta\"}", "{\"type\":\"message_delta\",\"delta\":7,\"usage\":7}", "{\"type\":\"error\"}",
        "{\"type\":\"error\",\"error\":\"x\"}", "{\"error\":{}}",
    };
    static const char *const wholes[] = { "[]", "7", "{}", "{\"content\":null}", "{\"content\":\"x\"}" };
    struct draft d;

    (void)state;
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        draft_init(&d);
        assert_true(anthropic_read_event(&d, SPAN_NONE, scanned(events[i]), NULL));
        draft_free(&d);
    }
    for (size_t i = 0; i < sizeof wholes / sizeof wholes[0]; i++) {
        draft_init(&d);
        assert_false(anthropic_read_whole(&d, scanned(wholes[i]), NULL));
        draft_free(&d);
    }
    draft_init(&d);
    assert_false(anthropic_read_event(&d, SPAN_NONE, SPAN_LIT("7"), NULL));
    draft_free(&d);
}

static void too_many_calls_are_no_answer_and_no_want_of_memory(void **state)
{
    struct draft d;
    bool ok = true;

    (void)state;
    draft_init(&d);
    for (size_t i = 0; i <= DRAFT_CALLS_MAX && ok; i++)
        ok = anthropic_read_event(&d, SPAN_NONE, scanned("{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\","
                                                         "\"id\":\"a\",\"name\":\"f\",\"input\":{}}}"), NULL);
    assert_false(ok);
    assert_false(d.failed);
    draft_free(&d);
}

static void only_the_terminal_event_is_held(void **state)
{
    static const char delta[] = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{}}\n\n";
    static const char stop[] = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    struct buf out, terminal;

    (void)state;
    buf_init(&out, 4096);
    buf_init(&terminal, 4096);
    assert_int_equal(anthropic_relay(NULL, span_str(delta), SPAN_LIT("{\"type\":\"message_delta\",\"delta\":{}}"), true, &out, &terminal),
                     RELAY_PASSED);
    assert_int_equal(anthropic_relay(NULL, span_str(stop), SPAN_LIT("{\"type\":\"message_stop\"}"), true, &out, &terminal), RELAY_HELD);
    assert_string_equal(out.p, delta);
    assert_string_equal(terminal.p, stop);
    buf_free(&out);
    buf_free(&terminal);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_gives_the_draft_of_the_whole_wherever_it_is_cut),
        cmocka_unit_test(usage_is_counted_once),
        cmocka_unit_test(a_cut_stream_has_only_begun_its_usage),
        cmocka_unit_test(usage_that_is_no_count_is_no_usage),
        cmocka_unit_test(stop_reasons_are_mapped),
        cmocka_unit_test(server_tools_pass_without_becoming_calls),
        cmocka_unit_test(a_dropped_call_leaves_the_first_alone),
        cmocka_unit_test(errors_are_read_in_every_place),
        cmocka_unit_test(odd_input_is_refused_or_skipped_and_never_a_crash),
        cmocka_unit_test(too_many_calls_are_no_answer_and_no_want_of_memory),
        cmocka_unit_test(only_the_terminal_event_is_held),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
