/* test_provider.c - addresses, keys and quirks of providers; nothing is called.
 *
 * Guards against: exhausted credit that never cools down (BerriAI/litellm#28247's kin #37592), keys in messages
 * (BerriAI/litellm#6963), a key that follows a changed address (CVE-2024-6587). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/json.h"
#include "gateway/upstream/fetch_target.h"
#include "gateway/upstream/provider.h"

#define MINUTE 60000

static struct problems ps;
static struct provider_keyring *ring;

static int setup(void **state)
{
    (void)state;
    problems_init(&ps);
    ring = provider_keyring_new();
    setenv("KEY_A", "sk-aaa", 1);
    setenv("KEY_B", "sk-bbb", 1);
    setenv("KEY_C", "sk-ccc", 1);
    unsetenv("KEY_NONE");
    return ring ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    problems_free(&ps);
    provider_keyring_free(ring);
    return 0;
}

/* A config_provider by hand. `keys`: names of variables, or paths when they hold a slash. */
static struct provider *make(const char *dialect, const char *base, const char *const *keys, const char *quirks)
{
    struct config_secret secrets[8] = { { NULL, NULL } };
    struct config_provider c = {
        .name = (char[]){ "p" }, .dialect = strdup(dialect), .base_url = base ? strdup(base) : NULL, .keys = secrets,
        .connect_ms = 1, .first_byte_ms = 2, .answer_ms = 3, .idle_ms = 4,
    };
    json_t *tree = quirks ? json_loads(quirks, 0, NULL) : NULL;
    struct provider *p;

    for (size_t i = 0; keys && keys[i]; i++) {
        if (strchr(keys[i], '/'))
            secrets[i].file = strdup(keys[i]);
        else
            secrets[i].env = strdup(keys[i]);
        c.n_keys++;
    }
    c.quirks = tree;
    p = provider_new(&c, ring, "/providers/p", &ps);
    for (size_t i = 0; i < c.n_keys; i++) {
        free(secrets[i].env);
        free(secrets[i].file);
    }
    json_decref(tree);
    free(c.dialect);
    free(c.base_url);
    return p;
}
#define KEYS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static bool sends(const struct fetch_spec *s, const char *line)
{
    for (const struct curl_slist *l = s->headers->list; l; l = l->next)
        if (strcmp(l->data, line) == 0)
            return true;
    return false;
}

static struct fetch_spec prepare(struct provider *p, enum provider_path path, bool stream, int64_t now, int *key)
{
    struct fetch_spec s = { .target = NULL };

    assert_true(provider_prepare(p, path, SPAN_LIT("m"), stream, now, &s, key));
    return s;
}

static void a_call_has_its_address_key_and_times(void **state)
{
    struct provider *p = make("openai", "https://api.openai.com/v1", KEYS("KEY_A"), NULL);
    struct fetch_spec s;
    int key;

    (void)state;
    assert_non_null(p);
    s = prepare(p, PROVIDER_CHAT, true, 0, &key);
    assert_string_equal(fetch_target_origin(s.target), "https://api.openai.com");
    assert_string_equal(fetch_target_path(s.target), "/v1/chat/completions");
    assert_true(sends(&s, "Authorization: Bearer sk-aaa"));
    assert_true(sends(&s, "Content-Type: application/json"));
    assert_true(sends(&s, "Accept: text/event-stream"));
    assert_int_equal(key, 0);
    assert_int_equal(s.connect_ms, 1);
    assert_int_equal(s.first_byte_ms, 2);
    assert_int_equal(s.total_ms, 0);
    assert_int_equal(s.idle_ms, 4);
    s = prepare(p, PROVIDER_CHAT, false, 0, &key);
    assert_true(sends(&s, "Accept: application/json"));
    assert_int_equal(s.first_byte_ms, 0);
    assert_int_equal(s.total_ms, 3);
    s = prepare(p, PROVIDER_MODELS, false, 0, &key);
    assert_int_equal(s.method, FETCH_GET);
    assert_string_equal(fetch_target_path(s.target), "/v1/models");
    provider_free(p);
}

static void keys_go_in_turn(void **state)
{
    struct provider *p = make("openai", "https://h/v1", KEYS("KEY_A", "KEY_B", "KEY_C"), NULL);
    int key[6];

    (void)state;
    for (int i = 0; i < 6; i++)
        prepare(p, PROVIDER_CHAT, false, 0, &key[i]);
    for (int i = 0; i < 6; i++)
        assert_int_equal(key[i], i % 3);
    assert_int_equal(provider_keys(p), 3);
    provider_free(p);
}

