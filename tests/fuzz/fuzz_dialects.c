/* fuzz_dialects.c - whatever a caller says and whatever a provider answers, each of them in any dialect: a request is refused
 * with its place or read; what `takes` takes is written, as valid JSON; an answer is no answer, an error or read, and comes out
 * as valid JSON, whole and event by event. Input: a byte for the caller's dialect, one for the provider, the request's JSON, a
 * zero byte, then the answer's JSON, or the data of its events with zero bytes between. Seeds: tests/fuzz/corpus/dialects. */
#include "tests/fuzz/fuzz.h"

#include "base/jscan.h"
#include "gateway/dialects/dialect.h"
#include "gateway/dialects/sse.h"

#define BYTES_MAX (8u << 20)

static const struct jscan_limits wide = { .depth = 200, .values = 1000000, .key_bytes = 65536, .number_bytes = 64 };

static bool scans(struct span json, const struct jscan_limits *limits)
{
    struct jscan *s = jscan_new(limits, 11);
    bool ok;

    FUZZ_CHECK(s);
    ok = jscan_feed(s, json) != JSCAN_BAD && jscan_end(s) == JSCAN_DONE;
    jscan_free(s);
    return ok;
}

static void must_scan(const char *what, struct span json)
{
    const bool is_json = scans(json, &wide);

    if (!is_json)
        fprintf(stderr, "%s: %.*s\n", what, SPAN_FMT(json));
    FUZZ_CHECK(is_json);
}

/* ---- providers ---- */

static const struct { enum dialect_id wire; const char *server, *dialect, *model; bool tags; } hosts[] = {
    { DIALECT_CHAT, "openai", "openai", "gpt-5.5", false },      { DIALECT_CHAT, "deepseek", "deepseek", "deepseek-v4-pro", false },
    { DIALECT_CHAT, "mistral", "openai", "magistral-x", false }, { DIALECT_CHAT, NULL, "openai", "some-model", true },
    { DIALECT_RESPONSES, "openai", "openai", "gpt-5.6", false }, { DIALECT_ANTHROPIC, "anthropic", "anthropic", "claude-opus-4.7", false },
    { DIALECT_ANTHROPIC, "anthropic", "anthropic", "claude-sonnet-4", false },
    { DIALECT_GEMINI, "gemini", "gemini", "gemini-3-flash", false }, { DIALECT_GEMINI, "gemini", "gemini", "gemini-2.5-pro", false },
};
#define N_HOSTS (sizeof hosts / sizeof hosts[0])

static void target_of(size_t i, struct quirks *q, struct target *t)
{
    FUZZ_CHECK(quirks_known(q, NULL, hosts[i].dialect, hosts[i].server));
    if (hosts[i].tags)
        q->reasoning_field = REASONING_THINK_TAGS;
    *t = (struct target){ .model = span_str(hosts[i].model), .quirks = q, .traits = traits_of(span_str(hosts[i].model)),
                          .family = q->family, .output_cap = 1000, .max_output = 4096 };
}

/* ---- requests ---- */

static bool well_refused(const struct fault *f)
{
    return (f->status == 400 || f->status == 404 || f->status == 503) && f->message[0] && f->type;
}

static void pass(const struct chat *chat, const struct dialect *wire, const struct target *t, struct request_out *out)
{
    struct fault why = { 0 };
    struct buf joined;

    if (wire->passes && !wire->passes(chat, t, &why)) {
        FUZZ_CHECK(well_refused(&why));
        return;
    }
    if (!wire->pass_request(chat, t, out)) {
        FUZZ_CHECK(well_refused(out->fault));
        return;
    }
    buf_init(&joined, BYTES_MAX);
    for (size_t i = 0; i < out->n_pieces; i++)
        buf_add_span(&joined, out->pieces[i]);
    if (buf_ok(&joined))
        must_scan("a passed request", buf_span(&joined));
    buf_free(&joined);
}

/* True: an answer may follow. */
static bool ask(const struct chat *chat, const struct dialect *wire, const struct target *t, struct request_out *out)
{
    struct fault why = { 0 };

    if (!wire->takes || !wire->write_request || !dialect_get(chat->dialect)->writer_new)
        return false;
    if (!wire->takes(chat, t, &why)) {
        FUZZ_CHECK(well_refused(&why));
        return false;
    }
    if (!wire->write_request(chat, t, out)) {
        /* Two tools whose names meet at the provider are found only here. */
        FUZZ_CHECK(well_refused(out->fault));
        return false;
    }
    must_scan("a written request", buf_span(out->body));
    return true;
}

/* ---- answers ---- */

static bool check_event(void *ctx, const struct sse_event *e)
{
    (void)ctx;
    if (e->data.p && !span_is(e->data, "[DONE]"))
        must_scan("an event", e->data);
    return true;
}

static void check_stream(struct span text)
{
    struct sse sse;

    sse_init(&sse, BYTES_MAX);
    FUZZ_CHECK(sse_feed(&sse, text, check_event, NULL) == SSE_OK);
    FUZZ_CHECK(span_trim(sse_rest(&sse)).n == 0);
    sse_free(&sse);
}

