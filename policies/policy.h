/* policy.h - a policy file as structs: read once, checked whole, read-only after; shared by all workers.
 *
 * The structs are open so that matcher, planner, machine and tools read them directly. Everything in them belongs to
 * the policy, but for the models, which belong to the book: the book must outlive the policy. */
#ifndef TOLLGATE_POLICIES_POLICY_H
#define TOLLGATE_POLICIES_POLICY_H

#include <jansson.h>

#include "base/arena.h"
#include "base/problem.h"
#include "base/span.h"
#include "policies/features.h"

#define POLICY_ROUTES_MAX   256
#define POLICY_STEPS_MAX    32     /* of one route */
#define POLICY_ATTEMPTS_MAX 32     /* of one step, and of one request */
#define POLICY_LABELS_MAX   64
#define POLICY_TIME_MS      600000 /* limits.time_ms where the policy names none */

enum atom {
    ATOM_ALL, ATOM_ANY, ATOM_NOT,  /* inner nodes: `size` nodes follow, their own included */
    ATOM_LABEL, ATOM_HEADER, ATOM_TEAM, ATOM_KEY, ATOM_TAG, ATOM_MODEL, ATOM_DIALECT, ATOM_MODALITY, ATOM_FEATURE,
};
enum compare { COMPARE_AT_LEAST, COMPARE_AT_MOST, COMPARE_IS };

/* A `when` is an array of nodes in prefix order; node i's subtree is nodes [i, i + size). */
struct policy_node {
    enum atom atom;
    uint32_t size;
    uint32_t label;                /* ATOM_LABEL: index into policy.labels */
    struct span name;              /* header or tag name, lower case for headers */
    const struct span *values;     /* any of these; n_values 0: being there is enough */
    size_t n_values;
    unsigned modalities;           /* ATOM_MODALITY: any of these bits of enum book_modality */
    enum feature feature;
    enum compare compare;
    double number;
};

struct policy_when {
    const struct policy_node *nodes;
    size_t n_nodes;                /* 0: always holds */
};

struct policy_label {
    struct span name;
    struct policy_when when;
};

struct policy_step {
    const struct book_model *model;
    struct span named;             /* as the file names it */
    unsigned attempts;             /* >= 1 */
    unsigned checks;               /* bits of enum check */
};

enum stream_mode { STREAM_HOLD, STREAM_WINDOW, STREAM_PASS };

struct policy_route {
    struct span name;
    struct policy_when when;
    bool local;                    /* placement: local */
    enum stream_mode stream;
    uint32_t window_chars;         /* STREAM_WINDOW: characters (code points) of text */
    const struct policy_step *steps;
    size_t n_steps;
};

struct policy_limits {
    int64_t cost_nano;             /* -1: none */
    int64_t output_tokens;         /* 0: the model's max_output */
    int64_t time_ms;
    unsigned attempts;             /* of one request, all steps together */
};

struct policy {
    struct span name;
    const struct policy_label *labels;
    size_t n_labels;
    const struct policy_route *routes;
    size_t n_routes;               /* >= 1; the last has no `when` */
    struct policy_limits limits;
    const struct book *book;
    struct arena arena;            /* private */
};

/* Checks `doc` against policy.schema.json, then for sense: model names known and unambiguous, labels and checks
 * defined and without cycles, route names unique and none of the words with a meaning of their own ("auto",
 * "direct"), the last route without `when` and no other. All faults go to `ps`, each with its JSON pointer and,
 * where there is one, the nearest right name as hint. NULL when there is an error. `doc` is not needed after. */
struct policy *policy_load(const json_t *doc, const struct book *book, struct problems *ps);
void policy_free(struct policy *p);

/* NULL when there is no such route. */
const struct policy_route *policy_route(const struct policy *p, struct span name);

struct view;
/* For `check`: what of the policy does not fit these providers. A local route with a step that is not local is an
 * error; a step whose model no provider serves, a provider that is off and a retired model are warnings. */
void policy_check_view(const struct policy *p, const struct view *v, struct problems *ps);

#endif
