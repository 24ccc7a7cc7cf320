"""How the tokens of a film become one vector.

``grid`` averages the patch tokens over a 3 × 3 grid and joins the nine means: it keeps where things
are, and at toy scale that was worth more than minutes of pretraining.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from raydino.encoder import EncoderOutput

Readout = Literal["cls", "cls_mean", "grid"]
GRID = 3


def readout(output: EncoderOutput, kind: Readout) -> Tensor:
    """[B, readout_width(kind, D)]."""
    if kind == "cls":
        return output.cls
    if kind == "cls_mean":
        return torch.cat([output.cls, output.patches.mean(dim=(1, 2))], dim=1)
    pooled = F.adaptive_avg_pool2d(output.patches.permute(0, 3, 1, 2), GRID)
    return pooled.flatten(1)


def readout_width(kind: Readout, embed_dim: int) -> int:
    """Length of the vector."""
    return {"cls": 1, "cls_mean": 2, "grid": GRID * GRID}[kind] * embed_dim
