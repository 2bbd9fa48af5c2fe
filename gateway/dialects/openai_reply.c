/* openai_reply.c - another dialect's answer as a caller of Chat Completions expects it: chunks exactly as OpenAI sends them, or
 * one whole completion. Texts go out raw, as the provider wrote them. Source: wire/openai-chat sections 5 to 8,
 * wire/translation sections 6, 7 and 9. */
#include <stdlib.h>

#include "base/jwrite.h"
#include "gateway/dialects/openai.h"

#define PREFIX_MAX 2048        /* of a chunk, up to its choices */
#define CHOICES_MAX 128

struct choice {
    bool begun;                /* its role has gone out */
    struct buf content, refusal, reasoning, annotations, logprobs;    /* of a whole answer: raw texts, and elements of lists */
};

struct openai_writer {
    struct writer base;        /* first */
    bool stream, usage_asked, reasoning;
    struct buf prefix;         /* data: {"id":...,"choices":[ */
    struct choice *choices;
    size_t n_choices;
    bool called[DRAFT_CALLS_MAX], argued[DRAFT_CALLS_MAX];    /* of choice 0 */
};

/* ---- life ---- */

static void add_head(const struct reply_info *info, const char *object, struct buf *b)
{
    jw_key(b, "id");
    buf_add_str(b, "\"chatcmpl-");
    jw_escaped(b, info->id);
    buf_add_char(b, '"');
    jw_string(b, "object", span_str(object));
    jw_int(b, "created", info->created_s);
    jw_string(b, "model", info->model);
}

struct writer *openai_writer_new(const struct reply_info *info, struct buf *out)
{
    struct openai_writer *w = calloc(1, sizeof *w);

    if (!w)
        return NULL;
    w->base = (struct writer){ .dialect = &openai_dialect, .info = *info, .out = out };
    w->stream = info->chat->stream;
    w->usage_asked = info->chat->usage_asked;
    w->reasoning = info->chat->show_reasoning == TRI_YES;
    buf_init(&w->prefix, PREFIX_MAX);
    buf_add_str(&w->prefix, "data: {");
    add_head(info, "chat.completion.chunk", &w->prefix);
    buf_add_str(&w->prefix, ",\"choices\":[");
    if (buf_ok(&w->prefix))
        return &w->base;
    openai_writer_free(&w->base);
    return NULL;
}

void openai_writer_free(struct writer *base)
{
    struct openai_writer *w = (struct openai_writer *)base;

    if (!w)
        return;
    for (size_t i = 0; i < w->n_choices; i++) {
        struct choice *c = &w->choices[i];

        buf_free(&c->content);
        buf_free(&c->refusal);
        buf_free(&c->reasoning);
        buf_free(&c->annotations);
        buf_free(&c->logprobs);
    }
    free(w->choices);
    buf_free(&w->prefix);
    free(w);
}

static struct choice *choice_at(struct openai_writer *w, unsigned index)
{
    struct choice *more;

    if (index >= CHOICES_MAX)
        return NULL;
    if (index < w->n_choices)
        return &w->choices[index];
    more = realloc(w->choices, ((size_t)index + 1) * sizeof *more);
    if (!more)
        return NULL;
    w->choices = more;
    for (; w->n_choices <= index; w->n_choices++) {
        struct choice *c = &w->choices[w->n_choices];

        *c = (struct choice){ .begun = false };
        buf_init(&c->content, DRAFT_BYTES_MAX);
        buf_init(&c->refusal, DRAFT_BYTES_MAX);
        buf_init(&c->reasoning, DRAFT_BYTES_MAX);
        buf_init(&c->annotations, DRAFT_BYTES_MAX);
        buf_init(&c->logprobs, DRAFT_BYTES_MAX);
    }
    return &w->choices[index];
}

/* ---- chunks ---- */

/* Up to the inside of "delta". */
static void begin_chunk(struct openai_writer *w, unsigned choice)
{
    struct buf *b = w->base.out;

    buf_add_span(b, buf_span(&w->prefix));
    buf_add_str(b, "{\"index\":");
    buf_add_int(b, choice);
    buf_add_str(b, ",\"delta\":{");
}

