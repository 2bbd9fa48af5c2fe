/* testing_round_trip.h - one chat at random through one dialect and back, held against the normal form. For test_round_trips,
 * which rolls seeds, and fuzz_dialect_chat, which reads a fuzzer's bytes. */
#ifndef TOLLGATE_GATEWAY_TESTING_ROUND_TRIP_H
#define TOLLGATE_GATEWAY_TESTING_ROUND_TRIP_H

#include "gateway/dialects/dialect.h"
#include "policies/testing_dice.h"

struct round_trips {
    struct jscan *scan;        /* kept for all cases */
    struct arena arena;        /* of the case at hand */
    struct buf body[2], passed, shown[2];
    size_t n_taken, n_refused;
};

/* False: no memory. */
bool round_trips_init(struct round_trips *r);
void round_trips_free(struct round_trips *r);
/* False: a promise is broken, and `why` has it with the chat and both forms. */
bool round_trip(struct round_trips *r, struct dice *dice, struct buf *why);

#endif
