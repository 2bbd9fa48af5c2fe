/* responses_body.c - the body of a call to a host that speaks Responses: written from the neutral form for a caller of another
 * dialect, passed with a few edits for one of this dialect.
 *
 * Other callers come here for models that exist on Responses alone. Written bodies are stateless: nothing is stored, reasoning
 * comes back encrypted and is sent again. Source: wire/openai-responses sections 2 to 4, wire/translation sections 2 to 5. */
#include <stdio.h>

#include "base/base64.h"
#include "base/jwrite.h"
#include "gateway/dialects/edits.h"
#include "gateway/dialects/effort.h"
#include "gateway/dialects/responses_parts.h"

#define TOOL_NAME_MAX 64
#define USER_MAX 64                /* of safety_identifier */

/* ---- what cannot be said ---- */

/* The caller's word for a thing that dialects spell differently. */
static const char *spelled(const struct chat *c, const char *openai, const char *anthropic, const char *gemini)
{
    return c->dialect == DIALECT_ANTHROPIC ? anthropic : c->dialect == DIALECT_GEMINI ? gemini : openai;
}

static bool refuse(struct fault *f, const struct chat *c, const char *field, const char *why)
{
    return dialect_refuse(f, c, &responses_dialect, field, why);
}

static const char *history_of(const struct chat *c)
{
    return spelled(c, "messages", "messages", "contents");
}

static bool takes_item(const struct chat *c, const struct chat_item *i, const struct target *t, struct fault *f)
{
    switch (i->kind) {
    case ITEM_AUDIO:
        return refuse(f, c, history_of(c), "it takes no audio");
    case ITEM_FOREIGN:
        return refuse(f, c, history_of(c), "it has no such part");
    case ITEM_IMAGE: case ITEM_FILE:
        if (i->media.source == MEDIA_FILE_ID && (c->dialect != DIALECT_CHAT || t->family != FAMILY_OPENAI))
            return refuse(f, c, history_of(c), "a file's id means something to the provider that gave it alone");
        if (i->media.source == MEDIA_URL && !t->traits->url_media)
            return refuse(f, c, history_of(c), "the model takes no URLs, and the gateway fetches nothing");
        return true;
    default:
        return true;
    }
}

static bool takes_items(const struct chat *c, const struct target *t, struct fault *f)
{
    for (const struct chat_turn *turn = c->turns; turn; turn = turn->next)
        for (const struct chat_item *i = turn->items; i; i = i->next) {
            if (!takes_item(c, i, t, f))
                return false;
            if (turn->role == ROLE_ASSISTANT && (i->kind == ITEM_IMAGE || i->kind == ITEM_FILE))
                return refuse(f, c, history_of(c), "the assistant says text alone there");
            for (const struct chat_item *part = i->kind == ITEM_RESULT ? i->result.parts : NULL; part; part = part->next)
                if (!takes_item(c, part, t, f))
                    return false;
        }
    return true;
}

bool responses_takes(const struct chat *c, const struct target *t, struct fault *f)
{
    if (!dialect_check_foreign(c, &responses_dialect, f))
        return false;
    if (c->n > 1)
        return refuse(f, c, spelled(c, "n", "n", "generationConfig.candidateCount"), "it answers once");
    if (c->n_stops)
        return refuse(f, c, spelled(c, "stop", "stop_sequences", "generationConfig.stopSequences"),
                      "it has no stop sequences");
    for (size_t i = 0; i < c->n_tools; i++)
        if (c->tools[i].kind == TOOL_SERVER)
            return refuse(f, c, "tools", "a tool that runs at one provider does not run at another");
    if (c->last_turn && c->last_turn->role == ROLE_ASSISTANT)
        return refuse(f, c, history_of(c), "it cannot continue a turn of the assistant");
    return takes_items(c, t, f);
}

/* ---- input ---- */

struct body {
    const struct chat *chat;
    const struct target *target;
    struct request_out *out;
    struct buf *b;
    const char *message;       /* role of the message that is open; NULL: none */
    bool name_dropped;         /* the note is made once */
};

static void close_message(struct body *w)
{
    if (!w->message)
        return;
    jw_close(w->b, ']');
    jw_close(w->b, '}');
    w->message = NULL;
}

