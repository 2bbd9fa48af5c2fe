/* jscan.h - the pre-scan: is this body JSON within our limits, before anything is built from it?
 *
 * One linear pass, in as many pieces as the bytes arrive in, without a tree. Refuses what a tree parser would choke
 * on or two parsers would read differently: depth, number of values, key and number length, invalid UTF-8 (also
 * lone surrogates by escape), duplicate keys in one object (compared after unescaping), anything that RFC 8259 does
 * not allow. `\u0000` is legal. Memory: about 3 KiB, which hold the digests of 64 keys; with more keys a table of 16
 * to 32 bytes a key, and while it grows 16 more, bounded by `values`. No byte takes long: the table grows key by key.
 *
 * After JSCAN_DONE the text is known to be valid, and the cursor functions below walk it by spans without checks
 * of their own. They must not be given text that was not scanned. */
#ifndef TOLLGATE_BASE_JSCAN_H
#define TOLLGATE_BASE_JSCAN_H

#include "base/span.h"

struct jscan_limits {
    uint32_t depth;            /* 64: arrays and objects open at once */
    uint32_t values;           /* 100,000: values of any kind, the outermost included */
    uint32_t key_bytes;        /* 1,024: of a key as written, quotes not counted */
    uint32_t number_bytes;     /* 64: of a number as written */
};
extern const struct jscan_limits jscan_default_limits;

enum jscan_rc {
    JSCAN_MORE,                /* valid so far */
    JSCAN_DONE,                /* a whole value; what follows in later pieces may only be white space */
    JSCAN_BAD,                 /* see error and at */
    JSCAN_MEMORY,              /* no memory for the key table */
};

struct jscan;
/* `seed` keys the digests (any random number), so that nobody can make keys collide. NULL: no memory. */
struct jscan *jscan_new(const struct jscan_limits *limits, uint64_t seed);
void jscan_free(struct jscan *s);
void jscan_reset(struct jscan *s);                    /* ready for another text; keeps its memory when small */
enum jscan_rc jscan_feed(struct jscan *s, struct span piece);
/* After the last piece: DONE, or BAD when the text ends too soon. */
enum jscan_rc jscan_end(struct jscan *s);
/* After BAD: what is wrong, for people ("nested deeper than 64"), valid until reset; and the offset from the start of
 * the first byte that could not stand there, or of the opening quote of a key that appears twice. */
const char *jscan_error(const struct jscan *s);
size_t jscan_at(const struct jscan *s);

/* ---- cursors over scanned text (jval.c) ---- */

enum jtype { JTYPE_NONE, JTYPE_OBJECT, JTYPE_ARRAY, JTYPE_STRING, JTYPE_NUMBER, JTYPE_TRUE, JTYPE_FALSE, JTYPE_NULL };

/* By its first byte; white space before it is skipped. JTYPE_NONE for an empty span. */
enum jtype jval_type(struct span value);

/* Members of an object or elements of an array, in order:
 *   for (struct jiter it = jiter_begin(obj); jiter_next(&it);) ... it.key, it.value
 * `key` is the raw text between the quotes (SPAN_NONE in an array); `value` the exact bytes of the value. */
struct jiter {
    struct span rest;          /* private */
    struct span key;
    struct span value;
    bool in_object;
};
struct jiter jiter_begin(struct span container);
bool jiter_next(struct jiter *it);

/* The value of a member by its unescaped name; SPAN_NONE when absent or `obj` is no object. */
struct span jval_get(struct span obj, const char *name);
/* Several members in one pass over the object: out[i] is the value of names[i] (none empty), SPAN_NONE where absent. */
void jval_members(struct span obj, const char *const *names, size_t n, struct span *out);
/* Does a raw key or string body equal `text` once its escapes are undone? */
bool jraw_is(struct span raw, const char *text);
/* The bytes between the quotes of a string value, escapes untouched; SPAN_NONE when it is no string. */
struct span jval_raw(struct span value);
/* Unescapes the body of a string into `out` (room for raw.n bytes suffices); returns the bytes written. */
size_t jraw_unescape(struct span raw, char *out);
/* A number that is an integer in the range of int64 ("1e2" and "1.0" are not). */
bool jval_int(struct span value, int64_t *out);
/* A number as a double, for range checks of fields like temperature; never for money. */
bool jval_double(struct span value, double *out);

/* The place of a JSON pointer (RFC 6901) in valid text: the value's span, SPAN_NONE when it is not there. */
struct span jval_pointer(struct span text, const char *pointer);

#endif
