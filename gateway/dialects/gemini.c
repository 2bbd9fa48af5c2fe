/* gemini.c - the Gemini dialect's row in the table of dialects, and what passes from its own providers to its own callers. */
#include "gateway/dialects/gemini.h"

#include "gateway/dialects/gemini_table.h"

/* Bytes pass; for a caller of the array form the events' data become its elements. There is no terminal event to be held. */
static enum relay relay(const struct chat *chat, struct span raw, struct span json, bool begun, struct buf *out,
                        struct buf *terminal)
{
    (void)terminal;
    if (!chat->stream_array)
        return buf_add_span(out, raw) ? RELAY_PASSED : RELAY_FAILED;
    buf_add_str(out, begun ? ",\r\n" : "[");
    return buf_add_span(out, json) ? RELAY_PASSED : RELAY_FAILED;
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
