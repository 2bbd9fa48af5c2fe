/* testing.h - what the tests of policies share: the scenarios' price book and JSON from literals. */
#ifndef TOLLGATE_POLICIES_TESTING_H
#define TOLLGATE_POLICIES_TESTING_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "policies/plan.h"
#include "policies/policy.h"
#include "pricing/book.h"

#define TESTING_AT_MS INT64_C(1795521600000)    /* 2026-11-24T12:00:00Z */

static inline struct book *testing_book(const char *name)
{
    const char *top = getenv("top_srcdir");
    struct problems ps;
    struct book *b = NULL;
    char path[1024];
    json_t *tree;

    problems_init(&ps);
    snprintf(path, sizeof path, "%s/%s", top ? top : ".", name);
    tree = json_read(path, 1u << 24, &ps, NULL, NULL);
    if (tree)
        b = book_load(tree, &ps);
    json_decref(tree);
    problems_print(&ps, stderr);
    problems_free(&ps);
    assert_non_null(b);
    return b;
}

/* Single quotes stand for double ones, so that JSON can be read in C. */
static inline struct policy *testing_policy(const struct book *b, const char *text, struct problems *ps)
{
    char *copy = strdup(text);
    struct policy *p = NULL;
    json_t *tree;

    assert_non_null(copy);
    for (char *c = copy; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    tree = json_parse("test", span_str(copy), ps);
    if (tree)
        p = policy_load(tree, b, ps);
    json_decref(tree);
    free(copy);
    return p;
}

/* The same, where it must load without a word. */
static inline struct policy *testing_good_policy(const struct book *b, const char *text)
{
    struct problems ps;
    struct policy *p;

    problems_init(&ps);
    p = testing_policy(b, text, &ps);
    problems_print(&ps, stderr);
    assert_non_null(p);
    assert_int_equal(ps.errors + ps.warnings, 0);
    problems_free(&ps);
    return p;
}

/* All models on; those of "local" are local. `models` has room for all of the book. */
static inline struct view testing_view(const struct book *b, struct view_model *models)
{
    for (size_t i = 0; i < book_count(b); i++) {
        const struct book_model *m = book_get(b, i);

        models[i] = (struct view_model){ .model = m, .provider = m->provider, .on = true,
                                         .local = span_is(m->provider, "local") };
    }
    return (struct view){ models, book_count(b) };
}

#endif
