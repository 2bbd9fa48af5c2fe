#include "gateway/request/errors.h"

#include <stdarg.h>
#include <stdio.h>

bool fault_set(struct fault *f, int status, const char *type, const char *code, const char *param, const char *fmt, ...)
{
    va_list ap;

    *f = (struct fault){ .status = status, .type = type, .code = code };
    if (param)
        snprintf(f->param, sizeof f->param, "%s", param);
    va_start(ap, fmt);
    vsnprintf(f->message, sizeof f->message, fmt, ap);
    va_end(ap);
    return false;
}

static void add_or_null(struct buf *out, const char *text)
{
    if (text && text[0])
        buf_add_json(out, span_str(text));
    else
        buf_add_str(out, "null");
}

/* A message may quote bytes of the caller, cut anywhere: what is no whole UTF-8 sequence at its end goes. */
static struct span whole_utf8(const char *text)
{
    struct span s = span_str(text);
    size_t back = 0;

    while (back < 3 && back < s.n && ((unsigned char)s.p[s.n - 1 - back] & 0xC0) == 0x80)
        back++;
    if (back < s.n && (unsigned char)s.p[s.n - 1 - back] >= 0xC0) {
        const unsigned char lead = (unsigned char)s.p[s.n - 1 - back];
        const size_t want = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;

        if (back < want)
            s.n -= back + 1;
    }
    return s;
}

void fault_render_openai(const struct fault *f, struct buf *out)
{
    buf_add_str(out, "{\"error\":{\"message\":");
    buf_add_json(out, whole_utf8(f->message));
    buf_add_str(out, ",\"type\":");
    add_or_null(out, f->type);
    buf_add_str(out, ",\"param\":");
    add_or_null(out, f->param);
    buf_add_str(out, ",\"code\":");
    add_or_null(out, f->code);
    buf_add_str(out, "}}");
}
