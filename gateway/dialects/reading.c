/* reading.c - see reading.h. Knows no dialect and no field by name. */
#include "gateway/dialects/reading.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/base64.h"

/* ---- the place ---- */

size_t reading_enter(struct reading *r, const char *fmt, ...)
{
    const size_t back = strlen(r->at);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(r->at + back, sizeof r->at - back, fmt, ap);
    va_end(ap);
    return back;
}

size_t reading_enter_list(struct reading *r, const char *name, size_t i)
{
    const size_t back = strlen(r->at), n = strlen(name);
    char digits[24];
    size_t at = back, first = sizeof digits;

    do
        digits[--first] = (char)('0' + i % 10);
    while (i /= 10);
    if (back + n + sizeof digits + 3 > sizeof r->at)
        return back;
    memcpy(r->at + at, name, n);
    at += n;
    r->at[at++] = '[';
    memcpy(r->at + at, digits + first, sizeof digits - first);
    at += sizeof digits - first;
    r->at[at++] = ']';
    r->at[at] = '\0';
    return back;
}

void reading_leave(struct reading *r, size_t back)
{
    r->at[back] = '\0';
}

static void place_of(const struct reading *r, const char *field, char *out, size_t room)
{
    const char *dot = field[0] && field[0] != '[' && r->at[0] ? "." : "";

    snprintf(out, room, "%s%s%s", r->at, dot, field);
}

/* ---- faults ---- */

bool reading_want(struct reading *r, const char *field, const char *right)
{
    char where[200];

    place_of(r, field, where, sizeof where);
    return fault_bad(r->spec->fault, "invalid_value", where, "Invalid value for '%s': %s.", where, right);
}

bool reading_missing(struct reading *r, const char *field)
{
    char where[200];

    place_of(r, field, where, sizeof where);
    return fault_bad(r->spec->fault, "missing_required_parameter", where, "Missing required parameter: '%s'.", where);
}

bool reading_unknown(struct reading *r, const char *field)
{
    char where[200];

    place_of(r, field, where, sizeof where);
    return fault_bad(r->spec->fault, "unknown_parameter", where, "Unknown parameter: '%s'.", where);
}

bool reading_no_memory(struct reading *r)
{
    return fault_set(r->spec->fault, 503, "server_error", "overloaded", NULL, "The gateway is short of memory.");
}

/* Length of the longest beginning of `raw` within `most` bytes that cuts no escape. */
static size_t whole_escapes(struct span raw, size_t most)
{
    size_t i = 0, unit;

    if (raw.n <= most)
        return raw.n;
    for (;; i += unit) {
        unit = raw.p[i] != '\\' ? 1 : raw.p[i + 1] == 'u' ? 6 : 2;
        if (i + unit > most)
            return i;
    }
}

/* ---- checks ---- */

bool reading_bool(struct reading *r, const char *field, struct span v, enum tri *out)
{
    const enum jtype type = jval_type(v);

    if (reading_is_null(v))
        return true;
    if (type != JTYPE_TRUE && type != JTYPE_FALSE)
        return reading_want(r, field, "must be true or false");
    if (out)
        *out = type == JTYPE_TRUE ? TRI_YES : TRI_NO;
    return true;
}

bool reading_int(struct reading *r, const char *field, struct span v, int64_t least, int64_t most, int64_t *out)
{
    char right[96];
    int64_t n;

    if (reading_is_null(v))
        return true;
    if (jval_type(v) == JTYPE_NUMBER && jval_int(v, &n) && n >= least && n <= most) {
        if (out)
            *out = n;
        return true;
    }
    if (most == INT64_MAX)
        snprintf(right, sizeof right, "must be a whole number of at least %lld", (long long)least);
    else
        snprintf(right, sizeof right, "must be a whole number from %lld to %lld", (long long)least, (long long)most);
    return reading_want(r, field, right);
}

bool reading_number(struct reading *r, const char *field, struct span v, int least, int most, struct span *out)
{
    char right[64];
    double x;

    if (reading_is_null(v))
        return true;
    if (jval_type(v) == JTYPE_NUMBER && jval_double(v, &x) && x >= least && x <= most) {
        if (out)
            *out = v;
        return true;
    }
    snprintf(right, sizeof right, "must be a number from %d to %d", least, most);
    return reading_want(r, field, right);
}

bool reading_type(struct reading *r, const char *field, struct span v, enum jtype type, const char *right)
{
    return reading_is_null(v) || jval_type(v) == type || reading_want(r, field, right);
}

bool reading_raw(struct reading *r, const char *field, struct span v, struct span *raw)
{
    if (reading_is_null(v))
        return true;
    if (jval_type(v) != JTYPE_STRING)
        return reading_want(r, field, "must be a string");
    if (raw)
        *raw = jval_raw(v);
    return true;
}

bool reading_name(struct reading *r, const char *field, struct span v, size_t most, struct span *out)
{
    struct span raw = SPAN_NONE, text;
    char right[64];

    if (!reading_raw(r, field, v, &raw))
        return false;
    if (!raw.p)
        return true;
    text = raw.n <= 6 * most ? chat_text(r->spec->arena, raw) : raw;    /* an escape has at most 6 bytes */
    if (!text.p)
        return reading_no_memory(r);
    if (text.n > most) {
        snprintf(right, sizeof right, "must be a string of at most %zu bytes", most);
        return reading_want(r, field, right);
    }
    *out = text;
    return true;
}

