/* scenario_read.c - requests, scripts and health of a scenario as structs. The schema has checked the shape. */
#include "policies/scenario_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pricing/zone.h"

#define REQUEST_BYTES_MAX (32u << 20)

struct reader {
    const struct scenario_file *file;
    struct arena *arena;
    char *at;
    bool no_memory;
};

static void *need(struct reader *r, void *p)
{
    if (!p)
        r->no_memory = true;
    return p;
}
#define NEED_ARRAY(r, type, n) ((type *)need((r), ARENA_ARRAY((r)->arena, type, (n) + 1)))

/* jansson's iterators are not const. */
static json_t *loose(const json_t *v)
{
    return (json_t *)(uintptr_t)v;
}

/* ---- the request: the same facts as gateway/request/facts.c takes from a body ---- */

static void read_part(const json_t *part, bool user, struct features *f)
{
    const char *type = json_cstr(part, "type", "");
    struct span text = json_span(part, "text");

    if (text.p) {
        f->parts.text_bytes += (int64_t)text.n;
        if (user)
            features_text(f, text);
    } else if (strcmp(type, "image_url") == 0) {
        f->modalities |= BOOK_IMAGE;
        f->parts.images++;
    } else if (strcmp(type, "input_audio") == 0) {
        const struct span data = json_span(json_object_get(part, "input_audio"), "data");

        f->modalities |= BOOK_AUDIO;
        f->parts.audio_bytes += (int64_t)(data.n / 4 * 3);
        f->parts.unbounded |= data.n == 0;
    } else if (strcmp(type, "file") == 0) {
        f->modalities |= BOOK_FILE;
        f->parts.unbounded = true;
        features_file(f, json_span(json_object_get(part, "file"), "filename"));
    }
}

static void read_message(const json_t *m, struct features *f)
{
    const bool user = span_is(json_span(m, "role"), "user");
    const json_t *content = json_object_get(m, "content");
    struct span text = json_value_span(content);
    json_t *part;
    size_t i;

    f->parts.messages++;
    f->value[FEATURE_TURNS] += user;
    f->parts.text_bytes += (int64_t)text.n;
    if (user && text.p)
        features_text(f, text);
    json_array_foreach(loose(content), i, part)
        read_part(part, user, f);
}

/* A part of the request as text, as the checks want a schema: in the arena. */
static struct span text_of(struct reader *r, const json_t *v)
{
    char *text = v ? json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

    if (text && !arena_on_free(r->arena, free, text)) {
        free(text);
        text = NULL;
    }
    return span_str(text);
}

static void read_tools(struct reader *r, const json_t *tools, struct features *f)
{
    struct span *names, *schemas;
    json_t *tool;
    size_t i;

    if (!tools)
        return;
    names = NEED_ARRAY(r, struct span, json_array_size(tools));
    schemas = NEED_ARRAY(r, struct span, json_array_size(tools));
    if (!names || !schemas)
        return;
    json_array_foreach(loose(tools), i, tool) {
        names[i] = json_span(json_object_get(tool, "function"), "name");
        schemas[i] = text_of(r, json_object_get(json_object_get(tool, "function"), "parameters"));
    }
    f->asked.tools = names;
    f->asked.tool_schemas = schemas;
    f->asked.n_tools = json_array_size(tools);
    f->parts.tools = (int64_t)f->asked.n_tools;
    f->parts.tool_bytes = (int64_t)json_dumpb(tools, NULL, 0, JSON_COMPACT);
}

static void read_request(struct reader *r, const json_t *v, struct features *f)
{
    const int64_t cap = json_int(v, "max_tokens", 0), new_cap = json_int(v, "max_completion_tokens", 0);
    struct span format = json_span(json_object_get(v, "response_format"), "type");
    json_t *message;
    size_t i;

    f->model = json_span(v, "model");
    f->stream = json_bool(v, "stream", false);
    f->asked.json = span_is(format, "json_object") || span_is(format, "json_schema");
    f->asked.schema = text_of(r, json_object_get(json_object_get(json_object_get(v, "response_format"), "json_schema"), "schema"));
    f->asked.max_tokens = new_cap && (!cap || new_cap < cap) ? new_cap : cap;
    f->asked.stops = json_object_get(v, "stop") != NULL;
    f->choices = json_int(v, "n", 1);
    f->service_tier = json_span(v, "service_tier");
    json_array_foreach(json_object_get(v, "messages"), i, message)
        read_message(message, f);
    read_tools(r, json_object_get(v, "tools"), f);
}

