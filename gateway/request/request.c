/* request.c - the steps of a request, top to bottom. Reading this file is reading the product.
 *
 *   head  -> AUTH -> (BODY) -> PARSE -> DECIDE -> DRIVE -> REPLY -> DONE
 *               \______________\_________\___________\__________> a fault: REPLY
 *
 * DRIVE is a conversation with the policy's machine (policies/machine.h): it is given events and answers with actions;
 * this file carries the actions out, one function each: reserve, call, commit, cancel, settle, accept, fail.
 *
 * Invariants, cited below as "keeps (n)":
 *  (1) No byte of an answer leaves before the ledger has committed the reservation of its attempt (opens_pending).
 *  (2) The closing event leaves only after the attempt's row is in the ledger's queue.
 *  (3) After the first byte of an answer has left there is no other attempt (the machine promises it; asserted).
 *  (4) Each reservation is settled once, on every path: a caller that leaves, a shutdown, a failing ledger.
 *  (5) Nothing is freed inside another's callback: request_done gives it to the worker, which buries it next turn.
 *  (6) Every wait has a timer: the machine's, the connection's, the fetch's, or the stream's own keep-alive.
 *  (7) While a helper thread is at work for a request (r->away) it alone touches chat, features, arena, notes, fault and
 *      attempt, and nothing is freed. What happens meanwhile is noted and heard when the job is back: it ends by itself. */
#include "gateway/request/request.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "gateway/request/account.h"
#include "gateway/request/auth.h"
#include "gateway/request/decide.h"
#include "gateway/request/facts.h"
#include "gateway/request/pages.h"
#include "gateway/request/reply.h"
#include "gateway/request/memory.h"
#include "gateway/server/worker.h"

#define BODY_AT_ONCE 16384

static void drive(struct request *r, const struct machine_event *first);
static void run(struct request *r, enum step step);
static void on_timer(evutil_socket_t fd, short what, void *arg);

/* ---- life ---- */

static struct request *request_new(struct worker *w, struct connection *c, const struct http1_head *head)
{
    struct request *r = calloc(1, sizeof *r);
    const int64_t at_us = clock_wall_us();
    uint64_t random[2];

    if (!r)
        return NULL;
    if (!worker_slot_take(w, r, &r->slot)) {
        free(r);
        return NULL;
    }
    event_assign(&r->timer, w->base, -1, 0, on_timer, r);
    r->worker = w;
    r->snapshot = snapshot_ref(w->snapshot);
    r->conn = c;
    r->head = head;
    r->dialect = dialect_get(DIALECT_CHAT);    /* until its path is known */
    r->at_ms = at_us / 1000;
    r->start_ms = clock_mono_ms();
    r->first_byte_ms = -1;
    r->wake_ms = INT64_MAX;
    random[0] = worker_random(w);
    random[1] = worker_random(w);
    row_new_id_us(at_us, (const uint8_t *)random, r->id);
    arena_init(&r->arena, REQUEST_ARENA_BYTES);
    buf_init(&r->body, r->snapshot->config->limits.body_bytes ? r->snapshot->config->limits.body_bytes : SIZE_MAX / 2);
    buf_init(&r->out, SIZE_MAX / 2);
    buf_init(&r->behind, SIZE_MAX / 2);
    if (head->has_length && head->length <= BODY_AT_ONCE)    /* a declared length is believed so far and no further */
        buf_reserve(&r->body, (size_t)head->length);
    connection_set_request(c, r);
    count_add(w, COUNT_REQUESTS, 1);
    return r;
}

/* Any thread. */
static void free_memory(void *ctx)
{
    struct request *r = ctx;

    if (r->attempt_live)
        attempt_free(&r->attempt);
    jscan_free(r->scan);
    buf_free(&r->body);
    buf_free(&r->out);
    buf_free(&r->behind);
    arena_free(&r->arena);
    free(r);
}

