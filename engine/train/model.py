"""model.py - the V4 forward pass in PyTorch, vectorised over whole sequences, for training.

Owns: the configuration (official key names), the parameters (official tensor names, except that the
routed experts of a layer are stacked) and the forward pass in float32 without activation rounding.
Does not own: reading or writing checkpoints (export.py) and the token-by-token form of the same
mathematics (reference.py), which is written separately so that each checks the other.

Shapes: B sequences, T tokens, D hidden, M streams, H heads, d head size. Sequences are padded on the
right: every path is causal, so padding never reaches a real token.
"""
import json
import math
from types import SimpleNamespace

import torch
import torch.nn.functional as F

import hcfast

NEG = float("-inf")


def load_config(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def make_config(**over):
    """The keys of a released config.json, with small sizes. Unknown overrides are a typo: refuse them."""
    c = {
        "architectures": ["DeepseekV4ForCausalLM"], "model_type": "deepseek_v4",
        "vocab_size": 1024, "hidden_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4,
        "num_key_value_heads": 1, "head_dim": 96, "qk_rope_head_dim": 32, "q_lora_rank": 128,
        "o_groups": 2, "o_lora_rank": 64, "n_routed_experts": 8, "n_shared_experts": 1,
        "num_experts_per_tok": 2, "moe_intermediate_size": 128, "routed_scaling_factor": 1.5,
        "num_hash_layers": 1, "num_nextn_predict_layers": 0, "compress_ratios": [0, 4, 128, 0],
        "index_n_heads": 4, "index_head_dim": 32, "index_topk": 64, "sliding_window": 128,
        "hc_mult": 4, "hc_sinkhorn_iters": 20, "hc_eps": 1e-6, "rms_norm_eps": 1e-6,
        "swiglu_limit": 10.0, "scoring_func": "sqrtsoftplus", "topk_method": "noaux_tc",
        "norm_topk_prob": True, "hidden_act": "silu", "attention_bias": False,
        "attention_dropout": 0.0, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
        "rope_theta": 10000, "compress_rope_theta": 160000,
        "rope_scaling": {"type": "yarn", "factor": 16, "original_max_position_embeddings": 65536,
                         "beta_fast": 32, "beta_slow": 1},
        "max_position_embeddings": 1048576, "bos_token_id": 0, "eos_token_id": 1,
        "initializer_range": 0.02, "expert_dtype": "fp4",
        "quantization_config": {"quant_method": "fp8", "fmt": "e4m3", "scale_fmt": "ue8m0",
                                "activation_scheme": "dynamic", "weight_block_size": [128, 128]},
    }
    for k in over:
        if k not in c:
            raise KeyError(k)
    c.update(over)
    assert len(c["compress_ratios"]) == c["num_hidden_layers"] + 1
    assert (c["head_dim"] - c["qk_rope_head_dim"]) % 64 == 0
    assert c["num_attention_heads"] % c["o_groups"] == 0
    return c


def rope_freqs(c, ratio):
    """Frequencies [dr/2]; v4-architecture section 3. Compressed layers: YaRN over compress_rope_theta."""
    dr = c["qk_rope_head_dim"]
    i = torch.arange(dr // 2, dtype=torch.float64)
    if ratio == 0:
        return (float(c["rope_theta"]) ** (-2 * i / dr)).float()
    base, s = float(c["compress_rope_theta"]), c["rope_scaling"]
    f0 = base ** (-2 * i / dr)

    def dim_of(turns):
        return dr * math.log(s["original_max_position_embeddings"] / (turns * 2 * math.pi)) / (2 * math.log(base))

    lo = max(math.floor(dim_of(s["beta_fast"])), 0)
    hi = min(math.ceil(dim_of(s["beta_slow"])), dr - 1)
    g = ((i - lo) / max(hi - lo, 1e-3)).clamp(0, 1)
    return (f0 * (1 - g) + f0 / s["factor"] * g).float()


def rms(x, w, eps):
    y = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)
    return y if w is None else y * w


def rope(x, rot):
    """Rotate the last 2*n channels of x by rot (complex, n = rot.shape[-1]); pairs are interleaved."""
    n = rot.shape[-1] * 2
    a, b = x[..., :-n], x[..., -n:]
    b = torch.view_as_complex(b.reshape(*b.shape[:-1], n // 2, 2)) * rot
    return torch.cat([a, torch.view_as_real(b).flatten(-2)], -1)


class Model(torch.nn.Module):
    def __init__(self, config, seed=0):
        super().__init__()
        self.config = config
        self.c = SimpleNamespace(**config)
        self.iters = config["hc_sinkhorn_iters"]   # train.py lowers it early on, for speed
        self.quant = None                          # name -> weight as seen by the forward pass (QAT)
        self.load = {}                             # layer -> tokens per expert of the last training batch
        self._rot = {}
        g = torch.Generator().manual_seed(seed)
        self.p = torch.nn.ParameterDict()
        for name, t in init_params(config, g).items():
            self.p[name.replace(".", "/")] = torch.nn.Parameter(t)
        self.tid2eid = hash_table(config, g)       # layer -> [V, K]; fixed, never trained
        self.bias = {l: torch.zeros(config["n_routed_experts"])
                     for l in range(config["num_hash_layers"], config["num_hidden_layers"])}

    def w(self, name):
        if self.quant is not None and name in self.quant:
            return self.p[name.replace(".", "/")] + self.quant[name]
        return self.p[name.replace(".", "/")]

    def named(self):
        """Official-style name -> parameter."""
        return {k.replace("/", "."): v for k, v in self.p.items()}

    def rot(self, ratio, n, step=1):
        """exp(i p f) for p = 0, step, ... (n positions): complex [n, dr/2]."""
        key = ratio > 0
        if key not in self._rot or self._rot[key].shape[0] < n * step:
            f = rope_freqs(self.config, ratio)
            a = torch.arange(max(n * step, 512), dtype=torch.float32)[:, None] * f
            self._rot[key] = torch.polar(torch.ones_like(a), a)
        return self._rot[key][:n * step:step]

    # ---- section 5
    def compress(self, x, pre, ratio, d):
        """x [B,T,D] -> entries [B, T//ratio, d], normed and rotated to position ratio*j."""
        B, T, _ = x.shape
        n = T // ratio
        x = x[:, :n * ratio]
        c = F.linear(x, self.w(pre + "wkv.weight")).view(B, n, ratio, -1)
        z = F.linear(x, self.w(pre + "wgate.weight")).view(B, n, ratio, -1) + self.w(pre + "ape")
        if ratio == 4:   # overlap: the A half of the window before, the B half of this one
            c = torch.cat([F.pad(c[:, :-1, :, :d], (0, 0, 0, 0, 1, 0)), c[..., d:]], 2)
            z = torch.cat([F.pad(z[:, :-1, :, :d], (0, 0, 0, 0, 1, 0), value=NEG), z[..., d:]], 2)
        k = (z.softmax(2) * c).sum(2)
        k = rms(k, self.w(pre + "norm.weight"), self.c.rms_norm_eps)
        return rope(k, self.rot(ratio, n, ratio))

    # ---- section 6
    def index_mask(self, x, qa, pre, seen):
        """Additive mask [B,T,n]: 0 for the index_topk best visible entries of each query, else -inf."""
        c = self.c
        B, T, _ = x.shape
        q = F.linear(qa, self.w(pre + "wq_b.weight")).view(B, T, c.index_n_heads, c.index_head_dim)
        q = rope(q, self.rot(4, T)[:, None])
        k = self.compress(x, pre + "compressor.", 4, c.index_head_dim)
        w = F.linear(x, self.w(pre + "weights_proj.weight")) * (c.index_head_dim * c.index_n_heads) ** -0.5
        s = (torch.einsum("bthd,bnd->bthn", q, k).relu() * w[..., None]).sum(2)
        s = s.masked_fill(~seen, NEG)
        top = s.topk(c.index_topk, -1).indices
        m = torch.full_like(s, NEG).scatter_(-1, top, 0.0)
        return m.masked_fill(~seen, NEG)

    # ---- section 4
    def attention(self, x, l, ratio):
        c, pre = self.c, f"layers.{l}.attn."
        B, T, _ = x.shape
        H, d, eps = c.num_attention_heads, c.head_dim, c.rms_norm_eps
        rot = self.rot(ratio, T)
        qa = rms(F.linear(x, self.w(pre + "wq_a.weight")), self.w(pre + "q_norm.weight"), eps)
        q = F.linear(qa, self.w(pre + "wq_b.weight")).view(B, T, H, d)
        q = rope(rms(q, None, eps), rot[:, None])
        kv = rms(F.linear(x, self.w(pre + "wkv.weight")), self.w(pre + "kv_norm.weight"), eps)
        kv = rope(kv, rot)
        t = torch.arange(T)
        back = t[:, None] - t
        mask = torch.zeros(T, T).masked_fill((back < 0) | (back >= c.sliding_window), NEG)
        if ratio and T >= ratio:
            n = T // ratio
            seen = torch.arange(n) < ((t + 1) // ratio)[:, None]
            if ratio == 4 and n > c.index_topk:
                with torch.no_grad():
                    cm = self.index_mask(x, qa, pre + "indexer.", seen)
            else:
                cm = torch.zeros(T, n).masked_fill(~seen, NEG).expand(B, T, n)
            kv = torch.cat([kv, self.compress(x, pre + "compressor.", ratio, d)], 1)
            mask = torch.cat([mask.expand(B, T, T), cm], -1)
        else:
            mask = mask.expand(B, T, T)
        a = (q.reshape(B, T * H, d) @ kv.transpose(1, 2)).view(B, T, H, -1) * d ** -0.5
        a = a + mask[:, :, None]
        a = torch.cat([a, self.w(pre + "attn_sink").view(1, 1, H, 1).expand(B, T, H, 1)], -1).softmax(-1)[..., :-1]
        o = (a.reshape(B, T * H, -1) @ kv).view(B, T, H, d)
        o = rope(o, rot.conj()[:, None]).reshape(B * T, c.o_groups, -1)
        wa = self.w(pre + "wo_a.weight").view(c.o_groups, c.o_lora_rank, -1)
        u = torch.bmm(o.transpose(0, 1), wa.transpose(1, 2)).transpose(0, 1).reshape(B, T, -1)
        return F.linear(u, self.w(pre + "wo_b.weight"))

    # ---- section 7
    def expert(self, x, w13, w2, g):
        a, b = F.linear(x, w13).chunk(2, -1)
        lim = self.c.swiglu_limit
        y = F.silu(a.clamp(max=lim)) * b.clamp(-lim, lim)
        return F.linear(y if g is None else y * g, w2)

    def moe(self, x, ids, l):
        c, pre = self.c, f"layers.{l}.ffn."
        K, E = c.num_experts_per_tok, c.n_routed_experts
        p = F.softplus(F.linear(x, self.w(pre + "gate.weight"))).sqrt()
        if l < c.num_hash_layers:
            S = self.tid2eid[l][ids]
        else:
            S = (p + self.bias[l]).topk(K, -1).indices
        g = p.gather(-1, S)
        g = c.routed_scaling_factor * g / g.sum(-1, keepdim=True)
        flat = S.reshape(-1)
        order = flat.argsort()
        count = torch.bincount(flat, minlength=E)
        if self.training:
            self.load[l] = count
        row = torch.div(order, K, rounding_mode="floor")
        # unbind and split, not w[e] and x[a:b]: the gradient of an index is a zeroed copy of the whole, once per expert
        w13, w2 = self.w(pre + "experts.w13").unbind(), self.w(pre + "experts.w2").unbind()
        n = count.tolist()
        ys = [self.expert(xe, w13[e], w2[e], ge)
              for e, (xe, ge) in enumerate(zip(x[row].split(n), g.reshape(-1)[order][:, None].split(n))) if n[e]]
        y = torch.zeros_like(x).index_add(0, row, torch.cat(ys))
        return y + self.expert(x, self.w(pre + "shared_experts.w13"), self.w(pre + "shared_experts.w2.weight"), None)

    def hc(self, h, pre):
        return hcfast.hc_in(h, self.w(pre + "fn"), self.w(pre + "base"), self.w(pre + "scale"),
                            self.iters, self.c.hc_eps, self.c.rms_norm_eps)

    def forward(self, ids, at=None):
        """ids [B,T] -> logits [B,T,V], or [n,V] at the flat positions `at` (training: answer tokens only)."""
        c, eps = self.c, self.c.rms_norm_eps
        B, T = ids.shape
        flat = ids.reshape(-1)
        e = F.embedding(flat, self.w("embed.weight"))
        h = e[:, None].expand(-1, c.hc_mult, -1)                     # [B*T, M, D]
        for l in range(c.num_hidden_layers):
            pre = f"layers.{l}."
            x, post, comb = self.hc(h, pre + "hc_attn_")
            y = self.attention(rms(x, self.w(pre + "attn_norm.weight"), eps).view(B, T, -1), l, c.compress_ratios[l])
            h = hcfast.hc_out(y.reshape(B * T, -1), h, post, comb)
            x, post, comb = self.hc(h, pre + "hc_ffn_")
            y = self.moe(rms(x, self.w(pre + "ffn_norm.weight"), eps), flat, l)
            h = hcfast.hc_out(y, h, post, comb)
        if at is not None:
            h = h[at]
        f = h.flatten(1)
        z = F.linear(f, self.w("hc_head_fn")) * torch.rsqrt(f.square().mean(-1, keepdim=True) + eps)
        pre = torch.sigmoid(z * self.w("hc_head_scale") + self.w("hc_head_base")) + c.hc_eps
        x = rms((pre[..., None] * h).sum(1), self.w("norm.weight"), eps)
        y = F.linear(x, self.w("head.weight"))
        return y if at is not None else y.view(B, T, -1)


def hash_table(c, g):
    """tid2eid of each hash layer: K distinct experts a token, drawn once."""
    V, E, K = c["vocab_size"], c["n_routed_experts"], c["num_experts_per_tok"]
    return {l: torch.rand(V, E, generator=g).argsort(-1)[:, :K].contiguous() for l in range(c["num_hash_layers"])}


def init_params(c, g):
    """Initial weights. Hyper-connections start near "mean of the streams in, 1 x result out, identity
    between streams", which makes the network an ordinary residual one; the small spread in base breaks
    the symmetry of the M identical streams, which nothing else would."""
    D, V, H, d, M = c["hidden_size"], c["vocab_size"], c["num_attention_heads"], c["head_dim"], c["hc_mult"]
    qr, G, ro, E, I = c["q_lora_rank"], c["o_groups"], c["o_lora_rank"], c["n_routed_experts"], c["moe_intermediate_size"]
    L = c["num_hidden_layers"]
    P = {}

    def lin(name, *shape, gain=1.0):
        P[name] = torch.randn(*shape, generator=g) * gain * shape[-1] ** -0.5

    def ones(name, n):
        P[name] = torch.ones(n)

    P["embed.weight"] = torch.randn(V, D, generator=g) * 0.5
    lin("head.weight", V, D)
    ones("norm.weight", D)
    lin("hc_head_fn", M, M * D)
    P["hc_head_base"] = torch.full((M,), -1.1) + 0.2 * torch.randn(M, generator=g)
    P["hc_head_scale"] = torch.full((1,), 0.1)
    for l in range(L):
        pre, ratio = f"layers.{l}.", c["compress_ratios"][l]
        ones(pre + "attn_norm.weight", D)
        ones(pre + "ffn_norm.weight", D)
        for site in ("hc_attn_", "hc_ffn_"):
            lin(pre + site + "fn", (2 + M) * M, M * D)
            b = 0.3 * torch.randn((2 + M) * M, generator=g)
            b[:M] -= 1.1                                     # sigmoid(-1.1) = 1/4
            b[2 * M:] += 4.0 * torch.eye(M).flatten()        # softmax row: 0.95 on itself
            P[pre + site + "base"] = b
            P[pre + site + "scale"] = torch.full((3,), 0.1)
        a = pre + "attn."
        P[a + "attn_sink"] = torch.zeros(H)
        lin(a + "wq_a.weight", qr, D)
        ones(a + "q_norm.weight", qr)
        lin(a + "wq_b.weight", H * d, qr)
        lin(a + "wkv.weight", d, D)
        ones(a + "kv_norm.weight", d)
        lin(a + "wo_a.weight", G * ro, H * d // G)
        lin(a + "wo_b.weight", D, G * ro, gain=(2 * L) ** -0.5)
        if ratio:
            k = 2 if ratio == 4 else 1
            P[a + "compressor.ape"] = 0.1 * torch.randn(ratio, k * d, generator=g)
            lin(a + "compressor.wkv.weight", k * d, D)
            lin(a + "compressor.wgate.weight", k * d, D)
            ones(a + "compressor.norm.weight", d)
        if ratio == 4:
            Hi, di = c["index_n_heads"], c["index_head_dim"]
            lin(a + "indexer.wq_b.weight", Hi * di, qr)
            lin(a + "indexer.weights_proj.weight", Hi, D)
            P[a + "indexer.compressor.ape"] = 0.1 * torch.randn(4, 2 * di, generator=g)
            lin(a + "indexer.compressor.wkv.weight", 2 * di, D)
            lin(a + "indexer.compressor.wgate.weight", 2 * di, D)
            ones(a + "indexer.compressor.norm.weight", di)
        f = pre + "ffn."
        lin(f + "gate.weight", E, D)
        lin(f + "experts.w13", E, 2 * I, D)
        lin(f + "experts.w2", E, D, I, gain=(2 * L) ** -0.5)
        lin(f + "shared_experts.w13", 2 * I, D)
        lin(f + "shared_experts.w2.weight", D, I, gain=(2 * L) ** -0.5)
    return P
