/* buf.c - one realloc'ed run of bytes that doubles up to its cap. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void buf_init(struct buf *b, size_t cap)
{
    *b = (struct buf){ .cap = cap };
}

void buf_free(struct buf *b)
{
    free(b->p);
    buf_init(b, b->cap);
}

void buf_clear(struct buf *b)
{
    b->n = 0;
    b->failed = false;
    if (b->p)
        b->p[0] = '\0';
}

static bool make_room(struct buf *b, size_t more)
{
    size_t room = b->room ? b->room : 256;
    char *p;

    if (b->failed || more > b->cap || b->n > b->cap - more) {
        b->failed = true;
        return false;
    }
    if (b->n + more + 1 <= b->room)
        return true;
    while (room < b->n + more + 1)
        room *= 2;
    p = realloc(b->p, room);
    if (!p) {
        b->failed = true;
        return false;
    }
    b->p = p;
    b->room = room;
    return true;
}

bool buf_add(struct buf *b, const void *p, size_t n)
{
    if (!make_room(b, n))
        return false;
    if (n)
        memcpy(b->p + b->n, p, n);
    b->n += n;
    b->p[b->n] = '\0';
    return true;
}

bool buf_add_span(struct buf *b, struct span s)
{
    return buf_add(b, s.p, s.n);
}

bool buf_add_str(struct buf *b, const char *z)
{
    return buf_add(b, z, strlen(z));
}

bool buf_add_int(struct buf *b, int64_t n)
{
    char digits[20];
    size_t i = sizeof digits;
    uint64_t rest = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;

    if (n < 0)
        buf_add_char(b, '-');
    do
        digits[--i] = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    return buf_add(b, digits + i, sizeof digits - i);
}

void buf_reserve(struct buf *b, size_t n)
{
    char *p;

    if (b->p || n > b->cap)
        return;
    p = malloc(n + 1);
    if (!p)
        return;
    p[0] = '\0';
    b->p = p;
    b->room = n + 1;
}

void buf_shrink(struct buf *b)
{
    char *p;

    if (!b->p || b->room <= b->n + 64)
        return;
    p = b->n ? realloc(b->p, b->n + 1) : NULL;
    if (!p && b->n)
        return;
    if (!b->n)
        free(b->p);
    b->p = p;
    b->room = b->n ? b->n + 1 : 0;
}

bool buf_add_char(struct buf *b, char c)
{
    return buf_add(b, &c, 1);
}

bool buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;
    int n;
    bool ok;

    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    ok = n >= 0 && make_room(b, (size_t)n);
    if (ok) {
        vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    } else {
        b->failed = true;
    }
    va_end(again);
    return ok;
}

bool buf_add_json(struct buf *b, struct span s)
{
    static const char hex[] = "0123456789abcdef";
    size_t from = 0;

    buf_add_char(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        const unsigned char c = (unsigned char)s.p[i];
        char esc[6] = { '\\', 0, '0', '0', 0, 0 };
        size_t n = 2;

        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        buf_add(b, s.p + from, i - from);
        from = i + 1;
        switch (c) {
        case '"': esc[1] = '"'; break;
        case '\\': esc[1] = '\\'; break;
        case '\n': esc[1] = 'n'; break;
        case '\r': esc[1] = 'r'; break;
        case '\t': esc[1] = 't'; break;
        default:
            esc[1] = 'u';
            esc[4] = hex[c >> 4];
            esc[5] = hex[c & 15];
            n = 6;
        }
        buf_add(b, esc, n);
    }
    if (s.n > from)
        buf_add(b, s.p + from, s.n - from);
    return buf_add_char(b, '"');
}

void buf_drop(struct buf *b, size_t n)
{
    if (n >= b->n) {
        b->n = 0;
    } else if (n) {
        memmove(b->p, b->p + n, b->n - n);
        b->n -= n;
    }
    if (b->p)
        b->p[b->n] = '\0';
}

char *buf_take(struct buf *b)
{
    char *p;

    if (!buf_add(b, "", 0)) {    /* makes sure that there is a string at all */
        buf_free(b);
        return NULL;
    }
    p = b->p;
    buf_init(b, b->cap);
    return p;
}
