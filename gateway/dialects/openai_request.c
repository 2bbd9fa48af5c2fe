/* openai_request.c - reads and checks a Chat Completions request by spans, in one pass, into the neutral form.
 *
 * Copies no text: only names and ids with escapes go into the arena. Does not decide anything: what a field means for routing
 * is features.c's business, what a host cannot take is openai_body.c's. */
#include <stdio.h>

#include "base/base64.h"
#include "gateway/dialects/openai.h"
#include "gateway/dialects/reading.h"

#define TOOLS_MAX 128          /* functions and custom tools of one request, as OpenAI allows */
#define UNKNOWN_MAX 64         /* members that nobody knows: so many are named in a warning */

enum place { AFTER_OTHER, AFTER_CALLS };    /* of a message: may a tool's result stand here? */

struct parse {
    struct reading r;
    struct chat *chat;
    struct arena *arena;
    struct openai_places *places;
    struct chat_turn *turn;            /* being read */
    struct chat_item *result;          /* of a tool, being read; NULL: items go to the turn */
    enum place place;
    bool results;                      /* there are calls or results: their order is to be checked */
    bool thinking_keys;                /* the caller knows DeepSeek's keys: it can be shown the reasoning */
    bool audio_out;
    size_t unknown;
};

/* ---- members by name ---- */

/* `says`: what it is to a dialect that lacks it. HANDLED: it has a place in the neutral form, or is looked at below. */
enum says { HANDLED, TUNES, MEANS, SILENT };

#define NAMED(text) .name = { text, sizeof text - 1 }
static const struct { struct span name; enum says says; } members[OPENAI_MEMBERS] = {
    [OPENAI_MODEL] = { NAMED("model"), HANDLED },
    [OPENAI_MESSAGES] = { NAMED("messages"), HANDLED },
    [OPENAI_STREAM] = { NAMED("stream"), HANDLED },
    [OPENAI_MAX_TOKENS] = { NAMED("max_tokens"), HANDLED },
    [OPENAI_TEMPERATURE] = { NAMED("temperature"), HANDLED },
    [OPENAI_TOOLS] = { NAMED("tools"), HANDLED },
    [OPENAI_TOP_P] = { NAMED("top_p"), HANDLED },
    [OPENAI_STREAM_OPTIONS] = { NAMED("stream_options"), HANDLED },
    [OPENAI_MAX_COMPLETION_TOKENS] = { NAMED("max_completion_tokens"), HANDLED },
    [OPENAI_TOOL_CHOICE] = { NAMED("tool_choice"), HANDLED },
    [OPENAI_STOP] = { NAMED("stop"), HANDLED },
    [OPENAI_N] = { NAMED("n"), HANDLED },
    [OPENAI_USER] = { NAMED("user"), HANDLED },
    [OPENAI_RESPONSE_FORMAT] = { NAMED("response_format"), HANDLED },
    [OPENAI_REASONING_EFFORT] = { NAMED("reasoning_effort"), HANDLED },
    [OPENAI_PARALLEL_TOOL_CALLS] = { NAMED("parallel_tool_calls"), HANDLED },
    [OPENAI_PRESENCE_PENALTY] = { NAMED("presence_penalty"), HANDLED },
    [OPENAI_FREQUENCY_PENALTY] = { NAMED("frequency_penalty"), HANDLED },
    [OPENAI_SEED] = { NAMED("seed"), HANDLED },
    [OPENAI_LOGPROBS] = { NAMED("logprobs"), HANDLED },
    [OPENAI_TOP_LOGPROBS] = { NAMED("top_logprobs"), HANDLED },
    [OPENAI_LOGIT_BIAS] = { NAMED("logit_bias"), HANDLED },
    [OPENAI_METADATA] = { NAMED("metadata"), HANDLED },
    [OPENAI_STORE] = { NAMED("store"), HANDLED },
    [OPENAI_SERVICE_TIER] = { NAMED("service_tier"), HANDLED },
    [OPENAI_VERBOSITY] = { NAMED("verbosity"), HANDLED },
    [OPENAI_SAFETY_IDENTIFIER] = { NAMED("safety_identifier"), HANDLED },
    [OPENAI_PROMPT_CACHE_KEY] = { NAMED("prompt_cache_key"), HANDLED },
    [OPENAI_PROMPT_CACHE_OPTIONS] = { NAMED("prompt_cache_options"), SILENT },
    [OPENAI_PROMPT_CACHE_RETENTION] = { NAMED("prompt_cache_retention"), SILENT },
    [OPENAI_MODALITIES] = { NAMED("modalities"), HANDLED },
    [OPENAI_AUDIO] = { NAMED("audio"), HANDLED },
    [OPENAI_PREDICTION] = { NAMED("prediction"), TUNES },
    [OPENAI_MODERATION] = { NAMED("moderation"), TUNES },
    [OPENAI_WEB_SEARCH_OPTIONS] = { NAMED("web_search_options"), MEANS },
    [OPENAI_FUNCTIONS] = { NAMED("functions"), MEANS },
    [OPENAI_FUNCTION_CALL] = { NAMED("function_call"), MEANS },
    [OPENAI_TOP_K] = { NAMED("top_k"), HANDLED },
    [OPENAI_THINKING] = { NAMED("thinking"), HANDLED },
    [OPENAI_REASONING] = { NAMED("reasoning"), HANDLED },
    [OPENAI_INCLUDE_REASONING] = { NAMED("include_reasoning"), HANDLED },
};

