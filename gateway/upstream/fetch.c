/* fetch.c - calls to upstreams: one curl easy handle each, pooled, on one curl multi handle (fetch_loop.c). Plain http
 * where no name is looked up goes to fetch_plain.c, at the functions of the public part.
 *
 * Owns each call from fetch_start to its on_end: its timers, its place in the connect queue, its body's cursor. Does
 * not interpret an answer beyond its head's size and coding, and never tries again but for one case: a kept
 * connection that the peer had closed (see fetch_result.sends).
 *
 *            fetch_start                prereq             first body byte
 *   pool ------------------> QUEUED --> CONNECTING ------> WAITING ----------> BODY --+
 *     ^                        |  ^        |                  |                  |     |  call_finish: on_end
 *     |                        |  +--------+ EAGAIN           |                  |     |  call_drop: nobody is told
 *     +------------------------+-----------------------------+------------------+-----+
 *
 * Curl must not be re-entered from its callbacks, and handles not removed there. So what a user asks for inside a
 * callback (start, cancel) goes to the list `later`, emptied in fetch_settle, which runs when no curl call is left on the
 * stack. A resume waits for an event of its own, since curl delivers buffered bytes from inside curl_easy_pause. */
#include "gateway/upstream/fetch.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "gateway/upstream/fetch_loop.h"
#include "gateway/upstream/fetch_plain.h"
#include "gateway/upstream/fetch_target.h"
#include "gateway/upstream/fetch_time.h"
#include "gateway/upstream/list.h"

#define POOL_MAX 1024              /* idle calls kept: about 24 KiB each */
#define MAX_IDLE_DEFAULT 1024
#define MAX_RESOLVING_DEFAULT 64
#define MAX_CONNECTING 256         /* of one origin, once its name is known */
#define WARM_US 50000000           /* shorter than the 60 s that curl keeps a looked-up address */
#define CONNECTION_LIFE_S 600L     /* then it is replaced, so that a changed address is heeded in time */
#define RECEIVE_BYTES 16384L       /* curl's buffer a running transfer, and the most that a paused one has in memory */
#define SEND_BYTES 16384L          /* over TLS curl copies each request into such a buffer, and keeps it */
#define SENDS_MAX 3
#define BUSY_SOCKET_RETRY_US 5000  /* connect(2) on a unix socket whose queue is full says EAGAIN and nothing after */

enum call_state { CALL_POOLED, CALL_QUEUED, CALL_CONNECTING, CALL_WAITING, CALL_BODY, CALL_ENDING };

/* An address that calls are under way to. A handful exist, so a list is searched. */
struct origin {
    struct origin *next;
    char *name;
    bool named;
    size_t connecting;
    size_t calls;
    int64_t warm_until_us;
    struct list queue;             /* calls by `queue` */
};

struct fetch_call {
    bool is_plain;                 /* false, and first: plain calls have true there, and are all of another make */
    struct list all;               /* of fetch->calls or fetch->pool */
    struct list queue;             /* of its origin */
    struct list later;             /* of fetch->later */
    struct list resume;            /* of fetch->resume */
    struct fetch *fetch;
    struct origin *origin;
    CURL *easy;
    struct event timer;
    int64_t armed_us;              /* when the timer fires; FETCH_NEVER: not armed */
    const struct fetch_callbacks *callbacks;
    void *ctx;
    const struct fetch_target *target;
    CURLU *url;                    /* of a call with a path of its own; NULL: the target's */
    enum call_state state;
    bool in_multi, cancelled, paused, paused_in_curl, head_done, no_resend;
    bool failing;                  /* `failure` is why we made curl stop */
    enum fetch_end failure;
    int status, sends;
    size_t head_bytes, head_lines;
    /* the body that we send */
    const struct span *body;
    size_t n_body, at_span, at_byte;
    char *joined;
    /* times */
    int64_t connect_us, first_byte_us, idle_us, total_us;    /* limits as given, 0: none */
    int64_t started_us, connected_us, began_us, last_us, retry_us;    /* began: the answer's body */
    uint64_t received, max_body_bytes;
    struct curl_slist extra[FETCH_EXTRA_MAX];
    char *extra_text;
    char error[CURL_ERROR_SIZE];
};

