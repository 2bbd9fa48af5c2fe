/* anthropic_body.c - writes a request of another dialect as a body for an Anthropic provider: all but its turns.
 *
 * The order of the members never changes, and marks come in the order in which the provider's cache sees them: tools, system,
 * messages. What a model takes is in its traits, never here by name. */
#include "gateway/dialects/anthropic.h"
#include "gateway/dialects/anthropic_read.h"
#include "gateway/dialects/anthropic_write.h"

#include "base/jwrite.h"

#define USER_BYTES_MAX 256u    /* of metadata.user_id */
#define JSON_ONLY "Answer with one JSON object and nothing else: no words before or after it, and no code fence."
#define BY_SCHEMA " It must be valid against this JSON Schema: "

const char *anthropic_word(const struct chat *chat, enum anthropic_word word)
{
    static const char *const words[WORDS][3] = {
        [WORD_MESSAGES] = { "messages", "input", "contents" },
        [WORD_IMAGE] = { "image_url", "input_image", "inlineData" },
        [WORD_AUDIO] = { "input_audio", "input_audio", "inlineData" },
        [WORD_FILE] = { "file", "input_file", "inlineData" },
        [WORD_FILE_ID] = { "file_id", "file_id", "fileData" },
        [WORD_DETAIL] = { "detail", "detail", "mediaResolution" },
        [WORD_MAX_TOKENS] = { "max_completion_tokens", "max_output_tokens", "maxOutputTokens" },
        [WORD_N] = { "n", "n", "candidateCount" },
        [WORD_LOGPROBS] = { "logprobs", "top_logprobs", "responseLogprobs" },
        [WORD_TEMPERATURE] = { "temperature", "temperature", "temperature" },
        [WORD_TOP_P] = { "top_p", "top_p", "topP" },
        [WORD_TOP_K] = { "top_k", "top_k", "topK" },
        [WORD_PRESENCE] = { "presence_penalty", "presence_penalty", "presencePenalty" },
        [WORD_FREQUENCY] = { "frequency_penalty", "frequency_penalty", "frequencyPenalty" },
        [WORD_SEED] = { "seed", "seed", "seed" },
        [WORD_LOGIT_BIAS] = { "logit_bias", "logit_bias", "logitBias" },
        [WORD_STOP] = { "stop", "stop", "stopSequences" },
        [WORD_FORMAT] = { "response_format", "text.format", "responseSchema" },
        [WORD_EFFORT] = { "reasoning_effort", "reasoning.effort", "thinkingConfig" },
        [WORD_VERBOSITY] = { "verbosity", "text.verbosity", "verbosity" },
        [WORD_METADATA] = { "metadata", "metadata", "labels" },
        [WORD_USER] = { "user", "user", "user" },
        [WORD_TIER] = { "service_tier", "service_tier", "serviceTier" },
        [WORD_TOOLS] = { "tools", "tools", "tools" },
        [WORD_CHOICE] = { "tool_choice", "tool_choice", "toolConfig" },
    };

    return words[word][chat->dialect == DIALECT_GEMINI ? 2 : chat->dialect == DIALECT_RESPONSES ? 1 : 0];
}

static void drop(struct anthropic_writing *w, enum anthropic_word word)
{
    notes_add(&w->out->notes, "dropped", span_str(anthropic_word(w->chat, word)));
}

static void change(struct anthropic_writing *w, enum anthropic_word word)
{
    notes_add(&w->out->notes, "changed", span_str(anthropic_word(w->chat, word)));
}

static bool refuse(const struct chat *chat, enum anthropic_word word, const char *why, struct fault *fault)
{
    return dialect_refuse(fault, chat, &anthropic_dialect, anthropic_word(chat, word), why);
}

