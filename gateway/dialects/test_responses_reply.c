/* test_responses_reply.c - what a Responses caller gets of another dialect's answer: events in the order that OpenAI's clients
 * expect, and the same response whole. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/dialects/sse.h"
#include "gateway/dialects/test_responses.h"

static const struct traits traits = { .thinking = THINKING_EFFORT };
static const struct target target = { .model = SPAN_LIT("m"), .traits = &traits, .family = FAMILY_DEEPSEEK };

/* ---- a provider's answer, as its reader tells it ---- */

enum step_kind { TEXT, REFUSAL, REASONING, SIGNATURE, REDACTED, CALL, CUSTOM, ARGUMENTS, CITATION, LOGPROBS, STOP };

struct step {
    enum step_kind kind;
    unsigned call;
    const char *a, *b;         /* text; CALL: id, name; CITATION: url, title */
};

struct replied {
    struct read r;
    struct draft d;
    struct writer *w;
    struct buf out, terminal;
    bool ok;
};

static void reply_begin(struct replied *p, const char *request)
{
    struct reply_info info;

    read_body(&p->r, request);
    assert_true(p->r.ok);
    buf_init(&p->out, 8u << 20);
    buf_init(&p->terminal, 8u << 20);
    info = (struct reply_info){ .id = SPAN_LIT("req_0123456789abcdefghijklmnop"), .created_s = 1700000000,
                                .model = SPAN_LIT("deepseek-v4-flash"), .chat = &p->r.chat, .prompt_estimate = 77 };
    p->w = responses_dialect.writer_new(&info, &p->out);
    assert_non_null(p->w);
    draft_init(&p->d);
    p->d.writer = p->w;
    p->ok = true;
}

static void reply_step(struct replied *p, const struct step *s)
{
    const struct span a = span_str(s->a), b = span_str(s->b);

    switch (s->kind) {
    case TEXT: p->ok &= draft_text(&p->d, 0, PIECE_TEXT, a); break;
    case REFUSAL: p->ok &= draft_text(&p->d, 0, PIECE_REFUSAL, a); break;
    case REASONING: p->ok &= draft_text(&p->d, 0, PIECE_REASONING, a); break;
    case SIGNATURE: p->ok &= draft_signature(&p->d, 0, -1, a, FAMILY_ANTHROPIC, false); break;
    case REDACTED: p->ok &= draft_signature(&p->d, 0, -1, a, FAMILY_ANTHROPIC, true); break;
    case CALL: p->ok &= draft_call(&p->d, 0, s->call, a, b, false); break;
    case CUSTOM: p->ok &= draft_call(&p->d, 0, s->call, a, b, true); break;
    case ARGUMENTS: p->ok &= draft_arguments(&p->d, 0, s->call, a); break;
    case CITATION: p->ok &= draft_citation(&p->d, 0, a, b, (int64_t)s->call, (int64_t)s->call + 2); break;
    case LOGPROBS: p->ok &= draft_logprobs(&p->d, 0, a); break;
    case STOP: break;
    }
}

static void reply_end(struct replied *p, enum finish finish)
{
    const struct usage u = { .input = 50, .cache_read = 40, .cache_write_5m = 10, .output = 30, .reasoning = 12 };

    draft_usage(&p->d, &u, false);
    draft_finish(&p->d, 0, finish, SPAN_NONE);
    p->ok &= responses_dialect.writer_end(p->w, &p->d, &p->terminal);
}

static void reply_done(struct replied *p)
{
    responses_dialect.writer_free(p->w);
    draft_free(&p->d);
    buf_free(&p->out);
    buf_free(&p->terminal);
    read_done(&p->r);
}

static void reply(struct replied *p, const char *request, const struct step *steps, enum finish finish)
{
    reply_begin(p, request);
    for (; steps->kind != STOP; steps++)
        reply_step(p, steps);
    reply_end(p, finish);
    assert_true(p->ok);
}

/* ---- the form, byte for byte ---- */

#define ID "0123456789abcdefghijklmnop"
#define ECHO_HEAD(status, rest) "{\"id\":\"resp_" ID "\",\"object\":\"response\",\"created_at\":1700000000,\"status\":\"" status \
    "\",\"background\":false,\"completed_at\":null,\"error\":null,\"incomplete_details\":null,\"conversation\":null," rest
#define ECHO_PLAIN "\"instructions\":null,\"max_output_tokens\":null,\"max_tool_calls\":null,\"metadata\":{}," \
    "\"model\":\"deepseek-v4-flash\",\"output\":["
#define ECHO_TAIL "],\"parallel_tool_calls\":true,\"previous_response_id\":null,\"prompt_cache_key\":null,\"reasoning\":{" \
    "\"effort\":null,\"summary\":\"auto\"},\"safety_identifier\":null,\"service_tier\":null,\"store\":false,\"temperature\":null," \
    "\"text\":{\"format\":{\"type\":\"text\"},\"verbosity\":\"medium\"},\"tool_choice\":\"auto\",\"tools\":[],\"top_logprobs\":0," \
    "\"top_p\":null,\"truncation\":\"disabled\",\"usage\":"
