/* failure.c - raw facts of an attempt to one class; a class to its remedy. Tables and two switches, nothing else. */
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

/* ---- the provider's words ---- */

static bool any_is(const struct outcome *o, const char *word)
{
    return span_eq_nocase(o->error_code, span_str(word)) || span_eq_nocase(o->error_type, span_str(word));
}

/* ASCII, any case; `needle` in lower case. */
static bool says(struct span text, const char *needle)
{
    const size_t n = strlen(needle);

    text = span_first(text, 2000);
    for (size_t i = 0; i + n <= text.n; i++)
        if (span_eq_nocase((struct span){ text.p + i, n }, (struct span){ needle, n }))
            return true;
    return false;
}

/* Words that name a class: as a type or code, or, of hosts that set none, in the message. NULL ends each list. */
struct words {
    const char *const *codes, *const *texts;
};

static bool has(const struct outcome *o, const struct words *w)
{
    for (size_t i = 0; w->codes[i]; i++)
        if (any_is(o, w->codes[i]))
            return true;
    for (size_t i = 0; w->texts[i]; i++)
        if (says(o->error_message, w->texts[i]))
            return true;
    return false;
}

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* A prompt above the window: OpenAI, DeepSeek, vLLM, llama.cpp, Mistral, Anthropic, Gemini, xAI, Together. */
static const struct words context = {
    LIST("context_length_exceeded", "exceed_context_size_error", "model_context_window_exceeded"),
    LIST("maximum context length", "context length exceeded", "exceeds the context", "context window", "prompt is too long",
         "too many tokens", "exceed context", "exceeds the available context", "maximum model length", "larger than the context",
         "exceeds the maximum number of tokens", "maximum prompt length", "`max_new_tokens` must be"),
};

/* Credit and spend limits, which time does not cure (Anthropic's are told by details.error_code or in words, xAI's by words
 * alone). */
static const struct words quota = {
    LIST("insufficient_quota", "billing_error", "billing_hard_limit_reached", "insufficient_balance", "insufficient_credits",
         "enforced_spend_limit_reached", "contract_spend_limit_reached", "ramp_limit_exceeded"),
    LIST("insufficient balance", "credit balance is too low", "specified api usage limits", "spending limit", "spend limit",
         "have any credits", "insufficient credits", "available credits", "out of credits"),
};

static const struct words filtered = {
    LIST("content_policy_violation", "content_filter", "invalid_prompt", "responsibleaipolicyviolation", "bio_policy",
         "cyber_policy", "image_content_policy_violation", "prohibited_content"),
    LIST("content exists risk", "violates usage guidelines", "safety_check_type"),
};

/* Our key, account or region, where the status does not say so: Gemini and xAI answer a wrong key with 400. */
static const struct words credential = {
    LIST("invalid_api_key", "authentication_error", "permission_error", "api_key_invalid", "unauthenticated", "permission_denied",
         "failed_precondition", "data_residency_mismatch", "unsupported_country_region_territory"),
    LIST("api key not valid", "api key not found", "api key expired", "incorrect api key", "location is not supported"),
};

static const struct words model = {
    LIST("model_not_found", "deploymentnotfound", "not_found_error", "not_found"),
    LIST(NULL),
};

static const struct words overloaded = {
    LIST("overloaded_error", "overloaded", "slow_down", "unavailable", "service_unavailable_error"),
    LIST(NULL),
};

/* What an answer to this very request says about its pictures: another try sends the same (Responses' error.code). */
static const struct words picture = {
    LIST("invalid_image", "invalid_image_format", "invalid_image_mode", "invalid_image_url", "invalid_base64_image",
         "image_parse_error", "image_too_large", "image_too_small", "image_file_too_large", "empty_image_file",
         "unsupported_image_media_type", "failed_to_download_image", "image_file_not_found"),
    LIST(NULL),
};

/* Google's 429 has one status and one text ("exceeded your current quota") for what a minute cures and for a day's quota: the
 * violated quota's id tells (GenerateRequestsPerDayPerProjectPerModel). Elsewhere that text means the credit. */
static bool is_quota(const struct outcome *o)
{
    if (any_is(o, "resource_exhausted"))
        return says(o->error_code, "perday") || says(o->error_message, "perday") || says(o->error_message, "per day") ||
               says(o->error_message, "credits are depleted");
    return has(o, &quota) || says(o->error_message, "exceeded your current quota");
}

/* ---- statuses ---- */

static enum failure classify_400(const struct outcome *o)
{
    if (has(o, &context))
        return FAILURE_CONTEXT;
    if (has(o, &filtered))
        return FAILURE_FILTERED;
    if (is_quota(o))    /* Anthropic: "Your credit balance is too low" (BerriAI/litellm#37592) */
        return FAILURE_QUOTA;
    if (any_is(o, "model_not_found"))
        return FAILURE_MODEL;
    if (has(o, &credential))
        return FAILURE_CREDENTIAL;
    if (any_is(o, "tool_use_failed"))    /* Groq: the model wrote a call that is none; another try may write a better one */
        return FAILURE_MALFORMED;
    return FAILURE_CALLER;
}

/* xAI says with 403 that there is no credit, or that it does not like the prompt. */
static enum failure classify_403(const struct outcome *o)
{
    if (any_is(o, "model_not_found"))
        return FAILURE_MODEL;
    if (has(o, &filtered))
        return FAILURE_FILTERED;
    return is_quota(o) ? FAILURE_QUOTA : FAILURE_CREDENTIAL;
}

static enum failure classify_status(const struct outcome *o)
{
    switch (o->status) {
    case 400: case 413: case 422: return classify_400(o);
    case 401: return FAILURE_CREDENTIAL;
    case 402: return FAILURE_QUOTA;
    case 403: return classify_403(o);
    case 404: return FAILURE_MODEL;
    case 408: case 409: case 425: case 499: return FAILURE_SERVER;    /* 499: Google's CANCELLED, of its own making */
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

/* OpenRouter and Google put the status that it would have been into the object. */
static enum failure classify_number(const struct outcome *o)
{
    struct outcome as = *o;
    uint64_t status;
    enum failure f;

    if (!span_to_u64(o->error_code, 599, &status) || status < 400)
        return FAILURE_SERVER;
    as.status = (int)status;
    f = classify_status(&as);
    return f == FAILURE_CALLER ? FAILURE_SERVER : f;
}

/* An error object where an answer was due: inside a stream, or under a 200. It was begun, so the request was well formed: what
 * has no better class is the provider's (BerriAI/litellm#41777: a cut stream told as invalid_request was never tried again). */
static enum failure classify_error_under_200(const struct outcome *o)
{
    if (has(o, &overloaded))
        return FAILURE_OVERLOADED;
    if (is_quota(o))
        return FAILURE_QUOTA;
    if (any_is(o, "rate_limit_exceeded") || any_is(o, "rate_limit_error") || any_is(o, "resource_exhausted"))
        return FAILURE_RATE_LIMITED;
    if (has(o, &context))
        return FAILURE_CONTEXT;
    if (has(o, &filtered))
        return FAILURE_FILTERED;
    if (has(o, &credential))
        return FAILURE_CREDENTIAL;
    if (has(o, &model))
        return FAILURE_MODEL;
    if (has(o, &picture))
        return FAILURE_CALLER;
    return classify_number(o);
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
