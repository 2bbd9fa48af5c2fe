/* arena.h - memory that is freed all at once: one request, one load of a config.
 *
 * An arena has a hard cap, so that no peer decides how much memory we take. When it is reached, allocation
 * returns NULL: the request fails with 503, the process lives on. Nothing in an arena has a destructor: what
 * holds a descriptor or a handle of a library registers arena_on_free, called in reverse order of registration. */
#ifndef TOLLGATE_BASE_ARENA_H
#define TOLLGATE_BASE_ARENA_H

#include "base/span.h"

struct arena_block;
struct arena_hook;

struct arena {
    struct arena_block *blocks;
    struct arena_hook *hooks;
    char *next;          /* free part of the newest block */
    size_t left;
    size_t used_bytes;   /* of all blocks, headers included */
    size_t cap_bytes;
};

/* Takes no memory yet. `cap_bytes` bounds all blocks together. */
void arena_init(struct arena *a, size_t cap_bytes);
/* Runs the hooks, then frees all. The arena may be used again. */
void arena_free(struct arena *a);

/* `align` is a power of two, at most 16. Contents are not cleared. NULL when the cap or memory is reached. */
void *arena_alloc(struct arena *a, size_t n, size_t align);
void *arena_zalloc(struct arena *a, size_t n, size_t align);
#define ARENA_NEW(a, type) ((type *)arena_zalloc((a), sizeof(type), _Alignof(type)))
#define ARENA_ARRAY(a, type, n) ((type *)arena_zalloc_array((a), (n), sizeof(type), _Alignof(type)))
void *arena_zalloc_array(struct arena *a, size_t count, size_t size, size_t align);

/* A copy with a NUL behind it (a courtesy to debuggers and %s, not counted). .p is NULL when the arena is full. */
struct span arena_copy(struct arena *a, struct span s);
struct span arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* False when the arena is full; then `fn` is not registered. */
bool arena_on_free(struct arena *a, void (*fn)(void *), void *ptr);

#endif
