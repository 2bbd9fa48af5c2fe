/* test_openai_reply.c - what a caller of Chat Completions gets of another dialect's answer. Golden texts by hand, from
 * wire/openai-chat sections 5 to 8; and what we write, our own reader reads back. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "gateway/dialects/openai.h"
#include "gateway/dialects/sse.h"

static const struct quirks quirks = { .reasoning_in_output_count = true, .reasoning_field = REASONING_CONTENT };
static const struct target target = { .quirks = &quirks };

struct written {
    struct chat chat;
    struct draft draft;
    struct buf out, terminal;
};

static void begin(struct written *w, bool stream, bool usage, enum tri reasoning)
{
    struct reply_info info = { .id = SPAN_LIT("r1"), .created_s = 1700000000, .model = SPAN_LIT("m\"x"), .chat = &w->chat };

    chat_init(&w->chat, DIALECT_CHAT, SPAN_LIT("{}"));
    w->chat.stream = stream;
    w->chat.usage_asked = usage;
    w->chat.show_reasoning = reasoning;
    buf_init(&w->out, 1u << 20);
    buf_init(&w->terminal, 4096);
    draft_init(&w->draft);
    w->draft.writer = openai_writer_new(&info, &w->out);
    assert_non_null(w->draft.writer);
}

static void end(struct written *w)
{
    assert_true(openai_writer_end(w->draft.writer, &w->draft, &w->terminal));
}

static void done(struct written *w)
{
    openai_writer_free(w->draft.writer);
    draft_free(&w->draft);
    buf_free(&w->out);
    buf_free(&w->terminal);
}

#define CHUNK(choices) "data: {\"id\":\"chatcmpl-r1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000," \
                       "\"model\":\"m\\\"x\",\"choices\":[" choices "]}\n\n"
#define DELTA(delta, finish) CHUNK("{\"index\":0,\"delta\":{" delta "},\"logprobs\":null,\"finish_reason\":" finish "}")
#define ROLE DELTA("\"role\":\"assistant\",\"content\":\"\",\"refusal\":null", "null")

static void a_text_streams_as_openai_streams_it(void **state)
{
    struct written w;

    (void)state;
    begin(&w, true, false, TRI_UNSET);
    assert_true(draft_text(&w.draft, 0, PIECE_TEXT, SPAN_LIT("Hi \\u00e4")));
    assert_true(draft_text(&w.draft, 0, PIECE_TEXT, SPAN_LIT("!")));
    draft_finish(&w.draft, 0, FINISH_STOP, SPAN_NONE);
    end(&w);
    assert_string_equal(w.out.p, ROLE DELTA("\"content\":\"Hi \\u00e4\"", "null") DELTA("\"content\":\"!\"", "null")
                                     DELTA("", "\"stop\""));
    assert_string_equal(w.terminal.p, "data: [DONE]\n\n");
    done(&w);
}

/* BerriAI/litellm#40253 and trap 3: `choices[0]` of a chunk that has none crashes clients which did not ask for it. */
static void usage_comes_in_a_chunk_of_its_own_when_it_is_asked_for(void **state)
{
    static const struct usage u = { .input = 3, .cache_read = 4, .output = 5, .reasoning = 2 };
    struct written w;

    (void)state;
    begin(&w, true, true, TRI_UNSET);
    draft_usage(&w.draft, &u, false);
    draft_finish(&w.draft, 0, FINISH_LENGTH, SPAN_NONE);
    end(&w);
    assert_string_equal(w.out.p,
        "data: {\"id\":\"chatcmpl-r1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"m\\\"x\",\"choices\":["
        "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":null}],"
        "\"usage\":null}\n\n"
        "data: {\"id\":\"chatcmpl-r1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"m\\\"x\",\"choices\":["
        "{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"length\"}],\"usage\":null}\n\n"
        "data: {\"id\":\"chatcmpl-r1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"m\\\"x\",\"choices\":[],"
        "\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":5,\"total_tokens\":12,\"prompt_tokens_details\":{\"cached_tokens\":4,"
        "\"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":2,\"audio_tokens\":0,"
        "\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}}\n\n");
    done(&w);
    begin(&w, true, false, TRI_UNSET);
    draft_usage(&w.draft, &u, false);
    draft_finish(&w.draft, 0, FINISH_STOP, SPAN_NONE);
    end(&w);
    assert_null(strstr(w.out.p, "usage"));
    done(&w);
}