static bool read_request_file(struct reader *r, const char *name, struct features *f)
{
    struct span path = arena_printf(r->arena, "%s%s", name[0] == '/' ? "" : r->file->dir, name);
    const char *file = r->file->ps->file;
    json_t *tree = path.p ? json_read(path.p, REQUEST_BYTES_MAX, r->file->ps, NULL, NULL) : NULL;

    r->file->ps->file = file;
    if (!tree)
        return false;
    if (!arena_on_free(r->arena, (void (*)(void *))json_decref, tree)) {
        json_decref(tree);
        return false;
    }
    read_request(r, tree, f);
    return true;
}

/* ---- headers, tags, overrides ---- */

static bool add_header(struct reader *r, struct features *f, struct http1_header *list, const char *name,
                       struct span value, struct feature_tag *tags)
{
    struct span n = span_str(name);
    uint64_t ms;

    list[f->n_headers++] = (struct http1_header){ n, value };
    if (span_eq_nocase(n, SPAN_LIT("x-tollgate-route"))) {
        f->route_asked = value;
    } else if (span_eq_nocase(n, SPAN_LIT("x-tollgate-tag"))) {
        size_t eq = span_find(value, '=');

        tags[f->n_tags++] = (struct feature_tag){ span_first(value, eq), span_skip(value, eq + 1) };
    } else if (span_eq_nocase(n, SPAN_LIT("x-tollgate-max-cost-usd"))) {
        if (price_parse_usd(value, &f->max_cost_nano) != PRICE_PARSE_OK) {
            problem_error(r->file->ps, r->at, "x-tollgate-max-cost-usd must be a decimal string in USD");
            return false;
        }
    } else if (span_eq_nocase(n, SPAN_LIT("x-tollgate-deadline-ms"))) {
        if (!span_to_u64(value, 86400000, &ms)) {
            problem_error(r->file->ps, r->at, "x-tollgate-deadline-ms must be a number of milliseconds");
            return false;
        }
        f->deadline_ms = (int64_t)ms;
    }
    return true;
}

static bool read_headers(struct reader *r, const json_t *v, struct features *f)
{
    size_t n = 0, i;
    struct http1_header *list;
    struct feature_tag *tags;
    const char *name;
    json_t *value, *one;

    json_object_foreach(loose(v), name, value)
        n += json_is_array(value) ? json_array_size(value) : 1;
    list = NEED_ARRAY(r, struct http1_header, n);
    tags = NEED_ARRAY(r, struct feature_tag, n);
    if (!list || !tags)
        return false;
    f->headers = list;
    f->tags = tags;
    json_object_foreach(loose(v), name, value) {
        if (json_is_string(value) && !add_header(r, f, list, name, json_value_span(value), tags))
            return false;
        json_array_foreach(value, i, one)
            if (!add_header(r, f, list, name, json_value_span(one), tags))
                return false;
    }
    return true;
}

static bool override_features(struct reader *r, const json_t *v, struct features *f)
{
    const char *name;
    json_t *value;

    json_object_foreach(loose(v), name, value) {
        enum feature id = feature_find(span_str(name));

        if (id == FEATURE_COUNT) {
            problem_error(r->file->ps, r->at, "there is no feature \"%s\"", name);
            return false;
        }
        f->value[id] = json_is_boolean(value) ? json_is_true(value) : json_number_value(value);
    }
    return true;
}

static bool read_features(struct reader *r, const json_t *v, struct features *f)
{
    static const char question[] = "What is the capital of France?";
    const json_t *request = json_object_get(v, "request");

    features_init(f);
    f->dialect = json_object_get(v, "dialect") ? json_span(v, "dialect") : SPAN_LIT("openai");
    f->team = json_span(v, "team");
    f->key = json_span(v, "key");
    if (!request) {
        f->value[FEATURE_TURNS] = 1;
        f->parts.messages = 1;
        f->parts.text_bytes = (int64_t)strlen(question);
        f->choices = 1;
        features_text(f, SPAN_LIT("What is the capital of France?"));
    } else if (json_is_object(request)) {
        read_request(r, request, f);
    } else if (!read_request_file(r, json_string_value(request), f)) {
        return false;
    }
    if (!read_headers(r, json_object_get(v, "headers"), f))
        return false;
    features_finish(f);
    return override_features(r, json_object_get(v, "features"), f);
}

