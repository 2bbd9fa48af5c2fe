/* openai_answer.c - reads the answers of hosts of the OpenAI dialect by spans, and relays them to callers of it. Tolerant of
 * what compatible hosts send, strict about what it counts. Wire facts: openai-chat sections 5 to 8, deepseek-and-compatible
 * sections A to E; what a host does otherwise is in its quirks where it must be known beforehand. */
#include <stdio.h>
#include <stdlib.h>

#include "gateway/dialects/openai.h"
#include "gateway/dialects/openai_think.h"
#include "gateway/dialects/reading.h"

/* What one event leaves for the next (draft.reader_block). */
struct reader {
    struct openai_think think;
    unsigned n_calls;                              /* of choice 0, in the order of their appearance */
    int64_t index[DRAFT_CALLS_MAX];                /* of each, as the host counts; -1: it does not */
    bool named[DRAFT_CALLS_MAX], argued[DRAFT_CALLS_MAX];    /* a name has come, arguments have */
    struct openai_doubled doubled[DRAFT_CALLS_MAX];
};

static struct reader *reader_of(struct draft *d)
{
    if (!d->reader_block)
        d->reader_block = calloc(1, sizeof(struct reader));
    if (!d->reader_block)
        d->failed = true;
    return d->reader_block;
}

/* ---- usage: inclusive counters of the dialect to disjoint ones ---- */

#define COUNT_MAX (INT64_MAX / 8)    /* no sum of a few leaves 64 bits; nobody believes it either (request.c) */

static bool count_of(struct span v, int64_t *out)
{
    if (jval_type(v) != JTYPE_NUMBER || !jval_int(v, out))
        return false;
    if (*out > COUNT_MAX)
        *out = COUNT_MAX;
    return true;
}

static int64_t count_or_0(struct span obj, const char *name)
{
    int64_t n = 0;

    return count_of(jval_get(obj, name), &n) && n > 0 ? n : 0;
}

enum { U_PROMPT, U_OUTPUT, U_TOTAL, U_PROMPT_DETAILS, U_OUTPUT_DETAILS, U_HIT, U_CACHED, U_OTHER_DETAILS, U_MEMBERS };

/* A hit/miss pair is DeepSeek's own and goes before cached_tokens (section A4); Mistral has two more places (D). */
static int64_t cached_of(const struct span m[U_MEMBERS])
{
    int64_t n;

    if (count_of(m[U_HIT], &n) && n >= 0)
        return n;
    n = count_or_0(m[U_PROMPT_DETAILS], "cached_tokens");
    if (n == 0)
        n = count_or_0(m[U_OTHER_DETAILS], "cached_tokens");
    return n == 0 && count_of(m[U_CACHED], &n) && n > 0 ? n : n < 0 ? 0 : n;
}

/* cached_tokens and cache_write_tokens are within prompt_tokens (BerriAI/litellm#6215: billed at the full rate), reasoning is
 * within completion_tokens, but at xAI (agentgateway/agentgateway#3228 lost all output there). Negative counts are no usage at
 * all, so that the answer is charged at its bound: not for free. */
bool openai_read_usage(struct draft *d, struct span usage, const struct quirks *q)
{
    static const char *const names[U_MEMBERS] = { "prompt_tokens", "completion_tokens", "total_tokens",
                                                  "prompt_tokens_details", "completion_tokens_details",
                                                  "prompt_cache_hit_tokens", "num_cached_tokens", "prompt_token_details" };
    int64_t prompt, output, total = 0, write, audio;
    struct span m[U_MEMBERS];
    struct usage got = { 0 };
    bool has_total, mended = false;

    jval_members(usage, names, U_MEMBERS, m);
    if (!count_of(m[U_PROMPT], &prompt) || !count_of(m[U_OUTPUT], &output) || prompt < 0 || output < 0)
        return false;
    has_total = count_of(m[U_TOTAL], &total);
    got.cache_read = cached_of(m);
    write = count_or_0(m[U_PROMPT_DETAILS], "cache_write_tokens");
    audio = count_or_0(m[U_PROMPT_DETAILS], "audio_tokens");
    got.reasoning = count_or_0(m[U_OUTPUT_DETAILS], "reasoning_tokens");
    if (got.cache_read > prompt) {    /* trust the sum; the parts are clamped to it */
        got.cache_read = prompt;
        mended = true;
    }
    if (write > prompt - got.cache_read) {
        write = prompt - got.cache_read;
        mended = true;
    }
    if (audio > prompt - got.cache_read - write)
        audio = prompt - got.cache_read - write;
    if (!q->reasoning_in_output_count && got.reasoning && (!has_total || total == prompt + output + got.reasoning))
        output += got.reasoning;
    mended |= has_total && total != prompt + output;
    got.input = prompt - got.cache_read - write - audio;
    got.cache_write_5m = write;
    got.input_audio = audio;
    audio = count_or_0(m[U_OUTPUT_DETAILS], "audio_tokens");
    got.output_audio = audio < output ? audio : output;
    got.output = output - got.output_audio;
    draft_usage(d, &got, mended);
    return true;
}

