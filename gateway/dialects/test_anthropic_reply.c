/* test_anthropic_reply.c - other dialects' answers as messages: the event grammar of the official client, one block open at a
 * time, and the same message whether it is streamed or whole. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/dialects/openai.h"
#include "gateway/dialects/sse.h"
#include "gateway/dialects/test_anthropic.h"

/* A writer behind a draft, as an attempt has them. */
struct desk {
    struct chat chat;
    struct draft draft;
    struct writer *writer;
    struct buf out, terminal;
};

static void desk_open(struct desk *k, bool stream)
{
    const struct reply_info info = { .id = SPAN_LIT("01ABC"), .model = SPAN_LIT("gpt-5.5"), .chat = &k->chat, .prompt_estimate = 42 };

    *k = (struct desk){ .chat = { .stream = stream } };
    buf_init(&k->out, 1u << 20);
    buf_init(&k->terminal, 4096);
    draft_init(&k->draft);
    k->draft.keep_reasoning = true;
    k->writer = anthropic_writer_new(&info, &k->out);
    assert_non_null(k->writer);
    k->draft.writer = k->writer;
}

static void desk_end(struct desk *k)
{
    assert_true(anthropic_writer_end(k->writer, &k->draft, &k->terminal));
}

static void desk_close(struct desk *k)
{
    anthropic_writer_free(k->writer);
    draft_free(&k->draft);
    buf_free(&k->out);
    buf_free(&k->terminal);
}

static bool check_event(void *ctx, const struct sse_event *e)
{
    struct draft *d = ctx;
    char *copy = test_malloc(e->data.n + 1);
    bool ok;

    memcpy(copy, e->data.p, e->data.n);
    copy[e->data.n] = '\0';
    if (!jraw_is(jval_raw(jval_get(scanned(copy), "type")), "ping"))    /* the name is repeated in the data */
        assert_true(e->name.n > 0 && span_eq(e->name, jval_raw(jval_get(span_str(copy), "type"))));
    ok = anthropic_read_event(d, e->name, span_str(copy), &to_budget);
    test_free(copy);
    return ok;
}

static void read_stream(struct draft *d, struct span text)
{
    struct sse sse;

    draft_init(d);
    d->keep_reasoning = true;
    sse_init(&sse, 1u << 20);
    assert_int_equal(sse_feed(&sse, text, check_event, d), SSE_OK);
    assert_int_equal(sse_rest(&sse).n, 0);
    sse_free(&sse);
}

/* ---- the grammar ---- */

static void say(struct draft *d)
{
    draft_text(d, 0, PIECE_REASONING, SPAN_LIT("h"));
    draft_text(d, 0, PIECE_REASONING, SPAN_LIT("\\nm"));
    draft_signature(d, 0, -1, SPAN_LIT("theirs"), FAMILY_OPENAI, false);    /* not shown */
    draft_text(d, 0, PIECE_TEXT, SPAN_LIT("a\\\""));
    draft_text(d, 0, PIECE_TEXT, SPAN_LIT("b"));
    draft_call(d, 0, 0, SPAN_LIT("c1"), SPAN_LIT("f"), false);
    draft_arguments(d, 0, 0, SPAN_LIT("{\\\"x\\\":"));
    draft_arguments(d, 0, 0, SPAN_LIT("\\\"}\\\\\\\"\\\"}"));
    draft_call(d, 0, 1, SPAN_LIT("c2"), SPAN_LIT("g"), false);
    draft_finish(d, 0, FINISH_TOOL_CALLS, SPAN_NONE);
    draft_usage(d, &(struct usage){ .input = 1, .cache_read = 2, .cache_write_5m = 3, .output = 9, .reasoning = 4 }, false);
}

