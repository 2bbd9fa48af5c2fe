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

#include "base/arena.h"
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

static struct fetch_spec prepare(struct provider *p, enum dialect_id wire, bool stream, int64_t now, int *key)
{
    struct fetch_spec s = { .target = NULL };

    assert_true(provider_prepare(p, wire, SPAN_LIT("m"), stream, now, &s, key));
    return s;
}

static void a_call_has_its_address_key_and_times(void **state)
{
    struct provider *p = make("openai", "https://api.openai.com/v1", KEYS("KEY_A"), NULL);
    struct fetch_spec s;
    int key;

    (void)state;
    assert_non_null(p);
    s = prepare(p, DIALECT_CHAT, true, 0, &key);
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
    s = prepare(p, DIALECT_CHAT, false, 0, &key);
    assert_true(sends(&s, "Accept: application/json"));
    assert_int_equal(s.first_byte_ms, 0);
    assert_int_equal(s.total_ms, 3);
    assert_int_equal(s.method, FETCH_POST);
    provider_free(p);
}

static void keys_go_in_turn(void **state)
{
    struct provider *p = make("openai", "https://h/v1", KEYS("KEY_A", "KEY_B", "KEY_C"), NULL);
    int key[6];

    (void)state;
    for (int i = 0; i < 6; i++)
        prepare(p, DIALECT_CHAT, false, 0, &key[i]);
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
        prepare(p, DIALECT_CHAT, false, 1000 + MINUTE - 1, &key);
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
        prepare(p, DIALECT_CHAT, false, 4000, &key);
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
        prepare(p, DIALECT_CHAT, false, 4999, &key);
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
    assert_false(provider_prepare(p, DIALECT_CHAT, SPAN_LIT("m"), false, 0, &s, &key));
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
    struct fetch_spec s = prepare(p, DIALECT_CHAT, false, 0, &key);
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
            struct fetch_spec s = prepare(p, DIALECT_CHAT, false, 0, &key);
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
    struct fetch_spec s = prepare(again, DIALECT_CHAT, false, 0, &key);
    assert_true(sends(&s, "Authorization: Bearer sk-aaa"));
    provider_free(again);
}

static void no_keys_at_all_means_none_is_sent(void **state)
{
    struct provider *p = make("openai", "http://127.0.0.1:8000/v1", NULL, NULL);
    int key = 7;
    struct fetch_spec s = prepare(p, DIALECT_CHAT, false, 0, &key);

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
                                       "https://api.openai.com/v1/chat/completions", "https://h/v1/responses/",
                                       "https://api.anthropic.com/v1/messages" };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
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
    assert_false(provider_prepare(p, DIALECT_CHAT, SPAN_LIT("tiny-pro"), false, 0, &s, &key));
    assert_true(provider_bind_engine(p, "tiny-flash", "/run/t/1.sock"));
    assert_true(provider_bind_engine(p, "tiny-pro", "/run/t/2.sock"));
    assert_true(provider_prepare(p, DIALECT_CHAT, SPAN_LIT("tiny-pro"), false, 0, &s, &key));
    assert_string_equal(fetch_target_origin(s.target), "unix:/run/t/2.sock");
    assert_string_equal(fetch_target_path(s.target), "/v1/chat/completions");
    assert_false(provider_prepare(p, DIALECT_CHAT, SPAN_LIT("tiny"), false, 0, &s, &key));
    assert_string_equal(provider_origin(p), "engine");
    provider_free(p);
}

/* ---- dialects ---- */

