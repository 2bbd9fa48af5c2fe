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

static bool is_text(const struct chat_item *i, bool refusals)
{
    return i->kind == ITEM_TEXT || (refusals && i->kind == ITEM_REFUSAL);
}

/* An assistant's texts are pieces of one, as streams and citations cut it; those of others are paragraphs. */
static void add_joined(struct buf *b, const struct chat_item *items, bool refusals, bool paragraphs)
{
    const struct chat_item *before = NULL;

    for (const struct chat_item *i = items; i; i = i->next) {
        if (!is_text(i, refusals) || i->text.n == 0)
            continue;
        if (before && (paragraphs || before->kind != i->kind))
            buf_add_str(b, "\\n\\n");
        buf_add_span(b, i->text);
        before = i;
    }
}

static void write_joined(struct turns *w, const char *prefix, const struct chat_item *items, bool refusals, bool paragraphs)
{
    jw_key(w->b, "content");
    buf_add_char(w->b, '"');
    buf_add_str(w->b, prefix);
    add_joined(w->b, items, refusals, paragraphs);
    buf_add_char(w->b, '"');
}

static size_t count_texts(const struct chat_item *items, bool refusals)
{
    size_t n = 0;

    for (const struct chat_item *i = items; i; i = i->next)
        n += is_text(i, refusals) && i->text.n;
    return n;
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
    write_joined(w, "", turn->items, false, true);
    end_message(w, turn);
}

/* A tool's message holds text alone: pictures follow in a message of the user. */
static void write_result(struct turns *w, const struct chat_item *item)
{
    const struct chat_result *r = &item->result;

    begin_message(w, "tool");
    add_id(w, "tool_call_id", r->id);
    if (r->name.n && w->target->quirks->tool_id_rule == TOOL_IDS_NINE_ALNUM)    /* Mistral's; others refuse or ignore it */
        jw_string(w->b, "name", r->name);
    if (r->object_json.p && !r->parts)
        jw_string(w->b, "content", r->object_json);
    else
        write_joined(w, r->is_error ? "Error: " : "", r->parts, true, true);
    jw_close(w->b, '}');
}

static const struct chat_item *next_media(const struct chat_item *part)
{
    while (part && !is_media(part))
        part = part->next;
    return part;
}

/* A message of the user for what tools returned beside text. */
static void write_result_media(struct turns *w, const struct chat_turn *turn)
{
    bool begun = false;

    for (const struct chat_item *i = turn->items; i; i = i->next) {
        const struct chat_item *media = i->kind == ITEM_RESULT ? next_media(i->result.parts) : NULL;

        if (!media)
            continue;
        if (!begun) {
            begin_message(w, "user");
            jw_array(w->b, "content");
            notes_change(&w->out->notes, "tool_result.media");
            begun = true;
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
    if (begun) {
        jw_close(w->b, ']');
        jw_close(w->b, '}');
    }
}

static void write_user(struct turns *w, const struct chat_turn *turn)
{
    const struct chat_item *other = NULL;
    size_t others = 0;

    for (const struct chat_item *i = turn->items; i; i = i->next) {
        if (i->kind == ITEM_RESULT) {
            write_result(w, i);
        } else {
            other = other ? other : i;
            others++;
        }
    }
    write_result_media(w, turn);
    if (turn->items && others == 0)
        return;
    begin_message(w, "user");
    if (others == count_texts(turn->items, false) && others <= 1) {
        write_joined(w, "", other, false, true);
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

struct span openai_reasoning_back(const struct chat *chat, const struct chat_turn *turn, const struct target *target)
{
    const enum quirk_reasoning_return must = target->quirks->reasoning_must_return;
    bool calls = false;

    if (must == REASONING_RETURN_NO || target->quirks->reasoning_field != REASONING_CONTENT || chat->effort == EFFORT_OFF)
        return SPAN_NONE;
    for (const struct chat_item *i = turn->items; i; i = i->next)
        calls |= i->kind == ITEM_CALL;
    if (!calls && must != REASONING_RETURN_ALWAYS)
        return SPAN_NONE;
    /* Of another family's only the beginning would be believed; an empty string counts as present. */
    for (const struct chat_item *i = turn->items; i; i = i->next)
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

static bool write_calls(struct turns *w, const struct chat_turn *turn)
{
    bool begun = false;

    for (const struct chat_item *i = turn->items; i; i = i->next) {
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

/* Mistral's thinking stands in the content, in blocks of its own. */
static bool has_blocks(const struct turns *w, const struct chat_turn *turn)
{
    for (const struct chat_item *i = turn->items; i; i = i->next)
        if (i->kind == ITEM_REASONING && i->json.p)
            return w->target->quirks->reasoning_field == REASONING_BLOCKS;
    return false;
}

static void write_blocks(struct turns *w, const struct chat_turn *turn)
{
    jw_array(w->b, "content");
    for (const struct chat_item *i = turn->items; i; i = i->next)
        if (i->kind == ITEM_REASONING && i->json.p)
            jw_json(w->b, NULL, i->json);
        else if (is_text(i, true) && i->text.n)
            write_text_part(w, i->text);
    jw_close(w->b, ']');
}

static bool write_assistant(struct turns *w, const struct chat_turn *turn)
{
    const bool refusals = w->target->quirks->family == FAMILY_OPENAI;
    const struct chat_item *refusal = NULL;
    bool calls = false;

    for (const struct chat_item *i = turn->items; i; i = i->next) {
        refusal = i->kind == ITEM_REFUSAL && refusals ? i : refusal;
        calls |= i->kind == ITEM_CALL;
    }
    begin_message(w, "assistant");
    jw_raw_if(w->b, "reasoning_content", openai_reasoning_back(w->chat, turn, w->target));
    if (has_blocks(w, turn))
        write_blocks(w, turn);
    else if (count_texts(turn->items, !refusals) || !(calls || refusal))
        write_joined(w, "", turn->items, !refusals, false);
    else
        jw_null(w->b, "content");
    if (refusal)
        jw_raw(w->b, "refusal", refusal->text);
    if (!write_calls(w, turn))
        return false;
    end_message(w, turn);
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

static bool write_turn(struct turns *w, const struct chat_turn *turn)
{
    const struct chat_item *whole = whole_message(turn);

    if (whole)
        jw_json(w->b, NULL, whole->json);
    else if (turn->role == ROLE_SYSTEM)
        write_system(w, turn);
    else if (turn->role == ROLE_USER)
        write_user(w, turn);
    else
        return write_assistant(w, turn);
    return true;
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
    for (const struct chat_turn *t = chat->turns; t; t = t->next)
        if (!write_turn(&w, t))
            return false;
    jw_close(w.b, ']');
    return buf_ok(w.b) || no_memory(&w);
}
