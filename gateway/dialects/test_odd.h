/* test_odd.h - for tests: a document with each of its values, one at a time, replaced by every other kind of value. What reads
 * callers and providers must take any of them for what it is, and never fall over it. */
#ifndef TOLLGATE_GATEWAY_TEST_ODD_H
#define TOLLGATE_GATEWAY_TEST_ODD_H

#include "base/buf.h"
#include "base/jscan.h"

typedef void (*odd_fn)(void *ctx, struct span json);

static void odd_value(struct span whole, struct span value, odd_fn fn, void *ctx)
{
    static const char *const odd[] = { "null", "true", "-7", "1e999", "9223372036854775808", "\"\"", "\"\\u0000\\ud83d\\ude00\"",
                                       "[]", "[null]", "[[[]]]", "{}", "{\"\":{}}", "\"data:;base64,\"" };
    const size_t at = (size_t)(value.p - whole.p);

    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        struct buf b;

        buf_init(&b, 1u << 20);
        buf_add_span(&b, span_first(whole, at));
        buf_add_str(&b, odd[i]);
        buf_add_span(&b, span_skip(whole, at + value.n));
        fn(ctx, buf_span(&b));
        buf_free(&b);
    }
    if (jval_type(value) == JTYPE_OBJECT || jval_type(value) == JTYPE_ARRAY)
        for (struct jiter it = jiter_begin(value); jiter_next(&it);)
            odd_value(whole, it.value, fn, ctx);
}

static inline void odd_each(const char *json, odd_fn fn, void *ctx)
{
    odd_value(span_str(json), span_str(json), fn, ctx);
}

#endif
