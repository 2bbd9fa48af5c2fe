/* config.c - the config file to structs. The schema says what may be there; here is what a schema cannot say. */
#include "gateway/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/jschema.h"

#define CONFIG_BYTES_MAX (1u << 20)

struct loader {
    struct config *c;
    struct problems *ps;
    char at[JSON_POINTER_ROOM];
};

/* At start there is no going on without memory. */
static void *must(void *p)
{
    if (!p)
        abort();
    return p;
}

static char *copy(const char *text)
{
    return text ? must(strdup(text)) : NULL;
}

static char *absolute(const struct config *c, const char *path)
{
    char *out;

    if (!path)
        return NULL;
    if (path[0] == '/')
        return copy(path);
    if (asprintf(&out, "%s/%s", c->dir, path) < 0)
        abort();
    return out;
}

static void want_readable(struct loader *l, const char *member, const char *path)
{
    const size_t back = json_at(l->at, sizeof l->at, member);

    if (access(path, R_OK) != 0)
        problem_error(l->ps, l->at, "%s cannot be read: %s", path, strerror(errno));
    l->at[back] = '\0';
}

/* "127.0.0.1:8443" or "[::1]:8443"; the pattern has been checked. */
static bool read_address(const char *text, struct config_address *out)
{
    const char *colon = strrchr(text, ':');
    const size_t brackets = text[0] == '[';
    unsigned char ip[16];
    uint64_t port;

    if (!colon || !span_to_u64(span_str(colon + 1), 65535, &port))
        return false;
    out->host = must(strndup(text + brackets, (size_t)(colon - text) - 2 * brackets));
    out->port = (uint16_t)port;
    out->loopback = strncmp(out->host, "127.", 4) == 0 || strcmp(out->host, "::1") == 0;
    return inet_pton(brackets ? AF_INET6 : AF_INET, out->host, ip) == 1;
}

static void read_listeners(struct loader *l, const json_t *list)
{
    size_t i;
    json_t *item;

    json_array_foreach(list, i, item) {
        struct config_listener *out = &l->c->listeners[i];
        const json_t *tls = json_object_get(item, "tls");

        snprintf(l->at, sizeof l->at, "/listen/%zu", i);
        l->c->n_listeners = i + 1;
        if (!read_address(json_cstr(item, "address", ""), &out->address)) {
            problem_error(l->ps, l->at, "the address must be an IP address and a port up to 65535");
            continue;
        }
        out->tls = tls != NULL;
        if (!tls) {
            if (!out->address.loopback)
                problem_error(l->ps, l->at, "%s is not loopback: it needs \"tls\" with a certificate and a key",
                              out->address.host);
            continue;
        }
        out->certificate = absolute(l->c, json_cstr(tls, "certificate", NULL));
        out->key = absolute(l->c, json_cstr(tls, "key", NULL));
        snprintf(l->at, sizeof l->at, "/listen/%zu/tls", i);
        want_readable(l, "certificate", out->certificate);
        want_readable(l, "key", out->key);
    }
    l->at[0] = '\0';
}

static int64_t limit(const json_t *own, const json_t *shared, const char *name, int64_t otherwise)
{
    return json_int(own, name, json_int(shared, name, otherwise));
}

static void read_limits(struct config_limits *l, const json_t *obj)
{
    *l = (struct config_limits){
        .body_bytes = (size_t)json_int(obj, "body_bytes", 33554432),
        .header_bytes = (size_t)json_int(obj, "header_bytes", 65536),
        .bytes_in_flight = (size_t)json_int(obj, "bytes_in_flight", 536870912),
        .requests_per_connection = (uint64_t)json_int(obj, "requests_per_connection", 0),
        .head_ms = json_int(obj, "head_ms", 10000),
        .body_idle_ms = json_int(obj, "body_idle_ms", 10000),
        .body_ms = json_int(obj, "body_ms", 300000),
        .keepalive_ms = json_int(obj, "keepalive_ms", 75000),
        .connect_ms = json_int(obj, "connect_ms", 5000),
        .first_byte_ms = json_int(obj, "first_byte_ms", 60000),
        .answer_ms = json_int(obj, "answer_ms", 600000),
        .idle_ms = json_int(obj, "idle_ms", 120000),
        .drain_ms = json_int(obj, "drain_ms", 30000),
    };
}

static void read_keys(struct loader *l, struct config_provider *p, const json_t *keys)
{
    size_t i;
    json_t *item;

    p->keys = must(calloc(json_array_size(keys) + 1, sizeof *p->keys));
    json_array_foreach(keys, i, item) {
        struct config_secret *s = &p->keys[p->n_keys++];

        s->env = copy(json_cstr(item, "env", NULL));
        s->file = absolute(l->c, json_cstr(item, "file", NULL));
        if (s->env && s->file)
            problem_error(l->ps, l->at, "a key comes from \"env\" or from \"file\", not from both");
    }
}

