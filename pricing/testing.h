/* testing.h - what the tests of this room share: times from text, books from text, numbers from a seed. */
#ifndef TOLLGATE_PRICING_TESTING_H
#define TOLLGATE_PRICING_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pricing/book.h"

/* xorshift64*: the same cases on every machine. A test prints its seed when it fails, by name. */
struct dice {
    uint64_t state;
};

static inline uint64_t dice_u64(struct dice *d)
{
    d->state ^= d->state >> 12;
    d->state ^= d->state << 25;
    d->state ^= d->state >> 27;
    return d->state * UINT64_C(2685821657736338717);
}

static inline int64_t dice_between(struct dice *d, int64_t low, int64_t high)    /* both included */
{
    return low + (int64_t)(dice_u64(d) % (uint64_t)(high - low + 1));
}

static inline int64_t at(const char *text)
{
    int64_t ms;

    if (!zone_parse_time(span_str(text), &ms))
        fail_msg("%s is no time", text);
    return ms;
}

static inline struct zone *zone_of(const char *name)
{
    const char *why;
    struct zone *z = zone_load(span_str(name), &why);

    if (!z)
        fail_msg("%s %s (is tzdata installed?)", name, why);
    return z;
}

/* A tree from JSON in which ' stands for ". */
static inline json_t *tree_of(const char *text)
{
    char *copy = strdup(text);
    json_error_t e;
    json_t *tree;

    for (char *p = copy; *p; p++)
        if (*p == '\'')
            *p = '"';
    tree = json_loads(copy, 0, &e);
    if (!tree)
        fail_msg("the test's own JSON: %s at %d: %s", e.text, e.position, copy);
    free(copy);
    return tree;
}

static inline struct book *book_of(const char *text)
{
    json_t *tree = tree_of(text);
    struct problems ps;
    struct book *b;

    problems_init(&ps);
    b = book_load(tree, &ps);
    if (!b) {
        problems_print(&ps, stderr);
        fail_msg("the test's own book has faults");
    }
    problems_free(&ps);
    json_decref(tree);
    return b;
}

/* The bundled book; `srcdir` comes from make. */
static inline struct book *bundled_book(struct problems *ps)
{
    const char *top = getenv("top_srcdir");
    char path[4096];
    json_t *tree;
    struct book *b;

    snprintf(path, sizeof path, "%s/pricing/prices.json", top ? top : ".");
    tree = json_read(path, 1u << 24, ps, NULL, NULL);
    b = tree ? book_load(tree, ps) : NULL;
    json_decref(tree);
    if (!b) {
        problems_print(ps, stderr);
        fail_msg("%s has faults", path);
    }
    return b;
}

#endif
