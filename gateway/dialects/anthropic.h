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

/* ---- POST /v1/messages/count_tokens: the body of a message without max_tokens (chat.counting) ---- */

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

/* ---- the dialect's own functions, one file each but for the faults ---- */

bool anthropic_parse(struct chat *chat, const struct parse_spec *spec);
bool anthropic_takes(const struct chat *chat, const struct target *target, struct fault *fault);
bool anthropic_write_request(const struct chat *chat, const struct target *target, struct request_out *out);
bool anthropic_pass_request(const struct chat *chat, const struct target *target, struct request_out *out);
bool anthropic_read_whole(struct draft *d, struct span json, const struct target *target);
bool anthropic_read_event(struct draft *d, struct span name, struct span json, const struct target *target);
void anthropic_read_error(struct draft *d, struct span body, bool scanned);
enum relay anthropic_relay(const struct chat *chat, struct span raw, struct span json, bool begun, struct buf *out,
                           struct buf *terminal);
struct writer *anthropic_writer_new(const struct reply_info *info, struct buf *out);
void anthropic_writer_free(struct writer *w);
bool anthropic_writer_piece(struct writer *w, const struct piece *p);
bool anthropic_writer_end(struct writer *w, const struct draft *d, struct buf *terminal);

#endif
