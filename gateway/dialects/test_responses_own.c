/* test_responses_own.c - items that the gateway wrote itself and a later request refers to by their ids: what is remembered of
 * an answer reads as the items themselves would, for every provider. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/dialects/test_responses.h"

#define TAIL "01m87src10es0awrvtesm7qx55"    /* of a request id, as rows have it */
#define USER "{\"role\":\"user\",\"content\":\"Hi\"}"
#define RESULT(id) "{\"type\":\"function_call_output\",\"call_id\":\"" id "\",\"output\":\"7\"}"
#define REF(id) "{\"type\":\"item_reference\",\"id\":\"" id "\"}"
#define OURS(kind, n) REF(kind "_" TAIL "_" n)
#define BODY(items) "{\"model\":\"m\",\"input\":[" items "]}"

/* ---- a memory of a few items ---- */

#define SHELF_MAX 8

struct shelf {
    struct { char id[96], json[600]; } items[SHELF_MAX];
    size_t n;
    bool no_memory;
    struct fault *fault;
};

static void put(void *ctx, struct span id, struct span json)
{
    struct shelf *s = ctx;

    assert_true(s->n < SHELF_MAX && is_json(json));
    snprintf(s->items[s->n].id, sizeof s->items[0].id, "%.*s", SPAN_FMT(id));
    snprintf(s->items[s->n].json, sizeof s->items[0].json, "%.*s", SPAN_FMT(json));
    s->n++;
}

static bool get(void *ctx, struct span id, struct span *json)
{
    struct shelf *s = ctx;

    *json = SPAN_NONE;
    for (size_t i = 0; i < s->n; i++)
        if (span_is(id, s->items[i].id))
            *json = span_str(s->items[i].json);
    return !s->no_memory || fault_set(s->fault, 503, "server_error", "overloaded", NULL, "Full.");
}

/* What is remembered of an answer: think, say, decline, call, call freely. */
static void answer(struct shelf *s, const char *request)
{
    struct reply_info info = { .id = SPAN_LIT("req_" TAIL), .model = SPAN_LIT("m") };
    struct buf out, terminal;
    struct writer *w;
    struct read r;
    struct draft d;

    read_body(&r, request);
    assert_true(r.ok);
    info.chat = &r.chat;
    buf_init(&out, 1u << 20);
    buf_init(&terminal, 1u << 20);
    w = responses_dialect.writer_new(&info, &out);
    draft_init(&d);
    d.writer = w;
    assert_true(draft_text(&d, 0, PIECE_REASONING, SPAN_LIT("Hm")));
    assert_true(draft_text(&d, 0, PIECE_TEXT, SPAN_LIT("Say \\\"")));
    assert_true(draft_text(&d, 0, PIECE_TEXT, SPAN_LIT("\\u00e9")));
    assert_true(draft_citation(&d, 0, SPAN_LIT("https://h/"), SPAN_LIT("T"), 0, 2));
    assert_true(draft_logprobs(&d, 0, SPAN_LIT("[{\"token\":\"S\",\"logprob\":-1}]")));
    assert_true(draft_text(&d, 0, PIECE_REFUSAL, SPAN_LIT("No")));
    assert_true(draft_call(&d, 0, 0, SPAN_LIT("c1"), SPAN_LIT("mcp__get"), false));
    assert_true(draft_arguments(&d, 0, 0, SPAN_LIT("{\\\"n\\\":9007199254740993}")));
    assert_true(draft_call(&d, 0, 1, SPAN_LIT("c2"), SPAN_LIT("patch"), true));
    assert_true(draft_arguments(&d, 0, 1, SPAN_LIT("*** a")));
    draft_finish(&d, 0, FINISH_TOOL_CALLS, SPAN_NONE);
    assert_true(responses_dialect.writer_end(w, &d, &terminal));
    *s = (struct shelf){ .n = 0 };
    responses_dialect.writer_items(w, put, s);
    responses_dialect.writer_free(w);
    draft_free(&d);
    buf_free(&out);
    buf_free(&terminal);
    read_done(&r);
}

static void recalling(struct read *r, struct shelf *s, const char *body)
{
    const struct recall recall = { get, s };

    s->fault = &r->fault;
    read_with(r, &responses_dialect, span_str(body), &recall);
}

