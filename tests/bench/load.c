/* load.c - a load generator for loopback: as many calls as go (closed loop), a fixed rate (open loop), or slow streams.
 *
 *   load --url https://127.0.0.1:PORT/v1/chat/completions [--ca ca.pem] [--bearer KEY] --body FILE
 *        [--connections 32] [--seconds 5] [--rate N | --streams]
 *
 * Prints one line of JSON: {"requests","errors","per_second","p50_us","p90_us","p99_us","max_us","chunks","kept"}.
 *  - closed loop: each connection sends its next call when the answer is whole; latency from send to last byte;
 *  - --rate N: N calls a second on a fixed schedule whatever the answers do; latency from the scheduled moment, so
 *    that a stall is counted for every call that it delayed (no coordinated omission);
 *  - --streams: every connection has one stream at a time; latency is that of each chunk from the moment that the
 *    upstream stamped into it ("@NS@", CLOCK_MONOTONIC) to its arrival here.
 * One thread, epoll, OpenSSL; only addresses of the loopback range are called. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define IN_MAX 262144u
#define SAMPLES_MAX 20000000u

enum state { CONNECTING, HANDSHAKING, IDLE, SENDING, READING };

struct conn {
    SSL *ssl;
    int fd;
    enum state state;
    size_t sent;
    char in[IN_MAX];
    size_t n, body_at;
    long length;            /* -1: chunked */
    size_t scanned;         /* of a stream: stamps before it are counted */
    int64_t due_ns;
    unsigned want;
};

struct load {
    struct sockaddr_in to;
    SSL_CTX *ctx;
    const char *request;
    size_t request_n;
    int ep, connections;
    double seconds, rate;
    int streams, begun;
    struct conn *conns;
    int64_t start_ns, end_ns, next_ns;
    uint32_t *samples_us;
    size_t n_samples;
    long requests, errors, chunks, opened;
};

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void sample(struct load *l, int64_t ns)
{
    if (l->n_samples < SAMPLES_MAX)
        l->samples_us[l->n_samples++] = ns < 0 ? 0 : ns > 4000000000000 ? 4000000000u : (uint32_t)(ns / 1000);
}

static void watch(struct load *l, struct conn *c, unsigned events)
{
    struct epoll_event e = { .events = events, .data.ptr = c };

    if (c->want == events)
        return;
    epoll_ctl(l->ep, c->want ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &e);
    c->want = events;
}

static void conn_open(struct load *l, struct conn *c)
{
    const int on = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    c->want = 0;
    c->n = 0;
    c->state = CONNECTING;
    l->opened++;
    if (connect(c->fd, (struct sockaddr *)&l->to, sizeof l->to) != 0 && errno != EINPROGRESS)
        die("connect");
    if (l->ctx) {
        c->ssl = SSL_new(l->ctx);
        SSL_set_fd(c->ssl, c->fd);
        SSL_set_connect_state(c->ssl);
        SSL_set_tlsext_host_name(c->ssl, "localhost");
    }
    watch(l, c, EPOLLOUT);
}

static void conn_fail(struct load *l, struct conn *c)
{
    if (c->state != IDLE)
        l->errors++;
    if (c->ssl)
        SSL_free(c->ssl);
    c->ssl = NULL;
    close(c->fd);
    conn_open(l, c);
}

/* > 0 bytes, 0 again later, -1 broken. */
static ssize_t put(struct conn *c, const char *p, size_t n)
{
    ssize_t r;

    if (!c->ssl) {
        r = send(c->fd, p, n, MSG_NOSIGNAL);
        return r >= 0 ? r : errno == EAGAIN ? 0 : -1;
    }
    ERR_clear_error();
    r = SSL_write(c->ssl, p, (int)n);
    if (r > 0)
        return r;
    switch (SSL_get_error(c->ssl, (int)r)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return 0;
    default: return -1;
    }
}

