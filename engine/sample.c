/* sample.c - argmax, or softmax with top_k and top_p and one draw. In double: the sums are over 129,280 terms. */
#include "engine/sample.h"

#include <math.h>
#include <stdlib.h>

struct sample_candidate {
    double weight;     /* not normalised: the likeliest has 1 */
    int32_t id;
};

void sample_scratch_free(struct sample_scratch *s)
{
    free(s->list);
    *s = (struct sample_scratch){ 0 };
}

double sample_uniform(uint64_t seed, uint64_t nth)
{
    uint64_t z = seed + (nth + 1) * 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return (double)(z >> 11) * 0x1p-53;
}

static int32_t argmax(const float *logits, size_t vocab)
{
    int32_t best = -1;

    for (size_t i = 0; i < vocab; i++)
        if (isfinite(logits[i]) && (best < 0 || logits[i] > logits[best]))
            best = (int32_t)i;
    return best;
}

/* Likeliest first; lowest id on ties, so that the order is the same everywhere. */
static int candidate_order(const void *a, const void *b)
{
    const struct sample_candidate *x = a, *y = b;

    if (x->weight != y->weight)
        return x->weight > y->weight ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* How many of the n sorted candidates stay: top_k of them, and the fewest whose probabilities reach top_p. */
static size_t nucleus(const struct sample_candidate *list, size_t n, const struct sample_params *p, double total)
{
    double sum = 0;
    size_t keep = 0;

    if (p->top_k > 0 && (size_t)p->top_k < n) {
        n = (size_t)p->top_k;
        total = 0;
        for (size_t i = 0; i < n; i++)
            total += list[i].weight;
    }
    while (keep < n) {
        sum += list[keep++].weight;
        if (p->top_p < 1 && sum >= p->top_p * total)
            break;
    }
    return keep;
}

int32_t sample_next(const float *logits, size_t vocab, const struct sample_params *p, uint64_t nth,
                    struct sample_scratch *s)
{
    const int32_t best = argmax(logits, vocab);
    double total = 0, point;
    size_t n = 0;

    if (best < 0 || p->temperature <= 0)
        return best;
    if (s->room < vocab) {
        struct sample_candidate *list = realloc(s->list, vocab * sizeof *list);

        if (!list)
            return -1;
        s->list = list;
        s->room = vocab;
    }
    for (size_t i = 0; i < vocab; i++) {
        /* exp(-40) is below the last bit of any sum that holds the likeliest's 1: leaving such tokens out changes
         * nothing and keeps the sort short. */
        const double x = isfinite(logits[i]) ? ((double)logits[i] - (double)logits[best]) / p->temperature : -HUGE_VAL;

        if (x < -40)
            continue;
        s->list[n] = (struct sample_candidate){ exp(x), (int32_t)i };
        total += s->list[n++].weight;
    }
    if (p->top_k > 0 || p->top_p < 1) {
        qsort(s->list, n, sizeof *s->list, candidate_order);
        n = nucleus(s->list, n, p, total);
        total = 0;
        for (size_t i = 0; i < n; i++)
            total += s->list[i].weight;
    }
    point = sample_uniform(p->seed, nth) * total;
    for (size_t i = 0; i + 1 < n; i++) {
        point -= s->list[i].weight;
        if (point < 0)
            return s->list[i].id;
    }
    return s->list[n - 1].id;
}
