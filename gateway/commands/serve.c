/* serve.c - the process: the housekeeper on the main thread (signals, reload, engines, admin), the workers beside it.
 *
 * Start: config, claim of the ledger, snapshot with its engines, ledger, workers, ready. SIGHUP builds a new snapshot and
 * publishes it, or says why not and keeps the old one. SIGTERM and SIGINT drain: no new connections, requests finish, at most limits.drain_ms; a second
 * one ends at once. Everything that must block is here or in the ledger's thread, never in a worker. */
#include <event2/event.h>
#include <event2/thread.h>
#include <getopt.h>
#include <locale.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "gateway/commands/cli.h"
#include "gateway/commands/commands.h"
#include "gateway/request/tags.h"
#include "gateway/request/memory.h"
#include "gateway/server/admin.h"
#include "gateway/server/worker.h"

#define LOOK_MS 50    /* while draining: how often it looks whether all are done */
#define LEDGER_GRACE_MS 10000
#define ENGINES_WAIT_MS 3000

struct house {
    const char *config_path;
    struct gateway gw;
    struct snapshot_parts parts;
    struct event_base *base;
    struct event *hup, *term, *intr, *look;
    struct admin *admin;
    int64_t drain_until_ms;
    int claim;                /* the ledger's, until it is open; 0: none */
};

static void say_problems(const struct problems *ps)
{
    for (size_t i = 0; i < ps->n; i++) {
        const struct problem *p = &ps->list[i];

        log_line(p->weight == PROBLEM_ERROR ? LOG_ERROR : LOG_WARN, "%s:%d: %s%s%s%s%s%s", p->file, p->line, p->pointer,
                 p->pointer[0] ? ": " : "", p->text, p->hint ? " (" : "", p->hint ? p->hint : "", p->hint ? ")" : "");
    }
}

/* ---- snapshots ---- */

/* An engine of ours needs its supervisor, which must be there before the snapshot binds its sockets. */
static bool want_engines(struct house *h, struct problems *ps)
{
    struct problems ignored;
    struct config *c;
    bool wanted = false;

    if (h->parts.engines)
        return true;
    problems_init(&ignored);
    c = config_load(h->config_path, &ignored);
    problems_free(&ignored);
    for (size_t i = 0; c && i < c->n_providers; i++)
        wanted |= c->providers[i].n_engine_models > 0;
    config_free(c);
    ps->file = h->config_path;
    if (wanted)
        h->parts.engines = engines_new(h->base, NULL, ps);
    return !wanted || h->parts.engines;
}

static struct snapshot *build(struct house *h, struct problems *ps)
{
    return want_engines(h, ps) ? snapshot_load(h->config_path, &h->parts, ps) : NULL;
}

static bool same_listeners(struct config *old, struct config *new)
{
    bool same = old->n_listeners == new->n_listeners;

    for (size_t i = 0; same && i < old->n_listeners; i++) {
        struct config_address *a = &old->listeners[i].address, *b = &new->listeners[i].address;

        same = strcmp(a->host, b->host) == 0 && (b->port == 0 || a->port == b->port) &&
               old->listeners[i].tls == new->listeners[i].tls;
        b->port = a->port;
    }
    return same;
}

static bool same_admin(struct config *old, struct config *new)
{
    if (old->has_admin != new->has_admin || !old->has_admin)
        return old->has_admin == new->has_admin;
    return strcmp(old->admin.host, new->admin.host) == 0 && (new->admin.port == 0 || old->admin.port == new->admin.port);
}

/* The member of the config that has changed and that a reload cannot change; NULL: none. */
static const char *fixed_member(struct config *old, struct config *new)
{
    if (!same_listeners(old, new))
        return "listen";
    if (old->workers != new->workers)
        return "workers";
    if (!same_admin(old, new))
        return "admin";
    if (strcmp(old->ledger_sqlite, new->ledger_sqlite) != 0 || old->durability_power != new->durability_power)
        return "ledger";
    return NULL;
}

