/* fetch.h - HTTP to an upstream, without ever blocking: one struct fetch a worker, on the worker's event base.
 *
 * Owns the curl handles, connections, timers and their pools; curl is driven by its socket and timer callbacks only.
 * Plain http to a number, to localhost or to a unix socket takes a shorter way (fetch_plain.h), with the same promises.
 * Knows nothing of dialects, prices or retries: it says what came and how it ended, once. Everything here belongs to
 * one loop thread, but targets and header lists, which are built once, never change and may be shared by threads.
 *
 * What is fixed: certificates and names are always verified; redirects, cookies, netrc, HTTP/0.9 and content codings
 * are off (we ask for `identity`; an answer that is coded all the same is FETCH_MALFORMED, so nothing inflates);
 * only http and https; proxies only as told in the options. The request is written from our parts, never forwarded. */
#ifndef TOLLGATE_GATEWAY_UPSTREAM_FETCH_H
#define TOLLGATE_GATEWAY_UPSTREAM_FETCH_H

#include "base/span.h"

struct event_base;
struct fetch;
struct fetch_call;
struct fetch_target;
struct fetch_headers;

#define FETCH_HEAD_BYTES_MAX 65536   /* of an answer, all heads and trailers together */
#define FETCH_HEAD_LINES_MAX 100
#define FETCH_EXTRA_MAX 8            /* header lines of one call */
#define FETCH_PATH_MAX 512           /* of what one call puts behind its target's path */
#define FETCH_COPY_MAX 16384         /* a body in several spans up to this size is joined, so that it leaves with its
                                      * head in one write; larger ones are read from the spans as the socket takes them */

/* ---- where to: built at load, shared by workers, never changed ---- */

enum fetch_target_flags {
    FETCH_ALLOW_HTTP = 1,            /* plain http beyond loopback and unix sockets */
    FETCH_HTTP2 = 2,                 /* offer h2 by ALPN. Off by default: in curl 7.88 one paused stream holds up its
                                      * whole connection, and backpressure is what we pause for */
};

/* `base` is http://, https://, or unix:/path/of.sock for plain HTTP over a unix socket with base path "/v1"; it holds
 * no user, password or fragment. `path` ("/chat/completions") is put behind its path; a query of `base` stays.
 * `unix_path` (may be NULL) dials that socket whatever the host. `ca_file` (may be NULL) is trusted instead of the
 * system's certificates. NULL with a sentence in `why` when it is no address that we may call. */
struct fetch_target *fetch_target_new(const char *base, const char *path, const char *unix_path, const char *ca_file,
                                      unsigned flags, char *why, size_t why_room);
void fetch_target_free(struct fetch_target *t);
const char *fetch_target_origin(const struct fetch_target *t);    /* "https://api.deepseek.com", "unix:/run/x.sock" */
const char *fetch_target_path(const struct fetch_target *t);      /* "/v1/chat/completions" */

/* Puts "/" and `segment` behind what is in `path`, every byte percent-encoded but letters, digits and "-._~": whatever it
 * holds, it stays one segment and cannot begin a query, a method (":") or another host. False (nothing added) when it is
 * empty, "." or "..", or too long. */
bool fetch_path_add(char path[FETCH_PATH_MAX], struct span segment) __attribute__((warn_unused_result));

/* A list of header lines. The strings are copied, and wiped when freed: they hold keys. */
struct fetch_headers *fetch_headers_new(void);
/* `value` is visible ASCII with blanks between; false (nothing added) for anything else, and without memory. */
bool fetch_headers_add(struct fetch_headers *h, const char *name, struct span value);
void fetch_headers_free(struct fetch_headers *h);

/* ---- the worker's part ---- */

struct fetch_options {
    const char *ca_file;             /* NULL: the system's */
    const char *proxy;               /* NULL: none, whatever the environment says */
    bool proxy_from_env;             /* heed http_proxy, https_proxy, no_proxy; `proxy` is NULL then */
    long max_idle;                   /* connections kept; 0: 1024 */
    long max_resolving;              /* new connections of one origin under way at once; 0: 64. Later calls queue (within
                                      * connect_ms): a cold start costs neither 2,000 resolver threads nor a SYN flood */
};

/* `o` may be NULL. NULL: no memory. */
struct fetch *fetch_new(struct event_base *base, const struct fetch_options *o);
/* Calls still under way are dropped without callbacks. */
void fetch_free(struct fetch *f);

enum fetch_method { FETCH_POST, FETCH_GET };

