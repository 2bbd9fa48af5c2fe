# libpolicy, pure: features + view + events -> actions.
noinst_LIBRARIES += libpolicy.a
libpolicy_a_SOURCES = \
	policies/features.c policies/features.h \
	policies/view.h \
	policies/policy.c policies/policy.h \
	policies/when.c policies/when.h \
	policies/match.c policies/match.h \
	policies/plan.c policies/plan.h \
	policies/explain.c \
	policies/bound.c policies/bound.h \
	policies/checks.c policies/checks.h \
	policies/decimal.c policies/decimal.h \
	policies/json_schema.c policies/json_schema.h \
	policies/refusal.c \
	policies/failure.c policies/failure.h \
	policies/fail.c policies/fail.h \
	policies/machine.c policies/machine.h policies/transitions.h \
	policies/scenario.c policies/scenario.h \
	policies/scenario_read.c policies/scenario_read.h \
	policies/scenario_run.c policies/scenario_run.h
libpolicy_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(PCRE2_CFLAGS)
EXTRA_DIST += docs/policies.md docs/examples/support.policy.json docs/examples/support.test.json
policiesdir = $(pkgdatadir)/policies
dist_policies_DATA = policies/flash-first.json policies/flash-first-local.json

# Tests: cmocka beside the code; the scenarios by the library itself.
POLICY_TEST_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(JANSSON_CFLAGS)
POLICY_TEST_LIBS = libpolicy.a libpricing.a $(BASE_LIBS) $(PCRE2_LIBS)
check_PROGRAMS += policies/test_json_schema
TESTS += policies/test_json_schema
policies_test_json_schema_SOURCES = policies/test_json_schema.c
policies_test_json_schema_CFLAGS = $(POLICY_TEST_CFLAGS)
policies_test_json_schema_LDADD = $(POLICY_TEST_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += policies/test_scenarios
TESTS += policies/test_scenarios
policies_test_scenarios_SOURCES = policies/test_scenarios.c
policies_test_scenarios_CFLAGS = $(POLICY_TEST_CFLAGS)
policies_test_scenarios_LDADD = $(POLICY_TEST_LIBS)
dist-hook: policies-dist-hook
.PHONY: policies-dist-hook
policies-dist-hook: ; mkdir -p $(distdir)/policies/tests && cp -p $(srcdir)/policies/tests/*.json $(distdir)/policies/tests/

check_PROGRAMS += policies/test_checks
TESTS += policies/test_checks
policies_test_checks_SOURCES = policies/test_checks.c
policies_test_checks_CFLAGS = $(POLICY_TEST_CFLAGS)
policies_test_checks_LDADD = $(POLICY_TEST_LIBS) $(TEST_LIBS)

check_PROGRAMS += policies/test_failure
TESTS += policies/test_failure
policies_test_failure_SOURCES = policies/test_failure.c
policies_test_failure_CFLAGS = $(POLICY_TEST_CFLAGS)
policies_test_failure_LDADD = $(POLICY_TEST_LIBS) $(TEST_LIBS)

check_PROGRAMS += policies/test_features
TESTS += policies/test_features
policies_test_features_SOURCES = policies/test_features.c
policies_test_features_CFLAGS = $(POLICY_TEST_CFLAGS)
policies_test_features_LDADD = $(POLICY_TEST_LIBS) $(TEST_LIBS)

check_PROGRAMS += policies/test_policy
TESTS += policies/test_policy
policies_test_policy_SOURCES = policies/test_policy.c policies/testing.h
policies_test_policy_CFLAGS = $(POLICY_TEST_CFLAGS)
policies_test_policy_LDADD = $(POLICY_TEST_LIBS) $(TEST_LIBS)

check_PROGRAMS += policies/test_machine
TESTS += policies/test_machine
policies_test_machine_SOURCES = policies/test_machine.c policies/testing.h policies/testing_drive.h policies/testing_dice.h
policies_test_machine_CFLAGS = $(POLICY_TEST_CFLAGS)
policies_test_machine_LDADD = $(POLICY_TEST_LIBS) $(TEST_LIBS)

check_PROGRAMS += policies/test_match
TESTS += policies/test_match
policies_test_match_SOURCES = policies/test_match.c policies/testing.h
policies_test_match_CFLAGS = $(POLICY_TEST_CFLAGS)
policies_test_match_LDADD = $(POLICY_TEST_LIBS) $(TEST_LIBS)

check_PROGRAMS += policies/test_plan
TESTS += policies/test_plan
policies_test_plan_SOURCES = policies/test_plan.c policies/testing.h
policies_test_plan_CFLAGS = $(POLICY_TEST_CFLAGS)
policies_test_plan_LDADD = $(POLICY_TEST_LIBS) $(TEST_LIBS)

# tests/fuzz/local.mk says how it is run.
EXTRA_DIST += tests/fuzz/corpus/policy/ladder.json tests/fuzz/corpus/policy/local.json
FUZZERS += tests/fuzz/fuzz_policy
tests_fuzz_fuzz_policy_SOURCES = tests/fuzz/fuzz_policy.c $(FUZZ_MAIN) policies/testing_drive.h policies/testing_dice.h
tests_fuzz_fuzz_policy_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_fuzz_fuzz_policy_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_policy_LDADD = libpolicy.a libpricing.a $(BASE_LIBS) $(PCRE2_LIBS)
FUZZERS += tests/fuzz/fuzz_json_schema
tests_fuzz_fuzz_json_schema_SOURCES = tests/fuzz/fuzz_json_schema.c $(FUZZ_MAIN)
tests_fuzz_fuzz_json_schema_CFLAGS = $(AM_CFLAGS)
tests_fuzz_fuzz_json_schema_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_json_schema_LDADD = libpolicy.a libpricing.a $(BASE_LIBS) $(PCRE2_LIBS)
