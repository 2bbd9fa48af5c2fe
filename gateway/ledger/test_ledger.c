/* test_ledger.c - tickets, rows, order, the full queue, the failing disk, what a killed process leaves. */
#include "gateway/ledger/fixture.h"

#include <stdatomic.h>
#include <sys/wait.h>

#include "gateway/ledger/accounts.h"

static void ids_of_one_millisecond_stand_in_the_order_of_their_microseconds(void **state)
{
    uint8_t random[10];
    char id[2][ROW_ID_BYTES + 1];
    int64_t ms = 0;

    (void)state;
    memset(random, 0xff, sizeof random);
    row_new_id_us(AT_MS * 1000, random, id[0]);
    for (int us = 1; us < 1000; us++) {
        memset(random, us % 2 ? 0 : 0xff, sizeof random);
        row_new_id_us(AT_MS * 1000 + us, random, id[us % 2]);
        assert_true(us % 2 ? strcmp(id[0], id[1]) < 0 : strcmp(id[1], id[0]) < 0);
        assert_true(row_id_time((struct span){ id[us % 2], ROW_ID_BYTES }, &ms));
        assert_int_equal(ms, AT_MS);
    }
    assert_string_equal(id[1] + 16, "00000000000000");    /* 999 x 1.024 = 1022: two digits; 70 bits are the caller's */
}

static void a_ticket_means_that_the_rows_are_in_the_file(void **state)
{
    struct fixture *f = *state;
    struct sample s;

    fixture_open(f);
    sample_init(f, &s, 1);
    assert_int_equal(sample_open(f, &s, 77), LEDGER_OK);
    fixture_wait(f, 1);
    assert_int_equal(f->back[0], 77);
    assert_int_equal(f->back_rc[0], LEDGER_OK);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM requests WHERE status IS NULL AND team = 'search'"), 1);
    assert_int_equal(fixture_int(f, "SELECT amount_nano FROM reservations WHERE state = 'open' AND scope = 'none'"), WORST_NANO);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM attempts"), 0);

    assert_int_equal(sample_settle(f, &s, 78), LEDGER_OK);
    fixture_wait(f, 2);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM requests WHERE status = 200 AND attempts = 1 AND cost_nano = 20000 AND"
                                 " model = 'm' AND provider = 'p' AND first_byte_ms = 3 AND total_ms = 7"), 1);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM attempts WHERE input = 10 AND output = 5 AND usage_source = 'reported' AND"
                                 " verdict = 'accepted' AND over_reserved = 0 AND cost_nano = 20000"), 1);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM reservations WHERE state = 'settled' AND closed_ms IS NOT NULL AND bound"
                                 " IS NULL"), 1);
    fixture_close(f);
}

static void the_callers_memory_may_be_reused_after_submit(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    char team[16] = "search", id[ROW_ID_BYTES + 1];

    fixture_open(f);
    sample_init(f, &s, 1);
    memcpy(id, s.id, sizeof id);
    s.q.team = span_str(team);
    assert_int_equal(sample_open(f, &s, 1), LEDGER_OK);
    memset(team, 'x', sizeof team - 1);
    memset(s.id, 'x', ROW_ID_BYTES);
    fixture_wait(f, 1);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM requests WHERE team = 'search' AND id LIKE 'req_%'"), 1);
    fixture_close(f);
}

static void what_nobody_waits_for_is_written_too(void **state)
{
    struct fixture *f = *state;
    struct sample s[100];
    struct audit_result r;

    fixture_open(f);
    for (uint64_t i = 0; i < 100; i++) {
        sample_init(f, &s[i], i);
        assert_int_equal(sample_open(f, &s[i], 0), LEDGER_OK);
        assert_int_equal(sample_settle(f, &s[i], 0), LEDGER_OK);
    }
    fixture_close(f);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM requests WHERE status = 200"), 100);
    assert_int_equal(fixture_int(f, "SELECT cost_nano FROM rollups WHERE grain = 'day' AND dimension = 'team' AND value = 'search'"),
                     100 * USUAL_NANO);
    assert_string_equal(fixture_audit(f, &r), "");
    assert_int_equal(r.attempts, 100);
}

