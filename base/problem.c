/* problem.c - the list, its lines, and the nearest name for hints. */
#include "base/problem.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/jscan.h"

#define PROBLEMS_KEPT 200u

void problems_init(struct problems *ps)
{
    *ps = (struct problems){ 0 };
}

void problems_free(struct problems *ps)
{
    for (size_t i = 0; i < ps->n; i++) {
        free(ps->list[i].file);
        free(ps->list[i].pointer);
        free(ps->list[i].text);
        free(ps->list[i].hint);
    }
    free(ps->list);
    problems_init(ps);
}

static void problem_keep(struct problems *ps, struct problem p)
{
    struct problem *list = realloc(ps->list, (ps->n + 1) * sizeof *list);

    if (!list)
        return;    /* counted all the same */
    ps->list = list;
    ps->list[ps->n++] = p;
}

void problem_add(struct problems *ps, enum problem_weight weight, const char *pointer, const char *hint,
                 const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    if (weight == PROBLEM_ERROR)
        ps->errors++;
    else
        ps->warnings++;
    if (ps->n >= PROBLEMS_KEPT)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    problem_keep(ps, (struct problem){ .weight = weight,
                                       .file = strdup(ps->file ? ps->file : ""),
                                       .pointer = strdup(pointer ? pointer : ""),
                                       .text = strdup(text),
                                       .hint = hint ? strdup(hint) : NULL });
}

static int line_of(struct span text, const char *at)
{
    int line = 1;

    for (const char *p = text.p; p < at; p++)
        line += *p == '\n';
    return line;
}

/* The place of the pointer, or of its nearest parent that exists: a missing member is shown where it should be. */
static struct span place_of(struct span text, const char *pointer)
{
    char at[1024];
    struct span v;
    char *cut;

    if (snprintf(at, sizeof at, "%s", pointer) >= (int)sizeof at)
        return SPAN_NONE;
    for (;;) {
        v = jval_pointer(text, at);
        cut = strrchr(at, '/');
        if (v.p || !cut)
            return v;
        *cut = '\0';
    }
}

void problems_locate(struct problems *ps, const char *file, struct span text)
{
    for (size_t i = 0; i < ps->n; i++) {
        struct problem *p = &ps->list[i];
        struct span v;

        if (p->line || strcmp(p->file, file) != 0)
            continue;
        v = place_of(text, p->pointer);
        if (v.p)
            p->line = line_of(text, v.p);
    }
}

void problems_print(const struct problems *ps, FILE *out)
{
    for (size_t i = 0; i < ps->n; i++) {
        const struct problem *p = &ps->list[i];

        if (p->line)
            fprintf(out, "%s:%d: ", p->file, p->line);
        else if (p->file[0])
            fprintf(out, "%s: ", p->file);
        fprintf(out, "%s: ", p->weight == PROBLEM_ERROR ? "error" : "warning");
        if (p->pointer[0])
            fprintf(out, "%s: ", p->pointer);
        fprintf(out, "%s", p->text);
        if (p->hint)
            fprintf(out, " (%s)", p->hint);
        fputc('\n', out);
    }
    if (ps->errors + ps->warnings > ps->n)
        fprintf(out, "... and %zu more\n", ps->errors + ps->warnings - ps->n);
}

/* Levenshtein distance of names up to 63 bytes; longer ones are never near. */
static size_t distance(struct span a, struct span b)
{
    size_t row[64];

    if (a.n >= 64 || b.n >= 64)
        return 64;
    for (size_t j = 0; j <= b.n; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            const size_t change = diagonal + (a.p[i - 1] != b.p[j - 1]);
            size_t best = row[j] + 1;

            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            if (change < best)
                best = change;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[b.n];
}

const char *problem_nearest(struct span got, const char *const *names)
{
    const char *best = NULL;
    size_t best_distance = got.n / 3 + 1;    /* one slip in a short name, a third of a long one */

    for (; *names; names++) {
        const size_t d = distance(got, span_str(*names));

        if (d <= best_distance && (!best || d < best_distance)) {
            best = *names;
            best_distance = d;
        }
    }
    return best;
}
