/* gemini_reply.c - an answer in the neutral form as a caller's GenerateContentResponse: one document, server-sent events, or one
 * array written element by element.
 *
 * Texts go out as they come. Function calls go out whole and last, from the draft: no client joins pieces of them, and in other
 * dialects pieces of several may come in turns (BerriAI/litellm#25836). Usage, the finish reason and the calls are in the last
 * element. A document holds the very parts that the stream adds up to. */
#include <stdlib.h>

#include "base/jscan.h"
#include "base/jwrite.h"
#include "gateway/dialects/gemini_table.h"

#define CHOICES_MAX 8          /* Gemini's candidateCount */
#define LINE_BYTES_MAX (DRAFT_BYTES_MAX + 65536u)

enum run { RUN_NONE, RUN_TEXT, RUN_THOUGHT };

struct choice {
    struct buf parts;          /* of a document: its elements so far, the text of the last one still open */
    enum run open;
    struct buf chosen, top;    /* of a document: elements of logprobsResult */
};

struct gemini_writer {
    struct writer w;
    struct choice choices[CHOICES_MAX];
    unsigned n_choices;        /* that have to be in the last element */
    struct buf *signatures;    /* [n_signatures], by call: raw */
    size_t n_signatures;
    struct buf sources;        /* elements of groundingChunks */
    struct buf tail;           /* what ends every element: model and id */
    bool begun;                /* an element has gone out */
};

/* ---- framing ---- */

static bool streams(const struct gemini_writer *g)
{
    return g->w.info.chat->stream;
}

static void open_element(struct gemini_writer *g)
{
    if (!streams(g))
        return;
    buf_add_str(g->w.out, !g->w.info.chat->stream_array ? "data: " : g->begun ? ",\r\n" : "[");
    g->begun = true;
}

static void close_element(struct gemini_writer *g)
{
    if (streams(g) && !g->w.info.chat->stream_array)
        buf_add_str(g->w.out, "\r\n\r\n");
}

/* ---- parts ---- */

static void close_run(struct choice *c)
{
    if (c->open != RUN_NONE)
        buf_add_str(&c->parts, c->open == RUN_THOUGHT ? "\",\"thought\":true}" : "\"}");
    c->open = RUN_NONE;
}

static void open_text(struct buf *b)
{
    buf_add_str(b, b->n && b->p[b->n - 1] == '}' ? ",{\"text\":\"" : "{\"text\":\"");
}

/* Of a document: behind the text that is open where it is of the same kind. */
static void gather_text(struct choice *c, enum run kind, struct span raw)
{
    if (c->open != kind) {
        close_run(c);
        open_text(&c->parts);
        c->open = kind;
    }
    buf_add_span(&c->parts, raw);
}

/* An element with one candidate; the second half comes behind its content. */
static void open_candidate(struct buf *b)
{
    buf_add_str(b, "{\"candidates\":[{\"content\":{\"parts\":[");
}

static void close_candidate(struct gemini_writer *g, unsigned choice)
{
    buf_add_str(g->w.out, ",\"index\":");
    buf_add_int(g->w.out, choice);
    buf_add_str(g->w.out, "}]");
    buf_add_span(g->w.out, buf_span(&g->tail));
    buf_add_char(g->w.out, '}');
    close_element(g);
}

static void stream_text(struct gemini_writer *g, unsigned choice, enum run kind, struct span raw, struct span signature)
{
    struct buf *out = g->w.out;

    open_element(g);
    open_candidate(out);
    buf_add_str(out, "{\"text\":\"");
    buf_add_span(out, raw);
    buf_add_char(out, '"');
    if (kind == RUN_THOUGHT)
        buf_add_str(out, ",\"thought\":true");
    if (signature.n) {
        buf_add_str(out, ",\"thoughtSignature\":\"");
        buf_add_span(out, signature);
        buf_add_char(out, '"');
    }
    buf_add_str(out, "}],\"role\":\"model\"}");
    close_candidate(g, choice);
}

static void put_text(struct gemini_writer *g, unsigned choice, enum run kind, struct span raw)
{
    if (streams(g))
        stream_text(g, choice, kind, raw, SPAN_NONE);
    else
        gather_text(&g->choices[choice], kind, raw);
}

