/* gemini_turns.c - the conversation as systemInstruction and contents (wire/gemini-generate section 14, wire/translation
 * section 5).
 *
 * Neighbours of one role become one content; within a user's content the results of the calls before it come first. Parts are
 * never joined: a signature belongs to its part. One pass over the turns, each text copied once. */
#include "gateway/dialects/gemini_write.h"

enum { NOTED_ROLE = 1, NOTED_NAME = 2, NOTED_DETAIL = 4, NOTED_ARGUMENTS = 8, NOTED_RESULT_MEDIA = 16, NOTED_FIRST = 32 };

static void note_once(struct gemini_writing *w, unsigned bit, const char *what, const char *field)
{
    if (!(w->noted & bit))
        notes_add(&w->out->notes, what, span_str(field));
    w->noted |= bit;
}

/* ---- may it be said? ---- */

static bool takes_media(const struct chat *chat, const struct target *target, const struct chat_item *item,
                        struct fault *fault)
{
    const struct chat_media *m = &item->media;
    const char *field = gemini_said(chat, SAID_MEDIA);

    switch (m->source) {
    case MEDIA_BYTES:
        return m->type.n || item->kind == ITEM_FILE ||
               dialect_refuse(fault, chat, &gemini_dialect, field, "its media type is not said");
    case MEDIA_URL:
        return target->traits->url_media || dialect_refuse(fault, chat, &gemini_dialect, field,
                                                           "the model takes no URLs, and the gateway fetches nothing. Send its bytes");
    case MEDIA_FILE_ID:
        return dialect_refuse(fault, chat, &gemini_dialect, field, "a file's id is known to the provider that holds it alone");
    case MEDIA_TEXT:
        break;
    }
    return true;
}

static bool is_media(const struct chat_item *item)
{
    return item->kind == ITEM_IMAGE || item->kind == ITEM_AUDIO || item->kind == ITEM_FILE;
}

static bool takes_items(const struct chat *chat, const struct target *target, const struct chat_item *items,
                        struct fault *fault)
{
    for (const struct chat_item *i = items; i; i = i->next) {
        if (i->kind == ITEM_FOREIGN)
            return dialect_refuse(fault, chat, &gemini_dialect, gemini_said(chat, SAID_MESSAGES),
                                  "the history holds an item of that provider's own tools");
        if (is_media(i) && !takes_media(chat, target, i, fault))
            return false;
        if (i->kind != ITEM_RESULT)
            continue;
        for (const struct chat_item *part = i->result.parts; part; part = part->next)
            if (is_media(part) && !takes_media(chat, target, part, fault))
                return false;
    }
    return true;
}

bool gemini_takes_turns(const struct chat *chat, const struct target *target, struct fault *fault)
{
    for (const struct chat_turn *t = chat->turns; t; t = t->next) {
        if (!takes_items(chat, target, t->items, fault))
            return false;
        for (const struct chat_item *i = t->items; t->role == ROLE_SYSTEM && i; i = i->next)
            if (is_media(i) && i->media.source != MEDIA_TEXT)
                return dialect_refuse(fault, chat, &gemini_dialect, gemini_said(chat, SAID_MEDIA), "instructions are text there");
    }
    return true;
}

/* ---- parts ---- */

static const char as_user[] = "user", as_model[] = "model";

/* Opens a part of a content of this role: in the content that is open, where it has the role. */
static void open_part(struct gemini_writing *w, const char *role)
{
    struct buf *b = w->b;

    if (!w->role && role == as_model) {    /* the first content must be the user's */
        note_once(w, NOTED_FIRST, "changed", gemini_said(w->chat, SAID_MESSAGES));
        open_part(w, as_user);
        jw_raw(b, "text", SPAN_LIT("."));
        jw_close(b, '}');
    }
    if (w->role != role) {
        if (w->role) {
            jw_close(b, ']');
            jw_close(b, '}');
        }
        jw_object(b, NULL);
        jw_string(b, "role", span_str(role));
        jw_array(b, "parts");
        w->role = role;
    }
    jw_object(b, NULL);
}

