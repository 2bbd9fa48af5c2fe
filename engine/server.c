/* server.c - routes, and the life of a request between a connection and a worker.
 *
 * A request is born when its body is whole, holds one job, and dies when the job has come back, whether the client is
 * still there or not. States, and who moves each arrow:
 *
 *     on_request            started (stream)            finished
 *   ------------> QUEUED ----------------> STREAMING ------------> gone
 *                   |  \-----finished (plain, or an error with its own status)-----> gone
 *                   +-- on_gone: the job is cancelled; the request waits for it without a connection
 *
 * Refuses to compute anything: bytes and small texts only, so that no caller waits for another here. */
#include "engine/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include <event2/listener.h>

#include "base/clock.h"
#include "base/jscan.h"
#include "engine/listen.h"

#define REPLY_BYTES_MAX (512u << 20)    /* six bytes a byte in the worst case of escaping an answer */
#define BEAT_MS 15000                   /* a comment in a stream that is silent so long, so that nobody gives up */

const struct connection_limits server_default_limits = {
    .connections = 1024, .head_bytes = 32768, .body_bytes = 4u << 20, .head_ms = 10000, .body_idle_ms = 10000,
    .keepalive_ms = 180000,    /* longer than clients keep theirs (curl: 118 s), so that they close first */
    .write_ms = 60000,
};

struct served {
    char *name;
    struct worker *worker;
    size_t context;
    double temperature, top_p;
};

struct server {
    struct event_base *base;
    struct connections conns;
    struct served models[SERVER_MODELS_MAX];
    size_t n_models;
    struct evconnlistener *listener;
    char *unix_path;           /* of the socket we made */
    int port;
    int news_fd;               /* eventfd: a worker has news */
    struct event *news;
    struct event *drain_timer;
    struct jscan *scan;
    int64_t started_s;
};

struct request {
    struct server *server;
    struct served *model;
    struct connection *c;      /* NULL: the client is gone */
    struct job *job;
    struct api_reply reply;
    bool streaming;            /* the head is out */
    struct buf reasoning, content;
    struct event *beat;
};

static void random_bytes(void *p, size_t n)
{
    /* At most 256 bytes: cannot be cut short or fail once the system is up (getrandom(2)). */
    if (getrandom(p, n, 0) != (ssize_t)n)
        memset(p, 0, n);
}

static void random_id(char *out, size_t room, const char *prefix)
{
    uint64_t r[2];

    random_bytes(r, sizeof r);
    snprintf(out, room, "%s%016llx%08llx", prefix, (unsigned long long)r[0], (unsigned long long)(r[1] & 0xffffffffu));
}

/* ---- replies ---- */

#define JSON_TYPE "content-type: application/json\r\n"

static void reply_json(struct connection *c, int status, const char *more, const struct buf *body)
{
    struct buf fields;

    buf_init(&fields, 1024);
    buf_printf(&fields, JSON_TYPE "%s", more);
    connection_reply(c, status, buf_span(&fields), buf_span(body));
    buf_free(&fields);
}

static void reply_error(struct connection *c, const struct api_error *e)
{
    struct buf body;

    buf_init(&body, 8192);
    api_write_error(&body, e);
    reply_json(c, e->status, e->status == 429 ? "retry-after: 1\r\n" : "", &body);
    buf_free(&body);
}

static void on_bad(void *ctx, struct buf *body, int status, const char *why)
{
    struct api_error e;

    (void)ctx;
    api_fail(&e, status, NULL, NULL, "%s", why);
    api_write_error(body, &e);
}

/* ---- requests with a job ---- */

static void request_free(struct request *r)
{
    if (r->beat)
        event_free(r->beat);
    buf_free(&r->reasoning);
    buf_free(&r->content);
    job_free(r->job);
    free(r);
}

static void beat_set(struct request *r)
{
    const struct timeval tv = { BEAT_MS / 1000, 0 };

    event_add(r->beat, &tv);
}

