# The program tollgate. libgateway.a holds everything but main.c, so that tests link it.
include gateway/upstream/local.mk
include gateway/dialects/local.mk
include gateway/ledger/local.mk

noinst_LIBRARIES += libgateway.a
libgateway_a_SOURCES = \
	gateway/config.c gateway/config.h \
	gateway/gateway.h \
	gateway/snapshot.c gateway/snapshot.h \
	gateway/server/address.c gateway/server/address.h \
	gateway/server/admin.c gateway/server/admin.h \
	gateway/server/connection.c gateway/server/connection.h \
	gateway/server/metrics.c gateway/server/metrics.h \
	gateway/server/offload.c gateway/server/offload.h \
	gateway/server/stream.c gateway/server/stream.h \
	gateway/server/tls.c gateway/server/tls.h \
	gateway/server/worker.c gateway/server/worker.h \
	gateway/request/account.c gateway/request/account.h \
	gateway/request/auth.c gateway/request/auth.h \
	gateway/request/decide.c gateway/request/decide.h \
	gateway/request/endpoint.c gateway/request/endpoint.h \
	gateway/request/facts.c gateway/request/facts.h \
	gateway/request/pages.c gateway/request/pages.h \
	gateway/request/reply.c gateway/request/reply.h \
	gateway/request/request.c gateway/request/request.h \
	gateway/request/memory.c gateway/request/memory.h \
	gateway/request/tags.c gateway/request/tags.h \
	gateway/upstream/attempt.c gateway/upstream/attempt.h \
	gateway/server/devca.c gateway/server/devca.h \
	gateway/commands/commands.h \
	gateway/commands/check.c \
	gateway/commands/connect.c \
	gateway/commands/explain.c \
	gateway/commands/init.c \
	gateway/commands/init_policy.c gateway/commands/init_policy.h \
	gateway/commands/audit.c \
	gateway/commands/budgets.c \
	gateway/commands/cli.c gateway/commands/cli.h \
	gateway/commands/costs.c \
	gateway/commands/keys.c \
	gateway/commands/policy.c \
	gateway/commands/table.c gateway/commands/table.h \
	gateway/commands/serve.c
nodist_libgateway_a_SOURCES = gateway/defaults_bundled.c

# What `init` writes: the price book and the policies, compiled in so that the program needs no folder of its own.
DEFAULTS = $(srcdir)/pricing/prices.json $(srcdir)/policies/flash-first.json $(srcdir)/policies/flash-first-local.json
gateway/defaults_bundled.c: $(DEFAULTS) schemas/bundle.sh
	$(AM_V_GEN)mkdir -p gateway && BUNDLE_TABLE=bundled_defaults sh $(srcdir)/schemas/bundle.sh $(DEFAULTS) > $@.tmp && mv $@.tmp $@
CLEANFILES += gateway/defaults_bundled.c
libgateway_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(EVENT_CFLAGS) $(CURL_CFLAGS) $(SSL_CFLAGS) $(SQLITE_CFLAGS) \
	$(PCRE2_CFLAGS) -DINSTALLED_MODELS='"$(pkgdatadir)/models"'

GATEWAY_LIBS = libgateway.a libdialects.a libledger.a libupstream.a libpolicy.a libpricing.a $(BASE_LIBS) \
	$(CURL_LIBS) $(EVENT_LIBS) $(SSL_LIBS) $(SQLITE_LIBS) $(PCRE2_LIBS)

bin_PROGRAMS += tollgate
tollgate_SOURCES = gateway/main.c
tollgate_CFLAGS = $(AM_CFLAGS)
tollgate_LDADD = $(GATEWAY_LIBS)

GATEWAY_TESTS = gateway/request/test_endpoint gateway/request/test_tags gateway/request/test_memory \
	gateway/server/test_offload
check_PROGRAMS += $(GATEWAY_TESTS)
TESTS += $(GATEWAY_TESTS)
GATEWAY_TEST_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(JANSSON_CFLAGS) $(EVENT_CFLAGS)
GATEWAY_TEST_LIBS = $(GATEWAY_LIBS) $(CMOCKA_LIBS)
gateway_request_test_tags_SOURCES = gateway/request/test_tags.c
gateway_request_test_tags_CFLAGS = $(GATEWAY_TEST_CFLAGS)
gateway_request_test_tags_LDADD = $(GATEWAY_TEST_LIBS)
gateway_request_test_endpoint_SOURCES = gateway/request/test_endpoint.c
gateway_request_test_endpoint_CFLAGS = $(GATEWAY_TEST_CFLAGS)
gateway_request_test_endpoint_LDADD = $(GATEWAY_TEST_LIBS)
gateway_request_test_memory_SOURCES = gateway/request/test_memory.c
gateway_request_test_memory_CFLAGS = $(GATEWAY_TEST_CFLAGS)
gateway_request_test_memory_LDADD = $(GATEWAY_TEST_LIBS)
gateway_server_test_offload_SOURCES = gateway/server/test_offload.c
gateway_server_test_offload_CFLAGS = $(GATEWAY_TEST_CFLAGS)
gateway_server_test_offload_LDADD = $(GATEWAY_TEST_LIBS)
