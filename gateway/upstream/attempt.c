/* attempt.c - see attempt.h. The fetch's callbacks gather; on_end classifies nothing, it only reports facts. */
#include "gateway/upstream/attempt.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "gateway/upstream/retry_after.h"

#define EVENT_BYTES_MAX (8u << 20)     /* one SSE event: whole tool calls and audio come in one */
#define PIECES_BYTES_MAX (32u << 20)   /* of a held answer */
#define REQUEST_BYTES_MAX (64u << 20)  /* of a translated one: escapes may make it longer than it came */
#define ERROR_BYTES_MAX 65536u
#define LIMITED_MS 1000                /* a 429 that does not say for how long */
#define BODY_AT_ONCE 65536u            /* of a declared length: more is taken as it comes */
#define COUNT_BYTES 65536              /* what an attempt holds is counted in steps: small answers cost no atomic */

static const struct fetch_callbacks fetch_callbacks;

/* ---- ending ---- */

static struct span or_none(const char *text)
{
    return text[0] ? span_str(text) : SPAN_NONE;
}

static enum transport transport_of(const struct attempt *a, const struct fetch_result *r)
{
    switch (r->end) {
    case FETCH_OK: break;
    case FETCH_RESOLVE:
    case FETCH_CONNECT: return TRANSPORT_CONNECT;
    case FETCH_TLS: return TRANSPORT_TLS;
    case FETCH_RESET: return TRANSPORT_RESET;
    case FETCH_CUT: return a->stream ? TRANSPORT_TRUNCATED : TRANSPORT_RESET;
    case FETCH_TIMEOUT_CONNECT: return TRANSPORT_TIMEOUT_CONNECT;
    case FETCH_TIMEOUT_FIRST_BYTE: return TRANSPORT_TIMEOUT_FIRST_BYTE;
    case FETCH_TIMEOUT_IDLE: return TRANSPORT_TIMEOUT_IDLE;
    case FETCH_TIMEOUT_TOTAL: return TRANSPORT_TIMEOUT_TOTAL;
    case FETCH_TOO_LARGE:
    case FETCH_MALFORMED: return TRANSPORT_MALFORMED;
    case FETCH_MEMORY: return TRANSPORT_LOCAL;
    }
    return TRANSPORT_OK;
}

/* All that is known of it into the outcome. */
static void tell(struct attempt *a, enum transport transport)
{
    struct draft *d = &a->draft;
    char *const texts[] = { d->error_type, d->error_code, d->error_param, d->error_message };

    for (size_t i = 0; d->has_error && i < sizeof texts / sizeof *texts; i++)
        provider_hide_keys(a->target->provider, texts[i]);
    a->outcome.transport = transport;
    a->outcome.error_type = or_none(d->error_type);
    a->outcome.error_code = or_none(d->error_code);
    a->outcome.error_param = or_none(d->error_param);
    a->outcome.error_message = or_none(d->error_message);
    if (d->has_error && a->outcome.retry_after_ms < 0)
        a->outcome.retry_after_ms = d->error_retry_ms;
}

static void end(struct attempt *a, enum transport transport)
{
    tell(a, transport);
    a->callbacks->on_end(a->ctx, a);
}

static bool scans(struct attempt *a, struct span json)
{
    jscan_reset(a->scan);
    return jscan_feed(a->scan, json) != JSCAN_BAD && jscan_end(a->scan) == JSCAN_DONE;
}

/* Where a body gathers: an error's beside the pieces, an answer that passes among them. */
static struct buf *body_of(struct attempt *a, int status)
{
    return status < 300 && a->relays ? &a->pieces : &a->whole;
}

/* A whole body has come: an answer, or an error. */
static enum transport read_whole(struct attempt *a, int status)
{
    struct buf *b = body_of(a, status);
    const struct span body = span_trim(buf_span(b));    /* DeepSeek sends empty lines while it queues */
    const bool ok = body.n && scans(a, body);

    if (status >= 300) {
        a->wire->read_error(&a->draft, body, ok);
        return TRANSPORT_OK;
    }
    if (!ok || !a->wire->read_whole(&a->draft, body, &a->to))
        return a->draft.failed ? TRANSPORT_LOCAL : TRANSPORT_MALFORMED;
    if (!a->relays)
        buf_free(b);    /* the writer has it now */
    return TRANSPORT_OK;
}

