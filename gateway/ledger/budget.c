/* budget.c - spent and reserved, by scope and period, in memory.
 *
 * Owns the counters. Does not read or write the ledger: sqlite.c loads what was spent and the limits, and a kill
 * loses nothing because each reservation is committed as a row before an answer leaves.
 *
 * Invariants, under `lock`:
 *  (1) spent and reserved are >= 0 in every pair; reserved is the sum of the open holds made in this window (of those
 *      above INT64_MAX, nine thousand million dollars, it stands still there).
 *  (2) a pair's window never moves back.
 *  (3) budget_reserve changes all pairs of its scopes, or none. */
#include "gateway/ledger/budget.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/ledger/utc.h"
#include "pricing/price.h"

struct pair {
    int64_t window_start;
    int64_t spent_nano, reserved_nano;
    int64_t limit_nano;            /* NO_LIMIT: no budget is set */
};
#define NO_LIMIT (-1)

struct budget_scope {
    struct budget_scope *next;     /* in its bucket. Scopes live as long as the process: holds point to them, and there
                                      are no more of them than teams and keys */
    char name[BUDGET_SCOPE_BYTES];
    struct pair pairs[BUDGET_PERIODS];
};

#define BUCKETS 4096

struct budgets {
    pthread_mutex_t lock;
    struct budget_scope *buckets[BUCKETS];
};

/* ---- periods ---- */

static const char *const period_names[BUDGET_PERIODS] = { "day", "week", "month", "total" };

const char *budget_period_name(enum budget_period p)
{
    return period_names[p];
}

bool budget_period_parse(struct span name, enum budget_period *out)
{
    for (int p = 0; p < BUDGET_PERIODS; p++)
        if (span_is(name, period_names[p])) {
            *out = (enum budget_period)p;
            return true;
        }
    return false;
}

int64_t budget_window_start(enum budget_period p, int64_t now_ms)
{
    switch (p) {
    case BUDGET_DAY:
        return utc_floor(now_ms, UTC_DAY_MS);
    case BUDGET_WEEK:
        return utc_week_start(now_ms);
    case BUDGET_MONTH:
        return utc_month_start(now_ms);
    case BUDGET_TOTAL:
        break;
    }
    return INT64_MIN;
}

int64_t budget_window_end(enum budget_period p, int64_t now_ms)
{
    switch (p) {
    case BUDGET_DAY:
        return utc_floor(now_ms, UTC_DAY_MS) + UTC_DAY_MS;
    case BUDGET_WEEK:
        return utc_week_start(now_ms) + 7 * UTC_DAY_MS;
    case BUDGET_MONTH:
        return utc_month_next(now_ms);
    case BUDGET_TOTAL:
        break;
    }
    return INT64_MAX;
}

/* ---- scopes ---- */

static size_t bucket_of(const char *name)
{
    uint32_t h = 2166136261u;      /* FNV-1a: names come from the operator, nobody floods a bucket */

    for (; *name; name++)
        h = (h ^ (uint8_t)*name) * 16777619u;
    return h % BUCKETS;
}

static struct budget_scope *scope_find(struct budgets *b, const char *name)
{
    struct budget_scope *s = b->buckets[bucket_of(name)];

    while (s && strcmp(s->name, name) != 0)
        s = s->next;
    return s;
}

/* "team:search", cut where it would not fit. */
static void scope_name(const char *kind, struct span of, char out[BUDGET_SCOPE_BYTES])
{
    const size_t n = strlen(kind);
    const struct span name = span_first(of, BUDGET_SCOPE_BYTES - n - 2);

    memcpy(out, kind, n);
    out[n] = ':';
    if (name.n)
        memcpy(out + n + 1, name.p, name.n);
    out[n + 1 + name.n] = '\0';
}

static struct budget_scope *scope_get(struct budgets *b, const char *name)
{
    struct budget_scope *s = scope_find(b, name);
    size_t at = bucket_of(name);

    if (s)
        return s;
    s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    memcpy(s->name, name, strlen(name) + 1);
    for (int p = 0; p < BUDGET_PERIODS; p++) {
        s->pairs[p].window_start = INT64_MIN;
        s->pairs[p].limit_nano = NO_LIMIT;
    }
    s->next = b->buckets[at];
    b->buckets[at] = s;
    return s;
}

struct budgets *budgets_new(void)
{
    struct budgets *b = calloc(1, sizeof *b);

    if (b)
        pthread_mutex_init(&b->lock, NULL);
    return b;
}

void budgets_free(struct budgets *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        while (b->buckets[i]) {
            struct budget_scope *s = b->buckets[i];

            b->buckets[i] = s->next;
            free(s);
        }
    pthread_mutex_destroy(&b->lock);
    free(b);
}

