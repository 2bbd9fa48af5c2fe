/* anthropic_reply.c - writes another dialect's answer as a message, whole or as a stream of events.
 *
 * Blocks come one after the other: one is open at a time, and none is opened twice (envoyproxy/ai-gateway#1911). Providers may
 * mix what they send, so a piece that does not belong to the open call waits in a lane of its own, until that call is known to
 * be over: its arguments are a whole object, or the answer has ended. Whole answers are made of the same blocks in the same
 * order, so that both forms say the same. */
#include <stdlib.h>

#include "base/jwrite.h"
#include "gateway/dialects/anthropic.h"

#define DOCUMENT_MAX (2 * DRAFT_BYTES_MAX)

enum block { BLOCK_NONE, BLOCK_TEXT, BLOCK_THINKING, BLOCK_CALL };

/* Has a JSON object or array come to its end? A cursor over its text, piece by piece. */
struct balance {
    int depth;
    bool in_string, escaped, over;
};

/* Pieces that wait. */
struct lane {
    struct lane *next;
    enum piece_kind kind;      /* TEXT, REASONING, REDACTED, CALL */
    int call;
    struct buf raw;            /* text; arguments */
    struct buf signature;      /* REASONING */
    struct buf id, name;       /* CALL */
};

struct anthropic_writer {
    struct writer base;
    bool stream;
    bool started;              /* message_start is out */
    bool refused;              /* a refusal's words are among the text */
    enum block open;
    int call;                  /* of the open block */
    struct balance balance;
    size_t n_blocks;           /* so far, the open one too */
    size_t n_calls;
    struct lane *lanes, *last_lane;
    size_t waiting_bytes;
    struct buf content;        /* whole: the blocks */
    struct buf arguments;      /* whole: raw, of the open call */
    struct buf citations;      /* whole: of the open text */
};

/* ---- events ---- */

static struct buf *sink(struct anthropic_writer *w)
{
    return w->stream ? w->base.out : &w->content;
}

static void begin_event(struct buf *b, const char *type)
{
    buf_add_str(b, "event: ");
    buf_add_str(b, type);
    buf_add_str(b, "\ndata: {\"type\":\"");
    buf_add_str(b, type);
    buf_add_char(b, '"');
}

static void begin_indexed(struct anthropic_writer *w, const char *type)
{
    begin_event(w->base.out, type);
    buf_add_str(w->base.out, ",\"index\":");
    buf_add_int(w->base.out, (int64_t)w->n_blocks - 1);
}

static void end_event(struct buf *b)
{
    buf_add_str(b, "}\n\n");
}

static void write_delta(struct anthropic_writer *w, const char *type, const char *member, struct span raw)
{
    struct buf *b = w->base.out;

    begin_indexed(w, "content_block_delta");
    buf_add_str(b, ",\"delta\":{\"type\":\"");
    buf_add_str(b, type);
    buf_add_str(b, "\",\"");
    buf_add_str(b, member);
    buf_add_str(b, "\":\"");
    buf_add_span(b, raw);
    buf_add_str(b, "\"}");
    end_event(b);
}

static void write_head(struct anthropic_writer *w, struct buf *b)
{
    const struct reply_info *info = &w->base.info;

    jw_key(b, "id");
    buf_add_str(b, "\"msg_");
    jw_escaped(b, info->id);
    buf_add_char(b, '"');
    jw_raw(b, "type", SPAN_LIT("message"));
    jw_raw(b, "role", SPAN_LIT("assistant"));
    jw_string(b, "model", info->model);
}

/* Tokens must be named before anybody has counted them: the prompt's are our estimate, the cache's are not known. The final
 * counts come with message_delta, and clients let them take the place of these. */
static void start(struct anthropic_writer *w)
{
    struct buf *b = w->base.out;

    if (w->started || !w->stream)
        return;
    w->started = true;
    begin_event(b, "message_start");
    jw_object(b, "message");
    write_head(w, b);
    buf_add_str(b, ",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"stop_details\":null,\"usage\":{\"input_tokens\":");
    buf_add_int(b, w->base.info.prompt_estimate);
    buf_add_str(b, ",\"cache_creation_input_tokens\":null,\"cache_read_input_tokens\":null,\"output_tokens\":1}}");
    end_event(b);
}

/* ---- arguments ---- */

