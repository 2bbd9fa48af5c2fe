/* test_zone.c - time zones against libc, which reads the same tz database with other code. */
#include <time.h>

#include "pricing/testing.h"

#define DAY INT64_C(86400000)
#define HOUR INT64_C(3600000)

/* Half-hour clock changes, changes at midnight, a skipped day, negative DST, two hours of it, rules of 50 hours, rules
 * long gone, none at all. */
static const char *const odd_zones[] = {
    "UTC", "Asia/Shanghai", "America/New_York", "Europe/London", "Europe/Dublin", "Australia/Lord_Howe",
    "Africa/Casablanca", "America/Nuuk", "Asia/Kathmandu", "Pacific/Apia", "Pacific/Kiritimati", "America/Sao_Paulo",
    "Asia/Tehran", "America/St_Johns", "America/Havana", "Antarctica/Troll", "Asia/Gaza", "Europe/Moscow",
    "Pacific/Chatham", "Asia/Pyongyang", "America/Santiago", "Asia/Beirut", "Africa/Cairo", "Pacific/Kwajalein",
};
#define ODD_ZONES (sizeof odd_zones / sizeof *odd_zones)

static void set_libc_zone(const char *name)
{
    assert_int_equal(setenv("TZ", name, 1), 0);
    tzset();
}

static void same_as_libc(const char *name, const struct zone *z, int64_t s)
{
    const struct zone_time t = zone_local(z, s * 1000 + 7);
    const time_t clock = (time_t)s;
    struct tm tm;

    assert_non_null(localtime_r(&clock, &tm));
    if (t.year != tm.tm_year + 1900 || t.month != tm.tm_mon + 1 || t.mday != tm.tm_mday ||
        t.day_ms != ((tm.tm_hour * 60 + tm.tm_min) * 60 + tm.tm_sec) * 1000 + 7 ||
        t.weekday != (tm.tm_wday + 6) % 7 || t.offset_s != tm.tm_gmtoff)
        fail_msg("%s at %lld: %d-%d-%d %d offset %d, libc %d-%d-%d %d:%d:%d offset %ld", name, (long long)s, t.year,
                 t.month, t.mday, t.day_ms, t.offset_s, tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                 tm.tm_min, tm.tm_sec, tm.tm_gmtoff);
}

static void local_time_agrees_with_libc_from_1850_to_2250_in_odd_zones(void **state)
{
    struct dice d = { 20260424 };

    (void)state;
    for (size_t i = 0; i < ODD_ZONES; i++) {
        struct zone *z = zone_of(odd_zones[i]);
        int64_t from_ms, until_ms = at("1970-01-01T00:00:00Z");

        set_libc_zone(odd_zones[i]);
        for (int n = 0; n < 2000; n++)
            same_as_libc(odd_zones[i], z, dice_between(&d, INT64_C(-3786825600), INT64_C(8835868800)));
        for (int n = 0; n < 200 && until_ms != INT64_MAX; n++) {    /* both sides of each change */
            same_as_libc(odd_zones[i], z, until_ms / 1000 - 1);
            same_as_libc(odd_zones[i], z, until_ms / 1000);
            zone_stretch(z, until_ms, &from_ms, &until_ms);
        }
        zone_free(z);
    }
    set_libc_zone("UTC");
}

static void local_time_agrees_with_libc_in_every_zone_of_the_table(void **state)
{
    struct dice d = { 7 };
    char line[512];
    int zones = 0;
    FILE *f = fopen(ZONE_DIRECTORY "/zone1970.tab", "r");

    (void)state;
    if (!f)
        skip();
    while (fgets(line, sizeof line, f)) {
        char name[128];
        struct zone *z;

        if (line[0] == '#' || sscanf(line, "%*s %*s %127s", name) != 1)
            continue;
        z = zone_of(name);
        set_libc_zone(name);
        for (int n = 0; n < 150; n++)
            same_as_libc(name, z, dice_between(&d, INT64_C(-2208988800), INT64_C(4102444800)));
        zone_free(z);
        zones++;
    }
    fclose(f);
    set_libc_zone("UTC");
    assert_true(zones > 300);
}

