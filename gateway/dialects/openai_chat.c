/* openai_chat.c - reads and checks a Chat Completions request by spans; writes the body of an upstream call.
 *
 * Owns no memory but what it takes from the arena. Does not decide anything: what a field means for routing is
 * features.c's business, what a host cannot take is its quirks'. */
#include "gateway/dialects/openai_chat.h"

#include <stdio.h>

#include "base/jscan.h"

#define TEXT_FOR_FEATURES_MAX 65536u      /* of one string with escapes */
#define PLAIN_FOR_FEATURES_MAX 262144u    /* of one without */
#define TOOLS_MAX 128                     /* functions and custom tools of one request, as OpenAI allows */

struct parse {
    struct chat *chat;
    struct arena *arena;
    struct fault *fault;
    openai_chat_text on_text;
    void *ctx;
    struct span role;        /* of the message being read */
    char *scratch;           /* TEXT_FOR_FEATURES_MAX bytes: the text being shown to on_text */
    char at[128];            /* "messages[2].content[0]": where we are, for faults */
};

/* ---- small checks: each says what would be right ---- */

static bool want(struct parse *p, const char *field, const char *right)
{
    char where[200];

    if (field[0] == '[' || !p->at[0])
        snprintf(where, sizeof where, "%s%s", p->at, field);
    else
        snprintf(where, sizeof where, "%s%s%s", p->at, field[0] ? "." : "", field);
    return fault_bad(p->fault, "invalid_value", where, "Invalid value for '%s': %s.", where, right);
}

static bool out_of_memory(struct parse *p)
{
    return fault_set(p->fault, 503, "server_error", "overloaded", NULL, "The gateway is short of memory.");
}

static bool is_null(struct span v)
{
    return !v.p || jval_type(v) == JTYPE_NULL;
}

static bool is_bool(struct span v)
{
    return jval_type(v) == JTYPE_TRUE || jval_type(v) == JTYPE_FALSE;
}

static bool check_bool(struct parse *p, const char *field, struct span v)
{
    return is_null(v) || is_bool(v) || want(p, field, "must be true or false");
}

static bool check_int(struct parse *p, const char *field, struct span v, int64_t least, int64_t most, int64_t *out)
{
    char right[96];
    int64_t n;

    if (is_null(v))
        return true;
    if (jval_type(v) == JTYPE_NUMBER && jval_int(v, &n) && n >= least && n <= most) {
        if (out)
            *out = n;
        return true;
    }
    if (most == INT64_MAX)
        snprintf(right, sizeof right, "must be a whole number of at least %lld", (long long)least);
    else
        snprintf(right, sizeof right, "must be a whole number from %lld to %lld", (long long)least, (long long)most);
    return want(p, field, right);
}

static bool check_range(struct parse *p, const char *field, struct span v, int least, int most)
{
    char right[64];
    double x;

    if (is_null(v) || (jval_type(v) == JTYPE_NUMBER && jval_double(v, &x) && x >= least && x <= most))
        return true;
    snprintf(right, sizeof right, "must be a number from %d to %d", least, most);
    return want(p, field, right);
}

static bool check_type(struct parse *p, const char *field, struct span v, enum jtype type, const char *right)
{
    return is_null(v) || jval_type(v) == type || want(p, field, right);
}

/* Length of the longest beginning of `raw` within `most` bytes that cuts no escape. */
static size_t whole_escapes(struct span raw, size_t most)
{
    size_t i = 0, unit;

    if (raw.n <= most)
        return raw.n;
    for (;; i += unit) {
        unit = raw.p[i] != '\\' ? 1 : raw.p[i + 1] == 'u' ? 6 : 2;
        if (i + unit > most)
            return i;
    }
}

/* The string's text with its escapes undone; in the arena only when it has any. */
static bool text_of(struct parse *p, struct span value, size_t most, struct span *out)
{
    const struct span raw = jval_raw(value);
    struct span some;
    char *copy;

    if (span_find(raw, '\\') == raw.n) {
        *out = raw;
        return true;
    }
    some = span_first(raw, whole_escapes(raw, most));
    copy = arena_alloc(p->arena, some.n + 1, 1);
    if (!copy)
        return out_of_memory(p);
    *out = (struct span){ copy, jraw_unescape(some, copy) };
    return true;
}

