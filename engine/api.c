/* api.c - the checks, field by field, and the few shapes that go back.
 *
 * Bodies are walked by jscan's cursors; no tree is built. Field names and limits: OpenAI's published request schema;
 * `reasoning_content`, `thinking` and `prefix` as DeepSeek has them, `chat_template_kwargs` and /tokenize as vLLM. */
#include "engine/api.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/jscan.h"

#define MESSAGES_MAX 10000u

struct span api_excerpt(struct span s, size_t n)
{
    if (s.n <= n)
        return s;
    while (n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
        n--;
    return span_first(s, n);
}

bool api_fail(struct api_error *e, int status, const char *code, const char *param, const char *fmt, ...)
{
    va_list ap;

    *e = (struct api_error){ .status = status, .code = code };
    snprintf(e->param, sizeof e->param, "%s", param ? param : "");
    va_start(ap, fmt);
    if (vsnprintf(e->message, sizeof e->message, fmt, ap) >= (int)sizeof e->message)
        e->message[api_excerpt((struct span){ e->message, sizeof e->message }, sizeof e->message - 2).n] = '\0';
    va_end(ap);
    return false;
}

#define WRONG_TYPE(e, param, wanted) api_fail((e), 400, "invalid_type", (param), "'%s' must be %s", (param), (wanted))

static bool no_memory(struct api_error *e)
{
    return api_fail(e, 503, NULL, NULL, "no memory for this request");
}

/* ---- typed members; an absent one and null are the same and leave *out alone ---- */

static bool is_absent(struct span v)
{
    return !v.p || jval_type(v) == JTYPE_NULL;
}

static bool get_bool(struct span obj, const char *name, const char *param, bool *out, struct api_error *e)
{
    const struct span v = jval_get(obj, name);
    const enum jtype type = jval_type(v);

    if (is_absent(v))
        return true;
    if (type != JTYPE_TRUE && type != JTYPE_FALSE)
        return WRONG_TYPE(e, param, "true or false");
    *out = type == JTYPE_TRUE;
    return true;
}

static bool get_number(struct span obj, const char *name, double min, double max, double *out, struct api_error *e)
{
    const struct span v = jval_get(obj, name);
    double got;

    if (is_absent(v))
        return true;
    if (jval_type(v) != JTYPE_NUMBER || !jval_double(v, &got))
        return WRONG_TYPE(e, name, "a number");
    if (!(got >= min && got <= max))
        return api_fail(e, 400, "invalid_value", name, "'%s' must be from %g to %g, but is %.*s", name, min, max,
                        SPAN_FMT(v));
    *out = got;
    return true;
}

static bool get_int(struct span obj, const char *name, int64_t min, int64_t max, int64_t *out, struct api_error *e)
{
    const struct span v = jval_get(obj, name);
    int64_t got;

    if (is_absent(v))
        return true;
    if (jval_type(v) != JTYPE_NUMBER || !jval_int(v, &got))
        return WRONG_TYPE(e, name, "an integer of at most 64 bits");
    if (got < min || got > max)
        return api_fail(e, 400, "invalid_value", name, "'%s' must be from %lld to %lld, but is %lld", name,
                        (long long)min, (long long)max, (long long)got);
    *out = got;
    return true;
}

/* The text of a string value, unescaped, in the arena; .p NULL without memory. */
static struct span text_of(struct arena *a, struct span v)
{
    const struct span raw = jval_raw(v);
    char *p = arena_alloc(a, raw.n + 1, 1);

