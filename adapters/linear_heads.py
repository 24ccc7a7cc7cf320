"""Linear heads of one readout that differ in the strength of their penalty, trained side by side in one pass.

``OnLinearHeads`` is what an adapter on them is whatever its task; ``classification.linear`` and ``regression.linear``
stand on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from adapters.base import Adapter, AdapterConfig, Recipe
from adapters.batches import FilmFeatures
from adapters.readouts import as_readout
from adapters.standardise import Standardise
from raydino.encoder import EncoderOutput, EncoderSpec
from raydino.readout import Readout, readout_width


class PenaltyGrid(Recipe):
    """``l2``: candidate penalties λ; a head's loss is the mean over films of Σ labels loss, + λ/2 · ‖W‖²."""

    readout: Readout
    l2: tuple[Annotated[float, Field(ge=0)], ...] = Field(min_length=1)


class PenaltyGridConfig(AdapterConfig):
    """A config whose recipe holds a grid of penalties."""

    recipe: PenaltyGrid


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


class OnLinearHeads(Adapter):
    """An adapter whose candidate heads are ``LinearHeads``; stands before the task's base class."""

    config: PenaltyGridConfig

    def __init__(self, config: PenaltyGridConfig, spec: EncoderSpec, labels: Sequence[str]) -> None:
        super().__init__(config, spec, labels)
        self.heads = LinearHeads(readout_width(config.recipe.readout, self.width), len(labels), config.recipe.l2)

    def observe(self, films: FilmFeatures, targets: Tensor) -> None:
        """Standardise the readout."""
        super().observe(films, targets)
        self.heads.observe(self.condense(output) for _, output in films.batches())

    def condense(self, output: EncoderOutput | Tensor) -> Tensor:
        return as_readout(output, self.config.recipe.readout)

    def penalty(self) -> Tensor:
        return self.heads.penalty()

    def keep(self, head: int) -> None:
        self.heads.keep(head)
        self.keep_setting(l2=self.heads.l2)
