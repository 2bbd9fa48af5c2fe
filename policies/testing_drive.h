/* testing_drive.h - drives a machine with events at random and holds it to the promises of machine.h. For
 * test_machine and tests/fuzz/fuzz_policy: the one rolls a generator, the other reads the fuzzer's bytes. A broken
 * promise aborts. */
#ifndef TOLLGATE_POLICIES_TESTING_DRIVE_H
#define TOLLGATE_POLICIES_TESTING_DRIVE_H

#include <stdio.h>
#include <stdlib.h>

#include "policies/bound.h"
#include "policies/machine.h"
#include "policies/testing_dice.h"

#define DRIVE_PROMISE(cond) do { if (!(cond)) { \
    fprintf(stderr, "broken promise at %s:%d: %s\n", __FILE__, __LINE__, #cond); abort(); } } while (0)

struct drive {
    struct dice *dice;
    struct machine m;
    struct plan *plan;
    struct view_model *models;
    size_t n_models;
    int64_t now_ms, timer_ms;
    unsigned reserved, settled, finals, commits;    /* counts */
    unsigned n;                    /* of the attempt under way */
    bool reserving, held, calling, cancelled;
    int64_t worst_nano, cost_nano, spent_nano;
    int64_t chars;
};

static inline void drive_action(struct drive *d, const struct action *a)
{
    DRIVE_PROMISE(d->finals == 0);                              /* (3) nothing after it */
    switch (a->kind) {
    case ACTION_RESERVE:
        DRIVE_PROMISE(!d->reserving && !d->held && !d->calling);    /* (5) one at a time */
        DRIVE_PROMISE(d->commits == 0);                         /* (4) */
        DRIVE_PROMISE(a->n == d->settled + 1);                  /* (5) without a gap */
        DRIVE_PROMISE(a->n <= d->plan->attempts);
        DRIVE_PROMISE(d->now_ms < d->m.deadline_ms);
        DRIVE_PROMISE(a->worst_nano >= 0 && a->output_cap > 0);
        DRIVE_PROMISE(d->plan->cost_limit_nano < 0 || d->spent_nano + a->worst_nano <= d->plan->cost_limit_nano);
        DRIVE_PROMISE(d->plan->steps[a->step].view && d->plan->steps[a->step].skip == PLAN_USABLE);
        DRIVE_PROMISE(!d->plan->local || d->plan->steps[a->step].view->local);
        DRIVE_PROMISE(d->plan->steps[a->step].view->retry_after_ms <= d->now_ms);
        d->reserving = true;
        d->n = a->n;
        d->worst_nano = a->worst_nano;
        return;
    case ACTION_CALL:
        DRIVE_PROMISE(d->held && !d->calling && a->n == d->n);
        d->calling = true;
        d->cancelled = false;
        d->chars = 0;
        return;
    case ACTION_WAIT:
        DRIVE_PROMISE(!d->reserving && !d->held && d->m.wait_until_ms < d->m.deadline_ms);
        return;
    case ACTION_COMMIT:
        DRIVE_PROMISE(d->calling && !d->cancelled && a->n == d->n);
        DRIVE_PROMISE(d->plan->stream != STREAM_HOLD);
        d->commits++;
        DRIVE_PROMISE(d->commits == 1);
        return;
    case ACTION_CANCEL_ATTEMPT:
        DRIVE_PROMISE(d->calling && !d->cancelled && a->n == d->n);
        d->cancelled = true;
        return;
    case ACTION_SETTLE:
        DRIVE_PROMISE(d->held && !d->calling && a->n == d->n);  /* (1) and (2) */
        DRIVE_PROMISE(a->verdict[0] && strlen(a->verdict) + 1 < VERDICT_ROOM);
        d->held = false;
        d->settled++;
        return;
    case ACTION_ACCEPT:
        DRIVE_PROMISE(a->n == d->settled && d->settled > 0);
        break;
    case ACTION_FAIL:
        DRIVE_PROMISE(a->fail.status >= 400 && a->fail.status < 600 && a->fail.message.n > 0 && a->fail.type);
        DRIVE_PROMISE(a->fail.status != 401 && a->fail.status != 402);
        DRIVE_PROMISE((a->fail.retry_after_ms >= 0) == !a->fail.should_not_retry);    /* never both, never neither */
        break;
    }
    DRIVE_PROMISE(!d->held && !d->calling && !d->reserving);    /* (1), (3) */
    d->finals++;
}

static inline void drive_feed(struct drive *d, const struct machine_event *ev)
{
    struct actions acts;

    machine_step(&d->m, ev, d->now_ms, &acts);
    DRIVE_PROMISE(acts.n <= MACHINE_ACTIONS_MAX);
    for (unsigned i = 0; i < acts.n; i++)
        drive_action(d, &acts.list[i]);
    d->timer_ms = acts.timer_ms;
    DRIVE_PROMISE((d->m.state == MACHINE_DONE) == (d->finals == 1));
    DRIVE_PROMISE(d->m.state != MACHINE_WAITING || d->timer_ms < INT64_MAX);    /* nobody waits for nothing */
}

/* An event that means nothing now: a late or doubled report, an attempt that is over. It must change nothing. */
static inline void drive_nonsense(struct drive *d)
{
    static const enum event_kind kinds[] = { EVENT_RESERVED, EVENT_RESERVE_REFUSED, EVENT_PROGRESS, EVENT_ENDED };
    const struct machine before = d->m;
    struct machine_event ev = { .kind = kinds[dice_below(d->dice, 4)],
                                .n = d->n + 1 + dice_below(d->dice, 3),
                                .cost_nano = 5 };
    struct actions acts;

    machine_step(&d->m, &ev, d->now_ms, &acts);
    DRIVE_PROMISE(acts.n == 0 && memcmp(&before, &d->m, sizeof before) == 0);
    if (d->m.state != MACHINE_READY) {
        ev = (struct machine_event){ .kind = EVENT_START };
        machine_step(&d->m, &ev, d->now_ms, &acts);
        DRIVE_PROMISE(acts.n == 0 && memcmp(&before, &d->m, sizeof before) == 0);
    }
    DRIVE_PROMISE(acts.timer_ms == d->timer_ms || d->m.state == MACHINE_READY);
}

static inline struct answer drive_answer(struct drive *d, struct answer_tool *tool)
{
    static const char *const texts[] = { "", "Paris.", "I can't answer that.", "{\"a\":1}", "{\"a\":", "```\nx", "    ",
                                         "A longer answer that opens most windows." };
    struct answer a = { .text = span_str(texts[dice_below(d->dice, 8)]),
                        .finish = (enum finish)dice_below(d->dice, FINISH_OTHER + 1) };

    if (dice_one_in(d->dice, 4)) {
        *tool = (struct answer_tool){ dice_one_in(d->dice, 2) ? SPAN_LIT("weather") : SPAN_LIT("nope"),
                                      dice_one_in(d->dice, 2) ? SPAN_LIT("{}") : SPAN_LIT("{"),
                                      .custom = false };
        a.tools = tool;
        a.n_tools = 1;
    }
    return a;
}

static inline struct outcome drive_outcome(struct drive *d)
{
    static const int statuses[] = { 200, 200, 200, 200, 400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 503, 529 };
    static const char *const codes[] = { NULL, NULL, NULL, "context_length_exceeded", "insufficient_quota",
                                         "content_policy_violation", "model_not_found" };
    struct outcome o = { .transport = TRANSPORT_OK, .status = statuses[dice_below(d->dice, 16)], .retry_after_ms = -1 };

    if (dice_one_in(d->dice, 3))
        o.transport = (enum transport)dice_below(d->dice, TRANSPORT_LOCAL + 1);
    if (o.status >= 400)
        o.error_code = span_str(codes[dice_below(d->dice, 7)]);
    if (dice_one_in(d->dice, 3))
        o.retry_after_ms = (int64_t)dice_below(d->dice, 90000);
    return o;
}

static inline void drive_health(struct drive *d)
{
    struct view_model *v = &d->models[dice_below(d->dice, (uint32_t)d->n_models)];

    v->breaker = (enum view_breaker)dice_below(d->dice, 3);
    v->key_refused = dice_one_in(d->dice, 4);
    v->retry_after_ms = dice_one_in(d->dice, 4) ? d->now_ms + (int64_t)dice_below(d->dice, 5000) : 0;
}

/* What happens next to a request that is under way. */
static inline void drive_turn(struct drive *d)
{
    struct answer_tool tool;
    struct machine_event ev = { .n = d->n };
    struct answer a;
    struct outcome o;

    if (dice_one_in(d->dice, 3))
        d->now_ms += (int64_t)dice_below(d->dice, 3000);
    if (dice_one_in(d->dice, 4))
        drive_health(d);
    if (dice_one_in(d->dice, 8))
        drive_nonsense(d);
    if (dice_one_in(d->dice, 20)) {
        ev.kind = EVENT_CANCEL;
        ev.stop = dice_one_in(d->dice, 2) ? STOP_CALLER : STOP_SHUTDOWN;
    } else if (dice_one_in(d->dice, 10) || !(d->reserving || d->calling)) {
        ev.kind = EVENT_TIMER;
        if (!(d->reserving || d->calling) && d->timer_ms > d->now_ms && d->timer_ms < INT64_MAX &&
            !dice_one_in(d->dice, 4))
            d->now_ms = d->timer_ms;
    } else if (d->reserving) {
        ev.kind = dice_one_in(d->dice, 5) ? EVENT_RESERVE_REFUSED : EVENT_RESERVED;
        ev.refusal = SPAN_LIT("no");
        ev.reserve_full = dice_one_in(d->dice, 5);
        d->reserving = false;
        d->held = ev.kind == EVENT_RESERVED;
        d->reserved += d->held;
    } else if (!d->cancelled && dice_one_in(d->dice, 2)) {
        a = drive_answer(d, &tool);
        d->chars += (int64_t)dice_below(d->dice, 30);
        ev = (struct machine_event){ .kind = EVENT_PROGRESS, .n = d->n, .answer = &a, .chars = d->chars,
                                     .has_piece = !dice_one_in(d->dice, 4) };
    } else {
        a = drive_answer(d, &tool);
        o = drive_outcome(d);
        d->calling = false;
        ev = (struct machine_event){ .kind = EVENT_ENDED, .n = d->n, .answer = dice_one_in(d->dice, 6) ? NULL : &a,
                                     .outcome = dice_one_in(d->dice, 20) ? NULL : &o, .chars = d->chars };
        ev.cost_nano =
            d->worst_nano > 0
                ? (int64_t)dice_below(d->dice, (uint32_t)(d->worst_nano < 4000000000 ? d->worst_nano : 4000000000) + 1)
                : 0;
        d->spent_nano += ev.cost_nano;
    }
    drive_feed(d, &ev);
}

/* Plays one request to its end. `models` may be changed: health wanders. */
static inline void drive_run(struct dice *dice, struct plan *plan, struct view_model *models, size_t n_models,
                             struct arena *arena, uint8_t *coverage)
{
    struct drive d = { .dice = dice, .plan = plan, .models = models, .n_models = n_models, .timer_ms = INT64_MAX };
    struct machine_event start = { .kind = EVENT_START };
    struct bound bound;

    DRIVE_PROMISE(machine_init(&d.m, plan, arena, 0));
    d.m.coverage = coverage;
    if (dice_one_in(dice, 30)) {
        start.kind = EVENT_CANCEL;
        drive_feed(&d, &start);
    } else {
        drive_feed(&d, &start);
    }
    for (int turns = 0; d.finals == 0; turns++) {
        DRIVE_PROMISE(turns < 2000);
        if (turns > 1000) {    /* time runs out on any request in the end */
            d.now_ms = d.m.deadline_ms > d.now_ms ? d.m.deadline_ms : d.now_ms;
        }
        drive_turn(&d);
    }
    DRIVE_PROMISE(d.reserved == d.settled);
    bound = bound_plan(plan);
    DRIVE_PROMISE(d.settled <= bound.attempts && d.spent_nano <= bound.cost_nano);
    drive_nonsense(&d);
}

#endif
