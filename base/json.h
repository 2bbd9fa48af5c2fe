/* json.h - files of JSON as jansson trees: configs, policies, prices, model folders. Never a caller's body in the loop.
 *
 * Structure is checked first by a schema (jschema.h), so that the getters here may be terse: each returns a default
 * when the member is absent or of another type. Nothing here owns memory but what json_read returns. */
#ifndef TOLLGATE_BASE_JSON_H
#define TOLLGATE_BASE_JSON_H

#include <jansson.h>

#include "base/problem.h"
#include "base/span.h"

/* Reads and parses a file of at most `max_bytes`. NULL with a problem (file, line) when it cannot be read, is no
 * JSON, repeats a key or is too large. *text (may be NULL) gets the bytes, NUL-terminated, for problems_locate and
 * digests; the caller frees it, and json_decref's the tree. */
json_t *json_read(const char *path, size_t max_bytes, struct problems *ps, char **text, size_t *text_bytes);
/* The same from memory; `name` stands for the file in problems. */
json_t *json_parse(const char *name, struct span text, struct problems *ps);

/* Borrowed from the tree; SPAN_NONE when absent or no string. */
struct span json_span(const json_t *obj, const char *key);
const char *json_cstr(const json_t *obj, const char *key, const char *absent);
int64_t json_int(const json_t *obj, const char *key, int64_t absent);
bool json_bool(const json_t *obj, const char *key, bool absent);
struct span json_value_span(const json_t *value);

/* Appends "/token" to a JSON pointer held in `at` (size `room`), "~" and "/" escaped; returns the former length, to
 * cut back to: at[json_at(at, room, "x")] = 0. Too long: cut, never overrun. */
size_t json_at(char *at, size_t room, const char *token);
size_t json_at_index(char *at, size_t room, size_t index);
#define JSON_POINTER_ROOM 512

#endif
