/* responses_answer.c - reads what a host that speaks Responses answers, whole or event by event, into a draft.
 *
 * A stream says everything twice: in pieces, and again whole when a part, an item and the response end. Pieces are taken as
 * they come; what ends is read only for what has not come in pieces, as hosts that copy this dialect leave some out. Unknown
 * events and items are skipped. Source: wire/openai-responses sections 5 to 7. */
#include <stdlib.h>

#include "gateway/dialects/responses_parts.h"

#define COUNT_MAX (INT64_MAX / 8)    /* no sum of a few leaves 64 bits; nobody believes it either (request.c) */
#define ITEMS_MAX 4096               /* of one answer; those behind are not followed, which only a hostile host has */

/* ---- what has come of each item, by its output_index ---- */

struct seen {
    bool call;                 /* it is a call, with this ordinal */
    unsigned ordinal;
    bool text, arguments;      /* pieces of these have come; `text` also of a refusal */
    bool summary, reasoning;   /* of these two only the first that comes is taken: they say the same */
    bool signature, citations, logprobs;
    bool done;                 /* output_item.done has come */
};

/* draft.reader_block. */
struct responses_seen {
    unsigned n_calls;
    size_t room;
    struct seen items[];
};

static struct seen *seen_at(struct draft *d, int64_t index)
{
    struct responses_seen *s = d->reader_block;
    const size_t had = s ? s->room : 0;

    if (index < 0 || index >= ITEMS_MAX)
        return NULL;
    if (!s || (size_t)index >= s->room) {
        const size_t room = (size_t)index + 16;
        struct responses_seen *more = realloc(s, sizeof *more + room * sizeof more->items[0]);

        if (!more)
            return NULL;
        if (!s)
            more->n_calls = 0;
        memset(more->items + had, 0, (room - had) * sizeof more->items[0]);
        more->room = room;
        d->reader_block = s = more;
    }
    return &s->items[index];
}

/* The item becomes a call, if it is none yet. One of a namespace has both names in one, as the request's tools have
 * (responses_tools.c): so the checks find it among them. */
static bool begin_call(struct draft *d, struct seen *s, struct span item, bool custom)
{
    static const char *const names[] = { "call_id", "name", "namespace" };
    struct responses_seen *all = d->reader_block;
    struct span m[3], space;
    struct buf joined;
    bool ok;

    if (!s->call) {
        s->call = true;
        s->ordinal = all->n_calls++;
    }
    jval_members(item, names, 3, m);
    space = jval_raw(m[2]);
    if (space.n == 0)
        return draft_call(d, 0, s->ordinal, jval_raw(m[0]), jval_raw(m[1]), custom);
    buf_init(&joined, 65536);
    buf_add_span(&joined, space);
    buf_add_str(&joined, span_ends(space, SPAN_LIT("_")) ? "" : "__");
    buf_add_span(&joined, jval_raw(m[1]));
    ok = draft_call(d, 0, s->ordinal, jval_raw(m[0]), buf_span(&joined), custom);
    buf_free(&joined);
    return ok;
}

/* ---- usage: inclusive counters to disjoint ones ---- */

static bool count_of(struct span obj, const char *name, int64_t *out)
{
    const struct span v = jval_get(obj, name);

    if (jval_type(v) != JTYPE_NUMBER || !jval_int(v, out))
        return false;
    if (*out > COUNT_MAX)
        *out = COUNT_MAX;
    return true;
}

static int64_t count_or_0(struct span obj, const char *name)
{
    int64_t n = 0;

    return count_of(obj, name, &n) && n > 0 ? n : 0;
}

/* Cached and written tokens are within input_tokens (BerriAI/litellm#6215 billed them at the full rate,
 * maximhq/bifrost#904 as fresh), reasoning is within output_tokens (agentgateway#3228 left the output out of the cost). */