#define IN_PROGRESS ECHO_HEAD("in_progress", ECHO_PLAIN) ECHO_TAIL "null,\"user\":null}"
#define USAGE "{\"input_tokens\":100,\"input_tokens_details\":{\"cache_write_tokens\":10,\"cached_tokens\":40}," \
    "\"output_tokens\":30,\"output_tokens_details\":{\"reasoning_tokens\":12},\"total_tokens\":130}"
#define RS "\"id\":\"rs_" ID "_0\",\"type\":\"reasoning\""
#define MSG(status) "\"id\":\"msg_" ID "_1\",\"type\":\"message\",\"status\":\"" status "\""
#define FC(status) "\"id\":\"fc_" ID "_2\",\"type\":\"function_call\",\"status\":\"" status "\""
#define FC_END "\"call_id\":\"call_1\",\"name\":\"get\""
#define EVENT(type, n, rest) "event: " type "\ndata: {\"type\":\"" type "\",\"sequence_number\":" n "," rest "}\n\n"
#define AT(kind, index) "\"item_id\":\"" kind "_" ID "_" index "\",\"output_index\":" index
#define DONE_RS "{" RS ",\"summary\":[{\"type\":\"summary_text\",\"text\":\"Hm \\u00e9\"}]}"
#define PART(text) "{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":\"" text "\"}"
#define DONE_MSG "{" MSG("completed") ",\"content\":[" PART("Hello") "],\"role\":\"assistant\"}"
#define DONE_FC "{" FC("completed") ",\"arguments\":\"{\\\"n\\\":9007199254740993}\"," FC_END "}"

static const struct step usual[] = {
    { REASONING, 0, "Hm", NULL }, { REASONING, 0, " \\u00e9", NULL }, { TEXT, 0, "Hel", NULL }, { TEXT, 0, "lo", NULL },
    { CALL, 0, "call_1", "get" }, { ARGUMENTS, 0, "{\\\"n\\\":", NULL }, { ARGUMENTS, 0, "9007199254740993}", NULL },
    { STOP, 0, NULL, NULL }
};

static void a_stream_has_the_events_that_clients_expect(void **state)
{
    struct replied p;

    (void)state;
    reply(&p, "{\"model\":\"m\",\"input\":\"Hi\",\"stream\":true,\"reasoning\":{\"summary\":\"auto\"}}", usual, FINISH_TOOL_CALLS);
    assert_string_equal(p.out.p,
        EVENT("response.created", "0", "\"response\":" IN_PROGRESS)
        EVENT("response.in_progress", "1", "\"response\":" IN_PROGRESS)
        EVENT("response.output_item.added", "2", "\"output_index\":0,\"item\":{" RS ",\"summary\":[]}")
        EVENT("response.reasoning_summary_part.added", "3", AT("rs", "0") ",\"summary_index\":0,\"part\":{\"type\":\"summary_text\",\"text\":\"\"}")
        EVENT("response.reasoning_summary_text.delta", "4", AT("rs", "0") ",\"summary_index\":0,\"delta\":\"Hm\"")
        EVENT("response.reasoning_summary_text.delta", "5", AT("rs", "0") ",\"summary_index\":0,\"delta\":\" \\u00e9\"")
        EVENT("response.reasoning_summary_text.done", "6", AT("rs", "0") ",\"summary_index\":0,\"text\":\"Hm \\u00e9\"")
        EVENT("response.reasoning_summary_part.done", "7", AT("rs", "0") ",\"summary_index\":0,\"part\":{\"type\":\"summary_text\",\"text\":\"Hm \\u00e9\"}")
        EVENT("response.output_item.done", "8", "\"output_index\":0,\"item\":" DONE_RS)
        EVENT("response.output_item.added", "9", "\"output_index\":1,\"item\":{" MSG("in_progress") ",\"content\":[],\"role\":\"assistant\"}")
        EVENT("response.content_part.added", "10", AT("msg", "1") ",\"content_index\":0,\"part\":" PART(""))
        EVENT("response.output_text.delta", "11", AT("msg", "1") ",\"content_index\":0,\"delta\":\"Hel\",\"logprobs\":[]")
        EVENT("response.output_text.delta", "12", AT("msg", "1") ",\"content_index\":0,\"delta\":\"lo\",\"logprobs\":[]")
        EVENT("response.output_text.done", "13", AT("msg", "1") ",\"content_index\":0,\"text\":\"Hello\",\"logprobs\":[]")
        EVENT("response.content_part.done", "14", AT("msg", "1") ",\"content_index\":0,\"part\":" PART("Hello"))
        EVENT("response.output_item.done", "15", "\"output_index\":1,\"item\":" DONE_MSG)
        EVENT("response.output_item.added", "16", "\"output_index\":2,\"item\":{" FC("in_progress") ",\"arguments\":\"\"," FC_END "}")
        EVENT("response.function_call_arguments.delta", "17", AT("fc", "2") ",\"delta\":\"{\\\"n\\\":\"")
        EVENT("response.function_call_arguments.delta", "18", AT("fc", "2") ",\"delta\":\"9007199254740993}\"")
        EVENT("response.function_call_arguments.done", "19", AT("fc", "2") ",\"arguments\":\"{\\\"n\\\":9007199254740993}\",\"name\":\"get\"")
        EVENT("response.output_item.done", "20", "\"output_index\":2,\"item\":" DONE_FC));
    assert_string_equal(p.terminal.p,
        EVENT("response.completed", "21", "\"response\":" ECHO_HEAD("completed", ECHO_PLAIN) DONE_RS "," DONE_MSG "," DONE_FC
              ECHO_TAIL USAGE ",\"user\":null}"));
    reply_done(&p);
}

