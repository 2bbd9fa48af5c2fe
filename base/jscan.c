/* jscan.c - the pre-scan: a state machine over bytes that may stop and go on at any of them.
 *
 * Owns the stack of open containers, the body of the key being read and the table of key digests. Builds nothing
 * and keeps no text; the cursors over scanned text are in jval.c. Where bytes are plain (most of a string) it takes
 * 16 at once, and whole keys and UTF-8 sequences where a piece holds them; the byte-wise states do the same work
 * across the seams of pieces, so that every split of a text gives the same answer at the same place. */
#include "base/jscan.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"

#define TABLE_INLINE 128u           /* slots that need no memory of their own: bodies of up to 64 keys */
#define COPIES_A_KEY 4              /* 2 would do */
#define TABLE_KEPT_MAX 4096u        /* slots that survive jscan_reset: 32 KiB */

const struct jscan_limits jscan_default_limits = {
    .depth = 64, .values = 100000, .key_bytes = 1024, .number_bytes = 64,
};

enum state {
    ST_VALUE,                       /* a value must follow */
    ST_VALUE_OR_END,                /* behind "[" */
    ST_KEY,                         /* behind "," in an object */
    ST_KEY_OR_END,                  /* behind "{" */
    ST_COLON,
    ST_AFTER_VALUE,                 /* "," or the closing bracket */
    ST_DONE,
    ST_STRING, ST_ESCAPE, ST_HEX, ST_PAIR_BACKSLASH, ST_PAIR_U, ST_UTF8,
    ST_MINUS, ST_ZERO, ST_INT, ST_DOT, ST_FRACTION, ST_E, ST_E_SIGN, ST_EXPONENT,
    ST_LITERAL,
    ST_FAILED,
};

struct jscan {
    struct jscan_limits limits;
    uint64_t secret[2];             /* from the seed; key the digests */

    enum state state;
    enum jscan_rc rc;               /* once failed */
    char error[80];
    size_t at;
    const char *piece;              /* start of the piece being read, and the bytes read before it */
    size_t before;

    uint32_t depth;
    uint32_t values;
    uint32_t objects;               /* opened so far: the number of the newest */
    uint32_t number_bytes;          /* of the number being read */
    const char *literal;            /* what is left of "true", "false" or "null" */

    bool in_key;
    size_t key_from;                /* offset of the key's first byte */
    size_t key_n;                   /* bytes in `key`: the key as far as it is read, unescaped */
    uint8_t hex_digits;
    uint32_t hex;                   /* the \u escape being read */
    uint32_t high;                  /* a high surrogate that waits for its other half, or 0 */
    uint8_t utf8_left;              /* continuation bytes still to come, */
    uint8_t utf8_low, utf8_high;    /* and the bounds of the next one */

    uint64_t *table;                /* digests of keys, 0: free; at most half full */
    size_t slots;                   /* a power of two */
    uint64_t *old;                  /* NULL, or the table before this one: not all of it has been copied over yet */
    size_t old_slots, old_at;
    size_t keys;
    uint64_t inline_table[TABLE_INLINE];
    uint32_t *open;                 /* [limits.depth]: number of the object, 0 for an array */
    char *key;                      /* [limits.key_bytes] */
};

/* ---- the table of keys ---- */

