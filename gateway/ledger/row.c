/* row.c - ids that carry their time, and the names of what stands in a row. Pure. */
#include "gateway/ledger/row.h"


static const char base32[] = "0123456789abcdefghjkmnpqrstvwxyz";    /* Crockford's, lower case: sorts as its value */

void row_new_id(int64_t at_ms, const uint8_t random[10], char out[ROW_ID_BYTES + 1])
{
    uint64_t ms = at_ms < 0 ? 0 : (uint64_t)at_ms & 0xffffffffffffu;
    char *p = out;

    memcpy(p, "req_", 4);
    p += 4;
    for (int shift = 45; shift >= 0; shift -= 5)
        *p++ = base32[ms >> shift & 31];
    for (int half = 0; half < 2; half++) {      /* 5 bytes are 8 characters */
        uint64_t v = 0;

        for (int i = 0; i < 5; i++)
            v = v << 8 | random[half * 5 + i];
        for (int shift = 35; shift >= 0; shift -= 5)
            *p++ = base32[v >> shift & 31];
    }
    *p = '\0';
}

void row_new_id_us(int64_t at_us, const uint8_t random[10], char out[ROW_ID_BYTES + 1])
{
    const int64_t us = at_us < 0 ? 0 : at_us;
    const uint32_t fraction = (uint32_t)(us % 1000 * 1024 / 1000);
    uint8_t bits[10];

    memcpy(bits, random, sizeof bits);
    bits[0] = (uint8_t)(fraction >> 2);
    bits[1] = (uint8_t)((fraction & 3) << 6 | (bits[1] & 0x3f));
    row_new_id(us / 1000, bits, out);
}

bool row_id_time(struct span id, int64_t *at_ms)
{
    int64_t ms = 0;

    if (id.n != ROW_ID_BYTES || memcmp(id.p, "req_", 4) != 0)
        return false;
    for (size_t i = 4; i < ROW_ID_BYTES; i++) {
        const char *at = id.p[i] ? strchr(base32, id.p[i]) : NULL;

        if (!at)
            return false;
        if (i < 14)
            ms = ms << 5 | (at - base32);
    }
    if (ms >> 48)
        return false;
    *at_ms = ms;
    return true;
}

size_t row_price_version(const char *book, struct span from, char out[ROW_PRICE_VERSION_BYTES])
{
    const size_t digits = strnlen(book, 16);
    const struct span since = span_first(from, 40);

    memcpy(out, book, digits);
    out[digits] = '@';
    if (since.n)
        memcpy(out + digits + 1, since.p, since.n);
    out[digits + 1 + since.n] = '\0';
    return digits + 1 + since.n;
}

const char *row_usage_source_name(enum row_usage_source s)
{
    switch (s) {
    case ROW_REPORTED:
        return "reported";
    case ROW_PARTIAL:
        return "partial";
    case ROW_ESTIMATED:
        return "estimated";
    }
    return "estimated";
}
