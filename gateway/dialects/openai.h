/* openai.h - the OpenAI Chat Completions dialect, and every host compatible with it. Wire facts: openai-chat and
 * deepseek-and-compatible of our wire pages, read from https://platform.openai.com/docs/api-reference/chat and the behaviour
 * of the hosts. Each field is checked as far as the gateway knows it, also where the body then passes unchanged. Unknown
 * fields pass untouched to a host of the dialect.
 *
 * Files: openai_request.c, openai_messages.c and openai_tools.c read a caller's body; openai_pass.c passes it to a provider,
 * openai_body.c and openai_turns.c write one anew, openai_host.c says what hosts and models want otherwise; openai_answer.c and
 * openai_think.c read a provider's answer; openai_reply.c writes a caller's; openai.c has the table. Legacy Completions and
 * Embeddings (completions.c, embeddings.c) share what is alike. */
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
/* Without it the answer would mean something else, at a host that lacks it. */
bool openai_member_means(enum openai_member m);

/* What parse leaves for pass_request (chat.places). */
struct openai_places {
    struct span at[OPENAI_MEMBERS];    /* values as they stand in the body; SPAN_NONE: absent */
    bool unknown;              /* there are members that we do not know */
    bool developer;            /* a message has that role */
    bool calls;                /* an assistant's message calls tools */
    bool reasoning;            /* an assistant's message brings its reasoning back */
};

bool openai_parse(struct chat *chat, const struct parse_spec *spec);

/* ---- openai_body.c ---- */

/* Of a chat of any dialect, this one too: there it says what the host or the model lacks. */
bool openai_takes(const struct chat *chat, const struct target *target, struct fault *fault);
/* Of a chat of any dialect: one of this own is written anew where a host refuses what it does not know. */
bool openai_write_request(const struct chat *chat, const struct target *target, struct request_out *out);

/* ---- openai_turns.c: "messages" ---- */

/* The member, key included, behind what out->body holds. False: out->fault. */
bool openai_write_messages(const struct chat *chat, const struct target *target, struct request_out *out);
/* The instruction that stands for a JSON schema, or for JSON at all, as the raw body of a string. */
void openai_add_instruction(const struct chat *chat, struct buf *raw);
/* What the assistant's turns from `from` up to `end`, said as one, must bring back as reasoning_content; SPAN_NONE: nothing
 * (deepseek-and-compatible A3). */
struct span openai_reasoning_back(const struct chat *chat, const struct chat_turn *from, const struct chat_turn *end,
                                  const struct target *target);

/* ---- openai_host.c: what hosts and models want otherwise ---- */

/* Is the word in a list with blanks between? */
bool openai_listed(const char *list, struct span word);
/* A custom tool has its own form there; else it goes out as a function. */
bool openai_knows_custom(const struct target *target);
/* The nearest effort that the model knows (effort.h); SPAN_NONE: send none. *changed: it is not what was asked. */
struct span openai_effort(const struct chat *chat, const struct traits *traits, bool *changed);
/* DeepSeek's pair; NULL: leave it out. */
void openai_deepseek_thinking(const struct chat *chat, const char **type, const char **effort);
/* Would a forced tool choice be refused, since the model thinks? */
bool openai_unforced(const struct chat *chat, const struct target *target);
/* Is there a JSON schema to be put into words? */
bool openai_schema_in_words(const struct chat *chat, const struct target *target);
/* The caller's word for what sets the effort: "reasoning_effort", "thinking"... */
struct span openai_effort_field(const struct chat *chat);

/* ---- openai_pass.c ---- */

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

/* ---- openai_reply.c ---- */

struct writer *openai_writer_new(const struct reply_info *info, struct buf *out);
void openai_writer_free(struct writer *w);
bool openai_writer_piece(struct writer *w, const struct piece *p);
bool openai_writer_end(struct writer *w, const struct draft *d, struct buf *terminal);
/* The member "usage": disjoint counters into the dialect's inclusive ones. */
void openai_write_usage(const struct usage *u, struct buf *b);
int openai_fault_status(const struct fault *f);
void openai_write_fault(const struct fault *f, struct span request_id, struct buf *out);
void openai_write_stream_fault(const struct fault *f, struct span request_id, const struct chat *chat, bool begun, struct buf *out);

#endif
