"""A linear layer on a readout of the frozen tokens: one ridge regression a column, with the loss that is asked for.

One head for each strength of the L2 penalty is trained in the same pass; the one with the lowest validation loss is
kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor

from adapters.base import AdapterConfig
from adapters.batches import FilmFeatures
from adapters.linear_heads import LinearHeads
from adapters.readouts import as_readout
from adapters.regression.base import RegressionAdapter, RegressionConfig, RegressionRecipe
from raydino.encoder import EncoderOutput, EncoderSpec
from raydino.readout import Readout, readout_width


class LinearRecipe(RegressionRecipe):
    """``l2``: candidate penalties λ; a head's loss is the mean over films of Σ columns loss, + λ/2 · ‖W‖²."""

    readout: Readout
    l2: tuple[Annotated[float, Field(ge=0)], ...] = Field(min_length=1)


class LinearConfig(RegressionConfig):
    """``kind: regression_linear``."""

    kind: Literal["regression_linear"]
    recipe: LinearRecipe


class LinearRegressor(RegressionAdapter):
    """The heads start at the training films' mean."""

    config_model: ClassVar[type[AdapterConfig]] = LinearConfig
    config: LinearConfig

    def __init__(self, config: LinearConfig, spec: EncoderSpec, labels: Sequence[str]) -> None:
        super().__init__(config, spec, labels)
        self.heads = LinearHeads(readout_width(config.recipe.readout, self.width), len(labels), config.recipe.l2)

    def observe(self, films: FilmFeatures, targets: Tensor) -> None:
        super().observe(films, targets)
        self.heads.observe(self.condense(output) for _, output in films.batches())

    def condense(self, output: EncoderOutput | Tensor) -> Tensor:
        return as_readout(output, self.config.recipe.readout)

    def standardised_BHL(self, output: EncoderOutput | Tensor) -> Tensor:
        return self.heads(self.condense(output))

    def penalty(self) -> Tensor:
        return self.heads.penalty()

    def keep(self, head: int) -> None:
        self.heads.keep(head)
        self.keep_setting(l2=self.heads.l2)
