/* fake_lm.c - a sequence is the list of its ids; everything is computed from it anew, so that a wrong list shows. */
#include "engine/fake_lm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct lm_seq {
    int32_t *ids;
    size_t n;
};

static struct lm_seq *fake_seq_new(void *self)
{
    struct fake_lm *f = self;
    struct lm_seq *s = calloc(1, sizeof *s);

    s->ids = calloc(f->lm.context, sizeof *s->ids);
    pthread_mutex_lock(&f->lock);
    f->live++;
    pthread_mutex_unlock(&f->lock);
    return s;
}

static struct lm_seq *fake_seq_clone(void *self, const struct lm_seq *seq)
{
    struct lm_seq *s = fake_seq_new(self);

    memcpy(s->ids, seq->ids, seq->n * sizeof *s->ids);
    s->n = seq->n;
    return s;
}

static void fake_seq_free(void *self, struct lm_seq *seq)
{
    struct fake_lm *f = self;

    pthread_mutex_lock(&f->lock);
    f->live--;
    pthread_mutex_unlock(&f->lock);
    free(seq->ids);
    free(seq);
}

static size_t fake_seq_bytes(void *self, const struct lm_seq *seq)
{
    (void)self;
    return seq->n * sizeof *seq->ids;
}

static bool fake_seq_truncate(void *self, struct lm_seq *seq, size_t length)
{
    if (((struct fake_lm *)self)->cannot_truncate)
        return false;
    seq->n = length;
    return true;
}

/* The answer so far is what follows the last assistant's marker and its think marker; the target is the id at the same
 * place behind the last user's marker. */
static int32_t target(const struct fake_lm *f, const struct lm_seq *s)
{
    size_t user = 0, assistant = 0, at;

    for (size_t i = 0; i < s->n; i++) {
        user = s->ids[i] == f->markers.user ? i : user;
        assistant = s->ids[i] == f->markers.assistant ? i : assistant;
    }
    at = user + 1 + (s->n - (assistant + 2));
    return at < assistant ? s->ids[at] : f->markers.eos;
}

static const char *gate(struct fake_lm *f, const struct lm_piece *pieces, size_t n)
{
    const char *why;

    pthread_mutex_lock(&f->lock);
    f->waiting = 1;
    pthread_cond_broadcast(&f->changed);
    while (f->gated && f->credits == 0)
        pthread_cond_wait(&f->changed, &f->lock);
    f->waiting = 0;
    f->credits -= f->gated;
    f->steps++;
    f->max_pieces = (long)n > f->max_pieces ? (long)n : f->max_pieces;
    for (size_t i = 0; i < n; i++) {
        f->ids += (long)pieces[i].n;
        f->longest_piece = pieces[i].n > f->longest_piece ? pieces[i].n : f->longest_piece;
    }
    why = f->fail;
    pthread_mutex_unlock(&f->lock);
    return why;
}

static const char *fake_step(void *self, const struct lm_piece *pieces, size_t n, float *logits)
{
    struct fake_lm *f = self;
    const char *why = gate(f, pieces, n);

    if (why)
        return why;
    for (size_t i = 0; i < n; i++) {
        struct lm_seq *s = pieces[i].seq;

        if (s->n + pieces[i].n > f->lm.context)
            return "the sequence is full";
        memcpy(s->ids + s->n, pieces[i].ids, pieces[i].n * sizeof *s->ids);
        s->n += pieces[i].n;
        if (!pieces[i].wants_logits)
            continue;
        memset(logits, isnan(f->peak) ? 0xff : 0, f->lm.vocab * sizeof *logits);    /* all ones is a NaN */
        logits[target(f, s)] = f->peak;
        logits += f->lm.vocab;
    }
    return NULL;
}

void fake_lm_init(struct fake_lm *f, const struct prompt_markers *m, size_t vocab, size_t context)
{
    *f = (struct fake_lm){ .markers = *m, .peak = 100 };
    f->lm = (struct lm){ f, vocab, context, fake_seq_new, fake_seq_clone, fake_seq_free, fake_seq_bytes,
                         fake_seq_truncate, fake_step };
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
}

void fake_lm_free(struct fake_lm *f)
{
    pthread_mutex_destroy(&f->lock);
    pthread_cond_destroy(&f->changed);
}

static void change(struct fake_lm *f, bool gated, long credits)
{
    pthread_mutex_lock(&f->lock);
    f->gated = gated;
    f->credits = credits;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

void fake_lm_gate(struct fake_lm *f)
{
    change(f, true, 0);
}

void fake_lm_open(struct fake_lm *f)
{
    change(f, false, 0);
}

void fake_lm_pass(struct fake_lm *f, long n)
{
    pthread_mutex_lock(&f->lock);
    f->credits += n;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

void fake_lm_await(struct fake_lm *f)
{
    pthread_mutex_lock(&f->lock);
    while (!(f->gated && f->waiting && f->credits == 0))
        pthread_cond_wait(&f->changed, &f->lock);
    pthread_mutex_unlock(&f->lock);
}

void fake_lm_fail(struct fake_lm *f, const char *why)
{
    pthread_mutex_lock(&f->lock);
    f->fail = why;
    pthread_mutex_unlock(&f->lock);
}
