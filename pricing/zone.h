/* zone.h - IANA time zones: UTC to local time, and where a day, a week, a month begins there.
 *
 * A zone is read once, at load, from the system's tz database (Debian: tzdata; RFC 8536 TZif, version 2 or later, its
 * transitions and the POSIX rule behind them). After that everything is pure: no file, no TZ, no libc time.
 * Times are int64 milliseconds UTC since 1970, without leap seconds; local seconds are cut from them by floor.
 * Good for years -9999 to 9999; outside, results are clamped to that range. */
#ifndef TOLLGATE_PRICING_ZONE_H
#define TOLLGATE_PRICING_ZONE_H

#include "base/span.h"

#define ZONE_DIRECTORY "/usr/share/zoneinfo"
#define ZONE_NAME_MAX 63

struct zone;

/* Handed: free with zone_free. NULL with *why, a sentence for people (static): "is no time zone of this system".
 * A name is letters, digits, "_", "-", "+", "/" and never leaves the directory. "UTC" needs no file. */
struct zone *zone_load(struct span name, const char **why);
/* The same from another directory (tests). */
struct zone *zone_load_from(const char *directory, struct span name, const char **why);
/* The same from the bytes of a TZif file. */
struct zone *zone_parse(struct span name, struct span tzif, const char **why);
void zone_free(struct zone *z);
struct span zone_name(const struct zone *z);

struct zone_time {
    int64_t day;         /* days since 1970-01-01 on the local calendar */
    int32_t year;
    int32_t month;       /* 1-12 */
    int32_t mday;        /* 1-31 */
    int32_t weekday;     /* 0 Monday ... 6 Sunday */
    int32_t day_ms;      /* since local midnight by the local clock, 0 to 86,399,999 */
    int32_t offset_s;    /* local minus UTC */
};
struct zone_time zone_local(const struct zone *z, int64_t utc_ms);

/* The stretch of constant offset that holds `utc_ms`: [*from_ms, *until_ms), INT64_MIN and INT64_MAX where it has
 * no end. Returns the offset in seconds. */
int32_t zone_stretch(const struct zone *z, int64_t utc_ms, int64_t *from_ms, int64_t *until_ms);

enum zone_period { ZONE_DAY, ZONE_WEEK, ZONE_MONTH };    /* a week begins on Monday */
/* The period that holds `utc_ms`: [*start_ms, *end_ms). Periods of a kind follow each other without gap or overlap,
 * whatever the clocks do: a day begins at the first instant at which the local calendar has reached it. */
void zone_period(const struct zone *z, int64_t utc_ms, enum zone_period kind, int64_t *start_ms, int64_t *end_ms);
int64_t zone_day_start(const struct zone *z, int64_t utc_ms);
int64_t zone_week_start(const struct zone *z, int64_t utc_ms);
int64_t zone_month_start(const struct zone *z, int64_t utc_ms);

/* ---- the calendar itself (proleptic Gregorian) ---- */

int64_t zone_days_from_date(int32_t year, int32_t month, int32_t mday);
void zone_date_from_days(int64_t day, int32_t *year, int32_t *month, int32_t *mday);
/* "2026-04-24" -> days since 1970; false unless it is exactly such a date that exists. */
bool zone_parse_date(struct span text, int64_t *day);
/* "2026-04-24T16:30:00Z" or with ".123" -> ms. UTC only; false otherwise. Second 60 does not exist here. */
bool zone_parse_time(struct span text, int64_t *utc_ms);
#define ZONE_TEXT_ROOM 32
/* "2026-04-24T16:30:00Z", with ".123" only when the milliseconds are not 0. */
void zone_format_time(int64_t utc_ms, char out[ZONE_TEXT_ROOM]);

#endif
