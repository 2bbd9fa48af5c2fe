/* responses_reply.c - writes another dialect's answer as a Responses caller reads it, whole or event by event.
 *
 * An answer is a list of items. Texts and reasoning are closed as soon as something else comes, and what comes later begins an
 * item of its own: nothing is reopened. A call is closed when the next thing comes and its arguments are one whole object;
 * until then it stays open beside others, as this dialect allows, since hosts of the Chat dialect may interleave the pieces of
 * several calls. A whole answer is gathered by the same steps without the events. Source: wire/openai-responses sections 5
 * and 7, and the accumulator of OpenAI's client library. */
#include <stdio.h>
#include <stdlib.h>

#include "base/jwrite.h"
#include "gateway/dialects/responses_parts.h"

#define NONE SIZE_MAX

enum out_kind { OUT_MESSAGE, OUT_REASONING, OUT_CALL };
enum part_kind { PART_NONE, PART_TEXT, PART_REFUSAL };

struct out_item {
    enum out_kind kind;
    bool done;
    char id[RESPONSES_ID_ROOM];
    struct buf json;           /* when it is done: as the final response repeats it */
    struct buf text;           /* raw: of the open part, of the summary, of the arguments */
    /* MESSAGE */
    struct buf parts;          /* those that are done, with commas between them */
    unsigned n_parts;
    enum part_kind part;       /* the open one */
    struct buf annotations;    /* of the open part */
    unsigned n_annotations;
    int64_t part_from;         /* code points of the answer before the open part */
    /* REASONING */
    struct buf opaque;
    /* CALL */
    struct buf call_id, name;
    const struct chat_tool *tool;    /* as the caller offered it; NULL: it did not */
    bool custom, asked;        /* asked: whether its arguments are whole; once is enough */
};

struct reply {
    struct writer w;
    struct responses_echo echo;
    bool begun;                /* response.created is out */
    int64_t sequence;
    struct out_item *items;
    size_t n_items, room;
    size_t open;               /* the message or reasoning that takes pieces; NONE */
    size_t calls[DRAFT_CALLS_MAX];    /* item of each call that has begun; NONE */
    int64_t chars;             /* code points of all texts so far */
    struct buf logprobs;       /* elements, with commas: of the open text, or of the next one */
};

static bool streams(const struct reply *r)
{
    return r->w.info.chat->stream;
}

/* ---- life ---- */

struct writer *responses_writer_new(const struct reply_info *info, struct buf *out)
{
    struct reply *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    r->w = (struct writer){ .dialect = &responses_dialect, .info = *info, .out = out };
    r->open = NONE;
    for (size_t i = 0; i < DRAFT_CALLS_MAX; i++)
        r->calls[i] = NONE;
    buf_init(&r->logprobs, DRAFT_BYTES_MAX);
    responses_find_echo(&r->echo, info->chat);
    return &r->w;
}

void responses_writer_free(struct writer *w)
{
    struct reply *r = (struct reply *)w;

    if (!r)
        return;
    for (size_t i = 0; i < r->n_items; i++) {
        struct out_item *t = &r->items[i];

        buf_free(&t->json);
        buf_free(&t->text);
        buf_free(&t->parts);
        buf_free(&t->annotations);
        buf_free(&t->opaque);
        buf_free(&t->call_id);
        buf_free(&t->name);
    }
    buf_free(&r->logprobs);
    free(r->items);
    free(r);
}

static struct out_item *new_item(struct reply *r, enum out_kind kind, const char *prefix)
{
    struct out_item *t;

    if (r->n_items == RESPONSES_ITEMS_MAX)
        return NULL;
    if (r->n_items == r->room) {
        const size_t room = r->room ? 2 * r->room : 4;
        struct out_item *more = realloc(r->items, room * sizeof *more);

        if (!more)
            return NULL;
        r->items = more;
        r->room = room;
    }
    t = &r->items[r->n_items];
    *t = (struct out_item){ .kind = kind };
    responses_item_id(t->id, prefix, r->w.info.id, r->n_items);
    buf_init(&t->json, 2 * DRAFT_BYTES_MAX);
    buf_init(&t->text, DRAFT_BYTES_MAX);
    buf_init(&t->parts, 2 * DRAFT_BYTES_MAX);
    buf_init(&t->annotations, 1u << 20);
    buf_init(&t->opaque, 1u << 20);
    buf_init(&t->call_id, 65536);
    buf_init(&t->name, 4096);
    r->n_items++;
    return t;
}

