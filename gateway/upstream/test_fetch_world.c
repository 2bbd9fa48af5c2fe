/* test_fetch_world.c - see test_fetch_world.h. */
#include "gateway/upstream/test_fetch_world.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* curl's threads end up here: an executable's getaddrinfo goes before libc's. */
atomic_int lookups_now, lookups_most;
struct world w;

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
    struct sockaddr_in *a;
    struct addrinfo *r;
    int now;

    (void)hints;
    if (!name || strcmp(name, "nowhere.test") == 0)
        return EAI_NONAME;
    if (strcmp(name, "gone.test") == 0) {
        usleep(50000);
        return EAI_NONAME;
    }
    now = atomic_fetch_add(&lookups_now, 1) + 1;
    if (now > atomic_load(&lookups_most))
        atomic_store(&lookups_most, now);
    if (strcmp(name, "slow.test") == 0)
        usleep(1500000);
    atomic_fetch_sub(&lookups_now, 1);
    r = calloc(1, sizeof(*r) + sizeof(*a));
    if (!r)
        return EAI_MEMORY;
    a = (struct sockaddr_in *)(void *)(r + 1);
    a->sin_family = AF_INET;
    a->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    a->sin_port = htons((uint16_t)(service ? strtol(service, NULL, 10) : 0));
    r->ai_family = AF_INET;
    r->ai_socktype = SOCK_STREAM;
    r->ai_protocol = IPPROTO_TCP;
    r->ai_addrlen = sizeof(*a);
    r->ai_addr = (struct sockaddr *)a;
    *out = r;
    return 0;
}

void freeaddrinfo(struct addrinfo *r)
{
    free(r);
}

static void on_head(void *ctx, struct fetch_call *call, int status)
{
    struct call *c = ctx;
    struct span type = fetch_header(call, "CONTENT-type");

    assert_false(*c->inside);
    assert_false(c->ended);
    c->heads++;
    c->status = status;
    snprintf(c->content_type, sizeof(c->content_type), "%.*s", SPAN_FMT(type));
    if (c->at_head)
        c->at_head(c);
}

static void on_data(void *ctx, struct fetch_call *call, struct span data)
{
    struct call *c = ctx;

    assert_false(*c->inside);
    assert_false(c->ended);
    assert_true(c->heads == 1);
    assert_true(data.n > 0 && data.n <= 16384);
    assert_false(fetch_paused(call));
    c->pieces++;
    c->bytes += data.n;
    if (c->keep_body)
        buf_add_span(&c->body, data);
    if (c->at_data)
        c->at_data(c);
}

static void on_end(void *ctx, struct fetch_call *call, const struct fetch_result *r)
{
    struct call *c = ctx;

    (void)call;
    assert_false(*c->inside);
    assert_false(c->ended);
    c->ended = true;
    c->call = NULL;
    c->result = *r;
    snprintf(c->detail, sizeof(c->detail), "%s", r->detail);
    if (c->at_end)
        c->at_end(c);
}

static const struct fetch_callbacks callbacks = { on_head, on_data, on_end };

void bench_open(struct bench *b, const struct fetch_options *o)
{
    struct event_config *config = event_config_new();

    event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST | EVENT_BASE_FLAG_PRECISE_TIMER);
    b->base = event_base_new_with_config(config);
    event_config_free(config);
    b->fetch = fetch_new(b->base, o);
    b->inside = false;
    assert_non_null(b->fetch);
}

void bench_close(struct bench *b)
{
    fetch_free(b->fetch);
    event_base_free(b->base);
}

void call_init(struct call *c, struct bench *b)
{
    *c = (struct call){ .inside = &b->inside };
    buf_init(&c->body, (size_t)256 << 20);
}

static void on_too_long(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    *(bool *)arg = true;
}

void run_until(struct bench *b, const bool *flag, int ms)
{
    struct event *e;
    bool over = false;
    const struct timeval tv = { ms / 1000, (ms % 1000) * 1000 };

    e = event_new(b->base, -1, 0, on_too_long, &over);
    event_add(e, &tv);
    while (!(flag && *flag) && !over)
        event_base_loop(b->base, EVLOOP_ONCE);
    event_free(e);
    if (flag)
        assert_true(*flag);
}
struct fetch_target *target(const char *base)
{
    char why[200];
    struct fetch_target *t = fetch_target_new(base, "/chat/completions", NULL, w.ca, 0, why, sizeof(why));

    if (!t)
        fail_msg("%s: %s", base, why);
    return t;
}

struct fetch_spec spec_of(const struct fetch_target *t, struct span *body, const char *text)
{
    *body = span_str(text);
    return (struct fetch_spec){ .target = t, .body = body, .n_body = 1,
                                .connect_ms = 5000, .first_byte_ms = 10000, .idle_ms = 10000, .total_ms = 20000 };
}

void start(struct bench *b, struct call *c, const struct fetch_spec *s)
{
    b->inside = true;
    c->call = fetch_start(b->fetch, s, &callbacks, c);
    b->inside = false;
    assert_non_null(c->call);
}

void ask(struct bench *b, struct call *c, const struct fetch_target *t, const char *words, bool stream)
{
    char text[512];
    struct span body;
    struct fetch_spec s;

    snprintf(text, sizeof(text), "{\"model\":\"m\"%s,\"messages\":[{\"content\":\"mock:%s\"}]}",
             stream ? ",\"stream\":true" : "", words);
    s = spec_of(t, &body, text);
    start(b, c, &s);
    run_until(b, &c->ended, PATIENCE_MS);
}

long rss_kib(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return 0;
#elif defined(__has_feature)    /* clang's way to say the same */
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    return 0;
#endif
#endif
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    assert_non_null(f);
    if (fscanf(f, "%*d %ld", &pages) != 1)
        pages = 0;
    fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

int world_open(void **state)
{
    char listen_unix[128];
    const char *const args[] = { "--make-ca", w.dir, "--listen", "127.0.0.1:0", "--tls", w.dir, "127.0.0.1:0",
                                 "--listen", listen_unix, NULL };

    (void)state;
    signal(SIGPIPE, SIG_IGN);
    snprintf(w.dir, sizeof(w.dir), "/tmp/test_fetch.XXXXXX");
    if (!mkdtemp(w.dir))
        return -1;
    snprintf(listen_unix, sizeof(listen_unix), "unix:%s/s.sock", w.dir);
    if (!mock_run_start(&w.mock, args))
        return -1;
    snprintf(w.http, sizeof(w.http), "http://%.100s/v1", w.mock.listens[0]);
    snprintf(w.https, sizeof(w.https), "https://localhost%.100s/v1", strchr(w.mock.listens[1], ':'));
    snprintf(w.local, sizeof(w.local), "unix:%s/s.sock", w.dir);
    w.base = w.over_tls ? w.https : w.http;
    snprintf(w.ca, sizeof(w.ca), "%s/ca.pem", w.dir);
    return 0;
}

int world_close(void **state)
{
    char path[160];
    static const char *const files[] = { "ca.pem", "cert.pem", "key.pem", "s.sock" };

    (void)state;
    mock_run_stop(&w.mock);
    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof(path), "%s/%s", w.dir, files[i]);
        unlink(path);
    }
    rmdir(w.dir);
    return 0;
}
