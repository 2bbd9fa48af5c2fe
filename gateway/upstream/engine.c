/* engine.c - children of ours: started, probed, restarted, stopped.
 *
 *                 spawned             /health says 200
 *   (new) ------> STARTING ---------------------------> READY
 *     ^              |  ended                             |  ended
 *     |              v                                    v
 *     +---- wait -- DOWN <--------------------------------+
 *   swept, or engines_free: SIGTERM, then SIGKILL, then STOPPED; wanted again: started again.
 *
 * Everything but the three atomics belongs to the thread of the event base. Owns the folder of sockets. Does not
 * judge a child that runs and is silent (stopped, looping): its callers see time-outs, their breaker opens. */
#include "gateway/upstream/engine.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "gateway/upstream/sockets.h"

#define PROBE_PATIENCE_MS 2000
#define STEADY_MS 60000            /* ready that long: the next fault starts with the short wait again */
#define SOCKET_PATH_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

struct engine_child {
    struct engine_child *next;
    struct engines *engines;
    char *provider, *model, *dir, *device;
    int threads, slots, context;
    char *socket;
    _Atomic int state;             /* enum engine_state */
    _Atomic int pid;
    atomic_uint starts;
    bool wanted;                   /* by a config that is being loaded */
    bool keep;                     /* by the one in force */
    bool stopping;
    int pidfd;                     /* -1: none */
    struct event ended;            /* on pidfd */
    struct event timer;            /* STARTING: next probe; DOWN: restart; stopping: SIGKILL */
    struct event grace;            /* swept: stop then */
    int64_t grace_until_ms;        /* by the last sweep that did not want it any more */
    int probe_fd;                  /* -1: no probe under way */
    struct event probe;
    char probe_text[16];           /* the beginning of the answer */
    size_t probe_n;
    bool probe_sent;
    int64_t backoff_ms, started_ms, ready_ms;
};

struct engines {
    struct event_base *base;
    char *program;
    struct sockets sockets;
    int64_t backoff_ms, backoff_max_ms, stop_ms, probe_ms;
    struct engine_child *children;
    unsigned next_id;
};

static void child_start(struct engine_child *c);

static void arm(struct event *e, int64_t ms)
{
    const struct timeval tv = { ms / 1000, (ms % 1000) * 1000 };

    event_add(e, &tv);
}

/* ---- probing ---- */

static void probe_end(struct engine_child *c)
{
    if (c->probe_fd < 0)
        return;
    event_del(&c->probe);
    close(c->probe_fd);
    c->probe_fd = -1;
}

static void probe_failed(struct engine_child *c)
{
    probe_end(c);
    arm(&c->timer, c->engines->probe_ms);
}

static void on_probe(evutil_socket_t fd, short what, void *arg)
{
    static const char request[] = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    struct engine_child *c = arg;
    ssize_t n;

    if (what & EV_TIMEOUT) {
        probe_failed(c);
        return;
    }
    if (!c->probe_sent) {
        n = send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL);
        if (n != sizeof(request) - 1) {    /* not yet listening, or a full queue */
            probe_failed(c);
            return;
        }
        c->probe_sent = true;
        event_del(&c->probe);
        event_assign(&c->probe, c->engines->base, fd, EV_READ | EV_PERSIST, on_probe, c);
        arm(&c->probe, PROBE_PATIENCE_MS);
        return;
    }
    n = recv(fd, c->probe_text + c->probe_n, sizeof(c->probe_text) - c->probe_n, 0);
    if (n <= 0) {
        probe_failed(c);
        return;
    }
    c->probe_n += (size_t)n;
    if (c->probe_n < 12)    /* "HTTP/1.1 200" */
        return;
    if (memcmp(c->probe_text, "HTTP/1.", 7) != 0 || memcmp(c->probe_text + 8, " 200", 4) != 0) {
        probe_failed(c);    /* 503 while it loads */
        return;
    }
    probe_end(c);
    event_del(&c->timer);
    c->ready_ms = clock_mono_ms();
    atomic_store(&c->state, ENGINE_READY);
    log_info("engine %s/%s: ready after %lld ms, pid %d", c->provider, c->model,
             (long long)(c->ready_ms - c->started_ms), atomic_load(&c->pid));
}

static void probe_begin(struct engine_child *c)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    memcpy(a.sun_path, c->socket, strlen(c->socket) + 1);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a))) {
        if (fd >= 0)
            close(fd);
        arm(&c->timer, c->engines->probe_ms);
        return;
    }
    c->probe_fd = fd;
    c->probe_n = 0;
    c->probe_sent = false;
    event_assign(&c->probe, c->engines->base, fd, EV_WRITE, on_probe, c);
    arm(&c->probe, PROBE_PATIENCE_MS);
}

