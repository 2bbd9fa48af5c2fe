/* plan.h - from features and view to the ordered steps of one request.
 *
 * Finds the route (by name, by claim of a local route, or the first that matches), binds its steps to providers,
 * fixes the cap on the answer and the limits, and says for every step that can never serve why not. Health does not
 * enter here: the machine looks at it when it chooses, since it changes while a request runs. Pure: allocates from
 * the caller's arena only. */
#ifndef TOLLGATE_POLICIES_PLAN_H
#define TOLLGATE_POLICIES_PLAN_H

#include "base/arena.h"
#include "base/buf.h"
#include "policies/features.h"
#include "policies/policy.h"
#include "policies/view.h"

enum plan_skip {
    PLAN_USABLE,
    PLAN_NO_PROVIDER,              /* no provider of the config serves the model */
    PLAN_OFF,                      /* its provider has no key, or is switched off */
    PLAN_NOT_LOCAL,                /* the route is placement: local, the provider is not */
    PLAN_MODALITY,                 /* the model does not read what the prompt holds */
    PLAN_DIALECT,                  /* its provider's dialect cannot say what is asked; set by the gateway, which knows them */
    PLAN_TOO_LONG,                 /* the prompt is certain not to fit the window */
    PLAN_NO_PRICE,                 /* no price is in force */
    PLAN_TOO_DEAR,                 /* its worst case alone is above the cost limit */
};

struct plan_step {
    const struct book_model *model;
    const struct view_model *view; /* NULL with PLAN_NO_PROVIDER; borrowed from the view, which may change under it */
    unsigned attempts;
    unsigned checks;
    int64_t output_cap;            /* tokens; what the attempt is to be called with */
    int64_t worst_nano;            /* most that one attempt can cost, over the request's whole time; -1: plan_price
                                    * has not been asked yet (it costs a microsecond) */
    enum plan_skip skip;
};

struct plan {
    const struct policy_route *route;    /* NULL: direct */
    struct span route_name;        /* "direct", or the route's; for headers and ledger */
    bool local;                    /* nothing that is not local may be called */
    bool claimed;                  /* a local route answers although the caller named something else */
    struct span warning;           /* for x-tollgate-warning; SPAN_NONE */
    enum stream_mode stream;       /* STREAM_HOLD whenever the caller did not ask for a stream */
    uint32_t window_chars;
    struct plan_step *steps;
    size_t n_steps;
    struct asked asked;
    int64_t cost_limit_nano;       /* the tighter of policy and caller; -1: none */
    bool cost_limit_is_callers;
    int64_t time_ms;               /* the tighter of policy and caller, from the arrival */
    bool time_limit_is_callers;
    unsigned attempts;
    int64_t at_ms;                 /* UTC, at which it was made */
    const struct features *features;
};

enum plan_rc {
    PLAN_OK,
    PLAN_UNKNOWN_ROUTE,            /* x-tollgate-route names none: 400 */
    PLAN_UNKNOWN_MODEL,            /* `model` names nothing that we have: 404 model_not_found */
    PLAN_MEMORY,                   /* the arena is full: 503 */
};

/* `at_ms` is UTC now. With a rc other than PLAN_OK *error (may be NULL) gets a sentence for the caller. A plan may
 * well have no usable step: the machine turns that into the right refusal. */
enum plan_rc plan_make(const struct policy *p, const struct features *f, const struct view *v, int64_t at_ms,
                       struct arena *a, struct plan *out, struct span *error);

/* Fills in worst_nano of step `i` if it is not there. False, with `skip` set, when it has no price or a single
 * attempt is above the cost limit. */
bool plan_price(struct plan *plan, size_t i);

const char *plan_skip_text(enum plan_skip s);    /* "its provider is off" */

/* What `tollgate explain` prints: features, every route with its atoms and why it lost or won, the plan with the
 * price of each step, limits and worst case. */
enum explain_format { EXPLAIN_TEXT, EXPLAIN_JSON };
void plan_explain(const struct policy *p, const struct features *f, const struct view *v, int64_t at_ms,
                  enum explain_format format, struct buf *out);

#endif
