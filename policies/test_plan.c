/* test_plan.c - caps, limits, worst cases and the whole explanation. Names and claims are routing.test.json's. */
#include "policies/testing.h"

#include "policies/bound.h"

static struct book *book;

static int load_book(void **state)
{
    (void)state;
    book = testing_book("policies/tests/prices.json");
    return 0;
}

static int free_book(void **state)
{
    (void)state;
    book_free(book);
    return 0;
}

struct made {
    struct view_model models[16];
    struct view view;
    struct features f;
    struct policy *policy;
    struct arena arena;
    struct plan plan;
    struct span error;
};

static void open_made(struct made *m, const char *policy)
{
    *m = (struct made){ 0 };
    m->view = testing_view(book, m->models);
    features_init(&m->f);
    m->f.dialect = SPAN_LIT("openai");
    m->f.choices = 1;
    m->policy = testing_good_policy(book, policy);
    arena_init(&m->arena, 1u << 16);
}

static enum plan_rc make(struct made *m)
{
    features_finish(&m->f);
    return plan_make(m->policy, &m->f, &m->view, TESTING_AT_MS, &m->arena, &m->plan, &m->error);
}

static void close_made(struct made *m)
{
    policy_free(m->policy);
    arena_free(&m->arena);
}

#define ROUTE(steps) "{'name':'p','routes':[{'name':'a','steps':[" steps "]}]}"

static void the_cap_follows_caller_policy_and_model(void **state)
{
    static const struct { int64_t asked, policy, text_bytes, cap; } rows[] = {
        { 0, 0, 40, 4000 },            /* neither: the model's max_output */
        { 0, 1000, 40, 1000 },         /* the policy's */
        { 0, 100000, 40, 4000 },       /* the model's is less */
        { 50, 1000, 40, 50 },          /* the caller's */
        { 2000, 1000, 40, 2000 },      /* the caller's wins upwards too */
        { 9000, 1000, 40, 4000 },      /* but not over the model's */
        { 0, 0, 31000 * 4, 1000 },     /* what is left of the window of 32,000 */
        { 0, 0, 40000 * 4, 256 },      /* the estimate may be wrong: never less than 256 */
        { 3000, 0, 31000 * 4, 3000 },  /* the caller's word is not second-guessed */
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct made m;
        char text[512], limits[64] = "";

        if (rows[i].policy)
            snprintf(limits, sizeof limits, ",'limits':{'output_tokens':%d}", (int)rows[i].policy);
        snprintf(text, sizeof text, "{'name':'p','routes':[{'name':'a','steps':[{'model':'local/home'}]}]%s}", limits);
        open_made(&m, text);
        m.f.asked.max_tokens = rows[i].asked;
        m.f.parts.text_bytes = rows[i].text_bytes;
        assert_int_equal(make(&m), PLAN_OK);
        if (m.plan.steps[0].output_cap != rows[i].cap)
            fail_msg("row %zu: cap %d", i, (int)m.plan.steps[0].output_cap);
        close_made(&m);
    }
}

static void a_worst_case_is_priced_from_bounds(void **state)
{
    struct made m;

    (void)state;
    open_made(&m, ROUTE("{'model':'dear/strong'},{'model':'late/model'}"));
    m.f.parts = (struct estimate_parts){ .text_bytes = 1000, .messages = 2 };
    m.f.asked.max_tokens = 100;
    m.f.choices = 2;
    assert_int_equal(make(&m), PLAN_OK);
    assert_int_equal(m.plan.steps[0].worst_nano, -1);
    assert_true(plan_price(&m.plan, 0));
    /* prompt: 1000 bytes + 2 x 16 + 512 = 1544 tokens x 5 USD; answer: 2 x 100 x 30 USD, per million */
    assert_int_equal(m.plan.steps[0].worst_nano, 1544 * 5000 + 200 * 30000);
    assert_false(plan_price(&m.plan, 1));
    assert_int_equal(m.plan.steps[1].skip, PLAN_NO_PRICE);
    close_made(&m);
}

