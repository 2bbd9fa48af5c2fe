/* scenario.h - scenario files (schemas/scenario.schema.json; DESIGN section 7), run against the machine.
 *
 * The same policy, matcher, planner, machine, checks and prices as in the gateway, with scripted models and a virtual
 * clock. Reads files (base/json.h); needs no network and no time. */
#ifndef TOLLGATE_POLICIES_SCENARIO_H
#define TOLLGATE_POLICIES_SCENARIO_H

#include <stdio.h>

#include "base/problem.h"

enum scenario_format { SCENARIO_TAP, SCENARIO_JSON, SCENARIO_JUNIT };

struct scenario_report {
    enum scenario_format format;
    FILE *out;
    bool failures_only;            /* TAP: passing cases are not printed */
    uint8_t *coverage;             /* NULL, or MACHINE_TRANSITIONS flags that are set for each one taken */
    size_t cases, failed;
};

/* Once before the first and once after the last file. */
void scenario_begin(struct scenario_report *r);
void scenario_end(struct scenario_report *r);

/* Runs the cases of one file. False, with problems (file, line, pointer), when it or what it names cannot be read;
 * failing cases are in the report. */
bool scenario_run_file(const char *path, struct scenario_report *r, struct problems *ps);

#endif
