/* weights.h - safetensors files, mapped: names, types and shapes, checked against the file before use.
 *
 * A file is 8 bytes of header length (little-endian), a JSON header { name: { dtype, shape, data_offsets } } with
 * offsets [begin, end) counted from the byte behind the header, then the data, row-major and little-endian. */
#ifndef TOLLGATE_ENGINE_WEIGHTS_H
#define TOLLGATE_ENGINE_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/problem.h"
#include "base/span.h"

enum dtype {
    DTYPE_F32,
    DTYPE_BF16,
    DTYPE_F16,
    DTYPE_F8_E4M3,
    DTYPE_F8_E8M0,
    DTYPE_I8,            /* in a weight: two FP4 (E2M1) codes a byte, low nibble first */
    DTYPE_I64,
    DTYPE_I32,
    DTYPE_OTHER,         /* known to be there, of no use to us */
};

#define TENSOR_DIMS_MAX 4

struct tensor {
    struct span name;            /* in the weights' own memory */
    enum dtype dtype;
    int n_dims;
    int64_t shape[TENSOR_DIMS_MAX];
    const unsigned char *data;   /* in the mapped file; aligned to nothing */
    size_t bytes;                /* = product of shape x size of dtype, checked */
    int file;                    /* index of the shard, for messages */
};

/* A matrix in one of the stored forms. */
enum weight_form {
    WEIGHT_F32,
    WEIGHT_BF16,
    WEIGHT_F16,
    WEIGHT_FP8,          /* E4M3 and one E8M0 scale a block of 128 x 128 */
    WEIGHT_FP4,          /* E2M1 and one E8M0 scale a group of 32 along a row */
};

struct weight {
    enum weight_form form;
    int rows, cols;              /* out, in */
    const void *data;            /* aligned for its element; FP4: [rows][cols/2] bytes */
    const uint8_t *scale;        /* FP8: [ceil(rows/128)][ceil(cols/128)]; FP4: [rows][cols/32]; else NULL */
};

struct weights;

/* Maps model.safetensors of `dir`, or the shards named by model.safetensors.index.json. NULL with problems. */
struct weights *weights_open(const char *dir, struct problems *ps);
void weights_free(struct weights *w);

size_t weights_count(const struct weights *w);
const struct tensor *weights_at(const struct weights *w, size_t i);      /* in order of name */
const struct tensor *weights_find(const struct weights *w, const char *name);   /* NULL when absent */
const char *weights_file(const struct weights *w, const struct tensor *t);      /* path of its shard */
uint64_t weights_bytes(const struct weights *w);                          /* of all tensors */
const char *dtype_name(enum dtype d);
size_t dtype_bytes(enum dtype d);

/* Reads the header of one file from memory: `file` is all its bytes. Fills *list (malloc'ed, names included in one
 * block at *names; free both) in order of appearance. False with problems. Used by weights_open and the fuzzer. */
bool safetensors_read_header(struct span file, int file_index, struct tensor **list, size_t *n, char **names,
                             struct problems *ps);

/* The matrix `name` [rows, cols] with its scales (name without ".weight" + ".scale", or name + "_scale_inv"). False
 * with a problem that names the tensor, the shape and type that were expected, and what was found. */
bool weights_matrix(struct weights *w, const char *name, int64_t rows, int64_t cols, struct weight *out,
                    struct problems *ps);
/* A tensor of any float type of `n_dims` dimensions, widened to float32 in memory of `w`. NULL with a problem. */
const float *weights_vector(struct weights *w, const char *name, int n_dims, const int64_t *shape,
                            struct problems *ps);
/* [rows, cols] of I64 or I32, each 0 <= value < limit, as int32 in memory of `w`. NULL with a problem. */
const int32_t *weights_indices(struct weights *w, const char *name, int64_t rows, int64_t cols, int64_t limit,
                               struct problems *ps);

#endif
