/* chat.c - see chat.h: lists that grow in the arena, and what every dialect asks of them. */
#include "gateway/dialects/chat.h"

#include <stdio.h>

#include "base/jscan.h"
#include "gateway/dialects/fault.h"

void chat_init(struct chat *chat, enum dialect_id dialect, struct span body)
{
    *chat = (struct chat){ .dialect = dialect, .body = body, .n = 1, .top_logprobs = -1 };
}

struct chat_turn *chat_add_turn(struct chat *chat, struct arena *arena, enum chat_role role)
{
    struct chat_turn *t = ARENA_NEW(arena, struct chat_turn);

    if (!t)
        return NULL;
    t->role = role;
    if (chat->last_turn)
        chat->last_turn->next = t;
    else
        chat->turns = t;
    chat->last_turn = t;
    chat->n_messages++;
    chat->n_user_turns += role == ROLE_USER;
    return t;
}

static struct chat_item *new_item(struct chat *chat, struct arena *arena, enum item_kind kind)
{
    struct chat_item *item = ARENA_NEW(arena, struct chat_item);

    if (!item)
        return NULL;
    item->kind = kind;
    chat->n_images += kind == ITEM_IMAGE;
    chat->n_audio += kind == ITEM_AUDIO;
    chat->n_files += kind == ITEM_FILE;
    return item;
}

struct chat_item *chat_add_item(struct chat *chat, struct chat_turn *turn, struct arena *arena, enum item_kind kind)
{
    struct chat_item *item = new_item(chat, arena, kind);

    if (!item)
        return NULL;
    if (turn->last)
        turn->last->next = item;
    else
        turn->items = item;
    turn->last = item;
    return item;
}

struct chat_item *chat_add_part(struct chat *chat, struct chat_item *result, struct arena *arena, enum item_kind kind)
{
    struct chat_item *item = new_item(chat, arena, kind);

    if (!item)
        return NULL;
    if (result->result.last_part)
        result->result.last_part->next = item;
    else
        result->result.parts = item;
    result->result.last_part = item;
    return item;
}

bool chat_add_foreign(struct chat *chat, struct arena *arena, struct span name, enum foreign_kind kind)
{
    struct chat_foreign *f = ARENA_NEW(arena, struct chat_foreign);

    if (!f)
        return false;
    f->name = arena_copy(arena, span_first(name, 128));
    f->kind = kind;
    if (chat->last_foreign)
        chat->last_foreign->next = f;
    else
        chat->foreign = f;
    chat->last_foreign = f;
    return f->name.p != NULL;
}

const struct chat_tool *chat_find_tool(const struct chat *chat, struct span name)
{
    for (size_t i = 0; i < chat->n_tools; i++)
        if (chat->tools[i].kind != TOOL_SERVER && span_eq(chat->tools[i].name, name))
            return &chat->tools[i];
    return NULL;
}

const struct chat_call *chat_find_call(const struct chat *chat, struct span id)
{
    const struct chat_call *found = NULL;

    for (const struct chat_turn *t = chat->turns; t; t = t->next)
        for (const struct chat_item *i = t->items; i; i = i->next)
            if (i->kind == ITEM_CALL && span_eq(i->call.id, id))
                found = &i->call;
    return found;
}

/* ---- are calls and results in order? ---- */

static bool bad_id(struct fault *fault, const char *field, const char *fmt, struct span id)
{
    char words[160];

    snprintf(words, sizeof words, fmt, SPAN_FMT(span_first(id, 96)));
    return fault_bad(fault, "invalid_value", field, "Invalid value for '%s': %s.", field, words);
}

static size_t calls_of(const struct chat_turn *t)
{
    size_t n = 0;

    for (const struct chat_item *i = t->items; i; i = i->next)
        n += i->kind == ITEM_CALL;
    return n;
}

static const struct chat_item *call_in(const struct chat_turn *t, struct span id)
{
    for (const struct chat_item *i = t ? t->items : NULL; i; i = i->next)
        if (i->kind == ITEM_CALL && span_eq(i->call.id, id))
            return i;
    return NULL;
}

/* The results that stand between two assistant turns, against the calls of the first. An assistant may say its calls in
 * several turns in a row (Responses does): they count as one. */
static bool check_stretch(const struct chat_turn *calls, const struct chat_turn *from, const struct chat_turn *to,
                          const char *field, struct fault *fault)
{
    size_t wanted = 0, found = 0;

    for (const struct chat_turn *t = calls; t != from; t = t->next)
        wanted += calls_of(t);
    for (const struct chat_turn *t = from; t != to; t = t->next)
        for (const struct chat_item *i = t->items; i; i = i->next) {
            bool known = false;

            if (i->kind != ITEM_RESULT)
                continue;
            for (const struct chat_turn *c = calls; c != from && !known; c = c->next)
                known = call_in(c, i->result.id) != NULL;
            if (!known)
                return bad_id(fault, field, "the result '%.*s' answers no tool call of the turn before it", i->result.id);
            for (const struct chat_item *j = t->items; j != i; j = j->next)
                if (j->kind == ITEM_RESULT && span_eq(j->result.id, i->result.id))
                    return bad_id(fault, field, "the tool call '%.*s' has two results", i->result.id);
            found++;
        }
    if (found < wanted)
        for (const struct chat_turn *c = calls; c != from; c = c->next)
            for (const struct chat_item *i = c->items; i; i = i->next) {
                bool answered = false;

                if (i->kind != ITEM_CALL)
                    continue;
                for (const struct chat_turn *t = from; t != to; t = t->next)
                    for (const struct chat_item *r = t->items; r; r = r->next)
                        answered |= r->kind == ITEM_RESULT && span_eq(r->result.id, i->call.id);
                if (!answered)
                    return bad_id(fault, field, "the tool call '%.*s' has no result", i->call.id);
            }
    return true;
}

bool chat_check_results(const struct chat *chat, const char *field, struct fault *fault)
{
    const struct chat_turn *t = chat->turns;

    while (t) {
        const struct chat_turn *calls = t, *from, *to;

        while (t && t->role == ROLE_ASSISTANT)
            t = t->next;
        from = t;
        while (t && t->role != ROLE_ASSISTANT)
            t = t->next;
        to = t;
        if (!from)
            return true;    /* the last turn is the assistant's: a beginning to be continued, or calls being answered now */
        if (!check_stretch(calls, from, to, field, fault))
            return false;
    }
    return true;
}

/* ---- texts ---- */

bool chat_arguments_ok(const struct chat_call *call)
{
    struct jscan *s;
    bool ok;

    if (call->custom || span_trim(call->arguments).n == 0)
        return true;
    s = jscan_new(&jscan_default_limits, 1);
    if (!s)
        return false;
    ok = jscan_feed(s, call->arguments) != JSCAN_BAD && jscan_end(s) == JSCAN_DONE &&
         jval_type(call->arguments) == JTYPE_OBJECT;
    jscan_free(s);
    return ok;
}

struct span chat_text(struct arena *arena, struct span raw)
{
    char *copy;

    if (!raw.p || span_find(raw, '\\') == raw.n)
        return raw;
    copy = arena_alloc(arena, raw.n + 1, 1);
    if (!copy)
        return SPAN_NONE;
    return (struct span){ copy, jraw_unescape(raw, copy) };
}

const char *family_name(enum family f)
{
    static const char *const names[] = { [FAMILY_NONE] = "none", [FAMILY_OPENAI] = "openai", [FAMILY_ANTHROPIC] = "anthropic",
                                         [FAMILY_GEMINI] = "gemini", [FAMILY_DEEPSEEK] = "deepseek" };

    return names[f];
}
