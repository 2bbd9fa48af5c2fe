/* openai_answer.c - reads answers by spans. Tolerant of what compatible hosts send, strict about what it counts. */
#include "gateway/dialects/openai_answer.h"

#include <stdio.h>
#include <stdlib.h>

void openai_answer_init(struct openai_answer *a)
{
    *a = (struct openai_answer){ .keep_text = true };
    buf_init(&a->text, OPENAI_ANSWER_BYTES_MAX);
    buf_init(&a->refusal, 65536);
}

void openai_answer_free(struct openai_answer *a)
{
    buf_free(&a->text);
    buf_free(&a->refusal);
    for (size_t i = 0; i < a->n_tools; i++) {
        buf_free(&a->tools[i].name);
        buf_free(&a->tools[i].arguments);
    }
    free(a->tools);
    free(a->view_tools);
    openai_answer_init(a);
}

/* Unescapes a string value behind what `b` holds. */
static bool add_string(struct buf *b, struct span value)
{
    const struct span raw = jval_raw(value);
    char small[1024];
    char *p = raw.n <= sizeof small ? small : malloc(raw.n);
    bool ok;

    if (!p)
        return false;
    ok = buf_add(b, p, jraw_unescape(raw, p));
    if (p != small)
        free(p);
    return ok;
}

static void copy_string(char *out, size_t room, struct span value)
{
    struct buf b;

    buf_init(&b, 1u << 20);
    if (jval_type(value) == JTYPE_STRING && add_string(&b, value))
        snprintf(out, room, "%.*s", SPAN_FMT(buf_span(&b)));
    else if (jval_type(value) == JTYPE_NUMBER)
        snprintf(out, room, "%.*s", SPAN_FMT(value));
    buf_free(&b);
}

static int64_t count_chars(struct span text)
{
    int64_t n = 0;

    for (size_t i = 0; i < text.n; i++)
        n += ((unsigned char)text.p[i] & 0xC0) != 0x80;
    return n;
}

/* ---- usage: inclusive counters of the dialect to disjoint ones ---- */

#define COUNT_MAX (INT64_MAX / 8)    /* no sum of a few leaves 64 bits; nobody believes it either (request.c) */

static bool count_of(struct span obj, const char *name, int64_t *out)
{
    const struct span v = jval_get(obj, name);

    if (jval_type(v) != JTYPE_NUMBER || !jval_int(v, out))
        return false;
    if (*out > COUNT_MAX)
        *out = COUNT_MAX;
    return true;
}

static int64_t count_or_0(struct span obj, const char *name)
{
    int64_t n = 0;

    return count_of(obj, name, &n) && n > 0 ? n : 0;
}

/* cached_tokens and cache_write_tokens are within prompt_tokens (BerriAI/litellm#6215: billed at the full rate), a
 * hit/miss pair is DeepSeek's own and goes before (section A4); reasoning is within completion_tokens, but at xAI
 * (agentgateway#3228 lost all output there). */
