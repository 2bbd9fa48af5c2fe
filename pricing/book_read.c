/* book_read.c - prices.json -> calendars, zones, models; every fault with its JSON pointer.
 *
 * The schema has been checked before (names and types of members); here is what a schema cannot say. It goes on after
 * a fault, so that one run shows all of them, and so must not rely on the schema having passed. Does not look
 * anything up in the finished book (book.c). */
#include "pricing/book_read.h"

#include <stdlib.h>

#define DAY_MS INT64_C(86400000)
#define OVERLAP_DAYS 370           /* a year of clock changes and of weekdays against them */
#define OVERLAP_WINDOWS_MAX 32u    /* the schema's own limit; more is already a fault */

struct reader {
    struct book *book;
    struct problems *ps;
    const json_t *tree;
    bool no_memory;
    char at[JSON_POINTER_ROOM];    /* of the value being read */
};

/* ---- where we are, and what is wrong there ---- */

static void up(struct reader *rd, size_t back)
{
    rd->at[back] = '\0';
}

/* At a member of the current value; a macro so that the format is checked. */
#define FAULT_AT(rd, member, ...)                                           \
    do {                                                                    \
        const size_t back_ = json_at((rd)->at, sizeof (rd)->at, (member));  \
        problem_error((rd)->ps, (rd)->at, __VA_ARGS__);                     \
        up((rd), back_);                                                    \
    } while (0)
#define FAULT(rd, ...) problem_error((rd)->ps, (rd)->at, __VA_ARGS__)

static void *array_of(struct reader *rd, size_t n, size_t size)
{
    void *p = arena_zalloc_array(&rd->book->arena, n ? n : 1, size, 16);

    rd->no_memory |= !p;
    return p;
}

static struct span keep(struct reader *rd, struct span s)
{
    struct span copy;

    if (!s.p)
        return SPAN_NONE;
    copy = arena_copy(&rd->book->arena, s);
    rd->no_memory |= !copy.p;
    return copy;
}

/* ---- zones and calendars ---- */

/* The zone named by a member of `obj`, loaded once a book. NULL when there is none; a fault when it is unknown. */
static const struct zone *read_zone(struct reader *rd, const json_t *obj, const char *member)
{
    const struct span name = json_span(obj, member);
    struct book *b = rd->book;
    struct zone **bigger, *z;
    const char *why;

    if (!name.p)
        return NULL;
    for (size_t i = 0; i < b->n_zones; i++)
        if (span_eq(zone_name(b->zones[i]), name))
            return b->zones[i];
    z = zone_load(name, &why);
    if (!z) {
        FAULT_AT(rd, member, "\"%.*s\" %s", SPAN_FMT(name), why);
        return NULL;
    }
    bigger = realloc(b->zones, (b->n_zones + 1) * sizeof *bigger);
    if (!bigger) {
        rd->no_memory = true;
        zone_free(z);
        return NULL;
    }
    b->zones = bigger;
    b->zones[b->n_zones++] = z;
    return z;
}

