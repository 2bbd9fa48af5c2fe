/* audit.h - is every number in the ledger what its row says it must be?
 *
 * In one read transaction, beside a running serve or without one:
 *   each attempt's cost, recomputed from its usage, extras, moment and the price book that it names;
 *   each request's attempts and cost against the sum of its attempts;
 *   each rollup bucket against the rows it sums;
 *   reservations: none open from before the running process (none at all when nobody serves), each closed one with
 *   its attempt, each cost above its reservation flagged. */
#ifndef TOLLGATE_GATEWAY_LEDGER_AUDIT_H
#define TOLLGATE_GATEWAY_LEDGER_AUDIT_H

#include "base/problem.h"

struct audit_result {
    uint64_t requests, attempts;   /* looked at */
    int64_t cost_nano;             /* of the attempts */
    char difference[640];          /* the first one found, as a sentence; "": there is none */
};

/* False with a problem when the ledger cannot be read. */
bool audit_run(const char *path, int64_t now_ms, struct audit_result *out, struct problems *ps);

#endif