bool anthropic_takes(const struct chat *chat, const struct target *target, struct fault *fault)
{
    if (!dialect_check_foreign(chat, &anthropic_dialect, fault))
        return false;
    if (chat->n > 1)
        return refuse(chat, WORD_N, "it gives one answer", fault);
    if (chat->logprobs || chat->top_logprobs > 0)
        return refuse(chat, WORD_LOGPROBS, "it has none", fault);
    if (chat->n_stops > 0 && !target->traits->stop)
        return refuse(chat, WORD_STOP, "the model takes no stop sequences", fault);
    for (size_t i = 0; i < chat->n_tools; i++)
        if (chat->tools[i].kind == TOOL_SERVER)
            return refuse(chat, WORD_TOOLS, "a tool among them runs at its own provider alone", fault);
    return anthropic_takes_turns(chat, target, fault);
}

/* ---- cache marks ---- */

static bool is_marked(const struct chat_item *i)
{
    bool marked = i->cache != CACHE_NONE && i->kind != ITEM_REASONING;

    if ((i->kind == ITEM_TEXT || i->kind == ITEM_REFUSAL) && anthropic_blank(i->text))
        return false;
    for (const struct chat_item *p = i->kind == ITEM_RESULT ? i->result.parts : NULL; p; p = p->next)
        marked |= p->cache != CACHE_NONE;
    return marked;
}

/* Instructions in the middle are one text: the marks of one turn are one. */
static size_t marks_of_turns(const struct chat *chat)
{
    bool leading = true;
    size_t n = 0;

    for (const struct chat_turn *t = chat->turns; t; t = t->next) {
        bool quoted = false;

        leading &= t->role == ROLE_SYSTEM;
        for (const struct chat_item *i = t->items; i; i = i->next) {
            if (!is_marked(i) || (quoted && i->kind == ITEM_TEXT))
                continue;
            quoted |= t->role == ROLE_SYSTEM && !leading && i->kind == ITEM_TEXT;
            n++;
        }
    }
    return n;
}

/* ---- tools ---- */

static bool is_allowed(const struct chat *chat, const struct chat_tool *tool)
{
    if (chat->choice != CHOICE_ALLOWED)
        return true;
    for (size_t i = 0; i < chat->n_choice_names; i++)
        if (span_eq(chat->choice_names[i], tool->name))
            return true;
    return false;
}

static size_t count_allowed(const struct chat *chat)
{
    size_t n = 0;

    for (size_t i = 0; i < chat->n_tools; i++)
        n += is_allowed(chat, &chat->tools[i]);
    return n;
}

/* A schema must say that it is an object's; a strict one is held to what structured output takes. */
static void write_schema(struct anthropic_writing *w, struct span schema, bool strict)
{
    struct jiter it = jiter_begin(schema);
    struct buf *b = w->out->body, subset;

    if (!it.in_object || !jiter_next(&it)) {
        jw_json(b, "input_schema", SPAN_LIT("{\"type\":\"object\",\"properties\":{}}"));
        return;
    }
    buf_init(&subset, b->cap);
    if (strict) {
        anthropic_write_schema(&subset, schema, &w->changed_schema);
        b->failed |= !buf_ok(&subset);
        schema = buf_span(&subset);
    }
    if (jval_get(schema, "type").p) {
        jw_json(b, "input_schema", schema);
    } else {
        jw_object(b, "input_schema");
        buf_add_str(b, "\"type\":\"object\",");
        it = jiter_begin(schema);
        if (jiter_next(&it))
            buf_add(b, it.key.p - 1, (size_t)(schema.p + schema.n - (it.key.p - 1)));
        else
            buf_add_str(b, "\"properties\":{}}");
    }
    buf_free(&subset);
}

/* A grammar cannot be enforced there: it is told. */
static void write_description(struct anthropic_writing *w, const struct chat_tool *t)
{
    struct buf *b = w->out->body;

    if (t->kind != TOOL_CUSTOM || !t->format_json.p || jraw_is(jval_raw(jval_get(t->format_json, "type")), "text")) {
        jw_raw_if(b, "description", t->description_raw);
        return;
    }
    jw_key(b, "description");
    buf_add_char(b, '"');
    if (t->description_raw.n) {
        buf_add_span(b, t->description_raw);
        buf_add_str(b, "\\n\\n");
    }
    buf_add_str(b, "The input follows this definition: ");
    jw_escaped(b, t->format_json);
    buf_add_char(b, '"');
    notes_change(&w->out->notes, "tools.format");
}

