/* test_disk.c - a full or failing disk loses nothing and says so; it is well again without a restart. */
#include "gateway/ledger/fixture.h"

#include "gateway/ledger/faulty.h"

static int setup(void **state)
{
    int rc = fixture_setup(state);

    faulty_arm(0, FAULT_FULL, false);
    ((struct fixture *)*state)->vfs = "faulty";
    return rc;
}

/* Waits for the health that is wanted; fails after ten seconds. */
static void wait_for_health(struct fixture *f, bool healthy)
{
    int64_t until = clock_mono_ms() + 10000;
    struct ledger_stats st;

    for (ledger_stats(f->l, &st); st.healthy != healthy; ledger_stats(f->l, &st)) {
        assert_true(clock_mono_ms() < until);
        usleep(1000);
    }
}

/* Waits for that many more failed commits. */
static void wait_for_failures(struct fixture *f, uint64_t more)
{
    int64_t until = clock_mono_ms() + 10000;
    struct ledger_stats first, st;

    ledger_stats(f->l, &first);
    for (st = first; st.failures < first.failures + more; ledger_stats(f->l, &st)) {
        assert_true(clock_mono_ms() < until);
        usleep(1000);
    }
}

static void a_full_disk_refuses_opens_keeps_settlements_and_recovers(void **state)
{
    struct fixture *f = *state;
    struct sample running[20], s;
    struct ledger_stats st;
    struct audit_result r;

    fixture_open(f);
    for (uint64_t i = 0; i < 20; i++) {
        sample_init(f, &running[i], i);
        assert_int_equal(sample_open(f, &running[i], i + 1), LEDGER_OK);
    }
    fixture_wait(f, 20);
    faulty_arm(1, FAULT_FULL, true);
    sample_init(f, &s, 100);
    assert_int_equal(sample_open(f, &s, 100), LEDGER_OK);    /* nobody knows yet */
    fixture_wait(f, 21);
    assert_int_equal(f->back_rc[20], LEDGER_DOWN);
    budget_release(f->budgets, &s.hold);

    wait_for_health(f, false);
    assert_int_equal(sample_open(f, &s, 101), LEDGER_DOWN);
    budget_release(f->budgets, &s.hold);
    for (uint64_t i = 0; i < 20; i++)
        assert_int_equal(sample_settle(f, &running[i], 200 + i), LEDGER_OK);
    wait_for_failures(f, 2);           /* tried with them, in vain, at least once */
    ledger_stats(f->l, &st);
    assert_string_equal(st.error, "database or disk is full");
    assert_true(st.refused_down == 1 && st.queued == 20);
    assert_int_equal(f->n_back, 21);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM attempts"), 0);    /* reading goes on */

    faulty_arm(0, FAULT_FULL, false);
    fixture_wait(f, 41);
    for (size_t i = 21; i < 41; i++)
        assert_int_equal(f->back_rc[i], LEDGER_OK);
    wait_for_health(f, true);
    assert_int_equal(sample_open(f, &s, 300), LEDGER_OK);
    assert_int_equal(sample_settle(f, &s, 301), LEDGER_OK);
    fixture_wait(f, 43);
    fixture_close(f);
    assert_string_equal(fixture_audit(f, &r), "");
    assert_int_equal(r.attempts, 21);
}

static void only_with_durability_power_a_ticket_waits_for_a_sync(void **state)
{
    struct fixture *f = *state;

    for (int power = 0; power < 2; power++) {
        struct sample s[5];
        long before;

        f->durability_power = power;
        f->n_back = 0;
        fixture_open(f);
        before = atomic_load(&faulty.syncs);
        for (uint64_t i = 0; i < 5; i++) {
            sample_init(f, &s[i], (uint64_t)power * 10 + i);
            assert_int_equal(sample_open(f, &s[i], i + 1), LEDGER_OK);
            fixture_wait(f, i + 1);
            if (power)
                assert_true(atomic_load(&faulty.syncs) >= before + (long)i + 1);
            else
                assert_int_equal(atomic_load(&faulty.syncs), before);
        }
        for (uint64_t i = 0; i < 5; i++)
            assert_int_equal(sample_settle(f, &s[i], 0), LEDGER_OK);
        fixture_close(f);
    }
}

