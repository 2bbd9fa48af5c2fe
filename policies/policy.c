/* policy.c - a policy's JSON to structs, with every fault of it named at once.
 *
 * Owns the policy's memory (one arena). Knows nothing of providers' state: policy_check_view compares the two. */
#include "policies/policy.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/jschema.h"
#include "policies/checks.h"
#include "policies/view.h"
#include "policies/when.h"

#define POLICY_BYTES_MAX (16u << 20)

/* Agreed for later versions: said plainly, so that nobody looks for a typing error. */
static const char *const later_step_fields[] = { "hedge_ms", "samples", "agree", "not_before", NULL };
static const char *const later_route_fields[] = { "order", "shadow", "canary", NULL };
static const char *const later_checks[] = { "schema", "not_looping", "language", "code_parses", "agrees", "confident",
                                            "judged", "censored", "regex", "http", NULL };

struct loader {
    struct policy *policy;
    const json_t *doc;
    const struct book *book;
    struct problems *ps;
    char at[JSON_POINTER_ROOM];
    struct policy_label *labels;
    struct policy_route *routes;
    bool no_memory;
};

/* ---- not in this version ---- */

static void refuse_later(json_t *obj, const char *const *fields, char *at, struct problems *ps)
{
    for (; *fields; fields++) {
        size_t cut;

        if (!json_object_get(obj, *fields))
            continue;
        cut = json_at(at, JSON_POINTER_ROOM, *fields);
        problem_error(ps, at, "`%s` is not in this version of tollgate", *fields);
        at[cut] = '\0';
        json_object_del(obj, *fields);
    }
}

/* Names what is agreed but not built yet, and takes it out of `doc` so that the schema has nothing to add. */
static void refuse_later_fields(json_t *doc, struct problems *ps)
{
    char at[JSON_POINTER_ROOM] = "/routes";
    size_t i, k;
    json_t *route, *step;

    json_array_foreach(json_object_get(doc, "routes"), i, route) {
        size_t cut = json_at_index(at, sizeof at, i), steps;

        refuse_later(route, later_route_fields, at, ps);
        steps = json_at(at, sizeof at, "steps");
        json_array_foreach(json_object_get(route, "steps"), k, step) {
            size_t back = json_at_index(at, sizeof at, k);

            refuse_later(step, later_step_fields, at, ps);
            refuse_later(step, later_route_fields, at, ps);    /* `order` has been written there too */
            at[back] = '\0';
        }
        at[steps] = '\0';
        at[cut] = '\0';
    }
}

/* ---- small parts ---- */

static struct span keep(struct loader *l, struct span s)
{
    struct span copy = arena_copy(&l->policy->arena, s);

    if (!copy.p)
        l->no_memory = true;
    return copy;
}

static void *room_for(struct loader *l, size_t count, size_t size, size_t align)
{
    void *p = arena_zalloc_array(&l->policy->arena, count ? count : 1, size, align);

    if (!p)
        l->no_memory = true;
    return p;
}
#define ROOM_FOR(l, type, n) ((type *)room_for((l), (n), sizeof(type), _Alignof(type)))

/* ---- checks ---- */

static const char *nearest_check(const json_t *sets, struct span got)
{
    const char *list[CHECK_COUNT + 256] = { NULL };
    size_t n = 0;
    const char *name;
    json_t *set;

    for (int i = 0; i < CHECK_COUNT; i++)
        list[n++] = check_name((enum check)i);
    json_object_foreach((json_t *)(uintptr_t)sets, name, set)
        if (n + 1 < sizeof list / sizeof *list)
            list[n++] = name;
    return problem_nearest(got, list);
}

