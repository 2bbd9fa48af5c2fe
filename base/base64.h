/* base64.h - is a text base64? Media of a request is checked before it is sent on, and never decoded to bytes.
 *
 * RFC 4648: section 4's alphabet, or section 5's where a dialect allows it; whole groups of four, padded at the end and
 * nowhere else. Line ends are skipped (RFC 2045's encoders make them). */
#ifndef TOLLGATE_BASE_BASE64_H
#define TOLLGATE_BASE_BASE64_H

#include "base/buf.h"

enum base64_rule {
    BASE64_STANDARD,           /* + and /, padded */
    BASE64_ANY,                /* also - and _ (base64url), and the padding may be left out: Google's APIs */
};

/* `raw` is the body of a JSON string as written: "\/" and "\u002B" are legal in it. Not empty. */
bool base64_raw_ok(struct span raw, enum base64_rule rule);
/* Writes a text that is BASE64_ANY as BASE64_STANDARD: Google's APIs give and take base64url without padding, nobody else does.
 * What is standard already is written as it stands. */
void base64_add_standard(struct buf *out, struct span raw);
/* How many bytes such a text stands for, at most. */
static inline size_t base64_bytes(struct span raw) { return raw.n / 4 * 3 + raw.n % 4; }

#endif
