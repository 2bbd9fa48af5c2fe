/* responses_items.c - reads `instructions` and `input` of a Responses request as turns.
 *
 * The dialect has no turns but a list of items. What one answer of a model brings (reasoning, a text, calls) is put into one
 * turn, and the results behind it into another, so that the other dialects can say it. Items of OpenAI's own tools, and kinds
 * newer than we are, stay as they came (ITEM_FOREIGN). Source: wire/openai-responses section 3. */
#include <stdio.h>

#include "base/base64.h"
#include "gateway/dialects/responses_parts.h"

#define ID_BYTES_MAX 4096
#define NAME_BYTES_MAX 256

enum {
    I_TYPE, I_ROLE, I_CONTENT, I_ID, I_CALL_ID, I_NAME, I_NAMESPACE, I_ARGUMENTS, I_INPUT, I_OUTPUT, I_SUMMARY, I_ENCRYPTED,
    I_MEMBERS
};

/* ---- parts ---- */

/* Where a part goes: into a turn, or into a tool's result. */
struct place {
    struct chat_turn *turn;
    struct chat_item *result;
};

static struct chat_item *add(struct responses_reading *p, struct place at, enum item_kind kind)
{
    struct chat_item *item = at.result ? chat_add_part(p->r.chat, at.result, p->r.spec->arena, kind)
                                       : chat_add_item(p->r.chat, at.turn, p->r.spec->arena, kind);

    if (!item)
        reading_no_memory(&p->r);
    return item;
}

static bool add_text(struct responses_reading *p, struct place at, enum item_kind kind, struct span raw, struct span annotations)
{
    struct chat_item *item = add(p, at, kind);

    if (!item)
        return false;
    item->text = raw;
    for (struct jiter it = jiter_begin(annotations); annotations.p && jiter_next(&it);) {
        item->json = annotations;    /* not empty */
        break;
    }
    return reading_show(&p->r, raw);
}

enum { P_TYPE, P_TEXT, P_REFUSAL, P_IMAGE_URL, P_FILE_ID, P_DETAIL, P_FILE_DATA, P_FILE_URL, P_FILENAME, P_AUDIO,
       P_ANNOTATIONS, P_BREAKPOINT, P_MEMBERS };

static bool read_image(struct responses_reading *p, struct place at, const struct span m[P_MEMBERS])
{
    struct chat_item *item = add(p, at, ITEM_IMAGE);

    if (!item)
        return false;
    if (reading_is_null(m[P_IMAGE_URL]) && jval_type(m[P_FILE_ID]) == JTYPE_STRING) {
        item->media.source = MEDIA_FILE_ID;
        item->media.data = jval_raw(m[P_FILE_ID]);
    } else if (!reading_media(&p->r, "image_url", m[P_IMAGE_URL], &item->media)) {
        return false;
    }
    return reading_name(&p->r, "detail", m[P_DETAIL], 32, &item->media.detail);
}

static bool read_file(struct responses_reading *p, struct place at, const struct span m[P_MEMBERS])
{
    struct chat_item *item = add(p, at, ITEM_FILE);
    bool ok = true;

    if (!item)
        return false;
    if (jval_type(m[P_FILE_ID]) == JTYPE_STRING) {
        item->media.source = MEDIA_FILE_ID;
        item->media.data = jval_raw(m[P_FILE_ID]);
    } else if (!reading_is_null(m[P_FILE_URL])) {
        ok = reading_media(&p->r, "file_url", m[P_FILE_URL], &item->media);
    } else {
        ok = reading_media(&p->r, "file_data", m[P_FILE_DATA], &item->media) &&
             (item->media.source == MEDIA_BYTES || reading_want(&p->r, "file_data", "must be a data: URL in base64"));
    }
    return ok && reading_raw(&p->r, "filename", m[P_FILENAME], &item->media.name_raw);
}

static bool read_audio(struct responses_reading *p, struct place at, struct span audio)
{
    const struct span data = jval_get(audio, "data"), format = jval_raw(jval_get(audio, "format"));
    struct chat_item *item = add(p, at, ITEM_AUDIO);

    if (!item)
        return false;
    if (jval_type(data) != JTYPE_STRING || !base64_raw_ok(jval_raw(data), BASE64_STANDARD))
        return reading_want(&p->r, "input_audio.data", "must be a base64 string");
    if (!format.p || (!jraw_is(format, "wav") && !jraw_is(format, "mp3")))
        return reading_want(&p->r, "input_audio.format", "must be \"wav\" or \"mp3\"");
    item->media.source = MEDIA_BYTES;
    item->media.type = jraw_is(format, "wav") ? SPAN_LIT("audio/wav") : SPAN_LIT("audio/mpeg");
    item->media.data = jval_raw(data);
    p->r.chat->audio_bytes += base64_bytes(item->media.data);
    return true;
}

