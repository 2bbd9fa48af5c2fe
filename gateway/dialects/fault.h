/* fault.h - what a caller is told when there is no answer, in the shape of its dialect.
 *
 * A fault is filled where the trouble is found and rendered once, by reply.c. Wire facts: openai-chat section 8. */
#ifndef TOLLGATE_GATEWAY_FAULT_H
#define TOLLGATE_GATEWAY_FAULT_H

#include "base/buf.h"

struct fault {
    int status;                /* HTTP; 0 = no fault */
    const char *type;          /* "invalid_request_error"; static */
    const char *code;          /* "model_not_found", NULL: JSON null; static */
    char param[160];           /* "messages[2].role", "" : JSON null */
    char message[768];         /* for people: what is wrong, what would be right */
    int64_t retry_after_ms;    /* > 0: a Retry-After header, in whole seconds rounded up */
    bool no_retry;             /* x-should-retry: false. Never beside Retry-After. */
};

/* Sets all of it; `param` may be NULL. Returns false, so that a parser can `return fault_set(...)`. */
bool fault_set(struct fault *f, int status, const char *type, const char *code, const char *param, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));
/* 400 invalid_request_error. */
#define fault_bad(f, code, param, ...) fault_set((f), 400, "invalid_request_error", (code), (param), __VA_ARGS__)

/* As a JSON string: what is no UTF-8 in it becomes U+FFFD. */
void fault_add_text(struct buf *out, const char *text);
/* {"error":{"message","type","param","code"}} */
void fault_render_openai(const struct fault *f, struct buf *out);

#endif