static void a_whole_answer_is_the_streams_last_response(void **state)
{
    struct replied p;

    (void)state;
    reply(&p, "{\"model\":\"m\",\"input\":\"Hi\",\"reasoning\":{\"summary\":\"auto\"}}", usual, FINISH_TOOL_CALLS);
    assert_string_equal(p.out.p, ECHO_HEAD("completed", ECHO_PLAIN) DONE_RS "," DONE_MSG "," DONE_FC ECHO_TAIL USAGE
                                 ",\"user\":null}");
    assert_int_equal(p.terminal.n, 0);
    reply_done(&p);
}

static void reasoning_is_said_but_not_shown_unasked(void **state)
{
    struct replied p;

    (void)state;
    reply(&p, "{\"model\":\"m\",\"input\":\"Hi\",\"stream\":true}", usual, FINISH_STOP);
    assert_null(strstr(p.out.p, "reasoning_summary"));
    assert_non_null(strstr(p.terminal.p, "\"output\":[{" RS ",\"summary\":[]},"));
    assert_null(strstr(p.terminal.p, "Hm"));
    reply_done(&p);
}

/* ---- the echo ---- */

static void what_was_asked_is_said_again(void **state)
{
    static const char request[] =
        "{\"model\":\"m\",\"input\":\"Hi\",\"stream\":true,\"instructions\":\"Be\\nbrief\",\"max_output_tokens\":99,\"max_tool_calls\":3,"
        "\"metadata\":{\"a\":\"b\"},\"parallel_tool_calls\":false,\"prompt_cache_key\":\"k\",\"reasoning\":{\"effort\":\"low\"},"
        "\"safety_identifier\":\"s\",\"temperature\":0.50,\"text\":{\"verbosity\":\"low\",\"format\":{\"type\":\"json_object\"}},"
        "\"tool_choice\":{\"type\":\"function\",\"name\":\"f\"},\n\"tools\":[\n {\"type\":\"function\",\"name\":\"f\"}\r\n],"
        "\"top_logprobs\":2,\"top_p\":1,\"truncation\":\"auto\",\"user\":\"u\",\"store\":true}";
    static const char *const echoes[] = {
        "\"instructions\":\"Be\\nbrief\"", "\"max_output_tokens\":99", "\"max_tool_calls\":3", "\"metadata\":{\"a\":\"b\"}",
        "\"parallel_tool_calls\":false", "\"prompt_cache_key\":\"k\"", "\"reasoning\":{\"effort\":\"low\",\"summary\":null}",
        "\"safety_identifier\":\"s\"", "\"temperature\":0.50",
        "\"text\":{\"format\":{\"type\":\"json_object\"},\"verbosity\":\"low\"}",
        "\"tool_choice\":{\"type\":\"function\",\"name\":\"f\"}", "\"tools\":[  {\"type\":\"function\",\"name\":\"f\"}  ]",
        "\"top_logprobs\":2", "\"top_p\":1", "\"truncation\":\"auto\"", "\"user\":\"u\"",
        "\"store\":false",     /* nothing is stored, whatever was asked (openai-responses section 8) */
    };
    static const struct step none[] = { { TEXT, 0, "x", NULL }, { STOP, 0, NULL, NULL } };
    struct replied p;

    (void)state;
    reply(&p, request, none, FINISH_STOP);
    for (size_t i = 0; i < sizeof echoes / sizeof echoes[0]; i++) {
        if (!strstr(p.terminal.p, echoes[i]))
            print_error("no %s\n", echoes[i]);
        assert_non_null(strstr(p.terminal.p, echoes[i]));
        assert_non_null(strstr(p.out.p, echoes[i]));
    }
    reply_done(&p);
}

static void what_is_very_large_is_not_said_three_times(void **state)
{
    static const struct step one[] = { { TEXT, 0, "x", NULL }, { STOP, 0, NULL, NULL } };
    struct replied p;
    struct buf request;

    (void)state;
    buf_init(&request, 1u << 20);
    buf_add_str(&request, "{\"model\":\"m\",\"input\":\"Hi\",\"stream\":true,\"instructions\":\"");
    for (int i = 0; i < 300000; i++)
        buf_add_char(&request, 'x');
    buf_add_str(&request, "\"}");
    reply(&p, request.p, one, FINISH_STOP);
    assert_non_null(strstr(p.out.p, "\"instructions\":null"));
    assert_true(p.out.n < 16384);
    reply_done(&p);
    buf_free(&request);
}

