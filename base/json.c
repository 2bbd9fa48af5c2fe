/* json.c - jansson with our flags (no duplicate keys, NUL legal), and errors that name file and line. */
#include "base/json.h"

#include <errno.h>
#include <stdlib.h>

/* The whole file, NUL behind it. NULL with errno set; EFBIG when it is larger than allowed. */
static char *read_file(const char *path, size_t max_bytes, size_t *n)
{
    FILE *f = fopen(path, "rb");
    char *p = NULL;
    size_t room = 65536, got = 0, more;

    if (!f)
        return NULL;
    for (;;) {
        char *bigger = realloc(p, room + 1);

        if (!bigger)
            break;
        p = bigger;
        more = fread(p + got, 1, room - got, f);
        got += more;
        if (more == 0) {
            if (ferror(f))
                break;
            fclose(f);
            p[got] = '\0';
            *n = got;
            return p;
        }
        if (got > max_bytes) {
            errno = EFBIG;
            break;
        }
        if (got == room)
            room *= 2;
    }
    more = (size_t)errno;
    free(p);
    fclose(f);
    errno = (int)more;
    return NULL;
}

json_t *json_parse(const char *name, struct span text, struct problems *ps)
{
    const size_t kept = ps->n;
    json_error_t e;
    json_t *tree = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &e);

    ps->file = name;
    if (!tree) {
        problem_error(ps, "", "is no valid JSON: %s", e.text);
        if (ps->n > kept)    /* a full list keeps no more */
            ps->list[kept].line = e.line > 0 ? e.line : 1;
    }
    return tree;
}

json_t *json_read(const char *path, size_t max_bytes, struct problems *ps, char **text, size_t *text_bytes)
{
    size_t n = 0;
    char *bytes = read_file(path, max_bytes, &n);
    json_t *tree;

    ps->file = path;
    if (text)
        *text = NULL;
    if (!bytes) {
        problem_error(ps, "", "cannot be read: %s", errno == EFBIG ? "it is too large" : strerror(errno));
        return NULL;
    }
    tree = json_parse(path, (struct span){ bytes, n }, ps);
    if (tree && text) {
        *text = bytes;
        if (text_bytes)
            *text_bytes = n;
    } else {
        free(bytes);
    }
    return tree;
}

struct span json_value_span(const json_t *value)
{
    return json_is_string(value) ? (struct span){ json_string_value(value), json_string_length(value) } : SPAN_NONE;
}

struct span json_span(const json_t *obj, const char *key)
{
    return json_value_span(json_object_get(obj, key));
}

const char *json_cstr(const json_t *obj, const char *key, const char *absent)
{
    const json_t *v = json_object_get(obj, key);

    return json_is_string(v) ? json_string_value(v) : absent;
}

int64_t json_int(const json_t *obj, const char *key, int64_t absent)
{
    const json_t *v = json_object_get(obj, key);

    return json_is_integer(v) ? (int64_t)json_integer_value(v) : absent;
}

bool json_bool(const json_t *obj, const char *key, bool absent)
{
    const json_t *v = json_object_get(obj, key);

    return json_is_boolean(v) ? json_is_true(v) : absent;
}

size_t json_at(char *at, size_t room, const char *token)
{
    const size_t before = strlen(at);
    size_t n = before;

    if (n + 1 < room)
        at[n++] = '/';
    for (; *token && n + 2 < room; token++) {
        if (*token == '~' || *token == '/') {
            at[n++] = '~';
            at[n++] = *token == '~' ? '0' : '1';
        } else {
            at[n++] = *token;
        }
    }
    at[n] = '\0';
    return before;
}

size_t json_at_index(char *at, size_t room, size_t index)
{
    char digits[24];

    snprintf(digits, sizeof digits, "%zu", index);
    return json_at(at, room, digits);
}
