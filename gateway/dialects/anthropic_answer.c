/* anthropic_answer.c - reads answers of an Anthropic provider, whole and streamed, into a draft; relays its events.
 *
 * Usage is mapped here, once. `input_tokens` leaves the cache out already, and `output_tokens` holds the thinking: the counters
 * are disjoint as they come. In a stream they are cumulative: a later count takes the place of an earlier one and is never added
 * to it (maximhq/bifrost#3451 charged cache writes twice), and one that is null or missing says nothing. */
#include "gateway/dialects/anthropic.h"

#include <stdio.h>

#define COUNT_MAX (INT64_MAX / 8)    /* no sum of a few leaves 64 bits; nobody believes it either */

/* ---- usage ---- */

/* False: not said. */
static bool count_of(struct span v, int64_t *out)
{
    int64_t n;

    if (jval_type(v) != JTYPE_NUMBER || !jval_int(v, &n) || n < 0)
        return false;
    *out = n > COUNT_MAX ? COUNT_MAX : n;
    return true;
}

/* Writes to the cache: the sum, and how it is split by life. What the split leaves open is of the short one. True: what was
 * said does not agree with itself. */
static bool read_writes(struct usage *u, struct span sum, struct span split)
{
    int64_t all = 0, five = 0, hour = 0;
    const bool has_sum = count_of(sum, &all);
    const bool has_five = count_of(jval_get(split, "ephemeral_5m_input_tokens"), &five);
    const bool has_split = count_of(jval_get(split, "ephemeral_1h_input_tokens"), &hour) || has_five;

    if (!has_sum && !has_split)
        return jval_type(sum) == JTYPE_NUMBER;
    if (has_sum && !has_split) {
        if (all == u->cache_write_5m + u->cache_write_1h)
            return false;    /* repeated without its split */
        five = all;
    }
    if (!has_sum)
        all = five + hour;
    u->cache_write_1h = hour;
    u->cache_write_5m = all > five + hour ? all - hour : five;
    return five + hour != all;
}

enum { U_INPUT, U_READ, U_WRITE, U_SPLIT, U_OUTPUT, U_DETAILS, U_SERVER, U_TIER, U_SPEED, U_MEMBERS };

/* `final`: what is said of the output is its whole. In message_start it is only the beginning. */
static void read_usage(struct draft *d, struct span usage, bool final)
{
    static const char *const names[U_MEMBERS] = { "input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens",
                                                  "cache_creation", "output_tokens", "output_tokens_details",
                                                  "server_tool_use", "service_tier", "speed" };
    struct span m[U_MEMBERS];
    struct usage u = d->usage;
    bool mended, counted, ended;

    if (jval_type(usage) != JTYPE_OBJECT)
        return;
    jval_members(usage, names, U_MEMBERS, m);
    counted = count_of(m[U_INPUT], &u.input);
    count_of(m[U_READ], &u.cache_read);
    mended = read_writes(&u, m[U_WRITE], m[U_SPLIT]);
    ended = count_of(m[U_OUTPUT], &u.output) && final;
    count_of(jval_get(m[U_DETAILS], "thinking_tokens"), &u.reasoning);
    count_of(jval_get(m[U_SERVER], "web_search_requests"), &u.searches);
    if (jval_type(m[U_TIER]) == JTYPE_STRING)
        draft_copy(d->service_tier, sizeof d->service_tier, m[U_TIER]);
    if (jval_type(m[U_SPEED]) == JTYPE_STRING && !jraw_is(jval_raw(m[U_SPEED]), "standard"))
        draft_copy(d->service_tier, sizeof d->service_tier, m[U_SPEED]);    /* a price of its own, as a tier has */
    d->usage_begun |= counted;
    if (ended && d->usage_begun) {
        draft_usage(d, &u, mended || d->usage_mended);
    } else {
        d->usage = u;
        d->usage_mended |= mended;
    }
}

/* ---- how it ended ---- */

