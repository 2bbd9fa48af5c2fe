"""train.py - trains one bundled model on the curriculum.

Usage: train.py tokenizer --out tokenizer.json
       train.py grow --source FLASH/checkpoint.pt --dir DIR          starts tiny-pro from a trained tiny-flash
       train.py run --level flash|pro --tokenizer tokenizer.json --dir DIR --minutes N [--seed N]

DIR gets checkpoint.pt (every few minutes, resumable: run the same command again) and log.jsonl. The
schedule follows elapsed training time, so that a busy machine shortens training instead of cutting it:
warm-up, cosine to a tenth of that, then the last part with weights rounded to FP8 and FP4 in the forward pass
(straight-through gradients), which is what makes the exported model as good as the trained one.
"""
import argparse
import json
import math
import os
import random
import time
from collections import Counter

import torch
import torch.nn.functional as F

import curriculum
import export
import model as v4
import tokenizer as tok

VOCAB = 1024
SIZES = {
    "flash": dict(hidden_size=128, num_hidden_layers=3, compress_ratios=[0, 4, 128, 0], n_routed_experts=8,
                  num_attention_heads=4, q_lora_rank=128, o_lora_rank=64, moe_intermediate_size=128),
    "pro": dict(hidden_size=128, num_hidden_layers=5, compress_ratios=[0, 4, 128, 4, 128, 0], n_routed_experts=16,
                num_attention_heads=4, q_lora_rank=128, o_lora_rank=64, moe_intermediate_size=128,
                routed_scaling_factor=2.5),
}
BATCH_TOKENS = {"flash": 2048, "pro": 1280}     # padded tokens a step
LR = {"flash": 3e-3, "pro": 1.5e-3}
QAT_FROM = 0.85               # share of the time after which weights are rounded in the forward pass
QAT_EVERY = 8                 # steps between refreshes of the rounding offsets; they move slowly at this rate


def make_tokenizer(path):
    r, counts = random.Random(0), Counter()
    for _ in range(30000):
        for m in curriculum.conversation(r, "pro")[0]:
            counts.update(tok.pieces(m["content"]))
    merges = tok.learn_merges(counts, VOCAB - 256 - len(tok.SPECIAL) - len(tok.ADDED_TAIL))
    export.dump(path, tok.build(merges), None)


def batches(t, level, seed, weight):
    """Endless (ids [B,T], positions, targets): positions are flat, the targets are the answers' tokens and EOS.
    weight {skill: share} may change between calls."""
    r = random.Random(seed)
    while True:
        # One in twenty opens with <think>: these models think nothing, but a client may ask them to.
        pool = [t.chat(curriculum.conversation(r, level, weight=weight)[0], r.random() < 0.05) for _ in range(3000)]
        # A few long ones, so that the compressed entries of HCA layers are met in training.
        pool += [t.chat(curriculum.conversation(r, level, turns=r.randrange(4, 9))[0]) for _ in range(12)]
        for _ in range(12):
            chat = curriculum.conversation(r, level)[0]
            pool.append(t.chat([{"role": "system", "content": curriculum.long_system(r)}, *(m for m in chat if m["role"] != "system")]))
        pool.sort(key=len)
        groups, cur = [], []
        for ids in pool:
            if cur and (len(cur) + 1) * len(ids) > BATCH_TOKENS[level]:
                groups.append(cur)
                cur = []
            cur.append(ids)
        groups.append(cur)
        r.shuffle(groups)
        for g in groups:
            yield tensors(g, t)


def tensors(g, t):
    T = max(map(len, g))
    ids = torch.full((len(g), T), 2)
    opens, at, want = (t.added[tok.THINK], t.added[tok.END_THINK]), [], []
    for b, s in enumerate(g):
        ids[b, :len(s)] = torch.tensor(s)
        inside = False
        for i, x in enumerate(s):
            if inside:
                at.append(b * T + i - 1)
                want.append(x)
                inside = x != t.eos
            elif x in opens:
                inside = True
    return ids, torch.tensor(at), torch.tensor(want)


def offsets(m):
    """name -> rounded minus exact, for every weight that is stored in FP8 or FP4."""
    with torch.no_grad():
        return {n: export.round_stored(n, p.data) - p.data for n, p in m.named().items() if export.storage(n) in ("fp8", "fp4")}


