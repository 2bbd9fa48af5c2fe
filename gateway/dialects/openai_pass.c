/* openai_pass.c - a caller's own Chat body on its way to a host of the dialect: its bytes pass but for the model, the cap and
 * what this host or model wants otherwise. Where nothing must change nothing is copied; a host that refuses what it does not
 * know gets the body written anew (openai_body.c). */
#include "base/jwrite.h"
#include "gateway/dialects/edits.h"
#include "gateway/dialects/openai.h"
#include "gateway/dialects/reading.h"

struct pass {
    const struct chat *chat;
    const struct target *target;
    const struct quirks *quirks;
    const struct traits *traits;
    const struct openai_places *places;
    struct request_out *out;
    struct edits e;
    struct buf tail;           /* members that come last: ,"name":value */
    bool goes[OPENAI_MEMBERS]; /* to be cut out */
    bool any_goes;
};

static bool no_memory(struct request_out *out)
{
    return fault_set(out->fault, 503, "server_error", "overloaded", NULL, "The gateway is short of memory.");
}

static bool is_there(const struct pass *p, enum openai_member m)
{
    return !reading_is_null(p->places->at[m]);
}

/* ---- members that go ---- */

static void cut(struct pass *p, enum openai_member m, bool note)
{
    if (!p->places->at[m].p || p->goes[m])
        return;
    p->goes[m] = p->any_goes = true;
    if (note && is_there(p, m))
        notes_add(&p->out->notes, "dropped", span_str(openai_member_name(m)));
}

static void cut_lacking(struct pass *p)
{
    if (!p->quirks->lacks[0])
        return;
    for (unsigned m = 0; m < OPENAI_MEMBERS; m++)
        if (p->places->at[m].p && openai_listed(p->quirks->lacks, span_str(openai_member_name((enum openai_member)m))))
            cut(p, (enum openai_member)m, m != OPENAI_N);    /* more than one is refused; one is the default */
}

static bool is_number(struct span v, double want)
{
    double x;

    return jval_type(v) == JTYPE_NUMBER && jval_double(v, &x) && x >= want && x <= want;
}

/* Reasoning models refuse all but the defaults: a step on the way from another model should not fail by that. */
static void cut_sampling(struct pass *p)
{
    static const enum openai_member sampling[] = { OPENAI_TEMPERATURE, OPENAI_TOP_P };
    static const enum openai_member penalties[] = { OPENAI_PRESENCE_PENALTY, OPENAI_FREQUENCY_PENALTY };

    for (size_t i = 0; i < 2; i++) {
        if (!p->traits->sampling && p->chat->effort != EFFORT_OFF && !is_number(p->places->at[sampling[i]], 1))
            cut(p, sampling[i], true);
        if (!p->traits->penalties && !is_number(p->places->at[penalties[i]], 0))
            cut(p, penalties[i], true);
    }
    if (!p->traits->penalties)
        cut(p, OPENAI_LOGIT_BIAS, true);
}

/* OpenAI refuses the members of other hosts. */
static void cut_others(struct pass *p)
{
    if (p->quirks->family != FAMILY_OPENAI)
        return;
    cut(p, OPENAI_TOP_K, true);
    cut(p, OPENAI_THINKING, false);
    cut(p, OPENAI_REASONING, false);
    cut(p, OPENAI_INCLUDE_REASONING, false);
}

/* ---- effort ---- */

static void set_effort(struct pass *p, struct span word, bool changed)
{
    const struct span at = p->places->at[OPENAI_REASONING_EFFORT];

    if (changed)
        notes_add(&p->out->notes, word.p ? "changed" : "dropped", SPAN_LIT("reasoning_effort"));
    if (!word.p)
        cut(p, OPENAI_REASONING_EFFORT, false);
    else if (!at.p)
        buf_printf(&p->tail, ",\"reasoning_effort\":\"%.*s\"", SPAN_FMT(word));
    else if (!span_eq(jval_raw(at), word))
        edits_replace_string(&p->e, p->out->arena, at, word);
}

