# gateway/upstream/local.mk
noinst_LIBRARIES += libupstream.a
EXTRA_DIST += docs/dialects.md docs/providers.md
libupstream_a_SOURCES = \
	gateway/upstream/fetch.c gateway/upstream/fetch.h \
	gateway/upstream/fetch_loop.c gateway/upstream/fetch_loop.h gateway/upstream/fetch_time.h \
	gateway/upstream/fetch_target.c gateway/upstream/fetch_target.h \
	gateway/upstream/fetch_plain.c gateway/upstream/fetch_plain.h \
	gateway/upstream/plain_answer.c gateway/upstream/plain_answer.h \
	gateway/upstream/plain_pool.c gateway/upstream/plain_pool.h gateway/upstream/list.h \
	gateway/upstream/engine.c gateway/upstream/engine.h \
	gateway/upstream/sockets.c gateway/upstream/sockets.h \
	gateway/upstream/health.c gateway/upstream/health.h \
	gateway/upstream/provider.c gateway/upstream/provider.h \
	gateway/upstream/retry_after.c gateway/upstream/retry_after.h \
	gateway/upstream/quirks.c gateway/upstream/quirks.h \
	gateway/upstream/fields.c gateway/upstream/fields.h \
	gateway/upstream/traits.c
libupstream_a_CFLAGS = $(AM_CFLAGS) $(CURL_CFLAGS) $(EVENT_CFLAGS) $(JANSSON_CFLAGS)
UPSTREAM_LIBS = libupstream.a $(CURL_LIBS) $(EVENT_LIBS)

check_PROGRAMS += gateway/upstream/test_fetch gateway/upstream/test_fetch_flow
TESTS += gateway/upstream/test_fetch gateway/upstream/test_fetch_flow
fetch_world = gateway/upstream/test_fetch_world.c gateway/upstream/test_fetch_world.h \
	tests/mock/mock_run.c tests/mock/mock_run.h
gateway_upstream_test_fetch_SOURCES = gateway/upstream/test_fetch.c $(fetch_world)
gateway_upstream_test_fetch_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(EVENT_CFLAGS)
gateway_upstream_test_fetch_LDADD = $(UPSTREAM_LIBS) $(BASE_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += gateway/upstream/test_fetch_plain
TESTS += gateway/upstream/test_fetch_plain
gateway_upstream_test_fetch_plain_SOURCES = gateway/upstream/test_fetch_plain.c $(fetch_world)
gateway_upstream_test_fetch_plain_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(CURL_CFLAGS) $(EVENT_CFLAGS)
gateway_upstream_test_fetch_plain_LDADD = $(UPSTREAM_LIBS) $(BASE_LIBS) $(CMOCKA_LIBS)
gateway_upstream_test_fetch_flow_SOURCES = gateway/upstream/test_fetch_flow.c $(fetch_world)
gateway_upstream_test_fetch_flow_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(EVENT_CFLAGS)
gateway_upstream_test_fetch_flow_LDADD = $(UPSTREAM_LIBS) $(BASE_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += gateway/upstream/test_health gateway/upstream/test_provider gateway/upstream/test_engine
TESTS += gateway/upstream/test_health gateway/upstream/test_provider gateway/upstream/test_engine
gateway_upstream_test_health_SOURCES = gateway/upstream/test_health.c
gateway_upstream_test_health_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
gateway_upstream_test_health_LDADD = $(UPSTREAM_LIBS) $(BASE_LIBS) $(CMOCKA_LIBS)
gateway_upstream_test_provider_SOURCES = gateway/upstream/test_provider.c
gateway_upstream_test_provider_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(CURL_CFLAGS) $(JANSSON_CFLAGS)
gateway_upstream_test_provider_LDADD = $(UPSTREAM_LIBS) $(BASE_LIBS) $(CMOCKA_LIBS)
gateway_upstream_test_engine_SOURCES = gateway/upstream/test_engine.c
gateway_upstream_test_engine_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(EVENT_CFLAGS)
gateway_upstream_test_engine_LDADD = $(UPSTREAM_LIBS) $(BASE_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += gateway/upstream/test_sockets
TESTS += gateway/upstream/test_sockets
gateway_upstream_test_sockets_SOURCES = gateway/upstream/test_sockets.c
gateway_upstream_test_sockets_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
gateway_upstream_test_sockets_LDADD = $(UPSTREAM_LIBS) $(BASE_LIBS) $(CMOCKA_LIBS)

EXTRA_PROGRAMS += gateway/upstream/bench_fetch
gateway_upstream_bench_fetch_SOURCES = gateway/upstream/bench_fetch.c tests/mock/mock_run.c tests/mock/mock_run.h
gateway_upstream_bench_fetch_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS)
gateway_upstream_bench_fetch_LDADD = $(UPSTREAM_LIBS) $(BASE_LIBS)

check_PROGRAMS += gateway/upstream/test_quirks
TESTS += gateway/upstream/test_quirks
gateway_upstream_test_quirks_SOURCES = gateway/upstream/test_quirks.c
gateway_upstream_test_quirks_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(JANSSON_CFLAGS)
gateway_upstream_test_quirks_LDADD = $(UPSTREAM_LIBS) $(BASE_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += gateway/upstream/test_retry_after
TESTS += gateway/upstream/test_retry_after
gateway_upstream_test_retry_after_SOURCES = gateway/upstream/test_retry_after.c
gateway_upstream_test_retry_after_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
gateway_upstream_test_retry_after_LDADD = $(UPSTREAM_LIBS) $(BASE_LIBS) $(CMOCKA_LIBS)
