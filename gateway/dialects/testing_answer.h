/* testing_answer.h - answers at random through the writer of one dialect and back through its reader, whole and streamed. For
 * test_round_trips, which rolls seeds, and fuzz_dialect_answer, which reads a fuzzer's bytes. */
#ifndef TOLLGATE_GATEWAY_TESTING_ANSWER_H
#define TOLLGATE_GATEWAY_TESTING_ANSWER_H

#include "gateway/dialects/dialect.h"
#include "policies/testing_dice.h"

struct answer_trips {
    struct jscan *scan;        /* kept for all cases */
    struct arena arena;        /* of the case at hand */
    struct buf out, terminal, shown[2];
    size_t n_whole, n_streamed;
};

/* False: no memory. */
bool answer_trips_init(struct answer_trips *t);
void answer_trips_free(struct answer_trips *t);
/* False: a promise is broken, and `why` has it with what was written. */
bool answer_trip(struct answer_trips *t, struct dice *dice, struct buf *why);
/* The same for counters of tokens alone. */
bool usage_trip(struct answer_trips *t, struct dice *dice, struct buf *why);
/* A fault of ours with any text, as a whole answer and as the event that ends a stream. */
bool fault_trip(struct answer_trips *t, struct dice *dice, struct buf *why);

#endif
