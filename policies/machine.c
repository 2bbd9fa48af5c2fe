/* machine.c - THE HEART: what to do next, given what has happened.
 *
 * One function a state and event, in the order of a request's life. Owns the choice of the next step, the judging of
 * answers, waits, limits, and the promises (1) to (5) of machine.h; cited below as keeps (n). Owns no socket, no
 * clock and no money beyond the sum of what was spent; fail.c has the words for the caller. */
#include "policies/machine.h"


#include "policies/fail.h"
#include "policies/transitions.h"

/* ---- transitions, for coverage ---- */

enum transition {
#define X(name, text) T_##name,
    TRANSITIONS(X)
#undef X
    TRANSITION_COUNT
};
const size_t MACHINE_TRANSITIONS = TRANSITION_COUNT;

const char *machine_transition_name(size_t i)
{
    static const char *const names[] = {
#define X(name, text) text,
        TRANSITIONS(X)
#undef X
    };

    return i < TRANSITION_COUNT ? names[i] : NULL;
}

static void take(struct machine *m, enum transition t)
{
    if (m->coverage)
        m->coverage[t] = 1;
}

/* ---- small parts ---- */

enum quit { QUIT_NO, QUIT_CALLER, QUIT_SHUTDOWN, QUIT_DEADLINE };

#define NO_STEP SIZE_MAX

static struct action *act(struct machine *m, struct actions *out, enum action_kind kind)
{
    struct action *a = &out->list[out->n++];    /* no event leads to more than MACHINE_ACTIONS_MAX */

    *a = (struct action){ .kind = kind, .n = m->n, .step = m->current };
    return a;
}

static const struct plan_step *planned(const struct machine *m, size_t i)
{
    return &m->plan->steps[i];
}

static void finish(struct machine *m, struct actions *out, struct fail f)
{
    act(m, out, ACTION_FAIL)->fail = f;
    m->state = MACHINE_DONE;
}

static size_t add_text(char out[VERDICT_ROOM], size_t n, const char *z)
{
    while (*z && n + 1 < VERDICT_ROOM)
        out[n++] = *z++;
    out[n] = '\0';
    return n;
}

static void settle(struct machine *m, struct actions *out, const char *verdict, const char *detail, const char *reason)
{
    struct action *a = act(m, out, ACTION_SETTLE);
    const size_t n = add_text(a->verdict, 0, verdict);

    if (detail)
        add_text(a->verdict, add_text(a->verdict, n, ":"), detail);
    a->reason = reason;
    a->called = true;
}

static const char *quit_name(const struct machine *m)
{
    return m->quit == QUIT_CALLER ? "caller" : m->quit == QUIT_SHUTDOWN ? "shutdown" : "deadline";
}

static struct fail quit_fail(const struct machine *m)
{
    switch ((enum quit)m->quit) {
    case QUIT_CALLER: return fail_cancelled();
    case QUIT_SHUTDOWN: return fail_shutdown();
    case QUIT_NO: case QUIT_DEADLINE: break;
    }
    return fail_deadline(m);
}

static void remember(struct machine *m, struct fail f)
{
    m->last = f;
    m->has_last = true;
}

/* ---- the choice of a step ---- */

static bool is_left(const struct machine *m, size_t i)
{
    const struct plan_step *s = planned(m, i);
    const struct machine_step *st = &m->steps[i];

    return s->skip == PLAN_USABLE && !st->done && st->attempts < s->attempts && s->model->context > m->larger_than;
}

static int64_t retry_after(const struct machine *m, size_t i)
{
    const int64_t seen = planned(m, i)->view->retry_after_ms, own = m->steps[i].retry_after_ms;

    return seen > own ? seen : own;
}

static bool is_sick(const struct machine *m, size_t i)
{
    const struct view_model *v = planned(m, i)->view;

    return v->breaker == VIEW_OPEN || v->key_refused || m->steps[i].suspect;
}

