/* testing_normal_responses.c - what Responses keeps of a chat, at OpenAI and a model that takes everything.
 *
 * The dialect has items and no turns: the chat is written as items here, which then are put into turns by the rule that one
 * answer of a model (reasoning, text, calls) is one turn, and the results behind it another. */
#include "gateway/dialects/responses.h"
#include "gateway/dialects/testing_normal.h"

struct items {
    struct normal *n;
    struct chat_turn *open;        /* the message that is being written; NULL */
    bool has_text, has_call;       /* of the last turn, while it is the assistant's */
    bool any;                      /* an item has been written: the input must not be empty */
};

static struct chat_turn *assistant(struct items *o, bool text)
{
    struct chat_turn *last = o->n->chat.last_turn;

    if (last && last->role == ROLE_ASSISTANT && !(text && o->has_text && !o->has_call))
        return last;
    o->has_text = o->has_call = false;
    return normal_turn(o->n, ROLE_ASSISTANT);
}

static struct chat_turn *message(struct items *o, const struct chat_turn *t)
{
    o->any = true;
    if (o->open)
        return o->open;
    if (t->role == ROLE_ASSISTANT) {
        o->open = assistant(o, true);
        o->has_text = true;
    } else {
        o->open = normal_turn(o->n, t->role);
        o->open->developer = t->developer;
    }
    return o->open;
}

static void add_media(struct normal *n, struct chat_item *item, const struct chat_media *m)
{
    if (m->source == MEDIA_TEXT) {
        item->kind = ITEM_TEXT;
        item->text = m->data;
        item->media = (struct chat_media){ .source = MEDIA_BYTES };
        return;
    }
    item->media = *m;
    if (m->source == MEDIA_BYTES) {
        item->media.data = normal_base64(n, m->data);
        if (!m->type.n)
            item->media.type = item->kind == ITEM_IMAGE ? SPAN_LIT("image/png") : SPAN_LIT("application/pdf");
        item->media.name_raw = item->kind == ITEM_IMAGE ? SPAN_NONE : m->name_raw.n ? m->name_raw : SPAN_LIT("document.pdf");
    } else {
        item->media.type = item->media.name_raw = SPAN_NONE;
    }
    if (item->kind == ITEM_FILE)
        item->media.detail = SPAN_NONE;
}

static void add_call(struct items *o, const struct chat_item *i)
{
    struct chat_item *item = normal_item(o->n, assistant(o, false), ITEM_CALL);

    o->open = NULL;
    o->any = o->has_call = true;
    item->call = i->call;
    if (!i->call.custom && !i->call.arguments_json.p && i->call.arguments_raw.n == 0)
        item->call.arguments_raw = SPAN_LIT("{}");
}

static void add_reasoning(struct items *o, const struct chat_item *i)
{
    struct chat_item *item;

    if (i->family != FAMILY_OPENAI || i->opaque_raw.n == 0)
        return;
    o->open = NULL;
    o->any = true;
    item = normal_item(o->n, assistant(o, false), ITEM_REASONING);
    item->text = i->text;
    item->opaque_raw = i->opaque_raw;
    item->family = FAMILY_OPENAI;
    item->redacted = i->text.n == 0;
    item->id = i->id;
}

static void add_result(struct items *o, const struct chat_item *i)
{
    struct chat_turn *last = o->n->chat.last_turn;
    const bool behind = last && last->role == ROLE_USER && last->items && last->items->kind == ITEM_RESULT;
    struct chat_item *item = normal_item(o->n, behind ? last : normal_turn(o->n, ROLE_USER), ITEM_RESULT);
    struct span text = SPAN_NONE;
    bool texts = true;

    o->open = NULL;
    o->any = true;
    item->result.id = i->result.id;
    item->result.name = i->result.name;
    item->result.custom = i->result.custom;
    if (i->result.object_json.p)
        text = normal_escaped(o->n, i->result.object_json);
    for (const struct chat_item *p = i->result.parts; p; p = p->next)
        texts &= p->kind == ITEM_TEXT;
    for (const struct chat_item *p = texts ? i->result.parts : NULL; p; p = p->next)
        text = text.p ? normal_join(o->n, text, "\\n\\n", p->text) : p->text;
    if (i->result.is_error && !i->result.object_json.p)    /* an object says it itself */
        text = normal_join(o->n, SPAN_LIT("Error: "), "", text);
    if (text.n)
        normal_part(o->n, item, ITEM_TEXT)->text = text;
    for (const struct chat_item *p = texts ? NULL : i->result.parts; p; p = p->next) {
        struct chat_item *part = normal_part(o->n, item, p->kind);

        if (p->kind == ITEM_TEXT)
            part->text = p->text;
        else
            add_media(o->n, part, &p->media);
    }
}

