/* fuzz_safetensors.c - any bytes as a safetensors file: refused with a problem, or a list of tensors that lie within it.
 * Seeds: tests/fuzz/corpus/safetensors. */
#include <stdlib.h>

#include "engine/weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever was let through must be safe to read: name, shape and bytes agree. */
static unsigned read_all(const struct tensor *t, const uint8_t *file, size_t size)
{
    unsigned sum = 0;
    size_t elements = 1;

    if (t->data < file || t->data > file + size || t->bytes > (size_t)(file + size - t->data))
        abort();
    if (strlen(t->name.p) != t->name.n || t->n_dims < 0 || t->n_dims > TENSOR_DIMS_MAX)
        abort();
    for (int i = 0; i < t->n_dims; i++)
        elements *= (size_t)t->shape[i];
    if (t->dtype != DTYPE_OTHER && elements * dtype_bytes(t->dtype) != t->bytes)
        abort();
    for (size_t i = 0; i < t->bytes; i++)
        sum += t->data[i];
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tensor *list = NULL;
    struct problems ps;
    char *names = NULL;
    size_t n = 0;
    volatile unsigned sum = 0;

    problems_init(&ps);
    if (safetensors_read_header((struct span){ (const char *)data, size }, 0, &list, &n, &names, &ps)) {
        if (ps.errors)
            abort();
        for (size_t i = 0; i < n; i++)
            sum += read_all(&list[i], data, size);
    } else if (!ps.errors || list || names) {
        abort();
    }
    (void)sum;
    free(list);
    free(names);
    problems_free(&ps);
    return 0;
}
