"""hcfast.py - the hyper-connection sites (v4-architecture section 2) in plain torch operations."""
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


def hc_in(h, fn, base, scale, iters, hc_eps, rms_eps):
    """h [N,M,D] -> x [N,D], post [N,M], comb [N,M,M]."""
    N, M, D = h.shape
    f = h.reshape(N, M * D)
    z = F.linear(f, fn) * torch.rsqrt(f.square().mean(-1, keepdim=True) + rms_eps)
    pre = torch.sigmoid(z[:, :M] * scale[0] + base[:M]) + hc_eps
    post = 2 * torch.sigmoid(z[:, M:2 * M] * scale[1] + base[M:2 * M])
    comb = sinkhorn((z[:, 2 * M:] * scale[2] + base[2 * M:]).view(N, M, M), iters, hc_eps)
    x = torch.bmm(pre[:, None], h)[:, 0]
    return x, post, comb


def hc_out(y, h, post, comb):
    """h'[k] = post[k] y + sum_j comb[j][k] h[j]."""
    return torch.baddbmm(post[..., None] * y[:, None], comb.transpose(1, 2), h)
