/* gemini_read.c - see gemini_read.h. Google's servers read both spellings of a name (protobuf's JSON mapping), its clients
 * write one or the other; 64-bit integers are strings there. */
#include "gateway/dialects/gemini_read.h"

#include <stdio.h>

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

bool gemini_key_is(struct span key, const char *camel)
{
    char plain[64];
    size_t i = 0;

    if (!key.p || key.n > sizeof plain)
        return false;
    if (memchr(key.p, '\\', key.n))
        key = (struct span){ plain, jraw_unescape(key, plain) };
    for (; *camel; camel++, i++) {
        if (is_upper(*camel) && i + 1 < key.n && key.p[i] == '_' && key.p[i + 1] == (char)(*camel | 0x20))
            i++;
        else if (i == key.n || key.p[i] != *camel)
            return false;
    }
    return i == key.n;
}

void gemini_key_text(struct span key, char *out, size_t room)
{
    size_t n = 0;

    for (size_t i = 0; i < key.n && n + 1 < room; i++) {
        const bool joint = key.p[i] == '_' && i > 0 && i + 1 < key.n && key.p[i + 1] >= 'a' && key.p[i + 1] <= 'z';

        out[n++] = joint ? (char)(key.p[++i] & ~0x20) : key.p[i] > ' ' && key.p[i] < 0x7f ? key.p[i] : '?';
    }
    out[n] = '\0';
}

struct span gemini_get(struct span obj, const char *camel)
{
    struct jiter it = jiter_begin(obj);

    while (it.in_object && jiter_next(&it))
        if (gemini_key_is(it.key, camel))
            return it.value;
    return SPAN_NONE;
}

bool gemini_foreign(struct reading *r, const char *field, enum foreign_kind kind)
{
    char where[200];

    snprintf(where, sizeof where, "%s%s%s", r->at, r->at[0] ? "." : "", field);
    return chat_add_foreign(r->chat, r->spec->arena, span_str(where), kind) || reading_no_memory(r);
}

bool gemini_members(struct reading *r, struct span obj, const char *const *names, size_t n, struct span *out,
                    enum foreign_kind kind)
{
    for (size_t i = 0; i < n; i++)
        out[i] = SPAN_NONE;
    for (struct jiter it = jiter_begin(obj); it.in_object && jiter_next(&it);) {
        size_t i = 0;
        char name[96];

        if (jval_type(it.value) == JTYPE_NULL)
            continue;
        while (i < n && !gemini_key_is(it.key, names[i]))
            i++;
        if (i < n && out[i].p)
            return reading_want(r, names[i], "is there twice, in camelCase and in snake_case");
        if (i < n) {
            out[i] = it.value;
            continue;
        }
        gemini_key_text(it.key, name, sizeof name);
        if (!gemini_foreign(r, name, kind))
            return false;
    }
    return true;
}

bool gemini_int(struct reading *r, const char *field, struct span v, int64_t least, int64_t most, int64_t *out)
{
    const struct span digits = jval_type(v) == JTYPE_STRING ? jval_raw(v) : v;
    double x;

    if (jval_type(digits) == JTYPE_NUMBER && !jval_int(digits, out) && jval_double(digits, &x) && x > -1e15 && x < 1e15 &&
        x == (double)(int64_t)x) {
        *out = (int64_t)x;
        if (*out >= least && *out <= most)
            return true;
    }
    return reading_int(r, field, digits, least, most, out);
}
