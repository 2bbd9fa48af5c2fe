/* anthropic_turns.c - writes a conversation of another dialect as `system` and `messages` of a provider.
 *
 * The turn structure is that of wire/translation section 5: leading instructions apart; adjacent turns of one side merged; all
 * results of an assistant turn in one user turn, before anything else; no empty texts; the user speaks first. */
#include "gateway/dialects/anthropic_write.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/jwrite.h"
#include "gateway/dialects/anthropic.h"
#include "gateway/dialects/anthropic_read.h"

/* ---- what of a chat is said at all ---- */

static bool says(const struct chat_item *i, const struct target *target)
{
    switch (i->kind) {
    case ITEM_TEXT: case ITEM_REFUSAL: return !anthropic_blank(i->text);
    case ITEM_REASONING: return anthropic_reasoning_goes(i, target);
    default: return true;
    }
}

static bool says_something(const struct chat_turn *t, const struct target *target)
{
    for (const struct chat_item *i = t->items; i; i = i->next)
        if (says(i, target))
            return true;
    return false;
}

/* A user's turn counts even when it is empty: without it the assistant would go on speaking. */
static bool counts(const struct chat_turn *t, const struct target *target)
{
    return t->role == ROLE_USER || says_something(t, target);
}

static const struct chat_turn *behind_instructions(const struct chat *chat)
{
    const struct chat_turn *t = chat->turns;

    while (t && t->role == ROLE_SYSTEM)
        t = t->next;
    return t;
}

/* The first turn of the other side at or behind `t`. */
static const struct chat_turn *other_side(const struct chat_turn *t, bool assistant, const struct target *target)
{
    while (t && ((t->role == ROLE_ASSISTANT) == assistant || !counts(t, target)))
        t = t->next;
    return t;
}

bool anthropic_calls_in_history(const struct chat *chat)
{
    for (const struct chat_turn *t = chat->turns; t; t = t->next)
        for (const struct chat_item *i = t->items; i; i = i->next)
            if (i->kind == ITEM_CALL)
                return true;
    return false;
}

/* ---- what cannot be said ---- */

static bool takes_image(const struct chat *chat, const struct chat_media *m, const struct target *target, struct fault *fault)
{
    static const char *const types[] = { "image/jpeg", "image/jpg", "image/png", "image/gif", "image/webp" };
    bool known = m->source != MEDIA_BYTES;

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        known |= span_eq_nocase(m->type, span_str(types[i]));
    if (!known)
        return dialect_refuse(fault, chat, &anthropic_dialect, anthropic_word(chat, WORD_IMAGE),
                              "it takes JPEG, PNG, GIF and WebP pictures");
    if (m->source == MEDIA_URL && !target->traits->url_media)
        return dialect_refuse(fault, chat, &anthropic_dialect, anthropic_word(chat, WORD_IMAGE),
                              "the model takes no URLs, and the gateway fetches nothing");
    return true;
}

static bool takes_file(const struct chat *chat, const struct chat_media *m, const struct target *target, struct fault *fault)
{
    const bool pdf = span_eq_nocase(m->type, SPAN_LIT("application/pdf"));

    if (m->source == MEDIA_TEXT || (m->source == MEDIA_BYTES && pdf))
        return true;
    if (m->source == MEDIA_URL && (pdf || m->type.n == 0))
        return target->traits->url_media ||
               dialect_refuse(fault, chat, &anthropic_dialect, anthropic_word(chat, WORD_FILE),
                              "the model takes no URLs, and the gateway fetches nothing");
    return dialect_refuse(fault, chat, &anthropic_dialect, anthropic_word(chat, WORD_FILE), "it takes PDF and plain text");
}

static bool takes_item(const struct chat *chat, const struct chat_item *i, const struct target *target, struct fault *fault)
{
    const bool media = i->kind == ITEM_IMAGE || i->kind == ITEM_FILE;

    if (i->kind == ITEM_AUDIO)
        return dialect_refuse(fault, chat, &anthropic_dialect, anthropic_word(chat, WORD_AUDIO), "it takes no audio");
    if (i->kind == ITEM_FOREIGN)
        return dialect_refuse(fault, chat, &anthropic_dialect, anthropic_word(chat, WORD_MESSAGES),
                              "an item in it is one that only its own provider knows");
    if (media && i->media.source == MEDIA_FILE_ID)
        return dialect_refuse(fault, chat, &anthropic_dialect, anthropic_word(chat, WORD_FILE_ID),
                              "a file lies with the provider that it was sent to");
    if (media && i->media.source == MEDIA_URL && !anthropic_is_web(i->media.data))
        return dialect_refuse(fault, chat, &anthropic_dialect, anthropic_word(chat, WORD_FILE_ID), "it takes https URLs alone");
    return i->kind == ITEM_IMAGE  ? takes_image(chat, &i->media, target, fault)
           : i->kind == ITEM_FILE ? takes_file(chat, &i->media, target, fault) : true;
}

