/* gemini_body.c - a provider's generateContent body: from the neutral form, or from a caller's own with its cap changed.
 *
 * The model and the method are in the path, which is the provider's business. Members come in one order always, so that the
 * same conversation gives the same bytes. */
#include <stdio.h>

#include "gateway/dialects/edits.h"
#include "gateway/dialects/gemini_read.h"
#include "gateway/dialects/gemini_table.h"
#include "gateway/dialects/gemini_write.h"

const char *gemini_said(const struct chat *chat, enum gemini_said what)
{
    static const struct { const char *chat, *responses, *anthropic; } words[] = {
        [SAID_MESSAGES] = { "messages", "input", "messages" },
        [SAID_CHOICES] = { "n", "n", "n" },
        [SAID_STOPS] = { "stop", "stop", "stop_sequences" },
        [SAID_EFFORT] = { "reasoning_effort", "reasoning.effort", "thinking" },
        [SAID_PARALLEL] = { "parallel_tool_calls", "parallel_tool_calls", "tool_choice.disable_parallel_tool_use" },
        [SAID_FORMAT] = { "response_format", "text.format", "output_config.format" },
        [SAID_TOOLS] = { "tools", "tools", "tools" },
        [SAID_MEDIA] = { "messages[].content", "input[].content", "messages[].content" },
        [SAID_VERBOSITY] = { "verbosity", "text.verbosity", "verbosity" },
    };

    return chat->dialect == DIALECT_RESPONSES   ? words[what].responses
           : chat->dialect == DIALECT_ANTHROPIC ? words[what].anthropic
                                                : words[what].chat;
}

/* ---- takes ---- */

/* Would two of the tools meet in one name? names_out says so, with memory of its own: the plan asks before a request has an
 * attempt's. */
static bool takes_names(const struct chat *chat, struct fault *fault)
{
    struct names names = { 0 };
    struct arena arena;
    bool ok = true;

    arena_init(&arena, 1u << 20);
    for (size_t i = 0; ok && i < chat->n_tools; i++)
        ok = names_out(&names, &arena, chat->tools[i].name, GEMINI_NAME_MAX, true, true, fault).p != NULL;
    arena_free(&arena);
    return ok;
}

bool gemini_takes(const struct chat *chat, const struct target *target, struct fault *fault)
{
    char why[96];

    if (!dialect_check_foreign(chat, &gemini_dialect, fault))
        return false;
    if (chat->n > GEMINI_CHOICES_MAX) {
        snprintf(why, sizeof why, "it makes at most %d choices", GEMINI_CHOICES_MAX);
        return dialect_refuse(fault, chat, &gemini_dialect, gemini_said(chat, SAID_CHOICES), why);
    }
    if (target->traits->stop && chat->n_stops > GEMINI_STOPS_MAX) {
        snprintf(why, sizeof why, "it takes at most %d stop sequences", GEMINI_STOPS_MAX);
        return dialect_refuse(fault, chat, &gemini_dialect, gemini_said(chat, SAID_STOPS), why);
    }
    for (size_t i = 0; i < chat->n_tools; i++)
        if (chat->tools[i].kind == TOOL_SERVER)
            return dialect_refuse(fault, chat, &gemini_dialect, gemini_said(chat, SAID_TOOLS),
                                  "one of them runs at the caller's own provider");
    return takes_names(chat, fault) && gemini_takes_turns(chat, target, fault);
}

/* ---- write_request ---- */

void gemini_writing_done(struct gemini_writing *w)
{
    jscan_free(w->scan);
    buf_free(&w->scratch);
}

struct span gemini_name_out(struct gemini_writing *w, struct span name)
{
    return names_out(&w->out->names, w->out->arena, name, GEMINI_NAME_MAX, true, true, w->out->fault);
}

/* Standard is what comes unasked; "auto" and its like leave the choice to the host. */
static void write_tier(struct gemini_writing *w)
{
    const struct span tier = w->chat->service_tier;

    if (tier.n == 0 || span_is(tier, "auto") || span_is(tier, "default") || span_is(tier, "standard") ||
        span_is(tier, "standard_only"))
        return;
    if (span_is(tier, "flex") || span_is(tier, "priority"))
        jw_string(w->b, "serviceTier", tier);
    else
        notes_drop(&w->out->notes, "service_tier");
}

