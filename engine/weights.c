/* weights.c - the tensors of a model folder: maps the files, finds tensors by name, hands them out checked.
 *
 * Owns the mappings and every copy made from them. A tensor is used where it lies in the file unless its type is
 * widened, or its place is not aligned for its type: then it is copied once. Knows no layer and no model. */
#include "engine/weights.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/json.h"
#include "engine/numbers.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are read as they lie in the file");

#define INDEX_BYTES_MAX (64u * 1024 * 1024)
#define SHARDS_MAX 4096

struct shard {
    char *path;
    void *map;
    size_t bytes;
    char *names;
};

struct weights {
    char *dir;
    struct shard *shards;
    int n_shards;
    struct tensor *tensors;     /* sorted by name */
    size_t n_tensors;
    struct arena arena;         /* widened and moved copies */
};

/* ---- opening ---- */

static char *join(const char *dir, const char *name)
{
    char *path = NULL;

    return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

static bool map_file(struct shard *s, struct problems *ps)
{
    struct stat st;
    int fd = open(s->path, O_RDONLY | O_CLOEXEC);

    ps->file = s->path;
    if (fd < 0 || fstat(fd, &st) != 0) {
        problem_error(ps, "", "cannot be opened: %s", strerror(errno));
        if (fd >= 0)
            close(fd);
        return false;
    }
    s->bytes = (size_t)st.st_size;
    s->map = S_ISREG(st.st_mode) && st.st_size > 0 ? mmap(NULL, s->bytes, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    close(fd);
    if (s->map == MAP_FAILED) {
        s->map = NULL;
        problem_error(ps, "", "cannot be mapped: %s", st.st_size ? strerror(errno) : "it is empty");
        return false;
    }
    return true;
}

static bool shard_open(struct weights *w, const char *name, struct problems *ps)
{
    struct shard *s = &w->shards[w->n_shards];
    struct tensor *list = NULL, *all;
    size_t n = 0;

    s->path = join(w->dir, name);
    if (!s->path)
        return false;
    w->n_shards++;
    if (!map_file(s, ps) ||
        !safetensors_read_header((struct span){ s->map, s->bytes }, w->n_shards - 1, &list, &n, &s->names, ps))
        return false;
    all = realloc(w->tensors, (w->n_tensors + n + 1) * sizeof *all);
    if (all) {
        memcpy(all + w->n_tensors, list, n * sizeof *all);
        w->tensors = all;
        w->n_tensors += n;
    }
    free(list);
    return all != NULL;
}

static int by_name(const void *a, const void *b)
{
    const struct tensor *x = a, *y = b;

    return strcmp(x->name.p, y->name.p);
}

static bool sort_tensors(struct weights *w, struct problems *ps)
{
    qsort(w->tensors, w->n_tensors, sizeof *w->tensors, by_name);
    for (size_t i = 1; i < w->n_tensors; i++) {
        if (by_name(&w->tensors[i - 1], &w->tensors[i]) == 0) {
            ps->file = weights_file(w, &w->tensors[i]);
            problem_error(ps, w->tensors[i].name.p, "is in another file too: %s", weights_file(w, &w->tensors[i - 1]));
            return false;
        }
    }
    return true;
}

/* Opens the shard of one line of the weight map unless it is open already. */
static bool open_listed(struct weights *w, const char *tensor, const char *file, struct problems *ps)
{
    if (!file || !*file || strchr(file, '/')) {
        problem_error(ps, tensor, "must name a file in the same folder");
        return false;
    }
    for (int i = w->n_shards - 1; i >= 0; i--)
        if (strcmp(w->shards[i].path + strlen(w->dir) + 1, file) == 0)
            return true;
    if (w->n_shards == SHARDS_MAX) {
        problem_error(ps, tensor, "names more than %d files", SHARDS_MAX);
        return false;
    }
    return shard_open(w, file, ps);
}

static bool open_index(struct weights *w, const char *path, struct problems *ps)
{
    json_t *index = json_read(path, INDEX_BYTES_MAX, ps, NULL, NULL);
    json_t *map = json_object_get(index, "weight_map"), *file;
    const char *tensor;
    bool ok = json_is_object(map);

    if (index && !ok)
        problem_error(ps, "/weight_map", "must be an object of tensor name to file name");
    if (ok) {
        json_object_foreach(map, tensor, file) {
            ok = open_listed(w, tensor, json_string_value(file), ps);
            ps->file = path;
            if (!ok)
                break;
        }
    }
    ok = ok && sort_tensors(w, ps);
    if (ok) {
        json_object_foreach(map, tensor, file) {
            if (!weights_find(w, tensor)) {
                ps->file = path;
                problem_error(ps, tensor, "is listed, but %s has no such tensor", json_string_value(file));
                ok = false;
                break;
            }
        }
    }
    json_decref(index);
    return ok;
}

struct weights *weights_open(const char *dir, struct problems *ps)
{
    struct weights *w = calloc(1, sizeof *w);
    char *index = join(dir, "model.safetensors.index.json");
    bool ok = false;

    if (!w || !index)
        goto out;
    arena_init(&w->arena, SIZE_MAX / 2);
    w->dir = strdup(dir);
    w->shards = calloc(SHARDS_MAX, sizeof *w->shards);
    if (!w->dir || !w->shards)
        goto out;
    if (access(index, F_OK) == 0)
        ok = open_index(w, index, ps);
    else
        ok = shard_open(w, "model.safetensors", ps) && sort_tensors(w, ps);
out:
    if (!ok) {
        ps->file = dir;
        if (ps->errors == 0)
            problem_error(ps, "", "cannot be loaded: no memory");
        weights_free(w);
        w = NULL;
    }
    free(index);
    return w;
}

void weights_free(struct weights *w)
{
    if (!w)
        return;
    for (int i = 0; i < w->n_shards; i++) {
        if (w->shards[i].map)
            munmap(w->shards[i].map, w->shards[i].bytes);
        free(w->shards[i].names);
        free(w->shards[i].path);
    }
    arena_free(&w->arena);
    free(w->shards);
    free(w->tensors);
    free(w->dir);
    free(w);
}

/* ---- finding ---- */

size_t weights_count(const struct weights *w)
{
    return w->n_tensors;
}

const struct tensor *weights_at(const struct weights *w, size_t i)
{
    return &w->tensors[i];
}

const struct tensor *weights_find(const struct weights *w, const char *name)
{
    const struct tensor key = { .name = { name, strlen(name) } };

    return w->n_tensors ? bsearch(&key, w->tensors, w->n_tensors, sizeof key, by_name) : NULL;
}

const char *weights_file(const struct weights *w, const struct tensor *t)
{
    return w->shards[t->file].path;
}

uint64_t weights_bytes(const struct weights *w)
{
    uint64_t n = 0;

    for (size_t i = 0; i < w->n_tensors; i++)
        n += w->tensors[i].bytes;
    return n;
}

/* ---- handing out ---- */

static const char *shape_text(char *out, size_t room, int n_dims, const int64_t *shape)
{
    size_t at = 1;

    snprintf(out, room, "[");
    for (int i = 0; i < n_dims && at < room; i++)
        at += (size_t)snprintf(out + at, room - at, "%s%lld", i ? ", " : "", (long long)shape[i]);
    if (at < room)
        snprintf(out + at, room - at, "]");
    return out;
}

/* As released, or with the "model." in front that other tools add. */
static const struct tensor *find_spelled(const struct weights *w, const char *name)
{
    char other[256];
    const struct tensor *t = weights_find(w, name);

    if (!t && snprintf(other, sizeof other, "model.%s", name) < (int)sizeof other)
        t = weights_find(w, other);
    return t;
}

static const struct tensor *want(const struct weights *w, const char *name, struct problems *ps)
{
    const struct tensor *t = find_spelled(w, name);

    ps->file = t ? weights_file(w, t) : w->dir;
    if (!t)
        problem_error(ps, name, "is missing");
    return t;
}

static bool same_shape(const struct tensor *t, int n_dims, const int64_t *shape)
{
    return t->n_dims == n_dims && memcmp(t->shape, shape, (size_t)n_dims * sizeof *shape) == 0;
}

static void say_found(const struct tensor *t, const char *types, int n_dims, const int64_t *shape, struct problems *ps)
{
    char expected[96], found[96];

    problem_error(ps, t->name.p, "must be %s %s, found %s %s", types, shape_text(expected, sizeof expected, n_dims, shape),
                  dtype_name(t->dtype), shape_text(found, sizeof found, t->n_dims, t->shape));
}

/* The data where it is aligned for its elements; a copy where it is not. */
static const void *aligned(struct weights *w, const struct tensor *t, struct problems *ps)
{
    void *copy;

    if ((uintptr_t)t->data % dtype_bytes(t->dtype) == 0)
        return t->data;
    copy = arena_alloc(&w->arena, t->bytes, 16);
    if (!copy) {
        problem_error(ps, t->name.p, "cannot be loaded: no memory");
        return NULL;
    }
    return memcpy(copy, t->data, t->bytes);
}

/* Scales of `matrix`: "x.scale" beside "x.weight", or "x.weight_scale_inv" (to be multiplied all the same). */
static const uint8_t *find_scale(struct weights *w, const struct tensor *matrix, int64_t rows, int64_t cols,
                                 struct problems *ps)
{
    char name[256];
    const struct span m = matrix->name, tail = SPAN_LIT("weight");
    const int stem = (int)(span_ends(m, tail) ? m.n - tail.n : m.n);
    const int64_t shape[2] = { rows, cols };
    const struct tensor *t = NULL;

    if (snprintf(name, sizeof name, "%.*sscale", stem, m.p) < (int)sizeof name)
        t = weights_find(w, name);
    if (!t && snprintf(name, sizeof name, "%s_scale_inv", m.p) < (int)sizeof name)
        t = weights_find(w, name);
    if (!t) {
        problem_error(ps, m.p, "is quantised, but its scales are missing: \"%.*sscale\"", stem, m.p);
        return NULL;
    }
    ps->file = weights_file(w, t);
    if (t->dtype != DTYPE_F8_E8M0 || !same_shape(t, 2, shape)) {
        say_found(t, "F8_E8M0", 2, shape, ps);
        return NULL;
    }
    return t->data;
}

static bool form_of(enum dtype d, enum weight_form *form)
{
    switch (d) {
    case DTYPE_F32: *form = WEIGHT_F32; return true;
    case DTYPE_BF16: *form = WEIGHT_BF16; return true;
    case DTYPE_F16: *form = WEIGHT_F16; return true;
    case DTYPE_F8_E4M3: *form = WEIGHT_FP8; return true;
    case DTYPE_I8: *form = WEIGHT_FP4; return true;
    default: return false;
    }
}

bool weights_matrix(struct weights *w, const char *name, int64_t rows, int64_t cols, struct weight *out,
                    struct problems *ps)
{
    const struct tensor *t = want(w, name, ps);
    int64_t shape[2] = { rows, cols };

    if (!t)
        return false;
    *out = (struct weight){ .rows = (int)rows, .cols = (int)cols };
    if (!form_of(t->dtype, &out->form)) {
        say_found(t, "BF16, F32, F16, F8_E4M3 or I8 (FP4)", 2, shape, ps);
        return false;
    }
    if (out->form == WEIGHT_FP4) {
        if (cols % 32) {
            problem_error(ps, t->name.p, "is FP4, which needs a row length that is a multiple of 32, not %lld",
                          (long long)cols);
            return false;
        }
        shape[1] = cols / 2;
    }
    if (!same_shape(t, 2, shape)) {
        say_found(t, dtype_name(t->dtype), 2, shape, ps);
        return false;
    }
    if (out->form == WEIGHT_FP8)
        out->scale = find_scale(w, t, (rows + 127) / 128, (cols + 127) / 128, ps);
    else if (out->form == WEIGHT_FP4)
        out->scale = find_scale(w, t, rows, cols / 32, ps);
    if ((out->form == WEIGHT_FP8 || out->form == WEIGHT_FP4) && !out->scale)
        return false;
    out->data = aligned(w, t, ps);
    return out->data != NULL;
}

const float *weights_vector(struct weights *w, const char *name, int n_dims, const int64_t *shape, struct problems *ps)
{
    const struct tensor *t = want(w, name, ps);
    const size_t size = t ? dtype_bytes(t->dtype) : 0;
    size_t n;
    float *out;

    if (!t)
        return NULL;
    if ((t->dtype != DTYPE_F32 && t->dtype != DTYPE_BF16 && t->dtype != DTYPE_F16) || !same_shape(t, n_dims, shape)) {
        say_found(t, "F32, BF16 or F16", n_dims, shape, ps);
        return NULL;
    }
    n = t->bytes / size;
    out = arena_alloc(&w->arena, (n ? n : 1) * sizeof *out, 16);
    if (!out) {
        problem_error(ps, name, "cannot be loaded: no memory");
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        uint16_t half;

        if (t->dtype == DTYPE_F32) {
            memcpy(&out[i], t->data + 4 * i, 4);
            continue;
        }
        memcpy(&half, t->data + 2 * i, 2);
        out[i] = t->dtype == DTYPE_BF16 ? float_of_bf16(half) : float_of_f16(half);
    }
    return out;
}

const int32_t *weights_indices(struct weights *w, const char *name, int64_t rows, int64_t cols, int64_t limit,
                               struct problems *ps)
{
    const struct tensor *t = want(w, name, ps);
    const int64_t shape[2] = { rows, cols };
    int32_t *out;

    if (!t)
        return NULL;
    if ((t->dtype != DTYPE_I64 && t->dtype != DTYPE_I32) || !same_shape(t, 2, shape)) {
        say_found(t, "I64 or I32", 2, shape, ps);
        return NULL;
    }
    out = arena_alloc(&w->arena, (size_t)(rows * cols) * sizeof *out, 16);
    if (!out) {
        problem_error(ps, name, "cannot be loaded: no memory");
        return NULL;
    }
    for (int64_t i = 0; i < rows * cols; i++) {
        int64_t wide = 0;
        int32_t narrow = 0;

        if (t->dtype == DTYPE_I64)
            memcpy(&wide, t->data + 8 * i, 8);
        else
            memcpy(&narrow, t->data + 4 * i, 4);
        wide = t->dtype == DTYPE_I64 ? wide : narrow;
        if (wide < 0 || wide >= limit) {
            problem_error(ps, name, "has %lld at [%lld, %lld]; must be 0 to %lld", (long long)wide, (long long)(i / cols),
                          (long long)(i % cols), (long long)limit - 1);
            return NULL;
        }
        out[i] = (int32_t)wide;
    }
    return out;
}
