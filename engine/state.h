/* state.h - the insides of an engine and of a sequence, for engine.c, kv.c and forward.c alone. */
#ifndef TOLLGATE_ENGINE_STATE_H
#define TOLLGATE_ENGINE_STATE_H

#include "engine/engine.h"
#include "engine/ops.h"

/* ---- a sequence (kv.c) ---- */

/* Rows of the unfinished window, ape in z; for ratio 4 also the A halves of the last finished one. */
struct compressor_state {
    float *pending_c, *pending_z;      /* [ratio][width] */
    float *previous_c, *previous_z;    /* [4][d], NULL for ratio 128 */
};

struct layer_state {
    float *ring;                       /* [W][dh], position p at p mod W */
    float *entries;                    /* [max_context / ratio][dh] */
    float *index_keys;                 /* [max_context / 4][di], ratio 4 */
    struct compressor_state main, index;
};

struct seq {
    struct engine *engine;
    int length, max_context;
    bool in_batch;                     /* seen in the batch that forward is checking */
    struct layer_state *layers;
    float *fixed;                      /* one block: rings and compressor states */
    size_t fixed_floats;
    float *growing;                    /* one block: entries and index keys */
};

/* ---- an engine (engine.c) ---- */

/* Rows `first`..first+n-1 of a step are the tokens of `seq` from its position `begin` on. */
struct part {
    struct seq *seq;
    int first, begin, n;
};

/* Room for one step of N = step_tokens rows. Names follow the architecture's description. */
struct workspace {
    float *h;                          /* [N][M][D] streams */
    float *x, *y;                      /* [N][D] into and out of a sub-layer */
    float *post, *comb;                /* [N][M], [N][M][M] */
    float *turn[2];                    /* [N][dr]: plain and compressed frequencies */
    float *entry_turn;                 /* [N/4 + 1][dr] */
    float *qa, *q, *kv, *o, *u;        /* [N][qr] [N][H*dh] [N][dh] [N][H*dh] [N][G*ro] */
    float *c, *z;                      /* [N][2dh] compressor rows */
    float *ic, *iz;                    /* [N][2di] of the indexer's */
    float *iq, *iw;                    /* [N][Hi*di] [N][Hi] */
    int32_t *picked, *n_picked;        /* [N][pick_room] [N] */
    float *gate_z, *gates;             /* [N][E] [N][K] */
    int32_t *chosen, *slot;            /* [N][K] expert; row of the token in the experts' buffers */
    const int32_t **fixed;             /* [N] rows of tid2eid */
    int *expert_rows;                  /* [E + 1] first row of each expert */
    float *ex, *ea, *eb, *eg;          /* [N*(K+1)][D] [..][I] [..][I] [..]: experts' input then output, gate, up, g */
    float *quantised;                  /* [N][widest] copy for act_fp8 (published mode) */
    int32_t *ids;                      /* [N] */
    int *positions;                    /* [N] */
    bool *wanted;                      /* [N] are logits wanted? */
    struct part *parts;                /* [N] */
    struct matmul_job *jobs;
    struct attend_job *attend;         /* [N] */
    int pick_room;
};

struct engine {
    struct model *model;
    struct device *device;
    bool published;
    int context, step_tokens;
    float *freq[2];                    /* [dr/2]: plain, compressed */
    struct workspace w;
    void **blocks;                     /* all memory of the workspace, to be freed */
    int n_blocks;
    bool out_of_memory;                /* a block could not be had */
};

#endif
