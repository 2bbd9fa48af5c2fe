/* utc.h - days, weeks and months of UTC, for budget windows, rollups and reports. Pure; the proleptic Gregorian
 * calendar by Howard Hinnant's days_from_civil (public domain, "chrono-Compatible Low-Level Date Algorithms"). */
#ifndef TOLLGATE_GATEWAY_LEDGER_UTC_H
#define TOLLGATE_GATEWAY_LEDGER_UTC_H

#include "base/span.h"

#define UTC_HOUR_MS INT64_C(3600000)
#define UTC_DAY_MS INT64_C(86400000)

struct utc_date {
    int64_t year;
    int month, day;    /* from 1 */
};

int64_t utc_from_date(struct utc_date d);                 /* its first millisecond; month may be 13 */
struct utc_date utc_to_date(int64_t ms);
int64_t utc_floor(int64_t ms, int64_t unit_ms);           /* to a multiple of the unit, also before 1970 */
int64_t utc_week_start(int64_t ms);                       /* Monday 00:00 */
int64_t utc_month_start(int64_t ms);
int64_t utc_month_next(int64_t ms);

#define UTC_TEXT_ROOM 32
/* "2026-11-25T00:00:00Z", with ".123" before the Z when `ms` is no whole second. Years 0 to 9999; others are cut. */
void utc_text(int64_t ms, char out[UTC_TEXT_ROOM]);
/* "2026-11-25", "2026-11", "2026-11-25T13:00Z", "2026-11-25T13:00:00Z" or with ".123": UTC only, so that nobody's
 * day is shifted by a reader's zone. False when it is none of them or no date of the calendar. */
bool utc_parse(struct span text, int64_t *ms);

#endif
