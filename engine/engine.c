/* engine.c - opens a model on a device and lays out the memory of a step. Computes nothing. */
#include "engine/engine.h"

#include <stdlib.h>
#include <unistd.h>

#include "engine/rope.h"
#include "engine/state.h"

#define STEP_TOKENS_DEFAULT 256
#define CONTEXT_DEFAULT 8192
#define THREADS_DEFAULT_MAX 4
#define BLOCKS_MAX 64

static void *room(struct engine *e, size_t count, size_t size)
{
    void *p = e->n_blocks < BLOCKS_MAX ? calloc(count ? count : 1, size) : NULL;

    if (p)
        e->blocks[e->n_blocks++] = p;
    else
        e->out_of_memory = true;
    return p;
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

static int most(int a, int b)
{
    return a > b ? a : b;
}

static void workspace_init(struct engine *e)
{
    const struct model_config *c = model_config(e->model);
    struct workspace *w = &e->w;
    const size_t n = (size_t)e->step_tokens, dim = (size_t)c->dim, m = (size_t)c->streams;
    const size_t heads = (size_t)c->n_heads * (size_t)c->head_dim, low = (size_t)c->o_groups * (size_t)c->o_rank;
    const size_t rows = n * ((size_t)c->n_active + 1);
    const int widest = most(most(c->dim, c->q_rank), most(c->o_groups * c->o_rank, c->expert_dim));
    const int n_jobs = most(2 * (c->n_experts + 1), most(c->o_groups, 16));

    w->pick_room = most(least(c->index_topk, e->context / RATIO_CSA), 1);
    for (int i = 0; i < 2; i++) {
        e->freq[i] = room(e, (size_t)c->rope_dim / 2, sizeof(float));
        w->turn[i] = room(e, n * (size_t)c->rope_dim, sizeof(float));
    }
    w->entry_turn = room(e, (n / 4 + 1) * (size_t)c->rope_dim, sizeof(float));
    w->h = room(e, n * m * dim, sizeof(float));
    w->x = room(e, n * dim, sizeof(float));
    w->y = room(e, n * dim, sizeof(float));
    w->post = room(e, n * m, sizeof(float));
    w->comb = room(e, n * m * m, sizeof(float));
    w->qa = room(e, n * (size_t)c->q_rank, sizeof(float));
    w->q = room(e, n * heads, sizeof(float));
    w->kv = room(e, n * (size_t)c->head_dim, sizeof(float));
    w->o = room(e, n * heads, sizeof(float));
    w->u = room(e, n * low, sizeof(float));
    w->c = room(e, n * 2 * (size_t)c->head_dim, sizeof(float));
    w->z = room(e, n * 2 * (size_t)c->head_dim, sizeof(float));
    w->ic = room(e, n * 2 * (size_t)c->index_dim, sizeof(float));
    w->iz = room(e, n * 2 * (size_t)c->index_dim, sizeof(float));
    w->iq = room(e, n * (size_t)c->index_heads * (size_t)c->index_dim, sizeof(float));
    w->iw = room(e, n * (size_t)c->index_heads, sizeof(float));
    w->picked = room(e, n * (size_t)w->pick_room, sizeof(int32_t));
    w->n_picked = room(e, n, sizeof(int32_t));
    w->gate_z = room(e, n * (size_t)c->n_experts, sizeof(float));
    w->gates = room(e, n * (size_t)c->n_active, sizeof(float));
    w->chosen = room(e, n * (size_t)c->n_active, sizeof(int32_t));
    w->slot = room(e, n * (size_t)c->n_active, sizeof(int32_t));
    w->fixed = room(e, n, sizeof(const int32_t *));
    w->expert_rows = room(e, (size_t)c->n_experts + 2, sizeof(int));
    w->ex = room(e, rows * dim, sizeof(float));
    w->ea = room(e, rows * (size_t)c->expert_dim, sizeof(float));
    w->eb = room(e, rows * (size_t)c->expert_dim, sizeof(float));
    w->eg = room(e, rows, sizeof(float));
    w->quantised = room(e, e->published ? n * (size_t)widest : 1, sizeof(float));
    w->ids = room(e, n, sizeof(int32_t));
    w->positions = room(e, n, sizeof(int));
    w->wanted = room(e, n, sizeof(bool));
    w->parts = room(e, n, sizeof(struct part));
    w->jobs = room(e, (size_t)n_jobs, sizeof(struct matmul_job));
    w->attend = room(e, n, sizeof(struct attend_job));
}

static int default_threads(void)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);

    return cores < 1 ? 1 : cores > THREADS_DEFAULT_MAX ? THREADS_DEFAULT_MAX : (int)cores;
}

struct engine *engine_open(const char *dir, const struct engine_options *options, struct problems *ps)
{
    static const struct engine_options defaults = { 0 };
    const struct engine_options *o = options ? options : &defaults;
    struct engine *e = calloc(1, sizeof *e);
    const struct model_config *c;

    if (!e)
        goto no_memory;
    e->blocks = calloc(BLOCKS_MAX, sizeof *e->blocks);
    if (!e->blocks)
        goto no_memory;
    e->model = model_open(dir, ps);
    if (!e->model) {
        engine_free(e);
        return NULL;
    }
    c = model_config(e->model);
    e->published = o->published;
    e->context = least(o->context > 0 ? o->context : CONTEXT_DEFAULT, c->max_context);
    e->step_tokens = o->step_tokens > 0 ? o->step_tokens : STEP_TOKENS_DEFAULT;
    workspace_init(e);
    e->device = cpu_device_new(c, o->threads > 0 ? o->threads : default_threads(), e->context);
    if (e->out_of_memory || !e->device)
        goto no_memory;
    for (int i = 0; i < 2; i++)
        rope_frequencies(e->freq[i], c, i == 1);
    return e;
no_memory:
    ps->file = dir;
    problem_error(ps, "", "cannot be loaded: no memory for its working space");
    ps->file = NULL;
    engine_free(e);
    return NULL;
}

void engine_free(struct engine *e)
{
    if (!e)
        return;
    if (e->device)
        e->device->free(e->device);
    for (int i = 0; i < e->n_blocks; i++)
        free(e->blocks[i]);
    free(e->blocks);
    model_free(e->model);
    free(e);
}

const struct model_config *engine_config(const struct engine *e)
{
    return model_config(e->model);
}

int engine_context(const struct engine *e)
{
    return e->context;
}

int engine_step_tokens(const struct engine *e)
{
    return e->step_tokens;
}

int engine_threads(const struct engine *e)
{
    return e->device->threads;
}

const char *engine_device(const struct engine *e)
{
    return e->device->name;
}
