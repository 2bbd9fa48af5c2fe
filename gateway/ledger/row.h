/* row.h - what the gateway tells the ledger, as plain structs: one request, one attempt.
 *
 * Every field is a column of DESIGN section 8 with the same name. Spans are borrowed from the caller for the time of
 * the call (ledger_submit copies). Text is UTF-8 without NUL; an absent span is stored as ''. Times are UTC
 * milliseconds since 1970 unless the name says otherwise; money is nano-dollars (1e-9 USD). */
#ifndef TOLLGATE_GATEWAY_LEDGER_ROW_H
#define TOLLGATE_GATEWAY_LEDGER_ROW_H

#include "base/span.h"
#include "pricing/price.h"

/* "req_" + 10 characters of the 48-bit time in ms + 16 characters of 80 random bits, in Crockford's base32 in lower
 * case (0-9 a-z without i l o u). Sorted as text, ids are in the order of time: rows are appended to the end of their
 * tables, not strewn over them (10-13 us a row when strewn, 2.6-3.5 in order). */
#define ROW_ID_BYTES 30
void row_new_id(int64_t at_ms, const uint8_t random[10], char out[ROW_ID_BYTES + 1]);
/* The same with the millisecond's fraction in the first 10 of the random bits: 20 requests of one millisecond stand in
 * order too. The other 70 are random. */
void row_new_id_us(int64_t at_us, const uint8_t random[10], char out[ROW_ID_BYTES + 1]);
/* The time within an id; false when it is no id of ours. */
bool row_id_time(struct span id, int64_t *at_ms);

enum row_usage_source {
    ROW_REPORTED,      /* the provider's own counters */
    ROW_PARTIAL,       /* some of them, the rest counted by us (a stream that was cut) */
    ROW_ESTIMATED,     /* none: charged at the upper bound */
};

/* Known when the request comes in: the first group; the second group only in the end. All of the first group must be
 * set in every entry, the settling ones too: the rollups are made from them. */
struct row_request {
    struct span id;                /* row_new_id */
    int64_t at_ms;
    struct span key_id, team;      /* "" without keys */
    struct span route, dialect;    /* "" when none was reached */
    struct span model_asked;
    struct span tags;              /* a JSON object of strings, {"project":"x"}; "" is {} */
    struct span session;
    bool stream;

    struct span model, provider;   /* what answered; "" when nothing did */
    int status;                    /* what the caller got; 499 when it had left. 100-599 */
    int attempts;
    int64_t cost_nano;             /* sum over the attempts */
    int64_t first_byte_ms;         /* after at_ms, by the monotonic clock; -1: there was none */
    int64_t total_ms;              /* likewise */
};

struct row_attempt {
    int n;                         /* from 1, rising; one whose reservation was refused has no row */
    struct span provider, model;   /* the book's name without its provider */
    struct span model_returned;
    int64_t started_ms;            /* the now_ms given to budget_reserve: it decides the budget window and rollup bucket */
    int64_t ended_ms;              /* >= started_ms */
    int64_t priced_ms;             /* the start_ms given to price_attempt: started_ms, or price_worst_case.at_ms in a worst
                                      case. audit prices again at this moment */
    int status;                    /* of the provider's answer; 0: there was none */
    struct span verdict;           /* policies' word: "accepted", "not_empty", "timeout", ... */
    struct usage usage;            /* what has no column of its own goes into `extras`, as JSON: searches, audio, ... */
    struct span service_tier;      /* into `extras` too: as given to price_attempt */
    enum row_usage_source usage_source;
    struct span price_version;     /* row_price_version */
    int64_t cost_nano;
    int64_t reserved_nano;         /* the worst case that was held; a cost above it sets the column over_reserved */
};

/* "<first 16 digits of the book's digest>@<the version's from>": enough, with provider and model, to find the rates
 * again in the table prices, where each book ever used is kept whole. `book` is what ledger_use_book gave. */
#define ROW_PRICE_VERSION_BYTES 64
size_t row_price_version(const char *book, struct span from, char out[ROW_PRICE_VERSION_BYTES]);

const char *row_usage_source_name(enum row_usage_source s);

#endif