static bool is_healthy(const struct machine *m, size_t i, int64_t now)
{
    return !is_sick(m, i) && retry_after(m, i) <= now;
}

static bool healthy_other(const struct machine *m, int64_t now)
{
    for (size_t i = 0; i < m->plan->n_steps; i++)
        if (i != m->current && is_left(m, i) && is_healthy(m, i, now))
            return true;
    return false;
}

/* Health only reorders: healthy ones first, then those whose breaker or key speaks against them; never one that asked
 * not to be called yet. Within each, `prefer` first, then the order of the policy. */
static size_t pick(struct machine *m, size_t prefer, int64_t now)
{
    size_t sick = NO_STEP;
    bool passed_over = false;

    if (prefer != NO_STEP && is_left(m, prefer) && is_healthy(m, prefer, now)) {
        take(m, T_PICK_PREFERRED);
        return prefer;
    }
    for (size_t i = 0; i < m->plan->n_steps; i++) {
        if (!is_left(m, i))
            continue;
        if (is_healthy(m, i, now)) {
            take(m, passed_over ? T_PICK_PASSED_OVER : T_PICK_ORDER);
            return i;
        }
        passed_over = true;
        if (sick == NO_STEP && retry_after(m, i) <= now)
            sick = i;
    }
    if (sick != NO_STEP)
        take(m, T_PICK_SICK);
    return sick;
}

/* Does one more attempt at step `i` fit what may still be spent? If not, the step is out, and why is remembered. */
static bool fits_cost(struct machine *m, size_t i)
{
    const struct plan_step *s = planned(m, i);
    const int64_t limit = m->plan->cost_limit_nano;

    if (plan_price(m->plan, i) && (limit < 0 || s->worst_nano <= limit - m->spent_nano))
        return true;
    m->steps[i].done = true;
    if (s->skip == PLAN_NO_PRICE) {
        take(m, T_PICK_NO_PRICE);
        return false;
    }
    take(m, T_PICK_TOO_DEAR);
    if (!m->has_last || m->last.kind != FAIL_COST_LIMIT)
        remember(m, fail_cost(m, s->worst_nano));
    return false;
}

static void reserve(struct machine *m, struct actions *out, size_t i)
{
    const struct plan_step *s = planned(m, i);
    struct action *a;

    m->n++;
    m->current = i;
    m->steps[i].attempts++;
    m->hold_whole = m->plan->asked.json && (s->checks & CHECK_BIT(CHECK_VALID_JSON));
    m->early = (struct verdict){ .ok = true };
    m->state = MACHINE_RESERVING;
    a = act(m, out, ACTION_RESERVE);
    a->output_cap = s->output_cap;
    a->worst_nano = s->worst_nano;
}

/* Nothing can be chosen: inside a Retry-After the caller is told when to come back, else he is told the last cause. */
static void give_up(struct machine *m, struct actions *out, int64_t now)
{
    int64_t until = INT64_MAX;

    for (size_t i = 0; i < m->plan->n_steps; i++)
        if (is_left(m, i) && retry_after(m, i) < until)
            until = retry_after(m, i);
    if (until != INT64_MAX) {
        take(m, T_PICK_ALL_WAIT);
        finish(m, out, fail_rate_limited(m, until - now));
        return;
    }
    take(m, T_PICK_NOTHING);
    finish(m, out, m->has_last ? m->last : fail_no_step(m));
}

/* Reserves the next attempt, or ends the request. */
static void go_on(struct machine *m, struct actions *out, size_t prefer, int64_t now)
{
    if (m->n >= m->plan->attempts) {    /* keeps (5) */
        take(m, T_PICK_ATTEMPTS);
        finish(m, out, m->last);
        return;
    }
    if (now >= m->deadline_ms) {
        take(m, T_PICK_LATE);
        finish(m, out, fail_deadline(m));
        return;
    }
    for (;;) {
        const size_t i = pick(m, prefer, now);

        if (i == NO_STEP) {
            give_up(m, out, now);
            return;
        }
        if (fits_cost(m, i)) {
            reserve(m, out, i);
            return;
        }
    }
}

