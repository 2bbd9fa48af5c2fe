/* account.c - see account.h. The rows and sums of a request: what is held before a call, what it cost, what is written. */
#include "gateway/request/account.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "gateway/request/decide.h"
#include "gateway/server/worker.h"

#define HIDDEN_TOKENS_A_SECOND 300    /* more than any hosted model of these makers writes for one request */
#define TOKENS_MAX INT64_C(1000000000)    /* of one attempt: a hundred times the largest window that there is */

/* ---- the request's row ---- */

/* Monotonic ms, -1: none. An answer that is held goes out right behind its row: its first byte is now. */
static int64_t first_byte(const struct request *r, int status, int64_t now)
{
    return r->first_byte_ms < 0 && status == 200 ? now : r->first_byte_ms;
}

static struct row_request request_row(const struct request *r, int status)
{
    const int64_t now = clock_mono_ms();
    const int64_t first_ms = first_byte(r, status, now);

    return (struct row_request){
        .id = span_str(r->id), .at_ms = r->at_ms,
        .key_id = span_str(r->key.id), .team = span_str(r->key.team),
        .route = r->planned ? r->plan.route_name : SPAN_NONE, .dialect = span_str(r->dialect->name),
        .model_asked = r->chat.model, .tags = r->tags_json, .session = r->session, .stream = r->chat.stream,
        .model = r->answered_model, .provider = r->answered_provider,
        .status = status, .attempts = r->attempts, .cost_nano = r->cost_nano,
        .first_byte_ms = first_ms < 0 ? -1 : first_ms - r->start_ms, .total_ms = now - r->start_ms,
    };
}

static void observe(struct request *r, int status)
{
    const int64_t now = clock_mono_ms(), first_ms = first_byte(r, status, now);

    worker_observe(r->worker, (uint64_t)(now - r->start_ms),
                   first_ms < 0 ? UINT64_MAX : (uint64_t)(first_ms - r->start_ms));
    count_add(r->worker, status < 400 ? COUNT_ANSWERED : COUNT_FAILED, 1);
    count_add(r->worker, COUNT_COST_NANO, (uint64_t)r->cost_nano);
}

/* For a call that no settling attempt closes: refused before it spent, or after the last attempt was settled. */
void account_finish(struct request *r, int status)
{
    const struct row_request row = request_row(r, status);
    const struct ledger_entry e = { .kind = r->attempt_n ? LEDGER_FINISH : LEDGER_REQUEST_ONLY, .request = &row };

    if (r->row_finished)
        return;
    r->row_finished = true;
    if (ledger_submit(r->worker->gw->ledger, r->worker->port, &e) != LEDGER_OK)
        log_warn("request %s: its row could not be queued", r->id);
    observe(r, status);
}

/* Every call for an answer that came with a valid key is a row, refused ones too (DESIGN section 8). */
void account_refused(struct request *r, int status)
{
    if (r->endpoint == ENDPOINT_ANSWER && (r->has_key || r->snapshot->config->auth_none))
        account_finish(r, status);
}

/* ---- before a call ---- */

static struct row_attempt attempt_row(const struct request *r)
{
    const struct plan_step *s = &r->plan.steps[r->attempt_step];

    return (struct row_attempt){
        .n = (int)(r->attempt_n + r->key_tries), .provider = s->model->provider, .model = s->model->name,
        .started_ms = r->attempt_wall_ms, .priced_ms = r->attempt_wall_ms, .reserved_nano = r->hold.amount_nano,
    };
}

/* What the call will be capped with: hosts of some dialects take no cap below a floor. */
static int64_t sent_cap(const struct request *r, size_t step)
{
    const struct plan_step *s = &r->plan.steps[step];
    struct target to;
    const struct dialect *wire = attempt_target(decide_target(r, step), s->model, &r->chat, &to);

    return wire && wire->least_output > s->output_cap ? wire->least_output : s->output_cap;
}

static struct price_bounds attempt_bounds(const struct request *r, size_t step)
{
    const struct plan_step *s = &r->plan.steps[step];
    const struct features *f = &r->features;

    return (struct price_bounds){
        .prompt = estimate_prompt_upper(s->model, &f->parts), .output = sent_cap(r, step), .choices = f->choices,
        .searches = f->searches, .from_ms = r->attempt_wall_ms, .until_ms = r->attempt_wall_ms,
        .service_tier = f->service_tier, .cache_5m = f->cache_5m, .cache_1h = f->cache_1h,
        .audio = (f->modalities & BOOK_AUDIO) != 0, .image = (f->modalities & BOOK_IMAGE) != 0,
    };
}

/* The rows of a reservation: if we die before it is settled, the next start closes it with them. */
static bool open_rows(struct request *r)
{
    const struct row_request request = request_row(r, 0);
    struct row_attempt row = attempt_row(r);
    char version[ROW_PRICE_VERSION_BYTES];
    const struct ledger_entry e = { .kind = LEDGER_OPEN, .ticket = worker_ticket(r->worker, r->slot),
                                    .request = &request, .attempt = &row, .hold = &r->hold };

    row.priced_ms = r->worst.at_ms;
    row.usage = r->worst.usage;
    row.service_tier = r->worst.service_tier;
    row.cost_nano = r->worst.cost_nano;
    row.price_version = (struct span){ version, row_price_version(r->snapshot->book_digest, r->worst.version, version) };
    if (ledger_submit(r->worker->gw->ledger, r->worker->port, &e) != LEDGER_OK)
        return false;
    r->opens_pending++;
    return true;
}

