/* pages.c - small documents, built when asked for. */
#include "gateway/request/pages.h"

#include "base/jwrite.h"
#include "gateway/dialects/anthropic.h"
#include "gateway/dialects/gemini.h"
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

/* ---- models: "auto", the routes, and what can be called, in the list form of the caller's dialect ---- */

struct listed {
    struct span id, owner;
    int64_t created_s, context, max_output;
};

struct list {
    struct listed *models;
    size_t n, room;
    struct arena *arena;
    struct span only;          /* SPAN_NONE: all */
    const char *prefix;        /* of routes: Anthropic's clients keep only names that begin with claude (DESIGN section 4) */
};

static void list_add(struct list *l, struct span id, struct listed m)
{
    if (l->n == l->room || (l->only.p && !span_eq(id, l->only)) || !id.p)
        return;
    m.id = id;
    l->models[l->n++] = m;
}

static void list_route(struct list *l, struct span name)
{
    const struct listed m = { .owner = SPAN_LIT("tollgate") };

    list_add(l, name, m);
    if (l->prefix[0])
        list_add(l, arena_printf(l->arena, "%s%.*s", l->prefix, SPAN_FMT(name)), m);
}

static void list_models(struct list *l, const struct snapshot *s)
{
    list_route(l, SPAN_LIT("auto"));
    for (size_t i = 0; i < s->policy->n_routes; i++)
        list_route(l, s->policy->routes[i].name);
    for (size_t i = 0; i < s->n_models; i++) {
        const struct book_model *m = s->view[i].model;
        const struct listed one = { .owner = m->provider, .created_s = m->versions[0].from_ms / 1000, .context = m->context,
                                    .max_output = m->max_output };

        if (!s->view[i].on)
            continue;
        list_add(l, m->key, one);
        if (l->only.p && l->n == 0)    /* asked for by its bare name */
            list_add(l, m->name, one);
    }
}

static bool list_make(struct request *r, struct span only, struct list *l)
{
    const struct snapshot *s = r->snapshot;

    *l = (struct list){ .arena = &r->arena, .only = only, .prefix = r->dialect->id == DIALECT_ANTHROPIC ? "claude-" : "" };
    l->room = 2 * (s->policy->n_routes + 1) + s->n_models;
    l->models = ARENA_ARRAY(&r->arena, struct listed, l->room);
    if (!l->models)
        return false;
    list_models(l, s);
    return true;
}

static void write_openai_model(const struct listed *m, struct buf *b)
{
    jw_object(b, NULL);
    jw_string(b, "id", m->id);
    jw_string(b, "object", SPAN_LIT("model"));
    jw_int(b, "created", m->created_s);
    jw_string(b, "owned_by", m->owner);
    jw_close(b, '}');
}

static void write_openai(const struct list *l, bool one, struct buf *b)
{
    if (one) {
        write_openai_model(&l->models[0], b);
        return;
    }
    jw_object(b, NULL);
    jw_string(b, "object", SPAN_LIT("list"));
    jw_array(b, "data");
    for (size_t i = 0; i < l->n; i++)
        write_openai_model(&l->models[i], b);
    jw_close(b, ']');
    jw_close(b, '}');
}

static struct span query_value(struct request *r, const char *name)
{
    struct span rest = r->head->query;
    const size_t n = strlen(name);

    while (rest.n) {
        const struct span one = span_first(rest, span_find(rest, '&'));

        if (span_starts(one, span_str(name)) && one.n > n && one.p[n] == '=')
            return facts_decode(&r->arena, span_skip(one, n + 1));
        rest = span_skip(rest, one.n + 1);
    }
    return SPAN_NONE;
}

static void write_anthropic(struct request *r, const struct list *l, bool one, struct buf *b)
{
    struct anthropic_model *models = ARENA_ARRAY(&r->arena, struct anthropic_model, l->n + 1);
    struct anthropic_page page = { .before_id = query_value(r, "before_id"), .after_id = query_value(r, "after_id") };
    uint64_t limit = 0;

    for (size_t i = 0; models && i < l->n; i++)
        models[i] = (struct anthropic_model){ .id = l->models[i].id, .created_s = l->models[i].created_s,
                                              .context = l->models[i].context, .max_output = l->models[i].max_output };
    if (span_to_u64(query_value(r, "limit"), 1000, &limit))
        page.limit = (int64_t)limit;
    if (models && one)
        anthropic_write_model(&models[0], b);
    else if (models)
        anthropic_write_models(models, l->n, &page, b);
}