static void open_message(struct body *w, const char *role)
{
    if (w->message)
        return;
    jw_object(w->b, NULL);
    jw_string(w->b, "type", SPAN_LIT("message"));
    jw_string(w->b, "role", span_str(role));
    jw_array(w->b, "content");
    w->message = role;
}

static void write_text(struct body *w, const char *type, const char *member, struct span raw)
{
    jw_object(w->b, NULL);
    jw_string(w->b, "type", span_str(type));
    jw_raw(w->b, member, raw);
    jw_close(w->b, '}');
}

static void write_data(struct body *w, const char *name, const struct chat_media *m, const char *type)
{
    jw_key(w->b, name);
    buf_add_str(w->b, "\"data:");
    jw_escaped(w->b, m->type.n ? m->type : span_str(type));
    buf_add_str(w->b, ";base64,");
    base64_add_standard(w->b, m->data);
    buf_add_char(w->b, '"');
}

static void write_image(struct body *w, const struct chat_media *m)
{
    jw_object(w->b, NULL);
    jw_string(w->b, "type", SPAN_LIT("input_image"));
    if (m->source == MEDIA_FILE_ID)
        jw_raw(w->b, "file_id", m->data);
    else if (m->source == MEDIA_URL)
        jw_raw(w->b, "image_url", m->data);
    else
        write_data(w, "image_url", m, "image/png");
    if (m->detail.n)
        jw_string(w->b, "detail", m->detail);
    jw_close(w->b, '}');
}

/* OpenAI asks for a name beside the bytes of a file. */
static void write_file(struct body *w, const struct chat_media *m)
{
    if (m->source == MEDIA_TEXT) {
        write_text(w, "input_text", "text", m->data);
        return;
    }
    jw_object(w->b, NULL);
    jw_string(w->b, "type", SPAN_LIT("input_file"));
    if (m->source == MEDIA_BYTES) {
        jw_raw(w->b, "filename", m->name_raw.n ? m->name_raw : SPAN_LIT("document.pdf"));
        write_data(w, "file_data", m, "application/pdf");
    } else {
        jw_raw(w->b, m->source == MEDIA_URL ? "file_url" : "file_id", m->data);
    }
    jw_close(w->b, '}');
}

/* A part of a message of the user, of the system or of a result. */
static void write_part(struct body *w, const struct chat_item *i)
{
    if (i->kind == ITEM_IMAGE)
        write_image(w, &i->media);
    else if (i->kind == ITEM_FILE)
        write_file(w, &i->media);
    else
        write_text(w, "input_text", "text", i->text);
}

static bool write_name(struct body *w, struct span name)
{
    const struct span theirs = names_out(&w->out->names, w->out->arena, name, TOOL_NAME_MAX, false, false, w->out->fault);

    if (!theirs.p)
        return false;
    jw_string(w->b, "name", theirs);
    return true;
}

static bool write_call(struct body *w, const struct chat_call *call)
{
    const char *const member = call->custom ? "input" : "arguments";
    bool ok;

    close_message(w);
    jw_object(w->b, NULL);
    jw_string(w->b, "type", call->custom ? SPAN_LIT("custom_tool_call") : SPAN_LIT("function_call"));
    jw_string(w->b, "call_id", call->id);
    ok = write_name(w, call->name);
    if (call->arguments_json.p)
        jw_string(w->b, member, call->arguments_json);
    else
        jw_raw(w->b, member, call->arguments_raw.n || call->custom ? call->arguments_raw : SPAN_LIT("{}"));
    jw_close(w->b, '}');
    return ok;
}

/* Reasoning of OpenAI's own goes back to it; anybody else's is nothing to it. */
static void write_reasoning(struct body *w, const struct chat_item *i)
{
    if (!i->opaque_raw.n || i->family != FAMILY_OPENAI || w->target->family != FAMILY_OPENAI)
        return;
    close_message(w);
    jw_object(w->b, NULL);
    jw_string(w->b, "type", SPAN_LIT("reasoning"));
    if (i->id.n)
        jw_string(w->b, "id", i->id);
    jw_array(w->b, "summary");
    if (i->text.n)
        write_text(w, "summary_text", "text", i->text);
    jw_close(w->b, ']');
    jw_raw(w->b, "encrypted_content", i->opaque_raw);
    jw_close(w->b, '}');
}

