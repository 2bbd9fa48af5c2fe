/* utc.c - UTC's calendar as arithmetic. Knows no zone, reads no clock. */
#include "gateway/ledger/utc.h"

#include <stdio.h>

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

int64_t utc_floor(int64_t ms, int64_t unit_ms)
{
    return floor_div(ms, unit_ms) * unit_ms;
}

int64_t utc_from_date(struct utc_date d)
{
    int64_t y = d.year + (d.month - 1) / 12;
    int64_t m = (d.month - 1) % 12 + 1, era, year_of_era, day_of_year;

    y -= m <= 2;                                  /* years begin in March here, so that the leap day is their last */
    era = floor_div(y, 400);
    year_of_era = y - era * 400;
    day_of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d.day - 1;
    return (era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468) * UTC_DAY_MS;
}

struct utc_date utc_to_date(int64_t ms)
{
    int64_t z = floor_div(ms, UTC_DAY_MS) + 719468;
    int64_t era = floor_div(z, 146097), day_of_era = z - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t m = (5 * day_of_year + 2) / 153;
    struct utc_date d;

    d.day = (int)(day_of_year - (153 * m + 2) / 5 + 1);
    d.month = (int)(m < 10 ? m + 3 : m - 9);
    d.year = year_of_era + era * 400 + (d.month <= 2);
    return d;
}

int64_t utc_week_start(int64_t ms)
{
    int64_t day = floor_div(ms, UTC_DAY_MS);

    return (day - ((day + 3) % 7 + 7) % 7) * UTC_DAY_MS;    /* 1970-01-01 was a Thursday */
}

int64_t utc_month_start(int64_t ms)
{
    struct utc_date d = utc_to_date(ms);

    d.day = 1;
    return utc_from_date(d);
}

int64_t utc_month_next(int64_t ms)
{
    struct utc_date d = utc_to_date(ms);

    d.day = 1;
    d.month++;
    return utc_from_date(d);
}

void utc_text(int64_t ms, char out[UTC_TEXT_ROOM])
{
    struct utc_date d = utc_to_date(ms);
    int in_day = (int)(ms - utc_floor(ms, UTC_DAY_MS)), milli = in_day % 1000, s = in_day / 1000;
    char fraction[8] = "";

    if (milli)
        snprintf(fraction, sizeof fraction, ".%03d", milli);
    snprintf(out, UTC_TEXT_ROOM, "%04d-%02d-%02dT%02d:%02d:%02d%sZ", (int)d.year, d.month, d.day, s / 3600, s / 60 % 60,
             s % 60, fraction);
}

/* `n` digits into *v; false when there are fewer. */
static bool digits(struct span *s, size_t n, int *v)
{
    *v = 0;
    if (s->n < n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (s->p[i] < '0' || s->p[i] > '9')
            return false;
        *v = *v * 10 + (s->p[i] - '0');
    }
    *s = span_skip(*s, n);
    return true;
}

static bool symbol(struct span *s, char c)
{
    if (!s->n || s->p[0] != c)
        return false;
    *s = span_skip(*s, 1);
    return true;
}

static bool parse_time(struct span *s, int64_t *ms)
{
    int h, m, sec = 0, milli = 0;

    if (!digits(s, 2, &h) || !symbol(s, ':') || !digits(s, 2, &m))
        return false;
    if (symbol(s, ':')) {
        if (!digits(s, 2, &sec))
            return false;
        if (symbol(s, '.') && !digits(s, 3, &milli))
            return false;
    }
    if (!symbol(s, 'Z') || h > 23 || m > 59 || sec > 59)
        return false;
    *ms = ((h * 60 + m) * 60 + sec) * INT64_C(1000) + milli;
    return true;
}

bool utc_parse(struct span text, int64_t *ms)
{
    struct utc_date d = { .day = 1 }, back;
    int64_t in_day = 0;
    int year;

    if (!digits(&text, 4, &year) || !symbol(&text, '-') || !digits(&text, 2, &d.month))
        return false;
    d.year = year;
    if (text.n && (!symbol(&text, '-') || !digits(&text, 2, &d.day)))
        return false;
    if (d.month < 1 || d.month > 12 || d.day < 1)
        return false;
    if (text.n && (!symbol(&text, 'T') || !parse_time(&text, &in_day) || text.n))
        return false;
    back = utc_to_date(utc_from_date(d));
    if (back.day != d.day || back.month != d.month)    /* 30 February */
        return false;
    *ms = utc_from_date(d) + in_day;
    return true;
}
