/* memory.c - a hash table of entries that also stand in a list by age. See memory.h. */
#include "gateway/request/memory.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/buf.h"

#define BUCKETS 16384u

/* Ids of calls are chosen by providers: one that looks like an item's id must not find the item. */
enum kind { KIND_THINKING, KIND_ITEM };

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
    int64_t at_ms;                     /* kept, or last asked for */
    size_t size;                       /* of all of it */
    enum kind kind;
    enum family family;                /* THINKING: of the model that reasoned */
    size_t n_key, n_text;              /* bytes: "owner \0 id"; then the reasoning, or the item; then the opaque texts */
    char *bytes;                       /* these two behind the entry, in one piece with it */
    size_t n_marks;
    struct mark marks[];
};

struct memory {
    pthread_mutex_t lock;
    size_t max_bytes, bytes;
    struct entry *oldest, *newest;
    struct entry *buckets[BUCKETS];
};

struct memory *memory_new(size_t max_bytes)
{
    struct memory *m = calloc(1, sizeof *m);

    if (!m)
        return NULL;
    pthread_mutex_init(&m->lock, NULL);
    m->max_bytes = max_bytes;
    return m;
}

/* ---- the table ---- */

static void leave_list(struct memory *m, struct entry *e)
{
    *(e->older ? &e->older->newer : &m->oldest) = e->newer;
    *(e->newer ? &e->newer->older : &m->newest) = e->older;
}

static void join_list(struct memory *m, struct entry *e, int64_t now_ms)
{
    e->at_ms = now_ms;
    e->newer = NULL;
    e->older = m->newest;
    *(m->newest ? &m->newest->newer : &m->oldest) = e;
    m->newest = e;
}

static void drop(struct memory *m, struct entry *e)
{
    struct entry **at = &m->buckets[e->hash % BUCKETS];

    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    leave_list(m, e);
    m->bytes -= e->size;
    free(e);
}