static bool take_book(struct house *h, struct snapshot *s)
{
    return ledger_use_book(h->gw.ledger, (struct span){ s->book_text, s->book_bytes }, s->book_digest) == LEDGER_OK;
}

static void publish(struct house *h, struct snapshot *s)
{
    struct snapshot *old;

    pthread_mutex_lock(&h->gw.snapshot_lock);
    old = h->gw.snapshot;
    h->gw.snapshot = s;
    pthread_mutex_unlock(&h->gw.snapshot_lock);
    snapshot_unref(old);
    for (int i = 0; i < h->gw.n_workers; i++)
        worker_wake(&h->gw.workers[i]);
}

static void on_hup(evutil_socket_t fd, short what, void *arg)
{
    struct house *h = arg;
    struct problems ps;
    struct snapshot *s;
    const char *fixed;

    (void)fd;
    (void)what;
    problems_init(&ps);
    s = build(h, &ps);
    say_problems(&ps);
    fixed = s ? fixed_member(h->gw.snapshot->config, s->config) : NULL;
    if (fixed) {
        log_error("\"%s\" has changed: that takes a restart", fixed);
    } else if (s && take_book(h, s)) {
        publish(h, s);
        s = NULL;
        atomic_fetch_add(&h->gw.reloads, 1);
        if (h->parts.engines)
            engines_sweep(h->parts.engines, h->gw.snapshot->config->limits.answer_ms);
        log_info("reloaded %s", h->config_path);
        problems_free(&ps);
        return;
    }
    snapshot_unref(s);
    if (h->parts.engines)
        engines_unwant(h->parts.engines);
    atomic_fetch_add(&h->gw.reloads_failed, 1);
    log_error("%s was not reloaded: what ran before goes on", h->config_path);
    problems_free(&ps);
}

/* ---- the end ---- */

static size_t still_running(const struct house *h)
{
    size_t n = 0;

    for (int i = 0; i < h->gw.n_workers; i++)
        n += atomic_load(&h->gw.workers[i].n_requests);
    return n;
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
    struct house *h = arg;
    const struct timeval again = { .tv_usec = LOOK_MS * 1000 };
    const size_t running = still_running(h);

    (void)fd;
    (void)what;
    if (running && clock_mono_ms() < h->drain_until_ms) {
        event_add(h->look, &again);
        return;
    }
    if (running)
        log_warn("%zu requests did not end in time: they are cut and settled", running);
    event_base_loopbreak(h->base);
}

static void on_term(evutil_socket_t fd, short what, void *arg)
{
    struct house *h = arg;
    const int64_t ms = h->gw.snapshot->config->limits.drain_ms;
    const struct timeval soon = { .tv_usec = LOOK_MS * 1000 };

    (void)fd;
    (void)what;
    if (atomic_exchange(&h->gw.draining, true)) {
        event_base_loopbreak(h->base);    /* the second one */
        return;
    }
    log_info("draining: %zu requests are running", still_running(h));
    h->drain_until_ms = ms ? clock_mono_ms() + ms : INT64_MAX;
    for (int i = 0; i < h->gw.n_workers; i++)
        worker_wake(&h->gw.workers[i]);
    event_add(h->look, &soon);
}

static void stop_workers(struct house *h)
{
    for (int i = 0; i < h->gw.n_workers; i++) {
        atomic_store(&h->gw.workers[i].stop, true);
        worker_wake(&h->gw.workers[i]);
    }
    for (int i = 0; i < h->gw.n_workers; i++)
        pthread_join(h->gw.workers[i].thread, NULL);
    offload_stop(h->gw.offload);
}

/* ---- the start ---- */

/* A signal that comes before start_house can hear it waits for that, rather than ending the process. */
static void hold_signals(int how)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(how, &set, NULL);
}

/* Streams are descriptors: take what the system lets us have. */
static void raise_descriptors(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
}

/* Before the engines: who finds the ledger taken shall not have started them. Faults of the config are told by build. */
static bool claim_ledger(struct house *h, struct problems *ps)
{
    struct problems ignored;
    struct config *c;

    problems_init(&ignored);
    c = config_load(h->config_path, &ignored);
    problems_free(&ignored);
    if (c)
        h->claim = ledger_claim(c->ledger_sqlite, ps);
    config_free(c);
    return h->claim >= 0;
}

