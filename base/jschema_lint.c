/* jschema_lint.c - the keywords that jschema.c knows, and whether a schema keeps to them. Looks at no document. */
#include "base/jschema.h"

#define DEPTH_MAX 200    /* of schemas within each other */

enum keyword_kind { K_NOTE, K_VALUE, K_STRING, K_COUNT, K_NUMBER, K_BOOL, K_LIST, K_TYPE, K_SCHEMA, K_SCHEMAS, K_MAP };

static const struct keyword {
    const char *name;
    enum keyword_kind kind;
} keywords[] = {
    { "$comment", K_NOTE }, { "$id", K_NOTE }, { "$schema", K_NOTE }, { "default", K_NOTE }, { "description", K_NOTE },
    { "examples", K_NOTE }, { "title", K_NOTE },
    { "hint", K_STRING }, { "pattern", K_STRING }, { "$ref", K_STRING },
    { "type", K_TYPE },
    { "const", K_VALUE }, { "enum", K_LIST }, { "required", K_LIST },
    { "minimum", K_NUMBER }, { "maximum", K_NUMBER },
    { "minLength", K_COUNT }, { "maxLength", K_COUNT }, { "minItems", K_COUNT }, { "maxItems", K_COUNT },
    { "minProperties", K_COUNT },
    { "uniqueItems", K_BOOL },
    { "additionalProperties", K_SCHEMA }, { "items", K_SCHEMA }, { "propertyNames", K_SCHEMA },
    { "anyOf", K_SCHEMAS }, { "oneOf", K_SCHEMAS },
    { "properties", K_MAP }, { "patternProperties", K_MAP }, { "$defs", K_MAP },
};

static const struct keyword *keyword_find(const char *name)
{
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++)
        if (strcmp(keywords[i].name, name) == 0)
            return &keywords[i];
    return NULL;
}

static const char *const type_names[] = { "object", "array", "string", "integer", "number", "boolean", "null", NULL };

static bool type_known(const json_t *name)
{
    for (size_t i = 0; type_names[i]; i++)
        if (json_is_string(name) && strcmp(json_string_value(name), type_names[i]) == 0)
            return true;
    return false;
}

static bool lint_type(const json_t *v)
{
    size_t i;
    const json_t *one;

    if (!json_is_array(v))
        return type_known(v);
    json_array_foreach(v, i, one) {
        if (!type_known(one))
            return false;
    }
    return json_array_size(v) > 0;
}

static bool lint_schema(const json_t *schema, const char **bad, int depth);

static bool lint_each(const json_t *v, const char **bad, int depth)
{
    const char *name;
    const json_t *one;
    size_t i;

    json_object_foreach((json_t *)v, name, one) {
        if (!lint_schema(one, bad, depth))
            return false;
    }
    json_array_foreach(v, i, one) {
        if (!lint_schema(one, bad, depth))
            return false;
    }
    return true;
}

static bool lint_keyword(const struct keyword *k, const json_t *v, const char **bad, int depth)
{
    switch (k->kind) {
    case K_STRING: return json_is_string(v);
    case K_COUNT: return json_is_integer(v) && json_integer_value(v) >= 0;
    case K_NUMBER: return json_is_number(v);
    case K_BOOL: return json_is_boolean(v);
    case K_LIST: return json_is_array(v);
    case K_TYPE: return lint_type(v);
    case K_SCHEMA: return lint_schema(v, bad, depth);
    case K_SCHEMAS: return json_array_size(v) > 0 && lint_each(v, bad, depth);
    case K_MAP: return json_is_object(v) && lint_each(v, bad, depth);
    default: return true;
    }
}

static bool lint_schema(const json_t *schema, const char **bad, int depth)
{
    const char *name;
    const json_t *v;

    if (json_is_boolean(schema))
        return true;
    if (!json_is_object(schema) || depth > DEPTH_MAX)
        return false;
    json_object_foreach((json_t *)schema, name, v) {
        const struct keyword *k = keyword_find(name);

        if (!k || !lint_keyword(k, v, bad, depth + 1)) {
            if (!*bad)
                *bad = name;
            return false;
        }
    }
    return true;
}

bool jschema_lint(const json_t *schema, const char **bad)
{
    *bad = NULL;
    if (lint_schema(schema, bad, 0))
        return true;
    if (!*bad)
        *bad = "?";    /* the schema is no object at all */
    return false;
}
