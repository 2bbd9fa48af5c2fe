/* anthropic_request.c - reads a caller's Messages request into the neutral form, member by member.
 *
 * Every field that the gateway knows is checked, also where the body then passes unchanged; unknown ones pass untouched to
 * Anthropic and are left out elsewhere. The messages themselves are anthropic_blocks.c's. */
#include <stdio.h>

#include "gateway/dialects/anthropic.h"
#include "gateway/dialects/anthropic_read.h"

#define TOKENS_MAX 1000000000
#define BUDGET_LEAST 1024
#define STOP_BYTES_MAX 4096u
#define SEARCHES_UNSAID 20    /* of a web search tool without max_uses: Anthropic's loop of server tools ends after some ten */

enum {
    M_MODEL, M_MAX_TOKENS, M_MESSAGES, M_SYSTEM, M_STREAM, M_TEMPERATURE, M_TOP_P, M_TOP_K, M_STOPS, M_TOOLS, M_CHOICE,
    M_THINKING, M_OUTPUT_CONFIG, M_OUTPUT_FORMAT, M_CACHE, M_METADATA, M_TIER, M_SPEED, M_GEO, M_CONTAINER, M_MCP, M_CONTEXT,
    M_DIAGNOSTICS, M_MEMBERS
};
static const char *const members[M_MEMBERS] = {
    "model", "max_tokens", "messages", "system", "stream", "temperature", "top_p", "top_k", "stop_sequences", "tools",
    "tool_choice", "thinking", "output_config", "output_format", "cache_control", "metadata", "service_tier", "speed",
    "inference_geo", "container", "mcp_servers", "context_management", "diagnostics",
};

bool anthropic_note(struct anthropic_reading *a, unsigned once, struct span name, enum foreign_kind kind)
{
    if (once && (a->noted & once))
        return true;
    a->noted |= once;
    return chat_add_foreign(a->r.chat, a->r.spec->arena, name, kind) || reading_no_memory(&a->r);
}

bool anthropic_read_cache(struct anthropic_reading *a, struct span v, enum cache_mark *out)
{
    const struct span ttl = jval_get(v, "ttl");
    const bool hour = jraw_is(jval_raw(ttl), "1h");

    if (reading_is_null(v))
        return true;
    if (!jraw_is(jval_raw(jval_get(v, "type")), "ephemeral"))
        return reading_want(&a->r, "cache_control", "must be an object with \"type\": \"ephemeral\"");
    if (!reading_is_null(ttl) && !hour && !jraw_is(jval_raw(ttl), "5m"))
        return reading_want(&a->r, "cache_control.ttl", "must be \"5m\" or \"1h\"");
    *out = hour ? CACHE_1H : CACHE_5M;
    *(hour ? &a->r.chat->cache_1h : &a->r.chat->cache_5m) = true;
    return true;
}

/* ---- tools ---- */

enum {
    T_TYPE, T_NAME, T_DESCRIPTION, T_SCHEMA, T_STRICT, T_CACHE, T_MAX_USES, T_EXAMPLES, T_DEFER, T_CALLERS, T_MEMBERS
};

/* Tools with a dated type are Anthropic's own, whoever runs them: their schemas are not ours to translate. */
static bool read_server_tool(struct anthropic_reading *a, struct chat_tool *t, const struct span m[T_MEMBERS])
{
    int64_t uses = SEARCHES_UNSAID;

    t->kind = TOOL_SERVER;
    if (!reading_name(&a->r, "type", m[T_TYPE], 128, &t->name) ||
        !reading_int(&a->r, "max_uses", m[T_MAX_USES], 1, 1000000, &uses))
        return false;
    if (span_starts(t->name, SPAN_LIT("web_search")))
        a->r.chat->searches += uses;
    return anthropic_note(a, NOTED_SERVER_TOOL, span_str(a->r.at), FOREIGN_MEANS);
}

