/* model.h - a model folder as structs: config.json in one place, every tensor found and its shape checked.
 *
 * Symbols in brackets are those of the architecture's description (D hidden, H heads, ...). Matrices are row-major
 * [out, in]: y = W x. Weights stay as they are stored (FP8, FP4, BF16, F32) in the mapped files; vectors (norms,
 * sinks, biases) are widened to float32 once, at load. Read-only after model_open: any thread may read. */
#ifndef TOLLGATE_ENGINE_MODEL_H
#define TOLLGATE_ENGINE_MODEL_H

#include <stdint.h>

#include "base/problem.h"
#include "engine/weights.h"

#define MODEL_LAYERS_MAX 256
#define MODEL_STREAMS_MAX 8

/* Attention of a layer, by its compress ratio. */
enum { RATIO_WINDOW = 0, RATIO_CSA = 4, RATIO_HCA = 128 };

struct model_config {
    int vocab;                 /* [V] */
    int dim;                   /* [D] hidden_size */
    int n_layers;              /* [L], without the MTP block */
    int n_heads;               /* [H] */
    int head_dim;              /* [dh], rope part included */
    int rope_dim;              /* [dr], the last channels of a head */
    int q_rank;                /* [qr] */
    int o_groups, o_rank;      /* [G, ro] */
    int window;                /* [W] sliding_window */
    int index_heads, index_dim, index_topk;           /* [Hi, di, Ki] */
    int n_experts, n_active, expert_dim;              /* [E, K, I] */
    int n_hash_layers;         /* layers 0..n-1 route by token id */
    float route_scale;         /* [gamma] */
    float swiglu_limit;        /* [c] */
    int streams;               /* [M] hc_mult */
    int sinkhorn_iters;
    float hc_eps, norm_eps;
    double rope_theta;         /* layers of ratio 0 */
    double compress_theta;     /* layers of ratio 4 and 128, with YaRN */
    double yarn_factor, yarn_original, yarn_beta_fast, yarn_beta_slow;
    int max_context;           /* max_position_embeddings */
    int bos_id, eos_id;
    int ratios[MODEL_LAYERS_MAX];                     /* RATIO_*, one a layer */
};

/* A hyper-connection site: fn [n][M*D], base [n], scale [3] (1 in the head); n = (2+M)M (M in the head). */
struct model_hc {
    struct weight fn;
    const float *base, *scale;
};

struct model_compressor {      /* d = dh or di; k = 2 for ratio 4, 1 for ratio 128 */
    struct weight wkv, wgate;  /* [k*d, D] */
    const float *ape;          /* [ratio][k*d] */
    const float *norm;         /* [d] */
};

struct model_expert {
    struct weight w1, w3;      /* gate and up [I, D] */
    struct weight w2;          /* down [D, I] */
};

struct model_layer {
    int ratio;
    struct model_hc hc_attn, hc_ffn;
    const float *attn_norm, *ffn_norm;                /* [D] */
    const float *sink;                                /* [H] */
    struct weight wq_a, wq_b, wkv, wo_a, wo_b;        /* [qr,D] [H*dh,qr] [dh,D] [G*ro,H*dh/G] [D,G*ro] */
    const float *q_norm, *kv_norm;                    /* [qr] [dh] */
    struct model_compressor compressor;               /* ratio 4 and 128 */
    struct weight index_wq_b, index_proj;             /* ratio 4: [Hi*di,qr] [Hi,D] */
    struct model_compressor index_compressor;         /* ratio 4 */
    struct weight gate;                               /* [E, D] */
    const float *gate_bias;                           /* [E]; NULL in hash layers */
    const int32_t *tid2eid;                           /* [V][K], each 0..E-1; NULL where routing is learned */
    struct model_expert *experts;                     /* [E] */
    struct model_expert shared;
};

struct model;

/* Opens `dir`: config.json and model.safetensors, or the shards that model.safetensors.index.json lists. The files
 * are mapped and must not change while the model is open. NULL with problems when anything is missing or wrong. */
struct model *model_open(const char *dir, struct problems *ps);
void model_free(struct model *m);

const struct model_config *model_config(const struct model *m);
const struct model_layer *model_layer(const struct model *m, int layer);
const struct weight *model_embed(const struct model *m);       /* [V, D] */
const struct weight *model_head(const struct model *m);        /* [V, D] */
const float *model_norm(const struct model *m);                /* [D] */
const struct model_hc *model_hc_head(const struct model *m);   /* fn [M][M*D] */
const struct weights *model_weights(const struct model *m);    /* all tensors of the files, for inspect */

/* Reads config.json alone; false with problems. *out is complete and every value in range when true. */
bool model_read_config(const char *path, struct model_config *out, struct problems *ps);

#endif