/* `logprobs` and `finish` may be NULL. */
static bool end_chunk(struct openai_writer *w, const struct span *logprobs, const char *finish)
{
    struct buf *b = w->base.out;

    buf_add_str(b, "},\"logprobs\":");
    if (logprobs) {
        buf_add_str(b, "{\"content\":");
        jw_line(b, *logprobs);    /* as another host wrote it: a line end would end the event */
        buf_add_str(b, ",\"refusal\":null}");
    } else {
        buf_add_str(b, "null");
    }
    buf_add_str(b, ",\"finish_reason\":");
    if (finish) {
        buf_add_char(b, '"');
        buf_add_str(b, finish);
        buf_add_char(b, '"');
    } else {
        buf_add_str(b, "null");
    }
    buf_add_str(b, w->usage_asked ? "}],\"usage\":null}\n\n" : "}]}\n\n");
    return buf_ok(b);
}

static bool say_role(struct openai_writer *w, unsigned choice, bool calls)
{
    struct choice *c = choice_at(w, choice);

    if (!c)
        return false;
    if (c->begun)
        return true;
    c->begun = true;
    begin_chunk(w, choice);
    buf_add_str(w->base.out, "\"role\":\"assistant\",\"content\":");
    buf_add_str(w->base.out, calls ? "null" : "\"\"");
    buf_add_str(w->base.out, ",\"refusal\":null");
    return end_chunk(w, NULL, NULL);
}

static bool say_text(struct openai_writer *w, unsigned choice, const char *member, struct span raw)
{
    begin_chunk(w, choice);
    jw_raw(w->base.out, member, raw);
    return end_chunk(w, NULL, NULL);
}

static void add_function(struct buf *b, const struct piece *p)
{
    jw_object(b, p->custom ? "custom" : "function");
    if (p->kind == PIECE_CALL)
        jw_string(b, "name", p->name);
    jw_raw(b, p->custom ? "input" : "arguments", p->kind == PIECE_CALL ? SPAN_LIT("") : p->raw);
    jw_close(b, '}');
}

static bool say_call(struct openai_writer *w, const struct piece *p)
{
    struct buf *b = w->base.out;

    begin_chunk(w, p->choice);
    jw_array(b, "tool_calls");
    jw_object(b, NULL);
    jw_int(b, "index", p->call);
    if (p->kind == PIECE_CALL) {
        jw_string(b, "id", p->id);
        jw_string(b, "type", p->custom ? SPAN_LIT("custom") : SPAN_LIT("function"));
    }
    add_function(b, p);
    jw_close(b, '}');
    jw_close(b, ']');
    return end_chunk(w, NULL, NULL);
}

static void add_citation(struct buf *b, const struct piece *p)
{
    jw_object(b, NULL);
    jw_string(b, "type", SPAN_LIT("url_citation"));
    jw_object(b, "url_citation");
    jw_int(b, "start_index", p->from < 0 ? 0 : p->from);
    jw_int(b, "end_index", p->to < 0 ? 0 : p->to);
    jw_raw(b, "title", p->title_raw.p ? p->title_raw : SPAN_LIT(""));
    jw_raw(b, "url", p->raw);
    jw_close(b, '}');
    jw_close(b, '}');
}

static bool say_citation(struct openai_writer *w, const struct piece *p)
{
    begin_chunk(w, p->choice);
    jw_array(w->base.out, "annotations");
    add_citation(w->base.out, p);
    jw_close(w->base.out, ']');
    return end_chunk(w, NULL, NULL);
}

static bool say_piece(struct openai_writer *w, const struct piece *p)
{
    if (!say_role(w, p->choice, p->kind == PIECE_CALL))
        return false;
    switch (p->kind) {
    case PIECE_TEXT: return say_text(w, p->choice, "content", p->raw);
    case PIECE_REFUSAL: return say_text(w, p->choice, "refusal", p->raw);
    case PIECE_REASONING: return say_text(w, p->choice, "reasoning_content", p->raw);
    case PIECE_CALL:
    case PIECE_ARGUMENTS: return say_call(w, p);
    case PIECE_CITATION: return say_citation(w, p);
    case PIECE_LOGPROBS:
        begin_chunk(w, p->choice);
        return end_chunk(w, &p->json, NULL);
    case PIECE_SIGNATURE:
    case PIECE_REDACTED: break;
    }
    return true;
}

