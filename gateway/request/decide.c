/* decide.c - see decide.h. What the policy is shown, and what its plan means for this request. Decides nothing itself. */
#include "gateway/request/decide.h"

#include "base/clock.h"
#include "gateway/server/worker.h"

const struct snapshot_model *decide_target(const struct request *r, size_t step)
{
    return &r->snapshot->models[r->view_index[step]];
}

/* Health of the plan's models as it is now. The snapshot's view is shared and at rest; each step looks at a copy. */
void decide_refresh(struct request *r, int64_t now_ms)
{
    for (size_t i = 0; i < r->plan.n_steps; i++) {
        struct view_model *v = &r->view[i];
        struct health_view h;

        if (!r->plan.steps[i].view)
            continue;
        health_look(decide_target(r, i)->health, now_ms, &h);
        v->breaker = h.state == HEALTH_CLOSED ? VIEW_CLOSED : h.state == HEALTH_OPEN ? VIEW_OPEN : VIEW_PROBE;
        v->retry_after_ms = h.retry_after_ms > 0 ? now_ms + h.retry_after_ms : 0;
        v->key_refused = provider_state(decide_target(r, i)->provider, now_ms) == PROVIDER_REFUSED;
    }
}

/* Points the steps at copies of their view entries. */
static bool own_view(struct request *r)
{
    const size_t n = r->plan.n_steps;

    r->view = ARENA_ARRAY(&r->arena, struct view_model, n + 1);
    r->view_index = ARENA_ARRAY(&r->arena, size_t, n + 1);
    if (!r->view || !r->view_index)
        return request_no_memory(r);
    for (size_t i = 0; i < n; i++) {
        if (!r->plan.steps[i].view)
            continue;
        r->view_index[i] = (size_t)(r->plan.steps[i].view - r->snapshot->view);
        r->view[i] = *r->plan.steps[i].view;
        r->plan.steps[i].view = &r->view[i];
    }
    return true;
}

static bool can_say(const struct request *r, const struct dialect *wire, const struct target *to, struct fault *why)
{
    if (wire->id == r->chat.dialect)
        return !wire->passes || wire->passes(&r->chat, to, why);
    return wire->takes && r->dialect->writer_new && wire->takes(&r->chat, to, why);
}

/* Steps whose provider cannot be told what is asked are skipped; when that leaves none, the caller hears why. */
static bool leave_out_untranslatable(struct request *r)
{
    struct fault first = { 0 };
    bool usable = false;

    for (size_t i = 0; i < r->plan.n_steps; i++) {
        struct plan_step *s = &r->plan.steps[i];
        const struct dialect *wire;
        struct fault why = { 0 };
        struct target to;

        if (s->skip != PLAN_USABLE)
            continue;
        wire = attempt_target(decide_target(r, i), s->model, &r->chat, &to);
        if (!wire)
            fault_set(&why, 404, "invalid_request_error", "model_not_found", "model",
                      "%.*s is not served on this endpoint: its provider has chat alone.", SPAN_FMT(s->model->key));
        else if (can_say(r, wire, &to, &why)) {
            usable = true;
            continue;
        }
        s->skip = PLAN_DIALECT;
        if (!first.status)
            first = why;
    }
    if (usable || !first.status)
        return true;
    r->fault = first;
    return false;
}

/* Vectors of two models cannot be compared: nobody but the caller chooses the model of an embedding, or puts another in its
 * place (wire/embeddings-batches-files section 1). */
static bool embeds_with_one_model(struct request *r)
{
    const struct plan *p = &r->plan;

    if (r->chat.dialect != DIALECT_EMBEDDINGS)
        return true;
    for (size_t i = 1; i < p->n_steps; i++)
        if (p->steps[i].model != p->steps[0].model)
            return fault_bad(&r->fault, "invalid_value", "model",
                             "Name the model of an embedding, such as 'openai/text-embedding-3-small': vectors of different "
                             "models cannot be compared, and route '%.*s' has several.", SPAN_FMT(p->route_name));
    return true;
}

/* Its steps point into the snapshot's view. */
bool decide_find_plan(struct request *r)
{
    const struct view view = { r->snapshot->view, r->snapshot->n_models };
    struct span why = SPAN_LIT("");

    switch (plan_make(r->snapshot->policy, &r->features, &view, r->at_ms, &r->arena, &r->plan, &why)) {
    case PLAN_OK:
        return true;
    case PLAN_UNKNOWN_ROUTE:
        return fault_bad(&r->fault, "unknown_route", "x-tollgate-route", "%.*s", SPAN_FMT(why));
    case PLAN_UNKNOWN_MODEL:
        return fault_set(&r->fault, 404, "invalid_request_error", "model_not_found", "model", "%.*s", SPAN_FMT(why));
    case PLAN_MEMORY:
        break;
    }
    return request_no_memory(r);
}

bool decide_plan(struct request *r)
{
    if (!decide_find_plan(r))
        return false;
    r->planned = true;
    return embeds_with_one_model(r) && own_view(r) && leave_out_untranslatable(r) &&
           (machine_init(&r->machine, &r->plan, &r->arena, r->start_ms) || request_no_memory(r));
}