/* What the end of a URL's path says; Google's servers want to be told. SPAN_NONE: nothing that we know. */
static struct span type_of_url(struct span raw)
{
    static const struct { const char *end, *type; } table[] = {
        { ".png", "image/png" }, { ".jpg", "image/jpeg" }, { ".jpeg", "image/jpeg" }, { ".webp", "image/webp" },
        { ".gif", "image/gif" }, { ".heic", "image/heic" }, { ".heif", "image/heif" }, { ".pdf", "application/pdf" },
        { ".txt", "text/plain" },
    };
    const struct span path = span_first(span_first(raw, span_find(raw, '?')), span_find(raw, '#'));

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const size_t n = strlen(table[i].end);

        if (path.n > n && span_eq_nocase(span_skip(path, path.n - n), span_str(table[i].end)))
            return span_str(table[i].type);
    }
    return SPAN_NONE;
}

static void write_media(struct gemini_writing *w, const struct chat_item *item)
{
    const struct chat_media *m = &item->media;
    const struct span type = m->type.n || m->source != MEDIA_URL ? m->type : type_of_url(m->data);
    struct buf *b = w->b;

    if (m->detail.n && !span_is(m->detail, "auto"))
        note_once(w, NOTED_DETAIL, "dropped", "detail");
    if (m->source == MEDIA_TEXT) {
        jw_raw(b, "text", m->data);
        return;
    }
    jw_object(b, m->source == MEDIA_URL ? "fileData" : "inlineData");
    if (type.n)
        jw_string(b, "mimeType", type);
    else if (m->source == MEDIA_BYTES)
        jw_raw(b, "mimeType", SPAN_LIT("application/pdf"));    /* what a file without a type is (openai-chat section 3) */
    jw_raw(b, m->source == MEDIA_URL ? "fileUri" : "data", m->data);
    jw_close(b, '}');
}

static void write_text(struct gemini_writing *w, const char *role, const struct chat_item *item, bool marked)
{
    struct buf *b = w->b;
    const bool own = item->family == FAMILY_GEMINI && w->target->family == FAMILY_GEMINI && item->opaque_raw.n;

    if (item->text.n == 0 && !own)
        return;
    open_part(w, role);
    jw_key(b, "text");
    buf_add_str(b, marked ? "\"<system>" : "\"");
    buf_add_span(b, item->text);
    buf_add_str(b, marked ? "</system>\"" : "\"");
    if (own)
        jw_raw(b, "thoughtSignature", item->opaque_raw);
    jw_close(b, '}');
}

/* ---- calls ---- */

static struct span trim_json(struct span s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t' || s.p[0] == '\n' || s.p[0] == '\r'))
        s = span_skip(s, 1);
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t' || s.p[s.n - 1] == '\n' || s.p[s.n - 1] == '\r'))
        s.n--;
    return s;
}

/* The text of a raw string when it is one JSON object, in the scratch until the next call; else SPAN_NONE. */
static struct span as_object(struct gemini_writing *w, struct span raw)
{
    const size_t escape = span_find(raw, '\\');
    struct span text = raw;

    if (escape < raw.n) {
        buf_free(&w->scratch);
        buf_reserve(&w->scratch, raw.n);
        if (!w->scratch.p)
            return SPAN_NONE;
        w->scratch.n = jraw_unescape(raw, w->scratch.p);
        text = buf_span(&w->scratch);
    }
    text = trim_json(text);
    if (text.n == 0 || text.p[0] != '{')
        return SPAN_NONE;
    if (!w->scan)
        w->scan = jscan_new(&jscan_default_limits, 1);
    if (!w->scan)
        return SPAN_NONE;
    jscan_reset(w->scan);
    return jscan_feed(w->scan, text) != JSCAN_BAD && jscan_end(w->scan) == JSCAN_DONE ? text : SPAN_NONE;
}

