/* responses_tools.c - reads `tools` and `tool_choice` of a Responses request.
 *
 * Tools are flat here: name and parameters stand beside the type. OpenAI's own tools are kept whole and refused elsewhere; the
 * functions of a namespace become functions with both names in one, as other dialects have no namespaces.
 * Source: wire/openai-responses section 4. */
#include <stdio.h>

#include "gateway/dialects/responses_parts.h"

#define TOOL_NAME_MAX 256

/* ---- tools ---- */

enum { T_TYPE, T_NAME, T_DESCRIPTION, T_PARAMETERS, T_STRICT, T_FORMAT, T_TOOLS, T_MEMBERS };

static void tool_members(struct span tool, struct span m[T_MEMBERS])
{
    static const char *const names[T_MEMBERS] = { "type", "name", "description", "parameters", "strict", "format", "tools" };

    jval_members(tool, names, T_MEMBERS, m);
}

static bool read_tool_name(struct responses_reading *p, struct span v, struct span *out)
{
    if (jval_type(v) != JTYPE_STRING || jval_raw(v).n == 0)
        return reading_want(&p->r, "name", "must be a name");
    return reading_name(&p->r, "name", v, TOOL_NAME_MAX, out);
}

static struct chat_tool *next_tool(struct responses_reading *p)
{
    struct chat *c = p->r.chat;

    if (c->n_tools == CHAT_TOOLS_MAX) {
        reading_want(&p->r, "", "is one tool too many: at most 512 are taken");
        return NULL;
    }
    return &c->tools[c->n_tools++];
}

static bool read_function(struct responses_reading *p, struct span tool, const struct span m[T_MEMBERS], struct span space)
{
    struct chat_tool *t = next_tool(p);

    if (!t)
        return false;
    t->kind = TOOL_FUNCTION;
    t->json = tool;
    if (!read_tool_name(p, m[T_NAME], &t->name) ||
        !reading_type(&p->r, "parameters", m[T_PARAMETERS], JTYPE_OBJECT, "must be a JSON Schema object") ||
        !reading_raw(&p->r, "description", m[T_DESCRIPTION], &t->description_raw) ||
        !reading_bool(&p->r, "strict", m[T_STRICT], &t->strict))
        return false;
    if (!reading_is_null(m[T_PARAMETERS]))
        t->schema_json = m[T_PARAMETERS];
    if (!space.p)
        return true;
    t->space = space;
    t->bare = t->name;
    t->name = responses_join_name(p->r.spec->arena, space, t->bare);
    return t->name.p || reading_no_memory(&p->r);
}

static bool read_custom(struct responses_reading *p, struct span tool, const struct span m[T_MEMBERS])
{
    struct chat_tool *t = next_tool(p);

    if (!t)
        return false;
    t->kind = TOOL_CUSTOM;
    t->json = tool;
    if (!reading_type(&p->r, "format", m[T_FORMAT], JTYPE_OBJECT, "must be an object"))
        return false;
    if (!reading_is_null(m[T_FORMAT]))
        t->format_json = m[T_FORMAT];
    return read_tool_name(p, m[T_NAME], &t->name) &&
           reading_raw(&p->r, "description", m[T_DESCRIPTION], &t->description_raw);
}

static bool note_server(struct responses_reading *p, enum foreign_kind kind)
{
    char where[160];

    snprintf(where, sizeof where, "%s.type", p->r.at);
    return chat_add_foreign(p->r.chat, p->r.spec->arena, span_str(where), kind) || reading_no_memory(&p->r);
}

/* A search that must not reach the web but OpenAI's own copy of it. Codex offers one in every request to every provider
 * (measured, 0.169), and an answer never depends on it: so it tunes, where a search of the web would be missed. */
static bool is_offline_search(struct span tool, struct span type)
{
    return jval_type(type) == JTYPE_STRING && jraw_is(jval_raw(type), "web_search") &&
           jval_type(jval_get(tool, "external_web_access")) == JTYPE_FALSE;
}

