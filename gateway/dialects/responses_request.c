/* responses_request.c - reads the members of a Responses request into the neutral form. Input items are responses_items.c's,
 * tools responses_tools.c's.
 *
 * What the dialect has alone is noted as foreign: for an OpenAI upstream all of it passes, another dialect drops or refuses it
 * (wire/translation section 2, wire/openai-responses section 8). Keeps no state of earlier responses: previous_response_id and
 * conversation are OpenAI's to resolve. Source: wire/openai-responses sections 2 and 9. */
#include <stdio.h>

#include "gateway/dialects/responses_parts.h"

#define OUTPUT_TOKENS_LEAST 16     /* OpenAI's own floor for max_output_tokens */
#define METADATA_MOST 16

typedef bool (*read_member)(struct responses_reading *p, const char *name, struct span v);

static bool foreign(struct responses_reading *p, const char *name, enum foreign_kind kind)
{
    return chat_add_foreign(p->r.chat, p->r.spec->arena, span_str(name), kind) || reading_no_memory(&p->r);
}

/* ---- members that all dialects have in some spelling ---- */

static bool read_model(struct responses_reading *p, const char *name, struct span v)
{
    p->places->model_at = v;
    if (jval_type(v) != JTYPE_STRING || jval_raw(v).n == 0)
        return reading_want(&p->r, name, "must be the name of a model or route, of at most 256 bytes");
    return reading_name(&p->r, name, v, 256, &p->r.chat->model);
}

static bool read_input(struct responses_reading *p, const char *name, struct span v)
{
    (void)name;
    p->input = v;
    return true;
}

static bool read_instructions(struct responses_reading *p, const char *name, struct span v)
{
    p->instructions = v;
    return reading_type(&p->r, name, v, JTYPE_STRING, "must be a string");
}

static bool read_tool_choice(struct responses_reading *p, const char *name, struct span v)
{
    (void)name;
    p->tool_choice = v;
    return true;
}

static bool read_stream(struct responses_reading *p, const char *name, struct span v)
{
    p->r.chat->stream = jval_type(v) == JTYPE_TRUE;
    return reading_bool(&p->r, name, v, NULL);
}

static bool read_max_output(struct responses_reading *p, const char *name, struct span v)
{
    p->places->max_output_at = v;
    return reading_int(&p->r, name, v, OUTPUT_TOKENS_LEAST, 1000000000, &p->r.chat->max_tokens);
}

static bool read_temperature(struct responses_reading *p, const char *name, struct span v)
{
    return reading_number(&p->r, name, v, 0, 2, &p->r.chat->temperature_json);
}

static bool read_top_p(struct responses_reading *p, const char *name, struct span v)
{
    return reading_number(&p->r, name, v, 0, 1, &p->r.chat->top_p_json);
}

static bool read_top_logprobs(struct responses_reading *p, const char *name, struct span v)
{
    return reading_int(&p->r, name, v, 0, 20, &p->r.chat->top_logprobs);
}

static bool read_parallel(struct responses_reading *p, const char *name, struct span v)
{
    return reading_bool(&p->r, name, v, &p->r.chat->parallel);
}

static bool read_metadata(struct responses_reading *p, const char *name, struct span v)
{
    int n = 0;

    if (!reading_type(&p->r, name, v, JTYPE_OBJECT, "must be an object of strings"))
        return false;
    for (struct jiter it = jiter_begin(v); !reading_is_null(v) && jiter_next(&it); n++)
        if (jval_type(it.value) != JTYPE_STRING || n == METADATA_MOST)
            return reading_want(&p->r, name, "must be an object of at most 16 strings");
    if (!reading_is_null(v))
        p->r.chat->metadata_json = v;
    return true;
}

/* safety_identifier succeeds user: it wins, whatever the order. */
static bool read_user(struct responses_reading *p, const char *name, struct span v)
{
    struct span raw = SPAN_NONE;

    if (!reading_raw(&p->r, name, v, &raw))
        return false;
    if (raw.p && (name[0] == 's' || !p->r.chat->user_raw.p))
        p->r.chat->user_raw = raw;
    return true;
}

static bool read_service_tier(struct responses_reading *p, const char *name, struct span v)
{
    return reading_name(&p->r, name, v, 64, &p->r.chat->service_tier);
}

static bool read_cache_key(struct responses_reading *p, const char *name, struct span v)
{
    return reading_raw(&p->r, name, v, &p->r.chat->cache_key_raw);
}