/* A last turn of the assistant is a beginning to be continued. */
static bool takes_prefill(const struct chat *chat, const struct target *target, struct fault *fault)
{
    const struct chat_turn *last = NULL;

    for (const struct chat_turn *t = chat->turns; t; t = t->next)
        if (counts(t, target))
            last = t;
    if (!last || last->role != ROLE_ASSISTANT)
        return true;
    for (const struct chat_item *i = last->items; i; i = i->next)
        if (i->kind == ITEM_CALL)
            return dialect_refuse(fault, chat, &anthropic_dialect, anthropic_word(chat, WORD_MESSAGES),
                                  "the last turn is a tool call without a result");
    return target->traits->prefill || dialect_refuse(fault, chat, &anthropic_dialect, anthropic_word(chat, WORD_MESSAGES),
                                                     "the model does not continue a last turn of the assistant");
}

bool anthropic_takes_turns(const struct chat *chat, const struct target *target, struct fault *fault)
{
    for (const struct chat_turn *t = chat->turns; t && t->role == ROLE_SYSTEM; t = t->next)
        for (const struct chat_item *i = t->items; i; i = i->next)
            if (i->kind != ITEM_TEXT)
                return dialect_refuse(fault, chat, &anthropic_dialect, anthropic_word(chat, WORD_MESSAGES),
                                      "its instructions are text alone");
    for (const struct chat_turn *t = chat->turns; t; t = t->next)
        for (const struct chat_item *i = t->items; i; i = i->next) {
            if (!takes_item(chat, i, target, fault))
                return false;
            if (t->role == ROLE_ASSISTANT && (i->kind == ITEM_IMAGE || i->kind == ITEM_FILE))
                return dialect_refuse(fault, chat, &anthropic_dialect, anthropic_word(chat, WORD_MESSAGES),
                                      "the assistant says text alone there");
            for (const struct chat_item *p = i->kind == ITEM_RESULT ? i->result.parts : NULL; p; p = p->next)
                if (!takes_item(chat, p, target, fault))
                    return false;
        }
    return takes_prefill(chat, target, fault);
}

/* ---- small things ---- */

void anthropic_write_cache(struct anthropic_writing *w, enum cache_mark mark)
{
    if (mark == CACHE_NONE)
        return;
    if (w->marks_to_skip > 0) {
        w->marks_to_skip--;
        return;
    }
    w->five_minutes |= mark == CACHE_5M;
    jw_object(w->out->body, "cache_control");
    jw_raw(w->out->body, "type", SPAN_LIT("ephemeral"));
    if (mark == CACHE_1H && !w->five_minutes)
        jw_raw(w->out->body, "ttl", SPAN_LIT("1h"));
    jw_close(w->out->body, '}');
}

static void note_once(bool *noted, struct notes *notes, const char *what, const char *field)
{
    if (!*noted)
        notes_add(notes, what, span_str(field));
    *noted = true;
}

static bool is_plain(struct span name, size_t most)
{
    for (size_t i = 0; i < name.n; i++) {
        const char c = name.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-'))
            return false;
    }
    return name.n > 0 && name.n <= most;
}

/* Names of a long history are not gathered when they can be written as they are: nothing is to be read back. */
struct span anthropic_tool_name(struct anthropic_writing *w, struct span name)
{
    if (is_plain(name, ANTHROPIC_NAME_MAX))
        return name;
    return names_out(&w->out->names, w->out->arena, name, ANTHROPIC_NAME_MAX, false, false, w->out->fault);
}

bool anthropic_takes_id(struct span id)
{
    return is_plain(id, SIZE_MAX);
}

/* Ids match [A-Za-z0-9_-]+ there. Others are written otherwise, a call's as its result's; nobody needs them back. */
void anthropic_add_id(struct buf *b, struct span id)
{
    uint64_t h = 14695981039346656037u;    /* FNV-1a: ids that differ only in what is replaced stay apart */

    if (anthropic_takes_id(id)) {
        buf_add_span(b, id);
        return;
    }
    for (size_t i = 0; i < id.n; i++) {
        const struct span one = { id.p + i, 1 };

        h = (h ^ (unsigned char)id.p[i]) * 1099511628211u;
        if (i < 64)
            buf_add_char(b, is_plain(one, 1) ? id.p[i] : '_');
    }
    buf_printf(b, "_%016llx", (unsigned long long)h);
}

