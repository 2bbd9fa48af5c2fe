/* base64.c - see base64.h. A picture of 10 MB goes through here: 16 bytes at a time where SSE2 is to be had. */
#include "base/base64.h"

#include "base/bytes.h"
#include "base/jscan.h"

enum { DIGIT = 1, PAD, BLANK };

static int class_of(char c, enum base64_rule rule)
{
    if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/')
        return DIGIT;
    if (rule == BASE64_ANY && (c == '-' || c == '_'))
        return DIGIT;
    return c == '=' ? PAD : c == '\r' || c == '\n' ? BLANK : 0;
}

/* The first byte that is no digit of the standard alphabet. */
static const char *digits_end(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i bit = _mm_set1_epi8(0x20), plus = _mm_set1_epi8('+');

    for (; end - p >= 16; p += 16) {
        const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        const __m128i w = _mm_or_si128(v, bit);    /* letters in lower case; nothing else becomes one */
        const __m128i letter = _mm_and_si128(_mm_cmpgt_epi8(w, _mm_set1_epi8('a' - 1)),
                                             _mm_cmplt_epi8(w, _mm_set1_epi8('z' + 1)));
        const __m128i digit = _mm_and_si128(_mm_cmpgt_epi8(v, _mm_set1_epi8('/' - 1)),    /* '/' stands before '0' */
                                            _mm_cmplt_epi8(v, _mm_set1_epi8('9' + 1)));
        const __m128i good = _mm_or_si128(_mm_or_si128(letter, digit), _mm_cmpeq_epi8(v, plus));
        const unsigned bad = (unsigned)_mm_movemask_epi8(good) ^ 0xffff;

        if (bad)
            return p + __builtin_ctz(bad);
    }
#endif
    while (p < end && class_of(*p, BASE64_STANDARD) == DIGIT)
        p++;
    return p;
}

struct count {
    size_t digits, pads;
};

static bool take(struct count *c, struct span text, enum base64_rule rule)
{
    const char *p = text.p, *end = text.n ? p + text.n : p;

    while (p < end) {
        const char *q = c->pads ? p : digits_end(p, end);

        c->digits += (size_t)(q - p);
        p = q;
        if (p == end)
            break;
        switch (class_of(*p++, rule)) {
        case DIGIT:
            if (c->pads)
                return false;
            c->digits++;
            break;
        case PAD:
            c->pads++;
            break;
        case BLANK:
            break;
        default:
            return false;
        }
    }
    return true;
}

bool base64_raw_ok(struct span raw, enum base64_rule rule)
{
    struct count c = { 0, 0 };

    while (raw.n) {
        const struct span plain = span_first(raw, span_find(raw, '\\'));
        struct span escape;
        char text[8];

        if (!take(&c, plain, rule))
            return false;
        raw = span_skip(raw, plain.n);
        if (raw.n == 0)
            break;
        escape = span_first(raw, raw.n > 1 && raw.p[1] == 'u' ? 6 : 2);
        if (!take(&c, (struct span){ text, jraw_unescape(escape, text) }, rule))
            return false;
        raw = span_skip(raw, escape.n);
    }
    if (c.digits == 0 || c.digits % 4 == 1 || c.pads > 2)
        return false;
    return (c.digits + c.pads) % 4 == 0 || (rule == BASE64_ANY && c.pads == 0);
}

void base64_add_standard(struct buf *out, struct span raw)
{
    size_t digits = 0;

    if (base64_raw_ok(raw, BASE64_STANDARD)) {
        buf_add_span(out, raw);
        return;
    }
    while (raw.n) {
        const struct span unit = span_first(raw, raw.p[0] != '\\' ? 1 : raw.n > 1 && raw.p[1] == 'u' ? 6 : 2);
        char text[8];

        (void)jraw_unescape(unit, text);
        if (class_of(text[0], BASE64_ANY) == DIGIT) {
            buf_add_char(out, text[0] == '-' ? '+' : text[0] == '_' ? '/' : text[0]);
            digits++;
        }
        raw = span_skip(raw, unit.n);
    }
    for (; digits % 4; digits++)
        buf_add_char(out, '=');
}
