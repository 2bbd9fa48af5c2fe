/* openai_body.c - the body of a call to a host of the Chat dialect, written from the neutral form: `messages` is
 * openai_turns.c's, what hosts and models want otherwise is openai_host.c's. Refuses nothing that openai_takes let by.
 * Source: wire/translation sections 2 to 5, column C. */
#include <stdio.h>

#include "base/jwrite.h"
#include "gateway/dialects/openai.h"
#include "gateway/dialects/reading.h"

#define TOOLS_MAX 128          /* as OpenAI allows */
#define STOPS_MAX 4

/* ---- can it be said? ---- */

static bool refuse(struct fault *f, const struct chat *chat, const char *field, const char *why)
{
    if (chat->dialect != DIALECT_CHAT)
        return dialect_refuse(f, chat, &openai_dialect, field, why);
    return fault_bad(f, "unsupported_parameter", field, "'%s' is not supported by this model or its provider: %s.", field, why);
}

static bool takes_media(const struct chat *chat, const struct target *t, const struct chat_item *i, struct fault *f)
{
    const bool same = chat->dialect == DIALECT_CHAT;
    const struct chat_media *m = &i->media;

    if (m->source == MEDIA_FILE_ID && !same)
        return refuse(f, chat, "file_id", "a file's id is known to its own provider alone");
    if (same)
        return true;
    if (i->kind == ITEM_IMAGE && m->source == MEDIA_URL && !t->traits->url_media)
        return refuse(f, chat, "image", "the model takes no URLs, and the gateway fetches nothing; send the picture itself");
    if (i->kind == ITEM_IMAGE || m->source == MEDIA_BYTES || (i->kind == ITEM_FILE && m->source == MEDIA_TEXT))
        return true;
    return refuse(f, chat, i->kind == ITEM_AUDIO ? "audio" : "file", "it takes no URLs for these; send the bytes");
}

/* Messages of the assistant and of the system are text. */
static bool takes_text_alone(const struct chat *chat, const struct chat_turn *turn, struct fault *f)
{
    for (const struct chat_item *i = turn->role == ROLE_USER ? NULL : turn->items; i; i = i->next)
        if (i->kind == ITEM_IMAGE || i->kind == ITEM_AUDIO || i->kind == ITEM_FILE)
            return refuse(f, chat, i->kind == ITEM_IMAGE ? "image" : i->kind == ITEM_AUDIO ? "audio" : "file",
                          "its messages of the assistant and of the system are text alone");
    return true;
}

static bool takes_items(const struct chat *chat, const struct target *t, const struct chat_item *items, struct fault *f)
{
    for (const struct chat_item *i = items; i; i = i->next) {
        if (i->kind == ITEM_FOREIGN && chat->dialect != DIALECT_CHAT)
            return refuse(f, chat, "messages", "an item of the history exists in its own dialect alone");
        if ((i->kind == ITEM_IMAGE || i->kind == ITEM_AUDIO || i->kind == ITEM_FILE) && !takes_media(chat, t, i, f))
            return false;
        if (i->kind == ITEM_RESULT && !takes_items(chat, t, i->result.parts, f))    /* parts hold no results */
            return false;
    }
    return true;
}

/* Members that the host lacks and whose want would change the answer. */
static bool has_members(const struct chat *chat, const char *lacks, struct fault *f)
{
    const struct openai_places *places = chat->dialect == DIALECT_CHAT ? chat->places : NULL;

    if (!lacks[0])
        return true;
    if (chat->n > 1 && openai_listed(lacks, SPAN_LIT("n")))
        return refuse(f, chat, "n", "it gives one answer at a time");
    for (unsigned m = 0; places && m < OPENAI_MEMBERS; m++) {
        const char *name = openai_member_name((enum openai_member)m);

        if (openai_member_means((enum openai_member)m) && !reading_is_null(places->at[m]) && openai_listed(lacks, span_str(name)))
            return refuse(f, chat, name, "it has no such thing");
    }
    if (!places || !openai_listed(lacks, SPAN_LIT("modalities")))
        return true;
    for (const struct chat_foreign *x = chat->foreign; x; x = x->next)
        if (x->kind == FOREIGN_MEANS && span_is(x->name, "modalities"))
            return refuse(f, chat, "modalities", "it does not speak");
    return true;
}