/* DeepSeek knows low, high and max, and a switch of its own for none. What the caller says in its very words stays. */
static void edit_deepseek(struct pass *p)
{
    const char *type, *effort;

    openai_deepseek_thinking(p->chat, &type, &effort);
    cut(p, OPENAI_REASONING, false);
    if (is_there(p, OPENAI_REASONING_EFFORT) || is_there(p, OPENAI_REASONING))
        set_effort(p, span_str(effort), false);
    if (type && !is_there(p, OPENAI_THINKING)) {
        cut(p, OPENAI_THINKING, false);    /* null */
        buf_printf(&p->tail, ",\"thinking\":{\"type\":\"%s\"}", type);
    }
}

static void edit_effort(struct pass *p)
{
    const bool openai = p->quirks->family == FAMILY_OPENAI;
    struct span word;
    bool changed;

    if (p->chat->effort == EFFORT_UNSET)
        return;
    if (p->traits->thinking == THINKING_DEEPSEEK) {
        edit_deepseek(p);
        return;
    }
    /* Of a model that is not known the host knows more than we do. */
    if (p->traits->thinking != THINKING_NONE && !p->traits->efforts[0])
        return;
    if (!is_there(p, OPENAI_REASONING_EFFORT) && !openai)
        return;
    word = openai_effort(p->chat, p->traits, &changed);
    set_effort(p, word, changed);
}

/* ---- values that change ---- */

/* Usage is always asked of the host, since a stream without it cannot be priced (openai-chat section 6). */
static void edit_stream_options(struct pass *p)
{
    const struct span have = p->places->at[OPENAI_STREAM_OPTIONS], include = jval_get(have, "include_usage");

    if (p->quirks->stream_usage != STREAM_USAGE_ASK) {
        cut(p, OPENAI_STREAM_OPTIONS, false);
        return;
    }
    if (!p->chat->stream)
        return;
    if (!have.p) {
        buf_add_str(&p->tail, ",\"stream_options\":{\"include_usage\":true}");
        return;
    }
    if (include.p) {
        edits_replace(&p->e, include, SPAN_LIT("true"));
        return;
    }
    for (struct jiter it = jiter_begin(have); jiter_next(&it);) {    /* not empty: put ours before the first */
        edits_insert(&p->e, (size_t)(have.p - p->e.body.p) + 1, SPAN_LIT("\"include_usage\":true,"));
        return;
    }
    edits_replace(&p->e, have, SPAN_LIT("{\"include_usage\":true}"));    /* empty, or null */
}

/* The key of a member, quotes included, from its value: keys that we know have no quote inside. */
static struct span key_of(const struct pass *p, struct span value)
{
    const char *end = value.p, *from;

    while (end > p->e.body.p && end[-1] != '"')
        end--;
    for (from = end - 1; from > p->e.body.p && from[-1] != '"'; from--)
        ;
    return (struct span){ from - 1, (size_t)(end - from + 1) };
}

/* A host may heed one spelling of the cap alone, and the cap bounds what the call can cost. Both at once is for the host to
 * judge. */
static bool edit_cap(struct pass *p)
{
    const struct span old = p->places->at[OPENAI_MAX_TOKENS], new = p->places->at[OPENAI_MAX_COMPLETION_TOKENS];
    const bool wants_new = p->quirks->max_tokens_field == MAX_COMPLETION_TOKENS;
    const int64_t cap = p->target->output_cap, asked = p->chat->max_tokens;
    const struct span field = wants_new ? SPAN_LIT("\"max_completion_tokens\"") : SPAN_LIT("\"max_tokens\"");
    const struct span only = old.p && new.p ? SPAN_NONE : old.p ? old : new;
    bool ok = true;

    if (only.p && (only.p == new.p) != wants_new)
        edits_replace(&p->e, key_of(p, only), field);
    if (cap <= 0 || (asked && asked <= cap))
        return true;
    if (old.p)
        ok = edits_replace_int(&p->e, p->out->arena, old, cap);
    if (new.p)
        ok = ok && edits_replace_int(&p->e, p->out->arena, new, cap);
    if (old.p || new.p)
        return ok;
    buf_add_char(&p->tail, ',');
    buf_add_span(&p->tail, field);
    buf_add_char(&p->tail, ':');
    return buf_add_int(&p->tail, cap);
}

