/* facts.h - head, key and body of a request as the features that a policy may look at. */
#ifndef TOLLGATE_GATEWAY_FACTS_H
#define TOLLGATE_GATEWAY_FACTS_H

#include "gateway/request/request.h"

/* Reads the x-tollgate-* headers that can be wrong by themselves. False: r->fault. */
bool facts_read_headers(struct request *r);
/* Parses the scanned body and fills r->chat and r->features. False: r->fault. */
bool facts_read_body(struct request *r);

/* The two halves of facts_read_body, for `explain`: the body and its scored text; what follows from it. */
bool facts_parse(struct span body, struct arena *arena, struct chat *chat, struct features *f, struct fault *fault);
/* False: no memory. */
bool facts_fill(struct features *f, const struct chat *chat, int64_t max_cost_nano, int64_t deadline_ms, struct arena *arena);

#endif