/* Arguments are never lost on the way (BerriAI/litellm#29491, #25836), and of a call without any they are {} (trap 2). */
static void tool_calls_begin_with_id_and_name_and_then_argue(void **state)
{
    struct written w;

    (void)state;
    begin(&w, true, false, TRI_UNSET);
    assert_true(draft_call(&w.draft, 0, 0, SPAN_LIT("t\\u0031"), SPAN_LIT("f"), false));
    assert_true(draft_arguments(&w.draft, 0, 0, SPAN_LIT("{\\\"a\\\":")));
    assert_true(draft_call(&w.draft, 0, 1, SPAN_LIT("t2"), SPAN_LIT("g"), false));
    assert_true(draft_arguments(&w.draft, 0, 0, SPAN_LIT("1}")));
    draft_finish(&w.draft, 0, FINISH_STOP, SPAN_NONE);
    end(&w);
    assert_string_equal(w.out.p,
        DELTA("\"role\":\"assistant\",\"content\":null,\"refusal\":null", "null")
        DELTA("\"tool_calls\":[{\"index\":0,\"id\":\"t1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]", "null")
        DELTA("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"a\\\":\"}}]", "null")
        DELTA("\"tool_calls\":[{\"index\":1,\"id\":\"t2\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"\"}}]", "null")
        DELTA("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"1}\"}}]", "null")
        DELTA("\"tool_calls\":[{\"index\":1,\"function\":{\"arguments\":\"{}\"}}]", "null")
        DELTA("", "\"tool_calls\""));
    done(&w);
}

static void reasoning_is_shown_to_those_alone_who_asked(void **state)
{
    struct written w;

    (void)state;
    begin(&w, true, false, TRI_YES);
    assert_true(draft_text(&w.draft, 0, PIECE_REASONING, SPAN_LIT("hm")));
    assert_true(draft_signature(&w.draft, 0, -1, SPAN_LIT("c2ln"), FAMILY_ANTHROPIC, false));
    assert_true(draft_text(&w.draft, 0, PIECE_TEXT, SPAN_LIT("a")));
    draft_finish(&w.draft, 0, FINISH_STOP, SPAN_NONE);
    end(&w);
    assert_string_equal(w.out.p, ROLE DELTA("\"reasoning_content\":\"hm\"", "null") DELTA("\"content\":\"a\"", "null")
                                     DELTA("", "\"stop\""));
    done(&w);
    begin(&w, true, false, TRI_UNSET);
    assert_true(draft_text(&w.draft, 0, PIECE_REASONING, SPAN_LIT("hm")));
    assert_int_equal(w.out.n, 0);
    done(&w);
}

static void every_end_has_its_reason(void **state)
{
    static const struct { enum finish finish; const char *want; } table[] = {
        { FINISH_STOP, "stop" }, { FINISH_LENGTH, "length" }, { FINISH_FILTERED, "content_filter" }, { FINISH_OTHER, "stop" },
        { FINISH_TOOL_CALLS, "stop" },    /* said without any call */
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char want[64];
        struct written w;

        begin(&w, false, false, TRI_UNSET);
        draft_finish(&w.draft, 0, table[i].finish, SPAN_NONE);
        end(&w);
        snprintf(want, sizeof want, "\"finish_reason\":\"%s\"}]}", table[i].want);
        assert_non_null(strstr(w.out.p, want));
        done(&w);
    }
}

