/* price_text.c - decimals in and out, exactly. One grammar for rates, budgets and multipliers:
 * digits, then perhaps a point and digits; no sign, no exponent, no blanks, no needless zero in front.
 *
 * Anything looser would let two readers see two amounts in one text. */
#include <string.h>

#include "pricing/price.h"

#define RATIO_MAX 1000

/* `text` in units of 10^-decimals, at most `max`. */
static enum price_parse parse_decimal(struct span text, int decimals, int64_t max, int64_t *out)
{
    int64_t v = 0;
    int behind = -1;    /* digits behind the point; -1 before it */

    if (text.n == 0 || text.p[0] == '.' || text.p[text.n - 1] == '.')
        return PRICE_PARSE_SYNTAX;
    if (text.n > 1 && text.p[0] == '0' && text.p[1] != '.')
        return PRICE_PARSE_SYNTAX;
    for (size_t i = 0; i < text.n; i++)    /* first all of the grammar: a wrong text is wrong, however long */
        if (text.p[i] == '.' ? behind++ >= 0 : text.p[i] < '0' || text.p[i] > '9')
            return PRICE_PARSE_SYNTAX;
    behind = -1;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '.') {
            behind = 0;
            continue;
        }
        if (behind >= 0 && behind++ == decimals)
            return PRICE_PARSE_PRECISE;
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, text.p[i] - '0', &v))
            return PRICE_PARSE_RANGE;
    }
    for (int i = behind > 0 ? behind : 0; i < decimals; i++)
        if (__builtin_mul_overflow(v, 10, &v))
            return PRICE_PARSE_RANGE;
    if (v > max)
        return PRICE_PARSE_RANGE;
    *out = v;
    return PRICE_PARSE_OK;
}

enum price_parse price_parse_rate(struct span text, int64_t *pusd)
{
    return parse_decimal(text, 6, PRICE_RATE_MAX, pusd);
}

enum price_parse price_parse_usd(struct span text, int64_t *nano)
{
    return parse_decimal(text, 9, INT64_MAX, nano);
}

enum price_parse price_parse_ratio(struct span text, struct ratio *out)
{
    int64_t millionths, a, b = 1000000;
    const enum price_parse rc = parse_decimal(text, 6, RATIO_MAX * b, &millionths);

    if (rc != PRICE_PARSE_OK)
        return rc;
    for (a = millionths; b;) {    /* Euclid; a ends as the common divisor */
        const int64_t rest = a % b;

        a = b;
        b = rest;
    }
    *out = (struct ratio){ millionths / a, 1000000 / a };
    return PRICE_PARSE_OK;
}

const char *price_parse_text(enum price_parse rc, int decimals)
{
    switch (rc) {
    case PRICE_PARSE_OK:
        return "is a decimal";
    case PRICE_PARSE_SYNTAX:
        return "is no plain decimal: digits, perhaps a point and digits; no sign, exponent or blanks";
    case PRICE_PARSE_PRECISE:
        return decimals == 9 ? "has more than nine decimals" : "has more than six decimals";
    case PRICE_PARSE_RANGE:
        return "is too large";
    }
    return "is wrong";
}

/* Digits from the right, by hand: each answer says its cost. */
static void format_decimal(int64_t v, int decimals, char out[PRICE_TEXT_ROOM])
{
    uint64_t rest = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    char text[PRICE_TEXT_ROOM];
    size_t at = sizeof text;
    bool zeros = true;             /* none but zeros so far: they are left out behind the point */

    for (int i = 0; i <= decimals || rest; i++) {
        if (i == decimals && !zeros)
            text[--at] = '.';
        if (i >= decimals || rest % 10 || !zeros) {
            text[--at] = (char)('0' + rest % 10);
            zeros = false;
        }
        rest /= 10;
    }
    if (v < 0)
        text[--at] = '-';
    memcpy(out, text + at, sizeof text - at);
    out[sizeof text - at] = '\0';
}

void price_format_usd(int64_t nano, char out[PRICE_TEXT_ROOM])
{
    format_decimal(nano, 9, out);
}

void price_format_rate(int64_t pusd, char out[PRICE_TEXT_ROOM])
{
    format_decimal(pusd, 6, out);
}