static int compare_days(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static void read_dates(struct reader *rd, const json_t *dates, struct calendar *c)
{
    int64_t *days = array_of(rd, json_array_size(dates), sizeof *days);
    size_t i;
    json_t *date;

    if (!days)
        return;
    json_array_foreach(dates, i, date) {
        const struct span text = json_value_span(date);
        const size_t back = json_at_index(rd->at, sizeof rd->at, i);
        int64_t day;

        if (text.p && !zone_parse_date(text, &day)) {
            FAULT(rd, "\"%.*s\" is no date, such as \"2026-10-01\"", SPAN_FMT(text));
        } else if (text.p) {
            for (size_t j = 0; j < c->n_days; j++)
                if (days[j] == day)
                    FAULT(rd, "\"%.*s\" is in this calendar already", SPAN_FMT(text));
            days[c->n_days++] = day;
        }
        up(rd, back);
    }
    qsort(days, c->n_days, sizeof *days, compare_days);
    c->days = days;
}

static void read_calendars(struct reader *rd)
{
    json_t *all = json_object_get(rd->tree, "calendars");
    const size_t back = json_at(rd->at, sizeof rd->at, "calendars");
    const char *name;
    json_t *obj;

    rd->book->calendars = array_of(rd, json_object_size(all), sizeof *rd->book->calendars);
    if (!rd->book->calendars)
        return;
    json_object_foreach(all, name, obj) {
        struct calendar *c = &rd->book->calendars[rd->book->n_calendars++];
        const size_t back_in = json_at(rd->at, sizeof rd->at, name);
        size_t back_dates;

        c->name = keep(rd, span_str(name));
        c->zone = read_zone(rd, obj, "zone");
        back_dates = json_at(rd->at, sizeof rd->at, "dates");
        read_dates(rd, json_object_get(obj, "dates"), c);
        up(rd, back_dates);
        up(rd, back_in);
    }
    up(rd, back);
}

/* ---- rates and multipliers ---- */

static bool read_rates(struct reader *rd, const json_t *obj, struct rates *out)
{
    bool any = false;

    for (int i = 0; i < RATE_KINDS; i++) {
        const struct span text = json_span(obj, rate_names[i]);
        enum price_parse rc;

        out->pusd[i] = PRICE_UNSTATED;
        any |= json_object_get(obj, rate_names[i]) != NULL;
        if (!text.p)
            continue;
        rc = price_parse_rate(text, &out->pusd[i]);
        if (rc == PRICE_PARSE_OK && i == RATE_SEARCHES)
            out->pusd[i] *= 1000;    /* USD per 1000 searches: a thousandth of a dollar is 10^9 pico-dollars */
        else if (rc == PRICE_PARSE_RANGE)
            FAULT_AT(rd, rate_names[i], "\"%.*s\" is too large: rates are USD per million tokens", SPAN_FMT(text));
        else if (rc != PRICE_PARSE_OK)
            FAULT_AT(rd, rate_names[i], "\"%.*s\" %s; rates are USD per million tokens, such as \"0.14\"",
                     SPAN_FMT(text), price_parse_text(rc, 6));
    }
    return any;
}

/* A multiplier above zero; 1/1 when the member is absent. */
static struct ratio read_ratio(struct reader *rd, const json_t *obj, const char *member)
{
    const struct span text = json_span(obj, member);
    struct ratio r = { 1, 1 };
    enum price_parse rc;

    if (!text.p)
        return r;
    rc = price_parse_ratio(text, &r);
    if (rc != PRICE_PARSE_OK)
        FAULT_AT(rd, member, "\"%.*s\" %s; a multiplier is such as \"0.5\", at most 1000", SPAN_FMT(text),
                 price_parse_text(rc, 6));
    else if (r.num == 0)
        FAULT_AT(rd, member, "must be above 0; what is free has rates of \"0\"");
    return r;
}

/* What windows and tiers share: either one multiplier or rates of their own. */
static void read_terms(struct reader *rd, const json_t *obj, struct ratio *multiplier, struct rates *rates)
{
    const bool own = read_rates(rd, obj, rates);
    const bool times = json_object_get(obj, "multiplier") != NULL;

    *multiplier = read_ratio(rd, obj, "multiplier");
    if (own && times)
        FAULT_AT(rd, "multiplier", "stands beside rates of its own: use one or the other");
    if (!own && !times)
        FAULT(rd, "has neither a multiplier nor a rate");
}

static bool rates_are_own(const struct rates *r)
{
    for (int i = 0; i < RATE_KINDS; i++)
        if (r->pusd[i] != PRICE_UNSTATED)
            return true;
    return false;
}

/* ---- windows ---- */

static bool read_clock(struct span s, int32_t *minute)
{
    int32_t v[4];

    if (s.n != 5 || s.p[2] != ':')
        return false;
    for (int i = 0; i < 4; i++) {
        const char c = s.p[i + (i > 1)];

        if (c < '0' || c > '9')
            return false;
        v[i] = c - '0';
    }
    *minute = (v[0] * 10 + v[1]) * 60 + v[2] * 10 + v[3];
    return v[2] < 6 && *minute <= 1440;
}

static void read_days(struct reader *rd, const json_t *days, struct window *w)
{
    static const char *const names[] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun", NULL };
    const size_t back = json_at(rd->at, sizeof rd->at, "days");
    size_t i;
    json_t *day;

    w->days = 0;
    json_array_foreach(days, i, day) {
        const struct span name = json_value_span(day);
        const size_t back_in = json_at_index(rd->at, sizeof rd->at, i);
        unsigned bit = 0;

        for (unsigned d = 0; names[d]; d++)
            if (span_is(name, names[d]))
                bit = 1u << d;
        if (name.p && !bit)
            problem_add(rd->ps, PROBLEM_ERROR, rd->at, "one of mon, tue, wed, thu, fri, sat, sun",
                        "\"%.*s\" is no day", SPAN_FMT(name));
        else if (w->days & bit)
            FAULT(rd, "names a day twice");
        w->days |= bit;
        up(rd, back_in);
    }
    up(rd, back);
}

static const struct calendar *find_calendar(struct reader *rd, struct span name)
{
    struct book *b = rd->book;
    const char **names = array_of(rd, b->n_calendars + 1, sizeof *names);

    for (size_t i = 0; i < b->n_calendars; i++)
        if (span_eq(b->calendars[i].name, name))
            return &b->calendars[i];
    for (size_t i = 0; names && i < b->n_calendars; i++)
        names[i] = b->calendars[i].name.p;
    {
        const char *near = names ? problem_nearest(name, names) : NULL;
        const size_t back = json_at(rd->at, sizeof rd->at, "except");

        problem_add(rd->ps, PROBLEM_ERROR, rd->at, near, "\"%.*s\" is no calendar of this book", SPAN_FMT(name));
        up(rd, back);
    }
    return NULL;
}

static void read_window_times(struct reader *rd, const json_t *obj, struct window *w)
{
    const struct span from = json_span(obj, "from"), to = json_span(obj, "to");
    const bool from_ok = from.p && read_clock(from, &w->from_min) && w->from_min < 1440;
    const bool to_ok = to.p && read_clock(to, &w->to_min);

    if (from.p && !from_ok)
        FAULT_AT(rd, "from", "\"%.*s\" is no time of day from 00:00 to 23:59", SPAN_FMT(from));
    if (to.p && !to_ok)
        FAULT_AT(rd, "to", "\"%.*s\" is no time of day from 00:00 to 24:00", SPAN_FMT(to));
    if (from_ok && to_ok && w->from_min == w->to_min)
        FAULT_AT(rd, "to", "is the same as \"from\": a whole day is 00:00 to 24:00");
    if (w->to_min == 0)
        w->to_min = 1440;    /* the same midnight, seen from before */
}

static void read_window(struct reader *rd, const json_t *obj, struct window *w)
{
    const struct span name = json_span(obj, "name"), except = json_span(obj, "except");

    read_window_times(rd, obj, w);
    w->name = keep(rd, name);
    if (!name.p)
        w->name = arena_printf(&rd->book->arena, "%.*s-%.*s", SPAN_FMT(json_span(obj, "from")),
                               SPAN_FMT(json_span(obj, "to")));
    w->tz = read_zone(rd, obj, "tz");
    w->days_tz = w->tz;
    w->days = WINDOW_ALL_DAYS;
    if (json_object_get(obj, "days"))
        read_days(rd, json_object_get(obj, "days"), w);
    if (json_object_get(obj, "days_tz")) {
        w->days_tz = read_zone(rd, obj, "days_tz");
        if (!json_object_get(obj, "days"))
            FAULT_AT(rd, "days_tz", "stands without \"days\" and would change nothing");
    }
    if (except.p)
        w->except = find_calendar(rd, except);
    read_terms(rd, obj, &w->multiplier, &w->rates);
    if (w->rates.pusd[RATE_SEARCHES] != PRICE_UNSTATED)
        FAULT_AT(rd, "searches", "belongs into the version: searches have no windows");
}

static struct window *read_windows(struct reader *rd, const json_t *list, size_t *n)
{
    struct window *all = array_of(rd, json_array_size(list), sizeof *all);
    const size_t back = json_at(rd->at, sizeof rd->at, "windows");
    size_t i;
    json_t *obj;

    if (!all)
        return NULL;
    json_array_foreach(list, i, obj) {
        const size_t back_in = json_at_index(rd->at, sizeof rd->at, i);

        if (json_is_object(obj))
            read_window(rd, obj, &all[(*n)++]);
        up(rd, back_in);
    }
    up(rd, back);
    return all;
}

/* Has it all that window_holds reads? What the schema has refused is not counted here. */
static bool windows_are_whole(const struct book_version *v)
{
    for (size_t i = 0; i < v->n_windows; i++) {
        const struct window *w = &v->windows[i];

        if (!w->tz || !w->days_tz || w->from_min == w->to_min || (w->except && !w->except->zone))
            return false;
    }
    return v->n_windows <= OVERLAP_WINDOWS_MAX;
}

/* Two windows of one version must never hold at once. Walks a year edge by edge: that sees weekdays, holidays and clock
 * changes as they will be, where a comparison of the texts would have to guess. */
static void check_overlaps(struct reader *rd, const struct book_version *v)
{
    bool told[OVERLAP_WINDOWS_MAX] = { false };
    const int64_t year_ms = v->from_ms + OVERLAP_DAYS * DAY_MS;
    const int64_t until_ms = v->until_ms < year_ms ? v->until_ms : year_ms;

    if (!windows_are_whole(v))
        return;
    for (int64_t t = v->from_ms, next; v->n_windows > 1 && t < until_ms; t = next) {
        int first = -1;

        next = INT64_MAX;
        for (size_t i = 0; i < v->n_windows; i++) {
            const int64_t edge = window_next_edge(&v->windows[i], t);
            char when[ZONE_TEXT_ROOM];
            size_t back, back_in;

            next = edge < next ? edge : next;
            if (!window_holds(&v->windows[i], t))
                continue;
            if (first >= 0 && !told[i]) {
                told[i] = true;
                zone_format_time(t, when);
                back = json_at(rd->at, sizeof rd->at, "windows");
                back_in = json_at_index(rd->at, sizeof rd->at, i);
                FAULT(rd, "overlaps window %d of this version, first at %s", first, when);
                up(rd, back_in);
                up(rd, back);
            }
            first = first < 0 ? (int)i : first;
        }
    }
}

/* ---- tiers ---- */

static void read_tier(struct reader *rd, const json_t *obj, struct book_tier *t)
{
    const bool over = json_is_integer(json_object_get(obj, "prompt_over"));
    const bool from = json_is_integer(json_object_get(obj, "prompt_from"));

    t->prompt_min = over ? json_int(obj, "prompt_over", 0) : json_int(obj, "prompt_from", 1);
    if (over && from)
        FAULT_AT(rd, "prompt_from", "stands beside prompt_over: use one or the other");
    else if (!over && !from)
        FAULT(rd, "needs prompt_over (strict) or prompt_from (inclusive)");
    else if (t->prompt_min < !over || t->prompt_min > INT64_C(1000000000000))
        FAULT_AT(rd, over ? "prompt_over" : "prompt_from", "is no sensible number of tokens");
    t->prompt_min += over;
    read_terms(rd, obj, &t->multiplier, &t->rates);
    if (t->rates.pusd[RATE_SEARCHES] != PRICE_UNSTATED)
        FAULT_AT(rd, "searches", "belongs into the version: searches have no tiers");
}

static struct book_tier *read_tiers(struct reader *rd, const json_t *list, size_t *n)
{
    struct book_tier *all = array_of(rd, json_array_size(list), sizeof *all);
    const size_t back = json_at(rd->at, sizeof rd->at, "tiers");
    size_t i;
    json_t *obj;

    if (!all)
        return NULL;
    json_array_foreach(list, i, obj) {
        const size_t back_in = json_at_index(rd->at, sizeof rd->at, i);
        const size_t before = rd->ps->errors;

        if (json_is_object(obj))
            read_tier(rd, obj, &all[*n]);
        if (rd->ps->errors == before && *n && all[*n].prompt_min <= all[*n - 1].prompt_min)
            FAULT(rd, "is out of order: tiers rise from the smallest prompt to the largest, each once");
        ++*n;
        up(rd, back_in);
    }
    up(rd, back);
    return all;
}

/* "They multiply" has a meaning for a multiplier, none for two sets of own rates. */
static void check_tiers_beside_windows(struct reader *rd, const struct book_version *v)
{
    bool own = false;

    for (size_t i = 0; i < v->n_windows; i++)
        own |= rates_are_own(&v->windows[i].rates);
    for (size_t i = 0; own && i < v->n_tiers; i++) {
        if (rates_are_own(&v->tiers[i].rates)) {
            FAULT_AT(rd, "tiers", "have rates of their own beside windows with rates of their own: give one of them "
                                  "a multiplier");
            return;
        }
    }
}

static struct book_service_tier *read_service_tiers(struct reader *rd, json_t *map, size_t *n)
{
    struct book_service_tier *all = array_of(rd, json_object_size(map), sizeof *all);
    const size_t back = json_at(rd->at, sizeof rd->at, "service_tiers");
    const char *name;
    json_t *unused;

    if (!all)
        return NULL;
    json_object_foreach(map, name, unused) {
        (void)unused;
        all[*n].name = keep(rd, span_str(name));
        for (size_t i = 0; i < *n; i++)
            if (span_eq_nocase(all[i].name, all[*n].name))
                FAULT_AT(rd, name, "is the same name as \"%.*s\": case does not count", SPAN_FMT(all[i].name));
        all[(*n)++].multiplier = read_ratio(rd, map, name);
    }
    up(rd, back);
    return all;
}

/* ---- versions ---- */

static void read_version(struct reader *rd, const json_t *obj, struct book_version *v)
{
    const struct span from = json_span(obj, "from"), until = json_span(obj, "until"), source = json_span(obj, "source");
    json_t *service_tiers = json_object_get(obj, "service_tiers");

    v->from_ms = INT64_MIN;
    v->until_ms = INT64_MAX;
    v->from = keep(rd, from);
    if (from.p && !zone_parse_time(from, &v->from_ms))
        FAULT_AT(rd, "from", "\"%.*s\" is no time in UTC, such as \"2026-04-24T00:00:00Z\"", SPAN_FMT(from));
    if (until.p && !zone_parse_time(until, &v->until_ms))
        FAULT_AT(rd, "until", "\"%.*s\" is no time in UTC, such as \"2026-04-24T00:00:00Z\"", SPAN_FMT(until));
    else if (until.p && v->until_ms <= v->from_ms)
        FAULT_AT(rd, "until", "is not after \"from\"");
    if (source.p && span_trim(source).n == 0)
        FAULT_AT(rd, "source", "is empty: say where and when the figures were read");
    v->source = keep(rd, source);
    read_rates(rd, obj, &v->rates);
    if (v->rates.pusd[RATE_CACHE_READ] > v->rates.pusd[RATE_INPUT] && v->rates.pusd[RATE_INPUT] != PRICE_UNSTATED) {
        const size_t back = json_at(rd->at, sizeof rd->at, "cache_read");

        /* A public price file has storage per hour in this place (Portkey-AI/models): reads then cost 22 times. */
        problem_add(rd->ps, PROBLEM_WARNING, rd->at, "is it a price for storage or for writing?",
                    "is dearer than input");
        up(rd, back);
    }
    v->windows = read_windows(rd, json_object_get(obj, "windows"), &v->n_windows);
    v->tiers = read_tiers(rd, json_object_get(obj, "tiers"), &v->n_tiers);
    v->service_tiers = read_service_tiers(rd, service_tiers, &v->n_service_tiers);
    check_tiers_beside_windows(rd, v);
}

/* `v` follows `before`: rising, and where `before` states its end, exactly there. */
static void check_order(struct reader *rd, struct book_version *before, const struct book_version *v)
{
    if (v->from_ms <= before->from_ms)
        FAULT_AT(rd, "from", "is not after the version before it: versions stand in the order of time");
    else if (before->until_ms < v->from_ms)
        FAULT_AT(rd, "from", "leaves a gap: the version before it ends earlier");
    else if (before->until_ms != INT64_MAX && before->until_ms > v->from_ms)
        FAULT_AT(rd, "from", "overlaps: the version before it ends later");
    else
        before->until_ms = v->from_ms;
}

static void read_versions(struct reader *rd, const json_t *model, struct book_model *m)
{
    const json_t *list = json_object_get(model, "versions");
    const size_t errors_before = rd->ps->errors, back = json_at(rd->at, sizeof rd->at, "versions");
    struct book_version *all = array_of(rd, json_array_size(list), sizeof *all);
    size_t i;
    json_t *obj;

    if (!all)
        return;
    m->versions = all;
    json_array_foreach(list, i, obj) {
        struct book_version *v = &all[m->n_versions++];
        const size_t back_in = json_at_index(rd->at, sizeof rd->at, i), errors = rd->ps->errors;

        if (json_is_object(obj))
            read_version(rd, obj, v);
        if (rd->ps->errors == errors && i && all[i - 1].from_ms != INT64_MIN)
            check_order(rd, &all[i - 1], v);
        up(rd, back_in);
    }
    /* Overlaps last: they need the true end of each version, and windows without faults. */
    for (i = 0; rd->ps->errors == errors_before && !rd->no_memory && i < m->n_versions; i++) {
        const size_t back_in = json_at_index(rd->at, sizeof rd->at, i);

        check_overlaps(rd, &all[i]);
        up(rd, back_in);
    }
    up(rd, back);
}

/* ---- models ---- */

static const char *const modality_names[] = { "text", "image", "audio", "video", "file", NULL };

unsigned book_modality(struct span name)
{
    for (unsigned i = 0; modality_names[i]; i++)
        if (span_is(name, modality_names[i]))
            return 1u << i;
    return 0;
}

static unsigned read_modalities(struct reader *rd, const json_t *list)
{
    const size_t back = json_at(rd->at, sizeof rd->at, "modalities");
    unsigned all = 0;
    size_t i;
    json_t *value;

    json_array_foreach(list, i, value) {
        const struct span name = json_value_span(value);
        const unsigned bit = book_modality(name);

        if (name.p && !bit) {
            const size_t back_in = json_at_index(rd->at, sizeof rd->at, i);

            problem_add(rd->ps, PROBLEM_ERROR, rd->at, "one of text, image, audio, video, file",
                        "\"%.*s\" is no modality", SPAN_FMT(name));
            up(rd, back_in);
        }
        all |= bit;
    }
    up(rd, back);
    return all ? all : BOOK_TEXT;
}

static void read_retired(struct reader *rd, const json_t *obj, struct book_model *m)
{
    int64_t day;

    m->retired_ms = INT64_MAX;
    m->retired = keep(rd, json_span(obj, "retired"));
    m->successor = keep(rd, json_span(obj, "successor"));
    if (m->retired.p && zone_parse_date(m->retired, &day))
        m->retired_ms = day * DAY_MS;
    else if (m->retired.p && !zone_parse_time(m->retired, &m->retired_ms))
        FAULT_AT(rd, "retired", "\"%.*s\" is no date or time in UTC, such as \"2026-05-15\"", SPAN_FMT(m->retired));
    if (m->retired.p && !m->successor.p)
        problem_warning(rd->ps, rd->at, "is retired and names no successor");
}

static void read_names(struct reader *rd, const char *key, const json_t *obj, struct book_model *m)
{
    const json_t *aliases = json_object_get(obj, "aliases");
    struct span *list = array_of(rd, json_array_size(aliases), sizeof *list);
    size_t slash, i;
    json_t *alias;

    m->key = keep(rd, span_str(key));
    slash = span_find(m->key, '/');
    if (slash == 0 || slash + 1 >= m->key.n)
        FAULT(rd, "\"%s\" is no key: models are named provider/model", key);
    m->provider = span_first(m->key, slash);
    m->name = span_skip(m->key, slash + 1);
    m->upstream_id = json_span(obj, "upstream_id").p ? keep(rd, json_span(obj, "upstream_id")) : m->name;
    json_array_foreach(aliases, i, alias)
        if (list && json_is_string(alias))
            list[m->n_aliases++] = keep(rd, json_value_span(alias));
    m->aliases = list;
}

static void read_model(struct reader *rd, const char *key, const json_t *obj, struct book_model *m)
{
    read_names(rd, key, obj, m);
    m->context = json_int(obj, "context", 1);
    m->max_output = json_int(obj, "max_output", m->context);
    if (m->max_output > m->context)
        FAULT_AT(rd, "max_output", "is larger than the context, which holds prompt and answer together");
    m->modalities = read_modalities(rd, json_object_get(obj, "modalities"));
    m->tokenizer_factor = read_ratio(rd, obj, "tokenizer_factor");
    read_retired(rd, obj, m);
    read_versions(rd, obj, m);
}

/* ---- what only the whole table shows ---- */

static void check_successor(struct reader *rd, const struct book_model *m)
{
    struct book *b = rd->book;
    const char **keys;
    const char *near;
    size_t back;

    if (!m->successor.p)
        return;
    for (size_t i = 0; i < b->n_models; i++)
        if (span_eq(b->models[i].key, m->successor) && &b->models[i] != m)
            return;
    if (span_eq(m->key, m->successor)) {
        FAULT_AT(rd, "successor", "is the model itself");
        return;
    }
    keys = array_of(rd, b->n_models + 1, sizeof *keys);
    for (size_t i = 0; keys && i < b->n_models; i++)
        keys[i] = b->models[i].key.p;
    near = keys ? problem_nearest(m->successor, keys) : NULL;
    back = json_at(rd->at, sizeof rd->at, "successor");
    problem_add(rd->ps, PROBLEM_ERROR, rd->at, near, "\"%.*s\" is no model of this book", SPAN_FMT(m->successor));
    up(rd, back);
}

static bool entry_is(const struct book_entry *e, struct span provider, struct span token)
{
    return span_eq(e->token, token) && span_eq(e->model->provider, provider);
}

/* One more name of `m`, unless it has it already; a fault when another model of its provider has it. `part` is where
 * the name stands in the model: "upstream_id", or "aliases" with `index`. NULL: it is the key. */
static void add_entry(struct reader *rd, const struct book_model *m, struct span token, const char *part, size_t index)
{
    struct book *b = rd->book;
    size_t back = strlen(rd->at);

    for (size_t i = 0; i < b->n_entries; i++) {
        const struct book_entry *e = &b->entries[i];

        if (!entry_is(e, m->provider, token))
            continue;
        if (e->model == m)
            return;
        if (part)
            json_at(rd->at, sizeof rd->at, part);
        if (part && strcmp(part, "aliases") == 0)
            json_at_index(rd->at, sizeof rd->at, index);
        FAULT(rd, "\"%.*s\" is already a name of %.*s", SPAN_FMT(token), SPAN_FMT(e->model->key));
        up(rd, back);
        return;
    }
    b->entries[b->n_entries++] = (struct book_entry){ token, m, part == NULL };
}

static void gather_entries(struct reader *rd)
{
    struct book *b = rd->book;
    size_t room = 0;

    for (size_t i = 0; i < b->n_models; i++)
        room += 2 + b->models[i].n_aliases;
    b->entries = array_of(rd, room, sizeof *b->entries);
    for (size_t i = 0; b->entries && i < b->n_models; i++) {
        const struct book_model *m = &b->models[i];
        const size_t back = json_at(rd->at, sizeof rd->at, m->key.p);

        add_entry(rd, m, m->name, NULL, 0);
        add_entry(rd, m, m->upstream_id, "upstream_id", 0);
        for (size_t j = 0; j < m->n_aliases; j++)
            add_entry(rd, m, m->aliases[j], "aliases", j);
        check_successor(rd, m);
        up(rd, back);
    }
}

void book_read(struct book *b, const json_t *tree, struct problems *ps)
{
    struct reader rd = { .book = b, .ps = ps, .tree = tree };
    json_t *models = json_object_get(tree, "models"), *obj;
    const struct span read_on = json_span(tree, "read_on");
    struct book_model *all = array_of(&rd, json_object_size(models), sizeof *all);
    const char *key;
    size_t back;

    b->name = keep(&rd, json_span(tree, "book"));
    b->read_on_day = INT64_MIN;
    if (read_on.p && !zone_parse_date(read_on, &b->read_on_day))
        FAULT_AT(&rd, "read_on", "\"%.*s\" is no date, such as \"2026-11-20\"", SPAN_FMT(read_on));
    read_calendars(&rd);
    back = json_at(rd.at, sizeof rd.at, "models");
    b->models = all;
    json_object_foreach(models, key, obj) {
        const size_t back_in = json_at(rd.at, sizeof rd.at, key);

        if (rd.no_memory)
            break;
        read_model(&rd, key, obj, &all[b->n_models++]);
        up(&rd, back_in);
    }
    if (!rd.no_memory)
        gather_entries(&rd);
    up(&rd, back);
    if (rd.no_memory)
        FAULT(&rd, "is too large for the memory that a price book may take");
}
