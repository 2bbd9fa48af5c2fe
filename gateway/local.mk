# gateway/local.mk
include gateway/upstream/local.mk