/* Of a text: in a part of its own, as Google's last chunk has it. */
static void put_signature(struct gemini_writer *g, unsigned choice, struct span raw)
{
    struct choice *c = &g->choices[choice];

    if (streams(g)) {
        stream_text(g, choice, RUN_TEXT, SPAN_LIT(""), raw);
        return;
    }
    close_run(c);
    open_text(&c->parts);
    buf_add_str(&c->parts, "\",\"thoughtSignature\":\"");
    buf_add_span(&c->parts, raw);
    buf_add_str(&c->parts, "\"}");
}

/* Of a call: waits for it. */
static bool keep_signature(struct gemini_writer *g, size_t call, struct span raw)
{
    if (call >= DRAFT_CALLS_MAX)
        return true;
    if (call >= g->n_signatures) {
        struct buf *more = realloc(g->signatures, (call + 1) * sizeof *more);

        if (!more)
            return false;
        g->signatures = more;
        for (; g->n_signatures <= call; g->n_signatures++)
            buf_init(&g->signatures[g->n_signatures], 1u << 20);
    }
    return buf_add_span(&g->signatures[call], raw);
}

/* ---- log probabilities: OpenAI's {token, logprob} into Google's {token, logProbability} ---- */

static void write_token(struct buf *b, struct span token)
{
    const struct span text = jval_raw(jval_get(token, "token")), probability = jval_get(token, "logprob");

    jw_object(b, NULL);
    jw_raw(b, "token", text.p ? text : SPAN_LIT(""));
    jw_json(b, "logProbability", jval_type(probability) == JTYPE_NUMBER ? probability : SPAN_LIT("0"));
    jw_close(b, '}');
}

static void add_logprobs(struct buf *chosen, struct buf *top, struct span list)
{
    for (struct jiter it = jiter_begin(list); jiter_next(&it);) {
        write_token(chosen, it.value);
        jw_object(top, NULL);
        jw_array(top, "candidates");
        for (struct jiter t = jiter_begin(jval_get(it.value, "top_logprobs")); jiter_next(&t);)
            write_token(top, t.value);
        jw_close(top, ']');
        jw_close(top, '}');
    }
}

static void write_logprobs(struct buf *out, struct choice *c)
{
    if (c->chosen.n == 0)
        return;
    buf_add_str(out, ",\"logprobsResult\":{\"chosenCandidates\":[");
    buf_add_span(out, buf_span(&c->chosen));
    buf_add_str(out, "],\"topCandidates\":[");
    buf_add_span(out, buf_span(&c->top));
    buf_add_str(out, "]}");
    buf_clear(&c->chosen);
    buf_clear(&c->top);
}

static void put_logprobs(struct gemini_writer *g, unsigned choice, struct span list)
{
    struct choice *c = &g->choices[choice];

    add_logprobs(&c->chosen, &c->top, list);
    if (!streams(g))
        return;
    open_element(g);
    open_candidate(g->w.out);
    buf_add_str(g->w.out, "{\"text\":\"\"}],\"role\":\"model\"}");
    write_logprobs(g->w.out, c);
    close_candidate(g, choice);
}

/* ---- the writer ---- */

struct writer *gemini_writer_new(const struct reply_info *info, struct buf *out)
{
    struct gemini_writer *g = calloc(1, sizeof *g);

    if (!g)
        return NULL;
    g->w = (struct writer){ .dialect = &gemini_dialect, .info = *info, .out = out };
    g->n_choices = 1;
    for (size_t i = 0; i < CHOICES_MAX; i++) {
        buf_init(&g->choices[i].parts, LINE_BYTES_MAX);
        buf_init(&g->choices[i].chosen, LINE_BYTES_MAX);
        buf_init(&g->choices[i].top, LINE_BYTES_MAX);
    }
    buf_init(&g->sources, 1u << 20);
    buf_init(&g->tail, 4096);
    buf_add_str(&g->tail, ",\"modelVersion\":");
    buf_add_json(&g->tail, info->model);
    buf_add_str(&g->tail, ",\"responseId\":");
    buf_add_json(&g->tail, info->id);
    return &g->w;
}