static void each_dialect_has_its_path_under_its_base(void **state)
{
    static const struct { const char *dialect, *base; enum dialect_id wire; const char *path; } rows[] = {
        { "openai", "https://api.openai.com/v1", DIALECT_CHAT, "/v1/chat/completions" },
        { "openai", "https://api.openai.com/v1", DIALECT_RESPONSES, "/v1/responses" },
        { "openai", "https://api.openai.com/v1", DIALECT_COMPLETIONS, "/v1/completions" },
        { "openai", "https://api.openai.com/v1/", DIALECT_EMBEDDINGS, "/v1/embeddings" },
        { "openai", "https://api.openai.com", DIALECT_CHAT, "/v1/chat/completions" },
        { "openai", "https://api.groq.com", DIALECT_CHAT, "/openai/v1/chat/completions" },
        { "openai", "https://me.openai.azure.com", DIALECT_CHAT, "/openai/v1/chat/completions" },
        { "openai", "https://openrouter.ai", DIALECT_CHAT, "/api/v1/chat/completions" },
        { "openai", "https://api.fireworks.ai", DIALECT_CHAT, "/inference/v1/chat/completions" },
        { "openai", "https://api.deepinfra.com", DIALECT_CHAT, "/v1/openai/chat/completions" },
        { "openai", "https://api.x.ai", DIALECT_RESPONSES, "/v1/responses" },
        { "deepseek", "https://api.deepseek.com", DIALECT_CHAT, "/chat/completions" },
        { "deepseek", "https://api.deepseek.com/v1", DIALECT_CHAT, "/v1/chat/completions" },
        { "anthropic", "https://api.anthropic.com", DIALECT_ANTHROPIC, "/v1/messages" },
        { "anthropic", "https://api.anthropic.com/", DIALECT_ANTHROPIC, "/v1/messages" },
        { "anthropic", "https://api.anthropic.com/v1", DIALECT_ANTHROPIC, "/v1/messages" },
        { "anthropic", "https://api.deepseek.com/anthropic", DIALECT_ANTHROPIC, "/anthropic/v1/messages" },
        { "anthropic", "unix:/run/claude.sock", DIALECT_ANTHROPIC, "/v1/messages" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct provider *p = make(rows[i].dialect, rows[i].base, KEYS("KEY_A"), NULL);
        struct fetch_spec s;
        int key;

        assert_non_null(p);
        s = prepare(p, rows[i].wire, false, 0, &key);
        assert_string_equal(fetch_target_path(s.target), rows[i].path);
        assert_string_equal(s.path, "");
        provider_free(p);
    }
}

/* The model is a part of the path there: none of its bytes leaves its segment. */
static void geminis_model_is_one_segment_of_the_path(void **state)
{
    static const struct { const char *model; bool stream; const char *path; } rows[] = {
        { "gemini-3.1-pro-preview", false, "/models/gemini-3.1-pro-preview:generateContent" },
        { "gemini-3.1-pro-preview", true, "/models/gemini-3.1-pro-preview:streamGenerateContent?alt=sse" },
        { "models/gemini-2.5-pro", false, "/models/gemini-2.5-pro:generateContent" },
        { "tunedModels/mine-1", true, "/tunedModels/mine-1:streamGenerateContent?alt=sse" },
        { "a/../../files", false, "/models/a%2f..%2f..%2ffiles:generateContent" },
        { "m:batchGenerateContent?key=x", false, "/models/m%3abatchGenerateContent%3fkey%3dx:generateContent" },
        { "models/..", false, NULL },
        { "", false, NULL },
    };
    struct provider *p = make("gemini", "https://generativelanguage.googleapis.com/v1beta", KEYS("KEY_A"), NULL), *bare;
    struct fetch_spec s;
    int key;

    (void)state;
    assert_non_null(p);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        s = (struct fetch_spec){ .target = NULL };
        assert_true(provider_prepare(p, DIALECT_GEMINI, span_str(rows[i].model), rows[i].stream, 0, &s, &key) ==
                    (rows[i].path != NULL));
        if (!rows[i].path)
            continue;
        assert_string_equal(s.path, rows[i].path);
        assert_string_equal(fetch_target_path(s.target), "/v1beta");
        assert_true(sends(&s, "x-goog-api-key: sk-aaa"));
        assert_false(sends(&s, "Authorization: Bearer sk-aaa"));
    }
    char longest[600];
    memset(longest, '/', sizeof(longest));
    assert_false(provider_prepare(p, DIALECT_GEMINI, (struct span){ longest, sizeof(longest) }, false, 0, &s, &key));
    bare = make("gemini", "https://generativelanguage.googleapis.com", KEYS("KEY_A"), NULL);
    s = prepare(bare, DIALECT_GEMINI, false, 0, &key);
    assert_string_equal(fetch_target_path(s.target), "/v1beta");
    provider_free(bare);
    provider_free(p);
}

