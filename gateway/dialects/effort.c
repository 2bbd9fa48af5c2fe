/* effort.c - see effort.h. */
#include "gateway/dialects/effort.h"

static const char *const steps[] = { "none", "minimal", "low", "medium", "high", "xhigh", "max" };
#define STEPS ((int)(sizeof steps / sizeof steps[0]))

/* The table's budgets are 1024 to 4096, 8192, 16384 to 24576, 32768: the borders lie half way between. */
static int step_of_budget(int64_t budget)
{
    return budget <= 0 ? 0 : budget <= 6144 ? 2 : budget <= 12288 ? 3 : budget <= 28672 ? 4 : 5;
}

static int step_of_word(struct span word)
{
    for (int i = 0; i < STEPS; i++)
        if (span_is(word, steps[i]))
            return i;
    return -1;
}

int effort_step(const struct chat *chat)
{
    if (chat->effort == EFFORT_UNSET || chat->effort == EFFORT_DYNAMIC)
        return -1;
    return chat->effort == EFFORT_BUDGET ? step_of_budget(chat->budget) : (int)chat->effort - (int)EFFORT_OFF;
}

struct span effort_word(const struct chat *chat, const char *words, bool *changed)
{
    const int asked = effort_step(chat);
    struct span rest = span_str(words), best = SPAN_NONE;
    int distance = 0;

    *changed = false;
    if (asked < 0)
        return SPAN_NONE;
    while (rest.n) {
        const size_t blank = span_find(rest, ' ');
        const struct span word = span_first(rest, blank);
        const int step = step_of_word(word), d = step > asked ? step - asked : asked - step;

        if (step >= 0 && (!best.p || d <= distance)) {    /* of two that are as near, the higher */
            best = word;
            distance = d;
        }
        rest = span_skip(rest, blank + 1);
    }
    *changed = best.p && distance > 0 && chat->effort != EFFORT_BUDGET;
    return best;
}
