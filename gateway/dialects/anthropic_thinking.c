/* anthropic_thinking.c - how hard a Claude is told to think: the neutral effort in the words of the model at hand.
 *
 * Models up to 4.5 take a budget of tokens, later ones an effort ("adaptive"), and 4.6 both (wire/translation section 3,
 * wire/anthropic-messages section 6). Anthropic-compatible hosts of DeepSeek take both words and heed the effort. */
#include "gateway/dialects/anthropic_write.h"
#include "gateway/dialects/effort.h"

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

static const char every_word[] = "low medium high xhigh max";

static const char *words_of(const struct traits *traits)
{
    return traits->efforts[0] ? traits->efforts : every_word;
}

struct span anthropic_effort_word(struct span effort, const struct traits *traits)
{
    static const struct { const char *word; enum effort effort; } table[] = {
        { "low", EFFORT_LOW }, { "medium", EFFORT_MEDIUM }, { "high", EFFORT_HIGH }, { "xhigh", EFFORT_XHIGH }, { "max", EFFORT_MAX },
    };
    struct chat asked = { .effort = EFFORT_UNSET };
    struct span word = SPAN_NONE;
    bool changed = false;

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (jraw_is(jval_raw(effort), table[i].word))
            asked.effort = table[i].effort;
    word = effort_word(&asked, words_of(traits), &changed);
    return changed ? word : SPAN_NONE;
}

static struct anthropic_thinking by_effort(const struct chat *chat, const struct traits *traits, int64_t max_tokens)
{
    struct anthropic_thinking t = { .kind = THINK_ADAPTIVE };

    if (traits->thinking == THINKING_DEEPSEEK)    /* `enabled` wants a budget, which nobody there reads */
        t = (struct anthropic_thinking){ .kind = THINK_BUDGET, .budget = max_tokens > BUDGET_LEAST ? BUDGET_LEAST : 1 };
    t.effort = effort_word(chat, words_of(traits), &t.changed);
    t.changed &= chat->effort != EFFORT_MINIMAL;    /* the table has no such step: low is it */
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