/* To give back some megabytes takes a millisecond. */
static bool is_heavy(const struct request *r)
{
    size_t n = r->body.room + r->out.room + r->behind.room;

    if (r->attempt_live)
        n += r->attempt.pieces.room + r->attempt.draft.text.room;
    return n > REQUEST_LARGE_BYTES;
}

void request_free(struct request *r, bool at_once)
{
    atomic_fetch_sub_explicit(&r->worker->gw->bytes_in_flight, r->counted_bytes, memory_order_relaxed);
    event_del(&r->timer);
    snapshot_unref(r->snapshot);
    if (r->attempt_live)
        attempt_cancel(&r->attempt);
    if (at_once || !is_heavy(r)) {
        free_memory(r);
        return;
    }
    r->job = (struct offload_job){ .run = free_memory, .ctx = r };
    offload_send(r->worker->offload_port, &r->job);
}

/* keeps (5) */
static void request_done(struct request *r)
{
    if (r->step == STEP_DONE)
        return;
    assert(!r->away);    /* keeps (7) */
    r->step = STEP_DONE;
    event_del(&r->timer);
    worker_slot_give(r->worker, r->slot);
    worker_bury(r->worker, r);
}

/* Over when the caller has its reply (or has gone) and the machine has nothing left to settle. */
static void maybe_done(struct request *r)
{
    if (!r->conn && !r->away && (r->step == STEP_REPLY || r->step < STEP_DRIVE))
        request_done(r);
}

/* One timer serves the machine and the stream's keep-alives. */
static void set_timer(struct request *r)
{
    const int64_t now = clock_mono_ms();
    const int64_t tick = reply_tick(r, now);
    const int64_t at = tick < r->wake_ms ? tick : r->wake_ms;
    const int64_t in = at > now ? at - now : 0;
    const struct timeval tv = { .tv_sec = in / 1000, .tv_usec = in % 1000 * 1000 };

    if (r->step == STEP_DONE)
        return;
    if (at == INT64_MAX)
        event_del(&r->timer);
    else
        event_add(&r->timer, &tv);
}

/* ---- AUTH: endpoint, key, room ---- */

static bool fail_endpoint(struct request *r)
{
    const struct span path = span_first(r->head->path, 128);

    if (r->endpoint == ENDPOINT_LATER)
        return fault_set(&r->fault, 404, "invalid_request_error", "unknown_url", NULL,
                         "%.*s is not in this version of tollgate.", SPAN_FMT(path));
    return fault_set(&r->fault, 404, "invalid_request_error", "unknown_url", NULL,
                     "There is nothing at %.*s. With an OpenAI client use the base URL https://HOST:PORT/v1, with an Anthropic or "
                     "Gemini client https://HOST:PORT.", SPAN_FMT(path));
}

/* Paths that several dialects share, and those that nobody knows, speak the dialect that the headers do. */
static enum dialect_id dialect_of_head(const struct http1_head *h, enum dialect_id otherwise)
{
    if (http1_get(h, "anthropic-version").p)
        return DIALECT_ANTHROPIC;
    return http1_get(h, "x-goog-api-key").p ? DIALECT_GEMINI : otherwise;
}

static void find_endpoint(struct request *r)
{
    const struct endpoint_match found = endpoint_find(r->head->path);
    const bool own = found.endpoint == ENDPOINT_ANSWER || found.endpoint == ENDPOINT_COUNT;

    r->endpoint = found.endpoint;
    r->argument = found.argument;
    r->path_streams = found.stream;
    r->dialect = dialect_get(own ? found.dialect : dialect_of_head(r->head, found.dialect));
    if (r->dialect)
        return;
    r->dialect = dialect_get(DIALECT_CHAT);
    r->endpoint = own ? ENDPOINT_LATER : found.endpoint;
}

static bool check_method(struct request *r)
{
    const struct span m = r->head->method;
    const char *want = endpoint_method(r->endpoint);

    if (span_is(m, want) || (want[0] == 'G' && span_is(m, "HEAD")))
        return true;
    return fault_set(&r->fault, 405, "invalid_request_error", NULL, NULL, "%.*s takes %s, not %.*s.",
                     SPAN_FMT(span_first(r->head->path, 128)), want, SPAN_FMT(span_first(m, 16)));
}

