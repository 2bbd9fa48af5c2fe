"""formats.py - rounding of weights to the released storage formats, and their bytes (v4-checkpoint 3.1).

Every function takes and returns float32 tensors; `pack_*` give the stored integers as well. Scales are
powers of two, so rounded weights are exact in bfloat16.
"""
import torch


def pow2ceil(v):
    m, e = torch.frexp(v)                      # v = m 2^e, m in [0.5, 1)
    return torch.ldexp(torch.ones_like(v), torch.where(m == 0.5, e - 1, e))


def e4m3(x):
    """Nearest E4M3 value (ties to even) of x in [-448, 448]."""
    e = (torch.frexp(x)[1] - 1).clamp(min=-6)
    step = torch.ldexp(torch.ones_like(x), e - 3)
    return (torch.round(x / step) * step).clamp(-448, 448)


def e2m1(x):
    """Nearest E2M1 value (ties to the even code) of x, clamped to [-6, 6]."""
    x = x.clamp(-6, 6)
    e = (torch.frexp(x)[1] - 1).clamp(min=0)
    step = torch.ldexp(torch.ones_like(x), e - 1)
    return torch.round(x / step) * step


def blocks(w, b):
    """[R,C] -> padded [ceil(R/b), b, ceil(C/b), b]."""
    R, C = w.shape[-2:]
    w = torch.nn.functional.pad(w, (0, -C % b, 0, -R % b))
    return w.view(w.shape[0] // b, b, w.shape[1] // b, b)


def split_fp8(w):
    """w -> (E4M3 values, scales [ceil/128, ceil/128])."""
    t = blocks(w, 128)
    s = pow2ceil(t.abs().amax((1, 3)).clamp(min=2.0 ** -100) / 448)
    q = e4m3(t / s[:, None, :, None])
    q = q.reshape(q.shape[0] * 128, -1)[:w.shape[0], :w.shape[1]]
    return q, s


def split_fp4(w):
    """w [..., C] -> (E2M1 values, scales [..., C/32]). Of the scale that clips nothing and the one below,
    the one with the smaller squared error: clipping one outlier often helps the other 31."""
    t = w.reshape(*w.shape[:-1], -1, 32)
    s = pow2ceil(t.abs().amax(-1, keepdim=True).clamp(min=2.0 ** -100) / 6)
    qa, qb = e2m1(t / s), e2m1(t / (s / 2))
    low = (qb * (s / 2) - t).square().sum(-1, keepdim=True) < (qa * s - t).square().sum(-1, keepdim=True)
    q = torch.where(low, qb, qa)
    return q.view_as(w), torch.where(low, s / 2, s)[..., 0]


def round_fp8(w):
    t = blocks(w, 128)
    s = pow2ceil(t.abs().amax((1, 3), keepdim=True).clamp(min=2.0 ** -100) / 448)
    q = e4m3(t / s) * s
    return q.reshape(q.shape[0] * 128, -1)[:w.shape[0], :w.shape[1]].contiguous()


def round_fp4(w):
    q, s = split_fp4(w)
    return (q.view(*s.shape, 32) * s[..., None]).view_as(w)


def e8m0_bytes(s):
    return (torch.frexp(s)[1] - 1 + 127).to(torch.uint8)


def e4m3_bytes(q):
    a = q.abs()
    e = (torch.frexp(a)[1] - 1).clamp(min=-6)
    m = torch.round(torch.ldexp(a, 3 - e)).int()            # 8..15 normal, 0..7 subnormal (e = -6)
    code = torch.where(m >= 8, (e + 7) * 8 + (m - 8), m)
    return (code + 128 * torch.signbit(q).int()).to(torch.uint8)


def e2m1_bytes(q):
    """Two codes a byte along the last dimension; the even element is the low nibble."""
    table = torch.tensor([0, 1, 2, 3, 4, 0, 5, 0, 6, 0, 0, 0, 7], dtype=torch.int32)     # index: 2|q|
    code = table[(q.abs() * 2).long()] + 8 * torch.signbit(q).int()
    return (code[..., 0::2] | (code[..., 1::2] << 4)).to(torch.uint8)


def bf16_bits(x):
    return x.to(torch.bfloat16).view(torch.int16)
