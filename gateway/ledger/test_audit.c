/* test_audit.c - one altered nano-dollar is found, wherever it is; reports from sums and from rows agree. */
#include "gateway/ledger/fixture.h"

#include "gateway/ledger/report.h"
#include "gateway/ledger/utc.h"

/* Sixty requests over seven hours around a month's end, of two teams, three keys, with and without tags. */
#define LAST_DAY INT64_C(1796065200000)    /* 2026-11-30T19:00:00Z */

static void fill(struct fixture *f)
{
    static const struct span teams[] = { SPAN_LIT("search"), SPAN_LIT("legal") };
    static const struct span keys[] = { SPAN_LIT("key_a"), SPAN_LIT("key_b"), SPAN_LIT("key_c") };
    static const struct span routes[] = { SPAN_LIT("default"), SPAN_LIT("hard") };
    static const struct span tags[] = { SPAN_LIT("{\"project\":\"x\"}"), SPAN_LIT(""), SPAN_LIT("{\"project\":\"y\",\"env\":\"ci\"}") };
    struct sample s;

    fixture_open(f);
    for (uint64_t i = 0; i < 60; i++) {
        f->now_ms = LAST_DAY + (int64_t)i * 7 * 60 * 1000;
        sample_init(f, &s, i);
        s.q.team = teams[i % 2];
        s.q.key_id = keys[i % 3];
        s.q.route = routes[i % 5 == 0];
        s.q.tags = tags[i % 4 % 3];
        assert_int_equal(sample_open(f, &s, 0), LEDGER_OK);
        if (i % 7 == 6)            /* left for a later start: not here, so settle at nothing */
            s.q.status = 499;
        assert_int_equal(sample_settle(f, &s, 0), LEDGER_OK);
    }
    fixture_close(f);
}

static void an_untouched_ledger_is_green(void **state)
{
    struct fixture *f = *state;
    struct audit_result r;

    fill(f);
    assert_string_equal(fixture_audit(f, &r), "");
    assert_int_equal(r.requests, 60);
    assert_int_equal(r.attempts, 60);
    assert_int_equal(r.cost_nano, 60 * USUAL_NANO);
}

static void whatever_is_altered_is_found(void **state)
{
    static const struct { const char *sql, *undo, *says; } rows[] = {
        { "UPDATE attempts SET cost_nano = cost_nano + 1 WHERE request_id = (SELECT max(id) FROM requests)",
          "UPDATE attempts SET cost_nano = cost_nano - 1 WHERE request_id = (SELECT max(id) FROM requests)",
          "the row says 0.000020001 USD" },
        { "UPDATE attempts SET input = input + 1 WHERE request_id = (SELECT min(id) FROM requests)",
          "UPDATE attempts SET input = input - 1 WHERE request_id = (SELECT min(id) FROM requests)", "gives 0.000021 USD" },
        { "UPDATE attempts SET extras = '{\"searches\":1}' WHERE request_id = (SELECT min(id) FROM requests)",
          "UPDATE attempts SET extras = '{}'", NULL },    /* searches have no rate in this book: nothing changes */
        { "UPDATE requests SET cost_nano = cost_nano - 1 WHERE id = (SELECT max(id) FROM requests)",
          "UPDATE requests SET cost_nano = cost_nano + 1 WHERE id = (SELECT max(id) FROM requests)", "attempts that cost 19999" },
        { "UPDATE requests SET attempts = 2 WHERE id = (SELECT max(id) FROM requests)",
          "UPDATE requests SET attempts = 1 WHERE id = (SELECT max(id) FROM requests)", "says 2 attempts" },
        { "UPDATE rollups SET cost_nano = cost_nano + 1 WHERE grain = 'month' AND dimension = 'all' AND bucket = 1796083200000",
          "UPDATE rollups SET cost_nano = cost_nano - 1 WHERE grain = 'month' AND dimension = 'all' AND bucket = 1796083200000",
          "the month rollup of all" },
        { "UPDATE rollups SET output = output - 1 WHERE grain = 'hour' AND dimension = 'key' AND bucket = 1796065200000",
          "UPDATE rollups SET output = output + 1 WHERE grain = 'hour' AND dimension = 'key' AND bucket = 1796065200000",
          "the hour rollup of key" },
        { "UPDATE rollups SET requests = 0 WHERE grain = 'day' AND dimension = 'tag:env'", NULL, "the day rollup of tag:env" },
    };
    struct fixture *f = *state;
    struct audit_result r;

    fill(f);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fixture_exec(f, rows[i].sql);
        if (rows[i].says && !strstr(fixture_audit(f, &r), rows[i].says))
            fail_msg("row %zu: \"%s\" does not say \"%s\"", i, r.difference, rows[i].says);
        if (!rows[i].says)
            assert_string_equal(fixture_audit(f, &r), "");
        if (rows[i].undo) {
            fixture_exec(f, rows[i].undo);
            assert_string_equal(fixture_audit(f, &r), "");
        }
    }
}