/* ---- ends ---- */

static void the_end_says_why(void **state)
{
    static const struct { enum finish finish; const char *event, *status; } table[] = {
        { FINISH_STOP, "event: response.completed\n", "\"status\":\"completed\",\"background\":false,\"completed_at\":null,\"error\":null,\"incomplete_details\":null" },
        { FINISH_TOOL_CALLS, "event: response.completed\n", "\"status\":\"completed\"" },
        { FINISH_OTHER, "event: response.completed\n", "\"status\":\"completed\"" },
        { FINISH_NONE, "event: response.completed\n", "\"status\":\"completed\"" },
        { FINISH_LENGTH, "event: response.incomplete\n", "\"incomplete_details\":{\"reason\":\"max_output_tokens\"}" },
        { FINISH_FILTERED, "event: response.incomplete\n", "\"incomplete_details\":{\"reason\":\"content_filter\"}" },
        { FINISH_INTERRUPTED, "event: response.failed\n", "\"error\":{\"code\":\"server_error\",\"message\":\"" },
    };
    static const struct step one[] = { { TEXT, 0, "x", NULL }, { STOP, 0, NULL, NULL } };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const bool whole = table[i].finish == FINISH_STOP || table[i].finish == FINISH_TOOL_CALLS ||
                           table[i].finish == FINISH_OTHER || table[i].finish == FINISH_NONE;
        struct replied p;

        reply(&p, "{\"model\":\"m\",\"input\":\"Hi\",\"stream\":true}", one, table[i].finish);
        assert_true(span_starts(buf_span(&p.terminal), span_str(table[i].event)));
        assert_non_null(strstr(p.terminal.p, table[i].status));
        /* the item that was cut is no whole one */
        assert_true((strstr(p.out.p, "\"type\":\"message\",\"status\":\"incomplete\"") == NULL) == whole);
        reply_done(&p);
    }
}

static void usage_that_was_not_reported_is_estimated(void **state)
{
    struct replied p;
    struct step one = { TEXT, 0, "12345", NULL };

    (void)state;
    reply_begin(&p, "{\"model\":\"m\",\"input\":\"Hi\"}");
    reply_step(&p, &one);
    draft_finish(&p.d, 0, FINISH_STOP, SPAN_NONE);
    assert_true(responses_dialect.writer_end(p.w, &p.d, &p.terminal));
    assert_non_null(strstr(p.out.p, "\"usage\":{\"input_tokens\":77,\"input_tokens_details\":{\"cache_write_tokens\":0,\"cached_tokens\":0},"
                                    "\"output_tokens\":2,\"output_tokens_details\":{\"reasoning_tokens\":0},\"total_tokens\":79}"));
    reply_done(&p);
}

static void an_empty_answer_is_a_whole_stream_too(void **state)
{
    static const struct step none[] = { { STOP, 0, NULL, NULL } };
    struct replied p;

    (void)state;
    reply(&p, "{\"model\":\"m\",\"input\":\"Hi\",\"stream\":true}", none, FINISH_STOP);
    assert_true(span_starts(buf_span(&p.out), SPAN_LIT("event: response.created\n")));
    assert_non_null(strstr(p.terminal.p, "\"sequence_number\":2,"));
    assert_non_null(strstr(p.terminal.p, "\"output\":[]"));
    reply_done(&p);
}

/* ---- the last response's output ---- */

/* The `output` array of a whole answer, for shapes that the golden pair above does not have. */
static void assert_output(const char *request, const struct step *steps, const char *expected)
{
    struct replied p;
    struct span output;

    reply(&p, request, steps, FINISH_STOP);
    output = jval_get(buf_span(&p.out), "output");
    p.out.p[(size_t)(output.p - p.out.p) + output.n] = '\0';
    assert_string_equal(output.p, expected);
    reply_done(&p);
}

#define ASK "{\"model\":\"m\",\"input\":\"Hi\""
#define TEXT_ITEM(k, parts) "{\"id\":\"msg_" ID "_" k "\",\"type\":\"message\",\"status\":\"completed\",\"content\":[" parts "],\"role\":\"assistant\"}"
#define CALL_ITEM(k, id, name, args) "{\"id\":\"fc_" ID "_" k "\",\"type\":\"function_call\",\"status\":\"completed\",\"arguments\":\"" args \
                                     "\",\"call_id\":\"" id "\",\"name\":\"" name "\"}"

/* envoyproxy/ai-gateway#1911: text behind a call went into a block that was closed. */
static void text_behind_a_call_is_a_message_of_its_own(void **state)
{
    static const struct step steps[] = { { TEXT, 0, "a", NULL }, { CALL, 0, "c", "f" }, { ARGUMENTS, 0, "{}", NULL }, { TEXT, 0, "b", NULL },
                                         { STOP, 0, NULL, NULL } };

    (void)state;
    assert_output(ASK "}", steps, "[" TEXT_ITEM("0", PART("a")) "," CALL_ITEM("1", "c", "f", "{}") "," TEXT_ITEM("2", PART("b")) "]");
}

