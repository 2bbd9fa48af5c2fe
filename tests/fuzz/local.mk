# Fuzz targets. With --enable-fuzz they are libFuzzer's; without, replay.c runs each file of the corpus once. A new one
# is a fuzz_NAME.c, a folder corpus/NAME, a line in FUZZERS, and the three lines of the others.
if FUZZ
FUZZ_MAIN = tests/fuzz/fuzz.h
else
FUZZ_MAIN = tests/fuzz/fuzz.h tests/fuzz/replay.c
endif
FUZZERS += tests/fuzz/fuzz_http1 tests/fuzz/fuzz_http1_response tests/fuzz/fuzz_jscan
tests_fuzz_fuzz_http1_SOURCES = tests/fuzz/fuzz_http1.c $(FUZZ_MAIN)
tests_fuzz_fuzz_http1_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_http1_LDADD = $(BASE_LIBS)
tests_fuzz_fuzz_http1_response_SOURCES = tests/fuzz/fuzz_http1_response.c gateway/upstream/plain_answer.c \
	gateway/upstream/plain_answer.h gateway/upstream/fetch.h $(FUZZ_MAIN)
tests_fuzz_fuzz_http1_response_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_http1_response_LDADD = $(BASE_LIBS)
tests_fuzz_fuzz_jscan_SOURCES = tests/fuzz/fuzz_jscan.c base/test_jwalk.c base/test_jwalk.h $(FUZZ_MAIN)
tests_fuzz_fuzz_jscan_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_fuzz_fuzz_jscan_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_jscan_LDADD = $(BASE_LIBS)
check_PROGRAMS += $(FUZZERS)
dist_check_SCRIPTS += tests/fuzz/replay.sh tests/layers.sh
TESTS += tests/fuzz/replay.sh tests/layers.sh
EXTRA_DIST += tests/fuzz/run.sh tests/fuzz/corpus tests/fuzz/http1.dict tests/fuzz/http1_response.dict tests/fuzz/jscan.dict tests/sizes.sh

FUZZ_SECONDS = 30
.PHONY: fuzz bench-parse sizes
if FUZZ
fuzz: $(FUZZERS)
	@top_srcdir='$(abs_top_srcdir)' sh $(srcdir)/tests/fuzz/run.sh $(FUZZ_SECONDS) $(FUZZERS)
else
fuzz:
	@echo 'fuzzing wants clang and its own build folder: ../configure --enable-fuzz CC=clang && make fuzz' >&2; exit 1
endif

EXTRA_PROGRAMS += tests/bench/bench_parse
CLEANFILES += tests/bench/bench_parse$(EXEEXT)
tests_bench_bench_parse_SOURCES = tests/bench/bench_parse.c
tests_bench_bench_parse_LDADD = $(BASE_LIBS)
bench-parse: tests/bench/bench_parse
	@tests/bench/bench_parse

sizes:
	@top_srcdir='$(abs_top_srcdir)' sh $(srcdir)/tests/sizes.sh
