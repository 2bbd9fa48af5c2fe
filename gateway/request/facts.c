/* facts.c - fills struct features; decides nothing. Soft scores are policies/features.c's. */
#include "gateway/request/facts.h"

#include "gateway/request/memory.h"
#include "gateway/server/worker.h"
#include "policies/json_schema.h"
#include "gateway/request/tags.h"

#define SCORED_BYTES_MAX 262144u    /* scores look at the beginning of a very long prompt: a loop turn stays short */
#define TAG_BYTES_MAX 128u

static bool read_usd(struct request *r, const struct http1_head *h, const char *name, int64_t *out)
{
    const struct span v = http1_get(h, name);

    *out = -1;
    if (!v.p || price_parse_usd(v, out) == PRICE_PARSE_OK)
        return true;
    return fault_bad(&r->fault, "invalid_value", name,
                     "Invalid header '%s': must be an amount in USD with at most nine decimals, such as 0.05.", name);
}

static bool read_ms(struct request *r, const struct http1_head *h, const char *name, int64_t *out)
{
    const struct span v = http1_get(h, name);
    uint64_t ms;

    *out = -1;
    if (!v.p)
        return true;
    if (!span_to_u64(v, 86400000, &ms) || ms == 0)
        return fault_bad(&r->fault, "invalid_value", name,
                         "Invalid header '%s': must be a number of milliseconds from 1 to 86400000.", name);
    *out = (int64_t)ms;
    return true;
}

static bool plain_text(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || (unsigned char)s.p[i] > 0x7e)
            return false;
    return true;
}

/* x-tollgate-tag: key=value, repeatable; a later value of the same key wins. */
static bool read_tag(struct request *r, struct span v)
{
    const size_t eq = span_find(v, '=');
    const struct feature_tag tag = { span_trim(span_first(v, eq)), span_trim(span_skip(v, eq + 1)) };

    if (eq == v.n || tag.name.n == 0 || tag.name.n > TAG_BYTES_MAX || tag.value.n > TAG_BYTES_MAX || !plain_text(v))
        return fault_bad(&r->fault, "invalid_value", "x-tollgate-tag",
                         "Invalid header 'x-tollgate-tag': must be key=value in printable ASCII, each side of at most "
                         "128 bytes.");
    for (size_t i = 0; i < r->n_tags; i++)
        if (span_eq(r->tags[i].name, tag.name)) {
            r->tags[i] = tag;
            return true;
        }
    if (r->n_tags == REQUEST_TAGS_MAX)
        return fault_bad(&r->fault, "invalid_value", "x-tollgate-tag", "At most %d tags a request.", REQUEST_TAGS_MAX);
    r->tags[r->n_tags++] = tag;
    return true;
}

/* Those that may go into the ledger, each name once: two that were one too many are one. */
static size_t tags_to_keep(struct request *r, struct feature_tag kept[REQUEST_TAGS_MAX])
{
    const struct span key_id = r->has_key ? span_str(r->key.id) : SPAN_LIT("");
    size_t n = 0, k;

    for (size_t i = 0; i < r->n_tags; i++) {
        struct feature_tag tag = r->tags[i];

        tags_keep(r->worker->gw->tags, key_id, r->at_ms, &tag.name, &tag.value);
        for (k = 0; k < n && !span_eq(kept[k].name, tag.name); k++)
            ;
        if (k == n)
            kept[n++] = tag;
    }
    return n;
}

/* Rows outlive the caller's connection: tags and session are copied. `explain` has no worker and writes no row. */
static void keep_tags(struct request *r)
{
    struct feature_tag kept[REQUEST_TAGS_MAX];
    const size_t n = r->worker ? tags_to_keep(r, kept) : 0;
    struct buf json;

    if (n == 0)
        return;
    buf_init(&json, 16384);
    for (size_t i = 0; i < n; i++) {
        buf_add_char(&json, i ? ',' : '{');
        buf_add_json(&json, kept[i].name);
        buf_add_char(&json, ':');
        buf_add_json(&json, kept[i].value);
    }
    buf_add_char(&json, '}');
    r->tags_json = arena_copy(&r->arena, buf_span(&json));
    buf_free(&json);
}