static void read_usage(struct openai_answer *a, struct span u, const struct quirks *q)
{
    const struct span prompt_details = jval_get(u, "prompt_tokens_details");
    const struct span output_details = jval_get(u, "completion_tokens_details");
    int64_t prompt = 0, output = 0, total = 0, read, write, audio, reasoning;
    struct usage got = { 0 };

    if (!count_of(u, "prompt_tokens", &prompt) || !count_of(u, "completion_tokens", &output))
        return;
    read = count_or_0(prompt_details, "cached_tokens");
    if (!count_of(u, "prompt_cache_hit_tokens", &read) || read < 0)
        read = count_or_0(prompt_details, "cached_tokens");
    write = count_or_0(prompt_details, "cache_write_tokens");
    audio = count_or_0(prompt_details, "audio_tokens");
    reasoning = count_or_0(output_details, "reasoning_tokens");
    if (prompt < 0 || output < 0)    /* no usage at all, so that the answer is charged at its bound: not for free */
        return;
    a->usage_mended = false;
    if (read > prompt) {    /* trust the sum; the parts are clamped to it */
        read = prompt;
        a->usage_mended = true;
    }
    if (write > prompt - read) {
        write = prompt - read;
        a->usage_mended = true;
    }
    if (audio > prompt - read - write)
        audio = prompt - read - write;
    if (!q->reasoning_in_output_count && reasoning &&
        (!count_of(u, "total_tokens", &total) || total == prompt + output + reasoning))
        output += reasoning;
    got.input = prompt - read - write - audio;
    got.cache_read = read;
    got.cache_write_5m = write;
    got.input_audio = audio;
    audio = count_or_0(output_details, "audio_tokens");
    got.output_audio = audio < output ? audio : output;
    got.output = output - got.output_audio;
    got.reasoning = reasoning;
    if (usage_mend(&got))
        a->usage_mended = true;
    a->usage = got;    /* the last one holds: some hosts send running counts on every chunk */
    a->has_usage = true;
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

static bool take_text(struct openai_answer *a, struct span value, bool first_choice)
{
    const struct span raw = jval_raw(value);
    size_t before;

    if (raw.n == 0)
        return true;
    a->has_piece = true;
    a->generated_bytes += (int64_t)raw.n;
    if (!first_choice)
        return true;
    before = a->text.n;
    if (!add_string(&a->text, value))
        return false;
    a->chars += count_chars(span_skip(buf_span(&a->text), before));
    if (!a->keep_text && a->text.room > 65536)
        buf_free(&a->text);    /* of one long answer: not to be kept until its reader is done */
    else if (!a->keep_text)
        buf_clear(&a->text);
    return true;
}

/* Content is a string, or at some hosts a list of parts. */
static bool take_content(struct openai_answer *a, struct span content, bool first_choice)
{
    if (jval_type(content) == JTYPE_STRING)
        return take_text(a, content, first_choice);
    if (jval_type(content) == JTYPE_ARRAY)
        for (struct jiter it = jiter_begin(content); jiter_next(&it);)
            if (!take_text(a, jval_get(it.value, "text"), first_choice))
                return false;
    return true;
}

static struct openai_tool *tool_at(struct openai_answer *a, size_t index)
{
    if (index >= OPENAI_ANSWER_TOOLS_MAX)
        return NULL;
    if (index >= a->room_tools) {
        const size_t room = index + 8;
        struct openai_tool *more = realloc(a->tools, room * sizeof *more);

        if (!more)
            return NULL;
        a->tools = more;
        a->room_tools = room;
    }
    for (; a->n_tools <= index; a->n_tools++) {
        buf_init(&a->tools[a->n_tools].name, 1024);
        buf_init(&a->tools[a->n_tools].arguments, OPENAI_ANSWER_BYTES_MAX);
        a->tools[a->n_tools].custom = false;
    }
    return &a->tools[index];
}

/* Fragments are joined by index. A host that sends none means the last opened, or a new one when it brings an id. */
static bool take_tool_calls(struct openai_answer *a, struct span calls, bool first_choice)
{
    size_t position = 0;

    if (jval_type(calls) != JTYPE_ARRAY)
        return true;
    for (struct jiter it = jiter_begin(calls); jiter_next(&it); position++) {
        const struct span function = jval_get(it.value, "function");
        const struct span body = function.p ? function : jval_get(it.value, "custom");
        const struct span arguments = jval_get(body, function.p ? "arguments" : "input");
        struct openai_tool *t;
        int64_t index = (int64_t)position;

        a->has_piece = true;
        a->generated_bytes += (int64_t)it.value.n;
        if (!first_choice)
            continue;
        if (!count_of(it.value, "index", &index))
            index = jval_raw(jval_get(it.value, "id")).n || a->n_tools == 0 ? (int64_t)a->n_tools
                                                                             : (int64_t)a->n_tools - 1;
        t = index < 0 ? NULL : tool_at(a, (size_t)index);
        if (!t)
            return false;
        t->custom |= !function.p && body.p;
        if (t->name.n == 0 && jval_type(jval_get(body, "name")) == JTYPE_STRING && !add_string(&t->name, jval_get(body, "name")))
            return false;
        if (jval_type(arguments) == JTYPE_STRING ? !add_string(&t->arguments, arguments)
                                                 : jval_type(arguments) == JTYPE_OBJECT && !buf_add_span(&t->arguments, arguments))
            return false;
    }
    return true;
}

enum { M_CONTENT, M_REFUSAL, M_REASONING_CONTENT, M_REASONING, M_TOOL_CALLS, M_MEMBERS };

static bool take_message(struct openai_answer *a, struct span message, bool first_choice)
{
    static const char *const names[M_MEMBERS] = { "content", "refusal", "reasoning_content", "reasoning", "tool_calls" };
    struct span m[M_MEMBERS];
    struct span reasoning;

    jval_members(message, names, M_MEMBERS, m);
    reasoning = jval_raw(m[M_REASONING_CONTENT].p ? m[M_REASONING_CONTENT] : m[M_REASONING]);
    if (reasoning.n) {
        a->has_piece = true;
        a->generated_bytes += (int64_t)reasoning.n;
    }
    if (first_choice && jval_raw(m[M_REFUSAL]).n) {
        a->has_piece = true;
        a->generated_bytes += (int64_t)jval_raw(m[M_REFUSAL]).n;
        if (!add_string(&a->refusal, m[M_REFUSAL]))
            return false;
    }
    return take_content(a, m[M_CONTENT], first_choice) && take_tool_calls(a, m[M_TOOL_CALLS], first_choice);
}

static bool read_choice(struct openai_answer *a, struct span choice, bool chunk)
{
    static const char *const names[] = { "index", "message", "delta", "finish_reason" };
    struct span m[4];
    int64_t index = 0;

    if (jval_type(choice) != JTYPE_OBJECT)
        return false;
    jval_members(choice, names, 4, m);
    if (jval_type(m[0]) == JTYPE_NUMBER)
        jval_int(m[0], &index);
    if (!take_message(a, m[chunk ? 2 : 1], index == 0))
        return false;
    if (index == 0 && jval_type(m[3]) == JTYPE_STRING)
        a->finish = finish_of(m[3]);
    return true;
}

enum { A_MODEL, A_TIER, A_USAGE, A_CHOICES, A_ERROR, A_OBJECT, A_MEMBERS };

static bool is_error(const struct span m[A_MEMBERS])
{
    const struct span object = jval_raw(m[A_OBJECT]);

    return (m[A_ERROR].p && jval_type(m[A_ERROR]) != JTYPE_NULL) || (object.p && jraw_is(object, "error"));
}

static bool read_any(struct openai_answer *a, struct span json, const struct quirks *q, bool chunk)
{
    static const char *const names[A_MEMBERS] = { "model", "service_tier", "usage", "choices", "error", "object" };
    struct span m[A_MEMBERS];

    if (jval_type(json) != JTYPE_OBJECT)
        return false;
    jval_members(json, names, A_MEMBERS, m);
    if (is_error(m)) {
        openai_answer_read_error(a, json, true);
        return true;
    }
    /* In a stream both are the same in every chunk. */
    if (!a->model[0] && jval_type(m[A_MODEL]) == JTYPE_STRING)
        copy_string(a->model, sizeof a->model, m[A_MODEL]);
    if (!a->service_tier[0] && jval_type(m[A_TIER]) == JTYPE_STRING)
        copy_string(a->service_tier, sizeof a->service_tier, m[A_TIER]);
    if (jval_type(m[A_USAGE]) == JTYPE_OBJECT)
        read_usage(a, m[A_USAGE], q);
    if (jval_type(m[A_CHOICES]) != JTYPE_ARRAY)
        return false;
    for (struct jiter it = jiter_begin(m[A_CHOICES]); jiter_next(&it);)
        if (!read_choice(a, it.value, chunk))
            return false;
    return true;
}

bool openai_answer_read_whole(struct openai_answer *a, struct span json, const struct quirks *q)
{
    return read_any(a, json, q, false);
}

bool openai_answer_read_chunk(struct openai_answer *a, struct span json, const struct quirks *q)
{
    return read_any(a, json, q, true);
}

void openai_answer_read_error(struct openai_answer *a, struct span body, bool scanned)
{
    const struct span error = scanned ? jval_get(body, "error") : SPAN_NONE;
    const struct span from = jval_type(error) == JTYPE_OBJECT ? error : body;

    a->has_error = true;
    if (!scanned || jval_type(body) != JTYPE_OBJECT) {
        snprintf(a->error_message, sizeof a->error_message, "%.*s", SPAN_FMT(span_first(span_trim(body), 200)));
        return;
    }
    copy_string(a->error_type, sizeof a->error_type, jval_get(from, "type"));
    copy_string(a->error_code, sizeof a->error_code, jval_get(from, "code"));
    copy_string(a->error_param, sizeof a->error_param, jval_get(from, "param"));
    copy_string(a->error_message, sizeof a->error_message, jval_get(from, "message"));
    if (!a->error_message[0])
        copy_string(a->error_message, sizeof a->error_message, error);
    if (!a->error_message[0])
        copy_string(a->error_message, sizeof a->error_message, jval_get(body, "detail"));
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

bool openai_answer_relay(struct span raw, struct span json, bool usage_asked, struct buf *out)
{
    const struct span choices = jval_get(json, "choices");
    struct span cut = SPAN_LIT("");
    bool empty = true;

    if (!usage_asked && span_find_span(json, SPAN_LIT("\"usage\"")) < json.n) {
        for (struct jiter it = jiter_begin(choices); jiter_next(&it);)
            empty = false;
        if (empty && jval_type(jval_get(json, "usage")) == JTYPE_OBJECT)
            return true;    /* the chunk that we asked for ourselves: `choices[0]` on it crashes naive parsers */
        cut = usage_member(json);
    }
    if (json.p >= raw.p && json.p + json.n <= raw.p + raw.n) {
        if (cut.n == 0)
            return buf_add_span(out, raw);
        return buf_add(out, raw.p, (size_t)(cut.p - raw.p)) &&
               buf_add(out, cut.p + cut.n, (size_t)(raw.p + raw.n - (cut.p + cut.n)));
    }
    /* Several data lines were joined: written anew on one line. */
    buf_add_str(out, "data: ");
    for (size_t i = 0; i < json.n; i++)
        if (json.p[i] != '\n' && (cut.n == 0 || json.p + i < cut.p || json.p + i >= cut.p + cut.n))
            buf_add_char(out, json.p[i]);
    return buf_add_str(out, "\n\n");
}

struct answer openai_answer_view(struct openai_answer *a)
{
    struct answer v = { .text = buf_span(&a->text), .finish = a->finish, .output_tokens = a->has_usage ? a->usage.output : 0 };

    if (a->refusal.n)
        v.refusal = buf_span(&a->refusal);
    if (a->n_tools) {
        free(a->view_tools);
        a->view_tools = calloc(a->n_tools, sizeof *a->view_tools);
        for (size_t i = 0; a->view_tools && i < a->n_tools; i++)
            a->view_tools[i] = (struct answer_tool){ buf_span(&a->tools[i].name), buf_span(&a->tools[i].arguments),
                                                     a->tools[i].custom };
        v.tools = a->view_tools;
        v.n_tools = a->view_tools ? a->n_tools : 0;
    }
    return v;
}
