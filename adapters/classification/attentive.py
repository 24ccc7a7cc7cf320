"""Attentive pooling: one learnt query looks over all tokens of a film, then one linear layer.

Protocol: the attentive probes of self-supervised vision (V-JEPA, 2404.08471; CAPI, 2502.08769) in their smallest form:
one cross-attention, no MLP. ``classification.query`` gives each finding a query of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from adapters.base import AdapterConfig
from adapters.batches import FilmFeatures
from adapters.classification.base import ClassificationAdapter, ClassificationConfig, ClassificationRecipe
from adapters.cross_attention import CrossAttention
from adapters.standardise import Standardise
from raydino.encoder import EncoderOutput, EncoderSpec


class AttentionRecipe(ClassificationRecipe):
    """Of the heads that attend: this one and ``classification.query``."""

    tokens: Literal["patches", "cls_patches"]  # what the queries look at
    width: int = Field(gt=0)  # of queries and of what they bring back
    n_heads: int = Field(gt=0)  # each query looks at this many places at once
    dropout: float = Field(ge=0, lt=1)  # of what they bring back

    @model_validator(mode="after")
    def _divides(self) -> AttentionRecipe:
        if self.width % self.n_heads:
            raise ValueError(f"width {self.width} is no multiple of n_heads {self.n_heads}")
        return self


class AttentionConfig(ClassificationConfig):
    """A config of a head that attends."""

    recipe: AttentionRecipe


class AttentiveConfig(AttentionConfig):
    """``kind: classification_attentive``."""

    kind: Literal["classification_attentive"]


class AttendingClassifier(ClassificationAdapter):
    """Standardised tokens under Q queries; a subclass says how many and what becomes of them."""

    config: AttentionConfig

    def __init__(self, config: AttentionConfig, spec: EncoderSpec, labels: Sequence[str], n_queries: int) -> None:
        super().__init__(config, spec, labels)
        recipe = config.recipe
        self.standardise = Standardise(self.width)
        self.attend = CrossAttention(self.width, recipe.width, n_heads=recipe.n_heads, n_queries=n_queries)
        self.dropout = nn.Dropout(recipe.dropout)
        self.bias = nn.Parameter(torch.zeros(len(labels)))

    def observe(self, films: FilmFeatures, targets: Tensor) -> None:
        """Standardise tokens over films and places; each bias starts at the log-odds of its label."""
        super().observe(films, targets)
        self.standardise.observe(self.tokens(output) for _, output in films.batches())
        with torch.no_grad():
            self.bias.copy_(self.prevalence.logit())

    def tokens(self, output: EncoderOutput) -> Tensor:
        """[B, T, D] what the queries look at."""
        patches = output.patches.flatten(1, 2)
        return patches if self.config.recipe.tokens == "patches" else torch.cat([output.cls[:, None], patches], dim=1)

    def brought(self, output: EncoderOutput) -> Tensor:
        """[B, Q, width] what each query brings back."""
        return self.dropout(self.attend(self.standardise(self.tokens(output))))


class AttentiveClassifier(AttendingClassifier):
    """One query; a linear layer from what it brings back to all labels."""

    config_model: ClassVar[type[AdapterConfig]] = AttentiveConfig

    def __init__(self, config: AttentiveConfig, spec: EncoderSpec, labels: Sequence[str]) -> None:
        super().__init__(config, spec, labels, n_queries=1)
        self.weight = nn.Parameter(torch.zeros(config.recipe.width, len(labels)))

    def logits_BHL(self, output: EncoderOutput) -> Tensor:
        return self.brought(output) @ self.weight + self.bias
