/* draft.c - gathers an answer and hands its pieces on. Reads no wire format: the dialects' readers call it. */
#include "gateway/dialects/draft.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/jscan.h"
#include "base/jwrite.h"
#include "gateway/dialects/dialect.h"

void draft_init(struct draft *d)
{
    *d = (struct draft){ .keep_text = true, .error_retry_ms = -1 };
    buf_init(&d->text, DRAFT_BYTES_MAX);
    buf_init(&d->refusal, 65536);
    buf_init(&d->reasoning, DRAFT_BYTES_MAX);
    buf_init(&d->stop_raw, 65536);
}

static void forget(struct draft_call *c)
{
    buf_free(&c->name);
    buf_free(&c->id);
    buf_free(&c->arguments);
    buf_free(&c->waiting);
    unwrap_free(&c->unwrap);
}

void draft_free(struct draft *d)
{
    buf_free(&d->text);
    buf_free(&d->refusal);
    buf_free(&d->reasoning);
    buf_free(&d->stop_raw);
    for (size_t i = 0; i < d->n_calls; i++)
        forget(&d->calls[i]);
    for (size_t i = 0; i < d->n_opaques; i++)
        buf_free(&d->opaques[i].raw);
    free(d->calls);
    free(d->view_calls);
    free(d->reader_block);
    draft_init(d);
}

static bool fail(struct draft *d)
{
    d->failed = true;
    return false;
}

static bool hand_on(struct draft *d, const struct piece *p)
{
    if (!d->writer || d->writer->dialect->writer_piece(d->writer, p))
        return true;
    return fail(d);
}

/* ---- texts ---- */

/* Unescapes a raw string behind what `b` holds. */
static bool add_text(struct buf *b, struct span raw)
{
    char small[1024];
    char *p = raw.n <= sizeof small ? small : malloc(raw.n);
    bool ok;

    if (!p)
        return false;
    ok = buf_add(b, p, jraw_unescape(raw, p));
    if (p != small)
        free(p);
    return ok;
}

static int64_t count_chars(struct span text)
{
    int64_t n = 0;

    for (size_t i = 0; i < text.n; i++)
        n += ((unsigned char)text.p[i] & 0xC0) != 0x80;
    return n;
}

static bool gather_text(struct draft *d, struct span raw)
{
    const size_t before = d->text.n;

    if (!add_text(&d->text, raw))
        return false;
    d->chars += count_chars(span_skip(buf_span(&d->text), before));
    if (!d->keep_text && d->text.room > 65536)
        buf_free(&d->text);    /* of one long answer: not to be kept until its reader is done */
    else if (!d->keep_text)
        buf_clear(&d->text);
    return true;
}

bool draft_text(struct draft *d, unsigned choice, enum piece_kind kind, struct span raw)
{
    const struct piece p = { .kind = kind, .choice = choice, .call = -1, .raw = raw };
    bool ok = true;

    if (raw.n == 0)
        return true;
    d->has_piece = true;
    d->generated_bytes += (int64_t)raw.n;
    if (choice == 0 && kind == PIECE_TEXT)
        ok = gather_text(d, raw);
    else if (choice == 0 && kind == PIECE_REFUSAL)
        ok = add_text(&d->refusal, raw);
    else if (choice == 0 && kind == PIECE_REASONING && d->keep_reasoning)
        ok = buf_add_span(&d->reasoning, raw);
    return ok ? hand_on(d, &p) : fail(d);
}

/* ---- tool calls ---- */

static struct draft_call *call_at(struct draft *d, unsigned call)
{
    if (call >= DRAFT_CALLS_MAX)
        return NULL;
    if (call >= d->room_calls) {
        const size_t room = (size_t)call + 8;
        struct draft_call *more = realloc(d->calls, room * sizeof *more);

        if (!more)
            return NULL;
        d->calls = more;
        d->room_calls = room;
    }
    for (; d->n_calls <= call; d->n_calls++) {
        struct draft_call *c = &d->calls[d->n_calls];

        *c = (struct draft_call){ .begun = false };
        buf_init(&c->name, 1024);
        buf_init(&c->id, 4096);
        buf_init(&c->arguments, DRAFT_BYTES_MAX);
        buf_init(&c->waiting, DRAFT_BYTES_MAX);
    }
    return &d->calls[call];
}

