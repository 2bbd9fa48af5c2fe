/* test_endpoint.c - paths as people write them (ux section 3, row 8: 404 puzzles) and as the SDKs build them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/request/endpoint.h"

static void paths_are_forgiven_where_people_err(void **state)
{
    static const struct { const char *path; enum endpoint want; } table[] = {
        { "/v1/chat/completions", ENDPOINT_ANSWER }, { "/chat/completions", ENDPOINT_ANSWER },
        { "/v1/v1/chat/completions", ENDPOINT_ANSWER }, { "/v1/chat/completions/", ENDPOINT_ANSWER },
        { "/v1/chat/completions/chat/completions", ENDPOINT_ANSWER },
        { "/v1/chat/completions/v1/chat/completions", ENDPOINT_ANSWER }, { "/v1/chat/completions/models", ENDPOINT_MODELS },
        { "/v1/models", ENDPOINT_MODELS }, { "/models", ENDPOINT_MODELS }, { "/v1/models/auto", ENDPOINT_MODEL },
        { "/v1/models/mock/cheap", ENDPOINT_MODEL }, { "/", ENDPOINT_ROOT }, { "/v1", ENDPOINT_ROOT },
        { "/healthz", ENDPOINT_HEALTHZ }, { "/readyz", ENDPOINT_READYZ }, { "/v12/chat/completions", ENDPOINT_UNKNOWN },
        { "/v1/chat/completionsx", ENDPOINT_UNKNOWN }, { "/v1/tollgate/requests/req_1", ENDPOINT_TRACE },
        { "//", ENDPOINT_ROOT }, { "/admin", ENDPOINT_UNKNOWN }, { "*", ENDPOINT_UNKNOWN }, { "/v1/files", ENDPOINT_LATER },
        { "/v1/responses/resp_1", ENDPOINT_UNKNOWN }, { "/v1/models/ft:gpt-4o:acme:id", ENDPOINT_MODEL },
        { "/v1beta/models", ENDPOINT_MODELS }, { "/v1beta/models/gemini-3.1-pro", ENDPOINT_MODEL },
        { "/v1/models/:generateContent", ENDPOINT_MODEL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const struct endpoint_match got = endpoint_find(span_str(table[i].path));

        if (got.endpoint != table[i].want)
            print_error("%s\n", table[i].path);
        assert_int_equal(got.endpoint, table[i].want);
    }
}

static void each_dialect_is_found_bare_and_under_the_prefixes_of_its_sdks(void **state)
{
    static const struct { const char *path; enum endpoint endpoint; enum dialect_id dialect; bool stream; const char *argument; } table[] = {
        { "/v1/responses", ENDPOINT_ANSWER, DIALECT_RESPONSES, false, NULL },
        { "/responses", ENDPOINT_ANSWER, DIALECT_RESPONSES, false, NULL },
        { "/v1/responses/responses", ENDPOINT_ANSWER, DIALECT_RESPONSES, false, NULL },
        { "/v1/responses/input_tokens", ENDPOINT_COUNT, DIALECT_RESPONSES, false, NULL },
        { "/v1/completions", ENDPOINT_ANSWER, DIALECT_COMPLETIONS, false, NULL },
        { "/v1/embeddings", ENDPOINT_ANSWER, DIALECT_EMBEDDINGS, false, NULL },
        { "/v1/messages", ENDPOINT_ANSWER, DIALECT_ANTHROPIC, false, NULL },
        { "/messages", ENDPOINT_ANSWER, DIALECT_ANTHROPIC, false, NULL },
        { "/v1/messages/v1/messages", ENDPOINT_ANSWER, DIALECT_ANTHROPIC, false, NULL },
        { "/anthropic/v1/messages", ENDPOINT_ANSWER, DIALECT_ANTHROPIC, false, NULL },
        { "/v1/messages/count_tokens", ENDPOINT_COUNT, DIALECT_ANTHROPIC, false, NULL },
        { "/v1beta/models/gemini-3.1-pro:generateContent", ENDPOINT_ANSWER, DIALECT_GEMINI, false, "gemini-3.1-pro" },
        { "/models/gemini-3.1-pro:streamGenerateContent", ENDPOINT_ANSWER, DIALECT_GEMINI, true, "gemini-3.1-pro" },
        { "/v1/models/google/gemini-3.1-pro:countTokens", ENDPOINT_COUNT, DIALECT_GEMINI, false, "google/gemini-3.1-pro" },
        { "/v1beta/models/auto:generateContent", ENDPOINT_ANSWER, DIALECT_GEMINI, false, "auto" },
        { "/v1beta/openai/gpt-5.5:streamGenerateContent", ENDPOINT_ANSWER, DIALECT_GEMINI, true, "openai/gpt-5.5" },
        { "/v1beta/v1beta/google/gemini-3.1-pro:generateContent", ENDPOINT_ANSWER, DIALECT_GEMINI, false, "google/gemini-3.1-pro" },
        { "/v1beta/tunedModels/mine:generateContent", ENDPOINT_ANSWER, DIALECT_GEMINI, false, "tunedModels/mine" },
        { "/v1beta/models/a:b:generateContent", ENDPOINT_ANSWER, DIALECT_GEMINI, false, "a:b" },
        { "/v1beta/models", ENDPOINT_MODELS, DIALECT_GEMINI, false, NULL },
        { "/v1beta/openai/chat/completions", ENDPOINT_ANSWER, DIALECT_CHAT, false, NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const struct endpoint_match got = endpoint_find(span_str(table[i].path));

        if (got.endpoint != table[i].endpoint || got.dialect != table[i].dialect || got.stream != table[i].stream)
            print_error("%s\n", table[i].path);
        assert_int_equal(got.endpoint, table[i].endpoint);
        assert_int_equal(got.dialect, table[i].dialect);
        assert_int_equal(got.stream, table[i].stream);
        if (table[i].argument)
            assert_true(span_is(got.argument, table[i].argument));
    }
}

static void the_argument_is_what_stands_behind(void **state)
{
    (void)state;
    assert_true(span_is(endpoint_find(SPAN_LIT("/v1/models/mock/cheap")).argument, "mock/cheap"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_forgiven_where_people_err),
        cmocka_unit_test(each_dialect_is_found_bare_and_under_the_prefixes_of_its_sdks),
        cmocka_unit_test(the_argument_is_what_stands_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