/* ---- the counters ---- */

/* Moves the pairs of `s` into the windows that hold now_ms; holds of older windows are no longer counted, keeps (2). */
static void scope_roll(struct budget_scope *s, const int64_t starts[BUDGET_PERIODS])
{
    for (int p = 0; p < BUDGET_PERIODS; p++) {
        struct pair *pair = &s->pairs[p];

        if (starts[p] <= pair->window_start)
            continue;
        pair->window_start = starts[p];
        pair->spent_nano = 0;
        pair->reserved_nano = 0;
    }
}

static void starts_of(int64_t now_ms, int64_t starts[BUDGET_PERIODS])
{
    for (int p = 0; p < BUDGET_PERIODS; p++)
        starts[p] = budget_window_start((enum budget_period)p, now_ms);
}

static int64_t add_saturated(int64_t a, int64_t b)
{
    int64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* Where the pair has no room for `amount`, and less room than *no shows so far: into *no. */
static bool pair_refuses(const struct budget_scope *s, enum budget_period p, int64_t amount, int64_t now_ms,
                         bool refused, struct budget_refusal *no)
{
    const struct pair *pair = &s->pairs[p];
    int64_t taken = add_saturated(pair->spent_nano, pair->reserved_nano);

    if (pair->limit_nano == NO_LIMIT || (taken <= pair->limit_nano && amount <= pair->limit_nano - taken))
        return false;
    if (refused && pair->limit_nano - taken >= no->limit_nano - add_saturated(no->spent_nano, no->reserved_nano))
        return true;
    memcpy(no->scope, s->name, sizeof no->scope);
    no->period = p;
    no->limit_nano = pair->limit_nano;
    no->spent_nano = pair->spent_nano;
    no->reserved_nano = pair->reserved_nano;
    no->wanted_nano = amount;
    no->resets_ms = budget_window_end(p, now_ms > pair->window_start ? now_ms : pair->window_start);
    return true;
}

static void hold_take(struct budget_hold *hold, struct budget_scope *s, int64_t amount)
{
    hold->parts[hold->n].scope = s;
    hold->parts[hold->n].budgeted = false;
    for (int p = 0; p < BUDGET_PERIODS; p++) {
        s->pairs[p].reserved_nano = add_saturated(s->pairs[p].reserved_nano, amount);
        hold->parts[hold->n].window_start[p] = s->pairs[p].window_start;
        hold->parts[hold->n].budgeted |= s->pairs[p].limit_nano != NO_LIMIT;
    }
    hold->n++;
}

enum budget_rc budget_reserve(struct budgets *b, struct span team, struct span key_id, int64_t amount_nano,
                              int64_t now_ms, struct budget_hold *hold, struct budget_refusal *no)
{
    const struct { const char *kind; struct span name; } wanted[2] = { { "team", team }, { "key", key_id } };
    struct budget_scope *scopes[2] = { NULL, NULL };
    int64_t starts[BUDGET_PERIODS];
    bool refused = false;

    assert(amount_nano >= 0 && !hold->open);
    starts_of(now_ms, starts);
    pthread_mutex_lock(&b->lock);
    for (int i = 0; i < 2; i++) {
        char name[BUDGET_SCOPE_BYTES];

        if (!wanted[i].name.n)
            continue;
        scope_name(wanted[i].kind, wanted[i].name, name);
        scopes[i] = scope_get(b, name);
        if (!scopes[i]) {
            pthread_mutex_unlock(&b->lock);
            return BUDGET_NOMEM;
        }
        scope_roll(scopes[i], starts);
        for (int p = 0; p < BUDGET_PERIODS; p++)
            refused |= pair_refuses(scopes[i], (enum budget_period)p, amount_nano, now_ms, refused, no);
    }
    if (!refused) {                /* all fit: only now is anything taken, keeps (3) */
        *hold = (struct budget_hold){ .amount_nano = amount_nano, .opened_ms = now_ms, .open = true };
        for (int i = 0; i < 2; i++)
            if (scopes[i])
                hold_take(hold, scopes[i], amount_nano);
    }
    pthread_mutex_unlock(&b->lock);
    return refused ? BUDGET_REFUSED : BUDGET_OK;
}

void budget_settle(struct budgets *b, struct budget_hold *hold, int64_t actual_nano)
{
    if (!hold->open)
        return;
    assert(actual_nano >= 0);
    pthread_mutex_lock(&b->lock);
    for (int i = 0; i < hold->n; i++)
        for (int p = 0; p < BUDGET_PERIODS; p++) {
            struct pair *pair = &hold->parts[i].scope->pairs[p];

            if (pair->window_start != hold->parts[i].window_start[p])
                continue;          /* its window is over; the rows keep the sum, the new window owes nothing */
            pair->reserved_nano -= hold->amount_nano < pair->reserved_nano ? hold->amount_nano : pair->reserved_nano;
            pair->spent_nano = add_saturated(pair->spent_nano, actual_nano);
        }
    pthread_mutex_unlock(&b->lock);
    hold->open = false;
}

size_t budget_hold_scopes(const struct budget_hold *hold, char out[2][BUDGET_SCOPE_BYTES])
{
    size_t n = 0;

    for (int i = 0; i < hold->n; i++)
        if (hold->parts[i].budgeted)    /* a scope's name never changes: no lock */
            memcpy(out[n++], hold->parts[i].scope->name, BUDGET_SCOPE_BYTES);
    return n;
}

/* ---- what the ledger says ---- */

bool budgets_publish(struct budgets *b, const struct budget_row *rows, size_t n)
{
    bool whole = true;

    pthread_mutex_lock(&b->lock);
    for (size_t i = 0; i < n && whole; i++)
        whole = scope_get(b, rows[i].scope) != NULL;
    if (whole) {
        for (size_t i = 0; i < BUCKETS; i++)
            for (struct budget_scope *s = b->buckets[i]; s; s = s->next)
                for (int p = 0; p < BUDGET_PERIODS; p++)
                    s->pairs[p].limit_nano = NO_LIMIT;
        for (size_t i = 0; i < n; i++)
            scope_find(b, rows[i].scope)->pairs[rows[i].period].limit_nano = rows[i].limit_nano;
    }
    pthread_mutex_unlock(&b->lock);
    return whole;
}

bool budgets_load(struct budgets *b, const struct budget_spent *rows, size_t n, int64_t now_ms)
{
    int64_t starts[BUDGET_PERIODS];
    bool whole = true;

    starts_of(now_ms, starts);
    pthread_mutex_lock(&b->lock);
    for (size_t i = 0; i < n && whole; i++) {
        struct budget_scope *s = scope_get(b, rows[i].scope);

        whole = s != NULL;
        if (!whole)
            break;
        scope_roll(s, starts);
        s->pairs[rows[i].period].spent_nano = rows[i].spent_nano;
    }
    pthread_mutex_unlock(&b->lock);
    return whole;
}

size_t budgets_list(struct budgets *b, int64_t now_ms, struct budget_state *out, size_t room)
{
    int64_t starts[BUDGET_PERIODS];
    size_t n = 0;

    starts_of(now_ms, starts);
    pthread_mutex_lock(&b->lock);
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct budget_scope *s = b->buckets[i]; s; s = s->next) {
            scope_roll(s, starts);
            for (int p = 0; p < BUDGET_PERIODS; p++) {
                if (s->pairs[p].limit_nano == NO_LIMIT)
                    continue;
                if (n++ >= room)
                    continue;
                memcpy(out[n - 1].row.scope, s->name, sizeof s->name);
                out[n - 1].row.period = (enum budget_period)p;
                out[n - 1].row.limit_nano = s->pairs[p].limit_nano;
                out[n - 1].spent_nano = s->pairs[p].spent_nano;
                out[n - 1].reserved_nano = s->pairs[p].reserved_nano;
                out[n - 1].resets_ms = budget_window_end((enum budget_period)p, now_ms);
            }
        }
    pthread_mutex_unlock(&b->lock);
    return n;
}

