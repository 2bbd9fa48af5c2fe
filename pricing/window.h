/* window.h - price windows: "16:30-00:30 UTC", "09:00-12:00 on Beijing's weekdays, not on holidays".
 *
 * A window holds at an instant when three things do, each read at that very instant on its own clock:
 *   the time of day in `tz` is in [from, to), where `to` before `from` means across midnight and 24:00 is midnight;
 *   the weekday in `days_tz` is one of `days`;
 *   the date in the calendar's zone is none of the calendar's dates.
 * So a Friday-only window that crosses midnight ends at midnight of Friday's own clock; who wants the night to belong
 * to its evening writes two windows. A local time that a clock change skips never comes; one that it repeats holds
 * twice. Pure. */
#ifndef TOLLGATE_PRICING_WINDOW_H
#define TOLLGATE_PRICING_WINDOW_H

#include "pricing/price.h"
#include "pricing/zone.h"

#define WINDOW_ALL_DAYS 0x7fu    /* bit 0 Monday ... bit 6 Sunday */

struct calendar {
    struct span name;
    const struct zone *zone;
    const int64_t *days;         /* since 1970, ascending */
    size_t n_days;
};

struct window {
    struct span name;            /* as the book names it, or "16:30-00:30" */
    int32_t from_min;            /* 0 to 1439, minutes since local midnight */
    int32_t to_min;              /* 1 to 1440; less than from_min: across midnight; never equal */
    unsigned days;
    const struct zone *tz;
    const struct zone *days_tz;
    const struct calendar *except;    /* NULL: none */
    struct ratio multiplier;     /* 1/1 when it has rates of its own */
    struct rates rates;          /* its own; PRICE_UNSTATED: the version's */
};

bool window_holds(const struct window *w, int64_t utc_ms);
/* The next instant after `utc_ms` at which window_holds may change its answer; it is the same from utc_ms until there.
 * At most a day ahead. */
int64_t window_next_edge(const struct window *w, int64_t utc_ms);
/* The first of `n` windows that holds; -1: none. (Windows of a loaded book do not overlap.) */
int window_pick(const struct window *w, size_t n, int64_t utc_ms);

#endif
