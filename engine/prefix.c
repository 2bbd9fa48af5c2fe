/* prefix.c - a short list, searched whole: a few dozen comparisons of ids are nothing beside one step of a model. */
#include "engine/prefix.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* How far back an entry may be cut. The model says in the end; trying costs a copy, so only near ends are tried. */
#define CUT_MAX 4

void prefix_init(struct prefix_cache *c, const struct lm *lm, size_t entries_max, size_t bytes_max)
{
    *c = (struct prefix_cache){ .lm = lm, .entries_max = entries_max, .bytes_max = bytes_max };
    assert(entries_max <= PREFIX_ENTRIES_MAX);
}

static void entry_drop(struct prefix_cache *c, size_t i)
{
    c->bytes -= c->list[i].bytes;
    c->lm->seq_free(c->lm->self, c->list[i].seq);
    free(c->list[i].ids);
    c->list[i] = c->list[--c->n];
}

void prefix_free(struct prefix_cache *c)
{
    while (c->n)
        entry_drop(c, c->n - 1);
}

/* How many of ids[n] the entry can give, at most n - 1. */
static size_t entry_gives(const struct prefix_entry *e, const int32_t *ids, size_t n)
{
    size_t same = 0;

    while (same < e->n && same + 1 < n && e->ids[same] == ids[same])
        same++;
    return same >= PREFIX_SHORTEST && e->n - same <= CUT_MAX ? same : 0;
}

struct lm_seq *prefix_find(struct prefix_cache *c, const int32_t *ids, size_t n, size_t *have)
{
    size_t below = SIZE_MAX;    /* entries that give this much or more have been tried in vain */

    *have = 0;
    for (;;) {
        struct prefix_entry *best = NULL;
        struct lm_seq *seq;
        size_t most = 0;

        for (size_t i = 0; i < c->n; i++) {
            const size_t gives = entry_gives(&c->list[i], ids, n);

            /* Of two that give as much, the one that need not be cut. */
            if (gives < below && (gives > most || (best && gives == most && c->list[i].n == gives))) {
                most = gives;
                best = &c->list[i];
            }
        }
        if (!best)
            return NULL;
        below = most;
        seq = c->lm->seq_clone(c->lm->self, best->seq);
        if (seq && best->n > most && !c->lm->seq_truncate(c->lm->self, seq, most)) {
            c->lm->seq_free(c->lm->self, seq);
            continue;
        }
        if (!seq)
            return NULL;
        best->used = ++c->uses;
        *have = most;
        return seq;
    }
}

static void oldest_drop(struct prefix_cache *c)
{
    size_t oldest = 0;

    for (size_t i = 1; i < c->n; i++)
        if (c->list[i].used < c->list[oldest].used)
            oldest = i;
    entry_drop(c, oldest);
}

static bool is_kept(struct prefix_cache *c, const int32_t *ids, size_t n)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->list[i].n == n && memcmp(c->list[i].ids, ids, n * sizeof *ids) == 0) {
            c->list[i].used = ++c->uses;
            return true;
        }
    return false;
}

void prefix_keep(struct prefix_cache *c, struct lm_seq *seq, const int32_t *ids, size_t n)
{
    const size_t bytes = c->lm->seq_bytes(c->lm->self, seq) + n * sizeof *ids;
    int32_t *copy = NULL;

    if (n >= PREFIX_SHORTEST && c->entries_max && bytes <= c->bytes_max && !is_kept(c, ids, n))
        copy = malloc(n * sizeof *ids);
    if (!copy) {
        c->lm->seq_free(c->lm->self, seq);
        return;
    }
    while (c->n == c->entries_max || c->bytes + bytes > c->bytes_max)
        oldest_drop(c);
    memcpy(copy, ids, n * sizeof *ids);
    c->list[c->n++] = (struct prefix_entry){ seq, copy, n, bytes, ++c->uses };
    c->bytes += bytes;
}

void prefix_keep_copy(struct prefix_cache *c, const struct lm_seq *seq, const int32_t *ids, size_t n)
{
    struct lm_seq *copy;

    if (n < PREFIX_SHORTEST || c->entries_max == 0 || is_kept(c, ids, n))
        return;
    copy = c->lm->seq_clone(c->lm->self, seq);
    if (copy)
        prefix_keep(c, copy, ids, n);
}