struct fetch {
    struct fetch_loop loop;
    CURLSH *share;
    struct event kick;
    struct list calls, pool, later, resume;
    struct origin *origins;
    struct fetch_headers *defaults;    /* of a spec that has none */
    struct plain *plain;           /* serves what needs no curl */
    char *ca_file, *proxy;
    bool proxy_from_env;
    size_t max_resolving;
    struct fetch_stats stats;
};

#define CALL_OF(entry, member) LIST_OF(entry, struct fetch_call, member)

/* ---- origins: the queue before a connection ---- */

static struct origin *origin_get(struct fetch *f, const struct fetch_target *t)
{
    struct origin *o;

    for (o = f->origins; o; o = o->next)
        if (strcmp(o->name, t->origin) == 0)
            return o;
    o = calloc(1, sizeof(*o));
    if (o)
        o->name = strdup(t->origin);
    if (!o || !o->name) {
        free(o);
        return NULL;
    }
    o->named = t->named;
    list_init(&o->queue);
    o->next = f->origins;
    f->origins = o;
    return o;
}

/* A name that has not been looked up lately costs a thread a call, so few may ask at once. */
static bool origin_has_room(const struct fetch *f, const struct origin *o, int64_t now_us)
{
    const size_t most = o->named && o->warm_until_us < now_us ? f->max_resolving : MAX_CONNECTING;

    return o->connecting < most;
}

static void origins_free(struct fetch *f)
{
    while (f->origins) {
        struct origin *o = f->origins;

        f->origins = o->next;
        free(o->name);
        free(o);
    }
}

/* ---- timers: one a call, armed for the next time that matters or earlier, and looked at again when it fires ---- */

static int64_t sooner(int64_t a, int64_t b) { return a < b ? a : b; }

static struct fetch_wait call_wait(const struct fetch_call *c)
{
    if (c->state <= CALL_CONNECTING)
        return (struct fetch_wait){ c->started_us, c->connect_us, FETCH_TIMEOUT_CONNECT };
    if (c->state == CALL_WAITING && !c->paused)
        return (struct fetch_wait){ c->connected_us, c->first_byte_us, FETCH_TIMEOUT_FIRST_BYTE };
    if (c->state == CALL_BODY && !c->paused)
        return (struct fetch_wait){ c->last_us, c->idle_us, FETCH_TIMEOUT_IDLE };
    return (struct fetch_wait){ 0 };
}

static int64_t call_deadline(const struct fetch_call *c, enum fetch_end *which)
{
    return fetch_deadline(c->started_us, c->total_us, call_wait(c), which);
}

static void call_arm(struct fetch_call *c, int64_t now_us)
{
    enum fetch_end which;
    int64_t at = call_deadline(c, &which);

    if (c->state == CALL_QUEUED && c->retry_us)
        at = sooner(at, c->retry_us);
    fetch_arm(&c->timer, &c->armed_us, at, now_us);
}

/* ---- what we send ---- */

static size_t on_read(char *out, size_t size, size_t count, void *arg)
{
    struct fetch_call *c = arg;
    const size_t room = size * count;
    size_t n = 0;

    if (c->cancelled)
        return CURL_READFUNC_ABORT;
    while (n < room && c->at_span < c->n_body) {
        const struct span rest = span_skip(c->body[c->at_span], c->at_byte);
        const size_t take = rest.n < room - n ? rest.n : room - n;

        if (take)
            memcpy(out + n, rest.p, take);
        n += take;
        c->at_byte += take;
        if (take == rest.n) {
            c->at_span++;
            c->at_byte = 0;
        }
    }
    return n;
}

/* Curl starts again from the beginning, after a kept connection turned out closed. */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
    struct fetch_call *c = arg;

    if (offset != 0 || origin != SEEK_SET)
        return CURL_SEEKFUNC_FAIL;
    c->at_span = c->at_byte = 0;
    return CURL_SEEKFUNC_OK;
}

static int call_stop(struct fetch_call *c, enum fetch_end why)    /* from inside curl: 0 makes it give up */
{
    c->failing = true;
    c->failure = why;
    return 0;
}

