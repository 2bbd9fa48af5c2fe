/* utf8.h - is a run of 1 to 4 bytes one character of UTF-8, the beginning of one, or neither? (RFC 3629, table 3-7 of
 * the Unicode standard: no surrogates, no overlong forms, nothing above U+10FFFF.) */
#ifndef TOLLGATE_ENGINE_UTF8_H
#define TOLLGATE_ENGINE_UTF8_H

#include "base/span.h"

#define UTF8_REPLACEMENT "\xef\xbf\xbd"    /* U+FFFD */

enum utf8_rc { UTF8_OK, UTF8_MORE, UTF8_BAD };

static inline enum utf8_rc utf8_check(struct span s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    const size_t need = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

    if (p[0] >= 0x80 && (p[0] < 0xc2 || p[0] > 0xf4))
        return UTF8_BAD;
    if (s.n > 1) {
        const unsigned least = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
        const unsigned most = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;

        if (p[1] < least || p[1] > most)
            return UTF8_BAD;
    }
    for (size_t i = 2; i < s.n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return UTF8_BAD;
    return s.n > need ? UTF8_BAD : s.n == need ? UTF8_OK : UTF8_MORE;
}

#endif
