/* listen.h - a listening socket for this user or this machine, and nobody else. */
#ifndef TOLLGATE_ENGINE_LISTEN_H
#define TOLLGATE_ENGINE_LISTEN_H

#include "base/problem.h"

/* "unix:PATH": mode 0600; a dead socket of an earlier run is removed, a live one is left alone. "127.0.0.1:PORT" or
 * "[::1]:PORT": port 0 takes any, *port says which (0 for a unix socket). Not blocking, closed on exec, bound but not
 * yet listening. -1 with a problem. */
int listen_open(const char *address, int *port, struct problems *ps);

#endif
