/* decide.h - DECIDE: the policy's plan for a request, and what its steps look at while it runs. */
#ifndef TOLLGATE_GATEWAY_DECIDE_H
#define TOLLGATE_GATEWAY_DECIDE_H

#include "gateway/request/request.h"

/* r->plan and r->machine from r->features. Steps whose provider's dialect cannot say what is asked are skipped. False:
 * r->fault says why there is nothing to drive. */
bool decide_plan(struct request *r);
/* Half of it, for a request that wants a count: r->plan, which is not to be driven. False, r->fault: what it names is not there. */
bool decide_find_plan(struct request *r);
/* Health of the plan's models as it is now. */
void decide_refresh(struct request *r, int64_t now_ms);
/* Who serves a step that has a view. */
const struct snapshot_model *decide_target(const struct request *r, size_t step);

#endif
