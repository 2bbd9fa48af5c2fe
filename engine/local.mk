# The engine: libengine.a holds everything but main.c, so that tests link it.
noinst_LIBRARIES += libengine.a
libengine_a_SOURCES = \
	engine/cli.c engine/cli.h engine/commands.h \
	engine/threads.c engine/threads.h \
	engine/numbers.h \
	engine/safetensors.c \
	engine/weights.c engine/weights.h \
	engine/config.c \
	engine/model.c engine/model.h \
	engine/rope.c engine/rope.h \
	engine/ops.h \
	engine/cpu/cpu.h engine/cpu/device.c \
	engine/cpu/kernels.h engine/cpu/kernels_plain.c engine/cpu/kernels_avx2.c engine/cpu/kernels_avx512.c \
	engine/cpu/op_matmul.c engine/cpu/op_norm.c engine/cpu/op_hc.c engine/cpu/op_attend.c \
	engine/cpu/op_compress.c engine/cpu/op_index.c engine/cpu/op_moe.c engine/cpu/op_quant.c \
	engine/state.h \
	engine/engine.c engine/engine.h \
	engine/kv.c engine/kv.h \
	engine/forward.c engine/forward.h \
	engine/logits.c engine/bench.c engine/inspect.c
libengine_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(EVENT_CFLAGS) $(PCRE2_CFLAGS)
ENGINE_LIBS = libengine.a $(BASE_LIBS) $(EVENT_LIBS) $(PCRE2_LIBS) -lm

include engine/serve.mk

bin_PROGRAMS += tollgate-engine
tollgate_engine_SOURCES = engine/main.c
tollgate_engine_CFLAGS = $(AM_CFLAGS)
tollgate_engine_LDADD = $(ENGINE_LIBS)

# Tests of the numbers: models of random weights are written by testmodel.c.
ENGINE_MODEL_TESTS = engine/test_numbers engine/cpu/test_kernels engine/cpu/test_ops engine/test_model \
	engine/test_forward engine/test_threads engine/test_cli
check_PROGRAMS += $(ENGINE_MODEL_TESTS)
TESTS += $(ENGINE_MODEL_TESTS)
ENGINE_TEST_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(CMOCKA_CFLAGS)
ENGINE_TEST_LIBS = $(ENGINE_LIBS) $(CMOCKA_LIBS)
engine_test_numbers_SOURCES = engine/test_numbers.c
engine_test_numbers_CFLAGS = $(ENGINE_TEST_CFLAGS)
engine_test_numbers_LDADD = $(ENGINE_TEST_LIBS)
engine_cpu_test_kernels_SOURCES = engine/cpu/test_kernels.c
engine_cpu_test_kernels_CFLAGS = $(ENGINE_TEST_CFLAGS)
engine_cpu_test_kernels_LDADD = $(ENGINE_TEST_LIBS)
engine_cpu_test_ops_SOURCES = engine/cpu/test_ops.c
engine_cpu_test_ops_CFLAGS = $(ENGINE_TEST_CFLAGS)
engine_cpu_test_ops_LDADD = $(ENGINE_TEST_LIBS)
engine_test_forward_SOURCES = engine/test_forward.c engine/testmodel.c engine/testmodel.h
engine_test_forward_CFLAGS = $(ENGINE_TEST_CFLAGS)
engine_test_forward_LDADD = $(ENGINE_TEST_LIBS)
engine_test_model_SOURCES = engine/test_model.c engine/testmodel.c engine/testmodel.h
engine_test_model_CFLAGS = $(ENGINE_TEST_CFLAGS)
engine_test_model_LDADD = $(ENGINE_TEST_LIBS)
engine_test_threads_SOURCES = engine/test_threads.c
engine_test_threads_CFLAGS = $(ENGINE_TEST_CFLAGS)
engine_test_threads_LDADD = $(ENGINE_TEST_LIBS)
engine_test_cli_SOURCES = engine/test_cli.c
engine_test_cli_CFLAGS = $(ENGINE_TEST_CFLAGS)
engine_test_cli_LDADD = $(ENGINE_TEST_LIBS)

# The bundled models, the vectors they are checked with, and how they were trained (Python; needed by nobody who builds).
# Two of them are installed, where `tollgate init` looks.
flashdir = $(pkgdatadir)/models/tiny-flash
dist_flash_DATA = $(wildcard $(srcdir)/engine/models/tiny-flash/*.json $(srcdir)/engine/models/tiny-flash/*.safetensors)
prodir = $(pkgdatadir)/models/tiny-pro
dist_pro_DATA = $(wildcard $(srcdir)/engine/models/tiny-pro/*.json $(srcdir)/engine/models/tiny-pro/*.safetensors)
EXTRA_DIST += engine/models/tiny-random engine/models/tiny-random-k16 engine/models/vectors \
	$(wildcard $(srcdir)/engine/models/*.json $(srcdir)/engine/models/*.jsonl) engine/train/README.md \
	$(wildcard $(srcdir)/engine/train/*.py) engine/train/hcfast.c

# tests/fuzz/local.mk says how it is run.
EXTRA_DIST += tests/fuzz/corpus/safetensors
FUZZERS += tests/fuzz/fuzz_safetensors
tests_fuzz_fuzz_safetensors_SOURCES = tests/fuzz/fuzz_safetensors.c $(FUZZ_MAIN)
tests_fuzz_fuzz_safetensors_CFLAGS = $(ENGINE_TEST_CFLAGS)
tests_fuzz_fuzz_safetensors_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_safetensors_LDADD = $(ENGINE_LIBS)
