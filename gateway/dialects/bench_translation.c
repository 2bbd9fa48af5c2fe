/* bench_translation.c - what it costs to say the same in another dialect: microseconds of processor time for each KB of the
 * caller's request, of a provider's whole answer, and of a provider's stream, for every pair of dialects. On the diagonal the
 * bytes pass. The pre-scan of every body and event is part of it. Then bodies of many small things, twice as many each time: a step
 * that takes more than its share is not linear.
 *
 * Rounds go through all pairs, one after the other, so that a busy machine is as unkind to all; of each pair the median is told.
 * A timing, not a test: make bench-translation. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/jscan.h"
#include "base/jwrite.h"
#include "gateway/dialects/sse.h"
#include "gateway/dialects/testing_targets.h"

#define ROUNDS 5
#define BODY_MAX (64u << 20)
#define WORDS "The quick brown fox jumps over the lazy dog, \\\"again\\\" and again: \\u00e9\\n"

static const enum dialect_id four[4] = { DIALECT_CHAT, DIALECT_RESPONSES, DIALECT_ANTHROPIC, DIALECT_GEMINI };
static const char *const names[4] = { "Chat", "Responses", "Anthropic", "Gemini" };

static void die(const char *what)
{
    fprintf(stderr, "bench_translation: %s\n", what);
    exit(1);
}

static double now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void scan(struct jscan *s, struct span json)
{
    jscan_reset(s);
    if (jscan_feed(s, json) == JSCAN_BAD || jscan_end(s) != JSCAN_DONE)
        die(jscan_error(s));
}

/* ---- requests ---- */

/* Of what a conversation has many. */
struct shape {
    unsigned turns;            /* pairs of user and assistant */
    unsigned calls;            /* with their results, in one turn */
    unsigned parts;            /* texts of the last turn */
    unsigned tools;
    bool own_names;            /* each call has a name of its own */
    bool long_text;            /* one of 4 MB, half of it escapes */
};

static struct chat_item *item(struct chat *c, struct chat_turn *t, struct arena *a, enum item_kind kind)
{
    struct chat_item *i = chat_add_item(c, t, a, kind);

    if (!i)
        die("no memory");
    return i;
}

static struct chat_turn *turn(struct chat *c, struct arena *a, enum chat_role role)
{
    struct chat_turn *t = chat_add_turn(c, a, role);

    if (!t)
        die("no memory");
    return t;
}

static struct span long_text(struct arena *a)
{
    const size_t n = 4u << 20;
    char *p = arena_alloc(a, n, 1);

    if (!p)
        die("no memory");
    memset(p, 'a', n);
    for (size_t i = 0; i < n / 2; i += 2)
        memcpy(p + i, "\\n", 2);
    return (struct span){ p, n };
}

static void add_calls(struct chat *c, struct arena *a, const struct shape *s)
{
    struct chat_turn *t = s->calls ? turn(c, a, ROLE_ASSISTANT) : NULL;

    for (unsigned i = 0; i < s->calls; i++)
        item(c, t, a, ITEM_CALL)->call =
            (struct chat_call){ .id = arena_printf(a, "call_%u", i), .arguments_raw = SPAN_LIT("{\\\"city\\\":\\\"Z\\u00fcrich\\\",\\\"n\\\":1}"),
                                .name = s->own_names ? arena_printf(a, "some.tool_%u", i) : SPAN_LIT("tool_0") };
    t = s->calls ? turn(c, a, ROLE_USER) : NULL;
    for (unsigned i = 0; i < s->calls; i++) {
        struct chat_item *r = item(c, t, a, ITEM_RESULT);

        r->result.id = arena_printf(a, "call_%u", i);
        r->result.name = s->own_names ? arena_printf(a, "some.tool_%u", i) : SPAN_LIT("tool_0");
        chat_add_part(c, r, a, ITEM_TEXT)->text = SPAN_LIT("18 \\u00b0C, clear");
    }
}

