/* anthropic_read.h - between the files that read a caller's Messages request, and the one that passes it on. */
#ifndef TOLLGATE_GATEWAY_ANTHROPIC_READ_H
#define TOLLGATE_GATEWAY_ANTHROPIC_READ_H

#include "gateway/dialects/reading.h"

/* chat.places: values within the body, SPAN_NONE where absent. */
struct anthropic_places {
    struct span model, max_tokens, thinking, output_config, messages;
    bool unsigned_thinking;    /* there are thinking blocks that no Claude has signed */
    bool redacted_thinking;
};

/* Foreign things that may come many times are noted once. */
enum anthropic_noted {
    NOTED_BLOCK = 1, NOTED_SERVER_TOOL = 2, NOTED_CITATIONS = 4, NOTED_CONTEXT = 8, NOTED_TOOL_MEMBER = 16, NOTED_CALLER = 32,
};

struct anthropic_reading {
    struct reading r;
    struct anthropic_places *places;
    unsigned noted;
};

/* False: no memory, and the fault says so. `once` 0: each time. */
bool anthropic_note(struct anthropic_reading *a, unsigned once, struct span name, enum foreign_kind kind);
/* A `cache_control`; null is none. */
bool anthropic_read_cache(struct anthropic_reading *a, struct span v, enum cache_mark *out);

/* ---- anthropic_blocks.c ---- */

bool anthropic_read_system(struct anthropic_reading *a, struct span system);
bool anthropic_read_messages(struct anthropic_reading *a, struct span messages);
/* Is the body of a JSON string nothing but white space? Anthropic refuses such texts. */
bool anthropic_blank(struct span raw);
/* Does a URL begin with https: or http:? */
bool anthropic_is_web(struct span raw);

#endif