/* Runs at OpenAI; also a kind that is newer than we are. */
static bool read_server(struct responses_reading *p, struct span tool, struct span type)
{
    struct chat_tool *t;

    if (is_offline_search(tool, type)) {
        p->offline_search = true;
        return note_server(p, FOREIGN_TUNES);
    }
    t = next_tool(p);
    if (!t)
        return false;
    t->kind = TOOL_SERVER;
    t->json = tool;
    return reading_name(&p->r, "type", type, TOOL_NAME_MAX, &t->name) && note_server(p, FOREIGN_MEANS);
}

static bool read_namespace(struct responses_reading *p, const struct span m[T_MEMBERS])
{
    struct span space = SPAN_NONE;
    size_t i = 0;

    if (!read_tool_name(p, m[T_NAME], &space))
        return false;
    if (jval_type(m[T_TOOLS]) != JTYPE_ARRAY)
        return reading_want(&p->r, "tools", "must be a list");
    for (struct jiter it = jiter_begin(m[T_TOOLS]); jiter_next(&it); i++) {
        const size_t back = reading_enter(&p->r, ".tools[%zu]", i);
        struct span inner[T_MEMBERS];
        bool ok;

        if (jval_type(it.value) != JTYPE_OBJECT)
            return reading_want(&p->r, "", "must be an object");
        tool_members(it.value, inner);
        ok = jval_type(inner[T_TYPE]) == JTYPE_STRING && jraw_is(jval_raw(inner[T_TYPE]), "function")
                 ? read_function(p, it.value, inner, space)
                 : read_server(p, it.value, inner[T_TYPE]);
        if (!ok)
            return false;
        reading_leave(&p->r, back);
    }
    return true;
}

static bool read_tool(struct responses_reading *p, struct span tool)
{
    static const char *const types[] = { "function", "custom", "namespace", NULL };
    struct span m[T_MEMBERS];

    if (jval_type(tool) != JTYPE_OBJECT)
        return reading_want(&p->r, "", "must be an object");
    tool_members(tool, m);
    if (jval_type(m[T_TYPE]) != JTYPE_STRING)
        return reading_want(&p->r, "type", "must name the kind of tool, such as \"function\"");
    p->r.chat->tool_bytes += tool.n;
    switch (reading_word(m[T_TYPE], types)) {
    case 0:
        return read_function(p, tool, m, SPAN_NONE);
    case 1:
        return read_custom(p, tool, m);
    case 2:
        return read_namespace(p, m);
    default:
        return read_server(p, tool, m[T_TYPE]);
    }
}

static size_t count(struct span list)
{
    size_t n = 0;

    for (struct jiter it = jiter_begin(list); jiter_next(&it);)
        n++;
    return n;
}

/* How many tools there are with those of namespaces, or somewhat more. */
static size_t count_tools(struct span list)
{
    size_t n = 0;

    for (struct jiter it = jiter_begin(list); jiter_next(&it);)
        n += 1 + (jval_type(it.value) == JTYPE_OBJECT ? count(jval_get(it.value, "tools")) : 0);
    return n < CHAT_TOOLS_MAX ? n : CHAT_TOOLS_MAX;
}

bool responses_read_tools(struct responses_reading *p, const char *name, struct span v)
{
    size_t i = 0;

    if (!reading_type(&p->r, name, v, JTYPE_ARRAY, "must be a list"))
        return false;
    if (reading_is_null(v))
        return true;
    p->r.chat->tools = ARENA_ARRAY(p->r.spec->arena, struct chat_tool, count_tools(v) + 1);
    if (!p->r.chat->tools)
        return reading_no_memory(&p->r);
    for (struct jiter it = jiter_begin(v); jiter_next(&it); i++) {
        const size_t back = reading_enter(&p->r, "%s[%zu]", name, i);

        if (!read_tool(p, it.value))
            return false;
        reading_leave(&p->r, back);
    }
    return true;
}

/* ---- the choice among them ---- */

/* A function by its name; one of a namespace also by its bare one. */
static const struct chat_tool *find(const struct chat *c, struct span name)
{
    const struct chat_tool *t = chat_find_tool(c, name);

    for (size_t i = 0; !t && i < c->n_tools; i++)
        if (c->tools[i].space.p && span_eq(c->tools[i].bare, name))
            t = &c->tools[i];
    return t;
}