static bool read_function(struct anthropic_reading *a, struct chat_tool *t, const struct span m[T_MEMBERS])
{
    t->kind = TOOL_FUNCTION;
    if (!reading_name(&a->r, "name", m[T_NAME], 256, &t->name))
        return false;
    if (t->name.n == 0)
        return reading_want(&a->r, "name", "must be the name of the tool");
    if (jval_type(m[T_SCHEMA]) != JTYPE_OBJECT)
        return reading_want(&a->r, "input_schema", "must be a JSON Schema object");
    t->schema_json = m[T_SCHEMA];
    if (!reading_raw(&a->r, "description", m[T_DESCRIPTION], &t->description_raw) ||
        !reading_bool(&a->r, "strict", m[T_STRICT], &t->strict) || !reading_bool(&a->r, "defer_loading", m[T_DEFER], NULL))
        return false;
    if (reading_is_null(m[T_EXAMPLES]) && jval_type(m[T_DEFER]) != JTYPE_TRUE && reading_is_null(m[T_CALLERS]))
        return true;
    return anthropic_note(a, NOTED_TOOL_MEMBER,
                          !reading_is_null(m[T_EXAMPLES]) ? SPAN_LIT("tools.input_examples")
                          : !reading_is_null(m[T_CALLERS]) ? SPAN_LIT("tools.allowed_callers") : SPAN_LIT("tools.defer_loading"),
                          FOREIGN_TUNES);
}

static bool read_tool(struct anthropic_reading *a, struct chat_tool *t, struct span tool)
{
    static const char *const names[T_MEMBERS] = { "type", "name", "description", "input_schema", "strict", "cache_control",
                                                  "max_uses", "input_examples", "defer_loading", "allowed_callers" };
    struct span m[T_MEMBERS];

    if (jval_type(tool) != JTYPE_OBJECT)
        return reading_want(&a->r, "", "must be an object");
    jval_members(tool, names, T_MEMBERS, m);
    t->json = tool;
    a->r.chat->tool_bytes += tool.n;
    if (!reading_type(&a->r, "type", m[T_TYPE], JTYPE_STRING, "must be a string") ||
        !anthropic_read_cache(a, m[T_CACHE], &t->cache))
        return false;
    if (reading_is_null(m[T_TYPE]) || jraw_is(jval_raw(m[T_TYPE]), "custom"))
        return read_function(a, t, m);
    return read_server_tool(a, t, m);
}

static bool read_tools(struct anthropic_reading *a, struct span tools)
{
    struct chat *c = a->r.chat;
    size_t n = 0;

    if (reading_is_null(tools))
        return true;
    if (jval_type(tools) != JTYPE_ARRAY)
        return reading_want(&a->r, "tools", "must be a list");
    for (struct jiter it = jiter_begin(tools); jiter_next(&it);)
        n++;
    if (n > CHAT_TOOLS_MAX)
        return reading_want(&a->r, "tools", "must hold at most 512 tools");
    c->tools = ARENA_ARRAY(a->r.spec->arena, struct chat_tool, n + 1);
    if (!c->tools)
        return reading_no_memory(&a->r);
    for (struct jiter it = jiter_begin(tools); jiter_next(&it); c->n_tools++) {
        const size_t back = reading_enter_list(&a->r, "tools", c->n_tools);

        if (!read_tool(a, &c->tools[c->n_tools], it.value))
            return false;
        reading_leave(&a->r, back);
    }
    return true;
}

/* Tools of a dated type have a name beside it. */
static bool is_tool(const struct chat *c, struct span name)
{
    for (size_t i = 0; i < c->n_tools; i++) {
        const struct chat_tool *t = &c->tools[i];

        if (span_eq(t->name, name) || (t->kind == TOOL_SERVER && span_eq(jval_raw(jval_get(t->json, "name")), name)))
            return true;
    }
    return false;
}

static bool read_choice(struct anthropic_reading *a, struct span v)
{
    static const char *const words[] = { "auto", "any", "tool", "none", NULL };
    static const enum tool_choice choices[] = { CHOICE_AUTO, CHOICE_ANY, CHOICE_NAMED, CHOICE_NONE };
    struct chat *c = a->r.chat;
    enum tri alone = TRI_UNSET;
    int word;

    if (reading_is_null(v))
        return true;
    if (jval_type(v) != JTYPE_OBJECT)
        return reading_want(&a->r, "tool_choice", "must be an object with a \"type\"");
    word = reading_word(jval_get(v, "type"), words);
    if (word < 0)
        return reading_want(&a->r, "tool_choice.type", "must be \"auto\", \"any\", \"tool\" or \"none\"");
    if (!reading_bool(&a->r, "tool_choice.disable_parallel_tool_use", jval_get(v, "disable_parallel_tool_use"), &alone))
        return false;
    c->choice = choices[word];
    c->parallel = alone == TRI_UNSET ? TRI_UNSET : alone == TRI_YES ? TRI_NO : TRI_YES;
    if (c->choice != CHOICE_NAMED)
        return true;
    c->choice_names = ARENA_NEW(a->r.spec->arena, struct span);
    if (!c->choice_names)
        return reading_no_memory(&a->r);
    c->n_choice_names = 1;
    if (!reading_name(&a->r, "tool_choice.name", jval_get(v, "name"), 256, &c->choice_names[0]))
        return false;
    return is_tool(c, c->choice_names[0]) || reading_want(&a->r, "tool_choice.name", "must be the name of one of the tools");
}

