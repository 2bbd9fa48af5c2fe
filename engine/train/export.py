"""export.py - writes a model folder in the released layout (v4-checkpoint sections 2 and 3).

Usage: export.py --checkpoint FILE.pt --tokenizer tokenizer.json --out DIR
Owns the names, dtypes and order of the stored tensors, and the safetensors file format. Refuses to
decide anything about training: it rounds what it is given.
"""
import argparse
import json
import os
import struct

import numpy as np
import torch

import formats
import model as v4
import reference
import tokenizer as tok

FP8 = ("wq_a.weight", "wq_b.weight", "wkv.weight", "wo_a.weight", "wo_b.weight")


def storage(name):
    """Storage of a parameter in Model's naming: 'fp8', 'fp4', 'bf16' or 'f32'."""
    if ".experts." in name:
        return "fp4"
    if ".shared_experts." in name:
        return "fp8"
    if name.endswith(FP8) and "compressor" not in name:
        return "fp8"
    if "hc_" in name or name.endswith(("ape", "attn_sink", "bias")):
        return "f32"
    return "bf16"


def round_stored(name, w):
    """w as a loader of the exported file will see it. Stacked w1/w3 rows are rounded apart, as they are stored."""
    kind = storage(name)
    if kind == "fp4":
        return formats.round_fp4(w)
    if kind == "fp8":
        if name.endswith("w13"):
            return torch.cat([formats.round_fp8(h) for h in w.chunk(2)])
        return formats.round_fp8(w)
    if kind == "bf16":
        return w.to(torch.bfloat16).float()
    return w


def raw(t):
    return t.contiguous().numpy().tobytes()


def stored(name, w):
    """Yields (name, dtype, shape, bytes) for one logical tensor."""
    kind = storage(name)
    if kind == "f32":
        yield name, "F32", list(w.shape), raw(w.float())
    elif kind == "bf16":
        yield name, "BF16", list(w.shape), raw(formats.bf16_bits(w))
    else:
        q, s = (formats.split_fp8 if kind == "fp8" else formats.split_fp4)(w)
        data = formats.e4m3_bytes(q) if kind == "fp8" else formats.e2m1_bytes(q)
        yield name, "F8_E4M3" if kind == "fp8" else "I8", list(data.shape), raw(data)
        yield name[:-len("weight")] + "scale", "F8_E8M0", list(s.shape), raw(formats.e8m0_bytes(s))


def tensors(m):
    """All stored tensors of a Model: experts unstacked, w13 split into w1 (gate) and w3 (up)."""
    for name, p in m.named().items():
        w = p.detach().float()
        if name.endswith(".experts.w13"):
            for e, we in enumerate(w):
                for part, half in zip(("w1", "w3"), we.chunk(2)):
                    yield from stored(name.replace("w13", f"{e}.{part}.weight"), half)
        elif name.endswith(".experts.w2"):
            for e, we in enumerate(w):
                yield from stored(name.replace("w2", f"{e}.w2.weight"), we)
        elif name.endswith("shared_experts.w13"):
            for part, half in zip(("w1", "w3"), w.chunk(2)):
                yield from stored(name.replace("w13", f"{part}.weight"), half)
        else:
            yield from stored(name, w)
    for l, t in m.tid2eid.items():
        yield f"layers.{l}.ffn.gate.tid2eid", "I64", list(t.shape), raw(t)
    for l, b in m.bias.items():
        yield f"layers.{l}.ffn.gate.bias", "F32", list(b.shape), raw(b)


def write_safetensors(path, items):
    """Returns the sum of tensor bytes. Wide elements first, so that every tensor is aligned to its own size."""
    width = {"I64": 8, "F32": 4, "BF16": 2}
    items = sorted(items, key=lambda x: (-width.get(x[1], 1), x[0]))
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, dtype, shape, data in items:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(head)) + head)
        for x in items:
            f.write(x[3])
    return at, [x[0] for x in items]


def dump(path, obj, indent=2):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(obj, f, ensure_ascii=False, indent=indent, separators=None if indent else (",", ":"))
        f.write("\n")


def write_model(m, spec, folder):
    """The whole folder: weights, index, configuration and tokenizer."""
    os.makedirs(folder, exist_ok=True)
    shard = "model-00001-of-00001.safetensors"
    total, names = write_safetensors(f"{folder}/{shard}", tensors(m))
    dump(f"{folder}/model.safetensors.index.json",
         {"metadata": {"total_size": total}, "weight_map": {n: shard for n in names}}, None)
    dump(f"{folder}/config.json", m.config)
    # do_sample false, unlike the release: models this small should be asked greedily unless the caller says otherwise
    dump(f"{folder}/generation_config.json", {"_from_model_config": True, "bos_token_id": 0, "eos_token_id": 1,
                                              "do_sample": False, "temperature": 1.0, "top_p": 1.0})
    dump(f"{folder}/tokenizer.json", spec, None)
    special = lambda t: {"__type": "AddedToken", "content": t, "lstrip": False, "normalized": True,
                         "rstrip": False, "single_word": False}
    dump(f"{folder}/tokenizer_config.json", {
        "add_bos_token": False, "add_eos_token": False, "bos_token": special(tok.BOS), "eos_token": special(tok.EOS),
        "pad_token": special(tok.EOS), "unk_token": None, "clean_up_tokenization_spaces": False,
        "model_max_length": m.config["max_position_embeddings"], "tokenizer_class": "PreTrainedTokenizerFast"})


def read_model(folder):
    """A Model (model.py) with the weights of an exported folder."""
    w = reference.Weights(folder)
    m = v4.Model(w.config)
    get = lambda n: torch.from_numpy(np.array(w(n)))
    for name, p in m.named().items():
        E = w.config["n_routed_experts"]
        if name.endswith(".experts.w13"):
            pre = name[:-3]
            v = torch.stack([torch.cat([get(f"{pre}{e}.w1.weight"), get(f"{pre}{e}.w3.weight")]) for e in range(E)])
        elif name.endswith(".experts.w2"):
            v = torch.stack([get(f"{name[:-2]}{e}.w2.weight") for e in range(E)])
        elif name.endswith("shared_experts.w13"):
            v = torch.cat([get(name[:-3] + "w1.weight"), get(name[:-3] + "w3.weight")])
        else:
            v = get(name)
        p.data.copy_(v)
    for l in m.tid2eid:
        m.tid2eid[l] = get(f"layers.{l}.ffn.gate.tid2eid")
    for l in m.bias:
        m.bias[l] = get(f"layers.{l}.ffn.gate.bias")
    return m.eval()


def load_checkpoint(path):
    s = torch.load(path, map_location="cpu")
    m = v4.Model(s["config"])
    for k, p in m.named().items():
        p.data.copy_(s["params"][k])
    m.tid2eid, m.bias = s["tid2eid"], s["bias"]
    return m


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--checkpoint", required=True)
    a.add_argument("--tokenizer", required=True)
    a.add_argument("--out", required=True)
    a = a.parse_args()
    with open(a.tokenizer, encoding="utf-8") as f:
        spec = json.load(f)
    write_model(load_checkpoint(a.checkpoint), spec, a.out)


if __name__ == "__main__":
    main()