/* More calls than there may be are the answer's fault, not that of our memory. */
static bool no_call(struct draft *d, unsigned call)
{
    return call < DRAFT_CALLS_MAX && fail(d);
}

static bool arguments_on(struct draft *d, unsigned choice, unsigned call, struct span raw, bool custom)
{
    const struct piece p = { .kind = PIECE_ARGUMENTS, .choice = choice, .call = (int)call, .raw = raw, .custom = custom };

    return raw.n == 0 || hand_on(d, &p);
}

/* A custom tool's text is within the arguments of the function that stands for it. */
static bool unwrap_on(struct draft *d, unsigned choice, unsigned call, struct draft_call *c, struct span raw)
{
    struct buf text;
    bool ok;

    buf_init(&text, DRAFT_BYTES_MAX);
    ok = unwrap_feed(&c->unwrap, raw, &text) && add_text(&c->arguments, buf_span(&text)) &&
         arguments_on(d, choice, call, buf_span(&text), true);
    buf_free(&text);
    return ok || fail(d);
}

/* A host that sends no id (old Gemini, some compatible ones) gets one: the caller needs it to answer. It is of the request, which
 * the host's own answer may not be: the calls of two turns must not have one id between them. */
static bool invent_id(const struct draft *d, unsigned call, struct buf *id)
{
    const struct span request = d->writer ? d->writer->info.id : SPAN_NONE;

    return request.n ? buf_printf(id, "call_%.*s_%u", SPAN_FMT(request), call) : buf_printf(id, "call_%s%u", d->id, call);
}

/* The caller learns of a call when its name is known. */
static bool begin(struct draft *d, unsigned choice, unsigned call, struct draft_call *c)
{
    struct piece p = { .kind = PIECE_CALL, .choice = choice, .call = (int)call, .custom = c->custom };

    if (c->id.n == 0 && !invent_id(d, call, &c->id))
        return fail(d);
    c->begun = true;
    p.id = buf_span(&c->id);
    p.name = buf_span(&c->name);
    if (!hand_on(d, &p))
        return false;
    if (c->wrapped)
        buf_clear(&c->arguments);    /* gathered before it was known to be one */
    if (c->wrapped ? !unwrap_on(d, choice, call, c, buf_span(&c->waiting))
                   : !arguments_on(d, choice, call, buf_span(&c->waiting), c->custom))
        return false;
    buf_free(&c->waiting);
    return true;
}

static bool keep_name(struct draft *d, struct draft_call *c, struct span name_raw)
{
    struct span name;

    if (c->name.n || name_raw.n == 0)
        return true;
    if (!add_text(&c->name, name_raw))
        return fail(d);
    c->wrapped = names_wrapped(d->names, buf_span(&c->name));
    c->custom |= c->wrapped;
    name = names_back(d->names, buf_span(&c->name));
    if (name.p == c->name.p)
        return true;
    buf_clear(&c->name);
    return buf_add_span(&c->name, name) || fail(d);
}

bool draft_call(struct draft *d, unsigned choice, unsigned call, struct span id_raw, struct span name_raw, bool custom)
{
    struct draft_call *c;

    d->has_piece = true;
    if (choice != 0)
        return true;    /* `n` with tools: only the first choice's calls are translated */
    if (d->one_call && call > 0)
        return true;
    c = call_at(d, call);
    if (!c)
        return no_call(d, call);
    c->custom |= custom;
    d->generated_bytes += (int64_t)(c->begun ? 0 : id_raw.n + name_raw.n);
    if (c->id.n == 0 && id_raw.n && !add_text(&c->id, id_raw))
        return fail(d);
    if (!keep_name(d, c, name_raw))
        return false;
    if (c->begun || c->name.n == 0)
        return true;
    /* An id may still follow its name, but hosts that send one send it first or together. */
    return begin(d, choice, call, c);
}

bool draft_arguments(struct draft *d, unsigned choice, unsigned call, struct span raw)
{
    struct draft_call *c;

    d->generated_bytes += (int64_t)raw.n;
    if (choice != 0 || (d->one_call && call > 0) || raw.n == 0)
        return true;
    c = call_at(d, call);
    if (!c)
        return no_call(d, call);
    if (c->begun && c->wrapped)
        return unwrap_on(d, choice, call, c, raw);
    if (!add_text(&c->arguments, raw))
        return fail(d);
    if (!c->begun)
        return buf_add_span(&c->waiting, raw) || fail(d);
    return arguments_on(d, choice, call, raw, c->custom);
}