static void read_usage(struct draft *d, struct span u, int64_t searches)
{
    const struct span input_details = jval_get(u, "input_tokens_details");
    const struct span output_details = jval_get(u, "output_tokens_details");
    int64_t input = 0, output = 0, total = 0, read, write;
    struct usage got = { 0 };
    bool mended = false;

    if (!count_of(u, "input_tokens", &input) || !count_of(u, "output_tokens", &output) || input < 0 || output < 0)
        return;    /* no usage at all, so that the answer is charged at its bound: not for free */
    read = count_or_0(input_details, "cached_tokens");
    write = count_or_0(input_details, "cache_write_tokens");
    if (read > input) {    /* trust the sum; the parts are clamped to it */
        read = input;
        mended = true;
    }
    if (write > input - read) {
        write = input - read;
        mended = true;
    }
    if (count_of(u, "total_tokens", &total) && total != input + output)
        mended = true;
    got.input = input - read - write;
    got.cache_read = read;
    got.cache_write_5m = write;
    got.output = output;
    got.reasoning = count_or_0(output_details, "reasoning_tokens");
    got.searches = searches;
    draft_usage(d, &got, mended);
}

/* Searches are billed by the call, pages that are opened are not; they stand in the output, not in the usage. */
static int64_t count_searches(struct span output)
{
    int64_t n = 0;

    for (struct jiter it = jiter_begin(output); jiter_next(&it);) {
        const struct span type = jval_raw(jval_get(it.value, "type"));
        const struct span action = jval_raw(jval_get(jval_get(it.value, "action"), "type"));

        n += type.p && jraw_is(type, "web_search_call") && (!action.p || jraw_is(action, "search"));
    }
    return n;
}

/* ---- whole items, for what has not come in pieces ---- */

static bool take_citation(struct draft *d, struct span annotation)
{
    const struct span type = jval_raw(jval_get(annotation, "type"));
    int64_t from = -1, to = -1;

    if (!type.p || !jraw_is(type, "url_citation"))
        return true;
    if (!jval_int(jval_get(annotation, "start_index"), &from) || !jval_int(jval_get(annotation, "end_index"), &to))
        from = to = -1;
    return draft_citation(d, 0, jval_raw(jval_get(annotation, "url")), jval_raw(jval_get(annotation, "title")), from, to);
}

static bool has_elements(struct span list)
{
    struct jiter it = jiter_begin(list);

    return jval_type(list) == JTYPE_ARRAY && jiter_next(&it);
}

static bool take_logprobs(struct draft *d, struct seen *s, struct span list)
{
    if (!has_elements(list))
        return true;
    s->logprobs = true;
    return draft_logprobs(d, 0, list);
}

static bool take_message(struct draft *d, struct seen *s, struct span item)
{
    static const char *const names[] = { "text", "refusal", "annotations", "logprobs" };
    const bool text = s->text, citations = s->citations, logprobs = s->logprobs;

    for (struct jiter it = jiter_begin(jval_get(item, "content")); jiter_next(&it);) {
        struct span m[4];

        jval_members(it.value, names, 4, m);
        if (!text && !draft_text(d, 0, PIECE_TEXT, jval_raw(m[0])))
            return false;
        if (!text && !draft_text(d, 0, PIECE_REFUSAL, jval_raw(m[1])))
            return false;
        if (!logprobs && !take_logprobs(d, s, m[3]))
            return false;
        if (citations || jval_type(m[2]) != JTYPE_ARRAY)
            continue;
        for (struct jiter a = jiter_begin(m[2]); jiter_next(&a);)
            if (!take_citation(d, a.value))
                return false;
    }
    return true;
}

static bool take_texts(struct draft *d, struct span list)
{
    bool first = true;

    for (struct jiter it = jiter_begin(list); jiter_next(&it); first = false)
        if ((!first && !draft_text(d, 0, PIECE_REASONING, SPAN_LIT("\\n\\n"))) ||
            !draft_text(d, 0, PIECE_REASONING, jval_raw(jval_get(it.value, "text"))))
            return false;
    return true;
}

