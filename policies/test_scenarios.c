/* test_scenarios.c - runs every file in policies/tests and holds the files to this: together they take every
 * transition of the machine, and there are at least a hundred cases. TAP on stdout, failures only. */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "policies/machine.h"
#include "policies/scenario.h"

#define CASES_LEAST 100

static int run_files(const char *pattern, struct scenario_report *r)
{
    struct problems ps;
    glob_t found;
    int bad = 0;

    if (glob(pattern, 0, NULL, &found) != 0) {
        fprintf(stderr, "no scenario files at %s\n", pattern);
        return 1;
    }
    for (size_t i = 0; i < found.gl_pathc; i++) {
        problems_init(&ps);
        bad += !scenario_run_file(found.gl_pathv[i], r, &ps);
        problems_print(&ps, stderr);
        problems_free(&ps);
    }
    globfree(&found);
    return bad;
}

int main(void)
{
    const char *top = getenv("top_srcdir");
    uint8_t *coverage = calloc(MACHINE_TRANSITIONS, 1);
    struct scenario_report r = { .format = SCENARIO_TAP, .out = stdout, .failures_only = true, .coverage = coverage };
    char pattern[1024];
    int bad;

    if (!coverage ||
        snprintf(pattern, sizeof pattern, "%s/policies/tests/*.test.json", top ? top : ".") >= (int)sizeof pattern)
        return 99;
    scenario_begin(&r);
    bad = run_files(pattern, &r);
    scenario_end(&r);
    for (size_t i = 0; i < MACHINE_TRANSITIONS; i++) {
        if (coverage[i])
            continue;
        printf("# no scenario takes the transition \"%s\"\n", machine_transition_name(i));
        bad++;
    }
    if (r.cases < CASES_LEAST)
        printf("# only %zu cases\n", r.cases);
    free(coverage);
    return bad || r.failed || r.cases < CASES_LEAST;
}
