/* gemini_write.h - within the Gemini dialect: the halves of write_request. */
#ifndef TOLLGATE_GATEWAY_GEMINI_WRITE_H
#define TOLLGATE_GATEWAY_GEMINI_WRITE_H

#include "base/jscan.h"
#include "base/jwrite.h"
#include "gateway/dialects/gemini.h"

#define GEMINI_NAME_MAX 64     /* some of its models take 128 */
#define GEMINI_STOPS_MAX 5
#define GEMINI_CHOICES_MAX 8

/* Members as the caller's dialect calls them, for faults and warnings. */
enum gemini_said {
    SAID_MESSAGES, SAID_CHOICES, SAID_STOPS, SAID_EFFORT, SAID_PARALLEL, SAID_FORMAT, SAID_TOOLS, SAID_MEDIA, SAID_VERBOSITY,
};
const char *gemini_said(const struct chat *chat, enum gemini_said what);

/* One request being written. Begin with chat, target, out; the rest zeroed. gemini_writing_done frees. */
struct gemini_writing {
    const struct chat *chat;
    const struct target *target;
    struct request_out *out;
    struct buf *b;                 /* out->body */
    struct jscan *scan;            /* for texts that may be JSON; made when needed */
    struct buf scratch;            /* their escapes undone */
    unsigned noted;                /* bits of what has been noted already */
    const char *role;              /* of the content that is open; NULL: none */
    bool instructed;               /* the schema goes into the instructions: see gemini_schema_by_words */
};
void gemini_writing_done(struct gemini_writing *w);
/* A tool's name as Google takes it. SPAN_NONE: out->fault is set. */
struct span gemini_name_out(struct gemini_writing *w, struct span name);

/* Must the schema of the answer be asked for in words? Where the model has no such field, or not beside functions. */
bool gemini_schema_by_words(const struct chat *chat, const struct target *target);

/* gemini_turns.c: the members systemInstruction and contents. False: out->fault is set. */
bool gemini_write_system(struct gemini_writing *w);
bool gemini_write_contents(struct gemini_writing *w);
/* Can every item be said to this model? */
bool gemini_takes_turns(const struct chat *chat, const struct target *target, struct fault *fault);

/* gemini_config.c: toolConfig and tools; generationConfig. */
bool gemini_write_tools(struct gemini_writing *w);
void gemini_write_config(struct gemini_writing *w);

#endif