/* Only of logprobs is there anything to say elsewhere. Encrypted reasoning is what OpenAI answers; the rest is of its tools. */
static bool read_include(struct responses_reading *p, const char *name, struct span v)
{
    if (!reading_type(&p->r, name, v, JTYPE_ARRAY, "must be a list of strings"))
        return false;
    for (struct jiter it = jiter_begin(v); !reading_is_null(v) && jiter_next(&it);) {
        if (jval_type(it.value) != JTYPE_STRING)
            return reading_want(&p->r, name, "must be a list of strings");
        if (jraw_is(jval_raw(it.value), "message.output_text.logprobs"))
            p->r.chat->logprobs = true;
    }
    return true;
}

/* ---- reasoning and text ---- */

static bool read_effort(struct responses_reading *p, struct span v)
{
    static const char *const words[] = { "none", "minimal", "low", "medium", "high", "xhigh", "max", NULL };
    const int i = reading_word(v, words);

    if (reading_is_null(v))
        return true;
    if (i < 0)
        return reading_want(&p->r, "effort", "must be one of none, minimal, low, medium, high, xhigh, max");
    p->r.chat->effort = (enum effort)(EFFORT_OFF + i);
    return true;
}

static bool read_summary(struct responses_reading *p, const char *name, struct span v)
{
    static const char *const words[] = { "auto", "concise", "detailed", NULL };

    if (reading_is_null(v))
        return true;
    if (reading_word(v, words) < 0)
        return reading_want(&p->r, name, "must be one of auto, concise, detailed");
    p->r.chat->show_reasoning = TRI_YES;
    return true;
}

static bool read_reasoning(struct responses_reading *p, const char *name, struct span v)
{
    const size_t back = reading_enter(&p->r, "%s", name);
    bool ok = true;

    if (!reading_type(&p->r, "", v, JTYPE_OBJECT, "must be an object"))
        return false;
    for (struct jiter it = jiter_begin(v); ok && !reading_is_null(v) && jiter_next(&it);) {
        if (jraw_is(it.key, "effort"))
            ok = read_effort(p, it.value);
        else if (jraw_is(it.key, "summary"))
            ok = read_summary(p, "summary", it.value);
        else if (jraw_is(it.key, "generate_summary"))
            ok = read_summary(p, "generate_summary", it.value);
        else if (jraw_is(it.key, "mode"))
            ok = reading_raw(&p->r, "mode", it.value, NULL) &&
                 (reading_is_null(it.value) || jraw_is(jval_raw(it.value), "standard") ||
                  foreign(p, "reasoning.mode", FOREIGN_TUNES));
        else if (jraw_is(it.key, "context"))
            ok = reading_raw(&p->r, "context", it.value, NULL) &&
                 (reading_is_null(it.value) || jraw_is(jval_raw(it.value), "auto") ||
                  foreign(p, "reasoning.context", FOREIGN_TUNES));
    }
    reading_leave(&p->r, back);
    return ok;
}

/* Flat, unlike Chat's response_format: the schema's own members stand beside the type. */
static bool read_schema(struct responses_reading *p, struct span v)
{
    static const char *const names[] = { "name", "schema", "strict", "description" };
    struct chat *c = p->r.chat;
    struct span m[4];

    jval_members(v, names, 4, m);
    if (jval_type(m[0]) != JTYPE_STRING || jval_raw(m[0]).n == 0)
        return reading_want(&p->r, "name", "must be the schema's name");
    if (jval_type(m[1]) != JTYPE_OBJECT)
        return reading_want(&p->r, "schema", "must be a JSON Schema object");
    c->format = FORMAT_SCHEMA;
    c->schema_name_raw = jval_raw(m[0]);
    c->schema_json = m[1];
    c->text_bytes += v.n;
    return reading_bool(&p->r, "strict", m[2], &c->schema_strict) &&
           reading_raw(&p->r, "description", m[3], &c->schema_description_raw);
}

static bool read_format(struct responses_reading *p, struct span v)
{
    static const char *const words[] = { "text", "json_object", "json_schema", NULL };
    const size_t back = reading_enter(&p->r, ".format");
    bool ok;

    if (reading_is_null(v)) {
        reading_leave(&p->r, back);
        return true;
    }
    if (jval_type(v) != JTYPE_OBJECT)
        return reading_want(&p->r, "", "must be an object with a \"type\"");
    switch (reading_word(jval_get(v, "type"), words)) {
    case 0:
        ok = true;
        break;
    case 1:
        p->r.chat->format = FORMAT_JSON;
        ok = true;
        break;
    case 2:
        ok = read_schema(p, v);
        break;
    default:
        ok = reading_want(&p->r, "type", "must be \"text\", \"json_object\" or \"json_schema\"");
    }
    if (ok)
        reading_leave(&p->r, back);
    return ok;
}

