/* openai.c - the Chat dialect as one table (dialect.h). */
#include "gateway/dialects/openai.h"

const struct dialect openai_dialect = {
    .id = DIALECT_CHAT,
    .name = "openai",
    .parse = openai_parse,
    .pass_request = openai_pass_request,
    .read_whole = openai_read_whole,
    .read_event = openai_read_event,
    .read_error = openai_read_error,
    .relay = openai_relay,
    .relay_end = openai_relay_end,
    .keepalive = ": keep-alive\n\n",
};
