/* provider.h - one provider as the workers use it: addresses, keys, quirks, time-outs.
 *
 * Built from config_provider at load and never changed after, but for the state of its keys, which is atomic: workers
 * share it. Addresses are parsed once, here; a key is bound to the origin of the base URL that it was configured with
 * and is written nowhere else than into that origin's header lists. Keys are never logged, are wiped on free, and the
 * environment variable they came from is overwritten and removed (provider_forget_env, once everything is loaded). */
#ifndef TOLLGATE_GATEWAY_UPSTREAM_PROVIDER_H
#define TOLLGATE_GATEWAY_UPSTREAM_PROVIDER_H

#include "base/problem.h"
#include "base/span.h"
#include "gateway/config.h"
#include "gateway/dialects/chat.h"
#include "gateway/upstream/fetch.h"
#include "gateway/upstream/quirks.h"

struct provider;
struct arena;

/* A keyring keeps secrets over reloads, since the environment is wiped after the first load. Loading thread only. */
struct provider_keyring;
struct provider_keyring *provider_keyring_new(void);
void provider_keyring_free(struct provider_keyring *k);
/* Overwrites and unsets every variable that was read, so that /proc/PID/environ and children do not hold it. */
void provider_forget_env(struct provider_keyring *k);

/* NULL only with an error in `ps` (or no memory). An unset variable or unreadable key file is one warning; without any
 * key left the provider is off (PROVIDER_OFF). `pointer` goes before problems ("/providers/openai"). */
struct provider *provider_new(const struct config_provider *c, struct provider_keyring *keys, const char *pointer,
                              struct problems *ps);
void provider_free(struct provider *p);

const char *provider_name(const struct provider *p);
const struct quirks *provider_quirks(const struct provider *p);
/* Whose signatures and encrypted reasoning its models can read. */
enum family provider_family(const struct provider *p);
/* Of a model by its upstream id: the row that is known, what the host changes in it, and the config's own words. Asked when a
 * snapshot is built, which keeps it for each of its models. */
void provider_traits(const struct provider *p, struct span model, struct traits *out);
/* The dialect in which a caller's request goes to this provider, for a model with these traits: the caller's own where the
 * provider has it, else the provider's. DIALECTS: it cannot go there (completions and embeddings are never translated). */
enum dialect_id provider_wire(const struct provider *p, const struct traits *t, enum dialect_id caller);
bool provider_is_local(const struct provider *p);                  /* placement: local */
const char *provider_origin(const struct provider *p);             /* for explain and logs; "engine" for our own */

/* Our own engine: the socket of one of its models (engine.h). Before the provider is shared. */
bool provider_bind_engine(struct provider *p, const char *model, const char *socket_path);

enum provider_state {
    PROVIDER_ON,
    PROVIDER_OFF,            /* no key was found at load */
    PROVIDER_REFUSED,        /* every key is set aside */
};
enum provider_state provider_state(const struct provider *p, int64_t now_ms);

#define PROVIDER_KEY_NONE (-1)

/* Fills target, path, headers, time-outs of *spec for one call in that dialect and chooses the next key that is not set
 * aside (*key, or PROVIDER_KEY_NONE where none is needed). When all are set aside it takes the one whose time ends first: a
 * sole step is tried all the same. `model` is the upstream id: heeded where an engine has a socket for each, and where it
 * stands in the path (Gemini). `stream`: Accept is text/event-stream and first_byte_ms holds; else total_ms is the answer's.
 * False: off, or no such model or dialect. */
bool provider_prepare(struct provider *p, enum dialect_id wire, struct span model, bool stream, int64_t now_ms,
                      struct fetch_spec *spec, int *key);
/* The lines of one call that its caller has a say in, into spec->extra, once before provider_prepare: Anthropic's version,
 * which it must have (2023-06-01 when `version` is SPAN_NONE), and the caller's betas. Nothing in other dialects. The lines
 * are the arena's. False: no memory. */
bool provider_add_lines(enum dialect_id wire, struct span version, struct span betas, struct arena *arena,
                        struct fetch_spec *spec) __attribute__((warn_unused_result));

/* 401, 402, 403 and the quirk's down_statuses: the key is set aside for 1 minute, doubling to 15 on repetition. Returns
 * true while another key is to be had. The rest of the house learns it from provider_state. */
bool provider_key_refused(struct provider *p, int key, int64_t now_ms);
/* 429: set aside until `until_ms`, without blame. */
bool provider_key_limited(struct provider *p, int key, int64_t now_ms, int64_t until_ms);
void provider_key_worked(struct provider *p, int key);
/* Is it time to log that it cannot be reached? Once a minute: a host that is down fails every call. */
bool provider_tells(struct provider *p, int64_t now_ms);
size_t provider_keys(const struct provider *p);
/* Overwrites our keys in a text of the provider's: some repeat the one that they refuse (maximhq/bifrost#3954). */
void provider_hide_keys(const struct provider *p, char *text);

#endif