/* ---- what is remembered ---- */

#define ASKS "\"model\":\"m\",\"input\":\"Hi\",\"include\":[\"message.output_text.logprobs\"],\"tools\":[{\"type\":\"namespace\"," \
    "\"name\":\"mcp\",\"description\":\"\",\"tools\":[{\"type\":\"function\",\"name\":\"get\",\"parameters\":{}}]}," \
    "{\"type\":\"custom\",\"name\":\"patch\"}]"
#define MESSAGE "{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"Say \\\"\\u00e9\"}," \
    "{\"type\":\"refusal\",\"refusal\":\"No\"}]}"
#define FUNCTION "{\"type\":\"function_call\",\"call_id\":\"c1\",\"name\":\"get\",\"namespace\":\"mcp\"," \
    "\"arguments\":\"{\\\"n\\\":9007199254740993}\"}"
#define CUSTOM "{\"type\":\"custom_tool_call\",\"call_id\":\"c2\",\"name\":\"patch\",\"input\":\"*** a\"}"

/* Neither logprobs nor citations, which no model reads, nor reasoning, which comes back with the call behind it. */
static void texts_and_calls_are_remembered_as_input_items(void **state)
{
    static const struct { const char *id, *json; } wanted[] = {
        { "msg_" TAIL "_1", MESSAGE }, { "fc_" TAIL "_2", FUNCTION }, { "ctc_" TAIL "_3", CUSTOM },
    };

    (void)state;
    for (int stream = 0; stream < 2; stream++) {
        struct shelf s;

        answer(&s, stream ? "{" ASKS ",\"stream\":true}" : "{" ASKS "}");
        assert_int_equal(s.n, 3);
        for (size_t i = 0; i < 3; i++) {
            assert_string_equal(s.items[i].id, wanted[i].id);
            assert_string_equal(s.items[i].json, wanted[i].json);
        }
    }
}

static void nothing_is_remembered_where_nothing_shall_be_stored(void **state)
{
    struct shelf s;

    (void)state;
    answer(&s, "{" ASKS ",\"store\":false}");
    assert_int_equal(s.n, 0);
    answer(&s, "{" ASKS ",\"store\":true}");
    assert_int_equal(s.n, 3);
}

/* ---- what a request makes of the ids ---- */

/* As the AI SDK sends a conversation that it believes to be stored; also in the short form of a reference. */
static void an_id_of_ours_reads_as_the_item_itself(void **state)
{
    static const char by_id[] = BODY(USER "," OURS("rs", "0") ",{\"id\":\"msg_" TAIL "_1\"}," OURS("fc", "2") "," OURS("ctc", "3")
                                     "," RESULT("c1") ",{\"type\":\"custom_tool_call_output\",\"call_id\":\"c2\",\"output\":\"ok\"}");
    static const char itself[] = BODY(USER "," MESSAGE "," FUNCTION "," CUSTOM "," RESULT("c1")
                                      ",{\"type\":\"custom_tool_call_output\",\"call_id\":\"c2\",\"output\":\"ok\"}");
    struct read a, b;
    struct shelf s;

    (void)state;
    answer(&s, "{" ASKS "}");
    recalling(&a, &s, by_id);
    read_body(&b, itself);
    assert_true(a.ok && b.ok);
    assert_turns(&a.chat, "user: text(Hi) | assistant: text(Say \\\"\\u00e9) refusal(No) call(c1 mcp__get "
                          "{\\\"n\\\":9007199254740993}) custom(c2 patch *** a) | user: result(c1 mcp__get: text(7)) "
                          "result(c2 patch: text(ok))");
    assert_null(a.chat.foreign);
    assert_false(a.chat.unbounded);
    assert_int_equal(a.chat.text_bytes, b.chat.text_bytes);    /* the bound of the cost counts what is put in */
    assert_int_equal(a.chat.n_messages, b.chat.n_messages);
    assert_string_equal(a.texts.p, b.texts.p);
    read_done(&a);
    read_done(&b);
}

