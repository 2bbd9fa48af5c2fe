/* fetch_plain.c - calls over plain HTTP/1.1, without curl: two system calls a small transfer, under 1 KiB a stream.
 *
 * Owns each call from plain_start to its on_end: its timer, its place in the queue, its request's cursor. Sockets are
 * plain_pool.c's, the answer's bytes plain_answer.c's. Looks no name up and speaks no TLS: that is curl's part.
 *
 *           plain_start              there is a connection       first body byte
 *   pool -----------------> QUEUED -> CONNECTING ---------> WAITING -----------> BODY --+
 *     ^                       ^  EAGAIN |  ^                   |                   |    |  call_finish: on_end
 *     |                       +---------+  +-- kept one dead --+                   |    |  call_drop: nobody is told
 *     +---------------------------------------------------------------------------+----+
 *
 *  (1) Callbacks come from events alone, never from inside plain_start and its like: what fails there goes to the list
 *      `kicked`, told from an event of its own.
 *  (2) One callback is on the stack at a time. Its call is `busy`; cancelling that one only marks it, and whoever called
 *      back drops it. Any other may be cancelled at once.
 *  (3) All calls of a worker are read into one buffer and told from there. A call has bytes of its own only while half
 *      a head has come, or when it was paused between its head and the body that came with it.
 *  (4) What fails while sending is not an end: the answer may be there already (a 413, say). Reading tells. */
#include "gateway/upstream/fetch_plain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "gateway/upstream/fetch_time.h"
#include "gateway/upstream/plain_answer.h"
#include "gateway/upstream/plain_pool.h"

#define POOL_MAX 1024              /* idle calls kept, under 1 KiB each */
#define MAX_CONNECTING 256         /* of one origin: more would overrun its listen queue */
#define SENDS_MAX 3
#define READ_BYTES 16384u          /* one read, and the most that a paused call has in memory */
#define READS_A_TURN 4             /* then others have their turn */
#define PIECES_MAX 64              /* of one write */
#define SEND_A_TURN 65536u         /* of a request; a loopback socket takes 4 MiB at once, and delivers them within the call */
#define HELD_BYTES 4096u           /* at first, of half a head; at most 2 * FETCH_HEAD_BYTES_MAX */

enum call_state { CALL_POOLED, CALL_QUEUED, CALL_CONNECTING, CALL_WAITING, CALL_BODY, CALL_ENDING };

struct plain_call {
    bool is_plain;                 /* true, and first: see fetch_plain.h */
    bool busy, cancelled, paused, no_resend;
    bool unwatched;                /* an event came while paused: the socket is not read until the resume */
    bool sent_all;
    bool deaf;                     /* the peer takes no more of the request (4) */
    bool answered;                 /* a byte has come since the request was sent */
    bool failing;                  /* with `failure`, to be told from on_kick */
    enum fetch_end failure;
    enum call_state state;
    enum fetch_method method;
    int sends, error;              /* errno for the detail, 0: none */
    struct list all;               /* of plain->calls or plain->pool */
    struct list queue;             /* of its origin */
    struct list kicked;            /* of plain->kicked */
    struct plain *plain;
    struct plain_origin *origin;
    struct plain_conn *conn;
    struct event timer;
    int64_t armed_us;              /* when the timer fires; FETCH_NEVER: not armed */
    const struct fetch_callbacks *callbacks;
    void *ctx;
    const struct fetch_target *target;
    const struct fetch_headers *headers;
    size_t address;                /* of the target's: the one to dial */
    /* what we send */
    char *extra;                   /* lines of this call, with their ends; NULL: none */
    size_t extra_n;
    char *path;                    /* of this call, behind the target's; NULL: none */
    const struct span *body;
    size_t n_body, at_span, at_byte, head_sent;
    uint64_t body_total;
    /* times: limits as given, 0: none; and when each wait began */
    int64_t connect_us, first_byte_us, idle_us, total_us;
    int64_t started_us, connected_us, began_us;
    int64_t dialled_us, sent_us, last_us, paused_us;
    uint64_t received, max_body_bytes;
    char *held;                    /* bytes of its own (3); NULL: none */
    size_t held_n, held_room;
    struct plain_answer answer;
};
_Static_assert(sizeof(struct plain_call) <= 1024, "thousands of slow streams wait at once");