/* Texts are shown, not kept: all of a long conversation, each with its escapes, would fill any arena. */
static bool take_text(struct parse *p, struct span value)
{
    const struct span raw = jval_raw(value), plain = span_first(raw, PLAIN_FOR_FEATURES_MAX);
    const size_t escape = span_find(plain, '\\');
    char small[1024], *out = small;
    struct span whole;

    p->chat->text_bytes += raw.n;
    if (!p->on_text)
        return true;
    if (escape == plain.n || escape >= TEXT_FOR_FEATURES_MAX) {
        p->on_text(p->ctx, p->role, span_first(plain, escape));
        return true;
    }
    whole = span_first(raw, whole_escapes(raw, TEXT_FOR_FEATURES_MAX));
    if (whole.n > sizeof small) {
        if (!p->scratch)
            p->scratch = arena_alloc(p->arena, TEXT_FOR_FEATURES_MAX, 1);
        out = p->scratch;
    }
    if (!out)
        return out_of_memory(p);
    p->on_text(p->ctx, p->role, (struct span){ out, jraw_unescape(whole, out) });
    return true;
}

/* ---- messages ---- */

static bool parse_image(struct parse *p, struct span image)
{
    const struct span url = jval_type(image) == JTYPE_OBJECT ? jval_get(image, "url") : image;

    p->chat->n_images++;
    if (jval_type(url) != JTYPE_STRING || jval_raw(url).n == 0)
        return want(p, "image_url.url", "must be an https or data: URL");
    return true;
}

enum { P_TYPE, P_TEXT, P_IMAGE, P_AUDIO, P_FILE, P_BREAKPOINT, P_CACHE, P_MEMBERS };

/* In one pass over the part, which may be a picture of many megabytes. */
static bool parse_part(struct parse *p, struct span part)
{
    static const char *const names[P_MEMBERS] = { "type",       "text", "image_url",
                                                  "input_audio", "file", "prompt_cache_breakpoint", "cache_control" };
    struct span m[P_MEMBERS], type;

    if (jval_type(part) != JTYPE_OBJECT)
        return want(p, "", "must be an object with a \"type\"");
    jval_members(part, names, P_MEMBERS, m);
    type = jval_raw(m[P_TYPE]);
    if (!type.p)
        return want(p, "type", "must name the kind of part, such as \"text\"");
    if (m[P_BREAKPOINT].p || m[P_CACHE].p)
        p->chat->cache_marks = true;
    if (jraw_is(type, "text"))
        return jval_type(m[P_TEXT]) == JTYPE_STRING ? take_text(p, m[P_TEXT]) : want(p, "text", "must be a string");
    if (jraw_is(type, "image_url"))
        return parse_image(p, m[P_IMAGE]);
    if (jraw_is(type, "input_audio")) {
        const struct span data = jval_get(m[P_AUDIO], "data");

        p->chat->n_audio++;
        p->chat->audio_bytes += jval_raw(data).n / 4 * 3;
        return jval_type(data) == JTYPE_STRING || want(p, "input_audio.data", "must be a base64 string");
    }
    if (jraw_is(type, "file")) {
        p->chat->n_files++;
        p->chat->text_bytes += m[P_FILE].n;
        return jval_type(m[P_FILE]) == JTYPE_OBJECT || want(p, "file", "must be an object");
    }
    p->chat->text_bytes += part.n;    /* "refusal", and kinds that are newer than we are: they pass */
    return true;
}

static bool parse_content(struct parse *p, struct span content)
{
    const size_t back = strlen(p->at);
    size_t i = 0;

    if (jval_type(content) == JTYPE_STRING)
        return take_text(p, content);
    for (struct jiter it = jiter_begin(content); jiter_next(&it); i++) {
        snprintf(p->at + back, sizeof p->at - back, ".content[%zu]", i);
        if (!parse_part(p, it.value))
            return false;
        p->at[back] = '\0';
    }
    return i > 0 || want(p, "content", "must not be an empty list");
}

static bool parse_tool_calls(struct parse *p, struct span calls)
{
    size_t i = 0;

    if (is_null(calls))
        return true;
    if (jval_type(calls) != JTYPE_ARRAY)
        return want(p, "tool_calls", "must be a list");
    for (struct jiter it = jiter_begin(calls); jiter_next(&it); i++) {
        char field[48];

        snprintf(field, sizeof field, "tool_calls[%zu]", i);
        if (jval_type(it.value) != JTYPE_OBJECT)
            return want(p, field, "must be an object");
        snprintf(field, sizeof field, "tool_calls[%zu].id", i);
        if (jval_type(jval_get(it.value, "id")) != JTYPE_STRING)
            return want(p, field, "must be a string");
        p->chat->text_bytes += it.value.n;
    }
    return true;
}