static void a_refused_key_rests_for_a_minute_and_then_longer(void **state)
{
    struct provider *p = make("openai", "https://h/v1", KEYS("KEY_A", "KEY_B"), NULL);
    int key;

    (void)state;
    assert_true(provider_key_refused(p, 0, 1000));    /* another is left */
    assert_int_equal(provider_state(p, 1000), PROVIDER_ON);
    for (int i = 0; i < 4; i++) {
        prepare(p, PROVIDER_CHAT, false, 1000 + MINUTE - 1, &key);
        assert_int_equal(key, 1);
    }
    assert_false(provider_key_refused(p, 1, 1000));
    assert_int_equal(provider_state(p, 1000), PROVIDER_REFUSED);
    assert_int_equal(provider_state(p, 1000 + MINUTE), PROVIDER_ON);
    provider_key_refused(p, 0, 1000 + 2000);          /* a call that was under way: nothing new */
    provider_key_refused(p, 1, 1000 + 2000);
    assert_int_equal(provider_state(p, 1000 + MINUTE), PROVIDER_ON);
    provider_key_refused(p, 0, 1000 + MINUTE);
    provider_key_refused(p, 1, 1000 + MINUTE);
    assert_int_equal(provider_state(p, 1000 + MINUTE + 2 * MINUTE - 1), PROVIDER_REFUSED);
    assert_int_equal(provider_state(p, 1000 + MINUTE + 2 * MINUTE), PROVIDER_ON);
    provider_key_worked(p, 0);
    assert_int_equal(provider_state(p, 1000 + MINUTE), PROVIDER_ON);
    provider_free(p);
}

static void the_rest_never_exceeds_a_quarter_of_an_hour(void **state)
{
    struct provider *p = make("openai", "https://h/v1", KEYS("KEY_A"), NULL);
    int64_t now = 0;

    (void)state;
    for (int i = 0; i < 20; i++) {
        provider_key_refused(p, 0, now);
        now += 15 * MINUTE;
        assert_int_equal(provider_state(p, now), PROVIDER_ON);
    }
    provider_free(p);
}

static void with_every_key_at_rest_the_soonest_is_tried(void **state)
{
    struct provider *p = make("openai", "https://h/v1", KEYS("KEY_A", "KEY_B", "KEY_C"), NULL);
    int key;

    (void)state;
    provider_key_refused(p, 0, 3000);
    provider_key_refused(p, 1, 1000);
    provider_key_refused(p, 2, 2000);
    for (int i = 0; i < 5; i++) {
        prepare(p, PROVIDER_CHAT, false, 4000, &key);
        assert_int_equal(key, 1);
    }
    provider_free(p);
}

static void a_limited_key_rests_but_is_not_refused(void **state)
{
    struct provider *p = make("openai", "https://h/v1", KEYS("KEY_A", "KEY_B"), NULL);
    int key;

    (void)state;
    assert_true(provider_key_limited(p, 0, 0, 5000));
    for (int i = 0; i < 3; i++) {
        prepare(p, PROVIDER_CHAT, false, 4999, &key);
        assert_int_equal(key, 1);
    }
    assert_false(provider_key_limited(p, 1, 0, 9000));
    assert_int_equal(provider_state(p, 100), PROVIDER_ON);
    provider_free(p);
}

static void an_unset_variable_turns_it_off_with_one_warning(void **state)
{
    struct provider *p = make("openai", "https://h/v1", KEYS("KEY_NONE"), NULL);
    struct fetch_spec s;
    int key;

    (void)state;
    assert_non_null(p);
    assert_int_equal(provider_state(p, 0), PROVIDER_OFF);
    assert_false(provider_prepare(p, PROVIDER_CHAT, SPAN_LIT("m"), false, 0, &s, &key));
    assert_int_equal(ps.errors, 0);
    assert_int_equal(ps.warnings, 1);
    assert_string_equal(ps.list[0].pointer, "/providers/p/keys/0");
    assert_non_null(strstr(ps.list[0].text, "KEY_NONE"));
    provider_free(p);
}

static void one_key_of_two_is_enough(void **state)
{
    struct provider *p = make("openai", "https://h/v1", KEYS("KEY_NONE", "KEY_B"), NULL);
    int key;

    (void)state;
    assert_int_equal(provider_state(p, 0), PROVIDER_ON);
    assert_int_equal(ps.warnings, 1);
    struct fetch_spec s = prepare(p, PROVIDER_CHAT, false, 0, &key);
    assert_true(sends(&s, "Authorization: Bearer sk-bbb"));
    provider_free(p);
}

