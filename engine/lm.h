/* lm.h - a language model as the scheduler sees it: sequences that are stepped together. The seam between serving
 * (worker.c) and computing (forward.c), so that tests of the one need nothing of the other. */
#ifndef TOLLGATE_ENGINE_LM_H
#define TOLLGATE_ENGINE_LM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lm_seq;

/* `n` ids (1 at least) that follow in one sequence. */
struct lm_piece {
    struct lm_seq *seq;
    const int32_t *ids;
    size_t n;
    bool wants_logits;     /* after the piece's last id */
};

/* Called by one thread only. `self` is the model's. */
struct lm {
    void *self;
    size_t vocab;
    size_t context;        /* most ids of one sequence */
    /* An empty sequence; NULL without memory. */
    struct lm_seq *(*seq_new)(void *self);
    /* A copy in the same state; NULL without memory. */
    struct lm_seq *(*seq_clone)(void *self, const struct lm_seq *seq);
    void (*seq_free)(void *self, struct lm_seq *seq);
    size_t (*seq_bytes)(void *self, const struct lm_seq *seq);
    /* Forgets all but the first `length` ids; false, unchanged, where the model cannot. */
    bool (*seq_truncate)(void *self, struct lm_seq *seq, size_t length);
    /* Appends every piece to its own sequence, no sequence twice. `logits` gets vocab floats for each piece that wants
     * them, in the pieces' order. What a piece computes does not depend on the others, nor on how a sequence was cut.
     * NULL, or why it failed (static text); then the sequences are as they were. */
    const char *(*step)(void *self, const struct lm_piece *pieces, size_t n, float *logits);
};

#endif
