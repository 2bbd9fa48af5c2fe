/* openai_turns.c - turns of the neutral form as the Chat dialect's `messages`. Texts go in raw, as their caller wrote them.
 * Source: wire/translation sections 2, 4 and 5; wire/openai-chat section 3. */
#include <stdio.h>

#include "base/base64.h"
#include "base/jwrite.h"
#include "gateway/dialects/openai.h"

struct turns {
    const struct chat *chat;
    const struct target *target;
    struct request_out *out;
    struct buf *b;
    bool noted_media;          /* the note is made once */
};

static bool no_memory(struct turns *w)
{
    return fault_set(w->out->fault, 503, "server_error", "overloaded", NULL, "The gateway is short of memory.");
}

/* ---- ids ---- */

/* Mistral's are nine letters and digits: others are hashed down, the same one always to the same. */
static void add_id(struct turns *w, const char *name, struct span id)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    uint64_t h = UINT64_C(14695981039346656037);    /* FNV-1a */
    char nine[9];
    bool fits = id.n == 9;

    for (size_t i = 0; i < id.n; i++) {
        h = (h ^ (unsigned char)id.p[i]) * UINT64_C(1099511628211);
        fits = fits && id.p[i] && strchr(digits, id.p[i]);
    }
    if (w->target->quirks->tool_id_rule != TOOL_IDS_NINE_ALNUM || fits) {
        jw_string(w->b, name, id);
        return;
    }
    for (size_t i = 0; i < sizeof nine; i++, h /= 62)
        nine[i] = digits[h % 62];
    jw_string(w->b, name, (struct span){ nine, sizeof nine });
}

/* ---- media ---- */

static void add_data_url(struct turns *w, const char *name, const struct chat_media *m, struct span type)
{
    jw_key(w->b, name);
    buf_add_str(w->b, "\"data:");
    jw_escaped(w->b, m->type.n ? m->type : type);
    buf_add_str(w->b, ";base64,");
    base64_add_standard(w->b, m->data);
    buf_add_char(w->b, '"');
}

static void write_image(struct turns *w, const struct chat_media *m)
{
    jw_object(w->b, NULL);
    jw_string(w->b, "type", SPAN_LIT("image_url"));
    jw_object(w->b, "image_url");
    if (m->source == MEDIA_URL)
        jw_raw(w->b, "url", m->data);
    else
        add_data_url(w, "url", m, SPAN_LIT("image/png"));
    if (m->detail.n)
        jw_string(w->b, "detail", m->detail);
    jw_close(w->b, '}');
    jw_close(w->b, '}');
}

/* wav and mp3 at OpenAI; the other names are hosts' own. */
static struct span format_of(struct span type)
{
    const struct span sub = span_skip(type, span_find(type, '/') + 1);

    if (sub.n == 0 || span_is(sub, "x-wav") || span_is(sub, "wave") || span_is(sub, "vnd.wave"))
        return SPAN_LIT("wav");
    return span_is(sub, "mpeg") ? SPAN_LIT("mp3") : sub;
}

static void write_audio(struct turns *w, const struct chat_media *m)
{
    jw_object(w->b, NULL);
    jw_string(w->b, "type", SPAN_LIT("input_audio"));
    jw_object(w->b, "input_audio");
    jw_key(w->b, "data");
    buf_add_char(w->b, '"');
    base64_add_standard(w->b, m->data);
    buf_add_char(w->b, '"');
    jw_string(w->b, "format", format_of(m->type));
    jw_close(w->b, '}');
    jw_close(w->b, '}');
}

static void write_text_part(struct turns *w, struct span raw)
{
    jw_object(w->b, NULL);
    jw_string(w->b, "type", SPAN_LIT("text"));
    jw_raw(w->b, "text", raw);
    jw_close(w->b, '}');
}