/* ---- after an attempt that brought no answer that will do ---- */

static bool may_again(const struct machine *m)
{
    return is_left(m, m->current) && m->n < m->plan->attempts;
}

static void rule_out_model(struct machine *m)
{
    for (size_t i = 0; i < m->plan->n_steps; i++)
        if (planned(m, i)->model == planned(m, m->current)->model)
            m->steps[i].done = true;
}

static void wait_until(struct machine *m, struct actions *out, int64_t until)
{
    m->state = MACHINE_WAITING;
    m->wait_until_ms = until;
    act(m, out, ACTION_WAIT);
}

static void leave(struct machine *m, struct actions *out, int64_t now, enum transition why)
{
    m->steps[m->current].done = true;
    go_on(m, out, NO_STEP, now);
    take(m, m->state == MACHINE_DONE ? T_FAILED_FAIL : why);
}

/* The same step again after a wait that doubles, unless it is sick and another is not. */
static void again_later(struct machine *m, struct actions *out, int64_t now)
{
    struct machine_step *st = &m->steps[m->current];
    int64_t wait = MACHINE_BACKOFF_MS;

    for (unsigned i = 0; i < st->waits && wait < MACHINE_BACKOFF_MOST_MS; i++)
        wait *= 2;
    if (wait > MACHINE_BACKOFF_MOST_MS)
        wait = MACHINE_BACKOFF_MOST_MS;
    if (!may_again(m) || wait >= m->deadline_ms - now || !fits_cost(m, m->current)) {
        leave(m, out, now, T_FAILED_NEXT);
        return;
    }
    if (!is_healthy(m, m->current, now) && healthy_other(m, now)) {
        go_on(m, out, NO_STEP, now);    /* not done: it may be asked again when the others have failed */
        take(m, T_FAILED_SICK);
        return;
    }
    st->waits++;
    take(m, T_FAILED_WAIT);
    wait_until(m, out, now + wait);
}

/* DESIGN section 6: "a 429 honours Retry-After when it fits the time left, else goes elsewhere". */
static void again_when_allowed(struct machine *m, struct actions *out, int64_t asked_ms, int64_t now)
{
    if (asked_ms < 0) {
        again_later(m, out, now);
        return;
    }
    for (size_t i = 0; i < m->plan->n_steps; i++)    /* it is the model that asked, whichever step calls it */
        if (planned(m, i)->model == planned(m, m->current)->model)
            m->steps[i].retry_after_ms = asked_ms < INT64_MAX - now ? now + asked_ms : INT64_MAX;
    if (may_again(m) && asked_ms < m->deadline_ms - now && fits_cost(m, m->current)) {
        take(m, T_LIMITED_WAIT);
        wait_until(m, out, now + asked_ms);
        return;
    }
    leave(m, out, now, T_LIMITED_NEXT);
}

static void after_failure(struct machine *m, struct actions *out, enum failure f, const struct outcome *o, int64_t now)
{
    const struct plan_step *s = planned(m, m->current);

    remember(m, fail_attempt(m, f, o));
    switch (failure_remedy(f)) {
    case REMEDY_HERE:
        again_later(m, out, now);
        return;
    case REMEDY_WAIT:
        again_when_allowed(m, out, o->retry_after_ms, now);
        return;
    case REMEDY_ELSEWHERE:
        rule_out_model(m);
        leave(m, out, now, T_FAILED_ELSEWHERE);
        return;
    case REMEDY_PROVIDER:
        for (size_t i = 0; i < m->plan->n_steps; i++)
            if (span_eq(planned(m, i)->model->provider, s->model->provider))
                m->steps[i].suspect = true;
        leave(m, out, now, T_FAILED_PROVIDER);
        return;
    case REMEDY_LARGER:
        if (s->model->context > m->larger_than)
            m->larger_than = s->model->context;
        leave(m, out, now, T_FAILED_LARGER);
        return;
    case REMEDY_STOP:
        break;
    }
    take(m, T_FAILED_CALLER);
    finish(m, out, m->last);
}

