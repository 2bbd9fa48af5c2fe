/* completions.c - see completions.h. Faults, errors and relaying are the Chat dialect's (openai.h). */
#include "gateway/dialects/completions.h"

#include <stdio.h>

#include "gateway/dialects/edits.h"
#include "gateway/dialects/openai.h"
#include "gateway/dialects/reading.h"

#define PROMPTS_MAX 2048

enum { C_MODEL, C_PROMPT, C_MAX_TOKENS, C_STREAM, C_STREAM_OPTIONS, C_TEMPERATURE, C_TOP_P, C_N, C_BEST_OF, C_ECHO, C_SUFFIX,
       C_LOGPROBS, C_STOP, C_PRESENCE, C_FREQUENCY, C_BIAS, C_SEED, C_USER, C_MEMBERS };

static const char *const names[C_MEMBERS] = {
    "model", "prompt", "max_tokens", "stream", "stream_options", "temperature", "top_p", "n", "best_of", "echo", "suffix",
    "logprobs", "stop", "presence_penalty", "frequency_penalty", "logit_bias", "seed", "user",
};

struct places {
    struct span model, max_tokens, stream_options;
};

/* ---- reading a request ---- */

/* Tokens as numbers: each counts as one byte of text, of which no token has less. */
static bool read_tokens(struct reading *r, struct span list)
{
    size_t n = 0;
    int64_t id;

    for (struct jiter it = jiter_begin(list); jiter_next(&it); n++)
        if (jval_type(it.value) != JTYPE_NUMBER || !jval_int(it.value, &id) || id < 0)
            return reading_want(r, "prompt", "must be a string, a list of strings, or lists of token ids");
    r->chat->text_bytes += n;
    return n > 0 || reading_want(r, "prompt", "must not be an empty list");
}

static bool read_prompts(struct reading *r, struct span list, int64_t *n)
{
    for (struct jiter it = jiter_begin(list); jiter_next(&it); ++*n) {
        const enum jtype type = jval_type(it.value);

        if (*n == PROMPTS_MAX)
            return reading_want(r, "prompt", "must hold at most 2048 prompts");
        if (type == JTYPE_NUMBER) {    /* one prompt, given as its tokens */
            *n = 1;
            return read_tokens(r, list);
        }
        if (type == JTYPE_ARRAY ? !read_tokens(r, it.value)
                                : type == JTYPE_STRING ? !reading_show(r, jval_raw(it.value)) : !read_tokens(r, list))
            return false;
    }
    return *n > 0 || reading_want(r, "prompt", "must not be an empty list");
}

/* null is legal: the model begins a document. *n: how many answers are written to them, one each. */
static bool read_prompt(struct reading *r, struct span v, int64_t *n)
{
    *n = 1;
    if (!v.p)
        return reading_missing(r, "prompt");
    if (jval_type(v) == JTYPE_NULL)
        return true;
    if (jval_type(v) == JTYPE_STRING)
        return reading_show(r, jval_raw(v));
    *n = 0;
    if (jval_type(v) == JTYPE_ARRAY)
        return read_prompts(r, v, n);
    return reading_want(r, "prompt", "must be a string, a list of strings, or lists of token ids");
}

static bool read_stop(struct reading *r, struct span v)
{
    struct chat *c = r->chat;

    if (reading_is_null(v))
        return true;
    if (jval_type(v) == JTYPE_STRING) {
        c->stops_raw[c->n_stops++] = jval_raw(v);
        return true;
    }
    if (jval_type(v) != JTYPE_ARRAY)
        return reading_want(r, "stop", "must be a string or a list of strings");
    for (struct jiter it = jiter_begin(v); jiter_next(&it);) {
        if (jval_type(it.value) != JTYPE_STRING || c->n_stops == CHAT_STOPS_MAX)
            return reading_want(r, "stop", "must be a string or a list of at most 16 strings");
        c->stops_raw[c->n_stops++] = jval_raw(it.value);
    }
    return true;
}

/* Each of `best_of` answers is written and billed, `n` of them are shown. */
static bool read_counts(struct reading *r, const struct span m[C_MEMBERS], int64_t prompts)
{
    int64_t n = 1, best_of = 0;

    if (!reading_int(r, "n", m[C_N], 1, 128, &n) || !reading_int(r, "best_of", m[C_BEST_OF], 0, 128, &best_of))
        return false;
    if (best_of && best_of < n)
        return reading_want(r, "best_of", "must not be smaller than \"n\"");
    if (best_of > 1 && r->chat->stream)
        return reading_want(r, "best_of", "is not allowed together with \"stream\": true");
    r->chat->n = (best_of > n ? best_of : n) * prompts;
    return true;
}

