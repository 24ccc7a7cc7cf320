"""A linear layer on a readout of the frozen tokens: one logistic regression a label.

One head for each strength of the L2 penalty is trained in the same pass; the one with the lowest
validation loss is kept. Protocol: the linear probes of DINOv2 (2304.07193, B.3) with a penalty grid in
place of a grid of learning rates; that grid is ``classification.grid``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from adapters.base import AdapterConfig
from adapters.batches import FilmFeatures
from adapters.classification.base import ClassificationAdapter, ClassificationConfig, ClassificationRecipe
from adapters.standardise import Standardise
from raydino.encoder import EncoderOutput, EncoderSpec
from raydino.readout import Readout, readout, readout_width


class LinearRecipe(ClassificationRecipe):
    """``l2``: candidate penalties λ; a head's loss is the mean over films of Σ labels loss, + λ/2 · ‖W‖²."""

    readout: Readout
    l2: tuple[Annotated[float, Field(ge=0)], ...] = Field(min_length=1)


class LinearConfig(ClassificationConfig):
    """``kind: classification_linear``."""

    kind: Literal["classification_linear"]
    recipe: LinearRecipe


class LinearClassifier(ClassificationAdapter):
    """weight [H, F, L] and bias [H, 1, L] on F standardised features; the penalty spares the bias."""

    config_model: ClassVar[type[AdapterConfig]] = LinearConfig
    config: LinearConfig

    def __init__(self, config: LinearConfig, spec: EncoderSpec, labels: Sequence[str]) -> None:
        super().__init__(config, spec, labels)
        width = readout_width(config.recipe.readout, self.width)
        n_heads = len(config.recipe.l2)
        self.standardise = Standardise(width)
        self.weight = nn.Parameter(torch.zeros(n_heads, width, len(labels)))
        self.bias = nn.Parameter(torch.zeros(n_heads, 1, len(labels)))

    def observe(self, films: FilmFeatures, targets: Tensor) -> None:
        """Standardise; each bias starts at the log-odds of its label, which no step size has to walk to."""
        super().observe(films, targets)
        self.standardise.observe(readout(output, self.config.recipe.readout) for _, output in films.batches())
        with torch.no_grad():
            self.bias.copy_(self.prevalence.logit().expand_as(self.bias))

    def logits_BHL(self, output: EncoderOutput) -> Tensor:
        features = self.standardise(readout(output, self.config.recipe.readout))
        return torch.einsum("bf,hfl->bhl", features, self.weight) + self.bias.transpose(0, 1)

    def penalty(self) -> Tensor:
        strength = torch.tensor(self.config.recipe.l2, device=self.device)
        return strength / 2 * self.weight.square().sum(dim=(1, 2))

    def keep(self, head: int) -> None:
        self.weight = nn.Parameter(self.weight.detach()[head : head + 1].clone())
        self.bias = nn.Parameter(self.bias.detach()[head : head + 1].clone())
        self.keep_setting(l2=(self.config.recipe.l2[head],))