static void write_id(struct buf *b, const char *name, struct span id)
{
    jw_key(b, name);
    buf_add_char(b, '"');
    anthropic_add_id(b, id);
    buf_add_char(b, '"');
}

/* A raw text without the white space at its end. */
static struct span trim_end(struct span raw)
{
    size_t end = 0;

    for (size_t i = 0; i < raw.n;) {
        const size_t unit = raw.p[i] != '\\' ? 1 : raw.p[i + 1] == 'u' ? 6 : 2;

        if (!anthropic_blank((struct span){ raw.p + i, unit }))
            end = i + unit;
        i += unit;
    }
    return span_first(raw, end);
}

static void write_text(struct anthropic_writing *w, struct span raw, enum cache_mark cache)
{
    struct buf *b = w->out->body;

    jw_object(b, NULL);
    jw_raw(b, "type", SPAN_LIT("text"));
    jw_raw(b, "text", raw);
    anthropic_write_cache(w, cache);
    jw_close(b, '}');
}

/* ---- blocks ---- */

static void write_media(struct anthropic_writing *w, const struct chat_item *i)
{
    static const char *const sources[] = { [MEDIA_BYTES] = "base64", [MEDIA_URL] = "url", [MEDIA_FILE_ID] = "file",
                                           [MEDIA_TEXT] = "text" };
    static const char *const members[] = { [MEDIA_BYTES] = "data", [MEDIA_URL] = "url", [MEDIA_FILE_ID] = "file_id",
                                           [MEDIA_TEXT] = "data" };
    const struct chat_media *m = &i->media;
    struct buf *b = w->out->body;
    struct span type = m->source == MEDIA_TEXT ? SPAN_LIT("text/plain") : m->type;

    if (span_eq_nocase(type, SPAN_LIT("image/jpg")))
        type = SPAN_LIT("image/jpeg");
    if (m->detail.n && !span_is(m->detail, "auto"))
        note_once(&w->noted_detail, &w->out->notes, "dropped", anthropic_word(w->chat, WORD_DETAIL));
    jw_object(b, NULL);
    jw_raw(b, "type", i->kind == ITEM_IMAGE ? SPAN_LIT("image") : SPAN_LIT("document"));
    jw_object(b, "source");
    jw_raw(b, "type", span_str(sources[m->source]));
    if (m->source == MEDIA_BYTES || m->source == MEDIA_TEXT)
        jw_string(b, "media_type", type);
    jw_key(b, members[m->source]);
    buf_add_char(b, '"');
    if (m->source == MEDIA_BYTES)
        base64_add_standard(b, m->data);
    else
        buf_add_span(b, m->data);
    buf_add_char(b, '"');
    jw_close(b, '}');
    if (i->kind == ITEM_FILE && m->name_raw.n)
        jw_raw(b, "title", m->name_raw);
    anthropic_write_cache(w, i->cache);
    jw_close(b, '}');
}

static void write_reasoning(struct anthropic_writing *w, const struct chat_item *i)
{
    struct buf *b = w->out->body;

    jw_object(b, NULL);
    jw_raw(b, "type", i->redacted ? SPAN_LIT("redacted_thinking") : SPAN_LIT("thinking"));
    if (!i->redacted)
        jw_raw(b, "thinking", i->text.p ? i->text : SPAN_LIT(""));
    jw_raw(b, i->redacted ? "data" : "signature", i->opaque_raw.p ? i->opaque_raw : SPAN_LIT(""));
    jw_close(b, '}');
}

/* Arguments must be an object. What a weak model wrote instead stays visible as it was. */
static void write_arguments(struct anthropic_writing *w, const struct chat_call *call)
{
    struct buf *b = w->out->body;
    struct span raw = call->arguments_raw, text = call->arguments_json;
    char *copy = NULL;

    jw_key(b, "input");
    if (call->custom) {
        jw_object(b, NULL);
        jw_raw(b, "input", raw.p ? raw : SPAN_LIT(""));
        jw_close(b, '}');
        return;
    }
    if (!text.p && raw.n > 0) {
        copy = malloc(raw.n);
        text = (struct span){ copy, copy ? jraw_unescape(raw, copy) : 0 };
        b->failed |= !copy;
    }
    if (span_trim(text).n == 0) {
        buf_add(b, "{}", 2);
    } else if (chat_arguments_ok(call)) {
        buf_add_span(b, text);
    } else {
        jw_object(b, NULL);
        jw_string(b, "_raw", text);
        jw_close(b, '}');
        note_once(&w->noted_arguments, &w->out->notes, "changed", "arguments");
    }
    free(copy);
}

