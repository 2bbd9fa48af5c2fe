/* zone.c - TZif files and the calendar.
 *
 * Owns one zone's transitions and the rule behind them; answers from memory alone. Does not read TZ, does not call
 * libc's time functions (they have a global zone and read files when they please), does not know leap seconds: a file
 * of the "right" kind is refused. RFC 8536 (TZif) and POSIX.1 "TZ" for the rule in the footer. */
#include "pricing/zone.h"

#include <stdio.h>
#include <stdlib.h>

#define MS INT64_C(1000)
#define DAY_S INT64_C(86400)
#define DAY_MS (DAY_S * MS)
#define FILE_MAX 65536u            /* the largest of tzdata 2025b is 3.5 KiB */
#define TRANSITIONS_MAX 4096u
#define OFFSET_MAX 93599           /* RFC 8536 3.2: between -25 and 26 hours */
/* Years -9999 to 9999: keeps every sum below far from overflow. */
#define FIRST_MS INT64_C(-377705116800000)
#define LAST_MS INT64_C(253402300799999)

/* When in a year the rule changes (POSIX "M3.2.0", "J60", "59"), with the local time of day. */
struct turn {
    char kind;                     /* 'M', 'J', or '0' for the zero-based day */
    int32_t month, week, weekday;  /* weekday 0 Sunday, as POSIX has it */
    int32_t day;
    int32_t time_s;                /* -167 h to 167 h */
};

struct rule {
    bool present;
    bool has_dst;
    int32_t std_s, dst_s;          /* local minus UTC */
    struct turn start, end;
};

struct zone {
    char name[ZONE_NAME_MAX + 1];
    int64_t *at_s;                 /* transitions, ascending; the offset from there on is in after_s */
    int32_t *after_s;
    size_t n;
    int32_t before_s;              /* the offset before the first transition */
    struct rule rule;              /* from the last transition on */
};

/* ---- the calendar ---- */

static int64_t floor_div(int64_t a, int64_t b)    /* b > 0 */
{
    return a / b - (a % b < 0);
}

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static const int16_t days_before_month[13] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365 };

static int32_t days_in_month(int64_t year, int32_t month)
{
    return days_before_month[month] - days_before_month[month - 1] + (month == 2 && is_leap(year));
}

static int64_t days_to_year(int64_t year)    /* from 1970-01-01 to the first of January */
{
    const int64_t y = year - 1;

    return y * 365 + floor_div(y, 4) - floor_div(y, 100) + floor_div(y, 400) - 719162;
}

int64_t zone_days_from_date(int32_t year, int32_t month, int32_t mday)
{
    return days_to_year(year) + days_before_month[month - 1] + (month > 2 && is_leap(year)) + mday - 1;
}

void zone_date_from_days(int64_t day, int32_t *year, int32_t *month, int32_t *mday)
{
    int64_t y = 1970 + floor_div(day * 400, 146097);    /* 146097 days in 400 years: off by one at most */
    int32_t m = 1;

    while (days_to_year(y) > day)
        y--;
    while (days_to_year(y + 1) <= day)
        y++;
    day -= days_to_year(y);
    while (day >= days_in_month(y, m))
        day -= days_in_month(y, m++);
    *year = (int32_t)y;
    *month = m;
    *mday = (int32_t)day + 1;
}

static int32_t weekday_of(int64_t day)    /* 0 Monday; 1970-01-01 was a Thursday */
{
    return (int32_t)(((day + 3) % 7 + 7) % 7);
}

static bool digits(const char *p, size_t n, int32_t *out)
{
    int32_t v = 0;

    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return false;
        v = v * 10 + (p[i] - '0');
    }
    *out = v;
    return true;
}

bool zone_parse_date(struct span text, int64_t *day)
{
    int32_t y, m, d;

    if (text.n != 10 || text.p[4] != '-' || text.p[7] != '-')
        return false;
    if (!digits(text.p, 4, &y) || !digits(text.p + 5, 2, &m) || !digits(text.p + 8, 2, &d))
        return false;
    if (m < 1 || m > 12 || d < 1 || d > days_in_month(y, m))
        return false;
    *day = zone_days_from_date(y, m, d);
    return true;
}

