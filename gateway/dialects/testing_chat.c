/* testing_chat.c - see testing_chat.h. Works like a caller: makes turns one after the other and answers what it has called. */
#include "gateway/dialects/testing_chat.h"

#include <stdlib.h>

#include "base/jwrite.h"

#define TEXT_MAX 65536u
#define PENDING_MAX 16

struct maker {
    struct chat *chat;
    struct arena *arena;
    struct dice *dice;
    enum dialect_id source;
    unsigned may;
    struct span pending[PENDING_MAX];    /* ids of calls without a result */
    struct span names[PENDING_MAX];
    bool custom[PENDING_MAX];
    size_t n_pending;
    unsigned n_calls;
};

static bool one_in(struct maker *m, uint32_t n)
{
    return dice_one_in(m->dice, n);
}

static uint32_t below(struct maker *m, uint32_t n)
{
    return dice_below(m->dice, n);
}

static bool may(const struct maker *m, unsigned what)
{
    return (m->may & what) != 0;
}

/* A test without memory is no test. */
static void *sure(void *p)
{
    if (!p)
        abort();
    return p;
}

static struct span keep(struct arena *arena, struct buf *b)
{
    const struct span s = arena_copy(arena, buf_span(b));

    sure(buf_ok(b) ? (void *)(uintptr_t)s.p : NULL);
    buf_free(b);
    return s;
}

/* ---- texts and values ---- */

struct span random_raw(struct arena *arena, struct dice *dice)
{
    static const char *const bits[] = {
        "word", " ", "a", "Zürich", "日本語", "\xf0\x9f\x98\x80", "\\n", "\\\"", "\\\\", "\\/", "\\t", "\\b", "\\u0000",
        "\\u00e9", "\\uD83D\\uDE00", "\\u2028", "\xe2\x80\xa8", "\x7f", "{\\\"a\\\":1}", "{}", "</system>", "data:", "0",
        ", and so on; the rest of a sentence that is somewhat longer.", "\\u007b", "'", "<think>", "Error: ", "\\r",
    };
    const uint32_t n_bits = sizeof bits / sizeof bits[0];
    const uint32_t n = dice_one_in(dice, 12) ? 0 : dice_one_in(dice, 30) ? 20 + dice_below(dice, 60) : 1 + dice_below(dice, 5);
    struct buf b;

    if (dice_one_in(dice, 24))
        return SPAN_LIT(" \\n\\t ");    /* blank: some dialects refuse it */
    buf_init(&b, TEXT_MAX);
    for (uint32_t i = 0; i < n; i++)
        buf_add_str(&b, bits[dice_below(dice, n_bits)]);
    return keep(arena, &b);
}

static void add_value(struct buf *b, struct arena *arena, struct dice *dice, unsigned depth)
{
    static const char *const scalars[] = {
        "9007199254740993", "-0", "1E400", "0.1000000000000000055511151231257827", "true", "null", "\"\"", "\"x\"", "{}", "[]",
        "-170141183460469231731687303715884105728", "1.0",
    };
    static const char *const gaps[] = { "", "", "", " ", "\n  ", "\t" };
    const char *gap = gaps[dice_below(dice, 6)];
    const uint32_t n = dice_below(dice, 4);
    const bool object = dice_one_in(dice, 2);

    if (depth == 0 || dice_one_in(dice, 2)) {
        if (!dice_one_in(dice, 3)) {
            buf_add_str(b, scalars[dice_below(dice, sizeof scalars / sizeof scalars[0])]);
            return;
        }
        buf_add_char(b, '"');
        buf_add_span(b, random_raw(arena, dice));
        buf_add_char(b, '"');
        return;
    }
    buf_add_char(b, object ? '{' : '[');
    for (uint32_t i = 0; i < n; i++) {
        if (i)
            buf_add_char(b, ',');
        buf_add_str(b, gap);
        if (object)
            buf_printf(b, "\"%s%u\"%s:", dice_one_in(dice, 3) ? "k\\u00e9y" : "k", i, gap);
        add_value(b, arena, dice, depth - 1);
    }
    buf_add_str(b, gap);
    buf_add_char(b, object ? '}' : ']');
}

struct span random_json(struct arena *arena, struct dice *dice, bool object)
{
    const uint32_t n = dice_below(dice, 4);
    struct buf b;

