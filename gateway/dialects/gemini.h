/* gemini.h - the Gemini dialect: generateContent, streamGenerateContent as server-sent events or as one JSON array. Wire facts:
 * wire/gemini-generate, and the types of Google's own client library (@google/genai 2.32).
 *
 * The model, the method and with it `stream` and `stream_array` are in the path and its query (no alt=sse: the array); the
 * gateway sets them before parse. A provider is always asked for alt=sse. Its stream has no terminal event: the end of the
 * body is the end. read_event sets draft.ended with the finish reason (or a blocked prompt), but later chunks may still bring
 * usage and signatures: read on until the body ends; a body that ends without it was cut.
 *
 * Files: gemini_request.c, _contents.c, _tools.c and _schema.c read a caller's body; gemini_body.c, _turns.c and _config.c write
 * a provider's; gemini_answer.c reads a provider's answer, gemini_reply.c writes a caller's; gemini_error.c has the errors of
 * both, gemini_pages.c the small documents, gemini.c the table. */
#ifndef TOLLGATE_GATEWAY_GEMINI_H
#define TOLLGATE_GATEWAY_GEMINI_H

#include "gateway/dialects/dialect.h"

extern const struct dialect gemini_dialect;

/* What Google takes in place of a thought signature for a call that another model made (wire/gemini-generate section 5): as it
 * is sent to Google, and in the base64 that a client's library expects of the member. */
#define GEMINI_NO_SIGNATURE "skip_thought_signature_validator"
#define GEMINI_NO_SIGNATURE_64 "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="

/* ---- pages ---- */

struct gemini_model {
    struct span name;          /* "auto", "openai/gpt-5.5": written behind "models/" */
    struct span title;         /* for people; SPAN_NONE: the name */
    int64_t context;           /* tokens; 0: not said */
    int64_t max_output;
};
/* Which part of a list a caller asks for: pageSize, pageToken (wire/gemini-generate section 12). */
struct gemini_page {
    int64_t size;              /* 0: all of it, since many clients never ask for a second page; above 1000 counts as 1000 */
    struct span token;         /* the last name of the page before it; SPAN_NONE: from the start */
};
/* {"models":[...],"nextPageToken":"..."}, the latter where more follows. False, and nothing is written: the token is none of ours. */
bool gemini_write_models(const struct gemini_model *models, size_t n, const struct gemini_page *page, struct buf *out);
/* One of them, as GET models/{m} answers. */
void gemini_write_model(const struct gemini_model *model, struct buf *out);

/* As countTokens answers. */
void gemini_write_count(int64_t tokens, struct buf *out);

#endif