static void follow(struct balance *b, struct span text)
{
    for (size_t i = 0; i < text.n && !b->over; i++) {
        const char c = text.p[i];

        if (b->in_string) {
            b->in_string = b->escaped || c != '"';
            b->escaped = !b->escaped && c == '\\';
        } else if (c == '"') {
            b->in_string = true;
        } else if (c == '{' || c == '[') {
            b->depth++;
        } else if (c == '}' || c == ']') {
            b->depth--;
            b->over = b->depth <= 0;
        }
    }
}

static bool follow_raw(struct anthropic_writer *w, struct span raw)
{
    char *room;

    if (span_find(raw, '\\') == raw.n) {
        follow(&w->balance, raw);
        return true;
    }
    room = malloc(raw.n);
    if (!room)
        return false;
    follow(&w->balance, (struct span){ room, jraw_unescape(raw, room) });
    free(room);
    return true;
}

/* The input of a whole answer's call. What is no object stays visible as the model wrote it. */
static void write_input(struct anthropic_writer *w)
{
    const struct chat_call call = { .arguments_raw = buf_span(&w->arguments) };
    struct buf *b = &w->content;
    char *room;

    buf_add_str(b, ",\"input\":");
    if (w->arguments.n == 0) {
        buf_add_str(b, "{}");
    } else if (!chat_arguments_ok(&call)) {
        buf_add_str(b, "{\"_raw\":\"");
        buf_add_span(b, buf_span(&w->arguments));
        buf_add_str(b, "\"}");
    } else {
        room = malloc(w->arguments.n);
        b->failed |= !room;
        if (room)
            buf_add(b, room, jraw_unescape(buf_span(&w->arguments), room));
        free(room);
    }
    buf_clear(&w->arguments);
}

/* ---- blocks ---- */

static void close_block(struct anthropic_writer *w)
{
    struct buf *b = sink(w);

    if (w->open == BLOCK_NONE)
        return;
    if (w->stream) {
        begin_indexed(w, "content_block_stop");
        end_event(b);
    } else if (w->open == BLOCK_CALL) {
        write_input(w);
        buf_add_char(b, '}');
    } else if (w->open == BLOCK_THINKING) {
        buf_add_str(b, "\",\"signature\":\"\"}");
    } else {
        buf_add_char(b, '"');
        if (w->citations.n) {
            buf_add_str(b, ",\"citations\":[");
            buf_add_span(b, buf_span(&w->citations));
            buf_add_char(b, ']');
        }
        buf_add_char(b, '}');
        buf_clear(&w->citations);
    }
    w->open = BLOCK_NONE;
}

/* What stands before the text of a new block. */
static struct buf *next_block(struct anthropic_writer *w)
{
    struct buf *b = sink(w);

    close_block(w);
    w->n_blocks++;
    if (w->stream) {
        begin_indexed(w, "content_block_start");
        buf_add_str(b, ",\"content_block\":");
    } else if (w->n_blocks > 1) {
        buf_add_char(b, ',');
    }
    return b;
}

static void open_text(struct anthropic_writer *w, enum block kind)
{
    struct buf *b;

    if (w->open == kind)
        return;
    b = next_block(w);
    w->open = kind;
    buf_add_str(b, kind == BLOCK_TEXT ? "{\"type\":\"text\",\"text\":\"" : "{\"type\":\"thinking\",\"thinking\":\"");
    if (!w->stream)
        return;
    buf_add_str(b, kind == BLOCK_TEXT ? "\"}" : "\",\"signature\":\"\"}");
    end_event(b);
}

static void open_call(struct anthropic_writer *w, const struct piece *p)
{
    struct buf *b = next_block(w);

    w->open = BLOCK_CALL;
    w->call = p->call;
    w->balance = (struct balance){ 0 };
    w->n_calls++;
    buf_add_str(b, "{\"type\":\"tool_use\",\"id\":");
    buf_add_json(b, p->id);
    buf_add_str(b, ",\"name\":");
    buf_add_json(b, p->name);
    if (!w->stream)
        return;
    buf_add_str(b, ",\"input\":{}}");
    end_event(b);
}

