/* tags.c - see tags.h. One table of digests for all keys: of a key (with its count), of its names, of its tags. */
#include "gateway/request/tags.h"

#include <pthread.h>
#include <stdlib.h>

#include "gateway/server/digest.h"

#define DAY_MS INT64_C(86400000)
#define PART_MAX 128             /* of a name or value; longer ones were refused (facts.c) */

struct seen {
    uint64_t digest;             /* 0: free */
    uint32_t n;                  /* of a key: its tags */
};

struct tags {
    pthread_mutex_t lock;
    int64_t day;
    struct seen *table;          /* open addressing, at most half full */
    size_t room, used;           /* room: a power of two */
};

struct tags *tags_new(void)
{
    struct tags *t = calloc(1, sizeof *t);

    if (t)
        pthread_mutex_init(&t->lock, NULL);
    return t;
}

void tags_free(struct tags *t)
{
    if (!t)
        return;
    pthread_mutex_destroy(&t->lock);
    free(t->table);
    free(t);
}

/* A cryptographic one: nobody finds two tags that count as one. The lengths keep the parts apart. */
static uint64_t digest_of(struct span key_id, struct span name, struct span value)
{
    const struct span parts[] = { span_first(key_id, PART_MAX), span_first(name, PART_MAX), span_first(value, PART_MAX) };
    char text[3 * (PART_MAX + 1)];
    uint8_t sum[DIGEST_BYTES];
    uint64_t out;
    size_t n = 0;

    for (size_t i = 0; i < 3; i++) {
        text[n++] = (char)parts[i].n;
        for (size_t k = 0; k < parts[i].n; k++)
            text[n++] = parts[i].p[k];
    }
    digest_sha256((struct span){ text, n }, sum);
    memcpy(&out, sum, sizeof out);
    return out ? out : 1;
}

static struct seen *find(const struct tags *t, uint64_t digest)
{
    size_t i = (size_t)digest & (t->room - 1);

    while (t->table[i].digest && t->table[i].digest != digest)
        i = (i + 1) & (t->room - 1);
    return &t->table[i];
}

static bool grow(struct tags *t)
{
    const struct tags old = *t;

    t->room = old.room ? old.room * 2 : 256;
    t->table = calloc(t->room, sizeof *t->table);
    if (!t->table) {
        *t = old;
        return false;
    }
    for (size_t i = 0; i < old.room; i++)
        if (old.table[i].digest)
            *find(t, old.table[i].digest) = old.table[i];
    free(old.table);
    return true;
}

static bool is_seen(const struct tags *t, uint64_t digest)
{
    return find(t, digest)->digest != 0;
}

static struct seen *add(struct tags *t, uint64_t digest)
{
    struct seen *s = find(t, digest);

    t->used += s->digest == 0;
    s->digest = digest;
    return s;
}

static void new_day(struct tags *t, int64_t day)
{
    free(t->table);
    t->table = NULL;
    t->room = t->used = 0;
    t->day = day;
}

void tags_keep(struct tags *t, struct span key_id, int64_t now_ms, struct span *name, struct span *value)
{
    const struct span none = SPAN_LIT("");
    const uint64_t key = digest_of(key_id, none, none), named = digest_of(key_id, *name, none);
    const uint64_t whole = digest_of(key_id, *name, *value);
    bool known = false, known_name = false;

    pthread_mutex_lock(&t->lock);
    if (t->day != now_ms / DAY_MS)
        new_day(t, now_ms / DAY_MS);
    if (t->used + 3 <= t->room / 2 || grow(t)) {    /* else there is no memory: it counts as one too many */
        struct seen *of_key = add(t, key);

        known = is_seen(t, whole);
        known_name = is_seen(t, named);
        if (!known && of_key->n < TAGS_A_DAY) {
            of_key->n++;
            add(t, named);
            add(t, whole);
            known = true;
        }
    }
    pthread_mutex_unlock(&t->lock);
    if (known)
        return;
    *value = SPAN_LIT(TAGS_OTHER);
    if (!known_name)
        *name = SPAN_LIT(TAGS_OTHER);
}