void gemini_writer_free(struct writer *w)
{
    struct gemini_writer *g = (struct gemini_writer *)w;

    if (!g)
        return;
    for (size_t i = 0; i < CHOICES_MAX; i++) {
        buf_free(&g->choices[i].parts);
        buf_free(&g->choices[i].chosen);
        buf_free(&g->choices[i].top);
    }
    for (size_t i = 0; i < g->n_signatures; i++)
        buf_free(&g->signatures[i]);
    free(g->signatures);
    buf_free(&g->sources);
    buf_free(&g->tail);
    free(g);
}

static void put_source(struct gemini_writer *g, const struct piece *p)
{
    jw_object(&g->sources, NULL);
    jw_object(&g->sources, "web");
    jw_raw(&g->sources, "uri", p->raw);
    jw_raw_if(&g->sources, "title", p->title_raw);
    jw_close(&g->sources, '}');
    jw_close(&g->sources, '}');
}

bool gemini_writer_piece(struct writer *w, const struct piece *p)
{
    struct gemini_writer *g = (struct gemini_writer *)w;

    if (p->choice >= CHOICES_MAX)    /* more than can be asked for in this dialect */
        return true;
    if (p->choice >= g->n_choices)
        g->n_choices = p->choice + 1;
    switch (p->kind) {
    case PIECE_TEXT: case PIECE_REFUSAL:
        put_text(g, p->choice, RUN_TEXT, p->raw);
        break;
    case PIECE_REASONING:
        if (w->info.chat->show_reasoning == TRI_YES)
            put_text(g, p->choice, RUN_THOUGHT, p->raw);
        break;
    case PIECE_SIGNATURE:
        if (p->family == FAMILY_GEMINI && p->call < 0)
            put_signature(g, p->choice, p->raw);
        else if (p->family == FAMILY_GEMINI && !keep_signature(g, (size_t)p->call, p->raw))
            return false;
        break;
    case PIECE_CITATION:
        if (p->choice == 0)
            put_source(g, p);
        break;
    case PIECE_LOGPROBS:
        put_logprobs(g, p->choice, p->json);
        break;
    case PIECE_REDACTED: case PIECE_CALL: case PIECE_ARGUMENTS:    /* calls: from the draft, at the end */
        break;
    }
    return buf_ok(w->out) && buf_ok(&g->choices[p->choice].parts);
}

/* ---- the end ---- */

static bool is_object(struct span text)
{
    struct jscan *s = jscan_new(&jscan_default_limits, 1);
    bool ok;

    if (!s)
        return false;
    ok = jscan_feed(s, text) != JSCAN_BAD && jscan_end(s) == JSCAN_DONE && jval_type(text) == JTYPE_OBJECT;
    jscan_free(s);
    return ok;
}

/* Arguments that are no object fail the route's checks; where there are none, they are shown as they came. */
static void write_arguments(struct buf *out, struct span text)
{
    if (text.n && !is_object(text)) {
        buf_add_str(out, "{\"_raw\":");
        buf_add_json(out, text);
        buf_add_char(out, '}');
    } else if (text.n) {
        jw_line(out, text);
    } else {
        buf_add_str(out, "{}");
    }
}

/* Google refuses a history whose first call of a step has no signature. What answers here is another model, so the first call
 * gets the constant that stands for none; it comes back, and means as much to us (gemini_contents.c). */
static void write_calls(const struct gemini_writer *g, const struct draft *d, struct buf *out)
{
    bool first = true;

    for (size_t i = 0; i < d->n_calls; i++) {
        const struct draft_call *c = &d->calls[i];

        if (!c->begun)
            continue;
        if (out->p[out->n - 1] == '}')
            buf_add_char(out, ',');
        buf_add_str(out, "{\"functionCall\":{\"id\":");
        buf_add_json(out, buf_span(&c->id));
        buf_add_str(out, ",\"name\":");
        buf_add_json(out, buf_span(&c->name));
        buf_add_str(out, ",\"args\":");
        write_arguments(out, buf_span(&c->arguments));
        buf_add_char(out, '}');
        if (i < g->n_signatures && g->signatures[i].n) {
            buf_add_str(out, ",\"thoughtSignature\":\"");
            buf_add_span(out, buf_span(&g->signatures[i]));
            buf_add_char(out, '"');
        } else if (first) {
            buf_add_str(out, ",\"thoughtSignature\":\"" GEMINI_NO_SIGNATURE_64 "\"");
        }
        first = false;
        buf_add_char(out, '}');
    }
}