#define EVENT(name, data) "event: " name "\ndata: {\"type\":\"" name "\"" data "}\n\n"
#define BEGIN(i, block) EVENT("content_block_start", ",\"index\":" i ",\"content_block\":" block)
#define DELTA(i, delta) EVENT("content_block_delta", ",\"index\":" i ",\"delta\":" delta)
#define STOP(i) EVENT("content_block_stop", ",\"index\":" i)
#define START EVENT("message_start", ",\"message\":{\"id\":\"msg_01ABC\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"gpt-5.5\"," \
    "\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"stop_details\":null,\"usage\":{\"input_tokens\":42," \
    "\"cache_creation_input_tokens\":null,\"cache_read_input_tokens\":null,\"output_tokens\":1}}")
#define USAGE "\"usage\":{\"input_tokens\":1,\"cache_creation_input_tokens\":3,\"cache_read_input_tokens\":2,\"output_tokens\":9," \
              "\"output_tokens_details\":{\"thinking_tokens\":4}}"

static void a_stream_has_the_grammar_of_the_official_client(void **state)
{
    static const char want[] =
        START BEGIN("0", "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}")
        DELTA("0", "{\"type\":\"thinking_delta\",\"thinking\":\"h\"}") DELTA("0", "{\"type\":\"thinking_delta\",\"thinking\":\"\\nm\"}") STOP("0")
        BEGIN("1", "{\"type\":\"text\",\"text\":\"\"}") DELTA("1", "{\"type\":\"text_delta\",\"text\":\"a\\\"\"}")
        DELTA("1", "{\"type\":\"text_delta\",\"text\":\"b\"}") STOP("1")
        BEGIN("2", "{\"type\":\"tool_use\",\"id\":\"c1\",\"name\":\"f\",\"input\":{}}")
        DELTA("2", "{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"x\\\":\"}")
        DELTA("2", "{\"type\":\"input_json_delta\",\"partial_json\":\"\\\"}\\\\\\\"\\\"}\"}") STOP("2")
        BEGIN("3", "{\"type\":\"tool_use\",\"id\":\"c2\",\"name\":\"g\",\"input\":{}}") STOP("3")
        EVENT("message_delta", ",\"delta\":{\"stop_reason\":\"tool_use\",\"stop_sequence\":null,\"stop_details\":null}," USAGE);
    struct desk k;

    (void)state;
    desk_open(&k, true);
    say(&k.draft);
    desk_end(&k);
    assert_string_equal(k.out.p, want);
    assert_string_equal(k.terminal.p, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    desk_close(&k);
}

static void a_whole_message_says_the_same(void **state)
{
    struct desk k;

    (void)state;
    desk_open(&k, false);
    say(&k.draft);
    assert_int_equal(k.out.n, 0);
    desk_end(&k);
    scanned(k.out.p);
    assert_string_equal(k.out.p, "{\"id\":\"msg_01ABC\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"gpt-5.5\",\"content\":["
        "{\"type\":\"thinking\",\"thinking\":\"h\\nm\",\"signature\":\"\"},{\"type\":\"text\",\"text\":\"a\\\"b\"},"
        "{\"type\":\"tool_use\",\"id\":\"c1\",\"name\":\"f\",\"input\":{\"x\":\"}\\\"\"}},"
        "{\"type\":\"tool_use\",\"id\":\"c2\",\"name\":\"g\",\"input\":{}}],"
        "\"stop_reason\":\"tool_use\",\"stop_sequence\":null,\"stop_details\":null," USAGE "}");
    assert_int_equal(k.terminal.n, 0);
    desk_close(&k);
}

/* ---- one block at a time ---- */

/* What blocks a stream has, one letter each (t, h for thinking, c), and what is in them. Fails where two are open at once, an
 * index has a gap or repeats. */
struct walk {
    struct buf text;
    int64_t open, next;
};

static bool walk_event(void *ctx, const struct sse_event *e)
{
    struct walk *w = ctx;
    int64_t index = -1;
    const struct span delta = jval_get(e->data, "delta");

    if (jval_get(e->data, "index").p)
        assert_true(jval_int(jval_get(e->data, "index"), &index));
    if (span_is(e->name, "content_block_start")) {
        const struct span block = jval_get(e->data, "content_block"), type = jval_raw(jval_get(block, "type"));

        assert_int_equal(w->open, -1);
        assert_int_equal(index, w->next);
        w->next++;
        w->open = index;
        buf_printf(&w->text, "%s%.*s(", jraw_is(type, "text") ? "t" : jraw_is(type, "thinking") ? "h" : "c",
                   SPAN_FMT(jval_raw(jval_get(block, "name"))));
    } else if (span_is(e->name, "content_block_delta")) {
        assert_int_equal(index, w->open);
        assert_true(w->open >= 0);
        buf_add_span(&w->text, jval_raw(jval_get(delta, "text")));
        buf_add_span(&w->text, jval_raw(jval_get(delta, "thinking")));
        buf_add_span(&w->text, jval_raw(jval_get(delta, "partial_json")));
    } else if (span_is(e->name, "content_block_stop")) {
        assert_int_equal(index, w->open);
        w->open = -1;
        buf_add_char(&w->text, ')');
    }
    return true;
}

static void assert_blocks(struct desk *k, const char *want)
{
    struct walk w = { .open = -1 };
    struct sse sse;

    desk_end(k);
    buf_init(&w.text, 65536);
    sse_init(&sse, 1u << 20);
    assert_int_equal(sse_feed(&sse, buf_span(&k->out), walk_event, &w), SSE_OK);
    assert_int_equal(w.open, -1);
    assert_string_equal(w.text.n ? w.text.p : "", want);
    sse_free(&sse);
    buf_free(&w.text);
    desk_close(k);
}

/* A script of pieces: "t" a text, "h" thinking, "T" and "H" each time other ones; "@n" call n begins, "<n" its "{", ">n" its
 * "}", "_n" a blank of it. */
static void play(struct draft *d, const char *script)
{
    unsigned said = 0;

    for (const char *p = script; *p; p++) {
        const unsigned n = (unsigned)(p[1] - '0');
        const char name[2] = { (char)('p' + n), '\0' }, letter[2] = { (char)('a' + said++ % 26), '\0' };

        switch (*p) {
        case 't': assert_true(draft_text(d, 0, PIECE_TEXT, SPAN_LIT("t"))); continue;
        case 'h': assert_true(draft_text(d, 0, PIECE_REASONING, SPAN_LIT("h"))); continue;
        case 'T': assert_true(draft_text(d, 0, PIECE_TEXT, span_str(letter))); continue;
        case 'H': assert_true(draft_text(d, 0, PIECE_REASONING, span_str(letter))); continue;
        case '@': assert_true(draft_call(d, 0, n, SPAN_LIT("id"), span_str(name), false)); break;
        case '<': assert_true(draft_arguments(d, 0, n, SPAN_LIT("{"))); break;
        case '>': assert_true(draft_arguments(d, 0, n, SPAN_LIT("}"))); break;
        case '_': assert_true(draft_arguments(d, 0, n, SPAN_LIT(" "))); break;
        }
        p++;
    }
}

static void blocks_never_overlap_nor_open_twice(void **state)
{
    static const struct { const char *why, *script, *want; } table[] = {
        { "text, thinking, text", "ththh", "t(t)h(h)t(t)h(hh)" },
        { "calls one after the other", "@0<0>0@1<1>1", "cp({})cq({})" },
        { "text after a tool call (envoyproxy/ai-gateway#1911)", "t@0<0>0tt", "t(t)cp({})t(tt)" },
        { "text while a call goes on waits", "@0<0tt>0t", "cp({})t(ttt)" },
        { "pieces of several calls mixed", "@0<0@1<1>0>1", "cp({})cq({})" },
        { "three, the last one first", "@0@1@2<2>2<1>1<0>0", "cp({})cq({})cr({})" },
        { "a waiting call goes on when its turn has come", "@0<0@1<1>0@2>1<2>2", "cp({})cq({})cr({})" },
        { "no arguments at all", "@0@1", "cp()cq()" },
        { "text between calls that wait", "@0@1t<0>0<1>1h", "cp({})cq({})t(t)h(h)" },
        { "blanks behind the end do not open it again", "@0<0>0t_0t", "cp({})t(tt)" },
        { "thinking between calls", "h@0<0>0h@1<1>1", "h(h)cp({})h(h)cq({})" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct desk k;

        desk_open(&k, true);
        play(&k.draft, table[i].script);
        assert_blocks(&k, table[i].want);
    }
}

/* A brace within a string is no end, whatever is escaped in it and wherever it is cut. */
static void a_call_ends_with_its_object_and_not_before(void **state)
{
    struct desk k;

    (void)state;
    desk_open(&k, true);
    draft_call(&k.draft, 0, 0, SPAN_LIT("c"), SPAN_LIT("p"), false);
    draft_arguments(&k.draft, 0, 0, SPAN_LIT("{\\\"a\\\":[{}],\\\"b\\\":\\\"\\\\"));    /* ends within an escaped quote of the string */
    draft_arguments(&k.draft, 0, 0, SPAN_LIT("\\\"}"));
    draft_text(&k.draft, 0, PIECE_TEXT, SPAN_LIT("t"));
    draft_arguments(&k.draft, 0, 0, SPAN_LIT("\\\"}"));
    assert_blocks(&k, "cp({\\\"a\\\":[{}],\\\"b\\\":\\\"\\\\\\\"}\\\"})t(t)");
}

/* Random order of pieces: the stream, the whole message and the draft that wrote them agree (wire/translation section 12). */
static void a_stream_and_a_whole_message_are_one(void **state)
{
    uint32_t seed = 1;

    (void)state;
    for (int round = 0; round < 2000; round++) {
        char script[64];
        size_t n = 0;
        bool begun[3] = { false }, open[3] = { false }, over[3] = { false };
        struct desk a, b;
        struct draft x, y;

        for (int step = 0; step < 20; step++) {
            unsigned c;

            seed = seed * 1664525u + 1013904223u;
            c = (seed >> 16) % 3;
            switch (seed >> 28) {
            case 0: case 1: case 2: case 3: script[n++] = 'T'; continue;
            case 4: case 5: script[n++] = 'H'; continue;
            default: break;
            }
            if ((c > 0 && !begun[c - 1]) || over[c])
                continue;
            script[n++] = !begun[c] ? '@' : !open[c] ? '<' : '>';
            script[n++] = (char)('0' + c);
            over[c] = open[c];
            open[c] = begun[c];
            begun[c] = true;
        }
        for (unsigned c = 0; c < 3; c++)    /* all arguments come to their end, or never begin */
            if (open[c] && !over[c]) {
                script[n++] = '>';
                script[n++] = (char)('0' + c);
            }
        script[n] = '\0';
        desk_open(&a, true);
        desk_open(&b, false);
        play(&a.draft, script);
        play(&b.draft, script);
        draft_finish(&a.draft, 0, FINISH_STOP, SPAN_NONE);
        draft_finish(&b.draft, 0, FINISH_STOP, SPAN_NONE);
        desk_end(&a);
        desk_end(&b);
        buf_add_span(&a.out, buf_span(&a.terminal));
        read_stream(&x, buf_span(&a.out));
        draft_init(&y);
        y.keep_reasoning = true;
        assert_true(anthropic_read_whole(&y, scanned(b.out.p), &to_budget));
        if (!span_eq(buf_span(&x.text), buf_span(&y.text)) || !span_eq(buf_span(&x.text), buf_span(&a.draft.text)) ||
            !span_eq(buf_span(&x.reasoning), buf_span(&y.reasoning)) || x.n_calls != y.n_calls || x.finish != y.finish)
            fail_msg("%s", script);
        assert_int_equal(x.n_calls, begun[0] + begun[1] + begun[2]);
        for (size_t i = 0; i < x.n_calls; i++)
            if (!span_eq(buf_span(&x.calls[i].arguments), buf_span(&y.calls[i].arguments)) ||
                !span_eq(buf_span(&x.calls[i].name), buf_span(&a.draft.calls[i].name)))
                fail_msg("%s", script);
        assert_memory_equal(&x.usage, &y.usage, sizeof x.usage);
        assert_true(x.ended && y.ended);
        draft_free(&x);
        draft_free(&y);
        desk_close(&a);
        desk_close(&b);
    }
}

static void signatures_of_claude_go_back_in_their_own_place(void **state)
{
    struct desk k;
    struct draft d;

    (void)state;
    for (int stream = 0; stream < 2; stream++) {
        desk_open(&k, stream);
        draft_text(&k.draft, 0, PIECE_REASONING, SPAN_LIT("h"));
        draft_signature(&k.draft, 0, -1, SPAN_LIT("s1"), FAMILY_ANTHROPIC, false);
        draft_signature(&k.draft, 0, -1, SPAN_LIT("r1"), FAMILY_ANTHROPIC, true);
        draft_signature(&k.draft, 0, -1, SPAN_LIT("s2"), FAMILY_ANTHROPIC, false);    /* its thinking is omitted */
        draft_signature(&k.draft, 0, 0, SPAN_LIT("g"), FAMILY_GEMINI, false);
        draft_text(&k.draft, 0, PIECE_TEXT, SPAN_LIT("a"));
        draft_finish(&k.draft, 0, FINISH_STOP, SPAN_NONE);
        desk_end(&k);
        if (stream) {
            read_stream(&d, buf_span(&k.out));
        } else {
            draft_init(&d);
            d.keep_reasoning = true;
            assert_true(anthropic_read_whole(&d, scanned(k.out.p), &to_budget));
            assert_holds(buf_span(&k.out), "{\"type\":\"thinking\",\"thinking\":\"h\",\"signature\":\"s1\"},{\"type\":\"redacted_thinking\","
                         "\"data\":\"r1\"},{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"s2\"},{\"type\":\"text\",\"text\":\"a\"}");
        }
        assert_int_equal(d.n_opaques, 3);
        assert_span(buf_span(&d.opaques[0].raw), "s1");
        assert_true(d.opaques[1].redacted);
        assert_span(buf_span(&d.opaques[2].raw), "s2");
        draft_free(&d);
        desk_close(&k);
    }
}

static void citations_stand_at_their_text(void **state)
{
    struct desk k;

    (void)state;
    for (int stream = 0; stream < 2; stream++) {
        desk_open(&k, stream);
        draft_citation(&k.draft, 0, SPAN_LIT("https://early"), SPAN_LIT(""), -1, -1);    /* no text yet: it has no place */
        draft_text(&k.draft, 0, PIECE_TEXT, SPAN_LIT("a"));
        draft_citation(&k.draft, 0, SPAN_LIT("https://x"), SPAN_LIT("t"), 0, 1);
        desk_end(&k);
        assert_lacks(buf_span(&k.out), "early");
        assert_holds(buf_span(&k.out), stream ? "\"delta\":{\"type\":\"citations_delta\",\"citation\":{\"type\":\"web_search_result_location\","
                                                "\"url\":\"https://x\",\"title\":\"t\","
                                              : "{\"type\":\"text\",\"text\":\"a\",\"citations\":[{\"type\":\"web_search_result_location\","
                                                "\"url\":\"https://x\",\"title\":\"t\",");
        desk_close(&k);
    }
}

/* ---- how it ends ---- */

static void stop_reasons_are_the_dialects_own(void **state)
{
    static const struct { enum finish finish; const char *stop; bool call, refusal; const char *want; } table[] = {
        { FINISH_STOP, NULL, false, false, "\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"stop_details\":null" },
        { FINISH_STOP, "x\\n", false, false, "\"stop_reason\":\"stop_sequence\",\"stop_sequence\":\"x\\n\"" },
        { FINISH_TOOL_CALLS, NULL, true, false, "\"stop_reason\":\"tool_use\"" },
        { FINISH_STOP, NULL, true, false, "\"stop_reason\":\"tool_use\"" },           /* hosts that say `stop` behind calls */
        { FINISH_TOOL_CALLS, NULL, false, false, "\"stop_reason\":\"end_turn\"" },    /* and those that promise calls */
        { FINISH_LENGTH, NULL, true, false, "\"stop_reason\":\"max_tokens\"" },
        { FINISH_FILTERED, NULL, false, false, "\"stop_reason\":\"refusal\",\"stop_sequence\":null,\"stop_details\":{\"type\":\"refusal\"," },
        { FINISH_STOP, NULL, false, true, "\"stop_reason\":\"refusal\"" },
        { FINISH_OTHER, NULL, false, false, "\"stop_reason\":\"end_turn\"" },
        { FINISH_NONE, NULL, false, false, "\"stop_reason\":\"end_turn\"" },
    };

    (void)state;
    for (size_t i = 0; i < 2 * (sizeof table / sizeof table[0]); i++) {
        struct desk k;

        desk_open(&k, i % 2);
        draft_text(&k.draft, 0, table[i / 2].refusal ? PIECE_REFUSAL : PIECE_TEXT, SPAN_LIT("a"));
        if (table[i / 2].call)
            draft_call(&k.draft, 0, 0, SPAN_LIT("c"), SPAN_LIT("f"), false);
        draft_finish(&k.draft, 0, table[i / 2].finish, table[i / 2].stop ? span_str(table[i / 2].stop) : SPAN_NONE);
        desk_end(&k);
        assert_holds(buf_span(&k.out), table[i / 2].want);
        desk_close(&k);
    }
}

static void an_empty_answer_is_still_a_message(void **state)
{
    struct desk k;

    (void)state;
    desk_open(&k, true);
    desk_end(&k);
    assert_string_equal(k.out.p, START EVENT("message_delta", ",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null,"
        "\"stop_details\":null},\"usage\":{\"input_tokens\":42,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,"
        "\"output_tokens\":0}"));
    desk_close(&k);
    desk_open(&k, false);
    desk_end(&k);
    assert_holds(buf_span(&k.out), "\"content\":[],\"stop_reason\":\"end_turn\"");
    scanned(k.out.p);
    desk_close(&k);
}

/* Random disjoint counters, written and read back (wire/translation section 9). What the dialect has no place for goes with the
 * tokens of its side. */
static void usage_survives_the_way_there_and_back(void **state)
{
    uint32_t seed = 7;

    (void)state;
    for (int round = 0; round < 1000; round++) {
        int64_t n[9];
        struct usage u;
        struct desk k;
        struct draft d;

        for (size_t i = 0; i < 9; i++) {
            seed = seed * 1664525u + 1013904223u;
            n[i] = seed >> 30 ? (int64_t)(seed >> 8) : 0;
        }
        u = (struct usage){ .input = n[0], .cache_read = n[1], .cache_write_5m = n[2], .cache_write_1h = n[3], .output = n[4],
                            .reasoning = n[4] / 2, .searches = n[5] };
        desk_open(&k, round % 2);
        draft_usage(&k.draft, &u, false);
        desk_end(&k);
        if (round % 2) {
            read_stream(&d, buf_span(&k.out));
        } else {
            draft_init(&d);
            assert_true(anthropic_read_whole(&d, scanned(k.out.p), &to_budget));
        }
        assert_true(d.has_usage);
        assert_false(d.usage_mended);
        assert_memory_equal(&d.usage, &u, sizeof u);
        draft_free(&d);
        desk_close(&k);
    }
}

static void arguments_that_are_no_object_stay_visible(void **state)
{
    struct desk k;

    (void)state;
    desk_open(&k, false);
    draft_call(&k.draft, 0, 0, SPAN_LIT("c"), SPAN_LIT("f"), false);
    draft_arguments(&k.draft, 0, 0, SPAN_LIT("{\\\"a\\\":"));
    desk_end(&k);
    assert_holds(buf_span(&k.out), "\"input\":{\"_raw\":\"{\\\"a\\\":\"}");
    scanned(k.out.p);
    desk_close(&k);
}

static void a_full_buffer_fails_the_answer(void **state)
{
    (void)state;
    for (size_t cap = 0; cap < 1600; cap += 40) {
        struct desk k;

        desk_open(&k, true);
        k.out.cap = cap;
        say(&k.draft);
        if (anthropic_writer_end(k.writer, &k.draft, &k.terminal))
            fail_msg("%zu bytes were enough", cap);
        desk_close(&k);
    }
}

/* ---- faults ---- */

static void faults_have_the_words_and_statuses_of_the_dialect(void **state)
{
    static const struct { int status; const char *code; int want; const char *type; } table[] = {
        { 400, "invalid_value", 400, "invalid_request_error" }, { 401, "invalid_api_key", 401, "authentication_error" },
        { 403, "permission_denied", 403, "permission_error" }, { 404, "model_not_found", 404, "not_found_error" },
        { 409, NULL, 409, "conflict_error" }, { 413, "request_too_large", 413, "request_too_large" },
        { 415, NULL, 415, "invalid_request_error" }, { 422, NULL, 422, "invalid_request_error" },
        { 429, "rate_limit_exceeded", 429, "rate_limit_error" }, { 429, "insufficient_quota", 429, "billing_error" },
        { 500, NULL, 500, "api_error" }, { 502, "upstream_auth", 502, "api_error" }, { 502, "checks_failed", 502, "api_error" },
        { 503, "overloaded", 529, "overloaded_error" }, { 503, "ledger_unavailable", 503, "api_error" },
        { 504, "timeout", 504, "timeout_error" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const struct fault f = { .status = table[i].status, .code = table[i].code, .message = "say \"why\"" };
        char want[256];
        struct buf out;

        buf_init(&out, 4096);
        assert_int_equal(anthropic_dialect.fault_status(&f), table[i].want);
        anthropic_dialect.write_fault(&f, SPAN_LIT("01ABC"), &out);
        snprintf(want, sizeof want, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":\"say \\\"why\\\"\"},\"request_id\":\"01ABC\"}",
                 table[i].type);
        assert_string_equal(out.p, want);
        buf_free(&out);
    }
}

static void a_long_conversation_is_told_in_the_words_that_agents_know(void **state)
{
    struct fault f = { .status = 400, .code = "context_length_exceeded", .message = "100 of 90 tokens." };
    struct buf out;

    (void)state;
    buf_init(&out, 4096);
    anthropic_dialect.write_fault(&f, SPAN_LIT("r"), &out);
    assert_holds(buf_span(&out), "\"prompt is too long: 100 of 90 tokens.\"");
    buf_clear(&out);
    snprintf(f.message, sizeof f.message, "prompt is too long: 3");
    anthropic_dialect.write_fault(&f, SPAN_LIT("r"), &out);
    assert_holds(buf_span(&out), "\"message\":\"prompt is too long: 3\"");
    buf_free(&out);
}

static void a_fault_within_a_stream_is_an_event(void **state)
{
    const struct fault f = { .status = 502, .message = "m" };
    struct buf out;

    (void)state;
    buf_init(&out, 4096);
    anthropic_dialect.write_stream_fault(&f, SPAN_LIT("r"), NULL, true, &out);
    assert_string_equal(out.p, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"m\"},"
                               "\"request_id\":\"r\"}\n\n");
    buf_free(&out);
}

/* ---- documents ---- */

static void models_are_listed_in_pages(void **state)
{
    static const struct anthropic_model models[] = {
        { .id = { "claude-auto", 11 }, .title = { "Auto", 4 }, .created_s = 1776297600, .context = 200000, .max_output = 64000 },
        { .id = { "claude-b", 8 } }, { .id = { "claude-c", 8 }, .created_s = 951827696 },
    };
#define FIRST "{\"type\":\"model\",\"id\":\"claude-auto\",\"display_name\":\"Auto\",\"created_at\":\"2026-04-16T00:00:00Z\"," \
              "\"max_input_tokens\":200000,\"max_tokens\":64000}"
#define SECOND "{\"type\":\"model\",\"id\":\"claude-b\",\"display_name\":\"claude-b\",\"created_at\":\"1970-01-01T00:00:00Z\"}"
#define THIRD "{\"type\":\"model\",\"id\":\"claude-c\",\"display_name\":\"claude-c\",\"created_at\":\"2000-02-29T12:34:56Z\"}"
#define LIST(data, more, first, last) "{\"data\":[" data "],\"has_more\":" more ",\"first_id\":" first ",\"last_id\":" last "}"
    static const struct { struct anthropic_page page; const char *want; } table[] = {
        { { .limit = 0 }, LIST(FIRST "," SECOND "," THIRD, "false", "\"claude-auto\"", "\"claude-c\"") },
        { { .limit = 1000 }, LIST(FIRST "," SECOND "," THIRD, "false", "\"claude-auto\"", "\"claude-c\"") },
        { { .limit = 2 }, LIST(FIRST "," SECOND, "true", "\"claude-auto\"", "\"claude-b\"") },
        { { .limit = 2, .after_id = { "claude-b", 8 } }, LIST(THIRD, "false", "\"claude-c\"", "\"claude-c\"") },
        { { .limit = 1, .before_id = { "claude-c", 8 } }, LIST(SECOND, "true", "\"claude-b\"", "\"claude-b\"") },
        { { .after_id = { "claude-c", 8 } }, LIST("", "false", "null", "null") },
    };
    struct buf out;

    (void)state;
    buf_init(&out, 4096);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        buf_clear(&out);
        anthropic_write_models(models, 3, &table[i].page, &out);
        assert_string_equal(out.p, table[i].want);
    }
    buf_clear(&out);
    anthropic_write_count(7, &out);
    assert_string_equal(out.p, "{\"input_tokens\":7}");
    buf_free(&out);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_has_the_grammar_of_the_official_client),
        cmocka_unit_test(a_whole_message_says_the_same),
        cmocka_unit_test(blocks_never_overlap_nor_open_twice),
        cmocka_unit_test(a_call_ends_with_its_object_and_not_before),
        cmocka_unit_test(a_stream_and_a_whole_message_are_one),
        cmocka_unit_test(signatures_of_claude_go_back_in_their_own_place),
        cmocka_unit_test(citations_stand_at_their_text),
        cmocka_unit_test(stop_reasons_are_the_dialects_own),
        cmocka_unit_test(an_empty_answer_is_still_a_message),
        cmocka_unit_test(usage_survives_the_way_there_and_back),
        cmocka_unit_test(arguments_that_are_no_object_stay_visible),
        cmocka_unit_test(a_full_buffer_fails_the_answer),
        cmocka_unit_test(faults_have_the_words_and_statuses_of_the_dialect),
        cmocka_unit_test(a_long_conversation_is_told_in_the_words_that_agents_know),
        cmocka_unit_test(a_fault_within_a_stream_is_an_event),
        cmocka_unit_test(models_are_listed_in_pages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
