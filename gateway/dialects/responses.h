/* responses.h - the OpenAI Responses dialect. Wire facts: wire/openai-responses, and the types of OpenAI's own client
 * libraries (openai-node 6).
 *
 * Files: responses_request.c reads a caller's body, responses_body.c writes and passes a provider's, responses_answer.c reads
 * a provider's answer, responses_reply.c writes a caller's. */
#ifndef TOLLGATE_GATEWAY_RESPONSES_H
#define TOLLGATE_GATEWAY_RESPONSES_H

#include "gateway/dialects/dialect.h"

extern const struct dialect responses_dialect;

#endif