/* ---- texts ---- */

static bool take_text(struct draft *d, unsigned choice, struct span raw, const struct quirks *q)
{
    struct reader *r;

    if (q->reasoning_field != REASONING_THINK_TAGS || choice != 0 || raw.n == 0)
        return draft_text(d, choice, PIECE_TEXT, raw);
    r = reader_of(d);
    return r && openai_think_feed(&r->think, d, raw);
}

/* Mistral's {"type":"thinking","thinking":[{"type":"text","text":...}]} */
static bool take_thinking(struct draft *d, unsigned choice, struct span thinking)
{
    if (jval_type(thinking) == JTYPE_STRING)
        return draft_text(d, choice, PIECE_REASONING, jval_raw(thinking));
    for (struct jiter it = jiter_begin(thinking); jiter_next(&it);)
        if (!draft_text(d, choice, PIECE_REASONING, jval_raw(jval_get(it.value, "text"))))
            return false;
    return true;
}

/* Content is a string, or at some hosts a list of parts. */
static bool take_content(struct draft *d, unsigned choice, struct span content, const struct quirks *q)
{
    static const char *const names[] = { "text", "thinking" };
    struct span m[2];

    if (jval_type(content) == JTYPE_STRING)
        return take_text(d, choice, jval_raw(content), q);
    if (jval_type(content) != JTYPE_ARRAY)
        return true;
    for (struct jiter it = jiter_begin(content); jiter_next(&it);) {
        jval_members(it.value, names, 2, m);
        if (!take_thinking(d, choice, m[1]) || !take_text(d, choice, jval_raw(m[0]), q))
            return false;
    }
    return true;
}

/* ---- tool calls ---- */

enum { C_INDEX, C_ID, C_FUNCTION, C_CUSTOM, C_MEMBERS };

static bool same_id(const struct draft *d, unsigned call, struct span id_raw)
{
    return call < d->n_calls && jraw_is(id_raw, d->calls[call].id.n ? d->calls[call].id.p : "");
}

/* Which call a fragment belongs to: r->n_calls is a new one. Fragments are joined by index. A host that sends none means the
 * call of that id, else the last one, unless that is already whole. A host that counts all its calls as 0 (Google's compatible
 * address) begins a new one where both id and name are new; a fresh id on each fragment (vLLM once) is no new call. */
static unsigned call_of(const struct draft *d, const struct reader *r, struct span index_json, struct span id_raw, bool names)
{
    int64_t index = -1;

    if (count_of(index_json, &index))
        for (unsigned c = r->n_calls; c-- > 0;) {
            if (r->index[c] != index)
                continue;
            return id_raw.n && names && r->named[c] && r->argued[c] && !same_id(d, c, id_raw) ? r->n_calls : c;
        }
    if (index >= 0 || r->n_calls == 0)
        return r->n_calls;
    if (id_raw.n) {
        for (unsigned c = 0; c < r->n_calls; c++)
            if (same_id(d, c, id_raw))
                return c;
        return r->n_calls;
    }
    return names && r->argued[r->n_calls - 1] ? r->n_calls : r->n_calls - 1;
}

/* `custom`: free text, which may well begin with a quote. */
static bool take_arguments(struct draft *d, struct reader *r, unsigned choice, unsigned call, struct span arguments, bool custom)
{
    if (jval_type(arguments) == JTYPE_OBJECT) {
        r->argued[call] = true;
        return draft_arguments_json(d, choice, call, arguments);
    }
    if (jval_raw(arguments).n == 0)
        return true;
    /* Where the bytes pass, what is judged must be what the caller gets. */
    if (d->writer && choice == 0 && !custom) {
        const bool first = !r->argued[call];

        r->argued[call] = true;
        return openai_doubled_feed(&r->doubled[call], d, call, jval_raw(arguments), first);
    }
    r->argued[call] = true;
    return draft_arguments(d, choice, call, jval_raw(arguments));
}

