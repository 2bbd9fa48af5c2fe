/* jwrite.h - JSON written into a buf, member by member, without a tree.
 *
 * Stateless: a comma is put where the text so far asks for one, so that writers may nest and share a buf. Names of members are
 * plain ASCII literals of ours. The buf remembers a failure (buf_ok), so a writer checks once at its end. */
#ifndef TOLLGATE_BASE_JWRITE_H
#define TOLLGATE_BASE_JWRITE_H

#include "base/buf.h"

/* ---- places: call one of these, then write exactly one value behind it ---- */
void jw_item(struct buf *b);                      /* next element of an array */
void jw_key(struct buf *b, const char *name);     /* next member of an object */

/* ---- brackets; `name` NULL: an array's element or the outermost value ---- */
void jw_object(struct buf *b, const char *name);
void jw_array(struct buf *b, const char *name);
void jw_close(struct buf *b, char bracket);       /* '}' or ']' */

/* ---- members (name) and elements (NULL) ---- */
void jw_string(struct buf *b, const char *name, struct span text);    /* escaped here */
void jw_raw(struct buf *b, const char *name, struct span raw);        /* the body of a JSON string, escapes as they are */
void jw_json(struct buf *b, const char *name, struct span value);     /* a whole value, verbatim */
void jw_int(struct buf *b, const char *name, int64_t n);
void jw_bool(struct buf *b, const char *name, bool on);
void jw_null(struct buf *b, const char *name);
/* Only when it is there (SPAN_NONE: nothing). */
void jw_raw_if(struct buf *b, const char *name, struct span raw);
void jw_json_if(struct buf *b, const char *name, struct span value);
/* A whole value on one line, behind what is there: line ends between its tokens, which would end the line of an event, become
 * blanks. */
void jw_line(struct buf *b, struct span value);
/* `text` (any UTF-8) as the body of a JSON string, without quotes. */
void jw_escaped(struct buf *b, struct span text);

#endif