static void a_key_file_may_end_in_a_line_end_and_holds_one_key(void **state)
{
    static const struct { const char *text; bool on; } rows[] = {
        { "sk-file\n", true }, { "sk-file", true }, { " sk-file \r\n", true }, { "", false }, { "\n", false },
        { "two keys", false }, { "sk-a\nsk-b\n", false }, { "sk-\x01", false },
    };
    char path[] = "/tmp/test_provider.XXXXXX";
    const int fd = mkstemp(path);

    (void)state;
    close(fd);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        FILE *f = fopen(path, "w");
        struct provider *p;
        int key;

        fputs(rows[i].text, f);
        fclose(f);
        p = make("openai", "https://h/v1", KEYS(path), NULL);
        assert_int_equal(provider_state(p, 0), rows[i].on ? PROVIDER_ON : PROVIDER_OFF);
        if (rows[i].on) {
            struct fetch_spec s = prepare(p, PROVIDER_CHAT, false, 0, &key);
            assert_true(sends(&s, "Authorization: Bearer sk-file"));
        }
        provider_free(p);
    }
    unlink(path);
    provider_free(make("openai", "https://h/v1", KEYS("/nonexistent/key"), NULL));
    for (size_t i = 0; i < ps.n; i++)    /* no message tells what a file held */
        assert_null(strstr(ps.list[i].text, "sk-"));
}

static void the_environment_forgets_and_a_reload_remembers(void **state)
{
    struct provider *p = make("openai", "https://h/v1", KEYS("KEY_A"), NULL), *again;
    const char *there = getenv("KEY_A");
    int key;

    (void)state;
    provider_free(p);
    assert_string_equal(there, "sk-aaa");
    provider_forget_env(ring);
    assert_null(getenv("KEY_A"));
    for (int i = 0; i < 6; i++)    /* the bytes that were in the process's environment */
        assert_int_equal(there[i], 0);
    again = make("openai", "https://h/v1", KEYS("KEY_A"), NULL);
    struct fetch_spec s = prepare(again, PROVIDER_CHAT, false, 0, &key);
    assert_true(sends(&s, "Authorization: Bearer sk-aaa"));
    provider_free(again);
}

static void no_keys_at_all_means_none_is_sent(void **state)
{
    struct provider *p = make("openai", "http://127.0.0.1:8000/v1", NULL, NULL);
    int key = 7;
    struct fetch_spec s = prepare(p, PROVIDER_CHAT, false, 0, &key);

    (void)state;
    assert_int_equal(key, PROVIDER_KEY_NONE);
    for (const struct curl_slist *l = s.headers->list; l; l = l->next)
        assert_null(strstr(l->data, "Authorization"));
    assert_false(provider_key_refused(p, key, 0));
    assert_int_equal(provider_state(p, 0), PROVIDER_ON);
    assert_int_equal(provider_keys(p), 0);
    provider_free(p);
}

static void a_bad_address_is_an_error_at_its_place(void **state)
{
    static const char *const bad[] = { "http://example.com/v1", "ftp://h/v1", "https://u:p@h/v1",
                                       "https://api.openai.com/v1/chat/completions" };

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        assert_null(make("openai", bad[i], KEYS("KEY_A"), NULL));
        assert_int_equal(ps.errors, i + 1);
        assert_string_equal(ps.list[i].pointer, "/providers/p/base_url");
    }
}

static void an_engine_has_a_socket_for_each_model(void **state)
{
    struct provider *p = make("openai", NULL, NULL, NULL);
    struct fetch_spec s = { .target = NULL };
    int key;

    (void)state;
    assert_false(provider_prepare(p, PROVIDER_CHAT, SPAN_LIT("tiny-pro"), false, 0, &s, &key));
    assert_true(provider_bind_engine(p, "tiny-flash", "/run/t/1.sock"));
    assert_true(provider_bind_engine(p, "tiny-pro", "/run/t/2.sock"));
    assert_true(provider_prepare(p, PROVIDER_CHAT, SPAN_LIT("tiny-pro"), false, 0, &s, &key));
    assert_string_equal(fetch_target_origin(s.target), "unix:/run/t/2.sock");
    assert_string_equal(fetch_target_path(s.target), "/v1/chat/completions");
    assert_false(provider_prepare(p, PROVIDER_CHAT, SPAN_LIT("tiny"), false, 0, &s, &key));
    assert_string_equal(provider_origin(p), "engine");
    provider_free(p);
}

/* ---- quirks ---- */

