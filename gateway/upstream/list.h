/* list.h - circular doubly linked lists with a head; an entry that is in none points to itself. */
#ifndef TOLLGATE_GATEWAY_UPSTREAM_LIST_H
#define TOLLGATE_GATEWAY_UPSTREAM_LIST_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev;
};

/* The `type` that holds `entry` as its `member`. */
#define LIST_OF(entry, type, member) ((type *)(void *)((char *)(entry) - offsetof(type, member)))

static inline void list_init(struct list *l) { l->next = l->prev = l; }
static inline bool list_empty(const struct list *l) { return l->next == l; }

static inline void list_remove(struct list *e)
{
    e->prev->next = e->next;
    e->next->prev = e->prev;
    list_init(e);
}

static inline void list_append(struct list *l, struct list *e)
{
    assert(list_empty(e));
    e->prev = l->prev;
    e->next = l;
    l->prev->next = e;
    l->prev = e;
}

#endif
