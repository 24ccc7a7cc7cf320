"""The teacher: an exponential moving average of the student, updated after every step (DINOv2 §4)."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def update_teacher(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """teacher ← momentum · teacher + (1 - momentum) · student, parameter by parameter.

    Equal weights stay as they are, to the bit; momentum 0 copies.
    """
    pairs = zip(teacher.parameters(), student.parameters(), strict=True)
    for old, new in pairs:
        old.lerp_(new.to(old.dtype), 1.0 - momentum)