static void a_settlement_written_twice_counts_once(void **state)    /* a commit that failed may have reached the log */
{
    struct fixture *f = *state;
    struct sample s;
    struct audit_result r;

    fixture_open(f);
    sample_init(f, &s, 1);
    assert_int_equal(sample_open(f, &s, 1), LEDGER_OK);
    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(sample_settle(f, &s, 2 + i), LEDGER_OK);
    fixture_wait(f, 4);
    fixture_close(f);
    assert_string_equal(fixture_audit(f, &r), "");
    assert_int_equal(r.cost_nano, USUAL_NANO);
}

static void a_refused_call_is_a_request_without_attempts(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    struct audit_result r;

    fixture_open(f);
    sample_init(f, &s, 1);
    s.q.status = 429;
    struct ledger_entry e = { .kind = LEDGER_REQUEST_ONLY, .ticket = 1, .request = &s.q };
    assert_int_equal(ledger_submit(f->l, f->port, &e), LEDGER_OK);
    fixture_wait(f, 1);
    fixture_close(f);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM requests WHERE status = 429 AND attempts = 0 AND cost_nano = 0"), 1);
    assert_int_equal(fixture_int(f, "SELECT requests FROM rollups WHERE grain = 'hour' AND dimension = 'all' AND model = ''"), 1);
    assert_string_equal(fixture_audit(f, &r), "");
}

static void each_scope_with_a_budget_has_its_reservation(void **state)
{
    struct fixture *f = *state;
    const struct budget_row rows[] = { { "team:search", BUDGET_DAY, 1000000 }, { "team:search", BUDGET_MONTH, 9000000 },
                                       { "key:key_000000000001", BUDGET_TOTAL, 5000000 } };
    struct sample s;

    fixture_open(f);
    assert_true(budgets_publish(f->budgets, rows, 3));
    sample_init(f, &s, 1);
    assert_int_equal(sample_open(f, &s, 1), LEDGER_OK);
    fixture_wait(f, 1);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM reservations"), 2);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM reservations WHERE scope IN ('team:search', 'key:key_000000000001')"), 2);
    assert_int_equal(sample_settle(f, &s, 2), LEDGER_OK);
    fixture_wait(f, 2);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM reservations WHERE state = 'settled'"), 2);
    fixture_close(f);
}

/* Runs `work` in a process of its own, which ends without closing anything, as kill -9 would. */
static void in_a_killed_process(struct fixture *f, void (*work)(struct fixture *f))
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0) {
        work(f);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void open_two_settle_none(struct fixture *f)
{
    struct sample a, b;

    fixture_open(f);
    sample_init(f, &a, 1);
    sample_init(f, &b, 2);
    if (sample_open(f, &a, 1) != LEDGER_OK || sample_open(f, &b, 2) != LEDGER_OK)
        _exit(1);
    fixture_wait(f, 2);
}

static void a_killed_process_leaves_attempts_charged_at_their_bound(void **state)
{
    struct fixture *f = *state;
    const struct budget_row day = { "team:search", BUDGET_DAY, 1000000 };
    struct budget_state b;
    struct audit_result r;

    in_a_killed_process(f, open_two_settle_none);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM reservations WHERE state = 'open'"), 2);
    assert_non_null(strstr(fixture_audit(f, &r), "is open"));    /* nobody serves: that is a difference */

    fixture_open(f);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM reservations WHERE state = 'estimated'"), 2);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM attempts WHERE usage_source = 'estimated' AND verdict = 'killed' AND"
                                 " input = 100 AND output = 50 AND cost_nano = 200000"), 2);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM requests WHERE status = 0 AND attempts = 1 AND cost_nano = 200000"), 2);
    assert_true(budgets_publish(f->budgets, &day, 1));
    assert_int_equal(budgets_list(f->budgets, f->now_ms, &b, 1), 1);
    assert_int_equal(b.spent_nano, 2 * WORST_NANO);              /* the window knows what was spent before the start */
    assert_int_equal(b.reserved_nano, 0);
    fixture_close(f);
    assert_string_equal(fixture_audit(f, &r), "");
}

