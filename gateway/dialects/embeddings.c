/* embeddings.c - see embeddings.h. Faults and errors are the Chat dialect's (openai.h). */
#include "gateway/dialects/embeddings.h"

#include "gateway/dialects/edits.h"
#include "gateway/dialects/openai.h"
#include "gateway/dialects/reading.h"

#define RIGHT_INPUT "must be a string, a list of strings, or lists of token ids, none of them empty"

/* ---- reading a request ---- */

/* Tokens as numbers: each counts as one byte of text, of which no token has less. */
static bool read_tokens(struct reading *r, struct span list)
{
    size_t n = 0;
    int64_t id;

    for (struct jiter it = jiter_begin(list); jiter_next(&it); n++)
        if (jval_type(it.value) != JTYPE_NUMBER || !jval_int(it.value, &id) || id < 0)
            return reading_want(r, "input", RIGHT_INPUT);
    r->chat->text_bytes += n;
    return n > 0 || reading_want(r, "input", RIGHT_INPUT);
}

static bool read_text(struct reading *r, struct span v)
{
    return jval_type(v) == JTYPE_STRING && jval_raw(v).n ? reading_show(r, jval_raw(v)) : reading_want(r, "input", RIGHT_INPUT);
}

static bool read_inputs(struct reading *r, struct span list)
{
    size_t n = 0;

    for (struct jiter it = jiter_begin(list); jiter_next(&it); n++) {
        if (jval_type(it.value) == JTYPE_NUMBER) {    /* one input, given as its tokens */
            r->chat->n_messages = 1;
            return read_tokens(r, list);
        }
        if (n == EMBEDDINGS_INPUTS_MAX)
            return reading_want(r, "input", "must hold at most 2048 entries");
        if (jval_type(it.value) == JTYPE_ARRAY ? !read_tokens(r, it.value) : !read_text(r, it.value))
            return false;
    }
    r->chat->n_messages = n;
    return n > 0 || reading_want(r, "input", RIGHT_INPUT);
}

static bool read_input(struct reading *r, struct span v)
{
    if (!v.p)
        return reading_missing(r, "input");
    if (jval_type(v) == JTYPE_ARRAY)
        return read_inputs(r, v);
    r->chat->n_messages = 1;
    return read_text(r, v);
}

static bool read_format(struct reading *r, struct span v)
{
    static const char *const words[] = { "float", "base64", NULL };

    return reading_is_null(v) || reading_word(v, words) >= 0 ||
           reading_want(r, "encoding_format", "must be \"float\" or \"base64\"");
}

static bool parse(struct chat *chat, const struct parse_spec *spec)
{
    static const char *const names[] = { "model", "input", "encoding_format", "dimensions", "user" };
    struct reading r = { .chat = chat, .spec = spec, .role = ROLE_USER };
    struct span m[5], *place;

    if (jval_type(chat->body) != JTYPE_OBJECT)
        return fault_bad(spec->fault, "invalid_json", NULL, "The request body must be a JSON object.");
    jval_members(chat->body, names, 5, m);
    if (!m[0].p)
        return reading_missing(&r, "model");
    if (jval_type(m[0]) != JTYPE_STRING || jval_raw(m[0]).n == 0)
        return reading_want(&r, "model", "must be the name of a model or route, of at most 256 bytes");
    if (!reading_name(&r, "model", m[0], 256, &chat->model) || !read_input(&r, m[1]) || !read_format(&r, m[2]) ||
        !reading_int(&r, "dimensions", m[3], 1, 1000000, NULL) || !reading_raw(&r, "user", m[4], &chat->user_raw))
        return false;
    chat->n_user_turns = 1;
    chat->max_tokens = 1;    /* there is no output; this bounds what is reserved for it */
    chat->places = place = ARENA_NEW(spec->arena, struct span);
    if (!place)
        return reading_no_memory(&r);
    *place = m[0];
    return true;
}

/* Nothing changes but the name of the model. */
static bool pass_request(const struct chat *chat, const struct target *target, struct request_out *out)
{
    const struct span *model = chat->places;
    struct edits e = { .body = chat->body, .arena = out->arena };

    if (!edits_replace_string(&e, out->arena, *model, target->model))
        return fault_set(out->fault, 503, "server_error", "overloaded", NULL, "The gateway is short of memory.");
    return edits_pieces(&e, out);
}

/* ---- answers ---- */

/* prompt_tokens alone, or at some hosts total_tokens alone. */
static void read_usage(struct draft *d, struct span usage)
{
    struct usage got = { 0 };
    int64_t total = 0;
    const bool has_total = jval_int(jval_get(usage, "total_tokens"), &total) && total >= 0;

    if (!jval_int(jval_get(usage, "prompt_tokens"), &got.input) || got.input < 0) {
        if (!has_total)
            return;
        got.input = total;
    }
    draft_usage(d, &got, has_total && total != got.input);
}

static bool read_whole(struct draft *d, struct span json, const struct target *target)
{
    static const char *const names[] = { "model", "data", "usage", "error", "object", "id" };
    struct span m[6], object;

    (void)target;
    if (jval_type(json) != JTYPE_OBJECT)
        return false;
    jval_members(json, names, 6, m);
    object = jval_raw(m[4]);
    if (!reading_is_null(m[3]) || (object.p && jraw_is(object, "error"))) {
        openai_read_error(d, json, true);
        return true;
    }
    if (jval_type(m[1]) != JTYPE_ARRAY)
        return false;
    draft_copy(d->model, sizeof d->model, m[0]);
    draft_copy(d->id, sizeof d->id, m[5]);
    if (jval_type(m[2]) == JTYPE_OBJECT)
        read_usage(d, m[2]);
    d->has_piece = true;
    draft_finish(d, 0, FINISH_STOP, SPAN_NONE);
    return true;
}

const struct dialect embeddings_dialect = {
    .id = DIALECT_EMBEDDINGS,
    .name = "embeddings",
    .parse = parse,
    .pass_request = pass_request,
    .read_whole = read_whole,
    .read_error = openai_read_error,
    .fault_status = openai_fault_status,
    .write_fault = openai_write_fault,
    .write_stream_fault = openai_write_stream_fault,
};
