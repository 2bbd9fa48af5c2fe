/* openai_tools.c - reads `tools` and `tool_choice` of a Chat request. Source: wire/openai-chat sections 2 and 4. */
#include "gateway/dialects/openai_parse.h"

#define TOOLS_MAX 128          /* functions and custom tools of one request, as OpenAI allows */

/* `in`: the member of the tool that is `body`; "" for a bare function. */
static bool parse_function(struct openai_parse *p, struct span json, const char *in, struct span body, bool custom, struct chat_tool *t)
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

static bool parse_tool(struct openai_parse *p, struct span tool, struct chat_tool *t)
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
        if (!reading_name(&p->r, "type", m[0], 128, &t->name) || !openai_foreign_here(p, "", FOREIGN_MEANS))
            return false;
    }
    openai_mark(p, &t->cache, SPAN_NONE, m[1]);
    return true;
}

static bool more_tools(struct openai_parse *p, size_t *room)
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
bool openai_parse_tools(struct openai_parse *p, const char *field, struct span tools)
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
static bool named_tool(struct openai_parse *p, struct span v, struct span *out)
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

static bool parse_allowed(struct openai_parse *p, struct span v)
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

static bool parse_choice_object(struct openai_parse *p, struct span v)
{
    static const char *const words[] = { "function", "custom", "allowed_tools", NULL };
    const int which = reading_word(jval_get(v, "type"), words);

    if (which < 0)    /* of a host's own tool, or newer than we are */
        return openai_foreign(p, SPAN_LIT("tool_choice"), FOREIGN_MEANS);
    if (which == 2)
        return parse_allowed(p, v);
    p->chat->choice = CHOICE_NAMED;
    p->chat->choice_names = ARENA_NEW(p->arena, struct span);
    p->chat->n_choice_names = 1;
    if (!p->chat->choice_names)
        return reading_no_memory(&p->r);
    return named_tool(p, v, p->chat->choice_names);
}

bool openai_parse_choice(struct openai_parse *p, struct span v)
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

bool openai_check_choice(struct openai_parse *p)
{
    const struct chat *c = p->chat;

    for (size_t i = 0; i < c->n_tools; i++)
        if (c->tools[i].kind == TOOL_SERVER)    /* a host's own: what it is called there is not known here */
            return true;
    for (size_t i = 0; i < c->n_choice_names; i++)
        if (!chat_find_tool(c, c->choice_names[i]))
            return reading_want(&p->r, "tool_choice", "must name tools that are in \"tools\"");
    return true;
}
