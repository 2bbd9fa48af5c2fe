/* reading.h - what every dialect's parse does alike: checks that name the place of a fault in the caller's own words, names
 * and texts taken out of the body, texts shown to the features.
 *
 * A check of an absent member or of null says yes: what is required is asked for by itself. */
#ifndef TOLLGATE_GATEWAY_READING_H
#define TOLLGATE_GATEWAY_READING_H

#include "gateway/dialects/dialect.h"

struct reading {
    struct chat *chat;
    const struct parse_spec *spec;
    enum chat_role role;       /* of the turn being read: for on_text */
    char *scratch;             /* the text being shown to on_text */
    char at[128];              /* "messages[2].content[0]": where we are, for faults; "" in the outermost object */
};

#define READING_SHOWN_MAX 65536u     /* of one string with escapes, for on_text */
#define READING_PLAIN_MAX 262144u    /* of one without */

/* ---- the place ---- */

/* Goes one step further: ("messages[%zu]", i), (".content[%zu]", j). Returns what reading_leave needs to come back. */
size_t reading_enter(struct reading *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same for ("%s[%zu]", name, i), at a tenth of its price: there may be thousands. */
size_t reading_enter_list(struct reading *r, const char *name, size_t i);
void reading_leave(struct reading *r, size_t back);

/* ---- faults; all return false ---- */

/* 400 invalid_value: "Invalid value for 'PLACE.field': right." `field` "" is the place itself; one that begins with [ is
 * put behind it without a dot. */
bool reading_want(struct reading *r, const char *field, const char *right);
/* 400 missing_required_parameter. */
bool reading_missing(struct reading *r, const char *field);
/* 400 unknown_parameter. */
bool reading_unknown(struct reading *r, const char *field);
/* 503. */
bool reading_no_memory(struct reading *r);

/* ---- checks: true, or a fault ---- */

static inline bool reading_is_null(struct span v) { return !v.p || jval_type(v) == JTYPE_NULL; }
bool reading_bool(struct reading *r, const char *field, struct span v, enum tri *out);      /* out may be NULL */
bool reading_int(struct reading *r, const char *field, struct span v, int64_t least, int64_t most, int64_t *out);
/* *out (may be NULL) is the number as written. */
bool reading_number(struct reading *r, const char *field, struct span v, int least, int most, struct span *out);
bool reading_type(struct reading *r, const char *field, struct span v, enum jtype type, const char *right);
/* A string; *raw (may be NULL) is its body, escapes untouched. */
bool reading_raw(struct reading *r, const char *field, struct span v, struct span *raw);
/* A string; *out is its text with the escapes undone, in the arena only when it has any. More than `most` bytes: a fault. */
bool reading_name(struct reading *r, const char *field, struct span v, size_t most, struct span *out);
bool reading_is_media_type(struct span type);
/* A media type; "" passes, for the caller to judge. */
bool reading_media_type(struct reading *r, const char *field, struct span v, struct span *out);
/* Media in one string, as OpenAI's dialects say them: a data: URI in base64 (checked, not decoded) or an http(s) URL, which
 * nobody here fetches. */
bool reading_media(struct reading *r, const char *field, struct span v, struct chat_media *media);
/* Is the raw string an http or https URL? No provider is handed another scheme, whatever it would make of it. */
bool reading_url(struct reading *r, const char *field, struct span raw);
/* An object of at most 16 strings, as OpenAI takes `metadata`? */
bool reading_is_labels(struct span v);
/* Index of a string value in a NULL-ended list of words; -1: none of them. */
int reading_word(struct span v, const char *const *words);

/* ---- texts ---- */

/* Counts a text of the conversation (the raw body of a string) and shows it to spec->on_text as r->role's. */
bool reading_show(struct reading *r, struct span raw);

#endif
