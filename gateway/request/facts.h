/* facts.h - head, key and body of a request as the features that a policy may look at. */
#ifndef TOLLGATE_GATEWAY_FACTS_H
#define TOLLGATE_GATEWAY_FACTS_H

#include "gateway/request/request.h"

/* Reads the x-tollgate-* headers that can be wrong by themselves. False: r->fault. */
bool facts_read_headers(struct request *r);
/* Reads the scanned body into r->chat and r->features, in two parts: what the head says of it, and the body itself, which may
 * take long: any thread, r is its own meanwhile and the head is not looked at. False: r->fault. */
void facts_begin_body(struct request *r);
/* Between the two: the features no longer look at the head, which goes with the connection. False: the arena is full. */
bool facts_own_head(struct request *r);
bool facts_read_body(struct request *r);

/* The parts of facts_read_body, for `explain`: the body of a chat that chat_init has begun, read into it and into the features;
 * and what follows from a chat alone. */
bool facts_parse(const struct dialect *dialect, struct arena *arena, const struct recall *recall, struct chat *chat,
                 struct features *f, struct fault *fault);
bool facts_fill(struct features *f, const struct chat *chat, struct arena *arena);
/* Percent-encoding undone, into the arena. */
struct span facts_decode(struct arena *a, struct span s);

#endif
