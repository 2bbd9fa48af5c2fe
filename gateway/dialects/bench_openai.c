/* bench_openai.c - what a request of the Chat dialect costs where it passes to a host of the same: nanoseconds of parse and
 * pass_request, best of several rounds. The scan before is bench_parse's. A timing, not a test. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "gateway/dialects/openai.h"

#define ROUNDS 9

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void on_text(void *ctx, enum chat_role role, struct span text)
{
    *(size_t *)ctx += role == ROLE_USER ? text.n : 0;
}

static void once(struct span body, const struct target *target, struct arena *arena)
{
    static struct chat chat;
    struct fault fault;
    size_t seen = 0;
    const struct parse_spec spec = { .arena = arena, .on_text = on_text, .ctx = &seen, .fault = &fault };
    struct request_out out = { .arena = arena, .fault = &fault };

    chat_init(&chat, DIALECT_CHAT, body);
    if (!openai_parse(&chat, &spec) || !openai_pass_request(&chat, target, &out)) {
        fprintf(stderr, "bench-openai: %s\n", fault.message);
        exit(1);
    }
}

static void bench(const char *what, const struct buf *body)
{
    static const struct quirks quirks = { .stream_usage = STREAM_USAGE_ASK, .developer_role = true, .supports_json_schema = true,
                                          .supports_parallel = true, .tool_choice_required_word = "required" };
    const struct target target = { .model = SPAN_LIT("gpt-4.1"), .quirks = &quirks, .traits = traits_of(SPAN_LIT("gpt-4.1")),
                                   .output_cap = 4096 };
    const size_t repeats = 20000000 / (body->n + 2000) + 1;
    double best = 1e18;
    size_t used = 0;

    if (!buf_ok(body))
        exit(1);
    for (int i = 0; i < ROUNDS; i++) {
        const double start = now_ns();
        double ns;

        for (size_t k = 0; k < repeats; k++) {
            struct arena arena;

            arena_init(&arena, 64u << 20);
            once(buf_span(body), &target, &arena);
            used = arena.used_bytes;
            arena_free(&arena);
        }
        ns = (now_ns() - start) / (double)repeats;
        best = ns < best ? ns : best;
    }
    printf("%-34s %9zu bytes %10.0f ns %9zu bytes of arena\n", what, body->n, best, used);
}

#define BEFORE "{\"model\":\"auto\",\"stream\":true,\"messages\":[{\"role\":\"system\",\"content\":\"You answer briefly.\"}"
#define AFTER "],\"temperature\":0.7,\"top_p\":0.95,\"max_tokens\":512,\"user\":\"team-7\"}"

static void bench_messages(const char *what, size_t n, const char *text, size_t times)
{
    struct buf b;

    buf_init(&b, 64u << 20);
    buf_add_str(&b, BEFORE);
    for (size_t i = 0; i < n; i++) {
        buf_printf(&b, ",{\"role\":\"%s\",\"content\":\"", i % 2 ? "assistant" : "user");
        for (size_t k = 0; k < times; k++)
            buf_add_str(&b, text);
        buf_add_str(&b, "\"}");
    }
    buf_add_str(&b, AFTER);
    bench(what, &b);
    buf_free(&b);
}

static void bench_tools(const char *what, size_t turns, size_t tools)
{
    struct buf b;

    buf_init(&b, 64u << 20);
    buf_add_str(&b, BEFORE);
    for (size_t i = 0; i < turns; i++)
        buf_printf(&b, ",{\"role\":\"user\",\"content\":\"And %zu?\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{"
                   "\"id\":\"call_%zu\",\"type\":\"function\",\"function\":{\"name\":\"f%zu\",\"arguments\":\"{\\\"city\\\":"
                   "\\\"Paris\\\",\\\"days\\\":3}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"call_%zu\",\"content\":\"{\\\"sky\\\":"
                   "\\\"clear\\\"}\"}", i, i, tools ? i % tools : 0, i);
    buf_add_str(&b, "],\"tools\":[");
    for (size_t i = 0; i < tools; i++)
        buf_printf(&b, "%s{\"type\":\"function\",\"function\":{\"name\":\"f%zu\",\"description\":\"Says something.\",\"parameters\":"
                   "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"},\"days\":{\"type\":\"integer\"}},"
                   "\"required\":[\"city\"]}}}", i ? "," : "", i);
    buf_add_str(&b, "]}");
    bench(what, &b);
    buf_free(&b);
}

static void bench_picture(size_t times)
{
    struct buf b;

    buf_init(&b, 64u << 20);
    buf_add_str(&b, BEFORE ",{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"What is this?\"},{\"type\":\"image_url\","
                           "\"image_url\":{\"url\":\"data:image/png;base64,");
    for (size_t k = 0; k < times; k++)
        buf_add_str(&b, "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAAAAAA");
    buf_add_str(&b, "\"}}]}" AFTER);
    bench("a picture of 1 MiB", &b);
    buf_free(&b);
}

int main(void)
{
    bench_messages("1 turn, 1 KiB", 1, "What is the capital of France? ", 30);
    bench_messages("20 turns of 1 KiB", 20, "A line of prose, and then its end.\\n", 28);
    bench_messages("2 turns of 64 KiB", 2, "    if (x[\\\"a\\\"] > 3)\\n\\t\\treturn \\\"y\\\";\\n", 1400);
    bench_messages("2,000 turns of 30 bytes", 2000, "What is the capital of France? ", 1);
    bench_tools("1 turn with 5 tools", 1, 5);
    bench_tools("40 turns of tool calls, 20 tools", 40, 20);
    bench_picture(20000);
    return 0;
}