enum role { SAYS_UNKNOWN, SAYS_SYSTEM, SAYS_USER, SAYS_ASSISTANT, SAYS_TOOL };

static enum role role_of(struct span raw)
{
    if (!raw.p)
        return SAYS_UNKNOWN;
    if (jraw_is(raw, "user"))
        return SAYS_USER;
    if (jraw_is(raw, "assistant"))
        return SAYS_ASSISTANT;
    if (jraw_is(raw, "system") || jraw_is(raw, "developer"))
        return SAYS_SYSTEM;
    if (jraw_is(raw, "tool") || jraw_is(raw, "function"))
        return SAYS_TOOL;
    return SAYS_UNKNOWN;
}

static bool parse_message(struct parse *p, struct span message)
{
    static const char *const names[] = { "role", "content", "tool_calls", "tool_call_id", "name" };
    struct span m[5], content;
    enum role role;

    if (jval_type(message) != JTYPE_OBJECT)
        return want(p, "", "must be an object with \"role\" and \"content\"");
    jval_members(message, names, 5, m);
    content = m[1];
    p->role = jval_raw(m[0]);
    role = role_of(p->role);
    if (role == SAYS_UNKNOWN)
        return want(p, "role", "must be one of system, developer, user, assistant, tool");
    if (role == SAYS_USER)
        p->chat->n_user_turns++;
    if (role == SAYS_TOOL && jraw_is(p->role, "tool") && jval_type(m[3]) != JTYPE_STRING)
        return want(p, "tool_call_id", "must be the id of the tool call that this message answers");
    if (!check_type(p, "name", m[4], JTYPE_STRING, "must be a string"))
        return false;
    if (role == SAYS_ASSISTANT && !parse_tool_calls(p, m[2]))
        return false;
    if (jval_type(content) == JTYPE_STRING || jval_type(content) == JTYPE_ARRAY)
        return parse_content(p, content);
    if (is_null(content) && (role == SAYS_ASSISTANT || jraw_is(p->role, "function")))
        return true;    /* an assistant turn of tool calls alone, a refusal, audio */
    return want(p, "content", "must be a string or a list of parts");
}

static bool parse_messages(struct parse *p, struct span messages)
{
    size_t i = 0;

    if (jval_type(messages) != JTYPE_ARRAY)
        return messages.p ? want(p, "messages", "must be a list of messages")
                          : fault_bad(p->fault, "missing_required_parameter", "messages",
                                      "Missing required parameter: 'messages'.");
    for (struct jiter it = jiter_begin(messages); jiter_next(&it); i++) {
        snprintf(p->at, sizeof p->at, "messages[%zu]", i);
        if (!parse_message(p, it.value))
            return false;
    }
    p->at[0] = '\0';
    p->chat->n_messages = i;
    return i > 0 || want(p, "messages", "must hold at least one message");
}

/* ---- tools ---- */

static bool parse_tool(struct parse *p, struct span tool)
{
    const struct span type = jval_raw(jval_get(tool, "type"));
    const bool custom = type.p && jraw_is(type, "custom");
    const struct span body = jval_get(tool, custom ? "custom" : "function");
    const struct span name = jval_get(body, "name");
    struct span text;

    if (jval_type(tool) != JTYPE_OBJECT)
        return want(p, "", "must be an object");
    if (!type.p)
        return want(p, "type", "must be \"function\" or \"custom\"");
    p->chat->tool_bytes += tool.n;
    if (!custom && !jraw_is(type, "function"))
        return true;    /* a host's own tool: it passes, and offers no name to check calls by */
    if (jval_type(body) != JTYPE_OBJECT)
        return want(p, custom ? "custom" : "function", "must be an object");
    if (jval_type(name) != JTYPE_STRING || jval_raw(name).n == 0)
        return want(p, custom ? "custom.name" : "function.name", "must be a name");
    if (!check_type(p, "function.parameters", jval_get(body, "parameters"), JTYPE_OBJECT, "must be a JSON Schema object"))
        return false;
    if (!text_of(p, name, 256, &text))
        return false;
    p->chat->tool_names[p->chat->n_tools] = text;
    p->chat->tool_schemas[p->chat->n_tools] = custom ? SPAN_NONE : jval_get(body, "parameters");
    p->chat->n_tools++;
    return true;
}