/* ---- events ---- */

/* Begins an event that speaks of an item; ends with responses_event_end. */
static struct buf *item_event(struct reply *r, const char *type, const struct out_item *t)
{
    struct buf *b = r->w.out;

    responses_event_begin(b, type, r->sequence++);
    jw_string(b, "item_id", span_str(t->id));
    jw_int(b, "output_index", t - r->items);
    return b;
}

static struct buf *part_event(struct reply *r, const char *type, const struct out_item *t)
{
    struct buf *b = item_event(r, type, t);

    jw_int(b, "content_index", t->n_parts);
    return b;
}

static struct buf *summary_event(struct reply *r, const char *type, const struct out_item *t)
{
    struct buf *b = item_event(r, type, t);

    jw_int(b, "summary_index", 0);
    return b;
}

/* The two that frame an item. */
static void frame_event(struct reply *r, const char *type, const struct out_item *t, struct span item)
{
    struct buf *b = r->w.out;

    if (!streams(r))
        return;
    responses_event_begin(b, type, r->sequence++);
    jw_int(b, "output_index", t - r->items);
    jw_json(b, "item", item);
    responses_event_end(b);
}

static struct responses_object object_of(const struct reply *r, const char *status)
{
    return (struct responses_object){ .echo = &r->echo, .request_id = r->w.info.id, .created_s = r->w.info.created_s,
                                      .model = r->w.info.model, .status = status, .output = SPAN_LIT("") };
}

static void begin(struct reply *r)
{
    static const char *const types[] = { "response.created", "response.in_progress" };
    const struct responses_object o = object_of(r, "in_progress");

    if (r->begun || !streams(r))
        return;
    r->begun = true;
    for (size_t i = 0; i < 2; i++) {
        responses_event_begin(r->w.out, types[i], r->sequence++);
        responses_write_object(r->w.out, "response", &o);
        responses_event_end(r->w.out);
    }
}

/* ---- items as JSON ---- */

static void write_head(struct buf *b, const struct out_item *t, const char *type, const char *status)
{
    jw_object(b, NULL);
    jw_string(b, "id", span_str(t->id));
    jw_string(b, "type", span_str(type));
    jw_string(b, "status", span_str(status));
}

static void write_message(struct buf *b, const struct out_item *t, const char *status)
{
    write_head(b, t, "message", status);
    jw_array(b, "content");
    buf_add_span(b, buf_span(&t->parts));
    jw_close(b, ']');
    jw_string(b, "role", SPAN_LIT("assistant"));
    jw_close(b, '}');
}

/* `whole`: with its text. */
static void write_part(struct buf *b, const char *name, const struct reply *r, const struct out_item *t, bool whole)
{
    const struct span text = whole ? buf_span(&t->text) : SPAN_LIT("");

    jw_object(b, name);
    jw_string(b, "type", t->part == PART_TEXT ? SPAN_LIT("output_text") : SPAN_LIT("refusal"));
    if (t->part == PART_TEXT) {
        jw_array(b, "annotations");
        buf_add_span(b, whole ? buf_span(&t->annotations) : SPAN_LIT(""));
        jw_close(b, ']');
        jw_array(b, "logprobs");
        buf_add_span(b, whole ? buf_span(&r->logprobs) : SPAN_LIT(""));
        jw_close(b, ']');
    }
    jw_raw(b, t->part == PART_TEXT ? "text" : "refusal", text);
    jw_close(b, '}');
}

static void write_summary(struct buf *b, const char *name, struct span raw)
{
    jw_object(b, name);
    jw_string(b, "type", SPAN_LIT("summary_text"));
    jw_raw(b, "text", raw);
    jw_close(b, '}');
}

/* No status: the dialect's own examples have none here. */
static void write_reasoning(struct buf *b, const struct out_item *t)
{
    jw_object(b, NULL);
    jw_string(b, "id", span_str(t->id));
    jw_string(b, "type", SPAN_LIT("reasoning"));
    jw_array(b, "summary");
    if (t->text.n)
        write_summary(b, NULL, buf_span(&t->text));
    jw_close(b, ']');
    if (t->opaque.n)
        jw_raw(b, "encrypted_content", buf_span(&t->opaque));
    jw_close(b, '}');
}