/* Texts alone are one string, as most hosts of this dialect expect them; with a picture among them it is a list. What stands
 * before them: an object as it came, or the word that it was an error. */
static void add_result_head(struct body *w, const struct chat_result *r)
{
    if (r->object_json.p)
        jw_escaped(w->b, r->object_json);
    else if (r->is_error)
        buf_add_str(w->b, "Error: ");
}

static void write_result(struct body *w, const struct chat_result *r)
{
    bool texts = true, first = !r->object_json.p;

    close_message(w);
    jw_object(w->b, NULL);
    jw_string(w->b, "type", r->custom ? SPAN_LIT("custom_tool_call_output") : SPAN_LIT("function_call_output"));
    jw_string(w->b, "call_id", r->id);
    for (const struct chat_item *i = r->parts; i; i = i->next)
        texts &= i->kind == ITEM_TEXT;
    if (texts) {
        jw_key(w->b, "output");
        buf_add_char(w->b, '"');
        add_result_head(w, r);
        for (const struct chat_item *i = r->parts; i; i = i->next, first = false) {
            buf_add_str(w->b, first ? "" : "\\n\\n");
            buf_add_span(w->b, i->text);
        }
        buf_add_char(w->b, '"');
    } else {
        jw_array(w->b, "output");
        if (r->object_json.p || r->is_error) {
            jw_object(w->b, NULL);
            jw_string(w->b, "type", SPAN_LIT("input_text"));
            jw_key(w->b, "text");
            buf_add_char(w->b, '"');
            add_result_head(w, r);
            buf_add_char(w->b, '"');
            jw_close(w->b, '}');
        }
        for (const struct chat_item *i = r->parts; i; i = i->next)
            write_part(w, i);
        jw_close(w->b, ']');
    }
    jw_close(w->b, '}');
}

static bool write_item(struct body *w, const struct chat_turn *t, const struct chat_item *i)
{
    switch (i->kind) {
    case ITEM_CALL:
        return write_call(w, &i->call);
    case ITEM_RESULT:
        write_result(w, &i->result);
        return true;
    case ITEM_REASONING:
        write_reasoning(w, i);
        return true;
    case ITEM_TEXT: case ITEM_REFUSAL:
        if (t->role != ROLE_ASSISTANT)
            break;
        open_message(w, "assistant");
        write_text(w, i->kind == ITEM_TEXT ? "output_text" : "refusal", i->kind == ITEM_TEXT ? "text" : "refusal", i->text);
        return true;
    default:
        break;
    }
    open_message(w, t->role == ROLE_SYSTEM ? (t->developer ? "developer" : "system") : "user");
    write_part(w, i);
    return true;
}

/* The first instruction has a member of its own, if it is one text and not all there is: the input must not be empty. */
static bool is_instructions(const struct chat_turn *t)
{
    return t && t->next && t->role == ROLE_SYSTEM && t->items && !t->items->next && t->items->kind == ITEM_TEXT;
}

static void note_name(struct body *w, const struct chat_turn *t)
{
    if (t->name_raw.n && !w->name_dropped) {
        notes_drop(&w->out->notes, "name");
        w->name_dropped = true;
    }
}

static bool write_input(struct body *w)
{
    const struct chat_turn *t = w->chat->turns;

    if (is_instructions(t)) {
        jw_raw(w->b, "instructions", t->items->text);
        note_name(w, t);
        t = t->next;
    }
    jw_array(w->b, "input");
    for (; t; t = t->next) {
        note_name(w, t);
        for (const struct chat_item *i = t->items; i; i = i->next)
            if (!write_item(w, t, i))
                return false;
        if (!t->items && t->role == ROLE_USER) {    /* the input must not be empty either */
            open_message(w, "user");
            write_text(w, "input_text", "text", SPAN_LIT(""));
        }
        close_message(w);
    }
    if (buf_ok(w->b) && w->b->p[w->b->n - 1] == '[') {    /* all turns were empty */
        open_message(w, "user");
        write_text(w, "input_text", "text", SPAN_LIT(""));
        close_message(w);
        notes_add(&w->out->notes, "changed", span_str(history_of(w->chat)));
    }
    jw_close(w->b, ']');
    return true;
}

