"""Attentive regression: one learnt query looks over all tokens of a film, then one linear layer.

The protocol of ``classification.attentive``, with the mean of the training films as the start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from adapters.base import AdapterConfig
from adapters.batches import FilmFeatures
from adapters.cross_attention import CrossAttention
from adapters.regression.base import RegressionAdapter, RegressionConfig, RegressionRecipe
from adapters.standardise import Standardise
from raydino.encoder import EncoderOutput, EncoderSpec


class AttentiveRecipe(RegressionRecipe):
    """``width``: of what the query brings back, from ``n_heads`` places at once; ``dropout``: of that."""

    width: int = Field(gt=0)
    n_heads: int = Field(gt=0)
    dropout: float = Field(ge=0, lt=1)

    @model_validator(mode="after")
    def _divides(self) -> AttentiveRecipe:
        if self.width % self.n_heads:
            raise ValueError(f"width {self.width} is no multiple of n_heads {self.n_heads}")
        return self


class AttentiveConfig(RegressionConfig):
    """``kind: regression_attentive``."""

    kind: Literal["regression_attentive"]
    recipe: AttentiveRecipe


class AttentiveRegressor(RegressionAdapter):
    """The query looks at patch tokens and the class token, each feature standardised over films and places."""

    config_model: ClassVar[type[AdapterConfig]] = AttentiveConfig
    config: AttentiveConfig

    def __init__(self, config: AttentiveConfig, spec: EncoderSpec, labels: Sequence[str]) -> None:
        super().__init__(config, spec, labels)
        recipe = config.recipe
        self.standardise = Standardise(self.width)
        self.attend = CrossAttention(self.width, recipe.width, n_heads=recipe.n_heads, n_queries=1)
        self.dropout = nn.Dropout(recipe.dropout)
        self.head = nn.Linear(recipe.width, len(labels))
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def observe(self, films: FilmFeatures, targets: Tensor) -> None:
        super().observe(films, targets)
        self.standardise.observe(_tokens(output) for _, output in films.batches())

    def standardised_BHL(self, output: EncoderOutput) -> Tensor:
        return self.head(self.dropout(self.attend(self.standardise(_tokens(output)))))


def _tokens(output: EncoderOutput) -> Tensor:
    """[B, 1 + h·w, D]."""
    return torch.cat([output.cls[:, None], output.patches.flatten(1, 2)], dim=1)