static unsigned read_check(struct loader *l, struct span name, const json_t *sets)
{
    enum check c = check_find(name);
    const char *near;
    char hint[160];

    if (c != CHECK_COUNT)
        return CHECK_BIT(c);
    for (size_t i = 0; later_checks[i]; i++) {
        if (span_is(name, later_checks[i])) {
            problem_error(l->ps, l->at, "the check `%s` is not in this version of tollgate", later_checks[i]);
            return 0;
        }
    }
    near = nearest_check(sets, name);
    if (near)
        snprintf(hint, sizeof hint, "did you mean \"%.100s\"?", near);
    problem_add(l->ps, PROBLEM_ERROR, l->at,
                near ? hint : "one of not_refused, not_empty, complete, valid_json, valid_tool_calls",
                "there is no check \"%.*s\"", SPAN_FMT(name));
    return 0;
}

static unsigned read_check_list(struct loader *l, const json_t *list, const json_t *sets)
{
    unsigned bits = 0;

    for (size_t i = 0; i < json_array_size(list); i++) {
        size_t cut = json_at_index(l->at, sizeof l->at, i);

        bits |= read_check(l, json_value_span(json_array_get(list, i)), sets);
        l->at[cut] = '\0';
    }
    return bits;
}

static unsigned read_step_checks(struct loader *l, const json_t *v)
{
    const json_t *sets = json_object_get(l->doc, "checks");
    const json_t *set;
    size_t cut = json_at(l->at, sizeof l->at, "checks");
    unsigned bits = 0;

    if (json_is_array(v)) {
        bits = read_check_list(l, v, sets);
    } else {
        set = json_object_get(sets, json_string_value(v));
        if (!set) {
            bits = read_check(l, json_value_span(v), sets);
        } else {
            for (size_t i = 0; i < json_array_size(set); i++) {    /* faults in it are reported where it stands */
                enum check c = check_find(json_value_span(json_array_get(set, i)));

                bits |= c != CHECK_COUNT ? CHECK_BIT(c) : 0;
            }
        }
    }
    l->at[cut] = '\0';
    return bits;
}

static void read_check_sets(struct loader *l)
{
    const json_t *sets = json_object_get(l->doc, "checks");
    size_t top = json_at(l->at, sizeof l->at, "checks");
    const char *name;
    json_t *list;

    json_object_foreach((json_t *)(uintptr_t)sets, name, list) {
        size_t cut = json_at(l->at, sizeof l->at, name);

        if (check_find(span_str(name)) != CHECK_COUNT)
            problem_error(l->ps, l->at, "a set of checks must not be named like a check");
        read_check_list(l, list, NULL);
        l->at[cut] = '\0';
    }
    l->at[top] = '\0';
}

/* ---- labels ---- */

static void read_labels(struct loader *l)
{
    const json_t *labels = json_object_get(l->doc, "labels");
    size_t n = json_object_size(labels), i = 0, top;
    const char *name;
    json_t *when;

    if (n > POLICY_LABELS_MAX) {
        problem_error(l->ps, "/labels", "has more than %d labels", POLICY_LABELS_MAX);
        return;
    }
    l->labels = ROOM_FOR(l, struct policy_label, n);
    if (!l->labels)
        return;
    json_object_foreach((json_t *)(uintptr_t)labels, name, when)
        l->labels[i++].name = keep(l, span_str(name));
    if (l->no_memory)
        return;
    top = json_at(l->at, sizeof l->at, "labels");
    i = 0;
    json_object_foreach((json_t *)(uintptr_t)labels, name, when) {
        size_t cut = json_at(l->at, sizeof l->at, name);

        when_compile(when, l->labels, n, &l->policy->arena, l->at, l->ps, &l->labels[i++].when);
        l->at[cut] = '\0';
    }
    l->at[top] = '\0';
    l->policy->labels = l->labels;
    l->policy->n_labels = n;
}

/* Does label `i` lead back to itself? `seen` holds one bit a label. Depth is bounded by the number of labels. */
static bool label_leads_to(const struct policy *p, size_t i, size_t goal, uint64_t *seen)
{
    const struct policy_when *w = &p->labels[i].when;

    for (size_t k = 0; k < w->n_nodes; k++) {
        size_t next = w->nodes[k].label;

        if (w->nodes[k].atom != ATOM_LABEL)
            continue;
        if (next == goal)
            return true;
        if (*seen >> next & 1)
            continue;
        *seen |= UINT64_C(1) << next;
        if (label_leads_to(p, next, goal, seen))
            return true;
    }
    return false;
}