/* An open model's own reasoning, else the summary. The encrypted text comes at the end of the item alone. */
static bool take_reasoning(struct draft *d, struct seen *s, struct span item, const struct target *target)
{
    static const char *const names[] = { "content", "summary", "encrypted_content" };
    const enum family family = target->family != FAMILY_NONE ? target->family : FAMILY_OPENAI;
    bool visible = s->summary || s->reasoning;
    struct span m[3];

    jval_members(item, names, 3, m);
    if (!visible) {
        const struct span list = has_elements(m[0]) ? m[0] : m[1];

        visible = has_elements(list);
        if (!take_texts(d, list))
            return false;
    }
    if (s->signature || jval_raw(m[2]).n == 0)
        return true;
    s->signature = true;
    return draft_signature(d, 0, -1, jval_raw(m[2]), family, !visible);
}

static bool take_call(struct draft *d, struct seen *s, struct span item, bool custom)
{
    if (!begin_call(d, s, item, custom))
        return false;
    return s->arguments || draft_arguments(d, 0, s->ordinal, jval_raw(jval_get(item, custom ? "input" : "arguments")));
}

static bool take_item(struct draft *d, struct seen *s, struct span item, const struct target *target)
{
    static const char *const types[] = { "message", "function_call", "custom_tool_call", "reasoning", NULL };

    switch (reading_word(jval_get(item, "type"), types)) {
    case 0:
        return take_message(d, s, item);
    case 1:
        return take_call(d, s, item, false);
    case 2:
        return take_call(d, s, item, true);
    case 3:
        return take_reasoning(d, s, item, target);
    default:    /* OpenAI's own tools, and what is newer than we are */
        d->has_piece = true;
        return true;
    }
}

static bool take_output(struct draft *d, struct span output, const struct target *target)
{
    int64_t i = 0;

    for (struct jiter it = jiter_begin(output); jiter_next(&it); i++) {
        struct seen *s = seen_at(d, i);

        if (i >= ITEMS_MAX)
            return true;
        if (!s) {
            d->failed = true;
            return false;
        }
        if (jval_type(it.value) == JTYPE_OBJECT && !s->done && !take_item(d, s, it.value, target))
            return false;
        s->done = true;
    }
    return true;
}

/* ---- the response object ---- */

enum { R_ID, R_MODEL, R_STATUS, R_ERROR, R_INCOMPLETE, R_OUTPUT, R_USAGE, R_TIER, R_MEMBERS };

static void take_head(struct draft *d, const struct span m[R_MEMBERS])
{
    if (!d->id[0] && m[R_ID].p)
        draft_copy(d->id, sizeof d->id, m[R_ID]);
    if (jval_type(m[R_MODEL]) == JTYPE_STRING)
        draft_copy(d->model, sizeof d->model, m[R_MODEL]);
    if (jval_type(m[R_TIER]) == JTYPE_STRING)    /* the last one is what was billed */
        draft_copy(d->service_tier, sizeof d->service_tier, m[R_TIER]);
}

static void take_status(struct draft *d, const struct span m[R_MEMBERS])
{
    static const char *const words[] = { "completed", "incomplete", "failed", "cancelled", "in_progress", "queued", NULL };
    const struct span reason = jval_raw(jval_get(m[R_INCOMPLETE], "reason"));
    const struct responses_seen *seen = d->reader_block;
    enum finish finish;

    switch (reading_word(m[R_STATUS], words)) {
    case 1:
        finish = !reason.p ? FINISH_OTHER : jraw_is(reason, "max_output_tokens") ? FINISH_LENGTH
               : jraw_is(reason, "content_filter") ? FINISH_FILTERED : FINISH_OTHER;
        break;
    case 2: case 3:
        finish = FINISH_INTERRUPTED;
        break;
    case 4: case 5:    /* in the background: there is no answer yet */
        finish = FINISH_NONE;
        break;
    default:
        finish = seen && seen->n_calls ? FINISH_TOOL_CALLS : FINISH_STOP;
    }
    draft_finish(d, 0, finish, SPAN_NONE);
}