struct plain {
    struct plain_pool sockets;
    struct event kick;
    struct list calls, pool, kicked;
    struct fetch_headers *defaults;    /* of a spec that has none */
    struct fetch_stats stats;
    struct buf head;               /* of the request being written; it holds keys */
    struct http1_head scratch;
    char detail[160];
    char in[READ_BYTES];
};

/* ---- timers: one a call, armed for the next time that matters or earlier, and looked at again when it fires ---- */

static struct fetch_wait call_wait(const struct plain_call *c)
{
    if (c->state <= CALL_CONNECTING)
        return (struct fetch_wait){ c->dialled_us, c->connect_us, FETCH_TIMEOUT_CONNECT };
    if (c->state == CALL_WAITING && !c->paused)
        return (struct fetch_wait){ c->sent_us, c->first_byte_us, FETCH_TIMEOUT_FIRST_BYTE };
    if (c->state == CALL_BODY && !c->paused)
        return (struct fetch_wait){ c->last_us, c->idle_us, FETCH_TIMEOUT_IDLE };
    return (struct fetch_wait){ 0 };
}

static int64_t call_deadline(const struct plain_call *c, enum fetch_end *which)
{
    return fetch_deadline(c->started_us, c->total_us, call_wait(c), which);
}

static void call_arm(struct plain_call *c, int64_t now_us)
{
    enum fetch_end which;
    const int64_t at = call_deadline(c, &which);

    fetch_arm(&c->timer, &c->armed_us, at, now_us);
}

/* ---- a call's life ---- */

static void on_call_timer(evutil_socket_t fd, short what, void *arg);

static struct plain_call *call_make(struct plain *p)
{
    struct plain_call *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->is_plain = true;
    c->plain = p;
    c->armed_us = FETCH_NEVER;
    event_assign(&c->timer, p->sockets.base, -1, 0, on_call_timer, c);
    list_init(&c->all);
    list_init(&c->queue);
    list_init(&c->kicked);
    plain_answer_init(&c->answer);
    return c;
}

static void call_destroy(struct plain_call *c)
{
    event_del(&c->timer);
    free(c);
}

static struct plain_call *pool_take(struct plain *p)
{
    struct plain_call *c;

    if (list_empty(&p->pool))
        return call_make(p);
    c = LIST_OF(p->pool.prev, struct plain_call, all);    /* the warmest */
    list_remove(&c->all);
    p->stats.pooled--;
    return c;
}

/* The timer may stay armed: it finds a pooled call, or is early for the next one, which saves two heap moves a call. */
static void pool_give(struct plain_call *c)
{
    struct plain *p = c->plain;

    list_remove(&c->all);
    free(c->extra);
    free(c->path);
    free(c->held);
    c->extra = c->path = c->held = NULL;
    plain_answer_clear(&c->answer);
    c->state = CALL_POOLED;
    if (p->stats.pooled >= POOL_MAX) {
        call_destroy(c);
        return;
    }
    list_append(&p->pool, &c->all);
    p->stats.pooled++;
}

static void origin_poke(struct plain *p, const struct plain_origin *o)    /* it may have room for one of its queue */
{
    if (!list_empty(&o->queue))
        event_active(&p->kick, EV_TIMEOUT, 1);
}

static void call_leave(struct plain_call *c, bool keep)    /* its connection */
{
    if (!c->conn)
        return;
    if (keep)
        plain_pool_keep(c->conn);
    else
        plain_pool_close(c->conn);
    c->conn = NULL;
    origin_poke(c->plain, c->origin);
}

static void call_detach(struct plain_call *c, bool keep)
{
    if (!list_empty(&c->queue)) {
        list_remove(&c->queue);
        c->plain->stats.queued--;
    }
    list_remove(&c->kicked);
    call_leave(c, keep);
    c->state = CALL_ENDING;
    c->plain->stats.active--;
}