/* Sends what was written; a reader that is behind pauses the job. */
static void request_send(struct request *r, struct buf *b)
{
    if (!buf_ok(b)) {    /* no memory: a cut stream says so by its missing end */
        atomic_store(&r->job->cancelled, true);
        worker_poke(r->model->worker);
    } else {
        connection_send(r->c, buf_span(b));
    }
    buf_clear(b);
    beat_set(r);
    if (connection_full(r->c))
        atomic_store(&r->job->paused, true);
}

static void on_beat(evutil_socket_t fd, short what, void *ctx)
{
    struct request *r = ctx;

    (void)fd;
    (void)what;
    connection_send(r->c, SPAN_LIT(": still working\n\n"));
    beat_set(r);
}

static void stream_news(struct request *r, const struct worker_news *news)
{
    struct api_error e;
    struct buf b;

    buf_init(&b, REPLY_BYTES_MAX);
    if (news->started) {
        char fields[160];

        snprintf(fields, sizeof fields,
                 "content-type: text/event-stream\r\ncache-control: no-cache\r\nx-request-id: %s\r\n", r->reply.id);
        connection_begin(r->c, 200, span_str(fields));
        r->streaming = true;
        api_write_start(&b, &r->reply);
    }
    if (news->reasoning.n)
        api_write_delta(&b, &r->reply, "reasoning_content", news->reasoning);
    if (news->content.n)
        api_write_delta(&b, &r->reply, "content", news->content);
    if (news->finished && !r->streaming) {
        api_end_ok(r->job, r->model->context, &e);
        reply_error(r->c, &e);
    } else if (news->finished) {
        if (api_end_ok(r->job, r->model->context, &e))
            api_write_finish(&b, &r->reply, r->job);
        else
            api_write_stream_error(&b, &e);
        request_send(r, &b);
        connection_end(r->c);
    } else {
        request_send(r, &b);
    }
    buf_free(&b);
}

static void plain_news(struct request *r, const struct worker_news *news)
{
    struct api_error e;
    struct buf b;
    char id[80];

    buf_add_span(&r->reasoning, news->reasoning);
    buf_add_span(&r->content, news->content);
    if (!news->finished)
        return;
    buf_init(&b, REPLY_BYTES_MAX);
    snprintf(id, sizeof id, "x-request-id: %s\r\n", r->reply.id);
    if (api_end_ok(r->job, r->model->context, &e)) {
        if (r->job->count_only)
            api_write_tokens(&b, r->job, r->model->context);
        else
            api_write_completion(&b, &r->reply, r->job, buf_span(&r->reasoning), buf_span(&r->content));
        if (buf_ok(&b) && buf_ok(&r->reasoning) && buf_ok(&r->content)) {
            reply_json(r->c, 200, id, &b);
            buf_free(&b);
            return;
        }
        api_fail(&e, 503, NULL, NULL, "no memory for this answer");
    }
    buf_free(&b);
    reply_error(r->c, &e);
}

static void on_job_news(void *ctx, const struct worker_news *news)
{
    struct request *r = news->job->owner;

    (void)ctx;
    if (r->c && r->reply.stream)
        stream_news(r, news);
    else if (r->c)
        plain_news(r, news);
    if (news->finished)
        request_free(r);
}

static void on_news(evutil_socket_t fd, short what, void *ctx)
{
    struct server *s = ctx;
    uint64_t count;

    (void)what;
    if (read(fd, &count, sizeof count) < 0 && errno != EAGAIN)
        return;
    for (size_t i = 0; i < s->n_models; i++)
        worker_collect(s->models[i].worker, on_job_news, s);
}

/* Worker's thread. */
static void notify(void *ctx)
{
    const struct server *s = ctx;
    const uint64_t one = 1;

    /* It can only fail when the count is full, and then the loop is woken anyway. */
    if (write(s->news_fd, &one, sizeof one) < 0)
        return;
}

static void on_gone(void *ctx, struct connection *c)
{
    struct request *r = connection_request(c);

    (void)ctx;
    if (!r)
        return;
    r->c = NULL;
    event_del(r->beat);
    atomic_store(&r->job->cancelled, true);
    worker_poke(r->model->worker);
}

