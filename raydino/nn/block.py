"""The pre-norm transformer block of DINOv2: attention and feed-forward, each with LayerScale.

Shapes: B images, T tokens, D embed_dim. Papers: ViT (2010.11929), LayerScale (2103.17239),
SwiGLU (2002.05202) with the hidden width that DINOv2 uses.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raydino.nn.attention import Attention, plain

FeedForwardKind = Literal["mlp", "swiglu"]


class SelfAttention(nn.Module):
    """Multi-head self-attention with one fused projection. ``backend`` may be exchanged."""

    def __init__(self, dim: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.backend: Attention = plain
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, tokens_BTD: Tensor) -> Tensor:
        B, T, D = tokens_BTD.shape
        qkv = self.qkv(tokens_BTD).view(B, T, 3, self.n_heads, D // self.n_heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        mixed = self.backend(query, key, value)
        return self.proj(mixed.transpose(1, 2).reshape(B, T, D))


class Mlp(nn.Module):
    """Linear, GELU, linear."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class SwiGLU(nn.Module):
    """silu(a)·b of one projection, then linear; two thirds of the MLP's width, rounded up to 8."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        width = (int(hidden * 2 / 3) + 7) // 8 * 8
        self.w_in = nn.Linear(dim, 2 * width)
        self.w_out = nn.Linear(width, dim)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.w_in(x).chunk(2, dim=-1)
        return self.w_out(F.silu(gate) * value)


class LayerScale(nn.Module):
    """One learnt factor a channel, small at first."""

    def __init__(self, dim: int, init: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((dim,), init))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Block(nn.Module):
    """x + ls1(attn(norm1 x)), then x + ls2(ffn(norm2 x))."""

    def __init__(self, dim: int, n_heads: int, mlp_ratio: float, ffn: FeedForwardKind, layerscale_init: float) -> None:
        super().__init__()
        hidden = int(dim * mlp_ratio)
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = SelfAttention(dim, n_heads)
        self.ls1 = LayerScale(dim, layerscale_init)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.ffn: nn.Module = SwiGLU(dim, hidden) if ffn == "swiglu" else Mlp(dim, hidden)
        self.ls2 = LayerScale(dim, layerscale_init)

    def forward(self, tokens_BTD: Tensor) -> Tensor:
        tokens_BTD = tokens_BTD + self.ls1(self.attn(self.norm1(tokens_BTD)))
        return tokens_BTD + self.ls2(self.ffn(self.norm2(tokens_BTD)))