/* Agents name their session themselves: stickiness comes without a header of ours (ux section 4). */
static struct span session_of(const struct http1_head *h)
{
    static const char *const names[] = { "x-tollgate-session", "x-claude-code-session-id", "session-id", "session_id" };
    struct span v = SPAN_NONE;

    for (size_t i = 0; !v.p && i < sizeof names / sizeof names[0]; i++)
        v = http1_get(h, names[i]);
    return v;
}

static bool read_strict(struct request *r)
{
    const struct span v = http1_get(r->head, "x-tollgate-strict");

    const bool on = v.p && span_eq_nocase(v, SPAN_LIT("true"));

    r->strict = on || r->key.strict;
    return !v.p || on || span_eq_nocase(v, SPAN_LIT("false")) ||
           fault_bad(&r->fault, "invalid_value", "x-tollgate-strict", "Invalid header 'x-tollgate-strict': must be true or false.");
}

bool facts_read_headers(struct request *r)
{
    const struct http1_head *h = r->head;
    struct features *f = &r->features;
    const struct span session = session_of(h);

    features_init(f);
    f->route_asked = http1_get(h, "x-tollgate-route");
    if (!read_usd(r, h, "x-tollgate-max-cost-usd", &f->max_cost_nano) ||
        !read_ms(r, h, "x-tollgate-deadline-ms", &f->deadline_ms) || !read_strict(r))
        return false;
    for (size_t i = 0; i < h->n_headers; i++)
        if (span_eq_nocase(h->headers[i].name, SPAN_LIT("x-tollgate-tag")) && !read_tag(r, h->headers[i].value))
            return false;
    if (session.n > 256 || !plain_text(session))
        return fault_bad(&r->fault, "invalid_value", "x-tollgate-session",
                         "Invalid header 'x-tollgate-session': must be printable ASCII of at most 256 bytes.");
    r->session = arena_copy(&r->arena, session);
    keep_tags(r);
    return true;
}

static void on_text(void *ctx, enum chat_role role, struct span text)
{
    struct features *f = ctx;

    if (role != ROLE_USER || f->scan.bytes >= SCORED_BYTES_MAX)
        return;
    features_text(f, span_first(text, SCORED_BYTES_MAX - (size_t)f->scan.bytes));
}

/* The names that an answer may call. A provider's own tools are not judged. */
static bool offer_tools(struct asked *asked, const struct chat *chat, struct arena *arena)
{
    struct span *names = ARENA_ARRAY(arena, struct span, chat->n_tools + 1);
    struct span *schemas = ARENA_ARRAY(arena, struct span, chat->n_tools + 1);

    if (!names || !schemas)
        return false;
    for (size_t i = 0; i < chat->n_tools; i++) {
        if (chat->tools[i].kind == TOOL_SERVER)
            continue;
        schemas[asked->n_tools] = chat->tools[i].schema_json;
        names[asked->n_tools++] = chat->tools[i].name;
    }
    asked->tools = names;
    asked->tool_schemas = schemas;
    return true;
}

bool facts_fill(struct features *f, const struct chat *chat, struct arena *arena)
{
    f->dialect = span_str(dialect_get(chat->dialect)->name);
    f->model = chat->model;
    f->stream = chat->stream;
    f->modalities = BOOK_TEXT | (chat->n_images ? BOOK_IMAGE : 0u) | (chat->n_audio ? BOOK_AUDIO : 0u) |
                    (chat->n_files ? BOOK_FILE : 0u);
    f->asked = (struct asked){ .json = chat->format != FORMAT_TEXT, .schema = chat->schema_json,
                               .stops = chat->n_stops > 0, .max_tokens = chat->max_tokens };
    if (!offer_tools(&f->asked, chat, arena))
        return false;
    f->parts = (struct estimate_parts){
        .text_bytes = (int64_t)chat->text_bytes, .tool_bytes = (int64_t)chat->tool_bytes,
        .messages = (int64_t)chat->n_messages, .tools = (int64_t)chat->n_tools, .images = (int64_t)chat->n_images,
        .audio_bytes = (int64_t)chat->audio_bytes,
        .unbounded = chat->unbounded || chat->n_files || (chat->n_audio && !chat->audio_bytes),
    };
    f->choices = chat->n;
    f->searches = chat->searches;
    f->service_tier = chat->service_tier;
    f->cache_5m = chat->cache_5m;
    f->cache_1h = chat->cache_1h;
    for (size_t i = 0; i < chat->n_files; i++)
        features_file(f, SPAN_NONE);
    f->value[FEATURE_TURNS] = (double)chat->n_user_turns;
    features_finish(f);
    return true;
}

