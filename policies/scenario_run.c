/* scenario_run.c - drives the machine as the gateway does, with scripted models, a virtual clock and one budget.
 *
 * Owns time: it jumps to whatever comes next (a piece or the end of the running attempt, the caller's events, the
 * machine's timer; in this order where they coincide). Checks the promises of machine.h on the way, so that every
 * scenario is a test of them too. Decides nothing: that is the machine's. */
#include "policies/scenario_run.h"

#include <inttypes.h>
#include <stdio.h>

#define TURNS_MAX 100000    /* events of one case: more is a loop */

struct player {
    const struct scenario_case *c;
    struct arena *arena;
    struct buf *trace;
    struct scenario_result *r;
    struct machine machine;
    unsigned *used;                /* calls answered so far, by script */
    int64_t now_ms;                /* from the arrival */
    int64_t timer_ms;
    int64_t budget_nano, held_nano;
    size_t next_event;

    /* the running attempt */
    unsigned n;
    bool reserving, held, running, stopping, settled;
    int64_t reserve_done_ms;
    int64_t called_ms;
    size_t step;
    int64_t worst_nano;
    const struct scenario_outcome *outcome;
    struct outcome end;            /* the outcome as it will be reported: a timeout may come first */
    int64_t end_ms;                /* from the arrival */
    size_t piece;                  /* next one */
    int64_t last_piece_ms;
    struct buf text;               /* of the running attempt */
    int64_t chars;
    struct answer_tool *tools;
    size_t n_tools;
    bool has_piece;
    int64_t cost_nano;
    bool committed, closed;
    bool over;                     /* a model reported more than was reserved: charged as reported, limits or not */
};

/* ---- small parts ---- */

static void broken(struct player *p, const char *what)
{
    if (!p->r->broken.p)
        p->r->broken = arena_printf(p->arena, "%s (attempt %u, at %" PRId64 " ms)", what, p->n, p->now_ms);
}

static void note(struct player *p, const char *what, struct span detail)
{
    if (p->trace)
        buf_printf(p->trace, "%7" PRId64 " ms  #%u %s%s%.*s\n", p->now_ms, p->n, what, detail.n ? " " : "",
                   SPAN_FMT(detail));
}