static void stretches_have_one_offset_and_meet_end_to_end(void **state)
{
    struct dice d = { 99 };

    (void)state;
    for (size_t i = 0; i < ODD_ZONES; i++) {
        struct zone *z = zone_of(odd_zones[i]);

        for (int n = 0; n < 300; n++) {
            const int64_t t = dice_between(&d, at("1850-01-01T00:00:00Z"), at("2150-01-01T00:00:00Z"));
            int64_t from, until, from2, until2;
            const int32_t offset = zone_stretch(z, t, &from, &until);

            assert_true(from <= t && t < until);
            assert_int_equal(zone_stretch(z, from == INT64_MIN ? t : from, &from2, &until2), offset);
            assert_true(from2 == from && until2 == until);
            assert_int_equal(zone_stretch(z, until == INT64_MAX ? t : until - 1, &from2, &until2), offset);
            assert_true(from2 == from && until2 == until);
        }
        zone_free(z);
    }
}

static void dates_are_counted_as_the_calendar_has_them(void **state)
{
    /* Hand: 1970-01-01 is day 0; 2000-01-01 is 30 years with 7 leap days; the rest from `date -d ... +%s`. */
    static const struct {
        const char *text;
        int64_t day;
    } rows[] = { { "1970-01-01", 0 }, { "1969-12-31", -1 }, { "2000-01-01", 10957 }, { "2000-02-29", 11016 },
                 { "2000-03-01", 11017 }, { "1900-03-01", -25508 }, { "2100-03-01", 47541 }, { "2024-02-29", 19782 },
                 { "0001-01-01", -719162 }, { "9999-12-31", 2932896 } };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t day = 12345;
        int32_t y, m, d;
        char text[64];

        assert_true(zone_parse_date(span_str(rows[i].text), &day));
        assert_int_equal(day, rows[i].day);
        zone_date_from_days(day, &y, &m, &d);
        snprintf(text, sizeof text, "%04d-%02d-%02d", (int)y, (int)m, (int)d);
        assert_string_equal(text, rows[i].text);
    }
    for (int64_t day = -800000; day < 800000; day += 17) {
        int32_t y, m, d;

        zone_date_from_days(day, &y, &m, &d);
        assert_int_equal(zone_days_from_date(y, m, d), day);
    }
}

static void what_is_no_date_or_time_is_refused(void **state)
{
    static const char *const dates[] = { "2026-02-29", "1900-02-29", "2026-13-01", "2026-00-01", "2026-01-00",
                                         "2026-04-31", "2026-1-01", "26-01-01", "2026/01-01", "2026-01/01", "2026-01-01 ",
                                         "2026-01-1x", "+026-01-01", "" };
    static const char *const times[] = { "2026-04-24", "2026-04-24T00:00:00", "2026-04-24T24:00:00Z",
                                         "2026-04-24T00:60:00Z", "2026-04-24T00:00:60Z", "2026-04-24t00:00:00Z",
                                         "2026-04-24T00:00:00z", "2026-04-24T00:00:00+00:00", "2026-04-24T00:00:00.1Z",
                                         "2026-04-24T00:00:00,123Z",
                                         "2026-04-24T00-00:00Z", "2026-04-24T00:00-00Z", "2026-04-24 00:00:00Z",
                                         "2026-02-29T00:00:00Z", "" };
    int64_t out = 5;

    (void)state;
    for (size_t i = 0; i < sizeof dates / sizeof *dates; i++)
        if (zone_parse_date(span_str(dates[i]), &out))
            fail_msg("taken for a date: %s", dates[i]);
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        if (zone_parse_time(span_str(times[i]), &out))
            fail_msg("taken for a time: %s", times[i]);
    assert_int_equal(out, 5);
}

static void times_are_written_as_they_are_read(void **state)
{
    static const char *const rows[] = { "1970-01-01T00:00:00Z", "2026-04-24T16:30:00Z", "2026-04-24T16:30:00.007Z",
                                        "1969-12-31T23:59:59.999Z", "2028-02-29T23:59:59Z" };
    char text[ZONE_TEXT_ROOM];

    (void)state;
    assert_int_equal(at("2026-04-24T00:00:00Z"), INT64_C(1776988800000));    /* date -u -d 2026-04-24 +%s */
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        zone_format_time(at(rows[i]), text);
        assert_string_equal(text, rows[i]);
    }
    zone_format_time(INT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
    zone_format_time(INT64_MIN, text);
}

