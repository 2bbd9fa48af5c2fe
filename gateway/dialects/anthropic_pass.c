/* anthropic_pass.c - a Messages request to a provider of the same dialect: the caller's bytes, but for what must change.
 *
 * Always the model's name; the cap, when the plan has a lower one. Beyond that only what the model at hand would refuse although
 * the caller could not know whom its request would reach: thinking blocks that another model wrote, ids that another host gave
 * its calls, the other generation's way to say how hard to think, sampling where it has gone. What tunes is noted. */
#include "gateway/dialects/anthropic.h"
#include "gateway/dialects/anthropic_read.h"
#include "gateway/dialects/anthropic_write.h"
#include "gateway/dialects/edits.h"

struct pass {
    const struct chat *chat;
    const struct anthropic_places *places;
    const struct target *target;
    struct request_out *out;
    struct edits edits;
    bool no_thinking, no_effort;    /* these members go */
};

/* ---- elements that go, with the comma that held them ---- */

typedef bool (*goes_test)(struct pass *p, struct span key, struct span value);

static void cut(struct pass *p, const char *from, const char *to)
{
    edits_replace(&p->edits, (struct span){ from, (size_t)(to - from) }, SPAN_LIT(""));
}

/* A run of elements goes up to the next one that stays; at the end, from the last one that stayed. */
static void cut_elements(struct pass *p, struct span container, goes_test goes)
{
    const char *stayed = NULL, *run = NULL, *end = NULL;

    for (struct jiter it = jiter_begin(container); jiter_next(&it);) {
        const char *start = it.in_object ? it.key.p - 1 : it.value.p;

        end = it.value.p + it.value.n;
        if (goes(p, it.key, it.value)) {
            run = run ? run : start;
            continue;
        }
        if (run)
            cut(p, run, start);
        run = NULL;
        stayed = end;
    }
    if (run)
        cut(p, stayed ? stayed : run, end);
}

/* ---- thinking blocks ---- */

static bool block_goes(struct pass *p, struct span key, struct span block)
{
    const struct span type = jval_raw(jval_get(block, "type"));

    (void)key;
    if (p->target->family == FAMILY_ANTHROPIC)
        return jraw_is(type, "thinking") && jval_raw(jval_get(block, "signature")).n == 0;
    return jraw_is(type, "redacted_thinking");
}

/* When nothing of it would be left, turns of the other side meet, and the server joins them. One that stays loses its blocks here,
 * so that the edits come in the order of the body. */
static bool message_goes(struct pass *p, struct span key, struct span message)
{
    const struct span content = jval_get(message, "content");
    size_t n = 0, going = 0;

    (void)key;
    for (struct jiter it = jiter_begin(content); !it.in_object && jiter_next(&it); n++)
        going += block_goes(p, SPAN_NONE, it.value);
    if (going > 0 && going < n)
        cut_elements(p, content, block_goes);
    return n > 0 && going == n;
}

static void cut_blocks(struct pass *p)
{
    if (p->target->family == FAMILY_ANTHROPIC ? p->places->unsigned_thinking : p->places->redacted_thinking)
        cut_elements(p, p->places->messages, message_goes);
}

/* ---- ids of calls ---- */

static bool has_odd_ids(const struct chat *chat)
{
    for (const struct chat_turn *t = chat->turns; t; t = t->next)
        for (const struct chat_item *i = t->items; i; i = i->next)
            if ((i->kind == ITEM_CALL && !anthropic_takes_id(i->call.id)) ||
                (i->kind == ITEM_RESULT && !anthropic_takes_id(i->result.id)))
                return true;
    return false;
}

static bool mend_id(struct pass *p, struct span value)
{
    const struct span id = chat_text(p->out->arena, jval_raw(value));
    struct buf b;
    struct span put;

    if (!value.p || anthropic_takes_id(id))
        return true;
    buf_init(&b, 1024);
    anthropic_add_id(&b, id);
    put = buf_ok(&b) ? arena_printf(p->out->arena, "\"%.*s\"", SPAN_FMT(buf_span(&b))) : SPAN_NONE;
    buf_free(&b);
    if (put.p)
        edits_replace(&p->edits, value, put);
    return put.p != NULL;
}

