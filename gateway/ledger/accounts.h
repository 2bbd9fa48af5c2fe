/* accounts.h - keys, teams and budgets as the commands edit them, in the file, beside a running `serve` or without one.
 *
 * Each edit is one transaction on a connection of its own. A running serve sees it within a second: its writer looks
 * for changes four times a second and publishes. */
#ifndef TOLLGATE_GATEWAY_LEDGER_ACCOUNTS_H
#define TOLLGATE_GATEWAY_LEDGER_ACCOUNTS_H

#include "base/problem.h"
#include "gateway/ledger/budget.h"
#include "gateway/ledger/keys.h"

struct accounts;
/* Makes the ledger where there is none when `create` is set. NULL with a problem. */
struct accounts *accounts_open(const char *path, bool create, struct problems *ps);
void accounts_close(struct accounts *a);

enum accounts_rc {
    ACCOUNTS_OK,
    ACCOUNTS_EXISTS,       /* a key of that name is in use in that team */
    ACCOUNTS_NOT_FOUND,
    ACCOUNTS_REVOKED,      /* that key has been revoked already */
    ACCOUNTS_FAILED,       /* accounts_error says why */
};
const char *accounts_error(struct accounts *a);

/* The key's text is handed out once, here: accounts_key_create fills `text`, stores its digest, and forgets it. */
enum accounts_rc accounts_key_create(struct accounts *a, struct span team, struct span name, bool strict, int64_t now_ms,
                                     struct key_info *info, char text[KEY_TEXT_BYTES + 1]);
/* By id, or by team and name (then the one in use). *info is filled in on OK, EXISTS and REVOKED. */
enum accounts_rc accounts_key_revoke(struct accounts *a, struct span id, struct span team, struct span name,
                                     int64_t now_ms, struct key_info *info);
/* A new text for the same id, team and name: its budgets and its history go on. The old text is refused from now. */
enum accounts_rc accounts_key_rotate(struct accounts *a, struct span id, struct span team, struct span name,
                                     int64_t now_ms, struct key_info *info, char text[KEY_TEXT_BYTES + 1]);

struct accounts_key {
    struct key_info info;
    int64_t created_ms, rotated_ms, revoked_ms;    /* 0: never */
};
/* Each key, by team and name, those in use first; `team` empty: of all teams. False: failed. */
bool accounts_keys_each(struct accounts *a, struct span team, void (*each)(void *arg, const struct accounts_key *k),
                        void *arg);

/* scope is "team:NAME" or "key:ID". A team need not exist before; a key must (ACCOUNTS_NOT_FOUND). */
enum accounts_rc accounts_budget_set(struct accounts *a, const char *scope, enum budget_period period, int64_t limit_nano,
                                     int64_t now_ms);
/* One period's, or with `all` every budget of the scope. */
enum accounts_rc accounts_budget_remove(struct accounts *a, const char *scope, bool all, enum budget_period period);

struct accounts_budget {
    struct budget_row row;
    int64_t spent_nano;        /* settled in the window that holds now_ms */
    int64_t reserved_nano;     /* open reservations; 0 when no serve runs */
    int64_t resets_ms;         /* INT64_MAX: never */
};
bool accounts_budgets_each(struct accounts *a, int64_t now_ms, void (*each)(void *arg, const struct accounts_budget *b),
                           void *arg);

#endif
