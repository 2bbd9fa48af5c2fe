/* window.c - does a price window hold at this instant, and when may that change?
 *
 * Owns the meaning of from, to, days, days_tz and except. Does not know prices, and computes no offset itself. */
#include "pricing/window.h"

#define MINUTE_MS INT64_C(60000)
#define DAY_MS INT64_C(86400000)

static bool is_excepted(const struct calendar *c, int64_t utc_ms)
{
    const int64_t day = zone_local(c->zone, utc_ms).day;
    size_t low = 0, high = c->n_days;

    while (low < high) {
        const size_t mid = low + (high - low) / 2;

        if (c->days[mid] < day)
            low = mid + 1;
        else
            high = mid;
    }
    return low < c->n_days && c->days[low] == day;
}

bool window_holds(const struct window *w, int64_t utc_ms)
{
    const int64_t from_ms = w->from_min * MINUTE_MS, to_ms = w->to_min * MINUTE_MS;
    const int64_t at_ms = zone_local(w->tz, utc_ms).day_ms;

    if (w->from_min < w->to_min ? at_ms < from_ms || at_ms >= to_ms : at_ms < from_ms && at_ms >= to_ms)
        return false;
    if (w->days != WINDOW_ALL_DAYS && !(w->days >> zone_local(w->days_tz, utc_ms).weekday & 1u))
        return false;
    return !w->except || !is_excepted(w->except, utc_ms);
}

/* From `utc_ms`, the earlier of *edge and the next time the clock of `z` shows `minute`, or is changed. */
static void edge_at_minute(const struct zone *z, int32_t minute, int64_t utc_ms, int64_t *edge)
{
    int64_t from_ms, until_ms, ahead_ms;

    zone_stretch(z, utc_ms, &from_ms, &until_ms);
    ahead_ms = (minute * MINUTE_MS - zone_local(z, utc_ms).day_ms) % DAY_MS;
    if (ahead_ms <= 0)
        ahead_ms += DAY_MS;
    if (utc_ms + ahead_ms < *edge)
        *edge = utc_ms + ahead_ms;
    if (until_ms < *edge)
        *edge = until_ms;
}

int64_t window_next_edge(const struct window *w, int64_t utc_ms)
{
    int64_t edge = INT64_MAX;

    if (utc_ms > INT64_MAX - 2 * DAY_MS)
        return INT64_MAX;
    edge_at_minute(w->tz, w->from_min, utc_ms, &edge);
    edge_at_minute(w->tz, w->to_min, utc_ms, &edge);
    if (w->days != WINDOW_ALL_DAYS)
        edge_at_minute(w->days_tz, 0, utc_ms, &edge);
    if (w->except)
        edge_at_minute(w->except->zone, 0, utc_ms, &edge);
    return edge;
}

int window_pick(const struct window *w, size_t n, int64_t utc_ms)
{
    for (size_t i = 0; i < n; i++)
        if (window_holds(&w[i], utc_ms))
            return (int)i;
    return -1;
}
