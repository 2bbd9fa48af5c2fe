/* digest.h - the few things we ask of OpenSSL besides TLS: SHA-256, comparison in constant time, random bytes. */
#ifndef TOLLGATE_GATEWAY_SERVER_DIGEST_H
#define TOLLGATE_GATEWAY_SERVER_DIGEST_H

#include "base/span.h"

#define DIGEST_BYTES 32
#define DIGEST_HEX_BYTES 64

void digest_sha256(struct span s, uint8_t out[DIGEST_BYTES]);
void digest_hex(const uint8_t digest[DIGEST_BYTES], char out[DIGEST_HEX_BYTES + 1]);    /* lower case, NUL behind it */
/* Takes the same time whatever the bytes are. */
bool digest_equal(const void *a, const void *b, size_t n);
/* From the system's generator; false when it has none to give (then nothing may go on with what `out` holds). */
bool digest_random(void *out, size_t n) __attribute__((warn_unused_result));
/* Overwrites a secret in a way that the compiler may not leave out. */
void digest_wipe(void *p, size_t n);

#endif
