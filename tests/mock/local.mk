# tests/mock/local.mk
check_PROGRAMS += tests/mock_upstream
tests_mock_upstream_SOURCES = \
	tests/mock/mock_upstream.c \
	tests/mock/mock_script.c tests/mock/mock_script.h \
	tests/mock/mock_answer.c \
	tests/mock/mock_log.c tests/mock/mock_log.h \
	tests/mock/mock_ca.c tests/mock/mock_ca.h
tests_mock_upstream_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS) $(SSL_CFLAGS)
tests_mock_upstream_LDADD = $(BASE_LIBS) $(EVENT_LIBS) $(SSL_LIBS)