/* ---- a child's life ---- */

static void log_end(const struct engine_child *c, int status, bool wanted)
{
    const enum log_level level = wanted ? LOG_WARN : LOG_INFO;

    if (WIFSIGNALED(status))
        log_line(level, "engine %s/%s: ended by signal %d", c->provider, c->model, WTERMSIG(status));
    else
        log_line(level, "engine %s/%s: ended with status %d", c->provider, c->model, WEXITSTATUS(status));
}

static void child_wait_and_restart(struct engine_child *c)
{
    atomic_store(&c->state, ENGINE_DOWN);
    arm(&c->timer, c->backoff_ms);
    c->backoff_ms = c->backoff_ms * 2 < c->engines->backoff_max_ms ? c->backoff_ms * 2 : c->engines->backoff_max_ms;
}

/* It is reaped: nothing of it is left but its name. */
static void child_gone(struct engine_child *c, int status)
{
    const bool steady = atomic_load(&c->state) == ENGINE_READY && clock_mono_ms() - c->ready_ms >= STEADY_MS;

    log_end(c, status, !c->stopping);
    if (c->pidfd >= 0) {
        event_del(&c->ended);
        close(c->pidfd);
        c->pidfd = -1;
    }
    event_del(&c->timer);
    probe_end(c);
    atomic_store(&c->pid, 0);
    unlink(c->socket);
    if (steady)
        c->backoff_ms = c->engines->backoff_ms;
    if (c->stopping && !c->keep && !c->wanted) {
        c->stopping = false;
        atomic_store(&c->state, ENGINE_STOPPED);
        return;
    }
    c->stopping = false;
    child_wait_and_restart(c);
}

static bool child_reap(struct engine_child *c)
{
    int status;

    if (waitpid(atomic_load(&c->pid), &status, WNOHANG) != atomic_load(&c->pid))
        return false;
    child_gone(c, status);
    return true;
}

static void on_ended(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    child_reap(arg);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct engine_child *c = arg;

    (void)fd;
    (void)what;
    if (c->stopping) {
        log_warn("engine %s/%s: does not end, killed", c->provider, c->model);
        kill(atomic_load(&c->pid), SIGKILL);
        return;
    }
    if (atomic_load(&c->state) == ENGINE_DOWN)
        child_start(c);
    else if (atomic_load(&c->state) == ENGINE_STARTING)
        probe_begin(c);
}

static void child_stop(struct engine_child *c)
{
    event_del(&c->grace);
    if (c->stopping)
        return;
    event_del(&c->timer);
    probe_end(c);
    if (!atomic_load(&c->pid)) {
        atomic_store(&c->state, ENGINE_STOPPED);
        return;
    }
    c->stopping = true;
    kill(atomic_load(&c->pid), SIGTERM);
    kill(atomic_load(&c->pid), SIGCONT);    /* one that was stopped hears it too */
    arm(&c->timer, c->engines->stop_ms);
}

static void on_grace(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    child_stop(arg);
}

#define ARGS_MAX 18

/* The command line, in `text` and `argv`; the numbers only where the config says them. */
static bool child_argv(const struct engine_child *c, char *text, size_t room, char *argv[ARGS_MAX])
{
    const struct { const char *name; int value; } numbers[] = {
        { "--threads", c->threads }, { "--slots", c->slots }, { "--context", c->context },
    };
    size_t n = 0, at = 0;

#define ARG(...) do { \
        const int len_ = snprintf(text + at, room - at, __VA_ARGS__); \
        if (len_ < 0 || (size_t)len_ >= room - at) \
            return false; \
        argv[n++] = text + at; \
        at += (size_t)len_ + 1; \
    } while (0)

    ARG("%s", c->engines->program);
    ARG("serve");
    ARG("--model");
    ARG("%s=%s", c->model, c->dir);
    ARG("--listen");
    ARG("unix:%s", c->socket);
    ARG("--exit-with-parent");
    if (strcmp(c->device, "auto") != 0) {
        ARG("--device");
        ARG("%s", c->device);
    }
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (numbers[i].value <= 0)
            continue;
        ARG("%s", numbers[i].name);
        ARG("%d", numbers[i].value);
    }
#undef ARG
    argv[n] = NULL;
    return true;
}

/* Own process group, so that a Ctrl-C meant for us lets requests drain; default signals; no environment; no descriptor
 * but the three. posix_spawn shares our memory until the exec: no copy of a large process, no locks taken. */
