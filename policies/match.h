/* match.h - does a `when` hold for these features? And the record of why, for `explain`. */
#ifndef TOLLGATE_POLICIES_MATCH_H
#define TOLLGATE_POLICIES_MATCH_H

#include "base/buf.h"
#include "policies/features.h"
#include "policies/policy.h"

/* Labels are computed at most once a request. Clear it with {0}. */
struct match_memo {
    uint64_t known, value;         /* one bit a label */
};

bool match_when(const struct policy *p, const struct policy_when *when, const struct features *f,
                struct match_memo *memo);
/* The first route whose `when` holds. Never NULL: the last has none. */
const struct policy_route *match_route(const struct policy *p, const struct features *f, struct match_memo *memo);
/* The first `placement: local` route that claims the request although something else was named: one whose `when`
 * holds, or the route that would have won. NULL when there is none. */
const struct policy_route *match_claim(const struct policy *p, const struct features *f, struct match_memo *memo);

/* Appends the evaluation of `when`, every atom with its verdict and the value it saw: as indented text, one atom a
 * line behind `indent` blanks, or as one JSON object. */
void match_explain_text(const struct policy *p, const struct policy_when *when, const struct features *f, int indent,
                        struct buf *out);
void match_explain_json(const struct policy *p, const struct policy_when *when, const struct features *f,
                        struct buf *out);

#endif
