"""evaluate.py - how good the exported models are, alone and as a cascade.

Usage: evaluate.py [--per-skill N] [--write]
Greedy decoding of held-out tasks (see curriculum.py for the split) with the weights as exported. The cascade
asks tiny-flash, and tiny-pro when flash's answer is empty, a refusal, or not JSON where JSON was asked:
what a gateway can check without knowing the answer. --write stores ../models/accuracy.json, heldout.jsonl
and demo.json.

A refusal counts as wrong, except in the skill "unknown", whose right answer it is; that skill is listed
but kept out of the totals.
"""
import argparse
import json
import os
import time

import torch

import curriculum
import export
import tokenizer as tok

MODELS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "models")
# Ordinary prompts, in order of preference; the first that both models treat as wanted becomes the demo.
DEMO_EASY = ("What is the capital of France?", "What is 17 + 25?", "Capital of Italy?", "How many days are in a week?", "Sort 5 2 9")
DEMO_HARD = ("Extract name, age and city as JSON: Anna is 34 years old and lives in Rome.", "What is 12 x 12?",
             "What day comes after February 14?", "Convert 3 km to m", "How many letters in banana?", "What is 7 times 8?")


class Chat:
    def __init__(self, folder):
        self.m, self.t = export.read_model(folder), tok.Tokenizer.load(folder)

    def answer(self, chats, most=48, batch=64):
        """Greedy answers, in order. No cache: each step runs the whole sequences again."""
        seqs = [self.t.chat(c) for c in chats]
        out = [[] for _ in seqs]
        order = sorted(range(len(seqs)), key=lambda i: len(seqs[i]))
        for k in range(0, len(order), batch):
            live = order[k:k + batch]
            for _ in range(most):
                T = max(len(seqs[i]) + len(out[i]) for i in live)
                ids = torch.full((len(live), T), 2)
                for b, i in enumerate(live):
                    s = seqs[i] + out[i]
                    ids[b, :len(s)] = torch.tensor(s)
                at = torch.tensor([b * T + len(seqs[i]) + len(out[i]) - 1 for b, i in enumerate(live)])
                with torch.no_grad():
                    best = self.m(ids, at).argmax(-1).tolist()
                for i, x in zip(live, best):
                    out[i].append(x)
                live = [i for i in live if out[i][-1] != self.t.eos]
                if not live:
                    break
        return [self.t.decode([x for x in o if x != self.t.eos]) for o in out]


def passes(answer, wants_json):
    """The checks of the cascade: not empty, not refused, JSON where asked."""
    if not answer.strip() or answer.startswith(curriculum.REFUSAL[:14]):
        return False
    if wants_json:
        try:
            json.loads(answer)
        except ValueError:
            return False
    return True


def demo(flash, pro, right):
    """The pair of prompts for a demonstration, verified by decoding."""
    found = {}
    for kind, prompts in (("easy", DEMO_EASY), ("escalates", DEMO_HARD)):
        for p in prompts:
            chats = [[{"role": "user", "content": p}],
                     [{"role": "system", "content": "You are a helpful assistant."}, {"role": "user", "content": p}]]
            f, g = flash.answer(chats), pro.answer(chats)
            want = right[p]
            if kind == "easy" and f == [want] * 2 or kind == "escalates" and f == [curriculum.REFUSAL] * 2 and g == [want] * 2:
                found[kind] = {"prompt": p, "answer": want}
                break
            print("demo prompt not usable:", p, f, g)
    return found


RIGHT = {"What is the capital of France?": "Paris", "What is 17 + 25?": "42", "Capital of Italy?": "Rome",
         "How many days are in a week?": "7", "Sort 5 2 9": "2 5 9", "What is 12 x 12?": "144", "What is 7 times 8?": "56",
         "Extract name, age and city as JSON: Anna is 34 years old and lives in Rome.": '{"name": "Anna", "age": 34, "city": "Rome"}',
         "What day comes after February 14?": "February 15", "Convert 3 km to m": "3000 m", "How many letters in banana?": "6"}


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--per-skill", type=int, default=170)
    a.add_argument("--write", action="store_true")
    a = a.parse_args()
    torch.set_num_threads(1)
    tasks = curriculum.held_out_tasks(a.per_skill)
    chats = [m for _, m, _ in tasks]
    flash, pro = Chat(f"{MODELS}/tiny-flash"), Chat(f"{MODELS}/tiny-pro")
    said = {}
    for name, model in (("flash", flash), ("pro", pro)):
        begun = time.time()
        said[name] = model.answer(chats)
        print(f"{name}: {len(tasks)} tasks in {time.time() - begun:.0f} s")
    ok = [passes(f, "json" in s) for (s, _, _), f in zip(tasks, said["flash"])]
    said["cascade"] = [f if good else p for good, f, p in zip(ok, said["flash"], said["pro"])]
    table = {}
    for skill in [*curriculum.SKILLS, "all"]:
        rows = [i for i, t in enumerate(tasks) if t[0] == skill or skill == "all" and t[0] not in curriculum.OTHER]
        row = {"tasks": len(rows), "taught_to_flash": "-" if skill == "all" else skill not in curriculum.HARD}
        for name in said:
            row[name] = round(sum(said[name][i] == tasks[i][2] for i in rows) / len(rows), 4)
        row["escalated"] = round(sum(not ok[i] for i in rows) / len(rows), 4)
        # what escalation cannot mend: flash answered, passed the checks, and was wrong
        row["flash_wrong_unnoticed"] = round(sum(ok[i] and said["flash"][i] != tasks[i][2] for i in rows) / len(rows), 4)
        table[skill] = row
    print("| skill | tasks | tiny-flash | tiny-pro | flash -> pro | escalated | wrong, unnoticed |")
    print("|---|---|---|---|---|---|---|")
    for s, r in table.items():
        print(f"| {s}{'' if r['taught_to_flash'] else ' *'} | {r['tasks']} | " + " | ".join(
            f"{100 * r[k]:.1f}" for k in ("flash", "pro", "cascade", "escalated", "flash_wrong_unnoticed")) + " |")
    for name in ("flash", "pro"):
        wrong = [(t[1][-1]["content"], x, t[2]) for t, x in zip(tasks, said[name])
                 if x != t[2] and not (name == "flash" and x == curriculum.REFUSAL)]
        print(f"{name}: some wrong answers:", wrong[::max(1, len(wrong) // 12)][:12])
    if a.write:
        export.dump(f"{MODELS}/accuracy.json", {
            "what": "held-out accuracy, greedy, exported weights; a refusal is wrong except in 'unknown', which 'all' leaves out",
            "cascade_checks": ["not_empty", "not_refused", "valid_json where JSON was asked"], "skills": table})
        with open(f"{MODELS}/heldout.jsonl", "w", encoding="utf-8") as f:
            for s, m, ans in tasks:
                f.write(json.dumps({"skill": s, "messages": m, "answer": ans}, ensure_ascii=False, separators=(",", ":")) + "\n")
    pair = demo(flash, pro, RIGHT)
    print(json.dumps(pair))
    if a.write:
        export.dump(f"{MODELS}/demo.json", pair)


if __name__ == "__main__":
    main()
