/* mock_run.h - a mock_upstream of one's own for a test in C: started, asked, ended. */
#ifndef TOLLGATE_TESTS_MOCK_RUN_H
#define TOLLGATE_TESTS_MOCK_RUN_H

#include <sys/types.h>

#include "base/buf.h"

#define MOCK_LISTENS 4

struct mock_run {
    pid_t pid;
    char listens[MOCK_LISTENS][128];    /* "127.0.0.1:40123", "unix:/x/y.sock", in the order of the arguments */
    int n_listens;
};

/* Runs $top_builddir/tests/mock_upstream (or ./tests/mock_upstream) with these arguments (a NULL ends them) and waits until
 * it is ready. It ends with us. False with a message on stderr. */
bool mock_run_start(struct mock_run *m, const char *const *args);
void mock_run_stop(struct mock_run *m);

/* A control request by a blocking socket to the first listen, which is plain TCP: the answer's body into `out`
 * (initialised). False when it fails. */
bool mock_run_ask(const struct mock_run *m, const char *method, const char *path, struct span body, struct buf *out);
/* One number of /mock/stats ("requests"); -1 when it fails. */
long mock_run_stat(const struct mock_run *m, const char *name);

#endif