static bool take_call(struct draft *d, struct reader *r, unsigned choice, struct span json, int64_t position)
{
    static const char *const names[C_MEMBERS] = { "index", "id", "function", "custom" };
    const char *const inner[] = { "name", "arguments", "input" };
    struct span m[C_MEMBERS], f[3], id, name;
    bool custom;
    unsigned call;

    jval_members(json, names, C_MEMBERS, m);
    custom = !m[C_FUNCTION].p && m[C_CUSTOM].p;
    jval_members(m[custom ? C_CUSTOM : C_FUNCTION], inner, 3, f);
    id = jval_raw(m[C_ID]);
    name = jval_raw(f[0]);
    if (choice != 0)    /* the draft counts its bytes and keeps none */
        return draft_call(d, choice, 0, id, name, custom) && draft_arguments(d, choice, 0, jval_raw(f[custom ? 2 : 1]));
    call = position >= 0 ? (unsigned)position : call_of(d, r, m[C_INDEX], id, name.n > 0);
    if (call >= DRAFT_CALLS_MAX)
        return d->one_call;    /* those are dropped anyway, and not told apart */
    if (call >= r->n_calls) {
        r->n_calls = call + 1;
        if (!count_of(m[C_INDEX], &r->index[call]))
            r->index[call] = -1;
    }
    r->named[call] |= name.n > 0;
    return draft_call(d, choice, call, id, name, custom) && take_arguments(d, r, choice, call, f[custom ? 2 : 1], custom);
}

/* In a whole answer each element is a call; in a chunk it is a fragment of one. */
static bool take_calls(struct draft *d, unsigned choice, struct span calls, bool chunk)
{
    int64_t position = 0;
    struct reader *r;

    if (jval_type(calls) != JTYPE_ARRAY)
        return true;
    r = reader_of(d);
    if (!r)
        return false;
    for (struct jiter it = jiter_begin(calls); jiter_next(&it); position++)
        if (!take_call(d, r, choice, it.value, chunk ? -1 : position))
            return false;
    return true;
}

/* The pair of 2023: one call, without an id. */
static bool take_function_call(struct draft *d, unsigned choice, struct span call)
{
    if (jval_type(call) != JTYPE_OBJECT)
        return true;
    return draft_call(d, choice, 0, SPAN_NONE, jval_raw(jval_get(call, "name")), false) &&
           draft_arguments(d, choice, 0, jval_raw(jval_get(call, "arguments")));
}

/* ---- choices ---- */

static enum finish finish_of(struct span value)
{
    static const struct { const char *word; enum finish finish; } words[] = {
        { "stop", FINISH_STOP }, { "eos", FINISH_STOP }, { "length", FINISH_LENGTH },
        { "model_length", FINISH_LENGTH }, { "tool_calls", FINISH_TOOL_CALLS },
        { "function_call", FINISH_TOOL_CALLS }, { "content_filter", FINISH_FILTERED },
        { "insufficient_system_resource", FINISH_INTERRUPTED }, { "error", FINISH_INTERRUPTED },
    };
    const struct span raw = jval_raw(value);

    if (!raw.p)
        return FINISH_NONE;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (jraw_is(raw, words[i].word))
            return words[i].finish;
    return FINISH_OTHER;
}

static int64_t place_or_none(struct span v)
{
    int64_t n;

    return count_of(v, &n) && n >= 0 ? n : -1;
}

static bool take_annotations(struct draft *d, unsigned choice, struct span list)
{
    static const char *const names[] = { "url", "title", "start_index", "end_index" };

    if (jval_type(list) != JTYPE_ARRAY)
        return true;
    for (struct jiter it = jiter_begin(list); jiter_next(&it);) {
        struct span m[4];

        jval_members(jval_get(it.value, "url_citation"), names, 4, m);
        if (jval_raw(m[0]).n && !draft_citation(d, choice, jval_raw(m[0]), jval_raw(m[1]), place_or_none(m[2]), place_or_none(m[3])))
            return false;
    }
    return true;
}

/* A spoken answer: what it says is judged like text; its bytes bound what it cost. */
static bool take_audio(struct draft *d, unsigned choice, struct span audio)
{
    if (jval_type(audio) != JTYPE_OBJECT)
        return true;
    d->has_piece = true;
    d->generated_bytes += (int64_t)jval_raw(jval_get(audio, "data")).n;
    return draft_text(d, choice, PIECE_TEXT, jval_raw(jval_get(audio, "transcript")));
}

enum { M_CONTENT, M_REFUSAL, M_REASONING_CONTENT, M_REASONING, M_TOOL_CALLS, M_FUNCTION_CALL, M_AUDIO, M_ANNOTATIONS, M_MEMBERS };