/* ---- tools ---- */

/* Chat nests a grammar, Responses does not. */
static void write_tool_format(struct body *w, struct span format)
{
    const struct span grammar = jval_get(format, "grammar");

    if (jval_type(grammar) != JTYPE_OBJECT) {
        jw_json(w->b, "format", format);
        return;
    }
    jw_object(w->b, "format");
    jw_string(w->b, "type", SPAN_LIT("grammar"));
    jw_json_if(w->b, "syntax", jval_get(grammar, "syntax"));
    jw_json_if(w->b, "definition", jval_get(grammar, "definition"));
    jw_close(w->b, '}');
}

/* `strict` left out means true here, and false in every other dialect: it is always said. */
static bool write_tool(struct body *w, const struct chat_tool *t)
{
    bool ok;

    jw_object(w->b, NULL);
    jw_string(w->b, "type", t->kind == TOOL_CUSTOM ? SPAN_LIT("custom") : SPAN_LIT("function"));
    ok = write_name(w, t->name);
    jw_raw_if(w->b, "description", t->description_raw);
    if (t->kind == TOOL_CUSTOM) {
        if (t->format_json.p)
            write_tool_format(w, t->format_json);
    } else {
        jw_json(w->b, "parameters", t->schema_json.p ? t->schema_json : SPAN_LIT("{\"type\":\"object\",\"properties\":{}}"));
        jw_bool(w->b, "strict", t->strict == TRI_YES);
    }
    jw_close(w->b, '}');
    return ok;
}

static bool write_tool_name(struct body *w, const char *member, struct span name)
{
    const struct chat_tool *t = chat_find_tool(w->chat, name);
    bool ok;

    jw_object(w->b, member);
    jw_string(w->b, "type", t && t->kind == TOOL_CUSTOM ? SPAN_LIT("custom") : SPAN_LIT("function"));
    ok = write_name(w, name);
    jw_close(w->b, '}');
    return ok;
}

static bool write_choice(struct body *w)
{
    const struct chat *c = w->chat;

    switch (c->choice) {
    case CHOICE_UNSET:
        return true;
    case CHOICE_NONE:
        jw_string(w->b, "tool_choice", SPAN_LIT("none"));
        return true;
    case CHOICE_AUTO:
        jw_string(w->b, "tool_choice", SPAN_LIT("auto"));
        return true;
    case CHOICE_ANY:
        jw_string(w->b, "tool_choice", SPAN_LIT("required"));
        return true;
    case CHOICE_NAMED:
        return write_tool_name(w, "tool_choice", c->choice_names[0]);
    case CHOICE_ALLOWED:
        jw_object(w->b, "tool_choice");
        jw_string(w->b, "type", SPAN_LIT("allowed_tools"));
        jw_string(w->b, "mode", c->choice_any ? SPAN_LIT("required") : SPAN_LIT("auto"));
        jw_array(w->b, "tools");
        for (size_t i = 0; i < c->n_choice_names; i++)
            if (!write_tool_name(w, NULL, c->choice_names[i]))
                return false;
        jw_close(w->b, ']');
        jw_close(w->b, '}');
    }
    return true;
}

static bool write_tools(struct body *w)
{
    if (w->chat->n_tools == 0)
        return true;
    jw_array(w->b, "tools");
    for (size_t i = 0; i < w->chat->n_tools; i++)
        if (!write_tool(w, &w->chat->tools[i]))
            return false;
    jw_close(w->b, ']');
    if (w->chat->parallel != TRI_UNSET)
        jw_bool(w->b, "parallel_tool_calls", w->chat->parallel == TRI_YES);
    return write_choice(w);
}

/* ---- the rest ---- */

static void note_number(struct body *w, struct span value, const char *field)
{
    if (value.p)
        notes_add(&w->out->notes, "dropped", span_str(field));
}

