/* fuzz_answer.c - what a provider of any dialect answers, for a caller of any dialect. The first byte chooses both, whether the
 * provider's answer is a stream, and whether the caller's is; the rest is the answer. Seeds: tests/fuzz/corpus/answer.
 *
 * Promises: every answer is read, or not taken for one; what the caller gets of it is JSON in whole events; and the caller's own
 * dialect reads the same text and the same tool calls from it. */
#include <string.h>

#include "base/jscan.h"
#include "gateway/dialects/dialect.h"
#include "gateway/dialects/sse.h"
#include "tests/fuzz/fuzz.h"

static const struct quirks quirks = { .reasoning_field = REASONING_CONTENT, .reasoning_in_output_count = true };
static const struct traits traits = { .thinking = THINKING_EFFORT };
static const struct {
    enum dialect_id id;
    enum family family;
    const char *request;
} callers[] = {
    { DIALECT_CHAT, FAMILY_OPENAI, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"logprobs\":true}" },
    { DIALECT_RESPONSES, FAMILY_OPENAI, "{\"model\":\"m\",\"input\":\"Hi\",\"reasoning\":{\"summary\":\"auto\"}}" },
    { DIALECT_ANTHROPIC, FAMILY_ANTHROPIC, "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}" },
    { DIALECT_GEMINI, FAMILY_GEMINI, "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"Hi\"}]}]}" },
};
#define EVENT_BYTES_MAX (16u << 20)

static bool is_json(struct span text)
{
    static const struct jscan_limits wide = { .depth = 2000, .values = 10000000, .key_bytes = 1 << 20, .number_bytes = 1 << 20 };
    static struct jscan *s;

    if (!s)
        s = jscan_new(&wide, 7);
    FUZZ_CHECK(s);
    jscan_reset(s);
    return jscan_feed(s, text) != JSCAN_BAD && jscan_end(s) == JSCAN_DONE;
}

/* ---- reading an answer, as attempt.c does ---- */

struct reading_of {
    const struct dialect *dialect;
    struct target target;
    struct draft draft;
    const struct chat *relayed_to;    /* a caller of this very dialect: events pass as they came; else NULL */
    bool ours;                 /* the events are our own: each must be JSON */
    bool ok;
    struct buf passed, held;
};

static bool on_event(void *ctx, const struct sse_event *e)
{
    struct reading_of *r = ctx;

    if (!e->data.p)
        return true;
    if (span_is(e->data, "[DONE]")) {
        r->draft.ended = true;
        return true;
    }
    if (!is_json(e->data)) {
        FUZZ_CHECK(!r->ours);
        return true;
    }
    r->ok = r->dialect->read_event(&r->draft, e->name, e->data, &r->target);
    FUZZ_CHECK(!r->ours || r->ok);
    if (r->ok && r->relayed_to)
        FUZZ_CHECK(r->dialect->relay(r->relayed_to, e->raw, e->data, true, &r->passed, &r->held) != RELAY_FAILED);
    return r->ok;
}

static void begin(struct reading_of *r, const struct dialect *dialect, enum family family)
{
    *r = (struct reading_of){ .dialect = dialect, .ok = true,
                              .target = { .model = SPAN_LIT("m"), .quirks = &quirks, .traits = &traits, .family = family } };
    draft_init(&r->draft);
    r->draft.keep_reasoning = true;
    buf_init(&r->passed, EVENT_BYTES_MAX);
    buf_init(&r->held, EVENT_BYTES_MAX);
}

static void end(struct reading_of *r)
{
    draft_free(&r->draft);
    buf_free(&r->passed);
    buf_free(&r->held);
}

static void read_stream(struct reading_of *r, struct span stream)
{
    struct sse s;

    sse_init(&s, EVENT_BYTES_MAX);
    sse_feed(&s, stream, on_event, r);
    FUZZ_CHECK(!r->ours || sse_rest(&s).n == 0);
    sse_free(&s);
}

/* ---- what the caller got, against what the provider said ---- */

/* Calls that had a name; others could not be told of. Their order may change: a dialect with one open block at a time closes
 * the first while pieces of the others wait. */
static size_t named(const struct draft *d, struct span name)
{
    size_t n = 0;

    for (size_t i = 0; i < d->n_calls; i++)
        n += d->calls[i].begun && (!name.p || span_eq(buf_span(&d->calls[i].name), name));
    return n;
}

static void compare(const struct draft *said, const struct draft *got)
{
    if (said->refusal.n == 0)    /* some dialects have no member for it: it is a text there */
        FUZZ_CHECK(span_eq(buf_span(&said->text), buf_span(&got->text)));
    FUZZ_CHECK(named(said, SPAN_NONE) == named(got, SPAN_NONE));
    for (size_t i = 0; i < said->n_calls; i++)
        if (said->calls[i].begun)
            FUZZ_CHECK(named(said, buf_span(&said->calls[i].name)) == named(got, buf_span(&said->calls[i].name)));
}

static void check_answer(const struct reading_of *from, const struct dialect *caller, enum family family, struct buf *out,
                         const struct buf *terminal, bool streamed)
{
    struct reading_of again;

    begin(&again, caller, family);
    again.ours = true;
    if (streamed) {
        buf_add_span(out, buf_span(terminal));
        read_stream(&again, buf_span(out));
    } else {
        FUZZ_CHECK(is_json(buf_span(out)));
        FUZZ_CHECK(caller->read_whole(&again.draft, buf_span(out), &again.target));
    }
    compare(&from->draft, &again.draft);
    end(&again);
}

static void answer(const struct dialect *provider, enum family provider_family, size_t which, bool stream_in, bool stream_out,
                   struct span input)
{
    const struct dialect *caller = dialect_get(callers[which].id);
    struct buf out, terminal;
    struct reading_of r;
    struct arena arena;
    struct fault fault;
    struct chat chat;

    arena_init(&arena, 1u << 20);
    chat_init(&chat, caller->id, span_str(callers[which].request));
    FUZZ_CHECK(caller->parse(&chat, &(struct parse_spec){ .arena = &arena, .fault = &fault }));
    chat.stream = stream_out;
    buf_init(&out, EVENT_BYTES_MAX);
    buf_init(&terminal, EVENT_BYTES_MAX);
    begin(&r, provider, provider_family);
    r.relayed_to = caller == provider && stream_out ? &chat : NULL;
    r.draft.writer = caller->writer_new(&(struct reply_info){ .id = SPAN_LIT("req_1"), .model = SPAN_LIT("m"), .chat = &chat }, &out);
    FUZZ_CHECK(r.draft.writer);
    if (stream_in)
        read_stream(&r, input);
    else
        r.ok = is_json(input) && provider->read_whole(&r.draft, input, &r.target);
    if (!r.ok && !stream_in)
        provider->read_error(&r.draft, input, is_json(input));
    draft_view(&r.draft);
    if (r.ok && !r.draft.failed && caller->writer_end(r.draft.writer, &r.draft, &terminal))
        check_answer(&r, caller, callers[which].family, &out, &terminal, stream_out);
    caller->writer_free(r.draft.writer);
    end(&r);
    buf_free(&out);
    buf_free(&terminal);
    arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t from = size ? data[0] & 3u : 0, to = size ? data[0] >> 2 & 3u : 0;
    const struct dialect *provider = dialect_get(callers[from].id);

    if (size == 0)
        return 0;
    answer(provider, callers[from].family, to, data[0] & 16u, data[0] & 32u, (struct span){ (const char *)data + 1, size - 1 });
    return 0;
}