static void what_is_missing_or_too_much_is_found(void **state)
{
    static const struct { const char *sql, *says; } rows[] = {
        { "DELETE FROM attempts WHERE request_id = (SELECT min(id) FROM requests)", "its attempts are 0" },
        { "DELETE FROM requests WHERE id = (SELECT min(id) FROM requests)", "which is not there" },
        { "DELETE FROM rollups WHERE grain = 'day' AND dimension = 'provider'", "the day rollup of provider" },
        { "INSERT INTO rollups VALUES ('day', 0, 'team', 'ghost', 'm', 1, 0, 0, 0, 0, 0, 0)", "\"ghost\"" },
        { "UPDATE prices SET text = replace(text, '\"1\"', '\"2\"')", "not in the ledger as it was" },
        { "UPDATE attempts SET price_version = replace(price_version, '@', 'x')", "names the price version" },
        { "UPDATE attempts SET priced_ms = 0", "did not hold" },
        { "UPDATE attempts SET n = 2", "the attempt has no row" },
        { "UPDATE reservations SET amount_nano = 5", "is not flagged" },
        { "UPDATE reservations SET state = 'released' WHERE request_id = (SELECT min(id) FROM requests)", "does not fit" },
        { "UPDATE reservations SET state = 'estimated' WHERE request_id = (SELECT min(id) FROM requests)", "does not fit" },
        { "UPDATE reservations SET closed_ms = NULL WHERE request_id = (SELECT min(id) FROM requests)", "does not fit" },
        { "UPDATE reservations SET scope = 'team:ghost' WHERE request_id = (SELECT min(id) FROM requests)", "team:ghost" },
        { "UPDATE attempts SET usage_source = 'estimated' WHERE request_id = (SELECT min(id) FROM requests)", "does not fit" },
        { "UPDATE attempts SET over_reserved = 1 WHERE request_id = (SELECT min(id) FROM requests)", "flagged as above" },
        { "UPDATE attempts SET extras = 'x' WHERE request_id = (SELECT min(id) FROM requests)", "no JSON" },
        { "UPDATE reservations SET state = 'open' WHERE request_id = (SELECT min(id) FROM requests)", "is open" },
        { "UPDATE requests SET status = NULL WHERE id = (SELECT min(id) FROM requests)", "rollup" },
    };
    struct fixture *f = *state;
    struct audit_result r;
    char copy[320];

    fill(f);
    snprintf(copy, sizeof copy, "VACUUM INTO '%s/copy.db'", f->dir);
    fixture_exec(f, copy);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fixture work = *f;

        snprintf(work.path, sizeof work.path, "%s/w%zu.db", f->dir, i);
        snprintf(copy, sizeof copy, "VACUUM INTO '%s'", work.path);
        fixture_exec(f, copy);
        fixture_exec(&work, rows[i].sql);
        if (!strstr(fixture_audit(&work, &r), rows[i].says))
            fail_msg("row %zu: \"%s\" does not say \"%s\"", i, r.difference, rows[i].says);
    }
}

static void hours_older_than_thirty_days_may_be_gone_and_only_they(void **state)
{
    struct fixture *f = *state;
    struct audit_result r;

    fill(f);
    fixture_exec(f, "DELETE FROM rollups WHERE grain = 'hour'");
    f->now_ms = LAST_DAY + 29 * UTC_DAY_MS;
    assert_non_null(strstr(fixture_audit(f, &r), "hour rollup"));
    f->now_ms = LAST_DAY + 31 * UTC_DAY_MS;
    assert_string_equal(fixture_audit(f, &r), "");
}

static void beside_a_serve_what_it_has_under_way_is_no_difference(void **state)
{
    struct fixture *f = *state;
    struct audit_result r;
    struct sample s;

    fixture_open(f);
    sample_init(f, &s, 1);
    assert_int_equal(sample_open(f, &s, 1), LEDGER_OK);
    fixture_wait(f, 1);
    assert_string_equal(fixture_audit(f, &r), "");
    fixture_exec(f, "UPDATE reservations SET opened_ms = opened_ms - 1");    /* from before it started: leaked */
    assert_non_null(strstr(fixture_audit(f, &r), "is open"));
    fixture_exec(f, "UPDATE reservations SET opened_ms = opened_ms + 1");
    assert_int_equal(sample_settle(f, &s, 2), LEDGER_OK);
    fixture_close(f);
    assert_string_equal(fixture_audit(f, &r), "");
}

