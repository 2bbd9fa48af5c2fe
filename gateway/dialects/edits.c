/* edits.c - see edits.h. */
#include "gateway/dialects/edits.h"

static bool grow(struct edits *e)
{
    const size_t room = e->list ? 2 * e->room : EDITS_FEW;
    struct edit *more = !e->list ? e->few : e->arena ? ARENA_ARRAY(e->arena, struct edit, room) : NULL;

    if (!more)
        return false;
    if (e->n)
        memcpy(more, e->list, e->n * sizeof *more);
    e->list = more;
    e->room = room;
    return true;
}

/* Kept in order of place. */
static void add(struct edits *e, size_t at, size_t cut, struct span put)
{
    size_t i = e->n;

    if (e->failed || (e->n == e->room && !grow(e))) {
        e->failed = true;
        return;
    }
    e->n++;
    for (; i > 0 && e->list[i - 1].at > at; i--)
        e->list[i] = e->list[i - 1];
    e->list[i] = (struct edit){ at, cut, put };
}

void edits_replace(struct edits *e, struct span value, struct span put)
{
    add(e, (size_t)(value.p - e->body.p), value.n, put);
}

void edits_insert(struct edits *e, size_t at, struct span put)
{
    add(e, at, 0, put);
}

bool edits_replace_string(struct edits *e, struct arena *arena, struct span value, struct span text)
{
    struct buf quoted;
    struct span put;

    buf_init(&quoted, 65536);
    buf_add_json(&quoted, text);
    put = buf_ok(&quoted) ? arena_copy(arena, buf_span(&quoted)) : SPAN_NONE;
    buf_free(&quoted);
    if (!put.p)
        return false;
    edits_replace(e, value, put);
    return true;
}

bool edits_replace_int(struct edits *e, struct arena *arena, struct span value, int64_t n)
{
    const struct span put = arena_printf(arena, "%lld", (long long)n);

    if (!put.p)
        return false;
    edits_replace(e, value, put);
    return true;
}

size_t edits_end(struct span body)
{
    size_t at = body.n;

    while (at > 0 && body.p[at - 1] != '}')
        at--;
    return at ? at - 1 : 0;
}

bool edits_pieces(const struct edits *e, struct request_out *out)
{
    size_t from = 0;

    out->n_pieces = 0;
    out->pieces = e->failed ? NULL : ARENA_ARRAY(out->arena, struct span, 2 * e->n + 1);
    if (!out->pieces)
        return fault_set(out->fault, 503, "server_error", "overloaded", NULL, "The gateway is short of memory.");
    for (size_t i = 0; i < e->n; i++) {
        if (e->list[i].at > from)
            out->pieces[out->n_pieces++] = (struct span){ e->body.p + from, e->list[i].at - from };
        if (e->list[i].put.n)
            out->pieces[out->n_pieces++] = e->list[i].put;
        from = e->list[i].at + e->list[i].cut;
    }
    if (from < e->body.n)
        out->pieces[out->n_pieces++] = (struct span){ e->body.p + from, e->body.n - from };
    return true;
}
