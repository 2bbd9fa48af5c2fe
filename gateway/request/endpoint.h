/* endpoint.h - paths to what they mean, forgiving where people err (DESIGN section 4). */
#ifndef TOLLGATE_GATEWAY_ENDPOINT_H
#define TOLLGATE_GATEWAY_ENDPOINT_H

#include "gateway/dialects/chat.h"

enum endpoint {
    ENDPOINT_UNKNOWN,
    ENDPOINT_ROOT,               /* HEAD or GET /: a client's probe */
    ENDPOINT_HEALTHZ, ENDPOINT_READYZ,
    ENDPOINT_MODELS,             /* list */
    ENDPOINT_MODEL,              /* one; argument is its id, still percent-encoded */
    ENDPOINT_ANSWER,             /* a call for an answer, in `dialect` */
    ENDPOINT_COUNT,              /* how many tokens would it be? In `dialect`; argument is Gemini's model */
    ENDPOINT_TRACE,              /* /v1/tollgate/requests/{id} */
    ENDPOINT_METRICS,            /* admin listener alone */
    ENDPOINT_LATER,              /* known, comes with a later version: argument is the path */
};

struct endpoint_match {
    enum endpoint endpoint;
    enum dialect_id dialect;     /* of ANSWER and COUNT; else the one that the prefix suggests (/v1beta: Gemini) */
    struct span argument;
    bool stream;                 /* Gemini's streamGenerateContent; elsewhere the body says it */
};

/* A missing or repeated version and a whole endpoint pasted as base URL are understood:
 * /chat/completions, /v1/v1/chat/completions, /v1/chat/completions/chat/completions. */
struct endpoint_match endpoint_find(struct span path);
bool endpoint_needs_key(enum endpoint e);
/* "GET" (HEAD too) or "POST". */
const char *endpoint_method(enum endpoint e);

#endif
