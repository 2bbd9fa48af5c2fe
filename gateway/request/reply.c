/* reply.c - see reply.h. Does not decide what the reply is. */
#include "gateway/request/reply.h"

#include "base/clock.h"
#include "gateway/request/memory.h"

#define SLICE_BYTES 3900u        /* with its framing within libevent's chains of 4 KiB: larger ones are half empty */
#define COPY_BYTES 65536u        /* pieces beyond it are not copied behind what waits to be sent */
#define FIRST_HEAD_MS 10000      /* DESIGN section 4: a stream's head waits so long for a first byte that may pass */
#define KEEPALIVE_MS 10000

/* ---- heads ---- */

static void add_text(struct buf *b, const char *name, struct span value)
{
    buf_add_str(b, name);
    buf_add(b, ": ", 2);
    buf_add_span(b, value);
    buf_add(b, "\r\n", 2);
}

/* Names of routes and models come from files: a line stays a line. */
static void add_name(struct buf *b, const char *name, struct span value)
{
    const size_t from = b->n + strlen(name) + 2;

    if (!value.p)
        return;
    add_text(b, name, value);
    for (size_t i = from; i + 2 < b->n; i++)
        if ((unsigned char)b->p[i] < 0x20 || b->p[i] == 0x7f)
            b->p[i] = '?';
}

static void add_number(struct buf *b, const char *name, int64_t n)
{
    buf_add_str(b, name);
    buf_add(b, ": ", 2);
    buf_add_int(b, n);
    buf_add(b, "\r\n", 2);
}

/* What a plan adds to them. */
static void add_plan(const struct request *r, struct buf *b, bool with_cost)
{
    char usd[PRICE_TEXT_ROOM];

    add_name(b, "x-tollgate-route", r->plan.route_name);
    add_name(b, "x-tollgate-model", r->answered_model);
    add_name(b, "x-tollgate-provider", r->answered_provider);
    add_number(b, "x-tollgate-attempts", r->attempts);
    if (with_cost) {
        price_format_usd(r->cost_nano, usd);
        add_text(b, "x-tollgate-cost-usd", span_str(usd));
    }
    add_name(b, "x-tollgate-warning", r->plan.warning);
}

/* The fields that every reply carries, as far as they are known (DESIGN section 4). */
static void add_fields(const struct request *r, struct buf *b, bool with_cost)
{
    const struct span id = { r->id, ROW_ID_BYTES };

    add_text(b, "x-tollgate-request-id", id);
    add_text(b, "x-request-id", id);
    add_text(b, "request-id", id);
    if (r->planned)
        add_plan(r, b, with_cost);
    if (r->notes.n)
        add_name(b, "x-tollgate-warning", span_str(r->notes.text));
    if (r->attempt_live && r->attempt.notes.n)
        add_name(b, "x-tollgate-warning", span_str(r->attempt.notes.text));
}

static void note_first_byte(struct request *r)
{
    const int64_t now = clock_mono_ms();

    if (r->first_byte_ms < 0)
        r->first_byte_ms = now;
    r->last_sent_ms = now;
}

static void send_head(struct request *r, int status, const char *content_type, int64_t length, bool stream)
{
    struct buf b;

    buf_init(&b, 65536);
    buf_reserve(&b, 1000);
    add_text(&b, "content-type", span_str(content_type));
    if (stream)
        buf_add_str(&b, "cache-control: no-cache\r\nx-accel-buffering: no\r\n");
    add_fields(r, &b, !stream);
    if (r->fault.status && r->fault.retry_after_ms > 0)
        add_number(&b, "retry-after", (r->fault.retry_after_ms + 999) / 1000);
    else if (r->fault.status && r->fault.no_retry)
        buf_add_str(&b, "x-should-retry: false\r\n");
    if (r->fault.status == 401)
        add_text(&b, "www-authenticate", SPAN_LIT("Bearer"));
    if (r->fault.status == 405)
        add_text(&b, "allow", span_str(endpoint_method(r->endpoint)));
    connection_send_head(r->conn, status, buf_span(&b), length, false);
    buf_free(&b);
    r->head_sent = true;
    r->streamed = stream;
    note_first_byte(r);
}

