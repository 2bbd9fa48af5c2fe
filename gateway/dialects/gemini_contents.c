/* gemini_contents.c - `contents` and `systemInstruction` of a caller's request into turns and items.
 *
 * Gives calls without ids one, the same each time the history comes, and finds the call of each response: by id where there
 * is one, else by name and order (wire/gemini-generate section 4). Decodes no media and judges no signature. */
#include <stdio.h>

#include "base/base64.h"
#include "gateway/dialects/gemini_read.h"

#define NAME_MAX_BYTES 256
#define OPEN_CALLS_MAX 1024    /* that wait for their response at once: what a model says in one turn is far below */

struct open_call {
    const struct chat_call *call;
    bool has_id;               /* of the caller's */
    bool answered;
};

struct contents {
    struct reading *r;
    struct chat_turn *turn;
    struct open_call *open;    /* [OPEN_CALLS_MAX], of the model turns before the responses */
    size_t n_open, n_calls;    /* n_calls: of the whole conversation */
    size_t first;              /* none before it waits */
};

static struct chat_item *add_item(struct contents *c, enum item_kind kind)
{
    struct chat_item *item = chat_add_item(c->r->chat, c->turn, c->r->spec->arena, kind);

    if (!item)
        reading_no_memory(c->r);
    return item;
}

/* ---- media ---- */

static enum item_kind kind_of(struct span type)
{
    if (span_starts(type, SPAN_LIT("image/")))
        return ITEM_IMAGE;
    return span_starts(type, SPAN_LIT("audio/")) ? ITEM_AUDIO : ITEM_FILE;
}

/* Files that Google holds: nobody else can read them. */
static bool is_googles(struct span uri)
{
    return span_starts(uri, SPAN_LIT("gs:")) || span_starts(uri, SPAN_LIT("files/")) ||
           span_starts(uri, SPAN_LIT("https://generativelanguage.googleapis.com/"));
}

static bool read_inline(struct reading *r, struct span value, struct chat_media *m)
{
    static const char *const names[] = { "mimeType", "data", "displayName" };
    const size_t back = reading_enter(r, ".inlineData");
    struct span got[3];

    if (jval_type(value) != JTYPE_OBJECT)
        return reading_want(r, "", "must be an object with \"mimeType\" and \"data\"");
    if (!gemini_members(r, value, names, 3, got, FOREIGN_TUNES) ||
        !reading_media_type(r, "mimeType", got[0], &m->type) || !reading_raw(r, "data", got[1], &m->data) ||
        !reading_raw(r, "displayName", got[2], &m->name_raw))
        return false;
    if (m->type.n == 0)
        return reading_missing(r, "mimeType");
    if (!m->data.p)
        return reading_missing(r, "data");
    if (!base64_raw_ok(m->data, BASE64_ANY))
        return reading_want(r, "data", "must be base64");
    m->source = MEDIA_BYTES;
    if (kind_of(m->type) == ITEM_AUDIO)
        r->chat->audio_bytes += base64_bytes(m->data);
    reading_leave(r, back);
    return true;
}

static bool read_file(struct reading *r, struct span value, struct chat_media *m)
{
    static const char *const names[] = { "mimeType", "fileUri", "displayName" };
    const size_t back = reading_enter(r, ".fileData");
    struct span got[3];

    if (jval_type(value) != JTYPE_OBJECT)
        return reading_want(r, "", "must be an object with \"fileUri\"");
    if (!gemini_members(r, value, names, 3, got, FOREIGN_TUNES) ||
        !reading_media_type(r, "mimeType", got[0], &m->type) || !reading_raw(r, "fileUri", got[1], &m->data) ||
        !reading_raw(r, "displayName", got[2], &m->name_raw))
        return false;
    if (m->data.n == 0)
        return reading_missing(r, "fileUri");
    m->source = is_googles(m->data) ? MEDIA_FILE_ID : MEDIA_URL;
    if (m->source == MEDIA_URL && !reading_url(r, "fileUri", m->data))
        return false;
    if (m->source == MEDIA_FILE_ID || kind_of(m->type) == ITEM_FILE)
        r->chat->unbounded = true;    /* how long it is does not show */
    reading_leave(r, back);
    return true;
}

/* ---- calls and responses ---- */

