/* test_policy.c - policies load whole or not at all, with every fault named at its place. */
#include "policies/testing.h"

#include "policies/checks.h"
#include "policies/view.h"

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

#define STEP "'steps':[{'model':'cheap/pro'}]"
#define LAST "{'name':'last'," STEP "}"
#define WHEN(when) "{'name':'p','routes':[{'name':'a','when':" when "," STEP "}," LAST "]}"

/* Each has one fault: where it is, a part of what is said, a part of the hint. */
static const struct { const char *policy, *pointer, *text, *hint;
} faults[] = {
    { "{'name':'p'}", "", "routes", NULL },
    { "{'name':'p','routes':[]}", "/routes", "", NULL },
    { "{'name':'p','routes':[" LAST "],'limit':{}}", "/limit", "", "limits" },
    { "{'name':'p','routes':[{'name':'a','placment':'local'," STEP "}]}", "/routes/0/placment", "", "placement" },
    { "{'name':'p q','routes':[" LAST "]}", "/name", "", NULL },
    /* models */
    { "{'name':'p','routes':[{'name':'a','steps':[{'model':'cheap/flsh'}]}]}", "/routes/0/steps/0/model",
      "no model \"cheap/flsh\"", "cheap/flash" },
    { "{'name':'p','routes':[{'name':'a','steps':[{'model':'cheep/flash'}]}]}", "/routes/0/steps/0/model", "no model",
      "cheap/flash" },
    { "{'name':'p','routes':[{'name':'a','steps':[{'model':'flash'}]}]}", "/routes/0/steps/0/model",
      "several providers", "cheap/flash" },
    { "{'name':'p','routes':[{'name':'a','steps':[{'model':'the-pro'}]}]}", "/routes/0/steps/0/model", "no model",
      NULL },
    { "{'name':'p','routes':[{'name':'a','steps':[{'model':'cheap/pro','attempts':0}]}]}", "/routes/0/steps/0/attempts",
      "", NULL },
    { "{'name':'p','routes':[{'name':'a','steps':[{'model':'cheap/pro','attempts':33}]}]}",
      "/routes/0/steps/0/attempts", "", NULL },
    { "{'name':'p','routes':[{'name':'a','steps':[{'model':'cheap/pro','attempts':'2'}]}]}",
      "/routes/0/steps/0/attempts", "", NULL },
    /* checks */
    { "{'name':'p','routes':[{'name':'a','steps':[{'model':'cheap/pro','checks':'standard'}]}]}",
      "/routes/0/steps/0/checks", "no check \"standard\"", NULL },
    { "{'name':'p','checks':{'standard':['complete']},'routes':[{'name':'a','steps':[{'model':'cheap/"
      "pro','checks':'standart'}]}]}",
      "/routes/0/steps/0/checks", "no check", "standard" },
    { "{'name':'p','checks':{'s':['compleat']},'routes':[" LAST "]}", "/checks/s/0", "no check \"compleat\"",
      "complete" },
    { "{'name':'p','checks':{'complete':['complete']},'routes':[" LAST "]}", "/checks/complete", "named like a check",
      NULL },
    { "{'name':'p','routes':[{'name':'a','steps':[{'model':'cheap/pro','checks':['not_empty','not_looping']}]}]}",
      "/routes/0/steps/0/checks/1", "not in this version", NULL },
    /* what comes later */
    { "{'name':'p','routes':[{'name':'a','steps':[{'model':'cheap/pro','hedge_ms':500}]}]}",
      "/routes/0/steps/0/hedge_ms", "not in this version", NULL },
    { "{'name':'p','routes':[{'name':'a','steps':[{'model':'cheap/pro','samples':3}]}]}", "/routes/0/steps/0/samples",
      "not in this version", NULL },
    { "{'name':'p','routes':[{'name':'a','steps':[{'model':'cheap/pro','not_before':'off_peak'}]}]}",
      "/routes/0/steps/0/not_before", "not in this version", NULL },
    { "{'name':'p','routes':[{'name':'a','order':'cheapest_success'," STEP "}]}", "/routes/0/order",
      "not in this version", NULL },
    /* routes */
    { "{'name':'p','routes':[{'name':'a'," STEP "}," LAST "]}", "/routes/0", "can never be reached", NULL },
    { "{'name':'p','routes':[{'name':'a','when':{'team':'x'}," STEP "}]}", "/routes/0/when",
      "last route must have no `when`", NULL },
    { "{'name':'p','routes':[{'name':'last','when':{'team':'x'}," STEP "}," LAST "]}", "/routes/1/name",
      "has this name already", NULL },
    { "{'name':'p','routes':[{'name':'auto'," STEP "}]}", "/routes/0/name", "meaning of its own", NULL },
    { "{'name':'p','routes':[{'name':'direct'," STEP "}]}", "/routes/0/name", "meaning of its own", NULL },
    { "{'name':'p','routes':[{'name':'a/b'," STEP "}]}", "/routes/0/name", "", NULL },
    { "{'name':'p','routes':[{'name':'a','stream':'window:0'," STEP "}]}", "/routes/0/stream", "", "window:N" },
    { "{'name':'p','routes':[{'name':'a','stream':'windows:9'," STEP "}]}", "/routes/0/stream", "", "window:N" },
    { "{'name':'p','routes':[{'name':'a','placement':'here'," STEP "}]}", "/routes/0/placement", "", NULL },
    /* conditions */
    { WHEN("{}"), "/routes/0/when", "", NULL },
    { WHEN("{'team':'x','key':'y'}"), "/routes/0/when", "exactly one of", "all" },
    { WHEN("{'at_least':3}"), "/routes/0/when", "exactly one of", NULL },
    { WHEN("{'any':[]}"), "/routes/0/when/any", "", NULL },
    { WHEN("{'any':[{'team':'x'},{'tem':'x'}]}"), "/routes/0/when/any/1/tem", "", "team" },
    { WHEN("{'not':{'all':[{'label':'secret'}]}}"), "/routes/0/when/not/all/0", "no labels", NULL },
    { "{'name':'p','labels':{'secret':{'team':'x'}},'routes':[{'name':'b','when':{'label':'secret'}," STEP
      "},{'name':'a','when':{'label':'secrets'}," STEP "}," LAST "]}",
      "/routes/1/when", "no label \"secrets\"", "secret" },
    { WHEN("{'feature':'maths','at_least':1}"), "/routes/0/when", "no feature \"maths\"", "math" },
    { WHEN("{'feature':'math'}"), "/routes/0/when", "exactly one of at_least", NULL },
    { WHEN("{'feature':'math','at_least':0,'at_most':1}"), "/routes/0/when", "exactly one of at_least", NULL },
    { WHEN("{'feature':'math','at_least':'0.6'}"), "/routes/0/when/at_least", "", NULL },
    { WHEN("{'feature':'stream','is':'yes'}"), "/routes/0/when", "number, true or false", NULL },
    { WHEN("{'modality':'picture'}"), "/routes/0/when", "no modality \"picture\"", "one of" },
    { WHEN("{'modality':['image','vidoe']}"), "/routes/0/when", "no modality \"vidoe\"", "video" },
    { WHEN("{'dialect':'openia'}"), "/routes/0/when", "no dialect \"openia\"", "openai" },
    { WHEN("{'team':'x','is':'y'}"), "/routes/0/when", "`is` goes with", NULL },
    { WHEN("{'team':'x','at_least':1}"), "/routes/0/when", "at_least and at_most go with", NULL },
    { WHEN("{'header':'x-a','is':true}"), "/routes/0/when", "text or a list", NULL },
    { WHEN("{'header':'x-a:'}"), "/routes/0/when/header", "", NULL },
    { WHEN("{'team':''}"), "/routes/0/when/team", "", NULL },
    /* labels */
    { "{'name':'p','labels':{'a':{'not':{'label':'a'}}},'routes':[{'name':'r','when':{'label':'a'}," STEP "}," LAST
      "]}",
      "/labels/a", "defined by itself", NULL },
    /* limits */
    { "{'name':'p','routes':[" LAST "],'limits':{'cost_usd':2}}", "/limits/cost_usd", "", "decimal string" },
    { "{'name':'p','routes':[" LAST "],'limits':{'cost_usd':'0.0000000001'}}", "/limits/cost_usd",
      "more than nine decimals", NULL },
    { "{'name':'p','routes':[" LAST "],'limits':{'cost_usd':'-1'}}", "/limits/cost_usd", "", NULL },
    { "{'name':'p','routes':[" LAST "],'limits':{'cost_usd':'0.0'}}", "/limits/cost_usd", "limit of 0",
      "leave it out" },
    { "{'name':'p','routes':[" LAST "],'limits':{'time_ms':0}}", "/limits/time_ms", "", NULL },
    { "{'name':'p','routes':[" LAST "],'limits':{'attempts':1.5}}", "/limits/attempts", "", NULL },
};

