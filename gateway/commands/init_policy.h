/* init_policy.h - the bundled flash-first policy, cut to what a newcomer's keys can reach. */
#ifndef TOLLGATE_GATEWAY_INIT_POLICY_H
#define TOLLGATE_GATEWAY_INIT_POLICY_H

#include <stdbool.h>

#include "base/buf.h"

/* Writes into `out` the policy for a setup whose providers are those that has_provider says yes to, and the bundled engine:
 *  - "sovereign" is answered by the bundled engine, with the steps that `local` (flash-first-local.json) gives it;
 *  - elsewhere a model of an engine that a newcomer does not run is asked for at its own provider;
 *  - what still cannot be reached is left out, and a route that has no step left with it; the last step left of a route
 *    has no checks, as in flash-first.json itself.
 * `first`, `local` and `prices` are the texts of the bundled files. False: no memory, or the texts are not ours. */
bool init_policy_write(struct span first, struct span local, struct span prices, bool (*has_provider)(struct span name),
                       struct buf *out) __attribute__((warn_unused_result));

#endif