enum openai_member openai_member_of(struct span key)
{
    const bool escaped = key.n && memchr(key.p, '\\', key.n) != NULL;

    for (unsigned m = 0; m < OPENAI_MEMBERS; m++)
        if (escaped ? jraw_is(key, members[m].name.p) : span_eq(key, members[m].name))
            return (enum openai_member)m;
    return OPENAI_MEMBERS;
}

const char *openai_member_name(enum openai_member m)
{
    return members[m].name.p;
}

bool openai_member_means(enum openai_member m)
{
    return members[m].says == MEANS;
}

static bool foreign(struct parse *p, struct span name, enum foreign_kind kind)
{
    return chat_add_foreign(p->chat, p->arena, name, kind) || reading_no_memory(&p->r);
}

/* A member of the place where we are. */
static bool foreign_here(struct parse *p, const char *field, enum foreign_kind kind)
{
    char name[200];
    const int n = snprintf(name, sizeof name, "%s%s%s", p->r.at, field[0] ? "." : "", field);

    return foreign(p, (struct span){ name, n < (int)sizeof name ? (size_t)n : sizeof name - 1 }, kind);
}

/* ---- items ---- */

static struct chat_item *add(struct parse *p, enum item_kind kind)
{
    struct chat_item *item = p->result ? chat_add_part(p->chat, p->result, p->arena, kind)
                                       : chat_add_item(p->chat, p->turn, p->arena, kind);

    if (!item)
        reading_no_memory(&p->r);
    return item;
}

/* What tools said is counted and not shown: the user did not write it. An empty text is no item. */
static bool take_text(struct parse *p, struct span value, enum item_kind kind, struct chat_item **out)
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

static bool take_image(struct parse *p, struct span image, struct chat_item **out)
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

static bool take_audio(struct parse *p, struct span audio, struct chat_item **out)
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
    return !format.n || item->media.type.p || reading_no_memory(&p->r);
}

/* {file_data, filename} or {file_id}. The data are a data: URL; some clients send the base64 alone. */
static bool take_file(struct parse *p, struct span file, struct chat_item **out)
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

static void mark(struct parse *p, struct chat_item *item, struct span breakpoint, struct span control)
{
    const struct span ttl = jval_raw(jval_get(control, "ttl"));
    const bool hour = ttl.p && jraw_is(ttl, "1h");

    if (reading_is_null(breakpoint) && reading_is_null(control))
        return;
    *(hour ? &p->chat->cache_1h : &p->chat->cache_5m) = true;
    if (item)
        item->cache = hour ? CACHE_1H : CACHE_5M;
}

