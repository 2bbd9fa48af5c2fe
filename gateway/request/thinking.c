/* thinking.c - a hash table of entries that also stand in a list by age. See thinking.h. */
#include "gateway/request/thinking.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/buf.h"

#define BUCKETS 4096u

/* An opaque text of the entry: a place in its bytes. */
struct mark {
    int call;                  /* -1: of the reasoning */
    enum family family;
    bool redacted;
    size_t at, n;
    size_t text_end;           /* of the reasoning: it signs what stands between the mark before it and here */
};

struct entry {
    struct entry *next;                /* of its bucket */
    struct entry *older, *newer;
    uint64_t hash;
    int64_t at_ms;
    size_t size;                       /* of all of it */
    size_t n_key, n_text;              /* bytes: "owner \0 call id", then the reasoning, then the opaque texts */
    enum family family;                /* of the model that reasoned */
    struct mark marks[DRAFT_OPAQUES_MAX];
    size_t n_marks;
    char bytes[];
};

struct thinking {
    pthread_mutex_t lock;
    size_t max_bytes, bytes;
    struct entry *oldest, *newest;
    struct entry *buckets[BUCKETS];
};

struct thinking *thinking_new(size_t max_bytes)
{
    struct thinking *t = calloc(1, sizeof *t);

    if (!t)
        return NULL;
    pthread_mutex_init(&t->lock, NULL);
    t->max_bytes = max_bytes;
    return t;
}

static void drop(struct thinking *t, struct entry *e)
{
    struct entry **at = &t->buckets[e->hash % BUCKETS];

    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    *(e->older ? &e->older->newer : &t->oldest) = e->newer;
    *(e->newer ? &e->newer->older : &t->newest) = e->older;
    t->bytes -= e->size;
    free(e);
}

