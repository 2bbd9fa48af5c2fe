/* bench_parse.c - how long a head and a body take to read: nanoseconds a KiB, best of several rounds.
 *
 * The bodies have the shapes that callers send: a short chat, a pretty-printed one with tools, prose with escapes,
 * Chinese prose, an image in base64, and many short keys (the worst for the table of keys). A timing, not a test. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/buf.h"
#include "base/http1.h"
#include "base/jscan.h"

#define ROUNDS 7

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void report(const char *what, double best_ns, size_t bytes)
{
    printf("%-34s %9zu bytes %10.0f ns %8.0f ns/KiB\n", what, bytes, best_ns, best_ns * 1024 / (double)bytes);
}

/* Enough repeats of one thing that a round takes about 20 ms. */
static size_t repeats_for(size_t bytes)
{
    const size_t n = 20000000 / (bytes + 100);

    return n ? n : 1;
}

static double scan_once(struct jscan *s, struct span body, size_t repeats)
{
    const double start = now_ns();

    for (size_t i = 0; i < repeats; i++) {
        jscan_reset(s);
        if (jscan_feed(s, body) == JSCAN_BAD || jscan_end(s) != JSCAN_DONE) {
            fprintf(stderr, "bench-parse: a body was refused: %s\n", jscan_error(s));
            exit(1);
        }
    }
    return (now_ns() - start) / (double)repeats;
}

static void bench_body(const char *what, struct span body)
{
    struct jscan *s = jscan_new(&jscan_default_limits, 42);
    double best = 1e18;

    if (!s)
        exit(1);
    for (int i = 0; i < ROUNDS; i++) {
        const double ns = scan_once(s, body, repeats_for(body.n));

        best = ns < best ? ns : best;
    }
    jscan_free(s);
    report(what, best, body.n);
}

static void bench_get(const char *what, struct span body, const char *pointer)
{
    const size_t repeats = repeats_for(body.n);
    double best = 1e18;

    for (int i = 0; i < ROUNDS; i++) {
        const double start = now_ns();
        size_t found = 0;
        double ns;

        for (size_t k = 0; k < repeats; k++)
            found += jval_pointer(body, pointer).n;
        ns = (now_ns() - start) / (double)repeats;
        best = ns < best ? ns : best;
        if (found == 0)
            exit(1);
    }
    report(what, best, body.n);
}

static void bench_head(const char *what, struct span head)
{
    const size_t repeats = repeats_for(head.n);
    struct http1_head h;
    struct http1_error err;
    double best = 1e18;

    for (int i = 0; i < ROUNDS; i++) {
        const double start = now_ns();
        double ns;

        for (size_t k = 0; k < repeats; k++) {
            size_t seen = 0, used;

            if (http1_read_head(head, 65536, &seen, &h, &used, &err) != HTTP1_OK)
                exit(1);
        }
        ns = (now_ns() - start) / (double)repeats;
        best = ns < best ? ns : best;
    }
    report(what, best, head.n);
}

static void bench_chunks(const char *what, struct span body)
{
    const size_t repeats = repeats_for(body.n);
    double best = 1e18;

    for (int i = 0; i < ROUNDS; i++) {
        const double start = now_ns();
        double ns;

        for (size_t k = 0; k < repeats; k++) {
            struct http1_chunks c;
            struct http1_error err;
            struct span rest = body, data;
            enum http1_rc rc = HTTP1_MORE;
            size_t used;

            http1_chunks_init(&c);
            while (rc == HTTP1_MORE && rest.n) {
                rc = http1_chunks_read(&c, rest, &used, &data, &err);
                rest = span_skip(rest, used);
            }
            if (rc != HTTP1_OK)
                exit(1);
        }
        ns = (now_ns() - start) / (double)repeats;
        best = ns < best ? ns : best;
    }
    report(what, best, body.n);
}

static void fill(struct buf *b, const char *text, size_t bytes)
{
    while (b->n < bytes)
        buf_add_str(b, text);
}

static void bench_filled(const char *what, const char *before, const char *filling, const char *after, size_t bytes)
{
    struct buf b;

    buf_init(&b, bytes + 4096);
    buf_add_str(&b, before);
    fill(&b, filling, bytes);
    buf_add_str(&b, after);
    if (!buf_ok(&b))
        exit(1);
    bench_body(what, buf_span(&b));
    bench_get("  the same, /max_tokens by cursor", buf_span(&b), "/max_tokens");
    buf_free(&b);
}