/* A signature ends its block. Other families' are not shown: no Claude would take them. */
static void write_signature(struct anthropic_writer *w, struct span raw)
{
    open_text(w, BLOCK_THINKING);
    if (w->stream) {
        write_delta(w, "signature_delta", "signature", raw);
        close_block(w);
        return;
    }
    buf_add_str(&w->content, "\",\"signature\":\"");
    buf_add_span(&w->content, raw);
    buf_add_str(&w->content, "\"}");
    w->open = BLOCK_NONE;
}

static void write_redacted(struct anthropic_writer *w, struct span raw)
{
    struct buf *b = next_block(w);

    buf_add_str(b, "{\"type\":\"redacted_thinking\",\"data\":\"");
    buf_add_span(b, raw);
    buf_add_str(b, "\"}");
    if (!w->stream)
        return;
    end_event(b);
    w->open = BLOCK_TEXT;    /* any kind: it is closed at once */
    close_block(w);
}

/* Only within the text that it is of: one that comes later has no place. */
static void write_citation(struct anthropic_writer *w, const struct piece *p)
{
    struct buf *b = w->stream ? w->base.out : &w->citations;

    if (w->open != BLOCK_TEXT)
        return;
    if (w->stream) {
        begin_indexed(w, "content_block_delta");
        buf_add_str(b, ",\"delta\":{\"type\":\"citations_delta\",\"citation\":");
    } else if (b->n) {
        buf_add_char(b, ',');
    }
    buf_add_str(b, "{\"type\":\"web_search_result_location\",\"url\":\"");
    buf_add_span(b, p->raw);
    buf_add_str(b, "\",\"title\":\"");
    buf_add_span(b, p->title_raw);
    buf_add_str(b, "\",\"cited_text\":\"\",\"encrypted_index\":\"\"}");
    if (!w->stream)
        return;
    buf_add_char(b, '}');
    end_event(b);
}

static bool write_arguments(struct anthropic_writer *w, const struct piece *p)
{
    if (w->open != BLOCK_CALL || w->call != p->call)
        return true;    /* of a call that is closed: its object was whole */
    if (w->stream)
        write_delta(w, "input_json_delta", "partial_json", p->raw);
    else
        buf_add_span(&w->arguments, p->raw);
    return follow_raw(w, p->raw);
}

/* A piece whose turn it is. */
static bool write_piece(struct anthropic_writer *w, const struct piece *p)
{
    switch (p->kind) {
    case PIECE_REFUSAL:
        w->refused = true;
        /* fall through */
    case PIECE_TEXT: case PIECE_REASONING:
        open_text(w, p->kind == PIECE_REASONING ? BLOCK_THINKING : BLOCK_TEXT);
        if (w->stream && p->kind == PIECE_REASONING)
            write_delta(w, "thinking_delta", "thinking", p->raw);
        else if (w->stream)
            write_delta(w, "text_delta", "text", p->raw);
        else
            buf_add_span(&w->content, p->raw);
        return true;
    case PIECE_SIGNATURE:
        write_signature(w, p->raw);
        return true;
    case PIECE_REDACTED:
        write_redacted(w, p->raw);
        return true;
    case PIECE_CALL:
        open_call(w, p);
        return true;
    case PIECE_ARGUMENTS:
        return write_arguments(w, p);
    case PIECE_CITATION:
        write_citation(w, p);
        return true;
    case PIECE_LOGPROBS:
        return true;
    }
    return true;
}

/* ---- lanes ---- */

static void lane_free(struct lane *l)
{
    buf_free(&l->raw);
    buf_free(&l->signature);
    buf_free(&l->id);
    buf_free(&l->name);
    free(l);
}

static struct lane *add_lane(struct anthropic_writer *w, enum piece_kind kind, int call)
{
    struct lane *l = calloc(1, sizeof *l);

    if (!l)
        return NULL;
    l->kind = kind;
    l->call = call;
    buf_init(&l->raw, DRAFT_BYTES_MAX);
    buf_init(&l->signature, DRAFT_BYTES_MAX);
    buf_init(&l->id, 4096);
    buf_init(&l->name, 4096);
    if (w->last_lane)
        w->last_lane->next = l;
    else
        w->lanes = l;
    w->last_lane = l;
    return l;
}

/* The lane that a piece goes on in; a new one behind the others where there is none. */
static struct lane *lane_of(struct anthropic_writer *w, const struct piece *p)
{
    const enum piece_kind kind = p->kind == PIECE_REFUSAL ? PIECE_TEXT : p->kind == PIECE_SIGNATURE ? PIECE_REASONING : p->kind;
    struct lane *l = w->last_lane;