static void write_sampling(struct body *w)
{
    const struct chat *c = w->chat;

    if (w->target->traits->sampling) {
        jw_json_if(w->b, "temperature", c->temperature_json);
        jw_json_if(w->b, "top_p", c->top_p_json);
    } else {
        note_number(w, c->temperature_json, spelled(c, "temperature", "temperature", "generationConfig.temperature"));
        note_number(w, c->top_p_json, spelled(c, "top_p", "top_p", "generationConfig.topP"));
    }
    note_number(w, c->top_k_json, spelled(c, "top_k", "top_k", "generationConfig.topK"));
    note_number(w, c->presence_json, spelled(c, "presence_penalty", "", "generationConfig.presencePenalty"));
    note_number(w, c->frequency_json, spelled(c, "frequency_penalty", "", "generationConfig.frequencyPenalty"));
    note_number(w, c->seed_json, spelled(c, "seed", "", "generationConfig.seed"));
    note_number(w, c->logit_bias_json, "logit_bias");
    if (c->logprobs && c->top_logprobs >= 0)
        jw_int(w->b, "top_logprobs", c->top_logprobs);
}

/* Every word that the dialect has, for models of which nothing is known. */
#define EFFORTS "none minimal low medium high xhigh max"

static void write_reasoning_options(struct body *w)
{
    const struct chat *c = w->chat;
    const struct traits *traits = w->target->traits;
    const char *const field = spelled(c, "reasoning_effort", "thinking", "generationConfig.thinkingConfig");
    bool changed;
    const struct span word = effort_word(c, traits->efforts[0] ? traits->efforts : EFFORTS, &changed);

    if (traits->thinking == THINKING_NONE) {
        if (word.p && c->effort != EFFORT_OFF)
            notes_add(&w->out->notes, "dropped", span_str(field));
        return;
    }
    if (changed)
        notes_add(&w->out->notes, "changed", span_str(field));
    if (!word.p && c->show_reasoning != TRI_YES)
        return;
    jw_object(w->b, "reasoning");
    if (word.p)
        jw_string(w->b, "effort", word);
    if (c->show_reasoning == TRI_YES)
        jw_string(w->b, "summary", SPAN_LIT("auto"));
    jw_close(w->b, '}');
}

static void write_format(struct body *w)
{
    const struct chat *c = w->chat;

    if (c->format == FORMAT_TEXT && !c->verbosity_raw.p)
        return;
    jw_object(w->b, "text");
    if (c->format != FORMAT_TEXT) {
        jw_object(w->b, "format");
        jw_string(w->b, "type", c->format == FORMAT_JSON ? SPAN_LIT("json_object") : SPAN_LIT("json_schema"));
        if (c->format == FORMAT_SCHEMA) {
            jw_raw(w->b, "name", c->schema_name_raw.n ? c->schema_name_raw : SPAN_LIT("answer"));
            jw_raw_if(w->b, "description", c->schema_description_raw);
            jw_json(w->b, "schema", c->schema_json.p ? c->schema_json : SPAN_LIT("{}"));
            if (c->schema_strict != TRI_UNSET)
                jw_bool(w->b, "strict", c->schema_strict == TRI_YES);
        }
        jw_close(w->b, '}');
    }
    jw_raw_if(w->b, "verbosity", c->verbosity_raw);
    jw_close(w->b, '}');
}

static void write_include(struct body *w)
{
    const bool thinks = w->target->traits->thinking != THINKING_NONE && w->target->family == FAMILY_OPENAI;

    if (!thinks && !w->chat->logprobs)
        return;
    jw_array(w->b, "include");
    if (thinks)
        jw_string(w->b, NULL, SPAN_LIT("reasoning.encrypted_content"));
    if (w->chat->logprobs)
        jw_string(w->b, NULL, SPAN_LIT("message.output_text.logprobs"));
    jw_close(w->b, ']');
}

static void write_service_tier(struct body *w)
{
    static const char *const words[] = { "auto", "default", "flex", "scale", "priority" };
    const struct span tier = w->chat->service_tier;

    if (!tier.p)
        return;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (span_is(tier, words[i])) {
            jw_string(w->b, "service_tier", tier);
            return;
        }
    if (span_is(tier, "standard_only") || span_is(tier, "standard"))    /* Anthropic's, Gemini's */
        jw_string(w->b, "service_tier", SPAN_LIT("default"));
    else
        notes_drop(&w->out->notes, "service_tier");
}

