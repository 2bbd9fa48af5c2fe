/* responses_parts.h - what the files of the Responses dialect share, and nobody else needs. */
#ifndef TOLLGATE_GATEWAY_RESPONSES_PARTS_H
#define TOLLGATE_GATEWAY_RESPONSES_PARTS_H

#include "gateway/dialects/reading.h"
#include "gateway/dialects/responses.h"

/* ---- reading a request (responses_request.c, responses_items.c, responses_tools.c) ---- */

/* An item of the input that a host of this dialect would look for in vain: `put` takes its place, or nothing when it is empty. */
struct responses_swap {
    struct span at, put;
    struct responses_swap *next;
};

/* Of what pass_request changes, and what the writer of the answer asks: chat->places. */
struct responses_places {
    struct span model_at, max_output_at;    /* max_output_at: SPAN_NONE when absent */
    struct responses_swap *swaps;           /* in the order of the input */
    bool forget;                            /* store: false. Nothing of the answer is remembered */
};

struct responses_reading {
    struct reading r;
    struct responses_places *places;
    struct span input, instructions, tool_choice;
    struct responses_swap *last_swap;
    bool history_elsewhere;    /* previous_response_id, conversation, prompt, item_reference: calls may be there too */
    bool offline_search;       /* the one tool of OpenAI's that others may leave out: responses_tools.c */
    bool foreign_item;         /* the chat has been marked for one: the first is enough */
    bool has_text, has_call;   /* the last turn, while it is the assistant's, has these: see assistant_turn */
};

/* p->instructions, then p->input, as turns. */
bool responses_read_input(struct responses_reading *p);
bool responses_read_tools(struct responses_reading *p, const char *name, struct span v);
/* p->tool_choice, when all tools are known. */
bool responses_read_choice(struct responses_reading *p);
/* "space__name": how a function of a namespace is called where there are none. SPAN_NONE without memory. */
struct span responses_join_name(struct arena *arena, struct span space, struct span name);

/* ---- the four parts of the table ---- */

bool responses_parse(struct chat *chat, const struct parse_spec *spec);

bool responses_takes(const struct chat *chat, const struct target *target, struct fault *fault);
bool responses_write_request(const struct chat *chat, const struct target *target, struct request_out *out);
bool responses_pass_request(const struct chat *chat, const struct target *target, struct request_out *out);

bool responses_read_whole(struct draft *d, struct span json, const struct target *target);
bool responses_read_event(struct draft *d, struct span name, struct span json, const struct target *target);
void responses_read_error(struct draft *d, struct span body, bool scanned);
enum relay responses_relay(const struct chat *chat, struct span raw, struct span json, bool begun, struct buf *out,
                           struct buf *terminal);

struct writer *responses_writer_new(const struct reply_info *info, struct buf *out);
void responses_writer_free(struct writer *w);
bool responses_writer_piece(struct writer *w, const struct piece *p);
bool responses_writer_end(struct writer *w, const struct draft *d, struct buf *terminal);
void responses_writer_items(const struct writer *w, writer_on_item on_item, void *ctx);

int responses_fault_status(const struct fault *f);
void responses_write_fault(const struct fault *f, struct span request_id, struct buf *out);
void responses_write_stream_fault(const struct fault *f, struct span request_id, const struct chat *chat, bool begun,
                                  struct buf *out);

/* ---- items of our own (responses_own.c) ---- */

#define RESPONSES_ITEMS_MAX 4096             /* of one answer */
#define RESPONSES_ID_ROOM 80
#define RESPONSES_REMEMBERED_MAX (1u << 20)  /* bytes of one item */

/* The id of item `n` of the answer to a request. */
void responses_item_id(char out[RESPONSES_ID_ROOM], const char *prefix, struct span request_id, size_t n);
/* Is this id (raw) one of those? */
bool responses_is_own_id(struct span raw);
/* Appends what of an item of an answer the history needs, as an input item without an id. False: nothing (reasoning comes back
 * with the call behind it), or no memory. */
bool responses_shorten_item(struct buf *b, struct span item);

/* ---- the response object (responses_object.c) ---- */

/* What was asked, as the answer says it again: values of the caller's body. */
#define RESPONSES_ECHOES 16
struct responses_echo {
    struct span at[RESPONSES_ECHOES];
};
void responses_find_echo(struct responses_echo *echo, const struct chat *chat);

struct responses_object {
    const struct responses_echo *echo;
    struct span request_id;    /* its own id is made of it */
    int64_t created_s;
    struct span model;
    const char *status;        /* "in_progress", "completed"... */
    const char *incomplete;    /* reason; NULL */
    const char *error_code, *error_message;    /* NULL */
    struct span output;        /* the items, with commas between them */
    const struct usage *usage; /* NULL: not known yet */
    const char *service_tier;  /* as billed; NULL or "" */
};
/* One whole value behind the member `name` (NULL: none). */
void responses_write_object(struct buf *b, const char *name, const struct responses_object *o);
/* A request id without its prefix, for ids made of it. */
struct span responses_id_tail(struct span request_id);
/* "event: TYPE\ndata: {"type":TYPE,"sequence_number":N" and the end of it. */
void responses_event_begin(struct buf *b, const char *type, int64_t sequence);
void responses_event_end(struct buf *b);

#endif
