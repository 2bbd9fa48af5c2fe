/* test_gemini_reply.c - answers of other providers as a Gemini caller gets them: as a document, as events, as an array; read
 * again by our own reader each gives the draft that it was written from. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "gateway/dialects/sse.h"
#include "gateway/dialects/test_gemini.h"

enum form { DOCUMENT, EVENTS, ARRAY };

struct told {
    struct chat chat;
    struct draft d;
    struct writer *w;
    struct buf out, terminal;
};

static void begin(struct told *t, enum form form)
{
    struct reply_info info = { .id = SPAN_LIT("req_1"), .model = SPAN_LIT("deepseek-v4"), .chat = &t->chat };

    chat_init(&t->chat, DIALECT_GEMINI, SPAN_LIT("{}"));
    t->chat.stream = form != DOCUMENT;
    t->chat.stream_array = form == ARRAY;
    draft_init(&t->d);
    buf_init(&t->out, 8u << 20);
    buf_init(&t->terminal, 4096);
    t->w = gemini_dialect.writer_new(&info, &t->out);
    assert_non_null(t->w);
    t->d.writer = t->w;
}

static void finish(struct told *t, enum finish f, struct usage usage)
{
    draft_finish(&t->d, 0, f, SPAN_NONE);
    draft_usage(&t->d, &usage, false);
    assert_true(gemini_dialect.writer_end(t->w, &t->d, &t->terminal));
    buf_add_span(&t->out, buf_span(&t->terminal));
}

static void done(struct told *t)
{
    gemini_dialect.writer_free(t->w);
    t->d.writer = NULL;
    draft_free(&t->d);
    buf_free(&t->out);
    buf_free(&t->terminal);
}

/* ---- golden ---- */

#define TAIL ",\"modelVersion\":\"deepseek-v4\",\"responseId\":\"req_1\"}"
#define USAGE ",\"usageMetadata\":{\"promptTokenCount\":16,\"cachedContentTokenCount\":6,\"candidatesTokenCount\":3," \
    "\"thoughtsTokenCount\":2,\"totalTokenCount\":21}"
#define CHUNK(part) "{\"candidates\":[{\"content\":{\"parts\":[" part "],\"role\":\"model\"},\"index\":0}]" TAIL
/* base64 of "skip_thought_signature_validator" */
#define UNSIGNED ",\"thoughtSignature\":\"c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=\""
#define CALLS "{\"functionCall\":{\"id\":\"c1\",\"name\":\"f\",\"args\":{\"a\":[1, 2]}}" UNSIGNED "},{\"functionCall\":{\"id\":\"c2\",\"name\":\"g\",\"args\":{}}}"
#define LAST(parts) "{\"candidates\":[{\"content\":{\"parts\":[" parts "],\"role\":\"model\"},\"finishReason\":\"STOP\",\"index\":0}]" USAGE TAIL

/* As an OpenAI host may send it: reasoning, text, and two calls whose arguments come in turns. */
static void tell_all(struct told *t, enum form form)
{
    begin(t, form);
    t->chat.show_reasoning = TRI_YES;
    draft_text(&t->d, 0, PIECE_REASONING, SPAN_LIT("h"));
    draft_text(&t->d, 0, PIECE_REASONING, SPAN_LIT("m\\n"));
    draft_text(&t->d, 0, PIECE_TEXT, SPAN_LIT("caf"));
    draft_text(&t->d, 0, PIECE_TEXT, SPAN_LIT("\\u00e9"));
    draft_call(&t->d, 0, 0, SPAN_LIT("c1"), SPAN_LIT("f"), false);
    draft_arguments(&t->d, 0, 0, SPAN_LIT("{\\\"a\\\":"));
    draft_call(&t->d, 0, 1, SPAN_LIT("c2"), SPAN_LIT("g"), false);
    draft_arguments(&t->d, 0, 0, SPAN_LIT("[1,\\n2]}"));
    finish(t, FINISH_TOOL_CALLS, (struct usage){ .input = 10, .cache_read = 6, .output = 5, .reasoning = 2 });
}

