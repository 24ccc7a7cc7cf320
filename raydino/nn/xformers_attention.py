"""The optional attention backend of xformers (CUDA only, ``pip install raydino[cuda]``)."""

from __future__ import annotations

from torch import Tensor
from xformers.ops import memory_efficient_attention
from xformers.ops.fmha import BlockDiagonalMask

from raydino.nn.packing import Layout


def xformers_attention(qkv: Tensor, layout: Layout) -> Tensor:
    """[P, 3, heads, head_dim] → [P, heads, head_dim]: all crops in one row, under a block-diagonal mask."""
    query, key, value = (part.unsqueeze(0) for part in qkv.unbind(1))
    lengths = [n_tokens for n_crops, n_tokens in layout.groups for _ in range(n_crops)]
    mask = BlockDiagonalMask.from_seqlens(lengths)
    return memory_efficient_attention(query, key, value, attn_bias=mask).squeeze(0)
