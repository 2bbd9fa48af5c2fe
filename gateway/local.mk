# gateway/local.mk
include gateway/upstream/local.mk
include gateway/ledger/local.mk
