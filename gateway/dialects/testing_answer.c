/* testing_answer.c - see testing_answer.h.
 *
 * A provider's answer is a list of steps, as a reader of some dialect makes them: texts in pieces, calls whose pieces may
 * alternate, reasoning with signatures. They go into a draft with the writer under test, and beside it into one whose writer only
 * records. What was written is read again by the same dialect, a stream cut at random bytes, and the record of that must be the
 * first one, but for what the dialect cannot say: the function `normal` below has all of it. */
#include "gateway/dialects/testing_answer.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/jscan.h"
#include "base/jwrite.h"
#include "gateway/dialects/sse.h"
#include "gateway/dialects/testing_chat.h"
#include "gateway/dialects/testing_targets.h"

#define BYTES_MAX (1u << 24)
#define CHOICES 3
#define STEPS_MAX 96

static const enum dialect_id four[] = { DIALECT_CHAT, DIALECT_RESPONSES, DIALECT_ANTHROPIC, DIALECT_GEMINI };

static void *sure(void *p)
{
    if (!p)
        abort();
    return p;
}

/* ---- steps ---- */

enum step_kind { STEP_TEXT, STEP_REFUSAL, STEP_REASONING, STEP_SIGNATURE, STEP_REDACTED, STEP_CALL, STEP_ARGUMENTS, STEP_CALL_SIGNATURE,
                 STEP_CITATION, STEP_LOGPROBS };

struct step {
    enum step_kind kind;
    unsigned choice, call;
    struct span raw, id, name;
    bool custom;
    int64_t from, to;
};

struct answer_of {
    struct step steps[STEPS_MAX];
    size_t n;
    enum finish finish;
    struct span stop_raw;
    struct usage usage;
    bool has_usage;
    enum family family;        /* of its signatures */
};

static void add(struct answer_of *a, struct step s)
{
    if (a->n < STEPS_MAX)
        a->steps[a->n++] = s;
}

/* Where a raw text may be cut: not within an escape, nor between two that are one character. */
static size_t unit_of(struct span raw)
{
    const size_t n = raw.p[0] != '\\' ? 1 : raw.n > 1 && raw.p[1] == 'u' ? 6 : 2;

    if (n == 6 && (raw.p[2] == 'd' || raw.p[2] == 'D') && raw.p[3] >= '8' && raw.n >= 12)
        return 12;
    if (n == 1 && ((unsigned char)raw.p[0] & 0xC0) == 0xC0) {
        size_t more = 1;

        while (more < raw.n && ((unsigned char)raw.p[more] & 0xC0) == 0x80)
            more++;
        return more;
    }
    return n;
}

static struct span first_piece(struct span raw, size_t most)
{
    size_t n = 0;

    while (n < raw.n && n < most)
        n += unit_of(span_skip(raw, n));
    return span_first(raw, n ? n : raw.n);
}

/* ---- random answers ---- */

#define CALLS 6
struct calls {
    unsigned n;
    struct span left[CALLS];   /* of the arguments, not yet said */
    bool custom[CALLS], named[CALLS], broken[CALLS];
    struct span name[CALLS], id[CALLS];
};

static struct span escaped(struct arena *arena, struct span text)
{
    struct buf b;
    struct span s;

    buf_init(&b, BYTES_MAX);
    jw_escaped(&b, text);
    s = arena_copy(arena, buf_span(&b));
    buf_free(&b);
    sure((void *)(uintptr_t)s.p);
    return s;
}

/* The text ends with its last bracket: what a call is missing after that nobody can tell. */
static struct span arguments(struct arena *arena, struct dice *dice, struct calls *c, unsigned i)
{
    static const char *const broken[] = { "{\\\"a\\\":", "[1]", "text \\\\\\\" é", "null", "{\\\"a\\\": \\\"b" };

    if (c->custom[i])
        return random_raw(arena, dice);
    if (dice_one_in(dice, 8))
        return SPAN_LIT("");
    c->broken[i] = dice_one_in(dice, 8);
    return c->broken[i] ? span_str(broken[dice_below(dice, 5)]) : escaped(arena, random_json(arena, dice, true));
}

static void begin_call(struct answer_of *a, struct arena *arena, struct dice *dice, struct calls *c, bool customs)
{
    const unsigned i = c->n++;

    c->custom[i] = customs && dice_one_in(dice, 6);
    c->name[i] = random_name(arena, dice, i, false);
    c->id[i] = SPAN_NONE;
    switch (dice_below(dice, 5)) {
    case 0: c->id[i] = arena_printf(arena, "call_%u", i); break;
    case 1: c->id[i] = arena_printf(arena, "toolu_%u", i); break;
    case 2: c->id[i] = arena_printf(arena, "fc:%u", i); break;
    case 3: c->id[i] = arena_printf(arena, "\\u00fc %u", i); break;
    default: break;            /* none: one is invented */
    }
    c->left[i] = arguments(arena, dice, c, i);
    c->named[i] = !dice_one_in(dice, 8);
    add(a, (struct step){ .kind = STEP_CALL, .call = i, .id = c->id[i], .name = c->named[i] ? c->name[i] : SPAN_NONE,
                          .custom = c->custom[i] });
    if (dice_one_in(dice, 8))
        add(a, (struct step){ .kind = STEP_CALL_SIGNATURE, .call = i, .raw = SPAN_LIT("c2lnMQ==") });
}

