/* edits.h - a caller's body with a few places changed, as pieces that point into it: how a request of the same dialect on
 * both sides passes without a copy (dialect.h, pass_request). */
#ifndef TOLLGATE_GATEWAY_EDITS_H
#define TOLLGATE_GATEWAY_EDITS_H

#include "gateway/dialects/dialect.h"

#define EDITS_FEW 16

struct edit {
    size_t at, cut;            /* offset and length of what goes */
    struct span put;           /* lives as long as the request */
};

/* Begin with { .body = ..., .arena = the request's }. */
struct edits {
    struct span body;
    struct arena *arena;       /* more than a few edits go there: a host may want something of each message */
    struct edit few[EDITS_FEW];
    struct edit *list;         /* in order of place; no two overlap */
    size_t n, room;
    bool failed;               /* the arena is full: edits_pieces tells */
};

/* `value` is a value within the body. Cheapest in the order of the body. */
void edits_replace(struct edits *e, struct span value, struct span put);
/* Before the byte at `at`. Two at one place come in the order of the calls. */
void edits_insert(struct edits *e, size_t at, struct span put);
/* As edits_replace, of a string: `text` is written as JSON into the arena. False: it is full. */
bool edits_replace_string(struct edits *e, struct arena *arena, struct span value, struct span text);
bool edits_replace_int(struct edits *e, struct arena *arena, struct span value, int64_t n);
/* Offset of the last brace of the body, which is an object: where more members go. */
size_t edits_end(struct span body);

/* out->pieces. False: no memory, and out->fault says so. */
bool edits_pieces(const struct edits *e, struct request_out *out);

#endif
