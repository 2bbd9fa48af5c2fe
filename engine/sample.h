/* sample.h - from logits to the next id.
 *
 * Temperature 0 is argmax, lowest id on ties. Otherwise: penalties on the logits, then temperature, softmax, top_k,
 * top_p, one draw. The draw for the n-th token of an answer depends on seed and n alone, so that the same seed gives
 * the same text whatever else runs beside it. */
#ifndef TOLLGATE_ENGINE_SAMPLE_H
#define TOLLGATE_ENGINE_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sample_params {
    double temperature;    /* 0..2 */
    double top_p;          /* 0..1; 1: off. 0 keeps the likeliest token only */
    int32_t top_k;         /* 0: off */
    uint64_t seed;
};

/* One entry per token of the vocabulary, kept between calls so that sampling does not allocate. Of one thread. */
struct sample_scratch {
    struct sample_candidate *list;
    size_t room;
};
void sample_scratch_free(struct sample_scratch *s);

/* The id; -1 when no logit is finite (a broken model) or without memory. `nth` counts the answer's tokens from 0. */
int32_t sample_next(const float *logits, size_t vocab, const struct sample_params *p, uint64_t nth,
                    struct sample_scratch *s);

/* The n-th number of a seed's stream, uniform in [0, 1) with 53 bits. SplitMix64 (Steele, Lea, Flood 2014), whose
 * n-th state is seed + n * gamma, so that any place of the stream is reached at once. */
double sample_uniform(uint64_t seed, uint64_t nth);

#endif
