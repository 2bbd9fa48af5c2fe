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
EXTRA_DIST += pricing/prices.json