static void anthropic_gets_its_key_version_and_betas(void **state)
{
    struct provider *p = make("anthropic", "https://api.anthropic.com", KEYS("KEY_A"), NULL);
    struct fetch_spec s = { .target = NULL };
    struct arena arena;
    int key;

    (void)state;
    arena_init(&arena, 1 << 16);
    assert_true(provider_add_lines(DIALECT_ANTHROPIC, SPAN_NONE, SPAN_NONE, &arena, &s));
    assert_true(provider_prepare(p, DIALECT_ANTHROPIC, SPAN_LIT("claude-opus-4-7"), true, 0, &s, &key));
    assert_true(sends(&s, "x-api-key: sk-aaa"));
    assert_false(sends(&s, "Authorization: Bearer sk-aaa"));
    assert_string_equal(s.extra[0], "anthropic-version: 2023-06-01");
    assert_null(s.extra[1]);
    s = (struct fetch_spec){ .target = NULL };    /* byte for byte, also what we do not know (ux: Claude Code) */
    assert_true(provider_add_lines(DIALECT_ANTHROPIC, SPAN_LIT("2027-01-01"), SPAN_LIT("a-2025-01-01,b"), &arena, &s));
    assert_string_equal(s.extra[0], "anthropic-version: 2027-01-01");
    assert_string_equal(s.extra[1], "anthropic-beta: a-2025-01-01,b");
    assert_null(s.extra[2]);
    s = (struct fetch_spec){ .target = NULL };
    assert_true(provider_add_lines(DIALECT_CHAT, SPAN_LIT("2023-06-01"), SPAN_LIT("b"), &arena, &s));
    assert_null(s.extra[0]);
    arena_free(&arena);
    arena_init(&arena, 16);
    assert_false(provider_add_lines(DIALECT_ANTHROPIC, SPAN_NONE, SPAN_NONE, &arena, &s));
    arena_free(&arena);
    provider_free(p);
}

static void a_request_goes_in_its_callers_dialect_where_the_provider_has_it(void **state)
{
#define NO DIALECTS
    static const struct { const char *dialect, *base, *quirks, *model; enum dialect_id to[DIALECTS]; } rows[] = {
        /* the caller speaks:                     chat             responses          completions          embeddings          anthropic   gemini */
        { "openai", "https://api.openai.com/v1", NULL, "gpt-5.5",
          { DIALECT_CHAT, DIALECT_RESPONSES, DIALECT_COMPLETIONS, DIALECT_EMBEDDINGS, DIALECT_CHAT, DIALECT_CHAT } },
        { "openai", "https://api.openai.com/v1", NULL, "gpt-5.5-pro",
          { DIALECT_RESPONSES, DIALECT_RESPONSES, NO, NO, DIALECT_RESPONSES, DIALECT_RESPONSES } },
        { "openai", "https://openrouter.ai/api/v1", NULL, "openai/gpt-5.5-pro",    /* has it on Chat */
          { DIALECT_CHAT, DIALECT_CHAT, DIALECT_COMPLETIONS, DIALECT_EMBEDDINGS, DIALECT_CHAT, DIALECT_CHAT } },
        { "openai", "http://127.0.0.1:8000/v1", NULL, "m",
          { DIALECT_CHAT, DIALECT_CHAT, DIALECT_COMPLETIONS, DIALECT_EMBEDDINGS, DIALECT_CHAT, DIALECT_CHAT } },
        { "openai", "http://127.0.0.1:8000/v1", "{\"responses\":true}", "m",
          { DIALECT_CHAT, DIALECT_RESPONSES, DIALECT_COMPLETIONS, DIALECT_EMBEDDINGS, DIALECT_CHAT, DIALECT_CHAT } },
        { "openai", "https://api.x.ai/v1", NULL, "grok-4.3",
          { DIALECT_CHAT, DIALECT_RESPONSES, DIALECT_COMPLETIONS, DIALECT_EMBEDDINGS, DIALECT_CHAT, DIALECT_CHAT } },
        { "deepseek", "https://api.deepseek.com/v1", NULL, "deepseek-v4-pro",
          { DIALECT_CHAT, DIALECT_CHAT, NO, NO, DIALECT_CHAT, DIALECT_CHAT } },
        { "anthropic", "https://api.anthropic.com", NULL, "claude-opus-4-7",
          { DIALECT_ANTHROPIC, DIALECT_ANTHROPIC, NO, NO, DIALECT_ANTHROPIC, DIALECT_ANTHROPIC } },
        { "gemini", "https://generativelanguage.googleapis.com/v1beta", NULL, "gemini-3.1-pro-preview",
          { DIALECT_GEMINI, DIALECT_GEMINI, NO, NO, DIALECT_GEMINI, DIALECT_GEMINI } },
    };
#undef NO

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct provider *p = make(rows[i].dialect, rows[i].base, KEYS("KEY_A"), rows[i].quirks);
        struct traits t;

        assert_non_null(p);
        provider_traits(p, span_str(rows[i].model), &t);
        for (unsigned caller = 0; caller < DIALECTS; caller++) {
            const enum dialect_id wire = provider_wire(p, &t, (enum dialect_id)caller);
            struct fetch_spec s = { .target = NULL };
            int key;

            if (wire != rows[i].to[caller])
                fail_msg("%s, from %u: got %d, want %d", rows[i].base, caller, (int)wire, (int)rows[i].to[caller]);
            /* What is chosen can be called, and what is not there cannot. */
            assert_true(provider_prepare(p, wire, SPAN_LIT("m"), false, 0, &s, &key) == (wire != DIALECTS));
        }
        provider_free(p);
    }
}

