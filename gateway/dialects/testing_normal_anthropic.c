/* testing_normal_anthropic.c - what Messages keeps of a chat.
 *
 * Instructions before the conversation are `system`, later ones are quoted by the user. The two sides take turns: neighbours are
 * merged, results stand first, empty texts go, the user speaks first. Arguments are objects. */
#include "gateway/dialects/anthropic.h"
#include "gateway/dialects/anthropic_write.h"
#include "gateway/dialects/testing_normal.h"

#define NO_SCHEMA "{\"type\":\"object\",\"properties\":{}}"

static bool goes(const struct chat_item *i)
{
    if (i->kind == ITEM_TEXT || i->kind == ITEM_REFUSAL)
        return !normal_blank(i->text);
    return i->kind != ITEM_REASONING || (i->family == FAMILY_ANTHROPIC && i->opaque_raw.n > 0);
}

static bool says_something(const struct chat_turn *t)
{
    for (const struct chat_item *i = t->items; i; i = i->next)
        if (goes(i))
            return true;
    return false;
}

/* A side's turn begins with one that counts: a user's does, even empty. */
static bool counts(const struct chat_turn *t)
{
    return t->role == ROLE_USER || says_something(t);
}

/* ---- items ---- */

static void add_media(struct normal *n, struct chat_item *item, const struct chat_item *from)
{
    const struct chat_media *m = &from->media;

    if (m->detail.n && !span_is(m->detail, "auto"))
        normal_note_once(n, "dropped", "detail|mediaResolution");
    item->media = *m;
    item->media.detail = SPAN_NONE;
    if (item->kind == ITEM_IMAGE)
        item->media.name_raw = SPAN_NONE;
    if (m->source == MEDIA_BYTES)
        item->media.data = normal_base64(n, m->data);
    if (m->source == MEDIA_URL)
        item->media.type = SPAN_NONE;
    if (m->source == MEDIA_TEXT)
        item->media.type = SPAN_LIT("text/plain");
    if (span_is(m->type, "image/jpg") && m->source == MEDIA_BYTES)
        item->media.type = SPAN_LIT("image/jpeg");
}

static void add_result(struct normal *n, struct chat_turn *out, const struct chat_item *i)
{
    struct chat_item *item = normal_item(n, out, ITEM_RESULT);
    const struct chat_item *only = i->result.parts;

    item->cache = i->cache;
    item->result.id = i->result.id;
    item->result.name = i->result.name;
    item->result.is_error = i->result.is_error;
    for (const struct chat_item *p = i->result.parts; p; p = p->next)
        item->cache = p->cache != CACHE_NONE ? p->cache : item->cache;
    if (i->result.object_json.p)
        normal_part(n, item, ITEM_TEXT)->text = normal_escaped(n, i->result.object_json);
    else if (only && !only->next && only->kind == ITEM_TEXT) {
        normal_part(n, item, ITEM_TEXT)->text = only->text;
        return;
    }
    for (const struct chat_item *p = i->result.parts; p; p = p->next) {
        struct chat_item *part;

        if (!goes(p))
            continue;
        part = normal_part(n, item, p->kind);
        if (p->kind == ITEM_TEXT)
            part->text = p->text;
        else
            add_media(n, part, p);
    }
}

static void add_item(struct normal *n, struct chat_turn *out, const struct chat_item *i)
{
    struct chat_item *item;

    if (!goes(i))
        return;
    if (i->kind == ITEM_RESULT) {
        add_result(n, out, i);
        return;
    }
    item = normal_item(n, out, i->kind == ITEM_REFUSAL ? ITEM_TEXT : i->kind);
    item->cache = i->cache;
    item->text = i->text;
    if (i->kind == ITEM_CALL) {
        item->call = (struct chat_call){ .id = i->call.id, .name = i->call.name, .arguments_json = normal_object(n, &i->call) };
    } else if (i->kind == ITEM_REASONING) {
        item->cache = CACHE_NONE;
        item->opaque_raw = i->opaque_raw;
        item->family = FAMILY_ANTHROPIC;
        item->redacted = i->redacted;
        item->text = i->redacted ? SPAN_LIT("") : i->text;
    } else if (normal_is_media(i)) {
        add_media(n, item, i);
    }
}

/* ---- turns ---- */

static void quote_instructions(struct normal *n, struct chat_turn *out, const struct chat_turn *t)
{
    struct span text = SPAN_NONE;
    enum cache_mark cache = CACHE_NONE;

    for (const struct chat_item *i = t->items; i; i = i->next) {
        if (i->kind != ITEM_TEXT || !goes(i))
            continue;
        text = text.p ? normal_join(n, text, "\\n", i->text) : normal_join(n, SPAN_LIT("<system>"), "", i->text);
        cache = i->cache != CACHE_NONE ? i->cache : cache;
    }
    if (!text.p)
        return;
    normal_text(n, out, normal_join(n, text, "", SPAN_LIT("</system>")))->cache = cache;
    normal_note_once(n, "changed", "role");
}