/* A generation that failed is HTTP 200: BerriAI/litellm#36768 made an empty answer of it. */
static void take_failure(struct draft *d, const struct span m[R_MEMBERS])
{
    const struct span status = jval_raw(m[R_STATUS]);
    const bool failed = status.p && (jraw_is(status, "failed") || jraw_is(status, "cancelled"));

    if (jval_type(m[R_ERROR]) == JTYPE_OBJECT)
        draft_error(d, jval_get(m[R_ERROR], "type"), jval_get(m[R_ERROR], "code"), jval_get(m[R_ERROR], "param"),
                    jval_get(m[R_ERROR], "message"));
    else if (failed)
        draft_error(d, SPAN_LIT("\"server_error\""), SPAN_LIT("\"server_error\""), SPAN_NONE,
                    SPAN_LIT("\"The generation failed.\""));
}

static void response_members(struct span response, struct span m[R_MEMBERS])
{
    static const char *const names[R_MEMBERS] = { "id", "model", "status", "error", "incomplete_details", "output", "usage",
                                                  "service_tier" };

    jval_members(response, names, R_MEMBERS, m);
}

/* All that ends an answer, whole or streamed. Usage also of a failed one: it is billed. */
static bool take_response(struct draft *d, const struct span m[R_MEMBERS], const struct target *target)
{
    take_head(d, m);
    if (!take_output(d, m[R_OUTPUT], target))
        return false;
    take_status(d, m);
    take_failure(d, m);
    if (jval_type(m[R_USAGE]) == JTYPE_OBJECT)
        read_usage(d, m[R_USAGE], count_searches(m[R_OUTPUT]));
    return true;
}

bool responses_read_whole(struct draft *d, struct span json, const struct target *target)
{
    struct span m[R_MEMBERS];

    if (jval_type(json) != JTYPE_OBJECT)
        return false;
    response_members(json, m);
    if (jval_type(m[R_OUTPUT]) != JTYPE_ARRAY) {
        if (jval_type(m[R_ERROR]) != JTYPE_OBJECT)
            return false;
        responses_read_error(d, json, true);
        return true;
    }
    if (!take_response(d, m, target))
        return false;
    d->ended = true;
    return true;
}

/* ---- events ---- */

enum { E_RESPONSE, E_ITEM, E_OUTPUT_INDEX, E_DELTA, E_TEXT, E_REFUSAL, E_ARGUMENTS, E_INPUT, E_NAME, E_ANNOTATION, E_LOGPROBS,
       E_SUMMARY_INDEX, E_MEMBERS };

enum event {
    EVENT_CREATED, EVENT_IN_PROGRESS, EVENT_QUEUED, EVENT_COMPLETED, EVENT_INCOMPLETE, EVENT_FAILED, EVENT_CANCELLED,
    EVENT_ERROR, EVENT_ITEM_ADDED, EVENT_ITEM_DONE, EVENT_TEXT, EVENT_TEXT_DONE, EVENT_REFUSAL, EVENT_REFUSAL_DONE,
    EVENT_ANNOTATION, EVENT_ARGUMENTS, EVENT_ARGUMENTS_DONE, EVENT_INPUT, EVENT_INPUT_DONE, EVENT_SUMMARY_PART,
    EVENT_SUMMARY, EVENT_SUMMARY_DONE, EVENT_REASONING, EVENT_REASONING_DONE,
};

static const char *const event_names[] = {
    "response.created", "response.in_progress", "response.queued", "response.completed", "response.incomplete",
    "response.failed", "response.cancelled", "error", "response.output_item.added", "response.output_item.done",
    "response.output_text.delta", "response.output_text.done", "response.refusal.delta", "response.refusal.done",
    "response.output_text.annotation.added", "response.function_call_arguments.delta",
    "response.function_call_arguments.done", "response.custom_tool_call_input.delta", "response.custom_tool_call_input.done",
    "response.reasoning_summary_part.added", "response.reasoning_summary_text.delta", "response.reasoning_summary_text.done",
    "response.reasoning_text.delta", "response.reasoning_text.done", NULL
};

