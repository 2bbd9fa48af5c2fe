# tests/local.mk
include tests/mock/local.mk
include tests/bench/local.mk
include tests/fuzz/local.mk

dist_check_SCRIPTS += tests/hardened.sh tests/limit.sh
TESTS += tests/hardened.sh

# 100 rounds of kill -9 under load; a few of them are part of the flow tests.
FLOW = top_builddir='$(abs_top_builddir)' top_srcdir='$(abs_top_srcdir)' python3 -W error -m unittest discover -v \
	-s $(srcdir)/tests/flow
check-kill: tollgate tests/mock_upstream
	KILL_ROUNDS=$${KILL_ROUNDS:-100} $(FLOW) -p test_kill.py
# 20 rounds of 200 callers racing for a budget that fits 50, on 4 workers.
check-races: tollgate tests/mock_upstream
	FLOW_LONG=1 $(FLOW) -p test_keys_budgets.py
.PHONY: check-kill check-races
EXTRA_DIST += docs/operating.md tests/tsan.supp
EXTRA_DIST += $(wildcard $(srcdir)/tests/flow/*.py) $(wildcard $(srcdir)/tests/sdk/*.mjs) \
	$(foreach d,callers cases upstreams,$(wildcard $(srcdir)/tests/sdk/$d/*.mjs)) tests/sdk/package.json tests/sdk/package-lock.json