/* A kind that OpenAI or a host alone has, or that is newer than we are: it passes to a host of the dialect. */
static bool take_foreign(struct parse *p, struct span json, struct chat_item **out)
{
    struct chat_item *item = add(p, ITEM_FOREIGN);

    if (!item)
        return false;
    item->json = json;
    p->chat->text_bytes += json.n;
    *out = item;
    return foreign_here(p, "", FOREIGN_MEANS);
}

/* Mistral's {"type":"thinking","thinking":[{"type":"text","text":...}]}: it wants the block back as it was. */
static bool take_thinking(struct parse *p, struct span part, struct chat_item **out)
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

static bool take_part_of_kind(struct parse *p, struct span part, const struct span m[P_MEMBERS], struct chat_item **out)
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
static bool take_part(struct parse *p, struct span part)
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
    mark(p, item, m[P_BREAKPOINT], m[P_CACHE]);
    return true;
}

static bool take_content(struct parse *p, struct span content)
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

static bool take_call(struct parse *p, struct span json)
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

static bool take_calls(struct parse *p, struct span calls)
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
static bool take_reasoning(struct parse *p, struct span value)
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

static bool parse_assistant(struct parse *p, const struct span m[S_MEMBERS], struct span message)
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

static bool parse_result(struct parse *p, const struct span m[S_MEMBERS])
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
    mark(p, item, SPAN_NONE, m[S_CACHE]);
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
static bool begin_turn(struct parse *p, enum says_role role)
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

static bool parse_as(struct parse *p, enum says_role role, const struct span m[S_MEMBERS], struct span message)
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

static bool parse_message(struct parse *p, struct span message, size_t *user_turns)
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
        mark(p, p->turn->last, SPAN_NONE, m[S_CACHE]);
    if (role == SAYS_ASSISTANT)
        p->place = p->turn->last && p->turn->last->kind == ITEM_CALL ? AFTER_CALLS : AFTER_OTHER;
    else if (role != SAYS_TOOL)
        p->place = AFTER_OTHER;
    return true;
}

static bool parse_messages(struct parse *p, struct span messages)
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

/* ---- tools ---- */

/* `in`: the member of the tool that is `body`; "" for a bare function. */
static bool parse_function(struct parse *p, struct span json, const char *in, struct span body, bool custom, struct chat_tool *t)
{
    static const char *const names[] = { "name", "description", "parameters", "strict", "format" };
    struct span m[5];
    size_t back;

    if (jval_type(body) != JTYPE_OBJECT)
        return reading_want(&p->r, in, "must be an object");
    back = strlen(p->r.at);
    if (in[0])
        reading_enter(&p->r, ".%s", in);
    jval_members(body, names, 5, m);
    *t = (struct chat_tool){ .kind = custom ? TOOL_CUSTOM : TOOL_FUNCTION, .json = json };
    if (!reading_name(&p->r, "name", m[0], 256, &t->name))
        return false;
    if (t->name.n == 0)
        return reading_want(&p->r, "name", "must be a name");
    if (!reading_raw(&p->r, "description", m[1], &t->description_raw) ||
        !reading_type(&p->r, "parameters", m[2], JTYPE_OBJECT, "must be a JSON Schema object") ||
        !reading_bool(&p->r, "strict", m[3], &t->strict) ||
        !reading_type(&p->r, "format", m[4], JTYPE_OBJECT, "must be an object with a \"type\""))
        return false;
    if (!custom && !reading_is_null(m[2]))
        t->schema_json = m[2];
    if (custom && !reading_is_null(m[4]))
        t->format_json = m[4];
    reading_leave(&p->r, back);
    return true;
}

