/* test_gemini.h - what the tests of the Gemini dialect share: scanned text, requests being read. Include behind cmocka.h. */
#ifndef TOLLGATE_GATEWAY_TEST_GEMINI_H
#define TOLLGATE_GATEWAY_TEST_GEMINI_H

#include <stdio.h>

#include "base/jscan.h"
#include "gateway/dialects/gemini.h"

static inline struct span scanned(const char *json)
{
    struct jscan *s = jscan_new(&jscan_default_limits, 7);

    assert_non_null(s);
    if (jscan_feed(s, span_str(json)) == JSCAN_BAD || jscan_end(s) != JSCAN_DONE)
        fail_msg("no JSON: %s in %s", jscan_error(s), json);
    jscan_free(s);
    return span_str(json);
}

/* The text of a buf must be JSON and say exactly this. */
static inline void assert_json(const struct buf *b, const char *want)
{
    assert_true(buf_ok(b));
    assert_string_equal(b->p ? b->p : "", want);
    scanned(b->p);
}

static inline void assert_span(struct span got, const char *want)
{
    if (!span_is(got, want))
        fail_msg("'%.*s' instead of '%s'", SPAN_FMT(got), want);
}

static const struct traits gemini_3 = { .thinking = THINKING_LEVEL, .efforts = "minimal low medium high", .sampling = true,
                                        .penalties = true, .stop = true, .schema = true, .url_media = true };
static const struct traits gemini_25 = { .thinking = THINKING_BUDGET, .budget_least = 128, .budget_most = 32768, .sampling = true,
                                         .penalties = true, .stop = true, .schema = true };
static const struct traits gemini_20 = { .thinking = THINKING_NONE, .sampling = true, .stop = true };

static const struct target to_3 = { .model = { "gemini-3-flash", 14 }, .traits = &gemini_3, .family = FAMILY_GEMINI,
                                    .max_output = 65536 };
static const struct target to_25 = { .model = { "gemini-2.5-pro", 14 }, .traits = &gemini_25, .family = FAMILY_GEMINI,
                                     .max_output = 65536 };
static const struct target to_20 = { .model = { "gemini-2.0-x", 12 }, .traits = &gemini_20, .family = FAMILY_GEMINI,
                                     .max_output = 8192 };

#endif
