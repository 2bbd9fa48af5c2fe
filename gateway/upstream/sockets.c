/* sockets.c - see sockets.h. Touches nothing but folders of its own name and user, and in them nothing but sockets. */
#include "gateway/upstream/sockets.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "tollgate-sockets-"
#define TRIES 10

static int open_folder(int at, const char *name)
{
    return openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* `fd` is ours to use and stays open. */
static void remove_sockets(int fd)
{
    const int own = dup(fd);
    DIR *d = own < 0 ? NULL : fdopendir(own);
    const struct dirent *e;
    struct stat st;

    if (!d) {
        if (own >= 0)
            close(own);
        return;
    }
    while ((e = readdir(d)))
        if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(st.st_mode))
            unlinkat(fd, e->d_name, 0);
    closedir(d);
}

static void sweep_one(int at, const char *name)
{
    const int fd = open_folder(at, name);
    struct stat st;

    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && flock(fd, LOCK_EX | LOCK_NB) == 0) {
        remove_sockets(fd);
        unlinkat(at, name, AT_REMOVEDIR);    /* fails where there is something else in it: it stays */
    }
    close(fd);
}

static void sweep(const char *under)
{
    DIR *d = opendir(under);
    const struct dirent *e;

    if (!d)
        return;
    while ((e = readdir(d)))
        if (strncmp(e->d_name, NAME, strlen(NAME)) == 0)
            sweep_one(dirfd(d), e->d_name);
    closedir(d);
}

/* Another start may sweep a new folder away before it is locked. */
static bool is_in_place(const struct sockets *s)
{
    struct stat ours, there;

    return fstat(s->fd, &ours) == 0 && stat(s->path, &there) == 0 && ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

static bool make_one(struct sockets *s, const char *under)
{
    char path[512];

    errno = ENAMETOOLONG;
    if (snprintf(path, sizeof path, "%s/" NAME "XXXXXX", under) >= (int)sizeof path || !mkdtemp(path))    /* makes it 0700 */
        return false;
    s->path = strdup(path);
    s->fd = s->path ? open_folder(AT_FDCWD, path) : -1;
    if (s->fd >= 0)
        flock(s->fd, LOCK_EX);    /* where there are no locks nobody sweeps either */
    return s->path != NULL;
}

bool sockets_make(struct sockets *s, const char *under)
{
    sweep(under);
    for (int i = 0; i < TRIES; i++) {
        *s = (struct sockets){ .fd = -1 };
        if (!make_one(s, under))
            return false;
        if (is_in_place(s))
            return true;
        sockets_remove(s);
    }
    return false;
}

void sockets_remove(struct sockets *s)
{
    if (s->path && s->fd >= 0) {
        remove_sockets(s->fd);
        close(s->fd);
    }
    if (s->path)
        rmdir(s->path);
    free(s->path);
    *s = (struct sockets){ .fd = -1 };
}