static void write_name(struct buf *b, const struct out_item *t)
{
    if (t->tool && t->tool->space.p) {
        jw_string(b, "name", t->tool->bare);
        jw_string(b, "namespace", t->tool->space);
    } else {
        jw_string(b, "name", buf_span(&t->name));
    }
}

static void write_call(struct buf *b, const struct out_item *t, const char *status, struct span arguments)
{
    write_head(b, t, t->custom ? "custom_tool_call" : "function_call", status);
    jw_raw(b, t->custom ? "input" : "arguments", arguments);
    jw_string(b, "call_id", buf_span(&t->call_id));
    write_name(b, t);
    jw_close(b, '}');
}

static bool finish_item(struct reply *r, struct out_item *t)
{
    t->done = true;
    frame_event(r, "response.output_item.done", t, buf_span(&t->json));
    buf_free(&t->text);
    buf_free(&t->parts);
    return buf_ok(&t->json) && buf_ok(r->w.out);
}

static bool announce(struct reply *r, const struct out_item *t, void (*write)(struct buf *, const struct out_item *))
{
    struct buf item;
    bool ok;

    if (!streams(r))
        return true;
    buf_init(&item, 1u << 20);
    write(&item, t);
    frame_event(r, "response.output_item.added", t, buf_span(&item));
    ok = buf_ok(&item);
    buf_free(&item);
    return ok;
}

/* ---- messages ---- */

static void write_new_message(struct buf *b, const struct out_item *t)
{
    write_message(b, t, "in_progress");
}

static void open_part(struct reply *r, struct out_item *t, enum part_kind part)
{
    t->part = part;
    t->part_from = r->chars;
    if (streams(r)) {
        struct buf *b = part_event(r, "response.content_part.added", t);

        write_part(b, "part", r, t, false);
        responses_event_end(b);
    }
}

static void close_part(struct reply *r, struct out_item *t)
{
    const bool text = t->part == PART_TEXT;

    if (t->part == PART_NONE)
        return;
    if (streams(r)) {
        struct buf *b = part_event(r, text ? "response.output_text.done" : "response.refusal.done", t);

        jw_raw(b, text ? "text" : "refusal", buf_span(&t->text));
        if (text) {
            jw_array(b, "logprobs");
            buf_add_span(b, buf_span(&r->logprobs));
            jw_close(b, ']');
        }
        responses_event_end(b);
        b = part_event(r, "response.content_part.done", t);
        write_part(b, "part", r, t, true);
        responses_event_end(b);
    }
    write_part(&t->parts, NULL, r, t, true);
    t->n_parts++;
    t->part = PART_NONE;
    t->n_annotations = 0;
    buf_clear(&t->text);
    buf_clear(&t->annotations);
    if (text)
        buf_clear(&r->logprobs);
}

static bool close_message(struct reply *r, struct out_item *t, const char *status)
{
    close_part(r, t);
    if (!buf_ok(&t->parts))
        return false;
    write_message(&t->json, t, status);
    return finish_item(r, t);
}

/* ---- reasoning ---- */

/* Text goes to the caller only where it asked for a summary; that there was reasoning is always said. */
static bool shows(const struct reply *r)
{
    return r->w.info.chat->show_reasoning == TRI_YES;
}

static bool close_reasoning(struct reply *r, struct out_item *t)
{
    if (streams(r) && t->text.n) {
        struct buf *b = summary_event(r, "response.reasoning_summary_text.done", t);

        jw_raw(b, "text", buf_span(&t->text));
        responses_event_end(b);
        b = summary_event(r, "response.reasoning_summary_part.done", t);
        write_summary(b, "part", buf_span(&t->text));
        responses_event_end(b);
    }
    write_reasoning(&t->json, t);
    return finish_item(r, t);
}

static bool add_reasoning(struct reply *r, struct out_item *t, struct span raw)
{
    const bool first = t->text.n == 0;
    struct buf *b;

    if (!shows(r) || raw.n == 0)
        return true;
    if (streams(r) && first) {
        b = summary_event(r, "response.reasoning_summary_part.added", t);
        write_summary(b, "part", SPAN_LIT(""));
        responses_event_end(b);
    }
    if (streams(r)) {
        b = summary_event(r, "response.reasoning_summary_text.delta", t);
        jw_raw(b, "delta", raw);
        responses_event_end(b);
    }
    return buf_add_span(&t->text, raw);
}

