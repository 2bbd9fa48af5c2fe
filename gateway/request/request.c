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
#include "gateway/request/auth.h"
#include "gateway/request/facts.h"
#include "gateway/request/pages.h"
#include "gateway/request/reply.h"
#include "gateway/request/thinking.h"
#include "gateway/server/worker.h"

#define BODY_AT_ONCE 16384

#define TOKENS_MAX INT64_C(1000000000)    /* of one attempt: a hundred times the largest window that there is */

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
    if (head->has_length && head->length <= BODY_AT_ONCE)    /* a declared length is believed so far and no further */
        buf_reserve(&r->body, (size_t)head->length);
    connection_set_request(c, r);
    count_add(w, COUNT_REQUESTS, 1);
    return r;
}

void request_free(struct request *r)
{
    if (r->attempt_live)
        attempt_free(&r->attempt);
    atomic_fetch_sub_explicit(&r->worker->gw->bytes_in_flight, r->counted_bytes, memory_order_relaxed);
    event_del(&r->timer);
    jscan_free(r->scan);
    buf_free(&r->body);
    buf_free(&r->out);
    arena_free(&r->arena);
    snapshot_unref(r->snapshot);
    free(r);
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

/* ---- rows ---- */

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
static void finish_row(struct request *r, int status)
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
static void finish_refused(struct request *r, int status)
{
    if (r->endpoint == ENDPOINT_ANSWER && (r->has_key || r->snapshot->config->auth_none))
        finish_row(r, status);
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

static bool no_memory(struct request *r)
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

static bool count_bytes(struct request *r, size_t n)
{
    const int64_t most = (int64_t)r->snapshot->config->limits.bytes_in_flight;
    const int64_t now = atomic_fetch_add_explicit(&r->worker->gw->bytes_in_flight, (int64_t)n, memory_order_relaxed);

    r->counted_bytes += (int64_t)n;
    return most == 0 || now + (int64_t)n <= most || no_memory(r);
}

/* Most bodies come in one piece and need no scanner of their own. */
static bool take_body(struct request *r, struct span piece, bool last)
{
    struct jscan *s = r->scan;

    if (piece.n && !count_bytes(r, piece.n))
        return false;
    if (!buf_add_span(&r->body, piece)) {
        if (r->body.n + piece.n > r->body.cap)
            return fault_set(&r->fault, 413, "invalid_request_error", "request_too_large", NULL,
                             "The request body is too large; at most %zu bytes are allowed.", r->body.cap);
        return no_memory(r);
    }
    if (!s && last && r->body.n == piece.n) {
        s = r->worker->scan;
        jscan_reset(s);
    } else if (!s) {
        s = r->scan = jscan_new(&jscan_default_limits, worker_random(r->worker));
        if (!s)
            return no_memory(r);
    }
    switch (jscan_feed(s, piece)) {
    case JSCAN_BAD: return bad_json(r, s);
    case JSCAN_MEMORY: return no_memory(r);
    case JSCAN_MORE:
    case JSCAN_DONE: break;
    }
    return !last || jscan_end(s) == JSCAN_DONE || bad_json(r, s);
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

/* ---- PARSE (features with it), DECIDE ---- */

static enum step step_parsed(struct request *r)
{
    if (r->parsed)
        return r->endpoint == ENDPOINT_COUNT ? STEP_REPLY : STEP_DECIDE;
    count_add(r->worker, COUNT_REFUSED_BODY, 1);
    return STEP_REPLY;
}

static void parse(void *ctx)
{
    struct request *r = ctx;

    r->parsed = facts_read_body(r);
}

static enum step step_parse(struct request *r)
{
    facts_begin_body(r);
    if (r->body.n <= REQUEST_LARGE_BYTES) {
        parse(r);
        return step_parsed(r);
    }
    if (!offload_full(r->worker->gw->offload)) {
        send_away(r, AWAY_PARSE, parse);
        return STEP_PARSING;
    }
    fault_set(&r->fault, 503, "server_error", "overloaded", NULL, "Too many large requests are under way; try again in a moment.");
    r->fault.retry_after_ms = 1000;
    return STEP_REPLY;
}

static const struct snapshot_model *target_of(const struct request *r, size_t step)
{
    return &r->snapshot->models[r->view_index[step]];
}

/* Health of the plan's models as it is now. The snapshot's view is shared and at rest; each step looks at a copy. */
static void refresh_view(struct request *r, int64_t now_ms)
{
    for (size_t i = 0; i < r->plan.n_steps; i++) {
        struct view_model *v = &r->view[i];
        struct health_view h;

        if (!r->plan.steps[i].view)
            continue;
        health_look(target_of(r, i)->health, now_ms, &h);
        v->breaker = h.state == HEALTH_CLOSED ? VIEW_CLOSED : h.state == HEALTH_OPEN ? VIEW_OPEN : VIEW_PROBE;
        v->retry_after_ms = h.retry_after_ms > 0 ? now_ms + h.retry_after_ms : 0;
        v->key_refused = provider_state(target_of(r, i)->provider, now_ms) == PROVIDER_REFUSED;
    }
}

/* Points the steps at copies of their view entries. */
static bool own_view(struct request *r)
{
    const size_t n = r->plan.n_steps;

    r->view = ARENA_ARRAY(&r->arena, struct view_model, n + 1);
    r->view_index = ARENA_ARRAY(&r->arena, size_t, n + 1);
    if (!r->view || !r->view_index)
        return no_memory(r);
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
        wire = attempt_target(target_of(r, i), s->model, &r->chat, &to);
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

static enum step step_decide(struct request *r)
{
    const struct view view = { r->snapshot->view, r->snapshot->n_models };
    struct span why = SPAN_LIT("");

    switch (plan_make(r->snapshot->policy, &r->features, &view, r->at_ms, &r->arena, &r->plan, &why)) {
    case PLAN_OK:
        break;
    case PLAN_UNKNOWN_ROUTE:
        fault_bad(&r->fault, "unknown_route", "x-tollgate-route", "%.*s", SPAN_FMT(why));
        return STEP_REPLY;
    case PLAN_UNKNOWN_MODEL:
        fault_set(&r->fault, 404, "invalid_request_error", "model_not_found", "model", "%.*s", SPAN_FMT(why));
        return STEP_REPLY;
    case PLAN_MEMORY:
        no_memory(r);
        return STEP_REPLY;
    }
    r->planned = true;
    if (!embeds_with_one_model(r) || !own_view(r) || !leave_out_untranslatable(r) ||
        (!machine_init(&r->machine, &r->plan, &r->arena, r->start_ms) && !no_memory(r)))
        return STEP_REPLY;
    return STEP_DRIVE;
}

/* ---- DRIVE: the machine's actions, one function each ---- */

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
    const struct dialect *wire = attempt_target(target_of(r, step), s->model, &r->chat, &to);

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

/* RESERVE: hold the worst case in every budget that applies, and queue its rows. The call may begin at once; the
 * answer waits for the commit: keeps (1). */
static struct machine_event do_reserve(struct request *r, const struct action *act)
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
        .fetch = r->worker->fetch, .scan = r->worker->answer_scan, .target = target_of(r, act->step), .model = s->model,
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
    if (r->body.n > REQUEST_LARGE_BYTES) {
        send_away(r, AWAY_WRITE, write_attempt);
        return true;
    }
    attempt_write(&r->attempt);
    return attempt_call(&r->attempt);
}

/* Sums of counters beyond any attempt would leave 64 bits, and such a row could never be written. */
static bool believable(const struct usage *u)
{
    return usage_prompt(u) <= TOKENS_MAX && u->output <= TOKENS_MAX && u->reasoning <= TOKENS_MAX &&
           u->output_audio <= TOKENS_MAX && u->output_image <= TOKENS_MAX && u->searches <= TOKENS_MAX;
}

/* What the ended attempt used. Where the provider said nothing although it may bill, the upper bound: the whole prompt,
 * and for a stream as many tokens as bytes came (BerriAI/litellm#14457: a caller that leaves must not make it free). */
static void charge_bound(struct request *r)
{
    const struct attempt *a = &r->attempt;

    r->usage = r->worst.usage;
    r->usage_source = ROW_ESTIMATED;
    /* What is in hand bounds the output: a stream as far as it came, a whole answer by its text. */
    if ((r->chat.stream || a->draft.generated_bytes) && a->draft.generated_bytes < r->usage.output)
        r->usage.output = a->draft.generated_bytes;
    if (r->usage.reasoning > r->usage.output)
        r->usage.reasoning = r->usage.output;
}

static void price_ended(struct request *r)
{
    const struct attempt *a = &r->attempt;
    const struct plan_step *s = &r->plan.steps[r->attempt_step];
    struct span tier = span_str(a->draft.service_tier);

    r->usage = a->draft.usage;
    r->usage_source = a->draft.usage_mended ? ROW_PARTIAL : ROW_REPORTED;
    if (!a->draft.has_usage && attempt_may_be_billed(a)) {
        charge_bound(r);
        tier = r->worst.service_tier;
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

/* SETTLE: shrink the reservation to the true cost, write the row. `closing` is what the caller gets, if this is the
 * last word on the request: then its row is finished in the same transaction. keeps (2), (4) */
static void do_settle(struct request *r, const struct action *act, int closing_status)
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
    thinking_keep(r->worker->gw->thinking, span_str(r->key.id), &r->attempt.draft, r->attempt.to.family, r->at_ms);
    reply_accept(r);
}

static void do_fail(struct request *r, const struct fail *f)
{
    assert(!r->accepted);
    fault_from(r, f);
    if (f->kind == FAIL_CANCELLED)
        count_add(r->worker, COUNT_CALLER_LEFT, 1);
    finish_row(r, r->dialect->fault_status(&r->fault));
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
        *next = do_reserve(r, a);
        return true;
    case ACTION_CALL:
        assert(!r->head_sent || !r->committed);    /* keeps (3) */
        if (do_call(r, a))
            return false;
        price_ended(r);
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
        price_ended(r);
        *next = (struct machine_event){ .kind = EVENT_ENDED, .n = a->n, .outcome = &r->attempt.outcome,
                                .cost_nano = r->cost.cost_nano };
        return true;
    case ACTION_SETTLE:
        do_settle(r, a, closing_status(acts, i, r));
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
        refresh_view(r, now);
        machine_step(&r->machine, &ev, now, &acts);
        r->wake_ms = acts.timer_ms;
        for (unsigned i = 0; i < acts.n; i++)
            more |= act(r, &acts, i, &next);
        ev = next;
    }
    maybe_done(r);
    set_timer(r);
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

/* Each call is a row (DESIGN section 8), also one whose key was refused while the provider has another. The machine is not
 * asked: to it this is one attempt. The budgets' hold goes on, so the next row begins when it was made. */
static bool on_next_key(void *ctx, struct attempt *a)
{
    struct request *r = ctx;
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

/* ENDED. The answer was judged already where that takes long. */
static void attempt_ended(struct request *r)
{
    struct attempt *a = &r->attempt;
    const struct answer view = draft_view(&a->draft);
    struct machine_event ev = { .kind = EVENT_ENDED, .n = r->attempt_n, .answer = &view, .chars = a->draft.chars,
                                .outcome = &a->outcome, .verdict = r->judged ? &r->verdict : NULL };

    price_ended(r);
    ev.cost_nano = r->cost.cost_nano;
    drive(r, &ev);
}

static void judge(void *ctx)
{
    struct request *r = ctx;
    const struct plan_step *s = &r->plan.steps[r->attempt_step];
    const struct answer view = draft_view(&r->attempt.draft);

    r->verdict = checks_whole(s->checks, &view, &r->plan.asked, s->output_cap);
    r->judged = true;
}

static void read_and_judge(void *ctx)
{
    struct request *r = ctx;

    attempt_read(&r->attempt, r->scan);
    if (r->attempt.arrived == TRANSPORT_OK)
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

static void on_attempt_end(void *ctx, struct attempt *a)
{
    struct request *r = ctx;

    (void)a;
    worker_turn(r->worker);
    if (judge_briefly(r))
        attempt_ended(r);
    else
        send_away(r, AWAY_JUDGE, judge);
}

/* ---- REPLY to what never reached the machine ---- */

static void step_reply(struct request *r)
{
    if (r->fault.status) {
        finish_refused(r, r->dialect->fault_status(&r->fault));
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
        run(r, step_parsed(r));
        return;
    }
    finish_refused(r, 499);
    maybe_done(r);
}

/* The provider's body is written. What is late is not sent: nobody pays for it. */
static void write_back(struct request *r)
{
    const struct machine_event late = { .kind = EVENT_TIMER };

    if (clock_mono_ms() >= r->wake_ms) {
        drive(r, &late);
    } else if (attempt_call(&r->attempt)) {
        set_timer(r);
    } else {
        attempt_ended(r);
    }
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
        finish_refused(r, status);
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
            finish_refused(r, 503);
        maybe_done(r);
        if (r->step != STEP_DONE)
            request_done(r);
    }
}