static void send_stream_head(struct request *r)
{
    send_head(r, 200, r->chat.stream_array ? "application/json" : "text/event-stream; charset=utf-8", -1, true);
}

/* ---- sending ---- */

static void end_reply(struct request *r)
{
    struct connection *c = r->conn;

    r->conn = NULL;
    r->head = NULL;
    if (r->aborted)
        connection_abort(c);
    else
        connection_end(c);
}

/* What is to be sent gets longer here. */
static struct buf *tail(struct request *r)
{
    return r->behind.n ? &r->behind : &r->out;
}

/* *to is empty or sent, and becomes *from; *from gets its room. Both keep their caps. */
static void swap(struct buf *to, struct buf *from)
{
    const struct buf had = *to;

    *to = *from;
    to->cap = had.cap;
    *from = (struct buf){ .p = had.p, .room = had.room, .cap = from->cap };
    buf_clear(from);
}

/* Pieces of the running attempt join what is to be sent; a caller or ledger that is behind stops the reading. */
static void take_pieces(struct request *r)
{
    struct attempt *a = &r->attempt;

    if (!r->attempt_live || !r->committed || !r->streamed || !a->pieces.n)
        return;
    r->begun = true;
    if (r->out.n == r->out_at && !r->behind.n) {    /* nothing waits: swap rather than copy */
        swap(&r->out, &a->pieces);
        r->out_at = 0;
    } else if (a->pieces.n > COPY_BYTES && !r->behind.n) {
        swap(&r->behind, &a->pieces);
    } else {
        buf_add_span(tail(r), buf_span(&a->pieces));
        buf_clear(&a->pieces);
    }
}

/* The caller may be slow for long: what rests in memory meanwhile is the text itself, not the room it grew in. */
static void pause_reading(struct request *r)
{
    struct attempt *a = &r->attempt;

    if (a->pauses & PAUSE_CALLER_SLOW)
        return;
    attempt_pause(a, PAUSE_CALLER_SLOW);
    if (r->out_at >= r->out.n / 2) {    /* else much would be moved for little */
        buf_drop(&r->out, r->out_at);
        r->out_at = 0;
    }
    buf_shrink(&r->out);
    buf_shrink(&a->pieces);
    buf_shrink(&a->sse.carry);
    buf_shrink(&a->sse.joined);
    buf_shrink(&a->draft.text);
}

void reply_pump(struct request *r)
{
    if (!r->conn || r->opens_pending > 0)
        return;
    if (r->committed && !r->head_sent)
        send_stream_head(r);
    if (!r->head_sent)
        return;
    take_pieces(r);
    while (r->out_at < r->out.n && !connection_full(r->conn)) {
        const struct span rest = span_skip(buf_span(&r->out), r->out_at);
        const struct span slice = span_first(rest, SLICE_BYTES);

        connection_send_body(r->conn, slice);
        r->out_at += slice.n;
        note_first_byte(r);
        if (r->out_at == r->out.n && r->behind.n) {
            swap(&r->out, &r->behind);
            r->out_at = 0;
        }
    }
    if (r->out_at == r->out.n) {
        buf_clear(&r->out);
        r->out_at = 0;
        if (r->ending) {
            end_reply(r);
            return;
        }
    }
    if (r->attempt_live && r->committed) {
        if (r->out.n > r->out_at)
            pause_reading(r);
        else
            attempt_resume(&r->attempt, PAUSE_CALLER_SLOW);
    }
}

void reply_commit(struct request *r)
{
    r->committed = true;
    if (r->opens_pending > 0) {
        attempt_pause(&r->attempt, PAUSE_LEDGER);
        ledger_hurry(r->worker->gw->ledger, true);
    }
    reply_pump(r);
}

