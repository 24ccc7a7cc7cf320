"""Centring and losses keep their numbers wide: float32 at least, whatever autocast does around them."""

from __future__ import annotations

import torch
from torch import Tensor


def wide(x: Tensor) -> Tensor:
    """``x`` in float32, or in float64 when it is that already."""
    return x if x.dtype == torch.float64 else x.float()


def without_autocast(x: Tensor) -> torch.autocast:
    """A context in which matrix products of ``x``'s device keep the precision of their factors."""
    return torch.autocast(x.device.type, enabled=False)
