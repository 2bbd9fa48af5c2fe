/* test_match.c - conditions hold or not, and say why. */
#include "policies/testing.h"

#include "policies/match.h"

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

static struct features example(void)
{
    static const struct http1_header headers[] = {
        { { "X-Tollgate-Sensitivity", 22 }, { "High", 4 } }, { { "accept", 6 }, { "text/html", 9 } },
        { { "accept", 6 }, { "application/json", 16 } }, { { "empty", 5 }, { "", 0 } },
    };
    static const struct feature_tag tags[] = { { { "project", 7 }, { "apollo", 6 } }, { { "cost", 4 }, { "a=b", 3 } } };
    struct features f;

    features_init(&f);
    f.dialect = SPAN_LIT("openai");
    f.model = SPAN_LIT("gpt-4o");
    f.team = SPAN_LIT("legal");
    f.key = SPAN_LIT("ci");
    f.headers = headers;
    f.n_headers = 4;
    f.tags = tags;
    f.n_tags = 2;
    f.modalities = BOOK_TEXT | BOOK_IMAGE;
    f.stream = true;
    features_finish(&f);
    f.value[FEATURE_MATH] = 0.6;
    f.value[FEATURE_FILES] = 3;
    return f;
}

static const struct { const char *when; bool holds;
} rows[] = {
    { "{'header':'x-tollgate-sensitivity','is':'high'}", true },
    { "{'header':'X-TOLLGATE-SENSITIVITY','is':' HIGH '}", true },
    { "{'header':'x-tollgate-sensitivity','is':'hig'}", false },
    { "{'header':'x-tollgate-sensitivity','is':['low','high']}", true },
    { "{'header':'x-tollgate-sensitivity'}", true },
    { "{'header':'x-tollgate'}", false },
    { "{'header':'accept','is':'application/json'}", true },
    { "{'header':'empty'}", true },
    { "{'header':'empty','is':'x'}", false },
    { "{'team':'legal'}", true },
    { "{'team':'Legal'}", false },
    { "{'team':['x','legal']}", true },
    { "{'key':'ci'}", true },
    { "{'key':'c'}", false },
    { "{'tag':'project=apollo'}", true },
    { "{'tag':'project=gemini'}", false },
    { "{'tag':'project'}", true },
    { "{'tag':'proj'}", false },
    { "{'tag':'cost=a=b'}", true },
    { "{'tag':['x','cost']}", true },
    { "{'model':'gpt-4o'}", true },
    { "{'model':'auto'}", false },
    { "{'dialect':'openai'}", true },
    { "{'dialect':['anthropic','gemini']}", false },
    { "{'modality':'image'}", true },
    { "{'modality':['audio','video']}", false },
    { "{'modality':['audio','text']}", true },
    { "{'feature':'math','at_least':0.6}", true },
    { "{'feature':'math','at_least':0.61}", false },
    { "{'feature':'math','at_most':0.6}", true },
    { "{'feature':'math','at_most':0.59}", false },
    { "{'feature':'files','is':3}", true },
    { "{'feature':'files','is':2}", false },
    { "{'feature':'stream','is':true}", true },
    { "{'feature':'json_mode','is':true}", false },
    { "{'feature':'json_mode','is':false}", true },
    { "{'not':{'team':'legal'}}", false },
    { "{'not':{'not':{'team':'legal'}}}", true },
    { "{'all':[{'team':'legal'},{'key':'ci'}]}", true },
    { "{'all':[{'team':'legal'},{'key':'x'}]}", false },
    { "{'any':[{'team':'x'},{'key':'ci'}]}", true },
    { "{'any':[{'team':'x'},{'key':'y'}]}", false },
    { "{'all':[{'any':[{'team':'x'},{'not':{'team':'y'}}]},{'any':[{'key':'ci'}]},{'not':{'all':[{'key':'ci'},{'key':'"
      "z'}]}}]}",
      true },
    { "{'label':'l'}", true },
    { "{'not':{'label':'m'}}", true },
    { "{'all':[{'label':'l'},{'label':'l'},{'label':'m'}]}", false },
};

static struct policy *with_when(const char *when)
{
    char text[2048];

    snprintf(
        text, sizeof text,
        "{'name':'p','labels':{'l':{'any':[{'team':'legal'},{'label':'m'}]},'m':{'team':'nobody'}},'routes':["
        "{'name':'keeps-labels-used','when':{'all':[{'label':'l'},{'label':'m'}]},'steps':[{'model':'cheap/pro'}]},"
        "{'name':'a','when':%s,'steps':[{'model':'cheap/pro'}]},{'name':'z','steps':[{'model':'cheap/pro'}]}]}",
        when);
    return testing_good_policy(book, text);
}

