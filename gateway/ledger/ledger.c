/* ledger.c - the queue between the workers and the one thread that writes.
 *
 * Owns the queue, the writer and checkpoint threads, and the ports. Does not know SQL (store.c) and decides nothing
 * about money (budget.c): it decides when a transaction begins and ends, and what becomes of an entry whose
 * transaction failed.
 *
 * Invariants:
 *  (1) Two queues, each written in the order of submission: opens (OPEN, REQUEST_ONLY, price books) and settlements
 *      (SETTLE, FINISH). A commit takes all opens, and of the settlements those that have lingered long enough: an open
 *      may overtake a settlement, never the reverse. Settlements kept back from a failed commit come first.
 *  (2) A ticket comes back exactly once: LEDGER_OK only after its commit has returned.
 *  (3) OPEN and REQUEST_ONLY are the only entries that may be refused, at the door or when their commit fails. What
 *      settles (SETTLE, FINISH, a price book) leaves the queue by being written, or with the process.
 *  (4) The queue is bounded: opens by queue_max, settlements by the opens that went before them.
 *  (5) A settlement that finds the OPEN of its request still in the queue is written with it, as one: what would be changed
 *      at once is then written in its last form. Only of a first attempt: the settlement of an earlier one could still
 *      linger, and a finished request is not looked at after a kill.
 *  (6) Only the writer thread touches `store`, `kept` and what stands under "writer thread" below.
 *
 * Time: an open is committed at once, with all the opens that are queued by then, while few come. In a crowd (the last
 * commit found CROWD opens) the upstream's latency is used: an open may wait GATHER_US for its settlement, and is then
 * written with it, once instead of twice, and for company, since pages are written whole. An open that has its settlement
 * has an answer that waits: it is due with SETTLED_ENOUGH others, at the end of the worker's turn (ledger_hurry), or after
 * SETTLED_US. When the first piece of a stream waits, all are due at once. The writer sleeps no longer than GATHER_US in a
 * crowd, so that the first open need not wake it. A settlement that nobody waits for may linger for LINGER_MS: it touches three
 * times as many pages as an open, each of which a commit writes to the log whole.
 *
 * A failing disk: the commit is rolled back, its opens are told, its settlements go to `kept`; the ledger is unhealthy
 * and tries again with `kept` (or with a row that tells nothing) every 100 ms, then less often, until it succeeds. */
#include "gateway/ledger/ledger.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "gateway/ledger/db.h"
#include "gateway/ledger/store.h"
#include "gateway/server/digest.h"

#define QUEUE_MAX 8192
#define BATCH_MAX 256          /* rows a commit: longer transactions only add to the wait of those inside */
#define BATCH_ENOUGH 64        /* settlements that are worth a commit at once */
#define CROWD 3                /* opens at one commit: more are sure to come */
#define GATHER_US 2000
#define OPENS_ENOUGH 128
#define SETTLED_US 400         /* 200 and 12 cost 1.5 us more a request, 600 and 24 save 0.5 */
#define SETTLED_ENOUGH 16
#define YOUNG 1024             /* chains; some 30 opens wait at 20,000 a second */
#define LINGER_MS 10           /* for company; what a kill may turn from its true cost into its upper bound */
#define TICK_MS 250            /* how often keys and budgets changed by another process are looked for */
#define RETRY_FIRST_MS 100
#define RETRY_LAST_MS 1000
#define PRUNE_MS 3600000

/* The log grows by some 30 KiB a small commit. Above SOFT a checkpoint copies it into the file beside the commits;
 * that cannot start the log anew while commits go on, so above HARD commits wait for the (short) rest of one. */
#define WAL_SOFT_PAGES 4096
#define WAL_HARD_PAGES 16384
#define CHECKPOINT_MS 1000

struct node {
    struct node *next;
    struct ledger_port *port;      /* holds a reference; NULL: nobody waits */
    uint64_t ticket;
    enum ledger_rc rc;
    uint64_t serial;               /* of the submission */
    int64_t queued_us;             /* of an open */
    struct node *settlement;       /* of an OPEN, keeps (5); owned */
    struct node *next_young;
    struct store_entry e;          /* its spans point into `text` */
    char text[];
};

struct list {
    struct node *head, *tail;
    size_t n;
};

struct ledger_port {
    atomic_int refs;               /* the worker's, and one of each ticket under way */
    pthread_mutex_t lock;
    struct list back;
    bool dead;                     /* the worker has freed it */
    int fd;
};

struct ledger {
    pthread_mutex_t lock;          /* guards this group */
    pthread_cond_t wake;           /* of the writer, by the monotonic clock */
    struct list opens, settlements;
    struct node *young[YOUNG];     /* the opens of first attempts, chained by id */
    size_t settled, unsettled;     /* of those: with their settlement, without it */
    int64_t first_settled_us;      /* when the settled ones began to gather */
    bool hurry_all, hurry_settled; /* ledger_hurry */
    int64_t calm_us;               /* a crowd that has sent no open by then is none any more */
    size_t urgent;                 /* of the settlements: somebody waits */
    int64_t oldest_ms;             /* when the settlements began to gather, monotonic */
    size_t last_opens;             /* of the last commit */
    bool stop;
    struct ledger_stats stats;     /* healthy is here */

