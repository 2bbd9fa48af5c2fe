/* gemini_config.c - tools, toolConfig and generationConfig of a provider's body, from the neutral form.
 *
 * Schemas go into the members that take JSON Schema, verbatim: the older ones know a subset of OpenAPI alone
 * (wire/gemini-generate section 4). */
#include <stdio.h>

#include "gateway/dialects/gemini_write.h"
#include "gateway/dialects/unwrap.h"

/* ---- tools ---- */

static bool write_function(struct gemini_writing *w, const struct chat_tool *tool)
{
    const struct span name = gemini_name_out(w, tool->name);
    struct buf *b = w->b;

    if (!name.p)
        return false;
    jw_object(b, NULL);
    jw_string(b, "name", name);
    jw_raw_if(b, "description", tool->description_raw);
    if (tool->kind == TOOL_CUSTOM) {
        names_wrap(&w->out->names, tool->name);
        jw_json(b, "parametersJsonSchema", SPAN_LIT(UNWRAP_SCHEMA));
    } else {
        jw_json_if(b, "parametersJsonSchema", tool->schema_json);
    }
    jw_close(b, '}');
    return true;
}

static bool write_allowed(struct gemini_writing *w)
{
    const struct chat *chat = w->chat;

    jw_array(w->b, "allowedFunctionNames");
    for (size_t i = 0; i < chat->n_choice_names; i++) {
        const struct span name = gemini_name_out(w, chat->choice_names[i]);

        if (!name.p)
            return false;
        jw_string(w->b, NULL, name);
    }
    jw_close(w->b, ']');
    return true;
}

/* A subset that need not be used is VALIDATED: AUTO takes no names. */
static bool write_choice(struct gemini_writing *w)
{
    static const char *const modes[] = { [CHOICE_NONE] = "NONE", [CHOICE_AUTO] = "AUTO", [CHOICE_ANY] = "ANY",
                                         [CHOICE_NAMED] = "ANY" };
    const struct chat *chat = w->chat;
    const char *mode = chat->choice == CHOICE_ALLOWED ? (chat->choice_any ? "ANY" : "VALIDATED") : modes[chat->choice];
    bool ok = true;

    if (chat->choice == CHOICE_UNSET)
        return true;
    jw_object(w->b, "toolConfig");
    jw_object(w->b, "functionCallingConfig");
    jw_string(w->b, "mode", span_str(mode));
    if (chat->n_choice_names && (chat->choice == CHOICE_NAMED || chat->choice == CHOICE_ALLOWED))
        ok = write_allowed(w);
    jw_close(w->b, '}');
    jw_close(w->b, '}');
    return ok;
}

bool gemini_write_tools(struct gemini_writing *w)
{
    const struct chat *chat = w->chat;
    bool strict = false, format = false;

    if (chat->n_tools == 0)
        return true;
    jw_array(w->b, "tools");
    jw_object(w->b, NULL);
    jw_array(w->b, "functionDeclarations");
    for (size_t i = 0; i < chat->n_tools; i++) {
        strict |= chat->tools[i].strict == TRI_YES;
        format |= chat->tools[i].format_json.p != NULL;
        if (!write_function(w, &chat->tools[i]))
            return false;
    }
    jw_close(w->b, ']');
    jw_close(w->b, '}');
    jw_close(w->b, ']');
    if (strict)
        notes_drop(&w->out->notes, "strict");
    if (format)
        notes_drop(&w->out->notes, "format");
    if (chat->parallel == TRI_NO) {
        w->out->one_call = true;
        notes_add(&w->out->notes, "changed", span_str(gemini_said(chat, SAID_PARALLEL)));
    }
    return write_choice(w);
}

/* ---- thinking (wire/translation section 3) ---- */

static const char *const levels[] = { "minimal", "low", "medium", "high" };
enum { LEVEL_MINIMAL, LEVEL_LOW, LEVEL_MEDIUM, LEVEL_HIGH, LEVELS };

static bool knows(const struct traits *traits, int level)
{
    struct span rest = span_str(traits->efforts);

    if (rest.n == 0)
        return true;
    while (rest.n) {
        const size_t n = span_find(rest, ' ');

        if (span_is(span_first(rest, n), levels[level]))
            return true;
        rest = span_skip(rest, n + 1);
    }
    return false;
}

