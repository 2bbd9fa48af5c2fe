/* testing_normal.c - see testing_normal.h: what the four normal forms share, and the neutral form as text. */
#include "gateway/dialects/testing_normal.h"

#include <stdlib.h>

#include "base/jscan.h"
#include "base/jwrite.h"

#define TEXT_MAX (1u << 20)

/* ---- building ---- */

static void *sure(void *p)
{
    if (!p)
        abort();    /* the test's arena is too small */
    return p;
}

static struct span keep(struct normal *n, struct buf *b)
{
    const struct span s = arena_copy(n->arena, buf_span(b));

    if (!buf_ok(b) || !s.p)
        abort();
    buf_free(b);
    return s;
}

void normal_note(struct normal *n, const char *what, const char *fields)
{
    if (n->n_notes == NORMAL_NOTES_MAX)
        abort();
    n->notes[n->n_notes].what = what;
    n->notes[n->n_notes++].fields = fields;
}

void normal_note_once(struct normal *n, const char *what, const char *fields)
{
    for (size_t i = 0; i < n->n_notes; i++)
        if (strcmp(n->notes[i].what, what) == 0 && strcmp(n->notes[i].fields, fields) == 0)
            return;
    normal_note(n, what, fields);
}

void normal_drop(struct normal *n, struct span *value, const char *fields)
{
    if (value->p)
        normal_note(n, "dropped", fields);
    *value = SPAN_NONE;
}

struct chat_turn *normal_turn(struct normal *n, enum chat_role role)
{
    return sure(chat_add_turn(&n->chat, n->arena, role));
}

struct chat_item *normal_item(struct normal *n, struct chat_turn *turn, enum item_kind kind)
{
    return sure(chat_add_item(&n->chat, turn, n->arena, kind));
}

struct chat_item *normal_part(struct normal *n, struct chat_item *result, enum item_kind kind)
{
    return sure(chat_add_part(&n->chat, result, n->arena, kind));
}

struct chat_item *normal_text(struct normal *n, struct chat_turn *turn, struct span raw)
{
    struct chat_item *item = normal_item(n, turn, ITEM_TEXT);

    item->text = raw;
    return item;
}

struct span normal_join(struct normal *n, struct span a, const char *between, struct span b)
{
    struct buf joined;

    buf_init(&joined, TEXT_MAX);
    buf_add_span(&joined, a);
    buf_add_str(&joined, between);
    buf_add_span(&joined, b);
    return keep(n, &joined);
}

struct span normal_escaped(struct normal *n, struct span text)
{
    struct buf b;

    buf_init(&b, TEXT_MAX);
    jw_escaped(&b, text);
    return keep(n, &b);
}

struct span normal_unescaped(struct normal *n, struct span raw)
{
    const struct span text = chat_text(n->arena, raw);

    sure((void *)(uintptr_t)(raw.p ? text.p : ""));
    return text;
}

static struct span trim(struct span s)
{
    while (s.n && strchr(" \t\r\n", s.p[0]))
        s = span_skip(s, 1);
    while (s.n && strchr(" \t\r\n", s.p[s.n - 1]))
        s.n--;
    return s;
}

struct span normal_object(struct normal *n, const struct chat_call *call)
{
    struct span text = call->arguments_json.p ? call->arguments_json : normal_unescaped(n, call->arguments_raw);
    struct buf b;

    if (call->custom) {
        buf_init(&b, TEXT_MAX);
        buf_add_str(&b, "{\"input\":\"");
        buf_add_span(&b, call->arguments_raw);
        buf_add_str(&b, "\"}");
        return keep(n, &b);
    }
    if (trim(text).n == 0)
        return SPAN_LIT("{}");
    if (chat_arguments_ok(call))
        return trim(text);
    normal_note_once(n, "changed", "arguments");
    buf_init(&b, TEXT_MAX);
    buf_add_str(&b, "{\"_raw\":\"");
    jw_escaped(&b, text);
    buf_add_str(&b, "\"}");
    return keep(n, &b);
}

bool normal_blank(struct span raw)
{
    for (size_t i = 0; i < raw.n; i++) {
        if (raw.p[i] == ' ')
            continue;
        if (raw.p[i] != '\\' || !strchr("nrtf", raw.p[i + 1]))
            return false;
        i++;
    }
    return true;
}