static bool read_call(struct contents *c, struct span part, struct span value, struct span signature)
{
    static const char *const names[] = { "name", "args", "id" };
    struct reading *r = c->r;
    const size_t back = reading_enter(r, ".functionCall");
    struct chat_item *item;
    struct span got[3], id = SPAN_NONE;

    if (c->turn->role != ROLE_ASSISTANT)
        return reading_want(r, "", "belongs to a content of the role \"model\"");
    if (jval_type(value) != JTYPE_OBJECT)
        return reading_want(r, "", "must be an object with \"name\" and \"args\"");
    if (c->n_open == OPEN_CALLS_MAX)
        return reading_want(r, "", "is one of too many calls in a row");
    item = add_item(c, ITEM_CALL);
    if (!item || !gemini_members(r, value, names, 3, got, FOREIGN_TUNES) ||
        !reading_name(r, "name", got[0], NAME_MAX_BYTES, &item->call.name) ||
        !reading_type(r, "args", got[1], JTYPE_OBJECT, "must be an object") ||
        !reading_name(r, "id", got[2], NAME_MAX_BYTES, &id))
        return false;
    if (item->call.name.n == 0)
        return reading_missing(r, "name");
    item->call.arguments_json = got[1].p ? got[1] : SPAN_LIT("{}");
    item->call.id = id.n ? id : arena_printf(r->spec->arena, "call_g%zu", c->n_calls);
    if (!item->call.id.p)
        return reading_no_memory(r);
    item->opaque_raw = signature;
    item->family = signature.n ? FAMILY_GEMINI : FAMILY_NONE;
    item->json = signature.n ? SPAN_NONE : part;
    c->open[c->n_open++] = (struct open_call){ .call = &item->call, .has_id = id.n > 0 };
    c->n_calls++;
    r->chat->text_bytes += value.n;
    reading_leave(r, back);
    return true;
}

/* Nearly always it is the first that waits. */
static struct open_call *find_open(struct contents *c, struct span id, struct span name)
{
    while (c->first < c->n_open && c->open[c->first].answered)
        c->first++;
    for (size_t k = 0; id.n && k < c->n_open; k++) {
        struct open_call *o = &c->open[(c->first + k) % c->n_open];

        if (span_eq(o->call->id, id))
            return o;
    }
    for (size_t i = c->first; i < c->n_open; i++)
        if (!c->open[i].answered && (id.n == 0 || !c->open[i].has_id) && span_eq(c->open[i].call->name, name))
            return &c->open[i];
    return NULL;
}

/* {"output": "text"} and {"error": "text"} are texts; anything else stays the object that it is. */
static bool read_response_object(struct contents *c, struct chat_item *item, struct span response)
{
    struct reading *r = c->r;
    struct jiter it = jiter_begin(response);
    struct chat_item *part;
    bool is_error, alone;
    struct span text;

    if (!jiter_next(&it)) {
        item->result.object_json = response;
        return true;
    }
    is_error = jraw_is(it.key, "error");
    alone = is_error || jraw_is(it.key, "output");
    text = jval_raw(it.value);
    alone = alone && text.p && !jiter_next(&it);
    item->result.is_error = is_error;
    if (!alone) {
        const struct span shown = span_first(response, READING_PLAIN_MAX);

        item->result.object_json = response;
        r->chat->text_bytes += response.n;
        if (r->spec->on_text)
            r->spec->on_text(r->spec->ctx, r->role, shown);
        return true;
    }
    part = chat_add_part(r->chat, item, r->spec->arena, ITEM_TEXT);
    if (!part)
        return reading_no_memory(r);
    part->text = text;
    return reading_show(r, text);
}

static bool read_response_parts(struct contents *c, struct chat_item *item, struct span parts)
{
    static const char *const names[] = { "inlineData", "fileData" };
    struct reading *r = c->r;
    size_t i = 0;

    if (parts.p && jval_type(parts) != JTYPE_ARRAY)
        return reading_want(r, "parts", "must be a list");
    for (struct jiter it = jiter_begin(parts); jiter_next(&it); i++) {
        const size_t back = reading_enter(r, ".parts[%zu]", i);
        struct chat_media media = { .type = SPAN_NONE };
        struct chat_item *part;
        struct span got[2];

        if (!gemini_members(r, it.value, names, 2, got, FOREIGN_TUNES))
            return false;
        if (!got[0].p && !got[1].p)
            return reading_want(r, "", "must be an object with \"inlineData\" or \"fileData\"");
        if (!(got[0].p ? read_inline(r, got[0], &media) : read_file(r, got[1], &media)))
            return false;
        part = chat_add_part(r->chat, item, r->spec->arena, kind_of(media.type));
        if (!part)
            return reading_no_memory(r);
        part->media = media;
        reading_leave(r, back);
    }
    return true;
}