/* [DONE] is the end on Chat alone. Hosts of other dialects may send it behind their terminal event, or in its place when
 * they broke off: then it ends nothing. */
static bool done_ends(const struct attempt *a)
{
    return a->wire->id == DIALECT_CHAT || a->wire->id == DIALECT_COMPLETIONS;
}

/* A stream is whole when its terminal event has come (Portkey-AI/gateway#1797: a cut stream ended as a clean 200); on Chat a
 * finish reason will do, since some hosts send no [DONE]. An error event after the 200 is the provider's failure: its words
 * tell the class (failure.c). */
static enum transport judge_stream_end(struct attempt *a)
{
    if (a->draft.has_error || a->draft.ended || (done_ends(a) && a->draft.finish != FINISH_NONE))
        return TRANSPORT_OK;
    return TRANSPORT_TRUNCATED;
}

static bool try_next_key(struct attempt *a, enum failure f);

/* A spent account comes as 400, 402, 403 or 429, and a 403 may be about the prompt: the class says whether the key is at
 * fault, and the host's own list of statuses. */
static bool blames_key(const struct attempt *a, enum failure f)
{
    const int status = a->outcome.status;

    return f == FAILURE_QUOTA || f == FAILURE_CREDENTIAL || f == FAILURE_RATE_LIMITED ||
           (status >= 400 && status != 401 && status != 403 && quirks_is_down(provider_quirks(a->target->provider), status));
}

static struct span header_of(const void *ctx, const char *name)
{
    return fetch_header(ctx, name);
}

static void note_retry_after(struct attempt *a, struct fetch_call *call)
{
    int64_t ms;

    if (retry_after_read(header_of, call, a->outcome.status, clock_wall_ms(), &ms))
        a->outcome.retry_after_ms = ms;
}

/* Responses repeats much of a request in its answer. */
static bool is_large(struct attempt *a)
{
    return !a->stream && a->outcome.status < 300 &&
           (body_of(a, a->outcome.status)->n > ATTEMPT_LARGE_BYTES || (!a->relays && a->chat->body.n > ATTEMPT_LARGE_BYTES));
}

/* All is here, and read unless that is still to be done. */
static void finish(struct attempt *a)
{
    enum failure f;

    if (a->arrived == TRANSPORT_OK && !a->read)
        a->arrived = a->stream && a->outcome.status < 300 ? judge_stream_end(a) : read_whole(a, a->outcome.status);
    tell(a, a->arrived);
    f = failure_classify(&a->outcome);
    if (a->key != PROVIDER_KEY_NONE && blames_key(a, f) && try_next_key(a, f))
        return;
    if (f == FAILURE_NONE && a->key != PROVIDER_KEY_NONE)
        provider_key_worked(a->target->provider, a->key);
    a->callbacks->on_end(a->ctx, a);
}

static void on_end(void *ctx, struct fetch_call *call, const struct fetch_result *r)
{
    struct attempt *a = ctx;

    a->arrived = transport_of(a, r);
    a->outcome.status = r->status;
    if (r->status >= 300)
        note_retry_after(a, call);
    a->call = NULL;
    a->first_byte_us = r->first_byte_us;
    a->total_us = r->total_us;
    a->reached = r->connect_us >= 0 && r->status < 300;
    if (r->connect_us < 0 && provider_tells(a->target->provider, clock_mono_ms()))
        log_warn("provider %s cannot be reached: %s%s%s", provider_name(a->target->provider), fetch_end_name(r->end),
                 r->detail[0] ? ": " : "", r->detail);
    else if (a->arrived != TRANSPORT_OK && r->detail[0])
        log_debug("upstream %s: %s: %s", provider_name(a->target->provider), fetch_end_name(r->end), r->detail);
    if (a->reading) {
        a->over = true;
        return;
    }
    if (a->arrived == TRANSPORT_OK && is_large(a) && a->callbacks->on_large && a->callbacks->on_large(a->ctx, a))
        return;
    finish(a);
}

/* ---- arriving ---- */

static bool relay(struct attempt *a, const struct sse_event *e)
{
    switch (a->wire->relay(a->chat, e->raw, e->data, a->relayed, &a->pieces, &a->terminal)) {
    case RELAY_PASSED:
        a->relayed |= a->pieces.n > 0;
        return true;
    case RELAY_HELD: return true;
    case RELAY_FAILED: break;
    }
    return false;
}

