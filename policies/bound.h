/* bound.h - the most that a plan can cost and take, when everything that may fail does. */
#ifndef TOLLGATE_POLICIES_BOUND_H
#define TOLLGATE_POLICIES_BOUND_H

#include "policies/plan.h"

struct bound {
    unsigned attempts;             /* most that are ever made */
    int64_t cost_nano;             /* sum of their worst cases, never above the plan's cost limit */
    bool cost_is_limited;          /* the limit, not the steps, sets cost_nano */
    int64_t time_ms;               /* the request's time limit */
    int64_t backoff_ms;            /* of it, the most that is spent waiting between attempts, Retry-After aside */
};

struct bound bound_plan(struct plan *plan);

#endif