static void add_item(struct items *o, const struct chat_turn *t, const struct chat_item *i)
{
    switch (i->kind) {
    case ITEM_CALL: add_call(o, i); return;
    case ITEM_RESULT: add_result(o, i); return;
    case ITEM_REASONING: add_reasoning(o, i); return;
    case ITEM_TEXT: normal_text(o->n, message(o, t), i->text); return;
    case ITEM_REFUSAL: normal_item(o->n, message(o, t), ITEM_REFUSAL)->text = i->text; return;
    default: add_media(o->n, normal_item(o->n, message(o, t), i->kind), &i->media); return;
    }
}

/* The first instruction has a member of its own when it is one text and something follows. */
static const struct chat_turn *instructions(struct normal *n, const struct chat_turn *t)
{
    if (!t || !t->next || t->role != ROLE_SYSTEM || !t->items || t->items->next || t->items->kind != ITEM_TEXT)
        return t;
    if (t->items->text.n)
        normal_text(n, normal_turn(n, ROLE_SYSTEM), t->items->text);
    return t->next;
}

static void add_turns(struct normal *n, const struct chat *from)
{
    struct items o = { .n = n };

    for (const struct chat_turn *t = instructions(n, from->turns); t; t = t->next) {
        for (const struct chat_item *i = t->items; i; i = i->next)
            add_item(&o, t, i);
        if (!t->items && t->role == ROLE_USER)    /* an empty message is one all the same */
            normal_text(n, message(&o, t), SPAN_LIT(""));
        o.open = NULL;
    }
    if (!o.any) {
        normal_text(n, normal_turn(n, ROLE_USER), SPAN_LIT(""));
        normal_note(n, "changed", "messages|contents");
    }
}

static void add_tools(struct normal *n)
{
    struct chat *c = &n->chat;

    for (size_t i = 0; i < c->n_tools; i++) {
        struct chat_tool *t = &c->tools[i];

        t->cache = CACHE_NONE;
        if (t->kind == TOOL_FUNCTION) {
            t->strict = t->strict == TRI_YES ? TRI_YES : TRI_NO;
            if (!t->schema_json.p)
                t->schema_json = SPAN_LIT("{\"type\":\"object\",\"properties\":{}}");
        } else if (t->format_json.p) {
            t->format_json = SPAN_LIT("{\"type\":\"grammar\",\"syntax\":\"lark\",\"definition\":\"start: \\\"a\\\"\"}");
        }
    }
    if (c->n_tools)
        return;
    c->choice = CHOICE_UNSET;
    c->n_choice_names = 0;
    c->parallel = TRI_UNSET;
}

static void add_tier(struct chat *c, struct normal *n)
{
    if (span_is(c->service_tier, "standard_only"))
        c->service_tier = SPAN_LIT("default");
    if (span_is(c->service_tier, "turbo"))
        normal_drop(n, &c->service_tier, "service_tier|serviceTier");
}

void normal_responses(struct normal *n, const struct chat *from)
{
    struct chat *c = &n->chat;

    add_turns(n, from);
    add_tools(n);
    normal_drop(n, &c->top_k_json, "top_k|topK");
    normal_drop(n, &c->presence_json, "presence_penalty|presencePenalty");
    normal_drop(n, &c->frequency_json, "frequency_penalty|frequencyPenalty");
    normal_drop(n, &c->seed_json, "seed");
    normal_drop(n, &c->logit_bias_json, "logit_bias");
    if (!c->logprobs)
        c->top_logprobs = -1;
    if (c->format == FORMAT_SCHEMA && !c->schema_name_raw.n)
        c->schema_name_raw = SPAN_LIT("answer");
    if (c->effort == EFFORT_BUDGET)
        c->effort = c->budget <= 6144 ? EFFORT_LOW : c->budget <= 12288 ? EFFORT_MEDIUM : c->budget <= 28672 ? EFFORT_HIGH : EFFORT_XHIGH;
    if (c->effort == EFFORT_DYNAMIC)
        c->effort = EFFORT_UNSET;
    c->show_reasoning = from->show_reasoning == TRI_YES ? TRI_YES : TRI_UNSET;
    c->usage_asked = false;
    if (c->max_tokens > 0 && c->max_tokens < 16) {
        c->max_tokens = 16;
        normal_note(n, "changed", "max_completion_tokens|max_tokens|maxOutputTokens");
    }
    if (c->user_raw.n > 64)
        normal_drop(n, &c->user_raw, "user|metadata.user_id");
    add_tier(c, n);
}
