/* test_budget.c - budgets that cannot be overshot and do not leak. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "gateway/ledger/budget.h"
#include "gateway/ledger/utc.h"

#define NOON INT64_C(1795003200000)    /* 2026-11-18T12:00:00Z, a Wednesday */
#define TEAM SPAN_LIT("search")
#define KEY SPAN_LIT("key_1")

static struct budget_state only_state(struct budgets *b, int64_t now_ms)
{
    struct budget_state s;

    assert_int_equal(budgets_list(b, now_ms, &s, 1), 1);
    return s;
}

static struct budgets *with_budget(const char *scope, enum budget_period period, int64_t limit_nano)
{
    struct budgets *b = budgets_new();
    struct budget_row row = { .period = period, .limit_nano = limit_nano };

    memcpy(row.scope, scope, strlen(scope) + 1);
    assert_non_null(b);
    assert_true(budgets_publish(b, &row, 1));
    return b;
}

static void a_reservation_that_fits_exactly_is_granted_and_the_next_is_not(void **state)
{
    struct budgets *b = with_budget("team:search", BUDGET_DAY, 100);
    struct budget_hold one = { 0 }, two = { 0 };
    struct budget_refusal no;

    (void)state;
    assert_int_equal(budget_reserve(b, TEAM, KEY, 100, NOON, &one, &no), BUDGET_OK);
    assert_int_equal(budget_reserve(b, TEAM, KEY, 1, NOON, &two, &no), BUDGET_REFUSED);
    assert_false(two.open);
    assert_string_equal(no.scope, "team:search");
    assert_int_equal(no.limit_nano, 100);
    assert_int_equal(no.spent_nano, 0);
    assert_int_equal(no.reserved_nano, 100);
    assert_int_equal(no.wanted_nano, 1);
    assert_int_equal(no.resets_ms, NOON + 12 * UTC_HOUR_MS);
    assert_int_equal(budget_reserve(b, TEAM, KEY, 0, NOON, &two, &no), BUDGET_OK);    /* what is free costs nothing */
    budgets_free(b);
}

static void settling_gives_back_what_was_not_used(void **state)    /* BerriAI/litellm#27639: counters leaked upward */
{
    struct budgets *b = with_budget("team:search", BUDGET_TOTAL, 100);
    struct budget_hold h = { 0 };
    struct budget_refusal no;

    (void)state;
    for (int i = 0; i < 33; i++) {
        assert_int_equal(budget_reserve(b, TEAM, KEY, 50, NOON, &h, &no), BUDGET_OK);
        budget_settle(b, &h, i % 2 ? 3 : 0);
        budget_settle(b, &h, 1000);    /* an empty hold: nothing */
    }
    assert_int_equal(only_state(b, NOON).spent_nano, 48);
    assert_int_equal(only_state(b, NOON).reserved_nano, 0);
    budgets_free(b);
}

static void what_is_reported_above_the_hold_is_charged(void **state)
{
    struct budgets *b = with_budget("key:key_1", BUDGET_DAY, 100);
    struct budget_hold h = { 0 };
    struct budget_refusal no;

    (void)state;
    assert_int_equal(budget_reserve(b, TEAM, KEY, 60, NOON, &h, &no), BUDGET_OK);
    budget_settle(b, &h, 130);
    assert_int_equal(only_state(b, NOON).spent_nano, 130);
    assert_int_equal(budget_reserve(b, TEAM, KEY, 1, NOON, &h, &no), BUDGET_REFUSED);
    budgets_free(b);
}

