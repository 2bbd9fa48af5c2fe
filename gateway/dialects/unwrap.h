/* unwrap.h - OpenAI's custom tools at hosts that have only functions: the tool goes out as a function with one string property
 * `input`, and the free text comes back out of {"input":"..."} here, piece by piece (wire/translation section 2).
 *
 * Text that is not wrapped so (a model that ignores the schema) passes as it is: the caller asked for free text. */
#ifndef TOLLGATE_GATEWAY_UNWRAP_H
#define TOLLGATE_GATEWAY_UNWRAP_H

#include "base/buf.h"

/* The schema of such a function, and its one property. */
#define UNWRAP_SCHEMA \
    "{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\"}},\"required\":[\"input\"],\"additionalProperties\":false}"

enum unwrap_state { UNWRAP_BEFORE, UNWRAP_INSIDE, UNWRAP_BEHIND, UNWRAP_PLAIN };

/* Zeroed: ready. */
struct unwrap {
    enum unwrap_state state;
    struct buf held;           /* JSON text that cannot be told yet: a beginning of the wrapping, an escape that is cut */
};

void unwrap_free(struct unwrap *u);
/* `raw`: a piece of the arguments, the body of a string that holds JSON text. Appends to `out` what it adds to the free text, as
 * the body of a JSON string again. False: no memory. */
bool unwrap_feed(struct unwrap *u, struct span raw, struct buf *out);

#endif
