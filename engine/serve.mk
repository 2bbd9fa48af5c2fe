# Serving: text to ids and back, the scheduler, HTTP.
libengine_a_SOURCES += \
	engine/tokenizer.c engine/tokenizer_file.c engine/tokenizer.h engine/tokenizer_private.h \
	engine/prompt.c engine/prompt.h \
	engine/answer.c engine/answer.h engine/utf8.h \
	engine/sample.c engine/sample.h \
	engine/prefix.c engine/prefix.h \
	engine/lm.h engine/worker.c engine/worker.h \
	engine/api.c engine/api.h \
	engine/connection.c engine/connection.h \
	engine/listen.c engine/listen.h \
	engine/server.c engine/server.h \
	engine/chat_model.c engine/chat_model.h \
	engine/serve.c engine/run.c

ENGINE_SERVE_TESTS = engine/test_tokenizer engine/test_prompt engine/test_answer engine/test_sample \
	engine/test_worker engine/test_api engine/test_server engine/test_tokens \
	engine/test_chat_model engine/test_serve
check_PROGRAMS += $(ENGINE_SERVE_TESTS)
TESTS += $(ENGINE_SERVE_TESTS)
engine_test_tokenizer_SOURCES = engine/test_tokenizer.c
engine_test_tokenizer_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(CMOCKA_CFLAGS)
engine_test_tokenizer_LDADD = $(ENGINE_LIBS) $(CMOCKA_LIBS)
engine_test_prompt_SOURCES = engine/test_prompt.c
engine_test_prompt_CFLAGS = $(engine_test_tokenizer_CFLAGS)
engine_test_prompt_LDADD = $(engine_test_tokenizer_LDADD)
engine_test_answer_SOURCES = engine/test_answer.c
engine_test_answer_CFLAGS = $(engine_test_tokenizer_CFLAGS)
engine_test_answer_LDADD = $(engine_test_tokenizer_LDADD)
engine_test_sample_SOURCES = engine/test_sample.c
engine_test_sample_CFLAGS = $(engine_test_tokenizer_CFLAGS)
engine_test_sample_LDADD = $(engine_test_tokenizer_LDADD)
engine_test_worker_SOURCES = engine/test_worker.c engine/fake_lm.c engine/fake_lm.h
engine_test_worker_CFLAGS = $(engine_test_tokenizer_CFLAGS)
engine_test_worker_LDADD = $(engine_test_tokenizer_LDADD)
engine_test_server_SOURCES = engine/test_server.c engine/fake_lm.c engine/fake_lm.h
engine_test_server_CFLAGS = $(engine_test_tokenizer_CFLAGS) $(EVENT_CFLAGS)
engine_test_server_LDADD = $(engine_test_tokenizer_LDADD)
engine_test_api_SOURCES = engine/test_api.c
engine_test_api_CFLAGS = $(engine_test_tokenizer_CFLAGS)
engine_test_api_LDADD = $(engine_test_tokenizer_LDADD)
engine_test_tokens_SOURCES = engine/test_tokens.c
engine_test_tokens_CFLAGS = $(engine_test_tokenizer_CFLAGS)
engine_test_tokens_LDADD = $(engine_test_tokenizer_LDADD)
engine_test_chat_model_SOURCES = engine/test_chat_model.c
engine_test_chat_model_CFLAGS = $(engine_test_tokenizer_CFLAGS)
engine_test_chat_model_LDADD = $(engine_test_tokenizer_LDADD)
engine_test_serve_SOURCES = engine/test_serve.c
engine_test_serve_CFLAGS = $(engine_test_tokenizer_CFLAGS)
engine_test_serve_LDADD = $(engine_test_tokenizer_LDADD)

EXTRA_DIST += tests/fuzz/corpus/tokenizer tests/fuzz/corpus/engine_api
FUZZERS += tests/fuzz/fuzz_tokenizer tests/fuzz/fuzz_engine_api
tests_fuzz_fuzz_tokenizer_SOURCES = tests/fuzz/fuzz_tokenizer.c $(FUZZ_MAIN)
tests_fuzz_fuzz_tokenizer_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_fuzz_fuzz_tokenizer_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_tokenizer_LDADD = $(ENGINE_LIBS)
tests_fuzz_fuzz_engine_api_SOURCES = tests/fuzz/fuzz_engine_api.c $(FUZZ_MAIN)
tests_fuzz_fuzz_engine_api_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_fuzz_fuzz_engine_api_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_engine_api_LDADD = $(ENGINE_LIBS)
