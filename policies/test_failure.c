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
    /* OpenAI's flex tier has no room just now */
    { TRANSPORT_OK, 429, "invalid_request_error", "resource_unavailable", NULL, FAILURE_RATE_LIMITED },
    /* Anthropic's table. Spend limits come as 429 or 400, and no waiting cures them (hermes-agent#91091, litellm#37592). */
    { TRANSPORT_OK, 400, "invalid_request_error", NULL, "max_tokens: must be at least 1", FAILURE_CALLER },
    { TRANSPORT_OK, 400, "invalid_request_error", NULL,
      "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.", FAILURE_QUOTA },
    { TRANSPORT_OK, 400, "invalid_request_error", NULL,
      "input length and `max_tokens` exceed context limit: 199000 + 8192 > 200000", FAILURE_CONTEXT },
    { TRANSPORT_OK, 401, "authentication_error", NULL, "invalid x-api-key", FAILURE_CREDENTIAL },
    { TRANSPORT_OK, 402, "billing_error", NULL, NULL, FAILURE_QUOTA },
    { TRANSPORT_OK, 403, "permission_error", NULL, NULL, FAILURE_CREDENTIAL },
    { TRANSPORT_OK, 404, "not_found_error", NULL, "model: claude-nope", FAILURE_MODEL },
    { TRANSPORT_OK, 409, "conflict_error", NULL, NULL, FAILURE_SERVER },
    { TRANSPORT_OK, 413, "request_too_large", NULL, NULL, FAILURE_CALLER },
    { TRANSPORT_MALFORMED, 413, NULL, NULL, NULL, FAILURE_CALLER },
    { TRANSPORT_OK, 429, "rate_limit_error", NULL, "This request would exceed your organization's rate limit of 50 requests per minute",
      FAILURE_RATE_LIMITED },
    { TRANSPORT_OK, 429, "rate_limit_error", "enforced_spend_limit_reached", NULL, FAILURE_QUOTA },
    { TRANSPORT_OK, 429, "rate_limit_error", "contract_spend_limit_reached", NULL, FAILURE_QUOTA },
    { TRANSPORT_OK, 429, "rate_limit_error", "ramp_limit_exceeded", NULL, FAILURE_QUOTA },
    { TRANSPORT_OK, 429, "rate_limit_error", NULL, "Your organization has reached its monthly spend limit", FAILURE_QUOTA },
    { TRANSPORT_OK, 500, "api_error", NULL, NULL, FAILURE_SERVER },
    { TRANSPORT_OK, 504, "timeout_error", NULL, NULL, FAILURE_SERVER },
    { TRANSPORT_OK, 200, "overloaded_error", NULL, "Overloaded", FAILURE_OVERLOADED },
    { TRANSPORT_OK, 200, "api_error", NULL, "Internal server error", FAILURE_SERVER },
    { TRANSPORT_OK, 200, "rate_limit_error", NULL, NULL, FAILURE_RATE_LIMITED },
    { TRANSPORT_OK, 200, "rate_limit_error", "enforced_spend_limit_reached", NULL, FAILURE_QUOTA },
    { TRANSPORT_OK, 200, "authentication_error", NULL, NULL, FAILURE_CREDENTIAL },
    /* Google's: a minute's limit and a day's have the same status and words */
    { TRANSPORT_OK, 400, "INVALID_ARGUMENT", "400", "Invalid JSON payload received. Unknown name \"x\"", FAILURE_CALLER },
    { TRANSPORT_OK, 400, "INVALID_ARGUMENT", "API_KEY_INVALID", "API key not valid. Please pass a valid API key.",
      FAILURE_CREDENTIAL },
    { TRANSPORT_OK, 400, "INVALID_ARGUMENT", "400", "API key expired. Please renew the API key.", FAILURE_CREDENTIAL },
    { TRANSPORT_OK, 400, "FAILED_PRECONDITION", "400", "User location is not supported for the API use.", FAILURE_CREDENTIAL },
    { TRANSPORT_OK, 400, "FAILED_PRECONDITION", NULL, NULL, FAILURE_CREDENTIAL },
    { TRANSPORT_OK, 400, "INVALID_ARGUMENT", "400",
      "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).", FAILURE_CONTEXT },
    { TRANSPORT_OK, 401, "UNAUTHENTICATED", "401", NULL, FAILURE_CREDENTIAL },
    { TRANSPORT_OK, 403, "PERMISSION_DENIED", "SERVICE_DISABLED", NULL, FAILURE_CREDENTIAL },
    { TRANSPORT_OK, 404, "NOT_FOUND", "404", "models/gemini-0 is not found for API version v1beta", FAILURE_MODEL },
    { TRANSPORT_OK, 429, "RESOURCE_EXHAUSTED", "GenerateRequestsPerMinutePerProjectPerModel",
      "You exceeded your current quota, please check your plan and billing details.", FAILURE_RATE_LIMITED },
    { TRANSPORT_OK, 429, "RESOURCE_EXHAUSTED", "429", "You exceeded your current quota. Please retry in 37.5s.", FAILURE_RATE_LIMITED },
    { TRANSPORT_OK, 429, "RESOURCE_EXHAUSTED", "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
      "You exceeded your current quota, please check your plan and billing details.", FAILURE_QUOTA },
    { TRANSPORT_OK, 429, "RESOURCE_EXHAUSTED", "429", "Quota exceeded for quota metric 'Requests' and limit 'Requests per day'",
      FAILURE_QUOTA },
    { TRANSPORT_OK, 499, "CANCELLED", "499", NULL, FAILURE_SERVER },
    { TRANSPORT_OK, 500, "INTERNAL", "500", NULL, FAILURE_SERVER },
    { TRANSPORT_OK, 503, "UNAVAILABLE", "503", "The model is overloaded. Please try again later.", FAILURE_OVERLOADED },
    { TRANSPORT_OK, 504, "DEADLINE_EXCEEDED", "504", NULL, FAILURE_SERVER },
    { TRANSPORT_OK, 200, "UNAVAILABLE", "503", NULL, FAILURE_OVERLOADED },
    { TRANSPORT_OK, 200, "RESOURCE_EXHAUSTED", "429", NULL, FAILURE_RATE_LIMITED },
    { TRANSPORT_OK, 200, "INTERNAL", "500", NULL, FAILURE_SERVER },
    /* Responses: a failed generation is a 200 (litellm#36768); error.code tells */
    { TRANSPORT_OK, 200, NULL, "server_error", NULL, FAILURE_SERVER },
    { TRANSPORT_OK, 200, NULL, "vector_store_timeout", NULL, FAILURE_SERVER },
    { TRANSPORT_OK, 200, NULL, "invalid_prompt", NULL, FAILURE_FILTERED },
    { TRANSPORT_OK, 200, NULL, "bio_policy", NULL, FAILURE_FILTERED },
    { TRANSPORT_OK, 200, NULL, "data_residency_mismatch", NULL, FAILURE_CREDENTIAL },
    { TRANSPORT_OK, 200, NULL, "failed_to_download_image", NULL, FAILURE_CALLER },
    { TRANSPORT_OK, 200, NULL, "image_too_large", NULL, FAILURE_CALLER },
    { TRANSPORT_OK, 400, "invalid_request_error", "previous_response_not_found", NULL, FAILURE_CALLER },
    /* xAI: a 403 of three kinds, a wrong key under 400, credit under 429 */
    { TRANSPORT_OK, 403, NULL, "The caller does not have permission to execute the specified operation",
      "Your newly created team doesn't have any credits or licenses yet.", FAILURE_QUOTA },
    { TRANSPORT_OK, 403, NULL, "The caller does not have permission to execute the specified operation",
      "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO", FAILURE_FILTERED },
    { TRANSPORT_OK, 403, NULL, "The caller does not have permission to execute the specified operation", "API key is blocked.",
      FAILURE_CREDENTIAL },
    { TRANSPORT_OK, 400, NULL, "Client specified an invalid argument", "Incorrect API key provided: xa***ey.", FAILURE_CREDENTIAL },
    { TRANSPORT_OK, 429, NULL, "Some resource has been exhausted",
      "Your team has either used all available credits or reached its monthly spending limit.", FAILURE_QUOTA },
    { TRANSPORT_OK, 400, NULL, NULL, "This model's maximum prompt length is 131072 but the request contains 200000 tokens.",
      FAILURE_CONTEXT },
    /* Groq, OpenRouter, Azure */
    { TRANSPORT_OK, 400, "invalid_request_error", "tool_use_failed", "Failed to call a function.", FAILURE_MALFORMED },
    { TRANSPORT_OK, 200, NULL, "502", "Provider disconnected", FAILURE_SERVER },
    { TRANSPORT_OK, 200, NULL, "503", "no room", FAILURE_OVERLOADED },
    { TRANSPORT_OK, 200, NULL, "429", "Rate limit", FAILURE_RATE_LIMITED },
    { TRANSPORT_OK, 200, NULL, "402", "pay", FAILURE_QUOTA },
    { TRANSPORT_OK, 200, NULL, "401", "key", FAILURE_CREDENTIAL },
    { TRANSPORT_OK, 200, NULL, "700", "odd", FAILURE_SERVER },
    { TRANSPORT_OK, 404, NULL, "DeploymentNotFound", NULL, FAILURE_MODEL },
    { TRANSPORT_OK, 400, NULL, "content_filter", NULL, FAILURE_FILTERED },
    /* a broken stream is never the caller's fault, whatever it is called (litellm#41777) */
    { TRANSPORT_OK, 200, "invalid_request_error", "400", "stream closed", FAILURE_SERVER },
    { TRANSPORT_TRUNCATED, 200, "invalid_request_error", NULL, NULL, FAILURE_TRUNCATED },
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