/* Another model's call has the id that its own host gave it ("functions.f:0"), and the caller brings it back as it came. */
static bool mend_ids(struct pass *p)
{
    if (p->target->family != FAMILY_ANTHROPIC || !has_odd_ids(p->chat))
        return true;
    for (struct jiter m = jiter_begin(p->places->messages); jiter_next(&m);)
        for (struct jiter it = jiter_begin(jval_get(m.value, "content")); !it.in_object && jiter_next(&it);) {
            const struct span type = jval_raw(jval_get(it.value, "type"));

            if (jraw_is(type, "tool_use") && !mend_id(p, jval_get(it.value, "id")))
                return false;
            if (jraw_is(type, "tool_result") && !mend_id(p, jval_get(it.value, "tool_use_id")))
                return false;
        }
    return true;
}

/* ---- caps and thinking ---- */

/* 0 only warms the cache, and stays. */
static int64_t cap_of(const struct pass *p)
{
    const int64_t asked = p->chat->max_tokens, cap = p->target->output_cap;

    return cap > 0 && asked > cap ? cap : asked;
}

static bool replace_thinking(struct pass *p, const struct anthropic_thinking *t)
{
    const struct span display = jval_raw(jval_get(p->places->thinking, "display"));
    struct buf b;
    struct span put;

    buf_init(&b, 1024);
    buf_printf(&b, "{\"type\":\"%s\"", t->kind == THINK_BUDGET ? "enabled" : t->kind == THINK_ADAPTIVE ? "adaptive" : "disabled");
    if (t->kind == THINK_BUDGET)
        buf_printf(&b, ",\"budget_tokens\":%lld", (long long)t->budget);
    if (display.n && t->kind != THINK_DISABLED)
        buf_printf(&b, ",\"display\":\"%.*s\"", SPAN_FMT(display));
    buf_add_char(&b, '}');
    put = buf_ok(&b) ? arena_copy(p->out->arena, buf_span(&b)) : SPAN_NONE;
    buf_free(&b);
    if (!put.p)
        return false;
    edits_replace(&p->edits, p->places->thinking, put);
    notes_change(&p->out->notes, "thinking");
    return true;
}

/* Does the model take `thinking` as the caller wrote it? 4.6 takes an effort and a budget alike: its traits name both. */
static bool thinking_fits(const struct pass *p, struct span type)
{
    const struct traits *traits = p->target->traits;
    const bool budget = jraw_is(type, "enabled"), interleaved =
        span_find_span(p->chat->anthropic_beta, SPAN_LIT("interleaved-thinking")) < p->chat->anthropic_beta.n;

    if (jraw_is(type, "disabled"))
        return traits->thinking != THINKING_ADAPTIVE || traits->thinking_off;
    if (!budget && !jraw_is(type, "adaptive"))
        return true;    /* newer than we are */
    switch (traits->thinking) {
    case THINKING_NONE:
        return false;
    case THINKING_ADAPTIVE:
        if (budget && traits->budget_least == 0)
            return false;
        break;
    case THINKING_BUDGET:
        if (!budget)
            return false;
        break;
    default:
        return true;
    }
    return !budget || ((p->chat->budget < cap_of(p) || interleaved) && !anthropic_loop_lacks_thinking(p->chat, p->target));
}

/* A budget that has become an effort. */
static bool add_effort(struct pass *p, struct span effort)
{
    const struct span put = arena_printf(p->out->arena, ",\"output_config\":{\"effort\":\"%.*s\"}", SPAN_FMT(effort));

    if (!p->places->output_config.p)
        edits_insert(&p->edits, edits_end(p->chat->body), put);
    return put.p != NULL;
}

