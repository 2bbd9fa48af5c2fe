/* openai.c - the Chat dialect as one table (dialect.h). */
#include "gateway/dialects/openai.h"

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
    .writer_new = openai_writer_new,
    .writer_free = openai_writer_free,
    .writer_piece = openai_writer_piece,
    .writer_end = openai_writer_end,
    .fault_status = openai_fault_status,
    .write_fault = openai_write_fault,
    .write_stream_fault = openai_write_stream_fault,
    .keepalive = ": keep-alive\n\n",
};