/* CURLOPT_PREREQFUNCTION: there is a connection, the request is about to be written. */
static int on_ready(void *arg, char *ip, char *local_ip, int port, int local_port)
{
    struct fetch_call *c = arg;
    const int64_t now = clock_mono_us();

    (void)ip; (void)local_ip; (void)port; (void)local_port;
    if (c->cancelled)
        return CURL_PREREQFUNC_ABORT;
    if (++c->sends > 1) {
        c->fetch->stats.resent++;
        if (c->no_resend || c->sends > SENDS_MAX) {
            c->sends--;
            call_stop(c, FETCH_RESET);
            return CURL_PREREQFUNC_ABORT;
        }
        return CURL_PREREQFUNC_OK;
    }
    c->connected_us = now;
    c->state = CALL_WAITING;
    c->origin->connecting--;
    c->origin->warm_until_us = now + WARM_US;
    call_arm(c, now);
    return CURL_PREREQFUNC_OK;
}

/* ---- what we get ---- */

static size_t on_header(char *p, size_t size, size_t count, void *arg)
{
    struct fetch_call *c = arg;
    const size_t n = size * count;
    long status = 0;
    struct span coding;

    if (c->cancelled)
        return 0;
    c->head_bytes += n;
    if (c->head_bytes > FETCH_HEAD_BYTES_MAX || ++c->head_lines > FETCH_HEAD_LINES_MAX)
        return (size_t)call_stop(c, FETCH_TOO_LARGE);
    if (n > 2 || (n && p[0] != '\r' && p[0] != '\n'))
        return n;
    curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
    if (c->head_done || (status >= 100 && status < 200 && status != 101))
        return n;    /* the end of trailers, or of a 1xx that announces another head */
    c->head_done = true;
    c->status = (int)status;
    coding = fetch_header(c, "content-encoding");
    if (status < 200 || status > 599 || (coding.n && !span_eq_nocase(coding, SPAN_LIT("identity"))))
        return (size_t)call_stop(c, FETCH_MALFORMED);
    if (c->callbacks->on_head)
        c->callbacks->on_head(c->ctx, c, c->status);
    return c->cancelled ? 0 : n;
}

static size_t on_body(char *p, size_t size, size_t count, void *arg)
{
    struct fetch_call *c = arg;
    const size_t n = size * count;

    if (c->cancelled)
        return 0;
    if (c->paused) {
        c->paused_in_curl = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    if (!n)
        return 0;
    c->last_us = clock_mono_us();
    if (c->state != CALL_BODY) {
        c->state = CALL_BODY;
        c->began_us = c->last_us;
        call_arm(c, c->last_us);
    }
    c->received += n;
    c->fetch->stats.bytes_in += n;
    if (c->max_body_bytes && c->received > c->max_body_bytes)
        return (size_t)call_stop(c, FETCH_TOO_LARGE);
    if (c->callbacks->on_data)
        c->callbacks->on_data(c->ctx, c, (struct span){ p, n });
    return c->cancelled ? 0 : n;
}

/* ---- a call's life ---- */

static void on_call_timer(evutil_socket_t fd, short what, void *arg);

/* What is the same for every call that this handle will ever make. */
static void call_options(struct fetch_call *c)
{
    struct fetch *f = c->fetch;
    CURL *e = c->easy;

    fetch_loop_adopt(&f->loop, e);
    curl_easy_setopt(e, CURLOPT_PRIVATE, c);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, c->error);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    /* Without it, removing a handle joins the thread that looks up its name: seconds, in the loop. */
    curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "https,http");
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(e, CURLOPT_USERAGENT, "tollgate");
    curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    if (!f->proxy_from_env)
        curl_easy_setopt(e, CURLOPT_PROXY, f->proxy ? f->proxy : "");
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    /* Debian's curl also names a folder of certificates, and then does not keep the parsed store: 10 ms a handshake. */
    curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(e, CURLOPT_SHARE, f->share);
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(e, CURLOPT_BUFFERSIZE, RECEIVE_BYTES);
    curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, SEND_BYTES);
    curl_easy_setopt(e, CURLOPT_MAXLIFETIME_CONN, CONNECTION_LIFE_S);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_ready);
    curl_easy_setopt(e, CURLOPT_PREREQDATA, c);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, c);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, c);
    curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(e, CURLOPT_READDATA, c);
    curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, on_seek);
    curl_easy_setopt(e, CURLOPT_SEEKDATA, c);
}

