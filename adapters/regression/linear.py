"""A linear layer on a readout of the frozen tokens: one ridge regression a column, with the loss that is asked for.

One head for each strength of the L2 penalty is trained in the same pass; the one with the lowest validation loss is
kept. The heads start at the training films' mean.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor

from adapters.base import AdapterConfig
from adapters.linear_heads import OnLinearHeads, PenaltyGrid, PenaltyGridConfig
from adapters.regression.base import RegressionAdapter, RegressionConfig, RegressionRecipe
from raydino.encoder import EncoderOutput


class LinearRecipe(PenaltyGrid, RegressionRecipe):
    """What is measured, and the grid of penalties."""


class LinearConfig(PenaltyGridConfig, RegressionConfig):
    """``kind: regression_linear``."""

    kind: Literal["regression_linear"]
    recipe: LinearRecipe


class LinearRegressor(OnLinearHeads, RegressionAdapter):
    """A column's value in standard deviations from the mean."""

    config_model: ClassVar[type[AdapterConfig]] = LinearConfig
    config: LinearConfig

    def standardised_BHL(self, output: EncoderOutput | Tensor) -> Tensor:
        return self.heads(self.condense(output))
