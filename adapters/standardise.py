"""Features brought to mean 0 and standard deviation 1, by statistics of the training films."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class Standardise(nn.Module):
    """``(x - mean) / std`` along the last axis; a feature that is constant in training becomes 0."""

    mean: Tensor
    std: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))

    def observe(self, batches: Iterable[Tensor]) -> None:
        """Take mean and standard deviation over all rows of ``batches`` ([…, width] each)."""
        mean, variance = mean_and_variance(batches)
        std = variance.sqrt()
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > 1e-6, std, torch.inf))

    def forward(self, features: Tensor) -> Tensor:
        return (features - self.mean).div_(self.std)


def mean_and_variance(batches: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """[F] and [F], float64, over all rows of ``batches`` ([…, F] each), in one pass."""
    count, total, squares = 0, torch.zeros(()), torch.zeros(())
    for batch in batches:
        rows = batch.reshape(-1, batch.shape[-1]).double()
        count += len(rows)
        total = total.to(rows) + rows.sum(0)
        squares = squares.to(rows) + rows.square().sum(0)
    mean = total / count
    return mean, (squares / count - mean.square()).clamp(min=0)
