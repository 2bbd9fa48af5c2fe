/* test_json_schema.c - each keyword of draft 2020-12, and the traps that the public JSON-Schema-Test-Suite is known for. The
 * cases are ours; what is right is read from the draft. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/jscan.h"
#include "policies/decimal.h"
#include "policies/json_schema.h"

struct row {
    const char *schema, *fits[6], *misfits[6];
};

static const struct row rows[] = {
    { "true", { "1", "{}" }, { NULL } },
    { "{}", { "1", "{}", "null" }, { NULL } },
    { "false", { NULL }, { "1", "null" } },

    { "{\"type\":\"integer\"}", { "1", "-0", "1.0", "1e2", "100e-2" }, { "1.5", "\"1\"", "true", "null", "1e-1" } },
    { "{\"type\":\"number\"}", { "1.5", "1" }, { "\"1\"", "null" } },
    { "{\"type\":\"string\"}", { "\"\"" }, { "1", "{}" } },
    { "{\"type\":\"boolean\"}", { "true", "false" }, { "0", "\"true\"", "null" } },
    { "{\"type\":\"null\"}", { "null" }, { "0", "\"\"", "false" } },
    { "{\"type\":\"array\"}", { "[]" }, { "{}" } },
    { "{\"type\":\"object\"}", { "{}" }, { "[]" } },
    { "{\"type\":[\"string\",\"null\"]}", { "\"a\"", "null" }, { "1" } },
    { "{\"type\":\"STRING\",\"nullable\":true}", { "\"a\"", "null" }, { "1" } },

    { "{\"enum\":[1,\"a\",{\"b\":[2]},null]}", { "1.0", "\"a\"", "{\"b\":[2]}", "null", "\"\\u0061\"" }, { "2", "\"b\"", "{\"b\":[3]}", "{}" } },
    { "{\"const\":9007199254740993}", { "9007199254740993", "9007199254740993.0" }, { "9007199254740992" } },
    { "{\"const\":{\"a\":1,\"b\":2}}", { "{\"b\":2,\"a\":1}" }, { "{\"a\":1}", "{\"a\":1,\"b\":2,\"c\":3}" } },
    { "{\"const\":[false]}", { "[false]" }, { "[0]", "[null]" } },
    { "{\"const\":null}", { "null" }, { "0", "false" } },

    { "{\"minimum\":1.1}", { "1.1", "1.10", "2", "\"0\"" }, { "1.09", "-5" } },
    { "{\"maximum\":3}", { "3", "3.0", "-1" }, { "3.0000000000000000000000001", "4" } },
    { "{\"exclusiveMinimum\":0}", { "0.1" }, { "0", "-0", "0e5" } },
    { "{\"exclusiveMaximum\":0}", { "-0.1" }, { "0", "1" } },
    { "{\"minimum\":-10}", { "-9", "-10" }, { "-11", "-1e2" } },
    { "{\"multipleOf\":0.01}", { "0.07", "4.35", "1e300", "0" }, { "0.075", "0.001" } },
    { "{\"multipleOf\":3}", { "9", "-9", "3e10" }, { "10", "3.1" } },
    { "{\"multipleOf\":10}", { "20", "1e5" }, { "25", "5" } },

    { "{\"minLength\":2}", { "\"ab\"", "\"\\u00e9e\"", "1" }, { "\"a\"", "\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\"" } },
    { "{\"maxLength\":1}", { "\"\\ud83d\\ude00\"", "\"\\n\"", "\"\xc3\xa9\"" }, { "\"ab\"" } },
    { "{\"maxLength\":2.0}", { "\"ab\"" }, { "\"abc\"" } },
    { "{\"pattern\":\"^a+$\"}", { "\"aaa\"", "1" }, { "\"ab\"", "\"a\\n\"", "\"\"" } },
    { "{\"pattern\":\"b\"}", { "\"abc\"" }, { "\"ac\"" } },
    { "{\"pattern\":\"^\\\\d$\"}", { "\"7\"" }, { "\"\\u0669\"" } },
    { "{\"pattern\":\"^\\\\u00e9$\"}", { "\"\\u00e9\"" }, { "\"e\"" } },

    { "{\"properties\":{\"a\":{\"type\":\"string\"}}}", { "{}", "{\"a\":\"x\"}", "{\"b\":1}", "[]" }, { "{\"a\":1}" } },
    { "{\"properties\":{\"\\u0061\":{\"type\":\"string\"}}}", { "{\"a\":\"x\"}" }, { "{\"a\":1}" } },
    { "{\"required\":[\"a\",\"b\"]}", { "{\"a\":1,\"b\":null}", "1" }, { "{\"a\":1}", "{}" } },
    { "{\"properties\":{\"a\":true},\"additionalProperties\":false}", { "{\"a\":1}", "{}" }, { "{\"b\":1}", "{\"a\":1,\"b\":1}" } },
    { "{\"patternProperties\":{\"^x-\":{\"type\":\"integer\"}},\"additionalProperties\":{\"type\":\"string\"}}",
      { "{\"x-a\":1,\"b\":\"s\"}" }, { "{\"x-a\":\"s\"}", "{\"b\":1}" } },
    { "{\"properties\":{\"foo\":{\"maximum\":3}},\"patternProperties\":{\"f.o\":{\"minimum\":2}}}", { "{\"foo\":2}" }, { "{\"foo\":1}", "{\"foo\":4}" } },
    { "{\"propertyNames\":{\"maxLength\":3}}", { "{\"abc\":1}", "{}" }, { "{\"abcd\":1}" } },
    { "{\"propertyNames\":false}", { "{}" }, { "{\"a\":1}" } },
    { "{\"minProperties\":1,\"maxProperties\":2}", { "{\"a\":1}", "{\"a\":1,\"b\":1}", "1" }, { "{}", "{\"a\":1,\"b\":1,\"c\":1}" } },
    { "{\"dependentRequired\":{\"a\":[\"b\"]}}", { "{}", "{\"b\":1}", "{\"a\":1,\"b\":1}" }, { "{\"a\":1}" } },
    { "{\"dependentSchemas\":{\"a\":{\"required\":[\"b\"]}}}", { "{\"b\":1}", "{\"a\":1,\"b\":1}" }, { "{\"a\":1}" } },
    { "{\"properties\":{\"__proto__\":{\"type\":\"number\"},\"constructor\":{\"type\":\"string\"}}}",
      { "{\"constructor\":\"a\"}" }, { "{\"__proto__\":\"a\"}", "{\"constructor\":1}" } },
    { "{\"properties\":{\"$ref\":{\"type\":\"string\"}}}", { "{\"$ref\":\"a\"}" }, { "{\"$ref\":2}" } },

    { "{\"items\":{\"type\":\"integer\"}}", { "[]", "[1,2]", "{}" }, { "[1,\"a\"]" } },
    { "{\"items\":false}", { "[]" }, { "[1]" } },
    { "{\"prefixItems\":[{\"type\":\"integer\"},{\"type\":\"string\"}]}", { "[]", "[1]", "[1,\"a\",null]" }, { "[\"a\"]", "[1,2]" } },
    { "{\"prefixItems\":[{\"type\":\"integer\"}],\"items\":{\"type\":\"string\"}}", { "[1,\"a\",\"b\"]" }, { "[1,2]", "[\"a\"]" } },
    { "{\"minItems\":1,\"maxItems\":2}", { "[1]", "[1,2]", "1" }, { "[]", "[1,2,3]" } },
    { "{\"uniqueItems\":true}", { "[1,2]", "[1,true]", "[0,false]", "[{\"a\":1},{\"a\":2}]", "[\"1\",1]" },
      { "[1,1.0]", "[{\"a\":1,\"b\":2},{\"b\":2,\"a\":1}]", "[[1],[1]]", "[null,null]", "[\"a\",\"\\u0061\"]" } },
    { "{\"uniqueItems\":false}", { "[1,1]" }, { NULL } },
    { "{\"contains\":{\"minimum\":5}}", { "[1,5]", "1" }, { "[]", "[1,2]" } },
    { "{\"contains\":{\"minimum\":5},\"minContains\":2,\"maxContains\":3}", { "[5,6]", "[1,5,6,7]" }, { "[5]", "[5,6,7,8]" } },
    { "{\"contains\":{\"minimum\":5},\"minContains\":0}", { "[]", "[1]" }, { NULL } },
    { "{\"maxContains\":1}", { "[1,2,3]" }, { NULL } },

    { "{\"allOf\":[{\"minimum\":1},{\"maximum\":3}]}", { "2" }, { "0", "4" } },
    { "{\"anyOf\":[{\"type\":\"string\"},{\"minimum\":2}]}", { "\"a\"", "3" }, { "1" } },
    { "{\"oneOf\":[{\"minimum\":1},{\"multipleOf\":2}]}", { "1", "-2" }, { "2", "-1" } },
    { "{\"not\":{\"type\":\"integer\"}}", { "\"a\"", "1.5" }, { "1" } },
    { "{\"not\":{}}", { NULL }, { "1", "{}" } },
    { "{\"if\":{\"properties\":{\"k\":{\"const\":\"a\"}}},\"then\":{\"required\":[\"x\"]},\"else\":{\"required\":[\"y\"]}}",
      { "{\"k\":\"a\",\"x\":1}", "{\"k\":\"b\",\"y\":1}" }, { "{\"k\":\"a\",\"y\":1}", "{\"k\":\"b\"}", "{}" } },
    { "{\"then\":{\"type\":\"string\"},\"else\":{\"type\":\"string\"}}", { "1" }, { NULL } },
    { "{\"if\":true,\"then\":{\"const\":1},\"else\":{\"const\":2}}", { "1" }, { "2" } },

    { "{\"$defs\":{\"p\":{\"type\":\"integer\"}},\"properties\":{\"a\":{\"$ref\":\"#/$defs/p\"}}}", { "{\"a\":1}" }, { "{\"a\":\"x\"}" } },
    { "{\"definitions\":{\"p q\":{\"type\":\"integer\"}},\"$ref\":\"#/definitions/p%20q\"}", { "1" }, { "\"x\"" } },
    { "{\"$defs\":{\"a/b\":{\"type\":\"integer\"},\"c~d\":{\"type\":\"string\"}},\"properties\":{\"x\":{\"$ref\":\"#/$defs/a~1b\"},\"y\":{\"$ref\":\"#/$defs/c~0d\"}}}",
      { "{\"x\":1,\"y\":\"s\"}" }, { "{\"x\":\"s\"}", "{\"y\":1}" } },
    { "{\"$defs\":{\"x\":{\"$anchor\":\"here\",\"type\":\"integer\"}},\"$ref\":\"#here\"}", { "1" }, { "\"x\"" } },
    { "{\"properties\":{\"v\":{\"type\":\"integer\"},\"next\":{\"$ref\":\"#\"}},\"additionalProperties\":false}",
      { "{\"v\":1,\"next\":{\"v\":2,\"next\":{}}}" }, { "{\"next\":{\"next\":{\"w\":1}}}", "{\"next\":{\"v\":\"x\"}}" } },
    { "{\"$ref\":\"#/$defs/a\",\"maximum\":3,\"$defs\":{\"a\":{\"minimum\":1}}}", { "2" }, { "0", "4" } },

    { "{\"properties\":{\"a\":true},\"unevaluatedProperties\":false}", { "{\"a\":1}" }, { "{\"b\":1}" } },
    { "{\"allOf\":[{\"properties\":{\"a\":true}}],\"unevaluatedProperties\":false}", { "{\"a\":1}" }, { "{\"a\":1,\"b\":1}" } },
    { "{\"anyOf\":[{\"properties\":{\"a\":{\"const\":1}},\"required\":[\"a\"]},{\"properties\":{\"b\":true}}],\"unevaluatedProperties\":false}",
      { "{\"a\":1,\"b\":2}", "{\"b\":2}", "{\"a\":1}" }, { "{\"a\":2,\"b\":2}", "{\"c\":1}" } },
    { "{\"$ref\":\"#/$defs/x\",\"$defs\":{\"x\":{\"properties\":{\"a\":true}}},\"unevaluatedProperties\":{\"type\":\"string\"}}",
      { "{\"a\":1}", "{\"a\":1,\"b\":\"s\"}" }, { "{\"b\":1}" } },
    { "{\"if\":{\"properties\":{\"k\":{\"const\":1}},\"required\":[\"k\"]},\"then\":{\"properties\":{\"x\":true}},\"unevaluatedProperties\":false}",
      { "{\"k\":1,\"x\":2}", "{}" }, { "{\"x\":2}", "{\"k\":1,\"y\":2}" } },
    { "{\"not\":{\"properties\":{\"a\":{\"const\":1}},\"required\":[\"a\"]},\"unevaluatedProperties\":false}", { "{}" }, { "{\"a\":2}" } },
    { "{\"prefixItems\":[true],\"unevaluatedItems\":false}", { "[1]", "[]" }, { "[1,2]" } },
    { "{\"contains\":{\"const\":7},\"unevaluatedItems\":false}", { "[7,7]" }, { "[7,1]" } },
    { "{\"items\":true,\"unevaluatedItems\":false}", { "[1,2,3]" }, { NULL } },
    { "{\"allOf\":[{\"prefixItems\":[true,{\"type\":\"string\"}]}],\"unevaluatedItems\":false}", { "[1,\"a\"]" }, { "[1,\"a\",2]" } },
    { "{\"properties\":{\"o\":{\"properties\":{\"a\":true},\"unevaluatedProperties\":false}}}", { "{\"o\":{\"a\":1},\"p\":1}" }, { "{\"o\":{\"b\":1}}" } },
    { "{\"allOf\":[{\"unevaluatedProperties\":false}],\"properties\":{\"a\":true}}", { "{}" }, { "{\"a\":1}" } },

    { "{\"format\":\"email\"}", { "\"no email\"", "1" }, { NULL } },
    { "{\"title\":\"t\",\"description\":\"d\",\"default\":1,\"examples\":[2],\"$comment\":\"c\",\"x-unknown\":{}}", { "null" }, { NULL } },
    { "{\"type\":\"object\",\"properties\":{\"steps\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\"}},"
      "\"required\":[\"n\"],\"additionalProperties\":false}}},\"required\":[\"steps\"],\"additionalProperties\":false}",
      { "{\"steps\":[{\"n\":1},{\"n\":2}]}" }, { "{\"steps\":[{\"n\":1},{}]}", "{\"steps\":[{\"n\":1,\"m\":2}]}", "{\"steps\":null}" } },
};

static void must_be_json(const char *text)
{
    struct jscan *s = jscan_new(&jscan_default_limits, 1);

    if (jscan_feed(s, span_str(text)) == JSCAN_BAD || jscan_end(s) != JSCAN_DONE)
        fail_msg("no JSON in the table: %s", text);
    jscan_free(s);
}

static void check(const char *schema, const char *value, enum schema_verdict want)
{
    char why[160];
    enum schema_verdict got;

    must_be_json(schema);
    must_be_json(value);
    got = json_schema_check(span_str(schema), span_str(value), why, sizeof why);
    if (got != want)
        fail_msg("%s\n  %s\n  gives %d (%s), should be %d", schema, value, got, why, want);
    assert_true((why[0] == '\0') == (got == SCHEMA_FITS));
}

static void every_keyword_judges_as_the_draft_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t j = 0; j < 6; j++) {
            if (rows[i].fits[j])
                check(rows[i].schema, rows[i].fits[j], SCHEMA_FITS);
            if (rows[i].misfits[j])
                check(rows[i].schema, rows[i].misfits[j], SCHEMA_MISFIT);
        }
}

static void what_is_not_judged_is_said_and_never_passes(void **state)
{
    (void)state;
    check("{\"$ref\":\"https://example.com/schema\"}", "1", SCHEMA_UNJUDGED);
    check("{\"$ref\":\"#/nowhere\"}", "1", SCHEMA_UNJUDGED);
    check("{\"$ref\":\"other.json#/a\"}", "1", SCHEMA_UNJUDGED);
    check("{\"$dynamicRef\":\"#node\"}", "1", SCHEMA_UNJUDGED);
    check("{\"$recursiveRef\":\"#\"}", "1", SCHEMA_UNJUDGED);
    check("{\"pattern\":\"(\"}", "\"a\"", SCHEMA_UNJUDGED);
    check("{\"multipleOf\":0.1234567890123456789}", "1", SCHEMA_UNJUDGED);
}

static void a_schema_without_end_ends(void **state)
{
    (void)state;
    check("{\"$ref\":\"#\"}", "1", SCHEMA_UNJUDGED);
    check("{\"allOf\":[{\"$ref\":\"#\"},{\"$ref\":\"#\"}]}", "1", SCHEMA_UNJUDGED);
    check("{\"$defs\":{\"a\":{\"$ref\":\"#/$defs/b\"},\"b\":{\"$ref\":\"#/$defs/a\"}},\"$ref\":\"#/$defs/a\"}", "1", SCHEMA_UNJUDGED);
    check("{\"pattern\":\"^(a+)+$\"}", "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\"", SCHEMA_UNJUDGED);
}

/* Where the brief check says anything, it says what the long one does. */
static void the_brief_check_agrees_or_says_that_it_takes_longer(void **state)
{
    static const struct { const char *schema, *value; } long_ones[] = {
        { "{\"pattern\":\"^(a+)+$\"}", "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\"" },
        { "{\"anyOf\":[{\"items\":{\"$ref\":\"#\"},\"minItems\":9},{\"items\":{\"$ref\":\"#\"},\"minItems\":8}]}",
          "[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]" },
    };
    unsigned steps;
    enum schema_verdict v;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t j = 0; j < 6; j++)
            for (int fits = 0; fits < 2; fits++) {
                const char *value = fits ? rows[i].fits[j] : rows[i].misfits[j];

                steps = JSON_SCHEMA_BRIEF;
                if (!value)
                    continue;
                if (!json_schema_check_briefly(span_str(rows[i].schema), span_str(value), &steps, &v))
                    fail_msg("%s is too much for the brief check", rows[i].schema);
                assert_int_equal(v, fits ? SCHEMA_FITS : SCHEMA_MISFIT);
                assert_true(steps < JSON_SCHEMA_BRIEF);
            }
    for (size_t i = 0; i < sizeof long_ones / sizeof long_ones[0]; i++) {
        steps = JSON_SCHEMA_BRIEF;
        assert_false(json_schema_check_briefly(span_str(long_ones[i].schema), span_str(long_ones[i].value), &steps, &v));
    }
    steps = 0;    /* used up by what was checked before */
    assert_false(json_schema_check_briefly(SPAN_LIT("{}"), SPAN_LIT("1"), &steps, &v));
    steps = JSON_SCHEMA_BRIEF;    /* what cannot be judged at all is no longer tried elsewhere */
    assert_true(json_schema_check_briefly(SPAN_LIT("{\"$ref\":\"other.json\"}"), SPAN_LIT("1"), &steps, &v));
    assert_int_equal(v, SCHEMA_UNJUDGED);
}

