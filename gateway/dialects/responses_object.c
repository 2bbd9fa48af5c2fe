/* responses_object.c - the response object that begins and ends every answer of the Responses dialect, and faults in its form.
 *
 * Strict clients want every member of it, the echoes of the request too: those that the caller did not send have their
 * default, or null where that is legal. Nothing is stored, whatever was asked: `store` is false. Source:
 * wire/openai-responses sections 5 to 7. */
#include "base/jwrite.h"
#include "gateway/dialects/responses_parts.h"

/* ---- echoes ---- */

enum {
    ECHO_INSTRUCTIONS, ECHO_MAX_OUTPUT, ECHO_MAX_CALLS, ECHO_METADATA, ECHO_PARALLEL, ECHO_CACHE_KEY, ECHO_REASONING,
    ECHO_SAFETY, ECHO_TEMPERATURE, ECHO_TEXT, ECHO_CHOICE, ECHO_TOOLS, ECHO_LOGPROBS, ECHO_TOP_P, ECHO_TRUNCATION, ECHO_USER
};
_Static_assert(ECHO_USER + 1 == RESPONSES_ECHOES, "one place for each echo");

/* The object goes out two times before an answer and once behind it: what is larger is not said again. */
#define ECHO_BYTES_MAX 262144u


void responses_find_echo(struct responses_echo *echo, const struct chat *chat)
{
    static const char *const names[RESPONSES_ECHOES] = {
        "instructions", "max_output_tokens", "max_tool_calls", "metadata", "parallel_tool_calls", "prompt_cache_key",
        "reasoning", "safety_identifier", "temperature", "text", "tool_choice", "tools", "top_logprobs", "top_p", "truncation",
        "user"
    };

    *echo = (struct responses_echo){ 0 };
    if (!chat || chat->dialect != DIALECT_RESPONSES || jval_type(chat->body) != JTYPE_OBJECT)
        return;
    jval_members(chat->body, names, RESPONSES_ECHOES, echo->at);
    for (size_t i = 0; i < RESPONSES_ECHOES; i++)
        if (reading_is_null(echo->at[i]) || echo->at[i].n > ECHO_BYTES_MAX)
            echo->at[i] = SPAN_NONE;
}

static void value_or(struct buf *b, const char *name, struct span v, const char *otherwise)
{
    jw_key(b, name);
    jw_line(b, reading_is_null(v) ? span_str(otherwise) : v);
}

static void echo(struct buf *b, const char *name, const struct responses_object *o, int which, const char *otherwise)
{
    value_or(b, name, o->echo->at[which], otherwise);
}

static void member_or(struct buf *b, const char *name, struct span object, const char *otherwise)
{
    value_or(b, name, jval_get(object, name), otherwise);
}

static void write_reasoning(struct buf *b, struct span asked)
{
    jw_object(b, "reasoning");
    member_or(b, "effort", asked, "null");
    member_or(b, "summary", asked, "null");
    jw_close(b, '}');
}

static void write_text(struct buf *b, struct span asked)
{
    jw_object(b, "text");
    member_or(b, "format", asked, "{\"type\":\"text\"}");
    member_or(b, "verbosity", asked, "\"medium\"");
    jw_close(b, '}');
}

/* ---- usage and ids ---- */

/* All counters are inclusive here, and the details must be there (wire/openai-responses section 6). */
static void write_usage(struct buf *b, const struct usage *u)
{
    const int64_t input = usage_prompt(u), output = u->output + u->output_audio + u->output_image;

    jw_object(b, "usage");
    jw_int(b, "input_tokens", input);
    jw_object(b, "input_tokens_details");
    jw_int(b, "cache_write_tokens", u->cache_write_5m + u->cache_write_1h);
    jw_int(b, "cached_tokens", u->cache_read);
    jw_close(b, '}');
    jw_int(b, "output_tokens", output);
    jw_object(b, "output_tokens_details");
    jw_int(b, "reasoning_tokens", u->reasoning);
    jw_close(b, '}');
    jw_int(b, "total_tokens", input + output);
    jw_close(b, '}');
}

struct span responses_id_tail(struct span request_id)
{
    return span_starts(request_id, SPAN_LIT("req_")) ? span_skip(request_id, 4) : request_id;
}

static void write_id(struct buf *b, struct span request_id)
{
    jw_key(b, "id");
    buf_add_str(b, "\"resp_");
    jw_escaped(b, responses_id_tail(request_id));
    buf_add_char(b, '"');
}

static void string_or_null(struct buf *b, const char *name, const char *text)
{
    if (text && text[0])
        jw_string(b, name, span_str(text));
    else
        jw_null(b, name);
}

/* Only words of this dialect: another provider's tier would break a client that knows them all. */
static const char *known_tier(const char *tier)
{
    static const char *const words[] = { "default", "flex", "scale", "priority" };

    for (size_t i = 0; tier && i < sizeof words / sizeof words[0]; i++)
        if (strcmp(tier, words[i]) == 0)
            return words[i];
    return NULL;
}