static void make_chat(struct chat *c, struct arena *a, enum dialect_id from, const struct shape *s)
{
    struct chat_turn *t;

    chat_init(c, from, SPAN_LIT("{}"));
    c->tools = ARENA_ARRAY(a, struct chat_tool, s->tools + 1);
    for (unsigned i = 0; i < s->tools; i++, c->n_tools++)
        c->tools[i] = (struct chat_tool){ .name = arena_printf(a, "tool_%u", i), .description_raw = SPAN_LIT(WORDS),
            .schema_json = SPAN_LIT("{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"},\"n\":{\"type\":\"integer\"}}}") };
    item(c, turn(c, a, ROLE_SYSTEM), a, ITEM_TEXT)->text = SPAN_LIT(WORDS WORDS WORDS);
    for (unsigned i = 0; i < s->turns; i++) {
        item(c, turn(c, a, ROLE_USER), a, ITEM_TEXT)->text = SPAN_LIT(WORDS WORDS);
        item(c, turn(c, a, ROLE_ASSISTANT), a, ITEM_TEXT)->text = SPAN_LIT(WORDS WORDS WORDS);
    }
    item(c, turn(c, a, ROLE_USER), a, ITEM_TEXT)->text = SPAN_LIT(WORDS);
    add_calls(c, a, s);
    t = turn(c, a, ROLE_USER);
    for (unsigned i = 0; i < s->parts; i++)
        item(c, t, a, ITEM_TEXT)->text = SPAN_LIT(WORDS);
    item(c, t, a, ITEM_TEXT)->text = s->long_text ? long_text(a) : SPAN_LIT("Go on.");
    c->max_tokens = 4000;
}

/* A caller's body: what a provider of the dialect would be sent by a caller of another. */
static void make_body(struct buf *body, size_t dialect, const struct shape *s)
{
    struct arena a;
    struct chat c;
    struct fault f = { 0 };
    struct request_out out = { .arena = &a, .body = body, .fault = &f };

    arena_init(&a, 512u << 20);
    make_chat(&c, &a, four[(dialect + 1) % 4], s);
    buf_clear(body);
    if (!dialect_get(four[dialect])->takes(&c, testing_target(four[dialect]), &f) ||
        !dialect_get(four[dialect])->write_request(&c, testing_target(four[dialect]), &out))
        die(f.message);
    arena_free(&a);
}

static void on_text(void *ctx, enum chat_role role, struct span text)
{
    *(size_t *)ctx += role == ROLE_USER ? text.n : 0;
}

/* Scanned, read, and written or passed. Microseconds. */
static double translate(struct jscan *s, struct span body, size_t from, size_t to, struct buf *out_body)
{
    const struct dialect *caller = dialect_get(four[from]), *provider = dialect_get(four[to]);
    const struct target *target = testing_target(four[to]);
    struct fault f = { 0 };
    struct arena a;
    size_t seen = 0;
    const struct parse_spec spec = { .arena = &a, .on_text = on_text, .ctx = &seen, .fault = &f };
    struct request_out out = { .arena = &a, .body = out_body, .fault = &f };
    const double begin = now_us();
    struct chat c;
    bool ok;

    arena_init(&a, 512u << 20);
    buf_clear(out_body);
    scan(s, body);
    chat_init(&c, four[from], body);
    c.model = SPAN_LIT("m");
    ok = caller->parse(&c, &spec) &&
         (from == to ? provider->pass_request(&c, target, &out)
                     : provider->takes(&c, target, &f) && provider->write_request(&c, target, &out));
    arena_free(&a);
    if (!ok)
        die(f.message);
    return now_us() - begin;
}

/* ---- answers ---- */

#define PIECES 400

/* How many pieces of text an answer has, and whether something else stands between each two of them. */
enum mixture { IN_A_ROW, ALTERNATING_CALLS, ALTERNATING_KINDS };
struct speech {
    unsigned pieces;
    enum mixture mixture;
};

