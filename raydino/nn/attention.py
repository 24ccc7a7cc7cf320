"""Attention backends side by side: the same result, different speed.

Each backend is a function of packed query, key and value in one tensor ``[P, 3, heads, head_dim]`` and of the
``Layout`` that says which tokens belong together (``nn.packing``); it returns ``[P, heads, head_dim]``. Dense ones
take group by group, crops of one size at a time; packed ones take all crops in one call. All are compared with
softmax(q·kᵀ / √d)·v, crop by crop, in the tests.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from raydino.errors import UserError
from raydino.nn.packing import Layout, unpack
from raydino.registry import Registry

Attention = Callable[[Tensor, Layout], Tensor]

ATTENTION_BACKENDS = Registry(
    "attention backend",
    "raydino.attention",
    {
        "plain": "raydino.nn.attention:plain",
        "sdpa": "raydino.nn.attention:sdpa",
        "varlen": "raydino.nn.varlen_attention:varlen",
        "xformers": "raydino.nn.xformers_attention:xformers_attention",
    },
)


def softmax_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(q·kᵀ / √d)·v of ``[B, heads, tokens, head_dim]`` as two batched products."""
    scale = query.shape[-1] ** -0.5
    weights = torch.matmul(query * scale, key.transpose(-2, -1)).softmax(dim=-1)
    return torch.matmul(weights, value)


def plain(qkv: Tensor, layout: Layout) -> Tensor:
    """``softmax_attention``, group by group.

    On a CPU and for the short sequences of crops this beats SDPA, whose forward pass alone takes longer at 257 tokens
    (docs/performance.md).
    """
    return _by_group(softmax_attention, qkv, layout)


def sdpa(qkv: Tensor, layout: Layout) -> Tensor:
    """PyTorch's fused scaled-dot-product attention, group by group."""
    return _by_group(F.scaled_dot_product_attention, qkv, layout)


def choose(name: str, device: torch.device) -> Attention:
    """The backend called ``name``, proved to run on ``device``.

    ``auto`` is plain on a CPU; elsewhere varlen where it runs, else sdpa. Raises UserError with the backend's own
    reason when one that was asked for does not run.
    """
    if name == "auto":
        if device.type == "cpu":
            return plain
        varlen: Attention = ATTENTION_BACKENDS.get("varlen")
        return varlen if _why_not(varlen, device) is None else sdpa
    backend: Attention = ATTENTION_BACKENDS.get(name)
    if reason := _why_not(backend, device):
        raise UserError(
            f"attention backend {name!r} does not run on {device.type} here ({reason})",
            remedy="set runtime.attention=auto",
        )
    return backend


def _by_group(dense: Callable[[Tensor, Tensor, Tensor], Tensor], qkv: Tensor, layout: Layout) -> Tensor:
    mixed = []
    for group in unpack(qkv, layout):  # [B, T, 3, heads, head_dim]
        query, key, value = (part.transpose(1, 2) for part in group.unbind(2))
        mixed.append(dense(query, key, value).transpose(1, 2).flatten(0, 1))
    return mixed[0] if len(mixed) == 1 else torch.cat(mixed)


def _why_not(backend: Attention, device: torch.device) -> str | None:
    """None when ``backend`` passes a small forward and backward pass on ``device`` in bf16 or else fp32."""
    reasons = []
    for dtype in (torch.bfloat16, torch.float32):
        try:
            qkv = torch.ones(6, 3, 1, 64, device=device, dtype=dtype, requires_grad=True)
            backend(qkv, Layout(((1, 4), (1, 2)))).sum().backward()
        except (ImportError, NotImplementedError, RuntimeError, ValueError, TypeError) as error:
            reasons.append(str(error).strip().partition("\n")[0][:200] or type(error).__name__)
        else:
            return None
    return reasons[0]