static void an_item_that_has_expired_is_named(void **state)
{
    struct shelf s = { .n = 0 };
    struct read r;

    (void)state;
    recalling(&r, &s, BODY(USER "," OURS("msg", "1") "," USER));
    assert_false(r.ok);
    assert_int_equal(r.fault.status, 400);
    assert_string_equal(r.fault.code, "item_not_found");
    assert_string_equal(r.fault.param, "input[1].id");
    assert_non_null(strstr(r.fault.message, "'msg_" TAIL "_1'"));
    assert_non_null(strstr(r.fault.message, "expired"));
    assert_non_null(strstr(r.fault.message, "Send the item itself"));
    read_done(&r);
    recalling(&r, &s, BODY(USER "," OURS("rs", "0") "," USER));    /* of reasoning nobody is asked */
    assert_true(r.ok);
    assert_turns(&r.chat, "user: text(Hi) | user: text(Hi)");
    read_done(&r);
}

static void a_result_of_a_call_that_is_not_there_is_an_orphan(void **state)
{
    struct shelf s;
    struct read r;

    (void)state;
    answer(&s, "{" ASKS "}");
    recalling(&r, &s, BODY(USER "," OURS("fc", "2") "," RESULT("c9")));
    assert_false(r.ok);
    assert_string_equal(r.fault.param, "input");
    read_done(&r);
    recalling(&r, &s, BODY(USER "," OURS("fc", "2") "," USER));
    assert_false(r.ok);
    read_done(&r);
}

static void reasoning_alone_is_no_input(void **state)
{
    struct shelf s = { .n = 0 };
    struct read r;

    (void)state;
    recalling(&r, &s, BODY(OURS("rs", "0")));
    assert_int_equal(r.fault.status, 400);
    assert_string_equal(r.fault.param, "input");
    read_done(&r);
}

static void ids_of_others_are_openais_to_know(void **state)
{
    static const char *const ids[] = { "msg_68a1b2c3d4e5f60718293a4b5c6d7e8f9001122334455667", "msg_" TAIL, "msg_" TAIL "_", "msg_" TAIL "_x",
                                       "msg_" TAIL "_1_1", "msg_" TAIL "_4097", "msg_0" TAIL "_1", "msg", "_", "", "fc_1_2" };

    (void)state;
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        struct shelf s = { .n = 0 };
        char body[300];
        struct read r;

        snprintf(body, sizeof body, BODY(USER ",{\"type\":\"item_reference\",\"id\":\"%s\"}"), ids[i]);
        recalling(&r, &s, body);
        assert_true(r.ok && r.chat.unbounded);
        assert_true(r.chat.foreign && r.chat.foreign->kind == FOREIGN_MEANS);
        read_done(&r);
    }
}

static void where_nothing_is_remembered_an_id_stays_an_id(void **state)
{
    struct read r;

    (void)state;
    read_body(&r, BODY(USER "," OURS("msg", "1")));
    assert_true(r.ok && r.chat.foreign);
    read_done(&r);
}

static void a_full_arena_is_503_at_every_size(void **state)
{
    static const char body[] = BODY(USER "," OURS("rs", "0") "," OURS("msg", "1") "," OURS("fc", "2") "," RESULT("c1"));
    struct shelf s;
    const struct recall recall = { get, &s };
    bool ok = false;

    (void)state;
    answer(&s, "{" ASKS "}");
    for (size_t cap = 0; cap < 12000; cap += 16) {
        struct fault fault = { 0 };
        struct arena arena;
        struct chat chat;

        arena_init(&arena, cap);
        chat_init(&chat, DIALECT_RESPONSES, span_str(body));
        ok = responses_dialect.parse(&chat, &(struct parse_spec){ .arena = &arena, .recall = &recall, .fault = &fault });
        assert_int_equal(fault.status, ok ? 0 : 503);
        arena_free(&arena);
    }
    assert_true(ok);
}

static void a_memory_that_fails_is_its_fault(void **state)
{
    struct shelf s = { .no_memory = true };
    struct read r;

    (void)state;
    recalling(&r, &s, BODY(USER "," OURS("msg", "1")));
    assert_int_equal(r.fault.status, 503);
    read_done(&r);
}

/* ---- on to a host of this dialect ---- */