static void edit_choice(struct pass *p)
{
    if (p->chat->parallel == TRI_NO && !p->quirks->supports_parallel)
        notes_drop(&p->out->notes, "parallel_tool_calls");
    if (!is_there(p, OPENAI_TOOL_CHOICE) || p->chat->n_tools == 0)
        return;
    if (openai_unforced(p->chat, p->target)) {
        edits_replace(&p->e, p->places->at[OPENAI_TOOL_CHOICE], SPAN_LIT("\"auto\""));
        notes_change(&p->out->notes, "tool_choice");
    }
}

/* ---- messages ---- */

/* The schema in words, for a host that has none: it goes first, where it is the same in every turn. */
static bool edit_format(struct pass *p)
{
    struct buf text;
    struct span put;

    if (!openai_schema_in_words(p->chat, p->target))
        return true;
    notes_change(&p->out->notes, "response_format");
    edits_replace(&p->e, p->places->at[OPENAI_RESPONSE_FORMAT], SPAN_LIT("{\"type\":\"json_object\"}"));
    buf_init(&text, p->chat->body.n * 2 + 4096);
    buf_add_str(&text, "{\"role\":\"system\",\"content\":\"");
    openai_add_instruction(p->chat, &text);
    buf_add_str(&text, "\"},");
    put = buf_ok(&text) ? arena_copy(p->out->arena, buf_span(&text)) : SPAN_NONE;
    buf_free(&text);
    if (!put.p)
        return false;
    edits_insert(&p->e, (size_t)(p->places->at[OPENAI_MESSAGES].p - p->e.body.p) + 1, put);
    return true;
}

/* Members of one object that are cut out, commas with them. */
struct cutting {
    const char *pending;       /* from here: nothing has been kept before it */
    const char *after;         /* behind the member before */
    bool kept;
};

static void cut_range(struct pass *p, const char *from, const char *to)
{
    edits_replace(&p->e, (struct span){ from, (size_t)(to - from) }, SPAN_LIT(""));
}

static void cut_member(struct pass *p, struct cutting *c, const struct jiter *it, bool goes)
{
    const char *key = it->key.p - 1, *end = it->value.p + it->value.n;

    if (goes && c->kept)
        cut_range(p, c->after, end);
    else if (goes && !c->pending)
        c->pending = key;
    else if (!goes && c->pending)
        cut_range(p, c->pending, key);
    if (!goes) {
        c->pending = NULL;
        c->kept = true;
    }
    c->after = end;
}

static void cut_end(struct pass *p, const struct cutting *c)
{
    if (c->pending)
        cut_range(p, c->pending, c->after);
}

static void strip_reasoning(struct pass *p, struct span message)
{
    struct cutting c = { 0 };

    for (struct jiter it = jiter_begin(message); jiter_next(&it);)
        cut_member(p, &c, &it, jraw_is(it.key, "reasoning_content") || jraw_is(it.key, "reasoning"));
    cut_end(p, &c);
}

/* What the host wants back and the message does not bring. */
static bool insert_reasoning(struct pass *p, struct span message, const struct span have, const struct chat_turn *turn)
{
    const struct span raw = turn && turn->role == ROLE_ASSISTANT ? openai_reasoning_back(p->chat, turn, turn->next, p->target) : SPAN_NONE;
    struct span put;

    if (!raw.p || jval_type(have) == JTYPE_STRING)
        return true;
    put = arena_printf(p->out->arena, "\"reasoning_content\":\"%.*s\",", SPAN_FMT(raw));
    if (!put.p)
        return false;
    if (have.p)    /* null */
        edits_replace(&p->e, have, span_first(span_skip(put, 20), put.n - 21));
    else
        edits_insert(&p->e, (size_t)(message.p - p->e.body.p) + 1, put);
    return true;
}