    atomic_size_t n_kept;          /* kept.n, for the bound */
    atomic_int wal_pages;

    struct store *store;           /* writer thread from here on */
    struct list kept;
    int64_t next_tick_ms, next_prune_ms, next_try_ms, retry_ms;

    pthread_mutex_t checkpoint_lock;    /* guards the two below */
    pthread_cond_t checkpoint_wake;
    bool checkpoint_stop, checkpoint_wanted;

    pthread_t writer, checkpointer;
    sqlite3 *checkpoint_db;        /* checkpoint thread */
    struct keys *keys;
    struct budgets *budgets;
    size_t queue_max;
    int64_t (*now_ms)(void *);
    void *now_arg;
    int64_t grace_ms, stop_ms;
    int serve_fd, file_fd;
};

/* ---- lists ---- */

static void list_add(struct list *l, struct node *n)
{
    n->next = NULL;
    if (l->tail)
        l->tail->next = n;
    else
        l->head = n;
    l->tail = n;
    l->n++;
}

static struct node *list_take(struct list *l)
{
    struct node *n = l->head;

    if (!n)
        return NULL;
    l->head = n->next;
    if (!l->head)
        l->tail = NULL;
    l->n--;
    return n;
}

/* All of `more` behind `l`. */
static void list_join(struct list *l, struct list *more)
{
    if (!more->head)
        return;
    if (l->tail)
        l->tail->next = more->head;
    else
        l->head = more->head;
    l->tail = more->tail;
    l->n += more->n;
    *more = (struct list){ 0 };
}

static bool id_is_less(struct span a, struct span b)
{
    int order = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

    return order < 0 || (order == 0 && a.n < b.n);
}

/* Rising by request, each request's entries as they came. */
static void list_sort(struct list *l)
{
    struct list half[2] = { { 0 }, { 0 } };
    struct node *n;

    if (l->n < 2)
        return;
    for (size_t i = 0, middle = l->n / 2; (n = list_take(l)) != NULL; i++)
        list_add(&half[i >= middle], n);
    list_sort(&half[0]);
    list_sort(&half[1]);
    while (half[0].head && half[1].head)
        list_add(l, list_take(&half[id_is_less(half[1].head->e.request.id, half[0].head->e.request.id)]));
    list_join(l, &half[0]);
    list_join(l, &half[1]);
}

/* ---- ports ---- */

struct ledger_port *ledger_port_new(struct ledger *l, int *fd)
{
    struct ledger_port *p = calloc(1, sizeof *p);

    (void)l;
    if (!p)
        return NULL;
    p->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (p->fd < 0) {
        free(p);
        return NULL;
    }
    pthread_mutex_init(&p->lock, NULL);
    atomic_init(&p->refs, 1);
    *fd = p->fd;
    return p;
}

