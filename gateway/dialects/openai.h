/* openai.h - the OpenAI Chat Completions dialect, and every host compatible with it. Wire facts: openai-chat and
 * deepseek-and-compatible of our wire pages, read from https://platform.openai.com/docs/api-reference/chat and the behaviour
 * of the hosts. Each field is checked as far as the gateway knows it, also where the body then passes unchanged. Unknown
 * fields pass untouched to a host of the dialect.
 *
 * Files: openai_request.c reads a caller's body, openai_body.c writes and passes a provider's, openai_answer.c reads a
 * provider's answer and relays it, openai_reply.c writes a caller's. Legacy Completions and Embeddings (completions.c,
 * embeddings.c) share what is alike. */
#ifndef TOLLGATE_GATEWAY_OPENAI_H
#define TOLLGATE_GATEWAY_OPENAI_H

#include "gateway/dialects/dialect.h"

extern const struct dialect openai_dialect;

/* ---- openai_request.c ---- */

/* The members of a request that we know, in no order. */
enum openai_member {
    OPENAI_MODEL, OPENAI_MESSAGES, OPENAI_STREAM, OPENAI_MAX_TOKENS, OPENAI_TEMPERATURE, OPENAI_TOOLS, OPENAI_TOP_P,
    OPENAI_STREAM_OPTIONS, OPENAI_MAX_COMPLETION_TOKENS, OPENAI_TOOL_CHOICE, OPENAI_STOP, OPENAI_N, OPENAI_USER,
    OPENAI_RESPONSE_FORMAT, OPENAI_REASONING_EFFORT, OPENAI_PARALLEL_TOOL_CALLS, OPENAI_PRESENCE_PENALTY,
    OPENAI_FREQUENCY_PENALTY, OPENAI_SEED, OPENAI_LOGPROBS, OPENAI_TOP_LOGPROBS, OPENAI_LOGIT_BIAS, OPENAI_METADATA,
    OPENAI_STORE, OPENAI_SERVICE_TIER, OPENAI_VERBOSITY, OPENAI_SAFETY_IDENTIFIER, OPENAI_PROMPT_CACHE_KEY,
    OPENAI_PROMPT_CACHE_OPTIONS, OPENAI_PROMPT_CACHE_RETENTION, OPENAI_MODALITIES, OPENAI_AUDIO, OPENAI_PREDICTION,
    OPENAI_MODERATION, OPENAI_WEB_SEARCH_OPTIONS, OPENAI_FUNCTIONS, OPENAI_FUNCTION_CALL,
    /* of compatible hosts */
    OPENAI_TOP_K, OPENAI_THINKING, OPENAI_REASONING, OPENAI_INCLUDE_REASONING,
    OPENAI_MEMBERS
};
/* Of a raw key; OPENAI_MEMBERS: none of them. */
enum openai_member openai_member_of(struct span key);
const char *openai_member_name(enum openai_member m);

/* What parse leaves for pass_request (chat.places). */
struct openai_places {
    struct span at[OPENAI_MEMBERS];    /* values as they stand in the body; SPAN_NONE: absent */
    bool unknown;              /* there are members that we do not know */
    bool developer;            /* a message has that role */
    bool calls;                /* an assistant's message calls tools */
};

bool openai_parse(struct chat *chat, const struct parse_spec *spec);

/* ---- openai_body.c ---- */

bool openai_pass_request(const struct chat *chat, const struct target *target, struct request_out *out);

/* ---- openai_answer.c ---- */

bool openai_read_whole(struct draft *d, struct span json, const struct target *target);
bool openai_read_event(struct draft *d, struct span name, struct span json, const struct target *target);
/* Any of the shapes that hosts use; what is no JSON becomes the message. */
void openai_read_error(struct draft *d, struct span body, bool scanned);
/* A chunk's event as the caller shall see it: byte for byte, but without usage when the caller did not ask for it (a gateway
 * always asks). */
enum relay openai_relay(const struct chat *chat, struct span raw, struct span json, bool begun, struct buf *out,
                        struct buf *terminal);
const char *openai_relay_end(const struct chat *chat);
/* Usage of the dialect, inclusive counters, into disjoint ones. False: nothing that could be charged. */
bool openai_read_usage(struct draft *d, struct span usage, const struct quirks *q);

#endif