static struct fetch_call *call_make(struct fetch *f)
{
    struct fetch_call *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->easy = curl_easy_init();
    if (!c->easy) {
        free(c);
        return NULL;
    }
    c->fetch = f;
    c->armed_us = FETCH_NEVER;
    event_assign(&c->timer, f->loop.base, -1, 0, on_call_timer, c);
    list_init(&c->all);
    list_init(&c->queue);
    list_init(&c->later);
    list_init(&c->resume);
    call_options(c);
    return c;
}

static void call_destroy(struct fetch_call *c)
{
    event_del(&c->timer);
    curl_easy_cleanup(c->easy);
    curl_url_cleanup(c->url);
    free(c->joined);
    free(c->extra_text);
    free(c);
}

static struct fetch_call *pool_take(struct fetch *f)
{
    struct fetch_call *c;

    if (list_empty(&f->pool))
        return call_make(f);
    c = CALL_OF(f->pool.prev, all);    /* the warmest */
    list_remove(&c->all);
    f->stats.pooled--;
    return c;
}

/* The last errno that curl met with this handle. It is never cleared, so a handle that has one is not used again. */
static long call_errno(const struct fetch_call *c)
{
    long cause = 0;

    curl_easy_getinfo(c->easy, CURLINFO_OS_ERRNO, &cause);
    return cause;
}

/* The timer may stay armed: it finds a pooled call, or is early for the next one, which saves two heap moves a call. */
static void pool_give(struct fetch_call *c)
{
    struct fetch *f = c->fetch;

    list_remove(&c->all);
    free(c->joined);
    free(c->extra_text);
    c->joined = c->extra_text = NULL;
    if (c->url) {
        curl_easy_setopt(c->easy, CURLOPT_CURLU, NULL);
        curl_url_cleanup(c->url);
        c->url = NULL;
    }
    c->state = CALL_POOLED;
    if (f->stats.pooled >= POOL_MAX || call_errno(c)) {
        call_destroy(c);
        return;
    }
    list_append(&f->pool, &c->all);
    f->stats.pooled++;
}

/* Takes a call out of everything, and its body out of curl. No curl call is on the stack. */
static void call_detach(struct fetch_call *c)
{
    struct fetch *f = c->fetch;

    assert(f->loop.depth == 0);
    if (c->state == CALL_CONNECTING) {
        c->origin->connecting--;
        if (!list_empty(&c->origin->queue))
            event_active(&f->kick, EV_TIMEOUT, 1);    /* its place is free */
    }
    if (!list_empty(&c->queue)) {
        list_remove(&c->queue);
        f->stats.queued--;
    }
    list_remove(&c->later);
    list_remove(&c->resume);
    c->state = CALL_ENDING;
    c->origin->calls--;
    f->stats.active--;
    if (c->in_multi) {
        f->loop.depth++;    /* curl may call back about sockets; nothing is to be settled from there */
        curl_multi_remove_handle(f->loop.multi, c->easy);
        f->loop.depth--;
        c->in_multi = false;
    }
}

static void call_drop(struct fetch_call *c)
{
    call_detach(c);
    c->fetch->stats.cancelled++;
    pool_give(c);
}

static void call_finish(struct fetch_call *c, enum fetch_end end)
{
    const int64_t now = clock_mono_us();
    long opened = 0;
    struct fetch_result r = {
        .end = end,
        .status = c->status,
        .body_bytes = c->received,
        .connect_us = c->connected_us ? c->connected_us - c->started_us : -1,
        .first_byte_us = c->began_us ? c->began_us - c->started_us : -1,
        .total_us = now - c->started_us,
        .sends = c->sends,
    };

    curl_easy_getinfo(c->easy, CURLINFO_NUM_CONNECTS, &opened);
    r.kept = c->sends && opened == 0;
    r.detail = end == FETCH_OK ? "" : c->error;
    call_detach(c);
    c->fetch->stats.ended++;
    if (c->callbacks->on_end)
        c->callbacks->on_end(c->ctx, c, &r);
    pool_give(c);
}