static bool read_text(struct responses_reading *p, const char *name, struct span v)
{
    static const char *const words[] = { "low", "medium", "high", NULL };
    const size_t back = reading_enter(&p->r, "%s", name);
    const struct span verbosity = jval_get(v, "verbosity");

    if (!reading_type(&p->r, "", v, JTYPE_OBJECT, "must be an object") || !read_format(p, jval_get(v, "format")))
        return false;
    if (!reading_is_null(verbosity) && reading_word(verbosity, words) < 0)
        return reading_want(&p->r, "verbosity", "must be one of low, medium, high");
    if (!reading_is_null(verbosity))
        p->r.chat->verbosity_raw = jval_raw(verbosity);
    reading_leave(&p->r, back);
    return true;
}

/* ---- members of this dialect alone ---- */

/* History that the body does not hold. Nobody but OpenAI has it, and the prompt is as long as the window allows. */
static bool elsewhere(struct responses_reading *p, const char *name)
{
    p->history_elsewhere = true;
    p->r.chat->unbounded = true;
    return foreign(p, name, FOREIGN_MEANS);
}

static bool read_previous(struct responses_reading *p, const char *name, struct span v)
{
    if (!reading_raw(&p->r, name, v, NULL))
        return false;
    if (reading_is_null(v))
        return true;
    if (!elsewhere(p, name))
        return false;
    p->r.chat->last_foreign->code = "previous_response_not_found";
    return true;
}

static bool read_conversation(struct responses_reading *p, const char *name, struct span v)
{
    if (reading_is_null(v))
        return true;
    if (jval_type(v) != JTYPE_STRING && jval_type(jval_get(v, "id")) != JTYPE_STRING)
        return reading_want(&p->r, name, "must be an id or an object with an \"id\"");
    return elsewhere(p, name);
}

static bool read_prompt(struct responses_reading *p, const char *name, struct span v)
{
    if (reading_is_null(v))
        return true;
    if (jval_type(jval_get(v, "id")) != JTYPE_STRING)
        return reading_want(&p->r, name, "must be an object with an \"id\"");
    return elsewhere(p, name);
}

static bool read_background(struct responses_reading *p, const char *name, struct span v)
{
    return reading_bool(&p->r, name, v, NULL) && (jval_type(v) != JTYPE_TRUE || foreign(p, name, FOREIGN_MEANS));
}

/* No response is stored by us: said only where the caller asks for it in so many words (`true` is also OpenAI's default). Its
 * items are remembered for a while, unless the caller wants nothing kept. */
static bool read_store(struct responses_reading *p, const char *name, struct span v)
{
    p->places->forget = jval_type(v) == JTYPE_FALSE;
    return reading_bool(&p->r, name, v, NULL) && (jval_type(v) != JTYPE_TRUE || foreign(p, name, FOREIGN_TUNES));
}

static bool read_truncation(struct responses_reading *p, const char *name, struct span v)
{
    static const char *const words[] = { "disabled", "auto", NULL };
    const int i = reading_word(v, words);

    if (reading_is_null(v))
        return true;
    if (i < 0)
        return reading_want(&p->r, name, "must be \"auto\" or \"disabled\"");
    return i == 0 || foreign(p, name, FOREIGN_TUNES);
}

static bool read_context_management(struct responses_reading *p, const char *name, struct span v)
{
    bool any = false;

    if (!reading_type(&p->r, name, v, JTYPE_ARRAY, "must be a list"))
        return false;
    for (struct jiter it = jiter_begin(v); !reading_is_null(v) && jiter_next(&it);)
        any = true;
    return !any || foreign(p, name, FOREIGN_MEANS);
}

/* Server tools run at most this often. A bound for the price; they are refused elsewhere, and it with them. */
static bool read_max_tool_calls(struct responses_reading *p, const char *name, struct span v)
{
    int64_t n = 0;

    if (!reading_int(&p->r, name, v, 1, 1000000, &n))
        return false;
    if (n)
        p->r.chat->searches = n;
    return true;
}

static bool read_stream_options(struct responses_reading *p, const char *name, struct span v)
{
    return reading_type(&p->r, name, v, JTYPE_OBJECT, "must be an object") &&
           reading_bool(&p->r, "stream_options.include_obfuscation", jval_get(v, "include_obfuscation"), NULL);
}

static bool read_cache_options(struct responses_reading *p, const char *name, struct span v)
{
    if (!reading_type(&p->r, name, v, JTYPE_OBJECT, "must be an object"))
        return false;
    p->r.chat->cache_5m |= jraw_is(jval_raw(jval_get(v, "mode")), "explicit");
    return true;
}

static bool read_cache_retention(struct responses_reading *p, const char *name, struct span v)
{
    return reading_raw(&p->r, name, v, NULL);
}

/* Codex's account of itself to OpenAI: nothing of it reaches the model. */
static bool read_client_metadata(struct responses_reading *p, const char *name, struct span v)
{
    return reading_type(&p->r, name, v, JTYPE_OBJECT, "must be an object");
}

