"""The KoLeo regulariser: spread the class tokens of a batch (Sablayrolles 2018, 1806.03198; DINOv2 §4).

-mean log of each unit vector's distance to its nearest neighbour. Exact duplicates, which chest
X-ray archives do hold, have no direction to be pushed apart in and are left out; so is a batch of one.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def koleo_loss(cls_BD: Tensor, *, eps: float = 1e-8) -> Tensor:
    """Scalar, float32 (float64 for float64 input); 0 when no two vectors differ."""
    wide = cls_BD if cls_BD.dtype == torch.float64 else cls_BD.float()
    unit = F.normalize(wide, dim=-1, eps=eps)
    if len(unit) < 2:
        return unit.sum() * 0.0
    with torch.no_grad():
        similarity = unit @ unit.T
        similarity.fill_diagonal_(-2.0)
        neighbour = similarity.argmax(dim=1)
    difference = unit - unit[neighbour]
    squared = difference.square().sum(dim=-1)
    apart = squared > eps
    distance = torch.where(apart, squared, torch.ones_like(squared)).sqrt()
    return -(torch.log(distance + eps) * apart).sum() / apart.sum().clamp_min(1)