static void a_refusal_takes_nothing_from_any_scope(void **state)
{
    struct budgets *b = budgets_new();
    const struct budget_row rows[] = { { "team:search", BUDGET_DAY, 1000 }, { "key:key_1", BUDGET_MONTH, 10 } };
    struct budget_state s[2];
    struct budget_hold h = { 0 };
    struct budget_refusal no;

    (void)state;
    assert_true(budgets_publish(b, rows, 2));
    for (int i = 0; i < 100; i++)
        assert_int_equal(budget_reserve(b, TEAM, KEY, 11, NOON, &h, &no), BUDGET_REFUSED);
    assert_string_equal(no.scope, "key:key_1");
    assert_int_equal(no.period, BUDGET_MONTH);
    assert_int_equal(budgets_list(b, NOON, s, 2), 2);
    assert_int_equal(s[0].reserved_nano + s[1].reserved_nano + s[0].spent_nano + s[1].spent_nano, 0);
    budgets_free(b);
}

static void of_several_full_budgets_the_tightest_is_named(void **state)
{
    struct budgets *b = budgets_new();
    const struct budget_row rows[] = { { "team:search", BUDGET_DAY, 50 }, { "team:search", BUDGET_MONTH, 20 }, { "key:key_1", BUDGET_DAY, 40 } };
    struct budget_hold h = { 0 };
    struct budget_refusal no;

    (void)state;
    assert_true(budgets_publish(b, rows, 3));
    assert_int_equal(budget_reserve(b, TEAM, KEY, 60, NOON, &h, &no), BUDGET_REFUSED);
    assert_int_equal(no.period, BUDGET_MONTH);
    assert_int_equal(no.limit_nano, 20);
    budgets_free(b);
}

static void a_window_begins_anew_and_keeps_its_own_holds(void **state)    /* BerriAI/litellm#34733: a reset lost spend */
{
    const int64_t next = NOON + 12 * UTC_HOUR_MS;
    struct budgets *b = with_budget("team:search", BUDGET_DAY, 100);
    struct budget_hold before = { 0 }, after = { 0 };
    struct budget_refusal no;

    (void)state;
    assert_int_equal(budget_reserve(b, TEAM, KEY, 100, next - 1, &before, &no), BUDGET_OK);
    assert_int_equal(budget_reserve(b, TEAM, KEY, 100, next, &after, &no), BUDGET_OK);    /* a new day, all of it free */
    budget_settle(b, &after, 30);
    budget_settle(b, &before, 90);    /* yesterday's, settled today: today's spend is not touched */
    assert_int_equal(only_state(b, next).spent_nano, 30);
    assert_int_equal(only_state(b, next).reserved_nano, 0);
    budgets_free(b);
}

static void a_clock_that_steps_back_over_an_edge_opens_no_new_window(void **state)
{
    const int64_t next = NOON + 12 * UTC_HOUR_MS;
    struct budgets *b = with_budget("team:search", BUDGET_DAY, 100);
    struct budget_hold h = { 0 };
    struct budget_refusal no;

    (void)state;
    assert_int_equal(budget_reserve(b, TEAM, KEY, 100, next, &h, &no), BUDGET_OK);
    budget_settle(b, &h, 100);
    assert_int_equal(budget_reserve(b, TEAM, KEY, 1, next - UTC_HOUR_MS, &h, &no), BUDGET_REFUSED);
    assert_int_equal(no.resets_ms, next + UTC_DAY_MS);
    assert_int_equal(budget_reserve(b, TEAM, KEY, 1, next + 1, &h, &no), BUDGET_REFUSED);
    budgets_free(b);
}

static void a_budget_set_while_requests_run_counts_them(void **state)
{
    struct budgets *b = budgets_new();
    const struct budget_row day = { "team:search", BUDGET_DAY, 100 };
    struct budget_hold running = { 0 }, h = { 0 };
    struct budget_refusal no;
    char scopes[2][BUDGET_SCOPE_BYTES];

    (void)state;
    assert_int_equal(budget_reserve(b, TEAM, KEY, 70, NOON, &running, &no), BUDGET_OK);
    assert_int_equal(budget_hold_scopes(&running, scopes), 0);
    assert_true(budgets_publish(b, &day, 1));
    assert_int_equal(budget_reserve(b, TEAM, KEY, 31, NOON, &h, &no), BUDGET_REFUSED);
    assert_int_equal(budget_reserve(b, TEAM, KEY, 30, NOON, &h, &no), BUDGET_OK);
    assert_int_equal(budget_hold_scopes(&h, scopes), 1);
    assert_string_equal(scopes[0], "team:search");
    budget_settle(b, &running, 60);
    assert_int_equal(only_state(b, NOON).spent_nano, 60);
    assert_true(budgets_publish(b, &day, 1));    /* the same again: counters stay */
    assert_int_equal(only_state(b, NOON).reserved_nano, 30);
    assert_true(budgets_publish(b, NULL, 0));
    assert_int_equal(budget_reserve(b, TEAM, KEY, 1000, NOON, &running, &no), BUDGET_OK);
    budgets_free(b);
}