static void call_drop(struct plain_call *c)
{
    call_detach(c, false);
    c->plain->stats.cancelled++;
    pool_give(c);
}

/* For the log: which step, and the system's word. */
static const char *call_detail(const struct plain_call *c, enum fetch_end end)
{
    struct plain *p = c->plain;

    if (end == FETCH_OK)
        return "";
    if (c->error) {
        snprintf(p->detail, sizeof(p->detail), "%s: %s", c->target->origin, strerror(c->error));
        return p->detail;
    }
    return c->answer.why;
}

static void call_finish(struct plain_call *c, enum fetch_end end, int64_t now_us)
{
    const bool keep = end == FETCH_OK && c->answer.keep && c->sent_all;
    const struct fetch_result r = {
        .end = end,
        .status = c->answer.status,
        .detail = call_detail(c, end),
        .body_bytes = c->received,
        .connect_us = c->connected_us ? c->connected_us - c->started_us : -1,
        .first_byte_us = c->began_us ? c->began_us - c->started_us : -1,
        .total_us = now_us - c->started_us,
        .kept = c->conn && c->conn->used,
        .sends = c->sends,
    };

    call_detach(c, keep);
    c->plain->stats.ended++;
    if (c->callbacks->on_end)
        c->callbacks->on_end(c->ctx, (struct fetch_call *)c, &r);
    pool_give(c);
}

static void call_kick(struct plain_call *c)
{
    if (list_empty(&c->kicked))
        list_append(&c->plain->kicked, &c->kicked);
    event_active(&c->plain->kick, EV_TIMEOUT, 1);
}

static void call_fail_later(struct plain_call *c, enum fetch_end end, int error)    /* keeps (1) */
{
    c->failing = true;
    c->failure = end;
    c->error = error;
    call_kick(c);
}

/* A call that waits for nothing from its socket has no event there: an error would come up for ever. */
static void call_watch(struct plain_call *c)
{
    const short read = c->unwatched ? 0 : EV_READ, write = c->sent_all || c->deaf ? 0 : EV_WRITE;

    if (!plain_conn_watch(c->conn, (short)(read | write)))
        call_fail_later(c, FETCH_MEMORY, ENOMEM);
}

/* ---- sending ---- */

/* The first lines with the call's own path and query between those of the target. */
static void add_path(struct buf *b, const struct fetch_target *t, struct span path)
{
    const size_t end = span_find(path, '?');
    const bool bare = t->path_n == 2;    /* " /" */

    buf_add(b, t->head, bare ? 1 : t->path_n);
    buf_add(b, path.p, end);
    buf_add(b, t->head + t->path_n, t->query_n - t->path_n);
    if (end < path.n) {
        buf_add(b, t->query_n > t->path_n ? "&" : "?", 1);
        buf_add_span(b, span_skip(path, end + 1));
    }
    buf_add(b, t->head + t->query_n, t->head_n - t->query_n);
}

/* The head is written anew for each try to send it, which is nearly always once. */
static struct span request_head(struct plain_call *c)
{
    struct buf *b = &c->plain->head;

    buf_clear(b);
    buf_add_str(b, c->method == FETCH_POST ? "POST" : "GET");
    if (c->path)
        add_path(b, c->target, span_str(c->path));
    else
        buf_add(b, c->target->head, c->target->head_n);
    buf_add(b, c->headers->text, c->headers->text_n);
    if (c->extra_n)
        buf_add(b, c->extra, c->extra_n);
    if (c->method == FETCH_POST) {
        buf_add_str(b, "Content-Length: ");
        buf_add_int(b, (int64_t)c->body_total);
        buf_add(b, "\r\n", 2);
    }
    buf_add(b, "\r\n", 2);
    return buf_span(b);
}

