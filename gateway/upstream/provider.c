/* provider.c - addresses, header lists and keys of one provider, made at load.
 *
 * Owns the only copies of its keys beside the keyring's, wiped when freed. Decides which key goes
 * next and which are set aside; does not decide what a refusal means for a request (attempt.c, policies/). */
#include "gateway/upstream/provider.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/log.h"

#define KEY_BYTES_MAX 4096
#define ASIDE_MS 60000
#define ASIDE_MAX_MS 900000
#define TELL_MS 60000

#define ANTHROPIC_VERSION "2023-06-01"

/* By dialect. Gemini's is the call's own: it holds the model. */
static const char *const path_of[DIALECTS] = {
    [DIALECT_CHAT] = "/chat/completions",   [DIALECT_RESPONSES] = "/responses",
    [DIALECT_COMPLETIONS] = "/completions", [DIALECT_EMBEDDINGS] = "/embeddings",
    [DIALECT_ANTHROPIC] = "/messages",      [DIALECT_GEMINI] = "",
};

#define HIDE_LEAST 8u    /* bytes of a key at the end of a text that was cut; fewer tell nothing */

struct key {
    char *secret;                            /* NULL where none is needed; to know it where a host repeats it */
    struct fetch_headers *whole, *stream;    /* by what is accepted */
    _Atomic int64_t aside_until_ms;          /* 0: in use */
    _Atomic int64_t aside_ms;                /* of the present refusal; 0: it works */
};

struct engine_socket {                       /* of one model of our own engine */
    struct engine_socket *next;
    char *model;
    struct fetch_target *targets[DIALECTS];
};

struct provider {
    char *name, *dialect, *origin;
    bool local;
    bool off;
    enum dialect_id own;                     /* its first dialect */
    bool speaks[DIALECTS];
    struct quirks quirks;
    struct traits_list *models;              /* of its config */
    struct fetch_target *targets[DIALECTS];    /* NULL for an engine */
    struct engine_socket *engines;
    struct key *keys;                        /* one without a secret where none is needed */
    size_t n_keys;
    bool keyless;
    atomic_uint next_key;
    _Atomic int64_t tell_ms;                 /* from when on a failure to reach it is told again */
    int64_t connect_ms, first_byte_ms, answer_ms, idle_ms;
};

/* ---- secrets ---- */

struct kept_secret {
    struct kept_secret *next;
    char *env;
    char *value;
};

struct provider_keyring {
    struct kept_secret *secrets;
};

struct provider_keyring *provider_keyring_new(void)
{
    return calloc(1, sizeof(struct provider_keyring));
}

static void secret_free(char *s)
{
    if (s)
        explicit_bzero(s, strlen(s));
    free(s);
}

void provider_keyring_free(struct provider_keyring *k)
{
    while (k && k->secrets) {
        struct kept_secret *s = k->secrets;

        k->secrets = s->next;
        secret_free(s->value);
        free(s->env);
        free(s);
    }
    free(k);
}

void provider_forget_env(struct provider_keyring *k)
{
    for (struct kept_secret *s = k->secrets; s; s = s->next) {
        char *there = getenv(s->env);

        if (there)
            explicit_bzero(there, strlen(there));    /* the very bytes that /proc/PID/environ shows */
        unsetenv(s->env);
    }
}

/* A copy that the caller frees by secret_free; NULL when unset or empty. */
static char *secret_from_env(struct provider_keyring *k, const char *env)
{
    const char *value;
    struct kept_secret *s;

    for (s = k ? k->secrets : NULL; s; s = s->next)
        if (strcmp(s->env, env) == 0)
            return strdup(s->value);
    value = getenv(env);
    if (!value || !*value)
        return NULL;
    s = k ? calloc(1, sizeof(*s)) : NULL;
    if (s) {
        s->env = strdup(env);
        s->value = strdup(value);
        s->next = k->secrets;
        if (s->env && s->value) {
            k->secrets = s;
        } else {
            secret_free(s->value);
            free(s->env);
            free(s);
        }
    }
    return strdup(value);
}

