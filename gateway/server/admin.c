#include "gateway/server/admin.h"

#include <errno.h>
#include <event2/listener.h>
#include <stdlib.h>

#include "gateway/server/address.h"
#include "gateway/server/metrics.h"

struct admin {
    struct gateway *gw;
    struct event_base *base;
    struct evconnlistener *listener;
    struct connection_list connections;
    struct connection_limits limits;
};

static void reply(struct connection *c, int status, const char *type, struct span body)
{
    struct buf fields;

    buf_init(&fields, 4096);
    buf_printf(&fields, "content-type: %s\r\nx-content-type-options: nosniff\r\n", type);
    connection_send_head(c, status, buf_span(&fields), (int64_t)body.n, false);
    connection_send_body(c, body);
    connection_end(c);
    buf_free(&fields);
}

/* A page on another name that points here (DNS rebinding) must not read this: the Host is a loopback address, whole.
 * "127.0.0.1.evil.example" is somebody's name. */
static bool host_is_ours(const struct http1_head *h)
{
    const struct span host = h->host.n && h->host.p[0] == '[' ? span_first(h->host, span_find(h->host, ']') + 1)
                                                              : span_first(h->host, span_find(h->host, ':'));

    if (span_is(host, "[::1]") || span_eq_nocase(host, SPAN_LIT("localhost")))
        return true;
    for (size_t i = 0; i < host.n; i++)
        if (host.p[i] != '.' && (host.p[i] < '0' || host.p[i] > '9'))
            return false;
    return span_starts(host, SPAN_LIT("127."));
}

static void on_head(void *ctx, struct connection *c, const struct http1_head *h)
{
    struct admin *a = ctx;

    if (!host_is_ours(h)) {
        reply(c, 403, "text/plain", SPAN_LIT("call it by its loopback address\n"));
    } else if (!span_is(h->method, "GET") && !span_is(h->method, "HEAD")) {
        reply(c, 405, "text/plain", SPAN_LIT("GET only\n"));
    } else if (span_is(h->path, "/metrics")) {
        struct buf out;

        buf_init(&out, 1u << 20);
        metrics_write(a->gw, &out);
        reply(c, 200, "text/plain; version=0.0.4; charset=utf-8", buf_span(&out));
        buf_free(&out);
    } else if (span_is(h->path, "/healthz")) {
        reply(c, 200, "application/json", SPAN_LIT("{\"alive\":true}\n"));
    } else {
        reply(c, 404, "text/plain", SPAN_LIT("there are /metrics and /healthz\n"));
    }
}

static void ignore_body(void *ctx, struct connection *c, struct span piece, bool last)
{
    (void)ctx;
    (void)c;
    (void)piece;
    (void)last;
}

static void ignore(void *ctx, struct connection *c)
{
    (void)ctx;
    (void)c;
}

static void ignore_gone(void *ctx, struct connection *c, int status)
{
    (void)ctx;
    (void)c;
    (void)status;
}

static const struct connection_handler handler = { .on_head = on_head, .on_body = ignore_body, .on_drained = ignore,
                                                   .on_gone = ignore_gone };

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int len, void *arg)
{
    struct admin *a = arg;

    (void)l;
    (void)sa;
    (void)len;
    connection_new(a->base, fd, NULL, &a->connections, &a->limits, &handler, a);
}

struct admin *admin_new(struct event_base *base, struct gateway *gw, struct config_address *address, struct problems *ps)
{
    struct admin *a = calloc(1, sizeof *a);

    if (!a)
        return NULL;
    a->gw = gw;
    a->base = base;
    a->limits = (struct connection_limits){ .header_bytes = 16384, .head_ms = 10000, .body_idle_ms = 10000, .body_ms = 10000,
                                            .keepalive_ms = 75000 };
    a->listener = address_listen(base, address, 0, on_accept, a);
    if (a->listener)
        return a;
    problem_error(ps, "/admin/address", "cannot listen on %s:%u: %s", address->host, address->port, strerror(errno));
    free(a);
    return NULL;
}

void admin_free(struct admin *a)
{
    if (!a)
        return;
    evconnlistener_free(a->listener);
    while (a->connections.first)
        connection_free(a->connections.first);
    free(a);
}