static void read_engine(struct loader *l, struct config_provider *p, const json_t *engine)
{
    const json_t *models = json_object_get(engine, "models");
    const size_t back = json_at(l->at, sizeof l->at, "engine");
    const size_t back_models = json_at(l->at, sizeof l->at, "models");
    const char *name;
    json_t *dir;

    p->engine_models = must(calloc(json_object_size(models) + 1, sizeof *p->engine_models));
    json_object_foreach((json_t *)models, name, dir) {
        struct config_engine_model *m = &p->engine_models[p->n_engine_models++];
        char file[PATH_MAX + 16];
        const size_t back_name = json_at(l->at, sizeof l->at, name);

        m->name = copy(name);
        m->dir = absolute(l->c, json_string_value(dir));
        snprintf(file, sizeof file, "%s/config.json", m->dir);
        if (access(file, R_OK) != 0)
            problem_error(l->ps, l->at, "%s is no folder with a model: it has no config.json", m->dir);
        l->at[back_name] = '\0';
    }
    l->at[back_models] = '\0';
    p->engine_device = copy(json_cstr(engine, "device", "auto"));
    p->engine_threads = (int)json_int(engine, "threads", 0);
    if (strcmp(p->engine_device, "cuda") == 0)
        problem_error(l->ps, l->at, "the engine of this version runs on the CPU: device must be \"auto\" or \"cpu\"");
    l->at[back] = '\0';
}

static bool is_private(const char *url)
{
    return strncmp(url, "http://127.", 11) == 0 || strncmp(url, "http://[::1]", 12) == 0 ||
           strncmp(url, "http://localhost:", 17) == 0 || strncmp(url, "http://localhost/", 17) == 0;
}

static void check_provider(struct loader *l, const struct config_provider *p)
{
    if (!p->base_url && p->n_engine_models == 0)
        problem_error(l->ps, l->at, "needs \"base_url\", or \"engine\" with models of our own engine");
    if (p->base_url && p->n_engine_models)
        problem_error(l->ps, l->at, "has both \"base_url\" and \"engine\"; make two providers of it");
    if (p->base_url && strncmp(p->base_url, "http://", 7) == 0 && !p->allow_http && !is_private(p->base_url))
        problem_error(l->ps, l->at, "%s is plain HTTP: prompts and keys would be readable on the way; "
                      "use https, or say \"allow_http\": true", p->base_url);
}

static void read_providers(struct loader *l, const json_t *providers, const json_t *limits)
{
    const char *name;
    json_t *item;

    l->c->providers = must(calloc(json_object_size(providers) + 1, sizeof *l->c->providers));
    json_object_foreach((json_t *)providers, name, item) {
        struct config_provider *p = &l->c->providers[l->c->n_providers++];

        snprintf(l->at, sizeof l->at, "/providers");
        json_at(l->at, sizeof l->at, name);
        *p = (struct config_provider){
            .name = copy(name), .dialect = copy(json_cstr(item, "dialect", "")),
            .base_url = copy(json_cstr(item, "base_url", NULL)), .allow_http = json_bool(item, "allow_http", false),
            .placement_local = strcmp(json_cstr(item, "placement", "remote"), "local") == 0,
            .ca_file = absolute(l->c, json_cstr(item, "ca_file", NULL)), .quirks = json_object_get(item, "quirks"),
            .connect_ms = limit(item, limits, "connect_ms", 5000),
            .first_byte_ms = limit(item, limits, "first_byte_ms", 60000),
            .answer_ms = limit(item, limits, "answer_ms", 600000), .idle_ms = limit(item, limits, "idle_ms", 120000),
        };
        if (p->ca_file)
            want_readable(l, "ca_file", p->ca_file);
        read_keys(l, p, json_object_get(item, "keys"));
        if (json_object_get(item, "engine"))
            read_engine(l, p, json_object_get(item, "engine"));
        check_provider(l, p);
    }
    l->at[0] = '\0';
}

static void read_auth(struct loader *l)
{
    l->c->auth_none = strcmp(json_cstr(l->c->tree, "auth", "keys"), "none") == 0;
    for (size_t i = 0; l->c->auth_none && i < l->c->n_listeners; i++)
        if (!l->c->listeners[i].address.loopback)
            problem_error(l->ps, "/auth", "\"none\" is for loopback alone, and %s is not: anybody could spend your money",
                          l->c->listeners[i].address.host);
}

