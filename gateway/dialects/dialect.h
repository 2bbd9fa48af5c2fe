/* dialect.h - the seam: what a dialect can do, as one table of functions. gateway/request and gateway/upstream call these
 * and know no dialect by name.
 *
 *   caller's bytes  --parse-->  struct chat  --pass_request | write_request-->  provider's bytes
 *   caller's bytes  <--relay | writer--  struct draft  <--read_whole | read_event--  provider's bytes
 *
 * pass_request and relay are for the same dialect on both sides: bytes pass but for what must change. Everything is pure:
 * no clock, no I/O, no globals; memory is the arena's, a buf's or a writer's own. */
#ifndef TOLLGATE_GATEWAY_DIALECT_H
#define TOLLGATE_GATEWAY_DIALECT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/jscan.h"
#include "gateway/dialects/chat.h"
#include "gateway/dialects/draft.h"
#include "gateway/dialects/fault.h"
#include "gateway/upstream/quirks.h"

/* ---- reading a caller's request ---- */

/* Called with each piece of text of the conversation, escapes undone, for the features. `text` lives until it returns. */
typedef void (*chat_on_text)(void *ctx, enum chat_role role, struct span text);

/* Items of earlier answers that the gateway wrote to this caller (writer_items), for requests that say their id alone. */
struct recall {
    /* *json is the item, and lives as long as the request; SPAN_NONE: it is not known, or not any more. False: the fault is set. */
    bool (*item)(void *ctx, struct span id, struct span *json);
    void *ctx;
};

struct parse_spec {
    struct arena *arena;
    chat_on_text on_text;      /* may be NULL. Strings with escapes are cut at 64 KiB for it: features look at the beginning */
    void *ctx;
    const struct recall *recall;    /* NULL: nothing is remembered, and an id stays an id */
    struct fault *fault;
};

/* ---- writing a provider's request ---- */

struct target {                        /* whom a request goes to */
    struct span model;                 /* the upstream's name for it */
    const struct quirks *quirks;
    const struct traits *traits;       /* of the model (quirks.h); never NULL */
    enum family family;                /* whose opaque texts it can read */
    int64_t output_cap;                /* cap to send when > 0 and the caller named none, or one above it */
    int64_t max_output;                /* of the model: what a dialect that needs a cap sends when nobody named one; > 0 */
    bool local;                        /* placement: local */
};

/* What was left out or changed on the way, for x-tollgate-warning: "dropped=top_k, changed=temperature". */
struct notes {
    char text[512];                    /* cut at a comma, never overrun; "" : nothing */
    size_t n;                          /* how many notes */
};
void notes_add(struct notes *n, const char *what, struct span field);    /* "dropped", "changed" */
#define notes_drop(n, field) notes_add((n), "dropped", SPAN_LIT(field))
#define notes_change(n, field) notes_add((n), "changed", SPAN_LIT(field))

/* Tool names outside the target's rule are written otherwise, and read back (draft.names). */
struct names {
    struct { struct span ours, theirs; bool wrapped; } *list;
    size_t n;
    uint32_t *by_ours, *by_theirs;     /* private: [slots] places in the list, from 1; 0: free. A history may name thousands */
    size_t slots;                      /* a power of two */
};
/* The name as `theirs`: itself where it fits [A-Za-z0-9_-]{1,most} (with `letter_first`, a letter or _ first; with `dots`
 * also . and :), else mangled and noted in the map. SPAN_NONE: no memory, or two names would meet (fault set). */
struct span names_out(struct names *names, struct arena *arena, struct span name, size_t most, bool letter_first, bool dots,
                      struct fault *fault);
struct span names_back(const struct names *names, struct span theirs);
/* After names_out: it is a custom tool that goes out as a function (unwrap.h); the draft takes its text out of the answer. */
void names_wrap(struct names *names, struct span ours);
bool names_wrapped(const struct names *names, struct span theirs);

struct request_out {
    struct arena *arena;               /* the request's: outlives the attempt */
    struct buf *body;                  /* write_request: appended to; its cap is the caller's business */
    struct span *pieces;               /* pass_request: in the arena; points into the caller's body too */
    size_t n_pieces;
    struct notes notes;
    struct names names;
    bool one_call;                     /* parallel calls are forbidden and the host cannot be told: set draft.one_call */
    struct fault *fault;
};

/* ---- writing a caller's answer ---- */

struct reply_info {
    struct span id;                    /* our request id */
    int64_t created_s;                 /* UTC */
    struct span model;                 /* what the answer names as its model */
    const struct chat *chat;           /* what was asked: stream, usage_asked, show_reasoning, stream_array... */
    int64_t prompt_estimate;           /* tokens; for dialects that state input tokens before they are known */
};

/* One answer being written. Streamed answers go into `out` event by event; a whole one on end(). */
struct writer {
    const struct dialect *dialect;
    struct reply_info info;
    struct buf *out;                   /* the caller's buffer: pieces that are ready to be sent */
};

/* `json` is a whole value; both live until it returns. */
typedef void (*writer_on_item)(void *ctx, struct span id, struct span json);