static void refuse_label_cycles(struct loader *l)
{
    for (size_t i = 0; i < l->policy->n_labels; i++) {
        uint64_t seen = 0;
        char at[JSON_POINTER_ROOM] = "/labels";

        if (!label_leads_to(l->policy, i, i, &seen))
            continue;
        json_at(at, sizeof at, l->policy->labels[i].name.p);
        problem_error(l->ps, at, "is defined by itself");
    }
}

static void warn_unused_labels(struct loader *l)
{
    const struct policy *p = l->policy;
    uint64_t used = 0;

    for (size_t i = 0; i < p->n_routes; i++)
        for (size_t k = 0; k < p->routes[i].when.n_nodes; k++)
            if (p->routes[i].when.nodes[k].atom == ATOM_LABEL)
                used |= UINT64_C(1) << p->routes[i].when.nodes[k].label;
    for (size_t i = 0; i < p->n_labels; i++)
        if (used >> i & 1)
            label_leads_to(p, i, SIZE_MAX, &used);
    for (size_t i = 0; i < p->n_labels; i++) {
        char at[JSON_POINTER_ROOM] = "/labels";

        if (used >> i & 1)
            continue;
        json_at(at, sizeof at, p->labels[i].name.p);
        problem_warning(l->ps, at, "no route uses this label");
    }
}

/* ---- steps and routes ---- */

#define MODELS_LISTED 512
static const char *nearest_model(const struct book *book, struct span got)
{
    const char *list[2 * MODELS_LISTED + 1];
    size_t n = 0;

    for (size_t i = 0; i < book_count(book) && i < MODELS_LISTED; i++) {    /* the book's spans end in NUL */
        list[n++] = book_get(book, i)->key.p;
        list[n++] = book_get(book, i)->name.p;
    }
    list[n] = NULL;
    return problem_nearest(got, list);
}

/* "provider/model", or a bare name that exactly one provider has. NULL after a problem. */
static const struct book_model *read_model(struct loader *l, struct span named)
{
    const struct book_model *m = book_find(l->book, named), *other;
    const char *near;
    char hint[256];

    if (m)
        return m;
    m = book_next_named(l->book, named, NULL);
    other = m ? book_next_named(l->book, named, m) : NULL;
    if (m && !other)
        return m;
    if (m) {
        snprintf(hint, sizeof hint, "write \"%.*s\" or \"%.*s\"", SPAN_FMT(span_first(m->key, 90)),
                 SPAN_FMT(span_first(other->key, 90)));
        problem_add(l->ps, PROBLEM_ERROR, l->at, hint, "several providers have a model \"%.*s\"", SPAN_FMT(named));
        return NULL;
    }
    near = nearest_model(l->book, named);
    if (near)
        snprintf(hint, sizeof hint, "did you mean \"%.200s\"?", near);
    problem_add(l->ps, PROBLEM_ERROR, l->at, near ? hint : NULL, "the price book has no model \"%.*s\"",
                SPAN_FMT(named));
    return NULL;
}

static void read_step(struct loader *l, const json_t *v, struct policy_step *step)
{
    const json_t *checks = json_object_get(v, "checks");
    size_t cut = json_at(l->at, sizeof l->at, "model");

    step->named = keep(l, json_span(v, "model"));
    step->model = read_model(l, json_span(v, "model"));
    l->at[cut] = '\0';
    step->attempts = (unsigned)json_int(v, "attempts", 1);
    if (checks)
        step->checks = read_step_checks(l, checks);
}

static void read_steps(struct loader *l, const json_t *list, struct policy_route *route)
{
    size_t n = json_array_size(list), cut;
    struct policy_step *steps = ROOM_FOR(l, struct policy_step, n);

    if (!steps)
        return;
    cut = json_at(l->at, sizeof l->at, "steps");
    for (size_t i = 0; i < n; i++) {
        size_t back = json_at_index(l->at, sizeof l->at, i);

        read_step(l, json_array_get(list, i), &steps[i]);
        l->at[back] = '\0';
    }
    l->at[cut] = '\0';
    route->steps = steps;
    route->n_steps = n;
}