/* Of what is left to be sent, `most` bytes of the body and those of the head. */
static size_t request_pieces(struct plain_call *c, struct span head, size_t most, struct iovec *v, size_t *bytes, bool *all)
{
    struct span rest = span_skip(head, c->head_sent);
    size_t n = 0, at = c->at_byte, i;

    *bytes = 0;
    if (rest.n)
        v[n++] = (struct iovec){ (void *)(uintptr_t)rest.p, rest.n };
    *bytes = rest.n;
    for (i = c->at_span; i < c->n_body && n < PIECES_MAX && most; i++, at = 0) {
        rest = span_skip(c->body[i], at);
        if (!rest.n)
            continue;
        if (rest.n > most) {
            v[n++] = (struct iovec){ (void *)(uintptr_t)rest.p, most };
            *bytes += most;
            break;
        }
        most -= rest.n;
        v[n++] = (struct iovec){ (void *)(uintptr_t)rest.p, rest.n };
        *bytes += rest.n;
    }
    *all = i == c->n_body;
    return n;
}

static void request_advance(struct plain_call *c, struct span head, size_t n)
{
    const size_t of_head = head.n - c->head_sent < n ? head.n - c->head_sent : n;

    c->head_sent += of_head;
    n -= of_head;
    while (c->at_span < c->n_body) {
        const size_t left = c->body[c->at_span].n - c->at_byte;

        if (left > n) {
            c->at_byte += n;
            return;
        }
        n -= left;
        c->at_span++;
        c->at_byte = 0;
    }
}

/* As much as the socket takes, up to a share of the turn. */
static void call_send(struct plain_call *c)
{
    const struct span head = request_head(c);
    size_t most = SEND_A_TURN;
    bool all = false;

    if (!buf_ok(&c->plain->head)) {
        call_fail_later(c, FETCH_MEMORY, ENOMEM);
        return;
    }
    while (!c->sent_all && !c->deaf && most) {
        struct iovec v[PIECES_MAX];
        size_t bytes;
        struct msghdr m = { .msg_iov = v };
        ssize_t put;

        m.msg_iovlen = request_pieces(c, head, most, v, &bytes, &all);
        put = bytes ? sendmsg(c->conn->fd, &m, MSG_NOSIGNAL | (all ? 0 : MSG_MORE)) : 0;
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0 && errno == EAGAIN)
            break;
        if (put < 0) {
            c->deaf = true;
            c->error = errno;
            break;
        }
        request_advance(c, head, (size_t)put);
        c->sent_all = all && (size_t)put == bytes;
        if ((size_t)put < bytes)
            break;
        most -= bytes < most ? bytes : most;
    }
    call_watch(c);
}

/* ---- a connection for a call ---- */

/* False: it is dead, and nothing was sent over it. */
static bool call_use(struct plain_call *c, struct plain_conn *conn, int64_t now_us)
{
    conn->call = c;
    c->conn = conn;
    c->state = CALL_WAITING;
    c->sent_us = c->paused_us = now_us;
    c->at_span = c->at_byte = c->head_sent = 0;
    c->sent_all = c->deaf = c->answered = c->unwatched = false;
    c->error = 0;
    call_send(c);
    if (c->deaf && conn->used && !c->head_sent) {
        plain_pool_close(conn);
        c->conn = NULL;
        c->error = 0;
        return false;
    }
    if (!c->connected_us)
        c->connected_us = now_us;
    if (++c->sends > 1)
        c->plain->stats.resent++;
    call_arm(c, now_us);
    return true;
}

/* False: it must wait in the queue, since too many are on their way or the listen queue is full. */
static bool call_dial(struct plain_call *c, int64_t now_us)
{
    struct plain_origin *o = c->origin;
    struct plain_conn *conn;
    int rc;

    if (o->connecting >= MAX_CONNECTING)
        return false;
    for (; c->address < c->target->n_addresses; c->address++) {
        rc = plain_pool_dial(o, &c->target->addresses[c->address], c, &conn);
        if (rc == 0) {
            call_use(c, conn, now_us);
            return true;
        }
        if (rc == EINPROGRESS) {
            c->conn = conn;
            c->state = CALL_CONNECTING;
            return true;
        }
        if (rc == EAGAIN) {
            plain_pool_retry(o);
            return false;
        }
        c->error = rc;
    }
    call_fail_later(c, FETCH_CONNECT, c->error);
    return true;
}

