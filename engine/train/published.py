"""published.py - logits of an exported model with the roundings of the published inference code ("mode A").

Usage: published.py --model DIR --tokens FILE.json --out FILE.bin
       published.py vectors          writes models/vectors/tiny-random-published.{json,bin}

v4-architecture section 8, on top of reference.py's token-by-token pass: only what is rounded is here. It is what
`tollgate-engine logits --published` is checked against. Weights of FP8 and FP4 meet activations rounded to FP8; since
all scales are powers of two, products of the rounded values in float32 are those of the FP8 hardware.
"""
import argparse
import json
import os
import sys

import numpy as np

import reference as ref

f32 = np.float32


def bf(x):
    """Round to bfloat16, ties to even."""
    b = np.ascontiguousarray(x, f32).view(np.uint32)
    return ((b + 0x7FFF + (b >> 16 & 1)) & np.uint32(0xFFFF0000)).view(f32)


def pow2_ceil(v):
    m, e = np.frexp(v)                       # v = m * 2^e, 0.5 <= m < 1
    return np.ldexp(f32(1), np.where(m == 0.5, e - 1, e)).astype(f32)


def nearest(x, values):
    """The nearest of the sorted magnitudes `values`, ties to the even index; the sign kept."""
    a = np.abs(x)
    i = np.clip(np.searchsorted(values, a), 1, len(values) - 1)
    low, high = a - values[i - 1], values[i] - a
    i = np.where((low < high) | ((low == high) & (i % 2 == 1)), i - 1, i)
    return np.copysign(values[i], x).astype(f32)


E4M3 = ref.E4M3[:127]
E2M1 = ref.E2M1[:8]


def grouped(x, group, least, largest, values):
    y = np.array(x, f32)
    for at in range(0, x.shape[-1], group):
        v = y[..., at:at + group]
        amax = np.maximum(np.abs(v).max(-1, keepdims=True), f32(least))
        s = pow2_ceil(amax * f32(1 / 448) if largest == 448 else amax / f32(6))
        y[..., at:at + group] = nearest(np.clip(v / s, -largest, largest), values) * s
    return y


def fp8(x, group):
    return grouped(x, group, 1e-4, 448, E4M3)


def fp4(x):
    return grouped(x, 32, 6 * 2.0 ** -126, 6, E2M1)


def hadamard(x):
    n = x.shape[-1]
    h = np.ones((1, 1), f32)
    while len(h) < n:
        h = np.block([[h, h], [h, -h]])
    return x @ h * f32(n ** -0.5)


def norm(x, w, eps):
    return bf(ref.rmsnorm(x, w, eps))


class Compressor(ref.Compressor):
    """Pools as reference.py does; the entry is rounded when it is made, once."""

    def __init__(self, w, pre, rope, eps, ratio, keep):
        super().__init__(w, pre, ratio, lambda k, p: self.finish(k, p), eps)
        self.turn, self.keep = rope, keep          # keep: channels in front of the rotated ones, 0 for the indexer

    def finish(self, k, p):
        k = bf(self.turn(bf(k), p))
        if self.keep:
            k[:self.keep] = fp8(k[:self.keep], 64)
            return k
        return fp4(bf(hadamard(k)))

    def step(self, x, t):
        # The pooled vector is rounded before the norm, which reference.py does in one expression: round there.
        real, ref.rmsnorm = ref.rmsnorm, lambda k, w, eps: real(bf(k), w, eps)
        try:
            super().step(x, t)
        finally:
            ref.rmsnorm = real


