/* bytes.h - the classes of bytes and the searches that the parsers live on, 16 bytes at a time where SSE2 is to be had.
 * For base/ and for readers of wire formats.
 *
 * All searches stay within [p, end) and return `end` when nothing was found. */
#ifndef TOLLGATE_BASE_BYTES_H
#define TOLLGATE_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

static inline int bytes_hex(char c)    /* the value of a hex digit, -1 for anything else */
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static inline bool bytes_is_token(char c)    /* RFC 9110, 5.6.2: what names of methods and fields are made of */
{
    static const bool is_tchar[256] = {
        ['!'] = true, ['#'] = true, ['$'] = true, ['%'] = true, ['&'] = true, ['\''] = true, ['*'] = true, ['+'] = true,
        ['-'] = true, ['.'] = true, ['^'] = true, ['_'] = true, ['`'] = true, ['|'] = true, ['~'] = true,
        ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true,
    };

    return is_tchar[(unsigned char)c];
}

static inline bool bytes_is_field(char c)    /* RFC 9110, 5.5: visible ASCII, space, tab and obs-text */
{
    return ((unsigned char)c >= ' ' || c == '\t') && c != 0x7f;
}

static inline bool bytes_is_space(char c)    /* RFC 8259, 2: what may stand between tokens of JSON */
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline const char *bytes_skip_space(const char *p, const char *end)
{
    while (p < end && bytes_is_space(*p))
        p++;
    return p;
}

/* The first byte that a string cannot simply hold: quote, backslash, control or non-ASCII. */
static inline const char *bytes_plain_end(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'), space = _mm_set1_epi8(' ');

    for (; end - p >= 16; p += 16) {
        const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        /* Bytes are signed here, so that "below space" finds controls and non-ASCII in one comparison. */
        const __m128i hit = _mm_or_si128(_mm_cmplt_epi8(v, space),
                                         _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, backslash)));
        const int mask = _mm_movemask_epi8(hit);

        if (mask)
            return p + __builtin_ctz((unsigned)mask);
    }
#endif
    while (p < end && (signed char)*p >= ' ' && *p != '"' && *p != '\\')
        p++;
    return p;
}

/* The first quote or backslash. */
static inline const char *bytes_find_quote(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\');

    for (; end - p >= 16; p += 16) {
        const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        const int mask = _mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, backslash)));

        if (mask)
            return p + __builtin_ctz((unsigned)mask);
    }
#endif
    while (p < end && *p != '"' && *p != '\\')
        p++;
    return p;
}

/* The first quote, bracket or brace. */
static inline const char *bytes_find_bracket(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), open = _mm_set1_epi8('{'), shut = _mm_set1_epi8('}');
    const __m128i bit = _mm_set1_epi8(0x20);    /* "[" and "]" become "{" and "}" with this bit */

    for (; end - p >= 16; p += 16) {
        const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        const __m128i w = _mm_or_si128(v, bit);
        const __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(v, quote),
                                         _mm_or_si128(_mm_cmpeq_epi8(w, open), _mm_cmpeq_epi8(w, shut)));
        const int mask = _mm_movemask_epi8(hit);

        if (mask)
            return p + __builtin_ctz((unsigned)mask);
    }
#endif
    while (p < end && *p != '"' && (*p | 0x20) != '{' && (*p | 0x20) != '}')
        p++;
    return p;
}

/* The first CR or LF. */
static inline const char *bytes_line_end(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i cr = _mm_set1_epi8('\r'), lf = _mm_set1_epi8('\n');

    for (; end - p >= 16; p += 16) {
        const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        const int mask = _mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(v, cr), _mm_cmpeq_epi8(v, lf)));

        if (mask)
            return p + __builtin_ctz((unsigned)mask);
    }
#endif
    while (p < end && *p != '\r' && *p != '\n')
        p++;
    return p;
}

/* The first byte that is no bytes_is_field. */
static inline const char *bytes_field_end(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i space = _mm_set1_epi8(' '), tab = _mm_set1_epi8('\t'), del = _mm_set1_epi8(0x7f);

    for (; end - p >= 16; p += 16) {
        const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        const __m128i good = _mm_or_si128(_mm_cmpeq_epi8(_mm_max_epu8(v, space), v), _mm_cmpeq_epi8(v, tab));
        const int mask = _mm_movemask_epi8(_mm_andnot_si128(_mm_cmpeq_epi8(v, del), good)) ^ 0xffff;

        if (mask)
            return p + __builtin_ctz((unsigned)mask);
    }
#endif
    while (p < end && bytes_is_field(*p))
        p++;
    return p;
}

/* `code` (up to 0x10ffff) as UTF-8; returns how many bytes it took. */
static inline size_t bytes_put_utf8(uint32_t code, char out[4])
{
    static const unsigned char lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
    const size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

    for (size_t i = n; --i > 0; code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(lead[n] | code);
    return n;
}

#endif
