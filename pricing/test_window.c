/* test_window.c - windows across midnight, on their own weekdays, around holidays, leap days and clock changes. */
#include <time.h>

#include "pricing/testing.h"

#define MINUTE INT64_C(60000)

static struct window window_of(const struct zone *tz, int32_t from_min, int32_t to_min)
{
    return (struct window){ .from_min = from_min, .to_min = to_min, .days = WINDOW_ALL_DAYS, .tz = tz, .days_tz = tz };
}

#define MON_TO_FRI 0x1fu

static void the_articles_window_holds_across_midnight_and_ends_on_the_minute(void **state)
{
    struct zone *utc = zone_of("UTC");
    const struct window w = window_of(utc, 16 * 60 + 30, 30);

    (void)state;
    assert_false(window_holds(&w, at("2026-04-24T16:29:59.999Z")));
    assert_true(window_holds(&w, at("2026-04-24T16:30:00Z")));
    assert_true(window_holds(&w, at("2026-04-24T23:59:59.999Z")));
    assert_true(window_holds(&w, at("2026-04-25T00:00:00Z")));
    assert_true(window_holds(&w, at("2026-04-25T00:29:59.999Z")));
    assert_false(window_holds(&w, at("2026-04-25T00:30:00Z")));
    assert_true(window_holds(&w, at("1969-12-31T16:30:00Z")));    /* before 1970 too */
    zone_free(utc);
}

static void a_whole_day_from_midnight_to_midnight_always_holds(void **state)
{
    struct zone *utc = zone_of("UTC");
    const struct window w = window_of(utc, 0, 1440), evening = window_of(utc, 22 * 60, 1440);

    (void)state;
    assert_true(window_holds(&w, at("2026-04-24T00:00:00Z")));
    assert_true(window_holds(&w, at("2026-04-24T23:59:59.999Z")));
    assert_true(window_holds(&evening, at("2026-04-24T23:59:59.999Z")));
    assert_false(window_holds(&evening, at("2026-04-25T00:00:00Z")));
    zone_free(utc);
}

/* BerriAI/litellm#31606, #31725: hours in UTC, weekday in Beijing. 2026-11-20 is a Friday, 2026-11-22 a Sunday. */
static void the_weekday_is_read_on_its_own_clock(void **state)
{
    struct zone *utc = zone_of("UTC"), *beijing = zone_of("Asia/Shanghai");
    struct window w = window_of(utc, 15 * 60, 23 * 60);

    (void)state;
    w.days = MON_TO_FRI;
    w.days_tz = beijing;
    assert_true(window_holds(&w, at("2026-11-20T15:59:59.999Z")));     /* Friday there */
    assert_false(window_holds(&w, at("2026-11-20T16:00:00Z")));        /* Saturday there, still Friday in UTC */
    assert_false(window_holds(&w, at("2026-11-22T15:59:59.999Z")));    /* Sunday there */
    assert_true(window_holds(&w, at("2026-11-22T16:00:00Z")));         /* Monday there, still Sunday in UTC */
    w.days_tz = utc;
    assert_true(window_holds(&w, at("2026-11-20T16:00:00Z")));
    assert_false(window_holds(&w, at("2026-11-22T16:00:00Z")));
    zone_free(utc);
    zone_free(beijing);
}

static void a_holiday_is_a_date_on_the_calendars_clock(void **state)
{
    struct zone *utc = zone_of("UTC"), *beijing = zone_of("Asia/Shanghai");
    const int64_t days[] = { zone_days_from_date(2026, 10, 1), zone_days_from_date(2026, 10, 7) };
    const struct calendar c = { SPAN_LIT("china"), beijing, days, 2 };
    struct window w = window_of(utc, 0, 1440);

    (void)state;
    w.except = &c;
    assert_true(window_holds(&w, at("2026-09-30T15:59:59.999Z")));
    assert_false(window_holds(&w, at("2026-09-30T16:00:00Z")));    /* 1 October in Beijing */
    assert_false(window_holds(&w, at("2026-10-01T15:59:59.999Z")));
    assert_true(window_holds(&w, at("2026-10-01T16:00:00Z")));
    assert_false(window_holds(&w, at("2026-10-07T03:00:00Z")));
    assert_true(window_holds(&w, at("2027-10-01T03:00:00Z")));
    zone_free(utc);
    zone_free(beijing);
}

