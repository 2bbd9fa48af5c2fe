/* openai_messages.c - reads `messages` of a Chat request into turns and items, and checks their order. Texts and data stay where
 * they lie. Source: wire/openai-chat section 3. */
#include "base/base64.h"
#include "gateway/dialects/openai_parse.h"

/* ---- items ---- */

static struct chat_item *add(struct openai_parse *p, enum item_kind kind)
{
    struct chat_item *item = p->result ? chat_add_part(p->chat, p->result, p->arena, kind)
                                       : chat_add_item(p->chat, p->turn, p->arena, kind);

    if (!item)
        reading_no_memory(&p->r);
    return item;
}

/* What tools said is counted and not shown: the user did not write it. An empty text is no item. */
static bool take_text(struct openai_parse *p, struct span value, enum item_kind kind, struct chat_item **out)
{
    const struct span raw = jval_raw(value);
    struct chat_item *item;

    if (p->result)
        p->chat->text_bytes += raw.n;
    else if (!reading_show(&p->r, raw))
        return false;
    if (raw.n == 0)
        return true;
    item = add(p, kind);
    if (!item)
        return false;
    item->text = raw;
    if (out)
        *out = item;
    return true;
}

static bool take_image(struct openai_parse *p, struct span image, struct chat_item **out)
{
    const bool object = jval_type(image) == JTYPE_OBJECT;
    const struct span url = object ? jval_get(image, "url") : image;
    struct chat_item *item;

    if (jval_type(url) != JTYPE_STRING)
        return reading_want(&p->r, "image_url.url", "must be an https or data: URL");
    *out = item = add(p, ITEM_IMAGE);
    if (!item || !reading_media(&p->r, "image_url.url", url, &item->media))
        return false;
    return !object || reading_name(&p->r, "image_url.detail", jval_get(image, "detail"), 32, &item->media.detail);
}

static bool take_audio(struct openai_parse *p, struct span audio, struct chat_item **out)
{
    const struct span data = jval_get(audio, "data");
    struct span format = SPAN_NONE;
    struct chat_item *item;

    if (jval_type(data) != JTYPE_STRING)
        return reading_want(&p->r, "input_audio.data", "must be a base64 string");
    if (!base64_raw_ok(jval_raw(data), BASE64_STANDARD))
        return reading_want(&p->r, "input_audio.data", "holds data that is not valid base64");
    *out = item = add(p, ITEM_AUDIO);
    if (!item || !reading_name(&p->r, "input_audio.format", jval_get(audio, "format"), 32, &format))
        return false;
    item->media.source = MEDIA_BYTES;
    item->media.data = jval_raw(data);
    item->media.type = format.n ? arena_printf(p->arena, "audio/%.*s", SPAN_FMT(format)) : SPAN_NONE;
    p->chat->audio_bytes += base64_bytes(item->media.data);
    if (format.n && !item->media.type.p)
        return reading_no_memory(&p->r);
    return !format.n || reading_is_media_type(item->media.type) ||
           reading_want(&p->r, "input_audio.format", "must be a format such as \"wav\" or \"mp3\"");
}

