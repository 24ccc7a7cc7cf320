"""Linear heads of one readout that differ in the strength of their penalty, trained side by side in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from adapters.standardise import Standardise


class LinearHeads(nn.Module):
    """weight [H, F, L] and bias [H, 1, L] on F standardised features; the penalty λ/2 · ‖W‖² spares the bias."""

    def __init__(self, n_features: int, n_labels: int, l2: Sequence[float]) -> None:
        super().__init__()
        self.l2 = tuple(l2)
        self.standardise = Standardise(n_features)
        self.weight = nn.Parameter(torch.zeros(len(self.l2), n_features, n_labels))
        self.bias = nn.Parameter(torch.zeros(len(self.l2), 1, n_labels))

    def observe(self, batches: Iterable[Tensor]) -> None:
        """Standardise by the training features ([…, F] each)."""
        self.standardise.observe(batches)

    def forward(self, features: Tensor) -> Tensor:
        """[B, F] → [B, H, L]."""
        return torch.einsum("bf,hfl->bhl", self.standardise(features), self.weight) + self.bias.transpose(0, 1)

    def penalty(self) -> Tensor:
        """[H]."""
        return torch.tensor(self.l2, device=self.weight.device) / 2 * self.weight.square().sum(dim=(1, 2))

    def keep(self, head: int) -> None:
        """Keep head ``head`` alone."""
        self.l2 = self.l2[head : head + 1]
        self.weight = nn.Parameter(self.weight.detach()[head : head + 1].clone())
        self.bias = nn.Parameter(self.bias.detach()[head : head + 1].clone())