static bool part_of(const char *part, const char *whole)
{
    return !part || (whole && strstr(whole, part));
}

static void each_fault_is_named_at_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct problems ps;
        struct policy *p;
        bool found = false;

        problems_init(&ps);
        p = testing_policy(book, faults[i].policy, &ps);
        for (size_t k = 0; k < ps.n; k++)
            found |= ps.list[k].weight == PROBLEM_ERROR && strcmp(ps.list[k].pointer, faults[i].pointer) == 0 &&
                     part_of(faults[i].text, ps.list[k].text) && part_of(faults[i].hint, ps.list[k].hint);
        if (p || !found || ps.errors != 1) {
            problems_print(&ps, stderr);
            fail_msg("row %zu: %s\nexpected one error at %s", i, faults[i].policy, faults[i].pointer);
        }
        problems_free(&ps);
    }
}

static void all_faults_come_at_once(void **state)
{
    struct problems ps;

    (void)state;
    problems_init(&ps);
    assert_null(testing_policy(book,
                               "{'name':'p','checks':{'s':['complet']},'labels':{'l':{'tag':'a','team':'b'}},"
                               "'routes':[{'name':'auto','when':{'label':'m'},'steps':[{'model':'no/"
                               "such','hedge_ms':1}]},{'name':'b','when':{'team':'x'},"
                               "'steps':[{'model':'flash','checks':['s2']}]}],'limits':{'cost_usd':'0'}}",
                               &ps));
    /* hedge_ms, complet, l, auto, no/such, m, flash, s2, the last when, cost_usd */
    assert_int_equal(ps.errors, 10);
    problems_free(&ps);
}

