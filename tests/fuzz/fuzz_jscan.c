/* fuzz_jscan.c - any bytes as a JSON text.
 *
 * Promises: pieces do not matter; what passes, jansson reads too, and the cursors see the same tree in it; what jansson
 * reads passes, limits and its known quirks aside; cursors over text that was never scanned stay within it. */
#include <jansson.h>
#include <string.h>

#include "base/jscan.h"
#include "base/test_jwalk.h"
#include "tests/fuzz/fuzz.h"

static const struct jscan_limits wide = { .depth = 2000, .values = 1000000, .key_bytes = 1 << 20,
                                          .number_bytes = 1 << 20 };
static const struct jscan_limits narrow = { .depth = 3, .values = 12, .key_bytes = 8, .number_bytes = 6 };

struct answer {
    enum jscan_rc rc;
    size_t at;
    char error[80];
};

static struct answer finish(struct jscan *s)
{
    struct answer a = { .rc = jscan_end(s) };

    a.at = a.rc == JSCAN_DONE ? 0 : jscan_at(s);
    snprintf(a.error, sizeof a.error, "%s", a.rc == JSCAN_DONE ? "" : jscan_error(s));
    return a;
}

static bool same(const struct answer *a, const struct answer *b)
{
    return a->rc == b->rc && a->at == b->at && strcmp(a->error, b->error) == 0;
}

static struct answer scan_in_pieces(struct jscan *s, struct span text, size_t piece)
{
    jscan_reset(s);
    for (size_t i = 0; i < text.n; i += piece)
        (void)jscan_feed(s, span_first(span_skip(text, i), piece));
    return finish(s);
}

/* *kept: a scanner that is made once and used for every input, so that reset is tried too. */
static struct answer scan(struct jscan **kept, const struct jscan_limits *limits, struct span text)
{
    struct jscan *s = *kept ? *kept : jscan_new(limits, 0x5eed);
    struct answer whole;

    FUZZ_CHECK(s);
    *kept = s;
    whole = scan_in_pieces(s, text, text.n ? text.n : 1);
    for (size_t piece = 1; piece < text.n && piece < 40; piece = piece * 2 + 1) {
        const struct answer pieces = scan_in_pieces(s, text, piece);

        FUZZ_CHECK(same(&pieces, &whole));
    }
    FUZZ_CHECK(whole.at <= text.n);
    return whole;
}

/* What jansson refuses though it is JSON, or takes though it is none. */
static bool is_quirk(const json_t *tree, const json_error_t *e, struct span text)
{
    if (tree)
        return span_find(text, '\0') < text.n;    /* it takes a NUL behind a literal */
    switch (json_error_code(e)) {
    case json_error_numeric_overflow: case json_error_null_byte_in_key: case json_error_stack_overflow:
    case json_error_out_of_memory:
        return true;
    default:
        return false;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct jscan *usual_scanner, *wide_scanner, *narrow_scanner;
    const struct span text = { (const char *)data, size };
    const bool usual = scan(&usual_scanner, &jscan_default_limits, text).rc == JSCAN_DONE;
    const bool ours = scan(&wide_scanner, &wide, text).rc == JSCAN_DONE;
    json_error_t e;
    json_t *tree = json_loadb(size ? text.p : "", size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY, &e);

    FUZZ_CHECK(ours || !usual);
    FUZZ_CHECK(usual || scan(&narrow_scanner, &narrow, text).rc != JSCAN_DONE);
    FUZZ_CHECK(ours == (tree != NULL) || is_quirk(tree, &e, text));
    if (tree && usual)    /* the walk is recursive: not for depth 2,000 */
        FUZZ_CHECK(jwalk_equals(text, tree));
    json_decref(tree);
    jwalk_visit(text, 8);
    (void)jval_pointer(text, "/messages/0/content");
    return 0;
}