static void the_tighter_limit_holds(void **state)
{
    static const struct {
        int64_t cost, time, expect_cost, expect_time;
        bool cost_is_callers, time_is_callers;
    } rows[] = {
        { -1, -1, 2000000000, 5000, false, false },
        { 1, 1, 1, 1, true, true },
        { 3000000000, 6000, 2000000000, 5000, false, false },
        { 0, 0, 0, 0, true, true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct made m;

        open_made(&m, "{'name':'p','routes':[{'name':'a','steps':[{'model':'cheap/"
                      "pro'}]}],'limits':{'cost_usd':'2','time_ms':5000,'attempts':3}}");
        m.f.max_cost_nano = rows[i].cost;
        m.f.deadline_ms = rows[i].time;
        assert_int_equal(make(&m), PLAN_OK);
        assert_int_equal(m.plan.cost_limit_nano, rows[i].expect_cost);
        assert_int_equal(m.plan.time_ms, rows[i].expect_time);
        assert_int_equal(m.plan.cost_limit_is_callers, rows[i].cost_is_callers);
        assert_int_equal(m.plan.time_limit_is_callers, rows[i].time_is_callers);
        assert_int_equal(m.plan.attempts, 3);
        close_made(&m);
    }
}

static void a_step_says_why_it_cannot_serve(void **state)
{
    struct made m;

    (void)state;
    open_made(
        &m,
        "{'name':'p','routes':[{'name':'a','placement':'local','steps':[{'model':'local/home'},{'model':'cheap/pro'},"
        "{'model':'local/flash'},{'model':'local/home'}]}]}");
    m.models[5].on = false;    /* local/flash */
    assert_int_equal(make(&m), PLAN_OK);
    assert_int_equal(m.plan.steps[0].skip, PLAN_USABLE);
    assert_int_equal(m.plan.steps[1].skip, PLAN_NOT_LOCAL);
    assert_int_equal(m.plan.steps[2].skip, PLAN_OFF);
    m.f.modalities |= BOOK_IMAGE;
    assert_int_equal(make(&m), PLAN_OK);
    assert_int_equal(m.plan.steps[0].skip, PLAN_MODALITY);
    m.f.modalities = BOOK_TEXT;
    m.f.parts.text_bytes = 32000 * 8 + 100;    /* even at eight bytes a token */
    assert_int_equal(make(&m), PLAN_OK);
    assert_int_equal(m.plan.steps[0].skip, PLAN_TOO_LONG);
    m.view.n_models = 4;    /* the config has no local provider */
    assert_int_equal(make(&m), PLAN_OK);
    assert_int_equal(m.plan.steps[0].skip, PLAN_NO_PROVIDER);
    close_made(&m);
}

static void a_bound_is_the_sum_of_worst_cases(void **state)
{
    struct made m;
    struct bound b;

    (void)state;
    open_made(
        &m, "{'name':'p','routes':[{'name':'a','steps':[{'model':'cheap/pro','attempts':3},{'model':'dear/strong'}]}],"
            "'limits':{'output_tokens':1000}}");
    assert_int_equal(make(&m), PLAN_OK);
    b = bound_plan(&m.plan);
    assert_int_equal(b.attempts, 4);
    /* three of 512 x 1 + 1000 x 2 and one of 512 x 5 + 1000 x 30, USD per million */
    assert_int_equal(b.cost_nano, 3 * (512 * 1000 + 1000 * 2000) + 512 * 5000 + 1000 * 30000);
    assert_int_equal(b.backoff_ms, 250 + 500);
    assert_false(b.cost_is_limited);
    m.plan.attempts = 2;    /* the dearest two */
    b = bound_plan(&m.plan);
    assert_int_equal(b.attempts, 2);
    assert_int_equal(b.cost_nano, 512 * 1000 + 1000 * 2000 + 512 * 5000 + 1000 * 30000);
    m.plan.cost_limit_nano = 33000000;
    b = bound_plan(&m.plan);
    assert_int_equal(b.cost_nano, 33000000);
    assert_true(b.cost_is_limited);
    close_made(&m);
}

static void an_arena_that_is_full_is_said_so(void **state)
{
    struct made m;

    (void)state;
    open_made(&m, ROUTE("{'model':'cheap/pro'}"));
    arena_free(&m.arena);
    arena_init(&m.arena, 16);
    assert_int_equal(make(&m), PLAN_MEMORY);
    close_made(&m);
}

static void an_explanation_is_whole_in_both_forms(void **state)
{
    struct problems ps;
    struct made m;
    struct buf b;
    json_t *tree;

    (void)state;
    open_made(
        &m, "{'name':'p','routes':[{'name':'home','when':{'team':'legal'},'placement':'local','steps':[{'model':'local/"
            "home'}]},"
            "{'name':'a','steps':[{'model':'cheap/flash','attempts':2,'checks':['complete']},{'model':'late/model'}]}],"
            "'limits':{'cost_usd':'1','output_tokens':1000,'attempts':4}}");
    features_finish(&m.f);
    buf_init(&b, 1u << 20);
    plan_explain(m.policy, &m.f, &m.view, TESTING_AT_MS, EXPLAIN_TEXT, &b);
    assert_non_null(strstr(b.p, "home (local): does not match"));
    assert_non_null(strstr(b.p, "no   team is \"legal\"   (seen: \"\")"));
    assert_non_null(strstr(b.p, "a: answers"));
    /* 512 x 0.10 + 1000 x 0.20 USD per million */
    assert_non_null(strstr(
        b.p, "1. cheap/flash: 2 attempts, at most 1000 tokens out, worst case 0.0002512 USD each\n     checks complete"));
    assert_non_null(strstr(b.p, "2. late/model: skipped, no price of it is in force"));
    assert_non_null(strstr(b.p, "worst case: 2 attempts, 0.0005024 USD, 600000 ms"));
    buf_clear(&b);
    plan_explain(m.policy, &m.f, &m.view, TESTING_AT_MS, EXPLAIN_JSON, &b);
    problems_init(&ps);
    tree = json_parse("explain", buf_span(&b), &ps);
    problems_print(&ps, stderr);
    assert_non_null(tree);
    assert_string_equal(json_cstr(json_object_get(json_object_get(tree, "plan"), "worst"), "cost_usd", ""),
                        "0.0005024");
    json_decref(tree);
    buf_clear(&b);
    m.f.model = SPAN_LIT("cheap/pr");
    plan_explain(m.policy, &m.f, &m.view, TESTING_AT_MS, EXPLAIN_JSON, &b);
    tree = json_parse("explain", buf_span(&b), &ps);
    assert_non_null(strstr(json_cstr(tree, "refused", ""), "did you mean \"cheap/pro\"?"));
    json_decref(tree);
    problems_free(&ps);
    buf_free(&b);
    close_made(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cap_follows_caller_policy_and_model),
        cmocka_unit_test(a_worst_case_is_priced_from_bounds),
        cmocka_unit_test(the_tighter_limit_holds),
        cmocka_unit_test(a_step_says_why_it_cannot_serve),
        cmocka_unit_test(a_bound_is_the_sum_of_worst_cases),
        cmocka_unit_test(an_arena_that_is_full_is_said_so),
        cmocka_unit_test(an_explanation_is_whole_in_both_forms),
    };

    return cmocka_run_group_tests(tests, load_book, free_book);
}