static bool call_place(struct plain_call *c, int64_t now_us)
{
    struct plain_conn *conn;

    while ((conn = plain_pool_take(c->origin)))
        if (call_use(c, conn, now_us))
            return true;
    return call_dial(c, now_us);
}

static void call_queue(struct plain_call *c)
{
    c->state = CALL_QUEUED;
    list_append(&c->origin->queue, &c->queue);
    c->plain->stats.queued++;
}

static void call_place_or_queue(struct plain_call *c, int64_t now_us)
{
    c->dialled_us = now_us;
    if (!list_empty(&c->origin->queue) || !call_place(c, now_us))
        call_queue(c);
    call_arm(c, now_us);
}

static void origin_run_queue(struct plain_origin *o)
{
    const int64_t now = clock_mono_us();

    while (!list_empty(&o->queue)) {
        struct plain_call *c = LIST_OF(o->queue.next, struct plain_call, queue);

        if (!call_place(c, now))
            return;
        list_remove(&c->queue);
        c->plain->stats.queued--;
    }
}

/* A kept connection was closed before one byte of answer: the request goes over a new one (RFC 9112, 9.3.1). */
static void call_again(struct plain_call *c, int64_t now_us)
{
    call_leave(c, false);
    c->address = 0;
    c->error = 0;
    c->state = CALL_QUEUED;
    c->dialled_us = now_us;
    if (!call_dial(c, now_us))
        call_queue(c);
    call_arm(c, now_us);
}

static void call_connected(struct plain_call *c)
{
    const int64_t now = clock_mono_us();
    struct plain_conn *conn = c->conn;
    socklen_t n = sizeof(c->error);

    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &c->error, &n))
        c->error = errno;
    conn->connecting = false;
    c->origin->connecting--;
    origin_poke(c->plain, c->origin);
    if (!c->error) {
        call_use(c, conn, now);
        return;
    }
    call_leave(c, false);
    c->state = CALL_QUEUED;
    c->address++;
    if (!call_dial(c, now))
        call_queue(c);
}

/* ---- reading ---- */

/* Keeps n bytes at p, which may lie within those that it has already, with so much room in all. False: no memory. */
static bool call_hold(struct plain_call *c, char *p, size_t n, size_t room)
{
    const bool own = c->held && p >= c->held && p <= c->held + c->held_room;

    if (own)
        memmove(c->held, p, n);
    if (room > c->held_room) {
        char *more = realloc(c->held, room);

        if (!more)
            return false;
        c->held = more;
        c->held_room = room;
    }
    if (!own)
        memcpy(c->held, p, n);
    c->held_n = n;
    return true;
}

/* After a callback: is the call still there? */
static bool call_told(struct plain_call *c)
{
    c->busy = false;
    if (!c->cancelled)
        return true;
    call_drop(c);
    return false;
}

static bool call_tell_head(struct plain_call *c)
{
    c->busy = true;
    if (c->callbacks->on_head)
        c->callbacks->on_head(c->ctx, (struct fetch_call *)c, c->answer.status);
    return call_told(c);
}

static bool call_tell_data(struct plain_call *c, struct span data, int64_t now_us)
{
    c->last_us = now_us;
    if (c->state != CALL_BODY) {
        c->state = CALL_BODY;
        c->began_us = now_us;
        call_arm(c, now_us);
    }
    c->received += data.n;
    c->plain->stats.bytes_in += data.n;
    if (c->max_body_bytes && c->received > c->max_body_bytes) {
        c->answer.why = "the body is larger than allowed";
        call_finish(c, FETCH_TOO_LARGE, now_us);
        return false;
    }
    c->busy = true;
    if (c->callbacks->on_data)
        c->callbacks->on_data(c->ctx, (struct fetch_call *)c, data);
    return call_told(c);
}

/* Body bytes. False: the call is gone. */
static bool call_take_body(struct plain_call *c, char *p, size_t n, int64_t now_us)
{
    struct span data;
    const enum plain_rc rc = plain_answer_body(&c->answer, p, n, &data);

    if (data.n && !call_tell_data(c, data, now_us))
        return false;
    if (rc == PLAIN_MORE)
        return true;
    call_finish(c, rc == PLAIN_DONE ? FETCH_OK : FETCH_MALFORMED, now_us);
    return false;
}

