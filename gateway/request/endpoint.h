/* endpoint.h - paths to what they mean, forgiving where people err (DESIGN section 4). */
#ifndef TOLLGATE_GATEWAY_ENDPOINT_H
#define TOLLGATE_GATEWAY_ENDPOINT_H

#include "base/span.h"

enum endpoint {
    ENDPOINT_UNKNOWN,
    ENDPOINT_ROOT,               /* HEAD or GET /: a client's probe */
    ENDPOINT_HEALTHZ, ENDPOINT_READYZ,
    ENDPOINT_MODELS,             /* list */
    ENDPOINT_MODEL,              /* one; argument is its id, still percent-encoded */
    ENDPOINT_CHAT,
    ENDPOINT_TRACE,              /* /v1/tollgate/requests/{id} */
    ENDPOINT_METRICS,            /* admin listener alone */
    ENDPOINT_LATER,              /* known, comes with a later version: argument is the path */
};

/* A missing or repeated "/v1" and a whole endpoint pasted as base URL are understood:
 * /chat/completions, /v1/v1/chat/completions, /v1/chat/completions/chat/completions. */
enum endpoint endpoint_find(struct span path, struct span *argument);
bool endpoint_needs_key(enum endpoint e);
/* "GET" (HEAD too) or "POST". */
const char *endpoint_method(enum endpoint e);

#endif
