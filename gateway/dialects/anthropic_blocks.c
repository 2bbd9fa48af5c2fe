/* anthropic_blocks.c - reads the system prompt and the messages of a caller: every block becomes an item of the neutral form.
 *
 * Knows the blocks, not the other members of a request (anthropic_request.c). A block that only Anthropic's own servers
 * understand stays whole and makes the request one that no other dialect takes. */
#include "base/base64.h"
#include "gateway/dialects/anthropic_read.h"

#define ID_MAX 512u

/* Where blocks go: a turn, or the result of a tool. */
struct place {
    struct chat_turn *turn;
    struct chat_item *result;    /* NULL: the turn itself */
};

enum {
    B_TYPE, B_TEXT, B_CACHE, B_CITATIONS, B_SOURCE, B_TITLE, B_CONTEXT, B_ID, B_NAME, B_INPUT, B_CALLER, B_TOOL_USE_ID,
    B_CONTENT, B_IS_ERROR, B_THINKING, B_SIGNATURE, B_DATA, B_MEMBERS
};
static const char *const members[B_MEMBERS] = {
    "type", "text", "cache_control", "citations", "source", "title", "context", "id", "name", "input", "caller", "tool_use_id",
    "content", "is_error", "thinking", "signature", "data",
};

static struct chat_item *new_item(struct anthropic_reading *a, const struct place *to, enum item_kind kind)
{
    struct chat_item *item = to->result ? chat_add_part(a->r.chat, to->result, a->r.spec->arena, kind)
                                        : chat_add_item(a->r.chat, to->turn, a->r.spec->arena, kind);

    if (!item)
        reading_no_memory(&a->r);
    return item;
}

bool anthropic_blank(struct span raw)
{
    for (size_t i = 0; i < raw.n; i++) {
        const char c = raw.p[i];

        if (c == ' ')
            continue;
        if (c != '\\' || i + 1 == raw.n || !strchr("nrtf", raw.p[i + 1]))
            return false;
        i++;
    }
    return true;
}

/* ---- text ---- */

/* What tools said is counted, not shown: the features are about what people ask. */
static bool count_text(struct anthropic_reading *a, const struct place *to, struct span raw)
{
    if (!to->result)
        return reading_show(&a->r, raw);
    a->r.chat->text_bytes += raw.n;
    return true;
}

static bool add_text(struct anthropic_reading *a, const struct place *to, struct span raw, enum cache_mark cache)
{
    struct chat_item *item = new_item(a, to, ITEM_TEXT);

    if (!item)
        return false;
    item->text = raw;
    item->cache = cache;
    return count_text(a, to, raw);
}

static bool read_text(struct anthropic_reading *a, const struct place *to, const struct span m[B_MEMBERS], enum cache_mark cache)
{
    if (jval_type(m[B_TEXT]) != JTYPE_STRING)
        return reading_want(&a->r, "text", "must be a string");
    if (!add_text(a, to, jval_raw(m[B_TEXT]), cache))
        return false;
    if (jval_type(m[B_CITATIONS]) == JTYPE_ARRAY && !to->result) {
        to->turn->last->json = m[B_CITATIONS];
        a->r.chat->text_bytes += m[B_CITATIONS].n;
    }
    return true;
}

/* ---- media ---- */

static bool read_bytes(struct anthropic_reading *a, struct chat_media *media, struct span source)
{
    const struct span data = jval_get(source, "data");

    media->source = MEDIA_BYTES;
    if (!reading_media_type(&a->r, "source.media_type", jval_get(source, "media_type"), &media->type))
        return false;
    if (media->type.n == 0)
        return reading_want(&a->r, "source.media_type", "must be a media type such as \"image/png\"");
    if (jval_type(data) != JTYPE_STRING || !base64_raw_ok(jval_raw(data), BASE64_STANDARD))
        return reading_want(&a->r, "source.data", "must be base64 (the standard alphabet, padded)");
    media->data = jval_raw(data);
    return true;
}

/* Nobody here fetches it. "https:\/\/" is how some clients write it. */
bool anthropic_is_web(struct span raw)
{
    return span_eq_nocase(span_first(raw, 6), SPAN_LIT("https:")) || span_eq_nocase(span_first(raw, 5), SPAN_LIT("http:"));
}

static bool read_reference(struct anthropic_reading *a, struct chat_media *media, struct span source, bool url)
{
    const struct span v = jval_get(source, url ? "url" : "file_id");

    if (jval_type(v) != JTYPE_STRING || jval_raw(v).n == 0 || (url && !anthropic_is_web(jval_raw(v))))
        return reading_want(&a->r, url ? "source.url" : "source.file_id",
                            url ? "must be an https URL" : "must be the id of a file");
    media->source = url ? MEDIA_URL : MEDIA_FILE_ID;
    media->data = jval_raw(v);
    if (url && !reading_url(&a->r, "source.url", media->data))
        return false;
    a->r.chat->text_bytes += media->data.n;
    a->r.chat->unbounded |= !url;
    return true;
}

