/* table.c - gathers the cells, then prints them. Knows nothing of what they mean. */
#include "gateway/commands/table.h"

#include <stdlib.h>

#include "base/buf.h"
#include "pricing/price.h"

#define TABLE_CAP ((size_t)1 << 30)

struct column {
    size_t name_at, name_n;
    enum table_kind kind;
    bool hidden;
};

struct cell {
    size_t at, n;                  /* in `text` */
};

struct table {
    struct column *columns;
    struct cell *cells;
    size_t n_columns, n_cells, room;
    struct buf text;
};

static void *must(void *p)
{
    if (p)
        return p;
    fprintf(stderr, "tollgate: there is no memory for so many rows\n");
    exit(1);
}

bool table_format_parse(struct span name, enum table_format *out)
{
    if (span_is(name, "table") || span_is(name, "text"))
        *out = TABLE_TEXT;
    else if (span_is(name, "csv"))
        *out = TABLE_CSV;
    else if (span_is(name, "json"))
        *out = TABLE_JSON;
    else
        return false;
    return true;
}

struct table *table_new(void)
{
    struct table *t = must(calloc(1, sizeof *t));

    buf_init(&t->text, TABLE_CAP);
    return t;
}

void table_free(struct table *t)
{
    if (!t)
        return;
    free(t->columns);
    free(t->cells);
    buf_free(&t->text);
    free(t);
}

static size_t keep(struct table *t, struct span s)
{
    size_t at = t->text.n;

    if (!buf_add_span(&t->text, s))
        must(NULL);
    return at;
}

void table_column(struct table *t, struct span name, enum table_kind kind, bool hidden)
{
    t->columns = must(realloc(t->columns, (t->n_columns + 1) * sizeof *t->columns));
    t->columns[t->n_columns++] = (struct column){ keep(t, name), name.n, kind, hidden };
}

void table_cell(struct table *t, struct span text)
{
    if (t->n_cells == t->room) {
        t->room = t->room ? t->room * 2 : 256;
        t->cells = must(realloc(t->cells, t->room * sizeof *t->cells));
    }
    t->cells[t->n_cells++] = (struct cell){ keep(t, text), text.n };
}

void table_number(struct table *t, int64_t n)
{
    char text[32];

    snprintf(text, sizeof text, "%lld", (long long)n);
    table_cell(t, span_str(text));
}

void table_money(struct table *t, int64_t nano)
{
    char text[PRICE_TEXT_ROOM];

    price_format_usd(nano, text);
    table_cell(t, span_str(text));
}

static struct span text_at(const struct table *t, size_t at, size_t n)
{
    return (struct span){ t->text.p ? t->text.p + at : "", n };
}

static struct span name_of(const struct table *t, size_t column)
{
    return text_at(t, t->columns[column].name_at, t->columns[column].name_n);
}

static struct span cell_of(const struct table *t, size_t i)
{
    return text_at(t, t->cells[i].at, t->cells[i].n);
}

size_t table_rows(const struct table *t)
{
    return t->n_columns ? t->n_cells / t->n_columns : 0;
}

void table_hide_if_zero(struct table *t, size_t column)
{
    for (size_t i = column; i < t->n_cells; i += t->n_columns)
        if (!span_is(cell_of(t, i), "0"))
            return;
    t->columns[column].hidden = true;
}

/* ---- aligned ---- */

/* Characters of UTF-8; close enough to columns for names. */
static size_t width_of(struct span s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += ((uint8_t)s.p[i] & 0xc0) != 0x80;
    return n;
}

/* Blanks wait in *blanks until something follows them: no line ends in blanks. */
static void put_padded(FILE *out, struct span s, size_t width, bool right, size_t *blanks)
{
    size_t pad = width - width_of(s);

    *blanks += right ? pad : 0;
    for (; s.n && *blanks; --*blanks)
        fputc(' ', out);
    for (size_t i = 0; i < s.n; i++)
        fputc((uint8_t)s.p[i] < 0x20 || s.p[i] == 0x7f ? '?' : s.p[i], out);
    *blanks += right ? 0 : pad;
}

static void print_line(const struct table *t, const size_t *widths, size_t row, FILE *out)
{
    size_t blanks = 0;
    bool first = true;

    for (size_t c = 0; c < t->n_columns; c++) {
        enum table_kind kind = t->columns[c].kind;

        if (t->columns[c].hidden)
            continue;
        blanks += first ? 0 : 2;
        first = false;
        put_padded(out, row ? cell_of(t, (row - 1) * t->n_columns + c) : name_of(t, c), widths[c],
                   kind == TABLE_NUMBER || kind == TABLE_MONEY, &blanks);
    }
    fputc('\n', out);
}

static void print_text(const struct table *t, FILE *out)
{
    size_t *widths = must(calloc(t->n_columns + 1, sizeof *widths));
    size_t rows = table_rows(t);

    for (size_t c = 0; c < t->n_columns; c++) {
        widths[c] = width_of(name_of(t, c));
        for (size_t r = 0; r < rows; r++) {
            size_t w = width_of(cell_of(t, r * t->n_columns + c));

            widths[c] = w > widths[c] ? w : widths[c];
        }
    }
    for (size_t r = 0; r <= rows; r++)
        print_line(t, widths, r, out);
    free(widths);
}

/* ---- for programs ---- */

static void put_csv(FILE *out, struct span s)
{
    bool quote = false;

    for (size_t i = 0; i < s.n && !quote; i++)
        quote = strchr(",\"\r\n", s.p[i]) != NULL;
    if (!quote) {
        fwrite(s.p, 1, s.n, out);
        return;
    }
    fputc('"', out);
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"')
            fputc('"', out);
        fputc(s.p[i], out);
    }
    fputc('"', out);
}

static void print_csv(const struct table *t, FILE *out)
{
    for (size_t c = 0; c < t->n_columns; c++) {
        fputs(c ? "," : "", out);
        put_csv(out, name_of(t, c));
    }
    fputs("\r\n", out);
    for (size_t i = 0; i < t->n_cells; i++) {
        put_csv(out, cell_of(t, i));
        fputs((i + 1) % t->n_columns ? "," : "\r\n", out);
    }
}

static void print_json(const struct table *t, FILE *out)
{
    struct buf b;

    buf_init(&b, TABLE_CAP);
    buf_add_char(&b, '[');
    for (size_t i = 0; i < t->n_cells; i++) {
        size_t c = i % t->n_columns;
        enum table_kind kind = t->columns[c].kind;
        struct span s = cell_of(t, i);

        buf_add_str(&b, c ? "," : i ? ",\n {" : "\n {");
        buf_add_json(&b, name_of(t, c));
        buf_add_char(&b, ':');
        if (kind == TABLE_TIME && !s.n)
            buf_add_str(&b, "null");
        else if (kind == TABLE_NUMBER)
            buf_add_span(&b, s);
        else
            buf_add_json(&b, s);
        if (c + 1 == t->n_columns)
            buf_add_char(&b, '}');
    }
    buf_add_str(&b, t->n_cells ? "\n]\n" : "]\n");
    if (!buf_ok(&b))
        must(NULL);
    fwrite(b.p, 1, b.n, out);
    buf_free(&b);
}

void table_print(const struct table *t, enum table_format format, FILE *out)
{
    switch (format) {
    case TABLE_TEXT:
        print_text(t, out);
        break;
    case TABLE_CSV:
        print_csv(t, out);
        break;
    case TABLE_JSON:
        print_json(t, out);
        break;
    }
}
