/* openai_answer.h - what a host of the OpenAI dialect answers, whole or chunk by chunk, gathered for judging and
 * pricing. Wire facts: openai-chat sections 5-8, deepseek-and-compatible sections A and C.
 *
 * Choice 0 is what the checks judge; the bytes of all choices are counted. */
#ifndef TOLLGATE_GATEWAY_OPENAI_ANSWER_H
#define TOLLGATE_GATEWAY_OPENAI_ANSWER_H

#include "base/buf.h"
#include "base/jscan.h"
#include "gateway/upstream/quirks.h"
#include "policies/checks.h"
#include "policies/failure.h"
#include "pricing/price.h"

#define OPENAI_ANSWER_TOOLS_MAX 128
#define OPENAI_ANSWER_BYTES_MAX (32u << 20)    /* of text and arguments that are kept */

struct openai_tool {
    struct buf name, arguments;
    bool custom;                       /* its arguments are free text, not JSON */
};

struct openai_answer {
    struct buf text;                   /* of choice 0, unescaped; not kept when keep_text is off */
    struct buf refusal;
    struct openai_tool *tools;         /* by index; grown as they appear */
    size_t n_tools, room_tools;
    int64_t chars;                     /* code points of text of choice 0 */
    int64_t generated_bytes;           /* of text, reasoning, arguments of all choices: an upper bound of tokens */
    bool has_piece;                    /* something that a caller could be shown has come */
    enum finish finish;                /* of choice 0 */
    bool has_usage;
    bool usage_mended;                 /* what was reported could not be: flag the row */
    struct usage usage;
    char model[128];                   /* as returned */
    char service_tier[32];
    bool keep_text;

    bool has_error;                    /* an error object, in place of an answer or inside a stream */
    char error_type[64], error_code[64], error_param[96];
    char error_message[600];

    struct answer_tool *view_tools;    /* for openai_answer_view */
};

void openai_answer_init(struct openai_answer *a);
void openai_answer_free(struct openai_answer *a);

/* `json` has been scanned. False: not a completion, an error object or a chunk; or too large. */
bool openai_answer_read_whole(struct openai_answer *a, struct span json, const struct quirks *q);
bool openai_answer_read_chunk(struct openai_answer *a, struct span json, const struct quirks *q);
/* An error body of any of the shapes that hosts use; what is no JSON becomes the message. `scanned`: it is valid JSON. */
void openai_answer_read_error(struct openai_answer *a, struct span body, bool scanned);

/* Appends a chunk's event to `out` as the caller shall see it: byte for byte, but without usage when the caller did
 * not ask for it (a gateway always asks). `raw` is the whole event, `json` its data within it. */
bool openai_answer_relay(struct span raw, struct span json, bool usage_asked, struct buf *out);

/* What the checks look at; borrowed from `a` until it changes. */
struct answer openai_answer_view(struct openai_answer *a);

#endif
