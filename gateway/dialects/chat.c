/* chat.c - see chat.h: lists that grow in the arena, and what every dialect asks of them. */
#include "gateway/dialects/chat.h"

#include <stdio.h>
#include <stdlib.h>

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

/* A call and whether a result of its stretch has answered it. */
struct asked_call {
    const struct chat_item *item;
    bool answered;
};
#define FEW_CALLS 16

static int by_id(const void *a, const void *b)
{
    const struct span x = ((const struct asked_call *)a)->item->call.id, y = ((const struct asked_call *)b)->item->call.id;
    const int order = memcmp(x.p ? x.p : "", y.p ? y.p : "", x.n < y.n ? x.n : y.n);

    return order ? order : (x.n > y.n) - (x.n < y.n);
}

static struct asked_call *find_call(struct asked_call *calls, size_t n, struct span id)
{
    const struct chat_item wanted = { .call = { .id = id } };
    const struct asked_call key = { .item = &wanted };

    if (n > FEW_CALLS)
        return bsearch(&key, calls, n, sizeof *calls, by_id);
    for (size_t i = 0; i < n; i++)
        if (span_eq(calls[i].item->call.id, id))
            return &calls[i];
    return NULL;
}

/* One result for each call, one call for each result: `calls` are those of the assistant turns before `from`. */
static bool check_stretch(struct asked_call *calls, size_t n, struct chat_turn *from, const struct chat_turn *to,
                          const char *field, struct fault *fault)
{
    if (n > FEW_CALLS)
        qsort(calls, n, sizeof *calls, by_id);
    for (struct chat_turn *t = from; t != to; t = t->next)
        for (struct chat_item *i = t->items; i; i = i->next) {
            struct asked_call *c = i->kind == ITEM_RESULT ? find_call(calls, n, i->result.id) : NULL;

            if (i->kind != ITEM_RESULT)
                continue;
            if (!c)
                return bad_id(fault, field, "the result '%.*s' answers no tool call of the turn before it", i->result.id);
            if (c->answered)
                return bad_id(fault, field, "the tool call '%.*s' has two results", i->result.id);
            c->answered = true;
            if (!i->result.name.p)
                i->result.name = c->item->call.name;
        }
    for (size_t i = 0; i < n; i++)
        if (!calls[i].answered)
            return bad_id(fault, field, "the tool call '%.*s' has no result", calls[i].item->call.id);
    return true;
}

/* An assistant may say its calls in several turns in a row (Responses does): they count as one. */
static bool gather_and_check(const struct chat_turn *assistant, struct chat_turn *from, const struct chat_turn *to,
                             const char *field, struct fault *fault)
{
    struct asked_call few[FEW_CALLS], *calls = few;
    size_t n = 0, k = 0;
    bool ok;

    for (const struct chat_turn *t = assistant; t != from; t = t->next)
        for (const struct chat_item *i = t->items; i; i = i->next)
            n += i->kind == ITEM_CALL;
    if (n > FEW_CALLS)
        calls = calloc(n, sizeof *calls);
    if (!calls)
        return fault_set(fault, 503, "server_error", "overloaded", NULL, "The gateway is short of memory.");
    for (const struct chat_turn *t = assistant; t != from; t = t->next)
        for (const struct chat_item *i = t->items; i; i = i->next)
            if (i->kind == ITEM_CALL)
                calls[k++] = (struct asked_call){ .item = i };
    ok = check_stretch(calls, n, from, to, field, fault);
    if (calls != few)
        free(calls);
    return ok;
}

bool chat_check_results(struct chat *chat, const char *field, struct fault *fault)
{
    struct chat_turn *t = chat->turns;

    while (t) {
        const struct chat_turn *assistant = t, *to;
        struct chat_turn *from;

        while (t && t->role == ROLE_ASSISTANT)
            t = t->next;
        from = t;
        while (t && t->role != ROLE_ASSISTANT)
            t = t->next;
        to = t;
        if (!from)
            return true;    /* the last turn is the assistant's: a beginning to be continued, or calls being answered now */
        if (!gather_and_check(assistant, from, to, field, fault))
            return false;
    }
    return true;
}

/* ---- texts ---- */

struct span chat_arguments(const struct chat_call *call, struct arena *arena)
{
    if (call->arguments_json.p)
        return call->arguments_json;
    return call->arguments_raw.p ? chat_text(arena, call->arguments_raw) : SPAN_LIT("");
}

static bool is_object(struct span text)
{
    struct jscan *s = jscan_new(&jscan_default_limits, 1);
    bool ok;

    if (!s)
        return false;
    ok = jscan_feed(s, text) != JSCAN_BAD && jscan_end(s) == JSCAN_DONE && jval_type(text) == JTYPE_OBJECT;
    jscan_free(s);
    return ok;
}

bool chat_arguments_ok(const struct chat_call *call)
{
    const struct span raw = call->arguments_raw;
    struct span text;
    char *copy;
    bool ok;

    if (call->custom)
        return true;
    if (call->arguments_json.p)    /* scanned with the body */
        return jval_type(call->arguments_json) == JTYPE_OBJECT;
    if (span_trim(raw).n == 0)
        return true;
    copy = malloc(raw.n);
    if (!copy)
        return false;
    text = (struct span){ copy, jraw_unescape(raw, copy) };
    ok = is_object(text);
    free(copy);
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