/* ---- thinking and output ---- */

/* With interleaved thinking the budget is of a whole tool loop and may exceed max_tokens: not ours to judge. */
static bool read_budget(struct anthropic_reading *a, struct span v)
{
    struct chat *c = a->r.chat;
    const bool interleaved = span_find_span(c->anthropic_beta, SPAN_LIT("interleaved-thinking")) < c->anthropic_beta.n;

    if (reading_is_null(v))
        return reading_missing(&a->r, "thinking.budget_tokens");
    if (!reading_int(&a->r, "thinking.budget_tokens", v, BUDGET_LEAST, TOKENS_MAX, &c->budget))
        return false;
    if (c->max_tokens > 0 && c->budget >= c->max_tokens && !interleaved)
        return reading_want(&a->r, "thinking.budget_tokens", "must be less than max_tokens");
    c->effort = EFFORT_BUDGET;
    return true;
}

static bool read_thinking(struct anthropic_reading *a, struct span v)
{
    static const char *const types[] = { "enabled", "adaptive", "disabled", NULL };
    static const char *const displays[] = { "summarized", "omitted", NULL };
    const struct span type = jval_get(v, "type"), display = jval_get(v, "display");
    struct chat *c = a->r.chat;

    if (reading_is_null(v))
        return true;
    a->places->thinking = v;
    if (jval_type(v) != JTYPE_OBJECT || jval_type(type) != JTYPE_STRING)
        return reading_want(&a->r, "thinking", "must be an object with a \"type\"");
    if (!reading_type(&a->r, "thinking.display", display, JTYPE_STRING, "must be \"summarized\" or \"omitted\""))
        return false;
    if (reading_word(type, types) != 2)    /* thinking is there to be seen, unless it is said otherwise */
        c->show_reasoning = reading_word(display, displays) == 1 ? TRI_NO : TRI_YES;
    switch (reading_word(type, types)) {
    case 0:
        return read_budget(a, jval_get(v, "budget_tokens"));
    case 1:
        c->effort = EFFORT_DYNAMIC;
        return true;
    case 2:
        c->effort = EFFORT_OFF;
        return true;
    default:    /* "between_tools", and what is newer than we are */
        return anthropic_note(a, 0, SPAN_LIT("thinking.type"), FOREIGN_TUNES);
    }
}

static bool read_format(struct anthropic_reading *a, const char *field, struct span v)
{
    const struct span schema = jval_get(v, "schema");
    char place[64];

    if (reading_is_null(v))
        return true;
    if (!jraw_is(jval_raw(jval_get(v, "type")), "json_schema"))
        return reading_want(&a->r, field, "must be an object with \"type\": \"json_schema\"");
    if (jval_type(schema) != JTYPE_OBJECT) {
        snprintf(place, sizeof place, "%s.schema", field);
        return reading_want(&a->r, place, "must be a JSON Schema object");
    }
    a->r.chat->format = FORMAT_SCHEMA;
    a->r.chat->schema_json = schema;
    a->r.chat->text_bytes += schema.n;
    return true;
}

/* A budget says how long to think, `disabled` says not to: either goes before an effort, which also tunes the answer itself. */
static bool read_effort(struct anthropic_reading *a, struct span v)
{
    static const char *const words[] = { "low", "medium", "high", "xhigh", "max", NULL };
    static const enum effort efforts[] = { EFFORT_LOW, EFFORT_MEDIUM, EFFORT_HIGH, EFFORT_XHIGH, EFFORT_MAX };
    const int word = reading_word(v, words);

    if (reading_is_null(v))
        return true;
    if (word < 0)
        return reading_want(&a->r, "output_config.effort", "must be \"low\", \"medium\", \"high\", \"xhigh\" or \"max\"");
    if (a->r.chat->effort == EFFORT_UNSET || a->r.chat->effort == EFFORT_DYNAMIC)
        a->r.chat->effort = efforts[word];
    return true;
}

static bool read_output_config(struct anthropic_reading *a, struct span v)
{
    if (reading_is_null(v))
        return true;
    if (jval_type(v) != JTYPE_OBJECT)
        return reading_want(&a->r, "output_config", "must be an object");
    a->places->output_config = v;
    for (struct jiter it = jiter_begin(v); jiter_next(&it);) {
        char name[128];

        if (jraw_is(it.key, "effort") || jraw_is(it.key, "format") || reading_is_null(it.value))
            continue;
        snprintf(name, sizeof name, "output_config.%.*s", SPAN_FMT(span_first(it.key, 100)));
        if (!anthropic_note(a, 0, span_str(name), FOREIGN_TUNES))
            return false;
    }
    return read_effort(a, jval_get(v, "effort")) && read_format(a, "output_config.format", jval_get(v, "format"));
}