static void read_stream(struct loader *l, struct span s, struct policy_route *route)
{
    uint64_t n = 0;
    bool checked = false;

    for (size_t i = 0; i < route->n_steps; i++)
        checked |= route->steps[i].checks != 0;
    route->stream = checked ? STREAM_HOLD : STREAM_PASS;
    if (!s.p)
        return;
    if (span_starts(s, SPAN_LIT("window:"))) {
        span_to_u64(span_skip(s, 7), UINT32_MAX, &n);    /* the schema saw to its form */
        route->stream = STREAM_WINDOW;
        route->window_chars = (uint32_t)n;
    } else {
        route->stream = span_is(s, "pass") ? STREAM_PASS : STREAM_HOLD;
    }
    if (route->stream == STREAM_PASS && checked) {
        size_t cut = json_at(l->at, sizeof l->at, "stream");

        problem_add(l->ps, PROBLEM_WARNING, l->at, "\"hold\" or \"window:400\" lets them",
                    "with \"pass\" no check can stop a streamed answer");
        l->at[cut] = '\0';
    }
}

static void read_route_name(struct loader *l, size_t i, struct span name)
{
    size_t cut = json_at(l->at, sizeof l->at, "name");

    if (span_is(name, "auto") || span_is(name, "direct"))
        problem_error(l->ps, l->at, "\"%.*s\" has a meaning of its own and cannot name a route", SPAN_FMT(name));
    for (size_t k = 0; k < i; k++) {
        if (span_eq(l->routes[k].name, name)) {
            problem_error(l->ps, l->at, "route %zu has this name already", k);
            break;
        }
    }
    l->at[cut] = '\0';
    l->routes[i].name = keep(l, name);
}

static void read_route(struct loader *l, const json_t *v, size_t i, size_t n)
{
    struct policy_route *route = &l->routes[i];
    const json_t *when = json_object_get(v, "when");
    size_t cut;

    read_route_name(l, i, json_span(v, "name"));
    route->local = json_span(v, "placement").p != NULL;
    read_steps(l, json_object_get(v, "steps"), route);
    read_stream(l, json_span(v, "stream"), route);
    cut = json_at(l->at, sizeof l->at, "when");
    if (when && i + 1 == n)
        problem_error(l->ps, l->at, "the last route must have no `when`, so that every request has a route");
    if (when)
        when_compile(when, l->labels, l->policy->n_labels, &l->policy->arena, l->at, l->ps, &route->when);
    l->at[cut] = '\0';
    if (!when && i + 1 < n)
        problem_error(l->ps, l->at, "has no `when`: the routes behind it can never be reached");
}

static void read_routes(struct loader *l)
{
    const json_t *list = json_object_get(l->doc, "routes");
    size_t n = json_array_size(list), top;

    l->routes = ROOM_FOR(l, struct policy_route, n);
    if (!l->routes)
        return;
    top = json_at(l->at, sizeof l->at, "routes");
    for (size_t i = 0; i < n; i++) {
        size_t cut = json_at_index(l->at, sizeof l->at, i);

        read_route(l, json_array_get(list, i), i, n);
        l->at[cut] = '\0';
    }
    l->at[top] = '\0';
    l->policy->routes = l->routes;
    l->policy->n_routes = n;
}

static void read_limits(struct loader *l)
{
    const json_t *v = json_object_get(l->doc, "limits");
    struct policy_limits *lim = &l->policy->limits;
    struct span cost = json_span(v, "cost_usd");
    enum price_parse rc;

    lim->cost_nano = -1;
    lim->output_tokens = json_int(v, "output_tokens", 0);
    lim->time_ms = json_int(v, "time_ms", POLICY_TIME_MS);
    lim->attempts = (unsigned)json_int(v, "attempts", POLICY_ATTEMPTS_MAX);
    if (!cost.p)
        return;
    rc = price_parse_usd(cost, &lim->cost_nano);
    if (rc != PRICE_PARSE_OK)
        problem_error(l->ps, "/limits/cost_usd", "%s", price_parse_text(rc, 9));
    else if (lim->cost_nano == 0)
        problem_add(l->ps, PROBLEM_ERROR, "/limits/cost_usd", "leave it out for no limit",
                    "a limit of 0 lets no priced model be called");
}