static bool choose_named(struct responses_reading *p, struct span v)
{
    struct chat *c = p->r.chat;
    const struct chat_tool *t;
    struct span name = SPAN_NONE;

    if (!read_tool_name(p, jval_get(v, "name"), &name))
        return false;
    t = find(c, name);
    if (!t)
        return reading_want(&p->r, "name", "must be the name of one of the tools");
    c->choice_names = ARENA_NEW(p->r.spec->arena, struct span);
    if (!c->choice_names)
        return reading_no_memory(&p->r);
    c->choice_names[0] = t->name;
    c->n_choice_names = 1;
    c->choice = CHOICE_NAMED;
    return true;
}

static bool foreign_choice(struct responses_reading *p)
{
    return chat_add_foreign(p->r.chat, p->r.spec->arena, SPAN_LIT("tool_choice"), FOREIGN_MEANS) || reading_no_memory(&p->r);
}

static bool allow_one(struct responses_reading *p, struct span v, bool *server)
{
    static const char *const types[] = { "function", "custom", NULL };
    struct chat *c = p->r.chat;
    const struct chat_tool *t;
    struct span name = SPAN_NONE;

    if (jval_type(v) != JTYPE_OBJECT || jval_type(jval_get(v, "type")) != JTYPE_STRING)
        return reading_want(&p->r, "", "must be an object with a \"type\"");
    if (reading_word(jval_get(v, "type"), types) < 0) {
        *server = true;
        return true;
    }
    if (!read_tool_name(p, jval_get(v, "name"), &name))
        return false;
    t = find(c, name);
    if (!t)
        return reading_want(&p->r, "name", "must be the name of one of the tools");
    c->choice_names[c->n_choice_names++] = t->name;
    return true;
}

static bool choose_allowed(struct responses_reading *p, struct span v)
{
    static const char *const modes[] = { "auto", "required", NULL };
    const struct span list = jval_get(v, "tools");
    const int mode = reading_word(jval_get(v, "mode"), modes);
    struct chat *c = p->r.chat;
    bool server = false;
    size_t i = 0;

    if (mode < 0)
        return reading_want(&p->r, "mode", "must be \"auto\" or \"required\"");
    if (jval_type(list) != JTYPE_ARRAY)
        return reading_want(&p->r, "tools", "must be a list of tools");
    if (count(list) > CHAT_TOOLS_MAX)
        return reading_want(&p->r, "tools", "must hold at most 512 tools");
    c->choice_names = ARENA_ARRAY(p->r.spec->arena, struct span, count(list) + 1);
    if (!c->choice_names)
        return reading_no_memory(&p->r);
    for (struct jiter it = jiter_begin(list); jiter_next(&it); i++) {
        const size_t back = reading_enter(&p->r, ".tools[%zu]", i);

        if (!allow_one(p, it.value, &server))
            return false;
        reading_leave(&p->r, back);
    }
    c->choice = CHOICE_ALLOWED;
    c->choice_any = mode == 1;
    return !server || foreign_choice(p);
}

bool responses_read_choice(struct responses_reading *p)
{
    static const char *const words[] = { "none", "auto", "required", NULL };
    static const enum tool_choice choices[] = { CHOICE_NONE, CHOICE_AUTO, CHOICE_ANY };
    static const char *const types[] = { "function", "custom", "allowed_tools", NULL };
    const struct span v = p->tool_choice;
    const int word = reading_word(v, words);
    size_t back;
    bool ok;

    if (reading_is_null(v))
        return true;
    if (word >= 0) {
        p->r.chat->choice = choices[word];
        return true;
    }
    if (jval_type(v) != JTYPE_OBJECT || jval_type(jval_get(v, "type")) != JTYPE_STRING)
        return reading_want(&p->r, "tool_choice", "must be \"none\", \"auto\", \"required\" or an object that names a tool");
    back = reading_enter(&p->r, "tool_choice");
    switch (reading_word(jval_get(v, "type"), types)) {
    case 0: case 1:
        ok = choose_named(p, v);
        break;
    case 2:
        ok = choose_allowed(p, v);
        break;
    default:
        ok = foreign_choice(p);
    }
    if (ok)
        reading_leave(&p->r, back);
    return ok;
}