static void on_drained(void *ctx, struct connection *c)
{
    struct request *r = connection_request(c);

    (void)ctx;
    if (!r)
        return;
    atomic_store(&r->job->paused, false);
    worker_poke(r->model->worker);
}

/* ---- routes ---- */

static struct request *request_new(struct server *s, struct connection *c)
{
    struct request *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    r->server = s;
    r->c = c;
    r->job = job_new();
    r->beat = evtimer_new(s->base, on_beat, r);
    buf_init(&r->reasoning, REPLY_BYTES_MAX / 6);
    buf_init(&r->content, REPLY_BYTES_MAX / 6);
    if (r->job && r->beat)
        return r;
    request_free(r);
    return NULL;
}

/* Is the body JSON within the limits of jscan.h? */
static bool scan_body(struct server *s, struct span body, struct api_error *e)
{
    enum jscan_rc rc;

    if (body.n == 0)
        return api_fail(e, 400, NULL, NULL, "the request has no body; it must be a JSON object");
    jscan_reset(s->scan);
    rc = jscan_feed(s->scan, body);
    if (rc != JSCAN_BAD && rc != JSCAN_MEMORY)
        rc = jscan_end(s->scan);
    if (rc == JSCAN_DONE)
        return true;
    if (rc == JSCAN_MEMORY)
        return api_fail(e, 503, NULL, NULL, "no memory for this request");
    return api_fail(e, 400, NULL, NULL, "the body is no JSON that this engine reads: %s at byte %zu",
                    jscan_error(s->scan), jscan_at(s->scan));
}

static struct served *find_model(struct server *s, struct span name)
{
    for (size_t i = 0; i < s->n_models; i++)
        if (span_is(name, s->models[i].name))
            return &s->models[i];
    return NULL;
}

static bool model_missing(struct span name, struct api_error *e)
{
    return api_fail(e, 404, "model_not_found", "model", "there is no model \"%.*s\" here; GET /v1/models lists them",
                    SPAN_FMT(api_excerpt(name, 100)));
}

/* The body of a request becomes its job. */
static bool request_read(struct server *s, struct request *r, struct span body, bool tokenize, struct api_error *e)
{
    struct api_defaults d = { 0 };

    if (!scan_body(s, body, e) || !api_read_model(body, &r->job->arena, &r->reply.model, e))
        return false;
    r->model = find_model(s, r->reply.model);
    if (!r->model)
        return model_missing(r->reply.model, e);
    r->reply.created_s = clock_wall_ms() / 1000;
    random_id(r->reply.id, sizeof r->reply.id, tokenize ? "tok-" : "chatcmpl-");
    if (tokenize)
        return api_read_tokenize(body, r->job, e);
    d.temperature = r->model->temperature;
    d.top_p = r->model->top_p;
    random_bytes(&d.seed, sizeof d.seed);
    return api_read_chat(body, &d, r->job, &r->reply, e);
}

static void post_job(struct server *s, struct connection *c, struct span body, bool tokenize)
{
    struct request *r = request_new(s, c);
    struct api_error e;
    bool ok;

    if (!r) {
        api_fail(&e, 503, NULL, NULL, "no memory for this request");
        reply_error(c, &e);
        return;
    }
    r->job->owner = r;
    ok = request_read(s, r, body, tokenize, &e);
    if (ok && !worker_submit(r->model->worker, r->job)) {
        ok = api_fail(&e, 429, "rate_limit_exceeded", NULL, "too many requests are waiting for this model");
        e.type = "rate_limit_exceeded";
    }
    if (!ok) {
        request_free(r);
        reply_error(c, &e);
        return;
    }
    connection_set_request(c, r);
}

static void post_chat(struct server *s, struct connection *c, struct span path, struct span body)
{
    (void)path;
    post_job(s, c, body, false);
}

