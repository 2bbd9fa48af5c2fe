/* responses.c - the Responses dialect as one table (dialect.h). */
#include "gateway/dialects/responses_parts.h"

const struct dialect responses_dialect = {
    .id = DIALECT_RESPONSES,
    .name = "responses",
    .parse = responses_parse,
    .takes = responses_takes,
    .write_request = responses_write_request,
    .pass_request = responses_pass_request,
    .read_whole = responses_read_whole,
    .read_event = responses_read_event,
    .read_error = responses_read_error,
    .relay = responses_relay,
    .writer_new = responses_writer_new,
    .writer_free = responses_writer_free,
    .writer_piece = responses_writer_piece,
    .writer_end = responses_writer_end,
    .writer_items = responses_writer_items,
    .fault_status = responses_fault_status,
    .write_fault = responses_write_fault,
    .write_stream_fault = responses_write_stream_fault,
    .least_output = 16,    /* OpenAI's own floor for max_output_tokens */
    .keepalive = ": keep-alive\n\n",
};
