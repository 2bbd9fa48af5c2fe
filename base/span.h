/* span.h - a run of bytes that somebody else owns.
 *
 * Passed by value and never assumed to end in NUL: bytes from the network are spans. {NULL, 0} is "absent";
 * {p, 0} is "present and empty". A span is valid as long as the memory it points into (arena, buffer, literal). */
#ifndef TOLLGATE_BASE_SPAN_H
#define TOLLGATE_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const char *p;
    size_t n;
};

#define SPAN_NONE ((struct span){ NULL, 0 })
/* A span over a string literal. */
#define SPAN_LIT(lit) ((struct span){ "" lit, sizeof(lit) - 1 })
/* For printf: printf("%.*s", SPAN_FMT(s)). Cuts at INT_MAX. */
#define SPAN_FMT(s) ((int)((s).n > 0x7fffffff ? 0x7fffffff : (s).n)), ((s).p ? (s).p : "")

static inline struct span span_str(const char *z)    /* of a NUL-terminated string; NULL gives SPAN_NONE */
{
    return z ? (struct span){ z, strlen(z) } : SPAN_NONE;
}

static inline bool span_eq(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool span_is(struct span a, const char *z)
{
    return span_eq(a, span_str(z));
}

static inline bool span_starts(struct span s, struct span head)
{
    return s.n >= head.n && (head.n == 0 || memcmp(s.p, head.p, head.n) == 0);
}

static inline bool span_ends(struct span s, struct span tail)
{
    return s.n >= tail.n && (tail.n == 0 || memcmp(s.p + (s.n - tail.n), tail.p, tail.n) == 0);
}

/* The rest of `s` after its first `n` bytes; empty when it has fewer. */
static inline struct span span_skip(struct span s, size_t n)
{
    return n >= s.n ? (struct span){ s.p ? s.p + s.n : NULL, 0 } : (struct span){ s.p + n, s.n - n };
}

static inline struct span span_first(struct span s, size_t n)
{
    return (struct span){ s.p, n < s.n ? n : s.n };
}

/* ASCII only: header names, media types, header values of a policy. */
bool span_eq_nocase(struct span a, struct span b);
/* Blanks (space and tab) off both ends. */
struct span span_trim(struct span s);
/* Index of the first `c`, or s.n. */
size_t span_find(struct span s, char c);
/* First occurrence of `needle` (not empty) in `s`, as an index; s.n when there is none. */
size_t span_find_span(struct span s, struct span needle);
/* Whole of `s` as a decimal number without sign, blanks or surplus; false when it is not one or exceeds `max`. */
bool span_to_u64(struct span s, uint64_t max, uint64_t *out);

#endif