/* ---- the object ---- */

static void write_outcome(struct buf *b, const struct responses_object *o)
{
    jw_string(b, "status", span_str(o->status));
    jw_bool(b, "background", false);
    jw_null(b, "completed_at");
    if (o->error_code) {
        jw_object(b, "error");
        jw_string(b, "code", span_str(o->error_code));
        jw_key(b, "message");
        fault_add_text(b, o->error_message);
        jw_close(b, '}');
    } else {
        jw_null(b, "error");
    }
    if (o->incomplete) {
        jw_object(b, "incomplete_details");
        jw_string(b, "reason", span_str(o->incomplete));
        jw_close(b, '}');
    } else {
        jw_null(b, "incomplete_details");
    }
}

void responses_write_object(struct buf *b, const char *name, const struct responses_object *o)
{
    jw_object(b, name);
    write_id(b, o->request_id);
    jw_string(b, "object", SPAN_LIT("response"));
    jw_int(b, "created_at", o->created_s);
    write_outcome(b, o);
    jw_null(b, "conversation");
    echo(b, "instructions", o, ECHO_INSTRUCTIONS, "null");
    echo(b, "max_output_tokens", o, ECHO_MAX_OUTPUT, "null");
    echo(b, "max_tool_calls", o, ECHO_MAX_CALLS, "null");
    echo(b, "metadata", o, ECHO_METADATA, "{}");
    jw_string(b, "model", o->model);
    jw_array(b, "output");
    buf_add_span(b, o->output);
    jw_close(b, ']');
    echo(b, "parallel_tool_calls", o, ECHO_PARALLEL, "true");
    jw_null(b, "previous_response_id");
    echo(b, "prompt_cache_key", o, ECHO_CACHE_KEY, "null");
    write_reasoning(b, o->echo->at[ECHO_REASONING]);
    echo(b, "safety_identifier", o, ECHO_SAFETY, "null");
    string_or_null(b, "service_tier", known_tier(o->service_tier));
    jw_bool(b, "store", false);
    echo(b, "temperature", o, ECHO_TEMPERATURE, "null");
    write_text(b, o->echo->at[ECHO_TEXT]);
    echo(b, "tool_choice", o, ECHO_CHOICE, "\"auto\"");
    echo(b, "tools", o, ECHO_TOOLS, "[]");
    echo(b, "top_logprobs", o, ECHO_LOGPROBS, "0");
    echo(b, "top_p", o, ECHO_TOP_P, "null");
    echo(b, "truncation", o, ECHO_TRUNCATION, "\"disabled\"");
    if (o->usage)
        write_usage(b, o->usage);
    else
        jw_null(b, "usage");
    echo(b, "user", o, ECHO_USER, "null");
    jw_close(b, '}');
}

/* ---- events ---- */

void responses_event_begin(struct buf *b, const char *type, int64_t sequence)
{
    buf_add_str(b, "event: ");
    buf_add_str(b, type);
    buf_add_str(b, "\ndata: {\"type\":\"");
    buf_add_str(b, type);
    buf_add_str(b, "\",\"sequence_number\":");
    buf_add_int(b, sequence);
}

void responses_event_end(struct buf *b)
{
    buf_add_str(b, "}\n\n");
}

/* ---- faults ---- */

/* A budget's refusal is 400 here: this dialect's clients show its text and stop, while they try again at 429, without the
 * text (measured on real clients; the design's section on HTTP). */
int responses_fault_status(const struct fault *f)
{
    return f->code && strcmp(f->code, "insufficient_quota") == 0 ? 400 : f->status;
}

void responses_write_fault(const struct fault *f, struct span request_id, struct buf *out)
{
    (void)request_id;
    fault_render_openai(f, out);
}

/* Behind events whose number is not known here, the failure takes the last number there is. */
#define SEQUENCE_LAST 2147483647

void responses_write_stream_fault(const struct fault *f, struct span request_id, const struct chat *chat, bool begun,
                                  struct buf *out)
{
    struct responses_echo asked;
    struct responses_object o = { .echo = &asked, .request_id = request_id, .model = chat ? chat->model : SPAN_LIT(""),
                                  .status = "in_progress", .output = SPAN_LIT("") };

    responses_find_echo(&asked, chat);
    if (!begun) {    /* clients that gather a response take nothing before this event */
        responses_event_begin(out, "response.created", 0);
        responses_write_object(out, "response", &o);
        responses_event_end(out);
    }
    o.status = "failed";
    o.error_code = f->code ? f->code : "server_error";
    o.error_message = f->message;
    responses_event_begin(out, "response.failed", begun ? SEQUENCE_LAST : 1);
    responses_write_object(out, "response", &o);
    responses_event_end(out);
}