/* OpenAI has none of them stored. */
static void a_body_that_passes_has_the_items_in_the_place_of_their_ids(void **state)
{
#define THEIRS REF("msg_68a1b2")
    static const struct { const char *input, *passed; } table[] = {
        { USER "," OURS("msg", "1") "," USER, USER "," MESSAGE "," USER },
        { USER "," OURS("rs", "0") "," OURS("msg", "1") "," USER, USER "," MESSAGE "," USER },
        { USER " , " OURS("rs", "0") " , " OURS("fc", "2") " , " RESULT("c1") " ", USER " , " FUNCTION " , " RESULT("c1") " " },
        { OURS("msg", "1") "," OURS("rs", "0") "," USER "," OURS("rs", "7"), MESSAGE "," USER },
        { USER "," THEIRS "," OURS("msg", "1"), USER "," THEIRS "," MESSAGE },
        { USER "," OURS("rs", "0") "," THEIRS "," OURS("rs", "1") "," OURS("rs", "2"), USER "," THEIRS },
    };
    const struct traits traits = { .thinking = THINKING_EFFORT };
    const struct target target = { .model = SPAN_LIT("gpt-5.5-pro"), .traits = &traits, .family = FAMILY_OPENAI };
    struct shelf s;

    (void)state;
    answer(&s, "{" ASKS "}");
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char body[2000], want[2000];
        struct request_out out;
        struct buf passed;
        struct read r;

        snprintf(body, sizeof body, "{\"input\":[%s],\"model\":\"m\",\"x\":1}", table[i].input);
        snprintf(want, sizeof want, "{\"input\":[%s],\"model\":\"gpt-5.5-pro\",\"x\":1}", table[i].passed);
        recalling(&r, &s, body);
        assert_true(r.ok);
        out = (struct request_out){ .arena = &r.arena, .fault = &r.fault };
        assert_true(responses_dialect.pass_request(&r.chat, &target, &out));
        buf_init(&passed, 65536);
        for (size_t k = 0; k < out.n_pieces; k++)
            buf_add_span(&passed, out.pieces[k]);
        assert_string_equal(passed.p, want);
        buf_free(&passed);
        read_done(&r);
    }
}

static void thousands_of_ids_are_legal(void **state)
{
    const struct traits traits = { .thinking = THINKING_EFFORT };
    const struct target target = { .model = SPAN_LIT("gpt-5.5-pro"), .traits = &traits, .family = FAMILY_OPENAI };
    struct request_out out;
    struct buf body;
    struct shelf s;
    const struct recall recall = { get, &s };
    struct read r;

    (void)state;
    answer(&s, "{" ASKS "}");
    s.fault = &r.fault;
    buf_init(&body, 8u << 20);
    buf_add_str(&body, "{\"input\":[" USER);
    for (int i = 0; i < 5000; i++)
        buf_add_str(&body, "," OURS("rs", "0") "," OURS("msg", "1"));
    buf_add_str(&body, "],\"model\":\"m\"}");
    read_with(&r, &responses_dialect, buf_span(&body), &recall);
    assert_true(r.ok);
    assert_int_equal(r.chat.n_messages, 1 + 5000);
    out = (struct request_out){ .arena = &r.arena, .fault = &r.fault };
    assert_true(responses_dialect.pass_request(&r.chat, &target, &out));
    read_done(&r);
    buf_free(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_and_calls_are_remembered_as_input_items),
        cmocka_unit_test(nothing_is_remembered_where_nothing_shall_be_stored),
        cmocka_unit_test(an_id_of_ours_reads_as_the_item_itself),
        cmocka_unit_test(an_item_that_has_expired_is_named),
        cmocka_unit_test(a_result_of_a_call_that_is_not_there_is_an_orphan),
        cmocka_unit_test(reasoning_alone_is_no_input),
        cmocka_unit_test(ids_of_others_are_openais_to_know),
        cmocka_unit_test(where_nothing_is_remembered_an_id_stays_an_id),
        cmocka_unit_test(a_full_arena_is_503_at_every_size),
        cmocka_unit_test(a_memory_that_fails_is_its_fault),
        cmocka_unit_test(a_body_that_passes_has_the_items_in_the_place_of_their_ids),
        cmocka_unit_test(thousands_of_ids_are_legal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