/* Both halves of the 128-bit product, folded. */
static uint64_t fold(uint64_t a, uint64_t b)
{
    const unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t load_bytes(const char *p, size_t n)
{
    uint64_t v = 0;

    memcpy(&v, p, n);
    return v;
}

/* A keyed digest of (object, key). A collision only refuses the caller's own body (2^-30 for 100,000 honest keys);
 * the secrets see to it that nobody can make a table slow on purpose. Never 0. */
static uint64_t key_digest(const struct jscan *s, uint32_t object, const char *p, size_t n)
{
    uint64_t h = fold(s->secret[0] ^ object, s->secret[1] ^ n);

    for (; n >= 8; p += 8, n -= 8)
        h = fold(h ^ load_bytes(p, 8), s->secret[1]);
    if (n)
        h = fold(h ^ load_bytes(p, n), s->secret[1]);
    h = fold(h ^ s->secret[0], UINT64_C(0x9e3779b97f4a7c15));
    return h ? h : 1;
}

static bool table_add(uint64_t *table, size_t slots, uint64_t digest)    /* false: it is there already */
{
    size_t i = (size_t)digest & (slots - 1);

    for (; table[i]; i = (i + 1) & (slots - 1))
        if (table[i] == digest)
            return false;
    table[i] = digest;
    return true;
}

static void old_free(struct jscan *s)
{
    if (s->old != s->inline_table)
        free(s->old);
    s->old = NULL;
}

/* To copy 100,000 digests at once holds a loop for milliseconds: each key that comes copies a few. The old table is whole
 * until the end, so that what is in it is found there. */
static bool table_grow(struct jscan *s)
{
    const size_t bytes = s->slots * 2 * sizeof *s->table;
    uint64_t *table = aligned_alloc(64, bytes);

    assert(!s->old);
    if (!table)
        return false;
    /* Not calloc, nor malloc, which compilers make a calloc of: pages would fault twice, when they are first read and
     * when they are first written. */
    memset(table, 0, bytes);
    s->old = s->table;
    s->old_slots = s->slots;
    s->old_at = 0;
    s->table = table;
    s->slots *= 2;
    return true;
}

/* The table is full again after old_slots / 2 further keys: it has everything by then. */
static void table_copy_some(struct jscan *s)
{
    for (int i = 0; i < COPIES_A_KEY; i++) {
        const uint64_t digest = s->old[s->old_at];

        if (digest)
            table_add(s->table, s->slots, digest);
        if (++s->old_at == s->old_slots) {
            old_free(s);
            return;
        }
    }
}

static bool table_has(const uint64_t *table, size_t slots, uint64_t digest)
{
    size_t i = (size_t)digest & (slots - 1);

    while (table[i] && table[i] != digest)
        i = (i + 1) & (slots - 1);
    return table[i] == digest;
}

/* ---- failing ---- */

static size_t offset_of(const struct jscan *s, const char *p)
{
    return s->before + (size_t)(p - s->piece);
}

__attribute__((format(printf, 3, 4)))
static const char *fail_at(struct jscan *s, size_t at, const char *fmt, ...)    /* returns NULL, for the callers */
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(s->error, sizeof s->error, fmt, ap);
    va_end(ap);
    s->at = at;
    s->rc = JSCAN_BAD;
    s->state = ST_FAILED;
    return NULL;
}

static const char *fail(struct jscan *s, const char *p, const char *why)
{
    return fail_at(s, offset_of(s, p), "%s", why);
}

static const char *fail_memory(struct jscan *s, const char *p)
{
    fail(s, p, "no memory left for the table of keys");
    s->rc = JSCAN_MEMORY;
    return NULL;
}

/* ---- keys ---- */

static const char *key_too_long(struct jscan *s)
{
    return fail_at(s, s->key_from + s->limits.key_bytes, "a key is longer than %u bytes", s->limits.key_bytes);
}

/* `next`: behind the closing quote. */
static const char *key_done(struct jscan *s, const char *p, size_t n, const char *next)
{
    const uint64_t digest = key_digest(s, s->open[s->depth - 1], p, n);

    if (s->keys >= s->slots / 2 && !table_grow(s))
        return fail_memory(s, next);
    if ((s->old && table_has(s->old, s->old_slots, digest)) || !table_add(s->table, s->slots, digest))
        return fail_at(s, s->key_from - 1, "a key appears twice in one object");
    if (s->old)
        table_copy_some(s);
    s->keys++;
    s->in_key = false;
    s->state = ST_COLON;
    return next;
}

/* `p`: behind the opening quote. Most keys are plain and whole in one piece; the others go byte by byte. */
static const char *key_begin(struct jscan *s, const char *p, const char *end)
{
    const char *q = bytes_plain_end(p, end);
    const size_t n = (size_t)(q - p);

    s->key_from = offset_of(s, p);
    if (n > s->limits.key_bytes)
        return key_too_long(s);
    if (q < end && *q == '"')
        return key_done(s, p, n, q + 1);
    s->in_key = true;
    s->key_n = 0;
    s->state = ST_STRING;
    return p;
}

/* Adds to the key in `key`. It never overflows: escapes are no shorter than what they stand for, and the length of
 * the key as written was checked first. */
static void key_put(struct jscan *s, const char *p, size_t n)
{
    if (!s->in_key || n == 0)
        return;
    memcpy(s->key + s->key_n, p, n);
    s->key_n += n;
}

static void key_put_code(struct jscan *s, uint32_t code)
{
    char out[4];

    key_put(s, out, bytes_put_utf8(code, out));
}

/* ---- strings ---- */

static void value_done(struct jscan *s)
{
    s->state = s->depth ? ST_AFTER_VALUE : ST_DONE;
}