static void more_arguments(struct answer_of *a, struct dice *dice, struct calls *c)
{
    const unsigned i = dice_below(dice, c->n);
    const struct span piece = first_piece(c->left[i], dice_one_in(dice, 3) ? SIZE_MAX : 1 + dice_below(dice, 12));

    if (!c->named[i] && dice_one_in(dice, 2)) {
        c->named[i] = true;
        add(a, (struct step){ .kind = STEP_CALL, .call = i, .name = c->name[i], .custom = c->custom[i] });
    }
    if (piece.n == 0)
        return;
    c->left[i] = span_skip(c->left[i], piece.n);
    add(a, (struct step){ .kind = STEP_ARGUMENTS, .call = i, .raw = piece });
}

/* What a step of the answer may be; `n`: of other choices too. */
static void next_step(struct answer_of *a, struct arena *arena, struct dice *dice, struct calls *c, unsigned n, bool customs)
{
    const unsigned choice = n > 1 ? dice_below(dice, n) : 0;
    const uint32_t what = dice_below(dice, 16);
    const struct span raw = random_raw(arena, dice);

    if (what < 5) {
        add(a, (struct step){ .kind = STEP_TEXT, .choice = choice, .raw = raw });
        if (raw.n && dice_one_in(dice, 6))
            add(a, (struct step){ .kind = STEP_CITATION, .choice = choice, .raw = SPAN_LIT("https:\\/\\/e.com\\u002f"), .name = raw,
                                  .from = dice_one_in(dice, 2) ? -1 : 1, .to = 2 });
        if (raw.n && dice_one_in(dice, 6))
            add(a, (struct step){ .kind = STEP_LOGPROBS, .choice = choice,
                                  .raw = SPAN_LIT("[{\"token\":\"a\\n\",\n\"logprob\":-0.5,\"bytes\":[97],\"top_logprobs\":[{\"token\":"
                                                  "\"b\",\"logprob\":-1e-3,\"bytes\":null}]}]") });
    } else if (what < 6) {
        add(a, (struct step){ .kind = STEP_REFUSAL, .choice = choice, .raw = raw });
    } else if (what < 9) {
        add(a, (struct step){ .kind = STEP_REASONING, .choice = choice, .raw = raw });
        if (raw.n && choice == 0 && dice_one_in(dice, 3))
            add(a, (struct step){ .kind = STEP_SIGNATURE, .raw = SPAN_LIT("c2ln\\/+A=") });
    } else if (what < 10) {
        add(a, (struct step){ .kind = STEP_REDACTED, .raw = SPAN_LIT("cmVk") });
    } else if (what < 12 && c->n < CALLS) {
        begin_call(a, arena, dice, c, customs);
    } else if (c->n) {
        more_arguments(a, dice, c);
    }
}

static int64_t count(struct dice *dice)
{
    static const int64_t most[] = { 10, 1000, INT64_C(1) << 20, INT64_C(1) << 31, INT64_C(1) << 50 };

    if (dice_one_in(dice, 3))
        return 0;
    return (int64_t)(((uint64_t)dice_below(dice, UINT32_MAX) << 20 ^ dice_below(dice, UINT32_MAX)) %
                     (uint64_t)most[dice_below(dice, 5)]);
}

static void random_usage(struct usage *u, struct dice *dice)
{
    *u = (struct usage){ .input = count(dice), .cache_read = count(dice), .cache_write_5m = count(dice),
                         .cache_write_1h = count(dice), .output = count(dice), .input_audio = count(dice),
                         .input_image = count(dice), .output_audio = count(dice), .output_image = count(dice),
                         .searches = dice_below(dice, 5) };
    u->reasoning = u->output ? count(dice) % (u->output + 1) : 0;
}

static struct answer_of *random_answer(struct arena *arena, struct dice *dice, unsigned choices, bool customs)
{
    static const enum finish finishes[] = { FINISH_STOP, FINISH_STOP, FINISH_TOOL_CALLS, FINISH_LENGTH, FINISH_FILTERED,
                                            FINISH_OTHER };
    static const enum family families[] = { FAMILY_OPENAI, FAMILY_ANTHROPIC, FAMILY_GEMINI };
    struct answer_of *a = sure(ARENA_NEW(arena, struct answer_of));
    struct calls c = { 0 };