/* A document given as text is text; its name goes before it. */
static void write_file(struct turns *w, const struct chat_media *m)
{
    if (m->source == MEDIA_TEXT) {
        if (m->name_raw.n)
            write_text_part(w, m->name_raw);
        write_text_part(w, m->data);
        return;
    }
    jw_object(w->b, NULL);
    jw_string(w->b, "type", SPAN_LIT("file"));
    jw_object(w->b, "file");
    if (m->source == MEDIA_FILE_ID) {
        jw_raw(w->b, "file_id", m->data);
    } else {
        jw_raw(w->b, "filename", m->name_raw.n ? m->name_raw : SPAN_LIT("file.pdf"));
        add_data_url(w, "file_data", m, SPAN_LIT("application/pdf"));
    }
    jw_close(w->b, '}');
    jw_close(w->b, '}');
}

static bool is_media(const struct chat_item *i)
{
    return i->kind == ITEM_IMAGE || i->kind == ITEM_AUDIO || i->kind == ITEM_FILE;
}

static void write_part(struct turns *w, const struct chat_item *i)
{
    if (i->kind == ITEM_IMAGE)
        write_image(w, &i->media);
    else if (i->kind == ITEM_AUDIO)
        write_audio(w, &i->media);
    else if (i->kind == ITEM_FILE)
        write_file(w, &i->media);
    else if (i->kind == ITEM_FOREIGN)
        jw_json(w->b, NULL, i->json);    /* of this very dialect: openai_takes */
    else if (i->text.n)
        write_text_part(w, i->text);
}

/* ---- texts joined into one string ---- */

enum pick { PICK_TEXTS, PICK_REFUSALS, PICK_BOTH };

static bool is_text(const struct chat_item *i, enum pick pick)
{
    return i->text.n && ((i->kind == ITEM_TEXT && pick != PICK_REFUSALS) || (i->kind == ITEM_REFUSAL && pick != PICK_TEXTS));
}

static bool has_text(const struct chat_turn *from, const struct chat_turn *end, enum pick pick)
{
    for (const struct chat_turn *t = from; t != end; t = t->next)
        for (const struct chat_item *i = t->items; i; i = i->next)
            if (is_text(i, pick))
                return true;
    return false;
}

/* An assistant's texts are pieces of one, as streams and citations cut it; those of others, and of another turn, are
 * paragraphs. */
struct joining {
    bool paragraphs;
    const struct chat_item *before;    /* NULL: nothing is there yet */
};

static void add_joined(struct buf *b, const struct chat_item *items, enum pick pick, struct joining *j)
{
    for (const struct chat_item *i = items; i; i = i->next) {
        if (!is_text(i, pick))
            continue;
        if (j->before && (j->paragraphs || j->before->kind != i->kind))
            buf_add_str(b, "\\n\\n");
        buf_add_span(b, i->text);
        j->before = i;
    }
}

/* Of the turns from `from` up to `end`. */
static void write_joined(struct turns *w, const char *member, const struct chat_turn *from, const struct chat_turn *end,
                         enum pick pick)
{
    struct joining j = { .paragraphs = from->role != ROLE_ASSISTANT };

    jw_key(w->b, member);
    buf_add_char(w->b, '"');
    for (const struct chat_turn *t = from; t != end; t = t->next) {
        const bool cut = j.before && has_text(t, t->next, pick);

        if (cut)
            buf_add_str(w->b, "\\n\\n");
        j.before = cut ? NULL : j.before;
        add_joined(w->b, t->items, pick, &j);
    }
    buf_add_char(w->b, '"');
}

static void begin_message(struct turns *w, const char *role)
{
    jw_object(w->b, NULL);
    jw_string(w->b, "role", span_str(role));
}

static void end_message(struct turns *w, const struct chat_turn *turn)
{
    if (turn && turn->name_raw.n)
        jw_raw(w->b, "name", turn->name_raw);
    jw_close(w->b, '}');
}

/* ---- turns ---- */

static void write_system(struct turns *w, const struct chat_turn *turn)
{
    begin_message(w, turn->developer && w->target->quirks->developer_role ? "developer" : "system");
    write_joined(w, "content", turn, turn->next, PICK_TEXTS);
    end_message(w, turn);
}