static ssize_t get(struct conn *c, char *p, size_t n)
{
    ssize_t r;

    if (!c->ssl) {
        r = recv(c->fd, p, n, 0);
        return r > 0 ? r : r < 0 && errno == EAGAIN ? 0 : -1;
    }
    ERR_clear_error();
    r = SSL_read(c->ssl, p, (int)n);
    if (r > 0)
        return r;
    switch (SSL_get_error(c->ssl, (int)r)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return 0;
    default: return -1;
    }
}

static void send_on(struct load *l, struct conn *c)
{
    ssize_t r = 1;

    while (c->sent < l->request_n && (r = put(c, l->request + c->sent, l->request_n - c->sent)) > 0)
        c->sent += (size_t)r;
    if (r < 0) {
        conn_fail(l, c);
        return;
    }
    if (c->sent == l->request_n)
        c->state = READING;
    watch(l, c, c->sent == l->request_n ? EPOLLIN : EPOLLIN | EPOLLOUT);
}

static void begin(struct load *l, struct conn *c, int64_t due_ns)
{
    c->state = SENDING;
    c->sent = c->n = c->body_at = c->scanned = 0;
    c->length = -1;
    c->due_ns = due_ns;
    send_on(l, c);
}

/* Each stamp of the upstream is one chunk's delay. */
static void read_stamps(struct load *l, struct conn *c, int64_t now)
{
    const char *p, *end;

    while ((p = memchr(c->in + c->scanned, '@', c->n - c->scanned)) != NULL) {
        end = memchr(p + 1, '@', c->n - (size_t)(p + 1 - c->in));
        if (!end)
            break;
        l->chunks++;
        sample(l, now - strtoll(p + 1, NULL, 10));
        c->scanned = (size_t)(end + 1 - c->in);
    }
}

/* 1: the answer is whole; 0: not yet; -1: an error. */
static int answer_state(struct conn *c)
{
    if (!c->body_at) {
        char *end = memmem(c->in, c->n, "\r\n\r\n", 4), *length;

        if (!end)
            return 0;
        c->body_at = (size_t)(end + 4 - c->in);
        length = memmem(c->in, c->body_at, "ontent-length: ", 15);
        if (!length)
            length = memmem(c->in, c->body_at, "ontent-Length: ", 15);
        c->length = length ? strtol(length + 15, NULL, 10) : -1;
    }
    if (memcmp(c->in + 9, "200", 3) != 0)
        return -1;
    if (c->length >= 0)
        return c->n >= c->body_at + (size_t)c->length;
    return c->n >= 5 && memcmp(c->in + c->n - 5, "0\r\n\r\n", 5) == 0;
}

static void finish(struct load *l, struct conn *c, int64_t now, int ok)
{
    if (ok > 0)
        l->requests++;
    else
        l->errors++;
    if (ok > 0 && !l->streams)
        sample(l, now - c->due_ns);
    c->state = IDLE;
    watch(l, c, EPOLLIN);
    if (ok < 0 && l->errors == 1)
        fprintf(stderr, "load: first error: %.*s\n", (int)(c->n < 800 ? c->n : 800), c->in);
    if (l->rate <= 0 && now < l->end_ns)
        begin(l, c, now);
}

static void read_on(struct load *l, struct conn *c)
{
    for (;;) {
        ssize_t r;
        int64_t now;
        int whole;

        if (l->streams && c->scanned > IN_MAX / 2) {    /* keep what is not read; the head is not needed again */
            memmove(c->in + c->body_at, c->in + c->scanned, c->n - c->scanned);
            c->n -= c->scanned - c->body_at;
            c->scanned = c->body_at;
        }
        if (c->n == IN_MAX) {
            conn_fail(l, c);
            return;
        }
        r = get(c, c->in + c->n, IN_MAX - c->n);
        if (r < 0) {
            conn_fail(l, c);
            return;
        }
        if (r == 0)
            return;
        now = now_ns();
        c->n += (size_t)r;
        if (l->streams)
            read_stamps(l, c, now);
        whole = answer_state(c);
        if (whole) {
            finish(l, c, now, whole);
            return;
        }
    }
}

