# Dialects: every wire format in and out of the neutral form. Pure: base, policies and pricing alone; the tests need no gateway.
noinst_LIBRARIES += libdialects.a
libdialects_a_SOURCES = \
	gateway/dialects/chat.c gateway/dialects/chat.h \
	gateway/dialects/dialect.c gateway/dialects/dialect.h \
	gateway/dialects/draft.c gateway/dialects/draft.h \
	gateway/dialects/edits.c gateway/dialects/edits.h \
	gateway/dialects/effort.c gateway/dialects/effort.h \
	gateway/dialects/fault.c gateway/dialects/fault.h \
	gateway/dialects/reading.c gateway/dialects/reading.h \
	gateway/dialects/sse.c gateway/dialects/sse.h \
	gateway/dialects/unwrap.c gateway/dialects/unwrap.h
libdialects_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)

# OpenAI Chat
libdialects_a_SOURCES += \
	gateway/dialects/completions.c gateway/dialects/completions.h \
	gateway/dialects/embeddings.c gateway/dialects/embeddings.h \
	gateway/dialects/openai.c gateway/dialects/openai.h \
	gateway/dialects/openai_answer.c \
	gateway/dialects/openai_body.c \
	gateway/dialects/openai_host.c \
	gateway/dialects/openai_messages.c \
	gateway/dialects/openai_parse.h \
	gateway/dialects/openai_pass.c \
	gateway/dialects/openai_reply.c \
	gateway/dialects/openai_request.c \
	gateway/dialects/openai_think.c gateway/dialects/openai_think.h \
	gateway/dialects/openai_tools.c \
	gateway/dialects/openai_turns.c