    if (l && l->kind == kind && (kind == PIECE_TEXT || (kind == PIECE_REASONING && l->signature.n == 0)))
        return l;
    return add_lane(w, kind, p->call);
}

static bool hold(struct anthropic_writer *w, const struct piece *p)
{
    struct lane *l = w->lanes;

    w->waiting_bytes += p->raw.n;
    if (w->waiting_bytes > DRAFT_BYTES_MAX)
        return false;
    if (p->kind == PIECE_ARGUMENTS) {
        while (l && (l->kind != PIECE_CALL || l->call != p->call))
            l = l->next;
        return !l || buf_add_span(&l->raw, p->raw);
    }
    if (p->kind == PIECE_CITATION || p->kind == PIECE_LOGPROBS)
        return true;
    l = lane_of(w, p);
    if (!l)
        return false;
    w->refused |= p->kind == PIECE_REFUSAL;
    if (p->kind == PIECE_CALL)
        return buf_add_span(&l->id, p->id) && buf_add_span(&l->name, p->name);
    return buf_add_span(p->kind == PIECE_SIGNATURE ? &l->signature : &l->raw, p->raw);
}

static bool write_lane(struct anthropic_writer *w, const struct lane *l)
{
    const struct piece p = { .kind = l->kind, .call = l->call, .raw = buf_span(&l->raw), .id = buf_span(&l->id),
                             .name = buf_span(&l->name) };
    struct piece more = p;
    bool ok = true;

    if (l->raw.n > 0 || l->kind == PIECE_CALL)
        ok = write_piece(w, &p);
    more.kind = l->kind == PIECE_CALL ? PIECE_ARGUMENTS : PIECE_SIGNATURE;
    if (l->kind == PIECE_CALL && l->raw.n > 0)
        return ok && write_piece(w, &more);
    more.raw = buf_span(&l->signature);
    return ok && (l->kind != PIECE_REASONING || l->signature.n == 0 || write_piece(w, &more));
}

static bool call_goes_on(const struct anthropic_writer *w)
{
    return w->open == BLOCK_CALL && !w->balance.over;
}

/* What waited, in its order, up to a call that goes on. */
static bool drain(struct anthropic_writer *w, bool all)
{
    bool ok = true;

    while (ok && w->lanes && (all || !call_goes_on(w))) {
        struct lane *l = w->lanes;

        w->lanes = l->next;
        if (!w->lanes)
            w->last_lane = NULL;
        w->waiting_bytes -= l->raw.n + l->signature.n < w->waiting_bytes ? l->raw.n + l->signature.n : w->waiting_bytes;
        ok = write_lane(w, l);
        lane_free(l);
    }
    return ok;
}

/* ---- the seam ---- */

struct writer *anthropic_writer_new(const struct reply_info *info, struct buf *out)
{
    struct anthropic_writer *w = calloc(1, sizeof *w);

    if (!w)
        return NULL;
    w->base = (struct writer){ .dialect = &anthropic_dialect, .info = *info, .out = out };
    w->stream = info->chat->stream;
    buf_init(&w->content, DOCUMENT_MAX);
    buf_init(&w->arguments, DRAFT_BYTES_MAX);
    buf_init(&w->citations, 1u << 20);
    return &w->base;
}

void anthropic_writer_free(struct writer *writer)
{
    struct anthropic_writer *w = (struct anthropic_writer *)writer;

    if (!w)
        return;
    while (w->lanes) {
        struct lane *l = w->lanes;

        w->lanes = l->next;
        lane_free(l);
    }
    buf_free(&w->content);
    buf_free(&w->arguments);
    buf_free(&w->citations);
    free(w);
}

bool anthropic_writer_piece(struct writer *writer, const struct piece *p)
{
    struct anthropic_writer *w = (struct anthropic_writer *)writer;
    const bool opaque = p->kind == PIECE_SIGNATURE || p->kind == PIECE_REDACTED;
    const bool own = p->kind == PIECE_ARGUMENTS && w->open == BLOCK_CALL && w->call == p->call;
    bool ok;

    if (p->choice != 0 || p->kind == PIECE_LOGPROBS || (opaque && (p->call >= 0 || p->family != FAMILY_ANTHROPIC)))
        return true;
    start(w);
    if (own)    /* its end lets go what waited: pieces only ever wait for a call that goes on */
        ok = write_piece(w, p) && drain(w, false);
    else
        ok = call_goes_on(w) ? hold(w, p) : write_piece(w, p);
    return ok && buf_ok(w->base.out) && buf_ok(&w->content) && buf_ok(&w->arguments) && buf_ok(&w->citations);
}