/* ---- calls ---- */

static void write_new_call(struct buf *b, const struct out_item *t)
{
    write_call(b, t, "in_progress", SPAN_LIT(""));
}

static void delta_arguments(struct reply *r, const struct out_item *t, struct span raw)
{
    struct buf *b;

    if (!streams(r))
        return;
    b = item_event(r, t->custom ? "response.custom_tool_call_input.delta" : "response.function_call_arguments.delta", t);
    jw_raw(b, "delta", raw);
    responses_event_end(b);
}

/* A call without arguments has an empty object, as clients parse what they get (wire/openai-responses section 9). */
static bool close_call(struct reply *r, struct out_item *t, const char *status)
{
    if (t->text.n == 0 && !t->custom) {
        buf_add_str(&t->text, "{}");
        delta_arguments(r, t, SPAN_LIT("{}"));
    }
    if (streams(r)) {
        struct buf *b = item_event(r, t->custom ? "response.custom_tool_call_input.done"
                                                : "response.function_call_arguments.done", t);

        jw_raw(b, t->custom ? "input" : "arguments", buf_span(&t->text));
        if (!t->custom)
            write_name(b, t);
        responses_event_end(b);
    }
    write_call(&t->json, t, status, buf_span(&t->text));
    return finish_item(r, t);
}

/* Something else comes: the open calls whose arguments are whole are over. Each is looked at once, so that pieces which
 * alternate between calls cost no more than their length. */
static bool settle_calls(struct reply *r)
{
    for (size_t i = 0; i < DRAFT_CALLS_MAX && r->calls[i] != NONE; i++) {
        struct out_item *t = &r->items[r->calls[i]];
        const struct chat_call call = { .arguments_raw = buf_span(&t->text) };

        if (t->done || t->asked || t->custom)
            continue;
        t->asked = true;
        if (t->text.n && chat_arguments_ok(&call) && !close_call(r, t, "completed"))
            return false;
    }
    return true;
}

/* ---- what is open ---- */

static bool close_open(struct reply *r, const char *status)
{
    struct out_item *t = r->open == NONE ? NULL : &r->items[r->open];

    r->open = NONE;
    if (!t)
        return true;
    return t->kind == OUT_MESSAGE ? close_message(r, t, status) : close_reasoning(r, t);
}

/* The open item of this kind; a new one where something else is open. NULL: no memory, or too much. */
static struct out_item *open_item(struct reply *r, enum out_kind kind)
{
    struct out_item *t;

    if (r->open != NONE && r->items[r->open].kind == kind)
        return &r->items[r->open];
    if (!close_open(r, "completed") || !settle_calls(r))
        return NULL;
    t = new_item(r, kind, kind == OUT_MESSAGE ? "msg" : "rs");
    if (!t || !announce(r, t, kind == OUT_MESSAGE ? write_new_message : write_reasoning))
        return NULL;
    r->open = (size_t)(t - r->items);
    return t;
}

/* ---- pieces ---- */

static int64_t count_chars(struct span raw)
{
    int64_t n = 0;

    for (size_t i = 0; i < raw.n; i++) {
        if (raw.p[i] == '\\' && i + 1 < raw.n) {
            /* an escape is one character, and so is a pair of surrogates: its second half is not counted */
            const bool unicode = raw.p[i + 1] == 'u' && i + 5 < raw.n;
            const char *hex = raw.p + i + 2;

            n += !(unicode && (hex[0] == 'd' || hex[0] == 'D') && strchr("cdefCDEF", hex[1]));
            i += unicode ? 5 : 1;
        } else {
            n += ((unsigned char)raw.p[i] & 0xC0) != 0x80;
        }
    }
    return n;
}