static int spawn(const struct engine_child *c, pid_t *pid)
{
    char text[3 * 4096], *argv[ARGS_MAX], *envp[] = { NULL };
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, all;
    int rc;

    if (!child_argv(c, text, sizeof(text), argv))
        return E2BIG;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, 2, 1);
    posix_spawn_file_actions_addclosefrom_np(&files, 3);
    rc = posix_spawn(pid, argv[0], &files, &attr, argv, envp);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    return rc;
}

static void child_start(struct engine_child *c)
{
    pid_t pid = 0;
    const int rc = spawn(c, &pid);

    atomic_fetch_add(&c->starts, 1);
    if (rc) {
        log_error("engine %s/%s: cannot start %s: %s", c->provider, c->model, c->engines->program, strerror(rc));
        child_wait_and_restart(c);
        return;
    }
    atomic_store(&c->pid, pid);
    atomic_store(&c->state, ENGINE_STARTING);
    c->started_ms = clock_mono_ms();
    c->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);    /* close-on-exec by itself; Linux 5.3 */
    if (c->pidfd < 0) {
        log_error("engine %s/%s: pidfd_open: %s", c->provider, c->model, strerror(errno));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        atomic_store(&c->pid, 0);
        child_wait_and_restart(c);
        return;
    }
    event_assign(&c->ended, c->engines->base, c->pidfd, EV_READ | EV_PERSIST, on_ended, c);
    event_add(&c->ended, NULL);
    arm(&c->timer, c->engines->probe_ms);
}

/* ---- the public part ---- */

static bool same(const struct engine_child *c, const struct engine_want *w)
{
    return strcmp(c->provider, w->provider) == 0 && strcmp(c->model, w->model) == 0 && strcmp(c->dir, w->dir) == 0 &&
           strcmp(c->device, w->device ? w->device : "auto") == 0 && c->threads == w->threads && c->slots == w->slots &&
           c->context == w->context;
}

static void child_free(struct engine_child *c)
{
    free(c->provider);
    free(c->model);
    free(c->dir);
    free(c->device);
    free(c->socket);
    free(c);
}

static struct engine_child *child_new(struct engines *e, const struct engine_want *w)
{
    struct engine_child *c = calloc(1, sizeof(*c));
    char path[512];

    if (!c)
        return NULL;
    snprintf(path, sizeof(path), "%s/%u.sock", e->sockets.path, ++e->next_id);
    c->engines = e;
    c->provider = strdup(w->provider);
    c->model = strdup(w->model);
    c->dir = strdup(w->dir);
    c->device = strdup(w->device ? w->device : "auto");
    c->socket = strdup(path);
    c->threads = w->threads;
    c->slots = w->slots;
    c->context = w->context;
    c->pidfd = c->probe_fd = -1;
    c->backoff_ms = e->backoff_ms;
    atomic_init(&c->state, ENGINE_STOPPED);
    event_assign(&c->timer, e->base, -1, 0, on_timer, c);
    event_assign(&c->grace, e->base, -1, 0, on_grace, c);
    if (!c->provider || !c->model || !c->dir || !c->device || !c->socket || strlen(path) > SOCKET_PATH_MAX) {
        child_free(c);
        return NULL;
    }
    return c;
}

struct engine_child *engines_want(struct engines *e, const struct engine_want *w)
{
    struct engine_child *c, **at = &e->children;

    while (*at && !same(*at, w))
        at = &(*at)->next;
    c = *at;
    if (!c)
        c = *at = child_new(e, w);
    if (!c)
        return NULL;
    c->wanted = true;
    event_del(&c->grace);
    if (atomic_load(&c->state) == ENGINE_STOPPED && !c->stopping) {
        c->backoff_ms = e->backoff_ms;
        child_start(c);
    }
    return c;
}

/* Lets it run until then, unless it is wanted again. */
static void child_let_go(struct engine_child *c)
{
    const int64_t left = c->grace_until_ms - clock_mono_ms();

    if (atomic_load(&c->state) != ENGINE_STOPPED && !c->stopping && !event_pending(&c->grace, EV_TIMEOUT, NULL))
        arm(&c->grace, left > 0 ? left : 0);
}

void engines_sweep(struct engines *e, int64_t grace_ms)
{
    for (struct engine_child *c = e->children; c; c = c->next) {
        if (c->keep && !c->wanted)
            c->grace_until_ms = clock_mono_ms() + grace_ms;
        c->keep = c->wanted;
        c->wanted = false;
        if (!c->keep)
            child_let_go(c);
    }
}

