/* anthropic.h - the Anthropic Messages dialect. Wire facts: wire/anthropic-messages, and the types of Anthropic's own client
 * library (@anthropic-ai/sdk 1.13).
 *
 * Files: anthropic_request.c and anthropic_blocks.c read a caller's body; anthropic_body.c and anthropic_turns.c write a
 * provider's, anthropic_pass.c passes one; anthropic_answer.c reads a provider's answer; anthropic_reply.c writes a caller's;
 * anthropic.c has the table, the faults and the small documents. */
#ifndef TOLLGATE_GATEWAY_ANTHROPIC_H
#define TOLLGATE_GATEWAY_ANTHROPIC_H

#include "gateway/dialects/dialect.h"

extern const struct dialect anthropic_dialect;

/* ---- count_tokens: POST /v1/messages/count_tokens has the body of a message without max_tokens ---- */

/* As the dialect's parse, but nothing of max_tokens is required. */
bool anthropic_parse_count(struct chat *chat, const struct parse_spec *spec);
/* {"input_tokens":n} */
void anthropic_write_count(int64_t tokens, struct buf *out);

/* ---- GET /v1/models, GET /v1/models/{id} ---- */

struct anthropic_model {
    struct span id;            /* "claude-auto", "anthropic/claude-opus-4.7" */
    struct span title;         /* for people; SPAN_NONE: the id */
    int64_t created_s;         /* UTC; 0 where it is not known, as Anthropic writes it: 1970 */
    int64_t context;           /* tokens; 0: not said */
    int64_t max_output;
};
/* What the query asked for; zeroed: everything. Ids that are not in the list name its beginning. */
struct anthropic_page {
    struct span before_id, after_id;    /* of ?before_id=, ?after_id=; SPAN_NONE */
    int64_t limit;                      /* of ?limit=, 1 to 1000; 0: not said. Anthropic's default of 20 would hide models from
                                         * clients that do not page: then all come */
};
void anthropic_write_models(const struct anthropic_model *models, size_t n, const struct anthropic_page *page, struct buf *out);
void anthropic_write_model(const struct anthropic_model *model, struct buf *out);

#endif