/* Bytes that begin with what is unread of a head. False: the call is gone. */
static bool call_take_head(struct plain_call *c, char *p, size_t n, int64_t now_us)
{
    char *own = c->held == p ? p : NULL;
    size_t used;
    const enum plain_rc rc = plain_answer_head(&c->answer, &c->plain->scratch, (struct span){ p, n }, &used);
    bool lives;

    p += used;
    n -= used;
    if (rc == PLAIN_MORE && call_hold(c, p, n, n < HELD_BYTES / 2 ? HELD_BYTES : 2 * n))
        return true;
    if (rc != PLAIN_DONE) {
        call_finish(c, rc == PLAIN_BAD ? FETCH_MALFORMED : rc == PLAIN_TOO_LARGE ? FETCH_TOO_LARGE : FETCH_MEMORY, now_us);
        return false;
    }
    if (own) {
        c->held = NULL;
        c->held_n = c->held_room = 0;
    }
    lives = call_tell_head(c);
    if (lives && c->paused && n) {
        lives = call_hold(c, p, n, n);
        if (!lives)
            call_finish(c, FETCH_MEMORY, now_us);
    } else if (lives && (n || c->answer.framing == HTTP1_BODY_NONE)) {
        lives = call_take_body(c, p, n, now_us);
    }
    free(own);
    return lives;
}

/* The peer has closed (0), or the connection broke. */
static void call_hung_up(struct plain_call *c, int error)
{
    const int64_t now = clock_mono_us();

    if (!c->answered && c->conn->used && !c->no_resend && c->sends < SENDS_MAX) {
        call_again(c, now);
        return;
    }
    if (error)
        c->error = error;
    c->answer.why = "the peer closed the connection";
    if (c->answer.status && c->answer.framing == HTTP1_BODY_TO_END && !error)
        call_finish(c, FETCH_OK, now);
    else
        call_finish(c, c->began_us ? FETCH_CUT : FETCH_RESET, now);
}

/* Has it body bytes of its own, from before it was paused? They come first. */
static bool call_has_body(const struct plain_call *c)
{
    return c->answer.status && c->held_n;
}

static void call_read(struct plain_call *c)
{
    for (int i = 0; i < READS_A_TURN; i++) {
        const bool own = c->held != NULL;    /* half a head */
        char *to = own ? c->held + c->held_n : c->plain->in;
        size_t room = own ? c->held_room - c->held_n : READ_BYTES;
        ssize_t got;
        bool lives;

        if (room > READ_BYTES)
            room = READ_BYTES;
        do
            got = recv(c->conn->fd, to, room, 0);
        while (got < 0 && errno == EINTR);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0) {
            call_hung_up(c, got ? errno : 0);
            return;
        }
        c->answered = true;
        if (c->answer.status)
            lives = call_take_body(c, to, (size_t)got, clock_mono_us());
        else if (own)
            lives = call_take_head(c, c->held, c->held_n + (size_t)got, clock_mono_us());
        else
            lives = call_take_head(c, to, (size_t)got, clock_mono_us());
        if (!lives || c->paused || (size_t)got < room)
            return;
    }
}

/* ---- events ---- */

static void on_ready(struct plain_conn *conn, short what)
{
    struct plain_call *c = conn->call;

    if (conn->connecting) {
        call_connected(c);
        return;
    }
    if ((what & EV_WRITE) && !c->sent_all && !c->deaf)
        call_send(c);
    if (!(what & EV_READ))
        return;
    if (!c->paused && !call_has_body(c) && !c->failing) {
        call_read(c);
        return;
    }
    c->unwatched = true;
    call_watch(c);
}

