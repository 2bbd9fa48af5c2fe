/* decimal.c - a number as sign, digits without zeros at either end, and the place of its point. */
#include "policies/decimal.h"

#define EXPONENT_MAX INT64_C(1000000000000)    /* further out all are the same to us */

struct decimal {
    bool negative;
    struct span head, tail;    /* digits before and behind the point, as written */
    size_t skip, n;            /* of these together: zeros in front, and digits from the first to the last that is none */
    int64_t point;             /* value = 0.DIGITS x 10^point; with n = 0 it is zero */
};

static char digit(const struct decimal *d, size_t i)
{
    i += d->skip;
    return i < d->head.n ? d->head.p[i] : d->tail.p[i - d->head.n];
}

static size_t digits(struct span s)
{
    size_t n = 0;

    while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
        n++;
    return n;
}

static int64_t exponent(struct span s)
{
    const bool negative = s.n && s.p[0] == '-';
    int64_t n = 0;

    for (s = span_skip(s, s.n && (s.p[0] == '-' || s.p[0] == '+')); s.n && n < EXPONENT_MAX; s = span_skip(s, 1))
        n = n * 10 + (s.p[0] - '0');
    return negative ? -n : n;
}

static struct decimal read(struct span s)
{
    struct decimal d = { 0 };
    size_t all;

    d.negative = s.n && s.p[0] == '-';
    s = span_skip(s, d.negative);
    d.head = span_first(s, digits(s));
    s = span_skip(s, d.head.n);
    if (s.n && s.p[0] == '.') {
        s = span_skip(s, 1);
        d.tail = span_first(s, digits(s));
        s = span_skip(s, d.tail.n);
    }
    all = d.head.n + d.tail.n;
    d.n = all;
    while (d.n && digit(&d, 0) == '0') {
        d.skip++;
        d.n--;
    }
    while (d.n && digit(&d, d.n - 1) == '0')
        d.n--;
    d.point = (int64_t)d.head.n - (int64_t)d.skip + (s.n > 1 ? exponent(span_skip(s, 1)) : 0);
    if (d.n == 0)
        d.negative = false;
    return d;
}

static int compare_size(const struct decimal *a, const struct decimal *b)
{
    if (a->n == 0 || b->n == 0)
        return (a->n != 0) - (b->n != 0);
    if (a->point != b->point)
        return a->point < b->point ? -1 : 1;
    for (size_t i = 0; i < a->n || i < b->n; i++) {
        const char x = i < a->n ? digit(a, i) : '0', y = i < b->n ? digit(b, i) : '0';

        if (x != y)
            return x < y ? -1 : 1;
    }
    return 0;
}

int decimal_compare(struct span a, struct span b)
{
    const struct decimal x = read(a), y = read(b);

    if (x.negative != y.negative)
        return x.negative ? -1 : 1;
    return x.negative ? -compare_size(&x, &y) : compare_size(&x, &y);
}

bool decimal_is_integer(struct span a)
{
    const struct decimal d = read(a);

    return d.n == 0 || d.point >= (int64_t)d.n;
}

static uint64_t power_mod(int64_t exponent, uint64_t m)    /* 10^exponent mod m */
{
    unsigned __int128 result = 1 % m, base = 10 % m;

    for (; exponent > 0; exponent >>= 1) {
        if (exponent & 1)
            result = result * base % m;
        base = base * base % m;
    }
    return (uint64_t)result;
}

/* a = A x 10^i, of = D x 10^j, both without a zero at the end. With i < j the quotient cannot be whole: A has no factor 10. */
enum decimal_answer decimal_is_multiple(struct span a, struct span of)
{
    const struct decimal x = read(a), y = read(of);
    const int64_t i = x.point - (int64_t)x.n, j = y.point - (int64_t)y.n;
    unsigned __int128 rest = 0;
    uint64_t d = 0;

    if (y.n == 0 || y.negative || y.n > 18)
        return DECIMAL_UNKNOWN;
    if (x.n == 0)
        return DECIMAL_YES;
    if (i < j)
        return DECIMAL_NO;
    for (size_t k = 0; k < y.n; k++)
        d = d * 10 + (uint64_t)(digit(&y, k) - '0');
    for (size_t k = 0; k < x.n; k++)
        rest = (rest * 10u + (unsigned __int128)(digit(&x, k) - '0')) % d;
    return rest * power_mod(i - j, d) % d == 0 ? DECIMAL_YES : DECIMAL_NO;
}
