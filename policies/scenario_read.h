/* scenario_read.h - a case's JSON to structs. Part of scenario.c. */
#ifndef TOLLGATE_POLICIES_SCENARIO_READ_H
#define TOLLGATE_POLICIES_SCENARIO_READ_H

#include <jansson.h>

#include "policies/scenario_run.h"

#define SCENARIO_AT_MS INT64_C(1795521600000)    /* 2026-11-24T12:00:00Z, where a file names no time */

struct scenario_file {
    const json_t *doc;             /* checked by the schema */
    const char *dir;               /* of the file: relative paths start there */
    const struct policy *policy;
    const struct book *book;
    struct problems *ps;
};

/* Reads one case into *c and *f; all memory from `arena`, all spans from the document. False with a problem. */
bool scenario_read_case(const struct scenario_file *file, const json_t *v, char *at, struct arena *arena,
                        struct features *f, struct scenario_case *c);

#endif
