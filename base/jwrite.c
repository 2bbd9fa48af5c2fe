/* jwrite.c - see jwrite.h. */
#include "base/jwrite.h"

static void comma(struct buf *b)
{
    const char last = b->n ? b->p[b->n - 1] : '\0';

    if (b->n && last != '{' && last != '[' && last != ':' && last != ',' && last != '\n' && last != ' ')
        buf_add_char(b, ',');
}

void jw_item(struct buf *b)
{
    comma(b);
}

void jw_key(struct buf *b, const char *name)
{
    comma(b);
    buf_add_char(b, '"');
    buf_add_str(b, name);
    buf_add(b, "\":", 2);
}

static void place(struct buf *b, const char *name)
{
    if (name)
        jw_key(b, name);
    else
        comma(b);
}

void jw_object(struct buf *b, const char *name)
{
    place(b, name);
    buf_add_char(b, '{');
}

void jw_array(struct buf *b, const char *name)
{
    place(b, name);
    buf_add_char(b, '[');
}

void jw_close(struct buf *b, char bracket)
{
    buf_add_char(b, bracket);
}

void jw_string(struct buf *b, const char *name, struct span text)
{
    place(b, name);
    buf_add_json(b, text);
}

void jw_raw(struct buf *b, const char *name, struct span raw)
{
    place(b, name);
    buf_add_char(b, '"');
    buf_add_span(b, raw);
    buf_add_char(b, '"');
}

void jw_json(struct buf *b, const char *name, struct span value)
{
    place(b, name);
    buf_add_span(b, value);
}

void jw_int(struct buf *b, const char *name, int64_t n)
{
    place(b, name);
    buf_add_int(b, n);
}

void jw_bool(struct buf *b, const char *name, bool on)
{
    place(b, name);
    buf_add_str(b, on ? "true" : "false");
}

void jw_null(struct buf *b, const char *name)
{
    place(b, name);
    buf_add(b, "null", 4);
}

void jw_raw_if(struct buf *b, const char *name, struct span raw)
{
    if (raw.p)
        jw_raw(b, name, raw);
}

void jw_json_if(struct buf *b, const char *name, struct span value)
{
    if (value.p)
        jw_json(b, name, value);
}

void jw_line(struct buf *b, struct span value)
{
    while (value.n) {
        const size_t lf = span_find(value, '\n'), end = span_find(span_first(value, lf), '\r');

        buf_add_span(b, span_first(value, end));
        if (end < value.n)
            buf_add_char(b, ' ');
        value = span_skip(value, end + 1);
    }
}

void jw_escaped(struct buf *b, struct span text)
{
    const size_t from = b->n;

    if (!buf_add_json(b, text))
        return;
    memmove(b->p + from, b->p + from + 1, b->n - from - 1);    /* its quotes go */
    b->n -= 2;
    b->p[b->n] = '\0';
}
