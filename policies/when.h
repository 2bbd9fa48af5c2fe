/* when.h - JSON of a `when` or a label to an array of nodes. Part of policy_load. */
#ifndef TOLLGATE_POLICIES_WHEN_H
#define TOLLGATE_POLICIES_WHEN_H

#include "policies/policy.h"

#define WHEN_DEPTH_MAX 16
#define WHEN_NODES_MAX 1024    /* of one `when` */

/* `at` is the JSON pointer of `when` (JSON_POINTER_ROOM bytes), unchanged on return. False after a problem was added,
 * or when the arena is full. Labels are looked up in `labels`, whose own conditions need not be compiled yet. */
bool when_compile(const json_t *when, const struct policy_label *labels, size_t n_labels, struct arena *a, char *at,
                  struct problems *ps, struct policy_when *out);

#endif