static bool takes_tools(const struct chat *chat, const struct target *t, struct fault *f)
{
    const bool same = chat->dialect == DIALECT_CHAT;

    if (!same && chat->n_tools > TOOLS_MAX)
        return refuse(f, chat, "tools", "it takes at most 128 of them");
    for (size_t i = 0; i < chat->n_tools; i++) {
        if (chat->tools[i].kind == TOOL_SERVER && !same)
            return refuse(f, chat, "tools", "one of them runs at its own provider");
        if (chat->tools[i].kind == TOOL_CUSTOM && same && openai_listed(t->quirks->lacks, SPAN_LIT("custom")))
            return refuse(f, chat, "tools", "it has no custom tools");
    }
    return true;
}

static bool takes_last_turn(const struct chat *chat, const struct target *t, struct fault *f)
{
    const struct chat_turn *last = chat->last_turn;

    if (chat->dialect == DIALECT_CHAT || !last || last->role != ROLE_ASSISTANT || t->traits->prefill)
        return true;
    return refuse(f, chat, "messages", "the last turn is the assistant's, and the model does not continue one");
}

bool openai_takes(const struct chat *chat, const struct target *target, struct fault *fault)
{
    const bool same = chat->dialect == DIALECT_CHAT;

    if (!same && !dialect_check_foreign(chat, &openai_dialect, fault))
        return false;
    if (!has_members(chat, target->quirks->lacks, fault) || !takes_tools(chat, target, fault) ||
        !takes_last_turn(chat, target, fault))
        return false;
    if (chat->n_stops && !target->traits->stop)
        return refuse(fault, chat, "stop", "the model takes no stop sequences");
    if (!same && chat->n_stops > STOPS_MAX && target->quirks->family != FAMILY_DEEPSEEK)
        return refuse(fault, chat, "stop", "it takes at most 4 of them");
    for (const struct chat_turn *t = same ? NULL : chat->turns; t; t = t->next)
        if (!takes_items(chat, target, t->items, fault) || !takes_text_alone(chat, t, fault))
            return false;
    return true;
}

/* ---- writing ---- */

struct body {
    const struct chat *chat;
    const struct target *target;
    const struct quirks *quirks;
    const struct traits *traits;
    struct request_out *out;
    struct buf *b;
    bool openai;               /* OpenAI itself: it has fields that hosts do not know */
};

static void drop(struct body *w, struct span field)
{
    notes_add(&w->out->notes, "dropped", field);
}

/* Does the host take this member? What tunes is dropped with a note. */
static bool has(struct body *w, const char *name)
{
    if (!openai_listed(w->quirks->lacks, span_str(name)))
        return true;
    drop(w, span_str(name));
    return false;
}

/* One that hosts which refuse what they do not know must be asked for. */
static bool knows(const struct body *w, const char *name)
{
    if (w->quirks->unknown_fields == UNKNOWN_REJECTED)
        return openai_listed(w->quirks->knows, span_str(name));
    return !openai_listed(w->quirks->lacks, span_str(name));
}

/* ---- tools ---- */

static bool is_allowed(const struct chat *chat, struct span name)
{
    for (size_t i = 0; i < chat->n_choice_names; i++)
        if (span_eq(chat->choice_names[i], name))
            return true;
    return false;
}

static bool write_function(struct body *w, const struct chat_tool *t, struct span name)
{
    const bool custom = t->kind == TOOL_CUSTOM;

    jw_object(w->b, NULL);
    jw_string(w->b, "type", SPAN_LIT("function"));
    jw_object(w->b, "function");
    jw_string(w->b, "name", name);
    jw_raw_if(w->b, "description", t->description_raw);
    if (custom)
        jw_json(w->b, "parameters", SPAN_LIT(UNWRAP_SCHEMA));
    else if (t->schema_json.p || w->quirks->unknown_fields == UNKNOWN_REJECTED)    /* hosts that strict demand it */
        jw_json(w->b, "parameters", t->schema_json.p ? t->schema_json : SPAN_LIT("{\"type\":\"object\",\"properties\":{}}"));
    if (t->strict == TRI_YES && w->traits->schema && w->quirks->supports_json_schema)
        jw_bool(w->b, "strict", true);
    jw_close(w->b, '}');
    jw_close(w->b, '}');
    if (custom)
        names_wrap(&w->out->names, t->name);
    return true;
}