/* {file_data, filename} or {file_id}. The data are a data: URL; some clients send the base64 alone. */
static bool take_file(struct openai_parse *p, struct span file, struct chat_item **out)
{
    static const char *const names[] = { "file_data", "file_id", "filename" };
    struct span m[3], data = SPAN_NONE, id = SPAN_NONE;
    struct chat_item *item;

    if (jval_type(file) != JTYPE_OBJECT)
        return reading_want(&p->r, "file", "must be an object");
    jval_members(file, names, 3, m);
    p->chat->text_bytes += file.n;
    *out = item = add(p, ITEM_FILE);
    if (!item || !reading_raw(&p->r, "file.file_data", m[0], &data) || !reading_raw(&p->r, "file.file_id", m[1], &id) ||
        !reading_raw(&p->r, "file.filename", m[2], &item->media.name_raw))
        return false;
    if (data.n && span_starts(data, SPAN_LIT("data:")))
        return reading_media(&p->r, "file.file_data", m[0], &item->media);
    item->media.source = data.n ? MEDIA_BYTES : MEDIA_FILE_ID;
    item->media.data = data.n ? data : id;
    p->chat->unbounded |= data.n == 0;
    if (data.n == 0)
        return id.n || reading_want(&p->r, "file", "must have \"file_data\" or \"file_id\"");
    if (span_ends(item->media.name_raw, SPAN_LIT(".pdf")))
        item->media.type = SPAN_LIT("application/pdf");
    return base64_raw_ok(data, BASE64_STANDARD) ||
           reading_want(&p->r, "file.file_data", "holds data that is not valid base64");
}

/* ---- parts of a message ---- */

void openai_mark(struct openai_parse *p, enum cache_mark *cache, struct span breakpoint, struct span control)
{
    const struct span ttl = jval_raw(jval_get(control, "ttl"));
    const bool hour = ttl.p && jraw_is(ttl, "1h");

    if (reading_is_null(breakpoint) && reading_is_null(control))
        return;
    *(hour ? &p->chat->cache_1h : &p->chat->cache_5m) = true;
    if (cache)
        *cache = hour ? CACHE_1H : CACHE_5M;
}

/* A kind that OpenAI or a host alone has, or that is newer than we are: it passes to a host of the dialect. */
static bool take_foreign(struct openai_parse *p, struct span json, struct chat_item **out)
{
    struct chat_item *item = add(p, ITEM_FOREIGN);

    if (!item)
        return false;
    item->json = json;
    p->chat->text_bytes += json.n;
    *out = item;
    return openai_foreign_here(p, "", FOREIGN_MEANS);
}

/* Mistral's {"type":"thinking","thinking":[{"type":"text","text":...}]}: it wants the block back as it was. */
static bool take_thinking(struct openai_parse *p, struct span part, struct chat_item **out)
{
    const struct span thinking = jval_get(part, "thinking");
    struct chat_item *item = add(p, ITEM_REASONING);
    struct span raw = jval_raw(thinking);

    if (!item)
        return false;
    for (struct jiter it = jiter_begin(thinking); !raw.p && jiter_next(&it);)
        raw = jval_raw(jval_get(it.value, "text"));
    item->text = raw.p ? raw : SPAN_LIT("");
    item->json = part;
    p->chat->text_bytes += part.n;
    *out = item;
    return true;
}

enum { P_TYPE, P_TEXT, P_IMAGE, P_AUDIO, P_FILE, P_REFUSAL, P_BREAKPOINT, P_CACHE, P_MEMBERS };

static bool take_part_of_kind(struct openai_parse *p, struct span part, const struct span m[P_MEMBERS], struct chat_item **out)
{
    const struct span type = jval_raw(m[P_TYPE]);

    if (!type.p)
        return reading_want(&p->r, "type", "must name the kind of part, such as \"text\"");
    if (jraw_is(type, "text"))
        return jval_type(m[P_TEXT]) == JTYPE_STRING ? take_text(p, m[P_TEXT], ITEM_TEXT, out)
                                                    : reading_want(&p->r, "text", "must be a string");
    if (jraw_is(type, "image_url"))
        return take_image(p, m[P_IMAGE], out);
    if (jraw_is(type, "input_audio"))
        return take_audio(p, m[P_AUDIO], out);
    if (jraw_is(type, "file"))
        return take_file(p, m[P_FILE], out);
    if (jraw_is(type, "refusal"))
        return jval_type(m[P_REFUSAL]) == JTYPE_STRING ? take_text(p, m[P_REFUSAL], ITEM_REFUSAL, out)
                                                       : reading_want(&p->r, "refusal", "must be a string");
    if (jraw_is(type, "thinking") && p->r.role == ROLE_ASSISTANT)
        return take_thinking(p, part, out);
    return take_foreign(p, part, out);
}

