/* gemini_tools.c - `tools` and `toolConfig` of a caller's request. */
#include <stdio.h>

#include "gateway/dialects/gemini_read.h"

#define NAME_MAX_BYTES 256

/* Google names no most for its search tool, and bills by the query: a guess that few answers reach, for the reservation. */
#define SEARCHES_GUESS 8

enum { F_NAME, F_DESCRIPTION, F_PARAMETERS, F_JSON_SCHEMA, F_MEMBERS };

static bool read_function(struct reading *r, struct span value, struct chat_tool *tool)
{
    static const char *const names[F_MEMBERS] = { "name", "description", "parameters", "parametersJsonSchema" };
    struct span m[F_MEMBERS];

    if (jval_type(value) != JTYPE_OBJECT)
        return reading_want(r, "", "must be an object with a \"name\"");
    tool->kind = TOOL_FUNCTION;
    tool->json = value;
    if (!gemini_members(r, value, names, F_MEMBERS, m, FOREIGN_TUNES) ||
        !reading_name(r, "name", m[F_NAME], NAME_MAX_BYTES, &tool->name) ||
        !reading_raw(r, "description", m[F_DESCRIPTION], &tool->description_raw) ||
        !reading_type(r, "parameters", m[F_PARAMETERS], JTYPE_OBJECT, "must be a schema object") ||
        !reading_type(r, "parametersJsonSchema", m[F_JSON_SCHEMA], JTYPE_OBJECT, "must be a JSON Schema object"))
        return false;
    if (tool->name.n == 0)
        return reading_missing(r, "name");
    if (m[F_PARAMETERS].p && m[F_JSON_SCHEMA].p)
        return reading_want(r, "parametersJsonSchema", "must not be there beside \"parameters\"");
    tool->schema_json = m[F_JSON_SCHEMA];
    if (m[F_PARAMETERS].p) {
        tool->schema_json = gemini_json_schema(r->spec->arena, m[F_PARAMETERS]);
        return tool->schema_json.p || reading_no_memory(r);
    }
    return true;
}

static bool read_functions(struct reading *r, struct span list)
{
    size_t i = 0;

    if (jval_type(list) != JTYPE_ARRAY)
        return reading_want(r, "functionDeclarations", "must be a list");
    for (struct jiter it = jiter_begin(list); jiter_next(&it); i++) {
        const size_t back = reading_enter(r, ".functionDeclarations[%zu]", i);

        if (!read_function(r, it.value, &r->chat->tools[r->chat->n_tools++]))
            return false;
        reading_leave(r, back);
    }
    return true;
}

/* One that Google runs: search, code, maps... No other dialect's provider could. */
static bool read_server_tool(struct reading *r, struct span key, struct span tool)
{
    struct chat_tool *t = &r->chat->tools[r->chat->n_tools++];
    char name[96];

    gemini_key_text(key, name, sizeof name);
    t->kind = TOOL_SERVER;
    t->name = arena_copy(r->spec->arena, span_str(name));
    t->json = tool;
    if (!t->name.p)
        return reading_no_memory(r);
    if (span_starts(t->name, SPAN_LIT("google")) || span_ends(t->name, SPAN_LIT("Search")))
        r->chat->searches = SEARCHES_GUESS;
    return gemini_foreign(r, name, FOREIGN_MEANS);
}

static bool read_tool(struct reading *r, struct span tool)
{
    for (struct jiter it = jiter_begin(tool); jiter_next(&it);) {
        if (jval_type(it.value) == JTYPE_NULL)
            continue;
        if (!(gemini_key_is(it.key, "functionDeclarations") ? read_functions(r, it.value)
                                                            : read_server_tool(r, it.key, tool)))
            return false;
    }
    return true;
}

/* Every member of every tool may become one, every declaration too. */
static size_t most_tools(struct span tools)
{
    size_t n = 0;

    for (struct jiter it = jiter_begin(tools); jiter_next(&it);)
        for (struct jiter member = jiter_begin(it.value); jiter_next(&member);) {
            n++;
            if (gemini_key_is(member.key, "functionDeclarations"))
                for (struct jiter f = jiter_begin(member.value); jiter_next(&f);)
                    n++;
        }
    return n;
}