/* RFC 6838, 4.2: type/subtype; parameters may follow. No comma and no quote: it has to fit into a data: URL. */
bool reading_is_media_type(struct span type)
{
    static const char more[] = "!#$&-^_.+";
    const size_t slash = span_find(type, '/'), end = span_find(type, ';');

    if (slash == 0 || slash + 1 >= end)
        return false;
    for (size_t i = 0; i < type.n; i++) {
        const char c = type.p[i];
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr(more, c));

        if (!plain && i != slash && (i < end || c <= ' ' || c > '~' || c == ',' || c == '"' || c == '\\') && !(i > end && c == ' '))
            return false;
    }
    return true;
}

bool reading_media_type(struct reading *r, const char *field, struct span v, struct span *out)
{
    if (!reading_name(r, field, v, 256, out))
        return false;
    return out->n == 0 || reading_is_media_type(*out) || reading_want(r, field, "must be a media type such as \"image/png\"");
}

#define MEDIA_HEAD_MAX 512u    /* "data:image/png;base64": what stands before the comma, or a scheme */

/* RFC 2397: data:TYPE[;parameters];base64,BYTES. The head may have escapes ("image\\/png", as PHP writes it). */
static bool read_data(struct reading *r, const char *field, struct span raw, struct span head, struct chat_media *media)
{
    const struct span mark = SPAN_LIT(";base64");
    struct span type;

    if (head.n < 5 + mark.n || !span_eq_nocase(span_skip(head, head.n - mark.n), mark))
        return reading_want(r, field, "must be a data: URL in base64");
    type = span_first(span_skip(head, 5), head.n - 5 - mark.n);
    type = span_first(type, span_find(type, ';'));
    if (type.n && !reading_is_media_type(type))
        return reading_want(r, field, "must be a data: URL with a media type such as \"image/png\"");
    media->source = MEDIA_BYTES;
    media->type = type.n ? type : SPAN_NONE;
    media->data = span_skip(raw, span_find(raw, ',') + 1);
    return base64_raw_ok(media->data, BASE64_STANDARD) || reading_want(r, field, "must hold valid base64");
}

static bool is_web(struct span head)
{
    const struct span http = SPAN_LIT("http://"), https = SPAN_LIT("https://");

    return span_eq_nocase(span_first(head, http.n), http) || span_eq_nocase(span_first(head, https.n), https);
}

bool reading_url(struct reading *r, const char *field, struct span raw)
{
    const struct span head = chat_text(r->spec->arena, span_first(raw, whole_escapes(raw, MEDIA_HEAD_MAX)));

    if (!head.p)
        return reading_no_memory(r);
    return is_web(head) || reading_want(r, field, "must be an https URL");
}

bool reading_media(struct reading *r, const char *field, struct span v, struct chat_media *media)
{
    static const struct span data = SPAN_LIT("data:");
    struct span raw = SPAN_NONE, head;

    if (!reading_raw(r, field, v, &raw))
        return false;
    head = span_first(raw, whole_escapes(raw, MEDIA_HEAD_MAX));
    head = span_first(head, span_find(head, ','));
    head = raw.p ? chat_text(r->spec->arena, head) : SPAN_LIT("");
    if (!head.p)
        return reading_no_memory(r);
    if (span_eq_nocase(span_first(head, data.n), data))
        return read_data(r, field, raw, head, media);
    if (!is_web(head))
        return reading_want(r, field, "must be an https or data: URL");
    media->source = MEDIA_URL;
    media->data = raw;
    return true;
}

#define LABELS_MAX 16

bool reading_is_labels(struct span v)
{
    size_t n = 0;

    if (jval_type(v) != JTYPE_OBJECT)
        return false;
    for (struct jiter it = jiter_begin(v); jiter_next(&it); n++)
        if (jval_type(it.value) != JTYPE_STRING || n == LABELS_MAX)
            return false;
    return true;
}

int reading_word(struct span v, const char *const *words)
{
    const struct span raw = jval_raw(v);

    for (int i = 0; raw.p && words[i]; i++)
        if (jraw_is(raw, words[i]))
            return i;
    return -1;
}

/* ---- texts ---- */

/* Texts are shown, not kept: all of a long conversation, each with its escapes, would fill any arena. */
bool reading_show(struct reading *r, struct span raw)
{
    const struct span plain = span_first(raw, READING_PLAIN_MAX);
    const size_t escape = span_find(plain, '\\');
    char small[1024], *out = small;
    struct span whole;

    r->chat->text_bytes += raw.n;
    if (!r->spec->on_text)
        return true;
    if (escape == plain.n || escape >= READING_SHOWN_MAX) {
        r->spec->on_text(r->spec->ctx, r->role, span_first(plain, escape));
        return true;
    }
    whole = span_first(raw, whole_escapes(raw, READING_SHOWN_MAX));
    if (whole.n > sizeof small) {
        if (!r->scratch)
            r->scratch = arena_alloc(r->spec->arena, READING_SHOWN_MAX, 1);
        out = r->scratch;
    }
    if (!out)
        return reading_no_memory(r);
    r->spec->on_text(r->spec->ctx, r->role, (struct span){ out, jraw_unescape(whole, out) });
    return true;
}
