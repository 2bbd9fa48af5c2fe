/* openai_think.c - see openai_think.h. Works on raw strings: what is only carried keeps its escapes. */
#include "gateway/dialects/openai_think.h"

#include <stdlib.h>

#include "base/jscan.h"
#include "base/jwrite.h"

/* ---- <think> ---- */

/* One character of a raw string: how many bytes it takes there; *c is it when it is ASCII, else 0. Hosts written in Go escape
 * < and >. */
static size_t character(struct span raw, char *c)
{
    const size_t n = raw.p[0] != '\\' ? 1 : raw.n > 1 && raw.p[1] == 'u' ? 6 : 2;
    char text[4];

    *c = raw.p[0];
    if (n == 1)
        return 1;
    *c = raw.n >= n && jraw_unescape(span_first(raw, n), text) == 1 ? text[0] : '\0';
    return n < raw.n ? n : raw.n;
}

static bool blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool say(const struct openai_think *t, struct draft *d, struct span raw)
{
    return draft_text(d, 0, t->at == THINK_INSIDE ? PIECE_REASONING : PIECE_TEXT, raw);
}

static bool release(struct openai_think *t, struct draft *d)
{
    const struct span held = { t->held, t->n_held };

    t->n_held = t->matched = 0;
    return say(t, d, held);
}

/* One character in a state that looks for a tag. *taken: it was held or dropped; else it belongs to the run of text. */
static bool look(struct openai_think *t, struct draft *d, struct span raw, char c, bool *taken)
{
    const char *tag = t->at == THINK_BEFORE ? "<think>" : "</think>";

    *taken = true;
    if (c == tag[t->matched] || (t->at == THINK_BEFORE && t->matched == 0 && blank(c))) {
        if (t->n_held + raw.n > sizeof t->held)    /* nobody begins with that many blanks */
            t->at = THINK_OUTSIDE;
        else
            memcpy(t->held + t->n_held, raw.p, raw.n);
        if (t->at == THINK_OUTSIDE) {
            *taken = false;
            return release(t, d);
        }
        t->n_held += raw.n;
        t->matched += c == tag[t->matched];
        if (tag[t->matched])
            return true;
        t->at = t->at == THINK_BEFORE ? THINK_INSIDE : THINK_BEHIND;
        t->n_held = t->matched = 0;
        return true;
    }
    *taken = false;
    if (t->at == THINK_BEFORE)
        t->at = THINK_OUTSIDE;
    return release(t, d);
}

bool openai_think_feed(struct openai_think *t, struct draft *d, struct span raw)
{
    size_t run = 0, i = 0, n;

    for (; i < raw.n && t->at != THINK_OUTSIDE; i += n) {
        bool taken = false;
        char c;

        n = character(span_skip(raw, i), &c);
        if (t->at == THINK_BEHIND) {
            if (blank(c)) {
                run = i + n;
                continue;
            }
            t->at = THINK_OUTSIDE;
            break;
        }
        /* Inside, nearly all is no beginning of a tag. */
        if (t->at == THINK_INSIDE && t->matched == 0 && c != '<')
            continue;
        if (t->at == THINK_INSIDE && t->matched == 0 && !say(t, d, (struct span){ raw.p + run, i - run }))
            return false;
        if (!look(t, d, (struct span){ raw.p + i, n }, c, &taken))
            return false;
        run = taken ? i + n : i;
        if (!taken && t->at == THINK_INSIDE && c == '<')
            n = 0;    /* it ended a false beginning and may be a true one */
    }
    return run >= raw.n || say(t, d, span_skip(raw, run));
}

bool openai_think_end(struct openai_think *t, struct draft *d)
{
    return t->n_held == 0 || release(t, d);
}

/* ---- arguments encoded twice ---- */

enum part { PART_WHOLE, PART_CUT, PART_QUOTE, PART_BAD };

static bool is_hex4(const char *p)
{
    for (int i = 0; i < 4; i++)
        if (!strchr("0123456789abcdefABCDEF", p[i]) || !p[i])
            return false;
    return true;
}

/* Of an escape at the front of `s`: its length, 0 when it is cut, or SIZE_MAX when there is no such escape. A high half comes
 * with its low one, as the scan demands of every other text. */
static size_t escape_length(struct span s)
{
    if (s.n < 2)
        return 0;
    if (s.p[1] != 'u')
        return strchr("\"\\/bfnrt", s.p[1]) && s.p[1] ? 2 : SIZE_MAX;
    if (s.n < 6)
        return 0;
    if (!is_hex4(s.p + 2))
        return SIZE_MAX;
    if ((s.p[2] | 0x20) != 'd' || s.p[3] < '8')
        return 6;
    if ((s.p[3] | 0x20) > 'b' || (s.p[3] > '9' && s.p[3] < 'A'))
        return SIZE_MAX;
    if (s.n < 12)
        return 0;
    return s.p[6] == '\\' && s.p[7] == 'u' && is_hex4(s.p + 8) && (s.p[8] | 0x20) == 'd' && (s.p[9] | 0x20) >= 'c' ? 12 : SIZE_MAX;
}

/* How much of `text` is the inside of a JSON string, and what comes then. */
static size_t inside(struct span text, enum part *then)
{
    size_t i = 0, n;

    for (; i < text.n; i += n) {
        const struct span rest = span_skip(text, i);

        n = rest.p[0] == '\\' ? escape_length(rest) : 1;
        *then = n == 0 ? PART_CUT : rest.p[0] == '"' ? PART_QUOTE : PART_BAD;
        if (n == 0 || n == SIZE_MAX || rest.p[0] == '"' || (unsigned char)rest.p[0] < 0x20)
            return i;
    }
    *then = PART_WHOLE;
    return i;
}

static bool as_it_stands(struct openai_doubled *t, struct draft *d, unsigned call, struct span rest)
{
    struct buf raw;
    bool ok;

    t->on = false;
    buf_init(&raw, DRAFT_BYTES_MAX);
    jw_escaped(&raw, rest);
    ok = buf_ok(&raw) && draft_arguments(d, 0, call, buf_span(&raw));
    buf_free(&raw);
    d->failed |= !ok;
    return ok;
}

bool openai_doubled_feed(struct openai_doubled *t, struct draft *d, unsigned call, struct span raw, bool first)
{
    struct span text, rest;
    enum part then;
    char *copy;
    bool ok;

    if (first && span_starts(raw, SPAN_LIT("\\\""))) {    /* no object begins with a quote */
        t->on = true;
        raw = span_skip(raw, 2);
    }
    if (!t->on)
        return draft_arguments(d, 0, call, raw);
    copy = malloc(sizeof t->held + raw.n);
    if (!copy) {
        d->failed = true;
        return false;
    }
    memcpy(copy, t->held, t->n_held);
    text = (struct span){ copy, t->n_held + jraw_unescape(raw, copy + t->n_held) };
    rest = span_skip(text, inside(text, &then));
    ok = draft_arguments(d, 0, call, span_first(text, text.n - rest.n));
    if (then == PART_BAD || (then == PART_QUOTE && rest.n > 1)) {
        ok = ok && as_it_stands(t, d, call, rest);
        rest.n = 0;
    }
    t->n_held = (unsigned)rest.n;
    if (rest.n)
        memcpy(t->held, rest.p, rest.n);
    free(copy);
    return ok;
}