static bool write_tool(struct anthropic_writing *w, const struct chat_tool *t)
{
    const bool strict = t->strict == TRI_YES && w->target->traits->schema && t->kind == TOOL_FUNCTION;
    struct buf *b = w->out->body;
    const struct span name = names_out(&w->out->names, w->out->arena, t->name, ANTHROPIC_NAME_MAX, false, false, w->out->fault);

    if (!name.p)
        return false;
    jw_object(b, NULL);
    jw_raw(b, "name", name);
    write_description(w, t);
    if (t->kind == TOOL_CUSTOM) {
        jw_json(b, "input_schema", SPAN_LIT(UNWRAP_SCHEMA));
        names_wrap(&w->out->names, t->name);
    } else {
        write_schema(w, t->schema_json, strict);
    }
    if (strict)
        jw_bool(b, "strict", true);
    anthropic_write_cache(w, t->cache);
    jw_close(b, '}');
    return true;
}

/* A history with tool calls needs tools beside it. One stands there that is not to be called. */
static void write_stand_in(struct buf *b)
{
    jw_json(b, "tools", SPAN_LIT("[{\"name\":\"none\",\"description\":\"Stands in for tools that are gone. Not to be called.\","
                                 "\"input_schema\":{\"type\":\"object\",\"properties\":{}}}]"));
    jw_json(b, "tool_choice", SPAN_LIT("{\"type\":\"none\"}"));
}

static bool write_choice(struct anthropic_writing *w, bool thinks)
{
    const struct chat *c = w->chat;
    const bool alone = c->parallel == TRI_NO;
    struct buf *b = w->out->body;
    bool any = c->choice == CHOICE_ANY || (c->choice == CHOICE_ALLOWED && c->choice_any);
    bool named = c->choice == CHOICE_NAMED && c->n_choice_names > 0;
    struct span name = SPAN_NONE;

    if (c->choice == CHOICE_UNSET && !alone)
        return true;
    if ((any || named) && thinks && !w->target->traits->forced_tools) {
        any = named = false;
        change(w, WORD_CHOICE);
    }
    if (named) {
        name = anthropic_tool_name(w, c->choice_names[0]);
        if (!name.p)
            return false;
    }
    jw_object(b, "tool_choice");
    jw_raw(b, "type", c->choice == CHOICE_NONE ? SPAN_LIT("none") : named ? SPAN_LIT("tool") : any ? SPAN_LIT("any")
                                                                                                     : SPAN_LIT("auto"));
    if (named)
        jw_raw(b, "name", name);
    if (alone && c->choice != CHOICE_NONE)
        jw_bool(b, "disable_parallel_tool_use", true);
    jw_close(b, '}');
    w->out->one_call = alone && w->target->family == FAMILY_DEEPSEEK;    /* its Anthropic base does not heed the word */
    return true;
}

static bool write_tools(struct anthropic_writing *w, bool thinks)
{
    const struct chat *c = w->chat;
    const size_t n = count_allowed(c);
    bool loose = false;

    if (n == 0) {
        if (anthropic_calls_in_history(c))
            write_stand_in(w->out->body);
        return true;
    }
    jw_array(w->out->body, "tools");
    for (size_t i = 0; i < c->n_tools; i++) {
        if (!is_allowed(c, &c->tools[i]))
            continue;
        if (!write_tool(w, &c->tools[i]))
            return false;
        loose |= c->tools[i].strict == TRI_YES && !w->target->traits->schema;
    }
    jw_close(w->out->body, ']');
    if (w->changed_schema)
        notes_change(&w->out->notes, "tools.schema");
    if (n < c->n_tools)    /* another set of tools is another prefix of the cache */
        change(w, WORD_TOOLS);
    if (loose)
        notes_drop(&w->out->notes, "tools.strict");
    return write_choice(w, thinks);
}

/* ---- sampling ---- */

static bool over(struct span number, double most)
{
    double x;

    return jval_double(number, &x) && x > most;
}