/* The one asked for, else the next above it, else the next below. -1: the model knows none. */
static int nearest(const struct traits *traits, int level)
{
    for (int i = level; i < LEVELS; i++)
        if (knows(traits, i))
            return i;
    for (int i = level - 1; i >= 0; i--)
        if (knows(traits, i))
            return i;
    return -1;
}

/* Halfway between the budgets that stand for the steps: 1024, 8192, 24576. */
static int level_of_budget(int64_t budget)
{
    return budget < 4608 ? LEVEL_LOW : budget < 16384 ? LEVEL_MEDIUM : LEVEL_HIGH;
}

static int level_of(const struct chat *chat)
{
    switch (chat->effort) {
    case EFFORT_OFF: case EFFORT_MINIMAL: return LEVEL_MINIMAL;
    case EFFORT_LOW: return LEVEL_LOW;
    case EFFORT_MEDIUM: return LEVEL_MEDIUM;
    case EFFORT_HIGH: case EFFORT_XHIGH: case EFFORT_MAX: return LEVEL_HIGH;
    case EFFORT_BUDGET: return level_of_budget(chat->budget);
    case EFFORT_UNSET: case EFFORT_DYNAMIC: break;
    }
    return -1;
}

static void note_effort(struct gemini_writing *w, const char *what)
{
    notes_add(&w->out->notes, what, span_str(gemini_said(w->chat, SAID_EFFORT)));
}

static void write_level(struct gemini_writing *w)
{
    static const char *const words[] = { "MINIMAL", "LOW", "MEDIUM", "HIGH" };
    const int wanted = level_of(w->chat), level = wanted < 0 ? -1 : nearest(w->target->traits, wanted);

    if (w->chat->effort == EFFORT_OFF || (wanted >= 0 && level < 0))    /* no level switches thinking off */
        note_effort(w, level < 0 ? "dropped" : "changed");
    if (level >= 0)
        jw_string(w->b, "thinkingLevel", span_str(words[level]));
}

static int64_t budget_of(const struct chat *chat, const struct traits *traits)
{
    switch (chat->effort) {
    case EFFORT_OFF: return 0;
    case EFFORT_MINIMAL: case EFFORT_LOW: return 1024;
    case EFFORT_MEDIUM: return 8192;
    case EFFORT_HIGH: return 24576;
    case EFFORT_XHIGH: case EFFORT_MAX: return traits->budget_most ? traits->budget_most : 24576;
    case EFFORT_BUDGET: return chat->budget;
    case EFFORT_UNSET: case EFFORT_DYNAMIC: break;
    }
    return -1;    /* the model decides */
}

static void write_budget(struct gemini_writing *w)
{
    const struct traits *traits = w->target->traits;
    const int64_t wanted = budget_of(w->chat, traits);
    int64_t budget = wanted;

    if (wanted > 0 || (wanted == 0 && !traits->thinking_off)) {
        if (budget < traits->budget_least)
            budget = traits->budget_least;
        if (traits->budget_most > 0 && budget > traits->budget_most)
            budget = traits->budget_most;
        if (budget != wanted)
            note_effort(w, "changed");
    }
    jw_int(w->b, "thinkingBudget", budget);
}

/* Anthropic shows thinking unless it is told not to; elsewhere it has to be asked for. */
static bool shows_thoughts(const struct chat *chat)
{
    return chat->show_reasoning == TRI_YES || (chat->dialect == DIALECT_ANTHROPIC && chat->show_reasoning == TRI_UNSET &&
                                               chat->effort != EFFORT_UNSET && chat->effort != EFFORT_OFF);
}

static void write_thinking(struct gemini_writing *w)
{
    const struct chat *chat = w->chat;
    const enum thinking_style style = w->target->traits->thinking;
    const bool thinks = style == THINKING_LEVEL || style == THINKING_BUDGET;
    const bool says_how = chat->effort != EFFORT_UNSET && !(style == THINKING_LEVEL && chat->effort == EFFORT_DYNAMIC);

    if (!thinks && chat->effort != EFFORT_UNSET && !(style == THINKING_NONE && chat->effort == EFFORT_OFF))
        note_effort(w, "dropped");
    if (!thinks || (!says_how && !shows_thoughts(chat)))
        return;
    jw_object(w->b, "thinkingConfig");
    if (shows_thoughts(chat))
        jw_bool(w->b, "includeThoughts", true);
    if (says_how && style == THINKING_LEVEL)
        write_level(w);
    else if (says_how)
        write_budget(w);
    jw_close(w->b, '}');
}

