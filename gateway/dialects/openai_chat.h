/* openai_chat.h - the OpenAI Chat Completions dialect: reading a request, and the answers of a host that speaks it.
 *
 * Wire facts: https://platform.openai.com/docs/api-reference/chat and the behaviour of compatible hosts; each field is
 * checked as far as the gateway knows it, also where the body then passes unchanged. Unknown fields pass untouched. */
#ifndef TOLLGATE_GATEWAY_OPENAI_CHAT_H
#define TOLLGATE_GATEWAY_OPENAI_CHAT_H

#include "base/arena.h"
#include "gateway/dialects/chat.h"
#include "gateway/dialects/fault.h"

/* Called with each piece of text of the conversation, escapes undone, for the features. `role` is the message's.
 * `text` lives until it returns. */
typedef void (*openai_chat_text)(void *ctx, struct span role, struct span text);

/* Reads a scanned body. False: `fault` says what is wrong and where. Strings that need unescaping are cut at 64 KiB for
 * `on_text`: features look at the beginning of a long text, not at all of it. */
bool openai_chat_parse(struct span body, struct arena *arena, struct chat *chat, openai_chat_text on_text, void *ctx,
                       struct fault *fault);

/* The body for one upstream call, as pieces that point into the caller's body and the arena. */
struct openai_chat_changes {
    struct span model;                 /* the upstream's name for it */
    bool want_usage;                   /* set stream_options.include_usage */
    int64_t max_tokens;                /* cap to send when > 0 and the caller named none, or one above it */
    const char *max_tokens_field;      /* "max_tokens" or "max_completion_tokens": what the host knows */
};
#define OPENAI_CHAT_PIECES_MAX 16
/* Number of pieces, 0 when the arena is full. */
size_t openai_chat_body(const struct chat *chat, const struct openai_chat_changes *changes, struct arena *arena,
                        struct span pieces[OPENAI_CHAT_PIECES_MAX]);

#endif
