/* listen.c - who may connect is decided here, by a file's mode or by loopback: there are no keys behind it. */
#include "engine/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* A socket file that nobody listens at is left over from a run that was killed. */
static bool remove_dead_socket(const struct sockaddr_un *to, struct problems *ps)
{
    struct stat st;
    int fd, live;

    if (lstat(to->sun_path, &st) != 0)
        return true;
    if (!S_ISSOCK(st.st_mode)) {
        problem_error(ps, "", "%s exists and is no socket", to->sun_path);
        return false;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    live = fd >= 0 && (connect(fd, (const struct sockaddr *)to, sizeof *to) == 0 || errno != ECONNREFUSED);
    if (fd >= 0)
        close(fd);
    if (!live && unlink(to->sun_path) == 0)
        return true;
    problem_error(ps, "", "%s is in use by another process", to->sun_path);
    return false;
}

static int listen_unix(const char *path, struct problems *ps)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    mode_t mask;
    int fd, rc;

    if (strlen(path) >= sizeof to.sun_path || !*path) {
        problem_error(ps, "", "the path of a unix socket must have 1 to %zu bytes: %s", sizeof to.sun_path - 1, path);
        return -1;
    }
    memcpy(to.sun_path, path, strlen(path));
    if (!remove_dead_socket(&to, ps))
        return -1;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mask = umask(0177);    /* the file is never there with another mode */
    rc = fd < 0 ? -1 : bind(fd, (const struct sockaddr *)&to, sizeof to);
    umask(mask);
    if (rc != 0) {
        problem_error(ps, "", "cannot listen at %s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    return fd;
}

/* "127.0.0.1:PORT" or "[::1]:PORT", any address of 127.0.0.0/8. (libevent's own parser takes no port 0.) */
static bool parse_loopback(struct span text, struct sockaddr_storage *a, socklen_t *n)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)a;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)a;
    size_t colon = text.n;
    uint64_t port;
    char host[64];

    while (colon > 0 && text.p[colon - 1] != ':')
        colon--;
    if (colon == 0 || !span_to_u64(span_skip(text, colon), 65535, &port) || colon > sizeof host)
        return false;
    snprintf(host, sizeof host, "%.*s", (int)(colon - 1), text.p);
    if (strcmp(host, "[::1]") == 0) {
        *v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port),
                                     .sin6_addr = IN6ADDR_LOOPBACK_INIT };
        *n = sizeof *v6;
        return true;
    }
    *v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    *n = sizeof *v4;
    return inet_pton(AF_INET, host, &v4->sin_addr) == 1 && ntohl(v4->sin_addr.s_addr) >> 24 == 127;
}

static int listen_tcp(const char *address, int *port, struct problems *ps)
{
    struct sockaddr_storage a = { 0 };
    socklen_t n = 0, got = sizeof a;
    int fd, one = 1;

    if (!parse_loopback(span_str(address), &a, &n)) {
        problem_error(ps, "", "cannot listen at \"%s\": it must be unix:PATH, 127.0.0.1:PORT or [::1]:PORT (there are "
                      "no keys and no TLS here; the gateway is for others)", address);
        return -1;
    }
    fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, n) != 0 || getsockname(fd, (struct sockaddr *)&a, &got) != 0) {
        problem_error(ps, "", "cannot listen at %s: %s", address, strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    *port = ntohs(a.ss_family == AF_INET ? ((struct sockaddr_in *)&a)->sin_port
                                         : ((struct sockaddr_in6 *)&a)->sin6_port);
    return fd;
}

int listen_open(const char *address, int *port, struct problems *ps)
{
    *port = 0;
    return strncmp(address, "unix:", 5) == 0 ? listen_unix(address + 5, ps) : listen_tcp(address, port, ps);
}