static bool is_tail(char c)    /* of a UTF-8 sequence */
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* As many whole, valid sequences as can be told without the bounds of special leads (E0, ED, F0, F4). */
static const char *utf8_quick(const char *p, const char *end)
{
    while (p < end) {
        const unsigned char c = (unsigned char)*p;

        if (c >= 0xe1 && c <= 0xef && c != 0xed && end - p >= 3 && is_tail(p[1]) && is_tail(p[2]))
            p += 3;
        else if (c >= 0xc2 && c <= 0xdf && end - p >= 2 && is_tail(p[1]))
            p += 2;
        else
            break;
    }
    return p;
}

/* The first byte of a sequence: how many follow, and the bounds of the second (Unicode, table 3-7). */
static const char *utf8_begin(struct jscan *s, const char *p)
{
    const unsigned char c = (unsigned char)*p;

    s->utf8_low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    s->utf8_high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    if (c >= 0xc2 && c <= 0xdf)
        s->utf8_left = 1;
    else if (c >= 0xe0 && c <= 0xef)
        s->utf8_left = 2;
    else if (c >= 0xf0 && c <= 0xf4)
        s->utf8_left = 3;
    else
        return fail(s, p, "a string is no valid UTF-8");
    key_put(s, p, 1);
    s->state = ST_UTF8;
    return p + 1;
}

static const char *in_utf8(struct jscan *s, const char *p)
{
    const unsigned char c = (unsigned char)*p;

    if (c < s->utf8_low || c > s->utf8_high)
        return fail(s, p, "a string is no valid UTF-8");
    key_put(s, p, 1);
    s->utf8_low = 0x80;
    s->utf8_high = 0xbf;
    if (--s->utf8_left == 0)
        s->state = ST_STRING;
    return p + 1;
}

/* What a one-letter escape stands for, 0 when it is none. */
static char escape_means(char c)
{
    switch (c) {
    case '"': case '\\': case '/': return c;
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    default: return 0;
    }
}

static const char *string_done(struct jscan *s, const char *next)
{
    if (s->in_key)
        return key_done(s, s->key, s->key_n, next);
    value_done(s);
    return next;
}

static const char *in_string(struct jscan *s, const char *p, const char *end)
{
    for (;;) {
        const char *q = bytes_plain_end(p, end);

        if (s->in_key && offset_of(s, q) - s->key_from > s->limits.key_bytes)
            return key_too_long(s);
        key_put(s, p, (size_t)(q - p));
        p = q;
        if (p == end)
            return p;
        if (*p == '"')
            return string_done(s, p + 1);
        if (s->in_key)
            break;
        if (*p == '\\' && end - p >= 2 && escape_means(p[1])) {
            p += 2;
        } else {
            q = utf8_quick(p, end);
            if (q == p)
                break;
            p = q;
        }
    }
    if (s->in_key && offset_of(s, p) - s->key_from >= s->limits.key_bytes)
        return key_too_long(s);
    if (*p == '\\') {
        s->state = ST_ESCAPE;
        return p + 1;
    }
    if ((unsigned char)*p < 0x20)
        return fail(s, p, "a string holds a control character that is not escaped");
    return utf8_begin(s, p);
}

static const char *in_escape(struct jscan *s, const char *p)
{
    const char means = escape_means(*p);

    if (*p == 'u') {
        s->hex = 0;
        s->hex_digits = 0;
        s->state = ST_HEX;
    } else if (means) {
        key_put(s, &means, 1);
        s->state = ST_STRING;
    } else {
        return fail(s, p, "a string holds an unknown escape");
    }
    return p + 1;
}

static const char *in_hex(struct jscan *s, const char *p)
{
    const int digit = bytes_hex(*p);
    bool is_low;

    if (digit < 0)
        return fail(s, p, "\\u must be followed by four hex digits");
    s->hex = s->hex << 4 | (uint32_t)digit;
    if (++s->hex_digits < 4)
        return p + 1;
    is_low = s->hex >= 0xdc00 && s->hex <= 0xdfff;
    if (is_low != (s->high != 0))
        return fail(s, p, "a \\u escape is half of a surrogate pair");
    if (s->high) {
        key_put_code(s, 0x10000 + ((s->high - 0xd800) << 10) + (s->hex - 0xdc00));
        s->high = 0;
    } else if (s->hex >= 0xd800 && s->hex <= 0xdbff) {
        s->high = s->hex;
        s->state = ST_PAIR_BACKSLASH;
        return p + 1;
    } else {
        key_put_code(s, s->hex);
    }
    s->state = ST_STRING;
    return p + 1;
}

