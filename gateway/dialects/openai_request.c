/* openai_request.c - reads and checks the outermost members of a Chat Completions request by spans, in one pass, into the
 * neutral form; messages and tools are openai_messages.c's and openai_tools.c's.
 *
 * Copies no text: only names and ids with escapes go into the arena. Does not decide anything: what a field means for routing
 * is features.c's business, what a host cannot take is openai_body.c's. */
#include <stdio.h>

#include "gateway/dialects/openai_parse.h"

#define UNKNOWN_MAX 64         /* members that nobody knows: so many are named in a warning */

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

bool openai_foreign(struct openai_parse *p, struct span name, enum foreign_kind kind)
{
    return chat_add_foreign(p->chat, p->arena, name, kind) || reading_no_memory(&p->r);
}

/* A member of the place where we are. */
bool openai_foreign_here(struct openai_parse *p, const char *field, enum foreign_kind kind)
{
    char name[200];
    const int n = snprintf(name, sizeof name, "%s%s%s", p->r.at, field[0] ? "." : "", field);

    return openai_foreign(p, (struct span){ name, n < (int)sizeof name ? (size_t)n : sizeof name - 1 }, kind);
}

/* ---- the other members ---- */

static bool parse_stop(struct openai_parse *p, struct span v)
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

static bool parse_schema(struct openai_parse *p, struct span schema)
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

static bool parse_response_format(struct openai_parse *p, struct span v)
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

static bool parse_stream_options(struct openai_parse *p, struct span v)
{
    enum tri usage = TRI_UNSET;

    if (!reading_type(&p->r, "stream_options", v, JTYPE_OBJECT, "must be an object") ||
        !reading_bool(&p->r, "stream_options.include_usage", jval_get(v, "include_usage"), &usage))
        return false;
    p->chat->usage_asked = usage == TRI_YES;
    return true;
}

static bool parse_logit_bias(struct openai_parse *p, struct span v)
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
static bool parse_cap(struct openai_parse *p, const char *field, struct span v)
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

static bool parse_effort(struct openai_parse *p, struct span v)
{
    if (!reading_type(&p->r, "reasoning_effort", v, JTYPE_STRING, "must be a string such as \"low\" or \"high\""))
        return false;
    if (reading_is_null(v))
        return true;
    p->chat->effort = effort_of(v);
    return p->chat->effort != EFFORT_UNSET || openai_foreign(p, SPAN_LIT("reasoning_effort"), FOREIGN_TUNES);
}

/* After the other members: reasoning_effort, wherever it stands, goes before what a switch says. */
static bool settle_thinking(struct openai_parse *p)
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

static bool parse_modalities(struct openai_parse *p, struct span v)
{
    if (!reading_type(&p->r, "modalities", v, JTYPE_ARRAY, "must be a list of \"text\" and \"audio\""))
        return false;
    for (struct jiter it = jiter_begin(v); jiter_next(&it);)
        if (jval_type(it.value) == JTYPE_STRING && jraw_is(jval_raw(it.value), "audio"))
            p->audio_out = true;
    return !p->audio_out || openai_foreign(p, SPAN_LIT("modalities"), FOREIGN_MEANS);
}

static bool parse_store(struct openai_parse *p, struct span v)
{
    enum tri store = TRI_UNSET;

    return reading_bool(&p->r, "store", v, &store) && (store != TRI_YES || openai_foreign(p, SPAN_LIT("store"), FOREIGN_TUNES));
}

static bool parse_tri(struct openai_parse *p, const char *field, struct span v, bool *out)
{
    enum tri tri = TRI_UNSET;

    if (!reading_bool(&p->r, field, v, &tri))
        return false;
    *out = tri == TRI_YES;
    return true;
}

/* Clients put more into it for hosts that read it; other dialects take labels alone. */
static bool parse_metadata(struct openai_parse *p, const char *name, struct span v)
{
    if (!reading_type(&p->r, name, v, JTYPE_OBJECT, "must be an object of strings") || reading_is_null(v))
        return reading_is_null(v);
    if (!reading_is_labels(v))
        return openai_foreign(p, span_str(name), FOREIGN_TUNES);
    p->chat->metadata_json = v;
    return true;
}

/* A word that is newer than we are goes to hosts of this dialect alone. */
static bool parse_verbosity(struct openai_parse *p, const char *name, struct span v)
{
    static const char *const words[] = { "low", "medium", "high", NULL };

    if (!reading_raw(&p->r, name, v, NULL) || reading_is_null(v))
        return reading_is_null(v);
    if (reading_word(v, words) < 0)
        return openai_foreign(p, span_str(name), FOREIGN_TUNES);
    p->chat->verbosity_raw = jval_raw(v);
    return true;
}

static bool parse_member(struct openai_parse *p, enum openai_member m, struct span v)
{
    const char *name = openai_member_name(m);
    struct reading *r = &p->r;
    struct chat *c = p->chat;

    switch (m) {
    case OPENAI_MODEL:
        if (jval_type(v) != JTYPE_STRING || jval_raw(v).n == 0 || jval_raw(v).n > 256)
            return reading_want(r, name, "must be the name of a model or route, of at most 256 bytes");
        return reading_name(r, name, v, 256, &c->model);
    case OPENAI_MESSAGES: return openai_parse_messages(p, v);
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
    case OPENAI_TOOLS: return openai_parse_tools(p, name, v);
    case OPENAI_TOOL_CHOICE: return openai_parse_choice(p, v);
    case OPENAI_LOGIT_BIAS: return parse_logit_bias(p, v);
    case OPENAI_SERVICE_TIER:
        return reading_type(r, name, v, JTYPE_STRING, "must be a string such as \"auto\"") &&
               reading_name(r, name, v, 64, &c->service_tier);
    case OPENAI_SAFETY_IDENTIFIER: return reading_raw(r, name, v, &c->user_raw);
    case OPENAI_USER: return reading_raw(r, name, v, c->user_raw.p ? NULL : &c->user_raw);
    case OPENAI_REASONING_EFFORT: return parse_effort(p, v);
    case OPENAI_METADATA: return parse_metadata(p, name, v);
    case OPENAI_VERBOSITY: return parse_verbosity(p, name, v);
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

static bool take_member(struct openai_parse *p, struct span key, struct span v)
{
    const enum openai_member m = openai_member_of(key);
    enum says says;

    if (m == OPENAI_MEMBERS) {
        p->places->unknown = true;
        if (jval_type(v) == JTYPE_NULL || p->unknown++ >= UNKNOWN_MAX)
            return true;
        return openai_foreign(p, key, FOREIGN_TUNES);
    }
    p->places->at[m] = v;
    says = members[m].says;
    if (says != HANDLED && jval_type(v) != JTYPE_NULL &&
        !openai_foreign(p, members[m].name, says == TUNES ? FOREIGN_TUNES : says == MEANS ? FOREIGN_MEANS : FOREIGN_SILENT))
        return false;
    return parse_member(p, m, v);
}

bool openai_parse(struct chat *chat, const struct parse_spec *spec)
{
    struct openai_parse p = { .r = { .chat = chat, .spec = spec }, .chat = chat, .arena = spec->arena };

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
    if (!reading_is_null(p.places->at[OPENAI_AUDIO]) && !p.audio_out && !openai_foreign(&p, SPAN_LIT("audio"), FOREIGN_TUNES))
        return false;
    return openai_check_choice(&p) && settle_thinking(&p);
}
