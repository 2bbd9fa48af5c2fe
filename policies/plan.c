/* plan.c - the route of a request and what its steps mean here and now.
 *
 * Owns the lookup of names, the caps and the limits. Knows nothing of health (machine.c) and calls nothing. */
#include "policies/plan.h"

#include <stdio.h>

#include "policies/match.h"

#define OUTPUT_LEAST 256    /* where the prompt's estimate leaves less of the window: the estimate may be wrong */

const char *plan_skip_text(enum plan_skip s)
{
    switch (s) {
    case PLAN_USABLE: return "usable";
    case PLAN_NO_PROVIDER: return "no provider of the config serves it";
    case PLAN_OFF: return "its provider is off";
    case PLAN_NOT_LOCAL: return "the route is placement: local, and its provider is not";
    case PLAN_MODALITY: return "it does not read what the prompt holds";
    case PLAN_DIALECT: return "its provider's dialect cannot say what is asked";
    case PLAN_TOO_LONG: return "the prompt does not fit its window";
    case PLAN_NO_PRICE: return "no price of it is in force";
    case PLAN_TOO_DEAR: return "one attempt may cost more than the limit";
    }
    return "?";
}

/* ---- names (DESIGN section 4: "A caller's `model` is looked up in this order") ---- */

static bool is_alias(const struct book_model *m, struct span name)
{
    if (span_eq(m->upstream_id, name))
        return true;
    for (size_t i = 0; i < m->n_aliases; i++)
        if (span_eq(m->aliases[i], name))
            return true;
    return false;
}

enum kind { BY_KEY, BY_ALIAS, BY_NAME, BY_KINDS };

static bool is_named(const struct book_model *m, struct span name, enum kind kind)
{
    switch (kind) {
    case BY_KEY: return span_eq(m->key, name);
    case BY_ALIAS: return is_alias(m, name);
    case BY_NAME: case BY_KINDS: break;
    }
    return span_eq(m->name, name);
}

/* Of several the first that is on, else the first. */
static const struct view_model *find_model(const struct view *v, struct span name)
{
    for (int kind = BY_KEY; kind < BY_KINDS; kind++) {
        const struct view_model *off = NULL;

        for (size_t i = 0; i < v->n_models; i++) {
            const struct view_model *m = &v->models[i];

            if (!is_named(m->model, name, (enum kind)kind))
                continue;
            if (m->on)
                return m;
            off = off ? off : m;
        }
        if (off)
            return off;
    }
    return NULL;
}

struct target {
    const struct policy_route *route;
    const struct view_model *direct;
    struct span named;             /* what the caller asked for; SPAN_NONE: the policy decides */
};

static enum plan_rc find_named(const struct policy *p, const struct features *f, const struct view *v,
                               struct target *t)
{
    static const struct span claude = { "claude-", 7 };
    struct span model = f->model;

    t->named = SPAN_NONE;
    if (f->route_asked.n) {
        t->named = f->route_asked;
        if (span_is(f->route_asked, "auto")) {
            t->named = SPAN_NONE;
            return PLAN_OK;
        }
        t->route = policy_route(p, f->route_asked);
        return t->route ? PLAN_OK : PLAN_UNKNOWN_ROUTE;
    }
    if (model.n == 0 || span_is(model, "auto"))
        return PLAN_OK;
    t->named = model;
    t->route = policy_route(p, model);
    t->direct = t->route ? NULL : find_model(v, model);
    if (t->route || t->direct)
        return PLAN_OK;
    if (span_starts(model, claude) && span_is(f->dialect, "anthropic")) {    /* its clients keep only such names */
        model = span_skip(model, claude.n);
        if (span_is(model, "auto")) {
            t->named = SPAN_NONE;
            return PLAN_OK;
        }
        t->route = policy_route(p, model);
    }
    return t->route ? PLAN_OK : PLAN_UNKNOWN_MODEL;
}

static struct span name_error(enum plan_rc rc, const struct policy *p, const struct features *f, const struct view *v,
                              struct arena *a)
{
    const char *names[POLICY_ROUTES_MAX + 257];
    struct span got = rc == PLAN_UNKNOWN_ROUTE ? f->route_asked : f->model;
    const char *near;
    size_t n = 0;

    for (size_t i = 0; i < p->n_routes; i++)
        names[n++] = p->routes[i].name.p;    /* both end in NUL: copies in an arena */
    if (rc == PLAN_UNKNOWN_MODEL) {
        for (size_t i = 0; i < v->n_models && i < 128; i++) {
            names[n++] = v->models[i].model->key.p;
            names[n++] = v->models[i].model->name.p;
        }
    }
    names[n] = NULL;
    got = span_first(got, 200);
    near = problem_nearest(got, names);
    if (rc == PLAN_UNKNOWN_ROUTE)
        return arena_printf(a, "The header x-tollgate-route names no route of this policy: \"%.*s\"%s%s%s", SPAN_FMT(got),
                            near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return arena_printf(a, "There is no model or route \"%.*s\"%s%s%s \"auto\" lets the policy decide; GET /v1/models "
                        "lists what there is.", SPAN_FMT(got), near ? "; did you mean \"" : "", near ? near : "",
                        near ? "\"?" : ".");
}

/* ---- steps ---- */

static int64_t output_cap(const struct policy *p, const struct features *f, const struct book_model *m)
{
    int64_t cap = f->asked.max_tokens, left;

    if (cap > 0)
        return cap < m->max_output ? cap : m->max_output;
    cap = p->limits.output_tokens > 0 && p->limits.output_tokens < m->max_output ? p->limits.output_tokens
                                                                                 : m->max_output;
    left = m->context - estimate_prompt_typical(m, &f->parts); /* several hosts refuse prompt + cap above the window */
    if (left < OUTPUT_LEAST)
        left = OUTPUT_LEAST;
    return cap < left ? cap : left;
}

/* A token of text is hardly ever longer than eight bytes: half of what is typical is certain enough. */
static bool is_too_long(const struct features *f, const struct book_model *m)
{
    return estimate_prompt_typical(m, &f->parts) / 2 > m->context;
}

static enum plan_skip skip_of(const struct plan *plan, const struct features *f, const struct plan_step *s)
{
    if (!s->view)
        return PLAN_NO_PROVIDER;
    if (plan->local && !s->view->local)
        return PLAN_NOT_LOCAL;
    if (!s->view->on)
        return PLAN_OFF;
    if (f->modalities & ~s->model->modalities)
        return PLAN_MODALITY;
    if (is_too_long(f, s->model))
        return PLAN_TOO_LONG;
    return PLAN_USABLE;
}

static void fill_step(const struct policy *p, const struct features *f, const struct plan *plan, struct plan_step *s)
{
    s->output_cap = output_cap(p, f, s->model);
    s->worst_nano = -1;
    s->skip = skip_of(plan, f, s);
}

static bool fill_steps(const struct policy *p, const struct features *f, const struct view *v, const struct target *t,
                       struct arena *a, struct plan *plan)
{
    const struct policy_route *r = plan->route;

