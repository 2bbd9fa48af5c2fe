# gateway/ledger/tests.mk - a test beside each file it tests.
LEDGER_TEST_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(SQLITE_CFLAGS) $(SSL_CFLAGS) $(JANSSON_CFLAGS)
LEDGER_TEST_LIBS = $(LEDGER_LIBS) $(TEST_LIBS)

check_PROGRAMS += gateway/ledger/test_ledger
TESTS += gateway/ledger/test_ledger
gateway_ledger_test_ledger_SOURCES = gateway/ledger/test_ledger.c gateway/ledger/fixture.h
gateway_ledger_test_ledger_CFLAGS = $(LEDGER_TEST_CFLAGS)
gateway_ledger_test_ledger_LDADD = $(LEDGER_TEST_LIBS)

check_PROGRAMS += gateway/ledger/test_budget
TESTS += gateway/ledger/test_budget
gateway_ledger_test_budget_SOURCES = gateway/ledger/test_budget.c gateway/ledger/fixture.h
gateway_ledger_test_budget_CFLAGS = $(LEDGER_TEST_CFLAGS)
gateway_ledger_test_budget_LDADD = $(LEDGER_TEST_LIBS)

check_PROGRAMS += gateway/ledger/test_keys
TESTS += gateway/ledger/test_keys
gateway_ledger_test_keys_SOURCES = gateway/ledger/test_keys.c gateway/ledger/fixture.h
gateway_ledger_test_keys_CFLAGS = $(LEDGER_TEST_CFLAGS)
gateway_ledger_test_keys_LDADD = $(LEDGER_TEST_LIBS)

check_PROGRAMS += gateway/ledger/test_migrate
TESTS += gateway/ledger/test_migrate
gateway_ledger_test_migrate_SOURCES = gateway/ledger/test_migrate.c gateway/ledger/fixture.h gateway/ledger/faulty.h
gateway_ledger_test_migrate_CFLAGS = $(LEDGER_TEST_CFLAGS)
gateway_ledger_test_migrate_LDADD = $(LEDGER_TEST_LIBS)

check_PROGRAMS += gateway/ledger/test_audit
TESTS += gateway/ledger/test_audit
gateway_ledger_test_audit_SOURCES = gateway/ledger/test_audit.c gateway/ledger/fixture.h
gateway_ledger_test_audit_CFLAGS = $(LEDGER_TEST_CFLAGS)
gateway_ledger_test_audit_LDADD = $(LEDGER_TEST_LIBS)

check_PROGRAMS += gateway/ledger/test_disk
TESTS += gateway/ledger/test_disk
gateway_ledger_test_disk_SOURCES = gateway/ledger/test_disk.c gateway/ledger/fixture.h gateway/ledger/faulty.h
gateway_ledger_test_disk_CFLAGS = $(LEDGER_TEST_CFLAGS)
gateway_ledger_test_disk_LDADD = $(LEDGER_TEST_LIBS)

check_PROGRAMS += gateway/ledger/test_walfile
TESTS += gateway/ledger/test_walfile
gateway_ledger_test_walfile_SOURCES = gateway/ledger/test_walfile.c gateway/ledger/fixture.h gateway/ledger/faulty.h
gateway_ledger_test_walfile_CFLAGS = $(LEDGER_TEST_CFLAGS)
gateway_ledger_test_walfile_LDADD = $(LEDGER_TEST_LIBS)

check_PROGRAMS += gateway/ledger/test_crash
TESTS += gateway/ledger/test_crash
gateway_ledger_test_crash_SOURCES = gateway/ledger/test_crash.c gateway/ledger/fixture.h gateway/ledger/faulty.h
gateway_ledger_test_crash_CFLAGS = $(LEDGER_TEST_CFLAGS)
gateway_ledger_test_crash_LDADD = $(LEDGER_TEST_LIBS)

check_PROGRAMS += gateway/ledger/test_accounts
TESTS += gateway/ledger/test_accounts
gateway_ledger_test_accounts_SOURCES = gateway/ledger/test_accounts.c gateway/ledger/fixture.h
gateway_ledger_test_accounts_CFLAGS = $(LEDGER_TEST_CFLAGS)
gateway_ledger_test_accounts_LDADD = $(LEDGER_TEST_LIBS)

check_PROGRAMS += gateway/commands/test_ledger_commands
TESTS += gateway/commands/test_ledger_commands
gateway_commands_test_ledger_commands_SOURCES = gateway/commands/test_ledger_commands.c
gateway_commands_test_ledger_commands_CFLAGS = $(LEDGER_TEST_CFLAGS)
gateway_commands_test_ledger_commands_LDADD = $(GATEWAY_LIBS) $(TEST_LIBS)