/* The cost is known only now: a comment line before the terminal event or an error (DESIGN section 4). */
static void add_cost(struct request *r)
{
    char usd[PRICE_TEXT_ROOM];

    if (r->chat.stream_array)    /* one JSON array has no room for it; the trace says it */
        return;
    price_format_usd(r->cost_nano, usd);
    buf_printf(tail(r), ": x-tollgate-cost-usd=%s\n\n", usd);
}

static void no_memory(struct request *r)
{
    fault_set(&r->fault, 503, "server_error", "overloaded", NULL, "The gateway is short of memory.");
    reply_fault(r);
}

static void accept_stream(struct request *r)
{
    if (!r->head_sent)
        send_stream_head(r);
    r->committed = true;
    take_pieces(r);
    r->committed = false;
    add_cost(r);
    buf_add_span(tail(r), buf_span(&r->attempt.terminal));
}

static void keep_item(void *ctx, struct span id, struct span json)
{
    struct request *r = ctx;

    memory_keep_item(r->worker->gw->memory, span_str(r->key.id), id, json, r->at_ms);
}

/* Before the caller has the whole answer, whose next request may come at once. */
static void keep_items(struct request *r)
{
    const struct writer *w = r->attempt.writer;

    if (w && w->dialect->writer_items)
        w->dialect->writer_items(w, keep_item, r);
}

void reply_accept(struct request *r)
{
    r->accepted = true;
    if (!r->conn || r->opens_pending > 0)
        return;    /* request_on_ledger comes here again */
    if (!attempt_close(&r->attempt)) {
        no_memory(r);
        return;
    }
    keep_items(r);
    if (r->chat.stream) {
        accept_stream(r);
    } else {
        const struct buf empty = r->out;

        r->out = r->attempt.pieces;
        r->attempt.pieces = empty;
        send_head(r, 200, "application/json", (int64_t)r->out.n, false);
    }
    r->ending = true;
    reply_pump(r);
}

void reply_fault(struct request *r)
{
    const struct span id = { r->id, ROW_ID_BYTES };
    struct buf body;

    if (!r->conn)
        return;
    r->opens_pending = 0;    /* what follows is no answer: nothing to wait for */
    if (r->head_sent) {      /* the stream has begun: its own form of an error, and no good end */
        add_cost(r);
        r->dialect->write_stream_fault(&r->fault, id, &r->chat, r->begun, tail(r));
        r->ending = true;
        r->committed = false;
        reply_pump(r);
        return;
    }
    buf_init(&body, 65536);
    r->dialect->write_fault(&r->fault, id, &body);
    send_head(r, r->dialect->fault_status(&r->fault), "application/json", (int64_t)body.n, false);
    connection_send_body(r->conn, buf_span(&body));
    end_reply(r);
    buf_free(&body);
}

void reply_document(struct request *r, int status, const char *content_type, struct span body)
{
    if (!r->conn)
        return;
    send_head(r, status, content_type, (int64_t)body.n, false);
    connection_send_body(r->conn, body);
    end_reply(r);
}

int64_t reply_tick(struct request *r, int64_t now_ms)
{
    const int64_t from = r->head_sent ? r->last_sent_ms : r->start_ms;
    const int64_t wait = r->head_sent ? KEEPALIVE_MS : FIRST_HEAD_MS;

    if (!r->conn || !r->chat.stream || r->ending || r->step != STEP_DRIVE)
        return INT64_MAX;
    if (now_ms < from + wait)
        return from + wait;
    if (r->opens_pending > 0)
        return now_ms + 100;    /* a head is a promise too: not before the ledger has it */
    if (!r->head_sent)
        send_stream_head(r);
    if (r->dialect->keepalive && !r->chat.stream_array && !connection_full(r->conn))
        connection_send_body(r->conn, span_str(r->dialect->keepalive));
    r->last_sent_ms = now_ms;
    return now_ms + KEEPALIVE_MS;
}
