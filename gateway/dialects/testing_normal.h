/* testing_normal.h - what is left of a chat that goes through a dialect: the tables of wire/translation as code, written apart
 * from the dialects and held against them by test_round_trips.
 *
 * A chat written by a dialect and read again by the same is the normal form that is built here: turns merged or split as the
 * dialect has them, fields that it lacks gone, others in its words. What is gone or changed without being said by a note must
 * be in one of the lists below; all else is a loss that nobody was told of.
 *
 * Gone without a word, since neither the answer's meaning nor its price changes (wire/translation section 2):
 *   cache marks and prompt_cache_key where there are none; the user's id where there is none; names and descriptions of
 *   schemas; names of documents and types of URLs where there is no place; citations of earlier answers; reasoning of another
 *   family, and signatures of calls and texts (request/thinking.h keeps them); that a result was of a custom tool;
 *   `developer` where there is only `system`. An error's result begins with "Error: " where it has no member. */
#ifndef TOLLGATE_GATEWAY_TESTING_NORMAL_H
#define TOLLGATE_GATEWAY_TESTING_NORMAL_H

#include "gateway/dialects/dialect.h"

#define NORMAL_NOTES_MAX 40

struct normal {
    struct chat chat;
    struct arena *arena;
    const struct target *target;
    struct { const char *what, *fields; } notes[NORMAL_NOTES_MAX];    /* "dropped", "n|candidateCount": the dialects' spellings */
    size_t n_notes;
    bool one_call;
};

/* Of a chat that `to` takes. False: the test's own arena is full. */
bool normal_form(struct normal *n, const struct chat *chat, enum dialect_id to, const struct target *target,
                 struct arena *arena);
/* What a chat says, a line for each thing, without counters and places. Names of tools as `names` gives them back. */
void normal_show(struct buf *b, const struct chat *chat, const struct names *names);
/* Ids of calls that cannot be said in a dialect are written otherwise there. Gives those of `back` their names in `chat`, call
 * by call; false where one id became two, or two became one. */
bool normal_ids(const struct chat *chat, struct chat *back);

/* ---- for the four that follow: testing_normal_X.c ---- */

void normal_openai(struct normal *n, const struct chat *from);
void normal_responses(struct normal *n, const struct chat *from);
void normal_anthropic(struct normal *n, const struct chat *from);
void normal_gemini(struct normal *n, const struct chat *from);

void normal_note(struct normal *n, const char *what, const char *fields);
/* Once for all the places where it happens. */
void normal_note_once(struct normal *n, const char *what, const char *fields);
void normal_drop(struct normal *n, struct span *value, const char *fields);    /* to SPAN_NONE; with a note if it was there */

struct chat_turn *normal_turn(struct normal *n, enum chat_role role);
struct chat_item *normal_item(struct normal *n, struct chat_turn *turn, enum item_kind kind);
struct chat_item *normal_part(struct normal *n, struct chat_item *result, enum item_kind kind);
struct chat_item *normal_text(struct normal *n, struct chat_turn *turn, struct span raw);

/* Raw texts with something between them, in the arena. */
struct span normal_join(struct normal *n, struct span a, const char *between, struct span b);
struct span normal_escaped(struct normal *n, struct span text);    /* text as the body of a JSON string */
struct span normal_unescaped(struct normal *n, struct span raw);
/* The call's arguments where they must be an object: {} for nothing, {"_raw":...} for what is none (with a note). */
struct span normal_object(struct normal *n, const struct chat_call *call);
bool normal_blank(struct span raw);
bool normal_is_media(const struct chat_item *i);
/* Standard base64 of either spelling. */
struct span normal_base64(struct normal *n, struct span raw);
/* The fields that all dialects say alike, and tools without what only some have. */
void normal_begin(struct normal *n, const struct chat *from);

#endif