/* ---- the other members ---- */

static bool read_model(struct anthropic_reading *a, struct span v)
{
    if (!v.p)
        return reading_missing(&a->r, "model");
    a->places->model = v;
    if (jval_type(v) != JTYPE_STRING || jval_raw(v).n == 0 || jval_raw(v).n > 256)
        return reading_want(&a->r, "model", "must be the name of a model or route, of at most 256 bytes");
    return reading_name(&a->r, "model", v, 256, &a->r.chat->model);
}

/* 0 only warms the prompt cache: nothing that another dialect could do. */
static bool read_max_tokens(struct anthropic_reading *a, struct span v, bool required)
{
    if (reading_is_null(v))
        return !required || reading_missing(&a->r, "max_tokens");
    a->places->max_tokens = v;
    if (!reading_int(&a->r, "max_tokens", v, 0, TOKENS_MAX, &a->r.chat->max_tokens))
        return false;
    return a->r.chat->max_tokens > 0 || !required || anthropic_note(a, 0, SPAN_LIT("max_tokens"), FOREIGN_MEANS);
}

static bool read_stops(struct anthropic_reading *a, struct span v)
{
    struct chat *c = a->r.chat;
    size_t i = 0;

    if (reading_is_null(v))
        return true;
    if (jval_type(v) != JTYPE_ARRAY)
        return reading_want(&a->r, "stop_sequences", "must be a list of strings");
    for (struct jiter it = jiter_begin(v); jiter_next(&it); i++) {
        const size_t back = reading_enter_list(&a->r, "stop_sequences", i);
        const struct span raw = jval_raw(it.value);

        if (jval_type(it.value) != JTYPE_STRING || anthropic_blank(raw) || raw.n > STOP_BYTES_MAX)
            return reading_want(&a->r, "", "must be a string that is not only white space, of at most 4096 bytes");
        if (c->n_stops < CHAT_STOPS_MAX)
            c->stops_raw[c->n_stops++] = raw;
        reading_leave(&a->r, back);
    }
    return i <= CHAT_STOPS_MAX || anthropic_note(a, 0, SPAN_LIT("stop_sequences"), FOREIGN_MEANS);
}

static bool read_sampling(struct anthropic_reading *a, const struct span m[M_MEMBERS])
{
    struct chat *c = a->r.chat;

    if (!reading_number(&a->r, "temperature", m[M_TEMPERATURE], 0, 1, &c->temperature_json) ||
        !reading_number(&a->r, "top_p", m[M_TOP_P], 0, 1, &c->top_p_json) ||
        !reading_int(&a->r, "top_k", m[M_TOP_K], 0, TOKENS_MAX, NULL))
        return false;
    if (!reading_is_null(m[M_TOP_K]))
        c->top_k_json = m[M_TOP_K];
    return true;
}

static bool read_metadata(struct anthropic_reading *a, struct span v)
{
    if (!reading_type(&a->r, "metadata", v, JTYPE_OBJECT, "must be an object"))
        return false;
    return reading_raw(&a->r, "metadata.user_id", jval_get(v, "user_id"), &a->r.chat->user_raw);
}

/* `speed` has a price of its own where a model has it, as a service tier has. */
static bool read_tier(struct anthropic_reading *a, struct span tier, struct span speed)
{
    if (!reading_name(&a->r, "service_tier", tier, 64, &a->r.chat->service_tier) ||
        !reading_type(&a->r, "speed", speed, JTYPE_STRING, "must be \"standard\" or \"fast\""))
        return false;
    if (reading_is_null(speed) || jraw_is(jval_raw(speed), "standard"))
        return true;
    return reading_name(&a->r, "speed", speed, 64, &a->r.chat->service_tier) &&
           anthropic_note(a, 0, SPAN_LIT("speed"), FOREIGN_TUNES);
}

static bool is_empty(struct span v)
{
    struct jiter it = jiter_begin(v);

    return reading_is_null(v) || ((jval_type(v) == JTYPE_ARRAY || jval_type(v) == JTYPE_OBJECT) && !jiter_next(&it));
}

/* Edits that forget thinking are what another provider does anyway; agents send them with every request. Other edits change
 * what the model gets to see. */
