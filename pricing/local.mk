noinst_LIBRARIES += libpricing.a
libpricing_a_SOURCES = \
	pricing/price.c pricing/price.h \
	pricing/price_text.c \
	pricing/book.c pricing/book.h \
	pricing/book_read.c pricing/book_read.h \
	pricing/window.c pricing/window.h \
	pricing/zone.c pricing/zone.h \
	pricing/estimate.c pricing/estimate.h
libpricing_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
dist_pkgdata_DATA = pricing/prices.json
EXTRA_DIST += docs/pricing.md

PRICING_TESTS = pricing/test_price pricing/test_book pricing/test_window pricing/test_zone pricing/test_estimate
check_PROGRAMS += $(PRICING_TESTS)
TESTS += $(PRICING_TESTS)
PRICING_TEST_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(CMOCKA_CFLAGS)
PRICING_TEST_LIBS = libpricing.a $(BASE_LIBS) $(TEST_LIBS)
pricing_test_price_SOURCES = pricing/test_price.c pricing/testing.h
pricing_test_price_CFLAGS = $(PRICING_TEST_CFLAGS)
pricing_test_price_LDADD = $(PRICING_TEST_LIBS)
pricing_test_book_SOURCES = pricing/test_book.c pricing/testing.h
pricing_test_book_CFLAGS = $(PRICING_TEST_CFLAGS)
pricing_test_book_LDADD = $(PRICING_TEST_LIBS)
pricing_test_window_SOURCES = pricing/test_window.c pricing/testing.h
pricing_test_window_CFLAGS = $(PRICING_TEST_CFLAGS)
pricing_test_window_LDADD = $(PRICING_TEST_LIBS)
pricing_test_zone_SOURCES = pricing/test_zone.c pricing/testing.h
pricing_test_zone_CFLAGS = $(PRICING_TEST_CFLAGS)
pricing_test_zone_LDADD = $(PRICING_TEST_LIBS)
pricing_test_estimate_SOURCES = pricing/test_estimate.c pricing/testing.h
pricing_test_estimate_CFLAGS = $(PRICING_TEST_CFLAGS)
pricing_test_estimate_LDADD = $(PRICING_TEST_LIBS)

# tests/fuzz/local.mk says how it is run.
EXTRA_DIST += \
	tests/fuzz/corpus/prices/deepseek.json tests/fuzz/corpus/prices/opus.json \
	tests/fuzz/corpus/prices/retired.json tests/fuzz/corpus/prices/tiers.json
FUZZERS += tests/fuzz/fuzz_prices
tests_fuzz_fuzz_prices_SOURCES = tests/fuzz/fuzz_prices.c $(FUZZ_MAIN)
tests_fuzz_fuzz_prices_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_fuzz_fuzz_prices_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_prices_LDADD = libpricing.a $(BASE_LIBS)
