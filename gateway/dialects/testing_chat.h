/* testing_chat.h - chats at random for the tests of translation: everything that the neutral form can hold, in an order that
 * chat_check_results allows. For test_round_trips and the fuzz targets of dialects. */
#ifndef TOLLGATE_GATEWAY_TESTING_CHAT_H
#define TOLLGATE_GATEWAY_TESTING_CHAT_H

#include "gateway/dialects/dialect.h"
#include "policies/testing_dice.h"

/* What a chat may hold that some dialects refuse. None of them: every dialect takes it, from every other. */
#define RANDOM_CHOICES 1u            /* n > 1 */
#define RANDOM_STOPS 2u              /* up to four of them */
#define RANDOM_LOGPROBS 4u
#define RANDOM_AUDIO 8u
#define RANDOM_PREFILL 16u           /* the last turn may be the assistant's */
#define RANDOM_PREFILLED_CALLS 32u   /* and end with calls */
#define RANDOM_FILE_URLS 64u
#define RANDOM_ODD_MEDIA 128u        /* types that not all take */
#define RANDOM_MODEL_MEDIA 256u      /* pictures in the assistant's turns */
#define RANDOM_SYSTEM_MEDIA 512u
#define RANDOM_WILD 1024u            /* what no other dialect takes: file ids, server tools, foreign items; and too much of all */

/* Into *chat, as if a caller of `source` had sent it. `may`: a sum of the above. Everything is in the arena or static. */
void random_chat(struct chat *chat, struct arena *arena, struct dice *dice, enum dialect_id source, unsigned may);

/* The pieces of which it is made. */
struct span random_raw(struct arena *arena, struct dice *dice);           /* body of a JSON string, perhaps empty */
struct span random_json(struct arena *arena, struct dice *dice, bool object);    /* a value, verbatim: big integers, odd spacing */
struct span random_name(struct arena *arena, struct dice *dice, unsigned n, bool odd);    /* of a tool; differs where n does */

#endif