static void the_29th_of_february_is_a_day_like_others(void **state)
{
    struct zone *utc = zone_of("UTC");
    const int64_t days[] = { zone_days_from_date(2028, 2, 29) };
    const struct calendar c = { SPAN_LIT("leap"), utc, days, 1 };
    struct window w = window_of(utc, 0, 1440);

    (void)state;
    w.days = 1u << 1;    /* Tuesdays: 2028-02-29 is one */
    assert_true(window_holds(&w, at("2028-02-29T12:00:00Z")));
    assert_false(window_holds(&w, at("2028-03-01T00:00:00Z")));
    assert_false(window_holds(&w, at("2028-02-28T23:59:59.999Z")));
    w.except = &c;
    assert_false(window_holds(&w, at("2028-02-29T12:00:00Z")));
    assert_true(window_holds(&w, at("2028-02-22T12:00:00Z")));
    zone_free(utc);
}

static void a_window_moves_with_summer_time(void **state)
{
    struct zone *ny = zone_of("America/New_York");
    const struct window office = window_of(ny, 9 * 60, 17 * 60);

    (void)state;
    assert_false(window_holds(&office, at("2026-01-15T13:59:59Z")));
    assert_true(window_holds(&office, at("2026-01-15T14:00:00Z")));
    assert_true(window_holds(&office, at("2026-07-15T13:00:00Z")));
    assert_false(window_holds(&office, at("2026-07-15T12:59:59Z")));
    assert_false(window_holds(&office, at("2026-07-15T21:00:00Z")));
    zone_free(ny);
}

static void a_skipped_hour_never_holds_and_a_repeated_one_holds_twice(void **state)
{
    struct zone *ny = zone_of("America/New_York");
    const struct window skipped = window_of(ny, 2 * 60 + 15, 2 * 60 + 45);
    const struct window repeated = window_of(ny, 60 + 15, 60 + 45);
    int minutes = 0;

    (void)state;
    for (int64_t t = at("2026-03-08T05:00:00Z"); t < at("2026-03-09T04:00:00Z"); t += MINUTE)
        assert_false(window_holds(&skipped, t));
    for (int64_t t = at("2026-11-01T04:00:00Z"); t < at("2026-11-02T05:00:00Z"); t += MINUTE)
        minutes += window_holds(&repeated, t);
    assert_int_equal(minutes, 60);
    zone_free(ny);
}

/* ---- against a second implementation ---- */

static const char *const zones[] = { "UTC", "Asia/Shanghai", "America/New_York", "Europe/London", "Australia/Lord_Howe",
                                     "Asia/Kathmandu", "America/St_Johns", "Africa/Casablanca" };
#define ZONES (sizeof zones / sizeof *zones)

static struct tm libc_local(const char *zone, int64_t utc_ms)
{
    const time_t s = (time_t)(utc_ms / 1000);
    struct tm tm;

    setenv("TZ", zone, 1);
    tzset();
    localtime_r(&s, &tm);
    return tm;
}

static bool libc_holds(const struct window *w, const char *tz, const char *days_tz, int64_t utc_ms)
{
    const struct tm clock = libc_local(tz, utc_ms), day = libc_local(days_tz, utc_ms);
    const int minute = clock.tm_hour * 60 + clock.tm_min;
    const int weekday = day.tm_wday == 0 ? 6 : day.tm_wday - 1;
    const bool crosses = w->to_min < w->from_min;
    const bool in = crosses ? minute >= w->from_min || minute < w->to_min : minute >= w->from_min && minute < w->to_min;

    return in && (w->days & 1u << weekday);
}

static struct window random_window(struct dice *d, struct zone *const loaded[ZONES], size_t *tz, size_t *days_tz)
{
    struct window w;

    *tz = (size_t)dice_between(d, 0, ZONES - 1);
    *days_tz = (size_t)dice_between(d, 0, ZONES - 1);
    w = window_of(loaded[*tz], (int32_t)dice_between(d, 0, 1439), (int32_t)dice_between(d, 1, 1440));
    if (w.from_min == w.to_min)
        w.to_min = w.to_min == 1440 ? 1439 : w.to_min + 1;
    w.days = (unsigned)dice_between(d, 1, WINDOW_ALL_DAYS);
    w.days_tz = loaded[*days_tz];
    return w;
}

