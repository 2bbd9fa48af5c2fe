/* test_features.c - what is read from a prompt's text. The examples set the scale of the scores. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "policies/features.h"

static struct features read_text(const char *text)
{
    struct features f;

    features_init(&f);
    features_text(&f, span_str(text));
    features_finish(&f);
    return f;
}

static double score(const char *text, enum feature id)
{
    return read_text(text).value[id];
}

/* The bundled policies call 0.6 mathematics. */
static void reasoning_is_mathematics_and_a_sum_is_not(void **state)
{
    static const char *const hard[] = {
        "Prove by induction that the sum of the first n odd integers equals n^2.",
        "Solve the quadratic equation x^2 + 5x + 6 = 0 and explain each step.",
        "Compute the integral \\int_0^1 \\frac{x^2}{1+x} dx.",
        "Find all eigenvalues of the matrix [[2,1],[1,2]].",
        "Show that if p is prime and p divides ab, then p divides a or b. Use the theorem of Bezout.",
        "What is the probability that two integers chosen at random are coprime? Prove it.",
    };
    static const char *const easy[] = {
        "What is 17 + 25?",
        "What is the capital of France?",
        "Write a poem about the sea.",
        "Sort these words: pear, apple, fig.",
        "Translate \"good morning\" to German.",
        "On 2024-05-01 we met 12 people at 10:30. Summarise the minutes.",
        "How many days are there between 3 March 2024 and 9 April 2024?",
        "My order 4711 has not arrived; it was sent on 12/11/2026.",
        "Please improve the wording of this letter to my landlord about the heating.",
        "",
    };

    (void)state;
    for (size_t i = 0; i < sizeof hard / sizeof *hard; i++)
        if (score(hard[i], FEATURE_MATH) < 0.6)
            fail_msg("%.3f: %s", score(hard[i], FEATURE_MATH), hard[i]);
    for (size_t i = 0; i < sizeof easy / sizeof *easy; i++)
        if (score(easy[i], FEATURE_MATH) >= 0.6)
            fail_msg("%.3f: %s", score(easy[i], FEATURE_MATH), easy[i]);
}

static void a_mention_of_mathematics_in_a_long_text_is_little(void **state)
{
    static const char text[] =
        "Dear team, thank you for the offsite last week. The talks about the roadmap were very good, and I liked the "
        "one on "
        "probability most. I would like to repeat this in spring, perhaps somewhere warmer, and with fewer slides. "
        "Could you "
        "send me a list of places that we could visit, and what they would cost for twenty people over three days?";

    (void)state;
    assert_true(score(text, FEATURE_MATH) < 0.2);
}

static void code_is_a_share_of_the_text(void **state)
{
    (void)state;
    assert_true(score("int main(void)\n{\n    return 0;\n}\n", FEATURE_CODE) > 0.7);
    assert_true(
        score("What does this do?\n```py\nfor x in range(10):\n    print(x)\n    y = x * x\n    total += y\n```\n",
              FEATURE_CODE) > 0.5);
    assert_true(score("def f(x):\n    return x + 1\n", FEATURE_CODE) > 0.9);
    assert_true(score("Write a short story about a dragon. It should end well.", FEATURE_CODE) < 0.01);
    assert_true(score("From the hills, we saw the sea.\nImport duties rose, and so did prices.\nFor (almost) everyone "
                      "it was hard.",
                      FEATURE_CODE) < 0.01);
    assert_true(score("", FEATURE_CODE) < 0.01);
}

