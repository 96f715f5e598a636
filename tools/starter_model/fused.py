"""Autograd functions over fused.c: group norm with SiLU, layer norm, GEGLU, attention.

PyTorch 1.13's own backward passes of these are several times slower than the bf16
convolutions between them. The library is compiled with gcc into the working folder.
"""
import ctypes
import hashlib
import os
import subprocess

import torch

_P, _L, _F, _I = ctypes.c_void_p, ctypes.c_long, ctypes.c_float, ctypes.c_int
_SIG = {
    "gn_forward": [_P, _P, _L, _L, _L, _L, _P, _P, _F, _I, _P, _P],
    "gn_backward": [_P, _P, _P, _L, _L, _L, _L, _P, _P, _I, _P, _P, _P, _P],
    "ln_forward": [_P, _P, _L, _L, _P, _P, _F, _P, _P],
    "ln_backward": [_P, _P, _P, _L, _L, _P, _P, _P, _P, _P],
    "geglu_forward": [_P, _P, _L, _L], "geglu_backward": [_P, _P, _P, _L, _L],
    "attention_forward": [_P] * 5 + [_L] * 5, "attention_backward": [_P] * 9 + [_L] * 5,
    "softmax_forward": [_P, _L, _L, _F], "softmax_backward": [_P, _P, _L, _L, _F],
}


def _build(bf16):
    src = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fused.c")
    tag = hashlib.sha256(open(src, "rb").read()).hexdigest()[:12] + ("b" if bf16 else "f")
    out = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "pumice-starter")
    os.makedirs(out, exist_ok=True)
    lib = os.path.join(out, f"fused-{tag}.so")
    if not os.path.exists(lib):
        tmp = f"{lib}.{os.getpid()}"
        subprocess.run(["gcc", "-O3", "-march=native", "-mprefer-vector-width=512", "-ffast-math", "-shared", "-fPIC"] +
                       (["-DBF16"] if bf16 else []) + [src, "-o", tmp, "-lmvec", "-lm"], check=True)
        os.replace(tmp, lib)
    dll = ctypes.CDLL(lib)
    if not bf16:
        dll.grad_square.argtypes, dll.grad_square.restype = [_P, _P, _L], ctypes.c_double
        dll.adam_step.argtypes, dll.adam_step.restype = [_P] * 6 + [_L] + [_F] * 7, None
    for name, sig in _SIG.items():
        getattr(dll, name).argtypes = sig
        getattr(dll, name).restype = _I if name.startswith("attention") else None
    return dll


_lib = {}


def lib(dtype):
    if dtype not in _lib:
        _lib[dtype] = _build(dtype == torch.bfloat16)
    return _lib[dtype]


class _GroupNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w, b, groups, eps, act):
        x = x.contiguous(memory_format=torch.channels_last)
        y = torch.empty_like(x)
        n, c, h, wd = x.shape
        mean, rstd = torch.empty(n, groups), torch.empty(n, groups)
        lib(x.dtype).gn_forward(x.data_ptr(), y.data_ptr(), n, h * wd, c, groups, w.data_ptr(), b.data_ptr(), eps, int(act),
                                mean.data_ptr(), rstd.data_ptr())
        ctx.save_for_backward(x, w, b, mean, rstd)
        ctx.info = (groups, act)
        return y

    @staticmethod
    def backward(ctx, dy):
        x, w, b, mean, rstd = ctx.saved_tensors
        groups, act = ctx.info
        n, c, h, wd = x.shape
        dy = dy.contiguous(memory_format=torch.channels_last)
        dx, dw, db = torch.empty_like(x), torch.zeros_like(w), torch.zeros_like(b)
        lib(x.dtype).gn_backward(dy.data_ptr(), x.data_ptr(), dx.data_ptr(), n, h * wd, c, groups, w.data_ptr(), b.data_ptr(), int(act),
                                 mean.data_ptr(), rstd.data_ptr(), dw.data_ptr(), db.data_ptr())
        return dx, dw, db, None, None, None


