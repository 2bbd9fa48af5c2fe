/* mock_answer.c - chat completions as OpenAI writes them, and as it never would. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "tests/mock/mock_script.h"

#define REFUSAL "I'm sorry, but I can't help with that request."
#define FILLER_AT 8192    /* longer texts are made while sending */

const char *mock_status_text(long status)
{
    switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 402: return "Payment Required";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 429: return "Too Many Requests";
    case 500: return "Internal Server Error";
    case 503: return "Service Unavailable";
    default:  return "Whatever";
    }
}

static bool calls_tool(const struct mock_script *s) { return s->tool[0] != '\0'; }

static const char *finish_of(const struct mock_script *s)
{
    return s->finish[0] ? s->finish : calls_tool(s) ? "tool_calls" : "stop";
}

static const char *args_of(const struct mock_script *s)
{
    return s->badargs ? "{\"city\": " : s->args[0] ? s->args : "{\"city\":\"Paris\"}";
}

/* The literal text, "" when it is `bytes` of filler. */
static const char *text_of(const struct mock_script *s)
{
    return s->refuse ? REFUSAL : s->badutf8 ? "caf\xc3(\xff" : s->text;
}

size_t mock_text_bytes(const struct mock_script *s)
{
    return s->empty || calls_tool(s) || *text_of(s) || s->bytes <= FILLER_AT ? 0 : (size_t)s->bytes;
}

static void add_filler(struct buf *b, size_t n)
{
    static const char words[] = "the quick brown fox jumps over the lazy dog and so on until the end of it all ";

    while (n) {
        const size_t k = n < sizeof(words) - 1 ? n : sizeof(words) - 1;

        buf_add(b, words, k);
        n -= k;
    }
}

static void add_text(struct buf *b, const char *text)    /* as a JSON string body; bad UTF-8 stays bad */
{
    struct buf quoted;

    buf_init(&quoted, 65536);
    buf_add_json(&quoted, span_str(text));
    buf_add(b, quoted.p + 1, quoted.n - 2);
    buf_free(&quoted);
}

static void add_usage(const struct mock_script *s, struct buf *b)
{
    const long in = s->in != MOCK_OFF ? s->in : 10, out = s->out != MOCK_OFF ? s->out : 5;
    const char *kind = s->usage;
    long total;

    if (__builtin_add_overflow(in, out, &total))    /* a script may ask for counters beyond belief */
        total = LONG_MAX;
    if (!strcmp(kind, "negative"))
        buf_add_str(b, "{\"prompt_tokens\":-10,\"completion_tokens\":-5,\"total_tokens\":-15}");
    else if (!strcmp(kind, "huge"))
        buf_add_str(b, "{\"prompt_tokens\":9223372036854775807,\"completion_tokens\":9223372036854775807,\"total_tokens\":1}");
    else if (!strcmp(kind, "beyond"))
        buf_add_str(b, "{\"prompt_tokens\":99999999999999999999999,\"completion_tokens\":5,\"total_tokens\":1}");
    else if (!strcmp(kind, "float"))
        buf_add_str(b, "{\"prompt_tokens\":10.5,\"completion_tokens\":1e2,\"total_tokens\":15.5}");
    else if (!strcmp(kind, "string"))
        buf_add_str(b, "{\"prompt_tokens\":\"10\",\"completion_tokens\":\"5\",\"total_tokens\":\"15\"}");
    else if (!strcmp(kind, "null"))
        buf_add_str(b, "null");
    else if (!strcmp(kind, "empty"))
        buf_add_str(b, "{}");
    else if (!strcmp(kind, "deepseek"))
        buf_printf(b, "{\"prompt_tokens\":%ld,\"completion_tokens\":%ld,\"total_tokens\":%ld,\"prompt_cache_hit_tokens\":%ld,"
                   "\"prompt_cache_miss_tokens\":%ld}", in, out, total, s->cached > 0 ? s->cached : 0,
                   in - (s->cached > 0 ? s->cached : 0));
    else
        buf_printf(b, "{\"prompt_tokens\":%ld,\"completion_tokens\":%ld,\"total_tokens\":%ld,"
                   "\"prompt_tokens_details\":{\"cached_tokens\":%ld},"
                   "\"completion_tokens_details\":{\"reasoning_tokens\":0}}",
                   in, out, total, s->cached != MOCK_OFF ? s->cached : 0);
}

