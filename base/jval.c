/* jval.c - the cursor half of jscan.h: walks text that jscan has found valid, by spans, without a tree.
 *
 * Checks nothing that jscan has checked, but never leaves the span that it was given: text that was not scanned
 * gives wrong answers, not faults. */
#include <stdlib.h>

#include "base/bytes.h"
#include "base/jscan.h"

static struct span trim(struct span v)
{
    const char *end, *p;

    if (!v.p)
        return SPAN_NONE;
    end = v.p + v.n;
    p = bytes_skip_space(v.p, end);
    while (end > p && bytes_is_space(end[-1]))
        end--;
    return (struct span){ p, (size_t)(end - p) };
}

#ifdef __SSE2__
/* Which of 16 bytes are behind a backslash that is not itself escaped, without looking at them one by one (Langdale and
 * Lemire, "Parsing Gigabytes of JSON per Second", section 3.1.1: an odd run of backslashes escapes what follows it).
 * *carry: the byte before them escapes the first; and what the next 16 are to know. */
static unsigned escaped_of(unsigned backslash, unsigned *carry)
{
    const unsigned even = 0x5555;
    unsigned follows, sum;

    backslash &= ~*carry;
    follows = backslash << 1 | *carry;
    sum = (backslash & ~even & ~follows) + backslash;    /* a run that begins at an odd place ends in an addition */
    *carry = sum >> 16;
    return (even ^ sum << 1) & follows;
}
#endif

/* `p`: behind the opening quote. Returns the closing one. */
static const char *string_end(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\');
    unsigned carry = 0;

    for (; end - p >= 16; p += 16) {
        const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        const unsigned slashes = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, backslash));
        unsigned quotes = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, quote));

        if (slashes | carry)
            quotes &= ~escaped_of(slashes, &carry);
        if (quotes)
            return p + __builtin_ctz(quotes);
    }
    if (carry && p < end)
        p++;
#endif
    for (;;) {
        p = bytes_find_quote(p, end);
        if (p == end || *p == '"')
            return p;
        if (end - p < 2)
            return end;
        p += 2;
    }
}

static const char *behind(const char *p, const char *end)
{
    return p < end ? p + 1 : end;
}

static const char *container_end(const char *p, const char *end)
{
    size_t depth = 0;

    for (;;) {
        p = bytes_find_bracket(p, end);
        if (p == end)
            return end;
        if (*p == '"')
            p = string_end(p + 1, end);
        else if ((*p | 0x20) == '{')
            depth++;
        else if (depth <= 1)
            return p + 1;
        else
            depth--;
        p = behind(p, end);
    }
}

/* `p`: at the first byte of a value. Returns the byte behind it. */
static const char *value_end(const char *p, const char *end)
{
    if (p == end)
        return end;
    if (*p == '"')
        return behind(string_end(p + 1, end), end);
    if (*p == '{' || *p == '[')
        return container_end(p, end);
    while (p < end && *p != ',' && *p != '}' && *p != ']' && !bytes_is_space(*p))
        p++;
    return p;
}

enum jtype jval_type(struct span value)
{
    const char *end = value.n ? value.p + value.n : value.p;
    const char *p = bytes_skip_space(value.p, end);

    if (p == end)
        return JTYPE_NONE;
    switch (*p) {
    case '{': return JTYPE_OBJECT;
    case '[': return JTYPE_ARRAY;
    case '"': return JTYPE_STRING;
    case 't': return JTYPE_TRUE;
    case 'f': return JTYPE_FALSE;
    case 'n': return JTYPE_NULL;
    default: return JTYPE_NUMBER;
    }
}

/* ---- members and elements ---- */

struct jiter jiter_begin(struct span container)
{
    const struct span v = trim(container);
    struct jiter it = { 0 };

    if (v.n == 0 || (*v.p != '{' && *v.p != '['))
        return it;
    it.in_object = *v.p == '{';
    it.rest = span_skip(v, 1);
    return it;
}

