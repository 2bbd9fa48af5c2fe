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