static bool is_one(struct span number)
{
    double x;

    return jval_double(number, &x) && x == 1;
}

static void write_temperature(struct anthropic_writing *w, bool thinks)
{
    const struct span t = w->chat->temperature_json;

    if (!t.p || (is_one(t) && (thinks || !w->target->traits->sampling)))    /* the default */
        return;
    if (thinks || !w->target->traits->sampling) {
        drop(w, WORD_TEMPERATURE);
    } else if (over(t, 1) && w->target->family != FAMILY_DEEPSEEK) {
        jw_json(w->out->body, "temperature", SPAN_LIT("1"));
        change(w, WORD_TEMPERATURE);
    } else {
        jw_json(w->out->body, "temperature", t);
    }
}

static void write_sampling(struct anthropic_writing *w, bool thinks)
{
    const struct chat *c = w->chat;
    const bool takes = w->target->traits->sampling;
    int64_t k;

    write_temperature(w, thinks);
    if (c->top_p_json.p && takes && (!thinks || over(c->top_p_json, 0.9499)))    /* thinking takes 0.95 to 1 */
        jw_json(w->out->body, "top_p", c->top_p_json);
    else if (c->top_p_json.p && !is_one(c->top_p_json))
        drop(w, WORD_TOP_P);
    if (c->top_k_json.p && takes && !thinks && jval_int(c->top_k_json, &k) && k >= 0)    /* some hosts say -1 for none */
        jw_json(w->out->body, "top_k", c->top_k_json);
    else if (c->top_k_json.p)
        drop(w, WORD_TOP_K);
    if (c->presence_json.p)
        drop(w, WORD_PRESENCE);
    if (c->frequency_json.p)
        drop(w, WORD_FREQUENCY);
    if (c->seed_json.p)
        drop(w, WORD_SEED);
    if (c->logit_bias_json.p)
        drop(w, WORD_LOGIT_BIAS);
}

static void write_stops(struct anthropic_writing *w)
{
    bool open = false, dropped = false;

    for (size_t i = 0; i < w->chat->n_stops; i++) {
        if (anthropic_blank(w->chat->stops_raw[i])) {    /* refused there */
            dropped = true;
            continue;
        }
        if (!open)
            jw_array(w->out->body, "stop_sequences");
        open = true;
        jw_raw(w->out->body, NULL, w->chat->stops_raw[i]);
    }
    if (open)
        jw_close(w->out->body, ']');
    if (dropped)
        drop(w, WORD_STOP);
}

/* ---- thinking and format ---- */

static bool has_schemas(const struct target *target)
{
    return target->traits->schema && (!target->quirks || target->quirks->supports_json_schema);
}

static void write_format(struct anthropic_writing *w)
{
    const struct span schema = w->chat->schema_json;
    struct buf *b = w->out->body;
    bool changed = false;

    jw_object(b, "format");
    jw_raw(b, "type", SPAN_LIT("json_schema"));
    jw_key(b, "schema");
    anthropic_write_schema(b, schema.p ? schema : SPAN_LIT("{\"type\":\"object\"}"), &changed);
    jw_close(b, '}');
    if (changed)
        change(w, WORD_FORMAT);
}

static void write_thinking(struct anthropic_writing *w, const struct anthropic_thinking *t)
{
    struct buf *b = w->out->body;
    const bool schema = w->chat->format == FORMAT_SCHEMA && has_schemas(w->target);

    if (t->dropped)
        drop(w, WORD_EFFORT);
    if (t->changed)
        change(w, WORD_EFFORT);
    if (t->kind != THINK_UNSAID) {
        jw_object(b, "thinking");
        jw_raw(b, "type", t->kind == THINK_BUDGET ? SPAN_LIT("enabled") : t->kind == THINK_ADAPTIVE ? SPAN_LIT("adaptive")
                                                                                                     : SPAN_LIT("disabled"));
        if (t->kind == THINK_BUDGET)
            jw_int(b, "budget_tokens", t->budget);
        if (t->kind == THINK_ADAPTIVE && w->chat->show_reasoning == TRI_YES)    /* newer models omit it unless asked */
            jw_raw(b, "display", SPAN_LIT("summarized"));
        jw_close(b, '}');
    }
    if (!t->effort.p && !schema)
        return;
    jw_object(b, "output_config");
    jw_raw_if(b, "effort", t->effort);
    if (schema)
        write_format(w);
    jw_close(b, '}');
}