static bool iter_stop(struct jiter *it)
{
    it->rest = it->key = it->value = SPAN_NONE;
    return false;
}

bool jiter_next(struct jiter *it)
{
    const char *p = it->rest.p, *end = it->rest.n ? p + it->rest.n : p, *q;

    p = bytes_skip_space(p, end);
    if (p < end && *p == ',')
        p = bytes_skip_space(p + 1, end);
    if (p == end || *p == '}' || *p == ']')
        return iter_stop(it);
    it->key = SPAN_NONE;
    if (it->in_object) {
        if (*p != '"')
            return iter_stop(it);
        q = string_end(p + 1, end);
        it->key = (struct span){ p + 1, (size_t)(q - p - 1) };
        p = bytes_skip_space(behind(q, end), end);
        p = bytes_skip_space(behind(p, end), end);    /* the colon */
    }
    q = value_end(p, end);
    if (q == p)
        return iter_stop(it);
    it->value = (struct span){ p, (size_t)(q - p) };
    it->rest = (struct span){ q, (size_t)(end - q) };
    return true;
}

void jval_members(struct span obj, const char *const *names, size_t n, struct span *out)
{
    struct jiter it = jiter_begin(obj);

    for (size_t i = 0; i < n; i++)
        out[i] = SPAN_NONE;
    while (it.in_object && jiter_next(&it)) {
        const bool escaped = memchr(it.key.p, '\\', it.key.n) != NULL;

        for (size_t i = 0; i < n; i++) {
            /* Most names differ in their first byte: told without a call. */
            if (!escaped && (it.key.n == 0 || names[i][0] != it.key.p[0]))
                continue;
            if (jraw_is(it.key, names[i])) {
                out[i] = it.value;
                break;
            }
        }
    }
}

struct span jval_get(struct span obj, const char *name)
{
    struct jiter it = jiter_begin(obj);

    if (!it.in_object)
        return SPAN_NONE;
    while (jiter_next(&it))
        if (jraw_is(it.key, name))
            return it.value;
    return SPAN_NONE;
}

/* ---- the text of strings ---- */

static uint32_t hex4(const char *p)
{
    uint32_t v = 0;

    for (int i = 0; i < 4; i++) {
        const uint32_t c = (unsigned char)p[i];

        v = v << 4 | ((c & 0xf) + (c >= 'A' ? 9 : 0));
    }
    return v;
}

/* Takes the escape at the front of *raw, which begins with a backslash; its bytes go to `out`. */
static size_t escape_take(struct span *raw, char out[4])
{
    const char *p = raw->p;
    uint32_t code;
    size_t used = 6;

    if (raw->n < 2 || (p[1] == 'u' && raw->n < 6)) {    /* not from scanned text */
        *raw = span_skip(*raw, raw->n);
        return 0;
    }
    if (p[1] != 'u') {
        static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
        const char *hit = memchr(from, p[1], sizeof from - 1);

        out[0] = hit ? to[hit - from] : p[1];
        *raw = span_skip(*raw, 2);
        return 1;
    }
    code = hex4(p + 2);
    if ((code & 0xfc00) == 0xd800 && raw->n >= 12) {
        code = 0x10000 + ((code - 0xd800) << 10) + ((hex4(p + 8) - 0xdc00) & 0x3ff);
        used = 12;
    }
    *raw = span_skip(*raw, used);
    return bytes_put_utf8(code & 0x1fffff, out);
}

size_t jraw_unescape(struct span raw, char *out)
{
    size_t n = 0;

    while (raw.n) {
        const size_t plain = span_find(raw, '\\');
        char bytes[4];
        size_t got;

        if (plain)
            memmove(out + n, raw.p, plain);    /* may be done in place */
        n += plain;
        raw = span_skip(raw, plain);
        if (raw.n == 0)
            break;
        got = escape_take(&raw, bytes);
        memcpy(out + n, bytes, got);
        n += got;
    }
    return n;
}