struct machine_event account_reserve(struct request *r, const struct action *act)
{
    const struct plan_step *s = &r->plan.steps[act->step];
    struct machine_event ev = { .kind = EVENT_RESERVE_REFUSED, .n = act->n };
    struct budget_refusal no;
    char text[BUDGET_TEXT_ROOM];
    struct price_bounds bounds;

    r->attempt_n = act->n;
    r->attempt_step = act->step;
    r->attempt_wall_ms = clock_wall_ms();
    r->attempt_mono_ms = clock_mono_ms();
    bounds = attempt_bounds(r, act->step);
    if (price_worst_of(s->model, &bounds, &r->worst) != PRICE_OK) {
        ev.refusal = SPAN_LIT("No price is in force for this model.");
        return ev;
    }
    switch (budget_reserve(r->worker->gw->budgets, span_str(r->key.team), span_str(r->key.id), r->worst.cost_nano,
                           r->attempt_wall_ms, &r->hold, &no)) {
    case BUDGET_OK:
        break;
    case BUDGET_REFUSED:
        count_add(r->worker, COUNT_REFUSED_BUDGET, 1);
        ev.refusal = arena_copy(&r->arena, (struct span){ text, budget_refusal_text(&no, text, sizeof text) });
        return ev;
    case BUDGET_NOMEM:
        ev.reserve_full = true;
        return ev;
    }
    if (!open_rows(r)) {
        budget_release(r->worker->gw->budgets, &r->hold);
        ev.reserve_full = true;
        ev.refusal = SPAN_LIT("The ledger cannot take another record right now.");
        return ev;
    }
    ev.kind = EVENT_RESERVED;
    return ev;
}

/* ---- after it ---- */

/* Sums of counters beyond any attempt would leave 64 bits, and such a row could never be written. */
static bool believable(const struct usage *u)
{
    return usage_prompt(u) <= TOKENS_MAX && u->output <= TOKENS_MAX && u->reasoning <= TOKENS_MAX &&
           u->output_audio <= TOKENS_MAX && u->output_image <= TOKENS_MAX && u->searches <= TOKENS_MAX;
}

/* Tokens that a model may have thought without showing them: OpenAI, Anthropic and Google bill them and stream a summary at
 * most. What bounds them is the time that it had. */
static int64_t hidden_bound(const struct request *r)
{
    const struct target *to = &r->attempt.to;
    const bool hides = to->family == FAMILY_OPENAI || to->family == FAMILY_ANTHROPIC || to->family == FAMILY_GEMINI;

    if (!hides || !to->traits || to->traits->thinking == THINKING_NONE || r->chat.effort == EFFORT_OFF)
        return 0;
    return (clock_mono_ms() - r->attempt_mono_ms) * HIDDEN_TOKENS_A_SECOND / 1000;
}

/* The most that can be billed for an answer that broke off: as many tokens as bytes came, of a whole one by its text, and what
 * was thought unseen. */
static int64_t output_bound(const struct request *r)
{
    const struct attempt *a = &r->attempt;
    const int64_t most = r->worst.usage.output, shown = a->draft.generated_bytes;
    const int64_t came = shown + hidden_bound(r);

    return (r->chat.stream || shown) && came < most ? came : most;
}

/* What the ended attempt used where the provider said nothing of its output although it may bill
 * (BerriAI/litellm#14457: a caller that leaves must not make it free). The prompt is what it said at the beginning, cache
 * reads and writes included (wire/anthropic-messages section 10), else its upper bound. */
static void charge_bound(struct request *r)
{
    const struct draft *d = &r->attempt.draft;
    const int64_t most = output_bound(r);

    r->usage = d->usage_begun ? d->usage : r->worst.usage;
    r->usage_source = d->usage_begun ? ROW_PARTIAL : ROW_ESTIMATED;
    if (r->usage.output < most || !d->usage_begun)
        r->usage.output = most;
    r->usage.reasoning = r->worst.usage.reasoning;
    if (r->usage.reasoning > r->usage.output)
        r->usage.reasoning = r->usage.output;
}

/* Running counts of a stream that never came to its end: its tokens behind the last count are not in them. */
static bool broke_off(const struct request *r)
{
    const struct draft *d = &r->attempt.draft;

    return r->chat.stream && d->has_usage && !d->ended && d->finish == FINISH_NONE;
}

