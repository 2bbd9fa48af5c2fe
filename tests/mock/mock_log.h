/* mock_log.h - what the mock was asked, and what it was told to do next. */
#ifndef TOLLGATE_TESTS_MOCK_LOG_H
#define TOLLGATE_TESTS_MOCK_LOG_H

#include "base/buf.h"
#include "base/http1.h"

#define MOCK_LOG_CALLS 64
#define MOCK_BODY_MAX ((size_t)256 << 20)

struct mock_call {
    uint64_t n;                    /* from 1; 0: none */
    struct buf head, body;         /* head: members of a JSON object */
};

struct mock_queue {                /* POST /mock/script/MODEL */
    struct mock_queue *next;
    char *model, *lines;
    size_t at;
};

struct mock_log {
    struct mock_call calls[MOCK_LOG_CALLS];
    struct mock_queue *queues;
    uint64_t requests;             /* calls since the start or the last reset */
};

void mock_log_init(struct mock_log *l);
void mock_log_reset(struct mock_log *l);
void mock_log_add(struct mock_log *l, const struct http1_head *h, struct span body);
/* The calls that are kept, oldest first, as a JSON array. */
void mock_log_json(const struct mock_log *l, struct buf *out);
/* The body of call "17" or of the "last"; SPAN_NONE when it is not kept. */
struct span mock_log_body(const struct mock_log *l, struct span which);
/* The script of the next call for `model`: the next line, the last one again and again; SPAN_NONE without any. */
struct span mock_log_next(struct mock_log *l, struct span model);
void mock_log_put(struct mock_log *l, struct span model, struct span lines);

#endif