    return p ? (struct span){ p, jraw_unescape(raw, p) } : SPAN_NONE;
}

static bool get_text(struct span obj, const char *name, struct arena *a, struct span *out, struct api_error *e)
{
    const struct span v = jval_get(obj, name);

    if (is_absent(v))
        return true;
    if (jval_type(v) != JTYPE_STRING)
        return WRONG_TYPE(e, name, "a string");
    *out = text_of(a, v);
    return out->p || no_memory(e);
}

static bool is_type(struct span obj, const char *name, enum jtype type, const char *wanted, struct api_error *e)
{
    const struct span v = jval_get(obj, name);

    return is_absent(v) || jval_type(v) == type || WRONG_TYPE(e, name, wanted);
}

static bool is_empty(struct span container)
{
    struct jiter it = jiter_begin(container);

    return !jiter_next(&it);
}

/* ---- messages ---- */

static size_t count_elements(struct span array)
{
    size_t n = 0;

    for (struct jiter it = jiter_begin(array); jiter_next(&it);)
        n++;
    return n;
}

/* Parts of type "text", joined as the chat format joins blocks. */
static bool read_parts(struct span parts, const char *at, struct arena *a, struct span *out, struct api_error *e)
{
    char param[128];
    char *p = arena_alloc(a, parts.n + 2 * count_elements(parts), 1);    /* unescaping never makes it longer */
    size_t n = 0, i = 0;

    if (!p)
        return no_memory(e);
    for (struct jiter it = jiter_begin(parts); jiter_next(&it); i++) {
        const struct span text = jval_get(it.value, "text");
        const struct span type = jval_raw(jval_get(it.value, "type"));

        snprintf(param, sizeof param, "%s[%zu]", at, i);
        if (jval_type(it.value) != JTYPE_OBJECT || !type.p)
            return WRONG_TYPE(e, param, "an object with a \"type\"");
        if (!jraw_is(type, "text"))
            return api_fail(e, 400, "unsupported_value", param,
                            "'%s' is of type \"%.*s\": this model reads text only", param,
                            SPAN_FMT(api_excerpt(type, 40)));
        if (jval_type(text) != JTYPE_STRING)
            return WRONG_TYPE(e, param, "an object with a \"text\" that is a string");
        if (i) {
            p[n++] = '\n';
            p[n++] = '\n';
        }
        n += jraw_unescape(jval_raw(text), p + n);
    }
    *out = (struct span){ p, n };
    return true;
}

static bool read_content(struct span msg, const char *at, bool may_be_null, struct arena *a, struct span *out,
                         struct api_error *e)
{
    const struct span v = jval_get(msg, "content");
    char param[64];

    snprintf(param, sizeof param, "%s.content", at);
    *out = (struct span){ "", 0 };
    if (is_absent(v) && may_be_null)
        return true;
    if (jval_type(v) == JTYPE_ARRAY)
        return read_parts(v, param, a, out, e);
    if (jval_type(v) != JTYPE_STRING)
        return WRONG_TYPE(e, param, "a string or an array of parts");
    *out = text_of(a, v);
    return out->p || no_memory(e);
}

static bool read_assistant(struct span msg, const char *at, bool is_last, struct arena *a, struct prompt_message *out,
                           struct api_error *e)
{
    const struct span calls = jval_get(msg, "tool_calls"), reasoning = jval_get(msg, "reasoning_content");
    char param[64];

    snprintf(param, sizeof param, "%s.tool_calls", at);
    if (!is_absent(calls) && (jval_type(calls) != JTYPE_ARRAY || !is_empty(calls)))
        return api_fail(e, 400, "unsupported_parameter", param, "'%s': this engine has no tools yet", param);
    snprintf(param, sizeof param, "%s.reasoning_content", at);
    if (!is_absent(reasoning) && jval_type(reasoning) != JTYPE_STRING)
        return WRONG_TYPE(e, param, "a string");
    if (!is_absent(reasoning)) {
        out->reasoning = text_of(a, reasoning);
        if (!out->reasoning.p)
            return no_memory(e);
    }
    out->unfinished = jval_type(jval_get(msg, "prefix")) == JTYPE_TRUE;
    if (out->unfinished == is_last)
        return true;
    return out->unfinished
               ? api_fail(e, 400, "invalid_value", at, "'%s' has \"prefix\": true, but only the last message may", at)
               : api_fail(e, 400, "invalid_value", at,
                          "'%s' is the last message and the assistant's: there is nothing to answer (\"prefix\": true "
                          "continues it)", at);
}

static bool read_message(struct span msg, size_t i, bool is_last, struct arena *a, struct prompt_message *out,
                         struct api_error *e)
{
    static const struct { const char *name; enum prompt_role role; } roles[] = {
        { "system", PROMPT_SYSTEM }, { "developer", PROMPT_SYSTEM },    /* OpenAI takes the two for one */
        { "user", PROMPT_USER }, { "assistant", PROMPT_ASSISTANT }, { "latest_reminder", PROMPT_REMINDER },
    };
    const struct span role = jval_raw(jval_get(msg, "role"));
    char at[32], param[48];
    size_t k = 0;