/* Chat nests a grammar, Responses does not. */
static void write_tool_format(struct body *w, struct span format)
{
    const struct span definition = jval_get(format, "definition");

    if (!definition.p) {
        jw_json_if(w->b, "format", format);
        return;
    }
    jw_object(w->b, "format");
    jw_string(w->b, "type", SPAN_LIT("grammar"));
    jw_object(w->b, "grammar");
    jw_json_if(w->b, "syntax", jval_get(format, "syntax"));
    jw_json(w->b, "definition", definition);
    jw_close(w->b, '}');
    jw_close(w->b, '}');
}

static bool write_tool(struct body *w, const struct chat_tool *t)
{
    struct span name;

    if (t->kind == TOOL_SERVER) {    /* of this very dialect */
        jw_json(w->b, NULL, t->json);
        return true;
    }
    name = names_out(&w->out->names, w->out->arena, t->name, 64, false, false, w->out->fault);
    if (!name.p)
        return false;
    if (t->kind == TOOL_FUNCTION || !openai_knows_custom(w->target))
        return write_function(w, t, name);
    jw_object(w->b, NULL);
    jw_string(w->b, "type", SPAN_LIT("custom"));
    jw_object(w->b, "custom");
    jw_string(w->b, "name", name);
    jw_raw_if(w->b, "description", t->description_raw);
    write_tool_format(w, t->format_json);
    jw_close(w->b, '}');
    jw_close(w->b, '}');
    return true;
}

/* OpenAI can be told which of the tools to use, and keeps its cache; others get those alone. */
static bool write_tools(struct body *w)
{
    const struct chat *c = w->chat;
    const bool some = c->choice == CHOICE_ALLOWED && !w->openai;
    bool begun = false;

    for (size_t i = 0; i < c->n_tools; i++) {
        if (some && !is_allowed(c, c->tools[i].name))
            continue;
        if (!begun)
            jw_array(w->b, "tools");
        begun = true;
        if (!write_tool(w, &c->tools[i]))
            return false;
    }
    if (begun)
        jw_close(w->b, ']');
    if (some)
        notes_change(&w->out->notes, "tools");
    return true;
}

static bool write_named(struct body *w, const char *member, struct span tool)
{
    const struct chat_tool *t = chat_find_tool(w->chat, tool);
    const char *kind = t && t->kind == TOOL_CUSTOM && openai_knows_custom(w->target) ? "custom" : "function";
    const struct span name = names_out(&w->out->names, w->out->arena, tool, 64, false, false, w->out->fault);

    if (!name.p)
        return false;
    jw_object(w->b, member);
    jw_string(w->b, "type", span_str(kind));
    jw_object(w->b, kind);
    jw_string(w->b, "name", name);
    jw_close(w->b, '}');
    jw_close(w->b, '}');
    return true;
}

static bool write_allowed(struct body *w)
{
    jw_object(w->b, "tool_choice");
    jw_string(w->b, "type", SPAN_LIT("allowed_tools"));
    jw_object(w->b, "allowed_tools");
    jw_string(w->b, "mode", w->chat->choice_any ? SPAN_LIT("required") : SPAN_LIT("auto"));
    jw_array(w->b, "tools");
    for (size_t i = 0; i < w->chat->n_choice_names; i++)
        if (!write_named(w, NULL, w->chat->choice_names[i]))
            return false;
    jw_close(w->b, ']');
    jw_close(w->b, '}');
    jw_close(w->b, '}');
    return true;
}

static bool write_choice(struct body *w)
{
    const struct chat *c = w->chat;
    const struct span required = span_str(w->quirks->tool_choice_required_word[0] ? w->quirks->tool_choice_required_word
                                                                                  : "required");

    if (c->n_tools == 0 || c->choice == CHOICE_UNSET)
        return true;
    if (openai_unforced(c, w->target)) {
        notes_change(&w->out->notes, "tool_choice");
        jw_string(w->b, "tool_choice", SPAN_LIT("auto"));
        return true;
    }
    switch (c->choice) {
    case CHOICE_NONE: jw_string(w->b, "tool_choice", SPAN_LIT("none")); return true;
    case CHOICE_AUTO: jw_string(w->b, "tool_choice", SPAN_LIT("auto")); return true;
    case CHOICE_ANY: jw_string(w->b, "tool_choice", required); return true;
    case CHOICE_NAMED: return write_named(w, "tool_choice", c->choice_names[0]);
    case CHOICE_ALLOWED:
        if (w->openai)
            return write_allowed(w);
        jw_string(w->b, "tool_choice", c->choice_any ? required : SPAN_LIT("auto"));
        return true;
    case CHOICE_UNSET: break;
    }
    return true;
}

