/* openai.c - the Chat dialect as one table (dialect.h). */
#include "gateway/dialects/openai.h"

static int fault_status(const struct fault *f)
{
    return f->status;
}

static void write_fault(const struct fault *f, struct span request_id, struct buf *out)
{
    (void)request_id;
    fault_render_openai(f, out);
}

static void write_stream_fault(const struct fault *f, struct span request_id, const struct chat *chat, bool begun, struct buf *out)
{
    (void)request_id;
    (void)chat;
    (void)begun;
    buf_add_str(out, "data: ");
    fault_render_openai(f, out);
    buf_add_str(out, "\n\n");
}

const struct dialect openai_dialect = {
    .id = DIALECT_CHAT,
    .name = "openai",
    .parse = openai_parse,
    .takes = openai_takes,
    .write_request = openai_write_request,
    .passes = openai_takes,
    .pass_request = openai_pass_request,
    .read_whole = openai_read_whole,
    .read_event = openai_read_event,
    .read_error = openai_read_error,
    .relay = openai_relay,
    .relay_end = openai_relay_end,
    .fault_status = fault_status,
    .write_fault = write_fault,
    .write_stream_fault = write_stream_fault,
    .keepalive = ": keep-alive\n\n",
};