static bool parse_tool(struct parse *p, struct span tool, struct chat_tool *t)
{
    static const char *const names[] = { "type", "cache_control", "function", "custom" };
    struct span m[4], type;
    bool custom;

    if (jval_type(tool) != JTYPE_OBJECT)
        return reading_want(&p->r, "", "must be an object");
    jval_members(tool, names, 4, m);
    type = jval_raw(m[0]);
    if (!type.p)
        return reading_want(&p->r, "type", "must be \"function\" or \"custom\"");
    p->chat->tool_bytes += tool.n;
    custom = jraw_is(type, "custom");
    if (custom || jraw_is(type, "function")) {
        if (!parse_function(p, tool, custom ? "custom" : "function", m[custom ? 3 : 2], custom, t))
            return false;
    } else {    /* a host's own tool: it passes, and offers no name to check calls by */
        *t = (struct chat_tool){ .kind = TOOL_SERVER, .json = tool };
        if (!reading_name(&p->r, "type", m[0], 128, &t->name) || !foreign_here(p, "", FOREIGN_MEANS))
            return false;
    }
    if (!reading_is_null(m[1])) {
        struct chat_item marked = { .cache = CACHE_NONE };

        mark(p, &marked, SPAN_NONE, m[1]);
        t->cache = marked.cache;
    }
    return true;
}

static bool more_tools(struct parse *p, size_t *room)
{
    struct chat_tool *more = ARENA_ARRAY(p->arena, struct chat_tool, *room ? 4 * *room : 8);

    if (!more)
        return false;
    if (*room)
        memcpy(more, p->chat->tools, *room * sizeof *more);
    p->chat->tools = more;
    *room = *room ? 4 * *room : 8;
    return true;
}

/* `functions` of 2023 are bare functions; they pass, and are known to the checks. */
static bool parse_tools(struct parse *p, const char *field, struct span tools)
{
    struct chat_tool *t;
    size_t room = 0;

    if (reading_is_null(tools))
        return true;
    if (jval_type(tools) != JTYPE_ARRAY)
        return reading_want(&p->r, field, "must be a list");
    p->chat->n_tools = 0;
    for (struct jiter it = jiter_begin(tools); jiter_next(&it);) {
        size_t back;

        if (p->chat->n_tools == TOOLS_MAX)
            return reading_want(&p->r, field, "must hold at most 128 tools");
        if (p->chat->n_tools == room && !more_tools(p, &room))
            return reading_no_memory(&p->r);
        back = reading_enter_list(&p->r, field, p->chat->n_tools);
        t = &p->chat->tools[p->chat->n_tools];
        if (field[0] == 't' ? !parse_tool(p, it.value, t) : !parse_function(p, it.value, "", it.value, false, t))
            return false;
        reading_leave(&p->r, back);
        p->chat->n_tools++;
    }
    return true;
}

/* The name in {"type":"function","function":{"name"}}, in {"type":"custom",...}, or flat as some clients write it. */
static bool named_tool(struct parse *p, struct span v, struct span *out)
{
    const struct span type = jval_raw(jval_get(v, "type"));
    const bool custom = type.p && jraw_is(type, "custom");
    const struct span body = jval_get(v, custom ? "custom" : "function");
    const struct span name = jval_get(body.p ? body : v, "name");

    *out = SPAN_NONE;
    if (jval_type(name) != JTYPE_STRING)
        return reading_want(&p->r, "tool_choice", "must name a tool, as in {\"type\":\"function\",\"function\":{\"name\":\"f\"}}");
    return reading_name(&p->r, "tool_choice", name, 256, out);
}

