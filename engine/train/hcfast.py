"""hcfast.py - the hyper-connection sites (v4-architecture section 2).

Two forms of the same functions: plain torch operations, and one compiled pass each (hcfast.c) that
training uses when a C compiler is there and there are four streams. `python3 hcfast.py` compares them.
"""
import ctypes
import hashlib
import os
import subprocess
import tempfile

import torch
import torch.nn.functional as F


def sinkhorn(C, iters, eps):
    """C [N, M, M] logits -> doubly stochastic; first index source stream, second destination."""
    C = C.softmax(-1) + eps
    C = C / (C.sum(-2, keepdim=True) + eps)
    for _ in range(iters - 1):
        C = C / (C.sum(-1, keepdim=True) + eps)
        C = C / (C.sum(-2, keepdim=True) + eps)
    return C


def plain_in(h, fn, base, scale, iters, hc_eps, rms_eps):
    """h [N,M,D] -> x [N,D], post [N,M], comb [N,M,M]."""
    N, M, D = h.shape
    f = h.reshape(N, M * D)
    z = F.linear(f, fn) * torch.rsqrt(f.square().mean(-1, keepdim=True) + rms_eps)
    pre = torch.sigmoid(z[:, :M] * scale[0] + base[:M]) + hc_eps
    post = 2 * torch.sigmoid(z[:, M:2 * M] * scale[1] + base[M:2 * M])
    comb = sinkhorn((z[:, 2 * M:] * scale[2] + base[2 * M:]).view(N, M, M), iters, hc_eps)
    x = torch.bmm(pre[:, None], h)[:, 0]
    return x, post, comb


def plain_out(y, h, post, comb):
    """h'[k] = post[k] y + sum_j comb[j][k] h[j]."""
    return torch.baddbmm(post[..., None] * y[:, None], comb.transpose(1, 2), h)


def compiled():
    src = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hcfast.c")
    try:
        with open(src, "rb") as f:
            tag = hashlib.sha256(f.read()).hexdigest()[:16]
        lib = os.path.join(tempfile.gettempdir(), f"hcfast-{os.getuid()}-{tag}.so")
        if not os.path.exists(lib):
            part = f"{lib}.{os.getpid()}"
            subprocess.run(["cc", "-O3", "-march=native", "-mprefer-vector-width=512", "-ffast-math", "-fno-finite-math-only",
                            "-shared", "-fPIC", "-o", part, src, "-lm"], check=True, capture_output=True)
            os.rename(part, lib)
        return ctypes.CDLL(lib)
    except (OSError, subprocess.CalledProcessError):
        return None


LIB = compiled()


def ptr(t):
    return ctypes.c_void_p(t.data_ptr())


def call(name, *args):
    getattr(LIB, name)(*(ptr(a) if torch.is_tensor(a) else ctypes.c_float(a) if isinstance(a, float) else ctypes.c_int(a)
                         for a in args))


class HcIn(torch.autograd.Function):
    @staticmethod
    def forward(ctx, h, fn, base, scale, iters, hc_eps, rms_eps):
        h = h.contiguous()
        N, M, D = h.shape
        z = h.view(N, M * D) @ fn.t()
        r, x = h.new_empty(N), h.new_empty(N, D)
        pre, post, C = h.new_empty(N, M), h.new_empty(N, M), h.new_empty(N, M, M)
        call("hc_in_forward", N, D, iters, hc_eps, rms_eps, h, z, base, scale, r, x, pre, post, C)
        ctx.save_for_backward(h, fn, base, scale, z, r)
        ctx.args = iters, hc_eps
        return x, post, C

    @staticmethod
    def backward(ctx, dx, dpost, dC):
        h, fn, base, scale, z, r = ctx.saved_tensors
        N, M, D = h.shape
        dh, dz, dbase, dscale = torch.empty_like(h), torch.empty_like(z), torch.zeros_like(base), torch.zeros_like(scale)
        call("hc_in_backward", N, D, *ctx.args, h, z, base, scale, r, dx.contiguous(), dpost.contiguous(), dC.contiguous(),
             dh, dz, dbase, dscale)
        dh.view(N, M * D).addmm_(dz, fn)
        return dh, dz.t() @ h.view(N, M * D), dbase, dscale, None, None, None


class HcOut(torch.autograd.Function):
    @staticmethod
    def forward(ctx, y, h, post, C):
        y, h, post, C = y.contiguous(), h.contiguous(), post.contiguous(), C.contiguous()
        out = torch.empty_like(h)
        call("hc_out_forward", h.shape[0], h.shape[2], y, h, post, C, out)
        ctx.save_for_backward(y, h, post, C)
        return out

    @staticmethod
    def backward(ctx, dout):
        y, h, post, C = ctx.saved_tensors
        dy, dh, dpost, dC = torch.empty_like(y), torch.empty_like(h), torch.empty_like(post), torch.empty_like(C)
        call("hc_out_backward", h.shape[0], h.shape[2], y, h, post, C, dout.contiguous(), dy, dh, dpost, dC)
        return dy, dh, dpost, dC


def hc_in(h, *args):
    return HcIn.apply(h, *args) if LIB and h.shape[1] == 4 and args[3] <= 32 else plain_in(h, *args)


def hc_out(y, h, post, comb):
    return HcOut.apply(y, h, post, comb) if LIB and h.shape[1] == 4 else plain_out(y, h, post, comb)


def compare():
    torch.manual_seed(0)
    N, M, D = 50, 4, 48
    leaves = [torch.randn(N, M, D), torch.randn(24, M * D) / 14, torch.randn(24), torch.rand(3) + 0.5, torch.randn(N, D)]
    results = []
    for f_in, f_out in ((hc_in, hc_out), (plain_in, plain_out)):
        h, fn, base, scale, y = xs = [t.clone().requires_grad_() for t in leaves]
        x, post, C = f_in(h, fn, base, scale, 20, 1e-6, 1e-6)
        out = f_out(y + x.sin(), h, post, C)
        (out.cos().sum() + (C * C).sum()).backward()
        results.append([out.detach(), x.detach(), *(t.grad for t in xs)])
    worst = max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(*results))
    print("compiled" if LIB else "no compiler", f"largest relative difference {worst:.1e}")
    assert worst < 1e-4


if __name__ == "__main__":
    compare()