/* In one pass over the part, which may be a picture of many megabytes. */
static bool take_part(struct openai_parse *p, struct span part)
{
    static const char *const names[P_MEMBERS] = { "type",    "text",                    "image_url",    "input_audio", "file",
                                                  "refusal", "prompt_cache_breakpoint", "cache_control" };
    struct chat_item *item = NULL;
    struct span m[P_MEMBERS];

    if (jval_type(part) != JTYPE_OBJECT)
        return reading_want(&p->r, "", "must be an object with a \"type\"");
    jval_members(part, names, P_MEMBERS, m);
    if (!take_part_of_kind(p, part, m, &item))
        return false;
    openai_mark(p, item ? &item->cache : NULL, m[P_BREAKPOINT], m[P_CACHE]);
    return true;
}

static bool take_content(struct openai_parse *p, struct span content)
{
    size_t i = 0;

    if (jval_type(content) == JTYPE_STRING)
        return take_text(p, content, ITEM_TEXT, NULL);
    for (struct jiter it = jiter_begin(content); jiter_next(&it); i++) {
        const size_t back = reading_enter_list(&p->r, ".content", i);

        if (!take_part(p, it.value))
            return false;
        reading_leave(&p->r, back);
    }
    return i > 0 || reading_want(&p->r, "content", "must not be an empty list");
}

/* ---- messages ---- */

static bool take_call(struct openai_parse *p, struct span json)
{
    static const char *const names[] = { "id", "type", "function", "custom" }, *const inner[] = { "name", "arguments", "input" };
    struct span m[4], f[3];
    struct chat_item *item;
    bool custom;

    if (jval_type(json) != JTYPE_OBJECT)
        return reading_want(&p->r, "", "must be an object");
    jval_members(json, names, 4, m);
    custom = jval_type(m[3]) == JTYPE_OBJECT && jval_type(m[2]) != JTYPE_OBJECT;
    if (jval_type(m[0]) != JTYPE_STRING)
        return reading_want(&p->r, "id", "must be a string");
    if (!custom && jval_type(m[2]) != JTYPE_OBJECT)
        return reading_want(&p->r, "function", "must be an object with \"name\" and \"arguments\"");
    jval_members(m[custom ? 3 : 2], inner, 3, f);
    item = add(p, ITEM_CALL);
    if (!item || !reading_name(&p->r, "id", m[0], 512, &item->call.id) ||
        !reading_name(&p->r, custom ? "custom.name" : "function.name", f[0], 256, &item->call.name))
        return false;
    if (item->call.name.n == 0)
        return reading_want(&p->r, custom ? "custom.name" : "function.name", "must be the name of a tool");
    if (!reading_raw(&p->r, custom ? "custom.input" : "function.arguments", f[custom ? 2 : 1], &item->call.arguments_raw))
        return false;
    item->call.custom = custom;
    p->chat->text_bytes += json.n;
    return true;
}

static bool take_calls(struct openai_parse *p, struct span calls)
{
    size_t i = 0;

    if (reading_is_null(calls))
        return true;
    if (jval_type(calls) != JTYPE_ARRAY)
        return reading_want(&p->r, "tool_calls", "must be a list");
    for (struct jiter it = jiter_begin(calls); jiter_next(&it); i++) {
        const size_t back = reading_enter_list(&p->r, ".tool_calls", i);

        if (!take_call(p, it.value))
            return false;
        reading_leave(&p->r, back);
    }
    p->places->calls |= i > 0;
    p->results |= i > 0;
    return true;
}

enum { S_ROLE, S_CONTENT, S_CALLS, S_CALL_ID, S_NAME, S_REFUSAL, S_REASONING_CONTENT, S_REASONING, S_AUDIO, S_FUNCTION_CALL,
       S_CACHE, S_MEMBERS };