static bool parse_tools(struct parse *p, struct span tools)
{
    size_t i = 0, n = 0;

    if (is_null(tools))
        return true;
    if (jval_type(tools) != JTYPE_ARRAY)
        return want(p, "tools", "must be a list");
    for (struct jiter it = jiter_begin(tools); jiter_next(&it);)
        n++;
    p->chat->tool_names = ARENA_ARRAY(p->arena, struct span, n + 1);
    p->chat->tool_schemas = ARENA_ARRAY(p->arena, struct span, n + 1);
    if (!p->chat->tool_names || !p->chat->tool_schemas)
        return out_of_memory(p);
    for (struct jiter it = jiter_begin(tools); jiter_next(&it); i++) {
        if (i == TOOLS_MAX) {
            p->at[0] = '\0';
            return want(p, "tools", "must hold at most 128 tools");
        }
        snprintf(p->at, sizeof p->at, "tools[%zu]", i);
        if (!parse_tool(p, it.value))
            return false;
    }
    p->at[0] = '\0';
    return true;
}

static bool check_tool_choice(struct parse *p, struct span v)
{
    const struct span word = jval_raw(v);

    if (is_null(v) || jval_type(v) == JTYPE_OBJECT)
        return true;
    if (word.p && (jraw_is(word, "none") || jraw_is(word, "auto") || jraw_is(word, "required") || jraw_is(word, "any")))
        return true;
    return want(p, "tool_choice", "must be \"none\", \"auto\", \"required\" or an object that names a tool");
}

/* ---- the other members ---- */

static bool check_stop(struct parse *p, struct span v)
{
    size_t n = 0;

    if (is_null(v) || jval_type(v) == JTYPE_STRING)
        return true;
    if (jval_type(v) != JTYPE_ARRAY)
        return want(p, "stop", "must be a string or a list of strings");
    for (struct jiter it = jiter_begin(v); jiter_next(&it); n++)
        if (jval_type(it.value) != JTYPE_STRING || n == 16)
            return want(p, "stop", "must be a string or a list of at most 16 strings");
    return true;
}

static bool parse_response_format(struct parse *p, struct span v)
{
    const struct span type = jval_raw(jval_get(v, "type"));
    const struct span schema = jval_get(v, "json_schema");

    if (is_null(v))
        return true;
    if (jval_type(v) != JTYPE_OBJECT || !type.p)
        return want(p, "response_format", "must be an object with a \"type\"");
    if (jraw_is(type, "json_schema")) {
        if (jval_type(schema) != JTYPE_OBJECT || jval_type(jval_get(schema, "name")) != JTYPE_STRING)
            return want(p, "response_format.json_schema", "must be an object with \"name\" and \"schema\"");
        p->chat->json_schema = jval_get(schema, "schema");
        p->chat->text_bytes += schema.n;
    } else if (!jraw_is(type, "json_object")) {
        return jraw_is(type, "text") ||
               want(p, "response_format.type", "must be \"text\", \"json_object\" or \"json_schema\"");
    }
    p->chat->json_asked = true;
    return true;
}

static bool parse_stream_options(struct parse *p, struct span v)
{
    const struct span include = jval_get(v, "include_usage");

    if (is_null(v))
        return true;
    if (jval_type(v) != JTYPE_OBJECT)
        return want(p, "stream_options", "must be an object");
    if (!check_bool(p, "stream_options.include_usage", include))
        return false;
    p->chat->usage_asked = jval_type(include) == JTYPE_TRUE;
    return true;
}

static bool check_logit_bias(struct parse *p, struct span v)
{
    double x;

    if (is_null(v))
        return true;
    if (jval_type(v) != JTYPE_OBJECT)
        return want(p, "logit_bias", "must be an object of token ids and numbers");
    for (struct jiter it = jiter_begin(v); jiter_next(&it);)
        if (jval_type(it.value) != JTYPE_NUMBER || !jval_double(it.value, &x) || x < -100 || x > 100)
            return want(p, "logit_bias", "must hold numbers from -100 to 100");
    return true;
}

