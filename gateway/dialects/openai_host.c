/* openai_host.c - how hosts of the Chat dialect and their models want the same thing said: efforts, thinking, tool choice,
 * schemas. All of it follows from quirks and traits; no host and no model is known here by name. Source: wire/translation
 * section 3, wire/deepseek-and-compatible. */
#include "gateway/dialects/openai.h"

#include "gateway/dialects/effort.h"

bool openai_listed(const char *list, struct span word)
{
    struct span rest = span_str(list);

    while (rest.n && word.n) {
        const struct span one = span_first(rest, span_find(rest, ' '));

        if (span_eq(one, word))
            return true;
        rest = span_skip(rest, one.n + 1);
    }
    return false;
}

bool openai_knows_custom(const struct target *target)
{
    return target->quirks->family == FAMILY_OPENAI && !openai_listed(target->quirks->lacks, SPAN_LIT("custom"));
}

/* ---- effort ---- */

#define WORDS_MOST_KNOW "none low medium high"

struct span openai_effort(const struct chat *chat, const struct traits *traits, bool *changed)
{
    *changed = false;
    if (traits->thinking == THINKING_NONE) {
        *changed = effort_step(chat) > 0;
        return SPAN_NONE;
    }
    return effort_word(chat, traits->efforts[0] ? traits->efforts : WORDS_MOST_KNOW, changed);
}

void openai_deepseek_thinking(const struct chat *chat, const char **type, const char **effort)
{
    const int step = effort_step(chat);

    *type = *effort = NULL;
    if (step == 0)
        *type = "disabled";
    else if (step > 0)
        *effort = step <= 2 ? "low" : step <= 4 ? "high" : "max";
    else if (chat->effort == EFFORT_DYNAMIC)
        *type = "enabled";
}

struct span openai_effort_field(const struct chat *chat)
{
    switch (chat->dialect) {
    case DIALECT_RESPONSES: return SPAN_LIT("reasoning.effort");
    case DIALECT_ANTHROPIC: return SPAN_LIT("thinking");
    case DIALECT_GEMINI: return SPAN_LIT("generationConfig.thinkingConfig");
    default: return SPAN_LIT("reasoning_effort");
    }
}

/* ---- the rest ---- */

bool openai_unforced(const struct chat *chat, const struct target *target)
{
    const bool forced = chat->choice == CHOICE_ANY || chat->choice == CHOICE_NAMED ||
                        (chat->choice == CHOICE_ALLOWED && chat->choice_any);

    return forced && !target->traits->forced_tools && chat->effort != EFFORT_OFF;
}

bool openai_schema_in_words(const struct chat *chat, const struct target *target)
{
    return chat->format == FORMAT_SCHEMA && !(target->traits->schema && target->quirks->supports_json_schema);
}