static void write_parallel(struct body *w)
{
    if (w->chat->parallel == TRI_UNSET || w->chat->n_tools == 0)
        return;
    if (w->quirks->supports_parallel) {
        jw_bool(w->b, "parallel_tool_calls", w->chat->parallel == TRI_YES);
    } else if (w->chat->parallel == TRI_NO) {
        notes_change(&w->out->notes, "parallel_tool_calls");
        w->out->one_call = true;
    }
}

/* ---- format ---- */

static void write_format(struct body *w)
{
    const struct chat *c = w->chat;
    const bool schema = c->format == FORMAT_SCHEMA && !openai_schema_in_words(c, w->target);

    if (c->format == FORMAT_TEXT)
        return;
    if (c->format == FORMAT_SCHEMA && !schema)
        notes_change(&w->out->notes, "response_format");
    jw_object(w->b, "response_format");
    jw_string(w->b, "type", schema ? SPAN_LIT("json_schema") : SPAN_LIT("json_object"));
    if (schema) {
        jw_object(w->b, "json_schema");
        jw_raw(w->b, "name", c->schema_name_raw.n ? c->schema_name_raw : SPAN_LIT("answer"));
        jw_raw_if(w->b, "description", c->schema_description_raw);
        jw_json_if(w->b, "schema", c->schema_json);
        if (c->schema_strict != TRI_UNSET)
            jw_bool(w->b, "strict", c->schema_strict == TRI_YES);
        jw_close(w->b, '}');
    }
    jw_close(w->b, '}');
}

/* ---- sampling, caps, effort ---- */

static void write_number(struct body *w, const char *name, struct span json, bool taken)
{
    if (!json.p)
        return;
    if (!taken)
        drop(w, span_str(name));
    else if (has(w, name))
        jw_json(w->b, name, json);
}

static void write_stops(struct body *w)
{
    if (w->chat->n_stops == 0)
        return;
    jw_array(w->b, "stop");
    for (size_t i = 0; i < w->chat->n_stops; i++)
        jw_raw(w->b, NULL, w->chat->stops_raw[i]);
    jw_close(w->b, ']');
}

static void write_sampling(struct body *w)
{
    const struct chat *c = w->chat;
    const bool sampling = w->traits->sampling || c->effort == EFFORT_OFF;

    write_number(w, "temperature", c->temperature_json, sampling);
    write_number(w, "top_p", c->top_p_json, sampling);
    if (c->top_k_json.p)
        drop(w, SPAN_LIT("top_k"));
    write_number(w, "presence_penalty", c->presence_json, w->traits->penalties);
    write_number(w, "frequency_penalty", c->frequency_json, w->traits->penalties);
    write_number(w, "logit_bias", c->logit_bias_json, w->traits->penalties);
    if (c->seed_json.p && w->quirks->seed_field == RANDOM_SEED)
        jw_json(w->b, "random_seed", c->seed_json);
    else
        write_number(w, "seed", c->seed_json, true);
    write_stops(w);
    if (c->logprobs && has(w, "logprobs")) {
        jw_bool(w->b, "logprobs", true);
        if (c->top_logprobs >= 0)
            jw_int(w->b, "top_logprobs", c->top_logprobs);
    }
}

static void write_caps(struct body *w)
{
    const int64_t cap = target_cap(w->chat, w->target);

    if (cap > 0)
        jw_int(w->b, w->quirks->max_tokens_field == MAX_COMPLETION_TOKENS ? "max_completion_tokens" : "max_tokens", cap);
    if (w->chat->n > 1)
        jw_int(w->b, "n", w->chat->n);
}

static void write_effort(struct body *w)
{
    const char *type = NULL, *deepseek = NULL;
    struct span effort;
    bool changed = false;

    if (w->traits->thinking == THINKING_DEEPSEEK)
        openai_deepseek_thinking(w->chat, &type, &deepseek);
    effort = w->traits->thinking == THINKING_DEEPSEEK ? span_str(deepseek) : openai_effort(w->chat, w->traits, &changed);
    if (changed)
        notes_add(&w->out->notes, effort.p ? "changed" : "dropped", openai_effort_field(w->chat));
    if (type) {
        jw_object(w->b, "thinking");
        jw_string(w->b, "type", span_str(type));
        jw_close(w->b, '}');
    }
    if (effort.p)
        jw_string(w->b, "reasoning_effort", effort);
}