DIALECT_TEST_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(JANSSON_CFLAGS)
DIALECT_TEST_LIBS = libdialects.a libpolicy.a libpricing.a $(BASE_LIBS) $(PCRE2_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += gateway/dialects/test_sse gateway/dialects/test_unwrap
TESTS += gateway/dialects/test_sse gateway/dialects/test_unwrap
gateway_dialects_test_sse_SOURCES = gateway/dialects/test_sse.c
gateway_dialects_test_sse_CFLAGS = $(DIALECT_TEST_CFLAGS)
gateway_dialects_test_sse_LDADD = $(DIALECT_TEST_LIBS)
gateway_dialects_test_unwrap_SOURCES = gateway/dialects/test_unwrap.c
gateway_dialects_test_unwrap_CFLAGS = $(DIALECT_TEST_CFLAGS)
gateway_dialects_test_unwrap_LDADD = $(DIALECT_TEST_LIBS)

OPENAI_TESTS = gateway/dialects/test_openai_request gateway/dialects/test_openai_body gateway/dialects/test_openai_answer \
	gateway/dialects/test_openai_reply gateway/dialects/test_completions gateway/dialects/test_embeddings
check_PROGRAMS += $(OPENAI_TESTS)
TESTS += $(OPENAI_TESTS)
gateway_dialects_test_openai_request_SOURCES = gateway/dialects/test_openai_request.c gateway/dialects/test_odd.h
gateway_dialects_test_openai_request_CFLAGS = $(DIALECT_TEST_CFLAGS)
gateway_dialects_test_openai_request_LDADD = $(DIALECT_TEST_LIBS)
gateway_dialects_test_openai_body_SOURCES = gateway/dialects/test_openai_body.c
gateway_dialects_test_openai_body_CFLAGS = $(DIALECT_TEST_CFLAGS)
gateway_dialects_test_openai_body_LDADD = libdialects.a libupstream.a $(DIALECT_TEST_LIBS)
gateway_dialects_test_openai_reply_SOURCES = gateway/dialects/test_openai_reply.c
gateway_dialects_test_openai_reply_CFLAGS = $(DIALECT_TEST_CFLAGS)
gateway_dialects_test_openai_reply_LDADD = $(DIALECT_TEST_LIBS)
gateway_dialects_test_completions_SOURCES = gateway/dialects/test_completions.c
gateway_dialects_test_completions_CFLAGS = $(DIALECT_TEST_CFLAGS)
gateway_dialects_test_completions_LDADD = $(DIALECT_TEST_LIBS)
gateway_dialects_test_embeddings_SOURCES = gateway/dialects/test_embeddings.c
gateway_dialects_test_embeddings_CFLAGS = $(DIALECT_TEST_CFLAGS)
gateway_dialects_test_embeddings_LDADD = $(DIALECT_TEST_LIBS)
gateway_dialects_test_openai_answer_SOURCES = gateway/dialects/test_openai_answer.c gateway/dialects/test_odd.h
gateway_dialects_test_openai_answer_CFLAGS = $(DIALECT_TEST_CFLAGS)
gateway_dialects_test_openai_answer_LDADD = $(DIALECT_TEST_LIBS)

EXTRA_PROGRAMS += gateway/dialects/bench_openai
gateway_dialects_bench_openai_SOURCES = gateway/dialects/bench_openai.c
gateway_dialects_bench_openai_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
gateway_dialects_bench_openai_LDADD = libdialects.a libupstream.a libpolicy.a libpricing.a $(BASE_LIBS) $(PCRE2_LIBS)
CLEANFILES += gateway/dialects/bench_openai

# OpenAI Responses
libdialects_a_SOURCES += \
	gateway/dialects/responses.c gateway/dialects/responses.h gateway/dialects/responses_parts.h \
	gateway/dialects/responses_answer.c \
	gateway/dialects/responses_body.c \
	gateway/dialects/responses_items.c \
	gateway/dialects/responses_object.c \
	gateway/dialects/responses_own.c \
	gateway/dialects/responses_reply.c \
	gateway/dialects/responses_request.c \
	gateway/dialects/responses_tools.c

RESPONSES_TESTS = gateway/dialects/test_responses_request gateway/dialects/test_responses_body \
	gateway/dialects/test_responses_answer gateway/dialects/test_responses_own gateway/dialects/test_responses_reply
check_PROGRAMS += $(RESPONSES_TESTS)
TESTS += $(RESPONSES_TESTS)
gateway_dialects_test_responses_request_SOURCES = gateway/dialects/test_responses_request.c gateway/dialects/test_responses.h
gateway_dialects_test_responses_request_CFLAGS = $(DIALECT_TEST_CFLAGS)
gateway_dialects_test_responses_request_LDADD = $(DIALECT_TEST_LIBS)
gateway_dialects_test_responses_body_SOURCES = gateway/dialects/test_responses_body.c gateway/dialects/test_responses.h
gateway_dialects_test_responses_body_CFLAGS = $(DIALECT_TEST_CFLAGS)
gateway_dialects_test_responses_body_LDADD = $(DIALECT_TEST_LIBS)
gateway_dialects_test_responses_answer_SOURCES = gateway/dialects/test_responses_answer.c gateway/dialects/test_responses.h
gateway_dialects_test_responses_answer_CFLAGS = $(DIALECT_TEST_CFLAGS)
gateway_dialects_test_responses_answer_LDADD = $(DIALECT_TEST_LIBS)
gateway_dialects_test_responses_own_SOURCES = gateway/dialects/test_responses_own.c gateway/dialects/test_responses.h
gateway_dialects_test_responses_own_CFLAGS = $(DIALECT_TEST_CFLAGS)
gateway_dialects_test_responses_own_LDADD = $(DIALECT_TEST_LIBS)
gateway_dialects_test_responses_reply_SOURCES = gateway/dialects/test_responses_reply.c gateway/dialects/test_responses.h
gateway_dialects_test_responses_reply_CFLAGS = $(DIALECT_TEST_CFLAGS)
gateway_dialects_test_responses_reply_LDADD = $(DIALECT_TEST_LIBS)

# Anthropic Messages
libdialects_a_SOURCES += \
	gateway/dialects/anthropic.c gateway/dialects/anthropic.h \
	gateway/dialects/anthropic_answer.c \
	gateway/dialects/anthropic_blocks.c \
	gateway/dialects/anthropic_body.c \
	gateway/dialects/anthropic_pass.c \
	gateway/dialects/anthropic_read.h \
	gateway/dialects/anthropic_reply.c \
	gateway/dialects/anthropic_request.c \
	gateway/dialects/anthropic_schema.c \
	gateway/dialects/anthropic_thinking.c \
	gateway/dialects/anthropic_turns.c \
	gateway/dialects/anthropic_write.h

ANTHROPIC_TESTS = gateway/dialects/test_anthropic_request gateway/dialects/test_anthropic_body \
	gateway/dialects/test_anthropic_answer gateway/dialects/test_anthropic_reply
check_PROGRAMS += $(ANTHROPIC_TESTS)
TESTS += $(ANTHROPIC_TESTS)
gateway_dialects_test_anthropic_request_SOURCES = gateway/dialects/test_anthropic_request.c gateway/dialects/test_anthropic.h
gateway_dialects_test_anthropic_request_CFLAGS = $(DIALECT_TEST_CFLAGS)
gateway_dialects_test_anthropic_request_LDADD = $(DIALECT_TEST_LIBS)
gateway_dialects_test_anthropic_body_SOURCES = gateway/dialects/test_anthropic_body.c gateway/dialects/test_anthropic.h
gateway_dialects_test_anthropic_body_CFLAGS = $(DIALECT_TEST_CFLAGS)
gateway_dialects_test_anthropic_body_LDADD = $(DIALECT_TEST_LIBS)
gateway_dialects_test_anthropic_answer_SOURCES = gateway/dialects/test_anthropic_answer.c gateway/dialects/test_anthropic.h
gateway_dialects_test_anthropic_answer_CFLAGS = $(DIALECT_TEST_CFLAGS)
gateway_dialects_test_anthropic_answer_LDADD = $(DIALECT_TEST_LIBS)
gateway_dialects_test_anthropic_reply_SOURCES = gateway/dialects/test_anthropic_reply.c gateway/dialects/test_anthropic.h
gateway_dialects_test_anthropic_reply_CFLAGS = $(DIALECT_TEST_CFLAGS)
gateway_dialects_test_anthropic_reply_LDADD = $(DIALECT_TEST_LIBS)

# Gemini
libdialects_a_SOURCES += \
	gateway/dialects/gemini.c gateway/dialects/gemini.h \
	gateway/dialects/gemini_answer.c \
	gateway/dialects/gemini_body.c \
	gateway/dialects/gemini_config.c \
	gateway/dialects/gemini_contents.c \
	gateway/dialects/gemini_error.c \
	gateway/dialects/gemini_pages.c \
	gateway/dialects/gemini_read.c gateway/dialects/gemini_read.h \
	gateway/dialects/gemini_reply.c \
	gateway/dialects/gemini_request.c \
	gateway/dialects/gemini_schema.c \
	gateway/dialects/gemini_table.h \
	gateway/dialects/gemini_tools.c \
	gateway/dialects/gemini_turns.c gateway/dialects/gemini_write.h

GEMINI_TESTS = gateway/dialects/test_gemini_request gateway/dialects/test_gemini_body \
	gateway/dialects/test_gemini_answer gateway/dialects/test_gemini_reply
check_PROGRAMS += $(GEMINI_TESTS)
TESTS += $(GEMINI_TESTS)
gateway_dialects_test_gemini_request_SOURCES = gateway/dialects/test_gemini_request.c gateway/dialects/test_gemini.h
gateway_dialects_test_gemini_request_CFLAGS = $(DIALECT_TEST_CFLAGS)
gateway_dialects_test_gemini_request_LDADD = $(DIALECT_TEST_LIBS)
gateway_dialects_test_gemini_body_SOURCES = gateway/dialects/test_gemini_body.c gateway/dialects/test_gemini.h
gateway_dialects_test_gemini_body_CFLAGS = $(DIALECT_TEST_CFLAGS)
gateway_dialects_test_gemini_body_LDADD = $(DIALECT_TEST_LIBS)
gateway_dialects_test_gemini_answer_SOURCES = gateway/dialects/test_gemini_answer.c gateway/dialects/test_gemini.h
gateway_dialects_test_gemini_answer_CFLAGS = $(DIALECT_TEST_CFLAGS)
gateway_dialects_test_gemini_answer_LDADD = $(DIALECT_TEST_LIBS)
gateway_dialects_test_gemini_reply_SOURCES = gateway/dialects/test_gemini_reply.c gateway/dialects/test_gemini.h
gateway_dialects_test_gemini_reply_CFLAGS = $(DIALECT_TEST_CFLAGS)
gateway_dialects_test_gemini_reply_LDADD = $(DIALECT_TEST_LIBS)

FUZZERS += tests/fuzz/fuzz_answer
tests_fuzz_fuzz_answer_SOURCES = tests/fuzz/fuzz_answer.c $(FUZZ_MAIN)
tests_fuzz_fuzz_answer_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_fuzz_fuzz_answer_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_answer_LDADD = libdialects.a libpolicy.a libpricing.a $(BASE_LIBS) $(PCRE2_LIBS)
FUZZERS += tests/fuzz/fuzz_request
tests_fuzz_fuzz_request_SOURCES = tests/fuzz/fuzz_request.c $(FUZZ_MAIN)
tests_fuzz_fuzz_request_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_fuzz_fuzz_request_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_request_LDADD = libdialects.a libpolicy.a libpricing.a $(BASE_LIBS) $(PCRE2_LIBS)
FUZZERS += tests/fuzz/fuzz_dialects
tests_fuzz_fuzz_dialects_SOURCES = tests/fuzz/fuzz_dialects.c $(FUZZ_MAIN)
tests_fuzz_fuzz_dialects_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_fuzz_fuzz_dialects_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_dialects_LDADD = libdialects.a libupstream.a libpolicy.a libpricing.a $(BASE_LIBS) $(PCRE2_LIBS)

# Round trips: what each dialect keeps of a chat, at random.
ROUND_TRIP_FILES = gateway/dialects/testing_round_trip.c gateway/dialects/testing_round_trip.h \
	gateway/dialects/testing_answer.c gateway/dialects/testing_answer.h \
	gateway/dialects/testing_chat.c gateway/dialects/testing_chat.h \
	gateway/dialects/testing_normal.c gateway/dialects/testing_normal.h \
	gateway/dialects/testing_normal_anthropic.c gateway/dialects/testing_normal_gemini.c \
	gateway/dialects/testing_normal_openai.c gateway/dialects/testing_normal_responses.c \
	gateway/dialects/testing_targets.h policies/testing_dice.h
check_PROGRAMS += gateway/dialects/test_round_trips
TESTS += gateway/dialects/test_round_trips
gateway_dialects_test_round_trips_SOURCES = gateway/dialects/test_round_trips.c $(ROUND_TRIP_FILES)
gateway_dialects_test_round_trips_CFLAGS = $(DIALECT_TEST_CFLAGS)
gateway_dialects_test_round_trips_LDADD = $(DIALECT_TEST_LIBS)
# Three million, from a seed that nobody has tried: a minute or two.
check-round-trips: gateway/dialects/test_round_trips
	ROUND_TRIPS=$${ROUND_TRIPS:-1000000} ROUND_TRIPS_SEED=$${ROUND_TRIPS_SEED:-`date +%s`} gateway/dialects/test_round_trips
.PHONY: check-round-trips
FUZZERS += tests/fuzz/fuzz_dialect_chat tests/fuzz/fuzz_dialect_answer
tests_fuzz_fuzz_dialect_chat_SOURCES = tests/fuzz/fuzz_dialect_chat.c $(FUZZ_MAIN) $(ROUND_TRIP_FILES)
tests_fuzz_fuzz_dialect_chat_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_fuzz_fuzz_dialect_chat_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_dialect_chat_LDADD = libdialects.a libpolicy.a libpricing.a $(BASE_LIBS) $(PCRE2_LIBS)
tests_fuzz_fuzz_dialect_answer_SOURCES = tests/fuzz/fuzz_dialect_answer.c $(FUZZ_MAIN) $(ROUND_TRIP_FILES)
tests_fuzz_fuzz_dialect_answer_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_fuzz_fuzz_dialect_answer_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_dialect_answer_LDADD = libdialects.a libpolicy.a libpricing.a $(BASE_LIBS) $(PCRE2_LIBS)

# docs/dialects.md, of which the tables and examples are rendered from the code.
check_PROGRAMS += gateway/dialects/test_docs
TESTS += gateway/dialects/test_docs
gateway_dialects_test_docs_SOURCES = gateway/dialects/test_docs.c gateway/dialects/testing_examples.h gateway/dialects/testing_targets.h
gateway_dialects_test_docs_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
gateway_dialects_test_docs_LDADD = libdialects.a libupstream.a libpolicy.a libpricing.a $(BASE_LIBS) $(PCRE2_LIBS)
docs-dialects: gateway/dialects/test_docs
	top_srcdir='$(abs_top_srcdir)' gateway/dialects/test_docs --write
.PHONY: docs-dialects

# What translation costs, pair by pair.
EXTRA_PROGRAMS += gateway/dialects/bench_translation
gateway_dialects_bench_translation_SOURCES = gateway/dialects/bench_translation.c gateway/dialects/testing_targets.h
gateway_dialects_bench_translation_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
gateway_dialects_bench_translation_LDADD = libdialects.a libpolicy.a libpricing.a $(BASE_LIBS) $(PCRE2_LIBS)
CLEANFILES += gateway/dialects/bench_translation
bench-translation: gateway/dialects/bench_translation
	@gateway/dialects/bench_translation
.PHONY: bench-translation