    a->family = families[dice_below(dice, 3)];
    for (uint32_t n = dice_below(dice, 24); n > 0; n--)
        next_step(a, arena, dice, &c, choices, customs);
    for (unsigned i = 0; i < c.n; i++) {
        if (!c.named[i] && !dice_one_in(dice, 4))    /* else it never gets a name, and is no call */
            add(a, (struct step){ .kind = STEP_CALL, .call = i, .name = c.name[i], .custom = c.custom[i] });
        if (c.left[i].n)
            add(a, (struct step){ .kind = STEP_ARGUMENTS, .call = i, .raw = c.left[i] });
    }
    a->finish = finishes[dice_below(dice, 6)];
    if (a->finish == FINISH_STOP && dice_one_in(dice, 3))
        a->stop_raw = SPAN_LIT("ST\\u00d6P\\n");
    a->has_usage = !dice_one_in(dice, 4);
    if (a->has_usage)
        random_usage(&a->usage, dice);
    return a;
}

static bool play_step(struct draft *d, const struct answer_of *a, const struct step *s)
{
    switch (s->kind) {
    case STEP_TEXT: return draft_text(d, s->choice, PIECE_TEXT, s->raw);
    case STEP_REFUSAL: return draft_text(d, s->choice, PIECE_REFUSAL, s->raw);
    case STEP_REASONING: return draft_text(d, s->choice, PIECE_REASONING, s->raw);
    case STEP_SIGNATURE: return draft_signature(d, 0, -1, s->raw, a->family, false);
    case STEP_REDACTED: return draft_signature(d, 0, -1, s->raw, a->family, true);
    case STEP_CALL: return draft_call(d, 0, s->call, s->id, s->name, s->custom);
    case STEP_ARGUMENTS: return draft_arguments(d, 0, s->call, s->raw);
    case STEP_CALL_SIGNATURE: return draft_signature(d, 0, (int)s->call, s->raw, a->family, false);
    case STEP_CITATION: return draft_citation(d, s->choice, s->raw, s->name, s->from, s->to);
    case STEP_LOGPROBS: return draft_logprobs(d, s->choice, s->raw);
    }
    return false;
}

static void play_end(struct draft *d, const struct answer_of *a)
{
    draft_finish(d, 0, a->finish, a->stop_raw);
    if (a->has_usage)
        draft_usage(d, &a->usage, false);
}

/* ---- the record ---- */

struct record {
    struct writer base;
    struct buf text[CHOICES], refusal[CHOICES], reasoning[CHOICES];    /* escapes undone */
    struct buf said[CHOICES];      /* text and refusal in their order */
    struct buf citations[CHOICES], tokens[CHOICES];
    struct buf signatures, redacted, opaques, call_signatures;    /* opaques: the two before, in their order */
    bool refused;
};

static void add_unescaped(struct buf *b, struct span raw)
{
    char *text = sure(malloc(raw.n + 1));

    buf_add(b, text, jraw_unescape(raw, text));
    free(text);
}

static void add_tokens(struct buf *b, struct span list)
{
    for (struct jiter it = jiter_begin(list); jiter_next(&it);) {
        struct jiter top = jiter_begin(jval_get(it.value, "top_logprobs"));

        buf_add_span(b, jval_get(it.value, "token"));
        buf_add_span(b, jval_get(it.value, "logprob"));
        while (jiter_next(&top))
            buf_add_span(b, jval_get(top.value, "token"));
    }
}

static bool record_piece(struct writer *w, const struct piece *p)
{
    struct record *r = (struct record *)w;
    const unsigned c = p->choice;

    if (c >= CHOICES)
        return false;
    switch (p->kind) {
    case PIECE_TEXT:
        add_unescaped(&r->text[c], p->raw);
        add_unescaped(&r->said[c], p->raw);
        break;
    case PIECE_REFUSAL:
        r->refused |= c == 0;
        add_unescaped(&r->refusal[c], p->raw);
        add_unescaped(&r->said[c], p->raw);
        break;
    case PIECE_REASONING: add_unescaped(&r->reasoning[c], p->raw); break;
    case PIECE_SIGNATURE: case PIECE_REDACTED:
        buf_printf(p->call >= 0 ? &r->call_signatures : p->kind == PIECE_REDACTED ? &r->redacted : &r->signatures, " %.*s",
                   SPAN_FMT(p->raw));
        if (p->call < 0)
            buf_printf(&r->opaques, " %.*s", SPAN_FMT(p->raw));
        break;
    case PIECE_CITATION: buf_printf(&r->citations[c], " %.*s %.*s", SPAN_FMT(p->raw), SPAN_FMT(p->title_raw)); break;
    case PIECE_LOGPROBS: add_tokens(&r->tokens[c], p->json); break;
    case PIECE_CALL: case PIECE_ARGUMENTS: break;    /* the draft has them */
    }
    return true;
}

static const struct dialect recorder = { .name = "record", .writer_piece = record_piece };

