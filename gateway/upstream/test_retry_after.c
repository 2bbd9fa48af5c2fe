/* test_retry_after.c - how long a provider wants to be left alone. Times are sums by hand. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/upstream/retry_after.h"

#define WALL_MS INT64_C(1795541400000)    /* 2026-11-24T17:30:00Z: `date -u -d ... +%s` */

struct answer {
    struct { const char *name, *value; } lines[6];
};

static struct span header(const void *ctx, const char *name)
{
    const struct answer *a = ctx;

    for (size_t i = 0; i < 6 && a->lines[i].name; i++)
        if (strcmp(a->lines[i].name, name) == 0)
            return span_str(a->lines[i].value);
    return SPAN_NONE;
}

static void retry_after_is_read_in_all_its_forms(void **state)
{
    static const struct {
        const char *after, *after_ms;
        bool ok;
        int64_t ms;
    } rows[] = {
        { "7", NULL, true, 7000 },
        { " 7 ", NULL, true, 7000 },
        { "0", NULL, true, 0 },
        { "1.5", NULL, true, 1500 },
        { "0.0004", NULL, true, 1 },
        { "7", "250", true, 250 },
        { NULL, "250.2", true, 250 },
        { "99999999999999999999", NULL, false, 0 },
        { "9999999", NULL, true, 86400000 },
        { "Tue, 24 Nov 2026 17:30:30 GMT", NULL, true, 30000 },
        { "Tue, 24 Nov 2026 17:29:00 GMT", NULL, true, 0 },
        { "Thu, 24 Nov 2033 17:29:00 GMT", NULL, true, 86400000 },
        { "Tue, 24 Nov 2026 17:30:30 CET", NULL, false, 0 },
        { "Tue, 24 Nix 2026 17:30:30 GMT", NULL, false, 0 },
        { "-5", NULL, false, 0 },
        { "5s", NULL, false, 0 },
        { "5.", NULL, true, 5000 },
        { ".5", NULL, false, 0 },
        { "1.x", NULL, false, 0 },
        { "soon", NULL, false, 0 },
        { "", "", false, 0 },
        { NULL, NULL, false, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t ms = -1;
        const bool ok = retry_after_read(header, &(struct answer){ { { "retry-after", rows[i].after },
                                                                  { "retry-after-ms", rows[i].after_ms } } }, 503, WALL_MS, &ms);

        if (ok != rows[i].ok || (ok && ms != rows[i].ms))
            fail_msg("\"%s\", \"%s\": %d, %ld", rows[i].after ? rows[i].after : "-",
                     rows[i].after_ms ? rows[i].after_ms : "-", ok, (long)ms);
    }
}

#define OPENAI_R "x-ratelimit-reset-requests"
#define OPENAI_T "x-ratelimit-reset-tokens"
#define LEFT_R "x-ratelimit-remaining-requests"
#define LEFT_T "x-ratelimit-remaining-tokens"

/* Portkey and others take "6m0s" for 6 seconds, or for nothing. */
static void a_429_without_retry_after_waits_for_its_limit(void **state)
{
    static const struct {
        struct answer answer;
        int64_t ms;            /* -1: cannot be read */
    } rows[] = {
        { { { { OPENAI_R, "1s" } } }, 1000 },
        { { { { OPENAI_R, "17ms" } } }, 17 },
        { { { { OPENAI_R, "6m0s" } } }, 360000 },
        { { { { OPENAI_R, "1h2m3.5s" } } }, 3723500 },
        { { { { OPENAI_R, "7.66s" } } }, 7660 },
        { { { { OPENAI_R, "30h" } } }, 86400000 },
        { { { { OPENAI_R, "12" } } }, -1 },
        { { { { OPENAI_R, "1d" } } }, -1 },
        { { { { OPENAI_R, "s" } } }, -1 },
        { { { { OPENAI_R, "1s2" } } }, -1 },
        { { { { OPENAI_R, "-1s" } } }, -1 },
        { { { { OPENAI_R, "" } } }, -1 },
        /* what is used up decides, else the first to be full */
        { { { { OPENAI_R, "1s" }, { OPENAI_T, "6m0s" }, { LEFT_R, "5" }, { LEFT_T, "0" } } }, 360000 },
        { { { { OPENAI_R, "1s" }, { OPENAI_T, "6m0s" }, { LEFT_R, "0" }, { LEFT_T, "0" } } }, 360000 },
        { { { { OPENAI_R, "1s" }, { OPENAI_T, "6m0s" }, { LEFT_R, "5" }, { LEFT_T, "900" } } }, 1000 },
        { { { { OPENAI_R, "odd" }, { OPENAI_T, "20ms" } } }, 20 },
        { { { { "anthropic-ratelimit-requests-reset", "2026-11-24T17:30:12Z" } } }, 12000 },
        { { { { "anthropic-ratelimit-tokens-reset", "2026-11-24T17:30:12.750Z" } } }, 12000 },
        { { { { "anthropic-ratelimit-tokens-reset", "2026-11-24T19:31:00+02:00" } } }, 60000 },
        { { { { "anthropic-ratelimit-tokens-reset", "2026-11-24T12:01:00-05:30" } } }, 60000 },
        { { { { "anthropic-ratelimit-tokens-reset", "2026-11-24T17:29:00Z" } } }, 0 },
        { { { { "anthropic-ratelimit-tokens-reset", "2026-12-24T17:30:00Z" } } }, 86400000 },
        { { { { "anthropic-ratelimit-tokens-reset", "2026-11-24T17:30:12" } } }, -1 },
        { { { { "anthropic-ratelimit-tokens-reset", "2026-13-24T17:30:12Z" } } }, -1 },
        { { { { "anthropic-ratelimit-tokens-reset", "2026-11-24 17:30:12Z" } } }, -1 },
        { { { { "anthropic-ratelimit-input-tokens-reset", "2026-11-24T17:30:40Z" },
              { "anthropic-ratelimit-input-tokens-remaining", "0" },
              { "anthropic-ratelimit-requests-reset", "2026-11-24T17:30:01Z" },
              { "anthropic-ratelimit-requests-remaining", "49" } } }, 40000 },
        { { { { "retry-after", "3" }, { OPENAI_R, "6m0s" }, { LEFT_R, "0" } } }, 3000 },
        { { { { NULL, NULL } } }, -1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t ms = -1;
        const bool ok = retry_after_read(header, &rows[i].answer, 429, WALL_MS, &ms);

        if (ok != (rows[i].ms >= 0) || (ok && ms != rows[i].ms))
            fail_msg("row %zu: %d, %ld", i, ok, (long)ms);
    }
}

static void limits_tell_nothing_of_another_failure(void **state)
{
    const struct answer a = { { { OPENAI_R, "6m0s" }, { LEFT_R, "0" } } };
    int64_t ms;

    (void)state;
    assert_false(retry_after_read(header, &a, 503, WALL_MS, &ms));
    assert_false(retry_after_read(header, &a, 200, WALL_MS, &ms));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retry_after_is_read_in_all_its_forms),
        cmocka_unit_test(a_429_without_retry_after_waits_for_its_limit),
        cmocka_unit_test(limits_tell_nothing_of_another_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
