"""Attention over crops of all sizes in one call, by PyTorch's variable-length flash attention (CUDA)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.attention.varlen import varlen_attn

from raydino.nn.attention import sdpa
from raydino.nn.packing import Layout


def varlen(qkv: Tensor, layout: Layout) -> Tensor:
    """[P, 3, heads, head_dim] → [P, heads, head_dim].

    The kernel takes half precision and a head_dim that 8 divides; anything else goes through ``sdpa``.
    """
    if qkv.dtype not in (torch.bfloat16, torch.float16) or qkv.shape[-1] % 8:
        return sdpa(qkv, layout)
    query, key, value = qkv.unbind(1)
    boundaries = layout.boundaries(qkv.device)
    mixed = varlen_attn(query, key, value, boundaries, boundaries, layout.longest, layout.longest)
    return mixed if isinstance(mixed, Tensor) else mixed[0]
