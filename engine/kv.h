/* kv.h - what a sequence has seen, as far as attention needs it: windows, compressed entries, unfinished windows.
 *
 * Memory a layer: a ring of the last W keys; for ratio 4 and 128 one entry each `ratio` tokens (ratio 4 also an
 * indexer key); the rows of the compressor's unfinished window. Entries are reserved for the whole context at
 * seq_new but the system gives pages only as they are written. Everything is float32. */
#ifndef TOLLGATE_ENGINE_KV_H
#define TOLLGATE_ENGINE_KV_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/engine.h"

struct seq;    /* used by the thread that uses its engine */

/* Empty, room for `max_context` positions (1..engine_context). NULL: no memory. */
struct seq *seq_new(struct engine *e, int max_context);
void seq_free(struct seq *s);
/* An independent copy (deep), of the same length; its room may differ but not be below the length. NULL: no memory. */
struct seq *seq_clone(const struct seq *s, int max_context);

int seq_length(const struct seq *s);         /* tokens seen: the position of the next one */
int seq_max_context(const struct seq *s);
size_t seq_bytes(const struct seq *s);       /* memory touched, about: for a cache that must bound itself */

/* Forgets tokens from `length` on where that is exact: to 0, or back within what ring and compressors still hold
 * (a few tokens). False, unchanged, where it is not: clone a snapshot at the right length instead. */
bool seq_truncate(struct seq *s, int length);

#endif