size_t budget_refusal_text(const struct budget_refusal *no, char *out, size_t room)
{
    char limit[PRICE_TEXT_ROOM], spent[PRICE_TEXT_ROOM], reserved[PRICE_TEXT_ROOM], wanted[PRICE_TEXT_ROOM];
    char resets[UTC_TEXT_ROOM + 32] = "It never resets.";
    const char *name = strchr(no->scope, ':');
    bool used_up = add_saturated(no->spent_nano, no->reserved_nano) >= no->limit_nano;
    int n;

    price_format_usd(no->limit_nano, limit);
    price_format_usd(no->spent_nano, spent);
    price_format_usd(no->reserved_nano, reserved);
    price_format_usd(no->wanted_nano, wanted);
    if (no->resets_ms != INT64_MAX) {
        char at[UTC_TEXT_ROOM];

        utc_text(no->resets_ms, at);
        snprintf(resets, sizeof resets, "It resets at %s.", at);
    }
    n = snprintf(out, room, "The %s budget of %.*s %s %s: limit %s USD, spent %s, reserved %s; this request may cost %s. %s",
                 budget_period_name(no->period), (int)(name ? name - no->scope : 0), no->scope, name ? name + 1 : "",
                 used_up ? "is used up" : "has no room for this request", limit, spent, reserved, wanted, resets);
    if (n < 0)
        n = 0;
    return (size_t)n < room ? (size_t)n : room - 1;
}
