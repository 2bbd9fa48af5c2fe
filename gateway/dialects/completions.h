/* completions.h - OpenAI's legacy Completions: passes to hosts that have it, is never translated. Wire facts: wire/openai-chat
 * section 11, wire/deepseek-and-compatible A9.
 *
 * The gateway reads what bounds the cost (prompts, caps, how many answers), and of an answer its text, end and usage. */
#ifndef TOLLGATE_GATEWAY_COMPLETIONS_H
#define TOLLGATE_GATEWAY_COMPLETIONS_H

#include "gateway/dialects/dialect.h"

extern const struct dialect completions_dialect;

#define COMPLETIONS_DEFAULT_TOKENS 16    /* of one answer when the caller names no cap; said aloud, since hosts differ */

#endif