static bool on_event(void *ctx, const struct sse_event *e)
{
    struct attempt *a = ctx;

    a->opened |= e->data.p != NULL;
    if (!e->data.p || a->done)
        return true;    /* comments and keep-alives are the gateway's own business */
    if (span_is(e->data, "[DONE]")) {
        a->done = true;
        a->draft.ended |= done_ends(a);
        return true;
    }
    if (!scans(a, e->data) || !a->wire->read_event(&a->draft, e->name, e->data, &a->to))
        return false;
    return a->draft.has_error || !a->relays || relay(a, e);
}

static void stop(struct attempt *a, struct fetch_call *call, enum transport why)
{
    fetch_cancel(call);
    a->call = NULL;
    a->reached = true;
    end(a, why);
}

/* Of the bytes in flight in the process. False: there are too many. */
static bool count_held(struct attempt *a)
{
    const int64_t held = (int64_t)(a->pieces.n + a->whole.n + a->draft.text.n), more = held - a->counted;

    if (!a->in_flight || more < COUNT_BYTES)
        return true;
    a->counted += more;
    return atomic_fetch_add_explicit(a->in_flight, more, memory_order_relaxed) + more <= a->in_flight_most ||
           a->in_flight_most == 0;
}

static void on_head(void *ctx, struct fetch_call *call, int status)
{
    struct attempt *a = ctx;
    uint64_t length;

    a->outcome.status = status;
    a->whole.cap = status >= 300 ? ERROR_BYTES_MAX : PIECES_BYTES_MAX;
    if (!a->stream && span_to_u64(fetch_header(call, "content-length"), BODY_AT_ONCE, &length))
        buf_reserve(body_of(a, status), (size_t)length);
}

/* What has come is read, or could not be. */
static void go_on(struct attempt *a, struct fetch_call *call, bool well)
{
    if (!well)
        stop(a, call, a->draft.failed ? TRANSPORT_LOCAL : TRANSPORT_MALFORMED);
    else if (!count_held(a))
        stop(a, call, TRANSPORT_LOCAL);
    else if (a->stream)
        a->callbacks->on_progress(a->ctx, a);
}

/* Does this end a large event, or begin an answer to a large request in another dialect? Responses repeats its tools there. */
static bool is_long(const struct attempt *a, struct span data)
{
    return (a->sse.carry.n > ATTEMPT_LARGE_BYTES && (span_find(data, '\n') < data.n || span_find(data, '\r') < data.n)) ||
           (!a->opened && !a->relays && a->chat->body.n > ATTEMPT_LARGE_BYTES);
}

/* The fetch waits meanwhile; it may only end. */
static bool read_elsewhere(struct attempt *a, struct span data)
{
    if (!a->callbacks->on_large || !buf_add_span(&a->late, data))
        return false;
    a->reading = true;
    if (a->callbacks->on_large(a->ctx, a)) {
        attempt_pause(a, PAUSE_READING);
        return true;
    }
    a->reading = false;
    buf_clear(&a->late);
    return false;
}

static void on_data(void *ctx, struct fetch_call *call, struct span data)
{
    struct attempt *a = ctx;

    if (a->outcome.status >= 300) {
        if (!buf_add_span(&a->whole, data)) {    /* enough is known, and it may have no end */
            note_retry_after(a, call);
            stop(a, call, read_whole(a, a->outcome.status));
        }
        return;
    }
    if (a->stream && is_long(a, data) && read_elsewhere(a, data))
        return;
    go_on(a, call, a->stream ? sse_feed(&a->sse, data, on_event, a) == SSE_OK : buf_add_span(body_of(a, a->outcome.status), data));
}

static const struct fetch_callbacks fetch_callbacks = { .on_head = on_head, .on_data = on_data, .on_end = on_end };

/* ---- what takes long ---- */

void attempt_read(struct attempt *a, struct jscan *scan)
{
    struct jscan *const loops = a->scan;

    a->scan = scan;
    if (a->stream) {
        a->read_well = sse_feed(&a->sse, buf_span(&a->late), on_event, a) == SSE_OK;
    } else {
        a->arrived = read_whole(a, a->outcome.status);
        a->read = true;
        if (!a->relays && a->arrived == TRANSPORT_OK)
            attempt_close(a);
    }
    a->scan = loops;
}

