/* fuzz_dialect_chat.c - a chat of any shape through a dialect and back (testing_round_trip.h): the bytes are the dice that make
 * it. Seeds: tests/fuzz/corpus/dialect_chat. */
#include "gateway/dialects/testing_round_trip.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dice_bytes bytes = { .left = { (const char *)data, size }, .seed = size };
    struct dice dice = { dice_roll_bytes, &bytes };
    struct round_trips r;
    struct buf why;
    bool ok;

    FUZZ_CHECK(round_trips_init(&r));
    buf_init(&why, 1u << 22);
    ok = round_trip(&r, &dice, &why);
    if (!ok)
        fprintf(stderr, "%.*s\n", SPAN_FMT(buf_span(&why)));
    FUZZ_CHECK(ok);
    buf_free(&why);
    round_trips_free(&r);
    return 0;
}