static void it_recovers_also_when_nothing_waits(void **state)
{
    struct fixture *f = *state;
    struct sample s;

    fixture_open(f);
    faulty_arm(1, FAULT_IO, true);
    sample_init(f, &s, 1);
    assert_int_equal(sample_open(f, &s, 1), LEDGER_OK);
    fixture_wait(f, 1);
    assert_int_equal(f->back_rc[0], LEDGER_DOWN);
    budget_release(f->budgets, &s.hold);
    wait_for_health(f, false);
    faulty_arm(0, FAULT_IO, false);
    wait_for_health(f, true);
    assert_int_equal(sample_open(f, &s, 2), LEDGER_OK);
    assert_int_equal(sample_settle(f, &s, 3), LEDGER_OK);
    fixture_wait(f, 3);
    assert_int_equal(f->back_rc[1], LEDGER_OK);
    fixture_close(f);
}

static void while_the_file_is_not_at_its_path_nothing_is_accepted(void **state)
{
    struct fixture *f = *state;
    struct sample running, s;
    struct ledger_stats st;
    char away[320];

    fixture_open(f);
    sample_init(f, &running, 1);
    assert_int_equal(sample_open(f, &running, 1), LEDGER_OK);
    fixture_wait(f, 1);
    snprintf(away, sizeof away, "%s.away", f->path);
    assert_int_equal(rename(f->path, away), 0);
    wait_for_health(f, false);         /* also when nobody calls */
    ledger_stats(f->l, &st);
    assert_non_null(strstr(st.error, "removed or replaced"));
    sample_init(f, &s, 2);
    assert_int_equal(sample_open(f, &s, 2), LEDGER_DOWN);
    budget_release(f->budgets, &s.hold);
    assert_int_equal(sample_settle(f, &running, 3), LEDGER_OK);
    wait_for_failures(f, 1);
    assert_int_equal(f->n_back, 1);
    assert_int_equal(rename(away, f->path), 0);
    fixture_wait(f, 2);
    assert_int_equal(f->back_rc[1], LEDGER_OK);
    wait_for_health(f, true);
    fixture_close(f);
}

static void an_attempt_made_although_its_open_failed_is_recorded(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    struct audit_result r;

    fixture_open(f);
    faulty_arm(1, FAULT_FULL, true);
    sample_init(f, &s, 1);
    assert_int_equal(sample_open(f, &s, 1), LEDGER_OK);
    fixture_wait(f, 1);
    assert_int_equal(f->back_rc[0], LEDGER_DOWN);
    assert_int_equal(sample_settle(f, &s, 2), LEDGER_OK);    /* the upstream had been called meanwhile */
    faulty_arm(0, FAULT_FULL, false);
    fixture_wait(f, 2);
    assert_int_equal(f->back_rc[1], LEDGER_OK);
    fixture_close(f);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM requests WHERE status = 200 AND cost_nano = 20000"), 1);
    assert_string_equal(fixture_audit(f, &r), "");
}

static void a_settlement_that_was_to_be_written_with_its_failing_open_is_recorded(void **state)
{
    struct fixture *f = *state;
    struct ledger_stats st;
    struct sample first, s;
    struct audit_result r;
    sqlite3 *other = NULL;

    fixture_open(f);
    assert_int_equal(sqlite3_open(f->path, &other), SQLITE_OK);
    sqlite3_busy_timeout(other, 10000);
    assert_true(db_exec(other, "BEGIN IMMEDIATE"));    /* the writer waits while the two meet in the queue */
    sample_init(f, &first, 1);
    assert_int_equal(sample_open(f, &first, 1), LEDGER_OK);
    for (st.queued = 1; st.queued;)
        ledger_stats(f->l, &st);
    sample_init(f, &s, 2);
    assert_int_equal(sample_open(f, &s, 2), LEDGER_OK);
    assert_int_equal(sample_settle(f, &s, 0), LEDGER_OK);
    ledger_stats(f->l, &st);
    assert_int_equal(st.settled_at_once, 1);
    faulty_arm(1, FAULT_FULL, true);
    assert_true(db_exec(other, "COMMIT"));
    sqlite3_close(other);
    fixture_wait(f, 2);
    assert_int_equal(f->back_rc[1], LEDGER_DOWN);
    budget_release(f->budgets, &first.hold);
    faulty_arm(0, FAULT_FULL, false);
    wait_for_health(f, true);
    fixture_close(f);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM requests WHERE status = 200 AND cost_nano = 20000"), 1);
    fixture_open(f);
    fixture_close(f);
    assert_string_equal(fixture_audit(f, &r), "");
}