    buf_init(&b, TEXT_MAX);
    if (!object) {
        add_value(&b, arena, dice, 3);
        return keep(arena, &b);
    }
    buf_add_char(&b, '{');
    for (uint32_t i = 0; i < n; i++) {
        buf_printf(&b, "%s\"%s%u\":", i ? ", " : "", dice_one_in(dice, 6) ? "output" : dice_one_in(dice, 6) ? "input" : "k", i);
        add_value(&b, arena, dice, 2);
    }
    buf_add_char(&b, '}');
    return keep(arena, &b);
}

struct span random_name(struct arena *arena, struct dice *dice, unsigned n, bool odd)
{
    static const char *const plain[] = { "get_weather", "f", "Search-2", "_x", "mcp__files__read" };
    static const char *const strange[] = { "9lives", "with space", "dot.ted", "größe", "a/b", "quote\"d", "co:lon",
                                           "longer_than_sixty_four_characters_as_the_names_of_some_mcp_servers_are_and_more" };

    if (odd && dice_one_in(dice, 4))
        return arena_printf(arena, "%s%u", strange[dice_below(dice, 8)], n);
    return arena_printf(arena, "%s%u", plain[dice_below(dice, 5)], n);
}

/* Text as the body of a JSON string, now and then with more escapes than are needed. */
static struct span escaped(struct maker *m, struct span text)
{
    const bool odd = one_in(m, 4);
    struct buf b;

    buf_init(&b, 8 * TEXT_MAX);
    for (size_t i = 0; i < text.n; i++) {
        if (odd && text.p[i] == '"')
            buf_add_str(&b, "\\u0022");
        else if (odd && text.p[i] == '/')
            buf_add_str(&b, "\\/");
        else
            jw_escaped(&b, (struct span){ text.p + i, 1 });
    }
    return keep(m->arena, &b);
}

static struct span raw_text(struct maker *m)
{
    return random_raw(m->arena, m->dice);
}

/* ---- media ---- */

static struct span base64(struct maker *m)
{
    static const char *const samples[] = { "AAAA", "iVBORw0KGgo=", "/+8=", "AA==", "Zm9vYmFy", "aGVsbG8gd29ybGQ\\/" };
    static const char *const googles[] = { "AAAA", "_-8", "AA", "Zm9vYmFy", "_-8=" };

    if (m->source == DIALECT_GEMINI)
        return span_str(googles[below(m, 5)]);
    return span_str(samples[below(m, 6)]);
}

static void picture(struct maker *m, struct chat_media *media)
{
    static const char *const types[] = { "image/png", "image/jpeg", "image/jpg", "image/gif", "image/webp", "image/heic" };
    static const char *const urls[] = { "https://example.com/a.png", "https:\\/\\/example.com\\/b.jpg?x=1#y", "http://h/x" };

    if (may(m, RANDOM_WILD) && one_in(m, 10)) {
        *media = (struct chat_media){ .source = MEDIA_FILE_ID, .data = SPAN_LIT("file-123") };
    } else if (one_in(m, 3)) {
        *media = (struct chat_media){ .source = MEDIA_URL, .data = span_str(urls[below(m, 3)]) };
    } else {
        *media = (struct chat_media){ .source = MEDIA_BYTES, .data = base64(m) };
        media->type = span_str(types[below(m, may(m, RANDOM_ODD_MEDIA) ? 6 : 5)]);
    }
    if ((m->source == DIALECT_CHAT || m->source == DIALECT_RESPONSES) && one_in(m, 4))
        media->detail = one_in(m, 2) ? SPAN_LIT("low") : SPAN_LIT("auto");
}

static void document(struct maker *m, struct chat_media *media)
{
    const uint32_t kind = below(m, 6);

    if (may(m, RANDOM_WILD) && one_in(m, 10)) {
        *media = (struct chat_media){ .source = MEDIA_FILE_ID, .data = SPAN_LIT("file-\\u0041") };
    } else if (may(m, RANDOM_FILE_URLS) && kind == 0) {
        *media = (struct chat_media){ .source = MEDIA_URL, .data = SPAN_LIT("https://example.com/paper.pdf") };
    } else if (kind < 3) {
        *media = (struct chat_media){ .source = MEDIA_TEXT, .type = SPAN_LIT("text/plain"), .data = raw_text(m) };
    } else {
        *media = (struct chat_media){ .source = MEDIA_BYTES, .data = base64(m), .type = SPAN_LIT("application/pdf") };
        if (may(m, RANDOM_ODD_MEDIA) && one_in(m, 3))
            media->type = one_in(m, 2) ? SPAN_LIT("text/csv") : SPAN_NONE;
    }
    if (one_in(m, 3))
        media->name_raw = one_in(m, 2) ? SPAN_LIT("paper.pdf") : raw_text(m);
    if (media->name_raw.n == 0)
        media->name_raw = SPAN_NONE;
}