static bool say_arguments(struct draft *d, unsigned pieces, bool alternate)
{
    const unsigned calls = 2;
    bool ok = true;

    for (unsigned c = 0; ok && c < calls; c++)
        ok = draft_call(d, 0, c, c ? SPAN_LIT("call_2") : SPAN_LIT("call_1"), SPAN_LIT("tool_0"), false) &&
             draft_arguments(d, 0, c, SPAN_LIT("{\\\"text\\\":\\\""));
    for (unsigned i = 0; ok && i < pieces; i++)
        ok = draft_arguments(d, 0, alternate ? i % calls : i * calls / pieces, SPAN_LIT("Z\\\\u00fcrich and "));
    for (unsigned c = 0; ok && c < calls; c++)
        ok = draft_arguments(d, 0, c, SPAN_LIT("\\\"}"));
    return ok;
}

static void say(struct draft *d, const struct speech *s)
{
    bool ok = draft_text(d, 0, PIECE_REASONING, SPAN_LIT(WORDS));

    for (unsigned i = 0; ok && i < s->pieces; i++) {
        ok = draft_text(d, 0, PIECE_TEXT, SPAN_LIT("some words of an "));
        if (ok && s->mixture == ALTERNATING_KINDS && i % 4 == 0)
            ok = draft_text(d, 0, PIECE_REASONING, SPAN_LIT("hm"));
    }
    ok = ok && say_arguments(d, s->mixture == ALTERNATING_CALLS ? s->pieces : s->pieces / 4, s->mixture == ALTERNATING_CALLS);
    draft_finish(d, 0, FINISH_TOOL_CALLS, SPAN_NONE);
    draft_usage(d, &(struct usage){ .input = 1000, .cache_read = 200, .output = 900, .reasoning = 30 }, false);
    if (!ok)
        die("an answer cannot be made");
}

static struct writer *begin_writer(struct chat *c, size_t caller, bool stream, struct buf *out)
{
    const struct reply_info info = { .id = SPAN_LIT("req_1"), .created_s = 1, .model = SPAN_LIT("m"), .chat = c };
    struct writer *w;

    chat_init(c, four[caller], SPAN_LIT("{}"));
    c->stream = c->usage_asked = stream;
    c->show_reasoning = TRI_YES;
    w = dialect_get(four[caller])->writer_new(&info, out);
    if (!w)
        die("no memory");
    return w;
}

static void end_writer(struct draft *d, size_t caller, struct buf *out)
{
    struct buf terminal;

    buf_init(&terminal, BODY_MAX);
    if (!dialect_get(four[caller])->writer_end(d->writer, d, &terminal))
        die("an answer cannot be written");
    buf_add_span(out, buf_span(&terminal));
    dialect_get(four[caller])->writer_free(d->writer);
    buf_free(&terminal);
    d->writer = NULL;
}

/* A provider's answer, as the dialect's own writer makes it. */
static void make_answer(struct buf *out, size_t dialect, bool stream, const struct speech *s)
{
    struct draft d;
    struct chat c;

    draft_init(&d);
    buf_clear(out);
    d.writer = begin_writer(&c, dialect, stream, out);
    say(&d, s);
    end_writer(&d, dialect, out);
    draft_free(&d);
}

struct streaming {
    struct jscan *scan;
    struct draft draft;
    struct chat chat;
    size_t from, to;
    struct buf out, terminal;
    bool begun;
};

static bool on_event(void *ctx, const struct sse_event *e)
{
    struct streaming *s = ctx;

    if (!e->data.p || span_is(e->data, "[DONE]"))
        return true;
    scan(s->scan, e->data);
    if (!dialect_get(four[s->from])->read_event(&s->draft, e->name, e->data, testing_target(four[s->from])))
        die("an event cannot be read");
    if (s->from == s->to && dialect_get(four[s->to])->relay(&s->chat, e->raw, e->data, s->begun, &s->out, &s->terminal) == RELAY_FAILED)
        die("an event cannot be relayed");
    s->begun = true;
    return true;
}