static void on_call_timer(evutil_socket_t fd, short what, void *arg)
{
    struct plain_call *c = arg;
    const int64_t now = clock_mono_us();
    enum fetch_end which;

    (void)fd;
    (void)what;
    c->armed_us = FETCH_NEVER;
    if (c->state == CALL_POOLED || c->state == CALL_ENDING)
        return;
    if (call_deadline(c, &which) <= now) {
        c->error = 0;
        c->answer.why = "a time limit has passed";
        call_finish(c, c->failing ? c->failure : which, now);
        return;
    }
    call_arm(c, now);
}

/* One that could not be told at once, or that goes on after a pause. */
static void call_kicked(struct plain_call *c)
{
    const int64_t now = clock_mono_us();
    char *held = c->held;
    const size_t n = c->held_n;

    if (c->failing) {
        call_finish(c, c->failure, now);
        return;
    }
    if (c->paused || !call_has_body(c))
        return;
    c->held = NULL;
    c->held_n = c->held_room = 0;
    if (call_take_body(c, held, n, now)) {
        c->unwatched = false;
        call_watch(c);
        call_arm(c, now);
    }
    free(held);
}

static void on_kick(evutil_socket_t fd, short what, void *arg)
{
    struct plain *p = arg;
    struct list now;

    (void)fd;
    (void)what;
    list_init(&now);    /* one that is kicked again meanwhile has its turn in the next round */
    while (!list_empty(&p->kicked)) {
        struct list *e = p->kicked.next;

        list_remove(e);
        list_append(&now, e);
    }
    while (!list_empty(&now)) {
        struct plain_call *c = LIST_OF(now.next, struct plain_call, kicked);

        list_remove(&c->kicked);
        call_kicked(c);
    }
    for (struct plain_origin *o = p->sockets.origins; o; o = o->next)
        if (!list_empty(&o->queue))
            origin_run_queue(o);
}

/* ---- the public part ---- */

bool plain_serves(const struct fetch_spec *s, bool proxied)
{
    const struct fetch_target *t = s->target;

    if (!t->n_addresses || (proxied && !t->unix_path) || (s->headers && s->headers->odd))
        return false;
    for (size_t i = 0; i < FETCH_EXTRA_MAX && s->extra[i]; i++)
        if (fetch_line_is_odd(span_str(s->extra[i])))
            return false;
    return true;
}

static bool call_take_extra(struct plain_call *c, const struct fetch_spec *s)
{
    size_t size = 0;

    c->extra_n = 0;
    c->path = s->path[0] ? strdup(s->path) : NULL;
    if (s->path[0] && !c->path)
        return false;
    for (size_t i = 0; i < FETCH_EXTRA_MAX && s->extra[i]; i++)
        size += strlen(s->extra[i]) + 2;
    if (!size)
        return true;
    c->extra = malloc(size);
    if (!c->extra)
        return false;
    for (size_t i = 0; i < FETCH_EXTRA_MAX && s->extra[i]; i++) {
        const size_t n = strlen(s->extra[i]);

        if (!fetch_line_ok(s->extra[i]))
            continue;    /* no line of ours can hold two */
        memcpy(c->extra + c->extra_n, s->extra[i], n);
        memcpy(c->extra + c->extra_n + n, "\r\n", 2);
        c->extra_n += n + 2;
    }
    return true;
}

static void call_take_spec(struct plain_call *c, const struct fetch_spec *s)
{
    c->target = s->target;
    c->headers = s->headers ? s->headers : c->plain->defaults;
    c->method = s->method;
    c->no_resend = s->no_resend;
    c->connect_us = s->connect_ms * 1000;
    c->first_byte_us = s->first_byte_ms * 1000;
    c->idle_us = s->idle_ms * 1000;
    c->total_us = s->total_ms * 1000;
    c->max_body_bytes = s->max_body_bytes;
    c->body = s->body;
    c->n_body = s->method == FETCH_POST ? s->n_body : 0;
    c->body_total = 0;
    for (size_t i = 0; i < c->n_body; i++)
        c->body_total += s->body[i].n;
    c->plain->stats.bytes_out += c->body_total;
}