/* Marks the chat: the first of them is enough, there may be many. */
static bool note_foreign(struct responses_reading *p, const char *field)
{
    char where[200];

    if (p->foreign_item)
        return true;
    p->foreign_item = true;
    snprintf(where, sizeof where, "%s.%s", p->r.at, field);
    return chat_add_foreign(p->r.chat, p->r.spec->arena, span_str(where), FOREIGN_MEANS) || reading_no_memory(&p->r);
}

static bool add_foreign(struct responses_reading *p, struct place at, struct span json)
{
    struct chat_item *item = add(p, at, ITEM_FOREIGN);

    if (!item)
        return false;
    item->json = json;
    p->r.chat->text_bytes += json.n;
    return note_foreign(p, "type");
}

static void mark_cache(struct responses_reading *p, struct place at, struct span breakpoint)
{
    struct chat_item *item = at.result ? at.result->result.last_part : at.turn->last;

    if (reading_is_null(breakpoint) || !item)
        return;
    item->cache = CACHE_5M;
    p->r.chat->cache_5m = true;
}

/* In one pass over the part, which may be a picture of many megabytes. */
static bool read_part(struct responses_reading *p, struct place at, struct span part)
{
    static const char *const names[P_MEMBERS] = { "type", "text", "refusal", "image_url", "file_id", "detail", "file_data",
                                                  "file_url", "filename", "input_audio", "annotations",
                                                  "prompt_cache_breakpoint" };
    static const char *const types[] = { "input_text", "output_text", "text", "refusal", "input_image", "input_file",
                                         "input_audio", NULL };
    struct span m[P_MEMBERS];
    bool ok;

    if (jval_type(part) != JTYPE_OBJECT)
        return reading_want(&p->r, "", "must be an object with a \"type\"");
    jval_members(part, names, P_MEMBERS, m);
    if (jval_type(m[P_TYPE]) != JTYPE_STRING)
        return reading_want(&p->r, "type", "must name the kind of part, such as \"input_text\"");
    switch (reading_word(m[P_TYPE], types)) {
    case 0: case 1: case 2:
        if (jval_type(m[P_TEXT]) != JTYPE_STRING)
            return reading_want(&p->r, "text", "must be a string");
        ok = add_text(p, at, ITEM_TEXT, jval_raw(m[P_TEXT]),
                      jval_type(m[P_ANNOTATIONS]) == JTYPE_ARRAY ? m[P_ANNOTATIONS] : SPAN_NONE);
        break;
    case 3:
        if (jval_type(m[P_REFUSAL]) != JTYPE_STRING)
            return reading_want(&p->r, "refusal", "must be a string");
        ok = add_text(p, at, ITEM_REFUSAL, jval_raw(m[P_REFUSAL]), SPAN_NONE);
        break;
    case 4:
        ok = read_image(p, at, m);
        break;
    case 5:
        ok = read_file(p, at, m);
        break;
    case 6:
        ok = read_audio(p, at, m[P_AUDIO]);
        break;
    default:
        ok = add_foreign(p, at, part);
    }
    if (ok)
        mark_cache(p, at, m[P_BREAKPOINT]);
    return ok;
}

static bool read_parts(struct responses_reading *p, struct place at, const char *field, struct span list)
{
    size_t i = 0;

    for (struct jiter it = jiter_begin(list); jiter_next(&it); i++) {
        const size_t back = reading_enter(&p->r, ".%s[%zu]", field, i);

        if (!read_part(p, at, it.value))
            return false;
        reading_leave(&p->r, back);
    }
    return true;
}

/* ---- turns ---- */

static struct chat_turn *new_turn(struct responses_reading *p, enum chat_role role)
{
    struct chat_turn *t = chat_add_turn(p->r.chat, p->r.spec->arena, role);

    if (!t)
        reading_no_memory(&p->r);
    return t;
}

/* The turn that an item of the assistant belongs to: the last one, if it is the assistant's. A second text begins a turn of
 * its own, but not behind calls: these must stay next to their results. */
static struct chat_turn *assistant_turn(struct responses_reading *p, bool text)
{
    struct chat_turn *t = p->r.chat->last_turn;

    p->r.role = ROLE_ASSISTANT;
    if (t && t->role == ROLE_ASSISTANT && !(text && p->has_text && !p->has_call))
        return t;
    p->has_text = p->has_call = false;
    return new_turn(p, ROLE_ASSISTANT);
}