/* NULL with errno; EFBIG above KEY_BYTES_MAX. */
static char *secret_from_file(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *text;
    size_t n = 0;
    ssize_t got = 1;

    if (fd < 0)
        return NULL;
    text = calloc(1, KEY_BYTES_MAX + 2);
    while (text && n <= KEY_BYTES_MAX && got > 0) {
        got = read(fd, text + n, KEY_BYTES_MAX + 1 - n);
        n += got > 0 ? (size_t)got : 0;
    }
    if (text && (got < 0 || n > KEY_BYTES_MAX)) {
        const int e = got < 0 ? errno : EFBIG;

        explicit_bzero(text, n);
        free(text);
        text = NULL;
        errno = e;
    }
    close(fd);
    return text;
}

/* ---- keys ---- */

static bool add_auth(struct fetch_headers *h, enum quirk_auth style, struct span secret)
{
    static const char *const names[] = {
        [AUTH_BEARER] = "Authorization", [AUTH_X_API_KEY] = "x-api-key", [AUTH_API_KEY] = "api-key",
        [AUTH_X_GOOG_API_KEY] = "x-goog-api-key",
    };
    char bearer[KEY_BYTES_MAX + 8];
    bool ok;

    if (style == AUTH_NONE || !secret.n)
        return true;
    if (style != AUTH_BEARER)
        return fetch_headers_add(h, names[style], secret);
    const int n = snprintf(bearer, sizeof(bearer), "Bearer %.*s", SPAN_FMT(secret));
    ok = n > 0 && (size_t)n < sizeof(bearer) &&
         fetch_headers_add(h, names[style], (struct span){ bearer, (size_t)n });
    explicit_bzero(bearer, sizeof(bearer));
    return ok;
}

static struct fetch_headers *headers_for(const struct provider *p, struct span secret, const char *accept)
{
    struct fetch_headers *h = fetch_headers_new();

    if (h && fetch_headers_add(h, "Content-Type", SPAN_LIT("application/json")) &&
        fetch_headers_add(h, "Accept", span_str(accept)) && add_auth(h, p->quirks.auth_style, secret))
        return h;
    fetch_headers_free(h);
    return NULL;
}

static bool key_add(struct provider *p, struct span secret)
{
    struct key *k = &p->keys[p->n_keys];

    k->secret = secret.n ? strndup(secret.p, secret.n) : NULL;
    k->whole = headers_for(p, secret, "application/json");
    k->stream = headers_for(p, secret, "text/event-stream");
    p->n_keys++;    /* also when half made, so that it is freed */
    return k->whole && k->stream && (k->secret || !secret.n);
}

static bool is_key(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= 0x20 || (unsigned char)s.p[i] > 0x7e)
            return false;
    return s.n > 0 && s.n <= KEY_BYTES_MAX;
}

/* A file may end in line ends. */
static struct span trimmed(const char *z)
{
    struct span s = span_trim(span_str(z));

    while (s.n && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == '\r' || s.p[s.n - 1] == ' '))
        s.n--;
    return s;
}

/* One secret of the config. False: no memory. */
static bool key_load(struct provider *p, const struct config_secret *c, struct provider_keyring *ring, const char *at,
                     struct problems *ps)
{
    char *text = c->env ? secret_from_env(ring, c->env) : secret_from_file(c->file);
    const char *name = c->env ? c->env : c->file;
    const struct span secret = trimmed(text);
    bool ok = true;

    if (!text && c->env)
        problem_add(ps, PROBLEM_WARNING, at, "export it before the start, or name a file", "the environment variable %s "
                    "is not set", name);
    else if (!text)
        problem_add(ps, PROBLEM_WARNING, at, NULL, "cannot read the key file %s: %s", name, strerror(errno));
    else if (!is_key(secret))
        problem_add(ps, PROBLEM_WARNING, at, NULL, "%s holds no key: one run of printable characters is expected", name);
    else
        ok = key_add(p, secret);
    secret_free(text);
    return ok;
}