static void on_event(struct load *l, struct conn *c)
{
    if (c->state == CONNECTING) {
        c->state = c->ssl ? HANDSHAKING : IDLE;
        watch(l, c, EPOLLIN);
    }
    if (c->state == HANDSHAKING) {
        int r;

        ERR_clear_error();
        r = SSL_do_handshake(c->ssl);
        if (r != 1) {
            const int e = SSL_get_error(c->ssl, r);

            if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE)
                conn_fail(l, c);
            else
                watch(l, c, e == SSL_ERROR_WANT_WRITE ? EPOLLOUT : EPOLLIN);
            return;
        }
        c->state = IDLE;
        watch(l, c, EPOLLIN);
    }
    if (c->state == IDLE) {
        if (l->start_ns && l->rate <= 0 && !l->streams && now_ns() < l->end_ns)
            begin(l, c, now_ns());
        else if (l->start_ns) {    /* TLS tickets, or a close */
            char byte[256];

            if (get(c, byte, sizeof byte) < 0)
                conn_fail(l, c);
        }
        return;
    }
    if (c->state == SENDING)
        send_on(l, c);
    if (c->state == READING || c->state == SENDING)
        read_on(l, c);
}

static void turn(struct load *l, int64_t wait_ns)
{
    const struct timespec wait = { wait_ns / 1000000000, wait_ns % 1000000000 };
    struct epoll_event events[256];
    const int n = epoll_pwait2(l->ep, events, 256, &wait, NULL);

    for (int i = 0; i < n; i++)
        on_event(l, events[i].data.ptr);
}

/* Open loop: what is due now goes out on any idle connection; when none is idle it stays due, and its clock runs. */
static void send_due(struct load *l)
{
    const int64_t now = now_ns();
    int at = 0;

    while (l->next_ns <= now && l->next_ns < l->end_ns) {
        while (at < l->connections && l->conns[at].state != IDLE)
            at++;
        if (at == l->connections)
            return;
        begin(l, &l->conns[at], l->next_ns);
        l->next_ns += (int64_t)(1e9 / l->rate);
    }
}

/* Streams begin evenly over the first second: all at once would measure one burst, again and again. */
static void begin_streams(struct load *l)
{
    const int64_t now = now_ns();

    for (; l->begun < l->connections && now >= l->start_ns + l->begun * (1000000000 / l->connections); l->begun++)
        if (l->conns[l->begun].state == IDLE)
            begin(l, &l->conns[l->begun], now);
}

/* Until the next call is due; a millisecond would be coarser than what is measured. */
static int64_t wait_for(const struct load *l)
{
    const int64_t wait = l->next_ns - now_ns();

    if (l->rate > 0)
        return wait < 0 ? 20000 : wait;
    return l->streams && l->begun < l->connections ? 500000 : 100000000;
}

static int all_ready(const struct load *l)
{
    for (int i = 0; i < l->connections; i++)
        if (l->conns[i].state != IDLE)
            return 0;
    return 1;
}

static void run(struct load *l)
{
    const int64_t give_up = now_ns() + 60000000000;

    l->conns = calloc((size_t)l->connections, sizeof *l->conns);
    l->samples_us = malloc(SAMPLES_MAX * sizeof *l->samples_us);
    l->ep = epoll_create1(EPOLL_CLOEXEC);
    if (!l->conns || !l->samples_us || l->ep < 0)
        die("memory");
    for (int i = 0; i < l->connections; i++) {    /* handshakes are not what is measured */
        conn_open(l, &l->conns[i]);
        if (i % 64 == 63)
            turn(l, 1000000);
    }
    while (!all_ready(l) && now_ns() < give_up)
        turn(l, 10000000);
    l->start_ns = l->next_ns = now_ns();
    l->end_ns = l->start_ns + (int64_t)(l->seconds * 1e9);
    for (int i = 0; l->rate <= 0 && !l->streams && i < l->connections; i++)
        if (l->conns[i].state == IDLE)
            begin(l, &l->conns[i], now_ns());
    while (now_ns() < l->end_ns) {
        if (l->rate > 0)
            send_due(l);
        else if (l->streams)
            begin_streams(l);
        turn(l, wait_for(l));
    }
    l->end_ns = now_ns();
}

