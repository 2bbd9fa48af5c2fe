/* json_schema.h - does a JSON text fit a JSON Schema?
 *
 * Draft 2020-12 (json-schema.org), as far as it can be asked of a model: every keyword of the applicator, validation and
 * unevaluated vocabularies; $ref to "#", "#/pointer" and "#anchor" within the schema. Numbers are compared as decimals, never
 * through doubles. `format` and content* are annotations, as the draft says by default. OpenAPI's `nullable` and upper-case
 * types are understood, since Gemini's dialect has them. What is not judged - references to other documents, $dynamicRef,
 * $recursiveRef, a pattern that PCRE2 cannot compile, work beyond the bound - makes the verdict UNJUDGED, never FITS.
 *
 * Both texts have been pre-scanned (base/jscan.h). Pure; memory is bounded and freed before the return. */
#ifndef TOLLGATE_POLICIES_JSON_SCHEMA_H
#define TOLLGATE_POLICIES_JSON_SCHEMA_H

#include "base/span.h"

enum schema_verdict { SCHEMA_FITS, SCHEMA_MISFIT, SCHEMA_UNJUDGED };

/* `why` (may be NULL, room bytes) gets "PLACE: what is wrong" for a misfit, what was not judged for UNJUDGED; else "". */
enum schema_verdict json_schema_check(struct span schema, struct span value, char *why, size_t room);

/* The same within *steps looks at one place, which become fewer; JSON_SCHEMA_BRIEF of them take a millisecond or two at worst.
 * True: *verdict is json_schema_check's. False: it takes longer, nothing is known. */
#define JSON_SCHEMA_BRIEF 4000u
bool json_schema_check_briefly(struct span schema, struct span value, unsigned *steps, enum schema_verdict *verdict);

/* The first keyword of a schema that is not judged, "" when there is none: for a warning before anything is spent. */
void json_schema_unsupported(struct span schema, char *keyword, size_t room);

#endif
