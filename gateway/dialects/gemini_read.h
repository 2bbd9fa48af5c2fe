/* gemini_read.h - within the Gemini dialect: members by either spelling, and the halves of parse. */
#ifndef TOLLGATE_GATEWAY_GEMINI_READ_H
#define TOLLGATE_GATEWAY_GEMINI_READ_H

#include "gateway/dialects/gemini.h"
#include "gateway/dialects/reading.h"

/* Where pass_request finds what it changes (chat.places). */
struct gemini_places {
    struct span config;            /* generationConfig's value; SPAN_NONE */
    struct span max_tokens;        /* maxOutputTokens' value within it; SPAN_NONE */
};

/* Is a raw key this name, in camelCase or in snake_case? No for SPAN_NONE, an element of an array. */
bool gemini_key_is(struct span key, const char *camel);
/* A raw key as camelCase in plain ASCII, as faults and warnings need it: cut to fit. */
void gemini_key_text(struct span key, char *out, size_t room);
/* The values of the `n` names (camelCase), SPAN_NONE where absent or null. Other members become foreign ones of `kind` under
 * the place where `r` is. False: one name twice, in two spellings, or no memory. */
bool gemini_members(struct reading *r, struct span obj, const char *const *names, size_t n, struct span *out,
                    enum foreign_kind kind);
/* The same by itself, for objects whose other members do not matter. */
struct span gemini_get(struct span obj, const char *camel);
/* A foreign member of the caller's body, named behind the place where `r` is. */
bool gemini_foreign(struct reading *r, const char *field, enum foreign_kind kind);
/* A whole number, also as a string of digits, as 64-bit numbers come, or as 40.0. */
bool gemini_int(struct reading *r, const char *field, struct span v, int64_t least, int64_t most, int64_t *out);

/* gemini_contents.c */
bool gemini_read_contents(struct reading *r, struct span contents);
bool gemini_read_system(struct reading *r, struct span content);
/* gemini_tools.c */
bool gemini_read_tools(struct reading *r, struct span tools);
bool gemini_read_tool_config(struct reading *r, struct span config);
/* gemini_schema.c: a Schema of the OpenAPI subset as JSON Schema, in the arena. SPAN_NONE: no memory. Types in lower case,
 * numbers that came as strings as numbers, nullable as a type; what JSON Schema has not (propertyOrdering, example) goes. */
struct span gemini_json_schema(struct arena *arena, struct span schema);

#endif
