/* safetensors.c - the header of one file: JSON into a list of tensors whose every number has been checked.
 *
 * Owns the rules of the format; knows no model. What it lets through lies within the file and has exactly the
 * bytes that its type and shape ask for. */
#include "engine/weights.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"

/* The format's own limit; also keeps a damaged length from asking for a huge parse. */
#define HEADER_BYTES_MAX (100u * 1024 * 1024)

static const struct {
    const char *name;
    enum dtype dtype;
    unsigned bytes;
} dtypes[] = {
    { "F32", DTYPE_F32, 4 }, { "BF16", DTYPE_BF16, 2 }, { "F16", DTYPE_F16, 2 }, { "F8_E4M3", DTYPE_F8_E4M3, 1 },
    { "F8_E8M0", DTYPE_F8_E8M0, 1 }, { "I8", DTYPE_I8, 1 }, { "I64", DTYPE_I64, 8 }, { "I32", DTYPE_I32, 4 },
    /* Known sizes of no use to us: their tensors are listed, and refused when a model asks for one. */
    { "F64", DTYPE_OTHER, 8 }, { "I16", DTYPE_OTHER, 2 }, { "U8", DTYPE_OTHER, 1 }, { "U16", DTYPE_OTHER, 2 },
    { "U32", DTYPE_OTHER, 4 }, { "U64", DTYPE_OTHER, 8 }, { "BOOL", DTYPE_OTHER, 1 }, { "F8_E5M2", DTYPE_OTHER, 1 },
};
#define N_DTYPES (sizeof dtypes / sizeof dtypes[0])

const char *dtype_name(enum dtype d)
{
    for (size_t i = 0; i < N_DTYPES; i++)
        if (dtypes[i].dtype == d && d != DTYPE_OTHER)
            return dtypes[i].name;
    return "another type";
}

size_t dtype_bytes(enum dtype d)
{
    for (size_t i = 0; i < N_DTYPES; i++)
        if (dtypes[i].dtype == d && d != DTYPE_OTHER)
            return dtypes[i].bytes;
    return 0;
}

/* Bytes of an element, 0 when the type is unknown. */
static size_t read_dtype(const json_t *entry, struct tensor *t)
{
    const struct span name = json_span(entry, "dtype");

    for (size_t i = 0; i < N_DTYPES; i++) {
        if (span_is(name, dtypes[i].name)) {
            t->dtype = dtypes[i].dtype;
            return dtypes[i].bytes;
        }
    }
    return 0;
}

/* The number of elements, -1 when the shape is no list of at most TENSOR_DIMS_MAX sizes >= 0 or overflows. */
static int64_t read_shape(const json_t *entry, struct tensor *t)
{
    const json_t *shape = json_object_get(entry, "shape");
    int64_t n = 1;

    if (!json_is_array(shape) || json_array_size(shape) > TENSOR_DIMS_MAX)
        return -1;
    t->n_dims = (int)json_array_size(shape);
    for (int i = 0; i < t->n_dims; i++) {
        const json_t *size = json_array_get(shape, (size_t)i);

        t->shape[i] = json_is_integer(size) ? (int64_t)json_integer_value(size) : -1;
        if (t->shape[i] < 0 || __builtin_mul_overflow(n, t->shape[i], &n))
            return -1;
    }
    return n;
}

static bool read_offsets(const json_t *entry, int64_t *begin, int64_t *end)
{
    const json_t *o = json_object_get(entry, "data_offsets");
    const json_t *a = json_array_get(o, 0), *b = json_array_get(o, 1);

    if (json_array_size(o) != 2 || !json_is_integer(a) || !json_is_integer(b))
        return false;
    *begin = (int64_t)json_integer_value(a);
    *end = (int64_t)json_integer_value(b);
    return *begin >= 0 && *begin <= *end;
}

