#include "gateway/dialects/fault.h"

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

static size_t want_of(unsigned char lead)
{
    return lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
}

/* Bytes of the UTF-8 sequence that `s` begins with, 0 when it is none (RFC 3629, 4). */
static size_t sequence(struct span s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    const size_t n = want_of(p[0]);

    if (n == 0 || n > s.n)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) || (p[0] == 0xF0 && p[1] < 0x90) ||
        (p[0] == 0xF4 && p[1] > 0x8F))
        return 0;
    return n;
}

/* A message may quote a provider or the caller: any bytes. Our own JSON stays UTF-8; a sequence that the end of our room
 * cut goes. */
void fault_add_text(struct buf *out, const char *text)
{
    struct buf clean;

    buf_init(&clean, 4096);
    for (struct span s = span_str(text); s.n;) {
        const size_t n = sequence(s);

        if (n == 0 && s.n < want_of((unsigned char)s.p[0]))
            break;
        buf_add(&clean, n ? s.p : "\xef\xbf\xbd", n ? n : 3);    /* U+FFFD */
        s = span_skip(s, n ? n : 1);
    }
    buf_add_json(out, buf_span(&clean));
    buf_free(&clean);
}

static void add_or_null(struct buf *out, const char *text)
{
    if (text && text[0])
        fault_add_text(out, text);
    else
        buf_add_str(out, "null");
}

void fault_render_openai(const struct fault *f, struct buf *out)
{
    buf_add_str(out, "{\"error\":{\"message\":");
    fault_add_text(out, f->message);
    buf_add_str(out, ",\"type\":");
    add_or_null(out, f->type);
    buf_add_str(out, ",\"param\":");
    add_or_null(out, f->param);
    buf_add_str(out, ",\"code\":");
    add_or_null(out, f->code);
    buf_add_str(out, "}}");
}