static bool start_ledger(struct house *h, struct problems *ps)
{
    const struct config *c = h->gw.snapshot->config;
    const struct ledger_options o = {
        .path = c->ledger_sqlite, .durability_power = c->durability_power, .keys = h->gw.keys,
        .budgets = h->gw.budgets, .book = { h->gw.snapshot->book_text, h->gw.snapshot->book_bytes },
        .claim = h->claim,
    };

    h->claim = 0;
    h->gw.ledger = ledger_open(&o, ps);
    if (!h->gw.ledger || !take_book(h, h->gw.snapshot))
        return false;
    h->gw.reader = reader_new(c->ledger_sqlite);
    if (!h->gw.reader)
        abort();    /* no memory or no thread at start: nothing to serve with */
    return true;
}

static bool start_workers(struct house *h, struct problems *ps)
{
    const int n = h->gw.snapshot->config->workers;

    h->gw.workers = calloc((size_t)n, sizeof *h->gw.workers);
    for (int i = 0; h->gw.workers && i < n; i++) {
        h->gw.n_workers = i + 1;
        if (!worker_init(&h->gw.workers[i], &h->gw, i, ps))
            return false;
    }
    for (int i = 0; i < n; i++)
        if (!worker_start(&h->gw.workers[i]))
            abort();    /* no thread at start: nothing to serve with */
    return true;
}

static bool start_house(struct house *h, struct problems *ps)
{
    h->hup = evsignal_new(h->base, SIGHUP, on_hup, h);
    h->term = evsignal_new(h->base, SIGTERM, on_term, h);
    h->intr = evsignal_new(h->base, SIGINT, on_term, h);
    h->look = evtimer_new(h->base, on_look, h);
    if (!h->hup || !h->term || !h->intr || !h->look)
        return false;
    event_add(h->hup, NULL);
    event_add(h->term, NULL);
    event_add(h->intr, NULL);
    hold_signals(SIG_UNBLOCK);
    if (h->gw.snapshot->config->has_admin)
        h->admin = admin_new(h->base, &h->gw, &h->gw.snapshot->config->admin, ps);
    return !h->gw.snapshot->config->has_admin || h->admin;
}

static void say_ready(const struct house *h)
{
    const struct config *c = h->gw.snapshot->config;

    for (size_t i = 0; i < c->n_listeners; i++)
        log_info("listening on %s://%s:%u with %d workers", c->listeners[i].tls ? "https" : "http",
                 c->listeners[i].address.host, c->listeners[i].address.port, c->workers);
    if (h->admin)
        log_info("metrics at http://%s:%u/metrics", c->admin.host, c->admin.port);
    if (!c->auth_none && keys_count(h->gw.keys) == 0)
        log_warn("there is no key yet: nobody can call. Make one: %s keys create --config %s --team T --name N",
                 cli_program(), h->config_path);
}

static void nothing(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
}

static bool is_to_end(void)
{
    sigset_t set;

    return sigpending(&set) == 0 && (sigismember(&set, SIGTERM) == 1 || sigismember(&set, SIGINT) == 1);
}

/* Small models are there in a tenth of a second, and the first caller should not meet a closed socket. A large one that
 * takes longer is not waited for: until it is ready its steps fail and others serve. */
static void wait_for_engines(struct house *h)
{
    const int64_t until = clock_mono_ms() + ENGINES_WAIT_MS;
    struct event *tick = h->parts.engines ? event_new(h->base, -1, EV_PERSIST, nothing, NULL) : NULL;

    if (!tick)
        return;
    event_add(tick, &(struct timeval){ .tv_usec = 10000 });
    while (!engines_are_ready(h->parts.engines) && clock_mono_ms() < until && !is_to_end())
        event_base_loop(h->base, EVLOOP_ONCE);
    event_free(tick);
}

