/* effort.h - how hard a model shall think, as one of the words that it knows. Source: wire/translation section 3. */
#ifndef TOLLGATE_GATEWAY_EFFORT_H
#define TOLLGATE_GATEWAY_EFFORT_H

#include "gateway/dialects/chat.h"

/* The nearest of `words` ("none low medium high": any of none, minimal, low, medium, high, xhigh, max, in this order) to what
 * is asked; SPAN_NONE when nothing is, or when the model shall decide. Static memory of `words`. A budget of tokens counts as
 * its nearest step. *changed: another word than the asked one (false for a budget). */
struct span effort_word(const struct chat *chat, const char *words, bool *changed);

/* What is asked as a step: 0 none, 1 minimal, ... 6 max; a budget of tokens as its nearest. -1: nothing is asked, or the model
 * shall decide. */
int effort_step(const struct chat *chat);

#endif
