"""Position embeddings at another resolution than they were made for: the three ways of DINOv2's readers.

All are bicubic on the square grid of the patches, with centres of pixels aligned; CLS keeps its own.

- ``offset``: the official code for models without registers (``interpolate_offset`` 0.1). The scale
  factor is (wanted + 0.1) / had, and this factor, not the ratio of sizes, places the samples.
- ``size``: transformers' ``Dinov2Model``, which reads the same models but resizes to a size. The two do not
  agree: random embeddings of deviation 0.02 made for 518 pixels differ at 224 by up to 0.03.
- ``antialias``: both, for models with registers: to a size, with a kernel as wide as the shrinking asks for.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

PositionResize = Literal["offset", "size", "antialias"]
OFFSET = 0.1  # interpolate_offset of the official configs


def resize_positions(positions: Tensor, grid: tuple[int, int], how: PositionResize) -> Tensor:
    """``positions`` [1, 1 + side², D] → [1, 1 + h·w, D] for ``grid`` (h, w); float32 inside, dtype kept."""
    side = round((positions.shape[1] - 1) ** 0.5)
    if grid == (side, side):
        return positions
    square = positions[:, 1:].unflatten(1, (side, side)).permute(0, 3, 1, 2).float()
    if how == "offset":
        factors = tuple((wanted + OFFSET) / side for wanted in grid)
        resized = F.interpolate(square, scale_factor=factors, mode="bicubic", align_corners=False)
    else:
        resized = F.interpolate(square, grid, mode="bicubic", align_corners=False, antialias=how == "antialias")
    patches = resized.flatten(2).transpose(1, 2).to(positions.dtype)
    return torch.cat([positions[:, :1], patches], dim=1)