/* Results that follow one another are one turn. What a tool says is not the user's: the features do not score it as such. */
static struct chat_turn *result_turn(struct responses_reading *p)
{
    struct chat_turn *t = p->r.chat->last_turn;

    p->r.role = ROLE_ASSISTANT;
    return t && t->role == ROLE_USER && t->items && t->items->kind == ITEM_RESULT ? t : new_turn(p, ROLE_USER);
}

/* ---- items ---- */

static bool read_message(struct responses_reading *p, const struct span m[I_MEMBERS])
{
    static const char *const roles[] = { "user", "assistant", "system", "developer", NULL };
    const int role = reading_word(m[I_ROLE], roles);
    const struct span content = m[I_CONTENT];
    struct place at = { 0 };

    if (role < 0)
        return reading_want(&p->r, "role", "must be one of user, assistant, system, developer");
    if (role == 1) {
        at.turn = assistant_turn(p, true);
        p->has_text = true;
    } else {
        p->r.role = role == 0 ? ROLE_USER : ROLE_SYSTEM;
        at.turn = new_turn(p, p->r.role);
    }
    if (!at.turn)
        return false;
    at.turn->developer = role == 3;
    if (jval_type(content) == JTYPE_STRING)
        return add_text(p, at, ITEM_TEXT, jval_raw(content), SPAN_NONE);
    if (jval_type(content) != JTYPE_ARRAY)
        return reading_want(&p->r, "content", "must be a string or a list of parts");
    return read_parts(p, at, "content", content);
}

/* "space__name", as Codex joins the tools of its MCP servers itself. */
struct span responses_join_name(struct arena *arena, struct span space, struct span name)
{
    const bool joined = space.n == 0 || space.p[space.n - 1] == '_';

    return arena_printf(arena, "%.*s%s%.*s", SPAN_FMT(space), joined ? "" : "__", SPAN_FMT(name));
}

static bool read_call_name(struct responses_reading *p, const struct span m[I_MEMBERS], struct span *name)
{
    struct span space = SPAN_NONE;

    if (jval_type(m[I_NAME]) != JTYPE_STRING || jval_raw(m[I_NAME]).n == 0)
        return reading_want(&p->r, "name", "must be the name of a tool");
    if (!reading_name(&p->r, "name", m[I_NAME], NAME_BYTES_MAX, name) ||
        !reading_name(&p->r, "namespace", m[I_NAMESPACE], NAME_BYTES_MAX, &space))
        return false;
    if (space.n)
        *name = responses_join_name(p->r.spec->arena, space, *name);
    return name->p || reading_no_memory(&p->r);
}

static bool read_call_id(struct responses_reading *p, const struct span m[I_MEMBERS], struct span *id)
{
    if (jval_type(m[I_CALL_ID]) != JTYPE_STRING || jval_raw(m[I_CALL_ID]).n == 0)
        return reading_want(&p->r, "call_id", "must be the id of a tool call");
    return reading_name(&p->r, "call_id", m[I_CALL_ID], ID_BYTES_MAX, id);
}

static bool read_call(struct responses_reading *p, const struct span m[I_MEMBERS], bool custom)
{
    const char *const field = custom ? "input" : "arguments";
    const struct span arguments = m[custom ? I_INPUT : I_ARGUMENTS];
    const struct place at = { .turn = assistant_turn(p, false) };
    struct chat_item *item = at.turn ? add(p, at, ITEM_CALL) : NULL;

    if (!item)
        return false;
    if (jval_type(arguments) != JTYPE_STRING)
        return reading_want(&p->r, field, custom ? "must be a string" : "must be a string that holds JSON");
    item->call.custom = custom;
    item->call.arguments_raw = jval_raw(arguments);
    p->has_call = true;
    p->r.chat->text_bytes += jval_raw(arguments).n + jval_raw(m[I_NAME]).n + jval_raw(m[I_CALL_ID]).n;
    return read_call_id(p, m, &item->call.id) && read_call_name(p, m, &item->call.name);
}

static bool read_result(struct responses_reading *p, const struct span m[I_MEMBERS], bool custom)
{
    const struct place turn = { .turn = result_turn(p) };
    struct chat_item *item = turn.turn ? add(p, turn, ITEM_RESULT) : NULL;
    const struct place at = { .result = item };

    if (!item)
        return false;
    item->result.custom = custom;
    if (!read_call_id(p, m, &item->result.id))
        return false;
    p->r.chat->text_bytes += item->result.id.n;
    if (jval_type(m[I_OUTPUT]) == JTYPE_STRING)
        return jval_raw(m[I_OUTPUT]).n == 0 || add_text(p, at, ITEM_TEXT, jval_raw(m[I_OUTPUT]), SPAN_NONE);
    if (jval_type(m[I_OUTPUT]) != JTYPE_ARRAY)
        return reading_want(&p->r, "output", "must be a string or a list of parts");
    return read_parts(p, at, "output", m[I_OUTPUT]);
}

