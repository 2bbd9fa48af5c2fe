/* book_read.h - inside of the book, shared by book.c (the table) and book_read.c (prices.json -> table). Nobody else
 * includes it. */
#ifndef TOLLGATE_PRICING_BOOK_READ_H
#define TOLLGATE_PRICING_BOOK_READ_H

#include "base/arena.h"
#include "pricing/book.h"

/* A name of a model within its provider. */
struct book_entry {
    struct span token;
    const struct book_model *model;
    bool bare;                   /* the name behind the slash; else upstream_id or alias */
};

struct book {
    struct arena arena;          /* holds all but the zones */
    struct span name;
    int64_t read_on_day;         /* INT64_MIN: not stated */
    const struct book_model *models;    /* in the order of the file */
    size_t n_models;
    const struct book_model **by_key;   /* sorted by key */
    struct book_entry *entries;         /* sorted by token, then by the order of the file */
    size_t n_entries;
    struct calendar *calendars;
    size_t n_calendars;
    struct zone **zones;         /* each once; malloc'ed, each freed by zone_free */
    size_t n_zones;
};

/* Fills calendars, zones and models of an empty book with an open arena from a tree of any shape (what has the wrong
 * type is passed over: the schema has said so). Faults go to `ps`; the book is good only if none came. */
void book_read(struct book *b, const json_t *tree, struct problems *ps);

#endif