static bool keys_load(struct provider *p, const struct config_provider *c, struct provider_keyring *ring,
                      const char *pointer, struct problems *ps)
{
    const size_t warned = ps->warnings;

    p->keyless = c->n_keys == 0;
    p->keys = calloc(c->n_keys ? c->n_keys : 1, sizeof(*p->keys));
    if (!p->keys)
        return false;
    if (p->keyless)
        return key_add(p, SPAN_NONE);
    for (size_t i = 0; i < c->n_keys; i++) {
        char at[JSON_POINTER_ROOM];

        snprintf(at, sizeof(at), "%s/keys", pointer);
        json_at_index(at, sizeof(at), i);
        if (!key_load(p, &c->keys[i], ring, at, ps))
            return false;
    }
    p->off = p->n_keys == 0;
    if (p->off && ps->warnings - warned > 1)
        problem_warning(ps, pointer, "has no key at all: the provider is off and its steps are skipped");
    return true;
}

/* ---- addresses ---- */

static void targets_free(struct fetch_target *targets[DIALECTS])
{
    for (size_t i = 0; i < DIALECTS; i++)
        fetch_target_free(targets[i]);
}

/* "https://api.x.ai" of a base without a path, where a quirk may have one to add. */
static bool has_path(const char *base)
{
    const size_t at = span_find_span(span_str(base), SPAN_LIT("://"));
    const struct span rest = span_skip(span_str(base), at + 3);
    const size_t slash = span_find(rest, '/');

    return slash + 1 < rest.n;
}

static void host_of(const char *origin, char *out, size_t room)
{
    const size_t at = span_find_span(span_str(origin), SPAN_LIT("://"));
    const struct span host = span_skip(span_str(origin), at + 3);
    size_t n = host.n && host.p[0] == '[' ? span_find(host, ']') : span_find(host, ':');

    snprintf(out, room, "%.*s", SPAN_FMT(span_first(host, n)));
}

/* What the config calls its dialect, and with it all that such a host speaks. */
static void dialects_load(struct provider *p)
{
    const bool openai = strcmp(p->dialect, "openai") == 0;

    p->own = strcmp(p->dialect, "anthropic") == 0 ? DIALECT_ANTHROPIC :
             strcmp(p->dialect, "gemini") == 0 ? DIALECT_GEMINI : DIALECT_CHAT;
    p->speaks[p->own] = true;
    p->speaks[DIALECT_COMPLETIONS] = p->speaks[DIALECT_EMBEDDINGS] = openai;
    p->speaks[DIALECT_RESPONSES] = p->own == DIALECT_CHAT && p->quirks.responses;
}

static bool quirks_load(struct provider *p, const struct config_provider *c, const char *host, const char *pointer,
                        struct problems *ps)
{
    const char *server = c->base_url ? json_cstr(c->quirks, "server", NULL) : "tollgate-engine";
    char at[JSON_POINTER_ROOM];
    bool ok;

    snprintf(at, sizeof(at), "%s/quirks", pointer);
    if (!quirks_known(&p->quirks, host, c->dialect, server))
        quirks_known(&p->quirks, host, c->dialect, NULL);    /* no such server: quirks_read says so */
    ok = quirks_read(&p->quirks, c->quirks, at, ps);
    json_at(at, sizeof(at), "models");
    p->models = traits_list_new(json_object_get(c->quirks, "models"), at, ps);
    return ok && p->models;
}

/* Someone pasted the address of a whole endpoint. */
static void check_base(const char *path, const char *at, struct problems *ps)
{
    static const char *const ends[] = { "/chat/completions", "/responses", "/completions", "/embeddings", "/messages", "/models" };

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        char hint[64];

        if (!span_ends(span_str(path), span_str(ends[i])))
            continue;
        snprintf(hint, sizeof(hint), "end it before %s", ends[i]);
        problem_add(ps, PROBLEM_ERROR, at, hint, "is a whole endpoint, not a base");
        return;
    }
}

/* Anthropic's SDKs have bases without the version, and so have hosts that speak as it does ("https://h/anthropic"). */
static bool wants_base_path(const struct provider *p, const char *base)
{
    if (span_starts(span_str(base), SPAN_LIT("unix:")))
        return false;    /* it has /v1 from the start */
    return !has_path(base) || (p->own == DIALECT_ANTHROPIC && !span_ends(span_str(base), span_str(p->quirks.base_path)));
}