/* ---- the whole ---- */

struct policy *policy_load(const json_t *doc, const struct book *book, struct problems *ps)
{
    const size_t errors = ps->errors;
    json_t *now = json_deep_copy(doc);
    struct loader l = { .doc = now, .book = book, .ps = ps };

    if (!now)
        goto out;
    refuse_later_fields(now, ps);
    if (!jschema_check_bundled("policy.schema.json", now, ps))
        goto out;    /* what follows relies on its shape */
    l.policy = calloc(1, sizeof *l.policy);
    if (!l.policy)
        goto out;
    arena_init(&l.policy->arena, POLICY_BYTES_MAX);
    l.policy->book = book;
    l.policy->name = keep(&l, json_span(now, "name"));
    read_check_sets(&l);
    read_labels(&l);
    read_routes(&l);
    read_limits(&l);
    if (ps->errors == errors && !l.no_memory) {
        refuse_label_cycles(&l);
        warn_unused_labels(&l);
    }
out:
    if (!now || !l.policy || l.no_memory) {
        if (ps->errors == errors)
            problem_error(ps, "", "no memory");
    }
    json_decref(now);
    if (ps->errors != errors) {
        policy_free(l.policy);
        return NULL;
    }
    return l.policy;
}

void policy_free(struct policy *p)
{
    if (!p)
        return;
    arena_free(&p->arena);
    free(p);
}

const struct policy_route *policy_route(const struct policy *p, struct span name)
{
    for (size_t i = 0; i < p->n_routes; i++)
        if (span_eq(p->routes[i].name, name))
            return &p->routes[i];
    return NULL;
}

/* ---- policy and providers ---- */

static void check_step(const struct policy_route *route, const struct policy_step *step, const struct view *v,
                       const char *at, struct problems *ps)
{
    const struct view_model *m = view_find(v, step->model);

    if (!m)
        problem_warning(ps, at, "this step will be skipped: no provider of the config serves \"%.*s\"",
                        SPAN_FMT(step->model->key));
    else if (route->local && !m->local)
        problem_error(ps, at, "route \"%.*s\" is placement: local, but provider \"%.*s\" is not",
                      SPAN_FMT(route->name), SPAN_FMT(m->provider));
    else if (!m->on)
        problem_warning(ps, at, "provider \"%.*s\" is off: this step will be skipped", SPAN_FMT(m->provider));
    if (step->model->retired.p && step->model->successor.p)
        problem_warning(ps, at, "\"%.*s\" was retired on %.*s; its successor is \"%.*s\"", SPAN_FMT(step->model->key),
                        SPAN_FMT(step->model->retired), SPAN_FMT(step->model->successor));
    else if (step->model->retired.p)
        problem_warning(ps, at, "\"%.*s\" was retired on %.*s", SPAN_FMT(step->model->key),
                        SPAN_FMT(step->model->retired));
}

void policy_check_view(const struct policy *p, const struct view *v, struct problems *ps)
{
    for (size_t i = 0; i < p->n_routes; i++) {
        const struct policy_route *route = &p->routes[i];
        bool any_on = false;
        char at[JSON_POINTER_ROOM];

        for (size_t k = 0; k < route->n_steps; k++) {
            const struct view_model *m = view_find(v, route->steps[k].model);

            any_on |= m && m->on;
            snprintf(at, sizeof at, "/routes/%zu/steps/%zu/model", i, k);
            check_step(route, &route->steps[k], v, at, ps);
        }
        snprintf(at, sizeof at, "/routes/%zu", i);
        if (!any_on)
            problem_warning(ps, at, "no provider of route \"%.*s\" is on: its requests will be refused",
                            SPAN_FMT(route->name));
    }
}