static void sound(struct maker *m, struct chat_media *media)
{
    *media = (struct chat_media){ .source = MEDIA_BYTES, .data = base64(m),
                                  .type = one_in(m, 2) ? SPAN_LIT("audio/wav") : SPAN_LIT("audio/mpeg") };
}

static void add_media(struct maker *m, struct chat_item *item)
{
    if (item->kind == ITEM_IMAGE)
        picture(m, &item->media);
    else if (item->kind == ITEM_FILE)
        document(m, &item->media);
    else
        sound(m, &item->media);
}

static enum item_kind media_kind(struct maker *m)
{
    const uint32_t n = below(m, may(m, RANDOM_AUDIO) ? 3 : 2);

    return n == 0 ? ITEM_IMAGE : n == 1 ? ITEM_FILE : ITEM_AUDIO;
}

/* ---- items ---- */

static enum cache_mark mark(struct maker *m)
{
    if (!one_in(m, 12))
        return CACHE_NONE;
    if (one_in(m, 3)) {
        m->chat->cache_1h = true;
        return CACHE_1H;
    }
    m->chat->cache_5m = true;
    return CACHE_5M;
}

static struct chat_item *add(struct maker *m, struct chat_turn *turn, enum item_kind kind)
{
    struct chat_item *item = sure(chat_add_item(m->chat, turn, m->arena, kind));

    if (kind != ITEM_REASONING)
        item->cache = mark(m);
    return item;
}

static void add_text(struct maker *m, struct chat_turn *turn)
{
    struct chat_item *item = add(m, turn, ITEM_TEXT);

    item->text = raw_text(m);
    if (turn->role == ROLE_ASSISTANT && one_in(m, 10))
        item->json = SPAN_LIT("[{\"type\":\"url_citation\",\"url\":\"https://e.com\",\"title\":\"t\",\"start_index\":0,\"end_index\":1}]");
    if (turn->role == ROLE_ASSISTANT && one_in(m, 12)) {
        item->opaque_raw = SPAN_LIT("c2lnbmVk");
        item->family = FAMILY_GEMINI;
    }
}

static void add_reasoning(struct maker *m, struct chat_turn *turn)
{
    static const enum family families[] = { FAMILY_NONE, FAMILY_OPENAI, FAMILY_ANTHROPIC, FAMILY_GEMINI, FAMILY_DEEPSEEK };
    struct chat_item *item = add(m, turn, ITEM_REASONING);

    item->family = families[below(m, 5)];
    item->text = raw_text(m);
    if (item->family != FAMILY_NONE && item->family != FAMILY_DEEPSEEK && !one_in(m, 4))
        item->opaque_raw = SPAN_LIT("b3BhcXVl\\/+==");
    if (item->opaque_raw.n && one_in(m, 3)) {
        item->redacted = true;
        item->text = SPAN_LIT("");
    }
    item->redacted |= item->text.n == 0 && item->opaque_raw.n > 0 && item->family == FAMILY_OPENAI;
    if (item->family == FAMILY_OPENAI && one_in(m, 2))
        item->id = SPAN_LIT("rs_1");
}

static struct span some_id(struct maker *m)
{
    m->n_calls++;
    if (one_in(m, 6))
        switch (below(m, 5)) {
        case 0: return arena_printf(m->arena, "call:%u", m->n_calls);
        case 1: return arena_printf(m->arena, "functions.f:%u", m->n_calls);
        case 2: return arena_printf(m->arena, "a b%u", m->n_calls);
        case 3: return arena_printf(m->arena, "\xc3\xbc%u", m->n_calls);
        default: return arena_printf(m->arena, "toolu_\"%u", m->n_calls);
        }
    return arena_printf(m->arena, "call_%u", m->n_calls);
}