static void fill(struct normal *n, struct chat_turn *out)
{
    normal_text(n, out, SPAN_LIT("."));
    normal_note(n, "changed", "messages|input|contents");
}

static void add_user(struct normal *n, const struct chat_turn *from, const struct chat_turn *to)
{
    struct chat_turn *out = normal_turn(n, ROLE_USER);

    for (const struct chat_turn *t = from; t != to; t = t->next)
        for (const struct chat_item *i = t->role == ROLE_ASSISTANT ? NULL : t->items; i; i = i->next)
            if (i->kind == ITEM_RESULT)
                add_item(n, out, i);
    for (const struct chat_turn *t = from; t != to; t = t->next) {
        if (t->role == ROLE_SYSTEM)
            quote_instructions(n, out, t);
        for (const struct chat_item *i = t->role == ROLE_ASSISTANT ? NULL : t->items; i; i = i->next)
            if (i->kind != ITEM_RESULT && (t->role == ROLE_USER || i->kind != ITEM_TEXT))
                add_item(n, out, i);
    }
    if (!out->items)
        fill(n, out);
}

/* A beginning to be continued must not end with white space. */
static struct span trim_end(struct span raw)
{
    size_t end = 0;

    for (size_t i = 0, unit; i < raw.n; i += unit) {
        unit = raw.p[i] != '\\' ? 1 : raw.p[i + 1] == 'u' ? 6 : 2;
        if (!normal_blank((struct span){ raw.p + i, unit }))
            end = i + unit;
    }
    return span_first(raw, end);
}

static void add_assistant(struct normal *n, const struct chat_turn *from, const struct chat_turn *to)
{
    struct chat_turn *out = normal_turn(n, ROLE_ASSISTANT);

    for (const struct chat_turn *t = from; t != to; t = t->next) {
        for (const struct chat_item *i = t->role == ROLE_ASSISTANT ? t->items : NULL; i; i = i->next)
            add_item(n, out, i);
    }
    if (!to && out->last && out->last->kind == ITEM_TEXT)
        out->last->text = trim_end(out->last->text);
}

static const struct chat_turn *add_system(struct normal *n, const struct chat *from)
{
    const struct chat_turn *t = from->turns;
    struct chat_turn *out = NULL;

    for (; t && t->role == ROLE_SYSTEM; t = t->next)
        for (const struct chat_item *i = t->items; i; i = i->next) {
            if (!goes(i))
                continue;
            out = out ? out : normal_turn(n, ROLE_SYSTEM);
            normal_text(n, out, i->text)->cache = i->cache;
        }
    if (from->format == FORMAT_JSON) {
        out = out ? out : normal_turn(n, ROLE_SYSTEM);
        normal_text(n, out, SPAN_LIT("Answer with one JSON object and nothing else: no words before or after it, and no code fence."));
    }
    return t;
}

static void add_turns(struct normal *n, const struct chat *from)
{
    const struct chat_turn *t = add_system(n, from), *to;

    while (t && !counts(t))
        t = t->next;
    if (!t || t->role == ROLE_ASSISTANT)
        fill(n, normal_turn(n, ROLE_USER));
    for (; t; t = to) {
        const bool assistant = t->role == ROLE_ASSISTANT;

        for (to = t; to && ((to->role == ROLE_ASSISTANT) == assistant || !counts(to));)
            to = to->next;
        if (assistant)
            add_assistant(n, t, to);
        else
            add_user(n, t, to);
    }
}

/* ---- cache marks: the last four, in the order of the prefix; no long one behind a short one ---- */

static enum cache_mark *next_mark(struct chat *c, size_t *tool, struct chat_turn **turn, struct chat_item **item)
{
    while (*tool < c->n_tools)
        if (c->tools[(*tool)++].cache != CACHE_NONE)
            return &c->tools[*tool - 1].cache;
    for (;;) {
        struct chat_item *i = *item;

        if (!i) {
            *turn = *turn ? (*turn)->next : c->turns;
            if (!*turn)
                return NULL;
            *item = (*turn)->items;
            if (*item)
                continue;
            if (!(*turn)->next)
                return NULL;
            continue;
        }
        *item = i->next;
        if (i->cache != CACHE_NONE)
            return &i->cache;
    }
}

