"""How the tokens of a film become one vector.

``grid_n`` averages the patch tokens over an n × n grid and joins the means: it keeps where things
are, and at toy scale that was worth more than minutes of pretraining.
"""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
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
    pooled = F.adaptive_avg_pool2d(output.patches.permute(0, 3, 1, 2), _side(kind))
    return pooled.flatten(1)


def readout_width(kind: Readout, embed_dim: int) -> int:
    """Length of the vector."""
    n_tokens = {"cls": 1, "cls_mean": 2}.get(kind) or _side(kind) ** 2
    return n_tokens * embed_dim


def _side(grid: Readout) -> int:
    """n of ``grid_n``."""
    return int(grid.removeprefix("grid_"))