static bool read_entry(const char *name, const json_t *entry, struct span data, struct tensor *t, struct problems *ps)
{
    const size_t size = read_dtype(entry, t);
    const int64_t n = read_shape(entry, t);
    int64_t begin, end, bytes;

    if (!size) {
        problem_error(ps, name, "has a dtype that is not known: \"%.*s\"", SPAN_FMT(json_span(entry, "dtype")));
        return false;
    }
    if (n < 0) {
        problem_error(ps, name, "has a shape that is no list of at most %d sizes", TENSOR_DIMS_MAX);
        return false;
    }
    if (!read_offsets(entry, &begin, &end)) {
        problem_error(ps, name, "has data_offsets that are not [begin, end] with 0 <= begin <= end");
        return false;
    }
    if ((uint64_t)end > data.n) {
        problem_error(ps, name, "ends at byte %lld of the data, but the file has only %zu: it is cut short or damaged",
                      (long long)end, data.n);
        return false;
    }
    if (__builtin_mul_overflow(n, (int64_t)size, &bytes) || bytes != end - begin) {
        problem_error(ps, name, "has %lld bytes, but its shape and dtype ask for another number",
                      (long long)(end - begin));
        return false;
    }
    t->data = (const unsigned char *)data.p + begin;
    t->bytes = (size_t)bytes;
    return true;
}

/* All entries but __metadata__. */
static bool read_entries(json_t *header, struct span data, int file_index, struct tensor *list, size_t *n, char *names,
                         struct problems *ps)
{
    const char *name;
    json_t *entry;

    *n = 0;
    json_object_foreach(header, name, entry) {
        struct tensor *t = &list[*n];
        const size_t length = strlen(name);

        if (strcmp(name, "__metadata__") == 0)
            continue;
        if (!read_entry(name, entry, data, t, ps))
            return false;
        memcpy(names, name, length + 1);
        t->name = (struct span){ names, length };
        t->file = file_index;
        names += length + 1;
        ++*n;
    }
    return true;
}

static size_t names_bytes(json_t *header)
{
    size_t n = 1;
    const char *name;
    json_t *entry;

    json_object_foreach(header, name, entry)
        n += strlen(name) + 1;
    return n;
}

/* The JSON text within `file`; SPAN_NONE with a problem. */
static struct span header_of(struct span file, struct problems *ps)
{
    uint64_t n = 0;

    if (file.n < 8) {
        problem_error(ps, "", "has %zu bytes: too short for a safetensors file", file.n);
        return SPAN_NONE;
    }
    for (int i = 7; i >= 0; i--)
        n = n << 8 | (unsigned char)file.p[i];
    if (n > HEADER_BYTES_MAX || n > file.n - 8) {
        problem_error(ps, "", "says that its header has %llu bytes; the file has %zu: it is cut short or no safetensors "
                      "file", (unsigned long long)n, file.n);
        return SPAN_NONE;
    }
    return (struct span){ file.p + 8, (size_t)n };
}

bool safetensors_read_header(struct span file, int file_index, struct tensor **list, size_t *n, char **names,
                             struct problems *ps)
{
    const struct span text = header_of(file, ps);
    const struct span data = text.p ? span_skip(file, 8 + text.n) : SPAN_NONE;
    json_t *header;
    bool ok = false;

    *list = NULL;
    *names = NULL;
    if (!text.p)
        return false;
    header = json_parse(ps->file, text, ps);
    if (!header)
        return false;
    if (!json_is_object(header)) {
        problem_error(ps, "", "has a header that is no JSON object");
        goto out;
    }
    *list = calloc(json_object_size(header) + 1, sizeof **list);
    *names = malloc(names_bytes(header));
    if (!*list || !*names)
        problem_error(ps, "", "cannot be read: no memory");
    else
        ok = read_entries(header, data, file_index, *list, n, *names, ps);
out:
    json_decref(header);
    if (!ok) {
        free(*list);
        free(*names);
        *list = NULL;
        *names = NULL;
    }
    return ok;
}
