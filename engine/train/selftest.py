"""selftest.py - checks of the parts that everything else stands on. Expected values are from the specification."""
import math

import torch

import curriculum
import formats
import hcfast
import model as v4
import reference
import tokenizer as tok


def formats_round_trip():
    for b in [*range(127), *range(128, 255)]:
        assert int(formats.e4m3_bytes(torch.tensor([float(reference.E4M3[b])]))) in (b, b & 127 if b == 128 else b)
    q = torch.tensor(reference.E2M1)
    assert formats.e2m1_bytes(q).tolist() == [2 * i | (2 * i + 1) << 4 for i in range(8)]
    # ties go to the even code: 2.5 lies between codes 4 and 5, 5 between 6 and 7, 0.75 between 1 and 2
    assert formats.e2m1(torch.tensor([2.5, 5.0, 0.75, -0.25, 9.0])).tolist() == [2.0, 4.0, 1.0, 0.0, 6.0]
    assert formats.e4m3(torch.tensor([448.0, 500.0, 17.0, 19.0, 2.0 ** -10])).tolist() == [448, 448, 16, 20, 0]
    assert formats.pow2ceil(torch.tensor([1.0, 1.1, 0.5, 3.0])).tolist() == [1, 2, 0.5, 4]


def split_rules():
    for text, want in (("abc 123", ["abc", " ", "123"]), ("12345", ["123", "45"]), ("if (x);\n\ny", ["if", " (", "x", ");\n\n", "y"]),
                       ("a   b", ["a", "  ", " b"]), ("foo(bar)", ["foo", "(bar", ")"]), ("a \n b  ", ["a", " \n", " b", "  "])):
        assert tok.pieces(text) == want, (text, tok.pieces(text))


def yarn_check_values():
    c = v4.make_config(head_dim=512, qk_rope_head_dim=64)
    f = v4.rope_freqs(c, 4).tolist()
    for i, want in ((0, 1), (1, 0.6876560), (15, 3.6355386e-3), (16, 2.265625e-3), (20, 2.9697778e-4), (24, 1.953125e-5),
                    (25, 5.3723127e-6), (31, 5.680529e-7)):
        assert math.isclose(f[i], want, rel_tol=1e-6), (i, f[i])
        assert math.isclose(reference.Rope(c, True).f[i], want, rel_tol=1e-6)


def padding_changes_nothing():
    torch.manual_seed(0)
    m = v4.Model(v4.make_config(sliding_window=16, index_topk=3, compress_ratios=[4, 128, 0, 0])).eval()
    ids = torch.randint(3, 1000, (1, 150))
    with torch.no_grad():
        whole, part = m(ids), m(ids[:, :41])
    assert (whole[:, :41] - part).abs().max() < 1e-4


def held_out_is_apart():
    import random
    r = random.Random(5)
    held = {m[-1]["content"] for _, m, _ in curriculum.held_out_tasks(60)}
    seen = {m["content"] for _ in range(20000) for m in curriculum.conversation(r, "pro")[0] if m["role"] == "user"}
    assert not held & seen


if __name__ == "__main__":
    for check in (formats_round_trip, split_rules, yarn_check_values, padding_changes_nothing, held_out_is_apart, hcfast.compare):
        check()
        print("ok", check.__name__)
