#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/jschema.h"
#include "schemas/bundled.h"

static json_t *tree(const char *text)
{
    json_error_t e;
    json_t *t = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);

    if (!t)
        fail_msg("%s: %s", text, e.text);
    return t;
}

/* The problems of a document as lines "pointer: text (hint)"; "" for none. Valid until the next call. */
static const char *faults(const char *schema, const char *doc)
{
    static char out[8192];
    struct problems ps;
    json_t *s = tree(schema), *d = tree(doc);
    size_t n = 0;
    bool ok;

    problems_init(&ps);
    ok = jschema_check(s, d, &ps);
    assert_int_equal(ok, ps.errors == 0);
    out[0] = '\0';
    for (size_t i = 0; i < ps.n && n < sizeof out; i++) {
        const struct problem *p = &ps.list[i];

        n += (size_t)snprintf(out + n, sizeof out - n, "%s%s%s: %s%s%s%s", i ? "\n" : "", p->weight ? "" : "warning ",
                              p->pointer, p->text, p->hint ? " (" : "", p->hint ? p->hint : "", p->hint ? ")" : "");
    }
    problems_free(&ps);
    json_decref(s);
    json_decref(d);
    return out;
}

struct row {
    const char *schema, *doc, *want;
};

static void run(const struct row *rows, size_t n)
{
    int wrong = 0;

    for (size_t i = 0; i < n; i++) {
        const char *got = faults(rows[i].schema, rows[i].doc);

        if (strcmp(got, rows[i].want) == 0)
            continue;
        print_error("%s of %s gave\n  %s\nwanted\n  %s\n", rows[i].schema, rows[i].doc, got, rows[i].want);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}
#define RUN(rows) run(rows, sizeof(rows) / sizeof((rows)[0]))

static void a_value_of_the_wrong_type_is_told_the_right_one(void **state)
{
    static const struct row rows[] = {
        { "{\"type\":\"string\"}", "\"x\"", "" },
        { "{\"type\":\"string\"}", "1", ": must be a string, not a number" },
        { "{\"type\":\"string\"}", "1.5", ": must be a string, not a number with a fraction or exponent" },
        { "{\"type\":\"string\"}", "null", ": must be a string, not null" },
        { "{\"type\":\"object\"}", "[]", ": must be an object, not a list" },
        { "{\"type\":\"array\"}", "{}", ": must be a list, not an object" },
        { "{\"type\":\"boolean\"}", "\"true\"", ": must be true or false, not a string" },
        { "{\"type\":\"boolean\"}", "false", "" },
        { "{\"type\":\"null\"}", "null", "" },
        { "{\"type\":\"null\"}", "false", ": must be null, not false" },
        { "{\"type\":\"integer\"}", "12", "" },
        { "{\"type\":\"integer\"}", "1.0", ": must be a whole number, not a number with a fraction or exponent" },
        { "{\"type\":\"integer\"}", "\"1\"", ": must be a whole number, not a string" },
        { "{\"type\":\"number\"}", "1.5", "" },
        { "{\"type\":\"number\"}", "1", "" },
        { "{\"type\":\"number\"}", "true", ": must be a number, not true" },
        { "{\"type\":[\"string\",\"null\"]}", "null", "" },
        { "{\"type\":[\"string\",\"null\"]}", "1", ": must be a string or null, not a number" },
        { "{\"type\":[\"object\",\"array\",\"string\"]}", "1", ": must be an object, a list or a string, not a number" },
        { "{}", "1", "" },
        { "true", "1", "" },
        { "false", "1", ": is not allowed here" },
    };

    (void)state;
    RUN(rows);
}

/* One wrong type is one fault: what else is said was meant for the right type. */
static void a_wrong_type_hides_the_other_keywords(void **state)
{
    static const struct row rows[] = {
        { "{\"type\":\"string\",\"enum\":[\"a\"],\"minLength\":3}", "1", ": must be a string, not a number" },
        { "{\"minLength\":3,\"minimum\":3,\"minItems\":3,\"required\":[\"a\"]}", "true", "" },
    };

    (void)state;
    RUN(rows);
}

static void enum_and_const_list_what_is_allowed(void **state)
{
    static const struct row rows[] = {
        { "{\"enum\":[\"day\",\"week\"]}", "\"day\"", "" },
        { "{\"enum\":[\"day\",\"week\",\"month\"]}", "\"dya\"",
          ": must be one of \"day\", \"week\" or \"month\" (did you mean \"day\"?)" },
        { "{\"enum\":[\"day\",\"week\"]}", "\"fortnight\"", ": must be one of \"day\" or \"week\"" },
        { "{\"enum\":[1,true,null]}", "2", ": must be one of 1, true or null" },
        { "{\"enum\":[1]}", "1.0", ": must be 1" },
        { "{\"enum\":[{\"a\":1}]}", "{\"a\":1}", "" },
        { "{\"const\":\"x\"}", "\"x\"", "" },
        { "{\"const\":\"x\"}", "\"y\"", ": must be \"x\"" },
        { "{\"const\":1}", "true", ": must be 1" },
    };

    (void)state;
    RUN(rows);
}

static void bounds_of_numbers_are_inclusive_and_exact(void **state)
{
    static const struct row rows[] = {
        { "{\"minimum\":1}", "1", "" },
        { "{\"minimum\":1}", "0", ": must be at least 1" },
        { "{\"maximum\":2}", "2", "" },
        { "{\"maximum\":2}", "3", ": must be at most 2" },
        { "{\"maximum\":2}", "2.5", ": must be at most 2" },
        { "{\"maximum\":0.5}", "0.5", "" },
        { "{\"maximum\":0.5}", "1", ": must be at most 0.5" },
        { "{\"maximum\":9223372036854775806}", "9223372036854775807", ": must be at most 9223372036854775806" },
        { "{\"minimum\":5,\"maximum\":2}", "3", ": must be at least 5\n: must be at most 2" },
    };

    (void)state;
    RUN(rows);
}

static void lengths_of_strings_are_counted_in_characters(void **state)
{
    static const struct row rows[] = {
        { "{\"minLength\":2}", "\"ab\"", "" },
        { "{\"minLength\":2}", "\"a\"", ": must have at least 2 characters" },
        { "{\"minLength\":1}", "\"\"", ": must not be empty" },
        { "{\"minLength\":0}", "\"\"", "" },
        { "{\"maxLength\":2}", "\"\\u20ac\\ud83d\\ude00\"", "" },
        { "{\"maxLength\":2}", "\"abc\"", ": must have at most 2 characters" },
    };

    (void)state;
    RUN(rows);
}

static void a_pattern_is_searched_for_unless_anchored(void **state)
{
    static const struct row rows[] = {
        { "{\"pattern\":\"b\"}", "\"abc\"", "" },
        { "{\"pattern\":\"^b\"}", "\"abc\"", ": does not match ^b: \"abc\"" },
        { "{\"pattern\":\"^[0-9]+(\\\\.[0-9]{1,6})?$\"}", "\"0.14\"", "" },
        { "{\"pattern\":\"^[0-9]+$\"}", "\"1x\"", ": does not match ^[0-9]+$: \"1x\"" },
        { "{\"pattern\":\"^[0-9]+$\",\"hint\":\"such as \\\"12\\\"\"}", "\"x\"",
          ": is not written as it must be: \"x\" (such as \"12\")" },
        { "{\"pattern\":\"^a$\"}", "\"a\\u0000\"", ": does not match ^a$: \"a\\u0000\"" },
        { "{\"pattern\":\"^a$\"}", "7", "" },
        { "{\"pattern\":\"(\"}", "\"a\"", ": the schema holds a pattern that cannot be compiled: (" },
    };

    (void)state;
    RUN(rows);
}

static void entries_of_lists_are_checked_each_with_its_pointer(void **state)
{
    static const struct row rows[] = {
        { "{\"items\":{\"type\":\"string\"}}", "[\"a\",\"b\"]", "" },
        { "{\"items\":{\"type\":\"string\"}}", "[\"a\",1,null]",
          "/1: must be a string, not a number\n/2: must be a string, not null" },
        { "{\"items\":false}", "[1]", "/0: is not allowed here" },
        { "{\"minItems\":1}", "[]", ": must not be empty" },
        { "{\"minItems\":2}", "[1]", ": must have at least 2 entries" },
        { "{\"maxItems\":1}", "[1,2]", ": must have at most 1 entry" },
        { "{\"uniqueItems\":true}", "[1,2,\"1\"]", "" },
        { "{\"uniqueItems\":true}", "[1,{\"a\":2},{\"a\":2}]", ": holds the same value twice, as entries 2 and 3" },
        { "{\"uniqueItems\":false}", "[1,1]", "" },
    };

    (void)state;
    RUN(rows);
}

static void fields_that_are_missing_or_unknown_are_named(void **state)
{
    static const char closed[] = "{\"properties\":{\"model\":{},\"max_output\":{}},\"additionalProperties\":false}";
    static const struct row rows[] = {
        { closed, "{\"model\":1}", "" },
        { closed, "{\"modle\":1}", "/modle: unknown field \"modle\" (did you mean \"model\"?)" },
        { closed, "{\"model\":1,\"modle\":1}", "/modle: unknown field \"modle\" (known here: max_output)" },
        { closed, "{\"xyzzy\":1}", "/xyzzy: unknown field \"xyzzy\" (known here: model, max_output)" },
        { closed, "{\"a/b~\":1}", "/a~1b~0: unknown field \"a/b~\" (known here: model, max_output)" },
        { "{\"properties\":{\"a\":{}}}", "{\"b\":1}", "" },
        { "{\"required\":[\"a\",\"b\"]}", "{\"b\":1}", ": the field \"a\" is missing" },
        { "{\"required\":[\"a\",\"b\"]}", "{}", ": the field \"a\" is missing\n: the field \"b\" is missing" },
        { "{\"required\":[\"a\"]}", "{\"a\":null}", "" },
        { "{\"minProperties\":1}", "{}", ": must not be empty" },
        { "{\"minProperties\":2}", "{\"a\":1}", ": must have at least 2 fields" },
    };

    (void)state;
    RUN(rows);
}

static void fields_are_checked_by_name_pattern_and_rest(void **state)
{
    static const struct row rows[] = {
        { "{\"properties\":{\"a\":{\"type\":\"string\"}}}", "{\"a\":1}", "/a: must be a string, not a number" },
        { "{\"properties\":{\"a\":{\"properties\":{\"b\":{\"const\":1}}}}}", "{\"a\":{\"b\":2}}", "/a/b: must be 1" },
        { "{\"additionalProperties\":{\"type\":\"string\"}}", "{\"x\":1}", "/x: must be a string, not a number" },
        { "{\"properties\":{\"x\":{}},\"additionalProperties\":{\"type\":\"string\"}}", "{\"x\":1}", "" },
        { "{\"patternProperties\":{\"^x-\":{\"type\":\"string\"}},\"additionalProperties\":false}",
          "{\"x-a\":\"1\",\"x-b\":1,\"y\":1}", "/x-b: must be a string, not a number\n/y: unknown field \"y\"" },
        { "{\"properties\":{\"ab\":{\"minimum\":1}},\"patternProperties\":{\"^a\":{\"maximum\":2}}}", "{\"ab\":0,\"ac\":3}",
          "/ab: must be at least 1\n/ac: must be at most 2" },
        { "{\"propertyNames\":{\"pattern\":\"^[a-z]+$\",\"hint\":\"lower case\"}}", "{\"ok\":1,\"Bad\":1}",
          "/Bad: is not written as it must be: \"Bad\" (lower case)" },
        { "{\"additionalProperties\":true}", "{\"x\":1}", "" },
    };

    (void)state;
    RUN(rows);
}

static void a_reference_is_followed_with_its_neighbours(void **state)
{
    static const struct row rows[] = {
        { "{\"$defs\":{\"n\":{\"type\":\"integer\"}},\"items\":{\"$ref\":\"#/$defs/n\"}}", "[1,\"x\"]",
          "/1: must be a whole number, not a string" },
        { "{\"$defs\":{\"n\":{\"minimum\":1}},\"items\":{\"$ref\":\"#/$defs/n\",\"maximum\":2}}", "[0,1,3]",
          "/0: must be at least 1\n/2: must be at most 2" },
        { "{\"$defs\":{\"a/b\":{\"const\":1}},\"$ref\":\"#/$defs/a~1b\"}", "2", ": must be 1" },
        { "{\"$defs\":{\"a~b2\":{\"const\":1}},\"$ref\":\"#/$defs/a~0b2\"}", "2", ": must be 1" },
        { "{\"$defs\":{\"a~2\":{\"const\":1}},\"$ref\":\"#/$defs/a~2\"}", "2", ": must be 1" },
        { "{\"items\":{\"$ref\":\"#\"},\"type\":\"array\"}", "[[],[[]],[1]]", "/2/0: must be a list, not a number" },
        { "{\"$ref\":\"#/$defs/none\"}", "1", ": the schema refers to #/$defs/none, which is not there" },
        { "{\"$ref\":\"other.json\"}", "1", ": the schema refers to other.json, which is not there" },
        { "{\"$ref\":\"#\"}", "1", ": is nested too deep, or the schema refers to itself" },
    };

    (void)state;
    RUN(rows);
}

static void a_hint_is_shown_for_its_own_value_alone(void **state)
{
    static const struct row rows[] = {
        { "{\"type\":\"string\",\"hint\":\"a decimal\"}", "1", ": must be a string, not a number (a decimal)" },
        { "{\"hint\":\"outer\",\"properties\":{\"a\":{\"type\":\"string\"}}}", "{\"a\":1}",
          "/a: must be a string, not a number" },
        { "{\"hint\":\"outer\",\"properties\":{\"a\":{\"type\":\"string\"}},\"required\":[\"b\"]}", "{\"a\":\"\"}",
          ": the field \"b\" is missing (outer)" },
        { "{\"$defs\":{\"d\":{\"type\":\"string\",\"hint\":\"inner\"}},\"$ref\":\"#/$defs/d\"}", "1",
          ": must be a string, not a number (inner)" },
        { "{\"$defs\":{\"d\":{\"type\":\"string\"}},\"$ref\":\"#/$defs/d\",\"hint\":\"here\"}", "1",
          ": must be a string, not a number (here)" },
    };

    (void)state;
    RUN(rows);
}

static void of_several_branches_the_one_that_was_meant_speaks(void **state)
{
    /* a string, or an object with a kind */
    static const char text_or_object[] =
        "{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\"}},"
        "\"required\":[\"n\"],\"additionalProperties\":false}]}";
    static const char kinds[] =
        "{\"oneOf\":["
        "{\"type\":\"object\",\"properties\":{\"kind\":{\"const\":\"regex\"},\"pattern\":{\"type\":\"string\"}},"
        "\"required\":[\"kind\",\"pattern\"],\"additionalProperties\":false},"
        "{\"type\":\"object\",\"properties\":{\"kind\":{\"const\":\"length\"},\"max\":{\"type\":\"integer\"},"
        "\"min\":{\"type\":\"integer\"}},\"required\":[\"kind\",\"max\"],\"additionalProperties\":false}]}";
    static const struct row rows[] = {
        { text_or_object, "\"x\"", "" },
        { text_or_object, "{\"n\":1}", "" },
        { text_or_object, "{\"n\":\"1\"}", "/n: must be a whole number, not a string" },
        { text_or_object, "{}", ": the field \"n\" is missing" },
        { text_or_object, "{\"n\":1,\"m\":2}", "/m: unknown field \"m\"" },
        { text_or_object, "1", ": must be a string or an object" },
        { kinds, "{\"kind\":\"regex\",\"pattern\":\"x\"}", "" },
        { kinds, "{\"kind\":\"length\",\"max\":\"9\"}", "/max: must be a whole number, not a string" },
        { kinds, "{\"kind\":\"length\",\"max\":9,\"mni\":1}", "/mni: unknown field \"mni\" (did you mean \"min\"?)" },
        { kinds, "{\"kind\":\"regex\",\"max\":1,\"min\":2,\"pattern\":3}",
          "/max: unknown field \"max\"\n/min: unknown field \"min\"\n/pattern: must be a string, not a number" },
        { kinds, "[]", ": must be an object" },
        { "{\"anyOf\":[{\"const\":\"a\"},{\"enum\":[\"b\",\"c\"]},{\"type\":\"integer\"}]}", "\"d\"",
          ": must be \"a\", one of \"b\" or \"c\" or a whole number" },
        { "{\"anyOf\":[{\"required\":[\"team\"]},{\"required\":[\"key\"]}]}", "{}",
          ": the field \"team\" is missing or the field \"key\" is missing" },
        { "{\"anyOf\":[{\"required\":[\"a\",\"b\"]},{\"required\":[\"c\",\"d\"]}]}", "{}",    /* a tie: the first */
          ": the field \"a\" is missing\n: the field \"b\" is missing" },
        { "{\"oneOf\":[{\"minimum\":1},{\"maximum\":5}]}", "3", ": fits 2 of the allowed forms, but must fit one" },
        { "{\"anyOf\":[{\"minimum\":1},{\"maximum\":5}]}", "3", "" },
        { "{\"anyOf\":[{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]},{\"type\":\"array\","
          "\"items\":{\"type\":\"string\"}}]}", "[1]", "/0: must be a string, not a number" },
    };

    (void)state;
    RUN(rows);
}

static void a_keyword_that_is_not_known_is_an_error_of_the_schema(void **state)
{
    static const struct row rows[] = {
        { "{\"minimun\":1}", "1", ": the schema has an unknown or ill-formed keyword \"minimun\"" },
        { "{\"properties\":{\"a\":{\"format\":\"uri\"}}}", "{}",
          ": the schema has an unknown or ill-formed keyword \"format\"" },
        { "{\"anyOf\":[{},{\"not\":{}}]}", "1", ": the schema has an unknown or ill-formed keyword \"not\"" },
        { "{\"items\":[{}]}", "1", ": the schema has an unknown or ill-formed keyword \"items\"" },
        { "{\"type\":\"text\"}", "1", ": the schema has an unknown or ill-formed keyword \"type\"" },
        { "{\"type\":[]}", "1", ": the schema has an unknown or ill-formed keyword \"type\"" },
        { "{\"required\":\"a\"}", "1", ": the schema has an unknown or ill-formed keyword \"required\"" },
        { "{\"minLength\":-1}", "1", ": the schema has an unknown or ill-formed keyword \"minLength\"" },
        { "{\"anyOf\":[]}", "1", ": the schema has an unknown or ill-formed keyword \"anyOf\"" },
        { "{\"$defs\":{\"x\":{\"foo\":1}}}", "1", ": the schema has an unknown or ill-formed keyword \"foo\"" },
        { "[]", "1", ": the schema has an unknown or ill-formed keyword \"?\"" },
        { "{\"properties\":{\"format\":{},\"not\":{}}}", "{\"format\":1}", "" },    /* names, no keywords */
        { "{\"enum\":[{\"format\":1}],\"default\":{\"x\":1},\"examples\":[{\"y\":1}]}", "{\"format\":1}", "" },
        { "{\"title\":\"t\",\"description\":\"d\",\"$id\":\"i\",\"$schema\":\"s\",\"$comment\":\"c\"}", "1", "" },
    };

    (void)state;
    RUN(rows);
}

static void a_schema_with_many_patterns_is_served(void **state)
{
    char schema[8192], doc[4096];
    size_t n = 0, m = 0;

    (void)state;
    n += (size_t)snprintf(schema, sizeof schema, "{\"properties\":{");
    m += (size_t)snprintf(doc, sizeof doc, "{");
    for (int i = 0; i < 150; i++) {
        n += (size_t)snprintf(schema + n, sizeof schema - n, "%s\"k%d\":{\"pattern\":\"^v%d$\"}", i ? "," : "", i, i);
        m += (size_t)snprintf(doc + m, sizeof doc - m, "%s\"k%d\":\"v%d\"", i ? "," : "", i, i == 149 ? 0 : i);
    }
    snprintf(schema + n, sizeof schema - n, "}}");
    snprintf(doc + m, sizeof doc - m, "}");
    assert_string_equal(faults(schema, doc), "/k149: does not match ^v149$: \"v0\"");
}

/* A document as deep as jansson reads it must not take the stack: the schema's depth bounds the walk. */
static void a_deep_document_is_refused_and_not_followed(void **state)
{
    char doc[2 * 1500 + 1];

    (void)state;
    memset(doc, '[', 1500);
    memset(doc + 1500, ']', 1500);
    doc[3000] = '\0';
    assert_non_null(strstr(faults("{\"type\":\"array\",\"items\":{\"$ref\":\"#\"}}", doc), "is nested too deep"));
    assert_string_equal(faults("{\"type\":\"array\"}", doc), "");
}

static void every_bundled_schema_is_itself_in_order(void **state)
{
    json_t *doc = json_null();

    (void)state;
    for (const struct bundled_file *f = bundled_schemas; f->name; f++) {
        struct problems ps;

        assert_ptr_equal(jschema_bundled(f->name), f->text);
        problems_init(&ps);
        (void)jschema_check_bundled(f->name, doc, &ps);
        for (size_t i = 0; i < ps.n; i++)
            if (strstr(ps.list[i].text, "schema"))
                fail_msg("%s: %s", f->name, ps.list[i].text);
        problems_free(&ps);
    }
    json_decref(doc);
}

static void a_schema_that_is_not_bundled_is_a_problem(void **state)
{
    struct problems ps;
    json_t *doc = json_null();

    (void)state;
    assert_null(jschema_bundled("none.schema.json"));
    problems_init(&ps);
    assert_false(jschema_check_bundled("none.schema.json", doc, &ps));
    assert_string_equal(ps.list[0].text, "the bundled schema none.schema.json is missing");
    problems_free(&ps);
    json_decref(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_of_the_wrong_type_is_told_the_right_one),
        cmocka_unit_test(a_wrong_type_hides_the_other_keywords),
        cmocka_unit_test(enum_and_const_list_what_is_allowed),
        cmocka_unit_test(bounds_of_numbers_are_inclusive_and_exact),
        cmocka_unit_test(lengths_of_strings_are_counted_in_characters),
        cmocka_unit_test(a_pattern_is_searched_for_unless_anchored),
        cmocka_unit_test(entries_of_lists_are_checked_each_with_its_pointer),
        cmocka_unit_test(fields_that_are_missing_or_unknown_are_named),
        cmocka_unit_test(fields_are_checked_by_name_pattern_and_rest),
        cmocka_unit_test(a_reference_is_followed_with_its_neighbours),
        cmocka_unit_test(a_hint_is_shown_for_its_own_value_alone),
        cmocka_unit_test(of_several_branches_the_one_that_was_meant_speaks),
        cmocka_unit_test(a_keyword_that_is_not_known_is_an_error_of_the_schema),
        cmocka_unit_test(a_schema_with_many_patterns_is_served),
        cmocka_unit_test(a_deep_document_is_refused_and_not_followed),
        cmocka_unit_test(every_bundled_schema_is_itself_in_order),
        cmocka_unit_test(a_schema_that_is_not_bundled_is_a_problem),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