void attempt_finish(struct attempt *a)
{
    if (!a->reading) {
        finish(a);
        return;
    }
    a->reading = false;
    buf_free(&a->late);
    if (!a->over) {
        attempt_resume(a, PAUSE_READING);
        go_on(a, a->call, a->read_well);
        return;
    }
    if (!a->read_well && a->arrived == TRANSPORT_OK)
        a->arrived = a->draft.failed ? TRANSPORT_LOCAL : TRANSPORT_MALFORMED;
    finish(a);
}

/* ---- starting ---- */

static bool call(struct attempt *a)
{
    if (!provider_prepare(a->target->provider, a->wire->id, a->to.model, a->stream, clock_mono_ms(), &a->spec, &a->key)) {
        a->outcome.status = 401;    /* no key at all: our own credential's fault */
        return false;
    }
    a->call = fetch_start(a->fetch, &a->spec, &fetch_callbacks, a);
    a->outcome.transport = TRANSPORT_LOCAL;
    return a->call != NULL;
}

/* Sets the key aside: refused, or for as long as its own limit asks. True while the provider has another to be tried. */
static bool another_key(struct attempt *a, enum failure f)
{
    struct provider *p = a->target->provider;
    const int64_t now = clock_mono_ms(), wait = a->outcome.retry_after_ms;

    if (f == FAILURE_RATE_LIMITED)
        return provider_keys(p) > 1 && provider_key_limited(p, a->key, now, now + (wait > 0 ? wait : LIMITED_MS));
    return provider_key_refused(p, a->key, now);
}

/* What fails within an answer that has begun is not tried again here: the caller may have its beginning. */
static bool try_next_key(struct attempt *a, enum failure f)
{
    if (!another_key(a, f) || a->outcome.status < 300 || ++a->keys_tried >= provider_keys(a->target->provider) ||
        !a->callbacks->on_next_key(a->ctx, a))
        return false;
    buf_clear(&a->whole);
    draft_forget_error(&a->draft);
    a->outcome = (struct outcome){ .retry_after_ms = -1 };
    return call(a);
}

const struct dialect *attempt_target(const struct snapshot_model *t, const struct book_model *m, const struct chat *chat,
                                     struct target *to)
{
    const enum dialect_id wire = provider_wire(t->provider, &t->traits, chat->dialect);

    *to = (struct target){ .model = m->upstream_id, .quirks = provider_quirks(t->provider), .traits = &t->traits,
                           .family = provider_family(t->provider), .max_output = m->max_output,
                           .local = provider_is_local(t->provider) };
    return dialect_get(wire);
}

/* Our own side cannot write it: the caller hears our words. */
static bool cannot_write(struct attempt *a)
{
    a->outcome.transport = a->fault.status == 400 ? TRANSPORT_OK : TRANSPORT_LOCAL;
    a->outcome.status = a->fault.status == 400 ? 400 : 0;
    a->outcome.error_type = span_str(a->fault.type);
    a->outcome.error_code = span_str(a->fault.code);
    a->outcome.error_param = or_none(a->fault.param);
    a->outcome.error_message = or_none(a->fault.message);
    return false;
}

/* A fetch that was cancelled still reads its body for the rest of the loop turn: it lives as long as the request does. */
static struct span own(struct arena *arena, struct buf *b)
{
    const size_t n = b->n;
    char *p = buf_take(b);

    if (p && !arena_on_free(arena, free, p)) {
        free(p);
        p = NULL;
    }
    return (struct span){ p, n };
}

static bool write_request(struct attempt *a)
{
    struct request_out out = { .arena = a->arena, .body = &a->request, .fault = &a->fault };
    const bool ok = a->same ? a->wire->pass_request(a->chat, &a->to, &out) : a->wire->write_request(a->chat, &a->to, &out);

    a->notes = out.notes;
    a->names = out.names;
    if (!ok)
        return cannot_write(a);
    if (a->strict && out.notes.n) {
        fault_bad(&a->fault, "unsupported_parameter", NULL,
                  "This request is strict, and the provider would get it changed: %s.", out.notes.text);
        return cannot_write(a);
    }
    a->spec.body = out.pieces;
    a->spec.n_body = out.n_pieces;
    if (a->request.n) {    /* written, of this very dialect too where a host wants it anew */
        a->request_span = own(a->arena, &a->request);
        a->spec.body = &a->request_span;
        a->spec.n_body = 1;
    }
    return a->spec.n_body > 0 && a->spec.body[0].p;
}