static void a_whole_answer_has_all_members_that_clients_expect(void **state)
{
    static const struct usage u = { .input = 1, .cache_write_5m = 2, .cache_write_1h = 3, .output = 4 };
    struct written w;

    (void)state;
    begin(&w, false, false, TRI_YES);
    assert_true(draft_text(&w.draft, 0, PIECE_REASONING, SPAN_LIT("hm")));
    assert_true(draft_text(&w.draft, 0, PIECE_TEXT, SPAN_LIT("a\\n")));
    assert_true(draft_text(&w.draft, 0, PIECE_TEXT, SPAN_LIT("b")));
    assert_true(draft_citation(&w.draft, 0, SPAN_LIT("https://x"), SPAN_LIT("X"), 0, 3));
    assert_true(draft_logprobs(&w.draft, 0, SPAN_LIT("[{\"token\":\"a\"}]")));
    assert_true(draft_logprobs(&w.draft, 0, SPAN_LIT("[{\"token\":\"b\"}]")));
    assert_true(draft_call(&w.draft, 0, 0, SPAN_LIT("t1"), SPAN_LIT("f"), false));
    assert_true(draft_arguments(&w.draft, 0, 0, SPAN_LIT("{\\\"a\\\":12345678901234567890}")));
    assert_true(draft_call(&w.draft, 0, 1, SPAN_LIT("t2"), SPAN_LIT("g"), false));
    assert_true(draft_call(&w.draft, 0, 2, SPAN_LIT("t3"), SPAN_LIT("c"), true));
    assert_true(draft_arguments(&w.draft, 0, 2, SPAN_LIT("free \\\"text\\\"")));
    draft_finish(&w.draft, 0, FINISH_TOOL_CALLS, SPAN_NONE);
    draft_usage(&w.draft, &u, false);
    end(&w);
    assert_string_equal(w.out.p,
        "{\"id\":\"chatcmpl-r1\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"m\\\"x\",\"choices\":[{\"index\":0,"
        "\"message\":{\"role\":\"assistant\",\"content\":\"a\\nb\",\"reasoning_content\":\"hm\",\"refusal\":null,\"annotations\":["
        "{\"type\":\"url_citation\",\"url_citation\":{\"start_index\":0,\"end_index\":3,\"title\":\"X\",\"url\":\"https://x\"}}],"
        "\"tool_calls\":[{\"id\":\"t1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":"
        "\"{\\\"a\\\":12345678901234567890}\"}},{\"id\":\"t2\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}},"
        "{\"id\":\"t3\",\"type\":\"custom\",\"custom\":{\"name\":\"c\",\"input\":\"free \\\"text\\\"\"}}]},\"logprobs\":{\"content\":["
        "{\"token\":\"a\"},{\"token\":\"b\"}],\"refusal\":null},\"finish_reason\":\"tool_calls\"}],\"usage\":{\"prompt_tokens\":6,"
        "\"completion_tokens\":4,\"total_tokens\":10,\"prompt_tokens_details\":{\"cached_tokens\":0,\"cache_write_tokens\":5,"
        "\"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0,"
        "\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}}");
    assert_int_equal(w.terminal.n, 0);
    done(&w);
}

static void contents_are_null_where_there_is_no_text(void **state)
{
    struct written w;

    (void)state;
    begin(&w, false, false, TRI_UNSET);
    assert_true(draft_call(&w.draft, 0, 0, SPAN_LIT("t"), SPAN_LIT("f"), false));
    end(&w);
    assert_non_null(strstr(w.out.p, "\"content\":null,\"refusal\":null"));
    done(&w);
    begin(&w, false, false, TRI_UNSET);
    assert_true(draft_text(&w.draft, 0, PIECE_REFUSAL, SPAN_LIT("No.")));
    end(&w);
    assert_non_null(strstr(w.out.p, "\"content\":null,\"refusal\":\"No.\""));
    done(&w);
    begin(&w, false, false, TRI_UNSET);
    end(&w);
    assert_non_null(strstr(w.out.p, "\"content\":\"\",\"refusal\":null"));
    done(&w);
}

