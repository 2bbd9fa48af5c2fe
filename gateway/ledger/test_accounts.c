/* test_accounts.c - keys, teams and budgets as the commands edit them. */
#include "gateway/ledger/fixture.h"

#include "gateway/ledger/accounts.h"

static struct accounts *open_accounts(const struct fixture *f)
{
    struct problems ps;
    struct accounts *a;

    problems_init(&ps);
    a = accounts_open(f->path, true, &ps);
    problems_print(&ps, stderr);
    problems_free(&ps);
    assert_non_null(a);
    return a;
}

static enum accounts_rc make_key(struct fixture *f, struct accounts *a, const char *team, const char *name, struct key_info *info,
                                 char text[KEY_TEXT_BYTES + 1])
{
    return accounts_key_create(a, span_str(team), span_str(name), false, f->now_ms, info, text);
}

/* What AUTH would say, from the file. */
static enum key_rc auth(struct fixture *f, const char *text)
{
    struct key_info info;
    enum key_rc rc;

    fixture_open(f);
    rc = keys_find(f->keys, span_str(text), &info);
    fixture_close(f);
    return rc;
}

static void a_key_is_in_the_file_only_as_its_digest(void **state)
{
    struct fixture *f = *state;
    struct accounts *a = open_accounts(f);
    struct key_info info;
    char text[KEY_TEXT_BYTES + 1], name[320];
    static char bytes[1 << 20];
    FILE *in;

    assert_int_equal(make_key(f, a, "search", "ci", &info, text), ACCOUNTS_OK);
    assert_true(key_well_formed(span_str(text)));
    accounts_close(a);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM keys k JOIN teams t ON t.name = k.team WHERE length(digest) = 32"), 1);
    for (int i = 0; i < 2; i++) {
        size_t n;

        snprintf(name, sizeof name, "%s%s", f->path, i ? "-wal" : "");
        in = fopen(name, "rb");
        if (!in)
            continue;
        n = fread(bytes, 1, sizeof bytes, in);
        fclose(in);
        assert_null(memmem(bytes, n, text + 3, 20));
    }
    assert_int_equal(auth(f, text), KEY_OK);
}

static void a_name_is_unique_among_a_teams_keys_in_use(void **state)
{
    struct fixture *f = *state;
    struct accounts *a = open_accounts(f);
    struct key_info one, two;
    char text[KEY_TEXT_BYTES + 1];

    assert_int_equal(make_key(f, a, "search", "ci", &one, text), ACCOUNTS_OK);
    assert_int_equal(make_key(f, a, "search", "ci", &two, text), ACCOUNTS_EXISTS);
    assert_string_equal(two.id, one.id);
    assert_int_equal(make_key(f, a, "legal", "ci", &two, text), ACCOUNTS_OK);
    assert_int_equal(accounts_key_revoke(a, SPAN_NONE, SPAN_LIT("search"), SPAN_LIT("ci"), f->now_ms, &two), ACCOUNTS_OK);
    assert_string_equal(two.id, one.id);
    assert_int_equal(make_key(f, a, "search", "ci", &two, text), ACCOUNTS_OK);
    assert_string_not_equal(two.id, one.id);
    assert_int_equal(accounts_key_revoke(a, span_str(one.id), SPAN_NONE, SPAN_NONE, f->now_ms, &two), ACCOUNTS_REVOKED);
    assert_int_equal(accounts_key_revoke(a, SPAN_LIT("key_none"), SPAN_NONE, SPAN_NONE, f->now_ms, &two), ACCOUNTS_NOT_FOUND);
    assert_int_equal(make_key(f, a, "a b", "ci", &two, text), ACCOUNTS_FAILED);
    assert_int_equal(make_key(f, a, "search", "'; DROP TABLE keys; --", &two, text), ACCOUNTS_FAILED);
    accounts_close(a);
}

static void rotating_changes_the_key_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    struct accounts *a = open_accounts(f);
    struct key_info info, after;
    char old[KEY_TEXT_BYTES + 1], new[KEY_TEXT_BYTES + 1];
    char scope[BUDGET_SCOPE_BYTES];

    assert_int_equal(make_key(f, a, "search", "ci", &info, old), ACCOUNTS_OK);
    snprintf(scope, sizeof scope, "key:%s", info.id);
    assert_int_equal(accounts_budget_set(a, scope, BUDGET_DAY, 1, f->now_ms), ACCOUNTS_OK);
    assert_int_equal(accounts_key_rotate(a, SPAN_NONE, SPAN_LIT("search"), SPAN_LIT("ci"), f->now_ms, &after, new), ACCOUNTS_OK);
    assert_string_equal(after.id, info.id);
    assert_string_not_equal(new, old);
    accounts_close(a);
    assert_int_equal(auth(f, old), KEY_UNKNOWN);
    assert_int_equal(auth(f, new), KEY_OK);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM budgets"), 1);
}