/* BerriAI/litellm#29491 and #25836: arguments lost on the way. */
static void pieces_of_calls_that_alternate_are_all_kept(void **state)
{
    static const struct step steps[] = { { CALL, 0, "c0", "f" }, { ARGUMENTS, 0, "{\\\"a\\\":", NULL }, { CALL, 1, "c1", "g" },
                                         { ARGUMENTS, 1, "{\\\"b\\\":", NULL }, { ARGUMENTS, 0, "1}", NULL }, { TEXT, 0, "t", NULL },
                                         { ARGUMENTS, 1, "2}", NULL }, { CALL, 2, "c2", "h" }, { STOP, 0, NULL, NULL } };

    (void)state;
    assert_output(ASK "}", steps, "[" CALL_ITEM("0", "c0", "f", "{\\\"a\\\":1}") "," CALL_ITEM("1", "c1", "g", "{\\\"b\\\":2}") ","
                  TEXT_ITEM("2", PART("t")) "," CALL_ITEM("3", "c2", "h", "{}") "]");
}

static void a_call_is_over_when_its_arguments_are_whole(void **state)
{
    static const struct step steps[] = { { CALL, 0, "c0", "f" }, { ARGUMENTS, 0, "{}", NULL }, { CALL, 1, "c1", "g" }, { STOP, 0, NULL, NULL } };
    const char *done, *next;
    struct replied p;

    (void)state;
    reply(&p, ASK ",\"stream\":true}", steps, FINISH_TOOL_CALLS);
    done = strstr(p.out.p, "event: response.output_item.done\n");
    next = strstr(p.out.p, "\"call_id\":\"c1\"");
    assert_true(done && next && done < next);
    reply_done(&p);
}

static void a_call_without_arguments_has_an_empty_object(void **state)
{
    static const struct step steps[] = { { CALL, 0, "c0", "f" }, { STOP, 0, NULL, NULL } };
    struct replied p;

    (void)state;
    reply(&p, ASK ",\"stream\":true}", steps, FINISH_TOOL_CALLS);
    assert_non_null(strstr(p.out.p, "\"delta\":\"{}\""));
    assert_non_null(strstr(p.out.p, "\"arguments\":\"{}\",\"name\":\"f\""));
    reply_done(&p);
}

static void other_kinds_of_items_are_written(void **state)
{
    static const struct step custom[] = { { CUSTOM, 0, "c0", "patch" }, { ARGUMENTS, 0, "*** \\n", NULL }, { STOP, 0, NULL, NULL } };
    static const struct step refusal[] = { { TEXT, 0, "Well", NULL }, { REFUSAL, 0, "No", NULL }, { REFUSAL, 0, "!", NULL }, { STOP, 0, NULL, NULL } };
    static const struct step cited[] = { { TEXT, 0, "h\\u00e9llo", NULL }, { CITATION, 1, "https://h/", "T" }, { CITATION, 3, "https://i/", "" },
                                         { STOP, 0, NULL, NULL } };
    static const struct step likely[] = { { LOGPROBS, 0, "[{\"token\":\"a\"}]", NULL }, { TEXT, 0, "a", NULL }, { TEXT, 0, "b", NULL },
                                          { LOGPROBS, 0, "[{\"token\":\"b\"}]", NULL }, { STOP, 0, NULL, NULL } };
    static const struct step hidden[] = { { REDACTED, 0, "zz", NULL }, { SIGNATURE, 0, "yy", NULL }, { TEXT, 0, "a", NULL }, { STOP, 0, NULL, NULL } };

    (void)state;
    assert_output(ASK "}", custom, "[{\"id\":\"ctc_" ID "_0\",\"type\":\"custom_tool_call\",\"status\":\"completed\",\"input\":\"*** \\n\","
                  "\"call_id\":\"c0\",\"name\":\"patch\"}]");
    assert_output(ASK "}", refusal, "[" TEXT_ITEM("0", PART("Well") ",{\"type\":\"refusal\",\"refusal\":\"No!\"}") "]");
    assert_output(ASK "}", cited, "[" TEXT_ITEM("0", "{\"type\":\"output_text\",\"annotations\":[{\"type\":\"url_citation\",\"start_index\":1,"
                  "\"end_index\":3,\"title\":\"T\",\"url\":\"https://h/\"},{\"type\":\"url_citation\",\"start_index\":3,\"end_index\":5,"
                  "\"title\":\"\",\"url\":\"https://i/\"}],\"logprobs\":[],\"text\":\"h\\u00e9llo\"}") "]");
    assert_output(ASK ",\"include\":[\"message.output_text.logprobs\"]}", likely, "[" TEXT_ITEM("0", "{\"type\":\"output_text\","
                  "\"annotations\":[],\"logprobs\":[{\"token\":\"a\"},{\"token\":\"b\"}],\"text\":\"ab\"}") "]");
    assert_output(ASK "}", likely, "[" TEXT_ITEM("0", PART("ab")) "]");    /* not asked for */
    /* another family's opaque text is nothing that OpenAI could read: the gateway keeps it */
    assert_output(ASK "}", hidden, "[{\"id\":\"rs_" ID "_0\",\"type\":\"reasoning\",\"summary\":[]}," TEXT_ITEM("1", PART("a")) "]");
}