static void a_document_holds_everything(void **state)
{
    struct told t;

    (void)state;
    tell_all(&t, DOCUMENT);
    assert_json(&t.out, LAST("{\"text\":\"hm\\n\",\"thought\":true},{\"text\":\"caf\\u00e9\"}," CALLS));
    assert_int_equal(t.terminal.n, 0);
    done(&t);
}

/* Arguments come whole and last (BerriAI/litellm#25836), their line ends as blanks: one event is one line. */
static void events_bring_texts_as_they_come_and_calls_whole_at_the_end(void **state)
{
    struct told t;

    (void)state;
    tell_all(&t, EVENTS);
    assert_string_equal(t.out.p,
                        "data: " CHUNK("{\"text\":\"h\",\"thought\":true}") "\r\n\r\n"
                        "data: " CHUNK("{\"text\":\"m\\n\",\"thought\":true}") "\r\n\r\n"
                        "data: " CHUNK("{\"text\":\"caf\"}") "\r\n\r\n"
                        "data: " CHUNK("{\"text\":\"\\u00e9\"}") "\r\n\r\n"
                        "data: " LAST(CALLS) "\r\n\r\n");
    assert_int_equal(t.terminal.n, 0);    /* there is no [DONE] here */
    done(&t);
}

static void an_array_brings_the_same_as_elements(void **state)
{
    struct told t;

    (void)state;
    tell_all(&t, ARRAY);
    assert_json(&t.out, "[" CHUNK("{\"text\":\"h\",\"thought\":true}") ",\r\n" CHUNK("{\"text\":\"m\\n\",\"thought\":true}") ",\r\n"
                        CHUNK("{\"text\":\"caf\"}") ",\r\n" CHUNK("{\"text\":\"\\u00e9\"}") ",\r\n" LAST(CALLS) "]");
    assert_string_equal(t.terminal.p, "]");
    done(&t);
}

static void thoughts_are_shown_only_when_asked_for(void **state)
{
    static const enum tri not_asked[] = { TRI_UNSET, TRI_NO };

    (void)state;
    for (size_t i = 0; i < 2; i++)
        for (enum form form = DOCUMENT; form <= ARRAY; form++) {
            struct told t;

            begin(&t, form);
            t.chat.show_reasoning = not_asked[i];
            draft_text(&t.d, 0, PIECE_REASONING, SPAN_LIT("secret"));
            draft_text(&t.d, 0, PIECE_TEXT, SPAN_LIT("a"));
            finish(&t, FINISH_STOP, (struct usage){ .input = 1, .output = 1 });
            assert_null(strstr(t.out.p, "secret"));
            done(&t);
        }
}

/* Google's own clients drop a content without parts from the history, with the question before it. */
static void an_empty_answer_still_has_a_part(void **state)
{
    struct told t;

    (void)state;
    begin(&t, DOCUMENT);
    finish(&t, FINISH_LENGTH, (struct usage){ .input = 1, .output = 9, .reasoning = 9 });
    assert_json(&t.out, "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}],\"role\":\"model\"},\"finishReason\":\"MAX_TOKENS\","
                        "\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":1,\"candidatesTokenCount\":0,\"thoughtsTokenCount\":9,"
                        "\"totalTokenCount\":10}" TAIL);
    done(&t);
}

