/* testing_round_trip.c - see testing_round_trip.h.
 *
 * The promises, at any host and any model: what `takes` lets by, write_request writes; what it refuses, it refuses with a 400 that names a field; what is
 * written is valid JSON by our own pre-scan; the same dialect reads it. At a host that takes everything: it reads the normal form,
 * each difference of which is told by a note, and no note is without one; and where the same dialect passes it on, only the model
 * is another. */
#include "gateway/dialects/testing_round_trip.h"

#include <stdio.h>

#include "base/jscan.h"
#include "gateway/dialects/testing_chat.h"
#include "gateway/dialects/testing_normal.h"
#include "gateway/dialects/testing_targets.h"

static const enum dialect_id four[] = { DIALECT_CHAT, DIALECT_RESPONSES, DIALECT_ANTHROPIC, DIALECT_GEMINI };

bool round_trips_init(struct round_trips *r)
{
    *r = (struct round_trips){ .scan = jscan_new(&jscan_default_limits, 7) };
    buf_init(&r->passed, 1u << 22);
    for (int i = 0; i < 2; i++) {
        buf_init(&r->body[i], 1u << 22);
        buf_init(&r->shown[i], 1u << 22);
    }
    return r->scan != NULL;
}

void round_trips_free(struct round_trips *r)
{
    jscan_free(r->scan);
    buf_free(&r->passed);
    for (int i = 0; i < 2; i++) {
        buf_free(&r->body[i]);
        buf_free(&r->shown[i]);
    }
}

/* ---- notes ---- */

/* Is `field` one of the spellings? Paths count by their end: "generationConfig.topK" is topK. */
static bool is_one_of(struct span field, const char *spellings)
{
    struct span rest = span_str(spellings);

    while (rest.n) {
        const size_t bar = span_find(rest, '|');
        const struct span one = span_first(rest, bar);

        if (span_eq(field, one) ||
            (field.n > one.n && span_ends(field, one) && field.p[field.n - one.n - 1] == '.'))
            return true;
        rest = span_skip(rest, bar + 1);
    }
    return false;
}

/* Every note of the list is expected, and every expected one is there. Long lists are cut: then only the number counts. */
static bool notes_agree(const struct notes *got, const struct normal *want, struct buf *why)
{
    bool seen[NORMAL_NOTES_MAX] = { false };
    struct span rest = span_str(got->text);

    if (got->n != want->n_notes) {
        buf_printf(why, "%zu notes instead of %zu: %s\n", got->n, want->n_notes, got->text);
        for (size_t i = 0; i < want->n_notes; i++)
            buf_printf(why, "  wanted: %s=%s\n", want->notes[i].what, want->notes[i].fields);
        return false;
    }
    if (rest.n > sizeof got->text - 80)
        return true;
    while (rest.n) {
        const size_t comma = span_find(rest, ',');
        const struct span note = span_first(rest, comma), what = span_first(note, span_find(note, '='));
        const struct span field = span_skip(note, what.n + 1);
        size_t i = 0;

        while (i < want->n_notes &&
               (seen[i] || !span_is(what, want->notes[i].what) || !is_one_of(field, want->notes[i].fields)))
            i++;
        if (i == want->n_notes) {
            buf_printf(why, "nobody expected the note %.*s\n", SPAN_FMT(note));
            return false;
        }
        seen[i] = true;
        rest = span_skip(rest, comma + 2);
    }
    return true;
}

/* ---- one way ---- */

struct way {
    const struct chat *chat;
    enum dialect_id to;
    const struct target *target;
    struct buf *body;
    struct chat back;          /* when it has been read again */
    bool taken;
    bool poor;                 /* the target lacks this and that: what is lost is not compared */
};

static const char *name_of(enum dialect_id id)
{
    return dialect_get(id)->name;
}