static enum finish finish_of(struct span reason)
{
    static const struct { const char *word; enum finish finish; } table[] = {
        { "end_turn", FINISH_STOP }, { "stop_sequence", FINISH_STOP }, { "tool_use", FINISH_TOOL_CALLS },
        { "max_tokens", FINISH_LENGTH }, { "model_context_window_exceeded", FINISH_LENGTH }, { "refusal", FINISH_FILTERED },
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (jraw_is(reason, table[i].word))
            return table[i].finish;
    return FINISH_OTHER;    /* pause_turn, and words that are newer than we are */
}

/* `from`: the whole message, or a message_delta's delta. */
static void read_finish(struct draft *d, struct span from)
{
    const struct span reason = jval_raw(jval_get(from, "stop_reason"));

    if (reason.p)
        draft_finish(d, 0, finish_of(reason), jval_raw(jval_get(from, "stop_sequence")));
}

/* ---- blocks ---- */

static enum family family_of(const struct target *target)
{
    return target ? target->family : FAMILY_ANTHROPIC;
}

/* A citation with an address is one that other dialects know. */
static bool read_citation(struct draft *d, struct span citation)
{
    const struct span url = jval_raw(jval_get(citation, "url"));

    return url.n == 0 || draft_citation(d, 0, url, jval_raw(jval_get(citation, "title")), -1, -1);
}

/* Calls are numbered as they come; `block` is the index by which pieces of their arguments name them. */
static bool begin_call(struct draft *d, struct span block_json, int64_t block, unsigned *call)
{
    *call = d->reader.n_calls;
    if (*call >= DRAFT_CALLS_MAX)
        return false;
    d->reader.blocks[d->reader.n_calls++] = block;
    return draft_call(d, 0, *call, jval_raw(jval_get(block_json, "id")), jval_raw(jval_get(block_json, "name")), false);
}

static bool is_empty_object(struct span v)
{
    struct jiter it = jiter_begin(v);

    return it.in_object && !jiter_next(&it);
}

enum { B_TYPE, B_TEXT, B_THINKING, B_SIGNATURE, B_DATA, B_INPUT, B_CITATIONS, B_MEMBERS };

/* A block of a whole answer, or one that begins: then it is empty but for what will not come in pieces. */
static bool read_block(struct draft *d, struct span block, int64_t index, bool whole, const struct target *target)
{
    static const char *const names[B_MEMBERS] = { "type", "text", "thinking", "signature", "data", "input", "citations" };
    struct span m[B_MEMBERS], type;
    unsigned call;

    jval_members(block, names, B_MEMBERS, m);
    type = jval_raw(m[B_TYPE]);
    if (jraw_is(type, "text")) {
        if (!draft_text(d, 0, PIECE_TEXT, jval_raw(m[B_TEXT])))
            return false;
        for (struct jiter it = jiter_begin(m[B_CITATIONS]); jiter_next(&it);)
            if (!read_citation(d, it.value))
                return false;
        return true;
    }
    if (jraw_is(type, "thinking"))
        return draft_text(d, 0, PIECE_REASONING, jval_raw(m[B_THINKING])) &&
               draft_signature(d, 0, -1, jval_raw(m[B_SIGNATURE]), family_of(target), false);
    if (jraw_is(type, "redacted_thinking"))
        return draft_signature(d, 0, -1, jval_raw(m[B_DATA]), family_of(target), true);
    if (jraw_is(type, "tool_use"))    /* an empty input is what stands there until pieces come, or that there are none */
        return begin_call(d, block, index, &call) &&
               ((!whole && is_empty_object(m[B_INPUT])) || draft_arguments_json(d, 0, call, m[B_INPUT]));
    d->has_piece = true;              /* a server tool's: passes to callers of the dialect, and counts as output */
    d->generated_bytes += (int64_t)block.n;
    return true;
}

static bool read_delta(struct draft *d, struct span delta, int64_t index, const struct target *target)
{
    static const char *const names[] = { "type", "text", "thinking", "signature", "partial_json", "citation" };
    struct span m[6], type;

    jval_members(delta, names, 6, m);
    type = jval_raw(m[0]);
    if (jraw_is(type, "text_delta"))
        return draft_text(d, 0, PIECE_TEXT, jval_raw(m[1]));
    if (jraw_is(type, "thinking_delta"))
        return draft_text(d, 0, PIECE_REASONING, jval_raw(m[2]));
    if (jraw_is(type, "signature_delta"))
        return draft_signature(d, 0, -1, jval_raw(m[3]), family_of(target), false);
    if (jraw_is(type, "citations_delta"))
        return read_citation(d, m[5]);
    if (!jraw_is(type, "input_json_delta"))
        return true;
    for (unsigned i = d->reader.n_calls; i-- > 0;)    /* nearly always the last */
        if (d->reader.blocks[i] == index)
            return draft_arguments(d, 0, i, jval_raw(m[4]));
    d->generated_bytes += (int64_t)jval_raw(m[4]).n;
    return true;    /* of a server tool */
}

/* A call without a piece of arguments has an empty object. */
static bool end_block(struct draft *d, int64_t index)
{
    for (unsigned i = d->reader.n_calls; i-- > 0;)
        if (d->reader.blocks[i] == index)
            return i >= d->n_calls || d->calls[i].arguments.n > 0 || d->calls[i].custom ||
                   draft_arguments(d, 0, i, SPAN_LIT("{}"));
    return true;
}

/* ---- the message ---- */

static void read_names(struct draft *d, struct span message)
{
    if (!d->model[0])
        draft_copy(d->model, sizeof d->model, jval_get(message, "model"));
    if (!d->id[0])
        draft_copy(d->id, sizeof d->id, jval_get(message, "id"));
}

static bool is_error(struct span json)
{
    return jraw_is(jval_raw(jval_get(json, "type")), "error") || jval_type(jval_get(json, "error")) == JTYPE_OBJECT;
}

bool anthropic_read_whole(struct draft *d, struct span json, const struct target *target)
{
    const struct span content = jval_get(json, "content");
    int64_t index = 0;

    if (jval_type(json) != JTYPE_OBJECT)
        return false;
    if (is_error(json)) {
        anthropic_read_error(d, json, true);
        return true;
    }
    if (jval_type(content) != JTYPE_ARRAY)
        return false;
    read_names(d, json);
    for (struct jiter it = jiter_begin(content); jiter_next(&it); index++)
        if (!read_block(d, it.value, index, true, target))
            return false;
    read_usage(d, jval_get(json, "usage"), true);
    read_finish(d, json);
    d->ended = true;
    return true;
}

bool anthropic_read_event(struct draft *d, struct span name, struct span json, const struct target *target)
{
    static const char *const names[] = { "type", "message", "index", "content_block", "delta", "usage" };
    struct span m[6], type;
    int64_t index = -1;

    (void)name;    /* the data repeats it */
    if (jval_type(json) != JTYPE_OBJECT)
        return false;
    jval_members(json, names, 6, m);
    type = jval_raw(m[0]);
    count_of(m[2], &index);
    if (jraw_is(type, "content_block_delta"))
        return read_delta(d, m[4], index, target);
    if (jraw_is(type, "content_block_start"))
        return read_block(d, m[3], index, false, target);
    if (jraw_is(type, "content_block_stop"))
        return end_block(d, index);
    if (jraw_is(type, "message_start")) {
        read_names(d, m[1]);
        read_usage(d, jval_get(m[1], "usage"), false);
    } else if (jraw_is(type, "message_delta")) {
        read_usage(d, m[5], true);
        read_finish(d, m[4]);
    } else if (jraw_is(type, "message_stop")) {
        d->ended = true;
    } else if (is_error(json)) {
        anthropic_read_error(d, json, true);
    }
    return true;    /* ping, and events that are newer than we are */
}

void anthropic_read_error(struct draft *d, struct span body, bool scanned)
{
    const struct span error = scanned ? jval_get(body, "error") : SPAN_NONE;
    const struct span code = jval_get(jval_get(error, "details"), "error_code");

    if (jval_type(error) == JTYPE_OBJECT) {
        draft_error(d, jval_get(error, "type"), code, SPAN_NONE, jval_get(error, "message"));
        return;
    }
    draft_error(d, SPAN_NONE, SPAN_NONE, SPAN_NONE, scanned ? jval_get(body, "message") : SPAN_NONE);
    if (!d->error_message[0])    /* the edge answers in text or HTML */
        snprintf(d->error_message, sizeof d->error_message, "%.*s", SPAN_FMT(span_first(span_trim(body), 200)));
}

enum relay anthropic_relay(const struct chat *chat, struct span raw, struct span json, bool begun, struct buf *out,
                           struct buf *terminal)
{
    const bool last = jraw_is(jval_raw(jval_get(json, "type")), "message_stop");

    (void)chat;
    (void)begun;
    if (!buf_add_span(last ? terminal : out, raw))
        return RELAY_FAILED;
    return last ? RELAY_HELD : RELAY_PASSED;
}
