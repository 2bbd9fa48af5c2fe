/* testing_normal_gemini.c - what generateContent keeps of a chat, at a model that thinks by levels and takes everything else.
 *
 * Instructions before the conversation are systemInstruction, later ones texts of the user. Neighbours of one side are one
 * content, results first. Parts stay parts; signatures of Gemini's own go along. */
#include "gateway/dialects/gemini.h"
#include "gateway/dialects/testing_normal.h"

struct contents {
    struct normal *n;
    struct chat_turn *open;    /* the content that is being written; NULL: none yet */
};

static struct chat_turn *content(struct contents *o, enum chat_role role)
{
    if (!o->open && role == ROLE_ASSISTANT) {
        normal_note_once(o->n, "changed", "messages|input");
        normal_text(o->n, content(o, ROLE_USER), SPAN_LIT("."));
    }
    if (!o->open || o->open->role != role)
        o->open = normal_turn(o->n, role);
    return o->open;
}

/* ---- items ---- */

static struct span type_of_url(struct span url)
{
    const struct span path = span_first(span_first(url, span_find(url, '?')), span_find(url, '#'));

    return span_ends(path, SPAN_LIT(".png")) ? SPAN_LIT("image/png") : span_ends(path, SPAN_LIT(".jpg")) ? SPAN_LIT("image/jpeg")
           : span_ends(path, SPAN_LIT(".pdf")) ? SPAN_LIT("application/pdf") : SPAN_NONE;
}

/* What a part is follows from its type alone. */
static struct chat_item media(struct normal *n, const struct chat_item *i)
{
    struct chat_item out = { .kind = i->kind, .media = i->media };
    struct chat_media *m = &out.media;

    if (m->detail.n && !span_is(m->detail, "auto"))
        normal_note_once(n, "dropped", "detail");
    m->detail = m->name_raw = SPAN_NONE;
    if (m->source == MEDIA_TEXT) {
        out = (struct chat_item){ .kind = ITEM_TEXT, .text = i->media.data };
        return out;
    }
    if (m->source == MEDIA_URL && !m->type.n)
        m->type = type_of_url(m->data);
    if (m->source == MEDIA_BYTES && !m->type.n)
        m->type = SPAN_LIT("application/pdf");
    out.kind = span_starts(m->type, SPAN_LIT("image/")) ? ITEM_IMAGE : span_starts(m->type, SPAN_LIT("audio/")) ? ITEM_AUDIO : ITEM_FILE;
    return out;
}

static void add_media(struct contents *o, enum chat_role role, const struct chat_item *i)
{
    const struct chat_item part = media(o->n, i);
    struct chat_item *item = normal_item(o->n, content(o, role), part.kind);

    item->text = part.text;
    if (part.kind != ITEM_TEXT)
        item->media = part.media;
}

static void add_text(struct contents *o, enum chat_role role, const struct chat_item *i, bool quoted)
{
    const bool own = i->family == FAMILY_GEMINI && i->opaque_raw.n;
    struct chat_item *item;

    if (i->text.n == 0 && !own)
        return;
    item = normal_text(o->n, content(o, role), i->text);
    if (quoted)
        item->text = normal_join(o->n, SPAN_LIT("<system>"), "", normal_join(o->n, i->text, "", SPAN_LIT("</system>")));
    if (own) {
        item->opaque_raw = i->opaque_raw;
        item->family = FAMILY_GEMINI;
    }
}

/* The constant that stands for a missing signature is read as none. */
static void add_call(struct contents *o, const struct chat_item *i)
{
    const bool own = i->family == FAMILY_GEMINI && i->opaque_raw.n;
    struct chat_item *item = normal_item(o->n, content(o, ROLE_ASSISTANT), ITEM_CALL);

    item->call = (struct chat_call){ .id = i->call.id, .name = i->call.name, .arguments_json = normal_object(o->n, &i->call) };
    item->opaque_raw = own ? i->opaque_raw : SPAN_NONE;
    item->family = FAMILY_GEMINI;
}

/* ---- results ---- */

static struct span trimmed(struct span s)
{
    while (s.n && strchr(" \t\r\n", s.p[0]))
        s = span_skip(s, 1);
    while (s.n && strchr(" \t\r\n", s.p[s.n - 1]))
        s.n--;
    return s;
}

static bool is_object(struct normal *n, struct span raw)
{
    const struct chat_call call = { .arguments_raw = raw };

    return trimmed(normal_unescaped(n, raw)).n && chat_arguments_ok(&call);
}

