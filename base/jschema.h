/* jschema.h - checks a tree against a JSON Schema, as far as the schemas in schemas/ use it.
 *
 * Keywords: type, properties, required, additionalProperties, patternProperties, propertyNames, items, enum, const,
 * pattern, minimum, maximum, minLength, maxLength, minItems, maxItems, uniqueItems, minProperties, anyOf, oneOf, $ref
 * within the document ("#/$defs/x"); title, description, examples, default, $id, $schema, $comment, $defs are notes.
 * "hint" (ours) is text shown with a failing value. Another keyword is a bug of the schema and is reported as an
 * error, so that nothing passes unchecked. An unknown member is an error with the nearest known name as hint.
 * `pattern` is a POSIX extended expression. */
#ifndef TOLLGATE_BASE_JSCHEMA_H
#define TOLLGATE_BASE_JSCHEMA_H

#include "base/json.h"

/* All faults of `doc` go to `ps`. True when there is none. */
bool jschema_check(const json_t *schema, const json_t *doc, struct problems *ps);

/* Is the schema itself in order? False: *bad is the innermost keyword that is unknown or of the wrong type. jschema_check
 * asks this first. */
bool jschema_lint(const json_t *schema, const char **bad);

/* A bundled schema by its file name ("prices.schema.json"), compiled into the program; NULL when there is none.
 * Text, NUL-terminated. schemas/local.mk makes schemas_bundled.c from schemas/. */
const char *jschema_bundled(const char *name);
/* jschema_check against a bundled schema. */
bool jschema_check_bundled(const char *name, const json_t *doc, struct problems *ps);

#endif