static bool text_event(struct draft *d, struct seen *s, enum piece_kind kind, struct span raw, bool done,
                       struct span logprobs)
{
    if (done && s->text)
        return true;
    s->text |= raw.n > 0;
    return draft_text(d, 0, kind, raw) && take_logprobs(d, s, logprobs);
}

static bool arguments_event(struct draft *d, struct seen *s, struct span item, struct span raw, bool done, bool custom)
{
    if (!s->call && !begin_call(d, s, item, custom))    /* a host that did not say that the item begins */
        return false;
    if (done && s->arguments)
        return true;
    s->arguments |= raw.n > 0;
    return draft_arguments(d, 0, s->ordinal, raw);
}

/* `other`: the item has reasoning of the other kind already. */
static bool reasoning_event(struct draft *d, bool *mine, bool other, struct span raw, bool done)
{
    if (other || (done && *mine))
        return true;
    *mine |= raw.n > 0;
    return draft_text(d, 0, PIECE_REASONING, raw);
}

static bool summary_part(struct draft *d, struct seen *s, struct span index)
{
    int64_t n = 0;

    return s->reasoning || !s->summary || !jval_int(index, &n) || n == 0 ||
           draft_text(d, 0, PIECE_REASONING, SPAN_LIT("\\n\\n"));
}

static bool item_added(struct draft *d, struct seen *s, struct span item)
{
    const struct span type = jval_raw(jval_get(item, "type"));

    if (type.p && (jraw_is(type, "function_call") || jraw_is(type, "custom_tool_call")))
        return begin_call(d, s, item, jraw_is(type, "custom_tool_call"));
    return true;
}

static bool item_done(struct draft *d, struct seen *s, struct span item, const struct target *target)
{
    if (s->done || jval_type(item) != JTYPE_OBJECT)
        return true;
    s->done = true;
    return take_item(d, s, item, target);
}

/* Events of an item. */
static bool item_event(struct draft *d, enum event e, const struct span m[E_MEMBERS], const struct target *target)
{
    int64_t index = 0;
    struct seen *s;

    jval_int(m[E_OUTPUT_INDEX], &index);
    s = seen_at(d, index);
    if (!s) {
        d->failed |= index >= 0 && index < ITEMS_MAX;
        return !d->failed;
    }
    switch (e) {
    case EVENT_ITEM_ADDED:
        return item_added(d, s, m[E_ITEM]);
    case EVENT_ITEM_DONE:
        return item_done(d, s, m[E_ITEM], target);
    case EVENT_TEXT:
        return text_event(d, s, PIECE_TEXT, jval_raw(m[E_DELTA]), false, m[E_LOGPROBS]);
    case EVENT_TEXT_DONE:
        return text_event(d, s, PIECE_TEXT, jval_raw(m[E_TEXT]), true, SPAN_NONE);
    case EVENT_REFUSAL:
        return text_event(d, s, PIECE_REFUSAL, jval_raw(m[E_DELTA]), false, SPAN_NONE);
    case EVENT_REFUSAL_DONE:
        return text_event(d, s, PIECE_REFUSAL, jval_raw(m[E_REFUSAL]), true, SPAN_NONE);
    case EVENT_ANNOTATION:
        s->citations = true;
        return take_citation(d, m[E_ANNOTATION]);
    case EVENT_ARGUMENTS:
        return arguments_event(d, s, SPAN_NONE, jval_raw(m[E_DELTA]), false, false);
    case EVENT_ARGUMENTS_DONE:
        return arguments_event(d, s, SPAN_NONE, jval_raw(m[E_ARGUMENTS]), true, false);
    case EVENT_INPUT:
        return arguments_event(d, s, SPAN_NONE, jval_raw(m[E_DELTA]), false, true);
    case EVENT_INPUT_DONE:
        return arguments_event(d, s, SPAN_NONE, jval_raw(m[E_INPUT]), true, true);
    case EVENT_SUMMARY_PART:
        return summary_part(d, s, m[E_SUMMARY_INDEX]);
    case EVENT_SUMMARY:
        return reasoning_event(d, &s->summary, s->reasoning, jval_raw(m[E_DELTA]), false);
    case EVENT_SUMMARY_DONE:
        return reasoning_event(d, &s->summary, s->reasoning, jval_raw(m[E_TEXT]), true);
    case EVENT_REASONING:
        return reasoning_event(d, &s->reasoning, s->summary, jval_raw(m[E_DELTA]), false);
    case EVENT_REASONING_DONE:
        return reasoning_event(d, &s->reasoning, s->summary, jval_raw(m[E_TEXT]), true);
    default:
        return true;
    }
}

