/* budget.h - how much each team and key has spent and holds, and whether one more attempt fits.
 *
 * Counters live in memory, one set for all workers. For each scope (a team, a key) there is a pair spent/reserved for
 * each period, whether a budget is set there or not; a budget is a limit on a pair. So a budget that is set while
 * requests run counts all that is in flight, exactly.
 *
 * A reservation checks every budget that applies and takes from all of them in one step, under one mutex (some 100 ns,
 * calls nothing). Not compare-and-swap a scope at a time: that has to take from one scope before it knows the other's
 * answer, and such a passing hold can make a third caller's reservation fail though there is room. With the mutex 200
 * callers on a budget for 50 get exactly 50. (BerriAI/litellm#34732: check-then-spend; #27639: counters leak upward.)
 *
 * Periods are UTC: a day from 00:00, a week from Monday 00:00, a month from its first day, total for ever. spent goes
 * back to 0 at the edge. A reservation belongs to the windows in which it was made and settles into them; when such a
 * window is over by then, the current one is not touched (#34733: a reset loses concurrent spend). A clock that steps
 * back over an edge keeps the later window. */
#ifndef TOLLGATE_GATEWAY_LEDGER_BUDGET_H
#define TOLLGATE_GATEWAY_LEDGER_BUDGET_H

#include "base/span.h"

enum budget_period { BUDGET_DAY, BUDGET_WEEK, BUDGET_MONTH, BUDGET_TOTAL };
#define BUDGET_PERIODS 4
#define BUDGET_SCOPE_BYTES 72         /* "team:" or "key:" and a name */

const char *budget_period_name(enum budget_period p);              /* "day" */
bool budget_period_parse(struct span name, enum budget_period *out);
/* First millisecond of the window that holds now_ms, and of the next one; INT64_MIN and INT64_MAX for total. */
int64_t budget_window_start(enum budget_period p, int64_t now_ms);
int64_t budget_window_end(enum budget_period p, int64_t now_ms);

struct budgets;
struct budget_scope;

/* A reservation, in the caller's memory (the request's). Zeroed before the first use; after settle or release it is
 * empty again. Moving or copying it is allowed, settling two copies is a bug. */
struct budget_hold {
    int64_t amount_nano;
    int64_t opened_ms;
    struct {
        struct budget_scope *scope;
        bool budgeted;                           /* a budget was set there when it was made */
        int64_t window_start[BUDGET_PERIODS];
    } parts[2];                                  /* team, key */
    uint8_t n;
    bool open;
};

struct budget_refusal {
    char scope[BUDGET_SCOPE_BYTES];              /* "team:search" */
    enum budget_period period;
    int64_t limit_nano, spent_nano, reserved_nano, wanted_nano;
    int64_t resets_ms;                           /* INT64_MAX: never */
};

enum budget_rc { BUDGET_OK, BUDGET_REFUSED, BUDGET_NOMEM };

struct budgets *budgets_new(void);               /* NULL: no memory */
void budgets_free(struct budgets *b);

/* Takes amount_nano (>= 0) from every scope or from none. `team` and `key_id` may be empty. BUDGET_REFUSED fills
 * *no with the tightest budget that did not fit. Any thread. */
enum budget_rc budget_reserve(struct budgets *b, struct span team, struct span key_id, int64_t amount_nano,
                              int64_t now_ms, struct budget_hold *hold, struct budget_refusal *no)
    __attribute__((warn_unused_result));
/* Gives the hold back and spends actual_nano (>= 0, also above the hold: what a provider reports is charged). Cannot
 * fail. Nothing happens when the hold is empty, so that a path may settle without knowing whether it reserved. */
void budget_settle(struct budgets *b, struct budget_hold *hold, int64_t actual_nano);
static inline void budget_release(struct budgets *b, struct budget_hold *hold) { budget_settle(b, hold, 0); }

/* The scopes of an open hold on which a budget was set when it was made: what its reservation rows are named after.
 * Returns how many. */
size_t budget_hold_scopes(const struct budget_hold *hold, char out[2][BUDGET_SCOPE_BYTES]);

/* The sentence for the caller, always terminated, cut at `room`; returns its bytes. Amounts are exact. For example:
 * "The day budget of team search is used up: limit 12.50 USD, spent 12.31, reserved 0.15, this request may cost 0.08.
 *  It resets at 2026-11-25T00:00:00Z." */
#define BUDGET_TEXT_ROOM 320
size_t budget_refusal_text(const struct budget_refusal *no, char *out, size_t room);

/* ---- for the ledger's thread, the commands and /metrics ---- */

struct budget_row {
    char scope[BUDGET_SCOPE_BYTES];
    enum budget_period period;
    int64_t limit_nano;
};
struct budget_spent {
    char scope[BUDGET_SCOPE_BYTES];
    enum budget_period period;
    int64_t spent_nano;
};
struct budget_state {
    struct budget_row row;
    int64_t spent_nano, reserved_nano, resets_ms;
};

/* Replaces the limits; counters stay. False without memory: then nothing has changed. */
bool budgets_publish(struct budgets *b, const struct budget_row *rows, size_t n);
/* At start, before any reservation: what the ledger says was spent in the windows that hold now_ms. */
bool budgets_load(struct budgets *b, const struct budget_spent *rows, size_t n, int64_t now_ms);
/* The budgets that are set, with their counters at now_ms; at most `room` rows, returns how many there are. */
size_t budgets_list(struct budgets *b, int64_t now_ms, struct budget_state *out, size_t room);

#endif
