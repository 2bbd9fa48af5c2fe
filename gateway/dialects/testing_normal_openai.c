/* testing_normal_openai.c - what Chat Completions keeps of a chat, at OpenAI and a model that takes everything.
 *
 * A message of the assistant is at most one text, one refusal, and calls; neighbours of which one calls are one message, so that
 * the results follow it. Results are texts, one message each; what else a tool returned follows in a message of the user. */
#include "gateway/dialects/openai.h"
#include "gateway/dialects/testing_normal.h"

static bool is_text(const struct chat_item *i)
{
    return i->kind == ITEM_TEXT && i->text.n > 0;
}

/* Texts of a message that is one string: the assistant's of one turn are pieces of one, all others paragraphs. */
static void join(struct normal *n, const struct chat_turn *t, enum item_kind kind, struct span *all)
{
    const bool pieces = t->role == ROLE_ASSISTANT;
    bool first = true;

    for (const struct chat_item *i = t->items; i; i = i->next) {
        if (i->kind != kind || i->text.n == 0)
            continue;
        *all = all->n ? normal_join(n, *all, pieces && !first ? "" : "\\n\\n", i->text) : i->text;
        first = false;
    }
}

static void add_media(struct normal *n, struct chat_turn *to, const struct chat_item *i)
{
    struct chat_item *item;

    if (i->media.source == MEDIA_TEXT) {
        if (i->media.name_raw.n)
            normal_text(n, to, i->media.name_raw);
        if (i->media.data.n)
            normal_text(n, to, i->media.data);
        return;
    }
    item = normal_item(n, to, i->kind);
    item->media = i->media;
    if (i->media.source == MEDIA_URL) {
        item->media.type = item->media.name_raw = SPAN_NONE;
        return;
    }
    item->media.data = normal_base64(n, i->media.data);
    if (i->kind == ITEM_FILE) {
        item->media.name_raw = i->media.name_raw.n ? i->media.name_raw : SPAN_LIT("file.pdf");
        item->media.type = i->media.type.n ? i->media.type : SPAN_LIT("application/pdf");
        item->media.detail = SPAN_NONE;
        return;
    }
    item->media.name_raw = SPAN_NONE;
    if (i->kind == ITEM_AUDIO) {
        item->media.type = span_is(i->media.type, "audio/mpeg") ? SPAN_LIT("audio/mp3") : i->media.type;
        item->media.detail = SPAN_NONE;
    }
}

static void add_results(struct normal *n, const struct chat_turn *from, const struct chat_turn *to)
{
    struct chat_turn *out = NULL;

    for (const struct chat_turn *t = from; t != to; t = t->next)
        for (const struct chat_item *i = t->items; i; i = i->next) {
            struct span text = SPAN_LIT("");
            struct chat_item *item;

            if (i->kind != ITEM_RESULT)
                continue;
            out = out ? out : normal_turn(n, ROLE_USER);
            item = normal_item(n, out, ITEM_RESULT);
            item->result.id = i->result.id;
            item->result.name = i->result.name;
            if (i->result.object_json.p)
                text = normal_escaped(n, i->result.object_json);
            for (const struct chat_item *p = i->result.parts; p; p = p->next)
                if (p->kind == ITEM_TEXT && p->text.n)
                    text = text.n ? normal_join(n, text, "\\n\\n", p->text) : p->text;
            if (i->result.is_error && !i->result.object_json.p)    /* an object says it itself */
                text = normal_join(n, SPAN_LIT("Error: "), "", text);
            if (text.n)
                normal_part(n, item, ITEM_TEXT)->text = text;
        }
}

static void add_result_media(struct normal *n, const struct chat_turn *from, const struct chat_turn *to)
{
    struct chat_turn *out = NULL;

    for (const struct chat_turn *t = from; t != to; t = t->next)
        for (const struct chat_item *i = t->items; i; i = i->next) {
            bool told = false;

            for (const struct chat_item *p = i->kind == ITEM_RESULT ? i->result.parts : NULL; p; p = p->next) {
                if (!normal_is_media(p))
                    continue;
                out = out ? out : normal_turn(n, ROLE_USER);
                if (!told)
                    normal_text(n, out, normal_join(n, SPAN_LIT("From the result of tool call "), "",
                                                    normal_join(n, normal_escaped(n, i->result.id), "", SPAN_LIT(":"))));
                told = true;
                normal_note_once(n, "changed", "tool_result.media");
                add_media(n, out, p);
            }
        }
}

static void add_others(struct normal *n, const struct chat_turn *t)
{
    struct chat_turn *out;
    bool others = t->items == NULL;

    for (const struct chat_item *i = t->items; i; i = i->next)
        others |= i->kind != ITEM_RESULT;
    if (!others)
        return;
    out = normal_turn(n, t->role);
    out->developer = t->developer;
    out->name_raw = t->name_raw;
    if (t->role == ROLE_SYSTEM) {
        struct span text = SPAN_NONE;

        join(n, t, ITEM_TEXT, &text);
        if (text.n)
            normal_text(n, out, text);
        return;
    }
    for (const struct chat_item *i = t->items; i; i = i->next) {
        if (is_text(i))
            normal_text(n, out, i->text);
        else if (normal_is_media(i))
            add_media(n, out, i);
    }
}