static void a_day_with_a_clock_change_has_its_own_length(void **state)
{
    static const struct {
        const char *zone, *within, *start, *end;
    } rows[] = {
        { "UTC", "2026-04-24T12:00:00Z", "2026-04-24T00:00:00Z", "2026-04-25T00:00:00Z" },
        { "Asia/Shanghai", "2026-04-24T15:59:59Z", "2026-04-23T16:00:00Z", "2026-04-24T16:00:00Z" },
        { "America/New_York", "2026-03-08T12:00:00Z", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z" },    /* 23 h */
        { "America/New_York", "2026-11-01T12:00:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z" },    /* 25 h */
        { "Australia/Lord_Howe", "2026-04-05T00:00:00Z", "2026-04-04T13:00:00Z", "2026-04-05T13:30:00Z" },
        /* no midnight: the clock went from 23:59:59 to 01:00 */
        { "America/Sao_Paulo", "2018-11-04T12:00:00Z", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z" },
        /* 30 December 2011 never was: the 29th ends where the 31st begins */
        { "Pacific/Apia", "2011-12-30T05:00:00Z", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z" },
        { "Pacific/Apia", "2011-12-30T12:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z" },
        /* set back at 00:01 to 23:01: Sunday had begun and does not begin again */
        { "America/St_Johns", "2006-10-29T03:00:00Z", "2006-10-29T02:30:00Z", "2006-10-30T03:30:00Z" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct zone *z = zone_of(rows[i].zone);
        int64_t start, end;

        zone_period(z, at(rows[i].within), ZONE_DAY, &start, &end);
        if (start != at(rows[i].start) || end != at(rows[i].end))
            fail_msg("%s %s: %lld to %lld", rows[i].zone, rows[i].within, (long long)start, (long long)end);
        zone_free(z);
    }
}

static void weeks_begin_on_monday_and_months_on_the_first(void **state)
{
    struct zone *z = zone_of("Europe/Berlin");
    int64_t start, end;

    (void)state;
    /* 24 November 2026 is a Tuesday; Berlin is UTC+1 then, UTC+2 in summer. */
    assert_int_equal(zone_week_start(z, at("2026-11-24T17:00:00Z")), at("2026-11-22T23:00:00Z"));
    assert_int_equal(zone_week_start(z, at("2026-11-22T23:00:00Z")), at("2026-11-22T23:00:00Z"));
    assert_int_equal(zone_week_start(z, at("2026-11-22T22:59:59.999Z")), at("2026-11-15T23:00:00Z"));
    assert_int_equal(zone_month_start(z, at("2026-11-24T17:00:00Z")), at("2026-10-31T23:00:00Z"));
    assert_int_equal(zone_day_start(z, at("2026-07-01T21:59:59Z")), at("2026-06-30T22:00:00Z"));
    zone_period(z, at("2028-02-10T00:00:00Z"), ZONE_MONTH, &start, &end);
    assert_int_equal(end - start, 29 * DAY);
    zone_period(z, at("2026-03-10T00:00:00Z"), ZONE_MONTH, &start, &end);
    assert_int_equal(end - start, 31 * DAY - HOUR);
    zone_period(z, at("2026-12-31T23:30:00Z"), ZONE_MONTH, &start, &end);
    assert_int_equal(start, at("2026-12-31T23:00:00Z"));
    zone_free(z);
}

static void periods_follow_each_other_without_gap_or_overlap(void **state)
{
    struct dice d = { 31337 };

    (void)state;
    for (size_t i = 0; i < ODD_ZONES; i++) {
        struct zone *z = zone_of(odd_zones[i]);

        for (int n = 0; n < 300; n++) {
            const int64_t t = dice_between(&d, at("1950-01-01T00:00:00Z"), at("2080-01-01T00:00:00Z"));
            const enum zone_period kind = (enum zone_period)(n % 3);
            int64_t start, end, start2, end2;

            zone_period(z, t, kind, &start, &end);
            assert_true(start <= t && t < end);
            zone_period(z, start, kind, &start2, &end2);
            assert_true(start2 == start && end2 == end);
            zone_period(z, end - 1, kind, &start2, &end2);
            assert_true(start2 == start && end2 == end);
            zone_period(z, end, kind, &start2, &end2);
            assert_true(start2 == end);
            /* the calendar had not got there before */
            assert_true(zone_local(z, start - 1).day < zone_local(z, end - 1).day);
        }
        zone_free(z);
    }
}

static void names_that_leave_the_directory_are_refused(void **state)
{
    static const struct span names[] = {
        SPAN_LIT("../../etc/hostname"), SPAN_LIT("/etc/localtime"), SPAN_LIT("Europe//Berlin"), SPAN_LIT("Europe/"),
        SPAN_LIT("."), SPAN_LIT(""), SPAN_LIT("Europe/../UTC"), SPAN_LIT("Asia/Shanghai\0x"), SPAN_LIT("Asia Shanghai"),
        SPAN_LIT("Europe"), SPAN_LIT("Asia/Shangai"), SPAN_LIT("zone1970.tab"), SPAN_LIT("tzdata_zi"), SPAN_LIT(" UTC"),
        SPAN_LIT("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *why = NULL;

        if (zone_load(names[i], &why))
            fail_msg("loaded: %.*s", SPAN_FMT(names[i]));
        assert_non_null(why);
    }
}

static void names_with_digits_and_signs_are_loaded(void **state)
{
    struct zone *z = zone_of("Etc/GMT+9");    /* POSIX signs: nine hours behind */

    (void)state;
    assert_int_equal(zone_local(z, 0).offset_s, -9 * 3600);
    assert_true(span_is(zone_name(z), "Etc/GMT+9"));
    zone_free(z);
    z = zone_of("America/Port-au-Prince");
    zone_free(z);
    zone_free(NULL);
}

static size_t read_zone_file(const char *path, char *bytes, size_t room)
{
    FILE *f = fopen(path, "rb");
    size_t n;

    if (!f)
        fail_msg("%s is missing: is tzdata installed?", path);
    n = fread(bytes, 1, room, f);
    fclose(f);
    return n;
}

static void a_file_cut_short_is_refused_wherever_it_is_cut(void **state)
{
    char bytes[8192];
    const size_t n = read_zone_file(ZONE_DIRECTORY "/Europe/London", bytes, sizeof bytes);
    const char *why;
    struct zone *z = zone_parse(SPAN_LIT("x"), (struct span){ bytes, n }, &why);

    (void)state;
    assert_non_null(z);
    zone_free(z);
    assert_null(zone_parse(SPAN_NONE, (struct span){ bytes, n }, &why));
    for (size_t cut = 0; cut < n; cut++) {
        char *part = malloc(cut ? cut : 1);    /* its own block, so that a sanitizer sees one byte too far */

        memcpy(part, bytes, cut);
        z = zone_parse(SPAN_LIT("x"), (struct span){ part, cut }, &why);
        if (z)
            fail_msg("loaded %zu of %zu bytes", cut, n);
        assert_non_null(why);
        free(part);
    }
}

static void a_file_with_wrong_bytes_is_refused_or_harmless(void **state)
{
    char good[8192], bad[8192];
    const size_t n = read_zone_file(ZONE_DIRECTORY "/America/New_York", good, sizeof good);
    struct dice d = { 4 };
    const char *why;

    (void)state;
    for (int round = 0; round < 5000; round++) {
        struct zone *z;

        memcpy(bad, good, n);
        for (int64_t k = dice_between(&d, 1, 4); k > 0; k--)
            bad[dice_between(&d, 0, (int64_t)n - 1)] = (char)dice_between(&d, 0, 255);
        z = zone_parse(SPAN_LIT("x"), (struct span){ bad, n }, &why);
        if (z) {
            int64_t start, end;

            zone_period(z, dice_between(&d, -DAY * 40000, DAY * 40000), ZONE_WEEK, &start, &end);
        }
        zone_free(z);
    }
}

/* A TZif file without transitions: only the rule in its footer. The second header lies at byte 54. */
static size_t make_zone_file(char bytes[512], const char *rule)
{
    size_t n = 0;

    memset(bytes, 0, 512);
    for (int part = 0; part < 2; part++) {
        memcpy(bytes + n, "TZif2", 5);
        bytes[n + 39] = 1;    /* one type */
        bytes[n + 43] = 4;    /* of four characters */
        n += 44 + 6 + 4;
    }
    return n + (size_t)snprintf(bytes + n, 512 - n, "\n%s\n", rule);
}

static struct zone *zone_of_rule(const char *rule, const char **why)
{
    char bytes[512];
    const size_t n = make_zone_file(bytes, rule);

    return zone_parse(SPAN_LIT("rule"), (struct span){ bytes, n }, why);
}

static void counts_that_promise_more_than_the_file_has_are_refused(void **state)
{
    static const size_t headers[] = { 0, 54 };
    const char *why;

    (void)state;
    for (size_t h = 0; h < 2; h++) {
        for (size_t field = 20; field < 44; field += 4) {
            for (int value = 1; value < 3; value++) {
                char bytes[512];
                const size_t n = make_zone_file(bytes, "UTC0"), at_byte = headers[h] + field;

                memset(bytes + at_byte, value == 2 ? 0xff : 0, 4);
                bytes[at_byte + 2] = value == 1 ? 0x0f : bytes[at_byte + 2];
                if (zone_parse(SPAN_LIT("x"), (struct span){ bytes, n }, &why))
                    fail_msg("loaded with the count at %zu raised", at_byte);
            }
        }
    }
    {
        char bytes[512];
        const size_t n = make_zone_file(bytes, "UTC0");

        bytes[54 + 39] = 0;    /* no type at all */
        assert_null(zone_parse(SPAN_LIT("x"), (struct span){ bytes, n }, &why));
        make_zone_file(bytes, "UTC0");
        bytes[4] = '1';        /* the first version had 32 bits and no rule */
        assert_null(zone_parse(SPAN_LIT("x"), (struct span){ bytes, n }, &why));
        make_zone_file(bytes, "UTC0");
        bytes[54 + 44] = 0x01; /* an offset of half a year */
        assert_null(zone_parse(SPAN_LIT("x"), (struct span){ bytes, n }, &why));
    }
}

static void posix_rules_are_read_as_libc_reads_them(void **state)
{
    static const char *const rules[] = {
        "CET-1CEST,M3.5.0,M10.5.0/3", "EST5EDT,M3.2.0,M11.1.0", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "UTC0",
        "IST-1GMT0,M10.5.0,M3.5.0/1", "EET-2EEST,M3.4.4/50,M10.4.4/50", "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
        "AAA3BBB,J60/2:30,J300", "AAA3BBB,59,300/1:15:30", "<+0545>-5:45",
        "NZST-12NZDT,M9.5.0,M4.1.0/3",
    };
    struct dice d = { 11 };

    (void)state;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        const char *why;
        struct zone *z = zone_of_rule(rules[i], &why);

        if (!z)
            fail_msg("%s: %s", rules[i], why);
        set_libc_zone(rules[i]);
        for (int n = 0; n < 3000; n++)
            same_as_libc(rules[i], z, dice_between(&d, 0, INT64_C(4102444800)));
        zone_free(z);
    }
    set_libc_zone("UTC");
}

/* RFC 8536 3.3.1's own example; glibc 2.36 has the last hours of some years wrong. */
static void a_rule_may_mean_summer_time_all_the_year_round(void **state)
{
    struct dice d = { 12 };
    const char *why;
    struct zone *z = zone_of_rule("EST5EDT,0/0,J365/25", &why);

    (void)state;
    assert_non_null(z);
    for (int n = 0; n < 3000; n++)
        assert_int_equal(zone_local(z, dice_between(&d, 0, INT64_C(4102444800000))).offset_s, -4 * 3600);
    assert_int_equal(zone_local(z, at("2062-12-31T23:59:59Z")).offset_s, -4 * 3600);
    zone_free(z);
}

static void broken_rules_are_refused(void **state)
{
    static const char *const rules[] = { "C-1", "CET", "CET-25", "CET-1CEST", "CET-1CEST,M3.5.0",
                                         "CET-1CEST,M13.5.0,M10.5.0",
                                         "CET-1CEST,M3.6.0,M10.5.0", "CET-1CEST,M3.5.7,M10.5.0", "CET-1CEST,J0,J5",
                                         "CET-1CEST,J366,J5", "CET-1CEST,M3.5.0,M10.5.0/168", "<+03-3",
                                         "CET-1CEST,M3.5.0,M10.5.0 ", "CET-1:60", "CET-1CEST,M0.1.0,M10.5.0" };

    (void)state;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        const char *why;

        if (zone_of_rule(rules[i], &why))
            fail_msg("read: %s", rules[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_are_counted_as_the_calendar_has_them),
        cmocka_unit_test(what_is_no_date_or_time_is_refused),
        cmocka_unit_test(times_are_written_as_they_are_read),
        cmocka_unit_test(local_time_agrees_with_libc_from_1850_to_2250_in_odd_zones),
        cmocka_unit_test(local_time_agrees_with_libc_in_every_zone_of_the_table),
        cmocka_unit_test(stretches_have_one_offset_and_meet_end_to_end),
        cmocka_unit_test(a_day_with_a_clock_change_has_its_own_length),
        cmocka_unit_test(weeks_begin_on_monday_and_months_on_the_first),
        cmocka_unit_test(periods_follow_each_other_without_gap_or_overlap),
        cmocka_unit_test(names_that_leave_the_directory_are_refused),
        cmocka_unit_test(names_with_digits_and_signs_are_loaded),
        cmocka_unit_test(a_file_cut_short_is_refused_wherever_it_is_cut),
        cmocka_unit_test(a_file_with_wrong_bytes_is_refused_or_harmless),
        cmocka_unit_test(counts_that_promise_more_than_the_file_has_are_refused),
        cmocka_unit_test(posix_rules_are_read_as_libc_reads_them),
        cmocka_unit_test(a_rule_may_mean_summer_time_all_the_year_round),
        cmocka_unit_test(broken_rules_are_refused),
    };

    return cmocka_run_group_tests_name("pricing/zone", tests, NULL, NULL);
}