/* Arguments that are no object (an older model's broken JSON) are wrapped, so that the history stands. */
static void write_arguments(struct gemini_writing *w, const struct chat_call *call)
{
    const bool as_json = call->arguments_json.p != NULL;
    struct span object;

    if (!as_json && !call->custom && trim_json(call->arguments_raw).n == 0) {
        jw_json(w->b, "args", SPAN_LIT("{}"));
        return;
    }
    object = call->custom ? SPAN_NONE : as_json ? call->arguments_json : as_object(w, call->arguments_raw);
    if (jval_type(object) == JTYPE_OBJECT) {
        jw_json(w->b, "args", trim_json(object));
        return;
    }
    if (!call->custom)
        note_once(w, NOTED_ARGUMENTS, "changed", "arguments");
    jw_object(w->b, "args");
    if (as_json)
        jw_json(w->b, "_raw", call->arguments_json);
    else
        jw_raw(w->b, call->custom ? "input" : "_raw", call->arguments_raw.p ? call->arguments_raw : SPAN_LIT(""));
    jw_close(w->b, '}');
}

/* `needs_signature`: it is the first call of a step of the current turn, which a model that thinks by levels refuses without. */
static bool write_call(struct gemini_writing *w, const struct chat_item *item, bool needs_signature)
{
    const struct span name = gemini_name_out(w, item->call.name);
    struct buf *b = w->b;

    if (!name.p)
        return false;
    open_part(w, as_model);
    jw_object(b, "functionCall");
    if (item->call.id.n)
        jw_string(b, "id", item->call.id);
    jw_string(b, "name", name);
    write_arguments(w, &item->call);
    jw_close(b, '}');
    if (item->opaque_raw.n && item->family == FAMILY_GEMINI && w->target->family == FAMILY_GEMINI)
        jw_raw(b, "thoughtSignature", item->opaque_raw);
    else if (needs_signature && w->target->traits->thinking == THINKING_LEVEL)
        jw_raw(b, "thoughtSignature", SPAN_LIT(GEMINI_NO_SIGNATURE));
    jw_close(b, '}');
    return true;
}

/* ---- results ---- */

static struct span text_of_part(const struct chat_item *p)
{
    if (p->kind == ITEM_TEXT)
        return p->text;
    return is_media(p) && p->media.source == MEDIA_TEXT ? p->media.data : SPAN_NONE;
}

/* All texts of a result as one raw string, documents that are text too: itself when there is one, else in `joined`. An object
 * beside them is a text as well. */
static struct span text_of_result(const struct chat_result *r, struct buf *joined)
{
    struct span only = SPAN_LIT("");
    size_t n = r->object_json.p != NULL;

    for (const struct chat_item *p = r->parts; p; p = p->next)
        if (text_of_part(p).n && n++ == 0)
            only = text_of_part(p);
    if (n <= 1)
        return only;
    if (r->object_json.p)
        jw_escaped(joined, r->object_json);
    for (const struct chat_item *p = r->parts; p; p = p->next) {
        if (text_of_part(p).n == 0)
            continue;
        if (joined->n)
            buf_add_str(joined, "\\n");
        buf_add_span(joined, text_of_part(p));
    }
    return buf_span(joined);
}

static void write_result_text(struct gemini_writing *w, const struct chat_result *r)
{
    struct buf joined;
    struct span text, object;

    buf_init(&joined, w->b->cap);
    text = text_of_result(r, &joined);
    if (r->object_json.p && text.n == 0)
        object = r->object_json;
    else
        object = r->is_error ? SPAN_NONE : as_object(w, text);
    if (object.p) {
        jw_json(w->b, "response", object);
    } else {
        jw_object(w->b, "response");
        jw_raw(w->b, r->is_error ? "error" : "output", text);
        jw_close(w->b, '}');
    }
    buf_free(&joined);
}