/* ---- the rest of generationConfig ---- */

/* `value` where the model takes it, else a note. */
static void write_if(struct gemini_writing *w, bool takes, const char *name, struct span value, const char *field)
{
    if (value.p && takes)
        jw_json(w->b, name, value);
    else if (value.p)
        notes_add(&w->out->notes, "dropped", span_str(field));
}

static void write_sampling(struct gemini_writing *w)
{
    const struct chat *chat = w->chat;
    const struct traits *traits = w->target->traits;
    int64_t seed, k;

    write_if(w, traits->sampling, "temperature", chat->temperature_json, "temperature");
    write_if(w, traits->sampling, "topP", chat->top_p_json, "top_p");
    /* Some hosts say -1 for none, Anthropic 0. */
    write_if(w, traits->sampling && jval_int(chat->top_k_json, &k) && k >= 1 && k <= INT32_MAX, "topK", chat->top_k_json, "top_k");
    write_if(w, traits->penalties, "presencePenalty", chat->presence_json, "presence_penalty");
    write_if(w, traits->penalties, "frequencyPenalty", chat->frequency_json, "frequency_penalty");
    write_if(w, jval_int(chat->seed_json, &seed) && seed >= INT32_MIN && seed <= INT32_MAX, "seed", chat->seed_json, "seed");
    write_if(w, false, "", chat->logit_bias_json, "logit_bias");
    write_if(w, false, "", chat->verbosity_raw, gemini_said(chat, SAID_VERBOSITY));
}

static void write_stops(struct gemini_writing *w)
{
    const struct chat *chat = w->chat;

    if (chat->n_stops == 0)
        return;
    if (!w->target->traits->stop) {
        notes_add(&w->out->notes, "dropped", span_str(gemini_said(chat, SAID_STOPS)));
        return;
    }
    jw_array(w->b, "stopSequences");
    for (size_t i = 0; i < chat->n_stops; i++)
        jw_raw(w->b, NULL, chat->stops_raw[i]);
    jw_close(w->b, ']');
}

/* Up to 2.5 a JSON answer is refused beside functions (400 "Function calling with a response mime type: 'application/json' is
 * unsupported"). */
static bool takes_json(const struct chat *chat, const struct target *target)
{
    return chat->n_tools == 0 || target->traits->thinking == THINKING_LEVEL;
}

bool gemini_schema_by_words(const struct chat *chat, const struct target *target)
{
    return chat->format == FORMAT_SCHEMA && chat->schema_json.p && (!target->traits->schema || !takes_json(chat, target));
}

static void write_format(struct gemini_writing *w)
{
    const struct chat *chat = w->chat;
    const bool json = takes_json(chat, w->target);

    if (chat->format == FORMAT_TEXT)
        return;
    if (w->instructed || !json)
        notes_add(&w->out->notes, "changed", span_str(gemini_said(chat, SAID_FORMAT)));
    if (json)
        jw_string(w->b, "responseMimeType", SPAN_LIT("application/json"));
    if (chat->format == FORMAT_SCHEMA && !w->instructed)
        jw_json_if(w->b, "responseJsonSchema", chat->schema_json);
}

void gemini_write_config(struct gemini_writing *w)
{
    const struct chat *chat = w->chat;
    const int64_t cap = target_cap(chat, w->target);
    struct buf *b = w->b;
    const size_t before = b->n;
    size_t empty;

    jw_object(b, "generationConfig");
    empty = b->n;
    if (cap > 0)
        jw_int(b, "maxOutputTokens", cap);
    if (chat->n > 1)
        jw_int(b, "candidateCount", chat->n);
    write_sampling(w);
    write_stops(w);
    if (chat->logprobs) {
        jw_bool(b, "responseLogprobs", true);
        if (chat->top_logprobs > 0)
            jw_int(b, "logprobs", chat->top_logprobs);
    }
    write_format(w);
    write_thinking(w);
    if (b->n == empty && buf_ok(b)) {
        b->n = before;
        b->p[before] = '\0';
        return;
    }
    jw_close(b, '}');
}
