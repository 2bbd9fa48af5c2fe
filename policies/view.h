/* view.h - what the gateway knows about models and providers at this moment, as a snapshot for one decision.
 *
 * The gateway fills one entry for each model of the price book that one of its providers serves, in the order of the
 * providers in its config (a bare name that several have means the first that is on). A model without an entry
 * cannot be called. All times are on the clock whose time machine_step is given. The gateway may refresh the entries
 * between events of one request; it does not move or drop them. */
#ifndef TOLLGATE_POLICIES_VIEW_H
#define TOLLGATE_POLICIES_VIEW_H

#include "base/span.h"

struct book_model;                 /* pricing/book.h */

enum view_breaker {
    VIEW_CLOSED,                   /* calls go through */
    VIEW_OPEN,                     /* it failed 5 times in a row: calls wait for a probe */
    VIEW_PROBE,                    /* half open: this request may be the one that tries it */
};

struct view_model {
    const struct book_model *model;
    struct span provider;          /* the part of the book's key before the slash */
    bool on;                       /* false: the provider has no key, or is switched off; never called */
    bool local;                    /* placement: local; data does not leave the operator's machines */
    bool key_refused;              /* its last answers were 401, 402 or 403 for every key we have */
    enum view_breaker breaker;
    int64_t retry_after_ms;        /* time before which it asked not to be called; 0 when none is running */
};

struct view {
    const struct view_model *models;
    size_t n_models;
};

/* NULL when no provider of the config serves it. */
static inline const struct view_model *view_find(const struct view *v, const struct book_model *model)
{
    for (size_t i = 0; i < v->n_models; i++)
        if (v->models[i].model == model)
            return &v->models[i];
    return NULL;
}

#endif