/* curl's verdict in our words. Some cases have only a text: curl has one code for them and a broken socket. */
static enum fetch_end end_of(const struct fetch_call *c, CURLcode code)
{
    if (c->failing)
        return c->failure;
    switch (code) {
    case CURLE_OK:
        return FETCH_OK;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return FETCH_RESOLVE;
    case CURLE_COULDNT_CONNECT:
    case CURLE_PROXY:
    case CURLE_INTERFACE_FAILED:
        return FETCH_CONNECT;
    case CURLE_OPERATION_TIMEDOUT:
        return FETCH_TIMEOUT_CONNECT;    /* curl's own, of 300 s: we set none */
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_INVALIDCERTSTATUS:
        return FETCH_TLS;
    case CURLE_RECV_ERROR:
        if (strstr(c->error, "chunked-encoding"))
            return FETCH_MALFORMED;
        return c->began_us ? FETCH_CUT : FETCH_RESET;
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_SEND_FAIL_REWIND:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return c->began_us ? FETCH_CUT : FETCH_RESET;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:    /* HTTP/0.9, or no HTTP at all */
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_FILESIZE_EXCEEDED:       /* a Content-Length beyond 63 bits */
        return FETCH_MALFORMED;
#if LIBCURL_VERSION_NUM >= 0x080600
    case CURLE_TOO_LARGE:
        return FETCH_TOO_LARGE;
#endif
    case CURLE_OUT_OF_MEMORY:           /* also said of a header line above 100 KiB */
        return c->sends && !c->head_done ? FETCH_TOO_LARGE : FETCH_MEMORY;
    default:
        return FETCH_MEMORY;
    }
}

/* A unix socket whose queue is full says EAGAIN to connect(2), which curl 7.88 takes for "under way" and then for a
 * failure without a cause; one that is not there has its cause at once (ENOENT, ECONNREFUSED). */
static bool call_may_redial(const struct fetch_call *c, CURLcode code)
{
    const long cause = call_errno(c);

    return code == CURLE_COULDNT_CONNECT && c->target->unix_path && c->state == CALL_CONNECTING &&
           (cause == 0 || cause == EAGAIN);
}

static void call_enqueue(struct fetch_call *c)
{
    c->state = CALL_QUEUED;
    list_append(&c->origin->queue, &c->queue);
    c->fetch->stats.queued++;
}

static void call_connect(struct fetch_call *c)
{
    struct fetch *f = c->fetch;
    CURLMcode rc;

    list_remove(&c->queue);
    f->stats.queued--;
    c->retry_us = 0;
    c->state = CALL_CONNECTING;
    c->origin->connecting++;
    f->loop.depth++;
    rc = curl_multi_add_handle(f->loop.multi, c->easy);    /* sets curl's timer, calls nobody */
    f->loop.depth--;
    c->in_multi = rc == CURLM_OK;
    if (!c->in_multi) {    /* no memory; told from the timer, since a callback from fetch_start is promised away */
        call_stop(c, FETCH_MEMORY);
        c->total_us = 1;
        call_arm(c, c->started_us);
    }
}

/* When a name server hangs, calls time out together and hand their places to others that are about to: each would
 * cost one more thread that lives on. A place with less than a quarter of its time left is not taken. */
static bool call_too_late(const struct fetch_call *c, int64_t now_us)
{
    return c->origin->named && c->connect_us && c->started_us + c->connect_us - now_us < c->connect_us / 4;
}

static void origin_run_queue(struct fetch *f, struct origin *o, int64_t now_us)
{
    for (struct list *e = o->queue.next; e != &o->queue && origin_has_room(f, o, now_us);) {
        struct fetch_call *c = CALL_OF(e, queue);

        e = e->next;
        if (c->retry_us <= now_us && !call_too_late(c, now_us))
            call_connect(c);
    }
}

/* Everything that had to wait until curl is off the stack. */
static void fetch_settle(void *arg)
{
    struct fetch *f = arg;
    CURLMsg *m;
    int left;

    while ((m = curl_multi_info_read(f->loop.multi, &left))) {
        struct fetch_call *c = NULL;
        const CURLcode code = m->data.result;

        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &c);
        if (c->cancelled) {
            call_drop(c);
        } else if (call_may_redial(c, code)) {
            f->loop.depth++;
            curl_multi_remove_handle(f->loop.multi, c->easy);
            f->loop.depth--;
            c->in_multi = false;
            c->origin->connecting--;
            c->retry_us = clock_mono_us() + BUSY_SOCKET_RETRY_US;
            c->error[0] = '\0';
            call_enqueue(c);
            call_arm(c, c->retry_us - BUSY_SOCKET_RETRY_US);
        } else {
            call_finish(c, end_of(c, code));
        }
    }
    while (!list_empty(&f->later)) {
        struct fetch_call *c = CALL_OF(f->later.next, later);

        list_remove(&c->later);
        if (c->cancelled)
            call_drop(c);
    }
    for (struct origin *o = f->origins; o; o = o->next)
        if (!list_empty(&o->queue))
            origin_run_queue(f, o, clock_mono_us());
}