static bool start(struct house *h, struct problems *ps)
{
    h->gw.keys = keys_new();
    h->gw.budgets = budgets_new();
    h->gw.health = health_new();
    h->gw.tags = tags_new();
    h->gw.memory = memory_new(MEMORY_BYTES_MAX);
    h->gw.offload = offload_new();
    h->parts.keyring = provider_keyring_new();
    h->parts.health = h->gw.health;
    if (!h->base || !h->gw.keys || !h->gw.budgets || !h->gw.health || !h->gw.tags || !h->gw.memory || !h->gw.offload || !h->parts.keyring)
        abort();
    if (!claim_ledger(h, ps))
        return false;
    h->gw.snapshot = build(h, ps);
    if (!h->gw.snapshot)
        return false;
    provider_forget_env(h->parts.keyring);
    if (h->parts.engines)
        engines_sweep(h->parts.engines, 0);
    if (!start_ledger(h, ps))
        return false;
    wait_for_engines(h);
    return start_workers(h, ps) && start_house(h, ps);
}

static void free_house(struct house *h)
{
    for (int i = 0; i < h->gw.n_workers; i++)
        worker_free(&h->gw.workers[i]);
    free(h->gw.workers);
    admin_free(h->admin);
    reader_free(h->gw.reader);
    if (h->claim > 0)
        close(h->claim);
    if (h->gw.ledger)
        ledger_close(h->gw.ledger, LEDGER_GRACE_MS);
    snapshot_unref(h->gw.snapshot);
    if (h->parts.engines)
        engines_free(h->parts.engines);
    provider_keyring_free(h->parts.keyring);
    health_free(h->gw.health);
    tags_free(h->gw.tags);
    memory_free(h->gw.memory);
    offload_free(h->gw.offload);
    keys_free(h->gw.keys);
    budgets_free(h->gw.budgets);
    if (h->hup)
        event_free(h->hup);
    if (h->term)
        event_free(h->term);
    if (h->intr)
        event_free(h->intr);
    if (h->look)
        event_free(h->look);
    event_base_free(h->base);
    libevent_global_shutdown();
}

static const char help[] =
    "usage: tollgate serve [--config FILE] [--debug]\n\n"
    "Runs the gateway, in the foreground, with its log on standard error. SIGTERM and SIGINT let running requests finish,\n"
    "at most limits.drain_ms (30 s); a second one ends it at once. SIGHUP reloads config, policy, prices, certificates\n"
    "and keys of providers; a faulty one changes nothing and is reported in the log.\n\n"
    "  --config FILE   the gateway's config (default: " CONFIG_FILE_DEFAULT ")\n"
    "  --debug         log more\n\n"
    "Exit status: 0 ended by a signal, 1 it could not start, 2 called wrongly.\n";

int command_serve(int argc, char **argv)
{
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' }, { "debug", no_argument, NULL, 'd' }, { 0 },
    };
    struct house h = { .config_path = CONFIG_FILE_DEFAULT };
    struct problems ps;
    int option;
    bool ok;

    if (cli_help(argc, argv, help))
        return 0;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        if (option == 'c')
            h.config_path = optarg;
        else if (option == 'd')
            log_set_level(LOG_DEBUG);
        else
            return cli_wrong_option("serve", argc, argv, option);
    }
    if (optind < argc)
        return cli_wrong("serve", "\"%s\" is one word too many; a config is named by --config", argv[optind]);
    hold_signals(SIG_BLOCK);
    raise_descriptors();
    /* A thread's heap that gives its top back at each lull grows again page by page, a system call each. */
    mallopt(M_TRIM_THRESHOLD, 4 << 20);
    ledger_set_up_process();
    evthread_use_pthreads();
    problems_init(&ps);
    pthread_mutex_init(&h.gw.snapshot_lock, NULL);
    h.gw.started_ms = clock_mono_ms();
    h.base = event_base_new();
    ok = start(&h, &ps);
    problems_print(&ps, stderr);
    problems_free(&ps);
    if (ok) {
        say_ready(&h);
        event_base_dispatch(h.base);
        stop_workers(&h);
        log_info("stopped");
    }
    free_house(&h);
    return ok ? 0 : 1;
}
