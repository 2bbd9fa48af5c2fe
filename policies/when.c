/* when.c - compiles a `when`: one object an atom, exactly one verb in each, everything named is known.
 *
 * Owns the grammar of DESIGN section 6 beyond what the schema can say. Evaluates nothing (match.c does). */
#include "policies/when.h"

#include <stdio.h>
#include <stdlib.h>

struct compiler {
    const struct policy_label *labels;
    size_t n_labels;
    struct arena *arena;
    char *at;
    struct problems *ps;
    struct policy_node *nodes;
    size_t n;
};

static const char *const verbs[] = {
    [ATOM_ALL] = "all", [ATOM_ANY] = "any", [ATOM_NOT] = "not", [ATOM_LABEL] = "label", [ATOM_HEADER] = "header",
    [ATOM_TEAM] = "team", [ATOM_KEY] = "key", [ATOM_TAG] = "tag", [ATOM_MODEL] = "model",
    [ATOM_DIALECT] = "dialect", [ATOM_MODALITY] = "modality", [ATOM_FEATURE] = "feature",
};
#define VERBS (sizeof verbs / sizeof *verbs)
static const char *const dialects[] = { FEATURE_DIALECTS, NULL };
static const char *const modalities[] = { "text", "image", "audio", "video", "file", NULL };

/* "did you mean "x"?", or the whole list when nothing is near. */
static void unknown(struct compiler *c, const char *what, struct span got, const char *const *names)
{
    const char *near = problem_nearest(got, names);
    char hint[512];
    size_t n = 0;

    if (near) {
        snprintf(hint, sizeof hint, "did you mean \"%s\"?", near);
    } else {
        n = (size_t)snprintf(hint, sizeof hint, "one of");
        for (; *names && n + 40 < sizeof hint; names++)
            n += (size_t)snprintf(hint + n, sizeof hint - n, " %.30s", *names);
    }
    problem_add(c->ps, PROBLEM_ERROR, c->at, hint, "there is no %s \"%.*s\"", what, SPAN_FMT(got));
}

/* A string or a list of them, copied. */
static bool take_words(struct compiler *c, const json_t *v, struct policy_node *node)
{
    size_t n = json_is_array(v) ? json_array_size(v) : 1;
    struct span *words = ARENA_ARRAY(c->arena, struct span, n);

    if (!words)
        return false;
    for (size_t i = 0; i < n; i++) {
        words[i] = arena_copy(c->arena, json_value_span(json_is_array(v) ? json_array_get(v, i) : v));
        if (!words[i].p)
            return false;
    }
    node->values = words;
    node->n_values = n;
    return true;
}

static bool take_label(struct compiler *c, struct policy_node *node, struct span name)
{
    const char *names[POLICY_LABELS_MAX + 1];

    for (size_t i = 0; i < c->n_labels; i++) {
        if (span_eq(c->labels[i].name, name)) {
            node->label = (uint32_t)i;
            return true;
        }
        names[i] = c->labels[i].name.p;    /* arena copies end in NUL */
    }
    names[c->n_labels] = NULL;
    if (c->n_labels)
        unknown(c, "label", name, names);
    else
        problem_error(c->ps, c->at, "there is no label \"%.*s\": this policy has no labels", SPAN_FMT(name));
    return false;
}

static bool take_header(struct compiler *c, const json_t *obj, struct policy_node *node)
{
    struct span name = arena_copy(c->arena, json_span(obj, "header"));
    const json_t *is = json_object_get(obj, "is");

    if (!name.p)
        return false;
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] >= 'A' && name.p[i] <= 'Z')
            ((char *)(uintptr_t)name.p)[i] |= 32;    /* our own copy */
    node->name = name;
    if (!is)
        return true;
    if (!json_is_string(is) && !json_is_array(is)) {
        problem_error(c->ps, c->at, "a header's `is` must be a text or a list of texts");
        return false;
    }
    return take_words(c, is, node);
}

static bool take_dialects(struct compiler *c, struct policy_node *node)
{
    for (size_t i = 0; i < node->n_values; i++) {
        size_t k = 0;

        while (dialects[k] && !span_is(node->values[i], dialects[k]))
            k++;
        if (!dialects[k]) {
            unknown(c, "dialect", node->values[i], dialects);
            return false;
        }
    }
    return true;
}

static bool take_modalities(struct compiler *c, struct policy_node *node)
{
    for (size_t i = 0; i < node->n_values; i++) {
        unsigned bit = book_modality(node->values[i]);

        if (!bit) {
            unknown(c, "modality", node->values[i], modalities);
            return false;
        }
        node->modalities |= bit;
    }
    return true;
}

static bool take_feature(struct compiler *c, const json_t *obj, struct policy_node *node)
{
    static const char *const compares[] = { "at_least", "at_most", "is" };
    const char *names[FEATURE_COUNT + 1] = { NULL };
    struct span name = json_span(obj, "feature");
    int given = 0;

    node->feature = feature_find(name);
    if (node->feature == FEATURE_COUNT) {
        for (int i = 0; i < FEATURE_COUNT; i++)
            names[i] = feature_name((enum feature)i);
        unknown(c, "feature", name, names);
        return false;
    }
    for (int i = 0; i < 3; i++) {
        const json_t *v = json_object_get(obj, compares[i]);

        if (!v)
            continue;
        given++;
        node->compare = (enum compare)i;
        if (!json_is_number(v) && !json_is_boolean(v)) {
            problem_error(c->ps, c->at, "a feature is compared with a number, true or false");
            return false;
        }
        node->number = json_is_number(v) ? json_number_value(v) : json_is_true(v);
    }
    if (given == 1)
        return true;
    problem_error(c->ps, c->at, "a feature needs exactly one of at_least, at_most, is");
    return false;
}

