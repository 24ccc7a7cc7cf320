"""The optional attention backend of xformers (CUDA only, ``pip install raydino[cuda]``)."""

from __future__ import annotations

from torch import Tensor
from xformers.ops import memory_efficient_attention


def xformers_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """``[B, heads, tokens, head_dim]`` in and out; xformers itself wants the heads third."""
    swapped = (t.transpose(1, 2) for t in (query, key, value))
    return memory_efficient_attention(*swapped).transpose(1, 2)
