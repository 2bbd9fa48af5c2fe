/* anthropic_write.h - between the files that write a provider's Messages request. */
#ifndef TOLLGATE_GATEWAY_ANTHROPIC_WRITE_H
#define TOLLGATE_GATEWAY_ANTHROPIC_WRITE_H

#include "gateway/dialects/dialect.h"

#define ANTHROPIC_NAME_MAX 128    /* of a tool: [A-Za-z0-9_-] */
#define ANTHROPIC_MARKS_MAX 4     /* cache breakpoints of a request */

/* ---- fields in the caller's own spelling, for faults and notes: anthropic_body.c ---- */

enum anthropic_word {
    WORD_MESSAGES, WORD_IMAGE, WORD_AUDIO, WORD_FILE, WORD_FILE_ID, WORD_DETAIL, WORD_MAX_TOKENS, WORD_N, WORD_LOGPROBS,
    WORD_TEMPERATURE, WORD_TOP_P, WORD_TOP_K, WORD_PRESENCE, WORD_FREQUENCY, WORD_SEED, WORD_LOGIT_BIAS, WORD_STOP, WORD_FORMAT,
    WORD_EFFORT, WORD_VERBOSITY, WORD_METADATA, WORD_USER, WORD_TIER, WORD_TOOLS, WORD_CHOICE, WORDS
};
/* Static. */
const char *anthropic_word(const struct chat *chat, enum anthropic_word word);

/* ---- how to think: anthropic_thinking.c ---- */

enum anthropic_think {
    THINK_UNSAID,              /* the member is left out */
    THINK_DISABLED, THINK_BUDGET, THINK_ADAPTIVE,
};
struct anthropic_thinking {
    enum anthropic_think kind;
    int64_t budget;            /* BUDGET: at least 1024, less than max_tokens */
    struct span effort;        /* output_config.effort; SPAN_NONE: left out. Static, or of the model's traits */
    bool dropped, changed;     /* what was asked for is not, or not quite, what goes out */
};
/* `max_tokens` is the cap that goes out. */
struct anthropic_thinking anthropic_thinking_of(const struct chat *chat, const struct target *target, int64_t max_tokens);
/* The word that goes out in the place of an `effort` (a string value) which the model does not know; SPAN_NONE: it knows it. */
struct span anthropic_effort_word(struct span effort, const struct traits *traits);
/* Is the chat within a tool loop whose last assistant turn does not begin with thinking that the target can read? With a
 * budget such a turn is refused. */
bool anthropic_loop_lacks_thinking(const struct chat *chat, const struct target *target);
/* Does this reasoning go back to the target? */
bool anthropic_reasoning_goes(const struct chat_item *item, const struct target *target);

/* ---- anthropic_schema.c ---- */

/* A whole schema as structured output takes it. *changed is set when what it allows is not what the caller's allows. */
void anthropic_write_schema(struct buf *b, struct span schema, bool *changed);

/* ---- the turns: anthropic_turns.c ---- */

struct anthropic_writing {
    const struct chat *chat;
    const struct target *target;
    struct request_out *out;
    size_t marks_to_skip;      /* of the cache marks that come: the last four stay */
    bool five_minutes;         /* a mark of 5 minutes is out: no longer one may follow */
    bool noted_role, noted_detail, noted_arguments, noted_name;
    bool changed_schema;       /* of a strict tool */
};

/* Refuses what the turns hold that cannot be said. */
bool anthropic_takes_turns(const struct chat *chat, const struct target *target, struct fault *fault);
/* `system`: the leading turns of that role, as blocks; then `instruction` (may be NULL) with the
 * schema behind it (SPAN_NONE: none). Nothing when there is neither. */
void anthropic_write_system(struct anthropic_writing *w, const char *instruction, struct span schema_json);
bool anthropic_write_messages(struct anthropic_writing *w);
/* "cache_control", when the item has a mark that may stay. */
void anthropic_write_cache(struct anthropic_writing *w, enum cache_mark mark);
/* The tool's name as the provider takes it. SPAN_NONE: the fault is set. */
struct span anthropic_tool_name(struct anthropic_writing *w, struct span name);
/* Does it match [A-Za-z0-9_-]+, as ids of calls must there? What does not is written otherwise, the same for the same id. */
bool anthropic_takes_id(struct span id);
void anthropic_add_id(struct buf *b, struct span id);
bool anthropic_calls_in_history(const struct chat *chat);

#endif
