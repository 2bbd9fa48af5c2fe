/* forward.h - one step of the model over a batch: prompt chunks and single tokens of many sequences together.
 *
 * The weights are read once a step for all. A sequence's results do not depend, bit for bit, on what else is in the
 * batch, on how its prompt is cut into chunks, or on the number of threads. */
#ifndef TOLLGATE_ENGINE_FORWARD_H
#define TOLLGATE_ENGINE_FORWARD_H

#include "engine/kv.h"

struct batch_item {
    struct seq *seq;           /* each sequence at most once in a batch */
    const int32_t *ids;        /* [n] the next tokens of seq */
    int n;                     /* >= 1 */
    int n_logits;              /* 0..n: logits are wanted after each of the last n_logits tokens */
};

enum forward_rc {
    FORWARD_OK,
    FORWARD_BAD_TOKEN,         /* an id below 0 or >= vocab */
    FORWARD_FULL,              /* more tokens than the sequence has room for */
    FORWARD_BAD_BATCH,         /* n < 1, n_logits out of range, a sequence twice or of another engine */
};

/* Appends each item's tokens to its sequence. `logits` gets, item by item and token by token, vocab floats a wanted
 * position; may be NULL when none is wanted. Any number of tokens: more than engine_step_tokens are done in several
 * steps. On an error nothing has changed. */
enum forward_rc forward(struct engine *e, const struct batch_item *items, int n_items, float *logits)
    __attribute__((warn_unused_result));

#endif