static void other_teams_and_callers_without_one_are_not_held_up(void **state)
{
    struct budgets *b = with_budget("team:search", BUDGET_DAY, 0);
    struct budget_hold h = { 0 };
    struct budget_refusal no;

    (void)state;
    assert_int_equal(budget_reserve(b, TEAM, KEY, 1, NOON, &h, &no), BUDGET_REFUSED);
    assert_int_equal(budget_reserve(b, SPAN_LIT("legal"), SPAN_LIT("key_2"), 1, NOON, &h, &no), BUDGET_OK);
    budget_release(b, &h);
    assert_int_equal(budget_reserve(b, SPAN_NONE, SPAN_NONE, 1, NOON, &h, &no), BUDGET_OK);
    budget_release(b, &h);
    budgets_free(b);
}

static void amounts_beyond_all_bounds_do_not_wrap(void **state)
{
    struct budgets *b = with_budget("team:search", BUDGET_DAY, INT64_MAX - 1);
    struct budget_hold one = { 0 }, two = { 0 };
    struct budget_refusal no;

    (void)state;
    assert_int_equal(budget_reserve(b, TEAM, KEY, INT64_MAX - 1, NOON, &one, &no), BUDGET_OK);
    assert_int_equal(budget_reserve(b, TEAM, KEY, INT64_MAX - 1, NOON, &two, &no), BUDGET_REFUSED);
    budget_settle(b, &one, INT64_MAX);
    assert_int_equal(budget_reserve(b, TEAM, KEY, 1, NOON, &two, &no), BUDGET_REFUSED);
    budgets_free(b);
}

