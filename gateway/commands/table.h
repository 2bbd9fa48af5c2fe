/* table.h - rows as a command prints them: aligned for people, CSV (RFC 4180) or JSON for programs. */
#ifndef TOLLGATE_GATEWAY_COMMANDS_TABLE_H
#define TOLLGATE_GATEWAY_COMMANDS_TABLE_H

#include <stdio.h>

#include "base/span.h"

enum table_format { TABLE_TEXT, TABLE_CSV, TABLE_JSON };
/* "table", "csv" or "json"; "text" too. */
bool table_format_parse(struct span name, enum table_format *out);

enum table_kind {
    TABLE_WORD,        /* left, a string in JSON */
    TABLE_NUMBER,      /* right, an integer in JSON */
    TABLE_MONEY,       /* right, an exact decimal: a string in JSON */
    TABLE_TIME,        /* as a word; "" is null in JSON */
};

struct table;
struct table *table_new(void);                      /* aborts without memory: a command has nothing else to do */
void table_free(struct table *t);
/* All columns before the first cell. `hidden`: not in the aligned form. */
void table_column(struct table *t, struct span name, enum table_kind kind, bool hidden);
/* Cells row by row, from left to right; copied. */
void table_cell(struct table *t, struct span text);
void table_number(struct table *t, int64_t n);
void table_money(struct table *t, int64_t nano);
/* Takes a column out of the aligned form when every cell of it is 0. */
void table_hide_if_zero(struct table *t, size_t column);
size_t table_rows(const struct table *t);
/* JSON: an array of objects, `[]` without rows; CSV: always a head. In the aligned form control characters are shown
 * as "?", so that a name in the ledger cannot command a terminal. */
void table_print(const struct table *t, enum table_format format, FILE *out);

#endif
