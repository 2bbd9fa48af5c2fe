/* fuzz_policy.c - a policy of any shape is refused with problems or loads; what loads finds a route for every request,
 * and its plans keep the machine's promises under any events. Input: the policy's JSON, a zero byte, then the events.
 * Seeds: tests/fuzz/corpus/policy. */
#include <stdlib.h>

#include "base/json.h"
#include "policies/match.h"
#include "policies/testing_drive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define VERSION(in, out) \
    "\"versions\":[{\"from\":\"2026-01-01T00:00:00Z\",\"source\":\"s\",\"input\":\"" in "\",\"output\":\"" out "\"}]"
static const char book_text[] = "{\"models\":{\"a/x\":{\"context\":1000," VERSION("1", "2") "},"
                                "\"a/y\":{\"context\":9000," VERSION("3", "4") "},"
                                "\"local/x\":{\"context\":1000," VERSION("0", "0") "}}}";

#define MODELS_MAX 8
#define AT_MS INT64_C(1795521600000)

static struct book *the_book(void)
{
    static struct book *book;
    struct problems ps;

    if (!book) {
        json_t *tree;

        problems_init(&ps);
        tree = json_parse("book", span_str(book_text), &ps);
        book = tree ? book_load(tree, &ps) : NULL;
        json_decref(tree);
        problems_print(&ps, stderr);
        problems_free(&ps);
        if (!book)
            abort();
    }
    return book;
}

static void play(const struct policy *p, struct dice *dice)
{
    struct view_model models[MODELS_MAX];
    struct view v = { models, book_count(the_book()) };
    struct features f;
    struct arena arena;
    struct plan plan;
    struct buf text;

    for (size_t i = 0; i < v.n_models; i++) {
        const struct book_model *m = book_get(the_book(), i);

        models[i] = (struct view_model){ .model = m, .provider = m->provider, .on = !dice_one_in(dice, 5),
                                         .local = span_is(m->provider, "local") };
    }
    features_init(&f);
    f.dialect = SPAN_LIT("openai");
    f.stream = dice_one_in(dice, 2);
    f.route_asked = dice_one_in(dice, 3) ? p->routes[dice_below(dice, (uint32_t)p->n_routes)].name : SPAN_NONE;
    f.team = dice_one_in(dice, 2) ? SPAN_LIT("x") : SPAN_NONE;
    f.max_cost_nano = dice_one_in(dice, 4) ? (int64_t)dice_below(dice, 9000000) : -1;
    f.deadline_ms = dice_one_in(dice, 4) ? (int64_t)dice_below(dice, 9000) : -1;
    f.asked.max_tokens = (int64_t)dice_below(dice, 2000);
    f.asked.json = dice_one_in(dice, 4);
    features_finish(&f);
    buf_init(&text, 1u << 20);
    plan_explain(p, &f, &v, AT_MS, dice_one_in(dice, 2) ? EXPLAIN_TEXT : EXPLAIN_JSON, &text);
    buf_free(&text);
    arena_init(&arena, 1u << 20);
    if (plan_make(p, &f, &v, AT_MS, &arena, &plan, NULL) != PLAN_OK)
        abort();    /* a route of the policy, or its own choice: there is always a plan */
    drive_run(dice, &plan, models, v.n_models, &arena, NULL);
    arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct span all = { (const char *)data, size };
    const size_t cut = span_find(all, '\0');
    struct dice_bytes bytes = { .left = span_skip(all, cut + 1), .seed = size };
    struct dice dice = { dice_roll_bytes, &bytes };
    struct problems ps;
    struct policy *p;
    json_t *tree;

    problems_init(&ps);
    tree = json_parse("fuzz", span_first(all, cut), &ps);
    p = tree ? policy_load(tree, the_book(), &ps) : NULL;
    if (!p && !ps.errors)
        abort();    /* refused without a word */
    if (p)
        play(p, &dice);
    policy_free(p);
    json_decref(tree);
    problems_free(&ps);
    return 0;
}
