/* test_machine.c - the machine under random events, and a few of its promises one by one.
 *
 * What it decides is the scenarios' subject (policies/tests); here it is what it must never do. */
#include "policies/testing.h"

#include "policies/testing_drive.h"

static struct book *book;
static struct policy *policy;

static int load(void **state)
{
    const char *top = getenv("top_srcdir");
    struct problems ps;
    char path[1024];
    json_t *tree;

    (void)state;
    book = testing_book("policies/tests/prices.json");
    problems_init(&ps);
    snprintf(path, sizeof path, "%s/policies/tests/basic.policy.json", top ? top : ".");
    tree = json_read(path, 1u << 20, &ps, NULL, NULL);
    policy = policy_load(tree, book, &ps);
    json_decref(tree);
    problems_free(&ps);
    return policy ? 0 : -1;
}

static int unload(void **state)
{
    (void)state;
    policy_free(policy);
    book_free(book);
    return 0;
}

static uint32_t xorshift(void *ctx)
{
    uint64_t *x = ctx;

    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return (uint32_t)(*x >> 32);
}

static struct features random_features(struct dice *d, const struct span *tools)
{
    static const char *const routes[] = { NULL,    "single", "stubborn", "ladder",    "window", "window-loose", "pass",
                                          "twice", "many",   "unpriced", "sovereign", "vision", "ladder-cheap" };
    struct features f;

    features_init(&f);
    f.dialect = SPAN_LIT("openai");
    f.route_asked = span_str(routes[dice_below(d, 13)]);
    f.team = dice_one_in(d, 10) ? SPAN_LIT("legal") : SPAN_NONE;
    f.stream = dice_one_in(d, 2);
    f.asked = (struct asked){ .json = dice_one_in(d, 4), .tools = tools, .n_tools = dice_below(d, 2),
                              .max_tokens = dice_one_in(d, 3) ? (int64_t)dice_below(d, 9000) : 0 };
    f.parts = (struct estimate_parts){ .text_bytes = (int64_t)dice_below(d, 5000), .messages = 1 };
    f.choices = 1;
    f.max_cost_nano = dice_one_in(d, 4) ? (int64_t)dice_below(d, 200000000) : -1;
    f.deadline_ms = dice_one_in(d, 4) ? (int64_t)dice_below(d, dice_one_in(d, 4) ? 50 : 20000) : -1;
    features_finish(&f);
    return f;
}

static void no_sequence_of_events_breaks_a_promise(void **state)
{
    static const struct span tools[] = { { "weather", 7 } };
    uint64_t seed = 0x2545f4914f6cdd1d;
    struct dice dice = { xorshift, &seed };
    uint8_t *coverage = test_calloc(MACHINE_TRANSITIONS, 1);
    size_t taken = 0;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        struct view_model models[16];
        struct view v = testing_view(book, models);
        struct features f = random_features(&dice, tools);
        struct arena arena;
        struct plan plan;

        models[dice_below(&dice, (uint32_t)v.n_models)].on = dice_one_in(&dice, 2);
        arena_init(&arena, 1u << 20);
        assert_int_equal(plan_make(policy, &f, &v, TESTING_AT_MS, &arena, &plan, NULL), PLAN_OK);
        plan.attempts = 1 + dice_below(&dice, 7);
        drive_run(&dice, &plan, models, v.n_models, &arena, coverage);
        arena_free(&arena);
    }
    for (size_t i = 0; i < MACHINE_TRANSITIONS; i++) {
        taken += coverage[i];
        if (!coverage[i])
            print_message("chance never takes \"%s\"\n", machine_transition_name(i));
    }
    assert_int_equal(taken, MACHINE_TRANSITIONS);    /* the driver must reach everything, or it proves little */
    test_free(coverage);
}

/* ---- one by one ---- */

struct one {
    struct view_model models[16];
    struct view view;
    struct features f;
    struct arena arena;
    struct plan plan;
    struct machine m;
    struct actions acts;
};

static void begin(struct one *o, const char *route, bool stream)
{
    o->view = testing_view(book, o->models);
    features_init(&o->f);
    o->f.route_asked = span_str(route);
    o->f.stream = stream;
    o->f.choices = 1;
    features_finish(&o->f);
    arena_init(&o->arena, 1u << 16);
    assert_int_equal(plan_make(policy, &o->f, &o->view, TESTING_AT_MS, &o->arena, &o->plan, NULL), PLAN_OK);
    assert_true(machine_init(&o->m, &o->plan, &o->arena, 1000));
}

static void feed(struct one *o, struct machine_event ev, int64_t now_ms)
{
    machine_step(&o->m, &ev, now_ms, &o->acts);
}

static void the_reservation_is_the_plans_worst_case(void **state)
{
    struct one o;
    int64_t worst;

    (void)state;
    begin(&o, "single", false);
    feed(&o, (struct machine_event){ .kind = EVENT_START }, 1000);
    assert_int_equal(o.acts.n, 1);
    assert_int_equal(o.acts.list[0].kind, ACTION_RESERVE);
    assert_int_equal(o.acts.list[0].output_cap, 4000);
    /* an empty prompt is bounded by 512 tokens: 512 x 0.10 + 4000 x 0.20 USD per million = 0.0008512 USD */
    worst = o.acts.list[0].worst_nano;
    assert_int_equal(worst, 851200);
    assert_int_equal(o.acts.timer_ms, 1000 + 60000);
    arena_free(&o.arena);
}