static bool parse_allowed(struct parse *p, struct span v)
{
    const struct span allowed = jval_get(v, "allowed_tools"), from = jval_type(allowed) == JTYPE_OBJECT ? allowed : v;
    const struct span tools = jval_get(from, "tools"), mode = jval_raw(jval_get(from, "mode"));
    size_t n = 0;

    if (jval_type(tools) != JTYPE_ARRAY)
        return reading_want(&p->r, "tool_choice.allowed_tools.tools", "must be a list of tools");
    for (struct jiter it = jiter_begin(tools); n <= TOOLS_MAX && jiter_next(&it);)
        n++;
    if (n == 0 || n > TOOLS_MAX)
        return reading_want(&p->r, "tool_choice.allowed_tools.tools", "must hold 1 to 128 tools");
    p->chat->choice_names = ARENA_ARRAY(p->arena, struct span, n);
    if (!p->chat->choice_names)
        return reading_no_memory(&p->r);
    for (struct jiter it = jiter_begin(tools); jiter_next(&it);)
        if (!named_tool(p, it.value, &p->chat->choice_names[p->chat->n_choice_names++]))
            return false;
    p->chat->choice = CHOICE_ALLOWED;
    p->chat->choice_any = mode.p && jraw_is(mode, "required");
    return true;
}

static bool parse_choice_object(struct parse *p, struct span v)
{
    static const char *const words[] = { "function", "custom", "allowed_tools", NULL };
    const int which = reading_word(jval_get(v, "type"), words);

    if (which < 0)    /* of a host's own tool, or newer than we are */
        return foreign(p, SPAN_LIT("tool_choice"), FOREIGN_MEANS);
    if (which == 2)
        return parse_allowed(p, v);
    p->chat->choice = CHOICE_NAMED;
    p->chat->choice_names = ARENA_NEW(p->arena, struct span);
    p->chat->n_choice_names = 1;
    if (!p->chat->choice_names)
        return reading_no_memory(&p->r);
    return named_tool(p, v, p->chat->choice_names);
}

static bool parse_tool_choice(struct parse *p, struct span v)
{
    static const char *const words[] = { "none", "auto", "required", "any", NULL };
    static const enum tool_choice choices[] = { CHOICE_NONE, CHOICE_AUTO, CHOICE_ANY, CHOICE_ANY };
    const int which = reading_word(v, words);

    if (reading_is_null(v))
        return true;
    if (jval_type(v) == JTYPE_OBJECT)
        return parse_choice_object(p, v);
    if (which < 0)
        return reading_want(&p->r, "tool_choice", "must be \"none\", \"auto\", \"required\" or an object that names a tool");
    p->chat->choice = choices[which];
    return true;
}

/* ---- the other members ---- */

static bool parse_stop(struct parse *p, struct span v)
{
    struct chat *c = p->chat;

    if (reading_is_null(v))
        return true;
    if (jval_type(v) == JTYPE_STRING) {
        c->stops_raw[c->n_stops++] = jval_raw(v);
        return true;
    }
    if (jval_type(v) != JTYPE_ARRAY)
        return reading_want(&p->r, "stop", "must be a string or a list of strings");
    for (struct jiter it = jiter_begin(v); jiter_next(&it);) {
        if (jval_type(it.value) != JTYPE_STRING || c->n_stops == CHAT_STOPS_MAX)
            return reading_want(&p->r, "stop", "must be a string or a list of at most 16 strings");
        c->stops_raw[c->n_stops++] = jval_raw(it.value);
    }
    return true;
}

static bool parse_schema(struct parse *p, struct span schema)
{
    static const char *const names[] = { "name", "schema", "description", "strict" };
    const char *const in = "response_format.json_schema";
    struct chat *c = p->chat;
    struct span m[4];
    size_t back;

    if (jval_type(schema) != JTYPE_OBJECT || jval_type(jval_get(schema, "name")) != JTYPE_STRING)
        return reading_want(&p->r, in, "must be an object with \"name\" and \"schema\"");
    jval_members(schema, names, 4, m);
    back = reading_enter(&p->r, "%s", in);
    if (!reading_type(&p->r, "schema", m[1], JTYPE_OBJECT, "must be a JSON Schema object") ||
        !reading_raw(&p->r, "description", m[2], &c->schema_description_raw) || !reading_bool(&p->r, "strict", m[3], &c->schema_strict))
        return false;
    reading_leave(&p->r, back);
    c->format = FORMAT_SCHEMA;
    c->schema_name_raw = jval_raw(m[0]);
    c->schema_json = reading_is_null(m[1]) ? SPAN_NONE : m[1];
    c->text_bytes += schema.n;
    return true;
}

