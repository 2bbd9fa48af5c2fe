/* anthropic_thinking.c - how hard a Claude is told to think: the neutral effort in the words of the model at hand.
 *
 * Models up to 4.5 take a budget of tokens, later ones an effort ("adaptive"), and 4.6 both (wire/translation section 3,
 * wire/anthropic-messages section 6). Anthropic-compatible hosts of DeepSeek take both words and heed the effort. */
#include "gateway/dialects/anthropic_write.h"

#define BUDGET_LEAST 1024

bool anthropic_reasoning_goes(const struct chat_item *item, const struct target *target)
{
    if (target->family == FAMILY_ANTHROPIC)
        return item->family == FAMILY_ANTHROPIC && item->opaque_raw.n > 0;
    return !item->redacted && item->text.n > 0;    /* a host with Anthropic's base and models of its own, which sign nothing */
}

/* What is said beside the results does not end the loop: it stands in the same message. */
bool anthropic_loop_lacks_thinking(const struct chat *chat, const struct target *target)
{
    bool calls = false, lacks = false, first = true;

    for (const struct chat_turn *t = chat->turns; t; t = t->next) {
        if (t->role != ROLE_ASSISTANT) {
            first = true;
            continue;
        }
        for (const struct chat_item *i = t->items; i; i = i->next) {
            if (i->kind == ITEM_REASONING && !anthropic_reasoning_goes(i, target))
                continue;
            if (first) {
                lacks = i->kind != ITEM_REASONING;
                calls = false;
            }
            first = false;
            calls |= i->kind == ITEM_CALL;
        }
    }
    return calls && lacks && target->family == FAMILY_ANTHROPIC;
}

static int64_t budget_of(enum effort effort, int64_t asked)
{
    switch (effort) {
    case EFFORT_MINIMAL: return BUDGET_LEAST;
    case EFFORT_LOW: return 4096;
    case EFFORT_MEDIUM: return 8192;
    case EFFORT_XHIGH: case EFFORT_MAX: return 32768;
    case EFFORT_BUDGET: return asked > BUDGET_LEAST ? asked : BUDGET_LEAST;
    default: return 16384;    /* high; dynamic, whose own default is high */
    }
}

/* The cap on the answer counts thinking too, and is never raised: it bounds what the request costs. So the budget gives way, and
 * leaves half of the cap to the answer. */
static struct anthropic_thinking by_budget(const struct chat *chat, const struct traits *traits, int64_t max_tokens)
{
    struct anthropic_thinking t = { .kind = THINK_BUDGET };

    t.budget = budget_of(chat->effort, chat->budget);
    if (traits->budget_least > t.budget)
        t.budget = traits->budget_least;
    if (traits->budget_most > 0 && traits->budget_most < t.budget)
        t.budget = traits->budget_most;
    if (t.budget < max_tokens)
        return t;
    if (max_tokens <= BUDGET_LEAST)
        return (struct anthropic_thinking){ .kind = THINK_UNSAID, .dropped = true };
    t.changed = true;
    t.budget = max_tokens / 2 > BUDGET_LEAST ? max_tokens / 2 : BUDGET_LEAST;
    return t;
}

static enum effort level_of(const struct chat *chat)
{
    if (chat->effort != EFFORT_BUDGET)
        return chat->effort;
    return chat->budget < 6144 ? EFFORT_LOW : chat->budget < 12288 ? EFFORT_MEDIUM : chat->budget < 24576 ? EFFORT_HIGH
                                                                                                            : EFFORT_XHIGH;
}

static bool knows(const char *efforts, const char *word)
{
    const struct span w = span_str(word);
    struct span rest = span_str(efforts);

    while (rest.n) {
        const size_t end = span_find(rest, ' ');

        if (span_eq(span_first(rest, end), w))
            return true;
        rest = span_skip(rest, end + 1);
    }
    return efforts[0] == '\0';
}

static const char *const words[] = { "low", "medium", "high", "xhigh", "max" };    /* from EFFORT_LOW on */

/* The word, or the nearest that the model knows: less first, then more. */
static const char *word_of(enum effort level, const char *efforts, bool *changed)
{
    const int n = (int)(sizeof words / sizeof words[0]);
    const int at = level <= EFFORT_LOW ? 0 : (int)level - (int)EFFORT_LOW;

    *changed = !knows(efforts, words[at]);
    for (int i = at; i >= 0; i--)
        if (knows(efforts, words[i]))
            return words[i];
    for (int i = at + 1; i < n; i++)
        if (knows(efforts, words[i]))
            return words[i];
    return NULL;
}

const char *anthropic_effort_word(struct span effort, const struct traits *traits)
{
    bool changed = false;
    const char *word = NULL;

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (jraw_is(jval_raw(effort), words[i]))
            word = word_of((enum effort)((int)EFFORT_LOW + (int)i), traits->efforts, &changed);
    return changed ? word : NULL;
}

static struct anthropic_thinking by_effort(const struct chat *chat, const struct traits *traits, int64_t max_tokens)
{
    struct anthropic_thinking t = { .kind = THINK_ADAPTIVE };

    if (traits->thinking == THINKING_DEEPSEEK)    /* `enabled` wants a budget, which nobody there reads */
        t = (struct anthropic_thinking){ .kind = THINK_BUDGET, .budget = max_tokens > BUDGET_LEAST ? BUDGET_LEAST : 1 };
    if (chat->effort != EFFORT_DYNAMIC)
        t.effort = word_of(level_of(chat), traits->efforts, &t.changed);
    return t;
}

static bool prefilled(const struct chat *chat)
{
    return chat->last_turn && chat->last_turn->role == ROLE_ASSISTANT;
}

struct anthropic_thinking anthropic_thinking_of(const struct chat *chat, const struct target *target, int64_t max_tokens)
{
    const struct traits *traits = target->traits;
    struct anthropic_thinking t = { .kind = THINK_UNSAID };

    if (chat->effort == EFFORT_UNSET)
        return t;
    if (chat->effort == EFFORT_OFF) {
        if (traits->thinking != THINKING_NONE && traits->thinking_off)
            t.kind = THINK_DISABLED;
        return t;
    }
    if (traits->thinking == THINKING_NONE || prefilled(chat)) {    /* a beginning to be continued cannot be thought about */
        t.dropped = true;
        return t;
    }
    if (traits->thinking == THINKING_ADAPTIVE || traits->thinking == THINKING_DEEPSEEK)
        return by_effort(chat, traits, max_tokens);
    t = by_budget(chat, traits, max_tokens);
    if (t.kind == THINK_BUDGET && anthropic_loop_lacks_thinking(chat, target))
        return (struct anthropic_thinking){ .kind = THINK_UNSAID, .dropped = true };
    return t;
}