/* {"output": text} and {"error": text} are texts again when they are read. */
static void put_object(struct normal *n, struct chat_item *item, struct span object)
{
    struct jiter it = jiter_begin(object);
    bool alone;

    item->result.object_json = object;
    if (!jiter_next(&it))
        return;
    item->result.is_error = jraw_is(it.key, "error");
    alone = (item->result.is_error || jraw_is(it.key, "output")) && jval_raw(it.value).p;
    if (!alone)
        return;
    {
        const struct span text = jval_raw(it.value);

        if (jiter_next(&it))
            return;
        item->result.object_json = SPAN_NONE;
        normal_part(n, item, ITEM_TEXT)->text = text;
    }
}

static void add_result(struct contents *o, const struct chat_item *i)
{
    struct normal *n = o->n;
    struct chat_item *item = normal_item(n, content(o, ROLE_USER), ITEM_RESULT);
    struct span text = SPAN_LIT("");

    item->result.id = i->result.id;
    item->result.name = i->result.name;
    for (const struct chat_item *p = i->result.parts; p; p = p->next) {
        const struct span raw = p->kind == ITEM_TEXT ? p->text : normal_is_media(p) && p->media.source == MEDIA_TEXT ? p->media.data
                                                                                                               : SPAN_NONE;

        if (raw.n)
            text = text.n ? normal_join(n, text, "\\n", raw) : raw;
    }
    if (i->result.object_json.p && text.n == 0) {
        put_object(n, item, i->result.object_json);
    } else if (i->result.object_json.p) {    /* a document beside it */
        text = normal_join(n, normal_escaped(n, i->result.object_json), "\\n", text);
        normal_part(n, item, ITEM_TEXT)->text = text;
        item->result.is_error = i->result.is_error;
    } else if (!i->result.is_error && is_object(n, text)) {
        put_object(n, item, trimmed(normal_unescaped(n, text)));
    } else {
        normal_part(n, item, ITEM_TEXT)->text = text;
        item->result.is_error = i->result.is_error;
    }
    for (const struct chat_item *p = i->result.parts; p; p = p->next) {
        struct chat_item part;

        if (!normal_is_media(p) || p->media.source == MEDIA_TEXT)
            continue;
        part = media(n, p);
        normal_part(n, item, part.kind)->media = part.media;
    }
}

/* ---- turns ---- */

static const struct chat_turn *end_of_run(const struct chat_turn *t)
{
    const bool assistant = t->role == ROLE_ASSISTANT;

    while (t && (t->role == ROLE_ASSISTANT) == assistant)
        t = t->next;
    return t;
}

static void add_user(struct contents *o, const struct chat_turn *from, const struct chat_turn *to)
{
    for (const struct chat_turn *t = from; t != to; t = t->next)
        for (const struct chat_item *i = t->items; i; i = i->next)
            if (i->kind == ITEM_RESULT)
                add_result(o, i);
    for (const struct chat_turn *t = from; t != to; t = t->next) {
        if (t->role == ROLE_SYSTEM)
            normal_note_once(o->n, "changed", "role");
        for (const struct chat_item *i = t->items; i; i = i->next)
            if (normal_is_media(i))
                add_media(o, ROLE_USER, i);
            else if (i->kind == ITEM_TEXT || i->kind == ITEM_REFUSAL)
                add_text(o, ROLE_USER, i, t->role == ROLE_SYSTEM);
    }
}

static void add_model(struct contents *o, const struct chat_turn *from, const struct chat_turn *to)
{
    for (const struct chat_turn *t = from; t != to; t = t->next) {
        for (const struct chat_item *i = t->items; i; i = i->next) {
            if (i->kind == ITEM_CALL) {
                add_call(o, i);
            } else if (i->kind == ITEM_REASONING && i->family == FAMILY_GEMINI && i->opaque_raw.n) {
                struct chat_item *item = normal_item(o->n, content(o, ROLE_ASSISTANT), ITEM_REASONING);

                item->text = i->text;
                item->opaque_raw = i->opaque_raw;
                item->family = FAMILY_GEMINI;
            } else if (normal_is_media(i)) {
                add_media(o, ROLE_ASSISTANT, i);
            } else if (i->kind == ITEM_TEXT || i->kind == ITEM_REFUSAL) {
                add_text(o, ROLE_ASSISTANT, i, false);
            }
        }
    }
}

