/* keys.h - callers' keys: their text, their digest, and the table that AUTH looks them up in.
 *
 * A key is "tg_" + 43 characters + 6 characters. The 43 are 256 random bits as a number in base 62, most significant
 * digit first, padded with '0'; the 6 are the CRC-32 (IEEE 802.3, as zlib's) of those 43 characters, in base 62 the
 * same way. Digits are 0-9 A-Z a-z. Secret scanners can so tell a key from noise without asking anybody.
 * Stored is the SHA-256 of the whole text, never the text: at 256 bits of entropy a slow hash would add nothing.
 *
 * The table is built whole by the ledger's thread and swapped; AUTH finds by digest and compares in constant time.
 * No caller's text is ever part of a statement (CVE-2026-42208 was that). */
#ifndef TOLLGATE_GATEWAY_LEDGER_KEYS_H
#define TOLLGATE_GATEWAY_LEDGER_KEYS_H

#include "base/span.h"

#define KEY_TEXT_BYTES 52
#define KEY_DIGEST_BYTES 32
#define KEY_ID_BYTES 16        /* "key_" + 12 characters of base 62 */
#define KEY_NAME_BYTES 64      /* teams and key names: 1-64 of A-Z a-z 0-9 . _ -, the first a letter or digit */

void key_make(const uint8_t random[32], char out[KEY_TEXT_BYTES + 1]);
void key_make_id(const uint8_t random[9], char out[KEY_ID_BYTES + 1]);
/* Right length, alphabet and check sum: what can be told offline. */
bool key_well_formed(struct span text);
void key_digest(struct span text, uint8_t out[KEY_DIGEST_BYTES]);
bool key_name_ok(struct span name);

struct key_info {
    char id[KEY_ID_BYTES + 1];
    char team[KEY_NAME_BYTES + 1];
    char name[KEY_NAME_BYTES + 1];
    bool strict;               /* what a translation would only warn of is refused */
};

struct key_row {
    struct key_info info;
    uint8_t digest[KEY_DIGEST_BYTES];
    bool revoked;
};

enum key_rc {
    KEY_OK,
    KEY_UNKNOWN,       /* well formed, not ours */
    KEY_MALFORMED,     /* no key of ours: cut off, mistyped, or another product's. The caller may be told which */
    KEY_REVOKED,
};

/* One for the process; any thread may find. NULL: no memory. */
struct keys *keys_new(void);
void keys_free(struct keys *k);
/* A copy into *out on KEY_OK, so that no lookup outlives a swap. Takes about a microsecond: SHA-256 of 52 bytes, one
 * probe. `text` is what stood behind "Bearer " or in x-api-key. */
enum key_rc keys_find(struct keys *k, struct span text, struct key_info *out) __attribute__((warn_unused_result));
/* Swaps the table for these rows (copied). False when there is no memory; then the old table stays. */
bool keys_publish(struct keys *k, const struct key_row *rows, size_t n);
size_t keys_count(struct keys *k);     /* not revoked */

#endif