static void post_tokenize(struct server *s, struct connection *c, struct span path, struct span body)
{
    (void)path;
    post_job(s, c, body, true);
}

static void get_models(struct server *s, struct connection *c, struct span path, struct span body)
{
    struct buf b;

    (void)path;
    (void)body;
    buf_init(&b, 1u << 20);
    buf_add_str(&b, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < s->n_models; i++) {
        if (i)
            buf_add_char(&b, ',');
        api_write_model(&b, s->models[i].name, s->started_s, s->models[i].context);
    }
    buf_add_str(&b, "]}");
    reply_json(c, 200, "", &b);
    buf_free(&b);
}

static void get_model(struct server *s, struct connection *c, struct span name, struct span body)
{
    const struct served *m = find_model(s, name);
    struct api_error e;
    struct buf b;

    (void)body;
    if (!m) {
        model_missing(name, &e);
        reply_error(c, &e);
        return;
    }
    buf_init(&b, 1u << 16);
    api_write_model(&b, m->name, s->started_s, m->context);
    reply_json(c, 200, "", &b);
    buf_free(&b);
}

static void get_health(struct server *s, struct connection *c, struct span path, struct span body)
{
    struct buf b;

    (void)path;
    (void)body;
    buf_init(&b, 1u << 16);
    buf_add_str(&b, "{\"status\":\"ok\",\"models\":[");
    for (size_t i = 0; i < s->n_models; i++) {
        const struct worker_load load = worker_load(s->models[i].worker);

        buf_add_str(&b, i ? ",{\"id\":" : "{\"id\":");
        buf_add_json(&b, span_str(s->models[i].name));
        buf_printf(&b, ",\"running\":%zu,\"waiting\":%zu,\"prefixes\":%zu}", load.running, load.waiting, load.cached);
    }
    buf_add_str(&b, "]}");
    reply_json(c, 200, "", &b);
    buf_free(&b);
}

static const struct route {
    const char *method, *path;
    bool is_prefix;            /* what follows is the handler's */
    void (*handle)(struct server *s, struct connection *c, struct span rest, struct span body);
} routes[] = {
    { "POST", "/chat/completions", false, post_chat },
    { "POST", "/tokenize", false, post_tokenize },
    { "GET", "/models", false, get_models },
    { "GET", "/models/", true, get_model },
    { "GET", "/health", false, get_health },
};

static bool route_takes(const struct route *r, struct span path)
{
    return r->is_prefix ? span_starts(path, span_str(r->path)) : span_is(path, r->path);
}

/* A page in a browser must not be able to use the engine: it cannot send JSON elsewhere without asking first, and it
 * always says where it comes from. */
static bool head_ok(const struct http1_head *head, struct api_error *e)
{
    const struct span type = http1_get(head, "content-type"), coding = http1_get(head, "content-encoding");
    const struct span media = span_trim(span_first(type, span_find(type, ';')));

    if (http1_get(head, "origin").p)
        return api_fail(e, 403, NULL, NULL, "this engine is not for browsers");
    if (coding.p && !span_eq_nocase(coding, SPAN_LIT("identity")))
        return api_fail(e, 415, NULL, NULL, "a compressed body is not read; send it as it is");
    if (type.p && (head->has_length || head->chunked) && !span_eq_nocase(media, SPAN_LIT("application/json")))
        return api_fail(e, 415, NULL, NULL, "the body must be sent as content-type: application/json");
    return true;
}

static void on_request(void *ctx, struct connection *c, const struct http1_head *head, struct span body)
{
    struct server *s = ctx;
    struct span path = head->path;
    struct api_error e;
    bool known = false;

    if (span_starts(path, SPAN_LIT("/v1/")))
        path = span_skip(path, 3);
    if (!head_ok(head, &e)) {
        reply_error(c, &e);
        return;
    }
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (!route_takes(&routes[i], path))
            continue;
        known = true;
        if (span_is(head->method, routes[i].method) ||
            (span_is(head->method, "HEAD") && span_is(SPAN_LIT("GET"), routes[i].method))) {
            routes[i].handle(s, c, span_skip(path, strlen(routes[i].path)), body);
            return;
        }
    }
    if (known)
        api_fail(&e, 405, NULL, NULL, "this path does not take %.*s", SPAN_FMT(span_first(head->method, 20)));
    else
        api_fail(&e, 404, NULL, NULL, "there is no %.*s; try POST /v1/chat/completions or GET /v1/models",
                 SPAN_FMT(span_first(head->path, 100)));
    reply_error(c, &e);
}

