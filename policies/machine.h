/* machine.h - THE HEART: (state, event, now) -> actions. Every decision about attempts is taken here.
 *
 * Pure: no clock, no I/O, no allocation but from the request's arena at machine_init. The gateway, `policy test`,
 * `policy prove` and `replay` drive this same code.
 *
 *   READY --START--> RESERVING --RESERVED--> CALLING --ENDED--> (judge) --> DONE | RESERVING | WAITING
 *                       |  ^                   |  \
 *                 REFUSED  |             PROGRESS  CANCEL, TIMER at the deadline, a beginning that fails its check
 *                       v  TIMER               v    v
 *                 next step, or DONE       COMMIT  STOPPING --ENDED--> (settle) --> DONE | RESERVING | WAITING
 *
 * Promises, checked by the property test:
 *  (1) every RESERVE that was answered by RESERVED is settled by exactly one SETTLE, whatever happens;
 *  (2) every CALL is answered by the gateway with exactly one ENDED, also after CANCEL_ATTEMPT;
 *  (3) exactly one of ACCEPT and FAIL, and nothing after it; each SETTLE comes before it;
 *  (4) after COMMIT there is no other attempt;
 *  (5) one attempt at a time; n counts from 1; attempts, cost and time stay within the plan's limits.
 * An event that does not fit the state, or an attempt that is over, changes nothing.
 *
 * Verdicts, the ledger's `verdict` column (stable):
 *   accepted            the reply is this attempt's answer
 *   rejected:CHECK      a check failed (check_name); the answer was not passed on
 *   late:CHECK          bytes had left when a check failed at the end: the caller has the answer, it counts as flawed
 *   failed:CLASS        failure_name; no answer
 *   cancelled:caller | cancelled:deadline | cancelled:shutdown     stopped by us before its end
 *
 * Waits, without jitter so that they can be tested: before the k-th retry on the same model after a failure that time
 * may cure 250 ms x 2^(k-1), at most 4 s; after 429 its Retry-After, when it ends before the request's time does.
 * After a rejected answer, and to another model: none. */
#ifndef TOLLGATE_POLICIES_MACHINE_H
#define TOLLGATE_POLICIES_MACHINE_H

#include "policies/checks.h"
#include "policies/failure.h"
#include "policies/plan.h"

#define MACHINE_BACKOFF_MS      250
#define MACHINE_BACKOFF_MOST_MS 4000

enum machine_stop { STOP_CALLER, STOP_SHUTDOWN };    /* the deadline is the machine's own affair */

enum event_kind {
    EVENT_START,
    EVENT_RESERVED,                /* the budgets hold the worst case of attempt n */
    EVENT_RESERVE_REFUSED,         /* they do not; nothing is held for n */
    EVENT_PROGRESS,                /* of a streamed attempt, once there is something to pass on; see below */
    EVENT_ENDED,                   /* the attempt is over; nothing more will come from it */
    EVENT_TIMER,                   /* the time last given as timer_ms has come */
    EVENT_CANCEL,                  /* the caller left, or we shut down */
};

struct machine_event {
    enum event_kind kind;
    unsigned n;                    /* the attempt: all but START, TIMER, CANCEL */
    /* RESERVE_REFUSED: for the caller, "budget team:legal of 12.50 USD a day: 12.49 spent, ..., resets at ...".
     * `reserve_full`: not a budget but a full ledger; the caller is told to come back (503, retry_after_ms). */
    struct span refusal;
    bool reserve_full;
    /* PROGRESS and ENDED: what has arrived; may be NULL where nothing has. PROGRESS may be sent as often as the
     * gateway likes, but at least when the first piece (text, reasoning, tool call) is there, when `chars` reaches
     * machine_wants_chars(), and when the first tool call begins; after COMMIT it is not needed. */
    const struct answer *answer;
    int64_t chars;                 /* PROGRESS: characters (code points) of text so far */
    bool has_piece;                /* PROGRESS: there is something that a caller could be sent */
    const struct outcome *outcome; /* ENDED */
    const struct verdict *verdict; /* ENDED: of checks_whole on this answer, where they were asked before since they take long;
                                    * NULL: they are asked here */
    int64_t cost_nano;             /* ENDED: what the attempt cost, priced from its usage, or the estimate */
    enum machine_stop stop;        /* CANCEL */
};

enum action_kind {
    ACTION_RESERVE,                /* hold worst_nano for attempt n of `step`; answer RESERVED or RESERVE_REFUSED */
    ACTION_CALL,                   /* call it; answer with one ENDED */
    ACTION_WAIT,                   /* a note: nothing to do until timer_ms */
    ACTION_COMMIT,                 /* from now on the pieces of attempt n may go out, the held ones first */
    ACTION_CANCEL_ATTEMPT,         /* stop attempt n; answer with ENDED (TRANSPORT_RESET will do) */
    ACTION_SETTLE,                 /* shrink the reservation of n to its cost and write its row with `verdict` */
    ACTION_ACCEPT,                 /* the reply is attempt n's answer; send what is left of it and close */
    ACTION_FAIL,                   /* the reply is this failure; after COMMIT, as the dialect's error event */
};