static bool take_message(struct draft *d, unsigned choice, struct span message, bool chunk, const struct quirks *q)
{
    static const char *const names[M_MEMBERS] = { "content",    "refusal",       "reasoning_content", "reasoning",
                                                  "tool_calls", "function_call", "audio",             "annotations" };
    struct span m[M_MEMBERS], reasoning;

    jval_members(message, names, M_MEMBERS, m);
    reasoning = jval_raw(m[M_REASONING_CONTENT]);
    if (reasoning.n == 0)
        reasoning = jval_raw(m[M_REASONING]);
    return draft_text(d, choice, PIECE_REASONING, reasoning) && take_content(d, choice, m[M_CONTENT], q) &&
           draft_text(d, choice, PIECE_REFUSAL, jval_raw(m[M_REFUSAL])) && take_calls(d, choice, m[M_TOOL_CALLS], chunk) &&
           take_function_call(d, choice, m[M_FUNCTION_CALL]) && take_audio(d, choice, m[M_AUDIO]) &&
           take_annotations(d, choice, m[M_ANNOTATIONS]);
}

/* What was held back until more would come. */
static bool flush(struct draft *d, unsigned choice)
{
    struct reader *r = d->reader_block;

    return choice != 0 || !r || openai_think_end(&r->think, d);
}

enum { H_INDEX, H_BODY, H_FINISH, H_LOGPROBS, H_STOP, H_MEMBERS };

static bool read_choice(struct draft *d, struct span choice, bool chunk, const struct quirks *q)
{
    const char *const names[H_MEMBERS] = { "index", chunk ? "delta" : "message", "finish_reason", "logprobs", "stop_reason" };
    struct span m[H_MEMBERS], logprobs;
    int64_t index = 0;
    enum finish finish;
    unsigned c;

    if (jval_type(choice) != JTYPE_OBJECT)
        return false;
    jval_members(choice, names, H_MEMBERS, m);
    count_of(m[H_INDEX], &index);
    c = index < 0 || index > 127 ? 127 : (unsigned)index;
    if (!take_message(d, c, m[H_BODY], chunk, q))
        return false;
    logprobs = jval_get(m[H_LOGPROBS], "content");
    if (jval_type(logprobs) == JTYPE_ARRAY && !draft_logprobs(d, c, logprobs))
        return false;
    finish = finish_of(m[H_FINISH]);
    if (finish == FINISH_NONE)
        return true;
    if (finish == FINISH_STOP && d->n_calls && c == 0)    /* a forced tool, or no parallel calls: told by the calls (trap) */
        finish = FINISH_TOOL_CALLS;
    draft_finish(d, c, finish, jval_raw(m[H_STOP]));
    return flush(d, c);
}

enum { A_ID, A_MODEL, A_TIER, A_USAGE, A_CHOICES, A_ERROR, A_OBJECT, A_GROQ, A_MEMBERS };

static bool is_error(const struct span m[A_MEMBERS])
{
    const struct span object = jval_raw(m[A_OBJECT]);

    return !reading_is_null(m[A_ERROR]) || (object.p && jraw_is(object, "error"));
}

static bool read_any(struct draft *d, struct span json, bool chunk, const struct quirks *q)
{
    static const char *const names[A_MEMBERS] = { "id",      "model", "service_tier", "usage",
                                                  "choices", "error", "object",       "x_groq" };
    struct span m[A_MEMBERS];

    if (jval_type(json) != JTYPE_OBJECT)
        return false;
    jval_members(json, names, A_MEMBERS, m);
    if (is_error(m)) {
        openai_read_error(d, json, true);
        return true;
    }
    if (!reading_is_null(jval_get(m[A_GROQ], "error"))) {
        openai_read_error(d, m[A_GROQ], true);
        return true;
    }
    /* In a stream they are the same in every chunk. */
    if (!d->model[0])
        draft_copy(d->model, sizeof d->model, m[A_MODEL]);
    if (!d->id[0])
        draft_copy(d->id, sizeof d->id, m[A_ID]);
    if (!d->service_tier[0])
        draft_copy(d->service_tier, sizeof d->service_tier, m[A_TIER]);
    /* The last one holds: some hosts send running counts on every chunk, DeepSeek repeats them, Groq has them apart. */
    if (jval_type(m[A_USAGE]) == JTYPE_OBJECT)
        openai_read_usage(d, m[A_USAGE], q);
    else if (m[A_GROQ].p)
        openai_read_usage(d, jval_get(m[A_GROQ], "usage"), q);
    if (jval_type(m[A_CHOICES]) != JTYPE_ARRAY)
        return chunk && jval_type(m[A_USAGE]) == JTYPE_OBJECT;
    for (struct jiter it = jiter_begin(m[A_CHOICES]); jiter_next(&it);)
        if (!read_choice(d, it.value, chunk, q))
            return false;
    return true;
}

