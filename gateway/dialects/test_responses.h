/* test_responses.h - what the tests of the Responses dialect share: a request read from a literal, and the neutral form as
 * text. Include it behind cmocka.h. */
#ifndef TOLLGATE_TEST_RESPONSES_H
#define TOLLGATE_TEST_RESPONSES_H

#include <stdio.h>
#include <stdlib.h>

#include "base/jscan.h"
#include "gateway/dialects/openai.h"
#include "gateway/dialects/responses.h"

struct read {
    struct arena arena;
    struct chat chat;
    struct fault fault;
    struct buf texts;          /* as on_text was told: "user=Hi|" */
    bool ok;
};

static inline bool is_json(struct span text)
{
    struct jscan *s = jscan_new(&jscan_default_limits, 7);
    const bool ok = jscan_feed(s, text) != JSCAN_BAD && jscan_end(s) == JSCAN_DONE;

    jscan_free(s);
    return ok;
}

static inline void told(void *ctx, enum chat_role role, struct span text)
{
    static const char *const names[] = { "system", "user", "assistant" };
    struct buf *b = ctx;

    buf_add_str(b, names[role]);
    buf_add_char(b, '=');
    buf_add_span(b, text);
    buf_add_char(b, '|');
}

/* `body` must outlive *r. */
static inline void read_with(struct read *r, const struct dialect *dialect, struct span body, const struct recall *recall)
{
    assert_true(is_json(body));
    arena_init(&r->arena, 8u << 20);
    buf_init(&r->texts, 8u << 20);
    r->fault = (struct fault){ 0 };
    chat_init(&r->chat, dialect->id, body);
    r->ok = dialect->parse(&r->chat, &(struct parse_spec){ .arena = &r->arena, .on_text = told, .ctx = &r->texts,
                                                           .recall = recall, .fault = &r->fault });
    assert_true(r->ok == (r->fault.status == 0));
}

static inline void read_as(struct read *r, const struct dialect *dialect, struct span body)
{
    read_with(r, dialect, body, NULL);
}

static inline void read_body(struct read *r, const char *body)
{
    read_as(r, &responses_dialect, span_str(body));
}

static inline void read_done(struct read *r)
{
    arena_free(&r->arena);
    buf_free(&r->texts);
}

/* ---- the neutral form as text ---- */

static inline void show_items(struct buf *b, const struct chat_item *i)
{
    static const char *const families[] = { "-", "openai", "anthropic", "gemini", "deepseek" };
    static const char *const sources[] = { "bytes", "url", "id", "text" };

    for (; i; i = i->next) {
        switch (i->kind) {
        case ITEM_TEXT: case ITEM_REFUSAL:
            buf_printf(b, "%s(%.*s)", i->kind == ITEM_TEXT ? "text" : "refusal", SPAN_FMT(i->text));
            break;
        case ITEM_IMAGE: case ITEM_AUDIO: case ITEM_FILE:
            buf_printf(b, "%s(%s %.*s %.*s", i->kind == ITEM_IMAGE ? "image" : i->kind == ITEM_AUDIO ? "audio" : "file",
                       sources[i->media.source], SPAN_FMT(i->media.type), SPAN_FMT(i->media.data));
            if (i->media.name_raw.p)
                buf_printf(b, " name=%.*s", SPAN_FMT(i->media.name_raw));
            if (i->media.detail.p)
                buf_printf(b, " detail=%.*s", SPAN_FMT(i->media.detail));
            buf_add_char(b, ')');
            break;
        case ITEM_CALL:
            buf_printf(b, "%s(%.*s %.*s %.*s)", i->call.custom ? "custom" : "call", SPAN_FMT(i->call.id),
                       SPAN_FMT(i->call.name), SPAN_FMT(i->call.arguments_raw));
            break;
        case ITEM_RESULT:
            buf_printf(b, "result(%.*s %.*s: ", SPAN_FMT(i->result.id), SPAN_FMT(i->result.name));
            show_items(b, i->result.parts);
            buf_add_char(b, ')');
            break;
        case ITEM_REASONING:
            buf_printf(b, "reasoning(%.*s %s %.*s%s)", SPAN_FMT(i->text), families[i->family], SPAN_FMT(i->opaque_raw),
                       i->redacted ? " redacted" : "");
            break;
        case ITEM_FOREIGN:
            buf_printf(b, "foreign(%.*s)", SPAN_FMT(i->json));
            break;
        }
        buf_add_str(b, i->cache == CACHE_NONE ? "" : "*");
        buf_add_str(b, i->next ? " " : "");
    }
}

static inline void show_turns(struct buf *b, const struct chat *c)
{
    for (const struct chat_turn *t = c->turns; t; t = t->next) {
        buf_add_str(b, t->developer ? "developer: " : t->role == ROLE_SYSTEM ? "system: " : t->role == ROLE_USER ? "user: "
                                                                                                                : "assistant: ");
        show_items(b, t->items);
        buf_add_str(b, t->next ? " | " : "");
    }
}

static inline void assert_turns(const struct chat *c, const char *expected)
{
    struct buf b;

    buf_init(&b, 1u << 20);
    show_turns(&b, c);
    assert_string_equal(b.p ? b.p : "", expected);
    buf_free(&b);
}

#endif