/* ---- scripts ---- */

static struct answer_tool read_tool_call(const json_t *v)
{
    return (struct answer_tool){ json_span(v, "name"), json_span(v, "arguments"), .custom = false };
}

static struct span repeat(struct reader *r, struct span text, int64_t times)
{
    char *p;

    if (times <= 1 || text.n == 0)
        return text;
    p = need(r, arena_alloc(r->arena, text.n * (size_t)times, 1));
    for (int64_t i = 0; p && i < times; i++)
        memcpy(p + text.n * (size_t)i, text.p, text.n);
    return (struct span){ p, p ? text.n * (size_t)times : 0 };
}

static enum finish read_finish(const json_t *v, bool answered, bool calls)
{
    static const char *const words[] = { "none",           "stop",        "length", "tool_calls",
                                         "content_filter", "interrupted", "other" };
    struct span word = json_span(v, "finish");

    for (int i = 0; i < 7; i++)
        if (span_is(word, words[i]))
            return (enum finish)i;
    return !answered ? FINISH_NONE : calls ? FINISH_TOOL_CALLS : FINISH_STOP;
}

static enum transport read_fault(struct span word)
{
    static const struct { const char *word; enum transport transport; } faults[] = {
        { "connect", TRANSPORT_CONNECT }, { "tls", TRANSPORT_TLS }, { "reset", TRANSPORT_RESET },
        { "timeout", TRANSPORT_TIMEOUT_TOTAL }, { "truncated", TRANSPORT_TRUNCATED },
        { "malformed", TRANSPORT_MALFORMED }, { "local", TRANSPORT_LOCAL },
    };

    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        if (span_is(word, faults[i].word))
            return faults[i].transport;
    return TRANSPORT_OK;
}

static void read_pieces(struct reader *r, const json_t *v, struct scenario_outcome *o)
{
    const json_t *chunks = json_object_get(v, "chunks"), *calls = json_object_get(v, "tool_calls");
    struct span text = repeat(r, json_span(v, "answer"), json_int(v, "repeat_answer", 1));
    const int64_t first_ms = json_int(v, "first_ms", json_int(v, "after_ms", 100));
    const size_t most = json_array_size(chunks) + json_array_size(calls) + 1;
    struct scenario_piece *pieces = NEED_ARRAY(r, struct scenario_piece, most);
    struct answer_tool *tools = NEED_ARRAY(r, struct answer_tool, most);
    size_t i, n = 0, n_tools = 0;
    json_t *one;

    if (!pieces || !tools)
        return;
    if (text.n)
        pieces[n++] = (struct scenario_piece){ .at_ms = first_ms, .text = text };
    json_array_foreach(loose(chunks), i, one) {
        struct scenario_piece *p = &pieces[n++];

        *p = (struct scenario_piece){ .at_ms = json_int(one, "at_ms", 0), .text = json_span(one, "text"),
                                      .reasoning = json_object_get(one, "reasoning") != NULL };
        if (json_object_get(one, "tool_call")) {
            tools[n_tools] = read_tool_call(json_object_get(one, "tool_call"));
            p->tool = &tools[n_tools++];
        }
        o->end_ms = p->at_ms > o->end_ms ? p->at_ms : o->end_ms;
    }
    json_array_foreach(loose(calls), i, one) {
        tools[n_tools] = read_tool_call(one);
        pieces[n++] = (struct scenario_piece){ .at_ms = first_ms, .tool = &tools[n_tools++] };
    }
    o->pieces = pieces;
    o->n_pieces = n;
}

