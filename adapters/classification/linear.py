"""A linear layer on a readout of the frozen tokens: one logistic regression a label.

One head for each strength of the L2 penalty is trained in the same pass; the one with the lowest
validation loss is kept. Protocol: the linear probes of DINOv2 (2304.07193, B.3) with a penalty grid in
place of a grid of learning rates; that grid is ``classification.grid``.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from adapters.base import AdapterConfig
from adapters.batches import FilmFeatures
from adapters.classification.base import ClassificationAdapter, ClassificationConfig, ClassificationRecipe
from adapters.linear_heads import OnLinearHeads, PenaltyGrid, PenaltyGridConfig
from raydino.encoder import EncoderOutput


class LinearRecipe(PenaltyGrid, ClassificationRecipe):
    """What is classified, and the grid of penalties."""


class LinearConfig(PenaltyGridConfig, ClassificationConfig):
    """``kind: classification_linear``."""

    kind: Literal["classification_linear"]
    recipe: LinearRecipe


class LinearClassifier(OnLinearHeads, ClassificationAdapter):
    """The heads start at the log-odds of their labels."""

    config_model: ClassVar[type[AdapterConfig]] = LinearConfig
    config: LinearConfig

    def observe(self, films: FilmFeatures, targets: Tensor) -> None:
        """Each bias starts at the log-odds of its label, which no step size has to walk to."""
        super().observe(films, targets)
        with torch.no_grad():
            self.heads.bias.copy_(self.prevalence.logit().expand_as(self.heads.bias))

    def logits_BHL(self, output: EncoderOutput | Tensor) -> Tensor:
        return self.heads(self.condense(output))
