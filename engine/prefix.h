/* prefix.h - sequences that are kept after use, so that a prompt that begins like one of them is not computed again.
 *
 * A sequence of this architecture cannot be cut back far (its window and compressors have moved on), so an entry
 * serves a prompt that begins with all of its ids, give or take the last few. Least recently used goes first. */
#ifndef TOLLGATE_ENGINE_PREFIX_H
#define TOLLGATE_ENGINE_PREFIX_H

#include "engine/lm.h"

#define PREFIX_ENTRIES_MAX 256
#define PREFIX_SHORTEST 16     /* ids: below it a copy costs about what computing costs */

struct prefix_entry {
    struct lm_seq *seq;
    int32_t *ids;
    size_t n;
    size_t bytes;
    uint64_t used;             /* the cache's count of uses at the last one */
};

struct prefix_cache {
    const struct lm *lm;       /* borrowed */
    struct prefix_entry list[PREFIX_ENTRIES_MAX];
    size_t n;
    size_t entries_max;        /* 0: nothing is kept */
    size_t bytes, bytes_max;
    uint64_t uses;
};

void prefix_init(struct prefix_cache *c, const struct lm *lm, size_t entries_max, size_t bytes_max);
void prefix_free(struct prefix_cache *c);

/* A new sequence that holds the first *have of ids[n], the most that any entry gives, at most n - 1, so that there is
 * an id left to compute. NULL with *have 0 when no entry helps. The caller owns it. */
struct lm_seq *prefix_find(struct prefix_cache *c, const int32_t *ids, size_t n, size_t *have);
/* Keeps `seq`, which holds ids[n], or frees it; owns it from here on either way. */
void prefix_keep(struct prefix_cache *c, struct lm_seq *seq, const int32_t *ids, size_t n);
/* Keeps a copy of `seq`. */
void prefix_keep_copy(struct prefix_cache *c, const struct lm_seq *seq, const int32_t *ids, size_t n);

#endif