static void port_unref(struct ledger_port *p)
{
    if (atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    pthread_mutex_destroy(&p->lock);
    free(p);
}

/* Nodes of one port go home together: one lock and at most one wake-up for all of them. Writer thread. */
static void port_give_back(struct ledger_port *p, struct list *nodes)
{
    const uint64_t one = 1;
    struct node *n;

    pthread_mutex_lock(&p->lock);
    if (!p->dead) {
        bool first = !p->back.head;

        list_join(&p->back, nodes);
        /* Within the lock: a worker that frees its port closes the descriptor. Fails only when the counter is full. */
        if (first && write(p->fd, &one, sizeof one) != sizeof one)
            log_error("ledger: a worker could not be woken: %s", strerror(errno));
    }
    pthread_mutex_unlock(&p->lock);
    while ((n = list_take(nodes)) != NULL) {    /* the worker has gone */
        free(n);
        port_unref(p);
    }
}

/* All nodes go home with the result, or are freed when nobody waits. The list is empty after. */
static void give_back(struct list *nodes, enum ledger_rc rc)
{
    struct node *n;

    while (nodes->head) {
        struct ledger_port *p = nodes->head->port;
        struct list same = { 0 }, rest = { 0 };

        while ((n = list_take(nodes)) != NULL) {
            n->rc = rc;
            free(n->settlement);
            n->settlement = NULL;
            list_add(n->port == p ? &same : &rest, n);
        }
        *nodes = rest;
        if (p)
            port_give_back(p, &same);
        while ((n = list_take(&same)) != NULL)
            free(n);
    }
}

void ledger_port_drain(struct ledger_port *p, void (*done)(void *arg, uint64_t ticket, enum ledger_rc rc), void *arg)
{
    struct list back;
    struct node *n;
    uint64_t count;

    pthread_mutex_lock(&p->lock);
    if (read(p->fd, &count, sizeof count) < 0 && errno != EAGAIN)
        log_error("ledger: a port cannot be read: %s", strerror(errno));
    back = p->back;
    p->back = (struct list){ 0 };
    pthread_mutex_unlock(&p->lock);
    while ((n = list_take(&back)) != NULL) {
        uint64_t ticket = n->ticket;
        enum ledger_rc rc = n->rc;

        free(n);
        port_unref(p);
        done(arg, ticket, rc);
    }
}

void ledger_port_free(struct ledger_port *p)
{
    struct list back;
    struct node *n;

    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    back = p->back;
    p->back = (struct list){ 0 };
    p->dead = true;
    close(p->fd);
    pthread_mutex_unlock(&p->lock);
    while ((n = list_take(&back)) != NULL) {
        free(n);
        port_unref(p);
    }
    port_unref(p);
}

/* ---- submitting: any thread ---- */

#define TEXT(field, cap) { offsetof(struct store_entry, field), cap }

/* Longer text is cut: a name that a caller made up must not decide how large a row is. */
static const struct { size_t at, cap; } texts[] = {
    TEXT(request.id, 64),          TEXT(request.key_id, 64),      TEXT(request.team, 64),
    TEXT(request.route, 256),      TEXT(request.dialect, 64),     TEXT(request.model_asked, 512),
    TEXT(request.session, 512),    TEXT(request.model, 256),      TEXT(request.provider, 256),
    TEXT(request.tags, 8192),      TEXT(attempt.provider, 256),   TEXT(attempt.model, 256),
    TEXT(attempt.verdict, 256),    TEXT(attempt.model_returned, 512),
    TEXT(attempt.service_tier, 256), TEXT(attempt.price_version, ROW_PRICE_VERSION_BYTES),
};
#define N_TEXTS (sizeof texts / sizeof *texts)
#define TAGS_CAP 8192

static struct span *text_of(struct store_entry *e, size_t i)
{
    return (struct span *)(void *)((char *)e + texts[i].at);
}

/* Up to the first NUL, cut between characters. Tags are not cut, they would be no JSON any more: left out. */
static struct span trimmed(struct span s, size_t cap)
{
    s.n = s.p ? strnlen(s.p, s.n) : 0;
    if (s.n <= cap)
        return s;
    if (cap == TAGS_CAP)
        return SPAN_NONE;
    s.n = cap;
    while (s.n && ((uint8_t)s.p[s.n] & 0xc0) == 0x80)
        s.n--;
    return s;
}

/* A node with `e` and its texts in one piece. NULL: no memory. */
static struct node *node_new(struct store_entry *e)
{
    size_t bytes = e->book.n;
    struct node *n;
    char *p;

    for (size_t i = 0; i < N_TEXTS; i++) {
        *text_of(e, i) = trimmed(*text_of(e, i), texts[i].cap);
        bytes += text_of(e, i)->n;
    }
    n = malloc(sizeof *n + bytes + 1);
    if (!n)
        return NULL;
    *n = (struct node){ .e = *e };
    p = n->text;
    for (size_t i = 0; i < N_TEXTS; i++) {
        struct span *s = text_of(&n->e, i);

        if (s->n)
            memcpy(p, s->p, s->n);
        s->p = p;
        p += s->n;
    }
    if (e->book.n)
        memcpy(p, e->book.p, e->book.n);
    n->e.book.p = p;
    return n;
}

static bool may_be_refused(const struct store_entry *e)
{
    return !e->is_book && (e->kind == LEDGER_OPEN || e->kind == LEDGER_REQUEST_ONLY);
}

static bool settles(const struct store_entry *e)
{
    return !e->is_book && (e->kind == LEDGER_SETTLE || e->kind == LEDGER_FINISH);
}

/* Whether it may come in; counts a refusal. Locked. */
static enum ledger_rc at_the_door(struct ledger *l, const struct store_entry *e)
{
    enum ledger_rc rc = LEDGER_OK;

    if (!may_be_refused(e))
        return rc;
    if (!l->stats.healthy)
        rc = LEDGER_DOWN;
    else if (l->opens.n + l->settlements.n + atomic_load(&l->n_kept) >= l->queue_max)
        rc = LEDGER_FULL;
    l->stats.refused_down += rc == LEDGER_DOWN;
    l->stats.refused_full += rc == LEDGER_FULL;
    return rc;
}

/* The chain that the OPEN of this request would be in. Ids end in random characters. */
static struct node **young_chain(struct ledger *l, struct span id)
{
    uint32_t h = 2166136261u;

    for (size_t i = id.n > 8 ? id.n - 8 : 0; i < id.n; i++)
        h = (h ^ (uint8_t)id.p[i]) * 16777619u;
    return &l->young[(h ^ h >> 16) % YOUNG];
}

static bool is_young(const struct node *n)
{
    return !n->e.is_book && n->e.kind == LEDGER_OPEN && n->e.attempt.n == 1;
}

/* An open joins the queue. Locked. */
static void add_open(struct ledger *l, struct node *n)
{
    n->queued_us = clock_mono_us();
    list_add(&l->opens, n);
    if (is_young(n)) {
        struct node **chain = young_chain(l, n->e.request.id);

        n->next_young = *chain;
        *chain = n;
        l->unsettled++;
    }
}

/* It leaves the queue. Locked. */
static void forget_young(struct ledger *l, struct node *n)
{
    struct node **p = young_chain(l, n->e.request.id);

    while (*p != n)
        p = &(*p)->next_young;
    *p = n->next_young;
    if (n->settlement)
        l->settled--;
    else
        l->unsettled--;
}

/* Gives the settlement to its open, if that is still here, keeps (5). Locked. */
static bool settle_at_once(struct ledger *l, struct node *n)
{
    struct node *open;

    if (n->port || n->e.kind != LEDGER_SETTLE || n->e.attempt.n != 1)
        return false;
    open = *young_chain(l, n->e.request.id);
    while (open && !span_eq(open->e.request.id, n->e.request.id))
        open = open->next_young;
    if (!open || open->settlement)
        return false;
    open->settlement = n;
    l->stats.settled_at_once++;
    l->unsettled--;
    if (l->settled++ == 0)
        l->first_settled_us = clock_mono_us();
    return true;
}

/* Takes over `n`; frees it when it is refused. */
static enum ledger_rc enqueue(struct ledger *l, struct node *n, struct ledger_port *port)
{
    enum ledger_rc rc;
    bool wake;                     /* the writer sleeps until opens or settlements are due, see there */

    pthread_mutex_lock(&l->lock);
    rc = at_the_door(l, &n->e);
    if (rc != LEDGER_OK) {
        pthread_mutex_unlock(&l->lock);
        free(n);
        return rc;
    }
    if (port) {
        atomic_fetch_add(&port->refs, 1);
        n->port = port;
    }
    n->serial = l->stats.entries++;
    if (!settles(&n->e)) {
        add_open(l, n);
        wake = (l->opens.n == 1 && l->last_opens < CROWD) || l->opens.n == OPENS_ENOUGH;
    } else if (settle_at_once(l, n)) {
        wake = l->settled == SETTLED_ENOUGH;
    } else {
        list_add(&l->settlements, n);
        l->urgent += port != NULL;
        if (l->settlements.n == 1)
            l->oldest_ms = clock_mono_ms();
        wake = l->settlements.n == 1 || (port && l->urgent == 1) || l->settlements.n == BATCH_ENOUGH;
    }
    pthread_mutex_unlock(&l->lock);
    if (wake)                      /* not within the lock: it would wake up only to wait for that */
        pthread_cond_signal(&l->wake);
    return LEDGER_OK;
}

enum ledger_rc ledger_submit(struct ledger *l, struct ledger_port *port, const struct ledger_entry *e)
{
    struct store_entry copy = { .kind = e->kind, .finish = e->finish, .request = *e->request };
    struct node *n;

    assert(e->request->id.n);
    assert(e->attempt || e->kind == LEDGER_FINISH || e->kind == LEDGER_REQUEST_ONLY);
    if (e->attempt)
        copy.attempt = *e->attempt;
    copy.opened_ms = e->hold ? e->hold->opened_ms : l->now_ms(l->now_arg);
    if (e->kind == LEDGER_OPEN) {
        assert(e->hold);
        copy.amount_nano = e->hold->amount_nano;
        copy.n_scopes = (int)budget_hold_scopes(e->hold, copy.scopes);
    }
    n = node_new(&copy);
    if (!n)
        return LEDGER_NOMEM;
    n->ticket = e->ticket;
    return enqueue(l, n, e->ticket ? port : NULL);
}

enum ledger_rc ledger_use_book(struct ledger *l, struct span book, char digest[65])
{
    struct store_entry copy = { .is_book = true, .book = book, .opened_ms = l->now_ms(l->now_arg) };
    uint8_t sum[DIGEST_BYTES];
    struct node *n;

    digest_sha256(book, sum);
    digest_hex(sum, copy.digest);
    memcpy(digest, copy.digest, sizeof copy.digest);
    n = node_new(&copy);
    return n ? enqueue(l, n, NULL) : LEDGER_NOMEM;
}

void ledger_hurry(struct ledger *l, bool all)
{
    bool *flag = all ? &l->hurry_all : &l->hurry_settled, wake;

    pthread_mutex_lock(&l->lock);
    wake = !*flag && (all ? l->opens.n : l->settled) > 0;
    *flag |= wake;
    pthread_mutex_unlock(&l->lock);
    if (wake)
        pthread_cond_signal(&l->wake);
}

void ledger_stats(struct ledger *l, struct ledger_stats *out)
{
    struct timespec cpu;
    clockid_t clock;

    pthread_mutex_lock(&l->lock);
    *out = l->stats;
    out->queued = l->opens.n + l->settlements.n + atomic_load(&l->n_kept);
    pthread_mutex_unlock(&l->lock);
    if (pthread_getcpuclockid(l->writer, &clock) == 0 && clock_gettime(clock, &cpu) == 0)
        out->writer_cpu_us = (uint64_t)cpu.tv_sec * 1000000 + (uint64_t)cpu.tv_nsec / 1000;
}

/* ---- the writer ---- */

static void set_health(struct ledger *l, bool healthy, const char *error)
{
    bool changed;

    pthread_mutex_lock(&l->lock);
    changed = l->stats.healthy != healthy;
    l->stats.healthy = healthy;
    if (error) {
        l->stats.failures++;
        snprintf(l->stats.error, sizeof l->stats.error, "%s", error);
    }
    pthread_mutex_unlock(&l->lock);
    if (changed && healthy)
        log_info("ledger: writing again");
    else if (changed)
        log_error("ledger: cannot write: %s. New requests are refused until it can; %zu settlements wait", error ? error : "",
                  atomic_load(&l->n_kept));
}

/* One transaction over the list. Which entry could not be written, on STORE_BAD. */
static enum store_rc write_list(struct ledger *l, const struct list *batch, const struct node **bad)
{
    enum store_rc rc = store_begin(l->store);

    for (const struct node *n = batch->head; n && rc == STORE_OK; n = n->next) {
        rc = n->settlement ? store_apply_whole(l->store, &n->e, &n->settlement->e) : store_apply(l->store, &n->e);
        if (rc == STORE_BAD)
            *bad = n;
    }
    if (rc == STORE_OK)
        rc = store_commit(l->store);
    return rc;
}

/* Settlements stand behind their opens again, each an entry of its own. */
static void part(struct list *batch)
{
    struct list parted = { 0 };
    struct node *n, *settlement;

    while ((n = list_take(batch)) != NULL) {
        settlement = n->settlement;
        n->settlement = NULL;
        list_add(&parted, n);
        if (settlement)
            list_add(&parted, settlement);
    }
    *batch = parted;
}

/* The entry that breaks a constraint leaves the list: it would block all behind it for ever. A bug of ours, said
 * loudly; its reservation stays open and is closed at its bound at the next start. */
static void drop_bad(struct list *batch, const struct node *bad, const char *why)
{
    struct list rest = { 0 }, dropped = { 0 };
    struct node *n;

    log_error("ledger: an entry of request %.*s cannot be written and is left out: %s", SPAN_FMT(bad->e.request.id), why);
    while ((n = list_take(batch)) != NULL)
        list_add(n == bad ? &dropped : &rest, n);
    *batch = rest;
    give_back(&dropped, LEDGER_DOWN);
}

/* Opens are told, settlements are kept, keeps (3). The list is empty after. */
static void keep_settlements(struct ledger *l, struct list *batch)
{
    struct list kept = { 0 }, refused = { 0 };
    struct node *n;

    part(batch);
    while ((n = list_take(batch)) != NULL)
        list_add(may_be_refused(&n->e) ? &refused : &kept, n);
    give_back(&refused, LEDGER_DOWN);
    list_join(&kept, &l->kept);    /* they were taken from the front of what waits, keeps (1) */
    l->kept = kept;
    atomic_store(&l->n_kept, l->kept.n);
}

/* Writes the list and sends it home, or keeps what may not be lost. False: the disk fails. */
static bool commit_list(struct ledger *l, struct list *batch)
{
    const struct node *bad = NULL;
    int64_t began_us = clock_mono_us(), took_us;
    enum store_rc rc;
    char error[160];

    while ((rc = write_list(l, batch, &bad)) == STORE_BAD && bad) {
        snprintf(error, sizeof error, "%s", store_error(l->store));
        store_rollback(l->store);
        if (bad->settlement)
            part(batch);           /* which of the two is it? */
        else
            drop_bad(batch, bad, error);
        bad = NULL;
    }
    if (rc != STORE_OK) {
        snprintf(error, sizeof error, "%s", store_error(l->store));
        store_rollback(l->store);
        keep_settlements(l, batch);
        set_health(l, false, error);
        return false;
    }
    took_us = clock_mono_us() - began_us;
    pthread_mutex_lock(&l->lock);
    l->stats.commits++;
    l->stats.commit_us_sum += (uint64_t)took_us;
    if ((uint64_t)took_us > l->stats.commit_us_max)
        l->stats.commit_us_max = (uint64_t)took_us;
    pthread_mutex_unlock(&l->lock);
    give_back(batch, LEDGER_OK);
    return true;
}

/* Settlements are due when somebody waits, when there are many, and when the first of them has lingered. Locked. */
static bool settlements_due(const struct ledger *l, int64_t now)
{
    return l->settlements.n && (l->stop || l->urgent || l->settlements.n >= BATCH_ENOUGH || now >= l->oldest_ms + LINGER_MS);
}

/* All opens are due: few come, many have gathered, the first has waited for long, or an answer waits. Locked. */
static bool all_opens_due(const struct ledger *l, int64_t now_us)
{
    return l->opens.n && (l->stop || l->hurry_all || l->last_opens < CROWD || l->opens.n >= OPENS_ENOUGH ||
                          now_us >= l->opens.head->queued_us + GATHER_US);
}

/* Those that have their settlement are. Locked. */
static bool settled_due(const struct ledger *l, int64_t now_us)
{
    return l->settled && (l->hurry_settled || l->settled >= SETTLED_ENOUGH || now_us >= l->first_settled_us + SETTLED_US);
}

/* Moves opens until the batch has `room`; not `all`: those that wait for their settlement stay. Locked. */
static void take_opens(struct ledger *l, struct list *batch, size_t room, bool all)
{
    struct list rest = { 0 };
    struct node *n;

    while (batch->n < room && (n = list_take(&l->opens)) != NULL) {
        if (!all && is_young(n) && !n->settlement) {
            list_add(&rest, n);
            continue;
        }
        if (is_young(n))
            forget_young(l, n);
        list_add(batch, n);
    }
    list_join(&rest, &l->opens);
    l->opens = rest;
}

/* Settlements whose opens are not behind them in the batch or later, keeps (1). Locked. */
static void take_settlements(struct ledger *l, struct list *batch)
{
    while (batch->n < BATCH_MAX && l->settlements.head &&
           (!l->opens.head || l->settlements.head->serial < l->opens.head->serial)) {
        l->urgent -= l->settlements.head->port != NULL;
        list_add(batch, list_take(&l->settlements));
    }
    l->oldest_ms = clock_mono_ms();    /* of what is left, if any: it came in just now */
}

/* What the next commit writes, up to BATCH_MAX: the kept ones; the opens; the settlements if they are due, which have
 * half of the room, so that a flood of opens does not hold them off. */
static struct list take_batch(struct ledger *l)
{
    struct list batch = { 0 };
    size_t before;
    bool due, all;

    while (batch.n < BATCH_MAX && l->kept.head)
        list_add(&batch, list_take(&l->kept));
    atomic_store(&l->n_kept, l->kept.n);
    pthread_mutex_lock(&l->lock);
    before = l->opens.n;
    due = !l->kept.head && settlements_due(l, clock_mono_ms());    /* all the kept ones first, keeps (1) */
    all = due || all_opens_due(l, clock_mono_us());
    take_opens(l, &batch, due ? batch.n + (BATCH_MAX - batch.n) / 2 : BATCH_MAX, all);
    if (due)
        take_settlements(l, &batch);
    take_opens(l, &batch, BATCH_MAX, all);
    l->first_settled_us = clock_mono_us();
    if (before > l->opens.n) {
        l->last_opens = before;
        l->calm_us = l->first_settled_us + GATHER_US;
    }
    l->hurry_all = l->hurry_settled = false;
    pthread_mutex_unlock(&l->lock);
    list_sort(&batch);             /* as the rows lie in their tables */
    return batch;
}

static void wait_until(struct ledger *l, int64_t mono_us)
{
    struct timespec t = { mono_us / 1000000, mono_us % 1000000 * 1000 };

    pthread_cond_timedwait(&l->wake, &l->lock, &t);
}

/* Until there is something to write, a tick is due, or the process ends. True: to end. */
static bool wait_for_work(struct ledger *l)
{
    bool stop;

    pthread_mutex_lock(&l->lock);
    for (;;) {
        int64_t now_us = clock_mono_us(), until_us = l->next_tick_ms * 1000;

        if (l->stop || all_opens_due(l, now_us) || settled_due(l, now_us) || settlements_due(l, now_us / 1000) || now_us >= until_us)
            break;
        if (!l->opens.n && now_us >= l->calm_us)
            l->last_opens = 0;
        if (l->last_opens >= CROWD && l->calm_us > now_us && l->calm_us < until_us)
            until_us = l->calm_us;    /* nobody wakes us for the first open of a crowd */
        if (l->opens.n && l->opens.head->queued_us + GATHER_US < until_us)
            until_us = l->opens.head->queued_us + GATHER_US;
        if (l->settled && l->first_settled_us + SETTLED_US < until_us)
            until_us = l->first_settled_us + SETTLED_US;
        if (l->settlements.n && (l->oldest_ms + LINGER_MS) * 1000 < until_us)
            until_us = (l->oldest_ms + LINGER_MS) * 1000;
        wait_until(l, until_us);
    }
    stop = l->stop;
    pthread_mutex_unlock(&l->lock);
    return stop;
}

/* Keys and budgets that a command changed beside us; hour buckets that are too old. */
static void tick(struct ledger *l)
{
    int64_t now = clock_mono_ms();

    if (now < l->next_tick_ms)
        return;
    l->next_tick_ms = now + TICK_MS;
    if (store_changed(l->store) && (!store_load_keys(l->store, l->keys) || !store_load_budgets(l->store, l->budgets))) {
        log_warn("ledger: changed keys or budgets could not be read: %s", store_error(l->store));
        store_changed_again(l->store);
    }
    if (now < l->next_prune_ms)
        return;
    l->next_prune_ms = now + PRUNE_MS;
    if (store_prune(l->store, l->now_ms(l->now_arg)) != STORE_OK)
        log_warn("ledger: old hours could not be dropped: %s", store_error(l->store));
}

static void ask_for_checkpoint(struct ledger *l)
{
    int pages = store_wal_pages(l->store), before = atomic_exchange(&l->wal_pages, pages);

    if (pages < WAL_SOFT_PAGES || before / WAL_SOFT_PAGES == pages / WAL_SOFT_PAGES)
        return;
    pthread_mutex_lock(&l->checkpoint_lock);
    l->checkpoint_wanted = true;
    pthread_cond_signal(&l->checkpoint_wake);
    pthread_mutex_unlock(&l->checkpoint_lock);
}

/* While the disk fails: one more try, when its time has come. True: to end, for the time of grace is over. */
static bool try_again(struct ledger *l)
{
    struct list batch = { 0 };
    int64_t deadline;
    bool well;

    pthread_mutex_lock(&l->lock);
    take_opens(l, &batch, SIZE_MAX, true);    /* from before the door was shut: told at once; a price book is kept */
    pthread_mutex_unlock(&l->lock);
    keep_settlements(l, &batch);

    pthread_mutex_lock(&l->lock);
    for (;;) {
        int64_t now = clock_mono_ms();

        deadline = l->stop ? l->stop_ms + l->grace_ms : INT64_MAX;
        if (now >= l->next_try_ms || now >= deadline)
            break;
        wait_until(l, (l->next_try_ms < deadline ? l->next_try_ms : deadline) * 1000);
    }
    pthread_mutex_unlock(&l->lock);

    batch = take_batch(l);
    if (batch.n) {
        well = commit_list(l, &batch);
    } else {
        well = store_probe(l->store, l->now_ms(l->now_arg)) == STORE_OK;
        if (!well)
            set_health(l, false, store_error(l->store));
    }
    if (well) {
        set_health(l, true, NULL);
        l->retry_ms = RETRY_FIRST_MS;
        return false;
    }
    l->retry_ms = l->retry_ms * 2 < RETRY_LAST_MS ? l->retry_ms * 2 : RETRY_LAST_MS;
    l->next_try_ms = clock_mono_ms() + l->retry_ms;
    return clock_mono_ms() >= deadline;
}

static bool in_place(struct ledger *l)
{
    if (store_in_place(l->store))
        return true;
    set_health(l, false, store_error(l->store));
    l->next_try_ms = clock_mono_ms() + RETRY_FIRST_MS;
    return false;
}

static void *writer_main(void *arg)
{
    struct ledger *l = arg;
    bool well = true, stop = false, end = false;

    pthread_setname_np(pthread_self(), "ledger");
    while (!end) {
        struct list batch;

        if (!well) {
            end = try_again(l);
            pthread_mutex_lock(&l->lock);
            well = l->stats.healthy;
            pthread_mutex_unlock(&l->lock);
            continue;
        }
        if (!l->kept.head)
            stop = wait_for_work(l);
        batch = take_batch(l);
        if (batch.n) {
            well = commit_list(l, &batch);
            l->next_try_ms = clock_mono_ms() + RETRY_FIRST_MS;
            ask_for_checkpoint(l);
        } else {
            end = stop;
            well = in_place(l);    /* commits look for themselves */
        }
        tick(l);
    }
    return NULL;
}

/* ---- the checkpoint thread ---- */

static void checkpoint(struct ledger *l)
{
    int pages = 0, done = 0, rc;

    rc = sqlite3_wal_checkpoint_v2(l->checkpoint_db, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, &done);
    if (rc == SQLITE_OK && pages >= WAL_HARD_PAGES)
        rc = sqlite3_wal_checkpoint_v2(l->checkpoint_db, NULL, SQLITE_CHECKPOINT_RESTART, &pages, &done);
    if (rc != SQLITE_OK && rc != SQLITE_BUSY && rc != SQLITE_LOCKED)
        log_warn("ledger: a checkpoint failed and is tried again: %s", sqlite3_errmsg(l->checkpoint_db));
    pthread_mutex_lock(&l->lock);
    l->stats.checkpoints += rc == SQLITE_OK;
    pthread_mutex_unlock(&l->lock);
}

static void *checkpointer_main(void *arg)
{
    struct ledger *l = arg;

    pthread_setname_np(pthread_self(), "checkpoints");
    pthread_mutex_lock(&l->checkpoint_lock);
    while (!l->checkpoint_stop) {
        if (!l->checkpoint_wanted) {
            pthread_cond_wait(&l->checkpoint_wake, &l->checkpoint_lock);
            continue;
        }
        l->checkpoint_wanted = false;
        pthread_mutex_unlock(&l->checkpoint_lock);
        checkpoint(l);
        pthread_mutex_lock(&l->checkpoint_lock);
    }
    pthread_mutex_unlock(&l->checkpoint_lock);
    return NULL;
}

/* ---- opening and closing ---- */

static int64_t wall_now(void *arg)
{
    (void)arg;
    return clock_wall_ms();
}

static void free_all(struct ledger *l)
{
    store_close(l->store);
    if (l->checkpoint_db)
        db_close(l->checkpoint_db);
    if (l->file_fd >= 0)
        close(l->file_fd);
    if (l->serve_fd >= 0)
        close(l->serve_fd);
    pthread_mutex_destroy(&l->lock);
    pthread_mutex_destroy(&l->checkpoint_lock);
    pthread_cond_destroy(&l->wake);
    pthread_cond_destroy(&l->checkpoint_wake);
    free(l);
}

/* What a start does before anybody may submit. */
static bool make_ready(struct ledger *l, const struct ledger_options *o, struct problems *ps)
{
    int64_t now = l->now_ms(l->now_arg);
    struct store_entry book = { .is_book = true, .book = o->book, .opened_ms = now };
    uint8_t sum[DIGEST_BYTES];
    size_t closed = 0;

    digest_sha256(o->book, sum);
    digest_hex(sum, book.digest);
    if (store_recover(l->store, now, &closed) != STORE_OK || store_begin(l->store) != STORE_OK ||
        (o->book.n && store_apply(l->store, &book) != STORE_OK) || store_commit(l->store) != STORE_OK ||
        !store_load_spent(l->store, l->budgets, now) || !store_load_budgets(l->store, l->budgets) ||
        !store_load_keys(l->store, l->keys)) {
        problem_error(ps, "", "the ledger cannot be made ready: %s", store_error(l->store));
        return false;
    }
    if (closed)
        log_warn("ledger: %zu attempts were under way when the last process ended; they are charged at their upper bound",
                 closed);
    return true;
}

int ledger_claim(const char *path, struct problems *ps)
{
    return db_serve_lock(path, clock_wall_ms(), ps);
}

void ledger_set_up_process(void)
{
    if (sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) != SQLITE_OK)
        log_debug("ledger: SQLite is in use already and counts its memory");
}