static bool fail(const struct way *w, struct buf *why, const char *what)
{
    buf_printf(why, "from %s to %s: %s\n", name_of(w->chat->dialect), name_of(w->to), what);
    buf_add_str(why, "--- the chat:");
    normal_show(why, w->chat, NULL);
    buf_printf(why, "--- the body: %.*s\n", SPAN_FMT(buf_span(w->body)));
    return false;
}

static bool refused_well(const struct way *w, const struct fault *f, struct buf *why)
{
    if (f->status == 400 && f->param[0] && f->message[0] && f->type)
        return true;
    return fail(w, why, "refused, but not with a 400 that names a field");
}

/* Where two texts part: the first line that differs, of both. */
static void show_difference(struct buf *why, struct span wanted, struct span got)
{
    while (wanted.n && got.n) {
        const struct span a = span_first(wanted, span_find(wanted, '\n')), b = span_first(got, span_find(got, '\n'));

        if (!span_eq(a, b))
            break;
        wanted = span_skip(wanted, a.n + 1);
        got = span_skip(got, b.n + 1);
    }
    buf_printf(why, "--- wanted: %.*s\n--- got:    %.*s\n", SPAN_FMT(span_first(wanted, span_find(wanted, '\n'))),
               SPAN_FMT(span_first(got, span_find(got, '\n'))));
}

static bool compare(struct round_trips *r, struct way *w, const struct request_out *out, struct buf *why)
{
    struct normal *n = ARENA_NEW(&r->arena, struct normal);

    if (!n || !normal_form(n, w->chat, w->to, w->target, &r->arena))
        return fail(w, why, "the test is short of memory");
    if (!normal_ids(&n->chat, &w->back))
        return fail(w, why, "ids of calls met, or one became two");
    buf_clear(&r->shown[0]);
    buf_clear(&r->shown[1]);
    normal_show(&r->shown[0], &n->chat, NULL);
    normal_show(&r->shown[1], &w->back, &out->names);
    if (!span_eq(buf_span(&r->shown[0]), buf_span(&r->shown[1]))) {
        fail(w, why, "read again, it is another");
        show_difference(why, buf_span(&r->shown[0]), buf_span(&r->shown[1]));
        return false;
    }
    if (out->one_call != n->one_call)
        return fail(w, why, "one_call");
    return notes_agree(&out->notes, n, why) || fail(w, why, "notes");
}

static bool go(struct round_trips *r, struct way *w, struct buf *why)
{
    const struct dialect *d = dialect_get(w->to);
    struct fault fault = { 0 };
    struct request_out out = { .arena = &r->arena, .body = w->body, .fault = &fault };
    const struct parse_spec spec = { .arena = &r->arena, .fault = &fault };

    buf_clear(w->body);
    w->taken = d->takes(w->chat, w->target, &fault);
    if (!w->taken) {
        r->n_refused++;
        return refused_well(w, &fault, why);
    }
    r->n_taken++;
    if (!d->write_request(w->chat, w->target, &out))
        return fail(w, why, fault.message);
    jscan_reset(r->scan);
    if (jscan_feed(r->scan, buf_span(w->body)) == JSCAN_BAD || jscan_end(r->scan) != JSCAN_DONE)
        return fail(w, why, jscan_error(r->scan));
    if (w->to == DIALECT_ANTHROPIC && (w->target->family == FAMILY_DEEPSEEK || w->target->traits->thinking == THINKING_DEEPSEEK)) {
        w->taken = false;    /* it takes what Anthropic refuses: temperatures up to 2, a budget that it does not read */
        return true;
    }
    chat_init(&w->back, w->to, buf_span(w->body));
    if (w->to == DIALECT_GEMINI) {    /* these two are in the path */
        w->back.model = w->target->model;
        w->back.stream = w->chat->stream;
    }
    if (!d->parse(&w->back, &spec))
        return fail(w, why, fault.message);
    return w->poor || compare(r, w, &out, why);
}

/* ---- the same dialect on both sides ---- */

