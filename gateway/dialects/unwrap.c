/* unwrap.c - see unwrap.h. The text between the quotes of {"input":"..."} is the body of a JSON string already, so it is copied,
 * not decoded; only a weak model's slips (bare control characters, escapes that JSON has not) are put right. */
#include "gateway/dialects/unwrap.h"

#include <stdlib.h>

#include "base/jscan.h"
#include "base/jwrite.h"

#define HELD_MAX 4096u    /* blanks before the text; more is not a wrapping */

void unwrap_free(struct unwrap *u)
{
    if (u->held.cap)
        buf_free(&u->held);
    *u = (struct unwrap){ .state = UNWRAP_BEFORE };
}

/* Length of the wrapping at the front of `text`; 0: it may still come; -1: it is none. */
static int wrapping(struct span text)
{
    static const char *const parts[] = { "{", "\"input\"", ":", "\"" };
    size_t at = 0;

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const struct span part = span_str(parts[i]);
        struct span rest;

        while (at < text.n && (text.p[at] == ' ' || text.p[at] == '\t' || text.p[at] == '\n' || text.p[at] == '\r'))
            at++;
        rest = span_skip(text, at);
        if (rest.n < part.n)
            return span_starts(part, rest) && text.n < HELD_MAX ? 0 : -1;
        if (!span_starts(rest, part))
            return -1;
        at += part.n;
    }
    return (int)at;
}

static int hex_of(struct span s)
{
    int v = 0;

    for (size_t i = 2; i < 6; i++) {
        const char c = s.p[i];
        const int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;

        if (d < 0)
            return -1;
        v = v * 16 + d;
    }
    return v;
}

/* The escape at the front of `s` as JSON has it. Returns its length, 0 when its end has not come. */
static size_t take_escape(struct span s, struct buf *out)
{
    int code;

    if (s.n < 2 || (s.p[1] == 'u' && s.n < 6))
        return 0;
    if (s.p[1] != 'u') {
        if (s.p[1] && strchr("\"\\/bfnrt", s.p[1]))
            buf_add(out, s.p, 2);
        else
            buf_add(out, "\\\\", 2);    /* "\d" of a weak model: the backslash was meant */
        return s.p[1] && strchr("\"\\/bfnrt", s.p[1]) ? 2 : 1;
    }
    code = hex_of(s);
    if (code < 0) {
        buf_add(out, "\\\\", 2);
        return 1;
    }
    if ((code & 0xfc00) == 0xd800) {
        if (s.n < 12 && span_starts(SPAN_LIT("\\u"), span_first(span_skip(s, 6), 2)))
            return 0;
        if (s.n >= 12 && s.p[6] == '\\' && s.p[7] == 'u' && (hex_of(span_skip(s, 6)) & 0xfc00) == 0xdc00) {
            buf_add(out, s.p, 12);
            return 12;
        }
    }
    if ((code & 0xf800) == 0xd800)
        buf_add_str(out, "\\ufffd");
    else
        buf_add(out, s.p, 6);
    return 6;
}

/* Returns how much of `text` has been used; what is left waits. */
static size_t inside(struct unwrap *u, struct span text, struct buf *out)
{
    size_t at = 0, n;

    while (at < text.n) {
        size_t plain = at;

        while (plain < text.n && text.p[plain] != '"' && text.p[plain] != '\\')
            plain++;
        jw_escaped(out, (struct span){ text.p + at, plain - at });
        at = plain;
        if (at == text.n)
            break;
        if (text.p[at] == '"') {
            u->state = UNWRAP_BEHIND;
            return text.n;
        }
        n = take_escape(span_skip(text, at), out);
        if (n == 0)
            break;
        at += n;
    }
    return at;
}

static void step(struct unwrap *u, struct buf *out)
{
    int n;

    if (u->state == UNWRAP_BEFORE) {
        n = wrapping(buf_span(&u->held));
        if (n == 0)
            return;
        u->state = n < 0 ? UNWRAP_PLAIN : UNWRAP_INSIDE;
        buf_drop(&u->held, n < 0 ? 0 : (size_t)n);
    }
    if (u->state == UNWRAP_INSIDE) {
        buf_drop(&u->held, inside(u, buf_span(&u->held), out));
    } else {
        jw_escaped(out, buf_span(&u->held));
        buf_clear(&u->held);
    }
}

bool unwrap_feed(struct unwrap *u, struct span raw, struct buf *out)
{
    char *room;

    if (u->state == UNWRAP_BEHIND)
        return true;
    if (u->state == UNWRAP_PLAIN)
        return buf_add_span(out, raw);
    if (!u->held.cap)
        buf_init(&u->held, 64u << 20);
    room = malloc(raw.n + 1);
    if (!room)
        return false;
    buf_add(&u->held, room, jraw_unescape(raw, room));
    free(room);
    if (!buf_ok(&u->held))
        return false;
    step(u, out);
    return buf_ok(out) && buf_ok(&u->held);
}