static void record_init(struct record *r)
{
    *r = (struct record){ .base = { .dialect = &recorder } };
    for (unsigned c = 0; c < CHOICES; c++) {
        buf_init(&r->text[c], BYTES_MAX);
        buf_init(&r->refusal[c], BYTES_MAX);
        buf_init(&r->reasoning[c], BYTES_MAX);
        buf_init(&r->said[c], BYTES_MAX);
        buf_init(&r->citations[c], BYTES_MAX);
        buf_init(&r->tokens[c], BYTES_MAX);
    }
    buf_init(&r->signatures, BYTES_MAX);
    buf_init(&r->redacted, BYTES_MAX);
    buf_init(&r->opaques, BYTES_MAX);
    buf_init(&r->call_signatures, BYTES_MAX);
}

static void record_free(struct record *r)
{
    for (unsigned c = 0; c < CHOICES; c++) {
        buf_free(&r->text[c]);
        buf_free(&r->refusal[c]);
        buf_free(&r->reasoning[c]);
        buf_free(&r->said[c]);
        buf_free(&r->citations[c]);
        buf_free(&r->tokens[c]);
    }
    buf_free(&r->signatures);
    buf_free(&r->redacted);
    buf_free(&r->opaques);
    buf_free(&r->call_signatures);
}

/* ---- what each dialect can say ---- */

struct way {
    enum dialect_id to;
    struct chat chat;          /* that was asked */
    bool array;                /* Gemini's stream as one array */
    const struct answer_of *answer;
    struct draft draft;        /* of the answer */
    struct record record;
};

/* Counters that a dialect has not are within others. */
static struct usage usage_in(enum dialect_id to, struct usage u)
{
    u.searches = to == DIALECT_ANTHROPIC ? u.searches : 0;
    if (to == DIALECT_ANTHROPIC || to == DIALECT_RESPONSES) {
        u.input += u.input_audio;
        u.output += u.output_audio;
        u.input_audio = u.output_audio = 0;
    }
    if (to != DIALECT_GEMINI) {
        u.input += u.input_image;
        u.output += u.output_image;
        u.input_image = u.output_image = 0;
    }
    if (to == DIALECT_GEMINI)
        u.input += u.cache_write_5m + u.cache_write_1h;
    else if (to != DIALECT_ANTHROPIC)
        u.cache_write_5m += u.cache_write_1h;
    if (to == DIALECT_GEMINI)
        u.cache_write_5m = 0;
    if (to != DIALECT_ANTHROPIC)
        u.cache_write_1h = 0;
    return u;
}

static void show_usage(struct buf *b, const struct usage *u)
{
    buf_printf(b, "input %lld read %lld 5m %lld 1h %lld output %lld reasoning %lld audio %lld %lld image %lld %lld searches %lld\n",
               (long long)u->input, (long long)u->cache_read, (long long)u->cache_write_5m, (long long)u->cache_write_1h,
               (long long)u->output, (long long)u->reasoning, (long long)u->input_audio, (long long)u->output_audio,
               (long long)u->input_image, (long long)u->output_image, (long long)u->searches);
}

static bool is_object(struct span text)
{
    struct buf raw;
    bool ok;

    buf_init(&raw, BYTES_MAX);
    jw_escaped(&raw, text);
    ok = chat_arguments_ok(&(struct chat_call){ .arguments_raw = buf_span(&raw) });
    buf_free(&raw);
    return ok;
}

/* Arguments where they must be an object, and a line (Gemini). */
static void show_arguments(struct buf *b, const struct way *w, const struct draft_call *c)
{
    const bool objects = w->to == DIALECT_GEMINI || (w->to == DIALECT_ANTHROPIC && !w->chat.stream);
    const struct span text = buf_span(&c->arguments);

    if (text.n == 0 && !c->custom) {
        buf_add_str(b, "{}");
    } else if (objects && !is_object(text)) {
        buf_add_str(b, "{\"_raw\":");
        buf_add_json(b, text);
        buf_add_char(b, '}');
    } else {
        for (size_t i = 0; i < text.n; i++)
            buf_add_char(b, w->to == DIALECT_GEMINI && (text.p[i] == '\n' || text.p[i] == '\r') ? ' ' : text.p[i]);
    }
}

static int by_id(const void *a, const void *b)
{
    const struct draft_call *x = *(const struct draft_call *const *)a, *y = *(const struct draft_call *const *)b;

    return strcmp(x->id.p ? x->id.p : "", y->id.p ? y->id.p : "");
}

