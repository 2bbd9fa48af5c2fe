/* chat.h - what a caller asks, whatever dialect it spoke: the neutral form between dialects, features and providers.
 *
 * In this version both sides speak the OpenAI dialect, so that a body passes byte for byte but for what must change;
 * the neutral form therefore holds facts and places rather than a copy. All spans point into the body or the arena. */
#ifndef TOLLGATE_GATEWAY_CHAT_H
#define TOLLGATE_GATEWAY_CHAT_H

#include "base/arena.h"
#include "base/span.h"

#define CHAT_TOOLS_MAX 128

struct chat {
    struct span body;                  /* the text as it came, pre-scanned */
    struct span model;                 /* as asked, escapes undone */
    bool stream;
    bool usage_asked;                  /* stream_options.include_usage */
    int64_t max_tokens;                /* the caller's own cap, in either spelling; 0 = none */
    int64_t n;                         /* choices, 1 when not said */
    bool json_asked;                   /* response_format json_object or json_schema */
    bool stops;                        /* stop sequences are named: an answer may end anywhere */
    struct span json_schema;           /* raw value of the schema; SPAN_NONE */
    bool cache_marks;                  /* prompt_cache_breakpoint somewhere: a write premium may come */

    struct span *tool_names;           /* [n_tools]: functions and custom tools on offer; in the arena */
    struct span *tool_schemas;         /* raw value of parameters; SPAN_NONE */
    size_t n_tools;

    size_t n_messages;
    size_t n_user_turns;
    size_t text_bytes;                 /* of messages and of a response schema, as written (escapes only add) */
    size_t tool_bytes;                 /* of the tools, as written */
    struct span service_tier;          /* as asked; SPAN_NONE */
    size_t n_images, n_audio, n_files; /* parts that are no text */

    /* Places in `body` that an upstream call may have to change; SPAN_NONE when the member is absent. */
    struct span model_at, stream_options_at, max_tokens_at, max_completion_tokens_at;
    size_t end_at;                     /* offset of the outermost closing brace: new members go before it */
    bool empty_object;                 /* no member at all before end_at */
};

#endif