static void windows_have_the_edges_of_utcs_calendar(void **state)
{
    static const struct { enum budget_period period; const char *now, *start, *end; } rows[] = {
        { BUDGET_DAY, "2026-11-18T12:00Z", "2026-11-18", "2026-11-19" },
        { BUDGET_DAY, "2026-11-18T23:59:59.999Z", "2026-11-18", "2026-11-19" },
        { BUDGET_WEEK, "2026-11-18T12:00Z", "2026-11-16", "2026-11-23" },
        { BUDGET_WEEK, "2026-11-16T00:00Z", "2026-11-16", "2026-11-23" },
        { BUDGET_WEEK, "2026-11-22T23:59Z", "2026-11-16", "2026-11-23" },
        { BUDGET_WEEK, "1969-12-31T00:00Z", "1969-12-29", "1970-01-05" },
        { BUDGET_MONTH, "2026-11-30T23:59Z", "2026-11-01", "2026-12-01" },
        { BUDGET_MONTH, "2026-12-31T00:00Z", "2026-12-01", "2027-01-01" },
        { BUDGET_MONTH, "2028-02-29T12:00Z", "2028-02-01", "2028-03-01" },
        { BUDGET_MONTH, "2100-02-28T12:00Z", "2100-02-01", "2100-03-01" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t now = 0, start = 0, end = 0;

        assert_true(utc_parse(span_str(rows[i].now), &now) && utc_parse(span_str(rows[i].start), &start) &&
                    utc_parse(span_str(rows[i].end), &end));
        assert_int_equal(budget_window_start(rows[i].period, now), start);
        assert_int_equal(budget_window_end(rows[i].period, now), end);
    }
    assert_int_equal(budget_window_end(BUDGET_TOTAL, NOON), INT64_MAX);
}

static void the_refusal_names_budget_limit_spent_reserved_and_reset(void **state)
{
    const struct budget_refusal no = { "team:search", BUDGET_DAY, INT64_C(12500000000), INT64_C(12310000000), 150000000, 80000001,
                                       NOON + 12 * UTC_HOUR_MS };
    const struct budget_refusal full = { "key:key_1", BUDGET_TOTAL, 1, 1, 0, 5, INT64_MAX };
    char text[BUDGET_TEXT_ROOM], small[10];

    (void)state;
    budget_refusal_text(&no, text, sizeof text);
    assert_string_equal(text, "The day budget of team search has no room for this request: limit 12.5 USD, spent 12.31, reserved 0.15; "
                              "this request may cost 0.080000001. It resets at 2026-11-19T00:00:00Z.");
    budget_refusal_text(&full, text, sizeof text);
    assert_string_equal(text, "The total budget of key key_1 is used up: limit 0.000000001 USD, spent 0.000000001, reserved 0; this "
                              "request may cost 0.000000005. It never resets.");
    assert_int_equal(budget_refusal_text(&no, small, sizeof small), 9);
}

static void times_are_read_and_written_in_utc(void **state)
{
    static const char *const bad[] = { "", "2026", "2026-13", "2026-02-30", "2026-11-1", "2026-11-18T", "2026-11-18T12:00",
                                       "2026-11-18T24:00Z", "2026-11-18T12:60Z", "2026-11-18T12:00+01:00", "2026-11-18 12:00Z",
                                       "2026-11-18T12:00Zx", "x026-11-18", "2027-02-29", "2026-00-10", "2026-11-00" };
    int64_t ms;
    char text[UTC_TEXT_ROOM];

    (void)state;
    assert_true(utc_parse(SPAN_LIT("2026-11-18T12:00:00.250Z"), &ms));
    assert_int_equal(ms, NOON + 250);
    utc_text(ms, text);
    assert_string_equal(text, "2026-11-18T12:00:00.250Z");
    assert_true(utc_parse(SPAN_LIT("2026-11"), &ms));
    utc_text(ms, text);
    assert_string_equal(text, "2026-11-01T00:00:00Z");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(utc_parse(span_str(bad[i]), &ms));
    for (int64_t day = -200000; day < 200000; day += 97) {    /* there and back, 547 years each way */
        struct utc_date d = utc_to_date(day * UTC_DAY_MS);

        assert_int_equal(utc_from_date(d), day * UTC_DAY_MS);
    }
}

/* ---- races ---- */

#define THREADS 4
#define CALLERS 50     /* a thread: 200 in all */
#define FITTING 50
#define ROUNDS 20
#define AMOUNT 7

struct race {
    struct budgets *b;
    pthread_barrier_t start, end;
    atomic_int granted;
    struct budget_hold holds[THREADS][CALLERS];
};
struct racer {
    struct race *race;
    int index;
};

static void *race_main(void *arg)
{
    struct racer *me = arg;
    struct race *r = me->race;
    struct budget_refusal no;

    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(&r->start);
        for (int i = 0; i < CALLERS; i++) {
            struct budget_hold *h = &r->holds[me->index][i];

            if (budget_reserve(r->b, TEAM, KEY, AMOUNT, NOON, h, &no) == BUDGET_OK)
                atomic_fetch_add(&r->granted, 1);
        }
        pthread_barrier_wait(&r->end);
        for (int i = 0; i < CALLERS; i++)    /* gives back: the next round begins where this one did */
            budget_settle(r->b, &r->holds[me->index][i], 0);
    }
    return NULL;
}