static void read_outcome(struct reader *r, const json_t *v, struct scenario_outcome *o)
{
    const json_t *usage = json_object_get(v, "usage"), *error = json_object_get(v, "error");
    bool answered, calls = false;

    o->times = (unsigned)json_int(v, "times", 1);
    o->outcome.transport = read_fault(json_span(v, "fault"));
    o->outcome.status = (int)json_int(v, "status", o->outcome.transport == TRANSPORT_OK ? 200 : 0);
    if (o->outcome.transport == TRANSPORT_TRUNCATED)
        o->outcome.status = 200;
    o->outcome.retry_after_ms = json_int(v, "retry_after_ms", -1);
    o->outcome.error_type = json_span(error, "type");
    o->outcome.error_code = json_span(error, "code");
    o->outcome.error_param = json_span(error, "param");
    o->outcome.error_message = json_span(error, "message");
    o->refusal = json_span(v, "refusal");
    read_pieces(r, v, o);
    for (size_t i = 0; i < o->n_pieces; i++)
        calls |= o->pieces[i].tool != NULL;
    answered = o->outcome.transport == TRANSPORT_OK && o->outcome.status == 200 && !error;
    o->finish = read_finish(v, answered, calls);
    o->end_ms = json_int(v, "after_ms", o->end_ms ? o->end_ms : 100);
    if (answered && !usage)
        o->usage = (struct usage){ .input = 1000, .output = 500 };
    else
        o->usage = (struct usage){ .input = json_int(usage, "input", 0),
                                   .cache_read = json_int(usage, "cache_read", 0),
                                   .cache_write_5m = json_int(usage, "cache_write_5m", 0),
                                   .cache_write_1h = json_int(usage, "cache_write_1h", 0),
                                   .output = json_int(usage, "output", 0),
                                   .reasoning = json_int(usage, "reasoning", 0) };
    usage_mend(&o->usage);
}

static bool known_model(struct reader *r, struct span name)
{
    if (span_is(name, "*") || book_find(r->file->book, name) || book_next_named(r->file->book, name, NULL))
        return true;
    problem_error(r->file->ps, r->at, "the price book has no model \"%.*s\"", SPAN_FMT(name));
    return false;
}

static bool read_scripts(struct reader *r, const json_t *v, struct scenario_case *c)
{
    struct scenario_script *scripts = NEED_ARRAY(r, struct scenario_script, json_object_size(v));
    const char *name;
    json_t *list, *one;
    size_t i;

    if (!scripts)
        return false;
    c->scripts = scripts;
    json_object_foreach(loose(v), name, list) {
        struct scenario_outcome *outcomes = NEED_ARRAY(r, struct scenario_outcome, json_array_size(list));

        if (!outcomes || !known_model(r, span_str(name)))
            return false;
        json_array_foreach(list, i, one)
            read_outcome(r, one, &outcomes[i]);
        scripts[c->n_scripts++] = (struct scenario_script){ span_str(name), outcomes, json_array_size(list) };
    }
    return true;
}

/* ---- providers, health, events ---- */

static const json_t *provider_of(const json_t *first, const json_t *second, struct span provider)
{
    char name[128];
    const json_t *v;

    if (provider.n >= sizeof name)
        return NULL;
    memcpy(name, provider.p, provider.n);
    name[provider.n] = '\0';
    v = json_object_get(first, name);
    return v ? v : json_object_get(second, name);
}

/* Every model of the book whose provider is there, in the order of the book. */
static bool make_view(struct reader *r, const json_t *v, struct scenario_case *c)
{
    const json_t *common = json_object_get(r->file->doc, "providers"), *own = json_object_get(v, "providers");
    struct view_model *models = NEED_ARRAY(r, struct view_model, book_count(r->file->book));
    size_t n = 0;

    if (!models)
        return false;
    for (size_t i = 0; i < book_count(r->file->book); i++) {
        const struct book_model *m = book_get(r->file->book, i);
        const json_t *p = provider_of(own, common, m->provider);

        if (json_bool(p, "absent", false) || (common && !p))
            continue;
        models[n++] = (struct view_model){
            .model = m, .provider = m->provider, .on = json_bool(p, "on", true),
            .local = json_object_get(p, "placement") ? span_is(json_span(p, "placement"), "local")
                                                     : span_is(m->provider, "local"),
        };
    }
    c->view = (struct view){ models, n };
    return true;
}

