/* explain.c - what a policy would do with a request, and why, for people and for tools. Calls nothing, decides nothing:
 * it prints what match.c, plan.c and bound.c say. */
#include <inttypes.h>

#include "policies/bound.h"
#include "policies/checks.h"
#include "policies/match.h"
#include "policies/plan.h"

#define EXPLAIN_ARENA_BYTES (1u << 20)

struct explainer {
    const struct policy *policy;
    const struct features *f;
    const struct view *view;
    struct plan plan;
    enum plan_rc rc;
    struct span error;
    struct buf *out;
};

static const char *usd(int64_t nano, char text[PRICE_TEXT_ROOM])
{
    price_format_usd(nano, text);
    return text;
}

/* ---- text ---- */

static void text_features(struct explainer *e)
{
    const struct features *f = e->f;
    const char *sep = "";

    buf_add_str(e->out, "features\n");
    buf_printf(e->out, "  %-16s %.*s\n  %-16s %.*s\n", "dialect", SPAN_FMT(f->dialect), "model",
               SPAN_FMT(f->model.n ? f->model : SPAN_LIT("auto")));
    if (f->route_asked.n)
        buf_printf(e->out, "  %-16s %.*s\n", "route asked", SPAN_FMT(f->route_asked));
    if (f->team.n)
        buf_printf(e->out, "  %-16s %.*s\n", "team", SPAN_FMT(f->team));
    if (f->key.n)
        buf_printf(e->out, "  %-16s %.*s\n", "key", SPAN_FMT(f->key));
    for (size_t i = 0; i < f->n_tags; i++)
        buf_printf(e->out, "  %-16s %.*s=%.*s\n", "tag", SPAN_FMT(f->tags[i].name), SPAN_FMT(f->tags[i].value));
    buf_printf(e->out, "  %-16s ", "modalities");
    for (unsigned b = BOOK_TEXT; b <= BOOK_FILE; b <<= 1) {
        if (f->modalities & b) {
            buf_printf(e->out, "%s%s", sep, feature_modality_name(b));
            sep = ", ";
        }
    }
    buf_add_char(e->out, '\n');
    for (int i = 0; i < FEATURE_COUNT; i++)
        buf_printf(e->out, "  %-16s %.4g\n", feature_name((enum feature)i), f->value[i]);
}

static void text_routes(struct explainer *e)
{
    bool won = false;

    buf_add_str(e->out, "routes\n");
    for (size_t i = 0; i < e->policy->n_routes; i++) {
        const struct policy_route *r = &e->policy->routes[i];
        struct match_memo memo = { 0 };
        const bool holds = match_when(e->policy, &r->when, e->f, &memo);
        const char *note = r == e->plan.route ? "answers"
                           : !holds           ? "does not match"
                           : won              ? "matches, but behind another"
                                              : "matches";

        buf_printf(e->out, "  %.*s%s: %s\n", SPAN_FMT(r->name), r->local ? " (local)" : "", note);
        match_explain_text(e->policy, &r->when, e->f, 4, e->out);
        won |= holds;
    }
}

static void text_checks(struct explainer *e, unsigned set)
{
    const char *sep = "\n     checks ";

    for (int c = 0; c < CHECK_COUNT; c++) {
        if (set & CHECK_BIT(c)) {
            buf_printf(e->out, "%s%s", sep, check_name((enum check)c));
            sep = " ";
        }
    }
}

static const char *stream_text(const struct plan *plan)
{
    return plan->stream == STREAM_HOLD ? "hold" : plan->stream == STREAM_PASS ? "pass" : "window";
}

static void text_plan(struct explainer *e)
{
    struct plan *plan = &e->plan;
    struct bound b = bound_plan(plan);
    char a[PRICE_TEXT_ROOM];

    buf_printf(e->out, "plan: route \"%.*s\"%s, %s%s", SPAN_FMT(plan->route_name),
               plan->local ? ", nothing leaves the operator's machines" : "", e->f->stream ? "stream " : "no stream",
               e->f->stream ? stream_text(plan) : "");
    if (plan->stream == STREAM_WINDOW)
        buf_printf(e->out, ":%u", plan->window_chars);
    buf_add_char(e->out, '\n');
    if (plan->warning.n)
        buf_printf(e->out, "  warning: %.*s\n", SPAN_FMT(plan->warning));
    for (size_t i = 0; i < plan->n_steps; i++) {
        const struct plan_step *s = &plan->steps[i];

        buf_printf(e->out, "  %zu. %.*s: ", i + 1, SPAN_FMT(s->model->key));
        if (!plan_price(plan, i)) {
            buf_printf(e->out, "skipped, %s\n", plan_skip_text(s->skip));
            continue;
        }
        buf_printf(e->out, "%u attempt%s, at most %" PRId64 " tokens out, worst case %s USD each", s->attempts,
                   s->attempts == 1 ? "" : "s", s->output_cap, usd(s->worst_nano, a));
        text_checks(e, s->checks);
        buf_add_char(e->out, '\n');
    }
    if (b.attempts == 0) {
        buf_add_str(e->out, "no step can be tried: the request is refused\n");
        return;
    }
    buf_printf(e->out, "worst case: %u attempt%s, %s USD%s, %" PRId64 " ms\n", b.attempts, b.attempts == 1 ? "" : "s", usd(b.cost_nano, a),
               b.cost_is_limited ? " (the cost limit)" : "", b.time_ms);
}

/* ---- JSON ---- */

static void json_field(struct buf *out, const char *name, struct span value)
{
    buf_printf(out, ",\"%s\":", name);
    if (value.p)
        buf_add_json(out, value);
    else
        buf_add_str(out, "null");
}