static int by_size(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static unsigned percentile(const struct load *l, double p)
{
    return l->n_samples ? l->samples_us[(size_t)(p * (double)(l->n_samples - 1))] : 0;
}

static void print(struct load *l)
{
    const double seconds = (double)(l->end_ns - l->start_ns) / 1e9;

    qsort(l->samples_us, l->n_samples, sizeof *l->samples_us, by_size);
    printf("{\"requests\":%ld,\"errors\":%ld,\"per_second\":%.1f,\"p50_us\":%u,\"p90_us\":%u,\"p99_us\":%u,\"max_us\":%u,"
           "\"chunks\":%ld,\"opened\":%ld}\n",
           l->requests, l->errors, (double)l->requests / seconds, percentile(l, 0.5), percentile(l, 0.9),
           percentile(l, 0.99), percentile(l, 1), l->chunks, l->opened);
}

static char *read_file(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    char *p = malloc(1u << 24);

    if (!f || !p)
        die(path);
    *n = fread(p, 1, 1u << 24, f);
    fclose(f);
    return p;
}

static void make_request(struct load *l, const char *host, int port, const char *path, const char *bearer,
                         const char *body_file)
{
    size_t body_n, room;
    char *body = read_file(body_file, &body_n), *r;
    int head;

    room = body_n + 4096;
    r = malloc(room);
    if (!r)
        die("memory");
    head = snprintf(r, 4096, "POST %s HTTP/1.1\r\nhost: %s:%d\r\nauthorization: Bearer %s\r\n"
                             "content-type: application/json\r\ncontent-length: %zu\r\n\r\n", path, host, port, bearer, body_n);
    memcpy(r + head, body, body_n);
    l->request = r;
    l->request_n = (size_t)head + body_n;
    free(body);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "url", 1, NULL, 'u' },     { "ca", 1, NULL, 'c' },   { "bearer", 1, NULL, 'b' },  { "body", 1, NULL, 'f' },
        { "connections", 1, NULL, 'n' }, { "seconds", 1, NULL, 's' }, { "rate", 1, NULL, 'r' }, { "streams", 0, NULL, 'S' },
        { 0 },
    };
    struct load l = { .connections = 32, .seconds = 5 };
    const char *ca = NULL, *bearer = "none", *body = NULL;
    char scheme[8] = "", host[64] = "", path[512] = "/";
    int port = 0, o;

    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (o) {
        case 'u':
            if (sscanf(optarg, "%7[a-z]://%63[0-9.]:%d%511s", scheme, host, &port, path) < 3)
                return fprintf(stderr, "load: --url wants http[s]://127.x.x.x:PORT/PATH\n"), 2;
            break;
        case 'c': ca = optarg; break;
        case 'b': bearer = optarg; break;
        case 'f': body = optarg; break;
        case 'n': l.connections = (int)strtol(optarg, NULL, 10); break;
        case 's': l.seconds = strtod(optarg, NULL); break;
        case 'r': l.rate = strtod(optarg, NULL); break;
        case 'S': l.streams = 1; break;
        default: return 2;
        }
    }
    l.to = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    if (!body || inet_pton(AF_INET, host, &l.to.sin_addr) != 1 || strncmp(host, "127.", 4) != 0)
        return fprintf(stderr, "load: wants --url of a loopback address and --body FILE\n"), 2;
    if (strcmp(scheme, "https") == 0) {
        l.ctx = SSL_CTX_new(TLS_client_method());
        if (!l.ctx || (ca && SSL_CTX_load_verify_locations(l.ctx, ca, NULL) != 1))
            return fprintf(stderr, "load: no TLS\n"), 1;
        SSL_CTX_set_verify(l.ctx, ca ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    }
    make_request(&l, host, port, path, bearer, body);
    run(&l);
    print(&l);
    return 0;
}