bool gemini_read_tools(struct reading *r, struct span tools)
{
    size_t i = 0, most;

    if (jval_type(tools) != JTYPE_ARRAY)
        return reading_want(r, "tools", "must be a list");
    most = most_tools(tools);
    if (most > 2 * CHAT_TOOLS_MAX)
        return reading_want(r, "tools", "must hold at most 512 tools");
    r->chat->tool_bytes = tools.n;
    r->chat->tools = ARENA_ARRAY(r->spec->arena, struct chat_tool, most + 1);
    if (!r->chat->tools)
        return reading_no_memory(r);
    for (struct jiter it = jiter_begin(tools); jiter_next(&it); i++) {
        const size_t back = reading_enter(r, "tools[%zu]", i);

        if (jval_type(it.value) != JTYPE_OBJECT)
            return reading_want(r, "", "must be an object with \"functionDeclarations\"");
        if (!read_tool(r, it.value))
            return false;
        reading_leave(r, back);
    }
    return r->chat->n_tools <= CHAT_TOOLS_MAX || reading_want(r, "tools", "must hold at most 512 tools");
}

/* ---- toolConfig ---- */

enum { MODE_UNSAID, MODE_AUTO, MODE_ANY, MODE_NONE, MODE_VALIDATED };

static bool read_allowed(struct reading *r, struct span list, int mode)
{
    struct chat *chat = r->chat;
    size_t n = 0;

    if (!list.p)
        return true;
    if (jval_type(list) != JTYPE_ARRAY)
        return reading_want(r, "allowedFunctionNames", "must be a list of names");
    for (struct jiter it = jiter_begin(list); jiter_next(&it);)
        n++;
    if (n == 0)
        return true;
    if (n > CHAT_TOOLS_MAX)
        return reading_want(r, "allowedFunctionNames", "must hold at most 512 names");
    if (mode != MODE_ANY && mode != MODE_VALIDATED)
        return reading_want(r, "allowedFunctionNames", "is only allowed with the mode ANY or VALIDATED");
    chat->choice_names = ARENA_ARRAY(r->spec->arena, struct span, n);
    if (!chat->choice_names)
        return reading_no_memory(r);
    for (struct jiter it = jiter_begin(list); jiter_next(&it);) {
        struct span *name = &chat->choice_names[chat->n_choice_names];

        if (!reading_name(r, "allowedFunctionNames", it.value, NAME_MAX_BYTES, name))
            return false;
        if (!chat_find_tool(chat, *name))
            return reading_want(r, "allowedFunctionNames", "names a function that \"tools\" does not declare");
        chat->n_choice_names++;
    }
    chat->choice = mode == MODE_ANY && n == 1 ? CHOICE_NAMED : CHOICE_ALLOWED;
    chat->choice_any = mode == MODE_ANY;
    return true;
}

static bool read_calling(struct reading *r, struct span config)
{
    static const char *const names[] = { "mode", "allowedFunctionNames" };
    static const char *const modes[] = { "MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED", NULL };
    static const char *const small[] = { "mode_unspecified", "auto", "any", "none", "validated", NULL };
    static const enum tool_choice choices[] = { CHOICE_UNSET, CHOICE_AUTO, CHOICE_ANY, CHOICE_NONE, CHOICE_AUTO };
    struct span m[2];
    int mode = MODE_UNSAID;

    if (jval_type(config) != JTYPE_OBJECT)
        return reading_want(r, "", "must be an object with a \"mode\"");
    if (!gemini_members(r, config, names, 2, m, FOREIGN_TUNES))
        return false;
    if (m[0].p) {
        mode = reading_word(m[0], modes);
        if (mode < 0)
            mode = reading_word(m[0], small);
        if (mode < 0)
            return reading_want(r, "mode", "must be AUTO, ANY, NONE or VALIDATED");
    }
    r->chat->choice = choices[mode];
    return read_allowed(r, m[1], mode);
}

bool gemini_read_tool_config(struct reading *r, struct span config)
{
    static const char *const names[] = { "functionCallingConfig" };
    const size_t back = reading_enter(r, "toolConfig");
    struct span calling;

    if (jval_type(config) != JTYPE_OBJECT)
        return reading_want(r, "", "must be an object");
    if (!gemini_members(r, config, names, 1, &calling, FOREIGN_TUNES))
        return false;
    if (calling.p) {
        const size_t deeper = reading_enter(r, ".functionCallingConfig");

        if (!read_calling(r, calling))
            return false;
        reading_leave(r, deeper);
    }
    reading_leave(r, back);
    return true;
}