static const char *in_pair(struct jscan *s, const char *p)
{
    if (*p != (s->state == ST_PAIR_BACKSLASH ? '\\' : 'u'))
        return fail(s, p, "a \\u escape is half of a surrogate pair");
    if (s->state == ST_PAIR_BACKSLASH) {
        s->state = ST_PAIR_U;
    } else {
        s->hex = 0;
        s->hex_digits = 0;
        s->state = ST_HEX;
    }
    return p + 1;
}

/* ---- numbers and literals ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The state after `c` in a number (RFC 8259, section 6); ST_DONE when `c` ends it, ST_FAILED when it may not stand
 * there. */
static enum state number_next(enum state state, char c)
{
    const bool digit = is_digit(c), e = c == 'e' || c == 'E';

    switch (state) {
    case ST_MINUS: return c == '0' ? ST_ZERO : digit ? ST_INT : ST_FAILED;
    case ST_ZERO: return c == '.' ? ST_DOT : e ? ST_E : digit ? ST_FAILED : ST_DONE;
    case ST_INT: return digit ? ST_INT : c == '.' ? ST_DOT : e ? ST_E : ST_DONE;
    case ST_DOT: return digit ? ST_FRACTION : ST_FAILED;
    case ST_FRACTION: return digit ? ST_FRACTION : e ? ST_E : ST_DONE;
    case ST_E: return digit ? ST_EXPONENT : c == '+' || c == '-' ? ST_E_SIGN : ST_FAILED;
    case ST_E_SIGN: return digit ? ST_EXPONENT : ST_FAILED;
    default: return digit ? ST_EXPONENT : ST_DONE;
    }
}

static bool number_may_end(enum state state)
{
    return state == ST_ZERO || state == ST_INT || state == ST_FRACTION || state == ST_EXPONENT;
}

static const char *in_number(struct jscan *s, const char *p, const char *end)
{
    enum state state = s->state;

    for (; p < end; p++) {
        const enum state next = number_next(state, *p);

        if (next == ST_FAILED)
            return fail(s, p, state == ST_ZERO ? "a number begins with 0" : "a number lacks a digit");
        if (next == ST_DONE) {
            value_done(s);
            return p;
        }
        if (s->number_bytes == s->limits.number_bytes)
            return fail_at(s, offset_of(s, p), "a number is longer than %u characters", s->limits.number_bytes);
        s->number_bytes++;
        state = next;
    }
    s->state = state;
    return p;
}

static const char *in_literal(struct jscan *s, const char *p, const char *end)
{
    for (; p < end && *s->literal; p++, s->literal++)
        if (*p != *s->literal)
            return fail(s, p, "a word is neither true, false nor null");
    if (!*s->literal)
        value_done(s);
    return p;
}

/* ---- structure ---- */

static const char *open_container(struct jscan *s, const char *p)
{
    if (s->depth == s->limits.depth)
        return fail_at(s, offset_of(s, p), "nested deeper than %u", s->limits.depth);
    s->open[s->depth++] = *p == '{' ? ++s->objects : 0;
    s->state = *p == '{' ? ST_KEY_OR_END : ST_VALUE_OR_END;
    return p + 1;
}

static const char *close_container(struct jscan *s, const char *p)
{
    s->depth--;
    value_done(s);
    return p + 1;
}

static const char *begin_literal(struct jscan *s, const char *p, const char *rest)
{
    s->literal = rest;
    s->state = ST_LITERAL;
    return p + 1;
}

static const char *begin_value(struct jscan *s, const char *p, const char *end)
{
    if (s->values == s->limits.values)
        return fail_at(s, offset_of(s, p), "more than %u values", s->limits.values);
    s->values++;
    switch (*p) {
    case '{': case '[':
        return open_container(s, p);
    case '"':
        s->state = ST_STRING;
        return in_string(s, p + 1, end);
    case 't':
        return begin_literal(s, p, "rue");
    case 'f':
        return begin_literal(s, p, "alse");
    case 'n':
        return begin_literal(s, p, "ull");
    default:
        break;
    }
    if (*p != '-' && !is_digit(*p))
        return fail(s, p, "a value is expected here");
    s->state = *p == '-' ? ST_MINUS : *p == '0' ? ST_ZERO : ST_INT;
    s->number_bytes = 1;
    return p + 1;
}

