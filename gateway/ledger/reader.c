/* reader.c - see reader.h. Owns the thread, its connection and its bounded queue; what is read is trace.c's.
 *
 * A request's last row is written a moment after its answer has left (ledger.h), and who has just been answered asks for
 * just that: the reader looks again for a moment before it says that a request is under way or not there. */
#include "gateway/ledger/reader.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "gateway/ledger/row.h"
#include "gateway/ledger/trace.h"

#define QUESTIONS_MAX 64
#define DOCUMENT_MAX  (1u << 20)
#define KEY_ROOM      64
#define LOOK_AGAIN_US 2000
#define LOOKS_MOST    50         /* 100 ms in all: a batch of the writer takes a few */
#define NEW_MS        2000       /* an id older than this has its row or will never have it */

struct question {
    struct question *next;
    struct reader_port *port;    /* NULL: freed in the meantime */
    uint64_t ticket;
    char id[ROW_ID_BYTES + 1], key_id[KEY_ROOM];
    enum reader_rc rc;
    struct buf text;
};

struct reader_port {
    struct reader *reader;
    int fd;
    struct question *answers;    /* reader->lock */
};

struct reader {
    pthread_mutex_t lock;        /* covers the lists; nothing is called under it */
    pthread_cond_t wake;
    struct question *first, **last, *current;
    size_t n;
    bool stop;
    pthread_t thread;
    sqlite3 *db;                 /* reader thread; opened with the first question */
    char *path;
};

static void question_free(struct question *q)
{
    buf_free(&q->text);
    free(q);
}

/* ---- reader thread ---- */

static bool open_db(struct reader *r)
{
    struct problems ps;

    problems_init(&ps);
    if (!r->db)
        r->db = db_open(r->path, DB_READ, NULL, &ps);
    if (!r->db && ps.n)
        log_warn("ledger: it cannot be read: %s", ps.list[0].text);
    problems_free(&ps);
    return r->db;
}

static bool is_new(const struct question *q)
{
    int64_t at_ms;

    return row_id_time(span_str(q->id), &at_ms) && clock_wall_ms() - at_ms < NEW_MS;
}

static enum reader_rc look(struct reader *r, struct question *q)
{
    enum trace_rc rc;
    int looks = 0;

    if (!open_db(r))
        return READER_FAILED;
    for (;;) {
        rc = trace_write(r->db, span_str(q->id), span_str(q->key_id), &q->text);
        if (++looks > LOOKS_MOST || (rc != TRACE_UNDER_WAY && (rc != TRACE_NOT_FOUND || !is_new(q))))
            break;
        usleep(LOOK_AGAIN_US);
    }
    if (rc == TRACE_FAILED)
        log_warn("ledger: it does not answer: %s", sqlite3_errmsg(r->db));
    return rc == TRACE_FAILED ? READER_FAILED : rc == TRACE_NOT_FOUND ? READER_NOT_FOUND : READER_OK;
}

/* Takes the lock and leaves it. */
static void hand_back(struct reader *r, struct question *q)
{
    const uint64_t one = 1;

    pthread_mutex_lock(&r->lock);
    r->current = NULL;
    if (q->port) {
        q->next = q->port->answers;
        q->port->answers = q;
        /* Within the lock: a worker that frees its port closes the descriptor. Fails only when the counter is full. */
        if (write(q->port->fd, &one, sizeof one) < 0)
            log_error("ledger: a worker cannot be woken: %s", strerror(errno));
        q = NULL;
    }
    pthread_mutex_unlock(&r->lock);
    if (q)
        question_free(q);
}

static struct question *take(struct reader *r)
{
    struct question *q;

    pthread_mutex_lock(&r->lock);
    while (!r->first && !r->stop)
        pthread_cond_wait(&r->wake, &r->lock);
    q = r->stop ? NULL : r->first;
    if (q) {
        r->first = q->next;
        if (!r->first)
            r->last = &r->first;
        r->n--;
        r->current = q;
    }
    pthread_mutex_unlock(&r->lock);
    return q;
}

static void *reader_main(void *arg)
{
    struct reader *r = arg;
    struct question *q;

    pthread_setname_np(pthread_self(), "reader");
    while ((q = take(r)) != NULL) {
        q->rc = look(r, q);
        hand_back(r, q);
    }
    return NULL;
}

/* ---- life ---- */

struct reader *reader_new(const char *path)
{
    struct reader *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    r->last = &r->first;
    r->path = strdup(path);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->wake, NULL);
    if (r->path && pthread_create(&r->thread, NULL, reader_main, r) == 0)
        return r;
    free(r->path);
    free(r);
    return NULL;
}

void reader_free(struct reader *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    while (r->first) {
        struct question *q = r->first;

        r->first = q->next;
        question_free(q);
    }
    db_close(r->db);
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->wake);
    free(r->path);
    free(r);
}

/* ---- a worker's side ---- */

struct reader_port *reader_port_new(struct reader *r, int *fd)
{
    struct reader_port *p = calloc(1, sizeof *p);

    if (!p)
        return NULL;
    p->reader = r;
    p->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (p->fd < 0) {
        free(p);
        return NULL;
    }
    *fd = p->fd;
    return p;
}

void reader_port_drain(struct reader_port *p, void (*done)(void *arg, uint64_t ticket, enum reader_rc rc, struct span text),
                       void *arg)
{
    struct question *q, *next;
    uint64_t n;

    if (read(p->fd, &n, sizeof n) < 0 && errno != EAGAIN)
        log_error("ledger: a port cannot be read: %s", strerror(errno));
    pthread_mutex_lock(&p->reader->lock);
    q = p->answers;
    p->answers = NULL;
    pthread_mutex_unlock(&p->reader->lock);
    for (; q; q = next) {
        next = q->next;
        done(arg, q->ticket, q->rc, buf_span(&q->text));
        question_free(q);
    }
}

static void forget_port(struct question *q, const struct reader_port *p)
{
    for (; q; q = q->next)
        if (q->port == p)
            q->port = NULL;
}

void reader_port_free(struct reader_port *p)
{
    struct question *q;

    if (!p)
        return;
    pthread_mutex_lock(&p->reader->lock);
    forget_port(p->reader->first, p);
    if (p->reader->current && p->reader->current->port == p)
        p->reader->current->port = NULL;
    q = p->answers;
    pthread_mutex_unlock(&p->reader->lock);
    while (q) {
        struct question *next = q->next;

        question_free(q);
        q = next;
    }
    close(p->fd);
    free(p);
}

bool reader_ask_trace(struct reader *r, struct reader_port *p, uint64_t ticket, struct span id, struct span key_id)
{
    struct question *q = id.n <= ROW_ID_BYTES && key_id.n < KEY_ROOM ? calloc(1, sizeof *q) : NULL;
    bool room;

    if (!q)
        return false;
    q->port = p;
    q->ticket = ticket;
    snprintf(q->id, sizeof q->id, "%.*s", SPAN_FMT(id));
    snprintf(q->key_id, sizeof q->key_id, "%.*s", SPAN_FMT(key_id));
    buf_init(&q->text, DOCUMENT_MAX);
    pthread_mutex_lock(&r->lock);
    room = r->n < QUESTIONS_MAX;
    if (room) {
        *r->last = q;
        r->last = &q->next;
        r->n++;
        pthread_cond_signal(&r->wake);
    }
    pthread_mutex_unlock(&r->lock);
    if (!room)
        question_free(q);
    return room;
}