static double hear_stream(struct jscan *js, struct span text, size_t from, size_t to)
{
    struct streaming s = { .scan = js, .from = from, .to = to };
    const double begin = now_us();
    struct sse sse;

    buf_init(&s.out, BODY_MAX);
    buf_init(&s.terminal, BODY_MAX);
    draft_init(&s.draft);
    sse_init(&sse, BODY_MAX);
    if (from != to)
        s.draft.writer = begin_writer(&s.chat, to, true, &s.out);
    else
        chat_init(&s.chat, four[to], SPAN_LIT("{}"));
    s.chat.usage_asked = true;
    for (; text.n; text = span_skip(text, 1400))    /* as it comes in packets */
        if (sse_feed(&sse, span_first(text, 1400), on_event, &s) != SSE_OK)
            die("a stream cannot be read");
    if (from != to)
        end_writer(&s.draft, to, &s.out);
    sse_free(&sse);
    draft_free(&s.draft);
    buf_free(&s.out);
    buf_free(&s.terminal);
    return now_us() - begin;
}

static double hear_whole(struct jscan *js, struct span text, size_t from, size_t to)
{
    const double begin = now_us();
    struct chat c;
    struct draft d;
    struct buf out;

    buf_init(&out, BODY_MAX);
    draft_init(&d);
    scan(js, text);
    if (from != to)
        d.writer = begin_writer(&c, to, false, &out);
    if (!dialect_get(four[from])->read_whole(&d, text, testing_target(four[from])))
        die("an answer cannot be read");
    if (from != to)
        end_writer(&d, to, &out);
    draft_free(&d);
    buf_free(&out);
    return now_us() - begin;
}

/* ---- tables ---- */

typedef double (*measure)(struct jscan *, struct span text, size_t from, size_t to);
static struct buf scratch;     /* of `translate` */

static double ask(struct jscan *s, struct span text, size_t from, size_t to)
{
    return translate(s, text, from, to, &scratch);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Rows are who speaks, columns who listens. Each cell is repeated until it takes a millisecond or so. */
static void table(const char *title, const char *rows, struct buf texts[4], measure what)
{
    struct jscan *s = jscan_new(&jscan_default_limits, 7);
    double us[4][4][ROUNDS];

    if (!s)
        die("no memory");
    for (int r = 0; r < ROUNDS; r++)
        for (size_t i = 0; i < 4; i++)
            for (size_t j = 0; j < 4; j++) {
                double sum = 0;
                unsigned n = 0;

                for (; n == 0 || (sum < 3000 && n < 1000); n++)
                    sum += what(s, buf_span(&texts[i]), i, j);
                us[i][j][r] = sum / n;
            }
    printf("\n%s, us per KB (medians of %d rounds; rows: %s)\n  %-10s %8s", title, ROUNDS, rows, "", "KB");
    for (size_t j = 0; j < 4; j++)
        printf(" %10s", names[j]);
    for (size_t i = 0; i < 4; i++) {
        printf("\n  %-10s %8.1f", names[i], (double)texts[i].n / 1024);
        for (size_t j = 0; j < 4; j++) {
            qsort(us[i][j], ROUNDS, sizeof us[i][j][0], by_value);
            printf(" %10.2f", us[i][j][ROUNDS / 2] / ((double)texts[i].n / 1024));
        }
    }
    printf("\n");
    jscan_free(s);
}

/* ---- is it linear? ---- */

static double best_of(struct jscan *s, struct span text, size_t from, size_t to, measure what)
{
    double best = what(s, text, from, to);

    for (int i = 0; i < 2; i++) {
        const double us = what(s, text, from, to);

        best = us < best ? us : best;
    }
    return best;
}

/* The pair whose time by the byte grows most from the small texts to the large ones. */
static void growth(const char *title, struct buf small[4], struct buf large[4], measure what, const bool takes[4])
{
    struct jscan *s = jscan_new(&jscan_default_limits, 7);
    double worst = 0, longest = 0;
    size_t who = 0, whom = 0, most = 0;

    if (!s)
        die("no memory");
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 4; j++) {
            double first, second, share;

            if (!takes[i] || !takes[j])
                continue;
            first = best_of(s, buf_span(&small[i]), i, j, what);
            second = best_of(s, buf_span(&large[i]), i, j, what);
            share = second / first / ((double)large[i].n / (double)small[i].n);
            if (share > worst) {
                worst = share;
                who = i;
                whom = j;
            }
            longest = second > longest ? second : longest;
            most = large[i].n > most ? large[i].n : most;
        }
    printf("  %-42s %6.0f KB %7.1f ms   %.2f (%s to %s)\n", title, (double)most / 1024, longest / 1e3, worst, names[who], names[whom]);
    jscan_free(s);
}

