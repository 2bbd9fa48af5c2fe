/* digest.c - SHA-256, constant-time comparison, random bytes, by OpenSSL. Keeps no state. */
/* The plain SHA-256 functions: SHA256() and EVP look the algorithm up by name in each call, which takes longer than the
 * digest of a key. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "gateway/server/digest.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

void digest_sha256(struct span s, uint8_t out[DIGEST_BYTES])
{
    SHA256_CTX sum;

    SHA256_Init(&sum);
    SHA256_Update(&sum, s.p ? s.p : "", s.n);
    SHA256_Final(out, &sum);
}

void digest_hex(const uint8_t digest[DIGEST_BYTES], char out[DIGEST_HEX_BYTES + 1])
{
    static const char digits[] = "0123456789abcdef";

    for (int i = 0; i < DIGEST_BYTES; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    out[DIGEST_HEX_BYTES] = '\0';
}

bool digest_equal(const void *a, const void *b, size_t n)
{
    return CRYPTO_memcmp(a, b, n) == 0;
}

bool digest_random(void *out, size_t n)
{
    return n <= 0x7fffffff && RAND_bytes(out, (int)n) == 1;
}

void digest_wipe(void *p, size_t n)
{
    OPENSSL_cleanse(p, n);
}