/* A refusal goes to another model; what a cap of ours cut off would be cut again; anything else may be luck. */
static void after_rejection(struct machine *m, struct actions *out, struct verdict v, enum finish finish_reason,
                            int64_t now)
{
    const size_t here = m->current;
    enum transition t = T_REJECTED_NEXT;

    remember(m, fail_rejected(m, v));
    if (v.check == CHECK_NOT_REFUSED) {
        rule_out_model(m);
        t = T_REJECTED_REFUSED;
    } else if (v.check == CHECK_COMPLETE && finish_reason == FINISH_LENGTH) {
        m->steps[m->current].done = true;
        t = T_REJECTED_CUT;
    }
    if (may_again(m)) {
        go_on(m, out, m->current, now);    /* at once, unless its health has changed meanwhile */
        t = m->current == here ? T_REJECTED_AGAIN : T_REJECTED_NEXT;
    } else {
        m->steps[m->current].done = true;
        go_on(m, out, NO_STEP, now);
    }
    take(m, m->state == MACHINE_DONE ? T_REJECTED_FAIL : t);
}

/* ---- events ---- */

static void on_start(struct machine *m, struct actions *out, int64_t now)
{
    go_on(m, out, NO_STEP, now);
    if (m->state != MACHINE_DONE)
        take(m, T_START_RESERVE);
    else
        take(m, now >= m->deadline_ms ? T_START_LATE : T_START_NOTHING);
}

static void on_reserved(struct machine *m, struct actions *out, int64_t now)
{
    struct action *a;

    if (m->quit == QUIT_NO && now >= m->deadline_ms)
        m->quit = QUIT_DEADLINE;
    if (m->quit != QUIT_NO) {
        take(m, T_RESERVED_QUIT);
        settle(m, out, "cancelled", quit_name(m), NULL);    /* keeps (1) */
        out->list[out->n - 1].called = false;
        finish(m, out, quit_fail(m));
        return;
    }
    take(m, T_RESERVED_CALL);
    m->state = MACHINE_CALLING;
    a = act(m, out, ACTION_CALL);
    a->output_cap = planned(m, m->current)->output_cap;
}

static void on_refused(struct machine *m, struct actions *out, const struct machine_event *ev, int64_t now)
{
    m->n--;    /* it was never made */
    if (m->quit != QUIT_NO) {
        take(m, T_REFUSED_QUIT);
        finish(m, out, quit_fail(m));
        return;
    }
    if (ev->reserve_full) {
        take(m, T_REFUSED_FULL);
        finish(m, out, fail_ledger_full(ev->refusal));
        return;
    }
    if (!m->has_last || m->last.kind != FAIL_BUDGET)
        remember(m, fail_budget(m, ev->refusal));
    m->steps[m->current].done = true;
    go_on(m, out, NO_STEP, now);
    take(m, m->state == MACHINE_DONE ? T_REFUSED_FAIL : T_REFUSED_NEXT);
}

static void commit(struct machine *m, struct actions *out)
{
    m->committed = true;
    act(m, out, ACTION_COMMIT);
}

static void judge_beginning(struct machine *m, struct actions *out, const struct answer *a, enum transition good)
{
    m->early = checks_beginning(planned(m, m->current)->checks, a);
    if (m->early.ok) {
        take(m, good);
        commit(m, out);
        return;
    }
    take(m, T_WINDOW_BAD);
    m->state = MACHINE_STOPPING;
    act(m, out, ACTION_CANCEL_ATTEMPT);
}