static bool read_checks(struct reading *r, const struct span m[C_MEMBERS])
{
    return reading_number(r, "temperature", m[C_TEMPERATURE], 0, 2, NULL) && reading_number(r, "top_p", m[C_TOP_P], 0, 1, NULL) &&
           reading_number(r, "presence_penalty", m[C_PRESENCE], -2, 2, NULL) &&
           reading_number(r, "frequency_penalty", m[C_FREQUENCY], -2, 2, NULL) &&
           reading_bool(r, "echo", m[C_ECHO], NULL) && reading_int(r, "logprobs", m[C_LOGPROBS], 0, 5, NULL) &&
           reading_int(r, "seed", m[C_SEED], INT64_MIN, INT64_MAX, NULL) &&
           reading_type(r, "logit_bias", m[C_BIAS], JTYPE_OBJECT, "must be an object of token ids and numbers") &&
           reading_raw(r, "user", m[C_USER], &r->chat->user_raw);
}

static bool read_stream(struct reading *r, const struct span m[C_MEMBERS])
{
    enum tri stream = TRI_UNSET, usage = TRI_UNSET;

    if (!reading_bool(r, "stream", m[C_STREAM], &stream) ||
        !reading_type(r, "stream_options", m[C_STREAM_OPTIONS], JTYPE_OBJECT, "must be an object") ||
        !reading_bool(r, "stream_options.include_usage", jval_get(m[C_STREAM_OPTIONS], "include_usage"), &usage))
        return false;
    r->chat->stream = stream == TRI_YES;
    r->chat->usage_asked = usage == TRI_YES;
    return r->chat->stream || reading_is_null(m[C_STREAM_OPTIONS]) ||
           reading_want(r, "stream_options", "is only allowed together with \"stream\": true");
}

static bool parse(struct chat *chat, const struct parse_spec *spec)
{
    struct reading r = { .chat = chat, .spec = spec, .role = ROLE_USER };
    struct span m[C_MEMBERS], suffix = SPAN_NONE;
    struct places *places;
    int64_t prompts;

    if (jval_type(chat->body) != JTYPE_OBJECT)
        return fault_bad(spec->fault, "invalid_json", NULL, "The request body must be a JSON object.");
    jval_members(chat->body, names, C_MEMBERS, m);
    if (!m[C_MODEL].p)
        return reading_missing(&r, "model");
    if (jval_type(m[C_MODEL]) != JTYPE_STRING || jval_raw(m[C_MODEL]).n == 0)
        return reading_want(&r, "model", "must be the name of a model or route, of at most 256 bytes");
    chat->max_tokens = COMPLETIONS_DEFAULT_TOKENS;
    if (!reading_name(&r, "model", m[C_MODEL], 256, &chat->model) || !read_prompt(&r, m[C_PROMPT], &prompts) ||
        !reading_int(&r, "max_tokens", m[C_MAX_TOKENS], 0, 1000000000, &chat->max_tokens) || !read_stream(&r, m) ||
        !read_counts(&r, m, prompts) || !read_stop(&r, m[C_STOP]) || !read_checks(&r, m) ||
        !reading_raw(&r, "suffix", m[C_SUFFIX], &suffix))
        return false;
    if (chat->max_tokens == 0)    /* with `echo`: the prompt's logprobs alone */
        chat->max_tokens = 1;
    chat->text_bytes += suffix.n;
    chat->n_messages = (size_t)prompts;
    chat->n_user_turns = 1;
    chat->places = places = ARENA_NEW(spec->arena, struct places);
    if (!places)
        return reading_no_memory(&r);
    *places = (struct places){ m[C_MODEL], m[C_MAX_TOKENS], m[C_STREAM_OPTIONS] };
    return true;
}

/* ---- passing it ---- */

static void edit_usage(struct edits *e, const struct chat *chat, const struct places *places)
{
    const struct span have = places->stream_options, include = jval_get(have, "include_usage");

    if (!have.p)
        edits_insert(e, edits_end(chat->body), SPAN_LIT(",\"stream_options\":{\"include_usage\":true}"));
    else if (include.p)
        edits_replace(e, include, SPAN_LIT("true"));
    else
        edits_replace(e, have, SPAN_LIT("{\"include_usage\":true}"));
}

