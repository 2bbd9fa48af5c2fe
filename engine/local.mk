# The engine: libengine.a holds everything but the commands, so that tests link it; tollgate-engine adds main.c.
noinst_LIBRARIES += libengine.a
libengine_a_SOURCES = \
	engine/engine.h engine/model.h engine/weights.h engine/kv.h engine/forward.h engine/commands.h \
	engine/cli.c engine/cli.h \
	engine/threads.c engine/threads.h
libengine_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(EVENT_CFLAGS) $(PCRE2_CFLAGS)
ENGINE_LIBS = libengine.a $(BASE_LIBS) $(EVENT_LIBS) $(PCRE2_LIBS) -lm

# Serving: text to ids and back, the scheduler, HTTP.
libengine_a_SOURCES += \
	engine/tokenizer.c engine/tokenizer_file.c engine/tokenizer.h engine/tokenizer_private.h \
	engine/prompt.c engine/prompt.h \
	engine/answer.c engine/answer.h engine/utf8.h \
	engine/sample.c engine/sample.h \
	engine/lm.h engine/worker.h

ENGINE_SERVE_TESTS = engine/test_tokenizer engine/test_prompt engine/test_answer engine/test_sample
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
