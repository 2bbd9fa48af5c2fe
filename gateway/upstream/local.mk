# gateway/upstream/local.mk
noinst_LIBRARIES += libupstream.a
libupstream_a_SOURCES = \
	gateway/upstream/fetch.c gateway/upstream/fetch.h \
	gateway/upstream/fetch_loop.c gateway/upstream/fetch_loop.h \
	gateway/upstream/fetch_target.c gateway/upstream/fetch_target.h \
	gateway/upstream/engine.c gateway/upstream/engine.h \
	gateway/upstream/health.c gateway/upstream/health.h \
	gateway/upstream/provider.c gateway/upstream/provider.h \
	gateway/upstream/quirks.c gateway/upstream/quirks.h
libupstream_a_CFLAGS = $(AM_CFLAGS) $(CURL_CFLAGS) $(EVENT_CFLAGS) $(JANSSON_CFLAGS)
UPSTREAM_LIBS = libupstream.a $(CURL_LIBS) $(EVENT_LIBS)
