/* anthropic.c - the dialect's table, the gateway's own faults in its shape, and the small documents: models, counts. */
#include "gateway/dialects/anthropic.h"

#include <stdio.h>

#include "base/jwrite.h"

#define MODELS_MAX 1000

/* ---- faults (wire/translation section 10) ---- */

static bool is(const char *a, const char *b)
{
    return a && strcmp(a, b) == 0;
}

/* Overload has a status of its own there. */
static int fault_status(const struct fault *f)
{
    return f->status == 503 && (is(f->code, "overloaded") || is(f->code, "upstream_overloaded")) ? 529 : f->status;
}

static const char *error_type(const struct fault *f)
{
    static const struct { int status; const char *type; } table[] = {
        { 400, "invalid_request_error" }, { 401, "authentication_error" }, { 402, "billing_error" }, { 403, "permission_error" },
        { 404, "not_found_error" }, { 409, "conflict_error" }, { 413, "request_too_large" }, { 429, "rate_limit_error" },
        { 504, "timeout_error" }, { 529, "overloaded_error" },
    };
    const int status = fault_status(f);

    if (is(f->code, "insufficient_quota"))    /* clients wait for a rate limit, and show this one */
        return "billing_error";
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].status == status)
            return table[i].type;
    return status < 500 ? "invalid_request_error" : "api_error";
}

/* Agents know by Anthropic's own words that a conversation has grown too long, and shorten it. */
static void write_message(const struct fault *f, struct buf *out)
{
    static const char words[] = "prompt is too long";
    char text[sizeof f->message + sizeof words + 2];
    const bool overflow = is(f->code, "context_length_exceeded") && !strstr(f->message, words);

    snprintf(text, sizeof text, "%s%s%s", overflow ? words : "", overflow ? ": " : "", f->message);
    fault_add_text(out, text);
}

static void write_fault(const struct fault *f, struct span request_id, struct buf *out)
{
    jw_object(out, NULL);
    jw_raw(out, "type", SPAN_LIT("error"));
    jw_object(out, "error");
    jw_raw(out, "type", span_str(error_type(f)));
    jw_key(out, "message");
    write_message(f, out);
    jw_close(out, '}');
    jw_string(out, "request_id", request_id);
    jw_close(out, '}');
}

static void write_stream_fault(const struct fault *f, struct span request_id, const struct chat *chat, bool begun,
                               struct buf *out)
{
    (void)chat;
    (void)begun;
    buf_add_str(out, "event: error\ndata: ");
    write_fault(f, request_id, out);
    buf_add_str(out, "\n\n");
}

const struct dialect anthropic_dialect = {
    .id = DIALECT_ANTHROPIC,
    .name = "anthropic",
    .parse = anthropic_parse,
    .takes = anthropic_takes,
    .write_request = anthropic_write_request,
    .pass_request = anthropic_pass_request,
    .read_whole = anthropic_read_whole,
    .read_event = anthropic_read_event,
    .read_error = anthropic_read_error,
    .relay = anthropic_relay,
    .writer_new = anthropic_writer_new,
    .writer_free = anthropic_writer_free,
    .writer_piece = anthropic_writer_piece,
    .writer_end = anthropic_writer_end,
    .fault_status = fault_status,
    .write_fault = write_fault,
    .write_stream_fault = write_stream_fault,
    .keepalive = "event: ping\ndata: {\"type\":\"ping\"}\n\n",
};

/* ---- documents ---- */

void anthropic_write_count(int64_t tokens, struct buf *out)
{
    jw_object(out, NULL);
    jw_int(out, "input_tokens", tokens);
    jw_close(out, '}');
}

/* RFC 3339, UTC. Days to a date after Howard Hinnant, "chrono-compatible low-level date algorithms", civil_from_days. */
static void write_time(struct buf *out, const char *name, int64_t s)
{
    const int64_t day = s / 86400, z = day + 719468, era = z / 146097, doe = z - era * 146097;
    const int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365, doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    const int64_t mp = (5 * doy + 2) / 153, m = mp < 10 ? mp + 3 : mp - 9;
    const long long date[] = { yoe + era * 400 + (m <= 2), m, doy - (153 * mp + 2) / 5 + 1, s % 86400 / 3600, s % 3600 / 60, s % 60 };

    jw_key(out, name);
    buf_printf(out, "\"%04lld-%02lld-%02lldT%02lld:%02lld:%02lldZ\"", date[0], date[1], date[2], date[3], date[4], date[5]);
}

void anthropic_write_model(const struct anthropic_model *model, struct buf *out)
{
    jw_object(out, NULL);
    jw_raw(out, "type", SPAN_LIT("model"));
    jw_string(out, "id", model->id);
    jw_string(out, "display_name", model->title.p ? model->title : model->id);
    write_time(out, "created_at", model->created_s > 0 ? model->created_s : 0);
    if (model->context > 0)
        jw_int(out, "max_input_tokens", model->context);
    if (model->max_output > 0)
        jw_int(out, "max_tokens", model->max_output);
    jw_close(out, '}');
}

static size_t place_of(const struct anthropic_model *models, size_t n, struct span id)
{
    size_t i = 0;

    while (i < n && !span_eq(models[i].id, id))
        i++;
    return i;
}

void anthropic_write_models(const struct anthropic_model *models, size_t n, const struct anthropic_page *page, struct buf *out)
{
    const size_t limit = page->limit > 0 && page->limit < MODELS_MAX ? (size_t)page->limit : MODELS_MAX;
    size_t from = 0, to = n;
    bool more;

    if (page->after_id.p && place_of(models, n, page->after_id) < n)
        from = place_of(models, n, page->after_id) + 1;
    if (page->before_id.p)
        to = place_of(models, n, page->before_id);
    if (from > to)
        from = to;
    more = to - from > limit;
    if (more && page->before_id.p)    /* a page that ends there */
        from = to - limit;
    else if (more)
        to = from + limit;
    jw_object(out, NULL);
    jw_array(out, "data");
    for (size_t i = from; i < to; i++)
        anthropic_write_model(&models[i], out);
    jw_close(out, ']');
    jw_bool(out, "has_more", more);
    if (from < to) {
        jw_string(out, "first_id", models[from].id);
        jw_string(out, "last_id", models[to - 1].id);
    } else {
        jw_null(out, "first_id");
        jw_null(out, "last_id");
    }
    jw_close(out, '}');
}