/* The quirks come between: they depend on the host and may add a path. */
static bool address_load(struct provider *p, const struct config_provider *c, const char *pointer, struct problems *ps)
{
    const unsigned flags = c->allow_http ? FETCH_ALLOW_HTTP : 0;
    char at[JSON_POINTER_ROOM], why[160], host[256] = "", base[1100], path[128];
    struct fetch_target *probe = NULL;
    bool ok;

    snprintf(at, sizeof(at), "%s/base_url", pointer);
    snprintf(base, sizeof(base), "%s", c->base_url ? c->base_url : "");
    while (*base && base[strlen(base) - 1] == '/')
        base[strlen(base) - 1] = '\0';
    if (c->base_url) {
        probe = fetch_target_new(base, "", NULL, c->ca_file, flags, why, sizeof(why));
        if (!probe) {
            problem_error(ps, at, "%s", why);
            return false;
        }
        check_base(fetch_target_path(probe), at, ps);
        if (!span_starts(span_str(fetch_target_origin(probe)), SPAN_LIT("unix:")))
            host_of(fetch_target_origin(probe), host, sizeof(host));
        p->origin = strdup(fetch_target_origin(probe));
        fetch_target_free(probe);
    } else {
        p->origin = strdup("engine");
    }
    ok = p->origin && quirks_load(p, c, *host ? host : NULL, pointer, ps);
    dialects_load(p);
    for (size_t i = 0; ok && c->base_url && i < DIALECTS; i++) {
        if (!p->speaks[i])
            continue;
        snprintf(path, sizeof(path), "%s%s", wants_base_path(p, base) ? p->quirks.base_path : "", path_of[i]);
        p->targets[i] = fetch_target_new(base, path, NULL, c->ca_file, flags, why, sizeof(why));
        ok = p->targets[i] != NULL;
    }
    return ok;
}

bool provider_bind_engine(struct provider *p, const char *model, const char *socket_path)
{
    struct engine_socket *e = calloc(1, sizeof(*e));
    char why[160];
    bool ok;

    if (!e)
        return false;
    e->next = p->engines;
    p->engines = e;
    e->model = strdup(model);
    ok = e->model != NULL;
    for (size_t i = 0; ok && i < DIALECTS; i++) {
        if (!p->speaks[i])
            continue;
        e->targets[i] = fetch_target_new("http://localhost/v1", path_of[i], socket_path, NULL, 0, why, sizeof(why));
        ok = e->targets[i] != NULL;
    }
    return ok;
}

static const struct fetch_target *target_of(const struct provider *p, enum dialect_id wire, struct span model)
{
    if (p->targets[wire])
        return p->targets[wire];
    for (const struct engine_socket *e = p->engines; e; e = e->next)
        if (span_is(model, e->model))
            return e->targets[wire];
    return NULL;
}

/* ---- the public part ---- */

struct provider *provider_new(const struct config_provider *c, struct provider_keyring *ring, const char *pointer,
                              struct problems *ps)
{
    const size_t errors = ps->errors;
    struct provider *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    p->name = strdup(c->name);
    p->dialect = strdup(c->dialect);
    p->local = c->placement_local;
    p->connect_ms = c->connect_ms;
    p->first_byte_ms = c->first_byte_ms;
    p->answer_ms = c->answer_ms;
    p->idle_ms = c->idle_ms;
    if (!p->name || !p->dialect || !address_load(p, c, pointer, ps) || !keys_load(p, c, ring, pointer, ps) ||
        ps->errors > errors) {
        provider_free(p);
        return NULL;
    }
    return p;
}

void provider_free(struct provider *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n_keys; i++) {
        secret_free(p->keys[i].secret);
        fetch_headers_free(p->keys[i].whole);
        fetch_headers_free(p->keys[i].stream);
    }
    while (p->engines) {
        struct engine_socket *e = p->engines;

        p->engines = e->next;
        targets_free(e->targets);
        free(e->model);
        free(e);
    }
    targets_free(p->targets);
    traits_list_free(p->models);
    free(p->keys);
    free(p->name);
    free(p->dialect);
    free(p->origin);
    free(p);
}