/* A tool's message holds text alone: pictures follow in a message of the user. */
static bool write_result(struct turns *w, const struct chat_item *item)
{
    const struct chat_result *r = &item->result;
    struct joining j = { .paragraphs = true };
    struct span name;

    begin_message(w, "tool");
    add_id(w, "tool_call_id", r->id);
    if (r->name.n && w->target->quirks->tool_id_rule == TOOL_IDS_NINE_ALNUM) {    /* Mistral's; others refuse or ignore it */
        name = names_out(&w->out->names, w->out->arena, r->name, 64, false, false, w->out->fault);
        if (!name.p)
            return false;
        jw_string(w->b, "name", name);
    }
    jw_key(w->b, "content");
    buf_add_char(w->b, '"');
    if (r->object_json.p)
        jw_escaped(w->b, r->object_json);
    else if (r->is_error)
        buf_add_str(w->b, "Error: ");
    add_joined(w->b, r->parts, PICK_BOTH, &j);
    buf_add_char(w->b, '"');
    jw_close(w->b, '}');
    return true;
}

static const struct chat_item *next_media(const struct chat_item *part)
{
    while (part && !is_media(part))
        part = part->next;
    return part;
}

/* A message of the user for what tools returned beside text. */
static void write_result_media(struct turns *w, const struct chat_item *i, bool *begun)
{
    const struct chat_item *media = i->kind == ITEM_RESULT ? next_media(i->result.parts) : NULL;

    if (!media)
        return;
    if (!*begun) {
        begin_message(w, "user");
        jw_array(w->b, "content");
        if (!w->noted_media)
            notes_change(&w->out->notes, "tool_result.media");
        *begun = w->noted_media = true;
    }
    jw_object(w->b, NULL);
    jw_string(w->b, "type", SPAN_LIT("text"));
    jw_key(w->b, "text");
    buf_add_str(w->b, "\"From the result of tool call ");
    jw_escaped(w->b, i->result.id);
    buf_add_str(w->b, ":\"");
    jw_close(w->b, '}');
    for (; media; media = next_media(media->next))
        write_part(w, media);
}

/* What a turn holds beside results. */
static void write_user(struct turns *w, const struct chat_turn *turn)
{
    size_t others = 0, texts = 0, media = 0;

    for (const struct chat_item *i = turn->items; i; i = i->next) {
        others += i->kind != ITEM_RESULT;
        texts += is_text(i, PICK_TEXTS);
        media += is_media(i) || i->kind == ITEM_FOREIGN;
    }
    if (turn->items && others == 0)
        return;
    begin_message(w, "user");
    if (media == 0 && texts <= 1) {    /* an empty list is refused, an empty text is not */
        write_joined(w, "content", turn, turn->next, PICK_TEXTS);
    } else {
        jw_array(w->b, "content");
        for (const struct chat_item *i = turn->items; i; i = i->next)
            if (i->kind != ITEM_RESULT)
                write_part(w, i);
        jw_close(w->b, ']');
    }
    end_message(w, turn);
}

/* ---- what the assistant said ---- */

struct span openai_reasoning_back(const struct chat *chat, const struct chat_turn *from, const struct chat_turn *end,
                                  const struct target *target)
{
    const enum quirk_reasoning_return must = target->quirks->reasoning_must_return;
    bool calls = false;

    if (must == REASONING_RETURN_NO || target->quirks->reasoning_field != REASONING_CONTENT || chat->effort == EFFORT_OFF)
        return SPAN_NONE;
    for (const struct chat_turn *t = from; t != end; t = t->next)
        for (const struct chat_item *i = t->items; i; i = i->next)
            calls |= i->kind == ITEM_CALL;
    if (!calls && must != REASONING_RETURN_ALWAYS)
        return SPAN_NONE;
    /* Of another family's only the beginning would be believed; an empty string counts as present. */
    for (const struct chat_turn *t = from; t != end; t = t->next)
        for (const struct chat_item *i = t->items; i; i = i->next)
            if (i->kind == ITEM_REASONING && i->text.n && (i->family == FAMILY_NONE || i->family == FAMILY_DEEPSEEK))
                return i->text;
    return calls ? SPAN_LIT("") : SPAN_NONE;
}

