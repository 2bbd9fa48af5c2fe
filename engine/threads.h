/* threads.h - a team of threads that share out loops. Who does which piece never changes a result.
 *
 * One caller at a time; it works too. Between calls the others spin for some microseconds, then sleep. */
#ifndef TOLLGATE_ENGINE_THREADS_H
#define TOLLGATE_ENGINE_THREADS_H

struct team;

/* Does pieces begin..end-1; `thread` is 0..team_size-1, for scratch memory. */
typedef void (*team_fn)(void *arg, int begin, int end, int thread);

/* `n` threads in all, the caller included (1: no thread is started). NULL: no memory, or no thread to be had. */
struct team *team_new(int n);
void team_free(struct team *t);
int team_size(const struct team *t);
/* fn over 0..n-1, each piece once, in runs of at most `grain`; returns when all are done. */
void team_run(struct team *t, team_fn fn, void *arg, int n, int grain);

#endif