/* Takes `text` off the front of `*text` when it begins with these bytes. */
static bool take(struct span *text, const char *p, size_t n)
{
    if (!span_starts(*text, (struct span){ p, n }))
        return false;
    *text = span_skip(*text, n);
    return true;
}

static bool raw_equals(struct span raw, struct span text)
{
    while (raw.n) {
        const size_t plain = span_find(raw, '\\');
        char bytes[4];
        size_t got;

        if (!take(&text, raw.p, plain))
            return false;
        raw = span_skip(raw, plain);
        if (raw.n == 0)
            break;
        got = escape_take(&raw, bytes);
        if (!take(&text, bytes, got))
            return false;
    }
    return text.n == 0;
}

/* Escapes only make a text longer: most that differ, and all that are written plainly, are told by their length. */
bool jraw_is(struct span raw, const char *text)
{
    const size_t n = strlen(text);

    if (!raw.p || raw.n < n)
        return false;
    if (n && memchr(raw.p, '\\', raw.n) == NULL)
        return raw.n == n && memcmp(raw.p, text, n) == 0;
    return raw_equals(raw, (struct span){ text, n });
}

struct span jval_raw(struct span value)
{
    const struct span v = trim(value);

    if (v.n < 2 || v.p[0] != '"')
        return SPAN_NONE;
    return (struct span){ v.p + 1, v.n - 2 };
}

/* ---- numbers ---- */

bool jval_int(struct span value, int64_t *out)
{
    struct span v = trim(value);
    const bool negative = v.n && v.p[0] == '-';
    uint64_t u;

    if (!span_to_u64(span_skip(v, negative), (uint64_t)INT64_MAX + negative, &u))
        return false;
    *out = negative ? (int64_t)-u : (int64_t)u;    /* -2^63 included: the negation is modulo 2^64 */
    return true;
}

bool jval_double(struct span value, double *out)
{
    const struct span v = trim(value);
    char text[512];
    char *end;

    if (jval_type(v) != JTYPE_NUMBER || v.n >= sizeof text)
        return false;
    memcpy(text, v.p, v.n);
    text[v.n] = '\0';
    *out = strtod(text, &end);
    return end == text + v.n;
}

/* ---- JSON pointers ---- */

/* Does a raw key equal the pointer's token, "~0" and "~1" undone? */
static bool key_is_token(struct span raw, struct span token)
{
    char text[1024];
    size_t n = 0;

    if (span_find(token, '~') == token.n)
        return raw_equals(raw, token);
    for (size_t i = 0; i < token.n; i++) {
        if (n == sizeof text)
            return false;
        text[n] = token.p[i];
        if (text[n] == '~' && i + 1 < token.n)
            text[n] = token.p[++i] == '1' ? '/' : '~';
        n++;
    }
    return raw_equals(raw, (struct span){ text, n });
}

static struct span member_at(struct span v, struct span token)
{
    uint64_t index = 0;
    struct jiter it = jiter_begin(v);

    if (!it.in_object && (!span_to_u64(token, UINT32_MAX, &index) || (token.n > 1 && token.p[0] == '0')))
        return SPAN_NONE;
    while (jiter_next(&it))
        if (it.in_object ? key_is_token(it.key, token) : index-- == 0)
            return it.value;
    return SPAN_NONE;
}

struct span jval_pointer(struct span text, const char *pointer)
{
    struct span v = trim(text), rest = span_str(pointer);

    while (rest.n && v.p) {
        struct span token;

        if (rest.p[0] != '/')
            return SPAN_NONE;
        rest = span_skip(rest, 1);
        token = span_first(rest, span_find(rest, '/'));
        rest = span_skip(rest, token.n);
        v = member_at(v, token);
    }
    return v.n ? v : SPAN_NONE;
}