static void json_features(struct explainer *e)
{
    const struct features *f = e->f;
    const char *sep = "";

    buf_add_str(e->out, "{\"features\":{\"dialect\":");
    buf_add_json(e->out, f->dialect);
    json_field(e->out, "model", f->model.n ? f->model : SPAN_LIT("auto"));
    json_field(e->out, "route_asked", f->route_asked);
    json_field(e->out, "team", f->team);
    json_field(e->out, "key", f->key);
    buf_add_str(e->out, ",\"tags\":{");
    for (size_t i = 0; i < f->n_tags; i++) {
        buf_add_str(e->out, i ? "," : "");
        buf_add_json(e->out, f->tags[i].name);
        buf_add_char(e->out, ':');
        buf_add_json(e->out, f->tags[i].value);
    }
    buf_add_str(e->out, "},\"modalities\":[");
    for (unsigned b = BOOK_TEXT; b <= BOOK_FILE; b <<= 1) {
        if (f->modalities & b) {
            buf_printf(e->out, "%s\"%s\"", sep, feature_modality_name(b));
            sep = ",";
        }
    }
    buf_add_char(e->out, ']');
    for (int i = 0; i < FEATURE_COUNT; i++)
        buf_printf(e->out, ",\"%s\":%.6g", feature_name((enum feature)i), f->value[i]);
    buf_add_str(e->out, "},\"routes\":[");
    for (size_t i = 0; i < e->policy->n_routes; i++) {
        const struct policy_route *r = &e->policy->routes[i];

        buf_printf(e->out, "%s{\"name\":", i ? "," : "");
        buf_add_json(e->out, r->name);
        buf_printf(e->out, ",\"local\":%s,\"answers\":%s,\"when\":", r->local ? "true" : "false",
                   r == e->plan.route ? "true" : "false");
        match_explain_json(e->policy, &r->when, e->f, e->out);
        buf_add_char(e->out, '}');
    }
    buf_add_char(e->out, ']');
}

static void json_step(struct explainer *e, size_t i)
{
    const struct plan_step *s = &e->plan.steps[i];
    const bool priced = plan_price(&e->plan, i);
    char usd_text[PRICE_TEXT_ROOM];
    const char *sep = "";

    buf_printf(e->out, "%s{\"model\":", i ? "," : "");
    buf_add_json(e->out, s->model->key);
    buf_printf(e->out, ",\"attempts\":%u,\"output_tokens\":%" PRId64 ",\"checks\":[", s->attempts, s->output_cap);
    for (int c = 0; c < CHECK_COUNT; c++) {
        if (s->checks & CHECK_BIT(c)) {
            buf_printf(e->out, "%s\"%s\"", sep, check_name((enum check)c));
            sep = ",";
        }
    }
    buf_add_char(e->out, ']');
    if (priced)
        buf_printf(e->out, ",\"worst_nano\":%" PRId64 ",\"worst_usd\":\"%s\"", s->worst_nano,
                   usd(s->worst_nano, usd_text));
    json_field(e->out, "skipped", priced ? SPAN_NONE : span_str(plan_skip_text(s->skip)));
    buf_add_char(e->out, '}');
}

static void json_plan(struct explainer *e)
{
    struct plan *plan = &e->plan;
    struct bound b = bound_plan(plan);
    char a[PRICE_TEXT_ROOM];

    buf_add_str(e->out, ",\"plan\":{\"route\":");
    buf_add_json(e->out, plan->route_name);
    buf_printf(e->out, ",\"local\":%s,\"stream\":\"%s\"", plan->local ? "true" : "false", stream_text(plan));
    if (plan->stream == STREAM_WINDOW)
        buf_printf(e->out, ",\"window_chars\":%u", plan->window_chars);
    json_field(e->out, "warning", plan->warning);
    buf_add_str(e->out, ",\"steps\":[");
    for (size_t i = 0; i < plan->n_steps; i++)
        json_step(e, i);
    buf_printf(e->out, "],\"limits\":{\"cost_usd\":%s%s%s,\"time_ms\":%" PRId64 ",\"attempts\":%u}",
               plan->cost_limit_nano < 0 ? "null" : "\"",
               plan->cost_limit_nano < 0 ? "" : usd(plan->cost_limit_nano, a), plan->cost_limit_nano < 0 ? "" : "\"",
               plan->time_ms, plan->attempts);
    buf_printf(e->out,
               ",\"worst\":{\"attempts\":%u,\"cost_nano\":%" PRId64 ",\"cost_usd\":\"%s\",\"time_ms\":%" PRId64 "}}",
               b.attempts, b.cost_nano, usd(b.cost_nano, a), b.time_ms);
}

/* ---- public ---- */

void plan_explain(const struct policy *p, const struct features *f, const struct view *v, int64_t at_ms,
                  enum explain_format format, struct buf *out)
{
    struct explainer e = { .policy = p, .f = f, .view = v, .out = out };
    struct arena arena;

    arena_init(&arena, EXPLAIN_ARENA_BYTES);
    e.rc = plan_make(p, f, v, at_ms, &arena, &e.plan, &e.error);
    if (e.rc != PLAN_OK && !e.error.p)
        e.error = SPAN_LIT("no memory");
    if (format == EXPLAIN_TEXT) {
        text_features(&e);
        text_routes(&e);
        if (e.rc == PLAN_OK)
            text_plan(&e);
        else
            buf_printf(out, "refused: %.*s\n", SPAN_FMT(e.error));
    } else {
        json_features(&e);
        if (e.rc == PLAN_OK) {
            json_plan(&e);
        } else {
            buf_add_str(out, ",\"refused\":");
            buf_add_json(out, e.error);
        }
        buf_add_str(out, "}\n");
    }
    arena_free(&arena);
}
