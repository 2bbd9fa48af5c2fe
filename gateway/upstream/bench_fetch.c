/* bench_fetch.c - what a transfer and a stream cost us: CPU microseconds by getrusage, memory by RSS.
 *
 *   make gateway/upstream/bench_fetch tests/mock_upstream && top_builddir=. gateway/upstream/bench_fetch [TRANSFERS [plain|tls|unix [STREAMS]]]
 *
 * The upstream is a mock_upstream of its own; only our side is counted. Rates depend on the machine, CPU time less. The
 * memory of a kind is right when it runs alone: a later one finds the heap of an earlier one. */
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "gateway/upstream/fetch.h"
#include "tests/mock/mock_run.h"

struct run {
    struct event_base *base;
    struct fetch *fetch;
    struct fetch_spec spec;
    long left, failed, pieces;
    bool again;
};

static const struct fetch_callbacks callbacks;

static void on_data(void *ctx, struct fetch_call *call, struct span data)
{
    struct run *r = ctx;

    (void)call;
    (void)data;
    r->pieces++;
}

static void on_end(void *ctx, struct fetch_call *call, const struct fetch_result *result)
{
    struct run *r = ctx;

    (void)call;
    r->failed += result->end != FETCH_OK;
    if (--r->left <= 0)
        event_base_loopbreak(r->base);
    else if (r->again)
        fetch_start(r->fetch, &r->spec, &callbacks, r);
}

static const struct fetch_callbacks callbacks = { .on_data = on_data, .on_end = on_end };

static int64_t cpu_us(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (int64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
}

static long rss_kib(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (!f || fscanf(f, "%*d %ld", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void run_open(struct run *r, const struct fetch_target *t, struct span *body)
{
    struct event_config *config = event_config_new();

    *r = (struct run){ .spec = { .target = t, .body = body, .n_body = 1, .connect_ms = 60000, .first_byte_ms = 60000,
                                 .idle_ms = 60000 } };
    event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST | EVENT_BASE_FLAG_NOLOCK);
    r->base = event_base_new_with_config(config);
    event_config_free(config);
    r->fetch = fetch_new(r->base, NULL);
}

static void run_close(struct run *r)
{
    fetch_free(r->fetch);
    event_base_free(r->base);
}

/* `n` plain answers of 1 KB to 1 KB, 32 at a time over kept connections. */
static void bench_transfers(const char *name, const struct fetch_target *t, long n)
{
    char text[1100];
    struct span body = { text, (size_t)snprintf(text, sizeof(text), "{\"model\":\"m\",\"messages\":[{\"role\":\"user\","
                                                "\"content\":\"%0900d\"}]}", 0) };
    struct run r;
    int64_t cpu, wall;

    run_open(&r, t, &body);
    r.again = true;
    for (int pass = 0; pass < 2; pass++) {    /* the first warms connections and pool */
        r.left = pass ? n : 2000;
        cpu = cpu_us();
        wall = clock_mono_us();
        for (int i = 0; i < 32; i++)
            fetch_start(r.fetch, &r.spec, &callbacks, &r);
        event_base_dispatch(r.base);
        cpu = cpu_us() - cpu;
        wall = clock_mono_us() - wall;
    }
    printf("%-6s transfers: %.1f us of CPU each, %.0f a second, %ld failed\n", name, (double)cpu / (double)n,
           (double)n * 1e6 / (double)wall, r.failed);
    run_close(&r);
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    event_base_loopbreak(arg);
}

/* `n` slow streams at once: memory while they run, CPU for each piece. */
static void bench_streams(const char *name, const struct fetch_target *t, long n)
{
    struct span body = SPAN_LIT("{\"stream\":true,\"x\":\"mock:chunks=60,bytes=40,every_ms=100\"}");
    struct run r;
    struct event look;
    const struct timeval middle = { 4, 0 };
    int64_t cpu;
    long before, during;

    run_open(&r, t, &body);
    r.left = n;
    before = rss_kib();
    cpu = cpu_us();
    for (long i = 0; i < n; i++)
        fetch_start(r.fetch, &r.spec, &callbacks, &r);
    event_assign(&look, r.base, -1, 0, on_look, r.base);
    event_add(&look, &middle);
    event_base_dispatch(r.base);
    during = rss_kib();
    event_base_dispatch(r.base);
    cpu = cpu_us() - cpu;
    printf("%-6s streams: %.1f KiB each of %ld, %.1f us of CPU a piece with all of a stream's work, %ld failed\n", name,
           (double)(during - before) / (double)n, n, (double)cpu / (double)r.pieces, r.failed);
    run_close(&r);
}

int main(int argc, char **argv)
{
    const long n = argc > 1 ? strtol(argv[1], NULL, 10) : 50000;
    char dir[] = "/tmp/bench_fetch.XXXXXX", path[64], ca[64], base[200], why[200];
    struct mock_run mock;

    if (!mkdtemp(dir))
        return 1;
    snprintf(path, sizeof(path), "unix:%s/s.sock", dir);
    snprintf(ca, sizeof(ca), "%s/ca.pem", dir);
    const char *const args[] = { "--make-ca", dir, "--listen", "127.0.0.1:0", "--tls", dir, "127.0.0.1:0", "--listen",
                                 path, NULL };
    if (!mock_run_start(&mock, args))
        return 1;
    for (int i = 0; i < 3; i++) {
        static const char *const names[] = { "plain", "tls", "unix" };
        struct fetch_target *t;

        if (argc > 2 && strcmp(argv[2], names[i]) != 0)
            continue;
        if (i == 1)
            snprintf(base, sizeof(base), "https://localhost%s/v1", strchr(mock.listens[1], ':'));
        else
            snprintf(base, sizeof(base), i ? "%s" : "http://%s/v1", mock.listens[i]);
        t = fetch_target_new(base, "/chat/completions", NULL, ca, 0, why, sizeof(why));
        if (!t)
            return 1;
        bench_transfers(names[i], t, n);
        bench_streams(names[i], t, argc > 3 ? strtol(argv[3], NULL, 10) : 2000);
        fetch_target_free(t);
    }
    mock_run_stop(&mock);
    static const char *const files[] = { "ca.pem", "cert.pem", "key.pem", "s.sock" };
    for (int i = 0; i < 4; i++) {
        snprintf(base, sizeof(base), "%s/%s", dir, files[i]);
        unlink(base);
    }
    rmdir(dir);
    return 0;
}
