/* bound.c - sums over a plan. The machine never exceeds them: test_machine's property test holds it to that. */
#include "policies/bound.h"

#include "policies/machine.h"

/* Waits before the retries of one step: 250, 500, ... 4000, 4000. */
static int64_t backoffs_ms(unsigned attempts)
{
    int64_t sum = 0, wait = MACHINE_BACKOFF_MS;

    for (unsigned i = 1; i < attempts; i++) {
        sum += wait;
        wait = wait * 2 > MACHINE_BACKOFF_MOST_MS ? MACHINE_BACKOFF_MOST_MS : wait * 2;
    }
    return sum;
}

static int64_t add(int64_t a, int64_t b)    /* both >= 0 */
{
    return a > INT64_MAX - b ? INT64_MAX : a + b;
}

/* The dearest `attempts` of all that the steps allow. */
static int64_t dearest(struct plan *plan, unsigned attempts)
{
    unsigned used[POLICY_STEPS_MAX] = { 0 };
    int64_t sum = 0;

    while (attempts-- > 0) {
        size_t best = SIZE_MAX;

        for (size_t i = 0; i < plan->n_steps; i++)
            if (plan_price(plan, i) && used[i] < plan->steps[i].attempts &&
                (best == SIZE_MAX || plan->steps[i].worst_nano > plan->steps[best].worst_nano))
                best = i;
        if (best == SIZE_MAX)
            break;
        used[best]++;
        sum = add(sum, plan->steps[best].worst_nano);
    }
    return sum;
}

struct bound bound_plan(struct plan *plan)
{
    struct bound b = { .time_ms = plan->time_ms };

    for (size_t i = 0; i < plan->n_steps; i++) {
        if (!plan_price(plan, i))
            continue;
        b.attempts += plan->steps[i].attempts;
        b.backoff_ms += backoffs_ms(plan->steps[i].attempts);
    }
    if (b.attempts > plan->attempts)
        b.attempts = plan->attempts;
    b.cost_nano = dearest(plan, b.attempts);
    if (plan->cost_limit_nano >= 0 && b.cost_nano > plan->cost_limit_nano) {
        b.cost_nano = plan->cost_limit_nano;
        b.cost_is_limited = true;
    }
    if (b.backoff_ms > b.time_ms)
        b.backoff_ms = b.time_ms;
    return b;
}