/* The texts of a list of {type, text}, with an empty line between two: raw, as it must stay. */
static bool join_texts(struct responses_reading *p, const char *field, struct span list, struct span *out)
{
    struct buf joined;
    size_t n = 0;

    buf_init(&joined, p->r.chat->body.n + 1);
    for (struct jiter it = jiter_begin(list); jiter_next(&it); n++) {
        const struct span text = jval_get(it.value, "text");

        if (jval_type(text) != JTYPE_STRING) {
            buf_free(&joined);
            return reading_want(&p->r, field, "must be a list of objects with a \"text\"");
        }
        if (n == 0)
            *out = jval_raw(text);
        else if (n == 1)
            buf_add_span(&joined, *out);
        if (n > 0) {
            buf_add_str(&joined, "\\n\\n");
            buf_add_span(&joined, jval_raw(text));
        }
    }
    if (n > 1)
        *out = buf_ok(&joined) ? arena_copy(p->r.spec->arena, buf_span(&joined)) : SPAN_NONE;
    buf_free(&joined);
    return n < 2 || out->p || reading_no_memory(&p->r);
}

/* Hosts of this dialect do not get it as it is. */
static bool swap(struct responses_reading *p, struct span item, struct span put)
{
    struct responses_swap *s = ARENA_NEW(p->r.spec->arena, struct responses_swap);

    if (!s)
        return reading_no_memory(&p->r);
    *s = (struct responses_swap){ .at = item, .put = put };
    *(p->last_swap ? &p->last_swap->next : &p->places->swaps) = s;
    p->last_swap = s;
    return true;
}

static bool is_own_reasoning(struct span id)
{
    return span_starts(id, SPAN_LIT("rs_")) && responses_is_own_id(id);
}

/* An open model's own reasoning (`content`) goes before a summary of it. An item that carries nothing is none: the gateway
 * then puts back what it has kept for the call behind it (memory.h). Reasoning that was written here, of another provider's
 * model, has nothing encrypted: OpenAI would look for it in vain. */
static bool read_reasoning_item(struct responses_reading *p, const struct span m[I_MEMBERS], struct span whole)
{
    struct span text = SPAN_NONE, opaque = SPAN_NONE;
    struct place at = { 0 };
    struct chat_item *item;

    if (!reading_raw(&p->r, "encrypted_content", m[I_ENCRYPTED], &opaque))
        return false;
    if (!reading_is_null(m[I_SUMMARY]) && jval_type(m[I_SUMMARY]) != JTYPE_ARRAY)
        return reading_want(&p->r, "summary", "must be a list");
    if (jval_type(m[I_CONTENT]) == JTYPE_ARRAY && !join_texts(p, "content", m[I_CONTENT], &text))
        return false;
    if (text.n == 0 && jval_type(m[I_SUMMARY]) == JTYPE_ARRAY && !join_texts(p, "summary", m[I_SUMMARY], &text))
        return false;
    if (opaque.n == 0 && is_own_reasoning(jval_raw(m[I_ID])) && !swap(p, whole, SPAN_LIT("")))
        return false;
    if (text.n == 0 && opaque.n == 0)
        return true;
    at.turn = assistant_turn(p, false);
    item = at.turn ? add(p, at, ITEM_REASONING) : NULL;
    if (!item)
        return false;
    item->text = text;
    item->opaque_raw = opaque.n ? opaque : SPAN_NONE;
    item->family = opaque.n ? FAMILY_OPENAI : FAMILY_NONE;
    item->redacted = text.n == 0;
    p->r.chat->text_bytes += text.n + opaque.n;
    return reading_name(&p->r, "id", m[I_ID], ID_BYTES_MAX, &item->id);
}

static bool read_item(struct responses_reading *p, struct span item);

static bool gone(struct responses_reading *p, struct span id)
{
    char param[160];

    snprintf(param, sizeof param, "%s.id", p->r.at);
    return fault_bad(p->r.spec->fault, "item_not_found", param,
                     "Item with id '%.*s' not found: it has expired, or was given to another key. Send the item itself in "
                     "place of '%s'; with the AI SDK, set `store: false` in its options for openai.",
                     SPAN_FMT(span_first(id, RESPONSES_ID_ROOM)), p->r.at);
}