/* Hosts that show their reasoning want it back under the name they gave it. */
static bool take_reasoning(struct openai_parse *p, struct span value)
{
    struct chat_item *item;

    if (jval_type(value) != JTYPE_STRING)
        return true;
    p->thinking_keys = p->places->reasoning = true;
    p->chat->text_bytes += jval_raw(value).n;
    item = add(p, ITEM_REASONING);
    if (!item)
        return false;
    item->text = jval_raw(value);
    item->family = FAMILY_DEEPSEEK;
    return true;
}

static bool parse_assistant(struct openai_parse *p, const struct span m[S_MEMBERS], struct span message)
{
    struct chat_item *item;

    if (!take_reasoning(p, m[S_REASONING_CONTENT].p ? m[S_REASONING_CONTENT] : m[S_REASONING]))
        return false;
    if (jval_type(m[S_CONTENT]) == JTYPE_STRING || jval_type(m[S_CONTENT]) == JTYPE_ARRAY) {
        if (!take_content(p, m[S_CONTENT]))
            return false;
    } else if (!reading_is_null(m[S_CONTENT])) {
        return reading_want(&p->r, "content", "must be a string or a list of parts");
    }
    if (jval_type(m[S_REFUSAL]) == JTYPE_STRING && !take_text(p, m[S_REFUSAL], ITEM_REFUSAL, NULL))
        return false;
    if (jval_type(m[S_AUDIO]) == JTYPE_OBJECT || jval_type(m[S_FUNCTION_CALL]) == JTYPE_OBJECT)
        if (!take_foreign(p, message, &item))    /* spoken answers by id, and calls as of 2023 */
            return false;
    return take_calls(p, m[S_CALLS]);
}

static bool parse_result(struct openai_parse *p, const struct span m[S_MEMBERS])
{
    struct chat_item *item;
    bool ok;

    if (jval_type(m[S_CALL_ID]) != JTYPE_STRING)
        return reading_want(&p->r, "tool_call_id", "must be the id of the tool call that this message answers");
    if (p->place != AFTER_CALLS)
        return reading_want(&p->r, "role", "a message with role \"tool\" must follow the message whose \"tool_calls\" it answers");
    if (jval_type(m[S_CONTENT]) != JTYPE_STRING && jval_type(m[S_CONTENT]) != JTYPE_ARRAY)
        return reading_want(&p->r, "content", "must be a string or a list of parts");
    item = add(p, ITEM_RESULT);
    if (!item || !reading_name(&p->r, "tool_call_id", m[S_CALL_ID], 512, &item->result.id) ||
        !reading_name(&p->r, "name", m[S_NAME], 256, &item->result.name))
        return false;
    p->result = item;
    ok = take_content(p, m[S_CONTENT]);
    p->result = NULL;
    openai_mark(p, &item->cache, SPAN_NONE, m[S_CACHE]);
    return ok;
}

enum says_role { SAYS_UNKNOWN, SAYS_SYSTEM, SAYS_DEVELOPER, SAYS_USER, SAYS_ASSISTANT, SAYS_TOOL, SAYS_FUNCTION };

static enum says_role role_of(struct span raw)
{
    static const struct { const char *word; enum says_role role; } words[] = {
        { "user", SAYS_USER }, { "assistant", SAYS_ASSISTANT }, { "system", SAYS_SYSTEM },
        { "tool", SAYS_TOOL }, { "developer", SAYS_DEVELOPER }, { "function", SAYS_FUNCTION },
    };

    for (size_t i = 0; raw.p && i < sizeof words / sizeof words[0]; i++)
        if (jraw_is(raw, words[i].word))
            return words[i].role;
    return SAYS_UNKNOWN;
}

