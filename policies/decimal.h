/* decimal.h - JSON numbers compared as they are written, never through doubles: 9007199254740993 is not 9007199254740992. */
#ifndef TOLLGATE_POLICIES_DECIMAL_H
#define TOLLGATE_POLICIES_DECIMAL_H

#include "base/span.h"

/* Texts of valid JSON numbers. < 0, 0, > 0. */
int decimal_compare(struct span a, struct span b);
bool decimal_is_integer(struct span a);    /* 1, 1.0, 1e2 */

enum decimal_answer { DECIMAL_NO, DECIMAL_YES, DECIMAL_UNKNOWN };
/* Is `a` a whole multiple of `of` (above 0)? UNKNOWN: `of` has more than 18 digits, or is not above 0. */
enum decimal_answer decimal_is_multiple(struct span a, struct span of);

#endif