static void several_choices_keep_apart(void **state)
{
    struct written w;

    (void)state;
    begin(&w, true, false, TRI_UNSET);
    assert_true(draft_text(&w.draft, 1, PIECE_TEXT, SPAN_LIT("b")));
    assert_true(draft_text(&w.draft, 0, PIECE_TEXT, SPAN_LIT("a")));
    draft_finish(&w.draft, 0, FINISH_STOP, SPAN_NONE);
    end(&w);
    assert_non_null(strstr(w.out.p, "{\"index\":1,\"delta\":{\"content\":\"b\"}"));
    assert_non_null(strstr(w.out.p, "{\"index\":1,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}"));
    done(&w);
    begin(&w, false, false, TRI_UNSET);
    assert_true(draft_text(&w.draft, 1, PIECE_TEXT, SPAN_LIT("b")));
    end(&w);
    assert_non_null(strstr(w.out.p, "{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"\""));
    assert_non_null(strstr(w.out.p, "{\"index\":1,\"message\":{\"role\":\"assistant\",\"content\":\"b\""));
    done(&w);
}

/* ---- what we write, we read ---- */

static bool read_back(void *ctx, const struct sse_event *e)
{
    struct draft *d = ctx;
    struct jscan *s;

    if (span_is(e->data, "[DONE]"))
        return true;
    s = jscan_new(&jscan_default_limits, 1);
    assert_int_not_equal(jscan_feed(s, e->data), JSCAN_BAD);
    assert_int_equal(jscan_end(s), JSCAN_DONE);
    jscan_free(s);
    return openai_read_event(d, e->name, e->data, &target);
}

static void say_all(struct draft *d)
{
    static const struct usage u = { .input = 10, .cache_read = 20, .cache_write_5m = 5, .output = 7, .reasoning = 3 };

    draft_text(d, 0, PIECE_REASONING, SPAN_LIT("th\\u00e4nk"));
    draft_text(d, 0, PIECE_TEXT, SPAN_LIT("one \\\"two\\\" \\ud83d\\ude00"));
    draft_call(d, 0, 0, SPAN_LIT("t1"), SPAN_LIT("f"), false);
    draft_arguments(d, 0, 0, SPAN_LIT("{\\\"a\\\":\\\"\\\\n\\\"}"));
    draft_call(d, 0, 1, SPAN_LIT("t2"), SPAN_LIT("g"), false);
    draft_usage(d, &u, false);
    draft_finish(d, 0, FINISH_TOOL_CALLS, SPAN_NONE);
}

static void what_is_streamed_reads_as_what_is_sent_whole(void **state)
{
    struct written stream, whole;
    struct draft a, b;
    struct sse sse;

    (void)state;
    begin(&stream, true, true, TRI_YES);
    begin(&whole, false, false, TRI_YES);
    say_all(&stream.draft);
    say_all(&whole.draft);
    end(&stream);
    end(&whole);
    draft_init(&a);
    draft_init(&b);
    a.keep_reasoning = b.keep_reasoning = true;
    sse_init(&sse, 1u << 20);
    assert_int_equal(sse_feed(&sse, buf_span(&stream.out), read_back, &a), SSE_OK);
    assert_true(openai_read_whole(&b, buf_span(&whole.out), &target));
    assert_true(span_eq(buf_span(&a.text), buf_span(&b.text)) && span_eq(buf_span(&a.text), buf_span(&stream.draft.text)));
    assert_true(span_eq(buf_span(&a.reasoning), buf_span(&b.reasoning)) && a.reasoning.n);
    assert_int_equal(a.n_calls, 2);
    assert_int_equal(b.n_calls, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_true(span_eq(buf_span(&a.calls[i].id), buf_span(&b.calls[i].id)));
        assert_true(span_eq(buf_span(&a.calls[i].name), buf_span(&b.calls[i].name)));
        assert_true(span_eq(buf_span(&a.calls[i].arguments), buf_span(&b.calls[i].arguments)));
    }
    assert_true(span_is(buf_span(&a.calls[0].arguments), "{\"a\":\"\\n\"}") && span_is(buf_span(&a.calls[1].arguments), "{}"));
    assert_memory_equal(&a.usage, &b.usage, sizeof a.usage);
    assert_int_equal(a.finish, b.finish);
    sse_free(&sse);
    draft_free(&a);
    draft_free(&b);
    done(&stream);
    done(&whole);
}

