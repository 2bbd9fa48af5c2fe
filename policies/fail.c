/* fail.c - the words and the status of every final failure.
 *
 * A status here is that of the OpenAI chat dialect; other dialects map from `kind`. A provider's 401, 402, 403 and 404
 * are our fault and never the caller's status, and the provider's words about our account stay here. What the caller
 * can mend (400, 413, 422) is told in the provider's words. */
#include "policies/fail.h"

#include <inttypes.h>

#define FULL_RETRY_MS 1000       /* a full ledger drains in well under a second */
#define DRAIN_RETRY_MS 2000      /* a restart takes about as long */

static struct fail make(enum fail_kind kind, int status, const char *type, struct span code, struct span message)
{
    return (struct fail){
        .kind = kind, .status = status, .type = type, .code = code,
        .message = message.p ? message : SPAN_LIT("The request failed."),    /* the arena is full */
        .retry_after_ms = -1, .should_not_retry = true,
    };
}

static struct fail come_back(struct fail f, int64_t wait_ms)
{
    f.retry_after_ms = wait_ms;
    f.should_not_retry = false;
    return f;
}

static struct span model_key(const struct machine *m)
{
    return m->plan->steps[m->current].model->key;
}

static const char *plural(unsigned n)
{
    return n == 1 ? "" : "s";
}

static struct span no_answer(const struct machine *m, const char *why)
{
    return arena_printf(m->arena, "No answer after %u attempt%s; the last, %.*s, %s.", m->n, plural(m->n),
                        SPAN_FMT(model_key(m)), why);
}

static struct fail upstream(const struct machine *m, int status, enum fail_kind kind, const char *code, const char *why)
{
    return make(kind, status, "server_error", span_str(code), no_answer(m, why));
}

/* The provider says that the request itself is wrong, in words for its author. They are copied: the next attempt, whose
 * failure may quote them ("Before it: ..."), takes the place of this one's answer. */
static struct fail callers_fault(const struct machine *m, const struct outcome *o)
{
    const int status = o->status == 413 || o->status == 422 ? o->status : 400;
    struct fail f = make(FAIL_CALLER, status, "invalid_request_error", o->error_code,
                         o->error_message.p ? arena_copy(m->arena, o->error_message) : SPAN_NONE);

    if (!o->error_message.p)
        f.message = no_answer(m, "refused the request as invalid");
    f.param = o->error_param;
    f.from_n = m->n;
    return f;
}

struct fail fail_attempt(const struct machine *m, enum failure f, const struct outcome *o)
{
    struct fail out;

    switch (f) {
    case FAILURE_CONNECT:
        return upstream(m, 502, FAIL_UPSTREAM, "upstream_unreachable", "could not be reached");
    case FAILURE_RESET:
        return upstream(m, 502, FAIL_UPSTREAM, "upstream_reset", "closed the connection");
    case FAILURE_TRUNCATED:
        return upstream(m, 502, FAIL_UPSTREAM, "upstream_truncated", "broke off in the middle of its answer");
    case FAILURE_MALFORMED:
        return upstream(m, 502, FAIL_UPSTREAM, "upstream_malformed", "answered with something that is no answer");
    case FAILURE_SERVER:
        return upstream(m, 502, FAIL_UPSTREAM, "upstream_error", "reported an error of its own");
    case FAILURE_QUOTA:
        return upstream(m, 502, FAIL_UPSTREAM, "upstream_quota", "has no credit left on the gateway's account");
    case FAILURE_CREDENTIAL:
        return upstream(m, 502, FAIL_UPSTREAM, "upstream_credential", "refused the gateway's key");
    case FAILURE_MODEL:
        return upstream(m, 502, FAIL_UPSTREAM, "upstream_model", "does not know this model");
    case FAILURE_TIMEOUT:
        return upstream(m, 504, FAIL_TIME, "upstream_timeout", "did not answer in time");
    case FAILURE_OVERLOADED:
        out = upstream(m, 503, FAIL_UNAVAILABLE, "upstream_overloaded", "is overloaded");
        return o->retry_after_ms >= 0 ? come_back(out, o->retry_after_ms) : out;
    case FAILURE_RATE_LIMITED:
        out = make(FAIL_RATE_LIMITED, 429, "rate_limit_error", SPAN_LIT("upstream_rate_limited"),
                   no_answer(m, "limits the gateway's rate of requests"));
        return o->retry_after_ms >= 0 ? come_back(out, o->retry_after_ms) : out;
    case FAILURE_CONTEXT:
        out = callers_fault(m, o);
        out.kind = FAIL_CONTEXT;
        out.status = 400;
        out.code = SPAN_LIT("context_length_exceeded");
        return out;
    case FAILURE_FILTERED:
        out = callers_fault(m, o);
        out.code = o->error_code.p ? o->error_code : SPAN_LIT("content_policy_violation");
        return out;
    case FAILURE_CALLER:
        return callers_fault(m, o);
    case FAILURE_LOCAL:
        return make(FAIL_MEMORY, 503, "server_error", SPAN_LIT("out_of_resources"),
                    SPAN_LIT("The gateway is out of memory or descriptors."));
    case FAILURE_NONE: case FAILURE_COUNT:
        break;
    }
    return upstream(m, 502, FAIL_UPSTREAM, "upstream_error", "failed");
}

struct fail fail_rejected(const struct machine *m, struct verdict v)
{
    struct span text = arena_printf(m->arena,
                                    "No answer passed its checks after %u attempt%s; the last, of %.*s, failed %s: "
                                    "%s.",
                                    m->n, plural(m->n), SPAN_FMT(model_key(m)), check_name(v.check), v.reason);

    return make(FAIL_REJECTED, 502, "server_error", SPAN_LIT("answer_rejected"), text);
}