static bool check_body_head(struct request *r)
{
    const struct span coding = http1_get(r->head, "content-encoding");
    const size_t most = r->snapshot->config->limits.body_bytes;

    if (coding.p && !span_eq_nocase(coding, SPAN_LIT("identity")))
        return fault_set(&r->fault, 415, "invalid_request_error", "unsupported_encoding", NULL,
                         "A compressed request body is not accepted; send it without Content-Encoding.");
    if (most && r->head->has_length && r->head->length > most)
        return fault_set(&r->fault, 413, "invalid_request_error", "request_too_large", NULL,
                         "The request body has %llu bytes; at most %zu are allowed.",
                         (unsigned long long)r->head->length, most);
    return true;
}

/* A call whose body is JSON: for an answer, or for a count. */
static bool has_body(const struct request *r)
{
    return r->endpoint == ENDPOINT_ANSWER || r->endpoint == ENDPOINT_COUNT;
}

static enum step step_auth(struct request *r)
{
    find_endpoint(r);
    if (r->endpoint == ENDPOINT_UNKNOWN || r->endpoint == ENDPOINT_METRICS) {
        fail_endpoint(r);
        return STEP_REPLY;
    }
    if (endpoint_needs_key(r->endpoint) && !auth_check_key(r)) {
        count_add(r->worker, COUNT_REFUSED_KEY, 1);
        return STEP_REPLY;
    }
    if (!check_method(r) || (r->endpoint == ENDPOINT_LATER && !fail_endpoint(r)) || !check_body_head(r))
        return STEP_REPLY;
    if (has_body(r) && !facts_read_headers(r))
        return STEP_REPLY;
    return STEP_BODY;
}

/* ---- BODY: bytes as they come, counted and pre-scanned ---- */

bool request_no_memory(struct request *r)
{
    fault_set(&r->fault, 503, "server_error", "overloaded", NULL,
              "The gateway holds as many bytes as it may; try again in a moment.");
    r->fault.retry_after_ms = 1000;
    return false;
}

static bool bad_json(struct request *r, const struct jscan *s)
{
    count_add(r->worker, COUNT_REFUSED_BODY, 1);
    return fault_bad(&r->fault, "invalid_json", NULL, "The request body is not valid JSON: %s at byte %zu.",
                     jscan_error(s), jscan_at(s));
}

bool request_count_bytes(struct request *r, size_t n)
{
    const int64_t most = (int64_t)r->snapshot->config->limits.bytes_in_flight;
    const int64_t now = atomic_fetch_add_explicit(&r->worker->gw->bytes_in_flight, (int64_t)n, memory_order_relaxed);

    r->counted_bytes += (int64_t)n;
    return most == 0 || now + (int64_t)n <= most || request_no_memory(r);
}

static bool scan(struct request *r, struct jscan *s, struct span piece, bool last)
{
    switch (jscan_feed(s, piece)) {
    case JSCAN_BAD: return bad_json(r, s);
    case JSCAN_MEMORY: return request_no_memory(r);
    case JSCAN_MORE:
    case JSCAN_DONE: break;
    }
    return !last || jscan_end(s) == JSCAN_DONE || bad_json(r, s);
}

/* Most bodies come in one piece and need no scanner of their own. */
static bool take_body(struct request *r, struct span piece, bool last)
{
    struct jscan *s = r->scan;

    if (piece.n && !request_count_bytes(r, piece.n))
        return false;
    if (!buf_add_span(&r->body, piece)) {
        if (r->body.n + piece.n > r->body.cap)
            return fault_set(&r->fault, 413, "invalid_request_error", "request_too_large", NULL,
                             "The request body is too large; at most %zu bytes are allowed.", r->body.cap);
        return request_no_memory(r);
    }
    if (s && r->body.n > REQUEST_LARGE_BYTES)
        return true;
    if (!s && last && r->body.n == piece.n) {
        s = r->worker->scan;
        jscan_reset(s);
    } else if (!s) {
        s = r->scan = jscan_new(&jscan_default_limits, worker_random(r->worker));
        if (!s)
            return request_no_memory(r);
    }
    r->scanned = r->body.n;
    return scan(r, s, piece, last);
}

