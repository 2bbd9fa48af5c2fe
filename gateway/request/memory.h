/* memory.h - what the gateway remembers of its answers, for callers whose next request counts on it.
 *
 * Reasoning behind tool calls. Some providers refuse the next turn of a tool loop unless the reasoning that led to the calls
 * comes back: DeepSeek's reasoning_content, Claude's signed thinking, Gemini's thought signatures (wire/translation section 5;
 * musistudio/claude-code-router#1050, decolua/9router#1786 and #2400: tool loops died with 400). A caller that speaks another
 * dialect has no place for it. So it is kept under the id of the first call of the turn, and put back into the neutral form
 * when that id comes again.
 *
 * Items of answers. A client of the Responses dialect may send the id of an item instead of the item, as OpenAI stores them
 * unless told not to (`store`). Those that the gateway wrote itself, from an answer in another dialect, nobody else has: they
 * are kept under their id (dialect.h, writer_items) and found when a request refers to them (struct recall).
 *
 * All of it within the caller's own key. Bounded: at most `max_bytes` in all (what was not asked for the longest goes first)
 * and MEMORY_LIFE_MS since it was kept or last asked for. Lost with the process: reasoning is then written as its provider
 * accepts it ("" or a constant), an item is asked of the caller. Any thread; a short mutex. */
#ifndef TOLLGATE_GATEWAY_MEMORY_H
#define TOLLGATE_GATEWAY_MEMORY_H

#include "gateway/dialects/chat.h"
#include "gateway/dialects/draft.h"

#define MEMORY_LIFE_MS (24 * 3600 * 1000LL)
#define MEMORY_BYTES_MAX (64u << 20)
#define MEMORY_ENTRY_MAX (1u << 20)    /* the reasoning of one turn, or one item: what is longer is not kept */

struct memory;

struct memory *memory_new(size_t max_bytes);
void memory_free(struct memory *m);

/* `owner` is the id of the caller's key, in all of these. */

/* Remembers what led to the draft's calls, if there is anything. */
void memory_keep_thinking(struct memory *m, struct span owner, const struct draft *d, enum family family, int64_t now_ms);
/* Puts back what is known of each assistant turn that calls tools and brought no reasoning of its own. False: the arena is
 * full. */
bool memory_restore_thinking(struct memory *m, struct span owner, struct chat *chat, struct arena *arena, int64_t now_ms);

void memory_keep_item(struct memory *m, struct span owner, struct span id, struct span json, int64_t now_ms);
/* *json is a copy in the arena; SPAN_NONE: it is not known, or not any more. False: the arena is full. */
bool memory_find_item(struct memory *m, struct span owner, struct span id, struct arena *arena, int64_t now_ms,
                      struct span *json);

#endif
