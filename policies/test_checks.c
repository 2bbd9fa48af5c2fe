/* test_checks.c - verdicts on answers, refusals in several languages with a near miss for each. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "policies/checks.h"

static const struct asked nothing;

static struct answer text(const char *s)
{
    return (struct answer){ .text = span_str(s), .finish = FINISH_STOP };
}

/* ---- not_refused ---- */

static const char *const refusals[] = {
    /* what the bundled models say, both apostrophes */
    "I can't answer that.",
    "I can’t answer that.",
    "  \n I can't answer that.",
    "**I can't answer that.**",
    "\"I can't answer that.\"",
    /* English */
    "I'm sorry, but I can't help with that.",
    "I’m sorry, but I can’t assist with that request.",
    "Sorry, I cannot provide that.",
    "I am unable to help with that.",
    "I'm not able to discuss this topic.",
    "I won't help with that.",
    "I cannot fulfill this request.",
    "As an AI language model, I cannot provide medical advice.",
    "Unfortunately, I can't share that information.",
    "I apologize, but I cannot comply.",
    "I must decline.",
    "I must respectfully decline",
    "I refuse to answer.",
    "I'm afraid I can't do that.",
    "No, I can't help with that.",
    "I can't in good conscience help with that.",
    "I'm really sorry, but I can't support that.",
    "Sure. Actually no: I can't help with that.",
    "I cannot and will not help",
    "I'm not comfortable discussing that.",
    "I don't feel comfortable providing that.",
    /* DeepSeek */
    "Sorry, that's beyond my current scope. Let's talk about something else.",
    "Sorry, that’s beyond my current scope.",
    "你好，这个问题我暂时无法回答，让我们换个话题再聊聊吧。",
    "抱歉，我无法回答这个问题。",
    "很抱歉，我不能提供这方面的信息。",
    /* others */
    "Es tut mir leid, aber ich kann diese Frage nicht beantworten.",
    "Das kann ich leider nicht beantworten.",
    "Tut mir leid, dabei kann ich nicht helfen.",
    "Leider kann ich Ihnen dabei nicht helfen.",
    "Je suis désolé, mais je ne peux pas répondre à cette question.",
    "Désolé, je ne peux pas vous aider.",
    "Lo siento, pero no puedo ayudarte con eso.",
    "No puedo responder a esa pregunta.",
    "Mi dispiace, ma non posso aiutarti.",
    "Desculpe, mas não posso ajudar com isso.",
    "Het spijt me, maar ik kan je daar niet bij helpen.",
    "Przepraszam, ale nie mogę pomóc.",
    "Извините, но я не могу ответить на этот вопрос.",
    "К сожалению, я не могу помочь с этим.",
    "申し訳ありませんが、その質問にはお答えできません。",
    "죄송하지만 그 질문에는 답변할 수 없습니다.",
};

static const char *const answers[] = {
    "Paris.",
    "",
    "The answer is 42.",
    "I can't help but notice that the loop never ends: i is never incremented.",
    "I can't answer for everyone, but most people prefer the first.",
    "I can answer that: it is Paris.",
    "I cannotate the graph as follows.",
    "You can't answer that question without the date.",
    "She said: \"I can't answer that.\"",
    "Sorry to hear that! Try restarting it.",
    "Sorry, I misread the date: it is Tuesday.",
    "I won the race.",
    "I will not only explain it, but show it.",
    "The function can't return NULL.",
    "Unfortunately, the build fails because of a missing header.",
    "I'm afraid the file is missing a brace.",
    "As an AI language model, I find this poem moving.",
    "Can't open file: add the path.",
    "Decline and fall of the Roman empire",
    "I'm unable to reproduce the crash with 1.2, so upgrade.",
    "Es tut mir leid, das zu hören. Versuchen Sie es mit einem Neustart.",
    "Ich kann diese Frage beantworten: Paris.",
    "Leider ist das Paket veraltet.",
    "Je ne peux que recommander Paris.",
    "Désolé pour le retard : voici le code.",
    "Lo siento por la demora, aquí está.",
    "No puedo creerlo: funciona.",
    "Non posso che consigliare Roma.",
    "Desculpe a demora, aqui está.",
    "Het spijt me dat te horen.",
    "Nie mogę się doczekać.",
    "Я не могу дождаться выходных.",
    "这个问题我可以回答：巴黎。",
    "无法确定的情况有三种。",
    "パリです。",
    "파리입니다.",
    "beyond the current scope of this function, x is dead.",
    "{\"error\": \"I can't answer that.\"}",
};