/* The cap that the worst case was reserved for is always said. */
static bool edit_cap(struct edits *e, const struct chat *chat, const struct places *places, int64_t cap)
{
    const int64_t tokens = cap > 0 && cap < chat->max_tokens ? cap : chat->max_tokens;
    struct span put;

    if (!reading_is_null(places->max_tokens))
        return tokens == chat->max_tokens || edits_replace_int(e, e->arena, places->max_tokens, tokens);
    if (places->max_tokens.p)
        return edits_replace_int(e, e->arena, places->max_tokens, tokens);
    put = arena_printf(e->arena, ",\"max_tokens\":%lld", (long long)tokens);
    edits_insert(e, edits_end(chat->body), put);
    return put.p != NULL;
}

static bool pass_request(const struct chat *chat, const struct target *target, struct request_out *out)
{
    const struct places *places = chat->places;
    struct edits e = { .body = chat->body, .arena = out->arena };

    if (chat->stream && target->quirks->stream_usage == STREAM_USAGE_ASK)
        edit_usage(&e, chat, places);
    if (!edits_replace_string(&e, out->arena, places->model, target->model) || !edit_cap(&e, chat, places, target->output_cap))
        return fault_set(out->fault, 503, "server_error", "overloaded", NULL, "The gateway is short of memory.");
    return edits_pieces(&e, out);
}

/* ---- answers ---- */

static enum finish finish_of(struct span v)
{
    static const char *const words[] = { "stop", "length", "content_filter", "eos", NULL };
    static const enum finish finishes[] = { FINISH_STOP, FINISH_LENGTH, FINISH_FILTERED, FINISH_STOP };
    const int which = reading_word(v, words);

    return which >= 0 ? finishes[which] : jval_type(v) == JTYPE_STRING ? FINISH_OTHER : FINISH_NONE;
}

static bool read_choice(struct draft *d, struct span choice)
{
    static const char *const members[] = { "index", "text", "finish_reason" };
    struct span m[3];
    int64_t index = 0;
    unsigned c;

    if (jval_type(choice) != JTYPE_OBJECT)
        return false;
    jval_members(choice, members, 3, m);
    jval_int(m[0], &index);
    c = index < 0 || index > 127 ? 127 : (unsigned)index;
    if (!draft_text(d, c, PIECE_TEXT, jval_raw(m[1])))
        return false;
    draft_finish(d, c, finish_of(m[2]), SPAN_NONE);
    return true;
}

enum { A_ID, A_MODEL, A_USAGE, A_CHOICES, A_ERROR, A_OBJECT, A_MEMBERS };

static bool read_answer(struct draft *d, struct span json, const struct target *target, bool chunk)
{
    static const char *const members[A_MEMBERS] = { "id", "model", "usage", "choices", "error", "object" };
    struct span m[A_MEMBERS], object;

    if (jval_type(json) != JTYPE_OBJECT)
        return false;
    jval_members(json, members, A_MEMBERS, m);
    object = jval_raw(m[A_OBJECT]);
    if (!reading_is_null(m[A_ERROR]) || (object.p && jraw_is(object, "error"))) {
        openai_read_error(d, json, true);
        return true;
    }
    if (!d->model[0])
        draft_copy(d->model, sizeof d->model, m[A_MODEL]);
    if (!d->id[0])
        draft_copy(d->id, sizeof d->id, m[A_ID]);
    if (jval_type(m[A_USAGE]) == JTYPE_OBJECT)
        openai_read_usage(d, m[A_USAGE], target->quirks);
    if (jval_type(m[A_CHOICES]) != JTYPE_ARRAY)
        return chunk && jval_type(m[A_USAGE]) == JTYPE_OBJECT;
    for (struct jiter it = jiter_begin(m[A_CHOICES]); jiter_next(&it);)
        if (!read_choice(d, it.value))
            return false;
    return true;
}

static bool read_whole(struct draft *d, struct span json, const struct target *target)
{
    return read_answer(d, json, target, false);
}

static bool read_event(struct draft *d, struct span name, struct span json, const struct target *target)
{
    (void)name;
    return read_answer(d, json, target, true);
}

const struct dialect completions_dialect = {
    .id = DIALECT_COMPLETIONS,
    .name = "completions",
    .parse = parse,
    .pass_request = pass_request,
    .read_whole = read_whole,
    .read_event = read_event,
    .read_error = openai_read_error,
    .relay = openai_relay,
    .relay_end = openai_relay_end,
    .fault_status = openai_fault_status,
    .write_fault = openai_write_fault,
    .write_stream_fault = openai_write_stream_fault,
    .keepalive = ": keep-alive\n\n",
};