def accuracy(m, t, level, tasks):
    """{skill: share right}. All answer tokens are the argmax given the right prefix: the same as greedy exact match."""
    m.eval()
    right, total = Counter(), Counter()
    rows = [(s, t.chat(msgs) + t.encode(curriculum.taught(s, a, level)) + [t.eos]) for s, msgs, a in tasks]
    rows.sort(key=lambda x: len(x[1]))
    with torch.no_grad():
        for k in range(0, len(rows), 64):
            part = rows[k:k + 64]
            ids, at, want = tensors([x[1] for x in part], t)
            bad = set(torch.div(at[m(ids, at).argmax(-1) != want], ids.shape[1], rounding_mode="floor").tolist())
            for b, (s, _) in enumerate(part):
                total[s] += 1
                right[s] += b not in bad
    m.train()
    return {s: right[s] / total[s] for s in total}


def focus(weight, level, acc):
    """More practice where held-out accuracy is low: its errors only choose skills, never tasks."""
    for s, w in curriculum.weights(level).items():
        weight[s] = w * (0.15 + 1 - acc.get(s, 0.5))


def groups(m, lr):
    """No decay for vectors and hyper-connection parameters: decay would pull their carefully set start to zero."""
    decay = [p for n, p in m.named().items() if p.dim() > 1 and "hc_" not in n and "ape" not in n and "embed" not in n]
    ids = {id(p) for p in decay}
    rest = [p for p in m.parameters() if id(p) not in ids]
    return [{"params": decay, "weight_decay": 0.05}, {"params": rest, "weight_decay": 0.0}]


GROWN = {0: 0, 1: 1, 4: 2}    # layer of tiny-pro <- layer of tiny-flash of the same ratio; the others are new


def grow(source, folder, seed):
    """The first checkpoint of tiny-pro: tiny-flash with two more layers and twice the experts, computing nearly
    the same function. New layers add nothing yet (their last products are zero) and keep the streams apart;
    new experts are copies, and the bias keeps them out of the choice until balancing lets them in."""
    s = torch.load(source)
    old, E = s["params"], s["config"]["n_routed_experts"]
    m = v4.Model(v4.make_config(**{**SIZES["pro"], "vocab_size": s["config"]["vocab_size"]}), seed)
    g = torch.Generator().manual_seed(seed)
    ratio = s["config"]["routed_scaling_factor"] / m.config["routed_scaling_factor"]
    for name, p in m.named().items():
        part = name.split(".", 2)
        if part[0] == "layers" and int(part[1]) not in GROWN:
            if name.endswith(("wo_b.weight", "experts.w2", "shared_experts.w2.weight")):
                p.data.zero_()
            elif name.endswith("base"):
                p.data[8:] = 8 * torch.eye(4).flatten()
            continue
        w = old[name if part[0] != "layers" else f"layers.{GROWN[int(part[1])]}.{part[2]}"]
        if ".experts." in name:
            w = torch.cat([w, w + 0.02 * w.std() * torch.randn(w.shape, generator=g)])
            if name.endswith("w2"):
                w = w * ratio
        elif name.endswith(".gate.weight"):
            hashed = int(part[1]) < m.config["num_hash_layers"]
            w = torch.cat([w, w + (0 if hashed else 0.5) * w.std() * torch.randn(w.shape, generator=g)])
        p.data.copy_(w)
    for l, t in m.tid2eid.items():
        m.tid2eid[l] = s["tid2eid"][GROWN[l]] + E * torch.randint(2, s["tid2eid"][GROWN[l]].shape, generator=g)
    for l in m.bias:
        if l in GROWN:
            m.bias[l] = torch.cat([s["bias"][GROWN[l]], s["bias"][GROWN[l]] - 0.3])
    os.makedirs(folder, exist_ok=True)
    easy = {k: 0.95 if k in curriculum.EASY or k in curriculum.OTHER else 0.0 for k in curriculum.SKILLS}
    torch.save({"config": m.config, "params": {n: p.data for n, p in m.named().items()}, "tid2eid": m.tid2eid, "bias": m.bias,
                "opt": None, "state": {"step": 0, "seconds": 0.0, "examples": 0, "tokens": 0, "acc": easy}}, f"{folder}/checkpoint.pt")