static bool read_moderation(struct responses_reading *p, const char *name, struct span v)
{
    return reading_type(&p->r, name, v, JTYPE_OBJECT, "must be an object") &&
           (reading_is_null(v) || foreign(p, name, FOREIGN_TUNES));
}

static const struct { const char *name; read_member read; } members[] = {
    { "model", read_model },
    { "input", read_input },
    { "instructions", read_instructions },
    { "stream", read_stream },
    { "tools", responses_read_tools },
    { "tool_choice", read_tool_choice },
    { "parallel_tool_calls", read_parallel },
    { "max_output_tokens", read_max_output },
    { "temperature", read_temperature },
    { "top_p", read_top_p },
    { "top_logprobs", read_top_logprobs },
    { "reasoning", read_reasoning },
    { "text", read_text },
    { "include", read_include },
    { "store", read_store },
    { "metadata", read_metadata },
    { "user", read_user },
    { "safety_identifier", read_user },
    { "service_tier", read_service_tier },
    { "prompt_cache_key", read_cache_key },
    { "prompt_cache_options", read_cache_options },
    { "prompt_cache_retention", read_cache_retention },
    { "previous_response_id", read_previous },
    { "conversation", read_conversation },
    { "prompt", read_prompt },
    { "background", read_background },
    { "truncation", read_truncation },
    { "context_management", read_context_management },
    { "max_tool_calls", read_max_tool_calls },
    { "stream_options", read_stream_options },
    { "moderation", read_moderation },
    { "client_metadata", read_client_metadata },
};

/* Chat's members that OpenAI refuses here, and where they have gone; "": nowhere. */
static const struct { const char *name, *here; } refused[] = {
    { "messages", "input" },
    { "max_tokens", "max_output_tokens" },
    { "max_completion_tokens", "max_output_tokens" },
    { "response_format", "text.format" },
    { "reasoning_effort", "reasoning.effort" },
    { "verbosity", "text.verbosity" },
    { "functions", "tools" },
    { "function_call", "tool_choice" },
    { "logprobs", "include" },
    { "n", "" },
    { "stop", "" },
    { "seed", "" },
    { "presence_penalty", "" },
    { "frequency_penalty", "" },
    { "logit_bias", "" },
};

static bool unknown_parameter(struct responses_reading *p, const char *name, const char *here)
{
    return fault_bad(p->r.spec->fault, "unknown_parameter", name, "Unknown parameter: '%s'.%s%s%s", name,
                     here[0] ? " In the Responses API it is '" : " The Responses API has no such parameter", here,
                     here[0] ? "'." : ".");
}

static bool read_one(struct responses_reading *p, struct span key, struct span v)
{
    char name[129];

    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (jraw_is(key, members[i].name))
            return members[i].read(p, members[i].name, v);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (jraw_is(key, refused[i].name))
            return unknown_parameter(p, refused[i].name, refused[i].here);
    if (reading_is_null(v))
        return true;
    snprintf(name, sizeof name, "%.*s", SPAN_FMT(key));
    return foreign(p, name, FOREIGN_TUNES);    /* newer than we are: it passes to OpenAI */
}

/* ---- all of it ---- */

/* A server tool without a bound of its own: what one answer has been seen to take, doubled. Reported beyond it, it is charged
 * as reported and flagged. */
#define SEARCHES_USUAL 20

/* What a tool brings is read by the model and billed as prompt, without a bound but the window. An offline search is not taken
 * for one: it stands in every request of Codex, which would all be reserved at the price of a whole window. */
static void bound_searches(const struct responses_reading *p)
{
    struct chat *c = p->r.chat;
    bool server = false;

    for (size_t i = 0; i < c->n_tools && !server; i++)
        server = c->tools[i].kind == TOOL_SERVER;
    if (!server && !p->offline_search)
        c->searches = 0;
    else if (c->searches == 0)
        c->searches = SEARCHES_USUAL;
    c->unbounded |= server;
}

bool responses_parse(struct chat *chat, const struct parse_spec *spec)
{
    struct responses_reading p = { .r = { .chat = chat, .spec = spec } };

    if (jval_type(chat->body) != JTYPE_OBJECT)
        return fault_bad(spec->fault, "invalid_json", NULL, "The request body must be a JSON object.");
    p.places = ARENA_NEW(spec->arena, struct responses_places);
    if (!p.places)
        return reading_no_memory(&p.r);
    chat->places = p.places;
    for (struct jiter it = jiter_begin(chat->body); jiter_next(&it);)
        if (!read_one(&p, it.key, it.value))
            return false;
    if (!chat->model.p)
        return reading_missing(&p.r, "model");
    bound_searches(&p);
    return responses_read_choice(&p) && responses_read_input(&p) &&
           (p.history_elsewhere || chat_check_results(chat, "input", spec->fault));
}