static bool is_bytes(const struct chat_item *p)
{
    return is_media(p) && p->media.source != MEDIA_TEXT;
}

static bool has_media(const struct chat_result *r)
{
    for (const struct chat_item *p = r->parts; p; p = p->next)
        if (is_bytes(p))
            return true;
    return false;
}

/* Pictures within a response came with the models that think by levels; before, they stand behind the responses. */
static bool media_within(const struct gemini_writing *w)
{
    return w->target->traits->thinking == THINKING_LEVEL;
}

static bool write_result(struct gemini_writing *w, const struct chat_item *item)
{
    const struct chat_result *r = &item->result;
    const struct chat_call *call = r->name.p ? NULL : chat_find_call(w->chat, r->id);
    const struct span name = gemini_name_out(w, r->name.p ? r->name : call ? call->name : SPAN_LIT("tool"));
    struct buf *b = w->b;

    if (!name.p)
        return false;
    open_part(w, as_user);
    jw_object(b, "functionResponse");
    if (r->id.n)
        jw_string(b, "id", r->id);
    jw_string(b, "name", name);
    write_result_text(w, r);
    if (media_within(w) && has_media(r)) {
        jw_array(b, "parts");
        for (const struct chat_item *p = r->parts; p; p = p->next) {
            if (!is_bytes(p))
                continue;
            jw_object(b, NULL);
            write_media(w, p);
            jw_close(b, '}');
        }
        jw_close(b, ']');
    }
    jw_close(b, '}');
    jw_close(b, '}');
    return true;
}

static void write_media_of_result(struct gemini_writing *w, const struct chat_result *r)
{
    if (media_within(w))
        return;
    for (const struct chat_item *p = r->parts; p; p = p->next) {
        if (!is_bytes(p))
            continue;
        note_once(w, NOTED_RESULT_MEDIA, "changed", gemini_said(w->chat, SAID_MEDIA));
        open_part(w, as_user);
        write_media(w, p);
        jw_close(w->b, '}');
    }
}

/* ---- runs of turns ---- */

/* The turns of one side in a row, up to `end`. */
static const struct chat_turn *end_of_run(const struct chat_turn *t)
{
    const bool model = t->role == ROLE_ASSISTANT;

    while (t && (t->role == ROLE_ASSISTANT) == model)
        t = t->next;
    return t;
}

static bool write_user_run(struct gemini_writing *w, const struct chat_turn *from, const struct chat_turn *end)
{
    for (const struct chat_turn *t = from; t != end; t = t->next)
        for (const struct chat_item *i = t->items; i; i = i->next)
            if (i->kind == ITEM_RESULT && !write_result(w, i))
                return false;
    for (const struct chat_turn *t = from; t != end; t = t->next) {
        const bool later = t->role == ROLE_SYSTEM;    /* an instruction in the middle: a user's text that says so */

        if (later)
            note_once(w, NOTED_ROLE, "changed", "role");
        for (const struct chat_item *i = t->items; i; i = i->next) {
            if (i->kind == ITEM_TEXT || i->kind == ITEM_REFUSAL) {
                write_text(w, as_user, i, later);
            } else if (i->kind == ITEM_RESULT) {
                write_media_of_result(w, &i->result);
            } else if (is_media(i)) {
                open_part(w, as_user);
                write_media(w, i);
                jw_close(w->b, '}');
            }
        }
    }
    return true;
}

/* Reasoning goes back to its own family alone, and there only with its signature. */
static void write_reasoning(struct gemini_writing *w, const struct chat_item *i)
{
    if (i->family != FAMILY_GEMINI || w->target->family != FAMILY_GEMINI || i->opaque_raw.n == 0)
        return;
    open_part(w, as_model);
    jw_raw(w->b, "text", i->text.p ? i->text : SPAN_LIT(""));
    jw_bool(w->b, "thought", true);
    jw_raw(w->b, "thoughtSignature", i->opaque_raw);
    jw_close(w->b, '}');
}