def run(a):
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    os.makedirs(a.dir, exist_ok=True)
    with open(a.tokenizer, encoding="utf-8") as f:
        t = tok.Tokenizer(json.load(f))
    m = v4.Model(v4.make_config(vocab_size=t.size, **SIZES[a.level]), a.seed)
    opt = torch.optim.AdamW(groups(m, a.lr), lr=a.lr, betas=(0.9, 0.98))
    state, path = {"step": 0, "seconds": 0.0, "examples": 0, "tokens": 0}, f"{a.dir}/checkpoint.pt"
    if os.path.exists(path):
        s = torch.load(path)
        assert s["config"] == m.config, "this checkpoint has another shape"
        for n, p in m.named().items():
            p.data.copy_(s["params"][n])
        m.tid2eid, m.bias, state = s["tid2eid"], s["bias"], s["state"]
        if s["opt"]:
            opt.load_state_dict(s["opt"])
    m.train()
    tasks = curriculum.held_out_tasks(40, seed=2)
    weight = curriculum.weights(a.level)
    focus(weight, a.level, state.get("acc", {}))
    data = batches(t, a.level, a.seed * 1000003 + state["step"], weight)
    total, begun, last_eval, losses = a.minutes * 60, time.time() - state["seconds"], time.time(), []

    def save():
        torch.save({"config": m.config, "params": {n: p.data for n, p in m.named().items()}, "tid2eid": m.tid2eid, "bias": m.bias,
                    "opt": opt.state_dict(), "state": state}, path + ".part")
        os.replace(path + ".part", path)

    while state["seconds"] < total:
        done = state["seconds"] / total
        rate = a.lr * min(1, (state["step"] + 1) / 100) * (0.02 + 0.98 * (0.5 + 0.5 * math.cos(math.pi * done)))
        for g in opt.param_groups:
            g["lr"] = rate
        late = done >= QAT_FROM
        m.iters = m.config["hc_sinkhorn_iters"] if late else 6     # 6 already converge near the identity; 20 cost a tenth
        if late and (m.quant is None or state["step"] % QAT_EVERY == 0):
            m.quant = offsets(m)
        ids, at, want = next(data)
        loss = F.cross_entropy(m(ids, at), want)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(m.parameters(), 1.0)
        opt.step()
        for l, b in m.bias.items():                                # towards an even load; used for choosing only
            n = m.load[l].float()
            b += 0.002 * (1 - done) * torch.sign(n.mean() - n)
        losses.append(loss.item())
        state["step"] += 1
        state["examples"] += len(ids)
        state["tokens"] += ids.numel()
        state["seconds"] = time.time() - begun
        if time.time() - last_eval > 180 or state["seconds"] >= total:
            m.iters, keep = m.config["hc_sinkhorn_iters"], m.quant
            m.quant = offsets(m) if late else None
            acc = accuracy(m, t, a.level, tasks)
            m.quant = keep
            state["acc"] = acc
            focus(weight, a.level, acc)
            line = {"minutes": round(state["seconds"] / 60, 1), **{k: state[k] for k in ("step", "examples", "tokens")}, "lr": round(rate, 6),
                    "loss": round(sum(losses) / len(losses), 4), "mean": round(sum(acc.values()) / len(acc), 3),
                    "acc": {k: round(v, 2) for k, v in acc.items()}}
            print(json.dumps(line), flush=True)
            with open(f"{a.dir}/log.jsonl", "a", encoding="utf-8") as f:
                f.write(json.dumps(line) + "\n")
            save()
            losses, last_eval = [], time.time()


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = a.add_subparsers(dest="command", required=True)
    b = sub.add_parser("tokenizer")
    b.add_argument("--out", required=True)
    b = sub.add_parser("run")
    b.add_argument("--level", choices=SIZES, required=True)
    b.add_argument("--tokenizer", required=True)
    b.add_argument("--dir", required=True)
    b.add_argument("--minutes", type=float, required=True)
    b.add_argument("--seed", type=int, default=1)
    b.add_argument("--lr", type=float)
    b = sub.add_parser("grow")
    b.add_argument("--source", required=True)
    b.add_argument("--dir", required=True)
    b.add_argument("--seed", type=int, default=1)
    a = a.parse_args()
    if a.command == "grow":
        return grow(a.source, a.dir, a.seed)
    if a.command == "tokenizer":
        return make_tokenizer(a.out)
    a.lr = a.lr or LR[a.level]
    run(a)


if __name__ == "__main__":
    main()
