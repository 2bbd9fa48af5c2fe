/* health.h - does a model of a provider answer? A breaker for each pair, shared by all workers.
 *
 * DESIGN section 6: opens after 5 transport or 5xx failures in a row, lets one try through after 5 s, doubling to 60 s;
 * a Retry-After runs beside it. Health only reorders steps: nothing here forbids a call. Time is an argument
 * (milliseconds of any one clock that does not step back). Thread-safe; a lock covers a few lines of one entry. */
#ifndef TOLLGATE_GATEWAY_UPSTREAM_HEALTH_H
#define TOLLGATE_GATEWAY_UPSTREAM_HEALTH_H

#include "base/span.h"
#include "policies/view.h"

#define HEALTH_OPENS_AFTER 5
#define HEALTH_WAIT_MS 5000
#define HEALTH_WAIT_MAX_MS 60000

struct health;
struct health_entry;
struct provider;

struct health *health_new(void);
void health_free(struct health *h);

/* The entry of a pair, made on first use; lives as long as `h`, so it survives reloads. NULL: no memory. Takes the
 * table's lock: call it when a snapshot is built, not for each request. */
struct health_entry *health_get(struct health *h, struct span provider, struct span model);

enum health_state {
    HEALTH_CLOSED,           /* well */
    HEALTH_OPEN,             /* skip while another step can serve */
    HEALTH_TRIAL,            /* the wait is over and nobody is trying: one may */
};

struct health_view {
    enum health_state state;
    int failures;            /* in a row */
    int64_t retry_ms;        /* left of a Retry-After or of the open state's wait; 0: none */
    int64_t retry_after_ms;  /* left of a Retry-After alone */
    int64_t first_byte_us;   /* smoothed (1/8 a sample); -1: no sample yet */
};
/* Reads, changes nothing. */
void health_look(struct health_entry *e, int64_t now_ms, struct health_view *out);

/* An attempt begins. In HEALTH_TRIAL the first caller takes the trial: true; while it runs, others read HEALTH_OPEN and
 * get false (they may go on all the same, being a sole step). A trial that never reports is free again after the
 * present wait. */
bool health_begin(struct health_entry *e, int64_t now_ms);
/* ... and ends. An answer below 500 is a success, whatever it says (429 too); a cancelled call reports `gave_up`, so
 * that its trial is free again; `first_byte_us` -1 when unknown. */
void health_success(struct health_entry *e, int64_t now_ms, int64_t first_byte_us);
void health_failure(struct health_entry *e, int64_t now_ms);
void health_gave_up(struct health_entry *e, int64_t now_ms);
/* From a 429 or 503: nothing should be asked before `until_ms`. The later of two holds. */
void health_retry_after(struct health_entry *e, int64_t until_ms);

#endif
