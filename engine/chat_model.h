/* chat_model.h - a model folder with all that chatting needs: weights, tokenizer, markers, sampling defaults. */
#ifndef TOLLGATE_ENGINE_CHAT_MODEL_H
#define TOLLGATE_ENGINE_CHAT_MODEL_H

#include "engine/engine.h"
#include "engine/lm.h"
#include "engine/prompt.h"

struct chat_model {
    struct engine *engine;
    struct tokenizer *tokenizer;
    struct prompt_markers markers;
    struct lm lm;                     /* the engine, as a scheduler sees it; `self` is this struct */
    double temperature, top_p;        /* generation_config.json: 0 when do_sample is false; 1 and 1 without the file */
};

/* Must stay where it is until chat_model_close, since lm points to it. False with problems; then nothing is held. */
bool chat_model_open(struct chat_model *m, const char *dir, const struct engine_options *options, struct problems *ps);
void chat_model_close(struct chat_model *m);

#endif
