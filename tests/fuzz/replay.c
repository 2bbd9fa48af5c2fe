/* replay.c - a main() for fuzz targets that are built without libFuzzer: runs each file that is named once, so that
 * the corpus is a regression test on every compiler. */
#include <string.h>

#include "tests/fuzz/fuzz.h"

#define FILE_MAX (1u << 20)

static int replay(const char *path)
{
    static uint8_t bytes[FILE_MAX];
    FILE *f = fopen(path, "rb");
    uint8_t *copy;
    size_t n;

    if (!f) {
        perror(path);
        return 1;
    }
    n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    copy = malloc(n + 1);    /* of the right size, so that AddressSanitizer sees a read beyond it */
    if (!copy)
        return 1;
    memcpy(copy + 1, bytes, n);
    LLVMFuzzerTestOneInput(copy + 1, n);
    free(copy);
    return 0;
}

int main(int argc, char **argv)
{
    int failed = 0;

    for (int i = 1; i < argc; i++)
        failed |= replay(argv[i]);
    printf("%s: %d inputs\n", argv[0], argc - 1);
    return failed;
}