/* What kind of failure the caller is told; the dialect's file finds its own words and status for it. */
enum fail_kind {
    FAIL_BUDGET,                   /* 429 insufficient_quota; DESIGN section 4 */
    FAIL_COST_LIMIT,               /* the same, for x-tollgate-max-cost-usd and limits.cost_usd */
    FAIL_POLICY,                   /* 403: the policy lets no model answer this */
    FAIL_UNAVAILABLE,              /* 503: no provider is on; a full ledger (with Retry-After); shutdown */
    FAIL_RATE_LIMITED,             /* 429 with Retry-After: the provider's limit */
    FAIL_UPSTREAM,                 /* 502: attempts failed; never the provider's own 401, 402, 403, 404 */
    FAIL_REJECTED,                 /* 502: the last answer failed a check */
    FAIL_TIME,                     /* 504: the request's time is up, or the provider's was */
    FAIL_CONTEXT,                  /* 400 context_length_exceeded */
    FAIL_CALLER,                   /* the provider's 4xx for the caller's fault, its own words with it */
    FAIL_CANCELLED,                /* 499: the caller left; nobody reads it, the ledger does */
    FAIL_MEMORY,                   /* 503 */
};

struct fail {
    enum fail_kind kind;
    int status;                    /* of the OpenAI chat dialect and the ledger */
    const char *type;              /* of OpenAI's error object, static */
    struct span code;              /* SPAN_NONE: null */
    struct span param;             /* SPAN_NONE: null */
    struct span message;           /* a sentence for the caller */
    int64_t retry_after_ms;        /* -1: none. With it x-should-retry is not sent */
    bool should_not_retry;         /* send x-should-retry: false */
    unsigned from_n;               /* FAIL_CALLER: the attempt whose error is passed on; else 0 */
};

#define VERDICT_ROOM 48
struct action {
    enum action_kind kind;
    unsigned n;                    /* the attempt, from 1 */
    size_t step;                   /* RESERVE, CALL: index into the plan's steps */
    int64_t output_cap;            /* RESERVE, CALL */
    int64_t worst_nano;            /* RESERVE */
    char verdict[VERDICT_ROOM];    /* SETTLE */
    const char *reason;            /* SETTLE: why, for the trace; static, may be NULL */
    enum failure failure;          /* SETTLE: for health; FAILURE_NONE when an answer arrived */
    bool called;                   /* SETTLE: false: reserved, but never called: costs nothing */
    struct fail fail;              /* FAIL */
};

#define MACHINE_ACTIONS_MAX 6
struct actions {
    struct action list[MACHINE_ACTIONS_MAX];
    unsigned n;
    int64_t timer_ms;              /* when EVENT_TIMER is wanted, on the clock of now_ms; INT64_MAX: never. Replaces
                                    * the time given before. */
};

enum machine_state { MACHINE_READY, MACHINE_RESERVING, MACHINE_CALLING, MACHINE_WAITING, MACHINE_STOPPING,
                     MACHINE_DONE, MACHINE_STATES };

/* What has become of a step; private. */
struct machine_step {
    unsigned attempts;             /* made */
    unsigned waits;                /* backoffs waited */
    bool done;                     /* not again in this request */
    bool suspect;                  /* its provider has refused our key: others first */
    int64_t retry_after_ms;        /* its own Retry-After, clock of now_ms */
};

struct machine {
    struct plan *plan;             /* borrowed; the view behind it may be refreshed between events */
    struct arena *arena;           /* for messages */
    enum machine_state state;
    struct machine_step *steps;
    int64_t start_ms, deadline_ms; /* clock of now_ms */
    int64_t wait_until_ms;         /* MACHINE_WAITING */
    int64_t spent_nano;
    unsigned n;                    /* attempts begun: reserved, or about to be */
    size_t current;                /* step of attempt n */
    bool committed;
    bool hold_whole;               /* this answer is judged as a whole, whatever the route's stream mode */
    uint8_t quit;                  /* why the request is to end; private */
    struct verdict early;          /* MACHINE_STOPPING for a beginning that failed its check: which; else ok */
    struct fail last;              /* what the caller is told if nothing more can be tried */
    bool has_last;
    int64_t larger_than;           /* after a context overflow: windows up to this are of no use */
    uint8_t *coverage;             /* NULL, or MACHINE_TRANSITIONS flags for tests */
};

/* False when the arena is full: answer 503. `now_ms` is the arrival of the request: its time counts from here. */
bool machine_init(struct machine *m, struct plan *plan, struct arena *arena, int64_t now_ms);
/* `now_ms` never goes back. *out is overwritten. */
void machine_step(struct machine *m, const struct machine_event *ev, int64_t now_ms, struct actions *out);
/* Characters of text at which the machine wants to see the beginning of the running answer: 0 = the first piece,
 * -1 = nothing before ENDED (hold), N = the window. -1 too after COMMIT. */
int64_t machine_wants_chars(const struct machine *m);

/* ---- for tests: the table of transitions ---- */
extern const size_t MACHINE_TRANSITIONS;
const char *machine_transition_name(size_t i);   /* "calling: an answer fails a check, and is tried again here" */

#endif