bool normal_is_media(const struct chat_item *i)
{
    return i->kind == ITEM_IMAGE || i->kind == ITEM_AUDIO || i->kind == ITEM_FILE;
}

struct span normal_base64(struct normal *n, struct span raw)
{
    const struct span text = normal_unescaped(n, raw);
    struct buf b;

    if (span_find(text, '-') == text.n && span_find(text, '_') == text.n && text.n % 4 == 0)
        return raw;
    buf_init(&b, TEXT_MAX);
    for (size_t i = 0; i < text.n; i++)
        buf_add_char(&b, text.p[i] == '-' ? '+' : text.p[i] == '_' ? '/' : text.p[i]);
    while (b.n % 4)
        buf_add_char(&b, '=');
    return keep(n, &b);
}

void normal_begin(struct normal *n, const struct chat *from)
{
    struct chat *c = &n->chat;

    chat_init(c, c->dialect, SPAN_LIT("{}"));
    c->model = n->target->model;
    c->stream = from->stream;
    c->choice = from->choice;
    c->choice_names = from->choice_names;
    c->n_choice_names = from->n_choice_names;
    c->choice_any = from->choice_any;
    c->parallel = from->parallel;
    c->max_tokens = target_cap(from, n->target);
    c->n = from->n;
    c->temperature_json = from->temperature_json;
    c->top_p_json = from->top_p_json;
    c->top_k_json = from->top_k_json;
    c->presence_json = from->presence_json;
    c->frequency_json = from->frequency_json;
    c->seed_json = from->seed_json;
    c->logit_bias_json = from->logit_bias_json;
    c->n_stops = from->n_stops;
    memcpy(c->stops_raw, from->stops_raw, sizeof c->stops_raw);
    c->logprobs = from->logprobs;
    c->top_logprobs = from->top_logprobs;
    c->format = from->format;
    c->schema_json = from->schema_json;
    c->schema_name_raw = from->schema_name_raw;
    c->schema_description_raw = from->schema_description_raw;
    c->schema_strict = from->schema_strict;
    c->effort = from->effort;
    c->budget = from->budget;
    c->show_reasoning = from->show_reasoning;
    c->verbosity_raw = from->verbosity_raw;
    c->user_raw = from->user_raw;
    c->metadata_json = from->metadata_json;
    c->service_tier = from->service_tier;
    c->cache_key_raw = from->cache_key_raw;
    c->tools = sure(ARENA_ARRAY(n->arena, struct chat_tool, from->n_tools + 1));
    c->n_tools = from->n_tools;
    for (size_t i = 0; i < from->n_tools; i++) {
        c->tools[i] = from->tools[i];
        c->tools[i].space = c->tools[i].bare = SPAN_NONE;
    }
    for (const struct chat_turn *t = from->turns; t && c->dialect != DIALECT_CHAT; t = t->next)
        if (t->name_raw.n)    /* of participants: only Chat has them */
            normal_note_once(n, "dropped", "name");
    for (const struct chat_foreign *f = from->foreign; f; f = f->next)
        if (f->kind == FOREIGN_TUNES)
            normal_note(n, "dropped", f->name.p);    /* a copy with a NUL behind it */
}

bool normal_form(struct normal *n, const struct chat *chat, enum dialect_id to, const struct target *target,
                 struct arena *arena)
{
    *n = (struct normal){ .arena = arena, .target = target };
    n->chat.dialect = to;
    normal_begin(n, chat);
    switch (to) {
    case DIALECT_CHAT: normal_openai(n, chat); return true;
    case DIALECT_RESPONSES: normal_responses(n, chat); return true;
    case DIALECT_ANTHROPIC: normal_anthropic(n, chat); return true;
    case DIALECT_GEMINI: normal_gemini(n, chat); return true;
    default: return false;
    }
}

/* ---- ids ---- */

struct ids {
    const struct chat_turn *turn;
    const struct chat_item *item;
};

static const struct chat_item *next_of(struct ids *at, enum item_kind kind)
{
    for (;;) {
        while (!at->item) {
            if (!at->turn)
                return NULL;
            at->item = at->turn->items;
            at->turn = at->turn->next;
        }
        {
            const struct chat_item *i = at->item;

            at->item = i->next;
            if (i->kind == kind)
                return i;
        }
    }
}