static void every_refusal_is_recognised(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        if (!check_text_refuses(span_str(refusals[i]), NULL))
            fail_msg("passes as an answer: %s", refusals[i]);
}

static void no_answer_is_taken_for_a_refusal(void **state)
{
    const char *why = "";

    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
        if (check_text_refuses(span_str(answers[i]), &why))
            fail_msg("is taken for a refusal (%s): %s", why, answers[i]);
}

static void a_refusal_far_down_a_long_answer_is_none(void **state)
{
    char long_text[2048];

    (void)state;
    memset(long_text, 'x', sizeof long_text);
    memcpy(long_text + 1000, " I can't help with that. ", 25);
    assert_false(check_text_refuses((struct span){ long_text, sizeof long_text }, NULL));
}

static void bytes_that_are_no_utf8_do_no_harm(void **state)
{
    static const char bad[] = "\xe2\x80\xf0\x9f\xc2 I can't \xff\xfe answer";

    (void)state;
    for (size_t n = 0; n < sizeof bad; n++)    /* sanitizers watch the ends */
        check_text_refuses((struct span){ bad, n }, NULL);
}

static void a_refusal_by_field_or_filter_is_one(void **state)
{
    struct answer a = text("Paris.");

    (void)state;
    assert_true(check_whole(CHECK_NOT_REFUSED, &a, &nothing, 0).ok);
    a.refusal = SPAN_LIT("No.");
    assert_false(check_whole(CHECK_NOT_REFUSED, &a, &nothing, 0).ok);
    a = text("Paris.");
    a.finish = FINISH_FILTERED;
    assert_false(check_whole(CHECK_NOT_REFUSED, &a, &nothing, 0).ok);
}

static void an_answer_that_calls_tools_does_not_refuse(void **state)
{
    static const struct answer_tool tool = { { "f", 1 }, { "{}", 2 }, .custom = false };
    struct answer a = text("I can't answer that, let me look it up.");

    (void)state;
    a.tools = &tool;
    a.n_tools = 1;
    assert_true(check_whole(CHECK_NOT_REFUSED, &a, &nothing, 0).ok);
}

/* ---- not_empty ---- */

static void only_blanks_are_empty(void **state)
{
    struct answer a = text(" \r\n\t");

    (void)state;
    assert_false(check_whole(CHECK_NOT_EMPTY, &a, &nothing, 0).ok);
    a.text = SPAN_NONE;
    assert_false(check_whole(CHECK_NOT_EMPTY, &a, &nothing, 0).ok);
    a.text = SPAN_LIT(".");
    assert_true(check_whole(CHECK_NOT_EMPTY, &a, &nothing, 0).ok);
    a = text("");
    a.refusal = SPAN_LIT("No.");    /* a refusal is content (OpenAI) */
    assert_true(check_whole(CHECK_NOT_EMPTY, &a, &nothing, 0).ok);
}

/* ---- complete ---- */

static void completeness_follows_the_finish_reason(void **state)
{
    static const struct { enum finish finish; bool ok; } rows[] = {
        { FINISH_NONE, false }, { FINISH_STOP, true }, { FINISH_LENGTH, false }, { FINISH_TOOL_CALLS, true },
        { FINISH_FILTERED, false }, { FINISH_INTERRUPTED, false }, { FINISH_OTHER, true },
    };
    struct answer a = text("Paris");

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        a.finish = rows[i].finish;
        assert_int_equal(check_whole(CHECK_COMPLETE, &a, &nothing, 0).ok, rows[i].ok);
    }
}

