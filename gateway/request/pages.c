/* pages.c - small documents, built when asked for. */
#include "gateway/request/pages.h"

#include "gateway/request/facts.h"
#include "gateway/request/reply.h"
#include "gateway/server/worker.h"

#define PAGE_BYTES_MAX (4u << 20)

static void ready(struct request *r)
{
    struct ledger_stats stats;

    ledger_stats(r->worker->gw->ledger, &stats);
    if (atomic_load(&r->worker->gw->draining))
        reply_document(r, 503, "application/json", SPAN_LIT("{\"ready\":false,\"why\":\"draining\"}\n"));
    else if (!stats.healthy)
        reply_document(r, 503, "application/json", SPAN_LIT("{\"ready\":false,\"why\":\"the ledger cannot be written\"}\n"));
    else
        reply_document(r, 200, "application/json", SPAN_LIT("{\"ready\":true}\n"));
}

/* ---- models: "auto", the routes, and what can be called (openai-chat section 10) ---- */

static void add_model(struct buf *b, struct span prefix, struct span name, struct span owner, int64_t created_s)
{
    if (b->n && b->p[b->n - 1] == '}')
        buf_add_char(b, ',');
    buf_add_str(b, "{\"id\":");
    if (prefix.n) {
        struct buf id;

        buf_init(&id, 4096);
        buf_add_span(&id, prefix);
        buf_add_char(&id, '/');
        buf_add_span(&id, name);
        buf_add_json(b, buf_span(&id));
        buf_free(&id);
    } else {
        buf_add_json(b, name);
    }
    buf_printf(b, ",\"object\":\"model\",\"created\":%lld,\"owned_by\":", (long long)created_s);
    buf_add_json(b, owner);
    buf_add_char(b, '}');
}

/* Adds all models, or only the one named `only`. True when something was added. */
static bool add_models(const struct snapshot *s, struct span only, struct buf *b)
{
    const struct span own = SPAN_LIT("tollgate"), none = SPAN_LIT("");
    const size_t before = b->n;

    if (!only.p || span_is(only, "auto"))
        add_model(b, none, SPAN_LIT("auto"), own, 0);
    for (size_t i = 0; i < s->policy->n_routes; i++)
        if (!only.p || span_eq(only, s->policy->routes[i].name))
            add_model(b, none, s->policy->routes[i].name, own, 0);
    for (size_t i = 0; i < s->n_models; i++) {
        const struct book_model *m = s->view[i].model;

        if (s->view[i].on && (!only.p || span_eq(only, m->key) || span_eq(only, m->name)))
            add_model(b, m->provider, m->name, m->provider, m->versions[0].from_ms / 1000);
        if (only.p && b->n > before)
            break;
    }
    return b->n > before;
}

static void models(struct request *r)
{
    struct buf b;

    buf_init(&b, PAGE_BYTES_MAX);
    buf_add_str(&b, "{\"object\":\"list\",\"data\":[");
    add_models(r->snapshot, SPAN_NONE, &b);
    buf_add_str(&b, "]}");
    reply_document(r, 200, "application/json", buf_span(&b));
    buf_free(&b);
}

static void model(struct request *r)
{
    const struct span name = facts_decode(&r->arena, r->argument);
    struct buf b;

    buf_init(&b, PAGE_BYTES_MAX);
    if (add_models(r->snapshot, name, &b)) {
        reply_document(r, 200, "application/json", buf_span(&b));
    } else {
        fault_set(&r->fault, 404, "invalid_request_error", "model_not_found", "model",
                  "The model '%.*s' does not exist here, or its provider is off. GET /v1/models lists what there is.",
                  SPAN_FMT(span_first(name, 200)));
        reply_fault(r);
    }
    buf_free(&b);
}

/* ---- the trace of one request ---- */

static void no_trace(struct request *r)
{
    fault_set(&r->fault, 404, "invalid_request_error", "request_not_found", NULL,
              "There is no request '%.*s' of this key. An answer's id is in its x-tollgate-request-id header.",
              SPAN_FMT(span_first(r->argument, 64)));
    reply_fault(r);
}

static void cannot_read(struct request *r)
{
    fault_set(&r->fault, 503, "server_error", "overloaded", NULL, "The ledger cannot be read right now; try again in a moment.");
    r->fault.retry_after_ms = 1000;
    reply_fault(r);
}

static void trace(struct request *r)
{
    const struct span key_id = r->has_key ? span_str(r->key.id) : SPAN_LIT("");
    int64_t at_ms;

    if (!row_id_time(r->argument, &at_ms))
        no_trace(r);
    else if (!reader_ask_trace(r->worker->gw->reader, r->worker->reader_port, worker_ticket(r->worker, r->slot), r->argument, key_id))
        cannot_read(r);
}

void pages_trace(struct request *r, enum reader_rc rc, struct span text)
{
    switch (rc) {
    case READER_OK: reply_document(r, 200, "application/json", text); break;
    case READER_NOT_FOUND: no_trace(r); break;
    case READER_FAILED: cannot_read(r); break;
    }
}

void pages_reply(struct request *r)
{
    switch (r->endpoint) {
    case ENDPOINT_HEALTHZ: reply_document(r, 200, "application/json", SPAN_LIT("{\"alive\":true}\n")); break;
    case ENDPOINT_READYZ: ready(r); break;
    case ENDPOINT_MODELS: models(r); break;
    case ENDPOINT_MODEL: model(r); break;
    case ENDPOINT_ROOT:
        reply_document(r, 200, "text/plain; charset=utf-8",
                       SPAN_LIT("tollgate is here. With an OpenAI client use the base URL https://HOST:PORT/v1.\n"));
        break;
    case ENDPOINT_TRACE: trace(r); break;
    case ENDPOINT_ANSWER:
    case ENDPOINT_COUNT:
    case ENDPOINT_LATER:
    case ENDPOINT_METRICS:
    case ENDPOINT_UNKNOWN:
        fault_set(&r->fault, 404, "invalid_request_error", "unknown_url", NULL, "This is not in this version of tollgate.");
        reply_fault(r);
        break;
    }
}