/* What images and documents have in common. `type` is the source's. */
static bool read_source(struct anthropic_reading *a, struct chat_item *item, struct span source, struct span type)
{
    if (jraw_is(type, "base64"))
        return read_bytes(a, &item->media, source);
    if (jraw_is(type, "url") || jraw_is(type, "file"))
        return read_reference(a, &item->media, source, jraw_is(type, "url"));
    return reading_want(&a->r, "source.type", item->kind == ITEM_IMAGE ? "must be \"base64\", \"url\" or \"file\""
                                                                       : "must be \"base64\", \"text\", \"content\", \"url\" or \"file\"");
}

static bool read_image(struct anthropic_reading *a, const struct place *to, struct span source, enum cache_mark cache)
{
    const struct span type = jval_raw(jval_get(source, "type"));
    struct chat_item *item;

    if (!type.p)
        return reading_want(&a->r, "source", "must be an object with a \"type\"");
    item = new_item(a, to, ITEM_IMAGE);
    if (!item)
        return false;
    item->cache = cache;
    return read_source(a, item, source, type);
}

static bool read_block(struct anthropic_reading *a, const struct place *to, struct span block, bool inner);

/* A document that is a list of blocks is these blocks: what it says is the same. */
static bool read_content_document(struct anthropic_reading *a, const struct place *to, struct span content)
{
    size_t i = 0;

    if (jval_type(content) == JTYPE_STRING)
        return add_text(a, to, jval_raw(content), CACHE_NONE);
    if (jval_type(content) != JTYPE_ARRAY)
        return reading_want(&a->r, "source.content", "must be a string or a list of blocks");
    for (struct jiter it = jiter_begin(content); jiter_next(&it); i++) {
        const size_t back = reading_enter_list(&a->r, ".source.content", i);
        const struct span type = jval_raw(jval_get(it.value, "type"));

        if (!jraw_is(type, "text") && !jraw_is(type, "image"))
            return reading_want(&a->r, "type", "must be \"text\" or \"image\"");
        if (!read_block(a, to, it.value, true))
            return false;
        reading_leave(&a->r, back);
    }
    return true;
}

static bool read_text_document(struct anthropic_reading *a, const struct place *to, struct chat_item *item, struct span source)
{
    const struct span data = jval_get(source, "data");

    if (jval_type(data) != JTYPE_STRING)
        return reading_want(&a->r, "source.data", "must be a string");
    item->media = (struct chat_media){ .source = MEDIA_TEXT, .type = SPAN_LIT("text/plain"), .data = jval_raw(data),
                                       .name_raw = item->media.name_raw };
    return count_text(a, to, item->media.data);
}

static bool read_document(struct anthropic_reading *a, const struct place *to, const struct span m[B_MEMBERS],
                          enum cache_mark cache)
{
    const struct span type = jval_raw(jval_get(m[B_SOURCE], "type"));
    struct span title = SPAN_NONE;
    struct chat_item *item;

    if (!type.p)
        return reading_want(&a->r, "source", "must be an object with a \"type\"");
    if (!reading_raw(&a->r, "title", m[B_TITLE], &title) || !reading_raw(&a->r, "context", m[B_CONTEXT], NULL))
        return false;
    if (!reading_is_null(m[B_CONTEXT])) {
        a->r.chat->text_bytes += m[B_CONTEXT].n;
        if (!anthropic_note(a, NOTED_CONTEXT, SPAN_LIT("document.context"), FOREIGN_TUNES))
            return false;
    }
    if (jval_type(jval_get(m[B_CITATIONS], "enabled")) == JTYPE_TRUE &&
        !anthropic_note(a, NOTED_CITATIONS, SPAN_LIT("document.citations"), FOREIGN_TUNES))
        return false;
    if (jraw_is(type, "content"))
        return read_content_document(a, to, jval_get(m[B_SOURCE], "content"));
    item = new_item(a, to, ITEM_FILE);
    if (!item)
        return false;
    item->cache = cache;
    item->media.name_raw = title;
    a->r.chat->text_bytes += title.n;
    return jraw_is(type, "text") ? read_text_document(a, to, item, m[B_SOURCE]) : read_source(a, item, m[B_SOURCE], type);
}

/* ---- tools ---- */

static bool read_id(struct anthropic_reading *a, const char *field, struct span v, struct span *out)
{
    if (!reading_name(&a->r, field, v, ID_MAX, out))
        return false;
    return out->n > 0 || reading_want(&a->r, field, "must be the id of a tool call");
}