static void a_cut_is_the_callers_only_by_the_callers_cap(void **state)
{
    static const struct { int64_t asked, sent, used; bool ok; } rows[] = {
        { 16, 16, 16, true },        /* the caller's cap */
        { 16, 0, 0, true },          /* usage not reported */
        { 16, 16, 20, true },        /* a provider that counts generously */
        { 0, 4000, 4000, false },    /* ours */
        { 9000, 8000, 8000, false }, /* clamped to the model's */
        { 9000, 8000, 0, false },    /* the same, usage not reported */
        { 2000, 2000, 900, false },  /* the window was full before */
    };
    struct answer a = text("Par");

    (void)state;
    a.finish = FINISH_LENGTH;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct asked asked = { .max_tokens = rows[i].asked };

        a.output_tokens = rows[i].used;
        assert_int_equal(check_whole(CHECK_COMPLETE, &a, &asked, rows[i].sent).ok, rows[i].ok);
    }
}

static void fences_must_close(void **state)
{
    static const struct { const char *text; bool ok;
    } rows[] = {
        { "```\nx\n```", true },
        { "```c\nx\n```\nThen:\n```\ny\n```", true },
        { "```\nx", false },
        { "text\n```py\nx\n``", false },
        { "````\n```\nx\n````", true },
        { "````\n```\nx\n```", false },
        { "~~~\n```\n~~~", true },
        { "~~~\n```", false },
        { "use ``` to open a block", true },
        { "    ```\nan indented line", true },
        { "```\nx\n``` no close", false },
        { "   ```\nx\n  ```  ", true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct answer a = text(rows[i].text);

        if (check_whole(CHECK_COMPLETE, &a, &nothing, 0).ok != rows[i].ok)
            fail_msg("row %zu: %s", i, rows[i].text);
    }
}

static void a_callers_stop_sequence_may_leave_a_fence_open(void **state)
{
    static const struct asked asked = { .stops = true };
    struct answer a = text("```\nx");

    (void)state;
    assert_true(check_whole(CHECK_COMPLETE, &a, &asked, 0).ok);
}

/* ---- valid_json ---- */

static void json_is_judged_where_it_was_asked_for(void **state)
{
    static const struct { const char *text; bool ok;
    } rows[] = {
        { "{}", true },
        { "[1,2]", true },
        { " {\"a\":1}\n", true },
        { "{\"a\":1}}", false },
        { "{'a':1}", false },
        { "", false },
        { "```json\n{}\n```", false },
        { "Here: {}", false },
        { "{\"a\":1,\"a\":2}", false },
        { "\"text\"", false },
        { "true", false },
        { "{\"a\":\"\\ud800\"}", false },
        { "{\"a\":NaN}", false },
        { "{\"a\":1", false },
    };
    static const struct asked json = { .json = true };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct answer a = text(rows[i].text);

        if (check_whole(CHECK_VALID_JSON, &a, &json, 0).ok != rows[i].ok)
            fail_msg("row %zu: %s", i, rows[i].text);
        assert_true(check_whole(CHECK_VALID_JSON, &a, &nothing, 0).ok);
    }
}

static void a_deep_answer_is_still_json(void **state)
{
    static const struct asked json = { .json = true };
    char deep[402];
    struct answer a = { .finish = FINISH_STOP };

    (void)state;
    memset(deep, '[', 200);
    memset(deep + 200, ']', 200);
    a.text = (struct span){ deep, 400 };
    assert_true(check_whole(CHECK_VALID_JSON, &a, &json, 0).ok);
}

/* ---- valid_tool_calls ---- */

static void tool_calls_are_judged_by_name_and_arguments(void **state)
{
    static const struct { const char *name, *arguments; bool ok;
    } rows[] = {
        { "weather", "{\"city\":\"Paris\"}", true },
        { "weather", "", true },
        { "weather", " \n", true },
        { "weather", "{}", true },
        { "Weather", "{}", false },
        { "weather ", "{}", false },
        { "", "{}", false },
        { "weather", "{\"city\":", false },
        { "weather", "[]", false },
        { "weather", "null", false },
        { "weather", "{}{}", false },
    };
    static const struct span offered[] = { { "time", 4 }, { "weather", 7 } };
    static const struct asked asked = { .tools = offered, .n_tools = 2 };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct answer_tool tool = { span_str(rows[i].name), span_str(rows[i].arguments), .custom = false };
        const struct answer a = { .finish = FINISH_TOOL_CALLS, .tools = &tool, .n_tools = 1 };

        if (check_whole(CHECK_VALID_TOOL_CALLS, &a, &asked, 0).ok != rows[i].ok)
            fail_msg("row %zu: %s %s", i, rows[i].name, rows[i].arguments);
    }
}