/* Some dialects name their events by a member, and all take them without. */
static struct span name_of(struct span json)
{
    const struct span raw = jval_raw(jval_get(json, "type"));

    return raw.p && span_find(raw, '\\') == raw.n ? raw : SPAN_NONE;
}

static bool read_answer(struct draft *d, const struct chat *chat, const struct dialect *wire, const struct target *t, struct span answer)
{
    if (!chat->stream || !wire->read_event)
        return scans(answer, &jscan_default_limits) && wire->read_whole(d, answer, t);
    while (answer.n) {
        const struct span json = span_first(answer, span_find(answer, '\0'));

        answer = span_skip(answer, json.n + 1);
        if (!scans(json, &jscan_default_limits) || !wire->read_event(d, name_of(json), json, t))
            return false;
        if (d->has_error)
            return true;
    }
    return true;
}

/* What is remembered of an answer is an item of the next request. */
static void check_item(void *ctx, struct span id, struct span json)
{
    const struct dialect *callers = ctx;
    struct arena arena;
    struct fault fault = { 0 };
    struct buf body;
    struct chat chat;

    must_scan("a remembered item", json);
    FUZZ_CHECK(id.n);
    buf_init(&body, BYTES_MAX);
    buf_printf(&body, "{\"model\":\"m\",\"input\":[%.*s]}", SPAN_FMT(json));
    arena_init(&arena, BYTES_MAX);
    chat_init(&chat, callers->id, buf_span(&body));
    if (!callers->parse(&chat, &(struct parse_spec){ .arena = &arena, .fault = &fault })) {
        fprintf(stderr, "a remembered item is refused: %s\n%.*s\n", fault.message, SPAN_FMT(json));
        FUZZ_CHECK(false);
    }
    arena_free(&arena);
    buf_free(&body);
}

static void answer_in(const struct chat *chat, const struct dialect *wire, const struct target *t, const struct request_out *out,
                      struct span answer)
{
    const struct dialect *callers = dialect_get(chat->dialect);
    const struct reply_info info = { .id = SPAN_LIT("r"), .created_s = 1, .model = SPAN_LIT("m"), .chat = chat, .prompt_estimate = 9 };
    struct buf body, terminal;
    struct draft d;
    bool ok;

    buf_init(&body, BYTES_MAX);
    buf_init(&terminal, BYTES_MAX);
    draft_init(&d);
    d.keep_reasoning = true;
    d.one_call = out->one_call;
    d.names = &out->names;
    d.writer = callers->writer_new(&info, &body);
    FUZZ_CHECK(d.writer);
    ok = read_answer(&d, chat, wire, t, answer);
    (void)draft_view(&d);
    FUZZ_CHECK(!d.has_usage || (d.usage.input >= 0 && d.usage.cache_read >= 0 && d.usage.output >= d.usage.reasoning));
    if (ok && !d.has_error && callers->writer_end(d.writer, &d, &terminal)) {
        buf_add_span(&body, buf_span(&terminal));
        if (callers->writer_items)
            callers->writer_items(d.writer, check_item, (void *)(uintptr_t)callers);
        if (!buf_ok(&body))
            ;
        else if (!chat->stream || chat->stream_array)
            must_scan("an answer", buf_span(&body));
        else
            check_stream(buf_span(&body));
    }
    callers->writer_free(d.writer);
    draft_free(&d);
    buf_free(&body);
    buf_free(&terminal);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct span input = { (const char *)data, size }, rest = span_skip(input, 2);
    const struct span request = span_first(rest, span_find(rest, '\0')), answer = span_skip(rest, request.n + 1);
    const struct dialect *callers, *wire;
    struct fault fault = { 0 }, written = { 0 };
    struct arena arena;
    struct quirks quirks;
    struct target target;
    struct chat chat;
    struct buf body;
    struct request_out out = { .arena = &arena, .body = &body, .fault = &written };

    if (size < 3 || !scans(request, &jscan_default_limits))
        return 0;
    callers = dialect_get((enum dialect_id)(data[0] % DIALECTS));
    target_of(data[1] % N_HOSTS, &quirks, &target);
    wire = dialect_get(hosts[data[1] % N_HOSTS].wire);
    arena_init(&arena, BYTES_MAX);
    buf_init(&body, BYTES_MAX);
    chat_init(&chat, callers->id, request);
    if (callers->id == DIALECT_GEMINI) {
        chat.model = SPAN_LIT("m");
        chat.stream = data[0] & 64;
        chat.stream_array = chat.stream && data[0] & 128;
    }
    if (!callers->parse(&chat, &(struct parse_spec){ .arena = &arena, .fault = &fault }))
        FUZZ_CHECK(well_refused(&fault));
    else if (callers == wire)
        pass(&chat, wire, &target, &out);
    else if (ask(&chat, wire, &target, &out))
        answer_in(&chat, wire, &target, &out, answer);
    buf_free(&body);
    arena_free(&arena);
    return 0;
}
