/* test_health.c - the breaker of DESIGN section 6, by the clock of the test. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>

#include "gateway/upstream/health.h"

static struct health *h;
static struct health_entry *e;

static int setup(void **state)
{
    (void)state;
    h = health_new();
    e = h ? health_get(h, SPAN_LIT("deepseek"), SPAN_LIT("deepseek-v4-flash")) : NULL;
    return e ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    health_free(h);
    return 0;
}

static struct health_view look(int64_t now_ms)
{
    struct health_view v;

    health_look(e, now_ms, &v);
    return v;
}

static void fail_times(int n, int64_t now_ms)
{
    for (int i = 0; i < n; i++)
        health_failure(e, now_ms);
}

static void it_opens_at_the_fifth_failure_in_a_row(void **state)
{
    (void)state;
    fail_times(4, 1000);
    assert_int_equal(look(1000).state, HEALTH_CLOSED);
    assert_int_equal(look(1000).failures, 4);
    fail_times(1, 1000);
    assert_int_equal(look(1000).state, HEALTH_OPEN);
    assert_int_equal(look(1000).retry_ms, 5000);
}

static void a_success_between_starts_the_count_again(void **state)
{
    (void)state;
    fail_times(4, 0);
    health_success(e, 0, -1);
    assert_int_equal(look(0).failures, 0);
    fail_times(4, 0);
    assert_int_equal(look(0).state, HEALTH_CLOSED);
}

static void after_five_seconds_one_may_try_and_only_one(void **state)
{
    (void)state;
    fail_times(5, 1000);
    assert_int_equal(look(5999).state, HEALTH_OPEN);
    assert_false(health_begin(e, 5999));
    assert_int_equal(look(6000).state, HEALTH_TRIAL);
    assert_true(health_begin(e, 6000));
    assert_int_equal(look(6000).state, HEALTH_OPEN);
    assert_false(health_begin(e, 6001));
}

static void a_good_trial_closes_it(void **state)
{
    (void)state;
    fail_times(5, 0);
    assert_true(health_begin(e, 5000));
    health_success(e, 5100, -1);
    assert_int_equal(look(5100).state, HEALTH_CLOSED);
    assert_int_equal(look(5100).failures, 0);
    fail_times(5, 6000);    /* and the next opening is short again */
    assert_int_equal(look(6000).retry_ms, 5000);
}

static void bad_trials_double_the_wait_up_to_a_minute(void **state)
{
    static const int64_t waits[] = { 10000, 20000, 40000, 60000, 60000 };
    int64_t now = 0, wait = 5000;

    (void)state;
    fail_times(5, now);
    for (size_t i = 0; i < 5; i++) {
        now += wait;
        assert_int_equal(look(now - 1).state, HEALTH_OPEN);
        assert_true(health_begin(e, now));
        health_failure(e, now);
        wait = waits[i];
        assert_int_equal(look(now).state, HEALTH_OPEN);
        assert_int_equal(look(now).retry_ms, wait);
    }
}

static void late_failures_of_other_calls_do_not_prolong_the_wait(void **state)
{
    (void)state;
    fail_times(5, 0);
    fail_times(20, 4000);    /* began before it opened, or were sole steps */
    assert_int_equal(look(4000).retry_ms, 1000);
    assert_int_equal(look(5000).state, HEALTH_TRIAL);
}

static void a_trial_that_gives_up_is_free_again_and_costs_nothing(void **state)
{
    (void)state;
    fail_times(5, 0);
    assert_true(health_begin(e, 5000));
    health_gave_up(e, 5500);
    assert_int_equal(look(5500).state, HEALTH_TRIAL);
    assert_true(health_begin(e, 5500));
    health_failure(e, 5600);
    assert_int_equal(look(5600).retry_ms, 10000);
}

static void a_trial_that_is_never_reported_does_not_keep_it_shut(void **state)
{
    (void)state;
    fail_times(5, 0);
    assert_true(health_begin(e, 5000));
    assert_int_equal(look(9999).state, HEALTH_OPEN);
    assert_int_equal(look(10000).state, HEALTH_TRIAL);
}

static void a_call_given_up_without_a_trial_changes_nothing(void **state)
{
    (void)state;
    fail_times(5, 0);
    health_gave_up(e, 100);
    assert_int_equal(look(100).state, HEALTH_OPEN);
    assert_int_equal(look(100).retry_ms, 4900);
}

static void retry_after_runs_beside_the_breaker(void **state)
{
    (void)state;
    health_retry_after(e, 8000);
    health_retry_after(e, 3000);    /* the later holds */
    assert_int_equal(look(1000).state, HEALTH_CLOSED);
    assert_int_equal(look(1000).retry_after_ms, 7000);
    assert_int_equal(look(8000).retry_after_ms, 0);
    fail_times(5, 1000);
    assert_int_equal(look(1000).retry_ms, 7000);
    assert_int_equal(look(1000).retry_after_ms, 7000);
    health_success(e, 1000, -1);    /* another key's success does not end it */
    assert_int_equal(look(1000).retry_after_ms, 7000);
}

static void pairs_are_apart_and_last(void **state)
{
    struct health_entry *other = health_get(h, SPAN_LIT("deepseek"), SPAN_LIT("deepseek-v4-pro"));
    struct health_view v;

    (void)state;
    fail_times(5, 0);
    health_look(other, 0, &v);
    assert_int_equal(v.state, HEALTH_CLOSED);
    assert_ptr_equal(health_get(h, SPAN_LIT("deepseek"), SPAN_LIT("deepseek-v4-flash")), e);
    assert_ptr_not_equal(health_get(h, SPAN_LIT("deepseek/deepseek-v4"), SPAN_LIT("flash")), e);
}

static void the_first_byte_time_is_smoothed(void **state)
{
    (void)state;
    assert_int_equal(look(0).first_byte_us, -1);
    health_success(e, 0, 8000);
    assert_int_equal(look(0).first_byte_us, 8000);
    health_success(e, 0, 16000);    /* 8000 + 8000 / 8 */
    assert_int_equal(look(0).first_byte_us, 9000);
    health_success(e, 0, -1);
    assert_int_equal(look(0).first_byte_us, 9000);
}

static atomic_int trials;

static void *racer(void *arg)
{
    (void)arg;
    for (int64_t now = 0; now < 200000; now += 10) {
        if (health_begin(e, now)) {
            atomic_fetch_add(&trials, 1);
            health_failure(e, now);
        }
        look(now);
    }
    return NULL;
}

static void workers_share_one_trial(void **state)
{
    pthread_t t[4];

    (void)state;
    fail_times(5, 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&t[i], NULL, racer, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    /* At most those of one thread alone: 5, 15, 35, 75, 135 and 195 s. Clocks that lag behind can only lose some. */
    assert_true(atomic_load(&trials) >= 1 && atomic_load(&trials) <= 6);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(it_opens_at_the_fifth_failure_in_a_row),
        T(a_success_between_starts_the_count_again),
        T(after_five_seconds_one_may_try_and_only_one),
        T(a_good_trial_closes_it),
        T(bad_trials_double_the_wait_up_to_a_minute),
        T(late_failures_of_other_calls_do_not_prolong_the_wait),
        T(a_trial_that_gives_up_is_free_again_and_costs_nothing),
        T(a_trial_that_is_never_reported_does_not_keep_it_shut),
        T(a_call_given_up_without_a_trial_changes_nothing),
        T(retry_after_runs_beside_the_breaker),
        T(pairs_are_apart_and_last),
        T(the_first_byte_time_is_smoothed),
        T(workers_share_one_trial),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