static void on_body(void *ctx, struct connection *c, struct span piece, bool last)
{
    struct request *r = connection_request(c);

    worker_turn(ctx);
    if (r->step != STEP_BODY)
        return;
    if (has_body(r) && !take_body(r, piece, last)) {
        run(r, STEP_REPLY);
        return;
    }
    if (last)
        run(r, has_body(r) ? STEP_PARSE : STEP_REPLY);
}

/* ---- what a helper thread does ---- */

static void on_back(void *ctx);

static void send_away(struct request *r, enum away what, void (*work)(void *ctx))
{
    r->away = what;
    r->job = (struct offload_job){ .run = work, .back = on_back, .ctx = r };
    offload_send(r->worker->offload_port, &r->job);
}

/* ---- PARSE (features with it) ---- */

static enum step parse(struct request *r)
{
    const bool count = r->endpoint == ENDPOINT_COUNT;    /* for a model that is there */

    if (facts_read_body(r) && (!count || decide_find_plan(r)))
        return count ? STEP_REPLY : STEP_DECIDE;
    count_add(r->worker, COUNT_REFUSED_BODY, 1);
    return STEP_REPLY;
}

static enum step step_decide(struct request *r)
{
    return decide_plan(r) ? STEP_DRIVE : STEP_REPLY;
}

/* The rest of the scan goes before, and DECIDE with it: whether the dialects of the plan's steps can say all this takes long to
 * find out, too. */
static void parse_and_decide(void *ctx)
{
    struct request *r = ctx;
    const struct span rest = span_skip(buf_span(&r->body), r->scanned);

    r->next = !r->scan || scan(r, r->scan, rest, true) ? parse(r) : STEP_REPLY;
    if (r->next == STEP_DECIDE)
        r->next = step_decide(r);
}

static enum step step_parse(struct request *r)
{
    facts_begin_body(r);
    if (r->body.n <= REQUEST_LARGE_BYTES)
        return parse(r);
    if (!facts_own_head(r)) {
        request_no_memory(r);
        return STEP_REPLY;
    }
    if (!offload_full(r->worker->gw->offload)) {
        send_away(r, AWAY_PARSE, parse_and_decide);
        return STEP_PARSING;
    }
    fault_set(&r->fault, 503, "server_error", "overloaded", NULL, "Too many large requests are under way; try again in a moment.");
    r->fault.retry_after_ms = 1000;
    return STEP_REPLY;
}

/* ---- DRIVE: the machine's actions, one function each ---- */

static void on_progress(void *ctx, struct attempt *a);
static bool on_next_key(void *ctx, struct attempt *a);
static bool on_large(void *ctx, struct attempt *a);
static void on_attempt_end(void *ctx, struct attempt *a);
static const struct attempt_callbacks attempt_callbacks = { on_progress, on_next_key, on_large, on_attempt_end };

static void write_attempt(void *ctx)
{
    struct request *r = ctx;

    attempt_write(&r->attempt);
}

