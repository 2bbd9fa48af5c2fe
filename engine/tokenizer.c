/* tokenizer.c - encoding and decoding, once a file is loaded (tokenizer_file.c).
 *
 * Text goes down four stairs: added tokens (where asked for), three split rules one inside the other, bytes, merges.
 * Refuses to put anything in front of a text or behind it: that is prompt.c's. */
#include "engine/tokenizer.h"

#include <stdlib.h>

#include "engine/tokenizer_private.h"

/* All of one call: nothing of it is kept in the tokenizer, which many threads use. */
struct scratch {
    const struct tokenizer *t;
    pcre2_match_data *match;
    struct ids *out;
    struct symbol *symbols;     /* a doubly linked list over one piece */
    size_t symbols_room;
    uint64_t *heap;             /* rank << 32 | place: lowest rank first, leftmost on ties */
    size_t heap_n, heap_room;
};

struct symbol {
    int32_t id;                 /* -1: merged into its left neighbour */
    int32_t before, after;      /* places, -1 at the ends */
};

void ids_init(struct ids *v, size_t cap)
{
    *v = (struct ids){ .cap = cap };
}

void ids_free(struct ids *v)
{
    free(v->p);
    ids_init(v, v->cap);
}

bool ids_add(struct ids *v, int32_t id)
{
    if (v->n >= v->cap)
        return false;
    if (v->n == v->room) {
        size_t room = v->room ? v->room * 2 : 64;
        int32_t *p = realloc(v->p, room * sizeof *p);

        if (!p)
            return false;
        v->p = p;
        v->room = room;
    }
    v->p[v->n++] = id;
    return true;
}

static bool heap_push(struct scratch *s, uint64_t key)
{
    size_t i = s->heap_n;

    if (i == s->heap_room) {
        size_t room = i ? i * 2 : 64;
        uint64_t *p = realloc(s->heap, room * sizeof *p);

        if (!p)
            return false;
        s->heap = p;
        s->heap_room = room;
    }
    s->heap_n++;
    while (i > 0 && s->heap[(i - 1) / 2] > key) {
        s->heap[i] = s->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    s->heap[i] = key;
    return true;
}

static uint64_t heap_pop(struct scratch *s)
{
    const uint64_t top = s->heap[0], key = s->heap[--s->heap_n];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= s->heap_n)
            break;
        if (child + 1 < s->heap_n && s->heap[child + 1] < s->heap[child])
            child++;
        if (s->heap[child] >= key)
            break;
        s->heap[i] = s->heap[child];
        i = child;
    }
    s->heap[i] = key;
    return top;
}

/* The merge of the symbol at `place` with its right neighbour, NULL when there is none. */
static const struct merge *merge_at(const struct scratch *s, int32_t place)
{
    const int32_t after = s->symbols[place].after;

    return after < 0 ? NULL : tokenizer_merge(s->t, s->symbols[place].id, s->symbols[after].id);
}

static bool merge_offer(struct scratch *s, int32_t place)
{
    const struct merge *m = place < 0 ? NULL : merge_at(s, place);

    return !m || heap_push(s, (uint64_t)m->rank << 32 | (uint32_t)place);
}

/* Bytes to symbols, and the merges that are possible at first. */
static bool piece_begin(struct scratch *s, struct span piece)
{
    const int32_t n = (int32_t)piece.n;

    if (piece.n > s->symbols_room) {
        struct symbol *p = realloc(s->symbols, piece.n * sizeof *p);

        if (!p)
            return false;
        s->symbols = p;
        s->symbols_room = piece.n;
    }
    for (int32_t i = 0; i < n; i++)
        s->symbols[i] = (struct symbol){ s->t->byte_ids[(unsigned char)piece.p[i]], i - 1, i + 1 < n ? i + 1 : -1 };
    s->heap_n = 0;
    for (int32_t i = 0; i < n; i++)
        if (!merge_offer(s, i))
            return false;
    return true;
}

static enum tokenizer_rc piece_encode(struct scratch *s, struct span piece)
{
    if (!piece_begin(s, piece))
        return TOKENIZER_MEMORY;
    while (s->heap_n) {
        const uint64_t key = heap_pop(s);
        const int32_t place = (int32_t)(key & 0xffffffffu);
        struct symbol *left = &s->symbols[place];
        const struct merge *m = left->id < 0 ? NULL : merge_at(s, place);
        int32_t gone;

        if (!m || m->rank != key >> 32)    /* an offer from before a neighbour changed; a rank belongs to one pair */
            continue;
        gone = left->after;
        left->id = m->id;
        left->after = s->symbols[gone].after;
        s->symbols[gone].id = -1;
        if (left->after >= 0)
            s->symbols[left->after].before = place;
        if (!merge_offer(s, place) || !merge_offer(s, left->before))
            return TOKENIZER_MEMORY;
    }
    for (int32_t i = piece.n ? 0 : -1; i >= 0; i = s->symbols[i].after)
        if (!ids_add(s->out, s->symbols[i].id))
            return s->out->n >= s->out->cap ? TOKENIZER_FULL : TOKENIZER_MEMORY;
    return TOKENIZER_OK;
}