bool zone_parse_time(struct span text, int64_t *utc_ms)
{
    int64_t day;
    int32_t h, m, s, ms = 0;
    const char *p = text.p;

    if ((text.n != 20 && text.n != 24) || !zone_parse_date(span_first(text, 10), &day))
        return false;
    if (p[10] != 'T' || p[13] != ':' || p[16] != ':' || p[text.n - 1] != 'Z')
        return false;
    if (!digits(p + 11, 2, &h) || !digits(p + 14, 2, &m) || !digits(p + 17, 2, &s) || h > 23 || m > 59 || s > 59)
        return false;
    if (text.n == 24 && (p[19] != '.' || !digits(p + 20, 3, &ms)))
        return false;
    *utc_ms = day * DAY_MS + ((h * 60 + m) * 60 + s) * MS + ms;
    return true;
}

static int64_t clamp_ms(int64_t t)
{
    return t < FIRST_MS ? FIRST_MS : t > LAST_MS ? LAST_MS : t;
}

void zone_format_time(int64_t utc_ms, char out[ZONE_TEXT_ROOM])
{
    const int64_t t = clamp_ms(utc_ms), day = floor_div(t, DAY_MS);
    const int32_t ms = (int32_t)(t - day * DAY_MS), s = ms / 1000;
    int32_t y, m, d;
    int n;

    zone_date_from_days(day, &y, &m, &d);
    n = snprintf(out, ZONE_TEXT_ROOM, "%04d-%02d-%02dT%02d:%02d:%02d", (int)y, (int)m, (int)d, (int)(s / 3600),
                 (int)(s / 60 % 60), (int)(s % 60));
    if (ms % 1000)
        n += snprintf(out + n, ZONE_TEXT_ROOM - (size_t)n, ".%03d", (int)(ms % 1000));
    snprintf(out + n, ZONE_TEXT_ROOM - (size_t)n, "Z");
}

/* ---- the rule in the footer: "CET-1CEST,M3.5.0,M10.5.0/3" ---- */

struct text {
    const char *p;
    const char *end;
};

static bool eat(struct text *t, char c)
{
    if (t->p == t->end || *t->p != c)
        return false;
    t->p++;
    return true;
}

static bool eat_number(struct text *t, int32_t max, int32_t *out)
{
    const char *from = t->p;
    int32_t v = 0;

    for (; t->p < t->end && *t->p >= '0' && *t->p <= '9'; t->p++) {
        v = v * 10 + (*t->p - '0');
        if (v > max)
            return false;
    }
    *out = v;
    return t->p > from;
}

/* "[+-]hh[:mm[:ss]]" as seconds. */
static bool eat_hms(struct text *t, int32_t max_hours, int32_t *out)
{
    const bool minus = eat(t, '-');
    int32_t h, m = 0, s = 0;

    if (!minus)
        eat(t, '+');
    if (!eat_number(t, max_hours, &h))
        return false;
    if (eat(t, ':') && (!eat_number(t, 59, &m) || (eat(t, ':') && !eat_number(t, 59, &s))))
        return false;
    *out = (minus ? -1 : 1) * ((h * 60 + m) * 60 + s);
    return true;
}

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool eat_abbreviation(struct text *t)    /* "CET" or "<+03>" */
{
    const char *from = t->p;

    if (eat(t, '<')) {
        while (t->p < t->end && *t->p != '>')
            t->p++;
        return eat(t, '>');
    }
    while (t->p < t->end && is_letter(*t->p))
        t->p++;
    return t->p - from >= 3;
}

static bool eat_turn(struct text *t, struct turn *out)
{
    out->time_s = 2 * 3600;
    if (eat(t, 'M')) {
        out->kind = 'M';
        if (!eat_number(t, 12, &out->month) || !eat(t, '.') || !eat_number(t, 5, &out->week) || !eat(t, '.') ||
            !eat_number(t, 6, &out->weekday) || out->month < 1 || out->week < 1)
            return false;
    } else if (eat(t, 'J')) {
        out->kind = 'J';
        if (!eat_number(t, 365, &out->day) || out->day < 1)
            return false;
    } else {
        out->kind = '0';
        if (!eat_number(t, 365, &out->day))
            return false;
    }
    return !eat(t, '/') || eat_hms(t, 167, &out->time_s);
}

