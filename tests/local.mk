# tests/local.mk
include tests/mock/local.mk