static void open_the_second_attempt_alone(struct fixture *f)
{
    struct sample s;

    fixture_open(f);
    sample_init(f, &s, 1);
    s.a.n = 2;                     /* the first did not fit its budget: no reservation, no row */
    if (sample_open(f, &s, 1) != LEDGER_OK)
        _exit(1);
    fixture_wait(f, 1);
}

static void a_killed_second_attempt_is_found_though_there_was_no_first(void **state)
{
    struct fixture *f = *state;
    struct audit_result r;

    in_a_killed_process(f, open_the_second_attempt_alone);
    fixture_open(f);
    fixture_close(f);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM reservations WHERE state = 'open'"), 0);
    assert_string_equal(fixture_audit(f, &r), "");
    assert_int_equal(r.cost_nano, WORST_NANO);
}

static void a_start_twice_charges_once(void **state)
{
    struct fixture *f = *state;

    in_a_killed_process(f, open_two_settle_none);
    for (int i = 0; i < 3; i++) {
        fixture_open(f);
        fixture_close(f);
    }
    assert_int_equal(fixture_int(f, "SELECT sum(cost_nano) FROM attempts"), 2 * WORST_NANO);
    assert_int_equal(fixture_int(f, "SELECT sum(cost_nano) FROM rollups WHERE grain = 'month' AND dimension = 'all'"), 2 * WORST_NANO);
}

static void text_of_callers_stays_data(void **state)    /* CVE-2026-42208: key text in a statement */
{
    struct fixture *f = *state;
    static const char nasty[] = "'); DROP TABLE requests; --\x01\"\\";
    char *large = malloc(1 << 20);
    struct sample s;
    struct audit_result r;

    memset(large, 'a', 1 << 20);
    fixture_open(f);
    sample_init(f, &s, 1);
    s.q.model_asked = span_str(nasty);
    s.q.session = (struct span){ "a\0b", 3 };
    s.q.route = (struct span){ large, 1 << 20 };
    s.q.tags = SPAN_LIT("{\"project\":\"'; DELETE FROM attempts; --\",\"n\":1}");
    assert_int_equal(sample_open(f, &s, 1), LEDGER_OK);
    assert_int_equal(sample_settle(f, &s, 2), LEDGER_OK);
    fixture_wait(f, 2);
    fixture_close(f);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM requests WHERE model_asked = '''); DROP TABLE requests; --' || char(1, 34, 92)"
                                 " AND session = 'a' AND length(route) = 256"), 1);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM rollups WHERE grain = 'day' AND dimension = 'tag:project' AND value ="
                                 " '''; DELETE FROM attempts; --'"), 1);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM rollups WHERE dimension = 'tag:n'"), 0);
    assert_string_equal(fixture_audit(f, &r), "");
    free(large);
}

static void tags_that_are_no_json_do_no_harm(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    struct audit_result r;

    fixture_open(f);
    sample_init(f, &s, 1);
    s.q.tags = SPAN_LIT("{\"project\":");
    assert_int_equal(sample_open(f, &s, 1), LEDGER_OK);
    assert_int_equal(sample_settle(f, &s, 2), LEDGER_OK);
    fixture_wait(f, 2);
    assert_int_equal(f->back_rc[1], LEDGER_OK);
    fixture_close(f);
    assert_string_equal(fixture_audit(f, &r), "");
}