static bool parse_rule(struct text t, struct rule *r)
{
    int32_t west;

    *r = (struct rule){ .present = t.p < t.end };
    if (!r->present)
        return true;
    if (!eat_abbreviation(&t) || !eat_hms(&t, 24, &west))
        return false;
    r->std_s = -west;
    if (t.p == t.end)
        return true;
    r->has_dst = true;
    r->dst_s = r->std_s + 3600;
    if (!eat_abbreviation(&t))
        return false;
    if (t.p < t.end && *t.p != ',') {
        if (!eat_hms(&t, 24, &west))
            return false;
        r->dst_s = -west;
    }
    return eat(&t, ',') && eat_turn(&t, &r->start) && eat(&t, ',') && eat_turn(&t, &r->end) && t.p == t.end;
}

/* Local seconds since 1970 of a turn in a year. */
static int64_t turn_local_s(const struct turn *n, int32_t year)
{
    int64_t day = days_to_year(year);

    if (n->kind == 'M') {
        int32_t first, mday;

        day = zone_days_from_date(year, n->month, 1);
        first = (weekday_of(day) + 1) % 7;    /* of the 1st, 0 Sunday */
        mday = (n->weekday - first + 7) % 7 + (n->week - 1) * 7;
        if (mday >= days_in_month(year, n->month))
            mday -= 7;
        day += mday;
    } else if (n->kind == 'J') {
        day += n->day - 1 + (n->day >= 60 && is_leap(year));    /* 29 February is not counted */
    } else {
        day += n->day;
    }
    return day * DAY_S + n->time_s;
}

/* The offset by the rule at `s` (UTC), and the changes around it. Six changes of three years are enough: the last
 * one not after `s` decides. Where an end and a start fall together the start wins: DST all the year round. */
static int32_t rule_stretch(const struct rule *r, int64_t s, int64_t *from_s, int64_t *until_s)
{
    int32_t year, month, mday, offset = r->std_s;

    *from_s = INT64_MIN;
    *until_s = INT64_MAX;
    if (!r->has_dst)
        return r->std_s;
    zone_date_from_days(floor_div(s + r->std_s, DAY_S), &year, &month, &mday);
    for (int32_t y = year - 1; y <= year + 1; y++) {
        const int64_t start = turn_local_s(&r->start, y) - r->std_s;
        const int64_t end = turn_local_s(&r->end, y) - r->dst_s;

        if (end <= s && end > *from_s) {
            *from_s = end;
            offset = r->std_s;
        }
        if (start <= s && start >= *from_s) {
            *from_s = start;
            offset = r->dst_s;
        }
        if (start > s && start < *until_s)
            *until_s = start;
        if (end > s && end < *until_s)
            *until_s = end;
    }
    return offset;
}

/* ---- the file ---- */

static uint32_t be32(const char *p)
{
    const unsigned char *b = (const unsigned char *)p;

    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static int64_t be64(const char *p)
{
    return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4));
}

#define HEADER_BYTES 44u

struct counts {
    uint32_t isut, isstd, leap, time, type, chars;
};

static bool read_counts(struct span s, struct counts *c)
{
    if (s.n < HEADER_BYTES || memcmp(s.p, "TZif", 4) != 0 || s.p[4] < '2')
        return false;
    *c = (struct counts){ be32(s.p + 20), be32(s.p + 24), be32(s.p + 28), be32(s.p + 32), be32(s.p + 36),
                          be32(s.p + 40) };
    return c->time <= TRANSITIONS_MAX && c->type <= 256 && c->chars <= FILE_MAX && c->leap <= FILE_MAX &&
           c->isut <= 256 && c->isstd <= 256;
}

static size_t block_bytes(const struct counts *c, size_t time_bytes)
{
    return c->time * (time_bytes + 1) + c->type * 6 + c->chars + c->leap * (time_bytes + 4) + c->isstd + c->isut;
}

/* Transitions of the second (64-bit) block. `p` holds block_bytes(c, 8). */
static const char *read_transitions(struct zone *z, const struct counts *c, const char *p)
{
    const char *indices = p + c->time * 8, *types = indices + c->time;
    int32_t offsets[256];

    for (uint32_t i = 0; i < c->type; i++) {
        offsets[i] = (int32_t)be32(types + i * 6);
        if (offsets[i] < -OFFSET_MAX || offsets[i] > OFFSET_MAX)
            return "has an impossible offset in its file";
    }
    z->before_s = offsets[0];
    z->at_s = calloc(c->time + 1, sizeof *z->at_s);
    z->after_s = calloc(c->time + 1, sizeof *z->after_s);
    if (!z->at_s || !z->after_s)
        return "cannot be loaded: no memory";
    for (uint32_t i = 0; i < c->time; i++) {
        const unsigned char type = (unsigned char)indices[i];

        z->at_s[i] = be64(p + i * 8);
        if (type >= c->type || (i && z->at_s[i] <= z->at_s[i - 1]))
            return "has disordered transitions in its file";
        z->after_s[i] = offsets[type];
    }
    z->n = c->time;
    return NULL;
}