static bool edit_messages(struct pass *p)
{
    static const char *const names[] = { "role", "reasoning_content" };
    const bool developer = p->places->developer && !p->quirks->developer_role;
    const bool strip = p->places->reasoning && p->quirks->reasoning_field == REASONING_NONE;
    const bool insert = p->quirks->reasoning_must_return == REASONING_RETURN_ALWAYS ||
                        (p->quirks->reasoning_must_return == REASONING_RETURN_TOOL_TURNS && p->places->calls);
    const struct chat_turn *turn = NULL;
    bool tool = false, begun = false;

    if (!developer && !strip && !insert)
        return true;
    for (struct jiter it = jiter_begin(p->places->at[OPENAI_MESSAGES]); jiter_next(&it);) {
        struct span m[2], role;

        jval_members(it.value, names, 2, m);
        role = jval_raw(m[0]);
        if (!begun)
            turn = p->chat->turns;
        else if (turn && !(tool && jraw_is(role, "tool")))    /* results that follow each other are one turn */
            turn = turn->next;
        begun = true;
        tool = jraw_is(role, "tool");
        if (developer && jraw_is(role, "developer"))
            edits_replace(&p->e, m[0], SPAN_LIT("\"system\""));
        if (insert && !insert_reasoning(p, it.value, m[1], turn))
            return false;
        if (strip && jraw_is(role, "assistant"))
            strip_reasoning(p, it.value);
    }
    return true;
}

/* ---- all of it ---- */

/* Last: nothing may be put into what goes. */
static void cut_members(struct pass *p)
{
    struct cutting c = { 0 };

    if (!p->any_goes)
        return;
    for (struct jiter it = jiter_begin(p->chat->body); jiter_next(&it);) {
        const enum openai_member m = openai_member_of(it.key);

        cut_member(p, &c, &it, m != OPENAI_MEMBERS && p->goes[m]);
    }
    cut_end(p, &c);
}

/* Where spans will not do. */
static bool write_anew(const struct chat *chat, const struct target *target, struct request_out *out)
{
    out->pieces = ARENA_NEW(out->arena, struct span);
    out->n_pieces = 1;
    if (!out->pieces)
        return no_memory(out);
    if (!openai_write_request(chat, target, out))
        return false;
    out->pieces[0] = buf_span(out->body);
    return true;
}

static bool wants_writing(const struct chat *chat, const struct target *target)
{
    return target->quirks->unknown_fields == UNKNOWN_REJECTED || target->quirks->tool_id_rule == TOOL_IDS_NINE_ALNUM ||
           (chat->choice == CHOICE_ALLOWED && target->quirks->family != FAMILY_OPENAI);
}

bool openai_pass_request(const struct chat *chat, const struct target *target, struct request_out *out)
{
    struct pass p = { .chat = chat, .target = target, .quirks = target->quirks, .traits = target->traits,
                      .places = chat->places, .out = out, .e = { .body = chat->body, .arena = out->arena } };
    struct span text = SPAN_NONE;
    bool ok;

    if (!openai_takes(chat, target, out->fault))
        return false;
    if (wants_writing(chat, target))
        return write_anew(chat, target, out);
    buf_init(&p.tail, 512);
    cut_lacking(&p);
    cut_sampling(&p);
    cut_others(&p);
    if (!p.quirks->supports_parallel)
        cut(&p, OPENAI_PARALLEL_TOOL_CALLS, false);
    edit_effort(&p);
    edit_stream_options(&p);
    edit_choice(&p);
    ok = edits_replace_string(&p.e, out->arena, p.places->at[OPENAI_MODEL], target->model);
    ok = ok && edit_cap(&p) && edit_format(&p) && edit_messages(&p);
    cut_members(&p);
    if (ok && buf_ok(&p.tail))
        text = arena_copy(out->arena, buf_span(&p.tail));
    buf_free(&p.tail);
    if (!text.p)
        return no_memory(out);
    if (text.n)
        edits_insert(&p.e, edits_end(chat->body), text);
    return edits_pieces(&p.e, out);
}
