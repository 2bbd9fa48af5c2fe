/* mock_script.h - what the mock upstream shall do with one request; the words are explained in mock_upstream.c. */
#ifndef TOLLGATE_TESTS_MOCK_SCRIPT_H
#define TOLLGATE_TESTS_MOCK_SCRIPT_H

#include "base/buf.h"
#include "base/span.h"

#define MOCK_OFF (-1)

struct mock_script {
    /* the answer */
    long status, bytes, chunks;
    char text[4096], tool[64], args[2048], finish[32], model[128];
    long tools;                      /* calls of that tool */
    long reasoning;
    bool refuse, empty, badargs, badutf8, malformed;
    /* usage */
    char usage[16];
    long in, out, cached;
    /* errors */
    char type[64], code[64], message[256], error_body[16], location[256];
    long retry_after, retry_after_ms, late_error;
    /* time */
    long first_ms, body_ms, every_ms;
    long keepalive, blank;
    /* faults */
    long cut, reset, stall, piece, bigline;
    bool bighead, gzip, close, nolength, badchunk, badhead, badlength, nodone, early_hints, crlf, stamp;
    /* as asked */
    bool stream, stream_usage;
    bool scripted;                   /* any word was read */
};

void mock_script_init(struct mock_script *s);
/* Reads "status=429,retry_after=2" (words split by comma; %XX undone in texts). False: an unknown word. */
bool mock_script_read(struct mock_script *s, struct span words);
/* What a request body says: model, stream, include_usage, and the words behind "mock:" in the model's name; then those
 * behind the last "mock:" elsewhere. A text search, not a parser: made for our own tests, and for speed. */
void mock_script_from_body(struct mock_script *s, struct span body, struct span *model);
void mock_script_from_prompt(struct mock_script *s, struct span body, struct span model);

/* ---- mock_answer.c: the pieces of an answer ---- */

/* The JSON of a whole answer: `before`, then mock_text_bytes() of filler that is made while sending (0 when the text is
 * short and lies in `before`), then `after`. */
void mock_answer_json(const struct mock_script *s, struct buf *before, struct buf *after);
size_t mock_text_bytes(const struct mock_script *s);
void mock_answer_error(const struct mock_script *s, struct buf *out);
/* One SSE event of a streamed answer: 0 .. mock_events() - 1, the terminal [DONE] is the last. */
size_t mock_events(const struct mock_script *s);
void mock_answer_event(const struct mock_script *s, size_t i, struct buf *out);
const char *mock_status_text(long status);

#endif
