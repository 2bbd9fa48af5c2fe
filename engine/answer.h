/* answer.h - ids to text while they come: UTF-8 held back until whole, stop strings, reasoning apart from content.
 *
 * Pure: no model, no clock. One answer is fed one id at a time; what may be shown is appended to the caller's buffers.
 * Rules: (1) text is always valid UTF-8, wrong bytes become U+FFFD; (2) text that could still become a stop string is
 * held back, so that no piece of a stop string is ever shown; (3) the text before the earliest stop string is shown,
 * the string itself and what follows is not; (4) a control token never shows as text. */
#ifndef TOLLGATE_ENGINE_ANSWER_H
#define TOLLGATE_ENGINE_ANSWER_H

#include "base/buf.h"
#include "engine/prompt.h"

#define ANSWER_STOPS_MAX 4
#define ANSWER_STOP_BYTES 512      /* of one stop string */

enum answer_rc {
    ANSWER_MORE,
    ANSWER_STOP,       /* the end marker or a stop string: nothing more may be fed */
};

struct answer {
    const struct tokenizer *tokenizer;           /* borrowed */
    const struct prompt_markers *markers;        /* borrowed */
    struct span stops[ANSWER_STOPS_MAX];         /* borrowed; each 1 to ANSWER_STOP_BYTES bytes */
    size_t n_stops;
    bool in_reasoning;
    size_t reasoning_tokens;                     /* ids fed while in the reasoning, the closing marker included */
    bool stopped;
    char part[4];                                /* of a UTF-8 sequence that is not whole yet */
    size_t part_n;
    struct buf held;                             /* valid text that could begin a stop string */
};

void answer_init(struct answer *a, const struct tokenizer *t, const struct prompt_markers *m, bool thinking);
void answer_free(struct answer *a);
/* False when there are too many or one is empty or too long. */
bool answer_add_stop(struct answer *a, struct span stop);

/* Feeds one id; appends what may be shown now. Stop strings are looked for in the content, not in the reasoning. */
enum answer_rc answer_feed(struct answer *a, int32_t id, struct buf *reasoning, struct buf *content);
/* The answer has ended for another reason (length): what was held back is shown after all. */
void answer_end(struct answer *a, struct buf *reasoning, struct buf *content);

#endif