static bool parse_member(struct parse *p, struct span key, struct span v)
{
    struct chat *c = p->chat;
    int64_t cap = 0;

    if (jraw_is(key, "model")) {
        c->model_at = v;
        if (jval_type(v) != JTYPE_STRING || jval_raw(v).n == 0 || jval_raw(v).n > 256)
            return want(p, "model", "must be the name of a model or route, of at most 256 bytes");
        return text_of(p, v, 256, &c->model);
    }
    if (jraw_is(key, "messages"))
        return parse_messages(p, v);
    if (jraw_is(key, "stream")) {
        c->stream = jval_type(v) == JTYPE_TRUE;
        return check_bool(p, "stream", v);
    }
    if (jraw_is(key, "stream_options")) {
        c->stream_options_at = v;
        return parse_stream_options(p, v);
    }
    if (jraw_is(key, "max_tokens") || jraw_is(key, "max_completion_tokens")) {
        const bool old = jraw_is(key, "max_tokens");

        *(old ? &c->max_tokens_at : &c->max_completion_tokens_at) = v;
        if (!check_int(p, old ? "max_tokens" : "max_completion_tokens", v, 1, 1000000000, &cap))
            return false;
        if (cap && (!c->max_tokens || cap < c->max_tokens))
            c->max_tokens = cap;
        return true;
    }
    if (jraw_is(key, "temperature"))
        return check_range(p, "temperature", v, 0, 2);
    if (jraw_is(key, "top_p"))
        return check_range(p, "top_p", v, 0, 1);
    if (jraw_is(key, "presence_penalty"))
        return check_range(p, "presence_penalty", v, -2, 2);
    if (jraw_is(key, "frequency_penalty"))
        return check_range(p, "frequency_penalty", v, -2, 2);
    if (jraw_is(key, "n"))
        return check_int(p, "n", v, 1, 128, &c->n);
    if (jraw_is(key, "seed"))
        return check_int(p, "seed", v, INT64_MIN, INT64_MAX, NULL);
    if (jraw_is(key, "top_logprobs"))
        return check_int(p, "top_logprobs", v, 0, 20, NULL);
    if (jraw_is(key, "logprobs"))
        return check_bool(p, "logprobs", v);
    if (jraw_is(key, "parallel_tool_calls"))
        return check_bool(p, "parallel_tool_calls", v);
    if (jraw_is(key, "store"))
        return check_bool(p, "store", v);
    if (jraw_is(key, "stop")) {
        c->stops = !is_null(v);
        return check_stop(p, v);
    }
    if (jraw_is(key, "response_format"))
        return parse_response_format(p, v);
    if (jraw_is(key, "tools"))
        return parse_tools(p, v);
    if (jraw_is(key, "tool_choice"))
        return check_tool_choice(p, v);
    if (jraw_is(key, "logit_bias"))
        return check_logit_bias(p, v);
    if (jraw_is(key, "service_tier")) {
        if (jval_type(v) == JTYPE_STRING)
            return text_of(p, v, 64, &c->service_tier);
        return check_type(p, "service_tier", v, JTYPE_STRING, "must be a string such as \"auto\"");
    }
    if (jraw_is(key, "user"))
        return check_type(p, "user", v, JTYPE_STRING, "must be a string");
    if (jraw_is(key, "reasoning_effort"))
        return check_type(p, "reasoning_effort", v, JTYPE_STRING, "must be a string such as \"low\" or \"high\"");
    if (jraw_is(key, "metadata"))
        return check_type(p, "metadata", v, JTYPE_OBJECT, "must be an object of strings");
    return true;
}

bool openai_chat_parse(struct span body, struct arena *arena, struct chat *chat, openai_chat_text on_text, void *ctx,
                       struct fault *fault)
{
    struct parse p = { .chat = chat, .arena = arena, .fault = fault, .on_text = on_text, .ctx = ctx };
    size_t members = 0;

    *chat = (struct chat){ .body = body, .n = 1 };
    if (jval_type(body) != JTYPE_OBJECT)
        return fault_bad(fault, "invalid_json", NULL, "The request body must be a JSON object.");
    for (struct jiter it = jiter_begin(body); jiter_next(&it); members++)
        if (!parse_member(&p, it.key, it.value))
            return false;
    if (!chat->model.p)
        return fault_bad(fault, "missing_required_parameter", "model", "Missing required parameter: 'model'.");
    if (chat->n_messages == 0)
        return parse_messages(&p, SPAN_NONE);
    if (chat->stream_options_at.p && !is_null(chat->stream_options_at) && !chat->stream)
        return want(&p, "stream_options", "is only allowed together with \"stream\": true");
    for (chat->end_at = body.n; chat->end_at > 0 && body.p[chat->end_at - 1] != '}';)
        chat->end_at--;
    chat->end_at--;
    chat->empty_object = members == 0;
    return true;
}