/* What was read passes on to another model of a host that takes everything: only its name may change. */
static bool pass_on(struct round_trips *r, struct way *w, struct buf *why)
{
    const struct dialect *d = dialect_get(w->to);
    struct target other = *testing_target(w->to);
    struct fault fault = { 0 };
    struct request_out out = { .arena = &r->arena, .body = &r->passed, .fault = &fault };
    const struct parse_spec spec = { .arena = &r->arena, .fault = &fault };
    struct chat again;

    other.model = SPAN_LIT("another \"model\"");
    buf_clear(&r->passed);
    if ((d->passes && !d->passes(&w->back, &other, &fault)) || !d->pass_request(&w->back, &other, &out))
        return fail(w, why, fault.message);
    for (size_t i = 0; i < out.n_pieces; i++)
        if (out.pieces[i].p != r->passed.p)
            buf_add_span(&r->passed, out.pieces[i]);
    jscan_reset(r->scan);
    if (jscan_feed(r->scan, buf_span(&r->passed)) == JSCAN_BAD || jscan_end(r->scan) != JSCAN_DONE)
        return fail(w, why, "passed on, it is no JSON");
    chat_init(&again, w->to, buf_span(&r->passed));
    again.model = other.model;
    again.stream = w->back.stream;
    if (!d->parse(&again, &spec))
        return fail(w, why, fault.message);
    if (!span_eq(again.model, other.model))
        return fail(w, why, "passed on, it asks another model");
    again.model = w->back.model;
    if (!normal_ids(&w->back, &again))    /* those of `back` have their old names already */
        return fail(w, why, "passed on, ids of calls are others");
    buf_clear(&r->shown[0]);
    buf_clear(&r->shown[1]);
    normal_show(&r->shown[0], &w->back, NULL);
    normal_show(&r->shown[1], &again, NULL);
    if (span_eq(buf_span(&r->shown[0]), buf_span(&r->shown[1])) && out.notes.n == 0)
        return true;
    fail(w, why, "passed on, it is another");
    show_difference(why, buf_span(&r->shown[0]), buf_span(&r->shown[1]));
    return false;
}

/* ---- a case ---- */

/* What a dialect lacks altogether. */
static unsigned may_hold(enum dialect_id to)
{
    const unsigned all = RANDOM_WILD - 1;

    switch (to) {
    case DIALECT_CHAT: return all & ~(RANDOM_FILE_URLS | RANDOM_MODEL_MEDIA | RANDOM_SYSTEM_MEDIA);
    case DIALECT_RESPONSES:
        return all & ~(RANDOM_CHOICES | RANDOM_STOPS | RANDOM_AUDIO | RANDOM_PREFILL | RANDOM_PREFILLED_CALLS | RANDOM_MODEL_MEDIA);
    case DIALECT_ANTHROPIC:
        return all & ~(RANDOM_CHOICES | RANDOM_LOGPROBS | RANDOM_AUDIO | RANDOM_PREFILLED_CALLS | RANDOM_ODD_MEDIA |
                       RANDOM_MODEL_MEDIA | RANDOM_SYSTEM_MEDIA);
    default: return all & ~RANDOM_SYSTEM_MEDIA;
    }
}

static const struct target *some_target(struct dice *dice, enum dialect_id to)
{
    return to == DIALECT_ANTHROPIC && dice_one_in(dice, 3) ? testing_plain_claude() : testing_target(to);
}