/* The text of a custom call within the arguments of the function that stands for it. */
static bool add_wrapped(struct turns *w, struct span raw)
{
    struct buf json;
    bool ok;

    buf_init(&json, w->b->cap);
    buf_add_str(&json, "{\"input\":\"");
    buf_add_span(&json, raw);
    buf_add_str(&json, "\"}");
    jw_string(w->b, "arguments", buf_span(&json));
    ok = buf_ok(&json);
    buf_free(&json);
    return ok || no_memory(w);
}

static bool write_call(struct turns *w, const struct chat_call *c)
{
    const bool custom = c->custom && openai_knows_custom(w->target);
    const struct span name = names_out(&w->out->names, w->out->arena, c->name, 64, false, false, w->out->fault);

    if (!name.p)
        return false;
    jw_object(w->b, NULL);
    add_id(w, "id", c->id);
    jw_string(w->b, "type", custom ? SPAN_LIT("custom") : SPAN_LIT("function"));
    jw_object(w->b, custom ? "custom" : "function");
    jw_string(w->b, "name", name);
    if (custom)
        jw_raw(w->b, "input", c->arguments_raw);
    else if (c->custom && !add_wrapped(w, c->arguments_raw))
        return false;
    else if (!c->custom && c->arguments_json.p)
        jw_string(w->b, "arguments", c->arguments_json);
    else if (!c->custom)
        jw_raw(w->b, "arguments", c->arguments_raw.n ? c->arguments_raw : SPAN_LIT("{}"));
    jw_close(w->b, '}');
    jw_close(w->b, '}');
    return true;
}

static bool write_calls(struct turns *w, const struct chat_turn *from, const struct chat_turn *end)
{
    bool begun = false;

    for (const struct chat_turn *t = from; t != end; t = t->next)
        for (const struct chat_item *i = t->items; i; i = i->next) {
            if (i->kind != ITEM_CALL)
                continue;
            if (!begun)
                jw_array(w->b, "tool_calls");
            begun = true;
            if (!write_call(w, &i->call))
                return false;
        }
    if (begun)
        jw_close(w->b, ']');
    return true;
}

static bool holds(const struct chat_turn *from, const struct chat_turn *end, enum item_kind kind)
{
    for (const struct chat_turn *t = from; t != end; t = t->next)
        for (const struct chat_item *i = t->items; i; i = i->next)
            if (i->kind == kind && (kind != ITEM_REASONING || i->json.p))
                return true;
    return false;
}

/* Mistral's thinking stands in the content, in blocks of its own. */
static void write_blocks(struct turns *w, const struct chat_turn *from, const struct chat_turn *end)
{
    jw_array(w->b, "content");
    for (const struct chat_turn *t = from; t != end; t = t->next)
        for (const struct chat_item *i = t->items; i; i = i->next)
            if (i->kind == ITEM_REASONING && i->json.p)
                jw_json(w->b, NULL, i->json);
            else if (is_text(i, PICK_BOTH))
                write_text_part(w, i->text);
    jw_close(w->b, ']');
}

/* One message for all of these turns. */
static bool write_assistant(struct turns *w, const struct chat_turn *from, const struct chat_turn *end)
{
    const bool refusals = w->target->quirks->family == FAMILY_OPENAI;    /* it has a member for them */
    const enum pick pick = refusals ? PICK_TEXTS : PICK_BOTH;
    const bool refused = refusals && has_text(from, end, PICK_REFUSALS);
    const struct chat_turn *named = from;

    while (named->next != end && !named->name_raw.n)
        named = named->next;
    begin_message(w, "assistant");
    jw_raw_if(w->b, "reasoning_content", openai_reasoning_back(w->chat, from, end, w->target));
    if (w->target->quirks->reasoning_field == REASONING_BLOCKS && holds(from, end, ITEM_REASONING))
        write_blocks(w, from, end);
    else if (has_text(from, end, pick) || !(holds(from, end, ITEM_CALL) || refused))
        write_joined(w, "content", from, end, pick);
    else
        jw_null(w->b, "content");
    if (refused)
        write_joined(w, "refusal", from, end, PICK_REFUSALS);
    if (!write_calls(w, from, end))
        return false;
    end_message(w, named);
    return true;
}

