/* fields.h - a JSON object read into a struct by a table of its members: what the quirks of hosts and the traits of models
 * have in common. */
#ifndef TOLLGATE_GATEWAY_UPSTREAM_FIELDS_H
#define TOLLGATE_GATEWAY_UPSTREAM_FIELDS_H

#include <jansson.h>

#include "base/problem.h"
#include "base/span.h"

enum field_kind {
    FIELD_WORD,                    /* an enum; a word's place in `words` is its value */
    FIELD_BOOL,
    FIELD_TEXT,                    /* char[room] */
    FIELD_STATUSES,                /* int[], HTTP statuses; 0 ends them unless it is full */
    FIELD_TOKENS,                  /* int64_t, 0 to 2^31 */
};

#define FIELDS_MAX 32

struct field {
    const char *name;
    enum field_kind kind;
    size_t at, room;
    const char *const *words;      /* NULL-terminated */
};

#define FIELD_WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define FIELD_AT(type, m) offsetof(type, m), sizeof(((type *)0)->m)

/* Members of `over` (an object, or NULL for none) into *to. `said` (may be NULL) gets bit i for each field i that was there.
 * Faults go to `ps`, their pointers behind `pointer`; `what` is what a member is called ("quirk"). Members named in `skip`
 * (NULL-terminated, may be NULL) are somebody else's. False: there were faults. */
bool fields_read(void *to, const struct field *fields, size_t n, const json_t *over, const char *const *skip, const char *what,
                 uint32_t *said, const char *pointer, struct problems *ps);
/* The fields of `said` from one struct to another of its kind. */
void fields_copy(void *to, const void *from, const struct field *fields, size_t n, uint32_t said);

#endif
