/* test_jwalk.h - do the cursors of jscan.h see in a text what jansson sees? For test_jval and the fuzzer. */
#ifndef TOLLGATE_BASE_TEST_JWALK_H
#define TOLLGATE_BASE_TEST_JWALK_H

#include <jansson.h>

#include "base/span.h"

/* `text` was scanned, and `tree` was made from it. Compares types, order, keys, strings and numbers. */
bool jwalk_equals(struct span text, const json_t *tree);
/* Goes through all that the cursors find in a text that may be anything; looks for faults alone. */
void jwalk_visit(struct span text, unsigned depth);

#endif
