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
from raydino.nn.plain_attention import plain
from raydino.registry import Registry

Attention = Callable[[Tensor, Layout], Tensor]

ATTENTION_BACKENDS = Registry(
    "attention backend",
    "raydino.attention",
    {
        "plain": "raydino.nn.plain_attention:plain",
        "sdpa": "raydino.nn.attention:sdpa",
        "varlen": "raydino.nn.varlen_attention:varlen",
        "xformers": "raydino.nn.xformers_attention:xformers_attention",
    },
)


def sdpa(qkv: Tensor, layout: Layout) -> Tensor:
    """PyTorch's fused scaled-dot-product attention, group by group."""
    return _by_group(F.scaled_dot_product_attention, qkv, layout)


def choose(name: str, device: torch.device) -> Attention:
    """The backend called ``name``, proved to run on ``device``.

    ``auto`` is plain on a CPU; elsewhere varlen where it runs, else sdpa. Raises UserError with the backend's own
    reason when one that was asked for does not run.
    """
    if name != "auto":
        return _proved(name, device)
    if device.type == "cpu":
        return plain
    try:
        return _proved("varlen", device)
    except UserError:
        return sdpa


def _by_group(dense: Callable[[Tensor, Tensor, Tensor], Tensor], qkv: Tensor, layout: Layout) -> Tensor:
    mixed = []
    for group in unpack(qkv, layout):  # [B, T, 3, heads, head_dim]
        query, key, value = (part.transpose(1, 2) for part in group.unbind(2))
        mixed.append(dense(query, key, value).transpose(1, 2).flatten(0, 1))
    return mixed[0] if len(mixed) == 1 else torch.cat(mixed)


def _proved(name: str, device: torch.device) -> Attention:
    """Load a backend and let it do a small forward and backward pass."""
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    try:
        backend: Attention = ATTENTION_BACKENDS.get(name)
        qkv = torch.ones(6, 3, 1, 64, device=device, dtype=dtype, requires_grad=True)
        backend(qkv, Layout(((1, 4), (1, 2)))).sum().backward()
    except (ImportError, OSError, RuntimeError, ValueError, TypeError) as error:  # what plugins and kernels raise
        reason = str(error).strip().partition("\n")[0][:200] or type(error).__name__
        raise UserError(
            f"attention backend {name!r} does not run on {device.type} here ({reason})",
            remedy="set runtime.attention=auto",
        ) from None
    return backend
