/* book.c - the finished table: who is meant by a name, which version holds at a time.
 *
 * Owns the memory of a book. Does not read JSON (book_read.c) nor prices anything (price.c). */
#include <stdlib.h>

#include "base/jschema.h"
#include "pricing/book_read.h"

#define BOOK_MEMORY (64u << 20)    /* the bundled book takes some 100 KiB */
#define DAY_MS INT64_C(86400000)

/* ---- load and free ---- */

static int compare_spans(struct span a, struct span b)
{
    const size_t n = a.n < b.n ? a.n : b.n;
    const int c = n ? memcmp(a.p, b.p, n) : 0;

    return c ? c : (a.n > b.n) - (a.n < b.n);
}

static int compare_keys(const void *a, const void *b)
{
    return compare_spans((*(const struct book_model *const *)a)->key, (*(const struct book_model *const *)b)->key);
}

static int compare_entries(const void *a, const void *b)
{
    const struct book_entry *x = a, *y = b;
    const int c = compare_spans(x->token, y->token);

    return c ? c : (x->model > y->model) - (x->model < y->model);    /* one array: the order of the file */
}

static bool make_index(struct book *b)
{
    b->by_key = ARENA_ARRAY(&b->arena, const struct book_model *, b->n_models + 1);
    if (!b->by_key)
        return false;
    for (size_t i = 0; i < b->n_models; i++)
        b->by_key[i] = &b->models[i];
    qsort(b->by_key, b->n_models, sizeof *b->by_key, compare_keys);
    qsort(b->entries, b->n_entries, sizeof *b->entries, compare_entries);
    return true;
}

struct book *book_load(const json_t *tree, struct problems *ps)
{
    const size_t before = ps->errors;
    struct book *b = calloc(1, sizeof *b);

    if (!b) {
        problem_error(ps, "", "cannot be loaded: no memory");
        return NULL;
    }
    arena_init(&b->arena, BOOK_MEMORY);
    jschema_check_bundled("prices.schema.json", tree, ps);
    book_read(b, tree, ps);
    if (ps->errors == before && !make_index(b))
        problem_error(ps, "", "cannot be loaded: no memory");
    if (ps->errors == before)
        return b;
    book_free(b);
    return NULL;
}

void book_free(struct book *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->n_zones; i++)
        zone_free(b->zones[i]);
    free(b->zones);
    arena_free(&b->arena);
    free(b);
}

/* ---- the whole ---- */

struct span book_name(const struct book *b)
{
    return b->name;
}

int64_t book_age_days(const struct book *b, int64_t now_ms)
{
    const int64_t today = now_ms / DAY_MS;

    return b->read_on_day == INT64_MIN || today < b->read_on_day ? -1 : today - b->read_on_day;
}

size_t book_count(const struct book *b)
{
    return b->n_models;
}

const struct book_model *book_get(const struct book *b, size_t i)
{
    return i < b->n_models ? &b->models[i] : NULL;
}

/* ---- names ---- */

const struct book_model *book_find(const struct book *b, struct span key)
{
    size_t low = 0, high = b->n_models;

    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        const int c = compare_spans(b->by_key[mid]->key, key);

        if (c == 0)
            return b->by_key[mid];
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

/* The first entry of that token; entries of one token stand together, in the order of the file. */
static size_t first_entry(const struct book *b, struct span token)
{
    size_t low = 0, high = b->n_entries;

    while (low < high) {
        const size_t mid = low + (high - low) / 2;

        if (compare_spans(b->entries[mid].token, token) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

enum kinds { ANY, BARE, OTHER };

static const struct book_model *find_in(const struct book *b, struct span provider, struct span name, enum kinds kind)
{
    for (size_t i = first_entry(b, name); i < b->n_entries && span_eq(b->entries[i].token, name); i++) {
        const struct book_entry *e = &b->entries[i];

        if (span_eq(e->model->provider, provider) && (kind == ANY || e->bare == (kind == BARE)))
            return e->model;
    }
    return NULL;
}

const struct book_model *book_find_in(const struct book *b, struct span provider, struct span name)
{
    return find_in(b, provider, name, ANY);
}

const struct book_model *book_next_named(const struct book *b, struct span name, const struct book_model *after)
{
    for (size_t i = first_entry(b, name); i < b->n_entries && span_eq(b->entries[i].token, name); i++)
        if (b->entries[i].bare && (!after || b->entries[i].model > after))
            return b->entries[i].model;
    return NULL;
}

const struct book_model *book_resolve(const struct book *b, struct span asked, const struct span *providers,
                                      size_t n_providers)
{
    const struct book_model *m = book_find(b, asked);

    for (size_t i = 0; m && i < n_providers; i++)
        if (span_eq(m->provider, providers[i]))
            return m;
    for (int kind = OTHER; kind >= BARE; kind--) {
        for (size_t i = 0; i < n_providers; i++) {
            m = find_in(b, providers[i], asked, (enum kinds)kind);
            if (m)
                return m;
        }
    }
    return NULL;
}

/* ---- times ---- */

const struct book_version *book_version_at(const struct book_model *m, int64_t utc_ms)
{
    for (size_t i = m->n_versions; i-- > 0;)    /* the newest is asked for most */
        if (utc_ms >= m->versions[i].from_ms)
            return utc_ms < m->versions[i].until_ms ? &m->versions[i] : NULL;
    return NULL;
}

const struct book_version *book_version_named(const struct book_model *m, struct span from)
{
    for (size_t i = 0; i < m->n_versions; i++)
        if (span_eq(m->versions[i].from, from))
            return &m->versions[i];
    return NULL;
}

bool book_is_retired(const struct book_model *m, int64_t now_ms)
{
    return now_ms >= m->retired_ms;
}
