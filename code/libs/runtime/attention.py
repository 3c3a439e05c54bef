"""Attention in bfloat16 on a processor, by products of whole matrices.

PyTorch's fused function computes the weights of a few tokens at a time and forgets them, as a GPU's
small caches demand. A processor's cache holds the weights of whole heads, and its bf16 units are
fastest at large products. Taking a few heads at a time takes about half as long.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode

CACHED = 5 << 20  # bytes of weights that are computed at a time
FEW = 1 << 16  # weights in all, below which the calls themselves take longest
LARGEST = 40.0  # of a score: bfloat16 holds exp(40), sums of it, and gradients divided by these


class ProductAttention(TorchFunctionMode):
    """Within this context, F.scaled_dot_product_attention is `attend` where that is faster.

    That is, for bfloat16 on a CPU and no mask; not while the fused function is switched off, as in
    PyTorch's `sdpa_kernel`.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention and len(args) == 3 and not kwargs:
            found = attend(*args)
            if found is not None:
                return found
        return func(*args, **kwargs)


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor | None:
    """softmax(q k^T / sqrt(head_dim)) v (Vaswani et al. 2017, eq. 1).

    Args:
        q: [B, heads, N, head_dim].
        k, v: [B, heads, M, head_dim].

    Returns:
        [B, heads, N, head_dim], or None where PyTorch's function has to be taken: the numbers are
        not bfloat16 on a CPU, there are too few of them, or a score's exponential may overflow.
    """
    if any(x.dtype is not torch.bfloat16 or x.device.type != "cpu" for x in (q, k, v)):
        return None
    alike = q.dim() == 4 and k.shape == v.shape and q.shape[:2] == k.shape[:2]
    if not alike or not torch.backends.cuda.flash_sdp_enabled():
        return None
    if k.shape[2] == 1:
        return OneToken.apply(q, k, v)
    if q.shape[:3].numel() * k.shape[2] < FEW:
        return None
    k = k - k.mean(dim=2, keepdim=True)  # the softmax stays the same, the scores get smaller
    scale = q.shape[-1] ** -0.5
    with torch.no_grad():
        largest = scale * longest(q) * longest(k)
    return Products.apply(q, k, v, scale) if largest < LARGEST else None


def longest(vectors: Tensor) -> float:
    """The largest norm along the last axis."""
    return torch.linalg.vector_norm(vectors, dim=-1).max().item()


class OneToken(torch.autograd.Function):
    """Attention to a single token: the softmax of one score is 1."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return v.expand_as(q).clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        of_v = gradient.sum(dim=2, keepdim=True)
        return torch.zeros_like(gradient), torch.zeros_like(of_v), of_v


class Products(torch.autograd.Function):
    """softmax(scale q k^T) v; the scores must be small.

    The backward pass computes the weights again, and with the sums of the forward pass (Dao et al.
    2022, "FlashAttention", appendix B.2). Powers of 2 are faster than those of e.
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        ctx.heads, ctx.scale = q.shape[:2], scale
        q, k, v = (q * (scale / math.log(2))).flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1)
        out, total = torch.empty_like(q), q.new_empty(*q.shape[:2], 1)
        pieces, (weights,) = split(q, k, v, out, total)
        for q_, k_, v_, out_, total_ in pieces:
            w = powers(q_, k_, weights)
            torch.sum(w, dim=-1, keepdim=True, out=total_)
            torch.bmm(w, v_, out=out_)
        out /= total
        ctx.save_for_backward(q, k, v, out, total)
        return out.unflatten(0, ctx.heads)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, out, total = ctx.saved_tensors
        gradient = gradient.flatten(0, 1)
        mean = (gradient * out).sum(dim=-1, keepdim=True)
        g, against = ((x / total).to(q.dtype) for x in (gradient, -mean))
        of_q, of_k, of_v = (torch.empty_like(x) for x in (q, k, v))
        # against a column of ones, `against` takes the weights' mean gradient off each one's own
        inputs = q, k, F.pad(v, (0, 1), value=1.0), g, torch.cat([g, against], dim=-1)
        pieces, (weights, scores) = split(*inputs, of_q, of_k, of_v, buffers=2)
        for q_, k_, v1_, g_, g1_, of_q_, of_k_, of_v_ in pieces:
            w = powers(q_, k_, weights)
            torch.bmm(w.transpose(1, 2), g_, out=of_v_)
            s = torch.bmm(g1_, v1_.transpose(1, 2), out=scores[: len(q_)]).mul_(w)
            torch.bmm(s, k_, out=of_q_)
            torch.bmm(s.transpose(1, 2), q_, out=of_k_)
        of_q, of_k = of_q * ctx.scale, of_k * math.log(2)
        return *(x.unflatten(0, ctx.heads) for x in (of_q, of_k, of_v)), None


def powers(q: Tensor, k: Tensor, buffer: Tensor) -> Tensor:
    """2^(q k^T), [heads, N, M], in a buffer for at least as many heads."""
    return torch.bmm(q, k.transpose(1, 2), out=buffer[: len(q)]).exp2_()


def split(
    q: Tensor, k: Tensor, *others: Tensor, buffers: int = 1
) -> tuple[Iterator[tuple[Tensor, ...]], list[Tensor]]:
    """Tensors [B * heads, ...] in pieces whose weights fit into the cache; buffers for these."""
    number = max(1, CACHED // (q.element_size() * q.shape[1] * k.shape[1]))
    pieces = zip(*(x.split(number) for x in (q, k, *others)), strict=True)
    return pieces, [q.new_empty(number, q.shape[1], k.shape[1]) for _ in range(buffers)]
