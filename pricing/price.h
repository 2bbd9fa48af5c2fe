/* price.h - usage x rates -> nano-dollars, exactly. The house's only arithmetic on money.
 *
 * Units. A rate is int64 pico-dollars (1e-12 USD) a token: USD 1 per million tokens is 1,000,000. Six decimals of
 * USD per million tokens are therefore exact. A cost, a budget, a reservation is int64 nano-dollars (1e-9 USD).
 * A cost is a 128-bit sum of count x rate, times the multipliers of window, tier and service tier as exact
 * fractions, rounded half up ONCE, here. No floating point anywhere.
 *
 * Pure: no clock, no I/O, no allocation, no globals. All spans in results are borrowed from the book. */
#ifndef TOLLGATE_PRICING_PRICE_H
#define TOLLGATE_PRICING_PRICE_H

#include "base/span.h"

struct book_model;
struct book_version;

/* What an attempt used, as each dialect's file maps its provider's counters (wire/). All >= 0 and disjoint, but for
 * `reasoning`: it is the part of `output` that the caller did not see, whatever the provider's own convention is
 * (OpenAI, Anthropic, DeepSeek include it; xAI chat and Gemini report it beside: add it to output there). It has
 * the output rate unless the price has a rate `reasoning` of its own. */
struct usage {
    int64_t input;             /* prompt tokens neither read from nor written to a cache; tool-use prompts too */
    int64_t cache_read;        /* prompt tokens read from the provider's cache */
    int64_t cache_write_5m;    /* prompt tokens written to it; writes without a stated life count here */
    int64_t cache_write_1h;
    int64_t output;            /* generated tokens, reasoning included */
    int64_t reasoning;         /* of these; 0 <= reasoning <= output */
    int64_t input_audio;       /* prompt tokens of audio and of images where the provider counts them apart: then */
    int64_t input_image;       /* they are not in `input` */
    int64_t output_audio;      /* likewise not in `output` */
    int64_t output_image;
    int64_t searches;          /* web searches and the like, priced per thousand */
};

/* Repairs what no provider should report: negative counts become 0; reasoning above output raises output (nothing
 * reported goes unbilled). True when it changed something: flag the row. */
bool usage_mend(struct usage *u);
/* All prompt tokens: what tiers are judged by. Saturates at INT64_MAX. */
int64_t usage_prompt(const struct usage *u);

/* ---- rates ---- */

enum rate_kind {
    RATE_INPUT,
    RATE_CACHE_READ,           /* not stated: as input */
    RATE_CACHE_WRITE_5M,       /* not stated: as input */
    RATE_CACHE_WRITE_1H,       /* not stated: as input */
    RATE_OUTPUT,
    RATE_REASONING,            /* not stated: as output */
    RATE_INPUT_AUDIO,          /* not stated: as input */
    RATE_INPUT_IMAGE,          /* not stated: as input */
    RATE_OUTPUT_AUDIO,         /* not stated: as output */
    RATE_OUTPUT_IMAGE,         /* not stated: as output */
    RATE_SEARCHES,             /* pico-dollars a search; in the book USD per 1000. Never multiplied. Not stated: 0 */
    RATE_KINDS,
};
/* "input", "cache_read", ...: the member of prices.json, also the name in `extras` and in explain. */
extern const char *const rate_names[RATE_KINDS];

struct rates {
    int64_t pusd[RATE_KINDS];  /* >= 0; in a book's own parts PRICE_UNSTATED where nothing is stated */
};
#define PRICE_UNSTATED (-1)

/* An exact fraction >= 0, reduced: multipliers, the tokenizer factor. */
struct ratio {
    int64_t num;
    int64_t den;               /* > 0 */
};

/* ---- decimals ---- */

enum price_parse {
    PRICE_PARSE_OK,
    PRICE_PARSE_SYNTAX,        /* not digits[.digits]: sign, exponent, blanks, ".5", "5.", "007", empty */
    PRICE_PARSE_PRECISE,       /* more decimals than the unit has */
    PRICE_PARSE_RANGE,         /* larger than the unit allows */
};
/* *out is untouched unless OK. */
/* USD per million tokens, at most six decimals, at most PRICE_RATE_MAX: "0.003625" -> 3625 pico-dollars a token. */
enum price_parse price_parse_rate(struct span text, int64_t *pusd) __attribute__((warn_unused_result));
/* USD, at most nine decimals: "12.50" -> 12,500,000,000 nano-dollars. For budgets and limits. */
enum price_parse price_parse_usd(struct span text, int64_t *nano) __attribute__((warn_unused_result));
/* "0.5" -> 1/2. At most six decimals, at most 1000. */
enum price_parse price_parse_ratio(struct span text, struct ratio *out) __attribute__((warn_unused_result));
/* What is wrong with a decimal, for people: "has more than six decimals". `decimals` is the unit's. */
const char *price_parse_text(enum price_parse rc, int decimals);

