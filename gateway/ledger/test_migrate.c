/* test_migrate.c - a ledger is upgraded whole or not at all, and never by the wrong program. */
#include "gateway/ledger/fixture.h"

#include <sys/wait.h>

#include "gateway/ledger/faulty.h"
#include "gateway/ledger/migrate.h"

static sqlite3 *plain(const struct fixture *f)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    return db;
}

static void an_empty_file_becomes_a_ledger_of_the_latest_version(void **state)
{
    struct fixture *f = *state;
    sqlite3 *db = plain(f);
    char text[256];

    assert_int_equal(migrate_run(db, true, text, sizeof text), MIGRATE_OK);
    assert_int_equal(db_int(db, "PRAGMA user_version", -1), migrate_latest());
    assert_int_equal(db_int(db, "PRAGMA application_id", -1), MIGRATE_APPLICATION_ID);
    assert_int_equal(db_int(db, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('requests', 'attempts',"
                            " 'reservations', 'keys', 'teams', 'budgets', 'prices', 'rollups')", -1), 8);
    assert_int_equal(migrate_run(db, true, text, sizeof text), MIGRATE_OK);    /* twice is once */
    sqlite3_close(db);
}

static void reading_alone_upgrades_nothing(void **state)
{
    struct fixture *f = *state;
    sqlite3 *db = plain(f);
    char text[256];

    assert_int_equal(migrate_run(db, false, text, sizeof text), MIGRATE_OLDER);
    assert_int_equal(db_int(db, "SELECT count(*) FROM sqlite_schema", -1), 0);
    sqlite3_close(db);
}

static void a_newer_ledger_is_refused_and_left_as_it_is(void **state)
{
    struct fixture *f = *state;
    sqlite3 *db = plain(f);
    struct problems ps;
    char text[256];

    assert_int_equal(migrate_run(db, true, text, sizeof text), MIGRATE_OK);
    assert_true(db_exec(db, "PRAGMA user_version = 999"));
    assert_int_equal(migrate_run(db, true, text, sizeof text), MIGRATE_NEWER);
    assert_non_null(strstr(text, "made by a newer tollgate (ledger version 999"));
    assert_int_equal(db_int(db, "PRAGMA user_version", -1), 999);
    sqlite3_close(db);

    problems_init(&ps);
    assert_null(db_open(f->path, DB_CREATE, NULL, &ps));
    assert_int_equal(ps.errors, 1);
    assert_non_null(strstr(ps.list[0].text, "newer tollgate"));
    problems_free(&ps);
}

static void another_programs_database_is_refused(void **state)
{
    struct fixture *f = *state;
    sqlite3 *db = plain(f);
    char text[256];

    assert_true(db_exec(db, "CREATE TABLE photos (x)"));
    assert_int_equal(migrate_run(db, true, text, sizeof text), MIGRATE_FOREIGN);
    assert_int_equal(db_int(db, "SELECT count(*) FROM sqlite_schema", -1), 1);
    sqlite3_close(db);
}

static void a_file_that_is_no_database_is_refused_with_a_reason(void **state)
{
    struct fixture *f = *state;
    FILE *out = fopen(f->path, "w");
    struct problems ps;

    for (int i = 0; i < 1000; i++)
        fputs("not a database ", out);
    fclose(out);
    problems_init(&ps);
    assert_null(db_open(f->path, DB_WRITE, NULL, &ps));
    assert_int_equal(ps.errors, 1);
    assert_non_null(strstr(ps.list[0].text, "not a database"));
    problems_free(&ps);
}

/* Ends the process in the middle of the n-th write, sync or truncate. True: the migration was through before. */
static bool migrate_and_be_killed(const struct fixture *f, long n)
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0) {
        struct problems ps;
        sqlite3 *db;

        problems_init(&ps);
        faulty_arm(n, FAULT_KILL, false);
        db = db_open(f->path, DB_CREATE, "faulty", &ps);
        db_close(db);
        _exit(db ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFEXITED(status);
}

static void killed_at_any_write_the_ledger_is_as_before_or_as_after(void **state)
{
    static const char *const ends[] = { "", "-wal", "-shm", "-journal" };
    struct fixture *f = *state;
    int kills = 0, before = 0;
    char name[320];

    for (long n = 1; !migrate_and_be_killed(f, n); n++) {
        sqlite3 *db = plain(f);
        int64_t version = db_int(db, "PRAGMA user_version", -1);

        before += version == 0;
        assert_true(version == 0 || version == migrate_latest());
        assert_int_equal(db_int(db, "SELECT count(*) FROM sqlite_schema", -1) == 0, version == 0);
        assert_int_equal(db_int(db, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'", -1), 0);
        sqlite3_close(db);
        for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
            snprintf(name, sizeof name, "%s%s", f->path, ends[i]);
            unlink(name);
        }
        kills++;
    }
    printf("killed %d times, %d of them before the end\n", kills, before);
    assert_true(before >= 10 && kills > before);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(an_empty_file_becomes_a_ledger_of_the_latest_version),
        T(reading_alone_upgrades_nothing),
        T(a_newer_ledger_is_refused_and_left_as_it_is),
        T(another_programs_database_is_refused),
        T(a_file_that_is_no_database_is_refused_with_a_reason),
        T(killed_at_any_write_the_ledger_is_as_before_or_as_after),
    };

    faulty_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