static void bench_keys(size_t n)
{
    struct buf b;

    buf_init(&b, n * 32 + 64);
    buf_add_char(&b, '{');
    for (size_t i = 0; i < n; i++)
        buf_printf(&b, "%s\"k%zx\":%zu", i ? "," : "", i * 2654435761u, i % 10);
    buf_add_char(&b, '}');
    bench_body("90,000 keys in one object", buf_span(&b));
    buf_free(&b);
}

static void bench_chunked(size_t chunk, size_t bytes)
{
    struct buf b;
    char what[64];

    buf_init(&b, bytes * 8 + 64);
    for (size_t n = 0; n < bytes; n += chunk) {
        buf_printf(&b, "%zx\r\n", chunk);
        for (size_t i = 0; i < chunk; i++)
            buf_add_char(&b, 'x');
        buf_add_str(&b, "\r\n");
    }
    buf_add_str(&b, "0\r\n\r\n");
    snprintf(what, sizeof what, "chunked body, %zu bytes a chunk", chunk);
    bench_chunks(what, buf_span(&b));
    buf_free(&b);
}

#define CHAT_BEFORE "{\"model\":\"auto\",\"stream\":true,\"messages\":[{\"role\":\"system\",\"content\":\"You answer " \
                    "briefly.\"},{\"role\":\"user\",\"content\":\""
#define CHAT_AFTER "\"}],\"temperature\":0.7,\"top_p\":0.95,\"max_tokens\":512,\"user\":\"team-7\"}"

int main(void)
{
    static const char head[] =
        "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway.internal:8443\r\n"
        "User-Agent: OpenAI/JS 6.9.0\r\nAccept: application/json\r\nAccept-Encoding: gzip, deflate, br\r\n"
        "Content-Type: application/json\r\nContent-Length: 1024\r\n"
        "Authorization: Bearer tg_0123456789abcdefghijABCDEFGHIJ0123456789abcdefABCDEF\r\n"
        "X-Stainless-Lang: js\r\nX-Stainless-Package-Version: 6.9.0\r\nX-Stainless-OS: Linux\r\n"
        "X-Stainless-Arch: x64\r\nX-Stainless-Runtime: node\r\nX-Stainless-Runtime-Version: v22.11.0\r\n"
        "X-Stainless-Retry-Count: 0\r\nX-Stainless-Timeout: 600\r\nConnection: keep-alive\r\n\r\n";

    bench_head("head of an SDK, 15 headers", (struct span){ head, sizeof head - 1 });
    bench_chunked(16384, 1 << 20);
    bench_chunked(1, 4096);
    bench_filled("chat, 1 KiB", CHAT_BEFORE, "What is the capital of France? ", CHAT_AFTER, 900);
    bench_filled("chat, 20 KiB of prose", CHAT_BEFORE, "A line of prose, and then its end.\\n", CHAT_AFTER, 20000);
    bench_filled("chat, 20 KiB of Chinese", CHAT_BEFORE,
                 "\xe4\xbb\x8a\xe5\xa4\xa9\xe5\xa4\xa9\xe6\xb0\x94\xe6\x80\x8e\xe4\xb9\x88\xe6\xa0\xb7\xef\xbc\x9f",
                 CHAT_AFTER, 20000);
    bench_filled("chat, 4 MiB of code", CHAT_BEFORE, "    if (x[\\\"a\\\"] > 3)\\n\\t\\treturn \\\"y\\\";\\n", CHAT_AFTER,
                 4 << 20);
    bench_filled("image, 10 MiB of base64", CHAT_BEFORE, "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ", CHAT_AFTER,
                 10 << 20);
    bench_filled("pretty-printed, 20 KiB", "{\n  \"max_tokens\": 5,\n  \"list\": [\n",
                 "    {\n      \"name\": \"get_weather\",\n      \"strict\": true,\n      \"n\": 12.5\n    },\n",
                 "    null\n  ]\n}\n", 20000);
    bench_keys(90000);
    return 0;
}
