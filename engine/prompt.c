/* prompt.c - the chat format, messages to ids, as the release's encoder renders them.
 *
 * Text between two markers is gathered first and encoded as one run, since splitting and merging look across the
 * seams of what was joined. Refuses tools and developer messages: the server maps or rejects them. */
#include "engine/prompt.h"

#include "base/buf.h"

#define RUN_BYTES_MAX (64u << 20)

struct render {
    const struct tokenizer *t;
    const struct prompt_markers *m;
    struct buf run;               /* text since the last marker */
    struct ids *out;
    enum tokenizer_rc rc;         /* the first failure; then nothing more is written */
};

bool prompt_markers_find(const struct tokenizer *t, struct prompt_markers *m, struct problems *ps)
{
    const struct { int32_t *id; const char *text; } wanted[] = {
        { &m->bos, "<｜begin▁of▁sentence｜>" }, { &m->eos, "<｜end▁of▁sentence｜>" },
        { &m->user, "<｜User｜>" },             { &m->assistant, "<｜Assistant｜>" },
        { &m->think, "<think>" },               { &m->think_end, "</think>" },
    };

    m->reminder = tokenizer_added(t, "<｜latest_reminder｜>");
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        *wanted[i].id = tokenizer_added(t, wanted[i].text);
        if (*wanted[i].id < 0) {
            problem_error(ps, "/added_tokens", "has no \"%s\", which the chat format needs", wanted[i].text);
            return false;
        }
    }
    return true;
}

static void render_text(struct render *r, struct span text)
{
    buf_add_span(&r->run, text);
}

static void render_flush(struct render *r)
{
    if (r->rc == TOKENIZER_OK && !buf_ok(&r->run))
        r->rc = TOKENIZER_MEMORY;
    if (r->rc == TOKENIZER_OK)
        r->rc = tokenizer_encode(r->t, buf_span(&r->run), false, r->out);
    buf_clear(&r->run);
}

static void render_marker(struct render *r, int32_t id)
{
    render_flush(r);
    if (r->rc == TOKENIZER_OK && !ids_add(r->out, id))
        r->rc = r->out->n >= r->out->cap ? TOKENIZER_FULL : TOKENIZER_MEMORY;
}

/* The assistant's turn is opened by the turn before it. */
static void render_open_answer(struct render *r, bool thinks)
{
    render_marker(r, r->m->assistant);
    render_marker(r, thinks ? r->m->think : r->m->think_end);
}

static enum prompt_role role_of(const struct render *r, const struct prompt_message *msg)
{
    return msg->role == PROMPT_REMINDER && r->m->reminder < 0 ? PROMPT_USER : msg->role;
}

static void render_assistant(struct render *r, const struct prompt_message *msg, bool thinks)
{
    if (thinks) {
        render_text(r, msg->reasoning);
        render_marker(r, r->m->think_end);
    }
    render_text(r, msg->content);
    if (!msg->unfinished)
        render_marker(r, r->m->eos);
}

/* One message; `joins`: it follows another of the user, so both are one turn. */
static void render_message(struct render *r, const struct prompt_message *msg, bool joins, bool thinks)
{
    switch (role_of(r, msg)) {
    case PROMPT_SYSTEM:
        render_text(r, msg->content);
        break;
    case PROMPT_USER:
        if (joins)
            render_text(r, SPAN_LIT("\n\n"));
        else
            render_marker(r, r->m->user);
        render_text(r, msg->content);
        break;
    case PROMPT_REMINDER:
        render_marker(r, r->m->reminder);
        render_text(r, msg->content);
        break;
    case PROMPT_ASSISTANT:
        render_assistant(r, msg, thinks);
        break;
    }
}

enum tokenizer_rc prompt_encode(const struct tokenizer *t, const struct prompt_markers *m,
                                const struct prompt_message *messages, size_t n, enum prompt_mode mode,
                                bool drop_thinking, struct ids *out)
{
    struct render r = { .t = t, .m = m, .out = out, .rc = TOKENIZER_OK };
    size_t last_user = 0;    /* [u]; without a user message every turn counts as after it */

    buf_init(&r.run, RUN_BYTES_MAX);
    for (size_t i = 0; i < n; i++)
        if (role_of(&r, &messages[i]) == PROMPT_USER)
            last_user = i;
    render_marker(&r, m->bos);
    for (size_t i = 0; i < n; i++) {
        const enum prompt_role role = role_of(&r, &messages[i]);
        const bool is_last = i + 1 == n;
        const enum prompt_role next = is_last ? PROMPT_ASSISTANT : role_of(&r, &messages[i + 1]);
        const bool thinks = mode == PROMPT_THINKING && (!drop_thinking || i >= last_user);

        render_message(&r, &messages[i], i > 0 && role == PROMPT_USER &&
                       role_of(&r, &messages[i - 1]) == PROMPT_USER, thinks);
        if ((role == PROMPT_USER && (next == PROMPT_ASSISTANT || next == PROMPT_REMINDER)) ||
            (role == PROMPT_SYSTEM && is_last))
            render_open_answer(&r, thinks);
    }
    render_flush(&r);
    buf_free(&r.run);
    return r.rc;
}
