/* fields.c - see fields.h. Knows no field itself. */
#include "gateway/upstream/fields.h"

#include <assert.h>
#include <stdio.h>

#include "base/json.h"

#define TOKENS_MAX INT64_C(2147483648)

static void *place(void *to, const struct field *f) { return (char *)to + f->at; }

static bool read_word(void *to, const struct field *f, const json_t *value, const char *at, struct problems *ps)
{
    const struct span got = json_value_span(value);

    for (unsigned i = 0; f->words[i]; i++) {
        if (!span_is(got, f->words[i]))
            continue;
        memcpy(place(to, f), &i, sizeof(i));
        return true;
    }
    problem_add(ps, PROBLEM_ERROR, at, problem_nearest(got, f->words), "is none of the words for %s", f->name);
    return false;
}

static bool read_bool(void *to, const struct field *f, const json_t *value, const char *at, struct problems *ps)
{
    const bool on = json_is_true(value);

    if (!json_is_boolean(value)) {
        problem_error(ps, at, "must be true or false");
        return false;
    }
    memcpy(place(to, f), &on, sizeof(on));
    return true;
}

static bool read_text(void *to, const struct field *f, const json_t *value, const char *at, struct problems *ps)
{
    const struct span text = json_value_span(value);

    if (!text.p || text.n >= f->room) {
        problem_error(ps, at, "must be a string of at most %zu bytes", f->room - 1);
        return false;
    }
    memset(place(to, f), 0, f->room);
    memcpy(place(to, f), text.p, text.n);
    return true;
}

static bool read_statuses(void *to, const struct field *f, const json_t *value, const char *at, struct problems *ps)
{
    const size_t n = json_array_size(value), most = f->room / sizeof(int);
    int *out = place(to, f);

    if (!json_is_array(value) || n > most) {
        problem_error(ps, at, "must be a list of at most %zu statuses, such as [402]", most);
        return false;
    }
    memset(out, 0, f->room);
    for (size_t i = 0; i < n; i++) {
        const json_int_t status = json_integer_value(json_array_get(value, i));

        if (status < 400 || status > 599) {
            problem_error(ps, at, "holds something else than statuses from 400 to 599");
            return false;
        }
        out[i] = (int)status;
    }
    return true;
}

static bool read_tokens(void *to, const struct field *f, const json_t *value, const char *at, struct problems *ps)
{
    const int64_t n = json_integer_value(value);

    if (!json_is_integer(value) || n < 0 || n > TOKENS_MAX) {
        problem_error(ps, at, "must be a number of tokens");
        return false;
    }
    memcpy(place(to, f), &n, sizeof(n));
    return true;
}

static bool read_field(void *to, const struct field *f, const json_t *value, const char *at, struct problems *ps)
{
    switch (f->kind) {
    case FIELD_WORD: return read_word(to, f, value, at, ps);
    case FIELD_BOOL: return read_bool(to, f, value, at, ps);
    case FIELD_TEXT: return read_text(to, f, value, at, ps);
    case FIELD_STATUSES: return read_statuses(to, f, value, at, ps);
    case FIELD_TOKENS: return read_tokens(to, f, value, at, ps);
    }
    return false;
}

static bool is_one_of(const char *name, const char *const *names)
{
    for (; names && *names; names++)
        if (strcmp(name, *names) == 0)
            return true;
    return false;
}

bool fields_read(void *to, const struct field *fields, size_t n, const json_t *over, const char *const *skip, const char *what,
                 uint32_t *said, const char *pointer, struct problems *ps)
{
    const char *names[FIELDS_MAX + 1] = { NULL };
    const char *key;
    json_t *value;
    bool ok = true;

    assert(n <= FIELDS_MAX);
    for (size_t i = 0; i < n; i++)
        names[i] = fields[i].name;
    json_object_foreach((json_t *)(uintptr_t)over, key, value) {
        char at[JSON_POINTER_ROOM];
        size_t i = 0;

        if (is_one_of(key, skip))
            continue;
        snprintf(at, sizeof(at), "%s", pointer);
        json_at(at, sizeof(at), key);
        while (i < n && strcmp(fields[i].name, key) != 0)
            i++;
        if (i == n)
            problem_add(ps, PROBLEM_ERROR, at, problem_nearest(span_str(key), names), "is no %s that we know", what);
        ok = i < n && read_field(to, &fields[i], value, at, ps) && ok;
        if (i < n && said)
            *said |= UINT32_C(1) << i;
    }
    return ok;
}

void fields_copy(void *to, const void *from, const struct field *fields, size_t n, uint32_t said)
{
    for (size_t i = 0; i < n; i++)
        if (said & (UINT32_C(1) << i))
            memcpy(place(to, &fields[i]), (const char *)from + fields[i].at, fields[i].room);
}