static void on_call_timer(evutil_socket_t fd, short what, void *arg)
{
    struct fetch_call *c = arg;
    struct fetch *f = c->fetch;
    const int64_t now = clock_mono_us();
    enum fetch_end which;

    (void)fd;
    (void)what;
    c->armed_us = FETCH_NEVER;
    if (c->state == CALL_POOLED || c->state == CALL_ENDING)
        return;
    if (call_deadline(c, &which) <= now) {
        call_finish(c, c->failing ? c->failure : which);
        return;
    }
    if (c->state == CALL_QUEUED)
        origin_run_queue(f, c->origin, now);
    call_arm(c, now);
}

/* Resumes, each from the loop and not from the user's stack; and queues that moved. */
static void on_kick(evutil_socket_t fd, short what, void *arg)
{
    struct fetch *f = arg;
    struct list now;

    (void)fd;
    (void)what;
    list_init(&now);    /* one that pauses and resumes meanwhile has its turn in the next round */
    while (!list_empty(&f->resume)) {
        struct list *e = f->resume.next;

        list_remove(e);
        list_append(&now, e);
    }
    while (!list_empty(&now)) {
        struct fetch_call *c = CALL_OF(now.next, resume);
        CURLcode rc;

        list_remove(&c->resume);
        if (c->paused || c->cancelled || !c->paused_in_curl)
            continue;
        c->paused_in_curl = false;
        c->last_us = clock_mono_us();
        fetch_loop_enter(&f->loop);
        rc = curl_easy_pause(c->easy, CURLPAUSE_CONT);
        f->loop.depth--;
        if (c->cancelled)
            call_drop(c);
        else if (rc != CURLE_OK)
            call_finish(c, end_of(c, rc));
        else
            call_arm(c, c->last_us);
    }
    fetch_settle(f);
}

/* ---- the public part ---- */

/* NULL: it is curl's. */
static struct plain_call *plain_of(const struct fetch_call *c)
{
    const bool *is_plain = (const bool *)c;    /* the first member of either */

    return *is_plain ? (struct plain_call *)(uintptr_t)c : NULL;
}

static bool call_take_extra(struct fetch_call *c, const struct fetch_spec *s, struct curl_slist **list)
{
    struct curl_slist *rest = s->headers ? s->headers->list : c->fetch->defaults->list;
    size_t size = 0, at = 0, n = 0;

    *list = rest;
    for (size_t i = 0; i < FETCH_EXTRA_MAX && s->extra[i]; i++)
        size += strlen(s->extra[i]) + 1;
    if (!size)
        return true;
    c->extra_text = malloc(size);
    if (!c->extra_text)
        return false;
    for (size_t i = 0; i < FETCH_EXTRA_MAX && s->extra[i]; i++) {
        const size_t len = strlen(s->extra[i]);

        if (!fetch_line_ok(s->extra[i]))
            continue;    /* no line of ours can hold two */
        memcpy(c->extra_text + at, s->extra[i], len + 1);
        c->extra[n].data = c->extra_text + at;
        at += len + 1;
        n++;
    }
    for (size_t i = 0; i < n; i++)    /* in front of the shared list, which stays as it is */
        c->extra[i].next = i + 1 < n ? &c->extra[i + 1] : rest;
    if (n)
        *list = c->extra;
    return true;
}

/* A small or single body leaves with the head in one write (POSTFIELDS); others are read span by span. */
static bool call_take_body(struct fetch_call *c, const struct fetch_spec *s)
{
    const char *fields = s->n_body == 1 && s->body[0].p ? s->body[0].p : "";
    size_t total = 0;

    for (size_t i = 0; i < s->n_body; i++)
        total += s->body[i].n;
    c->body = s->body;
    c->n_body = s->n_body;
    c->at_span = c->at_byte = 0;
    if (s->n_body > 1 && total <= FETCH_COPY_MAX) {
        c->joined = malloc(total + 1);
        if (!c->joined)
            return false;
        on_read(c->joined, 1, total, c);
        fields = c->joined;
    } else if (s->n_body > 1) {
        fields = NULL;
    }
    curl_easy_setopt(c->easy, CURLOPT_POST, 1L);
    curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)total);
    curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, fields);
    c->fetch->stats.bytes_out += total;
    return true;
}