static void a_call_of_a_namespace_comes_back_as_it_was_offered(void **state)
{
    static const struct step steps[] = { { CALL, 0, "c0", "fs__ls" }, { ARGUMENTS, 0, "{}", NULL }, { STOP, 0, NULL, NULL } };

    (void)state;
    assert_output(ASK ",\"tools\":[{\"type\":\"namespace\",\"name\":\"fs\",\"tools\":[{\"type\":\"function\",\"name\":\"ls\"}]}]}", steps,
                  "[{\"id\":\"fc_" ID "_0\",\"type\":\"function_call\",\"status\":\"completed\",\"arguments\":\"{}\",\"call_id\":\"c0\","
                  "\"name\":\"ls\",\"namespace\":\"fs\"}]");
}

/* ---- properties ---- */

/* Follows a stream as a client does: each event in its place, ids that agree, texts that are the sum of their pieces. */
struct follower {
    int64_t sequence;
    struct buf item[64], text[64];     /* by output_index: as done; the pieces */
    char id[64][80];
    bool added[64], done[64];
    size_t n;
    char part[64];             /* 't', 'r': the open part of each */
    int64_t parts[64];
};

static int64_t int_of(struct span json, const char *name)
{
    int64_t n = -1;

    assert_true(jval_int(jval_get(json, name), &n));
    return n;
}

static bool follow(void *ctx, const struct sse_event *e)
{
    struct follower *f = ctx;
    const struct span type = jval_raw(jval_get(e->data, "type"));
    const struct span item = jval_get(e->data, "item"), delta = jval_raw(jval_get(e->data, "delta"));
    const struct span id = jval_raw(jval_get(item.p ? item : e->data, item.p ? "id" : "item_id"));
    size_t at;

    assert_true(is_json(e->data));
    assert_true(span_eq(type, e->name));
    assert_int_equal(int_of(e->data, "sequence_number"), f->sequence++);
    if (jval_get(e->data, "response").p) {
        assert_true(f->sequence <= 2);
        return true;
    }
    at = (size_t)int_of(e->data, "output_index");
    assert_true(at < 64);
    if (span_is(type, "response.output_item.added")) {
        assert_int_equal(at, f->n);    /* clients push it onto a list */
        f->n++;
        f->added[at] = true;
        snprintf(f->id[at], sizeof f->id[at], "%.*s", SPAN_FMT(id));
        return true;
    }
    assert_true(f->added[at] && !f->done[at]);
    assert_true(span_is(id, f->id[at]));
    if (span_is(type, "response.content_part.added")) {
        assert_int_equal(f->part[at], 0);
        assert_int_equal(int_of(e->data, "content_index"), f->parts[at]);
        f->part[at] = jraw_is(jval_raw(jval_get(jval_get(e->data, "part"), "type")), "refusal") ? 'r' : 't';
        buf_clear(&f->text[at]);
    } else if (span_is(type, "response.content_part.done")) {
        assert_int_not_equal(f->part[at], 0);
        assert_true(span_eq(jval_raw(jval_get(jval_get(e->data, "part"), f->part[at] == 'r' ? "refusal" : "text")), buf_span(&f->text[at])));
        f->part[at] = 0;
        f->parts[at]++;
    } else if (span_ends(type, SPAN_LIT(".delta"))) {
        if (span_is(type, "response.output_text.delta"))
            assert_int_equal(f->part[at], 't');
        buf_add_span(&f->text[at], delta);
    } else if (span_is(type, "response.function_call_arguments.done")) {
        assert_true(span_eq(jval_raw(jval_get(e->data, "arguments")), buf_span(&f->text[at])));
    } else if (span_is(type, "response.output_item.done")) {
        assert_int_equal(f->part[at], 0);
        f->done[at] = true;
        buf_add_span(&f->item[at], item);
    }
    return true;
}

static void follow_stream(const struct replied *p)
{
    struct follower *f = calloc(1, sizeof *f);
    struct span response;
    struct sse s;
    size_t i = 0;

    for (size_t k = 0; k < 64; k++) {
        buf_init(&f->item[k], 1u << 20);
        buf_init(&f->text[k], 1u << 20);
    }
    sse_init(&s, 8u << 20);
    sse_feed(&s, buf_span(&p->out), follow, f);
    assert_int_equal(sse_rest(&s).n, 0);
    sse_free(&s);
    response = span_skip(buf_span(&p->terminal), span_find_span(buf_span(&p->terminal), SPAN_LIT("data: ")) + 6);
    assert_true(is_json(response));
    assert_int_equal(int_of(response, "sequence_number"), f->sequence);
    for (struct jiter it = jiter_begin(jval_get(jval_get(response, "response"), "output")); jiter_next(&it); i++)
        assert_true(f->done[i] && span_eq(it.value, buf_span(&f->item[i])));
    assert_int_equal(i, f->n);
    for (size_t k = 0; k < 64; k++) {
        buf_free(&f->item[k]);
        buf_free(&f->text[k]);
    }
    free(f);
}