/* One of the tools, or of tools that are gone. */
static struct span some_tool(struct maker *m, bool *custom)
{
    const struct chat *c = m->chat;

    *custom = false;
    if (c->n_tools && !one_in(m, 8)) {
        const struct chat_tool *t = &c->tools[below(m, (uint32_t)c->n_tools)];

        *custom = t->kind == TOOL_CUSTOM;
        if (t->kind != TOOL_SERVER)
            return t->name;
    }
    return random_name(m->arena, m->dice, 100 + below(m, 3), true);
}

static void add_arguments(struct maker *m, struct chat_call *call)
{
    static const char *const broken[] = { "{\\\"a\\\":", "[1]", "\\\"text\\\"", "12", "null", "not JSON\\n", "{\\\"a\\\":1}}" };

    if (call->custom) {
        call->arguments_raw = raw_text(m);
        return;
    }
    if (m->source == DIALECT_ANTHROPIC || m->source == DIALECT_GEMINI) {
        call->arguments_json = random_json(m->arena, m->dice, true);
        return;
    }
    if (one_in(m, 8))
        call->arguments_raw = span_str(broken[below(m, 7)]);
    else if (one_in(m, 8))
        call->arguments_raw = one_in(m, 2) ? SPAN_LIT("") : SPAN_LIT(" ");
    else
        call->arguments_raw = escaped(m, random_json(m->arena, m->dice, true));
}

static void add_call(struct maker *m, struct chat_turn *turn)
{
    struct chat_item *item;

    if (m->n_pending == PENDING_MAX)
        return;
    item = add(m, turn, ITEM_CALL);
    item->call.id = some_id(m);
    item->call.name = some_tool(m, &item->call.custom);
    add_arguments(m, &item->call);
    if (one_in(m, 6)) {
        item->opaque_raw = SPAN_LIT("c2lnbmF0dXJl");
        item->family = FAMILY_GEMINI;
    }
    m->pending[m->n_pending] = item->call.id;
    m->custom[m->n_pending] = item->call.custom;
    m->names[m->n_pending++] = item->call.name;
}

static void add_result_parts(struct maker *m, struct chat_item *item)
{
    const uint32_t n = one_in(m, 6) ? 0 : one_in(m, 3) ? 1 + below(m, 3) : 1;

    if (m->source == DIALECT_GEMINI && one_in(m, 3))
        item->result.object_json = random_json(m->arena, m->dice, true);
    for (uint32_t i = 0; i < n; i++) {
        const bool media = one_in(m, 4) || item->result.object_json.p;
        struct chat_item *part = sure(chat_add_part(m->chat, item, m->arena, media ? media_kind(m) : ITEM_TEXT));

        if (media)
            add_media(m, part);
        else if (one_in(m, 6))
            part->text = escaped(m, random_json(m->arena, m->dice, one_in(m, 2)));
        else
            part->text = raw_text(m);
    }
}

static void add_result(struct maker *m, struct chat_turn *turn)
{
    const uint32_t which = below(m, (uint32_t)m->n_pending);
    struct chat_item *item = add(m, turn, ITEM_RESULT);

    item->result.id = m->pending[which];
    item->result.name = m->names[which];
    item->result.custom = m->custom[which] && m->source == DIALECT_RESPONSES;
    item->result.is_error = one_in(m, 5);
    add_result_parts(m, item);
    m->n_pending--;
    m->pending[which] = m->pending[m->n_pending];
    m->names[which] = m->names[m->n_pending];
    m->custom[which] = m->custom[m->n_pending];
}

static void add_foreign_item(struct maker *m, struct chat_turn *turn)
{
    add(m, turn, ITEM_FOREIGN)->json = SPAN_LIT("{\"type\":\"web_search_call\",\"id\":\"ws_1\"}");
}

/* ---- turns ---- */

static struct chat_turn *new_turn(struct maker *m, enum chat_role role)
{
    struct chat_turn *t = sure(chat_add_turn(m->chat, m->arena, role));

    if (role != ROLE_SYSTEM && one_in(m, 12))
        t->name_raw = one_in(m, 2) ? SPAN_LIT("Ann") : SPAN_LIT("J\\u00fcrgen");
    t->developer = role == ROLE_SYSTEM && one_in(m, 3) && (m->source == DIALECT_CHAT || m->source == DIALECT_RESPONSES);
    return t;
}

