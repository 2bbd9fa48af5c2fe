/* anthropic_schema.c - a JSON Schema as Anthropic's structured output takes it.
 *
 * It is a subset: every object is closed, and there are no bounds of numbers, lengths or lists, no negations and no conditions.
 * What goes is judged by the gateway, which checks the answer by the caller's own schema. Source: Anthropic's documentation of
 * structured outputs, "JSON Schema limitations". Recursion is bounded by the pre-scan's depth. */
#include "base/jwrite.h"
#include "gateway/dialects/anthropic_write.h"

enum shape { AS_IT_IS, GONE, SILENTLY_GONE, SCHEMA, SCHEMAS /* a list */, ONE_OF, NAMED_SCHEMAS, CLOSED, FORMAT, LEAST_ITEMS };

static const struct { const char *word; enum shape shape; } keywords[] = {
    { "properties", NAMED_SCHEMAS }, { "$defs", NAMED_SCHEMAS }, { "definitions", NAMED_SCHEMAS }, { "items", SCHEMA },
    { "anyOf", SCHEMAS }, { "allOf", SCHEMAS }, { "oneOf", ONE_OF }, { "additionalProperties", CLOSED }, { "format", FORMAT },
    { "minItems", LEAST_ITEMS }, { "$schema", SILENTLY_GONE }, { "minimum", GONE }, { "maximum", GONE },
    { "exclusiveMinimum", GONE }, { "exclusiveMaximum", GONE }, { "multipleOf", GONE }, { "minLength", GONE },
    { "maxLength", GONE }, { "maxItems", GONE }, { "uniqueItems", GONE }, { "contains", GONE }, { "minContains", GONE },
    { "maxContains", GONE }, { "minProperties", GONE }, { "maxProperties", GONE }, { "patternProperties", GONE },
    { "propertyNames", GONE }, { "dependentRequired", GONE }, { "dependentSchemas", GONE }, { "unevaluatedProperties", GONE },
    { "unevaluatedItems", GONE }, { "not", GONE }, { "if", GONE }, { "then", GONE }, { "else", GONE },
};

static enum shape shape_of(struct span key)
{
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++)
        if (jraw_is(key, keywords[i].word))
            return keywords[i].shape;
    return AS_IT_IS;
}

static bool format_is_known(struct span value)
{
    static const char *const formats[] = { "date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6",
                                           "uuid" };

    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (jraw_is(jval_raw(value), formats[i]))
            return true;
    return false;
}

static bool is_objects(struct span schema)
{
    const struct span type = jval_get(schema, "type");

    if (jval_get(schema, "properties").p || jraw_is(jval_raw(type), "object"))
        return true;
    for (struct jiter it = jiter_begin(type); jiter_next(&it);)
        if (jraw_is(jval_raw(it.value), "object"))
            return true;
    return false;
}

static void write_key(struct buf *b, struct span key)
{
    jw_raw(b, NULL, key);
    buf_add_char(b, ':');
}

static void write_list(struct buf *b, struct span list, bool *changed)
{
    if (jval_type(list) != JTYPE_ARRAY) {
        buf_add_span(b, list);
        return;
    }
    buf_add_char(b, '[');
    for (struct jiter it = jiter_begin(list); jiter_next(&it);) {
        jw_item(b);
        anthropic_write_schema(b, it.value, changed);
    }
    buf_add_char(b, ']');
}

static void write_named(struct buf *b, struct span schemas, bool *changed)
{
    if (jval_type(schemas) != JTYPE_OBJECT) {
        buf_add_span(b, schemas);
        return;
    }
    buf_add_char(b, '{');
    for (struct jiter it = jiter_begin(schemas); jiter_next(&it);) {
        write_key(b, it.key);
        anthropic_write_schema(b, it.value, changed);
    }
    buf_add_char(b, '}');
}

/* Whether a member stays; `schema` is what it stands in. */
static bool stays(struct span schema, enum shape shape, struct span value, bool *changed)
{
    int64_t n;
    bool keep = true;

    switch (shape) {
    case GONE:
        keep = false;
        break;
    case ONE_OF:
        keep = !jval_get(schema, "anyOf").p;
        *changed = true;    /* written as anyOf */
        break;
    case FORMAT:
        keep = format_is_known(value);
        break;
    case LEAST_ITEMS:
        keep = jval_int(value, &n) && n <= 1;
        break;
    case CLOSED:            /* written behind the others */
        *changed |= jval_type(value) != JTYPE_FALSE;
        return false;
    case SILENTLY_GONE:
        return false;
    default:
        return true;
    }
    *changed |= !keep;
    return keep;
}

void anthropic_write_schema(struct buf *b, struct span schema, bool *changed)
{
    if (jval_type(schema) != JTYPE_OBJECT) {
        buf_add_span(b, schema);
        return;
    }
    buf_add_char(b, '{');
    for (struct jiter it = jiter_begin(schema); jiter_next(&it);) {
        const enum shape shape = shape_of(it.key);

        if (!stays(schema, shape, it.value, changed))
            continue;
        write_key(b, shape == ONE_OF ? SPAN_LIT("anyOf") : it.key);
        if (shape == SCHEMA)
            anthropic_write_schema(b, it.value, changed);
        else if (shape == SCHEMAS || shape == ONE_OF)
            write_list(b, it.value, changed);
        else if (shape == NAMED_SCHEMAS)
            write_named(b, it.value, changed);
        else
            buf_add_span(b, it.value);
    }
    if (is_objects(schema))
        jw_bool(b, "additionalProperties", false);
    buf_add_char(b, '}');
}
