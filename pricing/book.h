/* book.h - prices.json as a sorted table: the catalogue of models and their dated prices.
 *
 * Loaded whole or not at all, then read-only: many threads may use one book. Everything in it lives as long as it. */
#ifndef TOLLGATE_PRICING_BOOK_H
#define TOLLGATE_PRICING_BOOK_H

#include "base/json.h"
#include "pricing/window.h"

enum book_modality {             /* bits: what a model takes in */
    BOOK_TEXT = 1,
    BOOK_IMAGE = 2,
    BOOK_AUDIO = 4,
    BOOK_VIDEO = 8,
    BOOK_FILE = 16,
};

struct book_tier {
    int64_t prompt_min;          /* holds when all prompt tokens are at least this many: prompt_over N is N + 1 */
    struct ratio multiplier;     /* 1/1 when it has rates of its own */
    struct rates rates;          /* PRICE_UNSTATED: the version's */
};

struct book_service_tier {
    struct span name;            /* as the provider's reply names it */
    struct ratio multiplier;
};

struct book_version {
    struct span from;            /* as written; a row's price_version */
    struct span source;
    int64_t from_ms;             /* holds in [from_ms, until_ms) */
    int64_t until_ms;            /* the next version's from_ms; INT64_MAX: open */
    struct rates rates;          /* input and output stated */
    const struct window *windows;
    size_t n_windows;
    const struct book_tier *tiers;    /* prompt_min ascending */
    size_t n_tiers;
    const struct book_service_tier *service_tiers;
    size_t n_service_tiers;
};

struct book_model {
    struct span key;             /* "provider/model" */
    struct span provider;
    struct span name;            /* behind the first slash: what columns and headers show */
    struct span upstream_id;     /* what is sent as "model" */
    const struct span *aliases;
    size_t n_aliases;
    int64_t context;             /* tokens, prompt and answer together */
    int64_t max_output;          /* tokens */
    unsigned modalities;
    struct ratio tokenizer_factor;    /* tokens for the same text, against the usual; 1 when not stated */
    struct span retired;         /* the date as written; SPAN_NONE: in service */
    int64_t retired_ms;          /* INT64_MAX: in service */
    struct span successor;       /* key of a model of this book; SPAN_NONE */
    const struct book_version *versions;    /* from_ms ascending, at least one */
    size_t n_versions;
};

struct book;

/* Checks `tree` against the bundled schema, then all that a schema cannot say; every fault goes to `ps` with its JSON
 * pointer (set ps->file before). NULL when there was an error; warnings alone are no reason. `tree` is only borrowed.
 * Reads the time zones that it names from the system (zone.h): the only I/O. Handed: free with book_free. */
struct book *book_load(const json_t *tree, struct problems *ps);
void book_free(struct book *b);

struct span book_name(const struct book *b);         /* "public"; SPAN_NONE when not stated */
/* Whole days since read_on; -1 when not stated or in the future. */
int64_t book_age_days(const struct book *b, int64_t now_ms);
#define BOOK_STALE_DAYS 30    /* older: check warns */

/* All models in the order of the file. */
size_t book_count(const struct book *b);
const struct book_model *book_get(const struct book *b, size_t i);

/* Exactly "provider/model". NULL when there is none; so below. */
const struct book_model *book_find(const struct book *b, struct span key);
/* Within one provider: its name, upstream_id or alias (unique there, checked at load). */
const struct book_model *book_find_in(const struct book *b, struct span provider, struct span name);
/* The next model after `after` (NULL: the first), in the order of the file, whose bare name is `name`. A policy may
 * use a bare name where exactly one provider has it. */
const struct book_model *book_next_named(const struct book *b, struct span name, const struct book_model *after);
/* What a caller's "model" means (DESIGN section 4), with the providers that are on, in the order of the config: exact
 * provider/model; an alias or upstream_id; a bare name. */
const struct book_model *book_resolve(const struct book *b, struct span asked, const struct span *providers,
                                      size_t n_providers);

/* The version in force; NULL before the first and after a last one that ends. */
const struct book_version *book_version_at(const struct book_model *m, int64_t utc_ms);
/* By its `from`, as written. */
const struct book_version *book_version_named(const struct book_model *m, struct span from);
bool book_is_retired(const struct book_model *m, int64_t now_ms);
/* Bit of a modality's name ("image"); 0 when unknown. */
unsigned book_modality(struct span name);

#endif