/* Rule by rule: matches and the gaps between them are pieces, and the next rule works inside each. A rule sees its
 * piece as a whole text, so that "is there something behind" means behind in this piece. */
static enum tokenizer_rc split_encode(struct scratch *s, struct span text, size_t rule)
{
    size_t at = 0;

    if (rule == TOKENIZER_RULES)
        return piece_encode(s, text);
    while (at < text.n) {
        const int found = pcre2_match(s->t->rules[rule], (PCRE2_SPTR)text.p, text.n, at, PCRE2_NO_UTF_CHECK, s->match,
                                      NULL);
        const size_t *place = pcre2_get_ovector_pointer(s->match);
        const size_t from = found > 0 ? place[0] : text.n, to = found > 0 ? place[1] : text.n;
        enum tokenizer_rc rc = TOKENIZER_OK;

        if (found <= 0 && found != PCRE2_ERROR_NOMATCH)
            return TOKENIZER_MEMORY;
        if (from > at)
            rc = split_encode(s, (struct span){ text.p + at, from - at }, rule + 1);
        if (rc == TOKENIZER_OK && to > from)
            rc = split_encode(s, (struct span){ text.p + from, to - from }, rule + 1);
        if (rc != TOKENIZER_OK)
            return rc;
        at = to;
    }
    return TOKENIZER_OK;
}

/* The longest added token at the start of `text`; -1 when there is none. */
static int32_t added_at(const struct tokenizer *t, struct span text)
{
    if (!t->added_first[(unsigned char)text.p[0]])
        return -1;
    for (size_t i = 0; i < t->n_added; i++)    /* longest first */
        if (span_starts(text, t->texts[t->added[i]]))
            return t->added[i];
    return -1;
}

static enum tokenizer_rc added_encode(struct scratch *s, struct span text)
{
    size_t from = 0, at = 0;

    while (at < text.n) {
        const int32_t id = added_at(s->t, span_skip(text, at));
        enum tokenizer_rc rc;

        if (id < 0) {
            at++;
            continue;
        }
        rc = split_encode(s, (struct span){ text.p + from, at - from }, 0);
        if (rc != TOKENIZER_OK)
            return rc;
        if (!ids_add(s->out, id))
            return s->out->n >= s->out->cap ? TOKENIZER_FULL : TOKENIZER_MEMORY;
        at += s->t->texts[id].n;
        from = at;
    }
    return split_encode(s, span_skip(text, from), 0);
}

/* One match of a rule that cannot hurt checks the encoding of the whole text, so that all later matches need not. */
static enum tokenizer_rc text_check(struct scratch *s, struct span text)
{
    const int rc = pcre2_match(s->t->check, (PCRE2_SPTR)text.p, text.n, 0, 0, s->match, NULL);

    if (rc <= PCRE2_ERROR_UTF8_ERR1 && rc >= PCRE2_ERROR_UTF8_ERR21)
        return TOKENIZER_UTF8;
    return rc < 0 && rc != PCRE2_ERROR_NOMATCH ? TOKENIZER_MEMORY : TOKENIZER_OK;
}

enum tokenizer_rc tokenizer_encode(const struct tokenizer *t, struct span text, bool with_added, struct ids *out)
{
    struct scratch s = { .t = t, .out = out };
    enum tokenizer_rc rc = TOKENIZER_MEMORY;

    if (text.n == 0)
        return TOKENIZER_OK;
    if (text.n > INT32_MAX / 2)
        return TOKENIZER_MEMORY;
    s.match = pcre2_match_data_create(1, NULL);
    if (!s.match)
        return TOKENIZER_MEMORY;
    rc = text_check(&s, text);
    if (rc == TOKENIZER_OK)
        rc = with_added ? added_encode(&s, text) : split_encode(&s, text, 0);
    pcre2_match_data_free(s.match);
    free(s.symbols);
    free(s.heap);
    return rc;
}

struct span tokenizer_bytes(const struct tokenizer *t, int32_t id)
{
    return id < 0 || (size_t)id >= t->size ? SPAN_NONE : t->texts[id];
}

bool tokenizer_is_added(const struct tokenizer *t, int32_t id)
{
    return id >= 0 && (size_t)id < t->size && t->is_added[id];
}

int32_t tokenizer_added(const struct tokenizer *t, const char *text)
{
    for (size_t i = 0; i < t->n_added; i++)
        if (span_is(t->texts[t->added[i]], text))
            return t->added[i];
    return -1;
}

size_t tokenizer_size(const struct tokenizer *t)
{
    return t->size;
}

size_t tokenizer_longest_bytes(const struct tokenizer *t)
{
    return t->longest;
}
