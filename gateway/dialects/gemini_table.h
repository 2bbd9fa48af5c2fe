/* gemini_table.h - within the Gemini dialect: the functions that gemini.c puts into its row. See dialect.h for each. */
#ifndef TOLLGATE_GATEWAY_GEMINI_TABLE_H
#define TOLLGATE_GATEWAY_GEMINI_TABLE_H

#include "gateway/dialects/gemini.h"

bool gemini_parse(struct chat *chat, const struct parse_spec *spec);                                    /* gemini_request.c */
bool gemini_takes(const struct chat *chat, const struct target *target, struct fault *fault);           /* gemini_body.c */
bool gemini_write_request(const struct chat *chat, const struct target *target, struct request_out *out);
bool gemini_pass_request(const struct chat *chat, const struct target *target, struct request_out *out);

bool gemini_read_whole(struct draft *d, struct span json, const struct target *target);                 /* gemini_answer.c */
bool gemini_read_event(struct draft *d, struct span name, struct span json, const struct target *target);
void gemini_read_error(struct draft *d, struct span body, bool scanned);                                /* gemini_error.c */

struct writer *gemini_writer_new(const struct reply_info *info, struct buf *out);                       /* gemini_reply.c */
void gemini_writer_free(struct writer *w);
bool gemini_writer_piece(struct writer *w, const struct piece *p);
bool gemini_writer_end(struct writer *w, const struct draft *d, struct buf *terminal);

int gemini_fault_status(const struct fault *f);                                                         /* gemini_error.c */
void gemini_write_fault(const struct fault *f, struct span request_id, struct buf *out);
void gemini_write_stream_fault(const struct fault *f, struct span request_id, const struct chat *chat, bool begun,
                               struct buf *out);

#endif
