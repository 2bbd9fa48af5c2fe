/* test_gemini_answer.c - what Gemini's providers answer, whole, as an array or event by event, gives one draft; usage is counted
 * once and disjointly; errors say what policies/failure.c asks for. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/dialects/sse.h"
#include "gateway/dialects/test_gemini.h"
#include "policies/failure.h"

/* A writer that notes the pieces: "text(a) call0(id,name) args0({})". Texts of one kind in a row are joined, so that a stream
 * and a document note the same. */
struct recorder {
    struct writer w;
    struct buf log;
    int last;                  /* kind of the last piece, while it may be continued */
};

static bool note(struct writer *w, const struct piece *p)
{
    static const char *const names[] = { "text", "refusal", "reasoning", "signature", "redacted", "call", "args", "citation",
                                         "logprobs" };
    struct recorder *r = (struct recorder *)w;

    if ((int)p->kind == r->last && p->kind <= PIECE_REASONING && p->choice == 0) {
        r->log.n--;
        buf_add_span(&r->log, p->raw);
        return buf_add_char(&r->log, ')');
    }
    r->last = (int)p->kind;
    buf_printf(&r->log, "%s%s", r->log.n ? " " : "", names[p->kind]);
    if (p->choice)
        buf_printf(&r->log, "[%u]", p->choice);
    if (p->call >= 0)
        buf_printf(&r->log, "%d", p->call);
    buf_add_char(&r->log, '(');
    if (p->kind == PIECE_CALL)
        buf_printf(&r->log, "%.*s,%.*s", SPAN_FMT(p->id), SPAN_FMT(p->name));
    else
        buf_add_span(&r->log, p->kind == PIECE_LOGPROBS ? p->json : p->raw);
    return buf_add_char(&r->log, ')');
}

static const struct dialect recording = { .id = DIALECT_CHAT, .name = "recording", .writer_piece = note };

struct heard {
    struct draft d;
    struct recorder r;
};

static void listen(struct heard *h)
{
    draft_init(&h->d);
    h->r = (struct recorder){ .w = { .dialect = &recording }, .last = -1 };
    buf_init(&h->r.log, 4u << 20);
    h->d.writer = &h->r.w;
}

static void done(struct heard *h)
{
    draft_free(&h->d);
    buf_free(&h->r.log);
}

static void hear(struct heard *h, const char *json)
{
    listen(h);
    if (!gemini_dialect.read_whole(&h->d, scanned(json), &to_3))
        fail_msg("not read: %s", json);
}

static const char *log_of(const struct heard *h)
{
    return h->r.log.p ? h->r.log.p : "";
}

/* ---- usage ---- */

#define USED(usage) "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hi\"}]},\"finishReason\":\"STOP\"}],\"usageMetadata\":{" usage "}}"