static bool read_call(struct anthropic_reading *a, const struct place *to, const struct span m[B_MEMBERS], enum cache_mark cache)
{
    struct chat_item *item;

    if (to->result || to->turn->role != ROLE_ASSISTANT)
        return reading_want(&a->r, "type", "\"tool_use\" belongs into an assistant message");
    item = new_item(a, to, ITEM_CALL);
    if (!item)
        return false;
    item->cache = cache;
    if (!read_id(a, "id", m[B_ID], &item->call.id) || !reading_name(&a->r, "name", m[B_NAME], 256, &item->call.name))
        return false;
    if (item->call.name.n == 0)
        return reading_want(&a->r, "name", "must be the name of a tool");
    if (jval_type(m[B_INPUT]) != JTYPE_OBJECT)
        return reading_want(&a->r, "input", "must be an object");
    item->call.arguments_json = m[B_INPUT];
    a->r.chat->text_bytes += item->call.name.n + m[B_INPUT].n;
    return true;
}

static bool read_result(struct anthropic_reading *a, const struct place *to, const struct span m[B_MEMBERS],
                        enum cache_mark cache)
{
    struct place inside = { .turn = to->turn };
    enum tri error = TRI_UNSET;
    size_t i = 0;

    if (to->result || to->turn->role != ROLE_USER)
        return reading_want(&a->r, "type", "\"tool_result\" belongs into a user message");
    inside.result = new_item(a, to, ITEM_RESULT);
    if (!inside.result)
        return false;
    inside.result->cache = cache;
    if (!read_id(a, "tool_use_id", m[B_TOOL_USE_ID], &inside.result->result.id) ||
        !reading_bool(&a->r, "is_error", m[B_IS_ERROR], &error))
        return false;
    inside.result->result.is_error = error == TRI_YES;
    if (reading_is_null(m[B_CONTENT]))
        return true;
    if (jval_type(m[B_CONTENT]) == JTYPE_STRING)
        return add_text(a, &inside, jval_raw(m[B_CONTENT]), CACHE_NONE);
    if (jval_type(m[B_CONTENT]) != JTYPE_ARRAY)
        return reading_want(&a->r, "content", "must be a string or a list of blocks");
    for (struct jiter it = jiter_begin(m[B_CONTENT]); jiter_next(&it); i++) {
        const size_t back = reading_enter_list(&a->r, ".content", i);

        if (!read_block(a, &inside, it.value, true))
            return false;
        reading_leave(&a->r, back);
    }
    return true;
}

/* ---- reasoning ---- */

/* An empty signature is what our own writer puts where another model did the thinking: no Claude takes it back. */
static bool read_thinking(struct anthropic_reading *a, const struct place *to, const struct span m[B_MEMBERS], bool redacted)
{
    const struct span *text = &m[redacted ? B_DATA : B_THINKING];
    struct span signature = SPAN_NONE;
    struct chat_item *item;

    if (to->result || to->turn->role != ROLE_ASSISTANT)
        return reading_want(&a->r, "type", "thinking belongs into an assistant message");
    if (jval_type(*text) != JTYPE_STRING)
        return reading_want(&a->r, redacted ? "data" : "thinking", "must be a string");
    if (!reading_raw(&a->r, "signature", m[B_SIGNATURE], &signature))
        return false;
    item = new_item(a, to, ITEM_REASONING);
    if (!item)
        return false;
    item->redacted = redacted;
    item->text = redacted ? SPAN_LIT("") : jval_raw(*text);
    item->opaque_raw = redacted ? jval_raw(*text) : signature.n ? signature : SPAN_NONE;
    item->family = item->opaque_raw.p ? FAMILY_ANTHROPIC : FAMILY_NONE;
    a->places->redacted_thinking |= redacted;
    a->places->unsigned_thinking |= !item->opaque_raw.p;
    a->r.chat->text_bytes += item->text.n + item->opaque_raw.n;
    return true;
}

/* ---- blocks ---- */

static bool read_foreign(struct anthropic_reading *a, const struct place *to, struct span block, enum cache_mark cache)
{
    struct chat_item *item = new_item(a, to, ITEM_FOREIGN);

    if (!item)
        return false;
    item->json = block;
    item->cache = cache;
    a->r.chat->text_bytes += block.n;
    return anthropic_note(a, NOTED_BLOCK, span_str(a->r.at), FOREIGN_MEANS);
}