/* In the order of their ids: a writer may begin them in another than they have. */
static void show_calls(struct buf *b, const struct way *w, const struct draft *d, bool wanted)
{
    const struct draft_call *list[DRAFT_CALLS_MAX];
    size_t n = 0;

    for (size_t i = 0; i < d->n_calls; i++)
        if (d->calls[i].begun)
            list[n++] = &d->calls[i];
    qsort(list, n, sizeof list[0], by_id);
    for (size_t i = 0; i < n; i++) {
        buf_printf(b, "call %s %s%s: ", list[i]->id.p, list[i]->name.p, list[i]->custom ? " custom" : "");
        if (wanted)
            show_arguments(b, w, list[i]);
        else
            buf_add_span(b, buf_span(&list[i]->arguments));
        buf_add_str(b, "\n");
    }
}

static bool any_call(const struct draft *d)
{
    for (size_t i = 0; i < d->n_calls; i++)
        if (d->calls[i].begun)
            return true;
    return false;
}

static enum finish finish_in(const struct way *w)
{
    const enum finish f = w->draft.finish;
    const bool calls = any_call(&w->draft);

    if (f == FINISH_LENGTH || f == FINISH_FILTERED)
        return f;
    if (calls)
        return w->to == DIALECT_GEMINI && f == FINISH_OTHER ? FINISH_OTHER : FINISH_TOOL_CALLS;
    if (w->to == DIALECT_GEMINI && f == FINISH_OTHER)
        return f;
    return w->to == DIALECT_ANTHROPIC && w->record.refused ? FINISH_FILTERED : FINISH_STOP;
}

static void show_line(struct buf *b, const char *name, unsigned choice, struct span text)
{
    if (text.n)
        buf_printf(b, "%s %u: %.*s\n", name, choice, SPAN_FMT(text));
}

/* The answer as the dialect can say it. */
static void show_wanted(const struct way *w, struct buf *b)
{
    static const enum family own[DIALECTS] = { [DIALECT_CHAT] = FAMILY_NONE, [DIALECT_RESPONSES] = FAMILY_OPENAI,
                                               [DIALECT_ANTHROPIC] = FAMILY_ANTHROPIC, [DIALECT_GEMINI] = FAMILY_GEMINI };
    const struct record *r = &w->record;
    const bool merged = w->to == DIALECT_ANTHROPIC || w->to == DIALECT_GEMINI;    /* a refusal is text there */
    const bool choices = w->to == DIALECT_CHAT || w->to == DIALECT_GEMINI;
    const bool shown = w->to == DIALECT_ANTHROPIC || w->chat.show_reasoning == TRI_YES;
    const bool signatures = w->answer->family == own[w->to];
    struct usage u = usage_in(w->to, w->draft.usage);

    for (unsigned c = 0; c < (choices ? CHOICES : 1); c++) {
        show_line(b, "text", c, buf_span(merged ? &r->said[c] : &r->text[c]));
        if (!merged)
            show_line(b, "refusal", c, buf_span(&r->refusal[c]));
        if (shown)
            show_line(b, "reasoning", c, buf_span(&r->reasoning[c]));
        if (w->to != DIALECT_ANTHROPIC && (w->to != DIALECT_RESPONSES || w->chat.logprobs))
            show_line(b, "tokens", c, buf_span(&r->tokens[c]));
        if (w->to == DIALECT_CHAT)    /* elsewhere some have no place: see `fits` */
            show_line(b, "citations", c, buf_span(&r->citations[c]));
    }
    show_calls(b, w, &w->draft, true);
    buf_printf(b, "finish %d%s%.*s\n", finish_in(w), w->to == DIALECT_ANTHROPIC && finish_in(w) == FINISH_STOP ? " stop " : "",
               SPAN_FMT(w->to == DIALECT_ANTHROPIC && finish_in(w) == FINISH_STOP ? buf_span(&w->draft.stop_raw) : SPAN_LIT("")));
    if (signatures && w->to == DIALECT_ANTHROPIC) {
        show_line(b, "signatures", 0, buf_span(&r->signatures));
        show_line(b, "redacted", 0, buf_span(&r->redacted));
    }
    if (w->draft.has_usage && (w->to != DIALECT_CHAT || !w->chat.stream || w->chat.usage_asked))
        show_usage(b, &u);
}

static void show_got(const struct way *w, const struct draft *d, const struct record *r, struct buf *b)
{
    for (unsigned c = 0; c < CHOICES; c++) {
        show_line(b, "text", c, buf_span(&r->text[c]));
        show_line(b, "refusal", c, buf_span(&r->refusal[c]));
        show_line(b, "reasoning", c, buf_span(&r->reasoning[c]));
        show_line(b, "tokens", c, buf_span(&r->tokens[c]));
        if (w->to == DIALECT_CHAT)
            show_line(b, "citations", c, buf_span(&r->citations[c]));
    }
    show_calls(b, w, d, false);
    buf_printf(b, "finish %d%s%.*s\n", d->finish, w->to == DIALECT_ANTHROPIC && d->finish == FINISH_STOP ? " stop " : "",
               SPAN_FMT(buf_span(&d->stop_raw)));
    if (w->to == DIALECT_ANTHROPIC) {
        show_line(b, "signatures", 0, buf_span(&r->signatures));
        show_line(b, "redacted", 0, buf_span(&r->redacted));
    }
    if (w->draft.has_usage && d->has_usage)    /* else it is an estimate */
        show_usage(b, &d->usage);
}

