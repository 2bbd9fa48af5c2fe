# tests/bench: what things cost. Never part of `make check`: a timing is no unit test.
EXTRA_PROGRAMS += tests/bench/load
tests_bench_load_SOURCES = tests/bench/load.c
tests_bench_load_CFLAGS = $(AM_CFLAGS) $(SSL_CFLAGS)
tests_bench_load_LDADD = $(SSL_LIBS)
CLEANFILES += tests/bench/load
EXTRA_DIST += tests/bench/bench.py tests/bench/turns.py tests/bench/turns.c
bench: tollgate tests/mock_upstream tests/bench/load gateway/dialects/bench_translation
	top_builddir='$(abs_top_builddir)' top_srcdir='$(abs_top_srcdir)' python3 $(srcdir)/tests/bench/bench.py $(BENCH_OPTIONS)
	@gateway/dialects/bench_translation

# How long a worker's loop is held while large bodies pass.
tests/bench/turns.so: tests/bench/turns.c
	$(AM_V_CC)mkdir -p tests/bench && $(CC) $(CFLAGS) -shared -fPIC -o $@ $(srcdir)/tests/bench/turns.c -ldl
CLEANFILES += tests/bench/turns.so
bench-turns: tollgate tests/bench/load tests/bench/turns.so
	top_builddir='$(abs_top_builddir)' top_srcdir='$(abs_top_srcdir)' python3 $(srcdir)/tests/bench/turns.py $(BENCH_OPTIONS)
.PHONY: bench bench-turns
