/* fail.h - what the caller is told when there is no answer. Part of the machine. */
#ifndef TOLLGATE_POLICIES_FAIL_H
#define TOLLGATE_POLICIES_FAIL_H

#include "policies/machine.h"

/* The last attempt failed with class `f`. `waited_ms`: its Retry-After, -1 when it named none. */
struct fail fail_attempt(const struct machine *m, enum failure f, const struct outcome *o);
/* The last attempt's answer failed a check. */
struct fail fail_rejected(const struct machine *m, struct verdict v);
/* A step would exceed the cost limit. */
struct fail fail_cost(const struct machine *m, int64_t worst_nano);
struct fail fail_budget(const struct machine *m, struct span refusal);
struct fail fail_ledger_full(struct span refusal);
/* All that is left asked not to be called before `wait_ms` from now. */
struct fail fail_rate_limited(const struct machine *m, int64_t wait_ms);
/* No step of the plan could ever be called. */
struct fail fail_no_step(const struct machine *m);
struct fail fail_deadline(const struct machine *m);
struct fail fail_cancelled(void);
struct fail fail_shutdown(void);

#endif
