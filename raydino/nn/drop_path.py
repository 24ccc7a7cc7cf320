"""Stochastic depth over samples (1603.09382), in DINOv2's two forms (paper §5, code layers/block.py).

Above a rate of 0.1 a residual branch sees only a random subset of the crops, (1 - rate) of each group and at
least one, and their residuals are scaled by crops / kept: less work, the same mean. Up to 0.1 the gather would
cost more than it saves, so all crops are computed and each is dropped by itself. Nothing is dropped in eval.

The draws come from a generator of each block's own, seeded by ``reseed_drop_path``: a function of (seed, step), so
that a resumed run repeats them. They are made before the branch runs, on the CPU: the same on any device, and the
same when activation checkpointing runs it a second time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from raydino.nn.packing import Layout

SUBSET_ABOVE = 0.1  # the rate above which a subset pays


class Kept(NamedTuple):
    """What a residual branch computes: packed ``rows`` (None: all), their ``layout``, a factor [rows, 1] for each."""

    rows: Tensor | None
    layout: Layout
    scale: Tensor


class DropPath(nn.Module):
    """The rate of one block, and the generator of its draws."""

    def __init__(self) -> None:
        super().__init__()
        self.rate = 0.0
        self.reseed(0, 0, 0)

    def reseed(self, seed: int, step: int, block: int) -> None:
        """Begin the draws of ``step`` anew."""
        self._entropy = (seed, step, block)
        self._generator: torch.Generator | None = None

    @property
    def is_active(self) -> bool:
        """Whether anything is dropped now."""
        return self.training and self.rate > 0

    def draw(self, layout: Layout, device: torch.device) -> Kept | None:
        """For one branch: which of the packed crops to compute; None for all of them as they are."""
        if not self.is_active:
            return None
        if self._generator is None:
            state = np.random.SeedSequence(self._entropy).generate_state(1, np.uint64)
            self._generator = torch.Generator().manual_seed(int(state[0] >> np.uint64(1)))
        draw = _subset if self.rate > SUBSET_ABOVE else _each
        kept = draw(layout, self.rate, self._generator)
        return Kept(None if kept.rows is None else kept.rows.to(device), kept.layout, kept.scale.to(device))


def add_residual(branch: Callable[[Tensor, Layout], Tensor], tokens: Tensor, layout: Layout, kept: Kept) -> Tensor:
    """Packed tokens [P, D] + the residuals of the kept ones."""
    if kept.rows is None:
        return tokens + branch(tokens, layout) * kept.scale
    residual = branch(tokens.index_select(0, kept.rows), kept.layout) * kept.scale
    return tokens.index_add(0, kept.rows, residual.to(tokens.dtype))


def set_drop_path(module: nn.Module, rate: float) -> None:
    """Give every block of ``module`` the same ``rate`` (DINOv2's code: ``drop_path_uniform``)."""
    for drop_path in _drop_paths(module):
        drop_path.rate = rate


def reseed_drop_path(module: nn.Module, seed: int, step: int) -> None:
    """Make the next draws of ``module`` a function of (seed, step), each block's its own."""
    for block, drop_path in enumerate(_drop_paths(module)):
        drop_path.reseed(seed, step, block)


def _drop_paths(module: nn.Module) -> list[DropPath]:
    return [child for child in module.modules() if isinstance(child, DropPath)]


def _subset(layout: Layout, rate: float, generator: torch.Generator) -> Kept:
    rows, scales, n_kept, offset = [], [], [], 0
    for n_crops, n_tokens in layout.groups:
        kept = torch.randperm(n_crops, generator=generator)[: max(int(n_crops * (1 - rate)), 1)]
        rows.append((offset + kept[:, None] * n_tokens + torch.arange(n_tokens)).flatten())
        scales.append(torch.full((rows[-1].numel(), 1), n_crops / len(kept)))
        n_kept.append(len(kept))
        offset += n_crops * n_tokens
    return Kept(torch.cat(rows), layout.of(n_kept), torch.cat(scales))


def _each(layout: Layout, rate: float, generator: torch.Generator) -> Kept:
    scales = []
    for n_crops, n_tokens in layout.groups:
        kept = torch.rand(n_crops, 1, generator=generator) >= rate
        scales.append((kept / (1 - rate)).repeat_interleave(n_tokens, dim=0))
    return Kept(None, layout, torch.cat(scales))
