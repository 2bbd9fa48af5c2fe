/* snapshot.c - builds a snapshot in the order in which its parts need each other; refuses to touch the network. */
#include "gateway/snapshot.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "gateway/server/tls.h"

#define BOOK_BYTES_MAX (16u << 20)
#define POLICY_BYTES_MAX (4u << 20)
#define TLS_DAYS_LEAST   14

static void load_book(struct snapshot *s, struct problems *ps)
{
    json_t *tree = json_read(s->config->prices_path, BOOK_BYTES_MAX, ps, &s->book_text, &s->book_bytes);
    const int64_t now = clock_wall_ms();

    if (!tree)
        return;
    s->book = book_load(tree, ps);
    json_decref(tree);
    if (s->book && book_age_days(s->book, now) > BOOK_STALE_DAYS)
        problem_warning(ps, "/read_on", "the price book was read %lld days ago; prices move: check them and set read_on",
                        (long long)book_age_days(s->book, now));
    problems_locate(ps, s->config->prices_path, (struct span){ s->book_text, s->book_bytes });
}

static void load_policy(struct snapshot *s, struct problems *ps)
{
    char *text = NULL;
    size_t bytes = 0;
    json_t *tree = json_read(s->config->policy_path, POLICY_BYTES_MAX, ps, &text, &bytes);

    if (!tree)
        return;
    s->policy = policy_load(tree, s->book, ps);
    if (s->policy && s->config->sound)
        policy_check_view(s->policy, &(struct view){ s->view, s->n_models }, ps);
    json_decref(tree);
    problems_locate(ps, s->config->policy_path, (struct span){ text, bytes });
    free(text);
}

static void bind_engine(struct provider *p, const struct config_provider *c, const struct snapshot_parts *parts,
                        struct problems *ps)
{
    for (size_t i = 0; i < c->n_engine_models; i++) {
        const struct config_engine_model *m = &c->engine_models[i];
        const struct engine_want want = { .provider = c->name, .model = m->name, .dir = m->dir,
                                          .device = c->engine_device, .threads = c->engine_threads };
        struct engine_child *child = parts->engines ? engines_want(parts->engines, &want) : NULL;

        if (parts->engines && (!child || !provider_bind_engine(p, m->name, engine_socket(child))))
            problem_error(ps, "/providers", "provider %s: the engine for %s cannot be set up", c->name, m->name);
    }
}

/* What is configured but has no price can never be called: the first thing to go wrong with a new provider. */
static void warn_unpriced(const struct snapshot *s, struct problems *ps)
{
    char pointer[JSON_POINTER_ROOM], hint[256];

    ps->file = s->config->path;
    for (size_t i = 0; i < s->config->n_providers; i++) {
        const struct config_provider *c = &s->config->providers[i];
        size_t priced = 0;

        for (size_t k = 0; k < book_count(s->book); k++)
            priced += span_is(book_get(s->book, k)->provider, c->name);
        snprintf(pointer, sizeof pointer, "/providers");
        json_at(pointer, sizeof pointer, c->name);
        snprintf(hint, sizeof hint, "add \"%.60s/MODEL\" with its price to the price book", c->name);
        if (priced == 0 && c->base_url)
            problem_add(ps, PROBLEM_WARNING, pointer, hint, "the price book has no model of this provider: none can be called");
        json_at(pointer, sizeof pointer, "engine");
        json_at(pointer, sizeof pointer, "models");
        for (size_t k = 0; k < c->n_engine_models; k++) {
            const size_t back = json_at(pointer, sizeof pointer, c->engine_models[k].name);
            char key[256];

            snprintf(key, sizeof key, "%.120s/%.120s", c->name, c->engine_models[k].name);
            if (!book_find(s->book, span_str(key)))
                problem_add(ps, PROBLEM_WARNING, pointer, "add it with its price", "the price book has no \"%s\": it cannot be called", key);
            pointer[back] = '\0';
        }
    }
}

static void load_providers(struct snapshot *s, const struct snapshot_parts *parts, struct problems *ps)
{
    s->providers = calloc(s->config->n_providers ? s->config->n_providers : 1, sizeof(struct provider *));
    for (size_t i = 0; s->providers && i < s->config->n_providers; i++) {
        const struct config_provider *c = &s->config->providers[i];
        char pointer[JSON_POINTER_ROOM] = "/providers";
        struct provider *p;

        json_at(pointer, sizeof pointer, c->name);
        ps->file = s->config->path;
        p = provider_new(c, parts->keyring, pointer, ps);
        if (!p)
            continue;
        s->providers[s->n_providers++] = p;
        bind_engine(p, c, parts, ps);
    }
}