static void on_progress(struct machine *m, struct actions *out, const struct machine_event *ev)
{
    static const struct answer nothing;
    const struct answer *a = ev->answer ? ev->answer : &nothing;
    const unsigned checks = planned(m, m->current)->checks;
    const int64_t wanted = machine_wants_chars(m);

    if (m->committed)
        return;
    if (a->n_tools && !m->hold_whole && (checks & CHECK_BIT(CHECK_VALID_TOOL_CALLS)) &&
        m->plan->stream == STREAM_WINDOW) {
        take(m, T_TOOL_HELD);
        m->hold_whole = true;
        return;
    }
    if (wanted < 0) {
        take(m, T_PIECE_HELD);
    } else if (wanted == 0) {
        if (ev->has_piece) {
            take(m, T_PIECE_PASS);
            commit(m, out);
        }
    } else if (ev->chars >= wanted) {
        judge_beginning(m, out, a, T_WINDOW_GOOD);
    } else if (a->n_tools) {
        judge_beginning(m, out, a, T_TOOL_PASS);
    } else {
        take(m, T_WINDOW_WAIT);
    }
}

static void ended_well(struct machine *m, struct actions *out, const struct answer *a, const struct verdict *told, int64_t now)
{
    const struct plan_step *s = planned(m, m->current);
    const struct verdict v = told ? *told : checks_whole(s->checks, a, &m->plan->asked, s->output_cap);

    if (!m->committed && !v.ok) {
        settle(m, out, "rejected", check_name(v.check), v.reason);
        after_rejection(m, out, v, a->finish, now);
        return;
    }
    take(m, !m->committed ? T_ENDED_ACCEPT : v.ok ? T_ENDED_COMMITTED : T_ENDED_LATE);
    settle(m, out, v.ok ? "accepted" : "late", v.ok ? NULL : check_name(v.check), v.reason);
    act(m, out, ACTION_ACCEPT);
    m->state = MACHINE_DONE;
}

static void on_ended(struct machine *m, struct actions *out, const struct machine_event *ev, int64_t now)
{
    static const struct answer nothing;
    static const struct outcome unknown = { .transport = TRANSPORT_LOCAL, .retry_after_ms = -1 };
    const struct answer *a = ev->answer ? ev->answer : &nothing;
    const struct outcome *o = ev->outcome ? ev->outcome : &unknown;
    enum failure f = failure_classify(o);

    if (f == FAILURE_NONE && a->finish == FINISH_INTERRUPTED)
        f = FAILURE_OVERLOADED;
    if (f == FAILURE_NONE) {
        ended_well(m, out, a, ev->verdict, now);
        return;
    }
    settle(m, out, "failed", failure_name(f), NULL);
    out->list[out->n - 1].failure = f;
    if (m->committed) {    /* keeps (4) */
        take(m, T_ENDED_BROKEN);
        finish(m, out, fail_attempt(m, f, o));
        return;
    }
    after_failure(m, out, f, o, now);
}

/* The attempt that we stopped is over. */
static void on_stopped(struct machine *m, struct actions *out, int64_t now)
{
    const struct verdict v = m->early;

    if (v.ok)
        settle(m, out, "cancelled", quit_name(m), NULL);
    else
        settle(m, out, "rejected", check_name(v.check), v.reason);
    if (m->quit != QUIT_NO) {
        take(m, T_STOPPED_QUIT);
        finish(m, out, quit_fail(m));
        return;
    }
    take(m, T_STOPPED_JUDGED);
    after_rejection(m, out, v, FINISH_NONE, now);
}

/* The request is to end: the caller left, we shut down, or its time is up. */
static void on_quit(struct machine *m, struct actions *out, enum quit why)
{
    const bool deadline = why == QUIT_DEADLINE;

    m->quit = (uint8_t)why;
    switch (m->state) {
    case MACHINE_READY:
        take(m, T_READY_QUIT);
        finish(m, out, quit_fail(m));
        return;
    case MACHINE_WAITING:
        take(m, deadline ? T_WAITING_DEADLINE : T_WAITING_QUIT);
        finish(m, out, quit_fail(m));
        return;
    case MACHINE_RESERVING: /* the answer to RESERVE is on its way, and decides whether there is something to settle */
        take(m, deadline ? T_RESERVING_DEADLINE : T_RESERVING_QUIT);
        return;
    case MACHINE_CALLING:
        take(m, deadline ? T_CALLING_DEADLINE : T_CALLING_QUIT);
        m->state = MACHINE_STOPPING;
        act(m, out, ACTION_CANCEL_ATTEMPT);
        return;
    case MACHINE_STOPPING:
        take(m, deadline ? T_STOPPING_DEADLINE : T_STOPPING_QUIT);
        return;
    case MACHINE_DONE: case MACHINE_STATES:
        return;
    }
}