    snprintf(at, sizeof at, "messages[%zu]", i);
    snprintf(param, sizeof param, "%s.role", at);
    if (jval_type(msg) != JTYPE_OBJECT)
        return WRONG_TYPE(e, at, "an object");
    if (!role.p)
        return WRONG_TYPE(e, param, "a string");
    while (k < sizeof roles / sizeof roles[0] && !jraw_is(role, roles[k].name))
        k++;
    if (k == sizeof roles / sizeof roles[0])
        return api_fail(e, 400, "invalid_value", param, "'%s' is \"%.*s\": this engine knows system, developer, user, "
                        "assistant and latest_reminder", param, SPAN_FMT(api_excerpt(role, 40)));
    *out = (struct prompt_message){ .role = roles[k].role };
    if (!read_content(msg, at, out->role == PROMPT_ASSISTANT, a, &out->content, e))
        return false;
    return out->role != PROMPT_ASSISTANT || read_assistant(msg, at, is_last, a, out, e);
}

static bool read_messages(struct span body, struct job *j, struct api_error *e)
{
    const struct span list = jval_get(body, "messages");
    const size_t n = jval_type(list) == JTYPE_ARRAY ? count_elements(list) : 0;

    if (is_absent(list))
        return api_fail(e, 400, "missing_required_parameter", "messages", "'messages' is missing");
    if (jval_type(list) != JTYPE_ARRAY)
        return WRONG_TYPE(e, "messages", "an array");
    if (n == 0 || n > MESSAGES_MAX)
        return api_fail(e, 400, "invalid_value", "messages", "'messages' must have 1 to %u elements, but has %zu",
                        MESSAGES_MAX, n);
    j->messages = ARENA_ARRAY(&j->arena, struct prompt_message, n);
    if (!j->messages)
        return no_memory(e);
    for (struct jiter it = jiter_begin(list); jiter_next(&it); j->n_messages++)
        if (!read_message(it.value, j->n_messages, j->n_messages + 1 == n, &j->arena, &j->messages[j->n_messages], e))
            return false;
    return true;
}

/* ---- the other fields ---- */

static bool read_limits(struct span body, struct job *j, struct api_error *e)
{
    int64_t old = 0, total = 0, n = 1;

    if (!get_int(body, "max_tokens", 1, INT32_MAX, &old, e) ||
        !get_int(body, "max_completion_tokens", 1, INT32_MAX, &total, e) || !get_int(body, "n", 1, 128, &n, e))
        return false;
    if (n > 1)
        return api_fail(e, 400, "unsupported_value", "n", "'n' is %lld: this engine makes one answer a request",
                        (long long)n);
    /* Where both are given (a gateway caps the one and passes the other on), the lower holds. */
    j->max_tokens = (size_t)(total && (!old || total < old) ? total : old);
    return true;
}

static bool read_sampling(struct span body, const struct api_defaults *d, struct job *j, struct api_error *e)
{
    double temperature = d->temperature, top_p = d->top_p;
    int64_t top_k = 0, seed = (int64_t)d->seed;

    if (!get_number(body, "temperature", 0, 2, &temperature, e) || !get_number(body, "top_p", 0, 1, &top_p, e) ||
        !get_int(body, "top_k", -1, INT32_MAX, &top_k, e) ||    /* -1: off, as vLLM has it */
        !get_int(body, "seed", INT64_MIN, INT64_MAX, &seed, e))
        return false;
    j->sampling = (struct sample_params){ temperature, top_p, top_k > 0 ? (int32_t)top_k : 0, (uint64_t)seed };
    return true;
}

static bool read_stop(struct span v, const char *param, struct job *j, struct api_error *e)
{
    struct span text;

    if (jval_type(v) != JTYPE_STRING)
        return WRONG_TYPE(e, param, "a string");
    if (j->n_stops == ANSWER_STOPS_MAX)
        return api_fail(e, 400, "invalid_value", "stop", "'stop' must have at most %d strings", ANSWER_STOPS_MAX);
    text = text_of(&j->arena, v);
    if (!text.p)
        return no_memory(e);
    if (text.n == 0 || text.n > ANSWER_STOP_BYTES)
        return api_fail(e, 400, "invalid_value", param, "'%s' must have 1 to %d bytes, but has %zu", param,
                        ANSWER_STOP_BYTES, text.n);
    j->stops[j->n_stops++] = text;
    return true;
}

static bool read_stops(struct span body, struct job *j, struct api_error *e)
{
    const struct span v = jval_get(body, "stop");
    char param[32];
    size_t i = 0;

    if (is_absent(v))
        return true;
    if (jval_type(v) == JTYPE_STRING)
        return read_stop(v, "stop", j, e);
    if (jval_type(v) != JTYPE_ARRAY)
        return WRONG_TYPE(e, "stop", "a string or an array of strings");
    for (struct jiter it = jiter_begin(v); jiter_next(&it); i++) {
        snprintf(param, sizeof param, "stop[%zu]", i);
        if (!read_stop(it.value, param, j, e))
            return false;
    }
    return true;
}

static bool read_stream(struct span body, struct api_reply *r, struct api_error *e)
{
    const struct span options = jval_get(body, "stream_options");

    if (!get_bool(body, "stream", "stream", &r->stream, e) ||
        !is_type(body, "stream_options", JTYPE_OBJECT, "an object", e))
        return false;
    if (is_absent(options))
        return true;
    if (!r->stream)
        return api_fail(e, 400, "invalid_value", "stream_options", "'stream_options' is only allowed when 'stream' is "
                        "true");
    return get_bool(options, "include_usage", "stream_options.include_usage", &r->include_usage, e);
}

/* Reasoning is off unless asked for: a model that was not trained to reason gives nonsense when made to. */
static bool read_thinking(struct span body, struct job *j, struct api_error *e)
{
    static const char *const efforts[] = { "none", "minimal", "low", "medium", "high", "xhigh", "max" };
    const struct span thinking = jval_get(body, "thinking"), type = jval_raw(jval_get(thinking, "type"));
    const struct span effort = jval_get(body, "reasoning_effort");
    bool on = false, known = is_absent(effort);

    if (!is_type(body, "thinking", JTYPE_OBJECT, "an object", e) ||
        !is_type(body, "chat_template_kwargs", JTYPE_OBJECT, "an object", e) ||
        !get_bool(jval_get(body, "chat_template_kwargs"), "thinking", "chat_template_kwargs.thinking", &on, e))
        return false;
    if (!is_absent(thinking) && (!type.p || (!jraw_is(type, "enabled") && !jraw_is(type, "disabled"))))
        return api_fail(e, 400, "invalid_value", "thinking.type",
                        "'thinking.type' must be \"enabled\" or \"disabled\"");
    on = is_absent(thinking) ? on : jraw_is(type, "enabled");
    for (size_t i = 0; i < sizeof efforts / sizeof efforts[0] && !known; i++)
        known = jval_type(effort) == JTYPE_STRING && jraw_is(jval_raw(effort), efforts[i]);
    if (!known)
        return api_fail(e, 400, "invalid_value", "reasoning_effort", "'reasoning_effort' must be one of none, minimal, "
                        "low, medium, high, xhigh, max");
    j->mode = on ? PROMPT_THINKING : PROMPT_CHAT;
    return true;
}

/* JSON is asked for by the caller's own words; there is no grammar in this version that would force it. */
static bool read_format(struct span body, struct api_error *e)
{
    const struct span format = jval_get(body, "response_format"), type = jval_raw(jval_get(format, "type"));

    if (!is_type(body, "response_format", JTYPE_OBJECT, "an object", e))
        return false;
    if (is_absent(format) || (type.p && (jraw_is(type, "text") || jraw_is(type, "json_object"))))
        return true;
    if (!type.p || !jraw_is(type, "json_schema"))
        return api_fail(e, 400, "invalid_value", "response_format.type", "'response_format.type' must be \"text\", "
                        "\"json_object\" or \"json_schema\"");
    if (jval_type(jval_get(format, "json_schema")) != JTYPE_OBJECT)
        return WRONG_TYPE(e, "response_format.json_schema", "an object");
    return true;
}

/* What would change the answer, and is not implemented. Their empty and neutral forms are fine. */
static bool read_unsupported(struct span body, struct api_error *e)
{
    static const struct { const char *name; enum jtype type; const char *wanted; } containers[] = {
        { "tools", JTYPE_ARRAY, "an array" },
        { "functions", JTYPE_ARRAY, "an array" },
        { "logit_bias", JTYPE_OBJECT, "an object" },
        { "audio", JTYPE_OBJECT, "an object" },
        { "prediction", JTYPE_OBJECT, "an object" },
        { "web_search_options", JTYPE_OBJECT, "an object" },
    };
    double presence = 0, frequency = 0;
    bool logprobs = false;

    for (size_t i = 0; i < sizeof containers / sizeof containers[0]; i++) {
        const char *name = containers[i].name;

        if (!is_type(body, name, containers[i].type, containers[i].wanted, e))
            return false;
        if (!is_absent(jval_get(body, name)) && !is_empty(jval_get(body, name)))
            return api_fail(e, 400, "unsupported_parameter", name, "'%s' is not supported by this engine yet", name);
    }
    if (!get_number(body, "presence_penalty", -2, 2, &presence, e) ||
        !get_number(body, "frequency_penalty", -2, 2, &frequency, e) ||
        !get_bool(body, "logprobs", "logprobs", &logprobs, e))
        return false;
    if (presence != 0 || frequency != 0 || logprobs) {
        const char *name = logprobs ? "logprobs" : presence != 0 ? "presence_penalty" : "frequency_penalty";

        return api_fail(e, 400, "unsupported_parameter", name, "'%s' is not supported by this engine yet", name);
    }
    return true;
}

bool api_read_model(struct span body, struct arena *a, struct span *model, struct api_error *e)
{
    *model = SPAN_NONE;
    if (jval_type(body) != JTYPE_OBJECT)
        return api_fail(e, 400, "invalid_type", NULL, "the body must be a JSON object");
    if (!get_text(body, "model", a, model, e))
        return false;
    return model->p || api_fail(e, 400, "missing_required_parameter", "model", "'model' is missing");
}

bool api_read_chat(struct span body, const struct api_defaults *d, struct job *j, struct api_reply *r,
                   struct api_error *e)
{
    return read_messages(body, j, e) && read_limits(body, j, e) && read_sampling(body, d, j, e) &&
           read_stops(body, j, e) && read_stream(body, r, e) && read_thinking(body, j, e) && read_format(body, e) &&
           read_unsupported(body, e);
}

bool api_read_tokenize(struct span body, struct job *j, struct api_error *e)
{
    j->count_only = true;
    if (!get_text(body, "prompt", &j->arena, &j->text, e))
        return false;
    if (!j->text.p)
        return read_messages(body, j, e);
    if (!is_absent(jval_get(body, "messages")))
        return api_fail(e, 400, "invalid_value", "prompt", "give either 'prompt' or 'messages'");
    return get_bool(body, "add_special_tokens", "add_special_tokens", &j->with_added, e);
}

bool api_end_ok(const struct job *j, size_t context, struct api_error *e)
{
    switch (j->end) {
    case WORKER_STOP:
    case WORKER_LENGTH:
    case WORKER_COUNTED:
        return true;
    case WORKER_TOO_LONG:
        return api_fail(e, 400, "context_length_exceeded", "messages",
                        "This model's maximum context length is %zu tokens, but the messages have %s%zu tokens%s",
                        context, j->prompt_cut ? "at least " : "", j->prompt_tokens,
                        j->prompt_tokens < context || j->prompt_cut ? "" : ", which leaves no room for an answer");
    case WORKER_CANCELLED:
        api_fail(e, 503, NULL, NULL, "the engine is stopping");
        break;
    case WORKER_FAILED:
        api_fail(e, 500, NULL, NULL, "the engine failed: %s", j->why);
        break;
    }
    e->type = "server_error";
    return false;
}

/* ---- writing ---- */

static void write_text_or_null(struct buf *b, const char *text)
{
    if (text && *text)
        buf_add_json(b, span_str(text));
    else
        buf_add_str(b, "null");
}

void api_write_error(struct buf *b, const struct api_error *e)
{
    buf_add_str(b, "{\"error\":{\"message\":");
    buf_add_json(b, span_str(e->message));
    buf_printf(b, ",\"type\":\"%s\",\"param\":", e->type ? e->type : "invalid_request_error");
    write_text_or_null(b, e->param);
    buf_add_str(b, ",\"code\":");
    write_text_or_null(b, e->code);
    buf_add_str(b, "}}");
}

static void write_opening(struct buf *b, const struct api_reply *r, const char *object)
{
    buf_printf(b, "{\"id\":\"%s\",\"object\":\"%s\",\"created\":%lld,\"model\":", r->id, object,
               (long long)r->created_s);
    buf_add_json(b, r->model);
}

static void write_usage(struct buf *b, const struct job *j)
{
    buf_printf(b, "\"usage\":{\"prompt_tokens\":%zu,\"completion_tokens\":%zu,\"total_tokens\":%zu,"
               "\"prompt_tokens_details\":{\"cached_tokens\":%zu},"
               "\"completion_tokens_details\":{\"reasoning_tokens\":%zu}}",
               j->prompt_tokens, j->answer_tokens, j->prompt_tokens + j->answer_tokens, j->cached_tokens,
               j->reasoning_tokens);
}

static const char *finish_reason(const struct job *j)
{
    return j->end == WORKER_LENGTH ? "length" : "stop";
}

void api_write_completion(struct buf *b, const struct api_reply *r, const struct job *j, struct span reasoning,
                          struct span content)
{
    write_opening(b, r, "chat.completion");
    buf_add_str(b, ",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",");
    if (j->mode == PROMPT_THINKING) {
        buf_add_str(b, "\"reasoning_content\":");
        buf_add_json(b, reasoning);
        buf_add_char(b, ',');
    }
    buf_add_str(b, "\"content\":");
    buf_add_json(b, content);
    buf_printf(b, ",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"%s\"}],", finish_reason(j));
    write_usage(b, j);
    buf_add_char(b, '}');
}

static void write_chunk_end(struct buf *b, const struct api_reply *r)
{
    buf_add_str(b, r->include_usage ? ",\"usage\":null}\n\n" : "}\n\n");
}

static void write_chunk_begin(struct buf *b, const struct api_reply *r)
{
    buf_add_str(b, "data: ");
    write_opening(b, r, "chat.completion.chunk");
    buf_add_str(b, ",\"choices\":[");
}

void api_write_start(struct buf *b, const struct api_reply *r)
{
    write_chunk_begin(b, r);
    buf_add_str(b, "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]");
    write_chunk_end(b, r);
}

void api_write_delta(struct buf *b, const struct api_reply *r, const char *field, struct span text)
{
    write_chunk_begin(b, r);
    buf_printf(b, "{\"index\":0,\"delta\":{\"%s\":", field);
    buf_add_json(b, text);
    buf_add_str(b, "},\"finish_reason\":null}]");
    write_chunk_end(b, r);
}

void api_write_finish(struct buf *b, const struct api_reply *r, const struct job *j)
{
    write_chunk_begin(b, r);
    buf_printf(b, "{\"index\":0,\"delta\":{},\"finish_reason\":\"%s\"}]", finish_reason(j));
    write_chunk_end(b, r);
    if (r->include_usage) {
        write_chunk_begin(b, r);
        buf_add_str(b, "],");
        write_usage(b, j);
        buf_add_str(b, "}\n\n");
    }
    buf_add_str(b, "data: [DONE]\n\n");
}

void api_write_stream_error(struct buf *b, const struct api_error *e)
{
    buf_add_str(b, "data: ");
    api_write_error(b, e);
    buf_add_str(b, "\n\n");
}

void api_write_tokens(struct buf *b, const struct job *j, size_t context)
{
    buf_printf(b, "{\"count\":%zu,\"max_model_len\":%zu,\"tokens\":[", j->ids.n, context);
    for (size_t i = 0; i < j->ids.n; i++)
        buf_printf(b, i ? ",%d" : "%d", j->ids.p[i]);
    buf_add_str(b, "]}");
}

void api_write_model(struct buf *b, const char *name, int64_t created_s, size_t context)
{
    buf_add_str(b, "{\"id\":");
    buf_add_json(b, span_str(name));
    buf_printf(b, ",\"object\":\"model\",\"created\":%lld,\"owned_by\":\"tollgate\",\"max_model_len\":%zu}",
               (long long)created_s, context);
}