/* 1 USD a token: above it, somebody wrote another unit. */
#define PRICE_RATE_MAX INT64_C(1000000000000)

#define PRICE_TEXT_ROOM 32
/* Exact, no trailing zeros, no exponent: 144000 -> "0.000144"; 0 -> "0"; negative with "-". */
void price_format_usd(int64_t nano, char out[PRICE_TEXT_ROOM]);
/* Pico-dollars a token as USD per million tokens: 3625 -> "0.003625". */
void price_format_rate(int64_t pusd, char out[PRICE_TEXT_ROOM]);

/* ---- costs ---- */

enum price_rc {
    PRICE_OK,
    PRICE_RANGE,               /* a count is negative, reasoning > output, or the cost is no int64 */
    PRICE_NO_VERSION,          /* no version of the price holds at that time */
};

struct cost {
    int64_t cost_nano;
    struct span version;       /* `from` of the version, as the book writes it: the row's price_version */
    struct span window;        /* its name; SPAN_NONE outside every window */
    int tier;                  /* index in the version's tiers; -1: below all */
    struct span service_tier;  /* as the book names it; SPAN_NONE: the standard one */
    bool service_tier_unknown; /* the reply names a tier that the book has not; priced as standard: flag the row */
    bool searches_unpriced;    /* searches were used and the price states no rate for them: flag the row */
};

/* What the attempt that began at `start_ms` (UTC) cost. `service_tier` as the reply names it; SPAN_NONE, "",
 * "default", "standard", "auto" and "on_demand" are the standard one. *out is untouched unless PRICE_OK. */
enum price_rc price_attempt(const struct book_model *m, int64_t start_ms, struct span service_tier,
                            const struct usage *u, struct cost *out) __attribute__((warn_unused_result));

/* The same at a version given, as audit needs it: whatever the book says today about that time. */
enum price_rc price_attempt_at(const struct book_version *v, int64_t start_ms, struct span service_tier,
                               const struct usage *u, struct cost *out) __attribute__((warn_unused_result));

/* Bounds of an attempt that has not been made. */
struct price_bounds {
    int64_t prompt;            /* upper bound of all prompt tokens together (estimate.h) */
    int64_t output;            /* upper bound of generated tokens of one choice, reasoning included */
    int64_t choices;           /* `n`; 0 is read as 1 */
    int64_t searches;
    int64_t from_ms;           /* it may start in [from_ms, until_ms], UTC, both ends included */
    int64_t until_ms;
    struct span service_tier;  /* as asked. SPAN_NONE, "default", "standard": the standard one. One that the version
                                * has: the dearer of it and standard (a provider may fall back). Another, "auto"
                                * included: the dearest that the version has. */
    bool cache_5m;             /* cache marks of that life are present, or the host writes unasked */
    bool cache_1h;
    bool audio;                /* there is audio, there are images, on either side */
    bool image;
};

/* The most that such an attempt can cost, in nano-dollars: dearest version, window and tier that it may touch, no
 * cache hit. For every usage within the bounds, at every start within the span, price_attempt gives no more.
 * PRICE_RANGE also when until_ms < from_ms or the span is longer than PRICE_SPAN_MAX_MS; PRICE_NO_VERSION when some
 * instant of the span has no version. *nano is untouched unless OK. Takes some 0.1 us a window and day. */
#define PRICE_SPAN_MAX_MS (400 * INT64_C(86400000))
enum price_rc price_worst(const struct book_model *m, const struct price_bounds *b, int64_t *nano)
    __attribute__((warn_unused_result));

/* The same bound as a case that could happen: price_attempt(m, at_ms, service_tier, &usage) gives exactly cost_nano,
 * and no usage within the bounds gives more. The ledger keeps it with the reservation: when the process is killed, it
 * is the row of the attempt, and audit can recompute it like any other. `service_tier` and `version` are the book's. */
struct price_worst_case {
    int64_t cost_nano;
    struct usage usage;
    int64_t at_ms;             /* in [from_ms, until_ms] */
    struct span service_tier;  /* SPAN_NONE: the standard one */
    struct span version;
};
enum price_rc price_worst_of(const struct book_model *m, const struct price_bounds *b, struct price_worst_case *out)
    __attribute__((warn_unused_result));

/* The rates in force, for people (explain, /v1/models, receipts): count x rate x multiplier, exact. */
struct price_view {
    struct rates rates;        /* all stated, before `multiplier` */
    struct ratio multiplier;   /* of window, tier and service tier together; not for searches */
    struct rates effective;    /* multiplied, rounded half up to a pico-dollar: to show, not to compute with */
    struct span version;
    struct span source;
    struct span window;
    int tier;
    struct span service_tier;
};
enum price_rc price_at(const struct book_model *m, int64_t at_ms, int64_t prompt_tokens, struct span service_tier,
                       struct price_view *out) __attribute__((warn_unused_result));

#endif