static void labels_may_lead_to_labels_but_not_in_circles(void **state)
{
    struct problems ps;

    (void)state;
    policy_free(testing_good_policy(book,
        "{'name':'p','labels':{'a':{'label':'b'},'b':{'any':[{'label':'c'},{'team':'x'}]},'c':{'team':'y'}},"
        "'routes':[{'name':'r','when':{'label':'a'}," STEP "}," LAST "]}"));
    problems_init(&ps);
    assert_null(testing_policy(book,
                               "{'name':'p','labels':{'a':{'label':'b'},'b':{'any':[{'label':'c'},{'team':'x'}]},'c':{'"
                               "not':{'label':'a'}},'d':{'label':'c'}},"
                               "'routes':[{'name':'r','when':{'label':'d'}," STEP "}," LAST "]}",
                               &ps));
    assert_int_equal(ps.errors, 3);    /* a, b, c; d is none of the circle */
    problems_free(&ps);
}

static void deep_nesting_is_refused_not_followed(void **state)
{
    char text[4096] = "{'name':'p','routes':[{'name':'a','when':";
    struct problems ps;

    (void)state;
    for (int i = 0; i < 20; i++)
        strncat(text, "{'not':", sizeof text - strlen(text) - 1);
    strncat(text, "{'team':'x'}", sizeof text - strlen(text) - 1);
    for (int i = 0; i < 20; i++)
        strncat(text, "}", sizeof text - strlen(text) - 1);
    strncat(text, "," STEP "}," LAST "]}", sizeof text - strlen(text) - 1);
    problems_init(&ps);
    assert_null(testing_policy(book, text, &ps));
    assert_int_equal(ps.errors, 1);
    assert_non_null(strstr(ps.list[0].text, "nested deeper than 16"));
    problems_free(&ps);
}

static void defaults_hold_where_nothing_is_said(void **state)
{
    struct policy *p = testing_good_policy(book, "{'name':'p','routes':[{'name':'a','steps':[{'model':'pro'}]}]}");

    (void)state;
    assert_int_equal(p->limits.cost_nano, -1);
    assert_int_equal(p->limits.output_tokens, 0);
    assert_int_equal(p->limits.time_ms, 600000);
    assert_int_equal(p->limits.attempts, 32);
    assert_int_equal(p->routes[0].steps[0].attempts, 1);
    assert_int_equal(p->routes[0].steps[0].checks, 0);
    assert_int_equal(p->routes[0].stream, STREAM_PASS);
    assert_true(span_is(p->routes[0].steps[0].model->key, "cheap/pro"));    /* a bare name that one provider has */
    policy_free(p);
}

