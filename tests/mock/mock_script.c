/* mock_script.c - the script words: a table of names and places. */
#include "tests/mock/mock_script.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

enum word_kind { WORD_LONG, WORD_BOOL, WORD_TEXT };

struct word {
    const char *name;
    enum word_kind kind;
    size_t at, room;
};

#define LONG(m) { #m, WORD_LONG, offsetof(struct mock_script, m), 0 }
#define BOOL(m) { #m, WORD_BOOL, offsetof(struct mock_script, m), 0 }
#define TEXT(m) { #m, WORD_TEXT, offsetof(struct mock_script, m), sizeof(((struct mock_script *)0)->m) }

static const struct word words_known[] = {
    LONG(status), LONG(bytes), LONG(chunks), TEXT(text), TEXT(tool), TEXT(args), TEXT(finish), TEXT(model), LONG(tools),
    LONG(reasoning), BOOL(refuse), BOOL(empty), BOOL(badargs), BOOL(badutf8), BOOL(malformed), TEXT(usage), LONG(in),
    LONG(out), LONG(cached), TEXT(type), TEXT(code), TEXT(message), TEXT(error_body), TEXT(location), LONG(retry_after),
    LONG(retry_after_ms), LONG(late_error), LONG(first_ms), LONG(body_ms), LONG(every_ms), LONG(keepalive), LONG(blank),
    LONG(cut), LONG(reset), LONG(stall), LONG(piece), LONG(bigline), BOOL(bighead), BOOL(gzip), BOOL(close),
    BOOL(nolength), BOOL(badchunk), BOOL(badhead), BOOL(badlength), BOOL(nodone), BOOL(early_hints), BOOL(crlf), BOOL(stamp),
};

void mock_script_init(struct mock_script *s)
{
    /* The texts are long: clear their first bytes only, this runs for each request. */
    s->text[0] = s->tool[0] = s->args[0] = s->finish[0] = s->model[0] = s->usage[0] = '\0';
    s->type[0] = s->code[0] = s->message[0] = s->error_body[0] = s->location[0] = '\0';
    s->status = 200;
    s->bytes = 16;
    s->chunks = 4;
    s->tools = 1;
    s->in = s->out = s->cached = MOCK_OFF;
    s->reasoning = 0;
    s->refuse = s->empty = s->badargs = s->badutf8 = s->malformed = false;
    s->retry_after = s->retry_after_ms = s->late_error = MOCK_OFF;
    s->first_ms = s->body_ms = s->every_ms = s->keepalive = s->blank = 0;
    s->cut = s->reset = s->stall = MOCK_OFF;
    s->piece = s->bigline = 0;
    s->bighead = s->gzip = s->close = s->nolength = s->badchunk = s->badhead = s->badlength = s->nodone = false;
    s->early_hints = s->crlf = s->stamp = false;
    s->stream = s->stream_usage = s->scripted = false;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void undo_percent(char *out, size_t room, struct span in)
{
    size_t n = 0;

    for (size_t i = 0; i < in.n && n + 1 < room; i++) {
        if (in.p[i] == '%' && i + 2 < in.n + 0 && hex(in.p[i + 1]) >= 0 && hex(in.p[i + 2]) >= 0) {
            out[n++] = (char)(hex(in.p[i + 1]) * 16 + hex(in.p[i + 2]));
            i += 2;
        } else {
            out[n++] = in.p[i];
        }
    }
    out[n] = '\0';
}

static bool word_read(struct mock_script *s, struct span word)
{
    const size_t eq = span_find(word, '=');
    const struct span name = span_first(word, eq), value = span_skip(word, eq + 1);

    for (size_t i = 0; i < sizeof(words_known) / sizeof(words_known[0]); i++) {
        const struct word *w = &words_known[i];
        char *place = (char *)s + w->at, number[24];

        if (!span_is(name, w->name))
            continue;
        s->scripted = true;
        if (w->kind == WORD_TEXT) {
            undo_percent(place, w->room, value);
        } else if (w->kind == WORD_BOOL) {
            const bool on = !span_is(value, "0");
            memcpy(place, &on, sizeof(on));
        } else {
            snprintf(number, sizeof(number), "%.*s", SPAN_FMT(value));
            const long n = value.n ? strtol(number, NULL, 10) : 0;
            memcpy(place, &n, sizeof(n));
        }
        return true;
    }
    return false;
}

bool mock_script_read(struct mock_script *s, struct span words)
{
    bool ok = true;

    while (words.n) {
        const size_t n = span_find(words, ',');

        if (n && !word_read(s, span_first(words, n)))
            ok = false;
        words = span_skip(words, n + 1);
    }
    return ok;
}

static const struct span mark = { "mock:", 5 };

/* Words run to the first byte that no script holds. */
static struct span words_at(struct span from)
{
    size_t n = 0;

    while (n < from.n && from.p[n] > ' ' && !strchr("\"\\]}[{", from.p[n]))
        n++;
    return span_first(from, n);
}

/* The value behind "name": in the text; skips one that is escaped, being inside of a string. */
static struct span member(struct span body, const char *name)
{
    char key[40];
    const int n = snprintf(key, sizeof(key), "\"%s\"", name);
    struct span rest = body;

    for (;;) {
        const size_t at = span_find_span(rest, (struct span){ key, (size_t)n });

        if (at >= rest.n)
            return SPAN_NONE;
        struct span value = span_trim(span_skip(rest, at + (size_t)n));
        const bool inside = at > 0 && rest.p[at - 1] == '\\';
        if (!inside && value.n && value.p[0] == ':')
            return span_trim(span_skip(value, 1));
        rest = span_skip(rest, at + 1);
    }
}

void mock_script_from_body(struct mock_script *s, struct span body, struct span *model)
{
    const struct span value = member(body, "model");
    size_t at;

    *model = SPAN_NONE;
    if (value.n && value.p[0] == '"') {
        *model = span_first(span_skip(value, 1), span_find(span_skip(value, 1), '"'));
        at = span_find_span(*model, mark);
        if (at < model->n)
            mock_script_read(s, words_at(span_skip(*model, at + mark.n)));
    }
    s->stream = span_starts(member(body, "stream"), SPAN_LIT("true"));
    s->stream_usage = s->stream && span_starts(member(body, "include_usage"), SPAN_LIT("true"));
}

void mock_script_from_prompt(struct mock_script *s, struct span body, struct span model)
{
    struct span rest = body, words = SPAN_NONE;
    size_t at;

    while ((at = span_find_span(rest, mark)) < rest.n) {
        const char *p = rest.p + at;

        if (!model.n || p < model.p || p >= model.p + model.n)
            words = words_at(span_skip(rest, at + mark.n));
        rest = span_skip(rest, at + mark.n);
    }
    if (words.n)
        mock_script_read(s, words);
}