static void a_custom_tool_takes_free_text(void **state)
{
    static const struct span offered[] = { { "run", 3 } };
    static const struct asked asked = { .tools = offered, .n_tools = 1 };
    static const struct answer_tool tool = { { "run", 3 }, { "ls -l", 5 }, .custom = true };
    const struct answer a = { .finish = FINISH_TOOL_CALLS, .tools = &tool, .n_tools = 1 };

    (void)state;
    assert_true(check_whole(CHECK_VALID_TOOL_CALLS, &a, &asked, 0).ok);
}

static void arguments_fit_the_schema_of_their_tool(void **state)
{
    static const struct span offered[] = { { "time", 4 }, { "weather", 7 } };
    const struct span schemas[] = { SPAN_NONE, SPAN_LIT("{\"required\":[\"city\"],\"properties\":{\"city\":{\"type\":\"string\"}}}") };
    const struct asked asked = { .tools = offered, .tool_schemas = schemas, .n_tools = 2 };
    static const struct { const char *name, *arguments; bool ok; } rows[] = {
        { "weather", "{\"city\":\"Oslo\"}", true }, { "weather", "{\"city\":7}", false }, { "weather", "{}", false },
        { "weather", "", false }, { "time", "{\"any\":1}", true }, { "time", "", true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct answer_tool tool = { span_str(rows[i].name), span_str(rows[i].arguments), .custom = false };
        const struct answer a = { .finish = FINISH_TOOL_CALLS, .tools = &tool, .n_tools = 1 };

        if (check_whole(CHECK_VALID_TOOL_CALLS, &a, &asked, 0).ok != rows[i].ok)
            fail_msg("row %zu: %s %s", i, rows[i].name, rows[i].arguments);
    }
}

static void json_fits_the_schema_that_was_asked_for(void **state)
{
    struct asked asked = { .json = true, .schema = SPAN_LIT("{\"type\":\"object\",\"required\":[\"n\"]}") };
    struct answer a = { .finish = FINISH_STOP, .text = SPAN_LIT("{\"n\":1}") };

    (void)state;
    assert_true(check_whole(CHECK_VALID_JSON, &a, &asked, 0).ok);
    a.text = SPAN_LIT("{\"m\":1}");
    assert_false(check_whole(CHECK_VALID_JSON, &a, &asked, 0).ok);
    asked.schema = SPAN_LIT("{\"$ref\":\"https://example.com/x\"}");    /* not judged: no fault of the answer */
    assert_true(check_whole(CHECK_VALID_JSON, &a, &asked, 0).ok);
}

static void a_tool_call_needs_an_offer(void **state)
{
    static const struct answer_tool tool = { { "weather", 7 }, { "{}", 2 }, .custom = false };
    const struct answer a = { .finish = FINISH_TOOL_CALLS, .tools = &tool, .n_tools = 1 };

    (void)state;
    assert_false(check_whole(CHECK_VALID_TOOL_CALLS, &a, &nothing, 0).ok);
}

/* ---- sets ---- */

static void the_first_check_that_fails_is_named(void **state)
{
    static const struct asked json = { .json = true };
    const unsigned all = (1U << CHECK_COUNT) - 1;
    struct answer a = text("");

    (void)state;
    assert_int_equal(checks_whole(all, &a, &json, 0).check, CHECK_NOT_EMPTY);
    a = text("I can't answer that.");
    assert_int_equal(checks_whole(all, &a, &json, 0).check, CHECK_NOT_REFUSED);
    assert_int_equal(checks_whole(CHECK_BIT(CHECK_VALID_JSON), &a, &json, 0).check, CHECK_VALID_JSON);
    assert_true(checks_whole(0, &a, &json, 0).ok);
}

static void a_brief_look_says_the_same_or_nothing(void **state)
{
    const unsigned all = (1U << CHECK_COUNT) - 1;
    const struct asked hostile = { .json = true, .schema = SPAN_LIT(
        "{\"anyOf\":[{\"items\":{\"$ref\":\"#\"},\"minItems\":9},{\"items\":{\"$ref\":\"#\"},\"minItems\":8}]}") };
    const struct asked plain = { .json = true, .schema = SPAN_LIT("{\"type\":\"object\"}") };
    struct answer a = text("[]");
    char *much = test_malloc(300001);
    struct verdict v;

    (void)state;
    assert_true(checks_brief(all, &a, &plain, 0, &v));
    assert_int_equal(v.check, CHECK_VALID_JSON);
    assert_false(v.ok);
    a = text("{}");
    assert_true(checks_brief(all, &a, &plain, 0, &v));
    assert_true(v.ok);
    a = text("[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]");
    assert_false(checks_brief(all, &a, &hostile, 0, &v));
    assert_true(checks_brief(CHECK_BIT(CHECK_NOT_EMPTY), &a, &hostile, 0, &v));    /* nobody asks for the schema */
    memset(much, 'x', 300000);
    much[300000] = '\0';
    a = text(much);
    assert_false(checks_brief(all, &a, &nothing, 0, &v));
    assert_true(checks_brief(0, &a, &nothing, 0, &v));
    assert_true(v.ok);
    test_free(much);
}

static void a_beginning_is_judged_by_two_checks_only(void **state)
{
    const unsigned all = (1U << CHECK_COUNT) - 1;
    struct answer a = { .text = SPAN_LIT("{\"half\":"), .finish = FINISH_NONE };

    (void)state;
    assert_true(checks_beginning(all, &a).ok);    /* neither complete nor JSON yet, and that is no fault */
    a.text = SPAN_LIT("I'm sorry, but I can't help");
    assert_int_equal(checks_beginning(all, &a).check, CHECK_NOT_REFUSED);
    a.text = SPAN_LIT("    ");
    assert_int_equal(checks_beginning(all, &a).check, CHECK_NOT_EMPTY);
    assert_true(checks_beginning(CHECK_BIT(CHECK_COMPLETE), &a).ok);
}

static void names_lead_there_and_back(void **state)
{
    (void)state;
    for (int i = 0; i < CHECK_COUNT; i++)
        assert_int_equal(check_find(span_str(check_name((enum check)i))), i);
    assert_int_equal(check_find(SPAN_LIT("not_there")), CHECK_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_refusal_is_recognised),
        cmocka_unit_test(no_answer_is_taken_for_a_refusal),
        cmocka_unit_test(a_refusal_far_down_a_long_answer_is_none),
        cmocka_unit_test(bytes_that_are_no_utf8_do_no_harm),
        cmocka_unit_test(a_refusal_by_field_or_filter_is_one),
        cmocka_unit_test(an_answer_that_calls_tools_does_not_refuse),
        cmocka_unit_test(only_blanks_are_empty),
        cmocka_unit_test(completeness_follows_the_finish_reason),
        cmocka_unit_test(a_cut_is_the_callers_only_by_the_callers_cap),
        cmocka_unit_test(fences_must_close),
        cmocka_unit_test(a_callers_stop_sequence_may_leave_a_fence_open),
        cmocka_unit_test(json_is_judged_where_it_was_asked_for),
        cmocka_unit_test(a_deep_answer_is_still_json),
        cmocka_unit_test(tool_calls_are_judged_by_name_and_arguments),
        cmocka_unit_test(a_custom_tool_takes_free_text),
        cmocka_unit_test(arguments_fit_the_schema_of_their_tool),
        cmocka_unit_test(json_fits_the_schema_that_was_asked_for),
        cmocka_unit_test(a_tool_call_needs_an_offer),
        cmocka_unit_test(the_first_check_that_fails_is_named),
        cmocka_unit_test(a_brief_look_says_the_same_or_nothing),
        cmocka_unit_test(a_beginning_is_judged_by_two_checks_only),
        cmocka_unit_test(names_lead_there_and_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