static bool only_clears_thinking(struct span v)
{
    for (struct jiter it = jiter_begin(v); jiter_next(&it);)
        if (!jraw_is(it.key, "edits"))
            return false;
    for (struct jiter it = jiter_begin(jval_get(v, "edits")); jiter_next(&it);) {
        const struct span type = jval_raw(jval_get(it.value, "type"));

        if (!type.p || !span_starts(type, SPAN_LIT("clear_thinking_")))
            return false;
    }
    return true;
}

/* What only Anthropic's own servers do. Where the work is done (inference_geo) is a promise, not a tuning. */
static bool note_features(struct anthropic_reading *a, const struct span m[M_MEMBERS])
{
    static const int means[] = { M_GEO, M_CONTAINER, M_MCP };

    for (size_t i = 0; i < sizeof means / sizeof means[0]; i++)
        if (!is_empty(m[means[i]]) && !anthropic_note(a, 0, span_str(members[means[i]]), FOREIGN_MEANS))
            return false;
    if (!is_empty(m[M_CONTEXT]) &&
        !anthropic_note(a, 0, SPAN_LIT("context_management"),
                        only_clears_thinking(m[M_CONTEXT]) ? FOREIGN_TUNES : FOREIGN_MEANS))
        return false;
    a->r.chat->unbounded |= !is_empty(m[M_CONTAINER]) || !is_empty(m[M_MCP]);
    return is_empty(m[M_DIAGNOSTICS]) || anthropic_note(a, 0, SPAN_LIT("diagnostics"), FOREIGN_TUNES);
}

/* The top-level mark stands for one on the last block that can have it. */
static bool mark_last(struct anthropic_reading *a, struct span v)
{
    enum cache_mark cache = CACHE_NONE;
    struct chat_item *last = NULL;

    if (!anthropic_read_cache(a, v, &cache))
        return false;
    for (struct chat_turn *t = a->r.chat->turns; cache != CACHE_NONE && t; t = t->next)
        for (struct chat_item *i = t->items; i; i = i->next)
            if (i->kind != ITEM_REASONING)
                last = i;
    if (last && last->cache == CACHE_NONE)
        last->cache = cache;
    return true;
}

/* All members in one pass; those that nobody here knows are noted. */
static bool gather(struct anthropic_reading *a, struct span m[M_MEMBERS])
{
    for (size_t i = 0; i < M_MEMBERS; i++)
        m[i] = SPAN_NONE;
    for (struct jiter it = jiter_begin(a->r.chat->body); jiter_next(&it);) {
        size_t i = 0;

        while (i < M_MEMBERS && !jraw_is(it.key, members[i]))
            i++;
        if (i < M_MEMBERS)
            m[i] = it.value;
        else if (!reading_is_null(it.value) && !anthropic_note(a, 0, it.key, FOREIGN_TUNES))
            return false;
    }
    return true;
}

bool anthropic_parse(struct chat *chat, const struct parse_spec *spec)
{
    struct anthropic_places *places = ARENA_NEW(spec->arena, struct anthropic_places);
    struct anthropic_reading a = { .r = { .chat = chat, .spec = spec }, .places = places };
    enum tri stream = TRI_UNSET;
    struct span m[M_MEMBERS];

    if (!places)
        return reading_no_memory(&a.r);
    if (jval_type(chat->body) != JTYPE_OBJECT)
        return fault_bad(spec->fault, "invalid_json", NULL, "The request body must be a JSON object.");
    chat->places = places;
    if (!gather(&a, m) || !read_model(&a, m[M_MODEL]) || !read_max_tokens(&a, m[M_MAX_TOKENS], !chat->counting) ||
        !reading_bool(&a.r, "stream", m[M_STREAM], &stream) || !anthropic_read_system(&a, m[M_SYSTEM]) ||
        !anthropic_read_messages(&a, m[M_MESSAGES]) || !read_tools(&a, m[M_TOOLS]) || !read_choice(&a, m[M_CHOICE]) ||
        !read_thinking(&a, m[M_THINKING]) || !read_output_config(&a, m[M_OUTPUT_CONFIG]) ||
        !read_format(&a, "output_format", m[M_OUTPUT_FORMAT]) || !read_sampling(&a, m) || !read_stops(&a, m[M_STOPS]) ||
        !read_metadata(&a, m[M_METADATA]) || !read_tier(&a, m[M_TIER], m[M_SPEED]) || !mark_last(&a, m[M_CACHE]) ||
        !note_features(&a, m))
        return false;
    chat->stream = stream == TRI_YES;
    return chat->counting || chat_check_results(chat, "messages", spec->fault);
}