static const char *at_token(struct jscan *s, const char *p, const char *end)
{
    const bool in_object = s->depth && s->open[s->depth - 1];

    switch (s->state) {
    case ST_VALUE_OR_END:
        if (*p == ']')
            return close_container(s, p);
        return begin_value(s, p, end);
    case ST_VALUE:
        return begin_value(s, p, end);
    case ST_KEY_OR_END:
        if (*p == '}')
            return close_container(s, p);
        /* fall through */
    case ST_KEY:
        return *p == '"' ? key_begin(s, p + 1, end) : fail(s, p, "a key in double quotes is expected here");
    case ST_COLON:
        s->state = ST_VALUE;
        return *p == ':' ? p + 1 : fail(s, p, "a colon is expected behind a key");
    case ST_AFTER_VALUE:
        if (*p == ',') {
            s->state = in_object ? ST_KEY : ST_VALUE;
            return p + 1;
        }
        if (*p == (in_object ? '}' : ']'))
            return close_container(s, p);
        return fail(s, p, in_object ? "a comma or \"}\" is expected here" : "a comma or \"]\" is expected here");
    default:
        return fail(s, p, "something stands behind the end of the value");
    }
}

static const char *step(struct jscan *s, const char *p, const char *end)
{
    if (s->in_key && s->state != ST_STRING && offset_of(s, p) - s->key_from >= s->limits.key_bytes)
        return key_too_long(s);
    switch (s->state) {
    case ST_STRING:
        return in_string(s, p, end);
    case ST_ESCAPE:
        return in_escape(s, p);
    case ST_HEX:
        return in_hex(s, p);
    case ST_PAIR_BACKSLASH: case ST_PAIR_U:
        return in_pair(s, p);
    case ST_UTF8:
        return in_utf8(s, p);
    case ST_MINUS: case ST_ZERO: case ST_INT: case ST_DOT: case ST_FRACTION: case ST_E: case ST_E_SIGN:
    case ST_EXPONENT:
        return in_number(s, p, end);
    case ST_LITERAL:
        return in_literal(s, p, end);
    default:
        p = bytes_skip_space(p, end);
        return p == end ? p : at_token(s, p, end);
    }
}

/* ---- the door ---- */

static uint64_t splitmix(uint64_t *x)    /* spreads a seed over the secrets (Steele et al., 2014) */
{
    uint64_t z = *x += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

struct jscan *jscan_new(const struct jscan_limits *limits, uint64_t seed)
{
    const size_t stack_bytes = (size_t)limits->depth * sizeof(uint32_t);
    struct jscan *s = calloc(1, sizeof *s + stack_bytes + limits->key_bytes);

    if (!s)
        return NULL;
    s->limits = *limits;
    s->secret[0] = splitmix(&seed);
    s->secret[1] = splitmix(&seed) | 1;
    s->open = (uint32_t *)(void *)(s + 1);
    s->key = (char *)(s + 1) + stack_bytes;
    s->table = s->inline_table;
    s->slots = TABLE_INLINE;
    s->state = ST_VALUE;
    return s;
}

void jscan_free(struct jscan *s)
{
    if (!s)
        return;
    old_free(s);
    if (s->table != s->inline_table)
        free(s->table);
    free(s);
}

void jscan_reset(struct jscan *s)
{
    old_free(s);
    if (s->slots > TABLE_KEPT_MAX) {
        free(s->table);
        s->table = s->inline_table;
        s->slots = TABLE_INLINE;
    }
    if (s->keys)
        memset(s->table, 0, s->slots * sizeof *s->table);
    s->keys = 0;
    s->state = ST_VALUE;
    s->error[0] = '\0';
    s->at = s->before = 0;
    s->depth = s->values = s->objects = 0;
    s->in_key = false;
    s->high = 0;
}

enum jscan_rc jscan_feed(struct jscan *s, struct span piece)
{
    const char *p = piece.p, *end = piece.n ? p + piece.n : p;

    if (s->state == ST_FAILED)
        return s->rc;
    s->piece = p;
    while (p && p < end)
        p = step(s, p, end);
    if (s->state == ST_FAILED)
        return s->rc;
    s->before += piece.n;
    return s->state == ST_DONE ? JSCAN_DONE : JSCAN_MORE;
}

enum jscan_rc jscan_end(struct jscan *s)
{
    if (s->state == ST_FAILED)
        return s->rc;
    if (s->depth == 0 && number_may_end(s->state))
        s->state = ST_DONE;
    if (s->state == ST_DONE)
        return JSCAN_DONE;
    fail_at(s, s->before, "%s", s->values ? "the text ends too soon" : "the text is empty");
    return s->rc;
}

const char *jscan_error(const struct jscan *s)
{
    return s->error;
}

size_t jscan_at(const struct jscan *s)
{
    return s->at;
}