/* CALL. True: it is under way. */
static bool do_call(struct request *r, const struct action *act)
{
    const struct plan_step *s = &r->plan.steps[act->step];
    const struct reply_info reply = {
        .id = { r->id, ROW_ID_BYTES }, .created_s = r->at_ms / 1000, .model = s->model->upstream_id, .chat = &r->chat,
        .prompt_estimate = (int64_t)r->features.value[FEATURE_PROMPT_TOKENS],
    };
    const struct attempt_spec spec = {
        .fetch = r->worker->fetch, .scan = r->worker->answer_scan, .target = decide_target(r, act->step), .model = s->model,
        .chat = &r->chat, .reply = &reply, .max_tokens = act->output_cap, .keep_text = s->checks != 0, .strict = r->strict,
        .arena = &r->arena,
        .in_flight = &r->worker->gw->bytes_in_flight,
        .in_flight_most = (int64_t)r->snapshot->config->limits.bytes_in_flight,
        .callbacks = &attempt_callbacks, .ctx = r,
    };

    if (r->attempt_live)
        attempt_free(&r->attempt);
    r->attempt_live = true;
    r->told_tools = false;
    r->judged = false;
    r->attempts++;
    r->answered_model = s->model->name;
    r->answered_provider = s->model->provider;
    count_add(r->worker, COUNT_ATTEMPTS, 1);
    if (act->n > 1 && act->step > 0)
        count_add(r->worker, COUNT_ESCALATED, 1);
    health_begin(spec.target->health, clock_mono_ms());
    attempt_begin(&r->attempt, &spec);
    if (r->counted_bytes > REQUEST_LARGE_BYTES) {    /* with what ids have brought in */
        send_away(r, AWAY_WRITE, write_attempt);
        return true;
    }
    attempt_write(&r->attempt);
    return attempt_call(&r->attempt);
}

static void fault_from(struct request *r, const struct fail *f)
{
    fault_set(&r->fault, f->status, f->type, NULL, NULL, "%.*s", SPAN_FMT(f->message));
    r->fault.code = f->code.p ? arena_copy(&r->arena, f->code).p : NULL;
    if (f->param.p)
        snprintf(r->fault.param, sizeof r->fault.param, "%.*s", SPAN_FMT(f->param));
    r->fault.retry_after_ms = f->retry_after_ms;
    r->fault.no_retry = f->should_not_retry;
    if (r->ledger_failed) {
        fault_set(&r->fault, 503, "server_error", "ledger_unavailable", NULL,
                  "The gateway cannot record requests right now, so it serves none; try again in a moment.");
        r->fault.retry_after_ms = 5000;
    }
}

/* The status that the caller's dialect has for it. */
static int caller_status(const struct request *r, const struct fail *f)
{
    char code[64];
    const struct fault fault = { .status = f->status, .type = f->type, .code = f->code.p ? code : NULL };

    snprintf(code, sizeof code, "%.*s", SPAN_FMT(f->code));
    return r->dialect->fault_status(&fault);
}

static int closing_status(const struct actions *acts, unsigned from, const struct request *r)
{
    for (unsigned i = from; i < acts->n; i++) {
        if (acts->list[i].kind == ACTION_ACCEPT)
            return r->conn ? 200 : 499;
        if (acts->list[i].kind == ACTION_FAIL)
            return r->ledger_failed ? 503 : caller_status(r, &acts->list[i].fail);
        if (acts->list[i].kind == ACTION_SETTLE && i > from)
            return 0;
    }
    return 0;
}

static void do_accept(struct request *r)
{
    r->step = STEP_REPLY;
    r->wake_ms = INT64_MAX;
    memory_keep_thinking(r->worker->gw->memory, span_str(r->key.id), &r->attempt.draft, r->attempt.to.family, r->at_ms);
    reply_accept(r);
}

static void do_fail(struct request *r, const struct fail *f)
{
    assert(!r->accepted);
    fault_from(r, f);
    if (f->kind == FAIL_CANCELLED)
        count_add(r->worker, COUNT_CALLER_LEFT, 1);
    account_finish(r, r->dialect->fault_status(&r->fault));
    r->step = STEP_REPLY;
    r->wake_ms = INT64_MAX;
    reply_fault(r);
}