/* False: there is no such page. */
static bool write_gemini(struct request *r, const struct list *l, bool one, struct buf *b)
{
    struct gemini_model *models = ARENA_ARRAY(&r->arena, struct gemini_model, l->n + 1);
    struct gemini_page page = { .token = query_value(r, "pageToken") };
    uint64_t size = 0;

    for (size_t i = 0; models && i < l->n; i++)
        models[i] = (struct gemini_model){ .name = l->models[i].id, .context = l->models[i].context,
                                           .max_output = l->models[i].max_output };
    if (span_to_u64(query_value(r, "pageSize"), INT32_MAX, &size))
        page.size = (int64_t)size;
    if (!models)
        return true;
    if (!one)
        return gemini_write_models(models, l->n, &page, b);
    gemini_write_model(&models[0], b);
    return true;
}

static bool write_list(struct request *r, const struct list *l, bool one, struct buf *b)
{
    switch (r->dialect->id) {
    case DIALECT_ANTHROPIC: write_anthropic(r, l, one, b); break;
    case DIALECT_GEMINI: return write_gemini(r, l, one, b);
    default: write_openai(l, one, b); break;
    }
    return true;
}

static void models(struct request *r)
{
    struct list l;
    struct buf b;

    buf_init(&b, PAGE_BYTES_MAX);
    if (list_make(r, SPAN_NONE, &l) && !write_list(r, &l, false, &b)) {
        fault_bad(&r->fault, "invalid_value", "pageToken", "Invalid value for 'pageToken': no list of models here goes on there.");
        reply_fault(r);
    } else {
        reply_document(r, 200, "application/json", buf_span(&b));
    }
    buf_free(&b);
}

static void model(struct request *r)
{
    const struct span name = facts_decode(&r->arena, r->argument);
    struct list l;
    struct buf b;

    buf_init(&b, PAGE_BYTES_MAX);
    if (list_make(r, name, &l) && l.n) {
        write_list(r, &l, true, &b);
        reply_document(r, 200, "application/json", buf_span(&b));
    } else {
        fault_set(&r->fault, 404, "invalid_request_error", "model_not_found", "model",
                  "The model '%.*s' does not exist here, or its provider is off. GET /v1/models lists what there is.",
                  SPAN_FMT(span_first(name, 200)));
        reply_fault(r);
    }
    buf_free(&b);
}

/* ---- how many tokens would it be? ---- */

/* Our own estimate, whoever would answer: a count by the provider would be a call that somebody waits for. */
static void count(struct request *r)
{
    const int64_t tokens = (int64_t)r->features.value[FEATURE_PROMPT_TOKENS];
    struct buf b;

    notes_add(&r->notes, "estimated", SPAN_LIT("tokens"));
    buf_init(&b, 4096);
    switch (r->dialect->id) {
    case DIALECT_ANTHROPIC: anthropic_write_count(tokens, &b); break;
    case DIALECT_GEMINI: gemini_write_count(tokens, &b); break;
    default:
        buf_printf(&b, "{\"object\":\"response.input_tokens\",\"input_tokens\":%lld}", (long long)tokens);
        break;
    }
    reply_document(r, 200, "application/json", buf_span(&b));
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
                       SPAN_LIT("tollgate is here. With an OpenAI client use the base URL https://HOST:PORT/v1, with an Anthropic or Gemini\n"
                                "client https://HOST:PORT.\n"));
        break;
    case ENDPOINT_TRACE: trace(r); break;
    case ENDPOINT_COUNT: count(r); break;
    case ENDPOINT_ANSWER:
    case ENDPOINT_LATER:
    case ENDPOINT_METRICS:
    case ENDPOINT_UNKNOWN:
        fault_set(&r->fault, 404, "invalid_request_error", "unknown_url", NULL, "This is not in this version of tollgate.");
        reply_fault(r);
        break;
    }
}