static bool read_response(struct contents *c, struct span value)
{
    static const char *const names[] = { "name", "response", "id", "parts" };
    struct reading *r = c->r;
    const size_t back = reading_enter(r, ".functionResponse");
    struct chat_item *item;
    struct open_call *call;
    struct span got[4], id = SPAN_NONE;

    if (c->turn->role != ROLE_USER)
        return reading_want(r, "", "belongs to a content of the role \"user\"");
    if (jval_type(value) != JTYPE_OBJECT)
        return reading_want(r, "", "must be an object with \"name\" and \"response\"");
    item = add_item(c, ITEM_RESULT);
    if (!item || !gemini_members(r, value, names, 4, got, FOREIGN_TUNES) ||
        !reading_name(r, "name", got[0], NAME_MAX_BYTES, &item->result.name) ||
        !reading_name(r, "id", got[2], NAME_MAX_BYTES, &id))
        return false;
    if (item->result.name.n == 0)
        return reading_missing(r, "name");
    if (jval_type(got[1]) != JTYPE_OBJECT)
        return got[1].p ? reading_want(r, "response", "must be an object") : reading_missing(r, "response");
    call = find_open(c, id, item->result.name);
    if (!call)
        return reading_want(r, id.n ? "id" : "name", "answers no function call of the model's turn before it");
    if (call->answered)
        return reading_want(r, id.n ? "id" : "name", "answers a function call that has a response already");
    call->answered = true;
    item->result.id = call->call->id;
    if (!read_response_object(c, item, got[1]) || !read_response_parts(c, item, got[3]))
        return false;
    reading_leave(r, back);
    return true;
}

/* ---- parts ---- */

enum { P_TEXT, P_INLINE, P_FILE, P_CALL, P_RESPONSE, P_CODE, P_CODE_RESULT, P_TOOL_CALL, P_TOOL_RESPONSE, P_DATA,
       P_THOUGHT = P_DATA, P_SIGNATURE, P_MEMBERS };

static bool read_text(struct contents *c, struct span value, bool thought, struct span signature)
{
    struct span raw = SPAN_LIT("");
    struct chat_item *item;

    if (!reading_raw(c->r, "text", value, &raw))
        return false;
    item = add_item(c, thought ? ITEM_REASONING : ITEM_TEXT);
    if (!item)
        return false;
    item->text = raw;
    item->opaque_raw = signature;
    item->family = signature.n || thought ? FAMILY_GEMINI : FAMILY_NONE;
    if (thought) {
        c->r->chat->text_bytes += raw.n;
        return true;
    }
    return reading_show(c->r, raw);
}

static bool read_media(struct contents *c, struct span bytes, struct span file)
{
    struct chat_media media = { .type = SPAN_NONE };
    struct chat_item *item;

    if (!(bytes.p ? read_inline(c->r, bytes, &media) : read_file(c->r, file, &media)))
        return false;
    item = add_item(c, kind_of(media.type));
    if (!item)
        return false;
    item->media = media;
    return true;
}

/* A server tool's part, or one that is newer than we are: for Gemini alone. */
static bool read_foreign(struct contents *c, struct span part)
{
    struct chat_item *item = add_item(c, ITEM_FOREIGN);

    if (!item)
        return false;
    item->json = part;
    c->r->chat->text_bytes += part.n;
    return true;
}

/* What stands in for a signature signs nothing: our own for calls of other models, or what the caller put there. */
static bool signs(struct span signature)
{
    return signature.n && !jraw_is(signature, GEMINI_NO_SIGNATURE) && !jraw_is(signature, GEMINI_NO_SIGNATURE_64) &&
           !jraw_is(signature, "context_engineering_is_the_way_to_go");
}

static bool read_part(struct contents *c, struct span part)
{
    static const char *const names[P_MEMBERS] = { "text", "inlineData", "fileData", "functionCall", "functionResponse",
                                                  "executableCode", "codeExecutionResult", "toolCall", "toolResponse",
                                                  "thought", "thoughtSignature" };
    struct reading *r = c->r;
    struct span m[P_MEMBERS], signature = SPAN_NONE;
    enum tri thought = TRI_NO;
    size_t data = 0;

    if (jval_type(part) != JTYPE_OBJECT)
        return reading_want(r, "", "must be an object such as {\"text\": \"...\"}");
    if (!gemini_members(r, part, names, P_MEMBERS, m, FOREIGN_TUNES) || !reading_bool(r, "thought", m[P_THOUGHT], &thought) ||
        !reading_raw(r, "thoughtSignature", m[P_SIGNATURE], &signature))
        return false;
    if (!signs(signature))
        signature = SPAN_NONE;
    for (size_t i = 0; i < P_DATA; i++)
        data += m[i].p != NULL;
    if (data > 1)
        return reading_want(r, "", "must have only one of text, inlineData, fileData, functionCall, functionResponse");
    if (m[P_CALL].p)
        return read_call(c, part, m[P_CALL], signature);
    if (m[P_RESPONSE].p)
        return read_response(c, m[P_RESPONSE]);
    if (m[P_INLINE].p || m[P_FILE].p)
        return read_media(c, m[P_INLINE], m[P_FILE]);
    if (m[P_TEXT].p || (data == 0 && signature.n))
        return read_text(c, m[P_TEXT], thought == TRI_YES, signature);
    if (data == 0) {
        struct jiter it = jiter_begin(part);

        if (!jiter_next(&it))
            return reading_want(r, "", "must not be empty");
    }
    return read_foreign(c, part);
}