static void the_first_misfit_is_named_with_its_place(void **state)
{
    char why[160];

    (void)state;
    json_schema_check(SPAN_LIT("{\"properties\":{\"steps\":{\"items\":{\"required\":[\"n\"]}}}}"),
                      SPAN_LIT("{\"steps\":[{\"n\":1},{}]}"), why, sizeof why);
    assert_string_equal(why, "/steps/1: \"n\" is missing");
}

static void a_keyword_that_is_not_judged_is_found_before_anything_is_spent(void **state)
{
    char keyword[32];

    (void)state;
    json_schema_unsupported(SPAN_LIT("{\"properties\":{\"a\":{\"$ref\":\"https://example.com/x\"}}}"), keyword, sizeof keyword);
    assert_string_equal(keyword, "$ref");
    json_schema_unsupported(SPAN_LIT("{\"properties\":{\"$ref\":{\"type\":\"string\"},\"b\":{\"$ref\":\"#\"}}}"), keyword, sizeof keyword);
    assert_string_equal(keyword, "");
}

static void decimals_compare_as_written(void **state)
{
    static const struct { const char *a, *b; int want; } table[] = {
        { "0", "-0", 0 }, { "1", "1.000", 0 }, { "100", "1e2", 0 }, { "0.001", "1e-3", 0 }, { "-1", "-2", 1 }, { "2", "10", -1 },
        { "-0.5", "0.5", -1 }, { "1e400", "1e399", 1 }, { "9007199254740993", "9007199254740992", 1 }, { "0e9", "0.0", 0 },
        { "123456789012345678901234567890", "123456789012345678901234567891", -1 }, { "1e99999999999999999999", "1", 1 },
        { "12e-1", "1.2", 0 }, { "0.10", "0.1", 0 }, { "-3", "2", -1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const int got = decimal_compare(span_str(table[i].a), span_str(table[i].b));
        const int back = decimal_compare(span_str(table[i].b), span_str(table[i].a));

        if ((got > 0) - (got < 0) != table[i].want || (back > 0) - (back < 0) != -table[i].want)
            fail_msg("%s against %s gives %d and %d", table[i].a, table[i].b, got, back);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_keyword_judges_as_the_draft_says),
        cmocka_unit_test(what_is_not_judged_is_said_and_never_passes),
        cmocka_unit_test(a_schema_without_end_ends),
        cmocka_unit_test(the_brief_check_agrees_or_says_that_it_takes_longer),
        cmocka_unit_test(the_first_misfit_is_named_with_its_place),
        cmocka_unit_test(a_keyword_that_is_not_judged_is_found_before_anything_is_spent),
        cmocka_unit_test(decimals_compare_as_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
