"""softmax(q·kᵀ / √d)·v as batched matrix products, with its own backward pass.

The formula is three lines (``softmax_attention``); what autograd would add around it on a CPU is copies: heads
gathered for each product, three gradients stacked into one, a pass to scale the queries. Here heads are gathered
once, the products scale by themselves, and gradients are written where they belong.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from raydino.nn.packing import Layout, unpack


def softmax_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """The formula, for ``[..., tokens, head_dim]``."""
    scale = query.shape[-1] ** -0.5
    return torch.matmul((query @ key.mT * scale).softmax(dim=-1), value)


def plain(qkv: Tensor, layout: Layout) -> Tensor:
    """``softmax_attention`` group by group: [P, 3, heads, head_dim] → [P, heads, head_dim].

    On a CPU and for the short sequences of crops this beats SDPA (docs/performance.md).
    """
    mixed: Tensor = _Plain.apply(qkv, layout)
    return mixed


class _Plain(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, qkv: Tensor, layout: Layout) -> Tensor:
        mixed, saved = torch.empty_like(qkv[:, 0]), []
        scale = qkv.shape[-1] ** -0.5
        for group, out in zip(unpack(qkv, layout), unpack(mixed, layout), strict=True):
            query, key, value = (_heads(part) for part in group.unbind(2))
            weights = _product(query, key.mT, scale).softmax(dim=-1)
            _put(torch.bmm(weights, value), out)
            saved += [query, key, value, weights]
        ctx.save_for_backward(*saved)
        ctx.layout, ctx.scale = layout, scale
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (d_mixed,) = gradients
        n_tokens, n_heads, head_dim = d_mixed.shape
        d_qkv = d_mixed.new_empty(n_tokens, 3, n_heads, head_dim)
        saved = iter(ctx.saved_tensors)
        for d_out, d_group in zip(unpack(d_mixed, ctx.layout), unpack(d_qkv, ctx.layout), strict=True):
            query, key, value, weights = (next(saved) for _ in range(4))
            d_out = _heads(d_out)
            d_scores = torch._softmax_backward_data(torch.bmm(d_out, value.mT), weights, -1, weights.dtype)
            _put(_product(d_scores, key, ctx.scale), d_group[:, :, 0])
            _put(_product(d_scores.mT, query, ctx.scale), d_group[:, :, 1])
            _put(torch.bmm(weights.mT, d_out), d_group[:, :, 2])
        return d_qkv, None


def _heads(part: Tensor) -> Tensor:
    """[B, T, heads, head_dim] → contiguous [B · heads, T, head_dim]."""
    return part.transpose(1, 2).reshape(-1, part.shape[1], part.shape[3])


def _put(heads: Tensor, target: Tensor) -> None:
    """The inverse of ``_heads``, into ``target`` [B, T, heads, head_dim]."""
    target.copy_(heads.unflatten(0, (target.shape[0], target.shape[2])).transpose(1, 2))


def _product(left: Tensor, right: Tensor, scale: float) -> Tensor:
    """scale · left·right of [N, ., .] in one pass; with beta 0 what stood in the result is not read."""
    result = left.new_empty(left.shape[0], left.shape[1], right.shape[2])
    return result.baddbmm_(left, right, beta=0, alpha=scale)