static void write_rest(struct body *w)
{
    const struct chat *c = w->chat;
    const int64_t cap = target_cap(c, w->target);

    if (cap > 0 && cap < responses_dialect.least_output)    /* clients probe with a cap of 1 */
        notes_add(&w->out->notes, "changed",
                  span_str(spelled(c, "max_completion_tokens", "max_tokens", "generationConfig.maxOutputTokens")));
    if (cap > 0)
        jw_int(w->b, "max_output_tokens", cap < responses_dialect.least_output ? responses_dialect.least_output : cap);
    write_sampling(w);
    write_reasoning_options(w);
    write_format(w);
    write_include(w);
    jw_json_if(w->b, "metadata", c->metadata_json);
    if (c->user_raw.n > USER_MAX)
        notes_add(&w->out->notes, "dropped", span_str(spelled(c, "user", "metadata.user_id", "user")));
    else if (c->user_raw.n)
        jw_raw(w->b, "safety_identifier", c->user_raw);
    write_service_tier(w);
    jw_raw_if(w->b, "prompt_cache_key", c->cache_key_raw);
    jw_bool(w->b, "store", false);
    if (c->stream)
        jw_bool(w->b, "stream", true);
}

bool responses_write_request(const struct chat *c, const struct target *target, struct request_out *out)
{
    struct body w = { .chat = c, .target = target, .out = out, .b = out->body };

    dialect_note_foreign(c, &out->notes);
    jw_object(w.b, NULL);
    jw_string(w.b, "model", target->model);
    if (!write_input(&w) || !write_tools(&w))
        return false;
    write_rest(&w);
    jw_close(w.b, '}');
    return buf_ok(w.b) || fault_set(out->fault, 503, "server_error", "overloaded", NULL, "The gateway is short of memory.");
}

/* ---- the same dialect on both sides ---- */

/* Items that nobody but us has: themselves in the place of their ids, or cut out of the input with their comma. */
static void swap_items(struct edits *e, const struct responses_swap *s, struct span input)
{
    const char *kept_end = NULL, *from = NULL, *last_end = NULL;

    for (struct jiter it = jiter_begin(input); (s || from) && jiter_next(&it);) {
        const bool mine = s && s->at.p == it.value.p;
        const struct span put = mine ? s->put : SPAN_NONE;

        last_end = it.value.p + it.value.n;
        s = mine ? s->next : s;
        if (mine && put.n == 0) {
            from = from ? from : it.value.p;
            continue;
        }
        if (from)
            edits_replace(e, (struct span){ from, (size_t)(it.value.p - from) }, SPAN_LIT(""));
        if (mine)
            edits_replace(e, it.value, put);
        from = NULL;
        kept_end = last_end;
    }
    if (from) {
        from = kept_end ? kept_end : from;
        edits_replace(e, (struct span){ from, (size_t)(last_end - from) }, SPAN_LIT(""));
    }
}

bool responses_pass_request(const struct chat *c, const struct target *target, struct request_out *out)
{
    const struct responses_places *at = c->places;
    const int64_t cap = target_cap(c, target);
    struct edits e = { .body = c->body, .arena = out->arena };
    bool ok;

    if (at->swaps)
        swap_items(&e, at->swaps, jval_get(c->body, "input"));
    ok = edits_replace_string(&e, out->arena, at->model_at, target->model);
    if (ok && cap > 0 && cap != c->max_tokens) {
        if (at->max_output_at.p) {
            ok = edits_replace_int(&e, out->arena, at->max_output_at, cap);
        } else {
            const struct span more = arena_printf(out->arena, ",\"max_output_tokens\":%lld", (long long)cap);

            ok = more.p != NULL;
            if (ok)
                edits_insert(&e, edits_end(c->body), more);
        }
    }
    if (!ok)
        return fault_set(out->fault, 503, "server_error", "overloaded", NULL, "The gateway is short of memory.");
    return edits_pieces(&e, out);
}