/* Names of ours end at a NUL; one of a caller's that goes on behind it would be told, and kept, as another. */
static bool check_model(const struct chat *chat, struct fault *fault)
{
    return !memchr(chat->model.p ? chat->model.p : "", '\0', chat->model.n) ||
           fault_bad(fault, "invalid_value", "model", "Invalid value for 'model': a name has no NUL in it.");
}

bool facts_parse(const struct dialect *dialect, struct arena *arena, const struct recall *recall, struct chat *chat,
                 struct features *f, struct fault *fault)
{
    const struct parse_spec spec = { .arena = arena, .on_text = on_text, .ctx = f, .recall = recall, .fault = fault };

    return dialect->parse(chat, &spec) && check_model(chat, fault) &&
           (facts_fill(f, chat, arena) ||
            fault_set(fault, 503, "server_error", "overloaded", NULL, "The gateway is short of memory."));
}

/* "deepseek%2Fdeepseek-v4-flash": clients encode what stands in a path. */
struct span facts_decode(struct arena *a, struct span s)
{
    char *out = arena_alloc(a, s.n + 1, 1);
    size_t n = 0;

    for (size_t i = 0; out && i < s.n; i++) {
        static const char hex[] = "0123456789abcdef0123456789ABCDEF";
        const char *high = s.p[i] == '%' && i + 2 < s.n ? memchr(hex, s.p[i + 1], 32) : NULL;
        const char *low = high ? memchr(hex, s.p[i + 2], 32) : NULL;

        out[n++] = (char)(low ? ((high - hex) % 16) << 4 | ((low - hex) % 16) : s.p[i]);
        i += low ? 2 : 0;
    }
    return out ? (struct span){ out, n } : s;
}

/* A list that may stand in several fields of the same name is one list (RFC 9110 5.3). */
static struct span joined(struct request *r, const char *name)
{
    const struct http1_head *h = r->head;
    struct span all = arena_copy(&r->arena, http1_get(h, name));
    bool first = true;

    for (size_t i = 0; i < h->n_headers; i++) {
        if (!span_eq_nocase(h->headers[i].name, span_str(name)))
            continue;
        if (!first)
            all = arena_printf(&r->arena, "%.*s,%.*s", SPAN_FMT(all), SPAN_FMT(h->headers[i].value));
        first = false;
    }
    return all;
}

/* What the head says of a chat whose body does not. */
static void begin_chat(struct request *r)
{
    struct chat *c = &r->chat;

    chat_init(c, r->dialect->id, buf_span(&r->body));
    c->counting = r->endpoint == ENDPOINT_COUNT;
    if (r->dialect->id == DIALECT_GEMINI) {
        c->model = facts_decode(&r->arena, r->argument);
        if (span_starts(c->model, SPAN_LIT("models/")))    /* the whole name, pasted behind "models/" */
            c->model = span_skip(c->model, 7);
        c->stream = r->path_streams;
        c->stream_array = r->path_streams && span_find_span(r->head->query, SPAN_LIT("alt=sse")) == r->head->query.n;
    }
    if (r->dialect->id == DIALECT_ANTHROPIC) {
        c->anthropic_version = arena_copy(&r->arena, http1_get(r->head, "anthropic-version"));
        c->anthropic_beta = joined(r, "anthropic-beta");
    }
}

