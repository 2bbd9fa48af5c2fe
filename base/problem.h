/* problem.h - everything that is wrong with a file, gathered before anything is said.
 *
 * `check` prints all of them at once: file, line, JSON pointer, what is wrong, what would be right. */
#ifndef TOLLGATE_BASE_PROBLEM_H
#define TOLLGATE_BASE_PROBLEM_H

#include <stdio.h>

#include "base/span.h"

enum problem_weight { PROBLEM_WARNING, PROBLEM_ERROR };

struct problem {
    enum problem_weight weight;
    char *file;       /* as the user named it */
    int line;         /* from 1; 0 when unknown */
    char *pointer;    /* RFC 6901, "" for the whole document */
    char *text;       /* "must be a decimal string, such as \"0.14\"" */
    char *hint;       /* NULL, or "did you mean \"max_output\"?" */
};

/* A handed list: problems_init/problems_free. At most 200 are kept, the rest counted. */
struct problems {
    struct problem *list;
    size_t n;
    size_t errors;     /* of all, kept or not */
    size_t warnings;
    const char *file;  /* what problem_add writes as the file; borrowed, set by whoever loads a file */
};

void problems_init(struct problems *ps);
void problems_free(struct problems *ps);
void problem_add(struct problems *ps, enum problem_weight weight, const char *pointer, const char *hint,
                 const char *fmt, ...) __attribute__((format(printf, 5, 6)));
#define problem_error(ps, pointer, ...)   problem_add((ps), PROBLEM_ERROR, (pointer), NULL, __VA_ARGS__)
#define problem_warning(ps, pointer, ...) problem_add((ps), PROBLEM_WARNING, (pointer), NULL, __VA_ARGS__)
/* Fills in the lines of all problems of `file` from its text (jscan finds each pointer's place). */
void problems_locate(struct problems *ps, const char *file, struct span text);
/* "prices.json:12: /models/x/versions/0/input: must be ...; hint" a line each. */
void problems_print(const struct problems *ps, FILE *out);
/* The name in `names` (NULL-terminated list) nearest to `got` by edit distance, NULL when none is near. */
const char *problem_nearest(struct span got, const char *const *names);

#endif
