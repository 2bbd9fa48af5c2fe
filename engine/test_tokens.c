/* test_tokens.c - ids of texts and chats against the trainer's own tokenizer (train/tokenizer.py), which shares no code
 * with ours and splits without a pattern library. models/vectors/tokens.jsonl, a case a line. */
#include "engine/prompt.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/json.h"

#define FILE_NAME "engine/models/vectors/tokens.jsonl"

static struct tokenizer *load(const char *model, struct prompt_markers *m)
{
    struct problems ps;
    struct buf path;
    struct tokenizer *t;

    problems_init(&ps);
    buf_init(&path, 4096);
    buf_printf(&path, "%s/engine/models/%s/tokenizer.json", getenv("top_srcdir"), model);
    t = tokenizer_load(path.p, &ps);
    if (!t || !prompt_markers_find(t, m, &ps))
        problems_print(&ps, stderr);
    assert_non_null(t);
    assert_int_equal(ps.errors + ps.warnings, 0);    /* the bundled files state our split rules */
    buf_free(&path);
    problems_free(&ps);
    return t;
}

static enum tokenizer_rc encode_chat(const struct tokenizer *t, const struct prompt_markers *m, const json_t *messages,
                                     struct ids *ids)
{
    struct prompt_message list[16];
    size_t n = 0, i;
    json_t *msg;

    json_array_foreach(messages, i, msg) {
        const struct span role = json_span(msg, "role");

        assert_true(n < 16);
        list[n++] = (struct prompt_message){
            .role = span_is(role, "system") ? PROMPT_SYSTEM : span_is(role, "user") ? PROMPT_USER : PROMPT_ASSISTANT,
            .content = json_span(msg, "content"),
        };
    }
    return prompt_encode(t, m, list, n, PROMPT_CHAT, true, ids);
}

static void check_case(const char *line, size_t bytes)
{
    json_t *c = json_loadb(line, bytes, JSON_ALLOW_NUL, NULL);
    const json_t *want = json_object_get(c, "ids"), *messages = json_object_get(c, "messages"), *id;
    struct prompt_markers m;
    struct tokenizer *t = load(json_cstr(c, "model", ""), &m);
    struct ids ids;
    struct buf back;
    size_t i;

    ids_init(&ids, 10000);
    buf_init(&back, 100000);
    if (messages)
        assert_int_equal(encode_chat(t, &m, messages, &ids), TOKENIZER_OK);
    else
        assert_int_equal(tokenizer_encode(t, json_span(c, "text"), false, &ids), TOKENIZER_OK);
    if (ids.n != json_array_size(want))
        fail_msg("%zu ids instead of %zu for %.*s", ids.n, json_array_size(want), (int)bytes, line);
    json_array_foreach(want, i, id) {
        if (ids.p[i] != json_integer_value(id))
            fail_msg("id %zu is %d for %.*s", i, ids.p[i], (int)bytes, line);
        buf_add_span(&back, tokenizer_bytes(t, ids.p[i]));
    }
    assert_true(messages || span_eq(buf_span(&back), json_span(c, "text")));
    buf_free(&back);
    ids_free(&ids);
    tokenizer_free(t);
    json_decref(c);
}

static void ids_are_those_of_the_trainer(void **state)
{
    struct buf path;
    FILE *f;
    char *line = NULL;
    size_t room = 0, cases = 0;
    ssize_t n;

    (void)state;
    buf_init(&path, 4096);
    buf_printf(&path, "%s/" FILE_NAME, getenv("top_srcdir"));
    f = fopen(path.p, "r");
    assert_non_null(f);
    for (; (n = getline(&line, &room, f)) > 0; cases++)
        check_case(line, (size_t)n);
    assert_true(cases >= 20);
    free(line);
    fclose(f);
    buf_free(&path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_those_of_the_trainer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