static void system_turn(struct maker *m)
{
    struct chat_turn *t = new_turn(m, ROLE_SYSTEM);
    uint32_t n = one_in(m, 8) ? below(m, 4) : 1;

    for (; n > 0; n--)
        add_text(m, t);
    if (may(m, RANDOM_SYSTEM_MEDIA) && one_in(m, 4))
        add_media(m, add(m, t, ITEM_IMAGE));
}

static void user_turn(struct maker *m)
{
    struct chat_turn *t = new_turn(m, ROLE_USER);
    uint32_t n = one_in(m, 12) ? 0 : one_in(m, 3) ? 1 + below(m, 4) : 1;

    while (m->n_pending && !one_in(m, 5)) {
        if (one_in(m, 6))
            add_text(m, t);
        add_result(m, t);
    }
    if (t->last && one_in(m, 2))
        return;
    for (; n > 0; n--) {
        if (one_in(m, 4)) {
            struct chat_item *item = add(m, t, media_kind(m));

            add_media(m, item);
        } else {
            add_text(m, t);
        }
    }
    if (may(m, RANDOM_WILD) && one_in(m, 12))
        add_foreign_item(m, t);
}

/* Neighbours count as one; what they called is answered before the assistant speaks again. */
static void assistant_turn(struct maker *m, bool calls)
{
    uint32_t n = one_in(m, 12) ? 0 : 1 + below(m, 4);
    struct chat_turn *t;

    while (m->n_pending && m->chat->last_turn->role != ROLE_ASSISTANT)
        user_turn(m);
    t = new_turn(m, ROLE_ASSISTANT);
    for (; n > 0; n--) {
        const uint32_t what = below(m, 12);

        if (what < 2)
            add_reasoning(m, t);
        else if (what < 6 && calls)
            add_call(m, t);
        else if (what == 6)
            add(m, t, ITEM_REFUSAL)->text = raw_text(m);
        else if (what == 7 && may(m, RANDOM_MODEL_MEDIA))
            add_media(m, add(m, t, ITEM_IMAGE));
        else if (what == 8 && may(m, RANDOM_WILD) && one_in(m, 3))
            add_foreign_item(m, t);
        else
            add_text(m, t);
    }
}

static void all_turns(struct maker *m)
{
    uint32_t n = 1 + below(m, one_in(m, 8) ? 12 : 5);

    for (uint32_t lead = one_in(m, 2) ? 0 : 1 + one_in(m, 6); lead > 0; lead--)
        system_turn(m);
    for (; n > 0; n--) {
        const uint32_t what = below(m, 10);

        if (what < 5)
            user_turn(m);
        else if (what < 9)
            assistant_turn(m, true);
        else
            system_turn(m);
    }
    while (m->n_pending && !(may(m, RANDOM_PREFILLED_CALLS) && m->chat->last_turn->role == ROLE_ASSISTANT && one_in(m, 2)))
        user_turn(m);
    if (!may(m, RANDOM_PREFILL) && (!m->chat->last_turn || m->chat->last_turn->role != ROLE_USER))
        user_turn(m);
    else if (may(m, RANDOM_PREFILL) && m->n_pending == 0 && one_in(m, 4))
        assistant_turn(m, false);
}

/* ---- tools ---- */

static struct span some_schema(struct maker *m)
{
    static const char *const schemas[] = {
        "{\"type\":\"object\",\"properties\":{\"q\":{\"type\":\"string\",\"description\":\"f\\u00fcr \\\"q\\\"\"}},\"required\":[\"q\"]}",
        "{}", "{\"properties\":{}}", "{\"type\":\"object\"}",
        "{ \"type\": \"object\",\n  \"properties\": {\"n\": {\"const\": 9007199254740993}},\n  \"additionalProperties\": false }",
        "{\"$defs\":{\"a\":{\"type\":\"integer\"}},\"type\":\"object\",\"properties\":{\"x\":{\"$ref\":\"#/$defs/a\"}}}",
    };

    return span_str(schemas[below(m, 6)]);
}