/* `inner`: within a result or a document. In one pass over the block, which may be a picture of many megabytes. */
static bool read_block(struct anthropic_reading *a, const struct place *to, struct span block, bool inner)
{
    struct span m[B_MEMBERS], type;
    enum cache_mark cache = CACHE_NONE;

    if (jval_type(block) != JTYPE_OBJECT)
        return reading_want(&a->r, "", "must be an object with a \"type\"");
    jval_members(block, members, B_MEMBERS, m);
    type = jval_raw(m[B_TYPE]);
    if (!type.p)
        return reading_want(&a->r, "type", "must name the kind of block, such as \"text\"");
    if (!anthropic_read_cache(a, m[B_CACHE], &cache))
        return false;
    if (jraw_is(type, "text"))
        return read_text(a, to, m, cache);
    if (jraw_is(type, "image"))
        return read_image(a, to, m[B_SOURCE], cache);
    if (jraw_is(type, "document"))
        return read_document(a, to, m, cache);
    if (!inner && jraw_is(type, "tool_use"))
        return read_call(a, to, m, cache);
    if (!inner && jraw_is(type, "tool_result"))
        return read_result(a, to, m, cache);
    if (!inner && (jraw_is(type, "thinking") || jraw_is(type, "redacted_thinking")))
        return read_thinking(a, to, m, jraw_is(type, "redacted_thinking"));
    return read_foreign(a, to, block, cache);    /* server tools, search results, and kinds that are newer than we are */
}

bool anthropic_read_system(struct anthropic_reading *a, struct span system)
{
    struct place to = { 0 };
    size_t i = 0;

    if (reading_is_null(system))
        return true;
    a->r.role = ROLE_SYSTEM;
    to.turn = chat_add_turn(a->r.chat, a->r.spec->arena, ROLE_SYSTEM);
    if (!to.turn)
        return reading_no_memory(&a->r);
    if (jval_type(system) == JTYPE_STRING)
        return add_text(a, &to, jval_raw(system), CACHE_NONE);
    if (jval_type(system) != JTYPE_ARRAY)
        return reading_want(&a->r, "system", "must be a string or a list of text blocks");
    for (struct jiter it = jiter_begin(system); jiter_next(&it); i++) {
        const size_t back = reading_enter_list(&a->r, "system", i);

        if (!jraw_is(jval_raw(jval_get(it.value, "type")), "text"))
            return reading_want(&a->r, "type", "must be \"text\"");
        if (!read_block(a, &to, it.value, true))
            return false;
        reading_leave(&a->r, back);
    }
    return true;
}

static bool read_content(struct anthropic_reading *a, const struct place *to, struct span content)
{
    size_t i = 0;

    if (jval_type(content) == JTYPE_STRING)
        return add_text(a, to, jval_raw(content), CACHE_NONE);
    if (jval_type(content) != JTYPE_ARRAY)
        return reading_want(&a->r, "content", "must be a string or a list of blocks");
    for (struct jiter it = jiter_begin(content); jiter_next(&it); i++) {
        const size_t back = reading_enter_list(&a->r, ".content", i);

        if (!read_block(a, to, it.value, false))
            return false;
        reading_leave(&a->r, back);
    }
    return i > 0 || to->turn->role == ROLE_ASSISTANT || reading_want(&a->r, "content", "must not be empty");
}

static bool read_message(struct anthropic_reading *a, struct span message)
{
    static const char *const names[] = { "role", "content" };
    static const char *const words[] = { "user", "assistant", "system", NULL };
    static const enum chat_role roles[] = { ROLE_USER, ROLE_ASSISTANT, ROLE_SYSTEM };
    struct place to = { 0 };
    struct span m[2];
    int role;

    if (jval_type(message) != JTYPE_OBJECT)
        return reading_want(&a->r, "", "must be an object with \"role\" and \"content\"");
    jval_members(message, names, 2, m);
    role = reading_word(m[0], words);
    if (role < 0)
        return reading_want(&a->r, "role", "must be \"user\" or \"assistant\"");
    a->r.role = roles[role];
    to.turn = chat_add_turn(a->r.chat, a->r.spec->arena, a->r.role);
    if (!to.turn)
        return reading_no_memory(&a->r);
    return read_content(a, &to, m[1]);
}

bool anthropic_read_messages(struct anthropic_reading *a, struct span messages)
{
    size_t i = 0;

    if (!messages.p)
        return reading_missing(&a->r, "messages");
    if (jval_type(messages) != JTYPE_ARRAY)
        return reading_want(&a->r, "messages", "must be a list of messages");
    a->places->messages = messages;
    for (struct jiter it = jiter_begin(messages); jiter_next(&it); i++) {
        const size_t back = reading_enter_list(&a->r, "messages", i);

        if (!read_message(a, it.value))
            return false;
        reading_leave(&a->r, back);
    }
    return i > 0 || reading_want(&a->r, "messages", "must hold at least one message");
}