struct fail fail_cost(const struct machine *m, int64_t worst_nano)
{
    char worst[PRICE_TEXT_ROOM], limit[PRICE_TEXT_ROOM], spent[PRICE_TEXT_ROOM];
    struct span text;

    price_format_usd(worst_nano, worst);
    price_format_usd(m->plan->cost_limit_nano, limit);
    price_format_usd(m->spent_nano, spent);
    text = arena_printf(
        m->arena,
        "No model fits the cost limit of %s USD (%s): the next attempt may cost %s USD, %s USD are "
        "spent.%s%.*s",
        limit, m->plan->cost_limit_is_callers ? "x-tollgate-max-cost-usd" : "the policy's limits.cost_usd", worst,
        spent, m->has_last ? " Before it: " : "", SPAN_FMT(m->has_last ? m->last.message : SPAN_NONE));
    return make(FAIL_COST_LIMIT, 429, "insufficient_quota", SPAN_LIT("insufficient_quota"), text);
}

struct fail fail_budget(const struct machine *m, struct span refusal)
{
    struct span text = refusal;

    if (m->has_last)
        text = arena_printf(m->arena, "%.*s Before it: %.*s", SPAN_FMT(refusal), SPAN_FMT(m->last.message));
    return make(FAIL_BUDGET, 429, "insufficient_quota", SPAN_LIT("insufficient_quota"), text);
}

struct fail fail_ledger_full(struct span refusal)
{
    return come_back(make(FAIL_UNAVAILABLE, 503, "server_error", SPAN_LIT("ledger_full"),
                          refusal.n ? refusal : SPAN_LIT("The gateway's ledger is full; try again in a moment.")),
                     FULL_RETRY_MS);
}

struct fail fail_rate_limited(const struct machine *m, int64_t wait_ms)
{
    struct span text =
        arena_printf(m->arena,
                     "Every model of route \"%.*s\" that could answer asked not to be called for another "
                     "%" PRId64 " ms.",
                     SPAN_FMT(m->plan->route_name), wait_ms);

    return come_back(make(FAIL_RATE_LIMITED, 429, "rate_limit_error", SPAN_LIT("upstream_rate_limited"), text),
                     wait_ms);
}

static size_t count_skips(const struct plan *plan, enum plan_skip skip)
{
    size_t n = 0;

    for (size_t i = 0; i < plan->n_steps; i++)
        n += plan->steps[i].skip == skip;
    return n;
}

struct fail fail_no_step(const struct machine *m)
{
    const struct plan *plan = m->plan;
    const struct span route = plan->route_name;
    struct fail f;

    /* The caller's prompt first: he can mend it. Then what the operator can. */
    if (count_skips(plan, PLAN_TOO_LONG)) {
        f = make(FAIL_CONTEXT, 400, "invalid_request_error", SPAN_LIT("context_length_exceeded"),
                 arena_printf(m->arena, "The prompt does not fit the window of any model of route \"%.*s\".",
                              SPAN_FMT(route)));
        f.param = SPAN_LIT("messages");
        return f;
    }
    if (count_skips(plan, PLAN_MODALITY)) {
        f = make(
            FAIL_CALLER, 400, "invalid_request_error", SPAN_LIT("unsupported_value"),
            arena_printf(m->arena,
                         "No model of route \"%.*s\" that can be called reads what the prompt holds (images, audio, "
                         "files).",
                         SPAN_FMT(route)));
        f.param = SPAN_LIT("messages");
        return f;
    }
    if (count_skips(plan, PLAN_DIALECT))
        return make(FAIL_CALLER, 400, "invalid_request_error", SPAN_LIT("unsupported_parameter"),
                    arena_printf(m->arena, "No model of route \"%.*s\" that can be called can be asked this in its provider's dialect.",
                                 SPAN_FMT(route)));
    if (count_skips(plan, PLAN_NOT_LOCAL) == plan->n_steps)
        return make(FAIL_POLICY, 403, "permission_error", SPAN_LIT("policy_refused"),
                    arena_printf(m->arena,
                                 "Route \"%.*s\" keeps this request on the operator's machines, and none of its models "
                                 "runs there.",
                                 SPAN_FMT(route)));
    if (count_skips(plan, PLAN_NO_PRICE))
        return make(FAIL_UNAVAILABLE, 503, "server_error", SPAN_LIT("no_price"),
                    arena_printf(m->arena, "No price is in force for any model of route \"%.*s\" that could be called.",
                                 SPAN_FMT(route)));
    return make(FAIL_UNAVAILABLE, 503, "server_error", SPAN_LIT("no_provider"),
                arena_printf(m->arena, "No provider of route \"%.*s\" is on.", SPAN_FMT(route)));
}

struct fail fail_deadline(const struct machine *m)
{
    struct span text =
        arena_printf(m->arena, "No answer within %" PRId64 " ms (%s).%s%.*s", m->plan->time_ms,
                     m->plan->time_limit_is_callers ? "x-tollgate-deadline-ms" : "the policy's limits.time_ms",
                     m->has_last ? " Before it: " : "", SPAN_FMT(m->has_last ? m->last.message : SPAN_NONE));

    return make(FAIL_TIME, 504, "server_error", SPAN_LIT("deadline_exceeded"), text);
}

struct fail fail_cancelled(void)
{
    return make(FAIL_CANCELLED, 499, "server_error", SPAN_LIT("caller_left"), SPAN_LIT("The caller left."));
}

struct fail fail_shutdown(void)
{
    return come_back(make(FAIL_UNAVAILABLE, 503, "server_error", SPAN_LIT("shutting_down"),
                          SPAN_LIT("The gateway is shutting down; try again in a moment.")), DRAIN_RETRY_MS);
}
