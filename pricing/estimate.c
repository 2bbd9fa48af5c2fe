/* estimate.c - the two estimates of a prompt and the bound of an answer. Nothing else; no tokenizer. */
#include "pricing/estimate.h"

typedef unsigned __int128 wide;

static wide positive(int64_t v)
{
    return v > 0 ? (wide)v : 0;
}

/* n x num / den, rounded up. */
static wide scale_up(wide n, struct ratio by)
{
    const wide num = (wide)by.num, den = (wide)by.den, up = den - 1;

    return (n * num + up) / den;
}

static int64_t at_most(wide n, int64_t cap)
{
    return n < (wide)cap ? (int64_t)n : cap;
}

int64_t estimate_prompt_upper(const struct book_model *m, const struct estimate_parts *p)
{
    const struct ratio one = { 1, 1 };
    const bool stretches = m->tokenizer_factor.num > m->tokenizer_factor.den;    /* a thrifty one promises nothing */
    wide tokens = positive(p->text_bytes) + positive(p->tool_bytes) * ESTIMATE_TOOL_BYTES;

    if (p->unbounded)
        return m->context;
    tokens += positive(p->messages) * ESTIMATE_MESSAGE_TOKENS + positive(p->tools) * ESTIMATE_TOOL_TOKENS;
    tokens += positive(p->images) * ESTIMATE_IMAGE_TOKENS + ESTIMATE_REQUEST_TOKENS;
    tokens += scale_up(positive(p->audio_bytes), (struct ratio){ 1, ESTIMATE_AUDIO_BYTES });
    return at_most(scale_up(tokens, stretches ? m->tokenizer_factor : one), m->context);
}

int64_t estimate_prompt_typical(const struct book_model *m, const struct estimate_parts *p)
{
    const struct ratio a_token = { 1, ESTIMATE_BYTES_A_TOKEN };
    wide tokens = scale_up(positive(p->text_bytes) + positive(p->tool_bytes), a_token);

    tokens += positive(p->messages) * ESTIMATE_TYPICAL_MESSAGE + positive(p->images) * ESTIMATE_TYPICAL_IMAGE;
    tokens += scale_up(positive(p->audio_bytes), (struct ratio){ 1, ESTIMATE_TYPICAL_AUDIO });
    return at_most(scale_up(tokens, m->tokenizer_factor), INT64_MAX);
}

int64_t estimate_output_upper(const struct book_model *m, int64_t asked)
{
    return asked > 0 && asked < m->max_output ? asked : m->max_output;
}
