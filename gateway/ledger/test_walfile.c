/* test_walfile.c - a commit is one write, seen by others when it returns, and gone when it fails. */
#include "gateway/ledger/fixture.h"

#include "gateway/ledger/faulty.h"
#include "gateway/ledger/walfile.h"

struct two {
    struct fixture *f;
    struct walfile *w;
    sqlite3 *db, *other;       /* ours over walfile over faulty; another process's */
};

static sqlite3 *connect_to(const struct two *t, const char *vfs)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open_v2(t->f->path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs), SQLITE_OK);
    assert_true(db_exec(db, "PRAGMA journal_mode = WAL") && db_exec(db, "PRAGMA cache_spill = OFF") &&
                db_exec(db, "PRAGMA synchronous = NORMAL") && db_exec(db, "PRAGMA wal_autocheckpoint = 0"));
    sqlite3_busy_timeout(db, 5000);
    return db;
}

static int setup(void **state)
{
    struct two *t = calloc(1, sizeof *t);

    if (fixture_setup((void **)&t->f) != 0)
        return -1;
    faulty_arm(0, FAULT_FULL, false);
    t->w = walfile_new("faulty");
    assert_non_null(t->w);
    t->db = connect_to(t, walfile_name(t->w));
    t->other = connect_to(t, NULL);
    assert_true(db_exec(t->db, "CREATE TABLE t (n INTEGER PRIMARY KEY, x BLOB)"));
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct two *t = *state;
    void *f = t->f;

    faulty_arm(0, FAULT_FULL, false);
    db_close(t->db);
    db_close(t->other);
    walfile_free(t->w);
    free(t);
    return fixture_teardown(&f);
}

static const char grow[] = "INSERT INTO t (x) WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < %d)"
                           " SELECT zeroblob(1000) FROM c";

static bool add_rows(sqlite3 *db, int n)
{
    char sql[256];

    snprintf(sql, sizeof sql, grow, n);
    return db_exec(db, sql);
}

static void a_commit_of_many_pages_is_one_write(void **state)
{
    struct two *t = *state;
    long before;

    assert_true(add_rows(t->db, 1));
    before = atomic_load(&faulty.count);
    assert_true(add_rows(t->db, 60));    /* some 16 pages of 4 KiB */
    assert_int_equal(atomic_load(&faulty.count) - before, 1);
    assert_int_equal(db_int(t->other, "SELECT count(*) FROM t", -1), 61);
}

static void a_commit_larger_than_the_room_is_whole(void **state)
{
    struct two *t = *state;

    for (int i = 0; i < 20; i++)
        assert_true(add_rows(t->db, 100 + i * 97));    /* 100 KiB to 2 MiB: every remainder of a piece */
    assert_int_equal(db_int(t->other, "SELECT count(*) FROM t", -1), 20 * 100 + 97 * 190);
    assert_int_equal(db_int(t->other, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'", -1), 0);
}

static void commits_of_two_processes_alternate(void **state)
{
    struct two *t = *state;

    for (int i = 1; i <= 50; i++) {
        assert_true(add_rows(t->db, i));
        assert_true(add_rows(t->other, i));
        if (i % 7 == 0)
            assert_true(db_exec(i % 2 ? t->db : t->other, "BEGIN; DELETE FROM t; ROLLBACK"));
        if (i % 10 == 0)
            assert_true(db_exec(i % 4 ? t->db : t->other, "PRAGMA wal_checkpoint(TRUNCATE)"));
        assert_int_equal(db_int(t->other, "SELECT count(*) FROM t", -1), i * (i + 1));
        assert_int_equal(db_int(t->db, "SELECT count(*) FROM t", -1), i * (i + 1));
    }
    assert_int_equal(db_int(t->other, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'", -1), 0);
}

static void a_commit_whose_write_fails_is_gone_and_the_next_one_is_whole(void **state)
{
    static const enum fault_kind kinds[] = { FAULT_FULL, FAULT_IO, FAULT_SHORT };
    struct two *t = *state;
    int64_t rows = 0;

    for (int i = 0; i < 60; i++) {
        faulty_arm(1 + i % 4, kinds[i % 3], false);
        if (add_rows(t->db, 1 + i * 11))    /* up to five writes each */
            rows += 1 + i * 11;
        faulty_arm(0, FAULT_FULL, false);
        assert_int_equal(db_int(t->other, "SELECT count(*) FROM t", -1), rows);
        assert_true(add_rows(t->other, 1) && add_rows(t->db, 1));
        rows += 2;
        assert_int_equal(db_int(t->db, "SELECT count(*) FROM t", -1), rows);
    }
    assert_int_equal(db_int(t->other, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'", -1), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_commit_of_many_pages_is_one_write),
        T(a_commit_larger_than_the_room_is_whole),
        T(commits_of_two_processes_alternate),
        T(a_commit_whose_write_fails_is_gone_and_the_next_one_is_whole),
    };

    faulty_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
