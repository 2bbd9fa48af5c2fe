# tests/bench: what things cost. Never part of `make check`: a timing is no unit test.
EXTRA_PROGRAMS += tests/bench/load
tests_bench_load_SOURCES = tests/bench/load.c
tests_bench_load_CFLAGS = $(AM_CFLAGS) $(SSL_CFLAGS)
tests_bench_load_LDADD = $(SSL_LIBS)
CLEANFILES += tests/bench/load
EXTRA_DIST += tests/bench/bench.py
bench: tollgate tests/mock_upstream tests/bench/load
	top_builddir='$(abs_top_builddir)' top_srcdir='$(abs_top_srcdir)' python3 $(srcdir)/tests/bench/bench.py $(BENCH_OPTIONS)
.PHONY: bench