/* ---- listening ---- */

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int n, void *ctx)
{
    struct server *s = ctx;

    (void)listener;
    (void)address;
    (void)n;
    connection_accept(&s->conns, fd);
}

bool server_listen(struct server *s, const char *address, struct problems *ps)
{
    const int fd = listen_open(address, &s->port, ps);

    if (fd < 0)
        return false;
    if (strncmp(address, "unix:", 5) == 0)
        s->unix_path = strdup(address + 5);
    s->listener = evconnlistener_new(s->base, on_accept, s, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 511, fd);
    if (s->listener)
        return true;
    problem_error(ps, "", "cannot listen at %s: %s", address, strerror(errno));
    close(fd);
    return false;
}

int server_port(const struct server *s)
{
    return s->port;
}

/* ---- life ---- */

static void on_empty(void *ctx)
{
    struct server *s = ctx;

    event_base_loopbreak(s->base);
}

static void on_drain_timer(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    on_empty(ctx);
}

struct server *server_new(struct event_base *base, const struct connection_limits *limits)
{
    const struct connection_handler handler = { on_request, on_drained, on_gone, on_bad };
    struct server *s = calloc(1, sizeof *s);
    uint64_t seed = 0;

    if (!s)
        return NULL;
    s->base = base;
    s->started_s = clock_wall_ms() / 1000;
    s->news_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    random_bytes(&seed, sizeof seed);
    s->scan = jscan_new(&jscan_default_limits, seed);
    s->news = s->news_fd < 0 ? NULL : event_new(base, s->news_fd, EV_READ | EV_PERSIST, on_news, s);
    s->drain_timer = evtimer_new(base, on_drain_timer, s);
    if (!s->scan || !s->news || !s->drain_timer || event_add(s->news, NULL) != 0 ||
        !connections_init(&s->conns, base, limits, &handler, s)) {
        server_free(s);
        return NULL;
    }
    return s;
}

void server_free(struct server *s)
{
    if (!s)
        return;
    if (s->listener)
        evconnlistener_free(s->listener);
    connections_free(&s->conns);
    for (size_t i = 0; i < s->n_models; i++)
        worker_stop(s->models[i].worker, on_job_news, s);
    for (size_t i = 0; i < s->n_models; i++)
        free(s->models[i].name);
    if (s->news)
        event_free(s->news);
    if (s->drain_timer)
        event_free(s->drain_timer);
    if (s->news_fd >= 0)
        close(s->news_fd);
    if (s->unix_path)
        unlink(s->unix_path);
    free(s->unix_path);
    jscan_free(s->scan);
    free(s);
}

bool server_add_model(struct server *s, const char *name, const struct worker_config *config, double temperature,
                      double top_p)
{
    struct worker_config c = *config;
    struct served m = { .context = config->lm.context, .temperature = temperature, .top_p = top_p };

    c.notify = notify;
    c.notify_ctx = s;
    if (s->n_models == SERVER_MODELS_MAX || find_model(s, span_str(name)))
        return false;
    m.name = strdup(name);
    m.worker = m.name ? worker_start(&c) : NULL;
    if (!m.worker) {
        free(m.name);
        return false;
    }
    s->models[s->n_models++] = m;
    return true;
}

void server_drain(struct server *s, int ms)
{
    const struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

    if (s->listener) {
        evconnlistener_free(s->listener);
        s->listener = NULL;
    }
    s->conns.on_empty = on_empty;
    event_add(s->drain_timer, &tv);
    connections_drain(&s->conns);
}