/* One action. True when *next is an event that the machine must hear at once. */
static bool act(struct request *r, const struct actions *acts, unsigned i, struct machine_event *next)
{
    const struct action *a = &acts->list[i];

    switch (a->kind) {
    case ACTION_RESERVE:
        *next = account_reserve(r, a);
        return true;
    case ACTION_CALL:
        assert(!r->head_sent || !r->committed);    /* keeps (3) */
        if (do_call(r, a))
            return false;
        account_price(r);
        *next = (struct machine_event){ .kind = EVENT_ENDED, .n = a->n, .outcome = &r->attempt.outcome };
        return true;
    case ACTION_WAIT:
        return false;
    case ACTION_COMMIT:
        reply_commit(r);
        return false;
    case ACTION_CANCEL_ATTEMPT:
        attempt_cancel(&r->attempt);
        r->attempt.outcome.transport = TRANSPORT_RESET;
        account_price(r);
        *next = (struct machine_event){ .kind = EVENT_ENDED, .n = a->n, .outcome = &r->attempt.outcome,
                                .cost_nano = r->cost.cost_nano };
        return true;
    case ACTION_SETTLE:
        account_settle(r, a, closing_status(acts, i, r));
        return false;
    case ACTION_ACCEPT:
        do_accept(r);
        return false;
    case ACTION_FAIL:
        do_fail(r, &a->fail);
        return false;
    }
    return false;
}

static void drive(struct request *r, const struct machine_event *first)
{
    struct machine_event ev = *first;
    bool more = true;

    assert(!r->away);    /* keeps (7) */
    while (more && r->step == STEP_DRIVE) {
        const int64_t now = clock_mono_ms();
        struct actions acts;
        struct machine_event next;

        more = false;
        decide_refresh(r, now);
        machine_step(&r->machine, &ev, now, &acts);
        r->wake_ms = acts.timer_ms;
        for (unsigned i = 0; i < acts.n; i++)
            more |= act(r, &acts, i, &next);
        ev = next;
    }
    maybe_done(r);
    set_timer(r);
}

static bool on_next_key(void *ctx, struct attempt *a)
{
    (void)a;
    return account_next_key(ctx);
}

static void on_progress(void *ctx, struct attempt *a)
{
    struct request *r = ctx;
    const int64_t want = machine_wants_chars(&r->machine);
    const bool new_tools = a->draft.n_calls && !r->told_tools;

    worker_turn(r->worker);
    if (!r->committed && a->draft.has_piece && (new_tools || (want >= 0 && a->draft.chars >= want))) {
        const struct answer view = draft_view(&a->draft);
        const struct machine_event ev = { .kind = EVENT_PROGRESS, .n = r->attempt_n, .answer = &view,
                                          .chars = a->draft.chars, .has_piece = true };

        r->told_tools = a->draft.n_calls > 0;
        drive(r, &ev);
    }
    if (r->step == STEP_DRIVE && r->committed) {
        reply_pump(r);
        maybe_done(r);
    }
}

/* ENDED. The answer was judged already where that takes long. */
static void attempt_ended(struct request *r)
{
    struct attempt *a = &r->attempt;
    const struct answer view = draft_view(&a->draft);
    struct machine_event ev = { .kind = EVENT_ENDED, .n = r->attempt_n, .answer = &view, .chars = a->draft.chars,
                                .outcome = &a->outcome, .verdict = r->judged ? &r->verdict : NULL };

    account_price(r);
    ev.cost_nano = r->cost.cost_nano;
    drive(r, &ev);
}

static void judge(struct request *r)
{
    const struct plan_step *s = &r->plan.steps[r->attempt_step];
    const struct answer view = draft_view(&r->attempt.draft);

    r->verdict = checks_whole(s->checks, &view, &r->plan.asked, s->output_cap);
    r->judged = true;
}

static void read_and_judge(void *ctx)
{
    struct request *r = ctx;

    attempt_read(&r->attempt, r->scan);
    if (!r->attempt.stream && r->attempt.arrived == TRANSPORT_OK)
        judge(r);
}

static bool on_large(void *ctx, struct attempt *a)
{
    struct request *r = ctx;

    (void)a;
    jscan_free(r->scan);    /* the body's */
    r->scan = jscan_new(&worker_answer_limits, worker_random(r->worker));
    if (r->scan)
        send_away(r, AWAY_READ, read_and_judge);
    return r->scan != NULL;
}

