/* engine.h - the bundled engine as supervised child processes: one `tollgate-engine serve` a model.
 *
 * Lives on the housekeeper's event base and blocks nobody: a child is spawned with an empty environment, stdin from
 * /dev/null, its output on our stderr; its end is seen through a pidfd; it is restarted after 0.2 s, doubling to 10 s
 * (back to 0.2 s once it has been ready for a minute). Ready means that GET /health on its socket says 200. Workers never
 * wait for it: they dial its socket like any upstream, and a dead or stopped child is a transport failure to them. */
#ifndef TOLLGATE_GATEWAY_UPSTREAM_ENGINE_H
#define TOLLGATE_GATEWAY_UPSTREAM_ENGINE_H

#include "base/problem.h"
#include "base/span.h"

struct event_base;
struct engines;
struct engine_child;

struct engines_options {
    const char *program;         /* NULL: TOLLGATE_ENGINE in the environment, beside our own binary, then $PATH */
    const char *socket_dir;      /* a folder is made in it, mode 0700; NULL: $XDG_RUNTIME_DIR, then the temp folder */
    int64_t backoff_ms, backoff_max_ms;    /* 0: 200, 10000 */
    int64_t stop_ms;             /* from SIGTERM to SIGKILL; 0: 5000 */
    int64_t probe_ms;            /* between readiness probes; 0: 100 */
};

/* What a config asks for. Two equal ones (all fields) are the same child. */
struct engine_want {
    const char *provider, *model;    /* names */
    const char *dir;                 /* of the weights */
    const char *device;              /* "auto", "cpu", "cuda" */
    int threads, slots, context;     /* 0: the engine chooses */
};

enum engine_state { ENGINE_STARTING, ENGINE_READY, ENGINE_DOWN /* waits for its restart */, ENGINE_STOPPED };

/* NULL with a problem when there is no program or no folder for sockets. `o` may be NULL. */
struct engines *engines_new(struct event_base *base, const struct engines_options *o, struct problems *ps);
/* SIGTERM to all, SIGKILL to those that are still there after stop_ms; waits for them (call it last). */
void engines_free(struct engines *e);

/* The child for `w`, started if it does not run yet. Loop thread of `base`, or before it runs. NULL: no memory, or a
 * socket path that is too long. The pointer lives as long as `e`. */
struct engine_child *engines_want(struct engines *e, const struct engine_want *w);
/* The config that wanted them is in force: children that it did not want (since the last sweep or unwant) are stopped,
 * after `grace_ms` for the requests that still use them. Also to be called at the start. */
void engines_sweep(struct engines *e, int64_t grace_ms);
/* That config was not taken: what it wanted beyond the one in force is stopped. */
void engines_unwant(struct engines *e);

/* Every child of the config in force is ready. Loop thread of `base`. */
bool engines_are_ready(const struct engines *e);

/* Any thread. */
const char *engine_socket(const struct engine_child *c);    /* "/run/user/1000/tollgate-sockets-x/1.sock" */
enum engine_state engine_state(const struct engine_child *c);
int engine_pid(const struct engine_child *c);               /* 0 when there is none */
unsigned engine_starts(const struct engine_child *c);       /* how often it was started */

#endif
