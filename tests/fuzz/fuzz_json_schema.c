/* fuzz_json_schema.c - any schema, any value. Input: the schema, a zero byte, the value. Seeds: tests/fuzz/corpus/json_schema.
 *
 * Promises: the verdict is the same twice; a misfit and what is not judged come with words, a fit with none; a schema that is
 * whole within another fits as it does alone; and what does not fit it fits its negation, unless it was not judged. */
#include <string.h>

#include "base/jscan.h"
#include "policies/json_schema.h"
#include "tests/fuzz/fuzz.h"

#define ROOM 160

static bool is_json(struct span text)
{
    static struct jscan *s;

    if (!s)
        s = jscan_new(&jscan_default_limits, 7);
    FUZZ_CHECK(s);
    jscan_reset(s);
    return jscan_feed(s, text) != JSCAN_BAD && jscan_end(s) == JSCAN_DONE;
}

static enum schema_verdict check(struct span schema, struct span value)
{
    char why[ROOM], again[ROOM], small[2];
    const enum schema_verdict v = json_schema_check(schema, value, why, sizeof why);

    FUZZ_CHECK(strlen(why) < sizeof why && (why[0] == '\0') == (v == SCHEMA_FITS));
    FUZZ_CHECK(json_schema_check(schema, value, again, sizeof again) == v && strcmp(why, again) == 0);
    FUZZ_CHECK(json_schema_check(schema, value, NULL, 0) == v);
    FUZZ_CHECK(json_schema_check(schema, value, small, sizeof small) == v && strlen(small) < sizeof small);
    return v;
}

/* The schema within another: `before` and `after` stand around it. */
static enum schema_verdict within(const char *before, struct span schema, const char *after, struct span value)
{
    const size_t n = strlen(before) + schema.n + strlen(after);
    char *text = malloc(n + 1);
    enum schema_verdict v;

    FUZZ_CHECK(text);
    snprintf(text, n + 1, "%s%.*s%s", before, SPAN_FMT(schema), after);
    v = is_json((struct span){ text, n }) ? check((struct span){ text, n }, value) : SCHEMA_UNJUDGED;    /* one level too deep */
    free(text);
    return v;
}

static bool holds(struct span text, const char *word)
{
    const struct span w = span_str(word);

    return text.n >= w.n && span_find_span(text, w) < text.n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct span all = { (const char *)data, size }, schema = span_first(all, span_find(all, '\0'));
    const struct span value = span_skip(all, schema.n + 1);
    enum schema_verdict v, wrapped, negated;
    char keyword[ROOM];

    if (!is_json(schema) || !is_json(value))
        return 0;
    json_schema_unsupported(schema, keyword, sizeof keyword);
    FUZZ_CHECK(strlen(keyword) < sizeof keyword);
    v = check(schema, value);
    if (holds(schema, "$") || holds(schema, "\\"))    /* references point elsewhere from within */
        return 0;
    wrapped = within("{\"allOf\":[", schema, "]}", value);
    negated = within("{\"not\":", schema, "}", value);
    FUZZ_CHECK(wrapped == v || wrapped == SCHEMA_UNJUDGED || v == SCHEMA_UNJUDGED);
    FUZZ_CHECK(negated != v || v == SCHEMA_UNJUDGED);
    return 0;
}
