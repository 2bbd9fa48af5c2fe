/* fuzz_tokenizer.c - any bytes as a tokenizer.json; what loads must encode its own file and give the bytes back.
 * Seeds: tests/fuzz/corpus/tokenizer. */
#include "base/buf.h"
#include "engine/prompt.h"
#include "tests/fuzz/fuzz.h"

static void encode_and_back(const struct tokenizer *t, struct span text, bool with_added)
{
    struct ids ids;
    struct buf back;

    ids_init(&ids, text.n + 1);    /* a token is a byte at least */
    buf_init(&back, text.n + 1);
    if (tokenizer_encode(t, text, with_added, &ids) == TOKENIZER_OK) {
        for (size_t i = 0; i < ids.n; i++)
            buf_add_span(&back, tokenizer_bytes(t, ids.p[i]));
        FUZZ_CHECK(buf_ok(&back) && span_eq(buf_span(&back), text));
    }
    buf_free(&back);
    ids_free(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct span text = { (const char *)data, size };
    struct prompt_markers m;
    struct problems ps;
    struct tokenizer *t;

    problems_init(&ps);
    t = tokenizer_parse("fuzz", text, &ps);
    FUZZ_CHECK(t || ps.errors);
    if (t) {
        prompt_markers_find(t, &m, &ps);
        encode_and_back(t, text, false);
        encode_and_back(t, text, true);
        for (int32_t id = -1; id <= (int32_t)tokenizer_size(t); id++)
            FUZZ_CHECK(!tokenizer_is_added(t, id) || tokenizer_bytes(t, id).n);
    }
    tokenizer_free(t);
    problems_free(&ps);
    return 0;
}