/* ---- the rest ---- */

static void write_tier(struct body *w)
{
    const struct span tier = w->chat->service_tier;

    if (!tier.n || span_is(tier, "auto"))
        return;
    if (span_is(tier, "standard_only") || span_is(tier, "standard") || span_is(tier, "default"))
        jw_string(w->b, "service_tier", SPAN_LIT("default"));
    else if (w->openai)
        jw_string(w->b, "service_tier", tier);
    else
        drop(w, SPAN_LIT("service_tier"));
}

static void write_rest(struct body *w)
{
    const struct chat *c = w->chat;

    if (w->openai)
        jw_raw_if(w->b, "verbosity", c->verbosity_raw);
    else if (c->verbosity_raw.p)
        drop(w, SPAN_LIT("verbosity"));
    if (knows(w, "user"))
        jw_raw_if(w->b, "user", c->user_raw);
    if (knows(w, "metadata"))
        jw_json_if(w->b, "metadata", c->metadata_json);
    else if (c->metadata_json.p)
        drop(w, SPAN_LIT("metadata"));
    if (w->openai || openai_listed(w->quirks->knows, SPAN_LIT("prompt_cache_key")))
        jw_raw_if(w->b, "prompt_cache_key", c->cache_key_raw);
    if (w->openai) {
        write_tier(w);
    } else if (c->service_tier.n && !span_is(c->service_tier, "auto") && !span_is(c->service_tier, "default")) {
        drop(w, SPAN_LIT("service_tier"));
    }
    if (!c->stream)
        return;
    jw_bool(w->b, "stream", true);
    if (w->quirks->stream_usage == STREAM_USAGE_ASK)
        jw_json(w->b, "stream_options", SPAN_LIT("{\"include_usage\":true}"));
}

/* Has the body its say about this member already? */
static bool is_written(enum openai_member m)
{
    switch (m) {
    case OPENAI_STORE:
    case OPENAI_MODALITIES:
    case OPENAI_AUDIO:
    case OPENAI_PREDICTION:
    case OPENAI_MODERATION:
    case OPENAI_WEB_SEARCH_OPTIONS:
    case OPENAI_FUNCTIONS:
    case OPENAI_FUNCTION_CALL:
    case OPENAI_PROMPT_CACHE_OPTIONS:
    case OPENAI_PROMPT_CACHE_RETENTION:
    case OPENAI_MEMBERS: return false;
    default: return true;
    }
}

/* A caller of this dialect: what has no place in the neutral form passes where the host takes it. */
static void write_own(struct body *w)
{
    for (struct jiter it = jiter_begin(w->chat->body); jiter_next(&it);) {
        const bool known = openai_listed(w->quirks->knows, it.key);

        if (is_written(openai_member_of(it.key)) || jval_type(it.value) == JTYPE_NULL)
            continue;
        if (!known && (w->quirks->unknown_fields == UNKNOWN_REJECTED || openai_listed(w->quirks->lacks, it.key))) {
            drop(w, it.key);
            continue;
        }
        jw_raw(w->b, NULL, it.key);
        buf_add_char(w->b, ':');
        buf_add_span(w->b, it.value);
    }
}

bool openai_write_request(const struct chat *chat, const struct target *target, struct request_out *out)
{
    struct body w = { .chat = chat, .target = target, .quirks = target->quirks, .traits = target->traits, .out = out,
                      .b = out->body, .openai = target->quirks->family == FAMILY_OPENAI };

    jw_object(w.b, NULL);
    jw_string(w.b, "model", target->model);
    if (!openai_write_messages(chat, target, out) || !write_tools(&w) || !write_choice(&w))
        return false;
    write_parallel(&w);
    write_format(&w);
    write_caps(&w);
    write_sampling(&w);
    write_effort(&w);
    write_rest(&w);
    if (chat->dialect == DIALECT_CHAT)
        write_own(&w);
    else
        dialect_note_foreign(chat, &out->notes);
    jw_close(w.b, '}');
    return buf_ok(w.b) || fault_set(out->fault, 503, "server_error", "overloaded", NULL, "The gateway is short of memory.");
}
