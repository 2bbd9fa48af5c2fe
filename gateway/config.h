/* config.h - the operator's file as structs: read once, checked whole, read-only after.
 *
 * config_load reads the file, checks it against schemas/config.schema.json and then for sense (files there and
 * readable, addresses well formed, secrets named and not inlined, policy and price book loadable), gathering every
 * problem. It opens nothing and calls nobody. Relative paths are relative to the config file's folder and are
 * absolute here. All memory belongs to the config: config_free. */
#ifndef TOLLGATE_GATEWAY_CONFIG_H
#define TOLLGATE_GATEWAY_CONFIG_H

#include <jansson.h>

#include "base/problem.h"
#include "base/span.h"

#define CONFIG_FILE_DEFAULT "tollgate.json"
#define CONFIG_LISTENERS_MAX 8
#define CONFIG_WORKERS_MAX 64

struct config_address {
    char *host;                    /* "127.0.0.1", "::1", "0.0.0.0": numbers, not names */
    uint16_t port;                 /* 0: the system chooses, and the log says which */
    bool loopback;
};

struct config_listener {
    struct config_address address;
    bool tls;                      /* off only for loopback */
    char *certificate;             /* PEM chain, absolute path */
    char *key;
};

/* Times in milliseconds, 0 = no limit. Defaults are those of DESIGN section 3. */
struct config_limits {
    size_t body_bytes, header_bytes;
    size_t bytes_in_flight;        /* bodies and held answers of all workers; 503 above it */
    uint64_t requests_per_connection;
    int64_t head_ms, body_idle_ms, body_ms, keepalive_ms;
    int64_t connect_ms, first_byte_ms, answer_ms, idle_ms;
    int64_t drain_ms;              /* how long a draining process waits for its requests */
};

struct config_secret {             /* exactly one is set */
    char *env;
    char *file;
};

struct config_engine_model {
    char *name;                    /* "tiny-flash": the part of the book's name behind "local/" */
    char *dir;
};

struct config_provider {
    char *name;
    char *dialect;                 /* "openai", "deepseek", "anthropic", "gemini" */
    char *base_url;                /* NULL for an engine of our own */
    bool allow_http;
    bool placement_local;
    char *ca_file;                 /* trust these instead of the system's; NULL */
    struct config_secret *keys;    /* 0: sent without a key (a local server) */
    size_t n_keys;
    struct config_engine_model *engine_models;    /* of our own engine, one child process a model */
    size_t n_engine_models;
    char *engine_device;           /* "auto", "cpu" */
    int engine_threads;            /* 0: the engine chooses */
    const json_t *quirks;          /* borrowed from the tree; NULL */
    int64_t connect_ms, first_byte_ms, answer_ms, idle_ms;    /* the provider's own, or those of limits */
};

struct config {
    bool sound;
    char *path, *dir;
    struct config_listener listeners[CONFIG_LISTENERS_MAX];
    size_t n_listeners;
    bool has_admin;
    struct config_address admin;
    int workers;
    bool auth_none;                /* only with all listeners on loopback */
    char *ledger_sqlite;
    bool durability_power;
    char *prices_path, *policy_path;
    struct config_provider *providers;
    size_t n_providers;
    struct config_limits limits;
    json_t *tree;                  /* what `quirks` points into */
    char *text;                    /* as read, for the lines of problems that are found later */
    size_t bytes;
};

/* NULL when there is an error; warnings alone still give a config. Does not load prices and policy (snapshot.h). */
struct config *config_load(const char *path, struct problems *ps);
/* The same, but a config with errors is returned too: `sound` is false then, and of its fields only the paths of prices
 * and policy may be used (NULL where they are not said), so that `check` can report on those files as well. */
struct config *config_read(const char *path, struct problems *ps);
/* The ledger's path alone, for free(): the file must be there and fit the schema, and nothing that it names need be. NULL
 * with problems. */
char *config_ledger_path(const char *path, struct problems *ps);
void config_free(struct config *c);

const struct config_provider *config_provider(const struct config *c, struct span name);

#endif