/* A pointer to an item of an earlier answer. Clients that believe their answers stored send it (the AI SDK does). What we wrote
 * ourselves from another dialect's answer is put in its place, whoever goes on: nobody else has it. Of reasoning, what led to a
 * call comes back with the call (memory.h), and the rest nobody needs. Anything else OpenAI has stored. */
static bool read_reference(struct responses_reading *p, struct span id, struct span item)
{
    const struct recall *recall = p->r.spec->recall;
    struct span json;
    struct place at = { 0 };

    if (is_own_reasoning(id))
        return swap(p, item, SPAN_LIT(""));
    if (recall && responses_is_own_id(id)) {
        if (!recall->item(recall->ctx, id, &json))
            return false;
        if (!json.p)
            return gone(p, id);
        return swap(p, item, json) && read_item(p, json);    /* what is remembered is no reference */
    }
    at.turn = new_turn(p, ROLE_USER);
    p->history_elsewhere = true;
    p->r.chat->unbounded = true;
    return at.turn && add_foreign(p, at, item);
}

/* Calls of OpenAI's own tools are the assistant's, their outputs are not; whose a new kind is, nobody here can know. */
static bool read_foreign(struct responses_reading *p, struct span type, struct span item)
{
    struct place at = { 0 };

    at.turn = span_ends(type, SPAN_LIT("_call")) ? assistant_turn(p, false) : new_turn(p, ROLE_USER);
    return at.turn && add_foreign(p, at, item);
}

static bool read_item(struct responses_reading *p, struct span item)
{
    static const char *const names[I_MEMBERS] = { "type", "role", "content", "id", "call_id", "name", "namespace", "arguments",
                                                  "input", "output", "summary", "encrypted_content" };
    static const char *const types[] = { "message", "function_call", "function_call_output", "custom_tool_call",
                                         "custom_tool_call_output", "reasoning", "item_reference", NULL };
    struct span m[I_MEMBERS];

    if (jval_type(item) != JTYPE_OBJECT)
        return reading_want(&p->r, "", "must be an object");
    jval_members(item, names, I_MEMBERS, m);
    if (reading_is_null(m[I_TYPE])) {
        if (m[I_ROLE].p || m[I_CONTENT].p)
            return read_message(p, m);
        return jval_type(m[I_ID]) == JTYPE_STRING ? read_reference(p, jval_raw(m[I_ID]), item)
                                                  : reading_want(&p->r, "type", "must name the kind of item, such as \"message\"");
    }
    if (jval_type(m[I_TYPE]) != JTYPE_STRING)
        return reading_want(&p->r, "type", "must be a string");
    switch (reading_word(m[I_TYPE], types)) {
    case 0:
        return read_message(p, m);
    case 1:
        return read_call(p, m, false);
    case 2:
        return read_result(p, m, false);
    case 3:
        return read_call(p, m, true);
    case 4:
        return read_result(p, m, true);
    case 5:
        return read_reasoning_item(p, m, item);
    case 6:
        return read_reference(p, jval_raw(m[I_ID]), item);
    default:
        return read_foreign(p, jval_raw(m[I_TYPE]), item);
    }
}

static bool read_list(struct responses_reading *p)
{
    const struct chat_turn *before = p->r.chat->last_turn;
    size_t i = 0;

    for (struct jiter it = jiter_begin(p->input); jiter_next(&it); i++) {
        const size_t back = reading_enter(&p->r, "input[%zu]", i);

        if (!read_item(p, it.value))
            return false;
        reading_leave(&p->r, back);
    }
    return p->r.chat->last_turn != before || p->history_elsewhere ||
           reading_want(&p->r, "input", i ? "must hold more than reasoning" : "must hold at least one item");
}

static bool read_string(struct responses_reading *p, enum chat_role role, struct span v)
{
    const struct place at = { .turn = new_turn(p, role) };

    p->r.role = role;
    return at.turn && add_text(p, at, ITEM_TEXT, jval_raw(v), SPAN_NONE);
}

bool responses_read_input(struct responses_reading *p)
{
    const enum jtype type = jval_type(p->input);

    if (jval_raw(p->instructions).n && !read_string(p, ROLE_SYSTEM, p->instructions))
        return false;
    if (reading_is_null(p->input))
        return p->history_elsewhere || reading_missing(&p->r, "input");
    if (type == JTYPE_ARRAY)
        return read_list(p);
    if (type != JTYPE_STRING || jval_raw(p->input).n == 0)
        return reading_want(&p->r, "input", "must be a text that is not empty, or a list of items");
    return read_string(p, ROLE_USER, p->input);
}
