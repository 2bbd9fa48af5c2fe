/* fuzz_dialect_answer.c - pieces of an answer in any order through the writer of a dialect and back through its reader, and
 * counters of tokens and a fault (testing_answer.h): the bytes are the dice that make them. Seeds: tests/fuzz/corpus/dialect_answer. */
#include "gateway/dialects/testing_answer.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dice_bytes bytes = { .left = { (const char *)data, size }, .seed = size };
    struct dice dice = { dice_roll_bytes, &bytes };
    struct answer_trips t;
    struct buf why;
    bool ok;

    FUZZ_CHECK(answer_trips_init(&t));
    buf_init(&why, 1u << 24);
    ok = answer_trip(&t, &dice, &why) && usage_trip(&t, &dice, &why) && fault_trip(&t, &dice, &why);
    if (!ok)
        fprintf(stderr, "%.*s\n", SPAN_FMT(buf_span(&why)));
    FUZZ_CHECK(ok);
    buf_free(&why);
    answer_trips_free(&t);
    return 0;
}