static bool call_take_target(struct fetch_call *c, const struct fetch_spec *s)
{
    const struct fetch_target *t = s->target;
    const char *ca = t->ca_file ? t->ca_file : c->fetch->ca_file;

    c->url = s->path[0] ? fetch_target_url(t, s->path) : NULL;
    if (s->path[0] && !c->url)
        return false;
    /* Even one that looks the same: a reload may have put another at its address. */
    curl_easy_setopt(c->easy, CURLOPT_CURLU, c->url ? c->url : t->url);
    curl_easy_setopt(c->easy, CURLOPT_UNIX_SOCKET_PATH, t->unix_path);
    curl_easy_setopt(c->easy, CURLOPT_CAINFO, ca);
    curl_easy_setopt(c->easy, CURLOPT_HTTP_VERSION,
                     t->http2 ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
    c->target = t;
    return true;
}

struct fetch_call *fetch_start(struct fetch *f, const struct fetch_spec *s, const struct fetch_callbacks *callbacks,
                               void *ctx)
{
    struct curl_slist *headers;
    struct fetch_call *c;
    struct origin *o;

    if (s->path[0] && !fetch_path_ok(s->path))
        return NULL;
    if (plain_serves(s, f->proxy || f->proxy_from_env))
        return (struct fetch_call *)plain_start(f->plain, s, callbacks, ctx);
    o = origin_get(f, s->target);
    c = o ? pool_take(f) : NULL;
    if (!c)
        return NULL;
    c->callbacks = callbacks;
    c->ctx = ctx;
    c->origin = o;
    c->in_multi = c->cancelled = c->paused = c->paused_in_curl = c->head_done = c->failing = false;
    c->no_resend = s->no_resend;
    c->status = c->sends = 0;
    c->head_bytes = c->head_lines = 0;
    c->connect_us = s->connect_ms * 1000;
    c->first_byte_us = s->first_byte_ms * 1000;
    c->idle_us = s->idle_ms * 1000;
    c->total_us = s->total_ms * 1000;
    c->started_us = clock_mono_us();
    c->connected_us = c->began_us = c->last_us = c->retry_us = 0;
    c->received = 0;
    c->max_body_bytes = s->max_body_bytes;
    c->error[0] = '\0';
    if (!call_take_target(c, s) || !call_take_extra(c, s, &headers) || (s->method == FETCH_POST && !call_take_body(c, s))) {
        pool_give(c);
        return NULL;
    }
    if (s->method == FETCH_GET)
        curl_easy_setopt(c->easy, CURLOPT_HTTPGET, 1L);
    curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, headers);
    list_append(&f->calls, &c->all);
    o->calls++;
    f->stats.started++;
    f->stats.active++;
    call_enqueue(c);
    call_arm(c, c->started_us);
    if (f->loop.depth == 0)    /* else fetch_settle does it */
        origin_run_queue(f, o, c->started_us);
    return c;
}

void fetch_cancel(struct fetch_call *c)
{
    if (plain_of(c)) {
        plain_cancel(plain_of(c));
        return;
    }
    if (c->cancelled || c->state == CALL_ENDING)
        return;
    c->cancelled = true;
    if (c->fetch->loop.depth == 0) {
        call_drop(c);
        return;
    }
    list_append(&c->fetch->later, &c->later);
}

void fetch_pause(struct fetch_call *c)
{
    if (plain_of(c))
        plain_pause(plain_of(c));
    else
        c->paused = true;    /* curl is told when it brings the next bytes; often a resume comes first */
}

void fetch_resume(struct fetch_call *c)
{
    struct fetch *f;

    if (plain_of(c)) {
        plain_resume(plain_of(c));
        return;
    }
    f = c->fetch;
    if (!c->paused)
        return;
    c->paused = false;
    c->last_us = clock_mono_us();
    if (!c->paused_in_curl) {
        call_arm(c, c->last_us);
        return;
    }
    if (list_empty(&c->resume))
        list_append(&f->resume, &c->resume);
    event_active(&f->kick, EV_TIMEOUT, 1);
}