void thinking_free(struct thinking *t)
{
    if (!t)
        return;
    while (t->oldest)
        drop(t, t->oldest);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

static uint64_t hash_of(struct span owner, struct span id)
{
    uint64_t h = 14695981039346656037u;    /* FNV-1a */

    for (size_t i = 0; i < owner.n; i++)
        h = (h ^ (unsigned char)owner.p[i]) * 1099511628211u;
    h *= 1099511628211u;
    for (size_t i = 0; i < id.n; i++)
        h = (h ^ (unsigned char)id.p[i]) * 1099511628211u;
    return h;
}

static struct entry *find(const struct thinking *t, struct span owner, struct span id)
{
    const uint64_t h = hash_of(owner, id);

    for (struct entry *e = t->buckets[h % BUCKETS]; e; e = e->next)
        if (e->hash == h && e->n_key == owner.n + 1 + id.n && memcmp(e->bytes, owner.p, owner.n) == 0 &&
            memcmp(e->bytes + owner.n + 1, id.p, id.n) == 0)
            return e;
    return NULL;
}

static struct entry *make(struct span owner, const struct draft *d, enum family family)
{
    const struct span id = buf_span(&d->calls[0].id);
    const size_t n_key = owner.n + 1 + id.n;
    size_t n = n_key + d->reasoning.n, at;
    struct entry *e;

    for (size_t i = 0; i < d->n_opaques; i++)
        n += d->opaques[i].raw.n;
    if (n > THINKING_ENTRY_MAX || n == n_key)
        return NULL;
    e = calloc(1, sizeof *e + n);
    if (!e)
        return NULL;
    e->size = sizeof *e + n;
    e->hash = hash_of(owner, id);
    e->family = family;
    e->n_key = n_key;
    e->n_text = d->reasoning.n;
    memcpy(e->bytes, owner.p ? owner.p : "", owner.n);
    memcpy(e->bytes + owner.n + 1, id.p, id.n);
    if (d->reasoning.n)
        memcpy(e->bytes + n_key, d->reasoning.p, d->reasoning.n);
    at = n_key + d->reasoning.n;
    for (size_t i = 0; i < d->n_opaques; i++) {
        const struct draft_opaque *o = &d->opaques[i];

        memcpy(e->bytes + at, o->raw.p, o->raw.n);
        e->marks[e->n_marks++] = (struct mark){ o->call, o->family, o->redacted, at, o->raw.n, o->text_end };
        at += o->raw.n;
    }
    return e;
}

static void add(struct thinking *t, struct entry *e)
{
    struct entry **bucket = &t->buckets[e->hash % BUCKETS];

    e->next = *bucket;
    *bucket = e;
    e->older = t->newest;
    *(t->newest ? &t->newest->newer : &t->oldest) = e;
    t->newest = e;
    t->bytes += e->size;
}

void thinking_keep(struct thinking *t, struct span owner, const struct draft *d, enum family family, int64_t now_ms)
{
    struct entry *e, *had;

    if (!t || d->n_calls == 0 || d->calls[0].id.n == 0)
        return;
    e = make(owner, d, family);
    if (!e)
        return;
    e->at_ms = now_ms;
    pthread_mutex_lock(&t->lock);
    had = find(t, owner, buf_span(&d->calls[0].id));
    if (had)
        drop(t, had);
    while (t->oldest && (t->bytes + e->size > t->max_bytes || now_ms - t->oldest->at_ms > THINKING_LIFE_MS))
        drop(t, t->oldest);
    add(t, e);
    pthread_mutex_unlock(&t->lock);
}

/* ---- putting it back ---- */

static struct chat_item *first_call(struct chat_turn *turn)
{
    struct chat_item *i = turn->items;

    while (i && i->kind != ITEM_CALL)
        i = i->next;
    return i;
}

/* Reasoning that comes back without what signs it (a dialect shows the text and has no place for the rest) is not enough. */
static bool brought_its_own(const struct chat_turn *turn)
{
    for (const struct chat_item *i = turn->items; i; i = i->next)
        if (i->opaque_raw.n)
            return true;
    return false;
}

/* What came back of it without a signature: the whole is put in its place. */
static void drop_reasoning(struct chat_turn *turn)
{
    struct chat_item **at = &turn->items;

    turn->last = NULL;
    while (*at) {
        if ((*at)->kind == ITEM_REASONING) {
            *at = (*at)->next;
            continue;
        }
        turn->last = *at;
        at = &(*at)->next;
    }
}

/* Puts a block of reasoning where `*at` points, and goes on behind it. */
static bool put(struct chat_turn *turn, struct arena *arena, struct chat_item ***at, const struct chat_item *block)
{
    struct chat_item *item = ARENA_NEW(arena, struct chat_item);

    if (!item)
        return false;
    *item = *block;
    item->kind = ITEM_REASONING;
    item->next = **at;
    **at = item;
    *at = &item->next;
    if (!item->next)
        turn->last = item;
    return true;
}

static void sign_call(struct chat_turn *turn, int call, struct span opaque, enum family family)
{
    struct chat_item *i = turn->items;

    for (; i; i = i->next)
        if (i->kind == ITEM_CALL && call-- == 0)
            break;
    if (i) {
        i->opaque_raw = opaque;
        i->family = family;
    }
}

/* The reasoning goes to the front of the turn, block by block as it came, each with its signature; a signature of a call goes
 * to its call. */
static bool put_back(const struct entry *e, struct chat_turn *turn, struct arena *arena)
{
    const struct span text = arena_copy(arena, (struct span){ e->bytes + e->n_key, e->n_text });
    struct chat_item **front = &turn->items;
    size_t from = 0;

    drop_reasoning(turn);
    if (!text.p)
        return false;
    for (size_t i = 0; i < e->n_marks; i++) {
        const struct mark *m = &e->marks[i];
        const struct span opaque = arena_copy(arena, (struct span){ e->bytes + m->at, m->n });
        struct chat_item block = { .opaque_raw = opaque, .family = m->family, .redacted = m->redacted };

        if (!opaque.p)
            return false;
        if (m->call >= 0) {
            sign_call(turn, m->call, opaque, m->family);
            continue;
        }
        if (!m->redacted) {
            block.text = span_first(span_skip(text, from), m->text_end - from);
            from = m->text_end;
        }
        if (!put(turn, arena, &front, &block))
            return false;
    }
    if (from == text.n)
        return true;
    return put(turn, arena, &front, &(struct chat_item){ .text = span_skip(text, from), .family = e->family });
}

bool thinking_restore(struct thinking *t, struct span owner, struct chat *chat, struct arena *arena, int64_t now_ms)
{
    bool ok = true;

    for (struct chat_turn *turn = chat->turns; t && turn && ok; turn = turn->next) {
        const struct chat_item *call = turn->role == ROLE_ASSISTANT ? first_call(turn) : NULL;
        const struct entry *e;

        if (!call || brought_its_own(turn))
            continue;
        pthread_mutex_lock(&t->lock);
        e = find(t, owner, call->call.id);
        if (e && now_ms - e->at_ms <= THINKING_LIFE_MS)
            ok = put_back(e, turn, arena);
        pthread_mutex_unlock(&t->lock);
    }
    return ok;
}
