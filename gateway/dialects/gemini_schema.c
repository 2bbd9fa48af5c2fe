/* gemini_schema.c - the Schema of Gemini's `parameters` and `responseSchema` (a subset of OpenAPI 3.0: types in capitals,
 * `nullable`, 64-bit numbers as strings) as JSON Schema, the form in which every other dialect wants it.
 *
 * Only renames; it checks nothing. Recursion is bounded by the pre-scan's depth. */
#include "base/jwrite.h"
#include "gateway/dialects/gemini_read.h"

#define SCHEMA_BYTES_MAX (4u << 20)

enum shape {
    AS_IT_IS, GONE, TYPE, NUMBER, SCHEMA, SCHEMAS /* a list of them */, NAMED_SCHEMAS /* an object of them */, FORMAT, ENUM,
};

static const struct { const char *camel; enum shape shape; } keywords[] = {
    { "type", TYPE }, { "format", FORMAT }, { "enum", ENUM }, { "nullable", GONE }, { "propertyOrdering", GONE },
    { "example", GONE }, { "items", SCHEMA }, { "properties", NAMED_SCHEMAS }, { "anyOf", SCHEMAS },
    { "minItems", NUMBER }, { "maxItems", NUMBER }, { "minLength", NUMBER }, { "maxLength", NUMBER },
    { "minProperties", NUMBER }, { "maxProperties", NUMBER },
};
#define N_KEYWORDS (sizeof keywords / sizeof keywords[0])

static void write_schema(struct buf *b, const char *name, struct span schema);

/* A key that is written as it stands: it may hold escapes. */
static void raw_key(struct buf *b, struct span key)
{
    jw_raw(b, NULL, key);
    buf_add_char(b, ':');
}

static void write_type(struct buf *b, struct span value, bool nullable)
{
    const struct span raw = jval_raw(value);
    char word[32];
    size_t n = 0;

    if (!raw.p) {    /* JSON Schema's own list of types */
        jw_json(b, "type", value);
        return;
    }
    for (; n < raw.n && n < sizeof word; n++)
        word[n] = raw.p[n] >= 'A' && raw.p[n] <= 'Z' ? (char)(raw.p[n] | 0x20) : raw.p[n];
    if (span_is((struct span){ word, n }, "type_unspecified"))
        return;
    if (!nullable) {
        jw_raw(b, "type", (struct span){ word, n });
        return;
    }
    jw_array(b, "type");
    jw_raw(b, NULL, (struct span){ word, n });
    jw_raw(b, NULL, SPAN_LIT("null"));
    jw_close(b, ']');
}

/* With `more`, a last element that allows null. */
static void write_list(struct buf *b, const char *name, struct span list, bool schemas, const char *more)
{
    jw_array(b, name);
    for (struct jiter it = jiter_begin(list); jiter_next(&it);) {
        if (schemas)
            write_schema(b, NULL, it.value);
        else
            jw_json(b, NULL, it.value);
    }
    if (more)
        jw_json(b, NULL, span_str(more));
    jw_close(b, ']');
}

static void write_keyword(struct buf *b, struct span key, struct span value, bool nullable)
{
    size_t k = 0;

    while (k < N_KEYWORDS && !gemini_key_is(key, keywords[k].camel))
        k++;
    switch (k < N_KEYWORDS ? keywords[k].shape : AS_IT_IS) {
    case AS_IT_IS:
        raw_key(b, key);
        buf_add_span(b, value);
        break;
    case GONE:
        break;
    case TYPE:
        write_type(b, value, nullable);
        break;
    case NUMBER:
        jw_json(b, keywords[k].camel, jval_type(value) == JTYPE_STRING ? jval_raw(value) : value);
        break;
    case SCHEMA:
        write_schema(b, keywords[k].camel, value);
        break;
    case SCHEMAS:
        write_list(b, "anyOf", value, true, nullable ? "{\"type\":\"null\"}" : NULL);
        break;
    case NAMED_SCHEMAS:
        jw_object(b, "properties");
        for (struct jiter it = jiter_begin(value); jiter_next(&it);) {
            raw_key(b, it.key);
            write_schema(b, NULL, it.value);
        }
        jw_close(b, '}');
        break;
    case FORMAT:    /* "enum" says no more than the list does, and is no format of JSON Schema */
        if (!jraw_is(jval_raw(value), "enum"))
            jw_json(b, "format", value);
        break;
    case ENUM:
        write_list(b, "enum", value, false, nullable ? "null" : NULL);
        break;
    }
}

/* `name` NULL: the place has been made. */
static void write_schema(struct buf *b, const char *name, struct span schema)
{
    const bool nullable = jval_type(gemini_get(schema, "nullable")) == JTYPE_TRUE;

    if (jval_type(schema) != JTYPE_OBJECT) {
        jw_json(b, name, schema);
        return;
    }
    jw_object(b, name);
    for (struct jiter it = jiter_begin(schema); jiter_next(&it);)
        if (jval_type(it.value) != JTYPE_NULL)
            write_keyword(b, it.key, it.value, nullable);
    jw_close(b, '}');
}

struct span gemini_json_schema(struct arena *arena, struct span schema)
{
    struct buf b;
    struct span out;

    buf_init(&b, SCHEMA_BYTES_MAX);
    write_schema(&b, NULL, schema);
    out = buf_ok(&b) ? arena_copy(arena, buf_span(&b)) : SPAN_NONE;
    buf_free(&b);
    return out;
}