void engines_unwant(struct engines *e)
{
    for (struct engine_child *c = e->children; c; c = c->next) {
        c->wanted = false;
        if (!c->keep)
            child_let_go(c);
    }
}

const char *engine_socket(const struct engine_child *c) { return c->socket; }
enum engine_state engine_state(const struct engine_child *c) { return (enum engine_state)atomic_load(&c->state); }
bool engines_are_ready(const struct engines *e)
{
    for (const struct engine_child *c = e->children; c; c = c->next)
        if (c->keep && engine_state(c) != ENGINE_READY)
            return false;
    return true;
}

int engine_pid(const struct engine_child *c) { return atomic_load(&c->pid); }
unsigned engine_starts(const struct engine_child *c) { return atomic_load(&c->starts); }

static char *program_in(const char *dir, size_t n)
{
    char path[4096];

    if (snprintf(path, sizeof(path), "%.*s/tollgate-engine", (int)n, dir) >= (int)sizeof(path) || access(path, X_OK))
        return NULL;
    return strdup(path);
}

static char *find_program(const struct engines_options *o)
{
    const char *given = o->program ? o->program : getenv("TOLLGATE_ENGINE");
    const char *path = getenv("PATH");
    char self[4096], *found = NULL;
    ssize_t n;

    if (given)
        return access(given, X_OK) ? NULL : strdup(given);
    n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    while (n > 0 && self[n - 1] != '/')
        n--;
    if (n > 1)
        found = program_in(self, (size_t)n - 1);
    while (!found && path && *path) {
        const size_t len = strcspn(path, ":");

        if (len)
            found = program_in(path, len);
        path += len + (path[len] == ':');
    }
    return found;
}

static bool make_sockets(struct sockets *s, const struct engines_options *o)
{
    const char *under = o->socket_dir ? o->socket_dir : getenv("XDG_RUNTIME_DIR");

    if (!under || access(under, W_OK))
        under = o->socket_dir ? o->socket_dir : getenv("TMPDIR");
    return sockets_make(s, under ? under : "/tmp");
}

struct engines *engines_new(struct event_base *base, const struct engines_options *o, struct problems *ps)
{
    static const struct engines_options defaults = { 0 };
    struct engines *e = calloc(1, sizeof(*e));

    if (!e)
        return NULL;
    if (!o)
        o = &defaults;
    e->base = base;
    e->backoff_ms = o->backoff_ms > 0 ? o->backoff_ms : 200;
    e->backoff_max_ms = o->backoff_max_ms > 0 ? o->backoff_max_ms : 10000;
    e->stop_ms = o->stop_ms > 0 ? o->stop_ms : 5000;
    e->probe_ms = o->probe_ms > 0 ? o->probe_ms : 100;
    e->program = find_program(o);
    if (!e->program) {
        problem_add(ps, PROBLEM_ERROR, "", "build it, or name it in the environment variable TOLLGATE_ENGINE",
                    "there is no program tollgate-engine beside tollgate or in $PATH, and a provider has an \"engine\"");
        engines_free(e);
        return NULL;
    }
    if (!make_sockets(&e->sockets, o)) {
        problem_error(ps, "", "cannot make a folder for the engine's sockets: %s", strerror(errno));
        engines_free(e);
        return NULL;
    }
    return e;
}

/* Waits until every child is reaped or `ms` are over; the loop does not run any more. */
static bool wait_all(struct engines *e, int64_t ms)
{
    const int64_t until = clock_mono_ms() + ms;

    for (struct engine_child *c = e->children; c; c = c->next) {
        while (atomic_load(&c->pid) && !child_reap(c)) {
            const int64_t left = until - clock_mono_ms();
            struct pollfd p = { .fd = c->pidfd, .events = POLLIN };

            if (left <= 0)
                return false;
            poll(&p, 1, (int)left);
        }
    }
    return true;
}

void engines_free(struct engines *e)
{
    if (!e)
        return;
    for (struct engine_child *c = e->children; c; c = c->next) {
        c->keep = c->wanted = false;
        child_stop(c);
    }
    if (!wait_all(e, e->stop_ms)) {
        for (struct engine_child *c = e->children; c; c = c->next)
            if (atomic_load(&c->pid))
                kill(atomic_load(&c->pid), SIGKILL);
        wait_all(e, 10000);
    }
    while (e->children) {
        struct engine_child *c = e->children;

        e->children = c->next;
        event_del(&c->timer);
        event_del(&c->grace);
        child_free(c);
    }
    sockets_remove(&e->sockets);
    free(e->program);
    free(e);
}
