/* transitions.h - what the machine can do, one line each: the table that scenarios must cover. Part of machine.c. */
#ifndef TOLLGATE_POLICIES_TRANSITIONS_H
#define TOLLGATE_POLICIES_TRANSITIONS_H

#define TRANSITIONS(X) \
    X(START_RESERVE,      "ready: the first step that can serve is reserved") \
    X(START_NOTHING,      "ready: no step can serve") \
    X(START_LATE,         "ready: the time is up before anything was tried") \
    X(READY_QUIT,         "ready: cancelled") \
    X(PICK_PREFERRED,     "choice: the same step again") \
    X(PICK_ORDER,         "choice: the first in the order that can serve") \
    X(PICK_PASSED_OVER,   "choice: an earlier step is passed over for its health") \
    X(PICK_SICK,          "choice: nothing healthy is left, so a step is tried all the same") \
    X(PICK_TOO_DEAR,      "choice: a step no longer fits the cost limit and is skipped") \
    X(PICK_NO_PRICE,      "choice: a step has no price and is skipped") \
    X(PICK_ALL_WAIT,      "choice: all that is left is inside a Retry-After") \
    X(PICK_ATTEMPTS,      "choice: the attempts of the request are used up") \
    X(PICK_LATE,          "choice: the time of the request is up") \
    X(PICK_NOTHING,       "choice: nothing is left") \
    X(RESERVED_CALL,      "reserving: reserved, so it is called") \
    X(RESERVED_QUIT,      "reserving: reserved, but the request is to end: settled uncalled") \
    X(REFUSED_NEXT,       "reserving: a budget refuses, another step is tried") \
    X(REFUSED_FAIL,       "reserving: a budget refuses, nothing else is left") \
    X(REFUSED_FULL,       "reserving: the ledger is full") \
    X(REFUSED_QUIT,       "reserving: refused while the request was to end") \
    X(RESERVING_QUIT,     "reserving: cancelled") \
    X(RESERVING_DEADLINE, "reserving: the deadline comes") \
    X(PIECE_PASS,         "calling: the first piece of a stream that passes") \
    X(PIECE_HELD,         "calling: a piece of an answer that is held") \
    X(WINDOW_WAIT,        "calling: the window is not full yet") \
    X(WINDOW_GOOD,        "calling: the window is good, the stream passes from here") \
    X(WINDOW_BAD,         "calling: the window fails a check, the attempt is stopped") \
    X(TOOL_HELD,          "calling: a tool call begins that a check must judge: held whole") \
    X(TOOL_PASS,          "calling: a tool call begins that no check judges: passes") \
    X(ENDED_ACCEPT,       "calling: an answer passes its checks") \
    X(ENDED_COMMITTED,    "calling: a stream that passed ends well") \
    X(ENDED_LATE,         "calling: a stream that passed fails a check at its end") \
    X(ENDED_BROKEN,       "calling: a stream that passed breaks off") \
    X(REJECTED_AGAIN,     "judging: a bad answer, the same step again") \
    X(REJECTED_NEXT,      "judging: a bad answer, another step") \
    X(REJECTED_FAIL,      "judging: a bad answer, nothing else is left") \
    X(REJECTED_REFUSED,   "judging: a refusal, so another model") \
    X(REJECTED_CUT,       "judging: cut off by our cap, so another step") \
    X(FAILED_WAIT,        "failed: waits, then the same step again") \
    X(FAILED_NEXT,        "failed: another step") \
    X(FAILED_SICK,        "failed: its breaker is open and another step is healthy") \
    X(FAILED_FAIL,        "failed: nothing else is left") \
    X(FAILED_ELSEWHERE,   "failed: this model will not do, another") \
    X(FAILED_PROVIDER,    "failed: our credential, other providers first") \
    X(FAILED_LARGER,      "failed: the prompt does not fit, only larger windows are left") \
    X(FAILED_CALLER,      "failed: the caller's fault, the end") \
    X(LIMITED_WAIT,       "failed: waits for its Retry-After") \
    X(LIMITED_NEXT,       "failed: its Retry-After does not fit the time left") \
    X(CALLING_QUIT,       "calling: cancelled") \
    X(CALLING_DEADLINE,   "calling: the deadline comes") \
    X(STOPPING_QUIT,      "stopping: cancelled while an attempt with a bad beginning is stopped") \
    X(STOPPING_DEADLINE,  "stopping: the deadline comes while an attempt with a bad beginning is stopped") \
    X(STOPPED_JUDGED,     "stopping: ended after a bad beginning") \
    X(STOPPED_QUIT,       "stopping: ended, the request ends too") \
    X(WAITING_GO,         "waiting: the wait is over") \
    X(WAITING_QUIT,       "waiting: cancelled") \
    X(WAITING_DEADLINE,   "waiting: the deadline comes first") \
    X(TIMER_EARLY,        "any: a timer that comes too early")

#endif
