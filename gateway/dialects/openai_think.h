/* openai_think.h - two habits of hosts that serve open weights, undone piece by piece: reasoning inside the content between
 * <think> and </think> (quirk think_tags), and arguments of a call that are encoded twice (Llama 4 hosts).
 * Wire facts: deepseek-and-compatible, sections B and E. Used by openai_answer.c. */
#ifndef TOLLGATE_GATEWAY_OPENAI_THINK_H
#define TOLLGATE_GATEWAY_OPENAI_THINK_H

#include "gateway/dialects/draft.h"

/* Content of choice 0, in raw pieces however they are cut. Zeroed is the beginning of an answer. Only blanks may stand before
 * <think>; those and the blanks behind </think> go. */
struct openai_think {
    enum { THINK_BEFORE, THINK_INSIDE, THINK_BEHIND, THINK_OUTSIDE } at;
    unsigned matched;          /* characters of the tag that have come */
    char held[96];             /* as they were written: they may yet be text */
    size_t n_held;
};
bool openai_think_feed(struct openai_think *t, struct draft *d, struct span raw);
/* The content is over: what was held is text. */
bool openai_think_end(struct openai_think *t, struct draft *d);

/* Arguments of one call of choice 0: "\"{\\\"a\\\":1}\"" becomes "{\"a\":1}". `first`: the first piece that is not empty. What
 * turns out to be no JSON string is handed on as it stands, for the judge to see. */
struct openai_doubled {
    bool on;
    char held[12];             /* an escape that is not whole, or the quote that may be the closing one */
    unsigned n_held;
};
bool openai_doubled_feed(struct openai_doubled *t, struct draft *d, unsigned call, struct span raw, bool first);

#endif