static bool calls(const struct chat_turn *t)
{
    for (const struct chat_item *i = t->items; i; i = i->next)
        if (i->kind == ITEM_CALL)
            return true;
    return false;
}

static void add_calls(struct normal *n, struct chat_turn *out, const struct chat_turn *t)
{
    for (const struct chat_item *i = t->items; i; i = i->next) {
        struct chat_item *item;

        if (i->kind != ITEM_CALL)
            continue;
        item = normal_item(n, out, ITEM_CALL);
        item->call = i->call;
        if (!i->call.custom && !i->call.arguments_json.p && i->call.arguments_raw.n == 0)
            item->call.arguments_raw = SPAN_LIT("{}");
    }
}

static void add_assistant(struct normal *n, const struct chat_turn *from, const struct chat_turn *to)
{
    struct chat_turn *out = normal_turn(n, ROLE_ASSISTANT);
    struct span text = SPAN_NONE, refusal = SPAN_NONE;

    for (const struct chat_turn *t = from; t != to; t = t->next) {
        join(n, t, ITEM_TEXT, &text);
        join(n, t, ITEM_REFUSAL, &refusal);
        if (!out->name_raw.n)
            out->name_raw = t->name_raw;
    }
    if (text.n)
        normal_text(n, out, text);
    if (refusal.n)
        normal_item(n, out, ITEM_REFUSAL)->text = refusal;
    for (const struct chat_turn *t = from; t != to; t = t->next)
        add_calls(n, out, t);
}

static const struct chat_turn *end_of_run(const struct chat_turn *t)
{
    const bool assistant = t->role == ROLE_ASSISTANT;

    while (t && (t->role == ROLE_ASSISTANT) == assistant)
        t = t->next;
    return t;
}

static void add_turns(struct normal *n, const struct chat *from)
{
    const struct chat_turn *end;

    for (const struct chat_turn *t = from->turns; t; t = end) {
        bool any = false;

        end = end_of_run(t);
        if (t->role != ROLE_ASSISTANT) {
            add_results(n, t, end);
            add_result_media(n, t, end);
            for (; t != end; t = t->next)
                add_others(n, t);
            continue;
        }
        for (const struct chat_turn *i = t; i != end; i = i->next)
            any |= calls(i);
        for (; t != end; t = any ? end : t->next)
            add_assistant(n, t, any ? end : t->next);
    }
}

static enum effort nearest(int64_t budget)
{
    return budget <= 6144 ? EFFORT_LOW : budget <= 12288 ? EFFORT_MEDIUM : budget <= 28672 ? EFFORT_HIGH : EFFORT_XHIGH;
}

static void add_tools(struct normal *n)
{
    struct chat *c = &n->chat;

    for (size_t i = 0; i < c->n_tools; i++) {
        struct chat_tool *t = &c->tools[i];

        t->cache = CACHE_NONE;
        t->strict = t->strict == TRI_YES ? TRI_YES : TRI_UNSET;
        if (t->kind == TOOL_CUSTOM && t->format_json.p)    /* nested, whoever wrote it */
            t->format_json = SPAN_LIT("{\"type\":\"grammar\",\"grammar\":{\"syntax\":\"lark\",\"definition\":\"start: \\\"a\\\"\"}}");
    }
    if (c->n_tools)
        return;
    c->choice = CHOICE_UNSET;
    c->n_choice_names = 0;
    c->parallel = TRI_UNSET;
}

void normal_openai(struct normal *n, const struct chat *from)
{
    const bool elsewhere = from->dialect == DIALECT_ANTHROPIC || from->dialect == DIALECT_GEMINI;
    struct chat *c = &n->chat;

    if (from->format == FORMAT_JSON && elsewhere) {    /* OpenAI wants the word in the prompt */
        struct buf b;

        buf_init(&b, 4096);
        openai_add_instruction(from, &b);
        normal_text(n, normal_turn(n, ROLE_SYSTEM), normal_join(n, buf_span(&b), "", SPAN_LIT("")));
        buf_free(&b);
    }
    add_turns(n, from);
    add_tools(n);
    normal_drop(n, &c->top_k_json, "top_k|topK");
    if (!c->logprobs)
        c->top_logprobs = -1;
    if (c->format == FORMAT_SCHEMA && !c->schema_name_raw.n)
        c->schema_name_raw = SPAN_LIT("answer");
    if (c->effort == EFFORT_BUDGET)
        c->effort = nearest(c->budget);
    if (c->effort == EFFORT_DYNAMIC)
        c->effort = EFFORT_UNSET;
    c->show_reasoning = TRI_UNSET;
    c->usage_asked = c->stream;
    if (span_is(c->service_tier, "auto"))
        c->service_tier = SPAN_NONE;
    if (span_is(c->service_tier, "standard_only"))
        c->service_tier = SPAN_LIT("default");
}
