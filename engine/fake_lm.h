/* fake_lm.h - a model for tests of what is around a model: it repeats the last user message, then ends.
 *
 * Next to the target's logit (`peak`) all others are 0, so that sampling has something to choose from. Steps can be
 * held at a gate, fail, and are counted. */
#ifndef TOLLGATE_ENGINE_FAKE_LM_H
#define TOLLGATE_ENGINE_FAKE_LM_H

#include <pthread.h>

#include "engine/lm.h"
#include "engine/prompt.h"

struct fake_lm {
    struct lm lm;                      /* for the worker */
    struct prompt_markers markers;
    float peak;                        /* NaN: all logits are */
    bool cannot_truncate;
    /* under the lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool gated;
    long credits;                      /* steps that may pass the gate */
    long waiting;                      /* 1 while a step stands at it */
    const char *fail;                  /* the next steps fail for this reason */
    long steps, ids, max_pieces;       /* done; ids computed; most pieces in one step */
    size_t longest_piece;
    long live;                         /* sequences not freed */
};

void fake_lm_init(struct fake_lm *f, const struct prompt_markers *m, size_t vocab, size_t context);
void fake_lm_free(struct fake_lm *f);
/* Closes the gate; each fake_lm_pass lets `n` steps through; fake_lm_open opens it. */
void fake_lm_gate(struct fake_lm *f);
void fake_lm_pass(struct fake_lm *f, long n);
void fake_lm_open(struct fake_lm *f);
/* Waits until a step stands at the gate. */
void fake_lm_await(struct fake_lm *f);
void fake_lm_fail(struct fake_lm *f, const char *why);

#endif