static void signatures_belong_to_the_house_that_writes_them(void **state)
{
    static const struct { const char *dialect, *base, *quirks; enum family family; } rows[] = {
        { "openai", "https://api.openai.com/v1", NULL, FAMILY_OPENAI },
        { "openai", "https://me.openai.azure.com/openai/v1", NULL, FAMILY_OPENAI },
        { "openai", "http://127.0.0.1:8000/v1", NULL, FAMILY_NONE },
        { "openai", "http://127.0.0.1:8000/v1", "{\"family\":\"openai\"}", FAMILY_OPENAI },
        { "openai", NULL, NULL, FAMILY_DEEPSEEK },    /* our own engine: V4's architecture */
        { "openai", "https://api.mistral.ai/v1", NULL, FAMILY_NONE },
        { "deepseek", "https://api.deepseek.com/v1", NULL, FAMILY_DEEPSEEK },
        { "openai", "https://api.deepseek.com/v1", NULL, FAMILY_DEEPSEEK },
        { "anthropic", "https://api.anthropic.com", NULL, FAMILY_ANTHROPIC },
        { "anthropic", "https://api.deepseek.com/anthropic", NULL, FAMILY_DEEPSEEK },    /* its own kind of signature */
        { "gemini", "https://generativelanguage.googleapis.com/v1beta", NULL, FAMILY_GEMINI },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct provider *p = make(rows[i].dialect, rows[i].base, rows[i].base ? KEYS("KEY_A") : NULL, rows[i].quirks);

        assert_non_null(p);
        if (provider_family(p) != rows[i].family)
            fail_msg("%s: %s", rows[i].base, "another family");
        provider_free(p);
    }
}

/* V4 weights in another house: its host has a schema, is told an effort, and does not know DeepSeek's `thinking`. */
static void a_models_traits_are_also_its_hosts(void **state)
{
    struct provider *p = make("deepseek", "https://api.deepseek.com/v1", KEYS("KEY_A"), NULL);
    struct traits t;

    (void)state;
    provider_traits(p, SPAN_LIT("deepseek-v4-pro"), &t);
    assert_int_equal(t.thinking, THINKING_DEEPSEEK);
    assert_string_equal(t.efforts, "low high max");
    assert_false(t.forced_tools || t.schema || t.prefill);
    assert_true(t.thinking_off && t.sampling && t.stop);
    provider_free(p);
    p = make("openai", "https://api.fireworks.ai/inference/v1", KEYS("KEY_A"), NULL);
    provider_traits(p, SPAN_LIT("accounts/fireworks/models/deepseek-v4-pro"), &t);
    assert_int_equal(t.thinking, THINKING_EFFORT);
    assert_string_equal(t.efforts, "");
    assert_true(t.forced_tools && t.schema);
    provider_free(p);
    p = make("openai", NULL, NULL, NULL);
    provider_traits(p, SPAN_LIT("deepseek-v4-pro"), &t);
    assert_int_equal(t.thinking, THINKING_DEEPSEEK);
    assert_true(t.schema);
    provider_free(p);
}

/* ---- quirks of a config: what is known of hosts is test_quirks.c's ---- */