bool fetch_connected(const struct fetch_call *c) { return plain_of(c) ? plain_connected(plain_of(c)) : c->connected_us != 0; }
bool fetch_paused(const struct fetch_call *c) { return plain_of(c) ? plain_paused(plain_of(c)) : c->paused; }

struct span fetch_header(const struct fetch_call *c, const char *name)
{
    struct curl_header *h;

    if (plain_of(c))
        return plain_header(plain_of(c), name);
    /* -1: of the last head. Several of one name: the last. */
    if (curl_easy_header(c->easy, name, 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
        return SPAN_NONE;
    if (h->amount > 1 && curl_easy_header(c->easy, name, h->amount - 1, CURLH_HEADER, -1, &h) != CURLHE_OK)
        return SPAN_NONE;
    return span_str(h->value);
}

const char *fetch_end_name(enum fetch_end end)
{
    static const char *const names[] = {
        [FETCH_OK] = "ok", [FETCH_RESOLVE] = "resolve", [FETCH_CONNECT] = "connect", [FETCH_TLS] = "tls",
        [FETCH_RESET] = "reset", [FETCH_CUT] = "cut", [FETCH_TIMEOUT_CONNECT] = "timeout_connect",
        [FETCH_TIMEOUT_FIRST_BYTE] = "timeout_first_byte", [FETCH_TIMEOUT_IDLE] = "timeout_idle",
        [FETCH_TIMEOUT_TOTAL] = "timeout_total", [FETCH_TOO_LARGE] = "too_large",
        [FETCH_MALFORMED] = "malformed", [FETCH_MEMORY] = "memory",
    };

    return names[end];
}

void fetch_get_stats(const struct fetch *f, struct fetch_stats *out)
{
    *out = f->stats;
    out->connections = f->loop.opened;
    plain_add_stats(f->plain, out);
}

static bool fetch_take_options(struct fetch *f, const struct fetch_options *o)
{
    const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);
    const char *ca = o->ca_file ? o->ca_file : v->cainfo;

    f->ca_file = ca ? strdup(ca) : NULL;
    f->proxy = o->proxy ? strdup(o->proxy) : NULL;
    f->proxy_from_env = o->proxy_from_env;
    f->max_resolving = o->max_resolving > 0 ? (size_t)o->max_resolving : MAX_RESOLVING_DEFAULT;
    curl_multi_setopt(f->loop.multi, CURLMOPT_MAXCONNECTS, o->max_idle > 0 ? o->max_idle : (long)MAX_IDLE_DEFAULT);
    return (!ca || f->ca_file) && (!o->proxy || f->proxy);
}

struct fetch *fetch_new(struct event_base *base, const struct fetch_options *o)
{
    static const struct fetch_options defaults = { 0 };
    struct fetch *f;

    if (curl_global_init(CURL_GLOBAL_DEFAULT))    /* counted, and safe from threads in this curl */
        return NULL;
    f = calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    list_init(&f->calls);
    list_init(&f->pool);
    list_init(&f->later);
    list_init(&f->resume);
    f->defaults = fetch_headers_new();
    event_assign(&f->kick, base, -1, 0, on_kick, f);
    f->share = curl_share_init();
    if (!f->defaults || !f->share || !fetch_loop_init(&f->loop, base, fetch_settle, f)) {
        fetch_free(f);
        return NULL;
    }
    /* Tickets of TLS are kept by a handle unless they are shared: then by all of this worker. No locks: one thread. */
    curl_share_setopt(f->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    f->plain = plain_new(base, o && o->max_idle > 0 ? (size_t)o->max_idle : MAX_IDLE_DEFAULT);
    if (!f->plain || !fetch_take_options(f, o ? o : &defaults)) {
        fetch_free(f);
        return NULL;
    }
    return f;
}

void fetch_free(struct fetch *f)
{
    if (!f)
        return;
    while (!list_empty(&f->calls))
        call_drop(CALL_OF(f->calls.next, all));
    while (!list_empty(&f->pool)) {
        struct fetch_call *c = CALL_OF(f->pool.next, all);

        list_remove(&c->all);
        call_destroy(c);
    }
    plain_free(f->plain);
    event_del(&f->kick);
    if (f->loop.multi)
        fetch_loop_free(&f->loop);
    curl_share_cleanup(f->share);
    fetch_headers_free(f->defaults);
    origins_free(f);
    free(f->ca_file);
    free(f->proxy);
    free(f);
    curl_global_cleanup();
}