static void settle_marks(struct chat *c)
{
    size_t tool = 0, n = 0, skip;
    struct chat_turn *turn = NULL;
    struct chat_item *item = NULL;
    enum cache_mark *mark;
    bool five = false;

    while (next_mark(c, &tool, &turn, &item))
        n++;
    skip = n > 4 ? n - 4 : 0;
    tool = 0;
    turn = NULL;
    item = NULL;
    while ((mark = next_mark(c, &tool, &turn, &item))) {
        if (skip) {
            skip--;
            *mark = CACHE_NONE;
            continue;
        }
        if (*mark == CACHE_1H && five)
            *mark = CACHE_5M;
        five |= *mark == CACHE_5M;
    }
}

/* ---- tools ---- */

static bool allowed(const struct chat *from, struct span name)
{
    for (size_t i = 0; i < from->n_choice_names; i++)
        if (span_eq(from->choice_names[i], name))
            return true;
    return from->choice != CHOICE_ALLOWED;
}

/* The subset that structured output takes is anthropic_schema.c's, with tests of its own. */
static struct span strict_schema(struct normal *n, struct span schema, const char *fields)
{
    bool changed = false;
    struct span out;
    struct buf b;

    buf_init(&b, 65536);
    anthropic_write_schema(&b, schema, &changed);
    out = normal_join(n, buf_span(&b), "", SPAN_LIT(""));
    buf_free(&b);
    if (changed)
        normal_note_once(n, "changed", fields);
    return out;
}

static struct span schema_of(struct normal *n, struct span schema, bool strict)
{
    struct jiter it = jiter_begin(schema);

    if (!schema.p || !jiter_next(&it))
        return SPAN_LIT(NO_SCHEMA);
    if (strict)
        schema = strict_schema(n, schema, "tools.schema");
    if (jval_get(schema, "type").p)
        return schema;
    it = jiter_begin(schema);
    jiter_next(&it);
    return normal_join(n, SPAN_LIT("{\"type\":\"object\","), "", span_skip(schema, (size_t)(it.key.p - 1 - schema.p)));
}

static void make_function(struct normal *n, struct chat_tool *t)
{
    static const struct span tells = SPAN_LIT("The input follows this definition: ");

    t->kind = TOOL_FUNCTION;
    t->schema_json = SPAN_LIT(UNWRAP_SCHEMA);
    if (!t->format_json.p)
        return;
    t->description_raw = normal_join(n, t->description_raw, t->description_raw.n ? "\\n\\n" : "",
                                     normal_join(n, tells, "", normal_escaped(n, t->format_json)));
    t->format_json = SPAN_NONE;
    normal_note(n, "changed", "tools.format");
}

static bool calls_in_history(const struct chat *from)
{
    for (const struct chat_turn *t = from->turns; t; t = t->next)
        for (const struct chat_item *i = t->items; i; i = i->next)
            if (i->kind == ITEM_CALL)
                return true;
    return false;
}

static void stand_in(struct chat *c)
{
    c->n_tools = 1;    /* there is room for one */
    c->tools[0] = (struct chat_tool){ .kind = TOOL_FUNCTION, .name = SPAN_LIT("none"), .schema_json = SPAN_LIT(NO_SCHEMA),
                                      .description_raw = SPAN_LIT("Stands in for tools that are gone. Not to be called.") };
    c->choice = CHOICE_NONE;
}

static void add_choice(struct chat *c, const struct chat *from)
{
    const bool alone = from->parallel == TRI_NO;

    if (from->choice == CHOICE_UNSET && alone)
        c->choice = CHOICE_AUTO;
    if (from->choice == CHOICE_ALLOWED)
        c->choice = from->choice_any ? CHOICE_ANY : CHOICE_AUTO;
    if (c->choice != CHOICE_NAMED)
        c->n_choice_names = 0;
    c->choice_any = false;
    c->parallel = alone && c->choice != CHOICE_NONE ? TRI_NO : TRI_UNSET;
}

static void add_tools(struct normal *n, const struct chat *from)
{
    struct chat *c = &n->chat;

    c->n_tools = 0;
    for (size_t i = 0; i < from->n_tools; i++) {
        struct chat_tool *t = &c->tools[c->n_tools];

        if (!allowed(from, from->tools[i].name)) {
            normal_note_once(n, "changed", "tools");
            continue;
        }
        *t = from->tools[i];
        t->strict = t->kind == TOOL_FUNCTION && t->strict == TRI_YES ? TRI_YES : TRI_UNSET;
        t->schema_json = schema_of(n, t->schema_json, t->strict == TRI_YES);
        if (t->kind == TOOL_CUSTOM)
            make_function(n, t);
        c->n_tools++;
    }
    c->choice = CHOICE_UNSET;
    c->parallel = TRI_UNSET;
    if (c->n_tools == 0) {
        c->n_choice_names = 0;
        if (calls_in_history(from))
            stand_in(c);
        return;
    }
    c->choice = from->choice;
    add_choice(c, from);
}

/* ---- the rest ---- */