/* "claude-auto" and "claude-<route>": Anthropic's clients keep only names that begin so, and the list offers them
 * (DESIGN section 4). A model of that very name goes before: it is in the price book. */
static struct span route_behind(const struct request *r, struct span model)
{
    const struct span claude = SPAN_LIT("claude-"), rest = span_skip(model, claude.n);
    const struct policy *p = r->snapshot->policy;

    if (r->dialect->id != DIALECT_ANTHROPIC || !span_starts(model, claude))
        return model;
    if (span_is(rest, "auto"))
        return rest;
    for (size_t i = 0; i < p->n_routes; i++)
        if (span_eq(rest, p->routes[i].name))
            return rest;
    return model;
}

static void note_schema(struct notes *notes, struct span schema, struct span of)
{
    char keyword[32], field[160];

    if (!schema.p)
        return;
    json_schema_unsupported(schema, keyword, sizeof keyword);
    if (!keyword[0])
        return;
    snprintf(field, sizeof field, "%.*s:%s", SPAN_FMT(span_first(of, 100)), keyword);
    notes_add(notes, "unjudged", span_str(field));
}

/* What the checks cannot judge of a schema is said, never silently passed. */
static bool note_schemas(struct request *r)
{
    const struct chat *c = &r->chat;

    note_schema(&r->notes, c->schema_json, SPAN_LIT("schema"));
    for (size_t i = 0; i < c->n_tools; i++)
        note_schema(&r->notes, c->tools[i].schema_json, c->tools[i].name);
    return !r->strict || r->notes.n == 0 ||
           fault_bad(&r->fault, "unsupported_parameter", NULL,
                     "This request is strict, and its answer could not be judged as it asks: %s.", r->notes.text);
}

void facts_begin_body(struct request *r)
{
    struct features *f = &r->features;

    begin_chat(r);
    f->team = r->has_key ? span_str(r->key.team) : SPAN_NONE;
    f->key = r->has_key ? span_str(r->key.name) : SPAN_NONE;
    f->headers = r->head->headers;
    f->n_headers = r->head->n_headers;
    f->tags = r->tags;
    f->n_tags = r->n_tags;
}

static bool own(struct arena *a, struct span *s)
{
    if (!s->p)
        return true;
    *s = arena_copy(a, *s);
    return s->p;
}

bool facts_own_head(struct request *r)
{
    struct features *f = &r->features;
    struct http1_header *headers = ARENA_ARRAY(&r->arena, struct http1_header, f->n_headers + 1);
    bool ok = headers && own(&r->arena, &f->route_asked);

    for (size_t i = 0; ok && i < f->n_headers; i++) {
        headers[i] = f->headers[i];
        ok = own(&r->arena, &headers[i].name) && own(&r->arena, &headers[i].value);
    }
    for (size_t i = 0; ok && i < r->n_tags; i++)
        ok = own(&r->arena, &r->tags[i].name) && own(&r->arena, &r->tags[i].value);
    f->headers = headers;
    return ok;
}

/* A body of ids alone may bring much: it is counted as if it had come. */
static bool recall_item(void *ctx, struct span id, struct span *json)
{
    struct request *r = ctx;

    if (!memory_find_item(r->worker->gw->memory, span_str(r->key.id), id, &r->arena, r->at_ms, json))
        return fault_set(&r->fault, 413, "invalid_request_error", "request_too_large", "input",
                         "The items that the request refers to by their ids are too long together.");
    return json->n == 0 || request_count_bytes(r, json->n);
}

bool facts_read_body(struct request *r)
{
    struct features *f = &r->features;
    const struct recall recall = { recall_item, r };

    if (!facts_parse(r->dialect, &r->arena, &recall, &r->chat, f, &r->fault))
        return false;
    if (!note_schemas(r))
        return false;
    f->model = route_behind(r, f->model);
    return memory_restore_thinking(r->worker->gw->memory, span_str(r->key.id), &r->chat, &r->arena, r->at_ms) ||
           fault_set(&r->fault, 503, "server_error", "overloaded", NULL, "The gateway is short of memory.");
}
