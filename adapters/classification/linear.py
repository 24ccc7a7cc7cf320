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
from torch import Tensor

from adapters.base import AdapterConfig
from adapters.batches import FilmFeatures
from adapters.classification.base import ClassificationAdapter, ClassificationConfig, ClassificationRecipe
from adapters.linear_heads import LinearHeads
from adapters.readouts import as_readout
from raydino.encoder import EncoderOutput, EncoderSpec
from raydino.readout import Readout, readout_width


class LinearRecipe(ClassificationRecipe):
    """``l2``: candidate penalties λ; a head's loss is the mean over films of Σ labels loss, + λ/2 · ‖W‖²."""

    readout: Readout
    l2: tuple[Annotated[float, Field(ge=0)], ...] = Field(min_length=1)


class LinearConfig(ClassificationConfig):
    """``kind: classification_linear``."""

    kind: Literal["classification_linear"]
    recipe: LinearRecipe


class LinearClassifier(ClassificationAdapter):
    """The heads start at the log-odds of their labels."""

    config_model: ClassVar[type[AdapterConfig]] = LinearConfig
    config: LinearConfig

    def __init__(self, config: LinearConfig, spec: EncoderSpec, labels: Sequence[str]) -> None:
        super().__init__(config, spec, labels)
        self.heads = LinearHeads(readout_width(config.recipe.readout, self.width), len(labels), config.recipe.l2)

    def observe(self, films: FilmFeatures, targets: Tensor) -> None:
        """Standardise; each bias starts at the log-odds of its label, which no step size has to walk to."""
        super().observe(films, targets)
        self.heads.observe(self.condense(output) for _, output in films.batches())
        with torch.no_grad():
            self.heads.bias.copy_(self.prevalence.logit().expand_as(self.heads.bias))

    def condense(self, output: EncoderOutput | Tensor) -> Tensor:
        return as_readout(output, self.config.recipe.readout)

    def logits_BHL(self, output: EncoderOutput | Tensor) -> Tensor:
        return self.heads(self.condense(output))

    def penalty(self) -> Tensor:
        return self.heads.penalty()

    def keep(self, head: int) -> None:
        self.heads.keep(head)
        self.keep_setting(l2=self.heads.l2)