static bool reread_event(void *ctx, const struct sse_event *e)
{
    return responses_dialect.read_event(ctx, e->name, e->data, &target);
}

static void assert_drafts_equal(struct draft *a, struct draft *b)
{
    assert_true(span_eq(buf_span(&a->text), buf_span(&b->text)));
    assert_true(span_eq(buf_span(&a->refusal), buf_span(&b->refusal)));
    assert_true(span_eq(buf_span(&a->reasoning), buf_span(&b->reasoning)));
    assert_int_equal(a->n_calls, b->n_calls);
    for (size_t i = 0; i < a->n_calls; i++) {
        assert_true(span_eq(buf_span(&a->calls[i].id), buf_span(&b->calls[i].id)));
        assert_true(span_eq(buf_span(&a->calls[i].name), buf_span(&b->calls[i].name)));
        assert_true(span_eq(buf_span(&a->calls[i].arguments), buf_span(&b->calls[i].arguments)));
        assert_true(a->calls[i].custom == b->calls[i].custom);
    }
    assert_int_equal(a->finish, b->finish);
    assert_memory_equal(&a->usage, &b->usage, sizeof a->usage);
    assert_true(a->ended && b->ended && !a->has_error && !b->has_error);
    assert_string_equal(a->id, b->id);
}

/* What we write is what we read, streamed or whole; and the texts are those that the provider gave. */
static void reread(const struct step *steps, enum finish finish)
{
    struct replied streamed, whole;
    struct draft a, b;
    struct sse s;

    reply(&streamed, ASK ",\"stream\":true,\"reasoning\":{\"summary\":\"auto\"}}", steps, finish);
    follow_stream(&streamed);
    reply(&whole, ASK ",\"reasoning\":{\"summary\":\"auto\"}}", steps, finish);
    assert_true(is_json(buf_span(&whole.out)));
    draft_init(&a);
    draft_init(&b);
    a.keep_reasoning = b.keep_reasoning = true;
    sse_init(&s, 8u << 20);
    sse_feed(&s, buf_span(&streamed.out), reread_event, &a);
    sse_feed(&s, buf_span(&streamed.terminal), reread_event, &a);
    sse_free(&s);
    assert_true(responses_dialect.read_whole(&b, buf_span(&whole.out), &target));
    assert_drafts_equal(&a, &b);
    assert_true(span_eq(buf_span(&a.text), buf_span(&streamed.d.text)));
    assert_true(span_eq(buf_span(&a.refusal), buf_span(&streamed.d.refusal)));
    draft_free(&a);
    draft_free(&b);
    reply_done(&streamed);
    reply_done(&whole);
}

static uint32_t next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 16;
}

static void any_order_of_pieces_is_written_well(void **state)
{
    static const char *const texts[] = { "a", "\\u00e9\\n", "\\\"quoted\\\"", "\xf0\x9f\x98\x80", " " };
    static const char *const arguments[] = { "{\\\"a\\\":1}", "{", "}", "\\\"x\\\":[]", "{}" };
    static const enum finish ends[] = { FINISH_STOP, FINISH_LENGTH, FINISH_FILTERED };
    uint32_t seed = 7;

    (void)state;
    for (int round = 0; round < 400; round++) {
        struct step steps[25];
        size_t n = next(&seed) % 24;

        for (size_t i = 0; i < n; i++) {
            const enum step_kind kind = (enum step_kind)(next(&seed) % STOP);
            const unsigned call = next(&seed) % 3;

            steps[i] = (struct step){ kind, call, texts[next(&seed) % 5], NULL };
            if (kind == CALL || kind == CUSTOM) {
                steps[i].kind = call == 2 ? CUSTOM : CALL;
                steps[i].a = call == 0 ? "c0" : call == 1 ? "c1" : "c2";
                steps[i].b = "f";
            } else if (kind == ARGUMENTS) {
                steps[i].a = arguments[next(&seed) % 5];
            } else if (kind == CITATION) {
                steps[i].b = "T";
            } else if (kind == LOGPROBS) {
                steps[i].a = "[{\"token\":\"a\"}]";
            }
        }
        steps[n] = (struct step){ STOP, 0, NULL, NULL };
        reread(steps, ends[next(&seed) % 3]);
    }
}

static void disjoint_counters_survive_being_written_and_read(void **state)
{
    uint32_t seed = 3;

    (void)state;
    for (int round = 0; round < 200; round++) {
        struct usage u = { .input = next(&seed), .cache_read = next(&seed), .cache_write_5m = next(&seed), .output = next(&seed) };
        struct replied p;
        struct draft d;

        u.reasoning = u.output ? (int64_t)next(&seed) % u.output : 0;
        reply_begin(&p, ASK "}");
        draft_usage(&p.d, &u, false);
        draft_finish(&p.d, 0, FINISH_STOP, SPAN_NONE);
        assert_true(responses_dialect.writer_end(p.w, &p.d, &p.terminal));
        draft_init(&d);
        assert_true(responses_dialect.read_whole(&d, buf_span(&p.out), &target));
        assert_false(d.usage_mended);
        assert_memory_equal(&d.usage, &u, sizeof u);
        draft_free(&d);
        reply_done(&p);
    }
}