struct ledger *ledger_open(const struct ledger_options *o, struct problems *ps)
{
    struct ledger *l = calloc(1, sizeof *l);
    pthread_condattr_t monotonic;

    ps->file = o->path;
    if (!l) {
        problem_error(ps, "", "there is no memory for the ledger");
        if (o->claim)
            close(o->claim);
        return NULL;
    }
    pthread_mutex_init(&l->lock, NULL);
    pthread_mutex_init(&l->checkpoint_lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&l->wake, &monotonic);
    pthread_cond_init(&l->checkpoint_wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    l->keys = o->keys;
    l->budgets = o->budgets;
    l->queue_max = o->queue_max ? o->queue_max : QUEUE_MAX;
    l->now_ms = o->now_ms ? o->now_ms : wall_now;
    l->now_arg = o->now_arg;
    l->stats.healthy = true;
    l->retry_ms = RETRY_FIRST_MS;

    l->file_fd = -1;
    l->serve_fd = o->claim ? o->claim : db_serve_lock(o->path, l->now_ms(l->now_arg), ps);
    if (l->serve_fd >= 0)
        l->store = store_open(o->path, o->durability_power, o->vfs, ps);
    if (!l->store || !db_lock_file(o->path, &l->file_fd, ps) || !make_ready(l, o, ps))
        goto fail;
    l->checkpoint_db = db_open(o->path, DB_WRITE, o->vfs, ps);
    if (!l->checkpoint_db)
        goto fail;
    /* Starting the log anew waits for readers with the write lock held: a long report must not stop the commits. */
    sqlite3_busy_timeout(l->checkpoint_db, 100);
    db_exec(l->checkpoint_db, "PRAGMA synchronous = NORMAL");
    if (pthread_create(&l->writer, NULL, writer_main, l) != 0) {
        problem_error(ps, "", "the ledger's thread cannot be started");
        goto fail;
    }
    if (pthread_create(&l->checkpointer, NULL, checkpointer_main, l) != 0) {
        problem_error(ps, "", "the ledger's thread cannot be started");
        pthread_mutex_lock(&l->lock);
        l->stop = true;
        pthread_cond_signal(&l->wake);
        pthread_mutex_unlock(&l->lock);
        pthread_join(l->writer, NULL);
        goto fail;
    }
    return l;
fail:
    free_all(l);
    return NULL;
}

void ledger_close(struct ledger *l, int64_t grace_ms)
{
    size_t lost;

    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    l->grace_ms = grace_ms;
    l->stop_ms = clock_mono_ms();
    pthread_cond_signal(&l->wake);
    pthread_mutex_unlock(&l->lock);
    pthread_join(l->writer, NULL);

    pthread_mutex_lock(&l->checkpoint_lock);
    l->checkpoint_stop = true;
    pthread_cond_signal(&l->checkpoint_wake);
    pthread_mutex_unlock(&l->checkpoint_lock);
    pthread_join(l->checkpointer, NULL);

    part(&l->opens);
    list_join(&l->kept, &l->opens);
    list_join(&l->kept, &l->settlements);
    lost = l->kept.n;
    give_back(&l->kept, LEDGER_DOWN);
    if (lost)
        log_error("ledger: the disk did not recover; %zu entries were not written. Their reservations are charged at their "
                  "upper bound at the next start", lost);
    free_all(l);
}