static bool write_model_run(struct gemini_writing *w, const struct chat_turn *from, const struct chat_turn *end, bool current)
{
    bool first = true;

    for (const struct chat_turn *t = from; t != end; t = t->next) {
        for (const struct chat_item *i = t->items; i; i = i->next) {
            if (i->kind == ITEM_CALL) {
                if (!write_call(w, i, first && current))
                    return false;
                first = false;
            } else if (i->kind == ITEM_REASONING) {
                write_reasoning(w, i);
            } else if (is_media(i)) {
                open_part(w, as_model);
                write_media(w, i);
                jw_close(w->b, '}');
            } else if (i->kind == ITEM_TEXT || i->kind == ITEM_REFUSAL) {
                write_text(w, as_model, i, false);
            }
        }
    }
    return true;
}

/* ---- the members ---- */

static const struct chat_turn *behind_instructions(const struct chat *chat)
{
    const struct chat_turn *t = chat->turns;

    while (t && t->role == ROLE_SYSTEM)
        t = t->next;
    return t;
}

/* The last turn in which the user said something: the current turn begins behind it. */
static const struct chat_turn *last_word_of_user(const struct chat_turn *t)
{
    const struct chat_turn *last = NULL;

    for (; t; t = t->next)
        for (const struct chat_item *i = t->role == ROLE_USER ? t->items : NULL; i; i = i->next)
            if (i->kind != ITEM_RESULT) {
                last = t;
                break;
            }
    return last;
}

bool gemini_write_system(struct gemini_writing *w)
{
    const struct chat_turn *end = behind_instructions(w->chat);
    struct buf *b = w->b;
    bool open = false;

    for (const struct chat_turn *t = w->chat->turns; t != end; t = t->next)
        for (const struct chat_item *i = t->items; i; i = i->next) {
            const struct span raw = i->kind == ITEM_TEXT ? i->text : is_media(i) ? i->media.data : SPAN_NONE;

            if (raw.n == 0)
                continue;
            if (!open) {
                jw_object(b, "systemInstruction");
                jw_array(b, "parts");
            }
            open = true;
            jw_object(b, NULL);
            jw_raw(b, "text", raw);
            jw_close(b, '}');
        }
    if (w->instructed) {
        if (!open) {
            jw_object(b, "systemInstruction");
            jw_array(b, "parts");
        }
        open = true;
        jw_object(b, NULL);
        jw_key(b, "text");
        buf_add_str(b, "\"Answer with nothing but one JSON value that fits this JSON Schema:\\n");
        jw_escaped(b, w->chat->schema_json);
        buf_add_str(b, "\"}");
    }
    if (open) {
        jw_close(b, ']');
        jw_close(b, '}');
    }
    return true;
}

bool gemini_write_contents(struct gemini_writing *w)
{
    const struct chat_turn *t = behind_instructions(w->chat), *last = last_word_of_user(t);
    bool current = last == NULL;

    for (const struct chat_turn *named = w->chat->turns; named; named = named->next)
        if (named->name_raw.n)
            note_once(w, NOTED_NAME, "dropped", "name");
    jw_array(w->b, "contents");
    while (t) {
        const struct chat_turn *end = end_of_run(t);

        if (!(t->role == ROLE_ASSISTANT ? write_model_run(w, t, end, current) : write_user_run(w, t, end)))
            return false;
        for (; t != end; t = t->next)
            current |= t == last;
    }
    if (!w->role) {    /* nothing but instructions */
        note_once(w, NOTED_FIRST, "changed", gemini_said(w->chat, SAID_MESSAGES));
        open_part(w, as_user);
        jw_raw(w->b, "text", SPAN_LIT("."));
        jw_close(w->b, '}');
    }
    jw_close(w->b, ']');
    jw_close(w->b, '}');
    jw_close(w->b, ']');
    return true;
}