static void finishes_become_reasons(void **state)
{
    static const struct { enum finish finish; const char *word; } table[] = {
        { FINISH_STOP, "STOP" }, { FINISH_TOOL_CALLS, "STOP" }, { FINISH_LENGTH, "MAX_TOKENS" }, { FINISH_FILTERED, "SAFETY" },
        { FINISH_OTHER, "OTHER" }, { FINISH_INTERRUPTED, "OTHER" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct told t;
        char want[64];

        begin(&t, DOCUMENT);
        draft_text(&t.d, 0, PIECE_TEXT, SPAN_LIT("a"));
        finish(&t, table[i].finish, (struct usage){ .output = 1 });
        snprintf(want, sizeof want, "\"finishReason\":\"%s\"", table[i].word);
        assert_non_null(strstr(t.out.p, want));
        done(&t);
    }
}

static void signatures_of_gemini_keep_their_place_and_others_are_not_shown(void **state)
{
    struct told t;

    (void)state;
    begin(&t, DOCUMENT);
    draft_text(&t.d, 0, PIECE_TEXT, SPAN_LIT("a"));
    draft_signature(&t.d, 0, -1, SPAN_LIT("dA=="), FAMILY_GEMINI, false);
    draft_signature(&t.d, 0, -1, SPAN_LIT("WA=="), FAMILY_ANTHROPIC, false);
    draft_signature(&t.d, 0, -1, SPAN_LIT("WQ=="), FAMILY_ANTHROPIC, true);
    draft_call(&t.d, 0, 0, SPAN_LIT("c1"), SPAN_LIT("f"), false);
    draft_signature(&t.d, 0, 0, SPAN_LIT("c2ln"), FAMILY_GEMINI, false);
    finish(&t, FINISH_TOOL_CALLS, (struct usage){ .input = 10, .cache_read = 6, .output = 5, .reasoning = 2 });
    assert_json(&t.out, LAST("{\"text\":\"a\"},{\"text\":\"\",\"thoughtSignature\":\"dA==\"},"
                             "{\"functionCall\":{\"id\":\"c1\",\"name\":\"f\",\"args\":{}},\"thoughtSignature\":\"c2ln\"}"));
    done(&t);
}

static void arguments_that_are_no_object_are_shown_as_they_came(void **state)
{
    struct told t;

    (void)state;
    begin(&t, DOCUMENT);
    draft_call(&t.d, 0, 0, SPAN_LIT("c1"), SPAN_LIT("f"), false);
    draft_arguments(&t.d, 0, 0, SPAN_LIT("{\\\"cut"));
    finish(&t, FINISH_TOOL_CALLS, (struct usage){ .input = 10, .cache_read = 6, .output = 5, .reasoning = 2 });
    assert_json(&t.out, LAST("{\"functionCall\":{\"id\":\"c1\",\"name\":\"f\",\"args\":{\"_raw\":\"{\\\"cut\"}}" UNSIGNED "}"));
    done(&t);
}

static void candidates_are_told_apart(void **state)
{
    struct told t;

    (void)state;
    begin(&t, DOCUMENT);
    t.chat.n = 2;
    draft_text(&t.d, 0, PIECE_TEXT, SPAN_LIT("a"));
    draft_text(&t.d, 1, PIECE_TEXT, SPAN_LIT("x"));
    draft_text(&t.d, 0, PIECE_TEXT, SPAN_LIT("b"));
    draft_text(&t.d, 99, PIECE_TEXT, SPAN_LIT("nobody asked"));
    finish(&t, FINISH_STOP, (struct usage){ .input = 1, .output = 3 });
    assert_json(&t.out, "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"ab\"}],\"role\":\"model\"},\"finishReason\":\"STOP\",\"index\":0},"
                        "{\"content\":{\"parts\":[{\"text\":\"x\"}],\"role\":\"model\"},\"finishReason\":\"STOP\",\"index\":1}],"
                        "\"usageMetadata\":{\"promptTokenCount\":1,\"candidatesTokenCount\":3,\"totalTokenCount\":4}" TAIL);
    done(&t);
}

static void citations_and_log_probabilities_have_their_places(void **state)
{
    struct told t;

    (void)state;
    begin(&t, DOCUMENT);
    draft_text(&t.d, 0, PIECE_TEXT, SPAN_LIT("a"));
    draft_citation(&t.d, 0, SPAN_LIT("https://u"), SPAN_LIT("T"), 0, 1);
    draft_logprobs(&t.d, 0, scanned("[{\"token\":\"a\",\"logprob\":-0.5,\"bytes\":[97],\"top_logprobs\":[{\"token\":\"a\",\"logprob\":-0.5}]}]"));
    finish(&t, FINISH_STOP, (struct usage){ .input = 1, .output = 1 });
    assert_json(&t.out, "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}],\"role\":\"model\"},\"finishReason\":\"STOP\",\"index\":0,"
                        "\"groundingMetadata\":{\"groundingChunks\":[{\"web\":{\"uri\":\"https://u\",\"title\":\"T\"}}]},"
                        "\"logprobsResult\":{\"chosenCandidates\":[{\"token\":\"a\",\"logProbability\":-0.5}],"
                        "\"topCandidates\":[{\"candidates\":[{\"token\":\"a\",\"logProbability\":-0.5}]}]}}],"
                        "\"usageMetadata\":{\"promptTokenCount\":1,\"candidatesTokenCount\":1,\"totalTokenCount\":2}" TAIL);
    done(&t);
}

/* ---- read again ---- */

static bool on_event(void *ctx, const struct sse_event *e)
{
    struct draft *d = ctx;
    struct buf json;

    if (!e->data.p)
        return true;
    buf_init(&json, 8u << 20);
    buf_add_span(&json, e->data);
    scanned(json.p);
    buf_free(&json);
    return gemini_dialect.read_event(d, e->name, e->data, &to_3);
}

static void read_again(struct told *t, enum form form, struct draft *d)
{
    struct sse s;

    draft_init(d);
    if (form != EVENTS) {
        assert_true(gemini_dialect.read_whole(d, scanned(t->out.p), &to_3));
        return;
    }
    sse_init(&s, 8u << 20);
    assert_int_equal(sse_feed(&s, buf_span(&t->out), on_event, d), SSE_OK);
    assert_int_equal(sse_rest(&s).n, 0);    /* Google's client throws on a rest */
    sse_free(&s);
}

static void what_we_write_reads_back_as_what_it_was(void **state)
{
    (void)state;
    for (enum form form = DOCUMENT; form <= ARRAY; form++) {
        struct told t;
        struct draft d;

        tell_all(&t, form);
        read_again(&t, form, &d);
        assert_true(span_eq(buf_span(&d.text), buf_span(&t.d.text)));
        assert_int_equal(d.finish, FINISH_TOOL_CALLS);
        assert_true(d.ended && d.has_usage && !d.usage_mended);
        assert_memory_equal(&d.usage, &t.d.usage, sizeof d.usage);
        assert_int_equal(d.n_calls, 2);
        assert_span(buf_span(&d.calls[0].id), "c1");
        assert_span(buf_span(&d.calls[0].name), "f");
        assert_span(buf_span(&d.calls[0].arguments), "{\"a\":[1, 2]}");
        assert_span(buf_span(&d.calls[1].arguments), "{}");
        assert_string_equal(d.model, "deepseek-v4");
        assert_string_equal(d.id, "req_1");
        draft_free(&d);
        done(&t);
    }
}

/* wire/translation section 9: disjoint counters survive writing and reading. Writes to a cache have no counter here and come
 * back as input, searches are no tokens. */
static void usage_survives_the_way_out_and_back(void **state)
{
    unsigned seed = 1;

    (void)state;
    for (int i = 0; i < 2000; i++) {
        struct usage u, want;
        int64_t n[9];
        struct told t;
        struct draft d;

        for (size_t k = 0; k < 9; k++) {
            seed = seed * 1103515245u + 12345u;    /* the standard's own example */
            n[k] = (seed >> 8) % 5 ? (int64_t)((seed >> 4) % 100000) : 0;
        }
        u = (struct usage){ .input = n[0], .cache_read = n[1], .cache_write_5m = n[2], .cache_write_1h = n[3], .output = n[4] + n[5],
                            .reasoning = n[5], .input_audio = n[6], .input_image = n[7], .output_image = n[8] };
        begin(&t, i % 2 ? DOCUMENT : EVENTS);
        finish(&t, FINISH_STOP, u);
        read_again(&t, i % 2 ? DOCUMENT : EVENTS, &d);
        want = u;
        want.input += u.cache_write_5m + u.cache_write_1h;
        want.cache_write_5m = want.cache_write_1h = 0;
        if (memcmp(&d.usage, &want, sizeof want) != 0 || d.usage_mended)
            fail_msg("round %d: %s", i, t.out.p);
        draft_free(&d);
        done(&t);
    }
}

/* ---- what passes, faults, pages ---- */

static void events_of_the_same_dialect_pass_and_become_elements_of_an_array(void **state)
{
    const struct span raw = SPAN_LIT("data: {\"a\":1}\r\n\r\n"), json = { raw.p + 6, 7 };
    struct chat chat;
    struct buf out, terminal;

    (void)state;
    chat_init(&chat, DIALECT_GEMINI, SPAN_LIT("{}"));
    chat.stream = true;
    buf_init(&out, 4096);
    buf_init(&terminal, 4096);
    assert_int_equal(gemini_dialect.relay(&chat, raw, json, false, &out, &terminal), RELAY_PASSED);
    assert_string_equal(out.p, raw.p);
    assert_string_equal(gemini_dialect.relay_end(&chat), "");
    buf_clear(&out);
    chat.stream_array = true;
    gemini_dialect.relay(&chat, raw, json, false, &out, &terminal);
    gemini_dialect.relay(&chat, raw, json, true, &out, &terminal);
    buf_add_str(&out, gemini_dialect.relay_end(&chat));
    assert_json(&out, "[{\"a\":1},\r\n{\"a\":1}]");
    assert_int_equal(terminal.n, 0);
    buf_free(&out);
    buf_free(&terminal);
}

/* A connection may be cut behind it: a caller would have both the end and an error. */
static void what_says_that_the_answer_is_over_waits_for_the_row_with_all_behind_it(void **state)
{
    static const struct { const char *event, *then; int64_t n; bool held; } table[] = {
        { "{\"candidates\":[{\"finishReason\":\"STOP\"}]}", "{\"usageMetadata\":{}}", 1, true },
        { "{\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}", "{\"usageMetadata\":{}}", 1, true },
        { "{\"candidates\":[{\"finishReason\":null}]}", "{}", 1, false },
        { "{\"candidates\":[]}", "{}", 1, false },
        { "{\"candidates\":[{\"finishReason\":\"STOP\"}]}", "{}", 2, false },    /* the other one goes on */
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const enum relay want = table[i].held ? RELAY_HELD : RELAY_PASSED;
        const struct span first = span_str(table[i].event), second = span_str(table[i].then);
        struct chat chat;
        struct buf out, terminal, text;

        chat_init(&chat, DIALECT_GEMINI, SPAN_LIT("{}"));
        chat.n = table[i].n;
        chat.stream = chat.stream_array = true;
        buf_init(&out, 4096);
        buf_init(&terminal, 4096);
        buf_init(&text, 4096);
        assert_int_equal(gemini_dialect.relay(&chat, first, first, false, &out, &terminal), want);
        assert_int_equal(gemini_dialect.relay(&chat, second, second, !table[i].held, &out, &terminal), want);
        assert_int_equal(out.n == 0, table[i].held);
        assert_int_equal(terminal.n > 0, table[i].held);
        buf_printf(&text, "[%s,\r\n%s", table[i].event, table[i].then);
        assert_string_equal(table[i].held ? terminal.p : out.p, text.p);
        buf_free(&out);
        buf_free(&terminal);
        buf_free(&text);
    }
}

static void faults_speak_googles_words(void **state)
{
    static const struct { int status; const char *code, *word; } table[] = {
        { 400, "invalid_value", "INVALID_ARGUMENT" }, { 400, "context_length_exceeded", "INVALID_ARGUMENT" },
        { 401, "invalid_api_key", "UNAUTHENTICATED" }, { 403, NULL, "PERMISSION_DENIED" },
        { 429, "insufficient_quota", "RESOURCE_EXHAUSTED" },    /* a budget: DESIGN section 4 */
        { 404, "model_not_found", "NOT_FOUND" }, { 413, NULL, "INVALID_ARGUMENT" }, { 429, "rate_limit_exceeded", "RESOURCE_EXHAUSTED" },
        { 502, "upstream_credential", "INTERNAL" }, { 502, "upstream_quota", "INTERNAL" }, { 503, "upstream_overloaded", "UNAVAILABLE" }, { 502, "upstream_error", "UNAVAILABLE" },
        { 504, "timeout", "DEADLINE_EXCEEDED" }, { 502, "answer_rejected", "INTERNAL" }, { 409, NULL, "ABORTED" },
        { 422, NULL, "INVALID_ARGUMENT" }, { 500, NULL, "INTERNAL" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct fault f;
        struct buf out;
        char want[64];

        fault_set(&f, table[i].status, "x", table[i].code, NULL, "a \"b\" \xff");
        buf_init(&out, 8192);
        gemini_dialect.write_fault(&f, SPAN_LIT("r"), &out);
        scanned(out.p);
        snprintf(want, sizeof want, "\"status\":\"%s\"", table[i].word);
        if (!strstr(out.p, want))
            fail_msg("%s", out.p);
        assert_int_equal(gemini_dialect.fault_status(&f), table[i].status);
        buf_free(&out);
    }
}

static void a_fault_tells_its_field_its_wait_and_its_request(void **state)
{
    struct fault f;
    struct buf out;
    struct chat chat;

    (void)state;
    fault_set(&f, 429, "rate_limit_error", "rate_limit_exceeded", "contents[0]", "slow");
    f.retry_after_ms = 6100;
    buf_init(&out, 8192);
    gemini_dialect.write_fault(&f, SPAN_LIT("req_9"), &out);
#define ERROR "{\"error\":{\"code\":429,\"message\":\"slow\",\"status\":\"RESOURCE_EXHAUSTED\",\"details\":[" \
    "{\"@type\":\"type.googleapis.com/google.rpc.ErrorInfo\",\"reason\":\"RATE_LIMIT_EXCEEDED\",\"domain\":\"tollgate\"}," \
    "{\"@type\":\"type.googleapis.com/google.rpc.BadRequest\",\"fieldViolations\":[{\"field\":\"contents[0]\"}]}," \
    "{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"7s\"}," \
    "{\"@type\":\"type.googleapis.com/google.rpc.RequestInfo\",\"requestId\":\"req_9\"}]}}"
    assert_json(&out, ERROR);
    chat_init(&chat, DIALECT_GEMINI, SPAN_LIT("{}"));
    chat.stream = true;
    buf_clear(&out);
    gemini_dialect.write_stream_fault(&f, SPAN_LIT("req_9"), &chat, true, &out);
    assert_string_equal(out.p, "data: " ERROR "\r\n\r\n");
    chat.stream_array = true;
    buf_clear(&out);
    gemini_dialect.write_stream_fault(&f, SPAN_LIT("req_9"), &chat, false, &out);
    assert_json(&out, "[" ERROR "]");
    buf_clear(&out);
    buf_add_str(&out, "[{}");
    gemini_dialect.write_stream_fault(&f, SPAN_LIT("req_9"), &chat, true, &out);
    assert_json(&out, "[{},\r\n" ERROR "]");
    buf_free(&out);
}

static void pages_are_googles(void **state)
{
    const struct gemini_model models[] = { { .name = SPAN_LIT("auto") },
                                           { .name = SPAN_LIT("openai/gpt-5.5"), .title = SPAN_LIT("GPT"), .context = 400000, .max_output = 128000 } };
    struct buf out;

    (void)state;
    buf_init(&out, 8192);
    assert_true(gemini_write_models(models, 2, &(struct gemini_page){ 0 }, &out));
    assert_json(&out, "{\"models\":[{\"name\":\"models/auto\",\"version\":\"1\",\"displayName\":\"auto\",\"supportedGenerationMethods\":"
                      "[\"generateContent\",\"countTokens\"]},{\"name\":\"models/openai/gpt-5.5\",\"version\":\"1\",\"displayName\":\"GPT\","
                      "\"inputTokenLimit\":400000,\"outputTokenLimit\":128000,\"supportedGenerationMethods\":"
                      "[\"generateContent\",\"countTokens\"]}]}");
    buf_clear(&out);
    gemini_write_model(&models[0], &out);
    assert_json(&out, "{\"name\":\"models/auto\",\"version\":\"1\",\"displayName\":\"auto\",\"supportedGenerationMethods\":"
                      "[\"generateContent\",\"countTokens\"]}");
    buf_clear(&out);
    gemini_write_count(42, &out);
    assert_json(&out, "{\"totalTokens\":42}");
    buf_free(&out);
}

static void a_list_of_models_comes_in_pages(void **state)
{
    const struct gemini_model models[] = { { .name = SPAN_LIT("a") }, { .name = SPAN_LIT("b") }, { .name = SPAN_LIT("c") } };
    static const struct { struct gemini_page page; const char *has, *has_not; } table[] = {
        { { .size = 3 }, "models/c", "nextPageToken" },
        { { .size = 2 }, "\"nextPageToken\":\"b\"", "models/c" },
        { { .size = 2, .token = { "b", 1 } }, "models/c", "nextPageToken" },
        { { .size = 1, .token = { "a", 1 } }, "\"nextPageToken\":\"b\"", "models/a" },
        { { .token = { "a", 1 } }, "models/c", "models/a" },
        { { .token = { "c", 1 } }, "\"models\":[]", "nextPageToken" },
    };
    struct buf out;

    (void)state;
    buf_init(&out, 8192);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        buf_clear(&out);
        assert_true(gemini_write_models(models, 3, &table[i].page, &out));
        assert_true(span_find_span(buf_span(&out), span_str(table[i].has)) < out.n);
        assert_true(span_find_span(buf_span(&out), span_str(table[i].has_not)) == out.n);
    }
    buf_clear(&out);
    assert_false(gemini_write_models(models, 3, &(struct gemini_page){ .token = SPAN_LIT("d") }, &out));
    assert_true(out.n == 0);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_holds_everything),
        cmocka_unit_test(events_bring_texts_as_they_come_and_calls_whole_at_the_end),
        cmocka_unit_test(an_array_brings_the_same_as_elements),
        cmocka_unit_test(thoughts_are_shown_only_when_asked_for),
        cmocka_unit_test(an_empty_answer_still_has_a_part),
        cmocka_unit_test(finishes_become_reasons),
        cmocka_unit_test(signatures_of_gemini_keep_their_place_and_others_are_not_shown),
        cmocka_unit_test(arguments_that_are_no_object_are_shown_as_they_came),
        cmocka_unit_test(candidates_are_told_apart),
        cmocka_unit_test(citations_and_log_probabilities_have_their_places),
        cmocka_unit_test(what_we_write_reads_back_as_what_it_was),
        cmocka_unit_test(usage_survives_the_way_out_and_back),
        cmocka_unit_test(events_of_the_same_dialect_pass_and_become_elements_of_an_array),
        cmocka_unit_test(what_says_that_the_answer_is_over_waits_for_the_row_with_all_behind_it),
        cmocka_unit_test(faults_speak_googles_words),
        cmocka_unit_test(a_fault_tells_its_field_its_wait_and_its_request),
        cmocka_unit_test(pages_are_googles),
        cmocka_unit_test(a_list_of_models_comes_in_pages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