static bool parse_response_format(struct parse *p, struct span v)
{
    static const char *const words[] = { "text", "json_object", "json_schema", NULL };
    const struct span type = jval_get(v, "type");
    const int which = reading_word(type, words);

    if (reading_is_null(v))
        return true;
    if (jval_type(v) != JTYPE_OBJECT || jval_type(type) != JTYPE_STRING)
        return reading_want(&p->r, "response_format", "must be an object with a \"type\"");
    if (which < 0)
        return reading_want(&p->r, "response_format.type", "must be \"text\", \"json_object\" or \"json_schema\"");
    if (which == 2)
        return parse_schema(p, jval_get(v, "json_schema"));
    p->chat->format = which == 1 ? FORMAT_JSON : FORMAT_TEXT;
    return true;
}

static bool parse_stream_options(struct parse *p, struct span v)
{
    enum tri usage = TRI_UNSET;

    if (!reading_type(&p->r, "stream_options", v, JTYPE_OBJECT, "must be an object") ||
        !reading_bool(&p->r, "stream_options.include_usage", jval_get(v, "include_usage"), &usage))
        return false;
    p->chat->usage_asked = usage == TRI_YES;
    return true;
}

static bool parse_logit_bias(struct parse *p, struct span v)
{
    double x;

    if (reading_is_null(v))
        return true;
    if (jval_type(v) != JTYPE_OBJECT)
        return reading_want(&p->r, "logit_bias", "must be an object of token ids and numbers");
    for (struct jiter it = jiter_begin(v); jiter_next(&it);)
        if (jval_type(it.value) != JTYPE_NUMBER || !jval_double(it.value, &x) || x < -100 || x > 100)
            return reading_want(&p->r, "logit_bias", "must hold numbers from -100 to 100");
    p->chat->logit_bias_json = v;
    return true;
}

/* Of two caps, which OpenAI refuses and hosts take, the smaller bounds the cost; both pass. */
static bool parse_cap(struct parse *p, const char *field, struct span v)
{
    struct chat *c = p->chat;
    int64_t cap = 0;

    if (!reading_int(&p->r, field, v, 1, 1000000000, &cap))
        return false;
    if (cap && (!c->max_tokens || cap < c->max_tokens))
        c->max_tokens = cap;
    return true;
}

static enum effort effort_of(struct span v)
{
    static const char *const words[] = { "none", "minimal", "low", "medium", "high", "xhigh", "max", NULL };
    const int which = reading_word(v, words);

    return which < 0 ? EFFORT_UNSET : (enum effort)(EFFORT_OFF + which);
}

static bool parse_effort(struct parse *p, struct span v)
{
    if (!reading_type(&p->r, "reasoning_effort", v, JTYPE_STRING, "must be a string such as \"low\" or \"high\""))
        return false;
    if (reading_is_null(v))
        return true;
    p->chat->effort = effort_of(v);
    return p->chat->effort != EFFORT_UNSET || foreign(p, SPAN_LIT("reasoning_effort"), FOREIGN_TUNES);
}

