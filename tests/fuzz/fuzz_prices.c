/* fuzz_prices.c - a price book of any shape is refused with problems or loads; what loads can be priced, and the worst
 * case holds. Seeds: tests/fuzz/corpus/prices. */
#include <stdlib.h>

#include "pricing/book.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Times around the versions of a model, so that windows and versions are met. */
static void price_around(const struct book_model *m, const struct book_version *v)
{
    const struct usage u = { 1000, 200, 30, 4, 500, 100, 1, 1, 1, 1, 1 };
    struct price_bounds b = { .prompt = 1236, .output = 502, .searches = 1, .cache_5m = true, .cache_1h = true,
                              .audio = true, .image = true };

    for (int64_t step = -1; step < 40; step++) {
        struct price_worst_case worst;
        struct price_view view;
        struct cost c, again;

        b.from_ms = v->from_ms + step * 5400000;
        b.until_ms = b.from_ms + 600000;
        if (price_at(m, b.from_ms, 5000, SPAN_LIT("batch"), &view) == PRICE_NO_VERSION && step >= 0 &&
            b.from_ms < v->until_ms)
            abort();
        if (price_worst_of(m, &b, &worst) != PRICE_OK)
            continue;
        if (price_attempt(m, worst.at_ms, worst.service_tier, &worst.usage, &again) != PRICE_OK ||
            again.cost_nano != worst.cost_nano)
            abort();
        if (price_attempt(m, b.from_ms, SPAN_NONE, &u, &c) == PRICE_OK && c.cost_nano > worst.cost_nano)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct problems ps;
    json_t *tree;
    struct book *b;

    problems_init(&ps);
    tree = json_parse("fuzz", (struct span){ (const char *)data, size }, &ps);
    b = tree ? book_load(tree, &ps) : NULL;
    if (!b && !ps.errors)
        abort();    /* refused without a word */
    for (size_t i = 0; b && i < book_count(b) && i < 4; i++) {
        const struct book_model *m = book_get(b, i);

        if (book_find(b, m->key) != m || book_find_in(b, m->provider, m->upstream_id) != m)
            abort();
        for (size_t v = 0; v < m->n_versions && v < 4; v++)
            price_around(m, &m->versions[v]);
    }
    book_free(b);
    json_decref(tree);
    problems_free(&ps);
    return 0;
}