static bool plain_id(struct span id)
{
    for (size_t i = 0; i < id.n; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", id.p[i]) || !id.p[i])
            return false;
    return id.n > 0;
}

/* The id of the chat whose call was written as `theirs`. */
static struct span id_before(const struct chat *chat, const struct chat *back, struct span theirs)
{
    struct ids a = { .turn = chat->turns }, b = { .turn = back->turns };
    const struct chat_item *i, *j;

    while ((i = next_of(&a, ITEM_CALL)) && (j = next_of(&b, ITEM_CALL)))
        if (span_eq(j->call.id, theirs))
            return i->call.id;
    return theirs;
}

bool normal_ids(const struct chat *chat, struct chat *back)
{
    struct ids a = { .turn = chat->turns }, b = { .turn = back->turns };
    const struct chat_item *i, *j;

    while ((i = next_of(&a, ITEM_CALL)) && (j = next_of(&b, ITEM_CALL))) {
        if (plain_id(i->call.id) && !span_eq(i->call.id, j->call.id))
            return false;
        if (!span_eq(id_before(chat, back, j->call.id), i->call.id))
            return false;
    }
    for (b = (struct ids){ .turn = back->turns }; (j = next_of(&b, ITEM_RESULT));)
        ((struct chat_item *)(uintptr_t)j)->result.id = id_before(chat, back, j->result.id);
    for (a = (struct ids){ .turn = chat->turns }, b = (struct ids){ .turn = back->turns };
         (i = next_of(&a, ITEM_CALL)) && (j = next_of(&b, ITEM_CALL));)
        ((struct chat_item *)(uintptr_t)j)->call.id = i->call.id;
    return true;
}

/* ---- as text ---- */

static void show(struct buf *b, const char *name, struct span s)
{
    if (!s.p)
        return;
    buf_add_str(b, " ");
    buf_add_str(b, name);
    buf_add_str(b, "=");
    buf_add_span(b, s);
}

static void show_int(struct buf *b, const char *name, int64_t n)
{
    buf_add_str(b, " ");
    buf_add_str(b, name);
    buf_add_str(b, "=");
    buf_add_int(b, n);
}

static void show_media(struct buf *b, const struct chat_media *m)
{
    static const char *const sources[] = { " bytes", " url", " id", " text" };

    buf_add_str(b, sources[m->source]);
    show(b, "type", m->type.n ? m->type : SPAN_NONE);
    show(b, "data", m->data);
    show(b, "name", m->name_raw.n ? m->name_raw : SPAN_NONE);
    show(b, "detail", m->detail.n ? m->detail : SPAN_NONE);
}

static void show_call(struct buf *b, const struct chat_call *c, const struct names *names)
{
    struct arena scratch;

    arena_init(&scratch, TEXT_MAX);
    show(b, "id", c->id);
    show(b, "name", names_back(names, c->name));
    show(b, c->custom ? "input" : "arguments", c->custom ? c->arguments_raw : chat_arguments(c, &scratch));
    arena_free(&scratch);
}

static void show_items(struct buf *b, const char *indent, const struct chat_item *items, const struct names *names)
{
    static const char *const kinds[] = { "text", "refusal", "image", "audio", "file", "call", "result", "reasoning", "foreign" };
    static const char *const marks[] = { "", " *5m", " *1h" };

    for (const struct chat_item *i = items; i; i = i->next) {
        buf_add_str(b, indent);
        buf_add_str(b, kinds[i->kind]);
        buf_add_str(b, marks[i->cache]);
        if (normal_is_media(i))
            show_media(b, &i->media);
        else if (i->kind == ITEM_CALL)
            show_call(b, &i->call, names);
        else if (i->kind == ITEM_FOREIGN)
            show(b, "json", i->json);
        else if (i->kind != ITEM_RESULT)
            show(b, "raw", i->text.p ? i->text : SPAN_LIT(""));
        if (i->opaque_raw.n) {
            show(b, "opaque", i->opaque_raw);
            show(b, "of", span_str(family_name(i->family)));
        }
        if (i->kind == ITEM_REASONING)
            buf_add_str(b, i->redacted ? " redacted" : "");
        show(b, "item_id", i->id.n ? i->id : SPAN_NONE);
        if (i->kind == ITEM_TEXT)
            show(b, "citations", i->json);
        if (i->kind != ITEM_RESULT)
            continue;
        show(b, "id", i->result.id);
        show(b, "name", names_back(names, i->result.name));
        buf_add_str(b, i->result.is_error ? " error" : "");
        buf_add_str(b, i->result.custom ? " custom" : "");
        show(b, "object", i->result.object_json);
        show_items(b, "\n      ", i->result.parts, names);
    }
}

static void show_tools(struct buf *b, const struct chat *c, const struct names *names)
{
    static const char *const kinds[] = { "function", "custom", "server" }, *const marks[] = { "", " *5m", " *1h" };
    static const char *const choices[] = { "unset", "none", "auto", "any", "named", "allowed" };

    for (size_t i = 0; i < c->n_tools; i++) {
        const struct chat_tool *t = &c->tools[i];

        buf_add_str(b, "\ntool ");
        buf_add_str(b, kinds[t->kind]);
        buf_add_str(b, marks[t->cache]);
        show(b, "name", names_back(names, t->name));
        show(b, "description", t->description_raw);
        show(b, "schema", t->schema_json);
        show_int(b, "strict", t->strict);
        show(b, "format", t->format_json);
    }
    buf_add_str(b, "\nchoice ");
    buf_add_str(b, choices[c->choice]);
    for (size_t i = 0; i < c->n_choice_names; i++)
        show(b, "name", names_back(names, c->choice_names[i]));
    if (c->choice == CHOICE_ALLOWED)
        show_int(b, "any", c->choice_any);
    show_int(b, "parallel", c->parallel);
}

static void show_fields(struct buf *b, const struct chat *c)
{
    static const char *const efforts[] = { "unset", "off", "minimal", "low", "medium", "high", "xhigh", "max", "budget", "dynamic" };

    show_int(b, "\nstream", c->stream);
    show_int(b, "usage", c->usage_asked);
    show_int(b, "\nmax_tokens", c->max_tokens);
    show_int(b, "n", c->n);
    show(b, "temperature", c->temperature_json);
    show(b, "top_p", c->top_p_json);
    show(b, "top_k", c->top_k_json);
    show(b, "presence", c->presence_json);
    show(b, "frequency", c->frequency_json);
    show(b, "seed", c->seed_json);
    show(b, "logit_bias", c->logit_bias_json);
    for (size_t i = 0; i < c->n_stops; i++)
        show(b, "stop", c->stops_raw[i]);
    show_int(b, "logprobs", c->logprobs);
    show_int(b, "top", c->top_logprobs);
    show_int(b, "\nformat", c->format);
    show(b, "schema", c->schema_json);
    show(b, "name", c->schema_name_raw);
    show(b, "description", c->schema_description_raw);
    show_int(b, "strict", c->schema_strict);
    show(b, "\neffort", span_str(efforts[c->effort]));
    if (c->effort == EFFORT_BUDGET)
        show_int(b, "budget", c->budget);
    show_int(b, "show", c->show_reasoning);
    show(b, "verbosity", c->verbosity_raw);
    show(b, "user", c->user_raw.n ? c->user_raw : SPAN_NONE);
    show(b, "metadata", c->metadata_json);
    show(b, "tier", c->service_tier.n ? c->service_tier : SPAN_NONE);
    show(b, "cache_key", c->cache_key_raw);
    for (const struct chat_foreign *f = c->foreign; f; f = f->next)
        show(b, "foreign", f->name);
}

void normal_show(struct buf *b, const struct chat *c, const struct names *names)
{
    static const char *const roles[] = { "system", "user", "assistant" };

    show(b, "model", c->model);
    show_fields(b, c);
    show_tools(b, c, names);
    for (const struct chat_turn *t = c->turns; t; t = t->next) {
        buf_add_str(b, "\n");
        buf_add_str(b, t->developer ? "developer" : roles[t->role]);
        show(b, "name", t->name_raw);
        show_items(b, "\n  ", t->items, names);
    }
    buf_add_str(b, "\n");
}