static int event_of(struct span name, struct span json)
{
    const struct span type = jval_get(json, "type");

    if (jval_type(type) == JTYPE_STRING)
        return reading_word(type, event_names);
    for (int i = 0; name.p && event_names[i]; i++)    /* the event line says it too */
        if (span_is(name, event_names[i]))
            return i;
    return -1;
}

bool responses_read_event(struct draft *d, struct span name, struct span json, const struct target *target)
{
    static const char *const names[E_MEMBERS] = { "response", "item", "output_index", "delta", "text", "refusal", "arguments",
                                                  "input", "name", "annotation", "logprobs", "summary_index" };
    struct span m[E_MEMBERS], r[R_MEMBERS];
    int e;

    if (jval_type(json) != JTYPE_OBJECT)
        return false;
    e = event_of(name, json);
    if (e < 0) {
        if (jval_type(jval_get(json, "error")) == JTYPE_OBJECT)    /* Chat's form, which some hosts send here too */
            responses_read_error(d, json, true);
        return true;
    }
    jval_members(json, names, E_MEMBERS, m);
    response_members(m[E_RESPONSE], r);
    switch (e) {
    case EVENT_CREATED: case EVENT_IN_PROGRESS: case EVENT_QUEUED:
        take_head(d, r);
        return true;
    case EVENT_COMPLETED: case EVENT_INCOMPLETE: case EVENT_FAILED: case EVENT_CANCELLED:
        if (!take_response(d, r, target))
            return false;
        d->ended = true;
        return true;
    case EVENT_ERROR:
        responses_read_error(d, json, true);
        return true;
    default:
        return item_event(d, (enum event)e, m, target);
    }
}

/* ---- errors ---- */

/* {"error":{...}} of HTTP, and the flat error event: code, message, param. */
void responses_read_error(struct draft *d, struct span body, bool scanned)
{
    static const char *const names[] = { "type", "code", "param", "message" };
    const struct span error = scanned ? jval_get(body, "error") : SPAN_NONE;
    const struct span from = jval_type(error) == JTYPE_OBJECT ? error : body;
    struct span m[4];

    d->has_error = true;
    if (!scanned || jval_type(body) != JTYPE_OBJECT) {
        const struct span text = span_first(span_trim(body), 200);

        memcpy(d->error_message, text.p ? text.p : "", text.n);
        d->error_message[text.n] = '\0';
        return;
    }
    jval_members(from, names, 4, m);
    if (m[0].p && jval_type(m[0]) == JTYPE_STRING && jraw_is(jval_raw(m[0]), "error"))
        m[0] = SPAN_NONE;    /* the event's own type, not the error's */
    draft_error(d, m[0], m[1], m[2], m[3]);
    if (!d->error_message[0])
        draft_copy(d->error_message, sizeof d->error_message, error);
    if (!d->error_message[0])
        draft_copy(d->error_message, sizeof d->error_message, jval_get(body, "detail"));
}

/* ---- relaying ---- */

/* Byte for byte; what ends the stream waits until the ledger has the row. */
enum relay responses_relay(const struct chat *chat, struct span raw, struct span json, bool begun, struct buf *out,
                           struct buf *terminal)
{
    const int e = jval_type(json) == JTYPE_OBJECT ? event_of(SPAN_NONE, json) : -1;
    const bool last = e >= EVENT_COMPLETED && e <= EVENT_ERROR;

    (void)chat;
    (void)begun;
    if (!buf_add_span(last ? terminal : out, raw))
        return RELAY_FAILED;
    return last ? RELAY_HELD : RELAY_PASSED;
}
