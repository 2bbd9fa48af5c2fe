/* snapshot.h - all that a reload replaces, as one immutable whole: config, price book, policy, providers, certificates.
 *
 * Built by the housekeeper from the config file, published to the workers, reference counted: a request keeps the one
 * that it began with, so that nothing changes under it. A snapshot that cannot be built changes nothing: the old one
 * stays and the problems are reported. */
#ifndef TOLLGATE_GATEWAY_SNAPSHOT_H
#define TOLLGATE_GATEWAY_SNAPSHOT_H

#include <stdatomic.h>

#include "gateway/config.h"
#include "gateway/server/connection.h"
#include "gateway/upstream/engine.h"
#include "gateway/upstream/health.h"
#include "gateway/upstream/provider.h"
#include "policies/policy.h"
#include "policies/view.h"
#include "pricing/book.h"

/* One model that can be called: the view's entry in its resting state, and who serves it. */
struct snapshot_model {
    struct provider *provider;
    struct health_entry *health;
    struct traits traits;                /* as provider_traits says */
};

struct snapshot {
    _Atomic int refs;
    struct config *config;
    struct book *book;
    char *book_text;                     /* as read, for the ledger */
    size_t book_bytes;
    char book_digest[65];                /* set when the ledger has it */
    struct policy *policy;
    struct provider **providers;         /* in the order of the config */
    size_t n_providers;
    struct view_model *view;             /* in the order of the providers; health at rest */
    struct snapshot_model *models;       /* same index as view */
    size_t n_models;
    struct ssl_ctx_st *tls[CONFIG_LISTENERS_MAX];    /* NULL for a plain listener */
    struct connection_limits connection_limits;
};

/* What survives reloads and is needed to build one. Any may be NULL for `check` and `explain`. */
struct snapshot_parts {
    struct provider_keyring *keyring;
    struct health *health;
    struct engines *engines;             /* children are asked for; NULL: engine providers get no socket */
};

/* NULL with problems. With warnings alone a snapshot is returned. */
struct snapshot *snapshot_load(const char *config_path, const struct snapshot_parts *parts, struct problems *ps);
struct snapshot *snapshot_ref(struct snapshot *s);
void snapshot_unref(struct snapshot *s);    /* NULL is legal */

#endif