static void files_are_counted_once_each(void **state)
{
    static const struct { const char *text; int files; } rows[] = {
        { "Move the parser from src/main.c to src/parse.c and declare it in src/parse.h.", 3 },
        { "main.c and main.c and again main.c", 1 },
        { "See README.md.", 1 },
        { "Look at app.py:12, then app.py:40", 1 },
        { "I use Node.js and Vue.js with version 1.5, e.g. for a.m. jobs, i.e. at 3.14.", 0 },
        { "https://example.com/index.html is down", 0 },
        { "a sentence. Another one.And more", 0 },
        { "config.yaml, Dockerfile, docker-compose.yml", 2 },
        { "```c\nint x;\n```\nand\n```c\nint y;\n```\n", 2 },
        { "src/a.c:\n```c\nint x;\n```\n", 1 },
        { "```c src/a.c\nint x;\n```\n", 1 },
        { "archive.tar.gz", 0 },
        { "lib/x.test.ts", 1 },
        { ".json", 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if ((int)score(rows[i].text, FEATURE_FILES) != rows[i].files)
            fail_msg("%d files, expected %d: %s", (int)score(rows[i].text, FEATURE_FILES), rows[i].files, rows[i].text);
}

static void attachments_are_files(void **state)
{
    struct features f;

    (void)state;
    features_init(&f);
    features_file(&f, SPAN_LIT("a.pdf"));
    features_file(&f, SPAN_LIT("a.pdf"));
    features_file(&f, SPAN_NONE);
    features_file(&f, SPAN_LIT(""));
    features_text(&f, SPAN_LIT("see a.pdf and b.c"));
    features_finish(&f);
    assert_int_equal((int)f.value[FEATURE_FILES], 4);    /* a.pdf, two without a name, b.c */
}

static void more_names_than_are_kept_do_no_harm(void **state)
{
    struct features f;
    char text[4096];
    size_t n = 0;

    (void)state;
    for (int i = 0; i < 100; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "dir%d/file%d.c ", i, i);
    features_init(&f);
    features_text(&f, (struct span){ text, n });
    features_finish(&f);
    assert_int_equal((int)f.value[FEATURE_FILES], FEATURE_FILES_MAX);
}

static void text_above_the_bound_is_not_read(void **state)
{
    static char text[FEATURE_TEXT_MAX + 1000];
    struct features f;

    (void)state;
    memset(text, 'a', sizeof text);
    features_init(&f);
    for (int i = 0; i < 3; i++)
        features_text(&f, (struct span){ text, sizeof text });
    assert_int_equal(f.scan.bytes, FEATURE_TEXT_MAX);
}

static void pieces_end_anywhere_without_overrun(void **state)
{
    static const char text[] = "see src/a.c: x^2 + \\frac{1}{2}\n```py\nprint(1)\n```\n(f):\n.";

    (void)state;
    for (size_t from = 0; from < sizeof text; from++) {
        for (size_t to = from; to < sizeof text; to++) {
            struct features f;
            char *copy = test_malloc(to - from + 1);    /* exact, so that sanitizers see the end */

            memcpy(copy, text + from, to - from);
            features_init(&f);
            features_text(&f, (struct span){ copy, to - from });
            features_finish(&f);
            test_free(copy);
        }
    }
}

static void facts_of_the_request_become_features(void **state)
{
    struct features f;
    static const struct span tool = { "f", 1 };

    (void)state;
    features_init(&f);
    f.asked = (struct asked){ .json = true, .tools = &tool, .n_tools = 1, .max_tokens = 77 };
    f.stream = true;
    f.parts = (struct estimate_parts){ .text_bytes = 400, .tool_bytes = 41, .messages = 3, .images = 2 };
    features_finish(&f);
    assert_int_equal((int)f.value[FEATURE_JSON_MODE], 1);
    assert_int_equal((int)f.value[FEATURE_STREAM], 1);
    assert_int_equal((int)f.value[FEATURE_TOOLS], 1);
    assert_int_equal((int)f.value[FEATURE_MAX_TOKENS], 77);
    assert_int_equal((int)f.value[FEATURE_MESSAGES], 3);
    assert_int_equal((int)f.value[FEATURE_IMAGES], 2);
    assert_int_equal((int)f.value[FEATURE_PROMPT_TOKENS], 111);    /* (400 + 41) / 4, rounded up */
}

static void names_lead_there_and_back(void **state)
{
    (void)state;
    for (int i = 0; i < FEATURE_COUNT; i++)
        assert_int_equal(feature_find(span_str(feature_name((enum feature)i))), i);
    assert_int_equal(feature_find(SPAN_LIT("maths")), FEATURE_COUNT);
    for (unsigned b = BOOK_TEXT; b <= BOOK_FILE; b <<= 1)
        assert_int_equal(book_modality(span_str(feature_modality_name(b))), b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reasoning_is_mathematics_and_a_sum_is_not),
        cmocka_unit_test(a_mention_of_mathematics_in_a_long_text_is_little),
        cmocka_unit_test(code_is_a_share_of_the_text),
        cmocka_unit_test(files_are_counted_once_each),
        cmocka_unit_test(attachments_are_files),
        cmocka_unit_test(more_names_than_are_kept_do_no_harm),
        cmocka_unit_test(text_above_the_bound_is_not_read),
        cmocka_unit_test(pieces_end_anywhere_without_overrun),
        cmocka_unit_test(facts_of_the_request_become_features),
        cmocka_unit_test(names_lead_there_and_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