/* BerriAI/litellm#34732, #40095, #26672: overshoot grew with concurrency. Two scopes, the key's the tighter. */
static void of_200_racing_callers_exactly_50_are_granted_in_every_round(void **state)
{
    struct race r = { .b = budgets_new() };
    const struct budget_row rows[] = { { "team:search", BUDGET_MONTH, AMOUNT * FITTING + 1 }, { "key:key_1", BUDGET_DAY, AMOUNT * FITTING } };
    struct racer racers[THREADS];
    pthread_t threads[THREADS];
    struct budget_state s[2];

    (void)state;
    assert_true(budgets_publish(r.b, rows, 2));
    pthread_barrier_init(&r.start, NULL, THREADS + 1);
    pthread_barrier_init(&r.end, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++) {
        racers[i] = (struct racer){ &r, i };
        assert_int_equal(pthread_create(&threads[i], NULL, race_main, &racers[i]), 0);
    }
    for (int round = 0; round < ROUNDS; round++) {
        atomic_store(&r.granted, 0);
        pthread_barrier_wait(&r.start);
        pthread_barrier_wait(&r.end);
        assert_int_equal(atomic_load(&r.granted), FITTING);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(budgets_list(r.b, NOON, s, 2), 2);
    assert_int_equal(s[0].reserved_nano + s[1].reserved_nano + s[0].spent_nano + s[1].spent_nano, 0);
    pthread_barrier_destroy(&r.start);
    pthread_barrier_destroy(&r.end);
    budgets_free(r.b);
}

#define CHURNS 400000

struct churn {
    struct budgets *b;
    atomic_int granted;
};

static void *churn_main(void *arg)
{
    struct churn *c = arg;
    struct budget_refusal no;

    for (int i = 0; i < CHURNS; i++) {
        struct budget_hold h = { 0 };

        if (budget_reserve(c->b, TEAM, KEY, AMOUNT, NOON, &h, &no) != BUDGET_OK)
            continue;
        atomic_fetch_add(&c->granted, 1);
        budget_settle(c->b, &h, 1);
    }
    return NULL;
}

/* The counters must be exact after 1,600,000 reservations and settlements from four threads. */
static void under_load_no_count_is_lost(void **state)
{
    struct churn c = { .b = budgets_new() };
    const struct budget_row rows[] = { { "team:search", BUDGET_TOTAL, INT64_MAX }, { "key:key_1", BUDGET_MONTH, INT64_MAX } };
    struct budget_state s[2];
    pthread_t threads[THREADS];

    (void)state;
    assert_true(budgets_publish(c.b, rows, 2));
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn_main, &c), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(budgets_list(c.b, NOON, s, 2), 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(s[i].spent_nano, atomic_load(&c.granted));
        assert_int_equal(s[i].reserved_nano, 0);
    }
    assert_int_equal(atomic_load(&c.granted), THREADS * CHURNS);
    budgets_free(c.b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reservation_that_fits_exactly_is_granted_and_the_next_is_not),
        cmocka_unit_test(settling_gives_back_what_was_not_used),
        cmocka_unit_test(what_is_reported_above_the_hold_is_charged),
        cmocka_unit_test(a_refusal_takes_nothing_from_any_scope),
        cmocka_unit_test(of_several_full_budgets_the_tightest_is_named),
        cmocka_unit_test(a_window_begins_anew_and_keeps_its_own_holds),
        cmocka_unit_test(a_clock_that_steps_back_over_an_edge_opens_no_new_window),
        cmocka_unit_test(a_budget_set_while_requests_run_counts_them),
        cmocka_unit_test(other_teams_and_callers_without_one_are_not_held_up),
        cmocka_unit_test(amounts_beyond_all_bounds_do_not_wrap),
        cmocka_unit_test(windows_have_the_edges_of_utcs_calendar),
        cmocka_unit_test(the_refusal_names_budget_limit_spent_reserved_and_reset),
        cmocka_unit_test(times_are_read_and_written_in_utc),
        cmocka_unit_test(of_200_racing_callers_exactly_50_are_granted_in_every_round),
        cmocka_unit_test(under_load_no_count_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