static void a_budget_names_a_team_but_needs_a_key(void **state)
{
    struct fixture *f = *state;
    struct accounts *a = open_accounts(f);

    assert_int_equal(accounts_budget_set(a, "team:new", BUDGET_DAY, 5, f->now_ms), ACCOUNTS_OK);
    assert_int_equal(accounts_budget_set(a, "team:new", BUDGET_DAY, 7, f->now_ms), ACCOUNTS_OK);
    assert_int_equal(accounts_budget_set(a, "team:new", BUDGET_MONTH, 70, f->now_ms), ACCOUNTS_OK);
    assert_int_equal(accounts_budget_set(a, "key:key_none", BUDGET_DAY, 5, f->now_ms), ACCOUNTS_NOT_FOUND);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM teams WHERE name = 'new'"), 1);
    assert_int_equal(fixture_int(f, "SELECT limit_nano FROM budgets WHERE period = 'day'"), 7);
    assert_int_equal(accounts_budget_remove(a, "team:new", false, BUDGET_DAY), ACCOUNTS_OK);
    assert_int_equal(accounts_budget_remove(a, "team:new", false, BUDGET_DAY), ACCOUNTS_NOT_FOUND);
    assert_int_equal(accounts_budget_remove(a, "team:new", true, BUDGET_DAY), ACCOUNTS_OK);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM budgets"), 0);
    accounts_close(a);
}

static void count_budget(void *arg, const struct accounts_budget *b)
{
    struct accounts_budget *list = arg;

    list[b->row.period] = *b;
}

static void the_list_says_spent_and_reserved_in_the_window_of_now(void **state)
{
    struct fixture *f = *state;
    struct accounts *a = open_accounts(f);
    struct accounts_budget list[BUDGET_PERIODS];
    struct budget_state live;
    struct sample s[3];

    for (int p = 0; p < BUDGET_PERIODS; p++)
        assert_int_equal(accounts_budget_set(a, "team:search", (enum budget_period)p, 10000000, f->now_ms), ACCOUNTS_OK);
    fixture_open(f);
    for (uint64_t i = 0; i < 3; i++) {
        sample_init(f, &s[i], i);
        assert_int_equal(sample_open(f, &s[i], i + 1), LEDGER_OK);
    }
    fixture_wait(f, 3);
    assert_int_equal(sample_settle(f, &s[0], 4), LEDGER_OK);
    fixture_wait(f, 4);
    assert_true(accounts_budgets_each(a, f->now_ms, count_budget, list));
    for (int p = 0; p < BUDGET_PERIODS; p++) {
        assert_int_equal(list[p].spent_nano, USUAL_NANO);
        assert_int_equal(list[p].reserved_nano, 2 * WORST_NANO);
    }
    assert_int_equal(budgets_list(f->budgets, f->now_ms, &live, 1), BUDGET_PERIODS);
    assert_int_equal(live.spent_nano, USUAL_NANO);    /* the file and the running process say the same */
    assert_int_equal(live.reserved_nano, 2 * WORST_NANO);

    assert_int_equal(sample_settle(f, &s[1], 5), LEDGER_OK);
    assert_int_equal(sample_settle(f, &s[2], 6), LEDGER_OK);
    fixture_wait(f, 6);
    fixture_close(f);
    f->now_ms += INT64_C(24) * 3600000;              /* the next day, a Thursday of the same week and month */
    assert_true(accounts_budgets_each(a, f->now_ms, count_budget, list));
    assert_int_equal(list[BUDGET_DAY].spent_nano, 0);
    assert_int_equal(list[BUDGET_WEEK].spent_nano, 3 * USUAL_NANO);
    assert_int_equal(list[BUDGET_MONTH].spent_nano, 3 * USUAL_NANO);
    assert_int_equal(list[BUDGET_TOTAL].spent_nano, 3 * USUAL_NANO);
    assert_int_equal(list[BUDGET_TOTAL].reserved_nano, 0);
    accounts_close(a);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(a_key_is_in_the_file_only_as_its_digest),
        T(a_name_is_unique_among_a_teams_keys_in_use),
        T(rotating_changes_the_key_and_nothing_else),
        T(a_budget_names_a_team_but_needs_a_key),
        T(the_list_says_spent_and_reserved_in_the_window_of_now),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
