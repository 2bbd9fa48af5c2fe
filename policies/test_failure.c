/* test_failure.c - raw facts to classes, classes to remedies. Rows follow the error tables of the providers. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "policies/failure.h"

static const struct {
    enum transport transport;
    int status;
    const char *type, *code, *message;
    enum failure expected;
} rows[] = {
    { TRANSPORT_OK, 200, NULL, NULL, NULL, FAILURE_NONE },
    { TRANSPORT_OK, 201, NULL, NULL, NULL, FAILURE_NONE },
    { TRANSPORT_CONNECT, 0, NULL, NULL, NULL, FAILURE_CONNECT },
    { TRANSPORT_TLS, 0, NULL, NULL, NULL, FAILURE_CONNECT },
    { TRANSPORT_RESET, 0, NULL, NULL, NULL, FAILURE_RESET },
    { TRANSPORT_RESET, 200, NULL, NULL, NULL, FAILURE_RESET },
    { TRANSPORT_TIMEOUT_CONNECT, 0, NULL, NULL, NULL, FAILURE_TIMEOUT },
    { TRANSPORT_TIMEOUT_FIRST_BYTE, 0, NULL, NULL, NULL, FAILURE_TIMEOUT },
    { TRANSPORT_TIMEOUT_IDLE, 200, NULL, NULL, NULL, FAILURE_TIMEOUT },
    { TRANSPORT_TIMEOUT_TOTAL, 0, NULL, NULL, NULL, FAILURE_TIMEOUT },
    { TRANSPORT_TRUNCATED, 200, NULL, NULL, NULL, FAILURE_TRUNCATED },
    { TRANSPORT_MALFORMED, 200, NULL, NULL, NULL, FAILURE_MALFORMED },
    { TRANSPORT_MALFORMED, 502, NULL, NULL, NULL, FAILURE_SERVER },
    { TRANSPORT_MALFORMED, 429, NULL, NULL, NULL, FAILURE_RATE_LIMITED },
    { TRANSPORT_LOCAL, 0, NULL, NULL, NULL, FAILURE_LOCAL },
    /* OpenAI's table */
    { TRANSPORT_OK, 400, "invalid_request_error", "context_length_exceeded", NULL, FAILURE_CONTEXT },
    { TRANSPORT_OK, 400, "invalid_request_error", "unsupported_parameter", NULL, FAILURE_CALLER },
    { TRANSPORT_OK, 400, "invalid_request_error", NULL, NULL, FAILURE_CALLER },
    { TRANSPORT_OK, 400, "invalid_request_error", "content_policy_violation", NULL, FAILURE_FILTERED },
    { TRANSPORT_OK, 400, "invalid_request_error", "invalid_prompt", NULL, FAILURE_FILTERED },
    { TRANSPORT_OK, 401, "invalid_request_error", "invalid_api_key", NULL, FAILURE_CREDENTIAL },
    { TRANSPORT_OK, 403, "permission_error", "unsupported_country_region_territory", NULL, FAILURE_CREDENTIAL },
    { TRANSPORT_OK, 403, "permission_error", "model_not_found", NULL, FAILURE_MODEL },
    { TRANSPORT_OK, 404, "invalid_request_error", "model_not_found", NULL, FAILURE_MODEL },
    { TRANSPORT_OK, 408, NULL, NULL, NULL, FAILURE_SERVER },
    { TRANSPORT_OK, 409, NULL, NULL, NULL, FAILURE_SERVER },
    { TRANSPORT_OK, 413, NULL, "string_above_max_length", NULL, FAILURE_CALLER },
    { TRANSPORT_OK, 422, "invalid_request_error", NULL, NULL, FAILURE_CALLER },
    { TRANSPORT_OK, 425, NULL, NULL, NULL, FAILURE_SERVER },
    { TRANSPORT_OK, 429, "requests", "rate_limit_exceeded", NULL, FAILURE_RATE_LIMITED },
    { TRANSPORT_OK, 429, "tokens", NULL, NULL, FAILURE_RATE_LIMITED },
    { TRANSPORT_OK, 429, "insufficient_quota", "insufficient_quota", NULL, FAILURE_QUOTA }, /* hermes-agent#91091 */
    { TRANSPORT_OK, 429, NULL, NULL, "You exceeded your current quota, please check your plan", FAILURE_QUOTA },
    { TRANSPORT_OK, 500, "server_error", NULL, NULL, FAILURE_SERVER },
    { TRANSPORT_OK, 502, NULL, NULL, NULL, FAILURE_SERVER },
    { TRANSPORT_OK, 503, "server_error", "slow_down", NULL, FAILURE_OVERLOADED },
    { TRANSPORT_OK, 504, NULL, NULL, NULL, FAILURE_SERVER },
    { TRANSPORT_OK, 529, "overloaded_error", NULL, NULL, FAILURE_OVERLOADED },
    /* DeepSeek's */
    { TRANSPORT_OK, 402, NULL, NULL, "Insufficient Balance", FAILURE_QUOTA },
    { TRANSPORT_OK, 400, "invalid_request_error", NULL, "Content Exists Risk", FAILURE_FILTERED },
    /* others */
    { TRANSPORT_OK, 400, "invalid_request_error", NULL, "Your credit balance is too low to access the API",
      FAILURE_QUOTA },
    { TRANSPORT_OK, 400, "BadRequestError", "400", "This model's maximum context length is 4096 tokens. However, ...",
      FAILURE_CONTEXT },
    { TRANSPORT_OK, 400, NULL, NULL, "prompt is too long: 210000 tokens > 200000 maximum", FAILURE_CONTEXT },
    { TRANSPORT_OK, 400, "exceed_context_size_error", NULL, NULL, FAILURE_CONTEXT },
    { TRANSPORT_OK, 413, "invalid_request_error", "context_length_exceeded", NULL, FAILURE_CONTEXT },
    { TRANSPORT_OK, 302, NULL, NULL, NULL, FAILURE_MALFORMED },
    { TRANSPORT_OK, 101, NULL, NULL, NULL, FAILURE_MALFORMED },
    { TRANSPORT_OK, 418, NULL, NULL, NULL, FAILURE_CALLER },
    /* an error object under a 200, or inside a stream (litellm#36768) */
    { TRANSPORT_OK, 200, "server_error", NULL, "boom", FAILURE_SERVER },
    { TRANSPORT_OK, 200, NULL, NULL, "boom", FAILURE_SERVER },
    { TRANSPORT_OK, 200, "overloaded_error", NULL, NULL, FAILURE_OVERLOADED },
    { TRANSPORT_OK, 200, NULL, "rate_limit_exceeded", NULL, FAILURE_RATE_LIMITED },
    { TRANSPORT_OK, 200, "insufficient_quota", NULL, NULL, FAILURE_QUOTA },
    { TRANSPORT_OK, 200, NULL, "content_filter", NULL, FAILURE_FILTERED },
    { TRANSPORT_OK, 200, NULL, "context_length_exceeded", NULL, FAILURE_CONTEXT },
};

