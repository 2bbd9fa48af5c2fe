/* test_anthropic.h - what the tests of the Anthropic dialect share: scanned text, requests being read, targets. Include behind
 * cmocka.h. */
#ifndef TOLLGATE_GATEWAY_TEST_ANTHROPIC_H
#define TOLLGATE_GATEWAY_TEST_ANTHROPIC_H

#include <stdio.h>

#include "base/jscan.h"
#include "gateway/dialects/anthropic.h"

static inline struct span scanned(const char *json)
{
    struct jscan *s = jscan_new(&jscan_default_limits, 7);

    assert_non_null(s);
    if (jscan_feed(s, span_str(json)) == JSCAN_BAD || jscan_end(s) != JSCAN_DONE)
        fail_msg("no JSON: %s in %s", jscan_error(s), json);
    jscan_free(s);
    return span_str(json);
}

static inline void assert_span(struct span got, const char *want)
{
    if (!span_is(got, want))
        fail_msg("'%.*s' instead of '%s'", SPAN_FMT(got), want);
}

static inline void assert_holds(struct span text, const char *part)
{
    if (span_find_span(text, span_str(part)) == text.n)
        fail_msg("no '%s' in '%.*s'", part, SPAN_FMT(text));
}

static inline void assert_lacks(struct span text, const char *part)
{
    if (span_find_span(text, span_str(part)) < text.n)
        fail_msg("'%s' in '%.*s'", part, SPAN_FMT(text));
}

/* A request being read; `bed_free` when it is done. */
struct bed {
    struct arena arena;
    struct chat chat;
    struct fault fault;
    struct buf body;           /* written or passed */
    struct request_out out;
};

static inline void bed_free(struct bed *b)
{
    arena_free(&b->arena);
    buf_free(&b->body);
}

static inline bool bed_parse(struct bed *b, const struct dialect *d, const char *json, chat_on_text on_text, void *ctx)
{
    const struct parse_spec spec = { .arena = &b->arena, .on_text = on_text, .ctx = ctx, .fault = &b->fault };

    *b = (struct bed){ .chat = { .model = SPAN_NONE } };
    arena_init(&b->arena, 8u << 20);
    buf_init(&b->body, 8u << 20);
    chat_init(&b->chat, d->id, scanned(json));
    return d->parse(&b->chat, &spec);
}

static const struct quirks no_quirks = { .supports_json_schema = true };
/* As traits.c has them. */
static const struct traits budget_traits = { .thinking = THINKING_BUDGET, .thinking_off = true, .budget_least = 1024,
                                             .sampling = true, .prefill = true, .stop = true, .url_media = true };
static const struct traits adaptive_traits = { .thinking = THINKING_ADAPTIVE, .thinking_off = true, .stop = true,
                                               .efforts = "low medium high xhigh max", .schema = true, .url_media = true };
static const struct traits both_traits = { .thinking = THINKING_ADAPTIVE, .thinking_off = true, .budget_least = 1024, .stop = true,
                                           .efforts = "low medium high max", .schema = true, .sampling = true,
                                           .url_media = true };
static const struct traits simple_traits = { .thinking = THINKING_NONE, .sampling = true, .prefill = true, .stop = true,
                                             .forced_tools = true };
static const struct traits deepseek_traits = { .thinking = THINKING_DEEPSEEK, .thinking_off = true, .efforts = "low high max",
                                               .sampling = true, .stop = true };

#define TARGET(name, of, kin) { .model = { name, sizeof name - 1 }, .quirks = &no_quirks, .traits = &of, .family = kin, \
                                .max_output = 64000 }
static const struct target to_budget = TARGET("claude-sonnet-4-5", budget_traits, FAMILY_ANTHROPIC);
static const struct target to_adaptive = TARGET("claude-opus-4-7", adaptive_traits, FAMILY_ANTHROPIC);
static const struct target to_both = TARGET("claude-opus-4-6", both_traits, FAMILY_ANTHROPIC);
static const struct target to_simple = TARGET("claude-3-haiku", simple_traits, FAMILY_ANTHROPIC);
static const struct target to_deepseek = TARGET("deepseek-v4-pro", deepseek_traits, FAMILY_DEEPSEEK);
static const struct target *const all_targets[] = { &to_budget, &to_adaptive, &to_both, &to_simple, &to_deepseek };

#endif