/* ---- writing ---- */

static void random_asking(struct chat *c, enum dialect_id to, struct dice *dice)
{
    chat_init(c, to, SPAN_LIT("{}"));
    c->model = SPAN_LIT("asked");
    c->stream = dice_one_in(dice, 2);
    c->stream_array = to == DIALECT_GEMINI && c->stream && dice_one_in(dice, 3);
    c->usage_asked = c->stream && dice_one_in(dice, 2);
    c->show_reasoning = (enum tri)dice_below(dice, 3);
    c->logprobs = dice_one_in(dice, 2);
    c->n = to == DIALECT_CHAT || to == DIALECT_GEMINI ? 1 + dice_below(dice, CHOICES) : 1;
}

static bool fail(const struct answer_trips *t, const struct way *w, struct buf *why, const char *what)
{
    buf_printf(why, "%s, %s: %s\n--- written: ", dialect_get(w->to)->name,
               !w->chat.stream ? "whole" : w->chat.stream_array ? "array" : "streamed", what);
    buf_add_span(why, buf_span(&t->out));
    buf_add_str(why, "\n");
    return false;
}

/* Comments keep a stream alive; the cost is one, before the terminal event. */
static void keep_alive(struct answer_trips *t, const struct way *w, const char *comment)
{
    if (w->chat.stream && !w->chat.stream_array && comment)
        buf_add_str(&t->out, comment);
}

static bool write(struct answer_trips *t, struct way *w, struct dice *dice, struct buf *why)
{
    const struct dialect *d = dialect_get(w->to);
    const struct reply_info info = { .id = SPAN_LIT("req_0123\"x"), .created_s = 1700000000, .model = SPAN_LIT("some/\"model"),
                                     .chat = &w->chat, .prompt_estimate = 12 };
    struct draft beside;
    bool ok = true;

    buf_clear(&t->out);
    buf_clear(&t->terminal);
    draft_init(&w->draft);
    draft_init(&beside);
    beside.writer = &w->record.base;
    w->draft.writer = d->writer_new(&info, &t->out);
    sure(w->draft.writer);
    for (size_t i = 0; ok && i < w->answer->n; i++) {
        ok = play_step(&w->draft, w->answer, &w->answer->steps[i]) && play_step(&beside, w->answer, &w->answer->steps[i]);
        if (dice_one_in(dice, 10))
            keep_alive(t, w, d->keepalive);
    }
    play_end(&w->draft, w->answer);
    ok = ok && d->writer_end(w->draft.writer, &w->draft, &t->terminal);
    keep_alive(t, w, ": x-tollgate-cost-usd=0.000001\n\n");
    buf_add_span(&t->out, buf_span(&t->terminal));
    d->writer_free(w->draft.writer);
    draft_free(&beside);
    w->draft.writer = NULL;
    return ok && buf_ok(&t->out) ? true : fail(t, w, why, "could not be written");
}

/* ---- reading again ---- */

struct hearing {
    struct answer_trips *t;
    const struct way *way;
    struct draft *draft;
    const char *what;          /* went wrong; NULL */
};

static const char *scan(struct answer_trips *t, struct span json)
{
    jscan_reset(t->scan);
    return jscan_feed(t->scan, json) == JSCAN_BAD || jscan_end(t->scan) != JSCAN_DONE ? jscan_error(t->scan) : NULL;
}

static bool on_event(void *ctx, const struct sse_event *e)
{
    struct hearing *h = ctx;

    if (!e->data.p)
        return true;
    if (span_is(e->data, "[DONE]")) {
        h->draft->ended = true;
        return true;
    }
    h->what = h->draft->ended && h->way->to != DIALECT_GEMINI ? "something stands behind the end" : scan(h->t, e->data);
    if (!h->what && !dialect_get(h->way->to)->read_event(h->draft, e->name, e->data, testing_target(h->way->to)))
        h->what = "its own reader cannot read it";
    return h->what == NULL;
}

/* A stream in pieces as a network may cut it. */
static const char *hear(struct answer_trips *t, const struct way *w, struct draft *d, struct dice *dice)
{
    struct hearing h = { .t = t, .way = w, .draft = d };
    struct span rest = buf_span(&t->out);
    enum sse_rc rc = SSE_OK;
    struct sse s;

    sse_init(&s, BYTES_MAX);
    while (rest.n && rc == SSE_OK) {
        const size_t n = dice_one_in(dice, 3) ? 1 + dice_below(dice, 5) : 1 + dice_below(dice, 1000);

        rc = sse_feed(&s, span_first(rest, n), on_event, &h);
        rest = span_skip(rest, n);
    }
    if (!h.what && (rc != SSE_OK || span_trim(sse_rest(&s)).n))
        h.what = "the last event has no end";
    if (!h.what && !d->ended)
        h.what = "the stream has no end";
    sse_free(&s);
    return h.what;
}