/* ---- a whole answer: gathered ---- */

/* Elements of one list behind those of another. */
static bool add_elements(struct buf *b, struct span list)
{
    for (struct jiter it = jiter_begin(list); jiter_next(&it);)
        jw_json(b, NULL, it.value);
    return buf_ok(b);
}

static bool gather(struct openai_writer *w, const struct piece *p)
{
    struct choice *c = choice_at(w, p->choice);

    if (!c)
        return false;
    switch (p->kind) {
    case PIECE_TEXT: return buf_add_span(&c->content, p->raw);
    case PIECE_REFUSAL: return buf_add_span(&c->refusal, p->raw);
    case PIECE_REASONING: return buf_add_span(&c->reasoning, p->raw);
    case PIECE_CITATION: add_citation(&c->annotations, p); return buf_ok(&c->annotations);
    case PIECE_LOGPROBS: return add_elements(&c->logprobs, p->json);
    default: return true;    /* the draft has the calls */
    }
}

bool openai_writer_piece(struct writer *base, const struct piece *p)
{
    struct openai_writer *w = (struct openai_writer *)base;

    if (p->kind == PIECE_SIGNATURE || p->kind == PIECE_REDACTED || (p->kind == PIECE_REASONING && !w->reasoning))
        return true;    /* no place for them here; request/memory.h remembers */
    if (p->choice == 0 && p->call >= 0 && p->call < DRAFT_CALLS_MAX) {
        w->called[p->call] = true;
        w->argued[p->call] |= p->kind == PIECE_ARGUMENTS || p->custom;
    }
    return w->stream ? say_piece(w, p) : gather(w, p);
}

/* ---- the end ---- */

/* One that a host never named is none: nobody could answer it. */
static bool has_calls(const struct draft *d)
{
    for (size_t i = 0; i < d->n_calls; i++)
        if (d->calls[i].begun)
            return true;
    return false;
}

/* Of choice 0; another has no calls, and no reason of its own in the draft. */
static const char *finish_of(const struct draft *d, unsigned choice)
{
    if (choice == 0 && has_calls(d) && (d->finish == FINISH_STOP || d->finish == FINISH_TOOL_CALLS))
        return "tool_calls";
    switch (d->finish) {
    case FINISH_LENGTH: return "length";
    case FINISH_FILTERED: return "content_filter";
    default: return "stop";
    }
}

void openai_write_usage(const struct usage *u, struct buf *b)
{
    const int64_t prompt = usage_prompt(u), output = u->output + u->output_audio + u->output_image;

    jw_object(b, "usage");
    jw_int(b, "prompt_tokens", prompt);
    jw_int(b, "completion_tokens", output);
    jw_int(b, "total_tokens", prompt + output);
    jw_object(b, "prompt_tokens_details");
    jw_int(b, "cached_tokens", u->cache_read);
    if (u->cache_write_5m || u->cache_write_1h)
        jw_int(b, "cache_write_tokens", u->cache_write_5m + u->cache_write_1h);
    jw_int(b, "audio_tokens", u->input_audio);
    jw_close(b, '}');
    jw_object(b, "completion_tokens_details");
    jw_int(b, "reasoning_tokens", u->reasoning);
    jw_int(b, "audio_tokens", u->output_audio);
    jw_int(b, "accepted_prediction_tokens", 0);
    jw_int(b, "rejected_prediction_tokens", 0);
    jw_close(b, '}');
    jw_close(b, '}');
}

/* Clients parse the arguments: of a call without any they are an empty object (trap 2). */
static bool say_empty_arguments(struct openai_writer *w)
{
    for (int i = 0; i < DRAFT_CALLS_MAX; i++) {
        const struct piece p = { .kind = PIECE_ARGUMENTS, .call = i, .raw = SPAN_LIT("{}") };

        if (w->called[i] && !w->argued[i] && !say_call(w, &p))
            return false;
    }
    return true;
}