/* wire/translation section 9: disjoint counters written and read back are the same (langwatch/langwatch#7018). */
static void usage_written_and_read_back_is_the_same(void **state)
{
    uint64_t x = 88172645463325252u;    /* Marsaglia's xorshift */

    (void)state;
    for (int i = 0; i < 2000; i++) {
        int64_t n[6];
        struct usage u;
        struct draft d;
        struct buf b;

        for (int k = 0; k < 6; k++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            n[k] = x & 1 ? (int64_t)(x % 1000000) : 0;
        }
        u = (struct usage){ .input = n[0], .cache_read = n[1], .cache_write_5m = n[2], .input_audio = n[3], .output = n[4],
                            .output_audio = n[5], .reasoning = n[4] / 2 };
        buf_init(&b, 4096);
        buf_add_char(&b, '{');
        openai_write_usage(&u, &b);
        buf_add_char(&b, '}');
        draft_init(&d);
        assert_true(openai_read_usage(&d, jval_get(buf_span(&b), "usage"), &quirks));
        assert_memory_equal(&d.usage, &u, sizeof u);
        assert_false(d.usage_mended);
        draft_free(&d);
        buf_free(&b);
    }
}

/* ---- faults ---- */

/* A host may break its JSON into lines between the tokens: in an event they would end the data. */
static void log_probabilities_stay_on_the_events_line(void **state)
{
    struct written w;

    (void)state;
    begin(&w, true, false, TRI_UNSET);
    assert_true(draft_logprobs(&w.draft, 0, SPAN_LIT("[{\"token\":\"a\\n\",\r\n\"logprob\":-1}]")));
    assert_string_equal(w.out.p, ROLE CHUNK("{\"index\":0,\"delta\":{},\"logprobs\":{\"content\":[{\"token\":\"a\\n\",  \"logprob\":-1}],"
                                            "\"refusal\":null},\"finish_reason\":null}"));
    done(&w);
}

/* Nobody could answer it: an empty list with the reason `tool_calls` makes a client wait for ever. */
static void a_call_that_was_never_named_is_none(void **state)
{
    struct written w;

    (void)state;
    begin(&w, false, false, TRI_UNSET);
    assert_true(draft_text(&w.draft, 0, PIECE_TEXT, SPAN_LIT("Hi")));
    assert_true(draft_call(&w.draft, 0, 0, SPAN_LIT("t1"), SPAN_NONE, false));
    draft_finish(&w.draft, 0, FINISH_STOP, SPAN_NONE);
    end(&w);
    assert_null(strstr(w.out.p, "tool_calls"));
    done(&w);
}

static void a_fault_within_a_stream_is_an_event_without_an_end(void **state)
{
    struct fault f;
    struct buf b;

    (void)state;
    fault_set(&f, 429, "insufficient_quota", "insufficient_quota", NULL, "Budget.");
    assert_int_equal(openai_fault_status(&f), 429);
    buf_init(&b, 4096);
    openai_write_stream_fault(&f, SPAN_LIT("r"), NULL, true, &b);
    assert_string_equal(b.p, "data: {\"error\":{\"message\":\"Budget.\",\"type\":\"insufficient_quota\",\"param\":null,\"code\":"
                             "\"insufficient_quota\"}}\n\n");
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_streams_as_openai_streams_it),
        cmocka_unit_test(usage_comes_in_a_chunk_of_its_own_when_it_is_asked_for),
        cmocka_unit_test(tool_calls_begin_with_id_and_name_and_then_argue),
        cmocka_unit_test(reasoning_is_shown_to_those_alone_who_asked),
        cmocka_unit_test(every_end_has_its_reason),
        cmocka_unit_test(a_whole_answer_has_all_members_that_clients_expect),
        cmocka_unit_test(contents_are_null_where_there_is_no_text),
        cmocka_unit_test(several_choices_keep_apart),
        cmocka_unit_test(what_is_streamed_reads_as_what_is_sent_whole),
        cmocka_unit_test(usage_written_and_read_back_is_the_same),
        cmocka_unit_test(log_probabilities_stay_on_the_events_line),
        cmocka_unit_test(a_call_that_was_never_named_is_none),
        cmocka_unit_test(a_fault_within_a_stream_is_an_event_without_an_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
