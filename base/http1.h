/* http1.h - strict HTTP/1.1 heads and chunked bodies (RFC 9112): of the gateway's callers and the engine's, and of
 * the answers of plain upstreams.
 *
 * Whatever is ambiguous is refused and the connection closed: bare LF or CR, obs-fold, white space before a colon,
 * NUL or control characters, Content-Length with Transfer-Encoding, two Content-Lengths (even equal), a list or sign
 * or hex in it, a Transfer-Encoding other than exactly "chunked" (and any in HTTP/1.0), no Host or two in HTTP/1.1, a
 * Host that is no host[:port], a target that is neither origin-form nor "*" for OPTIONS (absolute-form is legal and
 * read, never used to route), HTTP versions other than 1.0 and 1.1, chunk sizes with sign, prefix, blank or
 * overflow, trailers that name framing fields. Chunk extensions are read and dropped within the line limit.
 *
 * No allocation; a head is read from one contiguous run of bytes; spans point into it. */
#ifndef TOLLGATE_BASE_HTTP1_H
#define TOLLGATE_BASE_HTTP1_H

#include "base/span.h"

#define HTTP1_HEADERS_MAX 100

struct http1_header {
    struct span name;      /* a token, as sent; compare with span_eq_nocase */
    struct span value;     /* trimmed; visible ASCII, blanks and obs-text (bytes >= 0x80) */
};

/* How the body of an answer ends. A request has its length, its chunks or none. */
enum http1_body {
    HTTP1_BODY_NONE,       /* 1xx, 204, 304, or a length of 0 */
    HTTP1_BODY_LENGTH,
    HTTP1_BODY_CHUNKED,
    HTTP1_BODY_TO_END,     /* of the connection */
};

struct http1_head {        /* of a request: status, reason and body are 0; of an answer: method to host are SPAN_NONE */
    struct span method;    /* upper case letters */
    struct span target;    /* as sent */
    struct span path;      /* begins with "/" (or is "*"); not decoded */
    struct span query;     /* behind "?", SPAN_NONE when there is none */
    struct span host;
    int minor;             /* HTTP/1.minor: 0 or 1 */
    size_t n_headers;
    bool chunked;
    bool has_length;
    uint64_t length;       /* of the body when has_length */
    bool keep_alive;       /* by version and Connection */
    bool expect_continue;
    int status;            /* 100 to 599, never 101 */
    struct span reason;    /* may be empty */
    enum http1_body body;
    struct http1_header headers[HTTP1_HEADERS_MAX];    /* last: who keeps a head need only keep the first n_headers */
};
#define HTTP1_HEAD_BYTES(n_headers) (offsetof(struct http1_head, headers) + (n_headers) * sizeof(struct http1_header))

enum http1_rc {
    HTTP1_MORE,            /* no whole head yet */
    HTTP1_OK,
    HTTP1_BAD,             /* answer `status`, say `why`, close */
};

struct http1_error {
    int status;            /* 400, 414 (target over 8 KiB), 417 (Expect), 431 (head too large), 501 (coding), 505 */
    const char *why;       /* a sentence for people, static */
};

/* Reads one head from the start of `in`. `max_bytes` bounds it (431). *used is the length of the head with its blank
 * line. *seen (start with 0) remembers how far the end was looked for, so that a head in many pieces stays linear. One
 * empty line before the request line is skipped, as RFC 9112 2.2 asks. */
enum http1_rc http1_read_head(struct span in, size_t max_bytes, size_t *seen, struct http1_head *head, size_t *used,
                              struct http1_error *err);

/* The same of an answer to a GET or POST, as strictly; error status 431 when the head is too large or has more than 100
 * headers, else 502. The status line begins with "HTTP/1.0 " or "HTTP/1.1 "; a missing blank behind the status is
 * borne, since many leave it out and it can mean only one thing; 101 is refused, for we never ask. Nothing is skipped in
 * front. A 1xx is a head like any (body NONE): the caller reads on behind it. Refused as ambiguous are also a body
 * announced with 1xx or 204, and any Transfer-Encoding but "chunked", although RFC 9112 6.3 would read on to the end. */
enum http1_rc http1_read_response(struct span in, size_t max_bytes, size_t *seen, struct http1_head *head, size_t *used,
                                  struct http1_error *err);

/* First header of that name (lower case given, any case matched); SPAN_NONE when absent. */
struct span http1_get(const struct http1_head *head, const char *name);

/* A chunked body, piece by piece (http1_chunks.c). A chunk-size line may have 256 bytes, all trailers 8 KiB; both are dropped. */
struct http1_chunks {
    uint64_t left;         /* of the current chunk; all of this is private */
    uint32_t line_bytes;   /* of the current size line or of all trailers */
    uint32_t waste;        /* bytes of framing beyond what the body excuses */
    uint8_t state;
    uint8_t digits;
    uint8_t name_bytes;
    char name[18];         /* of a trailer: one byte longer than the longest that is refused */
};
void http1_chunks_init(struct http1_chunks *c);
/* Reads some of `in`: *used bytes are consumed, *data is a span of body within them (maybe empty). HTTP1_MORE: call
 * again, with the rest or with more bytes; HTTP1_OK: the body has ended; HTTP1_BAD. */
enum http1_rc http1_chunks_read(struct http1_chunks *c, struct span in, size_t *used, struct span *data,
                                struct http1_error *err);

#endif
