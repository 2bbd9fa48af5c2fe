/* arena.c - blocks that double up to 64 KiB, and a list of hooks. */
#include "base/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BLOCK_MIN 2048u
#define BLOCK_MAX 65536u

struct arena_block {
    struct arena_block *older;
    size_t bytes;
    _Alignas(16) char data[];
};

struct arena_hook {
    struct arena_hook *older;
    void (*fn)(void *);
    void *ptr;
};

void arena_init(struct arena *a, size_t cap_bytes)
{
    *a = (struct arena){ .cap_bytes = cap_bytes };
}

void arena_free(struct arena *a)
{
    for (struct arena_hook *h = a->hooks; h; h = h->older)
        h->fn(h->ptr);
    for (struct arena_block *b = a->blocks; b;) {
        struct arena_block *older = b->older;

        free(b);
        b = older;
    }
    arena_init(a, a->cap_bytes);
}

static bool arena_grow(struct arena *a, size_t need)
{
    size_t bytes = a->blocks ? a->blocks->bytes * 2 : BLOCK_MIN;
    struct arena_block *b;

    if (bytes > BLOCK_MAX)
        bytes = BLOCK_MAX;
    if (need > SIZE_MAX - sizeof *b - 16)
        return false;
    if (bytes < need + sizeof *b + 16)
        bytes = need + sizeof *b + 16;
    if (bytes > a->cap_bytes - a->used_bytes)
        return false;
    b = malloc(bytes);
    if (!b)
        return false;
    b->older = a->blocks;
    b->bytes = bytes;
    a->blocks = b;
    a->used_bytes += bytes;
    a->next = b->data;
    a->left = bytes - sizeof *b;
    return true;
}

void *arena_alloc(struct arena *a, size_t n, size_t align)
{
    size_t pad;
    char *p;

    assert(align && align <= 16 && (align & (align - 1)) == 0);
    pad = (size_t)(-(uintptr_t)a->next) & (align - 1);
    if (!a->next || pad > a->left || n > a->left - pad) {
        if (!arena_grow(a, n))
            return NULL;
        pad = 0;    /* a block begins aligned to 16 */
    }
    p = a->next + pad;
    a->next = p + n;
    a->left -= pad + n;
    return p;
}

void *arena_zalloc(struct arena *a, size_t n, size_t align)
{
    void *p = arena_alloc(a, n, align);

    if (p)
        memset(p, 0, n);
    return p;
}

void *arena_zalloc_array(struct arena *a, size_t count, size_t size, size_t align)
{
    if (size && count > SIZE_MAX / size)
        return NULL;
    return arena_zalloc(a, count * size, align);
}

struct span arena_copy(struct arena *a, struct span s)
{
    char *p = arena_alloc(a, s.n + 1, 1);

    if (!p)
        return SPAN_NONE;
    if (s.n)    /* memcpy from NULL is undefined even for 0 bytes */
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return (struct span){ p, s.n };
}

struct span arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap, again;
    int n;
    char *p = NULL;

    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n >= 0)
        p = arena_alloc(a, (size_t)n + 1, 1);
    if (p)
        vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return p ? (struct span){ p, (size_t)n } : SPAN_NONE;
}

bool arena_on_free(struct arena *a, void (*fn)(void *), void *ptr)
{
    struct arena_hook *h = ARENA_NEW(a, struct arena_hook);

    if (!h)
        return false;
    *h = (struct arena_hook){ a->hooks, fn, ptr };
    a->hooks = h;
    return true;
}