struct fetch_spec {
    const struct fetch_target *target;      /* outlives the call */
    const struct fetch_headers *headers;    /* outlives the call; NULL: none */
    enum fetch_method method;
    char path[FETCH_PATH_MAX];              /* of this call alone, behind the target's own: "/models/m:generateContent?alt=sse".
                                             * "": nothing. Callers' and books' bytes come here by fetch_path_add */
    const char *extra[FETCH_EXTRA_MAX];     /* "name: value" lines of this call alone; copied; the first NULL ends them */
    const struct span *body;                /* the array and its bytes are borrowed until on_end, or, after fetch_cancel, */
    size_t n_body;                          /* until the end of that loop turn. Never empty for a POST */
    /* Milliseconds, 0 = no limit. */
    int64_t connect_ms;      /* name lookup, TCP and TLS, and the queue before them */
    int64_t first_byte_ms;   /* from the connection (new or kept) to the first byte of the answer's body */
    int64_t idle_ms;         /* between bytes of the body; stands still while paused. A keep-alive is bytes: a time-out
                              * for the first token is the caller's own */
    int64_t total_ms;        /* from fetch_start to the end; runs on while paused */
    uint64_t max_body_bytes; /* above: FETCH_TOO_LARGE; 0: no limit here */
    bool no_resend;          /* see fetch_result.sends */
};

enum fetch_end {
    FETCH_OK,                    /* a whole answer, whatever its status */
    FETCH_RESOLVE,               /* no such host */
    FETCH_CONNECT,               /* refused, unreachable, no socket file, proxy */
    FETCH_TLS,                   /* handshake or certificate */
    FETCH_RESET,                 /* closed or reset before the answer's body began */
    FETCH_CUT,                   /* ... or within it: before its declared length or its last chunk */
    FETCH_TIMEOUT_CONNECT,
    FETCH_TIMEOUT_FIRST_BYTE,
    FETCH_TIMEOUT_IDLE,
    FETCH_TIMEOUT_TOTAL,
    FETCH_TOO_LARGE,             /* its head, or its body above max_body_bytes */
    FETCH_MALFORMED,             /* not HTTP, bad framing, or a content coding */
    FETCH_MEMORY,                /* ours, or curl's own trouble */
};
const char *fetch_end_name(enum fetch_end end);    /* "timeout_idle": static, for logs and metrics */

struct fetch_result {
    enum fetch_end end;
    int status;                  /* 0 while no head has come */
    const char *detail;          /* words for the log, "" if none; until on_end returns; may name the host */
    uint64_t body_bytes;         /* of the answer, given to on_data */
    int64_t connect_us;          /* from the start until a connection was there; -1: never */
    int64_t first_byte_us;       /* from the start to the first byte of the answer's body; -1: none */
    int64_t total_us;
    bool kept;                   /* went over a connection that an earlier call had used */
    int sends;                   /* how often the request was written. Above 1 when a kept connection turned out closed
                                  * before one byte of answer: then it is sent again (RFC 9112 9.3.1), twice at most */
};

/* All in the loop thread, never from inside a function of this header. on_end comes exactly once, last, unless the
 * call is cancelled. NULL pointers are skipped. */
struct fetch_callbacks {
    /* The final head (1xx are dropped). fetch_header works from here to the end. */
    void (*on_head)(void *ctx, struct fetch_call *call, int status);
    /* 1 byte to 16 KiB of body, transfer coding undone; valid until it returns; always wholly taken. */
    void (*on_data)(void *ctx, struct fetch_call *call, struct span data);
    /* `call` is gone when it returns. */
    void (*on_end)(void *ctx, struct fetch_call *call, const struct fetch_result *r);
};

/* `spec` itself is read before this returns; `callbacks` must live on (a constant). NULL: no memory, or a path that is none.
 * May be called from inside callbacks. */
struct fetch_call *fetch_start(struct fetch *f, const struct fetch_spec *spec, const struct fetch_callbacks *callbacks,
                               void *ctx);
/* No callback after this. Fine from inside any callback, the call's own too. The connection is closed. */
void fetch_cancel(struct fetch_call *call);
/* Backpressure. After a pause at most what curl had read already (16 KiB) waits in memory; the rest waits in the
 * kernel and with the sender. Inside on_data no further on_data comes for that call until a resume. Resuming delivers from a
 * later turn of the loop, never from inside this function. Both may be called in any order, any number of times. */
void fetch_pause(struct fetch_call *call);
void fetch_resume(struct fetch_call *call);
bool fetch_paused(const struct fetch_call *call);

/* Has a connection been there, so that something of the request may have left? Before, nobody can bill for it. */
bool fetch_connected(const struct fetch_call *call);
/* A header of the answer by its name in any case, the last one if there are several; SPAN_NONE when absent. Valid
 * until on_end returns. NUL-terminated behind the span. */
struct span fetch_header(const struct fetch_call *call, const char *name);

/* For /metrics: how things stand, and counts since fetch_new. */
struct fetch_stats {
    uint64_t started, ended, cancelled;
    uint64_t connections;        /* opened */
    uint64_t resent;
    uint64_t bytes_in, bytes_out;/* bodies */
    size_t active, queued, pooled;
};
void fetch_get_stats(const struct fetch *f, struct fetch_stats *out);

#endif