static void on_timer(struct machine *m, struct actions *out, int64_t now)
{
    if (now >= m->deadline_ms && m->state != MACHINE_READY && m->quit == QUIT_NO) {
        on_quit(m, out, QUIT_DEADLINE);
    } else if (m->state == MACHINE_WAITING && now >= m->wait_until_ms) {
        take(m, T_WAITING_GO);
        go_on(m, out, m->current, now);
    } else {
        take(m, T_TIMER_EARLY);
    }
}

static int64_t next_timer(const struct machine *m)
{
    if (m->quit != QUIT_NO)
        return INT64_MAX;
    switch (m->state) {
    case MACHINE_RESERVING: case MACHINE_CALLING: case MACHINE_STOPPING:
        return m->deadline_ms;
    case MACHINE_WAITING:
        return m->wait_until_ms < m->deadline_ms ? m->wait_until_ms : m->deadline_ms;
    case MACHINE_READY: case MACHINE_DONE: case MACHINE_STATES:
        break;
    }
    return INT64_MAX;
}

/* ---- public ---- */

bool machine_init(struct machine *m, struct plan *plan, struct arena *arena, int64_t now_ms)
{
    *m = (struct machine){ .plan = plan, .arena = arena, .state = MACHINE_READY, .start_ms = now_ms,
                           .early = { .ok = true } };
    m->deadline_ms = plan->time_ms < INT64_MAX - now_ms ? now_ms + plan->time_ms : INT64_MAX;
    m->steps = ARENA_ARRAY(arena, struct machine_step, plan->n_steps);
    return m->steps != NULL;
}

void machine_step(struct machine *m, const struct machine_event *ev, int64_t now_ms, struct actions *out)
{
    const bool this_attempt = ev->n == m->n;

    out->n = 0;
    switch (ev->kind) {
    case EVENT_START:
        if (m->state == MACHINE_READY)
            on_start(m, out, now_ms);
        break;
    case EVENT_RESERVED:
        if (m->state == MACHINE_RESERVING && this_attempt)
            on_reserved(m, out, now_ms);
        break;
    case EVENT_RESERVE_REFUSED:
        if (m->state == MACHINE_RESERVING && this_attempt)
            on_refused(m, out, ev, now_ms);
        break;
    case EVENT_PROGRESS:
        if (m->state == MACHINE_CALLING && this_attempt)
            on_progress(m, out, ev);
        break;
    case EVENT_ENDED:
        if ((m->state != MACHINE_CALLING && m->state != MACHINE_STOPPING) || !this_attempt)
            break;
        m->spent_nano += ev->cost_nano > 0 ? ev->cost_nano : 0;
        if (m->state == MACHINE_CALLING)
            on_ended(m, out, ev, now_ms);
        else
            on_stopped(m, out, now_ms);
        break;
    case EVENT_TIMER:
        on_timer(m, out, now_ms);
        break;
    case EVENT_CANCEL:
        if (m->quit == QUIT_NO)
            on_quit(m, out, ev->stop == STOP_CALLER ? QUIT_CALLER : QUIT_SHUTDOWN);
        break;
    }
    out->timer_ms = next_timer(m);
}

int64_t machine_wants_chars(const struct machine *m)
{
    if (m->state != MACHINE_CALLING || m->committed || m->hold_whole || m->plan->stream == STREAM_HOLD)
        return -1;
    if (m->plan->stream == STREAM_PASS || planned(m, m->current)->checks == 0)
        return 0;
    return m->plan->window_chars;
}