enum relay {
    RELAY_PASSED,                      /* appended to out */
    RELAY_HELD,                        /* the terminal event, or one behind it: appended to terminal; it goes out after the
                                        * ledger has the row */
    RELAY_FAILED,
};

struct dialect {
    enum dialect_id id;
    const char *name;                  /* as the policy's `dialect` atom and the ledger's column spell it */

    /* Reads a scanned body into a chat that chat_init has begun. Gemini's model, stream and stream_array come from the path
     * and are set before. False: spec->fault says what is wrong and where, in the caller's own words of the place. */
    bool (*parse)(struct chat *chat, const struct parse_spec *spec);

    /* Can this chat, of another dialect, be said here? False: `fault` is a 400 naming field and dialect. Cheap: the plan asks
     * it of each step before anything is reserved. Everything that write_request refuses is refused here. */
    bool (*takes)(const struct chat *chat, const struct target *target, struct fault *fault);
    /* Writes the provider's body. False: out->fault is set (its status 400: the caller's; 503: no memory). */
    bool (*write_request)(const struct chat *chat, const struct target *target, struct request_out *out);
    /* The same for a chat of this very dialect: bytes pass but for what must change. Where that is all, it is written to
     * out->body, and pieces has that alone. `passes` is its `takes`: what this host or model lacks. NULL: it takes all. */
    bool (*passes)(const struct chat *chat, const struct target *target, struct fault *fault);
    bool (*pass_request)(const struct chat *chat, const struct target *target, struct request_out *out);

    /* `json` has been scanned. False: not this dialect, or d->failed. An error object sets d->has_error and is true. */
    bool (*read_whole)(struct draft *d, struct span json, const struct target *target);
    /* One event of a stream. `name` is the event line's (SPAN_NONE), `json` its data, scanned; "[DONE]" never comes here:
     * on Chat the attempt sets d->ended. */
    bool (*read_event)(struct draft *d, struct span name, struct span json, const struct target *target);
    /* The body of an HTTP error. `scanned`: it is valid JSON; else it is text, HTML or nothing. */
    void (*read_error)(struct draft *d, struct span body, bool scanned);

    /* Same dialect: one event as it came (`raw` whole, `json` its data within it), after read_event. `begun`: an event of this
     * answer has gone to `out` before (Gemini's array has commas). */
    enum relay (*relay)(const struct chat *chat, struct span raw, struct span json, bool begun, struct buf *out,
                        struct buf *terminal);
    /* What closes a relayed stream that has ended well, behind its last event; static, "" for nothing. May be NULL: nothing. */
    const char *(*relay_end)(const struct chat *chat);

    /* The caller's side of another dialect's answer. NULL: no memory. `writer` members are filled in. */
    struct writer *(*writer_new)(const struct reply_info *info, struct buf *out);
    void (*writer_free)(struct writer *w);
    bool (*writer_piece)(struct writer *w, const struct piece *p);
    /* All has come and was accepted. Streamed: closing events but the terminal one go to w->out, that one to `terminal`
     * (empty where the dialect has none). Whole: the document goes to w->out. `d` has finish, usage, stop. */
    bool (*writer_end)(struct writer *w, const struct draft *d, struct buf *terminal);
    /* After writer_end: what a later request may refer to by the id that it has in this answer, an item at a time, as recall.item
     * gives it back. NULL: there is no such thing in this dialect. */
    void (*writer_items)(const struct writer *w, writer_on_item on_item, void *ctx);

    /* Faults. The status may be the dialect's own for it (Responses: budget 400; Anthropic: overload 529). */
    int (*fault_status)(const struct fault *f);
    void (*write_fault)(const struct fault *f, struct span request_id, struct buf *out);
    /* After a stream's head has gone: the event (SSE framing included) that tells of the failure. `begun`: events have gone too. */
    void (*write_stream_fault)(const struct fault *f, struct span request_id, const struct chat *chat, bool begun,
                               struct buf *out);
    int64_t least_output;              /* tokens: a smaller cap on an answer is refused by its hosts, and so raised to this;
                                        * the bound of the cost counts it. 0: none */
    const char *keepalive;             /* bytes that keep a stream's reader alive; NULL: this form has none. A chat with
                                        * stream_array has none, and no room for comments */
};

/* By id; those that are not there yet are NULL. */
const struct dialect *dialect_get(enum dialect_id id);

/* ---- shared by write_request of all ---- */

/* For every foreign member of the chat: a note, or false with the fault "field X of the A dialect cannot be said in B". */
bool dialect_check_foreign(const struct chat *chat, const struct dialect *to, struct fault *fault);
void dialect_note_foreign(const struct chat *chat, struct notes *notes);
/* Sets a 400 `unsupported_parameter`: "'field' cannot be translated from the X dialect to Y: why". Returns false. */
bool dialect_refuse(struct fault *f, const struct chat *chat, const struct dialect *to, const char *field, const char *why);
/* The effective cap on the answer: the smaller of the caller's and the target's; 0: none. */
int64_t target_cap(const struct chat *chat, const struct target *target);

#endif