static const char *read_again(struct answer_trips *t, const struct way *w, struct draft *d, struct dice *dice)
{
    const char *what;

    if (w->chat.stream && !w->chat.stream_array)
        return hear(t, w, d, dice);
    what = scan(t, buf_span(&t->out));
    if (!what && !dialect_get(w->to)->read_whole(d, buf_span(&t->out), testing_target(w->to)))
        what = "its own reader cannot read it";
    return what;
}

static void show_difference(struct buf *why, struct span wanted, struct span got)
{
    buf_printf(why, "--- wanted:\n%.*s--- got:\n%.*s", SPAN_FMT(wanted), SPAN_FMT(got));
}

/* What is not compared by text: sources that come while something else is open have no place at Anthropic's and OpenAI's, but none
 * may be new; signatures of Gemini are parts of their own. */
static bool fits(const struct way *w, const struct record *got)
{
    if (w->to == DIALECT_GEMINI && w->answer->family == FAMILY_GEMINI &&
        !span_eq(buf_span(&got->signatures), buf_span(&w->record.signatures)))
        return false;
    if (w->to == DIALECT_GEMINI)
        return span_eq(buf_span(&got->citations[0]), buf_span(&w->record.citations[0]));
    if (w->to == DIALECT_RESPONSES && w->answer->family == FAMILY_OPENAI &&
        !span_eq(buf_span(&got->opaques), buf_span(&w->record.opaques)))
        return false;
    return got->citations[0].n <= w->record.citations[0].n;
}

static bool compare(struct answer_trips *t, struct way *w, struct dice *dice, struct buf *why)
{
    struct record record;
    struct draft again;
    const char *what;
    bool ok;

    record_init(&record);
    draft_init(&again);
    again.writer = &record.base;
    what = read_again(t, w, &again, dice);
    if (!what) {
        buf_clear(&t->shown[0]);
        buf_clear(&t->shown[1]);
        show_wanted(w, &t->shown[0]);
        show_got(w, &again, &record, &t->shown[1]);
    }
    ok = !what && span_eq(buf_span(&t->shown[0]), buf_span(&t->shown[1]));
    if (!ok)
        fail(t, w, why, what ? what : "read again, it is another");
    if (!ok && !what)
        show_difference(why, buf_span(&t->shown[0]), buf_span(&t->shown[1]));
    if (ok && !fits(w, &record))
        ok = fail(t, w, why, "citations or signatures");
    if (ok && again.has_usage && again.usage_mended)
        ok = fail(t, w, why, "its own usage had to be mended");
    draft_free(&again);
    record_free(&record);
    return ok;
}

/* ---- a case ---- */

static bool trip(struct answer_trips *t, struct way *w, struct dice *dice, struct buf *why)
{
    bool ok;

    record_init(&w->record);
    ok = write(t, w, dice, why) && compare(t, w, dice, why);
    *(w->chat.stream ? &t->n_streamed : &t->n_whole) += ok;
    draft_free(&w->draft);
    record_free(&w->record);
    return ok;
}

bool answer_trips_init(struct answer_trips *t)
{
    *t = (struct answer_trips){ .scan = jscan_new(&jscan_default_limits, 7) };
    buf_init(&t->out, BYTES_MAX);
    buf_init(&t->terminal, BYTES_MAX);
    buf_init(&t->shown[0], BYTES_MAX);
    buf_init(&t->shown[1], BYTES_MAX);
    return t->scan != NULL;
}

void answer_trips_free(struct answer_trips *t)
{
    jscan_free(t->scan);
    buf_free(&t->out);
    buf_free(&t->terminal);
    buf_free(&t->shown[0]);
    buf_free(&t->shown[1]);
}

bool answer_trip(struct answer_trips *t, struct dice *dice, struct buf *why)
{
    struct way w = { .to = four[dice_below(dice, 4)] };
    bool ok;

    arena_init(&t->arena, 16u << 20);
    random_asking(&w.chat, w.to, dice);
    w.answer = random_answer(&t->arena, dice, (unsigned)w.chat.n, w.to == DIALECT_CHAT || w.to == DIALECT_RESPONSES);
    ok = trip(t, &w, dice, why);
    arena_free(&t->arena);
    return ok;
}

bool usage_trip(struct answer_trips *t, struct dice *dice, struct buf *why)
{
    struct way w = { .to = four[dice_below(dice, 4)] };
    struct answer_of *a;
    bool ok;

    arena_init(&t->arena, 1u << 20);
    a = sure(ARENA_NEW(&t->arena, struct answer_of));
    add(a, (struct step){ .kind = STEP_TEXT, .raw = SPAN_LIT("Hi") });
    a->finish = FINISH_STOP;
    a->has_usage = true;
    random_usage(&a->usage, dice);
    random_asking(&w.chat, w.to, dice);
    w.chat.n = 1;
    w.chat.usage_asked = w.chat.stream;
    w.answer = a;
    ok = trip(t, &w, dice, why);
    arena_free(&t->arena);
    return ok;
}