/* True when the checks have been asked, or need not be. */
static bool judge_briefly(struct request *r)
{
    const struct attempt *a = &r->attempt;
    const struct plan_step *s = &r->plan.steps[r->attempt_step];
    const struct answer view = draft_view(&r->attempt.draft);

    if (r->judged || a->outcome.transport != TRANSPORT_OK || a->outcome.status >= 300 || a->draft.has_error)
        return true;
    r->judged = checks_brief(s->checks, &view, &r->plan.asked, s->output_cap, &r->verdict);
    return r->judged;
}

/* An answer that is not accepted is closed for nothing, but that is rare. */
static void judge_and_close(void *ctx)
{
    struct request *r = ctx;

    if (!r->judged)
        judge(r);
    attempt_close(&r->attempt);
}

/* Responses' last events repeat the whole answer, four times in all, and what was asked. */
static bool closes_long(const struct attempt *a)
{
    return a->outcome.transport == TRANSPORT_OK && a->outcome.status < 300 && !a->draft.has_error && !a->relays && !a->closed &&
           (a->draft.generated_bytes > REQUEST_LARGE_BYTES || a->chat->body.n > REQUEST_LARGE_BYTES);
}

static void on_attempt_end(void *ctx, struct attempt *a)
{
    struct request *r = ctx;

    worker_turn(r->worker);
    if (judge_briefly(r) && !closes_long(a))
        attempt_ended(r);
    else
        send_away(r, AWAY_JUDGE, judge_and_close);
}

/* ---- REPLY to what never reached the machine ---- */

static void step_reply(struct request *r)
{
    if (r->fault.status) {
        account_refused(r, r->dialect->fault_status(&r->fault));
        reply_fault(r);
    } else {
        pages_reply(r);
    }
    maybe_done(r);
}

static void run(struct request *r, enum step step)
{
    const struct machine_event start = { .kind = EVENT_START };

    for (;;) {
        r->step = step;
        switch (step) {
        case STEP_AUTH: step = step_auth(r); break;
        case STEP_BODY:
        case STEP_PARSING: return;
        case STEP_PARSE: step = step_parse(r); break;
        case STEP_DECIDE: step = step_decide(r); break;
        case STEP_DRIVE: drive(r, &start); return;
        case STEP_REPLY: step_reply(r); return;
        case STEP_DONE: return;
        }
    }
}

/* ---- what happens to it from outside ---- */

/* The machine is to stop. It hears of it when nobody else is at the request: keeps (7). */
static void cancel(struct request *r, enum machine_stop stop)
{
    const struct machine_event ev = { .kind = EVENT_CANCEL, .stop = stop };

    if (!r->away) {
        drive(r, &ev);
    } else if (!r->quit) {
        r->quit = true;
        r->stop = stop;
    }
}

/* The body has been read, while nobody may have waited for it. */
static void parse_back(struct request *r)
{
    if (r->conn) {
        run(r, r->next);
        return;
    }
    account_refused(r, 499);
    maybe_done(r);
}

/* The provider's body is written. What is late is not sent: nobody pays for it. */
static void write_back(struct request *r)
{
    const struct machine_event late = { .kind = EVENT_TIMER };

    if (clock_mono_ms() >= r->wake_ms)
        drive(r, &late);
    else if (!attempt_call(&r->attempt))
        attempt_ended(r);
}

static void on_back(void *ctx)
{
    struct request *r = ctx;
    const enum away was = r->away;

    worker_turn(r->worker);
    r->away = AWAY_NOT;
    if (r->quit) {
        r->quit = false;
        cancel(r, r->stop);
        return;
    }
    switch (was) {
    case AWAY_PARSE: parse_back(r); break;
    case AWAY_WRITE: write_back(r); break;
    case AWAY_READ: attempt_finish(&r->attempt); break;
    case AWAY_JUDGE: attempt_ended(r); break;
    case AWAY_NOT: break;
    }
    if (r->step == STEP_DRIVE && !r->away)    /* it was not heeded meanwhile */
        set_timer(r);
}