/* ---- the body of an upstream call ---- */

struct edit {
    size_t at, cut;          /* offset and length of what goes */
    struct span put;
};

struct edits {
    struct edit list[6];
    size_t n;
};

/* Kept in order of place: there are a handful. */
static void edit_add(struct edits *e, size_t at, size_t cut, struct span put)
{
    size_t i = e->n++;

    for (; i > 0 && e->list[i - 1].at > at; i--)
        e->list[i] = e->list[i - 1];
    e->list[i] = (struct edit){ at, cut, put };
}

static void edit_value(struct edits *e, const struct chat *c, struct span value, struct span put)
{
    edit_add(e, (size_t)(value.p - c->body.p), value.n, put);
}

static bool edit_model(struct edits *e, const struct chat *c, struct span model, struct arena *arena)
{
    struct buf quoted;
    struct span text;

    buf_init(&quoted, 4096);
    buf_add_json(&quoted, model);
    text = arena_copy(arena, buf_span(&quoted));
    buf_free(&quoted);
    edit_value(e, c, c->model_at, text);
    return text.p != NULL;
}

/* Usage is always asked of the host, since a stream without it cannot be priced (openai-chat section 6). */
static bool edit_stream_options(struct edits *e, const struct chat *c, struct buf *tail)
{
    const struct span have = c->stream_options_at;
    const struct span include = jval_get(have, "include_usage");

    if (!have.p)
        return buf_add_str(tail, ",\"stream_options\":{\"include_usage\":true}");
    if (jval_type(have) != JTYPE_OBJECT) {    /* null */
        edit_value(e, c, have, SPAN_LIT("{\"include_usage\":true}"));
        return true;
    }
    if (include.p) {
        edit_value(e, c, include, SPAN_LIT("true"));
        return true;
    }
    for (struct jiter it = jiter_begin(have); jiter_next(&it);) {    /* not empty: put ours before the first */
        edit_add(e, (size_t)(have.p - c->body.p) + 1, 0, SPAN_LIT("\"include_usage\":true,"));
        return true;
    }
    edit_value(e, c, have, SPAN_LIT("{\"include_usage\":true}"));
    return true;
}

/* A cap in the caller's own spelling stays in it; a cap of ours goes into the spelling that the host knows. */
static bool edit_cap(struct edits *e, const struct chat *c, const struct openai_chat_changes *changes,
                     struct arena *arena, struct buf *tail)
{
    struct span number;

    if (changes->max_tokens <= 0 || (c->max_tokens && c->max_tokens <= changes->max_tokens))
        return true;
    number = arena_printf(arena, "%lld", (long long)changes->max_tokens);
    if (!number.p)
        return false;
    if (c->max_tokens_at.p)
        edit_value(e, c, c->max_tokens_at, number);
    if (c->max_completion_tokens_at.p)
        edit_value(e, c, c->max_completion_tokens_at, number);
    if (c->max_tokens_at.p || c->max_completion_tokens_at.p)
        return true;
    return buf_printf(tail, ",\"%s\":%lld", changes->max_tokens_field, (long long)changes->max_tokens);
}

size_t openai_chat_body(const struct chat *c, const struct openai_chat_changes *changes, struct arena *arena,
                        struct span pieces[OPENAI_CHAT_PIECES_MAX])
{
    struct edits e = { .n = 0 };
    struct buf tail;
    struct span text;
    size_t n = 0, from = 0;
    bool ok;

    buf_init(&tail, 512);
    ok = edit_model(&e, c, changes->model, arena);
    ok = ok && (!changes->want_usage || edit_stream_options(&e, c, &tail));
    ok = ok && edit_cap(&e, c, changes, arena, &tail);
    text = ok ? arena_copy(arena, buf_span(&tail)) : SPAN_NONE;
    buf_free(&tail);
    if (!text.p)
        return 0;
    if (text.n)
        edit_add(&e, c->end_at, 0, text);
    for (size_t i = 0; i < e.n; i++) {
        if (e.list[i].at > from)
            pieces[n++] = (struct span){ c->body.p + from, e.list[i].at - from };
        if (e.list[i].put.n)
            pieces[n++] = e.list[i].put;
        from = e.list[i].at + e.list[i].cut;
    }
    if (from < c->body.n)
        pieces[n++] = (struct span){ c->body.p + from, c->body.n - from };
    return n;
}
