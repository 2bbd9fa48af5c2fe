/* openai_parse.h - what the files that read a Chat request share: openai_request.c (the outermost members), openai_messages.c,
 * openai_tools.c. */
#ifndef TOLLGATE_GATEWAY_OPENAI_PARSE_H
#define TOLLGATE_GATEWAY_OPENAI_PARSE_H

#include "gateway/dialects/openai.h"
#include "gateway/dialects/reading.h"

enum openai_place { AFTER_OTHER, AFTER_CALLS };    /* of a message: may a tool's result stand here? */

struct openai_parse {
    struct reading r;
    struct chat *chat;
    struct arena *arena;
    struct openai_places *places;
    struct chat_turn *turn;            /* being read */
    struct chat_item *result;          /* of a tool, being read; NULL: items go to the turn */
    enum openai_place place;
    bool results;                      /* there are calls or results: their order is to be checked */
    bool thinking_keys;                /* the caller knows DeepSeek's keys: it can be shown the reasoning */
    bool audio_out;
    size_t unknown;
};

/* All return false with a fault set, as reading.h does. */
bool openai_parse_messages(struct openai_parse *p, struct span messages);
/* `field`: "tools", or the "functions" of 2023, which are bare functions; they pass, and are known to the checks. */
bool openai_parse_tools(struct openai_parse *p, const char *field, struct span tools);
bool openai_parse_choice(struct openai_parse *p, struct span v);
/* When all members are read: are the tools that are named there? */
bool openai_check_choice(struct openai_parse *p);

/* Something of this dialect alone. */
bool openai_foreign(struct openai_parse *p, struct span name, enum foreign_kind kind);
/* ... at the place where we are; `field` "" is the place itself. */
bool openai_foreign_here(struct openai_parse *p, const char *field, enum foreign_kind kind);
/* Cache marks: OpenAI's own breakpoint, and cache_control as hosts took it over from Anthropic. `cache` may be NULL. */
void openai_mark(struct openai_parse *p, enum cache_mark *cache, struct span breakpoint, struct span control);

#endif
