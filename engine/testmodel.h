/* testmodel.h - small model folders with random weights, for tests: every kind of layer, in the released layout.
 *
 * Written in C, apart from the trainer, so that the loader is tested against a second writer of its format. */
#ifndef TOLLGATE_ENGINE_TESTMODEL_H
#define TOLLGATE_ENGINE_TESTMODEL_H

#include <stdbool.h>

struct testmodel {
    unsigned seed;
    bool plain;              /* matrices in BF16 and F32 instead of FP8 and FP4 */
    bool two_files;          /* shards with an index, and "weight_scale_inv" for scales in the second */
    bool odd_header;         /* a header length that leaves every tensor unaligned */
    int hidden;              /* 0: 64. A multiple of 32 */
};

/* Layers: window, CSA, HCA, CSA; the first routes by id; vocabulary 97; index_topk 6. Makes a new folder below TMPDIR
 * (or /tmp) and returns its path, malloc'ed; NULL when it cannot be written. */
char *testmodel_write(const struct testmodel *t);
/* Deletes the folder and frees the path. NULL is legal. */
void testmodel_remove(char *dir);

/* Replaces the first `from` in dir/file by `to` of the same length; false when it is not there. */
bool testmodel_patch(const char *dir, const char *file, const char *from, const char *to);
/* Cuts the file to `bytes` (negative: that many fewer than it has). */
bool testmodel_cut(const char *dir, const char *file, long bytes);

#endif
