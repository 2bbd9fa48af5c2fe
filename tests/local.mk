# tests/local.mk
include tests/mock/local.mk
include tests/bench/local.mk
include tests/fuzz/local.mk
