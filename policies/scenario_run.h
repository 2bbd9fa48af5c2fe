/* scenario_run.h - one case of a scenario file, played against the machine on a virtual clock. Part of scenario.c. */
#ifndef TOLLGATE_POLICIES_SCENARIO_RUN_H
#define TOLLGATE_POLICIES_SCENARIO_RUN_H

#include "policies/machine.h"

#define SCENARIO_ATTEMPTS_MAX 64

/* One thing that arrives from a model. */
struct scenario_piece {
    int64_t at_ms;                 /* from the call */
    struct span text;
    bool reasoning;                /* something to pass on that is no text of the answer */
    const struct answer_tool *tool;
};

/* What one call comes to. */
struct scenario_outcome {
    const struct scenario_piece *pieces;
    size_t n_pieces;
    int64_t end_ms;                /* from the call */
    struct outcome outcome;
    struct span refusal;
    enum finish finish;
    struct usage usage;
    unsigned times;                /* calls that it stands for */
};

struct scenario_script {
    struct span model;             /* key, bare name, or "*" */
    const struct scenario_outcome *outcomes;
    size_t n_outcomes;
};

struct scenario_change {           /* of a model's health at a time */
    struct span model;
    bool has_breaker, has_refused, has_retry, has_on;
    enum view_breaker breaker;
    bool key_refused, on;
    int64_t retry_after_ms;        /* from the time of the change */
};

struct scenario_event {
    int64_t at_ms;
    bool cancel, timer;
    enum machine_stop stop;
    const struct scenario_change *changes;
    size_t n_changes;
};

struct scenario_case {
    const struct policy *policy;
    const struct features *features;
    struct view view;              /* its models are the case's own: health changes them */
    int64_t at_ms;                 /* UTC */
    int64_t budget_nano;           /* -1: none */
    int64_t reserve_ms, cancel_ms; /* how long a reservation, and the end of a stopped attempt, take */
    int64_t timer_late_ms;
    bool ledger_full;
    int64_t first_byte_ms, answer_ms, idle_ms;
    const struct scenario_script *scripts;
    size_t n_scripts;
    const struct scenario_event *events;    /* at_ms ascending */
    size_t n_events;
    uint8_t *coverage;             /* MACHINE_TRANSITIONS flags, or NULL */
};

struct scenario_attempt {
    const struct book_model *model;
    char verdict[VERDICT_ROOM];
    int64_t cost_nano;
};

struct scenario_result {
    struct plan plan;
    bool planned;
    struct scenario_attempt attempts[SCENARIO_ATTEMPTS_MAX];
    size_t n_attempts;
    bool accepted;
    struct fail fail;              /* when not accepted */
    int status;
    int64_t cost_nano;
    int64_t duration_ms;
    int64_t first_byte_ms;         /* -1: nothing reached the caller */
    int64_t output_cap;            /* of the last attempt */
    struct span text;              /* that reached the caller */
    struct span broken;            /* a promise of machine.h that was not kept, a script that ran out; SPAN_NONE */
};

/* Plays the case. Everything in *out lives in `arena`. `trace` (may be NULL) gets a line for each action. */
void scenario_play(const struct scenario_case *c, struct arena *arena, struct buf *trace, struct scenario_result *out);

#endif