static enum effort level(int64_t budget)
{
    return budget <= 6144 ? EFFORT_LOW : budget <= 12288 ? EFFORT_MEDIUM : budget <= 28672 ? EFFORT_HIGH : EFFORT_XHIGH;
}

/* True: the model thinks, which excludes sampling. */
static bool add_thinking(struct normal *n, const struct chat *from)
{
    static const char fields[] = "reasoning_effort|reasoning.effort|thinkingConfig";
    struct chat *c = &n->chat;
    const bool prefill = from->last_turn && from->last_turn->role == ROLE_ASSISTANT;

    c->show_reasoning = TRI_UNSET;
    c->budget = 0;
    if (from->effort == EFFORT_UNSET)
        return false;
    if (from->effort == EFFORT_OFF) {
        if (n->target->traits->thinking == THINKING_NONE)
            c->effort = EFFORT_UNSET;
        return false;
    }
    if (n->target->traits->thinking == THINKING_NONE || prefill) {
        normal_note(n, "dropped", fields);
        c->effort = EFFORT_UNSET;
        return false;
    }
    if (from->effort == EFFORT_BUDGET)
        c->effort = level(from->budget);
    if (from->effort == EFFORT_MINIMAL)
        c->effort = EFFORT_LOW;
    c->show_reasoning = TRI_YES;    /* who thinks aloud there is heard, unless it is said otherwise */
    return true;
}

static double value(struct span json)
{
    double x = -1;

    jval_double(json, &x);
    return x;
}

static void add_sampling(struct normal *n, bool thinks)
{
    struct chat *c = &n->chat;
    const bool takes = n->target->traits->sampling && !thinks;

    if (c->temperature_json.p && !takes && value(c->temperature_json) == 1)
        c->temperature_json = SPAN_NONE;    /* the default */
    if (!takes)
        normal_drop(n, &c->temperature_json, "temperature");
    if (c->temperature_json.p && value(c->temperature_json) > 1) {
        c->temperature_json = SPAN_LIT("1");
        normal_note(n, "changed", "temperature");
    }
    if (c->top_p_json.p && !(n->target->traits->sampling && (!thinks || value(c->top_p_json) > 0.9499))) {
        if (value(c->top_p_json) == 1)
            c->top_p_json = SPAN_NONE;
        normal_drop(n, &c->top_p_json, "top_p|topP");
    }
    if (!takes)
        normal_drop(n, &c->top_k_json, "top_k|topK");
    normal_drop(n, &c->presence_json, "presence_penalty|presencePenalty");
    normal_drop(n, &c->frequency_json, "frequency_penalty|frequencyPenalty");
    normal_drop(n, &c->seed_json, "seed");
    normal_drop(n, &c->logit_bias_json, "logit_bias");
}

static void add_stops(struct normal *n, const struct chat *from)
{
    struct chat *c = &n->chat;

    c->n_stops = 0;
    for (size_t i = 0; i < from->n_stops; i++)
        if (normal_blank(from->stops_raw[i]))
            normal_note_once(n, "dropped", "stop|stopSequences");
        else
            c->stops_raw[c->n_stops++] = from->stops_raw[i];
}

static void add_rest(struct normal *n, const struct chat *from)
{
    struct chat *c = &n->chat;
    struct jiter it = jiter_begin(from->metadata_json);

    c->metadata_json = SPAN_NONE;
    if (it.in_object && jiter_next(&it))
        normal_note(n, "dropped", "metadata|labels");
    if (span_is(c->service_tier, "default"))
        c->service_tier = SPAN_LIT("standard_only");
    if (!span_is(c->service_tier, "auto") && !span_is(c->service_tier, "standard_only"))
        normal_drop(n, &c->service_tier, "service_tier|serviceTier");
    normal_drop(n, &c->verbosity_raw, "verbosity|text.verbosity");
    c->cache_key_raw = SPAN_NONE;
    if (c->max_tokens == 0)
        c->max_tokens = n->target->max_output;
    if (c->max_tokens > n->target->max_output) {
        c->max_tokens = n->target->max_output;
        normal_note(n, "changed", "max_completion_tokens|max_output_tokens|maxOutputTokens");
    }
    if (c->format == FORMAT_JSON)
        c->format = FORMAT_TEXT;
    if (c->format == FORMAT_SCHEMA)
        c->schema_json = strict_schema(n, c->schema_json, "response_format|text.format|responseSchema");
    c->schema_name_raw = c->schema_description_raw = SPAN_NONE;
    c->schema_strict = TRI_UNSET;
    c->top_logprobs = -1;
    c->usage_asked = false;
}

void normal_anthropic(struct normal *n, const struct chat *from)
{
    const bool thinks = add_thinking(n, from);

    add_turns(n, from);
    add_tools(n, from);
    settle_marks(&n->chat);
    add_sampling(n, thinks);
    add_stops(n, from);
    add_rest(n, from);
}