void account_price(struct request *r)
{
    const struct attempt *a = &r->attempt;
    const struct plan_step *s = &r->plan.steps[r->attempt_step];
    struct span tier = span_str(a->draft.service_tier);

    r->usage = a->draft.usage;
    r->usage_source = a->draft.usage_mended || broke_off(r) ? ROW_PARTIAL : ROW_REPORTED;
    if (!a->draft.has_usage && attempt_may_be_billed(a)) {
        charge_bound(r);
        tier = tier.n ? tier : r->worst.service_tier;
    }
    if (!believable(&r->usage) || price_attempt(s->model, r->attempt_wall_ms, tier, &r->usage, &r->cost) != PRICE_OK) {
        log_warn("request %s: usage of attempt %u is out of range; charged at its upper bound", r->id, r->attempt_n);
        r->usage = r->worst.usage;
        r->usage_source = ROW_ESTIMATED;
        if (price_attempt(s->model, r->attempt_wall_ms, r->worst.service_tier, &r->usage, &r->cost) != PRICE_OK)
            r->cost = (struct cost){ 0 };
    }
}

static void report_health(struct request *r, const struct action *act)
{
    struct attempt *a = &r->attempt;
    struct health_entry *h = a->target->health;
    const int64_t now = clock_mono_ms();

    if (act->failure == FAILURE_NONE && a->outcome.status >= 200 && a->outcome.status < 300)
        health_success(h, now, a->first_byte_us);
    else if (failure_is_outage(act->failure))
        health_failure(h, now);
    else if (a->outcome.status)
        health_success(h, now, -1);
    else
        health_gave_up(h, now);
    if (a->outcome.retry_after_ms > 0)
        health_retry_after(h, now + a->outcome.retry_after_ms);
}

void account_settle(struct request *r, const struct action *act, int closing_status)
{
    struct row_attempt row = attempt_row(r);
    struct row_request request;
    char version[ROW_PRICE_VERSION_BYTES];
    struct ledger_entry e = { .kind = LEDGER_SETTLE, .request = &request, .attempt = &row, .finish = closing_status != 0 };

    if (act->called) {
        row.status = r->attempt.outcome.status;
        row.model_returned = span_str(r->attempt.draft.model);
        row.usage = r->usage;
        row.usage_source = r->usage_source;
        row.service_tier = r->cost.service_tier;
        row.cost_nano = r->cost.cost_nano;
        r->cost_nano += r->cost.cost_nano;
        count_add(r->worker, COUNT_TOKENS_IN, (uint64_t)r->usage.input);
        count_add(r->worker, COUNT_TOKENS_CACHED, (uint64_t)r->usage.cache_read);
        count_add(r->worker, COUNT_TOKENS_OUT, (uint64_t)r->usage.output);
        report_health(r, act);
    }
    row.price_version = (struct span){ version, row_price_version(r->snapshot->book_digest,
                                                                 act->called && r->cost.version.n ? r->cost.version
                                                                                                  : r->worst.version, version) };
    row.ended_ms = r->attempt_wall_ms + (clock_mono_ms() - r->attempt_mono_ms);
    row.verdict = span_str(act->verdict);
    if (span_starts(row.verdict, SPAN_LIT("rejected:")))
        count_add(r->worker, COUNT_ATTEMPTS_REJECTED, 1);
    else if (span_starts(row.verdict, SPAN_LIT("failed:")))
        count_add(r->worker, COUNT_ATTEMPTS_FAILED, 1);
    budget_settle(r->worker->gw->budgets, &r->hold, row.cost_nano);
    request = request_row(r, closing_status ? closing_status : 0);
    worker_settles(r->worker);
    if (ledger_submit(r->worker->gw->ledger, NULL, &e) != LEDGER_OK)
        log_error("request %s: the row of attempt %u could not be queued; the next start closes it at its upper bound",
                  r->id, r->attempt_n);
    if (closing_status) {
        r->row_finished = true;
        observe(r, closing_status);
    }
}

bool account_next_key(struct request *r)
{
    const struct attempt *a = &r->attempt;
    const struct row_request request = request_row(r, 0);
    struct row_attempt row = attempt_row(r);
    char version[ROW_PRICE_VERSION_BYTES], verdict[VERDICT_ROOM];
    const struct outcome refused = { .transport = TRANSPORT_OK, .status = a->outcome.status, .retry_after_ms = -1 };
    const struct ledger_entry e = { .kind = LEDGER_SETTLE, .request = &request, .attempt = &row };

    row.status = a->outcome.status;
    snprintf(verdict, sizeof verdict, "failed:%s", failure_name(failure_classify(&refused)));
    row.verdict = span_str(verdict);
    row.price_version = (struct span){ version, row_price_version(r->snapshot->book_digest, r->worst.version, version) };
    row.ended_ms = r->attempt_wall_ms + (clock_mono_ms() - r->attempt_mono_ms);
    r->key_tries++;
    if (!open_rows(r)) {    /* the next try may not be made: this one is the attempt's end */
        r->key_tries--;
        return false;
    }
    r->attempts++;
    count_add(r->worker, COUNT_ATTEMPTS, 1);
    count_add(r->worker, COUNT_ATTEMPTS_FAILED, 1);
    worker_settles(r->worker);
    if (ledger_submit(r->worker->gw->ledger, NULL, &e) != LEDGER_OK)
        log_error("request %s: the row of a refused key could not be queued; the next start closes it at its upper bound", r->id);
    return true;
}
