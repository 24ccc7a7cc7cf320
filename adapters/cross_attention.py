"""Learnt queries over the tokens of a film."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class CrossAttention(nn.Module):
    """Multi-head attention (Vaswani 2017, 3.2) of ``n_queries`` learnt queries: [B, T, D] → [B, Q, width].

    The queries are the same for every film, so keys and values of single tokens are never made: a query is carried
    into token space once, and values are taken of the attended mean. The result is the same, at a cost that grows
    with queries × heads instead of the width.
    """

    def __init__(self, token_width: int, width: int, *, n_heads: int, n_queries: int) -> None:
        super().__init__()
        head_width = width // n_heads
        self.query = nn.Parameter(torch.randn(n_queries, n_heads, head_width))
        self.key = nn.Parameter(torch.randn(n_heads, head_width, token_width) / math.sqrt(token_width))
        self.value = nn.Parameter(torch.randn(n_heads, head_width, token_width) / math.sqrt(token_width))

    def weights(self, tokens: Tensor) -> Tensor:
        """[B, Q, heads, T], summing to 1 over tokens."""
        looked_for = torch.einsum("qhc,hcd->qhd", self.query, self.key) / math.sqrt(self.query.shape[2])
        return torch.einsum("btd,qhd->bqht", tokens, looked_for).softmax(dim=-1)

    def forward(self, tokens: Tensor) -> Tensor:
        seen = torch.einsum("bqht,btd->bqhd", self.weights(tokens), tokens)
        return torch.einsum("bqhd,hcd->bqhc", seen, self.value).flatten(2)
