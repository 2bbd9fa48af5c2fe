/* test_endpoint.c - paths as people write them (ux section 3, row 8: 404 puzzles). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/request/endpoint.h"

static void paths_are_forgiven_where_people_err(void **state)
{
    static const struct { const char *path; enum endpoint want; } table[] = {
        { "/v1/chat/completions", ENDPOINT_CHAT }, { "/chat/completions", ENDPOINT_CHAT },
        { "/v1/v1/chat/completions", ENDPOINT_CHAT }, { "/v1/chat/completions/", ENDPOINT_CHAT },
        { "/v1/chat/completions/chat/completions", ENDPOINT_CHAT },
        { "/v1/chat/completions/v1/chat/completions", ENDPOINT_CHAT }, { "/v1/chat/completions/models", ENDPOINT_MODELS },
        { "/v1/models", ENDPOINT_MODELS }, { "/models", ENDPOINT_MODELS }, { "/v1/models/auto", ENDPOINT_MODEL },
        { "/v1/models/mock/cheap", ENDPOINT_MODEL }, { "/", ENDPOINT_ROOT }, { "/v1", ENDPOINT_ROOT },
        { "/healthz", ENDPOINT_HEALTHZ }, { "/readyz", ENDPOINT_READYZ }, { "/v1/messages", ENDPOINT_LATER },
        { "/v1/responses", ENDPOINT_LATER }, { "/v1beta/models/x:generateContent", ENDPOINT_UNKNOWN },
        { "/v1/models/x:generateContent", ENDPOINT_LATER }, { "/v12/chat/completions", ENDPOINT_UNKNOWN },
        { "/v1/chat/completionsx", ENDPOINT_UNKNOWN }, { "/v1/tollgate/requests/req_1", ENDPOINT_TRACE }, { "//", ENDPOINT_ROOT },
        { "/admin", ENDPOINT_UNKNOWN }, { "*", ENDPOINT_UNKNOWN },
    };
    struct span argument;

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const enum endpoint got = endpoint_find(span_str(table[i].path), &argument);

        if (got != table[i].want)
            print_error("case %zu\n", i);
        assert_int_equal(got, table[i].want);
    }
}

static void the_argument_is_what_stands_behind(void **state)
{
    struct span argument;

    (void)state;
    endpoint_find(SPAN_LIT("/v1/models/mock/cheap"), &argument);
    assert_true(span_is(argument, "mock/cheap"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_forgiven_where_people_err),
        cmocka_unit_test(the_argument_is_what_stands_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
