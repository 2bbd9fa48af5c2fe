/* checks.h - verdicts on an answer. Pure functions over the draft that the gateway has gathered.
 *
 * Each check states what it needs: a beginning (it can judge the first characters of a stream), or the whole answer.
 * A check never repairs. Its reason text is for people and is static. */
#ifndef TOLLGATE_POLICIES_CHECKS_H
#define TOLLGATE_POLICIES_CHECKS_H

#include "base/span.h"
#include "policies/features.h"

enum finish {                      /* the dialects' words, mapped in the gateway's dialect files */
    FINISH_NONE,                   /* not said (yet) */
    FINISH_STOP,                   /* stop, end_turn, stop_sequence, eos */
    FINISH_LENGTH,                 /* length, max_tokens, model_length */
    FINISH_TOOL_CALLS,             /* tool_calls, tool_use, function_call */
    FINISH_FILTERED,               /* content_filter, refusal, SAFETY */
    FINISH_INTERRUPTED,            /* insufficient_system_resource, error */
    FINISH_OTHER,
};

struct answer_tool {
    struct span name;              /* unescaped */
    struct span arguments;         /* the JSON text itself, unescaped; empty counts as {} */
    bool custom;                   /* OpenAI's custom tools take free text: it is not judged */
};

/* What has arrived of one answer. `text` is the answer's own text, unescaped, without reasoning; while a stream runs
 * it may be a beginning only. Borrowed. */
struct answer {
    struct span text;
    struct span refusal;           /* OpenAI's `refusal` field, or a provider's own reason; SPAN_NONE */
    enum finish finish;
    const struct answer_tool *tools;
    size_t n_tools;
    int64_t output_tokens;         /* reported; 0 when not known */
};

enum check {                       /* in the order in which they are asked */
    CHECK_NOT_REFUSED,             /* first: a refusal is worth knowing as one, whatever else is wrong with it */
    CHECK_NOT_EMPTY,
    CHECK_COMPLETE,
    CHECK_VALID_JSON,
    CHECK_VALID_TOOL_CALLS,
    CHECK_COUNT
};
#define CHECK_BIT(c) (1U << (unsigned)(c))

struct verdict {
    bool ok;
    enum check check;              /* the first that failed */
    const char *reason;            /* static; NULL when ok */
};

const char *check_name(enum check c);            /* "not_refused" */
enum check check_find(struct span name);         /* CHECK_COUNT when there is none */

/* One check on a whole answer. `sent_cap` is the cap that the attempt was called with (0: none). */
struct verdict check_whole(enum check c, const struct answer *a, const struct asked *asked, int64_t sent_cap);
/* All checks in `set` (bits) on a whole answer, in order, up to the first that fails. */
struct verdict checks_whole(unsigned set, const struct answer *a, const struct asked *asked, int64_t sent_cap);
/* The same where it takes no more than some milliseconds; false: it would take longer, and *v is not to be used. */
bool checks_brief(unsigned set, const struct answer *a, const struct asked *asked, int64_t sent_cap, struct verdict *v);
/* Those of `set` that can judge a beginning, on what is there. `ok` means: nothing wrong so far. */
struct verdict checks_beginning(unsigned set, const struct answer *a);

/* Does this text begin as a refusal? Reads its first CHECK_HEAD_CHARS characters. *reason (may be NULL) says how it
 * was known. (refusal.c) */
bool check_text_refuses(struct span text, const char **reason);
#define CHECK_HEAD_CHARS 240

#endif