/* ---- contents ---- */

static bool read_role(struct contents *c, struct span value, enum chat_role *role)
{
    static const char *const words[] = { "user", "model", "function", "", NULL };
    const int word = reading_word(value, words);

    if (value.p && word < 0)
        return reading_want(c->r, "role", "must be \"user\" or \"model\"");
    *role = word == 1 ? ROLE_ASSISTANT : ROLE_USER;
    return true;
}

static bool read_content(struct contents *c, struct span content)
{
    static const char *const names[] = { "role", "parts" };
    struct reading *r = c->r;
    enum chat_role role = ROLE_USER;
    bool words = false;
    struct span m[2];
    size_t i = 0;

    if (jval_type(content) != JTYPE_OBJECT)
        return reading_want(r, "", "must be an object with \"role\" and \"parts\"");
    if (!gemini_members(r, content, names, 2, m, FOREIGN_TUNES) || !read_role(c, m[0], &role) ||
        !reading_type(r, "parts", m[1], JTYPE_ARRAY, "must be a list"))
        return false;
    if (role == ROLE_ASSISTANT && (!c->turn || c->turn->role != ROLE_ASSISTANT))
        c->n_open = c->first = 0;
    c->turn = chat_add_turn(r->chat, r->spec->arena, role);
    if (!c->turn)
        return reading_no_memory(r);
    r->role = role;
    for (struct jiter it = jiter_begin(m[1]); jiter_next(&it); i++) {
        const size_t back = reading_enter(r, ".parts[%zu]", i);

        if (!read_part(c, it.value))
            return false;
        words |= c->turn->last && c->turn->last->kind != ITEM_RESULT;
        reading_leave(r, back);
    }
    if (role == ROLE_USER && i > 0 && !words)    /* results alone: the tools speak, not the user */
        r->chat->n_user_turns--;
    return true;
}

bool gemini_read_contents(struct reading *r, struct span contents)
{
    struct contents c = { .r = r };
    size_t i = 0;

    if (!contents.p)
        return reading_missing(r, "contents");
    if (jval_type(contents) != JTYPE_ARRAY)
        return reading_want(r, "contents", "must be a list");
    c.open = ARENA_ARRAY(r->spec->arena, struct open_call, OPEN_CALLS_MAX);
    if (!c.open)
        return reading_no_memory(r);
    for (struct jiter it = jiter_begin(contents); jiter_next(&it); i++) {
        const size_t back = reading_enter(r, "contents[%zu]", i);

        if (!read_content(&c, it.value))
            return false;
        reading_leave(r, back);
    }
    if (i == 0)
        return reading_want(r, "contents", "must not be empty");
    return chat_check_results(r->chat, "contents", r->spec->fault);
}

bool gemini_read_system(struct reading *r, struct span content)
{
    static const char *const names[] = { "role", "parts" };
    struct contents c = { .r = r };
    const size_t back = reading_enter(r, "systemInstruction");
    struct span m[2];
    size_t i = 0;

    if (jval_type(content) != JTYPE_OBJECT)
        return reading_want(r, "", "must be an object with \"parts\"");
    if (!gemini_members(r, content, names, 2, m, FOREIGN_TUNES) ||
        !reading_type(r, "parts", m[1], JTYPE_ARRAY, "must be a list"))
        return false;
    r->role = ROLE_SYSTEM;
    c.turn = chat_add_turn(r->chat, r->spec->arena, ROLE_SYSTEM);
    if (!c.turn)
        return reading_no_memory(r);
    for (struct jiter it = jiter_begin(m[1]); jiter_next(&it); i++) {
        const size_t part = reading_enter(r, ".parts[%zu]", i);
        const struct span text = gemini_get(it.value, "text");

        if (jval_type(text) != JTYPE_STRING)
            return reading_want(r, "text", "must be a string: instructions are text");
        if (!read_text(&c, text, false, SPAN_NONE))
            return false;
        reading_leave(r, part);
    }
    reading_leave(r, back);
    return true;
}
