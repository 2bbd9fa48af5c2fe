/* draft.h - an answer as it arrives, in the neutral form: gathered for judging and pricing, and handed on piece by piece to
 * the caller's writer where the two sides speak different dialects.
 *
 * Every dialect's reader turns its provider's bytes into the calls below; every dialect's writer takes the pieces. A whole
 * answer makes the same pieces as a streamed one, with longer texts. Raw texts are bodies of JSON strings as the provider
 * wrote them (chat.h), valid until the call returns.
 *
 * Choice 0 is what the checks judge; the bytes of all choices are counted. Source: wire/translation sections 6, 7, 9. */
#ifndef TOLLGATE_GATEWAY_DRAFT_H
#define TOLLGATE_GATEWAY_DRAFT_H

#include "base/buf.h"
#include "gateway/dialects/chat.h"
#include "gateway/dialects/unwrap.h"
#include "policies/checks.h"
#include "pricing/price.h"

#define DRAFT_CALLS_MAX 128
#define DRAFT_BYTES_MAX (32u << 20)    /* of text and arguments that are kept */

enum piece_kind {
    PIECE_TEXT,
    PIECE_REFUSAL,
    PIECE_REASONING,           /* visible thinking */
    PIECE_SIGNATURE,           /* opaque, of the reasoning before it, or of a call (call >= 0) or text (Gemini) */
    PIECE_REDACTED,            /* an opaque reasoning block without text */
    PIECE_CALL,                /* a tool call begins: id and name are known */
    PIECE_ARGUMENTS,           /* a piece of its arguments: raw of the string that holds the JSON text */
    PIECE_CITATION,
    PIECE_LOGPROBS,            /* json: an array of OpenAI's {token, logprob, bytes, top_logprobs} */
};

struct piece {
    enum piece_kind kind;
    unsigned choice;
    int call;                  /* CALL, ARGUMENTS, SIGNATURE: ordinal among the choice's calls, from 0; else -1 */
    struct span raw;           /* texts; CITATION: the url */
    struct span id, name;      /* CALL: escapes undone, the caller's own spelling of the name */
    bool custom;               /* CALL, ARGUMENTS: free text instead of JSON */
    enum family family;        /* SIGNATURE, REDACTED */
    struct span title_raw;     /* CITATION */
    int64_t from, to;          /* CITATION: code points of the text; -1: not said */
    struct span json;          /* LOGPROBS */
};

struct draft_call {
    struct buf name, id, arguments;    /* escapes undone */
    struct buf waiting;                /* raw arguments that came before id and name */
    bool begun;                        /* PIECE_CALL has gone out */
    bool custom;
    bool wrapped;                      /* a custom tool that was sent as a function: its text is within {"input":...} */
    struct unwrap unwrap;
};

/* A signature that the caller's dialect may not carry: kept for the next turn of the tool loop. */
struct draft_opaque {
    int call;                  /* -1: of the reasoning */
    size_t text_end;           /* of it: signs the reasoning from the one before it up to here */
    enum family family;
    bool redacted;
    struct buf raw;
};
#define DRAFT_OPAQUES_MAX 16

struct writer;

struct draft {
    struct writer *writer;             /* of the caller's dialect; NULL: nothing is translated (same dialect) */
    const struct names *names;         /* tool names that were changed on the way out; may be NULL */

    struct buf text;                   /* of choice 0, unescaped; not kept when keep_text is off */
    struct buf refusal, reasoning;     /* reasoning: raw, kept while keep_reasoning */
    struct draft_call *calls;          /* of choice 0, by ordinal; grown as they appear */
    size_t n_calls, room_calls;
    struct draft_opaque opaques[DRAFT_OPAQUES_MAX];
    size_t n_opaques;
    int64_t chars;                     /* code points of text of choice 0 */
    int64_t generated_bytes;           /* of text, reasoning, arguments of all choices: an upper bound of tokens */
    bool has_piece;                    /* something that a caller could be shown has come */
    enum finish finish;                /* of choice 0 */
    struct buf stop_raw;               /* the stop sequence that ended it, where the provider says so */
    bool ended;                        /* the provider's terminal event has come */
    bool has_usage;
    bool usage_begun;                  /* without has_usage: the prompt's counters of `usage` are reported, the output's are not
                                        * (an Anthropic stream that was cut) */
    bool usage_mended;                 /* what was reported could not be, or its totals disagree: flag the row */
    struct usage usage;
    char model[128];                   /* as returned */
    char id[96];                       /* the provider's id of the answer */
    char service_tier[32];
    bool keep_text, keep_reasoning;
    bool one_call;                     /* parallel calls were forbidden and the host cannot be told: later ones are dropped */

    bool has_error;                    /* an error object, in place of an answer or inside a stream */
    char error_type[64], error_code[64], error_param[96];
    char error_message[600];
    int64_t error_retry_ms;            /* said in the body (Gemini's RetryInfo); -1: not */

    bool failed;                       /* no memory, or too large */
    void *reader_block;                /* private to the dialect that reads: one malloc'ed block, freed with the draft */
    struct answer_tool *view_calls;    /* for draft_view */

    /* Private to the provider's dialect: what one event of a stream leaves for the next ones. */
    struct {
        unsigned n_calls;              /* that have come, dropped ones too */
        int64_t blocks[DRAFT_CALLS_MAX];    /* index of the block of each */
    } reader;
};

void draft_init(struct draft *d);
void draft_free(struct draft *d);

/* ---- for readers; false: stop reading. No memory or too large (d->failed), or more than DRAFT_CALLS_MAX calls ---- */

/* TEXT, REFUSAL, REASONING. An empty `raw` is nothing. */
bool draft_text(struct draft *d, unsigned choice, enum piece_kind kind, struct span raw);
/* A call is named by an ordinal; id and name may come at once, late, repeated or never (then one is invented): raw strings,
 * SPAN_NONE when this fragment has none. Arguments before both are known wait. */
bool draft_call(struct draft *d, unsigned choice, unsigned call, struct span id_raw, struct span name_raw, bool custom);
bool draft_arguments(struct draft *d, unsigned choice, unsigned call, struct span raw);
/* Arguments as a JSON value (A, G): written into a string. */
bool draft_arguments_json(struct draft *d, unsigned choice, unsigned call, struct span json);
bool draft_signature(struct draft *d, unsigned choice, int call, struct span raw, enum family family, bool redacted);
bool draft_citation(struct draft *d, unsigned choice, struct span url_raw, struct span title_raw, int64_t from, int64_t to);
bool draft_logprobs(struct draft *d, unsigned choice, struct span json);
/* `stop_raw` may be SPAN_NONE. */
void draft_finish(struct draft *d, unsigned choice, enum finish finish, struct span stop_raw);
/* The last one holds: running counts come on every chunk of some hosts. Mends what cannot be. */
void draft_usage(struct draft *d, const struct usage *u, bool mended);
/* Copies a string value (escapes undone, cut to fit), or a number as it stands. */
void draft_copy(char *out, size_t room, struct span value);
/* Strings of an error object; each may be SPAN_NONE. */
void draft_error(struct draft *d, struct span type, struct span code, struct span param, struct span message);
/* Another key of the same provider is tried: nothing but an error has come. */
void draft_forget_error(struct draft *d);

/* ---- for the judge ---- */

/* What the checks look at; borrowed from `d` until it changes. */
struct answer draft_view(struct draft *d);

#endif
