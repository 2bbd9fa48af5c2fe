#include "gateway/server/address.h"

#include <errno.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define BACKLOG 1024

static socklen_t make(const struct config_address *a, struct sockaddr_storage *ss)
{
    struct sockaddr_in *in4 = (struct sockaddr_in *)ss;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

    memset(ss, 0, sizeof *ss);
    if (evutil_inet_pton(AF_INET, a->host, &in4->sin_addr) == 1) {
        in4->sin_family = AF_INET;
        in4->sin_port = htons(a->port);
        return sizeof *in4;
    }
    if (evutil_inet_pton(AF_INET6, a->host, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(a->port);
        return sizeof *in6;
    }
    return 0;
}

static void read_port(evutil_socket_t fd, struct config_address *a)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;

    if (a->port || getsockname(fd, (struct sockaddr *)&ss, &len) != 0)
        return;
    a->port = ntohs(ss.ss_family == AF_INET ? ((struct sockaddr_in *)&ss)->sin_port
                                            : ((struct sockaddr_in6 *)&ss)->sin6_port);
}

struct evconnlistener *address_listen(struct event_base *base, struct config_address *a, unsigned flags,
                                      evconnlistener_cb on_accept, void *arg)
{
    struct sockaddr_storage ss;
    const socklen_t len = make(a, &ss);
    struct evconnlistener *l;

    if (!len) {
        errno = EINVAL;
        return NULL;
    }
    l = evconnlistener_new_bind(base, on_accept, arg,
                                LEV_OPT_REUSEABLE | LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | flags, BACKLOG,
                                (struct sockaddr *)&ss, (int)len);
    if (l)
        read_port(evconnlistener_get_fd(l), a);
    return l;
}