static void windows_agree_with_libc_at_random_times_in_random_zones(void **state)
{
    struct dice d = { 606 };
    struct zone *loaded[ZONES];

    (void)state;
    for (size_t i = 0; i < ZONES; i++)
        loaded[i] = zone_of(zones[i]);
    for (int n = 0; n < 20000; n++) {
        size_t tz, days_tz;
        const struct window w = random_window(&d, loaded, &tz, &days_tz);
        const int64_t t = dice_between(&d, at("2020-01-01T00:00:00Z") / 1000, at("2032-01-01T00:00:00Z") / 1000) * 1000;

        if (window_holds(&w, t) != libc_holds(&w, zones[tz], zones[days_tz], t))
            fail_msg("case %d: %d-%d in %s, days %x in %s, at %lld", n, w.from_min, w.to_min, zones[tz], w.days,
                     zones[days_tz], (long long)t);
    }
    setenv("TZ", "UTC", 1);
    tzset();
    for (size_t i = 0; i < ZONES; i++)
        zone_free(loaded[i]);
}

static void nothing_changes_before_the_next_edge(void **state)
{
    struct dice d = { 909 };
    struct zone *loaded[ZONES];
    const int64_t holidays[] = { zone_days_from_date(2026, 3, 29), zone_days_from_date(2026, 10, 25) };

    (void)state;
    for (size_t i = 0; i < ZONES; i++)
        loaded[i] = zone_of(zones[i]);
    for (int n = 0; n < 4000; n++) {
        size_t tz, days_tz;
        struct window w = random_window(&d, loaded, &tz, &days_tz);
        const struct calendar c = { SPAN_LIT("c"), loaded[(size_t)n % ZONES], holidays, 2 };
        const int64_t t = dice_between(&d, at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
        int64_t edge;

        if (n % 2)
            w.except = &c;
        edge = window_next_edge(&w, t);
        assert_true(edge > t && edge <= t + 24 * 60 * MINUTE);
        for (int k = 0; k < 40; k++)
            if (window_holds(&w, dice_between(&d, t, edge - 1)) != window_holds(&w, t))
                fail_msg("case %d: changes between %lld and %lld", n, (long long)t, (long long)edge);
    }
    for (size_t i = 0; i < ZONES; i++)
        zone_free(loaded[i]);
}

static void the_first_window_that_holds_is_picked(void **state)
{
    struct zone *utc = zone_of("UTC");
    const struct window w[] = { window_of(utc, 60, 240), window_of(utc, 360, 600) };

    (void)state;
    assert_int_equal(window_pick(w, 2, at("2026-04-24T01:00:00Z")), 0);
    assert_int_equal(window_pick(w, 2, at("2026-04-24T04:00:00Z")), -1);
    assert_int_equal(window_pick(w, 2, at("2026-04-24T06:00:00Z")), 1);
    assert_int_equal(window_pick(w, 0, 0), -1);
    zone_free(utc);
}

static void far_times_are_no_trouble(void **state)
{
    struct zone *ny = zone_of("America/New_York");
    const struct window w = window_of(ny, 60, 240);

    (void)state;
    window_holds(&w, INT64_MAX);
    window_holds(&w, INT64_MIN);
    assert_true(window_next_edge(&w, INT64_MIN) > INT64_MIN);
    assert_int_equal(window_next_edge(&w, INT64_MAX), INT64_MAX);
    zone_free(ny);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_articles_window_holds_across_midnight_and_ends_on_the_minute),
        cmocka_unit_test(a_whole_day_from_midnight_to_midnight_always_holds),
        cmocka_unit_test(the_weekday_is_read_on_its_own_clock),
        cmocka_unit_test(a_holiday_is_a_date_on_the_calendars_clock),
        cmocka_unit_test(the_29th_of_february_is_a_day_like_others),
        cmocka_unit_test(a_window_moves_with_summer_time),
        cmocka_unit_test(a_skipped_hour_never_holds_and_a_repeated_one_holds_twice),
        cmocka_unit_test(windows_agree_with_libc_at_random_times_in_random_zones),
        cmocka_unit_test(nothing_changes_before_the_next_edge),
        cmocka_unit_test(the_first_window_that_holds_is_picked),
        cmocka_unit_test(far_times_are_no_trouble),
    };

    return cmocka_run_group_tests_name("pricing/window", tests, NULL, NULL);
}
