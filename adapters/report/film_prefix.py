"""A film as vectors that stand before a text: what a language model sees of it.

The patch tokens averaged over a coarser grid, and last, next to the text, one vector that tells which
findings the film shows. Those findings are read from all places by a linear layer and learnt from what the
training reports themselves mention: with a few hundred reports the text alone does not teach a decoder to
look. Features are standardised place by place: what differs between places of one film is far larger than
what differs between films, and says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adapters.standardise import Standardise
from raydino.encoder import EncoderOutput


class FilmPrefix(nn.Module):
    """Shapes: B films, P = 1 + grid² places and vectors, D width of tokens, W of the language model, L findings."""

    def __init__(self, grid: int, token_width: int, width: int, n_findings: int, dropout: float, blind: bool) -> None:
        super().__init__()
        self.grid, self.n_places, self.blind = grid, 1 + grid**2, blind
        self.standardise = Standardise(self.n_places * token_width)
        self.project = nn.Linear(token_width, width)
        self.find = nn.Linear(self.n_places * token_width, n_findings)
        self.tell = nn.Linear(n_findings, width)
        self.position = nn.Parameter(0.02 * torch.randn(self.n_places, width))
        self.dropout = nn.Dropout(dropout)

    def observe(self, outputs: Iterable[EncoderOutput]) -> None:
        """Take mean and standard deviation of every place over the training films."""
        self.standardise.observe(self._places(output) for output in outputs)

    def forward(self, output: EncoderOutput) -> tuple[Tensor, Tensor]:
        """The prefix [B, P, W] and the logits of the findings [B, L]; without the film when blind."""
        flat = self.standardise(self._places(output))
        if self.blind:
            flat = torch.zeros_like(flat)
        cells = flat.unflatten(1, (self.n_places, -1))[:, 1:]
        cells = self.project(cells / math.sqrt(cells.shape[-1]))
        logits = self.find(self.dropout(flat) / math.sqrt(self.n_places))
        told = self.tell(2 * logits.sigmoid() - 1)
        return torch.cat([cells, told[:, None]], dim=1) + self.position, logits

    def _places(self, output: EncoderOutput) -> Tensor:
        """[B, P·D] CLS first, then the grid row by row."""
        patches = output.patches.permute(0, 3, 1, 2)
        pooled = F.adaptive_avg_pool2d(patches, self.grid).flatten(2).transpose(1, 2)
        return torch.cat([output.cls[:, None], pooled], dim=1).flatten(1)
