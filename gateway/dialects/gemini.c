/* gemini.c - the Gemini dialect's row in the table of dialects, and what passes from its own providers to its own callers. */
#include "gateway/dialects/gemini.h"

#include "gateway/dialects/gemini_table.h"

/* Does the event say that the answer is over? Of several candidates each says it for itself. */
static bool is_last(const struct chat *chat, struct span json)
{
    struct jiter it;

    if (chat->n > 1 || span_find_span(json, SPAN_LIT("Reason\"")) == json.n)    /* nearly always: no need to walk it */
        return false;
    it = jiter_begin(jval_get(json, "candidates"));
    return (jiter_next(&it) && jval_type(jval_get(it.value, "finishReason")) == JTYPE_STRING) ||
           jval_type(jval_get(jval_get(json, "promptFeedback"), "blockReason")) == JTYPE_STRING;
}

/* Bytes pass; for a caller of the array form the events' data become its elements. What says that the answer is over waits,
 * with whatever follows it, until it is: a connection may still be cut behind it. */
static enum relay relay(const struct chat *chat, struct span raw, struct span json, bool begun, struct buf *out,
                        struct buf *terminal)
{
    const bool last = terminal->n > 0 || is_last(chat, json);

    begun |= terminal->n > 0;
    if (last)
        out = terminal;
    if (chat->stream_array)
        buf_add_str(out, begun ? ",\r\n" : "[");
    if (!buf_add_span(out, chat->stream_array ? json : raw))
        return RELAY_FAILED;
    return last ? RELAY_HELD : RELAY_PASSED;
}

static const char *relay_end(const struct chat *chat)
{
    return chat->stream && chat->stream_array ? "]" : "";
}

const struct dialect gemini_dialect = {
    .id = DIALECT_GEMINI,
    .name = "gemini",
    .parse = gemini_parse,
    .takes = gemini_takes,
    .write_request = gemini_write_request,
    .pass_request = gemini_pass_request,
    .read_whole = gemini_read_whole,
    .read_event = gemini_read_event,
    .read_error = gemini_read_error,
    .relay = relay,
    .relay_end = relay_end,
    .writer_new = gemini_writer_new,
    .writer_free = gemini_writer_free,
    .writer_piece = gemini_writer_piece,
    .writer_end = gemini_writer_end,
    .fault_status = gemini_fault_status,
    .write_fault = gemini_write_fault,
    .write_stream_fault = gemini_write_stream_fault,
    .keepalive = ": keep-alive\r\n\r\n",
};