/* After the other members: reasoning_effort, wherever it stands, goes before what a switch says. */
static bool settle_thinking(struct parse *p)
{
    const struct span *at = p->places->at;
    const struct span thinking = at[OPENAI_THINKING], reasoning = at[OPENAI_REASONING];
    const struct span type = jval_raw(jval_get(thinking, "type")), enabled = jval_get(reasoning, "enabled");
    struct chat *c = p->chat;
    int64_t budget = 0;

    if (!reading_type(&p->r, "thinking", thinking, JTYPE_OBJECT, "must be an object with a \"type\"") ||
        !reading_type(&p->r, "reasoning", reasoning, JTYPE_OBJECT, "must be an object") ||
        !reading_int(&p->r, "thinking.budget_tokens", jval_get(thinking, "budget_tokens"), 0, 1000000000, &budget) ||
        !reading_int(&p->r, "reasoning.max_tokens", jval_get(reasoning, "max_tokens"), 0, 1000000000, &budget))
        return false;
    if (type.p && jraw_is(type, "disabled"))
        c->effort = EFFORT_OFF;
    if (c->effort == EFFORT_UNSET)
        c->effort = effort_of(jval_get(reasoning, "effort"));
    if (c->effort == EFFORT_UNSET && budget) {
        c->effort = EFFORT_BUDGET;
        c->budget = budget;
    }
    if (c->effort == EFFORT_UNSET && jval_type(enabled) == JTYPE_FALSE)
        c->effort = EFFORT_OFF;
    if (c->effort == EFFORT_UNSET && (type.p || jval_type(enabled) == JTYPE_TRUE))
        c->effort = EFFORT_DYNAMIC;
    if (jval_type(thinking) == JTYPE_OBJECT || jval_type(reasoning) == JTYPE_OBJECT || p->thinking_keys)
        c->show_reasoning = jval_type(jval_get(reasoning, "exclude")) == JTYPE_TRUE ? TRI_NO : TRI_YES;
    return true;
}

static bool parse_modalities(struct parse *p, struct span v)
{
    if (!reading_type(&p->r, "modalities", v, JTYPE_ARRAY, "must be a list of \"text\" and \"audio\""))
        return false;
    for (struct jiter it = jiter_begin(v); jiter_next(&it);)
        if (jval_type(it.value) == JTYPE_STRING && jraw_is(jval_raw(it.value), "audio"))
            p->audio_out = true;
    return !p->audio_out || foreign(p, SPAN_LIT("modalities"), FOREIGN_MEANS);
}

static bool parse_store(struct parse *p, struct span v)
{
    enum tri store = TRI_UNSET;

    return reading_bool(&p->r, "store", v, &store) && (store != TRI_YES || foreign(p, SPAN_LIT("store"), FOREIGN_TUNES));
}

static bool parse_tri(struct parse *p, const char *field, struct span v, bool *out)
{
    enum tri tri = TRI_UNSET;

    if (!reading_bool(&p->r, field, v, &tri))
        return false;
    *out = tri == TRI_YES;
    return true;
}

