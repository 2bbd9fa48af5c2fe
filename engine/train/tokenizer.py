"""tokenizer.py - byte-level BPE in the released layout: learning, encoding, the chat format.

Owns the split rules of v4-tokenizer-and-chat.md section 1.1 written out by hand (Python's re has no
\\p classes) and the rendering of messages to token ids in chat mode. Text of messages never becomes a
control token: only the template itself emits those.
"""
import json
import unicodedata
from functools import lru_cache

BOS, EOS, PAD = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"
USER, ASST = "<｜User｜>", "<｜Assistant｜>"
THINK, END_THINK, DSML, REMINDER = "<think>", "</think>", "｜DSML｜", "<｜latest_reminder｜>"
SPECIAL = (BOS, EOS, PAD)                              # the only ones flagged special, as released
ADDED_TAIL = (USER, ASST, THINK, END_THINK, DSML, REMINDER)

PUNCT = set("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
# Unicode White_Space; str.isspace() would add U+001C..U+001F, which the regex class does not have.
SPACE = set("\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | {chr(c) for c in range(0x2000, 0x200b)}

SPLITS = (
    r"\p{N}{1,3}",
    "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
    r"""| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+""",
)


@lru_cache(maxsize=None)
def cls(ch):
    return unicodedata.category(ch)[0]


def byte_alphabet():
    """Byte -> printable character, GPT-2 style."""
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table, n = {}, 0
    for b in range(256):
        if b in keep:
            table[b] = chr(b)
        else:
            table[b] = chr(256 + n)
            n += 1
    return table


BYTE = byte_alphabet()
UNBYTE = {v: k for k, v in BYTE.items()}


def run(s, i, test):
    while i < len(s) and test(s[i]):
        i += 1
    return i


def split_runs(s, test, limit=None):
    """Pieces of s: runs for which test holds (cut every `limit`) and the gaps between them."""
    out, i = [], 0
    while i < len(s):
        hit = test(s[i])
        j = run(s, i, lambda ch: bool(test(ch)) == bool(hit))
        if hit and limit:
            out += [s[k:min(k + limit, j)] for k in range(i, j, limit)]
        else:
            out.append(s[i:j])
        i = j
    return out


def word_end(s, i):
    """End of the match of the third split at i, or i when no alternative matches."""
    n, ch = len(s), s[i]
    ascii_letter = lambda c: c.isascii() and c.isalpha()
    letter = lambda c: cls(c) in "LM"
    sign = lambda c: cls(c) in "PS"
    if ch in PUNCT and i + 1 < n and ascii_letter(s[i + 1]):
        return run(s, i + 1, ascii_letter)
    if ch not in "\r\n" and cls(ch) not in "LPS" and i + 1 < n and letter(s[i + 1]):
        return run(s, i + 1, letter)
    if letter(ch):
        return run(s, i, letter)
    k = i + 1 if ch == " " else i
    if k < n and sign(s[k]):
        return run(s, run(s, k, sign), lambda c: c in "\r\n")
    if ch not in SPACE:
        return i
    j = run(s, i, SPACE.__contains__)
    for e in range(j, i, -1):                     # \s*[\r\n]+ gives back up to the last line end of the run
        if s[e - 1] in "\r\n":
            return e
    if j == n or j - i == 1:                      # \s+(?!\S) at the end of the piece; else \s+ of one
        return j
    return j - 1                                  # the last space goes with the word that follows


def split_words(s):
    out, i, gap = [], 0, 0
    while i < len(s):
        e = word_end(s, i)
        if e == i:
            i += 1
            continue
        if gap < i:
            out.append(s[gap:i])
        out.append(s[i:e])
        i = gap = e
    if gap < len(s):
        out.append(s[gap:])
    return out


def is_cjk(c):
    return "\u4e00" <= c <= "\u9fa5" or "\u3040" <= c <= "\u30ff"


def pieces(s):
    out = []
    for a in split_runs(s, lambda c: cls(c) == "N", 3):
        for b in split_runs(a, is_cjk):
            out += split_words(b)
    return out


class Tokenizer:
    def __init__(self, spec):
        self.spec = spec
        self.vocab = spec["model"]["vocab"]
        self.rank = {tuple(m.split(" ") if isinstance(m, str) else m): r for r, m in enumerate(spec["model"]["merges"])}
        self.added = {a["content"]: a["id"] for a in spec["added_tokens"]}
        self.text = {i: t for t, i in self.vocab.items()}
        self.text.update({i: t for t, i in self.added.items()})
        self.size = max(self.text) + 1
        self.bos, self.eos = self.added[BOS], self.added[EOS]
        self.cache = {}

    @classmethod
    def load(cls_, folder):
        with open(f"{folder}/tokenizer.json", encoding="utf-8") as f:
            return cls_(json.load(f))

    def bpe(self, piece):
        ids = self.cache.get(piece)
        if ids is None:
            sym = [BYTE[b] for b in piece.encode("utf-8")]
            while len(sym) > 1:
                r, k = min((self.rank.get(p, 1 << 30), k) for k, p in enumerate(zip(sym, sym[1:])))
                if r == 1 << 30:
                    break
                sym[k:k + 2] = [sym[k] + sym[k + 1]]
            ids = self.cache[piece] = [self.vocab[t] for t in sym]
        return ids

    def encode(self, s):
        """Plain text to ids; marker text stays text."""
        return [i for p in pieces(s) for i in self.bpe(p)]

    def decode(self, ids):
        out = b""
        for i in ids:
            t = self.text[i]
            out += t.encode() if t in self.added else bytes(UNBYTE[c] for c in t)
        return out.decode("utf-8", "replace")

    def chat(self, messages, thinking=False):
        """Messages to ids. A final user turn opens the assistant's. With thinking, answers have an empty
        reasoning part: <think></think>. (The released encoder drops old reasoning; an empty one is the same.)"""
        a, ids = self.added, [self.bos]
        last = [m for m in messages if m["role"] == "user"][-1]
        for m in messages:
            t = self.encode(m["content"])
            if m["role"] == "system":
                ids += t
            elif m["role"] == "user":
                ids += [a[USER], *t, a[ASST], a[THINK if thinking and m is last else END_THINK]]
            else:
                ids += [*([a[END_THINK]] if ids[-1] == a[THINK] else []), *t, self.eos]
        return ids


def learn_merges(counts, n):
    """n merges from {piece: count}. Number pieces are left out, so that each digit stays one token."""
    words = [([BYTE[b] for b in p.encode("utf-8")], k) for p, k in counts.items() if cls(p[0]) != "N"]
    merges = []
    while len(merges) < n:
        pairs = {}
        for sym, k in words:
            for p in zip(sym, sym[1:]):
                pairs[p] = pairs.get(p, 0) + k
        if not pairs:
            break
        best = max(pairs.items(), key=lambda x: (x[1], x[0]))     # the pair itself breaks ties: reproducible
        if best[1] < 2:
            break
        a, b = best[0]
        merges.append(f"{a} {b}")
        for sym, _ in words:
            i = 0
            while i + 1 < len(sym):
                if sym[i] == a and sym[i + 1] == b:
                    sym[i:i + 2] = [a + b]
                i += 1
    return merges


def build(merges):
    """tokenizer.json as a dict: BOS, EOS, pad, 256 bytes, merges, then the remaining added tokens."""
    names = [BYTE[b] for b in range(256)] + [m.replace(" ", "") for m in merges]
    vocab = {t: 3 + i for i, t in enumerate(dict.fromkeys(names))}
    tail = 3 + len(vocab)
    added = [*zip(range(3), SPECIAL), *zip(range(tail, tail + len(ADDED_TAIL)), ADDED_TAIL)]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": t not in SPECIAL, "special": t in SPECIAL} for i, t in added],
        "normalizer": {"type": "Sequence", "normalizers": []},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            *({"type": "Split", "pattern": {"Regex": r}, "behavior": "Isolated", "invert": False} for r in SPLITS),
            level]},
        "post_processor": dict(level, use_regex=True), "decoder": dict(level, use_regex=True),
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
                  "vocab": vocab, "merges": merges},
    }
