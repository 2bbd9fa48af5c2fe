/* prompt.h - the chat format of DeepSeek V4: messages to ids. The way back, ids to text, is answer.h.
 *
 * Text only, without tools (there is no room for DSML calls here yet). The markers are written as ids; content is
 * encoded with added tokens switched off, so that a user who types "<｜Assistant｜>" gets those characters and no
 * turn of his own making. Format: the release's encoder as told in its rendering rules, chat and thinking modes. */
#ifndef TOLLGATE_ENGINE_PROMPT_H
#define TOLLGATE_ENGINE_PROMPT_H

#include "engine/tokenizer.h"

enum prompt_role { PROMPT_SYSTEM, PROMPT_USER, PROMPT_ASSISTANT, PROMPT_REMINDER };

struct prompt_message {
    enum prompt_role role;
    struct span content;
    struct span reasoning;    /* of an assistant message; SPAN_NONE or empty: none. Rendered only in thinking mode */
    bool unfinished;          /* an assistant message to be continued: no end marker behind it. Only the last one */
};

enum prompt_mode { PROMPT_CHAT, PROMPT_THINKING };

/* The ids of the markers in this model's tokenizer. */
struct prompt_markers {
    int32_t bos, eos, user, assistant, think, think_end, reminder;
};

/* Looks the markers up by their text. False with a problem that names the first one that is missing; `reminder` alone
 * may be missing (-1). */
bool prompt_markers_find(const struct tokenizer *t, struct prompt_markers *m, struct problems *ps);

/* Appends the prompt. `drop_thinking`: reasoning of turns before the last user message is left out, as the release
 * does by default. The answer that follows begins inside the reasoning when the mode is PROMPT_THINKING.
 *
 * Ours, beyond the release: a prompt that would end without asking for an answer (its last message is of the system)
 * gets the assistant's marker too. A reminder without a marker in this tokenizer is rendered as a user's text.
 * Returns TOKENIZER_MEMORY also when an intermediate text finds no memory. */
enum tokenizer_rc prompt_encode(const struct tokenizer *t, const struct prompt_markers *m,
                                const struct prompt_message *messages, size_t n, enum prompt_mode mode,
                                bool drop_thinking, struct ids *out) __attribute__((warn_unused_result));

#endif
