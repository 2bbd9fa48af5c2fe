/* openai_body.c - the body of a call to a host of the OpenAI dialect: a caller's own with what must change, or one written
 * from the neutral form. What a host cannot take is in its quirks and its model's traits, never here by name. */
#include "gateway/dialects/edits.h"
#include "gateway/dialects/openai.h"
#include "gateway/dialects/reading.h"

/* ---- passing a body ---- */

static bool no_memory(struct request_out *out)
{
    return fault_set(out->fault, 503, "server_error", "overloaded", NULL, "The gateway is short of memory.");
}

/* Usage is always asked of the host, since a stream without it cannot be priced (openai-chat section 6). */
static bool edit_stream_options(struct edits *e, struct span have, struct buf *tail)
{
    const struct span include = jval_get(have, "include_usage");

    if (!have.p)
        return buf_add_str(tail, ",\"stream_options\":{\"include_usage\":true}");
    if (include.p) {
        edits_replace(e, include, SPAN_LIT("true"));
        return true;
    }
    for (struct jiter it = jiter_begin(have); jiter_next(&it);) {    /* not empty: put ours before the first */
        edits_insert(e, (size_t)(have.p - e->body.p) + 1, SPAN_LIT("\"include_usage\":true,"));
        return true;
    }
    edits_replace(e, have, SPAN_LIT("{\"include_usage\":true}"));    /* empty, or null */
    return true;
}

/* A cap in the caller's own spelling stays in it; a cap of ours goes into the spelling that the host knows. */
static bool edit_cap(struct edits *e, const struct chat *c, const struct target *t, struct buf *tail)
{
    const struct openai_places *places = c->places;
    const struct span old = places->at[OPENAI_MAX_TOKENS], new = places->at[OPENAI_MAX_COMPLETION_TOKENS];
    const char *field = t->quirks->max_tokens_field == MAX_COMPLETION_TOKENS ? "max_completion_tokens" : "max_tokens";

    if (t->output_cap <= 0 || (c->max_tokens && c->max_tokens <= t->output_cap))
        return true;
    if (old.p && !edits_replace_int(e, e->arena, old, t->output_cap))
        return false;
    if (new.p && !edits_replace_int(e, e->arena, new, t->output_cap))
        return false;
    return old.p || new.p || buf_printf(tail, ",\"%s\":%lld", field, (long long)t->output_cap);
}

bool openai_pass_request(const struct chat *chat, const struct target *target, struct request_out *out)
{
    const struct openai_places *places = chat->places;
    struct edits e = { .body = chat->body, .arena = out->arena };
    struct buf tail;
    struct span text;
    bool ok;

    buf_init(&tail, 512);
    ok = edits_replace_string(&e, out->arena, places->at[OPENAI_MODEL], target->model);
    if (chat->stream && target->quirks->stream_usage == STREAM_USAGE_ASK)
        ok = ok && edit_stream_options(&e, places->at[OPENAI_STREAM_OPTIONS], &tail);
    ok = ok && edit_cap(&e, chat, target, &tail);
    text = ok ? arena_copy(out->arena, buf_span(&tail)) : SPAN_NONE;
    buf_free(&tail);
    if (!text.p)
        return no_memory(out);
    if (text.n)
        edits_insert(&e, edits_end(chat->body), text);
    return edits_pieces(&e, out);
}