static bool text_piece(struct reply *r, const struct piece *p)
{
    const enum part_kind part = p->kind == PIECE_TEXT ? PART_TEXT : PART_REFUSAL;
    struct out_item *t = p->raw.n ? open_item(r, OUT_MESSAGE) : NULL;

    if (p->raw.n == 0)
        return true;
    if (!t)
        return false;
    if (t->part != part) {
        close_part(r, t);
        open_part(r, t, part);
    }
    if (streams(r)) {
        struct buf *b = part_event(r, part == PART_TEXT ? "response.output_text.delta" : "response.refusal.delta", t);

        jw_raw(b, "delta", p->raw);
        if (part == PART_TEXT)
            jw_json(b, "logprobs", SPAN_LIT("[]"));
        responses_event_end(b);
    }
    if (part == PART_TEXT)
        r->chars += count_chars(p->raw);
    return buf_add_span(&t->text, p->raw);
}

static bool call_piece(struct reply *r, const struct piece *p)
{
    struct out_item *t;

    if (p->call < 0 || p->call >= DRAFT_CALLS_MAX || r->calls[p->call] != NONE)
        return true;
    if (!close_open(r, "completed") || !settle_calls(r))
        return false;
    t = new_item(r, OUT_CALL, p->custom ? "ctc" : "fc");
    if (!t || !buf_add_span(&t->call_id, p->id) || !buf_add_span(&t->name, p->name))
        return false;
    t->custom = p->custom;
    t->tool = chat_find_tool(r->w.info.chat, p->name);
    r->calls[p->call] = (size_t)(t - r->items);
    return announce(r, t, write_new_call);
}

static bool arguments_piece(struct reply *r, const struct piece *p)
{
    struct out_item *t;

    if (p->call < 0 || p->call >= DRAFT_CALLS_MAX || r->calls[p->call] == NONE || p->raw.n == 0)
        return true;
    t = &r->items[r->calls[p->call]];
    if (t->done)    /* behind one whole object there is nothing that a client could use */
        return true;
    delta_arguments(r, t, p->raw);
    return buf_add_span(&t->text, p->raw);
}

/* An item has one encrypted text, which ends it. Only OpenAI's own could be read by whom the caller sends it to; others the
 * gateway keeps for the next turn. */
static bool reasoning_piece(struct reply *r, const struct piece *p)
{
    const bool opaque = p->kind == PIECE_REDACTED && p->family == FAMILY_OPENAI;
    struct out_item *t = r->open == NONE ? NULL : &r->items[r->open];

    if (t && t->kind == OUT_REASONING && (t->opaque.n || (opaque && t->text.n)) && !close_open(r, "completed"))
        return false;
    t = open_item(r, OUT_REASONING);
    if (!t)
        return false;
    return p->kind == PIECE_REASONING ? add_reasoning(r, t, p->raw) : !opaque || buf_add_span(&t->opaque, p->raw);
}

static bool signature_piece(struct reply *r, const struct piece *p)
{
    if (p->family != FAMILY_OPENAI || p->call >= 0 || r->open == NONE || r->items[r->open].kind != OUT_REASONING)
        return true;
    return buf_add_span(&r->items[r->open].opaque, p->raw);
}

static void write_citation(struct buf *b, const struct piece *p, int64_t from, int64_t to)
{
    jw_object(b, NULL);
    jw_string(b, "type", SPAN_LIT("url_citation"));
    jw_int(b, "start_index", from);
    jw_int(b, "end_index", to);
    jw_raw(b, "title", p->title_raw);
    jw_raw(b, "url", p->raw);
    jw_close(b, '}');
}

/* Belongs to the text that is open, whose places it counts; one that says none is of all of it. */
static bool citation_piece(struct reply *r, const struct piece *p)
{
    struct out_item *t = r->open == NONE ? NULL : &r->items[r->open];
    size_t at;

    if (!t || t->kind != OUT_MESSAGE || t->part != PART_TEXT)
        return true;
    at = t->annotations.n + (t->annotations.n > 0);    /* behind the comma */
    write_citation(&t->annotations, p, p->from > t->part_from ? p->from - t->part_from : 0,
                   p->to < 0 ? r->chars - t->part_from : p->to > t->part_from ? p->to - t->part_from : 0);
    if (!buf_ok(&t->annotations))
        return false;
    if (streams(r)) {
        struct buf *b = part_event(r, "response.output_text.annotation.added", t);

        jw_int(b, "annotation_index", t->n_annotations);
        jw_json(b, "annotation", span_skip(buf_span(&t->annotations), at));
        responses_event_end(b);
    }
    t->n_annotations++;
    return true;
}