static void facts_lead_to_their_class(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct outcome o = { .transport = rows[i].transport, .status = rows[i].status, .retry_after_ms = -1,
                                   .error_type = span_str(rows[i].type), .error_code = span_str(rows[i].code),
                                   .error_message = span_str(rows[i].message) };
        const enum failure got = failure_classify(&o);

        if (got != rows[i].expected)
            fail_msg("row %zu: %s, expected %s", i, failure_name(got), failure_name(rows[i].expected));
    }
}

static void nothing_but_the_callers_fault_ends_a_request_at_once(void **state)
{
    (void)state;
    for (int f = FAILURE_NONE + 1; f < FAILURE_COUNT; f++)
        assert_int_equal(failure_remedy((enum failure)f) == REMEDY_STOP, f == FAILURE_CALLER);
}

static void our_account_and_the_caller_do_not_open_a_breaker(void **state)
{
    (void)state;
    assert_true(failure_is_outage(FAILURE_CONNECT) && failure_is_outage(FAILURE_SERVER) &&
                failure_is_outage(FAILURE_TIMEOUT));
    assert_false(failure_is_outage(FAILURE_RATE_LIMITED) || failure_is_outage(FAILURE_QUOTA) ||
                 failure_is_outage(FAILURE_CREDENTIAL) || failure_is_outage(FAILURE_CALLER) ||
                 failure_is_outage(FAILURE_CONTEXT) || failure_is_outage(FAILURE_LOCAL));
}

static void a_very_long_message_is_read_at_its_beginning(void **state)
{
    static char long_text[100000];
    struct outcome o = { .transport = TRANSPORT_OK, .status = 400 };

    (void)state;
    memset(long_text, 'a', sizeof long_text);
    o.error_message = (struct span){ long_text, sizeof long_text };
    assert_int_equal(failure_classify(&o), FAILURE_CALLER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_lead_to_their_class),
        cmocka_unit_test(nothing_but_the_callers_fault_ends_a_request_at_once),
        cmocka_unit_test(our_account_and_the_caller_do_not_open_a_breaker),
        cmocka_unit_test(a_very_long_message_is_read_at_its_beginning),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