static void a_new_model_needs_data_and_no_code(void **state)
{
    struct provider *p = make("anthropic", "https://api.anthropic.com", KEYS("KEY_A"),
                              "{\"models\":{\"claude-next*\":{\"thinking\":\"budget\",\"budget_least\":2048,\"sampling\":true},"
                              "\"claude-next-mini\":{\"thinking\":\"none\",\"efforts\":\"\"},\"*\":{\"url_media\":false},"
                              "\"eu/claude-*\":{\"stop\":false}}}");
    struct traits t;

    (void)state;
    assert_non_null(p);
    provider_traits(p, SPAN_LIT("claude-next-2"), &t);
    assert_int_equal(t.thinking, THINKING_BUDGET);
    assert_int_equal(t.budget_least, 2048);
    assert_true(t.sampling && t.schema && t.stop);    /* the rest is what an unknown Claude has */
    assert_false(t.url_media);
    provider_traits(p, SPAN_LIT("claude-next-mini"), &t);
    assert_int_equal(t.thinking, THINKING_NONE);
    assert_int_equal(t.budget_least, 2048);           /* from the shorter pattern */
    provider_traits(p, SPAN_LIT("eu/claude-opus-4-7"), &t);
    assert_int_equal(t.thinking, THINKING_ADAPTIVE);
    assert_false(t.stop || t.url_media);
    provider_traits(p, SPAN_LIT("claude-opus-4-7"), &t);
    assert_true(t.stop);
    provider_free(p);
}

static void a_server_at_any_address_is_named_by_the_config(void **state)
{
    struct provider *p = make("openai", "http://127.0.0.1:8000", KEYS("KEY_A"),
                              "{\"server\":\"vllm\",\"supports_parallel\":false}");
    struct fetch_spec s;
    int key;

    (void)state;
    assert_int_equal(provider_quirks(p)->reasoning_field, REASONING_PLAIN);
    assert_false(provider_quirks(p)->supports_parallel);
    s = prepare(p, DIALECT_CHAT, false, 0, &key);
    assert_string_equal(fetch_target_path(s.target), "/v1/chat/completions");
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
    s = prepare(p, DIALECT_CHAT, false, 0, &key);
    assert_string_equal(fetch_target_path(s.target), "/v9/chat/completions");
    assert_true(sends(&s, "x-api-key: sk-aaa"));
    provider_free(p);
}

static void every_wrong_quirk_is_told_with_its_place_and_a_hint(void **state)
{
    assert_null(make("openai", "https://h/v1", KEYS("KEY_A"),
                     "{\"stream_usage\":\"alway\",\"down_statuses\":[200],\"developer_role\":1,\"base_path\":7,"
                     "\"stream_usages\":\"ask\",\"server\":\"vlm\",\"models\":{\"a*b\":{},\"c\":7,"
                     "\"d\":{\"thinking\":\"adaptiv\",\"samplings\":true,\"budget_least\":-1,\"efforts\":3}}}"));
    (void)state;
    assert_int_equal(ps.errors, 12);
    assert_string_equal(ps.list[0].pointer, "/providers/p/quirks/server");
    assert_string_equal(ps.list[0].hint, "vllm");
    assert_string_equal(ps.list[1].pointer, "/providers/p/quirks/stream_usage");
    assert_string_equal(ps.list[1].hint, "always");
    assert_string_equal(ps.list[5].hint, "stream_usage");
    assert_string_equal(ps.list[6].pointer, "/providers/p/quirks/models/a*b");
    assert_string_equal(ps.list[7].pointer, "/providers/p/quirks/models/c");
    assert_string_equal(ps.list[8].pointer, "/providers/p/quirks/models/d/thinking");
    assert_string_equal(ps.list[8].hint, "adaptive");
    assert_string_equal(ps.list[9].hint, "sampling");
    assert_string_equal(ps.list[11].pointer, "/providers/p/quirks/models/d/efforts");
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
        T(each_dialect_has_its_path_under_its_base),
        T(geminis_model_is_one_segment_of_the_path),
        T(anthropic_gets_its_key_version_and_betas),
        T(a_request_goes_in_its_callers_dialect_where_the_provider_has_it),
        T(signatures_belong_to_the_house_that_writes_them),
        T(a_models_traits_are_also_its_hosts),
        T(a_new_model_needs_data_and_no_code),
        T(a_server_at_any_address_is_named_by_the_config),
        T(a_config_overrides_field_by_field),
        T(every_wrong_quirk_is_told_with_its_place_and_a_hint),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
