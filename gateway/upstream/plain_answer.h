/* plain_answer.h - an HTTP/1.1 answer taken apart as its bytes come; pure, only fetch_plain.c uses it.
 *
 * Strict as base/http1.h, and within the limits of fetch.h: all heads of an answer together, 1xx included, have
 * FETCH_HEAD_BYTES_MAX bytes and FETCH_HEAD_LINES_MAX fields. */
#ifndef TOLLGATE_GATEWAY_UPSTREAM_PLAIN_ANSWER_H
#define TOLLGATE_GATEWAY_UPSTREAM_PLAIN_ANSWER_H

#include "base/http1.h"

struct plain_answer {
    int status;                    /* 0 while the final head has not come */
    enum http1_body framing;
    bool keep;                     /* what the head says; and nothing has come behind the answer */
    uint64_t left;                 /* of a body by length */
    struct http1_chunks chunks;
    size_t seen, head_bytes, head_lines;
    const char *why;               /* of PLAIN_BAD and PLAIN_TOO_LARGE, static */
    char *fields;                  /* "name\0value\0" for each header; in `room` if they fit */
    size_t fields_n;
    char room[256];                /* most local servers' headers */
};

enum plain_rc { PLAIN_MORE, PLAIN_DONE, PLAIN_BAD, PLAIN_TOO_LARGE, PLAIN_NO_MEMORY };

/* Before the first use, and for the next answer: forgets all, frees what was kept. */
void plain_answer_init(struct plain_answer *a);
void plain_answer_clear(struct plain_answer *a);

/* Reads heads off the front of `in`: *used bytes are done with, and must not be offered again. PLAIN_MORE: the rest is to
 * be offered again with more behind it. PLAIN_DONE: the final head is read. PLAIN_BAD may know the status already: the
 * head was one, but its content coding is none of ours. `scratch` is only memory. */
enum plain_rc plain_answer_head(struct plain_answer *a, struct http1_head *scratch, struct span in, size_t *used);

/* Takes all n bytes at p and undoes the transfer coding in place: *data lies within them, maybe empty, and is good
 * whatever is returned. PLAIN_MORE: all was body; PLAIN_DONE: it has ended (HTTP1_BODY_NONE: at once); PLAIN_BAD. */
enum plain_rc plain_answer_body(struct plain_answer *a, char *p, size_t n, struct span *data);

/* The last header of that name; SPAN_NONE when absent. NUL-terminated. */
struct span plain_answer_header(const struct plain_answer *a, const char *name);

#endif