/* An engine of ours serves the models that the config gives it a folder for; any other provider all of the book's. */
static bool serves(const struct config_provider *c, const struct book_model *m)
{
    if (!span_is(m->provider, c->name))
        return false;
    if (c->base_url)
        return true;
    for (size_t i = 0; i < c->n_engine_models; i++)
        if (span_is(m->name, c->engine_models[i].name))
            return true;
    return false;
}

static void build_view(struct snapshot *s, const struct snapshot_parts *parts)
{
    const size_t most = book_count(s->book);

    s->view = calloc(most ? most : 1, sizeof *s->view);
    s->models = calloc(most ? most : 1, sizeof *s->models);
    if (!s->view || !s->models)
        abort();    /* at start and reload: no memory is the end */
    for (size_t i = 0; i < s->n_providers; i++) {
        struct provider *p = s->providers[i];
        const struct config_provider *c = config_provider(s->config, span_str(provider_name(p)));

        for (size_t k = 0; k < most; k++) {
            const struct book_model *m = book_get(s->book, k);

            if (!c || s->n_models == most || !serves(c, m))
                continue;
            s->view[s->n_models] = (struct view_model){
                .model = m, .provider = m->provider, .on = provider_state(p, 0) != PROVIDER_OFF,
                .local = provider_is_local(p),
            };
            s->models[s->n_models++] = (struct snapshot_model){
                .provider = p, .health = parts->health ? health_get(parts->health, m->provider, m->name) : NULL
            };
            provider_traits(p, m->upstream_id, &s->models[s->n_models - 1].traits);
        }
    }
}

static void load_tls(struct snapshot *s, struct problems *ps)
{
    for (size_t i = 0; i < s->config->n_listeners; i++) {
        const struct config_listener *l = &s->config->listeners[i];
        char pointer[64];
        long days;

        if (!l->tls)
            continue;
        ps->file = s->config->path;
        snprintf(pointer, sizeof pointer, "/listen/%zu/tls", i);
        s->tls[i] = tls_context_new(l->certificate, l->key, pointer, ps);
        days = s->tls[i] ? tls_days_left(s->tls[i]) : TLS_DAYS_LEAST;
        if (days < 0)
            problem_warning(ps, pointer, "%s has expired: callers will refuse it", l->certificate);
        else if (days < TLS_DAYS_LEAST)
            problem_warning(ps, pointer, "%s expires in %ld days", l->certificate, days);
    }
}

/* Of a config with errors of its own: what can be said of prices and policy without it. */
static void load_files(struct snapshot *s, struct problems *ps)
{
    if (s->config->prices_path)
        load_book(s, ps);
    if (s->book && s->config->policy_path)
        load_policy(s, ps);
}

struct snapshot *snapshot_load(const char *config_path, const struct snapshot_parts *parts, struct problems *ps)
{
    struct snapshot *s = calloc(1, sizeof *s);
    const struct config_limits *l;

    if (!s)
        abort();
    atomic_init(&s->refs, 1);
    s->config = config_read(config_path, ps);
    if (!s->config->sound) {
        load_files(s, ps);
    } else {
        load_book(s, ps);
        load_tls(s, ps);
        load_providers(s, parts, ps);
        if (s->book) {
            warn_unpriced(s, ps);
            build_view(s, parts);
            load_policy(s, ps);
        }
        problems_locate(ps, s->config->path, (struct span){ s->config->text, s->config->bytes });
        l = &s->config->limits;
        s->connection_limits = (struct connection_limits){
            .header_bytes = l->header_bytes, .requests_per_connection = l->requests_per_connection,
            .head_ms = l->head_ms, .body_idle_ms = l->body_idle_ms, .body_ms = l->body_ms,
            .keepalive_ms = l->keepalive_ms,
        };
    }
    if (ps->errors == 0 && s->book && s->policy)
        return s;
    snapshot_unref(s);
    return NULL;
}

struct snapshot *snapshot_ref(struct snapshot *s)
{
    atomic_fetch_add(&s->refs, 1);
    return s;
}

void snapshot_unref(struct snapshot *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    policy_free(s->policy);
    book_free(s->book);
    for (size_t i = 0; i < s->n_providers; i++)
        provider_free(s->providers[i]);
    for (size_t i = 0; i < CONFIG_LISTENERS_MAX; i++)
        if (s->tls[i])
            tls_context_free(s->tls[i]);
    config_free(s->config);
    free(s->providers);
    free(s->view);
    free(s->models);
    free(s->book_text);
    free(s);
}
