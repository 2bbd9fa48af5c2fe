/* retry_after.h - for how long a provider wants to be left alone, from the headers of an answer. Pure.
 *
 * Sources: RFC 9110 10.2.3 (Retry-After), openai-chat 8 and 9 (retry-after-ms; x-ratelimit-reset-* as Go durations),
 * anthropic-messages 12 (anthropic-ratelimit-*-reset as RFC 3339 times). */
#ifndef TOLLGATE_GATEWAY_UPSTREAM_RETRY_AFTER_H
#define TOLLGATE_GATEWAY_UPSTREAM_RETRY_AFTER_H

#include "base/span.h"

/* A header of the answer by its name in any case; SPAN_NONE when absent. */
typedef struct span (*retry_after_header)(const void *ctx, const char *name);

/* Milliseconds from now, capped to a day: `retry-after-ms`, else `retry-after` (seconds or a date), else, of a 429, when the
 * limit that is used up is full again. Of several that are used up the last to be full counts; when none says so, the first
 * to be full, since a limit of tokens may have some left and yet too few. `wall_ms` is UTC. False when nothing can be read. */
bool retry_after_read(retry_after_header get, const void *ctx, int status, int64_t wall_ms, int64_t *out_ms);

#endif