bool openai_read_whole(struct draft *d, struct span json, const struct target *target)
{
    return read_any(d, json, false, target->quirks);
}

bool openai_read_event(struct draft *d, struct span name, struct span json, const struct target *target)
{
    (void)name;
    return read_any(d, json, true, target->quirks);
}

/* ---- errors ---- */

/* FastAPI's {"detail":"text"} or {"detail":[{"loc","msg","type"}]}. */
static struct span detail_of(struct span body)
{
    const struct span detail = jval_get(body, "detail");

    for (struct jiter it = jiter_begin(detail); jval_type(detail) == JTYPE_ARRAY && jiter_next(&it);)
        return jval_get(it.value, "msg");
    return detail;
}

void openai_read_error(struct draft *d, struct span body, bool scanned)
{
    static const char *const names[] = { "type", "code", "param", "message" };
    const struct span error = scanned ? jval_get(body, "error") : SPAN_NONE;
    struct span m[4];

    if (!scanned || jval_type(body) != JTYPE_OBJECT) {
        draft_error(d, SPAN_NONE, SPAN_NONE, SPAN_NONE, SPAN_NONE);
        snprintf(d->error_message, sizeof d->error_message, "%.*s", SPAN_FMT(span_first(span_trim(body), 200)));
        return;
    }
    jval_members(jval_type(error) == JTYPE_OBJECT ? error : body, names, 4, m);
    draft_error(d, m[0], m[1], m[2], m[3]);
    if (!d->error_message[0])
        draft_copy(d->error_message, sizeof d->error_message, error);
    if (!d->error_message[0])
        draft_copy(d->error_message, sizeof d->error_message, detail_of(body));
}

/* ---- relaying ---- */

/* Where the member "usage" stands in a chunk, comma included; an empty span when it has none. */
static struct span usage_member(struct span json)
{
    const char *after_previous = NULL, *from = NULL;
    struct jiter it = jiter_begin(json);

    while (jiter_next(&it)) {
        const char *end = it.value.p + it.value.n;

        if (from)    /* it was the first member: cut up to this one's key */
            return (struct span){ from, (size_t)(it.key.p - 1 - from) };
        if (jraw_is(it.key, "usage")) {
            if (after_previous)
                return (struct span){ after_previous, (size_t)(end - after_previous) };
            from = it.key.p - 1;
        }
        after_previous = end;
    }
    return SPAN_LIT("");
}

static enum relay passed(bool ok)
{
    return ok ? RELAY_PASSED : RELAY_FAILED;
}

enum relay openai_relay(const struct chat *chat, struct span raw, struct span json, bool begun, struct buf *out,
                        struct buf *terminal)
{
    const struct span choices = jval_get(json, "choices");
    struct span cut = SPAN_LIT("");
    bool empty = true;

    (void)begun;
    (void)terminal;
    if (!chat->usage_asked && span_find_span(json, SPAN_LIT("\"usage\"")) < json.n) {
        for (struct jiter it = jiter_begin(choices); jiter_next(&it);)
            empty = false;
        if (empty && jval_type(jval_get(json, "usage")) == JTYPE_OBJECT)
            return RELAY_PASSED;    /* the chunk that we asked for ourselves: `choices[0]` on it crashes naive parsers */
        cut = usage_member(json);
    }
    if (json.p >= raw.p && json.p + json.n <= raw.p + raw.n) {
        if (cut.n == 0)
            return passed(buf_add_span(out, raw));
        return passed(buf_add(out, raw.p, (size_t)(cut.p - raw.p)) &&
                      buf_add(out, cut.p + cut.n, (size_t)(raw.p + raw.n - (cut.p + cut.n))));
    }
    /* Several data lines were joined: written anew on one line. */
    buf_add_str(out, "data: ");
    for (size_t i = 0; i < json.n; i++)
        if (json.p[i] != '\n' && (cut.n == 0 || json.p + i < cut.p || json.p + i >= cut.p + cut.n))
            buf_add_char(out, json.p[i]);
    return passed(buf_add_str(out, "\n\n"));
}

const char *openai_relay_end(const struct chat *chat)
{
    (void)chat;
    return "data: [DONE]\n\n";
}
