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
	policies/refusal.c \
	policies/failure.c policies/failure.h \
	policies/fail.c policies/fail.h \
	policies/machine.c policies/machine.h
libpolicy_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
EXTRA_DIST += policies/flash-first.json