static void add_tool_calls(const struct mock_script *s, struct buf *b)
{
    buf_add_str(b, "\"tool_calls\":[");
    for (long i = 0; i < s->tools; i++) {
        buf_printf(b, "%s{\"id\":\"call_mock%ld\",\"type\":\"function\",\"function\":{\"name\":\"%s\",\"arguments\":",
                   i ? "," : "", i, s->tool);
        buf_add_json(b, span_str(args_of(s)));
        buf_add_str(b, "}}");
    }
    buf_add_str(b, "]");
}

void mock_answer_json(const struct mock_script *s, struct buf *b, struct buf *after)
{
    buf_printf(b, "{\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion\",\"created\":1764000000,\"model\":\"%s\","
               "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",", s->model);
    if (s->reasoning > 0) {
        buf_add_str(b, "\"reasoning_content\":\"");
        add_filler(b, (size_t)s->reasoning);
        buf_add_str(b, "\",");
    }
    buf_add_str(b, calls_tool(s) ? "\"content\":null,\"refusal\":null" : "\"refusal\":null,\"content\":\"");
    if (calls_tool(s)) {
        buf_add_str(b, ",");
        add_tool_calls(s, b);
    } else if (*text_of(s)) {
        add_text(b, text_of(s));
    } else if (!s->empty && !mock_text_bytes(s)) {
        add_filler(b, (size_t)s->bytes);
    }
    buf_add_str(after, calls_tool(s) ? "}," : "\"},");
    if (s->malformed) {
        buf_add_str(after, "\"finish_reason\":");
        return;
    }
    buf_printf(after, "\"logprobs\":null,\"finish_reason\":\"%s\"}]", finish_of(s));
    if (strcmp(s->usage, "none")) {
        buf_add_str(after, ",\"usage\":");
        add_usage(s, after);
    }
    buf_add_str(after, ",\"system_fingerprint\":\"fp_mock\"}");
}

void mock_answer_error(const struct mock_script *s, struct buf *b)
{
    const char *type = s->type[0] ? s->type
        : s->status == 429 ? "rate_limit_error" : s->status >= 500 ? "server_error"
        : s->status == 401 ? "authentication_error" : "invalid_request_error";
    const char *message = s->message[0] ? s->message : "the mock was told to fail";

    if (!strcmp(s->error_body, "empty"))
        return;
    if (!strcmp(s->error_body, "html")) {
        buf_printf(b, "<html><body><h1>%ld %s</h1></body></html>", s->status, mock_status_text(s->status));
        return;
    }
    if (!strcmp(s->error_body, "flat")) {
        buf_add_str(b, "{\"object\":\"error\",\"message\":");
        buf_add_json(b, span_str(message));
        buf_printf(b, ",\"type\":\"%s\",\"param\":null,\"code\":%ld}", type, s->status);
        return;
    }
    if (!strcmp(s->error_body, "code_error")) {
        buf_printf(b, "{\"code\":\"%s\",\"error\":", s->code[0] ? s->code : type);
        buf_add_json(b, span_str(message));
        buf_add_str(b, "}");
        return;
    }
    buf_add_str(b, "{\"error\":{\"message\":");
    buf_add_json(b, span_str(message));
    buf_printf(b, ",\"type\":\"%s\",\"param\":null,\"code\":", type);
    if (s->code[0])
        buf_add_json(b, span_str(s->code));
    else
        buf_add_str(b, "null");
    buf_add_str(b, "}}");
}

/* ---- streaming: role | reasoning* | text or tool pieces * chunks | finish | usage? | [DONE]? ---- */

static size_t n_reasoning(const struct mock_script *s) { return s->reasoning > 0 ? 1 : 0; }
static size_t n_pieces(const struct mock_script *s) { return s->chunks > 0 ? (size_t)s->chunks : 0; }
static bool has_usage(const struct mock_script *s)
{
    if (!strcmp(s->usage, "none"))
        return false;
    return s->stream_usage || s->usage[0] || s->in != MOCK_OFF;
}

size_t mock_events(const struct mock_script *s)
{
    return 1 + n_reasoning(s) + n_pieces(s) + 1 + (has_usage(s) ? 1 : 0) + (s->nodone ? 0 : 1);
}

static void event_open(const struct mock_script *s, struct buf *b)
{
    buf_printf(b, "data: {\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion.chunk\",\"created\":1764000000,"
               "\"model\":\"%s\",\"choices\":[", s->model);
}

static void event_close(const struct mock_script *s, struct buf *b)
{
    if (has_usage(s))
        buf_add_str(b, ",\"usage\":null");
    buf_add_str(b, s->crlf ? "}\r\n\r\n" : "}\n\n");
}

static size_t whole_characters(const char *text, size_t at)    /* the boundary at or after `at` */
{
    while (((unsigned char)text[at] & 0xc0) == 0x80)
        at++;
    return at;
}

/* Piece i of n of a literal text. */
static void add_part(struct buf *b, const char *text, size_t i, size_t n)
{
    const size_t len = strlen(text);
    const size_t from = whole_characters(text, len * i / n), to = whole_characters(text, len * (i + 1) / n);
    char part[4096];

    memcpy(part, text + from, to - from);
    part[to - from] = '\0';
    add_text(b, part);
}

static void tool_piece(const struct mock_script *s, size_t i, struct buf *b)
{
    const size_t n = n_pieces(s) > (size_t)s->tools ? n_pieces(s) / (size_t)s->tools : 1;    /* pieces a call */
    const size_t call = i / n, k = i % n;

    buf_add_str(b, "{\"index\":0,\"delta\":{");
    if (call < (size_t)s->tools) {
        buf_printf(b, "\"tool_calls\":[{\"index\":%zu,", call);
        if (k == 0)
            buf_printf(b, "\"id\":\"call_mock%zu\",\"type\":\"function\",\"function\":{\"name\":\"%s\",\"arguments\":\"",
                       call, s->tool);
        else
            buf_add_str(b, "\"function\":{\"arguments\":\"");
        add_part(b, args_of(s), k, n);
        buf_add_str(b, "\"}}]");
    }
    buf_add_str(b, "},\"finish_reason\":null}]");
}

static void text_piece(const struct mock_script *s, size_t i, struct buf *b)
{
    const char *text = text_of(s);

    buf_add_str(b, "{\"index\":0,\"delta\":{\"content\":\"");
    if (s->stamp)
        buf_printf(b, "@%lld000@", (long long)clock_mono_us());
    if (s->bigline > 0 && i == 0)
        add_filler(b, (size_t)s->bigline);
    else if (*text)
        add_part(b, text, i, n_pieces(s));
    else if (!s->empty)
        add_filler(b, (size_t)s->bytes);
    buf_add_str(b, "\"},\"logprobs\":null,\"finish_reason\":null}]");
}

void mock_answer_event(const struct mock_script *s, size_t i, struct buf *b)
{
    const size_t pieces_at = 1 + n_reasoning(s), finish_at = pieces_at + n_pieces(s);

    if (s->late_error >= 0 && i == (size_t)s->late_error + pieces_at) {
        buf_add_str(b, "data: ");
        mock_answer_error(s, b);
        buf_add_str(b, s->crlf ? "\r\n\r\n" : "\n\n");
        return;
    }
    if (i == finish_at + 1 + (has_usage(s) ? 1 : 0)) {
        buf_add_str(b, s->crlf ? "data: [DONE]\r\n\r\n" : "data: [DONE]\n\n");
        return;
    }
    event_open(s, b);
    if (i == finish_at + 1) {
        buf_add_str(b, "],\"usage\":");
        add_usage(s, b);
        buf_add_str(b, s->crlf ? "}\r\n\r\n" : "}\n\n");
        return;
    }
    if (i == 0)
        buf_printf(b, "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":%s},\"logprobs\":null,\"finish_reason\":null}]",
                   calls_tool(s) ? "null" : "\"\"");
    else if (i < pieces_at) {
        buf_add_str(b, "{\"index\":0,\"delta\":{\"reasoning_content\":\"");
        add_filler(b, (size_t)s->reasoning);
        buf_add_str(b, "\"},\"finish_reason\":null}]");
    } else if (i < finish_at && calls_tool(s)) {
        tool_piece(s, i - pieces_at, b);
    } else if (i < finish_at) {
        text_piece(s, i - pieces_at, b);
    } else {
        buf_printf(b, "{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"%s\"}]", finish_of(s));
    }
    if (s->malformed && i == pieces_at)
        b->n -= 4;    /* cut inside the JSON */
    event_close(s, b);
}
