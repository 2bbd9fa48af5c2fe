/* fuzz_request.c - a caller's request in any dialect, for providers of every dialect. The first byte chooses the caller's dialect
 * and the provider's model; the rest is the body.
 *
 * Promises: a body that is refused is refused with 400 (or 503 for want of memory) and words; what passes is JSON; what `takes`
 * takes can be written; what is written is JSON, and the dialect's own parse of it finds nothing wrong. */
#include <string.h>

#include "base/jscan.h"
#include "gateway/dialects/dialect.h"
#include "tests/fuzz/fuzz.h"

static const struct quirks quirks = { .supports_json_schema = true, .supports_parallel = true, .reasoning_field = REASONING_CONTENT,
                                      .tool_choice_required_word = "required" };
static const struct traits traits[] = {
    { .thinking = THINKING_EFFORT, .thinking_off = true, .sampling = true, .penalties = true, .stop = true, .prefill = true,
      .url_media = true, .schema = true, .forced_tools = true },
    { .thinking = THINKING_ADAPTIVE, .efforts = "low high", .stop = true },
    { .thinking = THINKING_BUDGET, .thinking_off = true, .budget_least = 1024, .budget_most = 8192, .sampling = true, .stop = true,
      .prefill = true, .url_media = true },
    { .thinking = THINKING_LEVEL, .efforts = "low high", .sampling = true, .stop = true, .schema = true, .prefill = true },
    { .thinking = THINKING_DEEPSEEK, .thinking_off = true, .efforts = "low high max", .sampling = true, .stop = true },
    { .thinking = THINKING_NONE },
};
#define N_TRAITS (sizeof traits / sizeof traits[0])
static const enum dialect_id dialects[] = { DIALECT_CHAT, DIALECT_RESPONSES, DIALECT_ANTHROPIC, DIALECT_GEMINI };

static bool is_json(struct span text)
{
    static const struct jscan_limits wide = { .depth = 2000, .values = 10000000, .key_bytes = 1 << 20, .number_bytes = 1 << 20 };
    static struct jscan *s;

    if (!s)
        s = jscan_new(&wide, 7);
    FUZZ_CHECK(s);
    jscan_reset(s);
    return jscan_feed(s, text) != JSCAN_BAD && jscan_end(s) == JSCAN_DONE;
}

static void begin(struct chat *chat, enum dialect_id id, struct span body)
{
    chat_init(chat, id, body);
    if (id == DIALECT_GEMINI)    /* it stands in the path */
        chat->model = SPAN_LIT("m");
}

/* What a gateway remembers of its answers, by the last digit of the id. */
static bool recall_item(void *ctx, struct span id, struct span *json)
{
    static const char *const items[] = {
        "{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"a \\u00e9\"}]}",
        "{\"type\":\"function_call\",\"call_id\":\"c1\",\"name\":\"f\",\"arguments\":\"{}\"}",
        "{\"type\":\"custom_tool_call\",\"call_id\":\"c2\",\"name\":\"p\",\"input\":\"x\"}",
    };
    const size_t i = (size_t)(id.p[id.n - 1] - '0');

    *json = i < 3 ? span_str(items[i]) : SPAN_NONE;
    return i < 9 || fault_set(ctx, 503, "server_error", "overloaded", NULL, "Full.");
}

static void read_again(enum dialect_id id, struct span body)
{
    struct arena arena;
    struct fault fault = { .status = 0 };
    const struct parse_spec spec = { .arena = &arena, .fault = &fault };
    struct chat chat;

    arena_init(&arena, 16u << 20);
    begin(&chat, id, body);
    if (!dialect_get(id)->parse(&chat, &spec)) {
        fprintf(stderr, "%s refuses what we wrote for it: %s\n%.*s\n", dialect_get(id)->name, fault.message, SPAN_FMT(body));
        FUZZ_CHECK(fault.status == 503);
    }
    arena_free(&arena);
}

static void translate(const struct chat *chat, const struct dialect *to, const struct target *target, struct arena *arena)
{
    struct fault fault = { .status = 0 };
    struct buf body;
    struct request_out out = { .arena = arena, .body = &body, .fault = &fault };

    if (!to->takes(chat, target, &fault)) {
        FUZZ_CHECK(fault.status == 400 && fault.message[0]);
        return;
    }
    buf_init(&body, 8u << 20);
    if (to->write_request(chat, target, &out)) {
        FUZZ_CHECK(is_json(buf_span(&body)));
        read_again(to->id, buf_span(&body));
    } else {
        FUZZ_CHECK(fault.status == 503 || (fault.status == 400 && strcmp(fault.param, "tools") == 0));    /* names that meet */
    }
    buf_free(&body);
}

static void pass(const struct chat *chat, const struct dialect *d, const struct target *target, struct arena *arena)
{
    struct fault fault = { .status = 0 };
    struct buf body, joined;
    struct request_out out = { .arena = arena, .body = &body, .fault = &fault };

    buf_init(&body, 8u << 20);
    buf_init(&joined, 8u << 20);
    if (d->pass_request(chat, target, &out)) {
        for (size_t i = 0; i < out.n_pieces; i++)
            buf_add_span(&joined, out.pieces[i]);
        FUZZ_CHECK(is_json(buf_span(&joined)));
    } else {
        FUZZ_CHECK(fault.status == 503 || fault.status == 400);
    }
    buf_free(&body);
    buf_free(&joined);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct span body = { (const char *)data + 1, size ? size - 1 : 0 };
    struct fault fault = { .status = 0 };
    struct arena arena;
    const struct recall recall = { recall_item, &fault };
    const struct parse_spec spec = { .arena = &arena, .recall = &recall, .fault = &fault };
    const size_t choice = size ? data[0] : 0;
    const enum dialect_id from = dialects[choice % 4];
    struct target target = { .model = SPAN_LIT("model-x"), .quirks = &quirks, .traits = &traits[choice / 4 % N_TRAITS],
                             .family = FAMILY_NONE, .max_output = 64000, .output_cap = choice & 0x80 ? 2000 : 0 };
    struct chat chat;

    if (size < 2 || !is_json(body))
        return 0;
    arena_init(&arena, 16u << 20);
    begin(&chat, from, body);
    if (!dialect_get(from)->parse(&chat, &spec)) {
        FUZZ_CHECK((fault.status == 400 || fault.status == 503) && fault.message[0]);
        arena_free(&arena);
        return 0;
    }
    for (size_t i = 0; i < 4; i++) {
        static const enum family families[] = { FAMILY_OPENAI, FAMILY_OPENAI, FAMILY_ANTHROPIC, FAMILY_GEMINI };

        target.family = families[i];
        if (dialects[i] == from)
            pass(&chat, dialect_get(from), &target, &arena);
        else
            translate(&chat, dialect_get(dialects[i]), &target, &arena);
    }
    arena_free(&arena);
    return 0;
}