static const char *read_file_bytes(struct zone *z, struct span s)
{
    struct counts c;
    const char *why, *newline;

    if (!read_counts(s, &c))
        return "has no time zone file of version 2 or later";
    s = span_skip(s, HEADER_BYTES);
    if (s.n < block_bytes(&c, 4))
        return "has a time zone file that is cut short";
    s = span_skip(s, block_bytes(&c, 4));
    if (!read_counts(s, &c) || c.type == 0)
        return "has a time zone file with a broken second part";
    if (c.leap)
        return "counts leap seconds, which no price does";
    s = span_skip(s, HEADER_BYTES);
    if (s.n < block_bytes(&c, 8))
        return "has a time zone file that is cut short";
    why = read_transitions(z, &c, s.p);
    if (why)
        return why;
    s = span_skip(s, block_bytes(&c, 8));
    if (s.n < 2 || s.p[0] != '\n')
        return "has a time zone file without a footer";
    newline = memchr(s.p + 1, '\n', s.n - 1);
    if (!newline)
        return "has a time zone file without a footer";
    if (!parse_rule((struct text){ s.p + 1, newline }, &z->rule))
        return "has a rule in its file that cannot be read";
    return NULL;
}

static struct zone *zone_new(struct span name, const char **why)
{
    struct zone *z;

    *why = NULL;
    if (name.n == 0 || name.n > ZONE_NAME_MAX) {
        *why = "is no name of a time zone";
        return NULL;
    }
    z = calloc(1, sizeof *z);
    if (!z) {
        *why = "cannot be loaded: no memory";
        return NULL;
    }
    memcpy(z->name, name.p, name.n);
    return z;
}

struct zone *zone_parse(struct span name, struct span tzif, const char **why)
{
    struct zone *z = zone_new(name, why);

    if (!z)
        return NULL;
    *why = read_file_bytes(z, tzif);
    if (!*why)
        return z;
    zone_free(z);
    return NULL;
}

/* Relative, of plain names: nothing that begins with a dot, so neither ".." nor hidden files. */
static bool name_is_safe(struct span name)
{
    char before = '/';

    for (size_t i = 0; i < name.n; i++) {
        const char c = name.p[i];

        if (!is_letter(c) && !(c >= '0' && c <= '9') && c != '_' && c != '-' && c != '+' && c != '/')
            return false;
        if (c == '/' && before == '/')
            return false;
        before = c;
    }
    return name.n > 0 && name.n <= ZONE_NAME_MAX && before != '/';
}

struct zone *zone_load_from(const char *directory, struct span name, const char **why)
{
    char path[512], bytes[FILE_MAX + 1];
    size_t n;
    FILE *f;

    *why = "is no time zone of this system, such as \"Asia/Shanghai\" or \"UTC\"";
    if (!name_is_safe(name))
        return NULL;
    if (snprintf(path, sizeof path, "%s/%.*s", directory, SPAN_FMT(name)) >= (int)sizeof path)
        return NULL;
    f = fopen(path, "rb");
    if (!f)
        return NULL;
    n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    if (n == 0 || n > FILE_MAX)    /* a directory reads as nothing */
        return NULL;
    return zone_parse(name, (struct span){ bytes, n }, why);
}

struct zone *zone_load(struct span name, const char **why)
{
    if (span_is(name, "UTC"))
        return zone_new(name, why);
    return zone_load_from(ZONE_DIRECTORY, name, why);
}

void zone_free(struct zone *z)
{
    if (!z)
        return;
    free(z->at_s);
    free(z->after_s);
    free(z);
}

struct span zone_name(const struct zone *z)
{
    return span_str(z->name);
}

/* ---- local time ---- */