static bool write_call(struct anthropic_writing *w, const struct chat_item *i)
{
    struct buf *b = w->out->body;
    const struct span name = anthropic_tool_name(w, i->call.name);

    if (!name.p)
        return false;
    jw_object(b, NULL);
    jw_raw(b, "type", SPAN_LIT("tool_use"));
    write_id(b, "id", i->call.id);
    jw_raw(b, "name", name);
    write_arguments(w, &i->call);
    anthropic_write_cache(w, i->cache);
    jw_close(b, '}');
    return true;
}

/* An object that is the result stands before pictures beside it, as text. */
static void write_parts(struct anthropic_writing *w, struct span object, const struct chat_item *parts)
{
    struct buf *b = w->out->body;
    bool open = false;

    if (object.p && !parts) {
        jw_string(b, "content", object);
        return;
    }
    if (!object.p && parts && !parts->next && parts->kind == ITEM_TEXT) {
        jw_raw(b, "content", parts->text);
        return;
    }
    if (object.p) {
        jw_array(b, "content");
        jw_object(b, NULL);
        jw_raw(b, "type", SPAN_LIT("text"));
        jw_string(b, "text", object);
        jw_close(b, '}');
        open = true;
    }
    for (const struct chat_item *p = parts; p; p = p->next) {
        struct chat_item bare = *p;

        bare.cache = CACHE_NONE;    /* the result has it */
        if (!says(p, w->target))
            continue;
        if (!open)
            jw_array(b, "content");
        open = true;
        if (p->kind == ITEM_TEXT)
            write_text(w, p->text, CACHE_NONE);
        else
            write_media(w, &bare);
    }
    if (open)
        jw_close(b, ']');
}

static enum cache_mark result_mark(const struct chat_item *i)
{
    enum cache_mark mark = i->cache;

    for (const struct chat_item *p = i->result.parts; p; p = p->next)
        if (p->cache != CACHE_NONE)
            mark = p->cache;
    return mark;
}

static void write_result(struct anthropic_writing *w, const struct chat_item *i)
{
    struct buf *b = w->out->body;

    jw_object(b, NULL);
    jw_raw(b, "type", SPAN_LIT("tool_result"));
    write_id(b, "tool_use_id", i->result.id);
    write_parts(w, i->result.object_json, i->result.parts);
    if (i->result.is_error)
        jw_bool(b, "is_error", true);
    anthropic_write_cache(w, result_mark(i));
    jw_close(b, '}');
}

static bool write_item(struct anthropic_writing *w, const struct chat_item *i, bool last)
{
    if (!says(i, w->target))
        return true;
    switch (i->kind) {
    case ITEM_TEXT: case ITEM_REFUSAL:
        write_text(w, last ? trim_end(i->text) : i->text, i->cache);
        return true;
    case ITEM_IMAGE: case ITEM_FILE:
        write_media(w, i);
        return true;
    case ITEM_REASONING:
        write_reasoning(w, i);
        return true;
    case ITEM_CALL:
        return write_call(w, i);
    case ITEM_RESULT:
        write_result(w, i);
        return true;
    default:    /* refused by takes */
        return true;
    }
}

/* ---- turns ---- */

/* Instructions in the middle of a conversation: the provider has no such turn. The user is quoted saying them. */
static bool write_instructions(struct anthropic_writing *w, const struct chat_turn *t)
{
    struct buf *b = w->out->body;
    enum cache_mark cache = CACHE_NONE;
    bool any = false;

    for (const struct chat_item *i = t->items; i; i = i->next) {
        if (i->kind != ITEM_TEXT || !says(i, w->target))
            continue;
        if (!any) {
            jw_object(b, NULL);
            jw_raw(b, "type", SPAN_LIT("text"));
            jw_key(b, "text");
        }
        buf_add_str(b, any ? "\\n" : "\"<system>");
        buf_add_span(b, i->text);
        cache = i->cache != CACHE_NONE ? i->cache : cache;
        any = true;
    }
    if (any) {
        buf_add_str(b, "</system>\"");
        anthropic_write_cache(w, cache);
        jw_close(b, '}');
        note_once(&w->noted_role, &w->out->notes, "changed", "role");
    }
    for (const struct chat_item *i = t->items; i; i = i->next)
        if (i->kind != ITEM_TEXT && !write_item(w, i, false))
            return false;
    return true;
}