static void each_condition_holds_or_does_not(void **state)
{
    const struct features f = example();

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct policy *p = with_when(rows[i].when);
        struct match_memo memo = { 0 };

        if (match_when(p, &p->routes[1].when, &f, &memo) != rows[i].holds)
            fail_msg("row %zu: %s", i, rows[i].when);
        assert_ptr_equal(match_route(p, &f, &memo), &p->routes[rows[i].holds ? 1 : 2]);
        policy_free(p);
    }
}

static void the_explanation_agrees_with_the_verdict(void **state)
{
    const struct features f = example();

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct policy *p = with_when(rows[i].when);
        struct buf b;
        json_t *tree;
        struct problems ps;

        buf_init(&b, 1u << 20);
        problems_init(&ps);
        match_explain_text(p, &p->routes[1].when, &f, 2, &b);
        assert_true(span_starts(buf_span(&b), rows[i].holds ? SPAN_LIT("  yes  ") : SPAN_LIT("  no   ")));
        buf_clear(&b);
        match_explain_json(p, &p->routes[1].when, &f, &b);
        tree = json_parse("explain", buf_span(&b), &ps);
        problems_print(&ps, stderr);
        assert_non_null(tree);
        assert_int_equal(json_is_true(json_object_get(tree, "holds")), rows[i].holds);
        json_decref(tree);
        problems_free(&ps);
        buf_free(&b);
        policy_free(p);
    }
}

static void the_text_shows_what_each_atom_saw(void **state)
{
    const struct features f = example();
    struct policy *p = with_when(
        "{'any':[{'label':'m'},{'header':'accept','is':'application/json'},{'feature':'math','at_least':0.9}]}");
    struct buf b;

    (void)state;
    buf_init(&b, 1u << 16);
    match_explain_text(p, &p->routes[1].when, &f, 0, &b);
    assert_string_equal(b.p,
        "yes  any\n"
        "    no   label \"m\"\n"
        "        no   team is \"nobody\"   (seen: \"legal\")\n"
        "    yes  header accept is \"application/json\"   (seen: \"text/html\", \"application/json\")\n"
        "    no   feature math at_least 0.9   (seen: 0.6)\n");
    buf_free(&b);
    policy_free(p);
}

static void a_local_route_claims_by_its_condition_or_as_the_winner(void **state)
{
    struct features f = example();
    struct policy *p = testing_good_policy(book,
        "{'name':'p','routes':[{'name':'dear','when':{'key':'ci'},'steps':[{'model':'dear/strong'}]},"
        "{'name':'home','when':{'team':'legal'},'placement':'local','steps':[{'model':'local/home'}]},"
        "{'name':'rest','placement':'local','steps':[{'model':'local/home'}]}]}");
    struct match_memo memo = { 0 };

    (void)state;
    /* by its condition, although another route would have won */
    assert_ptr_equal(match_claim(p, &f, &memo), &p->routes[1]);
    f.team = SPAN_LIT("x");
    memo = (struct match_memo){ 0 };
    assert_null(match_claim(p, &f, &memo));    /* "dear" wins, and nothing local holds */
    f.key = SPAN_LIT("x");
    memo = (struct match_memo){ 0 };
    assert_ptr_equal(match_claim(p, &f, &memo),
                     &p->routes[2]); /* as the winner: an all-local policy cannot be left by a name */
    policy_free(p);
}

static void labels_are_remembered_within_a_request_only(void **state)
{
    struct features f = example();
    struct policy *p = with_when("{'label':'l'}");
    struct match_memo memo = { 0 };

    (void)state;
    assert_true(match_when(p, &p->routes[1].when, &f, &memo));
    f.team = SPAN_LIT("x");
    assert_true(match_when(p, &p->routes[1].when, &f, &memo));    /* the same request cannot change its team */
    memo = (struct match_memo){ 0 };
    assert_false(match_when(p, &p->routes[1].when, &f, &memo));
    policy_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_condition_holds_or_does_not),
        cmocka_unit_test(the_explanation_agrees_with_the_verdict),
        cmocka_unit_test(the_text_shows_what_each_atom_saw),
        cmocka_unit_test(a_local_route_claims_by_its_condition_or_as_the_winner),
        cmocka_unit_test(labels_are_remembered_within_a_request_only),
    };

    return cmocka_run_group_tests(tests, load_book, free_book);
}