static const struct scenario_change *read_changes(struct reader *r, const json_t *v, size_t *n)
{
    static const char *const breakers[] = { "closed", "open", "probe" };    /* as enum view_breaker */
    struct scenario_change *list = NEED_ARRAY(r, struct scenario_change, json_object_size(v));
    const char *name;
    json_t *one;

    *n = 0;
    if (!list)
        return NULL;
    json_object_foreach(loose(v), name, one) {
        struct scenario_change *ch = &list[(*n)++];

        *ch = (struct scenario_change){
            .model = span_str(name),
            .has_breaker = json_object_get(one, "breaker") != NULL,
            .has_refused = json_object_get(one, "key_refused") != NULL,
            .key_refused = json_bool(one, "key_refused", false),
            .has_retry = json_object_get(one, "retry_after_ms") != NULL,
            .retry_after_ms = json_int(one, "retry_after_ms", 0),
            .has_on = json_object_get(one, "on") != NULL,
            .on = json_bool(one, "on", true),
        };
        for (int b = 0; b < 3; b++)
            if (span_is(json_span(one, "breaker"), breakers[b]))
                ch->breaker = (enum view_breaker)b;
        if (!known_model(r, ch->model))
            return NULL;
    }
    return list;
}

/* `health` of the case is a change at time 0. */
static bool read_events(struct reader *r, const json_t *v, struct scenario_case *c)
{
    const json_t *list = json_object_get(v, "events"), *health = json_object_get(v, "health");
    struct scenario_event *events = NEED_ARRAY(r, struct scenario_event, json_array_size(list) + 1);
    json_t *one;
    size_t i;

    if (!events)
        return false;
    c->events = events;
    if (health) {
        struct scenario_event *e = &events[c->n_events++];

        e->changes = read_changes(r, health, &e->n_changes);
        if (!e->changes)
            return false;
    }
    json_array_foreach(loose(list), i, one) {
        struct scenario_event *e = &events[c->n_events++];
        struct span cancel = json_span(one, "cancel");

        *e = (struct scenario_event){ .at_ms = json_int(one, "at_ms", 0), .cancel = cancel.p != NULL,
                                      .timer = json_bool(one, "timer", false),
                                      .stop = span_is(cancel, "shutdown") ? STOP_SHUTDOWN : STOP_CALLER };
        e->changes = read_changes(r, json_object_get(one, "health"), &e->n_changes);
        if (!e->changes)
            return false;
        if (c->n_events > 1 && e->at_ms < events[c->n_events - 2].at_ms) {
            problem_error(r->file->ps, r->at, "events must stand in the order of their at_ms");
            return false;
        }
    }
    return true;
}

static int64_t read_timeout(struct reader *r, const json_t *v, const char *name, int64_t absent)
{
    const json_t *common = json_object_get(r->file->doc, "timeouts"), *own = json_object_get(v, "timeouts");

    return json_int(own, name, json_int(common, name, absent));
}

bool scenario_read_case(const struct scenario_file *file, const json_t *v, char *at, struct arena *arena,
                        struct features *f, struct scenario_case *c)
{
    struct reader r = { .file = file, .arena = arena, .at = at };
    struct span when = json_span(v, "at").p ? json_span(v, "at") : json_span(file->doc, "at");
    struct span budget = json_span(v, "budget_usd");

    *c = (struct scenario_case){ .policy = file->policy,
                                 .features = f,
                                 .at_ms = SCENARIO_AT_MS,
                                 .budget_nano = -1,
                                 .reserve_ms = json_int(v, "reserve_ms", 0),
                                 .ledger_full = json_bool(v, "ledger_full", false),
                                 .cancel_ms = json_int(v, "cancel_ms", 0),
                                 .timer_late_ms = json_int(v, "timer_late_ms", 0) };
    c->first_byte_ms = read_timeout(&r, v, "first_byte_ms", 60000);
    c->answer_ms = read_timeout(&r, v, "answer_ms", 600000);
    c->idle_ms = read_timeout(&r, v, "idle_ms", 120000);
    if (when.p && !zone_parse_time(when, &c->at_ms)) {
        problem_error(file->ps, at, "\"%.*s\" is no time", SPAN_FMT(when));
        return false;
    }
    if (budget.p && price_parse_usd(budget, &c->budget_nano) != PRICE_PARSE_OK) {
        problem_error(file->ps, at, "budget_usd must be a decimal string in USD");
        return false;
    }
    if (!read_features(&r, v, f) || !make_view(&r, v, c) || !read_events(&r, v, c) ||
        !read_scripts(&r, json_object_get(v, "script"), c) || r.no_memory) {
        if (r.no_memory)
            problem_error(file->ps, at, "no memory for this case");
        return false;
    }
    return true;
}
