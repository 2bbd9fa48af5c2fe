/* tags.h - how many different tags a key may have in the ledger: sums are kept by tag, and a caller who puts a random
 * value into each request must not decide how many.
 *
 * A tag is a name with a value. A key may use TAGS_A_DAY different ones a UTC day; what comes beyond is kept as NAME=other,
 * under a name that is new as well as other=other. Rows and sums have the tag as it was kept; the policy sees it as sent.
 * The count is of this process: it begins anew with a restart. */
#ifndef TOLLGATE_GATEWAY_TAGS_H
#define TOLLGATE_GATEWAY_TAGS_H

#include "base/span.h"

#define TAGS_A_DAY 1000
#define TAGS_OTHER "other"

struct tags;
struct tags *tags_new(void);    /* NULL: no memory */
void tags_free(struct tags *t);

/* Makes *name and *value those to be kept (borrowed still, or static). Any thread; a lock for a moment. */
void tags_keep(struct tags *t, struct span key_id, int64_t now_ms, struct span *name, struct span *value);

#endif
