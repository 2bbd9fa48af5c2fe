/* keys.c - the text of keys, and the table that AUTH looks in.
 *
 * Owns the table: an open-addressed hash of digests, built whole and swapped under a mutex. Does not read the
 * ledger (sqlite.c does, and publishes here) and does not decide what a key may do. */
#include "gateway/ledger/keys.h"

#include <pthread.h>
#include <stdlib.h>

#include "gateway/server/digest.h"

static const char base62[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

#define SECRET_AT 3            /* behind "tg_" */
#define SECRET_BYTES 43        /* 62^43 > 2^256 > 62^42 */
#define SUM_BYTES 6            /* 62^6 > 2^32 */

/* `n` digits of the big-endian number in `bytes`, most significant first. Long division, a digit a pass. */
static void to_base62(uint8_t *bytes, size_t n_bytes, char *out, size_t n)
{
    while (n-- > 0) {
        unsigned rest = 0;

        for (size_t i = 0; i < n_bytes; i++) {
            unsigned v = rest << 8 | bytes[i];

            bytes[i] = (uint8_t)(v / 62);
            rest = v % 62;
        }
        out[n] = base62[rest];
    }
}

static uint32_t crc32_of(const char *p, size_t n)
{
    uint32_t crc = 0xffffffffu;

    for (size_t i = 0; i < n; i++) {
        crc ^= (uint8_t)p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0xedb88320u & (0u - (crc & 1)));
    }
    return ~crc;
}

static void put_sum(const char *secret, char out[SUM_BYTES])
{
    uint32_t crc = crc32_of(secret, SECRET_BYTES);
    uint8_t bytes[4] = { (uint8_t)(crc >> 24), (uint8_t)(crc >> 16), (uint8_t)(crc >> 8), (uint8_t)crc };

    to_base62(bytes, sizeof bytes, out, SUM_BYTES);
}

void key_make(const uint8_t random[32], char out[KEY_TEXT_BYTES + 1])
{
    uint8_t bytes[32];

    memcpy(bytes, random, sizeof bytes);
    memcpy(out, "tg_", SECRET_AT);
    to_base62(bytes, sizeof bytes, out + SECRET_AT, SECRET_BYTES);
    put_sum(out + SECRET_AT, out + SECRET_AT + SECRET_BYTES);
    out[KEY_TEXT_BYTES] = '\0';
    digest_wipe(bytes, sizeof bytes);
}

void key_make_id(const uint8_t random[9], char out[KEY_ID_BYTES + 1])
{
    uint8_t bytes[9];

    memcpy(bytes, random, sizeof bytes);
    memcpy(out, "key_", 4);
    to_base62(bytes, sizeof bytes, out + 4, KEY_ID_BYTES - 4);    /* 72 bits, the upper 0.5 of them dropped */
    out[KEY_ID_BYTES] = '\0';
}

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_shaped(struct span text)
{
    if (text.n != KEY_TEXT_BYTES || memcmp(text.p, "tg_", SECRET_AT) != 0)
        return false;
    for (size_t i = SECRET_AT; i < text.n; i++)
        if (!is_alnum(text.p[i]))
            return false;
    return true;
}

bool key_well_formed(struct span text)
{
    char sum[SUM_BYTES];

    if (!is_shaped(text))
        return false;
    put_sum(text.p + SECRET_AT, sum);
    return memcmp(sum, text.p + SECRET_AT + SECRET_BYTES, SUM_BYTES) == 0;
}

void key_digest(struct span text, uint8_t out[KEY_DIGEST_BYTES])
{
    digest_sha256(text, out);
}

bool key_name_ok(struct span name)
{
    if (name.n < 1 || name.n > KEY_NAME_BYTES || !is_alnum(name.p[0]))
        return false;
    for (size_t i = 1; i < name.n; i++)
        if (!is_alnum(name.p[i]) && name.p[i] != '.' && name.p[i] != '_' && name.p[i] != '-')
            return false;
    return true;
}

/* ---- the table ---- */

struct table {
    size_t mask;               /* slots - 1; at most half of the slots are taken */
    size_t valid;              /* rows not revoked */
    uint32_t *slots;           /* row index + 1, 0: free */
    struct key_row *rows;
};

struct keys {
    pthread_mutex_t lock;      /* guards `table`; a lookup under it is one probe and a copy */
    struct table *table;       /* NULL: no keys yet */
};

static void table_free(struct table *t)
{
    if (!t)
        return;
    free(t->slots);
    free(t->rows);
    free(t);
}

/* The first bytes of a SHA-256 are as good a hash as any. */
static size_t slot_of(const struct table *t, const uint8_t digest[KEY_DIGEST_BYTES])
{
    uint64_t h;

    memcpy(&h, digest, sizeof h);
    return (size_t)h & t->mask;
}

static struct table *table_new(const struct key_row *rows, size_t n)
{
    struct table *t = calloc(1, sizeof *t);
    size_t slots = 16;

    if (!t)
        return NULL;
    while (slots < n * 2)
        slots *= 2;
    t->mask = slots - 1;
    t->slots = calloc(slots, sizeof *t->slots);
    t->rows = calloc(n ? n : 1, sizeof *t->rows);
    if (!t->slots || !t->rows || n >= UINT32_MAX) {
        table_free(t);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        size_t at = slot_of(t, rows[i].digest);

        while (t->slots[at])
            at = (at + 1) & t->mask;
        t->slots[at] = (uint32_t)i + 1;
        t->rows[i] = rows[i];
        t->valid += !rows[i].revoked;
    }
    return t;
}

struct keys *keys_new(void)
{
    struct keys *k = calloc(1, sizeof *k);

    if (k)
        pthread_mutex_init(&k->lock, NULL);
    return k;
}

void keys_free(struct keys *k)
{
    if (!k)
        return;
    table_free(k->table);
    pthread_mutex_destroy(&k->lock);
    free(k);
}

bool keys_publish(struct keys *k, const struct key_row *rows, size_t n)
{
    struct table *t = table_new(rows, n), *old;

    if (!t)
        return false;
    pthread_mutex_lock(&k->lock);
    old = k->table;
    k->table = t;
    pthread_mutex_unlock(&k->lock);
    table_free(old);
    return true;
}

enum key_rc keys_find(struct keys *k, struct span text, struct key_info *out)
{
    uint8_t digest[KEY_DIGEST_BYTES];
    enum key_rc rc = KEY_UNKNOWN;

    if (!is_shaped(text))
        return KEY_MALFORMED;
    key_digest(text, digest);
    pthread_mutex_lock(&k->lock);
    for (size_t at = k->table ? slot_of(k->table, digest) : 0; k->table && k->table->slots[at];
         at = (at + 1) & k->table->mask) {
        const struct key_row *row = &k->table->rows[k->table->slots[at] - 1];

        if (!digest_equal(row->digest, digest, sizeof digest))
            continue;
        rc = row->revoked ? KEY_REVOKED : KEY_OK;
        if (rc == KEY_OK)
            *out = row->info;
        break;
    }
    pthread_mutex_unlock(&k->lock);
    /* Its check sum only tells a key that was cut off or mistyped from one of another gateway: not worth the time of all. */
    return rc == KEY_UNKNOWN && !key_well_formed(text) ? KEY_MALFORMED : rc;
}

size_t keys_count(struct keys *k)
{
    size_t n;

    pthread_mutex_lock(&k->lock);
    n = k->table ? k->table->valid : 0;
    pthread_mutex_unlock(&k->lock);
    return n;
}