/* A host and a model that lack this and that. */
static const struct target *poor_target(struct round_trips *r, struct dice *dice, enum dialect_id to)
{
    static const char *const efforts[] = { "", "low high", "minimal low medium high", "none low medium high xhigh max" };
    static const char *const lacks[] = { "", "n custom", "seed logprobs user metadata", "temperature parallel_tool_calls" };
    static const enum family families[] = { FAMILY_NONE, FAMILY_OPENAI, FAMILY_ANTHROPIC, FAMILY_GEMINI, FAMILY_DEEPSEEK };
    struct target *t = ARENA_NEW(&r->arena, struct target);
    struct quirks *q = ARENA_NEW(&r->arena, struct quirks);
    struct traits *m = ARENA_NEW(&r->arena, struct traits);

    if (!t || !q || !m)
        return NULL;
    *m = (struct traits){ .thinking = (enum thinking_style)dice_below(dice, THINKING_LEVEL + 1), .thinking_off = dice_one_in(dice, 2),
                          .budget_least = dice_one_in(dice, 2) ? 1024 : 0, .budget_most = dice_one_in(dice, 2) ? 8192 : 0,
                          .sampling = dice_one_in(dice, 2), .penalties = dice_one_in(dice, 2), .stop = dice_one_in(dice, 2),
                          .prefill = dice_one_in(dice, 2), .url_media = dice_one_in(dice, 2), .schema = dice_one_in(dice, 2),
                          .forced_tools = dice_one_in(dice, 2) };
    snprintf(m->efforts, sizeof m->efforts, "%s", efforts[dice_below(dice, to == DIALECT_ANTHROPIC ? 2 : 4)]);
    *q = (struct quirks){ .family = families[dice_below(dice, 5)], .responses = true,
                          .max_tokens_field = (enum quirk_max_tokens)dice_below(dice, 2), .seed_field = (enum quirk_seed)dice_below(dice, 2),
                          .developer_role = dice_one_in(dice, 2), .supports_json_schema = dice_one_in(dice, 2),
                          .supports_parallel = dice_one_in(dice, 2), .stream_usage = (enum quirk_stream_usage)dice_below(dice, 3),
                          .reasoning_field = (enum quirk_reasoning_field)dice_below(dice, REASONING_BLOCKS + 1),
                          .reasoning_must_return = (enum quirk_reasoning_return)dice_below(dice, 3),
                          .tool_id_rule = (enum quirk_tool_ids)dice_below(dice, 2), .unknown_fields = (enum quirk_unknown)dice_below(dice, 2) };
    snprintf(q->tool_choice_required_word, sizeof q->tool_choice_required_word, "%s", dice_one_in(dice, 2) ? "any" : "required");
    snprintf(q->lacks, sizeof q->lacks, "%s", lacks[dice_below(dice, 4)]);
    *t = (struct target){ .model = SPAN_LIT("m"), .quirks = q, .traits = m, .family = q->family, .max_output = 4096,
                          .output_cap = dice_one_in(dice, 2) ? 1 + dice_below(dice, 5000) : 0, .local = dice_one_in(dice, 2) };
    return t;
}

static enum dialect_id another(struct dice *dice, enum dialect_id than)
{
    enum dialect_id id;

    do
        id = four[dice_below(dice, 4)];
    while (id == than);
    return id;
}

bool round_trip(struct round_trips *r, struct dice *dice, struct buf *why)
{
    const enum dialect_id to = four[dice_below(dice, 4)], source = another(dice, to);
    const unsigned may = dice_one_in(dice, 8) ? 2 * RANDOM_WILD - 1 : may_hold(to);
    struct way first = { .to = to, .body = &r->body[0] }, second = { .body = &r->body[1] };
    struct chat chat;
    bool ok;

    arena_init(&r->arena, 64u << 20);
    random_chat(&chat, &r->arena, dice, source, may);
    first.chat = &chat;
    first.poor = dice_one_in(dice, 4);
    first.target = first.poor ? poor_target(r, dice, to) : some_target(dice, to);
    ok = first.target ? go(r, &first, why) : fail(&first, why, "the test is short of memory");
    if (ok && first.taken && !first.poor && dice_one_in(dice, 2))
        ok = pass_on(r, &first, why);
    if (ok && first.taken && dice_one_in(dice, 2)) {    /* and on to a third */
        second.chat = &first.back;
        second.to = another(dice, to);
        second.target = some_target(dice, second.to);
        ok = go(r, &second, why);
    }
    arena_free(&r->arena);
    return ok;
}
