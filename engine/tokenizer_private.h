/* tokenizer_private.h - what a loaded tokenizer is made of; for tokenizer.c and tokenizer_file.c only. */
#ifndef TOLLGATE_ENGINE_TOKENIZER_PRIVATE_H
#define TOLLGATE_ENGINE_TOKENIZER_PRIVATE_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/arena.h"
#include "engine/tokenizer.h"

#define TOKENIZER_RULES 3

struct merge {
    uint64_t pair;             /* left id << 32 | right id; MERGE_NONE: an empty place */
    uint32_t rank;             /* place in the file's list, lowest first */
    int32_t id;                /* what the pair becomes */
};
#define MERGE_NONE UINT64_MAX

struct tokenizer {
    struct arena arena;        /* the texts */
    struct span *texts;        /* [size] raw bytes; SPAN_NONE for an id that the file does not have */
    bool *is_added;            /* [size] */
    size_t size;
    size_t longest;            /* bytes of a text */
    int32_t byte_ids[256];
    struct merge *merges;      /* open addressing, merges_mask + 1 places, at most half full */
    size_t merges_mask;
    int32_t *added;            /* [n_added] ids, longest text first */
    size_t n_added;
    bool added_first[256];     /* bytes that an added token begins with */
    pcre2_code *rules[TOKENIZER_RULES];
    pcre2_code *check;         /* matches at once: only there so that PCRE2 checks a text's UTF-8 */
};

static inline size_t tokenizer_merge_hash(uint64_t pair)
{
    return (size_t)(pair * 0x9e3779b97f4a7c15u >> 32);    /* Fibonacci hashing: ids are small and close together */
}

static inline const struct merge *tokenizer_merge(const struct tokenizer *t, int32_t left, int32_t right)
{
    const uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    size_t i = tokenizer_merge_hash(pair) & t->merges_mask;

    while (t->merges[i].pair != pair) {
        if (t->merges[i].pair == MERGE_NONE)
            return NULL;
        i = (i + 1) & t->merges_mask;
    }
    return &t->merges[i];
}

#endif
