/* fetch_loop.c - curl's wishes about descriptors and time, carried out by libevent.
 *
 * A kept connection goes idle and busy again with each request, and curl asks to forget and to watch its descriptor
 * each time. We leave the read event in place instead ("parked") and so save two epoll_ctl a request. That is only
 * safe for descriptors whose closing we see, those opened by socket_open: curl's resolver closes its own unseen, and
 * the number may be anybody's a moment later. Those are forgotten at once. */
#include "gateway/upstream/fetch_loop.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct loop_socket {
    struct fetch_loop *loop;
    struct event event;
    struct loop_socket *next;      /* in the spare list */
    int fd;
    short watching;                /* EV_READ | EV_WRITE as added to the base; 0: not added */
    short wanted;                  /* what curl wants; 0: parked, or nothing */
    bool ours;                     /* opened by socket_open, closed by socket_close */
};

static void run_curl(struct fetch_loop *l, curl_socket_t fd, int mask)
{
    int running;

    fetch_loop_enter(l);
    curl_multi_socket_action(l->multi, fd, mask, &running);    /* its only failures are bugs of ours */
    fetch_loop_leave(l);
}

void fetch_loop_leave(struct fetch_loop *l)
{
    if (--l->depth == 0)
        l->after(l->ctx);
}

static void socket_unwatch(struct loop_socket *s)
{
    if (s->watching)
        event_del(&s->event);
    s->watching = 0;
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
    struct loop_socket *s = arg;

    if (!s->wanted) {    /* a parked connection was closed by the peer, or speaks out of turn: curl finds out on reuse */
        socket_unwatch(s);
        return;
    }
    run_curl(s->loop, fd, (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static struct loop_socket *socket_get(struct fetch_loop *l, int fd, bool make)
{
    const size_t i = (size_t)fd;
    struct loop_socket *s;

    if (i < l->n_fd && l->by_fd[i])
        return l->by_fd[i];
    if (!make)
        return NULL;
    if (i >= l->n_fd) {
        size_t n = l->n_fd ? l->n_fd : 64;
        struct loop_socket **grown;

        while (n <= i)
            n *= 2;
        grown = realloc(l->by_fd, n * sizeof(*grown));
        if (!grown)
            return NULL;
        memset(grown + l->n_fd, 0, (n - l->n_fd) * sizeof(*grown));
        l->by_fd = grown;
        l->n_fd = n;
    }
    s = l->spare;
    if (s)
        l->spare = s->next;
    else
        s = malloc(sizeof(*s));
    if (!s)
        return NULL;
    *s = (struct loop_socket){ .loop = l, .fd = fd };
    l->by_fd[i] = s;
    return s;
}

static void socket_forget(struct loop_socket *s)
{
    struct fetch_loop *l = s->loop;

    socket_unwatch(s);
    l->by_fd[s->fd] = NULL;
    s->next = l->spare;
    l->spare = s;
}

/* CURLOPT_OPENSOCKETFUNCTION: ours, close-on-exec and non-blocking from birth. */
static curl_socket_t socket_open(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct fetch_loop *l = arg;
    const int fd = socket(a->family, a->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->protocol);
    struct loop_socket *s;

    (void)purpose;
    if (fd < 0)
        return CURL_SOCKET_BAD;
    s = socket_get(l, fd, true);
    if (!s) {
        close(fd);
        return CURL_SOCKET_BAD;
    }
    s->ours = true;
    l->opened++;
    return fd;
}

static int socket_close(void *arg, curl_socket_t fd)
{
    struct loop_socket *s = socket_get(arg, fd, false);

    if (s)
        socket_forget(s);
    return close(fd);
}

/* CURLMOPT_SOCKETFUNCTION */
static int socket_wish(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
    struct fetch_loop *l = arg;
    struct loop_socket *s = socket_get(l, fd, what != CURL_POLL_REMOVE);

    (void)easy;
    (void)unused;
    if (!s)
        return what == CURL_POLL_REMOVE ? 0 : -1;    /* -1: curl fails the transfer */
    s->wanted = (short)((what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0));
    if (what == CURL_POLL_REMOVE) {
        s->wanted = 0;
        if (!s->ours)
            socket_forget(s);
        else if (s->watching != EV_READ)
            socket_unwatch(s);
        return 0;
    }
    if (s->watching == s->wanted)
        return 0;
    socket_unwatch(s);
    if (!s->wanted)
        return 0;    /* CURL_POLL_NONE: a paused transfer */
    event_assign(&s->event, l->base, fd, (short)(s->wanted | EV_PERSIST), on_socket, s);
    if (event_add(&s->event, NULL))
        return -1;
    s->watching = s->wanted;
    return 0;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct fetch_loop *l = arg;

    (void)fd;
    (void)what;
    l->in_timer = true;
    run_curl(l, CURL_SOCKET_TIMEOUT, 0);
    l->in_timer = false;
}

/* CURLMOPT_TIMERFUNCTION. Curl forbids socket_action from in here, and most wishes are for "at once": then the event is
 * made active without a trip through the heap. Not when the timer's own run asks: an active event runs in the same
 * pass, so one fast download would keep the loop from ever looking at its other descriptors. */
static int timer_wish(CURLM *multi, long timeout_ms, void *arg)
{
    struct fetch_loop *l = arg;
    const struct timeval tv = { timeout_ms / 1000, (timeout_ms % 1000) * 1000 };

    (void)multi;
    if (timeout_ms < 0)
        event_del(&l->timer);
    else if (timeout_ms == 0 && !l->in_timer)
        event_active(&l->timer, EV_TIMEOUT, 1);
    else
        event_add(&l->timer, &tv);
    return 0;
}

bool fetch_loop_init(struct fetch_loop *l, struct event_base *base, void (*after)(void *ctx), void *ctx)
{
    *l = (struct fetch_loop){ .base = base, .after = after, .ctx = ctx };
    event_assign(&l->timer, base, -1, 0, on_timer, l);
    l->multi = curl_multi_init();
    if (!l->multi)
        return false;
    curl_multi_setopt(l->multi, CURLMOPT_SOCKETFUNCTION, socket_wish);
    curl_multi_setopt(l->multi, CURLMOPT_SOCKETDATA, l);
    curl_multi_setopt(l->multi, CURLMOPT_TIMERFUNCTION, timer_wish);
    curl_multi_setopt(l->multi, CURLMOPT_TIMERDATA, l);
    return true;
}

void fetch_loop_free(struct fetch_loop *l)
{
    l->depth++;    /* nothing is told any more */
    curl_multi_cleanup(l->multi);    /* closes the kept connections, by socket_close */
    event_del(&l->timer);
    for (size_t i = 0; i < l->n_fd; i++)
        if (l->by_fd[i])
            socket_forget(l->by_fd[i]);
    while (l->spare) {
        struct loop_socket *s = l->spare;

        l->spare = s->next;
        free(s);
    }
    free(l->by_fd);
    *l = (struct fetch_loop){ 0 };
}

void fetch_loop_adopt(struct fetch_loop *l, CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, socket_open);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, l);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, socket_close);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, l);
}