static void a_route_with_checks_holds_its_streams(void **state)
{
    struct policy *p = testing_good_policy(
        book, "{'name':'p','checks':{'s':['complete','not_empty']},'routes':["
              "{'name':'a','when':{'team':'a'},'steps':[{'model':'cheap/pro'},{'model':'cheap/flash','checks':'s'}]},"
              "{'name':'b','when':{'team':'b'},'stream':'window:400','steps':[{'model':'cheap/"
              "pro','checks':['not_refused','complete']}]},"
              "{'name':'c','stream':'hold','steps':[{'model':'cheap/pro','checks':'not_refused'}]}]}");

    (void)state;
    assert_int_equal(p->routes[0].stream, STREAM_HOLD);
    assert_int_equal(p->routes[0].steps[1].checks, CHECK_BIT(CHECK_COMPLETE) | CHECK_BIT(CHECK_NOT_EMPTY));
    assert_int_equal(p->routes[1].stream, STREAM_WINDOW);
    assert_int_equal(p->routes[1].window_chars, 400);
    assert_int_equal(p->routes[2].steps[0].checks, CHECK_BIT(CHECK_NOT_REFUSED));
    policy_free(p);
}

static void passing_with_checks_and_unused_labels_are_worth_a_warning(void **state)
{
    struct problems ps;
    struct policy *p;

    (void)state;
    problems_init(&ps);
    p = testing_policy(book, "{'name':'p','labels':{'l':{'team':'x'}},'routes':[{'name':'a','stream':'pass',"
                       "'steps':[{'model':'cheap/pro','checks':'complete'}]}]}", &ps);
    assert_non_null(p);
    assert_int_equal(ps.warnings, 2);
    policy_free(p);
    problems_free(&ps);
}

static void a_policy_is_compared_with_the_providers(void **state)
{
    struct view_model models[16];
    struct view v = testing_view(book, models);
    struct problems ps;
    struct policy *p =
        testing_good_policy(book, "{'name':'p','routes':[{'name':'home','placement':'local','when':{'team':'x'},'steps'"
                                  ":[{'model':'local/home'},{'model':'cheap/pro'}]},"
                                  "{'name':'a','steps':[{'model':'cheap/flash'},{'model':'dear/strong'}]}]}");

    (void)state;
    problems_init(&ps);
    policy_check_view(p, &v, &ps);
    assert_int_equal(ps.errors, 1);
    assert_string_equal(ps.list[0].pointer, "/routes/0/steps/1/model");
    problems_free(&ps);
    for (size_t i = 0; i < v.n_models; i++)
        models[i].on = false;
    v.n_models = 3;    /* cheap/flash, cheap/pro, dear/strong: no local provider in the config */
    policy_check_view(p, &v, &ps);
    assert_int_equal(ps.errors, 1);
    /* local/home unserved; nothing of home on; cheap/flash and dear/strong off; nothing of a on */
    assert_int_equal(ps.warnings, 5);
    problems_free(&ps);
    policy_free(p);
}

static void the_bundled_policies_load_without_a_word(void **state)
{
    static const char *const files[] = { "policies/flash-first.json", "policies/flash-first-local.json" };
    struct book *b = testing_book("pricing/prices.json");

    (void)state;
    for (int i = 0; i < 2; i++) {
        const char *top = getenv("top_srcdir");
        struct problems ps;
        struct policy *p;
        char path[1024];
        json_t *tree;

        problems_init(&ps);
        snprintf(path, sizeof path, "%s/%s", top ? top : ".", files[i]);
        tree = json_read(path, 1u << 20, &ps, NULL, NULL);
        assert_non_null(tree);
        p = policy_load(tree, b, &ps);
        problems_print(&ps, stderr);
        assert_non_null(p);
        assert_int_equal(ps.warnings, 0);
        assert_true(p->routes[0].local);
        policy_free(p);
        json_decref(tree);
        problems_free(&ps);
    }
    book_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_fault_is_named_at_its_place),
        cmocka_unit_test(all_faults_come_at_once),
        cmocka_unit_test(labels_may_lead_to_labels_but_not_in_circles),
        cmocka_unit_test(deep_nesting_is_refused_not_followed),
        cmocka_unit_test(defaults_hold_where_nothing_is_said),
        cmocka_unit_test(a_route_with_checks_holds_its_streams),
        cmocka_unit_test(passing_with_checks_and_unused_labels_are_worth_a_warning),
        cmocka_unit_test(a_policy_is_compared_with_the_providers),
        cmocka_unit_test(the_bundled_policies_load_without_a_word),
    };

    return cmocka_run_group_tests(tests, load_book, free_book);
}