static void random_tools(struct maker *m)
{
    struct chat *c = m->chat;
    const uint32_t n = one_in(m, 3) ? 0 : 1 + below(m, 4);
    const bool customs = m->source == DIALECT_CHAT || m->source == DIALECT_RESPONSES;

    c->tools = sure(ARENA_ARRAY(m->arena, struct chat_tool, n + 1));
    for (; c->n_tools < n; c->n_tools++) {
        struct chat_tool *t = &c->tools[c->n_tools];

        t->kind = customs && one_in(m, 5) ? TOOL_CUSTOM : TOOL_FUNCTION;
        t->name = random_name(m->arena, m->dice, (unsigned)c->n_tools, true);
        t->json = SPAN_LIT("{}");
        t->cache = mark(m);
        if (one_in(m, 2))
            t->description_raw = raw_text(m);
        if (t->kind == TOOL_CUSTOM && one_in(m, 2))
            t->format_json = m->source == DIALECT_CHAT
                ? SPAN_LIT("{\"type\":\"grammar\",\"grammar\":{\"syntax\":\"lark\",\"definition\":\"start: \\\"a\\\"\"}}")
                : SPAN_LIT("{\"type\":\"grammar\",\"syntax\":\"lark\",\"definition\":\"start: \\\"a\\\"\"}");
        if (t->kind == TOOL_FUNCTION) {
            t->schema_json = one_in(m, 6) && m->source != DIALECT_ANTHROPIC ? SPAN_NONE : some_schema(m);
            t->strict = (enum tri)below(m, 3);
        }
    }
    if (may(m, RANDOM_WILD) && one_in(m, 12) && n) {
        c->tools[0] = (struct chat_tool){ .kind = TOOL_SERVER, .name = SPAN_LIT("web_search"), .json = SPAN_LIT("{}") };
    }
}

static void random_choice(struct maker *m)
{
    static const enum tool_choice choices[] = { CHOICE_UNSET, CHOICE_UNSET, CHOICE_NONE, CHOICE_AUTO, CHOICE_ANY, CHOICE_NAMED,
                                                CHOICE_ALLOWED };
    struct chat *c = m->chat;
    const enum tool_choice choice = choices[below(m, 7)];
    size_t n = choice == CHOICE_NAMED ? 1 : 1 + below(m, (uint32_t)c->n_tools + 1);

    c->parallel = (enum tri)below(m, 3);
    if (c->n_tools == 0 || c->tools[0].kind == TOOL_SERVER)
        return;
    c->choice = choice;
    if (choice != CHOICE_NAMED && choice != CHOICE_ALLOWED)
        return;
    n = n > c->n_tools ? c->n_tools : n;
    c->choice_names = sure(ARENA_ARRAY(m->arena, struct span, n));
    for (; c->n_choice_names < n; c->n_choice_names++)    /* in the order of the tools, from any of them on */
        c->choice_names[c->n_choice_names] = c->tools[c->n_tools - n + c->n_choice_names].name;
    c->choice_any = choice == CHOICE_ALLOWED && one_in(m, 2);
}

/* ---- the rest ---- */

static struct span some_number(struct maker *m, const char *const *list, uint32_t n)
{
    return one_in(m, 4) ? span_str(list[below(m, n)]) : SPAN_NONE;
}

static void random_sampling(struct maker *m)
{
    static const char *const temperatures[] = { "0", "0.7", "1", "1.0", "1.5", "2e0", "0.30000000000000004" };
    static const char *const top_ps[] = { "0.1", "1", "0.95", "9.5e-1" };
    static const char *const penalties[] = { "-2", "0.5", "2" };
    static const char *const seeds[] = { "7", "-1", "9007199254740993" };
    struct chat *c = m->chat;

    c->temperature_json = some_number(m, temperatures, m->source == DIALECT_ANTHROPIC ? 4 : 7);
    c->top_p_json = some_number(m, top_ps, 4);
    if (m->source != DIALECT_RESPONSES && one_in(m, 5))
        c->top_k_json = SPAN_LIT("40");
    if (m->source == DIALECT_CHAT || m->source == DIALECT_GEMINI) {
        c->presence_json = some_number(m, penalties, 3);
        c->frequency_json = some_number(m, penalties, 3);
        c->seed_json = some_number(m, seeds, m->source == DIALECT_GEMINI ? 2 : 3);
    }
    if (m->source == DIALECT_CHAT && one_in(m, 8))
        c->logit_bias_json = SPAN_LIT("{\"50256\": -100}");
    if (may(m, RANDOM_STOPS))
        for (uint32_t n = below(m, may(m, RANDOM_WILD) ? 8 : 5); n > 0; n--)
            c->stops_raw[c->n_stops++] = one_in(m, 8) ? SPAN_LIT("\\n") : SPAN_LIT("ST\\u00d6P");
    if (may(m, RANDOM_LOGPROBS) && one_in(m, 3)) {
        c->logprobs = true;
        c->top_logprobs = (int64_t)below(m, 5) - 1;
    }
    if (may(m, RANDOM_CHOICES) && one_in(m, 3))
        c->n = 2 + below(m, may(m, RANDOM_WILD) ? 20 : 6);
    if (one_in(m, 2))
        c->max_tokens = may(m, RANDOM_WILD) && one_in(m, 6) ? 1 + below(m, 15) : 16 + below(m, 100000);
}