static bool parse_member(struct parse *p, enum openai_member m, struct span v)
{
    const char *name = openai_member_name(m);
    struct reading *r = &p->r;
    struct chat *c = p->chat;

    switch (m) {
    case OPENAI_MODEL:
        if (jval_type(v) != JTYPE_STRING || jval_raw(v).n == 0 || jval_raw(v).n > 256)
            return reading_want(r, name, "must be the name of a model or route, of at most 256 bytes");
        return reading_name(r, name, v, 256, &c->model);
    case OPENAI_MESSAGES: return parse_messages(p, v);
    case OPENAI_STREAM: return parse_tri(p, name, v, &c->stream);
    case OPENAI_STREAM_OPTIONS: return parse_stream_options(p, v);
    case OPENAI_MAX_TOKENS:
    case OPENAI_MAX_COMPLETION_TOKENS: return parse_cap(p, name, v);
    case OPENAI_TEMPERATURE: return reading_number(r, name, v, 0, 2, &c->temperature_json);
    case OPENAI_TOP_P: return reading_number(r, name, v, 0, 1, &c->top_p_json);
    case OPENAI_PRESENCE_PENALTY: return reading_number(r, name, v, -2, 2, &c->presence_json);
    case OPENAI_FREQUENCY_PENALTY: return reading_number(r, name, v, -2, 2, &c->frequency_json);
    case OPENAI_N: return reading_int(r, name, v, 1, 128, &c->n);
    case OPENAI_SEED:
        c->seed_json = reading_is_null(v) ? SPAN_NONE : v;
        return reading_int(r, name, v, INT64_MIN, INT64_MAX, NULL);
    case OPENAI_TOP_LOGPROBS: return reading_int(r, name, v, 0, 20, &c->top_logprobs);
    case OPENAI_LOGPROBS: return parse_tri(p, name, v, &c->logprobs);
    case OPENAI_PARALLEL_TOOL_CALLS: return reading_bool(r, name, v, &c->parallel);
    case OPENAI_STORE: return parse_store(p, v);
    case OPENAI_STOP: return parse_stop(p, v);
    case OPENAI_RESPONSE_FORMAT: return parse_response_format(p, v);
    case OPENAI_FUNCTIONS:
    case OPENAI_TOOLS: return parse_tools(p, name, v);
    case OPENAI_TOOL_CHOICE: return parse_tool_choice(p, v);
    case OPENAI_LOGIT_BIAS: return parse_logit_bias(p, v);
    case OPENAI_SERVICE_TIER:
        return reading_type(r, name, v, JTYPE_STRING, "must be a string such as \"auto\"") &&
               reading_name(r, name, v, 64, &c->service_tier);
    case OPENAI_SAFETY_IDENTIFIER: return reading_raw(r, name, v, &c->user_raw);
    case OPENAI_USER: return reading_raw(r, name, v, c->user_raw.p ? NULL : &c->user_raw);
    case OPENAI_REASONING_EFFORT: return parse_effort(p, v);
    case OPENAI_METADATA:
        c->metadata_json = reading_is_null(v) ? SPAN_NONE : v;
        return reading_type(r, name, v, JTYPE_OBJECT, "must be an object of strings");
    case OPENAI_VERBOSITY: return reading_raw(r, name, v, &c->verbosity_raw);
    case OPENAI_PROMPT_CACHE_KEY: return reading_raw(r, name, v, &c->cache_key_raw);
    case OPENAI_MODALITIES: return parse_modalities(p, v);
    case OPENAI_TOP_K:
        c->top_k_json = jval_type(v) == JTYPE_NUMBER ? v : SPAN_NONE;
        return true;
    case OPENAI_INCLUDE_REASONING:
        p->thinking_keys |= jval_type(v) == JTYPE_TRUE;
        return true;
    default:
        return true;
    }
}

static bool take_member(struct parse *p, struct span key, struct span v)
{
    const enum openai_member m = openai_member_of(key);
    enum says says;

    if (m == OPENAI_MEMBERS) {
        p->places->unknown = true;
        if (jval_type(v) == JTYPE_NULL || p->unknown++ >= UNKNOWN_MAX)
            return true;
        return foreign(p, key, FOREIGN_TUNES);
    }
    p->places->at[m] = v;
    says = members[m].says;
    if (says != HANDLED && jval_type(v) != JTYPE_NULL &&
        !foreign(p, members[m].name, says == TUNES ? FOREIGN_TUNES : says == MEANS ? FOREIGN_MEANS : FOREIGN_SILENT))
        return false;
    return parse_member(p, m, v);
}

bool openai_parse(struct chat *chat, const struct parse_spec *spec)
{
    struct parse p = { .r = { .chat = chat, .spec = spec }, .chat = chat, .arena = spec->arena };

    if (jval_type(chat->body) != JTYPE_OBJECT)
        return fault_bad(spec->fault, "invalid_json", NULL, "The request body must be a JSON object.");
    chat->places = p.places = ARENA_NEW(spec->arena, struct openai_places);
    if (!p.places)
        return reading_no_memory(&p.r);
    for (struct jiter it = jiter_begin(chat->body); jiter_next(&it);)
        if (!take_member(&p, it.key, it.value))
            return false;
    if (!chat->model.p)
        return reading_missing(&p.r, "model");
    if (!p.places->at[OPENAI_MESSAGES].p)
        return reading_missing(&p.r, "messages");
    if (!chat->stream && !reading_is_null(p.places->at[OPENAI_STREAM_OPTIONS]))
        return reading_want(&p.r, "stream_options", "is only allowed together with \"stream\": true");
    if (!reading_is_null(p.places->at[OPENAI_AUDIO]) && !p.audio_out && !foreign(&p, SPAN_LIT("audio"), FOREIGN_TUNES))
        return false;
    return settle_thinking(&p);
}