static void closing_while_the_disk_fails_ends_in_time_and_the_next_start_charges_the_bound(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    struct audit_result r;
    int64_t began;

    fixture_open(f);
    sample_init(f, &s, 1);
    assert_int_equal(sample_open(f, &s, 1), LEDGER_OK);
    fixture_wait(f, 1);
    faulty_arm(1, FAULT_FULL, true);
    assert_int_equal(sample_settle(f, &s, 0), LEDGER_OK);
    wait_for_health(f, false);
    began = clock_mono_ms();
    ledger_port_free(f->port);
    ledger_close(f->l, 300);
    assert_true(clock_mono_ms() - began < 5000);
    keys_free(f->keys);
    budgets_free(f->budgets);
    faulty_arm(0, FAULT_FULL, false);
    fixture_open(f);
    fixture_close(f);
    assert_int_equal(fixture_int(f, "SELECT sum(cost_nano) FROM attempts WHERE usage_source = 'estimated'"), WORST_NANO);
    assert_string_equal(fixture_audit(f, &r), "");
}

/* Twelve requests; the n-th write, sync or truncate fails once. Every ticket that said OK has its rows; what settled is
 * there; the file is sound. */
static void run_with_fault(struct fixture *f, long n, enum fault_kind kind)
{
    struct sample s[12];
    size_t opened = 0, settled = 0;
    struct audit_result r;

    f->n_back = 0;
    faulty_arm(n, kind, false);
    for (uint64_t i = 0; i < 12; i++) {
        enum ledger_rc rc;

        sample_init(f, &s[i], (uint64_t)n * 100 + i);
        rc = sample_open(f, &s[i], i + 1);
        if (rc == LEDGER_OK)
            fixture_wait(f, opened + settled + 1);
        if (rc != LEDGER_OK || f->back_rc[f->n_back - 1] != LEDGER_OK) {
            budget_release(f->budgets, &s[i].hold);
            opened += rc == LEDGER_OK;
            wait_for_health(f, true);
            continue;
        }
        opened++;
        assert_int_equal(sample_settle(f, &s[i], 100 + i), LEDGER_OK);
        settled++;
        fixture_wait(f, opened + settled);
        assert_int_equal(f->back_rc[f->n_back - 1], LEDGER_OK);
    }
    assert_string_equal(fixture_audit(f, &r), "");
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM requests WHERE status = 200"), r.attempts);
    assert_true(r.attempts >= settled);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
}

static void every_nth_write_may_fail_once(void **state)
{
    struct fixture *f = *state;
    long hits = 0;

    fixture_open(f);
    for (long n = 1; n <= 24; n++) {
        run_with_fault(f, n, (enum fault_kind)(n % 3));
        hits += atomic_load(&faulty.failed);
    }
    fixture_close(f);
    printf("%ld operations failed\n", hits);
    assert_true(hits >= 20);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(a_full_disk_refuses_opens_keeps_settlements_and_recovers),
        T(only_with_durability_power_a_ticket_waits_for_a_sync),
        T(it_recovers_also_when_nothing_waits),
        T(while_the_file_is_not_at_its_path_nothing_is_accepted),
        T(an_attempt_made_although_its_open_failed_is_recorded),
        T(a_settlement_that_was_to_be_written_with_its_failing_open_is_recorded),
        T(closing_while_the_disk_fails_ends_in_time_and_the_next_start_charges_the_bound),
        T(every_nth_write_may_fail_once),
    };

    faulty_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
