# gateway/ledger/local.mk
noinst_LIBRARIES += libledger.a
libledger_a_SOURCES = \
	gateway/ledger/accounts.c gateway/ledger/accounts.h \
	gateway/ledger/audit.c gateway/ledger/audit.h \
	gateway/ledger/budget.c gateway/ledger/budget.h \
	gateway/ledger/db.c gateway/ledger/db.h \
	gateway/ledger/keys.c gateway/ledger/keys.h \
	gateway/ledger/ledger.c gateway/ledger/ledger.h \
	gateway/ledger/migrate.c gateway/ledger/migrate.h \
	gateway/ledger/reader.c gateway/ledger/reader.h \
	gateway/ledger/report.c gateway/ledger/report.h \
	gateway/ledger/rollup.c gateway/ledger/rollup.h \
	gateway/ledger/row.c gateway/ledger/row.h \
	gateway/ledger/store.c gateway/ledger/store.h \
	gateway/ledger/trace.c gateway/ledger/trace.h \
	gateway/ledger/utc.c gateway/ledger/utc.h \
	gateway/ledger/walfile.c gateway/ledger/walfile.h \
	gateway/server/digest.c gateway/server/digest.h
nodist_libledger_a_SOURCES = schemas/ledger_bundled.c
libledger_a_CFLAGS = $(AM_CFLAGS) $(SQLITE_CFLAGS) $(SSL_CFLAGS) $(JANSSON_CFLAGS)
LEDGER_LIBS = libledger.a libpricing.a $(BASE_LIBS) $(SQLITE_LIBS) $(SSL_LIBS)

# The ledger's SQL, compiled into the program: files in the order of their numbers.
LEDGER_SQL = $(sort $(wildcard $(srcdir)/schemas/ledger-*.sql))
schemas/ledger_bundled.c: $(LEDGER_SQL) schemas/bundle.sh
	$(AM_V_GEN)mkdir -p schemas && BUNDLE_TABLE=bundled_ledger_sql sh $(srcdir)/schemas/bundle.sh $(LEDGER_SQL) > $@.tmp && mv $@.tmp $@
CLEANFILES += schemas/ledger_bundled.c
EXTRA_DIST += schemas/ledger-001.sql schemas/ledger-002.sql

check_PROGRAMS += gateway/ledger/bench_ledger
gateway_ledger_bench_ledger_SOURCES = gateway/ledger/bench_ledger.c
gateway_ledger_bench_ledger_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
gateway_ledger_bench_ledger_LDADD = $(LEDGER_LIBS)
include gateway/ledger/tests.mk