static void the_wanted_characters_follow_the_stream_mode(void **state)
{
    static const struct { const char *route; bool stream; int64_t wants;
    } rows[] = {
        { "default", true, -1 }, { "ladder", true, -1 }, { "window", true, 20 },
        { "pass", true, 0 },     { "pass", false, -1 },  { "window", false, -1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct one o;

        begin(&o, rows[i].route, rows[i].stream);
        assert_int_equal(machine_wants_chars(&o.m), -1);    /* nothing runs */
        feed(&o, (struct machine_event){ .kind = EVENT_START }, 1000);
        feed(&o, (struct machine_event){ .kind = EVENT_RESERVED, .n = 1 }, 1001);
        assert_int_equal(o.acts.list[0].kind, ACTION_CALL);
        assert_int_equal(machine_wants_chars(&o.m), rows[i].wants);
        arena_free(&o.arena);
    }
}

static void a_full_arena_fails_one_request_and_nothing_else(void **state)
{
    struct one o;
    const struct outcome bad = { .transport = TRANSPORT_CONNECT, .retry_after_ms = -1 };

    (void)state;
    begin(&o, "single", false);
    while (arena_alloc(&o.arena, 64, 1))
        ;
    while (arena_alloc(&o.arena, 1, 1))
        ;
    feed(&o, (struct machine_event){ .kind = EVENT_START }, 1000);
    feed(&o, (struct machine_event){ .kind = EVENT_RESERVED, .n = 1 }, 1000);
    feed(&o, (struct machine_event){ .kind = EVENT_ENDED, .n = 1, .outcome = &bad }, 1001);
    assert_int_equal(o.acts.list[1].kind, ACTION_FAIL);
    assert_int_equal(o.acts.list[1].fail.status, 502);
    assert_true(o.acts.list[1].fail.message.n > 0);    /* a plainer one */
    arena_free(&o.arena);
    arena_init(&o.arena, 8);
    assert_false(machine_init(&o.m, &o.plan, &o.arena, 0));
    arena_free(&o.arena);
}

static void the_first_refusal_of_a_budget_is_told_once(void **state)
{
    const struct outcome bad = { .transport = TRANSPORT_CONNECT, .retry_after_ms = -1 };
    const char *told;
    struct one o;

    (void)state;
    begin(&o, "ladder", false);
    feed(&o, (struct machine_event){ .kind = EVENT_START }, 1000);
    feed(&o, (struct machine_event){ .kind = EVENT_RESERVED, .n = 1 }, 1000);
    feed(&o, (struct machine_event){ .kind = EVENT_ENDED, .n = 1, .outcome = &bad }, 1000);    /* cheap/flash waits for nobody */
    feed(&o, (struct machine_event){ .kind = EVENT_RESERVE_REFUSED, .n = 2, .refusal = SPAN_LIT("budget one.") }, 1000);
    assert_int_equal(o.acts.list[0].step, 2);    /* not the same step again */
    feed(&o, (struct machine_event){ .kind = EVENT_RESERVE_REFUSED, .n = 2, .refusal = SPAN_LIT("budget two.") }, 1000);
    feed(&o, (struct machine_event){ .kind = EVENT_RESERVE_REFUSED, .n = 2, .refusal = SPAN_LIT("budget three.") }, 1000);
    assert_int_equal(o.acts.list[0].kind, ACTION_FAIL);
    told = o.acts.list[0].fail.message.p;
    assert_non_null(strstr(told, "budget one. Before it: No answer after 1 attempt;"));
    assert_null(strstr(told, "budget two"));
    arena_free(&o.arena);
}

static void a_verdict_that_was_reached_elsewhere_is_taken_as_it_is(void **state)
{
    const struct outcome good = { .transport = TRANSPORT_OK, .status = 200, .retry_after_ms = -1 };
    const struct answer answer = { .text = SPAN_LIT("Fine."), .finish = FINISH_STOP };
    const struct verdict bad = { .ok = false, .check = CHECK_COMPLETE, .reason = "said elsewhere" };
    struct one o;

    (void)state;
    begin(&o, "ladder", false);
    feed(&o, (struct machine_event){ .kind = EVENT_START }, 1000);
    feed(&o, (struct machine_event){ .kind = EVENT_RESERVED, .n = 1 }, 1000);
    feed(&o, (struct machine_event){ .kind = EVENT_ENDED, .n = 1, .outcome = &good, .answer = &answer, .verdict = &bad }, 1000);
    assert_int_equal(o.acts.list[0].kind, ACTION_SETTLE);
    assert_string_equal(o.acts.list[0].verdict, "rejected:complete");
    arena_free(&o.arena);
}

static void every_transition_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < MACHINE_TRANSITIONS; i++)
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(machine_transition_name(i), machine_transition_name(k));
    assert_null(machine_transition_name(MACHINE_TRANSITIONS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_sequence_of_events_breaks_a_promise),
        cmocka_unit_test(the_reservation_is_the_plans_worst_case),
        cmocka_unit_test(the_wanted_characters_follow_the_stream_mode),
        cmocka_unit_test(a_full_arena_fails_one_request_and_nothing_else),
        cmocka_unit_test(the_first_refusal_of_a_budget_is_told_once),
        cmocka_unit_test(a_verdict_that_was_reached_elsewhere_is_taken_as_it_is),
        cmocka_unit_test(every_transition_has_a_name_of_its_own),
    };

    return cmocka_run_group_tests(tests, load, unload);
}