static const char *stop_reason(const struct anthropic_writer *w, const struct draft *d)
{
    switch (d->finish) {
    case FINISH_LENGTH: return "max_tokens";
    case FINISH_FILTERED: return "refusal";
    default: break;
    }
    if (w->n_calls > 0)    /* some hosts say `stop` behind tool calls */
        return "tool_use";
    return w->refused ? "refusal" : d->stop_raw.n > 0 ? "stop_sequence" : "end_turn";
}

static void write_stop(const struct anthropic_writer *w, const struct draft *d, struct buf *b)
{
    const char *reason = stop_reason(w, d);

    jw_raw(b, "stop_reason", span_str(reason));
    if (strcmp(reason, "stop_sequence") == 0)
        jw_raw(b, "stop_sequence", buf_span(&d->stop_raw));
    else
        jw_null(b, "stop_sequence");
    if (strcmp(reason, "refusal") == 0)
        jw_json(b, "stop_details", SPAN_LIT("{\"type\":\"refusal\",\"category\":null,\"explanation\":null}"));
    else
        jw_null(b, "stop_details");
}

/* Counters of the dialect are disjoint, but for the thinking within the output. A host that reports nothing: our estimates. */
static void write_usage(const struct anthropic_writer *w, const struct draft *d, struct buf *b)
{
    struct usage u = d->usage;

    if (!d->has_usage)
        u = (struct usage){ .input = w->base.info.prompt_estimate, .output = (d->generated_bytes + 3) / 4 };
    jw_object(b, "usage");
    jw_int(b, "input_tokens", u.input + u.input_audio + u.input_image);
    jw_int(b, "cache_creation_input_tokens", u.cache_write_5m + u.cache_write_1h);
    jw_int(b, "cache_read_input_tokens", u.cache_read);
    if (u.cache_write_1h > 0) {
        jw_object(b, "cache_creation");
        jw_int(b, "ephemeral_5m_input_tokens", u.cache_write_5m);
        jw_int(b, "ephemeral_1h_input_tokens", u.cache_write_1h);
        jw_close(b, '}');
    }
    jw_int(b, "output_tokens", u.output + u.output_audio + u.output_image);
    if (u.reasoning > 0) {
        jw_object(b, "output_tokens_details");
        jw_int(b, "thinking_tokens", u.reasoning);
        jw_close(b, '}');
    }
    if (u.searches > 0) {
        jw_object(b, "server_tool_use");
        jw_int(b, "web_search_requests", u.searches);
        jw_int(b, "web_fetch_requests", 0);
        jw_close(b, '}');
    }
    jw_close(b, '}');
}

static bool end_stream(struct anthropic_writer *w, const struct draft *d, struct buf *terminal)
{
    struct buf *b = w->base.out;

    begin_event(b, "message_delta");
    jw_object(b, "delta");
    write_stop(w, d, b);
    jw_close(b, '}');
    write_usage(w, d, b);
    end_event(b);
    begin_event(terminal, "message_stop");
    end_event(terminal);
    return buf_ok(b) && buf_ok(terminal);
}

static bool end_whole(struct anthropic_writer *w, const struct draft *d)
{
    struct buf *b = w->base.out;

    buf_reserve(b, w->content.n + 1024);
    jw_object(b, NULL);
    write_head(w, b);
    jw_array(b, "content");
    buf_add_span(b, buf_span(&w->content));
    jw_close(b, ']');
    write_stop(w, d, b);
    write_usage(w, d, b);
    jw_close(b, '}');
    return buf_ok(b) && buf_ok(&w->content);
}

bool anthropic_writer_end(struct writer *writer, const struct draft *d, struct buf *terminal)
{
    struct anthropic_writer *w = (struct anthropic_writer *)writer;

    start(w);
    if (!drain(w, true))
        return false;
    close_block(w);
    return w->stream ? end_stream(w, d, terminal) : end_whole(w, d);
}
