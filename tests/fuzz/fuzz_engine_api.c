/* fuzz_engine_api.c - any bytes as the body of a request to the engine: an error that is JSON, or a job within bounds.
 * Seeds: tests/fuzz/corpus/engine_api. */
#include "base/jscan.h"
#include "engine/api.h"
#include "tests/fuzz/fuzz.h"

static bool is_json(struct span text)
{
    struct jscan *s = jscan_new(&jscan_default_limits, 7);
    const bool ok = jscan_feed(s, text) != JSCAN_BAD && jscan_end(s) == JSCAN_DONE;

    jscan_free(s);
    return ok;
}

static void check_job(const struct job *j)
{
    FUZZ_CHECK(j->sampling.temperature >= 0 && j->sampling.temperature <= 2);
    FUZZ_CHECK(j->sampling.top_p >= 0 && j->sampling.top_p <= 1 && j->sampling.top_k >= 0);
    FUZZ_CHECK(j->n_stops <= ANSWER_STOPS_MAX);
    for (size_t i = 0; i < j->n_stops; i++)
        FUZZ_CHECK(j->stops[i].n > 0 && j->stops[i].n <= ANSWER_STOP_BYTES);
    for (size_t i = 0; i < j->n_messages; i++)
        FUZZ_CHECK(j->messages[i].content.p && (!j->messages[i].unfinished || i + 1 == j->n_messages));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct api_defaults defaults = { 1, 1, 0 };
    const struct span body = { (const char *)data, size };

    if (!is_json(body))
        return 0;
    for (int tokenize = 0; tokenize < 2; tokenize++) {
        struct job *j = job_new();
        struct api_reply r = { .created_s = 0 };
        struct api_error e = { 0 };

        if (api_read_model(body, &j->arena, &r.model, &e) &&
            (tokenize ? api_read_tokenize(body, j, &e) : api_read_chat(body, &defaults, j, &r, &e))) {
            check_job(j);
        } else {
            struct buf b;

            buf_init(&b, 65536);
            api_write_error(&b, &e);
            FUZZ_CHECK(e.status >= 400 && buf_ok(&b) && is_json(buf_span(&b)));
            buf_free(&b);
        }
        job_free(j);
    }
    return 0;
}
