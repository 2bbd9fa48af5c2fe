/* thinking.h - the reasoning behind tool calls, kept for callers whose dialect cannot carry it.
 *
 * Some providers refuse the next turn of a tool loop unless the reasoning that led to the calls comes back: DeepSeek's
 * reasoning_content, Claude's signed thinking, Gemini's thought signatures (wire/translation section 5;
 * musistudio/claude-code-router#1050, decolua/9router#1786 and #2400: tool loops died with 400). A caller that speaks another
 * dialect has no place for it. So the gateway remembers it under the id of the first call of the turn, within the caller's
 * own key, and puts it back into the neutral form when that id comes again.
 *
 * Bounded: at most `max_bytes` in all (the oldest goes first) and THINKING_LIFE_MS each. Lost with the process: the dialects
 * then write what their provider accepts instead ("" or a constant). Any thread; a short mutex. */
#ifndef TOLLGATE_GATEWAY_THINKING_H
#define TOLLGATE_GATEWAY_THINKING_H

#include "gateway/dialects/chat.h"
#include "gateway/dialects/draft.h"

#define THINKING_LIFE_MS (24 * 3600 * 1000LL)
#define THINKING_BYTES_MAX (64u << 20)
#define THINKING_ENTRY_MAX (1u << 20)    /* of one turn: more is not kept */

struct thinking;

struct thinking *thinking_new(size_t max_bytes);
void thinking_free(struct thinking *t);

/* Remembers what led to the draft's calls, if there is anything. `owner` is the key's id. */
void thinking_keep(struct thinking *t, struct span owner, const struct draft *d, enum family family, int64_t now_ms);
/* Puts back what is known of each assistant turn that calls tools and brought no reasoning of its own. False: the arena is
 * full. */
bool thinking_restore(struct thinking *t, struct span owner, struct chat *chat, struct arena *arena, int64_t now_ms);

#endif