/* They come with a text or just before it, and are said when it ends. */
static bool logprobs_piece(struct reply *r, const struct piece *p)
{
    if (!r->w.info.chat->logprobs)
        return true;
    for (struct jiter it = jiter_begin(p->json); jiter_next(&it);) {
        jw_item(&r->logprobs);
        jw_line(&r->logprobs, it.value);
    }
    return buf_ok(&r->logprobs);
}

bool responses_writer_piece(struct writer *w, const struct piece *p)
{
    struct reply *r = (struct reply *)w;
    bool ok = true;

    if (p->choice != 0)
        return true;
    begin(r);
    switch (p->kind) {
    case PIECE_TEXT: case PIECE_REFUSAL:
        ok = text_piece(r, p);
        break;
    case PIECE_REASONING: case PIECE_REDACTED:
        ok = reasoning_piece(r, p);
        break;
    case PIECE_SIGNATURE:
        ok = signature_piece(r, p);
        break;
    case PIECE_CALL:
        ok = call_piece(r, p);
        break;
    case PIECE_ARGUMENTS:
        ok = arguments_piece(r, p);
        break;
    case PIECE_CITATION:
        ok = citation_piece(r, p);
        break;
    case PIECE_LOGPROBS:
        ok = logprobs_piece(r, p);
        break;
    }
    return ok && buf_ok(w->out);
}

/* ---- the end ---- */

/* What was not reported is estimated: clients fail on a response without counts. */
static struct usage usage_of(const struct reply *r, const struct draft *d)
{
    if (d->has_usage)
        return d->usage;
    return (struct usage){ .input = r->w.info.prompt_estimate, .output = (d->generated_bytes + 3) / 4 };
}

static bool close_all(struct reply *r, const char *status)
{
    if (!close_open(r, status))
        return false;
    for (size_t i = 0; i < r->n_items; i++)    /* calls are left */
        if (!r->items[i].done && !close_call(r, &r->items[i], status))
            return false;
    return true;
}

static bool gather_output(const struct reply *r, struct buf *output)
{
    for (size_t i = 0; i < r->n_items; i++)
        jw_json(output, NULL, buf_span(&r->items[i].json));
    return buf_ok(output);
}

bool responses_writer_end(struct writer *w, const struct draft *d, struct buf *terminal)
{
    struct reply *r = (struct reply *)w;
    const bool cut = d->finish == FINISH_LENGTH || d->finish == FINISH_FILTERED, failed = d->finish == FINISH_INTERRUPTED;
    const struct usage usage = usage_of(r, d);
    struct responses_object o = object_of(r, cut ? "incomplete" : failed ? "failed" : "completed");
    struct buf output;
    bool ok;

    begin(r);
    buf_init(&output, 3 * (size_t)DRAFT_BYTES_MAX);
    ok = close_all(r, cut || failed ? "incomplete" : "completed") && gather_output(r, &output);
    o.incomplete = !cut ? NULL : d->finish == FINISH_LENGTH ? "max_output_tokens" : "content_filter";
    o.error_code = failed ? "server_error" : NULL;
    o.error_message = "The provider broke the answer off.";
    o.output = buf_span(&output);
    o.usage = &usage;
    o.service_tier = d->service_tier;
    if (ok && streams(r)) {
        responses_event_begin(terminal, cut ? "response.incomplete" : failed ? "response.failed" : "response.completed",
                              r->sequence++);
        responses_write_object(terminal, "response", &o);
        responses_event_end(terminal);
        ok = buf_ok(terminal);
    } else if (ok) {
        responses_write_object(w->out, NULL, &o);
    }
    buf_free(&output);
    return ok && buf_ok(w->out);
}

void responses_writer_items(const struct writer *w, writer_on_item on_item, void *ctx)
{
    const struct reply *r = (const struct reply *)w;
    const struct responses_places *asked = r->w.info.chat->dialect == DIALECT_RESPONSES ? r->w.info.chat->places : NULL;

    for (size_t i = 0; i < r->n_items && !(asked && asked->forget); i++) {
        const struct span json = buf_span(&r->items[i].json);
        struct buf item;

        if (json.n > RESPONSES_REMEMBERED_MAX)
            continue;
        buf_init(&item, RESPONSES_REMEMBERED_MAX);
        if (responses_shorten_item(&item, json))
            on_item(ctx, span_str(r->items[i].id), buf_span(&item));
        buf_free(&item);
    }
}
