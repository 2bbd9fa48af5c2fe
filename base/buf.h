/* buf.h - text that grows up to a cap given at init, so that no peer decides our memory (as curl's dynbuf).
 *
 * The first append that fails (cap or memory) marks the buffer as failed; later appends do nothing, so a writer
 * checks once at its end with buf_ok. The bytes always end in a NUL that is not counted. */
#ifndef TOLLGATE_BASE_BUF_H
#define TOLLGATE_BASE_BUF_H

#include "base/span.h"

struct buf {
    char *p;             /* NULL until the first append */
    size_t n;
    size_t room;         /* allocated, the NUL included */
    size_t cap;          /* most bytes that n may reach */
    bool failed;
};

void buf_init(struct buf *b, size_t cap);
void buf_free(struct buf *b);                 /* may be used again, with the same cap */
void buf_clear(struct buf *b);                /* keeps the memory; forgets a failure */
static inline bool buf_ok(const struct buf *b) { return !b->failed; }
static inline struct span buf_span(const struct buf *b) { return (struct span){ b->p ? b->p : "", b->n }; }

bool buf_add(struct buf *b, const void *p, size_t n);
bool buf_add_span(struct buf *b, struct span s);
bool buf_add_str(struct buf *b, const char *z);
bool buf_add_char(struct buf *b, char c);
bool buf_add_int(struct buf *b, int64_t n);    /* in decimal; printf takes ten times as long */
/* Makes room for `n` more bytes at once, where their number is known: one allocation instead of several. A cap or want
 * of memory shows when they are added. */
void buf_reserve(struct buf *b, size_t n);
/* Gives back the room that is not used; all of it when the buffer is empty. For a buffer that will rest for long. */
void buf_shrink(struct buf *b);
bool buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* `s` as a JSON string with its quotes: control characters, quote and backslash escaped, the rest as it is. */
bool buf_add_json(struct buf *b, struct span s);
/* Forgets the first `n` bytes. */
void buf_drop(struct buf *b, size_t n);
/* The bytes as a malloc'ed string that the caller frees; the buffer is empty after. NULL when it has failed. */
char *buf_take(struct buf *b);

#endif