static void random_format(struct maker *m)
{
    struct chat *c = m->chat;

    if (one_in(m, 8) && m->source != DIALECT_ANTHROPIC) {
        c->format = FORMAT_JSON;
    } else if (one_in(m, 5)) {
        c->format = FORMAT_SCHEMA;
        c->schema_json = some_schema(m);
        if (m->source == DIALECT_ANTHROPIC || m->source == DIALECT_GEMINI)
            return;
        c->schema_name_raw = SPAN_LIT("answer_\\u0041");
        if (one_in(m, 2))
            c->schema_description_raw = raw_text(m);
        c->schema_strict = (enum tri)below(m, 3);
    }
}

static void random_effort(struct maker *m)
{
    static const int64_t budgets[] = { 1024, 2048, 8192, 16384, 24576, 32768 };
    struct chat *c = m->chat;
    enum effort effort = one_in(m, 2) ? EFFORT_UNSET : (enum effort)below(m, EFFORT_DYNAMIC + 1);

    if (effort == EFFORT_BUDGET)
        c->budget = budgets[below(m, 6)];
    c->effort = effort;
    if (one_in(m, 4))
        c->show_reasoning = one_in(m, 3) ? TRI_NO : TRI_YES;
}

static void random_rest(struct maker *m)
{
    static const char *const tiers[] = { "auto", "default", "standard_only", "flex", "priority", "turbo" };
    static const char *const verbosities[] = { "low", "medium", "high" };
    struct chat *c = m->chat;

    c->stream = one_in(m, 2);
    c->usage_asked = c->stream && one_in(m, 2);
    if (one_in(m, 8) && (m->source == DIALECT_CHAT || m->source == DIALECT_RESPONSES))
        c->verbosity_raw = span_str(verbosities[below(m, 3)]);
    if (one_in(m, 6))
        c->user_raw = one_in(m, 4) ? SPAN_LIT("user-0123456789-0123456789-0123456789-0123456789-0123456789-0123456789-01")
                                   : SPAN_LIT("u\\u00e9-1");
    if (one_in(m, 6))
        c->metadata_json = one_in(m, 3) ? SPAN_LIT("{}") : SPAN_LIT("{\"k\": \"v\\n\", \"l\":\"\"}");
    if (one_in(m, 6))
        c->service_tier = span_str(tiers[below(m, 6)]);
    if (one_in(m, 8) && (m->source == DIALECT_CHAT || m->source == DIALECT_RESPONSES))
        c->cache_key_raw = SPAN_LIT("k-1\\/");
    if (one_in(m, 10))
        sure(chat_add_foreign(c, m->arena, SPAN_LIT("new_knob"), FOREIGN_TUNES) ? c : NULL);
    if (one_in(m, 20))
        sure(chat_add_foreign(c, m->arena, SPAN_LIT("silent_knob"), FOREIGN_SILENT) ? c : NULL);
    if (may(m, RANDOM_WILD) && one_in(m, 12))
        sure(chat_add_foreign(c, m->arena, SPAN_LIT("deep_magic"), FOREIGN_MEANS) ? c : NULL);
}

void random_chat(struct chat *chat, struct arena *arena, struct dice *dice, enum dialect_id source, unsigned may)
{
    struct maker m = { .chat = chat, .arena = arena, .dice = dice, .source = source, .may = may };

    chat_init(chat, source, SPAN_LIT("{}"));
    chat->model = SPAN_LIT("some-model");
    random_tools(&m);
    random_choice(&m);
    all_turns(&m);
    random_sampling(&m);
    random_format(&m);
    random_effort(&m);
    random_rest(&m);
}
