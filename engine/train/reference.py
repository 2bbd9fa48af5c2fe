"""reference.py - logits of an exported model, token by token, in numpy float32 ("mode B").

Usage: reference.py --model DIR --tokens FILE.json --out FILE.bin
FILE.json is a list of ids or an object with "tokens"; the output is float32 little-endian [tokens, vocab].

This is the recurrence of v4-architecture.md as it is written there: one token at a time, a ring for the
window, pending rows in the compressors. It shares no code with model.py, so that the two check each
other, and it reads the files itself. Slow and plain on purpose.
"""
import argparse
import json
import math
import struct

import numpy as np

f32 = np.float32


def e4m3_table():
    t = np.zeros(256, f32)
    for b in range(256):
        e, m = b >> 3 & 15, b & 7
        v = m * 2.0 ** -9 if e == 0 else (8 + m) * 2.0 ** (e - 10)
        t[b] = -v if b & 128 else v
    t[127] = t[255] = np.nan
    return t


E4M3 = e4m3_table()
E2M1 = np.array([0, .5, 1, 1.5, 2, 3, 4, 6, -0., -.5, -1, -1.5, -2, -3, -4, -6], f32)


class Weights:
    """Reads all tensors of a folder and dequantises on request."""

    def __init__(self, folder):
        with open(f"{folder}/config.json", encoding="utf-8") as f:
            self.config = json.load(f)
        with open(f"{folder}/model.safetensors.index.json", encoding="utf-8") as f:
            shards = sorted(set(json.load(f)["weight_map"].values()))
        self.t = {}
        for s in shards:
            data = open(f"{folder}/{s}", "rb").read()
            n = struct.unpack("<Q", data[:8])[0]
            for name, d in json.loads(data[8:8 + n]).items():
                if name != "__metadata__":
                    a, b = d["data_offsets"]
                    self.t[name] = (d["dtype"], d["shape"], data[8 + n + a:8 + n + b])
        self.cache = {}

    def __call__(self, name):
        if name not in self.cache:
            self.cache[name] = self.read(name)
        return self.cache[name]

    def scale(self, name):
        b = np.frombuffer(self.t[name][2], np.uint8).reshape(self.t[name][1])
        return np.ldexp(f32(1), b.astype(np.int32) - 127).astype(f32)

    def read(self, name):
        dtype, shape, raw = self.t[name]
        if dtype == "F32":
            return np.frombuffer(raw, "<f4").reshape(shape)
        if dtype == "I64":
            return np.frombuffer(raw, "<i8").reshape(shape)
        if dtype == "BF16":
            return (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(f32).reshape(shape)
        b = np.frombuffer(raw, np.uint8).reshape(shape)
        s = self.scale(name[:-len("weight")] + "scale")
        if dtype == "F8_E4M3":
            s = s.repeat(128, 0)[:shape[0]].repeat(128, 1)[:, :shape[1]]
            return E4M3[b] * s
        assert dtype == "I8"
        w = np.stack([E2M1[b & 15], E2M1[b >> 4]], -1).reshape(shape[0], -1)
        return w * s.repeat(32, 1)


def sigmoid(x):
    return f32(1) / (f32(1) + np.exp(-x))


def rmsnorm(x, w, eps):
    return x * (f32(1) / np.sqrt(np.mean(x * x, -1, keepdims=True) + f32(eps))) * w


class Rope:
    def __init__(self, c, compressed):
        dr = c["qk_rope_head_dim"]
        self.f = []
        for i in range(dr // 2):
            if not compressed:
                self.f.append(c["rope_theta"] ** (-2 * i / dr))
                continue
            base, y = c["compress_rope_theta"], c["rope_scaling"]
            turns = lambda n: dr * math.log(y["original_max_position_embeddings"] / (n * 2 * math.pi)) / (2 * math.log(base))
            lo, hi = max(0, math.floor(turns(y["beta_fast"]))), min(dr - 1, math.ceil(turns(y["beta_slow"])))
            g = min(1.0, max(0.0, (i - lo) / (hi - lo)))
            f0 = base ** (-2 * i / dr)
            self.f.append(f0 * (1 - g) + f0 / y["factor"] * g)
        self.f = np.array(self.f, f32)

    def __call__(self, x, p, sign=1):
        a = f32(p) * self.f
        cos, sin = np.cos(a), f32(sign) * np.sin(a)
        n = len(self.f) * 2
        y = x.copy()
        u, v = x[..., -n::2], x[..., x.shape[-1] - n + 1::2]
        y[..., -n::2] = u * cos - v * sin
        y[..., y.shape[-1] - n + 1::2] = u * sin + v * cos
        return y


class Compressor:
    """Section 5, one token at a time. Entries appear in self.out."""

    def __init__(self, w, pre, ratio, rope, eps):
        self.w, self.pre, self.r, self.rope, self.eps = w, pre, ratio, rope, eps
        self.c, self.z, self.prev, self.out = [], [], None, []

    def step(self, x, t):
        w, pre, r = self.w, self.pre, self.r
        ape = w(pre + "ape")
        self.c.append(w(pre + "wkv.weight") @ x)
        self.z.append(w(pre + "wgate.weight") @ x + ape[t % r])
        if t % r != r - 1:
            return
        c, z = np.array(self.c), np.array(self.z)
        d = len(w(pre + "norm.weight"))
        if r == 4:
            rows_c, rows_z = c[:, d:], z[:, d:]
            if self.prev:
                rows_c, rows_z = np.concatenate([self.prev[0], rows_c]), np.concatenate([self.prev[1], rows_z])
            self.prev = (c[:, :d], z[:, :d])
        else:
            rows_c, rows_z = c, z
        e = np.exp(rows_z - rows_z.max(0))
        k = (e / e.sum(0) * rows_c).sum(0)
        self.out.append(self.rope(rmsnorm(k, w(pre + "norm.weight"), self.eps), t + 1 - r))
        self.c, self.z = [], []


class Layer:
    def __init__(self, w, l):
        c = self.c = w.config
        self.w, self.l, self.pre, self.ratio = w, l, f"layers.{l}.", c["compress_ratios"][l]
        self.rope = Rope(c, self.ratio > 0)
        self.ring = []
        eps, a = c["rms_norm_eps"], self.pre + "attn."
        if self.ratio:
            self.comp = Compressor(w, a + "compressor.", self.ratio, self.rope, eps)
        if self.ratio == 4:
            self.icomp = Compressor(w, a + "indexer.compressor.", 4, self.rope, eps)
        self.gap = np.inf          # smallest score distance at the top-k boundary: how safe a comparison is

    def hc_in(self, h, site):
        c, M, w = self.c, self.c["hc_mult"], self.w
        p = self.pre + site
        f = h.reshape(-1)
        z = (w(p + "fn") @ f) / np.sqrt(np.mean(f * f) + f32(c["rms_norm_eps"]))
        base, scale, eps = w(p + "base"), w(p + "scale"), f32(c["hc_eps"])
        pre = sigmoid(z[:M] * scale[0] + base[:M]) + eps
        post = 2 * sigmoid(z[M:2 * M] * scale[1] + base[M:2 * M])
        C = (z[2 * M:] * scale[2] + base[2 * M:]).reshape(M, M)
        C = np.exp(C - C.max(1, keepdims=True))
        C = C / C.sum(1, keepdims=True) + eps
        C = C / (C.sum(0, keepdims=True) + eps)
        for _ in range(c["hc_sinkhorn_iters"] - 1):
            C = C / (C.sum(1, keepdims=True) + eps)
            C = C / (C.sum(0, keepdims=True) + eps)
        return pre @ h, post, C

    def select(self, x, qa, t):
        """Indices of the compressed entries that token t attends to."""
        c, w, n = self.c, self.w, len(self.comp.out)
        if self.ratio != 4 or n <= c["index_topk"]:
            return range(n)
        p, Hi, di = self.pre + "attn.indexer.", c["index_n_heads"], c["index_head_dim"]
        q = self.rope((w(p + "wq_b.weight") @ qa).reshape(Hi, di), t)
        wt = w(p + "weights_proj.weight") @ x * f32((Hi * di) ** -0.5)
        s = wt @ np.maximum(q @ np.array(self.icomp.out).T, 0)
        order = np.argsort(-s, kind="stable")
        k = c["index_topk"]
        self.gap = min(self.gap, s[order[k - 1]] - s[order[k]])
        return order[:k]

    def attention(self, x, t):
        c, w, p = self.c, self.w, self.pre + "attn."
        H, d, eps, G = c["num_attention_heads"], c["head_dim"], c["rms_norm_eps"], c["o_groups"]
        qa = rmsnorm(w(p + "wq_a.weight") @ x, w(p + "q_norm.weight"), eps)
        q = self.rope(rmsnorm((w(p + "wq_b.weight") @ qa).reshape(H, d), f32(1), eps), t)
        kv = self.rope(rmsnorm(w(p + "wkv.weight") @ x, w(p + "kv_norm.weight"), eps), t)
        self.ring = (self.ring + [kv])[-c["sliding_window"]:]
        keys = list(self.ring)
        if self.ratio:
            self.comp.step(x, t)
            if self.ratio == 4:
                self.icomp.step(x, t)
            keys += [self.comp.out[j] for j in self.select(x, qa, t)]
        keys = np.array(keys)
        a = q @ keys.T * f32(d ** -0.5)
        sink = w(p + "attn_sink")[:, None]
        m = np.maximum(a.max(1, keepdims=True), sink)
        e = np.exp(a - m)
        o = e @ keys / (e.sum(1, keepdims=True) + np.exp(sink - m))
        o = self.rope(o, t, -1).reshape(G, -1)
        wa = w(p + "wo_a.weight").reshape(G, c["o_lora_rank"], -1)
        return w(p + "wo_b.weight") @ np.concatenate([wa[g] @ o[g] for g in range(G)])

    def expert(self, x, p, g):
        w, lim = self.w, f32(self.c["swiglu_limit"])
        a = np.minimum(w(p + "w1.weight") @ x, lim)
        b = np.clip(w(p + "w3.weight") @ x, -lim, lim)
        return w(p + "w2.weight") @ (g * (a * sigmoid(a)) * b)

    def moe(self, x, token):
        c, w, p = self.c, self.w, self.pre + "ffn."
        s = np.sqrt(np.logaddexp(f32(0), w(p + "gate.weight") @ x))
        if self.l < c["num_hash_layers"]:
            S = w(p + "gate.tid2eid")[token]
        else:
            S = np.argsort(-(s + w(p + "gate.bias")), kind="stable")[:c["num_experts_per_tok"]]
        g = f32(c["routed_scaling_factor"]) * s[S] / s[S].sum()
        y = self.expert(x, p + "shared_experts.", f32(1))
        for e, ge in zip(S, g):
            y = y + self.expert(x, f"{p}experts.{e}.", ge)
        return y

    def step(self, h, token, t):
        eps = self.c["rms_norm_eps"]
        for site, run in (("attn", lambda x: self.attention(x, t)), ("ffn", lambda x: self.moe(x, token))):
            x, post, C = self.hc_in(h, f"hc_{site}_")
            y = run(rmsnorm(x, self.w(f"{self.pre}{site}_norm.weight"), eps))
            h = post[:, None] * y + C.T @ h
        return h


def logits(folder, tokens):
    """[len(tokens), V] float32, and the smallest top-k gap met on the way."""
    w = Weights(folder)
    c = w.config
    layers = [Layer(w, l) for l in range(c["num_hidden_layers"])]
    out = []
    for t, token in enumerate(tokens):
        h = np.tile(w("embed.weight")[token], (c["hc_mult"], 1))
        for layer in layers:
            h = layer.step(h, token, t)
        f = h.reshape(-1)
        z = (w("hc_head_fn") @ f) / np.sqrt(np.mean(f * f) + f32(c["rms_norm_eps"]))
        x = (sigmoid(z * w("hc_head_scale") + w("hc_head_base")) + f32(c["hc_eps"])) @ h
        out.append(w("head.weight") @ rmsnorm(x, w("norm.weight"), c["rms_norm_eps"]))
    return np.array(out, f32), min(layer.gap for layer in layers)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--model", required=True)
    a.add_argument("--tokens", required=True)
    a.add_argument("--out", required=True)
    a = a.parse_args()
    with open(a.tokens, encoding="utf-8") as f:
        tokens = json.load(f)
    if isinstance(tokens, dict):
        tokens = tokens["tokens"]
    logits(a.model, tokens)[0].astype("<f4").tofile(a.out)


if __name__ == "__main__":
    main()