bool gemini_write_request(const struct chat *chat, const struct target *target, struct request_out *out)
{
    struct gemini_writing w = { .chat = chat, .target = target, .out = out, .b = out->body };
    bool ok;

    buf_init(&w.scratch, out->body->cap);
    w.instructed = gemini_schema_by_words(chat, target);
    dialect_note_foreign(chat, &out->notes);
    jw_object(w.b, NULL);
    /* Tools first in time: their names are the ones that must keep apart, those of an old history follow. */
    ok = gemini_write_system(&w) && gemini_write_tools(&w) && gemini_write_contents(&w);
    if (ok) {
        gemini_write_config(&w);
        write_tier(&w);
        jw_close(w.b, '}');
    }
    gemini_writing_done(&w);
    if (ok && !buf_ok(out->body))
        return fault_set(out->fault, 503, "server_error", "overloaded", NULL, "The gateway is short of memory.");
    return ok;
}

/* ---- pass_request ---- */

static bool is_empty(struct span object)
{
    struct jiter it = jiter_begin(object);

    return !jiter_next(&it);
}

/* The cap into generationConfig: over the caller's, into his config, or with one of our own. A null member is as good as
 * none, but its name is taken. */
static bool edit_cap(struct edits *e, const struct chat *chat, struct arena *arena, int64_t cap)
{
    const struct gemini_places *places = chat->places;
    const struct span config = places->config.p ? places->config : gemini_get(chat->body, "generationConfig");
    const struct span old = places->max_tokens.p ? places->max_tokens : gemini_get(config, "maxOutputTokens");
    const size_t end = edits_end(chat->body);
    struct span put;

    if (old.p)
        return edits_replace_int(e, arena, old, cap);
    if (config.p && jval_type(config) == JTYPE_OBJECT) {
        put = arena_printf(arena, "\"maxOutputTokens\":%lld%s", (long long)cap, is_empty(config) ? "" : ",");
        edits_insert(e, (size_t)(config.p - chat->body.p) + 1, put);
        return put.p != NULL;
    }
    put = arena_printf(arena, "%s{\"maxOutputTokens\":%lld}", config.p ? "" : ",\"generationConfig\":", (long long)cap);
    if (config.p)
        edits_replace(e, config, put);
    else    /* `contents` is there, so the body is not empty */
        edits_insert(e, end, put);
    return put.p != NULL;
}

/* The member is there already where the caller, or we in an earlier answer, put a stand-in for it: it must not be there twice. */
static void sign(struct edits *e, struct span part, struct span signature, bool remembered)
{
    const struct span had = gemini_get(part, "thoughtSignature");
    struct span put;

    if (had.p && jval_raw(had).n && !remembered)
        return;
    put = arena_printf(e->arena, had.p ? "\"%.*s\"" : "\"thoughtSignature\":\"%.*s\",", SPAN_FMT(signature));
    e->failed |= !put.p;
    if (!put.p)
        return;
    if (had.p)
        edits_replace(e, had, put);
    else
        edits_insert(e, (size_t)(part.p - e->body.p) + 1, put);
}

/* A call that another provider's model made (a fallback, or a caller that went on with another's history) has no signature, and
 * a model that thinks by levels refuses the first call of a step without one: the one that we remember, else the constant
 * which says that there is none (wire/gemini-generate section 5). */
static void sign_calls(struct edits *e, const struct chat *chat, const struct target *target)
{
    if (target->traits->thinking != THINKING_LEVEL)
        return;
    for (const struct chat_turn *turn = chat->turns; turn; turn = turn->next) {
        const struct chat_item *call = turn->role == ROLE_ASSISTANT ? turn->items : NULL;
        bool remembered;

        while (call && call->kind != ITEM_CALL)
            call = call->next;
        if (!call || !call->json.p || call->json.n < 2)
            continue;
        remembered = call->opaque_raw.n && call->family == FAMILY_GEMINI;
        sign(e, call->json, remembered ? call->opaque_raw : SPAN_LIT(GEMINI_NO_SIGNATURE), remembered);
    }
}

bool gemini_pass_request(const struct chat *chat, const struct target *target, struct request_out *out)
{
    struct edits e = { .body = chat->body, .arena = out->arena };

    sign_calls(&e, chat, target);
    if (target->output_cap > 0 && (chat->max_tokens == 0 || chat->max_tokens > target->output_cap) &&
        !edit_cap(&e, chat, out->arena, target->output_cap))
        return fault_set(out->fault, 503, "server_error", "overloaded", NULL, "The gateway is short of memory.");
    return edits_pieces(&e, out);
}