/* Index of the last transition not after `s`, or -1. */
static int64_t transition_at(const struct zone *z, int64_t s)
{
    size_t low = 0, high = z->n;

    while (low < high) {
        const size_t mid = low + (high - low) / 2;

        if (z->at_s[mid] <= s)
            low = mid + 1;
        else
            high = mid;
    }
    return (int64_t)low - 1;
}

int32_t zone_stretch(const struct zone *z, int64_t utc_ms, int64_t *from_ms, int64_t *until_ms)
{
    const int64_t s = floor_div(clamp_ms(utc_ms), MS), i = transition_at(z, s);
    int64_t from_s = i >= 0 ? z->at_s[i] : INT64_MIN;
    int64_t until_s = i + 1 < (int64_t)z->n ? z->at_s[i + 1] : INT64_MAX;
    int32_t offset = i >= 0 ? z->after_s[i] : z->before_s;

    if (until_s == INT64_MAX && z->rule.present) {
        int64_t rule_from_s;

        offset = rule_stretch(&z->rule, s, &rule_from_s, &until_s);
        if (rule_from_s > from_s)
            from_s = rule_from_s;
    }
    *from_ms = from_s <= FIRST_MS / MS ? INT64_MIN : from_s * MS;
    *until_ms = until_s > LAST_MS / MS ? INT64_MAX : until_s * MS;
    return offset;
}

struct zone_time zone_local(const struct zone *z, int64_t utc_ms)
{
    struct zone_time t;
    int64_t from_ms, until_ms, local_ms;

    t.offset_s = zone_stretch(z, utc_ms, &from_ms, &until_ms);
    local_ms = clamp_ms(utc_ms) + t.offset_s * MS;
    t.day = floor_div(local_ms, DAY_MS);
    t.day_ms = (int32_t)(local_ms - t.day * DAY_MS);
    t.weekday = weekday_of(t.day);
    zone_date_from_days(t.day, &t.year, &t.month, &t.mday);
    return t;
}

/* The first instant at which the local clock shows midnight of `day` or later. Walks the stretches from two days
 * before, where no clock has got there yet. */
static int64_t day_first_ms(const struct zone *z, int64_t day)
{
    const int64_t local_ms = day * DAY_MS;
    int64_t t = local_ms - 2 * DAY_MS, from_ms, until_ms;

    for (;;) {
        const int64_t at_ms = local_ms - zone_stretch(z, t, &from_ms, &until_ms) * MS;

        if (at_ms < until_ms || until_ms == INT64_MAX)
            return at_ms > from_ms ? at_ms : from_ms;
        t = until_ms;
    }
}

/* The day, week or month whose first day is not after `day`, and the first day of the next one. */
static void period_days(enum zone_period kind, int64_t day, int64_t *first, int64_t *next)
{
    int32_t y, m, d;

    *first = kind == ZONE_WEEK ? day - weekday_of(day) : day;
    *next = *first + (kind == ZONE_WEEK ? 7 : 1);
    if (kind == ZONE_MONTH) {
        zone_date_from_days(day, &y, &m, &d);
        *first = day - (d - 1);
        *next = *first + days_in_month(y, m);
    }
}

void zone_period(const struct zone *z, int64_t utc_ms, enum zone_period kind, int64_t *start_ms, int64_t *end_ms)
{
    const int64_t t = clamp_ms(utc_ms);
    int64_t day = zone_local(z, t).day, first, next;

    /* A clock set back over midnight shows yesterday again; the new day has begun all the same. */
    while (day_first_ms(z, day + 1) <= t)
        day++;
    period_days(kind, day, &first, &next);
    *start_ms = day_first_ms(z, first);
    *end_ms = day_first_ms(z, next);
}

static int64_t period_start(const struct zone *z, int64_t utc_ms, enum zone_period kind)
{
    int64_t start_ms, end_ms;

    zone_period(z, utc_ms, kind, &start_ms, &end_ms);
    return start_ms;
}

int64_t zone_day_start(const struct zone *z, int64_t utc_ms)
{
    return period_start(z, utc_ms, ZONE_DAY);
}

int64_t zone_week_start(const struct zone *z, int64_t utc_ms)
{
    return period_start(z, utc_ms, ZONE_WEEK);
}

int64_t zone_month_start(const struct zone *z, int64_t utc_ms)
{
    return period_start(z, utc_ms, ZONE_MONTH);
}
