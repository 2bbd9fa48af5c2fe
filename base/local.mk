noinst_LIBRARIES += libbase.a
libbase_a_SOURCES = \
	base/span.c base/span.h \
	base/arena.c base/arena.h \
	base/base64.c base/base64.h \
	base/buf.c base/buf.h \
	base/clock.c base/clock.h \
	base/log.c base/log.h \
	base/problem.c base/problem.h \
	base/json.c base/json.h \
	base/jschema.c base/jschema_lint.c base/jschema.h \
	base/jscan.c base/jscan.h base/jval.c base/bytes.h \
	base/jwrite.c base/jwrite.h \
	base/http1.c base/http1_chunks.c base/http1.h
nodist_libbase_a_SOURCES = schemas/schemas_bundled.c
libbase_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)

BASE_TEST_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(JANSSON_CFLAGS)
BASE_TESTS = base/test_span base/test_arena base/test_buf base/test_log base/test_problem base/test_json \
	base/test_jscan base/test_jval base/test_jschema base/test_http1 base/test_http1_answer base/test_base64
check_PROGRAMS += $(BASE_TESTS)
TESTS += $(BASE_TESTS)
base_test_span_SOURCES = base/test_span.c
base_test_span_CFLAGS = $(BASE_TEST_CFLAGS)
base_test_span_LDADD = $(BASE_LIBS) $(TEST_LIBS)
base_test_arena_SOURCES = base/test_arena.c
base_test_arena_CFLAGS = $(BASE_TEST_CFLAGS)
base_test_arena_LDADD = $(BASE_LIBS) $(TEST_LIBS)
base_test_buf_SOURCES = base/test_buf.c
base_test_buf_CFLAGS = $(BASE_TEST_CFLAGS)
base_test_buf_LDADD = $(BASE_LIBS) $(TEST_LIBS)
base_test_log_SOURCES = base/test_log.c
base_test_log_CFLAGS = $(BASE_TEST_CFLAGS)
base_test_log_LDADD = $(BASE_LIBS) $(TEST_LIBS)
base_test_problem_SOURCES = base/test_problem.c
base_test_problem_CFLAGS = $(BASE_TEST_CFLAGS)
base_test_problem_LDADD = $(BASE_LIBS) $(TEST_LIBS)
base_test_json_SOURCES = base/test_json.c
base_test_json_CFLAGS = $(BASE_TEST_CFLAGS)
base_test_json_LDADD = $(BASE_LIBS) $(TEST_LIBS)
base_test_jscan_SOURCES = base/test_jscan.c base/test_jscan_vectors.h
base_test_jscan_CFLAGS = $(BASE_TEST_CFLAGS)
base_test_jscan_LDADD = $(BASE_LIBS) $(TEST_LIBS)
base_test_jval_SOURCES = base/test_jval.c base/test_jwalk.c base/test_jwalk.h
base_test_jval_CFLAGS = $(BASE_TEST_CFLAGS)
base_test_jval_LDADD = $(BASE_LIBS) $(TEST_LIBS) -lm
base_test_jschema_SOURCES = base/test_jschema.c
base_test_jschema_CFLAGS = $(BASE_TEST_CFLAGS)
base_test_jschema_LDADD = $(BASE_LIBS) $(TEST_LIBS)
base_test_http1_SOURCES = base/test_http1.c base/test_http1_vectors.h
base_test_http1_CFLAGS = $(BASE_TEST_CFLAGS)
base_test_http1_LDADD = $(BASE_LIBS) $(TEST_LIBS)
base_test_http1_answer_SOURCES = base/test_http1_answer.c
base_test_http1_answer_CFLAGS = $(BASE_TEST_CFLAGS)
base_test_http1_answer_LDADD = $(BASE_LIBS) $(TEST_LIBS)
base_test_base64_SOURCES = base/test_base64.c
base_test_base64_CFLAGS = $(BASE_TEST_CFLAGS)
base_test_base64_LDADD = $(BASE_LIBS) $(TEST_LIBS)
