"""How the tokens of a film become one vector.

``grid_n`` averages the patch tokens over an n × n grid and joins the means: it keeps where things
are, and at toy scale that was worth more than minutes of pretraining.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated

import torch
from pydantic import StringConstraints
from torch import Tensor

from raydino.encoder import EncoderOutput

Readout = Annotated[str, StringConstraints(pattern=r"^(cls|cls_mean|grid_[1-9][0-9]?)$")]


def readout(output: EncoderOutput, kind: Readout) -> Tensor:
    """[B, readout_width(kind, D)]."""
    if kind == "cls":
        return output.cls
    if kind == "cls_mean":
        return torch.cat([output.cls, output.patches.mean(dim=(1, 2))], dim=1)
    _, height, width, _ = output.patches.shape
    return (cells(grid_side(kind), height, width).to(output.patches) @ output.patches.flatten(1, 2)).mT.flatten(1)


def readout_width(kind: Readout, embed_dim: int) -> int:
    """Length of the vector."""
    n_tokens = {"cls": 1, "cls_mean": 2}.get(kind) or grid_side(kind) ** 2
    return n_tokens * embed_dim


def grid_side(kind: Readout) -> int:
    """n of ``grid_n``; 1 of ``cls_mean``, whose mean of all patches is a grid of one cell."""
    return 1 if kind == "cls_mean" else int(kind.removeprefix("grid_"))


@cache
def cells(side: int, height: int, width: int) -> Tensor:
    """[side², height · width] float64: the share of each patch token in the mean of each cell of a side × side grid.

    A token that lies in two cells counts in each by its area there, so all tokens count the same in the grid.
    """
    rows, columns = (_shares(side, size) for size in (height, width))
    return torch.kron(rows, columns)


def _shares(n: int, size: int) -> Tensor:
    """[n, size]: the share of each of ``size`` tokens in each of n equal parts of their row."""
    starts = torch.arange(n, dtype=torch.float64)[:, None] * size / n
    tokens = torch.arange(size, dtype=torch.float64)
    within = torch.minimum(tokens + 1, starts + size / n) - torch.maximum(tokens, starts)
    return within.clamp(min=0) * n / size