    plan->n_steps = r ? r->n_steps : 1;
    plan->steps = ARENA_ARRAY(a, struct plan_step, plan->n_steps);
    if (!plan->steps)
        return false;
    for (size_t i = 0; i < plan->n_steps; i++) {
        struct plan_step *s = &plan->steps[i];

        s->model = r ? r->steps[i].model : t->direct->model;
        s->view = r ? view_find(v, s->model) : t->direct;
        s->attempts = r ? r->steps[i].attempts : 1;
        s->checks = r ? r->steps[i].checks : 0;
        fill_step(p, f, plan, s);
    }
    return true;
}

static void fill_limits(const struct policy *p, const struct features *f, struct plan *plan)
{
    plan->cost_limit_nano = p->limits.cost_nano;
    if (f->max_cost_nano >= 0 && (plan->cost_limit_nano < 0 || f->max_cost_nano < plan->cost_limit_nano)) {
        plan->cost_limit_nano = f->max_cost_nano;
        plan->cost_limit_is_callers = true;
    }
    plan->time_ms = p->limits.time_ms;
    if (f->deadline_ms >= 0 && f->deadline_ms < plan->time_ms) {
        plan->time_ms = f->deadline_ms;
        plan->time_limit_is_callers = true;
    }
    plan->attempts = p->limits.attempts;
}

enum plan_rc plan_make(const struct policy *p, const struct features *f, const struct view *v, int64_t at_ms,
                       struct arena *a, struct plan *out, struct span *error)
{
    struct match_memo memo = { 0 };
    struct target t = { 0 };
    const struct policy_route *claim = NULL;
    enum plan_rc rc = find_named(p, f, v, &t);

    *out = (struct plan){ .at_ms = at_ms, .asked = f->asked, .features = f };
    if (rc != PLAN_OK) {
        if (error)
            *error = name_error(rc, p, f, v, a);
        return rc;
    }
    if (t.named.p)
        claim = match_claim(p, f, &memo);
    else
        t.route = match_route(p, f, &memo);
    if (claim && claim != t.route) {
        out->warning = arena_printf(a, "route \"%.*s\" keeps this request on the operator's machines; \"%.*s\" was not "
                                    "followed", SPAN_FMT(claim->name), SPAN_FMT(span_first(t.named, 100)));
        out->claimed = true;
        t.route = claim;
        t.direct = NULL;
        if (!out->warning.p)
            return PLAN_MEMORY;
    }
    out->route = t.route;
    out->route_name = t.route ? t.route->name : SPAN_LIT("direct");
    out->local = t.route && t.route->local;
    out->stream = !f->stream ? STREAM_HOLD : t.route ? t.route->stream : STREAM_PASS;
    out->window_chars = t.route ? t.route->window_chars : 0;
    fill_limits(p, f, out);
    return fill_steps(p, f, v, &t, a, out) ? PLAN_OK : PLAN_MEMORY;
}

/* ---- prices ---- */

bool plan_price(struct plan *plan, size_t i)
{
    struct plan_step *s = &plan->steps[i];
    const struct features *f = plan->features;
    const struct price_bounds bounds = {
        .prompt = estimate_prompt_upper(s->model, &f->parts),
        .output = estimate_output_upper(s->model, s->output_cap),
        .choices = f->choices,
        .searches = f->searches,
        .from_ms = plan->at_ms,
        .until_ms = plan->at_ms + plan->time_ms,
        .service_tier = f->service_tier,
        .cache_5m = f->cache_5m,
        .cache_1h = f->cache_1h,
        .audio = (f->modalities & BOOK_AUDIO) != 0,
        .image = (f->modalities & (BOOK_IMAGE | BOOK_VIDEO)) != 0,
    };
    enum price_rc rc;

    if (s->skip != PLAN_USABLE)
        return false;
    if (s->worst_nano < 0) {
        rc = price_worst(s->model, &bounds, &s->worst_nano);
        if (rc != PRICE_OK)
            s->skip = PLAN_NO_PRICE;    /* or none that can be bounded in 64 bits */
        else if (plan->cost_limit_nano >= 0 && s->worst_nano > plan->cost_limit_nano)
            s->skip = PLAN_TOO_DEAR;
    }
    return s->skip == PLAN_USABLE;
}
