noinst_LIBRARIES += libbase.a
libbase_a_SOURCES = \
	base/span.c base/span.h \
	base/arena.c base/arena.h \
	base/buf.c base/buf.h \
	base/clock.c base/clock.h \
	base/log.c base/log.h \
	base/problem.c base/problem.h \
	base/json.c base/json.h \
	base/jschema.c base/jschema.h \
	base/jscan.c base/jscan.h base/jval.c base/jbytes.h \
	base/http1.c base/http1.h
nodist_libbase_a_SOURCES = schemas/schemas_bundled.c
libbase_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