/* `is`, `at_least`, `at_most` where they mean nothing: the author had something in mind that does not happen. */
static bool companions_fit(struct compiler *c, const json_t *obj, enum atom atom)
{
    bool ok = true;

    if (atom != ATOM_FEATURE && (json_object_get(obj, "at_least") || json_object_get(obj, "at_most"))) {
        problem_error(c->ps, c->at, "at_least and at_most go with `feature` only");
        ok = false;
    }
    if (atom != ATOM_FEATURE && atom != ATOM_HEADER && json_object_get(obj, "is")) {
        problem_error(c->ps, c->at, "`is` goes with `header` and `feature` only: write {\"%s\": VALUE}", verbs[atom]);
        ok = false;
    }
    return ok;
}

static bool compile(struct compiler *c, const json_t *when, int depth);

static bool compile_list(struct compiler *c, const json_t *list, int depth)
{
    bool ok = true;

    for (size_t i = 0; i < json_array_size(list); i++) {
        size_t cut = json_at_index(c->at, JSON_POINTER_ROOM, i);

        ok = compile(c, json_array_get(list, i), depth + 1) && ok;    /* go on: all errors at once */
        c->at[cut] = '\0';
    }
    return ok;
}

/* The one verb of an atom; VERBS after a problem. */
static size_t find_verb(struct compiler *c, const json_t *when)
{
    size_t verb = VERBS, given = 0;

    for (size_t i = 0; i < VERBS; i++) {
        if (json_object_get(when, verbs[i])) {
            given++;
            verb = i;
        }
    }
    if (given == 1)
        return verb;
    problem_add(c->ps, PROBLEM_ERROR, c->at,
                given > 1 ? "join several with {\"all\": [...]} or {\"any\": [...]}" : NULL,
                "must have exactly one of all, any, not, label, header, team, key, tag, model, dialect, modality, "
                "feature");
    return VERBS;
}

static bool compile_inner(struct compiler *c, const json_t *when, size_t verb, int depth)
{
    const json_t *inner = json_object_get(when, verbs[verb]);
    size_t cut = json_at(c->at, JSON_POINTER_ROOM, verbs[verb]);
    bool ok = verb == ATOM_NOT ? compile(c, inner, depth + 1) : compile_list(c, inner, depth);

    c->at[cut] = '\0';
    return ok;
}

static bool compile(struct compiler *c, const json_t *when, int depth)
{
    size_t verb, self = c->n;
    struct policy_node *node;
    const json_t *value;

    if (depth > WHEN_DEPTH_MAX || c->n == WHEN_NODES_MAX) {
        problem_error(c->ps, c->at, depth > WHEN_DEPTH_MAX ? "is nested deeper than %d" : "has more than %d parts",
                      depth > WHEN_DEPTH_MAX ? WHEN_DEPTH_MAX : WHEN_NODES_MAX);
        return false;
    }
    verb = find_verb(c, when);
    if (verb == VERBS || !companions_fit(c, when, (enum atom)verb))
        return false;
    node = &c->nodes[c->n++];
    *node = (struct policy_node){ .atom = (enum atom)verb, .size = 1 };
    value = json_object_get(when, verbs[verb]);
    switch (node->atom) {
    case ATOM_ALL:
    case ATOM_ANY:
    case ATOM_NOT:
        if (!compile_inner(c, when, verb, depth))
            return false;
        node->size = (uint32_t)(c->n - self);
        return true;
    case ATOM_LABEL:
        return take_label(c, node, json_value_span(value));
    case ATOM_HEADER:
        return take_header(c, when, node);
    case ATOM_TEAM:
    case ATOM_KEY:
    case ATOM_TAG:
    case ATOM_MODEL:
        return take_words(c, value, node);
    case ATOM_DIALECT:
        return take_words(c, value, node) && take_dialects(c, node);
    case ATOM_MODALITY:
        return take_words(c, value, node) && take_modalities(c, node);
    case ATOM_FEATURE:
        return take_feature(c, when, node);
    }
    return false;
}

bool when_compile(const json_t *when, const struct policy_label *labels, size_t n_labels, struct arena *a, char *at,
                  struct problems *ps, struct policy_when *out)
{
    struct compiler c = { .labels = labels, .n_labels = n_labels, .arena = a, .at = at, .ps = ps };
    struct policy_node *nodes = calloc(WHEN_NODES_MAX, sizeof *nodes);    /* its true size is known only at the end */
    bool ok = false;

    if (!nodes)
        return false;
    c.nodes = nodes;
    if (!compile(&c, when, 1))
        goto out;
    out->nodes = ARENA_ARRAY(a, struct policy_node, c.n);
    if (!out->nodes)
        goto out;
    memcpy((void *)(uintptr_t)out->nodes, nodes, c.n * sizeof *nodes);
    out->n_nodes = c.n;
    ok = true;
out:
    free(nodes);
    return ok;
}
