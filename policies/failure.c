/* failure.c - raw facts of an attempt to one class; a class to its remedy. Two tables and a switch, nothing else. */
#include "policies/failure.h"

struct class {
    const char *name;
    enum remedy remedy;
    bool outage;
};

static const struct class classes[FAILURE_COUNT] = {
    [FAILURE_NONE]         = { "none",         REMEDY_STOP,      false },
    [FAILURE_CONNECT]      = { "connect",      REMEDY_HERE,      true },
    [FAILURE_RESET]        = { "reset",        REMEDY_HERE,      true },
    [FAILURE_TIMEOUT]      = { "timeout",      REMEDY_HERE,      true },
    [FAILURE_TRUNCATED]    = { "truncated",    REMEDY_HERE,      true },
    [FAILURE_MALFORMED]    = { "malformed",    REMEDY_HERE,      true },
    [FAILURE_SERVER]       = { "server",       REMEDY_HERE,      true },
    [FAILURE_OVERLOADED]   = { "overloaded",   REMEDY_WAIT,      true },
    [FAILURE_RATE_LIMITED] = { "rate_limited", REMEDY_WAIT,      false },
    [FAILURE_QUOTA]        = { "quota",        REMEDY_PROVIDER,  false },
    [FAILURE_CREDENTIAL]   = { "credential",   REMEDY_PROVIDER,  false },
    [FAILURE_MODEL]        = { "model",        REMEDY_ELSEWHERE, false },
    [FAILURE_CONTEXT]      = { "context",      REMEDY_LARGER,    false },
    [FAILURE_FILTERED]     = { "filtered",     REMEDY_ELSEWHERE, false },
    [FAILURE_CALLER]       = { "caller",       REMEDY_STOP,      false },
    [FAILURE_LOCAL]        = { "local",        REMEDY_ELSEWHERE, false },
};

const char *failure_name(enum failure f)
{
    return classes[f].name;
}

enum remedy failure_remedy(enum failure f)
{
    return classes[f].remedy;
}

bool failure_is_outage(enum failure f)
{
    return classes[f].outage;
}

static bool any_is(const struct outcome *o, const char *word)
{
    return span_eq_nocase(o->error_code, span_str(word)) || span_eq_nocase(o->error_type, span_str(word));
}

/* Hosts that set no code say it in words. ASCII, any case; `needle` in lower case. */
static bool says(struct span text, const char *needle)
{
    const size_t n = strlen(needle);

    text = span_first(text, 2000);
    for (size_t i = 0; i + n <= text.n; i++)
        if (span_eq_nocase((struct span){ text.p + i, n }, (struct span){ needle, n }))
            return true;
    return false;
}

/* Wordings of OpenAI, DeepSeek, vLLM, llama.cpp, Mistral and Anthropic for a prompt above the window. */
static bool is_context(const struct outcome *o)
{
    static const char *const words[] = {
        "maximum context length", "context length exceeded", "exceeds the context", "context window",
        "prompt is too long", "too many tokens", "exceed context", "exceeds the available context",
        "maximum model length", "larger than the context",
    };

    if (any_is(o, "context_length_exceeded") || any_is(o, "exceed_context_size_error"))
        return true;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (says(o->error_message, words[i]))
            return true;
    return false;
}

static bool is_quota(const struct outcome *o)
{
    return any_is(o, "insufficient_quota") || any_is(o, "billing_error") || any_is(o, "billing_hard_limit_reached") ||
           any_is(o, "insufficient_balance") || says(o->error_message, "insufficient balance") ||
           says(o->error_message, "exceeded your current quota") || says(o->error_message, "credit balance is too low");
}

static bool is_filtered(const struct outcome *o)
{
    return any_is(o, "content_policy_violation") || any_is(o, "content_filter") || any_is(o, "invalid_prompt") ||
           any_is(o, "responsibleaipolicyviolation") || says(o->error_message, "content exists risk");
}

static enum failure classify_400(const struct outcome *o)
{
    if (is_context(o))
        return FAILURE_CONTEXT;
    if (is_filtered(o))
        return FAILURE_FILTERED;
    if (is_quota(o))    /* Anthropic: 400 "Your credit balance is too low" */
        return FAILURE_QUOTA;
    if (any_is(o, "model_not_found"))
        return FAILURE_MODEL;
    if (any_is(o, "invalid_api_key") || any_is(o, "authentication_error"))
        return FAILURE_CREDENTIAL;
    return FAILURE_CALLER;
}

/* An error object where an answer was due: inside a stream, or under a 200. */
static enum failure classify_error_under_200(const struct outcome *o)
{
    if (any_is(o, "overloaded_error") || any_is(o, "overloaded") || any_is(o, "slow_down"))
        return FAILURE_OVERLOADED;
    if (is_quota(o))
        return FAILURE_QUOTA;
    if (any_is(o, "rate_limit_exceeded") || any_is(o, "rate_limit_error"))
        return FAILURE_RATE_LIMITED;
    if (is_context(o))
        return FAILURE_CONTEXT;
    if (is_filtered(o))
        return FAILURE_FILTERED;
    return FAILURE_SERVER;
}

static enum failure classify_status(const struct outcome *o)
{
    switch (o->status) {
    case 400: case 413: case 422: return classify_400(o);
    case 401: return FAILURE_CREDENTIAL;
    case 402: return FAILURE_QUOTA;
    case 403:
        return any_is(o, "model_not_found") ? FAILURE_MODEL : is_filtered(o) ? FAILURE_FILTERED : FAILURE_CREDENTIAL;
    case 404: return FAILURE_MODEL;
    case 408: case 409: case 425: return FAILURE_SERVER;
    case 429: return is_quota(o) ? FAILURE_QUOTA : FAILURE_RATE_LIMITED;
    case 503: case 529: return FAILURE_OVERLOADED;
    default: break;
    }
    if (o->status >= 500)
        return FAILURE_SERVER;
    if (o->status >= 400)
        return FAILURE_CALLER;
    return FAILURE_MALFORMED;    /* 1xx and 3xx: redirects are off, and no API of ours answers so */
}

enum failure failure_classify(const struct outcome *o)
{
    switch (o->transport) {
    case TRANSPORT_CONNECT: case TRANSPORT_TLS: return FAILURE_CONNECT;
    case TRANSPORT_TIMEOUT_CONNECT: case TRANSPORT_TIMEOUT_FIRST_BYTE:
    case TRANSPORT_TIMEOUT_IDLE: case TRANSPORT_TIMEOUT_TOTAL: return FAILURE_TIMEOUT;
    case TRANSPORT_RESET: return FAILURE_RESET;
    case TRANSPORT_TRUNCATED: return FAILURE_TRUNCATED;
    case TRANSPORT_MALFORMED:
        return o->status >= 300 ? classify_status(o) : FAILURE_MALFORMED;    /* a proxy's HTML with its 502 */
    case TRANSPORT_LOCAL: return FAILURE_LOCAL;
    case TRANSPORT_OK: break;
    }
    if (o->status < 200 || o->status > 299)
        return classify_status(o);
    if (o->error_type.p || o->error_code.p || o->error_message.p)
        return classify_error_under_200(o);
    return FAILURE_NONE;
}
