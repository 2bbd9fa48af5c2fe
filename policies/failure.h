/* failure.h - why an attempt failed, decided once, and what follows from it.
 *
 * The gateway reports raw facts (struct outcome); failure_classify names the class; failure_remedy says what may be
 * tried next. Sources: the error tables of OpenAI (Chat and Responses), DeepSeek, Anthropic, Google and xAI (wire/openai-chat 8,
 * openai-responses 5, deepseek-and-compatible A6 and C, anthropic-messages 11, gemini-generate 10). Where they put their words:
 *
 *                error_type                         error_code
 *   OpenAI       error.type                         error.code
 *   Anthropic    error.type (overloaded_error...)   error.details.error_code (enforced_spend_limit_reached...)
 *   Google       error.status (RESOURCE_EXHAUSTED)  a detail's reason (API_KEY_INVALID) or violated quotaId (...PerDay...), else
 *                                                   error.code
 *   xAI, flat    -                                  code */
#ifndef TOLLGATE_POLICIES_FAILURE_H
#define TOLLGATE_POLICIES_FAILURE_H

#include "base/span.h"

/* How the transport ended. Anything but TRANSPORT_OK means that no whole answer arrived. */
enum transport {
    TRANSPORT_OK,                  /* a whole HTTP answer, of any status */
    TRANSPORT_CONNECT,             /* no connection: name, route, refused */
    TRANSPORT_TLS,                 /* handshake or certificate */
    TRANSPORT_RESET,               /* closed before a whole answer */
    TRANSPORT_TIMEOUT_CONNECT,
    TRANSPORT_TIMEOUT_FIRST_BYTE,
    TRANSPORT_TIMEOUT_IDLE,
    TRANSPORT_TIMEOUT_TOTAL,
    TRANSPORT_TRUNCATED,           /* a stream that ended without its closing event and finish reason */
    TRANSPORT_MALFORMED,           /* not the dialect: no JSON, wrong shape, too large for us */
    TRANSPORT_LOCAL,               /* our own lack: memory, descriptors */
};

/* What an attempt came to, as observed. Spans live in the request's arena. */
struct outcome {
    enum transport transport;
    int status;                    /* HTTP status, 0 when none arrived */
    int64_t retry_after_ms;        /* from Retry-After or retry-after-ms, as a wait from now; -1 when absent */
    struct span error_type;        /* of the provider's error object, also one inside a stream; SPAN_NONE */
    struct span error_code;        /* unquoted, also where it is a number */
    struct span error_param;
    struct span error_message;     /* shown to the caller only where the fault is the caller's */
};

enum failure {
    FAILURE_NONE,                  /* 2xx and a whole answer: now the checks judge it */
    FAILURE_CONNECT,               /* connect, TLS */
    FAILURE_RESET,
    FAILURE_TIMEOUT,
    FAILURE_TRUNCATED,
    FAILURE_MALFORMED,
    FAILURE_SERVER,                /* 5xx, 408, 409, 425, an error event in a stream without a better class */
    FAILURE_OVERLOADED,            /* 503, 529, insufficient_system_resource */
    FAILURE_RATE_LIMITED,          /* 429 that time cures */
    FAILURE_QUOTA,                 /* 402, 429 insufficient_quota: credit that time does not cure */
    FAILURE_CREDENTIAL,            /* 401, 403: our key, our account, our region */
    FAILURE_MODEL,                 /* 404, or 400 model_not_found: our config names what the host has not */
    FAILURE_CONTEXT,               /* the prompt does not fit the model's window */
    FAILURE_FILTERED,              /* the provider's filter refused the prompt (400 content_policy_violation...) */
    FAILURE_CALLER,                /* 400, 413, 422 and other 4xx: no model will like it better */
    FAILURE_LOCAL,                 /* ours */
    FAILURE_COUNT
};

/* What may be tried after it. */
enum remedy {
    REMEDY_HERE,                   /* the same model again after a short wait, then the next */
    REMEDY_WAIT,                   /* the same model after its Retry-After when that fits, else the next */
    REMEDY_ELSEWHERE,              /* the next model; this one not again */
    REMEDY_PROVIDER,               /* our credential: another provider first */
    REMEDY_LARGER,                 /* only a model with a larger window */
    REMEDY_STOP,                   /* nothing: the answer goes to the caller */
};

enum failure failure_classify(const struct outcome *o);
enum remedy failure_remedy(enum failure f);
/* "connect", "rate_limited", ...: the word behind "failed:" in the ledger's verdict column. */
const char *failure_name(enum failure f);
/* True for what the breaker of health counts: transport failures and 5xx, nothing that is our or the caller's fault. */
bool failure_is_outage(enum failure f);

#endif