const char *provider_name(const struct provider *p) { return p->name; }
const struct quirks *provider_quirks(const struct provider *p) { return &p->quirks; }
bool provider_is_local(const struct provider *p) { return p->local; }
const char *provider_origin(const struct provider *p) { return p->origin; }
size_t provider_keys(const struct provider *p) { return p->keyless ? 0 : p->n_keys; }

enum family provider_family(const struct provider *p) { return p->quirks.family; }

void provider_traits(const struct provider *p, struct span model, struct traits *out)
{
    *out = *traits_of(model);
    if (out->thinking == THINKING_DEEPSEEK && p->quirks.family != FAMILY_DEEPSEEK) {
        out->thinking = THINKING_EFFORT;    /* its weights in another house, which has its own ways */
        out->efforts[0] = '\0';
        out->forced_tools = true;
    }
    out->schema = out->schema && p->quirks.supports_json_schema;
    traits_list_apply(p->models, model, out);
}

enum dialect_id provider_wire(const struct provider *p, const struct traits *t, enum dialect_id caller)
{
    const bool only = t->responses_only && p->speaks[DIALECT_RESPONSES];

    if (caller == DIALECT_COMPLETIONS || caller == DIALECT_EMBEDDINGS)
        return p->speaks[caller] && !only ? caller : DIALECTS;
    if (only)
        return DIALECT_RESPONSES;
    return p->speaks[caller] ? caller : p->own;
}

static int64_t aside_until(const struct key *k)
{
    return atomic_load_explicit(&k->aside_until_ms, memory_order_relaxed);
}

enum provider_state provider_state(const struct provider *p, int64_t now_ms)
{
    if (p->off)
        return PROVIDER_OFF;
    if (p->keyless)
        return PROVIDER_ON;
    for (size_t i = 0; i < p->n_keys; i++)    /* one that is only rate limited is not refused */
        if (aside_until(&p->keys[i]) <= now_ms ||
            !atomic_load_explicit(&p->keys[i].aside_ms, memory_order_relaxed))
            return PROVIDER_ON;
    return PROVIDER_REFUSED;
}

/* In turn, but those set aside last, the soonest free first. */
static size_t key_choose(struct provider *p, int64_t now_ms)
{
    const unsigned turn = atomic_fetch_add_explicit(&p->next_key, 1, memory_order_relaxed);
    size_t best = turn % p->n_keys;

    for (size_t i = 0; i < p->n_keys; i++) {
        const size_t at = (turn + i) % p->n_keys;

        if (aside_until(&p->keys[at]) <= now_ms)
            return at;
        if (aside_until(&p->keys[at]) < aside_until(&p->keys[best]))
            best = at;
    }
    return best;
}

/* "/models/m:generateContent". A name may come with its collection: "tunedModels/m". */
static bool gemini_path(struct span model, bool stream, char path[FETCH_PATH_MAX])
{
    const char *method = stream ? ":streamGenerateContent?alt=sse" : ":generateContent";
    struct span collection = SPAN_LIT("models");
    size_t n;

    if (span_starts(model, SPAN_LIT("models/")) || span_starts(model, SPAN_LIT("tunedModels/"))) {
        collection = span_first(model, span_find(model, '/'));
        model = span_skip(model, collection.n + 1);
    }
    path[0] = '\0';
    if (!fetch_path_add(path, collection) || !fetch_path_add(path, model))
        return false;
    n = strlen(path);
    return (size_t)snprintf(path + n, FETCH_PATH_MAX - n, "%s", method) < FETCH_PATH_MAX - n;
}

bool provider_prepare(struct provider *p, enum dialect_id wire, struct span model, bool stream, int64_t now_ms,
                      struct fetch_spec *spec, int *key)
{
    const struct fetch_target *t = wire < DIALECTS ? target_of(p, wire, model) : NULL;
    size_t i;

