/* retry_after.c - see retry_after.h. What cannot be read counts as absent: a peer's odd header must not stop anybody. */
#include "gateway/upstream/retry_after.h"

#include <stdio.h>
#include <time.h>

#define DAY_MS INT64_C(86400000)

/* ---- times ---- */

static int64_t capped(int64_t ms)
{
    return ms < 0 ? 0 : ms < DAY_MS ? ms : DAY_MS;
}

struct moment {
    uint64_t year, month, day, hour, minute, second;
};

static bool two(struct span s, size_t at, uint64_t max, uint64_t *out)
{
    return at + 2 <= s.n && span_to_u64((struct span){ s.p + at, 2 }, max, out);
}

static bool moment_ms(const struct moment *m, int64_t *out)
{
    struct tm t = { .tm_year = (int)m->year - 1900, .tm_mon = (int)m->month - 1, .tm_mday = (int)m->day, .tm_hour = (int)m->hour,
                    .tm_min = (int)m->minute, .tm_sec = (int)m->second };

    if (m->year < 1970 || m->year > 9999 || m->month < 1 || m->month > 12 || m->day < 1)
        return false;
    *out = (int64_t)timegm(&t) * 1000;
    return true;
}

/* "Tue, 24 Nov 2026 17:30:00 GMT" (IMF-fixdate, RFC 9110 5.6.7; the two obsolete forms are not read). */
static bool http_date_ms(struct span s, int64_t *out)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct moment m;

    if (s.n != 29 || !span_eq(span_skip(s, 25), SPAN_LIT(" GMT")) || s.p[19] != ':' || s.p[22] != ':' ||
        !two(s, 5, 31, &m.day) || !span_to_u64((struct span){ s.p + 12, 4 }, 9999, &m.year) || !two(s, 17, 23, &m.hour) ||
        !two(s, 20, 59, &m.minute) || !two(s, 23, 60, &m.second))
        return false;
    for (m.month = 1; m.month <= 12; m.month++)
        if (memcmp(months + 3 * (m.month - 1), s.p + 8, 3) == 0)
            return moment_ms(&m, out);
    return false;
}

/* "2026-11-24T17:30:00Z", perhaps with a fraction, which is left out, and an offset (RFC 3339 5.6). */
static bool rfc3339_ms(struct span s, int64_t *out)
{
    struct moment m;
    uint64_t hours = 0, minutes = 0;
    int64_t offset_ms;
    size_t at = 19;

    if (s.n < 20 || s.p[4] != '-' || s.p[7] != '-' || (s.p[10] != 'T' && s.p[10] != 't') || s.p[13] != ':' || s.p[16] != ':' ||
        !span_to_u64(span_first(s, 4), 9999, &m.year) || !two(s, 5, 12, &m.month) || !two(s, 8, 31, &m.day) ||
        !two(s, 11, 23, &m.hour) || !two(s, 14, 59, &m.minute) || !two(s, 17, 60, &m.second) || !moment_ms(&m, out))
        return false;
    if (s.p[at] == '.')
        for (at++; at < s.n && s.p[at] >= '0' && s.p[at] <= '9';)
            at++;
    if (at + 1 == s.n && (s.p[at] == 'Z' || s.p[at] == 'z'))
        return true;
    if (at + 6 != s.n || (s.p[at] != '+' && s.p[at] != '-') || s.p[at + 3] != ':' || !two(s, at + 1, 23, &hours) ||
        !two(s, at + 4, 59, &minutes))
        return false;
    offset_ms = (int64_t)(hours * 60 + minutes) * 60000;
    *out -= s.p[at] == '+' ? offset_ms : -offset_ms;
    return true;
}

/* ---- lengths ---- */

/* Decimal text with an optional fraction, times `scale`, rounded up to whole units; capped to a day of milliseconds. */
static bool decimal_up(struct span s, int64_t scale, int64_t *out)
{
    const size_t dot = span_find(s, '.');
    uint64_t whole = 0;
    int64_t ms, part = scale;

    if (s.n == 0 || dot == 0 || !span_to_u64(span_first(s, dot), UINT64_MAX, &whole))
        return false;
    ms = whole > (uint64_t)(DAY_MS / scale) ? DAY_MS : (int64_t)whole * scale;
    for (size_t i = dot + 1; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        if (part == 1 && s.p[i] != '0' && scale > 1)
            part = -1;    /* finer than a millisecond: round up once */
        if (part > 1) {
            part /= 10;
            ms += (s.p[i] - '0') * part;
        }
    }
    ms += part == -1;
    *out = capped(ms);
    return true;
}

/* A Go duration: "1s", "6m0s", "17ms", "1h2m3.5s". Nothing in it is finer than a millisecond that matters to us. */
static bool go_duration_ms(struct span s, int64_t *out)
{
    int64_t sum = 0;

    if (s.n == 0)
        return false;
    while (s.n) {
        size_t n = 0, u;
        int64_t scale, ms;

        while (n < s.n && ((s.p[n] >= '0' && s.p[n] <= '9') || s.p[n] == '.'))
            n++;
        u = n;
        while (u < s.n && s.p[u] >= 'a' && s.p[u] <= 'z')
            u++;
        const struct span unit = { s.p + n, u - n };
        scale = span_is(unit, "h") ? 3600000 : span_is(unit, "m") ? 60000 : span_is(unit, "s") ? 1000 : span_is(unit, "ms") ? 1 : 0;
        if (!scale || !decimal_up(span_first(s, n), scale, &ms))
            return false;
        sum = capped(sum + ms);
        s = span_skip(s, u);
    }
    *out = sum;
    return true;
}

/* ---- headers ---- */

static const struct limit {
    const char *remaining, *reset;
} limits[] = {
    { "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests" },
    { "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens" },
    { "anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset" },
    { "anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset" },
    { "anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset" },
    { "anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset" },
};

static bool reset_ms(struct span text, int64_t wall_ms, int64_t *out)
{
    int64_t at;

    text = span_trim(text);
    if (go_duration_ms(text, out))
        return true;
    if (!rfc3339_ms(text, &at))
        return false;
    *out = capped(at - wall_ms);
    return true;
}

static bool read_limits(retry_after_header get, const void *ctx, int64_t wall_ms, int64_t *out_ms)
{
    int64_t last_empty = -1, first = -1;

    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        int64_t ms;

        if (!reset_ms(get(ctx, limits[i].reset), wall_ms, &ms))
            continue;
        if (span_is(span_trim(get(ctx, limits[i].remaining)), "0") && ms > last_empty)
            last_empty = ms;
        if (first < 0 || ms < first)
            first = ms;
    }
    if (first < 0)
        return false;
    *out_ms = last_empty >= 0 ? last_empty : first;
    return true;
}

bool retry_after_read(retry_after_header get, const void *ctx, int status, int64_t wall_ms, int64_t *out_ms)
{
    const struct span after = span_trim(get(ctx, "retry-after")), after_ms = span_trim(get(ctx, "retry-after-ms"));
    int64_t at;

    if (decimal_up(after_ms, 1, out_ms) || decimal_up(after, 1000, out_ms))
        return true;
    if (http_date_ms(after, &at)) {
        *out_ms = capped(at - wall_ms);
        return true;
    }
    return status == 429 && read_limits(get, ctx, wall_ms, out_ms);
}