static void an_entry_that_breaks_a_constraint_does_not_block_the_others(void **state)
{
    struct fixture *f = *state;
    struct sample bad, good;
    struct audit_result r;

    fixture_open(f);
    sample_init(f, &bad, 1);
    sample_init(f, &good, 2);
    assert_int_equal(sample_open(f, &bad, 1), LEDGER_OK);
    fixture_wait(f, 1);
    bad.a.usage.reasoning = -1;
    struct ledger_entry e = { LEDGER_SETTLE, 2, &bad.q, &bad.a, NULL, false };
    assert_int_equal(ledger_submit(f->l, f->port, &e), LEDGER_OK);
    assert_int_equal(sample_open(f, &good, 3), LEDGER_OK);
    assert_int_equal(sample_settle(f, &good, 4), LEDGER_OK);
    fixture_wait(f, 4);
    for (size_t i = 1; i < 4; i++)
        assert_int_equal(f->back_rc[i], f->back[i] == 2 ? LEDGER_DOWN : LEDGER_OK);
    budget_release(f->budgets, &bad.hold);
    fixture_close(f);
    fixture_open(f);               /* the next start closes what it left, at its bound */
    fixture_close(f);
    assert_string_equal(fixture_audit(f, &r), "");
    assert_int_equal(fixture_int(f, "SELECT sum(cost_nano) FROM attempts"), WORST_NANO + USUAL_NANO);
}

/* Another process's lock, for which the writer waits; ended by let_go. */
static sqlite3 *hold_the_writer(struct fixture *f, struct sample *first)
{
    sqlite3 *other = NULL;

    assert_int_equal(sqlite3_open(f->path, &other), SQLITE_OK);
    sqlite3_busy_timeout(other, 10000);                /* the writer may be at its housekeeping */
    assert_true(db_exec(other, "BEGIN IMMEDIATE"));
    sample_init(f, first, 999);
    assert_int_equal(sample_open(f, first, 999), LEDGER_OK);
    for (struct ledger_stats st = { .queued = 1 }; st.queued;)    /* until the writer has it in hand */
        ledger_stats(f->l, &st);
    return other;
}

static void let_go(sqlite3 *other)
{
    assert_true(db_exec(other, "COMMIT"));
    sqlite3_close(other);
}

static void a_settlement_that_finds_its_open_in_the_queue_leaves_the_same_rows(void **state)
{
    struct fixture *f = *state;
    const struct budget_row rows[] = { { "team:search", BUDGET_DAY, 1000000 }, { "key:key_000000000001", BUDGET_TOTAL, 900000 } };
    struct sample first, s[3];
    struct ledger_stats st;
    struct audit_result r;
    sqlite3 *other;

    fixture_open(f);
    other = hold_the_writer(f, &first);
    for (uint64_t i = 0; i < 3; i++) {
        if (i == 2)
            assert_true(budgets_publish(f->budgets, rows, 2));
        sample_init(f, &s[i], i);
        assert_int_equal(sample_open(f, &s[i], 10 + i), LEDGER_OK);
    }
    for (int i = 2; i >= 1; i--)
        assert_int_equal(sample_settle(f, &s[i], 0), LEDGER_OK);
    ledger_stats(f->l, &st);
    assert_int_equal(st.settled_at_once, 2);
    let_go(other);
    fixture_wait(f, 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(f->back_rc[i], LEDGER_OK);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM requests WHERE status IS NULL"), 2);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM requests WHERE status = 200 AND attempts = 1 AND cost_nano = 20000 AND"
                                 " model = 'm' AND provider = 'p' AND first_byte_ms = 3 AND total_ms = 7"), 2);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM attempts WHERE input = 10 AND output = 5 AND usage_source = 'reported' AND"
                                 " verdict = 'accepted' AND over_reserved = 0 AND cost_nano = 20000"), 2);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM reservations WHERE state = 'settled' AND closed_ms IS NOT NULL AND bound"
                                 " IS NULL AND amount_nano = (SELECT max(amount_nano) FROM reservations)"), 3);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM reservations WHERE state = 'open' AND bound IS NOT NULL"), 2);
    assert_int_equal(sample_settle(f, &s[0], 0), LEDGER_OK);
    assert_int_equal(sample_settle(f, &first, 0), LEDGER_OK);
    fixture_close(f);
    assert_string_equal(fixture_audit(f, &r), "");
    assert_int_equal(r.attempts, 4);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM requests WHERE status IS NULL"), 0);
}

