"""vectors.py - random-weights test models and the test vectors of all bundled models.

Usage: vectors.py random            writes models/tiny-random, models/tiny-random-k16 and their vectors
       vectors.py chat MODEL...     writes a short vector (one chat prompt) for each named trained model
       vectors.py tokens MODEL      writes vectors/tokens.jsonl: texts and chats with their ids
Every vector is computed by reference.py and checked against model.py before it is written.
"""
import json
import os
import sys

import numpy as np
import torch

import export
import model as v4
import reference
import tokenizer as tok

MODELS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "models")

SMALL = dict(vocab_size=265, hidden_size=32, num_attention_heads=4, head_dim=80, qk_rope_head_dim=16,
             q_lora_rank=32, o_groups=2, o_lora_rank=16, moe_intermediate_size=32, index_n_heads=16,
             index_head_dim=32, index_topk=8)
RANDOM = {
    "tiny-random": dict(SMALL, num_hidden_layers=3, compress_ratios=[0, 4, 128, 0], n_routed_experts=6,
                        num_experts_per_tok=2, num_hash_layers=1),
    # Many experts a token, a compressed first layer as in Pro, and o_groups = heads.
    "tiny-random-k16": dict(SMALL, num_hidden_layers=3, compress_ratios=[128, 4, 0, 0], n_routed_experts=20,
                            num_experts_per_tok=16, num_hash_layers=1, num_attention_heads=2,
                            routed_scaling_factor=2.5),
}


def random_model(config, seed):
    """Weights that leave no path degenerate: at zero sinks, bases or biases a wrong sign would not show."""
    m = v4.Model(config, seed)
    g = torch.Generator().manual_seed(seed + 1)
    rnd = lambda p: torch.randn(p.shape, generator=g)
    for name, p in m.named().items():
        if name.endswith("attn_sink"):
            p.data = rnd(p)
        elif name.endswith("base"):
            p.data = rnd(p)
        elif name.endswith("_scale"):
            p.data = 0.7 + 0.3 * rnd(p)
        elif name.endswith("ape"):
            p.data = 0.7 * rnd(p)
        elif "norm" in name:
            p.data = 1 + 0.2 * rnd(p)
        elif name.endswith(("experts.w13", "shared_experts.w13")):
            p.data = 6 * p.data           # large enough for the SwiGLU clamp to act now and then
    for l in m.bias:
        m.bias[l] = 0.3 * torch.randn(config["n_routed_experts"], generator=g)
    return m


def write_vector(name, tokens, positions, note, **more):
    folder = f"{MODELS}/{name}"
    ref, gap = reference.logits(folder, tokens)
    with torch.no_grad():
        fast = export.read_model(folder)(torch.tensor([tokens]))[0].numpy()
    diff = float(np.abs(ref - fast).max())
    print(f"{name}: {len(tokens)} tokens, |logits| <= {np.abs(ref).max():.2f}, reference - model {diff:.1e}, top-k gap {gap:.1e}")
    assert diff < 1e-4, "the two implementations disagree"
    os.makedirs(f"{MODELS}/vectors", exist_ok=True)
    ref[positions].astype("<f4").tofile(f"{MODELS}/vectors/{name}.bin")
    export.dump(f"{MODELS}/vectors/{name}.json", {
        "model": name, "note": note, "vocab": ref.shape[1], "tolerance": 1e-3, "logits": f"{name}.bin",
        **more, "positions": positions, "tokens": tokens}, None)
    return gap


def write_random():
    spec = tok.build([])
    for name, over in RANDOM.items():
        g = torch.Generator().manual_seed(7)
        tokens = [0] + torch.randint(3, 259, (330,), generator=g).tolist()
        positions = sorted({*range(0, 10), *range(30, 40), *range(124, 133), 160, *range(252, 262), *range(325, 331)})
        # A seed with no near tie at any top-k boundary, so that summation order cannot change the selection.
        for seed in range(100):
            export.write_model(random_model(v4.make_config(**over), seed), spec, f"{MODELS}/{name}")
            gap = write_vector(name, tokens, positions, "random weights; window, ring wrap, HCA x2, CSA mid-window, top-k")
            if gap > 2e-5:
                break


def write_chat(name):
    t = tok.Tokenizer.load(f"{MODELS}/{name}")
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 17 + 25?"},
                {"role": "assistant", "content": "42"}, {"role": "user", "content": "Capital of France?"}]
    tokens = t.chat(messages) + t.encode("Paris") + [t.eos]
    write_vector(name, tokens, list(range(len(tokens) - 12, len(tokens))), "a chat of two turns", messages=messages)


TEXTS = ("", " ", "Hello world", "What is 17 + 25?", "1234567 12 3.14 ½²३ ٣٤٥", "a  b   c", "trailing   ", "tab\t\tx",
         "a\n\nb", "x;\n\ny", "  \n  \n  z", "a \r\n b", "\r\n\r\n", "don't can't \"quoted\" (bar) {\"name\": \"Anna\"}", "$var @user #tag 5%",
         "naïve café Ünïcode e\u0301", "漢字かなカナ・中黒 mixed漢字abc123", "Привет, мир! Γειά", "🙂🙂 ok 👩\u200d👩\u200d👧", "\u00a0nbsp\u3000ideographic\u2028line",
         "\x1c\x1f\x00 control", "<think>not a marker</think>", tok.USER + "typed by a user" + tok.EOS, "a_b-c.d/e\\f", "...!!!\n", " .\n x", "१२३४ abc")
CHATS = ([{"role": "user", "content": "Hi"}], [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "7*8"}],
         [{"role": "user", "content": "Capital of France?"}, {"role": "assistant", "content": "Paris"},
          {"role": "user", "content": "and <｜User｜> of Italy?"}])


def write_tokens(name):
    t = tok.Tokenizer.load(f"{MODELS}/{name}")
    with open(f"{MODELS}/vectors/tokens.jsonl", "w", encoding="utf-8") as f:
        for s in TEXTS:
            assert "".join(tok.pieces(s)) == s and t.decode(t.encode(s)) == s
            f.write(json.dumps({"model": name, "text": s, "pieces": tok.pieces(s), "ids": t.encode(s)}) + "\n")
        for c in CHATS:
            f.write(json.dumps({"model": name, "messages": c, "ids": t.chat(c)}) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["random"]:
        write_random()
    elif sys.argv[1:2] == ["chat"]:
        for arg in sys.argv[2:]:
            write_chat(arg)
    elif sys.argv[1:2] == ["tokens"]:
        write_tokens(sys.argv[2])
    else:
        sys.exit(__doc__)