static bool end_stream(struct openai_writer *w, const struct draft *d, struct buf *terminal)
{
    struct buf *b = w->base.out;

    if (!say_role(w, 0, false) || !say_empty_arguments(w))
        return false;
    for (unsigned i = 0; i < w->n_choices; i++) {
        if (!w->choices[i].begun)
            continue;
        begin_chunk(w, i);
        if (!end_chunk(w, NULL, finish_of(d, i)))
            return false;
    }
    if (w->usage_asked && d->has_usage) {
        buf_add_span(b, buf_span(&w->prefix));
        buf_add_char(b, ']');
        openai_write_usage(&d->usage, b);
        buf_add_str(b, "}\n\n");
    }
    return buf_ok(b) && buf_add_str(terminal, "data: [DONE]\n\n");
}

static void write_calls(const struct draft *d, struct buf *b)
{
    jw_array(b, "tool_calls");
    for (size_t i = 0; i < d->n_calls; i++) {
        const struct draft_call *c = &d->calls[i];

        if (!c->begun)
            continue;
        jw_object(b, NULL);
        jw_string(b, "id", buf_span(&c->id));
        jw_string(b, "type", c->custom ? SPAN_LIT("custom") : SPAN_LIT("function"));
        jw_object(b, c->custom ? "custom" : "function");
        jw_string(b, "name", buf_span(&c->name));
        jw_string(b, c->custom ? "input" : "arguments", c->arguments.n || c->custom ? buf_span(&c->arguments) : SPAN_LIT("{}"));
        jw_close(b, '}');
        jw_close(b, '}');
    }
    jw_close(b, ']');
}

static void write_message(const struct openai_writer *w, const struct choice *c, const struct draft *d, struct buf *b)
{
    const bool calls = c == w->choices && has_calls(d);

    jw_object(b, "message");
    jw_string(b, "role", SPAN_LIT("assistant"));
    if (c->content.n || !(calls || c->refusal.n))
        jw_raw(b, "content", buf_span(&c->content));
    else
        jw_null(b, "content");
    if (c->reasoning.n)
        jw_raw(b, "reasoning_content", buf_span(&c->reasoning));
    if (c->refusal.n)
        jw_raw(b, "refusal", buf_span(&c->refusal));
    else
        jw_null(b, "refusal");
    jw_array(b, "annotations");
    buf_add_span(b, buf_span(&c->annotations));
    jw_close(b, ']');
    if (calls)
        write_calls(d, b);
    jw_close(b, '}');
}

static void write_choice(const struct openai_writer *w, unsigned i, const struct draft *d, struct buf *b)
{
    const struct choice *c = &w->choices[i];

    jw_object(b, NULL);
    jw_int(b, "index", i);
    write_message(w, c, d, b);
    if (c->logprobs.n) {
        jw_object(b, "logprobs");
        jw_array(b, "content");
        buf_add_span(b, buf_span(&c->logprobs));
        jw_close(b, ']');
        jw_null(b, "refusal");
        jw_close(b, '}');
    } else {
        jw_null(b, "logprobs");
    }
    jw_string(b, "finish_reason", span_str(finish_of(d, i)));
    jw_close(b, '}');
}

static bool end_whole(struct openai_writer *w, const struct draft *d)
{
    struct buf *b = w->base.out;

    if (!choice_at(w, 0))
        return false;
    jw_object(b, NULL);
    add_head(&w->base.info, "chat.completion", b);
    jw_array(b, "choices");
    for (unsigned i = 0; i < w->n_choices; i++)
        write_choice(w, i, d, b);
    jw_close(b, ']');
    if (d->has_usage)
        openai_write_usage(&d->usage, b);
    jw_close(b, '}');
    return buf_ok(b);
}

bool openai_writer_end(struct writer *base, const struct draft *d, struct buf *terminal)
{
    struct openai_writer *w = (struct openai_writer *)base;

    return w->stream ? end_stream(w, d, terminal) : end_whole(w, d);
}

/* ---- faults ---- */

int openai_fault_status(const struct fault *f)
{
    return f->status;
}

void openai_write_fault(const struct fault *f, struct span request_id, struct buf *out)
{
    (void)request_id;    /* it is in the head */
    fault_render_openai(f, out);
}

void openai_write_stream_fault(const struct fault *f, struct span request_id, const struct chat *chat, bool begun, struct buf *out)
{
    (void)request_id;
    (void)chat;
    (void)begun;
    buf_add_str(out, "data: ");
    fault_render_openai(f, out);
    buf_add_str(out, "\n\n");
}