static void a_pair_that_breaks_a_constraint_loses_only_the_entry_that_does(void **state)
{
    struct fixture *f = *state;
    struct sample first, bad, good;
    struct audit_result r;
    sqlite3 *other;

    fixture_open(f);
    other = hold_the_writer(f, &first);
    sample_init(f, &bad, 1);
    sample_init(f, &good, 2);
    assert_int_equal(sample_open(f, &bad, 1), LEDGER_OK);
    assert_int_equal(sample_open(f, &good, 2), LEDGER_OK);
    bad.a.usage.reasoning = -1;
    struct ledger_entry e = { LEDGER_SETTLE, 0, &bad.q, &bad.a, NULL, true };
    assert_int_equal(ledger_submit(f->l, f->port, &e), LEDGER_OK);
    budget_release(f->budgets, &bad.hold);
    assert_int_equal(sample_settle(f, &good, 0), LEDGER_OK);
    assert_int_equal(sample_settle(f, &first, 0), LEDGER_OK);
    let_go(other);
    fixture_wait(f, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(f->back_rc[i], LEDGER_OK);
    fixture_close(f);
    fixture_open(f);               /* the next start closes the open of the bad one at its bound */
    fixture_close(f);
    assert_string_equal(fixture_audit(f, &r), "");
    assert_int_equal(fixture_int(f, "SELECT sum(cost_nano) FROM attempts"), WORST_NANO + 2 * USUAL_NANO);
}

static void a_full_queue_refuses_opens_and_takes_settlements(void **state)
{
    struct fixture *f = *state;
    struct sample s[64], first;
    sqlite3 *other = NULL;
    size_t taken = 0;
    struct ledger_stats st;

    f->queue_max = 8;
    fixture_open(f);
    sample_init(f, &first, 999);
    assert_int_equal(sample_open(f, &first, 1), LEDGER_OK);
    fixture_wait(f, 1);
    assert_int_equal(sqlite3_open(f->path, &other), SQLITE_OK);
    sqlite3_busy_timeout(other, 10000);                /* the writer may be at its housekeeping */
    assert_true(db_exec(other, "BEGIN IMMEDIATE"));    /* the writer waits for this process's lock */
    for (uint64_t i = 0; i < 64; i++) {
        sample_init(f, &s[i], i);
        if (sample_open(f, &s[i], 100 + i) == LEDGER_OK)
            taken++;
        else
            budget_release(f->budgets, &s[i].hold);
    }
    assert_true(taken >= 8 && taken < 64);
    assert_int_equal(sample_settle(f, &first, 2), LEDGER_OK);
    ledger_stats(f->l, &st);
    assert_int_equal(st.refused_full, 64 - taken);
    assert_true(db_exec(other, "COMMIT"));
    sqlite3_close(other);
    fixture_wait(f, 2 + taken);
    for (size_t i = 0; i < f->n_back; i++)
        assert_int_equal(f->back_rc[i], LEDGER_OK);
    fixture_close(f);
}

static void refuses_a_second_serve(struct fixture *f, bool remove_claim)
{
    char claim[512];
    struct ledger_options o = { .path = f->path, .keys = keys_new(), .budgets = budgets_new() };
    struct problems ps;

    problems_init(&ps);
    fixture_open(f);
    snprintf(claim, sizeof claim, "%s-serve", f->path);
    if (remove_claim)
        assert_int_equal(unlink(claim), 0);
    assert_null(ledger_open(&o, &ps));
    assert_int_equal(ps.n, 1);
    assert_non_null(strstr(ps.list[0].text, "another tollgate"));
    fixture_close(f);
    keys_free(o.keys);
    budgets_free(o.budgets);
    problems_free(&ps);
}

static void a_second_serve_on_the_same_ledger_is_refused(void **state)
{
    refuses_a_second_serve(*state, false);
}

static void a_second_serve_is_refused_also_when_the_file_beside_the_ledger_was_removed(void **state)
{
    refuses_a_second_serve(*state, true);
}

static void a_change_by_a_command_is_heeded_within_a_second(void **state)
{
    struct fixture *f = *state;
    struct problems ps;
    struct accounts *a;
    struct key_info info, found;
    char text[KEY_TEXT_BYTES + 1];
    struct budget_state b;
    int64_t until;

    problems_init(&ps);
    fixture_open(f);
    a = accounts_open(f->path, false, &ps);
    assert_non_null(a);
    assert_int_equal(accounts_key_create(a, SPAN_LIT("search"), SPAN_LIT("ci"), false, f->now_ms, &info, text), ACCOUNTS_OK);
    assert_int_equal(accounts_budget_set(a, "team:search", BUDGET_DAY, 5, f->now_ms), ACCOUNTS_OK);
    until = clock_mono_ms() + 1000;
    while (keys_find(f->keys, span_str(text), &found) != KEY_OK || budgets_list(f->budgets, f->now_ms, &b, 1) != 1) {
        assert_true(clock_mono_ms() < until);
        usleep(10000);
    }
    assert_string_equal(found.id, info.id);
    assert_string_equal(found.team, "search");
    assert_int_equal(accounts_key_revoke(a, span_str(info.id), SPAN_NONE, SPAN_NONE, f->now_ms, &info), ACCOUNTS_OK);
    until = clock_mono_ms() + 1000;
    while (keys_find(f->keys, span_str(text), &found) != KEY_REVOKED) {
        assert_true(clock_mono_ms() < until);
        usleep(10000);
    }
    accounts_close(a);
    fixture_close(f);
    problems_free(&ps);
}

static void a_port_may_be_freed_with_tickets_under_way(void **state)
{
    struct fixture *f = *state;
    struct sample s[50];

    fixture_open(f);
    for (uint64_t i = 0; i < 50; i++) {
        sample_init(f, &s[i], i);
        assert_int_equal(sample_open(f, &s[i], i + 1), LEDGER_OK);
    }
    fixture_close(f);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM requests"), 50);
}

static void a_book_is_kept_whole_and_once(void **state)
{
    struct fixture *f = *state;
    char digest[65], again[65];

    fixture_open(f);
    assert_int_equal(ledger_use_book(f->l, SPAN_LIT("{\"models\":{}}"), digest), LEDGER_OK);
    assert_int_equal(ledger_use_book(f->l, SPAN_LIT("{\"models\":{}}"), again), LEDGER_OK);
    assert_string_equal(digest, again);
    fixture_close(f);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM prices"), 2);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM prices WHERE text = '{\"models\":{}}'"), 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(ids_of_one_millisecond_stand_in_the_order_of_their_microseconds),
        T(a_ticket_means_that_the_rows_are_in_the_file),
        T(the_callers_memory_may_be_reused_after_submit),
        T(what_nobody_waits_for_is_written_too),
        T(a_settlement_written_twice_counts_once),
        T(a_refused_call_is_a_request_without_attempts),
        T(each_scope_with_a_budget_has_its_reservation),
        T(a_killed_process_leaves_attempts_charged_at_their_bound),
        T(a_killed_second_attempt_is_found_though_there_was_no_first),
        T(a_start_twice_charges_once),
        T(text_of_callers_stays_data),
        T(tags_that_are_no_json_do_no_harm),
        T(an_entry_that_breaks_a_constraint_does_not_block_the_others),
        T(a_settlement_that_finds_its_open_in_the_queue_leaves_the_same_rows),
        T(a_pair_that_breaks_a_constraint_loses_only_the_entry_that_does),
        T(a_full_queue_refuses_opens_and_takes_settlements),
        T(a_second_serve_on_the_same_ledger_is_refused),
        T(a_second_serve_is_refused_also_when_the_file_beside_the_ledger_was_removed),
        T(a_change_by_a_command_is_heeded_within_a_second),
        T(a_port_may_be_freed_with_tickets_under_way),
        T(a_book_is_kept_whole_and_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
