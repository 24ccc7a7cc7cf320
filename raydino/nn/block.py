"""The pre-norm transformer block of DINOv2: attention and feed-forward, each with LayerScale.

Shapes: B images, T tokens, D embed_dim; or P packed tokens of crops of several sizes (``nn.packing``).
Papers: ViT (2010.11929), LayerScale (2103.17239), SwiGLU (2002.05202) with the hidden width that DINOv2 uses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from raydino.nn.attention import Attention, plain
from raydino.nn.drop_path import DropPath, Kept, add_residual
from raydino.nn.packing import Layout, pack

FeedForwardKind = Literal["mlp", "swiglu"]


class SelfAttention(nn.Module):
    """Multi-head self-attention with one fused projection. ``backend`` may be exchanged."""

    def __init__(self, dim: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.backend: Attention = plain
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, tokens: Tensor, layout: Layout | None = None) -> Tensor:
        """[B, T, D], or packed [P, D] with their layout; returns the same shape."""
        if layout is None:
            layout = Layout(((tokens.shape[0], tokens.shape[1]),))
        qkv = self.qkv(tokens).view(-1, 3, self.n_heads, tokens.shape[-1] // self.n_heads)
        return self.proj(self.backend(qkv, layout).reshape(tokens.shape))


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
    """x + ls1(attn(norm1 x)), then x + ls2(ffn(norm2 x)); stochastic depth on both while training.

    ``recompute``: keep no activations for the backward pass but run the block again (``checkpoint_blocks``).
    """

    def __init__(self, dim: int, n_heads: int, mlp_ratio: float, ffn: FeedForwardKind, layerscale_init: float) -> None:
        super().__init__()
        hidden = int(dim * mlp_ratio)
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = SelfAttention(dim, n_heads)
        self.ls1 = LayerScale(dim, layerscale_init)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.ffn: nn.Module = SwiGLU(dim, hidden) if ffn == "swiglu" else Mlp(dim, hidden)
        self.ls2 = LayerScale(dim, layerscale_init)
        self.drop_path = DropPath()
        self.recompute = False

    def forward(self, tokens: Tensor, layout: Layout | None = None) -> Tensor:
        """[B, T, D], or packed [P, D] with their layout; returns the same shape."""
        if layout is None and self.drop_path.is_active:
            packed, layout = pack([tokens])
            return self(packed, layout).view_as(tokens)
        kept = [self.drop_path.draw(layout, tokens.device) if layout is not None else None for _ in range(2)]
        if self.recompute and torch.is_grad_enabled():
            # No random numbers are drawn inside, so there is no state to keep.
            again: Tensor = checkpoint(self.run, tokens, layout, *kept, use_reentrant=False, preserve_rng_state=False)
            return again
        return self.run(tokens, layout, *kept)

    def run(self, tokens: Tensor, layout: Layout | None, kept1: Kept | None, kept2: Kept | None) -> Tensor:
        """Both residual branches, with the draws of stochastic depth made (``nn.compiled`` compiles this)."""
        tokens = _add(self._mix, tokens, layout, kept1)
        return _add(self._feed, tokens, layout, kept2)

    def _mix(self, tokens: Tensor, layout: Layout | None) -> Tensor:
        return self.ls1(self.attn(self.norm1(tokens), layout))

    def _feed(self, tokens: Tensor, layout: Layout | None) -> Tensor:
        return self.ls2(self.ffn(self.norm2(tokens)))


def checkpoint_blocks(module: nn.Module, every: int = 1) -> None:
    """Activation checkpointing of every ``every``-th block of ``module``; 0 turns it off.

    Each such block keeps only its input and runs again in the backward pass: a third more work for those blocks.
    """
    for index, block in enumerate(child for child in module.modules() if isinstance(child, Block)):
        block.recompute = every > 0 and index % every == 0


def _add(
    branch: Callable[[Tensor, Layout | None], Tensor], tokens: Tensor, layout: Layout | None, kept: Kept | None
) -> Tensor:
    if kept is None or layout is None:
        return tokens + branch(tokens, layout)
    return add_residual(branch, tokens, layout, kept)