/* Mistral's content is a list where it thinks, and its cached tokens have a name of their own: no client of OpenAI's dialect
 * reads either, so such answers are written anew. */
static bool says_otherwise(const struct attempt *a)
{
    return a->wire->id == DIALECT_CHAT && a->to.quirks->reasoning_field == REASONING_BLOCKS;
}

/* Answers of another dialect are written by the caller's own. */
static bool make_writer(struct attempt *a)
{
    const struct dialect *callers = dialect_get(a->chat->dialect);

    a->writer = callers->writer_new(&a->reply, &a->pieces);
    a->draft.writer = a->writer;
    a->draft.names = &a->names;
    return a->writer != NULL;
}

void attempt_begin(struct attempt *a, const struct attempt_spec *s)
{
    *a = (struct attempt){ .callbacks = s->callbacks, .ctx = s->ctx, .fetch = s->fetch, .scan = s->scan, .arena = s->arena,
                           .reply = *s->reply, .strict = s->strict, .target = s->target, .chat = s->chat, .stream = s->chat->stream,
                           .in_flight = s->in_flight,
                           .in_flight_most = s->in_flight_most, .key = PROVIDER_KEY_NONE, .first_byte_us = -1,
                           .total_us = -1 };
    a->outcome = (struct outcome){ .transport = TRANSPORT_LOCAL, .retry_after_ms = -1 };
    a->wire = attempt_target(s->target, s->model, s->chat, &a->to);
    a->to.output_cap = s->max_tokens;
    a->same = a->wire->id == s->chat->dialect;
    a->relays = a->same && !says_otherwise(a);
    draft_init(&a->draft);
    a->draft.keep_text = s->keep_text;
    a->draft.keep_reasoning = s->chat->n_tools > 0;
    a->draft.one_call = s->chat->parallel == TRI_NO && !a->relays;
    sse_init(&a->sse, EVENT_BYTES_MAX);
    buf_init(&a->request, REQUEST_BYTES_MAX);
    buf_init(&a->whole, PIECES_BYTES_MAX);
    buf_init(&a->pieces, PIECES_BYTES_MAX);
    buf_init(&a->terminal, PIECES_BYTES_MAX);
    buf_init(&a->late, EVENT_BYTES_MAX);
    a->spec.method = FETCH_POST;
}

void attempt_write(struct attempt *a)
{
    a->written = write_request(a) && (a->relays || make_writer(a));
}

bool attempt_call(struct attempt *a)
{
    return a->written &&
           provider_add_lines(a->wire->id, a->chat->anthropic_version, a->chat->anthropic_beta, a->arena, &a->spec) && call(a);
}

bool attempt_close(struct attempt *a)
{
    if (a->closed)
        return a->closed_well;
    a->closed = a->closed_well = true;
    if (!a->relays)
        a->closed_well = a->writer->dialect->writer_end(a->writer, &a->draft, &a->terminal);
    else if (a->stream && a->wire->relay_end)
        a->closed_well = buf_add_str(&a->terminal, a->wire->relay_end(a->chat));
    return a->closed_well;
}

void attempt_cancel(struct attempt *a)
{
    if (a->call) {
        a->reached = fetch_connected(a->call);
        fetch_cancel(a->call);
    }
    a->call = NULL;
}

void attempt_free(struct attempt *a)
{
    attempt_cancel(a);
    if (a->writer)
        a->writer->dialect->writer_free(a->writer);
    a->writer = NULL;
    draft_free(&a->draft);
    sse_free(&a->sse);
    buf_free(&a->request);
    buf_free(&a->whole);
    buf_free(&a->pieces);
    buf_free(&a->terminal);
    buf_free(&a->late);
    if (a->counted)
        atomic_fetch_sub_explicit(a->in_flight, a->counted, memory_order_relaxed);
    a->counted = 0;
}

void attempt_pause(struct attempt *a, enum attempt_pause reason)
{
    if (a->pauses == 0 && a->call)
        fetch_pause(a->call);
    a->pauses |= (unsigned)reason;
}

void attempt_resume(struct attempt *a, enum attempt_pause reason)
{
    if (!(a->pauses & (unsigned)reason))
        return;
    a->pauses &= ~(unsigned)reason;
    if (a->pauses == 0 && a->call)
        fetch_resume(a->call);
}

bool attempt_may_be_billed(const struct attempt *a)
{
    return a->reached && a->outcome.status < 300;
}