class _LayerNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w, b, eps):
        x = x.contiguous()
        y = torch.empty_like(x)
        c = x.shape[-1]
        rows = x.numel() // c
        mean, rstd = torch.empty(rows), torch.empty(rows)
        lib(x.dtype).ln_forward(x.data_ptr(), y.data_ptr(), rows, c, w.data_ptr(), b.data_ptr(), eps, mean.data_ptr(), rstd.data_ptr())
        ctx.save_for_backward(x, w, mean, rstd)
        return y

    @staticmethod
    def backward(ctx, dy):
        x, w, mean, rstd = ctx.saved_tensors
        dy = dy.contiguous()
        dx, dw, db = torch.empty_like(x), torch.zeros_like(w), torch.zeros_like(w)
        lib(x.dtype).ln_backward(dy.data_ptr(), x.data_ptr(), dx.data_ptr(), x.numel() // x.shape[-1], x.shape[-1], w.data_ptr(),
                                 mean.data_ptr(), rstd.data_ptr(), dw.data_ptr(), db.data_ptr())
        return dx, dw, db, None


class _Geglu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        x = x.contiguous()
        c = x.shape[-1] // 2
        y = torch.empty(x.shape[:-1] + (c,), dtype=x.dtype)
        lib(x.dtype).geglu_forward(x.data_ptr(), y.data_ptr(), x.numel() // (2 * c), c)
        ctx.save_for_backward(x)
        return y

    @staticmethod
    def backward(ctx, dy):
        x, = ctx.saved_tensors
        dx = torch.empty_like(x)
        dy = dy.contiguous()
        c = x.shape[-1] // 2
        lib(x.dtype).geglu_backward(dy.data_ptr(), x.data_ptr(), dx.data_ptr(), x.numel() // (2 * c), c)
        return dx


class _Attention(torch.autograd.Function):
    """q [b,n,d], k and v [b,m,d] with heads folded into b; softmax(q k^T / sqrt(d)) v."""

    @staticmethod
    def forward(ctx, q, k, v):
        p = torch.bmm(q, k.transpose(1, 2))
        scale = q.shape[-1] ** -0.5
        lib(p.dtype).softmax_forward(p.data_ptr(), p.shape[0] * p.shape[1], p.shape[2], scale)
        ctx.save_for_backward(q, k, v, p)
        return torch.bmm(p, v)

    @staticmethod
    def backward(ctx, dy):
        q, k, v, p = ctx.saved_tensors
        dy = dy.contiguous()
        dv = torch.bmm(p.transpose(1, 2), dy)
        dp = torch.bmm(dy, v.transpose(1, 2))
        lib(p.dtype).softmax_backward(dp.data_ptr(), p.data_ptr(), p.shape[0] * p.shape[1], p.shape[2], q.shape[-1] ** -0.5)
        return torch.bmm(dp, k), torch.bmm(dp.transpose(1, 2), q), dv


class _HeadAttention(torch.autograd.Function):
    """q [n,lq,c], k and v [n,lk,c] with the heads side by side in c."""

    @staticmethod
    def forward(ctx, q, k, v, heads):
        q, k, v = q.contiguous(), k.contiguous(), v.contiguous()
        n, lq, c = q.shape
        o, lse = torch.empty_like(q), torch.empty(n, heads, lq)
        dims = (n, lq, k.shape[1], heads, c // heads)
        if lib(q.dtype).attention_forward(q.data_ptr(), k.data_ptr(), v.data_ptr(), o.data_ptr(), lse.data_ptr(), *dims):
            raise ValueError(f"attention heads of {c // heads} are not compiled in")
        ctx.save_for_backward(q, k, v, o, lse)
        ctx.dims = dims
        return o

    @staticmethod
    def backward(ctx, dy):
        q, k, v, o, lse = ctx.saved_tensors
        dy = dy.contiguous()
        dq, dk, dv = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
        lib(q.dtype).attention_backward(dy.data_ptr(), q.data_ptr(), k.data_ptr(), v.data_ptr(), o.data_ptr(), lse.data_ptr(),
                                        dq.data_ptr(), dk.data_ptr(), dv.data_ptr(), *ctx.dims)
        return dq, dk, dv, None


def group_norm(x, w, b, groups, eps, act=False):
    return _GroupNorm.apply(x, w, b, groups, eps, act)


def layer_norm(x, w, b, eps=1e-5):
    return _LayerNorm.apply(x, w, b, eps)


geglu = _Geglu.apply
attention = _Attention.apply
head_attention = _HeadAttention.apply