/* Models up to 4.5 know no effort, and others not each of its words. */
static bool fit_effort(struct pass *p)
{
    const struct traits *traits = p->target->traits;
    const struct span effort = jval_get(p->places->output_config, "effort");
    struct span word, put;

    if (reading_is_null(effort))
        return true;
    if (traits->efforts[0] == '\0' && (traits->thinking == THINKING_BUDGET || traits->thinking == THINKING_NONE)) {
        notes_drop(&p->out->notes, "output_config.effort");
        p->no_effort = true;
        return true;
    }
    word = anthropic_effort_word(effort, traits);
    if (!word.p)
        return true;
    notes_change(&p->out->notes, "output_config.effort");
    put = arena_printf(p->out->arena, "\"%.*s\"", SPAN_FMT(word));
    if (put.p)
        edits_replace(&p->edits, effort, put);
    return put.p != NULL;
}

static bool fit_thinking(struct pass *p)
{
    const struct span type = jval_raw(jval_get(p->places->thinking, "type"));
    struct anthropic_thinking t;

    if (!p->places->thinking.p || thinking_fits(p, type))
        return true;
    t = anthropic_thinking_of(p->chat, p->target, cap_of(p));
    if (t.kind != THINK_UNSAID)
        return replace_thinking(p, &t) && (!t.effort.p || add_effort(p, t.effort));
    p->no_thinking = true;    /* without a word where it was `disabled`: it is off all the same */
    if (!jraw_is(type, "disabled"))
        notes_drop(&p->out->notes, "thinking");
    return true;
}

/* ---- members that the model refuses ---- */

static bool is_one(struct span number)
{
    double x;

    return jval_double(number, &x) && x == 1;
}

static bool effort_goes(struct pass *p, struct span key, struct span value)
{
    (void)p;
    (void)value;
    return jraw_is(key, "effort");
}

/* It goes whole when the effort was all of it. */
static bool output_config_goes(struct pass *p, struct span config)
{
    size_t n = 0;

    if (!p->no_effort)
        return false;
    for (struct jiter it = jiter_begin(config); jiter_next(&it);)
        n++;
    if (n > 1)
        cut_elements(p, config, effort_goes);
    return n == 1;
}

static bool member_goes(struct pass *p, struct span key, struct span value)
{
    const bool sampling = p->target->traits->sampling || reading_is_null(value);

    if (jraw_is(key, "thinking"))
        return p->no_thinking;
    if (jraw_is(key, "output_config"))
        return output_config_goes(p, value);
    if (jraw_is(key, "temperature"))
        return !sampling && !is_one(value);    /* 1 is the default, and stays */
    return !sampling && (jraw_is(key, "top_p") || jraw_is(key, "top_k"));
}

static void note_sampling(struct pass *p)
{
    const struct chat *c = p->chat;

    if (p->target->traits->sampling)
        return;
    if (c->temperature_json.p && !is_one(c->temperature_json))
        notes_drop(&p->out->notes, "temperature");
    if (c->top_p_json.p)
        notes_drop(&p->out->notes, "top_p");
    if (c->top_k_json.p)
        notes_drop(&p->out->notes, "top_k");
}

bool anthropic_pass_request(const struct chat *chat, const struct target *target, struct request_out *out)
{
    struct pass p = { .chat = chat, .places = chat->places, .target = target, .out = out,
                      .edits = { .body = chat->body, .arena = out->arena } };
    bool ok;

    ok = edits_replace_string(&p.edits, out->arena, p.places->model, target->model);
    if (cap_of(&p) != chat->max_tokens)
        ok = ok && edits_replace_int(&p.edits, out->arena, p.places->max_tokens, cap_of(&p));
    ok = ok && fit_thinking(&p) && fit_effort(&p) && mend_ids(&p);
    if (!ok)
        return fault_set(out->fault, 503, "server_error", "overloaded", NULL, "The gateway is short of memory.");
    note_sampling(&p);
    cut_elements(&p, chat->body, member_goes);
    cut_blocks(&p);
    return edits_pieces(&p.edits, out);
}