bool draft_arguments_json(struct draft *d, unsigned choice, unsigned call, struct span json)
{
    struct buf raw;
    bool ok;

    if (!json.p)
        return true;
    buf_init(&raw, DRAFT_BYTES_MAX);
    jw_escaped(&raw, json);
    ok = buf_ok(&raw) && draft_arguments(d, choice, call, buf_span(&raw));
    buf_free(&raw);
    return ok || fail(d);
}

/* ---- the rest of an answer ---- */

bool draft_signature(struct draft *d, unsigned choice, int call, struct span raw, enum family family, bool redacted)
{
    const struct piece p = { .kind = redacted ? PIECE_REDACTED : PIECE_SIGNATURE, .choice = choice, .call = call, .raw = raw,
                             .family = family };

    if (raw.n == 0)
        return true;
    if (choice == 0 && d->keep_reasoning && d->n_opaques < DRAFT_OPAQUES_MAX) {
        struct draft_opaque *o = &d->opaques[d->n_opaques++];

        *o = (struct draft_opaque){ .call = call, .family = family, .redacted = redacted, .text_end = d->reasoning.n };
        buf_init(&o->raw, 1u << 20);
        if (!buf_add_span(&o->raw, raw))
            return fail(d);
    }
    return hand_on(d, &p);
}

bool draft_citation(struct draft *d, unsigned choice, struct span url_raw, struct span title_raw, int64_t from, int64_t to)
{
    const struct piece p = { .kind = PIECE_CITATION, .choice = choice, .call = -1, .raw = url_raw, .title_raw = title_raw,
                             .from = from, .to = to };

    return hand_on(d, &p);
}

bool draft_logprobs(struct draft *d, unsigned choice, struct span json)
{
    const struct piece p = { .kind = PIECE_LOGPROBS, .choice = choice, .call = -1, .json = json };

    return !json.p || hand_on(d, &p);
}

void draft_finish(struct draft *d, unsigned choice, enum finish finish, struct span stop_raw)
{
    if (choice != 0 || finish == FINISH_NONE)
        return;
    d->finish = finish;
    if (stop_raw.n) {
        buf_clear(&d->stop_raw);
        buf_add_span(&d->stop_raw, stop_raw);
    }
}

void draft_usage(struct draft *d, const struct usage *u, bool mended)
{
    d->usage = *u;
    d->usage_mended = usage_mend(&d->usage) || mended;
    d->has_usage = true;
}

void draft_copy(char *out, size_t room, struct span value)
{
    struct buf b;

    buf_init(&b, 1u << 20);
    if (jval_type(value) == JTYPE_STRING && add_text(&b, jval_raw(value)))
        snprintf(out, room, "%.*s", SPAN_FMT(buf_span(&b)));
    else if (jval_type(value) == JTYPE_NUMBER)
        snprintf(out, room, "%.*s", SPAN_FMT(value));
    buf_free(&b);
}

void draft_error(struct draft *d, struct span type, struct span code, struct span param, struct span message)
{
    d->has_error = true;
    draft_copy(d->error_type, sizeof d->error_type, type);
    draft_copy(d->error_code, sizeof d->error_code, code);
    draft_copy(d->error_param, sizeof d->error_param, param);
    draft_copy(d->error_message, sizeof d->error_message, message);
}

void draft_forget_error(struct draft *d)
{
    d->has_error = false;
    d->error_type[0] = d->error_code[0] = d->error_param[0] = d->error_message[0] = '\0';
    d->error_retry_ms = -1;
}

struct answer draft_view(struct draft *d)
{
    struct answer v = { .text = buf_span(&d->text), .finish = d->finish,
                        .output_tokens = d->has_usage ? d->usage.output : 0 };

    if (d->refusal.n)
        v.refusal = buf_span(&d->refusal);
    if (d->n_calls == 0)
        return v;
    free(d->view_calls);
    d->view_calls = calloc(d->n_calls, sizeof *d->view_calls);
    for (size_t i = 0; d->view_calls && i < d->n_calls; i++)
        d->view_calls[i] = (struct answer_tool){ buf_span(&d->calls[i].name), buf_span(&d->calls[i].arguments),
                                                 d->calls[i].custom };
    v.tools = d->view_calls;
    v.n_tools = d->view_calls ? d->n_calls : 0;
    return v;
}
