/* testing_targets.h - one provider of each dialect whose model takes everything, for tests, benches and rendered examples. */
#ifndef TOLLGATE_GATEWAY_TESTING_TARGETS_H
#define TOLLGATE_GATEWAY_TESTING_TARGETS_H

#include "gateway/dialects/dialect.h"

#define TARGET_TAKES .thinking_off = true, .sampling = true, .penalties = true, .stop = true, .prefill = true, .url_media = true, \
                     .schema = true, .forced_tools = true

static inline const struct target *testing_target(enum dialect_id to)
{
    static const struct quirks openai = { .family = FAMILY_OPENAI, .responses = true, .max_tokens_field = MAX_COMPLETION_TOKENS,
                                          .developer_role = true, .supports_json_schema = true, .supports_parallel = true,
                                          .reasoning_in_output_count = true, .tool_choice_required_word = "required" };
    static const struct quirks anthropic = { .family = FAMILY_ANTHROPIC, .supports_json_schema = true };
    static const struct quirks gemini = { .family = FAMILY_GEMINI, .supports_json_schema = true };
    static const struct traits efforts = { .thinking = THINKING_EFFORT, .efforts = "none minimal low medium high xhigh max",
                                           TARGET_TAKES };
    static const struct traits adaptive = { .thinking = THINKING_ADAPTIVE, .efforts = "low medium high xhigh max", TARGET_TAKES };
    static const struct traits levels = { .thinking = THINKING_LEVEL, .efforts = "minimal low medium high", TARGET_TAKES };
    static const struct target targets[DIALECTS] = {
        [DIALECT_CHAT] = { .model = { "gpt-x", 5 }, .quirks = &openai, .traits = &efforts, .family = FAMILY_OPENAI,
                           .max_output = 65536 },
        [DIALECT_RESPONSES] = { .model = { "gpt-x", 5 }, .quirks = &openai, .traits = &efforts, .family = FAMILY_OPENAI,
                                .max_output = 65536 },
        [DIALECT_ANTHROPIC] = { .model = { "claude-x", 8 }, .quirks = &anthropic, .traits = &adaptive, .family = FAMILY_ANTHROPIC,
                                .max_output = 65536 },
        [DIALECT_GEMINI] = { .model = { "gemini-x", 8 }, .quirks = &gemini, .traits = &levels, .family = FAMILY_GEMINI,
                             .max_output = 65536 },
    };

    return &targets[to];
}

/* Claude as it was before it thought: it takes sampling always. */
static inline const struct target *testing_plain_claude(void)
{
    static const struct quirks anthropic = { .family = FAMILY_ANTHROPIC, .supports_json_schema = true };
    static const struct traits plain = { .thinking = THINKING_NONE, TARGET_TAKES };
    static const struct target target = { .model = { "claude-x", 8 }, .quirks = &anthropic, .traits = &plain,
                                          .family = FAMILY_ANTHROPIC, .max_output = 65536 };

    return &target;
}

#endif
