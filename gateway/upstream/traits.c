/* traits.c - what models take, by the beginning of their upstream names, whoever serves them. The facts are from the makers'
 * public documentation as of autumn 2026 (wire/anthropic-messages, wire/gemini-generate, wire/openai-responses). */
#include "gateway/upstream/quirks.h"

#define CAREFUL .sampling = true, .penalties = true, .stop = true, .prefill = true, .schema = true, .forced_tools = true

static const struct {
    const char *begins;
    struct traits traits;
} rows[] = {
    { "", { CAREFUL, .thinking = THINKING_EFFORT, .thinking_off = true, .url_media = true } },
};

/* The longest beginning that fits; the last row fits all. */
const struct traits *traits_of(struct span model)
{
    size_t best = sizeof rows / sizeof rows[0] - 1;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (span_starts(model, span_str(rows[i].begins)) && strlen(rows[i].begins) > strlen(rows[best].begins))
            best = i;
    return &rows[best].traits;
}