static int64_t count_chars(struct span s)
{
    int64_t n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

static bool names(struct span name, const struct book_model *m)
{
    return span_eq(name, m->key) || span_eq(name, m->name);
}

static const struct scenario_outcome *next_outcome(struct player *p, const struct book_model *m)
{
    size_t s = SIZE_MAX;
    unsigned k;

    for (size_t i = 0; i < p->c->n_scripts; i++)
        if (names(p->c->scripts[i].model, m) || (s == SIZE_MAX && span_is(p->c->scripts[i].model, "*")))
            s = i;
    if (s == SIZE_MAX)
        return NULL;
    k = p->used[s]++;
    for (size_t i = 0; i < p->c->scripts[s].n_outcomes; i++) {
        const struct scenario_outcome *o = &p->c->scripts[s].outcomes[i];

        if (k < o->times)
            return o;
        k -= o->times;
    }
    return NULL;
}

static void change_health(struct player *p, const struct scenario_event *e)
{
    for (size_t i = 0; i < e->n_changes; i++) {
        const struct scenario_change *ch = &e->changes[i];

        for (size_t k = 0; k < p->c->view.n_models; k++) {
            struct view_model *v = (struct view_model *)(uintptr_t)&p->c->view.models[k];    /* the case's own copy */

            if (!names(ch->model, v->model))
                continue;
            v->breaker = ch->has_breaker ? ch->breaker : v->breaker;
            v->key_refused = ch->has_refused ? ch->key_refused : v->key_refused;
            v->on = ch->has_on ? ch->on : v->on;
            v->retry_after_ms = ch->has_retry ? p->now_ms + ch->retry_after_ms : v->retry_after_ms;
        }
    }
}

/* ---- the running attempt ---- */

/* The gateway's own timeouts cut an attempt short. */
static void apply_timeouts(struct player *p)
{
    const struct scenario_outcome *o = p->outcome;
    const bool streamed = p->c->features->stream && o->outcome.status == 200;
    const int64_t first_limit = streamed ? p->c->first_byte_ms : p->c->answer_ms;
    int64_t first = streamed && o->n_pieces ? o->pieces[0].at_ms : o->end_ms, last = first;

    if (first_limit && first > first_limit) {
        p->end.transport = TRANSPORT_TIMEOUT_FIRST_BYTE;
        p->end.status = 0;
        p->end_ms = p->called_ms + first_limit;
        return;
    }
    for (size_t i = 1; streamed && i <= o->n_pieces; i++) {
        const int64_t at = i < o->n_pieces ? o->pieces[i].at_ms : o->end_ms;

        if (p->c->idle_ms && at - last > p->c->idle_ms) {
            p->end.transport = TRANSPORT_TIMEOUT_IDLE;
            p->end_ms = p->called_ms + last + p->c->idle_ms;
            return;
        }
        last = at;
    }
}

static void begin_attempt(struct player *p, const struct action *a)
{
    const struct book_model *m = p->machine.plan->steps[a->step].model;

    p->outcome = next_outcome(p, m);
    if (!p->outcome) {
        static const struct scenario_outcome nothing = { .outcome = { .transport = TRANSPORT_LOCAL,
                                                                      .retry_after_ms = -1 } };

        broken(p, "the script has no outcome for this call");
        p->outcome = &nothing;
    }
    p->running = true;
    p->called_ms = p->now_ms;
    p->end = p->outcome->outcome;
    p->end_ms = p->now_ms + p->outcome->end_ms;
    p->piece = 0;
    p->chars = 0;
    p->n_tools = 0;
    p->has_piece = false;
    buf_clear(&p->text);
    p->tools = ARENA_ARRAY(p->arena, struct answer_tool, p->outcome->n_pieces + 1);
    if (!p->tools)
        broken(p, "no memory");
    apply_timeouts(p);
}

static struct answer draft(struct player *p, bool whole)
{
    return (struct answer){
        .text = buf_span(&p->text), .tools = p->tools, .n_tools = p->n_tools,
        .refusal = p->outcome->refusal,
        .finish = whole ? p->outcome->finish : FINISH_NONE,
        .output_tokens = whole ? p->outcome->usage.output : 0,
    };
}

static void deliver(struct player *p)
{
    if (p->r->first_byte_ms < 0)
        p->r->first_byte_ms = p->now_ms;
    p->r->text = arena_copy(p->arena, buf_span(&p->text));
}

static void add_piece(struct player *p, const struct scenario_piece *piece)
{
    buf_add_span(&p->text, piece->text);
    p->chars += count_chars(piece->text);
    if (piece->tool && p->tools)
        p->tools[p->n_tools++] = *piece->tool;
    p->has_piece |= piece->text.n || piece->reasoning || piece->tool;
}

static void price_attempt_now(struct player *p)
{
    struct cost cost;
    const struct plan_step *s = &p->machine.plan->steps[p->step];

    p->cost_nano = 0;
    if (price_attempt(s->model, p->c->at_ms + p->called_ms, SPAN_NONE, &p->outcome->usage, &cost) != PRICE_OK)
        broken(p, "the attempt has no price");
    else
        p->cost_nano = cost.cost_nano;
}

/* ---- actions ---- */

static void do_reserve(struct player *p, const struct action *a)
{
    if (p->held || p->reserving || p->running)
        broken(p, "a second attempt was reserved while one was under way");
    if (p->committed)
        broken(p, "an attempt was reserved after the stream had begun");
    if (a->n != p->r->n_attempts + 1)
        broken(p, "attempts do not count from 1 without a gap");
    p->n = a->n;
    p->step = a->step;
    p->worst_nano = a->worst_nano;
    p->r->output_cap = a->output_cap;
    p->reserving = true;
    p->settled = false;
    p->reserve_done_ms = p->now_ms + p->c->reserve_ms;
    note(p, "reserve", p->machine.plan->steps[a->step].model->key);
}

static void do_settle(struct player *p, const struct action *a)
{
    struct scenario_attempt *at = &p->r->attempts[p->r->n_attempts];

    if (!p->held || p->settled || a->n != p->n)
        broken(p, "an attempt was settled that holds nothing");
    if (p->running)
        broken(p, "an attempt was settled while it was running");
    if (p->r->n_attempts == SCENARIO_ATTEMPTS_MAX) {
        broken(p, "too many attempts");
        return;
    }
    p->r->n_attempts++;
    at->model = p->machine.plan->steps[p->step].model;
    at->cost_nano = a->called ? p->cost_nano : 0;
    snprintf(at->verdict, sizeof at->verdict, "%s", a->verdict);
    p->r->cost_nano += at->cost_nano;
    p->held = false;
    p->settled = true;
    p->held_nano -= p->worst_nano;
    p->budget_nano -= at->cost_nano;
    p->over |= at->cost_nano > p->worst_nano;
    note(p, "settle", span_str(a->verdict));
    if (a->reason)
        note(p, "       because", span_str(a->reason));
}

static void do_close(struct player *p, const struct action *a)
{
    p->closed = true;
    if (p->held || p->running || p->reserving)
        broken(p, "the reply was closed while an attempt was open");
    p->r->duration_ms = p->now_ms;
    if (a->kind == ACTION_ACCEPT) {
        p->r->accepted = true;
        p->r->status = 200;
        deliver(p);
        note(p, "accept", SPAN_NONE);
    } else {
        p->r->fail = a->fail;
        p->r->status = a->fail.status;
        note(p, "fail", a->fail.message);
    }
}

static void do_action(struct player *p, const struct action *a)
{
    if (p->closed)
        broken(p, "an action came after the reply was closed");
    switch (a->kind) {
    case ACTION_RESERVE:
        do_reserve(p, a);
        break;
    case ACTION_CALL:
        if (!p->held || p->running)
            broken(p, "an attempt was called without a reservation");
        note(p, "call", p->machine.plan->steps[a->step].model->key);
        begin_attempt(p, a);
        break;
    case ACTION_WAIT:
        note(p, "wait", arena_printf(p->arena, "until %" PRId64 " ms", p->machine.wait_until_ms));
        break;
    case ACTION_COMMIT:
        if (p->committed)
            broken(p, "the stream was begun twice");
        p->committed = true;
        note(p, "commit", SPAN_NONE);
        deliver(p);
        break;
    case ACTION_CANCEL_ATTEMPT:
        note(p, "cancel the attempt", SPAN_NONE);
        if (!p->running || p->stopping)
            broken(p, "an attempt was stopped that does not run");
        p->stopping = true;
        p->end.transport = TRANSPORT_RESET;
        p->end_ms = p->now_ms + p->c->cancel_ms;
        break;
    case ACTION_SETTLE:
        do_settle(p, a);
        break;
    case ACTION_ACCEPT:
    case ACTION_FAIL:
        do_close(p, a);
        break;
    }
}

static void feed(struct player *p, struct machine_event ev)
{
    struct actions acts;

    machine_step(&p->machine, &ev, p->now_ms, &acts);
    p->timer_ms = acts.timer_ms;
    for (unsigned i = 0; i < acts.n; i++)
        do_action(p, &acts.list[i]);
}

/* ---- time ---- */

static void answer_reservation(struct player *p)
{
    struct machine_event ev = { .kind = EVENT_RESERVED, .n = p->n };

    p->reserving = false;
    if (p->c->ledger_full) {
        ev.kind = EVENT_RESERVE_REFUSED;
        ev.reserve_full = true;
    } else if (p->c->budget_nano >= 0 && p->worst_nano > p->budget_nano - p->held_nano) {
        ev.kind = EVENT_RESERVE_REFUSED;
        ev.refusal = SPAN_LIT("The budget does not hold the worst case of this attempt.");
        note(p, "refused", SPAN_LIT("by the budget"));
    } else {
        p->held = true;
        p->held_nano += p->worst_nano;
    }
    feed(p, ev);
}

static void end_attempt(struct player *p)
{
    struct answer a;

    while (!p->stopping && p->piece < p->outcome->n_pieces &&
           p->called_ms + p->outcome->pieces[p->piece].at_ms <= p->end_ms)
        add_piece(p, &p->outcome->pieces[p->piece++]);
    price_attempt_now(p);
    if (p->committed && !p->stopping)
        deliver(p);
    p->running = false;
    p->stopping = false;
    a = draft(p, true);
    feed(p, (struct machine_event){ .kind = EVENT_ENDED, .n = p->n, .answer = &a, .chars = p->chars, .outcome = &p->end,
                                    .cost_nano = p->cost_nano });
}

static void take_piece(struct player *p)
{
    struct answer a;

    add_piece(p, &p->outcome->pieces[p->piece++]);
    if (p->committed) {
        deliver(p);
        return;
    }
    a = draft(p, false);
    feed(p, (struct machine_event){ .kind = EVENT_PROGRESS, .n = p->n, .answer = &a, .chars = p->chars,
                                    .has_piece = p->has_piece });
}

/* When the running attempt next shows something. */
static int64_t attempt_time(const struct player *p)
{
    if (p->reserving)
        return p->reserve_done_ms;
    if (!p->running)
        return INT64_MAX;
    if (p->c->features->stream && !p->stopping && p->piece < p->outcome->n_pieces &&
        p->called_ms + p->outcome->pieces[p->piece].at_ms < p->end_ms)
        return p->called_ms + p->outcome->pieces[p->piece].at_ms;
    return p->end_ms;
}

static void do_event(struct player *p, const struct scenario_event *e)
{
    change_health(p, e);
    if (e->timer)
        feed(p, (struct machine_event){ .kind = EVENT_TIMER });
    if (!e->cancel)
        return;
    note(p, e->stop == STOP_CALLER ? "the caller leaves" : "shutdown", SPAN_NONE);
    feed(p, (struct machine_event){ .kind = EVENT_CANCEL, .stop = e->stop });
}

static void turn(struct player *p)
{
    const int64_t attempt = attempt_time(p);
    const int64_t event = p->next_event < p->c->n_events ? p->c->events[p->next_event].at_ms : INT64_MAX;
    const int64_t timer = p->timer_ms < INT64_MAX ? p->timer_ms + p->c->timer_late_ms : INT64_MAX;
    int64_t next = attempt < event ? attempt : event;

    next = next < timer ? next : timer;
    if (next == INT64_MAX) {
        broken(p, "nothing more will happen, and there is no reply");
        p->closed = true;
        return;
    }
    p->now_ms = next > p->now_ms ? next : p->now_ms;
    if (next == attempt && p->reserving) {
        answer_reservation(p);
    } else if (next == attempt) {
        if (attempt == p->end_ms)
            end_attempt(p);
        else
            take_piece(p);
    } else if (next == event) {
        do_event(p, &p->c->events[p->next_event++]);
    } else {
        feed(p, (struct machine_event){ .kind = EVENT_TIMER });
    }
}

/* ---- public ---- */

static void plan_error(struct player *p, enum plan_rc rc, struct span why)
{
    struct fail *f = &p->r->fail;

    p->r->status = rc == PLAN_UNKNOWN_ROUTE ? 400 : rc == PLAN_UNKNOWN_MODEL ? 404 : 503;
    *f = (struct fail){ .kind = FAIL_POLICY, .status = p->r->status, .type = "invalid_request_error", .message = why,
                        .code = rc == PLAN_UNKNOWN_ROUTE ? SPAN_LIT("unknown_route") : SPAN_LIT("model_not_found"),
                        .retry_after_ms = -1 };
}

static void check_limits(struct player *p)
{
    const struct plan *plan = &p->r->plan;

    if (p->r->n_attempts > plan->attempts)
        broken(p, "more attempts than the limit");
    if (!p->over && plan->cost_limit_nano >= 0 && p->r->cost_nano > plan->cost_limit_nano)
        broken(p, "the cost limit was exceeded");
    if (!p->over && p->c->budget_nano >= 0 && p->r->cost_nano > p->c->budget_nano)
        broken(p, "the budget was exceeded");
    if (p->r->duration_ms > plan->time_ms + p->c->reserve_ms + p->c->cancel_ms + p->c->timer_late_ms)
        broken(p, "the time limit was exceeded");
    if (p->held_nano != 0)
        broken(p, "a reservation was left open");
}

void scenario_play(const struct scenario_case *c, struct arena *arena, struct buf *trace, struct scenario_result *out)
{
    struct player p = { .c = c, .arena = arena, .trace = trace, .r = out, .budget_nano = c->budget_nano };
    struct span why = SPAN_NONE;
    enum plan_rc rc;

    *out = (struct scenario_result){ .first_byte_ms = -1 };
    buf_init(&p.text, 64u << 20);
    p.used = ARENA_ARRAY(arena, unsigned, c->n_scripts + 1);
    rc = plan_make(c->policy, c->features, &c->view, c->at_ms, arena, &out->plan, &why);
    if (rc != PLAN_OK || !p.used) {
        plan_error(&p, rc, why);
        goto out;
    }
    out->planned = true;
    if (!machine_init(&p.machine, &out->plan, arena, 0)) {
        broken(&p, "no memory");
        goto out;
    }
    p.machine.coverage = c->coverage;
    while (p.next_event < c->n_events && c->events[p.next_event].at_ms == 0)
        do_event(&p, &c->events[p.next_event++]);
    feed(&p, (struct machine_event){ .kind = EVENT_START });
    for (int turns = 0; !p.closed; turns++) {
        if (turns == TURNS_MAX) {
            broken(&p, "it does not end");
            break;
        }
        turn(&p);
    }
    check_limits(&p);
out:
    buf_free(&p.text);
}
