/* gemini_error.c - errors both ways: google.rpc.Status as providers send it, and the gateway's own faults in that shape
 * (wire/gemini-generate section 10). */
#include <stdio.h>

#include "base/jscan.h"
#include "base/jwrite.h"
#include "gateway/dialects/gemini_table.h"

/* ---- a provider's ---- */

static bool raw_holds(struct span raw, const char *word)
{
    const struct span w = span_str(word);

    return raw.n >= w.n && span_find_span(raw, w) < raw.n;
}

/* "37s", "37.5s" in milliseconds, rounded up; -1: not such a text. A day is as long as anybody waits. */
static int64_t delay_ms(struct span raw)
{
    const size_t dot = span_find(raw, '.');
    uint64_t seconds, ms = 0;
    struct span rest;

    if (raw.n < 2 || raw.p[raw.n - 1] != 's')
        return -1;
    raw.n--;
    if (!span_to_u64(span_first(raw, dot), 86400, &seconds))
        return -1;
    rest = span_skip(raw, dot + 1);
    for (size_t i = 0; i < rest.n; i++) {
        if (rest.p[i] < '0' || rest.p[i] > '9')
            return -1;
        if (i < 3)
            ms += (uint64_t)(rest.p[i] - '0') * (i == 0 ? 100 : i == 1 ? 10 : 1);
        else if (rest.p[i] != '0') {
            ms++;
            break;
        }
    }
    return (int64_t)(seconds * 1000 + ms);
}

/* What details say beside the status, in the words that policies/failure.h asks for. */
struct told {
    struct span reason;        /* a wrong key comes as 400 with the reason API_KEY_INVALID; a string value */
    struct span quota;         /* id of the violated quota: the day's goes before the minute's; a string value */
    int64_t retry_ms;          /* RetryInfo */
};

static void read_detail(struct span detail, struct told *told)
{
    static const char *const names[] = { "@type", "reason", "retryDelay", "violations" };
    struct span m[4];

    jval_members(detail, names, 4, m);
    if (m[1].p && raw_holds(jval_raw(m[1]), "API_KEY_"))
        told->reason = m[1];
    if (m[2].p && raw_holds(jval_raw(m[0]), "RetryInfo"))
        told->retry_ms = delay_ms(jval_raw(m[2]));
    for (struct jiter it = jiter_begin(m[3]); jiter_next(&it);) {
        const struct span id = jval_get(it.value, "quotaId");

        if (jval_raw(id).n && (!told->quota.p || raw_holds(jval_raw(id), "PerDay")))
            told->quota = id;
    }
}

void gemini_read_error(struct draft *d, struct span body, bool scanned)
{
    static const char *const names[] = { "code", "message", "status", "details" };
    struct told told = { .retry_ms = -1 };
    struct span m[4], error;

    if (scanned && jval_type(body) == JTYPE_ARRAY) {    /* a stream that is an array */
        struct jiter it = jiter_begin(body);

        body = jiter_next(&it) ? it.value : SPAN_NONE;
    }
    error = scanned ? jval_get(body, "error") : SPAN_NONE;
    if (jval_type(error) != JTYPE_OBJECT) {
        d->has_error = true;
        snprintf(d->error_message, sizeof d->error_message, "%.*s", SPAN_FMT(span_first(span_trim(body), 200)));
        return;
    }
    jval_members(error, names, 4, m);
    for (struct jiter it = jiter_begin(m[3]); jiter_next(&it);)
        read_detail(it.value, &told);
    draft_error(d, m[2], told.reason.p ? told.reason : told.quota.p ? told.quota : m[0], SPAN_NONE, m[1]);
    d->error_retry_ms = told.retry_ms;
}

/* ---- ours ---- */

int gemini_fault_status(const struct fault *f)
{
    return f->status;
}

/* Our key or credit at the provider, or answers that failed the route's checks (policies/fail.c): nothing that waiting cures. */
static bool is_ours(const struct fault *f)
{
    static const char *const codes[] = { "upstream_credential", "upstream_quota", "upstream_model", "answer_rejected" };

    for (size_t i = 0; f->code && i < sizeof codes / sizeof codes[0]; i++)
        if (strcmp(f->code, codes[i]) == 0)
            return true;
    return false;
}

static const char *status_of(const struct fault *f)
{
    switch (f->status) {
    case 401: return "UNAUTHENTICATED";
    case 403: return "PERMISSION_DENIED";
    case 404: return "NOT_FOUND";
    case 409: return "ABORTED";
    case 429: return "RESOURCE_EXHAUSTED";
    case 499: return "CANCELLED";
    case 500: return "INTERNAL";
    case 502: return is_ours(f) ? "INTERNAL" : "UNAVAILABLE";
    case 503: case 529: return "UNAVAILABLE";
    case 504: return "DEADLINE_EXCEEDED";
    default: return f->status < 500 ? "INVALID_ARGUMENT" : "INTERNAL";
    }
}

static void open_detail(struct buf *b, const char *type)
{
    jw_object(b, NULL);
    jw_key(b, "@type");
    buf_add_str(b, "\"type.googleapis.com/google.rpc.");
    buf_add_str(b, type);
    buf_add_char(b, '"');
}

static void write_details(const struct fault *f, struct span request_id, struct buf *b)
{
    jw_array(b, "details");
    if (f->code) {
        open_detail(b, "ErrorInfo");
        jw_key(b, "reason");
        buf_add_char(b, '"');
        for (const char *p = f->code; *p; p++)
            buf_add_char(b, *p >= 'a' && *p <= 'z' ? (char)(*p & ~0x20) : *p);
        buf_add_char(b, '"');
        jw_string(b, "domain", SPAN_LIT("tollgate"));
        jw_close(b, '}');
    }
    if (f->param[0]) {
        open_detail(b, "BadRequest");
        jw_array(b, "fieldViolations");
        jw_object(b, NULL);
        jw_key(b, "field");
        fault_add_text(b, f->param);
        buf_add_str(b, "}]}");
    }
    if (f->retry_after_ms > 0) {
        open_detail(b, "RetryInfo");
        jw_key(b, "retryDelay");
        buf_printf(b, "\"%llds\"}", (long long)((f->retry_after_ms + 999) / 1000));
    }
    if (request_id.n) {
        open_detail(b, "RequestInfo");
        jw_string(b, "requestId", request_id);
        jw_close(b, '}');
    }
    jw_close(b, ']');
}

void gemini_write_fault(const struct fault *f, struct span request_id, struct buf *out)
{
    jw_object(out, NULL);
    jw_object(out, "error");
    jw_int(out, "code", f->status);
    jw_key(out, "message");
    fault_add_text(out, f->message);
    jw_string(out, "status", span_str(status_of(f)));
    write_details(f, request_id, out);
    jw_close(out, '}');
    jw_close(out, '}');
}

void gemini_write_stream_fault(const struct fault *f, struct span request_id, const struct chat *chat, bool begun,
                               struct buf *out)
{
    struct buf error;

    buf_init(&error, 65536);
    gemini_write_fault(f, request_id, &error);
    buf_add_str(out, !chat->stream_array ? "data: " : begun ? ",\r\n" : "[");
    buf_add_span(out, buf_span(&error));
    buf_add_str(out, chat->stream_array ? "]" : "\r\n\r\n");
    buf_free(&error);
}