static const struct chat_turn *add_system(struct normal *n, const struct chat *from)
{
    const struct chat_turn *t = from->turns;
    struct chat_turn *out = NULL;

    for (; t && t->role == ROLE_SYSTEM; t = t->next)
        for (const struct chat_item *i = t->items; i; i = i->next) {
            const struct span raw = i->kind == ITEM_TEXT ? i->text : normal_is_media(i) ? i->media.data : SPAN_NONE;

            if (raw.n == 0)
                continue;
            out = out ? out : normal_turn(n, ROLE_SYSTEM);
            normal_text(n, out, raw);
        }
    return t;
}

static void add_turns(struct normal *n, const struct chat *from)
{
    const struct chat_turn *t = add_system(n, from), *end;
    struct contents o = { .n = n };

    for (; t; t = end) {
        end = end_of_run(t);
        if (t->role == ROLE_ASSISTANT)
            add_model(&o, t, end);
        else
            add_user(&o, t, end);
    }
    if (!o.open) {
        normal_note_once(n, "changed", "messages|input");
        normal_text(n, content(&o, ROLE_USER), SPAN_LIT("."));
    }
}

/* ---- the rest ---- */

static void add_tools(struct normal *n, const struct chat *from)
{
    struct chat *c = &n->chat;

    for (size_t i = 0; i < c->n_tools; i++) {
        struct chat_tool *t = &c->tools[i];

        t->cache = CACHE_NONE;
        if (t->strict == TRI_YES)
            normal_note_once(n, "dropped", "strict");
        t->strict = TRI_UNSET;
        if (t->kind == TOOL_CUSTOM)
            t->schema_json = SPAN_LIT(UNWRAP_SCHEMA);
        t->kind = TOOL_FUNCTION;
        if (t->format_json.p)
            normal_note_once(n, "dropped", "format");
        t->format_json = SPAN_NONE;
    }
    c->parallel = TRI_UNSET;
    n->one_call = c->n_tools && from->parallel == TRI_NO;
    if (n->one_call)
        normal_note(n, "changed", "parallel_tool_calls|tool_choice.disable_parallel_tool_use");
    if (c->n_tools == 0) {
        c->choice = CHOICE_UNSET;
        c->n_choice_names = 0;
    }
    if (c->choice == CHOICE_ALLOWED && c->choice_any && c->n_choice_names == 1)
        c->choice = CHOICE_NAMED;
}

static enum effort level(int64_t budget)
{
    return budget < 4608 ? EFFORT_LOW : budget < 16384 ? EFFORT_MEDIUM : EFFORT_HIGH;
}

static void add_thinking(struct normal *n, const struct chat *from)
{
    static const char fields[] = "reasoning_effort|reasoning.effort|thinking";
    const bool thinks = from->effort != EFFORT_UNSET && from->effort != EFFORT_OFF;
    const bool shown = from->dialect == DIALECT_ANTHROPIC && from->show_reasoning == TRI_UNSET && thinks;
    struct chat *c = &n->chat;

    c->show_reasoning = from->show_reasoning == TRI_YES || shown ? TRI_YES : TRI_UNSET;
    switch (from->effort) {
    case EFFORT_OFF:    /* no level switches thinking off */
        normal_note(n, "changed", fields);
        c->effort = EFFORT_MINIMAL;
        break;
    case EFFORT_XHIGH: case EFFORT_MAX:
        c->effort = EFFORT_HIGH;
        break;
    case EFFORT_BUDGET:
        c->effort = level(from->budget);
        break;
    case EFFORT_DYNAMIC:
        c->effort = EFFORT_UNSET;
        break;
    default:
        break;
    }
}

void normal_gemini(struct normal *n, const struct chat *from)
{
    struct chat *c = &n->chat;
    int64_t seed;

    add_turns(n, from);
    add_tools(n, from);
    add_thinking(n, from);
    if (!jval_int(c->seed_json, &seed) || seed < INT32_MIN || seed > INT32_MAX)
        normal_drop(n, &c->seed_json, "seed");
    normal_drop(n, &c->logit_bias_json, "logit_bias");
    normal_drop(n, &c->verbosity_raw, "verbosity|text.verbosity");
    if (!c->logprobs || c->top_logprobs == 0)
        c->top_logprobs = -1;
    c->schema_name_raw = c->schema_description_raw = SPAN_NONE;
    c->schema_strict = TRI_UNSET;
    c->user_raw = c->metadata_json = c->cache_key_raw = SPAN_NONE;
    c->usage_asked = false;
    if (span_is(c->service_tier, "turbo"))
        normal_drop(n, &c->service_tier, "service_tier");
    if (!span_is(c->service_tier, "flex") && !span_is(c->service_tier, "priority"))
        c->service_tier = SPAN_NONE;
}