static const char *finish_word(enum finish f)
{
    switch (f) {
    case FINISH_NONE: case FINISH_STOP: case FINISH_TOOL_CALLS: break;
    case FINISH_LENGTH: return "MAX_TOKENS";
    case FINISH_FILTERED: return "SAFETY";
    case FINISH_INTERRUPTED: case FINISH_OTHER: return "OTHER";
    }
    return "STOP";
}

static void write_last_candidate(struct gemini_writer *g, const struct draft *d, unsigned i)
{
    struct choice *c = &g->choices[i];
    struct buf *out = g->w.out;

    buf_add_str(out, i ? ",{\"content\":{\"parts\":[" : "{\"content\":{\"parts\":[");
    close_run(c);
    buf_add_span(out, buf_span(&c->parts));
    if (i == 0 && buf_ok(out))
        write_calls(g, d, out);
    if (buf_ok(out) && out->p[out->n - 1] == '[')    /* clients keep no history of a content without parts */
        buf_add_str(out, "{\"text\":\"\"}");
    buf_add_str(out, "],\"role\":\"model\"},\"finishReason\":\"");
    buf_add_str(out, finish_word(d->finish));
    buf_add_str(out, "\",\"index\":");
    buf_add_int(out, i);
    if (i == 0 && g->sources.n) {
        buf_add_str(out, ",\"groundingMetadata\":{\"groundingChunks\":[");
        buf_add_span(out, buf_span(&g->sources));
        buf_add_str(out, "]}");
    }
    write_logprobs(out, c);
    buf_add_char(out, '}');
}

/* Tokens by modality, where some are of another than text: no counter is in the reader's way otherwise. */
static void write_details(struct buf *out, const char *name, int64_t text, int64_t audio, int64_t image)
{
    const struct { const char *modality; int64_t n; } rows[] = { { "TEXT", text }, { "AUDIO", audio }, { "IMAGE", image } };

    if (audio == 0 && image == 0)
        return;
    jw_array(out, name);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].n) {
            jw_object(out, NULL);
            jw_string(out, "modality", span_str(rows[i].modality));
            jw_int(out, "tokenCount", rows[i].n);
            jw_close(out, '}');
        }
    jw_close(out, ']');
}

/* Back to Google's counters: cached and written within the prompt, thoughts beside the candidates. */
static void write_usage(struct buf *out, const struct draft *d)
{
    const struct usage *u = &d->usage;
    const int64_t prompt = usage_prompt(u), visible = u->output - u->reasoning;
    const int64_t candidates = visible + u->output_audio + u->output_image;

    if (!d->has_usage)
        return;
    buf_add_str(out, ",\"usageMetadata\":{");
    jw_int(out, "promptTokenCount", prompt);
    if (u->cache_read)
        jw_int(out, "cachedContentTokenCount", u->cache_read);
    jw_int(out, "candidatesTokenCount", candidates);
    if (u->reasoning)
        jw_int(out, "thoughtsTokenCount", u->reasoning);
    jw_int(out, "totalTokenCount", prompt + candidates + u->reasoning);
    write_details(out, "promptTokensDetails", prompt - u->input_audio - u->input_image, u->input_audio, u->input_image);
    write_details(out, "candidatesTokensDetails", visible, u->output_audio, u->output_image);
    jw_close(out, '}');
}

bool gemini_writer_end(struct writer *w, const struct draft *d, struct buf *terminal)
{
    struct gemini_writer *g = (struct gemini_writer *)w;
    struct buf *out = w->out;

    open_element(g);
    buf_add_str(out, "{\"candidates\":[");
    for (unsigned i = 0; i < g->n_choices; i++)
        write_last_candidate(g, d, i);
    buf_add_char(out, ']');
    write_usage(out, d);
    buf_add_span(out, buf_span(&g->tail));
    buf_add_char(out, '}');
    close_element(g);
    if (streams(g) && w->info.chat->stream_array)
        buf_add_char(terminal, ']');
    for (unsigned i = 0; i < g->n_choices; i++)
        if (!buf_ok(&g->choices[i].parts) || !buf_ok(&g->choices[i].chosen) || !buf_ok(&g->choices[i].top))
            return false;
    return buf_ok(out) && buf_ok(&g->sources) && buf_ok(&g->tail);
}