/* JSON is asked for in words where the model cannot be bound to it; the gateway checks the answer. */
static void write_system(struct anthropic_writing *w)
{
    const struct chat *c = w->chat;

    if (c->format == FORMAT_SCHEMA && !has_schemas(w->target)) {
        change(w, WORD_FORMAT);
        anthropic_write_system(w, c->schema_json.p ? JSON_ONLY BY_SCHEMA : JSON_ONLY, c->schema_json);
        return;
    }
    anthropic_write_system(w, c->format == FORMAT_JSON ? JSON_ONLY : NULL, SPAN_NONE);
}

/* ---- the rest ---- */

static void write_metadata(struct anthropic_writing *w)
{
    const struct span user = w->chat->user_raw;
    struct jiter it = jiter_begin(w->chat->metadata_json);

    if (it.in_object && jiter_next(&it))
        drop(w, WORD_METADATA);
    if (user.n > USER_BYTES_MAX)
        drop(w, WORD_USER);
    if (user.n == 0 || user.n > USER_BYTES_MAX)
        return;
    jw_object(w->out->body, "metadata");
    jw_raw(w->out->body, "user_id", user);
    jw_close(w->out->body, '}');
}

static void write_tier(struct anthropic_writing *w)
{
    const struct span tier = w->chat->service_tier;

    if (tier.n == 0)
        return;
    if (span_is(tier, "auto"))
        jw_raw(w->out->body, "service_tier", tier);
    else if (span_is(tier, "default") || span_is(tier, "standard") || span_is(tier, "standard_only"))
        jw_raw(w->out->body, "service_tier", SPAN_LIT("standard_only"));
    else
        drop(w, WORD_TIER);
}

/* The dialect needs a cap; one above the model's own is refused. */
static int64_t cap_of(struct anthropic_writing *w)
{
    const int64_t cap = target_cap(w->chat, w->target), most = w->target->max_output;

    if (cap == 0)
        return most;
    if (most == 0 || cap <= most)
        return cap;
    change(w, WORD_MAX_TOKENS);
    return most;
}

bool anthropic_write_request(const struct chat *chat, const struct target *target, struct request_out *out)
{
    struct anthropic_writing w = { .chat = chat, .target = target, .out = out };
    struct buf *b = out->body;
    const int64_t cap = cap_of(&w);
    const struct anthropic_thinking think = anthropic_thinking_of(chat, target, cap);
    const bool thinks = think.kind == THINK_BUDGET || think.kind == THINK_ADAPTIVE;
    size_t marks = marks_of_turns(chat);

    for (size_t i = 0; i < chat->n_tools; i++)
        marks += chat->tools[i].cache != CACHE_NONE && is_allowed(chat, &chat->tools[i]);
    w.marks_to_skip = marks > ANTHROPIC_MARKS_MAX ? marks - ANTHROPIC_MARKS_MAX : 0;
    jw_object(b, NULL);
    jw_string(b, "model", target->model);
    jw_int(b, "max_tokens", cap);
    if (chat->stream)
        jw_bool(b, "stream", true);
    if (!write_tools(&w, thinks))
        return false;
    write_thinking(&w, &think);
    write_sampling(&w, thinks);
    write_stops(&w);
    write_metadata(&w);
    write_tier(&w);
    if (chat->verbosity_raw.p)
        drop(&w, WORD_VERBOSITY);
    write_system(&w);
    if (!anthropic_write_messages(&w))
        return false;
    jw_close(b, '}');
    dialect_note_foreign(chat, &out->notes);
    return buf_ok(b) || fault_set(out->fault, 503, "server_error", "overloaded", NULL, "The gateway is short of memory.");
}