    if (p->off || !t || (wire == DIALECT_GEMINI && !gemini_path(model, stream, spec->path)))
        return false;
    i = p->n_keys > 1 ? key_choose(p, now_ms) : 0;
    *key = p->keyless ? PROVIDER_KEY_NONE : (int)i;
    spec->target = t;
    spec->headers = stream ? p->keys[i].stream : p->keys[i].whole;
    spec->method = FETCH_POST;
    spec->connect_ms = p->connect_ms;
    spec->first_byte_ms = stream ? p->first_byte_ms : 0;
    spec->total_ms = stream ? 0 : p->answer_ms;
    spec->idle_ms = p->idle_ms;
    return true;
}

bool provider_add_lines(enum dialect_id wire, struct span version, struct span betas, struct arena *arena,
                        struct fetch_spec *spec)
{
    const struct span v = version.n ? version : SPAN_LIT(ANTHROPIC_VERSION);
    size_t n = 0;

    if (wire != DIALECT_ANTHROPIC)
        return true;
    spec->extra[n++] = arena_printf(arena, "anthropic-version: %.*s", SPAN_FMT(v)).p;
    if (betas.n)
        spec->extra[n++] = arena_printf(arena, "anthropic-beta: %.*s", SPAN_FMT(betas)).p;
    return spec->extra[0] && (!betas.n || spec->extra[1]);
}

static bool other_key_free(const struct provider *p, int64_t now_ms)
{
    for (size_t i = 0; i < p->n_keys; i++)
        if (aside_until(&p->keys[i]) <= now_ms)
            return true;
    return false;
}

bool provider_key_refused(struct provider *p, int key, int64_t now_ms)
{
    struct key *k;
    int64_t aside;

    if (key < 0 || (size_t)key >= p->n_keys)
        return false;
    k = &p->keys[key];
    aside = atomic_load_explicit(&k->aside_ms, memory_order_relaxed);
    if (!aside || aside_until(k) <= now_ms) {    /* else a call that was under way with it: nothing new */
        aside = !aside ? ASIDE_MS : aside * 2 < ASIDE_MAX_MS ? aside * 2 : ASIDE_MAX_MS;
        atomic_store_explicit(&k->aside_ms, aside, memory_order_relaxed);
        atomic_store_explicit(&k->aside_until_ms, now_ms + aside, memory_order_relaxed);
        log_warn("provider %s refuses key %d of %zu: it rests for %lld s", p->name, key + 1, p->n_keys, (long long)aside / 1000);
    }
    return other_key_free(p, now_ms);
}

bool provider_key_limited(struct provider *p, int key, int64_t now_ms, int64_t until_ms)
{
    if (key < 0 || (size_t)key >= p->n_keys)
        return false;
    if (aside_until(&p->keys[key]) < until_ms)
        atomic_store_explicit(&p->keys[key].aside_until_ms, until_ms, memory_order_relaxed);
    return other_key_free(p, now_ms);
}

bool provider_tells(struct provider *p, int64_t now_ms)
{
    int64_t from = atomic_load_explicit(&p->tell_ms, memory_order_relaxed);

    return now_ms >= from && atomic_compare_exchange_strong(&p->tell_ms, &from, now_ms + TELL_MS);
}

void provider_key_worked(struct provider *p, int key)
{
    if (key < 0 || (size_t)key >= p->n_keys || !atomic_load_explicit(&p->keys[key].aside_ms, memory_order_relaxed))
        return;
    atomic_store_explicit(&p->keys[key].aside_ms, 0, memory_order_relaxed);
    atomic_store_explicit(&p->keys[key].aside_until_ms, 0, memory_order_relaxed);
}

/* A text that was cut may end within the key. */
static void hide(char *text, const char *secret)
{
    const size_t n = strlen(secret);

    for (char *p = text; (p = strchr(p, secret[0])) != NULL; p++) {
        const size_t left = strlen(p), most = left < n ? left : n;

        if ((most == n || most >= HIDE_LEAST) && memcmp(p, secret, most) == 0)
            memset(p, '*', most);
    }
}

void provider_hide_keys(const struct provider *p, char *text)
{
    for (size_t i = 0; i < p->n_keys; i++)
        if (p->keys[i].secret)
            hide(text, p->keys[i].secret);
}