static void open_message(struct buf *b, bool assistant)
{
    jw_object(b, NULL);
    jw_raw(b, "role", assistant ? SPAN_LIT("assistant") : SPAN_LIT("user"));
    jw_array(b, "content");
}

static void close_message(struct buf *b)
{
    jw_close(b, ']');
    jw_close(b, '}');
}

/* A user's turn that would be empty; never two in a row. */
static void write_filler(struct anthropic_writing *w)
{
    write_text(w, SPAN_LIT("."), CACHE_NONE);
    notes_add(&w->out->notes, "changed", span_str(anthropic_word(w->chat, WORD_MESSAGES)));
}

static bool write_user(struct anthropic_writing *w, const struct chat_turn *from, const struct chat_turn *to)
{
    struct buf *b = w->out->body;
    size_t before;

    open_message(b, false);
    before = b->n;
    for (const struct chat_turn *t = from; t != to; t = t->next)
        for (const struct chat_item *i = t->role == ROLE_ASSISTANT ? NULL : t->items; i; i = i->next)
            if (i->kind == ITEM_RESULT && !write_item(w, i, false))
                return false;
    for (const struct chat_turn *t = from; t != to; t = t->next) {
        if (t->role == ROLE_SYSTEM && !write_instructions(w, t))
            return false;
        for (const struct chat_item *i = t->role == ROLE_USER ? t->items : NULL; i; i = i->next)
            if (i->kind != ITEM_RESULT && !write_item(w, i, false))
                return false;
    }
    if (b->n == before)
        write_filler(w);
    close_message(b);
    return true;
}

static bool write_assistant(struct anthropic_writing *w, const struct chat_turn *from, const struct chat_turn *to)
{
    const struct chat_item *last = NULL;

    for (const struct chat_turn *t = from; !to && t; t = t->next)    /* the end of a prefill must not be blank */
        for (const struct chat_item *i = t->role == ROLE_ASSISTANT ? t->items : NULL; i; i = i->next)
            last = says(i, w->target) ? i : last;
    open_message(w->out->body, true);
    for (const struct chat_turn *t = from; t != to; t = t->next)
        for (const struct chat_item *i = t->role == ROLE_ASSISTANT ? t->items : NULL; i; i = i->next)
            if (!write_item(w, i, i == last))
                return false;
    close_message(w->out->body);
    return true;
}

bool anthropic_write_messages(struct anthropic_writing *w)
{
    const struct chat_turn *t = behind_instructions(w->chat), *to;
    struct buf *b = w->out->body;
    bool assistant;

    for (const struct chat_turn *named = w->chat->turns; named; named = named->next)
        if (named->name_raw.n)
            note_once(&w->noted_name, &w->out->notes, "dropped", "name");
    while (t && !counts(t, w->target))
        t = t->next;
    jw_array(b, "messages");
    if (!t || t->role == ROLE_ASSISTANT) {
        open_message(b, false);
        write_filler(w);
        close_message(b);
    }
    for (; t; t = to) {
        assistant = t->role == ROLE_ASSISTANT;
        to = other_side(t, assistant, w->target);
        if (assistant ? !write_assistant(w, t, to) : !write_user(w, t, to))
            return false;
    }
    jw_close(b, ']');
    return true;
}

void anthropic_write_system(struct anthropic_writing *w, const char *instruction, struct span schema_json)
{
    struct buf *b = w->out->body;
    bool open = false;

    for (const struct chat_turn *t = w->chat->turns; t && t->role == ROLE_SYSTEM; t = t->next)
        for (const struct chat_item *i = t->items; i; i = i->next) {
            if (i->kind != ITEM_TEXT || !says(i, w->target))
                continue;
            if (!open)
                jw_array(b, "system");
            open = true;
            write_text(w, i->text, i->cache);
        }
    if (instruction) {
        if (!open)
            jw_array(b, "system");
        open = true;
        jw_object(b, NULL);
        jw_raw(b, "type", SPAN_LIT("text"));
        jw_key(b, "text");
        buf_add_char(b, '"');
        jw_escaped(b, span_str(instruction));
        if (schema_json.p)
            jw_escaped(b, schema_json);
        buf_add_char(b, '"');
        jw_close(b, '}');
    }
    if (open)
        jw_close(b, ']');
}