static void usage_becomes_disjoint(void **state)
{
    static const struct { const char *why, *json; struct usage want; bool mended; } table[] = {
        { "plain", USED("\"promptTokenCount\":10,\"candidatesTokenCount\":5,\"totalTokenCount\":15"), { .input = 10, .output = 5 }, 0 },
        { "cached tokens are within the prompt: charged twice in BerriAI/litellm#14849, at the full rate in langwatch#7018",
          USED("\"promptTokenCount\":10000,\"cachedContentTokenCount\":9000,\"candidatesTokenCount\":5,\"totalTokenCount\":10005"),
          { .input = 1000, .cache_read = 9000, .output = 5 }, 0 },
        { "implicit cache hits come in the same counter: taken for zero in BerriAI/litellm#16341",
          USED("\"promptTokenCount\":2152,\"cachedContentTokenCount\":2027,\"candidatesTokenCount\":1,"
               "\"cacheTokensDetails\":[{\"modality\":\"TEXT\",\"tokenCount\":2027}]"),
          { .input = 125, .cache_read = 2027, .output = 1 }, 0 },
        { "thoughts are beside the candidates: all output lost in agentgateway/agentgateway#3228",
          USED("\"promptTokenCount\":10,\"candidatesTokenCount\":20,\"thoughtsTokenCount\":300,\"totalTokenCount\":330"),
          { .input = 10, .output = 320, .reasoning = 300 }, 0 },
        { "all of it was thinking", USED("\"promptTokenCount\":10,\"thoughtsTokenCount\":300,\"totalTokenCount\":310"),
          { .input = 10, .output = 300, .reasoning = 300 }, 0 },
        { "tool prompts are beside the prompt",
          USED("\"promptTokenCount\":10,\"toolUsePromptTokenCount\":40,\"candidatesTokenCount\":5,\"totalTokenCount\":55"),
          { .input = 50, .output = 5 }, 0 },
        { "audio and pictures are told apart, also within the cached part",
          USED("\"promptTokenCount\":100,\"cachedContentTokenCount\":30,\"candidatesTokenCount\":5,\"promptTokensDetails\":["
               "{\"modality\":\"TEXT\",\"tokenCount\":40},{\"modality\":\"AUDIO\",\"tokenCount\":50},"
               "{\"modality\":\"IMAGE\",\"tokenCount\":10}],\"cacheTokensDetails\":[{\"modality\":\"AUDIO\",\"tokenCount\":30}]"),
          { .input = 40, .cache_read = 30, .input_audio = 20, .input_image = 10, .output = 5 }, 0 },
        { "what is made of them too",
          USED("\"promptTokenCount\":1,\"candidatesTokenCount\":1300,\"candidatesTokensDetails\":["
               "{\"modality\":\"IMAGE\",\"tokenCount\":1290}]"), { .input = 1, .output = 10, .output_image = 1290 }, 0 },
        { "counters may be strings", USED("\"promptTokenCount\":\"10\",\"candidatesTokenCount\":\"5\""), { .input = 10, .output = 5 }, 0 },
        { "a total that disagrees flags the row; the parts hold",
          USED("\"promptTokenCount\":10,\"candidatesTokenCount\":5,\"totalTokenCount\":40"), { .input = 10, .output = 5 }, 1 },
        { "more cached than prompt is clamped and flagged",
          USED("\"promptTokenCount\":10,\"cachedContentTokenCount\":11,\"candidatesTokenCount\":1"), { .cache_read = 10, .output = 1 }, 1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct heard h;

        hear(&h, table[i].json);
        if (!h.d.has_usage || memcmp(&h.d.usage, &table[i].want, sizeof h.d.usage) != 0)
            fail_msg("%s", table[i].why);
        assert_int_equal(h.d.usage_mended, table[i].mended);
        done(&h);
    }
}

static void usage_that_is_no_count_is_no_usage(void **state)
{
    static const char *const table[] = {
        USED(""), USED("\"trafficType\":\"ON_DEMAND\""), USED("\"promptTokenCount\":-1,\"candidatesTokenCount\":5"),
        USED("\"promptTokenCount\":5,\"candidatesTokenCount\":-5"), USED("\"promptTokenCount\":null"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct heard h;

        hear(&h, table[i]);
        assert_false(h.d.has_usage);
        done(&h);
    }
}

/* BerriAI/litellm#11017: no tier above 200,000. The tier is judged by the whole prompt, the cached part included. */
static void the_whole_prompt_is_what_tiers_are_judged_by(void **state)
{
    struct heard h;

    (void)state;
    hear(&h, USED("\"promptTokenCount\":250000,\"cachedContentTokenCount\":240000,\"candidatesTokenCount\":5"));
    assert_int_equal(usage_prompt(&h.d.usage), 250000);
    done(&h);
}

static void counters_that_run_are_kept_as_they_end(void **state)
{
    static const char *const events[] = {
        "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}],\"usageMetadata\":{\"promptTokenCount\":9,\"totalTokenCount\":9}}",
        "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"b\"}]}}],\"usageMetadata\":{\"promptTokenCount\":9,\"candidatesTokenCount\":4}}",
        ("{\"candidates\":[{\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":9,\"candidatesTokenCount\":7,"
         "\"totalTokenCount\":16,\"serviceTier\":\"FLEX\"}}"),
    };
    struct heard h;

    (void)state;
    listen(&h);
    assert_true(gemini_dialect.read_event(&h.d, SPAN_NONE, scanned(events[0]), &to_3));
    /* Cut here, its output is not known: it is not for free (BerriAI/litellm#14457). */
    assert_false(h.d.has_usage);
    assert_true(h.d.usage_begun);
    assert_int_equal(h.d.usage.input, 9);
    assert_true(gemini_dialect.read_event(&h.d, SPAN_NONE, scanned(events[1]), &to_3));
    assert_int_equal(h.d.usage.output, 4);
    assert_false(h.d.ended);
    assert_true(gemini_dialect.read_event(&h.d, SPAN_NONE, scanned(events[2]), &to_3));
    assert_int_equal(h.d.usage.input, 9);
    assert_int_equal(h.d.usage.output, 7);
    assert_string_equal(h.d.service_tier, "flex");
    assert_false(h.d.usage_mended);
    assert_true(h.d.ended);
    done(&h);
}

static void searches_are_counted_by_the_query_or_by_the_answer(void **state)
{
    const char *json = "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"x\"}]},\"finishReason\":\"STOP\",\"groundingMetadata\":{"
                       "\"webSearchQueries\":[\"a\",\"b\",\"c\"],\"groundingChunks\":[{\"web\":{\"uri\":\"https://u\",\"title\":\"T\"}}]}}],"
                       "\"usageMetadata\":{\"promptTokenCount\":1,\"candidatesTokenCount\":1}}";
    struct heard h;

    (void)state;
    hear(&h, json);
    assert_int_equal(h.d.usage.searches, 3);
    assert_string_equal(log_of(&h), "text(x) citation(https://u)");
    done(&h);
    listen(&h);
    assert_true(gemini_dialect.read_whole(&h.d, scanned(json), &to_25));
    assert_int_equal(h.d.usage.searches, 1);
    done(&h);
}

/* ---- parts ---- */

static void parts_become_pieces_in_their_order(void **state)
{
    struct heard h;
    struct answer v;

    (void)state;
    hear(&h, "{\"responseId\":\"r1\",\"modelVersion\":\"gemini-3-x\",\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":["
             "{\"text\":\"hm\\n\",\"thought\":true},{\"text\":\"a\"},{\"text\":\"b\\u00e9\",\"thoughtSignature\":\"cw==\"},"
             "{\"functionCall\":{\"name\":\"f\",\"args\":{\"s\":\"\\\"\",\"n\":9007199254740993}},\"thoughtSignature\":\"Zg==\"},"
             "{\"functionCall\":{\"id\":\"x\",\"name\":\"g\"}}]},\"finishReason\":\"STOP\"}]}");
    assert_string_equal(log_of(&h), "reasoning(hm\\n) text(ab\\u00e9) signature(cw==) call0(call_r10,f) "
                                    "args0({\\\"s\\\":\\\"\\\\\\\"\\\",\\\"n\\\":9007199254740993}) signature0(Zg==) call1(x,g) args1({})");
    v = draft_view(&h.d);
    assert_span(v.text, "ab\xc3\xa9");
    assert_int_equal(v.n_tools, 2);
    assert_span(v.tools[0].arguments, "{\"s\":\"\\\"\",\"n\":9007199254740993}");
    assert_span(v.tools[1].arguments, "{}");
    assert_int_equal(v.finish, FINISH_TOOL_CALLS);    /* there is no reason of its own */
    assert_string_equal(h.d.model, "gemini-3-x");
    assert_string_equal(h.d.id, "r1");
    done(&h);
}

/* BerriAI/litellm#25836: streamed arguments were lost. Calls of one turn may come in several events. */
static void calls_of_several_events_are_counted_on(void **state)
{
    static const char *const events[] = {
        "{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\",\"args\":{\"a\":1}}}]}}],\"responseId\":\"r\"}",
        "{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\",\"args\":{\"a\":2}}}]},\"finishReason\":\"STOP\"}]}",
    };

    (void)state;
    for (int one = 0; one < 2; one++) {
        struct heard h;

        listen(&h);
        h.d.one_call = one;
        for (size_t i = 0; i < 2; i++)
            assert_true(gemini_dialect.read_event(&h.d, SPAN_NONE, scanned(events[i]), &to_3));
        assert_string_equal(log_of(&h), one ? "call0(call_r0,f) args0({\\\"a\\\":1})"
                                            : "call0(call_r0,f) args0({\\\"a\\\":1}) call1(call_r1,f) args1({\\\"a\\\":2})");
        assert_int_equal(h.d.finish, FINISH_TOOL_CALLS);
        done(&h);
    }
}

static void finish_reasons_are_mapped(void **state)
{
    static const struct { const char *word; enum finish want; } table[] = {
        { "STOP", FINISH_STOP }, { "MAX_TOKENS", FINISH_LENGTH }, { "SAFETY", FINISH_FILTERED }, { "RECITATION", FINISH_FILTERED },
        { "LANGUAGE", FINISH_FILTERED }, { "BLOCKLIST", FINISH_FILTERED }, { "PROHIBITED_CONTENT", FINISH_FILTERED },
        { "SPII", FINISH_FILTERED }, { "IMAGE_SAFETY", FINISH_FILTERED }, { "IMAGE_PROHIBITED_CONTENT", FINISH_FILTERED },
        { "IMAGE_RECITATION", FINISH_FILTERED }, { "IMAGE_OTHER", FINISH_FILTERED }, { "NO_IMAGE", FINISH_FILTERED },
        { "MALFORMED_FUNCTION_CALL", FINISH_INTERRUPTED }, { "UNEXPECTED_TOOL_CALL", FINISH_INTERRUPTED },
        { "TOO_MANY_TOOL_CALLS", FINISH_INTERRUPTED }, { "MALFORMED_RESPONSE", FINISH_INTERRUPTED },
        { "MISSING_THOUGHT_SIGNATURE", FINISH_INTERRUPTED }, { "OTHER", FINISH_OTHER }, { "CONTINUATION", FINISH_OTHER },
        { "FINISH_REASON_UNSPECIFIED", FINISH_OTHER }, { "NEWEST", FINISH_OTHER },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct heard h;
        char json[160];

        snprintf(json, sizeof json, "{\"candidates\":[{\"finishReason\":\"%s\",\"index\":0}]}", table[i].word);
        hear(&h, json);
        if (h.d.finish != table[i].want)
            fail_msg("%s", table[i].word);
        assert_true(h.d.ended);
        done(&h);
    }
}

static void a_blocked_prompt_is_a_refusal(void **state)
{
    struct heard h;

    (void)state;
    hear(&h, "{\"promptFeedback\":{\"blockReason\":\"PROHIBITED_CONTENT\"},\"usageMetadata\":{\"promptTokenCount\":7,\"totalTokenCount\":7}}");
    assert_int_equal(h.d.finish, FINISH_FILTERED);
    assert_true(h.d.ended && h.d.has_usage);
    assert_int_equal(h.d.usage.input, 7);
    assert_string_equal(log_of(&h), "refusal(The provider refused the prompt: PROHIBITED_CONTENT)");
    done(&h);
}

static void what_is_missing_is_empty_and_what_is_odd_never_crashes(void **state)
{
    static const char *const empty[] = {
        "{\"candidates\":[{\"finishReason\":\"SAFETY\"}]}", "{\"candidates\":[{\"content\":{\"role\":\"model\"},\"finishReason\":\"MAX_TOKENS\"}]}",
        "{\"candidates\":[{\"content\":null,\"finishReason\":\"STOP\",\"index\":null}]}", "{\"candidates\":[{\"content\":{\"parts\":null}}]}",
        ("{\"candidates\":[{\"content\":{\"parts\":[{},null,5,\"x\",[],{\"text\":5},{\"functionCall\":5},{\"functionCall\":{\"args\":{}}},"
         "{\"functionCall\":{\"name\":5}},{\"text\":\"\",\"thoughtSignature\":7}]}}]}"),
        "{\"candidates\":[],\"modelVersion\":7}", "{\"candidates\":null,\"usageMetadata\":[]}", "{\"usageMetadata\":{}}",
        "{\"candidates\":[{\"logprobsResult\":{\"chosenCandidates\":5},\"groundingMetadata\":[],\"citationMetadata\":7}]}",
    };
    static const char *const not_this_dialect[] = { "{}", "[]", "7", "\"x\"", "{\"choices\":[]}", "[7]", "{\"candidates\":[7]}",
                                                    "{\"candidates\":[{\"index\":-1}]}", "{\"candidates\":[{\"index\":1e9}, {\"index\":4000}]}" };

    (void)state;
    for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) {
        struct heard h;

        hear(&h, empty[i]);
        if (h.d.text.n || h.d.n_calls || *log_of(&h))
            fail_msg("%s: %s", empty[i], log_of(&h));
        done(&h);
    }
    for (size_t i = 0; i < sizeof not_this_dialect / sizeof not_this_dialect[0]; i++) {
        struct heard h;

        listen(&h);
        if (gemini_dialect.read_whole(&h.d, scanned(not_this_dialect[i]), &to_3))
            fail_msg("taken: %s", not_this_dialect[i]);
        done(&h);
    }
}

static void log_probabilities_become_openais(void **state)
{
    struct heard h;

    (void)state;
    hear(&h, "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hi\"}]},\"logprobsResult\":{\"chosenCandidates\":["
             "{\"token\":\"H\\\"\",\"tokenId\":5,\"logProbability\":-0.25},{\"token\":\"i\",\"logProbability\":0}],"
             "\"topCandidates\":[{\"candidates\":[{\"token\":\"H\",\"logProbability\":-0.25}]}]}}]}");
    assert_string_equal(log_of(&h), "text(Hi) logprobs([{\"token\":\"H\\\"\",\"logprob\":-0.25,\"bytes\":null,\"top_logprobs\":"
                                    "[{\"token\":\"H\",\"logprob\":-0.25,\"bytes\":null}]},"
                                    "{\"token\":\"i\",\"logprob\":0,\"bytes\":null,\"top_logprobs\":[]}])");
    done(&h);
}

/* ---- whole and streamed, however it is cut ---- */

#define PART1 "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"hm \",\"thought\":true}],\"role\":\"model\"},\"index\":0}],\"responseId\":\"r\"}"
#define PART2 "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"so\",\"thought\":true}]}}],\"usageMetadata\":{\"promptTokenCount\":5}}"
#define PART3 "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"caf\"}]}},{\"index\":1,\"content\":{\"parts\":[{\"text\":\"tea\"}]}}]}"
#define PART4 "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\\u00e9\"},{\"functionCall\":{\"name\":\"f\",\"args\":{\"a\":[1,2]}}}]}}]}"
#define PART5 "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\",\"thoughtSignature\":\"cw==\"}]},\"finishReason\":\"STOP\"}],\"usageMetadata\":" \
    "{\"promptTokenCount\":5,\"candidatesTokenCount\":3,\"thoughtsTokenCount\":2,\"totalTokenCount\":10},\"modelVersion\":\"m\"}"
#define WHOLE "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"hm so\",\"thought\":true},{\"text\":\"caf\\u00e9\"}," \
    "{\"functionCall\":{\"name\":\"f\",\"args\":{\"a\":[1,2]}}},{\"text\":\"\",\"thoughtSignature\":\"cw==\"}],\"role\":\"model\"}," \
    "\"finishReason\":\"STOP\",\"index\":0}],\"responseId\":\"r\",\"modelVersion\":\"m\",\"usageMetadata\":" \
    "{\"promptTokenCount\":5,\"candidatesTokenCount\":3,\"thoughtsTokenCount\":2,\"totalTokenCount\":10}}"

static bool on_event(void *ctx, const struct sse_event *e)
{
    struct heard *h = ctx;

    return !e->data.p || gemini_dialect.read_event(&h->d, e->name, e->data, &to_3);
}

static void assert_same(struct heard *a, struct heard *b, const char *how)
{
    if (strcmp(log_of(a), log_of(b)) != 0)
        fail_msg("%s: %s", how, log_of(b));
    assert_true(span_eq(buf_span(&a->d.text), buf_span(&b->d.text)));
    assert_int_equal(a->d.finish, b->d.finish);
    assert_memory_equal(&a->d.usage, &b->d.usage, sizeof a->d.usage);
    assert_string_equal(a->d.model, b->d.model);
    assert_string_equal(a->d.id, b->d.id);
    assert_int_equal(a->d.n_calls, b->d.n_calls);
    assert_true(b->d.ended && b->d.has_usage);
}

static void a_stream_cut_anywhere_gives_the_draft_of_the_document(void **state)
{
    static const char stream[] = "data: " PART1 "\r\n\r\ndata: " PART2 "\r\n\r\n: idle\n\ndata: " PART4 "\r\n\r\ndata: " PART5 "\r\n\r\n";
    struct heard whole;

    (void)state;
    /* PART4 alone holds the end of the text, so the document's is "é" here. */
    hear(&whole, "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"hm so\",\"thought\":true},{\"text\":\"\\u00e9\"},"
                 "{\"functionCall\":{\"name\":\"f\",\"args\":{\"a\":[1,2]}}},{\"text\":\"\",\"thoughtSignature\":\"cw==\"}]},"
                 "\"finishReason\":\"STOP\"}],\"responseId\":\"r\",\"modelVersion\":\"m\",\"usageMetadata\":"
                 "{\"promptTokenCount\":5,\"candidatesTokenCount\":3,\"thoughtsTokenCount\":2,\"totalTokenCount\":10}}");
    for (size_t at = 0; at < sizeof stream; at++) {
        const struct span all = { stream, sizeof stream - 1 };
        struct heard h;
        struct sse s;

        listen(&h);
        sse_init(&s, 1u << 20);
        assert_int_equal(sse_feed(&s, span_first(all, at), on_event, &h), SSE_OK);
        assert_int_equal(sse_feed(&s, span_skip(all, at), on_event, &h), SSE_OK);
        assert_same(&whole, &h, "stream");
        sse_free(&s);
        done(&h);
    }
    done(&whole);
}

static void an_array_gives_the_draft_of_the_document(void **state)
{
    struct heard whole, array;

    (void)state;
    hear(&whole, WHOLE);
    hear(&array, "[" PART1 ",\r\n" PART2 "," "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"caf\"}]}}]}" "," PART4 "," PART5 "]");
    assert_same(&whole, &array, "array");
    done(&array);
    done(&whole);
}

static void other_candidates_are_told_apart(void **state)
{
    struct heard h;

    (void)state;
    hear(&h, PART3);
    assert_string_equal(log_of(&h), "text(caf) text[1](tea)");
    assert_span(buf_span(&h.d.text), "caf");
    done(&h);
}

/* ---- errors ---- */

static void errors_are_classified(void **state)
{
    static const struct { const char *why; int status; const char *body; enum failure want; int64_t retry_ms; } table[] = {
        { "a wrong key comes as 400", 400,
          "{\"error\":{\"code\":400,\"message\":\"API key not valid.\",\"status\":\"INVALID_ARGUMENT\",\"details\":[{\"@type\":"
          "\"type.googleapis.com/google.rpc.ErrorInfo\",\"reason\":\"API_KEY_INVALID\",\"domain\":\"googleapis.com\"}]}}",
          FAILURE_CREDENTIAL, -1 },
        { "a minute's quota is a rate limit, with its wait in the body", 429,
          "{\"error\":{\"code\":429,\"message\":\"You exceeded your current quota, please check your plan.\",\"status\":\"RESOURCE_EXHAUSTED\","
          "\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.QuotaFailure\",\"violations\":[{\"quotaId\":"
          "\"GenerateRequestsPerMinutePerProjectPerModel-FreeTier\",\"quotaValue\":\"5\"}]},"
          "{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"37.5s\"}]}}", FAILURE_RATE_LIMITED, 37500 },
        { "a day's quota is not (NousResearch/hermes-agent#91091)", 429,
          "{\"error\":{\"code\":429,\"message\":\"You exceeded your current quota, please check your plan.\",\"status\":\"RESOURCE_EXHAUSTED\","
          "\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.QuotaFailure\",\"violations\":[{\"quotaId\":"
          "\"GenerateRequestsPerMinutePerProjectPerModel-FreeTier\"},{\"quotaId\":\"GenerateRequestsPerDayPerProjectPerModel-FreeTier\"}]},"
          "{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"37s\"}]}}", FAILURE_QUOTA, 37000 },
        { "an array holds it where the stream would have been one", 503,
          "[{\"error\":{\"code\":503,\"message\":\"The model is overloaded.\",\"status\":\"UNAVAILABLE\"}}]", FAILURE_OVERLOADED, -1 },
        { "the prompt is too long", 400,
          "{\"error\":{\"code\":400,\"message\":\"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).\","
          "\"status\":\"INVALID_ARGUMENT\"}}", FAILURE_CONTEXT, -1 },
        { "the account's region", 400,
          "{\"error\":{\"code\":400,\"message\":\"User location is not supported for the API use.\",\"status\":\"FAILED_PRECONDITION\"}}",
          FAILURE_CREDENTIAL, -1 },
        { "no such model", 404, "{\"error\":{\"code\":404,\"message\":\"models/x is not found\",\"status\":\"NOT_FOUND\"}}", FAILURE_MODEL, -1 },
        { "ours to answer for", 400, "{\"error\":{\"code\":400,\"message\":\"bad\",\"status\":\"INVALID_ARGUMENT\"}}", FAILURE_CALLER, -1 },
        { "inside a stream", 200, "{\"error\":{\"code\":503,\"message\":\"overloaded\",\"status\":\"UNAVAILABLE\"}}", FAILURE_OVERLOADED, -1 },
        { "a stream's limit", 200, "{\"error\":{\"code\":429,\"message\":\"quota\",\"status\":\"RESOURCE_EXHAUSTED\"}}", FAILURE_RATE_LIMITED, -1 },
        { "odd details", 500, "{\"error\":{\"code\":\"x\",\"message\":5,\"status\":null,\"details\":[5,{\"@type\":7,\"violations\":{},"
                              "\"retryDelay\":\"1e3s\"},{\"violations\":[{\"quotaId\":5}]}]}}", FAILURE_SERVER, -1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct heard h;
        struct outcome o = { .transport = TRANSPORT_OK, .status = table[i].status, .retry_after_ms = -1 };

        listen(&h);
        if (table[i].status == 200)
            assert_true(gemini_dialect.read_event(&h.d, SPAN_NONE, scanned(table[i].body), &to_3));
        else
            gemini_dialect.read_error(&h.d, scanned(table[i].body), true);
        assert_true(h.d.has_error);
        o.error_type = span_str(h.d.error_type);
        o.error_code = span_str(h.d.error_code);
        o.error_message = span_str(h.d.error_message);
        if (failure_classify(&o) != table[i].want || h.d.error_retry_ms != table[i].retry_ms)
            fail_msg("%s: %s, type %s, code %s, %lld ms", table[i].why, failure_name(failure_classify(&o)), h.d.error_type,
                     h.d.error_code, (long long)h.d.error_retry_ms);
        done(&h);
    }
}

static void waits_are_read_exactly(void **state)
{
    static const struct { const char *text; int64_t ms; } table[] = {
        { "37s", 37000 }, { "37.5s", 37500 }, { "0s", 0 }, { "0.0001s", 1 }, { "1.0000s", 1000 }, { "1.234567890s", 1235 },
        { "s", -1 }, { "37", -1 }, { "-1s", -1 }, { "1.xs", -1 }, { "99999999s", -1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct heard h;
        char body[200];

        snprintf(body, sizeof body, "{\"error\":{\"code\":429,\"details\":[{\"@type\":\"x.RetryInfo\",\"retryDelay\":\"%s\"}]}}",
                 table[i].text);
        listen(&h);
        gemini_dialect.read_error(&h.d, scanned(body), true);
        if (h.d.error_retry_ms != table[i].ms)
            fail_msg("%s: %lld", table[i].text, (long long)h.d.error_retry_ms);
        done(&h);
    }
}

static void an_error_that_is_no_json_is_its_own_message(void **state)
{
    struct heard h;

    (void)state;
    listen(&h);
    gemini_dialect.read_error(&h.d, SPAN_LIT(" <html>Bad Gateway</html> "), false);
    assert_true(h.d.has_error);
    assert_string_equal(h.d.error_message, "<html>Bad Gateway</html>");
    done(&h);
    listen(&h);
    gemini_dialect.read_error(&h.d, SPAN_LIT("[]"), true);
    assert_true(h.d.has_error);
    done(&h);
    listen(&h);
    gemini_dialect.read_error(&h.d, SPAN_NONE, false);
    assert_true(h.d.has_error);
    done(&h);
}

/* A host whose answers have no id, or one id for all: the calls of two turns are two, and a history that holds both is in order. */
static void an_id_that_is_invented_is_of_the_request(void **state)
{
    static const char json[] = "{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\"}},"
                               "{\"functionCall\":{\"name\":\"f\",\"id\":\"own\"}}]},\"finishReason\":\"STOP\"}]}";
    struct heard h;

    (void)state;
    listen(&h);
    h.r.w.info.id = SPAN_LIT("req_7");
    assert_true(gemini_dialect.read_whole(&h.d, scanned(json), &to_3));
    assert_string_equal(log_of(&h), "call0(call_req_7_0,f) args0({}) call1(own,f) args1({})");
    done(&h);
}

static void more_calls_than_there_may_be_are_no_answer_and_no_want_of_memory(void **state)
{
    (void)state;
    for (unsigned more = 0; more < 2; more++) {
        struct heard h;
        struct buf json;

        listen(&h);
        buf_init(&json, 1u << 20);
        buf_add_str(&json, "{\"candidates\":[{\"content\":{\"parts\":[");
        for (unsigned i = 0; i < DRAFT_CALLS_MAX + more; i++)
            buf_printf(&json, "%s{\"functionCall\":{\"name\":\"f\"}}", i ? "," : "");
        buf_add_str(&json, "]},\"finishReason\":\"STOP\"}]}");
        assert_int_equal(gemini_dialect.read_whole(&h.d, scanned(json.p), &to_3), more == 0);
        assert_false(h.d.failed);
        buf_free(&json);
        done(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(usage_becomes_disjoint),
        cmocka_unit_test(usage_that_is_no_count_is_no_usage),
        cmocka_unit_test(the_whole_prompt_is_what_tiers_are_judged_by),
        cmocka_unit_test(counters_that_run_are_kept_as_they_end),
        cmocka_unit_test(searches_are_counted_by_the_query_or_by_the_answer),
        cmocka_unit_test(parts_become_pieces_in_their_order),
        cmocka_unit_test(calls_of_several_events_are_counted_on),
        cmocka_unit_test(finish_reasons_are_mapped),
        cmocka_unit_test(a_blocked_prompt_is_a_refusal),
        cmocka_unit_test(what_is_missing_is_empty_and_what_is_odd_never_crashes),
        cmocka_unit_test(log_probabilities_become_openais),
        cmocka_unit_test(a_stream_cut_anywhere_gives_the_draft_of_the_document),
        cmocka_unit_test(an_array_gives_the_draft_of_the_document),
        cmocka_unit_test(other_candidates_are_told_apart),
        cmocka_unit_test(errors_are_classified),
        cmocka_unit_test(waits_are_read_exactly),
        cmocka_unit_test(an_error_that_is_no_json_is_its_own_message),
        cmocka_unit_test(an_id_that_is_invented_is_of_the_request),
        cmocka_unit_test(more_calls_than_there_may_be_are_no_answer_and_no_want_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