static void read_tree(struct loader *l)
{
    struct config *c = l->c;
    const json_t *ledger = json_object_get(c->tree, "ledger"), *admin = json_object_get(c->tree, "admin");
    const json_t *limits = json_object_get(c->tree, "limits");

    read_limits(&c->limits, limits);
    read_listeners(l, json_object_get(c->tree, "listen"));
    if (admin) {
        c->has_admin = read_address(json_cstr(admin, "address", ""), &c->admin);
        if (!c->has_admin || !c->admin.loopback)
            problem_error(l->ps, "/admin/address", "must be on loopback in this version, such as 127.0.0.1:8444");
        for (size_t i = 0; c->has_admin && c->admin.port && i < c->n_listeners; i++)
            if (c->listeners[i].address.port == c->admin.port && strcmp(c->listeners[i].address.host, c->admin.host) == 0)
                problem_error(l->ps, "/admin/address", "is the address of /listen/%zu; it needs one of its own", i);
    }
    c->workers = (int)json_int(c->tree, "workers", 2);
    c->ledger_sqlite = absolute(c, json_cstr(ledger, "sqlite", NULL));
    c->durability_power = strcmp(json_cstr(ledger, "durability", "process"), "power") == 0;
    c->prices_path = absolute(c, json_cstr(c->tree, "prices", NULL));
    c->policy_path = absolute(c, json_cstr(c->tree, "policy", NULL));
    want_readable(l, "prices", c->prices_path);
    want_readable(l, "policy", c->policy_path);
    read_auth(l);
    read_providers(l, json_object_get(c->tree, "providers"), limits);
}

static char *folder_of(const char *path)
{
    char *text = copy(path), *dir = dirname(text), *out;

    out = realpath(dir, NULL);
    if (!out)
        out = copy(dir);
    free(text);
    return out;
}

/* Where the other files are, of a config that is not sound itself: `check` looks at them all the same. */
static void find_files(struct config *c)
{
    if (!c->prices_path)
        c->prices_path = absolute(c, json_cstr(c->tree, "prices", NULL));
    if (!c->policy_path)
        c->policy_path = absolute(c, json_cstr(c->tree, "policy", NULL));
}

/* The file as a tree; *fits: to the schema. */
static struct config *read_file(const char *path, struct problems *ps, bool *fits)
{
    struct config *c = must(calloc(1, sizeof *c));

    c->path = copy(path);
    c->dir = folder_of(path);
    ps->file = path;
    if (access(path, F_OK) != 0)
        problem_add(ps, PROBLEM_ERROR, "", "--config FILE says where it is; `tollgate init DIR` makes one", "cannot be read: %s",
                    strerror(errno));
    else
        c->tree = json_read(path, CONFIG_BYTES_MAX, ps, &c->text, &c->bytes);
    *fits = c->tree && jschema_check_bundled("config.schema.json", c->tree, ps);
    return c;
}

struct config *config_read(const char *path, struct problems *ps)
{
    const size_t errors = ps->errors;
    bool fits;
    struct config *c = read_file(path, ps, &fits);
    struct loader l = { .c = c, .ps = ps };

    if (fits)
        read_tree(&l);
    if (c->text)
        problems_locate(ps, path, (struct span){ c->text, c->bytes });
    ps->file = path;
    find_files(c);
    c->sound = ps->errors == errors;
    return c;
}

struct config *config_load(const char *path, struct problems *ps)
{
    struct config *c = config_read(path, ps);

    if (c->sound)
        return c;
    config_free(c);
    return NULL;
}

char *config_ledger_path(const char *path, struct problems *ps)
{
    bool fits;
    struct config *c = read_file(path, ps, &fits);
    char *out = fits ? absolute(c, json_cstr(json_object_get(c->tree, "ledger"), "sqlite", NULL)) : NULL;

    if (c->text)
        problems_locate(ps, path, (struct span){ c->text, c->bytes });
    config_free(c);
    return out;
}

static void free_provider(struct config_provider *p)
{
    for (size_t i = 0; i < p->n_keys; i++) {
        free(p->keys[i].env);
        free(p->keys[i].file);
    }
    for (size_t i = 0; i < p->n_engine_models; i++) {
        free(p->engine_models[i].name);
        free(p->engine_models[i].dir);
    }
    free(p->keys);
    free(p->engine_models);
    free(p->engine_device);
    free(p->name);
    free(p->dialect);
    free(p->base_url);
    free(p->ca_file);
}

void config_free(struct config *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n_listeners; i++) {
        free(c->listeners[i].address.host);
        free(c->listeners[i].certificate);
        free(c->listeners[i].key);
    }
    for (size_t i = 0; i < c->n_providers; i++)
        free_provider(&c->providers[i]);
    free(c->providers);
    free(c->admin.host);
    free(c->ledger_sqlite);
    free(c->prices_path);
    free(c->policy_path);
    free(c->path);
    free(c->dir);
    json_decref(c->tree);
    free(c->text);
    free(c);
}

const struct config_provider *config_provider(const struct config *c, struct span name)
{
    for (size_t i = 0; i < c->n_providers; i++)
        if (span_is(name, c->providers[i].name))
            return &c->providers[i];
    return NULL;
}
