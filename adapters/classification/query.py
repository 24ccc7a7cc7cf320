"""A query for each finding: it looks where its finding shows, and one logit is read from what it brings back.

The idea is that of Query2Label (Liu 2021, 2107.10834) without its decoder: one cross-attention on frozen tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from adapters.base import AdapterConfig
from adapters.classification.attentive import AttendingClassifier, AttentionConfig
from raydino.encoder import EncoderOutput, EncoderSpec


class QueryConfig(AttentionConfig):
    """``kind: classification_query``."""

    kind: Literal["classification_query"]


class QueryClassifier(AttendingClassifier):
    """L queries, and weight [L, width] that reads a logit from each."""

    config_model: ClassVar[type[AdapterConfig]] = QueryConfig

    def __init__(self, config: QueryConfig, spec: EncoderSpec, labels: Sequence[str]) -> None:
        super().__init__(config, spec, labels, n_queries=len(labels))
        self.weight = nn.Parameter(torch.zeros(len(labels), config.recipe.width))

    def logits_BHL(self, output: EncoderOutput) -> Tensor:
        return ((self.brought(output) * self.weight).sum(dim=2) + self.bias)[:, None]
