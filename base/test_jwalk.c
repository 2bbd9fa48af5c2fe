/* test_jwalk.c - walks a text and its tree side by side. Recursive: its texts are of bounded depth. */
#include "base/test_jwalk.h"

#include <stdlib.h>

#include "base/jscan.h"

static bool string_equals(struct span raw, const char *want, size_t n)
{
    char *out = malloc(raw.n + 1);
    bool same;

    same = out && raw.p && jraw_unescape(raw, out) == n && memcmp(out, want, n) == 0;
    free(out);
    return same;
}

static bool object_equals(struct span text, const json_t *tree)
{
    struct jiter it = jiter_begin(text);
    const char *key;
    json_t *member;

    json_object_foreach((json_t *)tree, key, member) {    /* in the order of the text, both */
        if (!jiter_next(&it) || !string_equals(it.key, key, strlen(key)) || !jraw_is(it.key, key) ||
            !jwalk_equals(it.value, member) || jval_get(text, key).p != it.value.p)
            return false;
    }
    return !jiter_next(&it);
}

static bool array_equals(struct span text, const json_t *tree)
{
    struct jiter it = jiter_begin(text);

    for (size_t i = 0; i < json_array_size(tree); i++)
        if (!jiter_next(&it) || it.key.p || !jwalk_equals(it.value, json_array_get(tree, i)))
            return false;
    return !jiter_next(&it);
}

bool jwalk_equals(struct span text, const json_t *tree)
{
    int64_t i;
    double d;

    switch (jval_type(text)) {
    case JTYPE_OBJECT: return json_is_object(tree) && object_equals(text, tree);
    case JTYPE_ARRAY: return json_is_array(tree) && array_equals(text, tree);
    case JTYPE_STRING:
        return json_is_string(tree) && string_equals(jval_raw(text), json_string_value(tree), json_string_length(tree));
    case JTYPE_NUMBER:
        if (json_is_integer(tree) != jval_int(text, &i))
            return false;
        return json_is_integer(tree) ? i == json_integer_value(tree)
                                     : jval_double(text, &d) && d == json_real_value(tree);
    case JTYPE_TRUE: return json_is_true(tree);
    case JTYPE_FALSE: return json_is_false(tree);
    case JTYPE_NULL: return json_is_null(tree);
    default: return false;
    }
}

void jwalk_visit(struct span text, unsigned depth)
{
    char *out = malloc(text.n + 1);
    int64_t i;
    double d;

    if (!out || depth == 0) {
        free(out);
        return;
    }
    (void)jval_int(text, &i);
    (void)jval_double(text, &d);
    (void)jraw_unescape(jval_raw(text), out);
    (void)jval_get(text, "model");
    for (struct jiter it = jiter_begin(text); jiter_next(&it);) {
        (void)jraw_unescape(it.key, out);
        jwalk_visit(it.value, depth - 1);
    }
    free(out);
}