/* ---- faults ---- */

/* Quoted from a provider, or from the caller: any bytes. *clean: it is UTF-8 without a control character. */
static void random_words(char *out, size_t room, struct dice *dice, bool *clean)
{
    static const char *const bits[] = { "word ", "\"quoted\" ", "\\", "Zürich", "\xf0\x9f\x98\x80", "\n", "\x01", "\xff", "\xe2\x82", "\xed\xa0\x80" };
    size_t n = 0;

    *clean = true;
    for (uint32_t left = dice_below(dice, 12); left > 0; left--) {
        const uint32_t which = dice_below(dice, 10);

        if (n + strlen(bits[which]) + 1 > room)
            break;
        n += (size_t)snprintf(out + n, room - n, "%s", bits[which]);
        *clean &= which < 5;
    }
    out[n] = '\0';
}

static void random_fault(struct fault *f, struct dice *dice, bool *clean)
{
    static const struct { int status; const char *type, *code; } kinds[] = {
        { 400, "invalid_request_error", "invalid_value" }, { 400, "invalid_request_error", "context_length_exceeded" },
        { 401, "invalid_request_error", "invalid_api_key" }, { 404, "invalid_request_error", "model_not_found" },
        { 429, "insufficient_quota", "insufficient_quota" }, { 429, "rate_limit_error", "rate_limit_exceeded" },
        { 502, "server_error", "upstream_credential" }, { 503, "server_error", "overloaded" }, { 504, "server_error", "timeout" },
        { 500, "server_error", NULL },
    };
    const uint32_t which = dice_below(dice, 10);
    bool param;

    *f = (struct fault){ .status = kinds[which].status, .type = kinds[which].type, .code = kinds[which].code,
                         .retry_after_ms = dice_one_in(dice, 3) ? dice_below(dice, 100000) : 0 };
    random_words(f->message, sizeof f->message, dice, clean);
    random_words(f->param, sizeof f->param, dice, &param);
}

/* An event, or an element behind the beginning of an array, as a stream of this caller would have it. */
static const char *hear_fault(struct answer_trips *t, const struct way *w, struct draft *d, bool begun, struct dice *dice)
{
    const char *what = NULL;
    struct buf array;

    if (!w->chat.stream_array) {
        what = hear(t, w, d, dice);
        return what && strcmp(what, "the stream has no end") == 0 ? NULL : what;    /* nor should it have a good one */
    }
    buf_init(&array, BYTES_MAX);
    buf_add_str(&array, begun ? "[{\"modelVersion\":\"m\"}" : "");
    buf_add_span(&array, buf_span(&t->out));
    what = scan(t, buf_span(&array));
    if (!what && !dialect_get(w->to)->read_whole(d, buf_span(&array), testing_target(w->to)))
        what = "its own reader cannot read it";
    buf_free(&array);
    return what;
}

static bool told(const struct draft *d, const struct fault *f, bool clean)
{
    const size_t n = strlen(d->error_message), m = strlen(f->message);

    /* Anthropic puts its own words before some; what is read is cut. */
    return d->has_error && (!clean || m >= sizeof d->error_message - 1 || (n >= m && strcmp(d->error_message + n - m, f->message) == 0));
}

bool fault_trip(struct answer_trips *t, struct dice *dice, struct buf *why)
{
    struct way w = { .to = four[dice_below(dice, 4)] };
    const struct dialect *d = dialect_get(w.to);
    const bool streams = dice_one_in(dice, 2), begun = dice_one_in(dice, 2);
    const char *what = NULL;
    struct fault f;
    struct draft again;
    bool clean, ok;

    random_fault(&f, dice, &clean);
    random_asking(&w.chat, w.to, dice);
    w.chat.stream = streams;
    w.chat.stream_array &= streams;
    buf_clear(&t->out);
    draft_init(&again);
    if (streams) {
        d->write_stream_fault(&f, SPAN_LIT("req_1"), &w.chat, begun, &t->out);
        what = hear_fault(t, &w, &again, begun, dice);
    } else {
        d->write_fault(&f, SPAN_LIT("req_1"), &t->out);
        what = scan(t, buf_span(&t->out));
        if (!what)
            d->read_error(&again, buf_span(&t->out), true);
    }
    ok = !what && told(&again, &f, clean) && d->fault_status(&f) >= 400;
    if (!ok)
        fail(t, &w, why, what ? what : "the fault is not told");
    *(streams ? &t->n_streamed : &t->n_whole) += ok;
    draft_free(&again);
    return ok;
}
