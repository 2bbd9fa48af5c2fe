/* engine.h - a model ready to run: its weights, the operations of a device, threads and scratch memory.
 *
 * One thread at a time uses an engine (the server's worker owns it); the threads inside are its own. Sequences
 * (kv.h) belong to the engine that made them and are freed before it. forward.h is what an engine is for. */
#ifndef TOLLGATE_ENGINE_ENGINE_H
#define TOLLGATE_ENGINE_ENGINE_H

#include <stdbool.h>

#include "base/problem.h"
#include "engine/model.h"

struct engine;

struct engine_options {
    int threads;        /* 0: one a core, at most 4. The results do not depend on it, bit for bit. */
    int context;        /* most positions of any sequence; 0: 8192 or what the model allows, whichever is less */
    int step_tokens;    /* most tokens computed at once, of all sequences together; 0: 256 */
    bool published;     /* round as the published inference code does (v4-architecture mode A), to compare with it;
                         * false: everything in float32, caches unrounded (mode B), the default */
};

/* NULL with problems that name file, tensor, what was expected and what was found. `ps` may also get warnings. */
struct engine *engine_open(const char *dir, const struct engine_options *options, struct problems *ps);
void engine_free(struct engine *e);

const struct model_config *engine_config(const struct engine *e);
int engine_context(const struct engine *e);          /* as decided by engine_open */
int engine_step_tokens(const struct engine *e);
int engine_threads(const struct engine *e);
const char *engine_device(const struct engine *e);   /* "cpu avx512", for people */

#endif