void memory_free(struct memory *m)
{
    if (!m)
        return;
    while (m->oldest)
        drop(m, m->oldest);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

static uint64_t hash_of(enum kind kind, struct span owner, struct span id)
{
    uint64_t h = 14695981039346656037u;    /* FNV-1a */

    for (size_t i = 0; i < owner.n; i++)
        h = (h ^ (unsigned char)owner.p[i]) * 1099511628211u;
    h = (h ^ (uint64_t)kind) * 1099511628211u;
    for (size_t i = 0; i < id.n; i++)
        h = (h ^ (unsigned char)id.p[i]) * 1099511628211u;
    return h;
}

static bool is_key(const struct entry *e, struct span owner, struct span id)
{
    return e->n_key == owner.n + 1 + id.n && memcmp(e->bytes, owner.p, owner.n) == 0 &&
           memcmp(e->bytes + owner.n + 1, id.p, id.n) == 0;
}

static struct entry *find(const struct memory *m, enum kind kind, struct span owner, struct span id)
{
    const uint64_t h = hash_of(kind, owner, id);

    for (struct entry *e = m->buckets[h % BUCKETS]; e; e = e->next)
        if (e->hash == h && e->kind == kind && is_key(e, owner, id))
            return e;
    return NULL;
}

/* What is asked for lives on. NULL: not known, or no longer. */
static struct entry *recall(struct memory *m, enum kind kind, struct span owner, struct span id, int64_t now_ms)
{
    struct entry *e = find(m, kind, owner, id);

    if (!e || now_ms - e->at_ms > MEMORY_LIFE_MS)
        return NULL;
    leave_list(m, e);
    join_list(m, e, now_ms);
    return e;
}

/* With its key, and room for `n` bytes behind it, of which `n_text` are its text. NULL: nothing to keep, too much, no memory. */
static struct entry *make(enum kind kind, struct span owner, struct span id, size_t n_text, size_t n, size_t n_marks)
{
    const size_t n_key = owner.n + 1 + id.n, size = sizeof(struct entry) + n_marks * sizeof(struct mark) + n_key + n;
    struct entry *e = n == 0 || n > MEMORY_ENTRY_MAX - n_key || n_key > MEMORY_ENTRY_MAX ? NULL : calloc(1, size);

    if (!e)
        return NULL;
    e->size = size;
    e->hash = hash_of(kind, owner, id);
    e->kind = kind;
    e->n_key = n_key;
    e->n_text = n_text;
    e->bytes = (char *)(e->marks + n_marks);
    memcpy(e->bytes, owner.p ? owner.p : "", owner.n);
    memcpy(e->bytes + owner.n + 1, id.p, id.n);
    return e;
}

/* In the place of what had its key. */
static void add(struct memory *m, struct entry *e, int64_t now_ms)
{
    const struct span key = { e->bytes, e->n_key };
    const struct span owner = span_first(key, span_find(key, '\0'));
    struct entry **bucket = &m->buckets[e->hash % BUCKETS], *had;

    pthread_mutex_lock(&m->lock);
    had = find(m, e->kind, owner, span_skip(key, owner.n + 1));
    if (had)
        drop(m, had);
    while (m->oldest && (m->bytes + e->size > m->max_bytes || now_ms - m->oldest->at_ms > MEMORY_LIFE_MS))
        drop(m, m->oldest);
    e->next = *bucket;
    *bucket = e;
    join_list(m, e, now_ms);
    m->bytes += e->size;
    pthread_mutex_unlock(&m->lock);
}

/* ---- items ---- */

void memory_keep_item(struct memory *m, struct span owner, struct span id, struct span json, int64_t now_ms)
{
    struct entry *e = m ? make(KIND_ITEM, owner, id, json.n, json.n, 0) : NULL;

    if (!e)
        return;
    memcpy(e->bytes + e->n_key, json.p, json.n);
    add(m, e, now_ms);
}

bool memory_find_item(struct memory *m, struct span owner, struct span id, struct arena *arena, int64_t now_ms,
                      struct span *json)
{
    const struct entry *e;

    *json = SPAN_NONE;
    if (!m)
        return true;
    pthread_mutex_lock(&m->lock);
    e = recall(m, KIND_ITEM, owner, id, now_ms);
    if (e)
        *json = arena_copy(arena, (struct span){ e->bytes + e->n_key, e->n_text });
    pthread_mutex_unlock(&m->lock);
    return !e || json->p;
}

/* ---- reasoning: keeping it ---- */

void memory_keep_thinking(struct memory *m, struct span owner, const struct draft *d, enum family family, int64_t now_ms)
{
    size_t n = d->reasoning.n, at;
    struct entry *e;

    if (!m || d->n_calls == 0 || d->calls[0].id.n == 0)
        return;
    for (size_t i = 0; i < d->n_opaques; i++)
        n += d->opaques[i].raw.n;
    e = make(KIND_THINKING, owner, buf_span(&d->calls[0].id), d->reasoning.n, n, d->n_opaques);
    if (!e)
        return;
    e->family = family;
    at = e->n_key;
    if (d->reasoning.n)
        memcpy(e->bytes + at, d->reasoning.p, d->reasoning.n);
    at += d->reasoning.n;
    for (size_t i = 0; i < d->n_opaques; i++) {
        const struct draft_opaque *o = &d->opaques[i];

        memcpy(e->bytes + at, o->raw.p, o->raw.n);
        e->marks[e->n_marks++] = (struct mark){ o->call, o->family, o->redacted, at, o->raw.n, o->text_end };
        at += o->raw.n;
    }
    add(m, e, now_ms);
}

/* ---- reasoning: putting it back ---- */

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

bool memory_restore_thinking(struct memory *m, struct span owner, struct chat *chat, struct arena *arena, int64_t now_ms)
{
    bool ok = true;

    for (struct chat_turn *turn = chat->turns; m && turn && ok; turn = turn->next) {
        const struct chat_item *call = turn->role == ROLE_ASSISTANT ? first_call(turn) : NULL;
        const struct entry *e;

        if (!call || brought_its_own(turn))
            continue;
        pthread_mutex_lock(&m->lock);
        e = recall(m, KIND_THINKING, owner, call->call.id, now_ms);
        if (e)
            ok = put_back(e, turn, arena);
        pthread_mutex_unlock(&m->lock);
    }
    return ok;
}