static void a_full_buffer_ends_the_answer_and_nothing_else(void **state)
{
    (void)state;
    for (size_t cap = 0; cap < 8000; cap += 53) {
        struct replied p;
        bool ok = true;

        reply_begin(&p, ASK ",\"stream\":true,\"reasoning\":{\"summary\":\"auto\"}}");
        buf_free(&p.out);
        buf_init(&p.out, cap);
        for (const struct step *s = usual; s->kind != STOP && ok; s++) {
            reply_step(&p, s);
            ok = p.ok;
        }
        assert_true(ok || p.d.failed);
        reply_done(&p);
    }
}

/* ---- faults ---- */

static void a_budgets_refusal_is_400_here(void **state)
{
    struct fault f;
    struct buf out;

    (void)state;
    buf_init(&out, 65536);
    fault_set(&f, 429, "insufficient_quota", "insufficient_quota", NULL, "Budget spent.");
    assert_int_equal(responses_dialect.fault_status(&f), 400);
    responses_dialect.write_fault(&f, SPAN_LIT("req_1"), &out);
    assert_string_equal(out.p, "{\"error\":{\"message\":\"Budget spent.\",\"type\":\"insufficient_quota\",\"param\":null,\"code\":"
                               "\"insufficient_quota\"}}");
    fault_set(&f, 429, "rate_limit_error", "rate_limit_exceeded", NULL, "Slow down.");
    assert_int_equal(responses_dialect.fault_status(&f), 429);
    fault_set(&f, 503, "server_error", "overloaded", NULL, "Busy.");
    assert_int_equal(responses_dialect.fault_status(&f), 503);
    buf_free(&out);
}

static void a_fault_in_a_stream_is_a_failed_response(void **state)
{
    struct follower *f = calloc(1, sizeof *f);
    struct fault fault;
    struct read r;
    struct buf out;
    struct sse s;
    struct draft d;

    (void)state;
    fault_set(&fault, 502, "server_error", "checks_failed", NULL, "No answer \"passed\" \xff.");
    read_body(&r, ASK ",\"stream\":true}");
    buf_init(&out, 65536);
    responses_dialect.write_stream_fault(&fault, SPAN_LIT("req_1"), &r.chat, false, &out);
    sse_init(&s, 65536);
    sse_feed(&s, buf_span(&out), follow, f);    /* two events, as a client wants them */
    assert_int_equal(f->sequence, 2);
    assert_true(span_starts(buf_span(&out), SPAN_LIT("event: response.created\n")));
    assert_non_null(strstr(out.p, "event: response.failed\n"));
    assert_non_null(strstr(out.p, "\"status\":\"failed\""));
    assert_non_null(strstr(out.p, "\"error\":{\"code\":\"checks_failed\",\"message\":\"No answer \\\"passed\\\" \xef\xbf\xbd.\"}"));
    buf_clear(&out);
    responses_dialect.write_stream_fault(&fault, SPAN_LIT("req_1"), &r.chat, true, &out);
    assert_true(span_starts(buf_span(&out), SPAN_LIT("event: response.failed\n")));
    draft_init(&d);
    sse_feed(&s, buf_span(&out), reread_event, &d);
    assert_true(d.has_error && d.ended);
    assert_string_equal(d.error_code, "checks_failed");
    draft_free(&d);
    sse_free(&s);
    buf_free(&out);
    read_done(&r);
    free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_has_the_events_that_clients_expect),
        cmocka_unit_test(a_whole_answer_is_the_streams_last_response),
        cmocka_unit_test(reasoning_is_said_but_not_shown_unasked),
        cmocka_unit_test(what_was_asked_is_said_again),
        cmocka_unit_test(what_is_very_large_is_not_said_three_times),
        cmocka_unit_test(the_end_says_why),
        cmocka_unit_test(usage_that_was_not_reported_is_estimated),
        cmocka_unit_test(an_empty_answer_is_a_whole_stream_too),
        cmocka_unit_test(text_behind_a_call_is_a_message_of_its_own),
        cmocka_unit_test(pieces_of_calls_that_alternate_are_all_kept),
        cmocka_unit_test(a_call_is_over_when_its_arguments_are_whole),
        cmocka_unit_test(a_call_without_arguments_has_an_empty_object),
        cmocka_unit_test(other_kinds_of_items_are_written),
        cmocka_unit_test(a_call_of_a_namespace_comes_back_as_it_was_offered),
        cmocka_unit_test(any_order_of_pieces_is_written_well),
        cmocka_unit_test(disjoint_counters_survive_being_written_and_read),
        cmocka_unit_test(a_full_buffer_ends_the_answer_and_nothing_else),
        cmocka_unit_test(a_budgets_refusal_is_400_here),
        cmocka_unit_test(a_fault_in_a_stream_is_a_failed_response),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