class Layer(ref.Layer):
    def __init__(self, w, l):
        super().__init__(w, l)
        c, eps, a = self.c, self.c["rms_norm_eps"], self.pre + "attn."
        self.keep = c["head_dim"] - c["qk_rope_head_dim"]
        if self.ratio:
            self.comp = Compressor(w, a + "compressor.", self.rope, eps, self.ratio, self.keep)
        if self.ratio == 4:
            self.icomp = Compressor(w, a + "indexer.compressor.", self.rope, eps, 4, 0)

    def linear(self, name, x):
        """A product with a quantised weight."""
        return bf(self.w(name) @ fp8(x, 128))

    def select(self, x, qa, t):
        c, w, n = self.c, self.w, len(self.comp.out)
        if self.ratio != 4 or n <= c["index_topk"]:
            return range(n)
        p, Hi, di = self.pre + "attn.indexer.", c["index_n_heads"], c["index_head_dim"]
        q = fp4(bf(hadamard(bf(self.rope(self.linear(p + "wq_b.weight", qa).reshape(Hi, di), t)))))
        wt = bf(bf(w(p + "weights_proj.weight") @ x) * f32((Hi * di) ** -0.5))
        dots = np.maximum(bf(q @ np.array(self.icomp.out).T), 0)
        s = bf(bf(wt[:, None] * dots).sum(0))
        order = np.argsort(-s, kind="stable")
        return order[:c["index_topk"]]

    def attention(self, x, t):
        c, w, p = self.c, self.w, self.pre + "attn."
        H, d, eps, G = c["num_attention_heads"], c["head_dim"], c["rms_norm_eps"], c["o_groups"]
        qa = norm(self.linear(p + "wq_a.weight", x), w(p + "q_norm.weight"), eps)
        q = self.linear(p + "wq_b.weight", qa).reshape(H, d)
        mean = bf(np.mean(q * q, -1, keepdims=True))
        q = bf(q * bf(f32(1) / np.sqrt(bf(mean + f32(eps)))))
        q = bf(self.rope(q, t))
        kv = bf(self.rope(norm(self.linear(p + "wkv.weight", x), w(p + "kv_norm.weight"), eps), t))
        kv[:self.keep] = fp8(kv[:self.keep], 64)
        self.ring = (self.ring + [kv])[-c["sliding_window"]:]
        keys = list(self.ring)
        if self.ratio:
            self.comp.step(x, t)
            if self.ratio == 4:
                self.icomp.step(x, t)
            keys += [self.comp.out[j] for j in self.select(x, qa, t)]
        keys = np.array(keys)
        a = q @ keys.T * f32(d ** -0.5)
        m = a.max(1, keepdims=True)
        e = np.exp(a - m)
        o = bf(e) @ keys / (e.sum(1, keepdims=True) + np.exp(w(p + "attn_sink")[:, None] - m))
        o = bf(self.rope(bf(o), t, -1)).reshape(G, -1)
        wa = w(p + "wo_a.weight").reshape(G, c["o_lora_rank"], -1)
        return self.linear(p + "wo_b.weight", bf(np.concatenate([wa[g] @ o[g] for g in range(G)])))

    def expert(self, x, p, g):
        lim = f32(self.c["swiglu_limit"])
        a = np.minimum(self.linear(p + "w1.weight", x), lim)
        b = np.clip(self.linear(p + "w3.weight", x), -lim, lim)
        return self.linear(p + "w2.weight", bf(g * (a * ref.sigmoid(a)) * b))

    def step(self, h, token, t):
        eps = self.c["rms_norm_eps"]
        for site, run in (("attn", lambda x: self.attention(x, t)), ("ffn", lambda x: bf(self.moe(x, token)))):
            x, post, C = self.hc_in(h, f"hc_{site}_")
            y = run(norm(bf(x), self.w(f"{self.pre}{site}_norm.weight"), eps))
            h = bf(post[:, None] * y + C.T @ h)
        return h


def logits(folder, tokens):
    w = ref.Weights(folder)
    c = w.config
    layers = [Layer(w, l) for l in range(c["num_hidden_layers"])]
    out = []
    for t, token in enumerate(tokens):
        h = np.tile(w("embed.weight")[token], (c["hc_mult"], 1))
        for layer in layers:
            h = layer.step(h, token, t)
        f = h.reshape(-1)
        z = (w("hc_head_fn") @ f) / np.sqrt(np.mean(f * f) + f32(c["rms_norm_eps"]))
        x = bf((ref.sigmoid(z * w("hc_head_scale") + w("hc_head_base")) + f32(c["hc_eps"])) @ h)
        out.append(w("head.weight") @ norm(x, w("norm.weight"), c["rms_norm_eps"]))
    return np.array(out, f32)


def write_vectors():
    models = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "models")
    with open(f"{models}/vectors/tiny-random.json", encoding="utf-8") as f:
        v = json.load(f)
    got = logits(f"{models}/tiny-random", v["tokens"])
    v["note"] = "the roundings of the published inference code"
    v["logits"] = "tiny-random-published.bin"
    got[v["positions"]].astype("<f4").tofile(f"{models}/vectors/{v['logits']}")
    with open(f"{models}/vectors/tiny-random-published.json", "w", encoding="utf-8") as f:
        json.dump(v, f, separators=(",", ":"))
        f.write("\n")


def main():
    if sys.argv[1:] == ["vectors"]:
        write_vectors()
        return
    a = argparse.ArgumentParser()
    a.add_argument("--model", required=True)
    a.add_argument("--tokens", required=True)
    a.add_argument("--out", required=True)
    a = a.parse_args()
    with open(a.tokens, encoding="utf-8") as f:
        tokens = json.load(f)
    if isinstance(tokens, dict):
        tokens = tokens["tokens"]
    logits(a.model, tokens).astype("<f4").tofile(a.out)


if __name__ == "__main__":
    main()