static void on_head(void *ctx, struct connection *c, const struct http1_head *head)
{
    struct worker *w = ctx;
    struct request *r = request_new(w, c, head);

    worker_turn(w);
    if (!r) {
        connection_send_head(c, 503, SPAN_LIT("retry-after: 1\r\n"), 0, true);
        connection_end(c);
        return;
    }
    run(r, STEP_AUTH);
}

static void on_gone(void *ctx, struct connection *c, int status)
{
    struct request *r = connection_request(c);

    (void)ctx;
    if (!r)
        return;
    r->conn = NULL;
    r->head = NULL;
    if (r->step == STEP_DRIVE) {
        cancel(r, STOP_CALLER);
        return;
    }
    if (r->step == STEP_BODY)    /* it had a key: a call, though nobody knows what for */
        account_refused(r, status);
    maybe_done(r);
}

static void on_drained(void *ctx, struct connection *c)
{
    struct request *r = connection_request(c);

    worker_turn(ctx);
    if (!r || r->away)    /* keeps (7): what ends the job goes on with the reply */
        return;
    reply_pump(r);
    maybe_done(r);
}

static void on_bad(void *ctx, struct connection *c, int status, const char *why)
{
    struct fault f = { 0 };
    struct buf body;

    count_add(ctx, COUNT_BAD_FRAMING, 1);
    fault_set(&f, status, "invalid_request_error", "bad_http", NULL, "The HTTP request cannot be read: %s.", why);
    buf_init(&body, 4096);
    dialect_get(DIALECT_CHAT)->write_fault(&f, SPAN_NONE, &body);
    connection_send_head(c, status, SPAN_LIT("content-type: application/json\r\n"), (int64_t)body.n, true);
    connection_send_body(c, buf_span(&body));
    buf_free(&body);
}

const struct connection_handler request_connection_handler = {
    .on_head = on_head, .on_body = on_body, .on_drained = on_drained, .on_gone = on_gone, .on_bad = on_bad,
};

void request_on_ledger(struct request *r, enum ledger_rc rc)
{
    worker_turn(r->worker);
    if (r->opens_pending > 0)
        r->opens_pending--;
    if (rc != LEDGER_OK) {
        r->ledger_failed = true;
        if (r->step == STEP_DRIVE) {
            cancel(r, STOP_SHUTDOWN);
        } else if (r->accepted && !r->ending) {
            fault_from(r, &(struct fail){ .status = 503 });
            reply_fault(r);
            maybe_done(r);
        }
        return;
    }
    if (r->opens_pending > 0 || r->away)
        return;
    if (r->attempt_live)
        attempt_resume(&r->attempt, PAUSE_LEDGER);
    if (r->accepted && !r->ending)
        reply_accept(r);
    else
        reply_pump(r);
    maybe_done(r);
}

void request_on_trace(struct request *r, enum reader_rc rc, struct span text)
{
    if (r->conn)
        pages_trace(r, rc, text);
    maybe_done(r);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct request *r = arg;
    const struct machine_event ev = { .kind = EVENT_TIMER };

    (void)fd;
    (void)what;
    if (r->away)    /* keeps (7): it is set again when the job is back */
        return;
    if (r->step == STEP_DRIVE && clock_mono_ms() >= r->wake_ms)
        drive(r, &ev);
    else
        set_timer(r);
}

void request_abandon_all(struct worker *w)
{
    for (uint32_t i = 0; i < w->n_slots; i++) {
        struct request *r = w->slots[i].request;

        if (!r)
            continue;
        r->conn = NULL;
        r->away = AWAY_NOT;    /* the helpers have ended */
        if (r->step == STEP_DRIVE)
            cancel(r, STOP_SHUTDOWN);
        else if (r->step == STEP_BODY || r->step == STEP_PARSING)
            account_refused(r, 503);
        maybe_done(r);
        if (r->step != STEP_DONE)
            request_done(r);
    }
}