/* ---- all of them ---- */

void openai_add_instruction(const struct chat *chat, struct buf *raw)
{
    buf_add_str(raw, "Answer with one JSON value and nothing else: no other text, no code fence.");
    if (chat->format != FORMAT_SCHEMA)
        return;
    if (chat->schema_description_raw.n) {
        buf_add_char(raw, ' ');
        buf_add_span(raw, chat->schema_description_raw);
    }
    if (!chat->schema_json.p)
        return;
    buf_add_str(raw, " It must be valid by this JSON Schema:\\n");
    jw_escaped(raw, chat->schema_json);
}

/* OpenAI wants the word JSON in the prompt of its JSON mode, which others do not ask for. */
static bool wants_instruction(const struct turns *w)
{
    const bool elsewhere = w->chat->dialect == DIALECT_ANTHROPIC || w->chat->dialect == DIALECT_GEMINI;

    return openai_schema_in_words(w->chat, w->target) || (w->chat->format == FORMAT_JSON && elsewhere);
}

/* A message of this dialect that has no place in the neutral form: spoken answers, the functions of 2023. */
static const struct chat_item *whole_message(const struct chat_turn *turn)
{
    for (const struct chat_item *i = turn->items; i; i = i->next)
        if (i->kind == ITEM_FOREIGN && jval_get(i->json, "role").p)
            return i;
    return NULL;
}

/* Neighbours of which one calls are one message: results must follow the message that calls. */
static bool write_assistants(struct turns *w, const struct chat_turn *from, const struct chat_turn *end)
{
    bool whole = false;

    for (const struct chat_turn *t = from; t != end; t = t->next)
        whole |= whole_message(t) != NULL;
    if (!whole && holds(from, end, ITEM_CALL))
        return write_assistant(w, from, end);
    for (const struct chat_turn *t = from; t != end; t = t->next) {
        if (whole_message(t))
            jw_json(w->b, NULL, whole_message(t)->json);
        else if (!write_assistant(w, t, t->next))
            return false;
    }
    return true;
}

/* What stands between two turns of the assistant: first all results, as hosts want them, then what else is said. */
static bool write_between(struct turns *w, const struct chat_turn *from, const struct chat_turn *end)
{
    bool begun = false;

    for (const struct chat_turn *t = from; t != end; t = t->next)
        for (const struct chat_item *i = t->items; i; i = i->next)
            if (i->kind == ITEM_RESULT && !write_result(w, i))
                return false;
    for (const struct chat_turn *t = from; t != end; t = t->next)
        for (const struct chat_item *i = t->items; i; i = i->next)
            write_result_media(w, i, &begun);
    if (begun) {
        jw_close(w->b, ']');
        jw_close(w->b, '}');
    }
    for (const struct chat_turn *t = from; t != end; t = t->next) {
        if (whole_message(t))
            jw_json(w->b, NULL, whole_message(t)->json);
        else if (t->role == ROLE_SYSTEM)
            write_system(w, t);
        else
            write_user(w, t);
    }
    return true;
}

static const struct chat_turn *end_of_run(const struct chat_turn *t)
{
    const bool assistant = t->role == ROLE_ASSISTANT;

    while (t && (t->role == ROLE_ASSISTANT) == assistant)
        t = t->next;
    return t;
}

bool openai_write_messages(const struct chat *chat, const struct target *target, struct request_out *out)
{
    struct turns w = { .chat = chat, .target = target, .out = out, .b = out->body };

    jw_array(w.b, "messages");
    if (wants_instruction(&w)) {
        begin_message(&w, "system");
        jw_key(w.b, "content");
        buf_add_char(w.b, '"');
        openai_add_instruction(chat, w.b);
        buf_add_char(w.b, '"');
        jw_close(w.b, '}');
    }
    for (const struct chat_turn *t = chat->turns, *end; t; t = end) {
        end = end_of_run(t);
        if (t->role == ROLE_ASSISTANT ? !write_assistants(&w, t, end) : !write_between(&w, t, end))
            return false;
    }
    jw_close(w.b, ']');
    return buf_ok(w.b) || no_memory(&w);
}