/* Results that follow each other are one turn. */
static bool begin_turn(struct openai_parse *p, enum says_role role)
{
    const enum chat_role as = role == SAYS_ASSISTANT ? ROLE_ASSISTANT
                              : role == SAYS_SYSTEM || role == SAYS_DEVELOPER ? ROLE_SYSTEM : ROLE_USER;

    p->r.role = as;
    if (role == SAYS_TOOL && p->turn && p->turn->items && p->turn->items->kind == ITEM_RESULT)
        return true;
    p->turn = chat_add_turn(p->chat, p->arena, as);
    if (!p->turn)
        return reading_no_memory(&p->r);
    p->turn->developer = role == SAYS_DEVELOPER;
    p->places->developer |= role == SAYS_DEVELOPER;
    return true;
}

static bool parse_as(struct openai_parse *p, enum says_role role, const struct span m[S_MEMBERS], struct span message)
{
    struct chat_item *item;

    switch (role) {
    case SAYS_ASSISTANT:
        return parse_assistant(p, m, message);
    case SAYS_TOOL:
        p->results = true;
        return parse_result(p, m);
    case SAYS_FUNCTION:
        if (!reading_is_null(m[S_CONTENT]) && jval_type(m[S_CONTENT]) != JTYPE_STRING)
            return reading_want(&p->r, "content", "must be a string");
        return take_foreign(p, message, &item);
    default:
        if (jval_type(m[S_CONTENT]) == JTYPE_STRING || jval_type(m[S_CONTENT]) == JTYPE_ARRAY)
            return take_content(p, m[S_CONTENT]);
        return reading_want(&p->r, "content", "must be a string or a list of parts");
    }
}

static bool parse_message(struct openai_parse *p, struct span message, size_t *user_turns)
{
    static const char *const names[S_MEMBERS] = { "role",      "content",       "tool_calls",   "tool_call_id",
                                                  "name",      "refusal",       "reasoning_content", "reasoning",
                                                  "audio",     "function_call", "cache_control" };
    struct span m[S_MEMBERS], raw = SPAN_NONE;
    enum says_role role;

    if (jval_type(message) != JTYPE_OBJECT)
        return reading_want(&p->r, "", "must be an object with \"role\" and \"content\"");
    jval_members(message, names, S_MEMBERS, m);
    role = role_of(jval_raw(m[S_ROLE]));
    if (role == SAYS_UNKNOWN)
        return reading_want(&p->r, "role", "must be one of system, developer, user, assistant, tool");
    if (!reading_raw(&p->r, "name", m[S_NAME], &raw) || !begin_turn(p, role))
        return false;
    if (role != SAYS_TOOL)
        p->turn->name_raw = raw;
    *user_turns += role == SAYS_USER;
    if (!parse_as(p, role, m, message))
        return false;
    if (role != SAYS_TOOL)
        openai_mark(p, p->turn->last ? &p->turn->last->cache : NULL, SPAN_NONE, m[S_CACHE]);
    if (role == SAYS_ASSISTANT)
        p->place = p->turn->last && p->turn->last->kind == ITEM_CALL ? AFTER_CALLS : AFTER_OTHER;
    else if (role != SAYS_TOOL)
        p->place = AFTER_OTHER;
    return true;
}

bool openai_parse_messages(struct openai_parse *p, struct span messages)
{
    size_t i = 0, user_turns = 0;

    if (!messages.p)
        return reading_missing(&p->r, "messages");
    if (jval_type(messages) != JTYPE_ARRAY)
        return reading_want(&p->r, "messages", "must be a list of messages");
    for (struct jiter it = jiter_begin(messages); jiter_next(&it); i++) {
        const size_t back = reading_enter_list(&p->r, "messages", i);

        if (!parse_message(p, it.value, &user_turns))
            return false;
        reading_leave(&p->r, back);
    }
    p->chat->n_messages = i;
    p->chat->n_user_turns = user_turns;
    if (i == 0)
        return reading_want(&p->r, "messages", "must hold at least one message");
    return !p->results || chat_check_results(p->chat, "messages", p->r.spec->fault);
}
