/* chat_model.c - opens the files beside the weights, and fits the engine to lm.h. */
#include "engine/chat_model.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"
#include "engine/forward.h"

#define PIECES_MAX 64

/* ---- the engine as a struct lm; a struct seq passes as a struct lm_seq ---- */

static struct lm_seq *lm_seq_new(void *self)
{
    struct chat_model *m = self;

    return (struct lm_seq *)seq_new(m->engine, engine_context(m->engine));
}

static struct lm_seq *lm_seq_clone(void *self, const struct lm_seq *seq)
{
    struct chat_model *m = self;

    return (struct lm_seq *)seq_clone((const struct seq *)seq, engine_context(m->engine));
}

static void lm_seq_free(void *self, struct lm_seq *seq)
{
    (void)self;
    seq_free((struct seq *)seq);
}

static size_t lm_seq_bytes(void *self, const struct lm_seq *seq)
{
    (void)self;
    return seq_bytes((const struct seq *)seq);
}

static bool lm_seq_truncate(void *self, struct lm_seq *seq, size_t length)
{
    (void)self;
    return seq_truncate((struct seq *)seq, (int)length);
}

static const char *lm_step(void *self, const struct lm_piece *pieces, size_t n, float *logits)
{
    struct chat_model *m = self;
    struct batch_item items[PIECES_MAX];

    if (n > PIECES_MAX)
        return "too many sequences in one step";
    for (size_t i = 0; i < n; i++)
        items[i] = (struct batch_item){ (struct seq *)pieces[i].seq, pieces[i].ids, (int)pieces[i].n,
                                        pieces[i].wants_logits };
    switch (forward(m->engine, items, (int)n, logits)) {
    case FORWARD_OK: return NULL;
    case FORWARD_BAD_TOKEN: return "a token is not in the model's vocabulary";
    case FORWARD_FULL: return "a sequence is full";
    case FORWARD_BAD_BATCH: return "the step was planned wrongly";
    }
    return "the step failed";
}

/* ---- files ---- */

static bool generation_read(struct chat_model *m, const char *path, struct problems *ps)
{
    json_t *file;
    const json_t *temperature, *top_p;

    m->temperature = 1;
    m->top_p = 1;
    if (access(path, F_OK) != 0)
        return true;
    file = json_read(path, 1u << 20, ps, NULL, NULL);
    if (!file)
        return false;
    temperature = json_object_get(file, "temperature");
    top_p = json_object_get(file, "top_p");
    if (json_is_number(temperature))
        m->temperature = json_number_value(temperature);
    if (json_is_number(top_p))
        m->top_p = json_number_value(top_p);
    if (!json_bool(file, "do_sample", true))
        m->temperature = 0;
    if (!(m->temperature >= 0 && m->temperature <= 2) || !(m->top_p >= 0 && m->top_p <= 1)) {
        problem_error(ps, "", "must have a temperature from 0 to 2 and a top_p from 0 to 1");
        json_decref(file);
        return false;
    }
    json_decref(file);
    return true;
}

static bool read_beside(struct chat_model *m, const char *dir, struct problems *ps)
{
    struct buf path;
    bool ok;

    buf_init(&path, 4096);
    buf_printf(&path, "%s/tokenizer.json", dir);
    ok = buf_ok(&path);
    if (ok)
        m->tokenizer = tokenizer_load(path.p, ps);
    ok = m->tokenizer && prompt_markers_find(m->tokenizer, &m->markers, ps);
    if (ok && tokenizer_size(m->tokenizer) > (size_t)engine_config(m->engine)->vocab) {
        problem_error(ps, "", "has ids up to %zu, but the model's vocabulary has %d",
                      tokenizer_size(m->tokenizer) - 1, engine_config(m->engine)->vocab);
        ok = false;
    }
    buf_clear(&path);
    buf_printf(&path, "%s/generation_config.json", dir);
    ok = ok && generation_read(m, path.p, ps);
    ps->file = NULL;    /* it borrows the path */
    buf_free(&path);
    return ok;
}

bool chat_model_open(struct chat_model *m, const char *dir, const struct engine_options *options, struct problems *ps)
{
    *m = (struct chat_model){ .engine = engine_open(dir, options, ps) };
    ps->file = NULL;
    if (!m->engine)
        return false;
    if (!read_beside(m, dir, ps)) {
        chat_model_close(m);
        return false;
    }
    m->lm = (struct lm){ m, (size_t)engine_config(m->engine)->vocab, (size_t)engine_context(m->engine), lm_seq_new,
                         lm_seq_clone, lm_seq_free, lm_seq_bytes, lm_seq_truncate, lm_step };
    return true;
}

void chat_model_close(struct chat_model *m)
{
    tokenizer_free(m->tokenizer);
    engine_free(m->engine);
    *m = (struct chat_model){ 0 };
}