/* ---- reports ---- */

struct lines {
    char text[16384];
    size_t n;
    int64_t cost_nano, requests, attempts;
};

static void add_line(void *arg, const struct report_row *row)
{
    struct lines *l = arg;

    for (size_t i = 0; i < 2; i++)
        if (row->values[i].p)
            l->n += (size_t)snprintf(l->text + l->n, sizeof l->text - l->n, "%.*s|", SPAN_FMT(row->values[i]));
    l->n += (size_t)snprintf(l->text + l->n, sizeof l->text - l->n, "%lld %lld %lld %lld\n", (long long)row->requests,
                             (long long)row->attempts, (long long)row->output, (long long)row->cost_nano);
    assert_true(l->n < sizeof l->text);
    l->cost_nano += row->cost_nano;
    l->requests += row->requests;
    l->attempts += row->attempts;
}

static void run_report(struct fixture *f, const char *one, const char *two, int64_t from, int64_t to, bool raw, struct lines *l)
{
    struct report_query q = { .from_ms = from, .to_ms = to, .now_ms = LAST_DAY + UTC_DAY_MS, .raw = raw };
    struct problems ps;
    const char *why;

    memset(l, 0, sizeof *l);
    problems_init(&ps);
    assert_true((!*one || report_add(&q, span_str(one), &why)) && (!*two || report_add(&q, span_str(two), &why)));
    if (!report_run(f->path, &q, add_line, l, &ps)) {
        problems_print(&ps, stderr);
        fail();
    }
    problems_free(&ps);
}

static void rollups_and_rows_give_the_same_report(void **state)
{
    static const char *const fields[] = { "", "hour", "day", "month", "team", "key", "route", "provider", "model", "tag:project", "tag:none" };
    const int64_t december = LAST_DAY + 5 * UTC_HOUR_MS;
    const struct { int64_t from, to; } spans[] = {
        { INT64_MIN, INT64_MAX }, { december, INT64_MAX }, { INT64_MIN, december },
        { LAST_DAY + UTC_HOUR_MS, LAST_DAY + 6 * UTC_HOUR_MS }, { LAST_DAY + 1234567, december + 7654321 },
    };
    struct fixture *f = *state;
    static struct lines sums, rows;

    fill(f);
    for (size_t a = 0; a < sizeof fields / sizeof *fields; a++)
        for (size_t b = 0; b < sizeof fields / sizeof *fields; b++)
            for (size_t s = 0; s < sizeof spans / sizeof *spans; s++) {
                run_report(f, fields[a], fields[b], spans[s].from, spans[s].to, false, &sums);
                run_report(f, fields[a], fields[b], spans[s].from, spans[s].to, true, &rows);
                if (strcmp(sums.text, rows.text) != 0)
                    fail_msg("by %s,%s in span %zu:\n%s--- from the rows:\n%s", fields[a], fields[b], s, sums.text, rows.text);
                if (s == 0 && !(rows.cost_nano == 60 * USUAL_NANO && rows.requests == 60 && rows.attempts == 60))
                    fail_msg("by %s,%s: the rows are not all", fields[a], fields[b]);
            }
}

static void a_report_by_day_splits_at_midnight_utc(void **state)
{
    struct fixture *f = *state;
    struct lines l;

    fill(f);    /* one each 7 minutes from 19:00: minutes 0, 7, ... 294 are 43 before midnight */
    run_report(f, "day", "", INT64_MIN, INT64_MAX, false, &l);
    assert_string_equal(l.text, "2026-11-30|43 43 215 860000\n2026-12-01|17 17 85 340000\n");
    run_report(f, "tag:project", "", INT64_MIN, INT64_MAX, false, &l);    /* i % 4 % 3: x for 0 and 3, none for 1, y for 2 */
    assert_string_equal(l.text, "x|30 30 150 600000\n|15 15 75 300000\ny|15 15 75 300000\n");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(an_untouched_ledger_is_green),
        T(whatever_is_altered_is_found),
        T(what_is_missing_or_too_much_is_found),
        T(hours_older_than_thirty_days_may_be_gone_and_only_they),
        T(beside_a_serve_what_it_has_under_way_is_no_difference),
        T(rollups_and_rows_give_the_same_report),
        T(a_report_by_day_splits_at_midnight_utc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
