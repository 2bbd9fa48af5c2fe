/* embeddings.h - OpenAI's Embeddings: passes to hosts that have it. Wire facts: wire/embeddings-batches-files section 1.
 *
 * Vectors pass as they came: a number written anew would be another number. There is no output to be paid and no stream. */
#ifndef TOLLGATE_GATEWAY_EMBEDDINGS_H
#define TOLLGATE_GATEWAY_EMBEDDINGS_H

#include "gateway/dialects/dialect.h"

extern const struct dialect embeddings_dialect;

#define EMBEDDINGS_INPUTS_MAX 2048    /* of one request, as OpenAI allows */

#endif