static void hosts_are_known_by_name_and_dialect(void **state)
{
    struct provider *p = make("openai", "https://api.mistral.ai/v1", KEYS("KEY_A"), NULL);
    const struct quirks *q = provider_quirks(p);

    (void)state;
    assert_int_equal(q->stream_usage, STREAM_USAGE_ALWAYS);
    assert_int_equal(q->tool_id_rule, TOOL_IDS_NINE_ALNUM);
    assert_string_equal(q->tool_choice_required_word, "any");
    assert_int_equal(q->unknown_fields, UNKNOWN_REJECTED);
    provider_free(p);
    p = make("openai", "https://api.x.ai/v1", KEYS("KEY_A"), NULL);
    assert_false(provider_quirks(p)->reasoning_in_output_count);
    provider_free(p);
    p = make("openai", "https://api.openai.com/v1", KEYS("KEY_A"), NULL);
    assert_int_equal(provider_quirks(p)->max_tokens_field, MAX_COMPLETION_TOKENS);
    assert_true(provider_quirks(p)->developer_role);
    assert_false(quirks_is_down(provider_quirks(p), 402));
    provider_free(p);
    p = make("deepseek", "https://elsewhere.example/v1", KEYS("KEY_A"), NULL);
    assert_false(provider_quirks(p)->supports_json_schema);
    assert_int_equal(provider_quirks(p)->reasoning_must_return, REASONING_RETURN_TOOL_TURNS);
    assert_true(quirks_is_down(provider_quirks(p), 402));
    assert_true(quirks_is_down(provider_quirks(p), 401));
    assert_false(quirks_is_down(provider_quirks(p), 429));
    provider_free(p);
    p = make("openai", "https://api.notmistral.ai/v1", KEYS("KEY_A"), NULL);
    assert_int_equal(provider_quirks(p)->stream_usage, STREAM_USAGE_ASK);
    assert_int_equal(provider_quirks(p)->max_tokens_field, MAX_TOKENS);
    provider_free(p);
}

static void a_config_overrides_field_by_field(void **state)
{
    struct provider *p = make("openai", "https://api.mistral.ai", KEYS("KEY_A"),
                              "{\"base_path\":\"/v9\",\"unknown_fields\":\"ignored\",\"down_statuses\":[402,409],"
                              "\"auth_style\":\"x_api_key\",\"supports_parallel\":false}");
    const struct quirks *q;
    struct fetch_spec s;
    int key;

    (void)state;
    assert_non_null(p);
    q = provider_quirks(p);
    assert_int_equal(q->unknown_fields, UNKNOWN_IGNORED);
    assert_int_equal(q->stream_usage, STREAM_USAGE_ALWAYS);    /* still the host's */
    assert_false(q->supports_parallel);
    assert_true(quirks_is_down(q, 409));
    s = prepare(p, PROVIDER_CHAT, false, 0, &key);
    assert_string_equal(fetch_target_path(s.target), "/v9/chat/completions");
    assert_true(sends(&s, "x-api-key: sk-aaa"));
    provider_free(p);
}

static void every_wrong_quirk_is_told_with_its_place_and_a_hint(void **state)
{
    assert_null(make("openai", "https://h/v1", KEYS("KEY_A"),
                     "{\"stream_usage\":\"alway\",\"down_statuses\":[200],\"developer_role\":1,\"base_path\":7,"
                     "\"stream_usages\":\"ask\"}"));
    (void)state;
    assert_int_equal(ps.errors, 5);
    assert_string_equal(ps.list[0].pointer, "/providers/p/quirks/stream_usage");
    assert_string_equal(ps.list[0].hint, "always");
    assert_string_equal(ps.list[4].hint, "stream_usage");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_call_has_its_address_key_and_times),
        T(keys_go_in_turn),
        T(a_refused_key_rests_for_a_minute_and_then_longer),
        T(the_rest_never_exceeds_a_quarter_of_an_hour),
        T(with_every_key_at_rest_the_soonest_is_tried),
        T(a_limited_key_rests_but_is_not_refused),
        T(an_unset_variable_turns_it_off_with_one_warning),
        T(one_key_of_two_is_enough),
        T(a_key_file_may_end_in_a_line_end_and_holds_one_key),
        T(the_environment_forgets_and_a_reload_remembers),
        T(no_keys_at_all_means_none_is_sent),
        T(a_bad_address_is_an_error_at_its_place),
        T(an_engine_has_a_socket_for_each_model),
        T(hosts_are_known_by_name_and_dialect),
        T(a_config_overrides_field_by_field),
        T(every_wrong_quirk_is_told_with_its_place_and_a_hint),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
