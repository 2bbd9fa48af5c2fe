/* sockets.h - the folder in which the engine's children have their sockets: made at the start, removed at the end, and by a
 * later start where the process died before its end. */
#ifndef TOLLGATE_GATEWAY_UPSTREAM_SOCKETS_H
#define TOLLGATE_GATEWAY_UPSTREAM_SOCKETS_H

#include <stdbool.h>

struct sockets {
    char *path;    /* "/run/user/1000/tollgate-sockets-k3Rt9x", mode 0700; owned */
    int fd;        /* of the folder, locked as long as we live: whoever sweeps sees by it that this one is in use */
};

/* Removes what dead processes of this user have left in `under`, and makes a folder there. False: errno says why not. */
bool sockets_make(struct sockets *s, const char *under);
/* With the sockets in it. Legal for one that is all zeroes. */
void sockets_remove(struct sockets *s);

#endif