static void growth_of_requests(struct buf small[4], struct buf large[4])
{
    static const struct { const char *title; struct shape small, large; bool gemini; } rows[] = {
        { "turns, 700 to 5600", { .turns = 700 }, { .turns = 5600 }, true },
        { "calls in a row, 100 to 800", { .calls = 100, .tools = 1 }, { .calls = 800, .tools = 1 }, true },
        /* Gemini's reading takes 1024 of them */
        { "calls in a row, 600 to 4800", { .calls = 600, .tools = 1 }, { .calls = 4800, .tools = 1 }, false },
        { "calls with names of their own, 600 to 4800", { .calls = 600, .own_names = true }, { .calls = 4800, .own_names = true }, false },
        { "texts in one turn, 2000 to 16000", { .parts = 2000 }, { .parts = 16000 }, true },
        { "tools, 16 to 128", { .tools = 16 }, { .tools = 128 }, true },
        { "a text of 4 MB, against many small", { .turns = 2000 }, { .long_text = true }, true },
    };

    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        for (size_t i = 0; i < 4; i++) {
            if (i == 3 && !rows[k].gemini)
                continue;
            make_body(&small[i], i, &rows[k].small);
            make_body(&large[i], i, &rows[k].large);
        }
        growth(rows[k].title, small, large, ask, (const bool[4]){ true, true, true, rows[k].gemini });
    }
}

static void growth_of_answers(struct buf small[4], struct buf large[4])
{
    static const struct { const char *title; enum mixture mixture; unsigned small, large; } rows[] = {
        { "stream, pieces of text, 2000 to 16000", IN_A_ROW, 2000, 16000 },
        { "stream, pieces of two calls in turns", ALTERNATING_CALLS, 2000, 16000 },
        { "stream, text and reasoning in turns", ALTERNATING_KINDS, 1000, 8000 },
    };

    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        for (size_t i = 0; i < 4; i++) {
            make_answer(&small[i], i, true, &(struct speech){ rows[k].small, rows[k].mixture });
            make_answer(&large[i], i, true, &(struct speech){ rows[k].large, rows[k].mixture });
        }
        growth(rows[k].title, small, large, hear_stream, (const bool[4]){ true, true, true, true });
    }
}

int main(void)
{
    struct buf texts[4], larger[4];

    buf_init(&scratch, BODY_MAX);
    for (size_t i = 0; i < 4; i++) {
        buf_init(&texts[i], BODY_MAX);
        buf_init(&larger[i], BODY_MAX);
    }
    for (size_t i = 0; i < 4; i++)
        make_body(&texts[i], i, &(struct shape){ .turns = 20, .calls = 4, .tools = 8 });
    table("Requests: 20 turns, 8 tools", "the caller; columns: the provider", texts, ask);
    for (size_t i = 0; i < 4; i++)
        make_body(&texts[i], i, &(struct shape){ .turns = 2000, .calls = 20, .tools = 40 });
    table("Requests: 2000 turns, 40 tools", "the caller; columns: the provider", texts, ask);
    for (size_t i = 0; i < 4; i++)
        make_answer(&texts[i], i, false, &(struct speech){ .pieces = PIECES });
    table("Whole answers", "the provider; columns: the caller", texts, hear_whole);
    for (size_t i = 0; i < 4; i++)
        make_answer(&texts[i], i, true, &(struct speech){ .pieces = PIECES });
    table("Streams", "the provider; columns: the caller", texts, hear_stream);

    printf("\nGrowth: the largest text, its longest translation; time by the byte against the smaller text's, worst pair (1: linear)\n");
    growth_of_requests(texts, larger);
    growth_of_answers(texts, larger);
    for (size_t i = 0; i < 4; i++) {
        buf_free(&texts[i]);
        buf_free(&larger[i]);
    }
    buf_free(&scratch);
    return 0;
}