struct plain_call *plain_start(struct plain *p, const struct fetch_spec *s, const struct fetch_callbacks *callbacks,
                               void *ctx)
{
    struct plain_origin *o = plain_pool_origin(&p->sockets, s->target);
    struct plain_call *c = o ? pool_take(p) : NULL;

    if (!c)
        return NULL;
    if (!call_take_extra(c, s)) {
        pool_give(c);
        return NULL;
    }
    c->callbacks = callbacks;
    c->ctx = ctx;
    c->origin = o;
    c->conn = NULL;
    c->busy = c->cancelled = c->paused = c->unwatched = c->sent_all = c->deaf = c->answered = c->failing = false;
    c->sends = c->error = 0;
    c->address = 0;
    call_take_spec(c, s);
    c->started_us = clock_mono_us();
    c->connected_us = c->began_us = c->last_us = c->sent_us = c->paused_us = 0;
    c->received = 0;
    c->held_n = c->held_room = 0;
    plain_answer_init(&c->answer);
    list_append(&p->calls, &c->all);
    p->stats.started++;
    p->stats.active++;
    c->state = CALL_QUEUED;
    call_place_or_queue(c, c->started_us);
    return c;
}

void plain_cancel(struct plain_call *c)
{
    if (c->cancelled || c->state == CALL_ENDING)
        return;
    c->cancelled = true;
    if (!c->busy)    /* keeps (2) */
        call_drop(c);
}

void plain_pause(struct plain_call *c)
{
    if (c->paused)
        return;
    c->paused = true;    /* the socket is left alone when it next has something; often a resume comes first */
    c->paused_us = clock_mono_us();
}

void plain_resume(struct plain_call *c)
{
    const int64_t now = clock_mono_us();

    if (!c->paused)
        return;
    c->paused = false;
    c->last_us = now;
    if (c->state == CALL_WAITING)    /* the time of the pause does not count */
        c->sent_us += now - (c->paused_us > c->sent_us ? c->paused_us : c->sent_us);
    if (call_has_body(c)) {
        call_kick(c);
    } else if (c->unwatched && c->conn) {
        c->unwatched = false;
        call_watch(c);
    }
    call_arm(c, now);
}

bool plain_paused(const struct plain_call *c) { return c->paused; }
bool plain_connected(const struct plain_call *c) { return c->connected_us != 0; }
void *plain_ctx(const struct plain_call *c) { return c->ctx; }
struct span plain_header(const struct plain_call *c, const char *name) { return plain_answer_header(&c->answer, name); }

void plain_add_stats(const struct plain *p, struct fetch_stats *out)
{
    out->started += p->stats.started;
    out->ended += p->stats.ended;
    out->cancelled += p->stats.cancelled;
    out->connections += p->sockets.opened;
    out->resent += p->stats.resent;
    out->bytes_in += p->stats.bytes_in;
    out->bytes_out += p->stats.bytes_out;
    out->active += p->stats.active;
    out->queued += p->stats.queued;
    out->pooled += p->stats.pooled;
}

struct plain *plain_new(struct event_base *base, size_t max_idle)
{
    struct plain *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    list_init(&p->calls);
    list_init(&p->pool);
    list_init(&p->kicked);
    plain_pool_init(&p->sockets, base, max_idle);
    p->sockets.on_ready = on_ready;
    p->sockets.on_retry = origin_run_queue;
    event_assign(&p->kick, base, -1, 0, on_kick, p);
    buf_init(&p->head, 1 << 20);
    p->defaults = fetch_headers_new();
    if (!p->defaults) {
        plain_free(p);
        return NULL;
    }
    return p;
}

void plain_free(struct plain *p)
{
    if (!p)
        return;
    while (!list_empty(&p->calls))
        call_drop(LIST_OF(p->calls.next, struct plain_call, all));
    while (!list_empty(&p->pool)) {
        struct plain_call *c = LIST_OF(p->pool.next, struct plain_call, all);

        list_remove(&c->all);
        call_destroy(c);
    }
    event_del(&p->kick);
    plain_pool_free(&p->sockets);
    if (p->head.p)
        explicit_bzero(p->head.p, p->head.room);
    buf_free(&p->head);
    fetch_headers_free(p->defaults);
    free(p);
}
