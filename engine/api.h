/* api.h - OpenAI's Chat Completions as far as the engine speaks it: bodies to jobs, results to JSON. Pure.
 *
 * A field that we know is checked whether we use it or not; a field that would change the answer and that we do not
 * implement (tools, logprobs, penalties, n above 1) is refused by name rather than ignored; others are ignored. */
#ifndef TOLLGATE_ENGINE_API_H
#define TOLLGATE_ENGINE_API_H

#include "engine/worker.h"

struct api_error {
    int status;
    const char *type;          /* NULL: "invalid_request_error" */
    const char *code;          /* NULL: null */
    char param[160];           /* "messages[2].content"; "": null */
    char message[320];
};

/* Fills *e and returns false, so that checks read `return api_fail(...)`. */
bool api_fail(struct api_error *e, int status, const char *code, const char *param, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* The first n bytes of s at most, no character cut: for messages, which must be valid UTF-8. */
struct span api_excerpt(struct span s, size_t n);

/* What the model's generation_config.json says where a request says nothing. */
struct api_defaults {
    double temperature, top_p;
    uint64_t seed;             /* for a request without one: random, new each time */
};

/* How the caller wants the answer. */
struct api_reply {
    char id[48];               /* "chatcmpl-..." */
    int64_t created_s;
    struct span model;         /* as the caller named it; in the job's arena */
    bool stream, include_usage;
};

/* The name in "model" of any body (in `a`), so that its model can be looked up first. False with an error. `body` has
 * been scanned (jscan), here and below. */
bool api_read_model(struct span body, struct arena *a, struct span *model, struct api_error *e);
/* Fills the job's first part and r->stream, r->include_usage. False with an error. */
bool api_read_chat(struct span body, const struct api_defaults *d, struct job *j, struct api_reply *r,
                   struct api_error *e);
/* POST /tokenize: {"model", "prompt": text, "add_special_tokens"?} or {"model", "messages"}. */
bool api_read_tokenize(struct span body, struct job *j, struct api_error *e);

/* What became of a job: false with an error for the ends that are none (too long, failed, cancelled). */
bool api_end_ok(const struct job *j, size_t context, struct api_error *e);

void api_write_error(struct buf *b, const struct api_error *e);
/* The whole answer, plain. */
void api_write_completion(struct buf *b, const struct api_reply *r, const struct job *j, struct span reasoning,
                          struct span content);
/* One event each, "data: ...\n\n". */
void api_write_start(struct buf *b, const struct api_reply *r);
void api_write_delta(struct buf *b, const struct api_reply *r, const char *field, struct span text);
void api_write_finish(struct buf *b, const struct api_reply *r, const struct job *j);    /* usage, [DONE] too */
void api_write_stream_error(struct buf *b, const struct api_error *e);
void api_write_tokens(struct buf *b, const struct job *j, size_t context);
/* One element of the list of models. */
void api_write_model(struct buf *b, const char *name, int64_t created_s, size_t context);

#endif
